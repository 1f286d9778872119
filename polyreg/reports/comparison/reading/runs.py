"""The runs and sweeps of a comparison, those of its sweeps that have curves among them."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from polyreg import tracking
from polyreg.config import LISTS, SweepConfig, TrainConfig
from polyreg.config_reading import CompareConfig
from polyreg.errors import Refused
from polyreg.fields import MAX_COMPARED
from polyreg.options import params
from polyreg.reports.comparison.reading.choice import Item, chosen, shares, values_of
from polyreg.reports.comparison.reading.seen import Seen
from polyreg.sgd import Training
from polyreg.sgd.sweep import Row, Summary
from polyreg.text import plural
from polyreg.tracking.history import Past

CURVES = 400  # of a sweep, each of which is a call to the store, or two


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
