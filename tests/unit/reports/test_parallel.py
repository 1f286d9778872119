"""Parallel coordinates, as drawn."""

import numpy as np
import pytest
from matplotlib.cm import viridis
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from polyreg.reports.parallel import LOW, parallel
from tests.support.pictures import apart, joined


class Drawn:
    """What is in the figure, its axes by number; heights are 0 to 1, as of the results."""

    def __init__(self, figure):
        self.figure, canvas = figure, figure.axes[0]
        heads = [text for text in canvas.texts if text.get_fontsize() == 9]
        heads.sort(key=lambda text: text.get_position()[0])
        self.labels = [text for text in canvas.texts if text.get_fontsize() == 8]
        self.bands = [patch for patch in canvas.patches if isinstance(patch, Rectangle)]
        [self.lines] = [c for c in canvas.collections if isinstance(c, LineCollection)]
        vertices = np.array(self.lines.get_segments())
        count = vertices.shape[1] // 2
        self.names = [joined([text.get_text()]) for text in heads]
        self.heads, self.at = heads, vertices[0, 1::2, 0]
        assert len(self.names) in (count, count + 1)  # that of the colour bar
        uprights = [line for line in canvas.lines if np.ptp(line.get_ydata()) > 1]
        foot, top = uprights[-1].get_ydata()  # a result is not jittered
        self.unit = lambda y: (np.asarray(y) - foot) / (top - foot)
        self.order = vertices[:, -1, 1].argsort()
        self.edges = vertices[0, ::2, 0]
        heights = self.unit(vertices[:, :, 1])
        assert np.array_equal(heights[:, ::2], heights[:, 1::2])  # level through the band
        self.heights = heights[self.order, ::2]
        self.colours = self.lines.get_colors()[self.order]
        self.widths = np.array(self.lines.get_linewidths())[self.order]

    def of(self, i):
        """The labels at an axis, from the bottom."""
        found = [t for t in self.labels if abs(t.get_position()[0] - self.at[i]) < 0.1]
        return sorted(found, key=lambda text: text.get_position()[1])

    def said(self, i):
        return [text.get_text() for text in self.of(i)]

    def levels(self, i):
        return self.unit([text.get_position()[1] for text in self.of(i)]).round(9).tolist()


def drawn(settings, results, colour, note=""):
    return Drawn(parallel(settings, results, np.asarray(colour, float), "score", "sweep", note))


def test_parallel_coordinates_draw_each_run_through_its_values(tmp_path):
    gap = np.array([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    steps = [10, 40, 20, 30, 25, 15]
    settings = {
        "learning rate": [0.1, "auto", 1e-5, 1.0, "auto", 1.0],
        "degree": [3, 1, 3, 1, 2, 2],
        "batch size": [1, 2, 4, 32, 8, 16],
        "basis": ["monomial", "legendre", "chebyshev", "legendre", "monomial", "legendre"],
    }
    found = drawn(settings, {"steps": steps, "gap": gap.tolist()}, gap, "a note")
    found.figure.savefig(tmp_path / "parallel.png")
    assert found.names == [*settings, "steps", "gap", "score"]
    assert [text.get_text() for text in found.figure.texts] == ["sweep", "a note"]
    assert found.heights.shape == (6, 6)
    assert found.said(0) == ["auto", "1e-5", "0.1", "1"]
    assert found.said(1) == ["1", "2", "3"]
    assert found.said(2) == ["1", "2", "4", "8", "16", "32"]
    assert found.said(3) == ["monomial", "legendre", "chebyshev"]
    assert found.said(4) == ["10", "15", "20", "25", "30", "35", "40"]
    assert found.said(5) == ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1"]
    places = [(2, 0, 1, 3, 0, 3), (2, 0, 2, 0, 1, 1), (0, 1, 2, 5, 3, 4), (0, 1, 2, 1, 0, 1)]
    for i, place in enumerate(places):
        levels = max(place)
        off = found.heights[:, i] - np.array(place) / levels
        assert len(set(off)) == 6  # none hides another
        assert abs(off).max() < 0.3 / levels
    assert np.allclose(found.heights[:, 4], (np.array(steps) - 10) / 30, atol=1e-12)
    assert np.allclose(found.heights[:, 5], np.linspace(0, 1, 6), atol=1e-12)
    assert np.allclose(found.colours[:, :3], viridis(np.linspace(0, 1, 6))[:, :3], atol=0.02)


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_written_at_an_axis_lies_on_no_line(lost):
    n = 40
    settings = {
        "optimizer": ["adagrad", "sgd"] * (n // 2),
        "basis": (["chebyshev", "a name without end " * 9] * n)[:n],
        "learning rate": [[0.123456, 1e-5, "auto"][k % 3] for k in range(n)],
    }
    score = np.geomspace(1, 1e9, n)
    gap = np.geomspace(1e-9, 1e9, n)
    if lost:
        score[:7] = gap[:7] = np.nan
    found = drawn(settings, {"steps": [*range(5, n + 5)], "gap": gap.tolist()}, score)
    canvas = found.figure.axes[0]
    for i in range(5):
        assert len(found.of(i)) > 1
        for text in found.of(i):
            box = text.get_window_extent().transformed(canvas.transData.inverted())
            if i in (0, 4):  # where no line goes at all
                assert box.x1 < found.at[0] or box.x0 > found.at[-1]
                continue
            assert found.edges[i] < box.x0 and box.x1 < found.at[i]
            [band] = [b for b in found.bands if b.get_x() == found.edges[i]]
            assert band.get_x() + band.get_width() == pytest.approx(found.at[i])
            assert band.get_y() < box.y0 and box.y1 < band.get_y() + band.get_height()
            assert band.get_zorder() > found.lines.get_zorder()  # it covers the lines
            assert text.get_zorder() > band.get_zorder()
    for band in found.bands:
        assert band.get_facecolor()[:3] == (1, 1, 1)  # paper: no bar between the lines
        top, y = band.get_y() + band.get_height(), np.array(found.lines.get_segments())[:, :, 1]
        assert band.get_y() < y.min() and y.max() < top
    boxes = [t.get_window_extent() for t in (*found.labels, *found.heads, *found.figure.texts)]
    assert apart(boxes)
    width, height = found.figure.get_size_inches() * found.figure.dpi
    assert min(b.x0 for b in boxes) > 0 and max(b.x1 for b in boxes) < width
    assert min(b.y0 for b in boxes) > 0 and max(b.y1 for b in boxes) < height


@pytest.mark.parametrize("settings", [{}, {"optimizer": ["sgd", "adam"] * 2}])
def test_the_heads_of_the_last_axis_and_of_the_colours_are_apart(settings):
    values = [5e-4, 6e-4, 7e-4, 9e-4]
    results = {"steps": [37, 38, 39, 40], "gap to the optimum": values}
    found = drawn(settings, results, [30, 40, 50, 60])
    assert found.names == [*settings, *results, "score"]
    boxes = [text.get_window_extent() for text in found.heads]
    assert boxes[-1].x0 - boxes[-2].x1 > 5  # pixels: a space that is seen


def test_runs_that_diverged_are_thin_and_grey_below_the_others(tmp_path):
    score = np.array([np.nan, 2.0, 4.0, np.nan])
    results = {"steps": [np.nan, 2.0, 4.0, np.nan], "gap": [np.nan, 3.0, 2.0, np.inf]}
    found = drawn({"degree": [1, 1, 2, 2]}, results, score)
    found.figure.savefig(tmp_path / "parallel.png")
    for i in (1, 2):
        assert (found.said(i)[0], found.levels(i)[0]) == ("diverged", LOW)
        assert found.heights[:2, i].round(9).tolist() == [LOW, LOW]
    assert found.said(1)[1:] == ["2", "3", "4"]
    assert (found.colours[:2, :3] == 0.65).all() and np.ptp(found.colours[2:, :3], 1).min() > 0.1
    assert found.widths[:2].max() < found.widths[2:].min()
    assert found.lines.get_linewidths()[:2] == [found.widths[0]] * 2  # drawn before the others


def test_the_numbers_of_results_are_round():
    values = {
        "steps": [23, 43, 31],
        "few": [3, 4, 3],
        "gap": [5.1e-4, 9.9e-4, 7.7e-4],
        "far from 0": [1e6 + 3, 1e6 + 58, 1e6],
        "wide": [31.0, 1e5, 200.0],
    }
    found = drawn({}, values, [1, 2, 3])
    for i in range(4):
        said = np.array([float(text) for text in found.said(i)])
        assert len(said) > 1 and np.allclose(np.diff(said), np.diff(said)[0])
        assert f"{np.diff(said)[0]:.0e}"[0] in "125"
    assert found.said(1) == ["3", "4"]
    assert found.said(4) == ["100", "1000", "10000", "1e5"]


def test_parallel_coordinates_hold_whatever_is_swept(tmp_path):
    n = 60
    settings = {
        "$x_{1}$ " + "a name without end " * 9: ["$x_1$ " + "long " * 20, "b"] * (n // 2),
        "many texts": [f"t{i}" for i in range(n)],
        "many numbers": [i / 7 for i in range(n)],
    }
    results = {
        "zeros": [0.0, 0.0] + [10.0**-i for i in range(n - 2)],
        "signed": [i - 7.5 for i in range(n)],
    }
    found = drawn(settings, results, np.r_[0.0, np.ones(n - 1)])
    found.figure.savefig(tmp_path / "parallel.png")
    assert np.isfinite(found.heights).all()
    assert found.said(1) == [f"t{i}" for i in range(0, n, 3)]
    assert (found.heights[:, 3].round(9) == 0).sum() == 3  # the zeros with the least
    assert apart([text.get_window_extent() for text in (*found.labels, *found.heads)])


def test_ten_thousand_runs_are_one_collection():
    gap = np.geomspace(1e-9, 1, 10_000)
    found = drawn({"degree": (np.arange(10_000) % 9).tolist()}, {"gap": gap.tolist()}, gap)
    assert len(found.heights) == len(found.colours) == 10_000
    assert found.colours[0, 3] < 0.1
