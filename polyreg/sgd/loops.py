"""Steps of several runs at once: SGD by a prefix scan, and any optimizer by torch.optim's loop."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from polyreg.config import TrainConfig
from polyreg.device import float64
from polyreg.errors import Diverged
from polyreg.fields import MOMENTUM, TORCH_OPTIMIZERS
from polyreg.polynomials.module import LinearModel
from polyreg.sgd.curve import Chunk
from polyreg.sgd.rates import Rates, why_diverged
from polyreg.sgd.stream import take
from polyreg.sgd.training import Measured, Training


class Batched:
    """Runs whose batches are drawn, and whose gaps are measured, for all steps of a chunk at once.

    Called with x (M, T, B), y (M, T, B) and the first step's number, it gives rates (M, T), losses
    before (M, T) and weights after (M, T, K).
    """

    def __call__(self, x: Tensor, y: Tensor, first: int) -> tuple[np.ndarray, np.ndarray, Tensor]:
        raise NotImplementedError

    def measure(self, running: Sequence[Training], first: int, steps: int) -> Measured:
        """As Stepper's."""
        x, y = take([training.stream for training in running], steps)
        rates, loss, weights = self(x, y, first)
        optima = np.stack([training.optimum.weights for training in running])
        gap = running[0].optimum.excess(float64(weights) - optima[:, None])

        config, tolerance = running[0].config, running[0].tolerance
        limit = np.array([training.limit for training in running])[:, None]
        lost = _first(~((gap <= limit) & np.isfinite(loss)))
        met = _first((gap if config.stop == "gap" else loss) < tolerance)
        # What comes after the first of the two never happened.
        ends = np.minimum(np.minimum(lost, met + 1), steps).tolist()
        measured, going = [], []
        for m, (training, end) in enumerate(zip(running, ends, strict=True)):
            converged = bool(met[m] < end)
            if not converged and end < steps:
                training.diverged = Diverged(why_diverged(first + end, training))
            elif not converged:
                going.append(m)
            if end:
                training.weights = weights[m, end - 1].clone()
                low, high = (float(v) for v in torch.aminmax(x[m, :end]))
                rate = float(rates[m, 0])
                chunk = Chunk(first, loss[m, :end], gap[m, :end], low, high, rate, converged)
                measured.append((training, chunk))
        return measured, going


def _first(holds: np.ndarray) -> np.ndarray:
    """Each row's first place that holds; beyond its end where none does.   (M, T)  ->  (M,)"""
    return np.where(holds.any(axis=1), holds.argmax(axis=1), holds.shape[1])


class Scan(Batched):
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
        self._stream = trainings[0].stream
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
        terms, m, dtype = self._terms, self._momentum, y.dtype
        rows = y.new_empty(*x.shape[:2], terms + 1, x.shape[2])
        self._stream.fill(rows[..., :terms, :], x)
        _plus(torch.neg(y, out=rows[..., terms, :]), rows, self._origin[:, None])
        products = (rows[..., :terms, :] @ rows.mT).to(self._exact) / x.shape[-1]
        trace = products.diagonal(dim1=-2, dim2=-1).sum(-1)
        rates = self._rates(float64(trace), first)
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
        states = prefix_scan(matrix, offset, self._state)
        distance = states[..., -terms:]
        before = torch.cat([self._state[:, None, -terms:], distance[:, :-1]], dim=1)
        self._state = states[:, -1]
        residual = _plus(rows[..., terms, :].clone(), rows, before.to(dtype))
        loss = torch.linalg.vector_norm(residual, dim=-1).to(self._exact).square()
        weights = (self._origin[:, None] + distance).to(dtype)
        return rates, float64(loss / x.shape[-1]), weights

    def state(self) -> dict[str, np.ndarray]:
        """As Stepper's."""
        return {"state": self._state.cpu().numpy(), "origin": self._origin.cpu().numpy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._state = torch.from_numpy(state["state"]).to(self._state)
        self._origin = torch.from_numpy(state["origin"]).to(self._origin)

    def select(self, runs: list[int]) -> None:
        self._state, self._origin = self._state[runs], self._origin[runs]
        self._rates.select(runs)


def _plus(residual: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """residual (M, T, B) + Phi weights, in place; Phi^T the rows, weights (M, T or 1, K)"""
    for k in range(weights.shape[-1]):
        residual.addcmul_(rows[..., k, :], weights[..., k, None])
    return residual


def prefix_scan(matrix: Tensor, offset: Tensor, start: Tensor) -> Tensor:
    """All states of affine recurrences s_t = A_t s_{t-1} + b_t, in about 2 log2(T) products.

    A (M, T, S, S), b (M, T, S), start (M, S)  ->  states after each step (M, T, S)
    A state that overflows is inf or nan, and so are those after it; those before it are right.

    Two affine steps are one,  A'(A s + b) + b' = (A' A) s + (A' b + b'),  so that the states after
    every second step are those of a recurrence half as long; the others are one step from them.
    (Blelloch 1990; Martin and Cundy, arXiv 1709.02755)
    """
    steps = matrix.shape[1]
    column, before = offset[..., None], start[:, None, :, None]
    if steps == 1:
        return (matrix @ before + column)[..., 0]
    pairs = steps // 2
    first, second = (matrix[:, i : 2 * pairs : 2] for i in (0, 1))
    joined = second @ column[:, 0 : 2 * pairs : 2] + column[:, 1 : 2 * pairs : 2]
    result = torch.empty_like(offset)
    result[:, 1 : 2 * pairs : 2] = prefix_scan(second @ first, joined[..., 0], start)
    known = torch.cat([before, result[:, 1 : steps - 1 : 2, :, None]], dim=1)
    result[:, ::2] = (matrix[:, ::2] @ known + column[:, ::2])[..., 0]
    return result


class Loop(Batched):
    """torch.optim, step by step."""

    def __init__(self, trainings: Sequence[Training]):
        self._rates = Rates(trainings)
        self._models = [LinearModel.of(t.weights) for t in trainings]
        self._optimizers = [_optimizer(model, trainings[0].config) for model in self._models]
        self._config, self._stream = trainings[0].config, trainings[0].stream

    def __call__(self, x: Tensor, y: Tensor, first: int) -> tuple[np.ndarray, np.ndarray, Tensor]:
        features = self._stream.features(x)
        trace = features.square().sum((-1, -2)) / x.shape[-1]
        rates = self._rates(float64(trace), first)
        loss = y.new_empty(x.shape[:2])
        weights = y.new_empty((*x.shape[:2], features.shape[-1]))
        for m, model in enumerate(self._models):
            for t, rate in enumerate(rates[m].tolist()):
                loss[m, t], weights[m, t] = self._step(m, model, features[m, t], y[m, t], rate)
        return rates, float64(loss), weights

    def _step(self, m: int, model, features: Tensor, y: Tensor, rate: float):
        optimizer = self._optimizers[m]
        optimizer.zero_grad()
        loss = F.mse_loss(model.linear(features[:, 1:]), y[:, None])
        if self._config.optimizer == "sgd":
            (loss * rate).backward()  # on the gradient: see Scan
        else:
            optimizer.param_groups[0]["lr"] = rate
            loss.backward()
        optimizer.step()
        return loss.detach(), model.weights()

    def state(self) -> dict[str, np.ndarray]:
        """What the one run's optimizer has gathered of each of its parameters."""
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

    def select(self, runs: list[int]) -> None:
        self._models = [self._models[m] for m in runs]
        self._optimizers = [self._optimizers[m] for m in runs]
        self._rates.select(runs)


def _optimizer(model: LinearModel, config: TrainConfig) -> torch.optim.Optimizer:
    """torch's own, with its defaults: AdamW decays the weights by 0.01 times the rate a step."""
    kind = getattr(torch.optim, TORCH_OPTIMIZERS[config.optimizer])
    more = {"momentum": config.momentum} if config.optimizer in MOMENTUM else {}
    return kind(model.parameters(), lr=1, **more)
