"""Which polynomial explains a column of a table, and how surely?

\b
    python -m experiments.fit --data calibration.csv --target y --degree 3
    mlflow run . -e fit -P data=calibration.csv -P target=y

Reads CSV or Parquet as a stream, solves least squares exactly, and tracks the fit in MLflow:
coefficients with standard errors and intervals, plots with bands, and the model.
"""

import json
from contextlib import ExitStack
from functools import partial

import click

from experiments.console import Clock, progress_bar, say_abandoned, say_news
from experiments.lifecycle import exit_codes, patience
from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.options import command, extra_option, params
from polyreg.reports.fit import (
    describe,
    figures,
    log_model,
    metrics,
    report,
    report_plan,
    sample,
    summary,
)


@command(FitConfig, help=__doc__)
@extra_option(
    "--dry-run",
    group="Record",
    is_flag=True,
    help="Look at the table and print the plan; fit nothing, record nothing.",
)
def main(config: FitConfig, dry_run: bool) -> None:
    clock = Clock()
    with exit_codes() as stop, ExitStack() as opened:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.interruptible_imports(), clock("import"):
            from polyreg import least_squares, tracking
            from polyreg.cluster.connect import cluster_of
            from polyreg.device import device_of
            from polyreg.least_squares.problem import term_count
            from polyreg.tables import Table

        device = device_of(config, "float64")
        with stop.interruptible(), clock("survey"):
            engine = opened.enter_context(cluster_of(config, device))
            rows = Table.of(config, engine and engine.each)
            term_count(rows.names, config)
            passes = engine.passes(rows) if engine else least_squares.Passes(rows)
            survey = passes.survey(config.seed)
            problem = least_squares.Problem.of(survey, rows.names, config, device)
        if dry_run:
            return report_plan(problem, rows, survey, engine)
        name = started = config.named(rows.names)
        with tracking.start_run(
            name, params(config), discard=(Refused,), wait=patience(stop)
        ) as run:
            say_abandoned()
            with clock("fit"), progress_bar(survey.rows, "row") as bar, stop.interruptible():
                answer = least_squares.run(problem, partial(passes.sums, advance=bar.update))
                selection = answer.selection
                digest = rows.sha256()
            if selection:
                name = config.named(rows.names, selection.chosen)
                run.rename(started, name)
            describe(run, answer, rows, digest, device)
            with clock("plots"):
                for plot, figure in figures(answer, selection, survey.sample, name):
                    run.figure(figure, plot)
            with clock("model"):
                log_model(run, answer, "" if stop else config.register_as)
            run.coefficients(answer)
            run.describe("; ".join(summary(answer, selection, rows)), answer)
            run.text(json.dumps(sample(answer, survey.sample)), "sample.json")
            if selection:
                run.by_degree(selection.degrees, selection.curves())
            run.log(metrics(answer, selection, rows.missing_rows) | clock.metrics())
            report(answer, selection, rows)
            click.echo(f"run      {run.id}")
            stop.check()
        click.echo(f"open     {run.how_to_open()}")
        click.echo(f"predict  python -m experiments.predict --model {run.model_uri} --data new.csv")
        say_news(run)


if __name__ == "__main__":
    main()
