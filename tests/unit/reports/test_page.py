"""The page from plain data, read back by a parser that knows nothing of how it was made."""

import itertools
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from polyreg.reports.chart import (
    DARK,
    DASHES,
    LIGHT,
    Chart,
    Coefficients,
    Comparison,
    Curve,
    Estimate,
    Points,
    Row,
    Run,
    Scale,
    Table,
    Term,
    Warned,
    scales,
)
from polyreg.reports.comparison import page
from polyreg.text import number

X = np.linspace(-1, 1, 21)
NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x00\ud800 ω€ 名"
READ = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&�� ω€ 名"
VOID = {"meta", "link", "br", "input", "img"}


class Reader(HTMLParser):
    """Elements, balanced; the text of each; tables as rows of cells, by caption."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: dict[str, list[str]] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.best: dict[str, list[tuple[int, int]]] = {}
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in VOID:
            return
        self.open.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag == "table":
            self._rows, self._stars = [], []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        if dict(attributes).get("aria-label") == "best":
            self._stars.append((len(self._rows) - 1, len(self._rows[-1]) - 1))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "table":
            caption = self.texts["caption"][-1]
            self.tables[caption] = [[" ".join(c.split()) for c in row] for row in self._rows]
            self.best[caption] = self._stars

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data
        if {"td", "th"} & set(self.open) and self._rows:
            self._rows[-1][-1] += data

    def of(self, kind: str) -> list[dict]:
        """The attributes of all elements of a class."""
        return [a for _, a in self.elements if kind in (a.get("class") or "").split()]


def run(name="a run", **more):
    return Run(name, "0" * 32, "training", "FINISHED", "2026-11-25 04:08", "A", **more)


def whole(runs=None, **parts):
    runs = [run()] if runs is None else runs
    empty = {k: () for k in ("warnings", "notes", "charts", "coefficients", "tables")}
    return Comparison("Comparison", runs, **(empty | parts))


def read(comparison) -> Reader:
    text = page.render(comparison)
    text.encode("utf-8")
    return Reader(text)


def chart(*curves, **options):
    return Chart("y against x", ("x", "y"), curves, **options)


def everything(name: str):
    """A page with somebody's text wherever it can be."""
    curve = Curve(0, X, X, X - 1, X + 1)
    return Comparison(
        name,
        [Run(name, name, name, name, name, name, name)],
        [Warned(name, [name])],
        [name],
        [Chart(name, (name, name), [curve], [Points(name, X, X)], note=name)],
        [Coefficients(name, [Term(name, [(name, 1.0)], [Estimate(0, 1.0)])], name)],
        [Table(name, [Row(name, [name])], name), Table(name, [], folded=True)],
    )


def test_whatever_a_name_holds_is_shown_and_does_nothing():
    found, plain = read(everything(NASTY)), read(everything("plain"))
    tags = [tag for tag, _ in found.elements]
    assert tags == [tag for tag, _ in plain.elements] and "img" not in tags
    assert not any(key.startswith("on") for _, a in found.elements for key in a)
    assert found.texts["title"] == [READ] and found.texts["h1"] == [READ]
    assert found.texts["th"].count(READ) >= 1
    assert READ in found.texts["td"]
    assert places(found, "alert(1)") == places(plain, "plain")


def places(found: Reader, word: str) -> dict[str, int]:
    """How often a word stands in the text of each kind of element, and in each attribute."""
    texts = {tag: "".join(t).count(word) for tag, t in found.texts.items() if tag != "script"}
    values = [(key, value or "") for _, a in found.elements for key, value in a.items()]
    return Counter(texts) + Counter(key for key, value in values for _ in range(value.count(word)))


def test_a_page_asks_for_nothing_from_elsewhere():
    found = read(everything("http://example.org/x.js"))
    places = {a.get("src") or a.get("href") for _, a in found.elements}
    assert places == {None, "data:,"}
    style = "".join(found.texts["style"])
    assert "url(" not in style and "@import" not in style
    [policy] = [a["content"] for _, a in found.elements if "http-equiv" in a]
    assert policy.startswith("default-src 'none'") and "'unsafe-inline'" not in policy[-70:]


def test_a_page_says_its_language_title_and_headings():
    found = read(whole(charts=[chart(Curve(0, X, X))]))
    assert ("html", {"lang": "en"}) in found.elements
    assert found.texts["title"] == ["Comparison"]
    assert found.texts["h2"] == ["Curves", "Runs"]
    labelled = [a for tag, a in found.elements if a.get("role") in ("img", "region")]
    assert labelled and all(a["aria-label"] for a in labelled)
    heads = [a for tag, a in found.elements if tag == "th"]
    assert all(a["scope"] in ("col", "row") for a in heads)


def points_of(d: str) -> np.ndarray:
    return np.array(re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", d), dtype=float)


def test_a_curve_is_drawn_where_its_numbers_are():
    found = read(whole(charts=[chart(Curve(0, X, X**3))]))
    [line] = [a for a in found.of("line") if len(a["d"]) > 50]
    drawn = points_of(line["d"])
    assert np.allclose(drawn[:, 0], 500 * (X + 1), atol=0.06)
    assert np.allclose(np.polyfit(X**3, drawn[:, 1], 1), [-1000 / 2.16, 500], atol=0.1)
    ticks = {a["style"] for a in found.of("tx")}
    assert {"left:0.00%", "left:50.00%", "left:100.00%"} <= ticks


def test_a_pointer_finds_the_numbers_themselves():
    curve = Curve(0, X, np.pi * X, X - 1, np.where(X > 0.95, np.nan, X + 1))
    found = read(whole(charts=[chart(curve)]))
    [told] = [json.loads(t) for t in found.texts["script"] if t.startswith("{")]
    assert told["x"] == [-1, 1, False]
    run_, x, y, low, high = told["curves"][0]
    assert run_ == 0 and np.allclose(x, X, rtol=1e-5)
    assert np.allclose(y, np.pi * X, rtol=1e-5) and np.allclose(low, X - 1, rtol=1e-5)
    assert high[-1] is None and high[0] == 0


def test_a_log_axis_has_equal_steps_for_equal_factors():
    steps = np.array([1.0, 10, 100, 1000])
    found = read(whole(charts=[chart(Curve(0, steps, 1 / steps), log=(True, True))]))
    [line] = [a for a in found.of("line") if len(a["d"]) > 30]
    drawn = points_of(line["d"])
    assert np.allclose(np.diff(drawn[:, 0]), 1000 / 3, atol=0.2)
    assert np.ptp(np.diff(drawn[:, 1])) < 0.3
    assert "y (log axis)" in found.texts["p"] and "x (log axis)" in found.texts["p"]


def test_bands_are_drawn_while_they_can_be_told_apart():
    def bands(count):
        curves = [Curve(k, X, X, X - 1, X + 1) for k in range(count)]
        return len(read(whole([run()] * count, charts=[chart(*curves)])).of("band"))

    assert (bands(1), bands(12), bands(13)) == (1, 12, 0)


def test_a_band_that_is_not_finite_is_left_out_and_a_curve_breaks_there():
    y = np.where(abs(X) < 0.1, np.nan, X)
    found = read(whole(charts=[chart(Curve(0, X, y, y - 1, y + 1))]))
    assert found.of("band") == []
    [line] = [a for a in found.of("line") if len(a["d"]) > 50]
    assert line["d"].count("M") == 2 and "nan" not in line["d"]


def test_a_curve_that_leaves_the_data_does_not_flatten_them():
    y = np.where(X > 0.9, 1e9, X)
    across, up = scales(chart(Curve(0, X, y), points=[Points("data", X, X)]))
    assert (across.low, across.high) == (-1, 1)
    assert -3.2 < up.low < -1 and 1 < up.high < 3.2


@pytest.mark.parametrize(
    "values",
    [[0.0], [5.0, 5.0], [1e300, -1e300], [1e-300, 2e-300], [np.nan, np.inf], [], [1e15, 1e15 + 1]],
)
@pytest.mark.parametrize("log", [False, True])
def test_any_numbers_make_an_axis(values, log):
    values = np.array(values, dtype=float)
    scale = Scale.over(values, log)
    assert scale.low < scale.high and math.isfinite(scale.high)
    ticks = scale.ticks()
    assert 1 <= len(ticks) < 12 and all(-0.01 < scale.at(t) < 1.01 for t in ticks)
    read(whole(charts=[chart(Curve(0, values, values), log=(log, log))]))


def test_numbers_at_the_ends_do_not_overlap():
    curves = [Curve(k, X, X + k / 1e6) for k in range(12)]
    found = read(whole([run()] * 12, charts=[chart(*curves)]))
    tops = sorted(float(a["style"].rpartition(":")[2][:-1]) for a in found.of("end"))
    assert len(tops) == 12 and np.diff(tops).min() > 5.4
    assert tops[0] >= 0 and tops[-1] <= 100


def test_runs_differ_by_number_and_dash_not_by_colour_alone():
    looks = {(k % len(LIGHT), DASHES[k % len(DASHES)]) for k in range(42)}
    assert len(looks) == 42
    style = "".join(read(whole([run()] * 3)).texts["style"])
    assert ".s1{--c:var(--p1);--d:7 3}" in style


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """By WCAG 2.1."""
    light = sorted(linear(c) @ (0.2126, 0.7152, 0.0722) + 0.05 for c in (a, b))
    return light[1] / light[0]


def test_text_and_lines_stand_out_from_their_paper():
    blocks = re.findall(r":root \{(.*?)\}", page.STYLE, re.DOTALL)
    assert len(blocks) == 2
    for block, colours in zip(blocks, (LIGHT, DARK), strict=True):
        style = dict(re.findall(r"--([\w-]+): *(#\w+)", block))
        style = {
            k: v if len(v) == 7 else "#" + "".join(2 * c for c in v[1:]) for k, v in style.items()
        }
        for paper in ("paper", "card"):
            assert contrast(style["ink"], style[paper]) > 7
            assert contrast(style["quiet"], style[paper]) > 4.5
            assert min(contrast(c, style[paper]) for c in colours) > 3
            assert contrast(style["dot"], style[paper]) > 3
        assert contrast(style["ink"], style["warn"]) > 7
        assert contrast(style["star"], style["good"]) > 4.5


# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB.
EYES = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanope": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranope": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.array(to_xyz) @ np.clip(rgb, 1e-6, 1) / (0.9505, 1, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_colours_are_apart_for_colour_blind_eyes(eyes, colours):
    seen = [lab(np.array(EYES[eyes]) @ linear(colour)) for colour in colours]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12


@pytest.mark.parametrize(
    "value, text",
    [
        (0.0001234567, "1.23457e-4"), (3.0, "3"), (0.1 + 0.2, "0.3"), (-123456.7, "-123457"),
        (1234567.0, "1234567"), (1e-300, "1e-300"), (6.02e23, "6.02e23"), (math.nan, "nan"),
        (math.inf, "inf"), (-1.7976931348623157e308, "-inf"), (0.0, "0"), (147814.25, "147814"),
    ],
)  # fmt: skip
def test_numbers_have_six_digits(value, text):
    assert number(value) == text


def test_a_table_has_its_numbers_and_marks_the_best():
    rows = [
        Row("gap", [0.5, 0.25, None], frozenset({1})),
        Row("basis", ["auto", "hermite", None]),
        Row("odd", [math.nan, math.inf, 2.0]),
    ]
    found = read(whole([run()] * 3, tables=[Table("Metrics", rows)]))
    assert found.tables["Metrics"][1:] == [
        ["gap", "0.5", "0.25 ★", "–"],
        ["basis", "auto", "hermite", "–"],
        ["odd", "nan", "inf", "2"],
    ]
    assert found.best["Metrics"] == [(1, 2)]


def test_coefficients_stand_beside_the_truth_with_their_intervals():
    terms = [
        Term("1", [("truth", 0.9)], [Estimate(0, 1.0, 0.5, 1.5), Estimate(1, 2.0)]),
        Term("x", [("truth", 0.5)], [Estimate(1, 0.25, math.nan, math.nan)]),
        Term("x^2", [("truth", 3.0)], []),
    ]
    found = read(whole([run()] * 2, coefficients=[Coefficients("Coefficients", terms)]))
    assert found.tables["Coefficients"][1:] == [
        ["1", "0.9", "10.5 to 1.5", "2"],
        ["x", "0.5", "–", "0.25"],
        ["x^2", "3", "–", "–"],
    ]
    dots = [float(points_of(a["d"])[0, 0]) for a in found.of("dot")]
    low, high = 0.5 - 0.08 * 1.5, 2 + 0.08 * 1.5
    assert np.allclose(dots[:2], [1000 * (v - low) / (high - low) for v in (1, 2)], atol=0.1)
    [bar, *rest] = [a["d"] for a in found.of("bar")]
    assert bar and not any(rest)
    assert len(found.of("strip")) == 2  # of the terms that a run has


def test_fifty_runs_make_a_page_of_readable_size():
    x, random = np.linspace(-1, 1, 241), np.random.default_rng(0)
    curves = [Curve(k, x, random.normal(size=241)) for k in range(50)]
    text = page.render(whole([run()] * 50, charts=[chart(*curves)]))
    assert len(text.encode()) < 1e6
    assert Reader(text).of("end") == []  # no room for their numbers
