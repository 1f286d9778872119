"""Checkpoints of a training among its run's artifacts."""

import time

from polyreg.sgd import checkpoint
from polyreg.sgd.training import Training
from polyreg.tracking import history
from polyreg.tracking.run import Run

CHECKPOINT_SECONDS = 10.0
SLOTS = ("checkpoint/a.npz", "checkpoint/b.npz")  # written in turn: one is always whole


class Checkpoints:
    """A training's state among its run's artifacts: at most every CHECKPOINT_SECONDS, and at the
    end of one that is interrupted. The tag `checkpoint` names the last that was written whole.
    """

    def __init__(self, training: Training):
        self.training = training
        self._before = 0.0  # seconds that it took until it was interrupted
        self._began = self._last = time.perf_counter()
        self._slot, self._written = 0, False

    def begin(self) -> None:
        """Now the training does."""
        self._began = self._last = time.perf_counter()

    def seconds(self) -> float:
        """What the training took so far."""
        return self._before + time.perf_counter() - self._began

    def read(self, run: history.Past) -> None:
        """Go on from the last one that is whole; from the start, which ends alike, without one."""
        named = run.tags.get("checkpoint", SLOTS[0])
        self._written = "checkpoint" in run.tags
        for path in sorted(SLOTS, key=lambda slot: slot != named):
            packed = history.file(run.id, path)
            try:
                self._before = checkpoint.unpack(packed, self.training) if packed else 0.0
            except ValueError:
                continue
            if packed:
                self._slot = 1 - SLOTS.index(path)
                return

    def write_when_due(self, run: Run) -> None:
        if time.perf_counter() - self._last >= CHECKPOINT_SECONDS:
            self.write(run)

    def write(self, run: Run) -> None:
        if self.training.curve.steps == 0:
            return
        packed = checkpoint.pack(self.training, self.seconds())
        run.checkpoint(packed, SLOTS[self._slot])
        self._slot, self._written = 1 - self._slot, True
        self._last = time.perf_counter()

    def clear(self, run: Run) -> None:
        """Of a run that has arrived."""
        if self._written:
            run.drop_checkpoints("checkpoint")
