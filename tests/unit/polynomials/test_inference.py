"""What an answer says of itself, before and after it was written down."""

import json
import math

import numpy as np
import pytest

from polyreg.config import FitConfig
from polyreg.inference import Answer, information
from polyreg.least_squares import fit
from polyreg.table import InMemory

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
) -> Answer:
    rng = np.random.default_rng(0)
    columns = list(rng.uniform(-1, 2, size=(variables, rows)))
    if twice:
        columns[1] = 2 * columns[0]
    y = 1 + sum(c**2 for c in columns) + rng.normal(scale=0.3, size=rows)
    weights = rng.uniform(0.5, 2, size=rows) if weighted else None
    config = FitConfig(data="m", target="y", degree=degree, precision=precision, **options)
    return fit(InMemory(columns, y, weights, ["a", "b", "c"][:variables]), config)


def again(answer: Answer) -> Answer:
    return Answer.from_document(json.loads(json.dumps(answer.document(), allow_nan=False)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_survives_json(kind):
    answer = answered(**KINDS[kind])
    found = again(answer)
    x = np.random.default_rng(1).uniform(-2, 3, size=(20, len(answer.design.names)))
    assert np.array_equal(found.predict(x), answer.predict(x))
    for interval in ("confidence", "prediction"):
        np.testing.assert_array_equal(found.predict(x, interval), answer.predict(x, interval))
    assert np.array_equal(found.extrapolated(x), answer.extrapolated(x))
    assert np.array_equal(found.coefficients, answer.coefficients)
    for name in ("terms", "exponents", "rank", "count", "free", "has_errors", "notes", "target",
                 "intercept", "ridge", "level", "precision"):  # fmt: skip
        assert getattr(found, name) == getattr(answer, name), name
    for name in ("residual_sd", "r2", "adjusted_r2", "aic", "bic", "condition"):
        np.testing.assert_equal(getattr(found, name), getattr(answer, name), err_msg=name)
    for name in ("std_errors", "t", "p"):  # divided and multiplied once
        np.testing.assert_allclose(
            getattr(found, name), getattr(answer, name), rtol=1e-12, err_msg=name
        )
    for level in (None, 0.5):
        np.testing.assert_allclose(found.intervals(level), answer.intervals(level), atol=1e-12)
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
        lambda: answer.intervals(level),
        lambda: answer.predict([0.0], "confidence", level),
        lambda: answer.predict([0.0], "prediction", level),
    ):
        with pytest.raises(ValueError, match=f"level must be between 0 and 1; got {level}"):
            call()


def test_the_level_is_the_fits_unless_another_is_given():
    answer = answered(variables=1, level=0.5)
    assert np.array_equal(answer.intervals(), answer.intervals(0.5))
    own, given = (answer.predict([0.3], "confidence", level) for level in (None, 0.5))
    assert np.array_equal(own, given)
    wide, narrow = (np.ptp(answer.intervals(level), axis=1) for level in (0.99, 0.5))
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
    assert answer.free == 0 and not answer.has_errors
    for value in (answer.residual_sd, answer.adjusted_r2):
        assert math.isnan(value)
    for numbers in (answer.std_errors, answer.t, answer.p, answer.intervals(), answer.covariance()):
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
        assert answer.t.shape == answer.p.shape == (3,)
        json.dumps(answer.document(), allow_nan=False)


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
    half = np.sqrt(variance) * answer._quantile(None)
    np.testing.assert_allclose(high - found, half, rtol=1e-9)
    np.testing.assert_allclose(found - low, half, rtol=1e-9)
    assert np.sqrt(np.diag(answer.covariance())) == pytest.approx(answer.std_errors, rel=1e-12)


def test_where_a_prediction_overflows_so_do_its_bounds_without_a_warning():
    answer = answered(**KINDS["one"])
    for bounds in answer.predict([1e200], "prediction")[1:]:
        assert not np.isfinite(bounds).any()
