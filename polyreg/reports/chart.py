"""Charts and tables of runs side by side as plain data, which page and figures both draw.

What they must agree on is here: looks, axes with their ticks, and where curves' numbers stand.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from polyreg.reports.panels import Panel
from polyreg.text import number


class Mark(NamedTuple):
    """What an estimate is drawn as, so that colour alone tells nothing."""

    marker: str  # in matplotlib
    path: str  # in a box of 10 by 10


# Twelve colours apart for normal, red-blind and green-blind eyes (12 in CIELAB at least), at 3:1 on
# their paper; seven dashes, each with its mark: 84 groups differ, lines under others show through.
LIGHT = (
    "#1f5fbf", "#d35f00", "#00876c", "#c0489f", "#5b4a00", "#2b97c8",
    "#ac0c35", "#8d07ee", "#004264", "#f316fe", "#620e8f", "#0c02ba",
)  # fmt: skip
DARK = (
    "#5b9bff", "#ff8f3a", "#2fa683", "#f29ad6", "#f5e37a", "#8fe3ff",
    "#9e7007", "#eb2ec9", "#fa2d4c", "#9a6a9a", "#954afe", "#03e198",
)  # fmt: skip
DASHES = ((), (7, 3), (2, 3), (11, 3, 2, 3), (14, 4), (6, 2, 2, 2, 2, 2), (4, 2))
MARKS = (
    Mark("o", "M5 .8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 1 1 0-8.4Z"),
    Mark("s", "M1.3 1.3h7.4v7.4H1.3Z"),
    Mark("^", "M5 .4L9.9 9.2H.1Z"),
    Mark("D", "M5 0L10 5 5 10 0 5Z"),
    Mark("v", "M5 9.6L.1.8h9.8Z"),
    Mark("P", "M3.4.4h3.2v3h3v3.2h-3v3H3.4v-3h-3V3.4h3Z"),
    Mark("X", "M2.2 0L5 2.8 7.8 0 10 2.2 7.2 5 10 7.8 7.8 10 5 7.2 2.2 10 0 7.8 2.8 5 0 2.2Z"),
)
BANDS = 12  # curves up to which their bands are drawn
NUMBERED = 24  # curves up to which a number stands at the end of each
LETTER, HIGH = 0.028, 0.055  # of such a label, as parts of a chart on a phone


class Dot(NamedTuple):
    cap: str
    ink: float  # stroke widths
    hole: float


# Those of different data: dot, square, ring, frame.
DOTS = (Dot("round", 4.5, 0), Dot("square", 4, 0), Dot("round", 6.5, 4), Dot("square", 6, 3.5))


class Run(NamedTuple):
    """A run of a group."""

    name: str  # by what it differs from the others of its group, as `seed 3`; else its group's
    title: str  # in MLflow
    id: str
    kind: str
    status: str
    started: str
    note: str = ""


class Group(NamedTuple):
    """What has one number, colour and dash: a run, or runs that differ in the seed alone."""

    name: str  # by the options in which it differs from the other groups
    runs: Sequence[Run]
    data: str = ""  # letter of what it saw; empty: not known
    sweep: int | None = None  # of the comparison's sweeps, one of whose combinations it is

    @property
    def mark(self) -> str:
        """What is to be said at its name: `FAILED`, `2 of 5 FAILED`; empty: all have finished."""
        ended = Counter(run.status for run in self.runs if run.status != "FINISHED")
        of = f" of {len(self.runs)}" if len(self.runs) > 1 else ""
        return ", ".join(f"{n}{of} {status}" if of else status for status, n in ended.items())


class Curve(NamedTuple):
    group: int | None  # None: the truth
    x: np.ndarray  # (n,), increasing
    y: np.ndarray
    low: np.ndarray | None = None  # of its band
    high: np.ndarray | None = None
    run: int | None = None  # of the group: its own curve, seen where the group is opened


class Points(NamedTuple):
    label: str
    x: np.ndarray
    y: np.ndarray
    look: int = 0  # which of DOTS
    group: int | None = None  # whose they are; None: of the data

    @property
    def dot(self) -> Dot:
        return DOTS[self.look % len(DOTS)]


class Chart(NamedTuple):
    title: str
    names: tuple[str, str]  # of x and y
    curves: Sequence[Curve] = ()
    points: Sequence[Points] = ()
    log: tuple[bool, bool] = (False, False)
    diagonal: bool = False
    note: str = ""

    @property
    def groups(self) -> list[int]:
        """Those that have a curve."""
        return sorted({curve.group for curve in self.curves if curve.group is not None})

    @property
    def banded(self) -> bool:
        """Whether bands can be told apart: the curves that have one are few."""
        return sum(curve.low is not None for curve in self.curves) <= BANDS


class Estimate(NamedTuple):
    """One group's: with its interval, or of several runs the mean and one spread to each side."""

    group: int
    value: float
    low: float = math.nan
    high: float = math.nan
    spread: float = math.nan  # standard deviation over the runs of a group

    @property
    def has_interval(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


class Term(NamedTuple):
    name: str
    truths: Sequence[tuple[str, float]]  # what it is called, its value
    estimates: Sequence[Estimate]

    @property
    def drawn(self) -> list[Estimate]:
        return [e for e in self.estimates if math.isfinite(e.value)]

    def of(self, group: int) -> Estimate | None:
        return next((e for e in self.estimates if e.group == group), None)

    @property
    def known(self) -> str:
        if (count := len(self.truths)) > 2:
            return f"{count} truths: the lines"
        return ", ".join(f"{name} {number(value)}" for name, value in self.truths)

    def scale(self) -> "Scale":
        """An axis for the estimates with their intervals, and the truths."""
        values = [v for e in self.drawn for v in (e.value, e.low, e.high)]
        return Scale.over(np.array(values + [v for _, v in self.truths], float), pad=0.08)


class Coefficients(NamedTuple):
    title: str
    terms: Sequence[Term]
    note: str = ""
    drawn: int = 24  # of them
    target: str = ""

    @property
    def groups(self) -> list[int]:
        """Those that have one of the terms."""
        return sorted({e.group for term in self.terms for e in term.estimates})

    @property
    def truths(self) -> list[str]:
        """What they are called, in order of appearance."""
        return list(dict.fromkeys(name for term in self.terms for name, _ in term.truths))


Cell = str | float | None


class Column(NamedTuple):
    """What each group has of one quantity; of several runs their mean and standard deviation."""

    name: str
    cells: Sequence[Cell]  # one a group
    spreads: Sequence[float] = ()  # one a group, nan where there is none; empty: of none
    runs: Sequence[Sequence[Cell]] = ()  # of each group of several runs, theirs; else empty
    best: frozenset[int] = frozenset()
    meaning: str = ""  # of the best: `fewest steps to converge`
    is_option: bool = False  # else a metric


class Table(NamedTuple):
    title: str
    columns: Sequence[Column]
    note: str = ""
    folded: bool = False


class Sweep(NamedTuple):
    """A sweep: its heat maps, and a row for each combination."""

    title: str
    panels: Sequence[Panel]  # whose `at` are groups of the page; -1: none
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    groups: Sequence[int | None]  # of the page, one a row
    note: str = ""


class Warned(NamedTuple):
    text: str
    lines: Sequence[str] = ()


class Comparison(NamedTuple):
    title: str
    shared: str  # what all have in common: `noise 1 · at most 600 steps`
    groups: Sequence[Group]
    warnings: Sequence[Warned]
    notes: Sequence[str]
    sweeps: Sequence[Sweep]
    charts: Sequence[Chart]
    coefficients: Sequence[Coefficients]
    tables: Sequence[Table]


class Scale(NamedTuple):
    """Where values lie on an axis, as parts of its length."""

    low: float
    high: float
    log: bool = False

    def at(self, values: np.ndarray | float) -> np.ndarray:
        with np.errstate(all="ignore"):
            v = np.asarray(values, float)
            v, low, high = (self._plain(a) for a in (v, self.low, self.high))
            return (v / 2 - low / 2) / (high / 2 - low / 2)

    def _plain(self, v):
        return np.log10(np.where(np.asarray(v) > 0, v, np.nan)) if self.log else v

    @classmethod
    def over(cls, values: np.ndarray, log: bool = False, pad: float = 0.04) -> "Scale":
        """Around all the values that are finite (and positive, for a log axis)."""
        kept = values[np.isfinite(values) & (abs(values) < 1e300)]
        kept = kept[kept > 1e-300] if log else kept
        if not kept.size:
            return cls(0.1, 1, True) if log else cls(0, 1)
        low, high = float(kept.min()), float(kept.max())
        if log:
            low, high = math.log10(low), math.log10(high)
            room = pad * (high - low) if high - low > 1e-6 else 0.3  # decades
            return cls(10 ** max(low - room, -307), 10 ** min(high + room, 308), True)
        room = pad * (high - low)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            room = max(abs(low), abs(high)) * 0.1 or 1.0
        return cls(low - room, high + room)

    def ticks(self, most: int = 6) -> list[float]:
        """What to write at the axis: even steps; of a log axis powers of ten, or 1, 2, 5, 10.

        matplotlib's LogLocator would write 1e-7, 1e-3, 10: powers that leave out 1.
        """
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
            if len(powers) > 2:
                return [10.0**p for p in powers if p % -(-len(powers) // most) == 0]
            around = range(math.floor(low), math.ceil(high) + 1)
            fine = self._inside([f * 10.0**p for p in around for f in (1, 2, 5)])
            if len(fine) > 2:
                return fine
        even = MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(self.low, self.high)
        # It knows no numbers below 1e-288.
        return self._inside([float(tick) for tick in even]) or [self.low, self.high]

    def _inside(self, ticks: Sequence[float]) -> list[float]:
        room = 1e-9 * (self.high / 2 - self.low / 2)
        return [tick for tick in ticks if self.low - room <= tick <= self.high + room]


def scales(chart: Chart) -> tuple[Scale, Scale]:
    """The axes of a chart: all of its points and curves, but of y at most three times the data's.

    A curve that runs away from the data is cut.
    """
    lines, dots = chart.curves, chart.points
    x = np.concatenate([np.empty(0), *(c.x for c in lines), *(p.x for p in dots)])
    parts = [a for c in lines for a in (c.y, c.low, c.high) if a is not None]
    y = np.concatenate([np.empty(0), *parts])
    seen = np.concatenate([np.empty(0), *(p.y for p in dots)])
    seen = seen[np.isfinite(seen)]
    if seen.size and not chart.log[1]:
        room = float(np.ptp(seen)) or math.inf
        y = y[(y >= seen.min() - room) & (y <= seen.max() + room)]
    if chart.diagonal:
        x = y = np.concatenate([x, y, seen])
    across = Scale.over(x, chart.log[0], 0.04 if dots and not lines else 0)
    return across, Scale.over(np.concatenate([y, seen]), chart.log[1])


class End(NamedTuple):
    """A label at the ends of curves: places are parts of the box, from its left and its top."""

    groups: Sequence[int]
    tips: Sequence[tuple[float, float]]  # where each one's curve ends
    left: float  # of the label
    height: float

    @property
    def numbers(self) -> str:
        """All of them."""
        return ", ".join(str(group + 1) for group in self.groups)

    @property
    def text(self) -> str:
        """`3`, `2, 5`, `1-6`; where that is too long, the first and how many more: `3 +4`."""
        first, last, count = self.groups[0] + 1, self.groups[-1] + 1, len(self.groups)
        is_range = count > 2 and last - first == count - 1
        text = f"{first}-{last}" if is_range else self.numbers
        return text if len(text) <= 5 else f"{first} +{count - 1}"

    @property
    def wide(self) -> float:
        """With what keeps it from the next one."""
        return LETTER * (len(self.text) + 1)


def ends(chart: Chart, across: Scale, up: Scale) -> Iterator[End]:
    """The labels at the ends of the groups' curves; none where they are too many to number.

    No two lie on one another. A label that would have to move by more than its height is shared
    with the one next to it.
    """
    if len(chart.groups) > NUMBERED:
        return
    together: list[list[tuple]] = []  # group, left, top
    for tip in sorted(_tips(chart, across, up), key=lambda tip: tip[2]):
        near = [t for t in together if math.dist(tip[1:], t[0][1:]) < HIGH / 3]
        if near:  # in one place, as far as eyes tell
            near[0].append(tip)
        else:
            together.append([tip])
    while together:
        together.sort(key=_height)
        labels = [_label(tips) for tips in together]
        heights = _spread(labels)
        moved = [abs(height - end.height) for height, end in zip(heights, labels, strict=True)]
        k = int(np.argmax(moved))
        if moved[k] <= HIGH:
            yield from (e._replace(height=at) for e, at in zip(labels, heights, strict=True))
            return
        beside = [i for i, end in enumerate(labels) if i != k and _is_beside(end, labels[k])]
        places = [(end.left, end.height) for end in labels]
        i = min(beside, key=lambda i: math.dist(places[i], places[k]))
        together[k].extend(together[i])
        del together[i]


def _tips(chart: Chart, across: Scale, up: Scale) -> Iterator[tuple]:
    for curve in chart.curves:
        x, y = across.at(curve.x), up.at(curve.y)
        seen = np.flatnonzero(np.isfinite(x) & (y >= 0) & (y <= 1))
        if curve.group is not None and curve.run is None and seen.size:
            yield curve.group, float(x[seen[-1]]), 1 - float(y[seen[-1]])


def _height(tips: Sequence[tuple]) -> float:
    return sum(top for *_, top in tips) / len(tips)


def _label(tips: Sequence[tuple]) -> End:
    groups, *places = zip(*sorted(tips), strict=True)
    return End(groups, list(zip(*places, strict=True)), max(places[0]), _height(tips))


def _is_beside(a: End, b: End) -> bool:
    """Whether they would lie on one another at one height."""
    return a.left < b.left + b.wide and b.left < a.left + a.wide


def _spread(labels: Sequence[End]) -> list[float]:
    """Heights near the wanted ones, within [0, 1]: of two side by side HIGH apart."""
    placed = [label.height for label in labels]
    for k, a in enumerate(labels):
        above = [placed[i] + HIGH for i, b in enumerate(labels[:k]) if _is_beside(a, b)]
        placed[k] = max(placed[k], *above, 0)
    for k, a in reversed([*enumerate(labels)]):
        below = [placed[i] - HIGH for i, b in enumerate(labels) if i > k and _is_beside(a, b)]
        placed[k] = min(placed[k], *below, 1)
    return placed
