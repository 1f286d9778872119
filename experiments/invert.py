"""Which x belongs to a reading y, and how surely?

\b
    python -m experiments.invert --model runs:/<run id>/model --data readings.csv
    mlflow run . -e invert -P model=runs:/<run id>/model -P data=readings.csv

Streams a table of readings and writes it with five columns more: x under the name that it has in
the fit (with _inverse behind it where the table has that column), low and high (the interval's
bounds), std_error, and extrapolated, true where x is outside the range that the model was fitted
on. With --group the readings of an item are averaged, a row an item. --limits prints what the
calibration can decide, detect and quantify.
"""

import json
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from experiments import grouped
from experiments.console import progress_bar
from experiments.lifecycle import exit_codes, require_other_file
from experiments.predict import recorded, write
from polyreg.config_reading import InvertConfig
from polyreg.errors import Refused
from polyreg.options import command

REPLICATES = "replicates"  # column of how many readings were averaged
ADDED = ("low", "high", "std_error", "extrapolated")
COUNTS = {
    "outside": "outside the range that the model was fitted on, marked extrapolated",
    "missing": "without an x: the reading is missing, or the polynomial does not come to it",
    "unbounded": "with a bound that does not exist, the band not reaching the reading: it is empty "
    "in the file",
    "unknown": "without an interval, for lack of an uncertainty or weight above 0",
}


@command(InvertConfig, help=__doc__)
def main(config: InvertConfig) -> None:
    with exit_codes() as stop:
        with stop.interruptible_imports():
            from polyreg import tracking
            from polyreg.inference.calibration import chosen

        with recorded(config, stop) as run, stop.interruptible():
            try:
                answer = tracking.load(config.model)
                if hasattr(answer, "by"):
                    return many(answer, config, run)
                answer.require_one("x from y")
                if not answer.swapped:
                    chosen(answer, config.branch or None)
            except ValueError as error:
                raise Refused(str(error)) from error
            if config.limits:
                print_limits(answer, config, run)
            if not config.data:
                return
            rows = readings(answer, config)
            counts = {"rows": 0} | dict.fromkeys(COUNTS, 0)
            out = Path(config.out)
            require_other_file(config.out, rows.files)
            with progress_bar(rows.size, "B") as bar:
                invert = averaged if config.group else each
                where = write(run, out, rows, partial(invert, answer, rows, config, counts, bar))
    if told := rows.unusual():
        click.echo(f"{rows.title}: {told}, {counts['rows']:,} rows", err=True)
    click.echo(f"{counts['rows']:,} {'items' if config.group else 'rows'} to {where}")
    for what, said in COUNTS.items():
        if counts[what]:
            click.echo(f"warning: {counts[what]:,} {said}", err=True)
    for note in answer.notes:
        click.echo(f"note: {note}", err=True)


def print_limits(answer: Any, config: InvertConfig, run: Any) -> None:
    """Print the limits, in units of x, and keep them in the run where there is one."""
    from dataclasses import asdict

    from polyreg.text import aligned

    if config.sigma and config.own_sigma is None:
        raise Refused(f"--limits needs --sigma as a number, of a blank; got {config.sigma}")
    options = {"alpha": config.alpha, "beta": config.beta, "k": config.k}
    try:
        found = answer.limits(**options, replicates=config.replicates, sigma=config.own_sigma)
    except ValueError as error:
        raise Refused(str(error)) from error
    rows = [[name, f"{value:.6g}", said] for name, value, said in found.rows()]
    click.echo(aligned(["limit", answer.variables[0], "meaning"], rows))
    click.echo(f"a reading {'above' if answer.pieces[0].rises > 0 else 'below'} "
               f"{found.y_decision:.6g} is more than the blank")  # fmt: skip
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if run:
        run.text(json.dumps(asdict(found)), "limits.json")


def readings(answer: Any, config: InvertConfig) -> Any:
    """The table of the readings: y, and the column of its uncertainty or weight, where there is."""
    from polyreg.tables.table import Table

    column = config.column or y_name(answer)
    own = config.sigma if config.own_sigma is None else ""
    rows = Table.open(config.data, None, [column], reading=config.reading)
    known = dict(rows.schema)
    by_fit = None if answer.swapped else answer.weighted_by
    if not own and config.own_sigma is None and by_fit in known:
        own = str(by_fit)
    if own:
        rows = Table.open(config.data, None, [column, own], reading=config.reading)
    if config.group and config.group not in known:
        raise Refused(
            f"no column {config.group!r} for --group in {rows.title}; it has {', '.join(known)}"
        )
    kept = (config.group, column, REPLICATES) if config.group else known
    for name in (x_name(answer, kept), *ADDED):
        if name in kept:
            raise Refused(f"{config.data} has a column {name} already; rename it")
    return rows


def x_name(answer: Any, columns: Any) -> str:
    """The column of x: as in the fit, or with _inverse behind it where there is one already."""
    name = answer.target if answer.swapped else answer.columns[0]
    return f"{name}_inverse" if name in columns else name


def y_name(answer: Any) -> str:
    """The column of y: the target of the fit, or its variable where it was swapped."""
    return answer.variables[0] if answer.swapped else answer.target_column


def inverted(answer: Any, config: InvertConfig, y: Any, own: Any, counts: dict, m: Any) -> list:
    """x, low, high, std_error, extrapolated of readings (N,), nan where there is none.

    own (N,): uncertainties, or weights where the fit has such; None where there are none
    """
    import numpy as np

    is_sigma = bool(config.sigma) or answer.is_known
    given: dict[str, Any] = {}
    lost = np.zeros(len(y), dtype=bool)
    if own is not None:
        lost = ~(np.isfinite(own) & (own > 0))
        given = {"sigma" if is_sigma else "weights": np.where(lost, 1.0, own)}
    elif config.own_sigma is not None:
        given = {"sigma": config.own_sigma}
    options = {"level": config.level or None, "branch": config.branch or None, "replicates": m}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is unknown is counted
            found = answer.inverse(y, config.interval, **options, **given)
    except ValueError as error:
        raise Refused(str(error)) from error
    lost &= config.interval != "mean"
    x, outside = found.x, found.extrapolated
    bounds = [np.where(lost, np.nan, b) for b in (found.low, found.high, found.std_error)]
    missing = np.isnan(x)
    unbounded = np.isinf(bounds[0]) | np.isinf(bounds[1])
    counts["outside"] += int(outside.sum())
    counts["missing"] += int(missing.sum())
    counts["unbounded"] += int(unbounded.sum())
    if answer.has_errors:
        counts["unknown"] += int((np.isnan(bounds[0]) & ~missing).sum())
    return [x, *bounds, outside]


def with_columns(batch: Any, answer: Any, values: list) -> Any:
    """A record batch with the five columns added."""
    import numpy as np
    import pyarrow as pa

    missing, x = np.isnan(values[0]), x_name(answer, batch.schema.names)
    for name, column in zip((x, *ADDED), values, strict=True):
        gaps = missing | ~np.isfinite(column)
        batch = batch.append_column(name, pa.array(column, mask=gaps))
    return batch


def each(
    answer: Any, rows: Any, config: InvertConfig, counts: dict, bar: Any, kinds: dict
) -> Iterator:
    """Record batches, a row a reading."""
    counts.update(dict.fromkeys(counts, 0))
    for batch, x in rows.records(kinds):
        own = x[:, 1] if x.shape[1] > 1 else None
        values = inverted(answer, config, x[:, 0], own, counts, config.replicates)
        counts["rows"] += len(x)
        bar.update(batch.nbytes)
        yield with_columns(batch, answer, values)


def many(answer: Any, config: InvertConfig, run: Any) -> None:
    """x from y of each reading, by its own group's polynomial."""
    if config.limits or config.group:
        what = "limits" if config.limits else "group"
        raise Refused(f"--{what} is of one polynomial, and the model has {len(answer):,}")
    column, weighed = config.column or answer.target, answer.config.weighed_by
    own = config.sigma if config.own_sigma is None else ""
    rows = grouped.keyed_table(answer, config.data, [column], config.reading)
    names = [name for name, _ in rows.schema]
    own = own or (weighed if config.own_sigma is None and weighed in names else "")
    if own:
        rows = grouped.keyed_table(answer, config.data, [column, own], config.reading)
    x_name = f"{answer.variable}_inverse" if answer.variable in names else answer.variable
    for name in (x_name, *ADDED):
        if name in names:
            raise Refused(f"{config.data} has a column {name} already; rename it")
    out = Path(config.out)
    require_other_file(config.out, rows.files)
    counts: dict[str, Any] = {}

    def batches(kinds: dict) -> Iterator:
        import numpy as np
        import pyarrow as pa

        counts.update({"rows": 0, "keyless": 0, "refused": {}} | dict.fromkeys(COUNTS, 0))

        def invert(result: Any, x: Any) -> list:
            own = x[:, 1] if x.shape[1] > 1 else None
            return inverted(result, config, x[:, 0], own, counts, config.replicates)

        for batch, x in rows.records(kinds):
            values = grouped.inverse_by_group(invert, answer, batch, x, counts)
            counts["rows"] += len(x)
            for name, column in zip((x_name, *ADDED), values, strict=True):
                gaps = np.isnan(values[0]) | ~np.isfinite(column)
                batch = batch.append_column(name, pa.array(column, mask=gaps))
            yield batch

    where = write(run, out, rows, batches)
    click.echo(f"{counts['rows']:,} rows to {where}")
    said = COUNTS | {"keyless": f"of a group without a polynomial (by {', '.join(answer.by)})"}
    for what, told in said.items():
        if counts[what]:
            click.echo(f"warning: {counts[what]:,} {told}", err=True)
    for name, why in list(counts["refused"].items())[:3]:
        click.echo(f"warning: no x of group {name}: {why}", err=True)


def averaged(
    answer: Any, rows: Any, config: InvertConfig, counts: dict, bar: Any, kinds: dict
) -> Iterator:
    """One record batch, a row an item: the mean of its readings, and how many there are.

    Uncertainties of readings are independent: that of a mean is sqrt(sum u^2) / m.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    counts.update(dict.fromkeys(counts, 0))
    parts = []
    for batch, x in rows.records(kinds):
        bar.update(batch.nbytes)
        part = pd.DataFrame({"y": x[:, 0]})
        part["item"] = batch.column(config.group).to_pandas()
        if x.shape[1] > 1:
            given = np.where(x[:, 1] > 0, x[:, 1], np.nan)
            # Variances add: those of weights are 1 / w.
            part["variance"] = given**2 if config.sigma or answer.is_known else 1 / given
        parts.append(part)
    table = pd.concat(parts)
    groups = table.dropna(subset=["y"]).groupby("item", sort=False, dropna=False)
    y, m = groups["y"].mean(), groups["y"].size()
    own: Any = None
    if "variance" in table:
        mean = groups["variance"].apply(lambda v: v.mean(skipna=False)).to_numpy()
        own = np.sqrt(mean) if config.sigma or answer.is_known else 1 / mean
    values = inverted(answer, config, y.to_numpy(), own, counts, m.to_numpy())
    counts["rows"] = len(y)
    lost = table.item.nunique(dropna=False) - len(y)
    if lost:
        click.echo(f"warning: {lost:,} items without any reading are left out", err=True)
    names = [config.group, REPLICATES, config.column or y_name(answer)]
    columns = [pa.array(y.index), pa.array(m.to_numpy()), pa.array(y.to_numpy())]
    yield with_columns(pa.record_batch(columns, names=names), answer, values)


if __name__ == "__main__":
    main()
