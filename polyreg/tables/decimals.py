"""Decimals as two float64 numbers each: the nearest one, and the nearest one of what it leaves.

    x = high + low + error,   high = nearest(x),   low = nearest(x - high),   |error| <= 2^-105 |x|

NIST's certified values belong to the decimals of the file, and 0.1 is no float64 number. Text is
not read digit by digit: high, by Arrow, and the scale (digits behind the point) tell the rest.
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
LONGEST = 31  # characters of an integer that two float64 numbers hold, sign included
SHORT_INTEGERS = 18  # characters that int64 holds
POINT, PLUS, MINUS, E = b".+-e"
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
    low = _low(filled, high) if len(high) else None
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
    points = np.flatnonzero(data == POINT)
    if not ((data > ord("9")) | (data < MINUS)).any():  # no exponent, no plus
        size = max(high.max(), -high.min())
        if not len(points) and size < INTEGERS:
            return None
        scale = int((ends[_rows(points, starts, ends)] - points).max()) - 1 if len(points) else 0
        if scale <= EXACT_POWERS and size * POWERS[0, scale] < SURE:
            power = POWERS[0, scale]
            whole = np.rint(high * power)
            product, error = _product(high, power)
            return (whole - product - error) / power
    return _of_parts(cells, high, data, starts, ends, points)


def _of_parts(cells, high, data, starts, ends, points) -> np.ndarray:
    """By the integer, of up to 31 characters, and the scale of each cell."""
    marks = np.flatnonzero((data | 32) == E)
    exponents, keep = np.zeros(len(high), np.int64), np.ones(len(data), bool)
    hard = ~np.isfinite(high)
    odd = (data > ord("9")) & ((data | 32) != E) | (data < PLUS)  # inf, say
    hard[_rows(np.flatnonzero(odd), starts, ends)] = True
    last = ends.copy()
    if len(marks):
        rows = _rows(marks, starts, ends)
        last[rows] = marks
        exponents[rows] = _exponents(data, marks, ends[rows], keep)
    scales = -exponents
    keep[points] = False
    lengths = last - starts
    if len(points):
        rows = _rows(points, starts, ends)
        scales[rows] += last[rows] - points - 1
        lengths[rows] -= 1
    plus = np.flatnonzero(keep & (data == PLUS))
    keep[plus] = False
    lengths[_rows(plus, starts, ends)] -= 1
    hard |= (lengths > LONGEST) | (scales < -EXACT_POWERS) | (scales >= POWERS.shape[1])
    if hard.any():
        keep[np.repeat(hard, ends - starts)] = False
        lengths[hard] = 0
    first, second = _integers(data[keep], lengths, hard)
    hard |= (scales < 0) & (second != 0)
    scales[hard], near = 0, np.where(hard, 0.0, high)
    power, more = POWERS[:, np.abs(scales)]
    # x = (first + second) / power, or first * power: what high leaves of either, times its divisor.
    down = scales >= 0
    product, error = _product(np.where(down, near, first), power)
    rest = np.where(down, first - product, product - near)
    error = np.where(down, -error, error)
    rest, below = _sum(rest, error)
    rest, lower = _sum(rest, second)
    tail, tiny = _product(np.where(down, near, 0.0), more)
    rest, lowest = _sum(rest, -tail)
    low = (rest + (below + lower + lowest - tiny)) / np.where(down, power, 1.0)
    for i in np.flatnonzero(hard).tolist():
        low[i] = _rest(cells[i].as_py(), high[i])
    return low


def _rows(places: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The cells in which these bytes are."""
    if len(places) == len(ends) and (starts <= places).all() and (places < ends).all():
        return np.arange(len(ends))
    return np.searchsorted(ends, places, side="right")


def _exponents(data: np.ndarray, marks: np.ndarray, ends: np.ndarray, keep: np.ndarray):
    """The integers behind the marks, large where they are longer than four digits and a sign."""
    found, sign = np.zeros(len(marks), np.int64), np.ones(len(marks), np.int64)
    for j in range(int((ends - marks).max())):
        there = np.flatnonzero(marks + j < ends)
        keep[marks[there] + j] = False
        digits = data[marks[there] + j].astype(np.int64)
        if j == 1:
            sign[there[digits == MINUS]] = -1
        if j:
            is_digit = digits >= ord("0")
            there, digits = there[is_digit], digits[is_digit]
            found[there] = np.minimum(10 * found[there] + digits - ord("0"), 10**6)
    return sign * found


def _integers(data: np.ndarray, lengths: np.ndarray, hard: np.ndarray):
    """Cells of digits as two float64 numbers each, 0 where they are hard."""
    if hard.any():  # no cell may be empty
        data = np.insert(data, (np.cumsum(lengths) - lengths)[hard], ord("0"))
        lengths = lengths + hard
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    text = pa.Array.from_buffers(
        pa.string(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    if lengths.max() <= SHORT_INTEGERS:
        whole = np.from_dlpack(text.cast(pa.int64()))
        first = whole.astype(np.float64)
        return first, (whole - first.astype(np.int64)).astype(np.float64)
    words = np.frombuffer(text.cast(pa.decimal128(38, 0)).buffers()[1], np.uint64).reshape(-1, 2)
    upper = words[: len(lengths), 1].view(np.int64) * 2.0**64
    lower = words[: len(lengths), 0]
    first, rest = _sum(upper, (lower >> np.uint64(32)) * 2.0**32)
    first, second = _sum(first, (lower & np.uint64(2**32 - 1)).astype(np.float64))
    return first, rest + second


def _sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b and its rounding error, exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _product(a: np.ndarray, b: Any) -> tuple[np.ndarray, np.ndarray]:
    """a b and its rounding error, exactly (Dekker)."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: Any) -> tuple[Any, Any]:
    large = SPLITTER * a
    upper = large - (large - a)
    return upper, a - upper
