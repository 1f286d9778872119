"""What a fit on Ray costs beside the same fit in one process: time, memory, many files.

    python -m benchmarks.cluster

Two nodes of one CPU each, on this machine: what shows is overhead, equality of cost and growth,
not what a network of machines does. All sides in one go, in turn; medians of the rounds, each the
second fit of a fresh driver. Needs `pip install -e '.[bench,ray]'` and 1 GB for temporary files.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from benchmarks.fit import GROUP_ROWS, write
from polyreg.fields import Reading
from polyreg.tables.files import File, Found
from polyreg.tables.table import Table
from tests.support import rays

ROOT = Path(__file__).parent.parent
ROUNDS = 3
FOOTERS = 10_000  # files of a million row groups
MANY, MORE = 5_000_000, 50_000_000
TABLES = {
    # rows, files, precision
    "1,000 rows": (1000, 1, "fast"),
    "5,000,000 rows": (MANY, 1, "fast"),
    "50,000,000 rows": (MORE, 1, "fast"),
    "5,000,000 rows, certified": (MANY, 1, "certified"),
    "5,000,000 rows in 10 files": (MANY, 10, "fast"),
    "5,000,000 rows in 1,000 files": (MANY, 1000, "fast"),
}


def write_all(folder: Path, rows: int, files: int) -> None:
    folder.mkdir()
    for number in range(files):
        path = folder / f"{number:04}.parquet"
        write(path, rows // files)
        subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)  # into the cache


def fit(folder: Path, address: str, precision: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.clustered", str(folder), address, precision]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | rays.SETTINGS
    )
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def cut() -> tuple[int, float, float]:
    """Of a million row groups: the parts, and the seconds and the memory's peak to cut them."""
    schema = pa.schema([("x", pa.float64()), ("y", pa.float64())])
    table = Table.__new__(Table)  # of files that need not be there
    paths = [Path(f"/data/{number:05}.parquet") for number in range(FOOTERS)]
    found = [Found(path, path.name) for path in paths]
    table._files = [File(f, (2**30, 1, 1), "parquet", schema, Reading(), {}) for f in found]
    table.units, table.codes = {}, ()
    table.title, table.format, table.missing = "a million row groups", "parquet", "refuse"
    table.names, table.target, table.weights = ("x",), "y", None
    groups: Any = [([GROUP_ROWS] * (1_000_000 // FOOTERS), None)] * FOOTERS
    vars(table)["_groups"] = groups
    start = time.perf_counter()
    parts = len(table.parts())
    seconds = time.perf_counter() - start
    tracemalloc.start()
    table.parts()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return parts, seconds, peak


def main() -> None:
    with tempfile.TemporaryDirectory() as there, ExitStack() as nodes:
        folder = Path(there)
        for number, (rows, files, _) in enumerate(TABLES.values()):
            write_all(folder / str(number), rows, files)
        sides = {"local": "local"}
        for workers in (1, 2):
            (place := folder / f"ray{workers}").mkdir()
            clustered = rays.started(place, second=workers == 2)
            sides[f"ray, {workers}"] = nodes.enter_context(clustered).gcs
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for _ in range(ROUNDS):
            for number, (name, (_, _, precision)) in enumerate(TABLES.items()):
                for side, address in sides.items():
                    told = fit(folder / str(number), address, precision)
                    found.setdefault((name, side), []).append(told)
                    print(name, side, told, file=sys.stderr)
    report(found)


def report(found: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    def of(name: str, side: str, what: str) -> float:
        return median(told[what] for told in found[name, side])

    def peak(name: str, side: str, what: str) -> str:
        return f"{(of(name, side, what) - of('1,000 rows', side, what)) / 1e6:.0f} MB"

    print("| degree 3, Parquet, SHA-256 included | one process | Ray, 1 worker | 2 workers |")
    print("|--|--|--|--|")
    for name in TABLES:
        sides = ("local", "ray, 1", "ray, 2")
        assert len({told["rows"] for side in sides for told in found[name, side]}) == 1
        seconds = " | ".join(f"{of(name, side, 'seconds'):.3g} s" for side in sides)
        print(f"| {name} | {seconds} |")
    for name in ("5,000,000 rows", "50,000,000 rows"):
        ours = " | ".join(peak(name, side, "peak") for side in ("local", "ray, 1", "ray, 2"))
        print(f"| {name}: driver's peak memory above that of 1,000 rows | {ours} |")
        theirs = " | ".join(peak(name, side, "workers") for side in ("ray, 1", "ray, 2"))
        print(f"| {name}: a worker's, likewise | | {theirs} |")
    joined = " | ".join(f"{of('1,000 rows', s, 'joined'):.3g} s" for s in ("ray, 1", "ray, 2"))
    print(f"| joining the cluster | | {joined} |")
    cold = " | ".join(
        f"{of('1,000 rows', s, 'cold') - of('1,000 rows', s, 'seconds'):.3g} s"
        for s in ("ray, 1", "ray, 2")
    )
    print(f"| the first fit of a driver, besides: workers start and import torch | | {cold} |")
    tasks = " | ".join(f"{1e3 * of('1,000 rows', s, 'task'):.2g} ms" for s in ("ray, 1", "ray, 2"))
    print(f"| a task that has nothing to do | | {tasks} |")
    row = of("50,000,000 rows", "ray, 1", "seconds") - of("1,000 rows", "ray, 1", "seconds")
    certified = "5,000,000 rows, certified"
    exact = of(certified, "ray, 1", "seconds") - of("1,000 rows", "ray, 1", "seconds")
    parts, took, peaked = cut()
    print(f"| cutting a million row groups into {parts:,} tasks | {took:.2g} s | | |")
    print(f"| its peak memory | {peaked / 1e6:.0f} MB | | |")
    many = of("5,000,000 rows in 1,000 files", "ray, 1", "seconds")
    file = (many - of("5,000,000 rows", "ray, 1", "seconds")) / 1000
    small, large = of("50,000,000 rows", "local", "state"), of(certified, "local", "state")
    print(
        f"\nA worker takes {1e9 * row / MORE:.3g} ns a row, certified {1e9 * exact / MANY:.3g} ns,"
    )
    print(f"and {1e3 * file:.2g} ms a file; a state is {small:,.0f} bytes, certified {large:,.0f}.")


if __name__ == "__main__":
    main()
