"""Does gradient descent find the polynomial that made the data?

\b
    python -m experiments.train --degree 3
    mlflow run . -P degree=3

Draws batches of a known polynomial, trains one linear layer on its basis functions, and tracks the
run in MLflow: options, curves, coefficients, plots, and the model, which loads without polyreg.
"""

import time
from collections.abc import Iterator
from typing import Any

import click

from experiments.common import (
    Clock,
    available_device,
    ending,
    patience,
    progress_bar,
    same_options,
    say_abandoned,
)
from polyreg.config import Refused, TrainConfig, command, params
from polyreg.text import aligned, text

SAMPLE = 400  # points of the data in the plots
CHECKPOINT_SECONDS = 10.0
SLOTS = ("checkpoint/a.npz", "checkpoint/b.npz")  # written in turn: one is always whole


@command(TrainConfig, help=__doc__)
@click.option("--resume", default="", help="Go on with this interrupted run: its id.")
def main(config: TrainConfig, resume: str) -> None:
    clock = Clock()
    with ending() as stop:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.importing(), clock("import"):
            from polyreg import sgd, tracking
            from polyreg.optimum import Optimum
            from polyreg.polynomial import Polynomial

        before = to_go_on(resume) if resume else None
        if before:
            config = same_options(config, before.params)
        device = available_device(config.device, config.dtype)
        optimum = Optimum.of(config)
        require_headroom(optimum, config)
        training = sgd.Training(config, device)
        checkpoints = Checkpoints(training)
        logged = 0, 0
        if before:
            checkpoints.read(before)
            at = tracking.curve(resume, "loss/gap")[0]
            logged = len(at), max(at, default=0)
        curve = training.curve
        wait = patience(stop)
        with tracking.run(config.name, params(config), resume=resume, wait=wait) as run:
            stop.run, stop.hint = run.id, f"python -m experiments.train --resume {run.id}"
            say_abandoned()
            run.tag(tags(training, device))
            try:
                with clock("train"), progress_bar(config.max_steps, "step") as bar:
                    bar.update(curve.steps)
                    checkpoints.begin()
                    for chunk in sgd.descend(training):
                        bar.set_postfix_str(f"gap {chunk.gap[-1]:.2e}", refresh=False)
                        bar.update(len(chunk.gap))
                        checkpoints.write_when_due(run)
                        if stop:
                            break
                    training.seconds = checkpoints.seconds()
            finally:  # what was measured is kept, whatever ended the training
                with clock("curves"):
                    log_curves(run, curve, logged, bool(stop))
            clock.seconds["train"] = training.seconds  # with what it took before it was resumed
            if stop:
                checkpoints.write(run)
            if curve.steps:
                learned = Polynomial.of(training)
                with clock("plots"):
                    for name, figure in figures(learned, training):
                        run.figure(figure, name)
                with clock("model"):
                    register_as = "" if stop else config.register_as
                    run.model(training.model, learned, example(learned), register_as)
                run.coefficients(learned)
                run.log(reached(training, learned) | clock.metrics())
                run.tag(tags(training, device))
                report(learned, curve, optimum, config, bool(stop))
            click.echo(f"run     {run.id}")
            stop.check()
            checkpoints.clear(run)
        click.echo(f"open    {run.how_to_open()}")
        click.echo(f'reload  mlflow.pytorch.load_model("{run.model_uri}")')


def to_go_on(run_id: str):
    """The run to resume; refused where there is nothing to go on with."""
    from polyreg import tracking

    before = tracking.interrupted(run_id)
    if before.status == "FINISHED":
        raise Refused(f"--resume: run {run_id} has finished; nothing is left to go on with")
    if before.tags.get("error", "").startswith("diverged"):
        raise Refused(
            f"--resume: run {run_id} {before.tags['error']}; start a new one: it would again"
        )
    return before


class Checkpoints:
    """A training's state among its run's artifacts: at most every CHECKPOINT_SECONDS, and at the
    end of one that is interrupted. The tag `checkpoint` names the last that was written whole.
    """

    def __init__(self, training):
        self.training = training
        self._before = 0.0  # seconds that it took until it was interrupted
        self._began = self._last = time.perf_counter()
        self._slot, self._written = 0, False

    def begin(self) -> None:
        """Now the training does."""
        self._began = self._last = time.perf_counter()

    def seconds(self) -> float:
        """What the training took so far."""
        return self._before + time.perf_counter() - self._began

    def read(self, run) -> None:
        """Go on from the last one that is whole; from the start, which ends alike, without one."""
        from polyreg import checkpoint, tracking

        named = run.tags.get("checkpoint", SLOTS[0])
        self._written = "checkpoint" in run.tags
        for path in sorted(SLOTS, key=lambda slot: slot != named):
            packed = tracking.file(run.id, path)
            try:
                self._before = checkpoint.unpack(packed, self.training) if packed else 0.0
            except ValueError:
                continue
            if packed:
                self._slot = 1 - SLOTS.index(path)
                return

    def write_when_due(self, run) -> None:
        if time.perf_counter() - self._last >= CHECKPOINT_SECONDS:
            self.write(run)

    def write(self, run) -> None:
        from polyreg import checkpoint

        if self.training.curve.steps == 0:
            return
        packed = checkpoint.pack(self.training, self.seconds())
        run.checkpoint(packed, SLOTS[self._slot])
        self._slot, self._written = 1 - self._slot, True
        self._last = time.perf_counter()

    def clear(self, run) -> None:
        """Of a run that has arrived."""
        if self._written:
            run.drop_checkpoints("checkpoint")


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
    from polyreg import data

    config = training.config
    return {
        "basis": config.family,
        "device": device,
        "data.sha256": data.sha256(config),
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


def require_headroom(optimum, config: TrainConfig) -> None:
    """Refuse data whose squares the dtype cannot hold, tails and excursions included."""
    import torch

    if optimum.second_moment > 1e-14 * torch.finfo(getattr(torch, config.dtype)).max:
        raise click.UsageError(
            f"--coefficients and --noise make the mean of y^2 {optimum.second_moment:.2g}, too "
            f"large to square in {config.dtype}; rescale y, or use --dtype float64"
        )


def example(learned):
    """x (3, 1) for the model's signature."""
    import numpy as np

    return np.linspace(*learned.domain, 3)[:, None]


def figures(learned, training) -> Iterator:
    """The fit, the curves and the residuals, by name, over a sample of the training's own data."""
    import numpy as np

    from polyreg import data
    from polyreg import figures as draw
    from polyreg.tracking import thinned

    config, curve = training.config, training.curve

    def truth(x):
        return np.polynomial.polynomial.polyval(x, config.coefficients)

    x, y = data.Stream(config, data.Randomness.of(config.seed)).samples(SAMPLE)
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


def report(learned, curve, optimum, config: TrainConfig, interrupted: bool) -> None:
    """Print what was learned beside the truth, and how the training ended."""
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

    gap, steps, tolerance = curve.gap[-1], curve.steps, config.tolerance
    optimal = "the optimum"
    if optimum.residual_variance > 0:
        optimal += f", whose own mean squared error is {optimum.residual_variance:.4g}"
    if curve.converged:
        click.echo(f"converged in {steps:,} steps: expected loss {gap:.2g} above {optimal}")
        if gap >= tolerance:
            click.echo(
                f"note: one batch below {tolerance:g} ended it; --stop gap waits until the "
                "expected loss is"
            )
    elif interrupted:
        click.echo(f"interrupted at step {steps:,}: expected loss {gap:.2g} above {optimal}")
    else:
        click.echo(
            f"warning: not converged in {steps:,} steps: expected loss {gap:.2g} above {optimal} "
            f"(tolerance {tolerance:g}); {way_out(gap, optimum, config)}",
            err=True,
        )


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


if __name__ == "__main__":
    main()
