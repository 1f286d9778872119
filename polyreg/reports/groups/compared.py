"""Runs of many curves side by side: how residual SD, R2 and coefficients lie over the groups."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polyreg.groups import Results
from polyreg.groups.summary import own_coefficients, spreading
from polyreg.reports import chart

PARTS = np.arange(101) / 100  # of the groups
LOW, MIDDLE, HIGH = 5, 50, 95  # of these, what stands for a coefficient
WIDE = 20  # ratio of largest to smallest from which on an axis is logarithmic
SPREAD = {"residual_sd": "residual SD", "r2": "1 - R2"}
KEYS = ("target", "variable", "common", "weighted", "groups", "counts")
Quantiles = Mapping[str, Any]


def quantiles(results: Results, frame: pd.DataFrame) -> Quantiles:
    """Of each number of the table: at every hundredth of the groups that have it, and of how many.

    R2 is that of groups whose rows leave a residual. frame: as results.to_frame
    """
    noise = frame[spreading(results)[0]].to_numpy(dtype=float)
    columns = {"residual_sd": noise, "r2": frame["r2"].to_numpy(dtype=float)[np.isfinite(noise)]}
    columns |= {
        name: frame[name].to_numpy(dtype=float) for name in own_coefficients(results, frame)
    }
    columns = {name: values[np.isfinite(values)] for name, values in columns.items()}
    config = results.config
    return {
        "target": results.target,
        "variable": results.variable,
        "common": _common(results),
        "weighted": bool(config.weighed_by or config.weight_function),
        "groups": len(frame),
        "counts": {name: len(values) for name, values in columns.items()},
        "parts": PARTS.tolist(),
        "values": {
            name: np.quantile(values, PARTS).tolist()
            for name, values in columns.items()
            if len(values)
        },
    }


def _common(results: Results) -> dict[str, list[float]]:
    """Of one shape the common coefficients, each with its interval where it has one."""
    if results.common is None:
        return {}
    rows = results.common[["estimate", "low", "high"]].to_numpy(dtype=float)
    terms = results.common["term"]
    return {
        f"coef/{term}": row[np.isfinite(row)].tolist()
        for term, row in zip(terms, rows, strict=True)
    }


def distributions(found: Mapping[int, Quantiles]) -> Iterator[chart.Chart]:
    """A chart of residual SD and one of 1 - R2: each run a curve over its groups, ascending.

    found: by the number of the run on the page
    """
    for name, title in SPREAD.items():
        curves = [
            chart.Curve(k, 100 * PARTS, _ascending(name, np.array(one["values"][name])))
            for k, one in found.items()
            if name in one["values"]
        ]
        if not curves:
            continue
        values = np.concatenate([curve.y for curve in curves])
        is_wide = 0 < WIDE * values.min() < values.max()
        yield chart.Chart(
            title=f"{title} of the groups, in ascending order",
            names=("groups, %", title),
            curves=curves,
            log=(False, bool(is_wide)),
            note=" ".join(_notes(found, name)),
        )


def _ascending(name: str, values: np.ndarray) -> np.ndarray:
    """R2 as the part of y's sum of squares that is left: near 1 its curves would be one."""
    return 1 - values[::-1] if name == "r2" else values


def _notes(found: Mapping[int, Quantiles], name: str) -> Iterator[str]:
    lost = {k: one["groups"] - one["counts"][name] for k, one in found.items()}
    if told := [f"{n:,} of run {k + 1}" for k, n in lost.items() if n]:
        yield f"Groups without a polynomial or a residual are not drawn: {', '.join(told)}."
    if name != "residual_sd":
        return
    if pooled := [str(k + 1) for k, one in found.items() if one["common"]]:
        yield f"Of run {', '.join(pooled)}, of one shape, it is the SD about the common shape."
    if len({one["weighted"] for one in found.values()}) > 1:
        yield "With weights it is that of a y of weight 1, and no measure beside a run without."


def coefficients(found: Mapping[int, Quantiles]) -> Iterator[chart.Coefficients]:
    """The coefficients' medians over the groups, those of one target and variable together."""
    together: dict[tuple[str, str], dict[int, Quantiles]] = {}
    for k, one in found.items():
        together.setdefault((one["target"], one["variable"]), {})[k] = one
    for (target, variable), own in together.items():
        names = max(([*one["values"], *one["common"]] for one in own.values()), key=len)
        names = [name for name in names if name.startswith("coef/")]
        terms = [
            chart.Term(name.removeprefix("coef/"), (), [*_estimates(own, name)]) for name in names
        ]
        yield chart.Coefficients(
            title=f"Coefficients of {target} by {variable}: median over the groups",
            terms=terms,
            note="Below a median: 5th and 95th percentile; of a shape's common term: its interval.",
            target=target,
        )


def _estimates(own: Mapping[int, Quantiles], name: str) -> Iterator[chart.Estimate]:
    for k, one in own.items():
        if values := one["values"].get(name):
            yield chart.Estimate(k, values[MIDDLE], values[LOW], values[HIGH])
        elif common := one["common"].get(name):
            yield chart.Estimate(k, *common)


def read(document: Any) -> Quantiles:
    """What `quantiles` wrote down; raises ValueError, KeyError or TypeError of anything else."""
    sizes: Sequence[int] = [len(values) for values in document["values"].values()]
    if document["parts"] != PARTS.tolist() or any(size != len(PARTS) for size in sizes):
        raise ValueError("no quantiles of groups")
    return {name: document[name] for name in KEYS} | {"values": document["values"]}
