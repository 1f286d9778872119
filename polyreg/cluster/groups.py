"""Passes by groups as tasks: factors of each part, merged by key, and exact fits by shares."""

import itertools
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from polyreg.cluster.tasks import Cluster
from polyreg.config import FitConfig
from polyreg.errors import BadTable
from polyreg.groups.fit import Reading, require_possible
from polyreg.groups.passes.exact import Gathered, fitted, gathered, joined
from polyreg.groups.passes.merging import GroupSums
from polyreg.groups.solved import ARRAYS, Solved
from polyreg.tables.missing import MissingRows
from polyreg.tables.parts import Part
from polyreg.tables.table import Table

SHARES = 4  # of the groups, for each CPU, each fitted exactly by one task


@dataclass
class GroupPasses:
    """The passes of fit_groups over a table, part by part."""

    cluster: Cluster
    table: Table

    def read(self, config: FitConfig, advance: Callable[[int], Any] = lambda rows: None) -> Reading:
        """Raises as groups.fit.read does."""
        require_possible(self.table, config)
        self.table.begin_digests()
        self.parts = self.table.parts()
        _, found = self.cluster.total(
            partial(_sums, config), zip(self.parts), lambda gaps: advance(gaps.rows)
        )
        self._sums = found or GroupSums.of(Reading(self.table, config))  # of no rows at all
        return self._sums.reading(self.table, config)

    def certified(
        self, config: FitConfig, coded: Any, solved: Solved
    ) -> tuple[Solved, dict[int, str]]:
        """As passes.exact.certified, after `read`: rows go from task to task, by shares of groups.

        Raises BadTable where the rows have changed since.
        """
        cuts = _cuts(solved, SHARES * self.cluster.workers)
        gather = self.cluster.put(partial(_gathered, config, self._sums.keys(), cuts))
        reports, rows = [], []
        for part in self.parts:
            report, *shares = self.cluster.submit(gather, pickle.dumps(part), outputs=len(cuts))
            reports.append(report)
            rows.append(shares)
        self._raise_first(reports)
        empty = Part(self.table, [], 0)
        tasks = []
        for (first, last), shares in zip(
            itertools.pairwise(cuts), zip(*rows, strict=True), strict=True
        ):
            own = _those(solved, first, last)
            fit = pickle.dumps(partial(_fitted, empty, config, own))
            tasks.append(self.cluster.submit(fit, *shares, outputs=2))
        self._raise_first([report for report, _ in tasks])
        found = [self.cluster.value(answer) for _, answer in tasks]
        failed = {
            first + g: why
            for first, (_, refused) in zip(cuts, found, strict=False)
            for g, why in refused.items()
        }
        made: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one, _ in found]) for name in ARRAYS
        }
        return replace(solved, **made, is_certified=True), failed

    def _raise_first(self, reports: list[Any]) -> None:
        for report in reports:
            if refused := self.cluster.value(report):
                raise refused


def passes_by_groups(cluster: Cluster | None, table: Table) -> GroupPasses | None:
    """The cluster's, None of no cluster."""
    return GroupPasses(cluster, table) if cluster else None


def _sums(config: FitConfig, part: Part) -> GroupSums:
    reading = Reading(part, config)
    for place, arrays, _ in part.unjudged():
        reading.add(place, arrays)
    part.gaps = MissingRows(rows=reading.rows)
    return GroupSums.of(reading)


def _cuts(solved: Solved, shares: int) -> list[int]:
    """Where the groups are cut into at most so many shares of about the same number of rows."""
    before = np.concatenate([[0], np.cumsum(solved.count)])
    ends = np.searchsorted(before, np.linspace(0, before[-1], shares + 1)[1:-1])
    return sorted({0, *ends.tolist(), len(solved.count)})


def _those(solved: Solved, first: int, last: int) -> Solved:
    return replace(solved, **{name: getattr(solved, name)[first:last] for name in ARRAYS})


def _gathered(config: FitConfig, keys: GroupSums, cuts: list[int], part: Part) -> tuple:
    """What refuses the part, and its rows by the groups' shares; the codes count in the share."""
    try:
        codes, columns, rests = gathered(part, keys.reading(part, config).coded)
    except BadTable as error:
        return error, *(None for _ in cuts[1:])
    shares: list[Gathered] = []
    for first, last in itertools.pairwise(cuts):
        own = (codes >= first) & (codes < last)
        shares.append((codes[own] - first, [c[own] for c in columns], [r[own] for r in rests]))
    return None, *shares


def _fitted(table: Part, config: FitConfig, solved: Solved, *rows: Gathered) -> tuple:
    try:
        return None, fitted(table, config, joined(rows), solved)
    except BadTable as error:
        return error, None
