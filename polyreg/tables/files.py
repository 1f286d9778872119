"""Files of CSV or Parquet: found, opened, read in batches, hashed, and their errors in one line.

They lie in a folder, or where pyarrow can read by an address: s3://, gs://, abfs://, hdfs://.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet

from polyreg.errors import BadTable, NotNow
from polyreg.text import quoted

pa.enable_signal_handlers(False)  # its own make an ArrowCancelled of Ctrl-C, whatever ours do
BLOCK_ROWS = 131_072
CSV_BLOCK = 4 << 20  # bytes: about 100,000 rows of two columns
ENDINGS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".pq": "parquet"}
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)
# By default Arrow would hold whole row groups: 850 MB on 50 million rows of two columns, this 50 MB
# in the same time. Its dataset scanner reads ahead: with a consumer that works it took 240 MB and
# longer (0.98 s against 0.71 s on two cores), and held all of a file of one row group.
STREAMED = {"pre_buffer": False, "buffer_size": 1 << 20}
# Over a network each request waits: rather a row group at a time.
FETCHED = {"pre_buffer": True}


class Found(NamedTuple):
    """A file by its name below the folder of the table; fs None is this machine's own."""

    path: Path
    name: str
    fs: pa.fs.FileSystem | None = None

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
        """What Arrow opens, decompressed."""
        return self.path if self.fs is None else self.fs.open_input_stream(self.path.as_posix())

    def footer(self) -> pa.parquet.FileMetaData:
        return pa.parquet.read_metadata(self.path.as_posix(), filesystem=self.fs)


class File(NamedTuple):
    """What is known of a file once it was opened; the footer is Parquet's."""

    found: Found
    stamp: tuple[int, ...]
    schema: pa.Schema
    footer: pa.parquet.FileMetaData | None

    @classmethod
    def open(cls, found: Found) -> "File":
        try:
            stamp = found.stamp()
        except OSError as error:
            raise _not_now(error, found.name) from error
        if not stamp[0]:
            raise BadTable(f"{found.name} is empty; it needs column names and rows")
        try:
            if format_of(found.path) == "parquet":
                footer = found.footer()
                return cls(found, stamp, footer.schema.to_arrow_schema(), footer)
            with _csv(found, pa.csv.ConvertOptions()) as reader:
                _require_commas(found.name, reader.schema.names)  # decodes them: UTF-8 or not
                return cls(found, stamp, reader.schema, None)
        except UNREADABLE as error:
            found.require_unchanged(stamp)
            raise explained(error, found.name, []) from error

    def __reduce__(self):
        # A footer can be long, and stays where it is: whoever needs it reads it again.
        return File, (self.found, self.stamp, self.schema, None)

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def is_csv(self) -> bool:
        return format_of(self.found.path) == "csv"

    def require_unchanged(self) -> None:
        self.found.require_unchanged(self.stamp)

    def batches(
        self,
        columns: list[str],
        groups: Sequence[int] | None = None,
        numbers: Sequence[str] | None = None,
        exact: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of these columns, in that order: of these row groups, or of the file.

        `numbers`, by default all, are those that have to be numbers in a CSV; an `exact` pass gets
        their text, null where it is missing.
        """
        path, fs = self.found.path, self.found.fs
        try:
            if format_of(path) == "csv":
                convert = self._as_numbers(columns, numbers or columns, exact)
                with _csv(self.found, convert) as reader:
                    yield from reader
                return
            way = STREAMED if fs is None else FETCHED
            with pa.parquet.ParquetFile(
                path.as_posix(), filesystem=fs, page_checksum_verification=True, **way
            ) as source:
                yield from source.iter_batches(BLOCK_ROWS, groups, columns)
        except UNREADABLE as error:
            self.require_unchanged()
            raise explained(error, self.name, self.schema.names) from error

    def _as_numbers(
        self, columns: list[str], numbers: Sequence[str], exact: bool
    ) -> pa.csv.ConvertOptions:
        """These are numbers from the start: Arrow judges by the first block alone."""
        kinds = {c: pa.string() for c in columns}  # the others stay as they are written
        for column in numbers:
            boolean = pa.types.is_boolean(self.schema.field(column).type)
            kinds[column] = pa.bool_() if boolean else pa.string() if exact else pa.float64()
        return pa.csv.ConvertOptions(
            include_columns=columns, column_types=kinds, strings_can_be_null=exact
        )

    def bounds(self, columns: list[str]) -> Iterator[tuple[int, list]]:
        """Of each row group: its rows, and each column's (low, high), None where not sure."""
        try:
            footer = self.footer or self.found.footer()
        except UNREADABLE as error:
            self.require_unchanged()
            raise explained(error, self.name, []) from error
        place = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
        for g in range(footer.num_row_groups):
            group = footer.row_group(g)
            ranges = [_range(group.column(place[c]).statistics) for c in columns]
            yield group.num_rows, ranges


def format_of(path: PurePath) -> str | None:
    return next((f for end, f in ENDINGS.items() if path.name.lower().endswith(end)), None)


def _require_commas(name: str, header: list[str]) -> None:
    if len(header) == 1:
        for mark in (";", "\t", "|"):
            if mark in header[0]:
                raise BadTable(
                    f"{name} looks separated by {mark!r}: {quoted(header[0])}; only commas are "
                    "read, and decimal points"
                )


def _csv(file: Found, convert: pa.csv.ConvertOptions) -> pa.csv.CSVStreamingReader:
    # One thread is as fast here as two, and only then do errors tell their row.
    return pa.csv.open_csv(
        file.source(),
        read_options=pa.csv.ReadOptions(block_size=CSV_BLOCK, use_threads=False),
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=convert,
    )


def _range(told: pa.parquet.Statistics | None) -> tuple[float, float] | None:
    if not (told and told.has_min_max and told.has_null_count and told.null_count == 0):
        return None
    if isinstance(told.min, bytes):  # float16 comes undecoded
        return None
    low, high = float(told.min), float(told.max)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def explained(error: Exception, name: str, columns: list[str], doing: str = "read") -> BadTable:
    """Arrow's or the system's error in our words; Arrow counts a CSV's header as row 1."""
    said = str(error)
    if found := re.search(r"column #(\d+): Row #(\d+): .*? invalid value '(.*)'", said, re.DOTALL):
        return BadTable(
            f"column {columns[int(found[1])]} is not a number: row {int(found[2]) - 1:,} of {name} "
            f"holds {quoted(found[3])}; correct it, empty the cell, or choose other columns"
        )
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", said, re.DOTALL):
        return BadTable(
            f"row {int(found[1]) - 1:,} of {name} has {found[3]} fields where the header has "
            f"{found[2]}: {quoted(found[4])}; correct or quote it"
        )
    if "Empty CSV file" in said:
        return BadTable(f"{name} has no rows; it needs a line of column names and then rows")
    if isinstance(error, UnicodeDecodeError):
        return BadTable(f"the column names of {name} are not UTF-8; save the file as UTF-8")
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
    kind = pa.csv.CSVWriter if format_of(path) == "csv" else pa.parquet.ParquetWriter
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
        if isinstance(error, BadTable):
            raise
        raise explained(error, str(path), [], "write") from error
    finally:
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
