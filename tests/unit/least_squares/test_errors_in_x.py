"""Least squares with known errors in x and y: examples of standards, an oracle, refusals."""

import json

import numpy as np
import pytest

import polyreg
from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.least_squares.errors_in_x.fit import METHOD, neighbours
from polyreg.polynomials.result import Result
from polyreg.tables import InMemory

pytestmark = pytest.mark.unit

X28037 = np.array([1.2, 1.9, 2.9, 4.0, 4.7, 5.9])
Y28037 = np.array([3.4, 4.4, 7.2, 8.5, 10.8, 13.5])
OF_28037 = {"sigma": np.array([0.2, 0.2, 0.2, 0.4, 0.4, 0.4]), "sigma_x": np.full(6, 0.2)}

B21 = np.array([[4.5, 0.045, 0.1969, 0.003938], [18.75, 0.1875, 0.7874, 0.015748]])
B21 = np.vstack([B21, [50, 0.5, 2.0228, 0.040456]])
B23 = np.array(
    [
        [1.0006, 0.00134, 963.7988, 14],
        [1.0010, 0.0011, 966.2585, 12.5],
        [1.9995, 0.0032, 1912.5692, 16.8],
        [3.0018, 0.0034, 2846.9306, 11.6],
        [3.9982, 0.0058, 3754.9386, 10.8],
        [4.0043, 0.0058, 3764.5905, 12.1],
        [4.9981, 0.0058, 4647.1511, 14.4],
        [5.9961, 0.0078, 5529.9991, 12.1],
        [7.9974, 0.0084, 7246.0082, 11.9],
        [7.9995, 0.010, 7240.4767, 10.7],
        [9.9980, 0.012, 8884.6955, 10.1],
        [10.0060, 0.0104, 8902.6916, 14.1],
    ]
)


def iso_6143(table, degree, **options):
    x, a, y, b = table.T
    return polyreg.fit(x, y, sigma=b, sigma_x=a, degree=degree, swap=True, **options)


def test_iso_28037():
    found = polyreg.fit(X28037, Y28037, degree=1, **OF_28037)
    assert found.coefficients == pytest.approx([0.5788, 2.1597], abs=5e-5)
    assert found.std_errors == pytest.approx([0.47642063, 0.13554793], abs=5e-9)
    assert found.covariance()[0, 1] == pytest.approx(-0.0577, abs=5e-5)
    assert found.chi2 == pytest.approx(2.743, abs=5e-4)
    assert (found.method, found.df_resid, found.is_known) == (METHOD, 4, True)


def test_iso_6143_b21():
    found = iso_6143(B21, 1)
    assert found.coefficients == pytest.approx([-0.35746759, 24.61152088], abs=6e-9)
    assert found.std_errors == pytest.approx([0.15713134, 0.48035507], abs=6e-9)
    assert found.deviation == pytest.approx(0.568, abs=5e-4)
    assert (found.swapped, found.target, found.variables) == (True, "x", ("y",))
    inverse = found.inverse([0.258, 0.6, 1.8], sigma=[0.00516, 0.012, 0.036])
    assert inverse.x == pytest.approx([5.9923, 14.409, 43.943], rel=4e-5)
    assert inverse.std_error == pytest.approx([0.16377, 0.35599, 1.1631], rel=1.2e-4)


@pytest.mark.parametrize("degree, aicc", [(1, 277.97), (2, 9.800), (3, 14.34), (4, 20.60)])
def test_iso_6143_b23(degree, aicc):
    found, p = iso_6143(B23, degree), degree + 1
    assert found.chi2 + 2 * p + 2 * p * (p + 1) / (12 - p - 1) == pytest.approx(aicc, abs=5.1e-3)
    if degree == 1:
        assert found.chi2 == pytest.approx(272.6392, abs=1e-3)
        assert found.deviation == pytest.approx(6.835, abs=2e-3)
    if degree == 2:
        assert found.coefficients == pytest.approx([9.68906e-3, 1.0164339e-3, 1.2018843e-8], 1e-6)
        assert found.chi2 == pytest.approx(0.800344, abs=1e-6)


@pytest.mark.parametrize("criterion, name", [("cv", "AICc"), ("aicc", "AICc"), ("bic", "BIC")])
def test_the_degree_is_chosen_by_a_criterion(criterion, name):
    found = iso_6143(B23, "auto", criterion=criterion)
    assert found.design.degree == 2
    assert f"degree 2 has the least {name}" in found.notes[0]
    assert any("cross-validation" in note for note in found.notes) == (criterion == "cv")


def drawn(seed):
    random = np.random.default_rng(seed)
    degree, size = int(random.integers(1, 5)), int(random.integers(8, 40))
    truth = random.normal(size=degree + 1)
    exact = np.sort(random.uniform(-1, 1, size))
    a, b = random.uniform(0.005, 0.06, size), random.uniform(0.02, 0.2, size)
    c = a * b * random.uniform(-0.9, 0.9, size)
    noise = np.array(
        [
            random.multivariate_normal([0, 0], [[p * p, r], [r, q * q]])
            for p, q, r in zip(a, b, c, strict=True)
        ]
    )
    y = np.polynomial.polynomial.polyval(exact, truth) + noise[:, 1]
    return degree, exact + noise[:, 0], y, a, b, c


@pytest.mark.parametrize("seed", range(20))
def test_odrpack_finds_the_same(seed):
    odrpack = pytest.importorskip("odrpack")
    degree, x, y, a, b, _ = drawn(seed)
    found = polyreg.fit(x, y, degree=degree, sigma=b, sigma_x=a)
    theirs = odrpack.odr_fit(
        lambda x, beta: np.polynomial.polynomial.polyval(x, beta),
        x,
        y,
        beta0=found.coefficients * 1.001 + 1e-4,
        weight_x=a**-2.0,
        weight_y=b**-2.0,
        jac_beta=lambda x, beta: np.vander(x, len(beta), increasing=True).T.copy(),
        jac_x=lambda x, beta: np.polynomial.polynomial.polyval(
            x, np.polynomial.polynomial.polyder(beta)
        ),
        maxit=2000,
        sstol=1e-16,
        partol=1e-15,
    )
    assert found.chi2 == pytest.approx(theirs.sum_square, rel=1e-10)
    assert np.abs(found.coefficients - theirs.beta).max() <= 1e-7 * np.abs(theirs.beta).max()


@pytest.mark.parametrize("seed", range(10))
def test_with_covariances_it_is_a_minimum(seed):
    from scipy.optimize import minimize_scalar

    degree, x, y, a, b, c = drawn(seed)
    found = polyreg.fit(x, y, degree=degree, sigma=b, sigma_x=a, covariance=c)
    inverses = np.linalg.inv(np.array([[a * a, c], [c, b * b]]).transpose(2, 0, 1))

    def total(coefficients):
        def part(xi, k):
            r = np.array([x[k] - xi, y[k] - np.polynomial.polynomial.polyval(xi, coefficients)])
            return r @ inverses[k] @ r

        bounds = [(x[k] - 6 * a[k], x[k] + 6 * a[k]) for k in range(len(x))]
        options = {"xatol": 1e-12}
        return sum(
            minimize_scalar(
                part, bounds=bounds[k], args=(k,), method="bounded", options=options
            ).fun
            for k in range(len(x))
        )

    least = total(found.coefficients)
    assert found.chi2 == pytest.approx(least, rel=1e-7)
    random = np.random.default_rng(seed)
    for _ in range(4):
        assert (
            total(found.coefficients + 0.1 * found.std_errors * random.normal(size=degree + 1))
            > least
        )


def test_without_errors_in_x_it_is_least_squares_in_y():
    known = polyreg.fit(X28037, Y28037, degree=2, sigma=OF_28037["sigma"])
    both = polyreg.fit(X28037, Y28037, degree=2, sigma=OF_28037["sigma"], sigma_x=np.zeros(6))
    assert both.coefficients == pytest.approx(known.coefficients, rel=1e-10)
    assert both.std_errors == pytest.approx(known.std_errors, rel=1e-10)
    assert (both.chi2, both.r2) == pytest.approx((known.chi2, known.r2), rel=1e-10)


def test_without_intercept_it_is_0_at_0():
    found = polyreg.fit(X28037, Y28037, degree=1, intercept=False, **OF_28037)
    [slope], [error] = found.coefficients, found.std_errors
    v = OF_28037["sigma"] ** 2 + (slope * 0.2) ** 2
    assert float(found(0.0)) == pytest.approx(0, abs=1e-14)
    assert found.chi2 == pytest.approx(((Y28037 - slope * X28037) ** 2 / v).sum())
    assert found.df_resid == 5 and error > 0


def test_a_document_says_that_it_is_swapped():
    found = iso_6143(B21, 1)
    again = Result.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.swapped and again.method == METHOD
    document = found.to_dict()
    del document["swapped"]
    assert not Result.from_dict(document).swapped


def test_neighbours_are_of_all_degrees_to_two_above():
    config = FitConfig(data="memory", target="y", degree=1, sigma="sigma", sigma_x="sigma_x")
    rows = InMemory(
        [X28037],
        Y28037,
        OF_28037["sigma"],
        weighed="sigma",
        is_sigma=True,
        more={"sigma_x": OF_28037["sigma_x"]},
    )
    found = neighbours(rows, config)
    assert [each.design.degree for each in found] == [0, 1, 2, 3]
    assert found[1].chi2 == polyreg.fit(X28037, Y28037, degree=1, **OF_28037).chi2


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"sigma_x": -np.ones(6)}, "must be 0 or more"),
        ({"covariance": np.full(6, 0.04)}, "less in size than the product"),
        ({"x": np.stack([X28037, X28037**2], 1)}, "of one variable"),
        ({"sigma_x": np.zeros(6), "swap": True}, "needs sigma_x above 0"),
        ({"precision": "certified"}, "exact in y alone"),
        ({"degree": "auto", "criterion": "f"}, "of errors in y"),
        ({"degree": 6}, "at least as many rows"),
        ({"x": np.array([1.0, 1, 1, 2, 2, 2]), "degree": 3}, "cannot be told apart"),
    ],
)
def test_what_makes_no_fit_is_refused_in_a_line(changed, told):
    options = {"x": X28037, "y": Y28037, "degree": 1, **OF_28037} | changed
    with pytest.raises(Refused, match=told) as caught:
        polyreg.fit(**options)
    assert "\n" not in str(caught.value)
