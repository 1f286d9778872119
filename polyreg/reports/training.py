"""What a training leaves in its run and on the terminal: tags, metrics, figures, a table."""

from collections.abc import Iterator
from typing import Any

import click

from polyreg.config import TrainConfig
from polyreg.text import aligned, text

SAMPLE = 400  # points of the data in the plots


def log_curves(run, curve, logged: tuple[int, int], interrupted: bool) -> None:
    """What comes after so many points that were logged before, the last at that step.

    An interruption leaves half of the room to what comes after it.
    """
    from polyreg.tracking import CURVE_POINTS

    points, last = logged
    metrics, curves, at = measured(curve)
    room = max(CURVE_POINTS - points, 2)
    new = at > last
    curves = {name: values[new] for name, values in curves.items()}
    run.log(metrics, curves, at[new], room // 2 if interrupted else room)


def tags(training, device: str) -> dict[str, str]:
    """A run's tags; `converged` is false until it has."""
    from polyreg.sgd import stream

    config = training.config
    return {
        "basis": config.family,
        "device": device,
        "data.sha256": stream.sha256(config),
        "converged": str(training.curve.converged).lower(),
    }


def measured(curve) -> tuple[dict, dict, Any]:
    """What every run has, whatever ended it: metrics, curves, and the curves' steps."""
    metrics = {"steps": curve.steps, "learning_rate": curve.rate}
    return metrics, {"loss/train": curve.loss, "loss/gap": curve.gap}, curve.at


def reached(training, learned) -> dict[str, float]:
    """What a run that did not diverge came to."""
    return {
        "coef_error/max": learned.max_error(),
        "condition": learned.condition,
        "steps_per_s": training.curve.steps / training.seconds,
    }


def example(learned):
    """x (3, 1) for the model's signature."""
    import numpy as np

    return np.linspace(learned.low, learned.high, 3)


def figures(learned, training) -> Iterator:
    """The fit, the curves and the residuals, by name, over a sample of the training's own data."""
    import numpy as np

    from polyreg.reports import figures as draw
    from polyreg.sgd import stream
    from polyreg.tracking import thinned

    config, curve = training.config, training.curve

    def truth(x):
        return np.polynomial.polynomial.polyval(x, config.coefficients)

    x, y = stream.Stream(config, stream.Randomness.of(config.seed)).samples(SAMPLE)
    grid = np.linspace(x.min(), x.max(), 400)
    kept = thinned(curve.at)
    predicted = learned.predict(grid)
    yield "fit", draw.fit((x, y), grid, truth(grid), predicted, config.name)
    yield (
        "loss",
        draw.loss(
            curve.at[kept],
            curve.loss[kept],
            curve.gap[kept],
            floor=training.optimum.residual_variance,
            tolerance=config.tolerance,
            title=config.name,
        ),
    )
    residual = y - learned.predict(x)
    error = truth(grid) - predicted
    yield "residuals", draw.residuals((x, residual), (grid, error), config.name)


def report(learned, training, interrupted: bool) -> None:
    """Print what was learned beside the truth, and how the training ended."""
    config, curve, optimum = training.config, training.curve, training.optimum
    rows = learned.against_truth()
    columns = {
        "term": [term for term, _, _ in rows],
        "truth": [f"{true:.6g}" for _, true, _ in rows],
        "best": [f"{c:.6g}" for c in optimum.coefficients] + ["-"] * len(rows),
        "learned": [f"{c:.6g}" for c in learned.coefficients] + ["-"] * len(rows),
        "error": [f"{estimate - true:+.2g}" for _, true, estimate in rows],
    }
    if not optimum.misses_terms:
        del columns["best"]  # the best of this degree is the truth itself
    click.echo(aligned(list(columns), list(zip(*columns.values(), strict=False))))

    gap, tolerance = curve.gap[-1], config.tolerance
    ended = outcome(training, interrupted)
    if curve.converged or interrupted:
        click.echo(ended)
    else:
        click.echo(f"warning: {ended}; {way_out(gap, optimum, config)}", err=True)
    if curve.converged and gap >= tolerance:
        click.echo(
            f"note: one batch below {tolerance:g} ended it; --stop gap waits until the "
            "expected loss is"
        )


def outcome(training, interrupted: bool = False) -> str:
    """How a training ended, in a sentence."""
    curve, optimum = training.curve, training.optimum
    gap, steps, optimal = curve.gap[-1], curve.steps, "the optimum"
    if optimum.residual_variance > 0:
        optimal += f", whose own mean squared error is {optimum.residual_variance:.4g}"
    if curve.converged:
        return f"converged in {steps:,} steps: expected loss {gap:.2g} above {optimal}"
    if interrupted:
        return f"interrupted at step {steps:,}: expected loss {gap:.2g} above {optimal}"
    above = f"expected loss {gap:.2g} above {optimal} (tolerance {training.config.tolerance:g})"
    return f"not converged in {steps:,} steps: {above}"


def way_out(gap: float, optimum, config: TrainConfig) -> str:
    import torch

    eps = torch.finfo(getattr(torch, config.dtype)).eps
    if config.stop == "batch" and optimum.residual_variance >= config.tolerance:
        return "a batch cannot get below the noise floor; use --stop gap, or raise --tolerance"
    if config.dtype == "float32" and gap < 100 * eps**2 * optimum.second_moment:
        return "float32 has no more digits; use --dtype float64, or raise --tolerance"
    if config.constant_rate is not None:
        return "a constant rate may hover or crawl; use --learning-rate auto"
    return f"raise --max-steps (now {text(config.max_steps)})"
