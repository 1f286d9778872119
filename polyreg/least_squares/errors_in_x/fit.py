"""Fit of a table whose x and y have known errors: rows -> Result, in one variable.

The covariance is that of Gauss and Newton, (sum q q^T / v)^-1 with v = b^2 + f'^2 a^2 - 2 f' c at
the adjusted points: ISO/TS 28037, clause 10, at degree 1. It leaves out the second derivatives of
the residuals, as ODRPACK does by default.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from polyreg.config import FitConfig
from polyreg.errors import NearlySingular, Refused
from polyreg.inference.estimates import KNOWN
from polyreg.least_squares import notes
from polyreg.least_squares.conditions.affine import Affine, held
from polyreg.least_squares.conditions.reading import NOTHING, read
from polyreg.least_squares.errors_in_x.minimum import Basis, Minimum, Problem, Rows
from polyreg.least_squares.solve_float import ERROR, LIFTED
from polyreg.polynomials.design import Design, floats, times
from polyreg.polynomials.result import Result
from polyreg.polynomials.solution import EXACT_FIT, Solution
from polyreg.tables.rows import Block, Survey

METHOD = "least squares in x and y"
AHEAD = 2  # degrees above the chosen one among its neighbours
SINGULAR = 1 - 1e-12  # correlation from which on float64 cannot tell V from a singular one
BY = {"aicc": "AICc", "bic": "BIC"}


@dataclass(frozen=True, eq=False)
class Measured:
    """Rows with their uncertainties, as they are fitted: y in place of x where `swap` says so."""

    rows: Rows
    config: FitConfig
    name: str  # of x
    target: str
    sigma: str  # column of the target's uncertainty

    @classmethod
    def of(cls, names: Sequence[str], blocks: Iterable[Block], config: FitConfig) -> "Measured":
        """Raises Refused where uncertainties are none, or options make no such fit."""
        require_possible(names, config)
        parts = [_rows(block, bool(config.covariance)) for block in blocks]
        if not parts:
            raise Refused("the table has no rows")
        rows = Rows(*map(np.concatenate, zip(*parts, strict=True)))
        _require_variances(rows, config)
        if config.swap:
            return cls(rows.swapped(), config, config.target, names[0], config.sigma_x)
        return cls(rows, config, names[0], config.target, config.sigma)

    def survey(self) -> Survey:
        """As that of a table in y alone: what makes a basis."""
        x, y, _, b, _ = self.rows
        weights = b**-2.0
        return Survey(
            rows=len(x),
            low=np.array([x.min()]),
            high=np.array([x.max()]),
            y_size=float(np.abs(y).max()),
            weight_size=float(weights.max()),
            weight_low=float(weights.min()),
            sample=Block((x,), y, weights),
        )

    def design(self, degree: int) -> Design:
        return Design.fitted((self.name,), self.survey(), degree, 1)

    def fit(self, degree: int) -> Result:
        """Raises Refused where there are too few rows or distinct values, or float64 fails."""
        count, design = len(self.rows.x), self.design(degree)
        wanted = read(self.config, (self.name,))
        known = Affine.of(wanted, design, self.config.intercept)
        lift, start, size = np.eye(degree + 1), np.zeros(degree + 1), degree + 1
        if known is not None:
            lift, start, size = known.lift, known.start, len(known.free)
        if count < size:
            what = "terms" if wanted == NOTHING else "free parameters"
            raise Refused(f"{size} {what} need at least as many rows, got {count}; lower --degree")
        try:
            found = Problem(self.rows, Basis(design, lift, start)).minimum()
        except (NearlySingular, np.linalg.LinAlgError):
            distinct = len(np.unique(self.rows.x))
            raise Refused(
                f"{size} terms cannot be told apart on {count} rows with {distinct} distinct "
                f"values of {self.name}; lower --degree"
            ) from None
        weights = [Fraction(w) for w in (start + lift @ found.state.free).tolist()]
        if known is not None:
            weights = known.exactly(weights)
        return self._result(design, found, weights, lift, known)

    def _result(
        self,
        design: Design,
        found: Minimum,
        weights: list[Fraction],
        lift: np.ndarray,
        known: Affine | None,
    ) -> Result:
        rows, config = self.rows, self.config
        root, state = found.root @ lift.T, found.state
        inverse = root.T @ root
        is_centred = known is None or known.is_centred
        tss = _total(rows.y, 1 / state.v, is_centred)
        square = _total(rows.y, 1 / state.v, False)
        is_exact = state.total <= EXACT_FIT * square
        powers, largest = design.powers.scaled()
        # As of a fit in y alone (solve_float.solution), and the step that would have come next.
        length = math.sqrt((1 / state.v).sum()) / 2
        error = ERROR * (1 + design.degree) * length * (1 if known is None else LIFTED)
        sizes = math.sqrt(square) + np.abs(floats(weights)).sum() * length
        errors = np.abs(powers) @ (np.abs(inverse).sum(1) * error * sizes)
        errors += np.abs(powers) @ np.abs(lift @ found.step)
        spread = np.linalg.norm(powers @ root.T, axis=1)
        errors[[] if known is None else known.known] = 0.0
        spread[[] if known is None else known.known] = 0.0
        made = Result(
            design=design,
            solution=Solution(
                weights=floats(weights),
                coefficients=floats(design.powers.coefficients(weights)),
                inverse=inverse,
                spread=times(spread, largest),
                errors=times(errors, largest),
                rss=state.total,
                tss=tss,
                rank=len(root),
                condition=found.condition,
                exact_fit=bool(is_exact),
                **held(known),
            ),
            target=self.target,
            intercept=is_centred,
            level=config.level,
            precision="fast",
            method=METHOD,
            nobs=len(rows.x),
            log_weights=float(-2 * np.log(rows.b).sum()),
            weighted_by=self.sigma,
            uncertainties=KNOWN,
            deviation=deviation(rows, found),
            swapped=config.swap,
            low=np.array([rows.x.min()]),
            high=np.array([rows.x.max()]),
        )
        told = [*(known.notes(design) if known else ()), *notes.notes(made)]
        if not found.has_converged:
            told.append(
                f"least squares in x and y had not settled after {found.steps} steps: the gradient "
                f"is {found.gradient:.2g} of its scale; lower the degree"
            )
        return replace(made, notes=tuple(told))

    def chosen(self) -> Result:
        """The degree with the least AICc = chi2 + 2 p + 2 p (p + 1) / (N - p - 1), or BIC =
        chi2 + p log N, of p terms, while N - p - 1 > 0 (Burnham and Anderson 2002)."""
        config, count = self.config, len(self.rows.x)
        criterion = "aicc" if config.criterion == "cv" else config.criterion
        tried: list[tuple[float, int, Result]] = []
        for degree in range(_lowest(config), config.max_degree + 1):
            p = degree + (1 if config.intercept else 0)
            if count - p - 1 <= 0:
                break
            try:
                found = self.fit(degree)
            except Refused:
                if not tried:
                    raise
                break
            tried.append((criterion_value(criterion, found.chi2, p, count), degree, found))
        if not tried:
            raise Refused(
                f"choosing the degree by {BY[criterion]} needs at least {_lowest(config) + 3} "
                f"rows, got {count}; give --degree"
            )
        value, degree, found = min(tried, key=lambda each: each[:2])
        values = ", ".join(f"{each[0]:.5g}" for each in tried)
        told = [
            f"degree {degree} has the least {BY[criterion]}, {value:.4g}, of degrees "
            f"{tried[0][1]} to {tried[-1][1]}: {values}"
        ]
        if config.criterion == "cv":
            told.append(
                "with --sigma-x the degree is chosen by AICc: cross-validation is of errors in y "
                "alone"
            )
        return replace(found, notes=(*told, *found.notes))


def fitted(names: Sequence[str], blocks: Iterable[Block], config: FitConfig) -> Result:
    """The polynomial in one variable that is nearest to the rows, by their V (minimum.py).

    Raises Refused where uncertainties are none, or options or rows make no such fit.
    """
    measured = Measured.of(names, blocks, config)
    return measured.chosen() if config.degree == "auto" else measured.fit(int(config.degree))


def neighbours(rows: Any, config: FitConfig) -> list[Result]:
    """Fits of a table's rows of degree 0, 1, ..., two above that of `config`, to compare them.

    rows: a Table or InMemory. Degrees above what the rows can tell apart are left out; of degree
    "auto", the one it chooses counts.
    """
    measured = Measured.of(rows.names, rows.blocks(), config)
    degree = measured.chosen().design.degree if config.degree == "auto" else int(config.degree)
    return list(_each(measured, range(_lowest(config), degree + AHEAD + 1)))


def _each(measured: Measured, degrees: range) -> Iterator[Result]:
    for degree in degrees:
        try:
            yield measured.fit(degree)
        except Refused:
            return


def criterion_value(name: str, chi2: float, p: int, count: int) -> float:
    """AICc or BIC of p terms on `count` rows, whose likelihood is exp(-chi2 / 2)."""
    if name == "bic":
        return chi2 + p * math.log(count)
    return chi2 + 2 * p + 2 * p * (p + 1) / (count - p - 1)


def deviation(rows: Rows, found: Minimum) -> float:
    """The largest |x - xi| / a or |y - f(xi)| / b: at most 2 as ISO 6143 has it."""
    state = found.state
    return float(max(np.abs(state.delta).max(), np.abs(state.left / rows.b).max()))


def require_possible(names: Sequence[str], config: FitConfig) -> None:
    """Raises Refused where options make no least squares in x and y."""
    if len(names) != 1:
        raise Refused(
            f"--sigma-x is of one variable, and there are {len(names)}: {', '.join(names)}; name "
            "one of --features"
        )
    if config.precision == "certified":
        raise Refused("--precision certified is exact in y alone; with --sigma-x take fast or auto")
    if config.engine == "ray":
        raise Refused("--sigma-x needs all rows in one process; leave out --engine ray")
    if config.degree == "auto" and config.criterion not in ("cv", *BY):
        raise Refused(
            f"--criterion {config.criterion} is of errors in y alone; with --sigma-x take aicc or "
            "bic"
        )


def _require_variances(rows: Rows, config: FitConfig) -> None:
    """Raises Refused where a < 0 or V is not positive definite."""
    if (wrong := rows.a < 0).any():
        k = int(wrong.argmax())
        raise Refused(
            f"the uncertainty of x in row {k + 1} (column {config.sigma_x}) is {rows.a[k]:g} and "
            "must be 0 or more"
        )
    if config.swap and (wrong := rows.a == 0).any():
        raise Refused(
            f"--swap needs --sigma-x above 0, and it is 0 in row {int(wrong.argmax()) + 1} (column "
            f"{config.sigma_x})"
        )
    limit = rows.a * rows.b
    if (wrong := (np.abs(rows.c) >= SINGULAR * limit) & (rows.c != 0)).any():
        k = int(wrong.argmax())
        raise Refused(
            f"the covariance in row {k + 1} (column {config.covariance}) is {rows.c[k]:g} and must "
            f"be less in size than the product of both uncertainties, {limit[k]:g}"
        )


def _rows(block: Block, has_covariance: bool) -> Rows:
    assert block.y is not None and block.weights is not None
    a = block.more[0]
    c = block.more[1] if has_covariance else np.zeros_like(a)
    return Rows(block.x[0], block.y, a, block.weights**-0.5, c)


def _lowest(config: FitConfig) -> int:
    return 0 if config.intercept else 1


def _total(y: np.ndarray, weights: np.ndarray, about_mean: bool) -> float:
    """Weighted sum of squares of y, about its mean or 0."""
    mean = (weights * y).sum() / weights.sum() if about_mean else 0.0
    return float((weights * (y - mean) ** 2).sum())
