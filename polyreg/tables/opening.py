"""Opening of a table's files: those that can be read, and what their columns are."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from polyreg.errors import BadTable, NotNow
from polyreg.fields import Reading
from polyreg.tables.files import File
from polyreg.tables.formats.cells import BadCell
from polyreg.tables.formats.dates import Order, is_day_first

Each = Callable[[Callable, Iterable], Iterable]  # like `map`


@dataclass(frozen=True)
class tried:
    """A function whose refusal of a file is an answer."""

    function: Callable

    def __call__(self, item: Any) -> Any:
        try:
            return self.function(item)
        except NotNow:
            raise
        except BadTable as error:
            return error


def sound(opened: Iterable) -> tuple[list[File], list[str]]:
    """The files, and why the others are none."""
    files, bad = [], []
    for file in opened:
        if isinstance(file, BadTable):
            bad.append(str(file))
        else:
            files.append(file)
    if not files:
        raise BadTable(f"none of the {len(bad):,} files can be read; the first: {bad[0]}")
    return files, bad


def decided(
    files: list[File],
    asked: Sequence[str] | None,
    exclude: Sequence[str],
    reading: Reading,
    each: Each,
) -> list[File]:
    """The files, with the kinds of columns that only a whole pass can tell; None: of all columns.

    Raises BadTable where a column of dates has no order, or both.
    """
    wanted = [c for c in (files[0].schema.names if asked is None else asked) if c not in exclude]
    if any(file.text and {*wanted} & {*file.text.undecided} for file in files):
        files = list(each(partial(_judged, wanted), files))
    orders: dict[str, Order] = {}
    for text in (file.text for file in files if file.text):
        for column in (c for c in wanted if c in text.orders):
            orders[column] = orders.get(column, Order()) + text.orders[column]
    title = files[0].name if len(files) == 1 else f"{len(files):,} files"
    day_first = {c: is_day_first(order, reading.dates, c, title) for c, order in orders.items()}
    return [
        file._replace(text=replace(file.text, day_first=day_first)) if file.text else file
        for file in files
    ]


def _judged(columns: Sequence[str], file: File) -> File:
    return file.judged(columns)


def read_through(columns: list[str], numbers: list[str], file: File) -> File:
    for _ in file.batches(columns, numbers=numbers):
        pass
    return file


def typed(file: File, column: str, cells: pa.Array, kind: pa.DataType | None) -> pa.Array:
    """A text table's column as of a kind. Raises BadCell, with its column."""
    try:
        return file.typed(column, cells, kind)
    except BadCell as error:
        raise BadCell(error.index, error.text, column) from error
