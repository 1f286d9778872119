"""How long do x and its interval take for a million readings?

    python -m benchmarks.measured.inverting

Degree 3, one core. Beside it a loop over readings as R's investr solves them, one root by scipy's
brentq for x and one for each bound, on fewer readings; the answers are compared.
"""

import time

import click
import numpy as np
from scipy.optimize import brentq

import polyreg

SINGLE = 300  # readings of the loop


def calibration() -> polyreg.Result:
    rng = np.random.default_rng(5)
    x = np.linspace(0, 10, 60)
    y = 1 + 2 * x - 0.05 * x**2 + 0.02 * x**3 + rng.normal(0, 0.2, 60)
    return polyreg.fit(x, y, degree=3)


def one_by_one(result: polyreg.Result, readings: np.ndarray, interval: str) -> np.ndarray:
    """x, low and high (N, 3), by brentq on numpy's polynomial and the covariance."""
    p, covariance = result.to_numpy(), result.covariance()
    noise = 0.0 if interval == "mean" else result.residual_sd**2
    t, slope = result.quantile(), result.to_numpy().deriv()

    def error(x: float) -> float:
        powers = x ** np.arange(4)
        return float(np.sqrt(noise + powers @ covariance @ powers))

    found = []
    for y in readings.tolist():
        x = brentq(lambda at, y=y: p(at) - y, -20, 30, xtol=1e-12)
        if interval == "delta":
            half = t * error(x) / abs(slope(x))
            found.append((x, x - half, x + half))
            continue
        low = brentq(lambda at, y=y: p(at) + t * error(at) - y, x - 5, x, xtol=1e-12)
        high = brentq(lambda at, y=y: p(at) - t * error(at) - y, x, x + 5, xtol=1e-12)
        found.append((x, low, high))
    return np.array(found)


@click.command(help=__doc__)
@click.option("--readings", default=1_000_000, show_default=True)
def main(readings: int) -> None:
    result = calibration()
    low, high = result.predict(np.array([0.5, 9.5]))
    y = np.random.default_rng(6).uniform(low, high, readings)
    rows = []
    for interval in ("prediction", "mean", "delta"):
        start = time.perf_counter()
        found = result.inverse(y, interval)
        whole = time.perf_counter() - start
        start = time.perf_counter()
        single = one_by_one(result, y[:SINGLE], interval)
        each = (time.perf_counter() - start) / SINGLE
        ours = np.stack([found.x, found.low, found.high], axis=1)[:SINGLE]
        rows.append(
            [
                interval,
                f"{whole:.2f} s",
                f"{1e6 * whole / readings:.2f} us",
                f"{1e6 * each:.0f} us",
                f"{each * readings / whole:.0f}",
                f"{np.abs(ours - single).max():.0e}",
            ]
        )
    head = [
        "interval",
        f"{readings:,} readings",
        "each",
        "brentq, each",
        "ratio",
        "max. difference",
    ]
    for cells in (head, ["--"] * len(head), *rows):
        click.echo(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
