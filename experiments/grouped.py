"""Predictions and inverses of a model of many curves: each row by its own group's polynomial."""

from collections.abc import Callable, Iterator
from typing import Any

import click

from polyreg.errors import Refused

KNOWN = "known"  # column: whether the row's group has a polynomial


def keyed_table(answer: Any, data: str, columns: list[str], reading: Any, units: Any = None) -> Any:
    """The table, with these columns as numbers; the key's have to be there."""
    from polyreg.tables.table import Table

    rows = Table.open(data, None, columns, reading=reading, units=units)
    names = [name for name, _ in rows.schema]
    for name in answer.by:
        if name not in names:
            raise Refused(
                f"no column {name!r} in {rows.title}, which tells the groups apart; it has "
                f"{', '.join(names)}"
            )
    return rows


def places_of(answer: Any, batch: Any) -> Any:
    """The group of each row of a batch (N,), -1 where it is unknown or has no polynomial."""
    import numpy as np
    import pandas as pd

    keys = pd.DataFrame({name: batch.column(name).to_pylist() for name in answer.by}, dtype=object)
    places = answer.curves.place(keys)
    return np.where(answer.curves.is_fitted[places] & (places >= 0), places, -1)


def predicted(answer: Any, rows: Any, asked: dict, counts: dict, bar: Any, kinds: dict) -> Iterator:
    """Record batches with prediction, low, high, extrapolated and known; text is of these kinds."""
    import numpy as np
    import pyarrow as pa

    counts.update(dict.fromkeys(counts, 0))
    quantile = answer.quantiles(asked["level"])
    for batch, x in rows.records(kinds):
        places, value = places_of(answer, batch), x[:, 0]
        missing = ~np.isfinite(value)
        found, low, high, outside = answer.curves.intervals(
            places,
            np.where(missing, 0.0, value),
            asked["interval"],
            x[:, 1] if x.shape[1] > 1 else None,
            quantile,
        )
        outside &= ~missing
        for name, values in (("prediction", found), ("low", low), ("high", high)):
            batch = batch.append_column(name, pa.array(values, mask=missing | ~np.isfinite(values)))
        batch = batch.append_column("extrapolated", pa.array(outside))
        batch = batch.append_column(KNOWN, pa.array(places >= 0))
        counts["rows"] += len(x)
        counts["outside"] += int(outside.sum())
        counts["unknown"] += int((places < 0).sum())
        counts["missing"] += int((missing & (places >= 0)).sum())
        counts["unweighted"] += int((np.isnan(low) & ~missing & (places >= 0)).sum())
        bar.update(batch.nbytes)
        yield batch


def report(answer: Any, counts: dict, where: str) -> None:
    """Print how many rows went where, and which of them to mind."""
    click.echo(f"{counts['rows']:,} rows to {where}")
    said = {
        "unknown": f"of a group that has no polynomial (by {', '.join(answer.by)}), marked known = "
        "false",
        "outside": "outside the range that their group was fitted on, marked extrapolated",
        "missing": f"without a prediction, for lack of a value of {answer.variable}",
        "unweighted": "without an interval: their group or row does not tell its uncertainty",
    }
    for what, told in said.items():
        if counts.get(what):
            click.echo(f"warning: {counts[what]:,} {told}", err=True)


def inverse_by_group(invert: Callable, answer: Any, batch: Any, x: Any, counts: dict) -> list:
    """x, low, high, std_error, extrapolated of a batch's readings, each by its group.

    invert: of a Result, readings and their uncertainties, the same. A reading whose group has no
    polynomial, or one that cannot be inverted, has no x.
    """
    import numpy as np

    places = places_of(answer, batch)
    found = [np.full(len(x), np.nan) for _ in range(4)] + [np.zeros(len(x), dtype=bool)]
    counts["keyless"] += int((places < 0).sum())
    for g in np.unique(places[places >= 0]).tolist():
        rows = np.flatnonzero(places == g)
        try:
            values = invert(answer.of(g), x[rows])
        except Refused as error:
            counts["missing"] += len(rows)
            counts["refused"].setdefault(answer.named(g), str(error))
            continue
        for column, value in zip(found, values, strict=True):
            column[rows] = value
    return found
