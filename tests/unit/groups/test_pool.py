"""One shape for all groups, own offsets and slopes: numbers, small groups, refusals."""

import itertools
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import polyreg
from polyreg.errors import PolyregError
from polyreg.polynomials.result import Result
from polyreg.text import number
from tests.support.constrained import inverted

OWN = {"offset": 1, "offset+slope": 2}
CENTRE, RADIUS = 2.0, 3.0  # of t, which keeps statsmodels' matrix harmless


def table(offset: float = 0.0, groups: int = 6, rows: int = 90, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    s = rng.integers(0, groups, rows)
    x = offset + s / 3 + rng.uniform(0, 4, rows)
    y = 100 + np.sin(x) + s + 0.2 * rng.normal(size=rows)
    w = rng.uniform(0.5, 3, rows)
    return pd.DataFrame({"s": [f"s{k}" for k in s], "x": x, "y": y, "w": w})


def fitted(frame, pool, degree=3, **options):
    given = {"target": "y", "features": "x", "by": "s"} | options
    return polyreg.fit(frame, degree=degree, pool=pool, **given)


def dummies(s, x, keys, own, degree, offset):
    """Columns of each group's own offset (and slope), then the common powers of t."""
    t = (np.asarray(x) - offset - CENTRE) / RADIUS
    each = np.array([[float(a == b) for b in keys] for a in s])
    powers = np.stack([t**k for k in range(degree + 1)], axis=1)
    return np.hstack([*(each * powers[:, [k]] for k in range(own)), powers[:, own:]])


HOW = {
    "plain": {},
    "weights": {"weights": "w"},
    "sigma": {"sigma": "w"},
    "1/x": {"weights": "1/x"},
}


@pytest.mark.parametrize("offset", [1.0, 2000.0])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("pool", OWN)
def test_one_shape_is_what_statsmodels_fits_with_dummies(offset, how, pool):
    frame, degree, own = table(offset), 3, OWN[pool]
    found = fitted(frame, pool, degree, **HOW[how])
    keys = list(found)
    w = {"weights": frame.w, "sigma": frame.w**-2.0, "1/x": 1 / frame.x}.get(how, 1.0)
    matrix = dummies(frame.s, frame.x, keys, own, degree, offset)
    known = sm.WLS(frame.y, matrix, weights=w).fit()
    shape = found.shape
    assert (shape.df_resid, shape.parameters) == (known.df_resid, matrix.shape[1])
    assert shape.residual_sd == pytest.approx(np.sqrt(known.scale), rel=1e-9)
    assert shape.r2 == pytest.approx(known.rsquared, rel=1e-9)
    assert shape.criteria == pytest.approx((known.aic, known.bic), rel=1e-9)
    unscaled = 1 / np.sqrt(known.scale) if how == "sigma" else 1.0
    top = found.common.iloc[-1]
    assert top.estimate * RADIUS**degree == pytest.approx(known.params.iloc[-1], rel=1e-9)
    assert top.std_error * RADIUS**degree == pytest.approx(known.bse.iloc[-1] * unscaled, rel=1e-9)
    left = known.wresid**2
    if how == "sigma":
        assert shape.chi2_p == pytest.approx(stats.chi2.sf(known.ssr, known.df_resid), rel=1e-8)
        chi2 = f"chi2 {number(known.ssr)} on {shape.df_resid} degrees of freedom (p"
        assert chi2 in found.summary() and "residual SD" not in str(found[keys[0]].notes)
        assert found[keys[0]].chi2_p == shape.chi2_p
    for key in keys:
        one, rows = found[key], frame[frame.s == key]
        assert (one.df_resid, one.nobs) == (known.df_resid, len(rows))
        assert one.solution.rss == pytest.approx(left[rows.index].sum(), rel=1e-9)
        x = offset + np.array([-1.0, 1.5, 5.0])
        at = dummies([key] * 3, x, keys, own, degree, offset)
        error = np.sqrt(np.einsum("nj,jk,nk->n", at, known.cov_params(), at)) * unscaled
        values, low, high = one.predict(x, "confidence")
        assert values == pytest.approx(at @ known.params, rel=1e-9)
        assert (high - low) / 2 == pytest.approx(one.quantile() * error, rel=1e-9)
        if how == "plain":
            told = known.get_prediction(at).summary_frame(alpha=0.05)
            rows = found.predict({"s": [key] * 3, "x": x})
            for got in (one.predict(x, "prediction")[1], rows.low.to_numpy()):
                assert got == pytest.approx(told.obs_ci_lower.to_numpy(), rel=1e-9)


@pytest.mark.parametrize("offset", [0.0, 2000.0, 1e6])
@pytest.mark.parametrize("pool", OWN)
def test_coefficients_are_the_exact_ones_within_their_digits(offset, pool):
    frame, own, degree = table(offset, groups=3, rows=40), OWN[pool], 2
    found = fitted(frame, pool, degree)
    keys = list(found)
    x, y = ([Fraction(v) for v in frame[name]] for name in ("x", "y"))
    common = range(own, degree + 1)
    rows = [
        [v**k * (s == key) for k in range(own) for key in keys] + [v**k for k in common]
        for s, v in zip(frame.s, x, strict=True)
    ]
    size = range(len(rows[0]))
    gram = [[sum(r[i] * r[j] for r in rows) for j in size] for i in size]
    right = [sum(r[i] * b for r, b in zip(rows, y, strict=True)) for i in size]
    exact = [sum(a * b for a, b in zip(row, right, strict=True)) for row in inverted(gram)]
    for place, key in enumerate(keys):
        known = [exact[k * len(keys) + place] for k in range(own)] + exact[own * len(keys) :]
        off = [abs(Fraction(v) - e) for v, e in zip(found[key].coefficients, known, strict=True)]
        bounds = found[key].solution.errors + 2**-52 * np.abs(found[key].coefficients)
        assert all(o <= b for o, b in zip(off, bounds, strict=True))
        assert found[key].digits.min() > 8


def test_a_group_of_one_row_has_a_curve():
    frame = table()
    frame.loc[len(frame)] = ["one", 3.0, 90.0, 1.0]
    found = fitted(frame, "offset")
    one, without = found["one"], fitted(frame[:-1], "offset")
    assert one.nobs == 1 and one.df_resid == without["s1"].df_resid
    assert one(3.0) == pytest.approx(90.0)
    assert found["s1"].coefficients == pytest.approx(without["s1"].coefficients, rel=1e-12)
    _, low, high = one.predict(3.0, "confidence")
    assert (high - low) / 2 == pytest.approx(one.quantile() * found.shape.residual_sd)
    told = found.to_frame().set_index("s")
    assert np.isnan(told.group_sd["one"]) and told["coef/x^3"].nunique() == 1
    assert found.failed == {} and "one" not in found.differing.key.tolist()


def test_groups_of_which_none_tells_a_curve_of_its_own_have_one_shape():
    s = np.repeat(np.arange(10), 2)
    x = np.random.default_rng(0).uniform(0, 4, 20)
    frame = pd.DataFrame({"s": s, "x": x, "y": s + x**2})
    found = fitted(frame, "offset", 2)
    assert len(found) == 10 and found.tests is None
    assert found.common.estimate.tolist() == pytest.approx([0, 1], abs=1e-12)
    assert "need their own curves" not in found.summary()


def test_the_scatter_of_groups_adds_up_to_the_residual_sd():
    frame = table()
    frame.loc[frame.s == "s4", "y"] += np.random.default_rng(1).normal(size=(frame.s == "s4").sum())
    found = fitted(frame, "offset+slope")
    free = found.solved.count - found.solved.leverage
    assert free.sum() == pytest.approx(found.shape.df_resid)
    assert (found.group_sd**2 * free).sum() == pytest.approx(found.shape.rss)
    told = found.to_frame().set_index("s")
    assert told.group_sd.idxmax() == "s4" and told.residual_sd.nunique() == 1


def test_groups_that_tell_no_slope_of_their_own_have_their_reason():
    frame = table()
    more = pd.DataFrame({"s": ["one", *["flat"] * 3], "x": [1.0, 2, 2, 2], "y": 1.0, "w": 1.0})
    found = fitted(pd.concat([frame, more], ignore_index=True), "offset+slope")
    assert found.failed == {
        "one": "1 row for an offset and a slope",
        "flat": "3 rows, all near x = 2, tell no slope",
    }
    assert found["s1"].to_dict() == fitted(frame, "offset+slope")["s1"].to_dict()
    with pytest.raises(PolyregError, match="require_all: 2 of 8 groups cannot be fitted"):
        fitted(pd.concat([frame, more]), "offset+slope", require_all=True)


def test_exact_rows_give_the_shape_that_made_them():
    s, x = np.repeat([0, 1, 2, 3], [5, 1, 2, 9]), np.arange(17.0)
    frame = pd.DataFrame({"s": s, "x": x, "y": 10 * s + 2 * x - 3 * x**2})
    found = fitted(frame, "offset", 2)
    for key in range(4):
        assert found[key].coefficients == pytest.approx([10.0 * key, 2, -3], abs=1e-11)
        assert found[key].solution.exact_fit
    assert found.shape.residual_sd < 1e-11 and found.shape.r2 == pytest.approx(1)


@pytest.mark.parametrize("criterion", ["aicc", "bic", "f"])
def test_rounding_chooses_no_degree(criterion):
    s, x = np.repeat(np.arange(5), 12), np.random.default_rng(0).uniform(0, 4, (20, 60))
    for row in x:
        frame = pd.DataFrame({"s": s, "x": row, "y": s + row / 3 + row**2 / 7})
        found = fitted(frame, "offset", "auto", max_degree=6, criterion=criterion)
        assert found.shape.degree == 2


@pytest.mark.parametrize("criterion", ["aicc", "bic", "f"])
@pytest.mark.parametrize("pool", OWN)
def test_the_degree_is_chosen_for_the_whole_fit(criterion, pool):
    frame, own = table(groups=4, rows=60), OWN[pool]
    found = fitted(frame, pool, "auto", max_degree=7, criterion=criterion)
    fits = [
        sm.OLS(frame.y, dummies(frame.s, frame.x, sorted(set(frame.s)), own, d, 0.0)).fit()
        for d in range(own, 8)
    ]
    p = np.array([f.df_model + 1 for f in fits])
    if criterion == "f":
        tests = [b.compare_f_test(a)[1] < 0.05 for a, b in itertools.pairwise(fits)]
        best = max([k + 1 for k, is_better in enumerate(tests) if is_better], default=0)
    else:
        n, value = len(frame), np.array([f.bic for f in fits])
        if criterion == "aicc":
            value = [f.aic for f in fits] + 2 * p * (p + 1) / (n - p - 1)
        best = int(value.argmin())
    assert found.shape.degree == own + best


def test_what_is_written_down_is_read_again():
    frame = table()
    frame.loc[frame.index[0], "y"] = np.nan
    found = fitted(frame, "offset")
    again = type(found).from_document(*found.document())
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame())
    pd.testing.assert_frame_equal(again.common, found.common)
    one = next(iter(found))
    assert again[one].to_dict() == found[one].to_dict()
    alone = Result.from_dict(found[one].to_dict())
    assert alone.df_resid == found.shape.df_resid and np.isnan([alone.aic, alone.adjusted_r2]).all()
    assert "6 groups have in common the coefficients of x, x^2, x^3" not in str(alone.notes)
    assert "5 groups have in common the coefficients of x, x^2, x^3" in alone.notes[0]


def test_a_group_s_rows_are_judged_by_the_pooled_residuals():
    frame = table()
    found = fitted(frame, "offset")
    rows = frame[frame.s == "s2"]
    told = found["s2"].diagnostics(rows.x, rows.y)
    known = sm.OLS(frame.y, dummies(frame.s, frame.x, list(found), 1, 3, 0.0)).fit().get_influence()
    places = frame.s == "s2"
    assert told.leverage.to_numpy() == pytest.approx(known.hat_matrix_diag[places], rel=1e-9)
    assert told.studentized.to_numpy() == pytest.approx(
        known.resid_studentized_external[places], rel=1e-8
    )


BAD = {
    "nothing common": ({"pool": "offset", "degree": 0}, "pool offset needs degree 1 or more"),
    "own lines": ({"pool": "offset+slope", "degree": 1}, "needs degree 2 or more, got 1"),
    "auto": ({"degree": "auto", "max_degree": 1, "pool": "offset+slope"}, "needs max_degree 2"),
    "no constant": ({"pool": "offset", "intercept": False}, "gives each group a constant"),
    "certified": ({"pool": "offset", "precision": "certified"}, "takes no precision='certified'"),
    "same degree": ({"pool": "offset", "degree": "auto", "same_degree": True}, "one degree for"),
    "no groups": ({"pool": "offset", "by": ()}, "pool is of groups; name their by"),
    "no such": ({"pool": "slope"}, "slope"),
    "one x": ({"pool": "offset", "degree": 1, "data": "one x"}, "only 0 of 1 common terms apart"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_pooled_is_refused_in_one_line(what):
    options, said = BAD[what]
    frame = table()
    if options.get("data") == "one x":
        frame["x"] = frame.s.str[1:].astype(float)
    given = {"degree": 2} | {k: v for k, v in options.items() if k != "data"}
    with pytest.raises(PolyregError, match=said) as error:
        polyreg.fit(frame, target="y", features="x", **({"by": "s"} | given))
    assert len(str(error.value).splitlines()) == 1


def test_no_new_group_is_adapted_to_a_common_shape():
    with pytest.raises(PolyregError, match="no new group can be adapted to the shape of pool"):
        fitted(table(), "offset").adapt([1], [2])
