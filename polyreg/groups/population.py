"""The population of curves, and a new group's curve from a point or two.

A group's weights b are N(mean, between) in one basis for all, T_k over the range of all groups, and
its own fit errs by V_g beside that: mean and between maximize the likelihood of all groups' fits,
by EM (Laird and Ware 1982). Rows y = Q b + noise then move the mean to (best linear prediction)

    b = mean + P Q^T (Q P Q^T + noise)^-1 (y - Q mean),   its covariance P - P Q^T (...)^-1 Q P,

P = (between + Cov(mean)) (t / z)^2, t and z the quantiles of Student's t with G - 1 degrees of
freedom and of the normal distribution at the fits' level: `between` is an estimate from G groups.
"""

import math
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from polyreg.errors import PolyregError
from polyreg.polynomials.design import Design, Recurrence
from polyreg.polynomials.inputs import as_numbers
from polyreg.polynomials.result import Result
from polyreg.polynomials.solution import Solution

ENOUGH = 10_000  # groups, evenly among all, from which the population is estimated
PASSES, SETTLED = 500, 1e-8


def population(weights: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, Any]:
    """Mean (K,), its covariance and `between` (K, K); weights (G, K), errors (G, K, K)."""
    every = -(-len(weights) // ENOUGH)
    b, V = weights[::every], errors[::every]
    groups, size = b.shape
    between = np.cov(b.T).reshape(size, size) + 1e-12 * np.trace(V.mean(axis=0)) * np.eye(size)
    mean = b.mean(axis=0)
    for _ in range(PASSES):
        inverse = np.linalg.inv(between + V)
        spread = np.linalg.inv(inverse.sum(axis=0))
        mean = spread @ np.einsum("gjk,gk->j", inverse, b)
        gain = between @ inverse
        found = np.einsum("gjk,gk->gj", gain, b - mean)
        left = between - gain @ between
        made = (np.einsum("gj,gk->jk", found, found) + left.sum(axis=0)) / (groups - 1)
        moved = np.abs(made - between).max()
        between = made / 2 + made.T / 2
        if moved <= SETTLED * np.abs(between).max():
            break
    spread = np.linalg.inv(np.linalg.inv(between + V).sum(axis=0)) * len(b) / len(weights)
    return mean, spread, between


def adapted(results: Any, x: Any, y: Any) -> Result:
    """The population's curve moved to rows x, y (n,); see Results.adapt."""
    common, config = results.pooled, results.config
    if results.shape:
        raise PolyregError(
            f"no new group can be adapted to the shape of pool={config.pool!r}; fit its rows with "
            "the others, where one can be enough, or all without pool"
        )
    if common is None:
        raise PolyregError(
            "no new group can be adapted: the fit has fewer than two groups of one degree, or no "
            "residuals"
        )
    if not common.mean:
        raise PolyregError(
            "no new group can be adapted: the groups' ranges or noise differ too much to tell "
            "their population"
        )
    if config.weighed_by or config.weight_function:
        raise PolyregError(
            "no new group can be adapted: the fit has weights or known uncertainties, and those of "
            "the points are not known"
        )
    level = config.level
    design = chebyshev(results.variable, common.degree, common.low, common.high)
    x, y = as_numbers(x, "x").ravel(), as_numbers(y, "y").ravel()
    if len(x) != len(y) or not len(x):
        raise PolyregError(f"x has {len(x)} values and y {len(y)}; give one y for each x")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise PolyregError("x and y must be finite; leave out points without a value")
    mean, noise = np.array(common.mean), common.noise
    ratio = stdtrit(common.groups - 1, (1 + level) / 2) / ndtri((1 + level) / 2)
    prior = (np.array(common.between) + np.array(common.spread)) * ratio**2
    Q = common.terms(design, x)
    moved = prior @ Q.T
    gain = np.linalg.solve(Q @ moved + noise * np.eye(len(x)), moved.T).T
    b = mean + gain @ (y - Q @ mean)
    left = prior - gain @ moved.T
    values, vectors = np.linalg.eigh(left / 2 + left.T / 2)
    lift = common.lift(design)
    half = lift @ (vectors * np.sqrt(np.maximum(values, 0)))
    weights = lift @ b
    powers, largest = design.powers.scaled()
    sizes = np.array([float(c) for c in largest])
    coefficients = (powers @ weights) * sizes
    rows = common.rows + len(x)
    return Result(
        design=design,
        solution=Solution(
            weights=weights,
            coefficients=coefficients,
            inverse=half @ half.T / noise,
            spread=np.linalg.norm(powers @ half, axis=1) * sizes / math.sqrt(noise),
            errors=2.0**-50 * (np.abs(powers) @ np.abs(weights)) * sizes,
            rss=noise * (rows - len(b)),
            tss=math.nan,
            rank=len(b),
            condition=math.nan,
            absent=() if config.intercept else (0,),
        ),
        precision="fast",
        method=f"adapted from {common.groups:,} groups",
        nobs=rows,
        notes=(
            f"the shape of {common.groups:,} groups, moved to {len(x)} point{'s' * (len(x) > 1)}",
        ),
        target=results.target,
        intercept=config.intercept,
        level=level,
        units=results.units,
        low=np.array([common.low]),
        high=np.array([common.high]),
    )


def chebyshev(variable: str, degree: int, low: float, high: float) -> Design:
    """T_0 ... T_degree over a range."""
    still = (0.0,) * degree
    scales, decays = (1.0, *(2.0,) * degree)[:degree], (0.0, *(1.0,) * degree)[:degree]
    recurrence = Recurrence(low / 2 + high / 2, high / 2 - low / 2 or 1.0, still, scales, decays)
    exponents = tuple((k,) for k in range(degree + 1))
    return Design((variable,), exponents, (recurrence,), 1.0, "chebyshev over the range")
