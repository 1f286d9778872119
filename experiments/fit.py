"""Which polynomial explains a column of a table, and how surely?

\b
    python -m experiments.fit --data calibration.csv --target y --degree 3
    mlflow run . -e fit -P data=calibration.csv -P target=y

Reads a table as a stream, solves least squares exactly, and tracks the fit in MLflow:
coefficients with standard errors and intervals, plots with bands, and the model.
"""

from contextlib import ExitStack
from functools import partial

import click

from experiments.console import progress_bar, say, say_abandoned, say_opened
from experiments.lifecycle import Stop, exit_codes, patience
from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.options import command, extra_option, params


@command(FitConfig, help=__doc__)
@extra_option(
    "--dry-run",
    group="Record",
    is_flag=True,
    help="Look at the table and print the plan; fit nothing, record nothing.",
)
def main(config: FitConfig, dry_run: bool) -> None:
    with exit_codes() as stop, ExitStack() as opened:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.interruptible_imports():
            from polyreg import least_squares, tracking
            from polyreg.cluster import cluster_of
            from polyreg.device import device_of
            from polyreg.least_squares.conditions.levels import levelled
            from polyreg.least_squares.conditions.reading import settled
            from polyreg.least_squares.origin import originated
            from polyreg.least_squares.problem import term_count
            from polyreg.reports.fit import record, report, title
            from polyreg.reports.plans import about, plan
            from polyreg.reports.study import is_studied
            from polyreg.tables import Table
            from polyreg.tables.words import written

        if config.by:
            return many(config, dry_run, stop, opened)
        clock = tracking.Clock({"import": stop.seconds_importing})
        device = device_of(config, "float64")
        with stop.interruptible(), clock("survey"):
            engine = opened.enter_context(cluster_of(config, device))
            rows = Table.of(config, engine and engine.each)
            passes = engine.passes(rows) if engine else least_squares.Passes(rows)
            levelled(rows, config)
            config = settled(passes, config)
            term_count(rows.names, config, rows.words)
            survey = least_squares.surveyed(passes, config)
            problem = least_squares.Problem.of(survey, rows.names, config, device)
            problem = least_squares.replicated(problem, rows)
        if dry_run:
            return say(plan(problem, rows, survey, engine), about(rows, survey))
        name, wait = config.named(written(rows)), patience(stop)
        with tracking.start_run(name, params(config), discard=(Refused,), wait=wait) as run:
            say_abandoned()
            say([], about(rows, survey))
            with clock("fit"), progress_bar(survey.rows, "row") as bar, stop.interruptible():
                sums = partial(passes.sums, advance=bar.update)
                reading = least_squares.reading_of(passes, survey)
                result = least_squares.run(problem, sums, reading)
                result = originated(result, rows, config, survey, device)
                result.origin.sha256  # noqa: B018 (the hash that began beside the pass)
            if is_studied(result):
                with clock("study"), stop.interruptible():
                    result.deferred.get(result.as_fitted, sums=passes.sums)
            run.rename(name, title(result))
            record(run, result, clock, "" if stop else config.register_as)
            say(*report(result))
            click.echo(f"run      {run.id}")
            stop.check()
        say_opened(run, width=9)
        click.echo(f"predict  python -m experiments.predict --model {run.model_uri} --data new.csv")
        say(run.news)  # a model has its version once all has been sent


def many(config: FitConfig, dry_run: bool, stop: Stop, opened: ExitStack) -> None:
    """A polynomial for each group of rows, in one run."""
    from polyreg import tracking
    from polyreg.cluster import cluster_of
    from polyreg.cluster.groups import passes_by_groups
    from polyreg.groups import fit_groups
    from polyreg.groups.fit import read, require_possible
    from polyreg.groups.summary import report
    from polyreg.reports.groups import record
    from polyreg.tables import Table

    clock = tracking.Clock({"import": stop.seconds_importing})
    with stop.interruptible():
        engine = opened.enter_context(cluster_of(config, "cpu"))
        rows = Table.of(config, engine and engine.each)
        require_possible(rows, config)
        passes = passes_by_groups(engine, rows)
    name, wait = config.named(rows.names), patience(stop)
    if dry_run:
        with stop.interruptible():
            reading = passes.read(config) if passes else read(rows, config)
        _, keys, failed = reading.finished()
        lost = ""
        if failed:
            lost = f", {len(failed):,} of them cannot be fitted: {min(failed.items())[1]}"
        return say(
            [
                f"data       {rows.title}, {rows.size:,} bytes, {reading.rows:,} rows",
                f"groups     {len(keys):,} by {', '.join(config.by)}{lost}",
                f"fits       {name}",
            ]
        )
    with tracking.start_run(name, params(config), discard=(Refused,), wait=wait) as run:
        say_abandoned()
        with clock("fit"), progress_bar(0, "row") as bar, stop.interruptible():
            results = fit_groups(rows, config, bar.update, passes)
        record(run, results, clock, "" if stop else config.register_as)
        say(*report(results))
        click.echo(f"run      {run.id}")
        stop.check()
    say_opened(run, width=9)
    click.echo(f"predict  python -m experiments.predict --model {run.model_uri} --data new.csv")
    say(run.news)


if __name__ == "__main__":
    main()
