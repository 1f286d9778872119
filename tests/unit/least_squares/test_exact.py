"""Fixed point of 512 bits against rationals that are exact."""

import math
from fractions import Fraction

import numpy as np
import pytest

from polyreg.least_squares.integers import fixed_point
from polyreg.least_squares.integers.fixed_point import (
    POINT,
    eliminate,
    fixed,
    identity,
    minimum_norm,
    rational,
    root,
    to_float,
)
from tests.support.oracle import System

BITS = 88


def matrix_of(rows) -> np.ndarray:
    return np.stack([fixed([Fraction(v) for v in row]) for row in rows])


def hilbert(size: int) -> np.ndarray:
    return matrix_of([[Fraction(1, i + j + 1) for j in range(size)] for i in range(size)])


def inverse_hilbert(size: int) -> list[list[int]]:
    """A closed form in integers (Choi 1983)."""
    comb = math.comb
    return [
        [
            (-1) ** (i + j) * (i + j + 1) * comb(size + i, size - j - 1)
            * comb(size + j, size - i - 1) * comb(i + j, i) ** 2
            for j in range(size)
        ]
        for i in range(size)
    ]  # fmt: skip


def gram_of(columns: np.ndarray) -> np.ndarray:
    """G^T G of small integers, in fixed point."""
    return matrix_of((columns.T @ columns).tolist())


def relative(found: np.ndarray, truth) -> Fraction:
    """The largest error, in units of the largest number."""
    pairs = list(zip(found.ravel().tolist(), np.array(truth, dtype=object).ravel(), strict=True))
    return max(abs(rational(f) - t) for f, t in pairs) / max(abs(Fraction(t)) for _, t in pairs)


def test_fixed_point_holds_rationals_to_its_last_bit():
    values = [Fraction(1, 3), Fraction(-1, 3), Fraction(7), Fraction(0), Fraction(1.5e-200)]
    for value, whole in zip(values, fixed(values), strict=True):
        assert 0 <= value - rational(whole) < Fraction(1, 2**POINT)
    assert to_float(fixed(values))[:4].tolist() == [1 / 3, -1 / 3, 7.0, 0.0]


def test_a_product_is_that_of_rationals_to_its_last_bit():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(4, 2))
    found = fixed_point.product(matrix_of(a), matrix_of(b))
    for i in range(3):
        for j in range(2):
            truth = sum(Fraction(x) * Fraction(y) for x, y in zip(a[i], b[:, j], strict=True))
            assert 0 <= truth - rational(found[i, j]) < Fraction(1, 2**POINT)


@pytest.mark.parametrize("size", [1, 3, 9])
def test_a_well_conditioned_solution_and_its_inverse_are_those_of_rationals(size):
    rng = np.random.default_rng(1)
    columns = rng.integers(-9, 10, size=(size + 20, size))
    matrix, goal = columns.T @ columns, rng.integers(-99, 100, size=size)
    step, inverse, dependent = minimum_norm(
        matrix_of(matrix.tolist()), fixed([Fraction(int(g)) for g in goal]), BITS
    )
    system = System.of(matrix.tolist())
    above, below = system.solve(goal.tolist())
    assert dependent == {}
    # Entries of a few thousand and cond^2 below 2^30, of 512 bits.
    assert relative(step, [Fraction(a, below) for a in above]) < Fraction(1, 2**450)
    truth = []
    for k in range(size):
        above, below = system.solve([int(i == k) for i in range(size)])
        truth.append([Fraction(a, below) for a in above])
    assert relative(inverse, truth) < Fraction(1, 2**450)


@pytest.mark.parametrize("size", [5, 12, 16])
def test_a_hilbert_matrix_has_the_inverse_of_its_closed_form(size):
    """At size 16 its condition number is 2^73, beyond float64 by far."""
    matrix, truth = hilbert(size), inverse_hilbert(size)
    goal = fixed([Fraction(1)] * size)
    step, inverse, dependent = minimum_norm(matrix, goal, BITS)
    assert dependent == {}
    assert relative(inverse, truth) < Fraction(1, 2**200)
    assert relative(step, [sum(row) for row in truth]) < Fraction(1, 2**200)


def test_elimination_leaves_the_inverse_of_what_it_kept_times_every_column():
    columns = np.array([[1, 0, 1, 2], [0, 1, 2, 1], [1, 1, 3, 0], [2, 0, 2, 5]])  # c2 = c0 + 2 c1
    matrix = gram_of(columns)
    right = identity(4)
    kept, both = eliminate(matrix, right, BITS)
    assert kept == [0, 1, 3]
    square = (columns.T @ columns).tolist()
    system = System.of([[square[i][j] for j in kept] for i in kept])
    for column in range(8):
        goal = [square[i][column] if column < 4 else int(i == column - 4) for i in kept]
        above, below = system.solve(goal)
        for place, value in zip(kept, above, strict=True):
            error = abs(rational(both[place, column]) - Fraction(value, below))
            assert error < Fraction(1, 2**450)


def test_a_row_of_zeros_is_passed_over():
    matrix = matrix_of([[4, 0, 2], [0, 0, 0], [2, 0, 3]])
    step, inverse, dependent = minimum_norm(matrix, fixed([Fraction(v) for v in (8, 0, 4)]), BITS)
    assert dependent == {1: {0: 0}}
    np.testing.assert_allclose(to_float(step), [2, 0, 0], atol=1e-15)
    np.testing.assert_allclose(
        to_float(inverse), np.linalg.pinv([[4, 0, 2], [0, 0, 0], [2, 0, 3]]), atol=1e-15
    )


@pytest.mark.parametrize("size, rank", [(2, 1), (4, 3), (7, 3), (8, 7)])
def test_the_pseudoinverse_and_the_shortest_solution_are_those_of_numpy(size, rank):
    rng = np.random.default_rng(size)
    columns = rng.integers(-3, 4, size=(30, rank)) @ rng.integers(-2, 3, size=(rank, size))
    assert np.linalg.matrix_rank(columns) == rank
    matrix, goal = columns.T @ columns, columns.T @ rng.integers(-5, 6, size=30)
    step, inverse, dependent = minimum_norm(
        gram_of(columns), fixed([Fraction(int(g)) for g in goal]), BITS
    )
    assert len(dependent) == size - rank
    values = np.linalg.eigvalsh(matrix)[-rank:]
    pinv = np.linalg.pinv(matrix, rcond=1e-10, hermitian=True)
    near = 100 * 2.0**-52 * (values[-1] / values[0]) * np.abs(pinv).max()
    np.testing.assert_allclose(to_float(inverse), pinv, rtol=0, atol=near)
    near = near * np.abs(goal).sum()
    np.testing.assert_allclose(to_float(step), pinv @ goal, rtol=0, atol=near)


def test_a_dependent_column_is_told_as_the_combination_that_it_is():
    rng = np.random.default_rng(2)
    a, b, c = rng.integers(-9, 10, size=(3, 40))
    columns = np.stack([a, 3 * a, b, a - 2 * b, c, a + b + c], axis=1)
    step, _, dependent = minimum_norm(gram_of(columns), fixed([Fraction(0)] * 6), BITS)
    told = {1: {0: 3}, 3: {0: 1, 2: -2}, 5: {0: 1, 2: 1, 4: 1}}
    assert dependent.keys() == told.keys()
    for row, factors in told.items():
        assert dependent[row].keys() == factors.keys()
        for k, factor in factors.items():
            assert abs(dependent[row][k] - factor) < Fraction(1, 2**450)
    assert not step.any()


@pytest.mark.parametrize("bits, full", [(88, True), (60, False)])
def test_where_dependence_begins_is_the_callers_choice(bits, full):
    """Two columns that differ by 2^-35 of their length: a pivot of 2^-70."""
    near = Fraction(1, 2**35)
    matrix = matrix_of([[1, 1], [1, 1 + near**2]])
    assert (minimum_norm(matrix, fixed([Fraction(0)] * 2), bits)[2] == {}) is full


def test_a_root_is_right_to_its_last_bit_whatever_its_size():
    rng = np.random.default_rng(3)
    cases = [Fraction(10) ** p * Fraction(rng.uniform(1, 10)) for p in range(-600, 600, 7)]
    cases += [Fraction(int(n), int(d)) for n, d in rng.integers(1, 2**62, size=(300, 2))]
    cases += [Fraction(2), Fraction(1, 3), Fraction(1, 10**600), Fraction(10**600)]
    for value in cases:
        found = root(value)
        # Half of the last bit, and what rounding from 64 bits adds to it.
        near = Fraction(math.ulp(found)) * Fraction(501, 1000)
        assert (Fraction(found) - near) ** 2 <= value <= (Fraction(found) + near) ** 2


@pytest.mark.parametrize("whole", [Fraction(0), Fraction(1), Fraction(49, 4), Fraction(3) ** 400])
def test_the_root_of_a_square_is_exact(whole):
    assert root(whole**2) == float(whole)
    assert root(Fraction(0)) == 0.0
