"""Figures of many curves: all of them, their coefficients, and the groups that fit worst."""

import numpy as np
import pandas as pd

from polyreg.groups import Results
from polyreg.reports.chart import LIGHT
from polyreg.reports.figures import DATA, INK, LEARNED, LEGEND, PLAIN, QUIET, Figure, frame, heading
from polyreg.text import short

MOST = 400  # curves that are drawn, evenly among all
NAMED = 5  # outlying curves that are
POINTS = 80  # of a curve
CUT = 1000  # groups, from which the histograms leave out 0.5 % at either end
LARGEST = 15  # groups among the worst


def curves(results: Results, title: str) -> Figure:
    """All curves thin over each other on their own ranges; the most outlying ones are named."""
    figure = Figure(figsize=(8, 5), dpi=110)
    axes = figure.add_axes((0.1, 0.12, 0.66, 0.76))
    heading(figure, 0.1, 0.94, title)
    frame(axes)
    fitted = np.flatnonzero(results.solved.degrees >= 0)
    far = outlying(results, fitted)
    drawn = fitted[:: -(-len(fitted) // MOST)]
    alpha = float(np.clip(12 / np.sqrt(len(drawn)) / 6, 0.12, 0.9))
    for g in drawn.tolist():
        if g not in far:
            axes.plot(*line(results, g), color=QUIET, lw=0.8, alpha=alpha)
    for g, colour in zip(far, LIGHT, strict=False):
        label = short(results.named(g), 22)
        axes.plot(*line(results, g), color=colour, lw=1.6, label=label)
    shown = f"{len(drawn):,} of {len(fitted):,} groups" if len(drawn) < len(fitted) else "groups"
    axes.plot([], [], color=QUIET, lw=0.8, label=f"other {shown}" if far else shown)
    axes.set_xlabel(results.variable, color=INK)
    axes.set_ylabel(results.target, color=INK)
    legend = axes.legend(
        **LEGEND, loc="upper left", bbox_to_anchor=(1.01, 1.02), title="farthest off"
    )
    legend.get_title().set_fontsize(8)
    return figure


def line(results: Results, g: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(results.solved.low[g], results.solved.high[g], POINTS)
    y, _ = results.curves.values(np.full(POINTS, g), x)
    return x, y


def outlying(results: Results, fitted: np.ndarray) -> list[int]:
    """The groups whose curves lie farthest from the median curve, in its own spread."""
    if len(fitted) < 4:
        return fitted.tolist()
    low = np.median(results.solved.low[fitted])
    high = np.median(results.solved.high[fitted])
    grid = np.linspace(low, high, 15)
    values = np.stack(
        [results.curves.values(fitted, np.full(len(fitted), x))[0] for x in grid], axis=1
    )
    inside = (grid >= results.solved.low[fitted][:, None]) & (
        grid <= results.solved.high[fitted][:, None]
    )
    middle = np.median(values, axis=0)
    spread = np.median(np.abs(values - middle), axis=0)
    away = np.where(inside, np.abs(values - middle) / np.where(spread > 0, spread, np.inf), 0)
    order = np.argsort(-away.max(axis=1), kind="stable")[:NAMED]
    return fitted[order].tolist()


def coefficients(results: Results, table: pd.DataFrame, title: str) -> Figure:
    """How each coefficient is distributed over the groups."""
    names = [name for name in table if name.startswith("coef/")][:6]
    if results.shape:
        names = names[: results.shape.own]
    figure = Figure(figsize=(3.0 * len(names) + 0.6, 3.4), dpi=110)
    heading(figure, 0.05 / len(names) + 0.02, 0.92, title)
    for k, name in enumerate(names):
        axes = figure.add_axes(((k + 0.2) / len(names), 0.17, 0.68 / len(names), 0.62))
        frame(axes)
        values = table[name].to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        is_cut = len(values) >= CUT
        ends = [0.005, 0.995] if is_cut else [0, 1]
        low, high = np.quantile(values, ends) if len(values) else (0, 1)
        inside = values[(values >= low) & (values <= high)]
        axes.hist(inside, bins=min(40, max(5, len(inside) // 5)), color=LEARNED, alpha=0.75)
        part = ", the middle 99 %" if is_cut else ""
        axes.set_xlabel(f"coefficient of {name.removeprefix('coef/')}{part}", color=INK)
        axes.locator_params(axis="x", nbins=4)
        if not k:
            axes.set_ylabel("groups", color=INK)
    return figure


def residuals(results: Results, table: pd.DataFrame, title: str) -> Figure:
    """Residual SD of all groups in ascending order, and the largest by name."""
    figure = Figure(figsize=(9, 4), dpi=110)
    left, right = figure.add_axes((0.08, 0.14, 0.4, 0.7)), figure.add_axes((0.67, 0.14, 0.3, 0.7))
    heading(figure, 0.08, 0.93, title)
    frame(left)
    frame(right)
    name, label = "residual_sd", "residual SD"
    if results.shape:
        name, label = "group_sd", "SD about the common shape"
    sizes = table[name].to_numpy(dtype=float)
    known = sizes[np.isfinite(sizes)]
    left.plot(np.sort(known), color=LEARNED, lw=1.6)
    left.set_xlabel("groups, in ascending order", color=INK)
    left.set_ylabel(label, color=INK)
    largest = table[name].dropna().nlargest(LARGEST).iloc[::-1]
    right.barh(range(len(largest)), largest, height=0.6, color=DATA, alpha=0.75)
    names = [short(results.named(g), 20) for g in largest.index]
    right.set_yticks(range(len(largest)), names, fontsize=8, **PLAIN)
    right.set_xlabel(f"{label}, the largest", color=INK)
    right.locator_params(axis="x", nbins=4)
    return figure
