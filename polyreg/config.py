"""What a run is: one frozen dataclass, and the Click options made from it.

Each default and each help text is written here, once. Nothing heavy is imported, so that `--help`
and a wrong option answer at once.
"""

import csv
import functools
import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from polyreg.text import text, without_secrets

MAX_DEGREE = 20
MAX_FIT_DEGREE = 40
# Of coefficients, noise and rate: their squares and moments stay far from overflow.
MAX_SIZE = 1e15
MAX_RUNS = 100_000  # of a sweep
MAX_COMPARED = 50  # runs on one page
MAX_PARAM, MAX_TAG = 6000, 8000  # characters: MLflow cuts the rest

Inputs = Literal["normal", "uniform"]
Basis = Literal["auto", "monomial", "hermite", "legendre", "chebyshev"]
Optimizer = Literal["sgd", "adam"]
Stop = Literal["gap", "batch"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "float64"]
Engine = Literal["local", "ray"]


class Refused(ValueError):
    """The options and the table make no fit; one line says why, and the way out."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))


class ClusterLost(RuntimeError):
    """A cluster that went away while it worked."""


class Diverged(ArithmeticError):
    """A training whose weights are beyond recall."""


def knob(default: Any, help: str, type: click.ParamType | None = None) -> Any:
    """A field that is an option; without a default (MISSING) it has to be given."""
    return field(default=default, metadata={"help": help, "type": type})


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


class IntegerOrAuto(click.ParamType):
    name = "auto|integer"

    def convert(self, value, param, ctx):
        try:
            return value if value == "auto" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a whole number", param, ctx)


class ListOf(click.ParamType):
    """A comma list of values of another type, each taken once."""

    def __init__(self, element: click.ParamType, name: str):
        self.element, self.name = element, name

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in value.split(",")]
        return tuple(dict.fromkeys(self.element.convert(word, param, ctx) for word in words))


class Names(click.ParamType):
    name = "a,b,..."

    def convert(self, value, param, ctx):
        # As one line of CSV: a name with a comma in it goes in double quotes.
        try:
            return value if isinstance(value, tuple) else tuple(next(csv.reader([value]), ()))
        except csv.Error as error:
            self.fail(f"{value[:60]!r} is not a comma list of names: {error}", param, ctx)


ENGINE = knob("local", "Where the work is done: in this process, or on a Ray cluster.")
ADDRESS = knob("auto", "Of the Ray cluster: auto, host:port or ray://host:port.")
REGISTER_AS = knob("", "Put the model into MLflow's registry, under this name.")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    degree: int = knob(3, f"Degree of the model, 0 to {MAX_DEGREE}.")
    coefficients: tuple[float, ...] = knob(
        (0.9, 0.5, 3.0, 2.4), "True coefficients of 1, x, x^2, ..., constant first.", Numbers()
    )
    noise: float = knob(0.0, "Standard deviation of the Gaussian noise on y, in units of y.")
    inputs: Inputs = knob("normal", "Distribution of x: N(0, 1), or uniform on [-1, 1].")
    basis: Basis = knob("auto", "Features; auto is the family orthonormal under the inputs.")
    optimizer: Optimizer = knob("sgd", "torch.optim's SGD or Adam.")
    learning_rate: float | str = knob(
        "auto",
        "A constant rate, or auto: as large as each batch allows, falling like 1/t once noise "
        "is what is left.",
        NumberOrAuto(),
    )
    momentum: float = knob(0.0, "Momentum of SGD, at least 0 and below 1.")
    batch_size: int = knob(32, "Samples in a batch.")
    tolerance: float = knob(1e-3, "What the stop rule compares with, in squared units of y.")
    stop: Stop = knob(
        "gap",
        "Stop when the expected excess loss over the optimum is below tolerance (gap), or when "
        "one batch's loss is (batch).",
    )
    max_steps: int = knob(100_000, "Stop here in any case.")
    seed: int = knob(0, "Seeds inputs, noise and initial weights; 0 is a seed.")
    device: Device = knob("auto", "auto is a GPU where one is.")
    dtype: Dtype = knob("float32", "Numbers of the training.")
    register_as: str = REGISTER_AS

    def __post_init__(self):
        require = _require
        _require_model_name(self.register_as)
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


# TrainConfig's options as they are, for other configs that have them too.
SAME: dict[str, Any] = {
    f.name: knob(f.default, f.metadata["help"], f.metadata["type"]) for f in fields(TrainConfig)
}


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    degrees: tuple[int, ...] = knob(
        (1, 2, 3, 4, 5), "Degrees of the model, comma list.", ListOf(click.INT, "d1,d2,...")
    )
    learning_rates: tuple[float | str, ...] = knob(
        ("auto", 0.01, 0.001),
        "Learning rates, comma list: numbers or auto.",
        ListOf(NumberOrAuto(), "r1,r2,..."),
    )
    batch_sizes: tuple[int, ...] = knob(
        (32,), "Batch sizes, comma list.", ListOf(click.INT, "b1,b2,...")
    )
    noises: tuple[float, ...] = knob(
        (0.0,), "Standard deviations of the noise, comma list.", ListOf(click.FLOAT, "s1,s2,...")
    )
    bases: tuple[str, ...] = knob(
        ("auto",), "Bases, comma list.", ListOf(click.Choice(get_args(Basis)), "b1,b2,...")
    )
    seeds: int = knob(5, "Runs of each combination, with the seeds seed, seed + 1, ...")
    trials: int = knob(
        0, "Search: combinations that Optuna tries of all there are; 0 trains every one."
    )
    save_models: Literal["best", "all"] = knob(
        "best", "Log the model of the best run, or of every run that did not diverge."
    )
    coefficients: tuple[float, ...] = SAME["coefficients"]
    inputs: Inputs = SAME["inputs"]
    optimizer: Optimizer = SAME["optimizer"]
    momentum: float = SAME["momentum"]
    tolerance: float = SAME["tolerance"]
    stop: Stop = SAME["stop"]
    max_steps: int = SAME["max_steps"]
    seed: int = SAME["seed"]
    device: Device = SAME["device"]
    dtype: Dtype = SAME["dtype"]
    engine: Engine = ENGINE
    address: str = ADDRESS
    register_as: str = SAME["register_as"]

    def __post_init__(self):
        require = _require
        _require_model_name(self.register_as)
        _require_address(self.address)
        require(self.seeds >= 1, "seeds", self.seeds, "must be 1 or more")
        require(self.trials >= 0, "trials", self.trials, "must be 0 (train all) or more")
        runs = self.seeds * math.prod(len(values) for values in self.lists().values())
        require(runs <= MAX_RUNS, "seeds", f"{runs:,} runs", f"make at most {MAX_RUNS:,} runs")
        for listed in LISTS.values():
            size = len(text(getattr(self, listed)))
            require(
                size <= MAX_PARAM,
                listed.replace("_", "-"),
                f"{size:,} characters",
                f"must be at most {MAX_PARAM:,} characters, as MLflow's params; split the sweep",
            )
        # Each value is judged by the run it makes; combined, none can be wrong that alone is right.
        for option, values in self.lists().items():
            for value in values:
                try:
                    self.run(self.seed, **{option: value})
                except ValueError as error:
                    name, why = str(error).split(" ", 1)
                    one = name.removeprefix("--").replace("-", "_")
                    listed = LISTS.get(one, one).replace("_", "-")
                    raise ValueError(f"--{listed} {why}") from error

    def lists(self) -> dict[str, tuple]:
        """The values of each option of a run that the sweep varies, by the option's name."""
        return {option: getattr(self, listed) for option, listed in LISTS.items()}

    def combinations(self) -> list[dict[str, Any]]:
        """One value of each of the varied options, in every way."""
        values = self.lists()
        return [dict(zip(values, c, strict=True)) for c in itertools.product(*values.values())]

    def runs(self, varied: Mapping[str, Any]) -> list[TrainConfig]:
        """A combination's runs, one a seed."""
        return [self.run(self.seed + k, **varied) for k in range(self.seeds)]

    def run(self, seed: int, **varied) -> TrainConfig:
        """One run; of each list that `varied` does not name, the first value."""
        first = {option: values[0] for option, values in self.lists().items()}
        own = {f.name: getattr(self, f.name) for f in fields(TrainConfig) if hasattr(self, f.name)}
        return TrainConfig(**(own | first | varied | {"seed": seed, "register_as": ""}))


LISTS = {
    "degree": "degrees",
    "learning_rate": "learning_rates",
    "batch_size": "batch_sizes",
    "noise": "noises",
    "basis": "bases",
}


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    data: str = knob(MISSING, "A CSV or Parquet file, a folder of them, or a glob in quotes.")
    target: str = knob(MISSING, "The column to explain.")
    features: tuple[str, ...] = knob(
        (),
        "Columns to explain it by, comma list (quote a name with a comma); by default all other "
        "numeric ones.",
        Names(),
    )
    weights: str = knob("", "A column of 1/variance of each row's target; none by default.")
    degree: int | str = knob(
        3, f"Total degree, 0 to {MAX_FIT_DEGREE}, or auto: by cross-validation.", IntegerOrAuto()
    )
    max_degree: int = knob(15, "With degree auto: the largest that is tried.")
    folds: int = knob(10, "With degree auto: the folds of the cross-validation.")
    interaction_degree: int = knob(0, "Variables at most in one product; 0 is all of them.")
    intercept: bool = knob(True, "Whether the polynomial has a constant term.")
    ridge: float = knob(
        0.0,
        "Penalty on the squared weights of the orthogonal polynomials but the constant, each at "
        "unit variance; at degree 1, of the standardized features.",
    )
    precision: Literal["auto", "fast", "certified"] = knob(
        "auto",
        "float64 (fast), or integers (certified); auto is certified up to 10 million values of "
        "the design matrix.",
    )
    level: float = knob(0.95, "Of the intervals.")
    missing: Literal["refuse", "drop"] = knob(
        "refuse", "Rows with missing or infinite values: refuse the table, or drop them."
    )
    skip_bad_files: bool = knob(
        False, "Leave out files that cannot be read, found by reading all of them once more."
    )
    seed: int = knob(0, "Seeds the folds and the samples; 0 is a seed.")
    device: Literal["auto", "cpu", "cuda"] = knob(
        "auto", "auto is a GPU where one is; on Ray, the CPU."
    )
    engine: Engine = ENGINE
    address: str = ADDRESS
    register_as: str = REGISTER_AS

    def __post_init__(self):
        require = _require
        _require_model_name(self.register_as)
        require(self.data != "", "data", "''", "must name a file, a folder or a glob")
        require(self.target != "", "target", "''", "must name a column")
        _require_address(self.address)
        for name in ("degree", "max_degree"):
            value = getattr(self, name)
            require(
                value == "auto" or 0 <= value <= MAX_FIT_DEGREE,
                name.replace("_", "-"),
                value,
                f"must be 0 to {MAX_FIT_DEGREE}; above that no power of x has a digit left, and a "
                "spline serves better",
            )
        lowest = 0 if self.intercept else 1
        require(
            self.top_degree >= lowest, "degree", self.top_degree, "without intercept must be 1 up"
        )
        require(2 <= self.folds <= 1000, "folds", self.folds, "must be 2 to 1000")
        require(
            self.interaction_degree >= 0,
            "interaction-degree",
            self.interaction_degree,
            "must be 0 (no limit) or more",
        )
        require(0 <= self.ridge <= MAX_SIZE, "ridge", self.ridge, f"must be 0 to {MAX_SIZE:g}")
        require(0 < self.level < 1, "level", self.level, "must be between 0 and 1, like 0.95")
        require(self.seed >= 0, "seed", self.seed, "must be 0 or more")

    @property
    def top_degree(self) -> int:
        return self.max_degree if isinstance(self.degree, str) else self.degree


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    model: str = knob(MISSING, "What MLflow calls the model: runs:/<run id>/model.")
    data: str = knob(MISSING, "A CSV or Parquet file, a folder of them, or a glob in quotes.")
    out: str = knob("predictions.parquet", "Where to write: .parquet or .csv.")
    interval: Literal["prediction", "confidence"] = knob(
        "prediction", "Of one new value, or of the mean; at the level of the fit."
    )

    def __post_init__(self):
        _require(self.model != "", "model", "''", "must name a model, like runs:/<run id>/model")
        _require(
            self.out.endswith((".parquet", ".csv")), "out", self.out, "must end in .parquet or .csv"
        )


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    runs: str = knob("", "Ids of the runs, comma list; else the newest of an experiment.")
    experiment: str = knob("polyreg", "Whose newest runs, where --runs names none.")
    last: int = knob(10, f"How many of the newest, 1 to {MAX_COMPARED}.")
    filter: str = knob("", "Only those that meet this, in MLflow's words: \"params.degree > '2'\".")
    out: str = knob("comparison.html", "Where to write the page, besides the run's artifacts.")

    def __post_init__(self):
        given = [
            f"--{f.name} {text(getattr(self, f.name))}"
            for f in fields(self)
            if f.name in ("experiment", "last", "filter") and getattr(self, f.name) != f.default
        ]
        if self.runs and given:
            raise ValueError(
                f"--runs names the runs already; leave out {' and '.join(given)}, or --runs"
            )
        if self.runs and not self.ids:
            raise ValueError(f"--runs must be a comma list of run ids; got {self.runs!r}")
        if len(self.ids) > MAX_COMPARED:
            raise ValueError(f"--runs must name at most {MAX_COMPARED} runs; got {len(self.ids)}")
        if not 1 <= self.last <= MAX_COMPARED:
            raise ValueError(f"--last must be 1 to {MAX_COMPARED}; got {self.last}")
        if not self.experiment:
            raise ValueError("--experiment must name an experiment, like polyreg; got ''")
        if not self.out.endswith((".html", ".htm")):
            raise ValueError(f"--out must end in .html; got {self.out!r}")

    @property
    def ids(self) -> list[str]:
        """The runs by id, each once."""
        return list(dict.fromkeys(word.strip() for word in self.runs.split(",") if word.strip()))


def params(config: TrainConfig | FitConfig | SweepConfig | CompareConfig) -> dict[str, str]:
    """What MLflow stores: every option under its own name, and no password of an address."""
    return {name: without_secrets(text(value)) for name, value in asdict(config).items()}


Config = TypeVar("Config")


def from_params(config_class: type[Config], stored: Mapping[str, str]) -> Config:
    """The config whose `params` these are; ValueError where they are none."""
    try:
        since = {"register_as": "", "engine": "local", "address": "auto"}  # the first runs
        stored = since | dict(stored)
        values = {
            f.name: _click_type(f).convert(stored[f.name], None, None)
            for f in fields(config_class)  # type: ignore[arg-type]
        }
    except (KeyError, click.BadParameter) as error:
        raise ValueError(f"not params of {config_class.__name__}: {error}") from error
    return config_class(**values)


def _require(holds: object, option: str, value: object, why: str) -> None:
    if not holds:
        raise ValueError(f"--{option} {why}; got {text(value)}")


def _require_address(address: str) -> None:
    _require(
        address == "auto"
        or re.fullmatch(r"ray://(\[[^\]\s]+\]|[^:/\s]+)(:\d{1,5})?", address)
        or re.fullmatch(r"(\[[^\]\s]+\]|[^:/\s]+):\d{1,5}", address),
        "address",
        repr(address),
        "must be auto, host:port or ray://host:port",
    )


def _require_model_name(name: str) -> None:
    _require(
        not set(name) & set("/:@\n")
        and name == name.strip()
        and name not in (".", "..")
        and len(name) <= 200,
        "register-as",
        repr(name),
        "must be a name without / : @, of at most 200 characters",
    )


def _click_type(f) -> Any:
    if f.metadata["type"] is not None:
        return f.metadata["type"]
    if get_origin(f.type) is Literal:
        return click.Choice(get_args(f.type))
    return click.types.convert_type(f.type)


class OneLine(click.Command):
    """A command whose errors are one line: no usage text before them."""

    def invoke(self, ctx):
        return _without_usage(super().invoke, ctx)

    def parse_args(self, ctx, args):
        return _without_usage(super().parse_args, ctx, args)


def _without_usage(call: Callable, *args):
    try:
        return call(*args)
    except click.ClickException as error:
        kind = click.UsageError if isinstance(error, click.UsageError) else click.ClickException
        # Somebody's names and values may have several lines.
        raise kind(" ".join(error.format_message().splitlines())) from error


def command(config_class: type, help: str | None) -> Callable:
    """Make `main(config)` a Click command with one option a field of `config_class`.

    Options that main has of its own come after the config, by name.
    A value that the dataclass refuses ends in one line and exit code 2.
    """

    def decorate(main: Callable) -> click.Command:
        @functools.wraps(main)
        def from_options(**options):
            values = {f.name: options.pop(f.name) for f in fields(config_class)}
            try:
                config = config_class(**values)
            except ValueError as error:
                raise click.UsageError(str(error)) from error
            return main(config, **options)

        made: Any = from_options
        for f in reversed(fields(config_class)):
            given = (
                {"required": True}
                if f.default is MISSING
                else {"default": text(f.default), "show_default": text(f.default) != ""}
            )
            if f.default is False:  # --flag, and --flag true, which MLproject writes
                given |= {"is_flag": False, "flag_value": "true"}
            made = click.option(
                "--" + f.name.replace("_", "-"),
                type=_click_type(f),
                help=f.metadata["help"],
                **given,
            )(made)
        return click.command(cls=OneLine, help=help)(made)

    return decorate
