"""Exact fits of groups: each by itself in integers, to the numbers as they are written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from polyreg.config import FitConfig
from polyreg.errors import BadTable, Refused
from polyreg.groups.solved import Solved
from polyreg.least_squares import fitting
from polyreg.polynomials.design import Powers
from polyreg.polynomials.result import Result
from polyreg.tables.rows import InMemory, Rows

Gathered = tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]  # codes, columns, their rests


def certified(
    table: Rows,
    config: FitConfig,
    coded: Callable[[list[np.ndarray]], np.ndarray],
    solved: Solved,
) -> tuple[Solved, dict[int, str]]:
    """The same fits from integers, and the reason of each group that has none.

    All rows are held at once. coded: key columns (n,) to the groups' rows (n,); the degrees are
    those of `solved`. Raises BadTable where the rows have changed since.
    """
    return fitted(table, config, gathered(table, coded), solved)


def fitted(
    table: Rows, config: FitConfig, rows_of_all: Gathered, solved: Solved
) -> tuple[Solved, dict[int, str]]:
    """The fits of these rows; of the table its columns' names and what they are."""
    failed: dict[int, str] = {}
    codes, columns, rests = rows_of_all
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(solved.degrees) + 1))
    made = replace(
        solved,
        **{
            name: getattr(solved, name).copy()
            for name in ("degrees", "weights", "coefficients", "spread", "errors", "rss", "tss")
        },
        is_certified=True,
    )
    for g in np.flatnonzero(solved.degrees >= 0).tolist():
        rows = order[starts[g] : starts[g + 1]]
        own = [column[rows] for column in columns]
        if len(rows) != solved.count[g]:
            raise BadTable(f"{table.title} changed while it was read; run again")
        try:
            exact = _alone(table, config, own, [r[rows] for r in rests], int(solved.degrees[g]))
            if not exact.has_full_rank:
                raise Refused(f"{len(rows)} rows tell only {exact.rank} terms apart")
        except Refused as error:
            failed[g], made.degrees[g] = str(error), -1
            continue
        _keep(made, g, exact)
    return made, failed


def gathered(table: Rows, coded: Callable) -> Gathered:
    """All rows that count: codes (n,), columns and what float64 leaves of them, (n,) each."""
    many = len(table.keys)
    nothing = [np.empty(0)] * (len(table.columns) - many)
    parts: list[Gathered] = [(np.empty(0, np.int64), nothing, nothing)]
    for _, arrays, low in table.unjudged(exact=True):
        numbers, keys = arrays[: len(arrays) - many], arrays[len(arrays) - many :]
        rests = [np.zeros(len(a)) if r is None else r for a, r in _pairs(numbers, low)]
        kept = np.isfinite(np.stack(arrays)).all(axis=0)
        if table.weights is not None:
            kept &= numbers[-1] > 0
        codes = coded([key[kept] for key in keys])
        parts.append((codes, [a[kept] for a in numbers], [r[kept] for r in rests]))
    return joined(parts)


def joined(parts: Sequence[Gathered]) -> Gathered:
    """The rows of all parts, in their order."""
    return (
        np.concatenate([codes for codes, _, _ in parts]),
        [np.concatenate(c) for c in zip(*(columns for _, columns, _ in parts), strict=True)],
        [np.concatenate(c) for c in zip(*(rests for _, _, rests in parts), strict=True)],
    )


def _pairs(numbers: list[np.ndarray], low: Any) -> Iterator[tuple[np.ndarray, Any]]:
    rests = [*low] + [None] * len(numbers)
    yield from zip(numbers, rests[: len(numbers)], strict=True)


def _alone(
    table: Rows, config: FitConfig, columns: list[np.ndarray], rests: list[np.ndarray], degree: int
) -> Result:
    x, y, *w = columns
    rows = InMemory(
        [x],
        y,
        w[0] if w else None,
        table.names,
        target=str(table.target),
        weighed=table.weights or "weights",
        low=lambda: rests,
        is_sigma=table.is_sigma,
    )
    alone = replace(
        config, by=(), same_degree=False, require_all=False, degree=degree, criterion="cv"
    )
    return fitting.fit(rows, alone)


def _keep(made: Solved, g: int, exact: Result) -> None:
    """The exact fit in the group's row, its weights in the group's own basis."""
    size = exact.design.degree + 1
    made.coefficients[g, :size] = exact.solution.coefficients
    made.spread[g, :size] = exact.solution.spread
    made.errors[g, :size] = exact.solution.errors
    made.rss[g], made.tss[g] = exact.solution.rss, exact.solution.tss
    low, high = made.low[g].item(), made.high[g].item()
    centre, radius = low / 2 + high / 2, high / 2 - low / 2 or 1.0
    powers = Powers(exact.design, [(centre, radius)]).coefficients(
        [Fraction(w) for w in exact.weights.tolist()]
    )
    weights = in_chebyshev(powers)
    if not made.no_intercept:
        weights[0] -= Fraction(made.base[g].item())
    made.weights[g, :size] = [float(w) for w in weights]


def in_chebyshev(powers: list[Fraction]) -> list[Fraction]:
    """sum_k powers_k z^k as sum_k found_k T_k(z), exactly, by Horner's rule."""
    found = [Fraction(0)] * len(powers)
    for value in reversed(powers):
        above = [Fraction(0)] * len(powers)
        for k, weight in enumerate(found):  # z T_k = (T_{k+1} + T_{|k-1|}) / 2, z T_0 = T_1
            if not weight:
                continue
            if not k:
                above[1] += weight
            else:
                above[k - 1] += weight / 2
                if k + 1 < len(above):
                    above[k + 1] += weight / 2
        found = above
        found[0] += value
    return found
