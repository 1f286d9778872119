"""Parts of a table, which can be read one by one and anywhere."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from polyreg.tables import decimals
from polyreg.tables.files import BLOCK_ROWS, File, Place, explained
from polyreg.tables.formats.dates import is_time, rest_of, since
from polyreg.tables.missing import MissingRows
from polyreg.tables.rows import Read, Rows

Converted = list[decimals.Numbers]


class Piece(NamedTuple):
    """A file, or some of its row groups: those after its first `before` rows."""

    file: File
    number: int  # of the file
    groups: tuple[int, ...] | None = None
    before: int = 0

    def read(self, columns: list[str], units: Mapping[str, str], exact: bool = False) -> Read:
        """Blocks of the columns as float64, dates in their units."""
        before, batches = self.before, self.file.batches(columns, self.groups, exact=exact)
        # Text takes as long to convert as to read: each has its own thread.
        convert = partial(_exactly, self.file, units) if exact else partial(_rounded, units)
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
        self.is_sigma, self.more = table.is_sigma, table.more
        self.units, self.codes = table.units, table.codes
        self.pieces, self.rows, self.gaps = pieces, rows, MissingRows()

    def _read(self, exact: bool = False) -> Read:
        for piece in self.pieces:
            piece.file.require_unchanged()
            yield from piece.read(self.columns, self.units, exact)
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


def _exactly(file: File, units: Mapping[str, str], batch: pa.RecordBatch) -> Converted:
    names = batch.schema.names
    try:
        return [exactly(a, units.get(c, "")) for c, a in zip(names, batch.columns, strict=True)]
    except pa.ArrowInvalid as error:  # a cell that was a number when the table was surveyed
        file.require_unchanged()
        raise explained(error, file.name, []) from error


def _rounded(units: Mapping[str, str], batch: pa.RecordBatch) -> Converted:
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return [(as_float64(column, units.get(name, "")), None) for name, column in columns]
