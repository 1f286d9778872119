"""How runs end, and what repair closes; signals are in tests/system."""

import contextlib
import json
import shutil
import sqlite3

import mlflow
import pytest
from click.testing import CliRunner

from experiments import compare, fit, predict, repair, sweep, train
from polyreg.tracking import owner
from tests.conftest import only_run, standing
from tests.support.whole import runs


def test_an_error_ends_a_run_failed_with_its_reason(store):
    result = CliRunner().invoke(train.main, ["--learning-rate", "1"])
    assert result.exit_code == 1
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith("diverged at step")
    assert f"Error: {run.data.tags['error']}; run {run.info.run_id}" in result.output


COMMANDS = {
    "fit": (fit.main, "--data", "t.csv", "--target", "y", "--degree", "2"),
    "train": (train.main, "--degree", "2"),
    "sweep": (sweep.main, "--degrees", "1,2", "--seeds", "2"),
    "compare": (compare.main, "--last", "1"),
    "predict": (predict.main, "--data", "t.csv", "--model", "runs:/{id}/model"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, made_store):
    """A folder with a store and a finished fit of degree 1 in it, and the fit's id."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copy(made_store, folder / "mlflow.db")
    with standing(folder):
        (folder / "t.csv").write_text("x,y\n0,1\n1,3.5\n2,4.5\n3,7\n4,9\n")
        done = CliRunner().invoke(fit.main, [*COMMANDS["fit"][1:-1], "1"])
        assert done.exit_code == 0, done.output
        return folder, only_run().info.run_id


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_id_left_in_the_shell_overwrites_no_run(finished, monkeypatch, name):
    folder, run_id = finished
    with standing(folder):
        before, files = everything(folder)
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
        main, *options = COMMANDS[name]
        done = CliRunner().invoke(main, [option.format(id=run_id) for option in options])
        assert done.exit_code == 2 and done.stdout == ""
        [line] = done.stderr.splitlines()
        told = f"Error: MLFLOW_RUN_ID: run {run_id} has ended (FINISHED); `unset MLFLOW_RUN_ID`"
        assert line.startswith(told)
        assert everything(folder) == (before, files)


def everything(folder) -> tuple[list, dict]:
    """What the store holds, and the files beside it."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as database:
        rows = list(database.iterdump())
    return rows, {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_nested_run_of_a_killed_sweep_is_closed_and_trained_again(store):
    options = ("--degrees", "3", "--learning-rates", "auto", "--seeds", "3")
    assert CliRunner().invoke(sweep.main, options).exit_code == 0
    [parent] = [r for r in runs() if "mlflow.parentRunId" not in r.data.tags]
    half = runs(**{"mlflow.parentRunId": ".+"})[0]
    client = mlflow.MlflowClient()
    start = "1@" + owner.identity()["process_start"].split("@")[1]
    gone = {"owner": json.dumps(owner.identity() | {"process_start": start})}
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


def test_a_store_of_another_schema_is_one_line_with_the_command_that_upgrades_it(store):
    with sqlite3.connect(store / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    database.close()
    result = CliRunner().invoke(train.main, [])
    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert f"`mlflow db upgrade sqlite:///{store}/mlflow.db`" in line
