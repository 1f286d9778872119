"""The points of a curve that are kept."""

import numpy as np
import pytest

from polyreg import tracking


@pytest.mark.parametrize("points", [0, 1, 2, 999, 1000, 1001, 1500, 10**6])
def test_thinning_keeps_the_ends_and_at_most_a_thousand(points):
    kept = tracking.thinned(np.arange(1, points + 1))
    assert len(kept) == min(points, len(kept)) <= tracking.CURVE_POINTS
    assert kept == sorted(set(kept))
    assert not points or (kept[0], kept[-1]) == (0, points - 1)
    assert points > 1000 or kept == list(range(points))
