"""Figures of a sweep: heat maps over its grid, a line a run, how well it recovers the truth."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.ticker import MaxNLocator

from polyreg.reports.chart import DASHES, LIGHT, Scale
from polyreg.reports.figures import (
    INK,
    LEARNED,
    LEGEND,
    PLAIN,
    QUIET,
    TRUTH,
    Figure,
    frame,
    heading,
)
from polyreg.text import brief, short

SCALE, DIVERGED = colormaps["viridis"], "#e4e7eb"


def _log_norm(values: np.ndarray) -> LogNorm:
    """Colours for the values that are positive, a factor of two apart at the least."""
    positive = values[np.isfinite(values) & (values > 1e-280)]  # matplotlib's least is 1e-286
    low, high = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    wider = 2**0.5 if high / 2 < low else 1
    return LogNorm(low / wider, high * wider, clip=True)


def _colour_bar(figure: Figure, box: tuple[float, float, float, float], norm: LogNorm, label: str):
    low, high = norm.inverse(np.array((0, 1)))
    bar = figure.colorbar(ScalarMappable(norm, SCALE), cax=figure.add_axes(box))
    bar.minorticks_off()
    ticks = Scale(low, high, log=True).ticks()
    bar.set_ticks(ticks, labels=[brief(tick) for tick in ticks], fontsize=7.5)
    bar.outline.set_visible(False)
    label = short(label, 15 * box[3] * figure.get_figheight() + 11)
    bar.set_label(label, fontsize=8, **PLAIN)


class Panel(NamedTuple):
    """What training reached on a grid of settings: mean, spread (R, C); nan: all runs diverged.

    The label names the quantity and its unit; panels of one label share colours.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    mean: np.ndarray
    spread: np.ndarray  # nan: not written
    label: str
    names: tuple[str, str] = ("", "")  # of what the rows are, and the columns
    sign: str = "±"  # or "×/÷", where the spread is a factor


def heat_map(panels: Sequence[Panel], title: str) -> Figure:
    """Mean and spread over seeds at each setting; panels of one label side by side."""
    shown = panels[:12]
    if len(panels) > 12:
        title = f"{short(title, 35)} ({len(panels) - 12} more panels left out)"
    groups = {label: [p for p in shown if p.label == label] for label in (p.label for p in shown)}
    most = max(len(group) for group in groups.values())
    rows, columns = max(len(p.rows) for p in shown), max(len(p.columns) for p in shown)
    # All lengths are inches; cells narrower than 0.43 would not hold their numbers.
    wide = max(columns * min(max(7 / (columns * most), 0.43), 0.9), 4 / most, 1.3)
    high = max(0.36 * rows, 0.9)
    gap = 0.15 if all(list(p.rows) == list(shown[0].rows) for p in shown) else 0.9
    each = -(-most // -(-most // max(1, int(9.5 / (wide + gap)))))  # 2 + 2 rather than 3 + 1
    lines = [g[i : i + each] for g in groups.values() for i in range(0, len(g), each)]
    width, height = 1.8 - gap + each * (wide + gap), 0.4 + len(lines) * (high + 0.8)
    figure = Figure(figsize=(width, height), dpi=110)
    heading(figure, 0.12 / width, 1 - 0.28 / height, title)
    for i, line in enumerate(lines):
        means = np.concatenate([panel.mean.ravel() for panel in groups[line[0].label]])
        norm = _log_norm(means)
        foot = height - (i + 1) * (high + 0.8) + 0.05
        left = 0.8
        for panel in line:
            box = (left / width, foot / height, wide / width, high / height)
            named = panel is line[0] or gap > 0.15
            _panel(figure.add_axes(box), panel, norm, (wide, high), named)
            left += wide + gap
        if np.isfinite(means).any():
            box = ((left - gap + 0.15) / width, foot / height, 0.14 / width, high / height)
            _colour_bar(figure, box, norm, line[0].label)
    return figure


def _panel(axes, panel: Panel, norm: LogNorm, size: tuple[float, float], named: bool) -> None:
    cell, line = size[0] / len(panel.columns), size[1] / len(panel.rows)
    means = np.where(np.isfinite(panel.mean), panel.mean, np.nan)
    colours = SCALE(norm(means))
    colours[np.isnan(means)] = to_rgba(DIVERGED)
    axes.imshow(colours, aspect="auto")
    axes.set_title(short(panel.title, 12 * size[0]), fontsize=9, **PLAIN)
    plain: dict[str, Any] = {"fontsize": 7.5, "parse_math": False}
    axes.set_xticks(
        range(len(panel.columns)), [short(c, 15 * cell) for c in panel.columns], **plain
    )
    axes.set_yticks(range(len(panel.rows)), [short(r, 8) for r in panel.rows], **plain)
    axes.tick_params(length=0, labelleft=named)
    plain = PLAIN | {"fontsize": 8}
    axes.set_xlabel(short(panel.names[1], 14 * size[0]), **plain)
    axes.set_ylabel(short(panel.names[0], 14 * size[1] + 4) if named else "", **plain)
    axes.spines[:].set_visible(False)
    light = colours[..., :3] ** 2.2 @ (0.2126, 0.7152, 0.0722)  # luminance
    plain = {"ha": "center", "va": "center", "parse_math": False}
    for r, c in np.ndindex(means.shape):
        mean, spread = means.item(r, c), panel.spread.item(r, c)
        ink = "black" if light[r, c] > 0.18 else "white"  # where both contrast alike
        if np.isnan(mean):
            axes.text(c, r, "diverged", color="#616e7c", fontsize=6, **plain)
        elif not np.isfinite(spread):
            axes.text(c, r, brief(mean), color=ink, fontsize=7.5, **plain)
        else:
            axes.text(c, r - 0.06 / line, brief(mean), color=ink, fontsize=7.5, **plain)
            small = panel.sign + brief(spread)
            axes.text(c, r + 0.085 / line, small, color=ink, fontsize=6.2, **plain)


def _rank(value: str | float) -> float:
    """Where a value comes among numbers: "auto" first; nan: it is other text."""
    try:
        return float(value)
    except ValueError:
        return -np.inf if value == "auto" else np.nan


def _heights(values: Sequence[str | float]) -> tuple[np.ndarray, dict[float, str], float]:
    """Heights (N,) in [0, 1], nan where diverged; what to write where; the width of jitter."""
    lost = np.array([not isinstance(v, str) and not np.isfinite(v) for v in values], bool)
    names = [v if isinstance(v, str) else f"{v:.12g}" for v in values]
    x = np.array([_rank(v) for v in values])
    kept = x[~lost]
    ranks = {names[i]: x[i] for i in np.flatnonzero(~lost)}  # in order of appearance
    text = all(isinstance(v, str) for v in values)
    few = 24 if text else max(1, min(24, len(kept) / 2))  # a gap of few runs is no setting
    if len(ranks) <= few or not np.isfinite(kept).all():
        levels = list(ranks) if np.isnan(kept).any() else sorted(ranks, key=ranks.__getitem__)
        n = max(len(levels), 1)
        place = {level: i / (n - 1) if n > 1 else 0.5 for i, level in enumerate(levels)}
        heights = [np.nan if gone else place[name] for name, gone in zip(names, lost, strict=True)]
        written = {place[level]: level for level in levels[:: -(-n // 24)]}
        return np.array(heights), written, min(0.12, 0.5 / n)
    least, low, high = kept[kept > 0].min(initial=np.inf), kept.min(), kept.max()
    if low >= 0 and high / 100 > least:  # zeros go with the least
        x = np.log10(np.maximum(x, least))
        ticks = np.array(Scale(least, high, log=True).ticks())
        at, labels = np.log10(ticks), [brief(tick) for tick in ticks]
    else:
        ticks = np.asarray(MaxNLocator(6, integer=not (kept % 1).any()).tick_values(low, high))
        at = ticks[(ticks >= low) & (ticks <= high)]
        labels = [f"{tick:.12g}" for tick in at]
    x[lost] = np.nan
    low, span = np.nanmin(x), np.nanmax(x) - np.nanmin(x)
    return (x - low) / span, dict(zip((at - low) / span, labels, strict=True)), 0.0


def parallel(
    axes: Mapping[str, Sequence[str | float]], colour: np.ndarray, label: str, title: str
) -> Figure:
    """One line a run through its settings and results; a colour that is nan: diverged.

    Text and numbers of few values have a place each, jittered; over two decades: log.
    """
    figure = Figure(figsize=(9, 4.6), dpi=110)
    canvas = figure.add_axes((0.05, 0.03, 0.85, 0.82))
    room = 6.8 / max(len(axes) - 1, 1)  # inches from axis to axis, of 7.65
    canvas.set(xlim=(-0.7 / room, len(axes) - 1 + 0.15 / room), ylim=(-0.2, 1.08))
    canvas.set_axis_off()
    heading(figure, 0.02, 0.945, title)
    plain = PLAIN | {"zorder": 4}
    box = {"color": "white", "alpha": 0.75, "pad": 0.6}
    n = np.arange(len(colour))
    shift = (n * 0.618034 + 0.5) % 1 - 0.5  # golden: even for any number of runs
    lines = np.empty((len(n), len(axes), 2))
    for i, (name, values) in enumerate(axes.items()):
        heights, ticks, jitter = _heights(values)
        gone, foot = np.isnan(heights), -jitter / 2
        if gone.any():
            foot, ticks[-0.15] = -0.15, "diverged"
        lines[:, i, 0] = i
        lines[:, i, 1] = np.where(gone, -0.15, heights + jitter * shift)
        canvas.plot([i, i], [foot, 1 + jitter / 2], color=QUIET, lw=0.8, zorder=3)
        canvas.text(i, 1.1, short(name, min(13 * room, 24)), ha="center", fontsize=9, **plain)
        for height, text in ticks.items():
            at, text = (i - 0.04 / room, height), short(text, min(12 * room, 14))
            canvas.text(*at, text, ha="right", va="center", fontsize=8, bbox=box, **plain)
    lost, norm = ~np.isfinite(colour), _log_norm(colour)
    alpha = min(max(6 / max(len(n), 1) ** 0.5, 0.08), 0.9)
    paint = SCALE(norm(np.where(lost, 1, colour)), alpha=alpha)
    paint[lost, :3] = 0.65
    order = np.lexsort((n * 0.754878 % 1, ~lost))  # the diverged below, the others shuffled
    widths = np.where(lost, 0.5, 1.0)[order]
    runs = LineCollection(list(lines[order]), colors=paint[order], linewidths=widths)
    canvas.add_collection(runs, autolim=False)
    if not lost.all():
        _colour_bar(figure, (0.915, 0.13, 0.015, 0.67), norm, label)
    return figure


class Descent(NamedTuple):
    """An optimizer's gap over the steps (S,): median and quartiles over the seeds."""

    name: str
    look: int
    steps: np.ndarray
    median: np.ndarray  # inf: diverged
    low: np.ndarray
    high: np.ndarray
    converged: bool  # most seeds; then the last step is the median of those it took


class Contest(NamedTuple):
    """The optimizers on one problem."""

    title: str
    descents: Sequence[Descent]


def optimizers(contests: Sequence[Contest], tolerance: float, title: str) -> Figure:
    """Gap over steps, both logarithmic: a panel a problem, a line an optimizer.

    A dot is where most seeds have converged.
    """
    columns = min(len(contests), 3)
    rows = -(-len(contests) // columns)
    wide, high = (6.0, 3.5) if columns == 1 else (3.6, 2.9)  # inches, as all lengths
    left, gap, foot = 0.75, 0.12, 0.72
    head = 1.0 if columns == 1 else 0.85
    width, height = left + columns * (wide + gap), head + rows * (high + foot) - 0.2
    figure = Figure(figsize=(width, height), dpi=110)
    heading(figure, 0.14 / width, 1 - 0.28 / height, title)
    tolerance = min(tolerance, 1e200)
    descents = [one for contest in contests for one in contest.descents]
    gaps = np.concatenate([np.append(one.median, tolerance) for one in descents])
    up = Scale.over(np.append(gaps, gaps[np.isfinite(gaps)].max() * 3), log=True)
    across = Scale(1, 1.2 * max(max(one.steps[-1] for one in descents), 2), log=True)
    for i, contest in enumerate(contests):
        row, column = divmod(i, columns)
        bottom = height - head - row * (high + foot) - high
        box = ((left + column * (wide + gap)) / width, bottom / height, wide / width, high / height)
        axes = figure.add_axes(box)
        frame(axes)
        axes.set(xscale="log", yscale="log", xlim=across[:2], ylim=up[:2])
        axes.minorticks_off()
        axes.set_xticks(across.ticks(), [brief(tick) for tick in across.ticks()])
        axes.set_yticks(up.ticks(), [brief(tick) for tick in up.ticks()])
        axes.tick_params(labelleft=column == 0, labelsize=8)
        axes.set_xlabel("step", fontsize=9, **PLAIN)
        if column == 0:
            axes.set_ylabel("gap, in squared units of y", fontsize=9, **PLAIN)
        axes.set_title(short(contest.title, 13 * wide), loc="left", fontsize=9, **PLAIN)
        for one in contest.descents:
            colour, dashes = LIGHT[one.look % len(LIGHT)], DASHES[one.look % len(DASHES)]
            axes.fill_between(one.steps, one.low, one.high, color=colour, alpha=0.13, lw=0)
            axes.plot(one.steps, one.median, color=colour, lw=1.7, dashes=dashes, label=one.name)
            if one.converged:
                axes.plot(one.steps[-1], one.median[-1], "o", color=colour, ms=4.5)
        axes.axhline(tolerance, color=QUIET, lw=1, ls=":", label="tolerance")
    named = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    named["tolerance"] = named.pop("tolerance")  # last
    figure.legend(
        named.values(),
        named.keys(),
        loc="upper left",
        bbox_to_anchor=(0.1 / width, 1 - 0.32 / height),
        ncols=4 if columns == 1 else len(named),
        fontsize=8,
        frameon=False,
        handlelength=3,
    )
    return figure


def recovery(
    terms: Sequence[str],
    bias: np.ndarray,
    bias_error: np.ndarray,
    spread: np.ndarray,
    least_squares: np.ndarray,
    predicted: np.ndarray,
    *,
    runs: int,
    title: str,
) -> Figure:
    """Does training recover each coefficient as well as statistics says it can?

    In units of the least-squares standard error: the bias, with two standard errors of its own;
    the spread over the runs with two of its sampling, exp(±2 / sqrt(2 (runs - 1))), and as
    predicted. All (K,); nan: not drawn.
    """
    height = 1.25 + 0.26 * max(len(terms), 3)
    figure = Figure(figsize=(9, height), dpi=110)
    foot, high = 0.55 / height, 1 - 1.25 / height
    left = figure.add_axes((0.13, foot, 0.42, high))
    right = figure.add_axes((0.57, foot, 0.41, high))
    heading(figure, 0.02, 1 - 0.3 / height, title)
    unit = np.where(least_squares > 0, least_squares, np.nan)
    off, error, ratio, guess = (
        np.where(np.isfinite(v), v, np.nan) / unit for v in (bias, bias_error, spread, predicted)
    )
    for part in (ratio, guess):
        part[part <= 0] = np.nan  # what a log axis cannot hold
    k = np.arange(len(terms))
    factor = np.exp(2 / (2 * (runs - 1)) ** 0.5) if runs > 1 else np.nan
    bars = ratio * (1 - 1 / factor), ratio * (factor - 1)
    widest = np.nanmax(abs(off), initial=0)
    if widest > 30:
        left.set_xscale("symlog", linthresh=3)
    right.set_xscale("log")
    style: dict[str, Any] = {"fmt": "o", "color": LEARNED, "ms": 4.5, "lw": 1.3, "capsize": 2.5}
    left.errorbar(off, k, xerr=2 * error, **style, label="bias, 2 standard errors")
    right.errorbar(ratio, k, xerr=bars, **style, label=f"measured, {runs} runs")
    right.errorbar(guess, k, fmt="D", ms=7, mfc="none", mec=TRUTH, label="predicted")
    for axes, best, what in ((left, 0, "bias"), (right, 1, "spread")):
        axes.axvline(best, color=INK, lw=0.9, zorder=1.9)
        axes.set_xlabel(f"{what} / least-squares standard error", color=INK)
        axes.set_yticks(k, [short(term, 12) for term in terms], parse_math=False)
        axes.tick_params(labelleft=axes is left)
        axes.set_ylim(len(terms) - 0.5, -0.5)
        frame(axes)
        axes.legend(**LEGEND, loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=2)
    low, high = right.get_xlim()
    right.set_xlim(min(low, 0.8), max(high, 1.25))
    written = [(right, np.array(Scale(*right.get_xlim(), log=True).ticks()))]
    if widest > 30:
        tens = 10.0 ** np.arange(1, np.log10(widest) + 1)
        written += [(left, np.append(0, np.outer((-1, 1), tens[:: -(-len(tens) // 3)])))]
    for axes, ticks in written:
        low, high = axes.get_xlim()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        axes.minorticks_off()
        axes.set_xticks(ticks, [brief(tick) for tick in ticks])
    return figure
