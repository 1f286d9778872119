"""Variables of a table's rows: what features and target are of the columns that are read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polyreg.errors import BadTable
from polyreg.polynomials.variables import Variable, columns_of
from polyreg.tables.files import Place
from polyreg.tables.missing import MissingRows
from polyreg.tables.variables.written import parsed

Arrays = list[np.ndarray]
Low = Sequence[np.ndarray | None]


@dataclass(frozen=True)
class Functions:
    """Features, and the target, as functions of columns; some of them are columns as they are.

    A value is the function's of the column's float64 number, and a datum as it is.
    """

    inputs: tuple[Variable, ...]
    outcome: Variable | None

    @classmethod
    def of(
        cls, features: Sequence[str], target: str | None, columns: Collection[str], title: str
    ) -> "Functions | None":
        """Those that the texts mean, in a table of these columns; None where all are columns.

        Raises BadTable where a text is neither, or two are the same.
        """
        inputs = tuple(parsed(text, columns, title) for text in features)
        outcome = None if target is None else parsed(target, columns, title)
        if all(v.is_plain for v in (*inputs, outcome) if v):
            return None
        names = [v.name for v in inputs]
        if twice := [name for name in names if names.count(name) > 1]:
            raise BadTable(f"feature {twice[0]} is chosen twice; leave out one")
        return cls(inputs, outcome and replace(outcome, name=outcome.written))

    def of_features(self, columns: Sequence[str]) -> "Functions":
        """With these columns as features, where none were named."""
        return self if self.inputs else replace(self, inputs=tuple(Variable(c, c) for c in columns))

    def without(self, names: Collection[str]) -> "Functions":
        """Without these features."""
        return replace(self, inputs=tuple(v for v in self.inputs if v.name not in names))

    @property
    def first(self) -> str:
        """Name of the first that is no column as it is."""
        both = (*self.inputs, self.outcome)
        return next(v.name for v in both if v and not v.is_plain)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the features."""
        return tuple(v.name for v in self.inputs)

    @property
    def columns(self) -> list[str]:
        """That features are functions of, each once."""
        return columns_of(self.inputs)

    @property
    def plain(self) -> list[str]:
        """Columns that are features as they are, and in no function."""
        others = {v.column for v in self.inputs if not v.is_plain}
        return [v.column for v in self.inputs if v.column not in others]

    @property
    def words(self) -> tuple[str, ...]:
        """Of each feature the column whose level it is, "" of a number; () of numbers alone."""
        found = tuple(v.column if v.words else "" for v in self.inputs)
        return found if any(found) else ()

    def with_levels(self, levels: Mapping[str, Sequence[Variable]]) -> "Functions":
        """With the levels of columns of words in place of the columns."""
        found = [levels.get(v.name, (v,)) for v in self.inputs]
        return replace(self, inputs=tuple(v for several in found for v in several))

    def within(
        self,
        gaps: MissingRows,
        place: Place,
        raw: Arrays,
        kept: np.ndarray | slice,
        is_dropped: bool,
        has_sigma: bool,
        has_sigma_x: bool,
    ) -> np.ndarray | slice:
        """The kept rows of a block whose functions have values: a mask, or all of them.

        Others are counted as missing where rows are dropped; else BadTable says the first.
        has_sigma: a function of the target needs a slope, too, by which u(y) becomes its own, and
        has_sigma_x: those of features likewise
        """
        for variable, x in self._pairs(raw):
            lost = np.isfinite(x) & ~np.isfinite(variable.values(x))
            lost |= np.isfinite(x) & self._strange(variable, x, has_sigma, has_sigma_x)
            if not lost.any():
                continue
            row = int(lost.argmax())
            if not is_dropped:
                why = self._why(variable, float(x[row]))
                raise BadTable(
                    f"{why} in {place.row(row)}; correct it, leave such rows out by --missing "
                    "drop, or choose another function"
                )
            kept = gaps.without(place, lost, kept, variable.name)
        return kept

    def _why(self, variable: Variable, x: float) -> str:
        """Why a row with x cannot be fitted, in words."""
        if not np.isfinite(variable.values(np.array([x]))).all():
            return variable.need(x)
        if variable is self.outcome and variable.kind == "square" and x + variable.shift < 0:
            return (
                f"{variable.name} leaves the target's sign open where {variable.column} is {x:.15g}"
            )
        return f"{variable.written} has no uncertainty where {variable.column} is {x:.15g}"

    def _strange(
        self, variable: Variable, x: np.ndarray, has_sigma: bool, has_sigma_x: bool
    ) -> np.ndarray:
        """Where a function has a value, and yet no way back or no uncertainty (n,).

        The square of a target does not tell the sign. Where the slope is infinite, so is u, and
        where that of the target is 0, a row would have an infinite weight.
        """
        lost = np.zeros(len(x), dtype=bool)
        if variable.is_plain:
            return lost
        slopes, is_target = variable.slopes(x), variable is self.outcome
        if is_target and variable.kind == "square":
            lost |= x + variable.shift < 0
        if has_sigma if is_target else has_sigma_x:
            lost |= ~np.isfinite(slopes) | (is_target & (slopes == 0))
        return lost

    def applied(self, raw: Arrays, low: Low, is_sigma: bool, more: int) -> tuple[Arrays, Low]:
        """Features and target in place of their columns, and what float64 leaves of plain ones.

        is_sigma: behind the target comes u(y), of its column, and becomes |f'(y)| u(y), that of
        the function to first order; more: how many columns come last, which are u(x), of one
        variable, and the covariance of x and y, and are scaled likewise
        """
        pairs, read = [*self._pairs(raw)], len(self.columns) + (self.outcome is not None)
        made, rest = [v.values(x) for v, x in pairs], raw[read:]
        factors: list[Any] = [None] * len(rest)
        (first, x), (last, y) = pairs[0], pairs[-1]
        own, slope = _usable(first.slopes(x)), _usable(last.slopes(y))
        if is_sigma and not last.is_plain:
            factors[0] = np.where(slope == 0, np.nan, np.abs(slope))
        if more:
            factors[-more:] = [np.abs(own), own * slope][:more]
        rest = [c if f is None else c * f for c, f in zip(rest, factors, strict=True)]
        if not low:
            return made + rest, ()
        place = {column: k for k, column in enumerate(self.columns)}
        left = [low[place[v.column]] if v.is_plain else None for v in self.inputs]
        if self.outcome:
            left.append(low[len(place)] if self.outcome.is_plain else None)
        behind = zip(low[read:], factors, strict=False)
        return made + rest, [*left, *(part if f is None else None for part, f in behind)]

    def _pairs(self, raw: Arrays) -> list[tuple[Variable, np.ndarray]]:
        """Each variable, the target the last, with its column."""
        place = {column: k for k, column in enumerate(self.columns)}
        found = [(v, raw[place[v.column]]) for v in self.inputs]
        return found + ([(self.outcome, raw[len(place)])] if self.outcome else [])


def _usable(slopes: np.ndarray) -> np.ndarray:
    """Finite slopes; nan in rows that are left out."""
    return np.where(np.isfinite(slopes), slopes, np.nan)
