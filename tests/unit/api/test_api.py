"""What `import polyreg` offers, and that it is what the packages below compute."""

import doctest
import importlib.metadata
import inspect
import json
import pickle
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
import torch

import polyreg
from polyreg.config import FitConfig, SweepConfig, TrainConfig
from polyreg.fields import Reading
from polyreg.measured import CONDITIONS
from polyreg.sgd import Training
from polyreg.sgd import sweep as sweeps
from polyreg.sgd.descend import descend
from polyreg.sgd.optimum import Optimum
from tests.conftest import ROOT

DRAWN = np.random.default_rng(0)
X = DRAWN.uniform(-1, 2, size=50)
Y = 1 + X - 2 * X**2 + DRAWN.normal(scale=0.1, size=50)


def refusal(call, *args, **options) -> str:
    with pytest.raises(polyreg.PolyregError) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert "\n" not in message and not re.search(r"(?<!\w)--\w", message)
    return message


# What there is


def test_the_names_are_sorted_and_each_is_there_and_says_what_it_is():
    assert polyreg.__all__ == sorted(polyreg.__all__)
    for name in polyreg.__all__:
        assert getattr(polyreg, name).__doc__
    assert {*polyreg.__all__, "__version__"} == {*dir(polyreg)}
    with pytest.raises(AttributeError, match=r"^module 'polyreg' has no attribute 'fitt'$"):
        polyreg.fitt  # noqa: B018
    there: dict = {}
    exec("from polyreg import *", there)
    assert {*polyreg.__all__} <= {*there}


def test_what_type_checkers_import_is_what_there_is():
    source = (ROOT / "polyreg" / "__init__.py").read_text()
    [block] = re.findall(r"if TYPE_CHECKING:\n((?:    .*\n)+)", source)
    there: dict = {}
    exec(inspect.cleandoc("\n" + block), there)
    assert {name: there[name] for name in polyreg.__all__} == {
        name: getattr(polyreg, name) for name in polyreg.__all__
    }


def test_the_version_is_the_one_that_is_built():
    try:
        installed = importlib.metadata.distribution("polyreg")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("polyreg is not installed")
    address = json.loads(installed.read_text("direct_url.json") or '{"url": ""}')["url"]
    if address != ROOT.as_uri() and not Path(polyreg.__file__).is_relative_to(
        str(installed.locate_file(""))
    ):
        pytest.skip("another polyreg is installed")
    assert polyreg.__version__ == installed.version, "install it again: pip install -e ."


def test_importing_is_light_and_a_fit_imports_neither_mlflow_nor_pictures():
    code = """
import sys
import polyreg
heavy = {"numpy", "torch", "mlflow", "matplotlib", "sklearn", "pandas"} & {*sys.modules}
polyreg.fit([0, 1, 2], [1, 3, 9], degree=2).summary()
print(heavy, {"mlflow", "matplotlib", "sklearn"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set() set()\n", done.stderr


STORED = ("load", "log_result", "log_sweep", "log_training", "start_run")  # run in tests/runs


@pytest.mark.parametrize("name", polyreg.__all__)
def test_every_name_has_examples_that_run(name):
    found = doctest.DocTestFinder(recurse=False).find(getattr(polyreg, name), name, globs={})
    assert sum(len(test.examples) for test in found) > 1
    for test in found if name not in STORED else ():
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def defaults(call) -> dict:
    parameters = inspect.signature(call).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("self", "x", "y")}


def test_the_defaults_of_fit_are_those_of_the_command_line():
    of_config = {f.name: f.default for f in fields(FitConfig)}
    given = defaults(polyreg.fit)
    # An array has no target's name, None is Python's word for nothing, and data are in memory.
    ours = {"target": None, "weights": None, "engine": None, "device": "cpu"}
    ours |= {"sigma": None, "sigma_x": None, "covariance": None} | dict.fromkeys(CONDITIONS)
    assert {**given, **ours} == given
    assert {name: of_config[name] for name in given if name not in ours} == {
        name: value for name, value in given.items() if name not in ours
    }
    assert of_config.keys() - given.keys() == {"data", "register_as", "diagnostics"}


def test_the_defaults_of_the_regressor_are_those_of_fit():
    given = defaults(polyreg.PolynomialRegressor)
    assert given == {name: defaults(polyreg.fit)[name] for name in given}
    left_out = {"target", "features", "exclude", "weights", "missing", "skip_bad_files"}
    left_out |= {f.name for f in fields(Reading)} | {"device", "engine", "address"}
    left_out |= {"by", "interact", "same_degree", "pool", "require_all"}
    left_out |= {"sigma", "sigma_x", "covariance", "swap", "band", *CONDITIONS}
    assert defaults(polyreg.fit).keys() - given.keys() == left_out


# Options


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(degree=41), "degree must be 0 to 40; "),
        (dict(degree=-1), "got -1"),
        (dict(degree=2.5), "got 2.5"),
        (dict(degree="2"), "got '2'"),
        (dict(degree=None), "degree must be 0 to 40"),
        (dict(degree=0, intercept=False), "degree without intercept must be 1 up; got 0"),
        (dict(max_degree=41, degree="auto"), "max_degree must be 0 to 40"),
        (dict(folds=1), "folds must be 2 to 1000; got 1"),
        (dict(interaction_degree=-1), "interaction_degree must be 0 (no limit) or more; got -1"),
        (dict(intercept="no"), "intercept must be True or False; got 'no'"),
        (dict(intercept=None), "intercept must be True or False; got None"),
        (dict(skip_bad_files="false"), "skip_bad_files must be True or False; got 'false'"),
        (dict(ridge=-1), "ridge must be 0 to 1e+15; got -1"),
        (dict(ridge=float("nan")), "got nan"),
        (dict(precision="exact"), "precision must be one of auto, fast, certified; got 'exact'"),
        (dict(level=95), "level must be between 0 and 1, like 0.95; got 95"),
        (dict(missing="omit"), "missing must be one of refuse, drop; got 'omit'"),
        (dict(seed=-1), "seed must be 0 or more; got -1"),
        (dict(device="tpu"), "device must be one of auto, cpu, cuda; got 'tpu'"),
        (dict(engine="spark"), "engine must be one of local, ray; got 'spark'"),
        (dict(address="a b"), "address must be auto, host:port or ray://host:port; got 'a b'"),
    ],
)
def test_an_option_of_a_fit_is_refused_by_its_python_name(options, said):
    assert said in refusal(polyreg.fit, X, Y, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused():
    wanted = "device='cuda': torch finds none here; use device='auto'"
    for call in (lambda **o: polyreg.fit(X, Y, **o), polyreg.train, polyreg.sweep):
        assert refusal(call, device="cuda") == wanted


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(degre=3), "no option 'degre', did you mean 'degree'?"),
        (dict(xyz=3), "no option 'xyz'; there are coefficients, "),
        (dict(degree=21), "degree must be 0 to 20"),
        (dict(coefficients="1,2"), "coefficients must be numbers, constant first; got ['1,2']"),
        (dict(coefficients=[1, None]), "got [None]"),
        (dict(coefficients=[]), "coefficients must be 1 to 21 numbers"),
        (dict(coefficients=[float("inf")]), "coefficients must be finite numbers"),
        (dict(learning_rate="fast"), "learning_rate must be a positive number"),
        (dict(momentum=0.5, optimizer="adam"), "momentum belongs to optimizer sgd"),
        (dict(dtype=np.float32), "dtype must be one of float32, float64"),
        (dict(coefficients=[1e15]), "coefficients and noise make the mean of y^2"),
        (dict(basis="monomial", learning_rate=10), "learning_rate 10 is above the largest stable"),
    ],
)
def test_an_option_of_a_training_is_refused_by_its_python_name(options, said):
    assert said in refusal(polyreg.train, **options)


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(degree=3), "no option 'degree', did you mean 'degrees'?"),
        (dict(degrees=()), "degrees must be one value or more; got none"),
        (dict(degrees=(1, 99)), "degrees must be 0 to 20"),
        (dict(learning_rates="auto,0.1"), "learning_rates must be a positive number"),
        (dict(bases=("fourier",)), "bases must be one of auto, "),
        (dict(seeds=0), "seeds must be 1 or more; got 0"),
        (dict(seeds=10**6), "make at most 100,000 runs"),
    ],
)
def test_an_option_of_a_sweep_is_refused_by_its_python_name(options, said):
    assert said in refusal(polyreg.sweep, **options)


def test_options_may_be_numpys_torchs_or_any_series():
    expected = polyreg.fit(X, Y, degree=2, intercept=False, level=0.9)
    options = dict(degree=np.int64(2), intercept=np.bool_(False), level=np.float64(0.9))
    assert repr(polyreg.fit(X, Y, **options)) == repr(expected)
    assert repr(polyreg.fit(X, Y, **options | {"degree": 2.0})) == repr(expected)
    for coefficients in (np.array([1, 2]), torch.tensor([1, 2]), pd.Series([1, 2]), range(1, 3)):
        config = polyreg.train(degree=1, coefficients=coefficients, max_steps=1).config
        assert config == TrainConfig(degree=1, coefficients=(1.0, 2.0), max_steps=1)
        assert all(type(c) is float for c in config.coefficients)
    few = dict(seeds=1, max_steps=1, learning_rates=0.01)
    for degrees in ([1, 2], {1, 2}, range(1, 3), np.array([1.0, 2.0]), (1, 2, 1), iter((1, 2))):
        assert polyreg.sweep(degrees=degrees, **few).config == SweepConfig(
            degrees=(1, 2), seeds=1, max_steps=1, learning_rates=(0.01,)
        )


def test_a_sweep_takes_its_optimizers_by_their_earlier_name_too():
    few = dict(degrees=1, seeds=1, max_steps=1, learning_rates=0.01)
    expected = SweepConfig(
        degrees=(1,), seeds=1, max_steps=1, learning_rates=(0.01,), optimizers=("adam",)
    )
    assert polyreg.sweep(optimizer="adam", **few).config == expected
    assert polyreg.sweep(optimizers=["adam"], **few).config == expected
    said = refusal(polyreg.sweep, optimizers=["sgd", "adam"], momentum=0.5, **few)
    assert said.startswith("momentum belongs to optimizer sgd or rmsprop; Adam has its own")
    assert "optimizers must be one of sgd, adam" in refusal(polyreg.sweep, optimizers="sgdm")


def test_an_error_leaves_names_with_dashes_as_they_are():
    frame = pd.DataFrame({"my--degree": ["a"] * 4, "y": Y[:4]})
    said = refusal(polyreg.fit, frame, target="y", features=["my--degree"])
    assert said.startswith("column my--degree has one level alone")


# Trainings


def equal(a: Training, b: Training) -> bool:
    """To the last bit."""
    series = [(getattr(a.curve, n), getattr(b.curve, n)) for n in ("at", "loss", "gap")]
    return torch.equal(a.weights, b.weights) and all(np.array_equal(p, q) for p, q in series)


@pytest.mark.parametrize(
    "options", [{}, dict(degree=1, noise=0.5, seed=3), dict(optimizer="adam", max_steps=300)]
)
def test_a_training_is_the_loops_own_to_the_last_bit(options):
    plain = Training(TrainConfig(**options))
    for _ in descend(plain):
        pass
    found = polyreg.train(**options)
    assert equal(found, plain) and found.curve.converged == plain.curve.converged
    assert found.seconds > 0
    assert np.array_equal(found.result().coefficients, plain.result().coefficients)
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    by_model = found.model(torch.tensor(x)[:, None]).detach().numpy()[:, 0]
    np.testing.assert_allclose(by_model, found.result()(x), rtol=1e-4, atol=1e-4)


SWEPT = dict(degrees=(1, 3), noises=(0.1,), learning_rates=("auto",), seeds=3, max_steps=500)


@pytest.fixture(scope="module")
def swept() -> polyreg.Sweep:
    return polyreg.sweep(**SWEPT)


def test_a_sweep_is_its_trainings_each_the_same_as_alone(swept):
    configs = [run for varied in swept.config.combinations() for run in swept.config.runs(varied)]
    plain = list(sweeps.train_all(configs))
    assert [t.config for t in swept.trainings] == configs and len(configs) == 6
    assert all(map(equal, swept.trainings, plain))
    alone = polyreg.train(degree=3, noise=0.1, seed=2, max_steps=500)
    assert equal(swept.trainings[-1], alone)
    for run, training in zip(swept.runs, swept.trainings, strict=True):
        assert run.config == training.config and run.steps == training.curve.steps
        assert np.array_equal(run.coefficients, training.result().coefficients)
        assert run.gap == training.curve.gap[-1]


def test_a_sweep_summarizes_ranks_and_studies_its_runs(swept):
    low, high = swept.summaries
    assert (low.varied["degree"], high.varied["degree"]) == (1, 3)
    for summary, runs in ((low, swept.runs[:3]), (high, swept.runs[3:])):
        assert summary.rows == runs
        assert summary.mean("steps") == np.mean([run.steps for run in runs])
        assert summary.mean("gap") == pytest.approx(np.mean([run.gap for run in runs]), rel=1e-12)
    assert swept.best is min(swept.runs[3:], key=lambda run: run.steps * max(1, run.error / 1e-3))
    study = swept.recovery()
    coefficients = np.array([run.coefficients for run in swept.runs[3:]])
    optimum = Optimum.of(swept.runs[3].config).coefficients
    np.testing.assert_allclose(study.bias, coefficients.mean(axis=0) - optimum, atol=1e-14)
    np.testing.assert_allclose(study.spread, coefficients.std(axis=0, ddof=1), rtol=1e-12)
    shown = repr(swept).splitlines()
    assert shown[0] == swept.config.name and len(shown) > 3
    assert shown[1].split()[0] == "degree" and shown[2].split()[0] == "3"  # the best first
    assert "--" not in repr(polyreg.sweep(**SWEPT | {"max_steps": 2, "seeds": 1}))


def test_a_sweep_tries_as_many_as_are_asked_for():
    found = polyreg.sweep(degrees=(1, 2, 3), learning_rates=(0.01,), seeds=1, max_steps=9, trials=2)
    assert len(found.runs) == len(found.summaries) == len(found.tried) == 2


def test_what_diverges_is_a_run_without_coefficients():
    lost = polyreg.sweep(degrees=(8,), learning_rates=(10.0,), seeds=2)
    assert [run.coefficients for run in lost.runs] == [None, None] and lost.best is None
    assert "diverged" in repr(lost)
    assert "at least two seeds that did not diverge; raise seeds" in refusal(lost.recovery)
    frame = lost.to_frame()
    assert frame["diverged"].all() and frame[["gap", "error"]].isna().all(axis=None)
    table = polyreg.compare(lost).table()
    assert table[["runs", "converged"]].values.tolist() == [[2, 0]]
    assert "coef_error/max" not in table
    with pytest.raises(ArithmeticError, match=r"^diverged at step "):
        polyreg.train(degree=8, learning_rate=10.0)


# Comparisons


def test_a_sweep_is_a_frame_with_a_row_a_run_and_a_column_an_option(swept):
    frame = swept.to_frame()
    results = {
        "converged": "b",
        "diverged": "b",
        "steps": "i",
        "rate": "f",
        "gap": "f",
        "error": "f",
    }
    assert [*frame] == [*swept.config.lists(), "seed", *results]
    kinds = {"degree": "i", "batch_size": "i", "noise": "f", "seed": "i"} | results
    assert all(frame[name].dtype.kind == kind for name, kind in kinds.items())
    for (_, row), run in zip(frame.iterrows(), swept.runs, strict=True):
        assert (row["degree"], row["seed"]) == (run.config.degree, run.config.seed)
        for name in ("converged", "diverged", "steps", "rate", "gap", "error"):
            assert row[name] == getattr(run, name)
    few = dict(degrees=(1,), seeds=1, max_steps=5)
    mixed = polyreg.sweep(learning_rates=("auto", 0.01), **few).to_frame()
    assert mixed["learning_rate"].tolist() == ["auto", 0.01]
    rates = polyreg.sweep(learning_rates=(0.02, 0.01), noises=(0, 0.5), **few).to_frame()
    assert rates["learning_rate"].dtype.kind == rates["noise"].dtype.kind == "f"


def test_a_comparison_keeps_r2_about_0_apart_from_r2_about_the_mean():
    x = np.arange(1.0, 12)
    y = 5 + np.cos(x)
    fits = [polyreg.fit(x, y, degree=k, intercept=i) for i in (True, False) for k in (1, 2)]
    comparison = polyreg.compare(fits)
    table = comparison.table()
    assert table["intercept"].tolist() == [True, True, False, False]
    for name, kept in (("r2", True), ("r2 (uncentred)", False)):
        expected = [one.r2 if one.intercept == kept else np.nan for one in fits]
        np.testing.assert_allclose(table[name], expected, rtol=1e-15)
    page = comparison.to_html()
    assert "r2 (uncentred)" in page and "adjusted_r2 (uncentred)" in page


def test_a_table_has_the_options_as_numbers_and_the_metrics_of_each_run():
    trained = [
        polyreg.train(degree=degree, learning_rate=rate, max_steps=150)
        for degree, rate in ((1, "auto"), (3, 0.001))
    ]
    fitted = polyreg.fit(X, Y, degree=2)
    table = polyreg.compare(*trained, fitted).table()
    assert table.index.name == "run" and table.index.is_unique and table.columns.is_unique
    assert table["degree"].tolist() == [1, 3, 2] and table["degree"].dtype.kind == "i"
    assert table["learning_rate"].tolist()[:2] == ["auto", 0.001]
    rates = table["learning_rate (measured)"].tolist()[:2]
    assert rates == [one.curve.rate for one in trained]
    assert table["steps"].tolist()[:2] == [one.curve.steps for one in trained]
    assert table["converged"].tolist()[:2] == [True, False]
    assert table["r2"].tolist()[2] == fitted.r2 and np.isnan(table["steps"].iloc[2])
    assert "runs" not in table and not any(name.endswith(" sd") for name in table if "r2" in name)


def test_seeds_of_a_sweep_of_trainings_and_of_fits_are_one_row_of_means(swept):
    table = polyreg.compare(swept).table()
    assert table[["degree", "runs"]].values.tolist() == [[1, 3], [3, 3]]
    for k, summary in enumerate(swept.summaries):
        steps = [run.steps for run in summary.rows]
        row = table.iloc[k]
        assert row["converged"] == sum(run.converged for run in summary.rows)
        np.testing.assert_allclose(row["steps"], np.mean(steps), rtol=1e-12)
        np.testing.assert_allclose(row["steps sd"], np.std(steps, ddof=1), rtol=1e-12)
        for name, own in (("loss/gap", "gap"), ("distance to the truth", "error")):
            np.testing.assert_allclose(row[name], summary.mean(own), rtol=1e-9)
            np.testing.assert_allclose(row[f"{name} sd"], summary.spread(own), rtol=1e-9)
    trained = [polyreg.train(degree=1, seed=seed, max_steps=40) for seed in (3, 4)]
    both = polyreg.compare(swept, trained[0], trained[1].result(), trained[1]).table()
    assert both["runs"].tolist() == [3, 3, 2, 1]  # the same seed twice is no repetition
    fits = [polyreg.fit(X, Y, degree=1, seed=seed) for seed in (1, 2)]
    assert polyreg.compare(fits).table()["runs"].tolist() == [2]
    assert polyreg.compare(fits[0], polyreg.fit(X, Y + 1, degree=1)).table().shape[0] == 2


def test_a_comparison_takes_any_mixture(swept, tmp_path):
    fits = [polyreg.fit(X, Y, degree=degree) for degree in (1, 2)]
    loaded = polyreg.Result.from_dict(fits[1].to_dict())
    items = [*fits, swept.trainings[0], loaded, swept]
    found = polyreg.compare(items)
    table = found.table()
    assert len(table) == 4 + 2 and table["steps"].iloc[2] == swept.runs[0].steps
    assert table["r2"].iloc[1] == fits[1].r2
    assert "1 " in repr(found) and len(repr(found).splitlines()) > 6
    assert repr(polyreg.compare(*items)) == repr(found)
    page = found.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page == found.to_html()
    assert page.lstrip().lower().startswith("<!doctype html>") and "http://" not in page
    assert isinstance(found.figure(), matplotlib.figure.Figure) and found.figure().axes
    for path, why in (("/nonexistent/a.html", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(polyreg.PolyregError, match=rf"to {path}: {why}.*; name a file"):
            found.to_html(path)


def test_a_notebook_shows_a_comparison_as_a_table_with_every_name_escaped():
    frame = pd.DataFrame({"<b>": X, "y": Y})
    fits = [polyreg.fit(frame, target="y", degree=k) for k in (1, 2)]
    shown = polyreg.compare(*fits, polyreg.fit(X, Y + 1))._repr_html_()
    assert "<table" in shown and "<b>" not in shown
    assert "<p>warning: " in shown and f"{fits[1].r2:.6g}" in shown


def test_a_comparison_takes_a_sweep_one_item_a_generator_or_arguments(swept):
    one, other = polyreg.fit(X, Y), polyreg.fit(X, Y, degree=1)
    alone = repr(polyreg.compare(one))
    assert alone == repr(polyreg.compare([one])) == repr(polyreg.compare(r for r in [one]))
    assert alone == repr(polyreg.compare(one, one))
    assert len(polyreg.compare(one, other).table()) == 2
    assert len(polyreg.compare(swept, swept.trainings[0]).table()) == 3


def test_of_a_large_sweep_the_best_combinations_are_compared():
    few = dict(learning_rates=("auto",), seeds=1, max_steps=3, coefficients=(1, 2))
    noises = tuple(np.linspace(0, 1, 60))
    found = polyreg.compare(polyreg.sweep(degrees=(1,), noises=noises, **few), polyreg.fit(X, Y))
    assert len(found.table()) == 50
    assert "The best 49 of 60 combinations have curves here." in found.to_html()


@pytest.mark.parametrize(
    "items, said",
    [
        ([], "nothing to compare; give results, trainings, sweeps or run ids"),
        (5, "a int is no list of results, trainings, sweeps or run ids"),
        (None, "a NoneType is no list of results"),
        ({"a": 1}, "a dict is no list of results"),
        (pd.DataFrame({"a": [1]}), "a DataFrame is no list of results"),
        ([5], "item 1 is a int; give a Result or Results, a Training, a Sweep or a run id"),
        ([Training(TrainConfig())], "item 1 is a training without a step; train it first"),
    ],
)
def test_what_cannot_be_compared_is_refused(items, said):
    assert said in refusal(polyreg.compare, items)


def test_what_cannot_be_compared_is_told_by_its_place_among_the_arguments(swept):
    assert refusal(polyreg.compare) == refusal(polyreg.compare, [])
    said = refusal(polyreg.compare, swept, [swept.trainings[0]])
    assert said == "item 2 is a list; give a Result or Results, a Training, a Sweep or a run id"


def test_an_unknown_run_is_refused_and_makes_no_store(folder):
    assert "mlflow.db" in refusal(polyreg.compare, ["0" * 32]) and not [*folder.iterdir()]


# Figures, and what a result keeps


def lines(figure) -> dict[str, np.ndarray]:
    assert isinstance(figure, matplotlib.figure.Figure)
    return {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}


def test_a_plot_of_one_variable_holds_the_data_the_curve_and_its_bands():
    found = polyreg.fit(X, Y, degree=2)
    figure = found.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")  # as a notebook shows it
    drawn = lines(figure)
    assert np.array_equal(drawn["data"], np.column_stack([X, Y]))
    grid, curve = drawn["fit"].T
    assert (grid[0], grid[-1]) == (X.min(), X.max()) and np.array_equal(curve, found(grid))
    bands = {band.get_label(): band for band in figure.axes[0].collections}
    assert {*bands} == {"95 % prediction", "95 % confidence"}
    _, low, high = found.predict(grid, "prediction")
    edges = bands["95 % prediction"].get_paths()[0].vertices
    assert edges[:, 1].min() == pytest.approx(low.min()) and edges[:, 1].max() == max(high)
    assert figure.axes[0].get_xlabel() == "x" and figure.axes[0].get_ylabel() == "y"


def test_a_plot_of_several_variables_is_observed_against_fitted():
    found = polyreg.fit(np.column_stack([X, X**3]), Y, degree=1)
    drawn = lines(found.plot())["data"]
    fitted = found.predict(np.column_stack([X, X**3]))
    assert np.array_equal(drawn, np.column_stack([fitted, Y]))


def test_a_plot_of_a_training_has_the_truth_beside_it():
    result = polyreg.train(degree=1, max_steps=50).result()
    drawn = lines(result.plot())
    grid, truth = drawn["truth"].T
    np.testing.assert_allclose(truth, 0.9 + 0.5 * grid + 3 * grid**2 + 2.4 * grid**3, rtol=1e-12)
    assert np.array_equal(drawn["learned"][:, 1], result(grid))
    assert len(drawn["data (a sample)"]) == 400


def test_a_plot_of_a_loaded_result_is_its_curve():
    found = polyreg.fit(X, Y, degree=2)
    loaded = polyreg.Result.from_dict(found.to_dict())
    drawn = lines(loaded.plot())
    assert np.array_equal(drawn["fit"], lines(found.plot())["fit"])
    assert sum(map(len, drawn.values())) == len(drawn["fit"])
    two = polyreg.fit(np.column_stack([X, X**3]), Y, degree=1)
    said = refusal(polyreg.Result.from_dict(two.to_dict()).plot)
    assert said.startswith("a result that was loaded has no data to draw")


@pytest.mark.parametrize("x, y", [([1.0], [2.0]), ([1.0, 1.0], [2.0, 2.0])])
def test_a_plot_of_almost_nothing_is_drawn(x, y):
    assert len(lines(polyreg.fit(x, y, degree=0).plot())["data"]) == len(x)


def test_a_pickled_result_keeps_its_numbers_and_its_hash_and_lets_go_of_its_rows():
    x = DRAWN.normal(size=100_000)
    found = polyreg.fit(x, x**2, degree=2, precision="fast")
    pickled = pickle.dumps(found)
    assert len(pickled) < x.nbytes  # a sample of 16,384 rows is in it
    again = pickle.loads(pickled)
    assert again.origin.sha256 == found.origin.sha256
    assert again.origin.sha256 == polyreg.fit(x, x**2, degree=1).origin.sha256
    assert again.origin.sha256 != polyreg.fit(x + 1, x**2, degree=1).origin.sha256
    assert np.array_equal(again.predict(x[:9], "prediction"), found.predict(x[:9], "prediction"))
    points = [lines(result.plot())["data (a sample)"] for result in (again, found)]
    assert np.array_equal(*points) and 0 < len(points[0]) < 16_384
