"""What a run costs beside the least it could cost, and beside the same work written naively.

    python -m benchmarks.speed

All sides in one go, in turn, in a store that is already made; the table goes to docs/speed.md.
Medians of the rounds; a ratio is the median of the rounds' own ratios.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
ROUNDS = 5


def seconds(*arguments: str, folder: str, ends: int = 0) -> float:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        environment.pop(name, None)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    took = time.perf_counter() - start
    if done.returncode != ends:
        raise SystemExit(f"{arguments} ended with {done.returncode}:\n{done.stderr}")
    return took


def curve_seconds(folder: str, steps: int = 100_000) -> float:
    import numpy as np

    os.chdir(folder)
    from polyreg import tracking

    curve = np.geomspace(1, 1e-3, steps)
    with tracking.start_run("curve", {}) as run:
        start = time.perf_counter()
        run.log({}, {"loss/train": curve, "loss/gap": curve})
        return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        train = ("-m", "experiments.train")
        sides: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: seconds("-c", "pass", folder=folder),
            "--help": lambda: seconds(*train, "--help", folder=folder),
            "a wrong option": lambda: seconds(*train, "--degree", "-1", folder=folder, ends=2),
            "train --degree 3": lambda: seconds(*train, "--degree", "3", folder=folder),
            "bare": lambda: seconds(str(ROOT / "benchmarks/peers/bare.py"), folder=folder),
            "naive": lambda: seconds(str(ROOT / "benchmarks/peers/naive.py"), folder=folder),
        }
        sides["bare"]()  # makes the store, warms the disk's cache
        rounds = [{name: run() for name, run in sides.items()} for _ in range(ROUNDS)]
        rounds = [r | {"curve": curve_seconds(folder)} for r in rounds]

    def took(name: str) -> str:
        return f"{median(r[name] for r in rounds):.2f} s"

    def more(name: str) -> str:
        return f"{median(r[name] - r['python -c pass'] for r in rounds):.2f} s more than `pass`"

    def ratio(name: str) -> str:
        return f"{median(r['train --degree 3'] / r[name] for r in rounds):.2f}"

    print("| what | median | beside |")
    print("|--|--|--|")
    print(f"| `train --help` | {took('--help')} | {more('--help')} |")
    print(f"| `train --degree -1`, refused | {took('a wrong option')} | {more('a wrong option')} |")
    print(f"| `train --degree 3`, the whole run | {took('train --degree 3')} | |")
    beside = {name: f"ours takes {ratio(name)} times as long" for name in ("bare", "naive")}
    print(f"| imports, one run, one batch, one model | {took('bare')} | {beside['bare']} |")
    print(f"| the tutorial, tracked naively | {took('naive')} | {beside['naive']} |")
    print(f"| logging two curves of 100,000 steps | {took('curve')} | |")


if __name__ == "__main__":
    main()
