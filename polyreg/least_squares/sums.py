"""Sums of a `fast` fit on a CPU in one compiled pass; its pieces stay in the first-level cache."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import torch

from polyreg.compiling import compiled
from polyreg.least_squares.gram import FastKernel, Kernel, Moments, moments
from polyreg.polynomials.design import Design
from polyreg.tables.rows import Block

ROWS = 2**16  # at once, by one thread
MOST_TERMS = 60  # from there on, matrix products by BLAS are about as fast
# Values of design matrices, rows times terms. To import numba and to load the code takes 0.7 s, in
# which torch sums some 2^28 more of them than the code does; fits below SMALL never wait for it.
SMALL, WORTH = 2**20, 2**28
_seen = 0  # by this process, in fits that are not small


def choose_compiled(rows: int, terms: int) -> bool:
    """Whether to sum a fit on a CPU, of so many rows and terms, by compiled code: where it pays.

    It does from the fit on with which this process comes to WORTH values. Torch's sums and the
    compiled ones agree to rounding.
    """
    global _seen
    if rows * terms < SMALL:
        return False
    _seen += rows * terms
    return terms <= MOST_TERMS and _seen >= WORTH


def values_seen() -> int:
    """Values of this process's fits so far that are not small."""
    return _seen


class CompiledKernel:
    """As FastKernel: Block -> Moments in float64, at most `rows` rows at once; by many threads."""

    rows = ROWS

    def __init__(self, design: Design, pilot: np.ndarray):
        """Raises ImportError where there is no numba."""
        found = compiled(add)
        if found is None:
            raise ImportError("numba")
        self.design, self._add, self.threads = design, found, torch.get_num_threads()
        steps = design.recurrences
        self._arguments = (
            np.array([r.centre for r in steps]),
            _rectangular([[s / r.radius for s in r.scales] for r in steps], 0.0),
            _rectangular(
                [[s * t for s, t in zip(r.scales, r.shifts, strict=True)] for r in steps], 0.0
            ),
            _rectangular([r.decays for r in steps], 0.0),
            _rectangular(design.pure, -1),
            np.array([factors or (-1, -1) for factors in design.factors]),
            pilot,
        )

    def __call__(self, rows: Block) -> Moments:
        assert rows.y is not None
        x = rows.x[0][None] if len(rows.x) == 1 else np.stack(rows.x)
        weights = np.empty(0) if rows.weights is None else rows.weights
        gram = np.empty((len(self.design.exponents) + 1,) * 2)
        self._add(_plain(x), _plain(rows.y), _plain(weights), *self._arguments, gram)
        return moments(rows, gram)


def _rectangular(rows: Sequence[Sequence], rest: float) -> np.ndarray:
    """Rows of different lengths, filled up with `rest`."""
    longest = max(map(len, rows))
    return np.array([[*row, *[rest] * (longest - len(row))] for row in rows])


def fast_kernel(
    design: Design, pilot: np.ndarray, device: str, count: int, is_compiled: bool
) -> Kernel:
    """For an expected `count` of rows; torch's, unless a compiled one is asked for, and can be."""
    if is_compiled and device == "cpu":
        with suppress(ImportError):
            return CompiledKernel(design, pilot)
    return FastKernel(design, pilot, device, count)


def _plain(array: np.ndarray) -> np.ndarray:
    """Contiguous and read-only: the function is compiled for one type of arrays alone."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


LANES = 64  # partial sums of each product, added in pairs at the end
STEP = 4 * LANES  # rows whose terms are in the cache together


def add(x, y, weights, centres, slopes, offsets, decays, places, factors, pilot, gram):
    """gram = sum w [q; r] [q; r]^T over the rows, r = y - q . pilot.

    x (D, n), y (n,), weights (n,) or (0,); centres (D,); slopes, offsets and decays (D, degree):
    q_{k+1} = (slope_k (x - centre) - offset_k) q_k - decay_k q_{k-1}; places (D, degree + 1) of
    these among the K terms, -1 above a variable's highest power; factors (K, 2) of a term, or -1;
    pilot (K,)  ->  gram (K + 1, K + 1)

    Each product has LANES partial sums: they make the error small, and the loops over them become
    vector instructions without leave to change the order of a sum, of any width with the same bits.
    """
    terms, rows = len(pilot), len(y)
    q = np.empty((terms + 1, STEP))
    weighted = np.empty((terms + 1, STEP)) if len(weights) else q
    z = np.empty(STEP)
    partial = np.zeros(((terms + 1) * (terms + 2) // 2, LANES))
    for start in range(0, rows, STEP):
        n = min(STEP, rows - start)
        q[0] = 0.5
        for d in range(len(x)):
            column = x[d, start : start + n]
            centre = centres[d]
            for r in range(n):
                z[r] = column[r] - centre
            for k in range(places.shape[1] - 1):
                if places[d, k + 1] < 0:
                    break
                slope, offset, decay = slopes[d, k], offsets[d, k], decays[d, k]
                here, above = q[places[d, k]], q[places[d, k + 1]]
                if k == 0:
                    for r in range(STEP):
                        above[r] = (slope * z[r] - offset) * here[r]
                else:
                    below = q[places[d, k - 1]]
                    for r in range(STEP):
                        above[r] = (slope * z[r] - offset) * here[r] - decay * below[r]
        for k in range(terms):
            if factors[k, 0] >= 0:
                product, a, b = q[k], q[factors[k, 0]], q[factors[k, 1]]
                for r in range(STEP):
                    product[r] = 2 * (a[r] * b[r])
        residual, target = q[terms], y[start : start + n]
        for r in range(n):
            residual[r] = target[r]
        for k in range(terms):
            a, weight = q[k], pilot[k]
            for r in range(STEP):
                residual[r] -= weight * a[r]
        q[:, n:] = 0  # the last piece is filled up with rows of zeros
        if len(weights):
            w = weights[start : start + n]
            weighted[:, n:] = 0
            for k in range(terms + 1):
                product, a = weighted[k], q[k]
                for r in range(n):
                    product[r] = w[r] * a[r]
        place = 0
        for i in range(terms + 1):
            a = weighted[i]
            for j in range(i + 1):
                b, lanes = q[j], partial[place]
                for r in range(LANES):
                    lanes[r] += (a[r] * b[r] + a[LANES + r] * b[LANES + r]) + (
                        a[2 * LANES + r] * b[2 * LANES + r] + a[3 * LANES + r] * b[3 * LANES + r]
                    )
                place += 1
    place = 0
    for i in range(terms + 1):
        for j in range(i + 1):
            lanes = partial[place]
            half = LANES // 2
            while half:
                for r in range(half):
                    lanes[r] += lanes[half + r]
                half //= 2
            gram[i, j] = gram[j, i] = lanes[0]
            place += 1
