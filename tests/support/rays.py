"""A Ray cluster of two nodes on this machine, by `ray start`."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from tests.support.forked import SETTINGS
from tests.support.processes import free_port, until

SIZE = ("--num-cpus=1", "--object-store-memory=100000000", "--node-ip-address=127.0.0.1")


class Address(NamedTuple):
    gcs: str  # host:port
    client: str  # ray://host:port
    head: subprocess.Popen


@contextmanager
def node(log: Path, *arguments: str) -> Iterator[subprocess.Popen]:
    """One that dies with all its processes, and no others."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *SIZE, *arguments]
    with log.open("w") as out:
        running = subprocess.Popen(
            command, env=os.environ | SETTINGS, cwd=log.parent,
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "Ray runtime started" in log.read_text() or running.poll() is not None, 60)
        assert running.poll() is None, log.read_text()
        yield running
    finally:
        kill(running)


def kill(node: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)  # its daemons are of its group; workers follow
    node.wait()


@contextmanager
def started(folder: Path, second: bool = True) -> Iterator[Address]:
    """The head and a second node, a CPU each."""
    port, client = free_port(), free_port()
    # The paths of sockets have 107 bytes at most.
    short = tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True)
    head = [
        "--head", f"--port={port}", f"--ray-client-server-port={client}",
        "--include-dashboard=false", f"--temp-dir={short.name}",
        "--min-worker-port=0", "--max-worker-port=0",
    ]  # fmt: skip
    with (
        short,
        node(folder / "head.log", *head) as first,
        node(folder / "second.log", f"--address=127.0.0.1:{port}") if second else nullcontext(),
    ):
        yield Address(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client}", first)
