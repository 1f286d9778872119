"""Result of a fit or of a training: what is done with the polynomial that was found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from polyreg.errors import PolyregError
from polyreg.inference import calibration, influence
from polyreg.inference.back_calculated import back_calculated
from polyreg.inference.breaks import Breaks, breaks, turning_points
from polyreg.inference.degrees import LackOfFit
from polyreg.inference.estimates import Estimates
from polyreg.inference.limits import Limits, limits
from polyreg.inference.study import Deferred, Study
from polyreg.polynomials import document, families, summary, terms
from polyreg.polynomials.document import NO_ERRORS
from polyreg.polynomials.equation import Equations
from polyreg.polynomials.inputs import is_frame
from polyreg.polynomials.solution import Solution
from polyreg.polynomials.variables import answers

INTERVALS = ("confidence", "prediction")


@dataclass(frozen=True, eq=False, repr=False)
class Result(Estimates):
    """Polynomial in D variables that a fit or a training found; K terms, in powers of x.

    Standard errors, t and p values, intervals and bands are nan where they are not known: of a
    training, of a fit with ridge, and where the rank is below the number of parameters, or there
    are as many of them as rows. Names are statsmodels' wherever it has one.

    >>> import polyreg
    >>> result = polyreg.fit([0, 1, 2, 3, 4], [0.1, 0.9, 4.1, 8.9, 16.0], degree=2)
    >>> result.std_errors.round(3).tolist(), result.df_resid
    ([0.121, 0.144, 0.034], 2)
    """

    @classmethod
    def trained(
        cls,
        weights: np.ndarray,
        family: str,
        domain: tuple[float, float],
        condition: float,
        *,
        truth: Sequence[float] | np.ndarray | None = None,
        nobs: int = 0,
        method: str = "sgd",
        precision: str = "float32",
        origin: Any = None,
    ) -> "Result":
        """Result of a training in x: weights (K,) of a family's phi_0 ... phi_{K-1}.

        The x of the training lay in `domain`; `condition` is that of its design matrix. `truth`,
        constant first, may be of another degree: where it is lower, zeros follow. Coefficients are
        exact, rounded once.
        """
        weights = np.array(weights, dtype=float)
        size = len(weights)
        unknown = np.full(size, np.nan)
        return cls(
            design=families.design(family, size - 1),
            solution=Solution(
                weights=weights,
                coefficients=families.to_powers(weights, family),
                inverse=np.full((size, size), np.nan),
                spread=unknown,
                errors=unknown,
                rss=math.nan,
                tss=math.nan,
                rank=size,
                condition=condition,
            ),
            low=np.array(domain[:1], dtype=float),
            high=np.array(domain[1:], dtype=float),
            nobs=nobs,
            precision=precision,
            method=method,
            notes=(NO_ERRORS,),
            origin=origin,
            truth=None if truth is None else np.array([*truth, *[0.0] * (size - len(truth))]),
        )

    def __call__(self, x):
        """The polynomial at x, as `predict` takes it."""
        return self.predict(x)

    def predict(
        self,
        x,
        interval: str | None = None,
        level: float | None = None,
        weights=None,
        *,
        band: str = "pointwise",
        sigma=None,
        sigma_x=None,
    ):
        """Evaluate the polynomial, in the basis that did the work.

        x (N, D), (N,) where D is 1, (D,) one row of several, or a frame by its names  ->  (N,);
        of one variable, a number  ->  a number. float64, in units of y.

        With interval "confidence" (of the mean) or "prediction" (of one new y), at `level`, by
        default the fit's:  ->  prediction (N,), low (N,), high (N,)

        The variance of a new y of weight w is s^2 / w + q^T C q. After a fit with weights,
        "prediction" needs those of the new rows: `weights`, (N,) or a number, or the column
        `weighted_by` of a frame x; without, low and high are nan, and a UserWarning says why.
        A weight function (1/x, ...) needs none. After a fit with known uncertainties it is
        `sigma`^2 + q^T C q: the new y's own, (N,) or a number, or that column.

        sigma_x: standard uncertainty of x itself, (N,) or a number, of one variable; it adds
            (p'(x) sigma_x)^2 to the variance
        band: "simultaneous" holds the whole polynomial at the level, not each of its values
            (Working and Hotelling); of interval "confidence"

        Raises ValueError where x has another shape or lacks a variable, interval, level or band is
        none, or a weight or uncertainty is not above 0. What overflows, far outside the domain, is
        inf or nan.
        """
        if interval not in (None, *INTERVALS):
            raise PolyregError(f"interval must be one of {', '.join(INTERVALS)}; got {interval!r}")
        if band != "pointwise" and interval == "prediction":
            raise PolyregError(f"band {band!r} is one of the mean; ask for the interval confidence")
        found = answers.predicted(self, x, interval, level, weights, band, sigma, sigma_x)
        if not is_frame(x) and np.ndim(x) == 0:
            found = [values[0] for values in found]
        return tuple(found) if interval else found[0]

    def derivative(self, x) -> np.ndarray:
        """The derivative dy/dx of a polynomial in one variable; x (N,)  ->  (N,)

        Raises ValueError of several variables.
        """
        return answers.derivative(self, x)

    def require_one(self, what: str) -> None:
        """Raise PolyregError where there are several variables, of which there is no such thing."""
        if len(self.variables) != 1:
            names, by = ", ".join(self.named), ", ".join(self.levels)
            way_out = f"; of each level alone it is, fit with --by {by}" * bool(by)
            raise PolyregError(f"{what} is of one variable; this fit has several: {names}{way_out}")

    @property
    def study(self) -> Study:
        """Degrees compared, and rows to doubt: two more passes over the rows, when first asked for.

        Raises PolyregError where the rows are not there, or are others than those of the fit.
        """
        return (self.deferred or Deferred(None)).get(self.as_fitted)

    @property
    def degrees(self) -> Any:
        """Statistics of the degrees 0 ... d + 2, a DataFrame; raises as `study` does.

        Columns: degree, terms, df_resid, rss, residual_sd, F, p, aicc, bic, cv, adjusted_r2, lof_F,
        lof_p, largest_residual (see polyreg.inference.degrees). Weights that follow from the fit
        stay those of its degree. Of one variable, without ridge; PolyregError with any other.
        """
        if self.study.degrees is None:
            raise PolyregError(f"there is no table of degrees: {self.study.no_degrees}")
        return self.study.degrees.to_frame()

    @property
    def lack_of_fit(self) -> LackOfFit:
        """Test against the pure error of rows that share their x: .F .p .df, and .reason if nan."""
        return self.study.lack_of_fit

    @property
    def weighted_deviation(self) -> float:
        """Largest |y - p(x)| / u over the rows, where uncertainties u are known; else nan."""
        if not self.is_known:
            return math.nan
        return self.study.weighted_deviation if math.isnan(self.deviation) else self.deviation

    def diagnostics(self, x, y, weights=None, sigma=None) -> Any:
        """Influence of the rows of the fit on it: a DataFrame, a row a row, statsmodels' words.

        Columns: fitted, residual, leverage, standardized (internally studentized), studentized
        (externally), p_bonferroni, cooks_distance, dffits. x as `predict` takes it, y (N,), and
        weights or sigma (N,) as the fit had them, or that column of a frame x. nan where nothing
        is left to judge a row: of exact fits, and where a row alone decides the fit at its x. Of a
        robust fit both residuals are in robust SD, and robust_weight is what the row counts for.

        Raises PolyregError of a training, with a ridge, and where terms depend on each other.
        """
        return influence.diagnostics(self, x, y, weights, sigma)

    @cached_property
    def pieces(self) -> list[calibration.Piece]:
        """Monotone pieces that meet the domain, in order; of one variable, ValueError of several.

        Proved by exact root counting of the derivative of the polynomial that float64 evaluates.
        They go on outside the domain, by 1,000 of its widths at most.
        """
        return calibration.pieces(self)

    @property
    def monotone(self) -> bool:
        """Whether y rises, or falls, with x in all of the range; a constant does neither.

        Both by their columns: not with a pole inside, nor where a part has no prediction.
        """
        is_one = not self.inputs or self.inputs[0].is_monotone
        return len(self.pieces) == 1 and is_one and not self.breaks

    @property
    def turning_points(self) -> np.ndarray:
        """Where y turns in the range: the x where its derivative changes sign."""
        return turning_points(self)

    @cached_property
    def breaks(self) -> Breaks:
        """Where y breaks off in the range of x: .poles, .of_x (poles of 1/x itself), .lost"""
        return breaks(self)

    def inverse(
        self,
        y,
        interval: str = "prediction",
        level: float | None = None,
        replicates=1,
        sigma=None,
        branch: int | None = None,
        weights=None,
    ) -> calibration.Inverse:
        """x from y: the x0 with p(x0) = y, its standard error, and an interval at `level`.

        y (N,) or a number, each the mean of `replicates` readings m  ->  .x .low .high .std_error
        .extrapolated, each (N,) or a number

        "prediction": low and high solve p(x) -+ t sqrt(n / m + q^T C q) = y, n the variance of a
        reading (at degree 1 Fieller's interval); "mean": without n, where the mean itself is y;
        "delta": x0 -+ t SE with SE = sqrt(n / m + q^T C q) / |p'(x0)|, which is std_error.
        n is s^2 / w: `weights` of the readings, (N,) or a number, or the weight function; after a
        fit with known uncertainties it is `sigma`^2, the reading's own. Without, low, high and
        std_error are nan, and a UserWarning says why.

        x is nan where p does not come to y. A bound is infinite where the band does not reach y,
        within 1,000 widths of the domain. Where p is not monotone on its domain, `branch` is the
        number of a piece, from 1.

        Raises ValueError of several variables, of a constant, where p is not monotone and no branch
        is chosen, and where an argument is none.

        >>> import polyreg
        >>> line = polyreg.fit([0, 1, 2, 3], [0.1, 0.9, 2.1, 2.9], degree=1)
        >>> found = line.inverse(1.5)
        >>> round(found.x, 6), found.low < found.x < found.high
        (1.5, True)
        """
        return calibration.inverse(self, y, interval, level, replicates, sigma, branch, weights)

    def limits(
        self,
        alpha: float = 0.05,
        beta: float = 0.05,
        k: float = 3.0,
        replicates: int = 1,
        sigma: float | None = None,
        weights: float | None = None,
    ) -> Limits:
        """Decision, detection and quantification limits of a calibration, as DIN 32645 has them.

        alpha: chance that a blank is taken for more; beta: that the detection limit is missed
        k: the quantification limit's interval, at level 1 - alpha, has the half width x / k
        replicates: readings that are averaged; sigma or weights: of one reading near the blank,
        where the fit's rows had some

        -> .decision .detection .quantification, in x; .detection_by_bands (Hubaux and Vos 1970);
        .y_decision .y_detection; .notes

        Raises ValueError where p is not monotone down to the blank, x = 0, where errors are not
        known, and where an argument is none.
        """
        return limits(self, alpha, beta, k, replicates, sigma, weights)

    def back_calculated(self, x, y) -> Any:
        """x of a calibration from the y of its own rows, and its error in % of x: a DataFrame.

        Columns x, y, found, error, and mean_found, mean_error over the rows of the same x.
        """
        return back_calculated(self, x, y)

    def extrapolated(self, x) -> np.ndarray:
        """Which rows of x, as `predict` takes it, lie outside the domain  ->  (N,) bool."""
        z = answers.variables_at(self, x)
        return np.any((z < self.low) | (z > self.high), axis=1)

    @cached_property
    def as_fitted(self) -> "Result":
        """The polynomial of the variables as they are written: of log(x), where that is one."""
        return replace(self, inputs=(), outcome=None) if self.is_transformed else self

    def against_truth(self) -> list[tuple[str, float, float]]:
        """(term, truth, estimate) of every term that either has; one that is missing is 0.

        Raises ValueError where no truth is known.
        """
        if self.truth is None:
            raise PolyregError("the true coefficients are not known: only those of a training are")
        size = max(len(self.truth), len(self.coefficients))
        truth, estimate = np.zeros(size), np.zeros(size)
        truth[: len(self.truth)] = self.truth
        estimate[: len(self.coefficients)] = self.coefficients
        return list(zip(terms.powers(size - 1), truth.tolist(), estimate.tolist(), strict=True))

    def max_error(self) -> float:
        """The largest |estimate - truth| of a coefficient; a term the model lacks counts as 0.

        Raises ValueError where no truth is known.
        """
        return max(abs(estimate - truth) for _, truth, estimate in self.against_truth())

    @cached_property
    def equations(self) -> Equations:
        """The polynomial as equations in float64: equations["centred"].coefficients, .centre"""
        return Equations(self)

    def equation(self, form: str | None = None) -> str:
        """The polynomial, every digit of it: y = 0.9 + 0.5*x + 3*x^2

        Evaluated as it is printed, in float64, it is within a tenth of the standard error of the
        fit on the domain; where none is known, within 1e-9 of the range of y. Where powers of x
        are not, it is in others: y = 3.1 + 2.2*t + 0.5*t^2, t = (x - 2010)/9. `form` asks for
        one: "powers", "centred" or "chebyshev"; ValueError with any other.
        """
        return (self.equations[form] if form else self.equations.usable).text

    def summary(self) -> str:
        """The figures, the table of coefficients and the notes, as statsmodels' summary has them.

        At most 100 columns wide: long names are shortened. Of a training the table has truth and
        error, where the truth is known, in place of standard errors.
        """
        return summary.text(self)

    def _repr_html_(self) -> str:
        """What `summary` says, as tables for a notebook; every name escaped."""
        return summary.html(self)

    def __repr__(self) -> str:
        """The equation, every digit of it, and a line of figures."""
        return f"{self.equation()}\n{summary.line(self)}"

    def plot(self) -> Any:
        """The figure that its run logs: data, polynomial and bands, or the truth of a training.

        A matplotlib Figure, of one variable over x, of several observed against fitted; what was
        loaded has no data left to draw. `.savefig(path)` writes it.
        """
        from polyreg.reports.plot import plot  # what draws is above, and comes when it is asked for

        return plot(self)

    def to_numpy(self) -> np.polynomial.Polynomial:
        """The same coefficients as numpy's series in powers of x, to derive, integrate, find roots.

        Of one variable; ValueError of several.
        """
        if len(self.variables) != 1:
            names = ", ".join(self.variables)
            raise PolyregError(
                f"numpy's Polynomial has one variable; this one has several: {names}"
            )
        return np.polynomial.Polynomial(self.solution.coefficients)

    def to_dict(self) -> dict[str, Any]:
        """The document that coefficients.json holds, all of it finite JSON.

        A row a term, the figures, and under `basis` what it takes to predict from it. How the
        degree was chosen (`selection`) is not in it.
        """
        return document.write(self)

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> "Result":
        """The result that `to_dict` wrote down, or what polyreg 0.1 wrote of fits and trainings.

        Raises KeyError, TypeError, AttributeError or ValueError where it is no such document.
        """
        return cls(**document.read(written))
