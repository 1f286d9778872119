"""The sums of both kernels against dense ones, in rationals and in extended precision."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch

from polyreg.least_squares.gram import ExactKernel, FastKernel, Moments, pieces, totals
from polyreg.least_squares.integers import ozaki
from polyreg.tables.rows import Block
from tests.unit.polynomials.test_design import designed, textbook

EPS = 2.0**-52
ROUNDED = Fraction(1, 2**103)  # of a term of a row, times (1 + degree)^2

TABLES = {
    "near 0": lambda rng, n: [rng.normal(size=n)],
    "across 0": lambda rng, n: [rng.uniform(-1e-3, 5, size=n)],
    "far": lambda rng, n: [1e6 + rng.uniform(size=n)],
    "unix seconds": lambda rng, n: [rng.integers(1.57e9, 1.74e9, size=n).astype(float)],
    "two": lambda rng, n: [1e6 + rng.uniform(size=n), rng.exponential(size=n)],
    "three": lambda rng, n: [rng.uniform(size=n), rng.normal(-7, 1, n), 1e-9 * rng.normal(size=n)],
}
# Such as integers of 64 bits: what float64 leaves of them is much of their range.
TABLES_OF_INTEGERS = {"nanoseconds": lambda rng, n: [1.7e18 + 1024.0 * rng.integers(0, 9, size=n)]}
ALL = TABLES | TABLES_OF_INTEGERS
DEGREES = {"two": 4, "three": 3}


class Case:
    def __init__(self, name: str, rows: int, weighted: bool = False):
        rng = np.random.default_rng([rows, weighted, [*ALL].index(name)])
        self.x = ALL[name](rng, rows)
        self.y = 100 + rng.normal(scale=20, size=rows)
        self.weights = 10 ** rng.uniform(-3, 2, size=rows) if weighted else None
        self.degree = DEGREES.get(name, 6)
        self.design = designed(self.x, self.degree, weights=self.weights)
        self.y_unit = 2.0 ** (np.frexp(np.abs(self.y).max())[1] + 1)
        self.weight_unit = 2.0 ** (np.frexp(self.weights.max())[1] + 1) if weighted else None

    @property
    def block(self) -> Block:
        return Block(tuple(self.x), self.y, self.weights)

    def cut(self, cuts) -> list[Block]:
        """The rows in blocks that begin at `cuts`, row 0 aside."""
        edges = [0, *cuts, len(self.y)]
        return [self.taken(slice(i, j)) for i, j in itertools.pairwise(edges)]

    def taken(self, rows) -> Block:
        weights = None if self.weights is None else self.weights[rows]
        return Block(tuple(x[rows] for x in self.x), self.y[rows], weights)

    def exact(self, device: str = "cpu") -> ExactKernel:
        return ExactKernel(self.design, self.y_unit, self.weight_unit, device)

    def fast(self, pilot=None, count: int | None = None) -> FastKernel:
        pilot = np.zeros(len(self.design.exponents)) if pilot is None else pilot
        return FastKernel(self.design, pilot, "cpu", count or len(self.y))


def same(a: Moments, b: Moments) -> bool:
    return a.count == b.count and (a.gram == b.gram).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_the_integers_are_the_rational_sums(name, weighted):
    case = Case(name, 40, weighted)
    q = textbook(case.design, case.x)
    y = np.array([Fraction(v) / Fraction(case.y_unit) for v in case.y])
    row = np.concatenate([q, y[:, None]], axis=1)
    w = [1] * 40 if not weighted else [Fraction(v) / Fraction(case.weight_unit) * 2
                                       for v in case.weights]  # fmt: skip
    truth = (row * np.array(w, dtype=object)[:, None]).T @ row
    found = case.exact()(case.block)
    assert found.count == 40
    near = 40 * (1 + case.degree) ** 2 * ROUNDED
    for f, t in zip(found.gram.ravel(), truth.ravel(), strict=True):
        assert abs(Fraction(int(f), 2**ozaki.POINT) - t) <= near


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_the_integers_are_the_sums_of_the_numbers_as_they_are_written(name, weighted):
    case = Case(name, 40, weighted)
    rng = np.random.default_rng(2)
    columns = [*case.x, case.y, *([case.weights] if weighted else [])]
    low = tuple(np.spacing(np.abs(c)) * rng.uniform(-0.5, 0.5, size=40) for c in columns)
    written = [
        np.array([Fraction(a) + Fraction(b) for a, b in zip(*pair, strict=True)])
        for pair in zip(columns, low, strict=True)
    ]
    q = textbook(case.design, written[: len(case.x)])
    y = written[len(case.x)] / Fraction(case.y_unit)
    row = np.concatenate([q, y[:, None]], axis=1)
    w = written[-1] * 2 / Fraction(case.weight_unit) if weighted else np.ones(40, dtype=int)
    truth = (row * w[:, None]).T @ row
    found = case.exact()(case.block._replace(low=low))
    near = 40 * (1 + case.degree) ** 2 * ROUNDED
    for f, t in zip(found.gram.ravel(), truth.ravel(), strict=True):
        assert abs(Fraction(int(f), 2**ozaki.POINT) - t) <= near
    assert not same(found, case.exact()(case.block))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_the_fast_sums_are_the_dense_ones_about_the_pilot(name, weighted):
    case = Case(name, 30_000, weighted)
    q = textbook(case.design, case.x, np.longdouble)
    pilot = np.random.default_rng(0).normal(size=q.shape[1])
    row = np.concatenate([q, (case.y - q @ pilot)[:, None]], axis=1)
    w = np.ones(30_000) if case.weights is None else case.weights
    [found] = totals(case.fast(pilot), [(0, case.block)]).values()
    lengths = np.sqrt(w @ row**2)
    # What an eps in y and in each product of the pilot does to the residual.
    lengths[-1] = np.sqrt(w @ (np.abs(case.y) + np.abs(q) @ np.abs(pilot)) ** 2)
    near = 4 * EPS * (1 + case.degree) ** 2 * np.outer(lengths, lengths)
    assert (np.abs(found.gram - (row * w[:, None]).T @ row) <= near).all()
    assert found.count == 30_000
    assert found.log_weights == pytest.approx(np.log(w).sum(), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_the_fast_sums_are_near_the_exact_ones(name, weighted):
    case = Case(name, 20_000, weighted)
    exact = totals(case.exact(), [(0, case.block)])[0].gram
    fast = totals(case.fast(), [(0, case.block)])[0].gram
    units = np.ones(len(exact))
    units[-1] = case.y_unit
    scale = np.outer(units, units) * (case.weight_unit / 2 if weighted else 1)
    truth = np.array([float(Fraction(int(g), 2**ozaki.POINT)) for g in exact.ravel()])
    truth = truth.reshape(exact.shape) * scale
    lengths = np.sqrt(np.diag(truth))
    near = 4 * EPS * (1 + case.degree) ** 2 * np.outer(lengths, lengths)
    assert (np.abs(fast - truth) <= near).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["far", "two"])
def test_any_order_and_chunking_gives_the_same_integers(name, weighted):
    case = Case(name, 10_000, weighted)
    [whole] = totals(case.exact(), [(0, case.block)]).values()
    rng = np.random.default_rng(1)
    for cuts in (3, 6, 15):
        blocks = case.cut(sorted({*rng.integers(1, 10_000, size=cuts).tolist()}))
        rng.shuffle(blocks)
        found = totals(case.exact(), ((0, b) for b in blocks))
        assert found.keys() == {0} and same(found[0], whole)
    shuffled = case.taken(rng.permutation(10_000))
    assert same(totals(case.exact(), [(0, shuffled)])[0], whole)


def test_a_kernel_remembers_nothing_of_the_blocks_before():
    case = Case("two", 5000, weighted=True)
    kernel = case.exact()
    for rows in (slice(0, 5000), slice(7, 8), slice(0, ozaki.ROWS), slice(100, 2500)):
        block = case.taken(rows)
        for _, part in pieces([(0, block)], kernel.rows):
            assert same(kernel(part), case.exact()(part))


def test_parts_add_up_exactly():
    case = Case("unix seconds", 6000, weighted=True)
    blocks = case.cut([10, 2500, 2501, 4000])
    parts = totals(case.exact(), enumerate(blocks))
    [whole] = totals(case.exact(), [(0, case.block)]).values()
    total = sum(list(parts.values())[1:], start=parts[0])
    assert same(total, whole)


def test_labels_keep_their_rows_apart():
    case = Case("near 0", 5000)
    blocks = case.cut(range(100, 5000, 100))
    labels = [k % 3 for k in range(len(blocks))]
    found = totals(case.exact(), zip(labels, blocks, strict=True))
    for label in range(3):
        rows = np.concatenate([np.arange(k * 100, k * 100 + 100)
                               for k in range(len(blocks)) if labels[k] == label])  # fmt: skip
        [expected] = totals(case.exact(), [(0, case.taken(rows))]).values()
        assert same(found[label], expected)


def test_torchs_threads_come_back_also_after_an_error():
    case = Case("near 0", 100)

    def rows(fail: bool):
        yield 0, case.block
        assert torch.get_num_threads() == 1
        if fail:
            raise OSError("the disk is gone")

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(OSError, match="the disk is gone"):
            totals(case.exact(), rows(fail=True))
        assert torch.get_num_threads() == 2
        totals(case.exact(), rows(fail=False))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [1, 7, 100, 1000])
def test_pieces_are_the_rows_in_order_and_none_is_too_long(rows):
    case = Case("two", 250, weighted=True)
    found = list(pieces([(3, case.taken(slice(0, 120))), (1, case.taken(slice(120, 250)))], rows))
    assert max(len(b.y) for _, b in found) <= rows
    for name in ("y", "weights"):
        joined = np.concatenate([getattr(b, name) for _, b in found])
        assert np.array_equal(joined, getattr(case, name))
    assert [label for label, b in found for _ in b.y] == [3] * 120 + [1] * 130


def test_columns_that_cannot_be_written_are_only_read():
    case = Case("two", 3000, weighted=True)
    for array in (*case.x, case.y, case.weights):
        array.setflags(write=False)
    copies = [a.copy() for a in (*case.x, case.y, case.weights)]
    totals(case.exact(), [(0, case.block)])
    totals(case.fast(), [(0, case.block)])
    for array, copy in zip((*case.x, case.y, case.weights), copies, strict=True):
        assert np.array_equal(array, copy)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_a_gpu_gives_the_same_integers(name, weighted):
    case = Case(name, 10_000, weighted)
    on_cpu, on_gpu = (totals(case.exact(d), [(0, case.block)])[0] for d in ("cpu", "cuda"))
    assert same(on_cpu, on_gpu)
