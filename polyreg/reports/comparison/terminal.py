"""A comparison on the terminal: a line a group, and what there is to mind."""

import math
from collections.abc import Iterator, Sequence

from polyreg.polynomials.summary import UNCENTRED
from polyreg.reports.chart import Column, Comparison
from polyreg.reports.comparison.charts import numbers
from polyreg.reports.comparison.groups import DISTANCE
from polyreg.reports.comparison.reading.runs import Read
from polyreg.reports.comparison.reading.seen import LOST
from polyreg.text import aligned, clean, plus_minus, told_apart

SHOWN = {  # metrics, and what their columns are called
    "converged": "converged",
    "steps": "steps",
    "loss/gap": "gap",
    DISTANCE: DISTANCE,
    "r2": "r2",
    "residual_sd": "residual_sd",
    "robust_sd": "robust_sd",
    "groups": "groups",
    "groups_failed": "groups failed",
    "residual_sd/median": "median residual_sd",
    "group_sd/median": "median group_sd",
    "r2/median": "median r2",
    "aic": "aic",
    "bic": "bic",
    "cv/chosen_mse": "cv error",
}
ROOM = 24  # characters of an option's value, unless they differ beyond


def report(read: Read, comparison: Comparison) -> tuple[list[str], list[str]]:
    """What all share, a line a group with a column an option; and what there is to mind."""
    groups = comparison.groups
    columns = comparison.tables[0].columns if comparison.tables else []
    named = {called(column): column for column in columns if called(column)}
    cells = {"run": [str(k + 1) for k in range(len(groups))]}
    options = {c.name: shortened(c.cells) for c in columns if c.is_option}
    if len(set(zip(*options.values(), strict=True))) < len(groups):  # they do not tell them apart
        cells["name"] = shortened([group.name for group in groups])
    cells |= {name: texts for name, texts in options.items() if name not in cells}
    if any(len(group.runs) > 1 for group in groups):
        cells["runs"] = [str(len(group.runs)) for group in groups]
    cells |= {name: shown(column) for name, column in named.items()}
    if len({group.data for group in groups}) > 1:
        cells["dataset" if "data" in cells else "data"] = [group.data or "-" for group in groups]
    cells["status"] = [group.mark or "FINISHED" for group in groups]
    lines = [f"all: {clean(comparison.shared)}"] if comparison.shared else []
    lines.append(aligned(list(cells), list(zip(*cells.values(), strict=True))))
    lines += [f"★ {name}: {column.meaning}" for name, column in named.items() if column.best]
    warnings = [f"warning: {one.text} {'; '.join(one.lines)}" for one in comparison.warnings]
    notes = [*comparison.notes, *of_sweeps(comparison), *lost(read, comparison)]
    return lines, warnings + [f"note: {note}" for note in notes]


def called(column: Column) -> str:
    """The name of a metric's column; empty where it is not shown."""
    if column.is_option:
        return ""
    return column.name if column.name == "r2" + UNCENTRED else SHOWN.get(column.name, "")


def shortened(cells: Sequence[object]) -> list[str]:
    values = [clean(str(cell)) if cell else "-" for cell in cells]
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


def of_sweeps(comparison: Comparison) -> Iterator[str]:
    """What there is to mind of each sweep."""
    for number, one in enumerate(comparison.sweeps, 1):
        if one.note:
            which = f"sweep {number}" if len(comparison.sweeps) > 1 else "the sweep"
            yield f"{which}: {one.note}"


def lost(read: Read, comparison: Comparison) -> Iterator[str]:
    """The groups whose artifacts are not where MLflow expects them."""
    found = [
        k
        for k, group in enumerate(comparison.groups)
        if any(run.note.startswith(LOST) for run in group.runs)
    ]
    if found:
        where = next(
            one.past.artifact_uri
            for one in read.seen
            if any(note.startswith(LOST) for note in one.notes)
        )
        yield (
            f"No curve of {numbers(found)}: no artifacts are where MLflow expects them, as in "
            f"{where}; if that folder was moved, move it back, or put a link there."
        )
