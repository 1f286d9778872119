"""Comparisons, read back from MLflow and from the page, beside what the runs themselves say."""

import itertools
import json
import re
from dataclasses import replace

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner

from experiments import compare, fit, sweep, train
from polyreg import tracking
from polyreg.config import SweepConfig, TrainConfig
from polyreg.config_reading import CompareConfig
from polyreg.options import from_params
from polyreg.options import params as options
from polyreg.polynomials.result import Result
from polyreg.reports.comparison import page
from polyreg.reports.comparison.reading import choice, runs
from polyreg.reports.comparison.reading.runs import read
from polyreg.reports.panels import panels
from polyreg.sgd.stream import Randomness, Stream
from polyreg.text import number, text
from tests.conftest import ROOT, artifact
from tests.support import ready
from tests.unit.reports.test_page import NASTY, READ, Reader, points_of


def invoked(main, *arguments: str) -> str:
    """The id of the run that it made, whose pictures and model are no matter here."""
    with ready.pictures_and_models():
        result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return re.search(r"^run +(\w{32})$", result.output, re.MULTILINE)[1]


def trained(*arguments: str) -> str:
    return invoked(train.main, "--device", "cpu", *arguments)


def compared(*arguments: str):
    return CliRunner().invoke(compare.main, arguments)


def page_of(folder, *arguments: str, out: str = "comparison.html") -> Reader:
    result = compared(*arguments)
    assert result.exit_code == 0, result.output
    return Reader((folder / out).read_text(encoding="utf-8"))


def stored(run_id: str):
    return mlflow.get_run(run_id).data


METRICS = "Options that differ, and final metrics"


def shown(found: Reader, title: str = METRICS) -> dict[str, list[str]]:
    """A table of the page: of each column the cells, one a group."""
    header, *rows = found.tables[title]
    rows = [row for row in rows if row[0][:1].isdigit()]
    names = [name.partition(" ★")[0] for name in header]
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}


def truths(found: Reader, title: str) -> list[list[str]]:
    """Of a table of coefficients the rows above the groups."""
    return [row for row in found.tables[title][1:] if not row[0][:1].isdigit()]


def drawn_of(told: dict) -> list[list]:
    """What a chart tells a pointer: of each curve its group, x, y, and its band's low and high."""
    return [[group, told["grids"][grid], *of] for group, grid, *of in told["curves"]]


def dots(found: Reader, *kinds: str) -> list[np.ndarray]:
    """The points (n, 2) in groups of these classes, each of which is a line without length."""
    return [
        points_of(inside["d"])[::2]
        for (tag, group), (_, inside) in itertools.pairwise(found.elements)
        if tag == "g"
        and (group.get("class") or "").split()[: len(kinds)] == list(kinds)
        and len(inside["d"]) > 50
    ]


@pytest.fixture
def table(store):
    random = np.random.default_rng(0)
    a, b = random.uniform(-1, 1, (2, 80))
    y = 1 - a + 2 * a * b + random.normal(0, 0.1, 80)
    lines = [f"{p},{q},{r}" for p, q, r in zip(a, b, y, strict=True)]
    (store / "table.csv").write_text("\n".join(["a,b,y", *lines]))
    return a, b, y


ASKED = ("--data", "table.csv", "--target", "y")


def test_trainings_side_by_side_are_what_mlflow_and_the_truth_say(store):
    ids = [trained("--degree", d, "--noise", "1", "--max-steps", "2000") for d in ("1", "3", "4")]
    found = page_of(store, "--runs", ",".join(ids))
    runs = [stored(run_id) for run_id in ids]

    metrics = shown(found)
    assert [*metrics][:3] == ["group", "degree", "converged"]
    assert metrics["degree"] == ["1", "3", "4"] and metrics["converged"] == ["yes"] * 3
    for name in ("loss/gap", "loss/train", "coef_error/max", "steps", "condition"):
        cells = [float(cell.removesuffix(" ★")) for cell in metrics[name]]
        assert np.allclose(cells, [run.metrics[name] for run in runs], rtol=5e-6, atol=0)
    steps = [run.metrics["steps"] for run in runs]
    assert [c.endswith("★") for c in metrics["steps"]] == [one == min(steps) for one in steps]
    # Both of a degree that has the truth ended within the tolerance of it: alike.
    assert [c.endswith("★") for c in metrics["distance to the truth"]] == [False, True, True]
    assert not any("★" in cell for name in ("learning_rate", "loss/gap") for cell in metrics[name])

    coefficients = shown(found, "Coefficients of y by x")
    truth = {"1": 0.9, "x": 0.5, "x^2": 3, "x^3": 2.4, "x^4": 0}
    [known] = truths(found, "Coefficients of y by x")
    assert dict(zip([*coefficients][1:], map(float, known[1:]), strict=True)) == truth
    for term, key in zip(truth, ("1", "x", "x.2", "x.3", "x.4"), strict=True):
        for cell, run in zip(coefficients[term], runs, strict=True):
            expected = run.metrics.get(f"coef/{key}")
            assert (cell == "–") == (expected is None)
            assert expected is None or np.isclose(float(cell), expected, rtol=5e-6, atol=0)
    assert found.of("warning") == []


def test_curves_run_through_the_learned_polynomial_over_its_own_data(store):
    run_id = trained("--degree", "2", "--noise", "1", "--max-steps", "500", "--seed", "7")
    found = page_of(store, "--runs", run_id)
    fitted, learning = [json.loads(t) for t in found.texts["script"] if t.startswith("{")]

    truth, learned = drawn_of(fitted)
    assert truth[0] is None and learned[0] == 0
    x = np.array(learned[1])
    own = [stored(run_id).metrics[f"coef/{key}"] for key in ("1", "x", "x.2")]
    assert np.allclose(learned[2], np.polyval(own[::-1], x), rtol=1e-5, atol=1e-4)
    assert np.allclose(truth[2], np.polyval([2.4, 3, 0.5, 0.9], truth[1]), rtol=1e-5, atol=1e-4)
    stream = Stream(TrainConfig(noise=1.0, seed=7), Randomness.of(7))
    sample, _ = stream.samples(400)
    assert np.allclose([x[0], x[-1]], [sample.min(), sample.max()], rtol=1e-5)
    [drawn] = dots(found, "dots")
    at = 1000 * (sample - sample.min()) / np.ptp(sample)
    assert len(drawn) == 400 and np.allclose(drawn[:, 0], at, atol=0.06)

    history = mlflow.MlflowClient().get_metric_history(run_id, "loss/gap")
    gap = {m.step: m.value for m in history}
    [(_, steps, values)] = drawn_of(learning)
    assert (steps[0], steps[-1]) == (min(gap), max(gap)) and len(steps) <= 301
    assert np.allclose(values, [gap[step] for step in steps], rtol=5e-6, atol=0)


def test_the_comparison_is_a_run_with_its_page_and_its_figure(store):
    ids = [trained("--degree", d, "--max-steps", "50") for d in ("1", "2")]
    result = compared("--runs", ",".join(ids), "--out", "mine.html")
    assert result.exit_code == 0, result.output
    run_id = re.search(r"^run +(\w{32})$", result.output, re.MULTILINE)[1]
    run = mlflow.get_run(run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "comparison · 2 runs"
    assert run.data.tags["compared"] == ",".join(ids)
    assert run.data.params == {
        "runs": ",".join(ids), "experiment": "polyreg", "last": "10", "filter": "",
        "out": "mine.html",
    }  # fmt: skip
    logged = artifact(run, "comparison.html").read_bytes()
    assert logged == (store / "mine.html").read_bytes() and len(logged) < 200_000
    assert artifact(run, "plots/comparison.png").read_bytes().startswith(b"\x89PNG")
    assert [f.name for f in store.glob(".mine*")] == []
    assert re.search(r"^2 +2 +(yes|no) +50 ", result.output, re.MULTILINE)


def test_fits_show_their_bands_their_intervals_and_their_rows(store, table):
    a, _, y = table
    ids = [invoked(fit.main, *ASKED, "--features", "a", "--degree", d) for d in ("1", "2")]
    found = page_of(store, "--runs", ",".join(ids))
    [rows] = dots(found, "dots")
    assert np.allclose(rows[:, 0], 1000 * (a - a.min()) / np.ptp(a), atol=0.06)
    told = json.loads(next(t for t in found.texts["script"] if t.startswith("{")))
    for (k, x, fitted, low, high), degree in zip(drawn_of(told), (1, 2), strict=True):
        # The confidence band of statsmodels' manual, by numpy alone.
        expected, covariance = np.polyfit(a, y, degree, cov=True)
        powers = np.vander(np.array(x), degree + 1)
        half = np.sqrt(((powers @ covariance) * powers).sum(1))
        quantile = {1: 1.990847069, 2: 1.991254395}[degree]  # t of 78 and 77, 0.975
        assert k == degree - 1
        assert np.allclose(fitted, powers @ expected, atol=2e-5)
        assert np.allclose(high, fitted + quantile * half, atol=2e-5)
        assert np.allclose(low, fitted - quantile * half, atol=2e-5)
    assert len(found.of("band")) == 2
    document = json.loads(artifact(mlflow.get_run(ids[1]), "coefficients.json").read_text())
    cells = shown(found, "Coefficients of y by a")
    for row in document["terms"]:
        value, low, high = (number(row[key]) for key in ("estimate", "low", "high"))
        assert cells[row["term"]][1] == f"{value}{low} to {high}"
    metrics = shown(found)
    assert np.isclose(float(metrics["r2"][0]), np.corrcoef(a, y)[0, 1] ** 2, rtol=1e-5)
    assert not any("★" in cell for cell in metrics["r2"])  # the largest is of the most terms
    least = min((0, 1), key=lambda k: float(metrics["aic"][k].removesuffix(" ★")))
    assert [cell.endswith("★") for cell in metrics["aic"]] == [least == 0, least == 1]
    assert "Bands: 95 % confidence, of the mean." in found.texts["p"]


def test_of_several_variables_what_was_observed_stands_against_what_was_fitted(store, table):
    a, b, y = table
    run_id = invoked(fit.main, *ASKED, "--degree", "2")
    client = mlflow.MlflowClient()
    # One without a sample, and one whose sample names its columns in another order.
    answer = artifact(mlflow.get_run(run_id), "coefficients.json").read_text()
    bare, turned = (
        client.create_run("1", run_name=name).info.run_id for name in ("bare", "turned")
    )
    for other in (bare, turned):
        client.log_text(other, answer, "coefficients.json")
    sample = {"names": ["b", "a"], "target": "y", "x": np.column_stack([b, a]).tolist()}
    client.log_dict(turned, sample | {"y": y.tolist()}, "sample.json")

    found = page_of(store, "--runs", f"{run_id},{bare},{turned}")
    assert "y: observed against fitted" in found.texts["figcaption"]
    assert any("No sample of the data of run 2: no points." in text for text in found.texts["p"])
    drawn, other = dots(found, "dots", "run")
    assert np.array_equal(drawn, other)
    powers = np.column_stack([np.ones(80), a, b, a * a, a * b, b * b])
    fitted = powers @ np.linalg.lstsq(powers, y, rcond=None)[0]
    low, high = min(fitted.min(), y.min()), max(fitted.max(), y.max())
    low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    assert np.allclose(drawn[:, 0], 1000 * (fitted - low) / (high - low), atol=0.2)
    assert np.allclose(drawn[:, 1], 1000 - 1000 * (y - low) / (high - low), atol=0.2)


def test_runs_of_different_data_are_warned_of_and_the_best_is_of_the_same_data(store, table):
    trainings = [trained("--degree", d, "--coefficients", c, "--max-steps", "40")
                 for d, c in (("1", "1,2"), ("2", "1,2"), ("1", "3,4"))]  # fmt: skip
    fitted = invoked(fit.main, *ASKED, "--features", "a", "--degree", "1")
    sha256 = stored(fitted).tags["data.sha256"]
    ids = [*trainings, fitted]
    result = compared("--runs", ",".join(ids))
    found = Reader((store / "comparison.html").read_text(encoding="utf-8"))
    assert len(found.of("warning")) == 1
    lines = [
        "A: truth 1,2, normal inputs, noise 0, runs 1, 2",
        "B: truth 3,4, normal inputs, noise 0, run 3",
        f"C: y of table.csv (sha256 {sha256[:12]}), run 4",
    ]
    assert [text for text in found.texts["li"] if text in lines] == lines
    assert "warning: These runs saw different tables or truths" in result.stderr
    steps = [stored(run_id).metrics["steps"] for run_id in trainings]
    marked = [cell.endswith("★") for cell in shown(found)["steps"]]
    assert marked == [steps[0] < steps[1], steps[1] < steps[0], False, False]
    assert shown(found, "The runs")["data"] == ["A", "A", "B", "C"]
    found = page_of(store, "--runs", ",".join(ids[:2]))
    assert found.of("warning") == []


def test_runs_that_differ_in_the_seed_alone_are_repetitions_and_no_other_data(store):
    ids = [trained("--degree", d, "--seed", seed, "--max-steps", "40")
           for d, seed in (("2", "0"), ("2", "1"), ("3", "0"), ("2", "2"))]  # fmt: skip
    found = page_of(store, "--runs", ",".join(ids))
    assert found.of("warning") == [] and shown(found)["degree"] == ["2", "3"]
    steps = [stored(run_id).metrics["loss/gap"] for run_id in (ids[0], ids[1], ids[3])]
    mean, spread = shown(found)["loss/gap"][0].split(" ± ")
    deviation = np.std(steps, ddof=1)
    assert np.isclose(float(spread), deviation, rtol=0.05)
    assert abs(float(mean) - np.mean(steps)) <= 0.05 * deviation  # to the spread's second digit
    own = [row[6] for row in found.tables["The runs"][1:]]
    assert own == ["–", ids[0], ids[1], ids[3], ids[2]]


def odd_runs(client, experiment: str) -> dict[str, str]:
    """Runs that others, crashes and other versions leave, by what they are."""
    made = {}

    def make(what, status="FINISHED", params=None, metrics=None, tags=None, name=None, files=None):
        run_id = client.create_run(experiment, tags=tags or {}, run_name=name or what).info.run_id
        for key, value in (params or {}).items():
            client.log_param(run_id, key, value)
        for key, value in (metrics or {}).items():
            client.log_metric(run_id, key, value)
        for path, content in (files or {}).items():
            client.log_text(run_id, content, path)
        if status != "RUNNING":
            client.set_terminated(run_id, status)
        made[what] = run_id

    own = {name: text(value) for name, value in vars(TrainConfig()).items()}
    old = {key: own[key] for key in ("degree", "coefficients", "inputs", "seed")}
    make("nothing at all")
    make("killed early", "KILLED", own, {"loss/gap": 3.0, "loss/train": 4.0})
    make("still running", "RUNNING", own)
    make("of an old version", params=old, metrics={"steps": 5})
    make("wrong options", params=own | {"degree": "many"})
    odd = {"accuracy": 0.5, "nan": float("nan"), "inf": float("inf")}
    make("somebody's", params={"lr": "<b>&</b>"}, metrics=odd)
    make("broken", params=own, files={"coefficients.json": "{", "sample.json": "]"})
    make("another document", params=own, files={"coefficients.json": '{"terms": [], "basis": 3}'})
    make("named", params=own, name=NASTY.replace("\x00", "").replace("\ud800", ""))
    return made


def test_odd_runs_are_listed_with_what_they_have(store):
    trained("--max-steps", "50")
    made = odd_runs(mlflow.MlflowClient(), "1")
    found = page_of(store, "--runs", ",".join(made.values()))
    rows = dict(zip(made, found.tables["The runs"][1:], strict=True))
    for what, run_id in made.items():
        number_of = rows[what][0].split()[0]
        assert rows[what][6] == run_id and number_of == str([*made].index(what) + 1)
    assert rows["killed early"][3] == "KILLED" and "killed: shown" in rows["killed early"][7]
    assert rows["still running"][3] == "RUNNING"
    assert rows["nothing at all"][2] == "other"
    assert "not polyreg's" in rows["broken"][7] and "not polyreg's" in rows["another document"][7]
    assert rows["named"][1] == READ.replace("\ufffd", "")
    metrics = shown(found)
    place = list(made).index("somebody's")
    assert [metrics[name][place] for name in ("accuracy", "nan", "inf")] == ["0.5", "nan", "inf"]
    assert metrics["lr"][place] == "<b>&</b>"
    assert {tag for tag, _ in found.elements} & {"img", "a"} == set()


def test_runs_of_an_earlier_version_are_drawn_beside_todays(store):
    """Its coefficients.json had a training's basis by name alone, and its weights by term."""
    client = mlflow.MlflowClient()
    today = trained("--seed", "3")
    ids, documents = [today], []
    for name, params in (
        ("training_hermite", {k: text(v) for k, v in vars(TrainConfig(seed=3)).items()}),
        ("training_legendre", {}),
        ("fit_one", {"data": "m", "target": "y", "degree": "2"}),
    ):
        known = json.loads((ROOT / "tests" / "data" / f"{name}.json").read_text())["document"]
        ids.append(client.create_run("1", run_name=name).info.run_id)
        for key, value in params.items():
            client.log_param(ids[-1], key, value)
        client.log_text(ids[-1], json.dumps(known), "coefficients.json")
        client.set_terminated(ids[-1])
        documents.append(known)
    found = page_of(store, "--runs", ",".join(ids))
    cells = shown(found, "Coefficients of y by x")
    for run, known in ((-2, documents[0]), (-1, documents[1])):
        for row in known["terms"]:
            assert cells[row["term"]][run] == page.number(row["estimate"])
    # The same training, now and then; float32 sums differ in their last bits between CPUs.
    terms = [*cells][1:]
    assert terms == ["1", "x", "x^2", "x^3", "x^4"]
    now, then = (np.array([float(cells[term][k]) for term in terms[:4]]) for k in (-3, -2))
    np.testing.assert_allclose(now, then, rtol=1e-5)
    cells = shown(found, "Coefficients of y by a")
    for row in documents[2]["terms"]:
        value, low, high = (page.number(row[key]) for key in ("estimate", "low", "high"))
        assert cells[row["term"]][-1] == f"{value}{low} to {high}"
    assert any("90 % interval" in text for text in found.texts["p"])


def test_the_newest_are_taken_and_what_is_none_is_left_out_with_a_note(store):
    ids = [trained("--degree", d, "--max-steps", "50") for d in ("1", "2", "3")]
    client = mlflow.MlflowClient()
    client.create_run("1", run_name="somebody's")
    assert compared("--last", "1").exit_code == 0
    result = compared("--last", "2")
    found = Reader((store / "comparison.html").read_text(encoding="utf-8"))
    assert [row[6] for row in found.tables["The runs"][1:]] == ids[1:]
    assert (
        "note: Left out of the newest runs: 1 comparison, 1 run of another kind." in result.stderr
    )
    for condition, met in CONDITIONS.items():
        found = page_of(store, "--filter", condition)
        listed = [row[6] for row in found.tables["The runs"][1:]]
        assert listed == [ids[k] for k in met], condition


CONDITIONS = {
    "params.degree < '3'": [0, 1],
    "params.degree >= 2": [1, 2],
    "params.degree > '1' AND params.`degree` <= '2'": [1],
    "metrics.steps < 60 and params.degree > '2' and params.basis = 'auto'": [2],
    "params.learning_rate != ' and ' and params.degree != '2'": [0, 2],
}


SWEPT = ("--degrees", "1,2", "--learning-rates", "auto,10", "--seeds", "2", "--max-steps", "60")


def swept(*arguments: str) -> str:
    return invoked(sweep.main, *(arguments or SWEPT))


def nested_of(parent: str) -> list:
    found = mlflow.search_runs(["1"], f"tags.mlflow.parentRunId = '{parent}'", output_format="list")
    return sorted(found, key=lambda run: (run.data.params["degree"], run.data.params["seed"]))


def made(params=None, parent: str = "", tags=None, status: str = "FINISHED", **metrics) -> str:
    """A run that somebody made, by hand; its params, unless others are given, a training's."""
    client = mlflow.MlflowClient()
    tags = (tags or {}) | ({"mlflow.parentRunId": parent} if parent else {})
    known = client.get_experiment_by_name("polyreg")
    experiment = known.experiment_id if known else client.create_experiment("polyreg")
    run_id = client.create_run(experiment, tags=tags).info.run_id
    for name, value in (options(TrainConfig()) if params is None else params).items():
        client.log_param(run_id, name, value)
    for name, value in metrics.items():
        client.log_metric(run_id, name.replace("__", "/"), value)
    if status != "RUNNING":
        client.set_terminated(run_id, status)
    return run_id


def chosen(**given) -> list[str]:
    """The ids of what is compared: runs, and sweeps as one each."""
    return [item.past.id for item in choice.chosen(CompareConfig(**given))[0]]


def test_a_sweep_is_its_combinations_each_run_with_its_curve_and_what_diverged_as_such(store):
    parent = swept()
    found = read(CompareConfig(runs=parent))
    [one] = found.sweeps
    assert one.past.id == parent and one.config.degrees == (1, 2) and one.notes == []
    varied = [(s.varied["degree"], s.varied["learning_rate"]) for s in one.found]
    assert varied == [(1, "auto"), (1, 10.0), (2, "auto"), (2, 10.0)]
    assert [[row.config.seed for row in s.rows] for s in one.found] == [[0, 1]] * 4
    assert [seen.row for seen in found.seen] == [row for s in one.found for row in s.rows]
    for seen in found.seen:
        run = mlflow.get_run(seen.past.id)
        assert (seen.sweep, seen.kind, seen.past.params) == (0, "training", run.data.params)
        assert from_params(TrainConfig, run.data.params) == seen.config == seen.row.config
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss/gap")
        at, gap = seen.learning["loss/gap"]
        assert list(zip(at, gap, strict=True)) == [(m.step, m.value) for m in history]
        if seen.config.learning_rate == 10:
            assert seen.polynomial is None and seen.row.diverged
            assert seen.notes == [run.data.tags["error"]]
            continue
        document = json.loads(artifact(run, "coefficients.json").read_text())
        learned = Result.from_dict(document)
        assert np.array_equal(seen.polynomial.coefficients, learned.coefficients)
        x = np.linspace(*learned.domain["x"], 9)
        np.testing.assert_allclose(seen.polynomial(x), learned(x), rtol=1e-12)
        assert np.array_equal(seen.truth, learned.truth) and seen.polynomial.terms == learned.terms
        assert seen.sample[0].shape == (400, 1) and seen.notes == []
    assert found.ids == [parent] and found.counts == (0, 1)


def test_a_sweep_counts_as_one_of_the_newest_wherever_its_runs_stand_in_time(store, monkeypatch):
    first = trained("--max-steps", "50")
    parent = swept()
    last = trained("--max-steps", "50", "--degree", "2")
    # As of a sweep that is resumed: newer than all the others.
    made(options(TrainConfig(degree=2, seed=7)), parent, {"converged": "true"}, steps=3)
    assert chosen(last=1) == [last]
    assert chosen(last=2) == [parent, last]
    assert chosen(last=3) == chosen() == [first, parent, last]
    # Its runs fill no search, also where that is short.
    monkeypatch.setattr(choice, "SEARCHED", 3)
    assert chosen(last=3) == [first, parent, last]


def test_a_training_in_somebodys_own_run_is_one_of_the_newest(store, monkeypatch):
    first = trained("--max-steps", "50")
    other = made({"lr": "1"})
    inner, parent = made(parent=other), swept()
    again = made(parent=other)
    assert chosen(last=2) == [parent, again]
    assert chosen() == [first, inner, parent, again]
    assert choice.chosen(CompareConfig(last=3))[1] == []
    left_out = "Left out of the newest runs: 1 run of another kind."
    assert choice.chosen(CompareConfig())[1] == [left_out]
    monkeypatch.setattr(choice, "SEARCHED", 3)  # fewer than the sweep has runs
    assert chosen(last=4) == [first, inner, parent, again]


def test_a_filter_leaves_a_sweep_those_of_its_runs_that_meet_it(store):
    alone, parent = trained("--max-steps", "50", "--degree", "2"), swept()
    for condition in ("params.degree > 1", "params.degree = '2'"):
        found = read(CompareConfig(filter=condition))
        assert found.ids == [parent, alone]
        assert [s.varied["degree"] for s in found.sweeps[0].found] == [2, 2]
        assert found.sweeps[0].notes == ["Only the 4 runs that meet the filter."]
    [run] = [r for r in nested_of(parent) if r.data.params["degree"] == "1"][:1]
    found = read(CompareConfig(filter=f"attributes.run_name = '{run.info.run_name}'"))
    assert found.ids == [parent] and [one.past.id for one in found.seen] == [run.info.run_id]
    # Of one that meets it itself, and none of its runs does: all.
    found = read(CompareConfig(filter="attributes.run_name LIKE 'sweep%'"))
    assert found.ids == [parent] and len(found.seen) == 8 and found.sweeps[0].notes == []
    assert chosen(filter="params.max_steps < 60 and params.degree > 1") == [alone]


def test_what_a_filter_leaves_out_of_a_search_is_not_said_to_be_untried(store):
    few = ("--learning-rates", "auto", "--seeds", "1", "--max-steps", "40")
    swept("--degrees", "1,2,3", "--trials", "3", *few)
    [one] = read(CompareConfig(filter="params.degree > 1")).sweeps
    [panel, *_] = panels(one.config, one.found)
    assert panel.columns == ["2", "3"] and not panel.blank


def test_what_there_is_of_a_sweep_that_was_interrupted_is_shown_and_the_rest_counted(store):
    parent = swept("--degrees", "1,2", "--learning-rates", "auto", "--seeds", "3")
    client = mlflow.MlflowClient()
    runs = nested_of(parent)
    client.delete_run(runs[0].info.run_id)
    client.set_terminated(runs[4].info.run_id, "FAILED")  # it has coefficients: half-written
    config = from_params(TrainConfig, runs[5].data.params)
    made(options(config), parent, status="RUNNING")
    made(options(replace(config, degree=7)), parent, {"converged": "true"}, steps=3, loss__gap=1)
    made({"lr": "1"}, parent)
    again = runs[5].data
    made(again.params, parent, again.tags | {"mlflow.parentRunId": parent},
         **{key.replace("/", "__"): value for key, value in again.metrics.items()})  # fmt: skip
    client.set_terminated(parent, "KILLED")
    found = read(CompareConfig(runs=parent))
    [one] = found.sweeps
    seeds = [(s.varied["degree"], row.config.seed) for s in one.found for row in s.rows]
    assert seeds == [(1, 1), (1, 2), (2, 0), (2, 2)]
    assert one.notes == [
        "4 runs left out: half-written, or no run of its grid.",
        "1 run left out: written twice.",
    ]
    told = f"The sweep {parent} is KILLED: 4 of 6 runs are there."
    assert found.notes == [told]
    result = compared("--runs", parent)
    assert f"note: {told}" in result.stderr.splitlines()
    # With a filter it is not known how many of its runs would meet it.
    found = read(CompareConfig(filter="params.degree = '2'"))
    assert found.notes[0].startswith(f"The sweep {parent} is KILLED: only the ")
    client.set_terminated(parent, "FINISHED")
    told = f"The sweep {parent} is FINISHED: 4 of 6 runs are there."
    assert read(CompareConfig(runs=parent)).notes == [told]


def test_a_run_named_beside_its_sweep_is_there_once(store):
    parent = swept()
    runs = [run.info.run_id for run in nested_of(parent)]
    for named in (f"{runs[3]},{parent}", f"{parent},{runs[3]},{parent}"):
        found = read(CompareConfig(runs=named))
        assert sorted(one.past.id for one in found.seen) == sorted(runs)
        assert {one.sweep for one in found.seen} == {0} and len(found.sweeps) == 1
    found = read(CompareConfig(runs=",".join(runs[:2])))
    assert [one.past.id for one in found.seen] == runs[:2]
    assert not found.sweeps and found.seen[0].row is None


def test_the_run_of_a_comparison_names_its_sweeps_and_the_page_shows_them(store):
    alone, parent = trained("--max-steps", "50"), swept()
    result = compared("--last", "2")
    assert result.exit_code == 0, result.output
    run = mlflow.get_run(re.search(r"^run +(\w{32})$", result.output, re.MULTILINE)[1])
    assert run.info.run_name == "comparison · 1 sweep, 1 run"
    assert run.data.tags["compared"] == f"{parent},{alone}"
    found = Reader((store / "comparison.html").read_text(encoding="utf-8"))
    listed = shown(found, "The runs")
    assert len(listed["group"]) == 5 and listed["name in MLflow"][1:] == ["2 runs"] * 4
    assert listed["status"].count("2 of 2 FAILED") == 2


def test_sweeps_and_runs_side_by_side_leave_each_other_room(store, monkeypatch):
    alone = trained("--max-steps", "50")
    few = ("--learning-rates", "auto", "--max-steps", "40", "--coefficients", "1,2")
    large = swept("--degrees", "1,2,3,4,5,6", "--seeds", "3", *few)
    small = swept("--degrees", "1,2", "--seeds", "1", *few)
    ids = f"{large},{alone},{small}"
    monkeypatch.setattr(runs, "MAX_COMPARED", 5)
    found = read(CompareConfig(runs=ids))
    assert [len(sweep.found) for sweep in found.sweeps] == [6, 2]
    assert found.ids == [large, small, alone] and found.counts == (1, 2)
    best = sorted(found.sweeps[0].found, key=lambda one: one.score)[:2]
    kept = [one for one in found.sweeps[0].found if one in best]
    assert [one.row for one in found.seen] == [
        *(row for summary in kept for row in summary.rows),
        None,
        *(row for summary in found.sweeps[1].found for row in summary.rows),
    ]
    assert found.sweeps[0].notes == ["The best 2 of 6 combinations have curves here."]
    assert found.sweeps[1].notes == []
    # Of a combination that is none of the best, one that was named.
    worst = max(found.sweeps[0].found, key=lambda one: one.score)
    beside = read(CompareConfig(runs=f"{ids},{worst.rows[1].id}"))
    assert worst.rows[1].id in [one.past.id for one in beside.seen]
    assert beside.sweeps[0].notes == found.sweeps[0].notes and beside.sweeps[1].notes == []
    monkeypatch.setattr(runs, "MAX_COMPARED", 2)
    [one] = read(CompareConfig(runs=large)).sweeps
    assert one.notes[1] == (
        "Curves and numbers of a group are of 2 of 3 seeds; "
        "the heat map and the combinations have all."
    )
    monkeypatch.setattr(runs, "MAX_COMPARED", 50)
    monkeypatch.setattr(runs, "CURVES", 12)
    assert len(read(CompareConfig(runs=large)).seen) == 18  # five seeds each, whatever CURVES


def test_a_sweep_without_runs_is_refused_where_it_is_named_and_else_left_out(store):
    parent = made(options(SweepConfig()), status="RUNNING")
    result = compared("--runs", parent)
    assert result.exit_code == 2
    assert f"--runs: the sweep {parent} has no runs to compare; leave it out" in result.stderr
    made(options(TrainConfig()), parent, status="RUNNING")
    result = compared("--runs", parent)
    assert result.exit_code == 2
    assert f"the sweep {parent} has 1 run, none of which is a whole training" in result.stderr
    run_id = trained("--max-steps", "50")
    assert choice.chosen(CompareConfig(last=1))[1] == []  # what is left out is older
    made(options(SweepConfig()))
    found, notes = choice.chosen(CompareConfig(last=1))
    assert [item.past.id for item in found] == [run_id]
    assert notes == ["Left out of the newest runs: 1 sweep without runs to compare."]
    found = read(CompareConfig(last=5))  # with the one that was killed in its first run
    assert found.ids == [run_id]
    assert found.notes == ["Left out of the newest runs: 2 sweeps without runs to compare."]


def test_a_sweep_of_an_option_that_is_none_of_this_version_is_a_run_with_its_reason(store):
    parent = made(options(SweepConfig()) | {"optimizers": "momentum2"})
    [one] = read(CompareConfig(runs=parent)).seen
    assert (one.kind, one.config, one.polynomial) == ("sweep", None, None)
    assert one.notes == ["a sweep whose options are not this version's"]


def test_a_deleted_run_is_shown_with_what_it_has(store):
    run_id = trained("--max-steps", "50")
    mlflow.delete_run(run_id)
    [one] = read(CompareConfig(runs=run_id)).seen
    assert one.notes == ["deleted: shown with what it has"]
    assert one.polynomial is not None and len(one.learning["loss/gap"][0]) > 1
    result = compared("--runs", run_id)
    assert f"note: Deleted, and shown with what is left: {run_id}." in result.stderr.splitlines()


def test_a_text_is_the_same_from_a_folder_of_this_machine_and_from_mlflow(store, monkeypatch):
    past = tracking.past([trained("--max-steps", "50")])[0]
    elsewhere = past._replace(artifact_uri="s3://bucket/x")  # MLflow knows where it really is
    for path in ("coefficients.json", "plots/fit.json", "model", "none.json"):
        assert tracking.text(past, path) == tracking.text(elsewhere, path)
    assert json.loads(tracking.text(past, "coefficients.json"))["terms"]
    monkeypatch.setattr(mlflow.MlflowClient, "list_artifacts", None)  # and asks nobody
    assert json.loads(tracking.text(past, "coefficients.json"))["terms"]


def test_a_run_named_twice_is_one(store):
    run_id = trained("--max-steps", "50")
    found = page_of(store, "--runs", f"{run_id}, {run_id},")
    assert len(found.tables["The runs"]) == 2 and "Options that differ" not in found.tables


def test_a_page_may_have_the_longest_name_there_is(store):
    name = "n" * 250 + ".html"
    page_of(store, "--runs", trained("--max-steps", "50"), "--out", name, out=name)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--runs", "0" * 32], f"Run with id={'0' * 32} not found"),
        (["--runs", ""], "--runs is empty; name runs or sweeps by their ids, or leave it out"),
        (["--runs", ","], "--runs must be a comma list of run ids; got ','"),
        (["--runs", "a", "--last", "3"], "leave out --last 3"),
        (["--runs", "a", "--filter", "x", "--experiment", "e"], "--experiment e and --filter x"),
        (["--runs", ",".join(str(k) for k in range(51))], "at most 50 runs; got 51"),
        (["--last", "0"], "--last must be 1 to 50; got 0"),
        (["--last", "51"], "--last must be 1 to 50; got 51"),
        (["--experiment", ""], "--experiment must name an experiment"),
        (["--experiment", "none such"], "no experiment 'none such'"),
        (["--filter", "params.degree >> 2"], "--filter params.degree >> 2: "),
        (["--filter", "nonsense !!"], "Invalid clause(s) in filter string: 'nonsense', '!!'"),
        (["--filter", "params.basis > 'auto'"], "'auto' is no number"),
        (["--filter", "params.degree > '98'"], "has no training, fit or sweep that meets"),
        (["--filter", "params.degree = '99'"], "has no training, fit or sweep that meets"),
        (["--out", "page.txt"], "--out must end in .html; got 'page.txt'"),
        (["--out", "none/page.html"], "there is no folder none"),
        (["--out", "folder.html"], "--out folder.html is a folder"),
        (["--out", "n" * 260 + ".html"], ".html cannot be written: File name too long"),
        (["--out", "n" * 260 + "/page.html"], ".html cannot be written: File name too long"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_in_one_line(store, arguments, said):
    mlflow.MlflowClient().create_experiment("polyreg")
    (store / "folder.html").mkdir()
    before = sorted(f.name for f in store.rglob("*.html"))
    result = compared(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert "mlflow.parentRunId" not in result.stderr  # a condition of ours
    assert sorted(f.name for f in store.rglob("*.html")) == before
    assert mlflow.search_runs(experiment_names=["polyreg"], output_format="list") == []


def test_under_mlflow_run_a_relative_page_is_an_artifact_of_the_run_which_is_named(
    store, monkeypatch
):
    trained("--max-steps", "50")
    opened = mlflow.MlflowClient().create_run("1").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    result = compared("--filter", "params.degree > '2'", "--out", "mine.html")
    assert result.exit_code == 0, result.output
    run = mlflow.get_run(opened)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "comparison · 1 run · params.degree > '2'"
    assert artifact(run, "mine.html").read_text().startswith("<!DOCTYPE html>")
    assert not list(store.glob("*.html")) and not list(store.glob(".*.html*"))
    assert re.search(r"^page +mine.html, an artifact of the run, \(", result.output, re.MULTILINE)


def test_what_fails_while_it_is_logged_leaves_no_page(store, monkeypatch):
    from polyreg import tracking

    run_id = trained("--max-steps", "50")
    (store / "comparison.html").write_text("the last one")

    def refuse(*_):
        raise tracking.Unreachable("the disk is full")

    monkeypatch.setattr(tracking.Run, "text", refuse)
    result = compared("--runs", run_id)
    assert result.exit_code == 2 and "the disk is full" in result.stderr
    assert (store / "comparison.html").read_text() == "the last one"
    assert [f.name for f in store.glob(".comparison*")] == []
