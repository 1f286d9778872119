"""Solution from integer sums: exact, then rounded once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from polyreg.least_squares.conditions.affine import Affine, held
from polyreg.least_squares.gram import Moments
from polyreg.least_squares.integers import fixed_point, ozaki
from polyreg.least_squares.solve_float import Normal
from polyreg.polynomials.design import Design, floats, times
from polyreg.polynomials.solution import EXACT_FIT, Solution

# Part of a term's square that the terms before it have to leave: of its own, where less is the
# data's rounding; and of the bound on all terms, where less would leave errors under 6 digits.
OWN_BITS, LEAST_BITS = 88, 84
ERROR = 2.0**-103  # of a term in limbs; it grows with the square of the degree
UNSEEN = 2.0**-38  # part of y
ROUNDING = 2.0**-53  # of y
SHOWN = 1e-9  # part of a relation that is told


@dataclass(frozen=True)
class Sums:
    """The sums of a pass in exact's fixed point: y counts `y_unit`, and products `factor`."""

    gram: np.ndarray  # (K, K) Python integers
    right: np.ndarray  # (K,)
    square: int
    y_unit: Fraction
    factor: Fraction

    @classmethod
    def of(cls, moments: Moments, y_unit: float, weight_unit: float | None) -> "Sums":
        sums = moments.gram << (fixed_point.POINT - ozaki.POINT)
        factor = Fraction(1) if weight_unit is None else Fraction(weight_unit) / 2
        return cls(sums[:-1, :-1], sums[:-1, -1], sums[-1, -1], Fraction(y_unit), factor)

    def prefix(self, size: int) -> "Sums":
        gram, right = self.gram[:size, :size], self.right[:size]
        return Sums(gram, right, self.square, self.y_unit, self.factor)

    def normal(self, centre: np.ndarray | None = None) -> Normal:
        """In float64, about a centre (K,), by default the fit of all terms."""
        if centre is None:
            step, _, _ = fixed_point.minimum_norm(self.gram, self.right, OWN_BITS, self.least)
            centre = fixed_point.to_float(step) * float(self.y_unit)
        step = fixed_point.fixed([Fraction(c) / self.y_unit for c in centre])
        moved = fixed_point.product(self.gram, step)
        rss = self.square + fixed_point.product(step, moved - 2 * self.right)
        return Normal(
            fixed_point.to_float(self.gram) * float(self.factor),
            fixed_point.to_float(self.right - moved) * float(self.factor * self.y_unit),
            float(fixed_point.rational(rss) * self.factor * self.y_unit**2),
            centre,
        )

    @property
    def least(self) -> int:
        return int(self.gram[0, 0]) >> LEAST_BITS

    def variances(self) -> list[Fraction]:
        """As Normal.variances."""
        mass = Fraction(int(4 * self.gram[0, 0]))
        means = [2 * int(g) / mass for g in self.gram[0]]
        pairs = zip(np.diag(self.gram), means, strict=True)
        return [int(d) / mass - mean**2 for d, mean in pairs]


def solution(
    sums: Sums, design: Design, ridge: float = 0.0, conditions: Affine | None = None
) -> Solution:
    """The least-squares polynomial; with `conditions`, among those that meet them."""
    gram, right, size = sums.gram, sums.right, len(sums.gram)
    full, goal, lift = gram.copy(), right, None
    if ridge:
        penalty = [Fraction(ridge) / sums.factor * v for v in sums.variances()]
        full[range(size), range(size)] += fixed_point.fixed(penalty)
    if conditions is not None:
        lift, start = conditions.lift_in_integers, conditions.start_in_integers(sums.y_unit)
        goal = fixed_point.product(lift.T, goal - fixed_point.product(full, start))
        full = fixed_point.product(fixed_point.product(lift.T, full), lift)
    # All terms have the same bound on the table's range: of what fits the rows alike, least norm
    # in this scale is what stays tame between them.
    step, inverse, dependent = fixed_point.minimum_norm(full, goal, OWN_BITS, sums.least)
    condition = math.nan if dependent else _condition(full, inverse)
    if lift is not None:
        step = start + fixed_point.product(lift, step)
        inverse = fixed_point.product(fixed_point.product(lift, inverse), lift.T)
    rss = sums.square + fixed_point.product(step, fixed_point.product(gram, step) - 2 * right)
    is_centred = conditions is None or conditions.is_centred
    tss = sums.square - (right[0] ** 2 // gram[0, 0] if is_centred else 0)
    weights = [fixed_point.rational(s) * sums.y_unit for s in step]
    if conditions is not None:
        weights = conditions.exactly(weights)
    whole, bits = design.powers.integers()
    squares = ((whole @ inverse) * whole).sum(1)
    spread = [
        fixed_point.root(max(Fraction(0), fixed_point.rational(v)) / 4**b / sums.factor)
        for v, b in zip(squares, bits, strict=True)
    ]
    rounded = fixed_point.to_float(inverse)
    error = ERROR * (1 + design.depth) ** 2 * float(fixed_point.rational(4 * gram[0, 0]))
    error *= (1 + np.abs(fixed_point.to_float(step)).sum()) / 4
    rows, largest = design.powers.scaled()
    coefficients = floats(design.powers.coefficients(weights))
    errors = times(np.abs(rows) @ np.abs(rounded).sum(1) * error, largest, sums.y_unit)
    known = [] if conditions is None else conditions.known
    errors[known] = 0.0
    # What cannot be told from 0, and is less than the rounding of a y in any of its parts, is 0.
    is_zero = (np.abs(coefficients) <= errors) & (
        errors <= ROUNDING * times(np.abs(rows).sum(1), largest, sums.y_unit)
    )
    # Far from 0 such parts are large, and y would show what is left out.
    is_zero &= _seen(design, errors) <= UNSEEN * float(sums.y_unit)
    is_zero[known] = False
    unit = sums.factor * sums.y_unit**2
    return Solution(
        weights=floats(weights),
        coefficients=np.where(is_zero, 0.0, coefficients),
        inverse=rounded / float(sums.factor),
        spread=np.where(np.isin(np.arange(size), known), 0.0, spread),
        errors=np.where(is_zero, 0.0, errors),
        rss=float(max(Fraction(0), fixed_point.rational(rss)) * unit),
        tss=float(fixed_point.rational(tss) * unit),
        rank=len(full) - len(dependent),
        condition=condition,
        exact_fit=bool(rss <= EXACT_FIT * float(sums.square)),
        dependent=tuple(
            dict.fromkeys(_relation(design, w) for w in _null(dependent, size, conditions))
        ),
        **held(conditions),
    )


def _seen(design: Design, errors: np.ndarray) -> np.ndarray:
    """What errors (K,) of the powers of x can do to y on the table's range."""
    sizes = [abs(r.centre) + r.radius for r in design.recurrences]
    with np.errstate(over="ignore"):
        return errors * np.prod(np.power(sizes, design.exponents), axis=1)


def _condition(gram: np.ndarray, inverse: np.ndarray) -> float:
    """Of the design matrix at unit columns; the inverse knows its small eigenvalues."""
    lengths = np.sqrt(np.diag(fixed_point.to_float(gram)))
    large = np.linalg.eigvalsh(fixed_point.to_float(gram) / lengths[:, None] / lengths)[-1]
    small = np.linalg.eigvalsh(fixed_point.to_float(inverse) * lengths[:, None] * lengths)[-1]
    return math.sqrt(large * small)


def _null(dependent: dict, size: int, conditions: Affine | None) -> list[list[Fraction]]:
    """For each dependent row, weights (K,) of the polynomial that is 0 on all rows."""
    places = range(size) if conditions is None else conditions.free
    found = []
    for j, factors in dependent.items():
        weights = [Fraction(0)] * size
        weights[places[j]] = Fraction(1)
        for k, factor in factors.items():
            weights[places[k]] = -factor
        if conditions is not None:
            weights = conditions.exactly(weights, homogeneous=True)
        found.append(weights)
    return found


def _relation(design: Design, weights: Sequence[Fraction]) -> str:
    """What a polynomial that is 0 on all rows says of its last term: in words, or as a formula."""
    sizes = [abs(r.centre) + r.radius for r in design.recurrences]
    relation = floats(design.powers.coefficients(weights))
    parts = [
        abs(c) * math.prod(size**power for size, power in zip(sizes, e, strict=True))
        for c, e in zip(relation, design.exponents, strict=True)
    ]
    *others, last = [t for t, part in enumerate(parts) if part > SHOWN * max(parts)]
    name = design.terms[last]
    if sum(design.exponents[last]) != 1 or len(others) > 4:
        return f"{name} cannot be told from lower terms"
    told = (f"{-relation[t] / relation[last]:.6g}{f'*{design.terms[t]}' * (t > 0)}" for t in others)
    return f"{name} is {' + '.join(told) or '0'}"
