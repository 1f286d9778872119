from itertools import combinations

import numpy as np
import pytest
from matplotlib.cm import viridis
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb

import polyreg
from polyreg.reports import figures, sweep_figures
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


def named(rows, columns, mean, label="gap", spread=np.nan, **options):
    """A panel of that many rows and columns, every mean the one given."""
    shape = (rows, columns)
    names = [f"{i / 100}" for i in range(rows)], [str(i + 1) for i in range(columns)]
    mean, spread = np.full(shape, mean), np.full(shape, spread)
    return sweep_figures.Panel("batch 32", *names, mean, spread, label, **options)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def apart(boxes):
    return not any(a.overlaps(b) for a, b in combinations(boxes, 2))


def contrast(a, b):
    """By WCAG 2.1, its piecewise sRGB."""
    light = []
    for colour in (a, b):
        c = np.array(to_rgb(colour))
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        light.append(linear @ (0.2126, 0.7152, 0.0722) + 0.05)
    return max(light) / min(light)


def test_the_heat_map_shows_means_and_spreads_on_one_log_scale_for_a_quantity(tmp_path):
    first = named(1, 2, 1.0)._replace(
        mean=np.array([[1.234e-9, 0.5]]), spread=np.array([[2e-10, np.nan]])
    )
    panels = [first, named(1, 2, 40.0), named(1, 2, 1234.0, "steps", spread=1.5, sign="×/÷")]
    figure = sweep_figures.heat_map(panels, "sweep")
    figure.savefig(tmp_path / "heat.png")
    shown = [axes for axes in figure.axes if axes.get_title()]
    images = [axes.get_images()[0] for axes in shown]
    half = np.log(0.5 / 1.234e-9) / np.log(40 / 1.234e-9)
    for image, places in zip(images, [(0.0, half), (1.0, 1.0), (0.5, 0.5)], strict=True):
        assert np.allclose(image.get_array(), [viridis(places)], atol=0.01)
    bars = [axes.get_ylim() for axes in figure.axes if axes not in shown]
    assert np.allclose(bars, [(1.234e-9, 40), (1234 / 2**0.5, 1234 * 2**0.5)], rtol=1e-6)
    assert texts(shown[0]) == ["1.2e-9", "±2e-10", "0.5"]
    assert texts(shown[2]) == ["1200", "×/÷1.5"] * 2
    assert [axes.get_ylabel() for axes in figure.axes if axes not in shown] == ["gap", "steps"]


def test_panels_too_wide_for_one_line_keep_one_scale():
    figure = sweep_figures.heat_map([named(1, 20, 1e-3), named(1, 20, 1e3)], "t")
    first, bar, second, other = figure.axes
    assert first.get_position().y0 > second.get_position().y1
    for axes in (bar, other):
        assert np.allclose(axes.get_ylim(), (1e-3, 1e3), rtol=1e-9, atol=0)


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_cell_whose_runs_diverged_is_grey_and_says_so(tmp_path, lost):
    panel = named(1, 2, 1.0)._replace(mean=np.array([[lost, 2.0]]))
    figure = sweep_figures.heat_map([panel], "t")
    figure.savefig(tmp_path / "heat.png")
    axes = figure.axes[0]
    [image] = axes.get_images()
    assert texts(axes) == ["diverged", "2"]
    assert to_hex(image.get_array()[0, 0]) == sweep_figures.DIVERGED
    alone = sweep_figures.heat_map([named(1, 1, lost)], "t")
    alone.savefig(tmp_path / "alone.png")
    assert len(alone.axes) == 1  # nothing for a colour bar to say


def test_numbers_in_cells_stand_out_from_their_colours():
    panel = named(1, 300, 1.0)._replace(mean=np.geomspace(1e-12, 1, 300)[None])
    axes = sweep_figures.heat_map([panel], "t").axes[0]
    [image] = axes.get_images()
    pairs = zip(axes.texts, image.get_array()[0], strict=True)
    assert min(contrast(text.get_color(), c) for text, c in pairs) > 4.4


@pytest.mark.parametrize("value", [0.0, 1e-300, 0.0012, 1e300])
def test_a_heat_map_of_one_cell_is_a_figure_too(tmp_path, value):
    figure = sweep_figures.heat_map([named(1, 1, value, spread=0.0)], "t")
    figure.savefig(tmp_path / "one.png")
    assert texts(figure.axes[0]) == [brief(value), "±0"]


@pytest.mark.parametrize(
    "value, text",
    [(0.012, "0.012"), (1234, "1200"), (99999, "1e5"), (1.26e-10, "1.3e-10"), (-2e-4, "-2e-4")],
)
def test_numbers_are_brief(value, text):
    assert brief(value) == text


@pytest.mark.parametrize("rows, columns, count", [(1, 1, 1), (5, 6, 6), (8, 20, 2), (2, 3, 15)])
@pytest.mark.parametrize("odd", [False, True])
def test_nothing_overlaps_in_a_heat_map_whatever_its_size(rows, columns, count, odd):
    long = "$x_{1}$ " + "a name without end " * 9
    rest = {"spread": 2.2e-10, "names": (long, long)}
    panels = [named(rows, columns, 2.2e-10, "ab"[i % 2], **rest) for i in range(count)]
    panels[0] = panels[0]._replace(title=long)
    if odd:
        panels[2 % count] = panels[2 % count]._replace(rows=[long] * rows)
    panels[-1] = panels[-1]._replace(columns=[long] * columns, label=long)
    figure = sweep_figures.heat_map(panels, long)
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert len(shown) == min(count, 12)
    [title] = figure.texts
    assert ("(3 more panels left out)" in title.get_text()) == (count == 15)
    boxes = [axes.get_tightbbox() for axes in figure.axes] + [title.get_window_extent()]
    assert apart(boxes)
    width, height = figure.get_size_inches() * figure.dpi
    assert min(b.x0 for b in boxes) > 0 and max(b.x1 for b in boxes) < width
    assert min(b.y0 for b in boxes) > 0 and max(b.y1 for b in boxes) < height
    for axes in shown:
        assert not odd or axes.yaxis.get_tick_params()["labelleft"]  # each names its own rows
        assert apart([label.get_window_extent() for label in axes.get_xticklabels()])
        cell = axes.get_window_extent().width / columns
        assert all(text.get_window_extent().width < cell for text in axes.texts[:2])


def runs_of(figure):
    """The lines in order of the height of their last point, their colours and widths."""
    [lines] = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    vertices = np.array(lines.get_segments())
    order = vertices[:, -1, 1].argsort()
    return vertices[order], lines.get_colors()[order], np.array(lines.get_linewidths())[order]


def at_axis(figure, i):
    """What is written at an axis, from the bottom: heights and texts."""
    named = [
        t for t in figure.axes[0].texts if i - 0.5 < t.get_position()[0] < i and t.get_bbox_patch()
    ]
    named.sort(key=lambda text: text.get_position()[1])
    return [t.get_position()[1] for t in named], [t.get_text() for t in named]


def test_parallel_coordinates_draw_each_run_through_its_values(tmp_path):
    gap = np.array([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    axes = {
        "learning rate": ["0.1", "auto", "0.01", "1", "auto", "1"],
        "degree": [3, 1, 3, 1, 2, 2],
        "text": ["1", "2", "4", "32", "8", "16"],
        "basis": ["monomial", "legendre", "chebyshev", "legendre", "monomial", "legendre"],
        "noise": [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        "steps": [10, 40, 20, 30, 25, 15],
        "gap": gap.tolist(),
    }
    figure = sweep_figures.parallel(axes, gap, "gap", "sweep")
    figure.savefig(tmp_path / "parallel.png")
    lines, colours, _ = runs_of(figure)
    assert lines.shape == (6, 7, 2)
    assert np.array_equal(lines[:, :, 0], np.tile(np.arange(7), (6, 1)))
    assert at_axis(figure, 0)[1] == ["auto", "0.01", "0.1", "1"]
    assert at_axis(figure, 1)[1] == ["1", "2", "3"]
    assert at_axis(figure, 2)[1] == ["1", "2", "4", "8", "16", "32"]
    assert at_axis(figure, 3)[1] == ["monomial", "legendre", "chebyshev"]
    assert at_axis(figure, 6)[1] == ["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1"]
    places = [(2, 0, 1, 3, 0, 3), (2, 0, 2, 0, 1, 1), (0, 1, 2, 5, 3, 4), (0, 1, 2, 1, 0, 1)]
    for i, place in enumerate(places):
        levels = max(place)
        off = lines[:, i, 1] - np.array(place) / levels
        assert len(set(off)) == 6  # none hides another
        assert abs(off).max() < 0.3 / levels
    assert abs(lines[:, 4, 1] - 0.5).max() <= 0.06
    assert np.allclose(lines[:, 5, 1], (np.array(axes["steps"]) - 10) / 30, atol=1e-12)
    assert np.allclose(lines[:, 6, 1], np.linspace(0, 1, 6), atol=1e-12)
    assert np.allclose(colours[:, :3], viridis(np.linspace(0, 1, 6))[:, :3], atol=0.02)


def test_runs_that_diverged_are_thin_and_grey_below_the_others(tmp_path):
    gap = np.array([np.nan, 2.0, 4.0, np.inf])
    axes = {"degree": [1, 1, 2, 2], "gap": gap.tolist()}
    figure = sweep_figures.parallel(axes, gap, "gap", "t")
    figure.savefig(tmp_path / "parallel.png")
    lines, colours, widths = runs_of(figure)
    assert at_axis(figure, 1) == ([-0.15, 0.0, 0.5, 1.0], ["diverged", "2", "3", "4"])
    assert lines[:2, 1, 1].tolist() == [-0.15, -0.15]
    assert (colours[:2, :3] == 0.65).all() and np.ptp(colours[2:, :3], axis=1).min() > 0.1
    assert widths[:2].max() < widths[2:].min()
    [drawn] = figure.axes[0].collections
    assert drawn.get_linewidths()[:2] == [widths[0]] * 2  # drawn before the others


def test_parallel_coordinates_hold_whatever_is_swept(tmp_path):
    n = 60
    axes = {
        "$x_{1}$ " + "a name without end " * 9: ["$x_1$ " + "long " * 20, "b"] * (n // 2),
        "auto": ["auto"] * n,
        "all diverged": [np.nan] * n,
        "many texts": [f"t{i}" for i in range(n)],
        "far from 0": [1e6 + i for i in range(n)],
        "zeros": [0.0, 0.0] + [10.0**-i for i in range(n - 2)],
        "signed": [i - 7.5 for i in range(n)],
    }
    figure = sweep_figures.parallel(axes, np.r_[0.0, np.ones(n - 1)], "l$_{x}$" * 30, "t")
    figure.savefig(tmp_path / "parallel.png")
    lines, _, _ = runs_of(figure)
    assert np.isfinite(lines).all()
    assert at_axis(figure, 2)[1] == ["diverged"]
    assert at_axis(figure, 3)[1] == [f"t{i}" for i in range(0, n, 3)]
    assert at_axis(figure, 4)[1][0] == "1000000"
    assert (lines[:, 5, 1] == 0).sum() == 3  # the zeros with the least
    assert apart(
        [text.get_window_extent() for text in figure.axes[0].texts if text.get_position()[1] > 1.09]
    )
    for i in range(len(axes)):
        heights, _ = at_axis(figure, i)
        assert len(heights) < 2 or np.diff(heights).min() > 0.03
    for count in (0, 1):
        few = {"degree": [2] * count, "gap": [np.nan] * count}
        sweep_figures.parallel(few, np.full(count, np.nan), "gap", "t").savefig(
            tmp_path / "few.png"
        )


def test_ten_thousand_runs_are_one_collection():
    gap = np.geomspace(1e-9, 1, 10_000)
    axes = {"degree": (np.arange(10_000) % 9).tolist(), "gap": gap.tolist()}
    lines, colours, _ = runs_of(sweep_figures.parallel(axes, gap, "gap", "t"))
    assert len(lines) == len(colours) == 10_000
    assert colours[0, 3] < 0.1


def contest(title, names, lost=False):
    steps = np.array([1.0, 2.0, 5.0, 10.0])
    gap = np.array([100.0, 10.0, 1.0, 9e-4])
    descents = [
        sweep_figures.Descent(name, i, steps * (i + 1), gap, gap / 2, gap * 2, True)
        for i, name in enumerate(names)
    ]
    if lost:
        gone = np.full(4, np.inf)
        descents.append(sweep_figures.Descent("lost", 5, steps, gone, gap, gone, False))
    return sweep_figures.Contest(title, descents)


def test_the_optimizers_are_lines_of_one_look_on_equal_axes_with_the_tolerance(tmp_path):
    contests = [contest("degree 1", ["sgd", "adam"]), contest("degree 2", ["sgd"], lost=True)]
    figure = sweep_figures.optimizers(contests, 1e-3, "learning curves")
    figure.savefig(tmp_path / "optimizers.png")
    one, other = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["degree 1", "degree 2"]
    assert one.get_xlim() == other.get_xlim() and one.get_ylim() == other.get_ylim()
    assert one.get_xscale() == one.get_yscale() == "log"
    sgd, end, adam, _, tolerance = one.get_lines()
    assert sgd.get_ydata().tolist() == [100, 10, 1, 9e-4]
    assert adam.get_xdata().tolist() == [2, 4, 10, 20] and sgd.get_color() != adam.get_color()
    assert (end.get_marker(), end.get_xdata().tolist()) == ("o", [10])
    assert set(tolerance.get_ydata()) == {1e-3}
    assert other.get_lines()[0].get_color() == sgd.get_color()
    [legend] = figure.legends
    said = [t.get_text() for t in legend.get_texts()]
    assert said == ["sgd", "adam", "lost", "tolerance"]
    assert len(one.collections) == 2  # the bands


@pytest.mark.parametrize("tolerance", [1e-300, 1e-3, 1e308])
@pytest.mark.parametrize("count", [1, 2, 4, 6])
def test_any_number_of_problems_and_any_tolerance_can_be_drawn(tmp_path, count, tolerance):
    contests = [contest(f"degree {k}", ["sgd"], lost=k == 1) for k in range(count)]
    figure = sweep_figures.optimizers(contests, tolerance, "t")
    figure.savefig(tmp_path / "optimizers.png")
    assert len(figure.axes) == count


def recovered(bias, spread, predicted, runs=9, least_squares=0.5, terms=None):
    bias = np.asarray(bias, dtype=float)
    unit = np.full(len(bias), least_squares)
    return sweep_figures.recovery(
        terms or [f"x^{k}" for k in range(len(bias))],
        bias,
        np.full(len(bias), 0.25),
        np.asarray(spread, dtype=float),
        unit,
        np.asarray(predicted, dtype=float),
        runs=runs,
        title="recovery",
    )


def test_recovery_is_in_units_of_the_least_squares_error(tmp_path):
    figure = recovered([1.0, -2.0], [0.5, 0.75], [0.6, np.nan])
    figure.savefig(tmp_path / "recovery.png")
    left, right = figure.axes
    [bias], [spread, predicted] = left.containers, right.containers
    assert bias[0].get_xdata().tolist() == [2, -4]
    assert [s[:, 0].tolist() for s in bias[2][0].get_segments()] == [[1, 3], [-5, -3]]
    assert spread[0].get_xdata().tolist() == [1, 1.5]
    assert np.array_equal(predicted[0].get_xdata(), [1.2, np.nan], equal_nan=True)
    assert predicted[0].get_markerfacecolor() == "none"
    bars = np.array(spread[2][0].get_segments())[:, :, 0]
    assert np.allclose(bars, np.outer([1, 1.5], np.exp([-0.5, 0.5])))  # 2 / sqrt(2 * 8)
    assert left.get_xscale() == "linear" and right.get_xscale() == "log"
    assert [line.get_xdata()[0] for line in (left.lines[-1], right.lines[-1])] == [0, 1]
    assert [label.get_text() for label in left.get_yticklabels()] == ["x^0", "x^1"]
    assert 1 in right.get_xticks()


def test_the_bars_of_a_spread_hold_what_sampling_does():
    """Of samples of 9 with SD 1, about 95 % have the truth within their bars."""
    spread = np.random.default_rng(3).standard_normal((300, 9)).std(axis=1, ddof=1)
    figure = recovered(spread, spread, spread, least_squares=1.0, terms=[""] * 300)
    low, high = np.array(figure.axes[1].containers[0][2][0].get_segments())[:, :, 0].T
    assert 0.91 < ((low < 1) & (high > 1)).mean() < 0.98


def test_biases_over_decades_are_on_a_scale_that_holds_them(tmp_path):
    bias = [(-10.0) ** (k / 4) if k % 4 == 0 else 10.0 ** (k / 4) for k in range(21)]
    figure = recovered(bias, np.geomspace(0.5, 900, 21), np.full(21, np.nan))
    figure.savefig(tmp_path / "recovery.png")
    left, right = figure.axes
    assert left.get_xscale() == "symlog"
    for axes in (left, right):
        assert apart([label.get_window_extent() for label in axes.get_xticklabels()])
    assert apart([label.get_window_extent() for label in left.get_yticklabels()])


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("value", [0.0, 0.5, np.nan, np.inf])
@pytest.mark.parametrize("least_squares", [0.0, 0.5])
def test_recovery_draws_what_is_known(tmp_path, runs, value, least_squares):
    long = ["$x_{1}$ " + "a name without end " * 9]
    figure = recovered([value], [value], [value], runs, least_squares, long)
    figure.savefig(tmp_path / "recovery.png")
    assert figure.axes[0].get_tightbbox().x0 > 0
    low, high = figure.axes[1].get_xlim()
    assert low <= 0.8 and high >= 1.25  # the line at 1 is not at an edge
    known = np.isfinite(value) and least_squares > 0
    assert np.isfinite(figure.axes[0].containers[0][0].get_xdata()).all() == known
