"""Exact affine conditions A w = b on the weights of a basis, solved for some of the weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from polyreg.errors import Refused
from polyreg.least_squares.conditions.reading import Wanted
from polyreg.least_squares.integers import fixed_point
from polyreg.polynomials import terms
from polyreg.polynomials.design import Design, floats

MOST_EXACT = 60  # terms: 0.3 s
LARGEST = 1e80  # weight that the conditions alone come to: its square stays in float64
ABSENT = "no "  # before a term
NEARLY = 1e-9  # of what cancels: more is not 0


@dataclass
class Row:
    """sum_t entries[t] w_t = value; parts: the conditions that it is a combination of."""

    entries: dict[int, Fraction]
    value: Fraction
    parts: dict[int, Fraction]

    def less(self, other: "Row", factor: Fraction) -> None:
        """Subtract factor times the other, in place."""
        for mine, its in ((self.entries, other.entries), (self.parts, other.parts)):
            for t, c in its.items():
                found = mine.get(t, Fraction(0)) - factor * c
                if found:
                    mine[t] = found
                else:
                    mine.pop(t, None)
        self.value -= factor * other.value

    def scaled(self, factor: Fraction) -> "Row":
        return Row(
            {t: c * factor for t, c in self.entries.items()},
            self.value * factor,
            {k: c * factor for k, c in self.parts.items()},
        )


class Affine:
    """The weights w (K,) with A w = b: w = start + lift z, z (M,) the weights `free`.

    By Gauss and Jordan in rationals, the largest entry of all rows as pivot, so that what is left
    depends on the free weights as little as can be: the terms have the same bound on the rows.

    absent, held: places of the monomials that are no terms of the polynomial, and of those that the
    conditions alone determine
    is_centred: whether a constant may be added to each such polynomial
    moves: what z contributes to the coefficients, rows (K, M) over their largest entry, and that:
        from the lift in float64, where conditions lie far from the rows, nothing would be left of
        it; None of more than MOST_EXACT terms
    """

    def __init__(
        self, size: int, rows: Sequence[tuple[dict[int, Fraction], Fraction]], told: Sequence[str]
    ):
        """rows: entries and value of each condition, told: in words.

        Raises Refused where they contradict each other, or leave nothing free.
        """
        self.size = size
        self.absent: tuple[int, ...] = ()
        self.held: tuple[int, ...] = ()
        self.told = tuple(told)
        self.moves: tuple[np.ndarray, list[Fraction]] | None = None
        self.is_centred = not any(entries.get(0) for entries, _ in rows)
        solved = _solved(rows, told)
        self.pivots = tuple(solved)
        self._rest = [
            {t: -c for t, c in row.entries.items() if t != p} for p, row in solved.items()
        ]
        self._values = [row.value for row in solved.values()]
        self.free = tuple(t for t in range(size) if t not in solved)
        given = _listed([name for name in told if not name.startswith(ABSENT)] or told)
        if not self.free:
            raise Refused(
                f"with {given} nothing is left to fit; leave out a condition, or add terms"
            )
        if any(abs(value) > LARGEST for value in self._values):
            raise Refused(
                f"with {given} the polynomial is so large over the rows that its squares leave "
                "float64; rescale x or y, or leave out the condition"
            )

    @classmethod
    def of(cls, wanted: Wanted, design: Design, intercept: bool) -> "Affine | None":
        """The conditions on the weights of a design; None where there are none.

        Raises Refused as they do.
        """
        place = {e: k for k, e in enumerate(design.exponents)}
        powers = design.powers
        absent = [] if wanted.exponents is None else sorted({*place} - {*wanted.exponents})
        absent += [] if intercept or wanted.exponents is not None else [design.exponents[0]]
        rows = [(powers.rows[place[e]], Fraction(0)) for e in absent]
        told = [ABSENT + terms.name(e, design.names) for e in absent]
        for e, value in wanted.fixed:
            rows.append((powers.rows[place[e]], value))
            told.append(f"{terms.name(e, design.names)} = {_written(value)}")
        for points, at in ((wanted.points, _values_at), (wanted.slopes, _slopes_at)):
            for point in points:
                rows.append((powers.functional(at(design, point.x)), point.value))
                told.append(point.told)
        if not rows:
            return None
        found = cls(len(place), rows, told)
        found.absent = tuple(sorted(place[e] for e in absent))
        found.held = found._determined(design)
        if len(place) <= MOST_EXACT:
            found.moves = scaled(found._moves(design, range(len(place))), found.free)
        found.told = tuple(told[len(absent) :])
        return found

    def _determined(self, design: Design) -> tuple[int, ...]:
        """Places of the coefficients that no free weight moves, but for the absent ones."""
        if self.absent == (0,) and len(self.pivots) == 1:
            return ()
        dense, _ = design.powers.scaled()
        moved, size = np.abs(dense @ self.lift), np.abs(dense) @ np.abs(self.lift)
        near = np.flatnonzero((moved <= NEARLY * size.max(axis=1, keepdims=True)).all(axis=1))
        places = [j for j in near.tolist() if j not in self.absent]
        rows = zip(places, self._moves(design, places), strict=True)
        return tuple(j for j, row in rows if not any(row.values()))

    def _moves(self, design: Design, places: Iterable[int]) -> list[dict[int, Fraction]]:
        """What each free weight contributes to the coefficients in these places, exactly."""
        rest, found = dict(zip(self.pivots, self._rest, strict=True)), []
        for j in places:
            row: dict[int, Fraction] = {}
            for t, c in design.powers.rows[j].items():
                for f, factor in rest.get(t, {t: Fraction(1)}).items():
                    row[f] = row.get(f, Fraction(0)) + c * factor
            found.append(row)
        return found

    @property
    def known(self) -> list[int]:
        """Places of the coefficients that have no error."""
        return [*self.absent, *self.held]

    @cached_property
    def lift(self) -> np.ndarray:
        """(K, M) float64"""
        found = np.delete(np.eye(self.size), self.pivots, axis=1)
        column = {t: k for k, t in enumerate(self.free)}
        for p, rest in zip(self.pivots, self._rest, strict=True):
            for t, c in rest.items():
                found[p, column[t]] = float(c)
        return found

    @cached_property
    def start(self) -> np.ndarray:
        """(K,) float64: the weights where the free ones are 0."""
        return floats(self.exactly([Fraction(0)] * self.size))

    def nearest(self, weights: np.ndarray) -> np.ndarray:
        """(K,) float64: those with the same free weights."""
        return self.start + self.lift @ weights[list(self.free)]

    def exactly(self, weights: Sequence[Fraction], homogeneous: bool = False) -> list[Fraction]:
        """(K,): those with the same free weights; `homogeneous`, with 0 for b."""
        found = list(weights)
        for p, rest, value in zip(self.pivots, self._rest, self._values, strict=True):
            moved = (c * weights[t] for t, c in rest.items())
            found[p] = sum(moved, start=Fraction(0) if homogeneous else value)
        return found

    @cached_property
    def lift_in_integers(self) -> np.ndarray:
        """(K, M) of fixed_point."""
        found = np.delete(fixed_point.identity(self.size), self.pivots, axis=1)
        for p, rest in zip(self.pivots, self._rest, strict=True):
            found[p] = fixed_point.fixed([rest.get(t, Fraction(0)) for t in self.free])
        return found

    def start_in_integers(self, unit: Fraction) -> np.ndarray:
        """(K,) of fixed_point, in units."""
        return fixed_point.fixed([w / unit for w in self.exactly([Fraction(0)] * self.size)])

    def notes(self, design: Design) -> list[str]:
        """What is held, a sentence; none where terms are absent alone."""
        if not self.told:
            return []
        names = [design.terms[j] for j in self.held]
        more = f"; the standard error of {_listed(names)} is 0" if names else ""
        return [f"held exactly: {_listed(self.told)}{more}"]


def held(conditions: Affine | None) -> dict[str, Any]:
    """Fields of a Solution: what its conditions leave free, and what they hold."""
    if conditions is None:
        return {}
    return {
        "parameters": len(conditions.free),
        "absent": conditions.absent,
        "held": conditions.held,
    }


def scaled(
    rows: Sequence[dict[int, Fraction]], columns: Sequence[int]
) -> tuple[np.ndarray, list[Fraction]]:
    """Rows over their largest entry (K, M), float64, and that entry, 1 where there is none (K,)."""
    largest = [max(map(abs, row.values()), default=Fraction(0)) or Fraction(1) for row in rows]
    dense = np.zeros((len(rows), len(columns)))
    place = {t: k for k, t in enumerate(columns)}
    for j, row in enumerate(rows):
        for t, c in row.items():
            dense[j, place[t]] = float(c / largest[j])
    return dense, largest


def _solved(
    rows: Sequence[tuple[dict[int, Fraction], Fraction]], told: Sequence[str]
) -> dict[int, Row]:
    """{pivot: its row}, of which no other has the pivot."""
    left = []
    for k, (entries, value) in enumerate(rows):
        size = max(map(abs, entries.values()), default=Fraction(0))
        row = Row({t: c for t, c in entries.items() if c}, value, {k: Fraction(1)})
        left.append(row.scaled(1 / size) if size else row)
    solved: dict[int, Row] = {}
    while left:
        best, where, largest = -1, -1, Fraction(0)
        for k, row in enumerate(left):
            for t in sorted(row.entries):
                if abs(row.entries[t]) > largest:
                    best, where, largest = k, t, abs(row.entries[t])
        if best < 0:
            break
        row = left.pop(best)
        row = row.scaled(1 / row.entries[where])
        for other in [*left, *solved.values()]:
            if where in other.entries:
                other.less(row, other.entries[where])
        solved[where] = row
    for row in left:
        if row.value:
            names = _listed([told[k] for k in sorted(row.parts)])
            raise Refused(
                f"{names} contradict each other; leave out one"
                if len(row.parts) > 1
                else f"{names} cannot hold; leave it out"
            )
    return solved


def _values_at(design: Design, x: Sequence[Fraction]) -> list[Fraction]:
    """Of each monomial of the design."""
    return [_product(x, e) for e in design.exponents]


def _slopes_at(design: Design, x: Sequence[Fraction]) -> list[Fraction]:
    """Derivatives of x^n, of one variable."""
    return [n * x[0] ** (n - 1) if n else Fraction(0) for (n,) in design.exponents]


def _product(x: Sequence[Fraction], e: Sequence[int]) -> Fraction:
    found = Fraction(1)
    for value, power in zip(x, e, strict=True):
        found *= value**power
    return found


def _written(value: Fraction) -> str:
    """A decimal where it is one."""
    near = repr(float(value))
    return near.removesuffix(".0") if Fraction(near) == value else str(value)


def _listed(told: Sequence[str]) -> str:
    more = f" and {len(told) - 6} more" if len(told) > 6 else ""
    return ", ".join(told[:6]) + more
