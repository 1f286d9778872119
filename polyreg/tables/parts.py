"""Parts of a table, which can be read one by one and anywhere."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from polyreg.tables.files import BLOCK_ROWS, File, Place
from polyreg.tables.formats.dates import is_time, since
from polyreg.tables.missing import MissingRows
from polyreg.tables.rows import Rows


class Piece(NamedTuple):
    """A file, or some of its row groups: those after its first `before` rows."""

    file: File
    number: int  # of the file
    groups: tuple[int, ...] | None = None
    before: int = 0

    def read(
        self, columns: list[str], units: Mapping[str, str]
    ) -> Iterator[tuple[Place, list[np.ndarray]]]:
        """Blocks of the columns as float64, dates in their units."""
        before = self.before
        for batch in _ahead(self.file.batches(columns, self.groups)):
            for start in range(0, batch.num_rows, BLOCK_ROWS):  # short rows of a CSV
                part = batch.slice(start, BLOCK_ROWS)
                place = Place(self.file.name, self.number, before + start)
                arrays = zip(part.columns, columns, strict=True)
                yield place, [as_float64(a, units.get(c, "")) for a, c in arrays]
            before += batch.num_rows


class Part(Rows):
    """Consecutive pieces of a table, for whoever is to read them.

    `rows` is how many Parquet says there are, 0 of a CSV; `gaps` are what a whole pass found.
    """

    def __init__(self, table: Rows, pieces: list[Piece], rows: int):
        self.title, self.missing = table.title, table.missing
        self.names, self.target, self.weights = table.names, table.target, table.weights
        self.units, self.codes = table.units, table.codes
        self.pieces, self.rows, self.gaps = pieces, rows, MissingRows()

    def _read(self) -> Iterator[tuple[Place, list[np.ndarray]]]:
        for piece in self.pieces:
            piece.file.require_unchanged()
            yield from piece.read(self.columns, self.units)
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
