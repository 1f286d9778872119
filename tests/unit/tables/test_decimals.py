"""Decimals as two float64 numbers, against Python's rationals."""

import random
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest

from polyreg.tables.decimals import AT_ONCE, split

RANDOM = random.Random(0)
NEAR = Fraction(1, 2**105)


def any_form() -> str:
    digits = "".join(RANDOM.choices("0123456789", k=RANDOM.choice([3, 9, 16, 19, 24, 31, 45])))
    point = RANDOM.randint(0, len(digits))
    text = digits if RANDOM.random() < 0.2 else f"{digits[:point]}.{digits[point:]}"
    exponent = RANDOM.randint(0, RANDOM.choice([3, 12, 30, 60]))
    tail = RANDOM.choice("eE") + RANDOM.choice(["", "+", "-"]) + str(exponent)
    return RANDOM.choice(["", "-", "+"]) + text + RANDOM.choice(["", tail])


def normal() -> float:
    return RANDOM.gauss(0, 100)


FORMS = {
    "fixed": lambda: f"{normal():.6f}",
    "without last zeros": lambda: f"{normal():.4f}".rstrip("0").rstrip("."),
    "shortest": lambda: repr(normal()),
    "numpy.savetxt": lambda: f"{normal():.18e}",
    "six digits": lambda: f"{10 ** RANDOM.uniform(-9, 12):g}",
    "nanoseconds": lambda: str(1_700_000_000_000_000_000 + RANDOM.randint(0, 10**12)),
    "18 decimals": lambda: f"{RANDOM.randint(-(10**5), 10**5)}.{RANDOM.randint(0, 10**18):018d}",
    "30 digits": lambda: f"{RANDOM.randint(-(10**30), 10**30)}e-{RANDOM.randint(0, 44)}",
    "any": any_form,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_two_numbers_are_the_decimal_and_the_first_is_the_nearest_float64(form):
    cells = [FORMS[form]() for _ in range(4000)]
    high, low = split(pa.array(cells))
    assert low is not None
    for cell, h, rest in zip(cells, high.tolist(), low.tolist(), strict=True):
        x = Fraction(cell)
        assert h == float(x), cell
        assert abs(x - Fraction(h) - Fraction(rest)) <= NEAR * abs(x), cell
        if form not in ("30 digits", "any"):  # whose powers of ten may be no float64 numbers
            assert rest == float(x - Fraction(h)), cell


def test_what_lies_in_the_middle_of_two_numbers_is_split_there():
    middles = [Fraction(2**53 + 1), Fraction(2**54 + 2), Fraction(2**53 + 1, 2**10)]
    cells = ["9007199254740993", "18014398509481986", "8796093022208.0009765625"]
    assert [Fraction(cell) for cell in cells] == middles
    high, low = split(pa.array(cells))
    assert [Fraction(h) + Fraction(r) for h, r in zip(high, low, strict=True)] == middles


@pytest.mark.parametrize("cells", [["1", "-25", "9007199254740992"], ["0.5", "-1.25e2"], [], ["0"]])
def test_numbers_that_float64_holds_leave_nothing(cells):
    high, low = split(pa.array(cells, pa.string()))
    assert low is None and high.tolist() == [float(cell) for cell in cells]


def test_null_and_infinite_cells_leave_nothing_and_do_not_disturb_the_others():
    cells = ["0.1", None, "inf", "-Infinity", "nan", "1e999", "1e-999", "-0", "0e5", "1e00007"]
    high, low = split(pa.array(cells))
    inf, nan = np.inf, np.nan
    np.testing.assert_array_equal(high, [0.1, nan, inf, -inf, nan, inf, 0, 0, 0, 1e7])
    np.testing.assert_array_equal(low, [float(Fraction("0.1") - Fraction(0.1)), *[0.0] * 9])


def test_a_part_of_a_longer_array_is_split_as_it_is_alone():
    cells = [f"{normal():.3f}" for _ in range(AT_ONCE + 300)]
    whole, part = split(pa.array(cells)), split(pa.array(cells)[100 : AT_ONCE + 200])
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[100 : AT_ONCE + 200], b)


def test_blanks_about_a_number_do_not_matter_and_other_text_is_refused():
    np.testing.assert_array_equal(split(pa.array([" 0.1", "2 "])), split(pa.array(["0.1", "2"])))
    with pytest.raises(pa.ArrowInvalid, match="abc"):
        split(pa.array(["1", "abc"]))
