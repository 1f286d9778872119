"""Bounds and choice of a sample by the footers of Parquet files."""

import numpy as np

from polyreg.tables.files import File
from polyreg.tables.sampling.profile import SAMPLE


def footer(columns: list[str], file: File) -> tuple[list[int], list | None]:
    """The rows of each group, and the file's (low, high) of each column, None where not sure."""
    counts, bounds = [], []
    for count, ranges in file.bounds(columns):
        counts.append(count)
        if count:
            bounds.append(ranges)
    if not bounds or any(None in ranges for ranges in bounds):
        return counts, None
    low, high = np.moveaxis(np.array(bounds), 2, 0)
    return counts, list(zip(low.min(axis=0).tolist(), high.max(axis=0).tolist(), strict=True))


def spread(rows: list[int]) -> list[int]:
    """Which of these row groups to sample: evenly spread, first and last included."""
    count = 4
    while True:
        chosen = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int).tolist()
        if count >= len(rows) or sum(rows[i] for i in chosen) >= SAMPLE:
            return chosen
        count *= 2
