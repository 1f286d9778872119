"""Record of a training in its run (tags, metrics, figures), and its report on the terminal."""

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from polyreg.config import TrainConfig
from polyreg.fields import TORCH_OPTIMIZERS
from polyreg.polynomials.result import Result
from polyreg.reports import fit
from polyreg.sgd import Training, stream
from polyreg.sgd.curve import Curve
from polyreg.sgd.optimum import TrainingTable
from polyreg.sgd.rates import SIZES, falling
from polyreg.text import aligned, text
from polyreg.tracking import CURVE_POINTS, Clock, Run, filled, thinned

SAMPLE = 400  # points of the data in the plots
CURVE_SECONDS = 5.0  # between two loggings of a training that goes on


def record(
    run: Run, training: Training, clock: Clock, interrupted: bool = False, register_as: str = ""
) -> Result:
    """Log what a training of at least one step came to, besides its curves, and give its result."""
    learned = training.result()
    with clock("plots"):
        for name, figure in figures(learned, training):
            run.figure(figure, name)
    run.tag(tags(training))  # before the model: a registered one takes them over
    with clock("model"):
        run.model(training.model, learned, example(learned), register_as)
    run.coefficients(learned)
    if training.table:
        fit.dataset(run, training.table.best)
        run.text(json.dumps(fit.sample(training.table.best)), "sample.json")
        run.text(json.dumps(training.table.best.to_dict(), indent=2), "exact_fit.json")
    run.log(reached(training, learned) | clock.metrics())
    run.describe(outcome(training, interrupted), learned)
    return learned


class CurveLog:
    """A training's curves in its run: some points every CURVE_SECONDS, the rest at the end.

    What was logged stays, so the end of the training, which is not known before, has half of the
    room of CURVE_POINTS. Of the other half, each logging takes the share ln(n / l) / ln(m / l), at
    most 1/2, where l is the last step that was logged, n the one reached, m max_steps: the points
    then lie in about equal ratios, and last until max_steps. The end fills in where they are rare.
    An interruption fills half of the room that is left. `logged` (T,) are the steps before it.
    """

    def __init__(self, run: Run, training: Training, logged: Sequence[int] | np.ndarray = ()):
        self._run, self._training, self._logged = run, training, np.array(logged, int)
        self._reserved = (self._room + 1) // 2
        self._due = time.perf_counter() + CURVE_SECONDS

    @property
    def _room(self) -> int:
        return CURVE_POINTS - len(self._logged)

    def log_when_due(self) -> None:
        start = time.perf_counter()
        if start < self._due:
            return
        begin, steps = self._logged[-1:], self._training.curve.steps
        last = int(begin[0]) if len(begin) else 1
        if steps > last:
            share = math.log(steps / last) / math.log(self._training.max_steps / last)
            points = int(min(share, 0.5) * (self._room - self._reserved))
            if points > 0:
                self._log(lambda at: _after(begin, at, points))
        end = time.perf_counter()
        # A slow store is written to more rarely: for 1/200 of the time, or once a minute.
        self._due = end + min(max(CURVE_SECONDS, 200 * (end - start)), 60.0)

    def log_rest(self) -> None:
        """Whatever ended the training, or interrupted it."""
        room = self._room if self._training.ended else self._room // 2
        if len(self._logged):
            self._log(lambda at: filled(at, self._logged, room))
        else:
            self._log(lambda at: thinned(at, room))

    def _log(self, choose: Callable[[np.ndarray], list[int]]) -> None:
        metrics, curves, at = measured(self._training.curve)
        kept = choose(at)
        self._run.log(metrics, {name: values[kept] for name, values in curves.items()}, at[kept])
        self._logged = np.union1d(self._logged, at[kept])


def _after(begin: np.ndarray, at: np.ndarray, points: int) -> list[int]:
    """Places of so many steps, thinned from `begin` on, the step before them: one, or none."""
    new = int(np.searchsorted(at, begin, side="right").sum())
    kept = thinned(np.append(begin, at[new:]), points + len(begin))
    return [new + place - len(begin) for place in kept[len(begin) :]]


def log_curves(run: Run, training: Training) -> None:
    """Log the curves of a training that is over."""
    CurveLog(run, training).log_rest()


def tags(training: Training, device: str = "") -> dict[str, str]:
    """A run's tags; `converged` is false until it has. device: where it trained, if elsewhere"""
    config, table = training.config, training.table
    return {
        "basis": config.family,
        "device": device or str(training.device),
        "converged": str(training.curve.converged).lower(),
        **(fit.table_tags(table.best) if table else {"data.sha256": stream.sha256(config)}),
    }


def measured(curve: Curve) -> tuple[dict[str, float], dict[str, np.ndarray], np.ndarray]:
    """What every run has, whatever ended it: metrics, curves, and the curves' steps."""
    metrics = {"steps": curve.steps, "learning_rate": curve.rate}
    return metrics, {"loss/train": curve.loss, "loss/gap": curve.gap}, curve.at


def reached(training: Training, learned: Result) -> dict[str, float]:
    """What a run that did not diverge came to."""
    figures = {
        "coef_error/max": max(abs(off) for *_, off in beside(learned, training)),
        "condition": learned.condition,
        "steps_per_s": training.curve.steps / training.seconds,
    }
    if not training.table:
        return figures
    best, gap = training.table.best, training.curve.gap[-1]
    rss = best.solution.rss + best.nobs * gap
    return figures | {
        "epochs": training.epochs,
        "rows": best.nobs,
        "rows_missing": best.origin.missing_rows,
        "r2": 1 - rss / best.solution.tss if best.solution.tss else math.nan,
    }


def beside(learned: Result, training: Training) -> list[tuple[str, float, float, float]]:
    """(term, reference, learned, difference) of each term: the truth or, of a table, its fit."""
    rows = learned.against_truth() if training.table is None else []
    if training.table:
        pairs = training.table.best.coefficients.tolist(), learned.coefficients.tolist()
        rows = list(zip(learned.terms, *pairs, strict=True))
    return [(term, reference, value, value - reference) for term, reference, value in rows]


def example(learned: Result) -> np.ndarray:
    """x (3, D) for the model's signature."""
    return np.linspace(learned.low, learned.high, 3)


def figures(learned: Result, training: Training) -> Iterator[tuple[str, Any]]:
    """The fit, the curves and the residuals, by name, over a sample of the training's own data."""
    from polyreg.reports import figures as draw

    config, curve = training.config, training.curve
    yield "fit", fit_figure(learned, training.table or config)
    kept = thinned(curve.at)
    yield (
        "loss",
        draw.loss(
            curve.at[kept],
            curve.loss[kept],
            curve.gap[kept],
            floor=training.optimum.residual_variance,
            tolerance=training.tolerance,
            title=training.name,
        ),
    )
    if training.table:
        yield "residuals", residuals_of_rows(learned, training.table)
        return
    x, y, grid, truth = sample(config)
    residual = y - learned.predict(x)
    yield (
        "residuals",
        draw.residuals((x, residual), (grid, truth - learned.predict(grid)), config.name),
    )


def fit_figure(learned: Result, config: TrainConfig | TrainingTable) -> Any:
    """What was learned beside the truth, or a table's exact fit, over a sample of the data."""
    from polyreg.reports import figures as draw

    if isinstance(config, TrainingTable):
        return fit_of_rows(learned, config)
    x, y, grid, truth = sample(config)
    return draw.fit((x, y), grid, truth, learned.predict(grid), config.name)


def fit_of_rows(learned: Result, table: TrainingTable) -> Any:
    """What was learned beside the exact fit; of several variables, observed against fitted."""
    from polyreg.reports import figures as draw

    best = table.best
    (x, y, _), label = fit.points(best), fit.label(best)
    name = fit.with_units(best, best.target)
    if len(best.variables) > 1:
        fitted = learned.predict(x)
        return draw.observed(
            fitted, y, None, level=best.level, name=name, title=table.name, label=label, no_band=""
        )
    grid = np.linspace(best.low[0], best.high[0], 400)
    curves = best.predict(grid), learned.predict(grid)
    names = fit.with_units(best, best.variables[0]), name
    return draw.fit(
        (x[:, 0], y), grid, *curves, table.name, names=names, reference="exact fit", label=label
    )


def residuals_of_rows(learned: Result, table: TrainingTable) -> Any:
    """What was learned leaves of the rows, and how far it is from the exact fit."""
    from polyreg.reports import figures as draw

    best = table.best
    x, y, _ = fit.points(best)
    fitted = learned.predict(x)
    across, name, place, mark = fitted, f"fitted {best.target}", x, "."
    if len(best.variables) == 1:
        across, name, mark = x[:, 0], fit.with_units(best, best.variables[0]), "-"
        place = np.linspace(best.low[0], best.high[0], 400)[:, None]
    error = best.predict(place) - learned.predict(place)
    return draw.residuals(
        (across, y - fitted),
        (place[:, 0] if mark == "-" else across, error),
        table.name,
        names=(name, best.target),
        reference="exact fit",
        label=fit.label(best),
        mark=mark,
    )


def sample(config: TrainConfig) -> tuple[np.ndarray, ...]:
    """Some of a training's own data x, y (SAMPLE,); a grid over them and the truth there."""
    x, y = stream.Stream(config, stream.Randomness.of(config.seed)).samples(SAMPLE)
    grid = np.linspace(x.min(), x.max(), 400)
    return x, y, grid, np.polynomial.polynomial.polyval(grid, config.coefficients)


def report(learned: Result, training: Training, interrupted: bool) -> tuple[list[str], list[str]]:
    """What was learned beside the truth and how the training ended, in lines; and warnings."""
    config, curve, optimum = training.config, training.curve, training.optimum
    rows, table = beside(learned, training), training.table
    columns = {
        "term": [term for term, *_ in rows],
        "truth": [f"{true:.6g}" for _, true, *_ in rows],
        "best": [f"{c:.6g}" for c in optimum.coefficients] + ["-"] * len(rows),
        "learned": [f"{c:.6g}" for c in learned.coefficients] + ["-"] * len(rows),
        "error": [f"{off:+.2g}" for *_, off in rows],
    }
    if table:
        del columns["truth"]  # nobody knows it: best is the exact fit of these rows
    elif not optimum.misses_terms:
        del columns["best"]  # the best of this degree is the truth itself
    lines = [aligned(list(columns), list(zip(*columns.values(), strict=False)))]
    if config.constant_rate is None:
        lines.append(f"learning rate auto: {curve.rate:.3g} at the first step{rates(training)}")
    warnings = []
    if table:
        epochs = training.epochs
        many = f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"
        told = f"{many} epochs", tolerance_of(training)
        lines.append(", ".join([fit.rows(table.best), *told]))
        warnings += [f"note: {note}" for note in table.best.notes]
    gap, tolerance = curve.gap[-1], training.tolerance
    ended = outcome(training, interrupted)
    if curve.converged or interrupted:
        lines.append(ended)
    else:
        warnings.append(f"warning: {ended}; {way_out(gap, training)}")
    if curve.converged and gap >= tolerance:
        lines.append(
            f"note: one batch below {tolerance:g} ended it; --stop gap waits until the "
            "expected loss is"
        )
    return lines, warnings


def rates(training: Training) -> str:
    """How the rate that `auto` takes goes on."""
    config = training.config
    if config.optimizer != "sgd":
        _, power = SIZES[config.optimizer]
        constant = f", constant: {TORCH_OPTIMIZERS[config.optimizer]} makes its own steps smaller"
        return f", falling as (1 + step / 100)^-{power}" if power else constant
    limit = falling(training.optimum, training.tolerance)
    bounded = f", and below {limit:.3g} / step" if math.isfinite(limit) else ""
    return f", then the largest that is safe for each batch{bounded}"


def outcome(training: Training, interrupted: bool = False) -> str:
    """How a training ended, in a sentence."""
    curve, optimum = training.curve, training.optimum
    gap, steps, loss, optimal = curve.gap[-1], curve.steps, "expected loss", "the optimum"
    if training.table:
        loss, optimal = "mean squared error over the rows", "the exact fit"
    if optimum.residual_variance > 0:
        optimal += f", whose own mean squared error is {optimum.residual_variance:.4g}"
    above = f"{loss} {gap:.2g} above {optimal}"
    if curve.converged:
        return f"converged in {steps:,} steps: {above}"
    if interrupted:
        return f"interrupted at step {steps:,}: {above}"
    return f"not converged in {steps:,} steps: {above} ({tolerance_of(training)})"


def tolerance_of(training: Training) -> str:
    """The tolerance, in squared units of y; of a table, what part of the variance of y that is."""
    if not training.table:
        return f"tolerance {training.tolerance:g}"
    share, target = training.config.tolerance, training.table.best.target
    whole = f"the variance of {target}" if training.table.varies else f"{target}^2, a constant"
    return f"tolerance {training.tolerance:.4g}: {share:g} of {whole}"


def way_out(gap: float, training: Training) -> str:
    """What to try where a training did not converge."""
    config, optimum = training.config, training.optimum
    eps = torch.finfo(getattr(torch, config.dtype)).eps
    if config.stop == "batch" and optimum.residual_variance >= training.tolerance:
        return "a batch cannot get below the noise floor; use --stop gap, or raise --tolerance"
    if config.dtype == "float32" and gap < 100 * eps**2 * optimum.second_moment:
        return "float32 has no more digits; use --dtype float64, or raise --tolerance"
    if config.constant_rate is not None:
        return "a constant rate may hover or crawl; use --learning-rate auto"
    # The pull of a rate c / t on the weights, beside what they are rounded to.
    falls = config.optimizer == "sgd" and math.isfinite(falling(optimum, training.tolerance))
    pull = 4 / training.curve.steps * math.sqrt(gap) if falls else math.inf
    if config.dtype == "float32" and pull < 0.01 * eps * float(training.weights.abs().max()):
        return "float32 rounds steps as small as these; use --dtype float64, or raise --tolerance"
    more = f"raise --max-steps (now {text(config.max_steps)})"
    if training.max_steps < config.max_steps:
        more = f"raise --epochs (now {config.epochs:,})"
    if training.table and config.basis == "monomial":
        more += f", or use --basis auto: the powers' condition is {optimum.condition():.3g}"
    if config.optimizer == "adamw":
        return (
            f"{more}; AdamW's weight decay may hold it off the optimum: --optimizer adam has none"
        )
    return more
