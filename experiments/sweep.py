"""How do degree, rate, optimizer, noise and basis change a training?

\b
    python -m experiments.sweep --degrees 1,2,3,4,5 --learning-rates auto,0.01,0.001 --seeds 10
    mlflow run . -e sweep -P degrees=3 -P noises=0.1 -P seeds=200

Trains every combination with every seed (or, with --trials, those that Optuna tries), many runs at
once, and tracks them as nested runs of one: with a table, plots, and the best run's model.
"""

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, NamedTuple

import click

from experiments.console import progress_bar, say, say_abandoned
from experiments.lifecycle import Stop, exit_codes, patience
from polyreg.config import SweepConfig
from polyreg.errors import Unreachable
from polyreg.options import command, extra_option, params, same_options
from polyreg.text import plural


@command(SweepConfig, help=__doc__)
@extra_option(
    "--resume", group="Record", default="", help="Run id of an interrupted sweep to go on with."
)
@extra_option(
    "--tracking-uri",
    group="Record",
    default="",
    help="Tracking store to use, in place of MLFLOW_TRACKING_URI; to a tracking server, the "
    "machines of a cluster write their runs themselves.",
)
def main(config: SweepConfig, resume: str, tracking_uri: str) -> None:
    with exit_codes() as stop, ExitStack() as opened:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.interruptible_imports():
            from polyreg import tracking
            from polyreg.cluster import cluster_of
            from polyreg.device import device_of
            from polyreg.reports.sweep import record, record_best, report, run_name, totals
            from polyreg.sgd import sweep
            from polyreg.sgd.training import require_headroom

        clock = tracking.Clock({"import": stop.seconds_importing})
        if tracking_uri:
            tracking.use(tracking_uri)
        if resume:
            config = same_options(config, tracking.interrupted(resume).params)
        device = device_of(config, config.dtype)
        for varied in config.combinations():
            require_headroom(config.run(config.seed, **varied))
        if config.trials:
            require_optuna()
        with stop.interruptible():
            engine = opened.enter_context(cluster_of(config, device))
        wait = patience(stop)
        with tracking.start_run(config.name, params(config), resume=resume, wait=wait) as run:
            stop.hint = f"python -m experiments.sweep --resume {run.id}"
            if tracking_uri:
                stop.hint += f" --tracking-uri {tracking_uri}"
            say_abandoned()
            click.echo(f"run     {run.id}")
            click.echo(f"open    {run.how_to_open()}")
            rows: dict = {}
            gather(run, rows)
            trainer = Trainer(engine, device, stop)
            total = config.seeds * min(config.trials or 10**6, len(config.combinations()))
            with clock("train"), progress_bar(total, "run") as bar:
                bar.update(len(rows))
                train = partial(trainer.rows, run, config, rows, bar)
                tried = sweep.explore(config, rows, train, stop.__bool__)
            rows = sweep.in_order(config, rows, tried)
            found = sweep.summaries(config, rows, tried)
            best = sweep.best(rows.values())
            with clock("report"):
                whole = not stop
                drawn = record(run, config, rows.values(), found, whole)
            if best and not stop:
                with clock("model"):  # trained again, which gives the same weights
                    for training in trainer.train([best.config]):
                        record_best(run, config, rows.values(), training)
            run.log(totals(rows.values(), best) | clock.metrics())
            run.tag({"device": device} | ({"best_run_id": best.id} if best else {}))
            if not whole:
                click.echo("plots   come when all runs are there", err=True)
            stop.check()
            say([*report(config, found), ""])
            if drawn:  # where nothing varies, or all diverged, there may be none
                click.echo(f"plots   {run.where('plots')}")
            if not best:
                raise click.ClickException(
                    "every run diverged; lower --learning-rates, or use auto"
                )
        name = run_name(config, best.config)
        click.echo(f"best    {run.id_of(best.id)}: {name}, {plural(best.steps, 'step')}")
        say(run.news)


def require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise click.UsageError("--trials needs Optuna: pip install optuna") from error


class Trainer(NamedTuple):
    """Who trains, here or on a cluster."""

    engine: Any
    device: str
    stop: Stop

    def train(self, configs: list, track: Any = None) -> Iterator:
        """Trainings, or what `track` makes of them where they are."""
        from polyreg.sgd import sweep

        if self.engine:
            return self.engine.train_all(configs, self.device, self.stop.__bool__, track)
        return sweep.train_all(configs, self.device, self.stop.__bool__)

    def rows(self, run: Any, config: SweepConfig, rows: dict, bar: Any, missing: list) -> Iterator:
        """Train and track these, and give their rows."""
        from polyreg.reports.sweep import track, track_there
        from polyreg.sgd.sweep import Row

        handle = run.handle() if self.engine else None
        there = handle and partial(track_there, handle, config, self.device)
        for trained in self.train(missing, there):
            tracked = isinstance(trained, Row)
            yield trained if tracked else track(run, config, trained, self.device)
            bar.update()
        if self.engine:
            with suppress(Unreachable):
                gather(run, rows)


def gather(run, rows: dict) -> None:
    """Add the runs that the store has, by their options, and remove what is there in vain.

    That is what was half-written, or written again by a task whose worker died after the first.
    """
    from polyreg.sgd.sweep import Row

    for child in run.children():
        if child.whole:
            row = Row.from_run(child.id, child.params, child.metrics, child.tags)
            kept = rows.setdefault(row.config, row)
        if not child.whole or run.id_of(kept.id) != child.id:
            run.remove(child.id)


if __name__ == "__main__":
    main()
