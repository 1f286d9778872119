"""Studies of fits in runs: artifacts, terminal, and what a loaded result knows."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import polyreg
from experiments.compare import main as compare
from experiments.fit import main
from polyreg.errors import PolyregError
from polyreg.reports.study import report
from tests.conftest import artifact, only_run

ASKED = ("--data", "t.csv", "--target", "y", "--features", "x")


@pytest.fixture
def table(store):
    x = np.repeat(np.arange(1.0, 16), 2)
    y = 2 + x + 0.1 * x**2 + np.random.default_rng(0).normal(0, 0.3, 30)
    y[11] += 5
    pd.DataFrame({"x": x, "y": y, "u": 0.3}).to_csv("t.csv", index=False)
    return store


def ran(*arguments: str):
    told = CliRunner().invoke(main, [*ASKED, *arguments])
    assert told.exit_code == 0, told.output
    return told.output


def test_a_fit_says_what_its_neighbours_do_and_which_row_to_doubt(table):
    said = ran("--degree", "2")
    assert "degree 2 against 1: F = " in said and "degree 3 adds nothing (F = " in said
    assert "lack of fit against replicates: F = " in said and "on 12 and 15" in said
    assert "row 12 of t.csv stands out: studentized residual" in said
    run = only_run()
    columns = json.loads(artifact(run, "degrees.json").read_text())
    by = pd.DataFrame(columns["data"], columns=columns["columns"])
    assert by.degree.tolist() == [0, 1, 2, 3, 4]
    doubted = json.loads(artifact(run, "diagnostics.json").read_text())
    rows = pd.DataFrame(doubted["data"], columns=doubted["columns"])
    assert (rows.file[0], rows.row[0]) == ("t.csv", 12)
    assert {"Durbin-Watson", "runs", "Breusch-Pagan", "Jarque-Bera"} <= set(rows.test.dropna())
    for plot in ("degrees", "diagnostics"):
        assert artifact(run, f"plots/{plot}.png").read_bytes().startswith(b"\x89PNG")
    assert "time/study_s" in run.data.metrics
    loaded = polyreg.load(f"runs:/{run.info.run_id}/model")
    assert loaded.degrees.F.tolist()[1:] == by.F.tolist()[1:]
    assert loaded.lack_of_fit.df == (12, 15)


def test_an_exact_fit_prints_no_infinite_number(store):
    pd.DataFrame({"x": [0, 1, 2], "y": [0, 1, 2]}).to_csv("t.csv", index=False)
    said = ran("--features", "x", "--degree", "1")
    [row] = [line.split() for line in said.splitlines() if line.startswith("1*")]
    assert row[1:5] == ["0", "exact", "0", "-"] and row[5] == "exact"
    assert "degree 1 is exact, and degree 0 is not" in said and "inf" not in said


def test_a_criterion_chooses_and_is_named(table):
    said = ran("--degree", "auto", "--max-degree", "4", "--criterion", "lack-of-fit")
    assert "is the lowest whose lack of fit has p >= 0.05" in said
    assert only_run().data.params["criterion"] == "lack-of-fit"


def test_known_uncertainties_are_always_studied_and_give_the_largest_deviation(table, monkeypatch):
    monkeypatch.setattr(report, "ALWAYS", 10)
    said = ran("--degree", "2", "--sigma", "u")
    assert "largest weighted deviation" in said
    assert only_run().data.metrics["weighted_deviation"] > 10


def test_a_robust_fit_says_what_weight_a_doubted_row_has_and_stands_beside_least_squares(table):
    assert ran("--degree", "2").count("robust") == 0
    said = ran("--degree", "2", "--loss", "bisquare")
    assert "robust SD from the fit, which gives it the weight 0, Bonferroni p" in said
    robust, plain = polyreg_runs()
    columns = json.loads(artifact(robust, "diagnostics.json").read_text())
    rows = pd.DataFrame(columns["data"], columns=columns["columns"])
    assert (rows.row[0], rows.robust_weight[0]) == (12, 0)
    assert rows.cooks_distance.isna().all()
    assert rows.robust_weight[1:5].astype(float).min() > 0.3
    assert 0.2 < robust.data.metrics["robust_sd"] < 0.4 < plain.data.metrics["residual_sd"]
    assert "robust_sd" not in plain.data.metrics
    shown = CliRunner().invoke(compare, ["--last", "2"])
    assert shown.exit_code == 0, shown.output
    head, one, other = shown.output.splitlines()[1:4]
    assert head.split()[:2] == ["run", "loss"] and "robust_sd" in head
    assert {one.split()[1], other.split()[1]} == {"squares", "bisquare"}


def test_the_summary_of_a_robust_fit_names_its_method(table):
    found = polyreg.fit("t.csv", target="y", features=["x"], degree=2, loss="huber")
    told = str(found.summary())
    assert "Robust results" in told and "M-estimate (huber)" in told and "Robust SD" in told
    assert "least" not in told.lower()


def polyreg_runs():
    """The two runs of the store, the newest first."""
    return mlflow.search_runs(experiment_names=["polyreg"], output_format="list")


def test_many_rows_are_studied_on_request_alone(table, monkeypatch):
    monkeypatch.setattr(report, "ALWAYS", 10)
    assert "adds nothing" not in ran("--degree", "2")
    run = only_run()
    assert "time/study_s" not in run.data.metrics
    with pytest.raises(PolyregError, match="--diagnostics"):
        _ = polyreg.load(f"runs:/{run.info.run_id}/model").degrees
    assert "adds nothing" in ran("--degree", "2", "--diagnostics")


def test_several_variables_have_diagnostics_and_no_degrees(table):
    frame = pd.read_csv("t.csv").assign(z=np.random.default_rng(1).normal(size=30))
    frame.to_csv("t.csv", index=False)
    ran("--features", "x,z", "--degree", "2")
    run = only_run()
    assert artifact(run, "diagnostics.json").exists()
    document = json.loads(artifact(run, "coefficients.json").read_text())
    assert document["study"]["degrees"] is None
