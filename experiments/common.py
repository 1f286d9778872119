"""What every experiment does on the way: pick the device, time its stages, show and print."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click


def available_device(device: str, dtype: str) -> str:
    """`auto` becomes a GPU where there is one; a device that is not there is refused."""
    import torch

    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        usable = [name for name, there in present.items() if there]
        return next((d for d in usable if d != "mps" or dtype == "float32"), "cpu")
    if not present.get(device, True):
        raise click.UsageError(f"--device {device}: torch finds none here; use --device auto")
    if device == "mps" and dtype == "float64":
        raise click.UsageError("--dtype float64: mps has only float32; use --device cpu")
    return device


class Clock:
    """Seconds of each stage, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - start

    def metrics(self) -> dict[str, float]:
        return {f"time/{stage}_s": value for stage, value in self.seconds.items()}


@contextmanager
def shielded() -> Iterator[None]:
    """Ctrl-C waits until the end of this.

    A call to SQLite that it cut in the middle would keep the store locked against all others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal comes here
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def progress_bar(total: int, unit: str):
    """A bar on stderr, for work that takes over two seconds, where stderr is a terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total, unit=unit, unit_scale=unit == "row", delay=2, leave=False, disable=None
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: the first left, the others right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in [header, *rows]
    )
