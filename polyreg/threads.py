"""torch's threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
