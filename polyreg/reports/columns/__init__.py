"""Figures of a fit in the quantities of its columns: sample, grid and scales."""

from polyreg.reports.columns.scales import curve_grid, drawn, framed, scaled

__all__ = ["curve_grid", "drawn", "framed", "scaled"]
