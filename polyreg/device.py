"""torch's device and its threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyreg.errors import Refused


@contextmanager
def one(when: bool = True) -> Iterator[None]:
    """torch on one thread inside, if `when`.

    Of small pieces: they are done before a second thread is there, and on a busy machine each
    operation would wait for it (1.9 us a step of SGD with one thread, 30 with two).
    """
    threads = torch.get_num_threads()
    if when:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if when:
            torch.set_num_threads(threads)


def available_device(device: str, dtype: str) -> str:
    """`auto` becomes a GPU where there is one; a device that is not there is refused."""
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        usable = [name for name, there in present.items() if there]
        return next((d for d in usable if d != "mps" or dtype == "float32"), "cpu")
    if not present.get(device, True):
        raise Refused(f"--device {device}: torch finds none here; use --device auto")
    if device == "mps" and dtype == "float64":
        raise Refused("--dtype float64: mps has only float32; use --device cpu")
    return device


def device_of(config: Any, dtype: str) -> str:
    """Where the tensors of this command are going to be: of the cluster's machines, if it has."""
    if config.engine == "ray":
        return "cuda" if config.device == "cuda" else "cpu"
    return available_device(config.device, dtype)


def float64(numbers: Tensor) -> np.ndarray:
    """A tensor of any device as a float64 array."""
    return numbers.to("cpu", torch.float64).numpy()
