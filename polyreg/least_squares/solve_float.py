"""Normal equations in float64: for selection, and about a pilot for fits with precision fast."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from polyreg.errors import NearlySingular
from polyreg.least_squares import solve_float
from polyreg.least_squares.conditions.affine import Affine, held
from polyreg.polynomials.design import Design, floats, times
from polyreg.polynomials.solution import EXACT_FIT, Solution

FLAT = 1e-10  # eigenvalue of the scaled Gram matrix that float64 cannot safely tell from 0


@dataclass(frozen=True)
class Normal:
    """Sums over w q q^T, w q r and w r^2, r = y - q . centre; of many tables where stacked."""

    gram: np.ndarray  # (K, K)
    right: np.ndarray  # (K,)
    rss: Any
    centre: np.ndarray  # (K,)

    @classmethod
    def of(cls, gram: np.ndarray, centre: np.ndarray) -> "Normal":
        """From the whole matrix of the sums, (K + 1, K + 1)."""
        return cls(gram[:-1, :-1], gram[:-1, -1], float(gram[-1, -1]), centre)

    @classmethod
    def stacked(cls, several: Sequence["Normal"]) -> "Normal":
        """Those of many tables, about one centre."""
        grams, rights, rss = ([getattr(n, f) for n in several] for f in ("gram", "right", "rss"))
        return cls(np.stack(grams), np.stack(rights), np.array(rss), several[0].centre)

    @property
    def mass(self) -> Any:
        """The sum of the weights; the constant term is 1/2."""
        return 4 * self.gram[..., 0, 0]

    def about(self, centre: np.ndarray) -> "Normal":
        step = self.centre - centre
        moved = _times(self.gram, step)
        rss = self.rss + (step * (2 * self.right + moved)).sum(-1)
        return Normal(self.gram, self.right + moved, rss, centre)

    def variances(self) -> np.ndarray:
        """Of each term over the rows (K,): what ridge multiplies; 0 for the constant."""
        mass = np.asarray(self.mass)[..., None]
        means = 2 * self.gram[..., 0, :] / mass
        return _diagonal(self.gram) / mass - means**2

    def total(self, intercept: bool) -> float:
        """Sum of squares of y, about its mean where there is an intercept."""
        centre = np.zeros_like(self.centre)
        if not intercept:
            return float(self.about(centre).rss)
        centre[0] = self.centre[0]
        about = self.about(centre)
        return float(about.rss - about.right[0] / about.gram[0, 0] * about.right[0])


def _times(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Of each table: (..., K, K) (..., K)  ->  (..., K)"""
    return (matrix @ vector[..., None])[..., 0]


def _diagonal(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


@dataclass(frozen=True)
class Solved:
    """centre + step minimise the sum of squares; root^T root is the inverse Gram matrix."""

    centre: np.ndarray  # (K,)
    step: np.ndarray  # (K,)
    root: np.ndarray  # (rank, K)
    rss: Any
    condition: Any

    @property
    def weights(self) -> np.ndarray:
        return self.centre + self.step


def solve(
    normal: Normal, size: int, ridge: float = 0.0, conditions: Affine | None = None
) -> Solved:
    """The optimum in the first `size` terms, by Cholesky of the Gram matrix at unit diagonal.

    With `conditions`, among the weights that meet them, to rounding. Minimises
    rss + ridge sum_t variance_t weight_t^2. Of many tables at once where `normal` is stacked.
    Raises NearlySingular, for one table of many too.
    """
    if not (np.isfinite(normal.gram).all() and np.isfinite(normal.right).all()):
        raise NearlySingular
    centre = np.zeros_like(normal.centre)
    centre[:size] = normal.centre[:size]
    lift = None
    if conditions is not None:
        lift = conditions.lift
        centre[:size] = conditions.nearest(centre[:size])
    about = normal.about(centre)
    gram, right, centre = about.gram[..., :size, :size], about.right[..., :size], centre[:size]
    penalty = ridge * about.variances()[..., :size]
    full, goal = gram + penalty[..., None] * np.eye(size), right - penalty * centre
    diagonal = cancelled = _diagonal(full)
    if lift is not None:
        # What the lift cancels counts as well: its rounding is that of the larger numbers.
        cancelled = _diagonal(abs(lift).T @ abs(full) @ abs(lift))
        full, goal = lift.T @ full @ lift, goal @ lift
        diagonal = _diagonal(full)
    if not ((diagonal > 0).all() and (diagonal > FLAT * cancelled).all()):
        raise NearlySingular
    scale = 1 / np.sqrt(diagonal)
    scaled = full * scale[..., :, None] * scale[..., None, :]
    values = np.linalg.eigvalsh(scaled)
    if (values[..., 0] < FLAT * (cancelled / diagonal).max(-1)).any():
        raise NearlySingular
    lower = np.linalg.cholesky(scaled)
    root = np.linalg.inv(lower) * scale[..., None, :]
    step = _times(root.swapaxes(-1, -2), _times(root, goal))
    if lift is not None:
        step, root = step @ lift.T, root @ lift.T
    rss = about.rss - (step * (2 * right - _times(gram, step))).sum(-1)
    condition = np.sqrt(values[..., -1] / values[..., 0])
    return Solved(centre, step, root, np.maximum(rss, 0.0), condition)


ERROR = 2.0**-52  # of a term, a residual and their sums, relative; it grows with the degree
# With conditions, weights that follow err too: without a constant up to 25 times more in 28,000
# random tables.
LIFTED = 64


def solution(
    sums: Normal, design: Design, ridge: float = 0.0, conditions: Affine | None = None
) -> Solution:
    """The least-squares polynomial in the first terms of `sums`, those of `design`.

    With `conditions`, among those that meet them, exactly. Raises NearlySingular.
    """
    size = len(design.exponents)
    solved = solve_float.solve(sums, size, ridge, conditions)
    weights = [Fraction(c) + Fraction(s) for c, s in zip(solved.centre, solved.step, strict=True)]
    if conditions is not None:
        weights = conditions.exactly(weights)
    # Terms err by rounding of what they may be at most, 1/2, not of what they are on these rows.
    length, square = math.sqrt(sums.mass) / 2, max(0.0, sums.total(False))
    sizes = math.sqrt(square) + np.abs(solved.weights).sum() * length
    inverse = solved.root.T @ solved.root
    rows, largest = design.powers.scaled()
    error = ERROR * (1 + design.depth) * length * (1 if conditions is None else LIFTED)
    root, moved = solved.root, inverse
    if conditions is not None and conditions.moves is not None:
        rows, largest = conditions.moves
        root = root[:, conditions.free]
        moved = inverse[list(conditions.free)]
    errors = np.abs(rows) @ np.abs(moved).sum(1) * error
    spread = np.linalg.norm(rows @ root.T, axis=1)
    errors[[] if conditions is None else conditions.known] = 0.0
    spread[[] if conditions is None else conditions.known] = 0.0
    return Solution(
        weights=floats(weights),
        coefficients=floats(design.powers.coefficients(weights)),
        inverse=inverse,
        spread=times(spread, largest),
        errors=times(errors * sizes, largest),
        rss=float(solved.rss),
        tss=sums.total(conditions is None or conditions.is_centred),
        rank=len(solved.root),
        condition=float(solved.condition),
        exact_fit=bool(solved.rss <= EXACT_FIT * square),
        **held(conditions),
    )
