"""Fit of a table by passes over it, here or elsewhere; several where the weights follow the fit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polyreg.config import FitConfig
from polyreg.errors import NearlySingular, Refused
from polyreg.least_squares.conditions.levels import levelled
from polyreg.least_squares.conditions.reading import settled
from polyreg.least_squares.errors_in_x import fit as errors_in_x
from polyreg.least_squares.gram import Moments
from polyreg.least_squares.origin import originated
from polyreg.least_squares.problem import CERTIFIED_TERMS, Problem, term_count
from polyreg.least_squares.robust import Reading, robust
from polyreg.least_squares.study.grouping import Grouping, joined
from polyreg.least_squares.weighing import reweighted
from polyreg.polynomials.result import Result
from polyreg.tables.rows import Block, InMemory, Survey
from polyreg.tables.table import Table
from polyreg.tables.words import written

Sums = Callable[[Problem], dict[int, Moments]]


@dataclass(frozen=True)
class Passes:
    """The passes over a table, here and now."""

    table: Table | InMemory

    def survey(self, seed: int) -> Survey:
        return self.table.survey(seed)

    def leave_out(self, names: Sequence[str], why: str) -> None:
        self.table.leave_out(names, why)

    def sums(
        self, problem: Problem, advance: Callable[[int], Any] = lambda rows: None
    ) -> dict[int, Moments]:
        """Those of all rows; advance(rows) is told of progress."""

        def told() -> Iterator[Block]:
            for block in self.table.blocks(problem.is_exact):
                yield block
                advance(len(block.x[0]))

        return problem.accumulate(told())

    def reading(self, survey: Survey) -> Reading:
        """The rows, for what sums do not tell."""
        return Reading(lambda: self.table.blocks(False), survey.sample)


def fit(
    table: Table | InMemory, config: FitConfig, device: str = "cpu", passes: Any = None
) -> Result:
    """The least-squares polynomial of a table, without tracking. Raises BadTable or Refused.

    passes: who reads the table, by default this process
    """
    passes = passes or Passes(table)
    levelled(table, config)
    config = settled(passes, config)
    term_count(table.names, config, table.words)
    survey = surveyed(passes, config)
    if config.features:
        config = replace(config, features=written(table))
    problem = replicated(Problem.of(survey, table.names, config, device), table)
    found = run(problem, passes.sums, reading_of(passes, survey))
    return originated(found, table, config, survey, device)


def replicated(problem: Problem, table: Table | InMemory) -> Problem:
    """The problem with its replicates where they are to choose the degree, by a pass here.

    Raises Refused of weights that follow from the fit.
    """
    config = problem.config
    if config.degree != "auto" or config.criterion != "lack-of-fit":
        return problem
    if config.weight_function in ("1/y", "1/y^2"):
        raise Refused(
            "--criterion lack-of-fit needs weights that do not follow from the fit; take cv, aicc, "
            "bic or f"
        )
    groups = Grouping()
    for block in table.blocks():
        weighed = problem.weigher(block) if problem.weigher else block
        assert weighed.y is not None
        groups.add(joined(weighed.x, table.words), weighed.y, weighed.weights)
    return replace(problem, replicates=groups.found())


def surveyed(passes: Any, config: FitConfig) -> Survey:
    """The survey, after which columns that were not asked for and are constant are left out."""
    survey = passes.survey(config.seed)
    table = passes.table
    is_constant = survey.low == survey.high
    by_default = table.chosen_by_default and not (config.terms or config.degrees)
    if not (by_default and config.intercept and config.top_degree):
        return survey
    if not is_constant.any() or is_constant.all():
        return survey
    constant = [n for n, c in zip(table.names, is_constant.tolist(), strict=True) if c]
    passes.leave_out(constant, "constant")
    if table.missing_rows:  # some may have been missing in these alone
        return passes.survey(config.seed)
    kept = np.flatnonzero(~is_constant)
    sample = survey.sample._replace(x=tuple(survey.sample.x[d] for d in kept))
    return replace(survey, low=survey.low[kept], high=survey.high[kept], sample=sample)


def reading_of(passes: Any, survey: Survey) -> Reading | None:
    """The rows themselves, which a robust fit reads; None where others read them, part by part."""
    return passes.reading(survey) if isinstance(passes, Passes) else None


def run(problem: Problem, sums: Sums, reading: Reading | None = None) -> Result:
    """Solve by passes over the rows: one, or several where the weights follow the fit.

    `sums` is `accumulate` over all rows, by whoever reads them; `reading` is the rows themselves.
    """
    if problem.config.sigma_x:
        if reading is None:
            raise Refused("--sigma-x needs all rows at once, here; leave out --engine ray")
        return errors_in_x.fitted(problem.design.names, reading.blocks(), problem.config)
    if problem.config.loss != "squares":
        return robust(problem, sums, lambda weighed: solved(weighed, sums), reading)
    if problem.config.weight_function in ("1/y", "1/y^2"):
        return reweighted(problem, lambda weighed: solved(weighed, sums))
    return solved(problem, sums)


def solved(problem: Problem, sums: Sums) -> Result:
    """By one pass, sums(problem), and by one more in integers where float64 hides the rank."""
    try:
        return problem.answer(sums(problem))
    except NearlySingular:
        exactly = problem.in_integers(escalation(problem))
        return exactly.answer(sums(exactly))


def escalation(problem: Problem) -> str:
    """Why a fast fit is done again with integers; raises Refused where there are too many terms."""
    size = len(problem.design.exponents)
    if size > CERTIFIED_TERMS:
        raise Refused(
            f"float64 cannot tell whether the {size} terms depend on each other, and certified "
            f"fits have at most {CERTIFIED_TERMS}; lower --degree or --interaction-degree, leave "
            "out features that follow from others, or give --ridge"
        )
    return "float64 could not tell whether the terms depend on each other: certified took over"
