"""Augmented Gram matrix sum w [q; r][q; r]^T, accumulated over rows; mergeable by +.

With q (K,) the basis functions of a row, r = y - q . pilot what a pilot fit leaves of y, and w the
row's weight (1 without weights), it is the symmetric (K + 1, K + 1) matrix

    sum w [q; r] [q; r]^T

`fast` holds it in float64. `certified` takes rows with their low parts (Block.low), and holds it in
integers, exact to 2^-105 of the largest term, with a pilot of 0: then merging is associative to the
last bit, on any device and in any order.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from polyreg.device import one
from polyreg.least_squares.integers import ozaki
from polyreg.polynomials.design import Design
from polyreg.tables.rows import Block

MANY_TERMS = 100  # from here on, matrix products are worth torch's threads
# Rows at once, and numbers in their terms: about what stays in a core's cache.
FAST_ROWS, FAST_NUMBERS = 2**14, 2**18
EXACT_PARTS, EXACT_NUMBERS = 8, 2**22
FAR = 2**9  # |x| / radius up to which what float64 leaves of x is below 2^-43 radius


@dataclass(frozen=True)
class Moments:
    """Sums over `count` rows."""

    count: int
    gram: np.ndarray  # (K + 1, K + 1), float64 or Python integers
    log_weights: float

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count + other.count,
            self.gram + other.gram,
            self.log_weights + other.log_weights,
        )


class Kernel(Protocol):
    """Sums of at most `rows` rows of a block, by as many calls at once as it has threads."""

    design: Design
    rows: int
    threads: int

    def __call__(self, rows: Block) -> Moments: ...


def totals(kernel: Kernel, rows: Iterable[tuple[int, Block]]) -> dict[int, Moments]:
    """The sums by label, each in the order of its rows, so that threads do not change their bits.

    rows are read in this thread.
    """
    found: dict[int, Moments] = {}
    with one(len(kernel.design.exponents) < MANY_TERMS):
        for label, part in _summed(kernel, pieces(rows, kernel.rows)):
            found[label] = found[label] + part if label in found else part
    return found


def _summed(kernel: Kernel, rows: Iterable[tuple[int, Block]]) -> Iterator[tuple[int, Moments]]:
    """Of each piece, in their order. A piece that no other thread has begun is done by this one."""
    rows, others = iter(rows), kernel.threads - 1
    first = list(islice(rows, 2))
    rows = chain(first, rows)
    if not others or len(first) < 2:
        yield from ((label, kernel(piece)) for label, piece in rows)
        return
    waiting: deque[tuple[int, Block | None, Future[Moments]]] = deque()
    with ThreadPoolExecutor(others) as pool:
        for label, piece in rows:
            if sum(not p.done() for _, _, p in waiting) < 2 * others:
                waiting.append((label, piece, pool.submit(kernel, piece)))
            else:
                part: Future[Moments] = Future()
                part.set_result(kernel(piece))
                waiting.append((label, None, part))
            while waiting and waiting[0][2].done():
                label, _, part = waiting.popleft()
                yield label, part.result()
        for label, left, part in waiting:
            yield label, kernel(left) if left and part.cancel() else part.result()


def pieces(blocks: Iterable[tuple[int, Block]], rows: int) -> Iterator[tuple[int, Block]]:
    """Blocks of at most `rows` rows."""
    for label, block in blocks:
        for i in range(0, len(block.x[0]), rows):
            yield label, block.take(slice(i, i + rows))


def moments(rows: Block, gram: np.ndarray) -> Moments:
    """The sums of these rows."""
    return Moments(
        count=len(rows.x[0]),
        gram=gram,
        log_weights=0.0 if rows.weights is None else float(np.log(rows.weights).sum()),
    )


class FastKernel:
    """Block -> Moments in float64; at most `rows` rows at once, of an expected `count`."""

    threads = 1

    def __init__(self, design: Design, pilot: np.ndarray, device: str, count: int):
        terms = len(design.exponents)
        self.design, self.device = design, device
        self.rows = min(count, max(1024, min(FAST_ROWS, FAST_NUMBERS // (terms + 1))))
        self._pilot = torch.from_numpy(pilot).to(device)
        self._q = torch.empty(terms + 1, self.rows, dtype=torch.float64, device=device)
        self._q[0] = 0.5
        self._spare = torch.empty(2, self.rows, dtype=torch.float64, device=device)
        self._shifts = [
            [
                torch.tensor(-shift * scale, dtype=torch.float64)
                for shift, scale in zip(r.shifts, r.scales, strict=True)
            ]
            for r in design.recurrences
        ]
        self._host = torch.empty(self.rows, dtype=torch.float64)

    def _load(self, column: np.ndarray, less: float, out: Tensor) -> Tensor:
        """column - less into out; numpy reads it, since torch takes no read-only memory."""
        here = out if out.device.type == "cpu" else self._host[: len(column)]
        np.subtract(column, less, out=here.numpy())
        return out if here is out else out.copy_(here)

    @torch.inference_mode()
    def __call__(self, rows: Block) -> Moments:
        n = len(rows.x[0])
        q, z, u = self._q[:, :n], self._spare[0, :n], self._spare[1, :n]
        for column, r, places, shifts in zip(
            rows.x, self.design.recurrences, self.design.pure, self._shifts, strict=True
        ):
            self._load(column, r.centre, z)
            for k, shift in enumerate(shifts):
                torch.add(shift, z, alpha=r.scales[k] / r.radius, out=u)
                above = q[places[k + 1]]
                torch.mul(u, q[places[k]], out=above)
                if k:
                    above.add_(q[places[k - 1]], alpha=-r.decays[k])
        for place, factors in enumerate(self.design.factors):
            if factors:
                torch.mul(q[factors[0]], q[factors[1]], out=q[place]).mul_(2)
        assert rows.y is not None
        self._load(rows.y, 0.0, q[-1]).addmv_(q[:-1].T, self._pilot, alpha=-1)
        left = q if rows.weights is None else q * self._load(rows.weights, 0.0, u)
        return moments(rows, (left @ q.T).cpu().numpy())


class ExactKernel:
    """Block -> Moments in integers; at most `rows` rows at once.

    y is divided by y_unit and weights by weight_unit, powers of two that bring them to 1/2 at most;
    the integers count units of 2^-limbs.POINT.
    """

    threads = 1

    def __init__(self, design: Design, y_unit: float, weight_unit: float | None, device: str):
        terms = len(design.exponents)
        self.design, self.device = design, device
        self.y_unit, self.weight_unit = y_unit, weight_unit
        parts = EXACT_NUMBERS // (ozaki.LIMBS * (terms + 1) * ozaki.ROWS)
        self.rows = ozaki.ROWS * max(1, min(EXACT_PARTS, parts))
        self._work: dict[int, tuple[Tensor, ...]] = {}

    def _buffers(self, n: int) -> tuple[Tensor, ...]:
        if n not in self._work:
            terms = len(self.design.exponents) + 1
            shapes = [
                (ozaki.LIMBS, terms, n),
                (ozaki.LIMBS, n),
                (ozaki.LIMBS, n),
                (n,),
            ]
            self._work = {
                n: tuple(torch.zeros(s, dtype=torch.float64, device=self.device) for s in shapes)
            }
        return self._work[n]

    @torch.inference_mode()
    def __call__(self, rows: Block) -> Moments:
        count = len(rows.x[0])
        # Rows of zeros fill the last part; they add nothing to the sums.
        n = count if count <= ozaki.ROWS else -(-count // ozaki.ROWS) * ozaki.ROWS
        q, z, product, spare = self._buffers(n)
        q[0, 0] = 0.5
        q[:, :, count:] = 0

        def loaded(values: np.ndarray, out: Tensor) -> Tensor:
            out.zero_()[:count].copy_(torch.from_numpy(values))
            return out

        def split(place: int, values: np.ndarray, unit: float, out: Tensor, first: int = 2) -> None:
            low = None if rows.low is None else rows.low[place]
            more = None if low is None else loaded(low / unit, product[0])
            ozaki.split(loaded(values / unit, spare), out, more, product[1], first)

        for d, (column, r, places) in enumerate(
            zip(rows.x, self.design.recurrences, self.design.pure, strict=True)
        ):
            first = 2 if abs(r.centre) < FAR * r.radius else 0
            if abs(r.centre) >= r.radius / 2:  # x is within a factor of 2 of it: exact (Sterbenz)
                split(d, column - r.centre, r.radius, z, first)
            else:
                split(d, column, r.radius, z, first)
                z[0].sub_(r.centre / r.radius)  # a few bits only
            for k in range(len(r.shifts)):
                # z -> scale_k (z - shift_k), from what it was at k - 1: the scales are mostly equal
                before, shift = (r.scales[k - 1], r.shifts[k - 1]) if k else (1.0, 0.0)
                if r.scales[k] != before:
                    z.mul_(r.scales[k] / before)
                z[0, :count].sub_(r.scales[k] * (r.shifts[k] - shift))
                ozaki.multiply(z, q[:, places[k]], product)
                if k:
                    product.add_(q[:, places[k - 1]], alpha=-r.decays[k])
                ozaki.carry(product, spare, q[:, places[k + 1]])
        for place, factors in enumerate(self.design.factors):
            if factors:
                ozaki.multiply(q[:, factors[0]], q[:, factors[1]], product)
                ozaki.carry(product.mul_(2), spare, q[:, place])
        assert rows.y is not None
        split(len(rows.x), rows.y, self.y_unit, q[:, -1])
        return moments(rows, ozaki.gram(self._weighted(q, rows, split), q))

    def _weighted(self, q: Tensor, rows: Block, split: Callable) -> Tensor:
        if rows.weights is None or self.weight_unit is None:
            return q
        _, factor, product, spare = self._buffers(q.shape[-1])
        split(-1, rows.weights, self.weight_unit, factor)
        left = torch.empty_like(q)
        for k in range(q.shape[1]):
            ozaki.multiply(factor, q[:, k], product)
            ozaki.carry(product.mul_(2), spare, left[:, k])
        return left
