"""Robust fits, against statsmodels' RLM and QuantReg, and what is defined where these fail."""

import json
import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import norm
from statsmodels.regression.quantile_regression import hall_sheather, kernels

import polyreg
from polyreg.config import FitConfig
from polyreg.errors import PolyregError, Refused
from polyreg.inference.influence import rounding
from polyreg.least_squares import Passes, Problem, run
from polyreg.least_squares.outliers import influence
from polyreg.least_squares.outliers.breakdown import least_trimmed
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result
from polyreg.tables.rows import InMemory
from tests.support.designs import matrix_at

NORMS = {
    "huber": sm.robust.norms.HuberT(1.345),
    "bisquare": sm.robust.norms.TukeyBiweight(4.685),
}
LOSSES = [*NORMS, "l1"]


def data(kind):
    """x (N,) or (N, 2), y (N,) and a degree."""
    rng = np.random.default_rng(1)
    if kind == "easy":
        x = np.linspace(0, 10, 60)
        y = 1 + 2 * x - 0.3 * x**2 + rng.normal(size=60)
        y[::7] += 30
        return x, y, 2
    if kind == "years":
        x = np.arange(2001.0, 2020.0)
        y = 5 + 0.1 * (x - 2010) ** 2 + rng.normal(size=19)
        y[4] += 40
        return x, y, 6
    if kind == "offset":  # noise is 1e-6 of y
        x = np.linspace(-1, 1, 200)
        return x, 1e6 + x**3 + rng.standard_t(2, size=200), 4
    x = rng.normal(size=(500, 2))
    return x, x[:, 0] ** 2 - x[:, 1] + rng.standard_t(1, size=500), 3


KINDS = ["easy", "years", "offset", "two variables"]


@cache
def fits(kind, loss):
    """The fit, and that of RLM to the columns of its own basis."""
    x, y, degree = data(kind)
    found = polyreg.fit(x, y, degree=degree, loss=loss)
    start = found.weights if loss == "bisquare" else None  # of its several solutions, this one
    known = sm.RLM(y, matrix_at(found, x), M=NORMS[loss])
    return found, known.fit(tol=1e-14, maxiter=2000, conv="coefs", start_params=start)


def basis_errors(found):
    """Standard errors of the weights of the basis."""
    return np.sqrt(np.diag(found.solution.inverse)) * found.error_scale


@pytest.mark.parametrize("loss", NORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_coefficients_errors_scale_and_weights_are_those_of_statsmodels(kind, loss):
    found, known = fits(kind, loss)
    x, y, _ = data(kind)
    size = np.abs(known.params).max()
    assert np.abs(found.weights - known.params).max() < 1e-10 * size
    rel = 1e-9 if kind != "offset" else 1e-7  # 1e6 of the digits are y's
    assert basis_errors(found) == pytest.approx(known.bse, rel=rel)
    assert found.noise_sd == pytest.approx(known.scale, rel=rel)
    rows = found.diagnostics(x, y)
    assert rows.robust_weight.to_numpy() == pytest.approx(known.weights, abs=rel)
    assert rows.studentized.to_numpy() == pytest.approx(known.sresid, abs=1e-7)
    assert rows.cooks_distance.isna().all()  # it tells of least squares
    assert found.loss == loss and found.is_normal
    half = int((known.weights < 0.5).sum())
    assert f"{half:,} of {len(y):,} rows have less than half their weight" in found.notes[-1]
    assert np.isnan([found.aic, found.bic, found.r2, found.adjusted_r2]).all()


@pytest.mark.parametrize("loss", NORMS)
def test_coefficients_in_powers_of_x_are_those_of_statsmodels(loss):
    x, y, degree = data("easy")
    found = polyreg.fit(x, y, degree=degree, loss=loss)
    powers = np.vander(x, degree + 1, increasing=True)
    start = found.coefficients if loss == "bisquare" else None
    known = sm.RLM(y, powers, M=NORMS[loss]).fit(
        tol=1e-14, maxiter=2000, conv="coefs", start_params=start
    )
    assert found.coefficients == pytest.approx(known.params, rel=1e-9)
    assert found.std_errors == pytest.approx(known.bse, rel=1e-9)
    assert found.conf_int() == pytest.approx(known.conf_int(), rel=1e-8)
    assert found.p_values == pytest.approx(known.pvalues, abs=1e-9)


@pytest.mark.parametrize("loss", NORMS)
@pytest.mark.parametrize("given", ["weights", "1/x", "sigma"])
def test_a_row_of_its_own_weight_is_one_multiplied_by_the_root(given, loss):
    x, y, degree = data("easy")
    x = x + 1
    own = np.random.default_rng(2).uniform(0.3, 3, size=len(x))
    own = 1 / x if given == "1/x" else own
    options = {
        "weights": {"weights": own},
        "1/x": {"weights": "1/x"},
        "sigma": {"sigma": own**-0.5},
    }[given]
    found = polyreg.fit(x, y, degree=degree, loss=loss, **options)
    root, start = np.sqrt(own), found.weights if loss == "bisquare" else None
    fixed = {"start_scale": 1.0, "update_scale": False} if given == "sigma" else {}
    known = sm.RLM(y * root, matrix_at(found, x) * root[:, None], M=NORMS[loss]).fit(
        tol=1e-14, maxiter=2000, conv="coefs", start_params=start, **fixed
    )
    assert found.weights == pytest.approx(known.params, abs=1e-10 * np.abs(known.params).max())
    assert basis_errors(found) == pytest.approx(known.bse, rel=1e-9)
    assert found.noise_sd == pytest.approx(known.scale, rel=1e-9)
    column = {name: options[name] for name in ("weights", "sigma") if given == name}
    rows = found.diagnostics(x, y, **column)
    assert rows.robust_weight.to_numpy() == pytest.approx(known.weights, abs=1e-9)


def test_bisquare_withstands_what_carries_huber_away():
    rng = np.random.default_rng(3)
    x = np.linspace(-1, 1, 200)
    y = 1 + x - 3 * x**3 + 0.1 * rng.normal(size=200)
    y[120:] = 20 + rng.normal(size=80)  # 40 %, all on one side
    truth = [1, 1, 0, -3]
    found = polyreg.fit(x, y, degree=3, loss="bisquare")
    assert np.abs(found.coefficients - truth).max() < 5 * found.std_errors.max()
    assert np.abs(polyreg.fit(x, y, degree=3, loss="huber").coefficients - truth).max() > 5
    assert (found.diagnostics(x, y).robust_weight[120:] == 0).all()


def test_least_trimmed_squares_are_the_same_for_a_seed_and_find_half_of_the_rows():
    rng = np.random.default_rng(4)
    matrix = np.vander(rng.uniform(-1, 1, 4000), 4)
    y = matrix @ [1.0, 2, 3, 4]
    y[rng.permutation(4000)[:1900]] = 50 + rng.normal(size=1900)
    found = least_trimmed(matrix, y, 0)
    assert found == pytest.approx([1, 2, 3, 4], abs=1e-9)
    assert np.array_equal(found, least_trimmed(matrix, y, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_l1_is_the_least_sum_and_goes_through_as_many_rows_as_terms(kind):
    x, y, degree = data(kind)
    found = polyreg.fit(x, y, degree=degree, loss="l1")
    matrix, size = matrix_at(found, x), len(found.weights)
    left = y - matrix @ found.weights
    near = np.argsort(np.abs(left))
    on, off = near[:size], near[size:]
    assert np.abs(left[on]).max() <= rounding(found.weights)
    # Optimal where signs of the others' residuals are balanced by numbers in [-1, 1] on these.
    balance = np.linalg.solve(matrix[on].T, -matrix[off].T @ np.sign(left[off]))
    assert np.abs(balance).max() <= 1 + 1e-9
    known = sm.QuantReg(y, matrix).fit(q=0.5, max_iter=5000, p_tol=1e-9)
    assert np.abs(left).sum() <= np.abs(y - matrix @ known.params).sum() * (1 + 1e-12)


@pytest.mark.parametrize("kind", ["easy", "two variables"])
def test_errors_of_l1_are_koenkers_of_equal_densities(kind):
    x, y, degree = data(kind)
    found = polyreg.fit(x, y, degree=degree, loss="l1")
    matrix = matrix_at(found, x)
    left = y - matrix @ found.weights
    low, high = np.percentile(left, [25, 75])
    h = hall_sheather(len(y), 0.5)
    width = min(y.std(), (high - low) / 1.34) * (norm.ppf(0.5 + h) - norm.ppf(0.5 - h))
    density = kernels["epa"](left / width).sum() / (len(y) * width)
    known = np.sqrt(np.diag(np.linalg.inv(matrix.T @ matrix))) / (2 * density)
    assert basis_errors(found) == pytest.approx(known, rel=1e-9)
    assert found.noise_sd == pytest.approx(np.median(np.abs(left)) / norm.ppf(0.75), rel=1e-12)
    told = sm.QuantReg(y, matrix).fit(q=0.5, vcov="iid", max_iter=20000, p_tol=1e-12)
    assert basis_errors(found) == pytest.approx(told.bse, rel=1e-5)  # by an approximate fit


@pytest.mark.parametrize("loss", LOSSES)
def test_without_an_intercept_the_polynomial_is_0_at_0(loss):
    rng = np.random.default_rng(5)
    x = rng.uniform(1, 5, size=80)
    y = 2 * x - 0.5 * x**2 + 0.1 * rng.standard_t(2, size=80)
    found = polyreg.fit(x, y, degree=2, intercept=False, loss=loss)
    assert found(0.0) == pytest.approx(0, abs=1e-12)
    columns = np.column_stack([x, x**2])
    if loss == "l1":
        known = sm.QuantReg(y, columns).fit(q=0.5, max_iter=5000, p_tol=1e-10)
        assert found.coefficients == pytest.approx(known.params, rel=1e-4)
        return
    start = found.coefficients if loss == "bisquare" else None
    known = sm.RLM(y, columns, M=NORMS[loss]).fit(
        tol=1e-14, maxiter=2000, conv="coefs", start_params=start
    )
    assert found.coefficients == pytest.approx(known.params, rel=1e-9)
    assert found.std_errors == pytest.approx(known.bse, rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_where_half_of_the_rows_lie_on_a_polynomial_it_is_the_answer(loss):
    rng = np.random.default_rng(6)
    x = np.linspace(0, 10, 41)
    y = 1 + 2 * x - 0.3 * x**2
    wrong = rng.permutation(41)[:15]
    y[wrong] += 10 * rng.normal(size=15)
    found = polyreg.fit(x, y, degree=2, loss=loss)
    assert found.coefficients == pytest.approx([1, 2, -0.3], rel=1e-12)
    assert "26 of 41 rows lie on the polynomial" in found.notes[-1]
    assert np.isnan(found.std_errors).all() and np.isnan(found.noise_sd)
    assert not found.has_errors
    counts = found.diagnostics(x, y).robust_weight
    assert np.flatnonzero(counts == 0).tolist() == sorted(wrong)
    constant = polyreg.fit(x, np.full(41, 3.0), degree=1, loss=loss)
    assert constant.coefficients == pytest.approx([3, 0], abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_row_in_five_far_away_does_not_change_the_degree(loss):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = np.linspace(-1, 1, 200)
        y = 1 + x - 3 * x**3 + 0.1 * rng.normal(size=200)
        y[rng.permutation(200)[:40]] += 4 + 5 * rng.normal(size=40)
        found = polyreg.fit(x, y, degree="auto", max_degree=8, loss=loss)
        assert found.design.degree == 3, seed
        assert found.selection.chosen == 3 and found.loss == loss
        assert found.coefficients == pytest.approx([1, 1, 0, -3], abs=0.3)
        alone = polyreg.fit(x, y, degree=3, loss=loss)
        assert found.predict(x) == pytest.approx(alone.predict(x), abs=1e-9)
    assert polyreg.fit(x, y, degree="auto", max_degree=8).design.degree != 3


@pytest.mark.parametrize("loss", LOSSES)
def test_files_frames_and_both_precisions_have_the_same_fit(loss, tmp_path):
    x, y, degree = data("easy")
    frame = pd.DataFrame({"x": x, "y": y})
    frame.to_csv(tmp_path / "t.csv", index=False)
    of_arrays = polyreg.fit(x, y, degree=degree, loss=loss)
    for table in (frame, tmp_path / "t.csv"):
        for precision in ("fast", "certified"):
            found = polyreg.fit(table, target="y", degree=degree, loss=loss, precision=precision)
            assert found.coefficients == pytest.approx(of_arrays.coefficients, rel=1e-11)
            assert found.std_errors == pytest.approx(of_arrays.std_errors, rel=1e-9)
            assert found.precision == precision


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_written_predicts_as_the_result_does(loss):
    x, y, degree = data("easy")
    found = polyreg.fit(x, y, degree=degree, loss=loss)
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    loaded, predictor = Result.from_dict(written), Predictor(written)
    frame = pd.DataFrame({"x": [0.5, 3.0, 12.0]})
    for interval in ("confidence", "prediction"):
        told = np.stack(found.predict(frame, interval))
        assert np.array_equal(np.stack(loaded.predict(frame, interval)), told)
        served = predictor.predict(frame, interval, "pointwise")
        assert np.stack([served.prediction, served.low, served.high]) == pytest.approx(told)
    assert loaded.loss == loss and np.array_equal(loaded.std_errors, found.std_errors)
    assert pickle.loads(pickle.dumps(found)).loss == loss


@pytest.mark.parametrize("count", [1000, 1001])
@pytest.mark.parametrize("sample", ["near", "far below", "far above"])
def test_the_median_of_a_stream_is_exact_whatever_the_sample(count, sample, monkeypatch):
    monkeypatch.setattr(influence, "KEPT", 10)
    values = np.random.default_rng(7).normal(size=count)
    near = {"near": np.abs(values[:300]), "far below": np.full(9, 1e-9)}.get(sample, np.full(9, 9))
    parts = np.array_split(values, 7)
    found = influence.median_size(lambda: iter(parts), count, near)
    assert found == pytest.approx(np.median(np.abs(values)), rel=1e-15)


def problem_of(x, y, **options):
    table = InMemory([x], y)
    config = FitConfig(data="memory", target="y", **options)
    return Problem.of(Passes(table).survey(0), table.names, config, "cpu"), Passes(table)


def test_what_no_robust_fit_can_have_is_refused():
    x, y, degree = data("easy")
    with pytest.raises(PolyregError, match="loss huber and weights 1/y both weigh by the fit"):
        polyreg.fit(x + 1, np.abs(y) + 1, degree=1, loss="huber", weights="1/y")
    with pytest.raises(PolyregError, match="loss l1 takes no ridge"):
        polyreg.fit(x, y, loss="l1", ridge=0.1)
    many = np.linspace(0, 1, 100_001)
    with pytest.raises(PolyregError, match="l1 has at most 100,000 rows, got 100,001"):
        polyreg.fit(many, many, degree=1, loss="l1")
    problem, passes = problem_of(x, y, degree=degree, loss="huber")
    with pytest.raises(Refused, match="needs the median of the residuals"):
        run(problem, passes.sums)  # as a cluster has it


def test_ridge_leaves_no_errors():
    x, y, degree = data("easy")
    found = polyreg.fit(x, y, degree=degree, loss="huber", ridge=0.1)
    assert np.isnan(found.std_errors).all()
    assert any("ridge biases" in note for note in found.notes)
