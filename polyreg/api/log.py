"""Logging of results, trainings and sweeps to a run that somebody opened with MLflow."""

from dataclasses import replace

from polyreg import least_squares, tracking
from polyreg.api.arguments import in_python
from polyreg.api.functions import Sweep
from polyreg.errors import Refused
from polyreg.fields import Registered
from polyreg.groups import Results
from polyreg.options import params
from polyreg.polynomials.result import Result
from polyreg.reports import fit as fits
from polyreg.reports import groups
from polyreg.reports import sweep as sweep_reports
from polyreg.reports import training as trainings
from polyreg.reports.study import is_studied
from polyreg.sgd import Training
from polyreg.sgd import sweep as sweeps


def log_result(result: Result | Results, register_as: str = "") -> None:
    """Log to the active MLflow run what `polyreg fit` logs to its own: all but its end.

    Params, tags, dataset, coefficients with their errors, degrees compared, rows to doubt, metrics,
    plots, a sample of the rows, and the model, which is registered under `register_as` if that is
    given. Of a result that was loaded, whose data are not there: coefficients, description and
    model. Of Results what `polyreg fit --by` logs: table, plots, quantiles and one model. The run
    stays open, and keeps its name, its description and what it has already.

    Raises PolyregError where no run is active, or the store takes nothing.

    >>> import mlflow, polyreg, tempfile
    >>> mlflow.set_tracking_uri(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
    >>> with mlflow.start_run() as run:
    ...     polyreg.log_result(polyreg.fit([0, 1, 2, 3], [1, 2, 5, 9], degree=1))
    >>> round(mlflow.get_run(run.info.run_id).data.metrics["residual_sd"], 4)
    1.0724
    >>> polyreg.log_result(polyreg.fit([0, 1], [0, 1], degree=1))
    Traceback (most recent call last):
    polyreg.errors.Refused: no MLflow run is active; call this inside `with mlflow.start_run():`, \
or open one with polyreg.start_run
    """
    with in_python():
        is_many = isinstance(result, Results)
        _require(result, Results if is_many else Result, "a Result, as polyreg.fit gives it")
        run, named = tracking.active_run(), Registered(register_as=register_as)
        if isinstance(result, Results):
            run.params(params(result.config) | params(named))
            groups.record(run, result, tracking.Clock(), register_as)
        elif isinstance(result.origin, least_squares.Origin):
            run.params(params(result.origin.config) | params(named))
            clock = tracking.Clock()
            if is_studied(result):
                with clock("study"):
                    result.study  # noqa: B018 (made at its first use)
            fits.record(run, result, clock, register_as)
        else:
            fits.record_loaded(run, result, register_as)


def log_training(training: Training, register_as: str = "") -> None:
    """Log to the active MLflow run what `polyreg train` logs to its own: all but its end.

    Params, tags, curves thinned to 1,000 points, coefficients beside the truth, metrics, plots, and
    the model, which is registered under `register_as` if that is given.

    Raises PolyregError where no run is active, the store takes nothing, no step was taken, or the
    training diverged.

    >>> import mlflow, polyreg, tempfile
    >>> mlflow.set_tracking_uri(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
    >>> with mlflow.start_run() as run:
    ...     polyreg.log_training(polyreg.train(degree=3))
    >>> round(mlflow.get_run(run.info.run_id).data.metrics["steps"], 4)
    31.0
    """
    with in_python():
        _require(training, Training, "a Training, as polyreg.train gives it")
        run, named = tracking.active_run(), Registered(register_as=register_as)
        if not training.curve.steps:
            raise Refused("a training without a step has nothing to log; train it first")
        if training.diverged:
            raise Refused(f"no polynomial to log: {training.diverged}")
        run.params(params(training.config) | params(named))
        clock = tracking.Clock({"train": training.seconds})
        with clock("curves"):
            trainings.log_curves(run, training)
        trainings.record(run, training, clock, register_as=register_as)


def log_sweep(sweep: Sweep, register_as: str = "") -> None:
    """Log a sweep to the active MLflow run as `polyreg sweep` does: a nested run for each of its.

    And the table of the runs, the figures, and the best run's plots and model, which is registered
    under `register_as` if that is given.

    Raises PolyregError where no run is active or the store takes nothing.

    >>> import mlflow, polyreg, tempfile
    >>> mlflow.set_tracking_uri(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
    >>> with mlflow.start_run() as run:
    ...     polyreg.log_sweep(polyreg.sweep(degrees=(3,), learning_rates=("auto",), seeds=2))
    >>> round(mlflow.get_run(run.info.run_id).data.metrics["runs"], 4)
    2.0
    """
    with in_python():
        _require(sweep, Sweep, "a Sweep, as polyreg.sweep gives it")
        run = tracking.active_run()
        config = replace(sweep.config, register_as=register_as or sweep.config.register_as)
        run.params(params(config))
        rows = [sweep_reports.track(run, config, t, str(t.device)) for t in sweep.trainings]
        best, clock = sweeps.best(rows), tracking.Clock()
        with clock("report"):
            found = sweeps.summaries(config, {row.config: row for row in rows}, sweep.tried)
            sweep_reports.record(run, config, rows, found)
        run.tag({"device": str(sweep.trainings[0].device)})
        if best:
            [training] = [t for t in sweep.trainings if t.config == best.config]
            with clock("model"):
                sweep_reports.record_best(run, config, rows, training)
            run.tag({"best_run_id": best.id})
        run.log(sweep_reports.totals(rows, best) | clock.metrics())


def _require(given: object, kind: type, wanted: str) -> None:
    if not isinstance(given, kind):
        hint = "; give its result_" if hasattr(given, "result_") else ""
        raise Refused(f"{wanted}, is to be logged; got a {type(given).__name__}{hint}")
