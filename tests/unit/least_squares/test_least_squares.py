"""What a fit does at its edges: dependent terms, refusals, no constant, ridge, huge numbers."""

import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import polyreg
from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.least_squares.fitting import fit
from polyreg.least_squares.problem import (
    CERTIFIED_TERMS,
    CERTIFIED_VALUES,
    MAX_TERMS,
    chosen_precision,
    term_count,
)
from polyreg.tables.rows import InMemory
from tests.support import oracle
from tests.support.oracle import digits, exact, total_degree

EPS = 2.0**-52
EACH = pytest.mark.parametrize("precision", ["fast", "certified"])


def config(**options) -> FitConfig:
    return FitConfig(data="memory", target="y", **options)


def fitted(columns, y, weights=None, names=None, **options):
    return fit(InMemory(columns, y, weights, names), config(**options))


def monomials(columns, exponents) -> np.ndarray:
    return np.stack([np.prod(np.array(columns).T ** np.array(e), axis=1) for e in exponents], 1)


def right(found, truth: list[Fraction]) -> np.ndarray:
    return np.array(oracle.digits(np.asarray(found).tolist(), truth))


# -- dependent terms --------------------------------------------------------------------------


@EACH
def test_repeated_values_have_the_rank_of_their_number(precision):
    rng = np.random.default_rng(0)
    x = np.repeat([-1.0, 0.5, 3.0], 20)
    y = rng.normal(size=60)
    answer = fitted([x], y, degree=5, precision=precision)
    assert answer.rank == 3 and answer.df_resid == 57 and answer.precision == "certified"
    note = answer.notes[-1]
    assert note.startswith("rank 3 of 6: on these rows ")
    for term in ("x^3", "x^4", "x^5"):
        assert f"{term} cannot be told from lower terms" in note
    means = [y[x == v].mean() for v in x]  # what any polynomial through three points can do
    np.testing.assert_allclose(answer.predict(x), means, rtol=0, atol=20 * EPS * np.abs(y).max())
    for numbers in (answer.std_errors, answer.t_values, answer.p_values, answer.conf_int()):
        assert np.isnan(numbers).all()
    assert answer.residual_sd == pytest.approx(np.sqrt(((y - means) ** 2).sum() / 57), rel=1e-13)


@EACH
@pytest.mark.parametrize("degree, rank", [(1, 2), (2, 3), (3, 4)])
def test_a_feature_that_is_2a_plus_1_is_told_and_fits_as_lstsq_does(degree, rank, precision):
    rng = np.random.default_rng(1)
    a = rng.uniform(size=80)
    columns, y = [a, 2 * a + 1], np.sin(3 * a) + rng.normal(scale=0.1, size=80)
    answer = fitted(columns, y, names=["a", "b"], degree=degree, precision=precision)
    assert answer.rank == rank
    assert f"rank {rank} of {len(answer.terms)}: on these rows b is 1 + 2*a" in answer.notes[-1]
    assert np.isnan(answer.std_errors).all() and not answer.has_errors
    matrix = monomials(columns, answer.exponents)
    expected = matrix @ np.linalg.lstsq(matrix, y, rcond=1e-12)[0]
    np.testing.assert_allclose(answer.predict(np.stack(columns, 1)), expected, rtol=0, atol=1e-9)


def test_fast_goes_over_to_certified_where_it_cannot_tell_the_rank_and_says_so():
    rng = np.random.default_rng(2)
    a, y = rng.uniform(size=(2, 50))
    fast, certified = (fitted([a, -a], y, degree=2, precision=p) for p in ("fast", "certified"))
    assert fast.precision == "certified"
    assert fast.notes[0].startswith("float64 could not tell") and len(fast.notes) == 2
    assert fast.notes[1:] == certified.notes
    assert np.array_equal(fast.coefficients, certified.coefficients)


def test_features_near_each_other_are_told_apart():
    """a and b differ by 1e-9 of their size: beyond float64's squares, not beyond its numbers."""
    rng = np.random.default_rng(3)
    a, noise, y = rng.uniform(size=(3, 60))
    columns = [a, a + 1e-9 * noise]
    answer = fitted(columns, y, degree=1, precision="fast")
    truth = oracle.exact(columns, y, oracle.total_degree(2, 1))
    assert answer.rank == 3 and answer.precision == "certified"
    assert right(answer.coefficients, truth.coefficients).min() > 13
    assert right(answer.std_errors, truth.std_errors).min() > 12


@EACH
def test_without_intercept_the_note_names_a_term_that_does_depend(precision):
    """b is 2 a; c, far from 0, depends on nothing."""
    rng = np.random.default_rng(4)
    a, c, y = rng.uniform(size=60), rng.uniform(100, 101, size=60), rng.normal(size=60)
    options = dict(names=["a", "b", "c"], degree=1, intercept=False, precision=precision)
    answer = fitted([a, 2 * a, c], y, **options)
    assert answer.rank == 2 and answer.notes[-1].startswith("rank 2 of 3: ")
    told = re.findall(r"(\w) (?:is|follows)", answer.notes[-1])
    assert told and not {*told} & {"c"}, answer.notes[-1]
    matrix = np.stack([a, c], axis=1)
    expected = matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]
    found = answer.predict(np.stack([a, 2 * a, c], axis=1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("difference", [1e-4, 1e-6, 1e-7, 1e-9])
def test_without_intercept_fast_knows_its_standard_errors_or_goes_over_to_certified(difference):
    rng = np.random.default_rng(5)
    a, noise, y = 10 + rng.uniform(size=200), rng.normal(size=200), rng.normal(size=200)
    options = dict(degree=1, intercept=False)
    columns = [a, 2 * a + difference * noise]
    fast, certified = (fitted(columns, y, precision=p, **options) for p in ("fast", "certified"))
    np.testing.assert_allclose(fast.std_errors, certified.std_errors, rtol=1e-6)


# -- refusals ---------------------------------------------------------------------------------


def test_more_than_5000_terms_are_refused_with_their_number():
    table = InMemory(list(np.random.default_rng(6).normal(size=(100, 20))), np.zeros(20))
    with pytest.raises(Refused, match=r"5,151 terms, more than 5,000; lower --degree") as error:
        fit(table, config(degree=2))
    assert "\n" not in str(error.value)
    assert term_count(["x"] * 98, config(degree=2)) == 99 * 100 // 2 <= MAX_TERMS
    assert term_count(["x"] * 100, config(degree=2, interaction_degree=1)) == 201


@pytest.mark.parametrize("intercept", [True, False])
def test_fewer_rows_than_terms_are_refused(intercept):
    x = np.arange(4.0)
    with pytest.raises(Refused, match=r"at least as many rows, got 3; lower --degree"):
        fitted([x[:3]], x[:3], degree=5, intercept=intercept)
    with pytest.raises(Refused, match=r"choosing the degree in 10 folds needs at least 12 rows"):
        fitted([x], x, degree="auto", max_degree=2)


@pytest.mark.parametrize("rows", [4, 5, 11])
def test_too_few_rows_for_the_folds_are_refused_with_the_folds_that_they_are_enough_for(rows):
    x = np.arange(float(rows))
    y = np.cos(x)
    with pytest.raises(Refused, match=f"got {rows}; give --degree, or lower --folds to") as told:
        fitted([x], y, degree="auto", max_degree=2)
    most = int(str(told.value).split()[-1])
    fitted([x], y, degree="auto", max_degree=2, folds=most)
    with pytest.raises(Refused, match=f"or lower --folds to {most}$"):
        fitted([x], y, degree="auto", max_degree=2, folds=most + 1)


def test_rows_that_are_too_few_for_any_folds_are_refused_with_the_number_of_the_fewest():
    x = np.arange(3.0)
    with pytest.raises(Refused, match=r"got 3; give --degree \(--folds 2 would need 4\)$"):
        fitted([x], x, degree="auto", max_degree=2)


def test_a_constant_feature_is_refused_by_name():
    x = np.arange(9.0)
    with pytest.raises(Refused, match=r"feature b is constant [(]7 on every row[)].*--features"):
        fitted([x, np.full(9, 7.0)], x, names=["a", "b"])


@pytest.mark.parametrize("huge", [1e101, -1e200, 1.7e308])
def test_numbers_whose_powers_overflow_are_refused(huge):
    x = np.linspace(-1, 1, 20)
    with pytest.raises(Refused, match=r"feature x runs from .* rescale it, or lower"):
        fitted([huge * x], x, degree=2)
    with pytest.raises(Refused, match=r"the target y reaches .* rescale it"):
        fitted([x], huge * x, degree=2)
    with pytest.raises(Refused, match=r"feature x runs from .* rescale it, or lower"):
        fitted([x / abs(huge)], x, degree=2)


@EACH
@pytest.mark.parametrize(
    "x_unit, y_unit, weight_unit",
    [
        (2.0**300, 1.0, 1.0),
        (2.0**-300, 1.0, 1.0),
        (1.0, 2.0**300, 1.0),
        (1.0, 2.0**-300, 1.0),
        (1.0, 2.0**-1000, 1.0),
        (1.0, 1.0, 2.0**700),
        (1.0, 1.0, 2.0**1020),
        (1.0, 1.0, 2.0**-700),
        (2.0**300, 2.0**300, 2.0**300),
    ],
    ids=lambda unit: f"2^{np.log2(unit):g}",
)
def test_units_of_any_size_are_refused_or_change_only_the_units(
    x_unit, y_unit, weight_unit, precision
):
    """By powers of two, so that the scaled table is exactly the table."""
    rng = np.random.default_rng(7)
    x, y, w = rng.uniform(size=(3, 60)) + 0.5
    options = dict(degree=4, precision=precision)
    plain = fitted([x], y, w, **options)
    try:
        scaled = fitted([x_unit * x], y_unit * y, weight_unit * w, **options)
    except Refused:
        return
    units = [Fraction(y_unit) / Fraction(x_unit) ** k for k in range(5)]

    def digits(name: str) -> tuple[list[Fraction], np.ndarray]:
        truth = [Fraction(v) * u for v, u in zip(getattr(plain, name), units, strict=True)]
        return truth, right(getattr(scaled, name), truth)

    # What is too small for float64 has no digits left; then it must not claim any.
    _, found = digits("coefficients")
    assert (found >= np.minimum(scaled.digits, plain.digits) - 1).all()
    truth, found = digits("std_errors")
    assert all(d > 9 for d, t in zip(found, truth, strict=True) if t > 2**-1022)
    assert scaled.r2 == pytest.approx(plain.r2, rel=1e-9)
    assert scaled.predict(x_unit * x) == pytest.approx(y_unit * plain.predict(x), rel=1e-9)


def test_certified_is_refused_on_request_above_its_terms_and_never_chosen_by_auto():
    rng = np.random.default_rng(8)
    columns = list(rng.uniform(-1, 1, size=(2, 700)))
    y = np.sin(columns[0]) + rng.normal(size=700)
    with pytest.raises(Refused, match=r"certified has at most 150 terms, got 171; use fast"):
        fitted(columns, y, degree=17, precision="certified")
    answer = fitted(columns, y, degree=17)  # 171 terms
    assert answer.precision == "fast" and answer.rank == 171 > CERTIFIED_TERMS
    # Where float64 fails there is no way over.
    with pytest.raises(
        Refused, match=r"cannot tell whether the 171 terms depend .* or give --ridge"
    ):
        fitted([columns[0], 2 * columns[0]], y, degree=17)


def test_auto_is_certified_up_to_ten_million_values():
    rows = CERTIFIED_VALUES // 10
    assert chosen_precision(rows, 10, config()) == "certified"
    assert chosen_precision(rows + 1, 10, config()) == "fast"
    assert chosen_precision(1000, CERTIFIED_TERMS, config()) == "certified"
    assert chosen_precision(1000, CERTIFIED_TERMS + 1, config()) == "fast"
    assert chosen_precision(10**9, 10, config(precision="certified")) == "certified"
    assert chosen_precision(10, 2, config(precision="fast")) == "fast"


# -- ridge and no constant --------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.3, 1e4])
def test_certified_and_fast_are_the_same_fit(ridge, intercept, weighted):
    rng = np.random.default_rng(9)
    a, b = rng.uniform(-1, 3, size=200), rng.normal(2, 1, size=200)
    y = 2 + a * b + rng.normal(size=200)
    w = 10 ** rng.uniform(-1, 1, size=200) if weighted else None
    options = dict(degree=3, ridge=ridge, intercept=intercept)
    fast, exact = (fitted([a, b], y, w, precision=p, **options) for p in ("fast", "certified"))
    assert fast.precision == "fast" and exact.precision == "certified"
    x = np.stack([a, b], axis=1)
    near = dict(rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(fast.predict(x), exact.predict(x), **near)
    np.testing.assert_allclose(fast.coefficients, exact.coefficients, **near)
    for name in ("rss", "tss", "condition", "rank"):
        found, expected = getattr(fast.solution, name), getattr(exact.solution, name)
        assert found == pytest.approx(expected, rel=1e-9), name
    if ridge:
        assert np.isnan(fast.std_errors).all() and np.isnan(exact.std_errors).all()
        assert np.isnan(exact.predict(x[:3], "confidence")[1:]).all()
    else:
        np.testing.assert_allclose(fast.std_errors, exact.std_errors, rtol=1e-9)
        np.testing.assert_allclose(fast.covariance(), exact.covariance(), **near)


@EACH
@pytest.mark.parametrize("weighted", [False, True])
def test_ridge_at_degree_1_is_scikit_learns_alpha_on_standardized_features(precision, weighted):
    import sklearn.linear_model as linear_model

    rng = np.random.default_rng(10)
    x = rng.normal(size=(90, 3)) * [1, 1e3, 1e-6] + [0, 5e3, 1]
    y = x @ [1, 1e-3, 1e6] + rng.normal(size=90)
    w = rng.uniform(0.1, 5, size=90) if weighted else None
    mean = np.average(x, axis=0, weights=w)
    z = (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    theirs = linear_model.Ridge(alpha=12.5).fit(z, y, w)
    ours = fitted(list(x.T), y, w, degree=1, ridge=12.5, precision=precision)
    near = 100 * EPS * np.abs(x).max() / np.std(x[:, 2])  # what standardizing cost: 1e-6 about 1
    np.testing.assert_allclose(ours.predict(x), theirs.predict(z), rtol=0, atol=max(near, 1e-10))


@EACH
@pytest.mark.parametrize("far", [0.0, 50.0])
def test_without_intercept_there_is_no_constant_and_the_fit_is_that_of_lstsq(far, precision):
    rng = np.random.default_rng(11)
    a, b = far + rng.uniform(-1, 1, size=100), rng.uniform(-2, 1, size=100)
    y = 3 + a - b**2 + rng.normal(size=100)
    answer = fitted([a, b], y, names=["a", "b"], degree=2, intercept=False, precision=precision)
    assert answer.terms == ["a", "b", "a^2", "a*b", "b^2"] and answer.rank == 5
    assert answer.df_resid == 95
    assert answer.predict([[0.0, 0.0]]) == pytest.approx(0, abs=1e-9)
    matrix = monomials([a, b], answer.exponents)
    scale = np.linalg.norm(matrix, axis=0)
    expected = np.linalg.lstsq(matrix / scale, y, rcond=None)[0]
    near = 100 * EPS * np.linalg.cond(matrix / scale) ** 2
    np.testing.assert_allclose(
        answer.coefficients * scale, expected, rtol=0, atol=near * np.abs(expected).max()
    )
    np.testing.assert_allclose(
        answer.predict(np.stack([a, b], 1)), matrix / scale @ expected, rtol=0, atol=1e-9
    )
    assert answer.solution.tss == pytest.approx(y @ y, rel=1e-12)


@EACH
def test_degree_0_is_the_weighted_mean(precision):
    rng = np.random.default_rng(12)
    x, y, w = rng.uniform(1, 2, size=(3, 40))
    answer = fitted([x], y, w, degree=0, precision=precision)
    assert answer.terms == ["1"]
    assert answer.coefficients == pytest.approx([np.average(y, weights=w)], rel=4 * EPS)
    assert answer.r2 == pytest.approx(0, abs=40 * EPS)


@EACH
def test_the_order_of_the_rows_and_equal_weights_change_nothing(precision):
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=(2, 500))
    plain = fitted([x], y, degree=5, precision=precision)
    order = rng.permutation(500)
    for other in (
        fitted([x[order]], y[order], degree=5, precision=precision),
        fitted([x], y, np.full(500, 4.0), degree=5, precision=precision),
    ):
        # The weight 4 is a unit of y squared; the order may change the last bits of `fast`.
        exact = 0 if precision == "certified" else 1e-12
        np.testing.assert_allclose(other.coefficients, plain.coefficients, rtol=exact, atol=exact)
        np.testing.assert_allclose(other.std_errors, plain.std_errors, rtol=max(exact, 4 * EPS))


@EACH
def test_few_distinct_values_are_noticed_whatever_their_bits(precision):
    rng = np.random.default_rng(0)
    for values, degree in ((rng.uniform(size=3), 3), (rng.uniform(size=5), 6), ([0.1, 0.7], 2)):
        x = rng.choice(values, 200)
        answer = fitted([x], x + rng.normal(size=200), degree=degree, precision=precision)
        assert answer.rank == len(values) and answer.df_resid == 200 - len(values)
        assert np.isnan(answer.std_errors).all() and "cannot be told" in answer.notes[-1]
        assert np.isnan(answer.digits).all()


def test_a_fit_that_rows_leave_open_stays_tame_between_them():
    y = np.array([1.0, 2, 3, 4, 25])
    answer = fitted([np.array([1.0, 1, 2, 2, 2])], y, degree=2)
    grid = np.linspace(1, 2, 101)
    assert np.abs(answer.predict(grid)).max() < 25
    _, low, high = answer.predict(grid, interval="prediction")
    assert np.isnan(low).all() and np.isnan(high).all()


def test_a_far_point_takes_no_digits_from_the_others_errors():
    x = [-9999, -0.9, -0.5, -0.1, 0.3, 0.6, 0.8, 0.95]
    y = [5, -0.8, -0.6, -0.1, 0.35, 0.5, 0.9, 0.9]
    for degree in (2, 3):
        truth = exact([x], y, total_degree(1, degree))
        answer = fitted([np.array(x)], np.array(y), degree=degree)
        assert answer.rank == degree + 1
        np.testing.assert_allclose(answer.std_errors, truth.std_errors, rtol=1e-9)
        assert min(digits(answer.coefficients, truth.coefficients)) > 9


@pytest.mark.parametrize("far, degree", [(300, 6), (1000, 5), (3000, 5), (9999, 4)])
def test_digits_are_claimed_only_where_a_far_point_leaves_them(far, degree):
    x = [-far, -0.9, -0.5, -0.1, 0.3, 0.6, 0.8, 0.95]
    y = [5, -0.8, -0.6, -0.1, 0.35, 0.5, 0.9, 0.9]
    truth = exact([x], y, total_degree(1, degree))
    answer = fitted([np.array(x)], np.array(y), degree=degree)
    right = np.array(digits(answer.coefficients, truth.coefficients))
    assert (answer.digits <= right + 0.1).all() and right.min() < 14


def test_a_missing_code_among_the_values_is_noted_where_it_costs_the_digits():
    x = np.array([-9999, -0.9, -0.5, -0.1, 0.3, 0.6, 0.8, 0.95])
    answer = fitted([x], np.sin(3 * x), degree=5)
    assert answer.digits.min() < 3 and "fewer than 3 certain digits" in answer.notes[-1]


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("degree", [2, 3, 4])
@pytest.mark.parametrize("x", [np.arange(-2.0, 3), np.arange(7.0), np.linspace(0, 1, 9)])
def test_a_coefficient_that_is_exactly_0_is_0_with_all_digits(x, degree, intercept):
    answer = fitted([x], x**2, degree=degree, intercept=intercept)
    fifth = fitted([np.linspace(0, 1, 9)], np.linspace(0, 1, 9) ** 2, degree=5)
    assert fifth.coefficients.tolist() == [0, 0, 1, 0, 0, 0] and (fifth.digits > 15.9).all()
    exact_ones = [float(e == (2,)) for e in answer.exponents]
    assert answer.coefficients.tolist() == exact_ones
    assert (answer.digits > 15.9).all() and "digit" not in " ".join(answer.notes)
    assert answer.equation() == "y = 1.0*x^2"
    far = fitted([x + 2010], x**2, degree=degree)
    assert far.coefficients[3:].tolist() == [0] * (degree - 2) and (far.digits > 15.9).all()


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_taken_for_0_where_y_would_show_it(seed):
    x = 1e9 + np.random.default_rng(seed).uniform(-1, 1, 12)  # powers of x hide a constant of 0.1
    answer = fitted([x], np.full(12, 0.1), degree=3)
    off = np.abs(answer.coefficients - [0.1, 0, 0, 0])
    assert (off <= answer.solution.errors + 1e-17).all() and answer.coefficients[0] != 0
    assert (answer.digits < 3).all()


def test_no_coefficient_that_is_small_beside_y_is_taken_for_0():
    x = np.arange(-3.0, 4)
    small = 2.0**-60
    answer = fitted([x], small * x + x**2, degree=2)
    truth = exact([x], list(small * x + x**2), total_degree(1, 2))
    assert [c == 0 for c in answer.coefficients] == [c == 0 for c in truth.coefficients]
    for scale in (1e6, 1e12):  # x^3 hardly shows in y, but it is there
        y = scale * x**2 + np.array([0, 1, 3, -1, 0, 1, 0])
        answer, truth = fitted([x], y, degree=3), exact([x], y, total_degree(1, 3))
        assert min(digits(answer.coefficients, truth.coefficients)) > 12
        assert (answer.coefficients != 0).all()


def test_y_of_1e12_leaves_small_coefficients_the_digits_that_are_claimed():
    """Sums are exact to 2^-105 of the largest: about 14 digits of what is 1e-18 of it."""
    x = np.linspace(-1, 1, 40)
    y = 1e12 + np.round(np.sin(5 * x + 1) * 2**10) / 2**10
    answer, truth = fitted([x], y, degree=5), exact([x], y, total_degree(1, 5))
    right = np.array(digits(answer.coefficients, truth.coefficients))
    assert (answer.digits <= right + 0.1).all() and answer.digits.min() > 14


def test_few_digits_are_explained_by_what_takes_them():
    x = np.arange(-2.0, 3)
    zero = fitted([x], x**2 + 0.25, degree=2, precision="fast").notes[-1]
    assert zero.startswith("within arithmetic the coefficients of x are 0")
    year = np.arange(2001.0, 2020)
    wave = fitted([year], (year - 2010) ** 2, degree=5, precision="fast").notes[-1]
    assert "fewer than 3 certain digits" in wave and "the powers of x cancel" in wave
    coded = np.array([-9999, -0.9, -0.5, -0.1, 0.3, 0.6, 0.8, 0.95])
    assert "the condition number is" in fitted([coded], np.sin(3 * coded), degree=5).notes[-1]


UNCERTAIN = "u U sigma sd std stdev error err uncertainty unc u_y sigma_y y_err yErr U(y) sd2"
OTHERS = "w weight weights current source mass under sdev ivar inv_sigma2 1/u^2 surd"


def test_weights_that_are_named_like_an_uncertainty_are_noted():
    x = np.arange(9.0)
    for name in f"{UNCERTAIN} {OTHERS}".split():
        rows = InMemory([x], np.cos(x), 1 + x, weighed=name)
        found = fit(rows, config(degree=1, weights=name))
        said = (
            f"weights are taken as 1/variance: {name} looks like an uncertainty; give it as "
            f"--sigma {name}",
        )
        assert found.notes == (said if name in UNCERTAIN.split() else ()), name


def test_a_saturated_fit_names_its_terms_and_rows():
    answer = fitted([np.arange(4.0)], [1.0, 3.0, 2.0, 5.0], degree=3)
    assert "as many terms (4) as rows (4) leave no residuals" in answer.notes[-1]


def test_weights_that_leave_no_trace_are_refused():
    x = np.arange(1.0, 5)
    with pytest.raises(Refused, match=r"weights run from 1e-35 to 1: .* drop them"):
        fitted([x], x, weights=np.array([1e-35, 1e-35, 1e-35, 1]), degree=1)


def test_integers_that_fast_rounds_are_noted():
    x = 2.0**62 - 300 * np.arange(20)
    for columns, y, name in (([x], np.arange(20.0), "x"), ([np.arange(20.0)], x, "y")):
        note = fitted(columns, y, degree=1, precision="fast").notes[0]
        assert note.startswith(f"{name} reaches 2^53") and "--precision certified" in note
        assert "2^53" not in " ".join(fitted(columns, y, degree=1, precision="certified").notes)


def test_what_takes_over_from_fast_rounds_nothing_and_says_nothing_of_it():
    x = np.repeat([2**62 + 1, 2**62 + 3001], 5)
    answer = polyreg.fit(x, np.arange(10.0), degree=2, precision="fast")
    assert answer.precision == "certified" and "2^53" not in " ".join(answer.notes)


# float64 has steps of 256 to 1024 there: at 2^62 it knows two of the 300 integers.
@pytest.mark.parametrize(
    "start, step", [(2**60, 7), (2**62, 5), (2**63 - 40_000, 131), (10**15, 1)]
)
@pytest.mark.parametrize("degree", [1, 5])
def test_integers_of_64_bits_and_decimals_are_fitted_as_they_are_written(start, step, degree):
    rng = np.random.default_rng(0)
    x = [start + step * i for i in rng.choice(300, 290, replace=False).tolist()]
    y = [Decimal(v) / 1000 for v in rng.integers(-(10**6), 10**6, 290).tolist()]
    weights = [Decimal(v) / 1000 for v in rng.integers(1, 10**4, 290).tolist()]
    answer = polyreg.fit(np.array(x), y, weights=weights, degree=degree, precision="certified")
    columns = [[Fraction(v) for v in column] for column in (x, y, weights)]
    truth = exact(columns[:1], columns[1], total_degree(1, degree), columns[2])
    assert right(answer.coefficients, truth.coefficients).min() > 15.5
    assert right(answer.std_errors, truth.std_errors).min() > 15


def test_what_is_left_of_an_exact_target_is_called_its_rounding():
    x = np.arange(12.0)
    assert "own rounding" in fitted([x], 2 * x + 1, degree=1).notes[0]
    assert fitted([x], 2 * x + 1 + 1e-9 * np.cos(x), degree=1).notes == ()


@pytest.mark.parametrize("target", [2 * np.arange(12.0) + 1, np.full(12, 0.1), np.zeros(12)])
def test_rounding_alone_chooses_no_degree(target):
    x = np.arange(12.0)
    answer = fitted([x], target, degree="auto", max_degree=6, folds=4)
    assert answer.design.degree == (1 if target[0] == 1 else 0)


def test_a_constant_feature_serves_where_there_is_no_constant_term():
    x = np.full(4, 2.0)
    answer = fitted([x], np.array([4.0, 5, 4, 5]), degree=1, intercept=False)
    assert answer.coefficients == pytest.approx([2.25], rel=1e-15) and answer.rank == 1
