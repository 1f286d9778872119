"""Curves of the levels of a fit in one number, as its figure draws them."""

from typing import Any

import numpy as np

from polyreg.polynomials.result import Result
from polyreg.reports.levels.figures import LevelCurve, level_curves

MOST = 8  # curves that are drawn, those of the most rows
GRID = 200  # points of a curve


def level_figure(result: Result, x: np.ndarray, y: np.ndarray, title: str) -> Any:
    """A curve for each level, or each combination of levels, that the rows have.

    x (n, D), y (n,): the variables at the rows that are drawn
    """
    [number] = result.design.numeric
    levels = level_numbers(result, x)
    found, place, counts = np.unique(levels, axis=0, return_inverse=True, return_counts=True)
    chosen = np.sort(np.argsort(-counts, kind="stable")[:MOST])
    drawn = []
    for k in chosen.tolist():
        rows = place.ravel() == k
        at = np.repeat(x[rows][:1], GRID, axis=0)
        at[:, number] = np.linspace(x[rows, number].min(), x[rows, number].max(), GRID)
        curve, low, high = result.as_fitted.predict(at, "confidence")
        name = ", ".join(w[n] for w, n in zip(result.levels.values(), found[k], strict=True))
        drawn.append(LevelCurve(name, x[rows, number], y[rows], at[:, number], curve, low, high))
    rest = ~np.isin(place.ravel(), chosen)
    among = f"{MOST} of {len(found)} levels" if len(found) > MOST else ""
    names = [_with_unit(result, name) for name in (result.variables[number], result.target)]
    return level_curves(
        drawn,
        (x[rest, number], y[rest]),
        level=result.level,
        names=(names[0], names[1], ", ".join(result.levels)),
        title=title,
        among=among,
    )


def _with_unit(result: Result, name: str) -> str:
    return f"{name} ({result.units[name]})" if name in result.units else name


def level_numbers(result: Result, x: np.ndarray) -> np.ndarray:
    """The place of the level in each column of words, 0 of the base: x (n, D)  ->  (n, columns)"""
    columns = []
    for column in result.levels:
        own = [d for d, name in enumerate(result.design.words) if name == column]
        columns.append(x[:, own] @ np.arange(1, len(own) + 1))
    return np.stack(columns, axis=1).astype(int)
