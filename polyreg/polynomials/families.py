"""Polynomial families in one variable: recurrence, quadrature, exact change to powers of x.

Each family is its monic three-term recurrence, in exact rationals, and a scale. This table is the
one place that has them: `recurrence` makes of it what design matrices, models and documents read.

    pi_0 = 1,   pi_{k+1} = x pi_k - beta_k pi_{k-1},   phi_k = scale_k pi_k

              beta_k             phi_k                orthonormal under
    monomial  0                  x^k                  -
    hermite   k                  He_k / sqrt(k!)      N(0, 1)
    legendre  k^2 / (4 k^2 - 1)  sqrt(2 k + 1) P_k    uniform on [-1, 1]
    chebyshev 1/2, then 1/4      T_k                  -

An orthonormal family has scale_k = 1 / sqrt(beta_1 ... beta_k).  (DLMF 18.9; Gautschi 2004, 1.3)
"""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache

import numpy as np
import torch
from torch import Tensor

from polyreg.polynomials.design import Design, Recurrence, in_powers

ORTHONORMAL = {"normal": "hermite", "uniform": "legendre"}


def _beta(family: str, k: int) -> Fraction:
    match family:
        case "monomial":
            return Fraction(0)
        case "hermite":
            return Fraction(k)
        case "legendre":
            return Fraction(k * k, 4 * k * k - 1)
        case "chebyshev":
            return Fraction(1, 2 if k == 1 else 4)
    raise ValueError(f"unknown basis {family!r}; known: monomial, hermite, legendre, chebyshev")


@cache
def _scale_squared(family: str, k: int) -> Fraction:
    if k == 0 or family == "monomial":
        return Fraction(1)
    if family == "chebyshev":
        return Fraction(4) ** (k - 1)
    return _scale_squared(family, k - 1) / _beta(family, k)


def _scale(family: str, k: int) -> float:
    return math.sqrt(_scale_squared(family, k))


def design_matrix(x: Tensor, family: str, degree: int) -> Tensor:
    """Column k holds phi_k(x), by the three-term recurrence in x's own precision.

    x (...,)  ->  (..., degree + 1), same dtype and device
    """
    return recurrence(family, degree).columns(x)


def fill(rows: Tensor, x: Tensor, family: str) -> None:
    """Write phi_k(x) into row k, in place: design_matrix stacks copies.

    rows (..., degree + 1, N), x (..., N)
    """
    phi = rows.unbind(-2)
    phi[0].fill_(1)
    steps = recurrence(family, len(phi) - 1)
    for k, (up, down) in enumerate(zip(steps.scales, steps.decays, strict=True)):
        torch.mul(x if up == 1 else up * x, phi[k], out=phi[k + 1])
        if down:
            phi[k + 1].sub_(phi[k - 1], alpha=down)


@cache
def recurrence(family: str, degree: int) -> Recurrence:
    """phi_0 ... phi_degree, to float64:  phi_{k+1} = scale_k x phi_k - decay_k phi_{k-1}"""
    steps = [_step(family, k) for k in range(degree)]
    ups, downs = zip(*steps, strict=True) if steps else ((), ())
    return Recurrence(0.0, 1.0, (0.0,) * degree, ups, downs)


def design(family: str, degree: int) -> Design:
    """phi_0 ... phi_degree as the terms of a model in x."""
    exponents = tuple((k,) for k in range(degree + 1))
    return Design(("x",), exponents, (recurrence(family, degree),), unit=1.0, basis=family)


def _step(family: str, k: int) -> tuple[float, float]:
    """up and down of  phi_{k+1} = up x phi_k - down phi_{k-1}."""
    up = _scale_squared(family, k + 1) / _scale_squared(family, k)
    if k == 0 or not _beta(family, k):
        return math.sqrt(up), 0.0
    ratio = _scale_squared(family, k + 1) / _scale_squared(family, k - 1)
    return math.sqrt(up), float(_beta(family, k)) * math.sqrt(ratio)


def quadrature(inputs: str, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights with E f(x) = sum_q weight_q f(node_q), x normal or uniform.

    Exact for polynomials of degree 2 points - 1.   ->  (points,), (points,), float64
    """
    gauss = {
        "normal": np.polynomial.hermite_e.hermegauss,
        "uniform": np.polynomial.legendre.leggauss,
    }[inputs]
    nodes, weights = gauss(points)
    return nodes, weights / weights.sum()


def to_powers(weights: Iterable[float], family: str) -> np.ndarray:
    """Coefficients of 1, x, x^2, ... of sum_k weights_k phi_k.

    In exact rationals but for the scale's square root, and rounded once at the end.
    weights (K,)  ->  (K,) float64
    """
    exact = [Fraction(float(w)) * Fraction(_scale(family, k)) for k, w in enumerate(weights)]
    rows = _monic(family, len(exact) - 1)
    powers = [Fraction(0)] * len(exact)
    for a, row in zip(exact, rows, strict=True):
        for j, c in enumerate(row):
            powers[j] += a * c
    return np.array([float(c) for c in powers])


def from_powers(coefficients: Iterable[float], family: str) -> np.ndarray:
    """Weights of phi_0, phi_1, ... of the polynomial with these coefficients of 1, x, x^2, ...

    The inverse of `to_powers`, as exact.   coefficients (K,)  ->  (K,) float64
    """
    exact = _powers_to_monic([Fraction(float(c)) for c in coefficients], family)
    return np.array([float(a / Fraction(_scale(family, k))) for k, a in enumerate(exact)])


@cache
def _monic(family: str, degree: int) -> list[list[Fraction]]:
    """Row k holds the coefficients of pi_k in 1, x, x^2, ..., exactly."""
    betas = [Fraction(0)] + [_beta(family, k) for k in range(1, degree)]
    return in_powers([0] * degree, [1] * degree, betas[:degree])


def _powers_to_monic(coefficients: Sequence[Fraction], family: str) -> list[Fraction]:
    # Horner: result <- x result + c, with x pi_k = pi_{k+1} + beta_k pi_{k-1}
    result: list[Fraction] = []
    for c in reversed(coefficients):
        shifted = [Fraction(0), *result]
        for k in range(1, len(result)):
            shifted[k - 1] += _beta(family, k) * result[k]
        shifted[0] += c
        result = shifted
    return result
