from itertools import combinations

import numpy as np
import pytest

import polyreg
from polyreg.reports import figures
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
        said = "no prediction band: it depends on\na new row's weight or uncertainty"
        assert (said in labels) != (given is None)
    assert drawn[0] == drawn[1] + 1


@pytest.mark.parametrize("swap", [False, True])
def test_known_uncertainties_of_both_are_drawn_along_their_own_axes(swap):
    x, y = np.arange(1.0, 6), np.array([1.0, 2.1, 2.9, 4.2, 5.0])
    u_x, u_y = np.linspace(0.1, 0.2, 5), np.linspace(0.3, 0.5, 5)
    [axes] = polyreg.fit(x, y, degree=1, sigma=u_y, sigma_x=u_x, swap=swap).plot().axes
    [bars] = [c for c in axes.containers if c.has_xerr]
    _, _, (across, up) = bars
    for lines, wanted, k in ((across, u_y if swap else u_x, 0), (up, u_x if swap else u_y, 1)):
        ends = np.array([line[:, k] for line in lines.get_segments()])
        assert np.diff(ends)[:, 0] / 2 == pytest.approx(wanted)


def drawn_fit(result):
    """The curve of the fit's figure, the ends of its axis of y, and the figure itself."""
    figure = result.plot()
    [axes] = figure.axes
    [line] = [line for line in axes.get_lines() if line.get_label() == "fit"]
    return *line.get_data(), axes.get_ylim(), figure


@pytest.mark.parametrize("is_loaded", [False, True])
@pytest.mark.parametrize("target, feature, pole", [("1/y", "x", -0.55), ("y", "1/x", 0.0)])
def test_curves_break_off_at_a_pole_and_leave_the_axis_there(
    target, feature, pole, is_loaded, tmp_path
):
    x = np.linspace(-5, 5, 40)
    y = 1 / (1.1 + 2 * x) if target == "1/y" else 1 + 3 / x
    y *= 1 + 0.02 * np.random.default_rng(0).normal(size=40)
    result = polyreg.fit({"x": x, "y": y}, target=target, features=[feature], degree=1)
    pole = [*result.breaks.poles, *result.breaks.of_x][0]
    if is_loaded:
        result = polyreg.Result.from_dict(result.to_dict())
    at, curve, (low, high), figure = drawn_fit(result)
    figure.savefig(tmp_path / "fit.png")
    assert np.isnan(curve).sum() == 1 and np.isnan(at).sum() == 1
    [k] = np.flatnonzero(np.isnan(at))
    assert at[k - 1] < pole < at[k + 1]
    assert {curve[k - 1] > high, curve[k + 1] > high} == {True, False}  # out by both ends
    assert {curve[k - 1] < low, curve[k + 1] < low} == {True, False}
    if not is_loaded:
        assert low < y.min() and y.max() < high
        assert high - low < 2 * np.ptp(y)


def test_curves_without_a_prediction_leave_a_gap():
    x = np.linspace(-5, 5, 40)
    frame = {"x": x, "y": np.maximum(x**2 - 4, 0) ** 2}
    result = polyreg.fit(frame, target="sqrt(y)", features=["x"], degree=2)
    at, curve, _, _ = drawn_fit(result)
    [(low, high)] = result.breaks.lost
    assert (np.isnan(curve) == (np.isnan(at) | ((low < at) & (at < high)))).all()
    assert np.nanmin(np.where(at < low, low - at, np.inf)) < 1e-3


def test_a_logarithmic_axis_stays_above_0_beside_a_pole_of_x():
    x = np.linspace(-5, 5, 40)
    result = polyreg.fit({"x": x, "y": np.exp(2 / x)}, target="log(y)", features=["1/x"], degree=1)
    _, _, (low, high), figure = drawn_fit(result)
    assert figure.axes[0].get_yscale() == "log" and 0 < low < np.exp(2 / x).min()
    assert np.exp(2 / x).max() < high < 1e30


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
