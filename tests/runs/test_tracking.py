import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from mlflow.cli import cli as mlflow_commands
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

import polyreg
from experiments import predict, repair
from polyreg import tracking
from polyreg.errors import Refused
from polyreg.polynomials.result import Result
from polyreg.reports import figures
from polyreg.tracking import models, owner
from polyreg.tracking.outbox import Message
from polyreg.tracking.sender import LogModel
from tests.conftest import ROOT, artifact

CUBIC = Result.trained(np.array([0.9, 0.5, 3.0]), "monomial", (-2.0, 2.5), condition=1.5)


def runs(name: str = "polyreg"):
    return mlflow.search_runs(experiment_names=[name], output_format="list")


def test_a_run_stores_its_params_under_a_telling_name_in_polyregs_experiment(store):
    with tracking.start_run("degree 3", {"noise": "0.5"}) as run:
        run.tag({"basis": "hermite"})
    [found] = runs()
    assert found.info.run_name == "degree 3" and found.info.status == "FINISHED"
    assert found.data.params == {"noise": "0.5"} and found.data.tags["basis"] == "hermite"


def test_the_experiment_is_the_one_mlflow_was_told(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    with tracking.start_run("a", {}):
        pass
    assert len(runs("mine")) == 1 and not runs()


def test_the_experiment_opens_in_the_view_of_models(store):
    with tracking.start_run("a", {}):
        pass
    tags = mlflow.get_experiment_by_name("polyreg").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_what_mlflow_run_logged_already_stays_as_the_user_typed_it(store, monkeypatch):
    client = mlflow.MlflowClient()
    opened = client.create_run("0")
    client.log_param(opened.info.run_id, "learning_rate", "1e-3")
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    with tracking.start_run("degree 3", {"learning_rate": "0.001", "noise": "0"}) as run:
        assert run.id == opened.info.run_id
    found = client.get_run(run.id)
    assert found.data.params == {"learning_rate": "1e-3", "noise": "0"}
    assert found.info.run_name == "degree 3"  # in place of the random one


def test_a_name_that_someone_gave_is_kept(store, monkeypatch):
    opened = mlflow.MlflowClient().create_run("0", run_name="Tuesday's calibration")
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    with tracking.start_run("degree 3", {}):
        pass
    assert mlflow.get_run(opened.info.run_id).info.run_name == "Tuesday's calibration"


def opened_run(change: str = "", **how) -> str:
    """A run as `mlflow run` opens it, and then changed."""
    client = mlflow.MlflowClient()
    run_id = client.create_run("0", **how).info.run_id
    client.log_param(run_id, "degree", "1")
    if change == "metrics":
        client.log_metric(run_id, "loss/gap", 0.5)
    elif change == "deleted":
        client.delete_run(run_id)
    elif change:
        client.set_terminated(run_id, change)
    return run_id


@pytest.mark.parametrize(
    "change, said",
    [
        ("FINISHED", "has ended (FINISHED)"),
        ("FAILED", "has ended (FAILED)"),
        ("KILLED", "has ended (KILLED)"),
        ("metrics", "has metrics already"),
        ("deleted", "was deleted"),
    ],
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_run_id_left_in_the_shell_is_refused_and_its_run_stays_as_it_is(
    store, monkeypatch, change, said, resume
):
    stale = opened_run(change)
    other = opened_run("KILLED") if resume else ""
    before = [mlflow.get_run(run_id).to_dictionary() for run_id in (stale, other) if run_id]
    monkeypatch.setenv("MLFLOW_RUN_ID", stale)
    told = f"MLFLOW_RUN_ID: run {stale} {said}; `unset MLFLOW_RUN_ID`, and try again"
    with (
        pytest.raises(Refused, match=f"^{re.escape(told)}$"),
        tracking.start_run("a", {"noise": "1"}, resume=other),
    ):
        raise AssertionError("a run was opened")
    after = [mlflow.get_run(run_id).to_dictionary() for run_id in (stale, other) if run_id]
    assert after == before and not runs()


@pytest.mark.parametrize("unknown", ["0" * 32, "not even an id", "é"])
def test_a_run_id_that_the_store_does_not_know_is_refused(store, monkeypatch, unknown):
    monkeypatch.setenv("MLFLOW_RUN_ID", unknown)
    told = f"mlflow.db has no run '{unknown}'; `unset MLFLOW_RUN_ID`"
    with pytest.raises(Refused, match=told), tracking.start_run("a", {}):
        raise AssertionError("a run was opened")


@pytest.mark.parametrize(
    "told, said",
    [
        ({"NAME": "polyreg"}, "is in experiment 'Default', and MLFLOW_EXPERIMENT_NAME is 'poly"),
        ({"ID": "7"}, "is in experiment '0', and MLFLOW_EXPERIMENT_ID is '7'"),
        ({"NAME": "Default"}, ""),
        ({"ID": "0", "NAME": "polyreg"}, ""),  # as `mlflow run`, in a shell with a name
    ],
)
def test_a_run_of_another_experiment_than_the_one_asked_for_is_refused(
    store, monkeypatch, told, said
):
    opened = opened_run()
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    for name, value in told.items():
        monkeypatch.setenv(f"MLFLOW_EXPERIMENT_{name}", value)
    if said:
        with pytest.raises(Refused, match=said), tracking.start_run("a", {}):
            raise AssertionError("a run was opened")
    else:
        with tracking.start_run("a", {}) as run:
            assert run.id == opened
    assert mlflow.get_run(opened).info.status == ("RUNNING" if said else "FINISHED")


def test_an_empty_run_id_is_none(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "")
    with pytest.raises(Refused), tracking.start_run("a", {}, discard=(Refused,)):
        raise Refused("of bad input")
    assert not runs()


def test_a_signal_does_not_change_the_run_of_an_id_left_in_the_shell(store, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)  # nobody stays to change it later
    for change in ("FAILED", "FINISHED", "metrics"):
        stale = opened_run(change)
        before = mlflow.get_run(stale).to_dictionary()
        tracking.kill(stale)
        assert mlflow.get_run(stale).to_dictionary() == before


@pytest.mark.parametrize("mine", [True, False])
def test_a_run_that_mlflow_run_opened_or_that_is_ours_is_killed(store, monkeypatch, mine):
    staying: list[list[str]] = []

    def stay(command, **_):
        staying.append(command)
        return SimpleNamespace(stdout=io.BytesIO())

    monkeypatch.setattr(subprocess, "Popen", stay)
    opened = opened_run("metrics" if mine else "", tags=owner.tag() if mine else {})
    tracking.kill(opened)
    assert mlflow.get_run(opened).info.status == "KILLED"
    assert [command[-1] for command in staying] == [opened]


def test_a_deleted_experiment_is_refused_with_the_command_that_restores_it(store, monkeypatch):
    experiment = mlflow.create_experiment("polyreg")
    mlflow.delete_experiment(experiment)
    told = rf"'polyreg' was deleted; `mlflow (experiments restore --experiment-id {experiment})`"
    with pytest.raises(tracking.Unreachable, match=told) as error, tracking.start_run("a", {}):
        raise AssertionError("a run was opened")
    assert "name another by MLFLOW_EXPERIMENT_NAME" in str(error.value)
    with pytest.raises(tracking.Unreachable, match=f"{told} .* or name another by --experiment$"):
        tracking.search("polyreg", 10)
    with monkeypatch.context() as there:
        there.setenv("MLFLOW_EXPERIMENT_NAME", "another")
        with tracking.start_run("a", {}):
            pass
    assert len(runs("another")) == 1
    command = re.search(told, str(error.value))[1].split()
    assert CliRunner().invoke(mlflow_commands, command).exit_code == 0
    with tracking.start_run("a", {}):
        pass
    assert len(runs()) == 1


def test_an_error_ends_the_run_failed(store):
    with pytest.raises(RuntimeError), tracking.start_run("a", {}):
        raise RuntimeError
    assert runs()[0].info.status == "FAILED"


def test_curves_are_thinned_with_first_and_last_kept_and_steps_from_one(store):
    curve = np.geomspace(1, 1e-4, 12_345)
    with tracking.start_run("a", {}) as run:
        run.log({"steps": 12_345}, {"loss/gap": curve})
    history = mlflow.MlflowClient().get_metric_history(run.id, "loss/gap")
    steps = sorted(m.step for m in history)
    assert steps[0] == 1 and steps[-1] == 12_345 and 700 < len(steps) <= 1000
    assert all(m.value == curve[m.step - 1] for m in history)
    assert mlflow.get_run(run.id).data.metrics["loss/gap"] == curve[-1]


def test_what_is_not_finite_is_never_logged(store):
    with tracking.start_run("a", {}) as run:
        run.log({"a": np.nan, "b": np.inf, "c": 1.0}, {"d": [1.0, -np.inf]})
    assert mlflow.get_run(run.id).data.metrics == {"c": 1.0, "d": 1.0}


def test_coefficients_are_metrics_and_a_file(store):
    with tracking.start_run("a", {}) as run:
        run.coefficients(CUBIC)
    metrics = mlflow.get_run(run.id).data.metrics
    assert metrics == {"coef/1": 0.9, "coef/x": 0.5, "coef/x.2": 3.0}
    file = mlflow.artifacts.download_artifacts(f"runs:/{run.id}/coefficients.json")
    assert json.loads(Path(file).read_text()) == CUBIC.to_dict()


def test_a_figure_is_a_png_under_plots(store):
    with tracking.start_run("a", {}) as run:
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
    with pytest.raises(tracking.Unreachable, match=said) as error, tracking.start_run("a", {}):
        raise AssertionError("a run was opened")
    assert "\n" not in str(error.value)
    assert os.listdir(folder) == ["file"]


@pytest.mark.parametrize("below", ["", "/mlruns", "/mlruns/1"])
def test_an_artifact_folder_that_cannot_be_written_is_noticed_before_there_is_a_run(store, below):
    (store / "file").write_text("")
    mlflow.create_experiment("polyreg", artifact_location=(store / f"file{below}").as_uri())
    require_no_artifacts(f"the artifact folder {store}/file{below} cannot be written (Not a dir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to every folder")
def test_an_artifact_folder_that_is_read_only_is_noticed_before_there_is_a_run(store):
    (store / "mlruns").mkdir(mode=0o555)
    require_no_artifacts(f"the artifact folder {store}/mlruns/1 cannot be written (Permission den")


def test_artifacts_that_go_to_a_server_are_noticed_in_the_store_that_it_made(store):
    mlflow.create_experiment("polyreg", artifact_location="mlflow-artifacts:/1")
    require_no_artifacts("artifacts go to mlflow-artifacts:/1, which a tracking server alone can")


def require_no_artifacts(said: str) -> None:
    with (
        pytest.raises(tracking.Unreachable, match=f"^{re.escape(said)}") as error,
        tracking.start_run("a", {}),
    ):
        raise AssertionError("a run was opened")
    assert "MLFLOW_EXPERIMENT_NAME" in str(error.value) and not runs()
    with pytest.MonkeyPatch.context() as there:
        there.setenv("MLFLOW_EXPERIMENT_NAME", "another")
        if "mlflow-artifacts" in said or "/file" in said:  # the way out
            with tracking.start_run("a", {}) as run:
                run.text("b", "c.txt")
            assert artifact(mlflow.get_run(run.id), "c.txt").read_text() == "b"


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


@pytest.fixture
def before(store) -> str:
    """A run as it was when `model` and `predictor` were two: made as that polyreg made it."""
    document = Path("polyreg.json")
    document.write_text(json.dumps(CUBIC.to_dict()))
    code = models.model_code()
    Path("predictor.py").write_text(code[: code.index("def take_rows")] + OLD_END)
    column = Schema([TensorSpec(np.dtype("float32"), (-1, 1))])
    mlflow.set_experiment("polyreg")
    with mlflow.start_run() as run:
        mlflow.pytorch.log_model(
            torch.nn.Linear(1, 1),
            name="model",
            input_example=np.zeros((2, 1), dtype=np.float32),
            signature=ModelSignature(column, column),
            pip_requirements=["torch"],
            serialization_format="pt2",
            extra_files=[str(document)],
        )
        mlflow.pyfunc.log_model(
            name="predictor",
            python_model="predictor.py",
            artifacts={"document": str(document)},
            signature=ModelSignature(Schema([ColSpec(AnyType(), "x")])),
            input_example=pd.DataFrame({"x": [0.0, 1.0]}),
            pip_requirements=["mlflow"],
        )
    return run.info.run_id


OLD_END = "\nmlflow.models.set_model(Model())\n"


@pytest.mark.parametrize("name", ["model", "predictor"])
def test_the_models_of_runs_before_are_loaded(before, name):
    found = polyreg.load(f"runs:/{before}/{name}")
    assert found.to_dict() == CUBIC.to_dict()
    Path("new.csv").write_text("x\n0.5\n3\n")
    arguments = ["--model", f"runs:/{before}/{name}", "--data", "new.csv", "--out", "out.csv"]
    done = CliRunner().invoke(predict.main, arguments)
    assert done.exit_code == 0, done.output
    written = pd.read_csv("out.csv")
    assert written.prediction.tolist() == CUBIC.predict([0.5, 3.0]).tolist()
    assert written.extrapolated.tolist() == [False, True]


def test_the_model_of_runs_before_takes_columns_by_position_and_their_predictor_by_name(before):
    rows = pd.DataFrame({"other": [0.0, 1.0]}, dtype=np.float32)
    assert len(mlflow.pyfunc.load_model(f"runs:/{before}/model").predict(rows)) == 2
    served = mlflow.pyfunc.load_model(f"runs:/{before}/predictor")
    with pytest.raises(mlflow.MlflowException, match=r"missing inputs \['x'\]"):
        served.predict(rows)


def test_a_run_that_goes_on_has_one_model_in_place_of_the_two_before(before):
    with tracking.start_run("a", {}, resume=before) as run:
        run.model(torch.nn.Linear(1, 1), CUBIC, np.zeros((2, 1)))
    assert [(m.name, m.status) for m in models_of(before)] == [("model", "READY")]
    assert polyreg.load(f"runs:/{before}/model").to_dict() == CUBIC.to_dict()


def models_of(run_id: str) -> list:
    experiment = mlflow.get_run(run_id).info.experiment_id
    condition = f"source_run_id = '{run_id}'"
    return mlflow.search_logged_models([experiment], condition, output_format="list")


def test_a_run_has_one_model_and_its_version_the_equation_and_the_runs_tags(store):
    for version in ("1", "2"):
        with tracking.start_run("a", {}) as run:
            run.tag({"basis": "monomial", "converged": "true"})
            assert run.news == []
            run.model(torch.nn.Linear(1, 1), CUBIC, np.zeros((2, 1)), register_as="it's a 'cubic'")
            assert run.news == [f"registered it's a 'cubic' version {version}"]
        [model] = models_of(run.id)
        found = mlflow.MlflowClient().get_model_version("it's a 'cubic'", version)
        assert found.description == "y = 0.9 + 0.5*x + 3.0*x^2"
        assert found.run_id == run.id and found.source == model.artifact_location
        tags = mlflow.get_run(run.id).data.tags
        own = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
        assert found.tags == own and own["converged"] == "true"
    newest = polyreg.load("models:/it's a 'cubic'@latest")
    assert newest.to_dict() == CUBIC.to_dict()


def test_a_version_whose_making_was_not_heard_of_is_not_made_again(store, monkeypatch):
    plain = mlflow.MlflowClient.create_model_version

    def deaf(client, *arguments, **options):
        monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", plain)
        plain(client, *arguments, **options)
        raise ConnectionError("the answer was lost")

    monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", deaf)
    with tracking.start_run("a", {}) as run:
        run.model(torch.nn.Linear(1, 1), CUBIC, np.zeros((2, 1)), register_as="m")
        assert run.news == []  # as far as anybody knows
    assert run.news == ["registered m version 1"]
    assert len(mlflow.MlflowClient().search_model_versions("name = 'm'")) == 1
    assert not (store / "unsent").exists() and len(models_of(run.id)) == 1


def test_a_model_that_waited_is_registered_when_it_is_sent(store, monkeypatch):
    def away(*arguments, **options):
        raise ConnectionError("the registry is away")

    with monkeypatch.context() as there:
        there.setattr(mlflow.MlflowClient, "create_registered_model", away)
        with (
            pytest.raises(tracking.Unsent, match="repair --send"),
            tracking.start_run("a", {}) as run,
        ):
            run.tag({"basis": "hermite"})
            run.model(torch.nn.Linear(1, 1), CUBIC, np.zeros((2, 1)), register_as="m")
        assert run.news == []
    done = CliRunner().invoke(repair.main, ["--send", f"unsent/{run.id}"])
    assert done.output == f"sent to run {run.id}\nregistered m version 1\n"
    found = mlflow.MlflowClient().get_model_version("m", "1")
    assert found.tags["basis"] == "hermite" and found.description == CUBIC.equation()
    assert polyreg.load("models:/m/1").to_dict() == CUBIC.to_dict()


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
    with tracking.start_run("a", {}):
        pass
    assert runs()[0].info.status == "FINISHED"


# Of earlier versions


@pytest.fixture
def left_unsent(store, monkeypatch) -> tuple[Path, str]:
    """A folder that the first versions left, as if of a run of this store; its run's id."""
    run = mlflow.MlflowClient().create_run(mlflow.create_experiment("polyreg"), run_name="degree 1")
    shutil.copytree(ROOT / "tests/data/left_unsent", store / "unsent/old")
    theirs = json.loads((store / "unsent/old/about.json").read_text())["run"]
    for path in (store / "unsent/old").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(theirs.encode(), run.info.run_id.encode()))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.get_tracking_uri())
    return store / "unsent/old", run.info.run_id


def test_what_the_first_versions_could_not_send_is_sent(left_unsent):
    folder, run_id = left_unsent
    kinds = {json.loads(path.read_text())["do"] for path in folder.glob("[0-9]*.json")}
    assert len(kinds) == 9  # all that there were
    done = CliRunner().invoke(repair.main, ["--send", str(folder)])
    assert done.exit_code == 0, done.output
    assert done.output == f"sent to run {run_id}\nregistered registered version 1\n"
    assert not folder.exists()
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "renamed")
    assert run.data.metrics["steps"] == 3 and run.data.metrics["cv/mse"] == 1
    assert [m.value for m in client.get_metric_history(run_id, "loss/gap")] == [3, 2, 1]
    assert run.inputs.dataset_inputs[0].dataset.name == "calibration.csv"
    files = {file.path for file in client.list_artifacts(run_id)}
    assert files == {"coefficients.json", "note.txt", "runs.json"}
    nested = {r.info.run_name: r for r in runs() if "mlflow.parentRunId" in r.data.tags}
    assert {name: r.info.status for name, r in nested.items()} == {
        "nested": "FINISHED", "lost": "FAILED",
    }  # fmt: skip
    best = nested["nested"]
    assert best.data.tags["mlflow.parentRunId"] == run_id and best.data.params["degree"] == "1"
    assert run.data.tags["best_run_id"] == best.info.run_id
    table = json.loads(artifact(run, "runs.json").read_text())
    assert [row[0] for row in table["data"]] == [nested[k].info.run_id for k in ("nested", "lost")]
    for model in (f"runs:/{run_id}/predictor", "models:/registered/1"):
        assert polyreg.load(model).coefficients[1] == run.data.metrics["coef/x"]


def test_a_message_that_got_halfway_in_the_first_versions_goes_on_from_there():
    """Once the logged model is made, its id is kept with the message."""
    told = (
        '{"do": "model", "run": "r", "name": "model", "register_as": "a", "before": ["m-0"], '
        '"model_id": "m-1", "outputs": true}'
    )
    message = Message.from_json(told)
    assert isinstance(message, LogModel)
    assert (message.model_id, message.before, message.outputs) == ("m-1", ["m-0"], True)
    assert Message.from_json(message.to_json()) == message


@pytest.fixture(scope="module")
def gone() -> dict[str, str]:
    """The identity of a process that has ended."""
    code = "import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])['identity']()))"
    command = [sys.executable, "-c", code, owner.__file__]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("old", [False, True])
def test_runs_of_a_process_that_is_gone_are_found_by_one_tag_or_by_the_first_versions_five(
    store, gone, old
):
    def tags(identity: dict[str, str]) -> dict[str, str]:
        return identity if old else {"owner": json.dumps(identity)}

    client, experiment = mlflow.MlflowClient(), mlflow.create_experiment("polyreg")
    lost = client.create_run(experiment, tags=tags(gone), run_name="lost").info.run_id
    alive = client.create_run(experiment, tags=tags(owner.identity())).info.run_id
    client.create_run(experiment, tags={"owner": "alice"})  # somebody's own tag
    client.create_run(experiment, tags={"owner": '{"name": "alice"}', "team": "lab"})
    assert [run.id for run in tracking.abandoned()] == [lost]
    assert tracking.interrupted(lost).id == lost
    with pytest.raises(Refused, match=f"still going on in process {os.getpid()} on "):
        tracking.interrupted(alive)
    said = CliRunner().invoke(repair.main, []).output
    assert f"{lost}  lost: process {gone['process_id']} on {gone['host']} is gone" in said
    assert [client.get_run(run).info.status for run in (lost, alive)] == ["FAILED", "RUNNING"]


def test_a_run_of_the_first_versions_that_was_resumed_is_its_new_process(store, gone):
    client, experiment = mlflow.MlflowClient(), mlflow.create_experiment("polyreg")
    lost = client.create_run(experiment, tags=gone).info.run_id
    with tracking.start_run("a", {}, resume=lost):
        assert not tracking.abandoned()
        with pytest.raises(Refused, match=f"process {os.getpid()} on "):
            tracking.interrupted(lost)


# In somebody's own run


def test_somebodys_own_run_takes_what_ours_do_and_stays_theirs(store):
    module = torch.nn.Linear(1, 1)
    with mlflow.start_run(run_name="theirs", description="my words") as active:
        theirs = mlflow.create_external_model(name="model")
        mlflow.log_param("degree", "theirs")
        run = tracking.active_run()
        run.params({"degree": "2", "noise": "0.5"})
        run.coefficients(CUBIC)
        run.tag({"basis": "monomial"})
        run.rename("theirs", "ours")
        run.describe("ours", CUBIC)
        run.model(module, CUBIC, np.zeros((2, 1)))
        found = mlflow.get_run(active.info.run_id)  # at once
        assert found.info.status == "RUNNING" and mlflow.active_run() is not None
    found = mlflow.get_run(active.info.run_id)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "theirs")
    assert found.data.tags["mlflow.note.content"] == "my words"
    assert not {"owner", "error"} & found.data.tags.keys()
    assert found.data.params == {"degree": "theirs", "noise": "0.5"}
    assert found.data.metrics["coef/x.2"] == 3 and found.data.tags["basis"] == "monomial"
    assert mlflow.get_logged_model(theirs.model_id).name == "model"  # it was not replaced
    assert polyreg.load(f"runs:/{run.id}/model").coefficients.tolist() == [0.9, 0.5, 3.0]


def test_what_somebodys_own_run_cannot_take_is_one_line_at_once(store):
    with mlflow.start_run():
        run = tracking.active_run()
    mlflow.MlflowClient().delete_run(run.id)
    with pytest.raises(tracking.Unreachable, match=run.id) as error:
        run.tag({"basis": "monomial"})
    assert "\n" not in str(error.value) and not (store / "unsent").exists()


def test_without_a_run_of_somebodys_it_is_one_line_and_logs_nothing(store):
    with pytest.raises(ValueError, match="no MLflow run is active; call this inside") as error:
        tracking.active_run()
    assert "\n" not in str(error.value)
    assert not mlflow.search_runs(search_all_experiments=True, output_format="list")
