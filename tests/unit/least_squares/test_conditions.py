"""Exact conditions on the polynomial, against Lagrange's equations in rationals and statsmodels."""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import polyreg
from polyreg.least_squares import sums
from polyreg.polynomials.predictor import Predictor
from tests.support.constrained import Undetermined, constrained, monomial, slope

PRECISIONS = ("certified", "fast")


class Conditions(NamedTuple):
    """What is asked for: of the terms, coefficients, points and slopes."""

    terms: tuple = ()  # of exponents; () are all of the degree
    fix: tuple = ()  # (exponents, value)
    through: tuple = ()  # (x, value)
    slope: tuple = ()

    def options(self, names) -> dict:
        """As polyreg.fit takes them."""
        found = {}
        if self.terms:
            found["terms"] = [written(e, names) for e in self.terms]
        if self.fix:
            found["fix"] = {written(e, names): value for e, value in self.fix}
        if self.through:
            found["through"] = [(x if len(x) > 1 else x[0], value) for x, value in self.through]
        if self.slope:
            found["slope"] = [(x[0], value) for x, value in self.slope]
        return found

    def rows(self, exponents) -> list:
        """As rows of A, and b."""
        units = [[Fraction(int(e == f)) for f in exponents] for e, _ in self.fix]
        at = [[monomial(exact(x), e) for e in exponents] for x, _ in self.through]
        slopes = [[slope(exact(x)[0], e[0]) for e in exponents] for x, _ in self.slope]
        values = [value for _, value in (*self.fix, *self.through, *self.slope)]
        return list(zip([*units, *at, *slopes], map(decimal, values), strict=True))


def decimal(value) -> Fraction:
    """0.1 is a tenth."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def exact(x) -> list[Fraction]:
    return [decimal(v) for v in x]


def written(e, names) -> str:
    return "*".join(f"{n}^{p}" for n, p in zip(names, e, strict=True) if p) or "1"


def digits(found, truth) -> float:
    """The fewest that are right of all."""
    pairs = [(float(a), float(b)) for a, b in zip(found, truth, strict=True)]
    return min(16.0 if a == b else -math.log10(abs(a - b) / max(abs(b), 1e-300)) for a, b in pairs)


TABLES = {
    "easy": np.round(np.random.default_rng(1).uniform(-1, 3, 15), 3),
    "years": np.arange(1990.0, 2012),
    "seconds": 1.7e9 + np.round(np.random.default_rng(2).uniform(0, 1e5, 20)),
    "offset": np.round(100 + np.random.default_rng(3).uniform(0, 1, 20), 4),
}
CASES = {
    "terms": (3, Conditions(terms=((0,), (1,), (3,)))),
    "no constant, no square": (3, Conditions(terms=((1,), (3,)))),
    "one term": (2, Conditions(terms=((2,),))),
    "high terms": (4, Conditions(terms=((3,), (4,)))),
    "fixed": (3, Conditions(fix=(((2,), 0.1),))),
    "two fixed": (3, Conditions(fix=(((0,), 0), ((3,), 1e-3)))),
    "origin": (3, Conditions(through=(((0,), 0),))),
    "two points": (4, Conditions(through=(((1,), 2.5), ((2000,), 3)))),
    "slope at 0": (3, Conditions(slope=(((0,), 0),))),
    "slope and point": (3, Conditions(slope=(((2000.5,), 0.5),), through=(((2000.5,), 1),))),
    "all of them": (
        4,
        Conditions(((0,), (1,), (3,), (4,)), (((0,), 0.25),), (((1,), 7),)),
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("case", CASES)
def test_the_fit_is_that_of_lagranges_equations_in_rationals(case, table, precision, weighted):
    degree, asked = CASES[case]
    x, rng = TABLES[table], np.random.default_rng(4)
    y = np.round(1 + (x - x.mean()) / x.std() + 0.1 * rng.normal(size=len(x)), 3)
    w = np.round(rng.uniform(0.5, 2, len(x)), 2) if weighted else None
    options = asked.options(["x"]) | ({} if asked.terms else {"degree": degree})
    found = polyreg.fit(x, y, weights=w, precision=precision, **options)
    assert found.precision == precision
    exponents = list(asked.terms) or [(k,) for k in range(degree + 1)]
    truth = constrained([x], y, exponents, asked.rows(exponents), w)
    assert found.exponents == exponents and found.has_full_rank
    assert found.df_resid == truth.freedom and found.design.degree == degree
    right = digits(found.coefficients, truth.coefficients)
    assert right >= (15 if precision == "certified" else 9)
    assert right >= found.digits.min() - 0.1
    assert digits(found.std_errors, truth.std_errors) >= (13 if precision == "certified" else 9)
    assert found.solution.rss == pytest.approx(float(truth.rss), rel=1e-9)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_several_variables_have_terms_points_and_highest_powers(precision):
    rng = np.random.default_rng(5)
    a, b = np.round(rng.uniform(2, 9, (2, 40)), 2)
    y = np.round(1 + a * b - 0.1 * a**2 * b + rng.normal(size=40), 2)
    frame = {"a": a, "the b": b, "y": y}
    options = dict(target="y", precision=precision)
    chosen = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)]
    asked = Conditions(through=(((0, 1), 5),))
    truth = constrained([a, b], y, chosen, asked.rows(chosen))
    texts = dict(terms="1,a,the b,a*the b,a^2*`the b`", through="a=0;the b=1:5")
    mixed = dict(terms=[*texts["terms"].split(",")], through=[({"the b": 1, "a": 0}, 5)])
    for given_ in (texts, mixed, texts | {"through": [((0, 1), 5)]}):
        found = polyreg.fit(frame, **options, **given_)
        assert found.exponents == chosen and found.terms[-1] == "a^2*the b"
        assert digits(found.coefficients, truth.coefficients) > 12
        assert digits(found.std_errors, truth.std_errors) > 10
    box = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (2, 1)]
    truth = constrained([a, b], y, box, [])
    for degrees in ("a:2,the b:1", {"a": 2, "the b": 1}):
        found = polyreg.fit(frame, **options, degrees=degrees)
        assert found.exponents == box and found.design.degree == 3
        assert digits(found.coefficients, truth.coefficients) > 12
    found = polyreg.fit(frame, **options, degrees=degrees, interaction_degree=1)
    assert found.exponents == [e for e in box if not all(e)]
    # What a higher power of one variable needs, the other is not given.
    high = polyreg.fit(frame, **options, terms="1,a^6,the b")
    assert [len(r.shifts) for r in high.design.recurrences] == [6, 1]
    truth = constrained([a, b], y, high.exponents, [])
    assert digits(high.coefficients, truth.coefficients) > 10


def test_compiled_sums_have_variables_of_different_degrees(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(sums, "SMALL", 1)
    monkeypatch.setattr(sums, "WORTH", 1)
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=(2, 3000))
    y = 1 + a**5 + a * b + rng.normal(size=3000)
    options = dict(target="y", terms="1,a^5,b,a*b", precision="fast")
    found = polyreg.fit({"a": a, "b": b, "y": y}, **options)
    monkeypatch.setattr(sums, "compiled", lambda function: None)
    without = polyreg.fit({"a": a, "b": b, "y": y}, **options)
    np.testing.assert_allclose(found.coefficients, without.coefficients, rtol=1e-12)
    expected = np.linalg.lstsq(np.stack([a**0, b, a * b, a**5], 1), y, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients, expected, rtol=1e-10)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_constraints_are_those_of_statsmodels(precision):
    rng = np.random.default_rng(7)
    x = rng.uniform(0, 4, 50)
    y = 1 + 2 * x - 0.3 * x**2 + rng.normal(size=50)
    w = rng.uniform(0.5, 2, 50)
    columns = np.stack([x**0, x, x**2, x**3], axis=1)
    model = sm.GLM(y, columns, var_weights=w)
    rows = np.array([[1.0, 1, 1, 1], [0, 0, 0, 1]])
    theirs = model.fit_constrained((rows, np.array([2.5, 0.01])))
    found = polyreg.fit(x, y, weights=w, through=[(1, 2.5)], fix={"x^3": 0.01}, precision=precision)
    np.testing.assert_allclose(found.coefficients, theirs.params, rtol=1e-9)
    scaled = (
        np.sqrt(np.diag(np.asarray(theirs.cov_params()) / theirs.scale))[:3] * found.residual_sd
    )
    np.testing.assert_allclose(found.std_errors[:3], scaled, rtol=1e-9)
    assert found.std_errors[3] == 0 and math.isnan(found.t_values[3])
    assert found.conf_int()[3].tolist() == [0.01, 0.01] and found.fixed == ("x^3",)
    ours = sm.WLS(y, columns[:, [0, 1, 3]], weights=w).fit()
    found = polyreg.fit(x, y, weights=w, terms="1,x,x^3", precision=precision)
    for mine, its in (("std_errors", "bse"), ("p_values", "pvalues")):
        np.testing.assert_allclose(getattr(found, mine), getattr(ours, its), rtol=1e-9)
    assert found.r2 == pytest.approx(ours.rsquared, rel=1e-12)
    assert found.adjusted_r2 == pytest.approx(ours.rsquared_adj, rel=1e-12)
    assert (found.aic, found.bic) == pytest.approx((ours.aic, ours.bic), rel=1e-12)
    np.testing.assert_allclose(found.covariance(), ours.cov_params(), rtol=1e-8)
    bare = sm.WLS(y, columns[:, 1:3], weights=w).fit()
    found = polyreg.fit(x, y, weights=w, terms="x,x^2", precision=precision)
    assert not found.intercept and found.r2 == pytest.approx(bare.rsquared, rel=1e-12)
    inside = polyreg.fit(x, y, weights=w, terms="x,x^2", degree=2, intercept=False)
    np.testing.assert_array_equal(
        inside.coefficients, polyreg.fit(x, y, weights=w, degree=2, intercept=False).coefficients
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_known_uncertainties_leave_errors_unscaled(precision):
    rng = np.random.default_rng(8)
    x = np.round(rng.uniform(5, 9, 20), 2)
    y, u = np.round(1 + x + rng.normal(size=20), 2), np.full(20, 0.5)
    found = polyreg.fit(x, y, sigma=u, degree=2, slope=[(0, 0)], precision=precision)
    truth = constrained([x], y, [(0,), (1,), (2,)], [([0, 1, 0], 0)], u**-2)
    errors = [math.sqrt(truth.unscaled[k][k]) for k in range(3)]
    np.testing.assert_allclose(found.std_errors, errors, rtol=1e-9)
    assert found.chi2 == pytest.approx(float(truth.rss), rel=1e-9) and found.df_resid == 18


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_polynomial_has_no_error_at_the_points_that_it_meets(precision):
    rng = np.random.default_rng(9)
    x = rng.uniform(10, 20, 60)
    y = 3 + x + rng.normal(size=60)
    found = polyreg.fit(x, y, degree=3, through=[(12, 15), (18, 21.5)], precision=precision)
    document = found.to_dict()
    again = polyreg.Result.from_dict(document)
    predictor = Predictor(document)
    at = pd.DataFrame({"x": [12.0, 18.0, 15.0]})
    width = found.residual_sd
    for told in (
        found.predict(at, "confidence"),
        again.predict(at, "confidence"),
        predictor.predict(at, "confidence")[["prediction", "low", "high"]].to_numpy().T,
    ):
        value, low, high = told
        np.testing.assert_allclose(value[:2], [15, 21.5], rtol=1e-13)
        assert (high - low)[:2].max() < 1e-12 * width and (high - low)[2] > 0.05 * width
    assert again.terms == found.terms and again.parameters == found.parameters == 2
    np.testing.assert_array_equal(again.std_errors, found.std_errors)
    np.testing.assert_array_equal(again.digits, found.digits)
    assert again.fixed == () and again.intercept is False


def test_a_document_keeps_absent_and_fixed_terms():
    x = np.arange(8.0)
    found = polyreg.fit(x, np.cos(x), terms="1,x,x^3,x^4", fix="x=0.5")
    again = polyreg.Result.from_dict(found.to_dict())
    assert again.terms == ["1", "x", "x^3", "x^4"] and again.fixed == ("x",)
    for name in ("coefficients", "std_errors", "t_values", "digits"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert found.coefficients[1] == 0.5 and found.std_errors[1] == 0
    assert "held exactly: x = 0.5; the standard error of x is 0" in found.summary()
    assert "x^2" not in found.equation("powers") and "Rank:" in found.summary()
    assert found.equations["centred"](x[:, None]) == pytest.approx(found(x), rel=1e-12)
    with pytest.raises(polyreg.PolyregError, match="held exactly"):
        found.degrees  # noqa: B018
    rows = found.diagnostics(x, np.cos(x))
    assert rows.leverage.sum() == pytest.approx(3)


def test_redundant_conditions_count_once_and_columns_in_no_term_are_left_out():
    rng = np.random.default_rng(10)
    a, b, c = rng.normal(size=(3, 20))
    frame = {"a": a, "b": b, "c": c, "y": a + b}
    found = polyreg.fit(frame, target="y", terms="1,a,b,b^2", fix="1=2", through="a=0;b=0:2")
    assert found.variables == ("a", "b") and found.parameters == 3
    assert found.predict({"a": [0.0], "b": [0.0]}) == pytest.approx(2, rel=1e-15)
    assert "no features: c (in no term)" in found.notes
    kept = polyreg.fit(frame, target="y", terms="1,a", features=["a", "b"])
    assert kept.variables == ("a", "b") and kept.terms == ["1", "a"]
    assert polyreg.fit(np.stack([a, b], 1), a, terms="1,x1").terms == ["1", "x1"]
    mean = polyreg.fit(a, b, terms=["1"])
    assert mean.coefficients[0] == pytest.approx(b.mean()) and mean.df_resid == 19


@pytest.mark.parametrize("loss", ["huber", "bisquare", "l1"])
def test_robust_fits_meet_the_conditions(loss):
    rng = np.random.default_rng(11)
    x = rng.uniform(0, 3, 60)
    y = 1 + 2 * x**2 + 0.1 * rng.normal(size=60)
    y[:6] += 20
    found = polyreg.fit(x, y, terms="1,x,x^2", fix="x=0", through="0:1", loss=loss)
    assert found.coefficients[:2].tolist() == [1, 0] and found.std_errors[:2].tolist() == [0, 0]
    same = polyreg.fit(x**2, y - 1, degree=1, intercept=False, loss=loss)
    # Of fast passes about another basis; l1's scale is that of another y.
    assert found.coefficients[2] == pytest.approx(same.coefficients[0], rel=1e-9)
    assert abs(found.coefficients[2] - 2) < 0.05
    if loss != "l1":
        assert found.std_errors[2] == pytest.approx(same.std_errors[0], rel=1e-9)


def test_errors_in_x_meet_the_conditions():
    """As the fit of y - 1 without a constant, and as scipy's minimum."""
    from scipy.optimize import least_squares

    rng = np.random.default_rng(12)
    x = np.linspace(1, 5, 15)
    y = 1 + 2 * x - 0.2 * x**2 + 0.1 * rng.normal(size=15)
    u = dict(sigma=np.full(15, 0.1), sigma_x=np.full(15, 0.08))
    found = polyreg.fit(x, y, degree=2, through=[(0, 1)], **u)
    moved = polyreg.fit(x, y - 1, degree=2, intercept=False, **u)
    np.testing.assert_allclose(found.coefficients[1:], moved.coefficients, rtol=1e-8)
    np.testing.assert_allclose(found.std_errors[1:], moved.std_errors, rtol=1e-8)
    assert found.coefficients[0] == 1 and found.df_resid == 13

    def left(beta):
        xi = beta[1:]
        return np.r_[(x - xi) / 0.08, (y - 1 - 2 * xi - beta[0] * xi**2) / 0.1]

    theirs = least_squares(left, np.r_[-0.2, x], xtol=1e-15, ftol=1e-15, gtol=1e-15)
    found = polyreg.fit(x, y, degree=2, fix={"1": 1, "x": 2}, **u)
    assert found.coefficients[2] == pytest.approx(theirs.x[0], rel=1e-6)
    assert found.chi2 == pytest.approx(2 * theirs.cost, rel=1e-9)
    turned = polyreg.fit(x, y, degree=2, swap=True, terms="1,y,y^2", **u)
    whole = polyreg.fit(x, y, degree=2, swap=True, **u)
    np.testing.assert_array_equal(turned.coefficients, whole.coefficients)


def test_a_ridge_is_a_penalty_on_what_is_free():
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=(2, 30))
    found = [polyreg.fit(x, y, degree=3, through="0:1", ridge=2.0, precision=p) for p in PRECISIONS]
    np.testing.assert_allclose(found[0].coefficients, found[1].coefficients, rtol=1e-10)
    assert found[0].coefficients[0] == 1 and np.isnan(found[0].std_errors).all()
    free = polyreg.fit(x, y, degree=3, through="0:1")
    assert found[0].solution.rss > free.solution.rss


def test_rows_that_cannot_tell_what_is_free_apart_have_a_lower_rank():
    x = np.repeat([1.0, 2.0, 4.0], 5)
    y = x + np.random.default_rng(14).normal(size=15)
    found = polyreg.fit(x, y, degree=4, through="0:0")
    assert (found.rank, found.parameters) == (3, 4) and not found.has_errors
    assert np.isnan(found.std_errors).all() and found(0.0) == pytest.approx(0, abs=1e-12)
    assert "rank 3 of 4" in repr(found)


X, Y = np.linspace(0, 2, 9), np.linspace(0, 2, 9) ** 2 + 1
REFUSED = [
    (dict(terms="1,z"), "terms names the term z, and there is none; a term is 1 or a product"),
    (dict(terms="1,x,x"), "terms names x twice"),
    (dict(terms=[]), "terms is empty"),
    (dict(terms=" "), "terms is empty"),
    (dict(terms="1,,x"), "terms has an empty item"),
    (dict(terms="x^41"), "terms has x^41, of total degree 41; at most 40"),
    (dict(terms="1,x^2", degree=5), "degree 5 beside terms, whose highest total degree is 2"),
    (dict(terms="1,x^2", degree="auto"), "and terms holds some out; leave out degree"),
    (dict(through="0:0", degree="auto"), "and through holds some out; give degree a number"),
    (dict(terms="1,x", degrees="x:2"), "terms and degrees both choose the terms"),
    (dict(terms="1,x", intercept=False), "terms has the constant 1, and intercept is false"),
    (dict(terms="1,x", fix="x^2=1"), "fix has x^2, which is no term of the polynomial"),
    (dict(fix="1=0", intercept=False), "fix has 1, which is no term of the polynomial"),
    (dict(fix="1=0,1=1"), "fix has 1 twice"),
    (dict(fix="1=a"), "fix has 'a' where a number is needed"),
    (dict(fix="1"), "fix has '1'; write it like x^2=0.1,1=0"),
    (dict(fix={"1": math.nan}), "fix has 'nan' where a number is needed"),
    (dict(fix={"1": 10**5000}), "fix has a number that leaves float64"),
    (dict(through="0:0,0:1"), "through has p(0) = 0 and p(0) = 1; leave out one"),
    (dict(through="0:0,1:1,2:4,3:9"), "p(2) = 4, p(3) = 9 nothing is left to fit"),
    (dict(degree=1, through="0:0,1:1,2:3"), "p(0) = 0, p(1) = 1, p(2) = 3 contradict"),
    (dict(through="0:1", fix="1=2"), "1 = 2, p(0) = 1 contradict each other"),
    (dict(terms="1,x^2", slope="0:1"), "p'(0) = 1 cannot hold with these terms"),
    (dict(degree=0, slope="0:1"), "p'(0) = 1 cannot hold"),
    (dict(through="1e310:0"), "through has the number 1e310, which leaves float64"),
    (dict(fix="x^3=1e250"), "the polynomial is so large over the rows that its squares leave"),
    (dict(through=3), "through must be a list of pairs"),
    (dict(through="0"), "through has '0'; write it like 0:0,1:2.5"),
    (dict(degrees="q:2"), "degrees names q, and the variables are x"),
    (dict(degrees="x:2.5"), "degrees has 'x:2.5'; a highest power is a whole number"),
    (dict(terms="1,x", interaction_degree=1), "leave out interaction_degree"),
    (dict(through="0:0," * 2000), "through must be at most 6,000 characters"),
]


@pytest.mark.parametrize("options, said", REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_what_makes_no_fit_is_refused_in_one_line(options, said):
    with pytest.raises(polyreg.PolyregError) as error:
        polyreg.fit(X, Y, **options)
    assert said in str(error.value)
    assert "\n" not in str(error.value) and "--" not in str(error.value)


def test_several_variables_are_refused_a_slope_and_a_point_without_all_of_them():
    frame = {"a": X, "b": Y**2, "y": Y}
    for options, said in (
        (dict(slope="0:0"), "slope is of one variable, and there are 2: a, b"),
        (dict(through="a=0:1"), "without a value of b"),
        (dict(through="a=0;a=1:1"), "through has 'a=0;a=1:1'; write it like"),
        (dict(terms=",".join(f"a^{k}*b^{k}" for k in range(9))), None),
        (dict(degrees="a:41"), "a highest power is a whole number from 0 to 40"),
        (dict(terms="1,a,b,a^2*b"), None),
    ):
        if said is None:
            rows = {name: np.tile(v, 60) + np.random.default_rng(0).normal(size=540)
                    for name, v in frame.items()}  # fmt: skip
            assert polyreg.fit(rows, target="y", **options).df_resid > 0
            continue
        with pytest.raises(polyreg.PolyregError, match=said):
            polyreg.fit(frame, target="y", **options)
    names = [f"x{k}" for k in range(40)]
    wide = dict.fromkeys(names, X) | {"y": Y}
    with pytest.raises(polyreg.PolyregError, match="are more than 5,000"):
        polyreg.fit(wide, target="y", terms="*".join(names))


NUMBERS = st.sampled_from([0, 1, -2, 0.1, 2.5, 1e-3, 1990.5, 1e4, -1 / 3])
SHORT = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@SHORT
@given(
    degree=st.integers(0, 5),
    chosen=st.sets(st.integers(0, 5), max_size=6),
    fix=st.dictionaries(st.integers(0, 5), NUMBERS, max_size=2),
    through=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=2),
    slopes=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=1),
    table=st.sampled_from([*TABLES]),
    precision=st.sampled_from(PRECISIONS),
)
def test_any_terms_and_conditions_are_fitted_as_in_rationals_or_refused(
    degree, chosen, fix, through, slopes, table, precision
):
    terms = tuple((k,) for k in sorted(chosen))
    exponents = list(terms) or [(k,) for k in range(degree + 1)]
    asked = Conditions(
        terms,
        tuple(((k,), v) for k, v in fix.items()),
        tuple(((x,), v) for x, v in through),
        tuple(((x,), v) for x, v in slopes),
    )
    x = TABLES[table]
    y = np.round(np.sin(np.arange(len(x))), 3)
    options = asked.options(["x"]) | ({} if terms else {"degree": degree})
    try:
        found = polyreg.fit(x, y, precision=precision, **options)
    except polyreg.PolyregError as error:
        told = str(error)
        may = ("is no term", "contradict", "cannot hold", "nothing is left", "leave out one")
        assert any(part in told for part in may), told
        inside = all((k,) in exponents for k in fix)
        rows = asked.rows(exponents) if inside else []
        if inside and "is no term" not in told:  # there is no such polynomial, or but one
            rows = list(dict.fromkeys((tuple(r), v) for r, v in rows))
            free = len(exponents) - len(rows)
            try:
                constrained([x], y, exponents, rows)
            except Undetermined:
                return
            assert free <= 0, told
        else:
            assert "is no term" in told and not inside
        return
    rows = list(dict.fromkeys((tuple(r), v) for r, v in asked.rows(exponents)))
    try:
        truth = constrained([x], y, exponents, rows)
    except Undetermined:  # conditions that follow from the others
        assert found.parameters > len(exponents) - len(rows)
        return
    assert found.df_resid == truth.freedom
    for value, error, exact_ in zip(
        found.coefficients, found.digits, truth.coefficients, strict=True
    ):
        off = abs(float(Fraction(value) - exact_))
        assert off <= 1.01 * 10.0**-error * abs(float(exact_)) or off <= 1e-12 * np.abs(y).max()
    errors = np.array(truth.std_errors)
    np.testing.assert_allclose(found.std_errors, errors, rtol=1e-6, atol=1e-12 * errors.max())


def test_steinhart_and_hart_s_equation_of_a_thermistor():
    ohm, celsius = np.array([25000, 10000, 4000]), np.array([5, 25, 45])
    found = polyreg.fit(np.log(ohm), 1 / (celsius + 273.15), terms=["1", "x", "x^3"])
    known = [2.108508173e-3, 7.97920473e-5, 6.53507631e-7]
    assert found.coefficients == pytest.approx(known, rel=1e-8)
    assert found.terms == ["1", "x", "x^3"]
