"""What the runs and sweeps of a comparison left: polynomials, samples, curves, metrics."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from polyreg import tracking
from polyreg.config import LISTS, SweepConfig, TrainConfig
from polyreg.config_reading import CompareConfig
from polyreg.errors import Refused
from polyreg.fields import MAX_COMPARED
from polyreg.least_squares import Origin
from polyreg.options import params
from polyreg.polynomials.result import Result
from polyreg.reports import fit, training
from polyreg.reports.comparison.choice import Item, chosen, kind_of, shares, state, values_of
from polyreg.sgd import Training, stream
from polyreg.sgd.optimum import TrainingTable
from polyreg.sgd.sweep import Row, Summary
from polyreg.text import plural
from polyreg.tracking.history import Past

SAMPLE = 400  # points of a training's data
CURVES = 400  # of a sweep, each of which is a call to the store, or two
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

    @classmethod
    def of(cls, past: Past) -> "Seen":
        """A run of the store, but for its curves."""
        kind, config = kind_of(past.params)
        notes = state(past)
        polynomial = None
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
        return self.polynomial.target_column

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


class ReadSweep(NamedTuple):
    """A sweep, and every combination of which there are runs, with what each run came to."""

    past: Past
    config: SweepConfig
    found: list[Summary]
    notes: list[str]
    state: str = ""  # in a sentence that names it, where it is not whole


class Read(NamedTuple):
    """All that a comparison shows: of its sweeps the runs that have curves are among `seen`."""

    seen: list[Seen]
    sweeps: list[ReadSweep]
    notes: list[str]

    @property
    def ids(self) -> list[str]:
        """Of the sweeps, and of the runs that are in none of them."""
        alone = [one.past.id for one in self.seen if one.sweep is None]
        return [*(sweep.past.id for sweep in self.sweeps), *alone]

    @property
    def counts(self) -> tuple[int, int]:
        """How many runs it has that are in no sweep, and how many sweeps."""
        return len(self.ids) - len(self.sweeps), len(self.sweeps)


class Swept(NamedTuple):
    """A sweep in memory."""

    config: SweepConfig
    trainings: Sequence[Training]
    rows: Sequence[Row]  # of these


def read(config: CompareConfig) -> Read:
    """The runs and sweeps that these options name, with what each left.

    Raises Refused where there are none to compare, and Unreachable where the store does not answer.
    """
    items, notes = chosen(config)
    return read_all(items, notes)


def read_all(items: Iterable[Item | Swept | Seen], notes: Sequence[str] = ()) -> Read:
    """What each of these left: at most MAX_COMPARED groups, where sweeps are among them.

    Of a sweep the combinations of the best scores are among `seen`, as many as all the sweeps leave
    room for; of each at most MAX_COMPARED seeds. A run that is named beside its sweep is there
    once, with its combination.
    """
    items = list(items)
    sweeps: list[ReadSweep] = []
    left: list[dict[TrainConfig, Any]] = []  # of each sweep's rows the runs or trainings
    for item in items:
        if isinstance(item, Swept) or (isinstance(item, Item) and item.config is not None):
            sweep, own = of_trainings(item) if isinstance(item, Swept) else of_runs(item)
            sweeps.append(sweep)
            left.append(own)
    swept = {row.id for sweep in sweeps for one in sweep.found for row in one.rows if row.id}
    named = swept & {item.past.id for item in items if not isinstance(item, Swept)}
    alone = [i for i in items if isinstance(i, Seen) or (isinstance(i, Item) and not i.config)]
    alone = [item for item in alone if item.past.id not in named]
    room = shares(MAX_COMPARED - len(alone), [len(sweep.found) for sweep in sweeps])

    seen: list[Seen] = []
    number = 0
    for item in items:
        if isinstance(item, Seen):
            seen.append(item)
        elif isinstance(item, Item) and item.config is None:
            seen += [Seen.of(item.past)] if item.past.id not in named else []
        else:
            seen += shown(sweeps[number], number, left[number], room[number], named)
            number += 1
    with_curves(seen)
    partial = [sweep.state for sweep in sweeps if sweep.state]
    deleted = [one.past.id for one in seen if one.past.deleted]
    if deleted:
        partial.append(f"Deleted, and shown with what is left: {', '.join(deleted)}.")
    return Read(seen, sweeps, [*notes, *partial])


def of_runs(item: Item) -> tuple[ReadSweep, dict[TrainConfig, Past]]:
    """A sweep of the store, and which nested run has which options.

    Refused where none of its runs can be read.
    """
    assert item.config
    rows: list[Row] = []
    own: dict[TrainConfig, Past] = {}
    unread = again = 0
    for past, row in item.rows():
        if row is None:
            unread += 1
        elif row.config in own:  # written again by a task whose worker died after the first time
            again += 1
        else:
            own[row.config] = past
            rows.append(row)
    if not rows:
        raise Refused(
            f"the sweep {item.past.id} has {plural(unread, 'run')}, none of which is a whole "
            "training that can be read; leave it out"
        )
    told = item.told(len(rows))  # at the top of all
    notes = [] if told else [item.there(len(rows))]
    if unread:
        notes.append(f"{plural(unread, 'run')} left out: half-written, or no run of its grid")
    if again:
        notes.append(f"{plural(again, 'run')} left out: written twice")
    notes = [f"{note[0].upper()}{note[1:]}." for note in notes if note]
    # What a filter left out was tried: a search is not blank there.
    config = replace(item.config, trials=0) if item.filtered else item.config
    found = combinations(config, rows)
    return ReadSweep(item.past, config, found, notes, told), own


def of_trainings(swept: Swept) -> tuple[ReadSweep, dict[TrainConfig, Training]]:
    """A sweep in memory, and which training has which options."""
    config = swept.config
    past = Past("", config.name, "FINISHED", time.time(), params(config), {}, {})
    own = {one.config: one for one in swept.trainings}
    return ReadSweep(past, config, combinations(config, swept.rows), []), own


def combinations(config: SweepConfig, rows: Iterable[Row]) -> list[Summary]:
    """Every combination of which there are runs, in the sweep's order; its runs by seed."""
    found: dict[tuple, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.config.seed):
        found.setdefault(values_of(row), []).append(row)
    tried = (tuple(one.values()) for one in config.combinations())
    return [
        Summary(dict(zip(LISTS, one, strict=True)), found[one]) for one in tried if one in found
    ]


def shown(
    sweep: ReadSweep, number: int, own: Mapping[TrainConfig, Any], room: int, named: set[str]
) -> list[Seen]:
    """The runs of a sweep that have curves, in its order; what has none is said in its notes."""

    def among(one: Summary) -> bool:
        return any(row.id in named for row in one.rows)

    ranked = sorted(sweep.found, key=lambda one: (not among(one), one.score))
    kept = [one for one in sweep.found if any(one is other for other in ranked[:room])]
    if len(kept) < len(sweep.found):
        of = f"{len(kept)} of {len(sweep.found):,}"
        sweep.notes.append(f"The best {of} combinations have curves here.")
    seeds = min(MAX_COMPARED, max(CURVES // len(kept), 5))
    most = max(len(one.rows) for one in kept)
    if most > seeds:
        sweep.notes.append(
            f"Curves and numbers of a group are of {seeds} of {most:,} seeds; the heat map and the "
            "combinations have all."
        )
    rows = []
    for one in kept:
        first = sorted(one.rows, key=lambda row: row.id not in named)[:seeds]
        rows += sorted(first, key=lambda row: row.config.seed)
    return [
        Seen.of_row(own[row.config], row, number)
        if isinstance(own[row.config], Past)
        else Seen.of_training(own[row.config])._replace(sweep=number, row=row)
        for row in rows
    ]


def with_curves(seen: Sequence[Seen]) -> None:
    """Read the learning curves of those that are runs of the store."""
    for key in ("loss/gap", "loss/train", "cv/mse"):
        theirs = {
            one.past.id: one
            for one in seen
            if one.past.id and key in one.past.metrics
            if not (key == "loss/train" and "loss/gap" in one.past.metrics)
        }
        for run_id, found in tracking.curves(list(theirs), key).items() if theirs else ():
            theirs[run_id].learning[key] = found
