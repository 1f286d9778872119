"""Studies of fits in runs: artifacts, terminal, and what a loaded result knows."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import polyreg
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


def test_a_criterion_chooses_and_is_named(table):
    said = ran("--degree", "auto", "--max-degree", "4", "--criterion", "lack-of-fit")
    assert "is the lowest whose lack of fit has p >= 0.05" in said
    assert only_run().data.params["criterion"] == "lack-of-fit"


def test_known_uncertainties_are_always_studied_and_give_the_largest_deviation(table, monkeypatch):
    monkeypatch.setattr(report, "ALWAYS", 10)
    said = ran("--degree", "2", "--sigma", "u")
    assert "largest weighted deviation" in said
    assert only_run().data.metrics["weighted_deviation"] > 10


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
