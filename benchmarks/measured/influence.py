"""What leverage and Cook's distance of each row cost, beside the fit and beside statsmodels.

    python -m benchmarks.measured.influence

ROWS rows, degree 5. All sides in one go, in turn; seconds are medians of the rounds, a ratio the
median of the rounds' own ratios to the fit. `study` is all that a second look finds: degrees 0 to
7, replicates, the rows that stand out, tests of the residuals.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import statsmodels.api as sm
from statsmodels.stats.outliers_influence import OLSInfluence

import polyreg

ROWS, DEGREE, ROUNDS = 1_000_000, 5, 5


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def statsmodels_influence(x: np.ndarray, y: np.ndarray) -> Any:
    """Leverage and Cook's distance, the fit included: it keeps what they are made of."""
    told = OLSInfluence(sm.OLS(y, np.vander(x, DEGREE + 1, increasing=True)).fit())
    return told.hat_matrix_diag, told.cooks_distance[0]


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, ROWS)
    y = 1 + x - x**5 + rng.normal(0, 0.1, ROWS)
    fit = polyreg.fit(x, y, degree=DEGREE)  # compiles what is compiled
    seconds: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        took, fit = timed(lambda: polyreg.fit(x, y, degree=DEGREE))
        seconds.setdefault("fit", []).append(took)
        took, table = timed(partial(fit.diagnostics, x, y))
        seconds.setdefault("leverage, Cook's distance and more of each row", []).append(took)
        took, _ = timed(partial(getattr, fit, "study"))
        seconds.setdefault("study: two streamed passes", []).append(took)
        took, (h, cook) = timed(lambda: statsmodels_influence(x, y))
        seconds.setdefault("statsmodels: fit, leverage and Cook's distance", []).append(took)
        assert np.allclose(table.leverage, h, rtol=1e-9)
        assert np.allclose(table.cooks_distance, cook, rtol=1e-6, atol=1e-12)
    print("| | seconds | of the fit's |\n|--|--|--|")
    for name, all_took in seconds.items():
        ratio = median(t / f for t, f in zip(all_took, seconds["fit"], strict=True))
        print(f"| {name} | {median(all_took):.2f} | {ratio:.1f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
