"""Sums of many groups: their triangular factors, which take rows in any order."""

import functools
import itertools
import os
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
STREAMS = 8  # log2 of the places that are written to side by side

Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # codes, x, y and w (n,)


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
        self._waiting: list[Rows] = []
        self._rows = 0

    def add(self, codes: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray | None) -> None:
        """Rows (n,) of the groups `codes` (n,), int64, from 0."""
        rows = codes, x, y, np.empty(0) if w is None else w
        is_dense = codes[-1] - codes[0] < PER * len(codes)
        if is_dense and (codes[1:] >= codes[:-1]).all():  # group by group already
            return self._fold(*rows)
        self._waiting.append(rows)
        self._rows += len(codes)
        if self._rows >= max(AT_ONCE, PER * len(self.count)):
            self.flush()

    def flush(self) -> None:
        """Fold in what waits."""
        if self._rows:
            self._fold(*self._ordered())

    def _ordered(self) -> Rows:
        """The rows that wait, group by group."""
        waiting, size = self._waiting, self._rows
        self._waiting, self._rows = [], 0
        widths = [len(part) and size for part in waiting[0][1:]]
        groups = max(int(codes.max()) for codes, *_ in waiting) + 1
        starts = np.zeros(groups + 1, np.int64)
        for codes, *_ in waiting:
            starts[1:] += np.bincount(codes, minlength=groups)
        starts = starts.cumsum()
        move = compiled(triangles.move) or triangles.move
        # Many groups in two moves: places that lie far apart are slow to write to.
        shift = max(0, (groups - 1).bit_length() - STREAMS)
        for step in (shift, 0) if shift else (0,):
            free = starts[: -1 : 1 << step].copy()
            x, y, w = (np.empty(width) for width in widths)
            moved = np.empty(size, np.int64), x, y, w
            for part in waiting:
                move(*part, step, free, *moved)
            waiting = [moved]
        return waiting[0]

    def _fold(self, codes: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> None:
        """Rows that lie group by group."""
        first, last = int(codes[0]), int(codes[-1]) + 1
        self._grow(last)
        starts = np.searchsorted(codes, np.arange(first, last + 1))
        if self.is_weighted:
            self.log_weights[first:last] += np.bincount(codes - first, np.log(w), last - first)
        arrays = [getattr(self, n)[first:last] for n in ("count", "low", "high", "base", "factors")]
        fold = compiled(triangles.fold) or triangles.fold

        def part(begin: int, end: int) -> None:
            fold(begin, end, starts, x, y, w, self.no_intercept, *arrays)

        in_parts(part, starts, len(codes) >= LEAST_ROWS)

    def _grow(self, groups: int) -> None:
        if groups > len(self.count):
            self._resize(max(groups, 2 * len(self.count)))

    def _resize(self, groups: int) -> None:
        for name in PER_GROUP:
            held = getattr(self, name)
            held.resize((groups, *held.shape[1:]), refcheck=False)  # in place, with zeros

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
    for done in [_workers(threads).submit(work, a, b) for a, b in itertools.pairwise(ends)]:
        done.result()


@functools.cache
def _workers(threads: int) -> ThreadPoolExecutor:
    """Kept, since a thread that starts waits for those that read."""
    return ThreadPoolExecutor(threads)


os.register_at_fork(after_in_child=_workers.cache_clear)  # which has no threads but its own
