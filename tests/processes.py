"""Real processes for the tests: experiments, tracking servers; each ended by who started it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import mlflow

from tests.conftest import ROOT

# Of MLflow's server: else it starts ten more processes, for what nobody asks of it here.
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
ENDLESS = ("--tolerance", "1e-30", "--max-steps", "1000000000", "--noise", "0.1")


@contextmanager
def started(experiment: str, *arguments: str, **settings: Any) -> Iterator[subprocess.Popen]:
    """An experiment in a process of its own; settings are of its checkpoints, or environment."""
    own = {k: v for k, v in settings.items() if not k.startswith(("POLYREG", "TMPDIR"))}
    code = f"import experiments.{experiment} as e; e.main()"
    if own:
        code = f"import polyreg.tracking.checkpoints as c; vars(c).update({own!r}); {code}"
    environment = {k: str(v) for k, v in settings.items() if k not in own}
    with process([sys.executable, "-c", code, *arguments], **environment) as running:
        yield running


@contextmanager
def process(command: list[str], **environment: str) -> Iterator[subprocess.Popen]:
    running = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


def until(holds: Callable[[], Any], seconds: float = 120) -> Any:
    """What `holds` gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing in {seconds} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def model_server(model: str, **environment: str) -> Iterator[str]:
    """`mlflow models serve` on a free port of this machine; its address."""
    port = free_port()
    command = ["models", "serve", "-m", model, "-p", str(port), "--env-manager", "local"]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *command],
        env=os.environ | environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(address, "ping") or server.poll() is not None)
        assert server.poll() is None
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def answers(address: str, path: str = "health") -> bool:
    try:
        urllib.request.urlopen(f"{address}/{path}", timeout=1).close()
        return True
    except OSError:
        return False


@contextmanager
def tracking_server(folder: Path, port: int) -> Iterator[str]:
    """`mlflow server` with its store in `folder`; its address. It is there while this lasts."""
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with open(folder / "server.log", "a") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | NO_JOBS,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            until(lambda: answers(address) or server.poll() is not None)
            assert server.poll() is None, (folder / "server.log").read_text()
            yield address
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@contextmanager
def remote(folder: Path, monkeypatch) -> Iterator[tuple[Callable, Callable]]:
    """A tracking server that can be stopped and started: gives two functions."""
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")
    with ExitStack() as servers:
        yield lambda: servers.enter_context(tracking_server(folder, port)), servers.close
