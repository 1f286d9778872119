"""Text tables: opened whatever they are packed in, cleaned as a stream, and read by Arrow."""

import codecs
import io
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from polyreg.errors import BadTable
from polyreg.fields import Reading
from polyreg.tables.formats import dates, dialect, sheets
from polyreg.tables.formats.cells import FALSE, MOST, TRUE, BadCell, Column, counted, truths
from polyreg.tables.formats.dates import Order
from polyreg.tables.formats.dialect import Dialect, decoded
from polyreg.tables.formats.grid import comment_pattern, is_footer
from polyreg.text import listed, plural, quoted

BLOCK = 4 << 20  # bytes: about 100,000 rows of two columns
CHUNK = 1 << 20
PACKINGS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
EMPTY_ZIP, XZ = b"PK\x05\x06", b"\xfd7zXZ"
DATE = pa.timestamp("ns")
TRUTHS = {*TRUE, *FALSE}
# Numbers that int64 and float64 keep: no codes with zeros before them, and no digits lost.
EXACT_WHOLE = r"^[+-]?(0|[1-9]\d{0,17})$"
EXACT = r"^[+-]?(?:(0|[1-9]\d*)?([.]\d*)?([eE][+-]?\d+)?|(?i:inf|infinity))$"
WHOLE = re.compile(r"[+-]?\d{1,18}")


def is_packed(head: bytes) -> bool:
    """Whether a file that begins so is one packed stream; a zip may be a spreadsheet."""
    return head.startswith((*PACKINGS, XZ))


def unpacked(stream: Any, name: str, reading: Reading) -> Any:
    """A seekable stream of bytes as what it holds, by its first bytes and not by its name.

    A spreadsheet is the CSV of one sheet.
    """
    head = bytes(stream.read(6))
    stream.seek(0)
    packing = next((kind for magic, kind in PACKINGS.items() if head.startswith(magic)), None)
    if packing:
        return pa.CompressedInputStream(stream, packing)
    if head.startswith(XZ):
        return pa.PythonFile(lzma.LZMAFile(stream), mode="r")
    if head.startswith(sheets.XLS):
        return pa.PythonFile(sheets.as_csv(stream, name, reading.sheet), mode="r")
    if head.startswith(EMPTY_ZIP):
        raise BadTable(f"{name} is an empty zip file; pack one table into it")
    if head.startswith(sheets.ZIP):
        packed = zipfile.ZipFile(stream)
        if sheets.is_book(packed):
            return pa.PythonFile(sheets.as_csv(stream, name, reading.sheet), mode="r")
        return pa.PythonFile(_only_file(packed, name), mode="r")
    return stream


def _only_file(packed: zipfile.ZipFile, name: str) -> Any:
    inside = [f for f in packed.namelist() if not f.endswith("/") and "__MACOSX" not in f]
    if len(inside) != 1:
        raise BadTable(f"{name} holds {plural(len(inside), 'file')}: {listed(inside)}; unpack one")
    return packed.open(inside[0])


class Judged(NamedTuple):
    """What the cells of a column are, by a whole pass."""

    column: Column = Column()
    dates: int = 0
    order: Order = Order()

    def __add__(self, later: "Judged") -> "Judged":  # type: ignore[override]
        return Judged(
            self.column + later.column, self.dates + later.dates, self.order + later.order
        )

    @property
    def kind(self) -> pa.DataType:
        if self.column.is_number:
            return pa.float64()
        if not self.column.texts:
            return pa.null()
        return DATE if self.dates > MOST * self.column.texts else pa.string()


@dataclass(frozen=True)
class Delimited:
    """What is known of a text table: dialect, columns, and what these are.

    `undecided` are columns that a whole pass has to judge, since they are empty or text in the
    first lines. `orders` are what columns of dates tell of day and month, and `day_first` what
    that comes to in the whole table.
    """

    dialect: Dialect
    schema: pa.Schema
    undecided: tuple[str, ...] = ()
    orders: dict[str, Order] = field(default_factory=dict)
    day_first: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def open(cls, stream: Any, name: str, reading: Reading, wanted: Sequence[str]) -> "Delimited":
        """By a stream's first bytes. Raises BadTable."""
        head, found, whole = b"", None, False
        while found is None:
            size = max(dialect.SAMPLE, 3 * len(head))
            head += (more := _read(stream, size))
            whole = len(more) < size
            is_last = whole or len(head) >= dialect.MOST_SAMPLE
            try:
                found = dialect.sniff(head, whole, name, reading, wanted)
            except BadTable:  # later rows may tell
                if is_last:
                    raise
            if found and not (found.has_values or is_last):
                found = None
        fields, undecided, orders = [], [], {}
        for column, some in zip(found.dialect.names, found.cells, strict=True):
            kind = _kind(some, found.dialect)
            order = dates.order_of(some) if kind == DATE else Order()
            if order.any:
                orders[column] = order
            if not whole and (kind in (pa.null(), pa.string()) or order.is_open):
                undecided.append(column)
            fields.append(pa.field(column, kind))
        return cls(found.dialect, pa.schema(fields), tuple(undecided), orders)

    def judged(self, stream: Any, columns: Sequence[str]) -> "Delimited":
        """With the undecided among the columns decided, by one pass."""
        judging = [c for c in columns if c in self.undecided]
        found = dict.fromkeys(judging, Judged())
        row = 0
        for batch in self._reader(stream, judging, ()):
            for column in judging:
                texts = as_text(batch.column(column))
                counts, times, order = counted(texts, self.dialect.numbers, row), 0, Order()
                if counts.texts > counts.numbers:
                    cells = [c for c in texts.to_pylist() if c]
                    times = sum(map(dates.is_date, cells))
                    order = dates.order_of(cells) if times else order
                found[column] += Judged(counts, times, order)
            row += batch.num_rows
        fields, orders = list(self.schema), dict(self.orders)
        for column, one in found.items():
            fields[self.schema.get_field_index(column)] = pa.field(column, one.kind)
            if one.kind == DATE and one.order.any:
                orders[column] = one.order
        undecided = tuple(c for c in self.undecided if c not in judging)
        return replace(self, schema=pa.schema(fields), undecided=undecided, orders=orders)

    def batches(
        self,
        stream: Callable[[], Any],
        columns: Sequence[str],
        numbers: Sequence[str],
        exact: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of these columns, in that order; those not in `numbers` stay text.

        exact: numbers as text that Python's Decimal takes, too

        Raises BadCell, its index counted from the first row, where a cell is none.
        """
        written = self.dialect.numbers
        done, typed = 0, not (exact or written.grouping or written.is_open)
        while True:
            row = 0
            try:
                for batch in self._reader(stream(), columns, numbers if typed else ()):
                    end = row + batch.num_rows
                    if end > done:
                        part = batch.slice(max(0, done - row))
                        yield self._converted(part, columns, numbers, max(row, done), exact)
                        done = end
                    row = end
                return
            except pa.ArrowInvalid as error:
                if not typed or "CSV conversion error" not in str(error):
                    raise
                typed = False  # again from there, cell by cell

    def _converted(
        self,
        batch: pa.RecordBatch,
        columns: Sequence[str],
        numbers: Sequence[str],
        before: int,
        exact: bool,
    ) -> pa.RecordBatch:
        """What is still text as what it means."""
        arrays = []
        for column in columns:
            array = batch.column(column)
            if pa.types.is_string(array.type):
                array = as_text(array)
                if column in numbers:
                    try:
                        array = self.meant(column, array, exact)
                    except BadCell as error:
                        raise BadCell(before + error.index, error.text, column) from error
            arrays.append(array)
        return pa.record_batch(arrays, names=list(columns))

    def meant(self, column: str, array: pa.Array, exact: bool = False) -> pa.Array:
        """Text as numbers, truth values or times. Raises BadCell."""
        kind = self.schema.field(column).type
        if kind == DATE:
            spellings = self.dialect.numbers.spellings
            return dates.times(array, self.day_first.get(column), spellings)
        numbers = self.dialect.numbers
        if pa.types.is_boolean(kind):
            return truths(array, numbers.spellings)
        return numbers.plain(array) if exact else numbers.values(array)

    def typed(self, column: str, array: pa.Array, kind: pa.DataType | None) -> pa.Array:
        """Text as values of a kind, None as it stands. Raises BadCell where some would be lost."""
        if kind in (None, pa.string(), pa.null()):
            return array
        if kind == DATE or pa.types.is_boolean(kind):
            return self.meant(column, array)
        plain = self.dialect.numbers.plain(array)
        kept = EXACT_WHOLE if kind == pa.int64() else EXACT
        fits = pc.fill_null(pc.match_substring_regex(plain, kept), True)
        if not pc.all(fits).as_py():
            index = fits.index(False).as_py()
            raise BadCell(index, plain[index].as_py(), column)
        return plain.cast(kind)

    def _reader(self, stream: Any, columns: Sequence[str], numbers: Sequence[str]) -> Iterator:
        d = self.dialect
        hidden = [f"\0{k}" for k in range(d.width - len(d.names))]  # empty in the first lines
        kinds = dict.fromkeys(columns, pa.string())
        for column in numbers:
            kind = self.schema.field(column).type
            if kind != DATE:
                kinds[column] = pa.bool_() if pa.types.is_boolean(kind) else pa.float64()
        under_words = self.schema.field(d.names[0]).type in (pa.string(), pa.null())
        odd: list[tuple[int, pa.csv.InvalidRow]] = []  # lines of another width, before which row
        blank = 0

        def judge(line: pa.csv.InvalidRow) -> str:
            nonlocal blank
            if line.text.strip():  # Arrow counts all lines
                odd.append((line.number - d.skip - blank - len(odd), line))
            else:
                blank += 1
            return "skip"

        def require_no_rows_below(rows: int) -> None:
            for row, line in odd:
                if row <= rows or not is_footer(line.text, line.actual_columns, under_words):
                    raise pa.ArrowInvalid(
                        f"Row #{row + 1}: Expected {d.width} columns, got "
                        f"{line.actual_columns}: {line.text}"
                    )

        reader = pa.csv.open_csv(
            _source(stream, d),
            # One thread is as fast here as two, and only then do errors tell their row.
            pa.csv.ReadOptions(
                block_size=BLOCK,
                use_threads=False,
                skip_rows=d.skip,
                column_names=[*d.names, *hidden],
            ),
            pa.csv.ParseOptions(
                delimiter=d.separator,
                quote_char=d.quote,
                newlines_in_values=True,
                invalid_row_handler=judge,
            ),
            pa.csv.ConvertOptions(
                include_columns=[*columns, *hidden],
                column_types=kinds | dict.fromkeys(hidden, pa.string()),
                decimal_point=d.numbers.decimal,
                null_values=d.numbers.spellings,
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
        rows = 0
        with reader:
            for batch in reader:
                rows += batch.num_rows
                require_no_rows_below(rows)
                for column in hidden:
                    if value := next(filter(str.strip, batch.column(column).to_pylist()), ""):
                        raise pa.ArrowInvalid(f"{quoted(value)} stands in a column without a name")
                yield batch
            require_no_rows_below(rows)


def _read(stream: Any, size: int) -> bytes:
    """As many bytes, but at the end."""
    parts, left = [], size
    while left and (part := bytes(stream.read(left))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _kind(some: Sequence[str], found: Dialect) -> pa.DataType:
    """The Arrow type of a column, by some of its cells."""
    known = [cell for cell in map(str.strip, some) if not found.numbers.is_missing(cell)]
    if not known:
        return pa.null()
    numbers = [cell for cell in known if found.numbers.is_number(cell)]
    if len(numbers) > MOST * len(known):
        whole = len(numbers) == len(known) == len(some) and all(map(WHOLE.fullmatch, numbers))
        return pa.int64() if whole else pa.float64()
    if all(cell in TRUTHS for cell in known):
        return pa.bool_()
    return DATE if sum(map(dates.is_date, known)) > MOST * len(known) else pa.string()


def as_text(column: pa.Array) -> pa.Array:
    """Strings; those that are no UTF-8, in a file that began with it, as Windows-1252."""
    try:
        column.validate(full=True)
        return column
    except pa.ArrowInvalid:
        found = (None if c is None else _decoded(c) for c in column.cast(pa.binary()).to_pylist())
        return pa.array(found, pa.string())


def _decoded(cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell.decode("cp1252", "replace")


def _source(stream: Any, d: Dialect) -> Any:
    """What Arrow reads: the stream as it is, or cleaned."""
    is_clean = d.encoding == "utf-8" and not d.comment and d.separator != " "
    return stream if is_clean else pa.PythonFile(_Cleaned(stream, d), mode="r")


class _Cleaned(io.RawIOBase):
    """A stream as UTF-8, without comments, and with single blanks between cells."""

    def __init__(self, stream: Any, d: Dialect):
        self._stream, self._dialect = stream, d
        self._decoder = (
            codecs.getincrementaldecoder(d.encoding)() if d.encoding != "utf-8" else None
        )
        self._rest, self._ready, self._begun, self._ended = b"", b"", False, False
        self._comments = re.compile(
            rb"(?:\A|(?<=[\r\n]))"
            + comment_pattern(d.comment).encode()
            + rb"[^\r\n]*(?:\r\n|\r|\n|\Z)"
        )

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._ready) < size):
            self._ready += self._more()
        size = len(self._ready) if size < 0 else size
        found, self._ready = self._ready[:size], self._ready[size:]
        return found

    def _more(self) -> bytes:
        block = bytes(self._stream.read(CHUNK))
        self._ended = not block
        if self._decoder:
            block = decoded(self._decoder, block, self._ended, self._dialect.encoding).encode()
        block = self._rest + block
        if not self._begun:
            self._begun, block = bool(block), block.removeprefix(codecs.BOM_UTF8)
        last = block.rfind(b"\n") + 1 or block.rfind(b"\r") + 1
        cut = len(block) if self._ended else last
        block, self._rest = block[:cut], block[cut:]
        mark = self._dialect.comment.encode()
        if mark and mark in block:
            block = self._comments.sub(b"", block)
        return _single_blanks(block) if self._dialect.separator == " " else block


def _single_blanks(block: bytes) -> bytes:
    """Runs of blanks outside of double quotes as one, none at the ends of lines."""
    block = block.replace("\u00a0".encode(), b" ")
    if b'"' in block:
        block = re.sub(rb'("[^"]*")|[ \t]+', lambda found: found[1] or b" ", block)
        return re.sub(rb" *(\r?\n|\r|\A|\Z) *", rb"\1", block)
    block = block.replace(b"\t", b" ")  # ten times as fast as regular expressions
    while b"  " in block:
        block = block.replace(b"  ", b" ")
    for end in (b"\r", b"\n"):
        block = block.replace(b" " + end, end).replace(end + b" ", end)
    return block.strip(b" ")
