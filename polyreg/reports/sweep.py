"""Record of a sweep (nested runs, their table, figures), and its report on the terminal."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from polyreg.config import LISTS, SweepConfig, TrainConfig
from polyreg.errors import Unreachable
from polyreg.options import params
from polyreg.reports import training as one
from polyreg.reports.panels import why_none
from polyreg.reports.sweep_plots import figures, recovery_title, stopped, studied, words
from polyreg.sgd import Training
from polyreg.sgd.sweep import Row, Summary
from polyreg.text import aligned, plural, text
from polyreg.tracking import Run, thinned
from polyreg.tracking.run import RunHandle

SHOWN = 20  # combinations in the report
LOST = 6  # combinations that diverged, by name


def record(
    run: Run, config: SweepConfig, rows: Iterable[Row], found: Sequence[Summary], whole: bool = True
) -> list[str]:
    """Log the table of a sweep's runs, and its figures where it is whole; the figures' names.

    An interrupted one has none: it would keep those that the whole one has not.
    """
    run.table(runs_table(rows), "runs")
    drawn = []
    for name, figure in figures(config, found) if whole else ():
        run.figure(figure, name)
        drawn.append(name)
    return drawn


def record_best(run: Run, config: SweepConfig, rows: Iterable[Row], training: Training) -> None:
    """Log the best run's plots and model to it, and to the sweep what it came to."""
    [best] = [row for row in rows if row.config == training.config]
    child, learned = run.at(best.id), training.result()
    for name, figure in one.figures(learned, training):
        child.figure(figure, name)
    if config.save_models == "best" or config.register_as:
        child.model(training.model, learned, one.example(learned), config.register_as)
    run.describe(told(config, rows, best), learned)


def track_there(
    handle: RunHandle, config: SweepConfig, device: str, trainings: list[Training]
) -> list[Any]:
    """The rows of trainings that were tracked where they were trained, or else the trainings."""
    done: list[Any] = []
    try:
        with handle.open() as run:
            if run:
                for training in trainings:
                    done.append(track(run, config, training, device))
    except Unreachable:
        pass
    return done + trainings[len(done) :]


def track(run: Run, config: SweepConfig, training: Training, device: str) -> Row:
    """Log one run, as `train` does, and give its row."""
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
    ended = str(training.diverged or one.outcome(training))
    most = config.curve_points
    run_id = run.child(name, params(own), about, metrics, curves, at, learned, model, ended, most)
    # As a resumed sweep reads it back.
    kept = [i for i in thinned(at, most) if math.isfinite(curve.gap[i])]
    return Row.of(run_id, training).with_curve(at[kept], curve.gap[kept])


def run_name(config: SweepConfig, own: TrainConfig) -> str:
    """`train`'s name, with all that the sweep varies."""
    varied = [option for option, values in config.lists().items() if len(values) > 1]
    return own.named([*varied, "seed"] if config.seeds > 1 else varied)


def runs_table(rows: Iterable[Row]) -> dict[str, list]:
    """All runs, a column a quantity."""
    rows = list(rows)
    columns = {"run_id": [row.id for row in rows]}
    for option in [*LISTS, "seed"]:
        columns[option] = [text(getattr(row.config, option)) for row in rows]
    columns["outcome"] = [outcome(row) for row in rows]
    for quantity in ("steps", "rate", "gap", "error"):
        columns[quantity] = [getattr(row, quantity) for row in rows]
    return columns


def outcome(row: Row) -> str:
    if row.diverged:
        return "diverged"
    return "converged" if row.converged else "not converged"


def totals(rows: Iterable[Row], best: Row | None) -> dict[str, float]:
    """A sweep's own metrics."""
    rows = list(rows)
    return {
        "runs": len(rows),
        "runs_converged": sum(row.converged for row in rows),
        "runs_diverged": sum(row.diverged for row in rows),
        "steps": sum(row.steps for row in rows),
        "best/steps": best.steps if best else float("nan"),
        "best/gap": best.gap if best else float("nan"),
    }


def told(config: SweepConfig, rows: Iterable[Row], best: Row) -> str:
    """What the sweep came to, in a sentence: whose the equation is, and of how many."""
    rows = list(rows)
    converged, diverged = (
        sum(getattr(row, how) for row in rows) for how in ("converged", "diverged")
    )
    return (
        f"best of {plural(len(rows), 'run')}: {run_name(config, best.config)}, "
        f"{plural(best.steps, 'step')}, expected loss {best.gap:.2g} above the optimum, "
        f"run {best.id}; "
        f"{converged:,} converged, {diverged:,} diverged"
    )


def combinations(
    config: SweepConfig, found: Sequence[Summary]
) -> tuple[list[str], list[list[str]]]:
    """A header and a row a combination: what varies, how many converged, means over the seeds."""
    lists = config.lists()
    varied = [option for option in lists if len(lists[option]) > 1] or ["degree"]
    words_ = [option.replace("_", " ") for option in varied]
    header = [*words_, "converged", "diverged", "steps", "gap", "error"]
    rows = [
        [
            *(text(summary.varied[option]) for option in varied),
            f"{summary.converged} of {len(summary.rows)}",
            str(len(summary.rows) - len(summary.kept) or "-"),
            shown(summary.mean("steps"), ",.0f"),
            shown(summary.mean("gap"), ".2g"),
            shown(summary.mean("error"), ".2g"),
        ]
        for summary in found
    ]
    return header, rows


def report(config: SweepConfig, found: Sequence[Summary]) -> list[str]:
    """What each combination came to, and how well the best recovers the truth, in lines."""
    ranked = sorted(found, key=lambda summary: summary.score)
    header, rows = combinations(config, ranked[:SHOWN])
    lines = [aligned(header, rows)]
    if len(ranked) > SHOWN:
        lines.append(f"... and {len(ranked) - SHOWN} more; runs.json has every run")
    lines.append(
        "means over the seeds that did not diverge; gap is to the optimum, error to the truth, "
        "as E (p - q)^2"
    )
    runs = [row for summary in found for row in summary.rows]
    if short := sum(not (row.converged or row.diverged) for row in runs):
        lines.append(f"{plural(short, 'run')} used up --max-steps without converging")
    lost = [summary for summary in ranked if len(summary.kept) < len(summary.rows)]
    if lost:
        failed = plural(sum(row.diverged for row in runs), "run")
        where = "; ".join(", ".join(words(config, summary.varied)) for summary in lost[:LOST])
        more = f"; and {len(lost) - LOST} more" if len(lost) > LOST else ""
        lines.append(f"{failed} diverged{where and ': '}{where}{more}")
    if why := why_none(config, found):
        lines.append(why)
    if ranked and studied(ranked[0]):
        lines += report_recovery(config, ranked[0])
    return lines


def shown(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def report_recovery(config: SweepConfig, leader: Summary) -> list[str]:
    """How the seeds of the best combination lie about the optimum, in lines."""
    study = leader.recovery()
    columns = {
        "term": study.terms,
        "optimum": [f"{v:.6g}" for v in study.optimum],
        "bias": [f"{v:+.2g}" for v in study.bias],
        "its error": [f"{v:.2g}" for v in study.bias_error],
        "spread": [f"{v:.2g}" for v in study.spread],
        "least squares": [f"{v:.2g}" for v in study.least_squares],
        "SGD predicted": [shown(v, ".2g") for v in study.predicted],
    }
    table = aligned(list(columns), list(zip(*columns.values(), strict=True)))
    lines = ["", f"{recovery_title(config, leader)}:", table]
    if why := stopped(leader):
        lines.append(
            f"note: {why}; --tolerance 1e-12 with --max-steps shows what the samples allow"
        )
    return lines
