"""Answers of a fit in the quantities of its table: functions of columns there and back.

    h(y) = p(z),   z = f(x)     ->     y = h^-1(p(f(x)))

The inverse of a monotone h takes the median of h(y), and its quantiles, to those of y; it does not
take the mean to the mean. Standard uncertainties follow to first order: u(h(y)) = |h'(y)| u(y).
"""

from typing import Any

import numpy as np
import torch

from polyreg.errors import PolyregError
from polyreg.inference.noise import as_positive, noise_variance
from polyreg.polynomials.inputs import rows_of
from polyreg.polynomials.predictor import slopes
from polyreg.polynomials.variables.variable import require_values, values_of


def columns_at(result: Any, x: Any) -> dict[str, np.ndarray]:
    """The columns of x, as `Result.predict` takes it, by name, (N,) each; PolyregError names one
    with a number that its function does not take.
    """
    rows = rows_of(x, result.columns, result.units, result.levels)
    found = dict(zip(result.columns, rows.T, strict=True))
    try:
        require_values(result.inputs, found)
    except ValueError as error:
        raise PolyregError(str(error)) from error
    return found


def variables_at(result: Any, x: Any) -> np.ndarray:
    """The variables of the polynomial at x  ->  (N, D); raises as `columns_at` does."""
    if not result.inputs:
        return rows_of(x, result.variables, result.units)
    return values_of(result.inputs, columns_at(result, x))


def matrix(result: Any, z: np.ndarray) -> np.ndarray:
    """Design matrix (N, K) at variables z (N, D)."""
    return result.design.matrix(torch.from_numpy(z)).numpy()


def predicted(
    result: Any, x: Any, interval: str | None, level: Any, weights: Any, band: str, sigma: Any,
    sigma_x: Any,
) -> list[np.ndarray]:  # fmt: skip
    """Prediction, and with an interval low and high, (N,) each; as Result.predict has them."""
    q = matrix(result, variables_at(result, x))
    with np.errstate(over="ignore", invalid="ignore"):  # far outside the domain
        found = q @ result.solution.weights
        if not interval:
            return [measured(result, found)]
        variance = result.error_scale**2 * ((q @ result.half) ** 2).sum(1)
        if interval == "prediction":
            noise = noise_variance(result, x, found, weights, sigma)
            if sigma is not None or result.is_known:
                noise = noise * slopes_of_target(result, measured(result, found)) ** 2
            variance += noise
        if sigma_x is not None:
            own = as_positive(sigma_x, "sigma_x", len(q), zero=True)
            variance += (slope(result, x) * own) ** 2
        if result.ridge or not result.has_full_rank:
            variance = np.full_like(variance, np.nan)
        half = result.quantile(level, band) * np.sqrt(variance)
        low, high = found - half, found + half
    if result.outcome is None:
        return [found, low, high]
    return [measured(result, found), *result.outcome.inverse_bounds(low, high)]


def measured(result: Any, values: np.ndarray) -> np.ndarray:
    """The target's column, of values of the polynomial (N,)."""
    return values if result.outcome is None else result.outcome.inverse(values)


def slopes_of_target(result: Any, y: np.ndarray) -> np.ndarray | float:
    """Slopes (N,) of the target's function at y of its column."""
    return 1.0 if result.outcome is None else result.outcome.slopes(y)


def target_at(result: Any, y: np.ndarray) -> np.ndarray:
    """What was fitted, of y of the target's column (N,); PolyregError with one it does not take."""
    if result.outcome is None:
        return y
    try:
        require_values([result.outcome], {result.outcome.column: y})
    except ValueError as error:
        raise PolyregError(str(error)) from error
    return result.outcome.values(y)


def slope(result: Any, x: Any) -> np.ndarray:
    """dp/dx (N,), of one variable, by its column."""
    result.require_one("the derivative")
    z = variables_at(result, x)[:, 0]
    [recurrence] = result.design.recurrences
    found = result.design.unit * (slopes(vars(recurrence), z) @ result.solution.weights)
    if result.inputs:
        [variable] = result.inputs
        found = found * variable.slopes(columns_at(result, x)[variable.column])
    return found


def derivative(result: Any, x: Any) -> np.ndarray:
    """dy/dx (N,), of one variable, both by their columns."""
    found = slope(result, x)
    if result.outcome is not None:
        [y] = predicted(result, x, None, None, None, "pointwise", None, None)
        found = found / result.outcome.slopes(y)
    return found
