"""The answer of a fit: coefficients with what is known of their errors.

Conventions are those of statsmodels: s^2 = rss / (N - rank), Student's t with N - rank degrees of
freedom, AIC = 2 rank - 2 log L and BIC = rank log N - 2 log L of the Gaussian likelihood.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import stdtr, stdtrit

from polyreg.design import Design
from polyreg.predictor import column
from polyreg.terms import equation

BAND_TERMS = 1000  # up to which a saved answer knows its bands: 5,000 terms have 100 MB of them
EXACT_FIT = 1e-26  # part of y^2 that is left where y's own rounding is all that is left
ROUNDING = 2.0**-53  # of a coefficient to float64: nearly 16 digits
INTERVALS = ("confidence", "prediction")


@dataclass(frozen=True)
class Solution:
    """What least squares leaves to inference; K terms of `design`, weights w of the rows.

    `inverse` is (sum w q q^T)^-1 of the basis functions; `spread` (K,) the root of its diagonal
    after the change to powers of x; `errors` (K,) bounds what arithmetic did to the coefficients.
    `dependent` names terms that are combinations of others on these rows, in words.
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


@dataclass(frozen=True)
class Answer:
    """A fitted polynomial in D variables; coefficients are those of the powers of x.

    With ridge, or where the rank is below the number of terms, there are no standard errors and
    no bands: they are nan.
    """

    design: Design
    solution: Solution
    target: str
    intercept: bool
    ridge: float
    level: float  # of the intervals
    precision: str  # that was used: fast or certified
    count: int  # rows
    log_weights: float  # sum of the logarithms of the weights
    low: np.ndarray  # (D,) the domain of the rows
    high: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def _shown(self) -> slice:
        # Without an intercept the constant is 0 by definition, and no term of the model.
        return slice(0 if self.intercept else 1, None)

    @property
    def variables(self) -> tuple[str, ...]:
        return self.design.names

    @property
    def exponents(self) -> list[tuple[int, ...]]:
        return list(self.design.exponents[self._shown])

    @property
    def terms(self) -> list[str]:
        return self.design.terms[self._shown]

    @property
    def coefficients(self) -> np.ndarray:
        return self.solution.coefficients[self._shown]

    @property
    def rank(self) -> int:
        return self.solution.rank

    @property
    def condition(self) -> float:
        """2-norm condition number of the design matrix, its columns at unit length."""
        return self.solution.condition

    @property
    def free(self) -> int:
        """Degrees of freedom of the residuals."""
        return self.count - self.rank

    @property
    def has_errors(self) -> bool:
        return self.free > 0 and not self.ridge and self.rank == len(self.coefficients)

    @property
    def residual_sd(self) -> float:
        """sqrt(rss / (N - rank)), in units of y (of y sqrt(weight)); nan without freedom."""
        return math.sqrt(self.solution.rss / self.free) if self.free else math.nan

    @property
    def std_errors(self) -> np.ndarray:
        if not self.has_errors:
            return np.full(len(self.coefficients), np.nan)
        return self.solution.spread[self._shown] * self.residual_sd

    @property
    def t(self) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.coefficients / self.std_errors

    @property
    def p(self) -> np.ndarray:
        """Two-sided, of the hypothesis that the coefficient is 0."""
        return 2 * stdtr(max(self.free, 1), -np.abs(self.t))

    def intervals(self, level: float | None = None) -> np.ndarray:
        """Confidence intervals of the coefficients  ->  (K, 2)."""
        half = self._quantile(level) * self.std_errors
        return np.stack([self.coefficients - half, self.coefficients + half], axis=1)

    def _quantile(self, level: float | None) -> float:
        level = self.level if level is None else level
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1; got {level}")
        # The lower tail: (1 + level) / 2 can be 1.
        return float(-stdtrit(self.free, (1 - level) / 2)) if self.free else math.nan

    def covariance(self) -> np.ndarray:
        """Of the coefficients (K, K)."""
        if not self.has_errors:
            return np.full((len(self.coefficients),) * 2, np.nan)
        rows, largest = self.design.powers.scaled()
        values, vectors = np.linalg.eigh(self.solution.inverse)
        half = rows @ (vectors * np.sqrt(np.maximum(values, 0)))
        half *= np.array([float(c) for c in largest])[:, None] * self.residual_sd
        return (half @ half.T)[self._shown, self._shown]

    @property
    def digits(self) -> np.ndarray:
        """Decimal digits of each coefficient that arithmetic leaves certain (K,), 0 to 15.95.

        They belong to the table's float64 numbers as they are: what the table's own rounding and
        noise leave uncertain, the standard errors say. nan where terms depend on each other.
        """
        if self.rank < len(self.coefficients):
            return np.full(len(self.coefficients), np.nan)
        found = []
        pairs = zip(self.coefficients, self.solution.errors[self._shown], strict=True)
        for value, error in pairs:
            relative = error / abs(value) if value else (math.inf if error else 0.0)
            found.append(max(0.0, -math.log10(relative + ROUNDING)))
        return np.array(found)

    @property
    def r2(self) -> float:
        """1 - rss / tss, tss about the mean where there is an intercept, else about 0."""
        if self.solution.tss <= 0:
            return math.nan
        return 1 - self.solution.rss / self.solution.tss

    @property
    def adjusted_r2(self) -> float:
        rows = self.count - (1 if self.intercept else 0)
        return 1 - rows / self.free * (1 - self.r2) if self.free else math.nan

    @property
    def aic(self) -> float:
        return information(self.count, self.rank, self.solution.rss, self.log_weights)[0]

    @property
    def bic(self) -> float:
        return information(self.count, self.rank, self.solution.rss, self.log_weights)[1]

    def predict(self, x, interval: str | None = None, level: float | None = None):
        """The polynomial at x (N, D), (N,) where D is 1, or a DataFrame by its names  ->  (N,)

        With interval "confidence" (of the mean) or "prediction" (of one new y, of weight 1), at
        `level`, by default the fit's:  ->  prediction (N,), low (N,), high (N,)
        """
        q = self._matrix(x)
        with np.errstate(over="ignore", invalid="ignore"):  # far outside the domain
            found = q @ self.solution.weights
        if interval is None:
            return found
        if interval not in INTERVALS:
            raise ValueError(f"interval must be one of {', '.join(INTERVALS)}; got {interval!r}")
        with np.errstate(over="ignore", invalid="ignore"):
            variance = np.maximum(((q @ self.solution.inverse) * q).sum(1), 0)
            if self.ridge or self.rank < len(self.coefficients):
                variance = np.full_like(variance, np.nan)
            half = self._quantile(level) * self.residual_sd
            half = half * np.sqrt(variance + (1 if interval == "prediction" else 0))
            return found, found - half, found + half

    def extrapolated(self, x) -> np.ndarray:
        """Which rows of x (N, D) lie outside the ranges that the fit saw  ->  (N,) bool."""
        x = self._rows(x)
        return ((x < self.low) | (x > self.high)).any(axis=1)

    def _rows(self, x) -> np.ndarray:
        if hasattr(x, "columns"):
            x = by_name(x, self.variables)
        # A copy: torch takes neither views in reverse nor read-only memory.
        x = np.array(x, dtype=float, order="C")
        size = len(self.design.names)
        if x.ndim < 2:
            x = x.reshape(-1, 1) if size == 1 else x.reshape(1, -1)
        if x.ndim != 2 or x.shape[1] != size:
            raise ValueError(f"x must be (N, {size}): {', '.join(self.design.names)}")
        return x

    def _matrix(self, x) -> np.ndarray:
        return self.design.matrix(torch.from_numpy(self._rows(x))).numpy()

    def information(count: int, rank: int, rss: float, log_weights: float) -> tuple[float, float]:
    """AIC and BIC; nan for an exact fit, whose likelihood is infinite."""
    if rss <= 0:
        return math.nan, math.nan
    log_likelihood = (log_weights - count * (math.log(2 * math.pi * rss / count) + 1)) / 2
    return 2 * (rank - log_likelihood), rank * math.log(count) - 2 * log_likelihood


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _packed(symmetric: np.ndarray) -> str:
    """The upper triangle as base64 of little-endian float64: as text it would be twice as long."""
    upper = symmetric[np.triu_indices(len(symmetric))]
    return base64.b64encode(upper.astype("<f8").tobytes()).decode()


def _unpacked(packed: str | None, size: int) -> np.ndarray:
    result = np.full((size, size), np.nan)
    if packed is None:
        return result
    upper = np.triu_indices(size)
    result[upper] = np.frombuffer(base64.b64decode(packed), dtype="<f8")
    result.T[upper] = result[upper]
    return result
