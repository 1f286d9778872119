"""What a robust fit does to its rows, its errors, and the median of its residuals."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from polyreg.inference.influence import BISQUARE, HUBER, row_factors
from polyreg.least_squares.weighing import Weigher
from polyreg.polynomials.design import Design
from polyreg.tables.rows import Block, Survey

LEAST = 1e-200  # a factor of a row that counts for nothing, whose logarithm is finite
KEPT = 2**24  # residuals that are held at once
CACHED = 2**14  # rows whose columns stay in a core's cache
BRACKET = 0.02  # of the ranks of a sample, either way, which the median is looked for in


def slope(loss: str, u: np.ndarray) -> np.ndarray:
    """psi'(u)."""
    if loss == "bisquare":
        v = np.minimum(np.abs(u) / BISQUARE, 1) ** 2
        return (1 - v) * (1 - 5 * v)
    return (np.abs(u) <= HUBER).astype(float)


def residuals(design: Design, weights: np.ndarray, block: Block) -> np.ndarray:
    """sqrt(w) (y - p(x))  ->  (n,)"""
    assert block.y is not None
    left = block.y - fitted(design, weights, block.x)
    return left if block.weights is None else left * np.sqrt(block.weights)


def fitted(design: Design, weights: np.ndarray, x: tuple[np.ndarray, ...]) -> np.ndarray:
    """The polynomial at D columns x (n,)  ->  (n,); of one variable by Clenshaw's recurrence."""
    if len(x) > 1:
        return design.matrix(torch.from_numpy(np.stack(x, axis=1))).numpy() @ weights
    [column], [r] = x, design.recurrences
    found = np.empty(len(column))
    for i in range(0, len(column), CACHED):
        z = (column[i : i + CACHED] - r.centre) / r.radius
        above, here = np.zeros_like(z), np.full_like(z, weights[-1])
        for k in range(len(weights) - 2, -1, -1):
            below = (z - r.shifts[k]) * here
            below *= r.scales[k]
            below += weights[k]
            if k + 1 < len(r.decays) and r.decays[k + 1]:
                above *= r.decays[k + 1]
                below -= above
            above, here = here, below
        found[i : i + CACHED] = design.unit * here
    return found


@dataclass(frozen=True)
class Robust:
    """The rows' own weights, times psi(u) / u of a polynomial's residuals."""

    loss: str
    design: Design
    weights: np.ndarray
    scale: float
    largest: float  # of the own weights
    own: Weigher | None

    def __call__(self, block: Block) -> Block:
        block = self.own(block) if self.own else block
        left = residuals(self.design, self.weights, block)
        found = np.maximum(row_factors(self.loss, left, self.scale, self.weights), LEAST)
        exact = None if block.low is None else (*block.low[: len(block.x) + 1], None)
        own = 1.0 if block.weights is None else block.weights
        return block._replace(weights=found * own, low=exact)

    def surveyed(self, survey: Survey) -> Survey:
        return survey


class Counted:
    """What the last pass finds of the rows."""

    def __init__(self, loss: str, scale: float, weights: np.ndarray):
        self.loss, self.scale, self._weights = loss, scale, weights
        self.rows, self.half, self.squares = 0, 0, 0.0
        self._psi, self._slopes, self._squared_slopes = 0.0, 0.0, 0.0

    def add(self, left: np.ndarray) -> None:
        """Residuals (n,), times sqrt(w)."""
        factors = row_factors(self.loss, left, self.scale, self._weights)
        u, slopes = left / self.scale, slope(self.loss, left / self.scale)
        self.rows += len(left)
        self.half += int((factors < 0.5).sum())
        self.squares += float((left**2).sum())
        self._psi += float(((factors * u) ** 2).sum())
        self._slopes += float(slopes.sum())
        self._squared_slopes += float((slopes**2).sum())

    def error_scale(self, free: int, rank: int) -> float:
        """From roots of (sum w q q^T)^-1 to standard errors; nan where nothing tells them.

        s k sqrt(sum psi(u)^2 / (N - K)) / mean psi'(u), k = 1 + K/N var psi' / (mean psi')^2
        (Huber 1981, 7.6.2; H1 of statsmodels' RLM)
        """
        mean = self._slopes / self.rows
        if math.isnan(self.scale) or free <= 0 or mean <= 0:
            return math.nan
        variance = self._squared_slopes / self.rows - mean**2
        k = 1 + rank / self.rows * variance / mean**2
        return self.scale * k * math.sqrt(self._psi / free) / mean

    def notes(self, free: int) -> Iterator[str]:
        """How many rows count for less than half; and where there is no noise at all."""
        if math.isnan(self.scale):
            on = self.rows - self.half
            yield (
                f"{on:,} of {self.rows:,} rows lie on the polynomial, within rounding: it is "
                f"theirs alone, and --loss {self.loss} finds no noise to tell errors from"
            )
        elif free > 0:
            yield (
                f"{self.half:,} of {self.rows:,} rows have less than half their weight in "
                f"--loss {self.loss}"
                + (", as huber weighs its residuals" if self.loss == "l1" else "")
            )


def median_size(
    values: Callable[[], Iterator[np.ndarray]], count: int, sample: np.ndarray
) -> float:
    """The median of |v| over all values, exactly; each call of `values` reads `count` of them.

    Up to KEPT they are held at once. Of more, only those are held that lie between two quantiles of
    a sample (Floyd and Rivest 1975); where the median does not, all below or above, which is rare.
    """
    low, high = 0.0, math.inf
    if count > KEPT:
        low, high = np.quantile(sample, [0.5 - BRACKET, 0.5 + BRACKET]).tolist()
    while True:
        below, total, held = 0, 0, []
        for part in values():
            sizes = np.abs(part)
            below += int((sizes < low).sum())
            total += len(sizes)
            held.append(sizes[(sizes >= low) & (sizes <= high)])
        near = np.concatenate(held)
        first, second = (total - 1) // 2 - below, total // 2 - below
        if first >= 0 and second < len(near):
            found = np.partition(near, [first, second])
            return float(found[first] / 2 + found[second] / 2)
        low, high = (0.0, low) if first < 0 else (low, math.inf)
