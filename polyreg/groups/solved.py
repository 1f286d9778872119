"""Fits of many groups as arrays, and what makes them of triangular factors."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from polyreg.compiling import compiled
from polyreg.groups import solving
from polyreg.groups.sums import LEAST_GROUPS, Factors, in_parts
from polyreg.polynomials.solution import EXACT_FIT


@dataclass(frozen=True, eq=False)
class Solved:
    """Fits of G groups in one variable as arrays; degrees (G,), -1 where there is none.

    weights (G, P) and inverse (G, P, P) are of the basis; coefficients, spread and errors (G, P) of
    powers of x, the constant first; rss, tss, base, low, high, log_weights, count (G,); leverage
    (G,): the sum of the rows' own, the number of terms where the rows alone made the fit
    """

    no_intercept: bool  # an intercept
    degrees: np.ndarray
    count: np.ndarray
    low: np.ndarray
    high: np.ndarray
    base: np.ndarray
    log_weights: np.ndarray
    weights: np.ndarray
    inverse: np.ndarray
    coefficients: np.ndarray
    spread: np.ndarray
    errors: np.ndarray
    rss: np.ndarray
    tss: np.ndarray
    leverage: np.ndarray
    is_certified: bool = False  # in integers

    @property
    def terms(self) -> np.ndarray:
        """How many each group has (G,)."""
        return np.where(self.degrees < 0, 0, self.degrees + (0 if self.no_intercept else 1))

    @cached_property
    def is_exact(self) -> np.ndarray:
        """Whether what is left of y is its own rounding (G,)."""
        with np.errstate(over="ignore", invalid="ignore"):  # of groups refused for their size
            size = self.count * np.maximum(np.abs(self.base), 1e-300) ** 2 + self.tss
            return self.rss <= EXACT_FIT * size


ARRAYS = tuple(f.name for f in fields(Solved) if f.name not in ("no_intercept", "is_certified"))


def solved_groups(factors: Factors, degrees: np.ndarray) -> tuple[Solved, np.ndarray]:
    """Coefficients and errors of all groups, and the ranks (G,)."""
    groups, most = len(degrees), factors.width - 1
    free = most + (1 if factors.no_intercept else 0)
    weights, inverse = np.zeros((groups, free)), np.zeros((groups, free, free))
    coefficients, spread, errors = np.zeros((3, groups, free))
    sums, ranks = np.zeros((groups, 2)), np.zeros(groups, np.int64)
    solve = compiled(solving.solve) or solving.solve
    arrays = (factors.low, factors.high, factors.base, factors.factors)
    found = (weights, inverse, coefficients, spread, errors, sums, ranks)

    def part(first: int, last: int) -> None:
        solve(first, last, degrees, factors.no_intercept, *arrays, *found)

    in_parts(part, np.arange(groups + 1), groups >= LEAST_GROUPS)
    solved = Solved(
        no_intercept=factors.no_intercept,
        degrees=degrees.copy(),
        count=factors.count,
        low=factors.low,
        high=factors.high,
        base=factors.base,
        log_weights=factors.log_weights,
        weights=weights,
        inverse=inverse,
        coefficients=coefficients,
        spread=spread,
        errors=errors,
        rss=sums[:, 0],
        tss=sums[:, 1],
        leverage=ranks.astype(float),
    )
    return solved, ranks
