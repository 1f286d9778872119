"""Gauss-Jordan elimination of rational rows, exactly; its pivots are the largest entries.

[A | b | 1] in integers, without fractions (Bareiss 1968): all entries have the last pivot for their
denominator, and the division by the one before leaves no rest. Which entry is the largest is
looked up in a copy in float64, which is eliminated beside it: only what it takes for 0 is looked at
again.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from polyreg.errors import Refused

MOST_WORK = 500_000  # of an elimination: 5 s, and of degree 40 about as long
DOUBTFUL = 1e-9  # part of its row, below which float64 does not tell a pivot from 0

Row = dict[int, Fraction]  # {column: entry}


class Contradiction(Exception):
    """Rows that add up to 0 = 1: `rows`, their places."""

    def __init__(self, rows: list[int]):
        super().__init__(rows)
        self.rows = rows


def reduced(
    size: int, rows: Sequence[Row], values: Sequence[Fraction] | None = None
) -> tuple[dict[int, Row], list[Fraction]]:
    """The rows A x = b solved for some x: {pivot: its row without the pivot}, and values.

        x_pivot = value - sum_t row[t] x_t

    size: number of x; values: b, without which it is 0. Rows that follow from others are dropped.
    Raises Contradiction, and Refused where it would take too long.
    """
    count = len(rows)
    if count**2 * (size + count) > MOST_WORK:
        raise Refused(
            f"{count} exact conditions on {size} terms take too long (each term that divides one "
            "of --terms, and is none, is a condition); name lower terms"
        )
    both = _in_integers(size, rows, values)
    sizes = [max(map(abs, row[:size]), default=0) or 1 for row in both.tolist()]
    near = np.array(
        [[a / s for a in row[:size]] for row, s in zip(both.tolist(), sizes, strict=True)]
    )
    left, found, before = [*range(count)], {}, 1
    while left:
        k, t = np.unravel_index(np.abs(near[left]).argmax(), near[left].shape)
        k = left[int(k)]
        if abs(near[k, t]) < DOUBTFUL:  # what is it really?
            exactly = [
                [abs(both[j, i]) / (sizes[j] * abs(before)) for i in range(size)] for j in left
            ]
            near[left] = exactly
            if not near[left].any():
                break
            k, t = np.unravel_index(near[left].argmax(), near[left].shape)
            k = left[int(k)]
        pivot, others = both[k, t], np.arange(count) != k
        both[others] = (both[others] * pivot - both[others, t, None] * both[k]) // before
        near[others] -= near[others, t, None] * near[k] / near[k, t]
        near[others, t], before = 0.0, pivot
        found[int(t)] = k
        left.remove(k)
    if values is not None:
        for k in left:
            if both[k, size]:
                raise Contradiction(np.flatnonzero(both[k, size + 1 :]).tolist())
    solved = {
        t: {int(j): Fraction(both[k, j], before) for j in np.flatnonzero(both[k, :size]) if j != t}
        for t, k in found.items()
    }
    return solved, [] if values is None else [
        Fraction(both[k, size], before) for k in found.values()
    ]


def _in_integers(size: int, rows: Sequence[Row], values: Sequence[Fraction] | None) -> np.ndarray:
    """[A | b | 1] (R, size + 1 + R), or A; each row times a number of its own."""
    count = len(rows)
    both = np.zeros((count, size if values is None else size + 1 + count), dtype=object)
    for k, row in enumerate(rows):
        value = Fraction(0) if values is None else values[k]
        below = math.lcm(value.denominator, *(c.denominator for c in row.values()))
        for t, c in row.items():
            both[k, t] = c.numerator * (below // c.denominator)
        if values is not None:
            both[k, size] = value.numerator * (below // value.denominator)
            both[k, size + 1 + k] = 1
    return both
