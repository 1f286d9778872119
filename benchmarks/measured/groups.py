"""What many small fits cost in one pass, beside a loop over numpy.polyfit, polars and DuckDB.

    python -m benchmarks.measured.groups

Two tables. In memory: 10,000 groups of 20 rows, degree 2, beside a loop that fits each by
numpy.polyfit with its covariance, the rows lying group by group already, and by statsmodels' OLS
(on a tenth of the groups, times ten). From Parquet: a million groups of 20 rows, sorted and mixed,
beside one fit of all rows, and at degree 1 beside polars and DuckDB, which have no standard errors.
Seconds are medians of the rounds, a ratio the median of the rounds' own.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import statsmodels.api as sm

import polyreg

SMALL, LARGE, ROWS, ROUNDS = 10_000, 1_000_000, 20, 3
FIT: dict[str, Any] = {"target": "y", "features": "x", "precision": "fast"}
DUCKDB = (
    "select s, regr_slope(y, x), regr_intercept(y, x) from read_parquet('{}') group by s order by s"
)


def made(groups: int, is_mixed: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    s = np.repeat(np.arange(groups), ROWS)
    if is_mixed:
        rng.shuffle(s)
    x = rng.uniform(0, 10, len(s))
    return {"s": s, "x": x, "y": 1 + x + 0.1 * x**2 + s % 7 + rng.normal(size=len(s))}


def by_polyfit(columns: dict[str, np.ndarray]) -> np.ndarray:
    x, y = columns["x"].reshape(-1, ROWS), columns["y"].reshape(-1, ROWS)
    return np.array([np.polyfit(a, b, 2, cov=True)[0][::-1] for a, b in zip(x, y, strict=True)])


def by_statsmodels(columns: dict[str, np.ndarray]) -> np.ndarray:
    x = columns["x"].reshape(-1, ROWS)[: SMALL // 10]
    y = columns["y"].reshape(-1, ROWS)[: SMALL // 10]
    fits = (sm.OLS(b, np.vander(a, 3, increasing=True)).fit() for a, b in zip(x, y, strict=True))
    return np.array([[*fit.params, *fit.bse] for fit in fits])


def by_polars(path: str) -> pl.DataFrame:
    x, y = pl.col("x"), pl.col("y")
    slope = pl.cov(x, y) / x.var()
    told = pl.scan_parquet(path).group_by("s").agg(slope=slope, level=y.mean() - slope * x.mean())
    return told.sort("s").collect()


def by_duckdb(path: str) -> pd.DataFrame:
    found = duckdb.sql(DUCKDB.format(path))
    assert found is not None
    return found.df()


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def table(title: str, sides: dict[str, Callable[[], Any]], base: str, scale: dict) -> dict:
    """Seconds of each side, and its ratio to `base`  ->  what each found last."""
    took: dict[str, list[float]] = {name: [] for name in sides}
    found = {}
    for _ in range(ROUNDS):
        for name, work in sides.items():
            here, found[name] = seconds(work)
            took[name].append(here * scale.get(name, 1))
    print(f"| {title} | seconds | ratio |\n| -- | -- | -- |")
    for name, all_took in took.items():
        ratio = median(t / b for t, b in zip(all_took, took[base], strict=True))
        print(f"| {name} | {median(all_took):.3g} | {ratio:.3g} |", flush=True)
    return found


def main() -> None:
    columns = made(SMALL)
    frame, ours = pd.DataFrame(columns), "polyreg, all groups, with errors and digits"
    polyreg.fit(frame, by="s", degree=2, **FIT)  # compiles
    found = table(
        "in memory: 10,000 groups of 20 rows, degree 2",
        {
            ours: lambda: polyreg.fit(frame, by="s", degree=2, **FIT),
            "loop of numpy.polyfit(cov=True)": lambda: by_polyfit(columns),
            "loop of statsmodels' OLS": lambda: by_statsmodels(columns),
        },
        ours,
        {"loop of statsmodels' OLS": 10},
    )
    told = found[ours].to_frame().sort_values("s")
    names = ["coef/1", "coef/x", "coef/x^2"]
    assert np.allclose(told[names], found["loop of numpy.polyfit(cov=True)"], rtol=1e-6, atol=1e-8)
    print()
    with tempfile.TemporaryDirectory() as there:
        paths = {kind: str(Path(there) / f"{kind}.parquet") for kind in ("sorted", "mixed")}
        for kind, path in paths.items():
            rows = pa.table(made(LARGE, kind == "mixed"))
            pq.write_table(rows, path, row_group_size=2**20)
        del rows
        one = "one fit of all rows, degree 2"

        def written(path: str) -> None:
            results = polyreg.fit(path, by="s", degree=2, **FIT)
            results.to_frame().to_parquet(Path(there) / "groups.parquet")

        sides: dict[str, Callable[[], Any]] = {
            one: partial(polyreg.fit, paths["sorted"], degree=2, **FIT)
        }
        for kind, path in paths.items():
            by = partial(polyreg.fit, path, by="s", **FIT)
            sides[f"{kind}: groups, degree 2"] = partial(by, degree=2)
            sides[f"{kind}: groups, degree 2, and their table written"] = partial(written, path)
            sides[f"{kind}: groups, degree 1"] = partial(by, degree=1)
            sides[f"{kind}: polars, slope and level"] = partial(by_polars, path)
            sides[f"{kind}: DuckDB, regr_slope and regr_intercept"] = partial(by_duckdb, path)
        found = table("from Parquet: 1,000,000 groups of 20 rows", sides, one, {})
        told = found["mixed: groups, degree 1"].to_frame().sort_values("s")
        peer = found["mixed: polars, slope and level"]
        assert np.allclose(told["coef/x"], peer["slope"], rtol=1e-6, atol=1e-8)


if __name__ == "__main__":
    main()
