"""Parallel coordinates: a line a run, through its settings and its results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from polyreg.reports.chart import Scale
from polyreg.reports.figures import INK, PLAIN, Figure
from polyreg.reports.sweep_figures import SCALE, colour_bar, headed, log_norm, wrapped
from polyreg.text import number, short

LEVELS = 24  # of a setting's values, that have a tick
LOW = -0.13  # where runs end that diverged


def spelled(value: Any) -> str:
    """A number as all axes write it."""
    return value if isinstance(value, str) else number(value, plain_below=1e5)


def _rank(value: str | float) -> float:
    """Where a value comes among numbers: "auto" first; nan: it is other text."""
    try:
        return float(value)
    except ValueError:
        return -np.inf if value == "auto" else np.nan


def _levels(values: Sequence[str | float]) -> tuple[np.ndarray, dict[float, str], float]:
    """Of a setting: heights (N,) in [0, 1], what to write where, the width of jitter.

    Numbers in their order, "auto" before them; other text in order of appearance.
    """
    ranks = {value: _rank(value) for value in values}
    levels = list(ranks) if np.isnan(list(ranks.values())).any() else sorted(ranks, key=ranks.get)
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
    What is written at an axis stands on its left, where no line goes, at the last on its right.
    """
    columns = [_levels(values) for values in settings.values()]
    columns += [(*_measures(values), 0.0) for values in results.values()]
    names = [*settings, *results]
    n, lost = np.arange(len(colour)), ~np.isfinite(colour)
    said = [[short(text, 14) for text in ticks.values()] for _, ticks, _ in columns]
    if lost.any():
        said[len(settings) :] = [[*texts, "diverged"] for texts in said[len(settings) :]]
    bands = [0.16 + 0.068 * max(map(len, texts), default=0) for texts in said]  # inches, as all
    apart = max([1.35, *(band + 0.65 for band in bands[1:-1])])
    left = max(bands[0] + 0.1, 0.6)
    right = left + apart * (len(names) - 1)
    bar = right + max(bands[-1] + 0.15, 0.75)
    width = max(bar + 0.85, 6.4)
    spare = (width - bar - 0.85) / max(len(names) - 1, 1)  # shared out between few axes
    at = left + (apart + spare) * np.arange(len(names))
    bar += spare * (len(names) - 1)
    heads = [wrapped(name, (apart - 0.1) / 0.085) for name in names]
    foot, tall = 0.75 if lost.any() else 0.35, 3.4
    names_room = 0.4 + 0.16 * max(map(len, heads))
    figure, _ = headed(width, foot + tall + names_room, title, note)
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, width), ylim=(0, figure.get_figheight()))
    canvas.set_axis_off()
    shift = (n * 0.618034 + 0.5) % 1 - 0.5  # golden: even for any number of runs
    lines = np.empty((len(n), 2 * len(names), 2))
    plain = PLAIN | {"zorder": 4, "va": "center"}
    for i, (heights, ticks, jitter) in enumerate(columns):
        last, room = i == len(names) - 1, jitter / 2
        gone = np.isnan(heights)
        heights = np.where(gone, LOW, heights + jitter * shift)
        edge = at[i] - (0 if i == 0 or last else bands[i])
        lines[:, 2 * i] = np.column_stack([np.full(len(n), edge), foot + tall * heights])
        lines[:, 2 * i + 1] = np.column_stack([np.full(len(n), at[i]), foot + tall * heights])
        if edge < at[i]:
            low, high = foot + tall * (LOW if lost.any() else 0) - 0.3, foot + tall + 0.3
            band = Rectangle((edge, low), at[i] - edge, high - low, lw=0, zorder=2.5)
            band.set_facecolor("#f5f7fa")
            canvas.add_patch(band)
        ends = foot + tall * np.array((-room, 1 + room))
        canvas.plot([at[i]] * 2, ends, color=INK, lw=0.8, zorder=3)
        if gone.any():
            ticks = {LOW: "diverged", **ticks}
        side = 1 if last else -1
        style: dict[str, Any] = {"ha": "left" if last else "right", "fontsize": 8, **plain}
        for height, text in ticks.items():
            y = foot + tall * height
            canvas.plot([at[i], at[i] + 0.04 * side], [y, y], color=INK, lw=0.8, zorder=3)
            canvas.text(at[i] + 0.07 * side, y, short(text, 14), **style)
        head = PLAIN | {"zorder": 4, "va": "bottom", "ha": "center", "fontsize": 9}
        canvas.text(at[i], foot + tall + 0.35, "\n".join(heads[i]), **head)
    norm = log_norm(colour)
    alpha = min(max(6 / max(len(n), 1) ** 0.5, 0.08), 0.9)
    paint = SCALE(norm(np.where(lost, 1, colour)), alpha=alpha)
    paint[lost, :3] = 0.65
    order = np.lexsort((n * 0.754878 % 1, ~lost))  # the diverged below, the others shuffled
    widths = np.where(lost, 0.5, 1.0)[order]
    runs = LineCollection(list(lines[order]), colors=paint[order], linewidths=widths)
    canvas.add_collection(runs, autolim=False)
    if len(np.unique(colour[~lost])) > 1:
        colour_bar(figure, (bar, foot, 0.14, tall), norm)
        canvas.text(bar + 0.07, foot + tall + 0.35, label, **head)
    return figure
