"""The main job, read back from MLflow."""

import json
import os
import signal

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import polyreg
from experiments import compare, fit, predict
from experiments.train import main
from polyreg.sgd.descend import descend
from tests.conftest import artifact, only_run


def train(*arguments: str):
    return CliRunner().invoke(main, arguments)


def test_the_main_job_finds_the_polynomial_and_tracks_it(store):
    result = train("--degree", "3", "--tolerance", "1e-6")
    assert result.exit_code == 0, result.output
    run = only_run()
    assert run.info.status == "FINISHED" and run.info.run_name == "degree 3 · tolerance 1e-06"
    assert run.data.params["degree"] == "3" and run.data.params["learning_rate"] == "auto"

    truth = [0.9, 0.5, 3, 2.4]
    metrics, tags = run.data.metrics, run.data.tags
    learned = [metrics[f"coef/{key}"] for key in ("1", "x", "x.2", "x.3")]
    # A gap of 1e-6 leaves each Hermite weight within 1e-3; x takes 1 + 3 / sqrt(6) of that.
    np.testing.assert_allclose(learned, truth, atol=1e-3 * (1 + 3 / np.sqrt(6)))
    assert metrics["coef_error/max"] == pytest.approx(np.abs(np.subtract(learned, truth)).max())
    assert metrics["loss/gap"] < 1e-6 and metrics["condition"] == pytest.approx(1)
    assert 0 < metrics["learning_rate"] < 0.5
    assert {f"time/{s}_s" for s in ("import", "train", "curves", "plots", "model")} < set(metrics)
    assert tags["converged"] == "true" and tags["basis"] == "hermite" and tags["device"]
    assert len(tags["data.sha256"]) == 64

    for name in ("loss/train", "loss/gap"):
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
        assert sorted(m.step for m in history) == list(range(1, int(metrics["steps"]) + 1))

    rows = json.loads(artifact(run, "coefficients.json").read_text())
    assert [row["term"] for row in rows["terms"]] == ["1", "x", "x^2", "x^3"]
    assert [row["estimate"] for row in rows["terms"]] == learned
    assert [row["truth"] for row in rows["terms"]] == truth
    low, high = rows["domain"]["x"]
    assert -6 < low < -2 and 2 < high < 6 and rows["basis"]["name"] == "hermite"
    for plot in ("fit", "loss", "residuals"):
        assert artifact(run, f"plots/{plot}.png").stat().st_size > 5000


def test_what_is_printed_says_what_was_learned_and_where_it_is(store):
    output = train().output
    run = only_run()
    assert output.splitlines()[0].split() == ["term", "truth", "learned", "error"]
    assert f"converged in {int(run.data.metrics['steps'])} steps" in output
    assert f'mlflow.pytorch.load_model("runs:/{run.info.run_id}/model")' in output
    assert (
        f"mlflow ui    then http://127.0.0.1:5000/#/experiments/1/runs/{run.info.run_id}" in output
    )


def test_polyreg_load_gives_the_coefficients_and_predicts_what_the_model_predicts(store):
    train("--dtype", "float64", "--degree", "4")
    uri = f"runs:/{only_run().info.run_id}/model"
    polynomial = polyreg.load(uri)
    np.testing.assert_allclose(polynomial.truth, [0.9, 0.5, 3, 2.4, 0])
    np.testing.assert_allclose(polynomial.coefficients, polynomial.truth, atol=0.1)
    x = np.linspace(-2, 2, 7)[:, None]
    served = mlflow.pyfunc.load_model(uri).predict(x)
    module = mlflow.pytorch.load_model(uri)(torch.from_numpy(x)).detach().numpy()
    for found in (served.prediction, module[:, 0]):
        np.testing.assert_allclose(polynomial.predict(x[:, 0]), found, rtol=1e-12)


def test_a_model_below_the_truths_degree_ends_at_its_own_optimum_and_says_so(store):
    result = train("--degree", "1", "--max-steps", "20000")
    assert result.exit_code == 0
    assert "converged in" in result.output
    assert "above the optimum, whose own mean squared error is 52.56" in result.output
    assert result.output.splitlines()[0].split() == ["term", "truth", "best", "learned", "error"]
    metrics = only_run().data.metrics
    # The best line of the cubic under N(0, 1): 0.9 + 3 E x^2, and 0.5 + 2.4 E x^4.
    assert metrics["coef/1"] == pytest.approx(3.9, abs=1e-3**0.5)
    assert metrics["coef/x"] == pytest.approx(7.7, abs=1e-3**0.5)


@pytest.mark.parametrize(
    "arguments, way_out",
    [
        (["--max-steps", "5"], "raise --max-steps (now 5)"),
        (["--max-steps", "5", "--learning-rate", "1e-6"], "use --learning-rate auto"),
        (["--max-steps", "5", "--stop", "batch", "--noise", "1"], "use --stop gap"),
        (["--max-steps", "400", "--tolerance", "1e-15"], "use --dtype float64"),
        (["--max-steps", "5", "--optimizer", "adamw"], "--optimizer adam has none"),
    ],
)
def test_a_run_that_cannot_converge_is_finished_with_a_plain_warning(store, arguments, way_out):
    result = train(*arguments)
    assert result.exit_code == 0, result.output
    run = only_run()
    assert run.info.status == "FINISHED" and run.data.tags["converged"] == "false"
    [warning] = [line for line in result.output.splitlines() if line.startswith("warning:")]
    assert way_out in warning


def test_a_run_that_diverges_is_failed_and_keeps_its_curve(store):
    result = train("--learning-rate", "1")
    assert result.exit_code == 1
    [line] = result.output.splitlines()
    assert line.startswith("Error: diverged at step") and "largest stable rate, 0.217" in line
    run = only_run()
    assert run.info.status == "FAILED" and run.data.tags["converged"] == "false"
    assert run.data.metrics["steps"] > 5 and run.data.metrics["loss/gap"] > 100
    assert run.data.metrics["learning_rate"] == 1


def test_degrees_line_up(store):
    for degree in range(1, 7):
        assert train("--degree", str(degree), "--max-steps", "50").exit_code == 0
    found = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    assert len({run.info.run_name for run in found}) == 6
    assert len({frozenset(run.data.params) for run in found}) == 1
    common = {frozenset(k for k in run.data.metrics if not k.startswith("coef/")) for run in found}
    assert len(common) == 1
    assert len({run.data.tags["data.sha256"] for run in found}) == 1


@pytest.mark.parametrize(
    "optimizer, line",
    [
        ("nadam", "auto: 0.124 at the first step, falling as (1 + step / 100)^-0.75"),
        ("rmsprop", "auto: 0.0496 at the first step, falling as (1 + step / 100)^-0.75"),
        ("adagrad", "auto: 0.5 at the first step, constant: Adagrad makes its own steps smaller"),
    ],
)
def test_the_report_says_what_auto_became_of_each_optimizer(store, optimizer, line):
    result = train("--optimizer", optimizer, "--inputs", "uniform")
    assert result.exit_code == 0 and line in result.output


def test_a_constant_and_float64_and_momentum_and_adam_all_make_whole_runs(store):
    for arguments in (
        ["--degree", "0", "--dtype", "float64"],
        ["--momentum", "0.9", "--inputs", "uniform"],
        ["--optimizer", "adam", "--coefficients", "-1,2"],
    ):
        result = train(*arguments)
        assert result.exit_code == 0 and "\nconverged" in result.output, result.output


BAD = [
    (["--degree", "-1"], "--degree must be 0 to 20"),
    (["--degree", "1000"], "got 1000"),
    (["--degree", "three"], "'three'"),
    (["--batch-size", "0"], "--batch-size must be 1"),
    (["--coefficients", "1,nan"], "1,nan"),
    (["--coefficients", "1;2"], "'1;2' is not a comma list"),
    (["--coefficients", ""], "'' is not a comma list"),
    (["--noise", "-1"], "got -1"),
    (["--basis", "fourier"], "'fourier'"),
    (["--learning-rate", "0"], "got 0"),
    (["--learning-rate", "nan"], "got nan"),
    (["--learning-rate", "fast"], "'fast' is neither"),
    (["--degre", "3"], "--degre"),
    (["--coefficients", "1e15", "--noise", "1e15"], "use --dtype float64"),
]


@pytest.mark.parametrize("arguments, said", BAD)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(folder, arguments, said):
    result = train(*arguments)
    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert line.startswith("Error: ") and said in line
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(folder, device, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    result = train("--device", device)
    assert result.exit_code == 2
    assert f"--device {device}: torch finds none here; use --device auto" in result.output
    assert list(folder.iterdir()) == []


def test_a_server_that_is_not_there_is_refused_before_training(folder):
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    result = train()
    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert "no tracking server answers at http://127.0.0.1:9" in line


def test_a_gap_at_the_bottom_of_float64_is_drawn_too(store):
    result = train(
        "--degree", "1", "--coefficients", "0", "--dtype", "float64", "--tolerance", "1e-300"
    )
    assert result.exit_code == 0, result.output
    assert only_run().info.status == "FINISHED"


def test_a_registered_model_is_loaded_by_its_name(store):
    for seed, version in ("0", "1"), ("1", "2"):
        result = train("--register-as", "my cubic", "--seed", seed)
        assert result.exit_code == 0
        assert result.output.splitlines()[-1] == f"registered my cubic version {version}"
    newest = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")[0]
    learned = polyreg.load("models:/my cubic@latest")
    assert learned.coefficients[1] == newest.data.metrics["coef/x"]
    assert polyreg.load("models:/my cubic/1").coefficients[1] != learned.coefficients[1]
    about = mlflow.MlflowClient().get_model_version("my cubic", "2")
    assert about.tags["converged"] == "true" and about.tags["basis"] == "hermite"
    x = 1.25
    equation = about.description.removeprefix("y = ").replace("^", "**")
    assert eval(equation, {"x": x}) == pytest.approx(learned.predict([x])[0], rel=1e-12)
    result = train("--register-as", "a/b")
    assert result.exit_code == 2 and "--register-as must be a name" in result.output


# On the rows of a table.

ON_ROWS = ("--data", "rows.csv", "--target", "y", "--missing", "drop")


def write_rows() -> pd.DataFrame:
    """rows.csv, as Europe writes it: two features, dates, words, a code for a missing value."""
    random = np.random.default_rng(8)
    days = pd.date_range("2024-03-01", periods=90)
    rows = pd.DataFrame({"a": random.uniform(0, 5, 90), "b": random.normal(10, 1, 90)}).round(4)
    rows["y"] = (1e6 * (1 + rows.a * rows.b + random.normal(0, 0.1, 90))).round(1)
    rows.loc[7, "y"] = None
    written = rows.assign(when=days.strftime("%d.%m.%Y"), who="me")
    written.to_csv("rows.csv", index=False, sep=";", decimal=",")
    return rows.dropna()


@pytest.mark.parametrize("basis", ["auto", "monomial"])
def test_a_training_on_rows_is_tracked_beside_its_exact_fit_and_its_model_predicts(store, basis):
    rows = write_rows()
    arguments = ("--basis", basis, "--degree", "2", "--exclude", "when", "--tolerance", "1e-6")
    result = train(*ON_ROWS, *arguments)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0].split() == ["term", "best", "learned", "error"]
    assert "89 rows (1 dropped: y 1)" in result.output
    assert "1e-06 of the variance of y" in result.output
    assert "note: rows.csv was read as separated by ';', decimal comma" in result.output
    assert "note: no features: who (text)" in result.output
    run = only_run()
    metrics, tags, params = run.data.metrics, run.data.tags, run.data.params
    assert run.info.run_name.startswith("rows.csv · y ~ a + b · degree 2")
    assert params["data"] == "rows.csv" and not {"noise", "coefficients", "inputs"} & set(params)
    best = polyreg.fit("rows.csv", target="y", exclude=("when",), degree=2, missing="drop")
    y, gap = rows.y.to_numpy(), metrics["loss/gap"]
    assert metrics["epochs"] == metrics["steps"] * 32 / 89
    assert metrics["rows"] == 89 and metrics["rows_missing"] == 1 and gap < 1e-6 * y.var()
    learned = polyreg.load(f"runs:/{run.info.run_id}/model")
    x = rows[["a", "b"]].to_numpy(copy=True)
    assert np.mean((learned(x) - best(x)) ** 2) == pytest.approx(gap, rel=1e-6)
    assert metrics["r2"] == pytest.approx(1 - np.mean((y - learned(x)) ** 2) / y.var(), rel=1e-9)
    off = np.abs(learned.coefficients - best.coefficients).max()
    assert metrics["coef_error/max"] == pytest.approx(off, rel=1e-6)
    assert tags["converged"] == "true" and tags["data.read"].startswith("separated by ';'")
    assert tags["data.sha256"] == best.origin.sha256
    assert tags["basis"] == {"auto": "orthonormal over the rows"}.get(basis, basis)
    [used] = run.inputs.dataset_inputs
    assert used.dataset.name == "rows.csv" and '"num_rows": 90' in used.dataset.profile
    assert json.loads(artifact(run, "sample.json").read_text())["y"] == y.tolist()
    for plot in ("fit", "loss", "residuals"):
        assert artifact(run, f"plots/{plot}.png").stat().st_size > 5000
    uri = f"runs:/{run.info.run_id}/model"
    served = mlflow.pyfunc.load_model(uri).predict(rows[["b", "a"]])
    module = mlflow.pytorch.load_model(uri)(torch.from_numpy(x)).detach().numpy()
    for found in (served.prediction, module[:, 0]):
        np.testing.assert_allclose(found, learned(x), rtol=1e-12)
    table = run.data.tags["mlflow.note.content"]
    assert "| term | learned |" in table and "mean squared error over the rows" in table
    asked = ["--model", uri, "--data", "rows.csv", "--out", "out.csv"]
    assert CliRunner().invoke(predict.main, asked).exit_code == 0


def test_a_training_on_rows_is_compared_with_the_fit_of_the_same_table(store):
    rows = write_rows()[["a", "y"]]
    rows.to_csv("one.csv", index=False)
    chosen = ("--data", "one.csv", "--target", "y", "--degree", "2")
    assert train(*chosen).exit_code == 0
    assert CliRunner().invoke(fit.main, chosen).exit_code == 0
    assert train("--degree", "2").exit_code == 0
    result = CliRunner().invoke(compare.main, [])
    assert result.exit_code == 0, result.output
    trained, fitted, drawn = (
        line.split() for line in result.output.splitlines() if line[:2].strip() in ("1", "2", "3")
    )
    letters = [[w for w in line if w in ("A", "B")] for line in (trained, fitted, drawn)]
    assert letters == [["A"], ["A"], ["B"]]
    page = (store / "comparison.html").read_text()
    assert "y against a" in page and "Options that differ" in page


def test_a_run_on_rows_that_have_changed_is_not_gone_on_with(store):
    write_rows()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("polyreg.sgd.descend.descend", stopping)
        patch.setattr("polyreg.sgd.descend.CHUNK", 20)
        result = train(*ON_ROWS, "--tolerance", "1e-30", "--max-steps", "200")
    assert result.exit_code == 130, result.output
    run = only_run()
    text = (store / "rows.csv").read_text()
    (store / "rows.csv").write_text(text.replace(";me", ";you", 1))
    refused = train("--resume", run.info.run_id)
    assert refused.exit_code == 2 and "rows.csv has changed since that run" in refused.output
    (store / "rows.csv").write_text(text)
    assert train("--resume", run.info.run_id).exit_code == 0
    alone = polyreg.train(
        data="rows.csv", target="y", missing="drop", tolerance=1e-30, max_steps=200
    )
    metrics = only_run().data.metrics
    assert metrics["steps"] == 200 and metrics["loss/gap"] == alone.curve.gap[-1]
    learned = alone.result()
    assert metrics["coef/a"] == learned.coefficients[learned.terms.index("a")]


def stopping(training):
    """As descend, of whom Ctrl-C is asked in between."""
    for chunk in descend(training):
        if training.curve.steps >= 100:
            os.kill(os.getpid(), signal.SIGINT)
        yield chunk


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--target", "y"], "--data and --target, the column to predict, belong together"),
        (["--data", "rows.csv"], "belong together; give both"),
        ([*ON_ROWS, "--noise", "1"], "--noise describes drawn samples; leave it out with --data"),
        ([*ON_ROWS, "--coefficients", "1,2"], "--coefficients describes drawn samples"),
        ([*ON_ROWS, "--basis", "legendre"], "must be auto or monomial with --data; got legendre"),
        (["--separator", ";"], "--separator describes a table, and needs --data; got ;"),
        (["--epochs", "3"], "--epochs describes a table, and needs --data; got 3"),
        ([*ON_ROWS, "--epochs", "-1"], "--epochs must be 0 (no limit) or more; got -1"),
        (["--data", "none.csv", "--target", "y"], "none.csv"),
        (["--data", "rows.csv", "--target", "y"], "--missing drop"),
        ([*ON_ROWS, "--features", "a,who"], "who"),
        ([*ON_ROWS, "--degree", "20"], "terms need at least as many rows, got 89"),
    ],
)
def test_what_is_no_training_on_a_table_is_one_line_and_leaves_nothing(folder, arguments, said):
    write_rows()
    result = train(*arguments)
    assert result.exit_code == 2, result.output
    [line] = result.output.splitlines()
    assert line.startswith("Error: ") and said in line
    assert [path.name for path in folder.iterdir()] == ["rows.csv"]
