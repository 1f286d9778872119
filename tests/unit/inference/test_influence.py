"""Influence of rows and tests of residuals, against statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.sandbox.stats.runs import runstest_1samp
from statsmodels.stats.diagnostic import het_breuschpagan
from statsmodels.stats.outliers_influence import OLSInfluence
from statsmodels.stats.stattools import durbin_watson, jarque_bera

import polyreg
from polyreg.errors import PolyregError
from polyreg.inference.residuals import Residuals
from tests.support import oracle
from tests.support.designs import matrix_at

YEARS = np.arange(2001.0, 2020.0)


def data(name: str) -> tuple[np.ndarray, np.ndarray, int]:
    if name == "years":
        noise = np.random.default_rng(3).normal(size=19)
        return YEARS, noise + 0.1 * (YEARS - 2010) ** 2, 6
    if name == "easy":
        x = np.linspace(-1, 1, 40)
        return x, 1 + x + np.random.default_rng(1).normal(size=40), 1
    found = oracle.read_nist(name)
    degree = max(map(max, found.exponents))
    return np.array(found.columns[0], float), np.array(found.y, float), degree


@pytest.mark.parametrize("name", ["easy", "years", "Norris", "Pontius", "Filip", "Wampler4"])
@pytest.mark.parametrize("weighted", [False, True])
def test_influence_is_that_of_statsmodels(name, weighted):
    x, y, degree = data(name)
    w = np.random.default_rng(2).uniform(0.5, 2, len(x)) if weighted else None
    found = polyreg.fit(x, y, degree=degree, weights=w)
    table = found.diagnostics(x, y, weights=w)
    root = np.ones(len(x)) if w is None else np.sqrt(w)
    q = np.linalg.qr(matrix_at(found, x) * root[:, None])[0]  # float64 can say it in this basis
    told = OLSInfluence(sm.OLS(y * root, q).fit())
    near = {"rel": 1e-9, "abs": 1e-9}
    assert table.leverage.to_numpy() == pytest.approx(told.hat_matrix_diag, **near)
    assert table.standardized.to_numpy() == pytest.approx(told.resid_studentized_internal, **near)
    assert table.studentized.to_numpy() == pytest.approx(told.resid_studentized_external, **near)
    assert table.cooks_distance.to_numpy() == pytest.approx(told.cooks_distance[0], **near)
    assert table.dffits.to_numpy() == pytest.approx(told.dffits[0], **near)
    p = np.minimum(1, 2 * len(x) * stats.t.sf(np.abs(table.studentized), found.df_resid - 1))
    assert table.p_bonferroni.to_numpy() == pytest.approx(p, rel=1e-9)


def test_known_uncertainties_are_the_scale():
    x, sigma = np.arange(10.0), np.linspace(1, 2, 10)
    y = x + np.random.default_rng(0).normal(size=10)
    found = polyreg.fit(x, y, degree=1, sigma=sigma)
    table = found.diagnostics(x, y, sigma=sigma)
    z = (y - found.predict(x)) / sigma / np.sqrt(1 - table.leverage)
    assert table.studentized.to_numpy() == pytest.approx(z, rel=1e-12)
    p = np.minimum(1, 20 * stats.norm.sf(np.abs(z)))
    assert table.p_bonferroni.to_numpy() == pytest.approx(p, rel=1e-9)
    with pytest.raises(PolyregError, match="weighted by sigma; give sigma="):
        found.diagnostics(x, y)


def test_a_frame_brings_its_column_of_weights():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": np.arange(9.0), "w": rng.uniform(1, 2, 9), "y": rng.normal(size=9)})
    found = polyreg.fit(frame, target="y", features=["x"], weights="w", degree=1)
    table = found.diagnostics(frame, frame.y)
    assert table.leverage.sum() == pytest.approx(2, rel=1e-12)


def test_exact_fits_and_rows_that_decide_alone_are_not_judged():
    x = np.arange(8.0)
    table = polyreg.fit(x, 1 + 2 * x, degree=1).diagnostics(x, 1 + 2 * x)
    assert table[["standardized", "studentized", "cooks_distance"]].isna().all(axis=None)
    table = polyreg.fit([0.0, 1, 2], [1.0, 0, 5], degree=2).diagnostics([0.0, 1, 2], [1.0, 0, 5])
    assert table.studentized.isna().all() and table.leverage.to_numpy() == pytest.approx(1)
    x, y = [0.0, 0, 0, 0, 1], [1.0, 2, 1, 2, 9]
    table = polyreg.fit(x, y, degree=1).diagnostics(x, y)
    assert np.isnan(table.studentized[4]) and not table.studentized[:4].isna().any()


def test_a_ridge_has_no_leverages_and_says_so():
    x = np.arange(9.0)
    with pytest.raises(PolyregError, match="has a ridge"):
        polyreg.fit(x, x % 3, degree=1, ridge=1.0).diagnostics(x, x % 3)


@pytest.mark.parametrize("count, blocks", [(20, 3), (400, 7)])
@pytest.mark.filterwarnings("ignore")
def test_tests_of_residuals_are_those_of_statsmodels_however_blocks_are_cut(count, blocks):
    rng = np.random.default_rng(count)
    x = rng.uniform(1e3, 1e3 + 5, (count, 2))
    e = rng.normal(0, 1e-3 * (x[:, 0] - 999))
    found = Residuals(x.mean(0), np.ptp(x, axis=0) / 2, 1e-3)
    cuts = np.sort(rng.choice(np.arange(1, count), blocks - 1, replace=False))
    for rows in np.split(np.arange(count), cuts):
        found.add(x[rows], e[rows])
    near = {"rel": 1e-9}
    assert found.durbin_watson == pytest.approx(durbin_watson(e), **near)
    assert found.runs_test() == pytest.approx(runstest_1samp(e, cutoff=0), **near)
    # statsmodels takes x as it is; away from 0 float64 needs it centred
    told = het_breuschpagan(e, np.column_stack([np.ones(count), x - x.mean(0)]))
    assert found.breusch_pagan()[:2] == pytest.approx(told[:2], **near)
    assert found.jarque_bera() == pytest.approx(jarque_bera(e)[:2], **near)
