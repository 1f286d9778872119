"""Dates and times as numbers: days, or seconds, since an origin.

The units are spelt as netCDF's climate conventions do: "days since 2024-03-01 06:00:00". Times with
a zone are taken in UTC.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from polyreg.errors import BadTable
from polyreg.tables.decimals import product_of
from polyreg.tables.formats.cells import MISSING, BadCell

NANOSECONDS = {"days": 86_400 * 10**9, "seconds": 10**9}
MISSING_TIME = np.iinfo(np.int64).min  # NaT
YEARS = "the years 1678 to 2262, and dates beyond are no numbers here; leave the column out"
SHORT = 3600 * 10**9  # first rows within an hour are counted in seconds
TIME = (
    r"(?:[T ]+(\d{1,2}:\d{2})(:\d{2})?([.,]\d{1,9})?( ?[AaPp][Mm])?"
    r"(?: ?(Z|UTC|[+-]\d{2}(?::?\d{2})?))?)?"
)
YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){TIME}")
YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}){TIME}")


class Order(NamedTuple):
    """What dates with the year last tell of their order, by what cannot be a month."""

    any: str = ""  # such a date
    day_first: str = ""  # one whose first number is above 12
    month_first: str = ""  # one whose second is

    def __add__(self, later: "Order") -> "Order":  # type: ignore[override]
        return Order(*(mine or others for mine, others in zip(self, later, strict=True)))

    @property
    def is_open(self) -> bool:
        """Whether the order matters and nothing tells it."""
        return bool(self.any) and not (self.day_first or self.month_first)


def is_date(cell: str) -> bool:
    cell = cell.strip()
    return bool(YEAR_FIRST.fullmatch(cell) or YEAR_LAST.fullmatch(cell))


def order_of(cells: Sequence[str]) -> Order:
    """What these cells tell; dots between the parts are a day first by custom."""
    some = day = month = ""
    for cell in cells:
        if found := YEAR_LAST.fullmatch(cell.strip()):
            some = some or cell.strip()
            if int(found[1]) > 12 or found[2] == ".":
                day = day or cell.strip()
            if int(found[3]) > 12:
                month = month or cell.strip()
    return Order(some, day, month)


def is_day_first(order: Order, asked: str, column: str, name: str) -> bool:
    """Raises BadTable where both orders are possible, or neither is."""
    if asked != "auto":
        return asked == "day-first"
    if order.day_first and order.month_first:
        raise BadTable(
            f"column {column} of {name} has dates with the day first ({order.day_first}) and with "
            f"the month first ({order.month_first}); write them as 2024-03-31"
        )
    if order.day_first or order.month_first:
        return bool(order.day_first)
    raise BadTable(
        f"the dates of column {column} of {name} read with the day first and with the month "
        "first; give --dates day-first or --dates month-first, or write them as 2024-03-31"
    )


def times(cells: pa.Array, day_first: bool | None, missing: Sequence[str] = MISSING) -> pa.Array:
    """timestamp[ns] of dates as text, null where one is missing.

    day_first: None where no date with the year last was expected

    Raises BadCell, and BadTable outside of the years that these are.
    """
    cells = pc.utf8_trim_whitespace(cells)
    absent = pc.is_in(cells, value_set=pa.array(missing))
    cells = pc.if_else(absent, pa.scalar(None, pa.string()), cells)
    unique = cells.dictionary_encode()
    found = []
    for index, cell in enumerate(unique.dictionary.to_pylist()):
        try:
            found.append(None if cell is None else _nanoseconds(cell, day_first))
        except BadTable:
            raise
        except ValueError:
            first = pc.index(cells, pa.scalar(unique.dictionary[index].as_py())).as_py()
            raise BadCell(first, cell) from None
    return pa.array(found, pa.timestamp("ns")).take(unique.indices)


def _nanoseconds(cell: str, day_first: bool | None) -> int:
    """Since 1970, of a date with or without a time of day. Raises ValueError."""
    if found := YEAR_FIRST.fullmatch(cell):
        year, month, day = found[1], found[3], found[4]
    elif day_first is not None and (found := YEAR_LAST.fullmatch(cell)):
        year = found[4]
        day, month = (found[1], found[3]) if day_first else (found[3], found[1])
    else:
        raise ValueError(cell)
    clock, seconds, fraction, half, zone = found.groups()[4:]
    hour, minute = map(int, (clock or "0:0").split(":"))
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(cell)
        hour = hour % 12 + (12 if half.strip().lower() == "pm" else 0)
    whole = datetime(int(year), int(month), int(day), hour, minute, int((seconds or ":0")[1:]))
    offset = 0
    if zone and zone[0] in "+-":
        offset = int(f"{zone[0]}1") * (int(zone[1:3]) * 60 + int(zone[3:].strip(":") or 0)) * 60
    since = whole - datetime(1970, 1, 1)
    parts = int(((fraction or ".0")[1:]).ljust(9, "0"))
    count = ((since.days * 86_400 + since.seconds - offset) * 10**9) + parts
    if not -(2**63) < count < 2**63:
        raise BadTable(f"{cell} is outside {YEARS}")
    return count


def is_time(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def units_of(first: pa.Array) -> str:
    """Units of a column of times by its first rows: since the very first."""
    counts = _counts(first)
    known = counts[~np.isnat(counts)]
    if not len(known):
        return ""
    span = (known.max() - known.min()).astype(np.int64)
    unit = "seconds" if 0 < span <= SHORT else "days"
    return f"{unit} since {_spelt(known[0])}"


def _spelt(moment: np.datetime64) -> str:
    """2024-03-01, or with a time of day where there is one."""
    text = str(moment).replace("T", " ")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.removesuffix(" 00:00:00")


def _counts(column: pa.Array) -> np.ndarray:
    """datetime64[ns], in UTC; raises BadTable beyond the years 1678 to 2262."""
    try:
        column = column.cast(pa.timestamp("ns", getattr(column.type, "tz", None)))
    except pa.ArrowInvalid as error:
        raise BadTable(f"a column has dates outside {YEARS}") from error
    numbers = column.cast(pa.int64())
    return np.asarray(numbers.fill_null(MISSING_TIME)).astype("datetime64[ns]")


def since(column: pa.Array, units: str) -> np.ndarray:
    """Times as numbers (n,) float64 in these units, nan where one is missing."""
    counts, unit = _since(column, units)
    return np.where(counts == MISSING_TIME, np.nan, counts.astype(float) / unit)


def rest_of(column: pa.Array, units: str, high: np.ndarray) -> np.ndarray | None:
    """What `since`, high, leaves of the times (n,), float64; None where that is nothing.

    To microseconds, of which float64 holds all of 285 years; finer times leave nothing here.
    """
    counts, unit = _since(column, units)
    known = counts != MISSING_TIME
    micros, left = np.divmod(np.where(known, counts, 0), 1000)
    if left.any() or np.abs(micros).max(initial=0) > 2**53:
        return None
    product, error = product_of(np.where(known, high, 0.0), unit / 1000)
    low = (micros - product - error) / (unit / 1000)
    return low if low.any() else None


def _since(column: pa.Array, units: str) -> tuple[np.ndarray, int]:
    """Nanoseconds since the origin (n,), and those of the unit."""
    unit, _, origin = units.partition(" since ")
    counts = _counts(column)
    found = (counts - np.datetime64(pd.Timestamp(origin), "ns")).astype(np.int64)
    return np.where(np.isnat(counts), MISSING_TIME, found), NANOSECONDS[unit]
