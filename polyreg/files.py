"""Files of CSV or Parquet: found, opened, read in batches, hashed, and their errors in one line."""

import glob
import hashlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from polyreg.config import Refused

pa.enable_signal_handlers(False)  # its own make an ArrowCancelled of Ctrl-C, whatever ours do

BLOCK_ROWS = 131_072
CSV_BLOCK = 4 << 20  # bytes: about 100,000 rows of two columns
ENDINGS = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet", ".pq": "parquet"}
HIDDEN = re.compile(r"(^|/)[._]")
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)

# By default Arrow would hold whole row groups: 850 MB on 50 million rows of two columns, this 50 MB
# in the same time. Its dataset scanner reads ahead: with a consumer that works it took 240 MB and
# longer (0.98 s against 0.71 s on two cores), and held all of a file of one row group.
STREAMED = {"pre_buffer": False, "buffer_size": 1 << 20}


class BadTable(Refused):
    """One line: what is wrong with the table, where, and the way out."""

    def __init__(self, message: str):
        super().__init__(" ".join(message.splitlines()))


class File(NamedTuple):
    """What is known of a file once it was opened; the footer is Parquet's."""

    path: Path
    name: str
    stamp: tuple[int, ...]
    schema: pa.Schema
    footer: pa.parquet.FileMetaData | None

    @classmethod
    def open(cls, path: Path, name: str) -> "File":
        try:
            stamp = _stamp(path)
            if not stamp[0]:
                raise BadTable(f"{name} is empty; it needs column names and rows")
            if format_of(path) == "parquet":
                footer = pa.parquet.read_metadata(path)
                return cls(path, name, stamp, footer.schema.to_arrow_schema(), footer)
            with _csv(path, pa.csv.ConvertOptions()) as reader:
                _require_commas(name, reader.schema.names)  # decodes them: UTF-8 or not
                return cls(path, name, stamp, reader.schema, None)
        except UNREADABLE as error:
            raise _explained(error, name, []) from error

    def require_unchanged(self) -> None:
        try:
            changed = _stamp(self.path) != self.stamp
        except OSError:
            changed = True
        if changed:
            raise BadTable(f"{self.name} changed while it was read; run again")

    def batches(
        self, columns: list[str], group: int | None = None, numbers: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Record batches of these columns, in that order: of one row group, or of the file.

        `numbers`, by default all, are those that have to be numbers in a CSV.
        """
        try:
            if self.footer is None:
                with _csv(self.path, self._as_numbers(columns, numbers or columns)) as reader:
                    yield from reader
                return
            with pa.parquet.ParquetFile(self.path, **STREAMED) as source:
                groups = None if group is None else [group]
                yield from source.iter_batches(BLOCK_ROWS, groups, columns)
        except UNREADABLE as error:
            self.require_unchanged()
            raise _explained(error, self.name, self.schema.names) from error

    def _as_numbers(self, columns: list[str], numbers: Sequence[str]) -> pa.csv.ConvertOptions:
        """These are numbers from the start: Arrow judges by the first block alone."""
        kinds = {c: pa.string() for c in columns}  # the others stay as they are written
        for column in numbers:
            boolean = pa.types.is_boolean(self.schema.field(column).type)
            kinds[column] = pa.bool_() if boolean else pa.float64()
        return pa.csv.ConvertOptions(include_columns=columns, column_types=kinds)

    def bounds(self, columns: list[str]) -> Iterator[tuple[int, list]]:
        """Of each row group: its rows, and each column's (low, high), None where not sure."""
        assert self.footer is not None
        place = {self.footer.schema.column(i).path: i for i in range(self.footer.num_columns)}
        for g in range(self.footer.num_row_groups):
            group = self.footer.row_group(g)
            ranges = [_range(group.column(place[c]).statistics) for c in columns]
            yield group.num_rows, ranges


def find(data: str) -> tuple[Path, list[Path]]:
    """The files that `data` means, sorted by name, and the folder which the names are below."""
    path = Path(os.path.expanduser(data)).absolute()
    try:
        if path.is_dir():
            root, found = path, list(path.rglob("*"))
        else:
            matches = [str(path)] if path.is_file() else glob.glob(str(path), recursive=True)
            found = [Path(match) for match in matches]
            root = Path(os.path.commonpath([p.parent for p in found] or [path]))
        names = {p.relative_to(root).as_posix(): p for p in found if format_of(p) and p.is_file()}
    except (OSError, ValueError) as error:
        raise _explained(error, str(path), []) from error
    # Spark and others leave hidden files beside the data.
    chosen = [p for n, p in sorted(names.items()) if path.is_file() or not HIDDEN.search(n)]
    if not chosen:
        raise BadTable(
            f"no CSV or Parquet at {path}; give a file that ends in {', '.join(ENDINGS)}, "
            "a folder of such files, or a glob"
        )
    formats = {format_of(p): p.name for p in chosen}
    if len(formats) > 1:
        raise BadTable(
            f"{path} means both CSV ({formats['csv']}) and Parquet ({formats['parquet']}); choose "
            "one by a glob like '*.csv'"
        )
    return root, chosen


def format_of(path: Path) -> str | None:
    return next((f for end, f in ENDINGS.items() if path.name.lower().endswith(end)), None)


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _require_commas(name: str, header: list[str]) -> None:
    if len(header) == 1:
        for mark in (";", "\t", "|"):
            if mark in header[0]:
                raise BadTable(
                    f"{name} looks separated by {mark!r}: {short(header[0])}; only commas are "
                    "read, and decimal points"
                )


def _csv(path: Path, convert: pa.csv.ConvertOptions) -> pa.csv.CSVStreamingReader:
    # One thread is as fast here as two, and only then do errors tell their row.
    return pa.csv.open_csv(
        path,
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


def short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _explained(error: Exception, name: str, columns: list[str], doing: str = "read") -> BadTable:
    """Arrow's or the system's error in our words; Arrow counts a CSV's header as row 1."""
    said = str(error)
    if found := re.search(r"column #(\d+): Row #(\d+): .*? invalid value '(.*)'", said, re.DOTALL):
        return BadTable(
            f"column {columns[int(found[1])]} is not a number: row {int(found[2]) - 1:,} of {name} "
            f"holds {short(found[3])}; correct it, empty the cell, or choose other columns"
        )
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", said, re.DOTALL):
        return BadTable(
            f"row {int(found[1]) - 1:,} of {name} has {found[3]} fields where the header has "
            f"{found[2]}: {short(found[4])}; correct or quote it"
        )
    if "Empty CSV file" in said:
        return BadTable(f"{name} has no rows; it needs a line of column names and then rows")
    if isinstance(error, UnicodeDecodeError):
        return BadTable(f"the column names of {name} are not UTF-8; save the file as UTF-8")
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror
    said = said.splitlines()[0] if said else type(error).__name__
    way_out = "check the file, or write it again" if doing == "read" else "choose another place"
    return BadTable(f"cannot {doing} {name}: {said}; {way_out}")


def sha256(file: File) -> str:
    """What `sha256sum` prints for it."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(1 << 20))
    try:
        with open(file.path, "rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                digest.update(buffer[:count])
    except OSError as error:
        file.require_unchanged()
        raise _explained(error, file.name, []) from error
    return digest.hexdigest()


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
        raise _explained(error, str(path), [], "write") from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
