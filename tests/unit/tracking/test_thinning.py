"""The points of a curve that are kept."""

import numpy as np
import pytest

from polyreg import tracking
from polyreg.tracking.metrics import points as points_of


@pytest.mark.parametrize("points", [0, 1, 2, 999, 1000, 1001, 1500, 10**6])
def test_thinning_keeps_the_ends_and_at_most_a_thousand(points):
    kept = tracking.thinned(np.arange(1, points + 1))
    assert len(kept) == min(points, len(kept)) <= tracking.CURVE_POINTS
    assert kept == sorted(set(kept))
    assert not points or (kept[0], kept[-1]) == (0, points - 1)
    assert points > 1000 or kept == list(range(points))


@pytest.mark.parametrize("points", [2, 3, 4, 5, 100])
def test_thinning_to_few_points_keeps_the_ends(points):
    kept = tracking.thinned(np.arange(1, 5001), points)
    assert len(kept) <= points and (kept[0], kept[-1]) == (0, 4999)


@pytest.mark.parametrize("points", [0, 1, 2, 3, 200, 10**6])
@pytest.mark.parametrize("logged", [[], [1], list(range(1, 400)), [7, 4_000, 9_999], [10_500]])
def test_filling_in_takes_new_steps_alone_and_the_last(points, logged):
    steps = np.arange(1, 10_001)
    kept = tracking.filled(steps, np.array(logged, int), points)
    assert len(kept) <= points and kept == sorted(set(kept))
    assert not set(steps[kept]) & set(logged)
    assert not points or kept[-1] == len(steps) - 1
    assert points < 10**6 or len(kept) == len(set(steps) - set(logged))


def test_filling_in_leaves_no_gap_that_its_points_could_close():
    steps = np.arange(1, 100_001)
    logged = np.unique(np.geomspace(1, 60_000, 500).astype(int))
    kept = steps[tracking.filled(steps, logged, 500)]
    assert 490 <= len(kept) <= 500
    # Of 500 steps alone, evenly spaced, no two were nearer than 200.
    assert np.diff(np.union1d(logged, kept)).max() < 200
    # Where the steps before are dense there is nothing to fill in.
    assert kept.min() > 1000


def test_what_was_all_logged_is_filled_in_with_the_last_step_or_nothing():
    steps = np.arange(1, 101)
    assert tracking.filled(steps, steps, 5) == []
    assert tracking.filled(steps, steps[:-1], 5) == [99]


def test_points_come_step_by_step_and_the_final_values_last():
    curves = {"a": np.array([1.0, 2.0, np.nan]), "b": np.array([5.0, 6.0, 7.0])}
    found = points_of({"steps": 9}, curves, np.array([3, 5, 9]))
    named = [("a", 1.0, 3), ("b", 5.0, 3), ("a", 2.0, 5), ("b", 6.0, 5), ("b", 7.0, 9)]
    assert [(name, value, step) for name, value, _, step in found] == [*named, ("steps", 9.0, 0)]
