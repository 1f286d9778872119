"""Servers that stop and file systems that are full: nothing is lost."""

import json
import os
import re
import shutil
import subprocess
import time

import mlflow
import pytest
from click.testing import CliRunner

import polyreg
from experiments import repair
from tests.conftest import artifact, only_run
from tests.support.processes import remote, started, until
from tests.support.whole import LONG, LONG_STEPS, require_whole, runs, training


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


def test_a_server_that_cannot_write_artifacts_is_named_with_the_place_and_the_way_out(
    store, monkeypatch
):
    (store / "artifacts").write_text("a file, where the server's --artifacts-destination should be")
    with remote(store, monkeypatch) as (start, stop):
        start()
        with started("train", "--max-steps", "50", POLYREG_PATIENCE=0) as running:
            _, complained = running.communicate(timeout=100)
        assert running.returncode == 1 and "Traceback" not in complained
        [line] = [text for text in complained.splitlines() if text.startswith("Error:")]
        run = only_run()
        server = f"the tracking server {mlflow.get_tracking_uri()}"
        place = f"mlflow-artifacts:/{run.info.experiment_id}/{run.info.run_id}/artifacts"
        assert line.startswith(f"Error: {server} does not take artifacts at {place}")
        assert "start it with an --artifacts-destination that it can write; what run" in line
        assert server in run.data.tags["error"] and "no tracking server" not in complained
        send = ["--send", str(store / "unsent" / run.info.run_id)]
        assert f"{server} does not take" in CliRunner().invoke(repair.main, send).output
        (store / "artifacts").unlink()
        result = CliRunner().invoke(repair.main, send)
        assert result.exit_code == 0, result.output
        assert only_run().info.status == "FINISHED" and "error" not in only_run().data.tags
        assert polyreg.load(f"runs:/{run.info.run_id}/model").truth is not None
        assert artifact(only_run(), "plots/fit.png").stat().st_size > 100
        stop()


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
    assert run.info.status == "FAILED" and run.data.metrics["steps"] == LONG_STEPS
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
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / "torch"))  # not among what is ours
    mlflow.set_tracking_uri(f"sqlite:///{small_disk}/mlflow.db")
    with started("train", *LONG, CHECKPOINT_SECONDS=100, TMPDIR=elsewhere) as running:
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
