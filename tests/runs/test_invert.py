"""x from a table of readings, by a logged model."""

import json
import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import polyreg
from experiments import fit, train
from experiments.invert import main
from tests.conftest import artifact, only_run, standing

X = np.arange(0.0, 51.0, 10.0)
Y = [4, 21.2, 44.6, 61.8, 78, 105.2]  # Massart and others, 1988, example 7


def invert(*arguments: str):
    return CliRunner().invoke(main, arguments)


def fitted(table: pd.DataFrame, *arguments: str) -> None:
    table.to_csv("known.csv", index=False)
    given = ["--data", "known.csv", "--target", "y", *arguments]
    result = CliRunner().invoke(fit.main, given)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def known(tmp_path_factory, made_store) -> Path:
    """A folder with a store and a line in it, made once: the tests read it."""
    folder = tmp_path_factory.mktemp("known")
    shutil.copy(made_store, folder / "mlflow.db")
    with standing(folder):
        fitted(pd.DataFrame({"x": X, "y": Y}), "--degree", "1")
    return folder


@pytest.fixture
def model(store, known) -> str:
    """The model of that fit, in a store of the test's own; its files stay where they are."""
    for name in ("mlflow.db", "known.csv"):
        shutil.copy(known / name, store / name)
    return f"runs:/{only_run().info.run_id}/model"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_x_and_its_interval_are_added_and_ids_stay_text(model, ending):
    Path("new.csv").write_text("id,y\n007,15\n08,90\nc,130\nd,\n")
    result = invert("--model", model, "--data", "new.csv", "--out", f"out.{ending}")
    assert result.exit_code == 0, result.output
    read = {"csv": lambda f: pd.read_csv(f, dtype={"id": str}), "parquet": pd.read_parquet}[ending]
    out = read(f"out.{ending}")
    assert list(out) == ["id", "y", "x", "low", "high", "std_error", "extrapolated"]
    assert list(out.id) == ["007", "08", "c", "d"]
    expected = polyreg.load(model).inverse([15, 90, 130])
    for name in ("x", "low", "high", "std_error"):
        np.testing.assert_allclose(out[name][:3], getattr(expected, name), rtol=1e-12)
    assert out.extrapolated[:3].tolist() == [False, False, True] and out.x.isna()[3]
    assert "warning: 1 outside the range" in result.output
    assert "warning: 1 without an x: the reading is missing" in result.output


def test_readings_of_an_item_are_averaged_with_their_own_number(model):
    Path("new.csv").write_text("item,y\n01,89\nb,15\n01,90\n01,91\n01,90\n01,90\nb,\n")
    result = invert(
        "--model", model, "--data", "new.csv", "--group", "item", "--out", "out.csv",
        "--interval", "delta",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    out = pd.read_csv("out.csv", dtype={"item": str})
    assert list(out)[:4] == ["item", "replicates", "y", "x"]
    assert list(out.item) == ["01", "b"] and list(out.replicates) == [5, 1]
    assert out.std_error.to_numpy() == pytest.approx([1.141204, 1.767278], abs=5e-7)
    assert "2 items to out.csv" in result.output


def test_a_column_of_the_models_variable_is_kept_and_x_has_another_name(model):
    Path("new.csv").write_text("x,y\n7,15\n")
    assert invert("--model", model, "--data", "new.csv", "--out", "out.csv").exit_code == 0
    out = pd.read_csv("out.csv")
    assert out.x[0] == 7 and out.x_inverse[0] == pytest.approx(6.09381, abs=5e-6)


def test_limits_are_printed_without_readings(model):
    result = invert("--model", model, "--limits", "--alpha", "0.01")
    assert result.exit_code == 0, result.output
    found = polyreg.load(model).limits(alpha=0.01)
    lines = {re.split(r"  +", line)[0]: line for line in result.output.splitlines()}
    for name in ("decision", "detection", "detection, by bands", "quantification"):
        value = getattr(found, name.replace(", ", "_").replace(" ", "_"))
        assert f"{value:.6g}" in lines[name]


def test_a_run_of_mlflow_keeps_readings_and_limits(model, monkeypatch):
    Path("new.csv").write_text("y\n15\n")
    with mlflow.start_run() as run:
        pass
    mlflow.MlflowClient().update_run(run.info.run_id, status="RUNNING")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    result = invert("--model", model, "--data", "new.csv", "--limits")
    assert result.exit_code == 0, result.output
    run = mlflow.get_run(run.info.run_id)
    assert run.info.run_name.startswith("x from y")
    kept = json.loads(artifact(run, "limits.json").read_text())
    assert kept["decision"] == pytest.approx(polyreg.load(model).limits().decision)
    assert artifact(run, "inverted.parquet").exists()


def test_each_reading_has_its_own_uncertainty(store):
    table = pd.DataFrame({"x": X, "y": Y, "u": [1.0, 1, 1, 2, 2, 2]})
    fitted(table, "--degree", "1", "--sigma", "u")
    model = f"runs:/{only_run().info.run_id}/model"
    new = pd.DataFrame({"item": list("aab"), "y": [14.0, 16, 90], "u": [1.0, 2, 3]})
    new.to_csv("new.csv", index=False)
    given = ["--model", model, "--data", "new.csv", "--out", "out.csv"]
    assert invert(*given).exit_code == 0
    answer = polyreg.load(model)
    expected = answer.inverse(new.y.to_numpy(), sigma=new.u.to_numpy())
    np.testing.assert_allclose(pd.read_csv("out.csv").low, expected.low, rtol=1e-12)
    assert invert(*given, "--group", "item").exit_code == 0
    # The mean's variance is (1 + 4) / 2^2.
    expected = answer.inverse([15.0, 90], sigma=[np.sqrt(5) / 2, 3.0])
    np.testing.assert_allclose(pd.read_csv("out.csv").low, expected.low, rtol=1e-12)
    new.drop(columns="u").to_csv("new.csv", index=False)
    result = invert(*given)
    assert (
        result.exit_code == 0
        and "3 without an interval, for lack of an uncertainty" in result.output
    )
    assert pd.read_csv("out.csv").low.isna().all()
    new.assign(u=[1.0, 0, 2]).to_csv("new.csv", index=False)
    result = invert(*given)
    assert result.exit_code == 0 and "1 without an interval, for lack of" in result.output
    assert pd.read_csv("out.csv").low.isna().tolist() == [False, True, False]
    result = invert("--model", model, "--limits")
    assert result.exit_code == 2 and "near the blank: give sigma" in result.output
    assert invert("--model", model, "--limits", "--sigma", "1").exit_code == 0


def test_a_training_gives_x_alone(store):
    given = ["--coefficients", "1,2", "--degree", "1", "--max-steps", "300", "--seed", "1"]
    assert CliRunner().invoke(train.main, given).exit_code == 0
    Path("new.csv").write_text("y\n1.5\n")
    model = f"runs:/{only_run().info.run_id}/model"
    result = invert("--model", model, "--data", "new.csv", "--out", "out.csv")
    assert result.exit_code == 0, result.output
    out = pd.read_csv("out.csv")
    answer = polyreg.load(model)
    assert answer.predict(out.x[0]) == pytest.approx(1.5) and out.low.isna()[0]


@pytest.mark.parametrize(
    "given, said",
    [
        (["--level", "1"], "--level"),
        (["--alpha", "0", "--limits"], "--alpha"),
        (["--k", "1", "--limits"], "--k"),
        (["--column", "z"], "no column 'z'"),
        (["--sigma", "z"], "no column 'z'"),
        (["--group", "z"], "no column 'z' for --group"),
        (["--group", "id", "--replicates", "3"], "--replicates"),
        (["--branch", "2"], "branch must be one of 1"),
        (["--out", "new.csv"], "is the data itself"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(model, given, said):
    Path("new.csv").write_text("id,y\na,15\n")
    result = invert("--model", model, "--data", "new.csv", *given)
    assert result.exit_code == 2 and said in result.output, result.output
    assert len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--degree", "0"], "constant"),
        (["--degree", "2"], "choose its branch"),
        (["--degree", "1", "--features", "x,b"], "of one variable"),
    ],
)
def test_a_model_without_one_inverse_is_refused(store, arguments, said):
    b = np.array([1.0, 3, 2, 5, 4, 7])
    fitted(pd.DataFrame({"x": X, "b": b, "y": (X - 20) ** 2}), "--features", "x", *arguments)
    Path("new.csv").write_text("y\n15\n")
    model = f"runs:/{only_run().info.run_id}/model"
    result = invert("--model", model, "--data", "new.csv")
    assert result.exit_code == 2 and said in result.output, result.output
    assert len(result.output.strip().splitlines()) == 1


def test_without_data_and_limits_there_is_nothing_to_do():
    result = invert("--model", "runs:/a/model")
    assert result.exit_code == 2 and "--data must name the table" in result.output
