"""Back-calculated x of a calibration: from the y of its own rows, beside the x that they had."""

from typing import Any

import numpy as np

from polyreg.inference import calibration
from polyreg.polynomials.inputs import as_numbers, rows_of


def back_calculated(result: Any, x: Any, y: Any) -> Any:
    """A row of the table a row: x, y, found (x from y) and error, (found - x) / x in percent.

    x (N,), y (N,)  ->  DataFrame, with mean_found and mean_error, those of all rows of the same x.
    error is nan where x is 0, and found where the polynomial does not come to y.

    Raises PolyregError of several variables, or where the polynomial is not monotone on its domain.
    """
    import pandas

    calibration.require_not_swapped(result)
    x = rows_of(x, result.columns, result.units)[:, 0]
    y = as_numbers(y, "y")
    found = np.asarray(result.inverse(y, "mean").x)
    table = pandas.DataFrame({"x": x, "y": y, "found": found, "error": percent(found, x)})
    table["mean_found"] = table.groupby("x")["found"].transform("mean")
    table["mean_error"] = percent(table.mean_found.to_numpy(), x)
    return table


def percent(found: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(found - x) / x in percent, nan where x is 0"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x == 0, np.nan, 100 * (found - x) / x)
