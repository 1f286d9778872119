"""Record of the back-calculated x of a calibration's own rows."""

import json
from typing import Any

import numpy as np

from polyreg.polynomials.result import Result
from polyreg.tracking import Run


def back_calculated(result: Result) -> Any:
    """The table of a fit in one variable that has one x for a y, its rows all in its sample."""
    drawn = result.origin.given
    if len(result.variables) > 1 or len(drawn.y) != result.nobs or result.swapped:
        return None
    if len(result.pieces) != 1 or (result.inputs and not result.inputs[0].has_inverse):
        return None
    return result.back_calculated(drawn.x[0], drawn.y)


def record_back_calculated(run: Run, result: Result) -> None:
    """Log the table as back_calculated.json, as pandas' `split`, which MLflow shows."""
    table = back_calculated(result)
    if table is not None:
        columns = {name: table[name].to_numpy() for name in table}
        rows = [[_finite(v) for v in row] for row in zip(*columns.values(), strict=True)]
        run.text(json.dumps({"columns": [*columns], "data": rows}), "back_calculated.json")


def back_line(result: Result) -> list[str]:
    """The level whose mean is furthest from its x, in percent; of fits weighted for calibration."""
    if not (result.weight_function or result.is_known):
        return []
    table = back_calculated(result)
    if table is None or not table.mean_error.notna().any():
        return []
    worst = table.loc[table.mean_error.abs().idxmax()]
    name = result.columns[0]
    return [
        f"back-calculated {name}: furthest from its own at {name} = {worst.x:.6g}, by "
        f"{worst.mean_error:.3g} % (back_calculated.json)"
    ]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
