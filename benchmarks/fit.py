"""What a fit costs beside numpy's and scikit-learn's, and beside only reading the file.

    python -m benchmarks.fit [--only memory|parquet|selection]

All sides in one go, in turn; the table goes to docs/speed.md. Medians of the rounds; a ratio is the
median of the rounds' own ratios. What is fast in memory has the compiled sums, which a process
loads after fits to many rows; those from Parquet, each in a fresh process, pay for what they load.
Needs scikit-learn, Linux, and 1 GB for temporary files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.polynomial import Polynomial
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from polyreg.config import FitConfig
from polyreg.least_squares import sums
from polyreg.least_squares.fitting import Passes, fit, run
from polyreg.least_squares.problem import Problem
from polyreg.least_squares.selection import Selection, labelled
from polyreg.tables.rows import InMemory
from tests.support.oracle import digits

ROOT = Path(__file__).parent.parent
ROUNDS = 5
ENOUGH = 20.0  # seconds, after which a side is left out of further rounds
ROWS = 1_000_000
FILE_ROWS = (1000, 5_000_000, 50_000_000)  # the first is the "empty run" that memory counts from
GROUP_ROWS = 2**20
MAX_DEGREE = 15
# A kernel chosen by hand, which slows a current numpy: no side is to be measured with it.
BLAS_SETTINGS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class Run(NamedTuple):
    seconds: float
    result: Any


def timed(work: Callable[[], Any]) -> Run:
    start = time.perf_counter()
    result = work()
    return Run(time.perf_counter() - start, result)


@dataclass(frozen=True)
class Rounds:
    """What each side took in each round, and its result."""

    runs: list[dict[Hashable, Run]]

    @classmethod
    def of(cls, sides: Mapping[Any, Callable[[], Run]]) -> "Rounds":
        found, spent = cls([]), dict.fromkeys(sides, 0.0)
        for _ in range(ROUNDS):
            found.runs.append({})
            for name, side in sides.items():
                if spent[name] < ENOUGH:
                    took = found.runs[-1][name] = side()
                    spent[name] += took.seconds
                    print(f"{name}: {took.seconds:.3f} s", file=sys.stderr)
        return found

    def all(self, *names: Hashable) -> list[list[Run]]:
        """The runs of these sides, in the rounds that had all of them."""
        return [[r[n] for n in names] for r in self.runs if all(n in r for n in names)]

    def time(self, name: Hashable) -> str:
        seconds = median(run.seconds for (run,) in self.all(name))
        return f"{seconds:.3g} s" if seconds >= 0.9995 else f"{1000 * seconds:.3g} ms"

    def ratio(self, name: Hashable, base: Hashable) -> str:
        return f"{median(a.seconds / b.seconds for a, b in self.all(name, base)):.3g}"

    def result(self, name: Hashable) -> Any:
        return self.runs[0][name].result


def cubic(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.polynomial.polynomial.polyval(x, [0.9, 0.5, 3, 2.4]) + random.normal(size=len(x))


def pipeline(degree: int) -> Any:
    # tol=0: by default scikit-learn drops singular values, and with them right digits.
    return make_pipeline(PolynomialFeatures(degree, include_bias=False), LinearRegression(tol=0))


# -- In memory --------------------------------------------------------------------------------


def by_polyreg(x: np.ndarray, y: np.ndarray, degree: int, precision: Any) -> np.ndarray:
    config = FitConfig(data="memory", target="y", degree=degree, precision=precision)
    return fit(InMemory([x], y), config).coefficients


def by_scikit_learn(x: np.ndarray, y: np.ndarray, degree: int) -> np.ndarray:
    last = pipeline(degree).fit(x[:, None], y)[-1]
    return np.array([last.intercept_, *last.coef_])


def load(x: np.ndarray, y: np.ndarray) -> None:
    """Fit until this process has the compiled sums, as it does after some 70 fits to 10^6 rows."""
    while sums.values_seen() < sums.WORTH:
        by_polyreg(x, y, 3, "fast")
    by_polyreg(x, y, 3, "fast")


FITS: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "polyreg fast": lambda x, y, degree: by_polyreg(x, y, degree, "fast"),
    "polyreg certified": lambda x, y, degree: by_polyreg(x, y, degree, "certified"),
    "`numpy.polyfit`": lambda x, y, degree: np.polyfit(x, y, degree)[::-1],
    "`Polynomial.fit`, converted": lambda x, y, degree: Polynomial.fit(x, y, degree).convert().coef,
    "scikit-learn": by_scikit_learn,
}


def memory() -> Iterator[str]:
    random = np.random.default_rng(0)
    x = random.normal(size=ROWS)
    y = cubic(x, random)
    for degree in (3, 10):
        for by in FITS.values():  # untimed: it starts their threads
            by(x, y, degree)
        load(x, y)
        rounds = Rounds.of(
            {name: partial(timed, partial(by, x, y, degree)) for name, by in FITS.items()}
        )
        # The exact answer, rounded: tests.oracle gives the same numbers, in 20 s at degree 10.
        truth = [Fraction(c) for c in rounds.result("polyreg certified").tolist()]
        for name in FITS:
            beside = []
            if name != "polyreg fast":
                beside.append(f"{rounds.ratio(name, 'polyreg fast')} times fast")
            if degree == 10 and name != "polyreg certified":
                right = min(digits(rounds.result(name).tolist(), truth))
                beside.append(f"{right:.1f} right digits")
            what = f"degree {degree}, {ROWS:,} rows in memory: {name}"
            yield f"| {what} | {rounds.time(name)} | {', '.join(beside)} |"


# -- From Parquet -----------------------------------------------------------------------------


READERS = {
    "dataset": "only reading, `pyarrow.dataset`",
    "read_table": "only reading, `pyarrow.parquet.read_table`",
    "polyreg": "polyreg, degree 3 and SHA-256",
}


def write(path: Path, rows: int) -> None:
    random = np.random.default_rng(rows)
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    with pa.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, GROUP_ROWS):
            x = random.normal(size=min(GROUP_ROWS, rows - start))
            writer.write_table(pa.table({"x": x, "y": cubic(x, random)}))


def read(side: str, path: Path, rows: int) -> Run:
    """In a fresh process; the result is its peak memory in MB."""
    command = [sys.executable, "-m", "benchmarks.peers.reading", side, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr}")
    told = json.loads(done.stdout)
    assert told["rows"] == rows
    return Run(told["seconds"], told["peak"] / 1e6)


def parquet() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        paths = {rows: Path(folder) / f"{rows}.parquet" for rows in FILE_ROWS}
        for rows, path in paths.items():
            write(path, rows)
            subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)  # into the cache
        rounds = Rounds.of(
            {
                (side, rows): partial(read, side, path, rows)
                for rows, path in paths.items()
                for side in READERS
            }
        )
    empty, *full = FILE_ROWS
    for rows in full:
        for side, name in READERS.items():
            pairs = rounds.all((side, rows), (side, empty))
            peak = f"peak memory {median(a.result - b.result for a, b in pairs):.0f} MB"
            beside = [f"{peak} above that of {empty:,} rows"]
            if side == "polyreg":
                for other in ("read_table", "dataset"):
                    ratio = rounds.ratio((side, rows), (other, rows))
                    beside.insert(0, f"{ratio} times `{other}`")
            what = f"{rows:,} rows of Parquet: {name}"
            yield f"| {what} | {rounds.time((side, rows))} | {', '.join(beside)} |"


# -- Choosing the degree ----------------------------------------------------------------------


def selection() -> Iterator[str]:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, size=ROWS)
    y = np.sin(3 * x) + random.normal(scale=0.1, size=ROWS)
    config = FitConfig(
        data="memory", target="y", degree="auto", max_degree=MAX_DEGREE, precision="fast"
    )
    split = PredefinedSplit(fold_of_each_row(config))

    def ours() -> Selection | None:
        table = InMemory([x], y)
        problem = Problem.of(table.survey(config.seed), table.names, config, "cpu")
        return run(problem, Passes(table).sums).selection

    def theirs() -> dict[int, float]:
        return {
            degree: -cross_val_score(
                pipeline(degree), x[:, None], y, cv=split, scoring="neg_mean_squared_error"
            ).mean()
            for degree in range(1, MAX_DEGREE + 1)
        }

    load(x, y)
    ours()  # untimed, as in memory
    rounds = Rounds.of({"polyreg": partial(timed, ours), "cross_val_score": partial(timed, theirs)})
    found = rounds.result("polyreg")
    mse = dict(zip(found.degrees, found.mse, strict=True))
    differences = [abs(mse[d] / m - 1) for d, m in rounds.result("cross_val_score").items()]
    what = f"degree 1 to {MAX_DEGREE} by {config.folds} folds, {ROWS:,} rows in memory"
    yield f"| {what}: polyreg fast | {rounds.time('polyreg')} | |"
    yield (
        f"| {what}: scikit-learn's `cross_val_score` | {rounds.time('cross_val_score')} | "
        f"{rounds.ratio('cross_val_score', 'polyreg')} times polyreg, "
        f"mean squared errors differ by {max(differences):.1g} of themselves at most |"
    )


def fold_of_each_row(config: FitConfig) -> np.ndarray:
    """polyreg's own folds: the numbers of the rows go through them in place of x."""
    number = np.arange(ROWS, dtype=float)
    folds = np.full(ROWS, -1)
    for fold, block in labelled(InMemory([number], number).blocks(), config.folds, config.seed):
        folds[block.x[0].astype(int)] = fold
    assert folds.min() == 0
    return folds


PARTS = {"memory": memory, "parquet": parquet, "selection": selection}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="One part of the table.")
    only = parser.parse_args().only
    clean = {name: value for name, value in os.environ.items() if name not in BLAS_SETTINGS}
    if len(clean) < len(os.environ):  # read when numpy was imported, so start again without
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], clean)
    report_blas()
    print("| what | time | beside |")
    print("|--|--|--|")
    for part in [PARTS[only]] if only else PARTS.values():
        for row in part():
            print(row, flush=True)


def report_blas() -> None:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return
    for library in threadpool_info():
        kernel = library.get("architecture", "-")
        threads = library["num_threads"]
        print(f"{Path(library['filepath']).name}: {kernel}, {threads} threads", file=sys.stderr)


if __name__ == "__main__":
    main()
