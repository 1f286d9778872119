"""Files that a path, a folder, a glob or an address means."""

import copy
import fnmatch
import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet

from polyreg.errors import BadTable
from polyreg.tables.files import ENDINGS, UNREADABLE, Found, explained, format_of
from polyreg.text import without_secrets

HIDDEN = re.compile(r"(^|/)[._]")
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
        if format_of(file.path) and (one or not HIDDEN.search(file.name))
    ]
    if not chosen:
        raise BadTable(
            f"no CSV or Parquet at {root}; give a file that ends in {', '.join(ENDINGS)}, "
            "a folder of such files, or a glob"
        )
    formats = {format_of(file.path): file.path.name for file in chosen}
    if len(formats) > 1:
        raise BadTable(
            f"{root} means both CSV ({formats['csv']}) and Parquet ({formats['parquet']}); choose "
            "one by a glob like '*.csv'"
        )
    return root, chosen


def _listed_here(data: str) -> tuple[str, list[Found]]:
    path = Path(os.path.expanduser(data)).absolute()
    if path.is_dir():
        root, found = path, list(path.rglob("*"))
    else:
        matches = [str(path)] if path.is_file() else glob.glob(str(path), recursive=True)
        found = [Path(match) for match in matches]
        root = Path(os.path.commonpath([p.parent for p in found] or [path]))
    names = {p.relative_to(root).as_posix(): p for p in found if format_of(p) and p.is_file()}
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
    found = [Found(Path(p), "/".join(p.parts[depth:]), fs) for p, is_file in infos if is_file]
    return f"{scheme}{base}", found


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """As glob does it: `**` is any folders, or none; at the end, all that is below."""
    if not (path and pattern):
        return not (path or pattern)
    if pattern[0] == "**":
        rest = pattern[1:]
        return not rest or _matches(path, rest) or _matches(path[1:], pattern)
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
