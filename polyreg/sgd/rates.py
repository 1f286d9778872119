"""Learning rates: the rule of `auto`, and the largest stable rate."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from polyreg.config import TrainConfig
from polyreg.fields import TORCH_OPTIMIZERS
from polyreg.polynomials import families
from polyreg.sgd.optimum import Optimum
from polyreg.sgd.training import Training
from polyreg.text import text

# c and p of `auto`, of those tried the ones that converge soonest in most settings, and in all
# (LOG.md). RMSprop starts its mean square from 0, so that its first steps are 10 rates long;
# Adagrad divides by a growing sum, and so falls by itself.
SIZES = {
    "adam": (0.05, 0.75),
    "adamw": (0.05, 0.75),
    "nadam": (0.05, 0.75),
    "rmsprop": (0.02, 0.75),
    "adagrad": (0.2, 0.0),
}
DECAY = 0.01  # torch.optim.AdamW's weight_decay, its default


class Rates:
    """The learning rates of several runs.

    A number is constant. `auto`, for SGD, with G = Phi^T Phi / B the step's own batch:

        lr_t = (1 - momentum) min(1 / (2 tr G_t),  4 / (lambda_min(E G) t))

    The first keeps I - 2 lr_t G_t between 0 and I, so that no batch, whatever its tail, throws the
    weights away (Kaczmarz; Needell, Srebro and Ward 2016). The second, only where a residual
    variance would keep a constant rate hovering, falls as Robbins and Monro ask; its 4 is four
    times what estimates best at a given t, and gets below a tolerance soonest (LOG.md).
    The other optimizers move each weight by about their rate, so that the measure is the way to
    go: y's own size, and that of the initial weights, U(-b, b) with b^2 = 1 / max(K - 1, 1), on a
    table times the variance of y, where y is small. With the c and p of SIZES, and a momentum
    where there is one,

        lr_t = (1 - momentum) c sqrt(E y^2 + K b^2 / 3) / (1 + t / 100)^p

    AdamW's decay, 0.01 lr_t w a step against a step of at most about lr_t, lets no weight beyond
    100 or so: the root counts up to that, as 0.01 lr_t above 2 would throw the weights away.
    """

    def __init__(self, trainings: Sequence[Training]):
        self._config = trainings[0].config
        constants = [t.config.constant_rate for t in trainings]
        self._constant = _column([math.nan if c is None else c for c in constants])
        self._falling = _column([falling(t.optimum, t.tolerance) for t in trainings])
        self._size = _column([way_to_go(t) for t in trainings])

    def __call__(self, trace: np.ndarray, first: int) -> np.ndarray:
        """Those of the steps from `first` on, whose batches have tr G = trace (M, T)."""
        steps = np.arange(first, first + trace.shape[1])
        if self._config.optimizer == "sgd":
            rates = np.minimum(0.5 / trace, self._falling / steps)
        else:
            size, power = SIZES[self._config.optimizer]
            rates = size * self._size / (1 + steps / 100) ** power
        rates = rates * (1 - self._config.momentum)
        return np.where(np.isnan(self._constant), rates, self._constant)

    def select(self, runs: list[int]) -> None:
        self._constant, self._falling = self._constant[runs], self._falling[runs]
        self._size = self._size[runs]


def way_to_go(training: Training) -> float:
    """sqrt(E y^2 + K b^2 / 3), as `Rates` has it, at most what AdamW's decay can bear."""
    terms = len(training.weights)
    start = training.unit**2 * terms / (3 * max(terms - 1, 1))
    most = 1 / DECAY if training.config.optimizer == "adamw" else math.inf
    return min(math.sqrt(training.optimum.second_moment + start), most)


def falling(optimum: Optimum, tolerance: float) -> float:
    """c of the rates c / t that `auto` does not exceed; infinite where nothing makes it fall."""
    if optimum.residual_variance <= tolerance / 10:
        return math.inf
    return 4 / float(optimum.singular_values()[-1]) ** 2


def _column(numbers: Sequence[float]) -> np.ndarray:
    return np.array(numbers)[:, None]


def why_diverged(step: int, training: Training) -> str:
    config = training.config
    found = f"diverged at step {step}: --learning-rate {text(config.learning_rate)}"
    if config.optimizer != "sgd":
        name = TORCH_OPTIMIZERS[config.optimizer]
        return f"{found} is too large for {name}; lower it, or use auto"
    if training.table:
        largest = float(training.optimum.singular_values()[0])
        return (
            f"{found} is too large: all rows in a batch bear at most "
            f"{(1 + config.momentum) / largest**2:.3g}, and small batches less; lower it, or use "
            "auto"
        )
    return (
        f"{found} is above the largest stable rate, {stable_rate(config):.3g} for this model and "
        f"batch size; lower it, or use auto"
    )


def stable_rate(config: TrainConfig) -> float:
    """The largest constant rate at which SGD's error shrinks in mean square.

    With G = Phi^T Phi / B of a batch, S = E G and error e, SGD is e <- (I - 2 lr G) e, so that
    E e e^T shrinks exactly when  2 lr E[G M G] < S M + M S  for every symmetric M > 0:

        lr < 1 / (2 lambda_max(Q, L)),   L(M) = S M + M S,
        Q(M) = E[(phi^T M phi) phi phi^T] / B + (1 - 1/B) S M S

    by quadrature. With momentum b, (1 - b) times that: exact where the batches' noise sets the
    bound, and on the safe side of it elsewhere.  (Defossez and Bach, AISTATS 2015)
    """
    terms, batch = config.degree + 1, config.batch_size
    nodes, mass = (torch.from_numpy(a) for a in families.quadrature(config.inputs, 2 * terms - 1))
    phi = families.design_matrix(nodes, config.family, config.degree)
    _, singular, vh = torch.linalg.svd(mass.sqrt()[:, None] * phi, full_matrices=False)
    phi, eigenvalues = phi @ vh.T, singular.square()
    # Symmetric matrices in coordinates: the upper triangle, what is off the diagonal times sqrt(2).
    i, j = torch.triu_indices(terms, terms)
    squares = phi[:, i] * phi[:, j] * torch.where(i == j, 1.0, math.sqrt(2))
    sums = eigenvalues[i] + eigenvalues[j]
    rows = squares * mass.sqrt()[:, None] / sums.sqrt()
    ratio = rows.T @ rows / batch
    ratio += torch.diag((1 - 1 / batch) * eigenvalues[i] * eigenvalues[j] / sums)
    return (1 - config.momentum) / (2 * float(torch.linalg.eigvalsh(ratio)[-1]))
