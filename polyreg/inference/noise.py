"""Variance of a new y: by its weight, its own uncertainty, or the weight function of the fit."""

import warnings
from typing import Any

import numpy as np

from polyreg.errors import PolyregError
from polyreg.polynomials.inputs import as_numbers, by_name, is_frame, labels, rows_of
from polyreg.polynomials.predictor import unknown_noise, weight_of


def noise_variance(result: Any, x: Any, fitted: np.ndarray, weights: Any, sigma: Any) -> np.ndarray:
    """Variance of a new y at each row of x  ->  (N,), nan where it is not known, with a warning.

    By what is given: sigma, its own uncertainty, or weights; else by the fit's weight function, or
    the column `weighted_by` of a frame x. Raises PolyregError where one is not above 0.
    """
    count, name = len(fitted), result.weighted_by
    if sigma is not None and weights is not None:
        raise PolyregError("sigma and weights both tell the uncertainty of a new y; give one")
    if sigma is not None:
        return as_positive(sigma, "sigma", count, zero=True) ** 2
    if weights is None and name and is_frame(x) and name in map(str, labels(x)):
        found = by_name(x, [name], {})[:, 0]
        if result.is_known:
            return as_positive(found, f"column {name}", count) ** 2
        weights = found
    if weights is not None:
        return result.noise_sd**2 / as_positive(weights, "weights", count)
    if result.weight_function:
        rows = rows_of(x, result.variables, result.units)[:, 0]
        weights = weight_of(result.weight_function, rows, fitted)
        return result.noise_sd**2 / weights
    if name is None:
        return np.full(count, result.noise_sd**2)
    if result.has_errors:
        warnings.warn(unknown_noise(name, result.is_known), UserWarning, stacklevel=4)
    return np.full(count, np.nan)


def as_positive(given: Any, what: str, count: int, zero: bool = False) -> np.ndarray:
    """Numbers above 0, or with `zero` from 0 up, of `count` rows; one is that of all rows.

    Raises PolyregError with the least where one is not.
    """
    found = as_numbers(given, what)
    if found.ndim > 1 or (found.ndim == 1 and len(found) != count):
        raise PolyregError(f"{what} must be ({count},) or a number; got the shape {found.shape}")
    if not (np.isfinite(found) & ((found >= 0) if zero else (found > 0))).all():
        least = "0 or more" if zero else "above 0"
        raise PolyregError(f"{what} must be finite and {least}; got {np.min(found):g}")
    return np.broadcast_to(found, (count,))
