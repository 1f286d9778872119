"""Exact affine conditions A w = b on the weights of a basis, solved for some of the weights."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from polyreg.errors import Refused
from polyreg.least_squares.conditions.elimination import Contradiction, Row, reduced
from polyreg.least_squares.conditions.reading import Wanted
from polyreg.least_squares.integers import fixed_point
from polyreg.polynomials import terms
from polyreg.polynomials.design import Design, floats

MOST_EXACT = 60  # terms: 0.3 s
LARGEST = 1e80  # weight that the conditions alone come to: its square stays in float64
NEARLY = 1e-9  # of what cancels: more is not 0


class Held(NamedTuple):
    """sum_t row[t] w_t = value."""

    row: Row
    value: Fraction
    told: str


class Affine:
    """The weights w (K,) with A w = b: w = start + lift z, z (M,) the weights `free`.

    By Gauss and Jordan in rationals, the largest entry of all rows as pivot, so that what is left
    depends on the free weights as little as can be: the terms have the same bound on the rows.

    absent, held: places of the monomials that are no terms of the polynomial, and of those that the
    conditions alone determine
    is_centred: whether a constant may be added to each such polynomial
    moves: what z contributes to the coefficients, rows (K, M) over their largest entry, and that;
        where conditions lie far from the rows the lift in float64 would leave nothing of it. None
        of more than MOST_EXACT terms
    """

    def __init__(self, design: Design, absent: Sequence[int], held: Sequence[Held] = ()):
        """absent: places of the monomials that are no terms; held: what holds besides.

        Raises Refused where conditions contradict each other, or leave nothing free.
        """
        self.size, self.absent = len(design.exponents), tuple(absent)
        self.told = tuple(one.told for one in held)
        solved = _spanned(design, absent)
        rows = [_inserted(one.row, solved) for one in held]
        self.is_centred = 0 not in absent and not any(one.row.get(0) for one in held)
        try:
            more, values = reduced(self.size, rows, [one.value for one in held])
        except Contradiction as error:
            names = _listed([self.told[k] for k in error.rows])
            chosen = " with these terms" if absent else ""
            raise Refused(
                f"{names} contradict each other{chosen}; leave out one"
                if len(error.rows) > 1
                else f"{names} cannot hold{chosen}; leave it out"
            ) from None
        last = {p: {t: -c for t, c in row.items()} for p, row in more.items()}
        known = dict(zip(more, values, strict=True))
        self._rest = {p: _inserted(row, last) for p, row in solved.items()} | last
        self._values = {
            p: sum((c * known[t] for t, c in row.items() if t in known), Fraction(0))
            for p, row in solved.items()
        } | known
        self.pivots = tuple(self._rest)
        self.free = tuple(t for t in range(self.size) if t not in self._rest)
        if not self.free:
            raise Refused(
                f"with {_listed(self.told)} nothing is left to fit; leave out a condition, or add "
                "terms"
            )
        if any(abs(value) > LARGEST for value in self._values.values()):
            raise Refused(
                f"with {_listed(self.told)} the polynomial is so large over the rows that its "
                "squares leave float64; rescale x or y, or leave out the condition"
            )
        self.held = self._determined(design)
        self.moves: tuple[np.ndarray, list[Fraction]] | None = None
        if self.size <= MOST_EXACT:
            moves = [_inserted(row, self._rest) for row in design.powers.rows]
            self.moves = scaled(moves, self.free)

    @classmethod
    def of(cls, wanted: Wanted, design: Design, intercept: bool) -> "Affine | None":
        """The conditions on the weights of a design; None where there are none.

        Raises Refused as they do.
        """
        place = {e: k for k, e in enumerate(design.exponents)}
        powers = design.powers
        if wanted.exponents is None:
            absent = [] if intercept else [0]
        else:
            absent = [k for e, k in place.items() if e not in wanted.exponents]
        held = [
            Held(powers.rows[place[e]], value, f"{terms.name(e, design.names)} = {_written(value)}")
            for e, value in wanted.fixed
        ]
        for points, at in ((wanted.points, _values_at), (wanted.slopes, _slopes_at)):
            held += [
                Held(powers.functional(at(design, point.x)), point.value, point.told)
                for point in points
            ]
        return cls(design, absent, held) if absent or held else None

    def _determined(self, design: Design) -> tuple[int, ...]:
        """Places of the coefficients that no free weight moves, but for the absent ones."""
        if not self.told:
            return ()
        dense, _ = design.powers.scaled()
        moved, size = np.abs(dense @ self.lift), np.abs(dense) @ np.abs(self.lift)
        near = np.flatnonzero((moved <= NEARLY * size.max(axis=1, keepdims=True)).all(axis=1))
        rows = design.powers.rows
        return tuple(
            j for j in near.tolist() if j not in self.absent and not _inserted(rows[j], self._rest)
        )

    @property
    def known(self) -> list[int]:
        """Places of the coefficients that have no error."""
        return [*self.absent, *self.held]

    @cached_property
    def lift(self) -> np.ndarray:
        """(K, M) float64"""
        found = np.delete(np.eye(self.size), self.pivots, axis=1)
        column = {t: k for k, t in enumerate(self.free)}
        for p, rest in self._rest.items():
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
        for p, rest in self._rest.items():
            moved = (c * weights[t] for t, c in rest.items())
            found[p] = sum(moved, start=Fraction(0) if homogeneous else self._values[p])
        return found

    @cached_property
    def lift_in_integers(self) -> np.ndarray:
        """(K, M) of fixed_point."""
        found = np.delete(fixed_point.identity(self.size), self.pivots, axis=1)
        for p, rest in self._rest.items():
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


def _spanned(design: Design, absent: Sequence[int]) -> dict[int, Row]:
    """Weights that follow from the others where these monomials are absent: {weight: its row}.

    w_p = sum_t row[t] w_t. From the conditions, or from what spans the polynomials, whichever is
    less to eliminate.
    """
    rows, size = design.powers.rows, len(design.exponents)
    if 2 * len(absent) <= size:
        solved, _ = reduced(size, [rows[j] for j in absent])
        return {p: {t: -c for t, c in row.items()} for p, row in solved.items()}
    present = [j for j in range(size) if j not in absent]
    solved, _ = reduced(size, [_weights_of(design, j) for j in present])
    found: dict[int, Row] = {p: {} for p in range(size) if p not in solved}
    for t, row in solved.items():
        for p, c in row.items():
            found[p][t] = c
    return found


def _weights_of(design: Design, place: int) -> Row:
    """Weights of the basis that make a monomial; those of the terms that divide it."""
    rows, own = design.powers.rows, design.exponents[place]
    found: Row = {}
    for j in range(place, -1, -1):
        if all(a <= b for a, b in zip(design.exponents[j], own, strict=True)):
            rest = sum((c * found[t] for t, c in rows[j].items() if t in found), Fraction(0))
            value = (Fraction(int(j == place)) - rest) / rows[j][j]
            if value:
                found[j] = value
    return found


def _inserted(row: Row, solved: dict[int, Row]) -> Row:
    """A row in the weights that are free: those that follow are put in."""
    found: Row = {}
    for t, c in row.items():
        for f, factor in solved.get(t, {t: Fraction(1)}).items():
            found[f] = found.get(f, Fraction(0)) + c * factor
    return {f: c for f, c in found.items() if c}


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
