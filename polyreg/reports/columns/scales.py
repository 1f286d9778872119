"""Sample, grid and scales of figures whose axes are columns, where functions of them are fitted."""

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

    So a curve of log(x) is as smooth near 0 as elsewhere.
    """
    z = np.linspace(result.low[0], result.high[0], 400)
    if not result.inputs:
        return z
    [variable] = result.inputs
    if variable.is_monotone:
        return np.clip(variable.inverse(z), variable.low, variable.high)
    x = np.linspace(*result.ranges[variable.column], 400)
    return x[np.isfinite(variable.values(x))]


def scaled(result: Result, figure: Any) -> Any:
    """The figure with a logarithmic axis for each column whose logarithm was fitted over decades.

    Of several variables both axes are of the target.
    """
    [axes], several = figure.axes, len(result.variables) > 1
    x = result.outcome if several else (result.inputs or [None])[0]
    for variable, scale, limits in (
        (x, axes.set_xscale, axes.dataLim.intervalx),
        (result.outcome, axes.set_yscale, axes.dataLim.intervaly),
    ):
        if _is_logarithm(variable) and 0 < limits[0] * WIDE < limits[1]:
            scale("log")
    return figure


def _is_logarithm(variable: Variable | None) -> bool:
    return variable is not None and variable.kind in ("log", "log10") and not variable.shift
