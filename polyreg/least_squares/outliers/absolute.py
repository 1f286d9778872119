"""Least sum of absolute residuals, exactly, by linear programming; and its standard errors."""

import math

import numpy as np
from scipy.linalg import qr
from scipy.optimize import linprog
from scipy.special import ndtri

from polyreg.errors import Refused

MOST_ROWS = 10**5
TOLERANCE = 1e-10  # the least that the solver takes
ON_IT = 1e-7  # of the residuals' size: rows that the solver's answer goes through


def least_absolute(matrix: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights (K,) of the columns of matrix (n, K) with the least sum of |y - matrix @ weights|.

    The dual program, of K equations in n bounded variables: maximize y.d where matrix^T d = 0 and
    |d_i| <= 1 (Koenker 2005, 6.2); the weights are its multipliers. A least sum is one of K rows
    that the polynomial goes through: these, once known, are solved for.
    """
    start, *_ = np.linalg.lstsq(matrix, y, rcond=None)
    left = y - matrix @ start
    size = float(np.abs(left).mean()) or 1.0
    found = linprog(
        -left / size,
        A_eq=matrix.T,
        b_eq=np.zeros(matrix.shape[1]),
        bounds=(-1.0, 1.0),
        method="highs",
        options={
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        },
    )
    if found.status:
        raise Refused(f"the linear program of --loss l1 has no answer: {found.message}")
    step = -found.eqlin.marginals * size
    return start + _vertex(matrix, left, step, size)


def _vertex(rows: np.ndarray, left: np.ndarray, step: np.ndarray, size: float) -> np.ndarray:
    """The step through K of the rows that it nearly goes through, if it is no worse for that."""

    def total(step: np.ndarray) -> float:
        return float(np.abs(left - rows @ step).sum())

    distance = np.abs(left - rows @ step)
    near = np.flatnonzero(distance <= ON_IT * size)
    if len(near) < len(step):
        return step
    near = near[np.argsort(distance[near], kind="stable")]
    *_, order = qr(rows[near].T, mode="economic", pivoting=True)
    basic = near[order[: len(step)]]
    try:
        exact = np.linalg.solve(rows[basic], left[basic])
    except np.linalg.LinAlgError:
        return step
    return exact if total(exact) <= total(step) * (1 + 1e-9) else step


def sparsity(left: np.ndarray, y: np.ndarray) -> float:
    """1 / f(0) of the residuals' density f, by Epanechnikov's kernel.

    Its width is that of Hall and Sheather (1988) at the median, in units of the smaller of the
    standard deviation of y and the residuals' interquartile range / 1.34, as in Stata and
    statsmodels' QuantReg.
    """
    h = len(left) ** (-1 / 3) * ndtri(0.975) ** (2 / 3) * (1.5 / (2 * math.pi)) ** (1 / 3)
    while h >= 0.5:  # as R's quantreg does with few rows
        h /= 2
    low, high = np.percentile(left, [25, 75])
    width = min(float(np.std(y)), (high - low) / 1.34) * 2 * float(ndtri(0.5 + h))
    if not width:
        return math.nan
    u = left / width
    inside = np.where(np.abs(u) <= 1, 0.75 * (1 - u**2), 0.0).sum()
    return len(left) * width / float(inside) if inside else math.nan
