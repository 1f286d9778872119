"""How runs end, and what repair closes; signals are in tests/system."""

import json
import sqlite3

import mlflow
from click.testing import CliRunner

from experiments import repair, sweep, train
from polyreg.tracking import owner
from tests.conftest import only_run
from tests.support.whole import runs


def test_an_error_ends_a_run_failed_with_its_reason(store):
    result = CliRunner().invoke(train.main, ["--learning-rate", "1"])
    assert result.exit_code == 1
    run = only_run()
    assert run.info.status == "FAILED"
    assert run.data.tags["error"].startswith("diverged at step")
    assert f"Error: {run.data.tags['error']}; run {run.info.run_id}" in result.output


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
