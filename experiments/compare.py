"""How do these runs differ: in their options, data and results?

\b
    python -m experiments.compare --runs A,B,C
    python -m experiments.compare --experiment polyreg --last 10 --filter "params.degree > '2'"

Reads runs and sweeps back from MLflow and lays them side by side: one HTML page that works alone,
and a PNG, both logged to a run of their own. Runs that differ in the seed alone are one group.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from experiments.console import say, say_abandoned
from experiments.lifecycle import exit_codes, patience, to_artifacts
from polyreg.config_reading import CompareConfig
from polyreg.errors import Refused
from polyreg.fields import MAX_TAG
from polyreg.options import command, params


@command(CompareConfig, help=__doc__)
def main(config: CompareConfig) -> None:
    if is_given_empty("runs", config.runs):  # as by a variable of a shell that is not set
        raise click.UsageError(
            "--runs is empty; name runs or sweeps by their ids, or leave it out for the newest"
        )
    with exit_codes() as stop:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.interruptible_imports():
            from polyreg import tracking
            from polyreg.reports.comparison import figure, page
            from polyreg.reports.comparison.compared import compared
            from polyreg.reports.comparison.reading.runs import read
            from polyreg.reports.comparison.terminal import report

        out = None if to_artifacts(config.out) else writable(config.out)
        with stop.interruptible():
            found = read(config)
            comparison = compared(found)
            content = page.render(comparison)
            picture = figure.comparison(comparison)
        name, page_name = config.named(*found.counts), "comparison.html"
        if not out:
            page_name = Path(config.out).name
        with (
            written(out, content),
            tracking.start_run(name, params(config), wait=patience(stop)) as run,
        ):
            say_abandoned()
            run.tag({"compared": ",".join(found.ids)[:MAX_TAG]})
            run.text(content, page_name)
            run.figure(picture, "comparison")
            stop.check()
        say(*report(found, comparison))
        where = out or f"{page_name}, an artifact of the run,"
        click.echo(f"page    {where} ({len(content.encode()) / 1000:,.0f} kB)")
        click.echo(f"run     {run.id}")
        click.echo(f"open    {run.how_to_open()}")


def is_given_empty(option: str, value: str) -> bool:
    """Whether somebody gave this option nothing. `mlflow run` itself gives what is not given."""
    source = click.get_current_context().get_parameter_source(option)
    given = source is ParameterSource.COMMANDLINE and "MLFLOW_RUN_ID" not in os.environ
    return given and not value


@contextmanager
def written(out: Path | None, content: str) -> Iterator[None]:
    """Write a page, seen in its place once all is done; None writes none."""
    if out is None:
        yield
        return
    part = out.with_name(f".{out.name[:50]}.{os.getpid()}")  # so that no half of it is ever there
    try:
        part.write_text(content, encoding="utf-8")
        yield
        part.replace(out)
    except OSError as error:
        raise Refused(f"--out {out} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def writable(name: str) -> Path:
    """The path to write to, refused before anything is read where that cannot be."""
    out = Path(name).expanduser()
    folder = out.parent
    try:
        if not folder.is_dir():
            raise click.UsageError(f"--out {name}: there is no folder {folder}; make it first")
        if out.is_dir():
            raise click.UsageError(f"--out {name} is a folder; name a file in it")
    except OSError as error:  # a name that is too long
        raise click.UsageError(f"--out {name} cannot be written: {error.strerror}") from error
    if not os.access(out if out.exists() else folder, os.W_OK):
        raise click.UsageError(f"--out {name} cannot be written; choose another folder")
    return out


if __name__ == "__main__":
    main()
