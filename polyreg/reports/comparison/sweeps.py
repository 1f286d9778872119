"""Sweeps of a comparison, as plain data: heat maps, and a row for each combination."""

from collections.abc import Sequence

import numpy as np

from polyreg.reports import chart
from polyreg.reports.comparison.groups import Together
from polyreg.reports.comparison.reading.runs import ReadSweep
from polyreg.reports.panels import panels
from polyreg.reports.sweep import combinations
from polyreg.text import plural

LISTED = 200  # combinations in a table


def sweeps(groups: Sequence[Together], read: Sequence[ReadSweep]) -> list[chart.Sweep]:
    return [sweep(groups, number, one) for number, one in enumerate(read)]


def sweep(groups: Sequence[Together], number: int, read: ReadSweep) -> chart.Sweep:
    """Panels and rows of a sweep, each with the group of the page that has its curves."""
    group_of = {
        one.row.config: k
        for k, group in enumerate(groups)
        for one in group
        if one.sweep == number and one.row is not None
    }
    own = [
        next((group_of[row.config] for row in summary.rows if row.config in group_of), None)
        for summary in read.found
    ]
    place = np.array([-1 if k is None else k for k in own] + [-1])  # the last: of at = -1
    ranked = sorted(range(len(own)), key=lambda i: read.found[i].score)
    header, rows = combinations(read.config, [read.found[i] for i in ranked[:LISTED]])
    notes = list(read.notes)
    if len(ranked) > LISTED:
        notes.append(f"The first {LISTED} of {plural(len(ranked), 'combination')}, by their score.")
    return chart.Sweep(
        title=read.past.name,
        panels=[one._replace(at=place[one.at]) for one in panels(read.config, read.found)],
        header=header,
        rows=rows,
        groups=[own[i] for i in ranked[:LISTED]],
        note=" ".join(notes),
    )
