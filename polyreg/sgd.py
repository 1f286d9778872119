"""The learning curve, step by step.

SGD on a linear model is an affine recurrence, so that a chunk of its steps, of many runs at once,
is a few large products (`Scan`). Adam is none and takes its steps one at a time with torch.optim
(`Loop`), which is also the plain reference for SGD.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from polyreg import basis, recurrence, threads
from polyreg.config import Diverged, TrainConfig
from polyreg.data import Randomness, Stream, take
from polyreg.model import PolynomialModel, initial_weights
from polyreg.optimum import Optimum
from polyreg.text import text

# A run that is still right can be thrown far by one heavy-tailed batch and come back. Growth seen
# in runs that then converged: see LOG.md; growth past this factor was never seen to come back.
DIVERGED = 1e6

FIRST_CHUNK, CHUNK = 1024, 4096  # steps between two measurements, at first and at most
LOOP_CHUNK = 256  # ... of torch.optim's: 50 ms, so that whoever wants to stop it can
KEPT = 2**18  # points of a curve
MANY_NUMBERS = 2**16  # of a step: then torch's threads help
CHUNK_NUMBERS = 2**22  # ... and numbers at most in their matrices


class Chunk(NamedTuple):
    """What some steps measured.

    `loss` (T,) is each step's batch loss before its update, `gap` (T,) the expected excess loss
    over the optimum after it; their x lay in [low, high]. `rate` is the first
    step's. The last chunk of a run that met its stop rule is `converged`.
    """

    first: int
    loss: np.ndarray
    gap: np.ndarray
    low: float
    high: float
    rate: float
    converged: bool


class Curve:
    """A run's measurements: those of every step, up to KEPT of them.

    Of longer runs, the steps before KEPT / 2 stay whole, and of the later ones every 2nd, 4th, ...
    so that memory is bounded, whatever the number of steps; the last step is always there.
    """

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []  # (3, ...) each: step, loss, gap
        self._stride, self._count = 1, 0
        self._last = np.empty((3, 0))
        self.steps, self.rate, self.converged = 0, math.nan, False
        self.domain = (math.inf, -math.inf)

    def append(self, chunk: Chunk) -> None:
        if self.steps == 0:
            self.rate = chunk.rate
        self.steps += len(chunk.gap)
        self.converged = chunk.converged
        self.domain = min(self.domain[0], chunk.low), max(self.domain[1], chunk.high)
        at = np.arange(chunk.first, chunk.first + len(chunk.gap), dtype=float)
        measured = np.stack([at, chunk.loss, chunk.gap])
        self._last = measured[:, -1:]
        self._add(self._thinned(measured))
        if self._count > KEPT:
            self._stride *= 2
            parts, self._parts, self._count = self._parts, [], 0
            self._add(self._thinned(np.concatenate(parts, axis=1)))

    def _add(self, part: np.ndarray) -> None:
        self._parts.append(part)
        self._count += part.shape[1]

    def _thinned(self, measured: np.ndarray) -> np.ndarray:
        at = measured[0]
        return measured[:, (at <= KEPT // 2) | (at % self._stride == 0)]

    def _kept(self) -> np.ndarray:
        kept = np.concatenate([np.empty((3, 0)), *self._parts], axis=1)
        whole = kept.shape[1] == 0 or kept[0, -1] == self.steps
        return kept if whole else np.concatenate([kept, self._last], axis=1)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that it is: arrays, and facts that JSON can hold."""
        kept = np.concatenate([np.empty((3, 0)), *self._parts], axis=1)
        facts = {
            "stride": self._stride,
            "steps": self.steps,
            "rate": self.rate,
            "domain": self.domain,
            "converged": self.converged,
        }
        return {"kept": kept, "last": self._last}, facts

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        self._parts, self._count = [], 0
        self._add(arrays["kept"])
        self._last, self._stride = arrays["last"], facts["stride"]
        self.steps, self.rate, self.converged = facts["steps"], facts["rate"], facts["converged"]
        low, high = facts["domain"]
        self.domain = low, high

    @property
    def at(self) -> np.ndarray:
        """The steps that are kept, the first of a run being 1 (T,)."""
        return self._kept()[0].astype(int)

    @property
    def loss(self) -> np.ndarray:
        """Each kept step's batch loss before its update (T,)."""
        return self._kept()[1]

    @property
    def gap(self) -> np.ndarray:
        """The expected excess loss over the optimum after each kept step (T,)."""
        return self._kept()[2]


class Training:
    """A run in the making: its optimum, data, weights and curve; `diverged` is the error if it did.

    Its weights (K,) are those after the last step, of a run that diverged the last before.
    """

    def __init__(self, config: TrainConfig, device: torch.device | str = "cpu"):
        random = Randomness.of(config.seed)
        self.config, self.device = config, device
        self.optimum = Optimum.of(config)
        self.stream = Stream(config, random, device)
        weights = initial_weights(config.degree, random.weights)
        self.weights = weights.to(device, getattr(torch, config.dtype))
        start = float(self.optimum.gap(weights.numpy()))
        self.limit = DIVERGED * (start + self.optimum.residual_variance + config.tolerance)
        self.curve = Curve()
        self.seconds = math.nan  # what it took, set by who trains it
        self.diverged: Diverged | None = None
        self.way: Scan | Loop | None = None  # of a run that trains alone
        self._before: Mapping[str, np.ndarray] | None = None  # what an earlier way left

    @property
    def model(self) -> PolynomialModel:
        """A model of these weights, on their device."""
        made = PolynomialModel(self.config).to(self.device)
        made.set_weights(self.weights)
        return made

    @property
    def ended(self) -> bool:
        """By its own stop rule, by its steps being used up, or by diverging."""
        used_up = self.curve.steps >= self.config.max_steps
        return self.curve.converged or used_up or self.diverged is not None

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that going on depends on, between two chunks of a run that trains alone."""
        assert self.way
        curve, facts = self.curve.state()
        arrays = {"weights": self.weights.cpu().numpy()}
        arrays |= {f"curve/{name}": array for name, array in curve.items()}
        arrays |= {f"way/{name}": array for name, array in self.way.state().items()}
        return arrays, {"curve": facts, "stream": self.stream.state}

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Go on from there: `descend` then takes the steps that it would have taken."""

        def part(of: str) -> dict[str, np.ndarray]:
            own = f"{of}/"
            return {k.removeprefix(own): v for k, v in arrays.items() if k.startswith(own)}

        self.weights = torch.from_numpy(arrays["weights"]).to(self.weights)
        self.curve.restore(part("curve"), facts["curve"])
        self.stream.state = facts["stream"]
        self._before = part("way")

    def go_on(self, way: "Scan | Loop") -> None:
        self.way = way
        if self._before is not None:
            way.restore(self._before)


def descend(training: Training, way: type["Scan | Loop"] | None = None) -> Iterator[Chunk]:
    """Train until config's stop rule holds or its steps are used up.

    Raises Diverged, naming the largest stable rate, at the first step whose gap is beyond recall;
    the steps before it have been yielded.
    """
    for _, chunk in descend_together([training], way):
        yield chunk
    if training.diverged:
        raise training.diverged


def descend_together(
    trainings: Sequence[Training], way: type["Scan | Loop"] | None = None
) -> Iterator[tuple[Training, Chunk]]:
    """Train several runs of one shape, each until its own end; none of them raises.

    Their options may differ in learning_rate, coefficients, noise and seed.
    """
    config = trainings[0].config
    running = [training for training in trainings if not training.ended]
    if not running:
        return
    steps_of = (way or (Loop if config.optimizer == "adam" else Scan))(running)
    terms = config.degree + 1
    carried = 2 * terms if config.momentum else terms
    batch = config.batch_size * (terms + 1)
    numbers = batch + 4 * carried**2  # of a step: its batch, and the recurrence's matrices
    if len(running) == 1:
        running[0].go_on(steps_of)
    most = LOOP_CHUNK if isinstance(steps_of, Loop) else CHUNK
    first = running[0].curve.steps + 1
    while running and first <= config.max_steps:
        room = max(1, CHUNK_NUMBERS // (numbers * len(running)))
        # Growing with what is done, so that few steps are taken in vain after the last.
        size = max(FIRST_CHUNK, first // 2)
        steps = min(size, most, room, config.max_steps - first + 1)
        with threads.one(batch < MANY_NUMBERS):
            measured, going = _measure(running, steps_of, first, steps)
        for training, chunk in measured:
            training.curve.append(chunk)
            yield training, chunk
        running = [running[m] for m in going]
        first += steps


def _measure(
    running: list[Training], steps_of: "Scan | Loop", first: int, steps: int
) -> tuple[list[tuple[Training, Chunk]], list[int]]:
    """Take some steps of every run: what each measured up to its end, and which go on."""
    config = running[0].config
    x, y = take([training.stream for training in running], steps)
    rates, loss, weights = steps_of(x, y, first)
    optima = np.stack([training.optimum.weights for training in running])
    gap = running[0].optimum.excess(_float64(weights) - optima[:, None])

    limit = np.array([training.limit for training in running])[:, None]
    lost = _first(~((gap <= limit) & np.isfinite(loss)))
    met = _first((gap if config.stop == "gap" else loss) < config.tolerance)
    # What comes after the first of the two never happened.
    ends = np.minimum(np.minimum(lost, met + 1), steps).tolist()
    measured, going = [], []
    for m, (training, end) in enumerate(zip(running, ends, strict=True)):
        converged = bool(met[m] < end)
        if not converged and end < steps:
            training.diverged = Diverged(_why(first + end, training.config))
        elif not converged:
            going.append(m)
        if end:
            training.weights = weights[m, end - 1].clone()
            low, high = (float(v) for v in torch.aminmax(x[m, :end]))
            rate = float(rates[m, 0])
            chunk = Chunk(first, loss[m, :end], gap[m, :end], low, high, rate, converged)
            measured.append((training, chunk))
    steps_of.keep(going)
    return measured, going


def _first(holds: np.ndarray) -> np.ndarray:
    """Each row's first place that holds; beyond its end where none does.   (M, T)  ->  (M,)"""
    return np.where(holds.any(axis=1), holds.argmax(axis=1), holds.shape[1])


def _float64(numbers: Tensor) -> np.ndarray:
    return numbers.to("cpu", torch.float64).numpy()


class Scan:
    """SGD, all steps of a chunk at once.

    With a batch's G = Phi^T Phi / B and g = Phi^T (Phi w0 - y) / B, its rate lr and the momentum m,
    the distance d = w - w0 from some weights goes, from v = 0,

        v <- m v + 2 lr (G d + g),    d <- d - v

    G and g are sums in the run's own dtype, the recurrence is float64: in float32, 1 - 2 lr G keeps
    too few digits of a small rate (MPS has no float64, and has that fault). In float64, w0 is the
    optimum, near which nothing cancels then. It may be far larger than the weights on their way,
    so that float32 starts from the initial weights: its Phi d is rounded as the loop's Phi w is.

    The rate is applied to the gradient, not to what the momentum has gathered: where the rate
    changes, that differs, and outside, degree 8 with momentum 0.9 diverged although no single
    step could.
    """

    def __init__(self, trainings: Sequence[Training]):
        self._rates = Rates(trainings)
        self._momentum = trainings[0].config.momentum
        self._family = trainings[0].config.family
        weights = torch.stack([t.weights for t in trainings])
        self._terms, self._origin = weights.shape[1], weights
        if weights.dtype == torch.float64:
            optima = np.stack([t.optimum.weights for t in trainings])
            self._origin = torch.from_numpy(optima).to(weights.device)
        self._exact = torch.float32 if weights.device.type == "mps" else torch.float64
        distance = (weights - self._origin).to(self._exact)
        still = [torch.zeros_like(distance)] if self._momentum else []
        self._state = torch.cat([*still, distance], dim=1)  # v, where there is momentum, and d

    @torch.inference_mode()
    def __call__(self, x: Tensor, y: Tensor, first: int) -> tuple[np.ndarray, np.ndarray, Tensor]:
        """x (M, T, B), y (M, T, B)  ->  rates (M, T), losses before (M, T), w after (M, T, K)"""
        terms, m, dtype = self._terms, self._momentum, x.dtype
        rows = threads.workspace("rows", x, *x.shape[:2], terms + 1, x.shape[2])
        basis.fill(rows[..., :terms, :], x, self._family)
        _plus(torch.neg(y, out=rows[..., terms, :]), rows, self._origin[:, None])
        products = (rows[..., :terms, :] @ rows.mT).to(self._exact) / x.shape[-1]
        trace = products.diagonal(dim1=-2, dim2=-1).sum(-1)
        rates = self._rates(_float64(trace), first)
        twice = torch.from_numpy(2 * rates).to(products)
        products *= twice[..., None, None]
        pull, push = products[..., :terms], products[..., terms]
        eye = torch.eye(terms, dtype=self._exact, device=x.device)
        if m:
            inert = (m * eye).expand_as(pull)
            above, below = (torch.cat(p, -1) for p in ((inert, pull), (-inert, eye - pull)))
            matrix, offset = torch.cat([above, below], -2), torch.cat([push, -push], -1)
        else:
            matrix, offset = eye - pull, -push
        states = recurrence.states(matrix, offset, self._state)
        distance = states[..., -terms:]
        before = torch.cat([self._state[:, None, -terms:], distance[:, :-1]], dim=1)
        self._state = states[:, -1]
        residual = _plus(rows[..., terms, :].clone(), rows, before.to(dtype))
        loss = torch.linalg.vector_norm(residual, dim=-1).to(self._exact).square()
        weights = (self._origin[:, None] + distance).to(dtype)
        return rates, _float64(loss / x.shape[-1]), weights

    def state(self) -> dict[str, np.ndarray]:
        """What the next step depends on, besides weights and samples."""
        return {"state": self._state.cpu().numpy(), "origin": self._origin.cpu().numpy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._state = torch.from_numpy(state["state"]).to(self._state)
        self._origin = torch.from_numpy(state["origin"]).to(self._origin)

    def keep(self, runs: list[int]) -> None:
        """Go on with these of the runs only."""
        self._state, self._origin = self._state[runs], self._origin[runs]
        self._rates.keep(runs)


def _plus(residual: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """residual (M, T, B) + Phi weights, in place; Phi^T the rows, weights (M, T or 1, K)"""
    for k in range(weights.shape[-1]):
        residual.addcmul_(rows[..., k, :], weights[..., k, None])
    return residual


class Loop:
    """torch.optim, step by step."""

    def __init__(self, trainings: Sequence[Training]):
        self._rates = Rates(trainings)
        self._models = [t.model for t in trainings]
        self._optimizers = [_optimizer(model, trainings[0].config) for model in self._models]
        self._config = trainings[0].config

    def __call__(self, x: Tensor, y: Tensor, first: int) -> tuple[np.ndarray, np.ndarray, Tensor]:
        """As Scan's."""
        features = basis.design_matrix(x, self._config.family, self._config.degree)
        trace = features.square().sum((-1, -2)) / x.shape[-1]
        rates = self._rates(_float64(trace), first)
        loss = x.new_empty(x.shape[:2])
        weights = x.new_empty((*x.shape[:2], features.shape[-1]))
        for m, model in enumerate(self._models):
            for t, rate in enumerate(rates[m].tolist()):
                loss[m, t], weights[m, t] = self._step(m, model, features[m, t], y[m, t], rate)
        return rates, _float64(loss), weights

    def _step(self, m: int, model, features: Tensor, y: Tensor, rate: float):
        optimizer = self._optimizers[m]
        optimizer.zero_grad()
        loss = F.mse_loss(model.linear(features[:, 1:]), y[:, None])
        if self._config.optimizer == "adam":
            optimizer.param_groups[0]["lr"] = rate
            loss.backward()
        else:
            (loss * rate).backward()  # on the gradient: see Scan
        optimizer.step()
        return loss.detach(), model.weights()

    def state(self) -> dict[str, np.ndarray]:
        """As Scan's: what the one run's optimizer has gathered of each of its parameters."""
        if not self._optimizers:
            return {}  # the run has ended
        gathered = self._optimizers[0].state_dict()["state"]
        return {
            f"{parameter}.{name}": value.cpu().numpy()
            for parameter, values in gathered.items()
            for name, value in values.items()
            if value is not None  # SGD's momentum where there is none
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        gathered: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            parameter, name = key.split(".")
            gathered.setdefault(int(parameter), {})[name] = torch.from_numpy(value)
        groups = self._optimizers[0].state_dict()["param_groups"]
        self._optimizers[0].load_state_dict({"state": gathered, "param_groups": groups})

    def keep(self, runs: list[int]) -> None:
        self._models = [self._models[m] for m in runs]
        self._optimizers = [self._optimizers[m] for m in runs]
        self._rates.keep(runs)


def _optimizer(model: PolynomialModel, config: TrainConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters())
    return torch.optim.SGD(model.parameters(), lr=1, momentum=config.momentum)


class Rates:
    """The learning rates of several runs.

    A number is constant. `auto`, for SGD, with G = Phi^T Phi / B the step's own batch:

        lr_t = (1 - momentum) min(1 / (2 tr G_t),  4 / (lambda_min(E G) t))

    The first keeps I - 2 lr_t G_t between 0 and I, so that no batch, whatever its tail, throws the
    weights away (Kaczmarz; Needell, Srebro and Ward 2016). The second, only where a residual
    variance would keep a constant rate hovering, falls as Robbins and Monro ask; its 4 is four
    times what estimates best at a given t, and gets below a tolerance soonest (LOG.md).
    Adam moves each weight by about its rate, so that there y's own size is the measure:
    0.05 sqrt(E y^2) / (1 + t / 100)^(3/4).
    """

    def __init__(self, trainings: Sequence[Training]):
        self._config = trainings[0].config
        optima = [t.optimum for t in trainings]
        constants = [t.config.constant_rate for t in trainings]
        self._constant = _column([math.nan if c is None else c for c in constants])
        self._falling = _column([falling(o, self._config.tolerance) for o in optima])
        self._size = _column([math.sqrt(o.second_moment) for o in optima])

    def __call__(self, trace: np.ndarray, first: int) -> np.ndarray:
        """Those of the steps from `first` on, whose batches have tr G = trace (M, T)."""
        steps = np.arange(first, first + trace.shape[1])
        if self._config.optimizer == "adam":
            rates = 0.05 * self._size / (1 + steps / 100) ** 0.75
        else:
            rates = np.minimum(0.5 / trace, self._falling / steps) * (1 - self._config.momentum)
        return np.where(np.isnan(self._constant), rates, self._constant)

    def keep(self, runs: list[int]) -> None:
        self._constant, self._falling = self._constant[runs], self._falling[runs]
        self._size = self._size[runs]


def falling(optimum: Optimum, tolerance: float) -> float:
    """c of the rates c / t that `auto` does not exceed; infinite where nothing makes it fall."""
    if optimum.residual_variance <= tolerance / 10:
        return math.inf
    return 4 / float(optimum.singular_values()[-1]) ** 2


def _column(numbers: Sequence[float]) -> np.ndarray:
    return np.array(numbers)[:, None]


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
