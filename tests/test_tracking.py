import json
import os
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

import polyreg
from polyreg import figures, tracking
from polyreg.polynomial import Polynomial

CUBIC = Polynomial(
    coefficients=np.array([0.9, 0.5, 3.0]),
    weights=np.array([0.9, 0.5, 3.0]),
    basis="monomial",
    domain=(-2.0, 2.5),
    condition=1.5,
)


def runs(name: str = "polyreg"):
    return mlflow.search_runs(experiment_names=[name], output_format="list")


def test_a_run_stores_its_params_under_a_telling_name_in_polyregs_experiment(store):
    with tracking.run("degree 3", {"noise": "0.5"}) as run:
        run.tag({"basis": "hermite"})
    [found] = runs()
    assert found.info.run_name == "degree 3" and found.info.status == "FINISHED"
    assert found.data.params == {"noise": "0.5"} and found.data.tags["basis"] == "hermite"


def test_the_experiment_is_the_one_mlflow_was_told(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    with tracking.run("a", {}):
        pass
    assert len(runs("mine")) == 1 and not runs()


def test_the_experiment_opens_in_the_view_of_models(store):
    with tracking.run("a", {}):
        pass
    tags = mlflow.get_experiment_by_name("polyreg").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_what_mlflow_run_logged_already_stays_as_the_user_typed_it(store, monkeypatch):
    client = mlflow.MlflowClient()
    opened = client.create_run("0")
    client.log_param(opened.info.run_id, "learning_rate", "1e-3")
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    with tracking.run("degree 3", {"learning_rate": "0.001", "noise": "0"}) as run:
        assert run.id == opened.info.run_id
    found = client.get_run(run.id)
    assert found.data.params == {"learning_rate": "1e-3", "noise": "0"}
    assert found.info.run_name == "degree 3"  # in place of the random one


def test_a_name_that_someone_gave_is_kept(store, monkeypatch):
    opened = mlflow.MlflowClient().create_run("0", run_name="Tuesday's calibration")
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    with tracking.run("degree 3", {}):
        pass
    assert mlflow.get_run(opened.info.run_id).info.run_name == "Tuesday's calibration"


def test_an_error_ends_the_run_failed(store):
    with pytest.raises(RuntimeError), tracking.run("a", {}):
        raise RuntimeError
    assert runs()[0].info.status == "FAILED"


def test_curves_are_thinned_with_first_and_last_kept_and_steps_from_one(store):
    curve = np.geomspace(1, 1e-4, 12_345)
    with tracking.run("a", {}) as run:
        run.log({"steps": 12_345}, {"loss/gap": curve})
    history = mlflow.MlflowClient().get_metric_history(run.id, "loss/gap")
    steps = sorted(m.step for m in history)
    assert steps[0] == 1 and steps[-1] == 12_345 and 700 < len(steps) <= 1000
    assert all(m.value == curve[m.step - 1] for m in history)
    assert mlflow.get_run(run.id).data.metrics["loss/gap"] == curve[-1]


@pytest.mark.parametrize("points", [0, 1, 2, 999, 1000, 1001, 1500, 10**6])
def test_thinning_keeps_the_ends_and_at_most_a_thousand(points):
    kept = tracking.thinned(np.arange(1, points + 1))
    assert len(kept) == min(points, len(kept)) <= tracking.CURVE_POINTS
    assert kept == sorted(set(kept))
    assert not points or (kept[0], kept[-1]) == (0, points - 1)
    assert points > 1000 or kept == list(range(points))


def test_what_is_not_finite_is_never_logged(store):
    with tracking.run("a", {}) as run:
        run.log({"a": np.nan, "b": np.inf, "c": 1.0}, {"d": [1.0, -np.inf]})
    assert mlflow.get_run(run.id).data.metrics == {"c": 1.0, "d": 1.0}


def test_coefficients_are_metrics_and_a_file(store):
    with tracking.run("a", {}) as run:
        run.coefficients(CUBIC)
    metrics = mlflow.get_run(run.id).data.metrics
    assert metrics == {"coef/1": 0.9, "coef/x": 0.5, "coef/x.2": 3.0}
    file = mlflow.artifacts.download_artifacts(f"runs:/{run.id}/coefficients.json")
    assert json.loads(Path(file).read_text()) == CUBIC.document()


def test_a_figure_is_a_png_under_plots(store):
    with tracking.run("a", {}) as run:
        run.figure(figures.residuals(([0], [1]), ([0], [1]), "t"), "residuals")
    file = mlflow.artifacts.download_artifacts(f"runs:/{run.id}/plots/residuals.png")
    assert Path(file).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "uri, said",
    [
        ("http://127.0.0.1:9", "no tracking server answers at http://127.0.0.1:9"),
        ("http://no.such.host.invalid", "no tracking server answers"),
        ("sqlite:////proc/polyreg/mlflow.db", "cannot be written"),
        ("sqlite:///file/mlflow.db", "cannot be written"),
        ("nonsense://somewhere", "nonsense://somewhere"),
    ],
)
def test_a_store_that_cannot_take_a_run_is_one_line_before_there_is_a_run(folder, uri, said):
    (folder / "file").write_text("")
    mlflow.set_tracking_uri(uri)
    with pytest.raises(tracking.Unreachable, match=said) as error, tracking.run("a", {}):
        raise AssertionError("a run was opened")
    assert "\n" not in str(error.value)
    assert os.listdir(folder) == ["file"]


def test_an_artifact_folder_that_cannot_be_written_is_noticed_before_there_is_a_run(store):
    (store / "file").write_text("")
    mlflow.create_experiment("polyreg", artifact_location=(store / "file/mlruns").as_uri())
    with pytest.raises(tracking.Unreachable, match="artifact folder"), tracking.run("a", {}):
        raise AssertionError("a run was opened")
    assert not runs()


def test_only_polyregs_own_models_are_loaded(store):
    column = Schema([TensorSpec(np.dtype("float32"), (-1, 1))])
    with mlflow.start_run():
        info = mlflow.pytorch.log_model(
            torch.nn.Linear(1, 1),
            name="other",
            input_example=np.zeros((2, 1), dtype=np.float32),
            signature=ModelSignature(column, column),
            pip_requirements=["torch"],
        )
    with pytest.raises(ValueError, match="was not saved by polyreg"):
        polyreg.load(info.model_uri)


def test_the_package_has_nothing_else():
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        _ = polyreg.fit


@pytest.mark.parametrize("call", ["create_experiment", "set_experiment_tag"])
@pytest.mark.parametrize(
    "told", ["RESOURCE_ALREADY_EXISTS: polyreg", "(sqlite3.IntegrityError) UNIQUE"]
)
def test_of_two_that_make_the_experiment_at_once_both_have_it(store, monkeypatch, call, told):
    plain = getattr(mlflow.MlflowClient, call)

    def second(client, *arguments):
        monkeypatch.setattr(mlflow.MlflowClient, call, plain)
        plain(client, *arguments)  # the other's
        raise mlflow.MlflowException(told)

    monkeypatch.setattr(mlflow.MlflowClient, call, second)
    with tracking.run("a", {}):
        pass
    assert runs()[0].info.status == "FINISHED"
