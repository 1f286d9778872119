"""Columns of words as levels: against statsmodels' formulas, exact rationals, and R's rsm."""

import json

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
import torch
from statsmodels.stats.anova import anova_lm

import polyreg
from polyreg.errors import PolyregError
from polyreg.inference.levels import level_lines
from polyreg.polynomials.module import FittedModel
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result
from polyreg.tables.words import levels as levels_of_tables
from tests.support import oracle
from tests.unit.inference.test_surface import CODING, chemreact

FORMS = {(): "y ~ (u + I(u**2)) + C(site)", ("site",): "y ~ (u + I(u**2)) * C(site)"}


def table(rows: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"u": rng.uniform(-2, 5, rows), "site": rng.choice([*"CAB"], rows)})
    offset = frame.site.map({"A": 0.0, "B": 0.3, "C": -0.2})
    slope = frame.site.map({"A": 0.0, "B": 0.1, "C": 0.0})
    frame["y"] = 1 + 2 * frame.u + 0.1 * frame.u**2 + offset + slope * frame.u
    frame["y"] += rng.normal(0, 0.3, rows)
    frame["w"] = rng.uniform(0.5, 2, rows)
    return frame


def fitted(frame: pd.DataFrame, interact=(), **options) -> Result:
    options = {"degree": 2, "target": "y", "features": ["u", "site"]} | options
    return polyreg.fit(frame, interact=interact, **options)


def by_name(result: Result) -> list[dict[str, float]]:
    """Estimates and standard errors by the names that the formulas of statsmodels give them."""
    names = []
    for term in result.terms:
        parts = [p for p in term.split("*") if p != "1"]
        parts = [f"C(site)[T.{p[5:]}]" if p.startswith("site=") else p for p in parts]
        names.append(":".join("I(u ** 2)" if p == "u^2" else p for p in parts) or "Intercept")
    both = (result.coefficients, result.std_errors)
    return [dict(zip(names, values.tolist(), strict=True)) for values in both]


@pytest.mark.parametrize("interact", FORMS)
@pytest.mark.parametrize("precision", ["certified", "fast"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_levels_have_the_coefficients_errors_and_tests_of_statsmodels(interact, precision, weights):
    frame = table()
    found = fitted(frame, interact, precision=precision, weights=weights)
    weighed = {"weights": frame[weights]} if weights else {}
    fit = smf.wls if weights else smf.ols
    wanted = fit(FORMS[interact], frame, **weighed).fit()
    estimates, errors = by_name(found)
    assert estimates.keys() == {*wanted.params.index}
    assert estimates == pytest.approx(wanted.params.to_dict(), rel=1e-9)
    assert errors == pytest.approx(wanted.bse.to_dict(), rel=1e-9)
    assert found.r2 == pytest.approx(wanted.rsquared, rel=1e-9)
    tests = found.wald_test_terms()
    assert [*tests.index] == ["site", "site (curves)"][: 1 + len(interact)]
    whole = wanted.compare_f_test(fit("y ~ u + I(u**2)", frame, **weighed).fit())
    assert tests.loc["site"].to_list()[:3] == pytest.approx(whole, rel=1e-9)
    assert (tests.df_denom == wanted.df_resid).all()
    if interact:
        curves = wanted.compare_f_test(fit(FORMS[()], frame, **weighed).fit())
        assert tests.loc["site (curves)"].to_list()[:3] == pytest.approx(curves, rel=1e-9)
    else:
        second = anova_lm(wanted, typ=2).loc["C(site)"]
        assert tests.loc["site", "statistic"] == pytest.approx(second.F, rel=1e-9)
        assert tests.loc["site", "pvalue"] == pytest.approx(second["PR(>F)"], rel=1e-9)


def test_where_uncertainties_are_known_the_test_is_of_chi2():
    frame = table()
    found, without = fitted(frame, sigma="w"), fitted(frame, sigma="w", features=["u"])
    row = found.wald_test_terms().loc["site"]
    assert row.statistic * 2 == pytest.approx(without.chi2 - found.chi2, rel=1e-9)
    assert row.df_denom == np.inf


def test_tests_hold_with_chosen_terms_too():
    frame = table()
    found = fitted(frame, "site", terms="1,u^2", degree=3)
    assert found.terms == ["1", "site=B", "site=C", "u^2", "u^2*site=B", "u^2*site=C"]
    wanted = smf.ols("y ~ I(u**2) * C(site)", frame).fit()
    for name, small in (("site", "y ~ I(u**2)"), ("site (curves)", "y ~ I(u**2) + C(site)")):
        F, p, _ = wanted.compare_f_test(smf.ols(small, frame).fit())
        row = found.wald_test_terms().loc[name]
        assert (row.statistic, row.pvalue) == pytest.approx((F, p), rel=1e-9)


@pytest.mark.parametrize("interact", FORMS)
def test_certified_levels_are_those_of_exact_rationals(interact):
    frame = table(30)
    frame["u"] += 2010
    found = fitted(frame, interact)
    x = [frame.u, *((frame.site == word) * 1.0 for word in "BC")]
    assert found.variables == ("u", "site=B", "site=C")
    truth = oracle.exact([c.tolist() for c in x], frame.y.tolist(), found.exponents)
    assert found.coefficients.tolist() == [float(c) for c in truth.coefficients]


def test_the_response_surface_of_chemreact_with_its_block_is_that_of_rsm():
    frame, block = chemreact()
    frame["block"] = np.where(block == 0, "first", "second")
    found = polyreg.fit(frame, target="Yield", features=["block", "Time", "Temp"], degree=2)
    point = found.stationary_point(coding=CODING)
    assert point.variables == ("Time", "Temp") and point.kind == "maximum"
    np.testing.assert_allclose(point.x, [86.86148, 176.67190], atol=5e-6)
    np.testing.assert_allclose(point.eigenvalues, [-1.3186949, -0.9233027], atol=5e-8)
    assert found.lack_of_fit[:2] == pytest.approx((0.53071, 0.68509), abs=5e-6)
    assert "Yield there at block=first: " in str(point)
    best = pd.DataFrame([point.x], columns=["Time", "Temp"]).assign(block="first")
    assert point.value == pytest.approx(found.predict(best)[0], rel=1e-12)


def test_with_curves_of_their_own_the_stationary_point_is_that_of_the_base_alone():
    frame = table(200)
    found = fitted(frame, "site").stationary_point()
    alone = polyreg.fit(frame[frame.site == "A"], target="y", features=["u"], degree=2)
    assert found.x == pytest.approx(alone.stationary_point().x, rel=1e-9)
    assert found.line.endswith("; site=A)") and "site" not in fitted(frame).stationary_point().line


def test_curves_of_all_levels_are_those_of_the_levels_alone():
    frame = table(200)
    found = fitted(frame, "site")
    for word, rows in frame.groupby("site"):
        alone = polyreg.fit(rows, target="y", features=["u"], degree=2)
        assert found.predict(rows) == pytest.approx(alone.predict(rows), rel=1e-9), word


def test_levels_do_not_depend_on_the_order_of_rows_and_files(tmp_path):
    frame = table()
    frame.to_csv(tmp_path / "one.csv", index=False)
    (tmp_path / "several").mkdir()
    for k, part in enumerate((frame[::-1][:20], frame[::-1][20:])):
        part.to_csv(tmp_path / f"several/{k}.csv", index=False)
    wanted, found = (fitted(str(tmp_path / name)) for name in ("one.csv", "several"))
    assert found.levels == {"site": ("A", "B", "C")}
    assert found.coefficients.tolist() == wanted.coefficients.tolist()
    assert (found.inputs, found.design.words) == (wanted.inputs, wanted.design.words)
    frame.to_parquet(tmp_path / "one.parquet")
    stored = fitted(str(tmp_path / "one.parquet"), precision="fast")
    assert stored.coefficients == pytest.approx(found.coefficients, rel=1e-12)


@pytest.mark.parametrize(
    "kind",
    [
        polars.from_pandas,
        pa.Table.from_pandas,
        lambda f: f.assign(site=f.site.astype("category")),
        lambda f: f.assign(site=f.site.astype("string")),
        lambda f: polars.from_pandas(f).with_columns(polars.col("site").cast(polars.Categorical)),
        lambda f: f.assign(site=f.site + " "),
    ],
)
def test_frames_of_every_kind_have_the_same_levels(kind):
    frame = table()
    given, wanted = kind(frame), fitted(frame)
    found = fitted(given)
    assert found.coefficients.tolist() == wanted.coefficients.tolist()
    assert found.predict(given).tolist() == wanted.predict(frame).tolist()


def test_categories_may_be_numbers_as_text_and_those_without_rows_are_no_levels():
    frame = table()
    frame["site"] = frame.site.map({"A": "1", "B": "10", "C": "2"})
    frame["site"] = pd.Categorical(frame.site, ["2", "7", "10", "1"])
    assert fitted(frame).levels == {"site": ("1", "10", "2")}
    with pytest.raises(PolyregError, match="column site is not a number"):
        fitted(frame.assign(site=frame.site.astype(str)))
    mixed = frame.assign(site=[1, "A"] * 30)
    assert fitted(mixed).levels == {"site": ("1", "A")}
    assert np.isfinite(fitted(mixed).predict(mixed)).all()
    with pytest.raises(PolyregError, match="column site is not a number"):
        fitted(frame.assign(site=[{"A": 1}, {"B": 2}] * 30))


def test_odd_words_are_quoted_in_terms_and_stay_in_their_line():
    frame = table(80)
    odd = ["a*b", "x^2", "two\nlines", "l" * 300, "`tick`"]
    frame["site"] = np.random.default_rng(3).choice(odd, 80)
    found = fitted(frame, "site")
    assert {"`site=x^2`", "u*site=two lines"} <= {*found.terms}
    [line] = level_lines(found)
    assert "\n" not in line and len(line) < 250
    assert "\n" not in found.equation() and np.isfinite(found.predict(frame)).all()


def test_a_column_without_a_name_can_be_a_number_and_no_words():
    frame = table(40).rename(columns={"u": ""})
    assert fitted(frame, features=["", "site"], degree=1).terms == ["1", "site=B", "site=C", "``"]
    with pytest.raises(PolyregError, match="column  is not a number"):
        fitted(table(40).rename(columns={"site": ""}), features=["u", ""])


def test_a_file_without_words_in_the_column_tells_nothing_of_its_kind(tmp_path):
    frame = table(40)
    frame[:20].to_csv(tmp_path / "1.csv", index=False)
    frame[20:].assign(site="").to_csv(tmp_path / "2.csv", index=False)
    with pytest.raises(PolyregError, match="20 of 40 rows of 2 files have a missing"):
        fitted(str(tmp_path))
    found = fitted(str(tmp_path), missing="drop")
    assert (found.nobs, found.levels) == (20, {"site": ("A", "B", "C")})


def test_several_columns_of_words_are_additive():
    frame = table(80)
    frame["lot"] = np.random.default_rng(5).choice(["x", "y"], 80)
    found = fitted(frame, "lot", features=["site", "u", "lot"], degree=1)
    wanted = smf.ols("y ~ C(site) + u * C(lot)", frame).fit()
    assert found.terms == ["1", "site=B", "site=C", "lot=y", "u", "u*lot=y"]
    lot = anova_lm(wanted, typ=2).loc["u:C(lot)"]
    row = found.wald_test_terms().loc["lot (curves)"]
    assert (row.statistic, row.pvalue) == pytest.approx((lot.F, lot["PR(>F)"]), rel=1e-9)


def test_robust_fits_and_chosen_degrees_have_levels():
    frame = table(120)
    frame.loc[::17, "y"] += 20
    robust = fitted(frame, loss="huber")
    design = pd.get_dummies(frame.site, drop_first=True, dtype=float)
    design = sm.add_constant(design.assign(u=frame.u, square=frame.u**2))
    wanted = sm.RLM(frame.y, design).fit(tol=1e-12, maxiter=500)
    assert robust.coefficients == pytest.approx(wanted.params.to_numpy(), rel=1e-6)
    assert not robust.wald_test_terms().empty
    found = fitted(table(120), degree="auto", max_degree=4)
    assert found.design.degree == found.selection.chosen == 2
    assert fitted(table(120)).design.degree == 2


def test_replicates_share_their_level_too():
    frame = table(90)
    frame["u"] = frame.u.round() + 0.0
    found = fitted(frame).lack_of_fit
    cells = pd.get_dummies(frame.site + frame.u.astype(str), dtype=float)
    wanted = sm.OLS(frame.y, cells).fit()
    F, p, _ = wanted.compare_f_test(smf.ols(FORMS[()], frame).fit())
    assert (found.F, found.p) == pytest.approx((F, p), rel=1e-9)


@pytest.mark.parametrize("interact", ["", "site"])
def test_degrees_of_the_number_are_compared_beside_the_levels(interact):
    frame = table()
    found = fitted(frame, interact or (), degree=1).degrees
    sign, powers = "*" if interact else "+", ("u", "u + I(u**2)", "u + I(u**2) + I(u**3)")
    forms = ["C(site)", *(f"({form}) {sign} C(site)" for form in powers)]
    fits = [smf.ols(f"y ~ {form}", frame).fit() for form in forms]
    assert found.degree.tolist() == [0, 1, 2, 3]
    assert found.rss.to_numpy() == pytest.approx([fit.ssr for fit in fits], rel=1e-9)
    for k in (1, 2, 3):
        F, p, _ = fits[k].compare_f_test(fits[k - 1])
        assert (found.F[k], found.p[k]) == pytest.approx((F, p), rel=1e-8)


NEW = pd.DataFrame({"site": ["B", "A", " C", "D", None], "u": [1, 0, 2.5, 1, 1]})


@pytest.mark.parametrize("interact", FORMS)
def test_every_form_of_the_model_says_the_same_and_knows_no_other_words(interact):
    result = fitted(table(), interact)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    with pytest.warns(UserWarning, match="row 4: 'D' is no level .* in 1 row more"):
        wanted = result.predict(NEW)
    assert np.isnan(wanted).tolist() == [False, False, False, True, True]
    assert result.predict([[1, "B"], [0, "A"]]) == pytest.approx(wanted[:2], rel=1e-15)
    loaded = Result.from_dict(document)
    assert loaded.predict(NEW[:3]) == pytest.approx(wanted[:3], rel=1e-13)
    assert (loaded.levels, loaded.variables) == (result.levels, result.variables)
    pd.testing.assert_frame_equal(loaded.wald_test_terms(), result.wald_test_terms())
    table_of = Predictor(document).predict(NEW)
    assert table_of.prediction.to_numpy() == pytest.approx(wanted, rel=1e-12, nan_ok=True)
    low = result.predict(NEW[:3], "prediction")[1]
    assert table_of.low.to_numpy() == pytest.approx([*low, *[np.nan] * 2], rel=1e-12, nan_ok=True)
    assert table_of.known.tolist() == [True, True, True, False, False]
    assert not table_of.extrapolated.any()
    places = torch.tensor([[1, 1], [0, 0], [2.5, 2], [1, 3], [1, -1], [1, 0.5]])
    module = FittedModel(result)(places).detach().numpy()[:, 0]
    assert module == pytest.approx([*wanted[:3], *[np.nan] * 3], rel=1e-12, nan_ok=True)
    assert result.predict(places.numpy()) == pytest.approx(module, rel=1e-12, nan_ok=True)


def test_the_equation_says_the_base_and_holds_in_each_form():
    frame = table()
    frame["u"] += 2e7
    result = fitted(frame, "site")
    for form in ("powers", "centred", "chebyshev"):
        text = result.equation(form)
        assert text.endswith(", site=B, ... are 1 at that level of site, else 0 (base A)")
        assert "*site=B" in text and "T_1(site" not in text
    # It is looked at where rows can be: in one level each.
    assert {*result.equations._x[:, 1:].sum(axis=1)} == {0.0, 1.0}
    assert result.equations.holds("centred") and not result.equations.holds("powers")
    assert "levels of site: A (base), B, C; they differ (F = " in result.summary().replace(
        "\n    ", " "
    )


@pytest.mark.parametrize(
    "change, options, told",
    [
        ({"site": "A"}, {}, "column site has one level alone, 'A'"),
        ({}, {"features": ["site"]}, "no feature is a number"),
        ({}, {"interact": "u"}, "interact u is no column of words among the features"),
        ({}, {"interact": "site", "features": ["u"]}, "interact site needs features to name"),
        ({}, {"by": "w"}, "by cannot be had with words, and site"),
        ({}, {"sigma": "w", "sigma_x": "w2"}, "sigma_x cannot be had with words"),
        ({}, {"weights": "1/y"}, "weights 1/y cannot be had with words"),
        ({}, {"through": [(0, 1)]}, "through 0:1 cannot be had with words"),
        ({}, {"intercept": False}, "intercept false cannot be had with words"),
        ({}, {"terms": "u", "degree": 3}, "counted from the constant; add 1 to terms"),
        ({"site": ["A"] * 58 + ["B"] * 2}, {"interact": "site"}, "site=B has 3 terms, and 2 rows"),
        ({"site": ["A"] * 59 + ["B"]}, {"degree": "auto"}, "site=B has one row alone"),
        ({"site": [None] + ["A", "B"] * 29 + ["A"]}, {}, "1 of 60 rows of the data has a missing"),
        ({"site": [f"{k} %" for k in range(60)]}, {}, "column site is not a number"),
    ],
)
def test_what_levels_cannot_be_is_one_line(change, options, told):
    frame = table().assign(w2=1.0).assign(**change)
    with pytest.raises(PolyregError, match=told) as error:
        fitted(frame, **options)
    assert "\n" not in str(error.value)


def test_too_many_words_are_refused_where_they_are_met(monkeypatch):
    monkeypatch.setattr(levels_of_tables, "MOST_LEVELS", 2)
    with pytest.raises(PolyregError, match="column site has more than 2 different words"):
        fitted(table())


def test_a_level_with_one_row_is_told():
    frame = table()
    frame.loc[7, "site"] = "Z"
    found = fitted(frame)
    assert "site=Z' has one row, which its offset fits exactly" in found.notes[0]
    assert found.predict(frame)[7] == pytest.approx(frame.y[7], rel=1e-12)
    assert not fitted(table()).notes


def test_missing_words_are_dropped_with_their_levels():
    frame = table()
    frame.loc[3, "site"], frame.loc[4, "site"], frame.loc[4, "u"] = "n.a.", "only here", np.nan
    found = fitted(frame, missing="drop", missing_values=["n.a."])
    assert (found.nobs, found.levels) == (58, {"site": ("A", "B", "C")})
    kept = frame.drop(index=[3, 4])
    assert found.coefficients.tolist() == fitted(kept).coefficients.tolist()
    # A code for a missing number is no level's.
    assert fitted(kept, missing="drop", missing_values=["0", "1"]).nobs == 58
