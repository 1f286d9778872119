"""How many digits a fit gets right: against exact rationals, against statsmodels, against chance.

The thresholds are the project's promises, not what one run gave: of a file of decimals what NIST
printed, 14.3 digits of every certified coefficient, and for `fast` what float64 with one step of
refinement can keep. The truth of float64 data is the exact answer for them, not NIST's print.
"""

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import polyreg
from polyreg.config import FitConfig
from polyreg.least_squares.fitting import fit
from polyreg.tables.rows import InMemory
from tests.support import oracle, problems
from tests.support.oracle import NIST_NAMES, digits, total_degree

NAMES = (*NIST_NAMES, *problems.PROBLEMS)
PRINTED = 14.3  # digits of relative size that 15 printed ones promise: half a unit of 1.00...
NOISE_FLOOR = 1e-12  # of max |y|: a residual below it is the rounding of y, not an answer


class Case(NamedTuple):
    columns: list[np.ndarray]
    y: np.ndarray
    degree: int
    weights: np.ndarray | None
    exponents: list[tuple[int, ...]]

    @property
    def intercept(self) -> bool:
        return self.exponents[0] == (0,) * len(self.columns)


def fitted(case: Case, precision: str):
    return fit(
        InMemory(x=case.columns, y=case.y, weights=case.weights),
        FitConfig(
            data="memory",
            target="y",
            degree=case.degree,
            precision=precision,
            intercept=case.intercept,
        ),
    )


@cache
def case_of(name: str) -> Case:
    if name in problems.PROBLEMS:
        problem = problems.make(name)
        return Case(*problem, exponents=problem.exponents)
    columns, y, exponents, _ = oracle.read_nist(name)
    degree = max(map(sum, exponents))
    return Case([np.array(c) for c in columns], np.array(y), degree, None, exponents)


@cache
def truth_of(name: str) -> oracle.Exact:
    case = case_of(name)
    return oracle.exact(case.columns, case.y, case.exponents, case.weights)


@cache
def answer_of(name: str, precision: str):
    return fitted(case_of(name), precision)


def right_digits(name: str, precision: str) -> np.ndarray:
    answer, truth = answer_of(name, precision), truth_of(name)
    assert list(answer.exponents) == truth.exponents
    return np.array(digits(np.asarray(answer.coefficients).tolist(), truth.coefficients))


def has_noise(name: str) -> bool:
    return truth_of(name).residual_sd > NOISE_FLOOR * np.abs(case_of(name).y).max()


def fitted_file(name: str, folder: Path, kind: str = "csv") -> polyreg.Result:
    """The certified fit of one of NIST's sets, in a file of the decimals that NIST prints."""
    columns, y, exponents, _ = oracle.read_nist(name, number=str)
    names = [f"x{d}" for d in range(len(columns))]
    path = folder / f"{name}.{kind}"
    if kind == "csv":
        rows = zip(y, *columns, strict=True)
        path.write_text("\n".join(map(",".join, [("y", *names), *rows])) + "\n")
    else:
        cells = dict(zip(["y", *names], [y, *columns], strict=True))
        kinds = dict.fromkeys(cells, pa.decimal128(38, 18))
        pq.write_table(pa.table({c: pa.array(v).cast(kinds[c]) for c, v in cells.items()}), path)
    return polyreg.fit(
        path,
        target="y",
        degree=max(map(sum, exponents)),
        intercept=not any(exponents[0]),
        precision="certified",
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", NIST_NAMES)
def test_a_file_of_nists_decimals_gives_what_nist_certified_to_its_last_digit(name, kind, tmp_path):
    answer, certified = fitted_file(name, tmp_path, kind), oracle.read_nist(name).certified
    assert min(digits(answer.coefficients.tolist(), certified.estimates)) > PRINTED
    assert min(digits(answer.std_errors.tolist(), certified.std_errors)) > PRINTED
    assert min(digits([answer.residual_sd], [certified.residual_sd])) > PRINTED


@pytest.mark.parametrize("name", NIST_NAMES)
def test_digits_speak_of_the_decimals_as_they_are_written(name, tmp_path):
    columns, y, exponents, _ = oracle.read_nist(name, number=Fraction)
    answer, truth = fitted_file(name, tmp_path), oracle.exact(columns, y, exponents)
    found = np.array(digits(answer.coefficients.tolist(), truth.coefficients))
    assert found.min() > 15.5
    assert (found - np.minimum(answer.digits, oracle.MOST_DIGITS)).min() >= -0.5


@pytest.mark.parametrize("name", NAMES)
def test_certified_coefficients_have_the_digits_that_nist_prints(name):
    assert right_digits(name, "certified").min() >= PRINTED
    assert answer_of(name, "certified").rank == len(truth_of(name).exponents)


@pytest.mark.parametrize(
    "name, least", [("Filip", 13.3), ("Norris", 12.3), ("Pontius", 12), ("Wampler5", 7)]
)
def test_fast_coefficients_have_the_digits_float64_allows(name, least):
    assert right_digits(name, "fast").min() >= least


@pytest.mark.parametrize("precision", ["certified", "fast"])
@pytest.mark.parametrize("name", NAMES)
def test_a_claimed_digit_is_a_right_digit(name, precision):
    claimed = np.asarray(answer_of(name, precision).digits)
    assert claimed.shape == (len(truth_of(name).exponents),)
    # 16 is where the oracle stops counting.
    surplus = right_digits(name, precision) - np.minimum(claimed, oracle.MOST_DIGITS)
    assert surplus.min() >= -0.5
    if precision == "certified":
        assert surplus.mean() < 3


@pytest.mark.parametrize("name", NAMES)
def test_certified_fitted_values_have_12_digits_of_the_largest(name):
    """`years` and `far` cancel 17 digits in the powers of x: the fit must not evaluate those."""
    case = case_of(name)
    order = np.argsort(case.columns[0])
    rows = order[np.unique(np.linspace(0, len(order) - 1, 60).astype(int))]  # both ends as well
    x = np.stack([c[rows] for c in case.columns], axis=1)
    truth = np.array([float(v) for v in truth_of(name).fitted(list(x.T))])
    found = np.asarray(answer_of(name, "certified").predict(x))
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-12 * np.abs(truth).max())


# Three variables would cost the oracle 8 s for their 56 columns.
@pytest.mark.parametrize("name", [n for n in NAMES if n != "three_variables"])
def test_certified_standard_errors_are_exact_where_there_is_noise(name):
    answer, truth = answer_of(name, "certified"), truth_of(name)
    found = [*np.asarray(answer.std_errors).tolist(), float(answer.residual_sd)]
    if has_noise(name):
        exact = [*truth.std_errors, truth.residual_sd]
        assert min(digits(found, exact)) >= (PRINTED if name in NIST_NAMES else 12)
    else:
        sd = 1e-13 * np.abs(case_of(name).y).max()
        unscaled = [float(row[k]) ** 0.5 for k, row in enumerate(truth.covariance)]
        assert (np.array(found) <= sd * np.array([*unscaled, 1])).all()


@pytest.mark.parametrize("name", NAMES)
def test_certified_r2_is_exact(name):
    assert abs(float(answer_of(name, "certified").r2 - truth_of(name).r2)) <= 3e-15


@pytest.mark.parametrize("name", ["Filip", "weights", "NoInt1"])
def test_the_covariance_is_the_exact_one(name):
    """Every entry, to 12 digits of the two standard errors it belongs to."""
    truth = truth_of(name)
    found = np.asarray(answer_of(name, "certified").covariance())
    scale = truth.rss / truth.freedom
    exact = np.array([[float(scale * v) for v in row] for row in truth.covariance])
    sizes = np.outer(truth.std_errors, truth.std_errors)
    np.testing.assert_allclose(found / sizes, exact / sizes, rtol=0, atol=1e-12)


# -- statsmodels ------------------------------------------------------------------------------

WELL_CONDITIONED = {
    "one variable": dict(variables=1),
    "weighted": dict(variables=1, weighted=True),
    "no intercept": dict(variables=1, intercept=False),
    "no intercept, weighted": dict(variables=1, intercept=False, weighted=True),
    "two variables": dict(variables=2),
    "two variables, weighted": dict(variables=2, weighted=True),
}


def well_conditioned(variables: int, intercept: bool = True, weighted: bool = False) -> Case:
    """x in [-1, 1], degree 3: cond(X) < 20, so plain QR on the powers gives 14 digits."""
    rng = np.random.default_rng(3)
    columns = list(rng.uniform(-1, 1, size=(variables, 80)))
    y = 0.7 * intercept + sum(np.sin(2 * c) for c in columns) + 0.4 * columns[0] * columns[-1]
    weights = rng.uniform(0.2, 5, size=80) if weighted else None
    exponents = total_degree(variables, 3)[0 if intercept else 1 :]
    return Case(columns, y + rng.normal(scale=0.3, size=80), 3, weights, exponents)


def powers(columns, exponents) -> np.ndarray:
    return np.stack([np.prod([c**p for c, p in zip(columns, e, strict=True)], axis=0)
                     for e in exponents], axis=1)  # fmt: skip


def by_statsmodels(case: Case):
    import statsmodels.regression.linear_model as api

    weights = 1.0 if case.weights is None else case.weights
    return api.WLS(case.y, powers(case.columns, case.exponents), weights=weights).fit(method="qr")


@pytest.mark.parametrize("precision", ["certified", "fast"])
@pytest.mark.parametrize("kind", WELL_CONDITIONED)
def test_the_statistics_are_those_of_statsmodels(kind, precision):
    case = well_conditioned(**WELL_CONDITIONED[kind])
    assert np.linalg.cond(powers(case.columns, case.exponents)) < 20
    theirs, ours = by_statsmodels(case), fitted(case, precision)
    for found, expected in [
        (ours.coefficients, theirs.params),
        (ours.std_errors, theirs.bse),
        (ours.t_values, theirs.tvalues),
        (ours.p_values, theirs.pvalues),
        (ours.conf_int(), theirs.conf_int()),
        (ours.conf_int(level=0.8), theirs.conf_int(alpha=0.2)),
        (ours.residual_sd, np.sqrt(theirs.scale)),
        (ours.r2, theirs.rsquared),
        (ours.adjusted_r2, theirs.rsquared_adj),
        (ours.aic, theirs.aic),
        (ours.bic, theirs.bic),
    ]:
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9)
    sizes = np.outer(theirs.bse, theirs.bse)
    np.testing.assert_allclose(ours.covariance() / sizes, theirs.cov_params() / sizes, atol=1e-9)


@pytest.mark.parametrize("kind", WELL_CONDITIONED)
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_the_bands_are_those_of_statsmodels(kind, level):
    """Theirs has weight 1, unless it is given, also where the rows of the fit have weights."""
    case = well_conditioned(**WELL_CONDITIONED[kind])
    theirs, ours = by_statsmodels(case), fitted(case, "certified")
    x = np.random.default_rng(4).uniform(-1.3, 1.3, size=(15, len(case.columns)))
    frame = theirs.get_prediction(powers(list(x.T), case.exponents)).summary_frame(1 - level)
    x = x[:, 0] if len(case.columns) == 1 else x  # (N,) is as good as (N, 1)
    near = dict(rtol=1e-9, atol=1e-11)  # a band may end near 0
    np.testing.assert_allclose(ours.predict(x), frame["mean"], **near)
    for interval, prefix in [("confidence", "mean"), ("prediction", "obs")]:
        weights = None if case.weights is None else 1
        found = ours.predict(x, interval=interval, level=level, weights=weights)
        names = ["mean", f"{prefix}_ci_lower", f"{prefix}_ci_upper"]
        np.testing.assert_allclose(np.stack(found, axis=1), frame[names], **near)


# -- chance -----------------------------------------------------------------------------------

TABLES = 2000
ROWS = 8  # 5 degrees of freedom: a normal quantile in place of Student's covers 89 %, 12 sigma off
NEW_X = 1.1


@cache
def hits() -> dict[str, int]:
    """How often an interval of 95 % holds the truth, over TABLES tables."""
    rng = np.random.default_rng(5)
    truth = np.array([1.0, -2.0, 3.0])
    mean = np.polynomial.polynomial.polyval(NEW_X, truth)
    config = FitConfig(data="memory", target="y", degree=2, precision="fast", intercept=True)
    counts = dict.fromkeys(["constant", "slope", "curvature", "confidence", "prediction"], 0)
    for _ in range(TABLES):
        x = rng.uniform(-1, 1, size=ROWS)
        noise = rng.normal(scale=0.5, size=ROWS + 1)
        y = np.polynomial.polynomial.polyval(x, truth) + noise[:-1]
        answer = fit(InMemory(x=[x], y=y), config)
        low, high = np.asarray(answer.conf_int(level=0.95)).T
        for name, inside in zip(counts, (low <= truth) & (truth <= high), strict=False):
            counts[name] += int(inside)
        for kind, value in [("confidence", mean), ("prediction", mean + noise[-1])]:
            _, (low,), (high,) = answer.predict(np.array([NEW_X]), interval=kind, level=0.95)
            counts[kind] += int(low <= value <= high)
    return counts


@pytest.mark.parametrize("interval", ["constant", "slope", "curvature", "confidence", "prediction"])
def test_a_95_percent_interval_holds_the_truth_in_95_of_100_tables(interval):
    sigma = np.sqrt(TABLES * 0.95 * 0.05)
    assert abs(hits()[interval] - 0.95 * TABLES) < 4 * sigma
