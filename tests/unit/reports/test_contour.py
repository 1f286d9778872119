"""Contours: what is drawn, and that labels can be read."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import polyreg
from polyreg.reports.fit import contour_figure


def drawn(x, y, degree=2, **options):
    figure = contour_figure(polyreg.fit(x, y, degree=degree, **options))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    axes = figure.axes[0]
    labels = [text for text in axes.texts if text.get_text()]
    return figure, axes, labels, renderer


def legend(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def dashed(axes) -> list:
    return [c for c in axes.collections if c.get_linestyles()[0][1] is not None]


@pytest.fixture
def square():
    return np.random.default_rng(0).uniform(-1, 1, (80, 2))


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.05, count)


def test_the_stationary_point_stands_in_its_region(square):
    _, axes, *_ = drawn(square, (square - 0.2) ** 2 @ [1, 3] + noise(80))
    assert legend(axes) == ["data", "stationary point (minimum)", "its 95 % region"]
    [star] = [line for line in axes.get_lines() if line.get_marker() == "*"]
    np.testing.assert_allclose(star.get_xydata(), [[0.2, 0.2]], atol=0.05)
    [region] = dashed(axes)
    [outline] = [path for path in region.get_paths() if len(path)]
    assert outline.contains_point(star.get_xydata()[0])
    assert not outline.contains_point((0.5, 0.2))
    assert axes.get_xlim() == (square[:, 0].min(), square[:, 0].max())


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_no_label_of_a_line_lies_on_another_or_on_the_border(square, degree):
    a, b = square.T
    y = 1e6 * (np.sin(3 * a) + b**2 + 3 * a * b) + noise(80)
    _, axes, labels, renderer = drawn(square, y, degree)
    assert len(labels) >= 3
    boxes = [label.get_window_extent(renderer) for label in labels]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    inside = axes.get_window_extent()
    assert all(inside.contains(*corner) for box in boxes for corner in box.corners())
    assert all(abs(float(label.get_text().replace("−", "-"))) >= 1e5 or label.get_text() == "0"
               for label in labels)  # fmt: skip
    assert ("stationary" in " ".join(legend(axes))) == (degree == 2)


def test_a_point_beyond_the_range_is_said_and_not_drawn(square):
    _, axes, *_ = drawn(square, (square - 4) ** 2 @ [1, 3] + noise(80))
    assert legend(axes) == ["data", "stationary point (minimum) not in this range"]
    assert not [line for line in axes.get_lines() if line.get_marker() == "*"]


@pytest.mark.parametrize("what", ["constant", "ridge", "six rows"])
def test_a_surface_without_a_point_or_errors_is_drawn_all_the_same(square, what):
    y = {"constant": np.full(80, 3.0), "ridge": square[:, 0] ** 2}.get(what, noise(80))
    rows = 6 if what == "six rows" else 80
    _, axes, *_ = drawn(square[:rows], y[:rows])
    assert "its 95 % region" not in legend(axes)
    if what != "six rows":
        assert legend(axes)[1] == "no stationary point: a ridge"
