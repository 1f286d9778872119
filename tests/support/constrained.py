"""Least squares under exact conditions, in rationals, by the Lagrange multipliers' equations.

    min over c of sum w (y - sum_k c_k prod_d x_d^e_kd)^2 with A c = b:

    [ X^T W X   A^T ] [ c ]   [ X^T W y ]
    [ A          0  ] [ m ] = [ b       ]

The inverse's leading block is the covariance for unit variance. It shares no code with polyreg.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.support.oracle import root


class Undetermined(ValueError):
    """The equations have no unique solution."""


@dataclass(frozen=True)
class Constrained:
    coefficients: list[Fraction]
    unscaled: list[list[Fraction]]
    rss: Fraction
    freedom: int

    @property
    def std_errors(self) -> list[float]:
        scale = self.rss / self.freedom
        return [root(max(Fraction(0), scale * row[k])) for k, row in enumerate(self.unscaled)]


def constrained(
    columns: Sequence[Sequence],
    y: Sequence,
    exponents: Sequence[tuple[int, ...]],
    conditions: Sequence[tuple[Sequence[Fraction], Fraction]],
    weights: Sequence | None = None,
) -> Constrained:
    """columns D of N; conditions: (row of A, value of b), independent of each other."""
    xs = list(zip(*([Fraction(v) for v in column] for column in columns), strict=True))
    ys = [Fraction(v) for v in y]
    ws = [Fraction(1)] * len(ys) if weights is None else [Fraction(w) for w in weights]
    rows = [[monomial(x, e) for e in exponents] for x in xs]
    size, more = len(exponents), len(conditions)
    gram = [
        [sum(w * r[i] * r[j] for w, r in zip(ws, rows, strict=True)) for j in range(size)]
        for i in range(size)
    ]
    right = [sum(w * r[i] * v for w, r, v in zip(ws, rows, ys, strict=True)) for i in range(size)]
    system = [gram[i] + [a[i] for a, _ in conditions] for i in range(size)]
    system += [[*a, *[Fraction(0)] * more] for a, _ in conditions]
    inverse = inverted(system)
    goal = right + [b for _, b in conditions]
    found = [sum(c * g for c, g in zip(row, goal, strict=True)) for row in inverse[:size]]
    left = [
        v - sum(c * t for c, t in zip(found, r, strict=True)) for r, v in zip(rows, ys, strict=True)
    ]
    rss = sum(w * e * e for w, e in zip(ws, left, strict=True))
    return Constrained(found, [row[:size] for row in inverse[:size]], rss, len(ys) - size + more)


def monomial(x: Sequence[Fraction], e: Sequence[int]) -> Fraction:
    return math.prod((v**p for v, p in zip(x, e, strict=True)), start=Fraction(1))


def slope(x: Fraction, power: int) -> Fraction:
    """Derivative of x^power."""
    return power * x ** (power - 1) if power else Fraction(0)


def inverted(matrix: Sequence[Sequence[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan. Raises Undetermined where there is none."""
    size = len(matrix)
    both = [[*row, *(Fraction(int(i == k)) for i in range(size))] for k, row in enumerate(matrix)]
    for k in range(size):
        pivot = next((i for i in range(k, size) if both[i][k]), None)
        if pivot is None:
            raise Undetermined
        both[k], both[pivot] = both[pivot], both[k]
        both[k] = [v / both[k][k] for v in both[k]]
        for i in range(size):
            if i != k and both[i][k]:
                factor = both[i][k]
                both[i] = [a - factor * b for a, b in zip(both[i], both[k], strict=True)]
    return [row[size:] for row in both]
