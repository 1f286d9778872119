import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev, hermite_e, legendre

from polyreg.polynomials import families

EPS = np.finfo(float).eps
FAMILIES = ["monomial", "hermite", "legendre", "chebyshev"]
VANDER = {
    "monomial": lambda x, d: np.vander(x, d + 1, increasing=True),
    "hermite": lambda x, d: (
        hermite_e.hermevander(x, d) / [math.sqrt(math.factorial(k)) for k in range(d + 1)]
    ),
    "legendre": lambda x, d: (
        legendre.legvander(x, d) * [math.sqrt(2 * k + 1) for k in range(d + 1)]
    ),
    "chebyshev": chebyshev.chebvander,
}
TO_POWERS = {
    "hermite": hermite_e.herme2poly,
    "legendre": legendre.leg2poly,
    "chebyshev": chebyshev.cheb2poly,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("degree", [0, 1, 2, 9, 20])
def test_columns_are_the_family_of_numpy(family, degree):
    x = np.linspace(-1, 1, 33) * (3 if family == "hermite" else 1)
    expected = VANDER[family](x, degree)
    columns = families.design_matrix(torch.from_numpy(x), family, degree).numpy()
    size = np.abs(expected).max(0)
    np.testing.assert_allclose(columns / size, expected / size, atol=8 * (degree + 1) * EPS)


@pytest.mark.parametrize("inputs", ["normal", "uniform"])
def test_the_family_of_the_inputs_is_orthonormal_under_them(inputs):
    nodes, mass = families.quadrature(inputs, 25)
    phi = families.design_matrix(torch.from_numpy(nodes), families.ORTHONORMAL[inputs], 20).numpy()
    np.testing.assert_allclose(phi.T @ (mass[:, None] * phi), np.eye(21), atol=1e3 * EPS)


MOMENTS = {"normal": [1, 0, 1, 0, 3, 0, 15, 0, 105], "uniform": [1, 0, 1 / 3, 0, 1 / 5, 0, 1 / 7]}


@pytest.mark.parametrize("inputs, moments", MOMENTS.items())
def test_quadrature_gives_the_moments_of_the_inputs(inputs, moments):
    nodes, mass = families.quadrature(inputs, 6)
    found = [mass @ nodes**k for k in range(len(moments))]
    np.testing.assert_allclose(found, moments, atol=200 * EPS, rtol=20 * EPS)


@pytest.mark.parametrize("family", ["hermite", "legendre", "chebyshev"])
def test_change_to_powers_agrees_with_numpy(family):
    weights = np.random.default_rng(1).normal(size=9)
    scaled = weights * [families._scale(family, k) for k in range(9)]
    # numpy's families are not monic: divide by their leading coefficients.
    leading = [TO_POWERS[family](np.eye(9)[k])[k] for k in range(9)]
    expected = TO_POWERS[family](scaled / leading)
    found = families.to_powers(weights, family)
    np.testing.assert_allclose(found, expected, rtol=0, atol=100 * EPS * np.abs(expected).max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("degree", [0, 1, 5, 20])
def test_from_powers_undoes_to_powers(family, degree):
    coefficients = np.random.default_rng(degree).normal(size=degree + 1)
    weights = families.from_powers(coefficients, family)
    back = families.to_powers(weights, family)
    # Each weight is rounded once; what that costs is its column's largest power of x.
    columns = [np.abs(families.to_powers(np.eye(degree + 1)[k], family)) for k in range(degree + 1)]
    bound = 4 * EPS * (np.abs(weights)[:, None] * columns).sum(0)
    assert (np.abs(back - coefficients) <= bound).all()


def test_the_change_of_basis_is_exact_where_floats_cancel():
    # T_20 has coefficients up to 6.6e6; sums of them in floats lose digits, in rationals none.
    weights = np.zeros(21)
    weights[20], weights[18] = 1.0, -1.0
    exact = _chebyshev(20)
    for j, c in enumerate(_chebyshev(18)):
        exact[j] -= c
    assert families.to_powers(weights, "chebyshev").tolist() == [float(c) for c in exact]


def _chebyshev(degree: int) -> list[Fraction]:
    below, here = [Fraction(1)], [Fraction(0), Fraction(1)]
    for _ in range(degree - 1):
        above = [Fraction(0)] + [2 * c for c in here]
        for j, c in enumerate(below):
            above[j] -= c
        below, here = here, above
    return here


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match="'fourier'; known: monomial"):
        families.design_matrix(torch.zeros(2), "fourier", 3)
