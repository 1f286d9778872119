"""What a tracked sweep costs beside bare MlflowClient calls that write the same runs.

    python -m benchmarks.sweeping

A sweep of 200 runs, as it is by default, with 100 points a curve. The other side has the same runs
with up to 1,000 points a curve, as MLflow's page takes them: written before, read back, and written
again to a new store by create_run, log_batch and set_terminated alone (and log_dict of the
coefficients): no training, no thinning, no parent. A third side writes so what the sweep wrote,
point by point. All in one process after imports, in turn; the table goes to docs/speed.md.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

ROUNDS = 3
CALL = 1000  # metrics that MLflow takes in one call
OPTIONS = ("--degrees", "1,2,3,4,5", "--learning-rates", "auto,0.01", "--seeds", "20")


def store(folder: Path, made: Path):
    """A client of a new store in this folder, which becomes the working one."""
    import mlflow

    folder.mkdir()
    shutil.copy(made, folder / "mlflow.db")
    os.chdir(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    return mlflow.MlflowClient()


def sweep_seconds(*more: str) -> float:
    from click.testing import CliRunner

    from experiments.sweep import main

    start = time.perf_counter()
    done = CliRunner().invoke(main, [*OPTIONS, *more])
    took = time.perf_counter() - start
    if done.exit_code:
        raise SystemExit(done.output)
    return took


def content(client) -> list[tuple]:
    """Name, tags, params, metrics and coefficients of every nested run."""
    import mlflow
    from mlflow.entities import Param

    experiment = client.get_experiment_by_name("polyreg")
    found = []
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        if "mlflow.parentRunId" not in run.data.tags:
            continue
        params = [Param(*item) for item in run.data.params.items()]
        metrics = [
            m for name in run.data.metrics for m in client.get_metric_history(run.info.run_id, name)
        ]
        document = mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/coefficients.json")
        found.append((run.info.run_name, dict(run.data.tags), params, metrics, document))
    return found


def bare_seconds(client, runs: list[tuple]) -> float:
    start = time.perf_counter()
    experiment = client.create_experiment("polyreg")
    for name, tags, params, metrics, document in runs:
        run_id = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        client.log_batch(run_id, metrics=metrics[:CALL], params=params)
        for first in range(CALL, len(metrics), CALL):
            client.log_batch(run_id, metrics=metrics[first : first + CALL])
        client.log_dict(run_id, document, "coefficients.json")
        client.set_terminated(run_id)
    return time.perf_counter() - start


def main() -> None:
    import mlflow

    from polyreg import tracking  # here: imports are not what is measured

    ours, bare, same = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = folder / "made.db"
        mlflow.MlflowClient(f"sqlite:///{made}").search_experiments()
        whole = store(folder / "whole", made)
        sweep_seconds("--curve-points", str(tracking.CURVE_POINTS))
        full = content(whole)
        for k in range(ROUNDS):
            client = store(folder / f"sweep{k}", made)
            ours.append(sweep_seconds())
            runs = content(client)
            bare.append(bare_seconds(store(folder / f"bare{k}", made), full))
            same.append(bare_seconds(store(folder / f"same{k}", made), runs))
        os.chdir("/")
    print("| what | median | beside |")
    print("|--|--|--|")
    print(
        f"| `sweep` of {len(runs)} runs, {points(runs):,} points; training, plots, the best model "
        f"| {median(ours):.1f} s | {ratio(ours, bare):.2f} times bare |"
    )
    print(
        f"| bare MlflowClient calls, the same runs with up to {tracking.CURVE_POINTS:,} points a "
        f"curve: {points(full):,} | {median(bare):.1f} s | |"
    )
    print(
        f"| bare MlflowClient calls, the same runs with the sweep's own points | "
        f"{median(same):.1f} s | {ratio(same, bare):.2f} times bare |"
    )


def points(runs: list[tuple]) -> int:
    return sum(len(metrics) for _, _, _, metrics, _ in runs)


def ratio(ours: list[float], bare: list[float]) -> float:
    return median(a / b for a, b in zip(ours, bare, strict=True))


if __name__ == "__main__":
    main()
