"""Runs side by side, as one HTML page that needs nothing else: no network, no library, no script.

Charts are inline SVG stretched to their box (lines and dots keep their size), and their labels are
HTML, so that they are as readable on a phone as on a wide screen. What is somebody's text is
escaped, and the page's own policy runs no script but page.js.
"""

import base64
import hashlib
import math
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from polyreg.reports.chart import (
    DARK,
    DASHES,
    LIGHT,
    Chart,
    Comparison,
    Curve,
    Scale,
    Term,
    ends,
    scales,
)
from polyreg.text import number, plural, short

FOLDER = Path(__file__).parent / "templates"
STYLE, SCRIPT = ((FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))


def render(comparison: Comparison) -> str:
    """The page, whole."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return _template().render(page=comparison, style=STYLE, script=SCRIPT, digest=digest)


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    texts = {"number": number, "plural": plural, "short": short}
    environment.filters |= texts | {"place": place, "percent": "{:.2%}".format}
    environment.globals |= {"LIGHT": LIGHT, "DARK": DARK, "DASHES": DASHES}
    drawing = (about, axis, band, ends, estimates, grid, line, points, scales, told, truths)
    environment.globals |= {function.__name__: function for function in drawing}
    return environment.get_template("page.html")


def place(part: float) -> str:
    """A part of the box in thousandths, which are its units: 0.5 is 500, -0.0001 is -.1."""
    return f"{1000 * part:.1f}".removesuffix(".0").replace("-0.", "-.").removeprefix("0") or "0"


def axis(scale: Scale, most: int) -> list[tuple[float, str]]:
    """What is written where: parts of the axis, and numbers."""
    return [(float(scale.at(tick)), number(tick)) for tick in scale.ticks(most)]


def grid(across: Iterable[float], up: Iterable[float] = ()) -> str:
    """Lines through the whole box, upright and level."""
    upright = "".join(f"M{place(at)} 0V1000" for at in across)
    return upright + "".join(f"M0 {place(1 - at)}H1000" for at in up)


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Of parts of the box, y upwards; it breaks where something is not finite."""
    steps, pen = [], "M"
    for a, b in zip(x, 1 - y, strict=True):
        if math.isfinite(a) and math.isfinite(b):
            steps.append(f"{pen}{place(a)} {place(min(max(b, -3), 4))}")
            pen = "L"
        else:
            pen = "M"
    return "".join(steps)


def line(curve: Curve, across: Scale, up: Scale) -> str:
    """The path of a curve; of a single point, a dash."""
    return _path(across.at(curve.x), up.at(curve.y)) + ("h12" if len(curve.x) == 1 else "")


def band(curve: Curve, across: Scale, up: Scale) -> str:
    """The closed path around a curve's band; empty where it has none, or not a finite one."""
    if curve.low is None or curve.high is None:
        return ""
    x, ring = across.at(curve.x), np.concatenate([up.at(curve.low), up.at(curve.high)[::-1]])
    return _path(np.concatenate([x, x[::-1]]), ring) + "Z" if np.isfinite(ring).all() else ""


def points(x: np.ndarray, y: np.ndarray) -> str:
    """Of parts of the box, those inside: lines without length, of which their caps are seen."""
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    pairs = zip(x[inside], 1 - y[inside], strict=True)
    return "".join(f"M{place(a)} {place(b)}h0" for a, b in pairs)


def estimates(term: Term, scale: Scale) -> Iterator[tuple[int, float, str, str]]:
    """Of each run: its number, how far down it stands, the path of its interval, of its dot."""
    for k, estimate in enumerate(term.drawn):
        down = (k + 0.5) / len(term.drawn)
        value, low, high = (float(scale.at(v)) for v in estimate[1:])
        bar = f"M{place(low)} {place(down)}H{place(high)}" if math.isfinite(high - low) else ""
        yield estimate.run, down, bar, f"M{place(value)} {place(down)}h0"


def truths(term: Term, scale: Scale) -> str:
    return grid(float(scale.at(value)) for _, value in term.truths)


def about(chart: Chart) -> str:
    """A chart in words, for those who do not see it."""
    runs = ", ".join(str(run + 1) for run in chart.runs) or "none"
    return f"{chart.title}: {chart.names[1]} against {chart.names[0]}; curves of runs {runs}"


def told(chart: Chart, across: Scale) -> dict[str, list]:
    """What a pointer shows: the curves' numbers, to six digits."""

    def rounded(values: np.ndarray) -> list[float | None]:
        return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]

    return {
        "x": [across.low, across.high, across.log],
        "curves": [
            [c.run, *(rounded(a) for a in (c.x, c.y, c.low, c.high) if a is not None)]
            for c in chart.curves
        ],
    }
