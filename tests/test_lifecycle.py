"""Runs end with their true status and lose nothing, whatever ends them.

Real signals, killed processes, servers that stop, file systems that are full.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import polyreg
from experiments import repair, sweep, train
from polyreg import process, sgd, tracking
from polyreg.config import TrainConfig, from_params
from tests.conftest import ROOT, artifact, only_run
from tests.processes import ENDLESS, free_port, started, tracking_server, until
from tests.processes import process as started_process

SIGNALS = (signal.SIGINT, signal.SIGTERM)
EVERYTHING = ["coefficients.json", "plots/fit.png", "plots/loss.png", "plots/residuals.png"]
LONG = ("--tolerance", "1e-30", "--max-steps", "1500000", "--noise", "0.1")  # some seconds


def runs(**tags: str):
    """All runs of the store that have these tags, the newest first; a pattern for any value."""
    try:
        found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    except mlflow.MlflowException:
        return []  # the store is being made
    return [
        r for r in found if all(re.fullmatch(v, r.data.tags.get(k, "")) for k, v in tags.items())
    ]


def training():
    """The run that is being trained; its data's hash is logged just before that."""
    return [r for r in runs(**{"data.sha256": ".+"}) if r.info.status == "RUNNING"]


def end(running: subprocess.Popen, blow: int) -> str:
    """Send a signal, and give what the process says of it."""
    running.send_signal(blow)
    said, complained = running.communicate(timeout=60)
    assert running.returncode == 128 + blow, complained
    assert "Traceback" not in complained
    return said + complained


def trained(config: TrainConfig, steps: int) -> sgd.Training:
    """The same training, without tracking, up to a step."""
    alone = sgd.Training(config)
    for _ in sgd.descend(alone):
        if alone.curve.steps >= steps:
            break
    assert alone.curve.steps == steps
    return alone


def require_whole(run, status: str) -> sgd.Training:
    """All that a training leaves is there, as of its last step."""
    assert run.info.status == status
    steps = int(run.data.metrics["steps"])
    alone = trained(from_params(TrainConfig, run.data.params), steps)
    for name in EVERYTHING:
        assert artifact(run, name).stat().st_size > 100
    for model in ("model", "predictor"):
        learned = polyreg.load(f"runs:/{run.info.run_id}/{model}")
        assert learned.weights.tolist() == alone.weights.tolist()
    assert run.data.metrics["coef/x"] == learned.coefficients[1]
    for key, values in {"loss/gap": alone.curve.gap, "loss/train": alone.curve.loss}.items():
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, key)
        at = [point.step for point in history]
        assert len(set(at)) == len(at) <= tracking.CURVE_POINTS
        assert min(at) == 1 and max(at) == steps
        kept = dict(zip(alone.curve.at.tolist(), values, strict=True))
        assert all(point.value == kept[point.step] for point in history if point.step in kept)
        assert len(kept.keys() & set(at)) > 50
    return alone


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
        until(lambda: runs(process_id=".+"))
        time.sleep(0.3)
        start = time.monotonic()
        said = end(running, blow)
        assert time.monotonic() - start < 10  # one, on a machine that does nothing else
    run = only_run()
    assert run.info.status == "KILLED" and run.data.tags["error"] == f"ended by {blow.name}"
    assert run.data.params["precision"] == "certified" and said.strip() == f"ended by {blow.name}"


@pytest.mark.parametrize("everyone", [True, False])
def test_mlflow_run_that_is_interrupted_leaves_a_killed_run(store, monkeypatch, everyone):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    options = [
        f"-P{k[2:].replace('-', '_')}={v}" for k, v in zip(ENDLESS[::2], ENDLESS[1::2], strict=True)
    ]
    command = [sys.executable, "-m", "mlflow", "run", str(ROOT), "--env-manager", "local"]
    with started_process([*command, "--experiment-name", "polyreg", *options]) as running:
        until(training)
        if everyone:  # as a terminal does; mlflow then sends SIGTERM besides
            os.killpg(running.pid, signal.SIGINT)
        else:
            running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    until(lambda: only_run().info.status == "KILLED", 5)
    require_whole(only_run(), "KILLED")


def test_a_signal_while_nothing_has_begun_ends_the_run_of_mlflow_run_killed(store, monkeypatch):
    opened = mlflow.MlflowClient().create_run("0")
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    with started("train", *ENDLESS) as running:
        until(lambda: listening(running))  # it imports
        end(running, signal.SIGTERM)
    assert mlflow.get_run(opened.info.run_id).info.status == "KILLED"


def listening(running: subprocess.Popen) -> bool:
    """Whether a process catches SIGTERM, which Python alone does not."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize("blow", SIGNALS)
def test_a_signal_before_there_is_a_run_ends_it_at_once_and_leaves_none(folder, blow):
    with started("train", *ENDLESS) as running:
        until(lambda: listening(running))
        start = time.monotonic()
        assert end(running, blow).strip() == f"ended by {blow.name}"
        assert time.monotonic() - start < 3  # a tenth, on a machine that does nothing else
    assert not os.listdir(folder)


def test_a_comparison_that_is_ended_leaves_no_page_and_no_run(store):
    assert CliRunner().invoke(train.main, []).exit_code == 0
    with started("compare") as running:
        until(lambda: listening(running))
        end(running, signal.SIGTERM)
    assert len(runs()) == 1
    assert sorted(os.listdir(store)) == ["mlflow.db", "mlruns"]


def test_an_error_ends_a_run_failed_with_its_reason(store):
    result = CliRunner().invoke(train.main, ["--learning-rate", "1"])
    assert result.exit_code == 1
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith("diverged at step")
    assert f"Error: {run.data.tags['error']}; run {run.info.run_id}" in result.output


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


def test_a_nested_run_of_a_killed_sweep_is_closed_and_trained_again(store):
    options = ("--degrees", "3", "--learning-rates", "auto", "--seeds", "3")
    assert CliRunner().invoke(sweep.main, options).exit_code == 0
    [parent] = [r for r in runs() if "mlflow.parentRunId" not in r.data.tags]
    half = runs(**{"mlflow.parentRunId": ".+"})[0]
    client = mlflow.MlflowClient()
    gone = process.identity() | {
        "process_start": "1@" + process.identity()["process_start"].split("@")[1]
    }
    for run in (parent, half):  # as a kill -9 in the middle of its log leaves it
        client.update_run(run.info.run_id, status="RUNNING")
        for item in gone.items():
            client.set_tag(run.info.run_id, *item)
    assert "2 closed as FAILED" in CliRunner().invoke(repair.main, []).output
    result = CliRunner().invoke(sweep.main, ["--resume", parent.info.run_id])
    assert result.exit_code == 0, result.output
    children = runs(**{"mlflow.parentRunId": ".+"})
    assert len(children) == 3 and {c.info.status for c in children} == {"FINISHED"}
    assert half.info.run_id not in {c.info.run_id for c in children}


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("options", [(), ("--optimizer", "adam"), ("--momentum", "0.9")])
def test_an_interrupted_training_is_resumed_as_if_it_had_never_stopped(store, blow, options):
    if "adam" in options:
        options = (*options, "--max-steps", "20000")
    with started("train", *LONG, *options, CHECKPOINT_SECONDS=0.2) as running:
        until(lambda: runs(checkpoint=".+"))
        time.sleep(0.3)
        running.send_signal(blow)
        running.communicate(timeout=60)
    [before] = runs()
    reached = before.data.metrics.get("steps", 0)
    assert before.info.status == ("KILLED" if blow == signal.SIGTERM else "RUNNING")
    result = CliRunner().invoke(train.main, ["--resume", before.info.run_id])
    assert result.exit_code == 0, result.output
    [after] = runs()
    assert after.info.run_id == before.info.run_id
    alone = require_whole(after, "FINISHED")
    assert reached < alone.curve.steps == alone.config.max_steps
    assert "error" not in after.data.tags and "checkpoint" not in after.data.tags
    assert not mlflow.MlflowClient().list_artifacts(after.info.run_id, "checkpoint")
    assert after.data.metrics["time/train_s"] > before.data.metrics.get("time/train_s", 0)
    assert len(after.outputs.model_outputs) >= 2


def test_a_training_is_resumed_again_and_again(store):
    run_id = ""
    for _ in range(3):
        resumed = ("--resume", run_id) if run_id else LONG
        with started("train", *resumed, CHECKPOINT_SECONDS=0.2) as running:
            until(lambda: [r for r in training() if "checkpoint" in r.data.tags])
            time.sleep(0.2)
            end(running, signal.SIGTERM)
        run_id = only_run().info.run_id
        require_whole(only_run(), "KILLED")
    assert CliRunner().invoke(train.main, ["--resume", run_id]).exit_code == 0
    require_whole(only_run(), "FINISHED")


def test_what_cannot_be_resumed_is_refused_in_one_line(store):
    def refused(*arguments: str) -> str:
        result = CliRunner().invoke(train.main, arguments)
        assert result.exit_code == 2
        [line] = result.output.splitlines()
        return line

    CliRunner().invoke(train.main, [])
    assert "has finished" in refused("--resume", only_run().info.run_id)
    assert "not found" in refused("--resume", "0" * 32)
    assert "none of this experiment" in refused(
        "--resume", mlflow.MlflowClient().create_run("0").info.run_id
    )
    mlflow.MlflowClient().delete_run(only_run().info.run_id)
    CliRunner().invoke(train.main, ["--learning-rate", "1"])
    assert "diverged at step" in refused("--resume", only_run().info.run_id)
    mlflow.MlflowClient().delete_run(only_run().info.run_id)
    with started("train", *ENDLESS) as running:
        [run] = until(training)
        said = refused("--resume", run.info.run_id)
        assert f"still going on in process {running.pid} on" in said
        end(running, signal.SIGTERM)
    said = refused("--resume", run.info.run_id, "--degree", "4", "--seed", "9", "--noise", "0.1")
    assert "--degree 4, where that run has 3; --seed 9, where that run has 0" in said
    assert "--noise" not in said
    assert only_run().info.status == "KILLED"


@contextmanager
def remote(folder, monkeypatch):
    """A tracking server that can be stopped and started: gives two functions."""
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")
    with ExitStack() as servers:
        yield lambda: servers.enter_context(tracking_server(folder, port)), servers.close


def test_training_goes_on_while_the_server_is_away_and_the_log_follows(store, monkeypatch):
    with remote(store, monkeypatch) as (start, stop):
        start()
        settings = {"CHECKPOINT_SECONDS": 0.3, "POLYREG_PATIENCE": 100}
        with started("train", *LONG, **settings) as running:
            until(lambda: runs(checkpoint=".+"))
            stop()
            until(lambda: (store / "unsent").exists())
            time.sleep(5)  # the training, and some of what it logs
            start()
            _, complained = running.communicate(timeout=100)
        assert running.returncode == 0, complained
        require_whole(only_run(), "FINISHED")
        assert "error" not in only_run().data.tags and not (store / "unsent").exists()


def test_a_sweep_goes_on_while_the_server_is_away_and_the_log_follows(store, monkeypatch):
    with remote(store, monkeypatch) as (start, stop):
        start()
        options = ("--degrees", "2,3", "--learning-rates", "0.01", "--seeds", "12")
        with started("sweep", *options, POLYREG_PATIENCE=100) as running:
            until(lambda: len(runs(converged="true")) > 3)
            stop()
            until(lambda: (store / "unsent").exists())
            time.sleep(2)
            start()
            said, complained = running.communicate(timeout=100)
        assert running.returncode == 0, complained
        children = runs(**{"mlflow.parentRunId": ".+"})
        [parent] = [r for r in runs() if "mlflow.parentRunId" not in r.data.tags]
        assert len(children) == 24 and {c.info.status for c in [parent, *children]} == {"FINISHED"}
        ids = {c.info.run_id for c in children}
        table = json.loads(artifact(parent, "runs.json").read_text())
        assert {row[0] for row in table["data"]} == ids
        assert parent.data.tags["best_run_id"] in ids
        assert f"best    {parent.data.tags['best_run_id']}" in said
        polyreg.load(f"runs:/{parent.data.tags['best_run_id']}/model")


def test_what_a_server_that_stays_away_misses_is_in_a_folder_and_sent_later(store, monkeypatch):
    with remote(store, monkeypatch) as (start, stop):
        start()
        settings = {"CHECKPOINT_SECONDS": 0.3, "POLYREG_PATIENCE": 1}
        with started("train", *LONG, **settings) as running:
            until(lambda: runs(checkpoint=".+"))
            stop()
            _, complained = running.communicate(timeout=100)
        assert running.returncode == 1 and "Traceback" not in complained
        [line] = [text for text in complained.splitlines() if text.startswith("Error:")]
        command = re.search(r"`python -m experiments\.(.*?)`", line)[1].split()
        assert command[:2] == ["repair", "--send"] and command[2] in line.split("`")[0]
        result = CliRunner().invoke(repair.main, command[1:])
        assert result.exit_code == 2 and "no tracking server answers" in result.output
        start()
        result = CliRunner().invoke(repair.main, command[1:])
        assert result.exit_code == 0, result.output
        assert result.output == f"sent to run {only_run().info.run_id}\n"
        require_whole(only_run(), "FINISHED")
        assert not (store / "unsent").exists()
    assert CliRunner().invoke(repair.main, command[1:]).exit_code == 2


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here: that needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk) -> None:
    with open(disk / "ballast", "wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))


def read_only(disk) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def mend(disk) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    (disk / "ballast").unlink(missing_ok=True)


@pytest.mark.parametrize("harm", [fill, read_only])
def test_what_the_artifact_folder_cannot_take_is_in_a_folder_and_sent_later(
    store, small_disk, harm
):
    mlflow.create_experiment("polyreg", artifact_location=small_disk.as_uri())
    with started("train", *LONG, CHECKPOINT_SECONDS=100) as running:
        until(training)
        harm(small_disk)
        _, complained = running.communicate(timeout=100)
    assert running.returncode == 1 and "Traceback" not in complained
    [line] = [text for text in complained.splitlines() if text.startswith("Error:")]
    run = only_run()
    # The store is there: it says that something is missing, and where it is.
    assert run.info.status == "FAILED" and run.data.metrics["steps"] == 1_500_000
    assert str(store / "unsent" / run.info.run_id) in run.data.tags["error"]
    assert f"`python -m experiments.repair --send {store / 'unsent' / run.info.run_id}`" in line
    mend(small_disk)
    result = CliRunner().invoke(repair.main, ["--send", str(store / "unsent" / run.info.run_id)])
    assert result.exit_code == 0, result.output
    require_whole(only_run(), "FINISHED")
    assert "error" not in only_run().data.tags


def test_a_full_disk_under_store_and_working_folder_loses_nothing(
    folder, made_store, small_disk, monkeypatch
):
    shutil.copy(made_store, small_disk / "mlflow.db")
    monkeypatch.chdir(small_disk)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    mlflow.set_tracking_uri(f"sqlite:///{small_disk}/mlflow.db")
    with started("train", *LONG, CHECKPOINT_SECONDS=100) as running:
        until(training)
        fill(small_disk)
        _, complained = running.communicate(timeout=100)
    assert running.returncode == 1 and "Traceback" not in complained
    left = re.search(r"--send (.*)`", complained)[1]
    assert left.startswith(str(elsewhere))
    monkeypatch.chdir(folder)
    mend(small_disk)
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert CliRunner().invoke(repair.main, ["--send", left]).exit_code == 0
    require_whole(only_run(), "FINISHED")
    assert not os.listdir(elsewhere)


def at_once(count: int) -> None:
    """Start so many trainings, and see them all end well."""
    with ExitStack() as stack:
        all_of_them = [
            stack.enter_context(
                started("train", "--seed", str(seed), OMP_NUM_THREADS=1, POLYREG_PATIENCE=300)
            )
            for seed in range(count)
        ]
        # Each is read, or a full pipe would stop it.
        for running in all_of_them:
            _, complained = running.communicate(timeout=400)
            assert running.returncode == 0, complained
    found = runs()
    assert len(found) == count == len({r.data.params["seed"] for r in found})
    assert {r.info.experiment_id for r in found} == {
        mlflow.get_experiment_by_name("polyreg").experiment_id
    }
    for run in found:
        require_whole_short(run)


def require_whole_short(run) -> None:
    assert run.info.status == "FINISHED" and run.data.tags["converged"] == "true"
    for name in EVERYTHING:
        assert artifact(run, name).stat().st_size > 100
    learned = polyreg.load(f"runs:/{run.info.run_id}/model")
    alone = sgd.Training(from_params(TrainConfig, run.data.params))
    for _ in sgd.descend(alone):
        pass
    assert learned.weights.tolist() == alone.weights.tolist()
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss/gap")
    assert [
        point.value for point in sorted(history, key=lambda p: p.step)
    ] == alone.curve.gap.tolist()


def test_sixteen_processes_start_at_once_on_one_new_store(folder):
    at_once(16)
    assert sorted(os.listdir(folder)) == ["mlflow.db", "mlruns"]


def test_sixteen_processes_start_at_once_against_one_server(store, monkeypatch):
    with remote(store, monkeypatch) as (start, _):
        start()
        at_once(16)


def test_a_store_of_another_schema_is_one_line_with_the_command_that_upgrades_it(store):
    with sqlite3.connect(store / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    database.close()
    result = CliRunner().invoke(train.main, [])
    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert f"`mlflow db upgrade sqlite:///{store}/mlflow.db`" in line


def test_a_store_being_made_by_a_process_that_is_killed_is_made_by_the_next(folder):
    with started("train") as running:
        until(lambda: list(folder.glob(".mlflow.db.*")))
        running.kill()
        running.wait()
    assert not (folder / "mlflow.db").exists()
    assert CliRunner().invoke(train.main, []).exit_code == 0
    assert only_run().info.status == "FINISHED"
    assert sorted(os.listdir(folder)) == ["mlflow.db", "mlruns"]
