"""Least-squares polynomial of least norm, where the rows cannot tell its terms apart."""

import math
from fractions import Fraction

import numpy as np
import torch

from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.least_squares.origin import originated
from polyreg.least_squares.problem import require_sizes
from polyreg.polynomials import terms
from polyreg.polynomials.design import Design, Recurrence, floats
from polyreg.polynomials.result import Result
from polyreg.polynomials.solution import Solution
from polyreg.tables import InMemory

MOST_TERMS = 10_000  # 2.5 s at 5,456 terms, 16 s at 23,426: their exact powers of x
MOST_VALUES = 10**8  # of the design matrix, which is held whole


def minimum_norm(rows: InMemory, config: FitConfig) -> Result:
    """The polynomial that minimizes sum_i w_i (y_i - p(x_i))^2, and among those sum_t a_t^2.

    p = sum_t a_t prod_d T_{e_td}((x_d - centre_d) / radius_d), T the Chebyshev polynomials over the
    range of each variable (without an intercept the powers of x_d / max |x_d|), so that neither the
    order of rows nor whether one counts twice or has weight 2 changes p. By the singular value
    decomposition, in float64; standard errors and digits are nan.

    Raises Refused with ridge, beyond MOST_TERMS or MOST_VALUES, and where powers or squares of the
    data leave float64.

    Source: Golub and Van Loan, Matrix Computations, 5.5.
    """
    survey, names = rows.survey(config.seed), rows.names
    degree, interaction = config.top_degree, config.interaction_degree or len(names)
    size = terms.count(len(names), degree, interaction)
    is_large = size > MOST_TERMS or size * survey.rows > MOST_VALUES
    if is_large or config.ridge or config.degree == "auto":
        raise Refused(
            f"{size:,} terms need at least as many rows, got {survey.rows:,}; lower --degree"
        )
    require_sizes(survey, names, config)
    ranges = zip(survey.low.tolist(), survey.high.tolist(), strict=True)
    design = Design(
        names=tuple(names),
        exponents=tuple(terms.total_degree(len(names), degree, interaction)),
        recurrences=tuple(_recurrence(low, high, degree, config.intercept) for low, high in ranges),
        unit=1.0,
        basis="chebyshev over the ranges" if config.intercept else "scaled powers",
    )
    blocks = list(rows.blocks())
    x = np.column_stack([np.concatenate([b.x[d] for b in blocks]) for d in range(len(names))])
    y = np.concatenate([b.y for b in blocks if b.y is not None])
    w = np.concatenate([np.ones(len(b.x[0])) if b.weights is None else b.weights for b in blocks])
    first = 0 if config.intercept else 1
    matrix = design.matrix(torch.from_numpy(x)).numpy()[:, first:] * np.sqrt(w)[:, None]
    found, _, rank, _ = np.linalg.lstsq(matrix, y * np.sqrt(w), rcond=None)
    residual = y * np.sqrt(w) - matrix @ found
    mean = float(w @ y / w.sum()) if config.intercept else 0.0
    weights = np.concatenate([np.zeros(first), found])
    unknown = np.full(size, np.nan)
    solution = Solution(
        weights=weights,
        coefficients=floats(design.powers.coefficients([*map(Fraction, weights.tolist())])),
        inverse=np.broadcast_to(np.nan, (size, size)),
        spread=unknown,
        errors=unknown,
        rss=float(residual @ residual),
        tss=float(w @ (y - mean) ** 2),
        rank=int(rank),
        condition=math.inf,
        absent=() if config.intercept else (0,),
    )
    note = (
        f"{survey.rows:,} rows tell {rank:,} of {size - first:,} terms apart: of the polynomials "
        "that fit best this is the one of least norm, without standard errors"
    )
    result = Result(
        design=design,
        solution=solution,
        low=survey.low,
        high=survey.high,
        nobs=survey.rows,
        precision="float64",
        target=str(rows.target),
        intercept=config.intercept,
        level=config.level,
        log_weights=float(np.log(w).sum()),
        weighted_by=rows.weights,
        notes=(note,),
    )
    return originated(result, rows, config, survey, "cpu")


def _recurrence(low: float, high: float, degree: int, centred: bool) -> Recurrence:
    """Chebyshev polynomials over the range, or powers of x by its size."""
    still = (0.0,) * degree
    if not centred:
        return Recurrence(0.0, max(abs(low), abs(high)) or 1.0, still, (1.0,) * degree, still)
    scales, decays = (1.0, *(2.0,) * degree)[:degree], (0.0, *(1.0,) * degree)[:degree]
    return Recurrence(low / 2 + high / 2, high / 2 - low / 2 or 1.0, still, scales, decays)
