"""Fits of functions of columns: statsmodels' numbers, and answers in the columns' quantities."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import polyreg
from polyreg.errors import PolyregError
from polyreg.inference.breaks import described
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result

RNG = np.random.default_rng(3)
N = 60
X = RNG.uniform(1, 4, N)
LINE = 5 + 0.8 * X
FORWARD = {
    "log({})": (np.log, np.exp),
    "log10({}+1)": (lambda v: np.log10(v + 1), lambda z: 10**z - 1),
    "exp({})": (np.exp, np.log),
    "sqrt({})": (np.sqrt, np.square),
    "square({}-0.5)": (lambda v: (v - 0.5) ** 2, lambda z: np.sqrt(z) + 0.5),
    "1/{}": (lambda v: 1 / v, lambda z: 1 / z),
    "1/({}+273.15)": (lambda v: 1 / (v + 273.15), lambda z: 1 / z - 273.15),
    "{}-273.15": (lambda v: v - 273.15, lambda z: z + 273.15),
}
FALLING = ("1/{}", "1/({}+273.15)")
AT = np.array([1.5, 2.25, 3.75])


def frame_of(form: str, noise: float = 0.02) -> pd.DataFrame:
    """Rows (x, y) whose function of y is near a line in that of x."""
    y = LINE / 3 + noise * RNG.standard_normal(N)
    return pd.DataFrame({"x": X, "y": y, "s": 0.01 + 0.01 * X})


@pytest.mark.parametrize("form", FORWARD)
def test_of_a_feature_the_fit_is_that_of_the_transformed_column(form):
    frame, f = frame_of(form), FORWARD[form][0]
    found = polyreg.fit(frame, target="y", features=[form.format("x")], degree=2)
    z = f(X)
    scale = z.std()  # statsmodels needs a basis in which float64 can say it
    t = (z - z.mean()) / scale
    known = sm.OLS(frame.y, np.stack([np.ones(N), t, t**2], axis=1)).fit()
    told = known.get_prediction(
        np.stack([np.ones(3), ta := (f(AT) - z.mean()) / scale, ta**2], axis=1)
    ).summary_frame()
    value, low, high = found.predict(AT, "prediction")
    np.testing.assert_allclose(value, told["mean"], rtol=1e-9)
    np.testing.assert_allclose(low, told["obs_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(high, told["obs_ci_upper"], rtol=1e-9)
    np.testing.assert_allclose(found.residual_sd, np.sqrt(known.scale), rtol=1e-9)
    np.testing.assert_allclose(found.coefficients[2] * scale**2, known.params.iloc[2], rtol=1e-9)
    np.testing.assert_allclose(found.std_errors[2] * scale**2, known.bse.iloc[2], rtol=1e-9)
    np.testing.assert_array_equal(found.extrapolated([0.5, *AT]), [True, False, False, False])


@pytest.mark.parametrize("form", FORWARD)
def test_of_a_target_predictions_and_bounds_come_back(form):
    frame, (h, back) = frame_of(form), FORWARD[form]
    found = polyreg.fit(frame, target=form.format("y"), features=["x"], degree=1)
    known = sm.OLS(h(frame.y), sm.add_constant(X)).fit()
    told = known.get_prediction(sm.add_constant(AT)).summary_frame()
    np.testing.assert_allclose(found.coefficients, known.params, rtol=1e-9)
    np.testing.assert_allclose(found.std_errors, known.bse, rtol=1e-9)
    np.testing.assert_allclose(found.r2, known.rsquared, rtol=1e-9)
    for interval, name in (("prediction", "obs_ci"), ("confidence", "mean_ci")):
        value, low, high = found.predict(AT, interval)
        ends = back(told[f"{name}_lower"]), back(told[f"{name}_upper"])
        np.testing.assert_allclose(value, back(told["mean"]), rtol=1e-9)
        np.testing.assert_allclose(low, ends[1] if form in FALLING else ends[0], rtol=1e-9)
        np.testing.assert_allclose(high, ends[0] if form in FALLING else ends[1], rtol=1e-9)
        assert (low < value).all() and (value < high).all()
    assert found(2.0) == pytest.approx(back(known.params @ [1, 2.0]), rel=1e-9)
    is_linear = form == "{}-273.15"
    assert any("are its median, not its mean" in note for note in found.notes) != is_linear


@pytest.mark.parametrize("x_form", FORWARD)
@pytest.mark.parametrize("y_form", ["{}", "log({})", "1/{}"])
def test_x_from_y_comes_back_in_its_column(x_form, y_form):
    frame = frame_of(x_form)
    found = polyreg.fit(frame, target=y_form.format("y"), features=[x_form.format("x")], degree=1)
    y = found.predict(AT)
    back = found.inverse(y)
    np.testing.assert_allclose(back.x, AT, rtol=1e-10)
    assert (back.low < AT).all() and (back.high > AT).all() and not back.extrapolated.any()
    # Where the band of the mean of y, at the bound, has the reading at its edge.
    mean = found.inverse(y, "mean")
    edges = [found.predict(bound, "confidence")[1:] for bound in (mean.low, mean.high)]
    for low, high in edges:
        nearest = np.minimum(np.abs(low - y), np.abs(high - y))
        np.testing.assert_allclose(nearest, 0, atol=1e-9)
    step = 1e-5 * AT
    slope = (found.predict(AT + step) - found.predict(AT - step)) / (2 * step)
    np.testing.assert_allclose(found.derivative(AT), slope, rtol=1e-6)
    f, h = FORWARD[x_form][0], FORWARD[y_form][0] if y_form in FORWARD else np.asarray
    fitted = found.as_fitted.inverse(h(y))
    slope = np.abs(f(AT + 1e-6) - f(AT - 1e-6)) / 2e-6
    np.testing.assert_allclose(back.std_error, fitted.std_error / slope, rtol=1e-6)


def test_an_interval_that_passes_the_pole_is_infinite():
    x = np.arange(1.0, 9.0)
    frame = pd.DataFrame({"x": x, "y": 1 / (0.5 * (-1.0) ** x + 0.11 * x)})
    found = polyreg.fit(frame, target="1/y", features=["x"], degree=1)
    value, low, high = found.predict([1.0, 8.0], "prediction")
    assert np.isfinite(value).all() and low[0] == -np.inf and high[0] == np.inf


@pytest.mark.parametrize("form", ["log({})", "1/({}+273.15)", "sqrt({})", "square({}-0.5)"])
def test_known_uncertainties_follow_to_first_order(form):
    frame, (h, back) = frame_of(form), FORWARD[form]
    found = polyreg.fit(frame, target=form.format("y"), features=["x"], degree=1, sigma="s")
    y, step = frame.y.to_numpy(), 1e-6
    slopes = np.abs(h(y + step) - h(y - step)) / (2 * step)
    u = frame.s.to_numpy() * slopes
    known = sm.WLS(h(y), sm.add_constant(X), weights=u**-2.0).fit(cov_type="fixed scale")
    np.testing.assert_allclose(found.coefficients, known.params, rtol=1e-6)
    np.testing.assert_allclose(found.std_errors, known.bse, rtol=1e-6)
    np.testing.assert_allclose(found.chi2, known.ssr, rtol=1e-5)
    exact = polyreg.fit({"x": X, "v": h(y), "u": frame.s / np.abs(_slope(form, y))},
                        target="v", features=["x"], degree=1, sigma="u")  # fmt: skip
    np.testing.assert_allclose(found.coefficients, exact.coefficients, rtol=1e-13)
    np.testing.assert_allclose(found.std_errors, exact.std_errors, rtol=1e-12)
    value, low, high = found.predict(AT, "prediction", sigma=0.03)
    own = 0.03 / np.abs(_slope(form, value))
    ends = exact.predict(AT, "prediction", sigma=own)[1:]
    np.testing.assert_allclose(np.sort(back(np.array(ends)), axis=0), [low, high], rtol=1e-12)
    told = Predictor(found.to_dict()).predict(pd.DataFrame({"x": AT, "s": 0.03}))
    np.testing.assert_allclose(
        told[["prediction", "low", "high"]].T, [value, low, high], rtol=1e-12
    )
    assert any("to first order" in note for note in found.notes)


def _slope(form: str, y: np.ndarray) -> np.ndarray:
    """1 / h'(y)"""
    return {
        "log({})": lambda v: v,
        "1/({}+273.15)": lambda v: -((v + 273.15) ** 2),
        "sqrt({})": lambda v: 2 * np.sqrt(v),
        "square({}-0.5)": lambda v: 0.5 / (v - 0.5),
    }[form](y)


def test_the_reading_of_an_inverse_has_its_own_uncertainty():
    frame = frame_of("log({})")
    found = polyreg.fit(frame, target="log(y)", features=["1/x"], degree=1, sigma="s")
    own = {"z": 1 / X, "v": np.log(frame.y), "u": frame.s / frame.y}
    fitted = polyreg.fit(own, target="v", features=["z"], degree=1, sigma="u")
    y = np.array([2.0, 2.5])
    back, z = found.inverse(y, sigma=0.04), fitted.inverse(np.log(y), sigma=0.04 / y)
    np.testing.assert_allclose(back.x, 1 / z.x, rtol=1e-12)
    np.testing.assert_allclose([back.low, back.high], [1 / z.high, 1 / z.low], rtol=1e-10)
    np.testing.assert_allclose(back.std_error, z.std_error * back.x**2, rtol=1e-10)


def test_uncertainties_of_x_and_a_covariance_follow_too():
    frame = frame_of("log({})").assign(u=0.02 * X, c=1e-5 * X)
    asked = {"degree": 1, "sigma": "s", "sigma_x": "u", "covariance": "c"}
    found = polyreg.fit(frame, target="1/y", features=["log(x)"], **asked)
    y = frame.y
    own = pd.DataFrame({"z": np.log(X), "v": 1 / y, "s": frame.s / y**2, "u": frame.u / X,
                        "c": -frame.c / X / y**2})  # fmt: skip
    fitted = polyreg.fit(own, target="v", features=["z"], **asked)
    np.testing.assert_allclose(found.coefficients, fitted.coefficients, rtol=1e-10)
    np.testing.assert_allclose(found.std_errors, fitted.std_errors, rtol=1e-9)
    np.testing.assert_allclose(found.chi2, fitted.chi2, rtol=1e-9)
    given = found.predict(AT, "confidence", sigma_x=0.1)
    expected = fitted.predict(np.log(AT), "confidence", sigma_x=0.1 / AT)
    np.testing.assert_allclose(given[1], 1 / expected[2], rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "huber", "degree": 2},
        {"loss": "l1", "degree": 1},
        {"ridge": 0.1, "degree": 2},
        {"degree": "auto", "max_degree": 5},
        {"degree": "auto", "criterion": "aicc", "max_degree": 5},
        {"degree": 2, "weights": "s"},
    ],
)
def test_every_kind_of_fit_takes_functions(options):
    frame = frame_of("log({})")
    found = polyreg.fit(frame, target="log(y)", features=["sqrt(x)"], **options)
    own = pd.DataFrame({"z": np.sqrt(X), "v": np.log(frame.y), "s": frame.s})
    fitted = polyreg.fit(own, target="v", features=["z"], **options)
    np.testing.assert_allclose(found.coefficients, fitted.coefficients, rtol=1e-10)
    np.testing.assert_allclose(found.std_errors, fitted.std_errors, rtol=1e-9)
    np.testing.assert_allclose(found.predict(AT), np.exp(fitted.predict(np.sqrt(AT))), rtol=1e-12)
    weighed = [note for note in found.notes if note.startswith("weights are of log(y)")]
    assert len(weighed) == ("weights" in options)


def test_conditions_are_of_the_variables_as_they_are_written():
    frame = frame_of("log({})")
    asked = {"target": "log(y)", "features": ["1/x", "log(x+1)"]}
    found = polyreg.fit(frame, **asked, terms=["1", "1/x^2", "log(x+1)*(1/x)"])
    assert found.terms == ["1", "(1/x)^2", "(1/x)*log(x+1)"]
    design = np.stack([np.ones(N), X**-2, np.log(X + 1) / X], axis=1)
    known = sm.OLS(np.log(frame.y), design).fit()
    np.testing.assert_allclose(found.coefficients, known.params, rtol=1e-9)
    held = polyreg.fit(frame, target="log(y)", features=["1/x"], degree=2, fix={"(1/x)^2": 0.25},
                       through=[(0, 1.5)])  # fmt: skip
    assert held.coefficients[2] == 0.25 and held.coefficients[0] == 1.5
    assert held(1e300) == pytest.approx(np.exp(1.5))  # where 1/x is 0
    powers = polyreg.fit(frame, target="log(y)", features=["x-2", "x"], degrees={"(x-2)": 2})
    assert powers.terms == ["1", "(x-2)", "(x-2)^2"]
    with pytest.raises(PolyregError, match=r"a term is 1 or a product of powers of \(1/x\), like"):
        polyreg.fit(frame, target="y", features=["1/x"], terms="1,x")


def test_steinhart_and_hart():
    rows = {"R": [25000.0, 10000.0, 4000.0], "T": [5.0, 25.0, 45.0]}
    found = polyreg.fit(rows, target="1/(T+273.15)", features="log(R)",
                        terms="1,log(R),log(R)^3")  # fmt: skip
    np.testing.assert_allclose(
        found.coefficients, [2.108508173e-3, 7.97920473e-5, 6.53507631e-7], rtol=2e-9
    )
    np.testing.assert_allclose(found.predict([25000, 10000, 4000]), [5, 25, 45], rtol=1e-11)
    assert found.equation().startswith("1/(T+273.15) = 0.00210850817")
    assert "monotone (falling) on [4000, 25000]" in found.summary()


def test_the_range_and_the_turn_are_told_in_the_column():
    x = np.geomspace(1, 100, 30)
    frame = pd.DataFrame({"x": x, "y": (np.log10(x) - 1) ** 2 + 1})
    found = polyreg.fit(frame, target="y", features=["log10(x)"], degree=2)
    assert "not monotone on [1, 100]: turns at x = 10" in found.summary()
    np.testing.assert_allclose(found.turning_points, [10.0])
    with pytest.raises(PolyregError, match=r"1 \(falling from 1 to 10\), 2 \(rising from 10 to 10"):
        found.inverse(1.5)
    np.testing.assert_allclose(found.inverse(1.25, branch=2).x, 10**1.5)
    rising = polyreg.fit({"x": x, "y": x / (1 + x)}, target="1/y", features=["1/x"], degree=1)
    assert "monotone (rising) on [1, 100]" in rising.summary()
    two = polyreg.fit(
        {"x": np.r_[-x, x], "y": np.r_[-x, x]}, target="y", features=["1/x"], degree=1
    )
    assert "as a function of 1/x monotone (rising) on" in two.summary()
    assert "1/x has a pole at x = 0" in two.summary() and not two.monotone
    assert two.breaks.of_x == (0.0,)


def test_a_square_of_both_signs_has_no_inverse_and_says_so():
    x = np.linspace(-3, 4, 20)
    found = polyreg.fit({"x": x, "y": 1 + x**2}, target="y", features=["square(x)"], degree=1)
    for ask in (found.inverse, lambda y: found.back_calculated(x, y)):
        with pytest.raises(PolyregError, match=r"two x have the same square\(x\)"):
            ask([2.0])
    one = polyreg.fit({"x": -x[x > 1], "y": 1 + x[x > 1] ** 2}, target="y", features=["square(x)"],
                      degree=1)  # fmt: skip
    assert one.inverse(5.0).x == pytest.approx(-2.0)
    assert "monotone (falling) on" in one.summary()


def test_a_number_that_a_function_does_not_take_is_refused():
    frame = frame_of("log({})")
    found = polyreg.fit(frame, target="log(y)", features=["log(x)"], degree=1)
    with pytest.raises(PolyregError, match=r"column 'x', row 2: log\(x\) needs x above 0, and x"):
        found.predict([1.0, 0.0])
    with pytest.raises(ValueError, match=r"row 1: log\(x\) needs x above 0, and x is -1"):
        Predictor(found.to_dict()).predict(pd.DataFrame({"x": [-1.0]}))
    assert np.isnan(found.inverse(-1.0).x)
    with pytest.raises(PolyregError, match="limits are of a fit of the columns as they are"):
        found.limits()


def test_diagnostics_are_those_of_the_fitted_rows():
    frame = frame_of("log({})")
    found = polyreg.fit(frame, target="log(y)", features=["log(x)"], degree=1, sigma="s")
    own = polyreg.fit({"z": np.log(X), "v": np.log(frame.y), "u": frame.s / frame.y},
                      target="v", features=["z"], degree=1, sigma="u")  # fmt: skip
    told = found.diagnostics(frame, frame.y)
    expected = own.diagnostics(np.log(X), np.log(frame.y), sigma=frame.s / frame.y)
    np.testing.assert_allclose(told, expected, rtol=1e-7)
    assert found.degrees.equals(found.as_fitted.degrees)
    place = found.study.rows[0]
    assert place.y == pytest.approx(np.log(frame.y[place.row - 1]))


def test_a_fan_of_residuals_leads_to_no_weight_that_is_refused():
    x = np.linspace(1, 30, 300)
    frame = pd.DataFrame({"x": x, "y": 3 + np.log(x) + 0.02 * x * RNG.standard_normal(300)})
    plain = polyreg.fit({"z": np.log(x) + 1, "y": frame.y}, target="y", features=["z"], degree=1)
    assert any("consider --weights 1/x" in said for said in plain.study.doubts())
    found = polyreg.fit(frame, target="y", features=["log(x)"], degree=1)
    [said] = [said for said in found.study.doubts() if "Breusch-Pagan" in said]
    assert said.startswith("residuals grow with log(x)") and "1/x" not in said


def test_where_there_is_no_x_there_are_no_bounds():
    x = np.linspace(1, 16, 40)
    frame = pd.DataFrame({"x": x, "y": 2 + 3 * np.sqrt(x) + 0.3 * RNG.standard_normal(40)})
    found = polyreg.fit(frame, target="y", features=["sqrt(x)"], degree=1)
    back = found.inverse([1.0, 2.3])  # below 1.7 the root would be negative
    told = np.array([back.x, back.low, back.high, back.std_error])
    assert np.isnan(told[:, 0]).all() and np.isfinite(told[:, 1]).all() and told[1, 1] == 0


def test_the_symbol_of_an_equation_is_no_columns_name():
    t = np.linspace(20, 80, 30)
    frame = pd.DataFrame({"t": t, "y": np.exp(20 - 5000 / (t + 273.15)) + t})
    found = polyreg.fit(frame, target="log(y)", features=["1/(t+273.15)"], degree=3)
    text = found.equation("centred")
    assert "*u^3, u = ((1/(t+273.15)) - 0.0031" in text
    u = found.equations["centred"]
    np.testing.assert_allclose(np.exp(u(1 / (t[:, None] + 273.15))), found(t), rtol=1e-12)


def test_a_stored_result_answers_alike():
    frame = frame_of("log({})").assign(b=RNG.uniform(-1, 1, N))
    found = polyreg.fit(frame, target="log10(y+1)", features=["1/(x+1)", "b"], degree=1)
    again = Result.from_dict(found.to_dict())
    at = pd.DataFrame({"b": [0.1, 0.2, -0.5], "x": AT, "other": 1})
    np.testing.assert_array_equal(again.predict(at, "prediction"), found.predict(at, "prediction"))
    assert again.inputs == found.inputs and again.outcome == found.outcome
    assert again.equation() == found.equation() and again.ranges == found.ranges
    with pytest.raises(PolyregError, match="no column 'x'"), warnings.catch_warnings():
        again.predict(at[["b"]])


def test_a_target_whose_reciprocal_passes_0_has_a_pole_there_and_is_not_monotone():
    x = np.linspace(-5, 5, 21)
    line = polyreg.fit({"x": x, "y": 1 / (1.1 + 2 * x)}, target="1/y", features=["x"], degree=1)
    np.testing.assert_allclose(line.breaks.poles, [-0.55], rtol=1e-12)
    assert not line.monotone and not len(line.turning_points)
    said = "not monotone on [-5, 5]; 1/y is 0 at x = -0.55: y has a pole there"
    assert described(line) == said and said in line.summary()
    assert line.inverse(1 / 3.1).x == pytest.approx(1.0)  # one x for each y all the same
    x = np.geomspace(1, 100, 30)
    both = polyreg.fit({"x": x, "y": x**2}, target="1/y", features=["1/x"], degree=1)
    constant, slope = both.coefficients
    np.testing.assert_allclose(both.breaks.poles, [-slope / constant], rtol=1e-12)
    x = np.linspace(-5, 5, 21)
    two = polyreg.fit({"x": x, "y": 1 / (x**2 - 4.2)}, target="1/y", features=["x"], degree=2)
    np.testing.assert_allclose(two.breaks.poles, [-(4.2**0.5), 4.2**0.5], rtol=1e-12)
    [turn] = two.turning_points
    assert described(two) == (
        f"not monotone on [-5, 5]: turns at x = {turn:.6g}; 1/y is 0 at x = -2.04939, 2.04939: "
        "y has poles there"
    )


def test_no_y_is_told_where_the_fit_leaves_the_range_of_the_targets_function():
    x = np.linspace(-5, 5, 21)
    kinds = {"sqrt(y)": np.square, "square(y)": np.sqrt, "exp(y)": np.log}
    for target, back in kinds.items():
        frame = {"x": x, "y": back(np.maximum(x + 2.76, 0.125))}
        line = polyreg.fit(frame, target=target, features=["x"], degree=1)
        root = -line.coefficients[0] / line.coefficients[1]
        [(low, high)] = line.breaks.lost
        assert low == -5 and high == pytest.approx(root, rel=1e-12)
        assert np.isnan(line.predict([high - 1e-9])).all()
        assert np.isfinite(line.predict([high + 1e-9])).all()
        assert not line.monotone
        assert described(line) == (
            f"monotone (rising) on [{root:.6g}, 5]; the fit has {target} below 0 where x is below "
            f"{root:.6g}: no prediction there"
        )
    hollow = polyreg.fit({"x": x, "y": np.maximum(x**2 - 4, 0) ** 2}, target="sqrt(y)",
                         features=["x"], degree=2)  # fmt: skip
    [(low, high)] = hollow.breaks.lost
    assert low == pytest.approx(-high) and not len(hollow.turning_points)  # it turns below 0
    above = polyreg.fit({"x": x, "y": np.maximum(4 - x, 0) ** 2}, target="sqrt(y)", features=["x"],
                        degree=2, fix={"x^2": 0})  # fmt: skip
    assert f"where x is above {above.breaks.lost[0][0]:.6g}:" in described(above)
    nowhere = polyreg.fit({"x": x, "y": np.exp(-x)}, target="sqrt(y)", features=["x"], degree=1,
                          fix={"1": -100})  # fmt: skip
    assert described(nowhere) == "no prediction on [-5, 5]: the fit has sqrt(y) below 0 there"


def test_the_square_of_a_column_of_both_signs_turns_at_0_on_both_sides():
    x = np.linspace(-3, 4, 29)
    frame = {"x": x, "y": (x**2 - 4) ** 2}
    found = polyreg.fit(frame, target="y", features=["square(x)"], degree=2)
    np.testing.assert_allclose(found.turning_points, [-2, 0, 2], atol=1e-9)
    assert not found.monotone
    frame = {"x": x, "y": np.maximum(x**2 - 4, 0) ** 2}
    hollow = polyreg.fit(frame, target="sqrt(y)", features=["square(x)"], degree=1)
    [(low, high)] = hollow.breaks.lost
    assert low == pytest.approx(-high) and not len(hollow.turning_points)
    short = {"x": x[x < 1], "y": np.maximum(x[x < 1] ** 2 - 4, 0) ** 2}
    falling = polyreg.fit(short, target="sqrt(y)", features=["square(x)"], degree=1)
    assert "monotone (falling) on [-3, " in described(falling)


def test_names_of_python_conditions_may_be_those_of_the_features():
    rng = np.random.default_rng(0)
    frame = {"T": rng.uniform(1, 9, 30), "f": rng.uniform(1, 9, 30), "y": rng.uniform(size=30)}
    asked = {"target": "y", "features": ["log(f)", "1/T"]}
    for name in ("1/T", "(1/T)"):
        found = polyreg.fit(frame, **asked, through=[({"log(f)": 0, name: 0}, 1)])
        assert found.coefficients[0] == 1.0
        found = polyreg.fit(frame, **asked, degrees={name: 1, "log(f)": 1}, interaction_degree=1)
        assert list(found.terms) == ["1", "log(f)", "(1/T)"]
