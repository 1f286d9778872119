"""Estimates of a fit or of a training: coefficients, and what is known of their errors.

Conventions are those of statsmodels: s^2 = rss / (N - rank), Student's t with N - rank degrees of
freedom, AIC = 2 rank - 2 log L and BIC = rank log N - 2 log L of the Gaussian likelihood. Where the
uncertainties of y are known (`sigma`), the covariance is (sum q q^T / u^2)^-1, unscaled, with
normal quantiles, and rss is chi2 = sum ((y - p(x)) / u)^2 (ISO/TS 28037).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import chdtrc, fdtri, gammaincinv, ndtr, ndtri, stdtr, stdtrit

from polyreg.errors import PolyregError
from polyreg.inference.levels import as_frame, level_tests
from polyreg.inference.surface import StationaryPoint, stationary_point
from polyreg.polynomials.design import Design
from polyreg.polynomials.document import LEAST_SQUARES
from polyreg.polynomials.predictor import rooted
from polyreg.polynomials.solution import Solution, information
from polyreg.polynomials.variables import Variable
from polyreg.polynomials.variables.quantities import Quantities

ROUNDING = 2.0**-53  # of a coefficient to float64: nearly 16 digits
BANDS = ("pointwise", "simultaneous")
KNOWN, ESTIMATED = "known", "estimated"  # uncertainties of y: given, or from the residuals


@dataclass(frozen=True, eq=False, repr=False)
class Estimates(Quantities):
    """Coefficients of a polynomial in D variables, K terms, and their statistics."""

    design: Design
    solution: Solution
    low: np.ndarray  # (D,) smallest and
    high: np.ndarray  # (D,) largest x of the data
    nobs: int  # rows of the table, or samples that the training drew; 0: not known
    precision: str  # fast or certified; of a training its dtype
    method: str = LEAST_SQUARES  # or the training's optimizer
    target: str = "y"
    intercept: bool = True  # the constant is free: R2 is about the mean of y
    ridge: float = 0.0
    level: float = 0.95  # confidence level of the intervals, unless another is given
    log_weights: float = 0.0  # sum of the logarithms of the rows' weights
    units: dict[str, str] = field(default_factory=dict)  # "mV", or of dates "days since 2024-03-01"
    inputs: tuple[Variable, ...] = ()  # (D,) variables that are functions of columns; (): none is
    outcome: Variable | None = None  # the target as a function of its column; None: that itself
    # Column of the weights, or of sigma where that was given; "" had no name, None: there is none.
    weighted_by: str | None = None
    weight_function: str = ""  # of the rows, and of new ones: 1/x, 1/x^2, 1/y or 1/y^2
    uncertainties: str = ESTIMATED  # of y: from the residuals, or KNOWN, 1/sqrt(weight)
    loss: str = "squares"  # or of a robust fit huber, bisquare or l1
    swapped: bool = False  # the feature as a function of the table's target (ISO 6143)
    deviation: float = math.nan  # largest |y - p(x)| / u, of x too, where the fit has looked at it
    notes: tuple[str, ...] = ()  # what has to be known beside the numbers, a sentence each
    truth: np.ndarray | None = None  # (K or more,) coefficients that made the data, if known
    selection: Any = None  # how `degree auto` chose: a Selection
    deferred: Any = None  # degrees and rows, studied when asked for: a Deferred
    origin: Any = None  # what a fit was made from (an Origin), or a training's options

    @property
    def _shown(self) -> list[int]:
        # Others are 0 by definition, and no terms of the model.
        absent = self.solution.absent
        return [k for k in range(len(self.design.exponents)) if k not in absent]

    @property
    def exponents(self) -> list[tuple[int, ...]]:
        """Power of each variable in each term: K tuples of D, low total degrees first."""
        return [self.design.exponents[k] for k in self._shown]

    @property
    def terms(self) -> list[str]:
        """Names of the terms (K,): 1, x, x^2, a^2*b."""
        return [self.design.terms[k] for k in self._shown]

    @property
    def coefficients(self) -> np.ndarray:
        """Coefficients of `terms` (K,), float64: of powers of x, in the data's own units."""
        return self.solution.coefficients[self._shown]

    @property
    def weights(self) -> np.ndarray:
        """Weights (K,), float64, of the basis functions that did the work: `design` has those.

        Without an intercept, and where terms were chosen, they are more than the coefficients.
        """
        return self.solution.weights

    @property
    def basis(self) -> str:
        """Name of the basis that did the work: of a family, or of the one made for a table."""
        return self.design.basis

    @property
    def rank(self) -> int:
        """How many of the `parameters` the rows can tell apart."""
        return self.solution.rank

    @property
    def parameters(self) -> int:
        """How many are free: the terms, less the exact conditions on them."""
        found = self.solution.parameters
        return len(self.coefficients) if found is None else found

    @property
    def has_full_rank(self) -> bool:
        """Whether the rows tell all parameters apart."""
        return self.rank == self.parameters

    @property
    def fixed(self) -> tuple[str, ...]:
        """Terms whose coefficients exact conditions alone determine: they have no error."""
        return tuple(self.design.terms[k] for k in self.solution.held)

    @property
    def condition(self) -> float:
        """2-norm condition number of the design matrix, its columns at unit length."""
        return self.solution.condition

    @property
    def df_resid(self) -> int:
        """Degrees of freedom of the residuals, N - rank; 0 of a training, which keeps none.

        Of a group whose shape is that of others, they are those of all groups' fit.
        """
        if self.solution.common is not None:
            return self.solution.common[1]
        return 0 if math.isnan(self.solution.rss) else self.nobs - self.rank

    @property
    def has_errors(self) -> bool:
        """Whether standard errors, intervals and bands are known."""
        known = self.df_resid > 0 or (self.is_known and not math.isnan(self.solution.rss))
        if self.is_robust:
            known = known and not math.isnan(self.error_scale)
        return known and not self.ridge and self.has_full_rank

    @property
    def is_known(self) -> bool:
        """Whether the uncertainties of y were given: nothing is then scaled by the residuals."""
        return self.uncertainties == KNOWN

    @property
    def is_robust(self) -> bool:
        """Whether something else than squares was minimized."""
        return self.loss != "squares"

    @property
    def error_scale(self) -> float:
        """Factor from roots of `solution.inverse` to standard errors.

        1 where uncertainties are known, else the residual SD; of a robust fit its own.
        """
        if self.solution.scale is not None:
            return self.solution.scale
        return 1.0 if self.is_known else self.residual_sd

    @property
    def noise_sd(self) -> float:
        """Standard deviation of a new y of weight 1; of weight w it is this over sqrt(w)."""
        if self.is_known:
            return 1.0
        return self.residual_sd if self.solution.noise is None else self.solution.noise

    @property
    def is_normal(self) -> bool:
        """Whether quantiles are normal: uncertainties are known, or the fit is robust."""
        return self.is_known or self.solution.scale is not None

    @property
    def chi2(self) -> float:
        """sum ((y - p(x)) / u)^2 over the rows, where uncertainties u are known; else nan.

        nan of a robust fit, which does not minimize it.
        """
        return self.ssr if self.is_known and not self.is_robust else math.nan

    @property
    def chi2_p(self) -> float:
        """P(chi2 or more) where the polynomial and the uncertainties are right; nan without."""
        return float(chdtrc(self.df_resid, self.chi2)) if self.df_resid else math.nan

    @property
    def reduced_chi2(self) -> float:
        """chi2 / df_resid, about 1 where polynomial and uncertainties are right; nan without."""
        return self.chi2 / self.df_resid if self.df_resid else math.nan

    @property
    def residual_sd(self) -> float:
        """sqrt(rss / (N - rank)), in units of y; with weights of y sqrt(weight); nan if unknown."""
        return math.sqrt(self.ssr / self.df_resid) if self.df_resid else math.nan

    @property
    def ssr(self) -> float:
        """Sum of squared residuals, weighted, of the rows that `df_resid` counts."""
        return self.solution.common[0] if self.solution.common else self.solution.rss

    @property
    def std_errors(self) -> np.ndarray:
        """Standard errors of the coefficients (K,).

        Scaled by the residuals, unless uncertainties are known.
        """
        if not self.has_errors:
            return np.full(len(self.coefficients), np.nan)
        return self.solution.spread[self._shown] * self.error_scale

    @property
    def t_values(self) -> np.ndarray:
        """coefficients / std_errors (K,); nan of those that are fixed."""
        held = np.isin(self._shown, self.solution.held)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(held, np.nan, self.coefficients / self.std_errors)

    @property
    def p_values(self) -> np.ndarray:
        """P(>|t|), two-sided (K,), of the hypothesis that the coefficient is 0."""
        if self.is_normal:
            return 2 * ndtr(-np.abs(self.t_values))
        return 2 * stdtr(max(self.df_resid, 1), -np.abs(self.t_values))

    def conf_int(self, level: float | None = None) -> np.ndarray:
        """Confidence intervals of the coefficients, low and high  ->  (K, 2).

        `level`, between 0 and 1, by default the fit's; ValueError with any other.
        """
        half = self.quantile(level) * self.std_errors
        return np.stack([self.coefficients - half, self.coefficients + half], axis=1)

    def quantile(self, level: float | None = None, band: str = "pointwise") -> float:
        """Half an interval's width in standard errors: Student's t; nan without freedom.

        Normal where uncertainties are known, and of a robust fit. Of a "simultaneous" band it is
        sqrt(p F), F the quantile of the F distribution with p = rank and N - rank degrees of
        freedom (Working and Hotelling 1929): the band holds the whole polynomial at that level.

        `level`, between 0 and 1, by default the fit's; ValueError with any other.
        """
        level = self.level if level is None else level
        if not 0 < level < 1:
            raise PolyregError(f"level must be between 0 and 1; got {level}")
        if band not in BANDS:
            raise PolyregError(f"band must be one of {', '.join(BANDS)}; got {band!r}")
        if band == "simultaneous" and self.is_normal:
            return math.sqrt(2 * gammaincinv(self.rank / 2, level))
        if band == "simultaneous" and self.df_resid > 0:
            return math.sqrt(self.rank * fdtri(self.rank, self.df_resid, level))
        # The lower tail: (1 + level) / 2 can be 1.
        if self.is_normal:
            return float(-ndtri((1 - level) / 2))
        return float(-stdtrit(self.df_resid, (1 - level) / 2)) if self.df_resid else math.nan

    def covariance(self) -> np.ndarray:
        """Covariance of the coefficients (K, K); the diagonal is std_errors^2."""
        if not self.has_errors:
            return np.full((len(self.coefficients),) * 2, np.nan)
        rows, largest = self.design.powers.scaled()
        half = rows @ self.half
        half[[*self.solution.absent, *self.solution.held]] = 0.0
        half *= np.array([float(c) for c in largest])[:, None] * self.error_scale
        return (half @ half.T)[np.ix_(self._shown, self._shown)]

    @cached_property
    def half(self) -> np.ndarray:
        """Root of `solution.inverse`, half half^T, (K, rank): q^T half is 0 where p is held."""
        return rooted(self.solution.inverse, self.rank)

    def stationary_point(
        self,
        level: float | None = None,
        coding: Mapping[str, tuple[float, float]] | None = None,
    ) -> StationaryPoint:
        """Where the gradient is 0, of a fit of degree 2: x_s = -B^-1 b / 2 of a + b.x + x.B x

        -> .x .std_errors .coded .eigenvalues .eigenvalue_errors (D,), .eigenvectors (D, D), .value,
        .kind (maximum, minimum, saddle, or ridge: an eigenvalue cannot be told from 0), .inside
        (the domain), .region and .contains(x), the confidence region of Box and Hunter (1954),
        which can be unbounded; str() has it all as tables.

        level: of the region, and of the interval of an eigenvalue that must leave 0 out (Student's
            t), by default the fit's
        coding: {name: (centre, half width)} of the coded units t = (x - centre) / half width, in
            which eigenvalues and eigenvectors are; where none is given, those of the data's range

        Errors are those of the delta method (polyreg.inference.surface.stationary), nan where those
        of the fit are not known. Raises PolyregError of a training, of another degree, where terms
        depend on each other, and where level or coding is none.

        >>> import polyreg
        >>> fit = polyreg.fit([0, 1, 2, 3, 4], [0.1, 2.9, 4.1, 2.9, 0.1], degree=2)
        >>> found = fit.stationary_point()
        >>> found.kind, found.x.round(9).tolist(), round(found.value, 6)
        ('maximum', [2.0], 3.962857)
        """
        return stationary_point(self, level, coding)

    def wald_test_terms(self) -> Any:
        """F tests of columns of words: that their levels do not differ. A DataFrame by column.

        Columns statistic, pvalue, df_constraint, df_denom, as statsmodels' method of this name; a
        row `site` tests all terms of the column (without own curves that is type II of
        statsmodels' anova_lm), a row `site (curves)` those of its curves. Where uncertainties are
        known, p is that of chi2. Empty where there are no words, or errors are not known.
        """
        return as_frame(level_tests(self))

    @property
    def digits(self) -> np.ndarray:
        """Decimal digits of each coefficient that arithmetic leaves certain (K,), 0 to 15.95.

        Those of the exact fit to the numbers as they are written (`certified`), or as float64 holds
        them (`fast`): what rounding before that and noise leave uncertain, the standard errors say.
        certified errs by 2^-103 of the largest |y| or so in each weight of the basis, then rounds
        once: what is small beside y has fewer digits, and what cannot be told from 0 is 0. nan
        where terms depend on each other, and of a training.
        """
        if not self.has_full_rank:
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
        """1 - rss / tss, tss about the mean where the constant is free, else about 0."""
        if self.solution.tss <= 0:
            return math.nan
        return 1 - self.solution.rss / self.solution.tss

    @property
    def adjusted_r2(self) -> float:
        """1 - (1 - r2) M / df_resid, M = N - 1 where r2 is about the mean, else N.

        nan of a group whose shape is that of others, as are AIC and BIC.
        """
        rows = self.nobs - (1 if self.intercept else 0)
        if self.solution.common is not None:
            return math.nan
        return 1 - rows / self.df_resid * (1 - self.r2) if self.df_resid else math.nan

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 rank - 2 log L; nan of exact and robust fits, and of a training."""
        return self._criteria[0]

    @property
    def bic(self) -> float:
        """Schwarz's criterion, rank log N - 2 log L; nan where `aic` is."""
        return self._criteria[1]

    @property
    def _criteria(self) -> tuple[float, float]:
        is_alone = self.solution.common is None and not math.isnan(self.solution.tss)
        rss = self.solution.rss if is_alone else math.nan
        return information(self.nobs, self.rank, rss, self.log_weights)
