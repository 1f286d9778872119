"""Comparison of degrees: nested F tests, information criteria and lack of fit, from nested fits.

n rows, p terms, S the (weighted) sum of squares of the residuals, chi2 where uncertainties are
known. Differences between degrees are what counts:

    AICc = n log S + 2 p + 2 p (p + 1) / (n - p - 1)     chi2 in place of n log S where known
    BIC  = n log S + p log n
    F    = (S_k-1 - S_k) / (p_k - p_k-1) / (S_k / (n - p_k)), of degree k against k - 1;
           where known (S_k-1 - S_k) / (p_k - p_k-1), whose p is that of chi2
    lack of fit, with G distinct x and pure error E = sum w (y - mean of its x)^2:
    F    = ((S - E) / (G - p)) / (E / (n - G));  where known (S - E) / (G - p), p that of chi2
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtrc, fdtrc

from polyreg.text import as_p

SIGNIFICANT = 0.05


class LackOfFit(NamedTuple):
    """Test of a fit against replicates; nan, with the reason, where there is none."""

    F: float
    p: float
    df: tuple[float, float]
    reason: str = ""


class Replicates(NamedTuple):
    """Rows that share their x: how many x there are, and the rows' squares about their means."""

    groups: int
    rows: int
    pure_error: float
    reason: str = ""  # why there are none


@dataclass(frozen=True, eq=False)
class Degrees:
    """Statistics by degree, arrays of one length; nan is what is not known.

    F and p test a degree against the one below, lof_F and lof_p against replicates;
    largest_residual is the largest |y - p(x)|, over u where uncertainties are known.
    """

    degree: np.ndarray
    terms: np.ndarray
    df_resid: np.ndarray
    rss: np.ndarray
    residual_sd: np.ndarray
    F: np.ndarray
    p: np.ndarray
    aicc: np.ndarray
    bic: np.ndarray
    cv: np.ndarray
    adjusted_r2: np.ndarray
    lof_F: np.ndarray
    lof_p: np.ndarray
    largest_residual: np.ndarray

    @classmethod
    def of(
        cls,
        results: Sequence[Any],
        replicates: Replicates | None = None,
        largest: Sequence[float] | None = None,
        selection: Any = None,
    ) -> "Degrees":
        """From results of single degrees of one table, ascending."""
        n, known = results[0].nobs, results[0].is_known
        p = np.array([r.rank for r in results])
        exact = np.array([r.solution.exact_fit for r in results])
        rss = np.where(exact, 0.0, [r.solution.rss for r in results])
        df = n - p
        F, tails = nested(rss, p, n, known)
        aicc, bic = criteria(rss, p, n, known)
        tests = [lack_of_fit(s, int(k), replicates, known) for s, k in zip(rss, p, strict=True)]
        found = dict(zip(selection.degrees, selection.mse, strict=True)) if selection else {}
        degree = np.array([r.design.degree for r in results])
        return cls(
            degree=degree,
            terms=p,
            df_resid=df,
            rss=rss,
            residual_sd=np.array([r.residual_sd for r in results]),
            F=F,
            p=tails,
            aicc=aicc,
            bic=bic,
            cv=np.array([found.get(d, math.nan) for d in degree.tolist()]),
            adjusted_r2=np.array([r.adjusted_r2 for r in results]),
            lof_F=np.array([t.F for t in tests]),
            lof_p=np.array([t.p for t in tests]),
            largest_residual=np.array(largest if largest is not None else [math.nan] * len(p)),
        )

    def to_frame(self) -> pd.DataFrame:
        """A row a degree."""
        return pd.DataFrame({f.name: getattr(self, f.name) for f in fields(self)})

    def best(self, criterion: str) -> int | None:
        """The degree that a criterion chooses; None where it tells nothing."""
        if criterion in ("f", "lack-of-fit"):
            tails = self.p if criterion == "f" else self.lof_p
            place = by_test(tails, criterion)
        else:
            values = getattr(self, criterion)
            place = int(np.nanargmin(values)) if (~np.isnan(values)).any() else None
        return None if place is None else int(self.degree[place])

    def neighbours(self, degree: int) -> str:
        """What the nested tests say of a degree: a sentence, "" where they say nothing."""
        told, degrees = [], self.degree.tolist()
        for k in (degree, degree + 1):
            at = degrees.index(k) if k in degrees else -1
            if at < 1 or math.isnan(self.p[at]):
                continue
            figures = f"F = {self.F[at]:.3g}, {as_p(self.p[at])}"
            if math.isinf(self.F[at]):
                told.append(f"degree {k} is exact, and degree {k - 1} is not")
            elif self.p[at] >= SIGNIFICANT:
                told.append(f"degree {k} adds nothing ({figures})")
            elif k > degree:
                told.append(f"degree {k} fits better ({figures})")
            else:
                told.append(f"degree {k} against {k - 1}: {figures}")
        return "; ".join(told)


def nested(rss: np.ndarray, p: np.ndarray, n: int, known: bool) -> tuple[np.ndarray, np.ndarray]:
    """F of each degree against the one below, and its p; nan of the first, and of exact fits."""
    F, tails = np.full(len(rss), np.nan), np.full(len(rss), np.nan)
    for k in range(1, len(rss)):
        step, df = int(p[k] - p[k - 1]), int(n - p[k])
        gain = max(rss[k - 1] - rss[k], 0.0) / max(step, 1)
        if step < 1 or (df < 1 and not known):
            continue
        if known:
            F[k], tails[k] = gain, chdtrc(step, gain * step)
        elif rss[k] > 0:
            F[k] = gain / (rss[k] / df)
            tails[k] = fdtrc(step, df, F[k])
        elif gain > 0:  # exact, and the one below is not
            F[k], tails[k] = math.inf, 0.0
    return F, tails


def criteria(rss: np.ndarray, p: np.ndarray, n: int, known: bool) -> tuple[np.ndarray, np.ndarray]:
    """AICc and BIC; -inf of exact fits with freedom left, nan without freedom."""
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = rss if known else n * np.log(rss)
        small = 2 * p * (p + 1) / (n - p - 1)
        aicc = np.where(n - p > 1, loss + 2 * p + small, np.nan)
        return aicc, np.where(n > p, loss + p * math.log(n), np.nan)


def lack_of_fit(rss: float, p: int, replicates: Replicates | None, known: bool) -> LackOfFit:
    """Test of a fit of p terms against replicates."""
    none = (math.nan, math.nan, (math.nan, math.nan))
    if replicates is None or replicates.reason:
        return LackOfFit(*none, replicates.reason if replicates else "replicates were not counted")
    between, within = replicates.groups - p, replicates.rows - replicates.groups
    if within < 1:
        return LackOfFit(*none, "no rows share their x")
    if between < 1:
        return LackOfFit(*none, f"{p} terms go through the means of {replicates.groups} distinct x")
    lack = max(rss - replicates.pure_error, 0.0)
    if known:
        return LackOfFit(lack / between, float(chdtrc(between, lack)), (between, math.inf))
    if not replicates.pure_error > 0:
        return LackOfFit(*none, "rows of the same x have the same y: there is no pure error")
    F = lack / between / (replicates.pure_error / within)
    return LackOfFit(F, float(fdtrc(between, within, F)), (between, within))


def by_test(tails: np.ndarray, criterion: str) -> int | None:
    """Place that tests choose, at 5 %.

    f: the highest degree whose nested test is significant (backward elimination: an even function
    does not stop it at an odd degree); lack-of-fit: the lowest that is not significant, else None.
    """
    if criterion == "f":
        found = np.flatnonzero(tails < SIGNIFICANT)
        return int(found[-1]) if len(found) else 0
    found = np.flatnonzero(tails >= SIGNIFICANT)
    return int(found[0]) if len(found) else None
