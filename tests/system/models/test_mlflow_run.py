"""`mlflow run` of every entry point, and its end by a signal."""

import os
import signal

import mlflow
import pytest
from click.testing import CliRunner

from experiments import train
from polyreg.config import TrainConfig
from tests.conftest import artifact, only_run
from tests.support.forked import forked
from tests.support.processes import ENDLESS, MLFLOW, RUN, mlflow_run, until
from tests.support.tables import calibration
from tests.support.whole import all_runs, require_whole, training


def test_mlflow_run_is_the_same_job_in_the_run_that_mlflow_opened(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    options = ["-P", "degree=2", "-P", "learning_rate=1e-2", "-P", "max_steps=50"]
    done = mlflow_run(store, "--experiment-name", "lab", *options)
    assert done.returncode == 0, done.stderr
    run = only_run("lab")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "degree 2 · rate 0.01 · at most 50 steps"
    assert run.data.params["learning_rate"] == "1e-2"
    assert run.data.metrics["learning_rate"] == 0.01
    options = ("--degree", "2", "--learning-rate", "0.01", "--max-steps", "50")
    assert CliRunner().invoke(train.main, options).exit_code == 0
    direct = only_run()
    of_tables = set(TrainConfig().left_out)  # which MLflow logs by itself
    assert direct.data.params.keys() == run.data.params.keys() - {"resume"} - of_tables
    for key, value in direct.data.metrics.items():
        if not key.startswith(("time/", "steps_per_s")):
            assert run.data.metrics[key] == value
    assert artifact(run, "plots/fit.png").exists()


def test_bad_input_under_mlflow_run_ends_that_run_failed(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    done = mlflow_run(store, "--experiment-name", "lab", "-P", "degre=2")
    assert done.returncode != 0
    assert "Error: No such option" in done.stderr and "Traceback" not in done.stderr
    assert only_run("lab").info.status == "FAILED"


def test_mlflow_run_fits_too(store, monkeypatch):
    calibration().to_csv(store / "calibration.csv", index=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    data = ["-P", f"data={store}/calibration.csv", "-P", "target=y", "-P", "degree=2"]
    done = mlflow_run(store, "-e", "fit", "--experiment-name", "lab", *data)
    assert done.returncode == 0, done.stderr
    run = only_run("lab")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "calibration.csv · y ~ x · degree 2"
    assert run.data.metrics["rank"] == 3


def test_mlflow_run_starts_a_sweep_and_resumes_one(store):
    uri = ("--experiment-name", "polyreg", "-e", "sweep")
    done = mlflow_run(store, *uri, "-P", "degrees=3", "-P", "seeds=2", "-P", "learning_rates=auto")
    assert done.returncode == 0, done.stderr
    parent, children = all_runs()
    assert len(children) == 2 and parent.data.params["degrees"] == "3"
    mlflow.MlflowClient().delete_run(children[0].info.run_id)
    done = mlflow_run(store, *uri, "-P", f"resume={parent.info.run_id}")
    assert done.returncode == 0, done.stderr
    runs = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    nested = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    [said] = [r for r in runs if r.data.tags.get("resumed") == parent.info.run_id]
    assert len(nested) == 2 and len(runs) == 4 and said.info.status == "FINISHED"


@pytest.mark.parametrize("everyone", [True, False])
def test_mlflow_run_that_is_interrupted_leaves_a_killed_run(store, monkeypatch, everyone):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    options = [
        f"-P{k[2:].replace('-', '_')}={v}" for k, v in zip(ENDLESS[::2], ENDLESS[1::2], strict=True)
    ]
    with forked(MLFLOW, *RUN, "--experiment-name", "polyreg", *options) as running:
        until(training)
        if everyone:  # as a terminal does; mlflow then sends SIGTERM besides
            os.killpg(running.pid, signal.SIGINT)
        else:
            running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    until(lambda: only_run().info.status == "KILLED", 5)
    require_whole(only_run(), "KILLED")
