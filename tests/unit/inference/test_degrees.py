"""Degrees compared: the literature's lack of fit, statsmodels' nested F, the criteria."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.anova import anova_lm

import polyreg
from polyreg.errors import PolyregError
from polyreg.inference.degrees import by_test
from polyreg.least_squares.study import grouping
from tests.support import oracle
from tests.support.designs import matrix_at

# Montgomery, Peck, Vining: Introduction to Linear Regression Analysis, section 4.5 (replicates).
X = [1, 1, 2, 3.3, 3.3, 4, 4, 4, 4.7, 5, 5.6, 5.6, 5.6, 6, 6, 6.5, 6.9]
Y = [10.84, 9.3, 16.35, 22.88, 24.35, 24.56, 25.86, 29.16, 24.59, 22.25, 25.9, 27.2, 25.61, 25.45]
Y += [26.56, 21.03, 21.46]
YEARS = np.arange(2001.0, 2020.0)


def test_lack_of_fit_is_that_of_the_textbook():
    line, curve = (polyreg.fit(X, Y, degree=d).lack_of_fit for d in (1, 2))
    assert curve.df == (7, 7) and curve.reason == ""
    assert abs(line.F - 13.188) < 5e-4 and line.df == (8, 7)
    assert line.p == pytest.approx(0.00139, abs=5e-6)
    assert abs(curve.F - 2.0335) < 5e-5 and curve.p == pytest.approx(0.1848, abs=5e-5)
    table = polyreg.fit(X, Y, degree=1).degrees
    assert table.lof_F[2] == pytest.approx(curve.F, rel=1e-10)


def hard(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    data = oracle.read_nist(name)
    return np.array(data.columns[0], float), np.array(data.y, float), max(map(max, data.exponents))


@pytest.mark.parametrize("name", ["Norris", "Pontius", "Wampler4", "Filip", "years"])
@pytest.mark.parametrize("kind", ["equal", "weights"])
def test_nested_f_is_that_of_statsmodels_in_a_basis_where_float64_can_say_it(name, kind):
    if name == "years":
        x, degree = YEARS, 6
        y = np.random.default_rng(3).normal(size=19) + 0.1 * (x - 2010) ** 2
    else:
        x, y, degree = hard(name)
    w = np.random.default_rng(5).uniform(0.5, 2, len(x)) if kind == "weights" else np.ones(len(x))
    found = polyreg.fit(x, y, degree=degree, weights=None if kind == "equal" else w)
    table = found.degrees
    basis = np.linalg.qr(np.sqrt(w)[:, None] * matrix_at(found, x))[0] / np.sqrt(w)[:, None]
    for k in range(1, degree + 1):
        low, high = (sm.WLS(y, basis[:, : d + 1], weights=w).fit() for d in (k - 1, k))
        wanted = anova_lm(low, high).iloc[1]
        assert table.F[k] == pytest.approx(wanted["F"], rel=1e-9, abs=1e-9)
        assert table.p[k] == pytest.approx(wanted["Pr(>F)"], rel=1e-8, abs=1e-300)


def test_known_uncertainties_give_differences_of_chi2():
    x, sigma = np.arange(12.0), np.linspace(0.5, 2, 12)
    y = 1 + 2 * x + 0.1 * x**2 + sigma * np.random.default_rng(1).normal(size=12)
    found = polyreg.fit(x, y, degree=1, sigma=sigma)
    table = found.degrees.to_dict("series")
    table = {name: values.to_numpy() for name, values in table.items()}
    chi2 = [polyreg.fit(x, y, degree=d, sigma=sigma).chi2 for d in range(4)]
    assert table["F"][1:] == pytest.approx(-np.diff(chi2), rel=1e-9)
    p = np.arange(1, 5)
    assert table["aicc"] == pytest.approx(chi2 + 2 * p + 2 * p * (p + 1) / (11 - p), rel=1e-12)
    assert table["bic"] == pytest.approx(chi2 + p * math.log(12), rel=1e-12)
    largest = np.abs((y - found.predict(x)) / sigma).max()
    assert found.weighted_deviation == pytest.approx(largest, rel=1e-10)
    assert table["largest_residual"][1] == pytest.approx(largest, rel=1e-10)


def test_differences_of_criteria_are_those_of_the_likelihood():
    table = polyreg.fit(X, Y, degree=2).degrees
    bic = [polyreg.fit(X, Y, degree=d).bic for d in range(5)]
    assert np.diff(table.bic) == pytest.approx(np.diff(bic), rel=1e-9)


@pytest.mark.parametrize("most", [10**6, 24])
def test_lack_of_fit_of_several_variables_is_that_of_the_cell_means(monkeypatch, most):
    monkeypatch.setattr("polyreg.tables.rows.BLOCK_ROWS", 11)
    monkeypatch.setattr(grouping, "MOST", most)
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, (60, 2)).astype(float)
    x[x[:, 0] == 0, 0] = rng.choice([0.0, -0.0], (x[:, 0] == 0).sum())
    y = 1 + x @ [1, 2] + 0.3 * x[:, 0] * x[:, 1] + rng.normal(0, 0.5, 60)
    found = polyreg.fit(x, y, degree=1).lack_of_fit
    cells = sm.OLS(y, np.unique(x, axis=0, return_inverse=True)[1][:, None] == range(9)).fit()
    F, p, _ = cells.compare_f_test(sm.OLS(y, sm.add_constant(x)).fit())
    assert (found.F, found.p) == pytest.approx((F, p), rel=1e-9)
    assert found.df == (6, 51)


def test_without_replicates_lack_of_fit_says_why():
    found = polyreg.fit(YEARS, YEARS % 3, degree=1).lack_of_fit
    assert math.isnan(found.F) and found.reason == "no rows share their x"


def test_an_exact_fit_needs_no_higher_degree():
    x = np.arange(9.0)
    table = polyreg.fit(x, 1 + x**2, degree=2).degrees
    assert table.F[2] == math.inf and table.p[2] == 0
    assert table.F[3:].isna().all()


def test_degrees_end_where_rows_cannot_tell_them_apart():
    x = np.repeat([0.0, 1, 2], 4)
    assert polyreg.fit(x, x**2 + np.arange(12), degree=1).degrees.degree.tolist() == [0, 1, 2]


@pytest.mark.parametrize("criterion", ["aicc", "bic", "f", "lack-of-fit"])
def test_a_criterion_chooses_the_degree_and_says_who_differs(criterion):
    found = polyreg.fit(X, Y, degree="auto", criterion=criterion, max_degree=5, folds=4)
    assert found.design.degree == found.selection.chosen == 2
    assert found.selection.sentence().startswith("degree 2 ")
    assert "agree" in found.selection.sentence()
    assert found.degrees.cv.notna().any()


def test_criteria_that_differ_are_named():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 60)
    y = 3 * x + 0.5 * x**3 + rng.normal(0, 0.05, 60)
    said = polyreg.fit(x, y, degree="auto", criterion="bic", max_degree=8).selection
    others = {"cv": said.by_cv, **said.choices}
    assert len(set(others.values())) > 1
    for name, degree in others.items():
        if degree != said.chosen:
            assert f"would take {degree}" in said.sentence(), name


def test_lack_of_fit_cannot_choose_without_replicates():
    with pytest.raises(PolyregError, match="no rows share their x"):
        polyreg.fit(YEARS, YEARS % 3, degree="auto", criterion="lack-of-fit", max_degree=3, folds=3)


def test_an_even_function_does_not_stop_the_f_test_at_an_odd_degree():
    assert by_test(np.array([np.nan, 0.6, 0.001, 0.8]), "f") == 2


def test_neighbours_are_told_in_a_sentence():
    said = polyreg.fit(X, Y, degree=2).study.degrees.neighbours(2)
    assert said.startswith("degree 2 against 1: F = 60.2, p = 2e-06; degree 3 adds nothing (F =")
    said = polyreg.fit(X, Y, degree=1).study.degrees.neighbours(1)
    assert said.endswith("degree 2 fits better (F = 60.2, p = 2e-06)")


def test_an_exact_degree_is_told_without_an_infinite_number():
    degrees = polyreg.fit([0, 1, 2], [0, 1, 2], degree=1).study.degrees
    assert np.isinf(degrees.F[1]) and degrees.p[1] == 0
    assert degrees.neighbours(1) == "degree 1 is exact, and degree 0 is not"
    assert degrees.neighbours(0) == "degree 1 is exact, and degree 0 is not"


def test_several_variables_have_no_table_of_degrees_and_say_so():
    x = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(PolyregError, match="of one variable"):
        _ = polyreg.fit(x, x.sum(1) + x[:, 0] ** 2, degree=1).degrees
