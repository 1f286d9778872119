"""Streams of batches: of a known polynomial, or of the rows of a table."""

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from polyreg.polynomials import families

SAMPLES_IN_DIGEST = 4096
SHUFFLED = 2**15  # rows whose order is drawn at once: 0.3 ms


class Randomness(NamedTuple):
    """A seed's named streams; each is independent of how much is drawn from the others."""

    inputs: np.random.Generator
    noise: np.random.Generator
    weights: np.random.Generator
    shuffling: np.random.Generator

    @classmethod
    def of(cls, seed: int) -> "Randomness":
        return cls(*map(np.random.default_rng, np.random.SeedSequence(seed).spawn(4)))


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
        generator of the noise, its standard deviation; the batch size; and the scales and decays
        of the basis' recurrence.
        """
        c = self.config
        truth = np.array(c.coefficients, dtype=float)
        uniform, noise = c.inputs == "uniform", float(c.noise)
        steps = _recurrence(c.family, c.degree, c.dtype)
        return self._inputs, uniform, truth, self._noise, noise, c.batch_size, *steps

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, K) and targets (N,) of rows that are known; none here: all are drawn."""
        return np.empty((0, 0), self.config.dtype), np.empty(0, self.config.dtype)

    def order(self, steps: int) -> np.ndarray:
        """The rows of the next steps (steps * B,); none here."""
        return np.empty(0, np.int64)

    def features(self, x: Tensor) -> Tensor:
        """phi_0 ... phi_{K-1} of what `take` gives for x (...)  ->  (..., K)"""
        return families.design_matrix(x, self.config.family, self.config.degree)

    def fill(self, rows: Tensor, x: Tensor) -> None:
        """The same into rows (..., K, B), in place, of x (..., B)."""
        families.fill(rows, x, self.config.family)

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


class RowStream(Stream):
    """Batches of a table's rows: features (N, K), and targets (N,), of the run's dtype.

    Each epoch is a new permutation of the rows. Batches follow one another through the epochs
    without a gap, so that a batch may reach over the end of one. In place of x, `take` gives the
    places of the rows.
    """

    def __init__(
        self,
        config,
        randomness: Randomness,
        features: np.ndarray,
        targets: np.ndarray,
        device: torch.device | str = "cpu",
    ):
        super().__init__(config, randomness, device)
        self._rows = features, targets
        self._features, self._targets = (torch.from_numpy(a).to(device) for a in self._rows)
        self._shuffling = randomness.shuffling
        self._shuffle()

    def _shuffle(self) -> None:
        """The epochs to come: one, or of a small table so many that numpy is not asked for each."""
        self._before, rows = self._shuffling.bit_generator.state, len(self._targets)
        epochs = np.tile(np.arange(rows), (max(1, SHUFFLED // rows), 1))
        self._order, self._place = self._shuffling.permuted(epochs, axis=1).ravel(), 0

    @property
    def state(self) -> dict:
        """Where it stands: what the permutations were drawn from, and the place in them."""
        return {"shuffling": self._before, "place": self._place}

    @state.setter
    def state(self, state: dict) -> None:
        self._shuffling.bit_generator.state = state["shuffling"]
        self._shuffle()
        self._place = state["place"]

    def source(self) -> tuple:
        """As Stream's, of which nothing is drawn."""
        nothing, bare = np.zeros(1), np.empty(0, self.config.dtype)
        return self._inputs, True, nothing, self._noise, 0.0, self.config.batch_size, bare, bare

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        return self._rows

    def order(self, steps: int) -> np.ndarray:
        wanted, found = steps * self.config.batch_size, []
        while wanted:
            if self._place == len(self._order):
                self._shuffle()
            part = self._order[self._place : self._place + wanted]
            self._place += len(part)
            wanted -= len(part)
            found.append(part)
        return np.concatenate(found)

    def places(self, steps: int) -> tuple[Tensor, Tensor]:
        """The next batches: the places of their rows, and y, (steps, B) each."""
        order = torch.from_numpy(self.order(steps)).to(self.device).view(steps, -1)
        return order, self._targets[order]

    def features(self, x: Tensor) -> Tensor:
        return self._features[x]

    def fill(self, rows: Tensor, x: Tensor) -> None:
        rows.copy_(self._features[x].mT)


def take(streams: Sequence[Stream], steps: int) -> tuple[Tensor, Tensor]:
    """The next batches of streams of one shape, as each would give alone.

    ->  x (M, steps, B) and y (M, steps, B)
    """
    if isinstance(streams[0], RowStream):
        [stream] = streams
        places, targets = stream.places(steps)  # type: ignore[attr-defined]
        return places[None], targets[None]
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


@cache
def _recurrence(family: str, degree: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    found = families.recurrence(family, degree)
    return np.array(found.scales, dtype), np.array(found.decays, dtype)


def sha256(config) -> str:
    """What data a run saw: the hash of its stream's first samples, x then y, as float64.

    It depends on seed, inputs, coefficients and noise, not on batch size, steps, dtype or device.
    """
    x, y = Stream(config, Randomness.of(config.seed)).samples(SAMPLES_IN_DIGEST)
    return hashlib.sha256(np.stack([x, y]).astype("<f8").tobytes()).hexdigest()
