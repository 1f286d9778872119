"""What experiments say on the way: progress, notes, where a run is."""

from collections.abc import Iterable
from typing import Any

import click

from polyreg.errors import Unreachable


def say_abandoned() -> None:
    """A note on runs whose process is gone."""
    from polyreg import tracking

    try:
        runs = tracking.abandoned()
    except Unreachable:  # not yet there, or just gone
        return
    if runs:
        some = ", ".join(run.id for run in runs[:3]) + (", ..." if len(runs) > 3 else "")
        many = "1 run reads" if len(runs) == 1 else f"{len(runs)} runs read"
        click.echo(
            f"note: {many} RUNNING, but the process is gone ({some}); "
            "python -m experiments.repair closes what is so",
            err=True,
        )


def say_opened(run: Any, width: int = 8) -> None:
    """Where a run and its plots are, after labels of this width."""
    click.echo(f"{'open':<{width}}{run.how_to_open()}")
    click.echo(f"{'plots':<{width}}{run.where('plots')}")


def say(lines: Iterable[str], warnings: Iterable[str] = ()) -> None:
    """What a report has, on stdout, and what there is to mind, on stderr."""
    for line in lines:
        click.echo(line)
    for warning in warnings:
        click.echo(warning, err=True)


def progress_bar(total: int, unit: str):
    """A bar on stderr, for work that takes over two seconds, where stderr is a terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total, unit=unit, unit_scale=unit == "row", delay=2, leave=False, disable=None
    )
