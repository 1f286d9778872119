"""Decimals as two float64 numbers each: the nearest one, and the nearest one of what it leaves.

    x = high + low + error,   high = nearest(x),   low = nearest(x - high),   |error| <= 2^-105 |x|

NIST's certified values belong to the decimals of the file, and 0.1 is no float64 number. Text is
not read digit by digit: high, by Arrow, the scale (digits behind the point) and of long numbers the
last digits tell the rest.
"""

from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SPLITTER = 2.0**27 + 1  # Dekker, Numerische Mathematik 18, 1971
SURE = 2.0**51  # a product below errs by less than 3/8, and rounds to the integer that is meant
INTEGERS = 2.0**53  # from here on float64 skips some
# 10^s as two float64 numbers: exact up to 10^44, of whose 5^44 they hold all 103 bits.
POWERS = np.array([(float(10**s), float(10**s - int(float(10**s)))) for s in range(45)]).T
EXACT_POWERS = 22  # whose second number is 0
FEW, MANY = 4, 8  # last digits that tell integers up to 2^51 10^4 or 10^8 from float64
NO_POINT = 2**20  # digits behind it
AT_ONCE = 2**14  # cells: what is made of them stays in a core's cache
POINT, MINUS, E = b".-e"
Numbers = tuple[np.ndarray, np.ndarray | None]


def split(cells: pa.Array) -> Numbers:
    """Text of numbers -> high (n,) and low (n,), which is None where all of it is 0.

    cells are as Arrow casts them to float64, with an optional sign and exponent; high is that
    float64, and nan where a cell is null. Raises ArrowInvalid where one is no number.
    """
    filled = (cells.fill_null("0") if cells.null_count else cells).cast(pa.string())
    try:
        high = np.from_dlpack(filled.cast(pa.float64()))
    except pa.ArrowInvalid:  # which says the cell, unless it has only blanks about it
        filled = pc.ascii_trim_whitespace(filled)
        high = np.from_dlpack(filled.cast(pa.float64()))
    size = len(high)
    parts = [slice(i, min(i + AT_ONCE, size)) for i in range(0, size, AT_ONCE)]
    found = [_low(filled[part], high[part]) for part in parts]
    low = None
    if any(rest is not None for rest in found):
        none = np.zeros(AT_ONCE)
        pairs = zip(found, parts, strict=True)
        low = np.concatenate([none[: p.stop - p.start] if r is None else r for r, p in pairs])
    if cells.null_count:
        high = np.where(np.from_dlpack(cells.is_null().cast(pa.int8())), np.nan, high)
    return high, low if low is not None and low.any() else None


def of_numbers(values: Any, high: np.ndarray) -> np.ndarray | None:
    """What high, float64, leaves of an array, a tensor or a list of as many; None as above."""
    if hasattr(values, "detach"):
        if values.is_floating_point():
            return None
        values = values.detach().cpu()
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return of_integers(array.reshape(high.shape), high)
    return of_objects(array.reshape(high.shape), high) if array.dtype.kind == "O" else None


def of_integers(values: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """What high, float64, leaves of int64 or uint64: None where that is nothing, 0 beside nan."""
    if values.itemsize < 8 or not (np.abs(high) >= INTEGERS).any():
        return None
    # Modulo 2^64, of which the difference is a small part, whatever its sign.
    whole = np.where(np.isnan(high), 0.0, high)
    whole = np.where(whole >= 2.0**63, whole - 2.0**64, whole).astype(np.int64)
    rest = values.astype(np.uint64, copy=False) - whole.view(np.uint64)
    low = np.where(np.isnan(high), 0, rest.view(np.int64)).astype(np.float64)
    return low if low.any() else None


def of_objects(values: np.ndarray, high: np.ndarray) -> np.ndarray | None:
    """What high, float64, leaves of numbers such as int, Decimal and Fraction: None as above."""
    found = [_rest(v, h) for v, h in zip(values.flat, high.flat, strict=True)]
    low = np.array(found).reshape(high.shape)
    return low if low.any() else None


def _rest(value: Any, high: float) -> float:
    if not np.isfinite(high) or not high:  # 0 is a power of ten too small for a rest
        return 0.0
    try:
        return float(Fraction(value) - Fraction(float(high)))
    except (TypeError, ValueError):  # another library's number
        return 0.0


def _low(cells: pa.Array, high: np.ndarray) -> np.ndarray | None:
    _, offsets, content = cells.buffers()
    ends = np.frombuffer(offsets, np.int32, len(cells) + 1, 4 * cells.offset)
    data = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]]
    starts, ends = ends[:-1] - ends[0], ends[1:] - ends[0]
    size, marks = np.abs(high), np.empty(0, np.int64)
    if ((data > ord("9")) | (data < MINUS)).any():  # an exponent, or a plus, or inf
        marks = np.flatnonzero((data | 32) == E)
    elif (scale := _scale(data, starts, ends)) <= EXACT_POWERS:
        if not scale and size.max() < INTEGERS:
            return None
        power = POWERS[0, scale]
        if size.max() * power < SURE:  # the usual case, in a third of the time
            product, error = product_of(high, power)
            return (np.rint(product) - product - error) / power
    return _of_each(cells, high, size, data, starts, ends, marks)


def _of_each(cells, high, size, data, starts, ends, marks) -> np.ndarray:
    """By the scale of each cell, and its last digits where float64 does not hold all of them."""
    fractions, scales = np.full(len(high), NO_POINT), np.zeros(len(high), np.int64)
    last = ends.copy()
    if len(marks):
        rows = _rows(marks, starts, ends)
        last[rows] = marks
        scales[rows] = -_exponents(data, marks, ends[rows])
    points = np.flatnonzero(data == POINT)
    rows = _rows(points, starts, ends)
    fractions[rows] = last[rows] - points - 1
    scales[rows] += fractions[rows]
    is_whole = scales < 0
    hard = ~np.isfinite(size) | (scales >= POWERS.shape[1]) | (is_whole & (size >= INTEGERS))
    done = hard | is_whole
    scales, size = np.where(done, 0, scales), np.where(done, 0.0, size)
    power = POWERS[0, scales]
    tail = size * POWERS[1, scales] if scales.max() > EXACT_POWERS else 0.0
    product, error = product_of(size, power)
    rest = np.rint(product) - product
    if (long := np.flatnonzero(product >= SURE)).size:
        count = FEW if product.max() < SURE * 10**FEW else MANY
        hard |= product >= SURE * 10**MANY
        written = np.zeros(len(long))
        for j in range(count):
            written += 10.0**j * (data[last[long] - 1 - j - (j >= fractions[long])] - ord("0"))
        # The integer is nearer to the product than half of 10^count: that tells its other digits.
        modulus = 10.0**count
        below, less = product_of(np.rint(product[long] / modulus), modulus)
        apart = written - (product[long] - below - less)
        rest[long] = apart - modulus * np.rint(apart / modulus)
    low = np.sign(high) * ((rest - error - tail) / power)
    for i in np.flatnonzero(hard).tolist():
        low[i] = _rest(cells[i].as_py(), high[i])
    return low


def _scale(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    """The most digits behind a point of cells without exponents."""
    if len(first := np.flatnonzero(data[: ends[0]] == POINT)):
        behind = ends[0] - first[0]
        if (ends - starts).min() >= behind and (data[ends - behind] == POINT).all():
            return int(behind) - 1  # of each, as a program writes a column
    points = np.flatnonzero(data == POINT)
    if not len(points):
        return 0
    return int((ends[_rows(points, starts, ends)] - points).max()) - 1


def _rows(places: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The cells in which these bytes are."""
    if len(places) == len(ends) and (starts <= places).all() and (places < ends).all():
        return np.arange(len(ends))
    return np.searchsorted(ends, places, side="right")


def _exponents(data: np.ndarray, marks: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The integers behind the marks; where they are longer than 10^6 some number beyond it."""
    found, sign = np.zeros(len(marks), np.int64), np.ones(len(marks), np.int64)
    for j in range(1, int((ends - marks).max())):
        there = np.flatnonzero(marks + j < ends)
        digits = data[marks[there] + j].astype(np.int64) - ord("0")
        sign[there[digits == MINUS - ord("0")]] = -1
        there, digits = there[digits >= 0], digits[digits >= 0]
        found[there] = np.minimum(10 * found[there] + digits, 10**6)
    return sign * found


def product_of(a: np.ndarray, b: Any) -> tuple[np.ndarray, np.ndarray]:
    """a b and its rounding error, exactly (Dekker)."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: Any) -> tuple[Any, Any]:
    large = SPLITTER * a
    upper = large - (large - a)
    return upper, a - upper


def inverse_power(values: np.ndarray, low: np.ndarray | None, power: int) -> Numbers:
    """1 / (values + low)^power (n,), power 1 or 2, and what float64 leaves of it."""
    high = 1 / values if power == 1 else 1 / values / values
    # w = w0 (1 + e), e = 1 - w0 v^power to first order, from products without rounding (Dekker).
    whole, rest = (values, 0.0) if power == 1 else product_of(values, values)
    rest = rest if low is None else rest + low * (1.0 if power == 1 else 2 * values)
    scaled, more = product_of(high, whole)
    return high, high * (((1 - scaled) - more) - high * rest)
