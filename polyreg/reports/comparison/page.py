"""Groups of runs side by side, as one HTML page that needs nothing else: no network, no library.

Charts are inline SVG stretched to their box (lines and dots keep their size), and their labels and
marks are HTML, so that they are as readable on a phone as on a wide screen. What is somebody's text
is escaped, and the page's own policy runs no script but page.js; without it the boxes still work.
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
    MARKS,
    NUMBERED,
    Chart,
    Column,
    Comparison,
    Curve,
    Group,
    Scale,
    Term,
    ends,
    scales,
)
from polyreg.reports.heat import VIRIDIS, by_metric
from polyreg.text import brief, clean, number, plural, precise, short

FOLDER = Path(__file__).parent / "templates"
STYLE, SCRIPT = ((FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
OWN = (30, 60)  # points of a run's own curve, which is seen on request: the least and the most
OWN_OF_A_CHART = 6000  # where those are more than a hundred
TOLD = 8000  # numbers of a chart that a pointer can read


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
    texts = {
        "number": number,
        "precise": precise,
        "brief": brief,
        "plural": plural,
        "short": short,
        "clean": clean,
    }
    environment.filters |= texts | {"place": place, "percent": "{:.2%}".format}
    looks = {"LIGHT": LIGHT, "DARK": DARK, "DASHES": DASHES, "MARKS": MARKS, "VIRIDIS": VIRIDIS}
    environment.globals |= looks | {"nan": math.nan, "NUMBERED": NUMBERED}
    environment.tests["finite"] = math.isfinite
    drawing = (
        about, axis, band, by_metric, ends, estimates, grid, is_number, line, notes,
        own, points, scales, spread, told, truths,
    )  # fmt: skip
    environment.globals |= {function.__name__: function for function in drawing}
    return environment.get_template("page.html")


def place(part: float) -> str:
    """A part of the box in thousandths, which are its units: 0.5 is 500, -0.0001 is -.1."""
    return _tenths(round(10000 * part))


@cache
def _tenths(tenths: int) -> str:
    return f"{tenths / 10:.1f}".removesuffix(".0").replace("-0.", "-.").removeprefix("0") or "0"


def axis(scale: Scale, most: int) -> list[tuple[float, str]]:
    """What is written where: parts of the axis, and numbers."""
    return [(float(scale.at(tick)), number(tick, 1e6)) for tick in scale.ticks(most)]


def grid(across: Iterable[float], up: Iterable[float] = ()) -> str:
    """Lines through the whole box, upright and level."""
    upright = "".join(f"M{place(at)} 0V1000" for at in across)
    return upright + "".join(f"M0 {place(1 - at)}H1000" for at in up)


def _path(x: np.ndarray, y: np.ndarray, fine: int = 10) -> str:
    """Of parts of the box, y upwards; it breaks where something is not finite.

    By steps from point to point, which takes half as many letters; they add up to the places, which
    are whole parts (1/fine) of the box's units.
    """
    down = np.clip(1 - y, -3, 4)
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(down))
    if not kept.size:
        return ""
    at = np.rint(1000 * fine * np.stack([np.clip(x, -3, 4), down], axis=-1)[kept]).astype(int)
    spell = _tenths if fine == 10 else str
    parts = []
    for part in np.split(at, np.flatnonzero(np.diff(kept) > 1) + 1):
        moves = " ".join(map(spell, np.diff(part, axis=0).ravel().tolist())).replace(" -", "-")
        start = " ".join(map(spell, part[0].tolist()))
        parts.append(f"M{start}l{moves}" if moves else f"M{start}")
    return "".join(parts)


def line(curve: Curve, across: Scale, up: Scale, fine: int = 10) -> str:
    """The path of a curve; of a single point, a dash."""
    return _path(across.at(curve.x), up.at(curve.y), fine) + ("h12" if len(curve.x) == 1 else "")


def own(chart: Chart, across: Scale, up: Scale) -> Iterator[tuple[int, str]]:
    """The runs' own curves of each group, as one path: of a few points, first and last kept."""
    found: dict[int, list[Curve]] = {}
    for curve in chart.curves:
        if curve.group is not None and curve.run is not None:
            found.setdefault(curve.group, []).append(curve)
    count = sum(map(len, found.values()))
    most = min(max(OWN_OF_A_CHART // max(count, 1), OWN[0]), OWN[1])
    for group, curves in found.items():
        d = ""
        for curve in curves:
            few = _few(len(curve.x), most)
            d += line(curve._replace(x=curve.x[few], y=curve.y[few]), across, up, fine=1)
        yield group, d


def _few(count: int, most: float) -> np.ndarray:
    """Which of so many points are kept, evenly, the first and the last among them."""
    return np.linspace(0, count - 1, min(max(int(most), 2), count)).round().astype(int)


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


def estimates(term: Term, scale: Scale) -> Iterator[tuple[int, float, float, str]]:
    """Of each group: its number, how far right and down it stands, the path of its interval."""
    for k, estimate in enumerate(term.drawn):
        down = (k + 0.5) / len(term.drawn)
        value, low, high = (
            float(scale.at(v)) for v in (estimate.value, estimate.low, estimate.high)
        )
        bar = f"M{place(low)} {place(down)}H{place(high)}" if math.isfinite(high - low) else ""
        yield estimate.group, value, down, bar


def truths(term: Term, scale: Scale) -> str:
    return grid(float(scale.at(value)) for _, value in term.truths if math.isfinite(value))


def notes(group: Group) -> str:
    """What is to be said of a group's runs: each reason once."""
    return "; ".join(dict.fromkeys(run.note for run in group.runs if run.note))


def spread(column: Column, group: int) -> float:
    """Standard deviation over the runs of a group; nan: there is none."""
    return column.spreads[group] if len(column.spreads) else math.nan


def is_number(text: str) -> bool:
    """Whether a cell begins with a number, and stands to the right of its column."""
    try:
        float(text.split()[0].rstrip("%").replace(",", ""))
    except (IndexError, ValueError):
        return False
    return True


def about(chart: Chart) -> str:
    """A chart in words, for those who do not see it."""
    groups = ", ".join(str(group + 1) for group in chart.groups) or "none"
    return f"{chart.title}: {chart.names[1]} against {chart.names[0]}; curves of {groups}"


def told(chart: Chart, across: Scale, up: Scale) -> dict[str, list]:
    """What a pointer shows: the groups' numbers, to six digits; curves on one grid share it.

    Of so many curves that the page would be too large, some of their points, the ends among them.
    """

    def rounded(values: np.ndarray) -> list[float | None]:
        return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]

    shown = [curve for curve in chart.curves if curve.run is None]
    numbers = sum(len(c.x) * (1 if c.low is None else 3) for c in shown)
    kept = min(1, TOLD / max(numbers, 1))
    few = {n: _few(n, kept * n) for n in {len(curve.x) for curve in shown}}
    grids = {curve.x.tobytes(): curve.x[few[len(curve.x)]] for curve in shown}
    order = {key: k for k, key in enumerate(grids)}
    return {
        "x": [across.low, across.high, across.log],
        "y": [up.low, up.high, up.log],
        "grids": [rounded(x) for x in grids.values()],
        "curves": [
            [c.group, order[c.x.tobytes()]]
            + [rounded(a[few[len(a)]]) for a in (c.y, c.low, c.high) if a is not None]
            for c in shown
        ],
    }
