"""Stationary point of a polynomial of degree 2 in D variables: canonical analysis.

In coded units t, and with d(t) = b + 2 B t the gradient of p = a + b.t + t.B t:

    t_s = -B^-1 b / 2                   where d is 0
    B u_i = lambda_i u_i                canonical analysis (Box and Wilson 1951)
    cov(t_s) = B^-1 V(t_s) B^-1 / 4     V(t) the covariance of d(t); delta method
    var(lambda_i) = var(u_i.B u_i)      u_i held: delta method. So has double linear regression it,
                                        the fit repeated along the u_i (Bisgaard and Ankenman 1996)
    d(t).V(t)^-1 d(t) <= D F            confidence region (Box and Hunter 1954), F the quantile of
                                        the F distribution with D and N - K degrees of freedom
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import fdtri, gammaincinv

from polyreg.errors import PolyregError
from polyreg.inference.levels import base_levels
from polyreg.inference.surface.quadratic import Quadratic
from polyreg.polynomials.inputs import rows_of
from polyreg.text import aligned, brief, number, plus_minus, precise

MAXIMUM, MINIMUM, SADDLE, RIDGE = "maximum", "minimum", "saddle", "ridge"
SHOWN = 8  # variables and eigenvalues in one line


@dataclass(frozen=True, eq=False)
class Region:
    """Confidence region of the stationary point (Box and Hunter 1954): the x that can be it.

    All x whose gradient d(x) cannot be told from 0:  d.V^-1 d / D <= limit, V the covariance of d.
    It need be no ellipse, nor of one piece. Where an eigenvalue cannot be told from 0 it has no
    bound: it goes along the ridge for ever.
    """

    level: float
    limit: float  # quantile of F, or of chi2 / D where it is normal; nan where no errors are known
    variables: tuple[str, ...]
    units: dict[str, str]
    quadratic: Quadratic = field(repr=False)

    def statistic(self, x: Any) -> np.ndarray:
        """d(x).V(x)^-1 d(x) / D  ->  (N,), x as `predict` takes it; nan without errors."""
        t = self.quadratic.coded(rows_of(x, self.variables, self.units))
        # Far outside the domain, and of an exact fit.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            gradient = self.quadratic.gradient(t)
            solved = np.linalg.solve(self.quadratic.covariance(t), gradient[..., None])[..., 0]
            return (gradient * solved).sum(1) / (t.shape[1] * self.quadratic.scale**2)

    def contains(self, x: Any) -> np.ndarray:
        """Which x, as `predict` takes them, lie in the region  ->  (N,) bool.

        Raises PolyregError where no errors are known.
        """
        if math.isnan(self.limit):
            raise PolyregError("a region needs the standard errors of a fit, and this one has none")
        return self.statistic(x) <= self.limit


@dataclass(frozen=True, eq=False, repr=False)
class StationaryPoint:
    """Where the gradient is 0, of a polynomial in D variables, and what it is there.

    What has errors is nan where those of the fit are not known. x, value and coded are nan where
    B is singular: there is then a line of such points, or none.
    """

    variables: tuple[str, ...]
    target: str
    x: np.ndarray  # (D,) in the data's own units
    std_errors: np.ndarray  # (D,) of x
    value: float  # the polynomial there, in units of y
    kind: str  # maximum, minimum, saddle, or ridge: an eigenvalue cannot be told from 0
    coding: dict[str, tuple[float, float]]  # centre and half width of each variable
    coded: np.ndarray  # (D,) (x - centre) / half width
    eigenvalues: np.ndarray  # (D,) of B in coded units, ascending, in units of y
    eigenvalue_errors: np.ndarray  # (D,) their standard errors
    eigenvectors: np.ndarray  # (D, D) column k belongs to eigenvalue k
    inside: bool  # whether x lies in the domain
    region: Region
    base: str = ""  # levels of words that it is of, the base's: `site=A`
    only_of_base: bool = False  # other levels have curves, and points, of their own

    def contains(self, x: Any) -> np.ndarray:
        """As `region.contains`: which x can be the stationary point  ->  (N,) bool."""
        return self.region.contains(x)

    @property
    def line(self) -> str:
        """All of it that fits in a line."""
        values = zip(self.eigenvalues, self.eigenvalue_errors, strict=True)
        told = _first([plus_minus(*pair) for pair in values])
        told = f"eigenvalue{'s' if len(self.x) > 1 else ''} {told} in coded units"
        told += f"; {self.base}" * self.only_of_base
        if np.isnan(self.x).any():
            return f"no stationary point, but a ridge: an eigenvalue is 0 ({told})"
        rows = zip(self.variables, self.x, self.std_errors, strict=True)
        parts = [(name, plus_minus(x, error)) for name, x, error in rows]
        units = self.region.units
        where = _first([f"{name} = {said} {units.get(name, '')}".rstrip() for name, said in parts])
        outside = "" if self.inside else ", outside the range of the data"
        why = ": an eigenvalue cannot be told from 0" if self.kind == RIDGE else ""
        return f"stationary point: {where}, a {self.kind}{outside}{why} ({told})"

    def __str__(self) -> str:
        """The line, a table of the point, a table of the canonical analysis, and the region."""
        columns = zip(self.variables, self.x, self.std_errors, self.coded, strict=True)
        point = [
            [name, precise(x, error), _error(error), number(t, digits=4), number(c), number(h)]
            for (name, x, error, t), (c, h) in zip(columns, self.coding.values(), strict=True)
        ]
        axes = [
            [number(value), _error(error), *(f"{part:.3f}" for part in vector)]
            for value, error, vector in zip(
                self.eigenvalues, self.eigenvalue_errors, self.eigenvectors.T, strict=True
            )
        ]
        said = [self.line, ""]
        if not math.isnan(self.value):
            at = f" at {self.base}" * bool(self.base)
            head = ["variable", "x", "std error", "coded", "centre", "half width"]
            said += [aligned(head, point), f"{self.target} there{at}: {number(self.value)}", ""]
        said += [
            aligned(["eigenvalue", "std error", *self.variables], axes),
        ]
        if not math.isnan(self.region.limit):
            level = f"{100 * self.region.level:g} %"
            said += [
                "",
                f"{level} confidence region (Box and Hunter): contains(x) says what is in it",
            ]
        return "\n".join(said)

    __repr__ = __str__


def stationary_point(
    result: Any,
    level: float | None = None,
    coding: Mapping[str, tuple[float, float]] | None = None,
) -> StationaryPoint:
    """As Result.stationary_point, which documents it."""
    if why := refusal(result):
        raise PolyregError(why)
    level = result.level if level is None else level
    quantile = result.quantile(level)
    quadratic = Quadratic.of(result)
    names = tuple(result.variables[d] for d in result.design.numeric)
    windows = _windows(names, quadratic, coding or {})
    centre, half = np.array([*windows.values()]).T

    ratio = half / quadratic.half
    values, vectors = canonical(ratio[:, None] * quadratic.matrix * ratio)
    errors = quadratic.curvature_errors(ratio[:, None] * vectors)
    is_singular = np.abs(np.linalg.eigvalsh(quadratic.matrix)).min() <= quadratic.rounding
    spread = np.nan_to_num(quantile * errors)  # nan: not known

    t = np.full(len(half), np.nan)
    std_errors = np.full(len(half), np.nan)
    if not is_singular:
        t = -np.linalg.solve(quadratic.matrix, quadratic.linear) / 2
        inverse = np.linalg.inv(quadratic.matrix)
        covariance = inverse @ quadratic.covariance(t[None])[0] @ inverse / 4
        std_errors = quadratic.scale * quadratic.half * np.sqrt(np.maximum(np.diag(covariance), 0))
    x = quadratic.centre + quadratic.half * t
    return StationaryPoint(
        variables=names,
        target=result.target,
        x=x,
        std_errors=std_errors,
        value=float(quadratic.constant + quadratic.linear @ t / 2),
        kind=RIDGE if is_singular or (np.abs(values) <= spread).any() else _kind(values),
        coding=windows,
        coded=(quadratic.centre - centre + quadratic.half * t) / half,
        eigenvalues=values,
        eigenvalue_errors=errors,
        eigenvectors=vectors,
        inside=bool((np.abs(t) <= 1).all()),
        region=Region(level, _limit(result, level), names, result.units, quadratic),
        base=base_levels(result),
        only_of_base=any(0 < result.design.degree_of(e) < sum(e) for e in result.exponents),
    )


def canonical(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (D,), ascending, and eigenvectors (D, D) of B, whose largest part is positive."""
    values, vectors = np.linalg.eigh(matrix)
    largest = np.abs(vectors).argmax(axis=0)
    return values, vectors * np.sign(vectors[largest, range(len(values))])


def _kind(eigenvalues: np.ndarray) -> str:
    if (eigenvalues < 0).all():
        return MAXIMUM
    return MINIMUM if (eigenvalues > 0).all() else SADDLE


def _limit(result: Any, level: float) -> float:
    size = len(result.design.numeric)
    if not result.has_errors:
        return math.nan
    if result.is_normal:
        return float(2 * gammaincinv(size / 2, level) / size)
    return float(fdtri(size, result.df_resid, level))


def refusal(result: Any) -> str:
    """Why a result has no stationary point, in a line; empty where it has one."""
    if math.isnan(result.solution.rss):
        return "a stationary point is one of a fit, and this is a training; use polyreg.fit"
    if result.design.degree != 2:
        return (
            "a stationary point is one of degree 2, and this fit has degree "
            f"{result.design.degree}; fit with degree 2"
        )
    if result.rank < len(result.coefficients):
        return (
            f"the rows leave the stationary point open: they tell {result.rank} of "
            f"{len(result.coefficients)} terms apart; add rows or leave out features"
        )
    return ""


def _windows(
    names: tuple[str, ...], quadratic: Quadratic, coding: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Centre and half width of each variable, where they are given, else those of the data."""
    for name in coding:
        if name not in names:
            raise PolyregError(f"coding names {name!r}; the variables are {', '.join(names)}")
    found = dict(
        zip(
            names, zip(quadratic.centre.tolist(), quadratic.half.tolist(), strict=True), strict=True
        )
    )
    for name, window in coding.items():
        try:
            centre, half = map(float, window)
        except (TypeError, ValueError):
            centre = half = math.nan
        if not (math.isfinite(centre) and 0 < half < math.inf):
            raise PolyregError(
                f"coding of {name} must be (centre, half width), the latter above 0; got {window!r}"
            )
        found[name] = (centre, half)
    return found


def _error(value: float) -> str:
    """- for nan, which is: not known."""
    return "-" if math.isnan(value) else brief(value)


def _first(parts: list[str]) -> str:
    return ", ".join(parts[:SHOWN]) + (", ..." if len(parts) > SHOWN else "")
