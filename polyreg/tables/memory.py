"""Data that Python holds, as a table: arrays, tensors, and frames of pandas, polars or pyarrow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from polyreg.errors import BadTable
from polyreg.tables.columns import other_numbers, require_columns, require_numbers
from polyreg.tables.parts import as_float64
from polyreg.tables.rows import InMemory
from polyreg.text import listed

TITLE = "the data"


class Frame(NamedTuple):
    """Columns as Arrow has them, by name; without its numbers, what a file is known by."""

    columns: Mapping[str, Any]
    name: str = TITLE
    is_csv: bool = False

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, column.type) for name, column in self.columns.items()])


def in_memory(
    x: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] = (),
    weights: Any = None,
    missing: str = "refuse",
) -> InMemory:
    """The table of x and y, or of a frame x and the names of its columns.

    x: (N,), (N, D), or a frame, whose `features` are by default its other numeric columns
    y: (N,) or (N, 1); None where `target` names a column of x
    weights: (N,), or the name of a column of x; None is 1 for each row

    Raises BadTable where shapes or lengths differ, a column is missing, or it is no number.
    """
    if isinstance(features, str):
        features = (features,)
    by_name = isinstance(weights, str)
    if is_frame(x):
        columns = _columns(x)
        asked = [c for c in (*features, target if y is None else None) if c is not None]
        asked += [weights] if by_name else []
        frame = [Frame(columns)]
        require_columns(frame, asked)
        if y is None and target is None:
            raise BadTable(f"target must name the column to predict, one of {listed([*columns])}")
        names = tuple(features) or other_numbers(frame[0], asked)
        require_numbers(frame, [*names, *asked])
        found = {name: as_float64(_whole(columns[name])) for name in {*names, *asked}}
        xs = [found[name] for name in names]
    else:
        if by_name:
            raise BadTable(f"weights={weights!r} names a column, and x is no frame; give an array")
        if y is None:
            raise BadTable("y is missing: give an array y, or a frame x and target, a column of it")
        found, table = {}, _numbers(x, "x", 2)
        xs = list(table.T)
        names = tuple(features) or _names(x, len(xs))
        if len(names) != len(xs):
            raise BadTable(f"x has {len(xs)} columns, and features {len(names)} names")
    if y is None:
        ys, named = found[str(target)], str(target)
    else:
        ys, named = _numbers(y, "y", 1), target or _name(y) or "y"
    weighed = found[weights] if by_name else None
    if weights is not None and not by_name:
        weighed = _numbers(weights, "weights", 1)
    for what, column in (("y", ys), ("weights", weighed)):
        if column is not None and xs and len(column) != len(xs[0]):
            raise BadTable(
                f"x has {len(xs[0]):,} rows and {what} has {len(column):,}; give one for each row"
            )
    taken = [name for name in names if names.count(name) > 1 or name == named]
    if taken:
        raise BadTable(f"column {taken[0]!r} is chosen twice; a target or feature is one only")
    kept = weights if by_name else "weights"
    return InMemory(
        xs, ys, weighed, names, target=named, weighed=kept, title=TITLE, missing=missing
    )


def is_frame(x: Any) -> bool:
    """Whether data have columns by name: a frame, or a dictionary of arrays."""
    return hasattr(x, "columns") or isinstance(x, Mapping)


def is_address(x: Any) -> bool:
    """Whether data are a file's, by path or address."""
    return isinstance(x, str | Path)


def _columns(frame: Any) -> dict[str, Any]:
    names = list(getattr(frame, "column_names", None) or getattr(frame, "columns", frame))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadTable(f"{TITLE} has two columns {str(twice)!r}; rename one of them")
    return {str(name): _arrow(frame[name]) for name in names}


def _arrow(column: Any) -> Any:
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column
    if hasattr(column, "to_arrow"):
        return column.to_arrow()
    try:
        return pa.array(column)
    except (
        pa.ArrowException
    ):  # objects of several kinds: no number, which is said if it is asked for
        return pa.array(list(map(repr, column)))


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numbers(values: Any, what: str, most: int) -> np.ndarray:
    """As float64: (N, D) of at most two dimensions, or (N,) of one."""
    if is_frame(values):
        columns = _columns(values)
        require_numbers([Frame(columns)], list(columns))
        array = np.column_stack([as_float64(_whole(c)) for c in columns.values()])
    elif hasattr(values, "detach"):
        array = values.detach().cpu().numpy()
    elif isinstance(values, pa.Array | pa.ChunkedArray) or hasattr(values, "to_arrow"):
        array = as_float64(_whole(_arrow(values)))
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise BadTable(f"{what} is no array: its rows have different lengths") from error
    if array.dtype.kind == "O":  # such as pandas' nullable numbers
        try:
            array = np.asarray(values, dtype=float)
        except (TypeError, ValueError) as error:
            raise BadTable(f"{what} is not a number everywhere ({error}); convert it") from error
    if array.dtype.kind not in "biuf":
        raise BadTable(f"{what} is not a number: its dtype is {array.dtype}; convert it")
    shape = array.shape
    if most == 1 and array.ndim == 2 and shape[1] == 1:
        array = array[:, 0]
    if most == 2 and array.ndim == 1:
        array = array[:, None]
    if array.ndim != most:
        wanted = "(N,) or (N, D)" if most == 2 else "(N,)"
        raise BadTable(f"{what} must have the shape {wanted}; got {shape}")
    return array.astype(np.float64, copy=False)


def _name(values: Any) -> str:
    """A series' own name."""
    name = getattr(values, "name", None)
    return name if isinstance(name, str) else ""


def _names(x: Any, size: int) -> tuple[str, ...]:
    if size == 1:
        return (_name(x) or "x",)
    return tuple(f"x{d}" for d in range(1, size + 1))
