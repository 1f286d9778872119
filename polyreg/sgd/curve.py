"""Loss and gap of every step of a training, thinned to bounded memory."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

KEPT = 2**18  # points of a curve


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
        measured = np.empty((3, len(chunk.gap)))
        measured[0] = np.arange(chunk.first, chunk.first + len(chunk.gap))
        measured[1:] = chunk.loss, chunk.gap
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
        if self._stride == 1:
            return measured
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
