"""Linear algebra on Python integers: fixed point with POINT bits behind it.

Enough bits that nothing a fit can meet cancels them: pivots down to 2^-88 of their column leave
over 200 correct bits in an inverse.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

POINT = 512


def fixed(values: Sequence[Fraction]) -> np.ndarray:
    """(K,) Python integers; rounded down to the last bit."""
    found = np.empty(len(values), dtype=object)
    found[:] = [(v.numerator << POINT) // v.denominator for v in values]
    return found


def identity(size: int) -> np.ndarray:
    result = np.zeros((size, size), dtype=object)
    result[range(size), range(size)] = 1 << POINT
    return result


def product(a: np.ndarray, b: np.ndarray) -> Any:
    """Of matrices and vectors, as @; of two vectors a Python integer."""
    return (a @ b) >> POINT


def rational(value: int) -> Fraction:
    return Fraction(int(value), 1 << POINT)


def to_float(values: np.ndarray) -> np.ndarray:
    """Each rounded once, whatever its size."""
    return np.array([float(rational(v)) for v in values.ravel()]).reshape(values.shape)


def root(value: Fraction) -> float:
    """The square root of a rational, correct to the last bit or so; no overflow on the way."""
    bits = 2 * max(0, 64 + (value.denominator.bit_length() - value.numerator.bit_length()) // 2)
    whole = math.isqrt((value.numerator << bits) // value.denominator)
    return float(Fraction(whole, 1 << (bits // 2)))


def eliminate(
    matrix: np.ndarray, right: np.ndarray, bits: int, least: int = 0
) -> tuple[list[int], np.ndarray]:
    """Gauss-Jordan on a symmetric positive semidefinite matrix (K, K), first rows first.

    A row whose pivot is below 2^-bits of its diagonal, or not above `least`, depends on the rows
    before it and is passed over. Returned are the other rows, `kept`, and [matrix | right]
    (K, K + M) after it all, where row kept[i] holds matrix[kept, kept]^-1 of every column.
    """
    both = np.concatenate([matrix, right], axis=1)
    bounds = [max(least, d >> bits) for d in np.diag(matrix)]
    kept = []
    for j in range(len(matrix)):
        if both[j, j] <= bounds[j]:
            continue
        kept.append(j)
        row = (both[j] << POINT) // both[j, j]
        factor = both[:, j].copy()
        factor[j] = 0
        both -= (factor[:, None] * row) >> POINT
        both[j] = row
    return kept, both


def minimum_norm(
    matrix: np.ndarray, right: np.ndarray, bits: int, least: int = 0
) -> tuple[np.ndarray, np.ndarray, dict[int, dict[int, Fraction]]]:
    """The solution (K,) of least norm, the pseudoinverse (K, K), and what depends on what.

    The third is {row: {kept row: factor}}: a dependent row is that combination of the others; it is
    empty where the matrix has full rank.
    """
    size = len(matrix)
    kept, both = eliminate(
        matrix, np.concatenate([right[:, None], identity(size)], axis=1), bits, least
    )
    if len(kept) == size:
        return both[:, size], both[:, size + 1 :], {}
    # In the range of the matrix, x = D u with D = matrix[:, kept]; then D^T D u = right[kept].
    basis = matrix[:, kept]
    square = product(basis.T, basis)
    _, solved = eliminate(square, np.concatenate([right[kept, None], identity(len(kept))], 1), 400)
    map_back = product(basis, solved[:, len(kept) + 1 :])
    inverse = product(product(map_back, matrix[np.ix_(kept, kept)]), map_back.T)
    dependent = {
        j: {k: rational(both[k, j]) for k in kept if k < j} for j in range(size) if j not in kept
    }
    return product(basis, solved[:, len(kept)]), inverse, dependent
