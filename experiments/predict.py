"""What does a model predict for new rows, and how surely?

\b
    python -m experiments.predict --model runs:/<run id>/model --data new.csv
    mlflow run . -e predict -P model=runs:/<run id>/model -P data=new.csv

Streams a table, matches columns by name, and writes them with four more: prediction, low and
high (the interval's bounds), and extrapolated, true where a variable is outside the range that the
model was fitted on. Where a value is missing, so is the prediction. Of a fit with weights, the
interval of a new row depends on its own weight: it is read from the column of that name.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from experiments import grouped
from experiments.console import progress_bar
from experiments.lifecycle import Stop, exit_codes, patience, require_other_file, to_artifacts
from polyreg.config_reading import PredictConfig
from polyreg.errors import Refused
from polyreg.options import command, params

ADDED = ("prediction", "low", "high", "extrapolated")


@command(PredictConfig, help=__doc__)
def main(config: PredictConfig) -> None:
    with exit_codes() as stop:
        with stop.interruptible_imports():
            from polyreg import tracking
            from polyreg.tables.table import Table

        with recorded(config, stop) as run:
            try:
                answer = tracking.load(config.model)
            except ValueError as error:
                raise Refused(str(error)) from error
            if hasattr(answer, "by"):
                return many(answer, config, run, stop)
            reading: dict[str, Any] = {"reading": config.reading, "units": answer.units}
            reading["levels"] = answer.levels
            rows, unknown = Table.open(config.data, None, answer.columns, **reading), ""
            if config.interval == "prediction" and answer.has_errors:
                rows, unknown = with_weights(rows, config.data, answer, reading)
            out = Path(config.out)
            require_other_file(config.out, rows.files)
            added = (*ADDED, *[grouped.KNOWN] * bool(answer.levels))
            taken = [name for name, _ in rows.schema if name in added]
            if taken:
                raise Refused(f"{config.data} has a column {taken[0]} already; rename it")
            kinds = ("rows", "outside", "missing", "unknown", "unweighted", "unbounded")
            counts = dict.fromkeys(kinds, 0)
            interval = "none" if unknown else config.interval
            with progress_bar(rows.size, "B") as bar, stop.interruptible():
                asked = {"interval": interval, "band": config.band, "level": config.level or None}
                batches = partial(predicted, answer, rows, asked, counts, bar)
                where = write(run, out, rows, batches)
    if told := rows.unusual():
        click.echo(f"{rows.title}: {told}, {counts['rows']:,} rows", err=True)
    report(answer, counts, where)
    if unknown:
        click.echo(f"note: {unknown}", err=True)


def many(answer: Any, config: PredictConfig, run: Any, stop: Stop) -> None:
    """Predict each row by its own group's polynomial."""
    if config.band != "pointwise":
        raise Refused("--band simultaneous is of one polynomial; take pointwise")
    columns, weighed = [answer.variable], answer.config.weighed_by
    rows = grouped.keyed_table(answer, config.data, columns, config.reading, answer.units)
    names = [name for name, _ in rows.schema]
    if weighed and weighed in names and config.interval == "prediction":
        columns = [*columns, weighed]
        rows = grouped.keyed_table(answer, config.data, columns, config.reading, answer.units)
    for name in (*ADDED, grouped.KNOWN):
        if name in names:
            raise Refused(f"{config.data} has a column {name} already; rename it")
    out = Path(config.out)
    require_other_file(config.out, rows.files)
    counts = dict.fromkeys(("rows", "outside", "missing", "unknown", "unweighted"), 0)
    with progress_bar(rows.size, "B") as bar, stop.interruptible():
        asked = {"interval": config.interval, "level": config.level or None}
        batches = partial(grouped.predicted, answer, rows, asked, counts, bar)
        where = write(run, out, rows, batches)
    grouped.report(answer, counts, where)


def with_weights(rows: Any, data: str, answer: Any, reading: dict) -> tuple[Any, str]:
    """The table with the column of weights or sigma as its last, or why it has none, in words."""
    from polyreg.polynomials.predictor import unknown_noise

    name = answer.weighted_by
    if name is None:
        return rows, ""
    if not name or name not in dict(rows.schema):
        return rows, unknown_noise(name, answer.is_known).replace("are nan", "are empty")
    return type(rows).open(data, None, (*rows.names, name), **reading), ""


@contextmanager
def recorded(config: Any, stop: Stop) -> Iterator[Any]:
    """The run that `mlflow run` opened, named and ended; None where there is none."""
    if not os.environ.get("MLFLOW_RUN_ID"):
        yield None
        return
    from polyreg import tracking

    with tracking.start_run(config.name, params(config), wait=patience(stop)) as run:
        yield run


def write(run: Any, out: Path, rows: Any, batches: Callable[[dict], Iterator]) -> str:
    """Write where --out says, or among the run's artifacts; the place, in words.

    Text stays as it is in a CSV. Parquet has the kinds that columns begin with; where a later cell
    is not of it, the column is text, from its first row on.
    """
    from polyreg.tables import files
    from polyreg.tables.formats.cells import BadCell
    from polyreg.tracking import scratch

    kinds = {} if out.suffix == ".csv" and rows.is_plain else rows.kinds()

    def written(place: Path) -> None:
        while True:
            try:
                return files.write(place, batches(kinds))
            except BadCell as error:
                del kinds[error.column]

    if not (run and to_artifacts(str(out))):
        written(out)
        return str(out)
    run.files(scratch(lambda there: written(there / out.name)))
    return f"{out.name}, an artifact of run {run.id}"


def report(answer: Any, counts: dict, where: str) -> None:
    """Print how many rows went where, and which of them to mind."""
    click.echo(f"{counts['rows']:,} rows to {where}")
    if counts["outside"]:
        click.echo(
            f"warning: {counts['outside']:,} outside the range that the model was fitted on, "
            "marked extrapolated",
            err=True,
        )
    if counts["unknown"]:
        told = f"a level that the fit knows of {' and '.join(answer.levels)}"
        click.echo(
            f"warning: {counts['unknown']:,} without {told}, marked known = false, and without a "
            "prediction",
            err=True,
        )
    if counts["missing"]:
        given = (v for v in answer.inputs if not (v.is_plain or v.words))
        functions = " or ".join(v.written for v in given)
        taken = f"{functions} does not take, or that overflows" if functions else "overflows"
        if answer.outcome and answer.outcome.least is not None:
            taken += f", or where the fit has {answer.outcome.name} below {answer.outcome.least:g}"
        click.echo(
            f"warning: {counts['missing']:,} without a prediction, for lack of a value of "
            f"{' or '.join(answer.columns)}, or for one that {taken}",
            err=True,
        )
    if counts["unweighted"]:
        click.echo(
            f"warning: {counts['unweighted']:,} without an interval, for lack of "
            f"{'an uncertainty' if answer.is_known else 'a weight'} above 0 in "
            f"{answer.weighted_by}",
            err=True,
        )
    if counts["unbounded"]:
        click.echo(
            f"warning: {counts['unbounded']:,} with a bound that is infinite: it is empty in the "
            "file",
            err=True,
        )
    for note in answer.notes:
        click.echo(f"note: {note}", err=True)


def predicted(answer: Any, rows: Any, asked: dict, counts: dict, bar: Any, kinds: dict) -> Iterator:
    """Record batches with the four columns added, of words with `known`; text is of these kinds.

    asked: interval, band and level; the interval "none" leaves low and high empty. Columns of x
    after the variables are the weights, or the uncertainties of y.
    """
    import numpy as np
    import pyarrow as pa

    from polyreg.polynomials.variables import values_of

    counts.update(dict.fromkeys(counts, 0))
    for batch, x in rows.records(kinds):
        x, weights = np.split(x, [len(answer.columns)], axis=1)
        missing, usual = ~np.isfinite(x).all(axis=1), np.zeros(x.shape[1])
        if answer.inputs:
            z = values_of(answer.inputs, dict(zip(answer.columns, x.T, strict=True)))
            missing |= ~np.isfinite(z).all(axis=1)
            usual = np.array([low for low, _ in answer.ranges.values()])
        filled = np.where(missing[:, None], usual, x)
        if asked["interval"] == "none":
            prediction = answer.predict(filled)
            low = high = np.full(len(x), np.nan)
        else:
            weighed = (np.isfinite(weights) & (weights > 0)).all(axis=1)
            known = np.where(weighed, weights[:, 0], 1.0) if weights.size else None
            given = {"sigma" if answer.is_known else "weights": known}
            prediction, low, high = answer.predict(filled, **asked, **given)
            low, high = (np.where(weighed, bound, np.nan) for bound in (low, high))
            counts["unweighted"] += int((~weighed & ~missing).sum())
        missing |= ~np.isfinite(prediction)  # so far out that it overflows
        outside = answer.extrapolated(filled) & ~missing
        counts["unbounded"] += int(((np.isinf(low) | np.isinf(high)) & ~missing).sum())
        for name, values in zip(ADDED, (prediction, low, high, outside), strict=True):
            gaps = missing | ~np.isfinite(values)
            batch = batch.append_column(name, pa.array(values, mask=gaps))
        if answer.levels:
            named = [k for k, name in enumerate(answer.columns) if name in answer.levels]
            seen = (x[:, named] >= 0).all(axis=1)
            batch = batch.append_column(grouped.KNOWN, pa.array(seen))
            counts["unknown"] += int((~seen).sum())
            missing &= seen
        counts["rows"] += len(x)
        counts["outside"] += int(outside.sum())
        counts["missing"] += int(missing.sum())
        bar.update(batch.nbytes)
        yield batch


if __name__ == "__main__":
    main()
