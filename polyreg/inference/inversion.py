"""x from y: the inverse of a fitted polynomial in one variable, with intervals.

This file travels with a logged model, behind predictor.py: it imports nothing but numpy and what
is in that file.

With f the polynomial, v(x) the variance of f(x), n that of one reading and m readings averaged, x0
solves f(x0) = y, and

    prediction   low and high solve f(x) -+ t sqrt(n / m + v(x)) = y  (at degree 1 Fieller's)
    mean         the same without n: where the mean is y ("regulation")
    delta        x0 -+ t SE,  SE = sqrt(n / m + v(x0)) / |f'(x0)|
"""

from dataclasses import dataclass

import numpy as np

from polyreg.polynomials.predictor import Predictions, column, slopes, terms_of, weight_of

INVERSES = ("prediction", "mean", "delta")
REACH = 1000.0  # ranges of the data on either side, as far as bounds are looked for
INSIDE, OUTSIDE = 1024, 400  # points of the grid in which roots are bracketed
SETTLED, MOST = 4e-16, 80  # change of x by a step, in units of x; steps
ROUNDING = 4e-16  # of a difference from a level, in units of that


@dataclass(frozen=True)
class Curve:
    """A polynomial in one variable, its errors, and its monotone pieces.

    pieces: (low, high, 1 where it rises or -1), also outside the range of the data, which all of
    them touch; noise_sd is the SD of a reading of weight 1
    """

    recurrence: dict
    unit: float
    weights: np.ndarray  # (K,)
    inverse: np.ndarray | None  # (K, K); None where errors are not known
    scale: float
    noise_sd: float
    weight_function: str
    low: float
    high: float
    pieces: list

    def value(self, x: np.ndarray) -> np.ndarray:
        return self.unit * (terms_of(self.recurrence, x) @ self.weights)

    def slope(self, x: np.ndarray) -> np.ndarray:
        return self.unit * (slopes(self.recurrence, x) @ self.weights)

    def variance(self, x: np.ndarray) -> np.ndarray:
        """Of f(x) (N,)."""
        return self.value_and_variance(x)[1]

    def value_and_variance(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f(x) and its variance (N,), by one design matrix."""
        q = self.unit * terms_of(self.recurrence, x)
        if self.inverse is None:
            return q @ self.weights, np.full(len(x), np.nan)
        spread = np.einsum("nk,nk->n", q @ self.inverse, q)
        return q @ self.weights, self.scale**2 * np.maximum(spread, 0)

    def noise(self, x: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Variance of a reading at x: `given`, over the weight that follows from x."""
        if not self.weight_function:
            return given
        with np.errstate(divide="ignore", invalid="ignore"):
            return given / weight_of(self.weight_function, x, self.value(x))


def inverted(
    curve: Curve, y: np.ndarray, piece: int, interval: str, quantile: float, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, low, high and SE of readings y (N,), on one of the curve's pieces.

    noise (N,): variance of each reading (of weight 1 where weights follow from x), divided by how
    many were averaged. nan where y is not reached; inf where a bound is not, within REACH ranges.
    """
    low, high, rises = curve.pieces[piece]
    grid, level = _grid(curve, low, high), rises * y
    values = rises * curve.value(grid)

    def rising(x, rows):
        return rises * curve.value(x)

    x = _first(rising, level, grid, values)
    x[level < values[0]] = np.nan
    x[np.isinf(x)] = np.nan
    if interval == "mean":
        noise = np.zeros_like(noise)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = np.sqrt(curve.noise(x, noise) + curve.variance(x)) / np.abs(curve.slope(x))
        if interval == "delta":
            return x, x - quantile * error, x + quantile * error, error
        bounds = [
            _bound(curve, level, grid, values, rises, quantile, noise, s, x, error) for s in (-1, 1)
        ]
    for bound in bounds:
        bound[np.isnan(error)] = np.nan
    return x, bounds[0], bounds[1], error


def _bound(curve, level, grid, values, rises, quantile, noise, side, x, error):
    """The upper bound (side 1) is the first x whose lower band reaches the level (N,).

    The lower bound is the same seen from the other end, of the upper band.
    """

    def band(x, rows):
        value, variance = curve.value_and_variance(x)
        sd = np.sqrt(curve.noise(x, noise[rows]) + variance)
        return side * rises * value - quantile * sd

    variance, unit = curve.variance(grid), curve.noise(grid, np.ones(len(grid)))
    order, level = slice(None, None, side), side * level
    grid, values, variance, unit = (a[order] for a in (grid, side * values, variance, unit))
    if (noise == noise[:1]).all():
        sd = np.sqrt(noise[:1] * unit + variance)
        return _first(band, level, grid, values - quantile * sd, side)
    return _outward(band, level, x, quantile * error, grid[-1])


def _first(function, level, grid, values, side=1):
    """The first x along the grid where function(x, rows) >= level (N,); inf of the side where none.

    values: the function on the grid (G,)
    """
    values = np.where(np.isnan(values), -np.inf, values)
    rows = np.arange(len(level))
    place = np.searchsorted(np.maximum.accumulate(values), level)
    known = place < len(grid)
    place = np.minimum(place, len(grid) - 1)
    before, after = values[place - 1], values[place]
    found = np.where(known, grid[place], side * np.inf)
    inside = known & (place > 0) & (after > level)
    k = rows[inside]
    found[k] = _root(
        lambda x, active: function(x, k[active]) - level[k[active]],
        grid[place[k] - 1], grid[place[k]], before[k] - level[k], after[k] - level[k],
        level[k],
    )  # fmt: skip
    return found


def _outward(function, level, start, step, end):
    """As _first, from start (N,) on, where each row has a function of its own.

    Brackets grow by half from `step`, up to the end of the piece.
    """
    side = 1 if end > start[np.isfinite(start)].max(initial=-np.inf) else -1
    found, before = np.full(len(level), side * np.inf), start.copy()
    below = function(start, np.arange(len(level))) - level
    active = np.flatnonzero(np.isfinite(start) & np.isfinite(step))
    while len(active):
        reach = before[active] + side * step[active]
        x = np.minimum(reach, end) if side > 0 else np.maximum(reach, end)
        values = function(x, active) - level[active]
        is_there = values >= 0
        k = active[is_there]
        found[k] = _root(
            lambda t, rows, k=k: function(t, k[rows]) - level[k[rows]],
            before[k], x[is_there], below[k], values[is_there], level[k],
        )  # fmt: skip
        before[active], below[active], step = x, values, step * 1.5
        active = active[~is_there & (x != end)]
    return found


def _root(function, left, right, below, above, level):
    """Roots (n,) between left, where the function is `below` 0, and right, by the Illinois method.

    function(x, active): values at x of the rows `active`, by their numbers; level (n,) is what
    was subtracted in them, whose rounding is where steps end
    """
    found, active = right.copy(), np.arange(len(left))
    left, right, below, above = (np.array(a) for a in (left, right, below, above))
    was = np.zeros(len(left))  # the side that the last step moved
    for _ in range(MOST):
        if not len(active):
            break
        a, b, fa, fb = (v[active] for v in (left, right, below, above))
        with np.errstate(invalid="ignore", divide="ignore"):
            x = b - fb * (b - a) / (fb - fa)
        lost = ~((np.minimum(a, b) <= x) & (x <= np.maximum(a, b)))  # -inf below, say
        x = np.where(lost, (a + b) / 2, x)
        f = function(x, active)
        step = np.abs(x - found[active])
        found[active] = x
        is_above = f >= 0
        moved = np.where(is_above, 1.0, -1.0)
        again = moved == was[active]
        above[active] = np.where(is_above, f, np.where(again, fb / 2, fb))
        below[active] = np.where(is_above, np.where(again, fa / 2, fa), f)
        right[active], left[active] = np.where(is_above, x, b), np.where(is_above, a, x)
        was[active] = moved
        near = np.abs(f) <= ROUNDING * np.abs(level[active])
        active = active[(step > SETTLED * np.abs(x)) & ~near]
    return found


def _grid(curve, low, high):
    """Points of a piece, near in the range of the data and far outside."""
    far = np.geomspace(1e-3, REACH, OUTSIDE) * (curve.high - curve.low)
    grid = np.concatenate(
        [curve.low - far[::-1], np.linspace(curve.low, curve.high, INSIDE), curve.high + far]
    )
    return np.concatenate([[low], grid[(grid > low) & (grid < high)], [high]])


def column_of(variable, found):
    """x, low, high and SE of a variable (N,) each as those of its column."""
    z, low, high, error = found
    x = variable.inverse(z)
    low, high = variable.inverse_bounds(low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = error / np.abs(variable.slopes(x))
    return x, *(np.where(np.isnan(x), np.nan, found) for found in (low, high, error))


def inverted_frame(predictor, frame, interval="prediction", branch=0, replicates=1):
    """x from y by a Predictor: columns x, low, high, std_error and extrapolated of a frame's rows.

    The readings are in the column of the target, their uncertainties or weights in that of their
    name. ValueError where there is no such inverse, or a column is missing or no number.
    """
    pieces = predictor.pieces
    if predictor.swapped:
        raise ValueError("the fit has x as a function of y already: ask for its prediction")
    if len(predictor.names) != 1 or not pieces:
        raise ValueError("x from y is of one variable, and not of a constant")
    if interval not in INVERSES:
        known = ", ".join(INVERSES)
        raise ValueError(f"interval must be one of {known}, of an inverse; got {interval!r}")
    if not (branch in range(1, len(pieces) + 1) or (not branch and len(pieces) == 1)):
        raise ValueError(
            f"the polynomial has {len(pieces)} monotone pieces; branch must be one, from 1; "
            f"got {branch}"
        )
    if replicates < 1:
        raise ValueError(f"replicates must be 1 or more; got {replicates}")
    [variable], outcome = predictor.variables, predictor.outcome
    if not variable.has_inverse:
        raise ValueError(f"two {variable.column} have the same {variable.name}: no x from y")
    y = column(frame, outcome.column, [outcome.column], {})
    noise = np.full(len(y), np.nan)
    if predictor.inverse is not None and predictor.weight_function:
        noise = np.full(len(y), predictor.noise_sd**2)
    elif predictor.inverse is not None and interval != "mean":
        noise = predictor.own_noise(frame)
        if predictor.is_known and not outcome.is_plain:
            noise = noise * outcome.slopes(y) ** 2
    curve = Curve(
        recurrence=predictor.recurrences[0],
        unit=predictor.unit,
        weights=predictor.weights,
        inverse=predictor.inverse,
        scale=predictor.scale,
        noise_sd=predictor.noise_sd,
        weight_function=predictor.weight_function,
        low=float(predictor.low[0]),
        high=float(predictor.high[0]),
        pieces=pieces,
    )
    y, piece = outcome.values(y), max(branch, 1) - 1
    found = inverted(curve, y, piece, interval, predictor.quantile, noise / replicates)
    named = found if variable.is_plain else column_of(variable, found)
    columns = dict(zip(("x", "low", "high", "std_error"), named, strict=True))
    columns["extrapolated"] = (found[0] < curve.low) | (found[0] > curve.high)
    return Predictions(columns, index=frame.index)
