"""Turning points by exact root counting, against roots that are known."""

from fractions import Fraction

import numpy as np
import pytest

import polyreg
from polyreg.errors import PolyregError
from polyreg.inference.monotone import roots, turning_points


def with_turns(roots) -> list[Fraction]:
    """Coefficients of a polynomial whose derivative has these roots."""
    found = [Fraction(1)]
    for root in map(Fraction, roots):
        above, below = [Fraction(0), *found], [*(root * c for c in found), Fraction(0)]
        found = [a - b for a, b in zip(above, below, strict=True)]
    return [Fraction(0), *(c / (k + 1) for k, c in enumerate(found))]


@pytest.mark.parametrize("seed", range(60))
def test_turns_are_the_roots_of_odd_multiplicity_within(seed):
    rng = np.random.default_rng(seed)
    roots = [Fraction(int(v), 64) for v in rng.integers(-20, 84, rng.integers(1, 9))]
    odd = {float(r) for r in roots if roots.count(r) % 2 and 0 < r < 1}
    assert turning_points(with_turns(roots), 0.0, 1.0) == sorted(odd)


def test_a_double_root_of_the_derivative_is_no_turn_and_one_beside_it_makes_two():
    third, near = Fraction(1, 3), Fraction(1, 10**12)
    assert turning_points(with_turns([third, third]), 0.0, 1.0) == []
    found = turning_points(with_turns([third, third + near]), 0.0, 1.0)
    assert found == pytest.approx([1 / 3, 1 / 3 + 1e-12], abs=1e-16)
    assert turning_points(with_turns([third, third, Fraction(1, 2)]), 0.0, 1.0) == [0.5]


@pytest.mark.parametrize("seed", range(20))
def test_roots_are_all_that_lie_within_each_once(seed):
    rng = np.random.default_rng(seed)
    known = [Fraction(int(v), 64) for v in rng.integers(-20, 84, rng.integers(1, 9))]
    derivative = [k * c for k, c in enumerate(with_turns(known))][1:]
    assert roots(derivative, 0.0, 1.0) == sorted({float(r) for r in known if 0 < r < 1})


def test_a_turn_at_an_end_of_the_domain_is_not_within():
    cubic = with_turns([0, 1])
    assert turning_points(cubic, 0.0, 1.0) == []
    assert turning_points(cubic, 0.0, 2.0) == [1.0]
    assert turning_points(cubic, -1.0, 2.0) == pytest.approx([0.0, 1.0], abs=1e-18)


@pytest.mark.parametrize("degree", [5, 15, 40])
def test_a_fit_turns_where_its_slope_changes_sign(degree):
    x = np.linspace(0, 10, 400)
    y = np.sin(2 * x) + 0.05 * np.random.default_rng(1).normal(size=400)
    found = polyreg.fit(x, y, degree=degree)
    grid = np.linspace(0, 10, 40_001)
    slope = found.derivative(grid)
    changes = grid[1:][slope[1:] * slope[:-1] < 0]
    assert len(found.turning_points) == len(changes) and not found.monotone
    assert found.turning_points == pytest.approx(changes, abs=3e-4)
    near = found.derivative(found.turning_points)
    assert np.abs(near).max() < 1e-9 * np.abs(slope).max()


def test_a_rising_fit_says_so_and_several_variables_have_no_pieces():
    x = np.arange(6.0)
    found = polyreg.fit(x, x + 0.1 * x**3, degree=3)
    assert found.monotone and len(found.turning_points) == 0
    assert "monotone (rising) on [0, 5]" in found.summary()
    assert "monotone (falling)" in polyreg.fit(x, -x, degree=1).summary()
    turned = polyreg.fit(x, (x - 2) ** 2, degree=2)
    assert "turns at x = 2" in turned.summary()
    assert turned.turning_points == pytest.approx([2.0], rel=1e-15)
    both = polyreg.fit(np.column_stack([x, x**2]), x, degree=1)
    with pytest.raises(PolyregError, match="of one variable"):
        both.monotone  # noqa: B018
    assert not polyreg.fit(x, x, degree=0).monotone
