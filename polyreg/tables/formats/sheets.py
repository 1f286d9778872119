"""Spreadsheets (xlsx, xls, ods) as text tables, by python-calamine."""

import csv
import datetime
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from polyreg.errors import BadTable
from polyreg.text import listed

XLS, ZIP = b"\xd0\xcf\x11\xe0", b"PK\x03\x04"
INSIDE = ("[Content_Types].xml", "mimetype")  # of a zip that is one


def as_csv(stream: Any, name: str, sheet: str) -> io.BytesIO:
    """A sheet's cells as CSV, numbers with all their digits. Raises BadTable."""
    book = _book(stream, name)
    if not book.sheet_names or (sheet and sheet not in book.sheet_names):
        raise BadTable(f"{name} has no sheet {sheet!r}; it has {listed(book.sheet_names)}")
    with _explained(name):
        rows = book.get_sheet_by_name(sheet or book.sheet_names[0]).to_python()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(cell) for cell in row] for row in rows)
    return io.BytesIO(text.getvalue().encode())


def names(stream: Any, name: str, sheet: str) -> tuple[str, ...]:
    """Of a file that as_csv reads, its sheets, the one that is read first; () of any other."""
    head = bytes(stream.read(len(XLS)))
    stream.seek(0)
    is_one = head == XLS or (head == ZIP and is_book(zipfile.ZipFile(stream)))
    found = _book(stream, name).sheet_names if is_one else []
    stream.seek(0)
    return tuple(sorted(found, key=lambda one: one != (sheet or found[0])))


def is_book(packed: zipfile.ZipFile) -> bool:
    return bool({*INSIDE} & {*packed.namelist()})


def _book(stream: Any, name: str) -> Any:
    with _explained(name):
        from python_calamine import CalamineWorkbook

        stream.seek(0)
        return CalamineWorkbook.from_filelike(io.BytesIO(stream.read()))


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        from python_calamine import CalamineError
    except ImportError:
        raise BadTable(
            f"{name} is a spreadsheet, which needs python-calamine: pip install 'polyreg[sheets]', "
            "or save it as CSV"
        ) from None
    try:
        yield
    except CalamineError as error:
        raise BadTable(f"cannot read {name}: {error}; save it again, or as CSV") from error


def _cell(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return repr(cell).removesuffix(".0")
    if isinstance(cell, datetime.date | datetime.datetime):
        return cell.isoformat()
    return str(cell)
