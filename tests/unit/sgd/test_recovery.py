import math

import numpy as np
import pytest

from polyreg.config import TrainConfig
from polyreg.polynomials import families, terms
from polyreg.sgd import descend, training
from polyreg.sgd.optimum import Optimum
from polyreg.sgd.recovery import least_squares_error, predicted_spread, prediction, recovery

SIGMAS = 4.5  # some 200 numbers are compared


def sampling_error(values: np.ndarray) -> np.ndarray:
    """Relative standard error of the standard deviation of each column, by its kurtosis."""
    centred = values - values.mean(axis=0)
    kurtosis = (centred**4).mean(axis=0) / centred.var(axis=0) ** 2
    return np.sqrt((kurtosis - 1) / (4 * len(values)))


def require_spread(values: np.ndarray, expected: np.ndarray, besides: float = 0.0):
    """The columns' standard deviations are the expected ones within sampling, and a known rest."""
    off = np.log(values.std(axis=0, ddof=1) / expected)
    assert (abs(off) < SIGMAS * sampling_error(values) + besides).all(), np.exp(off)


def require_bias(values: np.ndarray, expected: np.ndarray):
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert (abs(values.mean(axis=0) - expected) < SIGMAS * error).all()


def draw(config: TrainConfig, generator, shape):
    """x and y, apart from the package's stream."""
    normal = config.inputs == "normal"
    x = generator.standard_normal(shape) if normal else generator.uniform(-1, 1, shape)
    y = np.polynomial.polynomial.polyval(x, config.coefficients)
    return x, y + config.noise * generator.standard_normal(shape)


def function(family: str, x: np.ndarray, k: int) -> np.ndarray:
    """phi_k(x), by numpy.polynomial rather than by the package's recurrences."""
    unit = np.eye(k + 1)[k]
    match family:
        case "monomial":
            return x**k
        case "chebyshev":
            return np.polynomial.chebyshev.chebval(x, unit)
        case "legendre":
            return np.sqrt(2 * k + 1) * np.polynomial.legendre.legval(x, unit)
    return np.polynomial.hermite_e.hermeval(x, unit) / np.sqrt(math.factorial(k))


def by_hand(config: TrainConfig, steps: int, runs: int) -> np.ndarray:
    """The coefficients (runs, K) of SGD at a constant rate as the textbook has it, on weights."""
    generator, K = np.random.default_rng(0), config.degree + 1
    w = generator.uniform(-1, 1, (runs, K)) / np.sqrt(max(config.degree, 1))
    v = np.zeros_like(w)
    for _ in range(steps):
        x, y = draw(config, generator, (runs, config.batch_size))
        phi = np.stack([function(config.family, x, k) for k in range(K)], axis=-1)
        residual = np.einsum("rbk, rk -> rb", phi, w) - y
        gradient = 2 * np.einsum("rbk, rb -> rk", phi, residual) / config.batch_size
        v = config.momentum * v + gradient
        w = w - config.constant_rate * v
    return np.array([families.to_powers(one, config.family) for one in w])


def by_sgd(runs: int, **options) -> tuple[TrainConfig, np.ndarray]:
    """The coefficients (runs, K) of the package's own runs, which no tolerance ends."""
    configs = [TrainConfig(**options, seed=s, tolerance=1e-30) for s in range(runs)]
    trainings = [training.Training(config) for config in configs]
    for first in range(0, runs, 16):
        for _ in descend.descend_together(trainings[first : first + 16]):
            pass
    assert not any(t.diverged for t in trainings)
    weights = [t.model.weights().double().numpy() for t in trainings]
    return configs[0], np.array([families.to_powers(w, configs[0].family) for w in weights])


@pytest.mark.parametrize(
    "options",
    [
        {"degree": 3, "noise": 0.5},
        {"degree": 2},  # a misfit alone
        {"degree": 1, "noise": 1.0},
        {"degree": 4, "inputs": "uniform", "noise": 0.1, "basis": "monomial"},
        {"degree": 1, "inputs": "uniform", "noise": 0.1},
        {"degree": 0, "noise": 0.5},
    ],
)
def test_least_squares_of_many_tables_has_this_spread(options):
    config, rows, tables = TrainConfig(**options), 4000, 2000
    generator = np.random.default_rng(0)
    found = []
    for _ in range(tables):
        x, y = draw(config, generator, rows)
        vander = np.polynomial.polynomial.polyvander(x, config.degree)
        found.append(np.linalg.solve(vander.T @ vander, vander.T @ y))
    # What is of higher order in 1 / N: the mean square leverage, E |phi|^4 / N.
    family = families.ORTHONORMAL[config.inputs]
    x = draw(config, generator, 10**5)[0]
    phi = np.stack([function(family, x, k) for k in range(config.degree + 1)])
    leverage = ((phi**2).sum(axis=0) ** 2).mean() / rows
    require_spread(np.array(found), least_squares_error(config, rows), besides=leverage)


def test_with_noise_alone_it_is_the_textbooks_standard_error():
    config, rows = TrainConfig(degree=5, inputs="uniform", noise=0.3), 10**6
    x, _ = draw(config, np.random.default_rng(0), rows)
    vander = np.polynomial.polynomial.polyvander(x, 5)
    textbook = 0.3 * np.sqrt(np.diag(np.linalg.inv(vander.T @ vander)))
    np.testing.assert_allclose(least_squares_error(config, rows), textbook, rtol=0.01)


def test_a_line_through_a_parabola_has_the_sandwichs_errors():
    # x^2 on normal x leaves r = x^2 - 1 beside the line: E r^2 = 2 and E r^2 x^2 = 10.
    config = TrainConfig(degree=1, coefficients=(0.0, 0.0, 1.0))
    np.testing.assert_allclose(least_squares_error(config, 50), np.sqrt([2 / 50, 10 / 50]))
    noisy = TrainConfig(degree=1, coefficients=(0.0, 0.0, 1.0), noise=3.0)
    np.testing.assert_allclose(least_squares_error(noisy, 50), np.sqrt([11 / 50, 19 / 50]))


@pytest.mark.parametrize("family", ["monomial", "hermite", "legendre", "chebyshev"])
@pytest.mark.parametrize("degree", [2, 8])
def test_least_squares_is_the_same_in_every_basis_and_falls_as_one_over_root_n(family, degree):
    found = least_squares_error(TrainConfig(degree=degree, basis=family, noise=0.5), 400)
    auto = least_squares_error(TrainConfig(degree=degree, noise=0.5, batch_size=7), 100)
    np.testing.assert_allclose(2 * found, auto, rtol=1e-12)


CONSTANT = [
    {"degree": 3, "noise": 0.5, "learning_rate": 0.01, "batch_size": 8, "inputs": "uniform"},
    {"degree": 2, "noise": 0.5, "learning_rate": 0.005, "batch_size": 8},  # and a misfit
    {"degree": 1, "coefficients": (0.0, 3.0, 1.0), "learning_rate": 0.02, "batch_size": 4},
    {"degree": 2, "momentum": 0.8, "learning_rate": 0.01, "batch_size": 2, "inputs": "uniform"},
    {"degree": 3, "noise": 1.0, "momentum": 0.5, "learning_rate": 0.03, "batch_size": 3,
     "basis": "monomial", "inputs": "uniform"},
    {"degree": 1, "noise": 0.2, "learning_rate": 0.05, "batch_size": 1, "basis": "chebyshev",
     "inputs": "uniform", "coefficients": (1.0, -2.0, 1.0, 1.0)},
    {"degree": 2, "noise": 0.3, "learning_rate": 0.01, "momentum": 0.9, "batch_size": 16,
     "basis": "legendre", "inputs": "uniform"},
]  # fmt: skip


@pytest.mark.parametrize("steps", [3, 60])
@pytest.mark.parametrize("options", CONSTANT)
def test_a_constant_rates_bias_and_spread_are_those_of_many_runs(options, steps):
    config = TrainConfig(**options)
    found = by_hand(config, steps, runs=5000)
    bias, spread = prediction(config, steps)
    require_spread(found, spread)
    require_bias(found, Optimum.of(config).coefficients + bias)


def test_the_packages_own_runs_have_the_spread_predicted_for_a_constant_rate():
    options = {"degree": 2, "noise": 1.0, "inputs": "uniform", "learning_rate": 0.05}
    config, found = by_sgd(320, **options, momentum=0.5, max_steps=100)
    require_spread(found, predicted_spread(config, 100))


def test_a_constant_alone_is_an_autoregression_of_known_variance():
    # e <- (1 + m - a) e - m e' + a noise / sqrt(B), a = 2 lr: an AR(2) process.
    noise, batch = 0.7, 5
    for rate, m in [(0.1, 0.0), (0.05, 0.9), (0.4, 0.3)]:
        a = 2 * rate
        variance = (1 + m) / (1 - m) / ((1 + m) ** 2 - (1 + m - a) ** 2) * (a * noise) ** 2 / batch
        config = TrainConfig(
            degree=0, coefficients=(2.0,), noise=noise, batch_size=batch, learning_rate=rate,
            momentum=m,
        )  # fmt: skip
        bias, spread = prediction(config, 10**6)
        assert spread == pytest.approx(np.sqrt(variance), rel=1e-10) and abs(bias) < 1e-12
        # The start: one step from U(-1, 1) keeps (1 - a)^2 / 3 of its variance.
        bias, spread = prediction(config, 1)
        assert bias == pytest.approx(-2 * (1 - a), rel=1e-12)
        first = (1 - a) ** 2 / 3 + (a * noise) ** 2 / batch
        assert spread == pytest.approx(np.sqrt(first), rel=1e-12)


@pytest.mark.parametrize("rate", [0.01, "auto"])
def test_once_the_start_is_forgotten_the_spread_is_proportional_to_the_noise(rate):
    one, ten = (
        predicted_spread(TrainConfig(noise=noise, learning_rate=rate), 20_000)
        for noise in (0.1, 1.0)
    )
    np.testing.assert_allclose(ten, 10 * one, rtol=1e-6)


def test_at_a_small_rate_the_spread_falls_as_the_root_of_rate_over_batch():
    few, many = (
        predicted_spread(TrainConfig(noise=1.0, learning_rate=1e-6 * b, batch_size=b), 10**9)
        for b in (4, 16)
    )
    np.testing.assert_allclose(many, few, rtol=1e-3)
    # In the orthonormal family, lr s2 / B for each weight, as if least squares had 1 / lr batches.
    alike = least_squares_error(TrainConfig(noise=1.0), 1 / 1e-6)
    np.testing.assert_allclose(few, alike, rtol=1e-3)


AUTO = [
    {"degree": 3, "noise": 0.5, "max_steps": 400},
    {"degree": 2, "batch_size": 8, "max_steps": 500},
    {"degree": 5, "noise": 0.1, "inputs": "uniform", "max_steps": 100},
    {"degree": 3, "noise": 1.0, "inputs": "uniform", "basis": "chebyshev", "batch_size": 8,
     "max_steps": 300},
    {"degree": 2, "noise": 0.5, "momentum": 0.9, "max_steps": 200},
]  # fmt: skip


@pytest.mark.parametrize("options", AUTO)
def test_the_packages_own_runs_have_the_spread_predicted_for_auto(options):
    config, found = by_sgd(320, **options)
    report = recovery(config, found, np.full(320, config.max_steps))
    require_spread(found, report.predicted)
    assert (abs(report.bias) < SIGMAS * report.bias_error).all()
    assert (report.predicted > 1.5 * report.least_squares).all()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize(
    "options", [{"noise": 0.5}, {"degree": 2}, {"inputs": "uniform", "noise": 2.0}]
)
def test_auto_ends_at_a_known_multiple_of_least_squares(options, momentum):
    # At a rate c / t, t cov -> (2 c)^2 / (4 c - 1) V / B; c = 4: 2.07 times the spread.
    config = TrainConfig(**options, momentum=momentum)
    ratio = predicted_spread(config, 10**7) / least_squares_error(config, 10**7 * 32)
    np.testing.assert_allclose(ratio, np.sqrt(64 / 15), rtol=0.005)


@pytest.mark.parametrize(
    "options, steps",
    [
        *(({"optimizer": name, "noise": 0.5}, 1000) for name in ("adam", "rmsprop", "adagrad")),
        ({"optimizer": "rmsprop", "momentum": 0.9, "learning_rate": 0.01, "noise": 0.5}, 1000),
        ({}, 1000),  # no noise: auto has no resting spread
        ({"noise": 0.01}, 1000),  # ... nor where the rate does not fall
        ({"noise": 0.5, "basis": "chebyshev"}, 1000),  # the start is not forgotten yet
    ],
)
def test_what_is_not_known_is_nan(options, steps):
    assert np.isnan(prediction(TrainConfig(**options), steps)).all()
    assert np.isfinite(least_squares_error(TrainConfig(**options), steps)).all()


def test_the_report_is_the_statistics_of_the_seeds():
    config = TrainConfig(degree=1, noise=0.5, coefficients=(1.0, 2.0), batch_size=10)
    found = recovery(config, np.array([[1.0, 2.0], [1.2, 2.3], [1.4, 2.9]]), np.array([50, 70, 60]))
    assert found.terms == terms.powers(1) and found.runs == 3 and found.samples == 600
    np.testing.assert_allclose(found.optimum, [1, 2])
    np.testing.assert_allclose(found.bias, [0.2, 0.4])
    np.testing.assert_allclose(found.spread, [0.2, np.sqrt(0.42 / 2)])
    np.testing.assert_allclose(found.bias_error, found.spread / np.sqrt(3))
    np.testing.assert_allclose(found.least_squares, 0.5 / np.sqrt(600))
    np.testing.assert_array_equal(found.predicted, predicted_spread(config, 60))


def test_one_seed_has_no_spread():
    with pytest.raises(ValueError, match="at least 2 seeds; got 1"):
        recovery(TrainConfig(), np.ones((1, 4)), np.ones(1))
