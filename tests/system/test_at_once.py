"""Many processes on one store, and a store that is being made."""

import os
from contextlib import ExitStack

import mlflow
from click.testing import CliRunner

import polyreg
from experiments import train
from polyreg.config import TrainConfig
from polyreg.options import from_params
from polyreg.sgd import descend, training
from tests.conftest import artifact, only_run
from tests.support.forked import forked
from tests.support.processes import remote, started, until
from tests.support.whole import EVERYTHING, runs


def at_once(count: int) -> None:
    """Start so many trainings, and see them all end well."""
    settings = {"OMP_NUM_THREADS": "1", "POLYREG_PATIENCE": "300"}
    with ExitStack() as those:
        all_of_them = [
            those.enter_context(
                forked("experiments.train:main", "--seed", str(seed), environment=settings)
            )
            for seed in range(count)
        ]
        for one in all_of_them:
            _, complained = one.communicate(timeout=400)
            assert one.returncode == 0, complained
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
    alone = training.Training(from_params(TrainConfig, run.data.params))
    for _ in descend.descend(alone):
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


def test_a_store_being_made_by_a_process_that_is_killed_is_made_by_the_next(folder):
    with started("train") as running:
        until(lambda: list(folder.glob(".mlflow.db.*")))
        running.kill()
        running.wait()
    assert not (folder / "mlflow.db").exists()
    assert CliRunner().invoke(train.main, []).exit_code == 0
    assert only_run().info.status == "FINISHED"
    assert sorted(os.listdir(folder)) == ["mlflow.db", "mlruns"]
