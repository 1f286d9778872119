"""Options of the experiments that read runs: predict and compare."""

from dataclasses import MISSING, dataclass, fields
from typing import Literal

from polyreg.errors import Refused
from polyreg.fields import FILES, MAX_COMPARED, Reading
from polyreg.naming import last_part, run_name, telling
from polyreg.options import Integer, Number, Options, knob, require
from polyreg.text import plural, text, without_secrets


@dataclass(frozen=True, kw_only=True)
class PredictConfig(Reading):
    """Options of predictions for the rows of a table. Raises PolyregError.

    >>> from polyreg import PredictConfig
    >>> PredictConfig(model="runs:/1f/model", data="new.csv").out
    'predictions.parquet'
    """

    model: str = knob(
        MISSING,
        "The model's address in MLflow: runs:/<run id>/model.",
        group="Model",
        holds=bool,
        refused="must name a model, like runs:/<run id>/model",
    )
    data: str = knob(MISSING, FILES, group="Data")
    out: str = knob(
        "predictions.parquet",
        "File to write, .parquet or .csv.",
        group="Record",
        holds=lambda name: name.endswith((".parquet", ".csv")),
        refused="must end in .parquet or .csv",
    )
    interval: Literal["prediction", "confidence"] = knob(
        "prediction",
        "Interval for one new reading (prediction), or for the mean (confidence).",
        group="Statistics",
    )
    band: Literal["pointwise", "simultaneous"] = knob(
        "pointwise",
        "Interval of the mean for each row by itself, or for the whole polynomial at once "
        "(simultaneous, by Working and Hotelling).",
        group="Statistics",
    )
    level: float = knob(
        0.0,
        "Confidence level of the interval; 0: that of the fit.",
        Number(0, 1, max_open=True),
        group="Statistics",
        refused="must be {bounds}, like 0.95",
    )

    def __post_init__(self):
        super().__post_init__()
        require(
            self.band == "pointwise" or self.interval == "confidence",
            "band",
            self.band,
            "is one of the mean; give --interval confidence",
        )

    @property
    def name(self) -> str:
        """As its run is called, where `mlflow run` opens one."""
        return run_name("predictions", last_part(self.data), without_secrets(self.model))


@dataclass(frozen=True, kw_only=True)
class InvertConfig(Reading):
    """Options of x from y, by the model of a fit in one variable. Raises PolyregError.

    >>> from polyreg import InvertConfig
    >>> InvertConfig(model="runs:/1f/model", data="readings.csv").interval
    'prediction'
    """

    model: str = knob(
        MISSING,
        "The model's address in MLflow: runs:/<run id>/model.",
        group="Model",
        holds=bool,
        refused="must name a model, like runs:/<run id>/model",
    )
    data: str = knob("", f"Readings. {FILES}", group="Data")
    out: str = knob(
        "inverted.parquet",
        "File to write, .parquet or .csv.",
        group="Record",
        holds=lambda name: name.endswith((".parquet", ".csv")),
        refused="must end in .parquet or .csv",
    )
    column: str = knob(
        "", "Column of the readings; by default the target of the fit.", group="Data"
    )
    group: str = knob(
        "",
        "Column that names the item of each reading: the readings of an item are averaged, with "
        "their own number of replicates.",
        group="Data",
    )
    sigma: str = knob(
        "",
        "Standard uncertainty of a reading: a column, or a number; by default the column of that "
        "name in the fit.",
        group="Data",
    )
    replicates: int = knob(
        1,
        "Number of readings that each row is the mean of.",
        Integer(1, 10**6),
        group="Data",
    )
    interval: Literal["prediction", "mean", "delta"] = knob(
        "prediction",
        "Interval of x: by the band of a reading (prediction), by that of the mean, where y has no "
        "error (mean), or x and its standard error times a quantile (delta).",
        group="Statistics",
    )
    level: float = knob(
        0.0,
        "Confidence level of the interval; 0: that of the fit.",
        Number(0, 1, max_open=True),
        group="Statistics",
        refused="must be {bounds}, like 0.95",
    )
    branch: int = knob(
        0,
        "Where the polynomial is not monotone: the number of the piece, from 1; 0: refused.",
        Integer(0, 100),
        group="Model",
    )
    limits: bool = knob(
        False,
        "Print decision, detection and quantification limits of the calibration (DIN 32645).",
        group="Statistics",
    )
    alpha: float = knob(
        0.05,
        "Chance that a blank is taken for more than that.",
        Number(0, 0.5, min_open=True, max_open=True),
        group="Statistics",
    )
    beta: float = knob(
        0.05,
        "Chance that the detection limit is taken for a blank.",
        Number(0, 0.5, min_open=True, max_open=True),
        group="Statistics",
    )
    k: float = knob(
        3.0,
        "Quantification limit in half widths of its interval.",
        Number(1, 1000, min_open=True),
        group="Statistics",
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.data and not self.limits:
            raise Refused("--data must name the table of the readings; or give --limits alone")
        both = "counts the readings of each item itself; leave out --replicates"
        require(not self.group or self.replicates == 1, "group", self.group, both)

    @property
    def name(self) -> str:
        """As its run is called, where `mlflow run` opens one."""
        what = last_part(self.data) if self.data else "limits"
        return run_name("x from y", what, without_secrets(self.model))

    @property
    def own_sigma(self) -> float | None:
        """The uncertainty of a reading, where it is given as a number."""
        try:
            return float(self.sigma)
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Options):
    """Options of a comparison: which runs, and where its page goes. Raises PolyregError.

    >>> from polyreg import CompareConfig
    >>> CompareConfig(runs="a,b").ids
    ['a', 'b']
    """

    runs: str = knob(
        "",
        "Ids of runs and sweeps, comma list; by default the newest of --experiment.",
        group="Data",
    )
    experiment: str = knob(
        "polyreg",
        "Experiment whose newest runs are compared.",
        group="Data",
        holds=bool,
        refused="must name an experiment, like polyreg",
    )
    last: int = knob(
        10,
        "How many of the newest runs to compare; a sweep counts as one.",
        Integer(1, MAX_COMPARED),
        group="Data",
    )
    filter: str = knob(
        "",
        "Compare only runs, also of sweeps, that meet this condition, in MLflow's filter syntax, "
        "such as \"params.degree > '2'\".",
        group="Data",
    )
    out: str = knob(
        "comparison.html",
        "HTML file to write; the run keeps a copy as an artifact.",
        group="Record",
        holds=lambda name: name.endswith((".html", ".htm")),
        refused="must end in .html",
    )

    def __post_init__(self):
        given = [
            f"--{f.name} {text(getattr(self, f.name))}"
            for f in fields(self)
            if f.name in ("experiment", "last", "filter") and getattr(self, f.name) != f.default
        ]
        if self.runs and given:
            raise Refused(
                f"--runs names the runs already; leave out {' and '.join(given)}, or --runs"
            )
        if self.runs and not self.ids:
            raise Refused(f"--runs must be a comma list of run ids; got {self.runs!r}")
        if len(self.ids) > MAX_COMPARED:
            raise Refused(f"--runs must name at most {MAX_COMPARED} runs; got {len(self.ids)}")
        super().__post_init__()

    def named(self, runs: int, sweeps: int = 0) -> str:
        """As its run is called: how many it compares, and which were asked for."""
        given = telling(self, {"experiment": "of {}", "filter": "{}"})
        counted = [plural(sweeps, "sweep")] if sweeps else []
        counted += [plural(runs, "run")] if runs or not sweeps else []
        return run_name("comparison", ", ".join(counted), *given)

    @property
    def ids(self) -> list[str]:
        """The runs by id, each once."""
        return list(dict.fromkeys(word.strip() for word in self.runs.split(",") if word.strip()))
