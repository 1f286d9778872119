"""The one state that an exact fit accumulates: sums over rows, which merge by addition.

With q (K,) the basis functions of a row, r = y - q . pilot what a pilot fit leaves of y, and w the
row's weight (1 without weights), it is the symmetric (K + 1, K + 1) matrix

    sum w [q; r] [q; r]^T

`fast` holds it in float64. `certified` holds it in integers, exact to 2^-105 of the largest term,
with a pilot of 0: then merging is associative to the last bit, on any device and in any order.
"""

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polyreg import limbs
from polyreg.design import Design
from polyreg.table import Block

# Rows at once: what stays in a core's cache, below the size at which torch splits single operations
# over threads, which costs more than it brings; whole blocks are spread over threads instead.
FAST_ROWS, FAST_NUMBERS = 2**14, 2**18
EXACT_PARTS, EXACT_NUMBERS = 4, 2**20


@dataclass(frozen=True)
class Moments:
    """Sums over `count` rows; x lay in [low, high] (D,)."""

    count: int
    gram: np.ndarray  # (K + 1, K + 1), float64 or Python integers
    log_weights: float
    low: np.ndarray
    high: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count + other.count,
            self.gram + other.gram,
            self.log_weights + other.log_weights,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def __sub__(self, part: "Moments") -> "Moments":
        """Without the rows of `part`; the range of x is left as it was."""
        return Moments(
            self.count - part.count,
            self.gram - part.gram,
            self.log_weights - part.log_weights,
            self.low,
            self.high,
        )


def totals(
    kernels: Sequence["FastKernel | ExactKernel"], rows: Iterable[tuple[int, Block]]
) -> dict[int, Moments]:
    """The sums by label, each in the order of its rows; every kernel works in a thread of its own.

    torch's own threads are off meanwhile.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found: dict[int, Moments] = {}
        for label, part in _in_order(kernels, pieces(rows, kernels[0].rows)):
            found[label] = found[label] + part if label in found else part
        return found
    finally:
        torch.set_num_threads(threads)


def _in_order(kernels: Sequence, rows: Iterable) -> Iterator[tuple[int, Moments]]:
    if len(kernels) == 1:
        for label, block in rows:
            yield label, kernels[0](block)
        return
    idle: queue.SimpleQueue = queue.SimpleQueue()
    for kernel in kernels:
        idle.put(kernel)

    def work(block: Block) -> Moments:
        kernel = idle.get()
        try:
            return kernel(block)
        finally:
            idle.put(kernel)

    with ThreadPoolExecutor(len(kernels)) as pool:
        waiting: deque = deque()
        for label, block in rows:
            waiting.append((label, pool.submit(work, block)))
            if len(waiting) > 2 * len(kernels):
                label, done = waiting.popleft()
                yield label, done.result()
        for label, done in waiting:
            yield label, done.result()


def pieces(blocks: Iterable[tuple[int, Block]], rows: int) -> Iterator[tuple[int, Block]]:
    """Blocks of at most `rows` rows."""
    for label, block in blocks:
        for i in range(0, len(block.x[0]), rows):
            part = slice(i, i + rows)
            weights = None if block.weights is None else block.weights[part]
            assert block.y is not None
            yield label, Block(tuple(x[part] for x in block.x), block.y[part], weights)


def _described(rows: Block, gram: np.ndarray) -> Moments:
    return Moments(
        count=len(rows.x[0]),
        gram=gram,
        log_weights=0.0 if rows.weights is None else float(np.log(rows.weights).sum()),
        low=np.array([column.min() for column in rows.x]),
        high=np.array([column.max() for column in rows.x]),
    )


class FastKernel:
    """Block -> Moments in float64; at most `rows` rows at once, of an expected `count`."""

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
        self._host = np.empty(self.rows)

    def _from_host(self, count: int, target: Tensor) -> Tensor:
        return target.copy_(torch.from_numpy(self._host[:count]))

    @torch.inference_mode()
    def __call__(self, rows: Block) -> Moments:
        n = len(rows.x[0])
        q, (z, u), host = self._q[:, :n], self._spare[:, :n], self._host[:n]
        for column, r, places, shifts in zip(
            rows.x, self.design.recurrences, self.design.pure, self._shifts, strict=True
        ):
            np.subtract(column, r.centre, out=host)
            np.multiply(host, 1 / r.radius, out=host)
            self._from_host(n, z)
            for k, shift in enumerate(shifts):
                torch.add(shift, z, alpha=r.scales[k], out=u)
                above = q[places[k + 1]]
                torch.mul(u, q[places[k]], out=above)
                if k:
                    above.add_(q[places[k - 1]], alpha=-r.decays[k])
        for place, factors in enumerate(self.design.factors):
            if factors:
                torch.mul(q[factors[0]], q[factors[1]], out=q[place]).mul_(2)
        assert rows.y is not None
        np.copyto(host, rows.y)
        residual = self._from_host(n, q[-1])
        residual.addmv_(q[:-1].T, self._pilot, alpha=-1)
        left = q
        if rows.weights is not None:
            np.copyto(host, rows.weights)
            left = q * self._from_host(n, u)
        return _described(rows, (left @ q.T).cpu().numpy())


class ExactKernel:
    """Block -> Moments in integers; at most `rows` rows at once.

    y is divided by y_unit and weights by weight_unit, powers of two that bring them to 1/2 at most;
    the integers count units of 2^-limbs.POINT.
    """

    def __init__(self, design: Design, y_unit: float, weight_unit: float | None, device: str):
        terms = len(design.exponents)
        self.design, self.device = design, device
        self.y_unit, self.weight_unit = y_unit, weight_unit
        parts = EXACT_NUMBERS // (limbs.LIMBS * (terms + 1) * limbs.ROWS)
        self.rows = limbs.ROWS * max(1, min(EXACT_PARTS, parts))
        self._work: dict[int, tuple[Tensor, ...]] = {}

    def _buffers(self, n: int) -> tuple[Tensor, ...]:
        if n not in self._work:
            terms = len(self.design.exponents) + 1
            shapes = [
                (limbs.LIMBS, terms, n),
                (limbs.LIMBS, n),
                (limbs.LIMBS, n),
                (limbs.LIMBS + 1, n),
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
        n = count if count <= limbs.ROWS else -(-count // limbs.ROWS) * limbs.ROWS
        q, z, u, product, spare = self._buffers(n)
        q[0, 0] = 0.5
        q[:, :, count:] = 0

        def split(values: np.ndarray, out: Tensor) -> None:
            spare.zero_()[:count].copy_(torch.from_numpy(values))
            limbs.split(spare, out)

        for column, r, places in zip(
            rows.x, self.design.recurrences, self.design.pure, strict=True
        ):
            if abs(r.centre) >= r.radius / 2:  # x is within a factor of 2 of it: exact (Sterbenz)
                split((column - r.centre) / r.radius, z)
            else:
                split(column / r.radius, z)
                z[0].sub_(r.centre / r.radius)  # a few bits only
            for k in range(len(r.shifts)):
                torch.mul(z, r.scales[k], out=u)
                u[0, :count].sub_(r.scales[k] * r.shifts[k])
                limbs.multiply(u, q[:, places[k]], product)
                if k:
                    product[1:].add_(q[:, places[k - 1]], alpha=-r.decays[k])
                limbs.carry(product, spare)
                q[:, places[k + 1]] = product[:-1]
        for place, factors in enumerate(self.design.factors):
            if factors:
                limbs.multiply(q[:, factors[0]], q[:, factors[1]], product)
                limbs.carry(product.mul_(2), spare)
                q[:, place] = product[:-1]
        assert rows.y is not None
        split(rows.y / self.y_unit, q[:, -1])
        return _described(rows, limbs.gram(self._weighted(q, rows, split), q))

    def _weighted(self, q: Tensor, rows: Block, split: Callable) -> Tensor:
        if rows.weights is None or self.weight_unit is None:
            return q
        _, _, u, product, spare = self._buffers(q.shape[-1])
        split(rows.weights / self.weight_unit, u)
        left = torch.empty_like(q)
        for k in range(q.shape[1]):
            limbs.multiply(u, q[:, k], product)
            limbs.carry(product.mul_(2), spare)
            left[:, k] = product[:-1]
        return left
