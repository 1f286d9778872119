"""Processes forked from one that has imported everything and trained once: 0.1 s in place of 11.

What such a process does is what `python -m experiments.train ...` does from its first line on; the
start of the interpreter, and what a signal meets in the midst of imports, are tested on processes
of their own (tests/support/processes.py).
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

SIZE = struct.Struct("!I")  # of a request, before it
ROOT = Path(__file__).parent.parent.parent
# Of Ray, which reads them when it is imported. No token, since all of it is on the loopback.
SETTINGS = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


class Forked:
    """As subprocess.Popen, whose child it is not: its end is told by a pipe."""

    def __init__(self, run: str, arguments: list[str], environment: Mapping[str, str], **how: Any):
        """`run` is module:function, called without arguments; `arguments` are its sys.argv[1:].

        how: cwd; names, values for module:name, before it is called; log, a file for both
        of its outputs.
        """
        self.returncode: int | None = None
        log = how.get("log")
        self._outputs = [log or tempfile.TemporaryFile("w+") for _ in range(2)]  # noqa: SIM115
        self._told, told = os.pipe()
        request = {
            "run": run, "arguments": arguments, "environment": dict(environment),
            "cwd": str(how.get("cwd") or os.getcwd()), "names": how.get("names") or {},
        }  # fmt: skip
        try:
            files = [*(output.fileno() for output in self._outputs), told]
            body = json.dumps(request).encode()
            socket.send_fds(_server(), [SIZE.pack(len(body))], files)
            _server().sendall(body)
        finally:
            os.close(told)
        self.pid = int(self._line(300))  # the first waits for all the imports

    def _line(self, seconds: float | None) -> bytes:
        """What is told next; TimeoutError where that takes longer."""
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._told], [], [], seconds)[0]:
                raise TimeoutError
            line += (more := os.read(self._told, 1))
            assert more, "the process that forks has gone"
        return line

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            try:
                self.returncode = int(self._line(timeout))
            except TimeoutError as error:
                raise subprocess.TimeoutExpired("forked", timeout or 0) from error
            os.close(self._told)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        out, err = map(self._read, self._outputs)
        return out, err

    @staticmethod
    def _read(output) -> str:
        output.seek(0)
        return output.read()

    def close(self) -> None:
        for output in self._outputs:
            output.close()
        if self.returncode is None:
            os.close(self._told)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def forked(run: str, *arguments: str, environment: Mapping[str, str] | None = None, **how: Any):
    """A process that is killed, with those of its group, if it is there when this ends."""
    running = Forked(run, list(arguments), os.environ | (environment or {}), **how)
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        running.close()


def done(run: str, *arguments: str, timeout: float = 120, **how: Any):
    """As subprocess.run: what it said, once it has ended."""
    with forked(run, *arguments, **how) as running:
        stdout, stderr = running.communicate(timeout)
        return subprocess.CompletedProcess(arguments, running.returncode, stdout, stderr)


@cache
def _server() -> socket.socket:
    """The process that forks, one for each that runs tests; it ends with it."""
    ours, theirs = socket.socketpair()
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "POLYREG_"))}
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forked", str(theirs.fileno())],
            # One thread: a pool of OpenMP's does not survive a fork.
            env=clean | SETTINGS | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            pass_fds=[theirs.fileno()], cwd="/", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    atexit.register(server.wait)
    atexit.register(ours.close)
    return ours


# -- There


def serve(requests: socket.socket) -> Callable[[], None]:
    """Fork for each request, and tell of each end. Returns in the children alone: what to do."""
    running: dict[int, int] = {}  # where to tell, by process
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    while True:
        waiting: list[Any] = [requests, woken]
        ready = select.select(waiting, [], [])[0]
        if woken in ready:
            os.read(woken, 100)
            for pid, status in ended():
                told = running.pop(pid)
                with suppress(BrokenPipeError):
                    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
                os.close(told)
        if requests in ready:
            size, files, *_ = socket.recv_fds(requests, SIZE.size, 3)
            if not size:
                raise SystemExit
            [length] = SIZE.unpack(size)
            message = requests.recv(length, socket.MSG_WAITALL)
            if pid := os.fork():
                out, err, told = files
                os.close(out)
                os.close(err)
                running[pid] = told
            else:
                signal.set_wakeup_fd(-1)
                for other in (requests.detach(), woken, wake, *running.values()):
                    os.close(other)
                return born(json.loads(message), *files)


def ended() -> Iterator[tuple[int, int]]:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found


def born(request: dict, out: int, err: int, told: int) -> Callable[[], None]:
    """Become the process that was asked for, as the system would have started it."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    imported = {k: v for k, v in os.environ.items() if k not in BEFORE}  # set by an import
    os.environ.clear()
    os.environ.update(imported | request["environment"])
    os.chdir(request["cwd"])
    random.seed()
    tempfile.tempdir = None
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    sys.argv[1:] = request["arguments"]
    os.write(told, b"%d\n" % os.getpid())
    os.close(told)
    module, _, function = request["run"].partition(":")

    def called() -> None:
        found = importlib.import_module(module)
        for place, value in request["names"].items():
            owner, _, name = place.partition(":")
            setattr(importlib.import_module(owner), name, value)
        getattr(found, function)()

    return called


def warm() -> None:
    """Import what there is, and train and fit once: what is first used then is loaded."""
    importlib.import_module("uvicorn")  # before MLflow's server, which else takes itself for none
    importlib.import_module("mlflow.server.fastapi_app")
    importlib.import_module("mlflow.projects")
    from click.testing import CliRunner
    from tqdm import tqdm

    import experiments
    import polyreg

    tqdm.monitor_interval = 0  # no thread
    for package in (polyreg, experiments):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(".__main__"):
                continue
            with suppress(ImportError):  # of what is not installed
                importlib.import_module(module.name)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        Path("t.csv").write_text("x,y\n1,1\n2,4\n3,9.5\n4,16\n5,24\n6,37\n")
        for name, *arguments in (
            ("train", "--max-steps", "9"),
            ("fit", "--data", "t.csv", "--target", "y", "--degree", "2"),
        ):
            main = importlib.import_module(f"experiments.{name}").main
            result = CliRunner().invoke(main, [*arguments, "--device", "cpu"])
            assert result.exit_code == 0, result.output
        del os.environ["MLFLOW_TRACKING_URI"]
        os.chdir("/")
    gc.collect()
    gc.freeze()  # what is there stays shared


if __name__ == "__main__":
    BEFORE = frozenset(os.environ)
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        with warnings.catch_warnings():  # and what was said once is said again to whom is forked
            warnings.simplefilter("ignore")
            warm()
        work = serve(asked)
    work()  # ends as any program does
