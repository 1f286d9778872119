"""Contours of a polynomial in two variables, from plain arrays."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from polyreg.reports.figures import INK, LEARNED, PLAIN, POINTS, TRUTH, Figure, frame, heading
from polyreg.text import short

# From white on, and no darker than lines, points and labels can stand on. Lightness alone tells
# more from less, so that no eye needs the hue.
PALE = LinearSegmentedColormap.from_list("pale", ["#ffffff", LEARNED])
DARKEST = 0.65
LEVELS = 9
CONSTANT = 1e-12  # of the largest |value|: less is rounding
BORDER, APART, FREE = 0.08, 0.15, 0.04  # of the axes: room for a label, and about a point


class Stationary(NamedTuple):
    """The stationary point as it is drawn."""

    x: np.ndarray  # (2,), nan where there is none
    name: str  # in the legend
    statistic: np.ndarray  # (n, m) of the grid, whose contour at `limit` bounds its region
    limit: float  # nan: there is no region
    region: str  # its name in the legend


def contour(
    grid: tuple[np.ndarray, np.ndarray],
    values: np.ndarray,
    data: np.ndarray,
    *,
    names: Sequence[str],
    title: str,
    label: str = "data",
    stationary: Stationary | None = None,
) -> Figure:
    """Filled contours of values (n, m) over a grid of (m,) and (n,), with the rows (N, 2).

    names: of both variables and of the values, as axes and bar are labelled
    """
    figure = Figure(figsize=(7.2, 5.4), dpi=110)
    axes = figure.add_axes((0.125, 0.105, 0.69, 0.72))
    bar = figure.add_axes((0.84, 0.105, 0.025, 0.72))
    heading(figure, 0.125, 0.95, title)
    axes.set_xlabel(short(names[0]), **PLAIN)
    axes.set_ylabel(short(names[1]), **PLAIN)
    axes.ticklabel_format(scilimits=(-4, 5))
    frame(axes)
    axes.grid(visible=False)
    axes.set_xlim(grid[0][0], grid[0][-1])
    axes.set_ylim(grid[1][0], grid[1][-1])

    levels = _levels(values)
    top = levels[0] + (levels[-1] - levels[0]) / DARKEST
    filled = axes.contourf(*grid, values, levels, cmap=PALE, vmin=levels[0], vmax=top)
    numbers = ScalarFormatter()
    numbers.set_powerlimits((-4, 5))
    figure.colorbar(filled, cax=bar, format=numbers).set_label(short(names[2]), **PLAIN)
    dots: dict[str, Any] = {**POINTS, "ms": 4.5, "alpha": 0.7, "clip_on": False}
    axes.plot(*data.T, **dots, label=label)
    if stationary is not None:
        _draw(axes, grid, stationary)
    edge = CONSTANT * np.ptp(levels)
    inner = levels[(levels > values.min() + edge) & (levels < values.max() - edge)]
    if inner.size:
        lines = axes.contour(
            *grid, values, inner, colors=INK, linewidths=0.7, alpha=0.7, linestyles="-"
        )
        taken = data if stationary is None else np.vstack([data, stationary.x])
        places = _label_places(lines.allsegs, grid, taken)
        written = axes.clabel(lines, fmt="{:.10g}".format, fontsize=8, manual=places, zorder=5)
        for text in written:
            text.set(alpha=1, path_effects=[withStroke(linewidth=2.5, foreground="white")])
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.015, 1.03), ncols=3, fontsize=8, frameon=False,
        handletextpad=0.4, columnspacing=1.2,
    )  # fmt: skip
    return figure


def _levels(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if high - low <= CONSTANT * max(abs(low), abs(high)):
        low, high = low - (abs(low) or 1), high + (abs(high) or 1)
    return np.asarray(MaxNLocator(LEVELS).tick_values(low, high))


def _label_places(
    segments: list, grid: tuple[np.ndarray, np.ndarray], taken: np.ndarray
) -> list[tuple[float, float]]:
    """A place on each level's line, away from the border, other labels and the points taken.

    matplotlib's own are cut by the border, and lie on each other where lines are close. A line on
    which no place is left has none: the bar tells its level.
    """
    low = np.array([axis[0] for axis in grid])
    width = np.array([axis[-1] for axis in grid]) - low
    taken = (taken[~np.isnan(taken).any(axis=1)] - low) / width
    placed: list[np.ndarray] = []
    for parts in segments:
        line = (np.concatenate([np.empty((0, 2)), *parts]) - low) / width
        line = line[:: max(1, len(line) // 200)]
        if not len(line):
            continue
        room = np.minimum(line, 1 - line).min(axis=1) / BORDER
        if placed:
            room = np.minimum(room, _distance(line, np.array(placed)) / APART)
        room = np.minimum(room, 1)
        free = np.minimum(_distance(line, taken) / FREE, 1) if len(taken) else 0
        best = int(np.argmax(room + free / 3))
        if room[best] > 0.6:
            placed.append(line[best])
    return [tuple(low + width * place) for place in placed]


def _distance(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """To the nearest of the others (M, 2)  ->  (N,)"""
    return np.linalg.norm(points[:, None] - others, axis=2).min(axis=1)


def _draw(axes: Any, grid: tuple[np.ndarray, np.ndarray], stationary: Stationary) -> None:
    low, high = ([axis[end] for axis in grid] for end in (0, -1))
    if (stationary.x >= low).all() and (stationary.x <= high).all():
        star = {"marker": "*", "ms": 15, "mfc": TRUTH, "mec": "white", "zorder": 4}
        axes.plot(*stationary.x, ls="", label=stationary.name, **star)
    else:
        axes.plot([], [], ls="", label=stationary.name)
    statistic = np.nan_to_num(stationary.statistic, nan=np.inf)
    if statistic.min() < stationary.limit < statistic.max():
        # Dashed, so that no eye has to tell it by its colour from a line of the polynomial.
        axes.contour(
            *grid, statistic, [stationary.limit], colors=TRUTH, linewidths=2, linestyles="--"
        )
        axes.plot([], [], color=TRUTH, lw=2, ls="--", label=stationary.region)
