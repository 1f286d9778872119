"""Connection to a Ray cluster, and its refusals."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from polyreg.cluster.probe import last_address, silence
from polyreg.errors import ClusterLost, Refused

SECONDS_TO_JOIN = 60


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
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        except BaseException as error:  # SystemExit is among them
            failed.append(error)

    # It may take minutes to find that there is nothing.
    joining = threading.Thread(target=join, daemon=True)
    joining.start()
    joining.join(SECONDS_TO_JOIN)
    if joining.is_alive() or failed:
        why = " ".join(str(failed[0]).split())[:200] if failed else "it does not answer"
        raise _none(address, why)
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
