"""Inner loops compiled by numba: at their first use, once for a machine."""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

MISSING = "numba cannot be imported: the inner loops are slower, uncompiled; pip install numba"
_made: set[Callable] = set()
_missed: set[str] = set()  # packages, by this process


def is_available() -> bool:
    """Whether numba is installed, without the half second of importing it; else it is missed."""
    if find_spec("numba") is None:
        _missed.add("numba")
    return not _missed


def is_compiled(function: Callable) -> bool:
    """Whether `compiled` has been asked for it in this process."""
    return function in _made


@cache
def compiled(function: Callable) -> Callable | None:
    """The function in machine code, called without the GIL; None where numba cannot be imported.

    The code is kept on disk: beside the module, or in numba's cache folder where that is read-only,
    or the module comes from a zip, as on the machines of a cluster. No flag changes the order of a
    sum, so that the digits are those of the function as Python runs it, whatever the processor.
    The function calls no other of ours, and its module need not import numba, which takes 0.5 s.
    """
    if not is_available():
        return None
    try:
        from numba import njit
    except ImportError:
        _missed.add("numba")
        return None
    _made.add(function)
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        found = njit(cache=True, **options)(function)
        # Of a zip's module numba does not ask whether the folder can be had.
        os.makedirs(found.stats.cache_path, exist_ok=True)
        tempfile.TemporaryFile(dir=found.stats.cache_path).close()
        return found
    except (RuntimeError, OSError):  # nowhere to keep it: compiled once a process
        return njit(**options)(function)


def notes() -> list[str]:
    """What there is to tell: that numba was wanted in this process, and is missing."""
    return [MISSING] if _missed else []
