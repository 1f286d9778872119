"""Notes of a fit: what has to be known beside its numbers, a sentence each."""

import re
from collections.abc import Iterator

import numpy as np
from scipy.special import chdtr

from polyreg.polynomials.result import Result

FEW_DIGITS = 3
DOUBTFUL = 0.001  # P of chi2, from either end
NO_MATTER = 1e-9  # part of y: an error below it changes no fitted value that is looked at
ILL_CONDITIONED = 1e6
# Words of a column's name, between digits, underscores or other signs, that tell an uncertainty.
UNCERTAIN = {"sigma", "u", "sd", "std", "stdev", "error", "err", "uncertainty", "unc"}


def notes(found: Result) -> Iterator[str]:
    """What has to be known of a fit beside its numbers."""
    solution, size = found.solution, found.parameters
    if found.weighted_by and not found.is_known and is_uncertainty(found.weighted_by):
        name = " ".join(found.weighted_by.split())
        yield (
            f"weights are taken as 1/variance: {name} looks like an uncertainty; give it as "
            f"--sigma {name}"
        )
    yield from doubtful_chi2(found)
    if solution.dependent:
        yield (
            f"rank {found.rank} of {size}: on these rows {'; '.join(solution.dependent)}. "
            "The coefficients are the minimum-norm ones in the scaled basis, without standard "
            "errors; what the model says is determined only where the same holds"
        )
    if found.ridge:
        yield "ridge biases the coefficients: they have no standard errors, and no intervals"
    elif not found.df_resid:
        what = "terms" if size == len(found.terms) else "free parameters"
        yield (
            f"as many {what} ({size}) as rows ({found.nobs}) leave no residuals to tell errors "
            "from; lower the degree, or give more rows"
        )
    elif solution.exact_fit:
        yield "what the fit leaves of the target is the target's own rounding: errors say nothing"
    if not solution.dependent:
        yield from few_digits(found)


def doubtful_chi2(found: Result) -> Iterator[str]:
    """Whether chi2 is too large or too small for the polynomial and the uncertainties."""
    if not found.is_known or not found.df_resid:
        return
    about = f"chi2 is {found.chi2:.4g} on {found.df_resid:,} degrees of freedom"
    if found.chi2_p < DOUBTFUL:
        yield (
            f"{about}, P = {found.chi2_p:.2g}: the rows lie further from the polynomial than their "
            "uncertainties let them; another degree may fit, or the uncertainties are too small"
        )
    elif found.chi2_p > 1 - DOUBTFUL:
        yield (
            f"{about}, 1 - P = {chdtr(found.df_resid, found.chi2):.2g}: the rows lie closer to the "
            "polynomial than their uncertainties let them; these may be too large"
        )


def few_digits(found: Result) -> Iterator[str]:
    """Which coefficients have few certain digits, and why."""
    poor = found.digits < FEW_DIGITS
    sizes = np.maximum(np.abs(found.low), np.abs(found.high))
    powers = np.prod(sizes ** np.array(found.exponents), axis=1)
    errors = found.solution.errors[-len(found.terms) :]
    # In the basis every term is at most 1 in size.
    harmless = errors * powers <= NO_MATTER * np.abs(found.weights).sum()
    zero = poor & harmless & (np.abs(found.coefficients) <= errors)
    if zero.any():
        yield (
            f"within arithmetic the coefficients of {_listed(found, zero)} are 0, so that no digit "
            "of them is certain; precision certified tells more"
        )
    if (rest := poor & ~zero).any():
        reason = "the powers of x cancel, as they do far from 0"
        if found.condition > ILL_CONDITIONED:
            reason = (
                f"the condition number is {found.condition:.3g}, as where most rows fill a small "
                "part of the range"
            )
        yield (
            f"arithmetic leaves fewer than {FEW_DIGITS} certain digits of {_listed(found, rest)}: "
            f"{reason}; the fitted values are better than the coefficients"
        )


def is_uncertainty(name: str) -> bool:
    """Whether a column's name says sigma, u, sd, ...: alone, or as a word of it (u_y, y_err)."""
    words = re.findall(r"[^\W\d_]+", name)
    split = [part for word in words for part in re.findall(r"[A-Z]?[^A-Z]+|[A-Z]+", word)]
    is_inverse = {"inv", "inverse"} & {word.lower() for word in split} or "1/" in name
    return not is_inverse and bool(UNCERTAIN & {word.lower() for word in [*words, *split]})


def _listed(found: Result, chosen: np.ndarray) -> str:
    names = [term for term, is_chosen in zip(found.terms, chosen, strict=True) if is_chosen]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
