import numpy as np
import pytest
import torch

from polyreg.config import FitConfig, TrainConfig
from polyreg.least_squares.fitting import fit
from polyreg.least_squares.minimum_norm import minimum_norm
from polyreg.polynomials import families
from polyreg.polynomials.module import FittedModel, PolynomialModel
from polyreg.polynomials.result import Result
from polyreg.tables.rows import InMemory


def model(**options) -> PolynomialModel:
    return PolynomialModel(TrainConfig(**options)).initialize(np.random.default_rng(0))


@pytest.mark.parametrize("family", ["monomial", "hermite", "legendre", "chebyshev"])
@pytest.mark.parametrize("degree", [0, 1, 3, 8])
def test_the_model_is_the_polynomial_of_its_coefficients(family, degree):
    module = model(degree=degree, basis=family, dtype="float64")
    x = torch.linspace(-1, 1, 11, dtype=torch.float64)[:, None]
    coefficients = families.to_powers(module.weights().numpy(), family)
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


def answer(variables: int, intercept: bool = True, degree: int = 4):
    rng = np.random.default_rng(1)
    columns = [1e6 + rng.uniform(size=200), rng.normal(size=200), rng.exponential(size=200)]
    columns = columns[:variables]
    y = sum(np.sin(c) for c in columns) + rng.normal(size=200)
    config = FitConfig(data="memory", target="y", degree=degree, intercept=intercept)
    return fit(InMemory(columns, y), config), torch.from_numpy(np.stack(columns, axis=1))


@pytest.mark.parametrize("variables, intercept, degree", [(1, True, 4), (2, False, 3), (3, True, 3),
                                                          (1, True, 0)])  # fmt: skip
def test_a_fitted_model_predicts_what_its_answer_does(variables, intercept, degree):
    found, x = answer(variables, intercept, degree)
    y = FittedModel(found)(x)
    assert y.shape == (200, 1) and y.dtype == torch.float64
    # The same products, summed in an order that may differ.
    q = found.design.matrix(x).abs().numpy()
    near = 2.0**-52 * q.shape[1] * (q @ np.abs(found.solution.weights))
    assert (np.abs(y[:, 0].detach().numpy() - found.predict(x.numpy())) <= near).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.float64])
@pytest.mark.parametrize("rows", [1, 5])
def test_a_fitted_model_takes_any_real_x_and_computes_in_float64(dtype, rows):
    found, _ = answer(2)
    x = (torch.arange(2 * rows).reshape(rows, 2) + torch.tensor([1_000_000, 0])).to(dtype)
    y = FittedModel(found)(x)
    assert y.shape == (rows, 1) and y.dtype == torch.float64
    expected = found.predict(x.to(torch.float64).numpy())
    np.testing.assert_allclose(y[:, 0].detach().numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("variables", [1, 2])
def test_a_fitted_model_survives_export_with_any_number_of_rows_and_dtype(variables, tmp_path):
    found, x = answer(variables)
    module = FittedModel(found)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, tmp_path / "model.pt2")
    again = torch.export.load(tmp_path / "model.pt2").module()
    for rows in (1, 2, 77, 200):
        assert torch.equal(again(x[:rows]), module(x[:rows]))
    assert again(x[:3].float()).dtype == torch.float64
    assert torch.equal(again(x[:3].float()), module(x[:3].float()))


@pytest.mark.parametrize("family", ["monomial", "hermite", "legendre", "chebyshev"])
def test_a_trainings_result_makes_the_same_model_as_its_own_predictions(family):
    weights = np.array([0.5, -1.0, 2.0, 0.25])
    result = Result.trained(weights, family, (-1.0, 1.0), 1.0)
    assert_predicts(result, np.linspace(-1, 1, 7)[:, None])


def test_a_result_of_least_norm_makes_the_same_model_as_its_own_predictions():
    x = np.random.default_rng(0).normal(size=(5, 3))
    rows = InMemory(list(x.T), np.arange(5.0))
    config = FitConfig(data="memory", target="y", degree=3)
    assert_predicts(minimum_norm(rows, config), x[:4])


def assert_predicts(result: Result, x: np.ndarray) -> None:
    found = FittedModel(result)(torch.from_numpy(x)).detach().numpy()[:, 0]
    np.testing.assert_allclose(found, result.predict(x), rtol=1e-13, atol=1e-13)
