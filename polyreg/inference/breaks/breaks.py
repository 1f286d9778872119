"""Poles and gaps of y over its column x, where functions of them were fitted: h(y) = p(f(x)).

1/y has a pole of y where p is 0; sqrt(y), square(y) and exp(y) have no y where p is below 0. The
roots of p are counted exactly, as its turning points are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from polyreg.inference.inversion import REACH
from polyreg.inference.monotone import roots, value
from polyreg.inference.monotone import turning_points as turns


@dataclass(frozen=True)
class Breaks:
    """Of a fit in one variable, inside the range of its column, in order.

    poles: the x where the target's function is 0, and y has a pole
    of_x: the x where the variable itself has a pole, as 1/x at 0
    lost: the x from low to high where no y has what was fitted: there is no prediction
    """

    poles: tuple[float, ...] = ()
    of_x: tuple[float, ...] = ()
    lost: tuple[tuple[float, float], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.poles or self.of_x or self.lost)

    @property
    def ends(self) -> list[float]:
        """Every x at which the curve breaks off."""
        return sorted({*self.poles, *self.of_x, *(x for pair in self.lost for x in pair)})


def breaks(result: Any) -> Breaks:
    """Where y breaks off in the range of x; none of several variables, or without functions."""
    if len(result.variables) > 1 or not result.is_transformed:
        return Breaks()
    [(low, high)] = result.ranges.values()
    if not low < high:
        return Breaks()
    variable = result.inputs[0] if result.inputs else None
    of_x = () if variable is None or not variable.has_pole else (0.0 - variable.shift,)
    outcome = result.outcome
    if outcome is None or not (outcome.kind == "reciprocal" or outcome.least == 0):
        return Breaks(of_x=of_x)
    found = at_columns(result, roots)
    if outcome.kind == "reciprocal":
        return Breaks(tuple(found), of_x)
    lost: list[tuple[float, float]] = []
    for a, b in pairwise([low, *sorted({*found, *of_x}), high]):
        z = (a + b) / 2 if variable is None else float(variable.values(np.array((a + b) / 2)))
        if a < b and value(exact_powers(result), Fraction(z)) < 0:
            start = lost.pop()[0] if lost and lost[-1][1] == a else a
            lost.append((start, b))
    return Breaks((), of_x, tuple(lost))


def turning_points(result: Any) -> np.ndarray:
    """The x where y turns in its range, by the columns; raises PolyregError of several variables.

    Not where there is no y. The square of a column turns at 0, too.
    """
    if not result.pieces:
        return np.empty(0)
    variable = result.inputs[0] if result.inputs else None
    if variable is None or variable.is_monotone:
        found = in_columns(result, [piece.high for piece in result.pieces[:-1]])
    else:
        found = at_columns(result, turns)
    if variable and variable.kind == "square" and not variable.has_inverse:
        found = sorted({*found, 0.0 - variable.shift})
    lost = result.breaks.lost
    return np.array([x for x in found if not any(a <= x <= b for a, b in lost)])


def exact_powers(result: Any) -> list[Fraction]:
    """Coefficients of the powers of the variable, constant first, of what float64 evaluates."""
    weights = [Fraction(w) for w in result.weights.tolist()]
    found: list[Fraction] = result.design.powers.coefficients(weights)
    return found


def at_columns(
    result: Any, search: Callable[[Sequence[Fraction], float, float], list[float]]
) -> list[float]:
    """The x in the column's range at the places that a search of the polynomial finds, in order.

    Where the variable does not rise or fall throughout, as 1/x on both sides of 0, it comes beyond
    the values that it has in the data: up to REACH of their ranges are searched.
    """
    low, high = float(result.low[0]), float(result.high[0])
    if not result.inputs or result.inputs[0].is_monotone:
        return in_columns(result, search(exact_powers(result), low, high))
    [variable] = result.inputs
    reach = REACH * (high - low)
    x = in_columns(result, search(exact_powers(result), low - reach, high + reach))
    if not variable.has_inverse:  # of a square the other side of 0
        x += [-2 * variable.shift - v for v in x]
    return sorted({v for v in x if variable.low < v < variable.high})


def in_columns(result: Any, z: list[float]) -> list[float]:
    """The x of the column, in order, at values z of the variable."""
    return sorted(result.inputs[0].inverse(np.array(z)).tolist()) if result.inputs else z
