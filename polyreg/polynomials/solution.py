"""Solution of a least-squares problem: what inference about its coefficients needs."""

import math
from dataclasses import dataclass

import numpy as np

EXACT_FIT = 1e-26  # part of y^2 that is left where y's own rounding is all that is left


@dataclass(frozen=True, eq=False)
class Solution:
    """What least squares leaves to inference; K terms of `design`, weights w of the rows.

    `inverse` is (sum w q q^T)^-1 of the basis functions; `spread` (K,) the root of its diagonal
    after the change to powers of x; `errors` (K,) bounds what arithmetic did to the coefficients.
    `dependent` names terms that are combinations of others on these rows, in words. With exact
    conditions on the polynomial, `absent` are the places of powers that are no terms of it, `held`
    those of coefficients that the conditions alone determine; both have no error. Of a training,
    all but weights, coefficients, rank and condition is nan.
    """

    weights: np.ndarray  # (K,) of the basis functions
    coefficients: np.ndarray  # (K,) of the powers of x
    inverse: np.ndarray  # (K, K)
    spread: np.ndarray
    errors: np.ndarray
    rss: float
    tss: float
    rank: int
    condition: float
    exact_fit: bool = False  # what is left of y is its own rounding
    dependent: tuple[str, ...] = ()
    scale: float | None = None  # from `inverse` to standard errors; None: the residual SD
    noise: float | None = None  # SD of a y of weight 1; None: the residual SD
    parameters: int | None = None  # that are free; None: all K are
    absent: tuple[int, ...] = ()
    held: tuple[int, ...] = ()
    # rss and df_resid of a fit of more rows than these, which it is part of; None: of these rows
    common: tuple[float, int] | None = None


def information(count: int, rank: int, rss: float, log_weights: float) -> tuple[float, float]:
    """AIC and BIC; nan for an exact fit, whose likelihood is infinite, and without residuals."""
    if not rss > 0:
        return math.nan, math.nan
    log_likelihood = (log_weights - count * (math.log(2 * math.pi * rss / count) + 1)) / 2
    return 2 * (rank - log_likelihood), rank * math.log(count) - 2 * log_likelihood


def condition_of(inverse: np.ndarray) -> float:
    """Of the design matrix at unit columns, from the inverse (K, K) of its Gram matrix.

    nan where the inverse, which has the condition's square, does not tell it.
    """
    try:
        gram = np.linalg.inv(inverse)
    except np.linalg.LinAlgError:
        return math.nan
    squares = np.diag(gram)
    if not (squares > 0).all():
        return math.nan
    values = np.linalg.eigvalsh(gram / np.sqrt(squares)[:, None] / np.sqrt(squares))
    return float(np.sqrt(values[-1] / values[0])) if values[0] > 0 else math.nan
