"""Formats by the endings of files' names."""

from pathlib import PurePath

from polyreg.tables.formats import columnar

TEXT = (".csv", ".tsv", ".txt", ".dat")
SHEETS = (".xlsx", ".xls", ".ods")
PACKED = (".gz", ".bz2", ".zip", ".zst", ".xz")
ENDINGS = columnar.ENDINGS | dict.fromkeys((*TEXT, *SHEETS, ".zip"), "csv")


def format_of(path: PurePath) -> str | None:
    """By the name's ending; None where it tells nothing."""
    ends = unpacked_name(path).endswith
    return next((kind for ending, kind in ENDINGS.items() if ends(ending)), None)


def unpacked_name(path: PurePath) -> str:
    """In small letters, without the ending of what it is packed in."""
    name = path.name.lower()
    inner = name.removesuffix(next((end for end in PACKED if name.endswith(end)), ""))
    return inner if inner.endswith((*ENDINGS,)) else name


def title(kind: str) -> str:
    """A format in words."""
    own = {"csv": "CSV", "json": "JSON", "orc": "ORC", "sheets": "spreadsheets"}
    return own.get(kind, kind.capitalize())
