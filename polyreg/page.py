"""Runs side by side, as one HTML page that needs nothing else: no network, no library, no script.

Charts are inline SVG stretched to their box (lines and dots keep their size), and their labels are
HTML, so that they are as readable on a phone as on a wide screen. What is somebody's text is
escaped, and the page's own policy runs no script but the one that is written here.
"""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

# Six colours apart for normal, red-blind and green-blind eyes (12 in CIELAB at least), at 3:1 on
# their paper; seven dashes, so that 42 runs differ, and lines under others show through.
LIGHT = ("#1f5fbf", "#d35f00", "#00876c", "#c0489f", "#5b4a00", "#2b97c8")
DARK = ("#5b9bff", "#ff8f3a", "#2fa683", "#f29ad6", "#f5e37a", "#8fe3ff")
DASHES = ((), (7, 3), (2, 3), (11, 3, 2, 3), (14, 4), (6, 2, 2, 2, 2, 2), (4, 2))
BANDS = 12  # curves up to which their bands are drawn
NUMBERED = 24  # curves up to which a number stands at the end of each
DIGITS = 6
INFINITE = 1.797e308  # what MLflow stores for inf
DOTS = (  # a table's points: dot, square, ring, frame; stroke width of the ink, of the hole
    ("round", 4.5, 0),
    ("square", 4, 0),
    ("round", 6.5, 4),
    ("square", 6, 3.5),
)


class Run(NamedTuple):
    name: str
    id: str
    kind: str
    status: str
    started: str
    data: str  # letter of what it saw; empty: not known
    note: str = ""


class Curve(NamedTuple):
    run: int | None  # None: the truth
    x: np.ndarray  # (n,), increasing
    y: np.ndarray
    low: np.ndarray | None = None  # of its band
    high: np.ndarray | None = None


class Points(NamedTuple):
    label: str
    x: np.ndarray
    y: np.ndarray
    look: int = 0  # which of DOTS
    run: int | None = None  # whose they are; None: of the data


class Chart(NamedTuple):
    title: str
    names: tuple[str, str]  # of x and y
    curves: Sequence[Curve] = ()
    points: Sequence[Points] = ()
    log: tuple[bool, bool] = (False, False)
    diagonal: bool = False
    note: str = ""


class Estimate(NamedTuple):
    run: int
    value: float
    low: float = math.nan
    high: float = math.nan


class Term(NamedTuple):
    name: str
    truths: Sequence[tuple[str, float]]  # what it is called, its value
    estimates: Sequence[Estimate]


class Coefficients(NamedTuple):
    title: str
    terms: Sequence[Term]
    note: str = ""
    drawn: int = 24  # of them
    target: str = ""


class Row(NamedTuple):
    name: str
    cells: Sequence[str | float | None]  # one a run
    best: frozenset[int] = frozenset()


class Table(NamedTuple):
    title: str
    rows: Sequence[Row]
    note: str = ""
    folded: bool = False


class Warned(NamedTuple):
    text: str
    lines: Sequence[str] = ()


class Comparison(NamedTuple):
    title: str
    runs: Sequence[Run]
    warnings: Sequence[Warned]
    notes: Sequence[str]
    charts: Sequence[Chart]
    coefficients: Sequence[Coefficients]
    tables: Sequence[Table]


def number(value: float) -> str:
    """Six significant digits: 0.000123457 is 1.23457e-4."""
    if math.isnan(value) or abs(value) >= INFINITE:
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < 10**DIGITS:
        return f"{int(value)}"
    size = abs(value)
    if 1e-3 <= size < 1e9:
        return f"{value:.{DIGITS}g}" if size < 10**DIGITS else f"{value:.0f}"
    digits, _, exponent = f"{value:.{DIGITS - 1}e}".partition("e")
    return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"


def clean(text: str) -> str:
    """Somebody's text as one line that UTF-8 and HTML can hold, not escaped."""
    text = re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", "�", text)
    return " ".join(text.split())


def short(text: str, room: int = 60) -> str:
    text = clean(text)
    return text if len(text) <= room else text[: room - 1] + "…"


def _e(text: str, room: int = 200) -> str:
    return html.escape(short(text, room))


class Scale(NamedTuple):
    """Where values lie on an axis, as parts of its length."""

    low: float
    high: float
    log: bool = False

    def at(self, values: np.ndarray | float) -> np.ndarray:
        with np.errstate(all="ignore"):
            v = np.asarray(values, float)
            v, low, high = (self._plain(a) for a in (v, self.low, self.high))
            return (v / 2 - low / 2) / (high / 2 - low / 2)

    def _plain(self, v):
        return np.log10(np.where(np.asarray(v) > 0, v, np.nan)) if self.log else v

    @classmethod
    def over(cls, values: np.ndarray, log: bool = False, pad: float = 0.04) -> "Scale":
        """Around all the values that are finite (and positive, for a log axis)."""
        kept = values[np.isfinite(values) & (abs(values) < 1e300)]
        kept = kept[kept > 1e-300] if log else kept
        if not kept.size:
            return cls(0.1, 1, True) if log else cls(0, 1)
        low, high = float(kept.min()), float(kept.max())
        if log:
            low, high = math.log10(low), math.log10(high)
            room = pad * (high - low) if high - low > 1e-6 else 0.3  # decades
            return cls(10 ** max(low - room, -307), 10 ** min(high + room, 308), True)
        room = pad * (high - low)
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            room = max(abs(low), abs(high)) * 0.1 or 1.0
        return cls(low - room, high + room)

    def ticks(self, most: int = 5) -> list[float]:
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
            if len(powers) > 2:
                return [10.0**p for p in powers if p % -(-len(powers) // most) == 0]
            around = range(math.floor(low), math.ceil(high) + 1)
            fine = [f * 10.0**p for p in around for f in (1, 2, 5)]
            fine = [t for t in fine if self.low <= t <= self.high]
            if len(fine) > 1:
                return fine
        span = self.high - self.low
        step = 10.0 ** math.floor(math.log10(span / most))
        step *= next(f for f in (1, 2, 5, 10) if span / (f * step) <= most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        found = [k * step for k in range(first, last + 1)]
        return found if len(found) > 1 or most > 8 else self.ticks(most + 2)


def scales(chart: Chart) -> tuple[Scale, Scale]:
    """The axes of a chart: all of its points and curves, but of y at most three times the data's.

    A curve that runs away from the data is cut.
    """
    lines, dots = chart.curves, chart.points
    x = np.concatenate([np.empty(0), *(c.x for c in lines), *(p.x for p in dots)])
    parts = [a for c in lines for a in (c.y, c.low, c.high) if a is not None]
    y = np.concatenate([np.empty(0), *parts])
    seen = np.concatenate([np.empty(0), *(p.y for p in dots)])
    seen = seen[np.isfinite(seen)]
    if seen.size and not chart.log[1]:
        room = float(np.ptp(seen)) or math.inf
        y = y[(y >= seen.min() - room) & (y <= seen.max() + room)]
    if chart.diagonal:
        x = y = np.concatenate([x, y, seen])
    across = Scale.over(x, chart.log[0], 0.04 if dots and not lines else 0)
    return across, Scale.over(np.concatenate([y, seen]), chart.log[1])


def _n(value: float) -> str:
    """A coordinate, of a thousand."""
    return f"{value:.1f}".removesuffix(".0").replace("-0.", "-.").removeprefix("0") or "0"


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Of parts of the box, y upwards; it breaks where something is not finite."""
    steps, pen = [], "M"
    for a, b in zip(x * 1000, (1 - y) * 1000, strict=True):
        if math.isfinite(a) and math.isfinite(b):
            steps.append(f"{pen}{_n(a)} {_n(min(max(b, -3000), 4000))}")
            pen = "L"
        else:
            pen = "M"
    return "".join(steps)


def _dots(x: np.ndarray, y: np.ndarray) -> str:
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    pairs = zip(x[inside] * 1000, (1 - y[inside]) * 1000, strict=True)
    return "".join(f"M{_n(a)} {_n(b)}h0" for a, b in pairs)


def _spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Heights near the wanted ones, at least so far apart, within [0, 100]."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed = list(wanted)
    for before, k in zip([None, *order], order, strict=False):
        if before is not None:
            placed[k] = max(placed[k], placed[before] + apart)
    for after, k in zip([None, *order[::-1]], order[::-1], strict=False):
        placed[k] = min(placed[k], 100 if after is None else placed[after] - apart)
    return placed


def ends(chart: Chart, across: Scale, up: Scale) -> Iterator[tuple[int, float, float, float]]:
    """Where each curve ends, in percent, and the height of its number: run, left, top, height."""
    found = []
    for curve in chart.curves:
        if curve.run is None:
            continue
        x, y = across.at(curve.x), up.at(curve.y)
        seen = np.flatnonzero(np.isfinite(x) & (y >= 0) & (y <= 1))
        if seen.size:
            found.append((curve.run, 100 * float(x[seen[-1]]), 100 - 100 * float(y[seen[-1]])))
    found.sort(key=lambda end: end[1])
    while found:  # those that end in one place share a column
        group = [end for end in found if end[1] < found[0][1] + 6]
        found = found[len(group) :]
        heights = _spread([top for _, _, top in group], min(5.5, 100 / len(group)))
        for (run, left, top), height in zip(group, heights, strict=True):
            yield run, left, top, height


def _axis(scale: Scale, most: int) -> list[tuple[float, str]]:
    return [(float(scale.at(tick)), number(float(f"{tick:.6g}"))) for tick in scale.ticks(most)]


def _drawing(chart: Chart, across: Scale, up: Scale) -> str:
    """The SVG of a chart."""
    grid = [f"M{_n(1000 * at)} 0V1000" for at, _ in _axis(across, 5)]
    grid += [f"M0 {_n(1000 - 1000 * at)}H1000" for at, _ in _axis(up, 7)]
    parts = [f'<path class="grid" d="{"".join(grid)}"/>']
    if chart.diagonal:
        parts.append('<path class="diagonal" d="M0 1000L1000 0"/>')
    for points in chart.points:
        d = _dots(across.at(points.x), up.at(points.y))
        own = "dots" if points.run is None else f"dots run r{points.run} s{points.run}"
        cap, ink, hole = DOTS[points.look % len(DOTS)]
        parts.append(
            f'<g class="{own}" stroke-linecap="{cap}"><path d="{d}" stroke-width="{ink}"/>'
            + (f'<path class="hole" d="{d}" stroke-width="{hole}"/>' if hole else "")
            + "</g>"
        )
    banded = [c for c in chart.curves if c.low is not None]
    for curve in chart.curves:
        x = across.at(curve.x)
        line = _path(x, up.at(curve.y)) + ("h12" if len(x) == 1 else "")
        if curve.run is None:
            parts.append(f'<path class="truth" d="{line}"/>')
            continue
        inside = ""
        if curve.low is not None and curve.high is not None and len(banded) <= BANDS:
            ring = np.concatenate([up.at(curve.low), up.at(curve.high)[::-1]])
            if np.isfinite(ring).all():
                d = _path(np.concatenate([x, x[::-1]]), ring)
                inside = f'<path class="band" d="{d}Z"/>'
        parts.append(
            f'<g class="run r{curve.run} s{curve.run}">{inside}<path class="line" d="{line}"/></g>'
        )
    return (
        '<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(parts)
        + "</svg>"
    )


def _chart(chart: Chart, runs: Sequence[Run]) -> str:
    across, up = scales(chart)
    labels = [
        f'<span class="tx" style="left:{100 * at:.2f}%">{text}</span>'
        for at, text in _axis(across, 5)
    ] + [
        f'<span class="ty" style="top:{100 - 100 * at:.2f}%">{text}</span>'
        for at, text in _axis(up, 7)
    ]
    drawn = {c.run for c in chart.curves if c.run is not None}
    leads = ""
    if len(drawn) <= NUMBERED:
        for run, left, top, height in ends(chart, across, up):
            labels.append(
                f'<span class="end run r{run} s{run}" style="left:{left:.2f}%;top:{height:.2f}%">'
                f"{run + 1}</span>"
            )
            leads += (
                f'<path class="lead run r{run} s{run}" d="M{_n(10 * left)} {_n(10 * top)}'
                f'L{_n(10 * left + 14)} {_n(10 * height)}"/>'
            )
    if leads:
        labels.append(
            '<svg class="leads" viewBox="0 0 1000 1000" preserveAspectRatio="none" '
            f'aria-hidden="true">{leads}</svg>'
        )
    x_name, y_name = (_e(name, 60) for name in chart.names)
    numbers = ", ".join(str(run + 1) for run in sorted(drawn)) or "none"
    about = f"{chart.title}: {chart.names[1]} against {chart.names[0]}; curves of runs {numbers}"
    legend = "".join(f"{_mark(points)} {_e(points.label, 90)}</span>" for points in chart.points)
    if any(c.run is None for c in chart.curves):
        legend += (
            '<span><svg class="key" viewBox="0 0 26 10" aria-hidden="true">'
            '<path class="truth" d="M1 5H25"/></svg> truth</span>'
        )
    if chart.diagonal:
        legend += "<span>grey line: observed = fitted</span>"
    note = f'<p class="note">{_e(chart.note, 600)}</p>' if chart.note else ""
    return (
        f'<figure class="chart"><figcaption>{_e(chart.title)}</figcaption>'
        f'<p class="axis-name">{y_name}{" (log axis)" if up.log else ""}</p>'
        f'<div class="plot" role="img" aria-label="{_e(about, 600)}" tabindex="0">'
        f"{_drawing(chart, across, up)}{''.join(labels)}"
        f'<script type="application/json">{_json(chart, across)}</script></div>'
        f'<p class="axis-name x">{x_name}{" (log axis)" if across.log else ""}</p>'
        f'<p class="legend">{legend}</p>{note}</figure>'
    )


def _json(chart: Chart, across: Scale) -> str:
    """What a pointer shows: the curves' numbers, to six digits. No text, so nothing to escape."""

    def rounded(values: np.ndarray) -> list[float | None]:
        return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]

    curves = [
        [c.run, *(rounded(a) for a in (c.x, c.y, c.low, c.high) if a is not None)]
        for c in chart.curves
    ]
    return json.dumps(
        {"x": [across.low, across.high, across.log], "curves": curves}, separators=(",", ":")
    )


def _mark(points: Points) -> str:
    """A point of the legend, left open for its name."""
    cap, ink, hole = DOTS[points.look % len(DOTS)]
    own = "" if points.run is None else f' class="run r{points.run} s{points.run}"'
    shape = "dots" if points.run is None else "dots run"
    inner = f'<path class="hole" d="M5 5h0" stroke-width="{hole}"/>' if hole else ""
    return (
        f'<span{own}><svg class="key {shape}" viewBox="0 0 10 10" aria-hidden="true">'
        f'<g stroke-linecap="{cap}"><path d="M5 5h0" stroke-width="{ink}"/>{inner}</g></svg>'
    )


def _swatch(run: int) -> str:
    line = '<path class="line" d="M1 5H25"/>'
    return f'<svg class="key s{run}" viewBox="0 0 26 10" aria-hidden="true">{line}</svg>'


def _strip(term: Term) -> str:
    """One coefficient of every run that has it, with its interval, beside the truth."""
    shown = [e for e in term.estimates if math.isfinite(e.value)]
    ends = [v for e in shown for v in (e.value, e.low, e.high)]
    scale = Scale.over(np.array(ends + [v for _, v in term.truths], float), pad=0.08)
    rows, labels = "", ""
    for k, e in enumerate(shown):
        y = 1000 * (k + 0.5) / len(shown)
        value, low, high = (1000 * float(scale.at(v)) for v in (e.value, e.low, e.high))
        bar = f"M{_n(low)} {_n(y)}H{_n(high)}" if math.isfinite(high - low) else ""
        rows += (
            f'<g class="run r{e.run} s{e.run}"><path class="bar" d="{bar}"/>'
            f'<path class="dot" d="M{_n(value)} {_n(y)}h0"/></g>'
        )
        labels += f'<span class="ty run r{e.run}" style="top:{y / 10:.2f}%">{e.run + 1}</span>'
    axis = _axis(scale, 3)
    grid = "".join(f"M{_n(1000 * at)} 0V1000" for at, _ in axis)
    truth = "".join(f"M{_n(1000 * float(scale.at(v)))} 0V1000" for _, v in term.truths)
    labels += "".join(
        f'<span class="tx" style="left:{100 * at:.2f}%">{text}</span>' for at, text in axis
    )
    known = ", ".join(f"{name} {number(value)}" for name, value in term.truths)
    known = f' <span class="known">{_e(known)}</span>' if known else ""
    return (
        f'<figure class="strip"><figcaption><b>{_e(term.name, 40)}</b>{known}</figcaption>'
        f'<div class="plot" style="height:{18 * max(len(shown), 1)}px">'
        '<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="grid" d="{grid}"/><path class="truth" d="{truth}"/>{rows}</svg>'
        f"{labels}</div></figure>"
    )


def _cell(value: str | float | None, best: bool = False) -> str:
    if value is None or value == "":
        return '<td class="none"><span title="not there">–</span></td>'
    if isinstance(value, str):
        return f'<td class="text">{_e(value, 80)}</td>'
    star = ' <span class="star" role="img" aria-label="best" title="best">★</span>' if best else ""
    kind = "number best" if best else "number"
    return f'<td class="{kind}">{number(value)}{star}</td>'


def _scrolled(
    caption: str, head: str, rows: Sequence[str], note: str = "", kind: str = "of-runs"
) -> str:
    below = f'<p class="note">{_e(note, 600)}</p>' if note else ""
    return (
        f'<div class="scroll" role="region" aria-label="{_e(caption)}" tabindex="0">'
        f'<table class="{kind}"><caption>{_e(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{below}"
    )


def _heads(runs: Sequence[Run], which: Sequence[int] | None = None) -> str:
    return "".join(
        f'<th scope="col" class="of">{_swatch(k)} <b>{k + 1}</b> '
        f'<span class="name">{_e(runs[k].name, 40)}</span></th>'
        for k in (range(len(runs)) if which is None else which)
    )


def _table(table: Table, runs: Sequence[Run]) -> str:
    rows = [
        f'<tr><th scope="row">{_e(row.name, 60)}</th>'
        + "".join(_cell(cell, k in row.best) for k, cell in enumerate(row.cells))
        + "</tr>"
        for row in table.rows
    ]
    made = _scrolled(table.title, f'<th scope="col">name</th>{_heads(runs)}', rows, table.note)
    if table.folded:
        return f"<details><summary>{_e(table.title)}</summary>{made}</details>"
    return made


def _coefficients(group: Coefficients, runs: Sequence[Run]) -> str:
    which = sorted({e.run for term in group.terms for e in term.estimates})
    truths = list(dict.fromkeys(name for term in group.terms for name, _ in term.truths))
    head = '<th scope="col">term</th>'
    head += "".join(f'<th scope="col" class="of">{_e(name)}</th>' for name in truths) + _heads(
        runs, which
    )
    rows = []
    for term in group.terms:
        known, found = dict(term.truths), {e.run: e for e in term.estimates}
        cells = "".join(_cell(known.get(name)) for name in truths)
        for run in which:
            e = found.get(run)
            if e is None:
                cells += _cell(None)
                continue
            interval = (
                f'<br><span class="interval">{number(e.low)} to {number(e.high)}</span>'
                if math.isfinite(e.low) and math.isfinite(e.high)
                else ""
            )
            cells += f'<td class="number"><span>{number(e.value)}</span>{interval}</td>'
        rows.append(f'<tr><th scope="row">{_e(term.name, 60)}</th>{cells}</tr>')
    strips = "".join(_strip(term) for term in group.terms[: group.drawn] if term.estimates)
    return f'<div class="strips">{strips}</div>' + _scrolled(group.title, head, rows, group.note)


def _runs(runs: Sequence[Run]) -> str:
    names = ("name", "kind", "status", "started (UTC)", "data", "run id", "note")
    head = '<th scope="col">run</th>' + "".join(f'<th scope="col">{n}</th>' for n in names)
    rows = [
        f'<tr><th scope="row">{_swatch(k)} {k + 1}</th><td class="name">{_e(run.name)}</td>'
        + "".join(_cell(cell) for cell in (run.kind, run.status, run.started, run.data))
        + f'<td class="id">{_e(run.id)}</td><td class="remark">{_e(run.note, 300)}</td></tr>'
        for k, run in enumerate(runs)
    ]
    return _scrolled("The runs", head, rows, kind="the-runs")


def _chips(runs: Sequence[Run]) -> str:
    chips = "".join(
        f'<li><label class="chip" id="k{k}"><input type="checkbox" id="c{k}" checked>{_swatch(k)}'
        f'<b>{k + 1}</b> <span class="name">{_e(run.name, 48)}</span></label></li>'
        for k, run in enumerate(runs)
    )
    return (
        '<nav aria-label="Runs shown in the charts"><ul class="chips">'
        f'{chips}<li class="scripted"><button type="button" id="all">all / none</button></li>'
        "</ul></nav>"
    )


def _rules(count: int) -> str:
    """Each run's look, and what its box does: it hides the run, pointing at it fades the others."""
    rules = []
    for k in range(count):
        dash = " ".join(map(str, DASHES[k % len(DASHES)])) or "none"
        rules.append(
            f".s{k}{{--c:var(--p{k % len(LIGHT)});--d:{dash}}}"
            f"body:has(#c{k}:not(:checked)) .r{k}{{display:none}}"
            f"body:has(#k{k}:hover) .run:not(.r{k}){{opacity:.12}}"
        )
    return "".join(rules)


def _palette(colours: Sequence[str]) -> str:
    return "".join(f"--p{k}:{colour};" for k, colour in enumerate(colours))


def render(comparison: Comparison) -> str:
    """The page, whole."""
    runs = comparison.runs
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )
    style = STYLE.replace("/*light*/", _palette(LIGHT)).replace("/*dark*/", _palette(DARK))
    warnings = "".join(
        f'<div class="warning" role="note"><p><b>⚠ Warning.</b> {_e(warning.text, 1000)}</p><ul>'
        f"{''.join(f'<li>{_e(line, 1000)}</li>' for line in warning.lines)}</ul></div>"
        for warning in comparison.warnings
    )
    notes = "".join(f"<li>{_e(note, 1000)}</li>" for note in comparison.notes)
    sections = [
        ("Curves", "".join(_chart(chart, runs) for chart in comparison.charts), "charts"),
        ("Coefficients", "".join(_coefficients(g, runs) for g in comparison.coefficients), ""),
        ("Numbers", "".join(_table(table, runs) for table in comparison.tables), ""),
        ("Runs", _runs(runs), ""),
    ]
    body = "".join(
        f'<section><h2>{title}</h2><div class="{kind}">{content}</div></section>'
        for title, content, kind in sections
        if content
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<title>{_e(comparison.title)}</title>
<link rel="icon" href="data:,">
<style>{style}{_rules(len(runs))}</style>
</head>
<body>
<header><h1>{_e(comparison.title)}</h1>
<p>{len(runs)} run{"s" * (len(runs) != 1)}, by polyreg. Untick a run to take it out of the charts;
point at a curve, or tap, for its numbers.</p></header>
<main>
{warnings}{f'<ul class="notes">{notes}</ul>' if notes else ""}
{_chips(runs)}
{body}
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""


STYLE = """
:root{color-scheme:light dark;--paper:#fff;--card:#f7f8fa;--ink:#17202a;--quiet:#56636f;
--line:#dde2e8;--dot:#7d8b99;--truth:#e0a3a3;--warn:#fff4d6;--warn-line:#b97900;--good:#e4f4ea;
--star:#17693a;/*light*/}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--card:#1a2028;--ink:#e8ecf1;
--quiet:#a3b0bd;--line:#303a45;--dot:#75828f;--truth:#8a4a4a;--warn:#33290f;--warn-line:#e0a52e;
--good:#173324;--star:#7fe0a5;/*dark*/}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:1760px;padding:16px;background:var(--paper);color:var(--ink);
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;
overflow-wrap:break-word}
h1{font-size:1.5rem;line-height:1.2;margin:.2em 0}
h2{font-size:1.15rem;margin:28px 0 10px}
header p,.note,.axis-name,.legend,.known{color:var(--quiet)}
header p{margin:.2em 0 1em}
.name,.id,caption{unicode-bidi:isolate}
.warning{background:var(--warn);border:1px solid var(--warn-line);border-left-width:6px;
border-radius:8px;padding:8px 14px;margin:10px 0}
.warning :is(p,ul){margin:0}.warning ul{padding-left:1.4em;columns:24em}
.notes{margin:8px 0;padding-left:1.2em;color:var(--quiet)}
nav{position:sticky;top:0;z-index:5;background:var(--paper);padding:6px 0;
border-bottom:1px solid var(--line);max-height:24vh;overflow-y:auto}
.chips{display:flex;flex-wrap:wrap;gap:6px;list-style:none;margin:0;padding:0}
.chip,button{display:inline-flex;align-items:center;gap:6px;border:1px solid var(--line);
border-radius:999px;padding:4px 11px 4px 8px;background:var(--card);font:inherit;font-size:.87rem;
color:inherit;cursor:pointer;min-height:30px}
.chip:hover,button:hover{border-color:var(--quiet)}
.chip:has(input:not(:checked)) .name{text-decoration:line-through;color:var(--quiet)}
.chip:has(:focus-visible),:focus-visible{outline:3px solid var(--p0);outline-offset:2px}
.chip input{margin:0;accent-color:var(--quiet)}
.scripted{display:none}
.key{width:26px;height:10px;vertical-align:middle;flex:none}
.key.dots{width:10px}
.charts{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr))}
figure{margin:0;min-width:0}
.chart{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px 14px 8px}
figcaption{font-weight:600}
.strip figcaption{font-weight:400}
.axis-name{margin:2px 0 6px;font-size:.82rem}
.axis-name.x{text-align:right;margin:24px 34px 2px 0}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:2px 0;font-size:.82rem}
.note{margin:6px 0;font-size:.87rem;max-width:80ch}
.plot{position:relative;margin:4px 34px 0 58px;touch-action:pan-y}
.chart .plot{height:clamp(270px,30vw,460px)}
.plot svg{position:absolute;inset:0;width:100%;height:100%}
.plot>svg:first-child{overflow:hidden;border-left:1px solid var(--quiet);
border-bottom:1px solid var(--quiet)}
.strip .plot>svg:first-child{overflow:visible;border-left:0}
.plot .leads{overflow:visible;pointer-events:none}
path{vector-effect:non-scaling-stroke;fill:none}
.grid{stroke:var(--line);stroke-width:1}
.line{stroke:var(--c);stroke-width:2.2;stroke-dasharray:var(--d)}
.band{fill:var(--c);opacity:.16}
.truth{stroke:var(--truth);stroke-width:7;stroke-linecap:round}
.strip .truth{stroke-width:3;stroke-linecap:butt}
.diagonal{stroke:var(--dot);stroke-width:1.5}
.dots path{stroke:var(--dot)}
.dots.run path{stroke:var(--c);opacity:.75}
.dots path.hole,.dots.run path.hole{stroke:var(--card);opacity:1}
.lead{stroke:var(--c);stroke-width:1}
.bar{stroke:var(--c);stroke-width:2}
.dot{stroke:var(--c);stroke-width:8;stroke-linecap:round}
.tx,.ty,.end{position:absolute;font-size:12px;line-height:1;white-space:nowrap;color:var(--quiet);
font-variant-numeric:tabular-nums}
.tx{top:100%;transform:translate(-50%,7px)}
.ty{right:100%;transform:translate(-7px,-50%)}
.end{transform:translate(9px,-50%);color:var(--ink);font-weight:600;padding:0 2px;
border-bottom:2px solid var(--c)}
.strips{display:grid;gap:26px 18px;margin:8px 0 34px;
grid-template-columns:repeat(auto-fill,minmax(min(100%,max(150px,15vw)),1fr))}
.strip .plot{margin:6px 14px 20px 26px}
.known{font-size:.87rem}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:10px;margin:12px 0 4px;
max-width:100%}
table{border-collapse:separate;border-spacing:0;width:100%;font-variant-numeric:tabular-nums;
}
caption{text-align:left;font-weight:600;padding:10px 12px 6px}
th,td{padding:6px 12px;text-align:left;vertical-align:top;border-top:1px solid var(--line)}
thead th{font-size:.87rem;vertical-align:bottom;font-weight:400}
thead th .name{display:block;width:max-content;max-width:10em}
th:first-child{position:sticky;left:0;background:var(--paper);font-weight:600;z-index:1;
border-right:1px solid var(--line);max-width:38vw}
td{max-width:26em}
.number{text-align:right;white-space:nowrap}
.of-runs .text{text-align:right}
.of{text-align:right}
.of .name{margin-left:auto}
.none{text-align:right;color:var(--quiet)}
.interval{font-size:.8rem;color:var(--quiet)}
.best{background:var(--good);font-weight:600}
.star{color:var(--star)}
.id{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.8rem;white-space:nowrap}
.the-runs :is(th,td){white-space:nowrap}
.the-runs :is(td.name,.remark){min-width:13em;white-space:normal;overflow-wrap:anywhere}
details{margin:12px 0}summary{cursor:pointer;padding:4px 0}
.rule{position:absolute;top:0;bottom:0;width:1px;background:var(--ink);opacity:.5;
pointer-events:none}
.tip{position:absolute;top:4px;z-index:4;background:var(--paper);border:1px solid var(--quiet);
border-radius:8px;padding:6px 9px;font-size:12.5px;line-height:1.5;pointer-events:none;
white-space:nowrap;box-shadow:0 3px 14px #0004;font-variant-numeric:tabular-nums;max-width:96%;
overflow:hidden}
.tip .key{width:20px;margin-right:5px;position:static;height:8px}
@media (max-width:700px){body{padding:12px}nav{margin:0 -12px;padding:6px 12px}
.chips{flex-wrap:nowrap;overflow-x:auto;padding:3px}.chips li{flex:none}
.chip .name{max-width:12em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.chart{padding:10px 8px 6px}.plot{margin-right:28px;margin-left:46px}th,td{padding:6px 9px}}
@media print{nav{position:static}.scroll{overflow:visible}}
"""

SCRIPT = """
"use strict";
const all = [...document.querySelectorAll(".chip input")];
document.querySelector(".scripted").style.display = "block";
document.getElementById("all").onclick = () => {
  const on = !all.every(box => box.checked);
  for (const box of all) box.checked = on;
};
const digits = v => {
  const size = Math.abs(v);
  if (v === 0 || (size >= 1e-3 && size < 1e9)) return String(Number(v.toPrecision(6)));
  return v.toExponential(5).replace(/\\.?0*e\\+?/, "e");
};
const make = (name, parent) => {
  const made = document.createElement("div");
  made.className = name;
  made.hidden = true;
  parent.append(made);
  return made;
};
for (const plot of document.querySelectorAll(".chart .plot")) {
  const {x: [low, high, log], curves} = JSON.parse(plot.querySelector("script").textContent);
  if (!curves.length) continue;
  const rule = make("rule", plot), tip = make("tip", plot);
  let at = 0.5;
  const to = v => log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low);
  const show = () => {
    const lines = [];
    let near = null;
    for (const [run, xs, ys, lows, highs] of curves) {
      if (run !== null && !all[run].checked) continue;
      const first = to(xs[0]), last = to(xs[xs.length - 1]);
      if (at < first - 0.02 || at > last + 0.02) continue;
      let k = 0;
      xs.forEach((v, i) => { if (Math.abs(to(v) - at) < Math.abs(to(xs[k]) - at)) k = i; });
      if (near === null || Math.abs(to(xs[k]) - at) < Math.abs(to(near) - at)) near = xs[k];
      if (ys[k] !== null) lines.push([run, ys[k], lows && lows[k], highs && highs[k], xs[k]]);
    }
    rule.hidden = tip.hidden = near === null;
    if (near === null) return;
    rule.style.left = `${100 * to(near)}%`;
    tip.replaceChildren(`at ${digits(near)}`);
    for (const [run, y, a, b, x] of lines.slice(0, 16)) {
      const line = document.createElement("div");
      if (run !== null) line.append(document.querySelector(`#k${run} svg`).cloneNode(true));
      const name = run === null ? "truth" : run + 1;
      let text = `${name}:  ${digits(y)}`;
      if (a != null && b != null) text += `  (${digits(a)} to ${digits(b)})`;
      if (x !== near && log) text += `  at ${digits(x)}`;
      line.append(text);
      tip.append(line);
    }
    if (lines.length > 16) tip.append(`and ${lines.length - 16} more`);
    const right = to(near) < 0.5;
    tip.style.left = right ? "auto" : "2%";
    tip.style.right = right ? "2%" : "auto";
  };
  const point = event => {
    const box = plot.getBoundingClientRect();
    at = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    show();
  };
  const hide = () => { rule.hidden = tip.hidden = true; };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") hide(); });
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", event => {
    const step = {ArrowLeft: -0.02, ArrowRight: 0.02}[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    at = Math.min(1, Math.max(0, at + step));
    show();
  });
}
"""
