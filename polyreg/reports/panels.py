"""What a sweep came to on its grid, as plain data, which heat map and page both draw."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Panel(NamedTuple):
    """One metric on a grid of settings, (R, C); panels of one metric share their colours."""

    metric: str  # with its unit: `steps to converge`
    title: str  # what is the same in all of it: `noise 0.5`; empty where that is all there is
    names: tuple[str, str]  # of what the rows are, and the columns; empty: one alone
    rows: Sequence[str]
    columns: Sequence[str]
    mean: np.ndarray  # over the seeds; nan: there is no number
    spread: np.ndarray  # over the seeds; nan: not written
    said: Sequence[Sequence[str]]  # in place of a number: `diverged`, `not tried`
    at: np.ndarray  # which combination, int; -1: none


def panels(config, found):
    return []
