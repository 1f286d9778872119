"""The figure of runs side by side: what the page shows, as a picture."""

from typing import Any

from matplotlib.lines import Line2D

from polyreg.reports.chart import DASHES, LIGHT, Chart, Comparison, Term, ends, scales
from polyreg.reports.figures import INK, LEGEND, PLAIN, QUIET, TRUTH, Figure, frame
from polyreg.text import number, short


def _side_by_side(axes: Any, chart: Chart) -> None:
    """One chart of a comparison, in axes of its own."""
    across, up = scales(chart)
    axes.set_title(short(chart.title, 62), loc="left", fontsize=10, **PLAIN)
    axes.set_xlabel(short(chart.names[0], 60), fontsize=9, **PLAIN)
    axes.set_ylabel(short(chart.names[1], 40), fontsize=9, **PLAIN)
    axes.set(xlim=(across.low, across.high), ylim=(up.low, up.high))
    for log, scale, name in ((chart.log[0], across, "x"), (chart.log[1], up, "y")):
        if log:
            getattr(axes, f"set_{name}scale")("log")
            axes.minorticks_off()
            ticks = scale.ticks()
            getattr(axes, f"set_{name}ticks")(ticks, [number(tick) for tick in ticks])
    if chart.diagonal:
        axes.plot([up.low, up.high], [up.low, up.high], color=QUIET, lw=1)
    for points in chart.points:
        colour = INK if points.run is None else _look(points.run)[0]
        marker = {"round": "o", "square": "s"}[points.dot.cap]
        filled, hollow = {"mfc": colour, "mew": 0}, {"mfc": "none", "mec": colour, "mew": 0.7}
        style = hollow if points.dot.hole else filled
        axes.plot(
            points.x, points.y, marker=marker, ls="", ms=2.8, alpha=0.4, **style,
            label=short(points.label, 40) if points.run is None else "",
        )  # fmt: skip
    for curve in chart.curves:
        if curve.run is None:
            axes.plot(curve.x, curve.y, color=TRUTH, lw=4, alpha=0.4, label="truth")
            continue
        colour, dash = _look(curve.run)
        if curve.low is not None and curve.high is not None and chart.banded:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, lw=0)
        alone = {"marker": "_"} if len(curve.x) == 1 else {}
        axes.plot(curve.x, curve.y, color=colour, lw=1.5, ls=dash, **alone)
    for run, left, _, height in ends(chart, across, up):
        axes.text(
            left + 0.01, 1 - height, str(run + 1), transform=axes.transAxes,
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
    shown, scale = term.drawn, term.scale()
    name = f"{target}: {term.name}" if target else term.name
    axes.set_title(short(f"{name}   {term.known}", 38), loc="left", fontsize=8.5, **PLAIN)
    for _, value in term.truths:
        axes.axvline(value, color=TRUTH, lw=3, alpha=0.4)
    for k, estimate in enumerate(shown):
        colour = _look(estimate.run)[0]
        if estimate.has_interval:
            axes.plot([estimate.low, estimate.high], [k, k], color=colour, lw=1.5)
        axes.plot(estimate.value, k, "o", ms=4.5, color=colour)
    axes.set(xlim=(scale.low, scale.high), ylim=(len(shown) - 0.4, -0.6))
    few = shown[:: -(-len(shown) // 12) or 1]
    axes.set_yticks([shown.index(e) for e in few], [str(e.run + 1) for e in few], fontsize=7)
    ticks = scale.ticks(3)
    axes.set_xticks(ticks, [number(tick) for tick in ticks], fontsize=7.5)


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
    plain = PLAIN | {"va": "center"}
    y = 1 - 0.3 / height
    figure.text(0.04, y, short(found.title), fontsize=13, **plain)
    if found.warnings:
        figure.text(0.96, y, "different data: see the page", fontsize=10, ha="right", **plain)
    for k, run in enumerate(listed):
        colour, dash = _look(k)
        left, y = 0.04 + 0.32 * (k // keys), 1 - (0.65 + 0.22 * (k % keys)) / height
        figure.add_artist(Line2D([left, left + 0.028], [y, y], color=colour, lw=1.8, ls=dash))
        figure.text(left + 0.035, y, f"{k + 1}  {short(run.name, 40)}", fontsize=9, **plain)
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
        frame(axes)
    return figure
