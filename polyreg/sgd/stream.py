"""A known polynomial as a stream of batches."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

SAMPLES_IN_DIGEST = 4096


class Randomness(NamedTuple):
    """A seed's named streams; each is independent of how much is drawn from the others."""

    inputs: np.random.Generator
    noise: np.random.Generator
    weights: np.random.Generator

    @classmethod
    def of(cls, seed: int) -> "Randomness":
        return cls(*map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3)))


class Stream:
    """Batches of y = p(x) + noise, without end; equal seeds give equal bits on every device.

    Numbers are drawn and y is computed on the CPU in float64, then rounded to `dtype` and moved
    to `device`. How many steps are taken at once does not change them.
    """

    def __init__(self, config, randomness: Randomness, device: torch.device | str = "cpu"):
        self.config, self.device = config, device
        self._inputs, self._noise = randomness.inputs, randomness.noise

    @property
    def state(self) -> dict:
        """Where it stands: what the next numbers depend on."""
        return {
            "inputs": self._inputs.bit_generator.state,
            "noise": self._noise.bit_generator.state,
        }

    @state.setter
    def state(self, state: dict) -> None:
        self._inputs.bit_generator.state = state["inputs"]
        self._noise.bit_generator.state = state["noise"]

    def source(self) -> tuple:
        """What `draw` draws from and makes: generator of x, whether x is uniform, coefficients,
        generator of the noise, its standard deviation; and the batch size.
        """
        c = self.config
        truth = np.array(c.coefficients, dtype=float)
        uniform, noise = c.inputs == "uniform", float(c.noise)
        return self._inputs, uniform, truth, self._noise, noise, c.batch_size

    def samples(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The next samples: x (count,) and y (count,), float64."""
        (x,), (y,) = _samples([self], count)
        return x, y

    def take(self, steps: int) -> tuple[Tensor, Tensor]:
        """The next batches: x (steps, B, 1) and y (steps, B, 1)."""
        (x,), (y,) = take([self], steps)
        return x[..., None], y[..., None]

    def draw(self, x: np.ndarray, y: np.ndarray) -> None:
        """The next samples, into x (count,) and y (count,)."""
        if self.config.inputs == "normal":
            self._inputs.standard_normal(out=x)
        else:
            x[:] = self._inputs.uniform(-1, 1, size=len(x))
        y[:] = self.config.coefficients[-1]
        for c in self.config.coefficients[-2::-1]:  # Horner's rule, in place
            y *= x
            y += c
        if self.config.noise:
            y += self.config.noise * self._noise.standard_normal(len(x))


def take(streams: Sequence[Stream], steps: int) -> tuple[Tensor, Tensor]:
    """The next batches of streams of one shape, as each would give alone.

    ->  x (M, steps, B) and y (M, steps, B)
    """
    config, device = streams[0].config, streams[0].device
    x, y = _samples(streams, steps * config.batch_size)
    shape, dtype = (len(streams), steps, config.batch_size), getattr(torch, config.dtype)
    return (
        torch.from_numpy(x).to(dtype).to(device).view(shape),
        torch.from_numpy(y).to(dtype).to(device).view(shape),
    )


def _samples(streams: Sequence[Stream], count: int) -> tuple[np.ndarray, np.ndarray]:
    """x (M, count) and y (M, count), float64."""
    x, y = np.empty((2, len(streams), count))
    for stream, inputs, outputs in zip(streams, x, y, strict=True):
        stream.draw(inputs, outputs)
    return x, y


def sha256(config) -> str:
    """What data a run saw: the hash of its stream's first samples, x then y, as float64.

    It depends on seed, inputs, coefficients and noise, not on batch size, steps, dtype or device.
    """
    x, y = Stream(config, Randomness.of(config.seed)).samples(SAMPLES_IN_DIGEST)
    return hashlib.sha256(np.stack([x, y]).astype("<f8").tobytes()).hexdigest()
