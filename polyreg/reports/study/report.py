"""Report of a study: degrees compared and rows to doubt, on the terminal and in the run."""

import math
from dataclasses import fields
from typing import Any

from polyreg.inference.degrees import SIGNIFICANT
from polyreg.inference.study import DoubtedRow, Study
from polyreg.polynomials.result import Result
from polyreg.text import aligned, as_p
from polyreg.tracking import Run

ALWAYS = 10**6  # rows below which a fit is studied unasked
AROUND = 2  # degrees on either side of the fit's, on the terminal


def is_studied(result: Result) -> bool:
    """Whether the command studies this fit."""
    config = result.origin.config
    return config.diagnostics or result.is_known or result.nobs < ALWAYS


def study_of(result: Result) -> Study | None:
    """The study that was made; None where none was."""
    return result.deferred.found if result.deferred else None


def deviation(result: Result) -> float:
    """Largest weighted deviation where the fit or its study has looked at it; else nan."""
    study = study_of(result)
    return result.weighted_deviation if study else result.deviation


def study_lines(result: Result) -> list[str]:
    """Neighbouring degrees, the sentence on them, lack of fit, and what is to be doubted."""
    study = study_of(result)
    if study is None:
        return []
    lines, degree = [], result.design.degree
    if study.degrees is not None:
        lines += ["", *table(study, degree)]
        if said := study.degrees.neighbours(degree):
            lines.append(said)
    lack = study.lack_of_fit
    if not math.isnan(lack.p):
        between, within = lack.df
        freedom = f"on {between:g}" + ("" if math.isinf(within) else f" and {within:g}")
        said = f"lack of fit against replicates: F = {lack.F:.4g} {freedom}, {as_p(lack.p)}"
        off = ": the polynomial misses the means of equal x" if lack.p < SIGNIFICANT else ""
        lines.append(said + off)
    if result.is_known:
        lines.append(f"largest weighted deviation {study.weighted_deviation:.4g} uncertainties")
    return [*lines, *study.doubts()]


def table(study: Study, degree: int) -> list[str]:
    """The degrees around the fit's, aligned."""
    assert study.degrees is not None
    frame = study.degrees.to_frame()
    near = frame[(frame.degree - degree).abs() <= AROUND]
    columns = {"residual SD": "residual_sd", "F": "F", "p": "p", "AICc": "aicc", "BIC": "bic"}
    if near.cv.notna().any():
        columns["CV"] = "cv"
    columns["adj. R2"] = "adjusted_r2"
    if near.lof_p.notna().any():
        columns["lack of fit p"] = "lof_p"
    columns["largest residual"] = "largest_residual"
    rows = [
        [f"{row.degree:.0f}" + ("*" if row.degree == degree else "")]
        + [_number(getattr(row, name), name) for name in columns.values()]
        for row in near.itertuples()
    ]
    return aligned(["degree", *columns], rows).splitlines()


def _number(value: float, name: str) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):  # F, and BIC, of no residuals
        return "exact"
    if name == "adjusted_r2" and abs(value) < 1e-12:  # rounding of a constant's 0
        return "0"
    return f"{value:.{2 if name in ('p', 'lof_p') else 5}g}"


def record_study(run: Run, result: Result, title: str) -> None:
    """Log degrees.json and diagnostics.json, and plots of both."""
    from polyreg.reports.study import figures as draw

    study = study_of(result)
    if study is None:
        return
    if study.degrees is not None:
        run.table(study.degrees.to_frame().to_dict("list"), "degrees")
        run.figure(draw.degrees(study.degrees, result.design.degree, title), "degrees")
    run.table(rows(study), "diagnostics")
    if study.rows:
        run.figure(draw.doubted(study, title), "diagnostics")


def rows(study: Study) -> dict[str, list[Any]]:
    """Columns of diagnostics.json: the rows that stand out, then the tests of the residuals."""
    names = [f.name for f in fields(DoubtedRow) if f.name != "x"]
    made: dict[str, list[Any]] = {name: [getattr(r, name) for r in study.rows] for name in names}
    made["x"] = [list(r.x) if len(r.x) > 1 else r.x[0] for r in study.rows]
    blank = len(study.tests)
    made = {name: [*values, *[None] * blank] for name, values in made.items()}
    for name in ("name", "statistic", "p", "says"):
        made["test" if name == "name" else name] = [None] * len(study.rows) + [
            getattr(test, name) for test in study.tests
        ]
    return made
