"""What a sweep leaves: nested runs, a table of them, figures, the ranking."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import click

from polyreg.config import LISTS, SweepConfig
from polyreg.errors import Unreachable
from polyreg.options import params
from polyreg.reports import training as one
from polyreg.text import aligned, plural, text


def track_there(handle, config: SweepConfig, device: str, trainings: list) -> list:
    """The rows of trainings that were tracked where they were trained, or else the trainings."""
    done: list = []
    try:
        with handle.open() as run:
            for training in trainings if run else []:
                done.append(track(run, config, training, device))
    except Unreachable:
        pass
    return done + trainings[len(done) :]


def track(run, config: SweepConfig, training, device: str):
    """Log one run, as `train` does, and give its row."""
    from polyreg.sgd.sweep import Row

    own, curve = training.config, training.curve
    metrics, curves, at = one.measured(curve)
    learned = model = None
    about = one.tags(training, device)
    if training.diverged:
        about["error"] = str(training.diverged)
    else:
        learned = training.result()
        metrics |= one.reached(training, learned) | {"time/train_s": training.seconds}
        if config.save_models == "all":
            model = (training.model, one.example(learned))
    name = run_name(config, own)
    told = str(training.diverged or one.outcome(training))
    run_id = run.child(name, params(own), about, metrics, curves, at, learned, model, told)
    return Row.of(run_id, training)


def run_name(config: SweepConfig, own) -> str:
    """`train`'s name, with all that the sweep varies."""
    varied = [option for option, values in config.lists().items() if len(values) > 1]
    return own.named([*varied, "seed"] if config.seeds > 1 else varied)


def words(config: SweepConfig, varied: dict[str, Any]) -> list[str]:
    """A combination by those of its options that the sweep varies."""
    lists = config.lists()
    return [
        f"{option.replace('_', ' ')} {text(value)}"
        for option, value in varied.items()
        if len(lists[option]) > 1
    ]


SHOWN = 20  # combinations in the report
ENOUGH = 10  # seeds for a study of recovery
OTHERS = ("batch_size", "noise", "basis")  # that are no axes of a heat map
PLOTTED = 6  # combinations of them in the heat maps


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
    from polyreg.reports import sweep_figures

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

    from polyreg.reports.sweep_figures import Panel

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

    from polyreg.reports import sweep_figures

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
        where = "; ".join(", ".join(words(config, summary.varied)) for summary in lost[:PLOTTED])
        more = f"; and {len(lost) - PLOTTED} more" if len(lost) > PLOTTED else ""
        click.echo(f"{failed} diverged{where and ': '}{where}{more}")
    if ranked and studied(ranked[0]):
        report_recovery(config, ranked[0])


def studied(summary) -> bool:
    """Whether there are seeds enough, and something that makes even least squares err."""
    from polyreg.sgd.optimum import Optimum

    left = Optimum.of(summary.rows[0].config).residual_variance
    return len(summary.kept) >= ENOUGH and left > 0


def recovery_title(config: SweepConfig, leader) -> str:
    varied = ", ".join(words(config, leader.varied)) or leader.rows[0].config.name
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
