"""CSV of record batches."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc


class CsvWriter:
    """CSV of record batches; quotes stand only where they have to.

    Arrow's own quotes all text, or none of it.
    """

    def __init__(self, path: Path, schema: pa.Schema):
        self._file = path.open("w", encoding="utf-8", newline="")
        names = pa.record_batch([pa.array([name]) for name in schema.names], names=schema.names)
        self.write_batch(names)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        cells = [_unquoted(column) for column in batch.columns]
        join = pc.binary_join_element_wise
        lines = join(*cells, ",", null_handling="replace", null_replacement="")
        self._file.write("".join(f"{line}\n" for line in lines.to_pylist()))

    def close(self) -> None:
        self._file.close()


def _unquoted(column: pa.Array) -> pa.Array:
    """A column as cells of a CSV."""
    cells = column.cast(pa.string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return cells
    special = pc.match_substring_regex(cells, '[",\r\n]')
    if not pc.any(special).as_py():
        return cells
    in_quotes = pc.binary_join_element_wise('"', pc.replace_substring(cells, '"', '""'), '"', "")
    return pc.if_else(special, in_quotes, cells)
