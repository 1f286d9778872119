"""Runs end with their true status and keep all they have, by real signals and killed processes."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from experiments import repair, train
from polyreg import tracking
from tests.conftest import artifact, only_run
from tests.support.processes import ENDLESS, started, started_anew, until
from tests.support.whole import end, require_whole, runs, training

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("blow", SIGNALS)
def test_a_signal_ends_a_training_killed_with_all_that_it_learned(store, blow):
    with started("train", *ENDLESS) as running:
        until(training)
        time.sleep(0.3)
        said = end(running, blow)
    run = only_run()
    require_whole(run, "KILLED")
    assert run.data.tags["error"] == f"ended by {blow.name}"
    assert run.data.tags["converged"] == "false"
    assert f"interrupted at step {int(run.data.metrics['steps']):,}" in said
    assert f"go on   python -m experiments.train --resume {run.info.run_id}" in said


@pytest.mark.parametrize("blow", SIGNALS)
def test_a_signal_ends_a_sweep_killed_with_all_runs_that_were_done(store, blow):
    options = ("--learning-rates", "0.01,0.001", "--seeds", "60")
    with started("sweep", *options) as running:
        until(lambda: len(runs(converged="true")) > 5)
        said = end(running, blow)
    children = runs(converged=".*", **{"mlflow.parentRunId": ".+"})
    [parent] = [r for r in runs() if "mlflow.parentRunId" not in r.data.tags]
    assert parent.info.status == "KILLED" and {c.info.status for c in children} == {"FINISHED"}
    table = json.loads(artifact(parent, "runs.json").read_text())
    assert {row[0] for row in table["data"]} == {c.info.run_id for c in children}
    assert len(children) == parent.data.metrics["runs"] < 600
    assert parent.data.tags["best_run_id"] in {c.info.run_id for c in children}
    assert f"--resume {parent.info.run_id}" in said


@pytest.fixture
def large(store):
    """A table whose certified fit takes some seconds."""
    x = np.random.default_rng(0).uniform(size=2_000_000)
    pa.parquet.write_table(pa.table({"x": x, "y": np.sin(9 * x)}), store / "large.parquet")
    return ("--data", str(store / "large.parquet"), "--target", "y", "--degree", "30",
            "--precision", "certified")  # fmt: skip


@pytest.mark.parametrize("blow", SIGNALS)
def test_a_signal_ends_a_fit_killed_within_a_second(large, blow):
    with started("fit", *large) as running:
        until(lambda: runs(owner=".+"))
        time.sleep(0.3)
        start = time.monotonic()
        said = end(running, blow)
        assert time.monotonic() - start < 10  # one, on a machine that does nothing else
    run = only_run()
    assert run.info.status == "KILLED" and run.data.tags["error"] == f"ended by {blow.name}"
    assert run.data.params["precision"] == "certified" and said.strip() == f"ended by {blow.name}"


def test_a_signal_while_nothing_has_begun_ends_the_run_of_mlflow_run_killed(store, monkeypatch):
    opened = mlflow.MlflowClient().create_run("0")
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    with started_anew("train", *ENDLESS) as running:
        until(lambda: listening(running))  # it imports
        end(running, signal.SIGTERM)
    assert mlflow.get_run(opened.info.run_id).info.status == "KILLED"


def listening(running: subprocess.Popen) -> bool:
    """Whether a process catches SIGTERM, which Python alone does not."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("blow", SIGNALS)
def test_a_signal_before_there_is_a_run_ends_it_at_once_and_leaves_none(folder, blow):
    with started_anew("train", *ENDLESS) as running:
        until(lambda: listening(running))
        start = time.monotonic()
        assert end(running, blow).strip() == f"ended by {blow.name}"
        assert time.monotonic() - start < 3  # a tenth, on a machine that does nothing else
    assert not os.listdir(folder)


def test_a_comparison_that_is_ended_leaves_no_page_and_no_run(store):
    assert CliRunner().invoke(train.main, []).exit_code == 0
    with started_anew("compare") as running:
        until(lambda: listening(running))
        end(running, signal.SIGTERM)
    assert len(runs()) == 1
    assert sorted(os.listdir(store)) == ["mlflow.db", "mlruns"]


def test_what_was_killed_outright_is_found_by_the_next_and_closed_by_repair(store):
    with started("train", *ENDLESS) as running:
        until(training)
        running.kill()
        running.wait()
        [lost] = runs()
        assert lost.info.status == "RUNNING"
        result = CliRunner().invoke(train.main, [])
        assert (
            f"note: 1 run reads RUNNING, but the process is gone ({lost.info.run_id})"
            in result.output
        )
    with started("train", *ENDLESS) as alive:
        until(lambda: len(training()) == 2)
        said = CliRunner().invoke(repair.main, ["--dry-run"]).output
        assert lost.info.run_id in said and len(said.splitlines()) == 1
        assert mlflow.get_run(lost.info.run_id).info.status == "RUNNING"
        said = CliRunner().invoke(repair.main, []).output
        assert lost.info.run_id in said and "1 closed as FAILED" in said
        [going] = training()
        assert CliRunner().invoke(repair.main, []).output.startswith("every run")
        alive.kill()
    closed = mlflow.get_run(lost.info.run_id)
    assert closed.info.status == "FAILED" and closed.info.end_time
    assert f"process {running.pid} on" in closed.data.tags["error"]
    assert going.info.status == "RUNNING"


def test_what_was_killed_outright_has_its_curve_in_the_store_and_goes_on_with_it(store):
    beats = {"CURVE_SECONDS": 0.1, "CHECKPOINT_SECONDS": 0.3}
    with started("train", *ENDLESS, **beats) as running:
        until(lambda: [r for r in runs(checkpoint=".+") if "steps" in r.data.metrics])
        running.kill()
        running.wait()
    [lost] = runs()
    before = logged(lost)
    assert lost.info.status == "RUNNING" and 10 < len(before) <= tracking.CURVE_POINTS // 2
    assert lost.data.metrics["steps"] == max(before)
    assert lost.data.metrics["loss/gap"] == before[max(before)]
    assert "1 closed as FAILED" in CliRunner().invoke(repair.main, []).output
    [closed] = runs()
    assert closed.info.status == "FAILED" and closed.data.metrics == lost.data.metrics
    with started("train", "--resume", lost.info.run_id, **beats) as running:
        until(lambda: only_run().data.metrics["steps"] > max(before))
        end(running, signal.SIGTERM)
    whole = require_whole(only_run(), "KILLED")  # no step twice, and the weights of one alone
    after = logged(only_run())
    assert before.items() <= after.items() and len(after) > len(before)
    assert only_run().data.metrics["steps"] == max(after) == whole.curve.steps


def logged(run) -> dict[int, float]:
    """The gap by its steps, as the store has it."""
    at, gap = tracking.curve(run.info.run_id, "loss/gap")
    return dict(zip(at.tolist(), gap.tolist(), strict=True))
