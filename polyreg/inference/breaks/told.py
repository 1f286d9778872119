"""How y goes with x, in words: monotone, where it turns, where it has a pole or no value."""

from itertools import pairwise
from typing import Any

import numpy as np

from polyreg.inference.breaks.breaks import exact_powers
from polyreg.inference.calibration import direction
from polyreg.inference.monotone import rises


def described(result: Any) -> str:
    """Whether a polynomial is monotone on its domain, or where it turns or breaks off, in words."""
    if not result.pieces:
        return "constant"
    found, target = result.breaks, result.target
    [(name, (low, high))] = result.ranges.items()
    told = []
    if found.of_x:
        function, [x] = result.inputs[0].written, found.of_x
        of_y = f"{target} " * bool(result.outcome)
        told.append(f"{of_y}as a function of {function} {described(result.as_fitted)}")
        told.append(f"{function} has a pole at {name} = {x:.6g}")
    if found.lost == ((low, high),):
        return f"no prediction on [{low:.6g}, {high:.6g}]: the fit has {target} below 0 there"
    if found.lost:
        where = " or ".join(_span(pair, (low, high)) for pair in found.lost)
        told.append(f"the fit has {target} below 0 where {name} is {where}: no prediction there")
    if not found.of_x:
        told = [*_ways(result), *told]
    if found.poles:
        at = ", ".join(f"{x:.6g}" for x in found.poles)
        poles = "a pole" if len(found.poles) == 1 else "poles"
        sentence = f"{target} is 0 at {name} = {at}: {result.target_column} has {poles} there"
        told.append(sentence)
    return "; ".join(told)


def _ways(result: Any) -> list[str]:
    """Of a variable without a pole: monotone, where the one range of x with a y is, or not."""
    [(low, high)] = result.ranges.values()
    name, found, turns = result.columns[0], result.breaks, result.turning_points
    ends = [low, *(x for pair in found.lost for x in pair), high]
    parts = [(a, b) for a, b in pairwise(ends) if a < b and (a, b) not in found.lost]
    several = len(parts) > 1
    a, b = (low, high) if several else parts[0]
    on = f"on [{a:.6g}, {b:.6g}]"
    if len(turns):
        return [f"not monotone {on}: turns at {name} = {', '.join(f'{x:.6g}' for x in turns)}"]
    if several or found.poles:
        return [f"not monotone {on}"]
    return [f"monotone ({'rising' if _rises(result, a, b) else 'falling'}) {on}"]


def _rises(result: Any, a: float, b: float) -> bool:
    """Whether y rises from a to b of its column, between which it does not turn."""
    x = np.array([a, b])
    low, high = result.inputs[0].values(x) if result.inputs else x
    return rises(exact_powers(result), low, high) * direction([result.outcome]) > 0


def _span(pair: tuple[float, float], ends: tuple[float, float]) -> str:
    """Where x is: below, above or between two values."""
    if pair[0] == ends[0]:
        return f"below {pair[1]:.6g}"
    if pair[1] == ends[1]:
        return f"above {pair[0]:.6g}"
    return f"from {pair[0]:.6g} to {pair[1]:.6g}"
