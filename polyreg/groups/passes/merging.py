"""Merge of groups that were read in parts: keys, triangular factors, and what is missing.

A part's factor R of a group is in the basis T_k over that part's range of x. Taken to the range of
both parts, two factors have that of the QR factorization of one above the other (TSQR: Demmel,
Grigori, Hoemmen, Langou 2012).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from polyreg.config import FitConfig
from polyreg.groups.fit import Reading
from polyreg.groups.pooled import basis_change
from polyreg.groups.sums import PER_GROUP, Factors
from polyreg.tables.parts import Codes
from polyreg.tables.rows import Rows

AT_ONCE = 2**14  # groups


@dataclass
class GroupSums:
    """What a pass over some of a table's rows found of G groups; mergeable by +.

    Groups have the order in which their keys are first met: the sum of the parts' sums, in their
    order, has the order of one pass.
    """

    values: list[Any]  # of each key column, as Codes.written
    pairs: dict[tuple[int, ...], int]  # groups by their codes; {} of one key column
    factors: Factors
    failed: dict[int, str]
    rows: int
    missing: int

    @classmethod
    def of(cls, reading: Reading) -> "GroupSums":
        """What a finished pass found."""
        values = [codes.written() for codes in reading.table.keys.values()]
        reading.factors.trim(len(reading.pairs) if len(values) > 1 else len(values[0]))
        return cls(
            values, reading.pairs, reading.factors, reading.failed, reading.rows, reading.missing
        )

    def reading(self, table: Rows, config: FitConfig) -> Reading:
        """The pass over this table that found it; its keys have the same codes."""
        made = Reading(table, config)
        for codes, values in zip(table.keys.values(), self.values, strict=True):
            codes.add(values)
        made.pairs, made.factors, made.failed = self.pairs, self.factors, dict(self.failed)
        made.rows, made.missing = self.rows, self.missing
        return made

    def keys(self) -> "GroupSums":
        """The keys alone."""
        nothing = Factors(1, self.factors.no_intercept, self.factors.is_weighted)
        return replace(self, factors=nothing, failed={})

    def __add__(self, later: "GroupSums") -> "GroupSums":
        codes = [Codes() for _ in self.values]
        for own, values in zip(codes, self.values, strict=True):
            own.add(values)
        moved = [own.add(values) for own, values in zip(codes, later.values, strict=True)]
        pairs, places, groups = dict(self.pairs), moved[0], len(codes[0].written())
        if len(codes) > 1:
            lists = [new.tolist() for new in moved]
            theirs = (tuple(n[c] for n, c in zip(lists, p, strict=True)) for p in later.pairs)
            found = [pairs.setdefault(pair, len(pairs)) for pair in theirs]
            places, groups = np.array(found, dtype=np.int64), len(pairs)
        failed = dict(self.failed)
        for g, why in later.failed.items():
            failed.setdefault(int(places[g]), why)
        return GroupSums(
            [own.written() for own in codes],
            pairs,
            merged(self.factors, later.factors, places, groups),
            failed,
            self.rows + later.rows,
            self.missing + later.missing,
        )


def merged(one: Factors, two: Factors, places: np.ndarray, groups: int) -> Factors:
    """Factors of the rows of both, of G groups: those of `one` first.

    places: the group of each of `two` among them
    """
    made = Factors(one.width, one.no_intercept, one.is_weighted)
    for name in PER_GROUP:
        held = getattr(one, name)
        array = np.zeros((groups, *held.shape[1:]), held.dtype)
        array[: len(held)] = held
        setattr(made, name, array)
    is_new = made.count[places] == 0
    for name in PER_GROUP:
        getattr(made, name)[places[is_new]] = getattr(two, name)[is_new]
    common = np.flatnonzero(~is_new & (two.count > 0))
    for start in range(0, len(common), AT_ONCE):
        theirs = common[start : start + AT_ONCE]
        _join(made, places[theirs], two, theirs)
    return made


def _join(made: Factors, own: np.ndarray, two: Factors, theirs: np.ndarray) -> None:
    """Rows of the groups `theirs` of `two` to the groups `own` of `made`, each once."""
    low = np.minimum(made.low[own], two.low[theirs])
    high = np.maximum(made.high[own], two.high[theirs])
    parts = []
    for factors, g in ((made, own), (two, theirs)):
        R = factors.factors[g]
        if not made.no_intercept:  # all count y from the first part's
            R[:, :, -1] += (factors.base[g] - made.base[own])[:, None] * R[:, :, 0]
        change = basis_change(factors.low[g], factors.high[g], low, high, made.width - 1)
        R[:, :, :-1] = R[:, :, :-1] @ change
        parts.append(R)
    made.factors[own] = np.linalg.qr(np.concatenate(parts, axis=1), mode="r")
    made.low[own], made.high[own] = low, high
    made.count[own] += two.count[theirs]
    made.log_weights[own] += two.log_weights[theirs]
