"""Fits of functions of columns in runs: terminal, predictions, x from y, the model, errors."""

import json
import re
import shlex
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import polyreg
from experiments.__main__ import main
from tests.conftest import ROOT, artifact, only_run

STEINHART_HART = [2.108508173e-3, 7.97920473e-5, 6.53507631e-7]


def ran(*arguments: str, exit_code: int = 0) -> str:
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == exit_code, told.output
    return told.output


@pytest.fixture
def gains(store) -> pd.DataFrame:
    """Gain over frequency, a power law with errors that are a share of it."""
    rng = np.random.default_rng(0)
    freq = np.round(np.geomspace(1, 1e5, 50), 3)
    gain = np.round(900 * freq**-0.7 * np.exp(rng.normal(0, 0.1, 50)), 5)
    frame = pd.DataFrame({"freq": freq, "gain": gain, "u": np.round(0.1 * gain, 6)})
    frame.to_csv("t.csv", index=False)
    return frame


ASKED = ("fit", "--data", "t.csv", "--target", "log(gain)", "--features", "log10(freq)",
         "--degree", "1")  # fmt: skip


def test_steinhart_and_hart_by_options_alone_as_the_page_says(store):
    (store / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "thermistor.csv", store / "docs")
    page = (ROOT / "docs" / "fit.md").read_text()
    [command] = re.findall(r"^polyreg fit .*thermistor.*$", page, flags=re.MULTILINE)
    said = ran(*shlex.split(command)[1:])
    [equation] = re.findall(r"^1/\(celsius.*$", page, flags=re.MULTILINE)
    assert equation in said.splitlines()
    assert "features log(ohm)" in said and "monotone (falling) on [4000, 25000]" in said
    run = only_run()
    assert run.data.params["target"] == "1/(celsius+273.15)"
    assert run.data.params["features"] == "log(ohm)"
    metrics = run.data.metrics
    found = [metrics[f"coef/{key}"] for key in ("1", "log_ohm_", "log_ohm_.3")]
    np.testing.assert_allclose(found, STEINHART_HART, rtol=2e-9)
    pd.DataFrame({"ohm": [25000, 10000, 4000, 7000]}).to_csv("new.csv", index=False)
    ran("predict", "--model", f"runs:/{run.info.run_id}/model", "--data", "new.csv",
        "--out", "p.csv")  # fmt: skip
    told = pd.read_csv("p.csv")
    np.testing.assert_allclose(told["prediction"], [5, 25, 45, 32.8002884], rtol=1e-8)


def test_predictions_of_new_rows_are_in_the_columns_quantities(gains):
    said = ran(*ASKED)
    assert "note: predictions of gain are its median, not its mean: they come back from" in said
    model = f"runs:/{only_run().info.run_id}/model"
    new = pd.DataFrame({"freq": [10.0, 0.0, np.nan, 1e6], "what": list("abcd")})
    new.to_csv("new.csv", index=False)
    said = ran("predict", "--model", model, "--data", "new.csv", "--out", "p.csv")
    assert "warning: 2 without a prediction, for lack of a value of freq, or for one that " in said
    assert "log10(freq) does not take" in said and "warning: 1 outside the range" in said
    told = pd.read_csv("p.csv")
    loaded = polyreg.load(model)
    expected = loaded.predict([10.0, 1e6], "prediction")
    given = told.loc[[0, 3], ["prediction", "low", "high"]].to_numpy().T
    np.testing.assert_allclose(given, expected, rtol=1e-12)
    assert told.loc[[1, 2], ["prediction", "low", "high", "extrapolated"]].isna().all(axis=None)
    assert told.extrapolated.tolist()[::3] == [False, True]
    np.testing.assert_allclose(expected[0] / (900 * np.array([10.0, 1e6]) ** -0.7), 1, atol=0.1)


def test_what_has_no_prediction_or_bound_is_counted(store):
    rng = np.random.default_rng(0)
    x = np.linspace(1, 9, 30)
    pd.DataFrame({"x": x, "y": (x + rng.normal(0, 0.3, 30)) ** 2,
                  "z": 1 / (x + rng.normal(0, 0.3, 30))}).to_csv("t.csv", index=False)  # fmt: skip
    pd.DataFrame({"x": [-3.0, 0.3, 5.0]}).to_csv("new.csv", index=False)
    for target, told in (
        ("sqrt(y)", "warning: 1 without a prediction, for lack of a value of x, or for one that "
                    "overflows, or where the fit has sqrt(y) below 0"),
        ("1/z", "warning: 1 with a bound that is infinite: it is empty in the file"),
    ):  # fmt: skip
        said = ran("fit", "--data", "t.csv", "--target", target, "--features", "x", "--degree", "1")
        [run] = re.findall(r"^run +(\w+)$", said, flags=re.MULTILINE)
        said = ran("predict", "--model", f"runs:/{run}/model", "--data", "new.csv",
                   "--out", "p.csv")  # fmt: skip
        assert told in said


def test_the_model_in_both_flavours_takes_and_gives_the_columns(gains):
    ran(*ASKED, "--sigma", "u")
    model = f"runs:/{only_run().info.run_id}/model"
    loaded, there = polyreg.load(model), mlflow.pyfunc.load_model(model)
    assert [one.name for one in there.metadata.signature.inputs] == ["freq", "gain", "u"]
    expected = loaded.predict([10.0, 100.0], "prediction", sigma=2.0)
    told = there.predict(pd.DataFrame({"freq": [10, 100], "u": 2.0}))
    np.testing.assert_allclose(told[["prediction", "low", "high"]].T, expected, rtol=1e-12)
    with pytest.raises(mlflow.MlflowException, match=r"row 1: log10\(freq\) needs freq above 0"):
        there.predict(pd.DataFrame({"freq": [-1.0], "u": 2.0}))
    back = there.predict(pd.DataFrame({"gain": [100.0], "u": 3.0}), params={"inverse": True})
    own = loaded.inverse([100.0], sigma=3.0)
    found = [own.x, own.low, own.high, own.std_error]
    np.testing.assert_allclose(back[["x", "low", "high", "std_error"]].T, found, rtol=1e-9)
    module = mlflow.pytorch.load_model(model)
    answers = module(torch.tensor([[10.0], [100.0], [1e4]], dtype=torch.float64))
    np.testing.assert_allclose(
        answers.detach().numpy()[:, 0], loaded.predict([10.0, 100.0, 1e4]), rtol=1e-12
    )
    info = mlflow.models.get_model_info(model)
    assert info.metadata["columns"]["pytorch"] == {"by position": ["freq"]}


def test_x_from_readings_is_in_its_column(gains):
    ran(*ASKED)
    model = f"runs:/{only_run().info.run_id}/model"
    pd.DataFrame({"gain": [100.0, -1.0], "item": ["a", "b"]}).to_csv("r.csv", index=False)
    said = ran("invert", "--model", model, "--data", "r.csv", "--out", "x.csv")
    assert "warning: 1 without an x" in said
    told, own = pd.read_csv("x.csv"), polyreg.load(model).inverse(100.0)
    assert list(told) == ["gain", "item", "freq", "low", "high", "std_error", "extrapolated"]
    np.testing.assert_allclose(
        told.loc[0, ["freq", "low", "high"]].astype(float), [own.x, own.low, own.high], rtol=1e-12
    )
    assert np.isnan(told.freq[1])
    said = ran("invert", "--model", model, "--limits", exit_code=2)
    assert "limits are of a fit of the columns as they are" in said


def test_sample_and_back_calculated_rows_are_as_they_were_read(gains):
    ran(*ASKED)
    run = only_run()
    sample = json.loads(artifact(run, "sample.json").read_text())
    assert sample["names"] == ["freq"] and sample["target"] == "gain"
    np.testing.assert_array_equal(np.ravel(sample["x"]), gains.freq)
    np.testing.assert_array_equal(sample["y"], gains.gain)
    table = json.loads(artifact(run, "back_calculated.json").read_text())
    np.testing.assert_array_equal([row[0] for row in table["data"]], gains.freq)
    document = json.loads(artifact(run, "coefficients.json").read_text())
    assert document["outcome"]["kind"] == "log"
    assert document["inputs"][0] == {
        "name": "log10(freq)", "column": "freq", "kind": "log10", "shift": 0.0,
        "low": 1.0, "high": 1e5,
    }  # fmt: skip


def test_fits_of_a_column_and_of_its_logarithm_are_compared_in_one_chart(gains):
    one = polyreg.fit(gains, target="gain", features=["freq"], degree=1)
    two = polyreg.fit(gains, target="log(gain)", features=["log10(freq)"], degree=1)
    figure = polyreg.compare([one, two]).figure()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles.count("gain against freq") == 1


@pytest.mark.parametrize(
    "options, told",
    [
        (("--features", "sin(freq)"), "'sin(freq)' is neither a column of t.csv nor a function"),
        (("--features", "log(frq)"), "no column 'frq' in t.csv, did you mean 'freq'?"),
        (("--features", "log(freq-1)"), "log(freq-1) needs freq-1 above 0, and freq is 1 in row 1 "
         "of t.csv; correct it, leave such rows out by --missing drop, or choose another function"),
        (("--features", "1/(freq-1)"), "1/(freq-1) needs freq-1 other than 0, and freq is 1"),
        (("--by", "u", "--features", "log(freq)"), "--by fits columns as they are, and log(freq)"),
        (("--weights", "1/x", "--features", "log(freq)"), "--weights 1/x is of columns as they"),
        (("--features", "freq", "--terms", "1,log(freq)"), "--terms names the term log(freq)"),
    ],
)  # fmt: skip
def test_what_makes_no_function_is_one_line_and_leaves_no_run(gains, options, told):
    said = ran("fit", "--data", "t.csv", "--target", "gain", *options, exit_code=2)
    assert told in said and len(said.strip().splitlines()) == 1
    assert mlflow.search_runs(search_all_experiments=True).empty


def test_rows_that_a_function_does_not_take_are_dropped_and_counted(gains):
    said = ran("fit", "--data", "t.csv", "--target", "gain", "--features", "log(freq-1)",
               "--degree", "1", "--missing", "drop")  # fmt: skip
    assert "49 rows (1 dropped: log(freq-1) 1)" in said
    assert only_run().data.metrics["rows_missing"] == 1


def test_poles_inside_the_range_are_told_on_the_terminal(store):
    x = np.linspace(-5, 5, 21)
    pd.DataFrame({"x": x, "y": 1 / (1.1 + 2 * x)}).to_csv("t.csv", index=False)
    said = ran("fit", "--data", "t.csv", "--target", "1/y", "--features", "x", "--degree", "1")
    assert "not monotone on [-5, 5]; 1/y is 0 at x = -0.55: y has a pole there" in said
    assert "monotone (" not in said
    assert artifact(only_run(), "back_calculated.json").exists()  # a y has one x all the same
