"""A training that was interrupted goes on as if it had never stopped."""

import signal
import time

import mlflow
import pytest
from click.testing import CliRunner

from experiments import sweep as experiment
from experiments import train
from polyreg.sgd import sweep
from tests.conftest import only_run
from tests.support.processes import ENDLESS, started, until
from tests.support.whole import LONG, all_runs, end, require_whole, runs, training


@pytest.mark.parametrize("blow", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize(
    "options", [(), ("--optimizer", "adam"), ("--optimizer", "nadam"), ("--momentum", "0.9")]
)
def test_an_interrupted_training_is_resumed_as_if_it_had_never_stopped(store, blow, options):
    if "nadam" in options:  # by torch.optim, step by step
        options = (*options, "--max-steps", "8000")
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
    # One model of this end, and of a signal the one that the first end left.
    assert len(after.outputs.model_outputs) == (2 if blow == signal.SIGTERM else 1)


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
    assert "--degree 4, where that run has 3" in said
    assert "--seed 9, where that run has 0" in said
    assert "--noise" not in said
    assert only_run().info.status == "KILLED"


def interrupted_soon() -> bool:
    try:
        return len(all_runs()[1]) >= 4
    except ValueError:
        return False


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_sweep_is_resumed_where_it_was(store, blow):
    options = ("--degrees", "1,2,3", "--learning-rates", "0.01", "--seeds", "12")
    with started("sweep", *options) as running:
        until(interrupted_soon, 60)
        running.send_signal(blow)
        _, said = running.communicate(timeout=15)
    parent, before = all_runs()
    assert 4 <= len(before) < 36
    if blow == signal.SIGINT:
        assert f"--resume {parent.info.run_id}" in said
        assert {c.info.status for c in before} == {"FINISHED"}
    done = {c.info.run_id for c in before if c.info.status == "FINISHED"}

    result = CliRunner().invoke(experiment.main, ["--resume", parent.info.run_id])
    assert result.exit_code == 0, result.output
    parent, after = all_runs()
    assert parent.info.status == "FINISHED" and len(after) == 36
    assert done <= {c.info.run_id for c in after}
    assert len({(c.data.params["degree"], c.data.params["seed"]) for c in after}) == 36
    assert {c.info.status for c in after} == {"FINISHED"}
    trained = {sweep.Row.from_run(c.info.run_id, c.data.params, c.data.metrics, c.data.tags).config:
               c.data.metrics for c in after}  # fmt: skip
    for one in sweep.train_all(list(trained)):
        assert trained[one.config]["steps"] == one.curve.steps
        assert trained[one.config]["loss/gap"] == one.curve.gap[-1]
