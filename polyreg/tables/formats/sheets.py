"""Spreadsheets (xlsx, xls, ods) as text tables, by python-calamine."""

import csv
import datetime
import io
from typing import Any

from polyreg.errors import BadTable
from polyreg.text import listed

XLS = b"\xd0\xcf\x11\xe0"
INSIDE = ("[Content_Types].xml", "mimetype")  # of a zip that is one


def as_csv(stream: Any, name: str, sheet: str) -> io.BytesIO:
    """A sheet's cells as CSV, numbers with all their digits. Raises BadTable."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise BadTable(
            f"{name} is a spreadsheet, which needs python-calamine: pip install 'polyreg[sheets]', "
            "or save it as CSV"
        ) from None
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(stream.read()))
        names = book.sheet_names
        if sheet and sheet not in names:
            raise BadTable(f"{name} has no sheet {sheet!r}; it has {listed(names)}")
        rows = book.get_sheet_by_name(sheet or names[0]).to_python()
    except CalamineError as error:
        raise BadTable(f"cannot read {name}: {error}; save it again, or as CSV") from error
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(cell) for cell in row] for row in rows)
    return io.BytesIO(text.getvalue().encode())


def _cell(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return repr(cell).removesuffix(".0")
    if isinstance(cell, datetime.date | datetime.datetime):
        return cell.isoformat()
    return str(cell)


def other_sheets(stream: Any) -> list[str]:
    """The names of all sheets."""
    from python_calamine import CalamineWorkbook

    return CalamineWorkbook.from_filelike(io.BytesIO(stream.read())).sheet_names
