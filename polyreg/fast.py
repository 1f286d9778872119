"""The answer from float64 sums about a pilot: a step of refinement, by Cholesky."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from polyreg import normal
from polyreg.design import Design, floats, times
from polyreg.normal import Normal
from polyreg.solution import EXACT_FIT, Solution

ERROR = 2.0**-52  # of a term, a residual and their sums, relative; it grows with the degree
# Without a constant, what cancels it errs too: up to 25 times more in 28,000 random tables.
LIFTED = 64


def solution(
    sums: Normal, design: Design, ridge: float = 0.0, constants: Sequence[Fraction] | None = None
) -> Solution:
    """The least-squares polynomial in the first terms of `sums`, those of `design`.

    With `constants` (K,), among those that are 0 at 0. Raises NearlySingular.
    """
    size = len(design.exponents)
    scaled = None if constants is None else unit_scaled(constants)
    solved = normal.solve(sums, size, ridge, scaled)
    weights = [Fraction(c) + Fraction(s) for c, s in zip(solved.centre, solved.step, strict=True)]
    if constants is not None and scaled is not None:  # exactly
        pivot, _ = normal.without_constant(scaled)
        rest = sum((c * w for c, w in zip(constants, weights, strict=True)), start=Fraction(0))
        weights[pivot] -= rest / constants[pivot]
    # Terms err by rounding of what they may be at most, 1/2, not of what they are on these rows.
    length, square = math.sqrt(sums.mass) / 2, max(0.0, sums.total(False))
    sizes = math.sqrt(square) + np.abs(solved.weights).sum() * length
    inverse = solved.root.T @ solved.root
    rows, largest = design.powers.scaled()
    error = ERROR * (1 + design.degree) * length * (1 if constants is None else LIFTED)
    errors = np.abs(rows) @ np.abs(inverse).sum(1) * error
    return Solution(
        weights=floats(weights),
        coefficients=floats(design.powers.coefficients(weights)),
        inverse=inverse,
        spread=times(np.linalg.norm(rows @ solved.root.T, axis=1), largest),
        errors=times(errors * sizes, largest),
        rss=solved.rss,
        tss=sums.total(intercept=constants is None),
        rank=len(solved.root),
        condition=solved.condition,
        exact_fit=solved.rss <= EXACT_FIT * square,
    )


def unit_scaled(constants: Sequence[Fraction]) -> np.ndarray:
    """(K,) float64, divided by the largest, which float64 might not hold."""
    largest = max(map(abs, constants))
    return floats([c / largest for c in constants])
