"""Figures from plain arrays. No other module imports matplotlib."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

INK, DATA, TRUTH, LEARNED, QUIET = "#1f2933", "#829ab1", "#d64545", "#2f6fde", "#7b8794"
POINTS = {"marker": "o", "ls": "", "ms": 3.2, "mew": 0, "color": INK, "alpha": 0.45}
LEGEND = {"fontsize": 9, "framealpha": 0.85, "edgecolor": "none"}


def _canvas(title: str, x: str, y: str):
    # Fixed margins: matplotlib's own layout engines draw every figure twice.
    figure = Figure(figsize=(7, 4.2), dpi=110)
    axes = figure.add_axes((0.11, 0.125, 0.86, 0.79))
    axes.set_title(title, loc="left", color=INK, fontsize=11)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


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
    batch: np.ndarray,
    gap: np.ndarray,
    kept: Sequence[int],
    *,
    floor: float,
    tolerance: float,
    title: str,
) -> Figure:
    """Batch loss and gap against the step, on a log scale, over the noise floor."""
    figure, axes = _canvas(title, "step", "squared units of y")
    steps = np.asarray(kept) + 1
    axes.plot(steps, batch[kept], color=DATA, lw=1, label="loss of the batch")
    axes.plot(steps, gap[kept], color=LEARNED, lw=1.8, label="gap: expected excess over optimum")
    if floor > 0:
        axes.axhline(floor, color=TRUTH, lw=1.2, ls="--", label="loss at the optimum (noise floor)")
    axes.axhline(tolerance, color=QUIET, lw=1, ls=":", label="tolerance")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.3)  # room for the legend
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
