"""What a run is: one frozen dataclass, and the Click options made from it.

Each default and each help text is written here, once. Nothing heavy is imported, so that `--help`
and a wrong option answer at once.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args, get_origin

import click

MAX_DEGREE = 20
# Of coefficients, noise and rate: their squares and moments stay far from overflow.
MAX_SIZE = 1e15


def knob(default: Any, help: str, type: click.ParamType | None = None) -> Any:
    return field(default=default, metadata={"help": help, "type": type})


def text(value: Any) -> str:
    """The one spelling of an option's value, in `--help`, in MLproject and in MLflow's params."""
    if isinstance(value, tuple):
        return ",".join(text(v) for v in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


class Numbers(click.ParamType):
    name = "c0,c1,..."

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(
                f"{value!r} is not a comma list of numbers; write the constant first, "
                "like 0.9,0.5,3,2.4",
                param,
                ctx,
            )


class NumberOrAuto(click.ParamType):
    name = "auto|float"

    def convert(self, value, param, ctx):
        try:
            return value if value == "auto" else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a number", param, ctx)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    degree: int = knob(3, f"Degree of the model, 0 to {MAX_DEGREE}.")
    coefficients: tuple[float, ...] = knob(
        (0.9, 0.5, 3.0, 2.4), "True coefficients of 1, x, x^2, ..., constant first.", Numbers()
    )
    noise: float = knob(0.0, "Standard deviation of the Gaussian noise on y, in units of y.")
    inputs: Literal["normal", "uniform"] = knob(
        "normal", "Distribution of x: N(0, 1), or uniform on [-1, 1]."
    )
    basis: Literal["auto", "monomial", "hermite", "legendre", "chebyshev"] = knob(
        "auto", "Features; auto is the family orthonormal under the inputs."
    )
    optimizer: Literal["sgd", "adam"] = knob("sgd", "torch.optim's SGD or Adam.")
    learning_rate: float | str = knob(
        "auto",
        "A constant rate, or auto: as large as each batch allows, falling like 1/t once noise "
        "is what is left.",
        NumberOrAuto(),
    )
    momentum: float = knob(0.0, "Momentum of SGD, at least 0 and below 1.")
    batch_size: int = knob(32, "Samples in a batch.")
    tolerance: float = knob(1e-3, "What the stop rule compares with, in squared units of y.")
    stop: Literal["gap", "batch"] = knob(
        "gap",
        "Stop when the expected excess loss over the optimum is below tolerance (gap), or when "
        "one batch's loss is (batch).",
    )
    max_steps: int = knob(100_000, "Stop here in any case.")
    seed: int = knob(0, "Seeds inputs, noise and initial weights; 0 is a seed.")
    device: Literal["auto", "cpu", "cuda", "mps"] = knob("auto", "auto is a GPU where one is.")
    dtype: Literal["float32", "float64"] = knob("float32", "Numbers of the training.")

    def __post_init__(self):
        require = _require
        require(
            0 <= self.degree <= MAX_DEGREE,
            "degree",
            self.degree,
            f"must be 0 to {MAX_DEGREE}; above that the coefficients of the powers of x cancel "
            "so strongly that training leaves them no correct digit",
        )
        require(
            1 <= len(self.coefficients) <= MAX_DEGREE + 1,
            "coefficients",
            f"{len(self.coefficients)} numbers",
            f"must be 1 to {MAX_DEGREE + 1} numbers, constant first",
        )
        require(
            all(abs(c) <= MAX_SIZE for c in self.coefficients),  # nan is not
            "coefficients",
            self.coefficients,
            f"must be finite numbers up to {MAX_SIZE:g}; rescale y if they are larger",
        )
        require(
            0 <= self.noise <= MAX_SIZE,
            "noise",
            self.noise,
            f"is a standard deviation and must be 0 to {MAX_SIZE:g}",
        )
        require(
            self.learning_rate == "auto"
            or (isinstance(self.learning_rate, float) and 0 < self.learning_rate <= MAX_SIZE),
            "learning-rate",
            self.learning_rate,
            f"must be a positive number up to {MAX_SIZE:g}, or auto",
        )
        require(0 <= self.momentum < 1, "momentum", self.momentum, "must be at least 0, below 1")
        require(
            self.momentum == 0 or self.optimizer == "sgd",
            "momentum",
            self.momentum,
            "belongs to --optimizer sgd; Adam has its own",
        )
        require(1 <= self.batch_size <= 10**6, "batch-size", self.batch_size, "must be 1 to 10^6")
        require(
            0 < self.tolerance < math.inf,
            "tolerance",
            self.tolerance,
            "must be a positive finite number",
        )
        require(1 <= self.max_steps <= 10**9, "max-steps", self.max_steps, "must be 1 to 10^9")
        require(self.seed >= 0, "seed", self.seed, "must be 0 or more")

    @property
    def family(self) -> str:
        """The basis by name: `auto` is the one orthonormal under the inputs."""
        if self.basis != "auto":
            return self.basis
        return "hermite" if self.inputs == "normal" else "legendre"

    @property
    def constant_rate(self) -> float | None:
        """The learning rate that was given; None where it is auto."""
        return None if isinstance(self.learning_rate, str) else self.learning_rate

    @property
    def name(self) -> str:
        return f"degree {self.degree} · {self.family} · {self.optimizer}"

    def params(self) -> dict[str, str]:
        """What MLflow stores: every option under its own name."""
        return {name: text(value) for name, value in asdict(self).items()}


def _require(holds: bool, option: str, value: object, why: str) -> None:
    if not holds:
        raise ValueError(f"--{option} {why}; got {text(value)}")


def _click_type(f) -> Any:
    if f.metadata["type"] is not None:
        return f.metadata["type"]
    return click.Choice(get_args(f.type)) if get_origin(f.type) is Literal else f.type


class OneLine(click.Command):
    """A command whose errors are one line: no usage text before them."""

    def invoke(self, ctx):
        return _without_usage(super().invoke, ctx)

    def parse_args(self, ctx, args):
        return _without_usage(super().parse_args, ctx, args)


def _without_usage(call: Callable, *args):
    try:
        return call(*args)
    except click.UsageError as error:
        error.ctx = None
        raise


def command(config_class: type, help: str | None) -> Callable:
    """Make `main(config)` a Click command with one option a field of `config_class`.

    A value that the dataclass refuses ends in one line and exit code 2.
    """

    def decorate(main: Callable) -> click.Command:
        @functools.wraps(main)
        def from_options(**options):
            try:
                config = config_class(**options)
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            return main(config)

        made: Any = from_options
        for f in reversed(fields(config_class)):
            made = click.option(
                "--" + f.name.replace("_", "-"),
                type=_click_type(f),
                default=text(f.default),
                show_default=True,
                help=f.metadata["help"],
            )(made)
        return click.command(cls=OneLine, help=help)(made)

    return decorate
