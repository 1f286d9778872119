"""Metrics as MLflow takes them: finite, and curves of at most CURVE_POINTS points."""

import math
import time
from bisect import bisect_left
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
    time, found = now(), []
    for name, values in (curves or {}).items():
        steps = np.arange(1, len(values) + 1) if at is None else at
        kept = thinned(steps, most)
        found += [(name, float(values[i]), time, int(steps[i])) for i in kept]
    # Step by step, and the final values last: where a process is cut off, its curves end alike,
    # and not before what the final values tell of.
    found.sort(key=lambda point: point[3])
    found += [(name, float(value), time, 0) for name, value in metrics.items()]
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
    """Places of at most `points` of these steps, to lie between those `logged`; the last kept.

    Evenly between each two, so that the largest distance that is left is the least possible.
    """
    new = np.flatnonzero(~np.isin(steps, logged))
    if len(new) <= points or points < 2:
        return new[max(len(new) - points, 0) :].tolist()
    last = int(steps[-1])
    ends = np.union1d(logged[logged < last], [0, last])

    def parts(distance: int) -> np.ndarray:
        return -(-np.diff(ends) // distance)

    def surplus(distance: int) -> int:
        return int(np.sum(parts(distance) - 1)) - (points - 1)

    distance = 1 + bisect_left(range(1, last), 0, key=lambda d: -surplus(d))
    cuts = zip(ends[:-1], ends[1:], parts(distance), strict=True)
    wanted = np.concatenate([*(np.linspace(a, b, n + 1)[1:-1] for a, b, n in cuts), [last]])
    return np.intersect1d(np.searchsorted(steps, wanted.round()), new).tolist()


def coefficients(polynomial: Result) -> dict[str, float]:
    """The coefficients as metrics, `coef/x.2` each."""
    rows = zip(keys(polynomial.terms), polynomial.coefficients, strict=True)
    return {f"coef/{key}": value for key, value in rows}
