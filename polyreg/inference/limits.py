"""Decision, detection and quantification limits of a calibration (DIN 32645:2008).

With f the polynomial, monotone, x = 0 the blank, se(x) = sqrt(n / m + v(x)) the standard error of
the mean of m readings at x, and t one-sided:

    decision        y_c = f(0) + t_{1 - alpha} se(0),  x_c = f^-1(y_c)
    detection       f^-1(y_c + t_{1 - beta} se(0));  by both bands: the x whose lower band,
                    f(x) - t_{1 - beta} se(x), is y_c (Hubaux and Vos 1970)
    quantification  x = k t_{1 - alpha / 2} se(x) / |f'(x)|: the half width is x / k
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from polyreg.errors import PolyregError
from polyreg.inference import calibration
from polyreg.inference.noise import as_positive
from polyreg.polynomials.predictor import weight_of

HALVINGS = 200


@dataclass(frozen=True)
class Limits:
    """Limits in units of x, and the y that belong to them; nan where there is none in reach."""

    decision: float
    detection: float
    detection_by_bands: float
    quantification: float
    y_decision: float  # a reading beyond it is of more than the blank
    y_detection: float
    alpha: float
    beta: float
    k: float
    replicates: int
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, float, str]]:
        """Name, value and meaning of each."""
        a, b = f"{100 * self.alpha:g} %", f"{100 * self.beta:g} %"
        return [
            ("decision", self.decision, f"more than the blank; wrong for {a} of blanks"),
            ("detection", self.detection, f"least that is missed by at most {b} (DIN 32645)"),
            ("detection, by bands", self.detection_by_bands, "the same by both bands"),
            ("quantification", self.quantification, f"half width of its interval is x/{self.k:g}"),
        ]


def limits(
    result: Any, alpha: float, beta: float, k: float, replicates: int, sigma: Any, weights: Any
) -> Limits:
    """As Result.limits, which documents it."""
    result.require_one("a limit of detection")
    calibration.require_not_swapped(result)
    if result.is_transformed:
        raise PolyregError(
            "limits are of a fit of the columns as they are, and this one is of "
            f"{result.target} and {result.variables[0]}; fit without functions"
        )
    for name, tail in (("alpha", alpha), ("beta", beta)):
        if not 0 < tail < 0.5:
            raise PolyregError(f"{name} must be between 0 and 0.5; got {tail}")
    if not 1 < k < math.inf:
        raise PolyregError(f"k must be above 1; got {k}")
    m = float(as_positive(replicates, "replicates", 1)[0])
    if not result.has_errors:
        raise PolyregError("limits need the standard errors of a fit, and this one has none")
    piece = result.pieces[calibration.chosen(result, None)]
    if not piece.low < 0 < piece.high:
        raise PolyregError(
            f"the blank, x = 0, is not on the monotone piece from {piece.low:.6g} to "
            f"{piece.high:.6g}; limits need a calibration that goes down to it"
        )
    notes: list[str] = []
    error = _error(result, m, sigma, weights, notes)
    if result.low[0] > 0:
        notes.append(
            f"x = 0 is below the calibration, which begins at {result.low[0]:.6g}: the limits rest "
            "on an extrapolation"
        )

    def value(x: float) -> float:
        return piece.rises * float(result.predict(np.array([x]))[0])

    def one_sided(tail: float) -> float:
        return result.quantile(1 - 2 * tail)

    blank, t_beta = error(0.0), one_sided(beta)
    y_c = value(0.0) + one_sided(alpha) * blank
    y_d = y_c + t_beta * blank
    two_sided = result.quantile(1 - alpha)

    def relative(x: float) -> float:
        slope = abs(float(result.derivative(np.array([x]))[0]))
        return x * slope - k * two_sided * error(x)

    end = piece.high
    return Limits(
        decision=_first(lambda x: value(x) - y_c, end, result),
        detection=_first(lambda x: value(x) - y_d, end, result),
        detection_by_bands=_first(lambda x: value(x) - t_beta * error(x) - y_c, end, result),
        quantification=_first(relative, end, result),
        y_decision=piece.rises * y_c,
        y_detection=piece.rises * y_d,
        alpha=alpha,
        beta=beta,
        k=k,
        replicates=int(m),
        notes=tuple(notes),
    )


def _error(result: Any, m: float, sigma: Any, weights: Any, notes: list[str]) -> Any:
    """se(x), the standard error of the mean of m readings at x, a function."""
    if result.weight_function and sigma is None and weights is None:
        low = float(result.low[0])
        notes.append(
            f"weights {result.weight_function} below x = {low:.6g}, the least of the calibration, "
            "are taken as there: at x = 0 they may have no value"
        )

        def noise(x: float) -> float:
            at = np.array([max(x, low)])
            weight = weight_of(result.weight_function, at, result.predict(at))
            return result.noise_sd**2 / float(weight[0])

    else:
        if result.weighted_by is not None and sigma is None and weights is None:
            what = "sigma" if result.is_known else "weights"
            raise PolyregError(
                f"limits need the uncertainty of a reading near the blank: give {what}"
            )
        if sigma is not None:
            own = float(as_positive(sigma, "sigma", 1)[0]) ** 2
        else:
            weight = 1.0 if weights is None else float(as_positive(weights, "weights", 1)[0])
            own = result.noise_sd**2 / weight

        def noise(x: float) -> float:
            return own

    curve = calibration.curve(result)
    return lambda x: math.sqrt(noise(x) / m + float(curve.variance(np.array([x]))[0]))


def _first(function: Any, end: float, result: Any) -> float:
    """The least x > 0 where a function that begins below 0 is 0; nan where there is none."""
    width = float(result.high[0] - result.low[0])
    inside = np.linspace(0, max(float(result.high[0]), 0) + width, 400)[1:]
    grid = [x for x in (*inside, *np.geomspace(inside[-1], max(end, inside[-1]), 200)) if x <= end]
    left = right = 0.0
    for right in grid:
        if function(right) >= 0:
            break
        left = right
    else:
        return math.nan
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        if middle in (left, right):
            break
        left, right = (left, middle) if function(middle) >= 0 else (middle, right)
    return float(right)
