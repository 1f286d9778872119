from itertools import combinations

import numpy as np
import pytest

import polyreg
from polyreg.reports import figures
from polyreg.reports.chart import (
    LIGHT,
    Chart,
    Coefficients,
    Comparison,
    Curve,
    Estimate,
    Points,
    Run,
    Term,
    Warned,
)
from polyreg.reports.comparison.figure import comparison
from polyreg.text import brief

X = np.linspace(-1, 1, 50)


def png(figure, path):
    figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    [axes] = figure.axes
    return axes, [line.get_label() for line in axes.get_lines()]


def test_the_fit_shows_data_truth_and_what_was_learned(tmp_path):
    figure = figures.fit((X, X), X, X, 2 * X, "degree 1")
    axes, labels = png(figure, tmp_path / "fit.png")
    assert labels == ["truth", "data (a sample)", "learned"]
    assert np.array_equal(axes.get_lines()[2].get_ydata(), 2 * X)
    assert axes.get_title(loc="left") == "degree 1"


def test_the_loss_is_on_a_log_scale_with_floor_gap_and_tolerance(tmp_path):
    steps, losses = np.array([1, 2, 4]), 100 * np.ones(3)
    options = {"tolerance": 1e-3, "title": "t"}
    figure = figures.loss(steps, losses, losses / 2, floor=9.0, **options)
    axes, labels = png(figure, tmp_path / "loss.png")
    assert axes.get_yscale() == "log"
    assert [label.split(":")[0] for label in labels] == [
        "loss of the batch",
        "gap",
        "loss at the optimum (noise floor)",
        "tolerance",
    ]
    assert axes.get_lines()[1].get_xdata().tolist() == [1, 2, 4]
    assert axes.get_lines()[2].get_ydata()[0] == 9.0
    _, labels = png(
        figures.loss(steps, losses, losses, floor=0.0, **options), tmp_path / "no_floor.png"
    )
    assert not any("floor" in label for label in labels)


@pytest.mark.parametrize("size", [1, 2])
def test_no_band_of_new_rows_is_drawn_where_it_depends_on_their_weights(size):
    rng = np.random.default_rng(0)
    x, y, weights = rng.uniform(size=(40, size)), rng.normal(size=40), rng.uniform(1, 2, 40)
    drawn = []
    for given in (None, weights):
        [axes] = polyreg.fit(x, y, weights=given, degree=1).plot().axes
        drawn.append(len(axes.collections))
        labels = " ".join(text.get_text() for text in axes.get_legend().get_texts())
        assert ("95 % prediction" in labels) == (given is None)
        assert ("no prediction band: it depends on a new row's weight" in labels) != (given is None)
    assert drawn[0] == drawn[1] + 1


def test_residuals_show_the_data_and_the_error(tmp_path):
    axes, labels = png(figures.residuals((X, X), (X, -X), "t"), tmp_path / "residuals.png")
    assert labels[1:] == ["data (a sample)", "truth - learned"]
    assert axes.get_ylabel() == "y - learned"


def texts(axes):
    return [text.get_text() for text in axes.texts]


def apart(boxes):
    return not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize(
    "value, text",
    [(0.012, "0.012"), (1234, "1200"), (99999, "1e5"), (1.26e-10, "1.3e-10"), (-2e-4, "-2e-4")],
)
def test_numbers_are_brief(value, text):
    assert brief(value) == text


def side_by_side(count, name="$x_{1}$", **options):
    """A comparison of so many runs, each a line of its own slope with a band."""
    runs = [Run(f"run {k} {name}", "", "fit", "FINISHED", "", "A") for k in range(count)]
    curves = [Curve(k, X, k * X, k * X - 1, k * X + 1) for k in range(count)]
    chart = Chart(name, (name, name), curves, [Points("data", X, X)], **options)
    estimates = [Estimate(k, k, k - 1, k + 1) for k in range(count)]
    terms = [Term(f"{name}^{i}", [("truth", 0.5)], estimates) for i in range(3)]
    group = Coefficients(name, terms)
    return Comparison("Comparison", runs, [], [], [chart, chart], [group], [])


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
    estimates = [line for line in strips[0].get_lines() if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in estimates] == [0, 1, 2]
    bars = [line.get_xdata() for line in strips[0].get_lines() if line.get_linewidth() == 1.5]
    assert [list(bar) for bar in bars if len(bar) == 2][-3:] == [[-1, 1], [0, 2], [1, 3]]
    named = [text.get_text() for text in figure.texts]
    assert named[1:] == ["1  run 0 $x_{1}$", "2  run 1 $x_{1}$", "3  run 2 $x_{1}$"]


@pytest.mark.parametrize("count", [0, 1, 7, 50])
def test_nothing_overlaps_in_a_comparison_of_so_many_runs(tmp_path, count):
    figure = comparison(side_by_side(count, "a name without end " * 9))
    figure.savefig(tmp_path / "comparison.png")
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    assert apart(boxes)
    width, height = figure.get_size_inches() * figure.dpi
    assert min(b.x0 for b in boxes) >= 0 and max(b.x1 for b in boxes) <= width
    assert min(b.y0 for b in boxes) >= 0 and max(b.y1 for b in boxes) <= height


def test_a_comparison_of_odd_numbers_is_a_figure_too(tmp_path):
    odd = np.array([np.nan, np.inf, -1e300, 0.0])
    charts = [
        Chart("t", ("x", "y"), [Curve(0, np.arange(4.0), odd)], log=(log, log))
        for log in (False, True)
    ]
    charts.append(Chart("t", ("x", "y"), [Curve(None, X, X), Curve(0, X[:1], X[:1])]))
    charts.append(Chart("t", ("x", "y"), [], [Points("p", X, X, 3, 0)], diagonal=True))
    estimates = [Estimate(0, np.nan), Estimate(0, 1e300, -np.inf, np.inf)]
    group = Coefficients("c", [Term("1", [], estimates)])
    run = Run("r", "", "", "", "", "")
    found = Comparison("t", [run], [Warned("w")], [], charts, [group], [])
    comparison(found).savefig(tmp_path / "odd.png")
