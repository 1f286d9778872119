"""Notation of numbers: the decimal mark, and the mark between thousands."""

import re
from collections.abc import Sequence

from polyreg.errors import BadTable
from polyreg.fields import Reading
from polyreg.tables.formats.cells import BLANKS, MOST, Numbers, two_readings

GROUP = rf"[.,'’{BLANKS}]"
VALUE = re.compile(
    rf"[+−-]?(?:\d{{1,3}}(?:{GROUP}\d{{3}})+|\d+)(?:[.,]\d*)?(?:[eEdD][+−-]?\d+)?"
    r"|[+−-]?[.,]\d+(?:[eEdD][+−-]?\d+)?"
)
EITHER = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")  # a decimal, or thousands


def is_numeric(cells: Sequence[str], numbers: Numbers) -> bool:
    """Whether most cells of a column that are not missing look like numbers in some notation."""
    known = [cell.strip() for cell in cells if not numbers.is_missing(cell)]
    return sum(bool(VALUE.fullmatch(cell)) for cell in known) > MOST * len(known)


class Marks:
    """What the cells of a column tell of the marks in them."""

    def __init__(self, cells: Sequence[str]):
        self.grouped = {mark: False for mark in (".", ",", " ", "'")}  # surely
        self.decimal = {".": "", ",": ""}  # a cell that proves it
        self.either = {".": "", ",": ""}  # a cell that may be both
        for cell in map(str.strip, cells):
            if VALUE.fullmatch(cell):
                self._add(cell)

    def _add(self, cell: str) -> None:
        body, *exponent = re.split("[eEdD]", cell.lstrip("+-−"))
        self.grouped[" "] |= bool(re.search(rf"\d[{BLANKS}]\d", body))
        self.grouped["'"] |= bool(re.search(r"\d['’]\d", body))
        marks = [c for c in body if c in ".,"]
        if len({*marks}) == 2:
            self.decimal[marks[-1]] = self.decimal[marks[-1]] or cell
            self.grouped[marks[0]] = True
        elif len(marks) > 1:
            self.grouped[marks[0]] = True
        elif marks and EITHER.fullmatch(body) and not exponent:
            self.either[marks[0]] = self.either[marks[0]] or cell
        elif marks:
            self.decimal[marks[0]] = self.decimal[marks[0]] or cell


def notation_of(
    columns: Sequence[Sequence[str]], separator: str, name: str, reading: Reading
) -> Numbers:
    """The decimal mark and the one between thousands, by the columns that are numbers.

    Raises BadTable where a cell like 1,234 has two readings and no other cell decides.
    """
    found = [Marks(cells) for cells in columns]
    decimal = {m: next((f.decimal[m] for f in found if f.decimal[m]), "") for m in ".,"}
    either = {m: next((f.either[m] for f in found if f.either[m]), "") for m in ".,"}
    grouped = {m: any(f.grouped[m] for f in found) for m in (".", ",", " ", "'")}
    mark: str = reading.decimal
    if mark == "auto":
        sure = [m for m in ".," if decimal[m] or grouped["," if m == "." else "."]]
        if len(sure) == 2:
            dots, commas = (decimal[m] or either[m] for m in ".,")
            raise BadTable(
                f"{name} has numbers with a decimal point ({dots}) and with a decimal comma "
                f"({commas}); write them in one way, or give --decimal"
            )
        mark = sure[0] if sure else _undecided(either, separator, name)
    other = "," if mark == "." else "."
    grouping = next((g for g in (" ", "'") if grouped[g]), "")
    if grouped[other] or either[other]:
        grouping = other
    told = any([*decimal.values(), *either.values(), *grouped.values(), reading.decimal != "auto"])
    is_open = separator == ";" and not told
    return Numbers(mark, grouping, tuple(reading.missing_values), is_open)


def _undecided(either: dict[str, str], separator: str, name: str) -> str:
    """The decimal mark where all cells that have a mark read in two ways.

    A point is decimal, but where semicolons separate, since there a comma may well be.
    """
    if either[","] or (either["."] and separator == ";"):
        raise two_readings(either[","] or either["."], name)
    return "."
