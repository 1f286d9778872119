"""Record of a sweep (nested runs, their table, figures), and its report on the terminal."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from polyreg import tracking
from polyreg.config import LISTS, SweepConfig, TrainConfig
from polyreg.errors import Unreachable
from polyreg.options import params
from polyreg.reports import training as one
from polyreg.sgd import Training
from polyreg.sgd.optimum import Optimum
from polyreg.sgd.sweep import Row, Summary, quartiles
from polyreg.text import aligned, plural, text
from polyreg.tracking import Run
from polyreg.tracking.run import RunHandle

SHOWN = 20  # combinations in the report
ENOUGH = 10  # seeds for a study of recovery
OTHERS = ("batch_size", "noise", "basis", "optimizer")  # that are no axes of a heat map
PLOTTED = 6  # combinations of them in the heat maps


def record(
    run: Run, config: SweepConfig, rows: Iterable[Row], found: Sequence[Summary], whole: bool = True
) -> None:
    """Log the table of a sweep's runs, and its figures: all of them, where it is whole."""
    run.table(runs_table(rows), "runs")
    for name, figure in figures(config, found, whole):
        run.figure(figure, name)


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
    return Row.of(run_id, training)


def run_name(config: SweepConfig, own: TrainConfig) -> str:
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
        f"{best.steps:,} steps, expected loss {best.gap:.2g} above the optimum, run {best.id}; "
        f"{converged:,} converged, {diverged:,} diverged"
    )


def figures(
    config: SweepConfig, found: Sequence[Summary], whole: bool
) -> Iterator[tuple[str, Any]]:
    """Learning curves of the optimizers, heat maps of a whole grid, parallel coordinates, the best
    combination's recovery, by name."""
    from polyreg.reports import sweep_figures

    if not found:
        return
    if len(config.optimizers) > 1 and (compared := contests(config, found)):
        title = f"learning curves: median and quartiles of {plural(config.seeds, 'seed')}"
        if len(compared) > PLOTTED:
            title += f" · the first {PLOTTED} panels of {len(compared)}"
        yield (
            "optimizers",
            sweep_figures.optimizers(compared[:PLOTTED], config.tolerance, title),
        )
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


def panels(config: SweepConfig, found: Sequence[Summary]) -> list[Any]:
    """Gap and steps over learning rate and degree, for each choice of the other options."""
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
            names = ("batch", "noise", "", "")
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


def contests(config: SweepConfig, found: Sequence[Summary]) -> list[Any]:
    """Learning curves of the optimizers side by side, on each problem that the sweep has.

    Of each optimizer that of its rates with the best score there.
    """
    from polyreg.reports.sweep_figures import Contest

    problems: dict[str, list[Summary]] = {}
    for summary in found:
        contest = ("optimizer", "learning_rate")
        problem = {o: v for o, v in summary.varied.items() if o not in contest}
        problems.setdefault(", ".join(words(config, problem)), []).append(summary)
    made = []
    for title, tried in problems.items():
        drawn, rates = [], {}
        for look, optimizer in enumerate(config.optimizers):
            own = [summary for summary in tried if summary.varied["optimizer"] == optimizer]
            if not own:
                continue
            best = min(own, key=lambda summary: summary.score)
            if one := descent(best.rows, optimizer, look):
                drawn.append(one)
                rates[optimizer] = text(best.varied["learning_rate"])
        if drawn:
            told = [title] if title else []
            if len(config.learning_rates) > 1:
                told.append(best_rates(rates))
            made.append(Contest(" · ".join(told), drawn))
    return made


def best_rates(rates: Mapping[str, str]) -> str:
    """The rate of most optimizers, and those of the others: `rate auto; adamw 0.01`."""
    [(most, _)] = Counter(rates.values()).most_common(1)
    others = [f"{name} {rate}" for name, rate in rates.items() if rate != most]
    return "; ".join([f"rate {most}", *others])


def descent(rows: Sequence[Row], name: str, look: int) -> Any:
    """Median and quartiles over the seeds of the gap, until more than half of them have ended.

    None where no curve is to be had.
    """
    from polyreg.reports.sweep_figures import Descent

    kept = [(row, row.curve) for row in map(with_curve, rows) if row.curve is not None]
    if not kept:
        return None
    rows, gaps = [row for row, _ in kept], np.stack([curve for _, curve in kept])
    found = quartiles(gaps, [row.steps for row in rows], rows[0].config.max_steps)
    met = sum(row.converged for row in rows) > len(rows) / 2
    return Descent(name, look, found.steps, found.median, found.low, found.high, met)


def with_curve(row: Row) -> Row:
    """The row with its learning curve, read back from the store where it was trained earlier."""
    if row.curve is None:
        with suppress(Unreachable):
            at, gap = tracking.curve(row.id, "loss/gap")
            return row.with_curve(at, gap) if len(at) or row.diverged else row
    return row


def parallel(config: SweepConfig, found: Sequence[Summary]) -> Any:
    """Every run as a line through what the sweep varies and what it came to."""
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


def report(config: SweepConfig, found: Sequence[Summary]) -> list[str]:
    """What each combination came to, and how well the best recovers the truth, in lines."""
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
        where = "; ".join(", ".join(words(config, summary.varied)) for summary in lost[:PLOTTED])
        more = f"; and {len(lost) - PLOTTED} more" if len(lost) > PLOTTED else ""
        lines.append(f"{failed} diverged{where and ': '}{where}{more}")
    if ranked and studied(ranked[0]):
        lines += report_recovery(config, ranked[0])
    return lines


def studied(summary: Summary) -> bool:
    """Whether there are seeds enough, and something that makes even least squares err."""
    left = Optimum.of(summary.rows[0].config).residual_variance
    return len(summary.kept) >= ENOUGH and left > 0


def recovery_title(config: SweepConfig, leader: Summary) -> str:
    varied = ", ".join(words(config, leader.varied)) or leader.rows[0].config.name
    return f"recovery of the coefficients: {varied}, {len(leader.kept)} seeds"


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
    if leader.converged:
        lines.append(
            f"note: the stop rule ended {leader.converged} of {len(leader.rows)} runs, and sets "
            "their spread; --tolerance 1e-12 with --max-steps shows what the samples allow"
        )
    return lines


def combinations(config, found):
    return [], []
