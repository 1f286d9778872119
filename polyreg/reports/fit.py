"""What a fit leaves in its run and on the terminal: tags, metrics, figures, a table."""

from collections.abc import Iterator
from typing import Any

import click

from polyreg.fields import MAX_TAG
from polyreg.text import aligned

POINTS = 2000  # of the sample in the plots
SHOWN = 400  # of it in sample.json


def sample(answer: Any, drawn: Any) -> dict[str, Any]:
    """Some of the rows, to be drawn beside other fits: x (N, D), y (N,)."""
    every = -(-len(drawn.y) // SHOWN)
    columns = [column[::every].tolist() for column in drawn.x]
    return {
        "names": list(answer.design.names),
        "target": answer.target,
        "x": list(zip(*columns, strict=True)),
        "y": drawn.y[::every].tolist(),
    }


def describe(run: Any, answer: Any, rows: Any, digest: str, device: str) -> None:
    """What was fitted, to what: tags and dataset."""
    run.dataset(rows.root, digest, rows.schema, answer.nobs + rows.missing_rows)
    run.tag(
        {
            "data.sha256": digest,
            "device": device,
            "basis": "orthogonal under the table",
            "precision": answer.precision,
            "full_rank": str(answer.rank == len(answer.terms)).lower(),
        }
        | ({"files_skipped": "; ".join(rows.skipped)[:MAX_TAG]} if rows.skipped else {})
    )


def log_model(run: Any, answer: Any, register_as: str) -> None:
    import numpy as np

    from polyreg.polynomials.module import FittedModel

    example = np.linspace(answer.low, answer.high, 3)
    run.model(FittedModel(answer), answer, example, register_as)


def metrics(answer: Any, selection: Any, missing: int) -> dict[str, float]:
    """What is compared between fits; what is not finite is left out."""
    from polyreg.polynomials.terms import keys

    errors = zip(keys(answer.terms), answer.std_errors, strict=True)
    return {
        "degree": answer.design.degree,
        "rows": answer.nobs,
        "rows_missing": missing,
        "rank": answer.rank,
        "condition": answer.condition,
        "residual_sd": answer.residual_sd,
        "r2": answer.r2,
        "adjusted_r2": answer.adjusted_r2,
        "aic": answer.aic,
        "bic": answer.bic,
        "digits/min": answer.digits.min(),
        **{f"std_error/{key}": value for key, value in errors},
        **({"cv/chosen_mse": selection.chosen_mse} if selection else {}),
    }


def figures(answer: Any, selection: Any, sample: Any, title: str) -> Iterator:
    """The fit with its bands, the residuals, their quantiles, the choice of the degree; by name."""
    import numpy as np
    from scipy.special import ndtri

    from polyreg.reports import figures as draw

    every = max(1, len(sample.y) // POINTS)
    x = np.column_stack([column[::every] for column in sample.x])
    y = sample.y[::every]
    fitted, low, _ = answer.predict(x, "prediction")
    names, level = answer.design.names, answer.level
    label = "data" if len(y) == answer.nobs else "data (a sample)"
    if len(names) == 1:
        grid = np.linspace(answer.low[0], answer.high[0], 400)
        curve, *confidence = answer.predict(grid, "confidence")
        _, *new = answer.predict(grid, "prediction")
        yield (
            "fit",
            draw.band(
                (x[:, 0], y),
                grid,
                curve,
                tuple(confidence),
                tuple(new),
                level=level,
                names=(names[0], answer.target),
                title=title,
                label=label,
            ),
        )
    else:
        yield (
            "fit",
            draw.observed(
                fitted,
                y,
                fitted - low,
                level=level,
                name=answer.target,
                title=title,
                label=label,
            ),
        )
    if answer.residual_sd > 0:  # nan where there are as many terms as rows
        weights = 1 if sample.weights is None else sample.weights[::every]
        residual = (y - fitted) * np.sqrt(weights) / answer.residual_sd
        across = (x[:, 0], names[0]) if len(names) == 1 else (fitted, f"fitted {answer.target}")
        yield "residuals", draw.fit_residuals(across[0], residual, across[1], title)
        normal = ndtri((np.arange(len(residual)) + 0.5) / len(residual))
        yield "quantiles", draw.quantiles(normal, np.sort(residual), title, label)
    if selection:
        yield (
            "selection",
            draw.selection(
                selection.degrees,
                selection.mse,
                selection.std_error,
                {"AIC": selection.aic, "BIC": selection.bic},
                chosen=selection.chosen,
                best=selection.best,
                title=title,
            ),
        )


def report_plan(problem: Any, rows: Any, survey: Any, engine: Any) -> None:
    """What a fit would do."""
    terms = problem.design.terms
    shown = ", ".join(terms[:8]) + (f", ... {terms[-1]}" if len(terms) > 8 else "")
    condition = problem.expected_condition(survey.sample)
    dropped = f", and {rows.missing_rows:,} dropped" if rows.missing_rows else ""
    left_out = f", and {len(rows.skipped)} left out" if rows.skipped else ""
    plan = {
        "data": f"{len(rows.files)} {rows.format} file(s), {rows.size:,} bytes{left_out}",
        "rows": f"{survey.rows:,}{dropped}",
        "features": features(rows),
        "terms": f"{len(terms):,}: {shown}",
        "precision": problem.precision,
        "memory": f"{problem.memory() / 1e6:,.0f} MB, whatever the rows",
        "device": problem.device,
        "engine": str(engine or "this process"),
        "condition": f"about {condition:.3g}, in the scaled basis"
        if condition < float("inf")
        else "beyond float64, by the sample: terms may depend on each other",
    }
    for what, value in plan.items():
        click.echo(f"{what:<11}{value}")


def features(rows: Any) -> str:
    """The columns that are used, and those that are not."""
    used = {*rows.names, rows.target, rows.weights}
    left = [name for name, _ in rows.schema if name not in used]
    return ", ".join(rows.names) + (f"; not used: {', '.join(left)}" if left else "")


def report(answer: Any, selection: Any, rows: Any) -> None:
    """Print the equation, the table of coefficients, and what is known of the fit."""
    click.echo(answer.equation())
    click.echo("")
    header = ["term", "estimate", "std error", f"{100 * answer.level:g} % low", "high", "digits"]
    columns = zip(
        answer.terms,
        answer.coefficients,
        answer.std_errors,
        answer.conf_int(),
        answer.digits,
        strict=True,
    )
    lines = [
        [
            term,
            f"{estimate:.10g}",
            *(
                [f"{error:.3g}", f"{low:.6g}", f"{high:.6g}"]
                if answer.has_errors
                else ["-", "-", "-"]
            ),
            f"{digits:.1f}" if digits == digits else "-",  # nan where terms depend
        ]
        for term, estimate, error, (low, high), digits in columns
    ]
    click.echo(aligned(header, lines))
    click.echo("")
    for line in summary(answer, selection, rows):
        click.echo(line)
    for note in answer.notes:
        click.echo(f"note: {note}", err=True)
    for skipped in rows.skipped:
        click.echo(f"warning: left out: {skipped}", err=True)


def summary(answer: Any, selection: Any, rows: Any) -> Iterator[str]:
    """What is known of the fit, in a few lines."""
    dropped = f" ({rows.missing_rows:,} dropped)" if rows.missing_rows else ""
    spread = f"residual SD {answer.residual_sd:.6g}, " if answer.df_resid else ""
    if answer.r2 == answer.r2:  # not nan, which it is of a constant target
        spread += f"R2 {answer.r2:.10g}, "
    determined = f"condition {answer.condition:.3g}"
    if answer.rank < len(answer.terms):
        determined = f"rank {answer.rank} of {len(answer.terms)}"
    yield f"{answer.nobs:,} rows{dropped}, {spread}{determined}, {answer.precision}"
    yield f"features {features(rows)}"
    if selection:
        yield selection.sentence()
