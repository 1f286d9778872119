"""Where a polynomial in one variable is monotone, proved by exact root counting.

Roots of the derivative are isolated in integers by Descartes' rule of signs and bisection (Collins
and Akritas 1976), of the exact polynomial that float64 weights in a basis mean. A root of even
multiplicity is no turning point.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import comb, gcd, lcm

BITS = 64  # to which a turning point is refined, of the range that was searched
PRIME = (1 << 127) - 1  # modulo which most derivatives are proved to have no double root


def turning_points(coefficients: Sequence[Fraction], low: float, high: float) -> list[float]:
    """The x in (low, high) where the derivative changes its sign, in order.

    coefficients: of powers of x, constant first
    """
    start, width = Fraction(low), Fraction(high) - Fraction(low)
    derivative = [k * c for k, c in enumerate(coefficients)][1:]
    on_unit = _integers(_moved(derivative, start, width))
    if len(on_unit) < 2 or width <= 0:
        return []
    simple = _square_free(on_unit)
    found = []
    for left, right in _isolated(simple):
        left, right = _refined(simple, left, right)
        if _changes(on_unit, left, right):
            found.append(float(start + width * (left + right) / 2))
    return sorted(found)


def roots(coefficients: Sequence[Fraction], low: float, high: float) -> list[float]:
    """The x in (low, high) where the polynomial is 0, each once, in order; none of 0 itself.

    coefficients: of powers of x, constant first
    """
    start, width = Fraction(low), Fraction(high) - Fraction(low)
    on_unit = _integers(_moved(coefficients, start, width))
    if len(on_unit) < 2 or width <= 0:
        return []
    simple = _square_free(on_unit)
    found = [_refined(simple, left, right) for left, right in _isolated(simple)]
    return sorted(float(start + width * (left + right) / 2) for left, right in found)


def rises(coefficients: Sequence[Fraction], low: float, high: float) -> int:
    """Whether the polynomial is larger at high than at low: 1, -1, or 0 where it is the same."""
    ends = [value(coefficients, Fraction(x)) for x in (low, high)]
    return (ends[1] > ends[0]) - (ends[1] < ends[0])


def value(coefficients: Sequence[Fraction], x: Fraction) -> Fraction:
    """The polynomial at x, exactly."""
    found = Fraction(0)
    for c in reversed(coefficients):
        found = found * x + c
    return found


def _moved(coefficients: Sequence[Fraction], start: Fraction, width: Fraction) -> list[Fraction]:
    """Coefficients in t, x = start + width t."""
    moved = []
    for k in range(len(coefficients)):
        total = sum(
            (c * comb(j, k) * start ** (j - k) for j, c in enumerate(coefficients) if j >= k),
            start=Fraction(0),
        )
        moved.append(total * width**k)
    return moved


def _integers(values: Sequence[Fraction]) -> list[int]:
    """Integers in the same proportions, without zeros at the end, and without a common factor."""
    unit = lcm(*(v.denominator for v in values)) if values else 1
    found = [int(v * unit) for v in values]
    while found and not found[-1]:
        found.pop()
    common = gcd(*found) or 1
    return [c // common for c in found]


def _sign(coefficients: Sequence[int], t: Fraction) -> int:
    """Of the value at t, whose denominator is a power of two: in integers."""
    bits, found = t.denominator.bit_length() - 1, 0
    for k, c in enumerate(reversed(coefficients)):
        found = found * t.numerator + (c << bits * k)
    return (found > 0) - (found < 0)


def _derivative(coefficients: Sequence[int]) -> list[int]:
    return [k * c for k, c in enumerate(coefficients)][1:]


def _changes(coefficients: Sequence[int], left: Fraction, right: Fraction) -> bool:
    """Whether the sign changes at the one root in [left, right]; where both are it, it is exact."""
    if left < right:
        return _sign(coefficients, left) * _sign(coefficients, right) < 0
    times, rest = 0, list(coefficients)
    while rest and not _sign(rest, left):
        rest = _derivative(rest)
        times += 1
    return times % 2 == 1  # its multiplicity


def _square_free(coefficients: list[int]) -> list[int]:
    """The polynomial with each of its roots once."""
    derivative = _derivative(coefficients)
    if coefficients[-1] % PRIME and _is_coprime(coefficients, derivative):
        return coefficients
    a, b = [Fraction(c) for c in coefficients], [Fraction(c) for c in derivative]
    while b:
        a, b = b, [Fraction(c) for c in _integers(_divided(a, b)[1])]
    return _integers(_divided([Fraction(c) for c in coefficients], a)[0])


def _is_coprime(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether two polynomials have no common factor modulo PRIME, and so none at all."""
    a, b = [c % PRIME for c in a], _trimmed([c % PRIME for c in b])
    while len(b) > 1:
        inverse, rest = pow(b[-1], -1, PRIME), list(a)
        while len(rest) >= len(b):
            factor, shift = rest[-1] * inverse % PRIME, len(rest) - len(b)
            for k, c in enumerate(b):
                rest[shift + k] = (rest[shift + k] - factor * c) % PRIME
            rest = _trimmed(rest[:-1])
        a, b = b, rest
    return len(b) == 1


def _trimmed(values: list) -> list:
    while values and not values[-1]:
        values.pop()
    return values


def _divided(a: list[Fraction], b: list[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Quotient and remainder."""
    rest, quotient = list(a), [Fraction(0)] * max(1, len(a) - len(b) + 1)
    while len(rest) >= len(b):
        factor, shift = rest[-1] / b[-1], len(rest) - len(b)
        quotient[shift] = factor
        for k, c in enumerate(b):
            rest[shift + k] -= factor * c
        rest = _trimmed(rest[:-1])
    return quotient, rest


def _isolated(coefficients: list[int]) -> Iterator[tuple[Fraction, Fraction]]:
    """Intervals in [0, 1] with one root each, of a square-free polynomial; an exact root twice."""
    waiting = [(coefficients, Fraction(0), Fraction(1))]
    while waiting:
        here, left, right = waiting.pop()
        variations = _variations(_shifted(here[::-1]))  # Descartes' bound on the roots in (0, 1)
        if variations == 1:
            yield left, right
        elif variations:
            n, middle = len(here) - 1, (left + right) / 2
            lower = [c << (n - k) for k, c in enumerate(here)]
            upper = _shifted(lower)
            if not upper[0]:
                if 0 < middle < 1:
                    yield middle, middle
                upper = upper[1:]
            waiting += [(lower, left, middle), (upper, middle, right)]


def _shifted(coefficients: Sequence[int]) -> list[int]:
    """Coefficients in t of p(t + 1)."""
    found = list(coefficients)
    for k in range(len(found) - 1):
        for j in range(len(found) - 2, k - 1, -1):
            found[j] += found[j + 1]
    return found


def _variations(coefficients: Sequence[int]) -> int:
    signs = [c > 0 for c in coefficients if c]
    return sum(a != b for a, b in pairwise(signs))


def _refined(coefficients: list[int], left: Fraction, right: Fraction) -> tuple[Fraction, Fraction]:
    """2^-BITS around the one root in (left, right); the root itself twice where it is exact.

    An end may be another root: the sign beside it is then that of the derivative.
    """
    below = _sign(coefficients, left) or _sign(_derivative(coefficients), left)
    while right - left > Fraction(1, 1 << BITS):
        middle = (left + right) / 2
        sign = _sign(coefficients, middle)
        if not sign:
            return middle, middle
        left, right = (middle, right) if sign == below else (left, middle)
    return left, right
