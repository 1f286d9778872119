"""Basis functions of a model: products of three-term recurrences, and their change to powers of x.

Each variable has its own recurrence; a term is a product over the variables:

    p_0 = 1,   p_{k+1} = scale_k (z - shift_k) p_k - decay_k p_{k-1},   z = (x - centre) / radius
    term(e_1, ..., e_D) = unit prod_d p_{e_d}(x_d)

Named families (families.py) have centre 0, radius 1, no shifts, and unit 1. The basis made for a
table has unit 1/2, and is near-orthonormal under the table's rows: shifts and decays come from the
Stieltjes procedure on a sample (Gautschi 2004, 2.2), rounded to a few bits; radius and scales are
powers of two. So it is orthogonal only nearly, which is all that conditioning needs, while a step
of the recurrence, and the change to powers of x, are exact in short integers. Every |term| is at
most 1/2 on the table's rows, as is q_k = p_k / 2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from polyreg.polynomials import terms
from polyreg.polynomials.terms import Exponents

SHORT = 2.0**12  # shifts and decays are multiples of 1 / SHORT
COARSE = 2.0**-20  # of half a range: from here on, what float64 leaves of x moves q_k beyond 1/2
BOUND = 0.495  # of |q_k|, on the grid that is checked; between its points it grows by under 1 %
FITTED = "orthogonal under the table"  # the basis that is made for a table
MIXED_IN = 1e-8  # weight of Chebyshev's points: where the sample has too few, they take over


@dataclass(frozen=True)
class Recurrence:
    """Three-term recurrence of one variable's p_0 ... p_degree."""

    centre: float
    radius: float  # for a table a power of two, at least eight half widths: |z| <= 1/8 or so
    shifts: tuple[float, ...]
    scales: tuple[float, ...]
    decays: tuple[float, ...]

    @classmethod
    def fitted(
        cls,
        x: np.ndarray,
        mass: np.ndarray,
        low: float,
        high: float,
        degree: int,
        whole: bool = False,
    ) -> "Recurrence":
        """Nearly orthogonal under the points x (n,) of weights mass (n,), for x in [low, high].

        Where x is the `whole` table, and can tell all degrees apart, q_k is bounded on its points
        alone, so that a far one takes no digits from the others.
        """
        half = high / 2 - low / 2 or max(abs(high), 1.0)
        step = math.ulp(max(abs(low), abs(high)))
        is_coarse = step > COARSE * half  # the numbers as they are written are elsewhere
        half += step / 2 if is_coarse else 0.0
        points_only = whole and not is_coarse and len(np.unique(x)) > degree
        here = slice(len(x) if points_only else None)  # where it is bounded
        radius = 2.0 ** (math.ceil(math.log2(half)) + 3)
        centre = radius * (round((low / 2 + high / 2) / radius * SHORT) / SHORT)
        angles = np.cos(np.linspace(0, np.pi, 32 * (degree + 1)))
        grid = (low - centre) / radius + (1 - angles) * half / radius
        mixed = grid[::4]
        z = np.concatenate([(x - centre) / radius, mixed, grid])
        mu = np.concatenate(
            [mass / mass.sum(), np.full(len(mixed), MIXED_IN / len(mixed)), np.zeros(len(grid))]
        )
        q, below = np.full_like(z, 0.5), np.zeros_like(z)
        shifts, scales, decays = [], [], []
        for k in range(degree):
            weighted = mu * q
            shift = round(_dot(weighted, z * q) / _dot(weighted, q) * SHORT) / SHORT
            above = (z - shift) * q
            decay = _dot(mu, above * below) / _dot(mu, below**2) if k else 0.0
            size = np.abs(above - decay * below)[here].max()
            if size > BOUND / 2:  # a scale below 1 is not exact in limbs: rather less orthogonal
                decay, size = 0.0, np.abs(above)[here].max()
            scale = 2.0 ** min(8, math.floor(math.log2(BOUND / size)))
            decay = round(scale * decay * SHORT) / SHORT
            q, below = scale * above - decay * below, q
            if np.abs(q[here]).max() > BOUND:  # the rounded decay, by its last bit
                q, scale, decay = q / 2, scale / 2, math.floor(decay * SHORT / 2) / SHORT
                q = scale * above - decay * below
            shifts.append(shift)
            scales.append(scale)
            decays.append(decay)
        return cls(centre, radius, tuple(shifts), tuple(scales), tuple(decays))

    def columns(self, x: Tensor) -> Tensor:
        """p_0 ... p_degree at x (...,)  ->  (..., degree + 1), in x's own dtype, on its device."""
        z = x if (self.centre, self.radius) == (0, 1) else (x - self.centre) / self.radius
        found = [torch.ones_like(z)]
        for shift, scale, decay in zip(self.shifts, self.scales, self.decays, strict=True):
            column = scale * (z - shift if shift else z) * found[-1]
            found.append(column - decay * found[-2] if decay else column)
        return torch.stack(found, dim=-1)

    def prefix(self, degree: int) -> "Recurrence":
        """The same, up to p_degree."""
        steps = (self.shifts, self.scales, self.decays)
        return Recurrence(self.centre, self.radius, *(step[:degree] for step in steps))

    def powers(self, centre: float = 0.0, scale: float = 1.0) -> list[list[Fraction]]:
        """Row k holds the coefficients of p_k in 1, t, t^2, ..., exactly; t = (x - centre)/scale"""
        moved = (Fraction(self.centre) - Fraction(centre)) / Fraction(scale)
        radius = Fraction(self.radius) / Fraction(scale)
        return in_powers(self.shifts, self.scales, self.decays, moved, radius)

    def to_dict(self) -> dict:
        """Centre and radius, and shifts, scales and decays as lists; `from_dict` reads it back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}

    @classmethod
    def from_dict(cls, found: dict) -> "Recurrence":
        """From what `to_dict` made."""
        steps = (tuple(found[name]) for name in ("shifts", "scales", "decays"))
        return cls(found["centre"], found["radius"], *steps)


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """By numpy itself: BLAS starts threads, and on a busy machine waited 0.1 s for them."""
    return float((a * b).sum())


def in_powers(
    shifts: Sequence[float | Fraction],
    scales: Sequence[float | Fraction],
    decays: Sequence[float | Fraction],
    centre: float | Fraction = 0.0,
    radius: float | Fraction = 1.0,
) -> list[list[Fraction]]:
    """Row k holds the coefficients of the recurrence's p_k in 1, x, x^2, ..., exactly."""
    below, here = [Fraction(0)], [Fraction(1)]
    rows = [here]
    for shift, scale, decay in zip(shifts, scales, decays, strict=True):
        slope = Fraction(scale) / Fraction(radius)
        constant = -Fraction(scale) * Fraction(shift) - slope * Fraction(centre)
        above = [Fraction(0)] * (len(here) + 1)
        for j, c in enumerate(here):
            above[j] += constant * c
            above[j + 1] += slope * c
        for j, c in enumerate(below):
            above[j] -= Fraction(decay) * c
        below, here = here, above
        rows.append(here)
    return rows


@dataclass(frozen=True)
class Design:
    """The terms of a model, as basis functions of its variables."""

    names: tuple[str, ...]  # of the variables (D,)
    exponents: tuple[Exponents, ...]  # (K,), the constant first
    recurrences: tuple[Recurrence, ...]  # (D,)
    unit: float = 0.5  # the constant term's value
    basis: str = FITTED  # its name: this one, or a family's
    # (D,) the column whose level a variable tells, by 0 and 1, "" of a number; () of numbers alone
    words: tuple[str, ...] = ()

    @classmethod
    def fitted(
        cls,
        names: Sequence[str],
        survey,
        degree: int,
        interaction: int,
        exponents: Sequence[Exponents] | None = None,
    ) -> "Design":
        """A design for the table that was surveyed, of total degree at most `degree`.

        exponents: its terms where they are others, lower degrees first; with a term they have all
        that divide it
        """
        if exponents is None:
            exponents = terms.total_degree(len(names), degree, interaction)
        sample, tops = survey.sample, np.max(exponents, axis=0).tolist()
        mass = np.full(len(sample.x[0]), 1 / len(sample.x[0]))
        if sample.weights is not None:  # half by weight, half by rows: no row counts for nothing
            mass += sample.weights / sample.weights.sum()
        return cls(
            tuple(names),
            tuple(exponents),
            tuple(
                Recurrence.fitted(
                    x, mass, float(low), float(high), top, whole=len(x) == survey.rows
                )
                for x, low, high, top in zip(sample.x, survey.low, survey.high, tops, strict=True)
            ),
            words=survey.words,
        )

    @property
    def degree(self) -> int:
        """Total degree in the variables that are numbers."""
        return max(map(self.degree_of, self.exponents))

    def degree_of(self, exponents: Exponents) -> int:
        """Total degree of a term; a level is no power."""
        return sum(exponents[d] for d in self.numeric) if self.words else sum(exponents)

    @property
    def depth(self) -> int:
        """Most steps of recurrences in a term, with which its rounding grows."""
        return max(map(sum, self.exponents))

    @cached_property
    def numeric(self) -> list[int]:
        """Places of the variables that are numbers."""
        return [d for d in range(len(self.names)) if not (self.words and self.words[d])]

    @property
    def terms(self) -> list[str]:
        return [terms.name(e, self.names) for e in self.exponents]

    def prefix(self, size: int) -> "Design":
        """The first `size` terms: those of a lower degree."""
        exponents = self.exponents[:size]
        tops = np.max(exponents, axis=0).tolist()
        short = (r.prefix(top) for r, top in zip(self.recurrences, tops, strict=True))
        return replace(self, exponents=exponents, recurrences=tuple(short))

    @cached_property
    def factors(self) -> list[tuple[int, int] | None]:
        """Each term as a product of two earlier ones; None where it is a power of one variable."""
        place = {e: k for k, e in enumerate(self.exponents)}
        found: list[tuple[int, int] | None] = []
        for e in self.exponents:
            active = [d for d, power in enumerate(e) if power]
            if len(active) < 2:
                found.append(None)
                continue
            pure = tuple(power if d == active[-1] else 0 for d, power in enumerate(e))
            rest = tuple(0 if d == active[-1] else power for d, power in enumerate(e))
            found.append((place[rest], place[pure]))
        return found

    def __getstate__(self) -> dict:
        """Without what is cached, which is made again: exact powers, and a tensor."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @cached_property
    def pure(self) -> list[list[int]]:
        """For each variable, the places of its powers 0, 1, 2, ... among the terms."""
        place = {e: k for k, e in enumerate(self.exponents)}
        size = len(self.names)
        return [
            [
                place[tuple(k if v == d else 0 for v in range(size))]
                for k in range(len(r.shifts) + 1)
            ]
            for d, r in enumerate(self.recurrences)
        ]

    @cached_property
    def places(self) -> Tensor:
        """(D, K): the power of each variable in each term."""
        return torch.tensor(self.exponents).T.contiguous()

    def matrix(self, x: Tensor) -> Tensor:
        """The design matrix of rows x (N, D)  ->  (N, K), float64."""
        return products(self.recurrences, self.places.to(x.device), x, self.unit)

    @cached_property
    def powers(self) -> "Powers":
        return Powers(self)

    def to_dict(self) -> dict:
        """All that it is, as JSON can hold it; `from_dict` reads it back."""
        return {
            "name": self.basis,
            "unit": self.unit,
            "variables": list(self.names),
            "exponents": [list(e) for e in self.exponents],
            "recurrences": [r.to_dict() for r in self.recurrences],
        } | ({"words": list(self.words)} if self.words else {})

    @classmethod
    def from_dict(cls, found: dict) -> "Design":
        """From what `to_dict` made, or its forerunner, which had neither name nor unit."""
        return cls(
            tuple(found["variables"]),
            tuple(tuple(e) for e in found["exponents"]),
            tuple(map(Recurrence.from_dict, found["recurrences"])),
            found.get("unit", 0.5),
            found.get("name", FITTED),
            tuple(found.get("words", ())),
        )


def products(recurrences: Sequence[Recurrence], places: Tensor, x: Tensor, unit: float) -> Tensor:
    """Terms of the powers places (D, K), as basis functions, at x (N, D)  ->  (N, K), float64."""
    result = unit * recurrences[0].columns(x[:, 0])[:, places[0]]
    for d, recurrence in enumerate(recurrences[1:], start=1):
        result = result * recurrence.columns(x[:, d])[:, places[d]]
    return result


class Powers:
    """The change from the terms of a design to monomials, in exact rationals.

    Row j belongs to monomial j and holds what each term t contributes to it, where it does:
    coefficient_j = sum_t rows[j][t] weight_t. With `windows`, a (centre, scale) of each variable,
    the monomials are those of t = (x - centre)/scale.
    """

    def __init__(self, design: Design, windows: Sequence[tuple[float, float]] = ()):
        place = {e: k for k, e in enumerate(design.exponents)}
        moved = windows or [(0.0, 1.0)] * len(design.names)
        single = [r.powers(*w) for r, w in zip(design.recurrences, moved, strict=True)]
        self.rows: list[dict[int, Fraction]] = [{} for _ in design.exponents]
        for t, e in enumerate(design.exponents):
            products: dict[Exponents, Fraction] = {(): Fraction(design.unit)}
            for d, power in enumerate(e):
                if not power:  # most are of most variables, and p_0 = 1
                    products = {(*low, 0): c for low, c in products.items()}
                    continue
                products = {
                    (*low, j): c * a
                    for low, c in products.items()
                    for j, a in enumerate(single[d][power])
                    if a
                }
            for low, c in products.items():
                self.rows[place[low]][t] = c

    def coefficients(self, weights: Sequence[Fraction]) -> list[Fraction]:
        return [
            sum((c * weights[t] for t, c in row.items()), start=Fraction(0)) for row in self.rows
        ]

    def functional(self, values: Sequence[Fraction]) -> dict[int, Fraction]:
        """What a linear functional of these values on the monomials (K,) is on the terms."""
        found: dict[int, Fraction] = {}
        for value, row in zip(values, self.rows, strict=True):
            for t, c in row.items():
                found[t] = found.get(t, Fraction(0)) + value * c
        return found

    def scaled(self) -> tuple[np.ndarray, list[Fraction]]:
        """Rows divided by their largest entry (K, K), float64, and that entry (K,).

        The entries themselves can be beyond float64.
        """
        dense = np.zeros((len(self.rows), len(self.rows)))
        largest = [max(map(abs, row.values())) for row in self.rows]
        for j, row in enumerate(self.rows):
            for t, c in row.items():
                dense[j, t] = float(c / largest[j])
        return dense, largest

    def integers(self) -> tuple[np.ndarray, list[int]]:
        """Rows as Python integers (K, K), and the bits behind the point of each row (K,)."""
        dense = np.zeros((len(self.rows), len(self.rows)), dtype=object)
        bits = []
        for j, row in enumerate(self.rows):
            # Denominators are powers of two.
            bits.append(max(c.denominator for c in row.values()).bit_length() - 1)
            for t, c in row.items():
                dense[j, t] = c.numerator << (bits[j] - c.denominator.bit_length() + 1)
        return dense, bits


def floats(values: Sequence[Fraction]) -> np.ndarray:
    """(K,) float64, each rounded once."""
    return np.array([float(v) for v in values])


def times(values: np.ndarray, rows: Sequence[Fraction], unit: Fraction | int = 1) -> np.ndarray:
    """values (K,) times exact factors that float64 alone might not hold."""
    pairs = zip(values.tolist(), rows, strict=True)
    return np.array([float(Fraction(v) * row * unit) for v, row in pairs])
