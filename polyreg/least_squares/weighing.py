"""Weights of rows that follow from x, or from the fit itself (iteratively reweighted)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.polynomials.design import Design
from polyreg.polynomials.predictor import weight_of
from polyreg.polynomials.result import Result
from polyreg.tables.decimals import inverse_power
from polyreg.tables.rows import Block, Survey

FLOOR = 1e-6  # of the largest |y|: fitted values below it count as this while the weights settle
SETTLED = 1e-13  # change of a coefficient in the basis, of the largest
MOST_PASSES = 100
GRID = 64  # points a degree, on which a polynomial is looked at between its rows
MARGIN = 0.9  # of its least value there, which holds between the points


class Weigher(Protocol):
    """Block -> the same rows with their weights; it travels pickled to whoever reads them."""

    @property
    def largest(self) -> float:
        """Bound of the weights."""
        ...

    def __call__(self, block: Block) -> Block: ...

    def surveyed(self, survey: Survey) -> Survey:
        """What the survey would have found, had the rows had these weights."""
        ...


@dataclass(frozen=True)
class OfX:
    """1/x or 1/x^2 of the only variable, to twice the digits of float64."""

    power: int
    least: float
    largest: float

    def __call__(self, block: Block) -> Block:
        low = (None, None) if block.low is None else block.low[:2]  # of x and y
        weights, rest = inverse_power(block.x[0], low[0], self.power)
        return block._replace(weights=weights, low=(*low, rest))

    def surveyed(self, survey: Survey) -> Survey:
        sample = self(survey.sample)
        return replace(survey, sample=sample, weight_size=self.largest, weight_low=self.least)


def of_x(config: FitConfig, names: Sequence[str], survey: Survey) -> OfX | None:
    """The weigher of a function of x; None where the weights are no such function.

    Raises Refused where there are several variables, or x is not of one sign.
    """
    function = config.weight_function
    if not function:
        return None
    if len(names) > 1:
        raise Refused(
            f"--weights {function} is of one variable, and there are {len(names)}: "
            f"{', '.join(names)}; name one of --features, or give a column of weights"
        )
    if "x" not in function:
        return None
    low, high = float(survey.low[0]), float(survey.high[0])
    power = 2 if function.endswith("^2") else 1
    if not (low > 0 or (power == 2 and high < 0)):
        way_out = "leave those rows out, or give a column of weights"
        raise Refused(
            f"--weights {function} needs {names[0]} above 0 in every row, and it runs from {low:g} "
            f"to {high:g}; {way_out}"
        )
    ends = sorted((abs(low), abs(high)))
    return OfX(power, ends[1] ** -float(power), ends[0] ** -float(power))


@dataclass(frozen=True)
class OfFit:
    """1/f(x) or 1/f(x)^2 of a polynomial f in one variable; f below `floor` counts as that."""

    function: str
    design: Design
    weights: np.ndarray
    floor: float
    largest: float

    def __call__(self, block: Block) -> Block:
        x = torch.from_numpy(np.stack(block.x, axis=1))
        fitted = np.maximum(self.design.matrix(x).numpy() @ self.weights, self.floor)
        exact = None if block.low is None else (*block.low[:2], None)
        return block._replace(weights=weight_of(self.function, fitted, fitted), low=exact)


def reweighted(problem: Any, solve: Callable[[Any], Result]) -> Result:
    """The fit whose weights are 1/f or 1/f^2 of its own polynomial f, by passes until they settle.

    Weights by the observed y would favour those that noise made small: at 10 % noise a bias as
    large as a standard error of 20 rows. Those of the fit do not (quasi-likelihood, Wedderburn
    1974).

    Raises Refused where f is not above 0 over the rows.
    """
    function = problem.config.weight_function
    found = solve(problem)
    floor = FLOOR * problem.y_unit
    for _ in range(MOST_PASSES):
        before = found
        least = max(MARGIN * least_value(found)[1], floor)
        bound = float(weight_of(function, np.array([least]), np.array([least]))[0])
        found = solve(problem.reweighed(OfFit(function, found.design, found.weights, floor, bound)))
        if settled(before, found):
            break
    else:
        note = f"the weights {function} of the fit had not settled after {MOST_PASSES} passes"
        found = replace(found, notes=(*found.notes, note))
    where, least = least_value(found)
    if least <= floor:
        raise Refused(
            f"--weights {function} needs a fit above 0 over the rows, and it is {least:.4g} at "
            f"{found.variables[0]} = {where:.6g}; change --degree, or give a column of weights"
        )
    return found


def settled(before: Result, after: Result) -> bool:
    """Whether two passes found the same polynomial."""
    if len(before.weights) != len(after.weights):
        return False
    change = np.abs(after.weights - before.weights).max()
    return bool(change <= SETTLED * np.abs(after.weights).max())


def least_value(result: Result) -> tuple[float, float]:
    """Where a polynomial in one variable is least over its rows, and its value there."""
    grid = np.linspace(result.low[0], result.high[0], GRID * (result.design.degree + 1))
    values = result.predict(grid)
    k = int(values.argmin())
    return float(grid[k]), float(values[k])
