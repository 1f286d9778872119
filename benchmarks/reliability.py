"""What runs come to when they are killed, start at once, lose their server, or are told nonsense.

    python -m benchmarks.reliability

Real processes, signals and servers; the table goes to docs/reliability.md. Seconds are medians.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import mlflow

from polyreg import tracking
from tests.support.processes import ENDLESS, free_port, tracking_server, until
from tests.support.processes import started_anew as started

SIGNALS, AT_ONCE, AWAY = 20, 16, 5.0
ROOT = Path(__file__).parent.parent


def runs(status: str) -> list:
    """Those of the store that read so, and whose training has begun."""
    try:
        found = tracking.search("polyreg", 100)
    except tracking.Unreachable:  # there is no store yet, or no experiment
        return []
    return [run for run in found if run.status == status and "data.sha256" in run.tags]


def signals() -> str:
    """A signal in mid-training: how long until the process is gone, and what the run reads then."""
    seconds, logging = [], []
    for k in range(SIGNALS):
        with started("train", *ENDLESS) as running:
            until(lambda: runs("RUNNING"))
            time.sleep(0.5)
            start = time.perf_counter()
            running.send_signal((signal.SIGINT, signal.SIGTERM)[k % 2])
            running.communicate()
            seconds.append(time.perf_counter() - start)
        last = runs("KILLED")[-1]
        names = ("curves", "plots", "model")
        logging.append(sum(last.metrics[f"time/{name}_s"] for name in names))
    whole = sum("coef/x" in run.metrics for run in runs("KILLED"))
    rest = median(s - known for s, known in zip(seconds, logging, strict=True))
    return (
        f"| {SIGNALS} signals to `train`, SIGINT and SIGTERM in turn | {whole} of {SIGNALS} "
        f"KILLED, with coefficients | {median(seconds):.1f} s to the end of the process, "
        f"{rest:.1f} s of them not curves, plots and models |"
    )


def at_once(where: str) -> str:
    start = time.perf_counter()
    with ExitStack() as stack:
        for running in [
            stack.enter_context(started("train", "--seed", str(seed), POLYREG_PATIENCE=300))
            for seed in range(AT_ONCE)
        ]:
            running.communicate()
    took = time.perf_counter() - start
    whole = sum("coef/x" in run.metrics for run in runs("FINISHED"))
    return (
        f"| {AT_ONCE} processes at once on {where} | {whole} of {AT_ONCE} FINISHED | {took:.0f} s |"
    )


def away(folder: Path, port: int) -> str:
    """A server that goes in mid-training and comes back."""
    options = ("--tolerance", "1e-30", "--max-steps", "3000000", "--noise", "0.1")
    with ExitStack() as server:
        server.enter_context(tracking_server(folder, port))
        with started("train", *options, CHECKPOINT_SECONDS=0.3) as running:
            until(lambda: [run for run in runs("RUNNING") if "checkpoint" in run.tags])
            server.close()
            time.sleep(AWAY)
            server.enter_context(tracking_server(folder, port))
            running.communicate()
        steps = [int(run.metrics["steps"]) for run in runs("FINISHED")]
        return (
            f"| server away for {AWAY:g} s and more in mid-training | {len(steps)} of 1 FINISHED, "
            f"{steps[0]:,} steps | exit code {running.returncode} |"
        )


def fuzz() -> str:
    start = time.perf_counter()
    command = ["-m", "pytest", "-q", "tests/runs/test_fuzz.py", "--hypothesis-show-statistics"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    found = re.findall(r"(\d+) passing, (\d+) failing", done.stdout)
    examples = [[int(number) for number in pair] for pair in found]
    good, bad = map(sum, zip(*examples, strict=True))
    took = time.perf_counter() - start
    return (
        f"| fuzz cases: options, tables, new rows (`tests/runs/test_fuzz.py`) | {good:,} answers "
        f"or one line, {bad} else | {took:.0f} s |"
    )


def fresh(stack: ExitStack) -> Path:
    """A new working folder, whose store is not there yet."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    os.chdir(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return folder


def main() -> None:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    rows = []
    with ExitStack() as stack:
        fresh(stack)
        rows.append(signals())
        fresh(stack)
        rows.append(at_once("one new SQLite store"))
        folder, port = fresh(stack), free_port()
        uri = f"http://127.0.0.1:{port}"
        os.environ["MLFLOW_TRACKING_URI"] = uri
        mlflow.set_tracking_uri(uri)
        with tracking_server(folder, port):
            rows.append(at_once("one `mlflow server`"))
        folder, port = fresh(stack), free_port()
        os.environ["MLFLOW_TRACKING_URI"] = uri = f"http://127.0.0.1:{port}"
        mlflow.set_tracking_uri(uri)
        rows.append(away(folder, port))
        del os.environ["MLFLOW_TRACKING_URI"]
        rows.append(fuzz())
        os.chdir(ROOT)
    print("| what | came to | seconds |")
    print("|--|--|--|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
