"""Record of a fit in its run (tags, metrics, figures), and its report on the terminal."""

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.special import ndtri

from polyreg.fields import MAX_TAG
from polyreg.inference.levels import base_levels, level_lines
from polyreg.inference.surface import refusal
from polyreg.least_squares.notes import doubtful_chi2
from polyreg.least_squares.origin import Source
from polyreg.polynomials.module import FittedModel
from polyreg.polynomials.predictor import weight_of
from polyreg.polynomials.result import Result
from polyreg.polynomials.summary import quality, scale, shape
from polyreg.polynomials.terms import keys
from polyreg.reports.columns import curve_grid, drawn, framed, scaled
from polyreg.reports.levels import level_figure
from polyreg.reports.plans import features
from polyreg.reports.study import deviation, record_study, study_lines
from polyreg.reports.study.back import back_line, record_back_calculated
from polyreg.tables import Block
from polyreg.tables.missing import counts
from polyreg.text import aligned
from polyreg.tracking import Clock, Run

GRID = 121  # points along each axis of the contours
POINTS = 2000  # of the sample in the plots
SHOWN = 400  # of it in sample.json
MEANING = "std error: the data's uncertainty; digits: those that arithmetic leaves certain"


def record(run: Run, result: Result, clock: Clock, register_as: str = "") -> None:
    """Log a fit: tags, dataset, plots, model, coefficients, sample, metrics."""
    describe(run, result)
    with clock("plots"):
        for name, figure in figures(result):
            run.figure(figure, name)
    with clock("model"):
        example = result.example()
        run.model(FittedModel(result), result, example, register_as)
    run.coefficients(result)
    record_study(run, result, title(result))
    record_back_calculated(run, result)
    run.describe("; ".join(summary(result)), result)
    run.text(json.dumps(sample(result)), "sample.json")
    if result.selection:
        run.by_degree(result.selection.degrees, result.selection.curves())
    run.log(metrics(result) | clock.metrics())


def record_loaded(run: Run, result: Result, register_as: str = "") -> None:
    """Log a result whose data are not there: coefficients, description and model."""
    run.coefficients(result)
    run.model(FittedModel(result), result, result.example(), register_as)
    run.describe("", result)


def title(result: Result) -> str:
    """A fit's name: table, features and degree, and what was given besides the defaults."""
    chosen = result.selection.chosen if result.selection else None
    features = (result.target,) if result.swapped else result.named
    return result.origin.config.named(features, chosen)


def sample(result: Result) -> dict[str, Any]:
    """Some of the rows, to be drawn beside other fits: x (N, C), y (N,), as they were read."""
    drawn = result.origin.given
    every = -(-len(drawn.y) // SHOWN)
    columns = [column[::every].tolist() for column in drawn.x]
    return {
        "names": list(result.columns),
        "target": result.target_column,
        "x": list(zip(*columns, strict=True)),
        "y": drawn.y[::every].tolist(),
    }


def describe(run: Run, result: Result) -> None:
    """What was fitted, to what: tags and dataset."""
    dataset(run, result)
    run.tag(
        {
            "device": result.origin.device,
            "basis": "orthogonal under the table",
            "precision": result.precision,
            "uncertainties": result.uncertainties,
            "full_rank": str(result.has_full_rank).lower(),
        }
        | table_tags(result)
    )


def dataset(run: Run, result: Result) -> None:
    """The table, as MLflow knows datasets."""
    origin = result.origin
    run.dataset(origin.source, origin.sha256, origin.schema, result.nobs + origin.missing_rows)


def table_tags(result: Result) -> dict[str, str]:
    """Hash of the table, and how it was read."""
    return source_tags(result.origin)


def source_tags(origin: Source) -> dict[str, str]:
    """Of any table that was read."""
    tags = {"data.sha256": origin.sha256}
    if origin.read:
        tags["data.read"] = origin.read[:MAX_TAG]
    if origin.skipped:
        tags["files_skipped"] = "; ".join(origin.skipped)[:MAX_TAG]
    return tags


def metrics(result: Result) -> dict[str, float]:
    """What is compared between fits; what is not finite is left out."""
    errors = zip(keys(result.terms), result.std_errors, strict=True)
    chosen = {"cv/chosen_mse": result.selection.chosen_mse} if result.selection else {}
    return {
        "degree": result.design.degree,
        "rows": result.nobs,
        "rows_missing": result.origin.missing_rows,
        "rank": result.rank,
        "condition": result.condition,
        "residual_sd": result.residual_sd,
        "robust_sd": result.noise_sd if result.is_robust else math.nan,
        "r2": result.r2,
        "adjusted_r2": result.adjusted_r2,
        "aic": result.aic,
        "bic": result.bic,
        "chi2": result.chi2,
        "chi2_p": result.chi2_p,
        "reduced_chi2": result.reduced_chi2,
        "weighted_deviation": deviation(result),
        "digits/min": result.digits.min(),
        **{f"std_error/{key}": value for key, value in errors},
        **chosen,
    }


def figures(result: Result) -> Iterator[tuple[str, Any]]:
    """The fit with its bands or contours, residuals, quantiles, choice of the degree; by name."""
    from polyreg.reports import figures as draw

    yield "fit", fit_figure(result)
    if len(result.design.numeric) == 2 and (result.low < result.high).all():
        yield "contour", contour_figure(result)
    if result.residual_sd > 0:  # nan where there are as many terms as rows
        result = result.as_fitted
        x, y, weights = points(result)
        names = result.variables
        fitted = result.predict(x)
        residual = (y - fitted) * np.sqrt(weights) / result.noise_sd
        across = (fitted, f"fitted {with_units(result, result.target)}")
        if len(names) == 1:
            across = (x[:, 0], with_units(result, names[0]))
        unit = "uncertainty" if result.is_known else "residual SD"
        unit = "robust SD" if result.is_robust and not result.is_known else unit
        yield (
            "residuals",
            draw.fit_residuals(across[0], residual, across[1], title(result), unit=unit),
        )
        normal = ndtri((np.arange(len(residual)) + 0.5) / len(residual))
        yield "quantiles", draw.quantiles(normal, np.sort(residual), title(result), label(result))
    if selection := result.selection:
        yield (
            "selection",
            draw.selection(
                selection.degrees,
                selection.mse,
                selection.std_error,
                {"AIC": selection.aic, "BIC": selection.bic},
                chosen=selection.chosen,
                best=selection.best,
                title=title(result),
            ),
        )


def points(result: Result) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that are drawn: x (n, C), y (n,), weights (n,)."""
    sample = drawn(result)
    every = _every(sample)
    x = np.column_stack([column[::every] for column in sample.x])
    assert sample.y is not None
    y = sample.y[::every]
    if result.weight_function:
        return x, y, weight_of(result.weight_function, x[:, 0], result.predict(x))
    return x, y, np.ones(len(y)) if sample.weights is None else sample.weights[::every]


def _every(sample: Block) -> int:
    assert sample.y is not None
    return max(1, len(sample.y) // POINTS)


def with_units(result: Result, name: str) -> str:
    """A variable as an axis is labelled: `x (mV)`, `when (days since 2024-03-01)`."""
    return f"{name} ({result.units[name]})" if name in result.units else name


def label(result: Result) -> str:
    """How the points are named in a legend."""
    return "data" if len(points(result)[1]) == result.nobs else "data (a sample)"


def fit_figure(result: Result) -> Any:
    """The fit with its bands over the rows; of several variables, observed against fitted."""
    from polyreg.reports import figures as draw

    if result.levels and len(result.design.numeric) == 1:
        return level_figure(result, *points(result.as_fitted)[:2], title(result))
    x, y, weights = points(result)
    about: dict[str, Any] = {"level": result.level, "title": title(result), "label": label(result)}
    if len(result.variables) > 1:
        fitted, new = result.predict(x), None
        if result.weighted_by is None and not result.weight_function:
            new = result.predict(x, "prediction")[1:]
        name = with_units(result, result.target_column)
        return scaled(result, draw.observed(fitted, y, new, name=name, **about))
    grid = curve_grid(result)
    kind = result.origin.config.band
    curve, *confidence = result.predict(grid, "confidence", band=kind)
    names = (with_units(result, result.columns[0]), with_units(result, result.target_column))
    new = prediction_band(result, grid)
    ends, cut = framed(result, y, [curve, *confidence, *(new or ())])
    low, high = map(cut, confidence)
    new = new and (cut(new[0]), cut(new[1]))
    figure = draw.band(
        (x[:, 0], y), grid, cut(curve), (low, high), new, names=names,
        error=1 / np.sqrt(weights) if result.is_known else None, error_x=uncertainty_of_x(result),
        band=kind, **about,
    )  # fmt: skip
    return scaled(result, figure, ends)


def contour_figure(result: Result) -> Any:
    """The polynomial in two variables over the data's range; of degree 2 its stationary point."""
    from polyreg.reports.study.contour import Stationary, contour

    found, base = None if refusal(result) else result.stationary_point(), base_levels(result)
    result = result.as_fitted
    numeric, names = result.design.numeric, [*result.variables]
    axes = [np.linspace(result.low[d], result.high[d], GRID) for d in numeric]
    if found and np.isfinite(found.std_errors).all():  # its region can be smaller than a step
        reach = 2 * np.sqrt(2 * found.region.limit) * found.std_errors
        finer = np.linspace(found.x - reach, found.x + reach, GRID // 2).T
        pairs = zip(axes, finer, strict=True)
        axes = [np.union1d(c, f[(f > c[0]) & (f < c[-1])]) for c, f in pairs]
    mesh = np.meshgrid(*axes)
    at = np.column_stack([part.ravel() for part in mesh])
    x = np.zeros((len(at), len(names)))  # of words their base levels
    x[:, numeric] = at
    height = with_units(result, result.target) + f" at {base}" * bool(base)
    stationary = None
    if found:
        name = f"stationary point ({found.kind})"
        if not found.inside:
            is_nowhere = np.isnan(found.x).any()
            name = "no stationary point: a ridge" if is_nowhere else f"{name} not in this range"
        statistic = found.region.statistic(at).reshape(mesh[0].shape)
        region = f"its {100 * result.level:g} % region"
        stationary = Stationary(found.x, name, statistic, found.region.limit, region)
    return contour(
        (axes[0], axes[1]),
        result.predict(x).reshape(mesh[0].shape),
        points(result)[0][:, numeric],
        names=[*(with_units(result, names[d]) for d in numeric), height],
        title=title(result),
        label=label(result),
        stationary=stationary,
    )


def uncertainty_of_x(result: Result) -> np.ndarray | None:
    """Of the rows that are drawn (n,), where it is known."""
    sample = drawn(result)
    return sample.more[0][:: _every(sample)] if result.origin.config.sigma_x else None


def prediction_band(result: Result, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Low and high of a new y; None where they depend on its own weight or uncertainty."""
    if result.weighted_by is not None:
        return None
    _, low, high = result.predict(grid, "prediction")
    return low, high


def report(result: Result) -> tuple[list[str], list[str]]:
    """Equation, table of coefficients, what is known of the fit, in lines; and what to mind."""
    header = ["term", "estimate", "std error", f"{100 * result.level:g} % low", "high", "digits"]
    columns = zip(
        result.terms,
        result.coefficients,
        result.std_errors,
        result.conf_int(),
        result.digits,
        strict=True,
    )
    rows = [
        [
            term,
            f"{estimate:.10g}",
            *(
                [f"{error:.3g}", f"{low:.6g}", f"{high:.6g}"]
                if result.has_errors
                else ["-", "-", "-"]
            ),
            f"{digits:.1f}" if digits == digits else "-",  # nan where terms depend
        ]
        for term, estimate, error, (low, high), digits in columns
    ]
    meaning = [MEANING] if result.has_errors else []
    lines = [*result.equations.lines(), "", aligned(header, rows), *meaning, "", *summary(result)]
    lines += [*study_lines(result), *back_line(result)]
    said = result.origin.remarks  # before the fit
    doubts = [*doubtful_chi2(result)]
    notes = [f"warning: {doubt}" for doubt in doubts]
    notes += [f"note: {note}" for note in result.notes if note not in [*said, *doubts]]
    return lines, notes + [f"warning: left out: {skipped}" for skipped in result.origin.skipped]


def rows(result: Result) -> str:
    """How many rows there are, and how many were dropped, for what."""
    missing = result.origin.missing_rows
    by_column = f": {counts(result.origin.missing_by)}" if result.origin.missing_by else ""
    return f"{result.nobs:,} rows" + (f" ({missing:,} dropped{by_column})" if missing else "")


def summary(result: Result) -> Iterator[str]:
    """What is known of the fit, in a few lines."""
    determined = f"condition {result.condition:.3g}"
    if not result.has_full_rank:
        determined = f"rank {result.rank} of {result.parameters}"
    told = [rows(result), *quality(result), determined, result.precision]
    yield ", ".join(told)
    if result.has_errors:
        yield from scale(result)
    yield f"features {features(result.named, result.origin.unused)}"
    yield from level_lines(result)
    yield from shape(result)
    if result.selection:
        yield result.selection.sentence()
