"""What a result says of itself, before and after it was written down."""

import dataclasses
import html.parser
import json
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import polyreg
from polyreg.config import FitConfig, TrainConfig
from polyreg.least_squares.fitting import fit
from polyreg.polynomials import document, families
from polyreg.polynomials.design import FITTED, products
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result
from polyreg.polynomials.solution import information
from polyreg.sgd.descend import descend
from polyreg.sgd.training import Training
from polyreg.tables.rows import InMemory
from tests.support.designs import matrix_at

EPS = 2.0**-52

KINDS = {
    "one": dict(variables=1),
    "one, fast": dict(variables=1, precision="fast"),
    "one, no intercept": dict(variables=1, intercept=False),
    "weighted": dict(variables=1, weighted=True, level=0.8),
    "two": dict(variables=2),
    "three, no intercept, fast": dict(variables=3, intercept=False, precision="fast"),
    "ridge": dict(variables=2, ridge=2.0),
    "constant": dict(variables=1, degree=0),
    "without freedom": dict(variables=1, rows=4),
    "dependent": dict(variables=2, twice=True),
}


def answered(
    variables, rows=60, weighted=False, precision="certified", degree=3, twice=False, **options
) -> Result:
    rng = np.random.default_rng(0)
    columns = list(rng.uniform(-1, 2, size=(variables, rows)))
    if twice:
        columns[1] = 2 * columns[0]
    y = 1 + sum(c**2 for c in columns) + rng.normal(scale=0.3, size=rows)
    weights = rng.uniform(0.5, 2, size=rows) if weighted else None
    config = FitConfig(data="m", target="y", degree=degree, precision=precision, **options)
    return fit(InMemory(columns, y, weights, ["a", "b", "c"][:variables]), config)


def again(answer: Result) -> Result:
    return Result.from_dict(json.loads(json.dumps(answer.to_dict(), allow_nan=False)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_survives_json(kind):
    answer = answered(**KINDS[kind])
    found = again(answer)
    x = np.random.default_rng(1).uniform(-2, 3, size=(20, len(answer.design.names)))
    assert np.array_equal(found.predict(x), answer.predict(x))
    weights = np.linspace(0.5, 2, 20) if kind == "weighted" else None
    for interval in ("confidence", "prediction"):
        known = {"interval": interval, "weights": weights}
        np.testing.assert_array_equal(found.predict(x, **known), answer.predict(x, **known))
    assert found.weighted_by == answer.weighted_by == ("weights" if kind == "weighted" else None)
    assert np.array_equal(found.extrapolated(x), answer.extrapolated(x))
    assert np.array_equal(found.coefficients, answer.coefficients)
    for name in ("terms", "exponents", "rank", "nobs", "df_resid", "has_errors", "notes", "target",
                 "intercept", "ridge", "level", "precision"):  # fmt: skip
        assert getattr(found, name) == getattr(answer, name), name
    for name in ("residual_sd", "r2", "adjusted_r2", "aic", "bic", "condition"):
        np.testing.assert_equal(getattr(found, name), getattr(answer, name), err_msg=name)
    for name in ("std_errors", "t_values", "p_values"):  # divided and multiplied once
        np.testing.assert_allclose(
            getattr(found, name), getattr(answer, name), rtol=1e-12, err_msg=name
        )
    for level in (None, 0.5):
        np.testing.assert_allclose(found.conf_int(level), answer.conf_int(level), atol=1e-12)
    np.testing.assert_allclose(found.covariance(), answer.covariance(), rtol=1e-12)
    assert found.equation() == answer.equation()


@pytest.mark.parametrize("kind", ["one", "one, fast"])
def test_digits_survive_json_to_the_decimal_that_is_written(kind):
    answer = answered(**KINDS[kind])
    found = again(answer)
    np.testing.assert_allclose(found.digits, answer.digits, rtol=0, atol=0.051)
    assert np.array_equal(again(found).digits.round(1), found.digits.round(1))


def test_an_exact_fit_survives_json_with_its_errors_of_0():
    x = np.arange(8.0)
    config = FitConfig(data="m", target="y", degree=1, precision="certified")
    answer = fit(InMemory([x], x), config)
    assert answer.std_errors.tolist() == [0, 0] and answer.residual_sd == 0
    assert again(answer).std_errors.tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["one", "one, no intercept", "two", "constant"])
def test_the_equation_is_the_polynomial(kind):
    answer = answered(**KINDS[kind])
    target, right = answer.equation().split(" = ")
    assert target == "y" and "+ -" not in right and "- -" not in right
    x = np.random.default_rng(2).uniform(-1, 2, size=(10, len(answer.design.names)))
    found = [
        eval(right.replace("^", "**"), {}, dict(zip(answer.design.names, row, strict=True)))
        for row in x.tolist()
    ]
    # The change to powers of x costs digits that their sizes tell.
    size = np.abs(answer.coefficients) @ [2.0 ** sum(e) for e in answer.exponents]
    np.testing.assert_allclose(found, answer.predict(x), rtol=0, atol=20 * EPS * size)


def test_terms_that_are_subtracted_are_written_so():
    x = np.linspace(-1, 1, 9)
    config = FitConfig(data="m", target="cost", degree=2, precision="certified")
    assert fit(InMemory([x], -1 + 2 * x - 4 * x**2), config).equation() == (
        "cost = -1.0 + 2.0*x - 4.0*x^2"
    )


def test_x_outside_what_the_fit_saw_is_told_row_by_row():
    answer = answered(variables=2)
    low, high = answer.low, answer.high
    middle = (low + high) / 2
    x = [low, high, middle, [low[0] - 1e-9, middle[1]], [middle[0], high[1] + 1e-9], high + 1]
    assert answer.extrapolated(x).tolist() == [False, False, False, True, True, True]
    assert answered(variables=1).extrapolated([0.0, 99.0, -99.0]).tolist() == [False, True, True]


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_a_level_that_is_none_is_refused_with_its_value(level):
    answer = answered(variables=1)
    for call in (
        lambda: answer.conf_int(level),
        lambda: answer.predict([0.0], "confidence", level),
        lambda: answer.predict([0.0], "prediction", level),
    ):
        with pytest.raises(ValueError, match=f"level must be between 0 and 1; got {level}"):
            call()


def test_the_level_is_the_fits_unless_another_is_given():
    answer = answered(variables=1, level=0.5)
    assert np.array_equal(answer.conf_int(), answer.conf_int(0.5))
    own, given = (answer.predict([0.3], "confidence", level) for level in (None, 0.5))
    assert np.array_equal(own, given)
    wide, narrow = (np.ptp(answer.conf_int(level), axis=1) for level in (0.99, 0.5))
    assert (wide > narrow).all()


def test_an_interval_that_is_none_is_refused():
    with pytest.raises(ValueError, match="confidence, prediction; got 'credible'"):
        answered(variables=1).predict([0.0], "credible")


@pytest.mark.parametrize(
    "variables, shape",
    [(2, (3, 1)), (2, (3, 3)), (2, (3,)), (2, (1, 3, 2)), (3, (2,)), (1, (5, 2)), (1, (1, 3))],
)
def test_x_of_a_wrong_shape_is_refused_with_the_variables_names(variables, shape):
    names = ", ".join("abc"[:variables])
    answer = answered(variables=variables)
    for call in (answer.predict, answer.extrapolated):
        with pytest.raises(ValueError, match=rf"x must be \(N, {variables}\).*{names}"):
            call(np.zeros(shape))


def test_x_may_be_a_list_of_integers_a_column_or_a_single_row():
    one, two = answered(variables=1), answered(variables=2)
    expected = one.predict(np.array([[0.0], [1.0]]))
    assert np.array_equal(one.predict([0, 1]), expected)
    assert np.array_equal(one.predict(np.array([0, 1], dtype=np.float32)), expected)
    assert two.predict([0, 1]).shape == (1,) and two.predict([[0, 1]] * 3).shape == (3,)
    assert one.predict(np.empty((0, 1))).shape == (0,)


@pytest.mark.parametrize("precision", ["fast", "certified"])
def test_as_many_rows_as_terms_leave_no_errors_and_no_crash(precision):
    answer = answered(variables=1, rows=4, precision=precision)
    assert answer.df_resid == 0 and not answer.has_errors
    for value in (answer.residual_sd, answer.adjusted_r2):
        assert math.isnan(value)
    for numbers in (
        answer.std_errors,
        answer.t_values,
        answer.p_values,
        answer.conf_int(),
        answer.covariance(),
    ):
        assert np.isnan(numbers).all()
    found, low, high = answer.predict([0.0, 1.0], "prediction")
    assert np.isfinite(found).all() and np.isnan([low, high]).all()
    assert answer.r2 == pytest.approx(1, abs=1e-12)
    assert np.isnan(again(answer).std_errors).all()


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_target_that_never_changes_is_fitted_without_a_warning(value):
    x = np.linspace(0, 1, 30)
    for precision in ("fast", "certified"):
        config = FitConfig(data="m", target="y", degree=2, precision=precision)
        answer = fit(InMemory([x], np.full(30, value)), config)
        np.testing.assert_allclose(answer.predict(x), value, rtol=0, atol=1e-13)
        assert answer.t_values.shape == answer.p_values.shape == (3,)
        json.dumps(answer.to_dict(), allow_nan=False)


def test_an_exact_fit_has_no_likelihood():
    assert all(map(math.isnan, information(10, 2, 0.0, 0.0)))


@pytest.mark.parametrize("weighted", [False, True])
def test_information_is_that_of_the_gaussian_density(weighted):
    import scipy.stats as stats

    rng = np.random.default_rng(3)
    residuals, w = rng.normal(size=50), rng.uniform(0.1, 9, size=50) if weighted else np.ones(50)
    rss = w @ residuals**2
    log_likelihood = stats.norm.logpdf(residuals, scale=np.sqrt(rss / 50 / w)).sum()
    aic, bic = information(50, 4, rss, np.log(w).sum())
    assert aic == pytest.approx(8 - 2 * log_likelihood, rel=1e-13)
    assert bic == pytest.approx(4 * np.log(50) - 2 * log_likelihood, rel=1e-13)


@pytest.mark.parametrize("kind", ["one", "one, no intercept", "weighted", "two"])
def test_the_band_of_a_mean_is_that_of_the_coefficients_covariance(kind):
    answer = answered(**KINDS[kind])
    x = np.random.default_rng(4).uniform(-1, 2, size=(12, len(answer.design.names)))
    powers = np.stack([np.prod(x ** np.array(e), axis=1) for e in answer.exponents], axis=1)
    variance = ((powers @ answer.covariance()) * powers).sum(1)
    found, low, high = answer.predict(x, "confidence")
    half = np.sqrt(variance) * answer.quantile()
    np.testing.assert_allclose(high - found, half, rtol=1e-9)
    np.testing.assert_allclose(found - low, half, rtol=1e-9)
    assert np.sqrt(np.diag(answer.covariance())) == pytest.approx(answer.std_errors, rel=1e-12)


def test_where_a_prediction_overflows_so_do_its_bounds_without_a_warning():
    answer = answered(**KINDS["one"])
    for bounds in answer.predict([1e200], "prediction")[1:]:
        assert not np.isfinite(bounds).any()


# Of a training.


def trained(weights, **options) -> Result:
    config = TrainConfig(degree=len(weights) - 1, **options)
    training = Training(config)
    training.weights = torch.tensor(weights, dtype=torch.float32)
    training.curve.domain = (-3.0, 3.0)
    return training.result()


def test_a_training_is_reported_in_powers_of_x():
    # 1 + 2 He_1 + 3 He_2 / sqrt(2)
    found = trained([1.0, 2.0, 3.0]).coefficients
    np.testing.assert_allclose(found, [1 - 3 / np.sqrt(2), 2, 3 / np.sqrt(2)], rtol=1e-15)


@pytest.mark.parametrize(
    "x, shape", [(1.5, ()), ([1.5, -2.0], (2,)), ([[0.0], [1.0], [2.0]], (3,))]
)
def test_a_training_predicts_a_number_a_row(x, shape):
    found = trained([1.0, 2.0, 3.0, -1.0])
    answer = found.predict(x)
    assert answer.shape == shape and answer.dtype == np.float64
    expected = np.polynomial.polynomial.polyval(np.array(x, float), found.coefficients)
    np.testing.assert_allclose(answer, expected.reshape(shape), rtol=1e-13)


def test_a_number_is_answered_by_a_number_of_every_result_in_one_variable():
    for found in (trained([1.0, 2.0]), answered(**KINDS["one"])):
        assert np.ndim(found(0.5)) == 0 and found(0.5) == found.predict([0.5])[0]
        one, many = found.predict(0.5, "prediction"), found.predict([0.5], "prediction")
        np.testing.assert_array_equal(one, np.ravel(many))
        frame = pd.DataFrame({found.variables[0]: [0.5]})
        assert found(frame).tolist() == [found(0.5)]


def test_a_training_survives_json():
    found = trained([1.0, 2.0, 3.0])
    back = again(found)
    assert back.coefficients.tolist() == found.coefficients.tolist()
    assert back.weights.tolist() == found.weights.tolist() == [1, 2, 3]
    assert back.domain == found.domain == {"x": (-3, 3)}
    assert back.design == found.design and back.basis == "hermite"
    assert back.condition == found.condition
    assert back.truth.tolist() == found.truth.tolist() == [0.9, 0.5, 3.0, 2.4]
    x = np.linspace(-4, 4, 50)
    assert np.array_equal(back(x), found(x))


def test_a_trainings_document_has_a_row_a_term():
    rows = trained([1.0, 2.0], basis="monomial").to_dict()["terms"]
    assert [(r["term"], r["estimate"], r["truth"]) for r in rows] == [("1", 1, 0.9), ("x", 2, 0.5)]
    unknown = ("std_error", "t", "p", "low", "high", "digits")
    assert all(r[name] is None for r in rows for name in unknown)


def test_a_term_that_only_one_of_them_has_counts_as_zero_in_the_other():
    low = trained([0.9, 0.5], basis="monomial")
    assert low.max_error() == again(low).max_error() == 3.0
    assert [t for t, _, _ in low.against_truth()] == ["1", "x", "x^2", "x^3"]
    high = trained([0.9, 0.5, 3.0, 2.4, 0.25], basis="monomial")
    assert high.max_error() == 0.25
    assert high.to_dict()["terms"][4]["truth"] == 0


def test_without_a_truth_nothing_is_said_of_errors():
    for call in (answered(**KINDS["one"]).max_error, answered(**KINDS["two"]).against_truth):
        with pytest.raises(ValueError, match="true coefficients are not known"):
            call()


def test_a_training_knows_what_a_fit_knows_but_no_errors():
    training = Training(TrainConfig(seed=5))
    list(descend(training))
    found = training.result()
    assert found.nobs == 32 * training.curve.steps and (found.method, found.precision) == (
        "sgd", "float32"
    )  # fmt: skip
    assert found.domain == {"x": training.curve.domain} and found.rank == 4
    assert found.df_resid == 0 and not found.has_errors and found.selection is None
    scalars = [found.residual_sd, found.r2, found.adjusted_r2, found.aic, found.bic]
    arrays = [found.std_errors, found.t_values, found.p_values, found.conf_int(0.9), found.digits,
              found.covariance(), *found.predict([0.5, 1], "confidence")[1:]]  # fmt: skip
    assert np.isnan(scalars).all() and all(np.isnan(a).all() for a in arrays)
    assert found.covariance().shape == (4, 4) and found.conf_int().shape == (4, 2)
    assert found.extrapolated([0.0, 99.0]).tolist() == [False, True]
    with pytest.raises(ValueError, match="got 'wide'"):
        found.predict([0.0], "wide")


@pytest.mark.parametrize("family", ["monomial", "hermite", "legendre", "chebyshev"])
def test_a_named_family_is_the_same_recurrence_for_training_design_and_document(family):
    """To the bit: the in-place rows, the columns, the design of the result, the predictor."""
    x = torch.from_numpy(np.random.default_rng(0).normal(size=300))
    columns = families.design_matrix(x, family, 20)
    rows = torch.empty(21, 300, dtype=torch.float64)
    families.fill(rows, x, family)
    # sub_ with alpha may fuse its product, which saves a rounding.
    near = 40 * EPS * np.abs(columns.numpy()).max(0)
    assert (np.abs(rows.T.numpy() - columns.numpy()).max(0) <= near).all()
    found = trained([1.0] * 21, basis=family)
    design = found.design
    assert torch.equal(design.matrix(x[:, None]), columns)
    assert torch.equal(products(design.recurrences, design.places, x[:, None], 1.0), columns)
    known = Predictor(json.loads(json.dumps(found.to_dict())))
    assert np.array_equal(known._terms(x.numpy()[:, None]), columns.numpy())
    # The change to powers of x: floats of the recurrence, and the exact family.
    weights = np.random.default_rng(1).normal(size=21)
    exact = families.to_powers(weights, family)
    by_floats = [
        float(c) for c in design.powers.coefficients([Fraction(w) for w in weights.tolist()])
    ]
    columns = [np.abs(families.to_powers(unit, family)) for unit in np.eye(21)]
    size = np.abs(weights) @ columns
    assert (np.abs(by_floats - exact) <= 100 * EPS * size).all()


# One class, one document.


@pytest.mark.parametrize("kind", [*KINDS, "trained", "trained, no truth"])
def test_from_dict_gives_all_that_to_dict_was_given(kind):
    if kind in KINDS:
        found = answered(**KINDS[kind])
    else:
        found = trained([1.0, 2.0, 3.0])
        if "no truth" in kind:
            found = dataclasses.replace(found, truth=None)
    written = found.to_dict()
    back = again(found)
    assert type(back) is type(found) is Result
    assert back.to_dict() == written == json.loads(json.dumps(written, allow_nan=False))
    for name in ("coefficients", "std_errors", "t_values", "p_values", "digits", "low", "high"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name), err_msg=name)
    assert back.design == found.design
    assert back.summary() == found.summary() and repr(back) == repr(found)


def test_fit_and_training_have_the_same_keys():
    fitted, learned = answered(**KINDS["one"]).to_dict(), trained([1.0, 2.0]).to_dict()
    assert fitted.keys() == learned.keys() and fitted["basis"].keys() == learned["basis"].keys()
    assert fitted["terms"][0].keys() == learned["terms"][0].keys()
    assert (fitted["basis"]["name"], learned["basis"]["name"]) == (FITTED, "hermite")
    relied_on = {"term", "estimate", "truth", "std_error", "low", "high"}
    assert relied_on <= fitted["terms"][0].keys() and {"domain", "condition"} <= fitted.keys()


def test_a_result_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        trained([1.0]).target = "z"


# What polyreg 0.1 wrote, and said of it, kept as files.
OLD = sorted((Path(__file__).parents[2] / "data").glob("*.json"))


def nan_for_none(values) -> np.ndarray:
    return np.array(values, dtype=float)


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_what_an_earlier_version_wrote_says_what_it_said(path):
    old = json.loads(path.read_text())
    found = Result.from_dict(old["document"])
    x = np.array(old["x"])
    assert found.terms == [row["term"] for row in old["document"]["terms"]]
    assert found.coefficients.tolist() == [row["estimate"] for row in old["document"]["terms"]]
    assert found.extrapolated(x).tolist() == old["extrapolated"]
    assert found.condition == old["document"]["condition"]
    size = np.abs(matrix_at(found, x)) @ np.abs(found.weights)
    assert (np.abs(found(x) - old["prediction"]) <= 4 * EPS * size).all()
    # Written anew, it is a document of today, for the predictor too.
    assert again(found).to_dict() == found.to_dict()
    frame = pd.DataFrame(x, columns=list(found.variables))
    for known in (found.to_dict(), document.upgraded(old["document"])):
        served = Predictor(known).predict(frame, "confidence").prediction
        assert (np.abs(served - old["prediction"]) <= 300 * EPS * size).all()
    if path.stem.startswith("training"):
        assert found.domain == {"x": tuple(old["domain"])}
        assert found.weights.tolist() == old["weights"]
        # Of the truth it held what the model has terms for.
        assert found.truth.tolist() == (old["truth"] + [0.0])[: len(found.terms)]
        assert found.basis == old["document"]["basis"] == path.stem.split("_")[1]
        assert np.isnan(found.std_errors).all() and found.notes == (document.NO_ERRORS,)
        return
    for name in ("std_errors", "t_values", "p_values", "covariance", "conf_int"):
        value = getattr(found, name)
        value = value(0.5) if name == "conf_int" else value() if callable(value) else value
        np.testing.assert_allclose(np.ravel(value), nan_for_none(old[name]), rtol=1e-12)
    np.testing.assert_allclose(found.digits, nan_for_none(old["digits"]), rtol=0, atol=0.051)
    for name in ("df_resid", "nobs", "aic", "bic", "r2", "adjusted_r2", "residual_sd"):
        np.testing.assert_equal(getattr(found, name), old[name], err_msg=name)
    # It gave the intervals of rows of weight 1.
    bounds = found.predict(x, "prediction", weights=1)[1:]
    assert found.weighted_by == ("" if "weighted" in path.stem else None)
    np.testing.assert_allclose(bounds, nan_for_none([old["low"], old["high"]]), rtol=1e-12)
    assert found.equation() == old["equation"]


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
@pytest.mark.parametrize("place", ["extra_files", "artifacts"])
def test_polyreg_loads_the_models_of_an_earlier_version(tmp_path, path, place):
    old = json.loads(path.read_text())
    (tmp_path / place).mkdir()
    (tmp_path / place / "polyreg.json").write_text(json.dumps(old["document"]))
    found = polyreg.load(str(tmp_path))
    assert found.to_dict() == Result.from_dict(old["document"]).to_dict()


def test_there_are_old_documents_of_both_forms():
    forms = {type(json.loads(path.read_text())["document"]["basis"]) for path in OLD}
    assert forms == {str, dict} and len(OLD) == 6


# Weights of new rows.


def weighted(seed: int = 0, rows: int = 40, **options) -> Result:
    """y = 2 + 3 x, its noise 0.1 x, and so the weights 1/x^2."""
    rng = np.random.default_rng(seed)
    x = np.linspace(1, 12, rows)
    frame = pd.DataFrame({"x": x, "y": 2 + 3 * x + 0.1 * x * rng.normal(size=rows), "w": x**-2})
    return polyreg.fit(frame, target="y", weights="w", degree=1, **options)


def test_the_interval_of_a_new_row_of_known_weight_covers_what_it_says():
    rng, trials, at = np.random.default_rng(11), 1000, 10.0
    inside = 0
    for seed in range(trials):
        _, low, high = weighted(seed).predict(at, "prediction", weights=at**-2)
        inside += low <= 2 + 3 * at + 0.1 * at * rng.normal() <= high
    # 4 standard errors of a binomial: with the interval of weight 1 it is some 300.
    assert abs(inside - 0.95 * trials) < 4 * math.sqrt(trials * 0.95 * 0.05)


def test_the_variance_of_a_new_row_is_that_of_its_weight_and_of_the_mean():
    found = weighted()
    x = np.array([1.0, 10.0])
    _, mean, _ = found.predict(x, "confidence", 0.8)
    y, low, high = found.predict(x, "prediction", 0.8, weights=[1.0, 0.01])
    squares = (y - mean) ** 2 + (found.quantile(0.8) * found.residual_sd) ** 2 * np.array([1, 100])
    np.testing.assert_allclose([y - low, high - y], np.sqrt([squares, squares]), rtol=1e-12)
    frame = pd.DataFrame({"w": [1.0, 0.01], "x": x})
    assert np.array_equal(found.predict(frame, "prediction", 0.8), [y, low, high])
    alone = found.predict(10.0, "prediction", 0.8, weights=0.01)
    np.testing.assert_allclose(alone, [y[1], low[1], high[1]], rtol=1e-12)


def test_without_the_weight_of_a_new_row_there_is_no_interval_and_a_warning_says_why():
    found = weighted()
    assert found.weighted_by == "w"
    x = pd.DataFrame({"x": [1.0, 10.0]})
    served = Predictor(found.to_dict())
    with pytest.warns(UserWarning, match="give the weights of the new rows, in the column w, or"):
        y, *bounds = found.predict(x, "prediction")
    with pytest.warns(UserWarning, match="give the weights of the new rows, in the column w, or"):
        told = served.predict(x)
    assert np.isnan(bounds).all() and np.array_equal(y, found(x))
    assert told[["low", "high"]].isna().all(axis=None)
    np.testing.assert_allclose(told.prediction, y, rtol=1e-14)
    for interval in ("confidence", None):
        assert np.isfinite(found.predict(x, interval)).all()
    assert np.isfinite(served.predict(x, "confidence").low).all()
    # Where there are no intervals at all, weights are not asked for.
    assert np.isnan(weighted(ridge=1.0).predict(x, "prediction")[1]).all()


def test_what_weights_make_of_the_figures_is_said_where_they_are_printed():
    found = weighted()
    told, shown = (" ".join(form.split()) for form in (found.summary(), found._repr_html_()))
    for text in (told, shown):
        assert "std errors scaled by the residuals; weights are relative" in text
        assert "Residual SD (no unit):" in text
    sd = f"residual SD {found.residual_sd:.6g} of y * sqrt(weight), without unit"
    assert sd in repr(found)
    plain = answered(**KINDS["one"])
    assert "Residual SD: " in plain.summary() and "weights" not in plain.summary()
    # As they are said to be: a factor of all weights changes no standard error.
    x, w = np.arange(1.0, 9), np.arange(1.0, 9) ** -2
    y = np.sin(x)
    one, other = (polyreg.fit(x, y, weights=k * w, degree=1) for k in (1, 64))
    np.testing.assert_allclose(one.std_errors, other.std_errors, rtol=1e-14)
    assert other.residual_sd == pytest.approx(8 * one.residual_sd, rel=1e-14)


def test_r2_without_an_intercept_is_called_uncentred():
    found = answered(**KINDS["one, no intercept"])
    told = found.summary()
    assert re.search(rf"R-squared \(uncentred\): +{found.r2:.10g}\b", told)
    assert re.search(rf"Adj. R-sq. \(uncentred\): +{found.adjusted_r2:.10g}\b", told)
    assert "R-squared (uncentred)" in found._repr_html_()
    assert f"R2 (uncentred) {found.r2:.10g}" in repr(found)
    assert "uncentred" not in answered(**KINDS["one"]).summary()


@pytest.mark.parametrize("weights", [[1, 0], [1, -1], [1, math.nan], [1, 2, 3], [[1, 2]]])
def test_what_are_no_weights_of_new_rows_are_refused(weights):
    found = weighted()
    with pytest.raises(polyreg.PolyregError, match="weights must be"):
        found.predict([1.0, 2.0], "prediction", weights=weights)
    if np.ndim(weights) == 1 and len(weights) == 2:
        frame = pd.DataFrame({"x": [1.0, 2.0], "w": weights})
        with pytest.raises(ValueError, match=r"w.*row 2|above 0"):
            Predictor(found.to_dict()).predict(frame)


# To be read.


def by_statsmodels(level: float):
    import statsmodels.api as api

    rng = np.random.default_rng(9)
    a, b = rng.uniform(-1, 2, size=(2, 70))
    y = 1 + a - b * a + rng.normal(scale=0.2, size=70)
    config = FitConfig(data="m", target="y", degree=2, level=level)
    powers = np.stack([np.ones(70), a, b, a * a, a * b, b * b], axis=1)
    return fit(InMemory([a, b], y, names=["a", "b"]), config), api.OLS(y, powers).fit()


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_numbers_of_the_summary_are_statsmodels_own(level):
    found, theirs = by_statsmodels(level)
    np.testing.assert_allclose(found.t_values, theirs.tvalues, rtol=1e-9)
    np.testing.assert_allclose(found.p_values, theirs.pvalues, rtol=1e-9)
    np.testing.assert_allclose(found.conf_int(), theirs.conf_int(1 - level), rtol=1e-9)
    np.testing.assert_allclose(found.covariance(), theirs.cov_params(), rtol=1e-9, atol=1e-16)
    lines = found.summary().splitlines()
    expected = zip(
        theirs.params, theirs.bse, theirs.tvalues, theirs.pvalues, *theirs.conf_int(1 - level).T,
        strict=True,
    )  # fmt: skip
    for term, row in zip(found.terms, expected, strict=True):
        [printed] = [line.split() for line in lines if line.split()[:1] == [term]]
        assert len(printed) == 8
        for said, value, digits in zip(printed[1:7], row, (10, 3, 3, 3, 6, 6), strict=True):
            assert float(said) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))
    told = found.summary()
    for label, value in (
        ("R-squared", theirs.rsquared), ("Adj. R-squared", theirs.rsquared_adj),
        ("AIC", theirs.aic), ("BIC", theirs.bic), ("No. Observations", theirs.nobs),
        ("Df Residuals", theirs.df_resid),
    ):  # fmt: skip
        said = re.search(rf"(?:^|  ){re.escape(label)}: +(\S+)", told, re.M)[1]
        assert float(said) == pytest.approx(value, rel=1e-9)
    assert f"[{(1 - level) / 2:.6g}" in told and f"{(1 + level) / 2:.6g}]" in told


def test_the_summary_says_which_uncertainty_is_which():
    told = " ".join(answered(**KINDS["one"]).summary().split())
    assert "std err is the uncertainty that the noise of the data leaves" in told
    assert "digits are the decimal digits of coef that arithmetic leaves certain" in told
    without = " ".join(answered(**KINDS["ridge"]).summary().split())
    assert "there is no std err here" in without and "ridge biases" in without
    assert "Ridge: 2 " in without


def test_the_summary_of_a_training_has_truth_and_error_and_no_standard_errors():
    lines = trained([0.9, 0.25], basis="monomial").summary().splitlines()
    rows = [line.split() for line in lines]
    assert ["truth", "coef", "error"] in rows and not any("std" in line for line in lines)
    assert ["1", "0.9", "0.8999999762", "-2.38e-08"] in rows and [
        "x",
        "0.5",
        "0.25",
        "-0.25",
    ] in rows
    assert ["x^2", "3", "-", "-3"] in rows and ["x^3", "2.4", "-", "-2.4"] in rows
    unknown = dataclasses.replace(trained([0.9, 0.25]), truth=None).summary()
    assert "truth" not in unknown and "error" not in unknown.split("[1]")[0].replace(
        "Max. error", ""
    )


def test_how_the_degree_was_chosen_is_part_of_a_fit_that_chose_it():
    x = np.random.default_rng(0).uniform(-1, 1, size=80)
    y = x**2 + np.random.default_rng(1).normal(scale=0.1, size=80)
    config = FitConfig(data="m", target="y", degree="auto", max_degree=4)
    found = fit(InMemory([x], y), config)
    assert found.selection.chosen == found.design.degree == 2
    assert " ".join(found.selection.sentence().split()) in " ".join(found.summary().split())
    assert again(found).selection is None and answered(**KINDS["one"]).selection is None


NASTY = ["<script>alert('a')</script>", 'b" onload="x', "\x1b[31mred\n\t&amp;", "größe (€) " * 30]


def nasty() -> Result:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(60, len(NASTY)))
    y = 1e-70 * (x.sum(1) + rng.normal(size=60))
    config = FitConfig(data="m", target="<i>&" + "y" * 200, degree=2, level=0.99)
    return fit(InMemory(list(x.T), y, names=NASTY), config)


@pytest.mark.parametrize("kind", [*KINDS, "nasty", "trained"])
def test_a_summary_is_at_most_100_columns_wide_of_characters_that_show(kind):
    if kind == "nasty":
        found = nasty()
    else:
        found = trained([1.0, 2.0]) if kind == "trained" else answered(**KINDS[kind])
    lines = found.summary().splitlines()
    assert max(map(len, lines)) <= 100
    assert all(c.isprintable() for line in lines for c in line)
    rules = {len(line) for line in lines if set(line) <= {"=", "-"}}
    assert len(rules) == 1  # of one width
    table = [line for line in lines if line.startswith("x^2") or "coef  " in line]
    assert len({len(line) for line in table}) <= 1


class Reader(html.parser.HTMLParser):
    """Tags, attributes and texts; every tag that opens closes."""

    def __init__(self, source: str):
        super().__init__()
        self.open, self.tags, self.names, self.cells = [], set(), set(), []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        if tag in ("td", "th", "li", "caption"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.cells[-1] += data


@pytest.mark.parametrize("kind", ["one", "ridge", "nasty", "trained"])
def test_a_notebook_shows_the_summary_as_tables_with_every_name_escaped(kind):
    if kind == "nasty":
        found = nasty()
    else:
        found = trained([1.0, 2.0]) if kind == "trained" else answered(**KINDS[kind])
    read = Reader(found._repr_html_())
    assert read.open == []
    assert read.tags == {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "ol", "li"}
    assert read.names == {"style"}
    if kind == "nasty":
        assert f"`{NASTY[0]}`" in read.cells and NASTY[1] in read.cells
        assert "�[31mred &amp;" in " ".join(read.cells)
        return
    shown = set(" ".join(read.cells).split())
    numbers = [w for w in found.summary().split() if re.fullmatch(r"-?\d[\d.e,-]*", w)]
    assert len(numbers) > 5 and set(numbers) <= shown


def test_repr_is_the_equation_and_one_line():
    fitted = answered(**KINDS["two"])
    equation, figures = repr(fitted).split("\n")
    assert equation == fitted.equation()
    assert figures.startswith("60 rows, residual SD ") and figures.endswith("certified")
    assert f"R2 {fitted.r2:.10g}, condition {fitted.condition:.3g}" in figures
    equation, figures = repr(trained([0.9, 0.5], basis="monomial")).split("\n")
    assert equation == f"y = {float(np.float32(0.9))} + 0.5*x"
    assert figures.startswith("sgd in the monomial basis, max. error of a coefficient 3, condition")
    dependent = repr(answered(**KINDS["dependent"])).split("\n")[1]
    assert "rank 4 of 10" in dependent and "nan" not in dependent


@pytest.mark.parametrize("kind", ["one", "one, no intercept", "constant", "trained"])
def test_numpys_polynomial_has_the_same_values(kind):
    found = trained([1.0, 2.0, 3.0]) if kind == "trained" else answered(**KINDS[kind])
    theirs = found.to_numpy()
    assert type(theirs) is np.polynomial.Polynomial
    x = np.linspace(-2, 2, 21)
    np.testing.assert_allclose(theirs(x), found(x), rtol=0, atol=1e-12)
    assert theirs.coef[-len(found.coefficients) :].tolist() == found.coefficients.tolist()
    assert (theirs - theirs.deriv().integ()).degree() == 0  # it can be calculated with


def test_numpys_polynomial_has_one_variable():
    with pytest.raises(ValueError, match=r"^numpy's Polynomial has one variable; .*: a, b$"):
        answered(**KINDS["two"]).to_numpy()


def test_public_members_all_say_what_they_are():
    names = [name for owner in Result.__mro__[:-1] for name in vars(owner)]
    public = [n for n in names if not n.startswith("_") or n in ("__call__", "__repr__")]
    members = {n: getattr(Result, n) for n in public}
    bare = [
        n for n, m in members.items() if (callable(m) or isinstance(m, property)) and not m.__doc__
    ]
    assert bare == [] and len(members) > 30
