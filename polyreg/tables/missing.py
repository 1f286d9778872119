"""Missing values: rows with a null, nan or infinite value are counted, and refused or dropped."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from polyreg.errors import BadTable
from polyreg.tables.files import Place
from polyreg.text import quoted


@dataclass
class MissingRows:
    """The rows so far, those of them with a missing value, and where the first is."""

    rows: int = 0
    missing: int = 0
    first: str = ""
    where: tuple[int, int, str] = (0, 0, "")  # of the first: file, row from 0, column
    columns: dict[str, int] = field(default_factory=dict)  # missing values of each

    @property
    def clean(self) -> int:
        return self.rows - self.missing

    def __add__(self, later: "MissingRows") -> "MissingRows":
        rows, missing = self.rows + later.rows, self.missing + later.missing
        mine = self if self.first else later
        names = dict.fromkeys([*self.columns, *later.columns])
        columns = {c: self.columns.get(c, 0) + later.columns.get(c, 0) for c in names}
        return MissingRows(rows, missing, mine.first, mine.where, columns)

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
            column = columns[holes[:, row].argmax()]
            self.first = f"{place.row(row)} (column {column})"
            self.where = (place.number, place.before + row, column)
        self.missing += int(missing.sum())
        for column, count in zip(columns, holes.sum(axis=1).tolist(), strict=True):
            if count:
                self.columns[column] = self.columns.get(column, 0) + count
        return ~missing

    def without(
        self, place: Place, lost: np.ndarray, kept: np.ndarray | slice, name: str
    ) -> np.ndarray | slice:
        """The kept rows of a block without those that are lost (n,), for lack of a value of name.

        They are counted here; `clean_rows` has counted the others.
        """
        mask = np.zeros(len(lost), dtype=bool)
        mask[kept] = True
        lost = lost & mask
        if not lost.any():
            return kept
        if not self.missing:
            row = int(lost.argmax())
            self.first = f"{place.row(row)} ({name})"
            self.where = (place.number, place.before + row, name)
        self.missing += int(lost.sum())
        self.columns[name] = self.columns.get(name, 0) + int(lost.sum())
        return mask & ~lost

    def refusal(self, title: str, spelling: str = "") -> BadTable:
        """The error of a table that is not to have missing values.

        spelling: how the first of them is written, where that is known
        """
        have = "has" if self.missing == 1 else "have"
        written = f", which holds {quoted(spelling)}" if spelling else ""
        each = f" ({counts(self.columns)})" if len(self.columns) > 1 else ""
        return BadTable(
            f"{self.missing:,} of {self.rows:,} rows of {title} {have} a missing or infinite "
            f"value{each}, the first in {self.first}{written}; use --missing drop to leave them out"
        )


def counts(columns: Mapping[str, int]) -> str:
    """How many values each column lacks: `x 2, y 1`."""
    return ", ".join(f"{column} {count:,}" for column, count in columns.items())
