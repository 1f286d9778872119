"""Report of many curves: on the terminal and in the run."""

from polyreg.reports.groups.report import record, report

__all__ = ["record", "report"]
