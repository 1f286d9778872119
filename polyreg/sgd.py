"""The learning curve, step by step, with torch.optim."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from polyreg import basis
from polyreg.config import TrainConfig, text
from polyreg.data import Stream
from polyreg.model import PolynomialModel
from polyreg.optimum import Optimum

# A run that is still right can be thrown far by one heavy-tailed batch and come back. Growth seen
# in runs that then converged: see LOG.md; growth past this factor was never seen to come back.
DIVERGED = 1e6

CHUNK = 1024  # steps at most between two measurements
CHUNK_NUMBERS = 2**22  # ... and numbers at most in their design matrix


class Chunk(NamedTuple):
    """What some steps measured, in float64 on the CPU.

    `loss` (T,) is each step's batch loss before its update, `gap` (T,) the expected excess loss
    over the optimum after it; their x lay in [low, high]. `rate` is the first
    step's. The last chunk of a run that met its stop rule is `converged`.
    """

    first: int
    loss: Tensor
    gap: Tensor
    low: float
    high: float
    rate: float
    converged: bool


class Diverged(ArithmeticError):
    pass


class Curve:
    """A run's measurements, put together from its chunks."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []

    def append(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)

    def _joined(self, name: str) -> np.ndarray:
        return np.concatenate([np.empty(0), *(getattr(c, name).numpy() for c in self._chunks)])

    @property
    def loss(self) -> np.ndarray:
        """Each step's batch loss before its update (T,)."""
        return self._joined("loss")

    @property
    def gap(self) -> np.ndarray:
        """The expected excess loss over the optimum after each step (T,)."""
        return self._joined("gap")

    @property
    def steps(self) -> int:
        return sum(len(c.gap) for c in self._chunks)

    @property
    def rate(self) -> float:
        """The first step's learning rate; nan where no step was right."""
        return self._chunks[0].rate if self._chunks else math.nan

    @property
    def domain(self) -> tuple[float, float]:
        """The least and the largest x that was seen."""
        return min(c.low for c in self._chunks), max(c.high for c in self._chunks)

    @property
    def converged(self) -> bool:
        return self._chunks[-1].converged


def descend(
    model: PolynomialModel, stream: Stream, optimum: Optimum, config: TrainConfig
) -> Iterator[Chunk]:
    """Train `model` in place until config's stop rule holds or its steps are used up.

    Raises Diverged, naming the largest stable rate, at the first step whose gap is beyond recall;
    the steps before it have been yielded.
    """
    optimizer = _optimizer(model, config)
    limit = DIVERGED * (
        float(optimum.gap(model.weights())) + optimum.residual_variance + config.tolerance
    )
    first, size = 1, 64
    while first <= config.max_steps:
        room = max(1, CHUNK_NUMBERS // (config.batch_size * (config.degree + 1)))
        steps = min(size, CHUNK, room, config.max_steps - first + 1)
        x, y = stream.take(steps)
        features = model.features(x)
        rates = _rates(features, first, optimum, config)
        loss, weights = _steps(model, optimizer, features, y, rates, config)
        gap = optimum.gap(weights)

        lost = _first(~(gap <= limit))
        met = _first((gap if config.stop == "gap" else loss) < config.tolerance)
        # What comes after the first of the two never happened.
        end = steps if met is None else met + 1
        end = end if lost is None else min(end, lost)
        converged = met is not None and met < end
        if end:
            model.set_weights(weights[end - 1])
            low, high = (float(v) for v in torch.aminmax(x[:end]))
            yield Chunk(first, loss[:end], gap[:end], low, high, float(rates[0]), converged)
        if converged:
            return
        if lost is not None:
            raise Diverged(_why(first + lost, config))
        first, size = first + steps, 2 * size


def _first(holds: Tensor) -> int | None:
    return int(holds.nonzero()[0]) if holds.any() else None


def _optimizer(model: PolynomialModel, config: TrainConfig) -> torch.optim.Optimizer:
    # `auto` sets each step's rate itself, in _steps.
    constant = config.constant_rate
    rate = 1 - config.momentum if constant is None else constant
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=rate)
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=config.momentum)


def _rates(features: Tensor, first: int, optimum: Optimum, config: TrainConfig) -> Tensor:
    """The learning rate of each step, of which `first` is the first.   (T, B, K - 1)  ->  (T,)

    A number is constant. `auto`, for SGD, with G = Phi^T Phi / B the step's own batch:

        lr_t = min(1 / (2 tr G_t),  4 / (lambda_min(E G) t))

    The first keeps I - 2 lr_t G_t between 0 and I, so that no batch, whatever its tail, throws the
    weights away (Kaczmarz; Needell, Srebro and Ward 2016). The second, only where a residual
    variance would keep a constant rate hovering, falls as Robbins and Monro ask; its 4 is four
    times what estimates best at a given t, and gets below a tolerance soonest (LOG.md).
    Adam moves each weight by about its rate, so that there y's own size is the measure:
    0.05 sqrt(E y^2) / (1 + t / 100)^(3/4).
    """
    steps = torch.arange(first, first + len(features), dtype=torch.float64, device="cpu")
    if config.constant_rate is not None:
        return torch.full_like(steps, config.constant_rate)
    if config.optimizer == "adam":
        return 0.05 * math.sqrt(optimum.second_moment) / (1 + steps / 100) ** 0.75
    # The 1 is the constant feature's share.
    trace = 1 + features.square().sum((1, 2)).to("cpu", torch.float64) / features.shape[1]
    rates = 0.5 / trace
    if optimum.residual_variance > config.tolerance / 10:
        curvature = float(optimum.singular_values()[-1]) ** 2
        rates = torch.minimum(rates, 4 / (curvature * steps))
    return rates * (1 - config.momentum)


def _steps(model, optimizer, features, y, rates, config) -> tuple[Tensor, Tensor]:
    """Each step's loss before it (T,) and weights after it (T, K)."""
    auto = config.constant_rate is None
    losses, weights = y.new_empty(len(y)), y.new_empty(len(y), model.degree + 1)
    for t, rate in enumerate(rates.tolist()):
        optimizer.zero_grad()
        loss = F.mse_loss(model.linear(features[t]), y[t])
        if auto and config.optimizer == "sgd":
            # On the gradient, not on what the momentum has gathered: outside, degree 8 with
            # momentum 0.9 diverged although no single step could.
            (loss * (rate / (1 - config.momentum))).backward()
        else:
            loss.backward()
        if auto and config.optimizer == "adam":
            optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        losses[t] = loss.detach()
        weights[t] = model.weights()
    return losses.to("cpu", torch.float64), weights


def _why(step: int, config) -> str:
    found = f"diverged at step {step}: --learning-rate {text(config.learning_rate)}"
    if config.optimizer == "adam":
        return f"{found} is too large for Adam; lower it, or use auto"
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
    nodes, mass = (torch.from_numpy(a) for a in basis.quadrature(config.inputs, 2 * terms - 1))
    phi = basis.design_matrix(nodes, config.family, config.degree)
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
