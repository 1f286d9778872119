"""Replicates: rows of exactly equal x, their counts, means and squares, in bounded memory."""

from collections.abc import Sequence

import numpy as np

from polyreg.inference.degrees import Replicates

MOST = 10**6  # distinct x; of several variables as many numbers


class Grouping:
    """Groups of rows by x, added block after block, and merged by addition.

    Of each x the sum of weights, the weighted mean of y, and its squares about that; a block's are
    merged with what was there by Chan's formula, which does not cancel.
    """

    def __init__(self) -> None:
        self.rows, self.reason, self.most = 0, "", MOST
        self.x = np.empty(0)
        self.sums = np.empty((3, 0))  # mass, mean, squares
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        """x, y, weights (n,); x of several variables as `joined` makes it"""
        self.rows += len(x)
        if self.reason:
            return
        self.most = MOST // max(1, x.itemsize // 8)
        w = np.ones(len(x)) if weights is None else weights
        self._waiting.append(_grouped(x, np.stack([w, y, np.zeros(len(x))])))
        if sum(len(found) for found, _ in self._waiting) > max(self.most // 4, len(self.x)):
            self._merge()

    def _merge(self) -> None:
        parts = [(self.x, self.sums)] * bool(len(self.x)) + self._waiting
        if not parts:
            return
        self.x, self.sums = _grouped(
            np.concatenate([x for x, _ in parts]), np.concatenate([s for _, s in parts], axis=1)
        )
        self._waiting = []
        if len(self.x) > self.most:
            self.reason = f"replicates are not counted above {self.most:,} distinct x"
            self.x, self.sums = np.empty(0), np.empty((3, 0))

    def found(self) -> Replicates:
        if not self.reason:
            self._merge()
        if self.reason:
            return Replicates(0, self.rows, np.nan, self.reason)
        return Replicates(len(self.x), self.rows, float(self.sums[2].sum()))


def joined(columns: Sequence[np.ndarray], words: Sequence[str] = ()) -> np.ndarray:
    """Rows of several variables, each (n,), as one column (n,) of values that can be compared.

    words: of each variable the column whose level it is, "" of a number; () of numbers alone
    """
    if len(columns) == 1:
        return columns[0]
    names = words or ("",) * len(columns)
    parts = [values for values, column in zip(columns, names, strict=True) if not column]
    for column in dict.fromkeys(filter(None, names)):  # the levels of a column as one number
        own = [values for values, name in zip(columns, names, strict=True) if name == column]
        parts.append(np.sum([k * values for k, values in enumerate(own, 1)], axis=0))
    rows = np.stack(parts, axis=1) + 0.0  # bytes are compared, and -0.0 is 0
    return rows.view(f"V{8 * len(parts)}")[:, 0]


def _grouped(x: np.ndarray, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups of equal x: their masses, means and squares (3, n)  ->  (3, groups)"""
    found, place = np.unique(x, return_inverse=True)
    if len(found) == len(x):
        return found, sums[:, np.argsort(place)] if len(x) else sums
    mass, mean, squares = sums

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values, len(found))

    first = np.empty(len(found))
    first[place] = mean  # one of each group: the mean of equal values is then exact
    masses = total(mass)
    means = first + total(mass * (mean - first[place])) / masses
    return found, np.stack([masses, means, total(squares + mass * (mean - means[place]) ** 2)])
