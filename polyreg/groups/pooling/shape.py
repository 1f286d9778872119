"""One shape for all groups: a polynomial whose lowest terms alone are each group's own.

In one basis, T_k over the range of all groups, a group's factor is [A B; 0 C] and its target
[a; r], A of the terms that are its own. Whatever the common weights c are, the own ones meet a; so
c is least squares of C c = r over all groups, by the factor S of their stack (Frisch and Waugh
1933), and the own ones are A^-1 (a - B c). Then [A B; 0 S] is the factor of all that is known of
the group's polynomial, and is solved as a group's own factor is.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.groups.pooled import basis_change
from polyreg.groups.solved import ARRAYS, Solved, solved_groups
from polyreg.groups.solving import DEPENDENT
from polyreg.groups.sums import PER_GROUP, Factors
from polyreg.inference.degrees import by_test, criteria, nested
from polyreg.polynomials.result import Result
from polyreg.polynomials.solution import EXACT_FIT, information
from polyreg.polynomials.terms import name as term_name

OWN = {"offset": 1, "offset+slope": 2}  # terms of each group's own
POWERS = ("coefficients", "spread", "errors")
AT_ONCE = 2**22  # numbers of stacked factors


@dataclass(frozen=True)
class Shape:
    """Fit of one shape to all groups: the common coefficients, and the fit's residuals.

    coefficients, spread and errors are of x^own ... x^degree; errors bound what arithmetic did
    """

    own: int
    degree: int
    groups: int
    low: float
    high: float
    coefficients: list[float]
    spread: list[float]  # standard errors in units of the residual SD
    errors: list[float]
    rows: int
    rss: float
    tss: float  # about the mean of all rows
    log_weights: float
    is_exact: bool  # what is left of y is its own rounding

    @property
    def parameters(self) -> int:
        """Own ones of all groups, and common ones."""
        return self.groups * self.own + self.degree + 1 - self.own

    @property
    def df_resid(self) -> int:
        return self.rows - self.parameters

    @property
    def residual_sd(self) -> float:
        """sqrt(rss / df_resid) over all groups; nan without freedom."""
        return math.sqrt(self.rss / self.df_resid) if self.df_resid > 0 else math.nan

    @property
    def r2(self) -> float:
        """Of all rows, 1 - rss / tss."""
        return 1 - self.rss / self.tss if self.tss > 0 else math.nan

    @property
    def criteria(self) -> tuple[float, float]:
        """AIC and BIC of the whole fit."""
        return information(self.rows, self.parameters, self.rss, self.log_weights)

    @property
    def chi2_p(self) -> float:
        """P(rss or more) where the uncertainties of y are known, and right."""
        return float(chdtrc(self.df_resid, self.rss)) if self.df_resid else math.nan

    def sentence(self, variable: str, is_known: bool) -> str:
        """What is common to all groups."""
        terms = [term_name((k,), (variable,)) for k in range(self.own, self.degree + 1)]
        several = ", ".join(terms) if len(terms) < 4 else f"{terms[0]} to {terms[-1]}"
        what = f"coefficient{'s' * (len(terms) > 1)} of {several}"
        return (
            f"{self.groups:,} groups have in common the {what}, "
            f"{'chi2' if is_known else 'the residual SD'} and its {self.df_resid:,} degrees of "
            "freedom"
        )

    def frame(self, result: Result) -> pd.DataFrame:
        """The common coefficients, of any group's Result.

        Columns term, estimate, std_error, low, high, digits.
        """
        intervals = result.conf_int()
        columns: dict[str, Any] = {
            "term": result.terms,
            "estimate": result.coefficients,
            "std_error": result.std_errors,
            "low": intervals[:, 0],
            "high": intervals[:, 1],
            "digits": result.digits,
        }
        return pd.DataFrame({name: values[self.own :] for name, values in columns.items()})


def require_possible(config: FitConfig) -> None:
    """Raises Refused where options make no common shape."""
    own = OWN[config.pool]
    if not config.intercept:
        raise Refused(
            f"--pool {config.pool} gives each group a constant; leave out --intercept false"
        )
    if config.precision == "certified":
        raise Refused(f"--pool {config.pool} takes no --precision certified; leave it out")
    if config.top_degree < own:
        what = "--degree" if config.degree != "auto" else "--max-degree"
        raise Refused(
            f"--pool {config.pool} needs {what} {own} or more, got {config.top_degree}: nothing "
            "would be common"
        )


def without_own(factors: Factors, usable: np.ndarray, config: FitConfig) -> dict[int, str]:
    """Why some of the groups `usable` (G,) do not tell their own terms; an offset takes one row."""
    own = OWN[config.pool]
    if own == 1 or not usable.any():
        return {}
    low, high = factors.low[usable].min(), factors.high[usable].max()
    with np.errstate(invalid="ignore"):  # of groups without a usable row
        change = basis_change(factors.low, factors.high, low, high, own)
    own_part = factors.factors[:, :own, :own] @ change
    tells = np.abs(own_part[:, 1, 1]) > DEPENDENT * np.hypot(own_part[:, 0, 1], own_part[:, 1, 1])
    failed = {}
    for g in np.flatnonzero(usable & ~tells).tolist():
        rows = int(factors.count[g])
        failed[g] = (
            "1 row for an offset and a slope"
            if rows == 1
            else f"{rows} rows, all near x = {factors.low[g]:g}, tell no slope"
        )
    return failed


def common_shape(factors: Factors, part: np.ndarray, config: FitConfig) -> tuple[Solved, Shape]:
    """The fits of the groups `part`, rows of the factors (G,), and what they have in common.

    Raises Refused where the rows do not tell the common terms apart.
    """
    own = OWN[config.pool]
    low, high = float(factors.low[part].min()), float(factors.high[part].max())
    R = factors.factors[part]
    most = factors.width - 1
    R[:, :most, :most] @= basis_change(factors.low[part], factors.high[part], low, high, most)
    sums = Sums(own, R, triangle_of(R[:, own:, own:]), factors.base[part])
    size = sums.size(config, int(factors.count[part].sum()))
    if (rank := sums.rank(size)) < size - own:
        raise Refused(
            f"--pool {config.pool}: the rows of all groups tell only {rank} of {size - own} common "
            "terms apart; lower the degree, or leave out --pool"
        )
    solved = _solved(factors, part, sums, size, (low, high))
    shape = Shape(
        own=own,
        degree=size - 1,
        groups=len(part),
        low=low,
        high=high,
        **{name: getattr(solved, name)[-1, own:].tolist() for name in POWERS},
        rows=int(factors.count[part].sum()),
        rss=sums.left(size),
        tss=sums.about_mean,
        log_weights=float(factors.log_weights[part].sum()),
        is_exact=sums.left(size) <= EXACT_FIT * sums.mass,
    )
    return _by_group(solved, factors, part, sums, size), shape


@dataclass(frozen=True)
class Sums:
    """What the groups' factors tell of the common terms, up to the top degree.

    R (G, W, W): the factors in one basis; triangle (W - own, W - own): of all their common rows
    """

    own: int
    R: np.ndarray
    triangle: np.ndarray
    base: np.ndarray  # (G,) what each y is counted from

    def left(self, size: int) -> float:
        """Sum of squares that a shape of so many terms leaves."""
        return float((self.triangle[size - self.own :, -1] ** 2).sum())

    def rank(self, size: int) -> int:
        """How many of its common terms the rows tell apart."""
        lengths = np.sqrt((self.R[:, :, self.own : size] ** 2).sum(axis=(0, 1)))
        apart = np.abs(np.diag(self.triangle))[: size - self.own] > DEPENDENT * lengths
        return int(np.logical_and.accumulate(apart).sum())

    @property
    def mass(self) -> float:
        """Sum of w y^2."""
        moved = self.R[:, 0, -1] + self.base * self.R[:, 0, 0]
        return float((moved**2).sum() + (self.R[:, 1:, -1] ** 2).sum())

    @property
    def about_mean(self) -> float:
        """Sum of squares about the mean of all rows."""
        weight = self.R[:, 0, 0] ** 2
        means = self.R[:, 0, -1] / self.R[:, 0, 0] + self.base
        mean = (weight * means).sum() / weight.sum()
        return float((self.R[:, 1:, -1] ** 2).sum() + (weight * (means - mean) ** 2).sum())

    def size(self, config: FitConfig, rows: int) -> int:
        """How many terms a polynomial has: of --degree, or those with the best criterion."""
        if config.degree != "auto":
            return int(config.degree) + 1
        sizes = np.arange(self.own + 1, config.max_degree + 2)
        p = len(self.R) * self.own + sizes - self.own
        rss = np.maximum([self.left(int(size)) for size in sizes], EXACT_FIT * self.mass)
        known = bool(config.sigma)
        possible = (sizes - self.own <= self.rank(int(sizes[-1]))) & (p < rows)
        if config.criterion == "f":
            tails = np.where(possible, nested(rss, p, rows, known)[1], math.nan)
            return int(sizes[by_test(tails, "f") or 0])
        aicc, bic = criteria(rss, p, rows, known)
        value = bic if config.criterion == "bic" else aicc
        return int(sizes[np.where(possible & ~np.isnan(value), value, math.inf).argmin()])


def triangle_of(rows: np.ndarray) -> np.ndarray:
    """Factor (k, k) of stacked rows (G, m, k), a part of them at a time."""
    _, m, k = rows.shape
    found: Any = np.zeros((k, k))
    step = max(1, AT_ONCE // (m * k))
    for start in range(0, len(rows), step):
        more = rows[start : start + step].reshape(-1, k)
        found = np.linalg.qr(np.concatenate([found, more]), mode="r")
    return found


def _solved(
    factors: Factors, part: np.ndarray, sums: Sums, size: int, ends: tuple[float, float]
) -> Solved:
    """Each group's polynomial by the factor [A B; 0 S]; one more, the last, of the common terms."""
    own, groups = sums.own, len(part)
    made = Factors(size + 1, False, factors.is_weighted)
    made.factors = np.zeros((groups + 1, size + 1, size + 1))
    taken = [*range(size), factors.width - 1]
    made.factors[:-1, :own] = sums.R[:, :own, taken]
    made.factors[-1, :own, :own] = np.eye(own)
    common = [*range(size - own), -1]
    made.factors[:, own:size, own:] = sums.triangle[: size - own, common]
    made.factors[:, size, size] = math.sqrt(sums.left(size))
    made.low, made.high = (np.full(groups + 1, end) for end in ends)
    made.base = np.append(factors.base[part], 0.0)
    made.count, made.log_weights = (
        np.append(a[part], a.dtype.type(0)) for a in (factors.count, factors.log_weights)
    )
    return solved_groups(made, np.full(groups + 1, size - 1))[0]


def _by_group(solved: Solved, factors: Factors, part: np.ndarray, sums: Sums, size: int) -> Solved:
    """Fits of all groups of the factors: common powers of x are the same digit for digit."""
    own = sums.own
    for name in POWERS:
        getattr(solved, name)[:-1, own:] = getattr(solved, name)[-1, own:]
    triangle = sums.triangle[: size - own, : size - own]
    common = np.linalg.solve(triangle, sums.triangle[: size - own, -1])
    inside = sums.R[:, own:size, own:size]
    off = sums.R[:, own:size, -1] - inside @ common
    solved.rss[:-1] = (off**2).sum(axis=1) + (sums.R[:, size:, -1] ** 2).sum(axis=1)
    solved.tss[:-1] = (sums.R[:, 1:, -1] ** 2).sum(axis=1)
    solved.leverage[:-1] = own + ((inside @ np.linalg.inv(triangle)) ** 2).sum(axis=(1, 2))
    groups = len(factors.count)
    made: dict[str, Any] = {}
    for name in ARRAYS:
        values = getattr(solved, name)
        made[name] = np.zeros((groups, *values.shape[1:]), values.dtype)
        if name in PER_GROUP:
            made[name][:] = getattr(factors, name)
        made[name][part] = values[:-1]
    made["degrees"][np.setdiff1d(np.arange(groups), part)] = -1
    return replace(solved, **made)
