"""How do degree, rate, batch size, noise and basis change a training?

\b
    python -m experiments.sweep --degrees 1,2,3,4,5 --learning-rates auto,0.01,0.001 --seeds 10
    mlflow run . -e sweep -P degrees=3 -P noises=0.1 -P seeds=200

Trains every combination with every seed (or, with --trials, those that Optuna tries), many runs at
once, and tracks them as nested runs of one: with a table, plots, and the best run's model.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import click

from experiments import nested, train
from experiments.common import (
    Clock,
    device_of,
    ending,
    joined,
    patience,
    progress_bar,
    say_abandoned,
    say_news,
)
from polyreg.config import LISTS, SweepConfig
from polyreg.errors import Unreachable
from polyreg.options import command, extra_option, params, same_options
from polyreg.text import aligned, plural, text

SHOWN = 20  # combinations in the report
ENOUGH = 10  # seeds for a study of recovery
OTHERS = ("batch_size", "noise", "basis")  # that are no axes of a heat map
PLOTTED = 6  # combinations of them in the heat maps


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
    with ending() as stop, ExitStack() as opened:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.importing(), clock("import"):
            from polyreg import sweep, tracking
            from polyreg.optimum import Optimum

        if tracking_uri:
            tracking.use(tracking_uri)
        if resume:
            config = same_options(config, tracking.interrupted(resume).params)
        device = device_of(config, config.dtype)
        for varied in config.combinations():
            first = config.run(config.seed, **varied)
            train.require_headroom(Optimum.of(first), first)
        if config.trials:
            require_optuna()
        with stop.abruptly():
            engine = opened.enter_context(joined(config, device))
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
            trainer = nested.Trainer(engine, device, stop)
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
        name = nested.run_name(config, best.config)
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
    from polyreg.sweep import Row

    for child in run.children():
        if child.whole:
            row = Row.from_run(child.id, child.params, child.metrics, child.tags)
            kept = rows.setdefault(row.config, row)
        if not child.whole or run.id_of(kept.id) != child.id:
            run.remove(child.id)


def train_missing(
    run, config: SweepConfig, rows: dict, trainer: nested.Trainer
) -> list[dict[str, Any]]:
    """Train and track what `rows` lacks; the combinations that were tried."""
    from polyreg import sweep

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
        f"best of {plural(len(rows), 'run')}: {nested.run_name(config, best.config)}, "
        f"{best.steps:,} steps, expected loss {best.gap:.2g} above the optimum, run {best.id}; "
        f"{converged:,} converged, {diverged:,} diverged"
    )


def log_best(run, best, config: SweepConfig, trainer: nested.Trainer) -> Any:
    """The best run's model and plots; it is trained again, which gives the same weights."""
    child = run.at(best.id)
    for training in trainer.train([best.config]):
        learned = training.result()
        for name, figure in train.figures(learned, training):
            child.figure(figure, name)
        if config.save_models == "best" or config.register_as:
            example = train.example(learned)
            child.model(training.model, learned, example, config.register_as)
    return learned


def runs_table(rows) -> dict[str, list]:
    """All runs, a column a quantity."""
    rows = list(rows)
    columns = {"run_id": [row.id for row in rows]}
    for option in [*LISTS, "seed"]:
        columns[option] = [text(getattr(row.config, option)) for row in rows]
    columns["outcome"] = [outcome(row) for row in rows]
    for quantity in ("steps", "rate", "gap", "error"):
        columns[quantity] = [getattr(row, quantity) for row in rows]
    return columns


def outcome(row) -> str:
    if row.diverged:
        return "diverged"
    return "converged" if row.converged else "not converged"


def totals(rows, best) -> dict[str, float]:
    rows = list(rows)
    return {
        "runs": len(rows),
        "runs_converged": sum(row.converged for row in rows),
        "runs_diverged": sum(row.diverged for row in rows),
        "steps": sum(row.steps for row in rows),
        "best/steps": best.steps if best else float("nan"),
        "best/gap": best.gap if best else float("nan"),
    }


def figures(config: SweepConfig, found: Sequence, whole: bool) -> Iterator:
    """Heat maps of a whole grid, parallel coordinates, the best combination's recovery, by name."""
    from polyreg import sweep_figures

    if not found:
        return
    if whole and not config.trials:
        others = math.prod(len(config.lists()[option]) for option in OTHERS)
        cut = f" · the first {PLOTTED} panels of {others}" if others > PLOTTED else ""
        title = (config.size if cut else config.name) + cut
        yield "heat_map", sweep_figures.heat_map(panels(config, found), title)
    yield "parallel", parallel(config, found)
    leader = min(found, key=lambda summary: summary.score)
    if studied(leader):
        study = leader.recovery()
        yield (
            "recovery",
            sweep_figures.recovery(
                study.terms,
                study.bias,
                study.bias_error,
                study.spread,
                study.least_squares,
                study.predicted,
                runs=study.runs,
                title=recovery_title(config, leader),
            ),
        )


def panels(config: SweepConfig, found: Sequence) -> list:
    """Gap and steps over learning rate and degree, for each choice of the other options."""
    import numpy as np

    from polyreg.sweep_figures import Panel

    lists = config.lists()
    cells = {tuple(summary.varied.values()): summary for summary in found}
    shape = len(lists["learning_rate"]), len(lists["degree"])
    others = list(itertools.product(*(lists[option] for option in OTHERS)))
    made = []
    for quantity in ("gap", "steps"):
        for other in others[:PLOTTED]:
            grid = [
                cells[(degree, rate, *other)]
                for rate, degree in itertools.product(lists["learning_rate"], lists["degree"])
            ]
            names = ("batch", "noise", "")
            fixed = [
                f"{name} {text(value)}".strip()
                for name, value, option in zip(names, other, OTHERS, strict=True)
                if len(lists[option]) > 1
            ]
            made.append(
                Panel(
                    title=", ".join(fixed) or quantity,
                    rows=[text(rate) for rate in lists["learning_rate"]],
                    columns=[text(degree) for degree in lists["degree"]],
                    mean=np.reshape([cell.mean(quantity) for cell in grid], shape),
                    spread=np.reshape([cell.spread(quantity) for cell in grid], shape),
                    label=quantity,
                    names=("learning rate", "degree"),
                )
            )
    return made


def parallel(config: SweepConfig, found: Sequence):
    """Every run as a line through what the sweep varies and what it came to."""
    import numpy as np

    from polyreg import sweep_figures

    runs = [row for summary in found for row in summary.rows]
    axes: dict[str, list] = {
        option.replace("_", " "): [getattr(row.config, option) for row in runs]
        for option, values in config.lists().items()
        if len(values) > 1
    }
    axes["steps"] = [float("nan") if row.diverged else row.steps for row in runs]
    axes["error"] = [row.error for row in runs]
    axes["gap"] = [row.gap for row in runs]
    return sweep_figures.parallel(axes, np.array(axes["steps"]), "steps", config.name)


def report(config: SweepConfig, found: Sequence, best) -> None:
    """Print what each combination came to, the best run, and how well it recovers the truth."""
    lists = config.lists()
    varied = [option for option in lists if len(lists[option]) > 1] or ["degree"]
    ranked = sorted(found, key=lambda summary: summary.score)
    header = [
        *(o.replace("_", " ") for o in varied),
        "converged",
        "diverged",
        "steps",
        "gap",
        "error",
    ]
    rows = [
        [
            *(text(summary.varied[option]) for option in varied),
            f"{summary.converged} of {config.seeds}",
            str(len(summary.rows) - len(summary.kept) or "-"),
            shown(summary.mean("steps"), ",.0f"),
            shown(summary.mean("gap"), ".2g"),
            shown(summary.mean("error"), ".2g"),
        ]
        for summary in ranked[:SHOWN]
    ]
    click.echo(aligned(header, rows))
    if len(ranked) > SHOWN:
        click.echo(f"... and {len(ranked) - SHOWN} more; runs.json has every run")
    click.echo(
        "means over the seeds that did not diverge; gap is to the optimum, error to the truth, "
        "as E (p - q)^2"
    )
    runs = [row for summary in found for row in summary.rows]
    if short := sum(not (row.converged or row.diverged) for row in runs):
        click.echo(f"{plural(short, 'run')} used up --max-steps without converging")
    lost = [summary for summary in ranked if len(summary.kept) < len(summary.rows)]
    if lost:
        failed = plural(sum(row.diverged for row in runs), "run")
        where = "; ".join(
            ", ".join(nested.words(config, summary.varied)) for summary in lost[:PLOTTED]
        )
        more = f"; and {len(lost) - PLOTTED} more" if len(lost) > PLOTTED else ""
        click.echo(f"{failed} diverged{where and ': '}{where}{more}")
    if ranked and studied(ranked[0]):
        report_recovery(config, ranked[0])


def studied(summary) -> bool:
    """Whether there are seeds enough, and something that makes even least squares err."""
    from polyreg.optimum import Optimum

    left = Optimum.of(summary.rows[0].config).residual_variance
    return len(summary.kept) >= ENOUGH and left > 0


def recovery_title(config: SweepConfig, leader) -> str:
    varied = ", ".join(nested.words(config, leader.varied)) or leader.rows[0].config.name
    return f"recovery of the coefficients: {varied}, {len(leader.kept)} seeds"


def shown(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def report_recovery(config: SweepConfig, leader) -> None:
    study = leader.recovery()
    click.echo(f"\n{recovery_title(config, leader)}:")
    columns = {
        "term": study.terms,
        "optimum": [f"{v:.6g}" for v in study.optimum],
        "bias": [f"{v:+.2g}" for v in study.bias],
        "its error": [f"{v:.2g}" for v in study.bias_error],
        "spread": [f"{v:.2g}" for v in study.spread],
        "least squares": [f"{v:.2g}" for v in study.least_squares],
        "SGD predicted": [shown(v, ".2g") for v in study.predicted],
    }
    click.echo(aligned(list(columns), list(zip(*columns.values(), strict=True))))
    if leader.converged:
        click.echo(
            f"note: the stop rule ended {leader.converged} of {len(leader.rows)} runs, and sets "
            "their spread; --tolerance 1e-12 with --max-steps shows what the samples allow"
        )


if __name__ == "__main__":
    main()
