"""Parts of a table, which can be read one by one and anywhere."""

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from polyreg.compiling import compiled
from polyreg.tables import decimals
from polyreg.tables.files import BLOCK_ROWS, File, Place, explained
from polyreg.tables.formats.dates import is_time, rest_of, since
from polyreg.tables.missing import MissingRows
from polyreg.tables.rows import Read, Rows

Converted = list[decimals.Numbers]
WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


class Codes:
    """Numbers 0, 1, ... of a column's values, in the order of their first appearance."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}
        self._whole: np.ndarray | None = None  # of whole numbers a table in place of the dict
        self._slots = np.empty((0, 2), np.int64)
        self._count = 0

    def __call__(self, column: pa.Array) -> np.ndarray:
        """(n,) float64, nan where there is no value."""
        if pa.types.is_integer(column.type) and not self._codes and column.type != pa.uint64():
            return self._of_whole(column)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        known, values = self._dict(), column.dictionary.to_pylist()
        lost = [v in (None, "") or v != v for v in values]  # nan is no value
        codes = [
            np.nan if gone else known.setdefault(v, len(known))
            for v, gone in zip(values, lost, strict=True)
        ]
        found = np.array([*codes, np.nan])  # the last of rows without a value
        places = column.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        return found[places.astype(np.int64, copy=False)]

    def _dict(self) -> dict[Any, int]:
        if self._whole is not None:  # another file has the column in another type
            whole = self._whole[: self._count].tolist()
            self._codes, self._whole = {v: k for k, v in enumerate(whole)}, None
        return self._codes

    def _of_whole(self, column: pa.Array) -> np.ndarray:
        lost = np.asarray(column.is_null()) if column.null_count else None
        given = np.asarray(column.fill_null(0).cast(pa.int64()))
        if lost is not None:
            given = given[~lost]
        if self._whole is None:
            self._whole, self._slots = np.empty(2**14, np.int64), np.full((2**16, 2), -1)
        look = compiled(look_up) or look_up
        codes, done = np.empty(len(given), np.int64), 0
        while done < len(given):
            # Half of the slots are free, so that few are asked for a value.
            room = len(self._slots) // 2 - self._count
            if room < 1:
                known = self._whole[: self._count]
                self._slots = np.full((4 * len(self._slots), 2), -1)
                look(known, self._slots, known, 0, np.empty(len(known), np.int64))
                room = len(self._slots) // 2 - self._count
            end = min(len(given), done + room)
            if self._count + end - done > len(self._whole):
                more = np.empty(max(len(self._whole), end - done), np.int64)
                self._whole = np.concatenate([self._whole, more])
            self._count = look(
                given[done:end], self._slots, self._whole, self._count, codes[done:end]
            )
            done = end
        if lost is None:
            return codes.astype(np.float64)
        found = np.full(len(column), np.nan)
        found[~lost] = codes
        return found

    def written(self) -> np.ndarray | list[Any]:
        """The values by code, as they were read."""
        return [*self._codes] if self._whole is None else self._whole[: self._count]

    def add(self, written: np.ndarray | list[Any]) -> np.ndarray:
        """Codes (n,), int64, of what other Codes have `written`."""
        if not len(written):
            return np.empty(0, np.int64)
        if isinstance(written, np.ndarray):
            return self(pa.array(written)).astype(np.int64)
        known = self._dict()
        return np.array([known.setdefault(v, len(known)) for v in written], dtype=np.int64)

    def values(self) -> list[Any]:
        """By code. Text that is whole numbers, as they are plainly written, becomes numbers."""
        if self._whole is not None:
            return self._whole[: self._count].tolist()
        found = [*self._codes]
        if all(isinstance(v, str) and WHOLE.fullmatch(v) for v in found):
            return [*map(int, found)]
        return found


def look_up(values, slots, known, count, codes):
    """Codes of whole numbers (n,) by open addressing  ->  how many are known then.

    slots: (slots, 2) code, -1 where free, and value, a power of two of them; known (most,): the
    values by code, to which new ones are added. Known values, looked up in order, fill free slots.
    """
    mask = len(slots) - 1
    for i in range(len(values)):
        value = int(values[i])  # where it is not compiled, numpy's would warn of what overflows
        mixed = value ^ (value >> 32)
        mixed = (mixed * 0x45D9F3B3335B369) & 0x7FFFFFFFFFFFFFFF
        at = (mixed ^ (mixed >> 29)) & mask
        while slots[at, 0] >= 0 and slots[at, 1] != value:
            at = (at + 1) & mask
        if slots[at, 0] < 0:
            slots[at, 0], slots[at, 1] = count, value
            known[count] = value
            count += 1
        codes[i] = slots[at, 0]
    return count


class Piece(NamedTuple):
    """A file, or some of its row groups: those after its first `before` rows."""

    file: File
    number: int  # of the file
    groups: tuple[int, ...] | None = None
    before: int = 0

    def read(
        self,
        columns: list[str],
        units: Mapping[str, str],
        exact: bool = False,
        keys: Mapping[str, Codes] = MappingProxyType({}),
    ) -> Read:
        """Blocks of the columns as float64, dates in their units, keys as codes."""
        numbers = [name for name in columns if name not in keys]
        before = self.before
        batches = self.file.batches(columns, self.groups, numbers, exact)
        # Text takes as long to convert as to read: each has its own thread.
        how = partial(_exactly, self.file) if exact else _rounded
        convert = partial(how, units, keys)
        read = map(convert, _ahead(batches) if exact else batches)
        for found in _ahead(read):
            rows = len(found[0][0])
            for start in range(0, rows, BLOCK_ROWS):  # short rows of a CSV
                part = slice(start, start + BLOCK_ROWS)
                place = Place(self.file.name, self.number, before + start)
                low = [None if rest is None else rest[part] for _, rest in found]
                yield place, [column[part] for column, _ in found], low
            before += rows


class Part(Rows):
    """Consecutive pieces of a table, for whoever is to read them.

    `rows` is how many Parquet says there are, 0 of a CSV; `gaps` are what a whole pass found.
    """

    def __init__(self, table: Rows, pieces: list[Piece], rows: int):
        self.title, self.missing = table.title, table.missing
        self.names, self.target, self.weights = table.names, table.target, table.weights
        self.is_sigma, self.more, self.functions = table.is_sigma, table.more, table.functions
        self.units, self.codes = table.units, table.codes
        self.keys = {name: Codes() for name in table.keys}
        self.pieces, self.rows, self.gaps = pieces, rows, MissingRows()

    def _read(self, exact: bool = False) -> Read:
        for piece in self.pieces:
            piece.file.require_unchanged()
            yield from piece.read(self.columns, self.units, exact, self.keys)
            piece.file.require_unchanged()

    def check_missing(self, gaps: MissingRows) -> None:
        """The whole table is judged by all its parts."""
        self.gaps = gaps


def _ahead(items: Iterator) -> Iterator:
    """The same items, each made in a thread while the one before it is used."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = reader.submit(next, items, None)
            yield item


def as_float64(column: pa.Array, units: str = "") -> np.ndarray:
    """(n,) float64, nan where null; of Arrow's own memory where that is what it holds.

    units: of dates and times
    """
    if is_time(column.type):
        return since(column, units)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_decimal(column.type):  # Arrow's own cast rounds two of five wrongly
        column = column.cast(pa.string())
    if column.type != pa.float64():
        column = column.cast(pa.float64(), safe=False)  # integers beyond 2^53 are rounded
    if column.null_count:
        column = column.fill_null(np.nan)
    return np.from_dlpack(column)  # to_numpy would import pandas, in 0.16 s


def exactly(column: pa.Array, units: str = "") -> decimals.Numbers:
    """as_float64 of numbers, or of their text, and what that leaves of them."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_decimal(column.type):
        return decimals.split(column.cast(pa.string()))
    high = as_float64(column, units)
    if is_time(column.type):
        return high, rest_of(column, units, high)
    if not pa.types.is_integer(column.type):
        return high, None
    return high, decimals.of_integers(np.from_dlpack(column.fill_null(0)), high)


def _exactly(
    file: File, units: Mapping[str, str], keys: Mapping[str, Codes], batch: pa.RecordBatch
) -> Converted:
    columns = zip(batch.schema.names, batch.columns, strict=True)
    try:
        return [
            (keys[name](column), None) if name in keys else exactly(column, units.get(name, ""))
            for name, column in columns
        ]
    except pa.ArrowInvalid as error:  # a cell that was a number when the table was surveyed
        file.require_unchanged()
        raise explained(error, file.name, []) from error


def _rounded(
    units: Mapping[str, str], keys: Mapping[str, Codes], batch: pa.RecordBatch
) -> Converted:
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return [
        (keys[name](column) if name in keys else as_float64(column, units.get(name, "")), None)
        for name, column in columns
    ]
