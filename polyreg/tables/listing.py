"""Files that a path, a folder, a glob or an address means."""

import copy
import fnmatch
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet

from polyreg.errors import BadTable
from polyreg.tables.files import UNREADABLE, Found, explained
from polyreg.tables.formats.names import SHEETS, format_of, title, unpacked_name
from polyreg.text import without_secrets

HIDDEN = re.compile(r"(^|/)([._]|~\$)")
# Of a folder that has such files, no others are read.
SURE = (
    ".csv",
    ".parquet",
    ".pq",
    ".tsv",
    ".arrow",
    ".feather",
    ".orc",
    ".jsonl",
    ".ndjson",
    *SHEETS,
)
ABSENT = "__HIVE_DEFAULT_PARTITION__"  # where there is no value
KINDS = (
    (re.compile(r"-?\d{1,18}"), pa.int64()),
    (re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"), pa.float64()),
    (re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"), pa.date32()),
)
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")


def find(data: str) -> tuple[str, list[Found]]:
    """The files that `data` means, sorted by name, and the folder which the names are below."""
    try:
        root, found = _listed_at(data) if ADDRESS.match(data) else _listed_here(data)
        one = len(found) == 1 and data.endswith(found[0].name)
    except (*UNREADABLE, ValueError) as error:
        raise BadTable(without_secrets(str(explained(error, data, [])))) from error
    # Spark and others leave hidden files beside the data.
    chosen = [
        file
        for file in sorted(found, key=lambda file: file.name)
        if one or not HIDDEN.search(file.name)
    ]
    if any(is_surely_a_table(file.path) for file in chosen):  # a readme beside them is none
        chosen = [file for file in chosen if is_surely_a_table(file.path) or one]
    if not chosen:
        raise BadTable(
            f"no table at {root}; give a file, a folder of files that end in "
            f"{', '.join(SURE)} and the like, or a glob"
        )
    formats = {_format(file.path): file.path.name for file in chosen}
    if len(formats) > 1:
        (one_format, a), (other, b) = list(formats.items())[:2]
        raise BadTable(
            f"{root} means both {title(one_format)} ({a}) and {title(other)} ({b}); choose "
            "one by a glob like '*.csv'"
        )
    return root, with_keys(chosen)


def with_keys(files: list[Found]) -> list[Found]:
    """With the columns that names of folders give, as year=2018/site=north/a.parquet does.

    A column is of whole numbers, numbers, dates or text, whichever fits its values in all files.
    """
    keys = []
    for file in files:
        parts = (part.partition("=") for part in PurePath(file.name).parts[:-1])
        keys.append({key: unquote(value) for key, mark, value in parts if key and mark})
    kinds = {name: _kind([k[name] for k in keys if name in k]) for one in keys for name in one}
    return [
        file._replace(keys=tuple((k, _value(v, kinds[k])) for k, v in one.items()))
        for file, one in zip(files, keys, strict=True)
    ]


def _kind(values: list[str]) -> pa.DataType:
    known = [value for value in values if value != ABSENT]
    fitting = (kind for pattern, kind in KINDS if all(map(pattern.fullmatch, known)))
    return next(fitting, pa.string()) if known else pa.string()


def _value(value: str, kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(None if value == ABSENT else value, pa.string()).cast(kind)


def is_surely_a_table(path: PurePath) -> bool:
    """Whether its ending is one that only tables have."""
    return unpacked_name(path).endswith(SURE)


def _format(path: PurePath) -> str:
    """What one table's files have in common."""
    is_sheet = path.name.lower().endswith(SHEETS)
    return "sheets" if is_sheet else format_of(path) or "csv"


def _listed_here(data: str) -> tuple[str, list[Found]]:
    path = Path(os.path.expanduser(data)).absolute()
    if path.is_dir():
        root, found = path, list(path.rglob("*"))
    else:
        matches = [str(path)] if path.is_file() else glob.glob(str(path), recursive=True)
        found = [Path(match) for match in matches]
        root = Path(os.path.commonpath([p.parent for p in found] or [path]))
    alone = path.is_file()  # whatever its name
    files = [p for p in found if p.is_file() and (alone or format_of(p))]
    names = {p.relative_to(root).as_posix(): p for p in files}
    return str(root if names else path), [Found(p, name) for name, p in names.items()]


def _listed_at(address: str) -> tuple[str, list[Found]]:
    """As `_listed_here`, by pyarrow; in a glob, `*` stays within its folder and `**` does not."""
    fs, path = pa.fs.FileSystem.from_uri(address)
    if isinstance(fs, pa.fs.LocalFileSystem):
        return _listed_here(path)
    if fs.type_name == "s3":
        # from_uri leaves out the constructor's limit of 3 attempts, which a copy has: at a server
        # that accepts and stays silent 10 s, not 99 s.
        fs = copy.copy(fs)
    parts = PurePosixPath(path).parts
    wild = next((i for i, part in enumerate(parts) if set(part) & set("*[")), len(parts))
    base = "/".join(parts[:wild])
    scheme = ADDRESS.match(address)[0]  # type: ignore[index]
    [info] = fs.get_file_info([base])
    if info.is_file:
        name = PurePosixPath(base).name
        return f"{scheme}{base}".removesuffix(f"/{name}"), [Found(Path(base), name, fs)]
    selector = pa.fs.FileSelector(base, allow_not_found=True, recursive=True)
    infos = [(PurePosixPath(info.path), info.is_file) for info in fs.get_file_info(selector)]
    if pattern := parts[wild:]:
        infos = [(p, is_file) for p, is_file in infos if _matches(p.parts[wild:], pattern)]
        base = os.path.commonpath([str(p.parent) for p, _ in infos] or [base])
    depth = len(PurePosixPath(base).parts)
    found = [
        Found(Path(p), "/".join(p.parts[depth:]), fs)
        for p, is_file in infos
        if is_file and format_of(p)
    ]
    return f"{scheme}{base}", found


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """As glob does it: `**` is any folders, or none; at the end, all that is below."""
    if not (path and pattern):
        return not (path or pattern)
    if pattern[0] == "**":
        rest = pattern[1:]
        return not rest or _matches(path, rest) or _matches(path[1:], pattern)
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
