"""Fits with known uncertainties and weight functions from the command line, as runs."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import polyreg
from experiments.fit import main as fit
from experiments.predict import main as predict
from tests.conftest import artifact, only_run

TABLE = {  # ISO/TS 28037:2010, 6.3
    "x": range(1, 7),
    "y": [3.2, 4.3, 7.6, 8.6, 11.7, 12.8],
    "u": [0.5, 0.5, 0.5, 1.0, 1.0, 1.0],
}
ASKED = ("--data", "t.csv", "--target", "y", "--degree", "1")


@pytest.fixture
def table(store):
    pd.DataFrame(TABLE).to_csv("t.csv", index=False)
    pd.DataFrame({"x": [1.5, 9.0], "u": [0.5, 1.0]}).to_csv("new.csv", index=False)
    return store


def ran(command, *arguments: str):
    return CliRunner().invoke(command, arguments)


def test_a_fit_with_known_uncertainties_says_chi2_and_is_tagged(table):
    told = ran(fit, *ASKED, "--sigma", "u")
    assert told.exit_code == 0, told.output
    assert "chi2 4.130802 on 4 (P 0.389, reduced 1.033" in told.output
    assert "not scaled by the residuals" in told.output and "features x\n" in told.output
    run = only_run()
    assert run.data.tags["uncertainties"] == "known"
    assert run.info.run_name == "t.csv · y ~ x · degree 1 · sigma u"
    assert run.data.params["sigma"] == "u"
    metrics = run.data.metrics
    assert metrics["chi2"] == pytest.approx(4.130802, abs=5e-7)
    assert metrics["reduced_chi2"] == pytest.approx(metrics["chi2"] / 4)
    document = json.loads(artifact(run, "coefficients.json").read_text())
    assert [row["std_error"] for row in document["terms"]] == pytest.approx(
        [0.529708, 0.177892], abs=5e-7
    )


def test_a_plain_fit_is_tagged_with_estimated_uncertainties(table):
    assert ran(fit, *ASKED, "--features", "x").exit_code == 0
    assert only_run().data.tags["uncertainties"] == "estimated"


def test_a_chi2_that_is_hard_to_believe_is_a_warning(table):
    pd.DataFrame({**TABLE, "u": 0.01}).to_csv("t.csv", index=False)
    told = ran(fit, *ASKED, "--sigma", "u")
    assert told.exit_code == 0, told.output
    assert told.output.count("warning: chi2 is ") == 1
    assert "further from the polynomial than their uncertainties let them" in told.output
    assert "note: chi2" not in told.output


@pytest.mark.parametrize("asked", [("--sigma", "u"), ("--weights", "1/x")], ids=["sigma", "1/x"])
def test_predictions_have_the_new_rows_own_uncertainty_also_from_the_logged_model(table, asked):
    assert ran(fit, *ASKED, "--features", "x", *asked).exit_code == 0
    uri = f"runs:/{only_run().info.run_id}/model"
    told = ran(predict, "--model", uri, "--data", "new.csv", "--out", "p.csv")
    assert told.exit_code == 0, told.output
    written, new = pd.read_csv("p.csv"), pd.read_csv("new.csv")
    options = {"sigma": "u"} if "--sigma" in asked else {"weights": "1/x"}
    found = polyreg.fit("t.csv", target="y", features=["x"], degree=1, **options)
    expected = np.stack(found.predict(new, "prediction"), axis=1)
    columns = ["prediction", "low", "high"]
    assert written[columns].to_numpy() == pytest.approx(expected, rel=1e-12)
    served = mlflow.pyfunc.load_model(uri).predict(new)
    assert served[columns].to_numpy() == pytest.approx(expected, rel=1e-12)


def test_a_band_of_the_whole_polynomial_is_predicted_and_served(table):
    assert ran(fit, *ASKED, "--sigma", "u", "--band", "simultaneous").exit_code == 0
    uri = f"runs:/{only_run().info.run_id}/model"
    asked = ("--interval", "confidence", "--band", "simultaneous")
    told = ran(predict, "--model", uri, "--data", "new.csv", "--out", "p.csv", *asked)
    assert told.exit_code == 0, told.output
    model, new = polyreg.load(uri), pd.read_csv("new.csv")
    _, low, high = model.predict(new, "confidence", band="simultaneous")
    written = pd.read_csv("p.csv")
    assert written.low.to_numpy() == pytest.approx(low, rel=1e-12)
    params = {"interval": "confidence", "band": "simultaneous"}
    served = mlflow.pyfunc.load_model(uri).predict(new, params=params)
    assert served.high.to_numpy() == pytest.approx(high, rel=1e-12)
    told = ran(predict, "--model", uri, "--data", "new.csv", "--out", "q.csv", "--level", "0.5")
    assert told.exit_code == 0 and (pd.read_csv("q.csv").high < high + 2).all()
    _, low, _ = model.predict(new, "prediction", level=0.5)
    assert pd.read_csv("q.csv").low.to_numpy() == pytest.approx(low, rel=1e-12)


REFUSED = {
    "sigma and weights": (("--sigma", "u", "--weights", "x"), "--sigma u and --weights x"),
    "a sigma of 0": (("--sigma", "zero"), "the uncertainty in row 3 of t.csv (column zero) is 0"),
    "no such column": (("--sigma", "v"), "no column 'v' in t.csv"),
    "sigma missing": (("--sigma", "gap"), "gap"),
    "1/x at 0": (("--weights", "1/x", "--features", "zero"), "needs zero above 0"),
    "two variables": (("--weights", "1/x", "--features", "x,u"), "there are 2: x, u"),
    "a level of 1": (("--level", "1"), "level"),
    "another loss": (("--loss", "cubes"), "cubes"),
}


@pytest.mark.parametrize("asked, said", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_line(table, asked, said):
    zero = [0.5, 0.5, 0.0, 1, 1, 1]
    gap = [0.5, None, 1, 1, 1, 1]
    pd.DataFrame({**TABLE, "zero": zero, "gap": gap}).to_csv("t.csv", index=False)
    told = ran(fit, *ASKED, *asked)
    assert told.exit_code == 2 and said in told.output, told.output
    assert told.output.rstrip().splitlines()[-1].startswith("Error: ")
    assert mlflow.search_runs(search_all_experiments=True).empty


def test_a_band_of_single_readings_is_refused(table):
    asked = ("--model", "m", "--data", "new.csv", "--band", "simultaneous")
    told = ran(predict, *asked)
    assert told.exit_code == 2 and "--interval confidence" in told.output


def test_back_calculated_errors_are_a_table_of_the_run(table):
    told = ran(fit, *ASKED, "--features", "x", "--weights", "1/x")
    assert told.exit_code == 0, told.output
    written = json.loads(artifact(only_run(), "back_calculated.json").read_text())
    found = pd.DataFrame(written["data"], columns=written["columns"])
    result = polyreg.fit("t.csv", target="y", features=["x"], degree=1, weights="1/x")
    expected = result.back_calculated(TABLE["x"], TABLE["y"])
    pd.testing.assert_frame_equal(found, expected.astype(float), rtol=1e-12)
    worst = expected.loc[expected.mean_error.abs().idxmax()]
    assert f"own at x = {worst.x:g}, by {worst.mean_error:.3g} %" in told.output
