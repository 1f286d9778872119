"""A training in the making: its optimum, data, weights and curve."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from polyreg.config import TrainConfig
from polyreg.device import float64
from polyreg.errors import Diverged, Refused
from polyreg.polynomials.module import FittedModel, PolynomialModel, initial_weights
from polyreg.polynomials.result import Result
from polyreg.sgd.curve import Chunk, Curve
from polyreg.sgd.optimum import Optimum, TrainingTable
from polyreg.sgd.stream import Randomness, RowStream, Stream

# A run that is still right can be thrown far by one heavy-tailed batch and come back. Growth seen
# in runs that then converged: see LOG.md; growth past this factor was never seen to come back.
DIVERGED = 1e6


class Stepper(Protocol):
    """Steps of several trainings of one shape, and all that the next one depends on."""

    def measure(self, running: "Sequence[Training]", first: int, steps: int) -> "Measured":
        """Take some steps of every run: what each measured up to its end, and which go on."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Of the one run there is: what its next step depends on, besides weights and samples."""
        ...

    def restore(self, state: Mapping[str, np.ndarray]) -> None: ...

    def select(self, runs: list[int]) -> None:
        """Continue with these of the trainings only."""
        ...


class Training:
    """A training: its optimum, data, weights and curve; `diverged` is the error if it did.

    Its weights (K,) are those after the last step, of a run that diverged the last before. `curve`
    has `at`, `loss` and `gap` (T,), `steps`, `rate` (the first step's) and `converged`.

    On the rows of a `table`, its tolerance and its initial weights are in units of the table's y:
    those of the config times the variance of y, and times its standard deviation.

    >>> import polyreg
    >>> training = polyreg.train(degree=2, max_steps=20)
    >>> training.curve.gap.shape, training.result().terms
    ((20,), ['1', 'x', 'x^2'])
    """

    def __init__(
        self,
        config: TrainConfig,
        device: torch.device | str = "cpu",
        table: TrainingTable | None = None,
    ):
        random = Randomness.of(config.seed)
        self.config, self.device, self.table = config, device, table
        self.unit, self.max_steps = 1.0, config.max_steps
        self.stream: Stream
        if table:
            self.optimum, self.unit = table.optimum, table.unit
            self.stream = RowStream(config, random, table.features, table.targets, device)
            if config.epochs:
                rows = config.epochs * len(table.targets)
                self.max_steps = min(self.max_steps, -(-rows // config.batch_size))
        else:
            self.optimum, self.stream = Optimum.of(config), Stream(config, random, device)
        self.tolerance = config.tolerance * self.unit**2
        weights = self.unit * initial_weights(len(self.optimum.weights) - 1, random.weights)
        self.weights = weights.to(device, getattr(torch, config.dtype))
        off = self.optimum.design @ (weights.numpy() - self.optimum.weights)
        start = float(off @ off)
        self.limit = DIVERGED * (start + self.optimum.residual_variance + self.tolerance)
        self.curve = Curve()
        self.seconds = math.nan  # what it took, set by who trains it
        self.diverged: Diverged | None = None
        self.stepper: Stepper | None = None  # of a run that trains alone
        self._before: Mapping[str, np.ndarray] | None = None  # what an earlier stepper left

    @property
    def name(self) -> str:
        """As its run is called."""
        return (self.table or self.config).name

    @property
    def epochs(self) -> float:
        """How many times it has seen each row of its table; nan of drawn samples."""
        seen = self.curve.steps * self.config.batch_size
        return seen / len(self.table.targets) if self.table else math.nan

    @property
    def model(self) -> PolynomialModel | FittedModel:
        """A model of these weights: on their device, or of a table's in float64 on the CPU."""
        if self.table:
            return FittedModel(self.result())
        made = PolynomialModel(self.config).to(self.device)
        made.set_weights(self.weights)
        return made

    def result(self) -> Result:
        """What it came to so far: a Result without standard errors, beside the truth.

        Its domain is that of the x drawn, `nobs` how many were; on a table, those of its rows,
        beside their exact fit: `table.best`. Of a run that diverged, the weights are the last
        finite ones; of one that took no step, there is no domain, and none to give.
        """
        config, curve = self.config, self.curve
        if self.table:
            gap = float(curve.gap[-1]) if curve.steps else math.nan
            return self.table.result(float64(self.weights), gap, self.tolerance)
        return Result.trained(
            float64(self.weights),
            config.family,
            curve.domain,
            self.optimum.condition(),
            truth=config.coefficients,
            nobs=curve.steps * config.batch_size,
            method=config.optimizer,
            precision=config.dtype,
            origin=config,
        )

    @property
    def ended(self) -> bool:
        """By its own stop rule, by its steps being used up, or by diverging."""
        used_up = self.curve.steps >= self.max_steps
        return self.curve.converged or used_up or self.diverged is not None

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that going on depends on, between two chunks of a run that trains alone."""
        assert self.stepper
        curve, facts = self.curve.state()
        arrays = {"weights": self.weights.cpu().numpy()}
        arrays |= {f"curve/{name}": array for name, array in curve.items()}
        arrays |= {f"way/{name}": array for name, array in self.stepper.state().items()}
        way = type(self.stepper).__name__
        return arrays, {"curve": facts, "stream": self.stream.state, "stepper": way}

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Go on from there: `descend` then takes the steps that it would have taken."""

        def part(of: str) -> dict[str, np.ndarray]:
            own = f"{of}/"
            return {k.removeprefix(own): v for k, v in arrays.items() if k.startswith(own)}

        self.weights = torch.from_numpy(arrays["weights"]).to(self.weights)
        self.curve.restore(part("curve"), facts["curve"])
        self.stream.state = facts["stream"]
        self._before = part("way")

    def attach(self, stepper: Stepper) -> None:
        """Take these steps from here on, with what an earlier stepper left."""
        self.stepper = stepper
        if self._before is not None:
            stepper.restore(self._before)


Measured = tuple[list[tuple[Training, Chunk]], list[int]]


def require_headroom(config: TrainConfig) -> None:
    """Refuse samples whose squares the dtype cannot hold, tails and excursions included."""
    if config.data:
        return  # its rows are known, and judged as they are: TrainingTable.require_headroom
    second_moment = Optimum.of(config).second_moment
    if second_moment > 1e-14 * torch.finfo(getattr(torch, config.dtype)).max:
        raise Refused(
            f"--coefficients and --noise make the mean of y^2 {second_moment:.2g}, too "
            f"large to square in {config.dtype}; rescale y, or use --dtype float64"
        )
