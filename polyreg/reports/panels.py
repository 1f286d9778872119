"""What a sweep came to on its grid, as plain data, which heat map and page both draw."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from polyreg.config import SweepConfig
from polyreg.sgd.sweep import Row, Summary
from polyreg.text import number, text

ROWS, COLUMNS = 40, 24  # of a panel that can be read
WIDE = 12  # columns from which more of them become rows
PLOTTED, CELLS = 6, 960  # panels of a metric, and cells in them, at most


class Panel(NamedTuple):
    """One metric on a grid of settings, (R, C); panels of one metric share their colours."""

    metric: str  # with its unit: `steps to converge`
    title: str  # what is the same in all of it: `noise 0.5`; empty where that is all there is
    names: tuple[str, str]  # of what the rows are, and the columns; empty: one alone
    rows: Sequence[str]
    columns: Sequence[str]
    mean: np.ndarray  # over the seeds that have a number; nan: none has
    spread: np.ndarray  # their standard deviation; nan: not written
    said: Sequence[
        Sequence[str]
    ]  # where there is no mean, why: `diverged`; else below it: `3 of 5`
    at: np.ndarray  # which combination, int; -1: none, it was not tried

    @property
    def blank(self) -> bool:
        """Whether there are cells that were not tried."""
        return bool((self.at < 0).any())


class Metric(NamedTuple):
    name: str
    values: Callable[[Summary], list[float]]  # of the seeds that have one
    missing: Callable[[Summary], str]  # what is to be said of a combination in which none has


def _steps(summary: Summary) -> list[float]:
    return [row.steps for row in summary.rows if row.converged]


def _errors(summary: Summary) -> list[float]:
    return [row.error for row in summary.kept]


def _gaps(summary: Summary) -> list[float]:
    return [row.gap for row in summary.kept if not row.converged]


STEPS = Metric("steps to converge", _steps, lambda s: "not converged" if s.kept else "diverged")
ERROR = Metric("distance to the truth, E (p - q)^2", _errors, lambda s: "diverged")
GAP = Metric("gap to the optimum", _gaps, lambda s: "converged" if s.converged else "diverged")


def rising(values: Iterable[Any]) -> list[Any]:
    """These, each once: numbers rise, "auto" comes before them; other text as it is listed."""
    listed = list(dict.fromkeys(values))
    if any(isinstance(value, str) and value != "auto" for value in listed):
        return listed
    return sorted(listed, key=lambda value: -np.inf if value == "auto" else value)


class Grid(NamedTuple):
    """Which of the options that vary are columns, rows, and what becomes panels."""

    columns: str  # empty: there is one column
    rows: str
    panels: tuple[str, ...]
    values: dict[str, list[Any]]  # of each option those that were tried; of a search, all

    @classmethod
    def of(cls, config: SweepConfig, found: Sequence[Summary]) -> "Grid":
        every = {option: rising(listed) for option, listed in config.lists().items()}
        grid = cls.over(every)
        if config.trials and grid.fits:
            return grid
        tried = {option: {s.varied[option] for s in found} for option in every}
        return cls.over({o: [v for v in every[o] if v in tried[o]] for o in every})

    @classmethod
    def over(cls, values: dict[str, list[Any]]) -> "Grid":
        varied = [option for option in values if len(values[option]) > 1]
        usual = [option for option in ("degree", "learning_rate") if option in varied]
        others = [option for option in varied if option not in usual]
        axes = [*usual, *sorted(others, key=lambda option: -len(values[option]))][:2]
        columns, rows = [*axes, "", ""][:2]
        if len(values.get(columns, ())) > max(WIDE, len(values.get(rows, ()))):
            columns, rows = rows, columns
        return cls(columns, rows, tuple(o for o in varied if o not in axes), values)

    def along(self, option: str) -> list[Any]:
        return self.values[option] if option else [None]

    @property
    def size(self) -> int:
        """Cells of a panel."""
        return len(self.along(self.rows)) * len(self.along(self.columns))

    @property
    def most(self) -> int:
        """Panels that a metric can have."""
        return max(1, min(PLOTTED, CELLS // self.size))

    @property
    def fits(self) -> bool:
        rows, columns = len(self.along(self.rows)), len(self.along(self.columns))
        return rows <= ROWS and columns <= COLUMNS

    def shared(self, found: Sequence[Summary]) -> list[tuple]:
        """What is the same in a panel: each choice that was tried, in the options' order."""
        tried = {tuple(s.varied[option] for option in self.panels) for s in found}
        every = itertools.product(*(self.values[option] for option in self.panels))
        return [choice for choice in every if choice in tried]


def panels(config: SweepConfig, found: Sequence[Summary]) -> list[Panel]:
    """Steps, distance and gap over two of the options, for each choice of the others.

    `at` is an index into `found`. None where nothing varies, or more than can be drawn; of more
    choices than can be drawn the first, and `left_out` the number of the others.
    """
    grid = Grid.of(config, found)
    if not (grid.columns or grid.rows) or not grid.fits:
        return []
    choices = grid.shared(found)[: grid.most]
    return [_panel(grid, metric, found, choice) for metric in _metrics(found) for choice in choices]


def left_out(config: SweepConfig, found: Sequence[Summary]) -> int:
    """Panels of each metric that `panels` leaves out."""
    grid = Grid.of(config, found)
    return max(0, len(grid.shared(found)) - grid.most)


def why_none(config: SweepConfig, found: Sequence[Summary]) -> str:
    """Why a grid cannot be drawn, in a line; empty: it can be, or nothing varies."""
    grid = Grid.of(config, found)
    for option, most, what in ((grid.rows, ROWS, "rows"), (grid.columns, COLUMNS, "columns")):
        if (many := len(grid.along(option))) > most:
            values = f"{many:,} values of {_words(option)}"
            return f"no heat map: {values} are more than the {most} {what} that can be read"
    return ""


def _metrics(found: Sequence[Summary]) -> list[Metric]:
    """Those that say something: the stop rule alone sets the gap of what has converged."""
    rows = [row for summary in found for row in summary.rows]
    kept = [row for row in rows if not row.diverged]
    unmet = [row for row in kept if not row.converged]
    wanted = [STEPS] if len(unmet) < len(kept) else []
    if any(not row.converged or row.error > row.config.tolerance for row in kept):
        wanted.append(ERROR)
    if any(_misfit(row) for row in unmet):  # otherwise the distance is the gap
        wanted.append(GAP)
    return wanted


def _misfit(row: Row) -> bool:
    return row.error > row.gap * (1 + 1e-6)


def _panel(grid: Grid, metric: Metric, found: Sequence[Summary], choice: tuple) -> Panel:
    places = {tuple(summary.varied.values()): i for i, summary in enumerate(found)}
    fixed = {option: found[0].varied[option] for option in grid.values}
    fixed |= dict(zip(grid.panels, choice, strict=True))
    rows, columns = grid.along(grid.rows), grid.along(grid.columns)
    shape = len(rows), len(columns)
    at, mean, spread = np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan)
    said = [["not tried"] * len(columns) for _ in rows]
    for r, c in np.ndindex(shape):
        here = fixed | {grid.rows: rows[r], grid.columns: columns[c]}
        place = places.get(tuple(here[option] for option in fixed))
        if place is None:
            continue
        summary, at[r, c] = found[place], place
        values = np.array(metric.values(summary), float)
        with np.errstate(all="ignore"):
            if len(values):
                mean[r, c] = values.mean()
            if len(values) > 1:
                spread[r, c] = values.std(ddof=1)
        some = f"{len(values)} of {len(summary.rows)}"
        part = some if len(values) < len(summary.rows) else ""
        said[r][c] = part if len(values) else metric.missing(summary)
    names = [f"{_words(o)} {_spelled(v)}" for o, v in zip(grid.panels, choice, strict=True)]
    return Panel(
        metric=metric.name,
        title=", ".join(names),
        names=(_words(grid.rows), _words(grid.columns)),
        rows=[_spelled(value) for value in rows],
        columns=[_spelled(value) for value in columns],
        mean=mean,
        spread=spread,
        said=said,
        at=at,
    )


def _words(option: str) -> str:
    return option.replace("_", " ")


def _spelled(value: Any) -> str:
    """As numbers are written at all axes; empty: there is one alone."""
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else text(value)
