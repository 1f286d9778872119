"""What MLflow's page shows first of a run: right, short enough, and never in place of another's."""

import html
import re

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from experiments import fit, sweep, train
from polyreg import tracking
from polyreg.fields import MAX_TAG
from polyreg.polynomials.result import Result
from polyreg.tracking import description
from tests.conftest import only_run

QUADRATIC = Result.trained(
    np.array([0.1, -2.0, 3.0]), "monomial", (-1.0, 1.0), 1.0, truth=[0.5, -2.0, 3.0, 7.0]
)


def note(run_id: str) -> str:
    return mlflow.get_run(run_id).data.tags.get("mlflow.note.content", "")


def rows(content: str) -> list[list[str]]:
    """Of its table, below the head."""
    lines = [line for line in content.splitlines() if line.startswith("|")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_a_training_says_its_equation_its_coefficients_and_how_it_ended():
    content = description.of("converged in 3 steps", QUADRATIC)
    equation, outcome, table = content.split("\n\n")
    assert (
        html.unescape(equation) == "y = 0.1 - 2.0*x + 3.0*x^2" and outcome == "converged in 3 steps"
    )
    assert table.startswith("| term | learned | truth | error |\n| --- | --: | --: | --: |\n")
    assert rows(content) == [
        ["1", "0.1", "0.5", "-0.4"], ["x", "-2", "-2", "+0"], ["x^2", "3", "3", "+0"],
        ["x^3", "0", "7", "-7"],
    ]  # fmt: skip


def test_a_fit_says_its_errors_and_intervals_and_nobodys_name_is_markdown(store):
    x = np.linspace(0, 1, 40)
    y = 1 + 2 * x + np.random.default_rng(0).normal(0, 0.1, 40)
    pd.DataFrame({"a|b*c_[d](e)<i>": x, "y": y}).to_csv("odd.csv", index=False)
    done = CliRunner().invoke(fit.main, ["--data", "odd.csv", "--target", "y", "--degree", "1"])
    assert done.exit_code == 0, done.output
    run = only_run()
    content = note(run.info.run_id)
    equation = html.unescape(content.splitlines()[0])
    assert equation.startswith("y = ") and equation in done.output.splitlines()
    shown = content.split("<!--")[0]
    assert not re.search(r"[*_`\[\]<>]", shown) and "40 rows, residual SD" in shown
    assert [len(row) for row in rows(content)] == [5, 5]
    metrics = run.data.metrics
    for row, key in zip(rows(content), ("1", "`a|b:c__d__e__i_`"), strict=True):
        name = next(m for m in metrics if m.startswith("coef/") and (m == "coef/1") == (key == "1"))
        assert float(row[1]) == pytest.approx(metrics[name], rel=1e-9)
        error = metrics[name.replace("coef/", "std_error/")]
        assert float(row[2]) == pytest.approx(error, rel=1e-2)
        assert float(row[3]) < metrics[name] < float(row[4])


@pytest.mark.parametrize("terms", [1, 50, 400])
@pytest.mark.parametrize("outcome", ["", "|" * 10_000])
def test_it_is_cut_by_whole_rows_and_fits_into_mlflows_tag(terms, outcome):
    random = np.random.default_rng(0).normal(size=terms)
    many = Result.trained(random, "monomial", (-1.0, 1.0), 1.0, truth=random)
    content = description.of(outcome, many)
    ended = description.ended({description.TAG: description.signed(content)}, "KILLED", "|" * 300)
    assert len(ended) <= MAX_TAG
    shown = rows(content)
    assert {len(row) for row in shown} <= {4}
    left = re.search(r"\n\n\.\.\. and (\d+) more terms$", content)
    assert len(shown) + (int(left[1]) if left else 0) == terms
    assert bool(left) == (terms == 400 or (terms == 50 and outcome != ""))
    assert [row[0] for row in shown] == many.terms[: len(shown)]
    if terms == 400:
        assert content.splitlines()[0].endswith(" + ...") and len(shown) > 20


@pytest.mark.parametrize("name", ["- y", "1. y", "# y", "+ y", "= y", "a  b\nc"])
def test_no_name_begins_a_list_or_a_heading(name):
    content = description.escaped(name)
    assert html.unescape(content) == " ".join(name.split())
    assert re.match(r"a b c$|&#\d+;", content)


def test_one_that_somebody_gave_or_changed_is_kept(store):
    with tracking.start_run("a", {}) as run:
        run.describe("first")
        assert note(run.id).startswith("first\n")
        run.describe("second")  # ours may be replaced
        assert note(run.id).startswith("second\n")
        mlflow.MlflowClient().set_tag(run.id, description.TAG, note(run.id).replace("sec", "my s"))
        changed = note(run.id)
        run.describe("third")
    assert note(run.id) == changed
    with pytest.raises(RuntimeError), tracking.start_run("a", {}) as run:
        mlflow.MlflowClient().set_tag(run.id, description.TAG, "Tuesday's calibration")
        raise RuntimeError("why")
    assert note(run.id) == "Tuesday's calibration"


def test_what_ended_a_run_is_its_last_line_until_it_ends_well(store):
    with pytest.raises(RuntimeError), tracking.start_run("a", {}) as run:
        run.describe("halfway", QUADRATIC)
        raise RuntimeError("no *room*")
    before = note(run.id)
    assert "halfway" in before and "\n\n**FAILED**: no &#42;room&#42;\n\n<!--" in before
    with pytest.raises(KeyboardInterrupt), tracking.start_run("a", {}, resume=run.id):
        raise KeyboardInterrupt("stop")
    assert "FAILED" not in note(run.id) and "**KILLED**: stop" in note(run.id)
    with tracking.start_run("a", {}, resume=run.id):
        pass
    assert "KILLED" not in note(run.id) and "halfway" in note(run.id)


def test_every_run_of_an_experiment_has_one(store):
    options = ["--degrees", "2,8", "--learning-rates", "0.01,1", "--max-steps", "100"]
    assert CliRunner().invoke(sweep.main, [*options, "--seeds", "1"]).exit_code == 0
    assert CliRunner().invoke(train.main, ["--degree", "2", "--max-steps", "3"]).exit_code == 0
    found = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    assert len(found) == 6
    for run in found:
        content = note(run.info.run_id)
        assert description.is_ours(run.data.tags) and content
        if "error" in run.data.tags:
            assert content.startswith("diverged at step")
        else:
            assert content.startswith("y = ") and "| x^2 |" in content
    [parent] = [run for run in found if "best_run_id" in run.data.tags]
    best = mlflow.get_run(parent.data.tags["best_run_id"])
    assert note(best.info.run_id).splitlines()[0] == note(parent.info.run_id).splitlines()[0]
    assert best.info.run_name in note(parent.info.run_id)
    assert "best of 4 runs" in note(parent.info.run_id)
