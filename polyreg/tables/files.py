"""Files of tables: found, opened, read in batches, hashed, and their errors in one line.

They lie in a folder, or where pyarrow can read by an address: s3://, gs://, abfs://, hdfs://.
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet

from polyreg.errors import BadTable, NotNow
from polyreg.fields import Reading
from polyreg.tables.formats import columnar, dialect, sheets
from polyreg.tables.formats.cells import BadCell
from polyreg.tables.formats.columnar import BLOCK_ROWS as BLOCK_ROWS
from polyreg.tables.formats.dates import is_time
from polyreg.tables.formats.delimited import Delimited, is_packed, unpacked
from polyreg.tables.formats.dialect import footer_of
from polyreg.tables.formats.names import format_of, title
from polyreg.tables.formats.writing import CsvWriter
from polyreg.text import listed, quoted

pa.enable_signal_handlers(False)  # its own make an ArrowCancelled of Ctrl-C, whatever ours do
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, EOFError, zipfile.BadZipFile)
TAIL = 4096  # bytes at the end that are looked at for lines after the data


class Found(NamedTuple):
    """A file by its name below the folder of the table; fs None is this machine's own.

    keys: columns by the names of folders, with the value that all its rows have
    """

    path: Path
    name: str
    fs: pa.fs.FileSystem | None = None
    keys: tuple[tuple[str, pa.Scalar], ...] = ()

    def stamp(self) -> tuple[int, ...]:
        """Its size first, and what else changes when it does."""
        if self.fs is None:
            status = self.path.stat()
            return status.st_size, status.st_mtime_ns, status.st_ino
        [info] = self.fs.get_file_info([self.path.as_posix()])
        if not info.is_file:
            raise FileNotFoundError(2, "it is not there")
        return info.size, info.mtime_ns or 0

    def require_unchanged(self, stamp: tuple[int, ...]) -> None:
        """Raises NotNow where the file is another by now, or its server does not answer."""
        try:
            changed = self.stamp() != stamp
        except (FileNotFoundError, NotADirectoryError):
            changed = True
        except OSError as error:
            raise _not_now(error, self.name) from error
        if changed:
            raise NotNow(f"{self.name} changed while it was read; run again")

    def source(self) -> Any:
        """Its bytes as they lie there, seekable."""
        if self.fs is None:
            return pa.OSFile(str(self.path))
        return self.fs.open_input_file(self.path.as_posix())

    def footer(self) -> pa.parquet.FileMetaData:
        return pa.parquet.read_metadata(self.path.as_posix(), filesystem=self.fs)


class File(NamedTuple):
    """What is known of a file once it was opened; the footer is Parquet's."""

    found: Found
    stamp: tuple[int, ...]
    kind: str  # csv (any text), parquet, arrow, orc or json
    schema: pa.Schema
    reading: Reading
    keys: dict[str, pa.Scalar]  # the folders' that are no columns of its own
    text: Delimited | None = None
    sheets: tuple[str, ...] = ()  # the one that is read, and the others
    footer: pa.parquet.FileMetaData | None = None

    @classmethod
    def open(cls, reading: Reading, wanted: Sequence[str], found: Found) -> "File":
        try:
            stamp = found.stamp()
        except OSError as error:
            raise _not_now(error, found.name) from error
        if not stamp[0]:
            raise BadTable(f"{found.name} is empty; it needs column names and rows")
        try:
            kind, text, footer = _kind(found, reading), None, None
            names: tuple[str, ...] = ()
            if kind == "parquet":
                footer = found.footer()
                schema = footer.schema.to_arrow_schema()
            else:
                with found.source() as raw:
                    if kind == "csv":
                        names = sheets.names(raw, found.name, reading.sheet)
                        text = _opened(raw, found.name, reading, wanted)
                        schema = text.schema
                    else:
                        schema = columnar.schema(kind, unpacked(raw, found.name, reading))
            made = cls(found, stamp, kind, schema, reading, {}, text, names, footer)
            return made._with_keys()
        except UNREADABLE as error:
            found.require_unchanged(stamp)
            raise explained(error, found.name, []) from error

    def __reduce__(self):
        # A footer can be long, and stays where it is: whoever needs it reads it again.
        return File, self[:-1]

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def hint(self) -> str:
        """Why a column's name may not be there."""
        if self.sheets[1:]:
            return f", sheet {self.sheets[0]!r} (--sheet takes {listed(self.sheets[1:])}, too):"
        headless = self.text and not self.text.dialect.has_header and not self.reading.no_header
        return ", whose first line is data, not names:" if headless else ""

    def described(self) -> str:
        """How text or a sheet was read, in words."""
        told = self.text.dialect.described() if self.text else ""
        if not self.sheets:
            return told
        sheet, *others = self.sheets
        _, _, rest = told.partition(", ")
        first = [f"sheet {sheet!r}, not {listed(others)}"] if others else []
        return ", ".join(first + [rest] * bool(rest))

    def _with_keys(self) -> "File":
        """With a column for each of the folders' keys that the file itself has not."""
        keys = {k: v for k, v in self.found.keys if k not in self.schema.names}
        own = [*self.schema, *(pa.field(k, v.type) for k, v in keys.items())]
        return self._replace(keys=keys, schema=pa.schema(own, self.schema.metadata))

    def require_unchanged(self) -> None:
        self.found.require_unchanged(self.stamp)

    def judged(self, columns: Sequence[str]) -> "File":
        """With those of the columns decided whose kind only a whole pass can tell."""
        if not (self.text and {*columns} & {*self.text.undecided}):
            return self
        try:
            with self.found.source() as raw:
                stream = unpacked(raw, self.name, self.reading)
                text = self.text.judged(stream, columns)
        except UNREADABLE as error:
            self.require_unchanged()
            raise explained(error, self.name, self.schema.names) from error
        return self._replace(text=text, schema=text.schema)._with_keys()

    def batches(
        self,
        columns: list[str],
        groups: Sequence[int] | None = None,
        numbers: Sequence[str] | None = None,
        exact: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of these columns, in that order: of these row groups, or of the file.

        `numbers`, by default all, are those that have to be numbers in text; an `exact` pass
        gets their text, as Python's Decimal takes it, null where it is missing.
        """
        own = [c for c in columns if c not in self.keys] or self.schema.names[:1]
        for key in self.keys.keys() & {*(columns if numbers is None else numbers)}:
            if pa.types.is_string(self.keys[key].type):
                raise BadTable(
                    f"column {key} is not a number: by its folder {self.name} has "
                    f"{quoted(str(self.keys[key]))}; choose other columns"
                )
        try:
            for batch in self._batches(own, groups, numbers, exact):
                for key in (c for c in columns if c in self.keys):
                    batch = batch.append_column(key, pa.repeat(self.keys[key], batch.num_rows))
                yield batch.select(columns)
        except BadCell as error:
            raise self._refusal(error) from error
        except UNREADABLE as error:
            self.require_unchanged()
            raise explained(error, self.name, self.schema.names) from error

    def _batches(self, own, groups, numbers, exact) -> Iterator[pa.RecordBatch]:
        if self.kind == "parquet":
            yield from columnar.parquet_batches(self.found.path, self.found.fs, own, groups)
            return
        with ExitStack() as opened:

            def stream() -> Any:
                raw = opened.enter_context(self.found.source())
                return unpacked(raw, self.name, self.reading)

            if self.text:
                asked = [c for c in (own if numbers is None else numbers) if c in own]
                yield from self.text.batches(stream, own, asked, exact)
            elif self.kind == "json":
                yield from columnar.json_batches(stream, own)
            else:
                yield from columnar.batches(self.kind, stream(), own)

    def _refusal(self, error: BadCell) -> BadTable:
        kind = self.schema.field(error.column).type
        what = "a date" if is_time(kind) else "a number"
        return BadTable(
            f"column {error.column} is not {what}: row {error.index + 1:,} of {self.name} holds "
            f"{quoted(error.text)}; correct it, empty the cell, name it by --missing-values, or "
            "leave the column out by --exclude"
        )

    def meant(
        self, columns: Mapping[str, pa.Array], names: Sequence[str], before: int
    ) -> dict[str, pa.Array]:
        """Some of a batch's columns, after `before` rows: as numbers or times where it is text."""
        found = {}
        for name in names:
            array, is_text = columns[name], self.text and name not in self.keys
            try:
                found[name] = self.text.meant(name, array) if is_text and self.text else array
            except BadCell as error:
                raise self._refusal(BadCell(before + error.index, error.text, name)) from error
        return found

    def typed(self, column: str, array: pa.Array, kind: pa.DataType | None) -> pa.Array:
        """A text table's column as of a kind; raises BadCell where some of it would be lost."""
        if self.text is None or column in self.keys:
            return array
        return self.text.typed(column, array, kind)

    def sample(self, column: str) -> pa.Array:
        """The first cells of a column of text; none of a folder's key, of which others tell."""
        if column in self.keys:
            return pa.array([], pa.string())
        first = next(iter(self.batches([column], numbers=())), None)
        return pa.array([], pa.string()) if first is None else first.column(0).cast(pa.string())

    def cell(self, column: str, row: int) -> str:
        """What stands in a text table's cell; "" in other files."""
        if self.text and column in self.text.schema.names:
            for batch in self.batches([column], numbers=()):
                if row < batch.num_rows:
                    return batch.column(0)[row].as_py() or ""
                row -= batch.num_rows
        return ""

    def bounds(self, columns: list[str]) -> Iterator[tuple[int, list]]:
        """Of each row group: its rows, and each column's (low, high), None where not sure."""
        try:
            yield from columnar.bounds(self.footer or self.found.footer(), columns)
        except UNREADABLE as error:
            self.require_unchanged()
            raise explained(error, self.name, []) from error


def _opened(raw: Any, name: str, reading: Reading, wanted: Sequence[str]) -> Delimited:
    stream = unpacked(raw, name, reading)
    text = Delimited.open(stream, name, reading, wanted)
    if stream is raw and (size := raw.size()) > dialect.SAMPLE:
        raw.seek(size - TAIL)
        tail = bytes(raw.read()).decode(text.dialect.encoding, "ignore")
        text = replace(text, dialect=replace(text.dialect, footer=footer_of(tail, text.dialect)))
    return text


def _kind(found: Found, reading: Reading) -> str:
    """By the first bytes, packed or not; by the name where these tell nothing."""
    named = format_of(found.path) or "csv"
    if found.path.suffix.lower() in (".parquet", ".pq"):
        return "parquet"
    with found.source() as raw:
        head = bytes(raw.read(columnar.HEAD))
        raw.seek(0)
        if packed := is_packed(head):
            head = bytes(unpacked(raw, found.name, reading).read(columnar.HEAD))
    kind = columnar.kind_of(head) or named
    if packed and kind in ("parquet", "orc"):
        raise BadTable(f"{found.name} holds {title(kind)}, packed once more; unpack it")
    if kind == "json" and head.lstrip().startswith(b"["):
        raise BadTable(
            f"{found.name} is one JSON array; write a line for each record, as jq -c '.[]' or "
            "pandas' to_json(orient='records', lines=True) does"
        )
    return kind


def explained(error: Exception, name: str, columns: list[str], doing: str = "read") -> BadTable:
    """Arrow's or the system's error in our words; Arrow counts a CSV's header as row 1."""
    said = str(error)
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", said, re.DOTALL):
        return BadTable(
            f"row {int(found[1]) - 1:,} of {name} has {found[3]} fields where the header has "
            f"{found[2]}: {quoted(found[4])}; correct or quote it"
        )
    if found := re.search(r"Column\(/(.*)\) changed from (\w+) to (\w+)", said):
        return BadTable(
            f"column {found[1]} of {name} is {found[2]} in its first rows and {found[3]} in "
            "others; write it in one way"
        )
    if "unexpected field" in said:
        return BadTable(
            f"{name} has a record with a field that the first {columnar.JSON_BLOCK >> 20} MB have "
            "not; write every field in the first record, null where it is missing"
        )
    if "Empty CSV file" in said:
        return BadTable(f"{name} has no rows; it needs a line of column names and then rows")
    if isinstance(error, UnicodeDecodeError):
        return BadTable(f"{name} is not {error.encoding} throughout; give its --encoding")
    way_out = "check the file, or write it again" if doing == "read" else "choose another place"
    return BadTable(f"cannot {doing} {name}: {_said(error)}; {way_out}")


def _not_now(error: OSError, name: str) -> NotNow:
    return NotNow(f"cannot read {name}: {_said(error)}; run again once it can be read")


def _said(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return said.splitlines()[0] if said else type(error).__name__


def sha256(file: File) -> str:
    """What `sha256sum` prints for it."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
    try:
        with _raw(file.found) as stream:
            while count := stream.readinto(buffer):
                digest.update(buffer[:count])
    except OSError as error:
        file.require_unchanged()
        raise explained(error, file.name, []) from error
    return digest.hexdigest()


def _raw(found: Found) -> Any:
    if found.fs is None:
        return open(found.path, "rb", buffering=0)
    return found.fs.open_input_stream(found.path.as_posix(), compression=None)


def write(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Record batches of one schema into a new CSV or Parquet file, whole or not at all.

    Raises BadTable where it cannot be written; what was at path before stays until then.
    """
    if not path.absolute().parent.is_dir():
        raise BadTable(f"cannot write {path}: there is no folder {path.parent}; make it first")
    half = path.with_name(f".{path.name}.{os.getpid()}.part")
    kind = CsvWriter if format_of(path) == "csv" else pa.parquet.ParquetWriter
    writer = None
    try:
        for batch in batches:
            writer = writer or kind(half, batch.schema)
            writer.write_batch(batch)
        if writer is None:
            raise BadTable(f"no rows to write to {path}; the table has none")
        writer.close()
        half.replace(path)
    except (*UNREADABLE, ValueError) as error:
        if isinstance(error, BadTable | BadCell):
            raise
        raise explained(error, str(path), [], "write") from error
    finally:
        if writer is not None:
            with suppress(*UNREADABLE, ValueError):
                writer.close()
        with suppress(OSError):
            half.unlink(missing_ok=True)


class Place(NamedTuple):
    """Where a block begins: in which file, after how many of its rows."""

    file: str
    number: int  # of the file
    before: int

    def row(self, index: int) -> str:
        return f"row {self.before + index + 1:,} of {self.file}"

    def random(self, seed: int) -> np.random.Generator:
        """A number a row, whatever was read before."""
        bits = np.random.PCG64([seed, self.number])
        return np.random.Generator(bits.advance(self.before))
