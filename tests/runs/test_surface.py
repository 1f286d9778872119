"""Fits in two variables in runs: the stationary point on the terminal, contours as an artifact."""

import numpy as np
import pytest
from click.testing import CliRunner

import polyreg
from experiments.fit import main
from tests.conftest import artifact, only_run


@pytest.fixture
def table(store):
    x = np.random.default_rng(0).uniform((78, 168), (92, 182), (40, 2))
    y = 84 - (x - (86, 176)) ** 2 @ [0.05, 0.04] + np.random.default_rng(1).normal(0, 0.1, 40)
    rows = [f"{a:.2f},{b:.2f},{c:.3f}" for (a, b), c in zip(x, y, strict=True)]
    with open("t.csv", "w") as file:
        file.write("\n".join(["time,temp,yield", "min,degC,%", *rows]))
    return store


def ran(*arguments: str) -> str:
    told = CliRunner().invoke(main, ["--data", "t.csv", "--target", "yield", *arguments])
    assert told.exit_code == 0, told.output
    return told.output


def test_a_fit_of_degree_2_says_its_stationary_point_and_draws_contours(table):
    [line] = [s for s in ran("--degree", "2").splitlines() if s.startswith("stationary point: ")]
    run = only_run()
    loaded = polyreg.load(f"runs:/{run.info.run_id}/model")
    assert loaded.stationary_point().line == line
    assert (
        line.startswith("stationary point: time = 8") and " degC, a maximum (eigenvalues -" in line
    )
    np.testing.assert_allclose(loaded.stationary_point().x, [86, 176], atol=0.6)
    assert loaded.stationary_point().contains([86, 176]).all()
    picture = artifact(run, "plots/contour.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000


def test_other_fits_say_no_stationary_point_and_draw_contours_of_two_variables(table):
    assert "stationary point" not in ran("--degree", "3")
    assert artifact(only_run(), "plots/contour.png").exists()


def test_axes_and_bar_have_units(table):
    from polyreg.reports.fit import contour_figure

    figure = contour_figure(polyreg.fit("t.csv", target="yield", degree=2))
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (min)", "temp (degC)")
    assert bar.get_ylabel() == "yield (%)"
