"""Choice of the columns: those named, or all that are numbers; refusals of the others."""

import difflib
from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from polyreg.errors import BadTable
from polyreg.text import listed, quoted

INDEX = ("", "__index_level_0__")  # what pandas calls an index that it writes: no feature


class Columns(Protocol):
    """What is known of a file, or of a frame, before its numbers are read."""

    @property
    def name(self) -> str: ...

    @property
    def is_csv(self) -> bool: ...

    @property
    def schema(self) -> pa.Schema: ...


def require_columns(files: Sequence[Columns], asked: list[str]) -> None:
    twice = next((c for c in asked if asked.count(c) > 1), None)
    if twice is not None:
        raise BadTable(f"column {twice!r} is chosen twice; a target, feature or weight is one only")
    first = files[0].schema.names
    for file in files:
        names = file.schema.names
        if file.is_csv and not {*asked} & {*names} and all(map(_is_numeral, names)):
            raise BadTable(
                f"the first line of {file.name} is data, not names: {quoted(','.join(names))}; "
                "put a line of column names first"
            )
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
            raise BadTable(
                f"no column {name!r} in {files[0].name}"
                f"{f', did you mean {near[0]!r}?' if near else ';'} it has {listed(first)}"
            )


def require_numbers(files: Sequence[Columns], columns: list[str]) -> None:
    for file in files:
        for column in columns:
            kind = file.schema.field(column).type
            if not is_number(kind):
                raise BadTable(
                    f"column {column} is not a number: in {file.name} it is {kind}; convert it, or "
                    "choose other columns"
                )


def other_numbers(file: Columns, asked: list[str]) -> tuple[str, ...]:
    taken = {*asked, *INDEX}
    found = [f.name for f in file.schema if f.name not in taken and is_number(f.type)]
    if not found and set(file.schema.types) == {pa.null()}:
        raise BadTable(f"{file.name} has no rows with values; a fit needs some")
    if not found:
        raise BadTable(
            f"{file.name} has no numeric column left for a feature; it has "
            f"{listed([f'{f.name} ({f.type})' for f in file.schema])}"
        )
    return tuple(found)


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)
