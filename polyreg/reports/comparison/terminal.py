"""A comparison on the terminal: a line a group, and what there is to mind."""

import math
from collections.abc import Sequence

from polyreg.reports.chart import Column, Comparison
from polyreg.reports.comparison.charts import numbers
from polyreg.reports.comparison.runs import LOST, Read
from polyreg.text import aligned, plus_minus, told_apart

SHOWN = ("converged", "steps", "loss/gap", "distance to the truth", "r2", "residual_sd")
ROOM = 24  # characters of an option's value, unless they differ beyond


def report(read: Read, comparison: Comparison) -> tuple[list[str], list[str]]:
    """What all share, a line a group with a column an option; and what there is to mind."""
    groups = comparison.groups
    columns = comparison.tables[0].columns if comparison.tables else []
    options = {column.name for column in columns if column.is_option}
    cells: dict[str, list[str]] = {"run": [str(k + 1) for k in range(len(groups))]}
    if not options:
        cells["name"] = [group.name for group in groups]
    for column in columns:
        if column.is_option:
            cells[column.name] = shortened([str(cell or "-") for cell in column.cells])
    if any(len(group.runs) > 1 for group in groups):
        cells["runs"] = [str(len(group.runs)) for group in groups]
    for column in columns:
        if not column.is_option and is_shown(column.name):
            cells[column.name.rpartition("/")[2]] = shown(column)
    if len({group.data for group in groups}) > 1:
        cells["data"] = [group.data or "-" for group in groups]
    cells["status"] = [group.mark or "FINISHED" for group in groups]
    lines = [f"all: {comparison.shared}"] if comparison.shared else []
    lines.append(aligned(list(cells), list(zip(*cells.values(), strict=True))))
    lines += [
        f"★ {column.name}: {column.meaning}"
        for column in columns
        if column.best and is_shown(column.name)
    ]
    warnings = [f"warning: {one.text} {'; '.join(one.lines)}" for one in comparison.warnings]
    notes = [*comparison.notes, *lost(read, comparison)]
    return lines, warnings + [f"note: {note}" for note in notes]


def is_shown(name: str) -> bool:
    return name in SHOWN or name.startswith("r2 ")


def shortened(values: Sequence[str]) -> list[str]:
    short = told_apart(values, ROOM)
    return [short[value] for value in values]


def shown(column: Column) -> list[str]:
    """Cells as text, with their spread, and the best marked."""
    spreads = column.spreads or [math.nan] * len(column.cells)
    texts = []
    for k, (cell, spread) in enumerate(zip(column.cells, spreads, strict=True)):
        text = "-" if cell is None else cell if isinstance(cell, str) else plus_minus(cell, spread)
        texts.append(text + (" ★" if k in column.best else ""))
    return texts


def lost(read: Read, comparison: Comparison) -> list[str]:
    """The groups whose artifacts are not where MLflow expects them."""
    found = [
        k
        for k, group in enumerate(comparison.groups)
        if any(run.note.startswith(LOST) for run in group.runs)
    ]
    if not found:
        return []
    where = next(one.past.artifact_uri for one in read.seen if any(map(is_lost, one.notes)))
    return [
        f"No curve of {numbers(found)}: no artifacts are where MLflow expects them, as in "
        f"{where}; if that folder was moved, move it back, or put a link there."
    ]


def is_lost(note: str) -> bool:
    return note.startswith(LOST)
