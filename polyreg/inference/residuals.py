"""Tests of residuals in row order, from sums of blocks: order, equal variance, normality.

e are weighted residuals sqrt(w) (y - p(x)); statistics as statsmodels' durbin_watson,
runstest_1samp(cutoff=0), het_breuschpagan(e, [1, x]) and jarque_bera.
"""

import math

import numpy as np
from scipy.special import chdtrc, ndtr


class Residuals:
    """Sums over residuals, added block after block in row order."""

    def __init__(self, middle: np.ndarray, half: np.ndarray, scale: float):
        # x about its middle and e in units of its SD: sums of powers then lose no digits.
        self.middle, self.half, self.scale = middle, half, scale
        self.count = self.runs = self.above = 0
        self.steps, self.last = 0.0, math.nan
        self.powers = np.zeros(5)  # sum e^0 ... e^4
        size = len(middle) + 1
        self.gram, self.right = np.zeros((size, size)), np.zeros(size)

    def add(self, x: np.ndarray, e: np.ndarray) -> None:
        """x (n, D), e (n,)"""
        e = e / self.scale
        signs = e >= 0
        before = np.r_[self.last, e] if self.count else e
        self.steps += float((np.diff(before) ** 2).sum())
        changes = np.diff(np.r_[self.last >= 0, signs] if self.count else signs)
        self.runs += int(changes.sum()) + (0 if self.count else 1)
        self.above, self.count, self.last = (
            self.above + int(signs.sum()),
            self.count + len(e),
            e[-1],
        )
        square = e * e
        self.powers += [len(e), e.sum(), square.sum(), (square * e).sum(), (square**2).sum()]
        z = np.column_stack([np.ones(len(e)), (x - self.middle) / self.half])
        self.gram += z.T @ z
        self.right += z.T @ square

    @property
    def durbin_watson(self) -> float:
        """About 2 where neighbours are independent, towards 0 where they are alike."""
        return self.steps / self.powers[2]

    def runs_test(self) -> tuple[float, float]:
        """z and p of Wald and Wolfowitz's test of the signs; with a correction below 50 rows."""
        above, below = self.above, self.count - self.above
        mean = 2 * above * below / self.count + 1
        variance = (mean - 1) * (mean - 2) / (self.count - 1)
        if variance <= 0:
            return math.nan, math.nan
        away = self.runs - mean
        if self.count < 50:
            away = math.copysign(max(abs(away) - 0.5, 0.0), away)
        z = away / math.sqrt(variance)
        return z, float(2 * ndtr(-abs(z)))

    def breusch_pagan(self) -> tuple[float, float, np.ndarray]:
        """Lagrange multiplier and p of Breusch and Pagan (Koenker's), and slopes of e^2 in x."""
        n = self.count
        mean = self.right[0] / n
        total = self.powers[4] - n * mean**2
        about = self.gram[1:, 0] / n
        gram = self.gram[1:, 1:] - n * np.outer(about, about)
        right = self.right[1:] - n * about * mean
        slopes = np.linalg.lstsq(gram, right, rcond=None)[0]
        if not total > 0:
            return math.nan, math.nan, slopes
        found = n * float(slopes @ right) / total
        return found, float(chdtrc(len(slopes), found)), slopes

    def jarque_bera(self) -> tuple[float, float]:
        """Statistic of skewness and kurtosis, and its p by chi2 of 2 degrees of freedom."""
        n, one, two, three, four = self.powers
        m = one / n
        variance = two / n - m**2
        third = three / n - 3 * m * two / n + 2 * m**3
        fourth = four / n - 4 * m * three / n + 6 * m**2 * two / n - 3 * m**4
        skew, kurtosis = third / variance**1.5, fourth / variance**2
        found = n / 6 * (skew**2 + (kurtosis - 3) ** 2 / 4)
        return found, float(chdtrc(2, found))
