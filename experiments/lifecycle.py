"""How an experiment starts and ends: signals, exit codes, waiting for a store."""

import atexit
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from polyreg import compiling
from polyreg.errors import ClusterLost, Diverged, Refused, Unreachable, Unsent

# Python's last collection walks all that torch.export left: 1.1 s, to free what ends anyway.
atexit.register(gc.freeze)
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Killed(KeyboardInterrupt):
    """A signal ended the experiment."""

    def __init__(self, number: int):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


class Stop:
    """Ctrl-C and SIGTERM, taken note of: work asks now and then whether it is to end.

    So nothing is cut in the middle: a call to SQLite that was would keep the store locked for all.
    `run` is the open run's id, and `hint` says how to go on with it.
    """

    def __init__(self) -> None:
        self.number = 0  # of the first signal
        self.run = self.hint = ""
        self._abrupt = False
        self.seconds_importing = 0.0

    def __bool__(self) -> bool:
        return self.number != 0

    def check(self) -> None:
        if self.number:
            raise Killed(self.number)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """For what may be cut at any place: a long computation, which would not ask."""
        self._abrupt = True
        try:
            self.check()
            yield
        except KeyboardInterrupt as cut:
            if isinstance(cut, Killed) or not self.number:
                raise
            raise Killed(self.number) from cut  # Ray makes its own of it
        except RuntimeError as cut:
            # Python below 3.12 makes this of a signal that comes while a class is made.
            if isinstance(cut.__cause__, Killed):
                raise cut.__cause__ from None
            raise
        finally:
            self._abrupt = False

    @contextmanager
    def interruptible_imports(self) -> Iterator[None]:
        """Until then there is no run to end, unless `mlflow run` opened one, which needs MLflow."""
        start = time.perf_counter()
        with nullcontext() if os.environ.get("MLFLOW_RUN_ID") else self.interruptible():
            yield
        self.seconds_importing = time.perf_counter() - start

    @contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # no signal comes here
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        # No lock is taken here: whom it interrupts may hold it. (threading.Event has one.)
        first = not self.number  # `mlflow run` sends both
        self.number = self.number or number
        if first and self._abrupt:
            raise Killed(number)


@contextmanager
def exit_codes() -> Iterator[Stop]:
    """How an experiment ends: in an answer, or one line and an exit code.

    2 is bad input, or a store that takes no run; 1 is what went wrong on the way; 128 + n is
    signal n. A run that `mlflow run` opened, and we had not yet begun, ends KILLED too.
    """
    stop = Stop()
    with stop.listening():
        try:
            yield stop
            for note in compiling.notes():
                click.echo(f"note: {note}", err=True)
        except Killed as killed:
            if started := os.environ.get("MLFLOW_RUN_ID"):
                from polyreg import tracking

                tracking.kill(started)
            click.echo(str(killed), err=True)
            if stop.hint:
                click.echo(f"go on   {stop.hint}", err=True)
            raise SystemExit(128 + killed.number) from killed
        except (Unreachable, Refused) as error:
            raise click.UsageError(str(error)) from error
        except Diverged as error:
            raise click.ClickException(f"{error}; run {stop.run} keeps its curve") from error
        except (Unsent, ClusterLost) as error:
            raise click.ClickException(str(error)) from error
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
                raise click.ClickException(f"not enough memory: {error}") from error
            raise


def patience(stop: Stop) -> Callable[[str], bool]:
    """Whether to try again to reach a store that is away: for a minute, and until Ctrl-C."""
    seconds = float(os.environ.get("POLYREG_PATIENCE", 60))
    since: list[float] = []

    def wait(why: str) -> bool:
        if not since:
            since.append(time.monotonic())
            click.echo(
                f"waiting {seconds:g} s for the tracking store ({why}); Ctrl-C keeps the log in a "
                "folder instead",
                err=True,
            )
        for _ in range(10):
            if not stop:
                time.sleep(0.1)
        return not stop and time.monotonic() - since[0] < seconds

    return wait


def require_other_file(out: str, read: Sequence[Path]) -> None:
    """Raise Refused where a file to write is one of those that are read."""
    if not to_artifacts(out) and Path(out).resolve() in [file.resolve() for file in read]:
        raise Refused(f"--out {Path(out)} is the data itself; choose another name")


def to_artifacts(out: str) -> bool:
    """Whether a file to write belongs to a run: where `mlflow run` opened one, a relative path.

    It would be one of the project's folder, which may be a copy that MLflow made for this run.
    """
    return bool(os.environ.get("MLFLOW_RUN_ID")) and not Path(out).expanduser().is_absolute()
