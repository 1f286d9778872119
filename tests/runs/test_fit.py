"""The fit of a user's table, read back from MLflow, and what is refused."""

import hashlib
import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import polyreg
from experiments.fit import main
from polyreg.least_squares import problem
from tests.conftest import artifact, only_run
from tests.support import oracle
from tests.support.tables import calibration


def fit(*arguments: str):
    return CliRunner().invoke(main, arguments)


def runs() -> list:
    return mlflow.search_runs(experiment_names=["polyreg"], output_format="list")


@pytest.fixture
def table(store) -> Path:
    calibration().to_csv(store / "calibration.csv", index=False)
    return store


ASKED = ("--data", "calibration.csv", "--target", "y")


def test_what_is_printed_of_weights_and_of_a_fit_without_intercept_says_what_it_is(store):
    x = np.linspace(1, 3, 30)
    y = 2 * x + np.random.default_rng(0).normal(scale=0.1, size=30)
    pd.DataFrame({"x": x, "y": y, "u_y": x**-2}).to_csv("t.csv", index=False)
    asked = ["--data", "t.csv", "--target", "y", "--weights", "u_y", "--intercept", "false"]
    result = fit(*asked)
    assert result.exit_code == 0, result.output
    for said in (
        "R2 (uncentred) 0.9", "of y * sqrt(weight), without unit",
        "std errors scaled by the residuals; weights are relative",
        "note: weights are taken as 1/variance: u_y looks like an uncertainty; give it as "
        "--sigma u_y",
    ):  # fmt: skip
        assert said in result.output, said


def test_a_fit_is_tracked_with_its_errors_its_data_and_its_model(table):
    result = fit(*ASKED, "--degree", "2")
    assert result.exit_code == 0, result.output
    run = only_run()
    assert (
        run.info.status == "FINISHED" and run.info.run_name == "calibration.csv · y ~ x · degree 2"
    )
    assert run.data.params["degree"] == "2" and run.data.params["target"] == "y"
    data = calibration()
    expected, covariance = np.polyfit(data.x, data.y, 2, cov=True)
    metrics = run.data.metrics
    found = [metrics[f"coef/{key}"] for key in ("1", "x", "x.2")]
    errors = [metrics[f"std_error/{key}"] for key in ("1", "x", "x.2")]
    np.testing.assert_allclose(found, expected[::-1], rtol=1e-11)
    np.testing.assert_allclose(errors, np.sqrt(np.diag(covariance))[::-1], rtol=1e-11)
    assert (metrics["rows"], metrics["rank"], metrics["rows_missing"]) == (60, 3, 0)
    assert metrics["condition"] < 1.1 and metrics["digits/min"] > 15
    assert 0.99 < metrics["r2"] < 1 and 0.05 < metrics["residual_sd"] < 0.2
    assert {f"time/{stage}_s" for stage in ("import", "survey", "fit", "plots", "model")} < {
        *metrics
    }
    rows = json.loads(artifact(run, "coefficients.json").read_text())["terms"]
    assert [row["term"] for row in rows] == ["1", "x", "x^2"]
    assert all(row["low"] < row["estimate"] < row["high"] for row in rows)
    for plot in ("fit", "residuals", "quantiles"):
        assert artifact(run, f"plots/{plot}.png").stat().st_size > 5000
    sha256 = hashlib.sha256((table / "calibration.csv").read_bytes()).hexdigest()
    assert run.data.tags["data.sha256"] == sha256
    assert run.data.tags["precision"] == "certified" and run.data.tags["full_rank"] == "true"
    [dataset] = run.inputs.dataset_inputs
    assert dataset.dataset.digest == sha256[:36] and '"num_rows": 60' in dataset.dataset.profile


def test_the_equation_that_is_printed_reproduces_the_fit(table):
    output = fit(*ASKED, "--degree", "2").output
    equation = output.splitlines()[0].removeprefix("y = ").replace("^", "**")
    x = calibration().x.to_numpy()
    uri = f"runs:/{only_run().info.run_id}/model"
    np.testing.assert_allclose(eval(equation, {"x": x}), polyreg.load(uri).predict(x), rtol=1e-12)
    assert "x^2" in output and "95 % low" in output and "residual SD" in output


def test_the_model_scales_inside_and_loads_with_its_intervals(store):
    random = np.random.default_rng(0)
    far = pd.DataFrame({"b": 1e6 + random.uniform(size=200), "a": random.normal(size=200)})
    far["y"] = 3 * (far.b - 1e6) ** 2 - far.a * (far.b - 1e6) + random.normal(0, 0.1, 200)
    far["comment"] = "text is no feature"
    far.to_parquet("far.parquet")
    assert fit("--data", "far.parquet", "--target", "y", "--degree", "2").exit_code == 0
    uri = f"runs:/{only_run().info.run_id}/model"
    answer = polyreg.load(uri)
    assert answer.variables == ("b", "a")
    x = far[["b", "a"]].to_numpy()
    prediction, low, high = answer.predict(x, interval="prediction")
    inside = ((low < far.y) & (far.y < high)).mean()
    assert 0.9 < inside < 0.99
    model = mlflow.pytorch.load_model(uri)
    served = model(torch.tensor(x)).detach().numpy()[:, 0]
    np.testing.assert_allclose(served, prediction, rtol=1e-12)
    served = mlflow.pyfunc.load_model(uri)
    for rows in (x.copy(), far):  # in the order of the variables, or by their names
        found = served.predict(rows)
        for name, column in {"prediction": prediction, "low": low, "high": high}.items():
            np.testing.assert_allclose(found[name], column, rtol=1e-12)


def test_the_degree_is_chosen_and_its_curve_is_logged_by_degree(table):
    result = fit(*ASKED, "--degree", "auto", "--max-degree", "6")
    assert result.exit_code == 0, result.output
    run = only_run()
    assert run.data.metrics["degree"] == 2 and "degree 2 " in result.output
    for name in ("cv/mse", "cv/std_error", "cv/aic", "cv/bic"):
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
        assert sorted(m.step for m in history) == list(range(7))
    assert artifact(run, "plots/selection.png").stat().st_size > 5000


def test_a_dry_run_prints_the_plan_and_leaves_nothing(folder):
    calibration().to_csv(folder / "calibration.csv", index=False)
    result = fit(*ASKED, "--degree", "4", "--dry-run")
    assert result.exit_code == 0, result.output
    plan = dict(line.split(None, 1) for line in result.output.splitlines())
    assert plan["rows"] == "60" and plan["terms"] == "5: 1, x, x^2, x^3, x^4"
    assert (
        plan["precision"] == "certified"
        and plan["device"]
        and " MB, whatever the rows" in plan["memory"]
    )
    assert plan["condition"].startswith("about 1")
    assert [f.name for f in folder.iterdir()] == ["calibration.csv"]


def test_what_depends_is_said_and_has_no_errors(table):
    data = calibration()
    data["twice"] = 2 * data.x + 1
    data.to_csv("calibration.csv", index=False)
    result = fit(*ASKED, "--degree", "1", "--precision", "fast")
    assert result.exit_code == 0
    assert "twice is 1 + 2*x" in result.output and "rank 2 of 3" in result.output
    run = only_run()
    assert run.data.tags["full_rank"] == "false" and run.data.tags["precision"] == "certified"
    assert not [m for m in run.data.metrics if m.startswith("std_error/")]


def test_missing_rows_are_dropped_on_request_and_counted(table):
    data = calibration()
    data.loc[[3, 7], "x"] = np.nan
    data.to_csv("calibration.csv", index=False)
    assert fit(*ASKED, "--missing", "drop").exit_code == 0
    assert only_run().data.metrics["rows_missing"] == 2
    assert only_run().data.metrics["rows"] == 58


BAD = [
    (["--data", "nope.csv"], "nope.csv"),
    (["--target", "z"], "'z'"),
    (["--features", "q"], "'q'"),
    (["--weights", "w"], "'w'"),
    (["--degree", "-1"], "got -1"),
    (["--degree", "41"], "must be 0 to 40"),
    (["--degree", "three"], "'three' is neither"),
    (["--degree", "39"], "40 terms need at least as many rows, got 30"),
    (["--degree", "0", "--intercept", "false"], "without intercept"),
    (["--folds", "1"], "got 1"),
    (["--ridge", "-1"], "got -1"),
    (["--level", "1"], "got 1"),
    (["--interaction-degree", "-1"], "got -1"),
    (["--data", "holes.csv"], "2 of 30 rows"),
    (["--data", "holes.parquet"], "2 of 30 rows"),
    (["--data", "text.csv"], "row 4"),
    (["--data", "constant.csv"], "feature x is constant"),
    (["--data", "wide.csv", "--degree", "9"], "more than 5,000"),
    (["--data", "cut.parquet"], "cut.parquet"),
    (["--data", "huge.csv"], "rescale"),
]


@pytest.fixture
def bad_tables(store) -> Path:
    data = calibration(30)
    data.to_csv("calibration.csv", index=False)
    holes = data.copy()
    holes.loc[[3, 7], "y"] = [np.nan, np.inf]
    holes.to_csv("holes.csv", index=False)
    holes.to_parquet("holes.parquet")
    data.astype({"y": object}).replace({"y": {data.y[3]: "n/a?"}}).to_csv("text.csv", index=False)
    data.assign(x=2.0).to_csv("constant.csv", index=False)
    data.assign(**{f"x{d}": data.x**d for d in range(2, 9)}).to_csv("wide.csv", index=False)
    data.assign(x=data.x * 1e200).to_csv("huge.csv", index=False)
    (store / "cut.parquet").write_bytes((store / "holes.parquet").read_bytes()[:-20])
    return store


@pytest.mark.parametrize("arguments, said", BAD)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_no_run(bad_tables, arguments, said):
    result = fit(*ASKED, *arguments)
    assert result.exit_code == 2, result.output
    [line] = result.output.splitlines()
    assert line.startswith("Error: ") and said in line
    assert not (mlflow.get_experiment_by_name("polyreg") and runs())


def test_what_only_the_whole_pass_can_find_leaves_no_run(bad_tables):
    # Parquet's statistics say nothing of nan: the run is open when the pass meets it.
    data = calibration(30)
    data.loc[5, "x"] = np.nan
    import pyarrow as pa

    pa.parquet.write_table(pa.Table.from_pandas(data, preserve_index=False), "nan.parquet")
    result = fit("--data", "nan.parquet", "--target", "y")
    assert result.exit_code == 2 and "row" in result.output and not runs()


def test_a_file_that_changes_between_the_passes_is_noticed(table, monkeypatch):
    survey = problem.Problem.of

    def meddle(*args, **options):
        with open("calibration.csv", "a") as file:
            file.write("1,2\n")
        return survey(*args, **options)

    monkeypatch.setattr(problem.Problem, "of", meddle)
    result = fit(*ASKED)
    assert result.exit_code == 2 and "changed while it was read" in result.output
    assert not runs()


def test_certified_reads_the_decimals_of_the_file(store):
    """What float64 holds of Pontius' decimals would leave 13.5 digits of the coefficients."""
    [x], y, _, certified = oracle.read_nist("Pontius", number=str)
    rows = map(",".join, zip(x, y, strict=True))
    (store / "t.csv").write_text("\n".join(["x,y", *rows]))
    asked = ("--data", "t.csv", "--target", "y", "--degree", "2")
    result = fit(*asked, "--precision", "certified")
    assert result.exit_code == 0, result.output
    terms = json.loads(artifact(only_run(), "coefficients.json").read_text())["terms"]
    for name, truth in (("estimate", certified.estimates), ("std_error", certified.std_errors)):
        assert min(oracle.digits([term[name] for term in terms], truth)) > 14.3


def test_names_of_any_kind_make_a_run(store):
    data = calibration().rename(columns={"x": "US$#CA$ \u6e29\u5ea6 " + "x" * 300})
    data.to_csv("odd.csv", index=False)
    result = fit("--data", "odd.csv", "--target", "y", "--degree", "2")
    assert result.exit_code == 0, result.output
    assert only_run().info.status == "FINISHED"


def test_what_is_used_and_what_is_not_is_said(table):
    data = calibration().assign(site="north")
    data.loc[3, "x"] = np.nan
    data.to_csv("calibration.csv", index=False)
    output = fit(*ASKED, "--missing", "drop").output
    assert "features x; not used: site" in output and "59 rows (1 dropped: x 1)" in output


def test_a_store_that_is_none_is_said_in_one_line(table):
    (table / "garbage.db").write_text("garbage")
    mlflow.set_tracking_uri(f"sqlite:///{table}/garbage.db")
    result = fit(*ASKED)
    [line] = result.output.splitlines()
    assert result.exit_code == 2 and "file is not a database" in line
