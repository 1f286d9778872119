"""Bounds and a uniform sample of rows, block by block; profiles merge by addition."""

import math

import numpy as np

from polyreg.tables.files import Place

SAMPLE = 16_384
CACHED = 2**16  # values, which a core's second cache holds


class Profile:
    """Bounds and a sample of rows, which merge by addition.

    The sample is uniform: the rows with the SAMPLE smallest random keys, in order.
    """

    def __init__(self, seed: int, width: int):
        self.seed, self.rows = seed, 0
        self.low, self.high = np.full((2, width), [[math.inf], [-math.inf]])
        self._keys, self._rows, self._bound = np.empty(0), np.empty((0, width)), math.inf

    def add(self, place: Place, arrays: list[np.ndarray], kept: np.ndarray | slice) -> None:
        """Those of a block's rows that are `kept`."""
        keys = place.random(self.seed).random(len(arrays[0]))[kept]
        arrays = [a[kept] for a in arrays]
        if len(keys):
            self.rows += len(keys)
            self.low = np.minimum(self.low, [a.min() for a in arrays])
            self.high = np.maximum(self.high, [a.max() for a in arrays])
            near = np.flatnonzero(keys < self._bound)
            self._draw(keys[near], np.column_stack([a[near] for a in arrays]))

    def __add__(self, later: "Profile") -> "Profile":
        made = Profile(self.seed, len(self.low))
        made.rows = self.rows + later.rows
        made.low, made.high = np.minimum(self.low, later.low), np.maximum(self.high, later.high)
        for profile in (self, later):
            made._draw(profile._keys, profile._rows)
        return made

    def _draw(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self._keys = np.concatenate([self._keys, keys])
        self._rows = np.concatenate([self._rows, rows])
        if len(self._keys) > SAMPLE:
            kept = np.sort(np.argpartition(self._keys, SAMPLE)[:SAMPLE])  # stays in file order
            self._keys, self._rows = self._keys[kept], self._rows[kept]
            self._bound = self._keys.max()

    def sample(self) -> list[np.ndarray]:
        return list(np.ascontiguousarray(self._rows.T))


def bounds(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest of (n,), by one reading of memory; nan where there is one."""
    parts = [values[i : i + CACHED] for i in range(0, len(values), CACHED)]
    low, high = zip(*((part.min(), part.max()) for part in parts), strict=True)
    return np.min(low), np.max(high)
