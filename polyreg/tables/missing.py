"""Missing values: rows with a null, nan or infinite value are counted, and refused or dropped."""

import math
from dataclasses import dataclass

import numpy as np

from polyreg.errors import BadTable
from polyreg.tables.files import Place


@dataclass
class MissingRows:
    """The rows so far, those of them with a missing value, and where the first is."""

    rows: int = 0
    missing: int = 0
    first: str = ""

    @property
    def clean(self) -> int:
        return self.rows - self.missing

    def __add__(self, later: "MissingRows") -> "MissingRows":
        rows, missing = self.rows + later.rows, self.missing + later.missing
        return MissingRows(rows, missing, self.first or later.first)

    def clean_rows(
        self, place: Place, arrays: list[np.ndarray], columns: list[str]
    ) -> np.ndarray | slice:
        """The rows of a block without a missing value, counted here: a mask, or all of them."""
        self.rows += len(arrays[0])
        # One sum instead of n tests; where finite numbers overflow it, the tests decide.
        with np.errstate(over="ignore", invalid="ignore"):
            if all(math.isfinite(a.sum()) for a in arrays):
                return slice(None)
        holes = ~np.isfinite(arrays)
        missing = np.logical_or.reduce(holes)
        if not missing.any():
            return slice(None)
        if not self.missing:
            row = int(missing.argmax())
            self.first = f"{place.row(row)} (column {columns[holes[:, row].argmax()]})"
        self.missing += int(missing.sum())
        return ~missing

    def refusal(self, title: str) -> BadTable:
        """The error of a table that is not to have missing values."""
        have = "has" if self.missing == 1 else "have"
        return BadTable(
            f"{self.missing:,} of {self.rows:,} rows of {title} {have} a missing or infinite "
            f"value, the first in {self.first}; use --missing drop to leave them out"
        )
