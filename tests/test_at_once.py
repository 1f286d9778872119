"""Many processes on one store, and a store that is being made."""

import os
import sqlite3
import sys

import mlflow
from click.testing import CliRunner

import polyreg
from experiments import train
from polyreg import sgd
from polyreg.config import TrainConfig, from_params
from tests.conftest import artifact, only_run
from tests.processes import process, remote, started, until
from tests.whole import EVERYTHING, runs

# Forked, so that they really start at once, and need not import the same for minutes.
FORKED = """
import multiprocessing, sys, torch.export._trace, mlflow.store.tracking.sqlalchemy_store
from experiments import train
from polyreg import figures, sgd, tracking

process = multiprocessing.get_context("fork").Process
seeds = range(int(sys.argv[1]))
all_of_them = [process(target=train.main, args=(["--seed", str(seed)],)) for seed in seeds]
for one in all_of_them:
    one.start()
for one in all_of_them:
    one.join()
sys.exit(any(one.exitcode for one in all_of_them))
"""


def at_once(count: int) -> None:
    """Start so many trainings, and see them all end well."""
    command = [sys.executable, "-c", FORKED, str(count)]
    with process(command, OMP_NUM_THREADS="1", POLYREG_PATIENCE="300") as running:
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
