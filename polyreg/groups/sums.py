"""Sums of many groups: their triangular factors, which take rows in any order."""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from polyreg.compiling import compiled
from polyreg.groups import triangles

AT_ONCE, PER = 2**20, 8  # rows that are gathered before they are folded in; and for each group
PER_GROUP = ("count", "low", "high", "base", "log_weights", "factors")
LEAST_ROWS, LEAST_GROUPS = 2**14, 1000  # from here on threads are worth it


@dataclass
class Factors:
    """Triangular factors of G groups in one variable, and what else is known of their rows.

    width: terms and the target
    """

    width: int
    no_intercept: bool
    is_weighted: bool
    count: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (G,) rows
    low: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (G,) of x
    high: np.ndarray = field(default_factory=lambda: np.zeros(0))
    base: np.ndarray = field(default_factory=lambda: np.zeros(0))  # what y is counted from
    log_weights: np.ndarray = field(default_factory=lambda: np.zeros(0))
    factors: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 1)))

    def __post_init__(self) -> None:
        self.factors = np.zeros((0, self.width, self.width))
        self._waiting: list[tuple[np.ndarray, ...]] = []
        self._rows = 0

    def add(self, codes: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        """Rows (n,) of the groups `codes` (n,), int64."""
        self._waiting.append((codes, x, y, np.empty(0) if w is None else w))
        self._rows += len(codes)
        if self._rows >= max(AT_ONCE, PER * len(self.count)):
            self.flush()

    def flush(self) -> None:
        """Fold in what waits."""
        if not self._rows:
            return
        codes, x, y, w = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting, self._rows = [], 0
        self._grow(int(codes.max()) + 1)
        groups = len(self.count)
        order_by_code = compiled(triangles.order_by_code) or triangles.order_by_code
        fold = compiled(triangles.fold) or triangles.fold
        order, starts = order_by_code(codes, groups)
        if self.is_weighted:
            self.log_weights += np.bincount(codes, np.log(w), groups)
        arrays = (self.count, self.low, self.high, self.base, self.factors)

        def part(first: int, last: int) -> None:
            fold(first, last, order, starts, x, y, w, self.no_intercept, *arrays)

        in_parts(part, starts, len(codes) >= LEAST_ROWS)

    def _grow(self, groups: int) -> None:
        if groups > len(self.count):
            self._resize(max(groups, 2 * len(self.count)))

    def _resize(self, groups: int) -> None:
        for name in PER_GROUP:
            held = getattr(self, name)[:groups]
            made = np.zeros((groups, *held.shape[1:]), held.dtype)
            made[: len(held)] = held
            setattr(self, name, made)

    def trim(self, groups: int) -> None:
        """All that waits folded in, of this many groups: of some there may have been no row."""
        self.flush()
        self._resize(groups)


def in_parts(work: Callable[[int, int], None], starts: np.ndarray, is_large: bool) -> None:
    """work(first, last) over all groups: by threads where it is large, of equal shares of the rows.

    starts (groups + 1,): rows before each group
    """
    groups, threads = len(starts) - 1, torch.get_num_threads() if is_large else 1
    if threads == 1:
        return work(0, groups)
    cuts = np.searchsorted(starts, np.linspace(0, starts[-1], threads + 1)[1:-1])
    ends = [0, *cuts.tolist(), groups]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, a, b) for a, b in itertools.pairwise(ends)]:
            done.result()
