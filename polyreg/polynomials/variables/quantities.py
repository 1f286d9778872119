"""Columns that a fit was made of, beside the variables that its polynomial has."""

import math
from typing import Any

import numpy as np

from polyreg.polynomials.variables.variable import Variable, columns_of, words_of


class Quantities:
    """What a Result with these fields knows of its columns."""

    design: Any
    target: str
    inputs: tuple[Variable, ...]
    outcome: Variable | None
    low: np.ndarray
    high: np.ndarray

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables (D,), in the order of x's columns."""
        return self.design.names

    @property
    def domain(self) -> dict[str, tuple[float, float]]:
        """Range of each variable in the data: {name: (low, high)}."""
        ends = zip(self.variables, self.low.tolist(), self.high.tolist(), strict=True)
        return {name: (low, high) for name, low, high in ends}

    @property
    def is_transformed(self) -> bool:
        """Whether a variable, or the target, is a function of its column."""
        return bool(self.inputs) or self.outcome is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of x as predictions take it: those that the variables are functions of."""
        return tuple(columns_of(self.inputs)) or self.variables

    @property
    def target_column(self) -> str:
        """Column of y as predictions give it."""
        return self.outcome.column if self.outcome else self.target

    @property
    def named(self) -> tuple[str, ...]:
        """Features as they are named: the variables, of levels their column."""
        columns = self.design.words or ("",) * len(self.variables)
        pairs = zip(columns, self.variables, strict=True)
        return tuple(dict.fromkeys(column or name for column, name in pairs))

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """Columns of words, and their levels, the base first."""
        return words_of(self.inputs)

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Range of each of `columns` in the data: {column: (low, high)}."""
        known = {v.column: (v.low, v.high) for v in self.inputs}
        return {
            c: (math.nan if a is None else a, math.nan if b is None else b)
            for c, (a, b) in known.items()
        } or self.domain

    def example(self) -> np.ndarray:
        """Some rows of the columns, over their ranges (3, C)."""
        low, high = np.array([*self.ranges.values()]).T
        found = np.linspace(low, high, 3)
        for v in self.inputs:  # 1/x has no value between -1 and 1
            k = self.columns.index(v.column)
            lost = ~np.isfinite(v.values(found[:, k]))
            found[lost, k] = low[k]
        return found
