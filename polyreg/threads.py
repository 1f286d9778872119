"""torch's threads, and the memory that each of ours works in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_own = threading.local()


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


def workspace(name: str, like: Tensor, *shape: int) -> Tensor:
    """Memory of `like`'s dtype and device, for this thread's next use of the name.

    Zeros at first, and then what the last use of this shape left: to touch fresh memory was a
    quarter of torch's time in a sweep.
    """
    kept = vars(_own).setdefault("kept", {})
    key = (name, like.dtype, like.device)
    if key not in kept or kept[key].shape != shape:
        with torch.inference_mode(False):  # of use inside that mode and outside
            kept[key] = like.new_zeros(shape)
    return kept[key]
