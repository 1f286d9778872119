"""Do groups need their own curves? Pooled fits by the groups' factors, no_intercept the rows.

In one basis for all, T_k over the range of all groups, the first row of a group's factor can be met
by its own constant, whatever the rest is, the second by its own slope: least squares of the others
fit the common shape with own offsets, or own offsets and slopes (Frisch and Waugh 1933).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import chdtrc, fdtrc

from polyreg.groups.population import population
from polyreg.groups.solving import DEPENDENT
from polyreg.groups.sums import Factors
from polyreg.polynomials.design import Design

MODELS = ("one curve", "own offsets", "own offsets and slopes")
MOST = 50  # groups that differ most, which are kept
LEAST_GROUPS = 2
NARROW = 1e-20  # of a group's term beside its first one, below which groups are not compared


@dataclass(frozen=True)
class Pooled:
    """Tests of G groups, all of one degree, against their own curves; tables as lists by column.

    tests: a row a model: model, parameters, rss, F (chi2 / df1 where uncertainties are known), df1,
        df2, p
    variation: a row a term, of (x - centre)^k: term, mean, std_error, sd_between, Q, df, p
    differing: the groups that differ most from the one curve: group (its row), F, p_bonferroni
    """

    degree: int
    groups: int
    centre: float
    tests: dict[str, list[Any]]
    variation: dict[str, list[Any]]
    differing: dict[str, list[Any]]
    # Of the population (population.py), in T_k over all groups' range, x T_k without an intercept
    low: float
    high: float
    no_intercept: bool
    rows: int
    noise: float  # variance of a y of weight 1
    mean: list[float]
    spread: list[list[float]]  # covariance of the mean
    between: list[list[float]]

    @property
    def p(self) -> float:
        """Of the hypothesis that all groups have one curve."""
        return self.tests["p"][0]

    def terms(self, design: Design, x: np.ndarray) -> np.ndarray:
        """Columns (n, K) that the population's weights multiply, at x (n,)."""
        matrix = design.matrix(torch.from_numpy(x[:, None])).numpy()
        return matrix[:, :-1] * x[:, None] if self.no_intercept else matrix

    def lift(self, design: Design) -> np.ndarray:
        """From the population's weights (K,) to those of the design (P, K)."""
        size = len(self.mean)
        if not self.no_intercept:
            return np.eye(size)
        [r], found = design.recurrences, np.zeros((size + 1, size))
        for k in range(size):  # x T_k = centre T_k + radius (T_{k+1} + T_{k-1}) / 2
            found[k, k] += r.centre
            found[k + 1, k] += r.radius / (2 if k else 1)
            if k:
                found[k - 1, k] += r.radius / 2
        return found

    def frame(self, name: str) -> pd.DataFrame:
        """One of the three tables."""
        return pd.DataFrame(getattr(self, name))


def pooled(factors: Factors, degrees: np.ndarray, variable: str, is_known: bool) -> Pooled | None:
    """None where fewer than two groups have the commonest degree, or no residuals judge them."""
    fitted = degrees[degrees >= 0]
    if not len(fitted):
        return None
    degree = int(np.bincount(fitted).argmax())
    own = np.flatnonzero(degrees == degree)
    size = degree + (0 if factors.no_intercept else 1)
    if len(own) < LEAST_GROUPS or not size:
        return None
    own = own[_comparable(in_one_basis(factors, own, size)[0])]
    if len(own) < LEAST_GROUPS:
        return None
    R, rss, base, (centre, radius) = in_one_basis(factors, own, size)
    free = int(factors.count[own].sum()) - size * len(own)
    if free <= 0 and not is_known:
        return None
    noise = 1.0 if is_known else float(rss.sum()) / free
    if not noise > 0:
        return None
    mean, spread, between = _population(R, noise, 0.0 if factors.no_intercept else base)
    return Pooled(
        degree=degree,
        groups=len(own),
        centre=centre,
        tests=_tests(R, float(rss.sum()), free, noise, factors.no_intercept, is_known),
        variation=_variation(R, noise, base, radius, factors.no_intercept, variable, centre),
        differing=_differing(R, own, free, noise, is_known),
        low=float(factors.low[own].min()),
        high=float(factors.high[own].max()),
        no_intercept=factors.no_intercept,
        rows=int(factors.count[own].sum()),
        noise=noise,
        mean=mean,
        spread=spread,
        between=between,
    )


def _population(R: np.ndarray, noise: float, base: float) -> tuple[list, list, list]:
    """Mean, its covariance, and the covariance between groups; empty where float64 has none."""
    size = R.shape[1]
    try:
        with np.errstate(all="ignore"):
            inverse = np.linalg.inv(R[:, :, :size])
            weights = (inverse @ R[:, :, size:])[:, :, 0]
            found = population(weights, noise * inverse @ inverse.swapaxes(1, 2))
    except np.linalg.LinAlgError:  # errors of groups that differ by all digits
        return [], [], []
    if not all(np.isfinite(part).all() for part in found):
        return [], [], []
    mean, spread, between = found
    mean[0] += base
    return mean.tolist(), spread.tolist(), between.tolist()


def in_one_basis(
    factors: Factors, own: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, float, tuple[float, float]]:
    """Factors (G, K, K + 1) and rss (G,) of these groups in one basis.

    Besides: what all count y from, and the basis's centre and radius.
    """
    low, high, R = factors.low[own], factors.high[own], factors.factors[own]
    rss = (R[:, size:, -1] ** 2).sum(axis=1)
    R = np.concatenate([R[:, :size, :size], R[:, :size, -1:]], axis=2)
    centre, radius = low.min() / 2 + high.max() / 2, high.max() / 2 - low.min() / 2 or 1.0
    change = basis_change(low, high, low.min(), high.max(), size)
    base = 0.0
    if not factors.no_intercept:
        base = float(np.median(factors.base[own]))
        R[:, :, -1] += (factors.base[own] - base)[:, None] * R[:, :, 0]
    R[:, :, :-1] = R[:, :, :-1] @ change
    return R, rss, base, (float(centre), float(radius))


def _comparable(R: np.ndarray) -> np.ndarray:
    """Which groups (G,) are not too narrow beside the range of all for a curve in its basis."""
    diagonal = np.abs(np.diagonal(R, axis1=1, axis2=2))
    lengths = np.sqrt((R[:, :, :-1] ** 2).sum(axis=1))
    is_apart = diagonal > DEPENDENT * lengths
    return (is_apart & (diagonal > NARROW * diagonal[:, :1])).all(axis=1)


def basis_change(
    low: np.ndarray, high: np.ndarray, least: Any, largest: Any, size: int
) -> np.ndarray:
    """Column k (G, K, K): T_k over [least, largest] in those over each group's range, (G,).

    least, largest: numbers, or one for each group (G,)
    """
    centre, radius = least / 2 + largest / 2, np.asarray(largest / 2 - least / 2)
    radius = np.where(radius > 0, radius, 1.0)
    a = (high / 2 - low / 2) / radius
    b = (low / 2 + high / 2 - centre) / radius
    change = np.zeros((len(low), size, size))
    change[:, 0, 0] = 1.0
    for k in range(size - 1):  # T_{k+1} = 2 z T_k - T_{k-1}, z = a t + b, as in triangles.fold
        here = change[:, :, k]
        above = b[:, None] * here
        above[:, 1:] += a[:, None] * here[:, :-1] * np.where(np.arange(size - 1) == 0, 1.0, 0.5)
        above[:, :-1] += a[:, None] * here[:, 1:] * 0.5
        change[:, :, k + 1] = above if not k else 2 * above - change[:, :, k - 1]
    return change


def left(rows: np.ndarray) -> float:
    """Sum of squares that least squares leaves of stacked factors (G, m, k + 1), the last of y."""
    stacked = rows.reshape(-1, rows.shape[2])
    if rows.shape[2] == 1:
        return float((stacked**2).sum())
    triangle: Any = np.linalg.qr(stacked, mode="r")
    return float(triangle[-1, -1] ** 2) if len(triangle) == rows.shape[2] else 0.0


def _tests(
    R: np.ndarray, rss: float, free: int, noise: float, no_intercept: bool, is_known: bool
) -> dict[str, list[Any]]:
    groups, size, _ = R.shape
    found: dict[str, list[Any]] = {
        name: [] for name in ("model", "parameters", "rss", "F", "df1", "df2", "p")
    }
    for k, model in enumerate(MODELS):
        if k and (no_intercept or k >= size):
            break
        parameters = k * groups + size - k
        more = left(R[:, k:, k:])
        between = groups * size - parameters
        F = max(more / noise, 0.0) / between
        p = chdtrc(between, F * between) if is_known else fdtrc(between, free, F)
        row = (model, parameters, more + rss, F, between, math.inf if is_known else free, float(p))
        for name, value in zip(found, row, strict=True):
            found[name].append(value)
    return found


def _variation(
    R: np.ndarray,
    noise: float,
    base: float,
    radius: float,
    no_intercept: bool,
    variable: str,
    centre: float,
) -> dict[str, list[Any]]:
    """Between groups, beyond their errors: the moment estimate of DerSimonian and Laird (1986)."""
    groups, size, _ = R.shape
    inverse = np.linalg.inv(R[:, :, :size])
    weights = (inverse @ R[:, :, size:])[:, :, 0]
    # From T_k to powers of x - centre; of x T_k to x (x - centre)^k.
    change = np.zeros((size, size))
    for k in range(size):
        powers = np.polynomial.chebyshev.cheb2poly(np.eye(k + 1)[k])
        change[: len(powers), k] = powers
    change /= radius ** np.arange(size)[:, None]
    values = weights @ change.T
    values[:, 0] += base
    with np.errstate(all="ignore"):
        variances = noise * ((change @ inverse) ** 2).sum(axis=2)
    moved = f"({variable} - {centre:.10g})" if centre else variable
    found: dict[str, list[Any]] = {
        name: [] for name in ("term", "mean", "std_error", "sd_between", "Q", "df", "p")
    }
    for k in range(size):
        with np.errstate(all="ignore"):  # of sizes that leave float64: nan
            w = 1 / variances[:, k]
            mean = (w * values[:, k]).sum() / w.sum()
            Q = float((w * (values[:, k] - mean) ** 2).sum())
            spare = w.sum() - (w**2).sum() / w.sum()  # 0 where one group has all the weight
            between = max(0.0, (Q - (groups - 1)) / spare) if spare > 0 else 0.0
            w = 1 / (variances[:, k] + between)
            mean, error = (w * values[:, k]).sum() / w.sum(), 1 / np.sqrt(w.sum())
        power = "1" if not k else moved if k == 1 else f"{moved}^{k}"
        term = power if not no_intercept else variable if not k else f"{variable}*{power}"
        row = (term, mean, error, math.sqrt(between), Q, groups - 1, float(chdtrc(groups - 1, Q)))
        for name, value in zip(found, row, strict=True):
            found[name].append(value if isinstance(value, str | int) else float(value))
    return found


def _differing(
    R: np.ndarray, own: np.ndarray, free: int, noise: float, is_known: bool
) -> dict[str, list[Any]]:
    """Each group's own curve against the one curve of all, on its own rows."""
    groups, size, _ = R.shape
    triangle: Any = np.linalg.qr(R.reshape(-1, size + 1), mode="r")
    common = np.linalg.solve(triangle[:size, :size], triangle[:size, size])
    away = ((R[:, :, :size] @ common - R[:, :, size]) ** 2).sum(axis=1)
    F = away / (size * noise)
    p = chdtrc(size, F * size) if is_known else fdtrc(size, free, F)
    order = np.argsort(-F, kind="stable")[:MOST]
    return {
        "group": own[order].tolist(),
        "F": F[order].tolist(),
        "p_bonferroni": np.minimum(1.0, groups * p[order]).tolist(),
    }
