"""Polynomials of many groups: numbers, keys, reasons, degrees, predictions."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import wls
from statsmodels.stats.meta_analysis import combine_effects

import polyreg
from benchmarks.measured.adapting import BETWEEN, MEAN, drawn, held
from polyreg.errors import BadTable, PolyregError, Refused
from polyreg.groups import curves, solving, sums, triangles
from polyreg.groups.module import GroupedModel
from polyreg.groups.summary import report
from tests.support.designs import matrix_at


def table(offset: float = 0.0, groups: int = 25, rows: int = 700, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sensor = rng.integers(0, groups, rows)
    x = offset + sensor / 3 + rng.uniform(0, 4, rows)
    y = 100 + np.sin(x) + sensor + 0.2 * rng.normal(size=rows)
    w = rng.uniform(0.5, 3, rows)
    return pd.DataFrame({"sensor": [f"s{k}" for k in sensor], "x": x, "y": y, "w": w})


def basis(result, x):
    """A design matrix in the Result's own scale, which is no trouble to statsmodels."""
    x = np.asarray(x)
    if result.intercept:
        return matrix_at(result, x[:, None])
    return matrix_at(result, x[:, None])[:, :-1] * x[:, None]


def top(result, known):
    """The highest power's coefficient, by statsmodels' weights: 2^(k - 1) / radius^k of T_k."""
    [r] = result.design.recurrences
    k = result.design.degree - (0 if result.intercept else 1)
    return known.params.to_numpy()[-1] * (2 ** (k - 1) if k else 1) / r.radius**k


HOW = {
    "plain": {},
    "weights": {"weights": "w"},
    "sigma": {"sigma": "w"},
    "1/x^2": {"weights": "1/x^2"},
    "no intercept": {"intercept": False},
}


@pytest.mark.parametrize("offset", [1.0, 2000.0])
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("degree", [1, 2, 4])
def test_each_group_is_what_statsmodels_fits_to_its_rows(offset, how, degree):
    frame = table(offset)
    options = HOW[how]
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=degree, **options)
    assert len(found) == 25 and not found.failed
    for key, rows in frame.groupby("sensor"):
        one = found[key]
        w = {"weights": rows.w, "sigma": rows.w**-2.0, "1/x^2": rows.x**-2.0}.get(how)
        matrix = basis(one, rows.x)
        weighted = 1.0 if w is None else w
        known = sm.WLS(rows.y, matrix, weights=weighted, hasconst=one.intercept).fit()
        if one.intercept:
            assert one.weights == pytest.approx(known.params.to_numpy(), rel=1e-9)
        scale = 1 / math.sqrt(known.scale) if how == "sigma" else 1.0
        assert one.solution.rss == pytest.approx(known.ssr, rel=1e-8)
        assert one.r2 == pytest.approx(known.rsquared, rel=1e-9)
        assert (one.nobs, one.df_resid) == (len(rows), known.df_resid)
        new = rows.x.to_numpy()[:3]
        values, _, high = one.predict(new, "confidence")
        assert values == pytest.approx(known.predict(basis(one, new)), rel=1e-9)
        covariance = known.cov_params() * scale**2
        error = np.sqrt(np.einsum("nj,jk,nk->n", basis(one, new), covariance, basis(one, new)))
        assert high - values == pytest.approx(one.quantile() * error, rel=1e-8)
        assert one.std_errors[-1] > 0 and one.coefficients[-1] == pytest.approx(top(one, known))


@pytest.mark.parametrize("offset", [0.0, 2000.0, 1e6])
def test_coefficients_are_those_of_an_exact_fit_within_their_digits(offset):
    frame = table(offset, groups=8, rows=300)
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=3)
    for key, rows in frame.groupby("sensor"):
        exact = polyreg.fit(rows.x.to_numpy(), rows.y.to_numpy(), degree=3)
        one = found[key]
        assert exact.precision == "certified"
        off = np.abs(one.coefficients - exact.coefficients)
        assert (off <= one.solution.errors + 2**-52 * np.abs(exact.coefficients)).all()
        assert one.digits.min() > 9
        assert one.std_errors == pytest.approx(exact.std_errors, rel=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
def test_neither_order_nor_blocks_change_more_than_rounding(monkeypatch, intercept):
    frame = table(5.0)
    options = {"target": "y", "features": "x", "by": "sensor", "degree": 3, "intercept": intercept}
    once = polyreg.fit(frame, **options).to_frame().set_index("sensor").sort_index()
    mixed = frame.sample(frac=1, random_state=1)
    monkeypatch.setattr(sums, "AT_ONCE", 10)
    monkeypatch.setattr("polyreg.tables.rows.BLOCK_ROWS", 7)
    bits = polyreg.fit(mixed, **options).to_frame().set_index("sensor").sort_index()
    for name in once.columns.drop(["note", "digits"]):
        assert bits[name].to_numpy(float) == pytest.approx(once[name].to_numpy(float), rel=1e-9)
    assert bits.digits.to_numpy() == pytest.approx(once.digits.to_numpy(), abs=0.5)  # y_0 differs


@pytest.mark.parametrize("weights", [None, "w"])
def test_many_groups_are_sorted_by_two_moves_without_losing_a_row(monkeypatch, weights):
    frame = table(5.0, groups=600, rows=9000)
    options = {"target": "y", "features": "x", "by": "sensor", "weights": weights, "degree": 2}
    lying = frame.sort_values("sensor", kind="stable")  # each block is folded in as it comes
    once = polyreg.fit(lying, **options).to_frame().set_index("sensor").sort_index()
    monkeypatch.setattr("polyreg.tables.rows.BLOCK_ROWS", 1024)
    mixed = polyreg.fit(frame, **options).to_frame().set_index("sensor").sort_index()
    monkeypatch.setattr(sums, "STREAMS", 20)
    by_one = polyreg.fit(frame, **options).to_frame().set_index("sensor").sort_index()
    pd.testing.assert_frame_equal(by_one, mixed, check_exact=True)  # the order is the table's
    for name in once.columns.drop(["note", "digits"]):
        assert mixed[name].to_numpy(float) == pytest.approx(once[name].to_numpy(float), rel=1e-9)


def test_compiled_loops_are_those_that_python_runs(monkeypatch):
    frame = table(groups=4, rows=60)
    options = {"target": "y", "features": "x", "by": "sensor", "degree": 2}
    fast = polyreg.fit(frame, **options).to_frame()
    monkeypatch.setattr("polyreg.groups.sums.compiled", lambda function: None)
    monkeypatch.setattr("polyreg.groups.solved.compiled", lambda function: None)
    pd.testing.assert_frame_equal(polyreg.fit(frame, **options).to_frame(), fast, rtol=1e-14)


def test_a_group_that_cannot_be_fitted_has_its_reason(tmp_path):
    frame = table()
    frame.loc[frame.index[frame.sensor == "s3"][1], "y"] = np.nan
    frame.loc[frame.index[frame.sensor == "s4"][0], "w"] = -1
    more = pd.DataFrame({"sensor": ["few", *["flat"] * 5], "x": [1.0] * 6, "y": 2.0, "w": 1.0})
    frame = pd.concat([frame, more], ignore_index=True)
    place = tmp_path / "t.csv"
    frame.to_csv(place, index=False)
    options = {"target": "y", "features": "x", "weights": "w", "by": "sensor", "degree": 2}
    found = polyreg.fit(str(place), **options)
    lost, bad = (frame.index[frame.sensor == s] for s in ("s3", "s4"))
    assert found.failed == {
        "s3": f"a missing or infinite value in row {lost[1] + 1} of t.csv",
        "s4": f"the weight in row {bad[0] + 1} of t.csv is -1 and must be positive",
        "few": "1 row for 3 terms",
        "flat": "5 rows tell only 1 of 3 terms apart",
    }
    assert len(found) == 23 and "few" not in found
    with pytest.raises(KeyError, match="'few' has no polynomial: 1 row for 3 terms"):
        found["few"]
    told = found.to_frame().set_index("sensor")
    assert told.loc["flat", "note"] == found.failed["flat"] and np.isnan(told.loc["flat", "coef/x"])
    assert told.loc["s1", "note"] == ""
    with pytest.raises(Refused, match="require_all: 4 of 27 groups cannot be fitted, the first s"):
        polyreg.fit(str(place), require_all=True, **options)
    dropped = polyreg.fit(str(place), missing="drop", **options)
    assert dropped["s3"].nobs == len(lost) - 1 and dropped.rows_missing == 1


def test_keys_are_values_as_they_are_written(tmp_path):
    rows = pd.DataFrame({"k": ["1", "2"] * 4, "m": ["007", "a"] * 4, "x": range(8), "y": range(8)})
    rows.to_csv(tmp_path / "t.csv", index=False)
    options = {"target": "y", "features": "x", "degree": 1}
    assert list(polyreg.fit(str(tmp_path / "t.csv"), by="k", **options)) == [1, 2]
    assert list(polyreg.fit(str(tmp_path / "t.csv"), by="m", **options)) == ["007", "a"]
    both = polyreg.fit(str(tmp_path / "t.csv"), by=["k", "m"], **options)
    assert list(both) == [(1, "007"), (2, "a")] and both[2, "a"].nobs == 4
    rows = rows.astype({"k": int})
    rows.to_parquet(tmp_path / "t.parquet")
    assert list(polyreg.fit(str(tmp_path / "t.parquet"), by="k", **options)) == [1, 2]
    for year in (2024, 2025):
        (tmp_path / "hive" / f"year={year}").mkdir(parents=True)
        rows.drop(columns="m").to_parquet(tmp_path / "hive" / f"year={year}" / "a.parquet")
    assert list(polyreg.fit(str(tmp_path / "hive"), by="year", **options)) == [2024, 2025]
    rows.loc[3, "m"] = None
    with pytest.raises(BadTable, match="row 4 of the data has no value of m, and belongs to no"):
        polyreg.fit(rows, by="m", **options)
    assert polyreg.fit(rows, by="m", missing="drop", **options).rows_missing == 1


def test_degrees_are_chosen_for_each_group_or_for_all():
    rng = np.random.default_rng(0)
    sensor = np.repeat(np.arange(12), 40)
    x = rng.uniform(-1, 1, 480)
    y = np.where(sensor < 6, 1 + x, x + 2 * x**3) + 0.1 * rng.normal(size=480)
    frame = pd.DataFrame({"s": sensor, "x": x, "y": y})
    options = {"target": "y", "by": "s", "degree": "auto", "max_degree": 5}
    for criterion in ("aicc", "bic"):
        found = polyreg.fit(frame, criterion=criterion, **options)
        for key, rows in frame.groupby("s"):
            fits = [sm.OLS(rows.y, np.vander(rows.x, d + 1)).fit() for d in range(6)]
            if criterion == "bic":
                known = [f.bic for f in fits]
            else:
                p = np.arange(1, 7) + 1
                known = [
                    -2 * f.llf + 2 * k + 2 * k * (k + 1) / (40 - k - 1)
                    for f, k in zip(fits, p, strict=True)
                ]
            assert found[key].design.degree == int(np.argmin(known))
    assert "AICc" in polyreg.fit(frame, **options).notes[0]
    tested = polyreg.fit(frame, criterion="f", **options)
    assert all(tested[k].design.degree >= 3 for k in range(6, 12))
    same = polyreg.fit(frame, same_degree=True, **options).to_frame()
    assert set(same.degree) == {3}


@pytest.mark.parametrize("how", HOW)
def test_rows_are_predicted_by_their_own_group(how):
    frame = table(2.0)
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=2, **HOW[how])
    new = frame[::9].reset_index(drop=True)
    got = found.predict(new)
    module = GroupedModel(found)
    order = [key for (key,) in found.all_keys]
    for i, row in new.iterrows():
        weights = {"weights": {"weights": row.w}, "sigma": {"sigma": row.w}}.get(how, {})
        known = found[row.sensor].predict([row.x], "prediction", **weights)
        assert got.loc[i, ["prediction", "low", "high"]].tolist() == pytest.approx(
            [float(v[0]) for v in known], rel=1e-10
        )
        inside = found[row.sensor].low[0] <= row.x <= found[row.sensor].high[0]
        assert got.extrapolated[i] == (not inside) and got.known[i]
    pairs = np.stack([[order.index(s) for s in new.sensor], new.x], axis=1)
    from torch import from_numpy

    assert module(from_numpy(pairs)).detach().numpy()[:, 0] == pytest.approx(got.prediction)
    pairs[0, 0], pairs[1, 0] = -1, np.nan  # an unknown key's number, and none
    assert module(from_numpy(pairs)).isnan()[:, 0].tolist()[:3] == [True, True, False]
    mean = found.predict(new, "confidence", level=0.5)
    _, low, _ = found[new.sensor[0]].predict([new.x[0]], "confidence", level=0.5)
    assert mean.low[0] == pytest.approx(low[0])
    strange = found.predict(pd.DataFrame({"sensor": ["s1", "who"], "x": [3.0, 3.0], "w": 1.0}))
    assert strange.known.tolist() == [True, False] and np.isnan(strange.prediction[1])


def test_a_document_holds_all_that_the_results_are():
    frame = table(groups=5, rows=80)
    frame.loc[0, "y"] = np.nan
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=2)
    again = type(found).from_document(*found.document())
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame())
    assert again.failed == found.failed and list(again) == list(found)
    key = next(iter(found))
    assert again[key].to_dict() == found[key].to_dict()


def test_loops_and_predictor_stand_alone():
    from inspect import getsource

    for module in (triangles, solving, curves):
        assert "polyreg" not in getsource(module).split('"""', 2)[2]


BAD = {
    "no such column": ({"by": "who"}, "no column 'who'"),
    "two variables": ({"features": ["x", "w"]}, "by fits one variable, and there are 2: x, w"),
    "robust": ({"loss": "huber"}, "no loss huber; leave it out, or fit each group's rows alone"),
    "ridge": ({"ridge": 1.0}, "by takes no ridge 1; leave it out, or fit each"),
    "weights of y": ({"weights": "1/y"}, "by takes no weights 1/y"),
    "key and feature": ({"by": "x"}, "'x' is chosen twice"),
    "folds": (
        {"folds": 5},
        "by takes no folds 5; leave it out, and choose degrees by criterion aicc",
    ),
    "cuda": ({"device": "cuda"}, "by takes no device='cuda'; take device='cpu'"),
    "lack of fit": ({"degree": "auto", "criterion": "lack-of-fit"}, "by takes no criterion"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_groups_cannot_have_is_refused_in_one_line(what):
    options, said = BAD[what]
    given = {"target": "y", "features": "x", "by": "sensor", "degree": 1} | options
    with pytest.raises(PolyregError, match=said) as error:
        polyreg.fit(table(), **given)
    assert len(str(error.value).splitlines()) == 1


def test_options_of_groups_need_groups_and_a_frame():
    with pytest.raises(Refused, match="same_degree is of groups; name their by"):
        polyreg.fit([1, 2, 3], [1, 2, 3], degree=1, same_degree=True)
    with pytest.raises(BadTable, match="by='s' names a column, and x is no frame"):
        polyreg.fit([1, 2, 3], [1, 2, 3], degree=1, by="s")
    tiny = pd.DataFrame({"s": [1, 2], "x": [1.0, 2], "y": [1.0, 2]})
    with pytest.raises(Refused, match="none of the 2 groups can be fitted; the first: 1 row for 2"):
        polyreg.fit(tiny, target="y", by="s", features="x", degree=1)


@pytest.mark.parametrize("offset", [0.0, 2000.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_pooled_fits_are_tested_as_statsmodels_does(offset, weighted):
    rng = np.random.default_rng(1)
    frame = table(offset, groups=6, rows=150)
    frame["t"] = frame.x - frame.x.mean()
    frame["y"] += 0.3 * frame.t * (frame.sensor == "s2") + rng.normal(size=150)
    how = {"weights": "w"} if weighted else {}
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=2, **how)
    formulas = ["t + I(t**2)", "C(sensor) + t + I(t**2)", "C(sensor) * t + I(t**2)"]
    given = {"weights": frame.w if weighted else np.ones(150)}
    own = wls("y ~ C(sensor) * (t + I(t**2))", frame, **given).fit()
    for row, formula in zip(found.tests.itertuples(), formulas, strict=True):
        known = wls(f"y ~ {formula}", frame, **given).fit()
        F, p, df = own.compare_f_test(known)
        assert (row.F, row.p) == (pytest.approx(F, rel=1e-8), pytest.approx(p, rel=1e-6))
        assert (row.df1, row.df2) == (df, own.df_resid)
        assert row.rss == pytest.approx(known.ssr, rel=1e-8)
    variation = found.variation
    centre = (frame.x.min() + frame.x.max()) / 2
    for k, term in enumerate(variation.itertuples()):
        values, errors = [], []
        for key in found:
            moved = found[key].to_numpy()
            derivatives = [moved.deriv(k) if k else moved][0](centre)
            values.append(derivatives / math.factorial(k))
            errors.append(derived_error(found[key], centre, k, math.sqrt(own.scale)))
        with np.errstate(invalid="ignore"):  # of another of its variances
            known = combine_effects(np.array(values), np.array(errors) ** 2, method_re="dl")
        assert pytest.approx(known.q, rel=1e-6) == term.Q
        assert term.sd_between**2 == pytest.approx(max(0, known.tau2), rel=1e-5, abs=1e-9)
        mean = known.mean_effect_re if known.tau2 > 0 else known.mean_effect_fe
        assert term.mean == pytest.approx(mean, rel=1e-6, abs=1e-7)
    assert found.differing.key[0] in {"s0", "s5"} and found.differing.p_bonferroni[0] < 1e-6


def derived_error(result, x, k, scale):
    """Of the k-th derivative over k! at x, from the basis; residual SD common to all groups."""
    moved = result.design.recurrences[0].powers(x, 1.0)
    row = np.array([float(p[k]) if k < len(p) else 0.0 for p in moved])
    return scale * math.sqrt(row @ result.solution.inverse @ row)


def test_groups_of_one_curve_are_told_so_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        s, x = np.repeat(np.arange(5), 8), rng.uniform(0, 3, 40)
        frame = pd.DataFrame({"s": s, "x": x, "y": 1 + x + rng.normal(size=40)})
        found = polyreg.fit(frame, target="y", features="x", by="s", degree=1)
        p.append(found.tests.p.tolist())
    below = (np.array(p) < 0.05).mean(axis=0)
    assert below.shape == (2,) and (np.abs(below - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 200)).all()


def test_nothing_is_pooled_where_nothing_is_left_to_judge_by():
    frame = pd.DataFrame({"s": [1, 1, 2, 2], "x": [1.0, 2, 1, 2], "y": [1.0, 2, 3, 5]})
    found = polyreg.fit(frame, target="y", features="x", by="s", degree=1)
    assert found.tests is None and found.variation is None and found.differing is None
    alone = polyreg.fit(table(groups=1), target="y", features="x", by="sensor", degree=1)
    assert alone.tests is None


@pytest.mark.parametrize("how", ["plain", "sigma", "no intercept"])
def test_certified_groups_are_exact_to_the_numbers_as_they_are_written(tmp_path, how):
    frame = table(2000.0, groups=4, rows=90).round(3)
    frame.to_csv(tmp_path / "t.csv", index=False)
    options = {"target": "y", "features": "x", "degree": 3, "precision": "certified", **HOW[how]}
    found = polyreg.fit(str(tmp_path / "t.csv"), by="sensor", **options)
    for key, rows in frame.groupby("sensor"):
        rows.to_csv(tmp_path / f"{key}.csv", index=False)
        alone = polyreg.fit(str(tmp_path / f"{key}.csv"), **options)
        one = found[key]
        assert one.precision == "certified" and (one.digits == alone.digits).all()
        assert (one.coefficients == alone.coefficients).all()
        assert one.std_errors == pytest.approx(alone.std_errors, rel=1e-14)
        new = rows.x.to_numpy()[:5]
        assert one(new) == pytest.approx(alone(new), rel=1e-14)
    again = type(found).from_document(*found.document())
    assert again["s1"].precision == "certified"


def test_a_new_group_s_intervals_hold_as_often_as_their_level_says():
    curve, new = held(groups=30, points=2, tables=300)
    for part in (curve, new):  # of 300 by chance 95 % +- 1.3
        assert 0.91 < part < 0.99
    assert held(groups=30, points=2, tables=20, seed=1) != (1.0, 1.0)


@pytest.mark.parametrize("intercept", [True, False])
def test_a_new_group_is_the_best_linear_prediction_of_its_population(intercept):
    frame = table(2000.0, groups=30, rows=900)
    options = {"target": "y", "features": "x", "by": "sensor", "degree": 1, "intercept": intercept}
    found = polyreg.fit(frame, **options)
    common = found.pooled
    x, y = np.array([2001.0, 2003.0]), np.array([110.0, 111.0])
    new = found.adapt(x, y)
    q = common.terms(new.design, x)
    ratio = stats.t.ppf(0.975, common.groups - 1) / stats.norm.ppf(0.975)
    prior = (np.array(common.between) + common.spread) * ratio**2
    joint = np.linalg.inv(np.linalg.inv(prior) + q.T @ q / common.noise)
    known = joint @ (np.linalg.solve(prior, common.mean) + q.T @ y / common.noise)
    grid = np.linspace(2000, 2010, 5)
    at = common.terms(new.design, grid)
    values, low, high = new.predict(grid, "confidence")
    assert values == pytest.approx(at @ known, rel=1e-8)
    half = stats.t.ppf(0.975, new.df_resid) * np.sqrt(np.einsum("nj,jk,nk->n", at, joint, at))
    assert (high - low) / 2 == pytest.approx(half, rel=1e-6)
    many = found.adapt(np.tile(x, 2000), np.tile(y, 2000))
    assert many(x) == pytest.approx(y, abs=0.02 if intercept else 2)
    assert "the shape of 30 groups, moved to 2 points" in str(new.summary())
    assert new.std_errors[-1] > 0 and new.intercept == intercept
    again = type(found).from_document(*found.document()).adapt(x, y)
    assert again.to_dict() == new.to_dict()
    loaded = polyreg.Result.from_dict(new.to_dict())
    for interval in ("confidence", "prediction"):
        pairs = zip(loaded.predict(grid, interval), new.predict(grid, interval), strict=True)
        assert all(a == pytest.approx(b, rel=1e-10) for a, b in pairs)
    assert np.isnan([new.aic, new.bic, new.r2]).all()


def test_a_population_is_what_made_the_groups():
    rng = np.random.default_rng(0)
    rows, _ = drawn(rng, 4000)
    found = polyreg.fit(rows, target="y", features="x", by="s", degree=2)
    common = found.pooled
    x = np.linspace(0, 10, 6)
    q = common.terms(found.adapt([1], [1]).design, x)
    phi = np.vander(x, 3, increasing=True)
    assert q @ common.mean == pytest.approx(phi @ MEAN, rel=0.02)
    wide = np.einsum("nj,jk,nk->n", q, np.array(common.between), q)
    assert wide == pytest.approx(np.einsum("nj,jk,nk->n", phi, BETWEEN, phi), rel=0.1)


def test_points_that_are_none_and_fleets_that_are_none_are_refused():
    frame = table()
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=1)
    for x, y, said in (
        ([1], [1, 2], "1 values and y 2"),
        ([], [], "0 values"),
        ([np.nan], [1], "must be finite"),
    ):
        with pytest.raises(PolyregError, match=said):
            found.adapt(x, y)
    weighed = polyreg.fit(frame, target="y", features="x", by="sensor", degree=1, weights="w")
    with pytest.raises(PolyregError, match="the fit has weights"):
        weighed.adapt([1], [1])
    alone = polyreg.fit(table(groups=1), target="y", features="x", by="sensor", degree=1)
    with pytest.raises(PolyregError, match="fewer than two groups"):
        alone.adapt([1], [1])


def test_what_leaves_float64_is_its_group_s_reason():
    frame = table(groups=4, rows=80)
    frame.loc[frame.sensor == "s1", "y"] *= 1e300
    frame.loc[frame.sensor == "s2", "x"] *= 1e-160
    frame.loc[frame.sensor == "s3", "y"] *= 1e-300
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=1)
    assert list(found) == ["s0"] and "squares leave float64" in found.failed["s1"]
    assert "powers up to 1 leave float64" in found.failed["s2"]
    assert "squares leave float64" in found.failed["s3"]


def test_weights_by_x_need_x_above_0():
    frame = table(groups=2, rows=40)
    frame.loc[frame.index[frame.sensor == "s1"][0], "x"] = -2.0
    for weights in ("1/x", "1/x^2"):
        found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=1, weights=weights)
        assert f"--weights {weights} needs x above 0; it is -2 in row" in found.failed["s1"]


def test_a_number_is_no_key_that_was_written_in_another_way():
    rows = pd.DataFrame({"k": ["007", "7", "a"] * 4, "x": range(12), "y": range(12)})
    found = polyreg.fit(rows, target="y", features="x", by="k", degree=1)
    asked = {"k": [7, "7", "007", "a"], "x": [1.0] * 4}
    assert found.predict(asked).known.tolist() == [False, True, True, True]
    plain = polyreg.fit(rows[rows.k != "007"], target="y", features="x", by="k", degree=1)
    assert plain.predict(asked).known.tolist() == [True, True, False, True]


def test_one_degree_for_all_is_a_choice_among_degrees():
    with pytest.raises(Refused, match="same_degree is a choice of degree='auto'"):
        polyreg.fit(table(), target="y", features="x", by="sensor", degree=1, same_degree=True)


def test_an_uncertainty_whose_square_leaves_float64_is_its_group_s_reason():
    frame = table(groups=3, rows=60)
    frame.loc[frame.index[frame.sensor == "s1"][2], "w"] = 1e-200
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=1, sigma="w")
    assert list(found.failed) == ["s1"] and "is 1e-200, whose square leaves" in found.failed["s1"]


def test_what_the_exact_fit_refuses_is_its_group_s_reason():
    frame = table(groups=3, rows=60)
    frame.loc[frame.index[frame.sensor == "s2"][:5], "w"] = 1e-30  # no trace beside the others
    options = {"target": "y", "features": "x", "by": "sensor", "degree": 1, "weights": "w"}
    found = polyreg.fit(frame, precision="certified", **options)
    assert list(found.failed) == ["s2"] and "leave no trace" in found.failed["s2"]
    assert found["s1"].precision == "certified" and np.isnan(found.to_frame()["coef/x"]).sum() == 1


def test_predictions_and_errors_need_no_pooled_fit(monkeypatch):
    found = polyreg.fit(table(), target="y", features="x", by="sensor", degree=1)
    monkeypatch.setattr(found, "_common", None)
    assert found.predict({"sensor": ["s1"], "x": [1.0]}).known.all()


def test_files_left_out_and_an_unusual_dialect_are_told(tmp_path):
    frame = table(groups=3, rows=60)
    frame.to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=",")
    (tmp_path / "b.csv").write_text("")
    found = polyreg.fit(
        str(tmp_path), target="y", features="x", by="sensor", degree=1, skip_bad_files=True
    )
    assert "b.csv is empty" in found.source.skipped[0]
    assert "separated by ';', decimal comma" in found.notes[0]
    assert any("left out: b.csv is empty" in said for said in report(found)[1])


def require_residuals(x, y, degree, first):
    """Of one group whose `first` rows come before the others."""
    both = sums.Factors(degree + 2, False, False)
    for part in (slice(0, first), slice(first, None)):
        both.add(np.zeros(len(x[part]), np.int64), x[part], y[part], None)
    both.trim(1)
    left = y - np.polyval(np.polyfit(x, y, degree), x)
    assert both.factors[0, -1, -1] ** 2 == pytest.approx(left @ left, rel=1e-9)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("cut", range(1, 8))
def test_rows_that_come_in_two_parts_leave_the_same_residuals(degree, cut):
    x = np.array([1.0, 1, 1, 2, 2, 3, 4, 5, 6])  # of the first three, y alone differs
    y = np.array([1.0, 3, 8, 4, 4.5, 6, 7, 9, 2])
    require_residuals(x, y, degree, cut)


@pytest.mark.parametrize("seed", range(40))
def test_equal_x_in_the_first_part_of_a_group_lose_no_residual(seed):
    rng = np.random.default_rng(seed)
    degree, first = int(rng.integers(1, 6)), int(rng.integers(2, 8))
    few = rng.choice(rng.uniform(0, 10, rng.integers(1, 4)), first)
    x, y = np.concatenate([few, rng.uniform(0, 10, 12)]), rng.normal(size=first + 12)
    require_residuals(x, y, degree, first)


def test_summary_and_table_say_what_the_command_says_and_escape_names():
    frame = table()
    frame["sensor"] = frame["sensor"].replace("s3", "<b>s3")
    frame.loc[len(frame)] = ["<i>", 1.0, 1.0, 1.0]
    found = polyreg.fit(frame, target="y", features="x", by="sensor", degree=1)
    lines, warnings = report(found)
    said = found.summary()
    assert said.startswith("\n".join(lines)) and len(warnings) == 1
    assert said.endswith("with the reason in Results.failed: <i> (1 row for 2 terms)")
    shown = found._repr_html_()
    assert "<b>" not in shown and "<i>" not in shown and "&lt;b&gt;s3" in shown
    assert "25 groups by sensor, 700 rows" in shown and shown.count("<tr") < 30


def test_the_plot_has_the_curves_of_the_groups_and_names_the_farthest():
    found = polyreg.fit(table(groups=9), target="y", features="x", by="sensor", degree=1)
    [axes] = found.plot().axes
    assert len([line for line in axes.lines if len(line.get_xdata()) > 2]) == len(found)
    assert axes.get_xlabel() == "x" and len(axes.get_legend().get_texts()) == 6
