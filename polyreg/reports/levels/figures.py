"""Figure of a polynomial in one variable with levels of words: a curve for each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from polyreg.reports.chart import LIGHT, MARKS
from polyreg.reports.figures import INK, LEGEND, PLAIN, POINTS, QUIET, Figure, frame, heading
from polyreg.text import short


class LevelCurve(NamedTuple):
    """Rows of a level, and the polynomial over their range."""

    name: str
    x: np.ndarray  # (n,)
    y: np.ndarray  # (n,)
    grid: np.ndarray  # (m,)
    curve: np.ndarray  # (m,)
    low: np.ndarray  # (m,) confidence bounds, nan where none are known
    high: np.ndarray  # (m,)


def level_curves(
    drawn: Sequence[LevelCurve],
    others: tuple[np.ndarray, np.ndarray],
    *,
    level: float,
    names: tuple[str, str, str],
    title: str,
    among: str = "",
) -> Figure:
    """Each level's rows, curve and confidence band, in a colour of its own.

    others: x and y of the rows whose level is not drawn; names: of x, y and the columns of words;
    among: how many levels are drawn of how many, where that is not all
    """
    figure = Figure(figsize=(8, 4.6), dpi=110)
    axes = figure.add_axes((0.115, 0.125, 0.645, 0.77))
    heading(figure, 0.115, 0.94, title)
    frame(axes)
    axes.ticklabel_format(scilimits=(-4, 5))
    axes.set_xlabel(short(names[0]), **PLAIN)
    axes.set_ylabel(short(names[1]), **PLAIN)
    if len(others[0]):
        dots: dict[str, Any] = {**POINTS, "color": QUIET}
        axes.plot(*others, **dots, label="other levels")
    for k, one in enumerate(drawn):
        mark: dict[str, Any] = {
            "color": LIGHT[k % len(LIGHT)],
            "marker": MARKS[k % len(MARKS)].marker,
            "ms": 4,
        }
        axes.fill_between(one.grid, one.low, one.high, color=mark["color"], alpha=0.15, lw=0)
        axes.plot(one.x, one.y, **{**POINTS, **mark, "alpha": 0.6})
        axes.plot(one.grid, one.curve, color=mark["color"], lw=1.6)
        axes.plot([], [], lw=1.6, label=short(one.name, 22), **mark)
    legend = axes.legend(
        **LEGEND, loc="upper left", bbox_to_anchor=(1.01, 1.02), title=short(names[2], 24)
    )
    legend.get_title().set(fontsize=9, **PLAIN)
    told = f"{100 * level:g} % confidence" if np.isfinite(drawn[0].low).all() else ""
    for k, line in enumerate(filter(None, (told, among))):
        figure.text(0.775, 0.125 + 0.045 * k, line, fontsize=8, color=INK)
    return figure
