"""Choice of the runs to compare, by id, params, tags and metrics; and all that is read of each."""

import json
import operator
import re
import time
from collections import Counter
from dataclasses import MISSING, fields
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from polyreg import tracking
from polyreg.config import FitConfig, SweepConfig, TrainConfig
from polyreg.config_reading import CompareConfig
from polyreg.errors import Refused
from polyreg.fields import MAX_COMPARED
from polyreg.least_squares import Origin
from polyreg.options import from_params, params
from polyreg.polynomials.result import Result
from polyreg.reports import fit, training
from polyreg.sgd import Training, stream
from polyreg.sgd.optimum import TrainingTable
from polyreg.sgd.sweep import Row, Summary
from polyreg.text import plural, text
from polyreg.tracking.history import Past

SEARCHED = 1000  # runs at most, for those that can be compared
KINDS: dict[str, tuple[type, tuple[str, ...]]] = {  # by the params that only such a run has
    "training": (TrainConfig, ("degree", "learning_rate", "stop", "seed")),
    "fit": (FitConfig, ("data", "target", "degree")),
    "sweep": (SweepConfig, ("degrees", "learning_rates")),
    "comparison": (CompareConfig, ("runs", "last", "out")),
}


def kind_of(params: Any) -> tuple[str, Any]:
    """What made a run, and its config where the params are one; what they lack is the default."""
    for kind, (config_class, known) in KINDS.items():
        if all(name in params for name in known):
            defaults = {
                f.name: text(f.default) for f in fields(config_class) if f.default is not MISSING
            }
            try:
                return kind, from_params(config_class, defaults | dict(params))
            except ValueError:
                return kind, None
    return "other", None


def chosen(config: CompareConfig) -> tuple[list, list[str]]:
    """The runs to compare, and what to say of those left out."""
    if config.runs:
        found = []
        for run_id in config.ids:
            try:
                found += tracking.past([run_id])
            except tracking.Unreachable as error:
                raise Refused(
                    f"--runs: {error}; ids are in MLflow's page, or `mlflow runs list`"
                ) from error
        return found, []
    condition, bounds = split(config.filter)
    asked = config.last
    while True:  # until there are enough that can be compared, or no more
        try:
            past = tracking.search(config.experiment, asked, condition)
        except tracking.Unreachable as error:
            asked_for = f"--filter {config.filter}: " if config.filter else ""
            raise Refused(f"{asked_for}{error}") from error
        met = [one for one in past if all(bound.holds(one.params) for bound in bounds)]
        useful = [one for one in met if kind_of(one.params)[0] in ("training", "fit")]
        if len(useful) >= config.last or len(past) < asked or asked >= SEARCHED:
            break
        asked = min(4 * asked, SEARCHED)
    kept = useful[-config.last :]
    if not kept:
        that = f" that meets {config.filter!r}" if config.filter else ""
        raise Refused(
            f"--experiment {config.experiment} has no training or fit{that}; "
            "see what there is with `mlflow ui`, or name runs by --runs"
        )
    newest = met if kept == useful else met[met.index(kept[0]) :]
    others = Counter(kind_of(one.params)[0] for one in newest if one not in kept)
    counts = [
        plural(count, "run") + " of another kind" if kind == "other" else plural(count, kind)
        for kind, count in sorted(others.items())
    ]
    notes = [f"Left out of the newest runs: {', '.join(counts)}."] if counts else []
    return kept, notes


class Bound(NamedTuple):
    """params.name < number, which MLflow's own filter does not know: its params are texts."""

    name: str
    sign: str
    value: float

    def holds(self, params: Any) -> bool:
        try:
            found = float(params[self.name])
        except (KeyError, ValueError):  # such as auto
            return False
        return getattr(operator, SIGNS[self.sign])(found, self.value)


SIGNS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
BOUND = re.compile(r"param(?:eter)?s?\.[`\"]?(\w+)[`\"]?\s*(<=|>=|<|>)\s*'?([-+\w.]+)'?", re.I)


def split(condition: str) -> tuple[str, list[Bound]]:
    """A filter as MLflow's part of it, and the bounds on params."""
    outside_quotes = r"(?=(?:[^']*'[^']*')*[^']*$)"
    rest, bounds = [], []
    for clause in re.split(rf"\s+and\s+{outside_quotes}", condition.strip(), flags=re.I):
        match = BOUND.fullmatch(clause.strip())
        if not match:
            rest.append(clause)
            continue
        name, sign, value = match.groups()
        try:
            bounds.append(Bound(name, sign, float(value)))
        except ValueError as error:
            raise Refused(
                f"--filter {clause}: {value!r} is no number; texts are compared by = and !="
            ) from error
    return " and ".join(rest), bounds


SAMPLE = 400  # points of a training's data
LOST = "its artifacts are not where MLflow expects them, in"


class ReadSweep(NamedTuple):
    past: Past
    config: SweepConfig
    found: list[Summary]
    notes: list[str]


class Read(NamedTuple):
    seen: list["Seen"]
    sweeps: list[ReadSweep]
    notes: list[str]


def read(config: CompareConfig) -> Read:
    found, left_out = chosen(config)
    return Read([Seen.of(past) for past in found], [], left_out)


class Seen(NamedTuple):
    """A run with all that it left to draw."""

    past: Any
    kind: str
    config: Any
    polynomial: Any  # its Result; None: it left none
    target: str
    sample: Any  # x (n, D) and y (n,), None where there is none
    learning: dict[str, tuple]
    notes: list[str]
    sweep: int | None = None  # of those compared, whose run it is
    row: Row | None = None

    @classmethod
    def of(cls, past: Any) -> "Seen":
        kind, config = kind_of(past.params)
        notes: list[str] = []
        if past.status != "FINISHED":
            notes.append(f"{past.status.lower()}: shown with what it has")
        polynomial = None
        if kind in ("training", "fit", "other"):
            document = tracking.text(past.id, "coefficients.json")
            try:
                if document is None and past.lost_artifacts:
                    notes.append(f"{LOST} {past.artifact_uri}, so no curve")
                elif document is None:
                    notes.append("no coefficients.json, so no curve")
                else:
                    polynomial = Result.from_dict(json.loads(document))
            except (ValueError, KeyError, TypeError, AttributeError):
                notes.append("its coefficients.json is not polyreg's, so no curve")
        sample = None
        if polynomial is not None:
            sample = read_sample(past, kind, config, polynomial)
            if sample is None:
                notes.append("no sample of its data, so no points")
        learning = {
            key: tracking.curve(past.id, key)
            for key in ("loss/gap", "loss/train", "cv/mse")
            if key in past.metrics and not (key == "loss/train" and "loss/gap" in past.metrics)
        }
        if kind == "sweep":
            notes.append("a sweep: its results are in its nested runs")
        target = getattr(polynomial, "target", None) or past.params.get("target", "y")
        return cls(past, kind, config, polynomial, target, sample, learning, notes)

    @classmethod
    def of_item(cls, item: Any, number: int) -> "Seen":
        """Of a run's id, a Result or a Training, the `number`-th of those to compare."""
        if isinstance(item, str):
            return cls.of(tracking.past([item])[0])
        if isinstance(item, Training):
            result, learning = item.result(), {"loss/gap": (item.curve.at, item.curve.gap)}
            metrics = training.measured(item.curve)[0] | {"loss/gap": float(item.curve.gap[-1])}
        elif isinstance(item, Result):
            result, learning, metrics = item, {}, {}
        else:
            raise Refused(
                f"item {number} is a {type(item).__name__}; give a Result, a Training or a run id"
            )
        config, tags, name, sample = result.origin, {}, f"result {number}", None
        kind = "training" if isinstance(config, TrainConfig) else "other"
        if isinstance(config, Origin):
            kind, name, sample = "fit", fit.title(result), fit.points(result)[:2]
            metrics, tags = fit.metrics(result), {"data.sha256": config.sha256}
            config = config.config
        elif isinstance(config, TrainingTable):
            kind, name, sample = "training", config.name, fit.points(config.best)[:2]
            tags, config = fit.table_tags(config.best), config.config
        elif kind == "training":
            name, tags = config.name, {"data.sha256": stream.sha256(config)}
            metrics = {
                "coef_error/max": result.max_error(),
                "condition": result.condition,
            } | metrics
        past = Past(
            "", name, "FINISHED", time.time(), params(config) if config else {}, metrics, tags
        )
        if kind == "training" and sample is None:
            sample = read_sample(past, kind, config, result)
        return cls(past, kind, config, result, result.target, sample, learning, [])

    @property
    def variables(self) -> tuple[str, ...]:
        return self.polynomial.variables

    @property
    def is_drawn(self) -> bool:
        """Whether its data are samples of a known polynomial."""
        return self.kind == "training" and not getattr(self.config, "data", "")

    @property
    def domain(self) -> tuple[float, float]:
        """Of one variable: where its curve is drawn."""
        if self.is_drawn and self.sample is not None:
            x = self.sample[0]
            return float(x.min()), float(x.max())
        return float(self.polynomial.low[0]), float(self.polynomial.high[0])

    @property
    def truth(self) -> tuple[float, ...] | None:
        if self.is_drawn and self.config is not None:
            return self.config.coefficients
        if self.polynomial is None or self.polynomial.truth is None:
            return None
        return tuple(self.polynomial.truth.tolist())


def read_sample(past: Any, kind: str, config: Any, polynomial: Any) -> Any:
    """x (n, D) in the order of the polynomial's variables, and y (n,)."""
    if kind == "training" and config is not None and not config.data:
        x, y = stream_sample(config.coefficients, config.noise, config.inputs, config.seed)
        return x[:, None], y
    stored = tracking.text(past.id, "sample.json")
    if stored is None:
        return None
    try:
        read = json.loads(stored)
        x, y = np.array(read["x"], float), np.array(read["y"], float)
        x = x.reshape(len(y), -1)[:, [read["names"].index(v) for v in polynomial.variables]]
        return x[:SAMPLE], y[:SAMPLE]
    except (ValueError, KeyError, TypeError, IndexError):
        return None


@lru_cache(maxsize=MAX_COMPARED)
def stream_sample(coefficients: tuple[float, ...], noise: float, inputs: Any, seed: int) -> tuple:
    """The first samples of a training's stream: what it saw depends on these four options."""
    config = TrainConfig(coefficients=coefficients, noise=noise, inputs=inputs, seed=seed)
    return stream.Stream(config, stream.Randomness.of(seed)).samples(SAMPLE)


def started(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")
