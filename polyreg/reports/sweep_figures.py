"""Figures of a sweep: heat maps, learning curves, how well it recovers the truth."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, to_rgba

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
)
from polyreg.reports.panels import Panel
from polyreg.text import brief, clean, short

Box = tuple[float, float, float, float]

SCALE = colormaps["viridis"]
DIVERGED, OTHER, WHITE = "#e4e7eb", "#f5f7fa", "#ffffff"  # of cells without a number
GREY = "#52606d"


def log_norm(values: np.ndarray) -> LogNorm:
    """Colours for the values that are positive, a factor of two apart at the least."""
    positive = values[np.isfinite(values) & (values > 1e-280)]  # matplotlib's least is 1e-286
    low, high = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    wider = 2**0.5 if high / 2 < low else 1
    return LogNorm(low / wider, high * wider, clip=True)


def colour_bar(figure: Figure, box: Box, norm: LogNorm) -> None:
    """box: left, foot, width, height in inches."""
    low, high = norm.inverse(np.array((0, 1)))
    width, height = figure.get_size_inches()
    parts = box[0] / width, box[1] / height, box[2] / width, box[3] / height
    bar = figure.colorbar(ScalarMappable(norm, SCALE), cax=figure.add_axes(parts))
    bar.minorticks_off()
    ticks = Scale(low, high, log=True).ticks()
    ticks = ticks[:: -(-len(ticks) // max(2, int(box[3] / 0.17)))]
    bar.set_ticks(ticks, labels=[brief(tick) for tick in ticks], fontsize=7.5)
    bar.outline.set_visible(False)


def wrapped(text: str, room: float, most: int = 3) -> list[str]:
    """Somebody's text in lines of at most `room` characters, cut where it has more of them.

    Between the parts of a name, `sweep · 5 seeds`, where these are no longer than a line.
    """
    room, kept = max(int(room), 4), "\u00a0"
    parts = [
        part.replace(" ", kept) if len(part) < room else re.sub(r",(?=\S)", ", ", part)
        for part in clean(text).split(" · ")
    ]
    lines = textwrap.wrap(f"{kept}· ".join(parts), room, max_lines=most, placeholder=" …")
    return [line.replace(kept, " ") for line in lines]


def headed(width: float, height: float, title: str, note: str = "") -> tuple[Figure, float]:
    """A figure of that size in inches below its heading, and the height that this begins at."""
    lines, small = wrapped(title, (width - 0.2) / 0.092), wrapped(note, (width - 0.2) / 0.066)
    tall = height + 0.2 + 0.21 * len(lines) + (0.05 + 0.16 * len(small) if small else 0)
    figure, y = Figure(figsize=(width, tall), dpi=110), tall - 0.12
    for line in lines:
        y -= 0.21
        figure.text(0.14 / width, (y + 0.05) / tall, line, fontsize=11, **PLAIN)
    for line in small:
        y -= 0.16
        plain = PLAIN | {"color": GREY}
        figure.text(0.14 / width, y / tall, line, fontsize=8, **plain)
    return figure, height


class Block(NamedTuple):
    """The panels of one metric, some a line."""

    metric: str
    lines: list[list[Panel]]
    norm: LogNorm
    scaled: bool  # there are numbers to be told apart


def heat_map(panels: Sequence[Panel], title: str, seeds: int = 1, note: str = "") -> Figure:
    """Mean and spread over seeds at each setting; the panels of one metric under its name.

    They have equal rows and columns, and one scale of colours.
    """
    first = panels[0]
    rows, columns = len(first.rows), len(first.columns)
    said = {text for p in panels for r, c in np.ndindex(rows, columns) if (text := _note(p, r, c))}
    labels = [short(c, 12) for c in first.columns]
    # All lengths are inches. Cells hold their numbers, and labels of the columns below them.
    count = max(Counter(panel.metric for panel in panels).values())
    least = max(0.5, 0.1 + 0.066 * max(map(len, labels)))
    cell = max(least, min(0.9, 7 / (columns * count)), 1.3 / columns)
    tall = max(0.46 if said else 0.36, 0.6 / rows)
    wide, high = columns * cell, rows * tall
    left = (
        0.24 + (0.2 if first.names[0] else 0) + 0.066 * max(len(short(r, 12)) for r in first.rows)
    )
    apart = 0.15
    each = -(-count // -(-count // max(1, int(9.5 / (wide + apart)))))  # 2 + 2, not 3 + 1
    width = max(left + each * (wide + apart) + 0.75, 5.8)
    blocks = []
    for metric in dict.fromkeys(panel.metric for panel in panels):
        own = [panel for panel in panels if panel.metric == metric]
        means = np.concatenate([panel.mean.ravel() for panel in own])
        lines = [own[i : i + each] for i in range(0, len(own), each)]
        several = len(np.unique(means[np.isfinite(means)])) > 1
        blocks.append(Block(metric, lines, log_norm(means), several))
    titled = [max(len(_title(p, wide)) for p in line) for b in blocks for line in b.lines]
    foot = 0.25 + (0.2 if first.names[1] else 0)
    height = sum(0.16 * n + high + foot + (0.1 if n else 0.06) for n in titled) + 0.42 * len(blocks)
    notes = [note] if note else []
    if any(panel.blank for panel in panels):
        notes.insert(0, "blank: not tried")
    if said:
        notes.insert(0, f"{min(said)}: the mean is over so many of the seeds")
    figure, y = headed(width, height, title, " · ".join(notes))
    tall = figure.get_figheight()
    spread = any(np.isfinite(panel.spread).any() for panel in panels)
    of = f", mean ± standard deviation of {seeds} seeds" if spread else ""
    for block in blocks:
        y -= 0.3
        figure.text(0.14 / width, y / tall, block.metric + of, fontsize=9.5, **PLAIN)
        y -= 0.12
        for line in block.lines:
            over = max(len(_title(panel, wide)) for panel in line)
            y -= 0.16 * over + high + (0.04 if over else 0)
            for k, panel in enumerate(line):
                x = left + k * (wide + apart)
                axes = figure.add_axes((x / width, y / tall, wide / width, high / tall))
                _panel(axes, panel, block.norm, (cell, high / rows), named=k == 0)
            if block.scaled and line is block.lines[0]:
                x = left + len(line) * (wide + apart)
                bar = min(high, 2.4)
                colour_bar(figure, (x, y + high - bar, 0.14, bar), block.norm)
            y -= foot + 0.06
    return figure


def _title(panel: Panel, wide: float) -> list[str]:
    return wrapped(panel.title, wide / 0.075)


def _note(panel: Panel, r: int, c: int) -> str:
    """What is said below a number."""
    return panel.said[r][c] if np.isfinite(panel.mean[r, c]) else ""


def _panel(axes, panel: Panel, norm: LogNorm, cell: tuple[float, float], named: bool) -> None:
    means = np.where(np.isfinite(panel.mean), panel.mean, np.nan)
    colours = SCALE(norm(means))
    for r, c in zip(*np.nonzero(np.isnan(means)), strict=True):
        diverged = panel.said[r][c] == "diverged"
        colours[r, c] = to_rgba(WHITE if panel.at[r, c] < 0 else DIVERGED if diverged else OTHER)
    axes.imshow(colours, aspect="auto")
    axes.set_title("\n".join(_title(panel, cell[0] * len(panel.columns))), fontsize=8.5, **PLAIN)
    plain: dict[str, Any] = {"fontsize": 7.5, "parse_math": False}
    axes.set_xticks(range(len(panel.columns)), [short(c, 12) for c in panel.columns], **plain)
    axes.set_yticks(range(len(panel.rows)), [short(r, 12) for r in panel.rows], **plain)
    axes.tick_params(length=0, labelleft=named)
    axes.set_xlabel(panel.names[1], fontsize=8, **PLAIN)
    axes.set_ylabel(panel.names[0] if named else "", fontsize=8, **PLAIN)
    axes.spines[:].set(visible=panel.blank, color=DIVERGED)
    light = colours[..., :3] ** 2.2 @ (0.2126, 0.7152, 0.0722)  # luminance
    centred: dict[str, Any] = {"ha": "center", "va": "center", "parse_math": False}
    for r, c in np.ndindex(means.shape):
        mean, spread = means.item(r, c), panel.spread.item(r, c)
        ink = "black" if light[r, c] > 0.18 else "white"  # where both contrast alike
        if np.isnan(mean):
            why = "" if panel.at[r, c] < 0 else panel.said[r][c].replace(" ", "\n")
            axes.text(c, r, why, color=GREY, fontsize=6, linespacing=1.0, **centred)
            continue
        texts = [(brief(mean), 7.5)]
        if np.isfinite(spread):
            texts.append((f"±{brief(spread)}", 6.2))
        if small := _note(panel, r, c):
            texts.append((small, 6.2))
        top = r - 0.0675 * (len(texts) - 1) / cell[1]
        for k, (text, size) in enumerate(texts):
            y = top + (0.135 * k + (0.01 if k else 0)) / cell[1]
            axes.text(c, y, text, color=ink, fontsize=size, **centred)


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
    rows = -(-len(contests) // 3)
    columns = -(-len(contests) // rows)  # 2 + 2, not 3 + 1
    wide, high = (6.0, 3.5) if columns == 1 else (3.6, 2.9)  # inches, as all lengths
    left, gap, foot = 0.75, 0.3, 0.5
    titles = [wrapped(contest.title, 12 * wide) for contest in contests]
    over = 0.1 + 0.17 * max(map(len, titles))
    names = list(dict.fromkeys(one.name for contest in contests for one in contest.descents))
    width = left + columns * (wide + gap)
    each = max(1, int((width - 0.2) / (0.75 + 0.085 * max(map(len, [*names, "tolerance"])))))
    head = 0.1 + 0.19 * -(-(len(names) + 1) // each)
    figure, top = headed(width, head + rows * (over + high + foot), title)
    height = figure.get_figheight()
    tolerance = min(tolerance, 1e200)
    descents = [one for contest in contests for one in contest.descents]
    gaps = np.concatenate([np.append(one.median, tolerance) for one in descents])
    up = Scale.over(np.append(gaps, gaps[np.isfinite(gaps)].max() * 3), log=True)
    across = Scale(1, 1.2 * max(max(one.steps[-1] for one in descents), 2), log=True)
    for i, contest in enumerate(contests):
        row, column = divmod(i, columns)
        bottom = top - head - row * (over + high + foot) - over - high
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
        axes.set_title("\n".join(titles[i]), loc="left", fontsize=9, **PLAIN)
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
        bbox_to_anchor=(0.1 / width, (top + 0.02) / height),
        borderaxespad=0,
        ncols=each,
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
    note: str = "",
) -> Figure:
    """Does training recover each coefficient as well as statistics says it can?

    In units of the least-squares standard error: the bias, with two standard errors of its own;
    the spread over the runs with two of its sampling, exp(±2 / sqrt(2 (runs - 1))), and as
    predicted. All (K,); nan: not drawn.
    """
    tall = 0.26 * max(len(terms), 3)
    figure, _ = headed(9, 0.9 + tall, title, note)
    foot, high = (part / figure.get_figheight() for part in (0.55, tall))
    left = figure.add_axes((0.13, foot, 0.42, high))
    right = figure.add_axes((0.57, foot, 0.41, high))
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
    if np.isfinite(off).any():  # a legend is of what is drawn
        left.errorbar(off, k, xerr=2 * error, **style, label="bias, 2 standard errors")
    if np.isfinite(ratio).any():
        right.errorbar(ratio, k, xerr=bars, **style, label=f"measured, {runs} runs")
    if np.isfinite(guess).any():
        right.errorbar(guess, k, fmt="D", ms=7, mfc="none", mec=TRUTH, label="predicted")
    for axes, best, what in ((left, 0, "bias"), (right, 1, "spread")):
        axes.axvline(best, color=INK, lw=0.9, zorder=1.9)
        axes.set_xlabel(f"{what} / least-squares standard error", color=INK)
        axes.set_yticks(k, [short(term, 12) for term in terms], parse_math=False)
        axes.tick_params(labelleft=axes is left)
        axes.set_ylim(len(terms) - 0.5, -0.5)
        frame(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(**LEGEND, loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=2)
    low, high = right.get_xlim()
    right.set_xlim(min(low, 0.8), max(high, 1.25))
    bias_ticks = np.array(Scale(*left.get_xlim()).ticks())
    if widest > 30:
        tens = 10.0 ** np.arange(1, np.log10(widest) + 1)
        bias_ticks = np.append(0, np.outer((-1, 1), tens[:: -(-len(tens) // 3)]))
    written = [(right, np.array(Scale(*right.get_xlim(), log=True).ticks())), (left, bias_ticks)]
    for axes, ticks in written:
        low, high = axes.get_xlim()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        axes.minorticks_off()
        axes.set_xticks(ticks, [brief(tick) for tick in ticks])
    return figure
