"""Stationary points: against R's rsm, rational arithmetic, a second fit, and simulation."""

import doctest
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, f

import polyreg
from polyreg.errors import PolyregError
from polyreg.inference import estimates
from tests.support.oracle import exact, total_degree

CODING = {"Time": (85, 5), "Temp": (175, 5)}


def chemreact() -> tuple[pd.DataFrame, np.ndarray]:
    """Table of Myers et al., as R's rsm has it, and its two blocks."""
    time = [80, 80, 90, 90, 85, 85, 85, 85, 85, 85, 92.07, 77.93, 85, 85]
    temp = [170, 180, 170, 180, 175, 175, 175, 175, 175, 175, 175, 175, 182.07, 167.93]
    yields = [80.5, 81.5, 82, 83.5, 83.9, 84.3, 84, 79.7, 79.8, 79.5, 78.4, 75.6, 78.5, 77]
    table = pd.DataFrame({"Time": time, "Temp": temp, "Yield": yields})
    return table, np.repeat([0.0, 1.0], 7)


def bowl(size: int, rows: int = 60, noise: float = 0.1, seed: int = 0, at=None, width=1.0):
    """Rows of a minimum at `at`, by default 0.2 in each variable, of eigenvalues 1 ... size."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-1, 1, (rows, size))
    y = 3 + (t - 0.2) ** 2 @ np.arange(1, size + 1) + rng.normal(0, noise, rows)
    return (0.0 if at is None else at) + width * t, y


def test_the_stationary_point_of_chemreact_is_that_of_rsm():
    table, block = chemreact()
    t = (table[["Time", "Temp"]].to_numpy() - (85, 175)) / 5
    powers = np.column_stack([np.prod(t**e, axis=1) for e in total_degree(2, 2)])
    # The other coefficients are those of the fit with the block (Frisch, Waugh and Lovell), once
    # its effect is taken out of y.
    effect = np.linalg.lstsq(np.c_[powers, block], table.Yield, rcond=None)[0][-1]
    table.Yield -= effect * block
    found = polyreg.fit(table, target="Yield", degree=2).stationary_point(coding=CODING)
    np.testing.assert_allclose(found.x, [86.86148, 176.67190], atol=5e-6)
    np.testing.assert_allclose(found.coded, [(86.86148 - 85) / 5, (176.6719 - 175) / 5], atol=2e-6)
    np.testing.assert_allclose(found.eigenvalues, [-1.3186949, -0.9233027], atol=5e-8)
    assert (found.kind, found.inside) == ("maximum", True)
    matrix = found.eigenvectors * found.eigenvalues @ found.eigenvectors.T
    coefficients = np.linalg.lstsq(powers, table.Yield, rcond=None)[0]
    of_b = [matrix[0, 0], 2 * matrix[0, 1], matrix[1, 1]]
    np.testing.assert_allclose(of_b, coefficients[3:], rtol=1e-10)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("precision", ["certified", "fast"])
def test_years_and_far_offsets_lose_no_digits(size, precision):
    at = np.array([2010.0, 1.7e9, -3e5, 1e-3, 1e7])[:size]
    width = np.array([9.0, 4e4, 2.0, 1e-6, 1.0])[:size]
    x, y = bowl(size, at=at, width=width)
    result = polyreg.fit(x, y, degree=2, precision=precision)
    found = result.stationary_point(coding={name: (0, 1) for name in result.variables})

    exponents = total_degree(size, 2)
    truth = exact(x.T.tolist(), y.tolist(), exponents)
    by = dict(zip(exponents, truth.coefficients, strict=True))

    def power(*variables: int) -> Fraction:
        return by[tuple(variables.count(d) for d in range(size))]

    twice = [[power(j, k) * (2 if j == k else 1) for k in range(size)] for j in range(size)]
    solution = solved(twice, [-power(d) for d in range(size)])
    [value] = truth.fitted([[s] for s in solution])
    # In units of the range, not of the offset, which alone would give years four digits.
    errors = [float(Fraction(a) - b) for a, b in zip(found.x, solution, strict=True)]
    assert np.abs(errors / width).max() < 1e-9 + np.spacing(np.abs(at / width)).max()
    assert found.value == pytest.approx(float(value), rel=1e-9)
    raw = np.array([[float(v) / 2 for v in row] for row in twice])
    scaled = np.linalg.eigvalsh(width[:, None] * raw * width)
    coding = dict(zip(result.variables, zip(at, width, strict=True), strict=True))
    np.testing.assert_allclose(result.stationary_point(coding=coding).eigenvalues, scaled, 1e-9)
    assert (found.kind == "minimum") == (found.eigenvalues > 0).all()


def solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gauss-Jordan elimination in rationals."""
    rows = [[*row, r] for row, r in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        rows[k] = [v / rows[k][k] for v in rows[k]]
        for i, row in enumerate(rows):
            if i != k:
                rows[i] = [v - row[k] * p for v, p in zip(row, rows[k], strict=True)]
    return [row[-1] for row in rows]


def test_errors_of_eigenvalues_are_those_of_double_linear_regression():
    x, y = bowl(3)
    y += x[:, 0] * x[:, 1] - 0.5 * x[:, 1] * x[:, 2]
    found = polyreg.fit(x, y, degree=2).stationary_point(
        coding={f"x{d}": (0, 1) for d in (1, 2, 3)}
    )
    again = polyreg.fit(x @ found.eigenvectors, y, degree=2)
    squares = [again.terms.index(f"x{d}^2") for d in (1, 2, 3)]
    np.testing.assert_allclose(found.eigenvalues, again.coefficients[squares], rtol=1e-9)
    np.testing.assert_allclose(found.eigenvalue_errors, again.std_errors[squares], rtol=1e-9)


def point_of(coefficients: np.ndarray) -> np.ndarray:
    """Of 1, a, b, a^2, a*b, b^2."""
    _, a, b, aa, ab, bb = coefficients
    return -np.linalg.solve([[2 * aa, ab], [ab, 2 * bb]], [a, b])


@pytest.mark.parametrize("known", [False, True])
def test_errors_and_region_are_those_of_the_covariance_in_powers_of_x(known):
    x, y = bowl(2)
    result = polyreg.fit(x, y, degree=2, **({"sigma": np.full(len(y), 0.1)} if known else {}))
    found, covariance = result.stationary_point(level=0.9), result.covariance()
    steps = np.sqrt(np.diag(covariance)) * 1e-4
    columns = [
        (point_of(result.coefficients + step) - point_of(result.coefficients - step)) / 2
        for step in np.diag(steps)
    ]
    slopes = np.array(columns).T / steps
    errors = np.sqrt(np.diag(slopes @ covariance @ slopes.T))
    np.testing.assert_allclose(found.std_errors, errors, rtol=1e-6)

    points = np.random.default_rng(1).uniform(0.17, 0.23, (50, 2))
    for point, statistic in zip(points, found.region.statistic(points), strict=True):
        a, b = point
        rows = np.array([[0, 1, 0, 2 * a, b, 0], [0, 0, 1, 0, a, 2 * b]])
        gradient = rows @ result.coefficients
        by_hand = gradient @ np.linalg.solve(rows @ covariance @ rows.T, gradient) / 2
        assert statistic == pytest.approx(by_hand, rel=1e-9)
    limit = chi2.ppf(0.9, 2) / 2 if known else f.ppf(0.9, 2, 54)
    assert found.region.limit == pytest.approx(limit)
    assert not found.contains([[1e300, 1], [math.inf, 0], [math.nan, 0]]).any()
    held = found.contains(points)
    assert np.array_equal(held, found.region.statistic(points) <= limit)
    assert 0 < held.sum() < 50 and found.contains(found.x).all()


def test_the_region_of_one_variable_is_where_the_slope_cannot_be_told_from_0():
    x, y = bowl(1)
    result = polyreg.fit(x, y, degree=2)
    found = result.stationary_point()
    assert found.x == pytest.approx(result.turning_points)
    grid = np.linspace(-1, 1, 400)
    rows = np.array([np.zeros(400), np.ones(400), 2 * grid]).T
    error = np.sqrt(((rows @ result.covariance()) * rows).sum(1))
    told = np.abs(result.derivative(grid)) > result.quantile() * error
    assert np.array_equal(found.contains(grid), ~told) and 0 < told.sum() < 400


def test_the_region_holds_the_truth_as_often_as_it_says():
    tables, level = 200, 0.95
    truth, held, near = [0.2, 0.2], 0, 0
    for seed in range(tables):
        # So much noise that the delta method alone would not do.
        x, y = bowl(2, rows=16, noise=0.5, seed=seed)
        found = polyreg.fit(x, y, degree=2).stationary_point(level=level)
        held += found.contains(truth)[0]
        near += found.contains([0.2, 0.9])[0]
    assert abs(held / tables - level) < 4 * math.sqrt(level * (1 - level) / tables)
    assert near < held / 2


def test_the_docstrings_example_prints_what_it_says():
    found = doctest.testmod(estimates)
    assert found.attempted > 3 and found.failed == 0


@pytest.mark.parametrize(
    "signs, kind", [((1, 1), "minimum"), ((-1, -1), "maximum"), ((1, -1), "saddle")]
)
def test_the_signs_of_the_eigenvalues_say_what_it_is(signs, kind):
    x, _ = bowl(2)
    y = x**2 @ np.array(signs) + np.random.default_rng(0).normal(0, 0.05, len(x))
    found = polyreg.fit(x, y, degree=2).stationary_point()
    assert found.kind == kind
    assert f"a {kind} (eigenvalues " in found.line


def test_an_eigenvalue_within_its_error_of_0_makes_a_ridge():
    x, _ = bowl(2)
    y = x[:, 0] ** 2 + np.random.default_rng(0).normal(0, 0.1, len(x))
    result = polyreg.fit(x, y, degree=2)
    found = result.stationary_point()
    assert found.kind == "ridge" and np.isfinite(found.x).all()
    assert "an eigenvalue cannot be told from 0" in found.line
    # Along the ridge nothing bounds the region.
    assert found.contains([[found.x[0], far] for far in (-50, 50)]).all()
    flat = np.abs(found.eigenvalues) / found.eigenvalue_errors
    assert result.quantile(0.5) < flat.min() < result.quantile(0.95)
    assert result.stationary_point(level=0.5).kind != "ridge"


@pytest.mark.parametrize("precision", ["certified", "fast"])
@pytest.mark.parametrize("offset", [0, 2000])
def test_a_singular_matrix_has_no_point(precision, offset):
    x = np.random.default_rng(0).integers(0, 9, (40, 2)).astype(float) + offset
    y = (x[:, 0] - x[:, 1]) ** 2
    found = polyreg.fit(x, y, degree=2, precision=precision).stationary_point()
    assert found.kind == "ridge" and not found.inside
    assert np.isnan([*found.x, *found.coded, *found.std_errors, found.value]).all()
    assert found.line.startswith("no stationary point, but a ridge: an eigenvalue is 0")
    assert "nan" not in str(found)


def test_a_point_outside_the_data_is_named_so():
    x, y = bowl(2)
    found = polyreg.fit(x[x[:, 0] > 0.5], y[x[:, 0] > 0.5], degree=2).stationary_point()
    assert not found.inside and ", outside the range of the data" in found.line
    assert found.coded[0] < -1


def test_without_errors_the_point_is_known_and_its_errors_are_not():
    x, y = bowl(2, rows=6)
    found = polyreg.fit(x, y, degree=2).stationary_point()
    assert np.isfinite(found.x).all() and found.kind in ("minimum", "saddle", "maximum")
    assert np.isnan([*found.std_errors, *found.eigenvalue_errors, found.region.limit]).all()
    with pytest.raises(PolyregError, match="a region needs the standard errors of a fit"):
        found.contains(found.x)
    assert "nan" not in str(found) and "region" not in str(found)


def test_printed_it_has_names_errors_and_both_tables():
    x, y = bowl(2)
    frame = pd.DataFrame({"speed": x[:, 0], "feed": x[:, 1], "wear": y})
    told = str(
        polyreg.fit(frame, target="wear", degree=2).stationary_point(coding={"feed": (3, 2)})
    )
    assert told.startswith("stationary point: speed = 0.2")
    assert "±" in told.splitlines()[0]
    [feed] = [line.split() for line in told.splitlines() if line.startswith("feed")]
    assert feed[-2:] == ["3", "2"] and float(feed[3]) == pytest.approx(-1.4, abs=0.05)
    assert "wear there: " in told and "95 % confidence region" in told


def test_what_has_no_stationary_point_is_refused_in_one_line():
    x, y = bowl(2)
    for degree in (1, 3):
        with pytest.raises(PolyregError, match=f"this fit has degree {degree}; fit with degree 2"):
            polyreg.fit(x, y, degree=degree).stationary_point()
    with pytest.raises(PolyregError, match="this is a training"):
        polyreg.train(degree=2).result().stationary_point()
    with pytest.raises(PolyregError, match="they tell 3 of 6 terms apart"):
        polyreg.fit(x[:, [0, 0]], y, degree=2).stationary_point()
    result = polyreg.fit(x, y, degree=2)
    with pytest.raises(PolyregError, match="level must be between 0 and 1; got 95"):
        result.stationary_point(level=95)
    with pytest.raises(PolyregError, match="coding names 'z'; the variables are x1, x2"):
        result.stationary_point(coding={"z": (0, 1)})
    for wrong in ((0, 0), (0, -1), (math.nan, 1), 3, ("a", "b")):
        with pytest.raises(PolyregError, match=r"coding of x1 must be \(centre, half width\)"):
            result.stationary_point(coding={"x1": wrong})
