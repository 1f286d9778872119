"""The figure of groups of runs side by side: what the page shows, as a picture."""

import textwrap
from typing import Any

from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from polyreg.reports.chart import (
    DASHES,
    LIGHT,
    MARKS,
    Chart,
    Comparison,
    Group,
    Term,
    ends,
    scales,
)
from polyreg.reports.figures import INK, LEGEND, PLAIN, QUIET, TRUTH, Figure, frame
from polyreg.reports.heat import Map, by_metric
from polyreg.text import brief, clean, number, plural, short

BAD = "#b3261e"
CHARTS, TERMS = 6, 12  # drawn
LETTER = 0.072  # inches, of a letter of nine points
LINES = 24  # of the key, in each of its columns


def _side_by_side(axes: Any, chart: Chart) -> None:
    """One chart of a comparison, in axes of its own."""
    across, up = scales(chart)
    axes.set_title(short(chart.title, 66), loc="left", fontsize=9.5, **PLAIN)
    axes.set_xlabel(short(chart.names[0], 60), fontsize=9, **PLAIN)
    axes.set_ylabel(short(chart.names[1], 40), fontsize=9, **PLAIN)
    axes.set(xlim=(across.low, across.high), ylim=(up.low, up.high))
    for log, scale, name in ((chart.log[0], across, "x"), (chart.log[1], up, "y")):
        if log:
            getattr(axes, f"set_{name}scale")("log")
            axes.minorticks_off()
        ticks = scale.ticks()
        texts = [number(tick, 1e6) for tick in ticks]
        if len(set(texts)) == len(texts):  # else matplotlib's, with an offset
            getattr(axes, f"set_{name}ticks")(ticks, texts)
    axes.tick_params(labelsize=8.5)
    axes.yaxis.set_label_coords(-0.13, 0.5)  # left of the widest numbers, within the figure
    if chart.diagonal:
        axes.plot([up.low, up.high], [up.low, up.high], color=QUIET, lw=1)
    for points in chart.points:
        colour, marker = INK, {"round": "o", "square": "s"}[points.dot.cap]
        is_hollow = bool(points.dot.hole)
        if points.group is not None:
            (colour, _), marker, is_hollow = _look(points.group), _mark(points.group), False
        filled, hollow = {"mfc": colour, "mew": 0}, {"mfc": "none", "mec": colour, "mew": 0.7}
        style = hollow if is_hollow else filled
        axes.plot(
            points.x, points.y, marker=marker, ls="", ms=2.8, alpha=0.4, **style,
            label=short(points.label, 40) if points.group is None else "",
        )  # fmt: skip
    for curve in chart.curves:
        if curve.group is None:
            axes.plot(curve.x, curve.y, color=TRUTH, lw=4, alpha=0.4, label="truth")
            continue
        if curve.run is not None:
            continue
        colour, dash = _look(curve.group)
        if curve.low is not None and curve.high is not None and chart.banded:
            axes.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.16, lw=0)
        single = {"marker": _mark(curve.group), "ms": 6, "mew": 0.5, "clip_on": False}
        alone = single if len(curve.x) == 1 else {}
        axes.plot(curve.x, curve.y, color=colour, lw=1.5, ls=dash, **alone)
    for end in ends(chart, across, up):
        axes.text(
            end.left + 0.01, 1 - end.height, end.text, transform=axes.transAxes, va="center",
            fontsize=8, color=_look(end.groups[0])[0] if len(end.groups) == 1 else INK,
        )  # fmt: skip
    if axes.get_legend_handles_labels()[0]:
        axes.legend(**LEGEND)


def _look(group: int) -> tuple[str, Any]:
    """A group's colour and dash, those of the page."""
    dash = DASHES[group % len(DASHES)]
    return LIGHT[group % len(LIGHT)], (0, tuple(d / 2 for d in dash)) if dash else "-"


def _mark(group: int) -> str:
    return MARKS[group % len(MARKS)].marker


def _beside_truth(axes: Any, term: Term, target: str) -> None:
    """One coefficient of every group, with its interval or spread, over the truth."""
    shown, scale = term.drawn, term.scale()
    name = f"{target}: {term.name}" if target else term.name
    axes.set_title(short(f"{name}   {term.known}", 38), loc="left", fontsize=8.5, **PLAIN)
    for _, value in term.truths:
        axes.axvline(value, color=TRUTH, lw=3, alpha=0.4)
    for k, estimate in enumerate(shown):
        colour, mark = _look(estimate.group)[0], _mark(estimate.group)
        if estimate.has_interval:
            axes.plot([estimate.low, estimate.high], [k, k], color=colour, lw=1.5)
        axes.plot(estimate.value, k, mark, ms=5, mew=0.5, color=colour)
    axes.set(xlim=(scale.low, scale.high), ylim=(len(shown) - 0.4, -0.6))
    few = shown[:: -(-len(shown) // 12) or 1]
    axes.set_yticks([shown.index(e) for e in few], [str(e.group + 1) for e in few], fontsize=7)
    ticks = scale.ticks(3)
    axes.set_xticks(ticks, [number(tick, 1e6) for tick in ticks], fontsize=7.5)


def _heat_map(axes: Any, shown: Map) -> None:
    """The first panel of a metric; numbers where they have room."""
    panel, squares = shown.panels[0]
    title = f"{shown.metric} · {panel.title}" if panel.title else shown.metric
    lines = [short(title, 66), shown.over] if shown.over else [short(title, 66)]
    axes.set_title("\n".join(lines), loc="left", fontsize=9.5, **PLAIN)
    axes.imshow(
        [[to_rgb(square.colour or "#e4e7eb") for square in row] for row in squares], aspect="auto"
    )
    few = -(-len(panel.columns) // 10), -(-len(panel.rows) // 16)
    plain: dict[str, Any] = {"fontsize": 8, "parse_math": False}
    letters = int(4.9 / min(len(panel.columns), 10) / 0.08)
    columns = [short(name, letters) for name in panel.columns[:: few[0]]]
    axes.set_xticks(range(0, len(panel.columns), few[0]), columns, **plain)
    rows = [short(name, 7) for name in panel.rows[:: few[1]]]
    axes.set_yticks(range(0, len(panel.rows), few[1]), rows, **plain)
    axes.set_xlabel(short(panel.names[1], 60), fontsize=9, **PLAIN)
    axes.set_ylabel(short(panel.names[0], 40), fontsize=9, **PLAIN)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if few != (1, 1):
        return
    for i, row in enumerate(squares):
        for j, square in enumerate(row):
            text = short(square.said, letters)
            if square.mean is not None:
                text = f"{brief(square.mean)}\n{text}".rstrip()
            axes.text(j, i, text, color=square.ink or INK, ha="center", va="center", **plain)


def _called(k: int, group: Group) -> str:
    """A group in the key: its number, its name, how many runs it has."""
    text = f"{k + 1}  {_within(clean(group.name), 400)}"
    if len(group.runs) == 1:
        return text
    seeds = f"  ({plural(len(group.runs), 'seed')})"
    return text + seeds.replace(" ", "\N{NO-BREAK SPACE}")


def _within(text: str, room: int) -> str:
    """At most so many letters, cut in the middle."""
    return text if len(text) <= room else f"{text[: room // 2]} … {text[-(room // 2) :]}"


def _wrapped(text: str, inches: float) -> list[str]:
    return textwrap.wrap(text, max(int(inches / LETTER), 8)) or [""]


def _key(groups: list[Group]) -> tuple[int, list[list[str]]]:
    """In how many columns the groups are listed, and the lines of each that has room."""
    called = [(_called(k, group), short(group.mark, 60)) for k, group in enumerate(groups)]
    longest = max((len(text) for text, _ in called), default=0)
    columns = next((n for n in (3, 2) if longest <= (11.2 / n - 0.5) / LETTER), 1)
    room = 9.4 if columns == 1 else 11.2 / columns - 0.5
    lines = []
    for text, mark in called:
        lines.append(_wrapped(text, room))
        if mark and len(lines[-1][-1]) + len(mark) + 2 > room / LETTER:
            lines[-1].append("")
    most = max(LINES * columns // max(map(len, lines), default=1), 1)
    return columns, lines[:most]


def comparison(found: Comparison) -> Figure:
    """Groups of runs side by side: curves over the data, learning curves, coefficients.

    As on the page, whose colours, dashes, marks and numbers these are; at most 6 charts, of which
    the first is a sweep's heat map, and 12 terms.
    """
    heat = [shown for sweep in found.sweeps for shown in by_metric(sweep.panels)][:1]
    charts: list[Chart | Map] = [*heat, *(c for c in found.charts if c.curves or c.points)]
    charts = charts[:CHARTS]
    several = len(found.coefficients) > 1
    terms = [
        (term, of.target if several else "")
        for of in found.coefficients
        for term in of.terms
        if term.estimates
    ][:TERMS]
    columns, key = _key(list(found.groups))
    said = [(f"All: {clean(found.shared)}", QUIET)] if found.shared else []
    said += [(f"Warning: {clean(warning.text)}", BAD) for warning in found.warnings]
    above = [(line, colour) for text, colour in said for line in _wrapped(text, 9.8)[:3]]
    # All lengths are inches.
    lines = -(-len(charts) // 2)
    most = max([len(term.estimates) for term, _ in terms], default=0)
    high = 0.35 + 0.13 * min(max(most, 4), 24)
    rows, keys = -(-len(terms) // 4), -(-len(key) // columns)
    starts = [0.0]  # of the rows of the key
    for row in range(keys):
        starts.append(starts[-1] + 0.05 + 0.17 * max(map(len, key[row::keys])))
    left_out = len(found.groups) - len(key)
    width, wide = 12.0, 4.8
    top = 0.55 + 0.21 * len(above)
    head = top + starts[-1] + (0.25 if left_out else 0)
    height = head + 4.3 * lines + rows * (high + 0.55) + 0.2
    figure = Figure(figsize=(width, height), dpi=100)
    plain = PLAIN | {"va": "center"}
    figure.text(0.04, 1 - 0.3 / height, short(found.title), fontsize=13, **plain)
    for k, (line, colour) in enumerate(above):
        y = 1 - (0.6 + 0.21 * k) / height
        figure.text(0.04, y, line, fontsize=9, **plain | {"color": colour})
    for k, text in enumerate(key):
        colour, dash = _look(k)
        left = 0.04 + 11.2 / columns / width * (k // keys)
        y = 1 - (top + 0.1 + starts[k % keys]) / height
        style: dict[str, Any] = {"color": colour, "lw": 1.8, "ls": dash, "marker": _mark(k)}
        x = [left, left + 0.014, left + 0.028]
        figure.add_artist(Line2D(x, [y] * 3, markevery=[1], ms=5.5, mew=0.5, **style))
        for i, part in enumerate(text):
            last = figure.text(left + 0.035, y - 0.17 * i / height, part, fontsize=9, **plain)
        if found.groups[k].mark:  # beside the last line, wherever that ends
            ended = Annotation(
                short(found.groups[k].mark, 60), (1, 0.5), (6 if text[-1] else 0, 0), xycoords=last,
                textcoords="offset points", va="center", fontsize=8, weight="bold", color=BAD,
                parse_math=False, annotation_clip=False,
            )  # fmt: skip
            figure.add_artist(ended)
    if left_out:
        y = 1 - (top + 0.1 + starts[-1]) / height
        figure.text(0.04, y, f"and {left_out} more, in the page", fontsize=9, **plain)
    for k, chart in enumerate(charts):
        foot = height - head - 4.3 * (k // 2 + 1) + 0.75
        box = (0.8 + (k % 2) * (wide + 1.0)) / width, foot / height, wide / width, 3.1 / height
        axes = figure.add_axes(box)
        if isinstance(chart, Map):
            _heat_map(axes, chart)
        else:
            _side_by_side(axes, chart)
            frame(axes)
    for k, (term, target) in enumerate(terms):
        foot = height - head - 4.3 * lines - (k // 4 + 1) * (high + 0.55) + 0.3
        box = (0.55 + (k % 4) * 2.87) / width, foot / height, 2.45 / width, high / height
        axes = figure.add_axes(box)
        _beside_truth(axes, term, target)
        frame(axes)
    return figure
