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
from typing import Any

from polyreg import cluster, least_squares
from polyreg.config import FitConfig
from polyreg.least_squares import Passes, Problem
from polyreg.table import Part, Table

# Not getrusage's ru_maxrss: through exec, that keeps the peak of whoever started us.
PEAK = "1024 * int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


TASKS = 2000


def fit(config: FitConfig, engine: Any) -> dict[str, Any]:
    start = time.perf_counter()
    rows = Table.open(config.data, config.target, each=engine and engine.each)
    passes = engine.passes(rows) if engine else Passes(rows)
    problem = Problem.of(passes.survey(config.seed), rows.names, config, "cpu")
    sums = partial(passes.sums, advance=lambda rows: None)
    answer, _ = least_squares.run(problem, sums)
    rows.sha256()
    seconds = time.perf_counter() - start
    state = len(pickle.dumps(sums(problem))) if not engine else 0
    return {"seconds": seconds, "rows": answer.count, "state": state}


def per_task(config: FitConfig, engine: Any) -> float:
    """Seconds for each of many tasks that have nothing to read."""
    nothing = Part(Table.open(config.data, config.target), [], 0)
    start = time.perf_counter()
    engine.total(partial(cluster._tally, 0), [(nothing,)] * TASKS, lambda gaps: None)
    return (time.perf_counter() - start) / TASKS


def main(folder: str, address: str, precision: Any) -> None:
    config = FitConfig(data=folder, target="y", precision=precision)
    base = eval(PEAK)
    start = time.perf_counter()
    with nullcontext() if address == "local" else cluster.connected(address) as engine:
        joined = time.perf_counter() - start
        cold = fit(config, engine)  # a worker's first task imports torch
        warm = fit(config, engine)
        peak = eval(PEAK) - base
        workers = list(engine.each(eval, [PEAK] * 64)) if engine else [0]
        task = per_task(config, engine) if engine else 0
    told = warm | {"cold": cold["seconds"], "joined": joined, "peak": peak}
    print(json.dumps(told | {"workers": max(workers), "task": task}))


if __name__ == "__main__":
    main(*sys.argv[1:])
