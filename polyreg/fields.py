"""Options that several experiments share: their bounds, types and meaning."""

import math
import re
from dataclasses import MISSING, dataclass, fields
from typing import Literal

from polyreg.errors import Refused
from polyreg.options import (
    Integer,
    IntegerOrAuto,
    Names,
    Number,
    NumberOrAuto,
    Numbers,
    Options,
    knob,
    require,
)

MAX_DEGREE = 20
MAX_FIT_DEGREE = 40
# Of coefficients, noise and rate: their squares and moments stay far from overflow.
MAX_SIZE = 1e15
MAX_RUNS = 100_000  # of a sweep
MAX_COMPARED = 50  # runs on one page
MAX_PARAM, MAX_TAG = 6000, 8000  # characters: MLflow cuts the rest
Inputs = Literal["normal", "uniform"]
Basis = Literal["auto", "monomial", "hermite", "legendre", "chebyshev"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam"]
Stop = Literal["gap", "batch"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Dtype = Literal["float32", "float64"]
Engine = Literal["local", "ray"]
# As torch.optim spells them. Those of MOMENTUM take the option.
TORCH_OPTIMIZERS = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "nadam": "NAdam",
}
MOMENTUM = ("sgd", "rmsprop")
DRAWN = ("coefficients", "inputs", "noise")  # options that describe drawn samples
ORTHONORMAL_ROWS = "orthonormal over the rows"
TABLE_BASES = ("auto", "monomial")  # of a training on a table
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "blanks": " "}
DEGREE = Integer(0, MAX_DEGREE)
NOISE = Number(0, MAX_SIZE)
RATE = NumberOrAuto(0, MAX_SIZE, min_open=True)
BATCH_SIZE = Integer(1, 10**6)
FILES = (
    "A table: text such as CSV, Parquet, Arrow, JSON lines, ORC or a spreadsheet; a folder of one "
    "kind, or a glob in quotes."
)
TOTAL_DEGREE = (
    "must be {bounds}; above that no power of x has a digit left, and a spline serves better"
)


def is_model_name(name: str) -> bool:
    """Whether MLflow's registry takes the name; "" is none."""
    return (
        not set(name) & set("/:@\n")
        and name == name.strip()
        and name not in (".", "..")
        and len(name) <= 200
    )


def is_cluster_address(address: str) -> bool:
    host = r"(\[[^\]\s]+\]|[^:/\s]+)"
    return address == "auto" or bool(
        re.fullmatch(rf"ray://{host}(:\d{{1,5}})?", address)
        or re.fullmatch(rf"{host}:\d{{1,5}}", address)
    )


@dataclass(frozen=True, kw_only=True)
class Reading(Options):
    """An experiment that reads tables: what is not to be found by itself."""

    missing_values: tuple[str, ...] = knob(
        (),
        "What stands for a missing value besides the usual spellings, comma list: numbers or "
        "words, like -999,n.a.",
        Names(),
        group="Reading",
        is_new=True,
    )
    separator: str = knob(
        "auto",
        "What separates the cells of a text table: a character, or comma, semicolon, tab, bar, "
        "blanks; auto: found.",
        group="Reading",
        holds=lambda mark: len(mark) == 1 or mark in ("auto", *SEPARATORS),
        refused=f"must be one character, auto, or one of {', '.join(SEPARATORS)}",
        is_new=True,
    )
    decimal: Literal["auto", ".", ","] = knob(
        "auto", "Decimal mark of a text table; auto: found.", group="Reading", is_new=True
    )
    encoding: str = knob(
        "auto",
        "Encoding of a text table, like utf-8, cp1252 or utf-16; auto: found.",
        group="Reading",
        holds=bool,
        refused="must name an encoding, or auto",
        is_new=True,
    )
    skip_lines: int | str = knob(
        "auto",
        "Number of lines before the header of a text table; auto: found.",
        IntegerOrAuto(0, 10**6),
        group="Reading",
        is_new=True,
    )
    no_header: bool = knob(
        False,
        "The text table has no column names: they are column1, column2, ...",
        group="Reading",
        is_new=True,
    )
    comment: str = knob(
        "auto",
        "What comment lines of a text table begin with; auto: found; none: there are none.",
        group="Reading",
        holds=bool,
        refused="must be what comments begin with, auto or none",
        is_new=True,
    )
    dates: Literal["auto", "day-first", "month-first"] = knob(
        "auto",
        "Order of dates like 03/04/2024; auto: by those that have one order only.",
        group="Reading",
        is_new=True,
    )
    sheet: str = knob(
        "", "Sheet of a spreadsheet; by default the first.", group="Reading", is_new=True
    )

    @property
    def reading(self) -> "Reading":
        """These options alone."""
        return Reading(**{f.name: getattr(self, f.name) for f in fields(Reading)})


@dataclass(frozen=True, kw_only=True)
class Tabular(Reading):
    """An experiment that learns from a table: which columns and rows of it."""

    data: str = knob(
        MISSING, FILES, group="Data", holds=bool, refused="must name a file, a folder or a glob"
    )
    target: str = knob(
        MISSING,
        "Column to predict, or a function of one, as log(y) or 1/(y+273.15).",
        group="Data",
        holds=bool,
        refused="must name a column",
    )
    features: tuple[str, ...] = knob(
        (),
        "Columns to predict it from, comma list (quote a name with a comma); of a fit also "
        "functions of them, as log(x), 1/x or x-273.15; by default all other columns of numbers or "
        "dates.",
        Names(),
        group="Data",
        is_new=True,
    )
    exclude: tuple[str, ...] = knob(
        (),
        "Columns that are no features, comma list.",
        Names(),
        group="Data",
        is_new=True,
    )
    missing: Literal["refuse", "drop"] = knob(
        "refuse",
        "If values are missing or infinite: refuse the table, or drop those rows.",
        group="Data",
        is_new=True,
    )


@dataclass(frozen=True, kw_only=True)
class OptionalTable(Tabular):
    """A training on the rows of a table, or on drawn samples where none is named."""

    data: str = knob(
        "",
        f"Train on the rows of a table instead of drawn samples. {FILES}",
        group="Data",
        holds=lambda name: True,
        is_new=True,
    )
    target: str = knob(
        "", "Column of the table to predict.", group="Data", holds=lambda name: True, is_new=True
    )
    epochs: int = knob(
        0,
        "Stop after so many passes over the rows of the table; 0: as many as --max-steps allows.",
        Integer(0),
        group="Training",
        refused="must be 0 (no limit) or more",
        is_new=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if bool(self.data) != bool(self.target):
            raise Refused("--data and --target, the column to predict, belong together; give both")
        default = {f.name: f.default for f in fields(self)}
        why = "describes a table, and needs --data"
        if self.data:
            why = "describes drawn samples; leave it out with --data"
        for option in self.left_out:
            value = getattr(self, option)
            require(value == default[option], option, value, why)
        basis = getattr(self, "basis", "auto")
        known = not self.data or basis in TABLE_BASES
        require(known, "basis", basis, f"must be {' or '.join(TABLE_BASES)} with --data")

    @property
    def left_out(self) -> tuple[str, ...]:
        """Options that say nothing: of drawn samples where there is a table, or of a table."""
        if self.data:
            return DRAWN
        return tuple(f.name for f in fields(OptionalTable))


@dataclass(frozen=True, kw_only=True)
class Registered(Options):
    """An experiment that logs a model."""

    register_as: str = knob(
        "",
        "Name under which to register the model in MLflow; by default it is not registered.",
        group="Record",
        holds=is_model_name,
        refused="must be a name without / : @, of at most 200 characters",
        is_new=True,
    )


@dataclass(frozen=True, kw_only=True)
class Clustered(Options):
    """An experiment that a Ray cluster can do the work of."""

    engine: Engine = knob(
        "local",
        "Where to compute: in this process (local), or on a Ray cluster (ray).",
        group="Where it runs",
        is_new=True,
    )
    address: str = knob(
        "auto",
        "Address of the Ray cluster: host:port or ray://host:port; auto: the one in RAY_ADDRESS, "
        "else the cluster on this machine.",
        group="Where it runs",
        holds=is_cluster_address,
        refused="must be auto, host:port or ray://host:port",
        is_new=True,
    )


@dataclass(frozen=True, kw_only=True)
class Learning(Options):
    """What one training and a sweep of them have in common."""

    coefficients: tuple[float, ...] = knob(
        (0.9, 0.5, 3.0, 2.4),
        "True coefficients of 1, x, x^2, ..., comma list, constant first.",
        Numbers(),
        group="Data",
        is_new=True,
    )
    inputs: Inputs = knob(
        "normal",
        "Distribution of x: standard normal, or uniform on [-1, 1].",
        group="Data",
        is_new=True,
    )
    momentum: float = knob(
        0.0, "Momentum of SGD or RMSprop.", Number(0, 1, max_open=True), group="Training"
    )
    tolerance: float = knob(
        1e-3,
        "Training stops when the gap or a batch's loss (see --stop) is below this, in squared "
        "units of y; on the rows of a table, in units of the variance of y.",
        Number(0, math.inf, min_open=True, max_open=True),
        group="Training",
    )
    stop: Stop = knob(
        "gap",
        "What must fall below the tolerance: the expected loss minus that of the best polynomial "
        "of this degree (gap), or the loss of a single batch (batch).",
        group="Training",
    )
    max_steps: int = knob(
        100_000,
        "Stop after this many steps, even if the tolerance is not reached.",
        Integer(1, 10**9),
        group="Training",
    )
    dtype: Dtype = knob("float32", "Floating-point type of the training.", group="Training")
    seed: int = knob(
        0,
        "Seed of the random numbers: inputs, noise, order of a table's rows, initial weights.",
        Integer(0),
        group="Training",
    )
    device: Device = knob(
        "auto", "Device to compute on; auto: a GPU if there is one.", group="Where it runs"
    )

    def __post_init__(self):
        super().__post_init__()
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
