"""Which figures a sweep has, and what is drawn in each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from polyreg import tracking
from polyreg.config import SweepConfig
from polyreg.errors import Unreachable
from polyreg.reports.panels import PLOTTED, left_out, panels
from polyreg.sgd.optimum import Optimum
from polyreg.sgd.sweep import Row, Summary, quartiles
from polyreg.text import plural, text

ENOUGH = 10  # seeds for a study of recovery
SCORE = (
    "colour: the score, the least is best: steps, times distance to the truth / tolerance where "
    "that is over 1"
)


def figures(config: SweepConfig, found: Sequence[Summary]) -> Iterator[tuple[str, Any]]:
    """Learning curves of the optimizers, heat maps, parallel coordinates, the best combination's
    recovery, by name: those that have something to show."""
    from polyreg.reports import sweep_figures

    if not found:
        return
    if len(config.optimizers) > 1 and (compared := contests(config, found)):
        title = f"learning curves: median and quartiles of {plural(config.seeds, 'seed')}"
        if len(compared) > PLOTTED:
            title += f" · the first {PLOTTED} of {len(compared)} panels"
        yield "optimizers", sweep_figures.optimizers(compared[:PLOTTED], config.tolerance, title)
    if drawn := panels(config, found):
        more = left_out(config, found)
        note = f"{plural(more, 'further panel')} of each left out; runs.json has every run"
        yield (
            "heat_map",
            sweep_figures.heat_map(drawn, config.name, config.seeds, note if more else ""),
        )
    if figure := parallel(config, found):
        yield "parallel", figure
    leader = min(found, key=lambda summary: summary.score)
    if studied(leader):
        yield "recovery", recovery(config, leader)


def words(config: SweepConfig, varied: dict[str, Any]) -> list[str]:
    """A combination by those of its options that the sweep varies."""
    lists = config.lists()
    return [
        f"{option.replace('_', ' ')} {text(value)}"
        for option, value in varied.items()
        if len(lists[option]) > 1
    ]


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
    """Every run as a line through what the sweep varies and what it came to.

    None where all runs came to the same.
    """
    from polyreg.reports import parallel as coordinates

    runs = [row for summary in found for row in summary.rows]
    settings = {
        option.replace("_", " "): [getattr(row.config, option) for row in runs]
        for option in config.lists()
    }
    lost = np.array([row.diverged for row in runs])
    results = {
        "steps": [float("nan") if row.diverged else row.steps for row in runs],
        "distance to the truth": [row.error for row in runs],
        "gap to the optimum": [row.gap for row in runs],
    }
    distance, gap = list(results.values())[1:]
    if np.allclose(distance, gap, rtol=1e-6, atol=0, equal_nan=True):
        del results["distance to the truth"]
    settings = {name: values for name, values in settings.items() if len(set(values)) > 1}
    results = {name: v for name, v in results.items() if len(set(np.array(v)[~lost])) > 1}
    if not results or len(settings | results) < 2:
        return None
    score = np.where(lost, np.nan, [row.score for row in runs])
    return coordinates.parallel(settings, results, score, "score", config.name, SCORE)


def studied(summary: Summary) -> bool:
    """Whether there are seeds enough, and something that makes even least squares err."""
    left = Optimum.of(summary.rows[0].config).residual_variance
    return len(summary.kept) >= ENOUGH and left > 0


def recovery(config: SweepConfig, leader: Summary) -> Any:
    """How the seeds of the best combination lie about the optimum."""
    from polyreg.reports import sweep_figures

    study = leader.recovery()
    return sweep_figures.recovery(
        study.terms,
        study.bias,
        study.bias_error,
        study.spread,
        study.least_squares,
        study.predicted,
        runs=study.runs,
        title=recovery_title(config, leader),
        note=stopped(leader),
    )


def recovery_title(config: SweepConfig, leader: Summary) -> str:
    varied = ", ".join(words(config, leader.varied)) or leader.rows[0].config.name
    return f"recovery of the coefficients: {varied}, {len(leader.kept)} seeds"


def stopped(leader: Summary) -> str:
    """What is to be said where the stop rule ended runs."""
    if not leader.converged:
        return ""
    return (
        f"the stop rule ended {leader.converged} of {len(leader.rows)} runs, and sets their spread"
    )
