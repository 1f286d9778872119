"""Influence of single rows: leverage, studentized residuals, Cook's distance (Belsley et al. 1980).

With e = sqrt(w) (y - p(x)), h = w q^T C q, C = (sum w q q^T)^-1, s^2 = S / df, p terms:

    standardized  e / (s sqrt(1 - h))                      (internally studentized)
    studentized   e / (s_i sqrt(1 - h)), s_i^2 = (S - e^2 / (1 - h)) / (df - 1)
    p_bonferroni  min(1, n P(|t| > |studentized|)), t with df - 1 degrees of freedom
    cooks_distance  standardized^2 h / (p (1 - h));  dffits  studentized sqrt(h / (1 - h))

Where uncertainties are known s = s_i = 1, and the quantiles are normal. Of a robust fit of scale s
both residuals are u = e / s, with normal quantiles, and a row has the weight psi(u) / u beside w:

    huber     min(1, 1.345 / |u|)            (Huber 1964); of l1, at l1's residuals, the same
    bisquare  (1 - (u / 4.685)^2)^2, 0 from there on  (Beaton and Tukey 1974)

Cook's distance and dffits, which tell how a row moves least squares, are nan then.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import ndtr, stdtr

from polyreg.device import one
from polyreg.errors import PolyregError
from polyreg.inference.noise import as_positive
from polyreg.polynomials.inputs import as_numbers, by_name, is_frame, labels
from polyreg.polynomials.predictor import weight_of

AT_ONCE = 2**14  # rows, whose design matrix stays in a core's cache
OWN = 1e-11  # 1 - h below which a row decides the fit at its x alone: nothing is left to judge it
HUBER, BISQUARE = 1.345, 4.685
ROUNDED = 2.0**-46  # of the largest weights of the basis: what rounding leaves of a residual


def factor(loss: str, u: np.ndarray) -> np.ndarray:
    """psi(u) / u, from 0 to 1; of l1 that of huber."""
    if loss == "bisquare":
        return (1 - np.minimum(np.abs(u) / BISQUARE, 1) ** 2) ** 2
    return HUBER / np.maximum(np.abs(u), HUBER)


def row_factors(loss: str, e: np.ndarray, scale: float, weights: np.ndarray) -> np.ndarray:
    """The same of residuals; without a scale, 1 of rows on the polynomial, and 0 of others."""
    if scale > 0:
        return factor(loss, e / scale)
    return (np.abs(e) <= rounding(weights)).astype(float)


def rounding(weights: np.ndarray) -> float:
    """What float64 may leave of a residual that is 0; terms are at most 1/2."""
    return ROUNDED * float(np.abs(weights).sum())


@dataclass(frozen=True)
class Measures:
    """Formulas above for rows of one fit."""

    half: np.ndarray  # (K, rank): half half^T = C
    rss: float
    df: int
    terms: int
    nobs: int
    is_known: bool
    loss: str
    noise_sd: float
    weights: np.ndarray  # of the basis

    @classmethod
    def of(cls, result: Any) -> "Measures":
        half = result.half
        exact = result.solution.exact_fit
        rss = 0.0 if exact else result.ssr
        return cls(
            half,
            rss,
            result.df_resid,
            result.rank,
            result.nobs,
            result.is_known,
            result.loss,
            result.noise_sd,
            result.weights,
        )

    def leverage(self, q: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """q (n, K)  ->  (n,)"""
        moved = times(q, self.half)
        found = np.einsum("nk,nk->n", moved, moved)
        return found if weights is None else found * weights

    def __call__(self, e: np.ndarray, h: np.ndarray) -> dict[str, np.ndarray]:
        """Weighted residuals and leverages (n,)  ->  columns; nan where they are not known."""
        if self.loss != "squares":
            u, unknown = e / (self.noise_sd or math.nan), np.full_like(e, np.nan)
            return {
                "standardized": u,
                "studentized": u,
                "cooks_distance": unknown,
                "dffits": unknown,
                "robust_weight": row_factors(self.loss, e, self.noise_sd, self.weights),
            }
        left = np.where(1 - h > OWN, 1 - h, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.is_known:
                standardized = studentized = e / np.sqrt(left)
            elif self.rss > 0 and self.df > 0:
                standardized = e / np.sqrt(self.rss / self.df * left)
                others = np.maximum(self.rss - e**2 / left, 0.0) / max(self.df - 1, math.nan)
                others = others if self.df > 1 else np.full_like(e, np.nan)
                studentized = e / np.sqrt(others * left)
            else:  # exact: residuals are rounding
                standardized = studentized = np.full_like(e, np.nan)
            return {
                "standardized": standardized,
                "studentized": studentized,
                "cooks_distance": standardized**2 * h / (self.terms * left),
                "dffits": studentized * np.sqrt(h / left),
            }

    def bonferroni(self, studentized: np.ndarray) -> np.ndarray:
        size = -np.abs(studentized)
        is_normal = self.is_known or self.loss != "squares"
        tail = ndtr(size) if is_normal else stdtr(max(self.df - 1, 1), size)
        return np.minimum(1.0, 2 * self.nobs * tail)


def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b by torch, whose threads `device.one` keeps: numpy's cost more than such products."""
    return (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()


def diagnostics(
    result: Any, x: Any, y: Any, weights: Any = None, sigma: Any = None
) -> pd.DataFrame:
    """Influence of the rows of a fit on it, a row a row; see Result.diagnostics."""
    from polyreg.polynomials.variables import answers  # which is above, and comes when asked for

    require(result)
    rows = answers.variables_at(result, x)
    y = as_numbers(y, "y").ravel()
    if len(y) != len(rows):
        raise PolyregError(f"x has {len(rows)} rows and y {len(y)}; give the rows of the fit")
    slopes = answers.slopes_of_target(result, y)
    y = answers.target_at(result, y)
    measures, h = Measures.of(result), np.empty(len(rows))
    with one():
        fitted = np.asarray(result.as_fitted.predict(rows))
        for start in range(0, len(rows), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            h[part] = measures.leverage(answers.matrix(result, rows[part]), None)
    w = weights_of(result, x, rows, fitted, weights, sigma)
    if result.is_known and w is not None:
        w = w / slopes**2
    residual = y - fitted
    e, h = (residual, h) if w is None else (residual * np.sqrt(w), h * w)
    found = measures(e, h)
    columns = {"fitted": fitted, "residual": residual, "leverage": h} | found
    columns["p_bonferroni"] = measures.bonferroni(found["studentized"])
    order = ["fitted", "residual", "leverage", "standardized", "studentized", "p_bonferroni"]
    return pd.DataFrame({name: columns[name] for name in [*order, *columns]})


def require(result: Any) -> None:
    """Raise PolyregError where rows have no influence that is known."""
    why = why_not(result)
    if why:
        raise PolyregError(f"rows cannot be judged: {why}")


def why_not(result: Any) -> str:
    """Why leverages are not known; "" where they are."""
    if math.isnan(result.solution.rss):
        return "a training keeps no residuals; fit the rows instead"
    if result.ridge:
        return "the fit has a ridge; fit without it"
    if not result.has_full_rank:
        return "terms depend on each other; lower the degree"
    if np.isnan(result.solution.inverse).any():
        return "the document has too many terms to hold their covariance; fit the rows again"
    return ""


def weights_of(
    result: Any, x: Any, rows: np.ndarray, fitted: np.ndarray, weights: Any, sigma: Any
) -> np.ndarray | None:
    """Weights of the rows as the fit had them; None where they are equal."""
    name, count = result.weighted_by, len(rows)
    if result.weight_function:
        return weight_of(result.weight_function, rows[:, 0], fitted)
    if name is None:
        return None
    given = sigma if result.is_known else weights
    if given is None and is_frame(x) and name in map(str, labels(x)):
        given = by_name(x, [name], {})[:, 0]
    if given is None:
        what = "sigma" if result.is_known else "weights"
        raise PolyregError(f"the fit was weighted by {name}; give {what}= of these rows")
    found = as_positive(given, name, count)
    return found**-2.0 if result.is_known else found
