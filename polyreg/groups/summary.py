"""Summary of many curves: quantiles over the groups, tests of shared curves, and what to mind."""

import html as escaping
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from polyreg.inference.degrees import SIGNIFICANT
from polyreg.text import aligned, as_p, number, p_value, plural

QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
WORDS = ("min", "p5", "median", "p95", "max")
NAMED = 5  # groups that are named
NOISE = {"residual_sd": "residual SD", "group_sd": "SD about the common shape"}
ROWS = 20  # groups in a notebook's table


def text(results: Any) -> str:
    """All of it."""
    told, warnings = report(results, "Results.failed")
    return "\n".join([*told, *([""] if warnings else []), *warnings])


def html(results: Any) -> str:
    """A row a group, the first and the last of many, and what there is to mind; escaped."""
    told, warnings = report(results, "Results.failed")
    paragraphs = "".join(f"<p>{escaping.escape(line)}</p>" for line in [told[0], *warnings])
    return paragraphs + results.to_frame().to_html(
        max_rows=ROWS, index=False, float_format="{:.6g}".format, na_rep="–"
    )


def spreading(results: Any) -> list[str]:
    """Columns of groups.parquet beside the coefficients that differ between groups."""
    return ["group_sd" if results.shape else "residual_sd", "r2", "digits"]


def own_coefficients(results: Any, frame: pd.DataFrame) -> list[str]:
    """Columns of the coefficients that are each group's own."""
    names = [name for name in frame if name.startswith("coef/")]
    return names[: results.shape.own] if results.shape else names


def report(results: Any, reasons: str = "groups.parquet") -> tuple[list[str], list[str]]:
    """What is known of all groups, in lines; and what there is to mind.

    reasons: where those are why groups could not be fitted
    """
    frame = results.to_frame()
    fitted = frame[results.solved.degrees >= 0]
    lines = [
        f"{plural(len(results), 'group')} by {', '.join(results.by)}, "
        f"{plural(int(fitted['rows'].sum()), 'row')}"
    ]
    lines += common(results)
    header = ["", *WORDS]
    rows = [
        [name.removeprefix("coef/"), *_quantiles(fitted[name])]
        for name in [*own_coefficients(results, frame), *spreading(results), "rows"]
    ]
    if fitted["degree"].nunique() > 1:
        rows.append(["degree", *_quantiles(fitted["degree"])])
    lines += ["", *aligned(header, rows).splitlines(), ""]
    noise = spreading(results)[0]
    worst = fitted[noise].dropna().sort_values(ascending=False).head(NAMED)
    if len(worst):
        told = [f"{results.named(g)} {number(sd)}" for g, sd in worst.items()]
        lines.append(f"largest {NOISE[noise]}: {_several(results, told)}")
    lines += shared(results)
    warnings = [f"note: {note}" for note in results.notes]
    if results.failed:
        some = [f"{_name(key)} ({why})" for key, why in list(results.failed.items())[:NAMED]]
        more = f", and {len(results.failed) - NAMED:,} more" if len(results.failed) > NAMED else ""
        warnings.append(
            f"warning: {plural(len(results.failed), 'group')} without a polynomial, with the "
            f"reason in {reasons}: {_several(results, some)}{more}"
        )
    if results.source:
        warnings += [f"warning: left out: {file}" for file in results.source.skipped]
    if results.rows_missing:
        warnings.append(f"note: {plural(results.rows_missing, 'row')} with a missing value dropped")
    return lines, warnings


def common(results: Any) -> list[str]:
    """What all groups have in common, where they have one shape."""
    shape, rows = results.shape, results.common
    if shape is None or rows is None:
        return []
    own = "offsets" if shape.own == 1 else "offsets and slopes"
    judged = "no degrees of freedom are left to tell errors from"
    if shape.df_resid:
        noise = f"residual SD {number(shape.residual_sd)}"
        noise = f"chi2 {number(shape.rss)}" if results.is_known else noise
        judged = f"{noise} on {shape.df_resid:,} degrees of freedom"
        judged += f" ({as_p(shape.chi2_p)})" * results.is_known
        judged += f", R2 {shape.r2:.10g}" * (shape.tss > 0)
    level = f"{100 * results.config.level:g} % low"
    header = ["", "estimate", "std error", level, "high", "digits"]
    told = [
        [row.term, *map(_known, (row.estimate, row.std_error, row.low, row.high)), digits]
        for row, digits in zip(rows.itertuples(), (f"{d:.1f}" for d in rows["digits"]), strict=True)
    ]
    return [
        "",
        f"one shape of degree {shape.degree}, own {own}: {judged}",
        *aligned(header, told).splitlines(),
    ]


def shared(results: Any) -> list[str]:
    """Do groups need their own curves, in words."""
    common = results.pooled
    if common is None:
        return []
    which = f"groups of degree {common.degree}"
    if common.groups < len(results):
        which = f"of the groups, those with rows for their own degree {common.degree},"
    lines = ["", f"do {common.groups:,} {which} need their own curves?"]
    header, rows = ["", "parameters", "chi2 / df" if results.is_known else "F", "p"], []
    for row in common.frame("tests").itertuples():
        F = _known(row.F, "{:.4g}".format)
        rows.append([row.model, f"{row.parameters:,}", F, _known(row.p, p_value)])
    lines += aligned(header, rows).splitlines()
    holds = [model for model, p in zip(common.tests["model"], common.tests["p"], strict=True)
             if p >= SIGNIFICANT]  # fmt: skip
    lines.append(f"{holds[0]} will do: p >= 0.05" if holds else "yes: nothing shared has p >= 0.05")
    header = ["term", "mean", "std error", "SD between groups", "p (equal)"]
    rows = [
        [row.term, *map(_known, (row.mean, row.std_error, row.sd_between)), _known(row.p, p_value)]
        for row in common.frame("variation").itertuples()
    ]
    lines += ["", *aligned(header, rows).splitlines()]
    far = [
        (g, p)
        for g, p in zip(common.differing["group"], common.differing["p_bonferroni"], strict=True)
        if p < SIGNIFICANT
    ]
    if far:
        some = [f"{results.named(g)} ({as_p(p)})" for g, p in far[:NAMED]]
        more = ", and more" if len(far) > NAMED else ""
        lines.append(f"farthest from one curve, by Bonferroni: {_several(results, some)}{more}")
    return lines


def _several(results: Any, told: list[str]) -> str:
    """Groups in a line; keys of several columns have commas of their own."""
    return (", " if len(results.by) == 1 else "; ").join(told)


def _quantiles(column: pd.Series) -> list[str]:
    values = column.to_numpy(dtype=float, na_value=math.nan)
    values = values[np.isfinite(values)]
    if not len(values):
        return ["-"] * len(WORDS)
    return [number(float(value)) for value in np.quantile(values, QUANTILES)]


def _known(value: float, shown: Callable[[float], str] = number) -> str:
    return shown(value) if math.isfinite(value) else "-"


def _name(key: Any) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)
