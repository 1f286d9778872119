"""Work for a cluster's processes that lasts long enough to be killed at."""

import os
import random
import time
from pathlib import Path

from experiments.sweep import main
from polyreg.cluster import tasks

_trained = tasks._trained  # before `sweep` replaces it


def sums(folder: Path, problem, part, before: int):
    """The sums, after a while; a file a start tells who works at what."""
    while True:
        try:
            file = folder / f"{before}.{len(list(folder.iterdir()))}"
            file.open("x").write(str(os.getpid()))
            break
        except FileExistsError:
            continue
    time.sleep(random.uniform(0.1, 0.5))
    return tasks._sums(problem, part, before)


def trained(device: str, track, block):
    """The trainings of a block, but never those of degree 3."""
    while block[0].degree == 3:
        time.sleep(1)
    return _trained(device, track, block)


def sweep() -> None:
    """The experiment, with those trainings."""
    tasks.PACKAGES += ("tests",)
    tasks._trained = trained
    main()
