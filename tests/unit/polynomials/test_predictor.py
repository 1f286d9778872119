"""The predictor against Result, and as a model where there is no polyreg."""

import ast
import decimal
import json
import math
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from polyreg.config import FitConfig, TrainConfig
from polyreg.least_squares.fitting import fit
from polyreg.polynomials import document as document_module
from polyreg.polynomials import predictor, result
from polyreg.polynomials.module import FittedModel
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result
from polyreg.polynomials.variables import variable, words
from polyreg.sgd.training import Training
from polyreg.tables.rows import InMemory
from tests.support.designs import matrix_at
from tests.support.problems import PROBLEMS, make
from tests.unit.polynomials.test_design import textbook
from tests.unit.polynomials.test_result import KINDS, answered

EPS = 2.0**-52
COLUMNS = ["prediction", "low", "high", "extrapolated"]
NUMPY = {  # each family by numpy's own code, and the length that polyreg gives its members
    "monomial": (np.polynomial.Polynomial, lambda k: 1.0),
    "hermite": (np.polynomial.HermiteE, lambda k: 1 / math.sqrt(math.factorial(k))),
    "legendre": (np.polynomial.Legendre, lambda k: math.sqrt(2 * k + 1)),
    "chebyshev": (np.polynomial.Chebyshev, lambda k: 1.0),
}
ODD = ["x y", "größe (€)", 'it\'s "so"', "prediction", " ", "a.b", "{x}", "1", "low\n"]


def document(found: Result) -> dict:
    """As it is read back."""
    return json.loads(json.dumps(found.to_dict(), allow_nan=False))


def framed(names, x, weights=None) -> pd.DataFrame:
    """Other columns among them, and in another order; with weights, a column of that name."""
    columns = {name: x[:, d] for d, name in reversed(list(enumerate(names)))}
    weighed = {} if weights is None else {"weights": weights}
    columns = {"before": "text", **weighed, **columns, "after": None}
    return pd.DataFrame(columns, index=np.arange(len(x)) + 7)


def training(weights, family="hermite") -> Training:
    config = TrainConfig(degree=len(weights) - 1, basis=family)
    made = Training(config)
    made.weights = torch.tensor(weights, dtype=torch.float32)
    made.curve.domain = (-1.0, 0.75)
    return made


def trained(weights, family="hermite") -> Result:
    return training(weights, family).result()


def module_of(found: Result) -> torch.nn.Module:
    if found.truth is None:
        return FittedModel(found)
    return training(found.solution.weights.tolist(), found.design.basis).model


def agree(found: pd.DataFrame, answer: Result, x, interval: str, weights=None) -> None:
    """The same products, summed in another order: K eps of the sum of their sizes."""
    prediction, low, high = answer.predict(x, interval, weights=weights)
    q = matrix_at(answer, x)
    near = 2 * EPS * q.shape[1]
    size = np.abs(q) @ np.abs(answer.solution.weights)
    assert (np.abs(found.prediction - prediction) <= near * size).all()
    inverse = answer.solution.inverse
    if np.isnan(low).all():
        assert found.low.isna().all() and found.high.isna().all()
        return
    factor = answer.quantile() * answer.residual_sd
    slack = near * ((np.abs(q) @ np.abs(inverse)) * np.abs(q)).sum(1)
    noise = 0 if interval == "confidence" else 1 if weights is None else 1 / weights
    variance = ((q @ inverse) * q).sum(1) + noise
    root = np.sqrt(np.maximum(variance, slack))
    near_bound = near * size + 2 * factor * slack / root + 4 * EPS * np.abs([low, high]).max(0)
    assert (np.abs(found.low - low) <= near_bound).all()
    assert (np.abs(found.high - high) <= near_bound).all()


@pytest.mark.parametrize("interval", ["prediction", "confidence"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_predicts_what_the_answer_does(kind, interval):
    answer = answered(**KINDS[kind])
    x = np.random.default_rng(1).uniform(-2, 3, size=(50, len(answer.variables)))
    weights = np.linspace(0.5, 2, 50) if kind == "weighted" else None
    found = Predictor(document(answer)).predict(framed(answer.variables, x, weights), interval)
    assert list(found) == COLUMNS and list(found.index) == list(range(7, 57))
    assert [d.kind for d in found.dtypes] == ["f", "f", "f", "b"]
    agree(found, answer, x, interval, weights)
    assert found.extrapolated.tolist() == answer.extrapolated(x).tolist()
    assert set(found.extrapolated) == {True, False}


@pytest.mark.parametrize("precision", ["fast", "certified"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_it_predicts_what_the_answer_does_where_fits_are_hard(name, precision):
    problem = make(name)
    names = [f"x{d}" for d in range(len(problem.columns))]
    config = FitConfig(data="m", target="y", degree=problem.degree, precision=precision)
    answer = fit(InMemory(problem.columns, problem.y, problem.weights, names), config)
    x = np.stack(problem.columns, axis=1)
    for interval in ("prediction", "confidence"):
        frame = framed(names, x, problem.weights)
        found = Predictor(document(answer)).predict(frame, interval)
        agree(found, answer, x, interval, problem.weights)


@pytest.mark.parametrize("degree", [0, 3, 20, 40])
def test_it_is_the_polynomial_in_exact_rationals(degree):
    rng = np.random.default_rng(3)
    x = 19 + 1.2 * rng.uniform(size=300)
    y = np.sin(7 * x) + rng.normal(scale=0.1, size=300)
    answer = fit(InMemory([x], y), FitConfig(data="m", target="y", degree=degree))
    found = Predictor(document(answer)).predict(pd.DataFrame({"x": x[:20]}))
    q = textbook(answer.design, [x[:20].tolist()])
    weights = [Fraction(w) for w in answer.solution.weights.tolist()]
    exact = (q @ np.array(weights)).astype(float)
    size = np.abs(q.astype(float)) @ np.abs(answer.solution.weights)
    assert (np.abs(found.prediction - exact) <= 300 * EPS * size).all()


def test_its_bands_are_those_of_statsmodels():
    import statsmodels.api as api

    rng = np.random.default_rng(5)
    a, b = rng.uniform(-1, 2, size=(2, 40))
    y = 1 + a - b * a + rng.normal(scale=0.2, size=40)
    answer = fit(InMemory([a, b], y, names=["a", "b"]), FitConfig(data="m", target="y", degree=2))
    powers = np.stack([np.ones(40), a, b, a * a, a * b, b * b], axis=1)
    expected = api.OLS(y, powers).fit().get_prediction(powers).summary_frame(alpha=0.05)
    ours = Predictor(document(answer))
    frame = pd.DataFrame({"a": a, "b": b})
    for interval, start in (("prediction", "obs"), ("confidence", "mean")):
        found = ours.predict(frame, interval)
        wanted = expected[["mean", f"{start}_ci_lower", f"{start}_ci_upper"]]
        np.testing.assert_allclose(found[COLUMNS[:3]], wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("degree", [0, 1, 3, 20])
@pytest.mark.parametrize("family", NUMPY)
def test_it_predicts_what_a_training_found(family, degree):
    weights = np.random.default_rng(degree).normal(size=degree + 1)
    found = trained(weights.tolist(), family)
    x = np.linspace(-1, 1, 33)
    predicted = Predictor(document(found)).predict(pd.DataFrame({"x": x}))
    kind, length = NUMPY[family]
    lengths = [length(k) for k in range(degree + 1)]
    members = np.stack([lengths[k] * kind.basis(k)(x) for k in range(degree + 1)], axis=1)
    # Clenshaw's way and the recurrence's, each a few roundings a step.
    near = 300 * EPS * (np.abs(members) @ np.abs(found.weights))
    assert (np.abs(predicted.prediction - members @ found.weights) <= near).all()
    assert (np.abs(predicted.prediction - found.predict(x)) <= near).all()
    assert predicted.low.isna().all() and predicted.high.isna().all()
    assert predicted.extrapolated.tolist() == (x > 0.75).tolist()


def test_a_model_that_is_too_large_for_bands_has_none(monkeypatch):
    monkeypatch.setattr(document_module, "BAND_TERMS", 3)
    answer = answered(variables=1)
    assert document(answer)["basis"]["inverse"] is None
    x = np.linspace(-1, 2, 9)[:, None]
    found = Predictor(document(answer)).predict(pd.DataFrame(x, columns=["a"]))
    assert (np.abs(found.prediction - answer.predict(x)) <= 16 * EPS * np.abs(x).max() ** 3).all()
    assert found.low.isna().all() and found.high.isna().all()


def test_a_long_table_is_predicted_in_parts_and_in_order(monkeypatch):
    answer = answered(variables=2)
    x = np.random.default_rng(1).uniform(-2, 3, size=(101, 2))
    monkeypatch.setattr(predictor, "CELLS", 70)  # 7 rows of 10 terms
    agree(Predictor(document(answer)).predict(framed("ab", x)), answer, x, "prediction")


def test_no_rows_have_no_predictions():
    found = Predictor(document(answered(variables=2))).predict(pd.DataFrame({"a": [], "b": []}))
    assert list(found) == COLUMNS and len(found) == 0


@pytest.mark.parametrize(
    "column",
    [
        np.array([1, 2]),
        np.array([1, 2], dtype=np.uint8),
        np.array([1, 2], dtype=np.float32),
        np.array([1, 2.0], dtype=object),
        pd.array([1, 2], dtype="Int64"),
        pd.array([1.0, 2.0], dtype="Float64"),
        pd.Categorical([1, 2]),
        [decimal.Decimal(1), decimal.Decimal(2)],
        [[1], [2.0]],
    ],
)
def test_numbers_of_every_kind_are_taken(column):
    ours = Predictor(document(answered(variables=1)))
    expected = ours.predict(pd.DataFrame({"a": [1.0, 2.0]}))
    pd.testing.assert_frame_equal(ours.predict(pd.DataFrame({"a": column})), expected)


def test_true_and_false_are_one_and_zero():
    ours = Predictor(document(answered(variables=1)))
    found = ours.predict(pd.DataFrame({"a": [True, False]}))
    pd.testing.assert_frame_equal(found, ours.predict(pd.DataFrame({"a": [1, 0]})))


@pytest.mark.parametrize(
    "column, said",
    [
        ([1.0, "one"], "'one'"),
        (["1", "2"], "'1'"),
        ([1, None], "nan"),
        ([1.0, math.nan], "nan"),
        ([1.0, math.inf], "inf"),
        (pd.array([1, None], dtype="Int64"), "<NA>"),
        ([1, 10**400], "10000"),
        ([1, [1, 2]], "[1, 2]"),
        ([1, [[1], [2, 3]]], "[[1], [2, 3]]"),
        ([1, 1j], "(1+0j)"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "Timestamp"),
        ([1, {"b": 1}], "{'b': 1}"),
    ],
)
def test_what_is_no_finite_number_is_refused_with_its_column_row_and_value(column, said):
    frame = pd.DataFrame({"a": [0.5, 0.5], "b": column})
    row = 1 if said in ("'1'", "(1+0j)", "Timestamp") else 2
    words = re.escape(f"column 'b', row {row}: {said}") + ".* is no finite number$"
    with pytest.raises(ValueError, match=words):
        Predictor(document(answered(variables=2))).predict(frame)


def test_a_column_that_is_missing_or_there_twice_is_named():
    ours = Predictor(document(answered(variables=2)))
    with pytest.raises(ValueError, match="no column 'b'; the variables are a, b"):
        ours.predict(pd.DataFrame({"a": [1.0], "B": [1.0]}))
    with pytest.raises(ValueError, match="2 columns 'a'; the variables are a, b"):
        ours.predict(pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "b", "a"]))
    with pytest.raises(ValueError, match="no column 'a'"):
        ours.predict(pd.DataFrame([[1.0, 2.0]]))


def test_an_interval_that_is_none_is_refused():
    ours = Predictor(document(answered(variables=1)))
    assert set(predictor.INTERVALS) == set(result.INTERVALS)
    with pytest.raises(ValueError, match="prediction, confidence; got 'wide'"):
        ours.predict(pd.DataFrame({"a": [1.0]}), "wide")


@pytest.mark.parametrize("value", [1e300, -1e300, 1.7e308])
def test_what_overflows_is_told_as_extrapolated_and_is_none_in_a_dict(value):
    for found in (answered(variables=2), trained([1.0, 2.0, 3.0, 4.0])):
        frame = pd.DataFrame({name: [0.5, value] for name in found.variables})
        predicted = Predictor(document(found)).predict(frame)
        assert np.isfinite(predicted.prediction).tolist() == [True, False]
        assert predicted.extrapolated.tolist() == [False, True]
        first, second = json.loads(json.dumps(predicted.to_dict("records"), allow_nan=False))
        assert second == dict.fromkeys(COLUMNS[:3]) | {"extrapolated": True}
        assert first["prediction"] == predicted.prediction.iloc[0]
        assert first["extrapolated"] is False
        assert type(predicted[COLUMNS[:3]]) is pd.DataFrame


def test_odd_names_are_names():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(80, len(ODD)))
    y = x.sum(1) + rng.normal(size=80)
    answer = fit(InMemory(list(x.T), y, names=ODD), FitConfig(data="m", target="y", degree=1))
    agree(Predictor(document(answer)).predict(framed(ODD, x)), answer, x, "prediction")


def test_it_imports_the_standard_library_numpy_and_pandas_alone():
    own = {f"polyreg.polynomials.variables.{name}" for name in ("variable", "words")}  # with it
    alone = [(module, {"numpy"}) for module in (variable, words)]
    for module, wanted in ((predictor, {"numpy", "pandas"} | own), *alone):
        nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text())))
        names = [a.name for node in nodes if isinstance(node, ast.Import) for a in node.names]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
        assert {n for n in names if n.partition(".")[0] not in sys.stdlib_module_names} == wanted
