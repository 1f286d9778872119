"""What a run has to leave behind, whatever ended it."""

import re
import subprocess
from dataclasses import replace

import mlflow

import polyreg
from polyreg import tracking
from polyreg.config import TrainConfig
from polyreg.options import from_params
from polyreg.sgd import descend
from polyreg.sgd.training import Training
from tests.conftest import artifact

EVERYTHING = ["coefficients.json", "plots/fit.png", "plots/loss.png", "plots/residuals.png"]
LONG_STEPS = 5_000_000  # over a second
LONG = ("--tolerance", "1e-30", "--max-steps", str(LONG_STEPS), "--noise", "0.1")


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


def trained(config: TrainConfig, steps: int) -> Training:
    """The same training, without tracking, up to a step."""
    alone = Training(replace(config, max_steps=steps))
    for _ in descend.descend(alone):
        pass
    assert alone.curve.steps == steps
    alone.config = config
    return alone


def require_whole(run, status: str) -> Training:
    """All that a training leaves is there, as of its last step."""
    assert run.info.status == status
    steps = int(run.data.metrics["steps"])
    alone = trained(from_params(TrainConfig, run.data.params), steps)
    for name in EVERYTHING:
        assert artifact(run, name).stat().st_size > 100
    [model] = mlflow.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'", output_format="list"
    )
    assert model.name == "model" and model.status == "READY"
    learned = polyreg.load(f"runs:/{run.info.run_id}/model")
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


def all_runs() -> tuple:
    """The sweep's run and its nested ones, the oldest first."""
    runs = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    [parent] = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return parent, sorted(children, key=lambda r: r.info.start_time)
