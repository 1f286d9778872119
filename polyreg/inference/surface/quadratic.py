"""Polynomial of degree 2 in coded units of the data's range, with the covariance of its gradient.

With t = (x - centre) / half, so that |t| <= 1 on the data,

    p = a + b.t + t.B t        gradient  d(t) = b + 2 B t

Powers of x itself would cancel where x is far from 0, as years are. The change from the basis that
did the work to powers of t does not: it is exact, and its numbers are small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from polyreg.polynomials.design import Powers, floats
from polyreg.polynomials.terms import Exponents

EPS = 2.0**-50  # of the largest eigenvalue: less is rounding


@dataclass(frozen=True, eq=False)
class Quadratic:
    """a + b.t + t.B t, in D variables and K terms; it knows how uncertain it is."""

    centre: np.ndarray  # (D,) of the data's range
    half: np.ndarray  # (D,) its half width
    constant: float
    linear: np.ndarray  # b (D,)
    matrix: np.ndarray  # B (D, D), symmetric
    rounding: float  # of an eigenvalue of B: as much can be arithmetic's
    change: np.ndarray  # (K, K) from weights of the basis to coefficients of powers of t
    inverse: np.ndarray  # (K, K) covariance of the weights, over scale^2
    scale: float  # nan where errors are not known
    singles: np.ndarray  # (D,) places of the t_d among the terms
    pairs: tuple[tuple[int, int, int], ...]  # (j, k, place) of each t_j t_k, j <= k

    @classmethod
    def of(cls, result: Any) -> "Quadratic":
        """The polynomial of a result of degree 2, in its numbers: of words at their base levels."""
        numeric = result.design.numeric
        low, high = result.low[numeric], result.high[numeric]
        half, centre = high / 2 - low / 2, low / 2 + high / 2
        windows = [(0.0, 1.0)] * len(result.low)
        for d, *window in zip(numeric, centre.tolist(), half.tolist(), strict=True):
            windows[d] = (window[0], window[1])
        powers = Powers(result.design, windows)
        found = floats(powers.coefficients([Fraction(w) for w in result.solution.weights.tolist()]))
        singles, pairs = _places(result.design.exponents, numeric)
        size, matrix = len(half), np.zeros((len(half),) * 2)
        errors = np.nan_to_num(result.solution.errors, nan=0.0, posinf=0.0)
        rounding = 0.0
        for j, k, at in pairs:
            matrix[j, k] += found[at] / 2
            matrix[k, j] += found[at] / 2
            # The quadratic coefficients of x are those of t, but for this factor.
            rounding += errors[at] * half[j] * half[k]
        dense, largest = powers.scaled()
        return cls(
            centre=centre,
            half=half,
            constant=float(found[0]),
            linear=found[singles],
            matrix=matrix,
            rounding=rounding + EPS * size * float(np.abs(matrix).max()),
            change=dense * floats(largest)[:, None],
            inverse=result.solution.inverse,
            scale=result.error_scale if result.has_errors else np.nan,
            singles=singles,
            pairs=pairs,
        )

    def coded(self, x: np.ndarray) -> np.ndarray:
        """t of x (N, D)."""
        return (x - self.centre) / self.half

    def gradient(self, t: np.ndarray) -> np.ndarray:
        """d at t (N, D)  ->  (N, D)"""
        return self.linear + 2 * t @ self.matrix

    def covariance(self, t: np.ndarray) -> np.ndarray:
        """Covariance of d at t (N, D)  ->  V (N, D, D), over scale^2."""
        count, size = t.shape
        # d is linear in the coefficients: row d of it is the derivative of each t^e by t_d.
        rows = np.zeros((count, size, len(self.change)))
        rows[:, range(size), self.singles] = 1.0
        for j, k, at in self.pairs:
            rows[:, j, at] += t[:, k]
            rows[:, k, at] += t[:, j]
        rows = rows @ self.change
        return rows @ self.inverse @ rows.swapaxes(1, 2)

    def curvature_errors(self, vectors: np.ndarray) -> np.ndarray:
        """Standard errors of v.B v, v the columns of vectors (D, M)  ->  (M,)"""
        rows = np.zeros((vectors.shape[1], len(self.change)))
        for j, k, at in self.pairs:
            rows[:, at] = vectors[j] * vectors[k]
        rows = rows @ self.change
        return self.scale * np.sqrt(np.maximum(((rows @ self.inverse) * rows).sum(1), 0))


def _places(
    exponents: Sequence[Exponents], numeric: Sequence[int]
) -> tuple[np.ndarray, tuple[tuple[int, int, int], ...]]:
    """Where the terms t_d are, and the t_j t_k, d, j and k counted among the numbers."""
    singles, pairs = [], []
    for at, e in enumerate(exponents):
        powers = [e[d] for d in numeric]
        if sum(powers) < sum(e):  # of a level
            continue
        variables = [d for d, power in enumerate(powers) for _ in range(power)]
        if len(variables) == 1:
            singles.append((variables[0], at))
        if len(variables) == 2:
            pairs.append((variables[0], variables[1], at))
    return np.array([at for _, at in sorted(singles)]), tuple(pairs)
