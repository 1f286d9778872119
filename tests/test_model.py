import numpy as np
import pytest
import torch

from polyreg import basis
from polyreg.config import TrainConfig
from polyreg.model import PolynomialModel


def model(**options) -> PolynomialModel:
    return PolynomialModel(TrainConfig(**options)).initialize(np.random.default_rng(0))


@pytest.mark.parametrize("family", ["monomial", "hermite", "legendre", "chebyshev"])
@pytest.mark.parametrize("degree", [0, 1, 3, 8])
def test_the_model_is_the_polynomial_of_its_coefficients(family, degree):
    module = model(degree=degree, basis=family, dtype="float64")
    x = torch.linspace(-1, 1, 11, dtype=torch.float64)[:, None]
    coefficients = basis.to_powers(module.weights().numpy(), family)
    expected = np.polynomial.polynomial.polyval(x.numpy(), coefficients)
    np.testing.assert_allclose(module(x).detach().numpy(), expected, atol=1e-12)


def test_the_features_feed_one_linear_layer():
    module = model()
    [layer] = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
    assert layer.weight.shape == (1, 3) and layer.bias.shape == (1,)


def test_initial_weights_are_those_of_nn_linear_in_distribution_and_follow_the_seed():
    config = TrainConfig(degree=16)
    drawn = torch.stack(
        [PolynomialModel(config).initialize(np.random.default_rng(s)).weights() for s in range(200)]
    )
    bound = 1 / 4  # 1 / sqrt(fan_in)
    assert drawn.abs().max() <= bound
    n, variance = drawn.numel(), bound**2 / 3
    assert abs(float(drawn.square().mean()) - variance) < 4 * np.sqrt(bound**4 * 4 / 45 / n)
    assert torch.equal(drawn[0], model(degree=16).weights())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_any_real_x_is_taken_and_the_answer_has_the_weights_dtype(dtype):
    answer = model()(torch.ones(2, 1, dtype=dtype))
    assert answer.shape == (2, 1) and answer.dtype == torch.float32
