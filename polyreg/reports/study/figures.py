"""Figures of a study: criteria by degree, and the rows to doubt."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from polyreg.inference.degrees import SIGNIFICANT, Degrees
from polyreg.inference.study import DoubtedRow, Study
from polyreg.reports.figures import (
    DATA,
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
from polyreg.text import as_p, short

TINY = 1e-16  # p below it are drawn there
FAR = 100  # differences of criteria from there on are drawn on a scale of their logarithms


def degrees(found: Degrees, chosen: int, title: str) -> Figure:
    """Residual SD, information criteria and p of the tests, by degree."""
    figure = Figure(figsize=(11, 4.4), dpi=110)
    left, middle, right = (
        figure.add_axes((start, 0.115, 0.255, 0.68)) for start in (0.07, 0.4, 0.735)
    )
    heading(figure, 0.07, 0.945, title)
    for axes in (left, middle, right):
        frame(axes)
        axes.set_xlabel("degree", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(found.degree.min() - 0.3, found.degree.max() + 0.3)
        axes.axvline(chosen, color=TRUTH, lw=6, alpha=0.18, label=f"fitted: {chosen}")
    for values, name, color in (
        (found.residual_sd, "residual SD", LEARNED),
        (found.largest_residual, "largest residual", DATA),
    ):
        left.plot(found.degree, values, color=color, marker="o", ms=4, label=name)
    sizes = np.r_[found.residual_sd, found.largest_residual]
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if len(sizes) and sizes.max() > 20 * sizes.min():
        left.set_yscale("log")
    left.set_ylabel("residuals", color=INK)
    for values, name, color in ((found.aicc, "AICc", LEARNED), (found.bic, "BIC", DATA)):
        finite = np.where(np.isfinite(values), values, np.nan)
        if np.isfinite(finite).any():
            above = finite - np.nanmin(finite)
            middle.plot(found.degree, above, color=color, marker="o", ms=4, label=name)
            if np.nanmax(above) > FAR:
                middle.set_yscale("symlog", linthresh=10)
                middle.yaxis.set_major_formatter("{x:g}")
    middle.set_ylabel("AICc, BIC: above the least of each", color=INK)
    for values, name, color in (
        (found.p, "nested F", LEARNED),
        (found.lof_p, "lack of fit", DATA),
    ):
        if np.isfinite(values).any():
            drawn = np.maximum(values, TINY)
            right.plot(found.degree, drawn, color=color, marker="o", ms=4, ls="", label=name)
    right.axhline(SIGNIFICANT, color=QUIET, lw=1, ls=":", label="5 %")
    right.set_yscale("log")
    low, high = right.get_ylim()
    right.set_ylim(min(low, SIGNIFICANT**2), max(high, 2.0))
    right.set_ylabel("p", color=INK)
    for axes in (left, middle, right):
        axes.legend(**LEGEND, loc="lower left", bbox_to_anchor=(-0.03, 0.99), ncols=2)
    return figure


def doubted(study: Study, title: str) -> Figure:
    """The rows of largest studentized residual, leverage and Cook's distance, by place."""
    named = {
        "studentized": "studentized residual",
        "leverage": "leverage",
        "cooks_distance": "Cook's distance",
    }
    columns = [(by, name) for by, name in named.items() if study.most(by)]  # of a robust fit two
    figure, share = Figure(figsize=(3.7 * len(columns), 3.8), dpi=110), 1 / len(columns)
    heading(figure, 0.06 * share, 0.935, title)
    for k, (by, name) in enumerate(columns):
        rows = study.most(by)[:5][::-1]
        axes = figure.add_axes(((k + 0.38) * share, 0.135, 0.57 * share, 0.7))
        frame(axes)
        values = [getattr(row, by) for row in rows]
        axes.barh(range(len(rows)), values, height=0.55, color=LEARNED, alpha=0.75)
        axes.axvline(0, color=QUIET, lw=0.8)
        axes.set_yticks(range(len(rows)), [_label(row, by) for row in rows], fontsize=8, **PLAIN)
        axes.set_xlabel(name, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    return figure


def _label(row: DoubtedRow, by: str) -> str:
    where = f"row {row.row:,}\n{short(row.file, 18)}"
    return where + (f"\n{as_p(row.p_bonferroni)}" if by == "studentized" else "")
