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
from tests.support.forked import done, forked

# Of MLflow's server: else it starts ten more processes, for what nobody asks of it here.
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
BEATS = {
    "CHECKPOINT_SECONDS": "polyreg.tracking.checkpoints",
    "CURVE_SECONDS": "polyreg.reports.training",
}
ENVIRONMENT = ("POLYREG", "TMPDIR", "RAY")  # how its variables begin
RUN = ("run", str(ROOT), "--env-manager", "local")
# For a sitecustomize.py, of Pythons that are to find no polyreg.
WITHOUT_POLYREG = "import sys; sys.modules.update(polyreg=None, experiments=None)\n"
ENDLESS = ("--tolerance", "1e-30", "--max-steps", "1000000000", "--noise", "0.1")


def started(experiment: str, *arguments: str, **settings: Any):
    """An experiment in a forked process; settings are of its beats, or environment."""
    own, environment = _sorted(settings)
    own = {f"{BEATS[name]}:{name}": value for name, value in own.items()}
    run = f"experiments.{experiment}:main"
    return forked(run, *arguments, names=own, environment=environment)


def started_anew(experiment: str, *arguments: str, **settings: Any):
    """As `started`, by an interpreter that starts and imports as a user's does."""
    own, environment = _sorted(settings)
    module = f"experiments.{experiment}"
    code = f"import {module} as e; e.main()"
    for name, value in own.items():
        code = f"import {BEATS[name]} as m; m.{name} = {value!r}; {code}"
    return process([sys.executable, "-c", code, *arguments], **environment)


def _sorted(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    own = {k: v for k, v in settings.items() if not k.startswith(ENVIRONMENT)}
    return own, {k: str(v) for k, v in settings.items() if k not in own}


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
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    artifacts = ["--artifacts-destination", str(folder / "artifacts")]
    with mlflow_server(folder, "server", port, *store, *artifacts) as address:
        yield address


@contextmanager
def mlflow_server(folder: Path, command: str, port: int, *options: str) -> Iterator[str]:
    """`mlflow server` or `mlflow ui`, forked; its address."""
    where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    address = f"http://127.0.0.1:{port}"
    # Else it would ask itself, where MLflow is told of it.
    own = NO_JOBS | {"MLFLOW_TRACKING_URI": ""}
    with (
        open(folder / "server.log", "a+") as log,
        forked(
            MLFLOW, command, *where, *options,
            environment=own, cwd=folder, log=log,
        ) as server,
    ):  # fmt: skip
        until(lambda: answers(address) or server.poll() is not None)
        assert server.poll() is None, (folder / "server.log").read_text()
        yield address


MLFLOW = f"{__name__}:mlflow_here"


def mlflow_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """`mlflow run` of this project, forked; what it starts is not."""
    return done(MLFLOW, *RUN, *arguments, cwd=folder, timeout=300)


def mlflow_here() -> None:
    """MLflow's command line, whose server is this very process instead of a child."""
    import mlflow.server
    import uvicorn
    from mlflow.cli import cli

    def become(command: list[str], extra_env: dict[str, str], **_: Any) -> None:
        os.environ.update(extra_env)
        assert command[1:3] == ["-m", "uvicorn"]
        sys.argv[1:] = command[3:]
        uvicorn.main()

    assert "_exec_cmd" in vars(mlflow.server)
    vars(mlflow.server)["_exec_cmd"] = become
    cli()


@contextmanager
def remote(folder: Path, monkeypatch) -> Iterator[tuple[Callable, Callable]]:
    """A tracking server that can be stopped and started: gives two functions."""
    port = free_port()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    mlflow.set_tracking_uri(f"http://127.0.0.1:{port}")
    with ExitStack() as servers:
        yield lambda: servers.enter_context(tracking_server(folder, port)), servers.close
