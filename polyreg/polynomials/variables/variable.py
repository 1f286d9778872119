"""Variable of a polynomial: a function of one column of the user's table.

    z = f(x + shift),   f one of identity, log, log10, exp, sqrt, square, reciprocal

or of a column of words, whose levels are numbered, 1 at one level and 0 at the others.

This file travels with a logged model, before predictor.py: it imports nothing but numpy.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

FUNCTIONS = {
    "identity": lambda x: x,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
}
SLOPES = {
    "identity": np.ones_like,
    "log": lambda x: 1 / x,
    "log10": lambda x: 1 / (math.log(10) * x),
    "exp": np.exp,
    "sqrt": lambda x: 0.5 / np.sqrt(x),
    "square": lambda x: 2 * x,
    "reciprocal": lambda x: -1 / (x * x),
}
# The least z of those functions that do not reach every number, and the inverse above it.
LEAST = {"exp": 0.0, "sqrt": 0.0, "square": 0.0}
BACK = {
    "identity": lambda z: z,
    "log": np.exp,
    "log10": lambda z: 10.0**z,
    "exp": np.log,
    "sqrt": lambda z: z * z,
    "square": np.sqrt,
    "reciprocal": lambda z: 1 / z,
}


# Where functions have no value, and what they need.
NEEDS = {
    "log": (lambda x: x <= 0, "above 0"),
    "log10": (lambda x: x <= 0, "above 0"),
    "sqrt": (lambda x: x < 0, "of 0 or more"),
    "reciprocal": (lambda x: x == 0, "other than 0"),
}
NOTHING = (lambda x: False, "")


@dataclass(frozen=True)
class Variable:
    """A function of a column, z = f(x + shift).

    name: as terms have it, `log(freq)`; column: of the table, `freq`; kind: of f
    low, high: range of the column in the data; None where it is not known
    words: levels of the column where kind is `level`, sorted, the base first; place: its own among
    them, which is not 0; x + shift is 0 there
    """

    name: str
    column: str
    kind: str = "identity"
    shift: float = 0.0
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    place: int = 0

    def __post_init__(self):
        object.__setattr__(self, "words", tuple(self.words))  # a document has lists

    @property
    def is_plain(self) -> bool:
        """Whether it is the column itself."""
        return self.kind == "identity" and not self.shift

    @property
    def least(self) -> float | None:
        """The value that the function does not go below; None where there is none."""
        return LEAST.get(self.kind)

    @property
    def written(self) -> str:
        """The name as it stands alone, without the parentheses that a term needs: 1/x."""
        is_wrapped = self.name.startswith("(") and not self.is_plain
        return self.name[1:-1] if is_wrapped else self.name

    def values(self, x):
        """x (N,)  ->  z (N,), nan or infinite where the function has no value."""
        if self.words:
            return np.where(x >= 0, (x + self.shift == 0) * 1.0, np.nan)
        with np.errstate(all="ignore"):
            return FUNCTIONS[self.kind](x + self.shift if self.shift else x)

    def slopes(self, x):
        """dz/dx (N,); 0 of levels, which have none"""
        if self.words:
            return np.zeros_like(x)
        with np.errstate(all="ignore"):
            return SLOPES[self.kind](x + self.shift)

    def inverse(self, z):
        """z (N,)  ->  x (N,), nan where no x has that z; of a square the x of the data's sign."""
        if self.is_plain or self.words:
            return z
        with np.errstate(all="ignore"):
            z = np.where(z < LEAST.get(self.kind, -np.inf), np.nan, z)
            return self.sign * BACK[self.kind](z) - self.shift

    def inverse_bounds(self, low, high):
        """Bounds of the x whose z is from low to high, (N,) each; nan where there is no such x.

        Where 1/x passes 0 they are infinite: the x are those beyond both ends.
        """
        if self.is_plain:
            return low, high
        least = LEAST.get(self.kind, -np.inf)
        low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
        nowhere = np.isnan(low) | np.isnan(high) | (high < least)
        if self.kind == "reciprocal":
            passes = (low < 0) & (high > 0)
            low, high = low + 0.0, np.where((low < 0) & (high == 0), -0.0, high)  # 1/-0.0 is -inf
        with np.errstate(all="ignore"):
            ends = [self.sign * BACK[self.kind](np.maximum(z, least)) for z in (low, high)]
        lower, upper = np.minimum(*ends), np.maximum(*ends)
        if self.kind == "reciprocal":
            lower, upper = np.where(passes, -np.inf, lower), np.where(passes, np.inf, upper)
        return tuple(np.where(nowhere, np.nan, end - self.shift) for end in (lower, upper))

    @property
    def has_inverse(self) -> bool:
        """Whether one x has a z: of a square, where the data are on one side of 0."""
        if self.kind != "square" or self.low is None or self.high is None:
            return True
        return self.low >= -self.shift or self.high <= -self.shift

    @property
    def has_pole(self) -> bool:
        """Whether it is infinite at a place inside the range of the data."""
        if self.kind != "reciprocal" or self.low is None or self.high is None:
            return False
        return self.low < -self.shift < self.high

    @property
    def is_monotone(self) -> bool:
        """Whether it rises, or falls, over the range of the data."""
        return self.has_inverse and not self.has_pole

    @property
    def is_falling(self) -> bool:
        return self.kind == "reciprocal" or self.sign < 0

    def need(self, x) -> str:
        """Why the function has no value at x, in words."""
        inside = f"{self.column}{self.shift:+.15g}" if self.shift else self.column
        is_outside, needed = NEEDS.get(self.kind, NOTHING)
        if is_outside(x + self.shift):
            return f"{self.written} needs {inside} {needed}, and {self.column} is {x:.15g}"
        return f"{self.written} leaves float64 where {self.column} is {x:.15g}"

    @property
    def sign(self) -> float:
        """-1 of the square of a column that has no x + shift above 0."""
        is_negative = self.kind == "square" and self.high is not None and self.high < -self.shift
        return -1.0 if is_negative else 1.0

    def to_dict(self) -> dict:
        """What a document holds of it; `Variable(**document)` reads it back."""
        found = asdict(self)
        if not self.words:
            del found["words"], found["place"]
        return found


def columns_of(variables) -> list[str]:
    """The columns that variables are functions of, each once, in order."""
    return list(dict.fromkeys(v.column for v in variables))


def values_of(variables, columns) -> np.ndarray:
    """Variables of the columns, which are given by name, (N,) each  ->  (N, D)"""
    return np.stack([v.values(columns[v.column]) for v in variables], axis=1)


def words_of(variables) -> dict[str, tuple[str, ...]]:
    """The columns of words, and their levels, the base first."""
    return {v.column: v.words for v in variables if v.words}


def require_values(variables, columns) -> None:
    """Raise ValueError with the first number of a column for which a function has no value."""
    for variable in (v for v in variables if not (v.is_plain or v.words)):
        x = columns[variable.column]
        lost = np.isfinite(x) & ~np.isfinite(variable.values(x))
        if lost.any():
            row = int(lost.argmax())
            raise ValueError(f"column {variable.column!r}, row {row + 1}: {variable.need(x[row])}")
