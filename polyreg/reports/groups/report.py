"""Record of many curves in their run."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from polyreg.groups import Results
from polyreg.groups.summary import QUANTILES, WORDS, own_coefficients, spreading
from polyreg.polynomials.terms import keys
from polyreg.reports.fit import source_tags
from polyreg.reports.groups import compared
from polyreg.reports.groups import figures as draw
from polyreg.tracking import Clock, Run, scratch

SHOWN = 1000  # groups up to which MLflow shows the table


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
    run.text(json.dumps(compared.quantiles(results, frame)), "quantiles.json")
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
        if results.is_known:
            found |= {"chi2": shape.rss, "chi2_p": shape.chi2_p}
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


def _cells(column: pd.Series) -> list[Any]:
    return [None if pd.isna(v) else v.item() if isinstance(v, np.generic) else v for v in column]
