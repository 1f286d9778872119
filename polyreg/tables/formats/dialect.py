"""Dialect of a text table, found in its first lines: separator, numbers, header, encoding.

DuckDB's sniff_csv, clevercsv and Python's csv.Sniffer were measured on 25 files of instruments,
spreadsheets and databases (benchmarks/peers/dialects.py): none finds decimal commas, units, or
what stands before and after a table.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

from polyreg.errors import BadTable
from polyreg.fields import SEPARATORS as WORDS
from polyreg.fields import Reading
from polyreg.tables.formats import dates
from polyreg.tables.formats.cells import MOST, Numbers
from polyreg.tables.formats.notation import VALUE, is_numeric, notation_of
from polyreg.text import plural

SEPARATORS = ("\t", ";", ",", "|", " ")  # in this order where two fit as well; " " is blanks
COMMENTS = ("#", "%", "//", ";")
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SHOWN = {"\t": "tabs", " ": "blanks"}
UNIT = re.compile(
    r"\[.*\]|\(.*\)|[%‰°1-]|a\.?u\.?|arb\. ?units?|pp[mbt]v?|counts?|cts|deg([CFK]| ?C)?|°[CFK]"
    r"|([yzafpnuµμmcdhkMGTPEZY]|da)?(m|g|s|A|K|mol|cd|Hz|N|Pa|J|W|C|V|F|Ω|ohms?|S|Wb|T|H|lm|lx|Bq"
    r"|Gy|Sv|L|l|bar|eV|rad|sr|min|h|d|t|M|B)([-^]?\d|²|³)?([/*·. ]\S{1,8})*"
    r"|in|ft|psi|rpm|years?|days?|hours?"
)
SAMPLE = 1 << 15  # bytes that are looked at, more where the table begins later
MOST_SAMPLE = 1 << 20


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
    ends: str = "\n"
    width: int = 0  # of the rows; those beyond the names are empty
    renamed: tuple[str, ...] = ()  # names that stand twice
    footer: tuple[str, ...] = ()  # lines after the last row

    def described(self) -> str:
        """What was found, in words."""
        said = [f"separated by {SHOWN.get(self.separator, repr(self.separator))}"]
        if self.numbers.decimal != ".":
            said.append("decimal comma")
        if self.numbers.grouping:
            mark = "blanks" if self.numbers.grouping == " " else repr(self.numbers.grouping)
            said.append(f"{mark} between thousands")
        if self.encoding not in ("utf-8", "utf-8-sig"):
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


def encoding_of(head: bytes, asked: str, name: str) -> str:
    """UTF-8, or UTF-16 by its mark or its zeros; what is neither is Windows' Western one."""
    if asked != "auto":
        try:
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
    if b"\0" in head:
        raise BadTable(f"{name} is no text (it has bytes of 0); give CSV, Parquet or another table")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252" if not set(head) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "latin-1"
    return "utf-8"


def sniff(
    head: bytes, whole: bool, name: str, reading: Reading, wanted: Sequence[str] = ()
) -> Found | None:
    """The dialect by the first bytes of a file; None where they hold no row and more may.

    wanted: names that columns are asked for by, which tell a header of numbers

    Raises BadTable where two readings are as good, with the option that decides.
    """
    encoding = encoding_of(head, reading.encoding, name)
    text = codecs.getincrementaldecoder(encoding)().decode(head, whole)
    ends = "\r" if "\r" in text and "\n" not in text else "\n"
    lines = text.replace("\r\n", "\n").split(ends)
    if not whole and len(lines) > 1:
        del lines[-1]  # it may be cut
    while lines and not lines[-1].strip():
        del lines[-1]
    skip = 0 if reading.skip_lines == "auto" else int(reading.skip_lines)
    said = (
        re.fullmatch(r"\ufeff?\"?sep=(.|\\t)\"?", lines[skip].strip("\n "))
        if lines[skip:]
        else None
    )
    asked = WORDS.get(reading.separator, reading.separator)
    if said:
        skip += 1
        asked = said[1] if asked == "auto" else asked
    comment, kept = _without_comments(lines[skip:], reading.comment, asked)
    if not any(line.strip() for line in kept):
        if not whole and len(head) < MOST_SAMPLE:
            return None
        raise BadTable(f"{name} has no rows; it needs a line of column names and then rows")
    quote = _quote(kept)
    tables = [
        _Table(separator, quote, kept)
        for separator in (SEPARATORS if asked == "auto" else (asked,))
    ]
    table = max(tables, key=lambda t: t.fit)
    known = {
        "whole": whole,
        "skip": skip,
        "encoding": encoding,
        "ends": ends,
        "comment": comment,
        "comments": [c for c in lines[skip:] if comment and c.lstrip().startswith(comment)],
    }
    return _described(table, name, reading, wanted, known)


def _without_comments(lines: list[str], asked: str, separator: str) -> tuple[str, list[str]]:
    """The mark of comments, "" without, and the other lines."""
    if asked != "auto":
        marks: Sequence[str] = () if asked == "none" else (asked,)
    else:
        marks = [mark for mark in COMMENTS if mark != separator]
    for mark in marks:
        kept = [line for line in lines if not line.lstrip().startswith(mark)]
        if mark == ";" and asked == "auto" and any(";" in line for line in kept):
            continue  # it separates
        if len(kept) < len(lines) and any(line.strip() for line in kept):
            return mark, kept
    return (asked if asked not in ("auto", "none") else ""), lines


def _quote(lines: Sequence[str]) -> str:
    if any('"' in line for line in lines):
        return '"'
    single = any(re.search(r"(?:^|[,;\t|])'[^']*'(?:[,;\t|]|$)", line) for line in lines)
    return "'" if single else '"'


class _Table:
    """Lines as cells, by one separator."""

    def __init__(self, separator: str, quote: str, lines: Sequence[str]):
        self.separator, self.quote, self.lines = separator, quote, lines
        if separator == " ":
            lines = [squeezed(line) for line in lines]
        reader = csv.reader([f"{line}\n" for line in lines], delimiter=separator, quotechar=quote)
        self.rows: list[list[str]] = []
        self.ends: list[int] = []  # lines up to and with each row
        try:
            for row in reader:
                self.rows.append(row)
                self.ends.append(reader.line_num)
        except csv.Error:
            self.rows, self.ends = [], []
        later = [row for row in self.rows[len(self.rows) // 2 :] if any(map(str.strip, row))]
        widths, all_widths = Counter(map(len, later)), Counter(map(len, self.rows))
        self.width = max(widths, key=lambda w: (widths[w], all_widths[w])) if widths else 0
        self.body = [row for row in later if len(row) == self.width]

    @property
    def fit(self) -> tuple:
        """How well the separator explains the lines: more is better."""
        cells = [cell for row in self.body[-200:] for cell in row if cell.strip()]
        values = sum(bool(VALUE.fullmatch(cell.strip())) or dates.is_date(cell) for cell in cells)
        share = (len(self.body) / max(1, len(self.rows) - len(self.rows) // 2)) * (
            values / max(1, len(cells))
        )
        # One column is what is left where no separator fits.
        one = self.width < 2 and not any(self.separator in row[0] for row in self.body if row)
        if self.width < 2 and not one:
            share = 0.0
        header = [r for r in self.rows if any(map(str.strip, r))][:1]
        split = bool(header) and len(header[0]) == 1 and self.width > 1
        return (share > 0.3 and not split, self.width > 1, round(share, 3), -self._rank)

    @property
    def _rank(self) -> int:
        return SEPARATORS.index(self.separator) if self.separator in SEPARATORS else 0


def squeezed(line: str) -> str:
    """Runs of blanks as one, outside of double quotes."""
    return re.sub(
        r'("[^"]*")|[ \t\u00a0]+', lambda found: found[1] or " ", line.strip(" \t\u00a0\r")
    )


def _described(
    table: _Table,
    name: str,
    reading: Reading,
    wanted: Sequence[str],
    known: dict[str, Any],
) -> Found:
    width = table.width
    columns = list(zip_longest(*table.body, fillvalue=""))
    numeric = [is_numeric(column) for column in columns]
    cells = [cell for c, is_one in zip(columns, numeric, strict=True) if is_one for cell in c]
    numbers = notation_of(cells, table.separator, name, reading)
    telling = [one or _is_dated(c) for c, one in zip(columns, numeric, strict=True)]
    first = _first_row(table, telling, numbers)
    if wanted and first < len(table.rows) and {*wanted} <= {c.strip() for c in table.rows[first]}:
        first += 1  # names that are numbers, such as years
    names, units, place = _header(table, first, reading, known.pop("comments"))
    rows = [row for row in table.rows[first:] if len(row) == width]
    columns = [list(column) for column in zip_longest(*rows, fillvalue="")]
    columns += [[]] * (width - len(columns))
    has_header = names is not None
    full = _full(names, width, columns) if names else [f"column{k + 1}" for k in range(width)]
    twice = next((n for n in wanted if full.count(n) > 1), None)
    if twice is not None:
        raise BadTable(f"{name} has two columns {twice!r}; rename one of them")
    distinct, renamed = _distinct(full)
    dialect = Dialect(
        separator=table.separator,
        numbers=numbers,
        quote=table.quote,
        skip=known.pop("skip") + (table.ends[first - 1] if first else 0),
        before=sum(any(map(str.strip, row)) for row in table.rows[:place]),
        names=tuple(distinct),
        has_header=has_header,
        units={n: u for n, u in zip(distinct, units, strict=False) if u},
        width=width,
        renamed=tuple(renamed),
        footer=_footer(table) if known.pop("whole") else (),
        **known,
    )
    return Found(dialect, columns[: len(distinct)])


def _is_dated(cells: Sequence[str]) -> bool:
    known = [cell for cell in cells if not PLAIN.is_missing(cell)]
    return bool(known) and sum(map(dates.is_date, known)) > MOST * len(known)


def _first_row(table: _Table, telling: list[bool], numbers: Numbers) -> int:
    """The place of the first row: of the table's width, with a value where columns have values.

    Rows above it that have some are rows, too: what else is in them will be refused.
    """

    def values(row: list[str]) -> tuple[int, int]:
        """How many cells are values, and how many are something else."""
        cells = [c.strip() for c, tells in zip(row, telling, strict=False) if tells and c.strip()]
        known = sum(bool(VALUE.fullmatch(c)) or dates.is_date(c) for c in cells)
        return known, len(cells) - known - sum(map(numbers.is_missing, cells))

    if not any(telling):  # text alone
        return min(1, len(table.rows))
    first = len(table.rows)
    for place, row in enumerate(table.rows):
        known, strange = values(row)
        if len(row) == table.width and known and not strange:
            first = place
            break
    while first and len(row := table.rows[first - 1]) == table.width:
        known, strange = values(row)
        if not (known or (not strange and any(map(str.strip, row)))):
            break
        first -= 1
    return first


def _header(
    table: _Table, first: int, reading: Reading, comments: list[str]
) -> tuple[list[str] | None, list[str], int]:
    """Names, None without a header; units; and the place of the names' row."""
    above: list[tuple[int, list[str]]] = []
    for i in range(first - 1, -1, -1):
        row = [cell.strip() for cell in table.rows[i]]
        if len(row) == table.width + 1 and not row[-1]:
            row.pop()
        if table.separator == " " and len(row) != table.width:  # names with blanks in them
            row = re.split(r"\s{2,}", table.lines[table.ends[i] - 1].strip())
        if not any(row) or len(row) not in (table.width, table.width - 1):
            break
        above.append((i, row))
    if reading.no_header:
        return None, [], first
    units: list[str] = []
    if len(above) > 1 and _are_units(above[0][1]) and not _are_units(above[1][1]):
        units = [cell.strip("[]()") for cell in above.pop(0)[1]]
    if above:
        return above[0][1], units, above[0][0]
    if comments and first < len(table.rows):  # as numpy.savetxt writes it
        words = comments[-1].strip().lstrip("#%/; ")
        words = squeezed(words) if table.separator == " " else words
        found = next(csv.reader([words], delimiter=table.separator, quotechar=table.quote), [])
        if len(found) == table.width and not any(map(VALUE.fullmatch, found)):
            return [cell.strip() for cell in found], [], first
    return None, [], first


def _are_units(cells: Sequence[str]) -> bool:
    known = [cell.strip() for cell in cells if cell.strip()]
    return bool(known) and all(UNIT.fullmatch(cell) for cell in known)


def _full(names: list[str], width: int, columns: list[list[str]]) -> list[str]:
    """A name for each column, but those at the right that have neither name nor value."""
    if len(names) == width - 1 and any(cell.strip() for cell in columns[-1]):
        names = ["", *names]  # R's row names have none
    while len(names) > 1 and not names[-1] and not any(map(str.strip, columns[len(names) - 1])):
        names = names[:-1]
    return [n or (f"column{k + 1}" if k else "") for k, n in enumerate(names)]


def _distinct(names: list[str]) -> tuple[list[str], list[str]]:
    """Names of which no two are the same: x, x_2, x_3."""
    taken: set[str] = set()
    made, renamed = [], []
    for name in names:
        own, k = name, 2
        while own in taken:
            own, k = f"{name}_{k}", k + 1
        if own != name:
            renamed.append(f"{name} is {own}")
        taken.add(own)
        made.append(own)
    return made, renamed


def _footer(table: _Table) -> tuple[str, ...]:
    """Lines at the end that are no rows: of another width, beginning with a word."""
    found: list[str] = []
    for row, end in zip(reversed(table.rows), reversed(table.ends), strict=True):
        if not any(map(str.strip, row)):
            continue
        if len(row) == table.width or VALUE.fullmatch(row[0].strip()) or not row[0].strip():
            break
        found.append(table.lines[end - 1].strip())
    return tuple(reversed(found))


def footer_of(tail: str, found: Dialect) -> tuple[str, ...]:
    """The same, by the last lines of a longer file."""
    lines = [line for line in tail.splitlines() if line.strip()]
    if found.comment:
        lines = [line for line in lines if not line.lstrip().startswith(found.comment)]
    table = _Table(found.separator, found.quote, lines)
    table.width = found.width
    return _footer(table)
