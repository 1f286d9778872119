"""Many curves in one pass: a polynomial for each group of rows."""

from polyreg.groups.fit import fit_groups
from polyreg.groups.results import Results

__all__ = ["Results", "fit_groups"]
