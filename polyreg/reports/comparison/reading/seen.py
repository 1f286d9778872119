"""A run of a comparison with what it left: its polynomial, a sample, curves, metrics."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from polyreg import tracking
from polyreg.config import TrainConfig
from polyreg.fields import MAX_COMPARED
from polyreg.groups import Results
from polyreg.least_squares import Origin
from polyreg.options import params
from polyreg.polynomials.result import Result
from polyreg.reports import fit, training
from polyreg.reports.comparison.reading.choice import kind_of, state
from polyreg.reports.groups import compared
from polyreg.reports.groups.report import metrics as metrics_of
from polyreg.reports.groups.report import title as title_of
from polyreg.sgd import Training, stream
from polyreg.sgd.optimum import TrainingTable
from polyreg.sgd.sweep import Row
from polyreg.tracking.history import Past

SAMPLE = 400  # points of a training's data
LOST = "its artifacts are not where MLflow expects them, in"


class Seen(NamedTuple):
    """A run with all that it left to draw."""

    past: Past
    kind: str
    config: Any
    polynomial: Any  # its Result; None: it left none
    target: str
    sample: Any  # x (n, D) and y (n,), None where there is none
    learning: dict[str, tuple]
    notes: list[str]
    sweep: int | None = None  # which of the comparison's, one of whose runs it is
    row: Row | None = None  # as that has it
    quantiles: Mapping[str, Any] | None = None  # of many curves

    @classmethod
    def of(cls, past: Past) -> "Seen":
        """A run of the store, but for its curves."""
        kind, config = kind_of(past.params)
        notes = state(past)
        polynomial = None
        if past.params.get("by"):
            return cls.of_many(past, config, notes)
        if kind in ("training", "fit", "other"):
            document = tracking.text(past, "coefficients.json")
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
        if kind == "sweep":
            notes.append("a sweep whose options are not this version's")
        target = getattr(polynomial, "target", None) or past.params.get("target", "y")
        return cls(past, kind, config, polynomial, target, sample, {}, notes)

    @classmethod
    def of_many(cls, past: Past, config: Any, notes: list[str]) -> "Seen":
        """A run of many curves."""
        document, found = tracking.text(past, "quantiles.json"), None
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            found = compared.read(json.loads(document or "{}"))
        if found is None:
            lost = f"{LOST} {past.artifact_uri}" if past.lost_artifacts else "no quantiles.json"
            notes.append(f"{lost}, so no curve")
        target = past.params.get("target", "y")
        return cls(past, "fit", config, None, target, None, {}, notes, quantiles=found)

    @classmethod
    def of_results(cls, results: Results) -> "Seen":
        """Results in memory, with the params, metrics and tags of a run of them."""
        frame, config = results.to_frame(), results.config
        tags = {"data.sha256": results.source.sha256} if results.source else {}
        metrics = finite(metrics_of(results, frame))
        past = Past("", title_of(results), "FINISHED", time.time(), params(config), metrics, tags)
        found = compared.quantiles(results, frame)
        return cls(past, "fit", config, None, results.target, None, {}, [], quantiles=found)

    @classmethod
    def of_row(cls, past: Past, row: Row, sweep: int) -> "Seen":
        """A run of a sweep, but for its curves: its polynomial is that of its metrics."""
        polynomial = sample = None
        notes = state(past)
        if row.coefficients is None:
            notes = [past.tags.get("error") or "diverged"]
        else:
            sample = read_sample(past, "training", row.config, None)
            x = sample[0]
            polynomial = Result.trained(
                row.coefficients,
                "monomial",
                (float(x.min()), float(x.max())),
                past.metrics.get("condition", float("nan")),
                truth=row.config.coefficients,
                method=row.config.optimizer,
                precision=row.config.dtype,
                origin=row.config,
            )
        return cls(past, "training", row.config, polynomial, "y", sample, {}, notes, sweep, row)

    @classmethod
    def of_training(cls, one: Training, name: str = "") -> "Seen":
        """A training in memory, with the params, metrics and tags of a run of it."""
        metrics, curves, at = training.measured(one.curve)
        metrics |= {key: float(values[-1]) for key, values in curves.items() if len(values)}
        tags, result, sample, notes = training.tags(one), None, None, list[str]()
        if one.diverged:
            tags["error"] = str(one.diverged)
            notes = [str(one.diverged)]
        else:
            result = one.result()
            metrics |= training.reached(one, result)
            sample = fit.points(one.table.best)[:2] if one.table else None
        status = "FAILED" if one.diverged else "FINISHED"
        past = Past(
            "", name or one.name, status, time.time(), params(one.config), finite(metrics), tags
        )
        if sample is None and result is not None:
            sample = read_sample(past, "training", one.config, result)
        target = result.target if result else "y"
        learning = {"loss/gap": (at, curves["loss/gap"])}
        return cls(past, "training", one.config, result, target, sample, learning, notes)

    @classmethod
    def of_result(cls, result: Result, name: str) -> "Seen":
        """A result in memory, with the params, metrics and tags of a run of it."""
        config, tags, sample, metrics = result.origin, {}, None, {}
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
            metrics = {"coef_error/max": result.max_error(), "condition": result.condition}
        given = params(config) if config else {}
        past = Past("", name, "FINISHED", time.time(), given, metrics, tags)
        if kind == "training" and sample is None:
            sample = read_sample(past, kind, config, result)
        return cls(past, kind, config, result, result.target, sample, {}, [])

    @property
    def variables(self) -> tuple[str, ...]:
        return self.polynomial.variables

    @property
    def columns(self) -> tuple[str, ...]:
        """Of x, as the polynomial is asked; of its variables, where these are columns."""
        return self.polynomial.columns

    @property
    def measured(self) -> str:
        """The column of y, as the polynomial answers."""
        return str(getattr(self.polynomial, "target_column", self.target))

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
        low, high = next(iter(self.polynomial.ranges.values()))
        return float(low), float(high)

    @property
    def truth(self) -> tuple[float, ...] | None:
        if self.is_drawn and self.config is not None:
            return self.config.coefficients
        if self.polynomial is None or self.polynomial.truth is None:
            return None
        return tuple(self.polynomial.truth.tolist())


def read_sample(past: Past, kind: str, config: Any, polynomial: Any) -> Any:
    """x (n, D) in the order of the polynomial's variables, and y (n,)."""
    if kind == "training" and config is not None and not config.data:
        x, y = stream_sample(config.coefficients, config.noise, config.inputs, config.seed)
        return x[:, None], y
    stored = tracking.text(past, "sample.json")
    if stored is None:
        return None
    try:
        read = json.loads(stored)
        x, y = np.array(read["x"], float), np.array(read["y"], float)
        x = x.reshape(len(y), -1)[:, [read["names"].index(v) for v in polynomial.columns]]
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


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those that a run would log."""
    return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
