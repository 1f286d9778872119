"""Metrics as MLflow takes them: finite, and curves of at most CURVE_POINTS points."""

import math
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

import numpy as np

from polyreg.polynomials.result import Result
from polyreg.polynomials.terms import keys

CURVE_POINTS = 1000  # a curve of 10,000 points freezes MLflow's page
Points = list[tuple[str, float, int, int]]  # (key, value, milliseconds, step) each


class Clock:
    """Seconds of each stage, by name."""

    def __init__(self, seconds: Mapping[str, float] = MappingProxyType({})) -> None:
        self.seconds = dict(seconds)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - start

    def metrics(self) -> dict[str, float]:
        return {f"time/{stage}_s": value for stage, value in self.seconds.items()}


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def points(
    metrics: Mapping[str, float],
    curves: Mapping[str, Sequence[float] | np.ndarray] | None = None,
    at: np.ndarray | None = None,
    most: int = CURVE_POINTS,
) -> Points:
    """Final values, at step 0, and curves thinned to at most `most` points; the finite ones.

    MLflow stores nan as 0 and inf as 1.8e308, which ruins every chart.
    at: the steps that a curve's points belong to, by default 1, 2, ...
    """
    time = now()
    found = [(name, float(value), time, 0) for name, value in metrics.items()]
    for name, values in (curves or {}).items():
        steps = np.arange(1, len(values) + 1) if at is None else at
        kept = thinned(steps, most)
        found += [(name, float(values[i]), time, int(steps[i])) for i in kept]
    return [point for point in found if math.isfinite(point[1])]


def thinned(steps: np.ndarray, points: int = CURVE_POINTS) -> list[int]:
    """Places of at most `points` (2 or more) of these steps, which increase; first and last kept.

    Half of them evenly spaced, half in equal ratios: a descent is over in its first hundredth.
    """
    if len(steps) <= points:
        return list(range(len(steps)))
    half, first, last = points // 2, steps[0], steps[-1]
    wanted = np.concatenate([np.linspace(first, last, half), np.geomspace(first, last, half)])
    return sorted({0, len(steps) - 1, *np.searchsorted(steps, wanted.round()).tolist()})


def filled(steps: np.ndarray, logged: np.ndarray, points: int) -> list[int]:
    """Places of at most `points` of these steps that even out those `logged`; the last kept.

    The axis is cut into equal parts, as many as leave `points - 1` of them at most in which
    nothing was logged; the last step of each of these is taken.
    """
    new = np.flatnonzero(~np.isin(steps, logged))
    if len(new) <= points or points < 1:
        return new[: max(points, 0)].tolist()

    def empty(parts: int) -> np.ndarray:
        part, taken = ((at * parts - 1) // steps[-1] for at in (steps[new], logged))
        ends = np.append(part[1:] != part[:-1], True)
        return new[ends & ~np.isin(part, taken)]

    parts = range(points - 1, points + len(logged))
    most = points - 2 + bisect_right(parts, points - 1, key=lambda count: len(empty(count)))
    return sorted({*empty(most).tolist(), int(new[-1])})


def coefficients(polynomial: Result) -> dict[str, float]:
    """The coefficients as metrics, `coef/x.2` each."""
    rows = zip(keys(polynomial.terms), polynomial.coefficients, strict=True)
    return {f"coef/{key}": value for key, value in rows}
