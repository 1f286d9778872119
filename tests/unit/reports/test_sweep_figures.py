"""Heat maps, learning curves and recovery of a sweep, as drawn."""

import numpy as np
import pytest
from matplotlib.cm import viridis
from matplotlib.colors import to_hex

from polyreg.reports import sweep_figures
from polyreg.reports.panels import Panel
from polyreg.text import brief
from tests.support.pictures import apart, contrast, joined


def named(rows, columns, mean, metric="gap", spread=np.nan, title="batch 32", said=None):
    """A panel of that many rows and columns, every mean the one given."""
    shape = (rows, columns)
    return Panel(
        metric,
        title,
        ("learning rate", "degree"),
        [f"{i / 100}" for i in range(rows)],
        [str(i + 1) for i in range(columns)],
        np.full(shape, mean),
        np.full(shape, spread),
        said or [[""] * columns] * rows,
        np.arange(rows * columns).reshape(shape),
    )


def texts(axes):
    return [text.get_text() for text in axes.texts]


def panels_of(figure):
    return [axes for axes in figure.axes if axes.get_images()]


def bars_of(figure):
    return [axes for axes in figure.axes if not axes.get_images()]


def test_the_heat_map_shows_means_and_spreads_on_one_log_scale_for_a_metric(tmp_path):
    first = named(1, 2, 1.0)._replace(
        mean=np.array([[1.234e-9, 0.5]]), spread=np.array([[2e-10, np.nan]])
    )
    steps = named(1, 2, 1234.0, "steps", spread=1.5)._replace(mean=np.array([[1234.0, 30.0]]))
    figure = sweep_figures.heat_map([first, named(1, 2, 40.0), steps], "sweep", seeds=5)
    figure.savefig(tmp_path / "heat.png")
    images = [axes.get_images()[0] for axes in panels_of(figure)]
    half = np.log(0.5 / 1.234e-9) / np.log(40 / 1.234e-9)
    for image, places in zip(images, [(0.0, half), (1.0, 1.0), (1.0, 0.0)], strict=True):
        assert np.allclose(image.get_array(), [viridis(places)], atol=0.01)
    limits = [axes.get_ylim() for axes in bars_of(figure)]
    assert np.allclose(limits, [(1.234e-9, 40), (30, 1234)], rtol=1e-6)
    assert texts(panels_of(figure)[0]) == ["1.2e-9", "±2e-10", "0.5"]
    assert texts(panels_of(figure)[2]) == ["1200", "±1.5", "30", "±1.5"]


def test_a_heat_map_names_its_metrics_once(tmp_path):
    panels = [named(2, 2, v, m, spread=0.1) for m in ("steps", "gap") for v in (1.0, 2.0)]
    figure = sweep_figures.heat_map(panels, "sweep", seeds=5, note="a note")
    said = [text.get_text() for text in figure.texts]
    of = "mean ± standard deviation of 5 seeds"
    assert said == ["sweep", "a note", f"steps, {of}", f"gap, {of}"]
    assert [axes.get_title() for axes in panels_of(figure)] == ["batch 32"] * 4
    assert [axes.get_ylabel() for axes in bars_of(figure)] == ["", ""]
    alone = sweep_figures.heat_map([named(2, 2, 1.0, title="")], "sweep")
    assert [text.get_text() for text in alone.texts] == ["sweep", "gap"]
    assert [axes.get_title() for axes in alone.axes] == [""]


def test_panels_too_wide_for_one_line_keep_one_scale():
    figure = sweep_figures.heat_map([named(1, 20, 1e-3), named(1, 20, 1e3)], "t")
    first, second = panels_of(figure)
    assert first.get_position().y0 > second.get_position().y1
    [bar] = bars_of(figure)
    assert np.allclose(bar.get_ylim(), (1e-3, 1e3), rtol=1e-9, atol=0)
    colours = [to_hex(axes.get_images()[0].get_array()[0, 0]) for axes in (first, second)]
    assert colours == [to_hex(viridis(0.0)), to_hex(viridis(1.0))]


@pytest.mark.parametrize("lost", [np.nan, np.inf])
def test_a_cell_without_a_number_is_pale_and_says_why(tmp_path, lost):
    panel = named(1, 3, 1.0, said=[["diverged", "", "not converged"]])
    panel = panel._replace(mean=np.array([[lost, 2.0, np.nan]]))
    figure = sweep_figures.heat_map([panel], "t")
    figure.savefig(tmp_path / "heat.png")
    [axes] = figure.axes  # one number needs no colour bar
    [image] = axes.get_images()
    assert texts(axes) == ["diverged", "2", "not\nconverged"]
    assert to_hex(image.get_array()[0, 0]) == sweep_figures.DIVERGED
    assert to_hex(image.get_array()[0, 2]) == sweep_figures.OTHER


def test_a_cell_says_how_many_of_its_seeds_its_number_is_of():
    panel = named(1, 2, 1.0, spread=0.5, said=[["3 of 5", ""]])
    figure = sweep_figures.heat_map([panel], "t", seeds=5)
    assert texts(figure.axes[0]) == ["1", "±0.5", "3 of 5", "1", "±0.5"]
    assert figure.texts[1].get_text() == "3 of 5: the mean is over so many of the seeds"


def test_what_was_not_tried_is_blank_and_one_line_says_so():
    panel = named(1, 2, 1.0, said=[["not tried", ""]])
    panel = panel._replace(mean=np.array([[np.nan, 2.0]]), at=np.array([[-1, 0]]))
    figure = sweep_figures.heat_map([panel], "t")
    [axes] = figure.axes
    assert texts(axes) == ["", "2"]
    assert to_hex(axes.get_images()[0].get_array()[0, 0]) == "#ffffff"
    assert [text.get_text() for text in figure.texts] == ["t", "blank: not tried", "gap"]


def test_numbers_in_cells_stand_out_from_their_colours():
    panel = named(1, 300, 1.0)._replace(mean=np.geomspace(1e-12, 1, 300)[None])
    axes = sweep_figures.heat_map([panel], "t").axes[0]
    [image] = axes.get_images()
    pairs = zip(axes.texts, image.get_array()[0], strict=True)
    assert min(contrast(text.get_color(), c) for text, c in pairs) > 4.4
    for pale in (sweep_figures.DIVERGED, sweep_figures.OTHER, sweep_figures.WHITE):
        assert contrast(sweep_figures.GREY, pale) > 4.5


@pytest.mark.parametrize("value", [0.0, 1e-300, 0.0012, 1e300])
def test_a_heat_map_of_one_cell_is_a_figure_too(tmp_path, value):
    figure = sweep_figures.heat_map([named(1, 1, value, spread=0.0)], "t")
    figure.savefig(tmp_path / "one.png")
    assert texts(figure.axes[0]) == [brief(value), "±0"]


@pytest.mark.parametrize("rows, columns, count", [(1, 1, 1), (5, 6, 6), (8, 20, 2), (2, 3, 15)])
@pytest.mark.parametrize("said", ["", "3 of 5"])
def test_nothing_overlaps_in_a_heat_map_whatever_its_size(rows, columns, count, said):
    long = "$x_{1}$ " + "a name without end " * 9
    rest = {"spread": 2.2e-10, "said": [[said] * columns] * rows}
    panels = [named(rows, columns, 2.2e-10 * (1 + i), "ab"[i % 2], **rest) for i in range(count)]
    panels[0] = panels[0]._replace(title=long)
    panels = [p._replace(rows=[long] * rows, columns=[long] * columns) for p in panels]
    figure = sweep_figures.heat_map(panels, long, 5, "a note")
    shown = panels_of(figure)
    assert len(shown) == count
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    assert apart(boxes)
    width, height = figure.get_size_inches() * figure.dpi
    assert min(b.x0 for b in boxes) > 0 and max(b.x1 for b in boxes) < width
    assert min(b.y0 for b in boxes) > 0 and max(b.y1 for b in boxes) < height
    for axes in shown:
        assert apart([label.get_window_extent() for label in axes.get_xticklabels()])
        cell = axes.get_window_extent().width / columns
        written = [text.get_window_extent() for text in axes.texts]
        assert apart(written[:3]) and all(box.width < cell for box in written)


@pytest.mark.parametrize("word", ["not converged", "converged", "diverged"])
def test_the_words_in_cells_lie_within_them(word):
    panel = named(3, 14, np.nan, said=[[word] * 14] * 3)
    axes = sweep_figures.heat_map([panel] * 2, "t").axes[0]
    cell = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        assert box.width < cell.width / 14 and box.height < cell.height / 3


def test_a_long_name_of_a_sweep_is_wrapped_between_its_parts():
    name = "sweep · 160 combinations · 20 seeds · degrees 1,2,3,4 · rates auto,0.1,0.01,0.001"
    assert sweep_figures.wrapped(name, 60) == [
        "sweep · 160 combinations · 20 seeds · degrees 1,2,3,4 ·",
        "rates auto,0.1,0.01,0.001",
    ]
    assert (
        sweep_figures.wrapped("rates " + "0.25," * 9 + "1", 30)[0]
        == "rates 0.25, 0.25, 0.25, 0.25,"
    )


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
    boxes = [label.get_window_extent() for axes in figure.axes for label in axes.get_xticklabels()]
    assert apart([box for box in boxes if box.width])


def test_of_a_long_title_of_the_optimizers_nothing_is_cut():
    title = "basis chebyshev, batch size 128, noise 0.25 · rate auto; adamw 0.01; adagrad 0.003"
    many = [contest(title, ["sgd", "adam", "adamw", "adagrad"]) for _ in range(6)]
    name = "learning curves: median and quartiles of 20 seeds · the first 6 of 240 panels"
    figure = sweep_figures.optimizers(many, 1e-3, name)
    assert joined(text.get_text() for text in figure.texts) == name
    for axes in figure.axes:
        assert joined([axes.get_title(loc="left")]) == title
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert apart([*boxes, *(text.get_window_extent() for text in figure.texts)])
    assert apart([boxes[0], figure.legends[0].get_window_extent()])


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
        note="a note",
    )


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()] if axes.get_legend() else []


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
    assert (legend(left), legend(right)) == (
        ["bias, 2 standard errors"],
        ["measured, 9 runs", "predicted"],
    )
    assert [text.get_text() for text in figure.texts] == ["recovery", "a note"]


def test_a_legend_of_a_recovery_names_what_is_drawn():
    left, right = recovered([1.0, -2.0], [0.5, 0.75], [np.nan, np.nan]).axes
    assert (legend(left), legend(right)) == (["bias, 2 standard errors"], ["measured, 9 runs"])
    left, right = recovered([1.0], [0.5], [0.6], least_squares=0.0).axes
    assert legend(left) == legend(right) == []


def test_the_title_of_a_recovery_is_not_cut():
    title = "recovery of the coefficients: " + ", ".join(f"option{k} value{k}" for k in range(9))
    one = np.ones(1)
    figure = sweep_figures.recovery(["x"], one, one, one, one, one, runs=9, title=title)
    assert joined(text.get_text() for text in figure.texts) == title
    boxes = [text.get_window_extent() for text in figure.texts]
    boxes += [axes.get_tightbbox() for axes in figure.axes]
    assert apart(boxes)
    assert max(box.x1 for box in boxes) < 9 * figure.dpi


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
    drawn = figure.axes[0].containers
    assert bool(drawn) == known and all(np.isfinite(d[0].get_xdata()).all() for d in drawn)
