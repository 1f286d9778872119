"""Known uncertainties, weight functions and bands, against the literature and other packages."""

import json
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import polyreg
from polyreg.errors import PolyregError
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result
from tests.support import oracle
from tests.support.designs import matrix_at

X = np.arange(1.0, 7.0)
EQUAL = [3.3, 5.6, 7.1, 9.3, 10.7, 12.1]  # ISO/TS 28037:2010, 6.3, u(y) = 0.5
UNEQUAL, U = [3.2, 4.3, 7.6, 8.6, 11.7, 12.8], [0.5, 0.5, 0.5, 1.0, 1.0, 1.0]
UNKNOWN = [3.014, 5.225, 7.004, 9.061, 11.201, 12.762]


def test_known_equal_uncertainties_give_the_standards_line():
    found = polyreg.fit(X, EQUAL, degree=1, sigma=np.full(6, 0.5))
    assert found.coefficients == pytest.approx([1.866667, 1.757143], abs=5e-7)
    assert found.std_errors == pytest.approx([0.465475, 0.119523], abs=5e-7)
    assert found.covariance()[0, 1] == pytest.approx(-0.05, abs=1e-12)
    assert (found.chi2, found.df_resid) == (pytest.approx(1.664762, abs=5e-7), 4)
    assert found.reduced_chi2 == found.chi2 / 4
    assert found.chi2_p == pytest.approx(stats.chi2.sf(found.chi2, 4), rel=1e-12)
    assert found.uncertainties == "known" and found.weighted_by == "sigma"


def test_a_new_x_has_its_own_uncertainty():
    found = polyreg.fit(X, EQUAL, degree=1, sigma=np.full(6, 0.5))
    y, low, high = found.predict(3.5, "confidence", sigma_x=0.2)
    assert y == pytest.approx(8.016667, abs=5e-7)
    assert (high - low) / 2 / found.quantile() == pytest.approx(0.406410, abs=5e-7)


def test_known_unequal_uncertainties_give_the_standards_line():
    found = polyreg.fit(X, UNEQUAL, degree=1, sigma=U)
    assert found.coefficients == pytest.approx([0.885232, 2.056962], abs=5e-7)
    assert found.std_errors == pytest.approx([0.529708, 0.177892], abs=5e-7)
    assert found.covariance()[0, 1] == pytest.approx(-0.082278, abs=5e-7)
    assert found.chi2 == pytest.approx(4.130802, abs=5e-7)


def test_unknown_uncertainties_give_the_standards_line_with_students_t():
    found = polyreg.fit(X, UNKNOWN, degree=1)
    assert found.coefficients == pytest.approx([1.172, 1.963571], abs=5e-7)
    assert found.std_errors == pytest.approx([0.158875, 0.040795], abs=5e-7)
    assert found.uncertainties == "estimated"
    assert math.isnan(found.chi2) and math.isnan(found.chi2_p) and math.isnan(found.reduced_chi2)
    assert found.quantile() == pytest.approx(stats.t.ppf(0.975, 4), rel=1e-12)


@pytest.mark.parametrize("name", ["Norris", "Pontius", "Wampler4", "Filip"])
def test_errors_are_those_of_weighted_least_squares_of_fixed_scale(name):
    """In the basis where float64 can say it: its columns are near orthogonal."""
    x, y, degree = nist(name)
    sigma = np.random.default_rng(1).uniform(0.5, 2, len(y))
    found = polyreg.fit(x, y, degree=degree, sigma=sigma)
    q = matrix_at(found, x)
    known = sm.WLS(y, q, weights=sigma**-2).fit(cov_type="fixed scale")
    grid = np.linspace(x.min(), x.max(), 50)
    _, low, high = found.predict(grid, "confidence", level=0.9)
    told = known.get_prediction(matrix_at(found, grid)).summary_frame(alpha=0.1)
    scale = np.abs(y).max()
    assert np.abs(low - told.mean_ci_lower).max() < 1e-9 * scale
    assert np.abs(high - told.mean_ci_upper).max() < 1e-9 * scale
    near = 1e-9 * max(1.0, (y**2 / sigma**2).sum() * 1e-5)
    assert found.chi2 == pytest.approx(float(known.ssr), rel=1e-9, abs=near)


def nist(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    data = oracle.read_nist(name)
    return np.array(data.columns[0], float), np.array(data.y, float), max(map(max, data.exponents))


def test_certified_coefficients_are_those_of_the_inverse_squares_in_rationals():
    """1/u^2 as it is, not as float64 rounds it."""
    rng = np.random.default_rng(4)
    x, y, sigma = 2000 + np.arange(20.0), rng.normal(size=20), rng.uniform(1e-3, 1, 20)
    found = polyreg.fit(x, y, degree=3, sigma=sigma, precision="certified")
    exact = rational(x, y, [1 / Fraction(s) ** 2 for s in sigma.tolist()], 3)
    assert found.coefficients.tolist() == [float(c) for c in exact]


def test_certified_weights_of_x_are_inverse_powers_in_rationals():
    rng = np.random.default_rng(5)
    x, y = rng.uniform(1, 1e4, 20), rng.normal(size=20)
    for power in (1, 2):
        function = "1/x" if power == 1 else "1/x^2"
        found = polyreg.fit(x, y, degree=3, weights=function, precision="certified")
        exact = rational(x, y, [1 / Fraction(v) ** power for v in x.tolist()], 3)
        assert found.coefficients.tolist() == [float(c) for c in exact], function


def rational(x, y, weights: list[Fraction], degree: int) -> list[Fraction]:
    """Weighted least squares by Gauss-Jordan in rationals."""
    xs, ys = [Fraction(v) for v in x.tolist()], [Fraction(v) for v in y.tolist()]
    rows = list(zip(xs, ys, weights, strict=True))
    system = [
        [sum(w * v ** (j + k) for v, _, w in rows) for k in range(degree + 1)]
        + [sum(w * v**j * t for v, t, w in rows)]
        for j in range(degree + 1)
    ]
    for j in range(degree + 1):
        system[j] = [a / system[j][j] for a in system[j]]
        for i in range(degree + 1):
            if i != j:
                factor = system[i][j]
                system[i] = [a - factor * b for a, b in zip(system[i], system[j], strict=True)]
    return [row[-1] for row in system]


def test_files_and_arrays_and_frames_know_the_same_uncertainties(tmp_path):
    frame = pd.DataFrame({"u": U, "y": UNEQUAL, "x": X})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    of_arrays = polyreg.fit(X, UNEQUAL, degree=1, sigma=U)
    found = [
        polyreg.fit(data, target="y", sigma="u", degree=1, precision=precision)
        for data in (frame, tmp_path / "t.csv", tmp_path / "t.parquet")
        for precision in ("certified", "fast")
    ]
    for one in found:
        assert one.coefficients == pytest.approx(of_arrays.coefficients, rel=1e-13)
        assert one.std_errors == pytest.approx(of_arrays.std_errors, rel=1e-13)
        assert one.weighted_by == "u" and one.variables == ("x",)


def test_an_interval_of_a_new_y_needs_its_own_uncertainty():
    frame = pd.DataFrame({"x": X, "y": UNEQUAL, "u": U})
    found = polyreg.fit(frame, target="y", sigma="u", degree=1)
    with pytest.warns(UserWarning, match="in the column u"):
        assert np.isnan(found.predict(X, "prediction")[1]).all()
    _, low, high = found.predict(X, "prediction", sigma=2.0)
    _, below, above = found.predict(X, "confidence")
    z = stats.norm.ppf(0.975)
    assert (high - low) ** 2 == pytest.approx((above - below) ** 2 + (2 * z * 2) ** 2, rel=1e-12)
    by_column = found.predict(frame, "prediction")
    assert np.array_equal(by_column, found.predict(X, "prediction", sigma=np.array(U)))


def test_a_fit_through_as_many_points_as_terms_has_errors_where_uncertainties_are_known():
    found = polyreg.fit([0.0, 1.0], [1.0, 3.0], degree=1, sigma=[0.1, 0.1])
    assert found.std_errors == pytest.approx([0.1, 0.1 * math.sqrt(2)], rel=1e-12)
    assert math.isnan(found.chi2_p) and found.df_resid == 0
    assert "chi2 0 on 0" in repr(found)


@pytest.mark.parametrize(
    "factor, said", [(0.2, "further from the polynomial"), (200.0, "closer to the polynomial")]
)
def test_a_chi2_that_is_hard_to_believe_is_a_note(factor, said):
    found = polyreg.fit(X, EQUAL, degree=1, sigma=np.full(6, 0.5 * factor))
    assert [note for note in found.notes if said in note], found.notes
    assert not polyreg.fit(X, EQUAL, degree=1, sigma=np.full(6, 0.5)).notes


def test_a_summary_has_chi2_in_place_of_the_residual_sd_and_z_in_place_of_t():
    told = polyreg.fit(X, EQUAL, degree=1, sigma=np.full(6, 0.5)).summary()
    for word in ("Chi2:", "P(>chi2):", "Reduced chi2:", "P>|z|", "not scaled by the residuals"):
        assert word in told, word
    assert "Residual SD" not in told
    assert "Residual SD" in polyreg.fit(X, EQUAL, degree=1).summary()


@pytest.mark.parametrize("function", ["1/x", "1/x^2", "1/y", "1/y^2"])
def test_a_weight_function_is_weighted_least_squares_by_x_or_by_the_fit_itself(function):
    rng = np.random.default_rng(2)
    x = np.linspace(1, 20, 40)
    y = (3 + 2 * x) * (1 + 0.1 * rng.normal(size=40))
    found = polyreg.fit(x, y, degree=1, weights=function)
    values = x if "x" in function else found.predict(x)
    weights = values**-2 if function.endswith("2") else 1 / values
    known = sm.WLS(y, sm.add_constant(x), weights=weights).fit()
    assert found.coefficients == pytest.approx(known.params, rel=1e-10)
    assert found.std_errors == pytest.approx(known.bse, rel=1e-10)
    assert found.bic == pytest.approx(known.bic, rel=1e-10)
    assert found.weight_function == function and found.weighted_by is None
    grid = np.array([0.5, 2.0, 30.0])
    at = grid if "x" in function else found.predict(grid)
    weight = at**-2 if function.endswith("2") else 1 / at
    told = known.get_prediction(sm.add_constant(grid), weights=weight).summary_frame()
    assert found.predict(grid, "prediction")[1] == pytest.approx(told.obs_ci_lower, rel=1e-9)
    assert found.predict(grid, "confidence")[2] == pytest.approx(told.mean_ci_upper, rel=1e-9)


def test_a_weight_function_chooses_the_degree_as_its_column_would():
    rng = np.random.default_rng(3)
    x = np.linspace(1, 20, 60)
    y = (3 + 2 * x + 0.2 * x**2) * (1 + 0.05 * rng.normal(size=60))
    by_column = polyreg.fit(x, y, degree="auto", max_degree=5, weights=x**-2)
    by_function = polyreg.fit(x, y, degree="auto", max_degree=5, weights="1/x^2")
    assert by_function.coefficients == pytest.approx(by_column.coefficients, rel=1e-9)
    assert by_function.selection.mse == pytest.approx(by_column.selection.mse, rel=1e-9)
    assert polyreg.fit(x, y, degree="auto", max_degree=5, weights="1/y^2").design.degree == 2


REFUSED = {
    "a sigma of 0": (dict(sigma=[0.5, 0.5, 0.0, 1, 1, 1]), "the uncertainty in row 3 .* is 0"),
    "a sigma below 0": (dict(sigma=[-0.5, 0.5, 1, 1, 1, 1]), "is -0.5 and must be positive"),
    "a sigma that is missing": (dict(sigma=[math.nan, 0.5, 1, 1, 1, 1]), "row 1 .*missing"),
    "sigma and weights": (dict(sigma=U, weights=U), "sigma .* weights .* give one"),
    "too few of sigma": (dict(sigma=[0.5]), "sigma has 1"),
    "another function": (dict(weights="1/x^3"), "weights='1/x.3' names a column"),
}


@pytest.mark.parametrize("given, said", REFUSED.values(), ids=REFUSED)
def test_what_is_no_uncertainty_is_refused_with_row_and_value(given, said):
    with pytest.raises(PolyregError, match=said):
        polyreg.fit(X, UNEQUAL, degree=1, **given)


@pytest.mark.parametrize(
    "x, y, function, said",
    [
        ([0.0, 1, 2, 3], [1.0, 2, 3, 4], "1/x", "needs x above 0 in every row, .* from 0 to 3"),
        ([-1.0, 1, 2, 3], [1.0, 2, 3, 4], "1/x^2", "x above 0 in every row, .* from -1 to 3"),
        ([0.0, 1, 2, 3], [-1.0, 2, 5, 8], "1/y", "needs a fit above 0 over the rows"),
    ],
)
def test_a_weight_function_where_it_has_no_value_is_refused(x, y, function, said):
    with pytest.raises(PolyregError, match=said):
        polyreg.fit(x, y, degree=1, weights=function)
    with pytest.raises(PolyregError, match="is of one variable, and there are 2"):
        polyreg.fit(np.column_stack([x, y]), y, degree=1, weights=function)


@pytest.mark.parametrize("kind", ["estimated", "known"])
def test_a_simultaneous_band_is_workings_and_hotellings(kind):
    sigma = np.full(6, 0.5) if kind == "known" else None
    found = polyreg.fit(X, EQUAL, degree=2, sigma=sigma)
    _, low, high = found.predict(X, "confidence", level=0.9)
    _, below, above = found.predict(X, "confidence", level=0.9, band="simultaneous")
    if kind == "known":
        ratio = math.sqrt(stats.chi2.ppf(0.9, 3)) / stats.norm.ppf(0.95)
    else:
        ratio = math.sqrt(3 * stats.f.ppf(0.9, 3, 3)) / stats.t.ppf(0.95, 3)
    assert (above - below) / (high - low) == pytest.approx(np.full(6, ratio), rel=1e-12)
    with pytest.raises(PolyregError, match="is one of the mean"):
        found.predict(X, "prediction", band="simultaneous")
    with pytest.raises(PolyregError, match="band must be one of"):
        found.predict(X, "confidence", band="wide")


KINDS = {
    "known": dict(sigma=U),
    "1/x": dict(weights="1/x"),
    "1/x^2": dict(weights="1/x^2"),
    "1/y": dict(weights="1/y"),
    "1/y^2": dict(weights="1/y^2"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_predictor_and_what_was_loaded_say_what_the_result_does(kind):
    found = polyreg.fit(X, UNEQUAL, degree=2, **KINDS[kind])
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    loaded, predictor = Result.from_dict(written), Predictor(written)
    frame = pd.DataFrame({"x": [0.5, 3.0, 8.0], "sigma": [0.1, 0.5, 1.0]})
    for interval, band in (
        ("prediction", "pointwise"),
        ("confidence", "pointwise"),
        ("confidence", "simultaneous"),
    ):
        told = found.predict(frame, interval, band=band)
        assert np.array_equal(loaded.predict(frame, interval, band=band), told)
        served = predictor.predict(frame, interval, band)
        assert np.stack([served.prediction, served.low, served.high]) == pytest.approx(
            np.stack(told), rel=1e-12
        )
    assert loaded.summary() == found.summary()
    assert (loaded.chi2_p, loaded.uncertainties) == (
        pytest.approx(found.chi2_p, nan_ok=True),
        found.uncertainties,
    )


def test_the_predictor_refuses_a_band_that_is_none():
    predictor = Predictor(polyreg.fit(X, EQUAL, degree=1).to_dict())
    for asked in (("confidence", "wide"), ("prediction", "simultaneous")):
        with pytest.raises(ValueError, match="band must be one of pointwise, simultaneous"):
            predictor.predict(pd.DataFrame({"x": X}), *asked)
