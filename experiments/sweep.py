"""How do degree, rate, batch size, noise and basis change a training?

\b
    python -m experiments.sweep --degrees 1,2,3,4,5 --learning-rates auto,0.01,0.001 --seeds 10
    mlflow run . -e sweep -P degrees=3 -P noises=0.1 -P seeds=200

Trains every combination with every seed (or, with --trials, those that Optuna tries), many runs at
once, and tracks them as nested runs of one: with a table, plots, and the best run's model.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, NamedTuple

import click

from experiments.console import Clock, progress_bar, say_abandoned, say_news
from experiments.lifecycle import Stop, exit_codes, patience
from polyreg.config import SweepConfig
from polyreg.errors import Unreachable
from polyreg.options import command, extra_option, params, same_options
from polyreg.reports import training as one
from polyreg.reports.sweep import figures, report, run_name, runs_table, totals, track, track_there
from polyreg.text import plural


class Trainer(NamedTuple):
    """Who trains, here or on a cluster."""

    engine: Any
    device: str
    stop: Stop

    def train(self, configs: Sequence, track: Any = None) -> Iterator:
        """Trainings, or what `track` makes of them where they are."""
        from polyreg.sgd import sweep

        if self.engine:
            return self.engine.train_all(configs, self.device, self.stop.__bool__, track)
        return sweep.train_all(configs, self.device, self.stop.__bool__)

    def rows(self, run, config: SweepConfig, missing: Sequence) -> Iterator:
        """Train and track these, and give their rows."""
        from polyreg.sgd.sweep import Row

        handle = run.handle() if self.engine else None
        there = handle and partial(track_there, handle, config, self.device)
        for trained in self.train(missing, there):
            tracked = isinstance(trained, Row)
            yield trained if tracked else track(run, config, trained, self.device)


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
    clock = Clock()
    with exit_codes() as stop, ExitStack() as opened:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.interruptible_imports(), clock("import"):
            from polyreg import tracking
            from polyreg.cluster.connect import cluster_of
            from polyreg.device import device_of
            from polyreg.sgd import sweep
            from polyreg.sgd.optimum import Optimum
            from polyreg.sgd.training import require_headroom

        if tracking_uri:
            tracking.use(tracking_uri)
        if resume:
            config = same_options(config, tracking.interrupted(resume).params)
        device = device_of(config, config.dtype)
        for varied in config.combinations():
            first = config.run(config.seed, **varied)
            require_headroom(Optimum.of(first), first)
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
            with clock("train"):
                tried = train_missing(run, config, rows, trainer)
            found = sweep.summaries(config, rows, tried)
            best = sweep.best(rows.values())
            with clock("report"):
                run.table(runs_table(rows.values()), "runs")
                for name, figure in figures(config, found, whole=not stop):
                    run.figure(figure, name)
            if best and not stop:
                with clock("model"):
                    learned = log_best(run, best, config, trainer)
                run.describe(told(config, rows.values(), best), learned)
            run.log(totals(rows.values(), best) | clock.metrics())
            run.tag({"device": device} | ({"best_run_id": best.id} if best else {}))
            stop.check()
            report(config, found, best)
            if not best:
                raise click.ClickException(
                    "every run diverged; lower --learning-rates, or use auto"
                )
        name = run_name(config, best.config)
        click.echo(f"\nbest    {run.id_of(best.id)}: {name}, {best.steps:,} steps")
        say_news(run)


def require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise click.UsageError("--trials needs Optuna: pip install optuna") from error


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


def train_missing(run, config: SweepConfig, rows: dict, trainer: Trainer) -> list[dict[str, Any]]:
    """Train and track what `rows` lacks; the combinations that were tried."""
    from polyreg.sgd import sweep

    plan = sweep.search(config) if config.trials else sweep.grid(config)
    tried: list[dict[str, Any]] = []
    scores = None
    total = len(config.combinations())
    total = config.seeds * min(config.trials or total, total)
    with progress_bar(total, "run") as bar:
        while True:
            try:
                combinations = plan.send(scores)
            except StopIteration:
                return tried
            runs = [run for varied in combinations for run in config.runs(varied)]
            missing = [c for c in dict.fromkeys(runs) if c not in rows]
            bar.update(len(runs) - len(missing))
            for row in trainer.rows(run, config, missing):
                rows[row.config] = row
                bar.update()
            if trainer.engine:
                with suppress(Unreachable):
                    gather(run, rows)
            if trainer.stop:
                return [*tried, *combinations]
            scores = [s.score for s in sweep.summaries(config, rows, combinations)]
            tried += [varied for varied in combinations if varied not in tried]


def told(config: SweepConfig, rows, best) -> str:
    """What the sweep came to, in a sentence: whose the equation is, and of how many."""
    rows = list(rows)
    converged, diverged = (
        sum(getattr(row, how) for row in rows) for how in ("converged", "diverged")
    )
    return (
        f"best of {plural(len(rows), 'run')}: {run_name(config, best.config)}, "
        f"{best.steps:,} steps, expected loss {best.gap:.2g} above the optimum, run {best.id}; "
        f"{converged:,} converged, {diverged:,} diverged"
    )


def log_best(run, best, config: SweepConfig, trainer: Trainer) -> Any:
    """The best run's model and plots; it is trained again, which gives the same weights."""
    child = run.at(best.id)
    for training in trainer.train([best.config]):
        learned = training.result()
        for name, figure in one.figures(learned, training):
            child.figure(figure, name)
        if config.save_models == "best" or config.register_as:
            example = one.example(learned)
            child.model(training.model, learned, example, config.register_as)
    return learned


if __name__ == "__main__":
    main()
