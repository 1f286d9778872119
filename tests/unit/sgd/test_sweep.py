"""Many trainings at once."""

import time
from dataclasses import replace

import numpy as np
import pytest

from polyreg.config import SweepConfig, TrainConfig
from polyreg.sgd import descend, sweep
from polyreg.sgd.training import Training


def test_runs_come_out_as_each_would_alone_and_in_order():
    configs = [
        TrainConfig(degree=d, seed=s, learning_rate=r, noise=n, max_steps=3000)
        for d in (2, 5) for r in ("auto", 0.02) for n in (0.0, 0.3) for s in range(5)
    ]  # fmt: skip
    found = list(sweep.train_all(configs))
    assert [t.config for t in found] == configs
    for training in found[::7]:
        alone = Training(training.config)
        for _ in descend.descend_together([alone]):
            pass
        assert alone.curve.steps == training.curve.steps
        assert np.array_equal(alone.curve.gap, training.curve.gap)
        assert np.array_equal(alone.curve.loss, training.curve.loss)


def test_who_stops_listening_stops_the_threads():
    configs = [TrainConfig(seed=s, tolerance=1e-30, max_steps=10**9) for s in range(9)]
    short = [replace(c, max_steps=10, seed=99) for c in configs[:1]]
    runs = sweep.train_all([*short, *configs])
    assert next(runs).curve.steps == 10
    start = time.perf_counter()
    runs.close()
    assert time.perf_counter() - start < 5


def test_a_rows_curve_is_the_gap_at_steps_in_equal_ratios_and_then_the_last():
    steps = sweep.sampled_steps(10**5)
    assert steps[0] == 1 and steps[-1] == 10**5 and (np.diff(steps) > 0).all()
    assert sweep.sampled_steps(1).tolist() == [1]
    found = list(sweep.train_all([TrainConfig(degree=2, seed=s, max_steps=40) for s in range(2)]))
    found += sweep.train_all([TrainConfig(max_steps=40), TrainConfig(max_steps=40, degree=5)])
    for training in found:
        at, gap = sweep.sampled_steps(40), training.curve.gap
        expected = [gap[min(step, training.curve.steps) - 1] for step in at]
        np.testing.assert_allclose(sweep.Row.of("", training).curve, expected, rtol=1e-13)
    assert {t.curve.converged for t in found} == {True, False}


@pytest.mark.parametrize("learning_rate", [1.0, 1e15])
def test_the_curve_of_a_row_that_diverged_ends_in_infinity(learning_rate):
    [lost] = sweep.train_all([TrainConfig(learning_rate=learning_rate)])
    curve, steps = sweep.Row.of("", lost).curve, sweep.sampled_steps(lost.config.max_steps)
    assert np.array_equal(np.isinf(curve), steps > lost.curve.steps)


def test_the_score_is_steps_times_tolerances_from_the_truth():
    config = TrainConfig(degree=2, tolerance=1e-3)
    row = sweep.Row("a", config, True, 100, 0.1, 5e-4, np.zeros(3))
    assert row.error == pytest.approx(5e-4 + 2.4**2 * 6)
    assert row.score == pytest.approx(100 * row.error / 1e-3)
    near = replace(row, config=replace(config, degree=3))
    assert near.score == 100
    lost = replace(row, coefficients=None, gap=float("nan"))
    assert lost.score == 1e6 * config.max_steps
    assert sweep.best([row, near, lost]) is near and sweep.best([lost]) is None


def test_a_curve_of_few_points_is_drawn_between_them_on_logarithmic_axes():
    at, gap = np.array([1, 10, 100]), np.array([100.0, 1.0, 0.01])
    steps = np.array([1, 3, 10, 50, 100, 1000])
    np.testing.assert_allclose(sweep.gap_at(at, gap, steps, 7.0), [*(100 / steps[:-1] ** 2.0), 7.0])
    assert sweep.gap_at(np.array([1]), np.array([0.0]), np.array([1]), 1.0) == pytest.approx(0)


def test_quartiles_go_on_until_more_than_half_of_the_runs_have_ended():
    at = np.arange(1, 101)
    ends, sizes = (10, 35, 35, 60, 100), (1, 10, 100, 1000, 10_000)
    gaps = [
        sweep.sampled(at[:n], size / at[:n], False, 100)
        for n, size in zip(ends, sizes, strict=True)
    ]
    found = sweep.quartiles(np.stack(gaps), ends, 100)
    assert found.steps[0] == 1 and found.steps[-1] == 35 and (np.diff(found.steps) > 0).all()
    np.testing.assert_allclose(found.low, 10 / found.steps)
    np.testing.assert_allclose(found.median, 100 / found.steps)
    np.testing.assert_allclose(found.high, 1000 / found.steps)
    lost = np.full_like(gaps[0], np.inf)
    found = sweep.quartiles(np.stack([gaps[0], lost, lost]), (10, 1, 1), 100)
    assert found.steps.tolist() == [1] and found.median.tolist() == found.high.tolist() == [np.inf]


def test_rows_are_in_the_order_of_the_plan_whoever_came_first():
    config = SweepConfig(degrees=(2, 3), learning_rates=("auto",), seeds=2)
    tried = config.combinations()
    runs = [run for varied in tried for run in config.runs(varied)]
    rows = {run: sweep.Row(run.name, run, True, 10, 0.1, 5e-4, np.zeros(3)) for run in runs}
    late = {run: rows[run] for run in reversed(runs)}
    ordered = sweep.in_order(config, late, tried)
    assert list(ordered) == runs and ordered == late
    assert sweep.best(ordered.values()) is sweep.best(rows.values())  # the first of equal scores
    assert list(sweep.in_order(config, late, tried[:1])) == [*runs[:2], *reversed(runs[2:])]
