"""Runs as groups, their names, their bests: from runs that MLflow could hold, read by nobody."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polyreg
from polyreg.config import FitConfig, TrainConfig
from polyreg.options import params
from polyreg.reports.comparison.compared import compared
from polyreg.reports.comparison.groups import groups, saw
from polyreg.reports.comparison.labels import labels
from polyreg.reports.comparison.reading.runs import Read
from polyreg.reports.comparison.reading.seen import Seen
from polyreg.reports.comparison.terminal import report
from polyreg.text import plus_minus, ranges, told_apart
from polyreg.tracking.history import Past

IDS = map("{:032}".format, itertools.count())


def trained(
    steps=10, gap=5e-4, converged=True, status="FINISHED", name=None, sweep=None, **options
):
    """A training without a polynomial, as one that was killed leaves it."""
    config = TrainConfig(**options)
    metrics = {"steps": float(steps), "loss/gap": gap}
    tags = {"converged": str(converged).lower(), "data.sha256": f"seed {config.seed}"}
    past = Past(next(IDS), name or config.name, status, 0, params(config), metrics, tags)
    return Seen(past, "training", config, None, "y", None, {}, [], sweep)


def fitted(sha256="a" * 64, metrics=None, name=None, **options):
    config = FitConfig(**({"data": "/t/table.csv", "target": "y"} | options))
    past = Past(
        next(IDS), name or config.named(["x"]), "FINISHED", 0, params(config), metrics or {},
        {"data.sha256": sha256},
    )  # fmt: skip
    return Seen(past, "fit", config, None, config.target, None, {}, [])


def named(*seen):
    return labels(groups(seen)).names


def comparison(*seen):
    return compared(Read(list(seen), [], []))


def column(found, name):
    return next(c for table in found.tables for c in table.columns if c.name == name)


def test_runs_are_named_by_the_options_in_which_they_differ():
    seen = [trained(learning_rate=rate, noise=1.0, seed=3) for rate in (0.1, 0.01, "auto")]
    assert named(*seen) == ["rate 0.1", "rate 0.01", "rate auto"]
    told = labels(groups(seen))
    assert told.columns == {"learning_rate": ["0.1", "0.01", "auto"]}
    assert told.shared == (
        "trainings · degree 3 · noise 1 · seed 3; options not named have their defaults"
    )


def test_a_seed_is_part_of_the_name_where_nothing_is_repeated():
    seen = [trained(learning_rate=0.01, seed=3), trained(learning_rate=0.1, seed=4)]
    assert named(*seen) == ["rate 0.01 · seed 3", "rate 0.1 · seed 4"]


def test_runs_that_differ_in_the_seed_alone_are_one_group():
    both = itertools.product((0.1, 0.01), range(3))
    seen = [trained(learning_rate=rate, seed=seed) for rate, seed in both]
    found = groups(seen)
    assert [len(group) for group in found] == [3, 3]
    told = labels(found)
    assert told.names == ["rate 0.1", "rate 0.01"]
    assert told.runs == [["seed 0", "seed 1", "seed 2"]] * 2


def test_the_same_run_again_is_a_group_of_its_own():
    seen = [trained(seed=seed) for seed in (0, 1, 0)]
    assert [len(group) for group in groups(seen)] == [2, 1]
    assert named(*seen) == ["2 seeds", "seed 0"]


def test_fits_of_one_table_before_and_after_it_changed_are_no_repetitions():
    seen = [fitted(seed=0), fitted(seed=1), fitted(seed=2, sha256="b" * 64)]
    assert [len(group) for group in groups(seen)] == [2, 1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 3]), st.sampled_from(["auto", 0.01]), st.sampled_from([0.0, 1.0]),
            st.integers(0, 3), st.sampled_from([None, "mine", "x" * 250 + "1", "x" * 250 + "2"]),
        ),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_every_run_is_in_one_group_and_no_two_groups_have_one_name(made):
    seen = [
        trained(degree=d, learning_rate=r, noise=n, seed=s, name=name) for d, r, n, s, name in made
    ]
    found = groups(seen)
    assert sorted(one.past.id for group in found for one in group) == [s.past.id for s in seen]
    names = labels(found).names
    assert len(set(names)) == len(names) and all(names)
    for group in found:
        assert len({one.config.seed for one in group}) == len(group)


def test_a_name_that_somebody_gave_is_kept():
    assert named(trained(name="baseline"), trained(degree=4)) == ["baseline · degree 3", "degree 4"]


def test_kinds_and_tables_are_in_the_name_where_they_differ():
    names = named(trained(), fitted(), fitted(data="/t/other.csv", sha256="b" * 64))
    assert names == ["training", "fit · table.csv", "fit · other.csv"]


def test_what_differs_is_never_cut():
    base = "a" * 100 + "{}" + "b" * 100
    short = told_apart([base.format("1"), base.format("2"), "c"], 40)
    assert list(map(len, short.values())) == [40, 40, 1]
    assert [s.count("…") for s in short.values()] == [2, 2, 0]
    assert {s.strip("ab…") for s in short.values()} == {"1", "2", "c"}


@given(
    st.lists(st.text("ab", max_size=60), min_size=1, max_size=6, unique=True), st.integers(10, 50)
)
def test_short_forms_differ_as_the_values_do(values, room):
    short = told_apart(values, room)
    assert len(set(short.values())) == len(values)
    assert all(short[v] == v for v in values if len(v) <= room)


@pytest.mark.parametrize(
    "value, spread, text",
    [
        (114.667, 52.3, "115 ± 52"), (4.92e-4, 2.7e-4, "4.9e-4 ± 2.7e-4"),
        (52.56049, 2.7e-4, "52.56049 ± 2.7e-4"), (0.0, 1.0, "0 ± 1"), (14400.6, 1e-12, "14400.6"),
        (0.1, math.nan, "0.1"), (-3.0, 1e9, "-3 ± 1e9"), (math.nan, 1.0, "nan"),
    ],
)  # fmt: skip
def test_a_mean_has_the_digits_that_its_spread_leaves(value, spread, text):
    assert plus_minus(value, spread) == text


def test_a_table_has_mean_and_spread_over_the_seeds():
    steps = [10, 20, 60]
    found = comparison(*(trained(steps=n, seed=k) for k, n in enumerate(steps)), trained(degree=4))
    one = column(found, "steps")
    assert one.cells == [30, 10] and one.runs == [[10, 20, 60], []]
    assert one.spreads[0] == pytest.approx(np.std(steps, ddof=1)) and math.isnan(one.spreads[1])
    assert column(found, "converged").cells == ["3 of 3", "yes"]
    assert found.title == "Comparison of 4 runs in 2 groups"
    lines, _ = report(Read([], [], []), found)
    assert " ".join(lines[1].splitlines()[1].split()).startswith("1 3 3 3 of 3 30 ± 26")


def test_seeds_are_no_different_data_and_noise_is_said_without_a_warning():
    assert comparison(trained(seed=0), trained(seed=1, degree=4)).warnings == []
    found = comparison(trained(noise=0.0), trained(noise=0.5))
    assert found.warnings == []
    [note] = found.notes
    assert "A: truth 0.9,0.5,3,2.4, normal inputs, noise 0, run 1" in note
    assert [group.data for group in found.groups] == ["A", "B"]


@pytest.mark.parametrize(
    "other",
    [
        trained(coefficients=(1.0, 2.0)),
        trained(inputs="uniform"),
        fitted(),
        fitted(data="/t/b.csv"),
    ],
)
def test_other_truths_and_tables_are_warned_of(other):
    found = comparison(trained(), other)
    [warned] = found.warnings
    assert "different tables or truths" in warned.text and len(warned.lines) == 2


def test_other_targets_of_one_table_are_warned_of():
    found = comparison(fitted(), fitted(target="log(y)"), fitted(degree=4))
    [warned] = found.warnings
    assert warned.text.startswith("These runs have different targets.")
    assert warned.lines == ["y: runs 1, 3", "log(y): run 2"]


def test_stars_are_where_a_best_exists():
    found = comparison(trained(steps=30, gap=9e-4), trained(steps=20, gap=8e-4, degree=4))
    steps = column(found, "steps")
    assert steps.best == {1} and steps.meaning == "fewest steps to converge"
    assert column(found, "loss/gap").best == frozenset()  # the stop rule set it


def test_a_run_that_did_not_converge_is_not_the_fastest():
    found = comparison(
        trained(steps=30), trained(steps=5, converged=False, gap=1.0, degree=4),
        trained(steps=40, degree=5),
    )  # fmt: skip
    assert column(found, "steps").best == {0}


def test_the_gap_has_a_best_where_none_converged():
    seen = [trained(converged=False, gap=g, degree=d) for g, d in ((3.0, 3), (2.0, 4))]
    assert column(comparison(*seen), "loss/gap").best == {1}


def test_a_best_is_one_of_the_same_data():
    seen = [
        trained(steps=n, noise=s, degree=d)
        for n, s, d in ((30, 0.0, 3), (20, 0.0, 4), (90, 1.0, 3), (95, 1.0, 4))
    ]
    assert column(comparison(*seen), "steps").best == {1, 2}


@pytest.mark.parametrize("name", ["cv/chosen_mse", "aic", "bic"])
def test_criteria_have_a_best_and_r2_has_none(name):
    seen = [
        fitted(metrics={name: v, "r2": v, "loss": v}, degree=k) for k, v in ((1, 5.0), (2, 4.0))
    ]
    found = comparison(*seen)
    assert column(found, name).best == {1} and column(found, name).meaning
    assert column(found, "r2").best == column(found, "loss").best == frozenset()


def test_speed_has_no_best_within_a_sweep():
    def speed(*sweeps):
        seen = [
            trained(degree=k + 1, sweep=sweep)._replace(past=trained(degree=k + 1).past._replace(
                metrics={"steps_per_s": float(k)})) for k, sweep in enumerate(sweeps)
        ]  # fmt: skip
        return column(comparison(*seen), "steps_per_s").best

    assert speed(0, 0) == frozenset() and speed(None, None) == {1}


def real(*degrees, seeds=1, **options):
    return [
        Seen.of_training(polyreg.train(degree=d, seed=s, **options))
        for d in degrees
        for s in range(seeds)
    ]


def test_within_the_tolerance_of_the_truth_all_are_alike():
    found = comparison(*real(2, 3, 4))
    distance = column(found, "distance to the truth")
    assert distance.best == {1, 2} and distance.cells[0] > 30
    assert column(found, "coef_error/max").best == {1, 2}


def test_what_the_stop_rule_left_makes_no_best():
    found = comparison(trained(gap=9e-4, degree=1), trained(gap=1e-4, degree=1, learning_rate=0.01))
    assert column(found, "distance to the truth").best == frozenset()


def test_a_run_that_ended_above_the_tolerance_is_not_as_near_as_one_within():
    found = comparison(trained(gap=2e-3, stop="batch"), trained(gap=9e-4))
    assert column(found, "distance to the truth").best == {1}


def test_a_smaller_tolerance_is_nearer_and_no_slower():
    seen = [trained(steps=n, gap=g, tolerance=g) for n, g in ((30, 1e-3), (60, 1e-9))]
    found = comparison(*seen)
    assert column(found, "distance to the truth").best == {1}
    assert column(found, "steps").best == frozenset()


def test_a_criterion_on_other_rows_is_no_rival():
    few, many = ({"aic": a, "rows": n} for a, n in ((121.0, 40.0), (191.0, 60.0)))
    seen = [fitted(metrics=few, degree=1), fitted(metrics=many, degree=2)]
    assert column(comparison(*seen), "aic").best == frozenset()


def test_fewer_seeds_of_the_same_options_are_no_better():
    seen = [trained(steps=n, seed=s) for n, s in ((30, 0), (20, 1), (30, 0))]
    assert [len(group) for group in groups(seen)] == [2, 1]
    assert column(comparison(*seen), "steps").best == frozenset()
    found = comparison(*seen, trained(steps=99, degree=4))
    assert column(found, "steps").best == {0, 1}


def test_what_diverged_is_not_in_the_mean():
    lost = trained(steps=3, gap=1e9, converged=False, status="FAILED", seed=1)
    lost.past.tags["error"] = "diverged at step 3"
    found = comparison(trained(steps=10), lost)
    assert column(found, "steps").cells == [10] and column(found, "loss/gap").cells == [5e-4]
    assert column(found, "steps").runs == [[10, 3]]


def test_of_many_options_those_that_are_defaults_are_not_named():
    seen = [
        trained(), trained(degree=4), trained(noise=1.0), trained(momentum=0.5),
        trained(batch_size=8, degree=5), trained(learning_rate=0.1),
    ]  # fmt: skip
    assert named(*seen) == [
        "degree 3", "degree 4", "degree 3 · noise 1", "degree 3 · momentum 0.5",
        "degree 5 · batch 8", "degree 3 · rate 0.1",
    ]  # fmt: skip


def test_one_group_of_seeds_has_the_name_of_its_options():
    assert named(*(trained(noise=1.0, seed=k, name=f"mine {k}") for k in range(3))) == [
        "degree 3 · noise 1"
    ]


def test_options_that_another_kind_lacks_are_no_difference():
    told = labels(groups([trained(), fitted(missing="drop"), fitted(missing="drop", degree=2)]))
    assert list(told.columns) == ["kind", "degree"]


def test_a_truth_is_called_that_of_the_runs_that_have_it():
    fit = Seen.of_result(polyreg.fit([0.0, 1, 2, 3], [1.0, 2, 5, 9], degree=1), "")
    found = comparison(*real(1, 2, max_steps=20), fit)
    assert found.coefficients[0].truths == ["truth of runs 1, 2"]


def test_many_truths_are_lines_in_a_panel_and_named_in_the_table():
    seen = [one for k in (1.0, 2.0, 3.0) for one in real(1, coefficients=(k, k), max_steps=5)]
    [found] = comparison(*seen).coefficients
    assert found.terms[0].known == "3 truths: the lines"
    assert found.truths == ["truth of run 1", "truth of run 2", "truth of run 3"]


@pytest.mark.parametrize(
    "numbers, text", [([1], "1"), ([1, 2, 4], "1, 2, 4"), ([1, 2, 3, 5, 7, 8, 9], "1-3, 5, 7-9")]
)
def test_numbers_in_a_row_are_a_range(numbers, text):
    assert ranges(numbers) == text


def test_the_curve_of_a_group_is_its_median_with_its_quartiles():
    seen = real(2, 3, seeds=5, noise=1.0, max_steps=200, tolerance=1e-9)
    fit, gap = comparison(*seen).charts
    curve = next(c for c in fit.curves if c.group == 1 and c.run is None)
    values = [one.polynomial.predict(curve.x) for one in seen[5:]]
    for line, part in zip((curve.low, curve.y, curve.high), (0.25, 0.5, 0.75), strict=True):
        assert np.allclose(line, np.quantile(values, part, axis=0))
    own = [c for c in fit.curves if c.group == 1 and c.run is not None]
    assert [c.run for c in own] == [0, 1, 2, 3, 4]
    assert np.allclose(own[2].y, seen[7].polynomial.predict(own[2].x))
    learned = next(c for c in gap.curves if c.group == 1 and c.run is None)
    last = np.median([one.learning["loss/gap"][1][-1] for one in seen[5:]])
    assert learned.x[-1] == 200 and learned.y[-1] == pytest.approx(last, rel=1e-6)
    assert (learned.low <= learned.y).all() and (learned.y <= learned.high).all()
    terms = {t.name: t for t in comparison(*seen).coefficients[0].terms}
    estimate = terms["x"].of(1)
    one = [s.polynomial.coefficients[1] for s in seen[5:]]
    assert estimate.value == pytest.approx(np.mean(one))
    assert estimate.spread == pytest.approx(np.std(one, ddof=1))
    assert estimate.high == pytest.approx(estimate.value + estimate.spread)


def test_a_group_shows_those_of_its_runs_that_have_a_polynomial():
    lost = trained(seed=7, status="KILLED", steps=3, converged=False)
    found = comparison(*real(3, seeds=2), lost)
    [group] = found.groups
    assert group.mark == "1 of 3 KILLED"
    assert [c.run for c in found.charts[0].curves if c.run is not None] == [0, 1]
    assert column(found, "converged").cells == ["2 of 3"]


def test_the_terminal_tells_alike_rows_apart_and_says_which_data():
    seen = [fitted(), fitted(), fitted(data="/t/b.csv", sha256="b" * 64), fitted(name="mine")]
    lines, warnings = report(Read([], [], []), comparison(*seen))
    head, *rows = [line.split("  ") for line in lines[1].splitlines()]
    assert {"name", "data", "dataset"} <= {word.strip() for word in head}
    assert len({tuple(row[1:]) for row in rows}) == 4
    assert "b.csv" in lines[1] and "mine" in lines[1]
    assert any("y of b.csv" in line for line in warnings)


def test_data_of_the_same_truth_are_one():
    assert saw([trained(seed=1)]) == saw([trained(seed=2, degree=7)]) != saw([trained(noise=1.0)])
