"""Fits that go wrong in ordinary ways, beyond NIST's: wide, far, skewed, high of degree, weighted.

Every problem is float64 data; the exact answer for exactly these numbers is the oracle's business.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.support.oracle import total_degree


class Problem(NamedTuple):
    columns: list[np.ndarray]  # D of (N,)
    y: np.ndarray  # (N,)
    degree: int
    weights: np.ndarray | None = None  # (N,)

    @property
    def exponents(self) -> list[tuple[int, ...]]:
        return total_degree(len(self.columns), self.degree)


def unit_interval(rng) -> Problem:
    """The powers of x on [0, 1] at degree 20: a condition number of 1e15 before any weighting."""
    x = rng.uniform(size=200)
    return Problem([x], np.sin(7 * x) + rng.normal(scale=0.1, size=200), 20)


def unit_interval_of_ones(rng) -> Problem:
    """sum_k x^k, rounded to float64: no noise to hide behind, and nothing to cancel in y."""
    x = rng.uniform(size=200)
    return Problem([x], np.polynomial.polynomial.polyval(x, np.ones(21)), 20)


def years(rng) -> Problem:
    x = np.arange(1900.0, 2020.0)
    y = 3 + 0.02 * (x - 1900) + np.sin((x - 1900) / 15) + rng.normal(scale=0.2, size=len(x))
    return Problem([x], y, 10)


def unix_time(rng) -> Problem:
    """Whole seconds from 2020 to 2024: x^4 is 1e37, and the window is 1/13 of its distance."""
    x = np.sort(rng.integers(1_577_836_800, 1_735_689_600, size=500)).astype(float)
    t = (x - x[0]) / (x[-1] - x[0])
    return Problem([x], 20 + 5 * t - 8 * t**3 + rng.normal(scale=0.5, size=500), 4)


def normal(rng) -> Problem:
    """Unbounded x: at degree 16 a handful of rows in the tails holds the high powers."""
    x = rng.normal(size=2000)
    return Problem([x], np.cos(2 * x) + rng.normal(scale=0.1, size=2000), 16)


def two_variables(rng) -> Problem:
    a, b = rng.uniform(-2, 5, size=400), rng.normal(10, 3, size=400)
    return Problem([a, b], np.sin(a) * b + rng.normal(scale=0.3, size=400), 5)


def three_variables(rng) -> Problem:
    """56 terms, and scales that differ: metres, degrees, a fraction."""
    a, b, c = (rng.uniform(low, high, size=300) for low, high in [(0, 2000), (-10, 35), (0, 1)])
    y = np.exp(-a / 2000) * b + 10 * c**2 + rng.normal(scale=0.5, size=300)
    return Problem([a, b, c], y, 5)


def duplicates(rng) -> Problem:
    """Twelve settings of a dial, each measured many times."""
    settings = np.linspace(0.5, 6, 12)
    x = rng.choice(settings, size=360)
    assert len(np.unique(x)) == 12
    return Problem([x], np.log(x) + rng.normal(scale=0.05, size=360), 8)


def weights(rng) -> Problem:
    """Weights over 12 orders of magnitude; the noise is what they say."""
    x = rng.uniform(-3, 3, size=300)
    w = 10 ** rng.uniform(-6, 6, size=300)
    w[:2] = 1e-6, 1e6
    return Problem([x], np.exp(x / 2) + rng.normal(size=300) / np.sqrt(w), 5, w)


def far(rng) -> Problem:
    """One unit wide, a million units from 0."""
    t = rng.uniform(size=200)
    return Problem([1e6 + t], 1 + t - 3 * t**3 + rng.normal(scale=0.1, size=200), 3)


def huge_y(rng) -> Problem:
    x = rng.uniform(-1, 4, size=150)
    return Problem([x], 1e12 * (2 - x + 0.5 * x**3 + rng.normal(scale=0.1, size=150)), 4)


def tiny_x(rng) -> Problem:
    """Nanometres in metres: the coefficient of x^4 is 1e36."""
    t = rng.uniform(size=150)
    return Problem([1e-9 * t], 1 + t**2 - t**4 + rng.normal(scale=0.1, size=150), 4)


PROBLEMS: dict[str, Callable] = {
    f.__name__: f
    for f in (
        unit_interval,
        unit_interval_of_ones,
        years,
        unix_time,
        normal,
        two_variables,
        three_variables,
        duplicates,
        weights,
        far,
        huge_y,
        tiny_x,
    )
}


def make(name: str, seed: int = 0) -> Problem:
    """The problem of that name; each has its own stream, whatever the others draw."""
    return PROBLEMS[name](np.random.default_rng([seed, list(PROBLEMS).index(name)]))
