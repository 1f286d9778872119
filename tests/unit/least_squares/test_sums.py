"""The compiled sums against exact rationals, against torch's, and against themselves."""

import threading
from fractions import Fraction

import numpy as np
import pytest

from polyreg.config import FitConfig
from polyreg.errors import NearlySingular
from polyreg.least_squares import sums
from polyreg.least_squares.fitting import fit
from polyreg.least_squares.gram import FastKernel, Kernel, Moments, totals
from polyreg.least_squares.problem import Problem
from polyreg.least_squares.selection import labelled
from polyreg.least_squares.solve_float import Normal, solve
from polyreg.tables.rows import Block, InMemory
from tests.unit.least_squares.test_moments import EPS, TABLES, Case
from tests.unit.least_squares.test_normal import without_constant
from tests.unit.polynomials.test_design import textbook

pytest.importorskip("numba")


def kernel(case: Case, threads: int = 1) -> sums.CompiledKernel:
    found = sums.CompiledKernel(case.design, _pilot(case))
    found.threads = threads
    return found


def _pilot(case: Case) -> np.ndarray:
    return np.random.default_rng(0).normal(size=len(case.design.exponents))


def near(case: Case, pilot: np.ndarray) -> np.ndarray:
    """What rounding may do to each sum: an eps of each term, and of what makes a residual."""
    q = textbook(case.design, case.x, np.longdouble)
    w = np.ones(len(case.y)) if case.weights is None else case.weights
    left = np.abs(case.y) + np.abs(q) @ np.abs(pilot)
    lengths = np.sqrt(w @ np.concatenate([q, left[:, None]], axis=1) ** 2)
    return 4 * EPS * (1 + case.degree) ** 2 * np.outer(lengths, lengths).astype(float)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("rows", [20, sums.STEP + 3])
def test_the_compiled_sums_are_the_rational_ones_about_the_pilot(rows, name, weighted):
    case, pilot = Case(name, rows, weighted), _pilot(Case(name, rows, weighted))
    q = textbook(case.design, case.x)
    residual = np.array([*map(Fraction, case.y)]) - q @ np.array([*map(Fraction, pilot)])
    row = np.concatenate([q, residual[:, None]], axis=1)
    w = np.array([Fraction(v) for v in (np.ones(rows) if case.weights is None else case.weights)])
    truth = (row * w[:, None]).T @ row
    found = kernel(case)(case.block)
    assert found.count == rows
    errors = np.array([[float(Fraction(f) - t) for f, t in zip(*pair, strict=True)]
                       for pair in zip(found.gram, truth, strict=True)])  # fmt: skip
    assert (np.abs(errors) <= near(case, pilot)).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_compiled_and_torchs_sums_agree_to_rounding(name, weighted):
    case = Case(name, 5000, weighted)
    one, other = (totals(k, [(0, case.block)])[0] for k in (kernel(case), torchs(case)))
    assert (np.abs(one.gram - other.gram) <= near(case, _pilot(case))).all()
    assert (one.count, one.log_weights) == (other.count, other.log_weights)


def torchs(case: Case) -> FastKernel:
    return FastKernel(case.design, _pilot(case), "cpu", len(case.y))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["near 0", "three"])
def test_blocks_change_the_compiled_sums_by_rounding_alone(name, weighted):
    case = Case(name, 3000, weighted)
    [whole] = totals(kernel(case), [(0, case.block)]).values()
    cuts = [(1, 2), (255, 256, 512), range(100, 3000, 100), (2999,)]
    for found in (totals(kernel(case), ((0, b) for b in case.cut(c)))[0] for c in cuts):
        assert (np.abs(found.gram - whole.gram) <= near(case, _pilot(case))).all()
        assert found.count == 3000


def bits(found: dict[int, Moments]) -> dict[int, bytes]:
    return {label: sums.gram.tobytes() for label, sums in found.items()}


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("name", ["near 0", "two"])
def test_threads_do_not_change_a_bit_of_the_sums_of_any_fold(monkeypatch, name, threads):
    monkeypatch.setattr(sums.CompiledKernel, "rows", 300)
    case = Case(name, 20_000, weighted=True)
    blocks = case.cut(range(7001, 20_000, 7001))
    first = totals(kernel(case), labelled(blocks, 3, 1))
    for _ in range(3):
        again = totals(kernel(case, threads), labelled(blocks, 3, 1))
        assert bits(again) == bits(first)


class Recording:
    """A kernel that notes its threads; the first piece takes until another was begun."""

    def __init__(self, kernel: Kernel):
        self.kernel, self.design, self.rows = kernel, kernel.design, 100
        self.threads, self.seen = kernel.threads, set()
        self.second = threading.Event()

    def __call__(self, rows: Block) -> Moments:
        self.seen.add(threading.get_ident())
        if len(self.seen) > 1:
            self.second.set()
        assert self.second.wait(30)
        return self.kernel(rows)


def test_pieces_are_summed_by_all_threads_and_read_by_the_first():
    case, here = Case("near 0", 5000), threading.get_ident()
    recording = Recording(kernel(case, 2))

    def rows():
        assert threading.get_ident() == here
        yield 0, case.block

    totals(recording, rows())
    assert here in recording.seen and len(recording.seen) == 2


def test_an_error_of_the_reader_ends_the_sums_of_all_threads():
    case = Case("near 0", 5000)

    def rows():
        yield 0, case.block
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        totals(kernel(case, 2), rows())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", ["x", "y", "weights"])
def test_nan_and_inf_go_where_they_go_in_torch(bad, column):
    case = Case("two", 600, weighted=True)
    place = {"x": case.x[1], "y": case.y, "weights": case.weights}[column]
    place[300] = bad
    # Of a weight -inf the logarithm is nan, as it is in both.
    with np.errstate(invalid="ignore"):
        compiled, torch = (k(case.block).gram for k in (kernel(case), torchs(case)))
    assert not np.isfinite(torch).all()
    np.testing.assert_array_equal(np.isnan(compiled), np.isnan(torch))
    np.testing.assert_array_equal(np.isposinf(compiled), np.isposinf(torch))
    np.testing.assert_array_equal(np.isneginf(compiled), np.isneginf(torch))


def table(rows: int = 2000, weighted: bool = True) -> InMemory:
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 5, size=rows)
    y = 2 - x + x**3 + rng.normal(size=rows)
    return InMemory([x], y, rng.uniform(0.5, 2, size=rows) if weighted else None)


def problem(table: InMemory, **options) -> Problem:
    config = FitConfig(data="memory", target="y", precision="fast", **options)
    return Problem.of(table.survey(0), table.names, config, "cpu")


def test_a_process_loads_numba_once_its_large_fits_are_worth_it(monkeypatch):
    for name, value in (("SMALL", 1000 * 4), ("WORTH", 5000 * 4), ("_seen", 0)):
        monkeypatch.setattr(sums, name, value)
    for rows, expected in (
        (2000, FastKernel),
        (2999, FastKernel),  # 4,999 rows so far
        (999, FastKernel),  # small, and not counted
        (1000, sums.CompiledKernel),
        (2000, sums.CompiledKernel),
        (999, FastKernel),
    ):
        assert isinstance(problem(table(rows)).kernel(), expected), rows
    monkeypatch.setattr(sums, "MOST_TERMS", 3)
    assert isinstance(problem(table()).kernel(), FastKernel)
    assert isinstance(problem(table(), degree=2).kernel(), sums.CompiledKernel)


def test_what_is_compiled_has_the_bits_of_the_function_as_python_runs_it():
    case = Case("two", sums.STEP + 9, weighted=True)
    one, other = kernel(case), kernel(case)
    other._add = sums.add
    assert one(case.block).gram.tobytes() == other(case.block).gram.tobytes()


@pytest.mark.parametrize("degree", [3, "auto"])
@pytest.mark.parametrize("weighted", [False, True])
def test_without_numba_a_fit_has_the_same_answer(monkeypatch, weighted, degree):
    config = FitConfig(data="memory", target="y", degree=degree, max_degree=6, precision="fast")
    monkeypatch.setattr(sums, "SMALL", 1)
    monkeypatch.setattr(sums, "WORTH", 1)
    compiled = fit(table(weighted=weighted), config)
    monkeypatch.setattr(sums, "compiled", lambda function: None)
    without = fit(table(weighted=weighted), config)
    np.testing.assert_allclose(compiled.coefficients, without.coefficients, rtol=1e-12)
    np.testing.assert_allclose(compiled.std_errors, without.std_errors, rtol=1e-12)
    if degree == "auto":
        assert compiled.selection.degrees == without.selection.degrees
        np.testing.assert_allclose(compiled.selection.mse, without.selection.mse, rtol=1e-12)


def test_stacked_tables_are_solved_as_each_alone_is():
    rng = np.random.default_rng(4)
    each = []
    for _ in range(3):
        row = rng.normal(size=(50, 5))
        row[:, 0] = 0.5
        each.append(Normal.of(row.T @ row, np.array([1.0, 0, 2, 0])))
    for size, ridge, constants in ((4, 0.0, None), (3, 0.3, None), (4, 0.1, rng.normal(size=4))):
        conditions = without_constant(constants)
        together = solve(Normal.stacked(each), size, ridge, conditions)
        for k, alone in enumerate(solve(n, size, ridge, conditions) for n in each):
            for name in ("weights", "root", "rss", "condition"):
                found, expected = getattr(together, name)[k], getattr(alone, name)
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    row[:, 3] = row[:, 2]
    twice = Normal.of(row.T @ row, each[0].centre)
    with pytest.raises(NearlySingular):
        solve(Normal.stacked([*each, twice]), 4)
