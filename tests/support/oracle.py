"""Least squares in exact rational arithmetic: what every fit of this project is compared with.

It shares no code with polyreg and needs the standard library alone. float64 numbers are rationals,
so the exact answer for given float64 data exists; nothing here is rounded except square roots.
"""

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

NIST = Path(__file__).parent.parent / "data" / "nist"
NIST_NAMES = ("Norris", "Pontius", "NoInt1", "NoInt2", "Filip", "Longley",
              "Wampler1", "Wampler2", "Wampler3", "Wampler4", "Wampler5")  # fmt: skip
MOST_DIGITS = 16.0


def total_degree(variables: int, degree: int) -> list[tuple[int, ...]]:
    """Exponents of all monomials of total degree <= degree, by total degree, earlier variables'
    powers first: (0,0) (1,0) (0,1) (2,0) (1,1) (0,2)."""
    every = itertools.product(range(degree + 1), repeat=variables)
    return sorted((e for e in every if sum(e) <= degree), key=lambda e: (sum(e), [-p for p in e]))


@dataclass(frozen=True)
class Exact:
    """min over c of  sum_n w_n (y_n - sum_k c_k prod_d x_nd^e_kd)^2,  exactly.

    coefficients (K,) of the plain monomials, in the order of `exponents`; rss and tss weighted,
    tss about the weighted mean where a constant is among the terms and about 0 where none is.
    """

    exponents: list[tuple[int, ...]]
    coefficients: list[Fraction]
    rss: Fraction
    tss: Fraction
    freedom: int  # N - K
    _system: "System"
    _denominator: int
    _units: list[int]  # gram = w_unit * X^T W X with row and column k times units_k
    _weight_unit: int

    @cached_property
    def covariance(self) -> list[list[Fraction]]:
        """The inverse of X^T W X (K, K); times residual_sd^2 it is the coefficients' covariance."""
        terms = range(len(self.exponents))
        rows, below = [], self._denominator
        for k in reversed(terms):  # the last column's denominator is also that of the others
            column, below = self._system.solve([int(i == k) for i in terms], below)
            scale = self._units[k] * self._weight_unit
            rows.append(
                [Fraction(c * u * scale, below) for c, u in zip(column, self._units, strict=True)]
            )
        return rows[::-1]

    @property
    def r2(self) -> Fraction:
        return 1 - self.rss / self.tss

    @property
    def residual_sd(self) -> float:
        return root(self.rss / self.freedom)

    @cached_property
    def std_errors(self) -> list[float]:
        scale = self.rss / self.freedom
        return [root(scale * row[k]) for k, row in enumerate(self.covariance)]

    def fitted(self, columns: Sequence[Sequence[float]]) -> list[Fraction]:
        """The fitted polynomial at new points, D columns of N  ->  N."""
        scaled, units = zip(*map(integers, columns), strict=True)
        highest = [max(e) for e in zip(*self.exponents, strict=True)]
        common = math.lcm(*(c.denominator for c in self.coefficients))
        # One denominator for all terms: common * prod_d unit_d^highest_d.
        below = common * product(units, highest)
        factors = [
            c.numerator * (below // (c.denominator * product(units, e)))
            for c, e in zip(self.coefficients, self.exponents, strict=True)
        ]
        rows = zip(*(monomial(scaled, e) for e in self.exponents), strict=True)
        return [Fraction(dot(factors, row), below) for row in rows]


def exact(
    columns: Sequence[Sequence[float]],
    y: Sequence[float],
    exponents: list[tuple[int, ...]],
    weights: Sequence[float] | None = None,
) -> Exact:
    """The exact fit of D columns of N numbers (float, int or Fraction) to y (N,).

    Columns, y and weights become integers in units of 1 / their common denominators, so that every
    sum is one of integers. Raises ValueError where X^T W X is singular.
    """
    scaled, column_units = zip(*map(integers, columns), strict=True)
    y, y_unit = integers(y)
    w, w_unit = integers([1] * len(y) if weights is None else weights)
    wy = [a * b for a, b in zip(w, y, strict=True)]
    moments: dict[tuple[int, ...], int] = {}  # an entry of the Gram matrix depends on e_i + e_j

    def moment(a, b):
        e = tuple(p + q for p, q in zip(a, b, strict=True))
        if e not in moments:
            moments[e] = dot(w, monomial(scaled, e))
        return moments[e]

    right = [dot(wy, monomial(scaled, e)) for e in exponents]
    system = System.of([[moment(a, b) for b in exponents] for a in exponents])
    solution, below = system.solve(right)

    units = [product(column_units, e) for e in exponents]
    y_square = dot(wy, y)
    centre = Fraction(sum(wy) ** 2, sum(w)) if (0,) * len(columns) in exponents else 0
    return Exact(
        exponents=exponents,
        coefficients=[
            Fraction(s * u, below * y_unit) for s, u in zip(solution, units, strict=True)
        ],
        rss=(y_square - Fraction(dot(right, solution), below)) / (w_unit * y_unit**2),
        tss=(y_square - Fraction(centre)) / (w_unit * y_unit**2),
        freedom=len(y) - len(exponents),
        _system=system,
        _denominator=below,
        _units=units,
        _weight_unit=w_unit,
    )


@dataclass(frozen=True)
class System:
    """Integer equations  gram x = right,  solved exactly by lifting (Dixon 1982).

    Modulo the prime P one inverse is cheap. x is found digit by digit in base P, as in long
    division, until it is complete (integers) or long enough to tell the fraction. Elimination
    without fractions takes 15 s on 56 terms and 300 rows of 53 bits; this takes 1 s.
    """

    gram: list[list[int]]
    inverse: list[list[int]]  # modulo P

    @classmethod
    def of(cls, gram: list[list[int]]) -> "System":
        """Gauss-Jordan modulo P. A pivot that is 0 there by accident has odds of 2^-607."""
        size = len(gram)
        rows = [[g % P for g in row] + [int(i == j) for j in range(size)]
                for i, row in enumerate(gram)]  # fmt: skip
        for k in range(size):
            if not rows[k][k]:
                raise ValueError(f"term {k} depends on those before it: X^T W X is singular")
            scale = pow(rows[k][k], -1, P)
            pivot = rows[k] = [v * scale % P for v in rows[k]]
            for i, row in enumerate(rows):
                if i != k and (factor := row[k]):
                    rows[i] = [(v - factor * p) % P for v, p in zip(row, pivot, strict=True)]
        return cls(gram, [row[size:] for row in rows])

    def solve(self, right: list[int], denominator: int = 1) -> tuple[list[int], int]:
        """Numerators (K,) of the solution, and their denominator.

        Quick where `denominator` times the solution is integer.
        """
        rest = [denominator * r for r in right]
        # Cramer and Hadamard: both parts of the fractions stay below `limit`.
        limit = math.prod(row[i] for i, row in enumerate(self.gram)) * sum(map(abs, rest))
        x, place = [0] * len(right), 1
        while place <= 2 * limit**2:
            residue = [r % P for r in rest]
            digit = [symmetric(dot(row, residue), P) for row in self.inverse]
            rest = [(r - dot(row, digit)) // P for r, row in zip(rest, self.gram, strict=True)]
            x = [a + place * d for a, d in zip(x, digit, strict=True)]
            place *= P
            if not any(rest):
                return x, denominator
        below = 1
        for a in x:
            if abs(symmetric(a * below, place)) > limit:
                below *= denominator_of(a * below, place, limit)
        x = [symmetric(a * below, place) for a in x]
        below *= denominator
        assert [dot(row, x) for row in self.gram] == [below * r for r in right]
        return x, below


P = 2**607 - 1  # a Mersenne prime


def symmetric(a: int, modulus: int) -> int:
    """The number congruent to a and nearest to 0."""
    a %= modulus
    return a - modulus if 2 * a > modulus else a


def denominator_of(a: int, modulus: int, limit: int) -> int:
    """The d of the fraction n / d = a modulo `modulus` with |n| <= limit: Euclid, stopped early."""
    n, d, r, s = modulus, 0, a % modulus, 1
    while r > limit:
        q = n // r
        n, d, r, s = r, s, n - q * r, d - q * s
    return abs(s)


def integers(values: Sequence[float]) -> tuple[list[int], int]:
    """Integers and a unit, with  values = integers / unit  exactly."""
    ratios = [v.as_integer_ratio() for v in values]
    unit = math.lcm(*(below for _, below in ratios))
    return [above * (unit // below) for above, below in ratios], unit


def monomial(columns: Sequence[Sequence[int]], exponents: tuple[int, ...]) -> list[int]:
    powers = [[v**p for v in c] for c, p in zip(columns, exponents, strict=True)]
    return [math.prod(row) for row in zip(*powers, strict=True)]


def product(bases: Sequence[int], exponents: Sequence[int]) -> int:
    return math.prod(b**p for b, p in zip(bases, exponents, strict=True))


def dot(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(p * q for p, q in zip(a, b, strict=True))


def root(square: Fraction) -> float:
    """Square root, rounded once from 128 bits."""
    above, below = square.numerator, square.denominator
    shift = max(0, 128 - (above.bit_length() - below.bit_length()) // 2)
    return math.isqrt((above << 2 * shift) // below) / (1 << shift)


def digits(found: Sequence[float], truth: Sequence[Fraction]) -> list[float]:
    """LRE: how many digits of each number found are right, at most 16; -inf for nan and inf.

    -log10 (|q - c| / |c|),  and -log10 |q| where c = 0.
    """
    return [_right(q, c) for q, c in zip(found, truth, strict=True)]


def _right(q: float, c: Fraction | float) -> float:
    if not math.isfinite(q):
        return -math.inf
    error = abs(Fraction(q) - Fraction(c)) / (abs(Fraction(c)) or 1)
    return min(MOST_DIGITS, -math.log10(error)) if error > 1e-300 else MOST_DIGITS


class Certified(NamedTuple):
    """What NIST printed, in decimals as printed."""

    estimates: list[Decimal]
    std_errors: list[Decimal]
    residual_sd: Decimal
    r2: Decimal


class Nist(NamedTuple):
    columns: list[list]
    y: list
    exponents: list[tuple[int, ...]]
    certified: Certified


def read_nist(name: str, number: Callable = float) -> Nist:
    """One of NIST_NAMES. `number` float gives what a program sees, Fraction the decimals
    that the certified values belong to."""
    text = (NIST / f"{name}.dat").read_text()
    [(first, last)] = re.findall(r"Data +\(lines +(\d+) +to +(\d+)\)", text)
    rows = [
        list(map(number, line.split())) for line in text.splitlines()[int(first) - 1 : int(last)]
    ]
    y, *columns = map(list, zip(*rows, strict=True))
    table = re.findall(r"^ +B(\d+) +(\S+) +(\S+)", text, re.MULTILINE)
    degree = int(table[-1][0]) if len(columns) == 1 else 1
    exponents = total_degree(len(columns), degree)
    if table[0][0] == "1":
        exponents = exponents[1:]  # no constant
    assert len(exponents) == len(table)
    return Nist(
        columns,
        y,
        exponents,
        Certified(
            [Decimal(estimate) for _, estimate, _ in table],
            [Decimal(sd) for _, _, sd in table],
            Decimal(re.findall(r"Residual\s+Standard Deviation +(\S+)", text)[0]),
            Decimal(re.findall(r"R-Squared +(\S+)", text)[0]),
        ),
    )
