"""What does a model say of new rows, how surely, and does it know such rows at all?

\b
    python -m experiments.predict --model runs:/<run id>/model --data new.csv
    mlflow run . -e predict -P model=runs:/<run id>/model -P data=new.csv

Streams CSV or Parquet, matches columns by name, and writes them with four more: prediction, low and
high (the interval's bounds), and extrapolated, true where a variable is outside the range that the
model was fitted on. Where a value is missing, so is the prediction.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from experiments.common import ending, progress_bar
from polyreg.config import PredictConfig, Refused, command

ADDED = ("prediction", "low", "high", "extrapolated")


@command(PredictConfig, help=__doc__)
def main(config: PredictConfig) -> None:
    with ending() as stop:
        with stop.importing():
            from polyreg import models
            from polyreg.files import write
            from polyreg.table import Table

        try:
            answer = models.load(config.model)
        except ValueError as error:
            raise Refused(str(error)) from error
        rows = Table.open(config.data, None, answer.variables)
        out = Path(config.out)
        if out.resolve() in [file.resolve() for file in rows.files]:
            raise Refused(f"--out {out} is the data itself; choose another name")
        taken = [name for name, _ in rows.schema if name in ADDED]
        if taken:
            raise Refused(f"{config.data} has a column {taken[0]} already; rename it")
        counts = {"rows": 0, "outside": 0, "missing": 0}
        with progress_bar(rows.size, "B") as bar, stop.abruptly():
            write(out, predicted(answer, rows, config.interval, counts, bar))
    click.echo(f"{counts['rows']:,} rows to {out}")
    if counts["outside"]:
        click.echo(
            f"warning: {counts['outside']:,} outside the range that the model was fitted on, "
            "marked extrapolated",
            err=True,
        )
    if counts["missing"]:
        click.echo(
            f"warning: {counts['missing']:,} without a prediction, for lack of a value of "
            f"{' or '.join(answer.variables)}, or for one that overflows",
            err=True,
        )
    for note in answer.notes:
        click.echo(f"note: {note}", err=True)


def predicted(answer: Any, rows: Any, interval: str, counts: dict, bar: Any) -> Iterator:
    """Record batches with the four columns added."""
    import numpy as np
    import pyarrow as pa

    for batch, x in rows.records():
        missing = ~np.isfinite(x).all(axis=1)
        filled = np.where(missing[:, None], 0.0, x)
        prediction, low, high = answer.predict(filled, interval)
        missing |= ~np.isfinite(prediction)  # so far out that it overflows
        outside = answer.extrapolated(filled) & ~missing
        for name, values in zip(ADDED, (prediction, low, high, outside), strict=True):
            gaps = missing | ~np.isfinite(values)
            batch = batch.append_column(name, pa.array(values, mask=gaps))
        counts["rows"] += len(x)
        counts["outside"] += int(outside.sum())
        counts["missing"] += int(missing.sum())
        bar.update(batch.nbytes)
        yield batch


if __name__ == "__main__":
    main()
