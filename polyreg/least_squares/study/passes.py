"""The two passes of a study: sums of higher degrees, then residuals row by row."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from polyreg.config import FitConfig
from polyreg.errors import NearlySingular, PolyregError, Refused
from polyreg.inference.degrees import Degrees, lack_of_fit
from polyreg.inference.influence import why_not
from polyreg.inference.study import Study, Test
from polyreg.least_squares.errors_in_x import fit as errors_in_x
from polyreg.least_squares.problem import Problem
from polyreg.least_squares.study.rows import RowPass
from polyreg.least_squares.weighing import OfFit, least_value
from polyreg.polynomials.predictor import weight_of
from polyreg.polynomials.result import Result
from polyreg.tables.rows import Survey
from polyreg.text import as_p

HIGHER = 2  # degrees above that of the fit
SAME = 1e-8  # relative, what two passes over the same rows may differ by
NO_ROWS = "with errors in x, influence is not that of a row's y alone"
FEW = 8  # rows below which tests of the residuals say nothing


def examine(
    result: Result,
    *,
    rows: Any,
    config: FitConfig,
    survey: Survey,
    device: str,
    sums: Callable[[Problem], dict] | None = None,
) -> Study:
    """Study of a fit. sums: `Problem.accumulate` over all rows, here by default.

    Raises PolyregError where the rows are not those of the fit.
    """
    if config.sigma_x:
        return in_both(result, rows, config)
    weigher, reason = weigher_of(result, config), no_degrees(result, config)
    fits: list[Result] = []
    if not reason:
        fits = by_degree(result, rows, config, survey, device, sums)
        same = [fit for fit in fits if fit.design.degree == result.design.degree]
        if not same:
            fits, reason = [], "degrees cannot be told apart on these rows"
    main = same[0] if fits else result
    if fits:
        require_same(result, main.nobs, main.solution.rss)
    found = RowPass(main, fits)
    for place, kept, block in rows.placed():
        found.add(place, kept, weigher(block) if weigher else block)
    if config.loss == "squares":
        require_same(result, found.count, found.rss)
    replicates = found.groups.found()
    degrees = None
    if fits:
        degrees = Degrees.of(fits, replicates, found.largest.tolist(), result.selection)
    rss = 0.0 if result.solution.exact_fit else result.solution.rss
    return Study(
        degrees=degrees,
        no_degrees=reason,
        lack_of_fit=lack_of_fit(rss, result.rank, replicates, result.is_known),
        weighted_deviation=float(found.largest[found.at]) if result.is_known else math.nan,
        rows=found.rows(),
        no_rows=why_not(result) or ("" if found.rows() else "the fit leaves nothing to judge"),
        tests=tests(found, result, rows.functions is not None) if found.is_judged else [],
    )


def in_both(result: Result, rows: Any, config: FitConfig) -> Study:
    """Study of least squares in x and y: the degrees beside it, each fitted anew."""
    if config.conditions:
        return Study(
            degrees=None,
            no_degrees=no_degrees(result, config),
            lack_of_fit=lack_of_fit(result.solution.rss, result.rank, None, True),
            weighted_deviation=result.deviation,
            rows=[],
            no_rows=NO_ROWS,
            tests=[],
        )
    fits = errors_in_x.neighbours(rows, config)
    same = [fit for fit in fits if fit.design.degree == result.design.degree]
    if same:
        require_same(result, same[0].nobs, same[0].solution.rss)
    largest = [fit.deviation for fit in fits]
    reason = "" if same else "degrees cannot be told apart on these rows"
    return Study(
        degrees=Degrees.of(fits, None, largest) if same else None,
        no_degrees=reason,
        lack_of_fit=lack_of_fit(result.solution.rss, result.rank, None, True),
        weighted_deviation=result.deviation,
        rows=[],
        no_rows=NO_ROWS,
        tests=[],
    )


def no_degrees(result: Result, config: FitConfig) -> str:
    """Why degrees are not compared; "" where they are."""
    if len(result.design.numeric) > 1:
        return "degrees are compared of one variable, and there are several"
    if result.ridge:
        return "with a ridge, nested tests do not hold"
    if not result.has_full_rank:
        return "the rows do not tell the terms apart"
    if config.conditions:
        return f"the polynomial is held exactly ({', '.join(config.conditions)})"
    if config.loss != "squares":
        return "degrees are compared of least squares"
    return ""


def weigher_of(result: Result, config: FitConfig) -> Any:
    """What gives rows the weights that they had at the end of the fit; None: their column."""
    if config.weight_function not in ("1/y", "1/y^2"):
        return None if not config.weight_function else _of_x(config)
    least = least_value(result)[1]
    bound = float(weight_of(config.weight_function, np.array([least]), np.array([least]))[0])
    return OfFit(config.weight_function, result.design, result.weights, least / 2, bound)


def _of_x(config: FitConfig) -> Callable:
    def weighed(block: Any) -> Any:
        weights = weight_of(config.weight_function, block.x[0], block.x[0])
        return block._replace(weights=weights, low=None)

    return weighed


def by_degree(
    result: Result,
    rows: Any,
    config: FitConfig,
    survey: Survey,
    device: str,
    sums: Callable[[Problem], dict] | None,
) -> list[Result]:
    """Fits of the degrees 0 ... d + 2, in one basis, by one pass: as far as rows can tell."""
    precision: Any = result.precision
    top = min(result.design.degree + HIGHER, result.nobs - 1)
    problem = None
    while problem is None:
        wanted = replace(config, degree=top, criterion="cv", precision=precision)
        try:
            problem = Problem.of(survey, rows.names, wanted, device)
        except Refused:
            if top <= result.design.degree:
                raise
            top -= 1
    weigher = weigher_of(result, config)
    if config.weight_function in ("1/y", "1/y^2"):
        problem = problem.reweighed(weigher)
    if sums is None:
        total = reduce(add, problem.accumulate(rows.blocks(problem.is_exact)).values())
    else:
        total = reduce(add, sums(problem).values())
    fits: list[Result] = []
    for size in problem.sizes.values():
        try:
            fit = problem.solve(total, size)
        except NearlySingular:
            break
        if not fit.has_full_rank:
            break
        fits.append(fit)
    return fits


def require_same(result: Result, count: int, rss: float) -> None:
    """Raise PolyregError where other rows were read than those of the fit."""
    before = result.solution.rss
    near = SAME * before + 1e-14 * (result.solution.tss + before) + 1e-300
    if count != result.nobs or (not result.solution.exact_fit and abs(rss - before) > near):
        raise PolyregError(
            f"the rows have changed since the fit: {result.nobs:,} rows left a sum of squares of "
            f"{before:.6g}, and now {count:,} leave {rss:.6g}; fit them again"
        )


def tests(found: RowPass, result: Result, has_functions: bool = False) -> list[Test]:
    """Tests of the residuals; none of exact fits, and of few rows.

    has_functions: x or y is a function of its column, for which there is no weight 1/x
    """
    if found.count < FEW or result.df_resid < 3 or result.solution.exact_fit or not found.rss > 0:
        return []
    names, told = result.variables, found.tests
    d, (z, p_runs) = told.durbin_watson, told.runs_test()
    alike = "stay on one side of the fit longer" if z < 0 else "change sides more often"
    ordered = "the degree may be too low, or rows depend on each other"
    if z > 0:
        ordered = "neighbouring rows depend on each other"
    lm, p_lm, slopes = told.breusch_pagan()
    k = int(np.abs(slopes).argmax())
    rises = "grow" if slopes[k] > 0 else "shrink"
    way = "give weights, or --sigma"
    may_weigh = len(names) == 1 and result.weighted_by is None and not has_functions
    if slopes[k] > 0 and may_weigh and result.low[0] > 0:
        way = "consider --weights 1/x" + ("^2" if result.weight_function == "1/x" else "")
    jb, p_jb = told.jarque_bera()
    heavy = ": consider --loss huber" if result.loss == "squares" else ""
    return [
        Test(
            "Durbin-Watson",
            d,
            math.nan,
            f"Durbin-Watson {d:.3g} in the order of the rows (2: neighbours are independent)",
        ),
        Test(
            "runs",
            z,
            p_runs,
            f"residuals {alike} than chance has them, in the order of the rows (runs test "
            f"{as_p(p_runs)}): {ordered}"
            if p_runs < 0.05
            else f"signs of the residuals follow each other as by chance ({as_p(p_runs)})",
        ),
        Test(
            "Breusch-Pagan",
            lm,
            p_lm,
            f"residuals {rises} with {names[k]} (Breusch-Pagan {as_p(p_lm)}): {way}"
            if p_lm < 0.05
            else f"residuals are as large everywhere (Breusch-Pagan on x {as_p(p_lm)})",
        ),
        Test(
            "Jarque-Bera",
            jb,
            p_jb,
            f"residuals are not normal (Jarque-Bera {as_p(p_jb)}){heavy}"
            if p_jb < 0.05
            else f"residuals may be normal (Jarque-Bera {as_p(p_jb)})",
        ),
    ]
