"""x from y, against worked examples of the literature, the definition and the predictor."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq

import polyreg
from polyreg.errors import PolyregError
from polyreg.inference.inversion import inverted_frame
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result

MASSART = np.arange(0, 51, 10.0)  # Massart et al., Handbook of Chemometrics, examples 7 and 8
WEIGHED = [
    [4, 3, 4, 5, 4], [22, 20, 21, 22, 21], [44, 46, 45, 44, 44],
    [60, 63, 60, 63, 63], [75, 81, 79, 78, 77], [104, 109, 107, 101, 105],
]  # fmt: skip
# The R package investr: arsenic of known concentration, crystals by weeks.
ARSENIC = [
    0.17, 0.25, 0.01, 0.12, 1.25, 0.86, 1.25, 1.1, 2.01, 2.03, 2.14, 1.74, 3.18, 2.99, 3.23, 3.37,
    3.91, 3.9, 3.61, 4.27, 4.88, 5.33, 4.96, 4.98, 6.09, 6.17, 6.07, 5.97, 6.67, 7.02, 7.14, 7.3,
]  # fmt: skip
CRYSTAL = [
    0.08, 1.12, 4.43, 4.98, 4.92, 7.18, 5.57, 8.4, 8.81, 10.81, 11.16, 10.12, 13.12, 15.04,
]  # fmt: skip


def test_known_uncertainties_give_the_standards_x():  # ISO/TS 28037:2010, 6.3
    x = np.arange(1.0, 7.0)
    equal = polyreg.fit(x, [3.3, 5.6, 7.1, 9.3, 10.7, 12.1], degree=1, sigma=np.full(6, 0.5))
    found = equal.inverse(10.5, sigma=0.5)
    assert (found.x, found.std_error) == (
        pytest.approx(4.913279, abs=5e-7),
        pytest.approx(0.322036, abs=5e-7),
    )
    unequal = polyreg.fit(
        x, [3.2, 4.3, 7.6, 8.6, 11.7, 12.8], degree=1, sigma=[0.5, 0.5, 0.5, 1, 1, 1]
    )
    found = unequal.inverse(10.5, sigma=1.0)
    assert (round(found.x, 3), round(found.std_error, 3)) == (4.674, 0.533)


def test_arsenic_has_investrs_intervals():
    fit = polyreg.fit(np.repeat(np.arange(8.0), 4), ARSENIC, degree=1)
    found = fit.inverse(3, level=0.9)
    assert [round(v, 4) for v in (found.x, found.low, found.high)] == [2.9314, 2.6035, 3.2587]
    found = fit.inverse(3, "delta", level=0.9)
    assert [round(v, 4) for v in (found.low, found.high)] == [2.6040, 3.2589]
    assert round(found.std_error, 4) == 0.1929


def test_crystals_have_investrs_regulation():
    fit = polyreg.fit(np.arange(2, 29, 2.0), CRYSTAL, degree=1)
    found = fit.inverse(5, "mean", level=0.9)
    assert [round(v, 2) for v in (found.x, found.low, found.high)] == [9.93, 8.65, 11.05]
    assert found.std_error == pytest.approx(0.6658998, abs=5e-8)
    assert fit.inverse(5).std_error == pytest.approx(2.211698, abs=5e-7)


def test_one_reading_and_five_have_massarts_errors():
    fit = polyreg.fit(MASSART, [4, 21.2, 44.6, 61.8, 78, 105.2], degree=1)
    found = fit.inverse([15, 90], "delta")
    assert found.x == pytest.approx([6.09381, 43.93983], abs=5e-6)
    assert found.std_error[0] == pytest.approx(1.767278, abs=5e-7)
    assert found.high - found.x == pytest.approx([4.906751, 4.908053], abs=5e-7)
    five = fit.inverse(90, "delta", replicates=5)
    assert five.std_error == pytest.approx(1.141204, abs=5e-7)
    assert five.high - five.x == pytest.approx(3.168489, abs=5e-7)
    both = fit.inverse([90, 90], "delta", replicates=[1, 5])
    assert both.std_error == pytest.approx([found.std_error[1], five.std_error], rel=1e-14)


def test_weighted_readings_have_massarts_errors():
    rows = np.array(WEIGHED, dtype=float)
    weights = [round(1 / round(s, 2) ** 2, 3) for s in rows.std(1, ddof=1).tolist()]
    fit = polyreg.fit(MASSART, rows.mean(1), degree=1, weights=weights)
    found = fit.inverse([15, 90], "delta", weights=[1.67, 0.145])
    assert found.x == pytest.approx([5.865367, 44.06025], abs=5e-6)
    assert found.std_error == pytest.approx([0.8926109, 2.829162], abs=5e-7)
    assert found.high - found.x == pytest.approx([2.478285, 7.855012], abs=5e-7)


def rising(sign: int = 1, **options) -> Result:
    rng = np.random.default_rng(3)
    x = np.linspace(1, 9, 40)
    y = sign * (2 + x + 0.05 * x**3 / 9 + 0.1 * rng.normal(size=40))
    return polyreg.fit(x, y, degree=3, **options)


FITS = {
    "rising": {},
    "falling": {"sign": -1},
    "weights 1/x": {"weights": "1/x"},
    "weights 1/y^2": {"weights": "1/y^2"},
    "sigma": {"sigma": np.linspace(0.1, 0.3, 40)},
}


@pytest.mark.parametrize("interval", ["prediction", "mean"])
@pytest.mark.parametrize("kind", FITS)
def test_bounds_are_where_the_band_reaches_the_reading(kind, interval):
    """By scipy's root finder on Result.predict, one reading at a time."""
    fit = rising(**FITS[kind])
    assert fit.monotone
    given = {"sigma": 0.2} if kind == "sigma" and interval == "prediction" else {}
    y = np.quantile(fit.predict(np.linspace(1, 9, 50)), [0.1, 0.4, 0.8])
    found = fit.inverse(y, interval, level=0.9, **given)
    band = "confidence" if interval == "mean" else "prediction"
    for k, reading in enumerate(y.tolist()):
        assert fit.predict(found.x[k]) == pytest.approx(reading, rel=1e-14)
        for bound, side in ((found.low[k], 2), (found.high[k], 1)):
            column = side if fit.pieces[0].rises > 0 else 3 - side

            def gap(x, column=column, reading=reading):
                return fit.predict(np.array([x]), band, level=0.9, **given)[column][0] - reading

            lost = (
                (max(found.x[k] - 3, 1e-3), found.x[k])
                if side == 2
                else (found.x[k], found.x[k] + 3)
            )
            assert bound == pytest.approx(brentq(gap, *lost, xtol=1e-14), rel=1e-11)


@pytest.mark.parametrize("sign", [1, -1])
def test_readings_with_noise_of_their_own_are_as_those_that_share_it(sign):
    fit = rising(sign)
    y = sign * np.linspace(3, 10, 8)
    own = fit.noise_sd * (1 + 1e-12 * np.arange(8))
    shared, each = fit.inverse(y), fit.inverse(y, sigma=own)
    assert each.low == pytest.approx(shared.low, rel=1e-10)
    assert each.high == pytest.approx(shared.high, rel=1e-10)


def test_a_bound_that_does_not_exist_is_infinite():
    x = np.arange(6.0)
    y = [0.0, 1.5, -1.0, 1.2, 0.4, 1.6]  # a slope that cannot be told from 0
    found = polyreg.fit(x, y, degree=1).inverse([0.8], "prediction")
    assert found.low == [-math.inf] and found.high == [math.inf] and found.unbounded == 1
    assert np.isfinite(found.x) and np.isfinite(found.std_error)


def test_what_a_polynomial_does_not_come_to_is_nan_and_what_is_outside_is_told():
    x = np.linspace(0, 1, 20)
    fit = polyreg.fit(x, x**2 + 0.001 * np.sin(9 * x), degree=2)
    found = fit.inverse([-5.0, 0.5, 1.5, math.nan], branch=len(fit.pieces))
    assert np.isnan(found.x).tolist() == [True, False, False, True]
    assert found.extrapolated.tolist() == [False, False, True, False]
    assert np.isnan(found.low).tolist() == np.isnan(found.std_error).tolist()


def test_a_branch_chooses_where_a_polynomial_turns():
    x = np.linspace(-1, 3, 30)
    fit = polyreg.fit(x, (x - 1) ** 2 + 0.001 * np.cos(7 * x), degree=2)
    with pytest.raises(PolyregError, match=r"choose its branch: 1 \(falling .* 2 \(rising"):
        fit.inverse(1.0)
    left, right = (fit.inverse(1.0, branch=b) for b in (1, 2))
    assert left.x < fit.turning_points[0] < right.x
    assert fit.predict(left.x) == pytest.approx(1.0) == fit.predict(right.x)
    with pytest.raises(PolyregError, match=r"branch must be one of .* got 3"):
        fit.inverse(1.0, branch=3)


def test_without_errors_x_alone_is_known():
    found = Result.trained(np.array([1.0, 2.0]), "monomial", (-1.0, 1.0), 1.0).inverse([2.0])
    assert found.x == [0.5] and np.isnan([found.low, found.high, found.std_error]).all()


def test_a_reading_after_a_fit_with_uncertainties_needs_its_own():
    fit = rising(sigma=np.full(40, 0.1))
    with pytest.warns(UserWarning, match="interval mean"):
        assert np.isnan(fit.inverse([5.0]).low).all()
    assert np.isfinite(fit.inverse([5.0], "mean").low).all()


REFUSED = {
    "a constant": (dict(degree=0), {}, "a constant has no inverse"),
    "another interval": ({}, dict(interval="wide"), "interval must be one of prediction, mean"),
    "a level of 1": ({}, dict(level=1.0), "level must be between 0 and 1"),
    "no replicates": ({}, dict(replicates=0), "replicates must be finite and above 0; got 0"),
    "sigma below 0": ({}, dict(sigma=-1), "sigma must be finite and 0 or more; got -1"),
    "two statements": ({}, dict(sigma=1, weights=1), "give one"),
    "sigma beside 1/x": (dict(weights="1/x"), dict(sigma=1), "leave out sigma"),
}


@pytest.mark.parametrize("options, asked, said", REFUSED.values(), ids=REFUSED)
def test_what_has_no_inverse_is_refused(options, asked, said):
    x = np.arange(1.0, 9.0)
    fit = polyreg.fit(x, 2 * x + np.cos(x), **{"degree": 1} | options)
    with pytest.raises(PolyregError, match=said):
        fit.inverse([5.0], **asked)


def test_several_variables_have_no_inverse():
    x = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(PolyregError, match="this fit has several: x1, x2"):
        polyreg.fit(x, x.sum(1), degree=1).inverse(1.0)


@pytest.mark.parametrize("interval", ["prediction", "mean", "delta"])
@pytest.mark.parametrize("kind", FITS)
def test_the_predictor_inverts_as_the_result_does(kind, interval):
    fit = rising(**FITS[kind])
    document = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    frame = pd.DataFrame({"y": fit.predict(np.array([0.5, 2.0, 8.0])), "sigma": [0.1, 0.2, 0.3]})
    given = {"sigma": frame.sigma.to_numpy()} if kind == "sigma" else {}
    mine = fit.inverse(frame.y.to_numpy(), interval, **given)
    theirs = inverted_frame(Predictor(document), frame, interval)
    for name in ("x", "low", "high", "std_error"):
        assert theirs[name].to_numpy() == pytest.approx(getattr(mine, name), rel=1e-10), name
    assert theirs.extrapolated.tolist() == mine.extrapolated.tolist() == [True, False, False]


def test_back_calculated_errors_are_percent_of_x_and_their_mean_that_of_replicates():
    x = np.repeat([0.0, 1.0, 2.0, 4.0], 3)
    y = 1 + 2 * x + np.tile([-0.1, 0.0, 0.2], 4)
    fit = polyreg.fit(x, y, degree=1, weights=np.linspace(1, 2, 12))
    found = fit.back_calculated(x, y)
    back = (y - fit.coefficients[0]) / fit.coefficients[1]
    assert found.found.to_numpy() == pytest.approx(back, rel=1e-12)
    assert found.error.isna().tolist() == [True] * 3 + [False] * 9
    assert found.error[3:].to_numpy() == pytest.approx(100 * (back[3:] / x[3:] - 1), rel=1e-10)
    assert found.mean_found.to_numpy() == pytest.approx(np.repeat(back.reshape(4, 3).mean(1), 3))


def test_a_million_readings_are_inverted_together():
    fit = rising()
    y = np.linspace(3, 10, 10**6)
    found = fit.inverse(y)
    assert np.abs(fit.predict(found.x) - y).max() < 1e-13 and not found.unbounded
    assert (np.diff(found.low) > 0).all() and (found.low < found.x).all()


def test_no_bound_within_the_domain_is_missed():
    rng, found = np.random.default_rng(11), 0
    for _ in range(60):
        x, c = np.sort(rng.uniform(0, 5, 12)), rng.uniform(0.3, 1, 2)
        y = c[0] * x + c[1] * x**3 / 9 + rng.normal(size=12) * rng.uniform(0.04, 0.6)
        fit = polyreg.fit(x, y, degree=3)
        if not fit.monotone:
            continue
        V = np.vander(x, 4, increasing=True)
        C, b = np.linalg.inv(V.T @ V), np.linalg.lstsq(V, y, rcond=None)[0]
        s, t = np.sqrt(((y - V @ b) ** 2).sum() / 8), stats.t.ppf(0.975, 8)
        for reading in fit(np.array([0.8, 1.5, 2.5, 3.5, 4.3])):
            back = fit.inverse(float(reading))
            for side, bound, end in ((-1, back.low, x[0]), (1, back.high, x[-1])):
                z = np.linspace(back.x, end, 4001)
                Q = np.vander(z, 4, increasing=True)
                half = t * s * np.sqrt(1 + ((Q @ C) * Q).sum(axis=1))
                away = side * (Q @ b - reading) - half
                crossed = np.flatnonzero((away[1:] >= 0) & (away[:-1] < 0))
                if x[0] <= back.x <= x[-1] and len(crossed):
                    found += 1
                    assert abs(bound - z[crossed[0]]) <= 2 * abs(z[1] - z[0])
    assert found > 100
