"""Does gradient descent find the polynomial that made the data?

\b
    python -m experiments.train --degree 3
    mlflow run . -P degree=3

Draws batches of a known polynomial, or takes those of the rows of your table (--data), trains one
linear layer on basis functions, and tracks the run in MLflow: options, curves, coefficients, plots,
and the model, which loads without polyreg.
"""

import click

from experiments.console import progress_bar, say, say_abandoned, say_opened
from experiments.lifecycle import exit_codes, patience
from polyreg.config import TrainConfig
from polyreg.errors import Refused
from polyreg.options import command, extra_option, params, same_options


@command(TrainConfig, help=__doc__)
@extra_option(
    "--resume", group="Record", default="", help="Id of an interrupted run to go on with."
)
def main(config: TrainConfig, resume: str) -> None:
    with exit_codes() as stop:
        # Here, so that --help and a wrong option need not wait for torch.
        with stop.interruptible_imports():
            from polyreg import tracking
            from polyreg.api.rows import training_table
            from polyreg.device import available_device
            from polyreg.reports.training import CurveLog, record, report, tags
            from polyreg.sgd.descend import descend
            from polyreg.sgd.training import Training, require_headroom

        clock = tracking.Clock({"import": stop.seconds_importing})
        before = to_go_on(resume) if resume else None
        if before:
            config = same_options(config, before.params)
        device = available_device(config.device, config.dtype)
        require_headroom(config)
        with stop.interruptible():
            table = training_table(config) if config.data else None
        training = Training(config, device, table)
        checkpoints = tracking.Checkpoints(training)
        logged = tracking.curve(resume, "loss/gap")[0] if before else ()
        if before:
            require_same_rows(training, before)
            checkpoints.read(before)
        curve, wait = training.curve, patience(stop)
        with tracking.start_run(training.name, params(config), resume=resume, wait=wait) as run:
            stop.run, stop.hint = run.id, f"python -m experiments.train --resume {run.id}"
            say_abandoned()
            run.tag(tags(training))
            curves = CurveLog(run, training, logged)
            try:
                with clock("train"), progress_bar(training.max_steps, "step") as bar:
                    bar.update(curve.steps)
                    checkpoints.begin()
                    for chunk in descend(training):
                        bar.set_postfix_str(f"gap {chunk.gap[-1]:.2e}", refresh=False)
                        bar.update(len(chunk.gap))
                        checkpoints.write_when_due(run)
                        curves.log_when_due()
                        if stop:
                            break
                    training.seconds = checkpoints.seconds()
            finally:  # what was measured is kept, whatever ended the training
                with clock("curves"):
                    curves.log_rest()
            clock.seconds["train"] = training.seconds  # with what it took before it was resumed
            if stop:
                checkpoints.write(run)
            if curve.steps:
                register_as = "" if stop else config.register_as
                learned = record(run, training, clock, bool(stop), register_as)
                say(*report(learned, training, bool(stop)))
            click.echo(f"run     {run.id}")
            stop.check()
            checkpoints.clear(run)
        say_opened(run)
        click.echo(f'reload  mlflow.pytorch.load_model("{run.model_uri}")')
        say(run.news)  # a model has its version once all has been sent


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


def require_same_rows(training, before) -> None:
    """Refuse to go on with a run whose table has changed."""
    from polyreg.reports.training import tags

    then, now = before.tags.get("data.sha256", ""), tags(training)["data.sha256"]
    if training.table and then and now != then:
        raise Refused(
            f"--resume: {training.config.data} has changed since that run (SHA-256 {now[:12]}, "
            f"then {then[:12]}); start a new one"
        )


if __name__ == "__main__":
    main()
