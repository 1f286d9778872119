"""The basis against its own formulas in rationals, and its promises against dense grids."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from polyreg.least_squares.gram import ExactKernel, FastKernel
from polyreg.least_squares.integers import ozaki
from polyreg.polynomials.design import SHORT, Design, Recurrence
from polyreg.tables.rows import Block, InMemory
from polyreg.tables.sampling import SAMPLE

EPS = 2.0**-52

SAMPLES = {
    "uniform": lambda rng, n: rng.uniform(-1, 3, n),
    "normal": lambda rng, n: rng.normal(5, 2, n),
    "skewed": lambda rng, n: rng.exponential(size=n),
    "bimodal": lambda rng, n: rng.choice([-4, 7], n) + rng.normal(size=n),
    "sorted": lambda rng, n: np.sort(rng.normal(size=n)),
    "far": lambda rng, n: 1e6 + rng.uniform(size=n),
    "unix seconds": lambda rng, n: rng.integers(1_577_836_800, 1_735_689_600, n).astype(float),
    "tiny": lambda rng, n: 1e-9 * rng.uniform(size=n),
}
FEW = {  # distinct values, and fewer of them than terms
    "two": [0.0, 1.0],
    "three": [-1.0, 0.0, 5.0],
    "three near each other": [1e6, 1e6 + 1e-3, 1e6 + 2e-3],
    "one far out": [0.0, 1e-6, 1.0],
}


def designed(columns, degree, interaction=0, weights=None) -> Design:
    table = InMemory(columns, np.zeros(len(columns[0])), weights)
    return Design.fitted(table.names, table.survey(), degree, interaction or len(columns))


def textbook(design: Design, columns, number=Fraction) -> np.ndarray:
    """The terms at D columns of N numbers  ->  (N, K): the docstring's formulas, literally."""
    q = []
    for x, r in zip(columns, design.recurrences, strict=True):
        z = (np.array([number(v) for v in x]) - number(r.centre)) / number(r.radius)
        here, below = [0 * z + number(1) / 2], 0 * z
        for shift, scale, decay in zip(r.shifts, r.scales, r.decays, strict=True):
            above = number(scale) * (z - number(shift)) * here[-1] - number(decay) * below
            below = here[-1]
            here.append(above)
        q.append(here)
    terms = []
    for e in design.exponents:
        factors = [q[d][power] for d, power in enumerate(e) if power]
        ones = 0 * q[0][0] + 1
        terms.append(number(2) ** (len(factors) - 1) * math.prod(factors, start=ones))
    return np.stack(terms, axis=1)


def evaluated(rows, exponents, point) -> list[Fraction]:
    """Each term at a point, from its coefficients in monomials."""
    monomials = [
        math.prod(Fraction(v) ** p for v, p in zip(point, e, strict=True)) for e in exponents
    ]
    found = [Fraction(0)] * len(rows)
    for row, monomial in zip(rows, monomials, strict=True):
        for t, c in row.items():
            found[t] += c * monomial
    return found


def cond(matrix: np.ndarray) -> float:
    return np.linalg.cond(matrix / np.linalg.norm(matrix, axis=0))


@pytest.mark.parametrize("degree", [3, 8, 16])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_design_matrix_is_nearly_orthogonal_on_the_rows_it_was_made_for(name, degree):
    x = SAMPLES[name](np.random.default_rng(0), SAMPLE)
    q = designed([x], degree).matrix(torch.from_numpy(x)[:, None]).numpy()
    assert cond(q) < 2


@pytest.mark.parametrize("degree", [3, 8, 16])
@pytest.mark.parametrize("name", SAMPLES)
def test_on_rows_beyond_its_sample_the_gram_matrix_leaves_float64_half_of_its_digits(name, degree):
    """Tails that the sample missed: a normal x has a condition number of 70 at degree 16."""
    x = SAMPLES[name](np.random.default_rng(0), 200_000)
    q = designed([x], degree).matrix(torch.from_numpy(x)[:, None]).numpy()
    assert cond(q) ** 2 * EPS < EPS**0.5


@pytest.mark.parametrize("degree", [3, 8, 16])
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("rows", [500, 20_000])
def test_no_term_exceeds_one_half_on_the_rows_nor_between_those_that_the_sample_lacks(
    name, degree, rows
):
    x = SAMPLES[name](np.random.default_rng(1), rows)
    seen = x if rows <= SAMPLE else np.linspace(x.min(), x.max(), 50_001)
    q = textbook(designed([x], degree), [seen], np.float64)
    assert np.abs(q).max() <= 0.5
    assert np.abs(q).max(axis=0).min() >= 0.5 / 4  # nor is it wastefully small


@pytest.mark.parametrize("degree", [3, 16, 40])
@pytest.mark.parametrize("name", FEW)
def test_fewer_distinct_values_than_terms_break_nothing(name, degree):
    values = np.array(FEW[name])
    design = designed([np.repeat(values, 30)], degree)
    grid = np.linspace(values[0], values[-1], 50_001)
    q = textbook(design, [grid], np.float64)
    assert np.isfinite(q).all() and np.abs(q).max() <= 0.5
    # Terms beyond the values are polynomials of their own degree still.
    assert np.linalg.matrix_rank(q, tol=EPS * np.linalg.norm(q) * 10**3) == degree + 1


@pytest.mark.parametrize("name", [*SAMPLES, *FEW])
def test_the_recurrence_is_made_of_short_numbers(name):
    rng = np.random.default_rng(2)
    x = SAMPLES[name](rng, 1000) if name in SAMPLES else np.repeat(FEW[name], 40)
    [r] = designed([x], 16).recurrences
    assert math.frexp(r.radius)[0] == 0.5
    assert all(math.frexp(s)[0] == 0.5 and s >= 1 for s in r.scales)
    assert all((v * SHORT).is_integer() for v in (*r.shifts, *r.decays, r.centre / r.radius))
    assert np.abs((x - r.centre) / r.radius).max() <= 1 / 8 + 1 / SHORT
    assert r.decays[0] == 0


def test_rows_without_weight_still_have_a_say():
    rng = np.random.default_rng(3)
    x = rng.uniform(size=3000)
    heavy = x < 0.1
    q = designed([x], 8, weights=np.where(heavy, 1.0, 1e-12)).matrix(torch.from_numpy(x)[:, None])
    # Half by weight, half by rows: neither measure sees more than twice what the design was made
    # for. Lengths are those under the mixture.
    mixed = 0.5 * heavy / heavy.sum() + 0.5 / len(x)
    scaled = q.numpy() * np.sqrt(mixed)[:, None]
    assert cond(scaled) < 2


@pytest.mark.parametrize("variables, degree, interaction", [(1, 7, 1), (2, 4, 2), (3, 3, 2)])
def test_powers_of_x_are_exactly_what_the_recurrence_is(variables, degree, interaction):
    rng = np.random.default_rng(4)
    columns = [c(rng, 300) for c in list(SAMPLES.values())[3 : 3 + variables]]
    design = designed(columns, degree, interaction)
    points = [c[:4] for c in columns]
    expected = textbook(design, points)
    for point, row in zip(zip(*points, strict=True), expected, strict=True):
        assert evaluated(design.powers.rows, design.exponents, point) == list(row)


@pytest.fixture(scope="module")
def two() -> tuple[Design, list[np.ndarray]]:
    rng = np.random.default_rng(5)
    columns = [rng.exponential(size=400), rng.normal(10, 2, size=400)]
    return designed(columns, 4), columns


def test_the_forms_of_the_powers_hold_the_same_numbers(two):
    powers = two[0].powers
    rows = [[row.get(t, Fraction(0)) for t in range(len(powers.rows))] for row in powers.rows]
    dense, largest = powers.scaled()
    whole, bits = powers.integers()
    for j, row in enumerate(rows):
        assert largest[j] == max(map(abs, row)) and np.abs(dense[j]).max() == 1
        assert dense[j].tolist() == [float(c / largest[j]) for c in row]
        assert [Fraction(int(v), 2 ** bits[j]) for v in whole[j]] == row


def test_coefficients_are_the_polynomial_and_functionals_of_monomials_its_terms(two):
    design, columns = two
    weights = [Fraction(k * k - 7, 3) for k in range(len(design.exponents))]
    coefficients = design.powers.coefficients(weights)
    for point in zip(*(c[:5] for c in columns), strict=True):
        [terms] = textbook(design, [[v] for v in point])
        monomials = [
            math.prod(Fraction(v) ** p for v, p in zip(point, e, strict=True))
            for e in design.exponents
        ]
        assert sum(c * m for c, m in zip(coefficients, monomials, strict=True)) == sum(
            w * t for w, t in zip(weights, terms, strict=True)
        )
    for point in ([0, 0], [3, Fraction(-1, 3)]):
        values = [point[0] ** a * point[1] ** b for a, b in design.exponents]
        found = design.powers.functional([Fraction(v) for v in values])
        [terms] = textbook(design, [[v] for v in point])
        assert [found.get(t, 0) for t in range(len(terms))] == list(terms)


def test_the_first_terms_are_the_design_of_the_lower_degree(two):
    design, columns = two
    x = torch.from_numpy(np.stack(columns, axis=1))
    short = design.prefix(6)
    assert short.degree == 2 and short.terms == design.terms[:6]
    assert torch.equal(short.matrix(x), design.matrix(x)[:, :6])
    assert [row for row in short.powers.rows] == [
        {t: c for t, c in row.items() if t < 6} for row in design.powers.rows[:6]
    ]


def test_a_mixed_term_is_twice_the_product_of_its_factors():
    rng = np.random.default_rng(6)
    columns = list(rng.uniform(size=(3, 200)))
    design = designed(columns, 4)
    q = design.matrix(torch.from_numpy(np.stack(columns, axis=1))).numpy()
    mixed = [k for k, e in enumerate(design.exponents) if sum(map(bool, e)) > 1]
    assert mixed == [k for k, factors in enumerate(design.factors) if factors]
    for k in mixed:
        a, b = design.factors[k]
        assert max(a, b) < k
        np.testing.assert_allclose(q[:, k], 2 * q[:, a] * q[:, b], rtol=0, atol=4 * EPS)
    for d, places in enumerate(design.pure):
        for power, k in enumerate(places):
            assert design.exponents[k] == tuple(power if v == d else 0 for v in range(3))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_matrix_and_both_kernels_have_the_columns_of_the_formulas(name):
    rng = np.random.default_rng(7)
    columns = [SAMPLES[name](rng, 300), rng.exponential(size=300)]
    design = designed(columns, 5)
    fast = FastKernel(design, np.zeros(len(design.exponents)), "cpu", 1)
    exact = ExactKernel(design, 2.0, None, "cpu")
    rows = [c[:6] for c in columns]
    expected = textbook(design, rows)
    matrix = design.matrix(torch.from_numpy(np.stack(rows, axis=1))).numpy()
    near = dict(rtol=0, atol=EPS * 6**2)  # each step adds an eps, and the steps' gain grows as k
    np.testing.assert_allclose(matrix, expected.astype(float), **near)
    for n, truth in enumerate(expected):
        row = Block(tuple(c[n : n + 1] for c in rows), np.ones(1), None)
        # Against the constant, 1/2, a single row's sums are its terms.
        np.testing.assert_allclose(2 * fast(row).gram[0, :-1], truth.astype(float), **near)
        found = [2 * Fraction(int(g), 2**ozaki.POINT) for g in exact(row).gram[0, :-1]]
        assert max(abs(f - t) for f, t in zip(found, truth, strict=True)) <= 6**2 * 2.0**-103


def test_a_design_survives_json(two):
    design, columns = two
    again = Design.from_dict(json.loads(json.dumps(design.to_dict())))
    assert again == design
    x = torch.from_numpy(np.stack(columns, axis=1))
    assert torch.equal(again.matrix(x), design.matrix(x))


def test_degree_0_is_the_constant_alone():
    design = designed([np.arange(5.0)], 0)
    assert design.terms == ["1"] and design.degree == 0
    assert design.matrix(torch.zeros(3, 1, dtype=torch.float64)).tolist() == [[0.5]] * 3
    assert design.powers.coefficients([Fraction(6)]) == [3]


def test_scales_stay_whole_and_terms_bounded_on_points_of_any_weight():
    """Limbs are exact only for scales of 1 and more; far points of great weight are what tempts."""
    for seed in [*range(400), 581, 754, 3042, 3220]:  # the last four had a scale of 1/2 once
        rng = np.random.default_rng(seed)
        n = int(rng.integers(30, 60))
        x = np.exp(rng.normal(0, 4, n))
        mass = 10.0 ** rng.uniform(-8, 8, n)
        r = Recurrence.fitted(x, mass, x.min(), x.max(), 20, whole=True)
        assert min(r.scales) >= 1
        assert r.columns(torch.from_numpy(x)).abs().max() <= 1
