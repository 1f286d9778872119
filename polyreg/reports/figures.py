"""Figures of a training and of a fit, from plain arrays, and the looks that all figures share."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import figure as drawn
from matplotlib.ticker import MaxNLocator

from polyreg.text import short

INK, DATA, TRUTH, LEARNED, QUIET = "#1f2933", "#829ab1", "#d64545", "#2f6fde", "#7b8794"
POINTS = {"marker": "o", "ls": "", "ms": 3.2, "mew": 0, "color": INK, "alpha": 0.45}
LEGEND = {"fontsize": 9, "framealpha": 0.85, "edgecolor": "none"}
NO_BAND = "no prediction band: it depends on\na new row's weight or uncertainty"
BARS = {"ls": "", "elinewidth": 0.9, "ecolor": INK, "alpha": 0.5}
BARRED = 200  # points that still can be told apart with bars
PLAIN: dict[str, Any] = {"color": INK, "parse_math": False}  # a dollar of somebody's is no formula


class Figure(drawn.Figure):
    """A figure that a notebook shows, without pyplot and its state."""

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png")
        return content.getvalue()


def heading(figure: Figure, x: float, y: float, title: str) -> None:
    figure.text(x, y, short(title), fontsize=11, **PLAIN)


def frame(axes: Any) -> None:
    """Axes left and below, and a grid under what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e7eb", linewidth=0.6)
    axes.set_axisbelow(True)


def _canvas(title: str, x: str, y: str):
    # Fixed margins: matplotlib's own layout engines draw every figure twice.
    figure = Figure(figsize=(7, 4.2), dpi=110)
    axes = figure.add_axes((0.135, 0.125, 0.835, 0.79))
    axes.ticklabel_format(scilimits=(-4, 5))
    axes.set_title(short(title), loc="left", fontsize=11, **PLAIN)
    axes.set_xlabel(short(x), **PLAIN)
    axes.set_ylabel(short(y), **PLAIN)
    frame(axes)
    return figure, axes


def fit(
    data: tuple[np.ndarray, np.ndarray],
    grid: np.ndarray,
    truth: np.ndarray,
    learned: np.ndarray,
    title: str,
    *,
    names: tuple[str, str] = ("x", "y"),
    reference: str = "truth",
    label: str = "data (a sample)",
) -> Figure:
    """The learned polynomial over the true one, or another reference, and a sample of the data."""
    figure, axes = _canvas(title, *names)
    axes.plot(grid, truth, color=TRUTH, lw=4, alpha=0.45, label=reference)
    axes.plot(*data, **POINTS, label=label)
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
    data: tuple[np.ndarray, np.ndarray],
    error: tuple[np.ndarray, np.ndarray],
    title: str,
    *,
    names: tuple[str, str] = ("x", "y"),
    reference: str = "truth",
    label: str = "data (a sample)",
    mark: str = "-",
) -> Figure:
    """What the learned polynomial leaves of the data, and how far it is from the reference."""
    figure, axes = _canvas(title, names[0], f"{names[1]} - learned")
    axes.axhline(0, color=QUIET, lw=1)
    axes.plot(*data, **POINTS, label=label)
    axes.plot(*error, mark, color=TRUTH, lw=1.6, ms=2, label=f"{reference} - learned")
    axes.legend(**LEGEND)
    return figure


def band(
    data: tuple[np.ndarray, np.ndarray],
    grid: np.ndarray,
    prediction: np.ndarray,
    confidence: tuple[np.ndarray, np.ndarray],
    new: tuple[np.ndarray, np.ndarray] | None,
    *,
    level: float,
    names: tuple[str, str],
    title: str,
    label: str = "data",
    error: np.ndarray | None = None,
    error_x: np.ndarray | None = None,
    band: str = "pointwise",
) -> Figure:
    """The fit over a sample of the table, with confidence and prediction bands (low, high).

    new: None where the band of a new y depends on its weight, as the legend then says
    error, error_x: known standard uncertainties of y and of x, drawn as bars
    """
    figure, axes = _canvas(title, *names)
    percent = f"{100 * level:g} %"
    of_all = ", of the whole polynomial" if band == "simultaneous" else ""
    if new is None:
        axes.plot([], [], ls="", label=NO_BAND)
    else:
        label_new = f"{percent} prediction"
        axes.fill_between(grid, *new, color=LEARNED, alpha=0.10, lw=0, label=label_new)
    axes.fill_between(
        grid, *confidence, color=LEARNED, alpha=0.28, lw=0, label=f"{percent} confidence{of_all}"
    )
    if error is not None and len(error) <= BARRED:
        axes.errorbar(*data, error, error_x, **BARS)
        label += " with standard uncertainties"
    axes.plot(*data, **POINTS, label=label)
    axes.plot(grid, prediction, color=LEARNED, lw=1.6, label="fit")
    axes.legend(**LEGEND)
    return figure


def observed(
    predicted: np.ndarray,
    y: np.ndarray,
    new: tuple[np.ndarray, np.ndarray] | None,
    *,
    level: float,
    name: str,
    title: str,
    label: str = "data",
    no_band: str = NO_BAND,
) -> Figure:
    """What was observed against what the fit says, with the prediction band (low, high) of a new y.

    new: None where there is none, for a reason that the legend says
    """
    figure, axes = _canvas(title, f"fitted {name}", name)
    order = predicted.argsort()
    line = predicted[order]
    if new is None:
        axes.plot([], [], ls="", label=no_band)
    else:
        axes.fill_between(
            line,
            *(bound[order] for bound in new),
            color=LEARNED,
            alpha=0.12,
            lw=0,
            label=f"{100 * level:g} % prediction",
        )
    axes.plot(line, line, color=LEARNED, lw=1.4, label="observed = fitted")
    axes.plot(predicted, y, **POINTS, label=label)
    axes.legend(**LEGEND)
    return figure


def fit_residuals(
    x: np.ndarray, residual: np.ndarray, name: str, title: str, unit: str = "residual SD"
) -> Figure:
    """Residuals in units of their standard deviation: two thirds within 1, 95 % within 2."""
    figure, axes = _canvas(title, name, f"residual / {unit}")
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
        frame(axes)
        axes.set_xlabel("degree", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.axvline(chosen, color=TRUTH, lw=6, alpha=0.18, label=f"chosen: {chosen}")
    heading(figure, 0.105, 0.945, title)
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
