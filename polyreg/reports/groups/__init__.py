"""Record of many curves in their run."""

from polyreg.reports.groups.report import record

__all__ = ["record"]
