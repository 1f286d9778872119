"""Record of many curves in their run, and their report on the terminal."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from polyreg.groups import Results
from polyreg.inference.degrees import SIGNIFICANT
from polyreg.polynomials.terms import keys
from polyreg.reports.fit import source_tags
from polyreg.reports.groups import figures as draw
from polyreg.text import aligned, as_p, number, p_value, plural
from polyreg.tracking import Clock, Run, scratch

SHOWN = 1000  # groups up to which MLflow shows the table
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
WORDS = ("min", "p5", "median", "p95", "max")
NAMED = 5  # groups that are named on the terminal
NOISE = {"residual_sd": "residual SD", "group_sd": "SD about the common shape"}


def record(run: Run, results: Results, clock: Clock, register_as: str = "") -> None:
    """Log the fits: groups.parquet, plots, model, and metrics that are quantiles over groups."""
    frame = results.to_frame()
    if source := results.source:
        run.dataset(source.source, source.sha256, source.schema, results.rows)
        run.tag({"device": "cpu"} | source_tags(source))
    with clock("plots"):
        run.figure(draw.curves(results, title(results)), "curves")
        run.figure(draw.coefficients(results, frame, title(results)), "coefficients")
        run.figure(draw.residuals(results, frame, title(results)), "residuals")
    with clock("model"):
        run.groups(results, register_as)
    with clock("table"):
        table = pa.Table.from_pandas(frame, preserve_index=False)
        run.files(scratch(lambda there: pa.parquet.write_table(table, there / "groups.parquet")))
    if len(frame) <= SHOWN:
        run.table({name: _cells(frame[name]) for name in frame}, "groups")
    if results.common is not None:
        run.table({name: results.common[name].tolist() for name in results.common}, "groups_common")
    if results.pooled:
        for name in ("tests", "variation"):
            table = results.pooled.frame(name)
            run.table({column: _cells(table[column]) for column in table}, f"groups_{name}")
    run.log(metrics(results, frame) | clock.metrics())


def title(results: Results) -> str:
    """What was fitted, and by which columns."""
    return results.config.named((results.variable,))


def metrics(results: Results, frame: pd.DataFrame) -> dict[str, float]:
    """Quantiles over the groups, what is not finite left out."""
    found = {
        "groups": len(results),
        "groups_failed": len(results.failed),
        "rows": float(results.solved.count[results.solved.degrees >= 0].sum()),
        "rows_missing": float(results.rows_missing),
    }
    if results.pooled:
        tests = results.pooled.frame("tests")
        for model, p in zip(tests["model"], tests["p"], strict=True):
            found[f"p/{model.replace(' ', '_')}"] = p
    if shape := results.shape:
        found |= {
            "df_resid": shape.df_resid,
            "residual_sd": shape.residual_sd,
            "r2": shape.r2,
            "aic": shape.criteria[0],
            "bic": shape.criteria[1],
        }
        rows = shape.frame(next(iter(results.values())))
        for key, row in zip(keys(rows["term"].tolist()), rows.itertuples(), strict=True):
            found |= {f"coef/{key}": row.estimate, f"std_error/{key}": row.std_error}
    columns = {name: frame[name] for name in ("residual_sd", *spreading(results))}
    names = own_coefficients(results, frame)
    terms = keys([name.removeprefix("coef/") for name in names])
    columns |= {f"coef/{key}": frame[name] for key, name in zip(terms, names, strict=True)}
    for name, column in columns.items():
        values = column.to_numpy(dtype=float)
        values = values[np.isfinite(values)]
        if len(values):
            for word, value in zip(WORDS, np.quantile(values, QUANTILES), strict=True):
                found[f"{name}/{word}"] = float(value)
    return found


def spreading(results: Results) -> list[str]:
    """Columns of groups.parquet beside the coefficients that differ between groups."""
    return ["group_sd" if results.shape else "residual_sd", "r2", "digits"]


def own_coefficients(results: Results, frame: pd.DataFrame) -> list[str]:
    """Columns of the coefficients that are each group's own."""
    names = [name for name in frame if name.startswith("coef/")]
    return names[: results.shape.own] if results.shape else names


def report(results: Results) -> tuple[list[str], list[str]]:
    """What is known of all groups, in lines; and what there is to mind."""
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
        lines.append(f"largest {NOISE[noise]}: {', '.join(told)}")
    lines += shared(results)
    warnings = [f"note: {note}" for note in results.notes]
    if results.failed:
        some = [f"{_name(key)} ({why})" for key, why in list(results.failed.items())[:NAMED]]
        more = f", and {len(results.failed) - NAMED:,} more" if len(results.failed) > NAMED else ""
        warnings.append(
            f"warning: {plural(len(results.failed), 'group')} without a polynomial, with the "
            f"reason in groups.parquet: {', '.join(some)}{more}"
        )
    if results.source:
        warnings += [f"warning: left out: {file}" for file in results.source.skipped]
    if results.rows_missing:
        warnings.append(f"note: {plural(results.rows_missing, 'row')} with a missing value dropped")
    return lines, warnings


def common(results: Results) -> list[str]:
    """What all groups have in common, where they have one shape."""
    shape, rows = results.shape, results.common
    if shape is None or rows is None:
        return []
    own = "offsets" if shape.own == 1 else "offsets and slopes"
    level = f"{100 * results.config.level:g} % low"
    header = ["", "estimate", "std error", level, "high", "digits"]
    told = [
        [row.term, *(number(v) for v in (row.estimate, row.std_error, row.low, row.high)),
         f"{row.digits:.1f}"]
        for row in rows.itertuples()
    ]  # fmt: skip
    return [
        "",
        f"one shape of degree {shape.degree}, own {own}: residual SD {number(shape.residual_sd)} "
        f"on {shape.df_resid:,} degrees of freedom, R2 {shape.r2:.10g}",
        *aligned(header, told).splitlines(),
    ]


def shared(results: Results) -> list[str]:
    """Do groups need their own curves, in words."""
    common = results.pooled
    if common is None:
        return []
    lines = ["", f"do {common.groups:,} groups of degree {common.degree} need their own curves?"]
    header, rows = ["", "parameters", "chi2 / df" if results.is_known else "F", "p"], []
    for row in common.frame("tests").itertuples():
        rows.append([row.model, f"{row.parameters:,}", f"{row.F:.4g}", p_value(row.p)])
    lines += aligned(header, rows).splitlines()
    holds = [model for model, p in zip(common.tests["model"], common.tests["p"], strict=True)
             if p >= SIGNIFICANT]  # fmt: skip
    lines.append(f"{holds[0]} will do: p >= 0.05" if holds else "yes: nothing shared has p >= 0.05")
    header = ["term", "mean", "std error", "SD between groups", "p (equal)"]
    rows = [
        [row.term, *(number(v) for v in (row.mean, row.std_error, row.sd_between)), p_value(row.p)]
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
        lines.append(f"farthest from one curve, by Bonferroni: {', '.join(some)}{more}")
    return lines


def _quantiles(column: pd.Series) -> list[str]:
    values = column.to_numpy(dtype=float, na_value=math.nan)
    values = values[np.isfinite(values)]
    if not len(values):
        return ["-"] * len(WORDS)
    return [number(float(value)) for value in np.quantile(values, QUANTILES)]


def _name(key: Any) -> str:
    return ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _cells(column: pd.Series) -> list[Any]:
    return [None if pd.isna(v) else v.item() if isinstance(v, np.generic) else v for v in column]
