"""Fits with exact conditions in runs: terminal, params, the model, what is refused."""

import re
import shlex
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import polyreg
from experiments.fit import main
from experiments.invert import main as invert
from experiments.predict import main as predict
from tests.conftest import ROOT, only_run

ASKED = ("--data", "t.csv", "--target", "y")


@pytest.fixture
def table(store):
    rng = np.random.default_rng(0)
    x = np.round(np.linspace(0.5, 10, 40), 2)
    y = np.round(2 * x + 0.05 * x**3 + rng.normal(size=40), 3)
    pd.DataFrame({"x": x, "id": np.arange(40) % 7, "y": y}).to_csv("t.csv", index=False)
    return pd.read_csv("t.csv")


def ran(*arguments: str, exit_code: int = 0):
    told = CliRunner().invoke(main, [*ASKED, *arguments])
    assert told.exit_code == exit_code, told.output
    return told.output


def test_terms_and_points_are_logged_and_the_model_keeps_them(table):
    said = ran("--terms", "1,x,x^3", "--through", "0:0")
    assert "note: held exactly: p(0) = 0; the standard error of 1 is 0" in said
    assert "note: no features: id (in no term)" in said and "features x; not used: id" in said
    run = only_run()
    assert run.info.run_name == "t.csv · y ~ x · degree 3 · terms 1,x,x^3 · through 0:0"
    kept = {name: run.data.params[name] for name in ("terms", "through", "degree", "fix")}
    assert kept == {"terms": "1,x,x^3", "through": "0:0", "degree": "3", "fix": ""}
    assert run.data.tags["full_rank"] == "true" and run.data.metrics["rank"] == 2
    columns = np.stack([table.x, table.x**3], axis=1)
    expected = np.linalg.lstsq(columns, table.y, rcond=None)[0]
    metrics = run.data.metrics
    found = [metrics[f"coef/{key}"] for key in ("1", "x", "x.3")]
    np.testing.assert_allclose(found, [0, *expected], rtol=1e-12)
    assert metrics["std_error/1"] == 0 and "coef/x.2" not in metrics
    model = f"runs:/{run.info.run_id}/model"
    loaded = polyreg.load(model)
    assert loaded.terms == ["1", "x", "x^3"] and loaded.fixed == ("1",)
    value, low, high = loaded.predict(0.0, "confidence")
    assert value == pytest.approx(0, abs=1e-14) and high - low < 1e-13
    frame = pd.DataFrame({"x": [0.0, 3.0]})
    there = mlflow.pyfunc.load_model(model).predict(frame)
    np.testing.assert_allclose(there["prediction"], [0, 3 * expected[0] + 27 * expected[1]],
                               rtol=1e-12, atol=1e-14)  # fmt: skip
    frame.to_csv("new.csv", index=False)
    asked = ["--model", model, "--data", "new.csv", "--out", "out.csv"]
    told = CliRunner().invoke(predict, [*asked, "--interval", "confidence"])
    assert told.exit_code == 0, told.output
    out = pd.read_csv("out.csv")
    assert out.high[0] - out.low[0] < 1e-13 and out.high[1] > out.low[1]
    pd.DataFrame({"y": [20.0]}).to_csv("back.csv", index=False)
    told = CliRunner().invoke(invert, ["--model", model, "--data", "back.csv", "--out", "x.csv"])
    assert told.exit_code == 0, told.output
    back = pd.read_csv("x.csv")
    assert loaded.predict(back.iloc[:, 1:2].to_numpy()[:, 0]) == pytest.approx([20.0], rel=1e-9)


@pytest.mark.parametrize("precision", ["fast", "certified"])
def test_many_files_are_streamed_to_the_same_fit(table, tmp_path, precision):
    folder = tmp_path / "parts"
    folder.mkdir()
    for k in range(4):
        table[k::4].to_csv(folder / f"{k}.csv", index=False)
    options = dict(degrees="x:4", fix="x^4=0.001", slope="0:2", precision=precision)
    found = polyreg.fit(str(folder), target="y", **options)
    whole = polyreg.fit(table.x, table.y, **options)
    np.testing.assert_allclose(found.coefficients, whole.coefficients, rtol=1e-9)
    np.testing.assert_allclose(found.std_errors, whole.std_errors, rtol=1e-9)
    assert found.coefficients[[1, 4]].tolist() == [2, 0.001] and found.fixed == ("x", "x^4")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--terms", "1,z"), "Error: --terms names the term z, and there is none; a term is 1 or"),
        (("--terms", "1,x", "--degree", "auto"), "and --terms holds some out; leave out --degree"),
        (("--terms", "1,x", "--fix", "x^2=0"), "Error: --fix has x^2, which is no term"),
        (("--features", "x", "--through", "0:0,0:1"), "Error: --through has p(0) = 0 and p(0) = 1"),
        (("--features", "x", "--degree", "1", "--through", "0:0,1:1"), "nothing is left to fit"),
        (("--slope", "0:0"), "Error: --slope is of one variable, and there are 2: x, id; name one"),
    ],
)
def test_bad_conditions_are_one_line_and_no_run(table, arguments, said):
    output = ran(*arguments, exit_code=2)
    [line] = [one for one in output.splitlines() if one.startswith("Error")]
    assert said in line
    assert mlflow.search_runs(search_all_experiments=True, output_format="list") == []


def test_the_plan_has_the_terms_that_are_fitted(table):
    said = ran("--terms", "1,x^3", "--dry-run")
    assert "terms      2: 1, x^3" in said


def test_the_example_of_the_page_prints_what_it_says(store):
    page = (ROOT / "docs" / "fit.md").read_text().partition("## A say in the terms")[2]
    command, printed = re.findall(r"```(?:sh)?\n(.*?)```", page, flags=re.DOTALL)[:2]
    (store / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "calibration.csv", store / "docs")
    told = CliRunner().invoke(main, shlex.split(command)[2:])
    assert told.exit_code == 0, told.output
    assert len(printed.splitlines()) == 7 and told.output.startswith(printed)
