"""Which runs did not end as they should, and how are they closed?

\b
    python -m experiments.repair
    python -m experiments.repair --send unsent/<run id>

Closes as FAILED every run of the store that reads RUNNING and whose process on this machine is gone
(kill -9, power loss). With --send, sends what a run kept in a folder because its store was away.
"""

from pathlib import Path

import click

from experiments.lifecycle import exit_codes
from polyreg.errors import Unsent
from polyreg.options import OneLine


@click.command(cls=OneLine, help=__doc__)
@click.option("--dry-run", is_flag=True, help="List them, and do nothing else.")
@click.option(
    "--run",
    "run_id",
    default="",
    help="Close this run, of any machine; be sure that its process has ended.",
)
@click.option("--send", "folder", default="", help="Send the log that a run left in this folder.")
def main(dry_run: bool, run_id: str, folder: str) -> None:
    if bool(run_id) + bool(folder) + dry_run > 1:
        raise click.UsageError("--dry-run, --run and --send are three different things; give one")
    with exit_codes():
        from polyreg import tracking

        if folder:
            click.echo("\n".join(send(folder)))
            return
        found = tracking.past([run_id]) if run_id else tracking.abandoned()
        if run_id and found[0].status != "RUNNING":
            raise click.UsageError(f"--run {run_id} has ended already: {found[0].status}")
        if not found:
            click.echo("every run that reads RUNNING may be running still; nothing to repair")
        for run in found:
            click.echo(f"{run.id}  {run.name}: {run.process} is gone")
            if not dry_run:
                tracking.close(run.id, f"{run.process} is gone, without having ended this run")
        if found and not dry_run:
            click.echo(f"{len(found)} closed as FAILED")


def send(folder: str) -> list[str]:
    from polyreg import tracking

    try:
        return tracking.send(Path(folder))
    except Unsent:
        raise
    except ValueError as error:
        raise click.UsageError(f"--send: {error}") from error


if __name__ == "__main__":
    main()
