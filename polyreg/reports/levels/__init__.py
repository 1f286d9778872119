"""Reports of fits with levels of words: their curves in one figure."""

from polyreg.reports.levels.report import level_figure

__all__ = ["level_figure"]
