"""Normal equations against QR on the same columns, and against scikit-learn's ridge."""

import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from polyreg.errors import NearlySingular
from polyreg.least_squares.conditions.affine import Affine
from polyreg.least_squares.solve_float import Normal, solve
from tests.unit.polynomials.test_design import designed

EPS = 2.0**-52


class Case:
    """Two variables, degree 3: 10 terms, nearly orthogonal."""

    def __init__(self, weighted: bool = False, degree: int = 3, rows: int = 300):
        rng = np.random.default_rng(0)
        self.columns = [rng.uniform(-1, 2, size=rows), rng.normal(1, 1, size=rows)]
        self.y = 5 + np.sin(2 * self.columns[0]) * self.columns[1] + rng.normal(size=rows)
        self.w = rng.uniform(0.1, 3, size=rows) if weighted else np.ones(rows)
        self.design = designed(self.columns, degree)
        self.q = self.design.matrix(torch.from_numpy(np.stack(self.columns, axis=1))).numpy()

    def sums(self, centre=None) -> Normal:
        centre = np.zeros(self.q.shape[1]) if centre is None else centre
        row = np.concatenate([self.q, (self.y - self.q @ centre)[:, None]], axis=1)
        return Normal.of((row * self.w[:, None]).T @ row, centre)

    def lstsq(self, matrix) -> np.ndarray:
        root = np.sqrt(self.w)
        return np.linalg.lstsq(matrix * root[:, None], self.y * root, rcond=None)[0]

    def rss(self, fitted) -> float:
        return float(self.w @ (self.y - fitted) ** 2)

    @property
    def constants(self) -> np.ndarray:
        row = self.design.powers.rows[0]
        return np.array([float(row.get(t, 0) / max(map(abs, row.values()))) for t in range(10)])


def without_constant(constants) -> Affine | None:
    """Weights of polynomials that are 0 at 0, where the terms have these values (K,)."""
    if constants is None:
        return None
    return Affine(SimpleNamespace(exponents=constants, powers=Values(constants)), [0])


class Values:
    """Of terms at 0: the first row of design.Powers, and no other."""

    def __init__(self, constants):
        row = {t: Fraction(c) for t, c in enumerate(constants.tolist()) if c}
        self.rows = [row] + [{t: Fraction(1)} for t in range(1, len(constants))]


def near(matrix: np.ndarray) -> float:
    """What normal equations lose, relative to the largest weight."""
    scaled = matrix / np.linalg.norm(matrix, axis=0)
    return 20 * EPS * np.linalg.cond(scaled) ** 2 * matrix.shape[1]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("piloted", [False, True])
@pytest.mark.parametrize("size", [1, 3, 6, 10])
def test_the_optimum_in_the_first_terms_is_that_of_lstsq(weighted, piloted, size):
    case = Case(weighted)
    q = case.q[:, :size]
    centre = np.random.default_rng(1).normal(size=10) if piloted else None
    found, expected = solve(case.sums(centre), size), case.lstsq(q)
    largest = np.abs(expected).max() + (0 if centre is None else np.abs(centre).max())
    np.testing.assert_allclose(found.weights, expected, rtol=0, atol=near(q) * largest)
    assert found.rss == pytest.approx(case.rss(q @ expected), rel=near(q) * 10)
    inverse = np.linalg.inv((q * case.w[:, None]).T @ q)
    np.testing.assert_allclose(
        found.root.T @ found.root, inverse, rtol=0, atol=near(q) * np.abs(inverse).max()
    )
    weighty = q * np.sqrt(case.w)[:, None]
    truth = np.linalg.cond(weighty / np.linalg.norm(weighty, axis=0))
    assert found.condition == pytest.approx(truth, rel=near(q))


@pytest.mark.parametrize("weighted", [False, True])
def test_moving_the_centre_gives_the_sums_about_it(weighted):
    case = Case(weighted)
    rng = np.random.default_rng(2)
    start, centre = rng.normal(size=(2, 10))
    moved, direct = case.sums(start).about(centre), case.sums(centre)
    scale = case.w @ (np.abs(case.y) + np.abs(case.q) @ np.abs([start, centre]).max(0)) ** 2
    atol = 20 * EPS * scale
    assert np.array_equal(moved.centre, centre) and np.array_equal(moved.gram, direct.gram)
    np.testing.assert_allclose(moved.right, direct.right, rtol=0, atol=atol)
    assert moved.rss == pytest.approx(direct.rss, abs=atol)


@pytest.mark.parametrize("weighted", [False, True])
def test_mass_variances_and_totals_are_those_of_the_rows(weighted):
    case = Case(weighted)
    sums = case.sums(np.random.default_rng(3).normal(size=10))
    mass = case.w.sum()
    assert sums.mass == pytest.approx(mass, rel=1e-13)
    means = case.w @ case.q / mass
    variances = case.w @ (case.q - means) ** 2 / mass
    np.testing.assert_allclose(sums.variances(), variances, rtol=1e-12, atol=4 * EPS)
    about_mean = case.w @ (case.y - case.w @ case.y / mass) ** 2
    assert sums.total(intercept=True) == pytest.approx(about_mean, rel=1e-12)
    assert sums.total(intercept=False) == pytest.approx(case.w @ case.y**2, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ridge", [1e-3, 1.0, 50.0, 1e6])
def test_ridge_is_that_of_scikit_learn_on_standardized_features(ridge, weighted):
    import sklearn.linear_model as linear_model

    case = Case(weighted, degree=1)
    x = np.stack(case.columns, axis=1)
    mean = np.average(x, axis=0, weights=case.w)
    z = (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=case.w))
    theirs = linear_model.Ridge(alpha=ridge, solver="cholesky").fit(z, case.y, case.w)
    pilot = np.array([1.0, -2.0, 3.0])  # the penalty is on the weights, not on the step
    found = solve(case.sums(pilot), 3, ridge)
    np.testing.assert_allclose(case.q @ found.weights, theirs.predict(z), rtol=1e-12, atol=1e-12)
    assert found.rss == pytest.approx(case.rss(theirs.predict(z)), rel=1e-12)


def test_ridge_of_higher_terms_is_the_optimum_of_its_penalty():
    """As lstsq of a design with a row more for each penalty."""
    case, ridge = Case(weighted=True), 7.0
    root = np.sqrt(case.w)
    means = case.w @ case.q / case.w.sum()
    sds = np.sqrt(case.w @ (case.q - means) ** 2 / case.w.sum())
    matrix = np.concatenate([case.q * root[:, None], np.diag(np.sqrt(ridge) * sds)])
    goal = np.concatenate([case.y * root, np.zeros(10)])
    expected = np.linalg.lstsq(matrix, goal, rcond=None)[0]
    found = solve(case.sums(), 10, ridge).weights
    np.testing.assert_allclose(found, expected, rtol=0, atol=near(case.q) * np.abs(expected).max())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [3, 6, 10])
def test_without_a_constant_the_fit_is_that_of_the_monomials_but_1(weighted, size):
    case = Case(weighted)
    columns = np.array(case.columns)
    monomials = np.stack(
        [np.prod(columns.T**e, axis=1) for e in np.array(case.design.exponents[1:size])], axis=1
    )
    expected = monomials @ case.lstsq(monomials)
    for pilot in (None, np.random.default_rng(4).normal(size=10)):
        conditions = without_constant(case.constants[:size])
        found = solve(case.sums(pilot), size, conditions=conditions)
        atol = near(monomials) * np.abs(case.y).max()
        np.testing.assert_allclose(case.q[:, :size] @ found.weights, expected, rtol=0, atol=atol)
        assert found.rss == pytest.approx(case.rss(expected), rel=near(monomials) * 10)
        assert found.root.shape == (size - 1, size)
        at_0 = case.constants[:size] @ found.weights
        assert abs(at_0) <= 20 * EPS * (np.abs(case.constants[:size]) @ np.abs(found.weights))


def test_lifted_weights_are_0_at_0_and_all_such_weights_are_lifted():
    constants = np.array([0.5, -3.0, 0.0, 2.0])
    conditions = without_constant(constants)
    [pivot], lift = conditions.pivots, conditions.lift
    assert pivot == 1 and lift.shape == (4, 3) and np.linalg.matrix_rank(lift) == 3
    np.testing.assert_allclose(constants @ lift, 0, atol=4 * EPS)
    weights = np.random.default_rng(5).normal(size=4)
    weights -= constants * (constants @ weights) / (constants @ constants)
    np.testing.assert_allclose(lift @ np.delete(weights, pivot), weights, atol=20 * EPS)


@pytest.mark.parametrize("constants", [None, np.array([0.5, 0.3, 0.6])])
@pytest.mark.parametrize("difference", [0, 1e-13, 1e-9, 1e-6])
def test_columns_that_float64_cannot_tell_apart_are_refused(difference, constants):
    rng = np.random.default_rng(6)
    a = rng.uniform(-0.5, 0.5, size=100)
    b = 2 * a + difference * rng.normal(size=100)
    row = np.stack([np.full(100, 0.5), a, b, rng.normal(size=100)], axis=1)
    with pytest.raises(NearlySingular):
        conditions = without_constant(constants)
        solve(Normal.of(row.T @ row, np.zeros(3)), 3, conditions=conditions)
    found = solve(Normal.of(row.T @ row, np.zeros(3)), 2)
    assert math.isfinite(found.condition)


def test_columns_that_float64_can_tell_apart_are_not_refused():
    rng = np.random.default_rng(7)
    a = rng.uniform(-0.5, 0.5, size=100)
    row = np.stack([np.full(100, 0.5), a, a + 1e-3 * rng.normal(size=100), a], axis=1)
    found = solve(Normal.of(row.T @ row, np.zeros(3)), 3)
    truth = np.linalg.cond(row[:, :3] / np.linalg.norm(row[:, :3], axis=0))
    assert found.condition == pytest.approx(truth, rel=EPS * truth**2 * 100)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_sums_that_are_none_are_refused(bad):
    gram = np.diag([1.0, bad, 1.0])
    with pytest.raises(NearlySingular):
        solve(Normal.of(gram, np.zeros(2)), 2)


def test_ridge_lifts_a_dependence():
    a = np.random.default_rng(8).uniform(-0.5, 0.5, size=100)
    row = np.stack([np.full(100, 0.5), a, 2 * a, 3 * a], axis=1)
    found = solve(Normal.of(row.T @ row, np.zeros(3)), 3, ridge=1e-3)
    # Twice the variance and half of the weight each: both terms carry the same.
    assert found.weights[1] == pytest.approx(2 * found.weights[2], rel=1e-9)
