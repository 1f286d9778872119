"""The estimator among scikit-learn's own tools, and against polyreg.fit and numpy."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.polynomial import chebyshev
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import polyreg
from polyreg import PolynomialRegressor

EPS = 2.0**-52
DRAWN = np.random.default_rng(0)
X = DRAWN.uniform(-1, 2, size=(60, 2))
Y = 1 + X[:, 0] - 2 * X[:, 0] * X[:, 1] + X[:, 1] ** 2 + DRAWN.normal(scale=0.05, size=60)
W = DRAWN.uniform(0.5, 2, size=60)


def test_scikit_learns_own_checks_all_pass():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)
        checks = check_estimator(PolynomialRegressor(), on_fail=None)
    failed = [f"{c['check_name']}: {c['exception']}" for c in checks if c["status"] == "failed"]
    assert failed == [] and len(checks) > 50


@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(degree=2, ridge=0.1),
        dict(degree=1, intercept=False),
        dict(degree="auto", max_degree=4, folds=5),
    ],
)
def test_predictions_are_those_of_fit_to_the_last_bit(options):
    model = PolynomialRegressor(**options).fit(X, Y, sample_weight=W)
    plain = polyreg.fit(X, Y, weights=W, **options)
    assert np.array_equal(model.predict(X), plain.predict(X))
    assert np.array_equal(model.coef_, plain.coefficients) and model.terms_ == plain.terms
    assert model.result_.notes == plain.notes
    assert model.score(X, Y) == pytest.approx(
        1 - ((Y - model.predict(X)) ** 2).sum() / (60 * Y.var())
    )


@pytest.mark.parametrize("degree, intercept", [(0, True), (1, False)])
def test_a_constant_that_fit_takes_is_fitted_as_it_does(degree, intercept):
    options = dict(degree=degree, intercept=intercept)
    found = PolynomialRegressor(**options).fit(np.full((60, 1), 3.0), Y).result_
    plain = polyreg.fit(np.full(60, 3.0), Y, **options)
    assert np.array_equal(found.coefficients, plain.coefficients) and found.notes == plain.notes


def test_rows_of_weight_0_are_left_out():
    weights = np.where(np.arange(60) < 20, 0.0, W)
    model = PolynomialRegressor().fit(X, Y, sample_weight=weights)
    rest = PolynomialRegressor().fit(X[20:], Y[20:], sample_weight=W[20:])
    assert np.array_equal(model.predict(X), rest.predict(X)) and model.result_.nobs == 40
    unweighed = PolynomialRegressor().fit(X[20:], Y[20:])
    assert not np.array_equal(unweighed.predict(X), rest.predict(X))
    with pytest.raises(polyreg.PolyregError, match=r"^sample_weight must not be negative; .* -2$"):
        PolynomialRegressor().fit(X, Y, sample_weight=[-2.0, *W[1:]])


def chebyshev_matrix(x: np.ndarray, at: np.ndarray, degree: int) -> np.ndarray:
    """By numpy: products of Chebyshev polynomials over the ranges of x, at other points."""
    low, high = x.min(axis=0), x.max(axis=0)
    z = (at - (low + high) / 2) / np.where(high > low, (high - low) / 2, 1)
    values = [chebyshev.chebvander(column, degree).T for column in z.T]
    if len(values) == 1:
        return values[0].T
    pairs = [(a, b) for a in range(degree + 1) for b in range(degree + 1 - a)]
    return np.column_stack([values[0][a] * values[1][b] for a, b in pairs])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns, degree", [([0], 9), ([0, 1], 4)])
def test_fewer_rows_than_terms_get_the_polynomial_of_least_norm(columns, degree, weighted):
    x, y = X[:7][:, columns], Y[:7]
    weights = W[:7] if weighted else None
    model = PolynomialRegressor(degree=degree).fit(x, y, sample_weight=weights)
    root = np.sqrt(np.ones(7) if weights is None else weights)
    matrix = chebyshev_matrix(x, x, degree) * root[:, None]
    expected = np.linalg.pinv(matrix, rcond=EPS * max(matrix.shape)) @ (y * root)
    new = DRAWN.uniform(x.min(axis=0), x.max(axis=0), size=(20, len(columns)))
    condition = np.linalg.cond(matrix)
    tolerance = 100 * EPS * condition * np.abs(expected).sum()
    for at in (x, new):
        np.testing.assert_allclose(
            model.predict(at), chebyshev_matrix(x, at, degree) @ expected, rtol=0, atol=tolerance
        )
    np.testing.assert_allclose(model.predict(x), y, atol=tolerance)  # all rows are met
    [note] = model.result_.notes
    assert note.startswith(f"7 rows tell 7 of {matrix.shape[1]} terms apart")
    assert np.isnan(model.result_.std_errors).all()
    written = polyreg.Result.from_dict(model.result_.to_dict())
    assert np.array_equal(written.predict(new), model.predict(new))
    assert "7 rows tell 7 of" in written.summary() and model.result_.plot().axes


def test_a_constant_feature_changes_no_prediction():
    with_constant = np.column_stack([X[:, 0], np.full(60, 5.0)])
    model = PolynomialRegressor(degree=2).fit(with_constant, Y)
    plain = PolynomialRegressor(degree=2).fit(X[:, :1], Y)
    np.testing.assert_allclose(model.predict(with_constant), plain.predict(X[:, :1]), rtol=1e-12)
    assert "60 rows tell 3 of 6 terms apart" in model.result_.notes[0]


@pytest.mark.parametrize("names", [("a", "b"), ("y", "weights"), ("target", "y")])
def test_frames_bring_the_names_whatever_they_are(names):
    frame = pd.DataFrame(X, columns=[*names])
    for rows in (60, 5):  # by polyreg.fit, and of least norm
        model = PolynomialRegressor(degree=2).fit(frame[:rows], Y[:rows], sample_weight=W[:rows])
        result = model.result_
        assert result.variables == names and [*model.feature_names_in_] == [*names]
        assert result.origin.config.features == names
        assert result.origin.config.target == result.target not in names
        assert np.array_equal(model.predict(frame), model.predict(pl.DataFrame(frame)))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.set_axis(["p", "q"], axis=1))


def test_it_is_a_step_of_a_pipeline():
    pipe = make_pipeline(StandardScaler(), PolynomialRegressor(degree=2)).fit(X, Y)
    np.testing.assert_allclose(
        pipe.predict(X), polyreg.fit(X, Y, degree=2).predict(X), rtol=0, atol=1e-12
    )


def test_a_grid_search_finds_the_degree():
    search = GridSearchCV(PolynomialRegressor(), {"degree": [1, 2, 5]}, cv=4).fit(X, Y)
    assert search.best_params_ == {"degree": 2}
    scores = cross_val_score(PolynomialRegressor(degree=2), X, Y, cv=4)
    assert scores.mean() == pytest.approx(search.best_score_) and scores.min() > 0.99


def test_clone_and_parameters_keep_their_word():
    model = PolynomialRegressor(degree=2, level=0.9).fit(X, Y)
    again = clone(model)
    assert again.get_params() == model.get_params() and not hasattr(again, "result_")
    with pytest.raises(NotFittedError):
        again.predict(X)
    assert again.set_params(degree=1).fit(X, Y).terms_ == ["1", "x1", "x2"]
    assert model.terms_ != again.terms_ and model.result_.level == 0.9
    assert "degree=2" in repr(model)


@pytest.mark.parametrize("degree", [2, 5])
def test_a_pickle_predicts_the_same_and_does_not_hold_the_rows(degree):
    x = DRAWN.normal(size=(60_000, 1))
    model = PolynomialRegressor(degree=degree, precision="fast").fit(x, x[:, 0] ** 2)
    pickled = pickle.dumps(model)
    assert len(pickled) < x.nbytes  # nor y: of both, a sample of 16,384 rows
    assert np.array_equal(pickle.loads(pickled).predict(x), model.predict(x))


@pytest.mark.parametrize("rows", [60, 5])
def test_skops_saves_it_as_mlflow_asks_it_to(rows):
    skops = pytest.importorskip("skops.io")
    model = PolynomialRegressor(degree=2).fit(X[:rows], Y[:rows])
    model.coef_, model.result_.design.powers  # noqa: B018 (what is cached is not saved)
    saved = skops.dumps(model)
    again = skops.loads(saved, trusted=skops.get_untrusted_types(data=saved))
    assert np.array_equal(again.predict(X), model.predict(X))
    assert again.result_.origin.sha256 == model.result_.origin.sha256


@pytest.mark.parametrize(
    "options, data, said",
    [
        (dict(degree=-1), (X, Y), "degree must be 0 to 40"),
        (dict(degree="2"), (X, Y), "degree must be 0 to 40"),
        (dict(level=95), (X, Y), "level must be between 0 and 1"),
        (dict(intercept="no"), (X, Y), "intercept must be True or False; got 'no'"),
        (dict(ridge=1.0), (X[:3], Y[:3]), "10 terms need at least as many rows, got 3; lower deg"),
        (dict(degree="auto"), (X[:9], Y[:9]), "needs at least 13 rows, got 9; give degree"),
        (dict(degree=3), (X[:3] * 1e-200, Y[:3]), "whose powers up to 3 leave float64; rescale"),
        (dict(degree=3), (X[:3], Y[:3] * 1e200), "whose squares leave float64; rescale it"),
        (dict(degree=3), (np.zeros((2, 60)), Y[:2]), "39,711 terms need at least as many rows"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(options, data, said):
    with pytest.raises(polyreg.PolyregError) as caught:
        PolynomialRegressor(**options).fit(*data)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert "--" not in str(caught.value)
