"""Connection to a Ray cluster, and its refusals."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from polyreg.cluster.probe import last_address, silence
from polyreg.errors import ClusterLost, Refused

SECONDS_TO_JOIN = 120
PAUSES = (1, 3, 9, 27)  # seconds


@contextmanager
def connected(address: str, device: str = "cpu") -> Iterator[Any]:
    """The cluster at `auto`, host:port or ray://host:port; Refused where there is none."""
    try:
        import ray
    except ImportError as error:
        raise Refused("--engine ray needs Ray: pip install 'ray[client]'") from error
    from polyreg.cluster.tasks import Cluster  # which brings torch

    known = last_address() if address == "auto" else address
    if known and (why := silence(known)):
        raise _none(address, f"{known}: {why}" if address == "auto" else why)
    failed: list[BaseException] = []

    def join() -> None:
        try:
            _joined(ray, address)
        except BaseException as error:  # SystemExit is among them
            failed.append(error)

    # It may take minutes to find that there is nothing.
    joining = threading.Thread(target=join, daemon=True)
    joining.start()
    joining.join(SECONDS_TO_JOIN)
    if joining.is_alive() or failed:
        raise _none(address, _last_line(failed[0]) if failed else "it does not answer")
    if threading.current_thread() is threading.main_thread():
        # Ray's own handler of SIGTERM, below Python's, is a crash report.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    try:
        if device == "cuda" and not ray.cluster_resources().get("GPU"):
            raise Refused("--device cuda: the Ray cluster has no GPU; use --device cpu")
        yield Cluster(ray, device)
    except (ray.exceptions.RayTaskError, Refused):  # an error of ours
        raise
    except (ray.exceptions.RayError, ConnectionError) as error:
        why = " ".join(str(error).split())[:300]
        raise ClusterLost(f"the Ray cluster gave up: {why}") from error
    finally:
        ray.shutdown()


def _joined(ray: Any, address: str) -> None:
    """As ray.init; a ray:// cluster starts a process for each client, which may fail by chance."""
    for pause in (*PAUSES, None):
        try:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
            return
        except ConnectionAbortedError:
            if pause is None:
                raise
            time.sleep(pause)


def _last_line(error: BaseException) -> str:
    """What a traceback of the cluster's ends with, or the error's own line."""
    lines = str(error).split("\n")
    said = next((line for line in reversed(lines) if line.strip()), type(error).__name__)
    return " ".join(said.split())[:200]


def _none(address: str, why: str) -> Refused:
    return Refused(
        f"--address {address}: no Ray cluster ({why}); start one with `ray start --head`, or give "
        "the address of one: host:port, ray://host:port"
    )


@contextmanager
def cluster_of(config: Any, device: str) -> Iterator[Any]:
    """The cluster that --engine and --address mean, None for this process."""
    if config.engine == "local":
        yield None
        return
    with connected(config.address, device) as found:
        yield found
