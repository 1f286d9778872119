"""The page from plain data, read back by a parser that knows nothing of how it was made."""

import itertools
import json
import math
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest

from polyreg.reports import panels
from polyreg.reports.chart import (
    DARK,
    DASHES,
    LIGHT,
    MARKS,
    Chart,
    Coefficients,
    Column,
    Comparison,
    Curve,
    End,
    Estimate,
    Group,
    Points,
    Run,
    Scale,
    Sweep,
    Table,
    Term,
    Warned,
    ends,
    scales,
)
from polyreg.reports.comparison import page
from polyreg.reports.panels import Panel
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


def run(name="a run", status="FINISHED", note=""):
    return Run(name, f"{name} in MLflow", "0" * 32, "training", status, "2026-11-25 04:08", note)


def group(name="a run", seeds=1, **more):
    """A group of one run, or of so many that differ in the seed."""
    names = [f"seed {k}" for k in range(seeds)] if seeds > 1 else [name]
    return Group(name, [run(each, **more) for each in names], "A")


def whole(groups=None, **parts):
    groups = [group()] if groups is None else groups
    empty = {"shared": ""} | {k: () for k in PARTS}
    return Comparison("Comparison", groups=groups, **(empty | parts))


PARTS = ("warnings", "notes", "sweeps", "charts", "coefficients", "tables")


def read(comparison) -> Reader:
    text = page.render(comparison)
    text.encode("utf-8")
    return Reader(text)


def chart(*curves, **options):
    return Chart("y against x", ("x", "y"), curves, **options)


def everything(name: str):
    """A page with somebody's text wherever it can be."""
    curve, own = Curve(0, X, X, X - 1, X + 1), Curve(0, X, X, run=0)
    one = run(name)._replace(title=name, id=name, kind=name, status=name, started=name, note=name)
    said = [[name, ""]]
    grid = np.array([[np.nan, 1.0]]), np.array([[np.nan, 0.1]]), said, np.array([[0, 0]])
    return Comparison(
        name,
        name,
        [Group(name, [one, one], name, 0)],
        [Warned(name, [name])],
        [name],
        [
            Sweep(
                name,
                [Panel(name, name, (name, name), [name], [name, name], *grid)],
                [name],
                [[name]],
                [0],
                name,
            )
        ],
        [Chart(name, (name, name), [curve, own], [Points(name, X, X)], note=name)],
        [Coefficients(name, [Term(name, [(name, 1.0)], [Estimate(0, 1.0)])], name)],
        [
            Table(name, [Column(name, [name], [], [[name, 1.0]], frozenset({0}), name)], name),
            Table(name, [], folded=True),
        ],
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
    """The points of a path, by what SVG says of its letters: M and H are places, l, h, m steps."""
    at, points, taken = np.zeros(2), [], ""
    numbers: list[float] = []
    for token in re.findall(r"[A-Za-z]|-?(?:\d+\.?\d*|\.\d+)", d):
        if token.isalpha():
            taken = token
            assert not numbers and token in "MlhHZ"
            continue
        numbers.append(float(token))
        if taken in "hH":
            at = np.array([at[0] * (taken == "h") + numbers.pop(), at[1]])
            points.append(at)
        elif len(numbers) == 2:
            at = at * (taken == "l") + numbers
            points.append(at)
            numbers = []
    return np.array(points)


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
    number_, grid, y, low, high = told["curves"][0]
    assert number_ == 0 and np.allclose(told["grids"][grid], X, rtol=1e-5)
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
        found = read(whole([group()] * count, charts=[chart(*curves)]))
        return len(found.of("band")), len(found.of("alone"))

    assert (bands(1), bands(12), bands(25)) == ((1, 0), (12, 0), (0, 0))
    assert bands(13) == (13, 13)  # seen of one that is shown alone


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


@pytest.mark.parametrize("step", [1e-6, 0.05, 0.1, 0.5])
def test_numbers_at_the_ends_do_not_overlap_and_all_are_there(step):
    curves = [Curve(k, X, X + k * step) for k in range(12)]
    found = read(whole([group()] * 12, charts=[chart(*curves)]))
    labels = found.of("end")
    tops = sorted(float(a["style"].rpartition(":")[2][:-1]) for a in labels)
    assert np.all(np.diff(tops) > 5.4) and tops[0] >= 0 and tops[-1] <= 100
    groups = [int(k) for a in labels for k in a.get("data-groups", "").split()]
    groups += [int(k) for a in labels for k in re.findall(r"\br(\d+)\b", a["class"])]
    assert sorted(groups) == list(range(12))


def labels_of(*heights, groups=None):
    """The labels at the ends of level curves of a chart that is 1 high."""
    numbers = groups or range(len(heights))
    curves = [Curve(k, X, X * 0 + y) for k, y in zip(numbers, heights, strict=True)]
    return list(ends(chart(*curves), Scale(-1, 1), Scale(0, 1)))


@pytest.mark.parametrize(
    "groups, text",
    [
        ([2], "3"), ([1, 4], "2, 5"), ([0, 1, 2, 3, 4, 5], "1-6"), ([0, 1], "1, 2"),
        ([2, 4, 7, 8], "3 +3"), ([9, 10, 11], "10-12"), ([9, 19], "10 +1"), ([1, 2, 4], "2 +2"),
    ],
)  # fmt: skip
def test_a_shared_label_is_short(groups, text):
    assert End(groups, [], 0, 0).text == text


def test_curves_that_end_together_share_a_label():
    [label] = labels_of(*[0.5 + k * 1e-6 for k in range(6)])
    assert label.text == "1-6" and np.isclose(label.height, 0.5, atol=1e-3)
    assert np.allclose(label.tips, [(1, 0.5 - k * 1e-6) for k in range(6)])
    assert [label.text for label in labels_of(0.1, 0.5, 0.5, 0.5, 0.9)] == ["5", "2-4", "1"]
    assert [label.text for label in labels_of(0.5, 0.5)] == ["1, 2"]


def test_no_label_stands_further_from_its_curves_than_its_height():
    random = np.random.default_rng(0)
    for count in (2, 5, 12, 24):
        for _ in range(20):
            heights = np.clip(random.normal(0.5, 0.1, count), 0, 1)
            found = labels_of(*heights)
            assert sorted(k for label in found for k in label.groups) == list(range(count))
            for label in found:
                tops = [top for _, top in label.tips]
                assert abs(label.height - np.mean(tops)) <= 0.0551
            assert np.all(np.diff([label.height for label in found]) > 0.0549)


def test_labels_that_have_room_keep_their_own():
    assert [label.text for label in labels_of(0.2, 0.4, 0.43, 0.9)] == ["4", "3", "2", "1"]


@pytest.mark.parametrize("width, high", [(0.25, 0), (1, 0), (2, 0), (2, 0.3)])
def test_labels_of_curves_that_end_side_by_side_do_not_lie_on_one_another(width, high):
    """On a phone, where a letter is 7.5 of 262 pixels wide and a label 15 of 270 high."""
    random = np.random.default_rng(0)
    letter = 7.5 / 262
    for _ in range(50):
        lasts = np.sort(random.uniform(1 - width, 1, 12))
        tops = random.permutation(0.5 + high * random.uniform(-1, 1, 12))
        curves = [
            Curve(k, np.array([-1, x]), np.array([0, top]))
            for k, (x, top) in enumerate(zip(lasts, tops, strict=True))
        ]
        found = list(ends(chart(*curves), Scale(-1, 1), Scale(0, 1)))
        assert sorted(k for label in found for k in label.groups) == list(range(12))
        for a, b in itertools.combinations(sorted(found, key=lambda label: label.left), 2):
            apart = b.left - a.left >= letter * len(a.text)
            assert apart or abs(a.height - b.height) > 0.054


def test_curves_that_end_far_from_one_another_at_one_height_have_labels_of_their_own():
    curves = [Curve(k, np.array([-1, x]), X[:2] * 0 + 0.5) for k, x in enumerate((-0.9, -0.7, 0.9))]
    found = list(ends(chart(*curves), Scale(-1, 1), Scale(0, 1)))
    assert [(label.text, label.height) for label in found] == [("1", 0.5), ("2", 0.5), ("3", 0.5)]


def test_the_title_of_a_shared_label_has_all_its_numbers():
    curves = [Curve(k, X, X) for k in (0, 2, 5, 7)]
    found = read(whole([group()] * 8, charts=[chart(*curves)]))
    [label] = found.of("shared")
    assert label["title"] == "1, 3, 6, 8" and label["data-groups"] == "0 2 5 7"
    assert "1 +3" in found.texts["span"]


def test_groups_differ_by_number_dash_and_mark_not_by_colour_alone():
    looks = {(k % len(LIGHT), DASHES[k % len(DASHES)]) for k in range(84)}
    assert len(looks) == 84 and len(MARKS) == len(DASHES) == len(set(MARKS))
    found = read(whole([group()] * 3))
    style = "".join(found.texts["style"])
    assert ".s1{--c:var(--p1);--d:7 3}" in style
    assert f'.m1{{clip-path:path("{MARKS[1].path}")}}' in style
    assert len(found.of("m1")) == 2  # at the chip, and in the table of runs


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


def test_a_table_has_a_row_a_group_and_marks_the_best():
    columns = [
        Column("steps", [500.0, 250.0, None], best=frozenset({1}), meaning="fewest steps"),
        Column("basis", ["auto", "hermite", None]),
        Column("odd", [math.nan, math.inf, 2.0]),
    ]
    groups = [group("rate 1"), group("rate 2"), group("rate 3", status="FAILED")]
    found = read(whole(groups, tables=[Table("Metrics", columns)]))
    assert found.tables["Metrics"] == [
        ["group", "steps ★ fewest steps", "basis", "odd"],
        ["1 rate 1", "500", "auto", "nan"],
        ["2 rate 2", "250 ★", "hermite", "inf"],
        ["3 rate 3 FAILED", "–", "–", "2"],
    ]
    assert found.best["Metrics"] == [(2, 1)]
    stars = [a["title"] for a in found.of("star")]
    assert stars == ["fewest steps"]


def test_a_column_without_a_best_has_no_star():
    column = Column("steps", [500.0, 250.0], meaning="fewest steps")
    found = read(whole([group()] * 2, tables=[Table("Metrics", [column])]))
    assert "★" not in "".join(found.texts["table"])


def test_a_group_has_its_mean_and_spread_and_its_runs_in_rows_that_open():
    columns = [
        Column("steps", [200.0, 7.0], [12.345, math.nan], [[190.0, None, 210.0], []]),
        Column("basis", ["hermite", "auto"]),
    ]
    found = read(whole([group("rate 1", 3), group("rate 2")], tables=[Table("Metrics", columns)]))
    assert found.tables["Metrics"][1:] == [
        ["1 rate 1 3 seeds", "200 ± 12", "hermite"],
        ["seed 0", "190", "–"],
        ["seed 1", "–", "–"],
        ["seed 2", "210", "–"],
        ["2 rate 2", "7", "auto"],
    ]
    rows = [a.get("class") for tag, a in found.elements if tag == "tr"]
    assert rows.count("own w0") == 6  # and in the table of runs
    style = "".join(found.texts["style"])
    assert ".own { display: none; }" in style
    assert "body:has(#o0:checked) tr.w0{display:revert}" in style and "#o1" not in style
    boxes = {a["id"]: a for a in of_kind(found, "input")}
    assert set(boxes) == {"c0", "c1", "o0"} and "checked" not in boxes["o0"]
    labels = [a["for"] for a in of_kind(found, "label") if "for" in a]
    assert labels == ["o0"] * 2


def test_rows_that_would_be_empty_are_left_out():
    found = read(whole([group("r", 3)], tables=[Table("Options", [Column("rate", ["1"])])]))
    assert len(found.tables["Options"]) == 2


def of_kind(found: Reader, kind: str) -> list[dict]:
    return [a for tag, a in found.elements if tag == kind]


def test_a_runs_own_curve_is_thin_and_seen_where_its_group_is_open():
    x = np.linspace(-1, 1, 301)
    curves = [Curve(0, x, x), Curve(0, x, x**2, run=0), Curve(0, x, x**3, run=1)]
    found = read(whole([group("r", 2)], charts=[chart(*curves)]))
    groups = [a["class"] for a in of_kind(found, "g") if a.get("class")]
    assert groups == ["own w0 run r0 s0", "run r0 s0"]
    own, middle = [a["d"] for a in found.of("line") if len(a["d"]) > 30]
    assert len(points_of(middle)) == 301
    first, second = ["M" + part for part in own.split("M")[1:]]
    for part, height in ((first, x**2), (second, x**3)):
        drawn = points_of(part)
        assert len(drawn) == 60 and drawn[[0, -1], 0].tolist() == [0, 1000]
        at = np.interp(drawn[:, 0] / 500 - 1, x, height)
        assert np.allclose(drawn[:, 1], 500 - at * 1000 / 2.16, atol=3)
    style = "".join(found.texts["style"])
    assert "body:has(#o0:checked):has(#c0:checked) g.w0" in style
    [told] = [json.loads(t) for t in found.texts["script"] if t.startswith("{")]
    assert [curve[0] for curve in told["curves"]] == [0]  # a pointer reads the group's
    assert [a["class"] for a in found.of("end")] == ["end run r0 s0"]


def test_what_did_not_finish_is_marked_at_its_chip_with_the_reason():
    runs = [run("seed 1"), run("seed 2", "KILLED", "no curve: killed"), run("seed 3", "FAILED")]
    found = read(whole([Group("rate 1", runs), group("rate 2"), group("rate 3", status="FAILED")]))
    chips = [" ".join(text.split()) for text in found.texts["li"]]
    assert chips == ["1 rate 1 1 of 3 KILLED, 1 of 3 FAILED3 seeds", "2 rate 2", "3 rate 3 FAILED"]
    assert [a.get("title") for a in found.of("chip")] == ["no curve: killed", None, None]
    table = found.tables["The runs"]
    assert table[1][2:4] == ["training", "1 of 3 KILLED, 1 of 3 FAILED"]
    assert table[1][-1] == table[3][-1] == "no curve: killed"
    assert [row[3] for row in table[2:5]] == ["FINISHED", "KILLED", "FAILED"]


def test_names_are_whole_however_long():
    name = "columns " + "very_long_name, " * 20 + "last"
    found = read(whole([group(name)], tables=[Table("Metrics", [Column("steps", [1.0])])]))
    assert found.texts["span"].count(name) == 2  # chip, table
    [row] = found.tables["The runs"][1:]
    assert row[:2] == ["1", f"{name} in MLflow"]  # whose name there is MLflow's


def test_what_all_have_in_common_is_said_at_the_top():
    found = read(whole(shared="noise 1 · at most 600 steps"))
    assert "All: noise 1 · at most 600 steps" in found.texts["p"]
    assert not any("All:" in text for text in read(whole()).texts["p"])


def heated(mean, **more):
    """A sweep of two by two combinations, of groups 0 to 2 and one that was not tried."""
    at = np.array([[0, 1], [2, -1]])
    options = {"spread": np.full((2, 2), np.nan), "said": [["", ""], ["diverged", "not tried"]]}
    names = ("momentum", "rate"), ["0", "0.9"], ["0.1", "0.2"]
    panel = Panel("steps to converge", "noise 1", *names, mean, at=at, **(options | more))
    return Sweep(
        "Sweep of rate", [panel], ["rate", "steps"], [["0.1", "9"], ["0.2", "?"]], [0, None]
    )


def test_a_heat_map_has_its_numbers_its_colours_and_what_it_says_instead():
    mean = np.array([[10.0, 1000.0], [np.nan, np.nan]])
    spread = np.array([[1.5, np.nan], [np.nan, np.nan]])
    said = [["", "3 of 5"], ["diverged", "not tried"]]
    found = read(whole([group()] * 3, sweeps=[heated(mean, spread=spread, said=said)]))
    assert found.tables["noise 1"] == [
        ["", "rate"],
        ["momentum", "0.1", "0.2"],
        ["0", "10± 1.5", "10003 of 5"],
        ["0.9", "diverged", "not tried"],
    ]
    styles = [a["style"] for a in of_kind(found, "td") if "style" in a]
    assert styles == ["background:#440154;color:#ffffff", "background:#fde725;color:#000000"]
    heads = [text for text in found.texts["figcaption"] if "steps to converge" in text]
    assert heads == ["steps to converge 10  1000 over the seeds that converged"]
    assert found.texts["h2"][0] == "Sweep of rate"


def test_a_cell_of_a_heat_map_is_in_the_middle_of_a_log_scale_where_its_mean_is():
    mean = np.array([[1.0, 100.0], [10.0, -np.inf]])
    squares = page.by_metric([heated(mean).panels[0]])[0].panels[0][1]
    assert squares[1][0].colour == "#21918c" and squares[1][1].mean is None
    linear_ = page.by_metric([heated(mean - 1).panels[0]])[0].panels[0][1]
    assert linear_[1][0].colour == page.VIRIDIS[round(255 * 9 / 99)]


def test_panels_of_one_metric_share_their_colours_and_one_title():
    first = heated(np.ones((2, 2)))
    second = first.panels[0]._replace(title="noise 2", mean=np.full((2, 2), 100.0))
    other = first.panels[0]._replace(metric="distance", title="")
    sweep = first._replace(panels=[first.panels[0], second, other])
    found = read(whole([group()] * 3, sweeps=[sweep]))
    maps = page.by_metric(sweep.panels)
    assert [(m.metric, m.low, m.high) for m in maps] == [
        ("steps to converge", 1, 100),
        ("distance", 1, 1),
    ]
    heads = "".join(found.texts["figcaption"])
    assert heads.count("steps to converge") == heads.count("distance") == 1


@pytest.mark.parametrize("value", [np.nan, 0.0, 1e-300, 1e300, -3.0])
def test_any_numbers_make_a_heat_map(value):
    read(whole([group()] * 3, sweeps=[heated(np.full((2, 2), value))]))


def test_a_cell_and_a_row_of_a_sweep_are_labels_of_their_groups_box():
    found = read(whole([group()] * 3, sweeps=[heated(np.ones((2, 2)))]))
    picks = [(a["for"], a["data-group"]) for a in found.of("pick")]
    assert picks == [("c0", "0"), ("c1", "1"), ("c2", "2"), ("c0", "0")]
    rows = [a.get("data-group") for tag, a in found.elements if tag == "tr"]
    assert [row for row in rows if row] == ["0"]
    assert found.tables["Combinations"][1:] == [["1", "0.1", "9"], ["–", "0.2", "?"]]


def test_a_heat_map_says_over_which_seeds_its_means_are_and_the_table_over_which():
    sweep = heated(np.ones((2, 2)))
    metrics = (panels.STEPS, panels.ERROR, panels.GAP)
    parts = [sweep.panels[0]._replace(metric=metric.name) for metric in metrics]
    found = read(whole([group()] * 3, sweeps=[sweep._replace(panels=parts)]))
    assert [" ".join(text.split()) for text in found.texts["figcaption"]] == [
        "steps to converge over the seeds that converged",
        "distance to the truth, E (p - q)^2 over the seeds that did not diverge",
        "gap to the optimum over the seeds that neither converged nor diverged",
    ]
    assert any("means over all the seeds that did not diverge" in p for p in found.texts["p"])


def test_several_sweeps_are_numbered():
    sweep = heated(np.ones((2, 2)))
    found = read(whole([group()] * 3, sweeps=[sweep, sweep]))
    assert found.texts["h2"][:2] == ["Sweep 1: Sweep of rate", "Sweep 2: Sweep of rate"]


def test_numbers_stand_out_from_every_colour_of_a_heat_map():
    mean = np.geomspace(1, 1e6, 256).reshape(16, 16)
    blank = [[""] * 16] * 16
    names = list(map(str, range(16)))
    panel = Panel("m", "", ("", ""), names, names, mean, mean, blank, np.full((16, 16), -1))
    squares = [s for row in page.by_metric([panel])[0].panels[0][1] for s in row]
    assert len({s.colour for s in squares}) > 200
    assert min(contrast(s.colour, s.ink) for s in squares) > 4.4


def test_coefficients_stand_beside_the_truth_with_their_intervals_or_spreads():
    terms = [
        Term("1", [("truth", 0.9)], [Estimate(0, 1.0, 0.5, 1.5), Estimate(1, 2.0)]),
        Term("x", [("truth", 0.5)], [Estimate(1, 0.25, math.nan, math.nan)]),
        Term("x^2", [("truth", 3.0)], [Estimate(2, 2.0, 1.5, 2.5, 0.5)]),
        Term("x^3", [("truth", 7.0)], []),
    ]
    found = read(whole([group(c) for c in "abc"], coefficients=[Coefficients("Terms", terms)]))
    assert found.tables["Terms"] == [
        ["group", "1", "x", "x^2", "x^3"],
        ["truth", "0.9", "0.5", "3", "7"],
        ["1 a", "10.5 to 1.5", "–", "–", "–"],
        ["2 b", "2", "0.25", "–", "–"],
        ["3 c", "–", "–", "2± 0.5", "–"],
    ]
    dots = found.of("dot")
    places_ = [float(re.match(r"left:([\d.]+)%", a["style"])[1]) for a in dots]
    low, high = 0.5 - 0.08 * 1.5, 2 + 0.08 * 1.5
    assert np.allclose(places_[:2], [100 * (v - low) / (high - low) for v in (1, 2)], atol=0.01)
    assert [a["class"].split()[-1] for a in dots] == ["m0", "m1", "m1", "m2"]
    bars = [points_of(a["d"])[:, 0] for a in found.of("bar")]
    assert len(bars) == 2
    assert np.allclose(bars[0], [1000 * (v - low) / (high - low) for v in (0.5, 1.5)], atol=0.1)
    assert len(found.of("strip")) == 3  # of the terms that a group has


def test_fifty_groups_make_a_page_of_readable_size():
    x, random = np.linspace(-1, 1, 300), np.random.default_rng(0)
    groups = [group(f"rate {k}", 5) for k in range(50)]
    charts = []
    for _ in range(3):
        curves = [Curve(k, x, random.normal(size=300)) for k in range(50)]
        charts.append(chart(*curves))
    own = [Curve(k, x, random.normal(size=300), run=j) for k in range(50) for j in range(5)]
    text = page.render(whole(groups, charts=[*charts[:2], chart(*charts[2].curves, *own)]))
    assert len(text.encode()) < 1e6
    assert Reader(text).of("end") == []  # no room for their numbers


def test_a_pointer_reads_fewer_points_of_very_many():
    x = np.linspace(-1, 1, 300)
    curves = [Curve(k, x, x + k, x - 1, x + 1) for k in range(50)]
    found = read(whole([group()] * 50, charts=[chart(*curves)]))
    [told] = [json.loads(t) for t in found.texts["script"] if t.startswith("{")]
    assert len(told["grids"]) == 1 and told["grids"][0][-1] == 1
    kept = np.array(told["grids"][0])
    assert 50 <= len(kept) <= 55 and np.ptp(np.diff(kept)) < 0.01
    assert np.allclose(told["curves"][7][2], kept + 7, rtol=1e-5)
