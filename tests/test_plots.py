import numpy as np

from polyreg import plots

X = np.linspace(-1, 1, 50)


def png(figure, path):
    figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    [axes] = figure.axes
    return axes, [line.get_label() for line in axes.get_lines()]


def test_the_fit_shows_data_truth_and_what_was_learned(tmp_path):
    figure = plots.fit((X, X), X, X, 2 * X, "degree 1")
    axes, labels = png(figure, tmp_path / "fit.png")
    assert labels == ["truth", "data (a sample)", "learned"]
    assert np.array_equal(axes.get_lines()[2].get_ydata(), 2 * X)
    assert axes.get_title(loc="left") == "degree 1"


def test_the_loss_is_on_a_log_scale_with_floor_gap_and_tolerance(tmp_path):
    steps, losses = np.array([1, 2, 4]), 100 * np.ones(3)
    options = {"tolerance": 1e-3, "title": "t"}
    figure = plots.loss(steps, losses, losses / 2, floor=9.0, **options)
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
        plots.loss(steps, losses, losses, floor=0.0, **options), tmp_path / "no_floor.png"
    )
    assert not any("floor" in label for label in labels)


def test_residuals_show_the_data_and_the_error(tmp_path):
    axes, labels = png(plots.residuals((X, X), (X, -X), "t"), tmp_path / "residuals.png")
    assert labels[1:] == ["data (a sample)", "truth - learned"]
    assert axes.get_ylabel() == "y - learned"
