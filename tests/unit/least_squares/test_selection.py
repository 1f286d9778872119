"""The degree: against refits of every fold by QR, and against statsmodels."""

import numpy as np
import pytest

from polyreg.config import FitConfig
from polyreg.least_squares.fitting import Passes, fit, run
from polyreg.least_squares.problem import Problem
from polyreg.least_squares.selection import GROUPS, Selection, labelled, shuffle
from polyreg.tables.rows import Block, InMemory
from tests.support.oracle import total_degree

CASES = {
    "one variable": dict(variables=1),
    "one variable, weighted": dict(variables=1, weighted=True),
    "one variable, no intercept": dict(variables=1, intercept=False),
    "two variables": dict(variables=2),
    "two variables, weighted": dict(variables=2, weighted=True),
}
EACH = pytest.mark.parametrize("precision", ["fast", "certified"])


def blocks_of(rows: int, size: int) -> list[Block]:
    """Rows that know their number."""
    number = np.arange(rows, dtype=float)
    parts = [number[i : i + size] for i in range(0, rows, size)]
    return [Block((p, -p), p, p + 1) for p in parts]


def folds_of(blocks, folds: int, seed: int) -> dict[int, np.ndarray]:
    found = {k: [] for k in range(folds)}
    for label, block in labelled(blocks, folds, seed):
        assert np.array_equal(block.x[0], block.y) and np.array_equal(-block.x[1], block.y)
        assert np.array_equal(block.weights, block.y + 1)
        found[label].append(block.y)
    return {k: np.concatenate(v) if v else np.empty(0) for k, v in found.items()}


def selected(columns, y, weights=None, **options):
    table = InMemory(columns, y, weights)
    config = FitConfig(data="memory", target="y", degree="auto", **options)
    problem = Problem.of(table.survey(config.seed), table.names, config, "cpu")
    answer = run(problem, Passes(table).sums)
    return answer, answer.selection


def test_a_rows_low_parts_go_to_the_fold_of_the_row():
    number = np.arange(1000.0)
    block = Block((number, -number), number, None, (None, number / 7, -number))
    for _, part in labelled([block], 5, 0):
        assert part.low[0] is None
        assert np.array_equal(part.low[1], part.y / 7) and np.array_equal(part.low[2], -part.y)


@pytest.mark.parametrize("folds", [2, 7, 10])
@pytest.mark.parametrize("rows", [10, 1003, 9 * GROUPS])
def test_every_row_is_in_one_fold_and_folds_differ_by_one_row(rows, folds):
    found = folds_of(blocks_of(rows, 777), folds, seed=0)
    assert np.array_equal(np.sort(np.concatenate(list(found.values()))), np.arange(rows))
    sizes = [len(v) for v in found.values()]
    assert max(sizes) - min(sizes) <= 1


def test_of_every_few_rows_in_file_order_one_goes_to_each_fold():
    found = folds_of(blocks_of(1000, 1000), 10, seed=1)
    for numbers in found.values():
        assert np.array_equal(numbers // 10, np.arange(100))


def test_folds_do_not_depend_on_the_blocks_and_do_on_the_seed():
    rows = 3 * GROUPS + 5
    first = folds_of(blocks_of(rows, rows), 3, seed=5)
    for size in (1000, GROUPS, 3 * GROUPS, 4097):
        again = folds_of(blocks_of(rows, size), 3, seed=5)
        assert all(np.array_equal(first[k], again[k]) for k in range(3))
    other = folds_of(blocks_of(rows, rows), 3, seed=6)
    for k in range(3):
        shared = len(np.intersect1d(first[k], other[k]))
        # By chance a third of a fold, with a standard deviation below sqrt(N / 3).
        assert abs(shared - rows / 9) < 5 * np.sqrt(rows / 9)


@pytest.mark.parametrize("folds", [2, 3, 8, 10, 300])
def test_compiled_code_draws_the_folds_that_numpy_draws(folds):
    rows, fast = 2 * GROUPS * folds, pytest.importorskip("numba").njit(shuffle)
    number = [Block((np.arange(rows),), np.arange(rows), None)]
    given = []

    def short(groups, draws, masks):
        given.append(len(draws))
        return fast(groups, draws[: len(draws) // 2] if len(given) == 1 else draws, masks)

    slow = list(labelled(number, folds, 7))
    for shuffler in (fast, short):
        for (a, rows_a), (b, rows_b) in zip(
            slow, labelled(number, folds, 7, 0, shuffler), strict=True
        ):
            assert a == b and np.array_equal(rows_a.y, rows_b.y)
    assert given[1] > given[0]  # which had too few, and was drawn again


class Rows:
    """Columns in [-1, 1], so that plain powers are well conditioned up to degree 5."""

    def __init__(self, variables, weighted=False, intercept=True, rows=240):
        rng = np.random.default_rng(3)
        self.columns = list(rng.uniform(-1, 1, size=(variables, rows)))
        a, b = self.columns[0], self.columns[-1]
        self.y = intercept + np.sin(3 * a) + a * b + rng.normal(scale=0.2, size=rows)
        self.weights = rng.uniform(0.2, 4, size=rows) if weighted else None
        self.w = np.ones(rows) if self.weights is None else self.weights
        self.intercept = intercept
        self.lowest = 0 if intercept else 1

    def matrix(self, degree) -> np.ndarray:
        exponents = total_degree(len(self.columns), degree)[self.lowest :]
        return np.stack([np.prod(np.array(self.columns).T ** e, axis=1) for e in exponents], axis=1)

    def errors(self, degree, folds, seed) -> np.ndarray:
        """Mean squares of what a refit without the fold leaves of the fold  ->  (folds,)"""
        matrix, number = self.matrix(degree), np.arange(len(self.y), dtype=float)
        found = []
        parts = {k: [] for k in range(folds)}
        for label, block in labelled([Block((number,), number, None)], folds, seed):
            parts[label].extend(block.y.astype(int))
        for out in parts.values():
            rest = np.setdiff1d(np.arange(len(self.y)), out)
            root = np.sqrt(self.w[rest])
            fit = np.linalg.lstsq(matrix[rest] * root[:, None], self.y[rest] * root, rcond=None)[0]
            residuals = self.y[out] - matrix[out] @ fit
            found.append(self.w[out] @ residuals**2 / self.w[out].sum())
        return np.array(found)


@EACH
@pytest.mark.parametrize("kind", CASES)
def test_the_cross_validated_error_is_that_of_refits(kind, precision):
    rows = Rows(**CASES[kind])
    options = dict(max_degree=5, folds=6, seed=2, intercept=rows.intercept, precision=precision)
    _, selection = selected(rows.columns, rows.y, rows.weights, **options)
    assert selection.degrees == list(range(rows.lowest, 6)) and selection.folds == 6
    errors = np.array([rows.errors(d, folds=6, seed=2) for d in selection.degrees])
    np.testing.assert_allclose(selection.mse, errors.mean(axis=1), rtol=1e-9)
    spread = errors.std(axis=1, ddof=1) / np.sqrt(6)
    np.testing.assert_allclose(selection.std_error, spread, rtol=1e-8)


@EACH
@pytest.mark.parametrize("kind", CASES)
def test_aic_and_bic_of_every_degree_are_those_of_statsmodels(kind, precision):
    import statsmodels.regression.linear_model as api

    rows = Rows(**CASES[kind])
    options = dict(max_degree=5, intercept=rows.intercept, precision=precision)
    _, selection = selected(rows.columns, rows.y, rows.weights, **options)
    for k, degree in enumerate(selection.degrees):
        theirs = api.WLS(rows.y, rows.matrix(degree), weights=rows.w).fit(method="qr")
        assert selection.aic[k] == pytest.approx(theirs.aic, rel=1e-10)
        assert selection.bic[k] == pytest.approx(theirs.bic, rel=1e-10)


@EACH
@pytest.mark.parametrize("kind", CASES)
def test_the_answer_is_the_fit_of_the_chosen_degree_to_all_rows(kind, precision):
    rows = Rows(**CASES[kind])
    options = dict(intercept=rows.intercept, precision=precision)
    answer, selection = selected(rows.columns, rows.y, rows.weights, max_degree=6, **options)
    assert 2 < selection.chosen < 6 and answer.design.degree == selection.chosen
    alone = fit(
        InMemory(rows.columns, rows.y, rows.weights),
        FitConfig(data="memory", target="y", degree=selection.chosen, **options),
    )
    assert answer.terms == alone.terms and answer.rank == alone.rank
    for name in ("coefficients", "std_errors"):
        found, expected = getattr(answer, name), getattr(alone, name)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    for name in ("aic", "bic"):
        at = selection.degrees.index(selection.chosen)
        assert getattr(answer, name) == pytest.approx(getattr(selection, name)[at], rel=1e-10)


def made_up(mse, std_error, tried=None, degrees=None) -> Selection:
    degrees = list(range(len(mse))) if degrees is None else degrees
    zeros = np.zeros(len(mse))
    tried = degrees[-1] if tried is None else tried
    return Selection(degrees, np.array(mse), np.array(std_error), zeros, zeros, 10, tried)


def test_the_lowest_degree_within_one_standard_error_of_the_best_is_chosen():
    found = made_up([9, 2.2, 2.05, 2.0, 2.1], [1, 0.5, 0.5, 0.1, 0.5])
    assert found.best == 3 and found.chosen == 2  # it is the best one's standard error that counts
    said = found.sentence()
    assert "degree 2 is the lowest" in said and "2.05" in said and "2 at degree 3" in said
    assert "within one standard error (0.1)" in said and "too low" not in said
    assert made_up([9, 2.2, 2.05, 2.0, 2.1], [0, 0, 0, 0.01, 0]).chosen == 3
    assert made_up([9, 2.2, 2.05, 2.0, 2.1], [0, 0, 0, 8, 0]).chosen == 0


def test_degrees_are_named_by_themselves_also_where_they_begin_at_1():
    found = made_up([3.0, 1.0, 1.5], [0.1, 0.1, 0.1], degrees=[1, 2, 3])
    assert found.best == found.chosen == 2
    assert found.sentence() == "degree 2 has the least cross-validated mean squared error, 1"


def test_a_best_degree_at_the_end_is_called_maybe_too_low():
    assert "--max-degree 2 may be too low" in made_up([3, 2, 1], [0, 0, 0]).sentence()


@EACH
def test_degrees_that_cannot_be_told_apart_are_left_out_and_said(precision):
    rng = np.random.default_rng(4)
    x = rng.choice([0.0, 1.0, 2.0, 5.0], size=200)
    answer, selection = selected(
        [x], x**3 + rng.normal(size=200), max_degree=7, precision=precision
    )
    assert selection.degrees == [0, 1, 2, 3] and selection.tried == 7
    assert "degrees above 3 cannot be told apart on these rows" in selection.sentence()
    assert answer.rank == len(answer.terms) == selection.chosen + 1


@EACH
def test_few_rows_are_compared_up_to_the_degree_they_allow(precision):
    rng = np.random.default_rng(5)
    x = rng.uniform(size=12)
    _, selection = selected([x], rng.normal(size=12), max_degree=11, folds=4, precision=precision)
    assert selection.degrees[-1] == 8  # nine rows are left without a fold


@EACH
def test_features_that_depend_on_each_other_without_intercept_end_in_words(precision):
    """No degree can be told apart: not even the first."""
    rng = np.random.default_rng(6)
    a, y = rng.uniform(size=(2, 60))
    with pytest.raises(ValueError, match=r"depend|told apart"):
        selected([a, 2 * a], y, max_degree=2, intercept=False, precision=precision)
