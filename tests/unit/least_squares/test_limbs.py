"""Limbs against Python's integers, which are as long as they have to be."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from polyreg.least_squares.integers.ozaki import (
    BITS,
    LIMBS,
    POINT,
    ROWS,
    UNITS,
    carry,
    gram,
    multiply,
    split,
)

LAST = Fraction(1, 2 ** (BITS * LIMBS))  # the unit of the last limb
MOST = 2 ** (BITS - 1)  # of a limb, in its own units, once it is rounded to nearest


def limbs_of(values: np.ndarray) -> torch.Tensor:
    out = torch.empty(LIMBS, len(values), dtype=torch.float64)
    split(torch.tensor(values), out)
    return out


def number(limbs: torch.Tensor) -> list[Fraction]:
    """What limbs (L, n) are worth."""
    return [sum(map(Fraction, column)) for column in limbs.T.tolist()]


def random_limbs(rng, *shape: int) -> torch.Tensor:
    """Every limb anywhere in its range."""
    whole = rng.integers(-MOST, MOST, size=(LIMBS, *shape), endpoint=True).astype(float)
    return torch.from_numpy(whole) * torch.tensor(UNITS[:LIMBS])[(...,) + (None,) * len(shape)]


def whole(limbs: torch.Tensor) -> list[np.ndarray]:
    """Each limb in its own units, Python integers."""
    return [
        (limb / unit).numpy().astype(np.int64).astype(object)
        for limb, unit in zip(limbs, UNITS, strict=False)
    ]


def by_integers(left: torch.Tensor, right: torch.Tensor) -> np.ndarray:
    """sum over i + j < LIMBS of left_i right_j^T, limb by limb."""
    a, b = whole(left), whole(right)
    return sum(
        (a[i] @ b[j].T) << (BITS * (LIMBS - 1 - i - j))
        for i in range(LIMBS)
        for j in range(LIMBS - i)
    )


def test_split_loses_less_than_the_last_bit_and_leaves_it():
    rng = np.random.default_rng(0)
    values = rng.uniform(-0.5, 0.5, 500) * 2.0 ** rng.integers(-120, 1, 500)
    left = torch.tensor(values)
    out = torch.empty(LIMBS, 500, dtype=torch.float64)
    split(left, out)
    for value, found, rest in zip(values.tolist(), number(out), left.tolist(), strict=True):
        assert abs(Fraction(value) - found) <= LAST / 2
        assert Fraction(value) - found == Fraction(rest)
    for limb in whole(out):
        assert np.abs(limb).max() <= MOST


def test_split_is_exact_where_105_bits_hold_the_number():
    values = np.array([0, 0.5, -0.5, 1 / 3, 2.0**-105, 1e-15, -0.1])
    values = np.concatenate([values, [3.75, -1000.125, 2.0**28]])
    assert number(limbs_of(values)) == [Fraction(v) for v in values.tolist()]


@pytest.mark.parametrize("first", [0, 2])
def test_a_number_of_two_floats_is_split_as_their_sum(first):
    rng = np.random.default_rng(8)
    values = rng.uniform(-0.5, 0.5, 500) * 2.0 ** rng.integers(-60, 1, 500)
    rest = rng.uniform(-1, 1, 500) * 2.0 ** rng.integers(-80, -44 if first else -1, 500)
    out = torch.empty(LIMBS, 500, dtype=torch.float64)
    spare = torch.empty(500, dtype=torch.float64)
    split(torch.tensor(values), out, torch.tensor(rest), spare, first)
    for value, more, found in zip(values.tolist(), rest.tolist(), number(out), strict=True):
        assert abs(Fraction(value) + Fraction(more) - found) <= LAST
    for limb in whole(out):
        assert np.abs(limb).max() <= 2 * MOST


def test_limbs_of_one_bit_more_do_not_overflow():
    """As `split` leaves them of two floats, and a product of two such."""
    q = torch.tensor(UNITS[:LIMBS])[:, None, None].mul(2 * MOST).expand(LIMBS, 1, ROWS).contiguous()
    pairs = [(i, j) for i in range(LIMBS) for j in range(LIMBS - i)]
    expected = sum(ROWS * (2 * MOST) ** 2 << (BITS * (LIMBS - 1 - i - j)) for i, j in pairs)
    assert gram(q, q).tolist() == [[expected]]
    product, found = torch.empty(2, LIMBS, ROWS, dtype=torch.float64)
    multiply(q[:, 0], q[:, 0], product)
    carry(product, torch.empty(ROWS, dtype=torch.float64), found)
    [x, *_], [square, *_] = number(q[:, 0]), number(found)
    assert abs(x * x - square) <= 8 * LAST


def test_a_product_errs_by_less_than_the_last_two_bits():
    rng = np.random.default_rng(1)
    a, b = random_limbs(rng, 400), random_limbs(rng, 400)
    product, found_limbs = torch.empty(2, LIMBS, 400, dtype=torch.float64)
    multiply(a, b, product)
    carry(product, torch.empty(400, dtype=torch.float64), found_limbs)
    for x, y, found in zip(number(a), number(b), number(found_limbs), strict=True):
        assert abs(x * y - found) <= 2 * LAST
    for limb in whole(found_limbs):
        assert np.abs(limb).max() <= MOST


def test_a_carry_changes_no_value_by_more_than_half_of_the_last_bit():
    rng = np.random.default_rng(2)
    units = np.array(UNITS)[:, None] * 2.0**-BITS
    # Sums of products have up to 21 + 21 bits and a few more.
    long = torch.from_numpy(rng.integers(-(2**45), 2**45, size=(LIMBS, 300)) * units)
    before, out = number(long), torch.empty(LIMBS, 300, dtype=torch.float64)
    carry(long, torch.empty(300, dtype=torch.float64), out)
    assert max(abs(b - a) for b, a in zip(before, number(out), strict=True)) <= LAST / 2
    for limb in whole(out)[1:]:
        assert np.abs(limb).max() <= MOST


@pytest.mark.parametrize("n", [1, 7, 500, ROWS, 3 * ROWS])
def test_sums_of_products_are_those_of_python_integers(n):
    rng = np.random.default_rng(3)
    left, right = random_limbs(rng, 3, n), random_limbs(rng, 3, n)
    assert (gram(left, right) == by_integers(left, right)).all()
    assert (gram(left, left) == by_integers(left, left)).all()


def test_what_the_sums_leave_out_is_below_the_last_bits():
    rng = np.random.default_rng(4)
    left, right = random_limbs(rng, 2, 100), random_limbs(rng, 2, 100)
    found = gram(left, right)
    for j in range(2):
        for k in range(2):
            truth = sum(a * b for a, b in zip(number(left[:, j]), number(right[:, k]), strict=True))
            assert abs(truth - Fraction(int(found[j, k]), 2**POINT)) <= 100 * 2 * LAST


def test_the_spared_half_is_the_other_half():
    q = random_limbs(np.random.default_rng(5), 6, 300)
    found = gram(q, q)
    assert (found == gram(q, q.clone())).all() and (found == found.T).all()


@pytest.mark.parametrize("parts", [1, 4, 2**8])
def test_the_largest_numbers_do_not_overflow(parts):
    """All limbs at the end of their range, with one sign: the longest sums that there can be."""
    n = parts * ROWS
    q = torch.tensor(UNITS[:LIMBS])[:, None, None].mul(MOST).expand(LIMBS, 1, n).contiguous()
    pairs = [(i, j) for i in range(LIMBS) for j in range(LIMBS - i)]
    expected = sum(n * MOST**2 << (BITS * (LIMBS - 1 - i - j)) for i, j in pairs)
    assert gram(q, q).tolist() == [[expected]]
    half = torch.zeros(LIMBS, 1, n, dtype=torch.float64)
    half[0] = 0.5
    assert gram(half, half).tolist() == [[n << (POINT - 2)]]
    assert gram(half, -half).tolist() == [[-n << (POINT - 2)]]


def test_any_chunking_gives_the_same_integers():
    rng = np.random.default_rng(6)
    q = random_limbs(rng, 4, 2 * ROWS)
    whole = gram(q, q)
    for cuts in ([ROWS], [1, 2, 900, 2000, 3000], [1500, 3000]):
        parts = np.split(np.arange(2 * ROWS), cuts)
        chunks = [q[:, :, part] for part in parts]
        assert (sum(gram(chunk, chunk) for chunk in chunks) == whole).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same_integers():
    rng = np.random.default_rng(7)
    left, right = random_limbs(rng, 5, 2 * ROWS), random_limbs(rng, 5, 2 * ROWS)
    assert (gram(left.cuda(), right.cuda()) == gram(left, right)).all()
