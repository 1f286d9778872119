"""What experiments say on the way: seconds of each stage, progress, notes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from polyreg.errors import Unreachable


class Clock:
    """Seconds of each stage, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - start

    def metrics(self) -> dict[str, float]:
        return {f"time/{stage}_s": value for stage, value in self.seconds.items()}


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


def say_news(run: Any) -> None:
    """For once all that a run logged has been sent: only then does a model have its version."""
    for told in run.news:
        click.echo(told)


def progress_bar(total: int, unit: str):
    """A bar on stderr, for work that takes over two seconds, where stderr is a terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total, unit=unit, unit_scale=unit == "row", delay=2, leave=False, disable=None
    )
