"""Intervals hold the truth as often as they say: a short version of the benchmark's simulation."""

import math

import pytest

from benchmarks.measured.coverage import COLUMNS, KINDS, rates

TABLES, LEVEL = 300, 0.95
ERROR = math.sqrt(LEVEL * (1 - LEVEL) / TABLES)  # binomial
SLOW = {"weights 1/y^2": 100}  # of several passes each


@pytest.mark.parametrize("kind", KINDS)
def test_intervals_hold_the_truth_as_often_as_they_say(kind):
    tables = SLOW.get(kind, TABLES)
    error = ERROR * math.sqrt(TABLES / tables)
    found = dict(zip(COLUMNS, rates(kind, tables), strict=True))
    whole = found.pop("simultaneous")  # of all x at once: on a range it holds more often
    assert LEVEL - 4 * error < whole <= 1, found
    for what, rate in found.items():
        assert abs(rate - LEVEL) < 4 * error, (what, rate)
