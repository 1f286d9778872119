"""Do the intervals of a new group's curve hold, which is adapted from one to five points?

    python -m benchmarks.measured.adapting

TABLES simulated fleets each: groups of 8 rows whose parabolas are drawn from a normal distribution,
and a new one, of which some points are known. How many 95 % intervals hold the new curve at some x,
and a new y there; chance leaves 0.7 points.
"""

import numpy as np
import pandas as pd

import polyreg

TABLES, ROWS, NOISE = 1000, 8, 0.5
MEAN = np.array([3.0, 2.0, -0.1])
BETWEEN = np.array([[4.0, 0.3, 0.0], [0.3, 0.09, 0.0], [0.0, 0.0, 0.0004]])


def drawn(rng: np.random.Generator, groups: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of a fleet, and the coefficients of a curve that is not among its own."""
    b = rng.multivariate_normal(MEAN, BETWEEN, groups + 1)
    s = np.repeat(np.arange(groups), ROWS)
    x = np.tile(np.linspace(0, 10, ROWS), groups) + rng.uniform(-0.3, 0.3, len(s))
    y = value(b[s], x) + NOISE * rng.normal(size=len(s))
    return pd.DataFrame({"s": s, "x": x, "y": y}), b[-1]


def value(b: np.ndarray, x: np.ndarray) -> np.ndarray:
    return b[..., 0] + b[..., 1] * x + b[..., 2] * x**2


def held(groups: int, points: int, tables: int, seed: int = 0) -> tuple[float, float]:
    """Parts of the intervals that hold the curve, and a new y."""
    rng, curves, values = np.random.default_rng(seed), 0, 0
    for _ in range(tables):
        rows, b = drawn(rng, groups)
        fleet = polyreg.fit(rows, target="y", features="x", by="s", degree=2)
        known, x = rng.uniform(0, 10, points), rng.uniform(0, 10, 1)
        new = fleet.adapt(known, value(b, known) + NOISE * rng.normal(size=points))
        _, low, high = new.predict(x, "confidence")
        curves += bool(low[0] <= value(b, x)[0] <= high[0])
        _, low, high = new.predict(x, "prediction")
        values += bool(low[0] <= value(b, x)[0] + NOISE * rng.normal() <= high[0])
    return curves / tables, values / tables


def main() -> None:
    print("| groups | points of the new one | the curve | a new y |\n| -- | -- | -- | -- |")
    for groups in (6, 12, 40):
        for points in (1, 2, 5):
            curve, new = held(groups, points, TABLES)
            print(f"| {groups} | {points} | {curve:.1%} | {new:.1%} |", flush=True)


if __name__ == "__main__":
    main()
