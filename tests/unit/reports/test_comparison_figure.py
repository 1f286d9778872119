"""The figure of a comparison from plain data: what is drawn, named, and kept apart."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_hex

from polyreg.reports.chart import (
    LIGHT,
    MARKS,
    Chart,
    Coefficients,
    Comparison,
    Curve,
    Estimate,
    Group,
    Points,
    Run,
    Sweep,
    Term,
    Warned,
)
from polyreg.reports.comparison.figure import comparison
from polyreg.reports.panels import Panel

X = np.linspace(-1, 1, 50)


def apart(boxes):
    return not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def texts(axes):
    return [text.get_text() for text in axes.texts]


def group(name, *statuses):
    """A group of a run for each status."""
    return Group(name, [Run(name, "", "", "fit", status, "") for status in statuses], "A")


def side_by_side(count, name="$x_{1}$", status=("FINISHED",), **options):
    """A comparison of so many groups, each a line of its own slope with a band."""
    groups = [group(f"run {k} {name}", *status) for k in range(count)]
    curves = [Curve(k, X, k * X, k * X - 1, k * X + 1) for k in range(count)]
    chart = Chart(name, (name, name), curves, [Points("data", X, X)], **options)
    estimates = [Estimate(k, k, k - 1, k + 1) for k in range(count)]
    terms = [Term(f"{name}^{i}", [("truth", 0.5)], estimates) for i in range(3)]
    of = Coefficients(name, terms)
    return Comparison("Comparison", "", groups, [], [], [], [chart, chart], [of], [])


def test_a_comparison_draws_what_the_page_draws_in_its_colours(tmp_path):
    figure = comparison(side_by_side(3))
    figure.savefig(tmp_path / "comparison.png")
    chart, _, *strips = figure.axes
    data, *lines = chart.get_lines()
    assert data.get_label() == "data" and np.array_equal(data.get_xdata(), X)
    assert [line.get_color() for line in lines] == list(LIGHT[:3])
    assert all(np.array_equal(line.get_ydata(), k * X) for k, line in enumerate(lines))
    assert len(chart.collections) == 3  # bands
    assert sorted(texts(chart)) == ["1", "2", "3"]
    assert len(strips) == 3
    marked = [line for line in strips[0].get_lines() if line.get_marker() != "None"]
    assert [line.get_marker() for line in marked] == [mark.marker for mark in MARKS[:3]]
    assert [float(line.get_xdata()[0]) for line in marked] == [0, 1, 2]
    bars = [line.get_xdata() for line in strips[0].get_lines() if line.get_linewidth() == 1.5]
    assert [list(bar) for bar in bars if len(bar) == 2][-3:] == [[-1, 1], [0, 2], [1, 3]]
    named = [text.get_text() for text in figure.texts]
    assert named[1:] == ["1  run 0 $x_{1}$", "2  run 1 $x_{1}$", "3  run 2 $x_{1}$"]
    keys = [line.get_marker() for line in figure.artists]
    assert keys == [mark.marker for mark in MARKS[:3]]


LONG = "a name without end " * 9


@pytest.mark.parametrize("count", [0, 1, 7, 50])
@pytest.mark.parametrize("name", ["$x_{1}$", LONG, "x" * 250], ids=["short", "long", "unbroken"])
@pytest.mark.parametrize("status", [["FINISHED"], ["FAILED", "KILLED", "FINISHED"]])
def test_nothing_overlaps_in_a_comparison_of_so_many_groups(tmp_path, count, name, status):
    found = side_by_side(count, LONG, status)
    groups = [group(f"run {k} {name}", *status) for k in range(count)]
    found = found._replace(groups=groups, shared=LONG, warnings=[Warned(LONG * 3)])
    figure = comparison(found)
    figure.savefig(tmp_path / "comparison.png")
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts if text.get_text()]
    boxes += [
        artist.get_window_extent() for artist in figure.artists if hasattr(artist, "xycoords")
    ]
    assert apart(boxes)
    width, height = figure.get_size_inches() * figure.dpi
    assert min(b.x0 for b in boxes) >= 0 and max(b.x1 for b in boxes) <= width
    assert min(b.y0 for b in boxes) >= 0 and max(b.y1 for b in boxes) <= height


def test_names_in_the_key_are_not_cut():
    ends = [f"{'temperature_of_the_inlet, ' * 9}rate {k}" for k in range(3)]
    found = side_by_side(3)
    figure = comparison(found._replace(groups=[group(name, "FINISHED") for name in ends]))
    said = " ".join(text.get_text() for text in figure.texts)
    assert all(f"{k + 1}  {name}" in said for k, name in enumerate(ends))


def test_the_key_says_how_many_seeds_a_group_has_and_which_did_not_finish():
    found = side_by_side(2)
    groups = [group("rate 1", "FINISHED", "FAILED", "KILLED"), group("rate 2", "FAILED")]
    figure = comparison(found._replace(groups=groups))
    named = [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in figure.texts]
    assert [name for name in named[1:] if name] == ["1  rate 1  (3 seeds)", "2  rate 2"]
    marks = [a.get_text() for a in figure.artists if hasattr(a, "xycoords")]
    assert marks == ["1 of 3 FAILED, 1 of 3 KILLED", "FAILED"]


def test_what_all_share_and_the_warnings_stand_above_the_key():
    found = side_by_side(1)._replace(shared="noise 1", warnings=[Warned("other tables")])
    named = [text.get_text() for text in comparison(found).texts]
    assert named == ["Comparison", "All: noise 1", "Warning: other tables", "1  run 0 $x_{1}$"]


def test_the_runs_of_a_group_are_its_band_and_not_drawn_each():
    found = side_by_side(2)
    own = Curve(0, X, X + 1, run=0)
    chart = found.charts[0]._replace(curves=[*found.charts[0].curves, own])
    axes = comparison(found._replace(charts=[chart])).axes[0]
    assert len(axes.get_lines()) == 3  # the data and two groups


def test_curves_that_end_together_share_a_label():
    curves = [Curve(k, X, X) for k in range(6)]
    found = side_by_side(6)
    axes = comparison(found._replace(charts=[Chart("t", ("x", "y"), curves)])).axes[0]
    assert texts(axes) == ["1-6"]


def test_the_first_heat_map_of_a_sweep_is_drawn_with_its_numbers():
    mean = np.array([[10.0, 1000.0], [np.nan, np.nan]])
    said = [["", ""], ["diverged", "not tried"]]
    names = ("momentum", "rate"), ["0", "0.9"], ["0.1", "0.2"]
    panel = Panel("steps to converge", "noise 1", *names, mean, mean, said, np.full((2, 2), -1))
    found = side_by_side(2)._replace(sweeps=[Sweep("Sweep", [panel, panel], [], [], [])])
    heat, *charts = comparison(found).axes
    title = "steps to converge · noise 1\nover the seeds that converged"
    assert heat.get_title(loc="left") == title and len(charts) == 5
    assert texts(heat) == ["10", "1000", "diverged", "not tried"]
    [image] = heat.get_images()
    assert [to_hex(c) for c in image.get_array()[0]] == ["#440154", "#fde725"]
    assert (heat.get_xlabel(), heat.get_ylabel()) == ("rate", "momentum")


@pytest.mark.parametrize("rows, columns", [(1, 1), (40, 60), (3, 10)])
def test_a_heat_map_of_any_size_is_drawn(tmp_path, rows, columns):
    mean = np.geomspace(1e-9, 1, rows * columns).reshape(rows, columns)
    names = [f"{LONG}{k}" for k in range(max(rows, columns))]
    blank = [[""] * columns] * rows
    none = np.full(mean.shape, -1)
    panel = Panel(LONG, LONG, (LONG, LONG), names[:rows], names[:columns], mean, mean, blank, none)
    found = side_by_side(2)._replace(sweeps=[Sweep("Sweep", [panel], [], [], [])])
    figure = comparison(found)
    figure.savefig(tmp_path / "heat.png")
    heat = figure.axes[0]
    assert apart([label.get_window_extent() for label in heat.get_xticklabels()])
    assert apart([axes.get_tightbbox() for axes in figure.axes])
    assert heat.get_tightbbox().x0 > 0


@pytest.mark.parametrize("scale", [1e-12, 1.2345e-4, 1, 12345, 999999, 1.5e12])
@pytest.mark.parametrize("log", [False, True])
def test_names_and_numbers_of_an_axis_are_whole_and_apart(tmp_path, scale, log):
    y = np.geomspace(1e-9, 1e9, 50) * scale if log else X * scale
    chart = Chart("t", ("step", "gap"), [Curve(0, X, y)], log=(False, log))
    figure = comparison(side_by_side(1)._replace(charts=[chart, chart]))
    figure.savefig(tmp_path / "axis.png")
    for axes in figure.axes[:2]:
        name, *ticks = [axes.yaxis.label, *axes.get_yticklabels()]
        shown = [text.get_window_extent() for text in ticks if text.get_text()]
        ends = axes.get_window_extent()
        kept = [box for box in shown if ends.y0 - 9 <= (box.y0 + box.y1) / 2 <= ends.y1 + 9]
        assert name.get_window_extent().x1 <= min(box.x0 for box in kept)
        assert name.get_window_extent().x0 >= 0
    left, right = figure.axes[:2]
    assert left.get_tightbbox().x1 < right.get_tightbbox().x0


def test_a_curve_of_one_step_is_seen_at_the_edge_of_its_chart():
    curves = [Curve(0, np.array([1.0]), np.array([5.0])), Curve(1, X + 2, X + 6)]
    found = side_by_side(2)._replace(charts=[Chart("t", ("x", "y"), curves)])
    alone, _ = comparison(found).axes[0].get_lines()
    assert alone.get_marker() == MARKS[0].marker and not alone.get_clip_on()
    assert alone.get_markersize() >= 5


def test_points_of_a_group_have_its_mark():
    chart = Chart("t", ("x", "y"), [], [Points("p", X, X, 0, k) for k in range(3)], diagonal=True)
    axes = comparison(side_by_side(3)._replace(charts=[chart])).axes[0]
    marks = [line.get_marker() for line in axes.get_lines()[1:]]
    assert marks == [mark.marker for mark in MARKS[:3]]


def test_a_comparison_of_odd_numbers_is_a_figure_too(tmp_path):
    odd = np.array([np.nan, np.inf, -1e300, 0.0])
    charts = [
        Chart("t", ("x", "y"), [Curve(0, np.arange(4.0), odd)], log=(log, log))
        for log in (False, True)
    ]
    charts.append(Chart("t", ("x", "y"), [Curve(None, X, X), Curve(0, X[:1], X[:1])]))
    charts.append(Chart("t", ("x", "y"), [], [Points("p", X, X, 3, 0)], diagonal=True))
    estimates = [Estimate(0, np.nan), Estimate(0, 1e300, -np.inf, np.inf)]
    of = Coefficients("c", [Term("1", [], estimates)])
    found = Comparison("t", "", [group("r", "")], [Warned("w")], [], [], charts, [of], [])
    comparison(found).savefig(tmp_path / "odd.png")
