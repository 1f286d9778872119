"""Options of each experiment: one frozen dataclass, whose fields they are.

Each default, bound and help text is written here, once. Nothing heavy is imported, so that `--help`
and a wrong option answer at once.
"""

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import click

from polyreg.errors import Refused
from polyreg.fields import (
    BATCH_SIZE,
    DEGREE,
    MAX_FIT_DEGREE,
    MAX_PARAM,
    MAX_RUNS,
    MAX_SIZE,
    MOMENTUM,
    NOISE,
    ORTHONORMAL_ROWS,
    RATE,
    TORCH_OPTIMIZERS,
    TOTAL_DEGREE,
    Basis,
    Clustered,
    Learning,
    Optimizer,
    OptionalTable,
    Registered,
    Tabular,
)
from polyreg.grouped import Grouped
from polyreg.measured import Conditioned, Measured
from polyreg.naming import (
    FIT_WORDS,
    SWEEP_WORDS,
    TRAIN_WORDS,
    last_part,
    run_name,
    telling,
    variables,
)
from polyreg.options import Integer, IntegerOrAuto, ListOf, Number, knob, require
from polyreg.text import text


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Registered, OptionalTable, Learning):
    """Options of a training. Raises PolyregError where one is out of its bounds.

    >>> from polyreg import TrainConfig
    >>> TrainConfig(degree=4, noise=0.5).name
    'degree 4 · noise 0.5'
    """

    degree: int = knob(
        3,
        "Degree of the model.",
        DEGREE,
        group="Model",
        refused="must be {bounds}; above that the coefficients of the powers of x cancel so "
        "strongly that training leaves them no correct digit",
    )
    noise: float = knob(
        0.0,
        "Standard deviation of the Gaussian noise on y, in units of y.",
        NOISE,
        group="Data",
        refused="is a standard deviation and must be {bounds}",
        is_new=True,
    )
    basis: Basis = knob(
        "auto",
        "Family of polynomials that the model is a sum of; auto: the family that is orthonormal "
        "under the distribution of x (hermite for normal, legendre for uniform; with --data one of "
        "its own, or monomial: powers of the standardized x).",
        group="Model",
    )
    optimizer: Optimizer = knob(
        "sgd",
        "Optimizer, as in torch.optim, with its defaults for all but rate and momentum; adamw's "
        "weight decay pulls the answer from the optimum.",
        group="Training",
    )
    learning_rate: float | str = knob(
        "auto",
        "Learning rate. A number: constant; auto: with sgd the largest that is safe for each "
        "batch, falling like 1/step if even the best polynomial leaves residuals; with the others "
        "in proportion to the size of y.",
        RATE,
        group="Training",
        refused="must be {bounds}, or auto",
    )
    batch_size: int = knob(32, "Number of samples in a batch.", BATCH_SIZE, group="Training")

    def __post_init__(self):
        super().__post_init__()
        name = TORCH_OPTIMIZERS[self.optimizer]
        has = "has none" if self.optimizer == "adagrad" else "has its own"
        require(
            self.momentum == 0 or self.optimizer in MOMENTUM,
            "momentum",
            self.momentum,
            f"belongs to --optimizer {' or '.join(MOMENTUM)}; {name} {has}",
        )

    @property
    def family(self) -> str:
        """The basis by name: `auto` is the one orthonormal under the inputs, or over the rows."""
        if self.data and self.basis == "auto":
            return ORTHONORMAL_ROWS
        if self.basis != "auto":
            return self.basis
        return "hermite" if self.inputs == "normal" else "legendre"

    @property
    def constant_rate(self) -> float | None:
        """The learning rate that was given; None where it is auto."""
        return None if isinstance(self.learning_rate, str) else self.learning_rate

    @property
    def name(self) -> str:
        """As its run is called: the degree, and what was given besides the defaults."""
        return self.named((), self.features)

    def named(self, besides: Collection[str], features: Sequence[str] = ()) -> str:
        """The name, with these options whatever they are; features: of the table, where known."""
        of = variables(self.target, features) if features else self.target
        table = [last_part(self.data), of] if self.data else []
        return run_name(*table, *telling(self, TRAIN_WORDS, {"degree", *besides}))


@dataclass(frozen=True, kw_only=True)
class SweepConfig(Registered, Clustered, Learning):
    """Options of a sweep: a list of values of each option that varies. Raises PolyregError.

    >>> from polyreg import SweepConfig
    >>> len(SweepConfig(degrees=(1, 2), learning_rates=("auto",), seeds=3).combinations())
    2
    """

    degrees: tuple[int, ...] = knob(
        (1, 2, 3, 4, 5),
        "Degrees of the model, comma list.",
        ListOf(DEGREE, "d1,d2,..."),
        group="Varied",
    )
    learning_rates: tuple[float | str, ...] = knob(
        ("auto", 0.01, 0.001),
        "Learning rates, comma list: numbers or auto.",
        ListOf(RATE, "r1,r2,..."),
        group="Varied",
    )
    batch_sizes: tuple[int, ...] = knob(
        (32,), "Batch sizes, comma list.", ListOf(BATCH_SIZE, "b1,b2,..."), group="Varied"
    )
    noises: tuple[float, ...] = knob(
        (0.0,),
        "Standard deviations of the noise, comma list.",
        ListOf(NOISE, "s1,s2,..."),
        group="Varied",
    )
    bases: tuple[str, ...] = knob(
        ("auto",),
        f"Bases, comma list: {', '.join(get_args(Basis))}.",
        ListOf(click.Choice(get_args(Basis)), "b1,b2,..."),
        group="Varied",
    )
    optimizers: tuple[str, ...] = knob(
        ("sgd",),
        f"Optimizers, comma list: {', '.join(get_args(Optimizer))}.",
        ListOf(click.Choice(get_args(Optimizer)), "o1,o2,..."),
        group="Varied",
        was="optimizer",
    )
    seeds: int = knob(
        5,
        "Number of runs of each combination; their seeds are --seed, --seed + 1, ...",
        Integer(1),
        group="Varied",
    )
    trials: int = knob(
        0,
        "Number of combinations to train, chosen by Optuna; 0: every combination.",
        Integer(0),
        group="Varied",
        refused="must be 0 (train all) or more",
    )
    save_models: Literal["best", "all"] = knob(
        "best",
        "Save the model of the best run only, or of every run that did not diverge.",
        group="Record",
    )
    curve_points: int = knob(
        100,
        "Number of points of each run's curves in MLflow, at most.",
        Integer(2, 1000),
        group="Record",
        earlier=1000,
    )

    def __post_init__(self):
        super().__post_init__()
        runs = self.seeds * math.prod(len(values) for values in self.lists().values())
        require(runs <= MAX_RUNS, "seeds", f"{runs:,} runs", f"make at most {MAX_RUNS:,} runs")
        for listed in LISTS.values():
            size = len(text(getattr(self, listed)))
            require(
                size <= MAX_PARAM,
                listed,
                f"{size:,} characters",
                f"must be at most {MAX_PARAM:,} characters, as MLflow's params; split the sweep",
            )
        # Each value is judged by the run it makes; combined, none can be wrong that alone is right.
        for option, values in self.lists().items():
            for value in values:
                try:
                    self.run(self.seed, **{option: value})
                except Refused as error:
                    name, why = str(error).split(" ", 1)
                    one = name.removeprefix("--").replace("-", "_")
                    listed = LISTS.get(one, one).replace("_", "-")
                    raise Refused(f"--{listed} {why}") from error

    @property
    def name(self) -> str:
        """As its run is called: how many runs it makes, and what was given besides."""
        return run_name(self.size, *telling(self, SWEEP_WORDS))

    @property
    def size(self) -> str:
        """How many runs it makes."""
        seeds = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        combinations = math.prod(len(values) for values in self.lists().values())
        many, what = (self.trials, "trial") if self.trials else (combinations, "combination")
        kind = "search" if self.trials else "sweep"
        return f"{kind} · {many:,} {what}{'' if many == 1 else 's'} · {seeds}"

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
        own = {f.name: getattr(self, f.name) for f in fields(Learning)}
        return TrainConfig(**(own | first | varied | {"seed": seed}))


LISTS = {
    "degree": "degrees",
    "learning_rate": "learning_rates",
    "batch_size": "batch_sizes",
    "noise": "noises",
    "basis": "bases",
    "optimizer": "optimizers",
}


@dataclass(frozen=True, kw_only=True)
class FitConfig(Registered, Clustered, Grouped, Conditioned, Measured, Tabular):
    """Options of a fit: table, columns, polynomial, statistics. Raises PolyregError.

    >>> from polyreg import FitConfig
    >>> FitConfig(data="calibration.csv", target="y", degree=2).named(["x"])
    'calibration.csv · y ~ x · degree 2'
    """

    skip_bad_files: bool = knob(
        False,
        "Leave out files that cannot be read; to find them, polyreg reads all files once more.",
        group="Data",
    )
    degree: int | str = knob(
        3,
        "Total degree of the polynomial; auto: chosen by cross-validation.",
        IntegerOrAuto(0, MAX_FIT_DEGREE),
        group="Model",
        refused=TOTAL_DEGREE,
    )
    max_degree: int = knob(
        15,
        "Largest degree that --degree auto tries.",
        Integer(0, MAX_FIT_DEGREE),
        group="Model",
        refused=TOTAL_DEGREE,
    )
    interaction_degree: int = knob(
        0,
        "Largest number of different variables in one term; 0: no limit.",
        Integer(0),
        group="Model",
        refused="must be 0 (no limit) or more",
    )
    intercept: bool = knob(True, "Whether the polynomial has a constant term.", group="Model")
    ridge: float = knob(
        0.0,
        "Ridge penalty: factor of the sum of squared coefficients of the orthogonal polynomials "
        "(scaled to unit variance, constant excluded; at degree 1, the standardized features).",
        Number(0, MAX_SIZE),
        group="Model",
    )
    folds: int = knob(
        10,
        "Number of folds in the cross-validation of --degree auto.",
        Integer(2, 1000),
        group="Statistics",
    )
    level: float = knob(
        0.95,
        "Confidence level of the intervals.",
        Number(0, 1, min_open=True, max_open=True),
        group="Statistics",
        refused="must be {bounds}, like 0.95",
    )
    precision: Literal["auto", "fast", "certified"] = knob(
        "auto",
        "Arithmetic: float64 (fast), or exact, in integers (certified); auto: certified up to 10 "
        "million values of the design matrix (rows times terms).",
        group="Statistics",
    )
    seed: int = knob(
        0,
        "Seed of the random numbers that draw the folds and the sample of rows.",
        Integer(0),
        group="Statistics",
    )
    device: Literal["auto", "cpu", "cuda"] = knob(
        "auto",
        "Device to compute on; auto: a GPU if there is one; on Ray, the CPU.",
        group="Where it runs",
    )

    def __post_init__(self):
        super().__post_init__()
        lowest = 0 if self.intercept else 1
        require(
            self.top_degree >= lowest, "degree", self.top_degree, "without intercept must be 1 up"
        )
        require(
            self.degree == "auto" or self.criterion == "cv",
            "criterion",
            self.criterion,
            "chooses among degrees; give --degree auto",
        )
        if self.degree == "auto" and self.conditions:
            chosen = self.terms or self.degrees
            way_out = "leave out --degree" if chosen else "give --degree a number"
            raise Refused(
                f"--degree auto compares all polynomials of a degree, and --{self.conditions[0]} "
                f"holds some out; {way_out}"
            )
        if self.terms and self.interaction_degree:
            raise Refused("--terms says which products there are; leave out --interaction-degree")
        if self.same_degree and self.degree != "auto":
            raise Refused("--same-degree is a choice of --degree auto; leave it out, or give that")
        require(not (self.ridge and self.sigma_x), "ridge", self.ridge, "must be 0 with --sigma-x")

    def named(self, features: Sequence[str], chosen: int | None = None) -> str:
        """As its run is called: file, features and degree, and what was given besides.

        chosen: the degree that auto became
        """
        degree = f"degree {self.degree}" + ("" if chosen is None else f" → {chosen}")
        columns = variables(self.target, features)
        if self.swap and features:
            columns = variables(features[0], [self.target])
        return run_name(last_part(self.data), columns, degree, *telling(self, FIT_WORDS))

    @property
    def top_degree(self) -> int:
        return self.max_degree if isinstance(self.degree, str) else self.degree
