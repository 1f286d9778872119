"""Parquet, Arrow, ORC and JSON lines, by pyarrow."""

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

import pyarrow as pa
import pyarrow.json
import pyarrow.orc
import pyarrow.parquet

ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".orc": "orc",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
}
ARROW = b"ARROW1\0\0"  # a file of batches, which holds a stream of them
MAGIC = {b"PAR1": "parquet", ARROW: "arrow", b"\xff\xff\xff\xff": "arrow", b"ORC": "orc"}
RECORD = re.compile(rb"(\xef\xbb\xbf)?\s*\{\s*\"")  # JSON
HEAD = 64  # bytes that tell what a file is
INDEX = ("", "__index_level_0__")  # what pandas calls an index that it writes
BLOCK_ROWS = 131_072
JSON_BLOCK = 4 << 20
# By default Arrow would hold whole row groups: 850 MB on 50 million rows of two columns, this 50 MB
# in the same time. Its dataset scanner reads ahead: with a consumer that works it took 240 MB and
# longer (0.98 s against 0.71 s on two cores), and held all of a file of one row group.
STREAMED = {"pre_buffer": False, "buffer_size": 1 << 20}
# Over a network each request waits: rather a row group at a time.
FETCHED = {"pre_buffer": True}


def kind_of(head: bytes) -> str | None:
    """By a file's first bytes; None where it may be text, or is none of these."""
    if RECORD.match(head):
        return "json"
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


def schema(kind: str, stream: Any) -> pa.Schema:
    """Of an Arrow, ORC or JSON file."""
    if kind == "arrow":
        return _arrow(stream).schema
    if kind == "orc":
        return pa.orc.ORCFile(stream).schema
    return _json(stream).schema


def batches(kind: str, stream: Any, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Record batches of these columns, in that order, of an Arrow or ORC file."""
    if kind == "arrow":
        reader = _arrow(stream)
        many = getattr(reader, "num_record_batches", None)
        found = reader if many is None else (reader.get_batch(i) for i in range(many))
    else:
        from pyarrow.dataset import OrcFileFormat

        # ORCFile has whole stripes alone: 128 MB where this takes 10, in the same time.
        whole = OrcFileFormat().make_fragment(stream)
        scan = {"batch_size": BLOCK_ROWS, "batch_readahead": 0, "use_threads": False}
        found = whole.scanner(columns=columns, **scan).to_batches()
    for batch in found:
        yield batch.select(columns)


def json_batches(stream: Callable[[], Any], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Record batches of these columns, in that order.

    Arrow takes a column's type from the first block. Where whole numbers become fractions later,
    it reads again from there, as float64.
    """
    done, types = 0, None
    while True:
        row, whole = 0, False
        try:
            reader = _json(stream(), types)
            whole = any(pa.types.is_integer(field.type) for field in reader.schema)
            for batch in reader:
                end = row + batch.num_rows
                if end > done:
                    yield batch.select(columns).slice(max(0, done - row))
                    done = end
                row = end
            return
        except pa.ArrowInvalid as error:
            if not (whole and "to int64" in str(error)):
                raise
            types = pa.schema(
                field.with_type(pa.float64()) if pa.types.is_integer(field.type) else field
                for field in reader.schema
            )


def _arrow(stream: Any) -> Any:
    """A file of batches, or a stream of them."""
    if stream.seekable():
        head = bytes(stream.read(len(ARROW)))
        stream.seek(0)
        return (pa.ipc.open_file if head == ARROW else pa.ipc.open_stream)(stream)
    packed = io.BufferedReader(stream)
    if packed.peek(len(ARROW)).startswith(ARROW):
        packed.read(len(ARROW))
    return pa.ipc.open_stream(packed)


def _json(stream: Any, types: pa.Schema | None = None) -> Any:
    return pa.json.open_json(
        stream,
        pa.json.ReadOptions(block_size=JSON_BLOCK, use_threads=False),
        pa.json.ParseOptions(explicit_schema=types),
    )


def parquet_batches(
    path: PurePath, fs: Any, columns: list[str], groups: Sequence[int] | None
) -> Iterator[pa.RecordBatch]:
    """Of these row groups, or of all."""
    way = STREAMED if fs is None else FETCHED
    with pa.parquet.ParquetFile(
        path.as_posix(), filesystem=fs, page_checksum_verification=True, **way
    ) as source:
        yield from source.iter_batches(BLOCK_ROWS, groups, columns)


def bounds(
    footer: pa.parquet.FileMetaData, columns: list[str]
) -> Iterator[tuple[int, list[tuple[float, float] | None]]]:
    """Of each row group: its rows, and each column's (low, high), None where not sure."""
    place = {footer.schema.column(i).path: i for i in range(footer.num_columns)}
    for g in range(footer.num_row_groups):
        group = footer.row_group(g)
        ranges = [
            _range(group.column(place[c]).statistics) if c in place else None for c in columns
        ]
        yield group.num_rows, ranges


def _range(told: pa.parquet.Statistics | None) -> tuple[float, float] | None:
    if not (told and told.has_min_max and told.has_null_count and told.null_count == 0):
        return None
    try:
        low, high = float(told.min), float(told.max)
    except (TypeError, ValueError):  # float16 comes undecoded, dates as such
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def pandas_index(found: pa.Schema) -> list[str]:
    """Columns that were the index of a pandas frame."""
    told = (found.pandas_metadata or {}).get("index_columns", [])
    return [name for name in told if isinstance(name, str)]
