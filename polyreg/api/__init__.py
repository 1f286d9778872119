"""Python API: functions of data and options, logging to an open run, a scikit-learn estimator."""
