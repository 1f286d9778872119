"""Recovery of the truth by SGD, beside what statistics says is possible.

The learned coefficients of one configuration's seeds lie about the least-squares optimum. How
widely they should is known twice over: for least squares on as many samples, and for SGD itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polyreg import device
from polyreg.config import TrainConfig
from polyreg.polynomials import families, terms
from polyreg.sgd import training
from polyreg.sgd.optimum import Optimum
from polyreg.sgd.rates import Rates, falling

NODES = 100  # exact to degree 199; and where `auto` bends, near enough


@dataclass(frozen=True)
class Recovery:
    """How the learned coefficients of one configuration's seeds lie about the optimum.

    Arrays are (K,), of the powers of x. What is predicted of SGD is nan where it is not known.
    """

    terms: list[str]
    optimum: np.ndarray
    bias: np.ndarray  # mean over the seeds - optimum
    bias_error: np.ndarray  # its standard error, spread / sqrt(runs)
    spread: np.ndarray  # standard deviation over the seeds
    least_squares: np.ndarray  # standard error of least squares on `samples` samples
    predicted_bias: np.ndarray  # SGD's after the mean number of steps
    predicted: np.ndarray  # ... and its spread
    runs: int
    samples: float  # that a run saw, on average


def recovery(config: TrainConfig, coefficients: np.ndarray, steps: np.ndarray) -> Recovery:
    """coefficients (R, K) of the powers of x, steps (R,), of runs that differ in seed only

    Raises ValueError below two runs, which have no spread.
    """
    runs = len(coefficients)
    if runs < 2:
        raise ValueError(f"a spread needs the runs of at least 2 seeds; got {runs}")
    optimum = Optimum.of(config).coefficients
    spread = coefficients.std(axis=0, ddof=1)
    samples = float(np.mean(steps)) * config.batch_size
    predicted_bias, predicted = prediction(config, float(np.mean(steps)))
    return Recovery(
        terms=terms.powers(config.degree),
        optimum=optimum,
        bias=coefficients.mean(axis=0) - optimum,
        bias_error=spread / np.sqrt(runs),
        spread=spread,
        least_squares=least_squares_error(config, samples),
        predicted_bias=predicted_bias,
        predicted=predicted,
        runs=runs,
        samples=samples,
    )


def least_squares_error(config: TrainConfig, samples: float) -> np.ndarray:
    """Standard errors (K,) of the powers' coefficients by least squares on N samples.

        cov = S^-1 V S^-1 / N,    S = E phi phi^T,    V = E r^2 phi phi^T

    r is what the optimum leaves, noise and misfit, which differs from x to x (White 1980).
    The same in every basis; in the orthonormal family S = I. To first order in 1/N: of 3,200
    normal x at degree 6, whose tail few tables hold, least squares has 1.1 to 1.8 times these.
    """
    family = families.ORTHONORMAL[config.inputs]
    x, mass = _nodes(config)
    phi = families.design_matrix(x, family, config.degree)
    square = _misfit(config, x).square() + config.noise**2
    return _spread(family, phi.T @ ((mass * square)[:, None] * phi) / samples)


def predicted_spread(config: TrainConfig, steps: float) -> np.ndarray:
    """SGD's standard deviations over seeds (K,) of the powers' coefficients; see `prediction`."""
    return prediction(config, steps)[1]


def prediction(config: TrainConfig, steps: float) -> tuple[np.ndarray, np.ndarray]:
    """SGD's bias (K,) and spread (K,) over seeds, of the powers' coefficients, after some steps.

    Those of `MeanSquare`'s recursion, from the model's random initial weights. It knows no stop
    rule and no rounding. For a constant rate it is exact; above sgd.stable_rate, and near it, few
    seeds show it, as rare ones make up the mean square. For `auto` it is near once the start is
    forgotten: beside 200 to 400 seeds, spreads were within their error where the bias was below a
    tenth of the spread, and at most 1.4 times too large where it was below the spread. It is nan
    where the bias is above that, where nothing makes the rate fall, and for
    other optimizers.
    """
    optimum = Optimum.of(config)
    auto = config.constant_rate is None
    unknown = np.full(config.degree + 1, np.nan)
    if config.optimizer != "sgd" or (auto and np.isinf(falling(optimum, config.tolerance))):
        return unknown, unknown
    with device.one():
        moment = MeanSquare(config).after(round(steps))
    error = slice(-config.degree - 2, -1)
    mean = moment[error, -1]
    bias = _to_powers(config.family, config.degree + 1) @ mean.numpy()
    spread = _spread(config.family, moment[error, error] - torch.outer(mean, mean))
    if auto and (abs(bias) > spread).any():
        return unknown, unknown
    return bias, spread


class MeanSquare:
    """E z z^T over seeds, of what SGD carries from step to step: z = (v, e, 1), as in sgd.Scan.

    With psi = (phi, -r), r what the optimum leaves, a batch's 2 lr (G e + g) is the mean of
    2 lr phi psi^T (e, 1) over its B independent samples, so that with M = E (e, 1) (e, 1)^T

        E z z^T <- A (E z z^T) A^T + L C L^T
        C = (E[4 lr^2 (psi^T M psi) phi phi^T] - D M D^T) / B

    where D = E 2 lr phi psi^T, A is the mean step, and L takes C to v and e. The 1 carries
    the mean, and with it how a batch's G and g go together where there is a misfit.

    Exact for a constant rate. The rate of `auto` is the whole batch's; here each sample has its
    own, that of a batch whose other samples have the mean trace: (|phi(x)|^2 + (B - 1) tr S) / B.
    """

    def __init__(self, config: TrainConfig):
        self._config = config
        x, self._mass = _nodes(config)
        self._phi = families.design_matrix(x, config.family, config.degree)
        self._psi = torch.cat([self._phi, -_misfit(config, x)[:, None]], dim=1)
        self._phi_squares = torch.einsum("qi, qj -> qij", self._phi, self._phi).flatten(1)
        self._psi_squares = torch.einsum("qi, qj -> qij", self._psi, self._psi).flatten(1)
        square = self._phi.square().sum(1)
        self._trace = (square + (config.batch_size - 1) * (self._mass @ square)) / config.batch_size
        self._rates = Rates([training.Training(config)])

        K = config.degree + 1
        eye = torch.eye(K, dtype=torch.float64)
        self._carried = 2 * K + 1 if config.momentum else K + 1
        self._lift = torch.zeros(self._carried, K, dtype=torch.float64)
        self._lift[-K - 1 : -1] = -eye
        self._inert = torch.eye(self._carried, dtype=torch.float64)
        if config.momentum:
            self._lift[:K] = eye
            self._inert[:K, :K] = config.momentum * eye
            self._inert[K:-1, :K] = -config.momentum * eye

    def after(self, steps: int) -> Tensor:
        """E z z^T after so many steps from the model's initial weights, U(-b, b) each."""
        K = self._config.degree + 1
        start = torch.ones(K + 1, dtype=torch.float64)
        start[:-1] = -torch.from_numpy(Optimum.of(self._config).weights)
        moment = torch.zeros(self._carried, self._carried, dtype=torch.float64)
        moment[-K - 1 :, -K - 1 :] = torch.outer(start, start)
        moment.diagonal()[-K - 1 : -1] += 1 / (3 * max(self._config.degree, 1))  # b^2 / 3
        # Symmetric, so that its upper triangle is enough.
        i, j = torch.triu_indices(self._carried, self._carried)
        units = torch.zeros(len(i), self._carried, self._carried, dtype=torch.float64)
        units[range(len(i)), i, j] = units[range(len(i)), j, i] = 1
        state = moment[i, j]
        for first, length in self._stretches(steps):
            step = self._step(units, first + length // 2)[:, i, j].T
            state = torch.linalg.matrix_power(step, length) @ state
        return torch.einsum("n, nij -> ij", state, units)

    def _stretches(self, steps: int) -> Iterator[tuple[int, int]]:
        """Steps of one rate, or of nearly one: the first, and how many."""
        if self._config.constant_rate is not None:
            yield 1, steps
            return
        first = 1
        while first <= steps:
            length = min(max(1, first // 16), steps - first + 1)
            yield first, length
            first += length

    def _step(self, moments: Tensor, t: int) -> Tensor:
        """What step t makes of second moments.   (..., n, n)  ->  (..., n, n)"""
        K, config = self._config.degree + 1, self._config
        rates = torch.from_numpy(self._rates(self._trace[:, None].numpy(), t))  # (Q, 1)
        pull = 2 * (self._mass[:, None] * rates * self._phi).T @ self._psi
        mean = self._inert.clone()
        mean[:, -K - 1 :] += self._lift @ pull
        M = moments[..., -K - 1 :, -K - 1 :]
        square = M.flatten(-2) @ self._psi_squares.T + config.noise**2 * M[..., -1, -1, None]
        square *= 4 * self._mass * rates[:, 0] ** 2
        spread = (square @ self._phi_squares).unflatten(-1, (K, K))
        spread = (spread - pull @ M @ pull.T) / config.batch_size
        return mean @ moments @ mean.T + self._lift @ spread @ self._lift.T


def _nodes(config: TrainConfig) -> tuple[Tensor, Tensor]:
    nodes, mass = families.quadrature(config.inputs, NODES)
    return torch.from_numpy(nodes), torch.from_numpy(mass)


def _misfit(config: TrainConfig, x: Tensor) -> Tensor:
    """What the optimum leaves of the truth at x: its orthonormal terms above the model's degree."""
    family = families.ORTHONORMAL[config.inputs]
    truth = torch.from_numpy(families.from_powers(config.coefficients, family))
    phi = families.design_matrix(x, family, len(truth) - 1)
    return phi[:, config.degree + 1 :] @ truth[config.degree + 1 :]


def _to_powers(family: str, size: int) -> np.ndarray:
    """The matrix (K, K) that takes weights to the coefficients of the powers of x."""
    return np.stack([families.to_powers(unit, family) for unit in np.eye(size)], axis=1)


def _spread(family: str, covariance: Tensor) -> np.ndarray:
    """Standard deviations of the powers' coefficients, of the weights' covariance."""
    to_powers = _to_powers(family, len(covariance))
    variance = np.einsum("ki, ij, kj -> k", to_powers, covariance.numpy(), to_powers)
    return np.sqrt(variance.clip(0))
