"""Choice of the runs and sweeps to compare, by id, params, tags and metrics."""

import operator
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, NamedTuple

from polyreg import tracking
from polyreg.config import LISTS, FitConfig, SweepConfig, TrainConfig
from polyreg.config_reading import CompareConfig
from polyreg.errors import Refused
from polyreg.options import from_params
from polyreg.sgd.sweep import Row
from polyreg.text import plural, text
from polyreg.tracking.history import Past

SEARCHED = 1000  # runs at most, for those that can be compared
KINDS: dict[str, tuple[type, tuple[str, ...]]] = {  # by the params that only such a run has
    "training": (TrainConfig, ("degree", "learning_rate", "stop", "seed")),
    "fit": (FitConfig, ("data", "target", "degree")),
    "sweep": (SweepConfig, ("degrees", "learning_rates")),
    "comparison": (CompareConfig, ("runs", "last", "out")),
}
COMPARED = ("training", "fit", "sweep")


class Item(NamedTuple):
    """A run to compare; or a sweep, with its nested runs."""

    past: Past
    config: SweepConfig | None = None  # of a sweep
    nested: Sequence[Past] = ()
    filtered: bool = False  # only those of its runs that meet a filter are here

    def rows(self) -> Iterator[tuple[Past, Row | None]]:
        """Of a sweep its nested runs, and each as a run of its grid; None of what is none."""
        assert self.config
        tried = {tuple(one.values()) for one in self.config.combinations()}
        for past in self.nested:
            row = row_of(past)
            yield past, row if row and values_of(row) in tried else None

    @property
    def comparable(self) -> bool:
        """Whether a sweep has a run that can be read."""
        return any(row for _, row in self.rows())

    def told(self, rows: int) -> str:
        """How a sweep ended, and how many of its runs are there; empty where it is whole.

        What a filter alone left out is no matter of how it ended.
        """
        is_whole = not how_ended(self.past) and (self.filtered or not self.there(rows))
        state = self.past.status + (" and deleted" if self.past.deleted else "")
        return "" if is_whole else f"The sweep {self.past.id} is {state}: {self.there(rows)}."

    def there(self, rows: int) -> str:
        """How many of a sweep's runs are there; empty: all, and it has FINISHED."""
        assert self.config
        if self.filtered:
            return f"only the {plural(len(self.nested), 'run')} that meet the filter"
        planned = len({tuple(one.values()) for one in self.config.combinations()})
        planned = self.config.seeds * min(self.config.trials or planned, planned)
        if rows == planned and not how_ended(self.past):
            return ""
        return f"{rows:,} of {plural(planned, 'run')} are there"


def kind_of(params: Mapping[str, str]) -> tuple[str, Any]:
    """What made a run, and its config where the params are one; what they lack is the default."""
    for kind, (config_class, _) in KINDS.items():
        if is_kind(kind, params):
            try:
                return kind, from_params(config_class, defaults(config_class) | dict(params))
            except ValueError:
                return kind, None
    return "other", None


def is_kind(kind: str, params: Mapping[str, str]) -> bool:
    return all(name in params for name in KINDS[kind][1])


def state(past: Past) -> list[str]:
    """What has to be said of how a run ended, or has not."""
    return [f"{how}: shown with what it has" for how in how_ended(past)]


def how_ended(past: Past) -> list[str]:
    """How a run ended, or has not, where that was not as it should."""
    found = [] if past.status == "FINISHED" else [past.status.lower()]
    found += ["deleted"] if past.deleted else []
    return [" and ".join(found)] if found else []


def values_of(row: Row) -> tuple:
    """What a run has of the options that a sweep may vary."""
    return tuple(getattr(row.config, name) for name in LISTS)


def row_of(past: Past) -> Row | None:
    """A nested run as its sweep has it; None of one that is half-written, or no such training."""
    try:
        if past.whole and is_kind("training", past.params) and not past.params.get("data"):
            given = defaults(TrainConfig) | dict(past.params)
            return Row.from_run(past.id, given, past.metrics, past.tags)
    except (KeyError, ValueError, OverflowError):
        pass
    return None


@cache
def defaults(config_class: Any) -> dict[str, str]:
    """A config's defaults, as params."""
    return {f.name: text(f.default) for f in fields(config_class) if f.default is not MISSING}


def chosen(config: CompareConfig) -> tuple[list[Item], list[str]]:
    """The runs and sweeps to compare, and what to say of those left out.

    Raises Refused where there are none, or one that was named is not there.
    """
    try:
        if config.runs:
            return named(config.ids), []
        return newest(config)
    except tracking.Unreachable as error:
        if config.runs:
            hint = "; ids are in MLflow's page, or `mlflow runs list`"
            raise Refused(f"--runs: {error}{hint}") from error
        asked_for = f"--filter {config.filter}: " if config.filter else ""
        raise Refused(f"{asked_for}{error}") from error


def named(ids: Sequence[str]) -> list[Item]:
    """The runs of these ids; of a sweep all nested ones. Refused where it has none."""
    return [as_item(tracking.past([run_id])[0]) for run_id in dict.fromkeys(ids)]


def as_item(past: Past) -> Item:
    """A run, or a sweep with its nested runs; one whose options cannot be read is a run."""
    kind, config = kind_of(past.params)
    if kind != "sweep" or config is None:
        return Item(past)
    nested = tracking.children(past.id, past.experiment)
    if not nested:
        raise Refused(f"--runs: the sweep {past.id} has no runs to compare; leave it out")
    return Item(past, config, nested)


def newest(config: CompareConfig) -> tuple[list[Item], list[str]]:
    """The newest runs and sweeps of an experiment, oldest first; and a note on those left out.

    A sweep counts as one, by its own start. With a filter it is there with those of its runs that
    meet it; where none does, and the sweep itself does, with all of them.
    """
    condition, bounds = split(config.filter)
    seek = Search(config.experiment, condition, bounds)
    wanted, expanded = config.last, dict[str, Item | None]()
    while True:  # until there are enough, or no more: a sweep may have no runs to compare
        met, is_all = seek.newest(wanted)
        kept: list[Item] = []
        left: list[Past] = []
        for past in reversed(met):
            if len(kept) == config.last:
                break
            if past.id not in expanded:
                expanded[past.id] = seek.item(past)
            if item := expanded[past.id]:
                kept.append(item)
            else:
                left.append(past)
        if len(kept) == config.last or is_all:
            break
        wanted = min(4 * wanted, SEARCHED)
    if not kept:
        that = f" that meets {config.filter!r}" if config.filter else ""
        raise Refused(
            f"--experiment {config.experiment} has no training, fit or sweep{that}; "
            "see what there is with `mlflow ui`, or name runs by --runs"
        )
    # A sweep of which no run meets the filter, nor it itself, is none of those asked for.
    others = Counter(kind_of(past.params)[0] for past in left if seek.meets(past))
    words = {"other": ("run", " of another kind"), "sweep": ("sweep", " without runs to compare")}
    counts = []
    for kind, count in sorted(others.items()):
        what, rest = words.get(kind, (kind, ""))
        counts.append(plural(count, what) + rest)
    notes = [f"Left out of the newest runs: {', '.join(counts)}."] if counts else []
    return kept[::-1], notes


class Search:
    """The runs of an experiment that meet a condition in MLflow's language, and these bounds."""

    def __init__(self, experiment: str, condition: str, bounds: Collection["Bound"]):
        self.experiment, self.condition, self.bounds = experiment, condition, bounds
        self._is_sweep: dict[str, bool] = {}  # by id, of runs in which others are nested
        self._sweeps: dict[str, Past] = {}
        self._met: set[str] = set()  # ids of sweeps that meet the filter themselves

    def meets(self, past: Past) -> bool:
        return past.id not in self._sweeps or past.id in self._met

    def item(self, past: Past) -> Item | None:
        """The run or sweep to compare; None where it is none, or a sweep without runs."""
        kind, config = kind_of(past.params)
        if kind not in COMPARED or (kind == "sweep" and config is None):
            return None
        if kind != "sweep":
            return Item(past)
        nested = tracking.children(past.id, past.experiment, self.condition)
        nested = [one for one in nested if self._holds(one)]
        found = Item(past, config, nested, filtered=bool(self.condition or self.bounds))
        if found.filtered and not nested and past.id in self._met:
            found = Item(past, config, tracking.children(past.id, past.experiment))
        return found if found.comparable else None

    def newest(self, wanted: int) -> tuple[list[Past], bool]:
        """The newest, oldest first, at least so many that may be compared; whether that is all.

        Runs nested in a sweep are not among them: the sweep is, where it or one of them may meet
        the filter.
        """
        tops, is_all = self._tops(wanted)
        usable = [past for past in tops if self._may_be_compared(past)]
        since = 0.0 if is_all else usable[-wanted].start
        nested = self._nested(wanted, since)
        runs = [past for past in tops + nested if self._holds(past)]
        others = self._sweeps.keys() - {past.id for past in runs}
        runs += [self._sweeps[run_id] for run_id in others]
        return sorted((p for p in runs if p.start >= since), key=lambda p: p.start), is_all

    def _tops(self, wanted: int) -> tuple[list[Past], bool]:
        """The newest runs that are nested in none; whether these are all that can be looked at."""
        asked = wanted
        while True:
            past = tracking.search(self.experiment, asked, self.condition, nested=False)
            is_all = len(past) < asked or asked >= SEARCHED
            if is_all or sum(map(self._may_be_compared, past)) >= wanted:
                self._keep(past)
                return past, is_all
            asked = min(4 * asked, SEARCHED)

    def _nested(self, wanted: int, since: float) -> list[Past]:
        """The newest runs that are nested in others than sweeps; sweeps met on the way are kept."""
        asked = wanted
        while True:
            sweeps = [run_id for run_id, is_sweep in self._is_sweep.items() if is_sweep]
            which: dict[str, Any] = {"nested": True, "since": since, "besides": sweeps}
            past = tracking.search(self.experiment, asked, self.condition, **which)
            self._keep(past)
            self._look_up({one.parent for one in past} - self._is_sweep.keys())
            alone = [one for one in past if not self._is_sweep[one.parent]]
            in_the_way = {one.parent for one in past} - {one.parent for one in alone}
            if in_the_way - {*sweeps} and len(sweeps) < tracking.BESIDES:
                continue  # without the runs of these sweeps, which may be thousands
            enough = sum(map(self._may_be_compared, alone)) >= wanted
            if enough or len(past) < asked or asked >= SEARCHED:
                return alone
            asked = min(4 * asked, SEARCHED)

    def _keep(self, found: Sequence[Past]) -> None:
        """Keep in mind the sweeps among these, which meet the condition."""
        for past in found:
            kind, config = kind_of(past.params)
            if kind == "sweep":
                self._is_sweep[past.id] = True
                if config is not None:
                    self._sweeps[past.id] = past
                if self._holds(past):
                    self._met.add(past.id)

    def _look_up(self, ids: Collection[str]) -> None:
        """Tell of these runs, in which others are nested, whether they are sweeps."""
        known = tracking.known(sorted(ids))
        for run_id in sorted(ids):
            past = known.get(run_id)
            kind, config = kind_of(past.params) if past else ("other", None)
            self._is_sweep[run_id] = kind == "sweep"
            if past and config is not None and kind == "sweep" and not past.deleted:
                self._sweeps[run_id] = past

    def _holds(self, past: Past) -> bool:
        return all(bound.holds(past.params) for bound in self.bounds)

    def _may_be_compared(self, past: Past) -> bool:
        kind = kind_of(past.params)[0]
        return kind == "sweep" or (kind in COMPARED and self._holds(past))


def shares(room: int, wanted: Sequence[int]) -> list[int]:
    """What each gets of a room: as much as it wants, or an equal part of what is left; 1 at least.

    >>> shares(50, [200, 10, 15])
    [25, 10, 15]
    """
    given = [0] * len(wanted)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    for left, k in zip(range(len(wanted), 0, -1), order, strict=True):
        given[k] = min(wanted[k], max(room // left, 1))
        room -= given[k]
    return given


class Bound(NamedTuple):
    """params.name < number, which MLflow's own filter does not know: its params are texts."""

    name: str
    sign: str
    value: float

    def holds(self, params: Mapping[str, str]) -> bool:
        try:
            found = float(params[self.name])
        except (KeyError, ValueError):  # such as auto
            return False
        return SIGNS[self.sign](found, self.value)


SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
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
