"""Predictions for new rows from a logged model."""

import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import polyreg
from experiments import compare, fit, train
from experiments.predict import main
from tests.conftest import artifact, only_run, standing


def predict(*arguments: str):
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def known(tmp_path_factory, made_store) -> Path:
    """A folder with a store and a fit in it, made once: the tests read it."""
    folder = tmp_path_factory.mktemp("known")
    shutil.copy(made_store, folder / "mlflow.db")
    with standing(folder):
        made_known()
    return folder


def made_known() -> None:
    random = np.random.default_rng(0)
    data = pd.DataFrame({"a": random.uniform(size=80), "b": random.normal(size=80)})
    data["y"] = 1 + data.a * data.b + random.normal(0, 0.1, 80)
    data.to_csv("known.csv", index=False)
    arguments = ["--data", "known.csv", "--target", "y", "--degree", "2", "--features", "b,a"]
    assert CliRunner().invoke(fit.main, arguments).exit_code == 0


@pytest.fixture
def model(store, known) -> str:
    """The model of that fit, in a store of the test's own; its files stay where they are."""
    for name in ("mlflow.db", "known.csv"):
        shutil.copy(known / name, store / name)
    return f"runs:/{only_run().info.run_id}/model"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_columns_are_matched_by_name_and_four_are_added(model, ending):
    new = pd.DataFrame({"label": ["u", "v", "w"], "b": [0, 1, 2], "a": [0.5, 0.25, 7.0]})
    new.to_csv("new.csv", index=False)
    result = predict("--model", model, "--data", "new.csv", "--out", f"out.{ending}")
    assert result.exit_code == 0, result.output
    out = pd.read_csv("out.csv") if ending == "csv" else pd.read_parquet("out.parquet")
    added = ["prediction", "low", "high", "extrapolated"]
    assert list(out) == ["label", "b", "a", *added] and list(out.label) == ["u", "v", "w"]
    expected = polyreg.load(model).predict(new[["b", "a"]].to_numpy(float), interval="prediction")
    np.testing.assert_allclose(out[added[:3]].to_numpy().T, expected, rtol=1e-12)
    assert out.extrapolated.tolist() == [False, False, True]
    assert "warning: 1 outside the range" in result.output


def test_a_confidence_interval_is_narrower(model):
    pd.DataFrame({"a": [0.5], "b": [0.0]}).to_parquet("new.parquet")
    arguments = ["--model", model, "--data", "new.parquet"]
    widths = []
    for interval in ("confidence", "prediction"):
        assert predict(*arguments, "--interval", interval).exit_code == 0
        out = pd.read_parquet("predictions.parquet")
        widths.append(float(out.high[0] - out.low[0]))
    assert widths[0] < widths[1]


def test_the_interval_of_a_new_row_takes_its_weight_from_the_column_of_that_name(store):
    x = np.linspace(1, 12, 60)
    y = 2 + 3 * x + 0.1 * x * np.random.default_rng(0).normal(size=60)
    pd.DataFrame({"x": x, "y": y, "w": x**-2}).to_csv("rows.csv", index=False)
    arguments = ["--data", "rows.csv", "--target", "y", "--weights", "w", "--degree", "1"]
    assert CliRunner().invoke(fit.main, arguments).exit_code == 0
    model = f"runs:/{only_run().info.run_id}/model"
    new = pd.DataFrame({"x": [1.0, 10.0, 3.0, 4.0], "w": [1.0, 0.01, 0.0, None]})
    new.to_csv("new.csv", index=False)
    result = predict("--model", model, "--data", "new.csv", "--out", "out.csv")
    assert result.exit_code == 0, result.output
    assert "warning: 2 without an interval, for lack of a weight above 0 in w" in result.output
    out = pd.read_csv("out.csv")
    loaded = polyreg.load(model)
    expected = loaded.predict(new.x[:2], "prediction", weights=new.w[:2])
    np.testing.assert_allclose(out.loc[:1, ["prediction", "low", "high"]].T, expected, rtol=1e-12)
    assert out.prediction.notna().all() and out.low.isna().tolist() == [False] * 2 + [True] * 2
    served = mlflow.pyfunc.load_model(model).predict(new[:2])  # MLflow lets the column through
    np.testing.assert_allclose(served[["prediction", "low", "high"]].T, expected, rtol=1e-12)
    new[["x"]].to_csv("new.csv", index=False)
    result = predict("--model", model, "--data", "new.csv", "--out", "out.csv")
    assert result.exit_code == 0 and "in the column w, or ask for the interval" in result.output
    out = pd.read_csv("out.csv")
    assert out.low.isna().all() and out.high.isna().all() and out.prediction.notna().all()
    arguments = ["--model", model, "--data", "new.csv", "--interval", "confidence"]
    result = predict(*arguments, "--out", "out.csv")
    assert "note" not in result.output and pd.read_csv("out.csv").low.notna().all()


def test_a_missing_value_has_no_prediction(model):
    pd.DataFrame({"a": [0.5, None, 0.5], "b": [0.0, 1.0, np.inf]}).to_csv("new.csv", index=False)
    result = predict("--model", model, "--data", "new.csv")
    assert result.exit_code == 0 and "warning: 2 without a prediction" in result.output
    out = pd.read_parquet("predictions.parquet")
    assert out.prediction.notna().tolist() == [True, False, False]
    assert out.extrapolated.isna().tolist() == [False, True, True]


def test_a_long_table_is_predicted_in_parts_and_in_order(model):
    random = np.random.default_rng(1)
    x = random.uniform(size=(300_000, 2))
    pd.DataFrame(x, columns=["b", "a"])[["a", "b"]].to_parquet("new.parquet", row_group_size=70_000)
    assert predict("--model", model, "--data", "new.parquet").exit_code == 0
    out = pd.read_parquet("predictions.parquet")
    expected = polyreg.load(model).predict(x)
    np.testing.assert_allclose(out.prediction, expected, rtol=1e-12)


def test_a_trained_model_predicts_without_intervals(store):
    assert CliRunner().invoke(train.main, []).exit_code == 0
    pd.DataFrame({"x": [0.0, 50.0]}).to_csv("new.csv", index=False)
    uri = f"runs:/{only_run().info.run_id}/model"
    assert predict("--model", uri, "--data", "new.csv").exit_code == 0
    out = pd.read_parquet("predictions.parquet")
    np.testing.assert_allclose(out.prediction, polyreg.load(uri).predict([0.0, 50.0]))
    assert out.low.isna().all() and out.extrapolated.tolist() == [False, True]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--model", "runs:/none/model"], "no model at runs:/none/model"),
        (["--data", "none.csv"], "none.csv"),
        (["--data", "other.csv"], "no column 'a'"),
        (["--data", "text.csv"], "row 2"),
        (["--data", "taken.csv"], "has a column low already"),
        (["--out", "out.txt"], "must end in .parquet or .csv"),
        (["--out", "none/out.csv"], "none/out.csv"),
        (["--out", "new.csv"], "is the data itself"),
        (["--interval", "wide"], "'wide'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_writes_nothing(model, store, arguments, said):
    new = pd.DataFrame({"a": [0.5, 0.5], "b": [0.0, 1.0]})
    new.to_csv("new.csv", index=False)
    new.rename(columns={"a": "c"}).to_csv("other.csv", index=False)
    new.assign(low=1).to_csv("taken.csv", index=False)
    new.assign(a=["1", "one"]).to_csv("text.csv", index=False)
    before = {f.name for f in store.iterdir()}
    result = predict("--model", model, "--data", "new.csv", "--out", "out.csv", *arguments)
    assert result.exit_code == 2, result.output
    [line] = result.output.splitlines()
    assert line.startswith("Error: ") and said in line
    assert {f.name for f in store.iterdir()} == before


def test_only_what_polyreg_saved_is_taken(store):
    with pytest.raises(ValueError, match="no model at runs:/none/model"):
        polyreg.load("runs:/none/model")
    assert mlflow.search_experiments()


def test_columns_that_are_not_used_stay_as_they_were_written(model):
    Path("new.csv").write_text("zip,id,a,b,flag\n00501,12345678901234567890123,0.5,1,NA\n")
    assert predict("--model", model, "--data", "new.csv", "--out", "out.csv").exit_code == 0
    out = pd.read_csv("out.csv", dtype=str, keep_default_na=False)
    assert out.iloc[0, :5].tolist() == ["00501", "12345678901234567890123", "0.5", "1", "NA"]


def test_a_model_whose_terms_depend_predicts_without_intervals_and_says_so(store):
    random = np.random.default_rng(0)
    data = pd.DataFrame({"a": random.uniform(size=50)})
    data["b"] = 2 * data.a + 1
    data["y"] = data.a + random.normal(size=50)
    data.to_csv("known.csv", index=False)
    arguments = ["--data", "known.csv", "--target", "y", "--degree", "1"]
    assert CliRunner().invoke(fit.main, arguments).exit_code == 0
    result = predict("--model", f"runs:/{only_run().info.run_id}/model", "--data", "known.csv")
    assert (
        result.exit_code == 0 and "note: rank 2 of 3: on these rows b is 1 + 2*a" in result.output
    )
    out = pd.read_parquet("predictions.parquet")
    assert out.prediction.notna().all() and out.low.isna().all()


def test_a_table_without_rows_writes_nothing(model):
    Path("new.csv").write_text("a,b\n")
    Path("out.csv").write_text("kept")
    result = predict("--model", model, "--data", "new.csv", "--out", "out.csv")
    assert result.exit_code == 2 and "no rows" in result.output
    assert Path("out.csv").read_text() == "kept"


def test_a_frame_is_read_by_its_names(model):
    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [0.5, 0.25], "other": ["u", "v"]})
    answer = polyreg.load(model)
    expected = answer.predict(frame[["b", "a"]].to_numpy())
    np.testing.assert_array_equal(answer.predict(frame), expected)
    with pytest.raises(ValueError, match="no column 'a'; the variables are b, a"):
        answer.predict(frame[["b"]])


@pytest.fixture
def moved(tmp_path, known, made_store):
    """A store whose folder was renamed, with a registered fit; the run's id, the old folder."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    shutil.copy(made_store, old / "mlflow.db")
    with standing(old):
        options = ["--data", str(known / "known.csv"), "--target", "y", "--register-as", "cal"]
        assert CliRunner().invoke(fit.main, options).exit_code == 0
        run_id = only_run().info.run_id
    old.rename(new)
    shutil.copy(known / "known.csv", new)
    with standing(new):
        yield run_id, old


@pytest.mark.parametrize(
    "address", ["runs:/{}/model", "runs:/{}/model/", "models:/cal/1", "models:/cal@latest"]
)
def test_the_model_of_a_store_that_was_moved_is_refused_with_its_place_and_the_way_out(
    moved, address
):
    run_id, old = moved
    done = predict("--model", address.format(run_id), "--data", "known.csv", "--out", "out.csv")
    assert done.exit_code == 2 and not Path("out.csv").exists() and not old.exists()
    [line] = done.stderr.splitlines()
    told = (
        rf"MLflow expects its files at (file://)?{old}/(mlruns/1/models/m-\w+/artifacts), and there"
    )
    found = re.search(told, line)
    assert "if that folder was moved, give its new path instead: `--model <folder>`" in line
    odd = shutil.copytree(found[2], "100% of #1, or not?")
    for folder in (found[2], Path(found[2]).resolve(), odd):  # the way out
        done = predict("--model", str(folder), "--data", "known.csv", "--out", "out.csv")
        assert done.exit_code == 0, done.output
        assert len(pd.read_csv("out.csv")) == 80


def test_a_folder_without_a_model_is_refused_as_such(store):
    (store / "empty").mkdir()
    done = predict("--model", "empty", "--data", "known.csv")
    assert done.exit_code == 2 and "no model at empty: it has no file MLmodel" in done.stderr


def test_a_comparison_says_at_a_run_that_its_artifacts_are_not_where_they_should_be(moved):
    run_id, old = moved
    assert CliRunner().invoke(train.main, ["--max-steps", "9"]).exit_code == 0
    bare = mlflow.MlflowClient().create_run("1").info.run_id  # it never had any
    newest = only_run_of("degree 3")
    done = CliRunner().invoke(compare.main, ["--runs", f"{run_id},{newest},{bare}"])
    assert done.exit_code == 0, done.output
    page = Path("comparison.html").read_text()
    place = f"{old}/mlruns/1/{run_id}/artifacts"
    said = f"its artifacts are not where MLflow expects them, in {place}, so no curve"
    assert page.count(said) == 2 and page.count("no coefficients.json, so no curve") == 2
    [note] = [line for line in done.stderr.splitlines() if "MLflow expects them" in line]
    assert note.startswith(
        f"note: No curve of run 1: no artifacts are where MLflow expects them, as in {place};"
    )
    (old / "mlruns/1").mkdir(parents=True, exist_ok=True)
    (old / "mlruns/1" / run_id).symlink_to(Path("mlruns/1", run_id).resolve())  # the way out
    done = CliRunner().invoke(compare.main, ["--runs", f"{run_id},{newest}"])
    assert "MLflow expects them" not in done.output + Path("comparison.html").read_text()


def only_run_of(name: str) -> str:
    found = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    [run_id] = [run.info.run_id for run in found if run.info.run_name.startswith(name)]
    return run_id


def test_a_server_that_is_not_there_is_said_at_once(model):
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    result = predict("--model", model, "--data", "known.csv")
    assert result.exit_code == 2 and "no tracking server answers" in result.output


@pytest.mark.parametrize("relative", [True, False])
def test_under_mlflow_run_a_relative_path_is_an_artifact_of_the_run_which_is_named(
    model, store, monkeypatch, relative
):
    pd.DataFrame({"a": [0.5], "b": [0.0]}).to_csv("new.csv", index=False)
    opened = mlflow.MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    before = {f.name for f in store.iterdir()}
    out = "out.csv" if relative else str(store / "out.csv")
    result = predict("--model", model, "--data", "new.csv", "--out", out)
    assert result.exit_code == 0, result.output
    run = mlflow.get_run(opened)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"predictions · new.csv · {model}"
    written = artifact(run, "out.csv") if relative else store / "out.csv"
    assert list(pd.read_csv(written)) == ["a", "b", "prediction", "low", "high", "extrapolated"]
    here = {f.name for f in store.iterdir()} - before
    assert here == (set() if relative else {"out.csv"})
    place = f"out.csv, an artifact of run {opened}" if relative else out
    assert f"1 rows to {place}" in result.output


def test_bad_input_under_mlflow_run_ends_its_run_failed_with_the_reason(store, monkeypatch):
    opened = mlflow.MlflowClient().create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    result = predict("--model", "runs:/none/model", "--data", "new.csv")
    assert result.exit_code == 2
    run = mlflow.get_run(opened)
    assert run.info.status == "FAILED" and "no model at runs:/none/model" in run.data.tags["error"]


def test_a_column_of_dates_that_is_no_variable_stays_as_it_is_written(model):
    text = "when;a;b\n13.03.2024;0,5;1\n14.03.2024;0,25;2\n"
    Path("new.csv").write_text(text)
    for out in ("out.csv", "out.parquet"):
        result = predict("--model", model, "--data", "new.csv", "--out", out)
        assert result.exit_code == 0, result.output
        read = pd.read_csv(out) if out.endswith("csv") else pd.read_parquet(out)
        assert read.when.tolist() == ["13.03.2024", "14.03.2024"]
