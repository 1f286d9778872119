"""A fit used backwards: x from y, the monotone pieces, and what a calibration can detect."""

import warnings
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

from polyreg.errors import PolyregError
from polyreg.inference.inversion import INVERSES, REACH, Curve, column_of, inverted
from polyreg.inference.monotone import rises, turning_points
from polyreg.inference.noise import as_positive
from polyreg.polynomials.inputs import as_numbers
from polyreg.polynomials.predictor import unknown_noise


@dataclass(frozen=True, eq=False)
class Inverse:
    """x from y, with bounds and standard error, each (N,) or a number.

    nan: the polynomial does not come to that y, or errors are not known; a bound that does not
    exist, the band not reaching y, is infinite. `extrapolated`: x is outside the fit's domain.
    """

    x: Any
    low: Any
    high: Any
    std_error: Any
    extrapolated: Any

    @property
    def unbounded(self) -> int:
        """How many intervals have a bound that does not exist."""
        return int((np.isinf(self.low) | np.isinf(self.high)).sum())


@dataclass(frozen=True)
class Piece:
    """Where a polynomial rises, or falls: from low to high, to REACH ranges outside the domain."""

    low: float
    high: float
    rises: int  # 1, or -1 where it falls


def pieces(result: Any) -> list[Piece]:
    """Monotone pieces that meet the domain, in order; none of a constant.

    Proved for the polynomial of `weights`, exactly. Raises PolyregError of several variables.
    """
    result.require_one("a monotone piece")
    low, high = float(result.low[0]), float(result.high[0])
    exact = result.design.powers.coefficients([Fraction(w) for w in result.weights.tolist()])
    if not any(exact[1:]) or not high > low:
        return []
    reach = REACH * (high - low)
    ends = [low - reach, *turning_points(exact, low - reach, high + reach), high + reach]
    pairs = pairwise(ends)
    return [Piece(a, b, rises(exact, a, b)) for a, b in pairs if a < high and b > low]


def rises_in_columns(result: Any, piece: Piece) -> bool:
    """Whether y rises with x on a piece, both by their columns."""
    return piece.rises * direction(result.inputs[:1]) * direction([result.outcome]) > 0


def direction(variables: Any) -> int:
    """-1 of a falling function, else 1."""
    return -1 if any(v and v.is_falling for v in variables) else 1


def require_not_swapped(result: Any) -> None:
    """Raise PolyregError where x is fitted as a function of y already."""
    if result.swapped:
        raise PolyregError(
            f"the fit has {result.target} as a function of {result.variables[0]} (--swap), so that "
            "its predictions are x from y; this needs a fit of y"
        )


def curve(result: Any) -> Curve:
    """What the inversion needs of a result."""
    [recurrence] = result.design.recurrences
    known = result.has_errors
    return Curve(
        recurrence=vars(recurrence),
        unit=result.design.unit,
        weights=result.weights,
        inverse=result.solution.inverse if known else None,
        scale=result.error_scale,
        noise_sd=result.noise_sd,
        weight_function=result.weight_function,
        low=float(result.low[0]),
        high=float(result.high[0]),
        pieces=[(p.low, p.high, p.rises) for p in result.pieces],
    )


def chosen(result: Any, branch: int | None) -> int:
    """The place of the piece on which x is looked for; PolyregError where that is not clear."""
    found = result.pieces
    if not found:
        raise PolyregError(
            "a constant has no inverse: every x has the same y; fit a degree of 1 or more"
        )
    named = [f"{k} ({_described(result, p)})" for k, p in enumerate(found, 1)]
    if branch is None and len(found) > 1:
        raise PolyregError(
            f"the polynomial is not monotone on its domain, so that one y has several x; "
            f"choose its branch: {', '.join(named)}"
        )
    if branch is not None and branch not in range(1, len(found) + 1):
        raise PolyregError(f"branch must be one of {', '.join(named)}; got {branch}")
    return (branch or 1) - 1


def _described(result: Any, piece: Piece) -> str:
    """How y goes on a piece, in the domain, by the columns."""
    ends = np.array([max(piece.low, result.low[0]), min(piece.high, result.high[0])])
    ends = np.sort(result.inputs[0].inverse(ends)) if result.inputs else ends
    way = "rising" if rises_in_columns(result, piece) else "falling"
    return f"{way} from {ends[0]:.6g} to {ends[1]:.6g}"


def inverse(
    result: Any,
    y: Any,
    interval: str = "prediction",
    level: float | None = None,
    replicates: Any = 1,
    sigma: Any = None,
    branch: int | None = None,
    weights: Any = None,
) -> Inverse:
    """As Result.inverse, which documents it."""
    result.require_one("x from y")
    if result.inputs and not result.inputs[0].has_inverse:
        [variable] = result.inputs
        raise PolyregError(
            f"x from y is not clear: two {variable.column} have the same {variable.name}; fit a "
            "function that has one"
        )
    if interval not in INVERSES:
        raise PolyregError(f"interval must be one of {', '.join(INVERSES)}; got {interval!r}")
    values = as_numbers(y, "y")
    if values.ndim > 1:
        raise PolyregError(f"y must be (N,) or a number; got the shape {values.shape}")
    y, readings = np.atleast_1d(values), np.atleast_1d(values)
    if result.swapped:
        answers = swapped_inverse(
            result, readings, interval, level, replicates, sigma, branch, weights
        )
        return Inverse(*([a[0].item() for a in answers] if values.ndim == 0 else answers))
    piece, quantile = chosen(result, branch), result.quantile(level)
    noise = reading_noise(result, len(readings), interval, replicates, sigma, weights)
    if result.outcome is not None:
        readings = result.outcome.values(y)
        if sigma is not None or result.is_known:
            noise = noise * result.outcome.slopes(y) ** 2
    found = inverted(curve(result), readings, piece, interval, quantile, noise)
    outside = (found[0] < result.low[0]) | (found[0] > result.high[0])
    answers = [*column_of(result.inputs[0], found), outside] if result.inputs else [*found, outside]
    if values.ndim == 0:
        answers = [a[0].item() for a in answers]
    return Inverse(*answers)


def swapped_inverse(
    result: Any,
    y: np.ndarray,
    interval: str,
    level: float | None,
    replicates: Any,
    sigma: Any,
    branch: int | None,
    weights: Any,
) -> list[np.ndarray]:
    """Of a fit of x as a function of y: that function at y (N,), as ISO 6143 has it.

    The variance is q^T C q + f'(y)^2 sigma^2 / m, q^T C q alone of interval "mean".
    """
    if branch not in (None, 1):
        raise PolyregError(f"branch must be 1: x is a function of y here; got {branch}")
    if weights is not None:
        raise PolyregError("the uncertainties of this fit are known: give sigma, not weights")
    m = as_positive(replicates, "replicates", len(y))
    own = np.zeros(len(y))
    if interval != "mean":
        if sigma is None:
            told = unknown_noise("", result.is_known).replace("confidence", "mean")
            warnings.warn(told, UserWarning, stacklevel=4)
            own[:] = np.nan
        else:
            own = as_positive(sigma, "sigma", len(y), zero=True) / np.sqrt(m)
    known = np.isfinite(own)
    x, low, high = result.predict(y, "confidence", level, sigma_x=np.where(known, own, 0.0))
    error = np.where(known, (high - low) / 2 / result.quantile(level), np.nan)
    low, high = np.where(known, low, np.nan), np.where(known, high, np.nan)
    return [x, low, high, error, result.extrapolated(y)]


def reading_noise(
    result: Any, count: int, interval: str, replicates: Any, sigma: Any, weights: Any
) -> np.ndarray:
    """Variance of readings averaged over their replicates (N,), of weight 1 where x gives it.

    nan where it is not known, with a warning.
    """
    m = as_positive(replicates, "replicates", count)
    if sigma is not None and weights is not None:
        raise PolyregError("sigma and weights both tell the uncertainty of a reading; give one")
    if interval == "mean":
        return np.zeros(count)
    if sigma is not None:
        if result.weight_function:
            raise PolyregError(
                "the fit's weights follow from its rows, and so do those of a reading; leave out "
                "sigma"
            )
        return as_positive(sigma, "sigma", count, zero=True) ** 2 / m
    if weights is not None and not result.weight_function:
        return result.noise_sd**2 / as_positive(weights, "weights", count) / m
    if result.weighted_by is not None and result.has_errors:
        warnings.warn(
            unknown_noise(result.weighted_by, result.is_known).replace("confidence", "mean"),
            UserWarning,
            stacklevel=4,
        )
        return np.full(count, np.nan)
    return result.noise_sd**2 / m
