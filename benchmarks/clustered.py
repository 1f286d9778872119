"""One fit, here or on a Ray cluster, in a process of its own; for benchmarks.cluster.

    python -m benchmarks.clustered FOLDER ADDRESS|local fast|certified

Prints seconds and the peak memory above that before the table was opened.
"""

import json
import pickle
import sys
import time
from contextlib import nullcontext
from functools import partial
from operator import methodcaller
from typing import Any

from benchmarks.peers.reading import peak_bytes
from polyreg.cluster import connect, tasks
from polyreg.config import FitConfig
from polyreg.least_squares.fitting import Passes, run
from polyreg.least_squares.problem import Problem
from polyreg.tables.parts import Part
from polyreg.tables.table import Table

TASKS = 2000


def fit(config: FitConfig, engine: Any) -> dict[str, Any]:
    start = time.perf_counter()
    rows = Table.of(config, engine and engine.each)
    passes = engine.passes(rows) if engine else Passes(rows)
    problem = Problem.of(passes.survey(config.seed), rows.names, config, "cpu")
    sums = partial(passes.sums, advance=lambda rows: None)
    answer = run(problem, sums)
    rows.sha256()
    seconds = time.perf_counter() - start
    state = len(pickle.dumps(sums(problem))) if not engine else 0
    return {"seconds": seconds, "rows": answer.nobs, "state": state}


def per_task(config: FitConfig, engine: Any) -> float:
    """Seconds for each of many tasks that have nothing to read."""
    nothing = Part(Table.of(config), [], 0)
    start = time.perf_counter()
    engine.total(partial(tasks._profile, 0), [(nothing,)] * TASKS, lambda gaps: None)
    return (time.perf_counter() - start) / TASKS


def main(folder: str, address: str, precision: Any) -> None:
    tasks.PACKAGES += ("benchmarks",)  # which has peak_bytes
    config = FitConfig(data=folder, target="y", precision=precision)
    base = peak_bytes()
    start = time.perf_counter()
    with nullcontext() if address == "local" else connect.connected(address) as engine:
        joined = time.perf_counter() - start
        cold = fit(config, engine)  # a worker's first task imports torch
        warm = fit(config, engine)
        peak = peak_bytes() - base
        workers = list(engine.each(methodcaller("__call__"), [peak_bytes] * 64)) if engine else [0]
        task = per_task(config, engine) if engine else 0
    told = warm | {"cold": cold["seconds"], "joined": joined, "peak": peak}
    print(json.dumps(told | {"workers": max(workers), "task": task}))


if __name__ == "__main__":
    main(*sys.argv[1:])
