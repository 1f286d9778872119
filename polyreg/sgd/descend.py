"""Training loop: the learning curve, step by step.

SGD on a linear model is an affine recurrence, so that a chunk of its steps, of many runs at once,
is a few large products (`Scan`). The other optimizers are none and take their steps one at a time
with torch.optim (`Loop`), which is also the plain reference for SGD.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from polyreg.device import float64, one
from polyreg.errors import Diverged
from polyreg.sgd.curve import Chunk
from polyreg.sgd.loops import Loop, Scan
from polyreg.sgd.rates import why_diverged
from polyreg.sgd.stream import take
from polyreg.sgd.training import Stepper, Training

FIRST_CHUNK, CHUNK = 1024, 4096  # steps between two measurements, at first and at most
LOOP_CHUNK = 256  # ... of torch.optim's: 50 ms, so that whoever wants to stop it can
MANY_NUMBERS = 2**16  # of a step: then torch's threads help
CHUNK_NUMBERS = 2**22  # ... and numbers at most in their matrices


def descend(
    training: Training, stepper: Callable[[list[Training]], Stepper] | None = None
) -> Iterator[Chunk]:
    """Train until config's stop rule holds or its steps are used up.

    Raises Diverged, naming the largest stable rate, at the first step whose gap exceeds the limit;
    the steps before it have been yielded.
    """
    for _, chunk in descend_together([training], stepper):
        yield chunk
    if training.diverged:
        raise training.diverged


def descend_together(
    trainings: Sequence[Training], stepper: Callable[[list[Training]], Stepper] | None = None
) -> Iterator[tuple[Training, Chunk]]:
    """Train several runs of one shape, each until its own end; none of them raises.

    Their options may differ in learning_rate, coefficients, noise and seed.
    """
    config = trainings[0].config
    running = [training for training in trainings if not training.ended]
    if not running:
        return
    steps_of = (stepper or (Scan if config.optimizer == "sgd" else Loop))(running)
    terms = config.degree + 1
    carried = 2 * terms if config.momentum else terms
    batch = config.batch_size * (terms + 1)
    numbers = batch + 4 * carried**2  # of a step: its batch, and the recurrence's matrices
    if len(running) == 1:
        running[0].attach(steps_of)
    most = LOOP_CHUNK if isinstance(steps_of, Loop) else CHUNK
    first = running[0].curve.steps + 1
    while running and first <= config.max_steps:
        room = max(1, CHUNK_NUMBERS // (numbers * len(running)))
        # Growing with what is done, so that few steps are taken in vain after the last.
        size = max(FIRST_CHUNK, first // 2)
        steps = min(size, most, room, config.max_steps - first + 1)
        with one(batch < MANY_NUMBERS):
            measured, going = _measure(running, steps_of, first, steps)
        for training, chunk in measured:
            training.curve.append(chunk)
            yield training, chunk
        running = [running[m] for m in going]
        first += steps


def _measure(
    running: list[Training], steps_of: Stepper, first: int, steps: int
) -> tuple[list[tuple[Training, Chunk]], list[int]]:
    """Take some steps of every run: what each measured up to its end, and which go on."""
    config = running[0].config
    x, y = take([training.stream for training in running], steps)
    rates, loss, weights = steps_of(x, y, first)
    optima = np.stack([training.optimum.weights for training in running])
    gap = running[0].optimum.excess(float64(weights) - optima[:, None])

    limit = np.array([training.limit for training in running])[:, None]
    lost = _first(~((gap <= limit) & np.isfinite(loss)))
    met = _first((gap if config.stop == "gap" else loss) < config.tolerance)
    # What comes after the first of the two never happened.
    ends = np.minimum(np.minimum(lost, met + 1), steps).tolist()
    measured, going = [], []
    for m, (training, end) in enumerate(zip(running, ends, strict=True)):
        converged = bool(met[m] < end)
        if not converged and end < steps:
            training.diverged = Diverged(why_diverged(first + end, training.config))
        elif not converged:
            going.append(m)
        if end:
            training.weights = weights[m, end - 1].clone()
            low, high = (float(v) for v in torch.aminmax(x[m, :end]))
            rate = float(rates[m, 0])
            chunk = Chunk(first, loss[m, :end], gap[m, :end], low, high, rate, converged)
            measured.append((training, chunk))
    steps_of.select(going)
    return measured, going


def _first(holds: np.ndarray) -> np.ndarray:
    """Each row's first place that holds; beyond its end where none does.   (M, T)  ->  (M,)"""
    return np.where(holds.any(axis=1), holds.argmax(axis=1), holds.shape[1])
