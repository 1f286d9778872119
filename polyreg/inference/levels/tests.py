"""F tests of columns of words: extra sum of squares of all terms of a column, or of its curves.

With w_S the weights of the terms S of the basis that contain a level of the column, C their
covariance over scale^2, and m the rank of C:

    F = w_S . C^-1 w_S / (m scale^2)      of the F distribution with m and N - K degrees of freedom

The numerator is what the sum of squares rises by where the terms S are left out (Seber and Lee
2003, 4.3): the other terms of the basis make all polynomials in which levels do not differ. Of the
curves, S are the terms of a level and a power of x.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import chdtrc, fdtrc

from polyreg.inference.degrees import SIGNIFICANT
from polyreg.text import as_p, short

SHOWN, LONGEST = 8, 30  # levels in a line, characters of one


class LevelTest(NamedTuple):
    """Test that levels of a column do not differ, or, `of_curves`, by no more than offsets."""

    column: str
    of_curves: bool
    F: float
    p: float
    df: tuple[float, float]  # inf where uncertainties are known: F is then chi2 / df

    @property
    def name(self) -> str:
        """The column, or `column (curves)`."""
        return f"{self.column} (curves)" if self.of_curves else self.column

    @property
    def line(self) -> str:
        """What the test says, in words."""
        between, within = self.df
        is_told = self.p < SIGNIFICANT
        what = "they differ" if is_told else "they do not differ beyond the noise"
        if self.of_curves:
            what = "curves differ by more than offsets" if is_told else "offsets alone would do"
        freedom = f"on {between:g}" + ("" if math.isinf(within) else f" and {within:g}")
        return f"{what} (F = {self.F:.4g} {freedom}, {as_p(self.p)})"


def level_tests(result: Any) -> list[LevelTest]:
    """Tests of each column of words, and of its curves; none where errors say nothing."""
    words = result.design.words
    if not result.has_errors or result.solution.exact_fit:
        return []
    found = []
    for column in dict.fromkeys(filter(None, words)):
        own = [d for d, name in enumerate(words) if name == column]
        for of_curves in (False, True):
            places = _places(result, own, of_curves)
            if places:
                found.append(_tested(result, column, of_curves, places))
    return found


def _places(result: Any, own: Sequence[int], of_curves: bool) -> list[int]:
    """Places of the terms with one of the levels `own`, or of those that have a power besides."""
    return [
        k
        for k, e in enumerate(result.design.exponents)
        if any(e[d] for d in own) and (sum(e) > 1 or not of_curves)
    ]


def _tested(result: Any, column: str, of_curves: bool, places: list[int]) -> LevelTest:
    weights = result.weights[places]
    values, vectors = np.linalg.eigh(result.solution.inverse[np.ix_(places, places)])
    size = sum(k not in result.solution.absent for k in places)  # what conditions leave of them
    kept = slice(len(values) - size, None)
    square = ((weights @ vectors[:, kept]) ** 2 / values[kept]).sum()
    F = float(square / (size * result.error_scale**2))
    if result.is_normal:
        return LevelTest(column, of_curves, F, float(chdtrc(size, F * size)), (size, math.inf))
    p = float(fdtrc(size, result.df_resid, F))
    return LevelTest(column, of_curves, F, p, (size, result.df_resid))


def level_lines(result: Any) -> list[str]:
    """Of each column of words its base, its other levels, and what the tests say: a line each."""
    tests, lines = level_tests(result), []
    for column, words in result.levels.items():
        base, *others = (short(" ".join(word.split()), LONGEST) for word in words)
        said = "; ".join(test.line for test in tests if test.column == column)
        more = f", and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        told = f"levels of {column}: {base} (base), {', '.join(others[:SHOWN])}{more}"
        lines.append(told + f"; {said}" * bool(said))
    return lines


def base_levels(result: Any) -> str:
    """The base level of each column of words: `site=A`."""
    return ", ".join(f"{column}={words[0]}" for column, words in result.levels.items())


def as_frame(tests: Sequence[LevelTest]) -> pd.DataFrame:
    """A row a test, by its name."""
    rows = [(test.F, test.p, *test.df) for test in tests]
    columns = ["statistic", "pvalue", "df_constraint", "df_denom"]
    return pd.DataFrame(rows, [test.name for test in tests], columns, dtype=float)
