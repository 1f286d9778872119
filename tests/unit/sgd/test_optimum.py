import numpy as np
import pytest
import torch

from polyreg.config import TrainConfig
from polyreg.polynomials import families
from polyreg.sgd.optimum import Optimum


def by_quadrature(config):
    """Weights, residual variance: dense weighted least squares at many nodes, with numpy."""
    nodes, mass = families.quadrature(config.inputs, 40)
    phi = families.design_matrix(torch.from_numpy(nodes), config.family, config.degree).numpy()
    y = np.polynomial.polynomial.polyval(nodes, config.coefficients)
    root = np.sqrt(mass)
    weights, *_ = np.linalg.lstsq(root[:, None] * phi, root * y, rcond=None)
    return weights, mass @ (y - phi @ weights) ** 2 + config.noise**2


@pytest.mark.parametrize("inputs", ["normal", "uniform"])
@pytest.mark.parametrize("family", ["auto", "monomial", "chebyshev"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 6])
def test_the_optimum_is_that_of_dense_least_squares(inputs, family, degree):
    config = TrainConfig(degree=degree, inputs=inputs, basis=family, noise=0.5)
    optimum = Optimum.of(config)
    weights, residual_variance = by_quadrature(config)
    np.testing.assert_allclose(optimum.weights, weights, rtol=1e-9, atol=1e-9)
    assert optimum.residual_variance == pytest.approx(residual_variance, rel=1e-10)
    assert optimum.misses_terms == (degree < 3)


def test_a_parabola_leaves_34_56_of_the_default_cubic():
    # The Hermite coefficient of x^3 is 2.4 sqrt(3!), and what is left is its square.
    optimum = Optimum.of(TrainConfig(degree=2))
    assert optimum.residual_variance == pytest.approx(6 * 2.4**2, rel=1e-14)
    np.testing.assert_allclose(optimum.coefficients, [0.9, 0.5 + 3 * 2.4, 3.0], rtol=1e-14)


@pytest.mark.parametrize("inputs", ["normal", "uniform"])
def test_the_gap_is_the_expected_excess_loss(inputs):
    config = TrainConfig(degree=2, inputs=inputs, basis="monomial", noise=0.3)
    optimum = Optimum.of(config)
    weights = optimum.weights + np.array([0.1, -0.2, 0.05])
    nodes, mass = families.quadrature(inputs, 20)
    y = np.polynomial.polynomial.polyval(nodes, config.coefficients)
    answer = np.polynomial.polynomial.polyval(nodes, weights)
    loss = mass @ (y - answer) ** 2 + config.noise**2
    assert float(optimum.gap(weights)) == pytest.approx(loss - optimum.residual_variance, rel=1e-10)


def test_the_gap_of_many_weights_is_each_ones_gap():
    optimum = Optimum.of(TrainConfig())
    weights = np.random.default_rng(0).normal(size=(5, 4))
    each = [optimum.gap(w) for w in weights]
    np.testing.assert_allclose(optimum.gap(weights), each, rtol=1e-14)
    assert float(optimum.gap(optimum.weights)) == 0


def test_the_condition_is_that_of_the_design_matrix():
    assert Optimum.of(TrainConfig(degree=8)).condition() == pytest.approx(1, rel=1e-12)
    # E [1, x][1, x]^T is diag(1, 1/3) on [-1, 1].
    line = TrainConfig(degree=1, basis="monomial", inputs="uniform")
    assert Optimum.of(line).condition() == pytest.approx(np.sqrt(3), rel=1e-12)
