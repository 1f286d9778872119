"""Figures from plain arrays. No other module imports matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from polyreg.page import (
    BANDS,
    DASHES,
    DOTS,
    LIGHT,
    NUMBERED,
    Chart,
    Comparison,
    Scale,
    Term,
    ends,
    number,
    scales,
)

INK, DATA, TRUTH, LEARNED, QUIET = "#1f2933", "#829ab1", "#d64545", "#2f6fde", "#7b8794"
POINTS = {"marker": "o", "ls": "", "ms": 3.2, "mew": 0, "color": INK, "alpha": 0.45}
LEGEND = {"fontsize": 9, "framealpha": 0.85, "edgecolor": "none"}


def _canvas(title: str, x: str, y: str):
    # Fixed margins: matplotlib's own layout engines draw every figure twice.
    figure = Figure(figsize=(7, 4.2), dpi=110)
    axes = figure.add_axes((0.135, 0.125, 0.835, 0.79))
    axes.ticklabel_format(scilimits=(-4, 5))
    axes.set_title(_short(title), loc="left", color=INK, fontsize=11, parse_math=False)
    axes.set_xlabel(_short(x), color=INK, parse_math=False)
    axes.set_ylabel(_short(y), color=INK, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _short(text: str) -> str:
    """Somebody's names, as long as there is room for."""
    plain = " ".join(text.split())
    return plain if len(plain) <= 60 else plain[:57] + "..."


def fit(
    data: tuple[np.ndarray, np.ndarray],
    grid: np.ndarray,
    truth: np.ndarray,
    learned: np.ndarray,
    title: str,
) -> Figure:
    """The learned polynomial over the true one and a sample of the data."""
    figure, axes = _canvas(title, "x", "y")
    axes.plot(grid, truth, color=TRUTH, lw=4, alpha=0.45, label="truth")
    axes.plot(*data, **POINTS, label="data (a sample)")
    axes.plot(grid, learned, color=LEARNED, lw=1.6, label="learned")
    axes.legend(**LEGEND)
    return figure


def loss(
    steps: np.ndarray,
    batch: np.ndarray,
    gap: np.ndarray,
    *,
    floor: float,
    tolerance: float,
    title: str,
) -> Figure:
    """Batch loss and gap against the step, on a log scale, over the noise floor."""
    figure, axes = _canvas(title, "step", "squared units of y")
    axes.plot(steps, batch, color=DATA, lw=1, label="loss of the batch")
    axes.plot(steps, gap, color=LEARNED, lw=1.8, label="gap: expected excess over optimum")
    if floor > 0:
        axes.axhline(floor, color=TRUTH, lw=1.2, ls="--", label="loss at the optimum (noise floor)")
    axes.axhline(min(tolerance, 1e200), color=QUIET, lw=1, ls=":", label="tolerance")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    room = 0.3 * (np.log10(high) - np.log10(low))  # for the legend
    axes.set_ylim(low, 10.0 ** min(np.log10(high) + room, 250.0))
    axes.yaxis.set_major_formatter("{x:g}")  # the log scale's own formatter typesets: 0.1 s
    axes.yaxis.set_minor_formatter("")
    axes.legend(loc="upper right", **LEGEND)
    return figure


def residuals(
    data: tuple[np.ndarray, np.ndarray], error: tuple[np.ndarray, np.ndarray], title: str
) -> Figure:
    """What the learned polynomial leaves of the data, and how far it is from the truth."""
    figure, axes = _canvas(title, "x", "y - learned")
    axes.axhline(0, color=QUIET, lw=1)
    axes.plot(*data, **POINTS, label="data (a sample)")
    axes.plot(*error, color=TRUTH, lw=1.6, label="truth - learned")
    axes.legend(**LEGEND)
    return figure


def band(
    data: tuple[np.ndarray, np.ndarray],
    grid: np.ndarray,
    prediction: np.ndarray,
    confidence: tuple[np.ndarray, np.ndarray],
    new: tuple[np.ndarray, np.ndarray],
    *,
    level: float,
    names: tuple[str, str],
    title: str,
    label: str = "data",
) -> Figure:
    """The fit over a sample of the table, with confidence and prediction bands (low, high)."""
    figure, axes = _canvas(title, *names)
    percent = f"{100 * level:g} %"
    axes.fill_between(grid, *new, color=LEARNED, alpha=0.10, lw=0, label=f"{percent} prediction")
    axes.fill_between(
        grid, *confidence, color=LEARNED, alpha=0.28, lw=0, label=f"{percent} confidence"
    )
    axes.plot(*data, **POINTS, label=label)
    axes.plot(grid, prediction, color=LEARNED, lw=1.6, label="fit")
    axes.legend(**LEGEND)
    return figure


def observed(
    predicted: np.ndarray,
    y: np.ndarray,
    half: np.ndarray,
    *,
    level: float,
    name: str,
    title: str,
    label: str = "data",
) -> Figure:
    """What was observed against what the fit says, with the half width of its prediction band."""
    figure, axes = _canvas(title, f"fitted {name}", name)
    order = predicted.argsort()
    line = predicted[order]
    axes.fill_between(
        line,
        line - half[order],
        line + half[order],
        color=LEARNED,
        alpha=0.12,
        lw=0,
        label=f"{100 * level:g} % prediction",
    )
    axes.plot(line, line, color=LEARNED, lw=1.4, label="observed = fitted")
    axes.plot(predicted, y, **POINTS, label=label)
    axes.legend(**LEGEND)
    return figure


def fit_residuals(x: np.ndarray, residual: np.ndarray, name: str, title: str) -> Figure:
    """Residuals in units of their standard deviation: two thirds within 1, 95 % within 2."""
    figure, axes = _canvas(title, name, "residual / residual SD")
    axes.axhspan(-2, 2, color=LEARNED, alpha=0.07, lw=0)
    axes.axhline(0, color=QUIET, lw=1)
    axes.plot(x, residual, **POINTS)
    return figure


def quantiles(normal: np.ndarray, residual: np.ndarray, title: str, label: str = "data") -> Figure:
    """Q-Q plot: sorted residuals against the normal quantiles they would have; same shape."""
    figure, axes = _canvas(title, "normal quantile", "residual / residual SD")
    axes.plot(normal, normal, color=TRUTH, lw=1.4, alpha=0.7, label="normal")
    axes.plot(normal, residual, **POINTS, label=label)
    axes.legend(**LEGEND)
    return figure


def selection(
    degrees: Sequence[int],
    mse: np.ndarray,
    std_error: np.ndarray,
    criteria: dict[str, np.ndarray],
    *,
    chosen: int,
    best: int,
    title: str,
) -> Figure:
    """Cross-validated error by degree, and what the information criteria say beside it."""
    figure = Figure(figsize=(9, 4.6), dpi=110)
    left = figure.add_axes((0.105, 0.115, 0.385, 0.70))
    right = figure.add_axes((0.595, 0.115, 0.385, 0.70))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e4e7eb", linewidth=0.6)
        axes.set_xlabel("degree", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.axvline(chosen, color=TRUTH, lw=6, alpha=0.18, label=f"chosen: {chosen}")
    figure.text(0.105, 0.945, _short(title), color=INK, fontsize=11, parse_math=False)
    left.set_ylabel("cross-validated mean squared error", color=INK)
    left.errorbar(
        degrees, mse, std_error, color=LEARNED, lw=1.4, marker="o", ms=4, capsize=3,
        label="mean, one standard error",
    )  # fmt: skip
    at = list(degrees).index(best)
    left.axhline(mse[at] + std_error[at], color=QUIET, lw=1, ls=":", label="least + one error")
    if mse.min() > 0 and mse.max() > 20 * mse.min():
        left.set_yscale("log")
        left.yaxis.set_major_formatter("{x:g}")
        left.yaxis.set_minor_formatter("")
    for (name, values), color in zip(criteria.items(), (LEARNED, DATA), strict=True):
        least = np.nanmin(values) if np.isfinite(values).any() else 0.0
        right.plot(degrees, values - least, color=color, marker="o", ms=4, label=name)
    right.set_yscale("symlog", linthresh=10)
    right.yaxis.set_major_formatter("{x:g}")
    right.set_ylabel("AIC, BIC: above the least of each", color=INK)
    for axes in (left, right):  # above the axes, where they hide nothing
        axes.legend(**LEGEND, loc="lower left", bbox_to_anchor=(-0.03, 0.99), ncols=2)
    return figure


SCALE, DIVERGED = colormaps["viridis"], "#e4e7eb"


def _within(text: str, room: float) -> str:
    """Somebody's names, in `room` characters."""
    plain = _short(text)
    return plain if len(plain) <= room else plain[: max(int(room) - 2, 1)] + ".."


def _brief(value: float) -> str:
    """Two digits, in as little room as they need: 0.012, 1200, 1.2e-4, 1.2e6."""
    rounded = float(f"{value:.2g}")
    if rounded == 0 or 1e-3 <= abs(rounded) < 1e5:
        return f"{rounded:g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def _log_ticks(low: float, high: float) -> np.ndarray:
    """What to write at a log axis: powers of ten, else 1, 3, 10 or 1, 2, 5, else evenly."""
    powers = np.arange(np.floor(np.log10(low)), np.log10(high) + 1)
    tens = 10.0 ** powers[powers % -(-len(powers) // 6) == 0]
    thirds, halves = (np.outer(10.0**powers, by) for by in ((1, 3), (1, 2, 5)))
    even = np.asarray(MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high))
    for ticks in (tens, thirds, halves, even):
        inside = ticks[(ticks > low * (1 - 1e-9)) & (ticks < high * (1 + 1e-9))]
        if len(inside) > 2:
            break
    return inside


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
    ticks = _log_ticks(low, high).tolist()
    bar.set_ticks(ticks, labels=[_brief(tick) for tick in ticks], fontsize=7.5)
    bar.outline.set_visible(False)
    label = _within(label, 15 * box[3] * figure.get_figheight() + 11)
    bar.set_label(label, color=INK, fontsize=8, parse_math=False)


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
        title = f"{_within(title, 35)} ({len(panels) - 12} more panels left out)"
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
    title = _short(title)
    figure.text(0.12 / width, 1 - 0.28 / height, title, color=INK, fontsize=11, parse_math=False)
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
    axes.set_title(_within(panel.title, 12 * size[0]), fontsize=9, color=INK, parse_math=False)
    plain: dict[str, Any] = {"fontsize": 7.5, "parse_math": False}
    axes.set_xticks(
        range(len(panel.columns)), [_within(c, 15 * cell) for c in panel.columns], **plain
    )
    axes.set_yticks(range(len(panel.rows)), [_within(r, 8) for r in panel.rows], **plain)
    axes.tick_params(length=0, labelleft=named)
    plain = {"fontsize": 8, "color": INK, "parse_math": False}
    axes.set_xlabel(_within(panel.names[1], 14 * size[0]), **plain)
    axes.set_ylabel(_within(panel.names[0], 14 * size[1] + 4) if named else "", **plain)
    axes.spines[:].set_visible(False)
    light = colours[..., :3] ** 2.2 @ (0.2126, 0.7152, 0.0722)  # luminance
    plain = {"ha": "center", "va": "center", "parse_math": False}
    for r, c in np.ndindex(means.shape):
        mean, spread = means.item(r, c), panel.spread.item(r, c)
        ink = "black" if light[r, c] > 0.18 else "white"  # where both contrast alike
        if np.isnan(mean):
            axes.text(c, r, "diverged", color="#616e7c", fontsize=6, **plain)
        elif not np.isfinite(spread):
            axes.text(c, r, _brief(mean), color=ink, fontsize=7.5, **plain)
        else:
            axes.text(c, r - 0.06 / line, _brief(mean), color=ink, fontsize=7.5, **plain)
            small = panel.sign + _brief(spread)
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
        ticks = _log_ticks(least, high)
        at, labels = np.log10(ticks), [_brief(tick) for tick in ticks]
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
    figure.text(0.02, 0.945, _short(title), color=INK, fontsize=11, parse_math=False)
    plain: dict[str, Any] = {"color": INK, "parse_math": False, "zorder": 4}
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
        canvas.text(i, 1.1, _within(name, min(13 * room, 24)), ha="center", fontsize=9, **plain)
        for height, text in ticks.items():
            at, text = (i - 0.04 / room, height), _within(text, min(12 * room, 14))
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
    figure.text(0.02, 1 - 0.3 / height, _short(title), color=INK, fontsize=11, parse_math=False)
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
        axes.set_yticks(k, [_within(term, 12) for term in terms], parse_math=False)
        axes.tick_params(labelleft=axes is left)
        axes.set_ylim(len(terms) - 0.5, -0.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e4e7eb", linewidth=0.6)
        axes.legend(**LEGEND, loc="lower left", bbox_to_anchor=(-0.02, 0.98), ncols=2)
    low, high = right.get_xlim()
    right.set_xlim(min(low, 0.8), max(high, 1.25))
    written = [(right, _log_ticks(*right.get_xlim()))]
    if widest > 30:
        tens = 10.0 ** np.arange(1, np.log10(widest) + 1)
        written += [(left, np.append(0, np.outer((-1, 1), tens[:: -(-len(tens) // 3)])))]
    for axes, ticks in written:
        low, high = axes.get_xlim()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        axes.minorticks_off()
        axes.set_xticks(ticks, [_brief(tick) for tick in ticks])
    return figure


def _side_by_side(axes: Any, chart: Chart) -> None:
    """One chart of a comparison, in axes of its own."""
    across, up = scales(chart)
    plain: dict[str, Any] = {"color": INK, "parse_math": False}
    axes.set_title(_within(chart.title, 62), loc="left", fontsize=10, **plain)
    axes.set_xlabel(_within(chart.names[0], 60), fontsize=9, **plain)
    axes.set_ylabel(_within(chart.names[1], 40), fontsize=9, **plain)
    axes.set(xlim=(across.low, across.high), ylim=(up.low, up.high))
    for log, scale, name in ((chart.log[0], across, "x"), (chart.log[1], up, "y")):
        if log:
            getattr(axes, f"set_{name}scale")("log")
            axes.minorticks_off()
            ticks = _log_ticks(scale.low, scale.high)
            getattr(axes, f"set_{name}ticks")(ticks, [_brief(tick) for tick in ticks])
    if chart.diagonal:
        axes.plot([up.low, up.high], [up.low, up.high], color=QUIET, lw=1)
    for points in chart.points:
        colour = INK if points.run is None else _look(points.run)[0]
        hollow = bool(DOTS[points.look % len(DOTS)][2])
        marker = {"round": "o", "square": "s"}[DOTS[points.look % len(DOTS)][0]]
        style = {"mfc": "none", "mec": colour, "mew": 0.7} if hollow else {"mfc": colour, "mew": 0}
        axes.plot(
            points.x, points.y, marker=marker, ls="", ms=2.8, alpha=0.4, **style,
            label=_within(points.label, 40) if points.run is None else "",
        )  # fmt: skip
    banded = sum(curve.low is not None for curve in chart.curves)
    for curve in chart.curves:
        if curve.run is None:
            axes.plot(curve.x, curve.y, color=TRUTH, lw=4, alpha=0.4, label="truth")
            continue
        colour, dash = _look(curve.run)
        if curve.low is not None and curve.high is not None and banded <= BANDS:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, lw=0)
        alone = {"marker": "_"} if len(curve.x) == 1 else {}
        axes.plot(curve.x, curve.y, color=colour, lw=1.5, ls=dash, **alone)
    if len(chart.curves) <= NUMBERED:
        for run, left, _, height in ends(chart, across, up):
            axes.text(
                left / 100 + 0.01, 1 - height / 100, str(run + 1), transform=axes.transAxes,
                va="center", fontsize=8, color=_look(run)[0],
            )  # fmt: skip
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**LEGEND)


def _look(run: int) -> tuple[str, Any]:
    """A run's colour and dash, those of the page."""
    dash = DASHES[run % len(DASHES)]
    return LIGHT[run % len(LIGHT)], (0, tuple(d / 2 for d in dash)) if dash else "-"


def _beside_truth(axes: Any, term: Term, target: str) -> None:
    """One coefficient of every run, with its interval, over the truth."""
    shown = [e for e in term.estimates if np.isfinite(e.value)]
    known = ", ".join(f"{name} {number(value)}" for name, value in term.truths)
    plain: dict[str, Any] = {"color": INK, "parse_math": False}
    name = f"{target}: {term.name}" if target else term.name
    axes.set_title(_within(f"{name}   {known}", 38), loc="left", fontsize=8.5, **plain)
    for _, value in term.truths:
        axes.axvline(value, color=TRUTH, lw=3, alpha=0.4)
    for k, estimate in enumerate(shown):
        colour = _look(estimate.run)[0]
        if np.isfinite(estimate.low) and np.isfinite(estimate.high):
            axes.plot([estimate.low, estimate.high], [k, k], color=colour, lw=1.5)
        axes.plot(estimate.value, k, "o", ms=4.5, color=colour)
    values = [v for e in shown for v in (e.value, e.low, e.high)] + [v for _, v in term.truths]
    scale = Scale.over(np.array(values, float), pad=0.08)
    axes.set(xlim=(scale.low, scale.high), ylim=(len(shown) - 0.4, -0.6))
    few = shown[:: -(-len(shown) // 12) or 1]
    axes.set_yticks([shown.index(e) for e in few], [str(e.run + 1) for e in few], fontsize=7)
    ticks = scale.ticks(3)
    axes.set_xticks(ticks, [number(float(f"{tick:.6g}")) for tick in ticks], fontsize=7.5)


def comparison(found: Comparison) -> Figure:
    """Runs side by side: curves over the data, learning curves, coefficients beside the truth.

    As on the page, whose colours, dashes and numbers these are; at most 6 charts and 12 terms.
    """
    charts = [chart for chart in found.charts if chart.curves or chart.points][:6]
    several = len(found.coefficients) > 1
    terms = [
        (term, group.target if several else "")
        for group in found.coefficients
        for term in group.terms
        if term.estimates
    ][:12]
    # All lengths are inches.
    lines = -(-len(charts) // 2)
    most = max([len(term.estimates) for term, _ in terms], default=0)
    high = 0.35 + 0.13 * min(max(most, 4), 24)
    rows, listed = -(-len(terms) // 4), found.runs[:24]
    keys = -(-len(listed) // 3)
    width, wide = 12.0, 4.95
    head = 0.55 + 0.22 * keys + (0.25 if len(found.runs) > 24 else 0)
    height = head + 4.3 * lines + rows * (high + 0.55) + 0.2
    figure = Figure(figsize=(width, height), dpi=100)
    plain: dict[str, Any] = {"color": INK, "parse_math": False, "va": "center"}
    y = 1 - 0.3 / height
    figure.text(0.04, y, _short(found.title), fontsize=13, **plain)
    if found.warnings:
        figure.text(0.96, y, "different data: see the page", fontsize=10, ha="right", **plain)
    for k, run in enumerate(listed):
        colour, dash = _look(k)
        left, y = 0.04 + 0.32 * (k // keys), 1 - (0.65 + 0.22 * (k % keys)) / height
        figure.add_artist(Line2D([left, left + 0.028], [y, y], color=colour, lw=1.8, ls=dash))
        figure.text(left + 0.035, y, f"{k + 1}  {_within(run.name, 40)}", fontsize=9, **plain)
    if len(found.runs) > 24:
        rest = f"and {len(found.runs) - 24} more, in the page"
        figure.text(0.04, 1 - (0.75 + 0.22 * keys) / height, rest, fontsize=9, **plain)
    panels = []
    for k, chart in enumerate(charts):
        foot = height - head - 4.3 * (k // 2 + 1) + 0.75
        box = (0.8 + (k % 2) * (wide + 1.0)) / width, foot / height, wide / width, 3.1 / height
        panels.append(figure.add_axes(box))
        _side_by_side(panels[-1], chart)
    for k, (term, target) in enumerate(terms):
        foot = height - head - 4.3 * lines - (k // 4 + 1) * (high + 0.55) + 0.3
        box = (0.55 + (k % 4) * 2.87) / width, foot / height, 2.45 / width, high / height
        panels.append(figure.add_axes(box))
        _beside_truth(panels[-1], term, target)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e4e7eb", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure
