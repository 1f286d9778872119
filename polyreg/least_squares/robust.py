"""Robust fits: rows far from the polynomial count less, by passes whose weights follow the fit.

With u = sqrt(w) (y - p(x)) / s, w the row's own weight and s = median |sqrt(w) (y - p(x))| / 0.6745
over all rows, each pass is least squares with the weights w psi(u) / u (inference/influence.py),
until they settle, as statsmodels' RLM does. huber and bisquare have 95 % of least squares'
efficiency where noise is Gaussian. bisquare has several solutions: it starts from the least trimmed
squares of the survey's sample. l1 minimizes sum sqrt(w) |y - p(x)|, by linear programming.

Where uncertainties of y are known, s = 1. Where s comes to 0, since half of the rows lie on a
polynomial, that is the answer; huber, which starts from least squares, may settle at another where
the others lie on one side of it.

The passes are of float64, about the fit of the pass before, which refines it; the last is of the
fit's own precision.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np
import torch

from polyreg.errors import NearlySingular, Refused
from polyreg.inference.influence import ROUNDED, rounding
from polyreg.least_squares import notes
from polyreg.least_squares.outliers.absolute import MOST_ROWS, least_absolute, sparsity
from polyreg.least_squares.outliers.breakdown import least_trimmed
from polyreg.least_squares.outliers.influence import Counted, Robust, median_size, residuals
from polyreg.least_squares.selection import Selection, cross_validate
from polyreg.least_squares.sums import choose_compiled
from polyreg.polynomials.design import floats
from polyreg.polynomials.result import Result
from polyreg.tables.rows import Block

QUARTILE = 0.6744897501960817  # of the normal distribution: median |z|
SETTLED = 1e-12  # change of a weight of the basis, of s
MOST_PASSES = 300
# Rows a term, at least, of the polynomial that chooses the degree: with 7 to 20 % of outliers among
# 60 rows of a parabola 8 found degree 2 in 28 of 30 tables, 4 in 18, 12 in 27.
SHARE = 8


@dataclass(frozen=True)
class Reading:
    """The rows, read again at each call, and a sample of them."""

    blocks: Callable[[], Iterator[Block]]
    sample: Block


@dataclass(frozen=True)
class Work:
    """A problem without a choice of the degree, and how its rows are read."""

    problem: Any
    sums: Callable[[Any], dict]
    solve: Callable[[Any], Result]
    reading: Reading
    loss: str

    def left(self, weights: np.ndarray) -> Iterator[np.ndarray]:
        """Residuals of all rows, by one pass."""
        for block in self.reading.blocks():
            yield residuals(self.problem.design, weights, self._owned(block))

    def _owned(self, block: Block) -> Block:
        return self.problem.weigher(block) if self.problem.weigher else block

    def weigher(self, weights: np.ndarray, scale: float) -> Robust:
        unit = self.problem.weight_unit
        largest = 1.0 if unit is None else unit / 2
        own = self.problem.weigher
        return Robust(self.loss, self.problem.design, weights, scale, largest, own)

    def scale(self, weights: np.ndarray, count: int) -> float:
        """s, 1 where uncertainties are known; 0 where rounding is all that the median row has."""
        if self.problem.config.sigma:
            return 1.0
        sample = self._owned(self.reading.sample)
        near = np.abs(residuals(self.problem.design, weights, sample))
        median = median_size(lambda: self.left(weights), count, near)
        return 0.0 if median <= rounding(weights) else median / QUARTILE

    def start(self) -> np.ndarray:
        """Least trimmed squares of the sample (K,)."""
        matrix, y = self._rows(self._owned(self.reading.sample))
        return self._free(matrix, y, partial(least_trimmed, seed=self.problem.config.seed))

    def _free(self, matrix: np.ndarray, y: np.ndarray, fit: Callable) -> np.ndarray:
        """fit(matrix, y) among the weights that meet the conditions (K,)."""
        known = self.problem.conditions()
        if known is None:
            return fit(matrix, y)
        return known.start + known.lift @ fit(matrix @ known.lift, y - matrix @ known.start)

    def _rows(self, block: Block) -> tuple[np.ndarray, np.ndarray]:
        """Design matrix and y, times sqrt(w)."""
        matrix = self.problem.design.matrix(torch.from_numpy(np.stack(block.x, axis=1))).numpy()
        root = 1.0 if block.weights is None else np.sqrt(block.weights)
        assert block.y is not None
        return (matrix.T * root).T, block.y * root

    def least_absolute(self) -> np.ndarray:
        """Of all rows, held at once (K,)."""
        parts = [self._rows(self._owned(block)) for block in self.reading.blocks()]
        matrix, y = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self._free(matrix, y, least_absolute)

    def step(self, weights: np.ndarray, scale: float) -> np.ndarray:
        """Least squares with the weights of a fit (K,), in float64 about it."""
        weighed = self.problem.reweighed(self.weigher(weights, scale))
        size = len(weights)
        quick = replace(
            weighed,
            precision="fast",
            pilot=weights,
            is_compiled=self.problem.device == "cpu" and choose_compiled(weighed.rows, size),
        )
        try:
            total = reduce(add, self.sums(quick).values())
            return quick.solve_float(quick.centred(total), size).weights
        except NearlySingular:
            return self.solve(weighed).weights

    def settled(self, weights: np.ndarray, count: int) -> tuple[np.ndarray, float, bool]:
        """Weights of the basis and s where passes end, and whether they settled."""
        scale = self.scale(weights, count)
        for _ in range(MOST_PASSES):
            if not scale:
                return weights, scale, True
            before = weights
            weights = self.step(weights, scale)
            change, scale = np.abs(weights - before).max(), self.scale(weights, count)
            if change <= max(SETTLED * scale, ROUNDED * np.abs(weights).max()):
                return weights, scale, True
        return weights, scale, False

    def fit(self) -> Result:
        """The robust fit of the problem's degree."""
        base = self.solve(self.problem)
        if self.loss == "l1":
            weights, is_settled = self.least_absolute(), True
            scale = self.scale(weights, base.nobs)
        else:
            start = self.start() if self.loss == "bisquare" else base.weights
            weights, scale, is_settled = self.settled(start, base.nobs)
        if self.loss == "l1" and scale:
            near = self.through(base, weights)
        else:
            near = self.solve(self.problem.reweighed(self.weigher(weights, scale)))
            if not scale:  # rows that were nearly on the polynomial may be on it now
                weights = near.weights
                near = self.solve(self.problem.reweighed(self.weigher(weights, scale)))
            if near.rank < base.rank:
                raise Refused(
                    f"the rows that --loss {self.loss} lets count tell only {near.rank} of "
                    f"{base.rank} terms apart; lower --degree, or take --loss huber"
                )
        found = self.finished(base, near, weights, scale)
        if not is_settled:
            note = f"the weights of --loss {self.loss} had not settled after {MOST_PASSES} passes"
            found = replace(found, notes=(*found.notes, note))
        return found

    def through(self, base: Result, weights: np.ndarray) -> Result:
        """The polynomial of these weights of the basis."""
        powers, exact = self.problem.design.powers, list(map(Fraction, weights.tolist()))
        if known := self.problem.conditions():
            exact = known.exactly(exact)
            weights = floats(exact)
        coefficients = np.array([float(c) for c in powers.coefficients(exact)])
        return replace(
            base, solution=replace(base.solution, weights=weights, coefficients=coefficients)
        )

    def finished(self, base: Result, near: Result, weights: np.ndarray, scale: float) -> Result:
        """The result: errors of `base`, which has the rows' own weights, scaled robustly."""
        counted = Counted(self.loss, scale or math.nan, weights)
        for left in self.left(weights):
            counted.add(left)
        rows, largest = self.problem.design.powers.scaled()
        # What the last pass changed, and what rounding of the residuals may have.
        last = np.abs(rows) @ (np.abs(near.weights - weights) + rounding(weights) / 16)
        last = np.array([float(Fraction(v) * c) for v, c in zip(last, largest, strict=True)])
        known = self.problem.conditions()
        last[[] if known is None else known.known] = 0.0
        error_scale = counted.error_scale(base.df_resid, base.rank)
        if self.loss == "l1":
            error_scale = self.sparse(weights) / 2 if scale else math.nan
        solution = replace(
            base.solution,
            weights=near.weights,
            coefficients=near.solution.coefficients,
            errors=near.solution.errors + last,
            rss=counted.squares,
            tss=math.nan,
            exact_fit=False,
            scale=error_scale,
            noise=scale or math.nan,
        )
        told = [note for note in base.notes if note not in set(notes.notes(base))]
        found = replace(base, solution=solution, loss=self.loss)
        return replace(found, notes=(*told, *notes.notes(found), *counted.notes(base.df_resid)))

    def sparse(self, weights: np.ndarray) -> float:
        """1 / density of the residuals at 0, of all rows at once."""
        ys = (self._rows(self._owned(block))[1] for block in self.reading.blocks())
        return sparsity(np.concatenate([*self.left(weights)]), np.concatenate([*ys]))


def robust(
    problem: Any,
    sums: Callable[[Any], dict],
    solve: Callable[[Any], Result],
    reading: Reading | None,
) -> Result:
    """The robust fit of a problem; raises Refused where it cannot be had.

    sums: of all rows of a problem, by one pass; solve: its least squares

    Of degree "auto" the degree is chosen by cross-validation with the rows' weights fixed: those of
    a bisquare fit of the highest degree that may be, with SHARE rows a term at least.
    """
    config = problem.config
    loss = config.loss
    if reading is None:
        raise Refused(
            f"--loss {loss} needs the median of the residuals, for which one process reads the "
            "rows; take --engine local"
        )
    if config.weight_function in ("1/y", "1/y^2"):
        raise Refused(
            f"--loss {loss} and --weights {config.weight_function} both weigh by the fit; give one"
        )
    if loss == "l1":
        if problem.rows > MOST_ROWS:
            raise Refused(
                f"--loss l1 has at most {MOST_ROWS:,} rows, got {problem.rows:,}; take --loss huber"
            )
        if config.ridge:
            raise Refused("--loss l1 takes no --ridge; take --loss huber")
    if config.degree != "auto":
        return Work(problem, sums, solve, reading, loss).fit()
    selection = chosen(problem, sums, solve, reading)
    work = Work(of_degree(problem, selection.chosen), sums, solve, reading, loss)
    return replace(work.fit(), selection=selection)


def chosen(
    problem: Any, sums: Callable[[Any], dict], solve: Callable[[Any], Result], reading: Reading
) -> Selection:
    """The choice of the degree by a robust fit's weights."""
    plain = cross_validate(problem, sums(problem))  # which degrees the rows can tell apart
    free = 0 if problem.config.intercept else 1
    may_be = [d for d in plain.degrees if SHARE * (problem.sizes[d] - free) <= problem.rows]
    top = of_degree(problem, max([*may_be, plain.degrees[0]]))
    work = Work(top, sums, solve, reading, "bisquare")
    weights, scale, _ = work.settled(work.start(), problem.rows)
    weighed = top.reweighed(work.weigher(weights, scale))
    weighed = replace(weighed, config=replace(problem.config), pilot=np.zeros(len(weights)))
    return replace(cross_validate(weighed, sums(weighed)), few=problem.few)


def of_degree(problem: Any, degree: int) -> Any:
    """The same rows, of a degree that is not to be chosen."""
    size = problem.sizes[degree]
    return replace(
        problem,
        config=replace(problem.config, degree=degree),
        design=problem.design.prefix(size),
        pilot=problem.pilot[:size],
    )
