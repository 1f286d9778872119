"""How many digits are right of the worst coefficient, by polyreg and by others?

    python -m benchmarks.accuracy

Against the exact rational solution for the float64 data, on NIST's sets and on the tests' own
problems; at most 16, and 0 where not even the first digit is right. "-" where a side has no such
fit: numpy takes one variable and an intercept. Weights go to all sides (to numpy as square roots,
to statsmodels by WLS). Needs scikit-learn and statsmodels; the table goes to benchmarks/results.
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import Polynomial
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import PolynomialFeatures
from statsmodels.regression.linear_model import WLS

from polyreg.config import FitConfig
from polyreg.least_squares.fitting import fit
from polyreg.tables.rows import InMemory
from tests.support import oracle, problems


class Case(NamedTuple):
    """A data set, and the monomials whose coefficients are asked for."""

    columns: list[np.ndarray]
    y: np.ndarray
    weights: np.ndarray | None
    exponents: list[tuple[int, ...]]

    @classmethod
    def of(cls, name: str) -> "Case":
        if name in problems.PROBLEMS:
            made = problems.make(name)
            return cls(made.columns, made.y, made.weights, made.exponents)
        columns, y, exponents, _ = oracle.read_nist(name)
        return cls([np.array(c) for c in columns], np.array(y), None, exponents)

    @property
    def degree(self) -> int:
        return max(map(sum, self.exponents))

    @property
    def intercept(self) -> bool:
        return sum(self.exponents[0]) == 0

    @property
    def is_numpys(self) -> bool:
        return len(self.columns) == 1 and self.intercept

    @property
    def root_weights(self) -> np.ndarray | None:
        return None if self.weights is None else np.sqrt(self.weights)


def by_polyreg(case: Case, precision: Any) -> np.ndarray:
    config = FitConfig(
        data="memory",
        target="y",
        degree=case.degree,
        intercept=case.intercept,
        precision=precision,
    )
    answer = fit(InMemory(case.columns, case.y, case.weights), config)
    assert answer.exponents == case.exponents
    return answer.coefficients


def by_polyfit(case: Case) -> np.ndarray | None:
    if not case.is_numpys:
        return None
    return np.polyfit(case.columns[0], case.y, case.degree, w=case.root_weights)[::-1]


def by_polynomial_fit(case: Case) -> np.ndarray | None:
    if not case.is_numpys:
        return None
    series = Polynomial.fit(case.columns[0], case.y, case.degree, w=case.root_weights)
    return series.convert().coef


def by_statsmodels(case: Case) -> np.ndarray:
    powers = [
        np.prod([c**p for c, p in zip(case.columns, e, strict=True)], axis=0)
        for e in case.exponents
    ]
    weights = 1.0 if case.weights is None else case.weights  # with 1.0 it is OLS
    return WLS(case.y, np.column_stack(powers), weights=weights).fit().params


def by_scikit_learn(case: Case) -> np.ndarray:
    features = PolynomialFeatures(case.degree, include_bias=False)
    powers = features.fit_transform(np.column_stack(case.columns))
    assert list(map(tuple, features.powers_)) == case.exponents[case.intercept :]
    # tol=0: by default scikit-learn drops singular values, and with them right digits.
    line = LinearRegression(fit_intercept=case.intercept, tol=0)
    line.fit(powers, case.y, sample_weight=case.weights)
    return np.array([line.intercept_, *line.coef_] if case.intercept else line.coef_)


SIDES: dict[str, Callable[[Case], np.ndarray | None]] = {
    "polyreg certified": lambda case: by_polyreg(case, "certified"),
    "polyreg fast": lambda case: by_polyreg(case, "fast"),
    "`numpy.polyfit`": by_polyfit,
    "`Polynomial.fit`": by_polynomial_fit,
    "statsmodels OLS": by_statsmodels,
    "scikit-learn": by_scikit_learn,
}


def row(name: str) -> str:
    start = time.perf_counter()
    case = Case.of(name)
    columns = [column.tolist() for column in case.columns]
    weights = None if case.weights is None else case.weights.tolist()
    truth = oracle.exact(columns, case.y.tolist(), case.exponents, weights).coefficients
    cells = [right_digits(by(case), truth) for by in SIDES.values()]
    print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return f"| {name.replace('_', ' ')} | {' | '.join(cells)} |"


def right_digits(found: np.ndarray | None, truth: list) -> str:
    if found is None:
        return "-"
    assert len(found) == len(truth)
    return f"{max(0.0, min(oracle.digits(found.tolist(), truth))):.1f}"


def main() -> None:
    # Others warn of bad conditioning where they lose digits; that is what the table shows.
    warnings.simplefilter("ignore")
    print(f"| data | {' | '.join(SIDES)} |")
    print("|--" * (1 + len(SIDES)) + "|")
    for name in (*oracle.NIST_NAMES, *problems.PROBLEMS):
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
