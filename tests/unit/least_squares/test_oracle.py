"""The oracle itself: against NIST's print, answers known by hand, and plain `Fraction` algebra."""

from fractions import Fraction

import numpy as np
import pytest

from tests.support import oracle
from tests.support.oracle import NIST_NAMES, digits, exact, read_nist, total_degree

PRINTED = 14.3  # digits of relative size that 15 printed ones promise: half a unit of 1.00...


@pytest.mark.parametrize("name", NIST_NAMES)
def test_nists_decimals_give_what_nist_certified_to_the_last_printed_digit(name):
    columns, y, exponents, certified = read_nist(name, number=Fraction)
    answer = exact(columns, y, exponents)
    assert min(digits(certified.estimates, answer.coefficients)) > PRINTED
    assert min(digits(answer.std_errors, certified.std_errors)) > PRINTED
    assert min(digits([answer.residual_sd], [certified.residual_sd])) > PRINTED
    assert min(digits([certified.r2], [answer.r2])) > PRINTED


def test_rounding_the_data_to_float64_costs_what_the_notes_say():
    """What no solver that sees float64 can beat, against the answer of the decimal data."""
    ceilings = {"Wampler2": 13.20, "Pontius": 13.51, "Norris": 13.98, "Filip": 14.25}
    found = {}
    for name in (*ceilings, "Wampler5"):
        rounded, decimal = (
            exact(data.columns, data.y, data.exponents).coefficients
            for data in (read_nist(name), read_nist(name, number=Fraction))
        )
        found[name] = round(min(digits(rounded, decimal)), 2)
    assert found == ceilings | {"Wampler5": 16}  # integers lose nothing


def test_terms_come_by_total_degree_and_earlier_variables_first():
    assert total_degree(2, 2) == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    assert total_degree(1, 3) == [(0,), (1,), (2,), (3,)]
    assert total_degree(3, 1) == [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert len(total_degree(3, 5)) == 56


def test_a_polynomial_of_two_variables_is_found_exactly():
    rng = np.random.default_rng(0)
    a, b = rng.integers(-50, 50, size=(2, 40)) / 8  # so short that y below is exact
    answer = exact([a, b], 0.5 - 3 * a * b + 7 * b**2, total_degree(2, 3))
    truth = {(0, 0): Fraction(1, 2), (1, 1): Fraction(-3), (0, 2): Fraction(7)}
    assert answer.coefficients == [truth.get(e, 0) for e in answer.exponents]
    assert answer.rss == 0 and answer.r2 == 1 and not any(answer.std_errors)
    assert answer.fitted([[0.1], [3.0]]) == [Fraction(1, 2) - 9 * Fraction(0.1) + 63]


def test_a_weighted_line_by_hand():
    # Weights 1, 1, 2 at x = 0, 1, 2, y = 0, 3, 3: means 5/4 and 9/4, Sxx = 11/4, Sxy = 15/4.
    answer = exact([[0, 1, 2]], [0, 3, 3], [(0,), (1,)], weights=[1, 1, 2])
    assert answer.coefficients == [Fraction(6, 11), Fraction(15, 11)]
    assert answer.tss == Fraction(27, 4)
    assert answer.rss == Fraction(27, 4) - Fraction(15, 4) ** 2 / Fraction(11, 4)
    assert answer.covariance == [
        [Fraction(1, 4) + Fraction(25, 44), Fraction(-5, 11)],
        [Fraction(-5, 11), Fraction(4, 11)],
    ]
    assert answer.std_errors[1] == pytest.approx(float(answer.rss * Fraction(4, 11)) ** 0.5)


def test_without_a_constant_r2_is_about_zero():
    answer = exact([[1, 2]], [1, 3], [(1,)])
    assert answer.coefficients == [Fraction(7, 5)]
    assert answer.tss == 10 and answer.r2 == Fraction(49, 50)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_answer_solves_the_normal_equations_in_plain_fractions(weighted):
    """The slow and obvious sums, on numbers of all 53 bits and odd scales."""
    rng = np.random.default_rng(1)
    columns = [1e-7 * rng.normal(size=25), 1e5 + rng.uniform(size=25)]
    y = rng.normal(size=25)
    weights = 10 ** rng.uniform(-6, 6, size=25) if weighted else np.ones(25)
    exponents = total_degree(2, 2)
    answer = exact(columns, y, exponents, weights if weighted else None)
    rows = [
        [Fraction(a) ** p * Fraction(b) ** q for p, q in exponents]
        for a, b in zip(*columns, strict=True)
    ]
    w, y = [Fraction(v) for v in weights], [Fraction(v) for v in y]
    fitted = [oracle.dot(answer.coefficients, row) for row in rows]
    assert answer.fitted(columns) == fitted
    rest = [a - b for a, b in zip(y, fitted, strict=True)]
    assert answer.rss == sum(v * r**2 for v, r in zip(w, rest, strict=True))
    mean = oracle.dot(w, y) / sum(w)
    assert answer.tss == sum(v * (a - mean) ** 2 for v, a in zip(w, y, strict=True))
    for k in range(len(exponents)):
        column = [row[k] for row in rows]
        assert sum(v * r * c for v, r, c in zip(w, rest, column, strict=True)) == 0
        gram = [sum(v * c * row[j] for v, c, row in zip(w, column, rows, strict=True))
                for j in range(len(exponents))]  # fmt: skip
        product = [oracle.dot(gram, line) for line in answer.covariance]  # it is symmetric
        assert product == [int(j == k) for j in range(len(exponents))]


def test_dependent_terms_are_refused():
    with pytest.raises(ValueError, match="term 2 depends"):
        exact([[0, 1, 0, 1]], [1, 2, 3, 4], total_degree(1, 2))


def test_digits_count_what_is_right():
    assert digits([1.0, 1.01, -2.0], [1, 1, 2]) == pytest.approx([16, 2, -np.log10(2)])
    assert digits([0.0, 1e-5], [0, 0]) == pytest.approx([16, 5])
    assert digits([np.nan, np.inf], [1, 1]) == [-np.inf, -np.inf]


@pytest.mark.parametrize("square", [Fraction(2), Fraction(1, 3), Fraction(10) ** 300])
def test_a_root_is_the_nearest_float(square):
    r = oracle.root(square)
    assert all(
        abs(Fraction(r) ** 2 - square) <= abs(Fraction(float(np.nextafter(r, to))) ** 2 - square)
        for to in (-np.inf, np.inf)
    )
    assert oracle.root(Fraction(0)) == 0
