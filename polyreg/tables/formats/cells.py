"""Cells of a text table: which are numbers, which are missing, and what the others are."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from polyreg.errors import BadTable

# The usual spellings: of spreadsheets, databases, R, pandas and instruments.
# fmt: off
MISSING = (
    "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "nan", "NaN", "NAN",
    "-nan", "-NaN", "null", "NULL", "Null", "None", "none", "-", "--",
    "---", ".", "?", "\\N", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?",
    "#NULL!", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "", "#N/A N/A",
)
# fmt: on
INFINITE = r"[+-]?inf(?:inity)?"
BLANKS = " \u00a0\u202f\u2009"  # between thousands: all kinds of them
TRUE, FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
CURRENCY = "$€£¥"
MOST = 0.5  # of a column's cells that are not missing: more are numbers, and it is one of numbers


class BadCell(ValueError):
    """The first cell of a block that is no number."""

    def __init__(self, index: int, text: str, column: str = ""):
        super().__init__(index, text, column)
        self.index, self.text, self.column = index, text, column


class Numbers(NamedTuple):
    """How numbers are written: decimal mark, mark between thousands, words for missing values."""

    decimal: str = "."
    grouping: str = ""  # one mark; " " is any kind of blank
    missing: tuple[str, ...] = ()  # besides MISSING
    is_open: bool = False  # no cell has told the decimal mark so far

    @property
    def is_plain(self) -> bool:
        """Whether Arrow reads them as they are."""
        return not self.grouping

    @property
    def spellings(self) -> list[str]:
        return [*MISSING, *self.missing]

    def pattern(self) -> str:
        """Regular expression of a whole number or decimal, for Python and for Arrow's RE2."""
        return _pattern(self.decimal, self.grouping)

    def is_number(self, cell: str) -> bool:
        return bool(_compiled(self.pattern()).fullmatch(cell.strip()))

    def is_missing(self, cell: str) -> bool:
        cell = cell.strip()
        return cell in _MISSING or cell in self.missing

    def plain(self, cells: pa.Array) -> pa.Array:
        """Strings that Arrow and Python read as numbers, null where a value is missing.

        Raises BadCell at the first that is neither.
        """
        cells = pc.utf8_trim_whitespace(cells)
        absent = pc.is_in(cells, value_set=pa.array(self.spellings))
        cells = pc.if_else(absent, pa.scalar(None, pa.string()), cells)
        fits = pc.fill_null(pc.match_substring_regex(cells, f"^(?:{self.pattern()})$"), True)
        if not pc.all(fits).as_py():
            index = fits.index(False).as_py()
            raise BadCell(index, cells[index].as_py())
        if self.is_open:
            either = pc.fill_null(
                pc.match_substring_regex(cells, r"^[+−-]?[1-9]\d{0,2}[.]\d{3}$"), False
            )
            if pc.any(either).as_py():
                raise two_readings(cells[either.index(True).as_py()].as_py(), "the table")
        if self.grouping in (".", ","):
            cells = pc.replace_substring(cells, self.grouping, "")  # four times as fast
        elif self.grouping:
            cells = pc.replace_substring_regex(cells, _between(self.grouping), "")
        if self.decimal != ".":
            cells = pc.replace_substring(cells, self.decimal, ".")
        for mark, written in (("−", "-"), ("D", "e"), ("d", "e")):
            if pc.any(pc.match_substring(cells, mark)).as_py():
                cells = pc.replace_substring(cells, mark, written)
        return cells

    def values(self, cells: pa.Array) -> pa.Array:
        """float64, null where a value is missing. Raises BadCell."""
        return self.plain(cells).cast(pa.float64())


def two_readings(cell: str, name: str) -> BadTable:
    """The refusal of a cell like 1.234, where no other tells the decimal mark."""
    whole, rest = re.split("[.,]", cell)
    return BadTable(
        f"{cell} in {name} reads as {whole}.{rest} and as {whole}{rest}: a decimal mark, or one "
        "between thousands; give --decimal , or --decimal ."
    )


def _between(grouping: str) -> str:
    """Regular expression of a mark between thousands."""
    return {" ": f"[{BLANKS}]", "'": "['’]"}.get(grouping, re.escape(grouping))


@cache
def _compiled(pattern: str) -> re.Pattern:
    return re.compile(pattern)


@cache
def _pattern(decimal: str, grouping: str) -> str:
    mark = re.escape(decimal)
    whole = r"\d+"
    if grouping:
        whole = rf"(?:\d{{1,3}}(?:{_between(grouping)}\d{{3}})+|\d+)"
    number = rf"(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eEdD][+−-]?\d+)?"
    return rf"(?i:{INFINITE})|[+−-]?{number}"


_MISSING = frozenset(MISSING)


class Column(NamedTuple):
    """What some cells of a column are: counts that add up over files."""

    numbers: int = 0
    texts: int = 0
    first: str = ""  # text
    row: int = 0  # its row, counted from 1

    def __add__(self, later: "Column") -> "Column":  # type: ignore[override]
        mine = self if self.first or not later.first else later
        return Column(self.numbers + later.numbers, self.texts + later.texts, mine.first, mine.row)

    @property
    def is_number(self) -> bool:
        return self.numbers > MOST * (self.numbers + self.texts)


def counted(cells: pa.Array, numbers: Numbers, before: int = 0) -> Column:
    """Numbers and texts among the cells; those that are missing are neither."""
    cells = pc.utf8_trim_whitespace(cells)
    present = pc.invert(pc.is_in(cells, value_set=pa.array(numbers.spellings)))
    present = pc.and_(pc.is_valid(cells), present)
    fits = pc.fill_null(pc.match_substring_regex(cells, f"^(?:{numbers.pattern()})$"), False)
    texts = pc.and_(present, pc.invert(fits))
    found = pc.sum(pc.and_(present, fits)).as_py() or 0
    count = pc.sum(texts).as_py() or 0
    if not count:
        return Column(found)
    index = texts.index(True).as_py()
    return Column(found, count, cells[index].as_py(), before + index + 1)


def is_quantity(cell: str) -> bool:
    """Whether text is a number with something at it: 50%, 12 mV, $5."""
    cell = cell.strip().strip(CURRENCY)
    return bool(re.fullmatch(r"[+-]?\d[\d.,]*(?:[eE][+-]?\d+)?\s*[%‰°µΩA-Za-z/²³]{0,6}", cell))


def truths(cells: pa.Array, missing: Sequence[str] = MISSING) -> pa.Array:
    """Booleans of their words, null where a value is missing. Raises BadCell."""
    cells = pc.utf8_trim_whitespace(cells)
    cells = pc.if_else(
        pc.is_in(cells, value_set=pa.array(missing)), pa.scalar(None, pa.string()), cells
    )
    found = pc.is_in(cells, value_set=pa.array(TRUE))
    known = pc.or_(found, pc.is_in(cells, value_set=pa.array(FALSE)))
    fits = pc.or_(known, pc.is_null(cells))
    if not pc.all(fits).as_py():
        index = fits.index(False).as_py()
        raise BadCell(index, cells[index].as_py())
    return pc.if_else(pc.is_valid(cells), found, pa.scalar(None, pa.bool_()))


def codes_of(words: Sequence[str]) -> tuple[float, ...]:
    """Those of the words for missing values that are numbers."""
    return tuple(float(word) for word in words if Numbers().is_number(word))
