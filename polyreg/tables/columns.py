"""Choice of the columns: those named, or all that are numbers or dates; why others are none."""

import difflib
import re
from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from polyreg.errors import BadTable
from polyreg.tables.formats.cells import CURRENCY, Numbers, counted, is_quantity
from polyreg.tables.formats.columnar import INDEX, pandas_index
from polyreg.tables.formats.dates import is_time
from polyreg.text import listed, quoted

UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?")  # pandas' name of what had none


class Columns(Protocol):
    """What is known of a file, or of a frame, before its numbers are read."""

    @property
    def name(self) -> str: ...

    @property
    def hint(self) -> str: ...

    def sample(self, column: str) -> pa.Array: ...

    @property
    def schema(self) -> pa.Schema: ...


def require_columns(files: Sequence[Columns], asked: list[str]) -> None:
    twice = next((c for c in asked if asked.count(c) > 1), None)
    if twice is not None:
        raise BadTable(f"column {twice!r} is chosen twice; a target, feature or weight is one only")
    first = files[0].schema.names
    for file in files:
        names = file.schema.names
        twice = next((c for c in names if names.count(c) > 1), None)
        if twice is not None:
            raise BadTable(f"{file.name} has two columns {twice!r}; rename one of them")
        for name in sorted({*names} ^ {*first}):
            owner, other = (file, files[0]) if name in names else (files[0], file)
            raise BadTable(
                f"{owner.name} has a column {name!r} and {other.name} has not; the files of one "
                "table have the same columns"
            )
    for name in asked:
        if name not in first:
            near = difflib.get_close_matches(name, first, n=1)
            hint = f", did you mean {near[0]!r}?" if near else files[0].hint or ";"
            raise BadTable(f"no column {name!r} in {files[0].name}{hint} it has {listed(first)}")


def require_numbers(files: Sequence[Columns], columns: list[str], dated: Sequence[str]) -> None:
    """Of formats that know what a column is; those in `dated` may be dates."""
    for file in files:
        for column in columns:
            kind = file.schema.field(column).type
            empty = kind == pa.null() and any(f.schema.field(column).type != kind for f in files)
            if not (is_number(kind) or (is_time(kind) and column in dated) or empty):
                raise BadTable(
                    f"column {column} is not a number: in {file.name} it is {kind}; convert it, or "
                    "choose other columns"
                )


def features_of(
    files: Sequence[Columns], asked: list[str], excluded: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Columns that can be features, and the others with the reason, in the files' order.

    Raises BadTable where none can, or where one is mostly numbers, but written as text.
    """
    schema = files[0].schema
    index = pandas_index(schema)
    found, others = [], []
    for place, name in enumerate(schema.names):
        if name in asked or name in excluded:
            continue
        kinds = {file.schema.field(name).type: file for file in files}
        kinds.pop(pa.null(), None)
        usable = [k for k in kinds if is_number(k) or is_time(k)]
        if name in index or name in INDEX or (not place and UNNAMED.fullmatch(name)):
            others.append((name, "an index"))
        elif not kinds:
            others.append((name, "empty"))
        elif usable:  # text in another file is refused where it stands
            found.append(name)
        else:
            others.append((name, _text_of(files[0], name, next(iter(kinds)))))
    if not found:
        told = ", ".join(f"{name!r} ({why})" for name, why in others)
        if schema.names and {why for _, why in others} == {"empty"}:
            raise BadTable(f"{files[0].name} has no rows with values; a fit needs some")
        raise BadTable(
            f"{files[0].name} has no numeric column left for a feature"
            + (f": {told} cannot be one" if told else f"; it has {listed(schema.names)}")
        )
    return tuple(found), others


def _text_of(file: Columns, name: str, kind: pa.DataType) -> str:
    """What a column holds that is no feature.

    Raises BadTable where it is mostly numbers, or numbers with a % or a currency.
    """
    if not is_text(kind):
        return str(kind)
    cells = file.sample(name)
    counts = counted(cells, Numbers())
    way_out = "or leave the column out by --exclude"
    if counts.is_number and not counts.texts:
        raise BadTable(f"column {name} of {file.name} holds numbers as text; convert it, {way_out}")
    if counts.is_number:
        raise BadTable(
            f"column {name} is not a number: row {counts.row:,} of {file.name} holds "
            f"{quoted(counts.first)}; correct it, {way_out}"
        )
    if not is_quantity(counts.first):
        return "text"
    if set(counts.first) & set(f"%{CURRENCY}"):
        raise BadTable(
            f"column {name} is not a number: row {counts.row:,} of {file.name} holds "
            f"{quoted(counts.first)}; write the number alone and its unit in the column's name, "
            f"{way_out}"
        )
    return f"text, like {quoted(counts.first)}"


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()


def is_number(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return is_number(kind.value_type)
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)
