"""What a comparison takes: to read its runs, and to make its page and its figure.

    python -m benchmarks.comparing

50 trainings whose curves have 1,000 points, and a sweep of 15 combinations with 5 seeds each (100
points a curve, as it is by default), in a new store on this disk. Read back, laid side by side, and
drawn ROUNDS times, in one process after imports and one comparison that is not counted; medians.
The table goes to docs/speed.md.
"""

import io
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROUNDS = 5
STEPS = 3000
SWEEP = ("--degrees", "1,2,3,4,5", "--learning-rates", "auto,0.01,0.001", "--seeds", "5")


class Took(NamedTuple):
    reading: float  # seconds
    making: float
    size: int  # of the page, bytes


def trained() -> str:
    """The ids of 50 runs: five degrees at two rates, with five seeds each."""
    import polyreg
    from polyreg import tracking
    from polyreg.options import params
    from polyreg.reports import training as reports

    ids = []
    for k in range(50):
        options = {"degree": 1 + k % 5, "learning_rate": (1e-3, 3e-4)[k // 5 % 2], "seed": k // 10}
        training = polyreg.train(noise=1.0, max_steps=STEPS, tolerance=1e-12, **options)
        learned = training.result()
        with tracking.start_run(training.name, params(training.config)) as run:
            reports.log_curves(run, training)
            run.tag(reports.tags(training))
            run.coefficients(learned)
            run.log(reports.reached(training, learned))
        ids.append(run.id)
    return ",".join(ids)


def swept() -> str:
    """The id of a sweep."""
    import mlflow
    from click.testing import CliRunner

    from experiments.sweep import main

    done = CliRunner().invoke(main, SWEEP)
    if done.exit_code:
        raise SystemExit(done.output)
    [run] = mlflow.search_runs(
        experiment_names=["polyreg"], filter_string="params.seeds = '5'", output_format="list"
    )
    return run.info.run_id


def compare(ids: str) -> Took:
    from polyreg.config_reading import CompareConfig
    from polyreg.reports.comparison import figure, page
    from polyreg.reports.comparison.compared import compared
    from polyreg.reports.comparison.reading.runs import read

    start = time.perf_counter()
    found = read(CompareConfig(runs=ids))
    then = time.perf_counter()
    comparison = compared(found)
    content = page.render(comparison)
    figure.comparison(comparison).savefig(io.BytesIO(), format="png")
    return Took(then - start, time.perf_counter() - then, len(content.encode()))


def main() -> None:
    import mlflow

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        sides = {
            "50 runs of 1,000 points": trained(),
            "a sweep of 15 combinations with 5 seeds": swept(),
        }
        for ids in sides.values():
            compare(ids)
        took = {what: [compare(ids) for _ in range(ROUNDS)] for what, ids in sides.items()}
        os.chdir("/")
    print("| what | reading | page and figure | page |")
    print("|--|--|--|--|")
    for what, times in took.items():
        reading, making, size = (median(column) for column in zip(*times, strict=True))
        print(f"| {what} | {reading:.1f} s | {making:.1f} s | {size / 1000:,.0f} kB |")


if __name__ == "__main__":
    main()
