"""Dialect of a text table, found in its first lines: separator, numbers, header, encoding.

DuckDB's sniff_csv, clevercsv and Python's csv.Sniffer were measured on 25 files of instruments,
spreadsheets and databases (benchmarks/peers/dialects.py): none finds decimal commas, units, or
what stands before and after a table.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

from polyreg.errors import BadTable
from polyreg.fields import SEPARATORS as WORDS
from polyreg.fields import Reading
from polyreg.tables.formats.cells import Numbers
from polyreg.tables.formats.grid import (
    SEPARATORS,
    Grid,
    comment_of,
    filled_columns,
    is_value,
    quote_of,
    without_comments,
)
from polyreg.tables.formats.header import (
    Header,
    distinct_names,
    first_row,
    full_names,
    header,
    is_dated,
)
from polyreg.tables.formats.notation import is_numeric, notation_of
from polyreg.text import plural, quoted

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SHOWN = {"\t": "tabs", " ": "blanks"}
LINE_END = re.compile(r"\r\n|\r|\n")  # as Arrow ends lines
NAME = r'(?:[A-Za-z]\w*|"[A-Za-z]\w*")'
NUMBER = r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
USUAL = re.compile(rf"{NAME}(?:,{NAME})+\r?\n(?:{NUMBER}(?:,{NUMBER})*\r?\n)+", re.ASCII)
SAMPLE = 1 << 13  # bytes that are looked at, more where the table begins later
MOST_SAMPLE = 1 << 18


PLAIN = Numbers()


@dataclass(frozen=True)
class Dialect:
    """How a text table is written, after comments are left out."""

    separator: str = ","
    numbers: Numbers = PLAIN
    quote: str = '"'
    encoding: str = "utf-8"
    comment: str = ""
    skip: int = 0  # lines before the first row
    before: int = 0  # of them, those before the header
    names: tuple[str, ...] = ()
    has_header: bool = True
    units: dict[str, str] = field(default_factory=dict)
    width: int = 0  # of the rows; those beyond the names are empty
    renamed: tuple[str, ...] = ()  # names that stand twice
    footer: tuple[str, ...] = ()  # lines after the last row

    def described(self) -> str:
        """What was found, in words."""
        is_one = len(self.names) == 1 and self.width < 2
        said = ["one column" if is_one else f"separated by {_shown(self.separator)}"]
        if self.numbers.decimal != ".":
            said.append("decimal comma")
        if self.numbers.grouping:
            mark = "blanks" if self.numbers.grouping == " " else repr(self.numbers.grouping)
            said.append(f"{mark} between thousands")
        if self.encoding != "utf-8":
            said.append({"cp1252": "Windows-1252"}.get(self.encoding, self.encoding.upper()))
        if self.comment:
            said.append(f"comments after {self.comment!r}")
        if self.before:
            said.append(f"{plural(self.before, 'line')} before the header")
        if not self.has_header:
            said.append(f"no header: columns are {', '.join(self.names[:3])}")
            said[-1] += ", ..." * (len(self.names) > 3)
        if self.units:
            said.append("units " + ", ".join(f"{n} in {u}" for n, u in self.units.items()))
        if empty := self.width - len(self.names):
            said.append(f"{plural(empty, 'empty column')} at the right")
        if self.footer:
            said.append(f"{plural(len(self.footer), 'line')} after the data")
        if self.renamed:
            said.append("names that stood twice: " + ", ".join(self.renamed))
        return ", ".join(said)


class Found(NamedTuple):
    """A dialect and what its sample's columns are."""

    dialect: Dialect
    cells: list[list[str]]  # of each column, some cells
    has_values: bool  # numbers or dates, which tell where the rows begin


def encoding_of(head: bytes, asked: str) -> str:
    """UTF-8, or UTF-16 by its mark or its zeros; what is neither is Windows' Western one."""
    if asked != "auto":
        try:
            b" ".decode(asked, "ignore")  # refuses what is no encoding of text
            return codecs.lookup(asked).name
        except LookupError:
            raise BadTable(
                f"--encoding {asked} is unknown; give one like utf-8, cp1252 or utf-16"
            ) from None
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    if head[1:2] == b"\0" or head[:1] == b"\0":
        return "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252" if not set(head) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "latin-1"
    return "utf-8"


def decoded(decoder: codecs.IncrementalDecoder, block: bytes, is_last: bool, encoding: str) -> str:
    """Raises UnicodeDecodeError under the encoding's own name."""
    try:
        return decoder.decode(block, is_last)
    except UnicodeError as error:
        raise UnicodeDecodeError(encoding, block, 0, 1, str(error)) from error


class _Lines(NamedTuple):
    """Lines of a text below those that are skipped, and what tells how to take them."""

    all: list[str]
    kept: list[str]  # without comments
    comment: str
    skip: int  # lines that are skipped, comments not counted
    separator: str  # asked for, by an option or by a line sep=; or auto

    @classmethod
    def of(cls, text: str, whole: bool, reading: Reading) -> "_Lines":
        lines = LINE_END.split(text)
        if not whole and len(lines) > 1:
            del lines[-1]  # it may be cut
        while lines and not lines[-1].strip():
            del lines[-1]
        above = 0 if reading.skip_lines == "auto" else int(reading.skip_lines)
        separator = WORDS.get(reading.separator, reading.separator)
        if said := re.match(r'"?sep=(.|\\t)"?\s*$', "".join(lines[above : above + 1])):
            above += 1
            separator = said[1].replace("\\t", "\t") if separator == "auto" else separator
        skipped, lines = lines[:above], lines[above:]
        mark = comment_of(lines, reading.comment, separator)
        skip = len(without_comments(skipped, mark))
        return cls(lines, without_comments(lines, mark), mark, skip, separator)

    def comments_above(self, before: int) -> list[str]:
        """The comments above the first row, which comes after so many other lines."""
        found = []
        for line in self.all:
            if not without_comments([line], self.comment):
                found.append(line)
            elif before:
                before -= 1
            else:
                break
        return found


def sniff(
    head: bytes, whole: bool, name: str, reading: Reading, wanted: Sequence[str] = ()
) -> Found | None:
    """The dialect by the first bytes of a file; None where they hold no row and more may.

    wanted: names that columns are asked for by, which tell a header of numbers

    Raises BadTable where two readings are as good, with the option that decides.
    """
    encoding = encoding_of(head, reading.encoding)
    decoder = codecs.getincrementaldecoder(encoding)()
    text = decoded(decoder, head, whole, encoding).lstrip("\ufeff")
    if "\0" in text:
        raise BadTable(f"{name} is no text (it has bytes of 0); give CSV, Parquet or another table")
    if encoding == "utf-8" and reading == Reading() and (found := _usual(text, whole)):
        return found
    lines = _Lines.of(text, whole, reading)
    if not any(map(str.strip, lines.kept)):
        if not whole and len(head) < MOST_SAMPLE:
            return None
        raise BadTable(f"{name} has no rows; it needs a line of column names and then rows")
    quote = quote_of(lines.all)
    separators = SEPARATORS if lines.separator == "auto" else (lines.separator,)
    grids = [Grid(separator, quote, lines.kept) for separator in separators]
    grid = _best_grid(grids, name, wanted)

    body = list(zip_longest(*grid.body, fillvalue=""))
    plain = Numbers(missing=tuple(reading.missing_values))
    numeric = [is_numeric(column, plain) for column in body]
    telling = [one or is_dated(c, plain) for c, one in zip(body, numeric, strict=True)]
    first = first_row(grid, telling, plain)
    if wanted and first < len(grid.rows) and {*wanted} <= {c.strip() for c in grid.rows[first]}:
        first += 1  # names that are numbers, such as years
    before = grid.ends[first - 1] if first else 0
    rows = [row for row in grid.rows[first:] if len(row) == grid.width]
    columns = [list(column) for column in zip_longest(*rows, fillvalue="")]
    columns += [[]] * (grid.width - len(columns))
    known = [column for column, is_one in zip(columns, numeric, strict=False) if is_one]
    numbers = notation_of(known, grid.separator, name, reading)

    grid.filled = filled_columns(rows) or grid.width
    top = Header(None, [], first)
    if not reading.no_header:
        top = header(grid, first, lines.comments_above(before), wanted)
    if top.names and len(top.names) < grid.filled:
        _require_row_names(columns[: grid.filled], len(top.names), name)
    if reading.separator == "auto":
        _require_columns(grid, top, first, name)
    if reading.comment == "auto":
        _require_comments(grid, lines, telling, name)
    numbered = [f"column{k + 1}" for k in range(grid.width)]
    full = full_names(top.names, grid.filled, columns) if top.names else numbered
    twice = next((n for n in wanted if full.count(n) > 1), None)
    if twice is not None:
        raise BadTable(f"{name} has two columns {twice!r}; rename one of them")
    names, renamed = distinct_names(full)
    dialect = Dialect(
        separator=grid.separator,
        numbers=numbers,
        quote=grid.quote,
        encoding=encoding,
        comment=lines.comment,
        skip=lines.skip + before,
        before=sum(any(map(str.strip, row)) for row in grid.rows[: top.place]),
        names=tuple(names),
        has_header=top.names is not None,
        units={n: u for n, u in zip(names, top.units, strict=False) if u},
        width=grid.width,
        renamed=tuple(renamed),
        footer=grid.footer() if whole else (),
    )
    return Found(dialect, columns[: len(names)], any(telling))


def _usual(text: str, whole: bool) -> Found | None:
    """A header of words and rows of plain numbers, by commas: at a glance, as most files are."""
    text = text if whole else text[: text.rfind("\n") + 1]
    if not USUAL.fullmatch(text):
        return None
    names, *rows = (line.split(",") for line in text.split())
    names = [name.strip('"') for name in names]
    if len({*names}) < len(names) or {*map(len, rows)} != {len(names)}:
        return None
    columns = [list(column) for column in zip(*rows, strict=True)]
    return Found(Dialect(names=tuple(names), width=len(names), skip=1), columns, True)


def _best_grid(grids: Sequence[Grid], name: str, wanted: Sequence[str]) -> Grid:
    """Raises BadTable where two separators make different cells, and fit as well."""
    if any(grid.separator == "\t" and grid.width > 1 and grid.share > 0 for grid in grids):
        grids = [grid for grid in grids if grid.separator != " "]  # tabs are blanks, too

    def fit(grid: Grid) -> tuple:
        named = any({*wanted} <= {cell.strip() for cell in row} for row in grid.rows)
        return (grid.fit[0], bool(wanted) and named, *grid.fit[1:])

    best = max(grids, key=fit)
    for other in grids:
        if fit(other) == fit(best) and _cells(other) != _cells(best):
            raise BadTable(
                f"the lines of {name} are cells by {_shown(best.separator)} and by "
                f"{_shown(other.separator)}; give --separator"
            )
    return best


def _require_row_names(columns: Sequence[Sequence[str]], names: int, name: str) -> None:
    """Raises BadTable where the column without a name is not surely the first, as R writes it."""
    first, last = columns[0], [cell for cell in columns[-1] if cell.strip()]
    if len({*first}) < len(first) or 2 * len(last) < len(first):
        raise BadTable(
            f"{name} has {names} names over {len(columns)} columns; give each column a name"
        )


def _require_columns(grid: Grid, top: Header, first: int, name: str) -> None:
    """Raises BadTable where a column of decimal commas would be two, one of them without a name."""
    row = grid.lines[grid.ends[first] - 1] if first < len(grid.rows) else ""
    if grid.separator == "," and len(top.names or ()) == 1 and re.fullmatch(r"-?\d+,\d+", row):
        raise BadTable(
            f"{row} in {name} reads as a number with a decimal comma and, since there is one name, "
            "as the name of a row and a number; give --separator semicolon or --separator comma"
        )


def _require_comments(grid: Grid, lines: _Lines, telling: Sequence[bool], name: str) -> None:
    """Raises BadTable where a comment may be a row that begins with a text, as #12 is."""
    for line in lines.all if telling and not telling[0] else ():
        if without_comments([line], lines.comment):
            continue
        [row] = Grid(grid.separator, grid.quote, [line]).rows or [[]]
        pairs = list(zip(row, telling, strict=False))
        if len(row) == grid.width and all(is_value(c) for c, tells in pairs if tells):
            raise BadTable(
                f"{quoted(line)} in {name} reads as a comment and as a row; give --comment none, "
                f"or --comment {lines.comment}"
            )


def _cells(grid: Grid) -> list[list[str]]:
    return [[cell.strip() for cell in row[: grid.filled]] for row in grid.body]


def _shown(separator: str) -> str:
    return SHOWN.get(separator, repr(separator))


def footer_of(tail: str, found: Dialect) -> tuple[str, ...]:
    """Lines after the last row, by the end of a longer file."""
    lines = [line for line in LINE_END.split(tail)[1:] if line.strip()]
    return Grid(
        found.separator, found.quote, without_comments(lines, found.comment), found.width
    ).footer()
