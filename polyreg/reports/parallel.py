"""Parallel coordinates: a line a run, through its settings and its results."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from polyreg.reports.chart import Scale
from polyreg.reports.figures import INK, PLAIN, Figure
from polyreg.reports.panels import rising
from polyreg.reports.sweep_figures import SCALE, WHITE, colour_bar, headed, log_norm, wrapped
from polyreg.text import number, short

LEVELS = 24  # of a setting's values, that have a tick
LOW = -0.13  # where runs end that diverged
HEAD: dict[str, Any] = PLAIN | {"zorder": 4, "va": "bottom", "ha": "center", "fontsize": 9}


def spelled(value: Any) -> str:
    """A number as all axes write it."""
    return value if isinstance(value, str) else number(value, plain_below=1e5)


def _levels(values: Sequence[str | float]) -> tuple[np.ndarray, dict[float, str], float]:
    """Of a setting: heights (N,) in [0, 1], what to write where, the width of jitter."""
    levels = rising(values)
    n = len(levels)
    place = {level: i / (n - 1) if n > 1 else 0.5 for i, level in enumerate(levels)}
    written = {place[level]: spelled(level) for level in levels[:: -(-n // LEVELS)]}
    return np.array([place[value] for value in values]), written, min(0.12, 0.5 / max(n, 1))


def _measures(values: Sequence[float]) -> tuple[np.ndarray, dict[float, str]]:
    """Of a result: heights (N,) in [0, 1], nan where there is none, and its round numbers.

    Over two decades: log.
    """
    x = np.array(values, float)
    lost = ~np.isfinite(x)
    kept = x[~lost]
    least, low, high = kept[kept > 0].min(initial=np.inf), kept.min(), kept.max()
    if low >= 0 and high / 100 > least:  # zeros go with the least
        x = np.log10(np.maximum(x, least))
        ticks = np.array(Scale(least, high, log=True).ticks())
        at = np.log10(ticks)
    else:
        found = np.array(Scale(low, high).ticks())
        whole = (kept % 1 == 0).all()  # of steps there are no halves
        ticks = at = found[np.isclose(found, found.round())] if whole else found
    x[lost] = np.nan
    low, span = np.nanmin(x), np.nanmax(x) - np.nanmin(x)
    return (x - low) / span, dict(zip((at - low) / span, map(spelled, ticks), strict=True))


class Axis(NamedTuple):
    """A setting or a result of all runs (N,)."""

    name: str
    heights: np.ndarray  # in [0, 1]; LOW of what diverged
    ticks: dict[float, str]
    room: float  # what jitter adds at both ends

    @classmethod
    def of_setting(cls, name: str, values: Sequence[str | float]) -> "Axis":
        heights, ticks, jitter = _levels(values)
        shift = (np.arange(len(heights)) * 0.618034 + 0.5) % 1 - 0.5  # golden: even for any number
        return cls(name, heights + jitter * shift, ticks, jitter / 2)

    @classmethod
    def of_result(cls, name: str, values: Sequence[float]) -> "Axis":
        heights, ticks = _measures(values)
        lost = np.isnan(heights)
        ticks |= {LOW: "diverged"} if lost.any() else {}
        return cls(name, np.where(lost, LOW, heights), ticks, 0.0)

    @property
    def band(self) -> float:
        """Inches that its labels need."""
        return 0.16 + 0.068 * max(len(short(text, 14)) for text in self.ticks.values())


def parallel(
    settings: Mapping[str, Sequence[str | float]],
    results: Mapping[str, Sequence[float]],
    colour: np.ndarray,
    label: str,
    title: str,
    note: str = "",
) -> Figure:
    """One line a run through its settings and results; a colour that is nan: diverged.

    A setting's values have a place each, jittered; two of them at least, and of each result two.
    What is written at an axis stands on its left, in a band that no line goes through; at the
    last on its right.
    """
    axes = [Axis.of_setting(name, values) for name, values in settings.items()]
    axes += [Axis.of_result(name, values) for name, values in results.items()]
    lost = ~np.isfinite(colour)
    # All lengths are inches.
    left, right = max(axes[0].band + 0.1, 0.6), max(axes[-1].band + 0.15, 0.75) + 0.85
    apart = max([1.35, *(axis.band + 0.65 for axis in axes[1:-1])])
    apart = max(apart, (6.4 - left - right) / (len(axes) - 1))
    at = left + apart * np.arange(len(axes))
    foot, top = (0.75, 4.15) if lost.any() else (0.35, 3.75)
    widths = [apart - 0.1] * len(axes)  # of what is written above them
    bar = right - 0.78  # from the last axis to the middle of the colour bar
    widths[-1] = min(widths[-1], 2 * (bar - 0.1) - 0.085 * len(label))
    heads = [wrapped(axis.name, width / 0.085) for axis, width in zip(axes, widths, strict=True)]
    height = top + 0.4 + 0.16 * max(map(len, heads))
    figure, _ = headed(at[-1] + right, height, title, note)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, figure.get_figwidth()), ylim=(0, figure.get_figheight()))
    canvas.set_axis_off()
    lines = np.empty((len(colour), 2 * len(axes), 2))
    for i, axis in enumerate(axes):
        last = i == len(axes) - 1
        edge = at[i] - (0 if i == 0 or last else axis.band)
        lines[:, 2 * i, 0], lines[:, 2 * i + 1, 0] = edge, at[i]
        lines[:, 2 * i : 2 * i + 2, 1] = foot + (top - foot) * axis.heights[:, None]
        if edge < at[i]:
            band = Rectangle((edge, 0.05), at[i] - edge, top + 0.25, lw=0, zorder=2.5)
            band.set_facecolor(WHITE)  # as paper
            canvas.add_patch(band)
        _axis(canvas, axis, at[i], (foot, top), 1 if last else -1)
        canvas.text(at[i], top + 0.35, "\n".join(heads[i]), **HEAD)
    norm = log_norm(colour)
    n = np.arange(len(colour))
    alpha = min(max(6 / max(len(n), 1) ** 0.5, 0.08), 0.9)
    paint = SCALE(norm(np.where(lost, 1, colour)), alpha=alpha)
    paint[lost, :3] = 0.65
    order = np.lexsort((n * 0.754878 % 1, ~lost))  # the diverged below, the others shuffled
    thin = np.where(lost, 0.5, 1.0)[order]
    runs = LineCollection(list(lines[order]), colors=paint[order], linewidths=thin)
    canvas.add_collection(runs, autolim=False)
    if len(np.unique(colour[~lost])) > 1:
        colour_bar(figure, (at[-1] + bar - 0.07, foot, 0.14, top - foot), norm)
        canvas.text(at[-1] + bar, top + 0.35, label, **HEAD)
    return figure


def _axis(canvas: Any, axis: Axis, x: float, ends: tuple[float, float], side: int) -> None:
    """The axis at x with its ticks, on its left (-1) or its right (1)."""
    low, high = ends
    line: dict[str, Any] = {"color": INK, "lw": 0.8, "zorder": 3}
    canvas.plot([x, x], [low - axis.room * (high - low), high + axis.room * (high - low)], **line)
    style = PLAIN | {"ha": "left" if side > 0 else "right", "va": "center", "zorder": 4}
    for height, text in axis.ticks.items():
        y = low + (high - low) * height
        canvas.plot([x, x + 0.04 * side], [y, y], **line)
        canvas.text(x + 0.07 * side, y, short(text, 14), fontsize=8, **style)
