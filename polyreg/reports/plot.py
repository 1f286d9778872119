"""Figure of a Result: the one that its run logs."""

from typing import Any

import numpy as np

from polyreg.config import TrainConfig
from polyreg.errors import PolyregError
from polyreg.polynomials.result import Result
from polyreg.reports import figures, fit, training
from polyreg.reports.columns import curve_grid, framed, scaled
from polyreg.sgd.optimum import TrainingTable


def plot(result: Result) -> Any:
    """The fit over its data, of a training the truth beside it; without data the curve alone."""
    if isinstance(result.origin, TrainConfig | TrainingTable):
        return training.fit_figure(result, result.origin)
    if result.origin is not None:
        return fit.fit_figure(result)
    if len(result.variables) != 1:
        raise PolyregError(
            "a result that was loaded has no data to draw, and of several variables no curve; "
            "fit the data again, or open its run's plots/fit.png"
        )
    grid = curve_grid(result)
    curve, *confidence = result.predict(grid, "confidence")
    new = fit.prediction_band(result, grid)
    ends, cut = framed(result, np.empty(0), [curve, *confidence, *(new or ())])
    low, high = map(cut, confidence)
    names = (result.columns[0], result.target_column)
    figure = figures.band(
        (np.empty(0), np.empty(0)),
        grid,
        cut(curve),
        (low, high),
        new and (cut(new[0]), cut(new[1])),
        level=result.level,
        names=names,
        title=f"{result.target} ~ {result.variables[0]} · degree {result.design.degree}",
        label="",
    )
    return scaled(result, figure, ends)
