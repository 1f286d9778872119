"""What log_result, log_training and log_sweep add to somebody's own run: what the command logs."""

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import polyreg
from experiments import fit as fits
from experiments import sweep as sweeps
from experiments import train as trainings
from polyreg import PolynomialRegressor
from polyreg.options import params
from polyreg.sgd import Training
from tests.support.ready import pictures_and_models
from tests.support.tables import calibration
from tests.support.whole import all_runs

PICTURES = ["plots/fit.png", "plots/quantiles.png", "plots/residuals.png"]


@pytest.fixture
def table(store) -> Path:
    data = calibration()
    data.assign(w=np.linspace(0.5, 2, 60), z=-data.x, site="north").to_csv("t.csv", index=False)
    return store


def command(main, *arguments: str):
    """The run of a command, on a store where it is the only one that is no nested one."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return all_runs()[0]


@contextmanager
def own_run():
    """Somebody's own, of which the name, the description, a param and a metric are theirs."""
    mlflow.set_experiment("mine")
    with mlflow.start_run(run_name="Tuesday", description="by hand") as run:
        mlflow.log_param("lab", "B2")
        mlflow.log_metric("offset", 0.25)
        yield run
        found = mlflow.get_run(run.info.run_id)
        assert found.info.status == "RUNNING" and mlflow.active_run() is not None
        assert found.info.run_name == "Tuesday"
        assert found.data.tags["mlflow.note.content"] == "by hand"
        assert found.data.params["lab"] == "B2" and found.data.metrics["offset"] == 0.25


def fresh(run):
    """As it is now, without what was the user's own."""
    found = mlflow.get_run(run.info.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params.pop("lab") == "B2" and found.data.metrics.pop("offset") == 0.25
    return found


def artifacts(run) -> dict[str, bytes]:
    folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/"))
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def told(run) -> dict:
    """All that a run says, but for clocks, its name, and the process whose it is."""
    timed = ("time/", "steps_per_s")
    metrics = {k: v for k, v in run.data.metrics.items() if not k.startswith(timed)}
    files = {
        name: content
        for name, content in artifacts(run).items()
        if not name.startswith(("model/", "models/"))
    }
    documents = {
        n: json.loads(c) for n, c in files.items() if n.endswith(".json") and n != "runs.json"
    }
    datasets = [
        (d.dataset.name, d.dataset.digest, d.dataset.source, d.dataset.schema, d.dataset.profile)
        for d in run.inputs.dataset_inputs
    ]
    client, id_ = mlflow.MlflowClient(), run.info.run_id
    return {
        "params": run.data.params,
        "metrics": metrics,
        "curves": {
            name: sorted((m.step, m.value) for m in client.get_metric_history(id_, name))
            for name in metrics
        },
        "tags": {k: v for k, v in run.data.tags.items() if not k.startswith(("mlflow.", "owner"))},
        "files": sorted(files),
        "documents": documents,
        "datasets": datasets,
        "outputs": len(run.outputs.model_outputs),
    }


def points_of(run) -> list[tuple[int, float]]:
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss/gap")
    return sorted((point.step, point.value) for point in history)


def metrics_of_time(run) -> set[str]:
    return {k for k in run.data.metrics if k.startswith(("time/", "steps_per_s"))}


@pytest.mark.parametrize(
    "options",
    [
        dict(degree=2, features=["x"]),
        dict(degree="auto", max_degree=3, weights="w", features=["x", "z"], interaction_degree=1),
    ],
)
def test_log_result_leaves_what_the_command_leaves(table, options):
    asked = {k: ",".join(v) if isinstance(v, list) else str(v) for k, v in options.items()}
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in asked.items()]
    with pictures_and_models():
        told_by_command = told(
            command(fits.main, "--data=t.csv", "--target=y", "--device=cpu", *flags)
        )
        with own_run() as run:
            result = polyreg.fit("t.csv", target="y", **options)
            polyreg.log_result(result)
    found = fresh(run)
    ours = told(found)
    assert ours == told_by_command
    assert ours["tags"]["data.sha256"] == hashlib.sha256(Path("t.csv").read_bytes()).hexdigest()
    assert {"params", "metrics", "curves", "files", "datasets"} <= {k for k, v in ours.items() if v}
    assert {*PICTURES, "coefficients.json", "sample.json"} <= {*ours["files"]}
    assert {"time/plots_s", "time/model_s"} <= metrics_of_time(found)
    loaded = polyreg.load(f"runs:/{run.info.run_id}/model")
    x = np.column_stack([calibration()[["x"]]] * len(result.variables))
    assert np.array_equal(loaded.predict(x), result.predict(x))
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    served = model.predict(x, params={"interval": "confidence"})
    np.testing.assert_allclose(served["prediction"], result.predict(x), rtol=1e-12)
    assert str(polyreg.compare([run.info.run_id, result])).splitlines()[2].split()[0] == "1"


def test_a_frame_leaves_the_numbers_of_its_file_and_says_which_data_it_was(table):
    data = pd.read_csv("t.csv")
    with pictures_and_models(), own_run() as run:
        result = polyreg.fit(data, target="y", features="x", degree=2)
        polyreg.log_result(result)
    found = fresh(run)
    [dataset] = found.inputs.dataset_inputs
    schema = json.loads(dataset.dataset.schema)["mlflow_colspec"]
    assert [column["name"] for column in schema] == ["x", "y", "w", "z", "site"]
    assert {c["name"]: c["type"] for c in schema}["site"] == "string"
    assert (
        dataset.dataset.digest == result.origin.sha256[:36] == found.data.tags["data.sha256"][:36]
    )
    of_file = polyreg.fit("t.csv", target="y", features="x", degree=2)
    assert found.data.metrics["coef/x.2"] == of_file.coefficients[2]
    assert found.data.params["data"] == "memory" and found.data.params["features"] == "x"


def test_a_loaded_result_leaves_its_coefficients_and_a_model(table):
    fitted = polyreg.fit("t.csv", target="y", features="x", degree=2)
    loaded = polyreg.Result.from_dict(fitted.to_dict())
    with pictures_and_models(), own_run() as run:
        polyreg.log_result(loaded)
    found = fresh(run)
    assert found.data.params == {} and {*found.data.metrics} == {"coef/1", "coef/x", "coef/x.2"}
    again = polyreg.load(f"runs:/{run.info.run_id}/model")
    x = np.linspace(0, 1, 5)
    assert np.array_equal(again.predict(x, "prediction"), fitted.predict(x, "prediction"))


@pytest.mark.parametrize("rows", [60, 4])
def test_the_result_of_a_regressor_is_logged_like_any(store, rows):
    data = calibration(rows)
    model = PolynomialRegressor(degree=5).fit(data[["x"]], data.y)
    with pictures_and_models(), own_run() as run:
        polyreg.log_result(model.result_)
    found = fresh(run)
    assert found.data.params["degree"] == "5" and found.data.params["features"] == "x"
    assert found.data.metrics["rank"] == min(rows, 6)
    assert found.data.tags["full_rank"] == str(rows == 60).lower()
    loaded = polyreg.load(f"runs:/{run.info.run_id}/model")
    assert np.array_equal(loaded.predict(data[["x"]]), model.predict(data[["x"]]))


def test_log_training_leaves_what_the_command_leaves(store):
    options = dict(degree=2, noise=0.3, seed=4, max_steps=1500)
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]
    with pictures_and_models():
        by_command = command(trainings.main, *flags)
        with own_run() as run:
            training = polyreg.train(**options)
            polyreg.log_training(training)
    found = fresh(run)
    assert told(found) == told(by_command)
    assert found.data.params == params(training.config) and len(told(found)["files"]) == 4
    assert metrics_of_time(found) == metrics_of_time(by_command) - {"time/import_s"}
    loaded = polyreg.load(f"runs:/{run.info.run_id}/model")
    assert np.array_equal(loaded.weights, training.result().weights)


def test_log_sweep_leaves_what_the_command_leaves(store):
    lists = (
        "--degrees=1,8",
        "--learning-rates=auto,0.5",
        "--seeds=2",
        "--max-steps=300",
        "--curve-points=20",
    )
    with pictures_and_models():
        by_command, its_children = command(sweeps.main, *lists), all_runs()[1]
        with own_run() as run:
            swept = polyreg.sweep(
                degrees=(1, 8),
                learning_rates=("auto", 0.5),
                seeds=2,
                max_steps=300,
                curve_points=20,
            )
            polyreg.log_sweep(swept)
    found = fresh(run)
    children = mlflow.search_runs(
        [found.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{run.info.run_id}'",
        output_format="list",
    )
    ours, its = told(found), told(by_command)
    best = ours["tags"].pop("best_run_id"), its["tags"].pop("best_run_id")
    assert ours == its and found.data.metrics["runs_diverged"] == 2
    by_name = [{c.info.run_name: c for c in some} for some in (children, its_children)]
    assert by_name[0].keys() == by_name[1].keys() and len(children) == len(swept.runs) == 8
    for name, child in by_name[0].items():
        other = by_name[1][name]
        assert told(child) == told(other) and child.info.status == other.info.status
        assert child.data.tags["mlflow.note.content"] == other.data.tags["mlflow.note.content"]
        curves = [points_of(run) for run in (child, other)]
        assert curves[0] == curves[1] and 0 < len(curves[0]) <= 20
    names = [next(c.info.run_name for c in some.values() if c.info.run_id == id_)
             for some, id_ in zip(by_name, best, strict=True)]  # fmt: skip
    assert names[0] == names[1]
    assert np.array_equal(
        polyreg.load(f"runs:/{best[0]}/model").coefficients, swept.best.coefficients
    )
    listed = json.loads(artifacts(found)["runs.json"])
    assert {row[0] for row in listed["data"]} == {c.info.run_id for c in children}


def test_models_are_registered_under_the_name_that_is_given(table):
    client = mlflow.MlflowClient()
    swept = polyreg.sweep(degrees=(1, 2), learning_rates=("auto",), seeds=1, max_steps=100)
    logged = {
        "fitted": (polyreg.log_result, polyreg.fit("t.csv", target="y", features="x")),
        "trained": (polyreg.log_training, swept.trainings[0]),
        "swept": (polyreg.log_sweep, swept),
    }
    with pictures_and_models():
        for name, (log, what) in logged.items():
            with own_run() as run:
                log(what, register_as=name)
            assert fresh(run).data.params["register_as"] == name
            [version] = client.search_model_versions(f"name = '{name}'")
            assert polyreg.load(f"models:/{name}/{version.version}").coefficients.size


def test_what_is_logged_twice_is_there_twice_and_params_stay(table):
    with pictures_and_models(), own_run() as run:
        for degree in (1, 2):
            polyreg.log_result(polyreg.fit("t.csv", target="y", features="x", degree=degree))
    found = fresh(run)
    assert found.data.params["degree"] == "1" and found.data.metrics["degree"] == 2
    assert len(found.outputs.model_outputs) == 2


def test_polyregs_own_run_is_separate_from_the_active_one(store):
    with own_run() as run:
        with polyreg.start_run("ours", {"a": "1"}) as ours:
            ours.log({"b": 2.0})
        assert ours.id != run.info.run_id
    assert fresh(run).data.params == {} and mlflow.get_run(ours.id).data.metrics == {"b": 2.0}


RESULT = polyreg.fit([0, 1, 2], [0, 1, 4], degree=1)


@pytest.mark.parametrize("log", [polyreg.log_result, polyreg.log_training, polyreg.log_sweep])
def test_without_an_active_run_one_line_says_so_and_nothing_is_made(folder, log):
    swept = polyreg.sweep(degrees=(1,), learning_rates=("auto",), seeds=1, max_steps=10)
    what = {
        polyreg.log_result: RESULT,
        polyreg.log_training: swept.trainings[0],
        polyreg.log_sweep: swept,
    }[log]
    with pytest.raises(polyreg.PolyregError) as caught:
        log(what)
    assert str(caught.value) == (
        "no MLflow run is active; call this inside `with mlflow.start_run():`, or open one with "
        "polyreg.start_run"
    )
    assert not [*folder.iterdir()]


def refusals() -> dict:
    diverged = polyreg.sweep(degrees=(8,), learning_rates=(10.0,), seeds=1).trainings[0]
    fresh_one = Training(polyreg.TrainConfig())
    regressor = PolynomialRegressor(1).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0])
    return {
        "a Result, as polyreg.fit gives it, is to be logged; got a Training": (
            polyreg.log_result, fresh_one),
        "got a PolynomialRegressor; give its result_": (polyreg.log_result, regressor),
        "a Training, as polyreg.train gives it, is to be logged; got a Result": (
            polyreg.log_training, RESULT),
        "a Sweep, as polyreg.sweep gives it, is to be logged; got a list": (polyreg.log_sweep, []),
        "a training without a step has nothing to log; train it first": (
            polyreg.log_training, fresh_one),
        "no polynomial to log: diverged at step": (polyreg.log_training, diverged),
        "register_as must be a name without / : @": (
            lambda result: polyreg.log_result(result, register_as="a/b"), RESULT),
    }  # fmt: skip


def test_what_is_refused_logs_nothing(table):
    with own_run() as run:
        for said, (log, what) in refusals().items():
            with pytest.raises(polyreg.PolyregError) as caught:
                log(what)
            assert said in str(caught.value) and "\n" not in str(caught.value)
        for given, options in (
            (([0, 1], [0, 1]), dict(degree=5)),
            (("t.csv",), dict(target="nope")),
            (("t.csv",), dict(target="y", features="x", degree=99)),
        ):
            with pytest.raises(polyreg.PolyregError):
                polyreg.log_result(polyreg.fit(*given, **options))
        with pytest.raises(polyreg.PolyregError):
            polyreg.log_training(polyreg.train(degree=8, learning_rate=10.0))
    found = fresh(run)
    assert found.data.params == {} and found.data.metrics == {} and not artifacts(found)
    assert found.inputs.dataset_inputs == [] == found.outputs.model_outputs
    assert len(mlflow.search_runs(search_all_experiments=True)) == 1


def test_a_store_that_takes_nothing_is_told_in_one_line(store, monkeypatch):
    def fails(*_, **__):
        raise mlflow.MlflowException("the disk\nis full")

    with own_run(), monkeypatch.context() as broken:
        broken.setattr(mlflow.MlflowClient, "log_batch", fails)
        with pytest.raises(polyreg.PolyregError, match=r"^the disk is full$"):
            polyreg.log_result(RESULT)


def test_autologging_of_a_pipeline_does_not_break(store):
    data = calibration()
    mlflow.sklearn.autolog(silent=True, log_models=False, log_datasets=False)
    try:
        with own_run() as run:
            pipe = make_pipeline(StandardScaler(), PolynomialRegressor(degree=2))
            pipe.fit(data[["x"]], data.y)
            polyreg.log_result(pipe[-1].result_)
    finally:
        mlflow.sklearn.autolog(disable=True)
    found = fresh(run)
    assert found.data.params["polynomialregressor__degree"] == "2"
    assert found.data.params["degree"] == "2" and found.data.metrics["coef/1"]
    assert "training_mean_squared_error" in found.data.metrics
