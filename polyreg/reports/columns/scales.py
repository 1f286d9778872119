"""Sample, grid and scales of figures whose axes are columns, where functions of them are fitted."""

from collections.abc import Callable
from typing import Any

import numpy as np

from polyreg.polynomials.result import Result
from polyreg.polynomials.variables import Variable
from polyreg.tables import Block

WIDE = 20.0  # highest over lowest, from where on a logarithm has a logarithmic axis


def drawn(result: Result) -> Block:
    """The sample of a fit, in the quantities that the result answers in."""
    origin = result.origin
    found: Block = origin.given if result.is_transformed else origin.sample
    return found


def curve_grid(result: Result) -> np.ndarray:
    """Values of the column of one variable (n,), in even steps of the variable where it turns not.

    So a curve of log(x) is as smooth near 0 as elsewhere. nan where the curve breaks off.
    """
    z = np.linspace(result.low[0], result.high[0], 400)
    if not result.inputs:
        return _broken(z, result.breaks.ends)
    [variable] = result.inputs
    if variable.is_monotone:
        x = np.clip(variable.inverse(z), variable.low, variable.high)
        return _broken(x, result.breaks.ends)
    x = np.linspace(*result.ranges[variable.column], 400)
    return _broken(x[np.isfinite(variable.values(x))], result.breaks.ends)


def _broken(x: np.ndarray, ends: list[float]) -> np.ndarray:
    """x with nan at each end of a curve, and more of x close to it, so that its arms are drawn."""
    if not ends:
        return x
    low, high = x.min(), x.max()
    near = np.geomspace(1e-5, 0.0025, 16) * (high - low)
    x = np.unique(np.concatenate([x, *(end + np.r_[-near, near] for end in ends)]))
    x = x[(x >= low) & (x <= high) & ~np.isin(x, ends)]
    return np.insert(x, np.searchsorted(x, ends), np.nan)


def framed(
    result: Result, y: np.ndarray, drawn: list[np.ndarray]
) -> tuple[tuple[float, float] | None, Callable[[np.ndarray], np.ndarray]]:
    """Ends of the axis of y, and what cuts values a little beyond them; of curves with poles.

    y (n,): of the rows; drawn: the curve and its bounds, (m,) each. The axis has the range of y,
    or without rows of most of the curve, and 0.3 of it more where the curve goes on. Without a
    pole and an infinite bound the ends are None, and nothing is cut.
    """
    has_pole = result.breaks.poles or result.breaks.of_x
    if not has_pole and not any(np.isinf(v).any() for v in drawn):
        return None, np.positive
    y = y if len(y) else np.nanquantile(drawn[0], [0.1, 0.9])
    is_log = _is_logarithm(result.outcome) and y.min() > 0
    there, back = (np.log, np.exp) if is_log else (np.positive, np.positive)
    least, most = there(y.min()), there(y.max())
    reach = 0.3 * (most - least) or 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        found = there(np.concatenate(drawn))
    low = max(least - reach, np.nanmin(found, initial=least))
    high = min(most + reach, np.nanmax(found, initial=most))
    room = 0.05 * (high - low)
    ends = float(back(low - room)), float(back(high + room))
    return ends, lambda v: np.clip(v, back(low - 2 * room), back(high + 2 * room))


def scaled(result: Result, figure: Any, ends: tuple[float, float] | None = None) -> Any:
    """The figure with a logarithmic axis for each column whose logarithm was fitted over decades.

    Of several variables both axes are of the target. ends: of the axis of y, as of `framed`
    """
    [axes], several = figure.axes, len(result.variables) > 1
    x = result.outcome if several else (result.inputs or [None])[0]
    for variable, scale, limits in (
        (x, axes.set_xscale, axes.dataLim.intervalx),
        (result.outcome, axes.set_yscale, axes.dataLim.intervaly),
    ):
        if _is_logarithm(variable) and 0 < limits[0] * WIDE < limits[1]:
            scale("log")
    if ends:
        axes.set_ylim(ends)
    return figure


def _is_logarithm(variable: Variable | None) -> bool:
    return variable is not None and variable.kind in ("log", "log10") and not variable.shift
