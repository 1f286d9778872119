"""What a sweep came to on its grid, and which of its figures are drawn."""

import numpy as np
import pytest

from polyreg.config import SweepConfig
from polyreg.reports import parallel as coordinates
from polyreg.reports.panels import left_out, panels, why_none
from polyreg.reports.sweep_plots import figures
from polyreg.sgd.sweep import Row, Summary

STEPS, GAP = "steps to converge", "gap to the optimum"
ERROR = "distance to the truth, E (p - q)^2"


def row(config, seed, varied, converged=True, steps=10, gap=5e-4, lost=False):
    run = config.run(config.seed + seed, **varied)
    learned = None if lost else np.zeros(run.degree + 1)
    return Row("", run, converged and not lost, steps, 0.1, np.nan if lost else gap, learned)


def swept(outcome=lambda varied, seed: {}, tried=None, **options):
    """A sweep whose runs came to what `outcome` says of them."""
    config = SweepConfig(**({"degrees": (3,), "learning_rates": ("auto",), "seeds": 3} | options))
    return config, [
        Summary(varied, [row(config, s, varied, **outcome(varied, s)) for s in range(config.seeds)])
        for varied in (config.combinations() if tried is None else tried(config.combinations()))
    ]


def shown(*given, **options):
    return panels(*swept(*given, **options))


def test_degree_and_rate_are_the_axes_and_other_options_make_panels():
    config, found = swept(
        lambda varied, seed: {"steps": 100 * varied["degree"] + seed},
        degrees=(3, 4), learning_rates=("auto", 1e-5), noises=(0.0, 0.5), batch_sizes=(16, 32),
    )  # fmt: skip
    made = panels(config, found)
    assert [(p.metric, p.title) for p in made] == [
        (STEPS, f"batch size {b}, noise {n}") for b in (16, 32) for n in ("0", "0.5")
    ]
    for panel in made:
        assert panel.names == ("learning rate", "degree")
        assert (panel.rows, panel.columns) == (["auto", "1e-5"], ["3", "4"])
        assert panel.mean.tolist() == [[301, 401]] * 2 and panel.spread.tolist() == [[1, 1]] * 2
        assert panel.said == [["", ""]] * 2 and not panel.blank
        for r, c in np.ndindex(2, 2):
            varied = found[panel.at[r, c]].varied
            assert varied["degree"] == (3, 4)[c]
            assert varied["learning_rate"] == ("auto", 1e-5)[r]
            assert f"batch size {varied['batch_size']}, " in panel.title
    assert len({i for panel in made for i in panel.at.ravel().tolist()}) == len(found)


@pytest.mark.parametrize(
    "options, names, shape",
    [
        ({"degrees": (3, 4)}, ("", "degree"), (1, 2)),
        ({"learning_rates": ("auto", 0.1, 0.2)}, ("", "learning rate"), (1, 3)),
        ({"learning_rates": tuple(k / 100 for k in range(1, 14))}, ("learning rate", ""), (13, 1)),
        ({"noises": (0, 1), "bases": ("auto", "hermite", "legendre")}, ("noise", "basis"), (2, 3)),
        ({"degrees": (3, 4), "optimizers": ("sgd", "adam")}, ("optimizer", "degree"), (2, 2)),
    ],
)  # fmt: skip
def test_the_axes_are_options_that_vary(options, names, shape):
    [panel] = shown(**options)
    assert (panel.names, panel.mean.shape, panel.title) == (names, shape, "")
    assert (len(panel.rows), len(panel.columns)) == shape


def test_where_nothing_varies_there_is_no_heat_map():
    config, found = swept(seeds=12, noises=(0.1,))
    assert panels(config, found) == [] and why_none(config, found) == ""
    drawn = [name for name, _ in figures(config, found)]
    assert "heat_map" not in drawn and "recovery" in drawn


def metrics(made):
    return list(dict.fromkeys(panel.metric for panel in made))


def test_the_distance_is_shown_where_the_stop_rule_does_not_set_it():
    assert metrics(shown(degrees=(3, 4))) == [STEPS]
    assert metrics(shown(degrees=(2, 3))) == [STEPS, ERROR]  # degree 2 has a misfit
    short = metrics(shown(lambda v, s: {"converged": s > 0, "gap": 0.1}, degrees=(3, 4)))
    assert short == [STEPS, ERROR]  # without a misfit, the gap is the distance
    never = shown(lambda v, s: {"converged": False, "gap": 0.1 + s}, degrees=(3, 4))
    assert metrics(never) == [ERROR]
    assert never[0].mean == pytest.approx(np.array([[1.1, 1.1]]))
    assert shown(lambda v, s: {"lost": True}, degrees=(3, 4)) == []


def test_the_gap_is_of_the_runs_that_did_not_converge():
    made = shown(
        lambda v, s: {"converged": v["degree"] == 3 or s == 2, "gap": 1.0 + s},
        degrees=(2, 3), learning_rates=("auto", 0.1),
    )  # fmt: skip
    assert metrics(made) == [STEPS, ERROR, GAP]
    steps, error, gap = made
    assert gap.mean[:, 0].tolist() == [1.5, 1.5] and np.isnan(gap.mean[:, 1]).all()
    assert gap.said == [["2 of 3", "converged"]] * 2
    assert steps.said == [["1 of 3", ""]] * 2 and np.isnan(steps.spread[:, 0]).all()
    # Degree 2 leaves 2.4^2 Var(x^3 - 3 x) = 2.4^2 * 6 of the truth.
    assert error.mean == pytest.approx(np.array([[2 + 2.4**2 * 6, 2]] * 2))


def test_a_cell_without_a_number_says_why():
    def outcome(varied, seed):
        rate = varied["learning_rate"]
        kinds = {0.1: {"lost": True}, 0.2: {"converged": False}, 0.3: {"lost": seed == 0}}
        return kinds.get(rate, {})

    steps, error = shown(outcome, degrees=(3,), learning_rates=("auto", 0.1, 0.2, 0.3))
    assert steps.said == [["", "diverged", "not converged", "2 of 3"]]
    assert error.said == [["", "diverged", "", "2 of 3"]]
    assert np.isnan(steps.mean).tolist() == [[False, True, True, False]]


def test_what_a_search_has_not_tried_is_blank():
    def tried(all_):
        return [v for v in all_ if v["degree"] == 3 or v["learning_rate"] == 0.1][:-1]

    config, found = swept(
        tried=tried, degrees=(1, 2, 3), learning_rates=("auto", 0.1, 0.2), trials=4
    )
    [panel, _] = panels(config, found)
    assert (panel.rows, panel.columns) == (["auto", "0.1", "0.2"], ["1", "2", "3"])
    assert panel.said == [["not tried", "not tried", ""], ["", "", ""], ["not tried"] * 3]
    assert (panel.at >= 0).tolist() == [[False, False, True], [True, True, True], [False] * 3]
    assert panel.blank
    # Where all are more than can be read, only what was tried has a place.
    many = tuple(k / 1000 for k in range(1, 61))
    config, found = swept(tried=lambda all_: all_[:4], learning_rates=many, trials=4)
    assert panels(config, found)[0].columns == ["0.001", "0.002", "0.003", "0.004"]


def test_a_setting_has_one_order_in_heat_map_and_parallel_coordinates():
    def outcome(varied, seed):
        return {"steps": 10 + seed}

    rates, bases = (0.1, "auto", 0.001, 0.01), ("monomial", "auto", "hermite")
    config, found = swept(outcome, degrees=(3, 1, 2), learning_rates=rates, bases=bases)
    drawn = panels(config, found)[0]
    figure = dict(figures(config, found))["parallel"]
    texts = [text for text in figure.axes[0].texts if text.get_fontsize() == 8]
    texts.sort(key=lambda text: text.get_position())
    said = [text.get_text() for text in texts]
    assert said[:3] == drawn.columns == ["1", "2", "3"]
    assert said[3:7] == drawn.rows == ["auto", "0.001", "0.01", "0.1"]
    assert said[7:10] == list(bases)
    assert [p.title for p in panels(config, found)[:3]] == [f"basis {basis}" for basis in bases]


def test_of_more_panels_than_can_be_drawn_the_first_are_and_the_others_counted():
    config, found = swept(
        degrees=(3, 4), learning_rates=("auto", 0.1), noises=(0, 1, 2, 3), batch_sizes=(16, 32)
    )
    assert len(panels(config, found)) == 6 and left_out(config, found) == 2
    figure = dict(figures(config, found))["heat_map"]
    said = " ".join(text.get_text() for text in figure.texts)
    assert "2 further panels of each left out; runs.json has every run" in said


def test_more_rows_than_can_be_read_are_refused_in_a_line():
    config, found = swept(learning_rates=tuple(k / 1000 for k in range(1, 61)), seeds=1)
    assert panels(config, found) == []
    assert why_none(config, found) == (
        "no heat map: 60 values of learning rate are more than the 40 rows that can be read"
    )


@pytest.fixture
def coordinated(monkeypatch):
    """What parallel coordinates are drawn of."""
    drawn, draw = [], coordinates.parallel
    monkeypatch.setattr(coordinates, "parallel", lambda *a: drawn.append(a) or draw(*a))

    def of(*given, **options):
        names = [name for name, _ in figures(*swept(*given, **options))]
        assert ("parallel" in names) == bool(drawn)
        return drawn.pop() if drawn else None

    return of


def test_parallel_coordinates_are_coloured_by_the_score(coordinated):
    def outcome(varied, seed):
        return {"lost": True} if (varied["degree"], seed) == (3, 2) else {"steps": 10 + seed}

    settings, results, colour, label, _, note = coordinated(outcome, degrees=(2, 3))
    assert list(settings) == ["degree"]
    assert list(results) == ["steps", "distance to the truth"]  # the gaps are all the same
    worse = (5e-4 + 2.4**2 * 6) / 1e-3
    expected = [10 * worse, 11 * worse, 12 * worse, 10, 11, np.nan]
    assert np.allclose(colour, expected, equal_nan=True)
    assert label == "score" and note.startswith("colour: the score")


def test_an_axis_on_which_everything_is_the_same_is_left_out(coordinated):
    def own(varied, seed):
        return {"steps": 10 + seed, "gap": 1e-4 * (1 + seed)}

    settings, results, *_ = coordinated(own, noises=(0.0, 1.0))
    assert (list(settings), list(results)) == (["noise"], ["steps", "gap to the optimum"])
    settings, results, *_ = coordinated(own)
    assert (list(settings), list(results)) == ([], ["steps", "gap to the optimum"])
    assert coordinated(own, seeds=1) is None
    assert coordinated(lambda v, s: {"lost": True, "steps": s}, degrees=(3, 4)) is None


def test_a_config_of_one_of_several_values_twice_has_one_place_for_it():
    config, found = swept(degrees=(3, 4, 3))
    [panel] = panels(config, found)
    assert panel.columns == ["3", "4"] and panel.at.min() >= 0
