"""Result of a fit or of a training: coefficients, and what is known of their errors.

Conventions are those of statsmodels: s^2 = rss / (N - rank), Student's t with N - rank degrees of
freedom, AIC = 2 rank - 2 log L and BIC = rank log N - 2 log L of the Gaussian likelihood.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.special import stdtr, stdtrit

from polyreg.errors import PolyregError
from polyreg.polynomials import document, families, summary, terms
from polyreg.polynomials.design import Design
from polyreg.polynomials.document import LEAST_SQUARES, NO_ERRORS
from polyreg.polynomials.equation import Equations
from polyreg.polynomials.inputs import is_frame, new_weights, rows_of
from polyreg.polynomials.solution import Solution, information

ROUNDING = 2.0**-53  # of a coefficient to float64: nearly 16 digits
INTERVALS = ("confidence", "prediction")


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Polynomial in D variables that a fit or a training found; K terms, in powers of x.

    Standard errors, t and p values, intervals and bands are nan where they are not known: of a
    training, of a fit with ridge, and where the rank is below the number of terms, or there are as
    many terms as rows. Names are statsmodels' wherever it has one.

    >>> import polyreg
    >>> result = polyreg.fit([0, 1, 2, 3, 4], [0.1, 0.9, 4.1, 8.9, 16.0], degree=2)
    >>> result.std_errors.round(3).tolist(), result.df_resid
    ([0.121, 0.144, 0.034], 2)
    """

    design: Design
    solution: Solution
    low: np.ndarray  # (D,) smallest and
    high: np.ndarray  # (D,) largest x of the data
    nobs: int  # rows of the table, or samples that the training drew; 0: not known
    precision: str  # fast or certified; of a training its dtype
    method: str = LEAST_SQUARES  # or the training's optimizer
    target: str = "y"
    intercept: bool = True
    ridge: float = 0.0
    level: float = 0.95  # confidence level of the intervals, unless another is given
    log_weights: float = 0.0  # sum of the logarithms of the rows' weights
    units: dict[str, str] = field(default_factory=dict)  # "mV", or of dates "days since 2024-03-01"
    weighted_by: str | None = None  # column of these; "" where it had no name; None without weights
    notes: tuple[str, ...] = ()  # what has to be known beside the numbers, a sentence each
    truth: np.ndarray | None = None  # (K or more,) coefficients that made the data, if known
    selection: Any = None  # how `degree auto` chose: a Selection
    origin: Any = None  # what a fit was made from (an Origin), or a training's options

    @classmethod
    def trained(
        cls,
        weights: np.ndarray,
        family: str,
        domain: tuple[float, float],
        condition: float,
        *,
        truth: Sequence[float] | np.ndarray | None = None,
        nobs: int = 0,
        method: str = "sgd",
        precision: str = "float32",
        origin: Any = None,
    ) -> "Result":
        """Result of a training in x: weights (K,) of a family's phi_0 ... phi_{K-1}.

        The x of the training lay in `domain`; `condition` is that of its design matrix. `truth`,
        constant first, may be of another degree: where it is lower, zeros follow. Coefficients are
        exact, rounded once.
        """
        weights = np.array(weights, dtype=float)
        size = len(weights)
        unknown = np.full(size, np.nan)
        return cls(
            design=families.design(family, size - 1),
            solution=Solution(
                weights=weights,
                coefficients=families.to_powers(weights, family),
                inverse=np.full((size, size), np.nan),
                spread=unknown,
                errors=unknown,
                rss=math.nan,
                tss=math.nan,
                rank=size,
                condition=condition,
            ),
            low=np.array(domain[:1], dtype=float),
            high=np.array(domain[1:], dtype=float),
            nobs=nobs,
            precision=precision,
            method=method,
            notes=(NO_ERRORS,),
            origin=origin,
            truth=None if truth is None else np.array([*truth, *[0.0] * (size - len(truth))]),
        )

    @property
    def _shown(self) -> slice:
        # Without an intercept the constant is 0 by definition, and no term of the model.
        return slice(0 if self.intercept else 1, None)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables (D,), in the order of x's columns."""
        return self.design.names

    @property
    def exponents(self) -> list[tuple[int, ...]]:
        """Power of each variable in each term: K tuples of D, low total degrees first."""
        return list(self.design.exponents[self._shown])

    @property
    def terms(self) -> list[str]:
        """Names of the terms (K,): 1, x, x^2, a^2*b."""
        return self.design.terms[self._shown]

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients of `terms` (K,), float64: of powers of x, in the data's own units."""
        return self.solution.coefficients[self._shown]

    @property
    def weights(self) -> np.ndarray:
        """Weights (K,), float64, of the basis functions that did the work: `design` has those.

        Without an intercept they are one more than the coefficients: the constant is among them.
        """
        return self.solution.weights

    @property
    def basis(self) -> str:
        """Name of the basis that did the work: of a family, or of the one made for a table."""
        return self.design.basis

    @property
    def domain(self) -> dict[str, tuple[float, float]]:
        """Range of each variable in the data: {name: (low, high)}."""
        ends = zip(self.variables, self.low.tolist(), self.high.tolist(), strict=True)
        return {name: (low, high) for name, low, high in ends}

    @property
    def rank(self) -> int:
        """How many terms the rows can tell apart, at most K."""
        return self.solution.rank

    @property
    def condition(self) -> float:
        """2-norm condition number of the design matrix, its columns at unit length."""
        return self.solution.condition

    @property
    def df_resid(self) -> int:
        """Degrees of freedom of the residuals, N - rank; 0 of a training, which keeps none."""
        return 0 if math.isnan(self.solution.rss) else self.nobs - self.rank

    @property
    def has_errors(self) -> bool:
        """Whether standard errors, intervals and bands are known."""
        return self.df_resid > 0 and not self.ridge and self.rank == len(self.coefficients)

    @property
    def residual_sd(self) -> float:
        """sqrt(rss / (N - rank)), in units of y; with weights of y sqrt(weight); nan if unknown."""
        return math.sqrt(self.solution.rss / self.df_resid) if self.df_resid else math.nan

    @property
    def std_errors(self) -> np.ndarray:
        """Standard errors of the coefficients (K,), scaled by the residuals"""
        if not self.has_errors:
            return np.full(len(self.coefficients), np.nan)
        return self.solution.spread[self._shown] * self.residual_sd

    @property
    def t_values(self) -> np.ndarray:
        """coefficients / std_errors (K,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.coefficients / self.std_errors

    @property
    def p_values(self) -> np.ndarray:
        """P(>|t|), two-sided (K,), of the hypothesis that the coefficient is 0."""
        return 2 * stdtr(max(self.df_resid, 1), -np.abs(self.t_values))

    def conf_int(self, level: float | None = None) -> np.ndarray:
        """Confidence intervals of the coefficients, low and high  ->  (K, 2).

        `level`, between 0 and 1, by default the fit's; ValueError with any other.
        """
        half = self.quantile(level) * self.std_errors
        return np.stack([self.coefficients - half, self.coefficients + half], axis=1)

    def quantile(self, level: float | None = None) -> float:
        """Half an interval's width in standard errors: Student's t; nan without freedom.

        `level`, between 0 and 1, by default the fit's; ValueError with any other.
        """
        level = self.level if level is None else level
        if not 0 < level < 1:
            raise PolyregError(f"level must be between 0 and 1; got {level}")
        # The lower tail: (1 + level) / 2 can be 1.
        return float(-stdtrit(self.df_resid, (1 - level) / 2)) if self.df_resid else math.nan

    def covariance(self) -> np.ndarray:
        """Covariance of the coefficients (K, K); the diagonal is std_errors^2."""
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

        Those of the exact fit to the numbers as they are written (`certified`), or as float64 holds
        them (`fast`): what rounding before that and noise leave uncertain, the standard errors say.
        certified errs by 2^-103 of the largest |y| or so in each weight of the basis, then rounds
        once: what is small beside y has fewer digits, and what cannot be told from 0 is 0. nan
        where terms depend on each other, and of a training.
        """
        if self.rank < len(self.coefficients):
            return np.full(len(self.coefficients), np.nan)
        found = []
        pairs = zip(self.coefficients, self.solution.errors[self._shown], strict=True)
        for value, error in pairs:
            relative = error / abs(value) if value else (math.inf if error else 0.0)
            digits = math.nan if math.isnan(error) else -math.log10(relative + ROUNDING)
            found.append(0.0 if digits < 0 else digits)
        return np.array(found)

    @property
    def r2(self) -> float:
        """1 - rss / tss, tss about the mean where there is an intercept, else about 0."""
        if self.solution.tss <= 0:
            return math.nan
        return 1 - self.solution.rss / self.solution.tss

    @property
    def adjusted_r2(self) -> float:
        """1 - (1 - r2) M / df_resid, M = N - 1 with an intercept, else N; nan without freedom."""
        rows = self.nobs - (1 if self.intercept else 0)
        return 1 - rows / self.df_resid * (1 - self.r2) if self.df_resid else math.nan

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 rank - 2 log L; nan of an exact fit and of a training."""
        return information(self.nobs, self.rank, self.solution.rss, self.log_weights)[0]

    @property
    def bic(self) -> float:
        """Schwarz's criterion, rank log N - 2 log L; nan of an exact fit and of a training."""
        return information(self.nobs, self.rank, self.solution.rss, self.log_weights)[1]

    def __call__(self, x):
        """The polynomial at x, as `predict` takes it."""
        return self.predict(x)

    def predict(self, x, interval: str | None = None, level: float | None = None, weights=None):
        """Evaluate the polynomial, in the basis that did the work.

        x (N, D), (N,) where D is 1, (D,) one row of several, or a frame by its names  ->  (N,);
        of one variable, a number  ->  a number. float64, in units of y.

        With interval "confidence" (of the mean) or "prediction" (of one new y), at `level`, by
        default the fit's:  ->  prediction (N,), low (N,), high (N,)

        The variance of a new y of weight w is s^2 / w + q^T C q. After a fit with weights,
        "prediction" needs those of the new rows: `weights`, (N,) or a number, or the column
        `weighted_by` of a frame x; without, low and high are nan, and a UserWarning says why.

        Raises ValueError where x has another shape or lacks a variable, interval or level is none,
        or a weight is not above 0. What overflows, far outside the domain, is inf or nan.
        """
        q = self._matrix(x)
        if interval not in (None, *INTERVALS):
            raise PolyregError(f"interval must be one of {', '.join(INTERVALS)}; got {interval!r}")
        with np.errstate(over="ignore", invalid="ignore"):  # far outside the domain
            found = [q @ self.solution.weights]
            if interval:
                variance = np.maximum(((q @ self.solution.inverse) * q).sum(1), 0)
                if interval == "prediction":
                    by = self.weighted_by if self.has_errors else None
                    variance += 1 / new_weights(x, weights, by, len(q))
                if self.ridge or self.rank < len(self.coefficients):
                    variance = np.full_like(variance, np.nan)
                half = self.quantile(level) * self.residual_sd * np.sqrt(variance)
                found += [found[0] - half, found[0] + half]
        if not is_frame(x) and np.ndim(x) == 0:
            found = [values[0] for values in found]
        return tuple(found) if interval else found[0]

    def extrapolated(self, x) -> np.ndarray:
        """Which rows of x, as `predict` takes it, lie outside the domain  ->  (N,) bool."""
        x = rows_of(x, self.variables, self.units)
        return ((x < self.low) | (x > self.high)).any(axis=1)

    def _matrix(self, x) -> np.ndarray:
        return self.design.matrix(torch.from_numpy(rows_of(x, self.variables, self.units))).numpy()

    def against_truth(self) -> list[tuple[str, float, float]]:
        """(term, truth, estimate) of every term that either has; one that is missing is 0.

        Raises ValueError where no truth is known.
        """
        if self.truth is None:
            raise PolyregError("the true coefficients are not known: only those of a training are")
        size = max(len(self.truth), len(self.coefficients))
        truth, estimate = np.zeros(size), np.zeros(size)
        truth[: len(self.truth)] = self.truth
        estimate[: len(self.coefficients)] = self.coefficients
        return list(zip(terms.powers(size - 1), truth.tolist(), estimate.tolist(), strict=True))

    def max_error(self) -> float:
        """The largest |estimate - truth| of a coefficient; a term the model lacks counts as 0.

        Raises ValueError where no truth is known.
        """
        return max(abs(estimate - truth) for _, truth, estimate in self.against_truth())

    @cached_property
    def equations(self) -> Equations:
        """The polynomial as equations in float64: equations["centred"].coefficients, .centre"""
        return Equations(self)

    def equation(self, form: str | None = None) -> str:
        """The polynomial, every digit of it: y = 0.9 + 0.5*x + 3*x^2

        Evaluated as it is printed, in float64, it is within a tenth of the standard error of the
        fit on the domain; where none is known, within 1e-9 of the range of y. Where powers of x
        are not, it is in others: y = 3.1 + 2.2*t + 0.5*t^2, t = (x - 2010)/9. `form` asks for
        one: "powers", "centred" or "chebyshev"; ValueError with any other.
        """
        return (self.equations[form] if form else self.equations.usable).text

    def summary(self) -> str:
        """The figures, the table of coefficients and the notes, as statsmodels' summary has them.

        At most 100 columns wide: long names are shortened. Of a training the table has truth and
        error, where the truth is known, in place of standard errors.
        """
        return summary.text(self)

    def _repr_html_(self) -> str:
        """What `summary` says, as tables for a notebook; every name escaped."""
        return summary.html(self)

    def __repr__(self) -> str:
        """The equation, every digit of it, and a line of figures."""
        return f"{self.equation()}\n{summary.line(self)}"

    def plot(self) -> Any:
        """The figure that its run logs: data, polynomial and bands, or the truth of a training.

        A matplotlib Figure, of one variable over x, of several observed against fitted; what was
        loaded has no data left to draw. `.savefig(path)` writes it.
        """
        from polyreg.reports.plot import plot  # what draws is above, and comes when it is asked for

        return plot(self)

    def to_numpy(self) -> np.polynomial.Polynomial:
        """The same coefficients as numpy's series in powers of x, to derive, integrate, find roots.

        Of one variable; ValueError of several.
        """
        if len(self.variables) != 1:
            names = ", ".join(self.variables)
            raise PolyregError(
                f"numpy's Polynomial has one variable; this one has several: {names}"
            )
        return np.polynomial.Polynomial(self.solution.coefficients)

    def to_dict(self) -> dict[str, Any]:
        """The document that coefficients.json holds, all of it finite JSON.

        A row a term, the figures, and under `basis` what it takes to predict from it. How the
        degree was chosen (`selection`) is not in it.
        """
        return document.write(self)

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> "Result":
        """The result that `to_dict` wrote down, or what polyreg 0.1 wrote of fits and trainings.

        Raises KeyError, TypeError, AttributeError or ValueError where it is no such document.
        """
        return cls(**document.read(written))
