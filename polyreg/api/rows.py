"""Table of a training: its rows, and their exact fit, from files or from what Python holds."""

from dataclasses import fields
from typing import Any

import numpy as np

from polyreg import least_squares
from polyreg.config import FitConfig, TrainConfig
from polyreg.errors import Refused
from polyreg.fields import Tabular
from polyreg.sgd.optimum import TrainingTable
from polyreg.tables import InMemory, Table, in_memory


def training_table(config: TrainConfig, frame: Any = None) -> TrainingTable:
    """The rows that config's training learns from, in memory, and their least-squares optimum.

    frame: the table, by default what config names

    Raises Refused where there is no such fit, no optimum that is the only one, or no room for the
    squares of the rows in the run's dtype.
    """
    named = {f.name: getattr(config, f.name) for f in fields(Tabular)}
    fitted = FitConfig(**named, degree=config.degree, seed=config.seed)
    table = Table.of(fitted) if frame is None else _held(frame, config)
    if table.functions:
        raise Refused(
            f"a training learns columns as they are, and {table.functions.first} is a function of "
            "one; make it a column of the table, or fit it by polyreg fit"
        )
    best = least_squares.fit(table, fitted)
    blocks = list(table.blocks())
    x = np.column_stack(
        [np.concatenate(columns) for columns in zip(*(b.x for b in blocks), strict=True)]
    )
    y = np.concatenate([b.y for b in blocks if b.y is not None])
    made = TrainingTable.of(config, best, x, y)
    made.require_headroom()
    return made


def _held(frame: Any, config: TrainConfig) -> InMemory:
    return in_memory(
        frame,
        target=config.target,
        features=config.features,
        missing=config.missing,
        exclude=config.exclude,
        codes=config.missing_values,
    )
