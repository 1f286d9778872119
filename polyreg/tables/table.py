"""The user's table, CSV or Parquet, as a stream of blocks of float64 columns.

No more is held than a few blocks and a sample.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa

from polyreg.config import FitConfig
from polyreg.errors import BadTable, NotNow
from polyreg.tables.columns import other_numbers, require_columns, require_numbers
from polyreg.tables.files import File, format_of, sha256
from polyreg.tables.listing import find
from polyreg.tables.missing import MissingRows
from polyreg.tables.parts import Part, Piece, as_float64
from polyreg.tables.rows import SAMPLE, Profile, Read, Rows, Survey

# A part is as many row groups as make this, or as make MOST_PARTS of any table.
PART_ROWS, PART_BYTES, MOST_PARTS = 2**20, 1 << 26, 2**14
AT_ONCE = 16  # files that are opened over a network
Each = Callable[[Callable, Iterable], Iterable]  # like `map`


class Table(Rows):
    """A file, a folder or a glob of CSV or Parquet files."""

    def __init__(self, root: str, files: list[File], target, features, weights, missing, each):
        self.root = f"{root}/{files[0].name}" if len(files) == 1 else root
        self.target, self.weights, self.missing = target, weights, missing
        self.skipped = []
        self._each = each
        # A column that starts empty, or a part that is only a header, tells no types.
        telling = next((f for f in files if set(f.schema.types) - {pa.null()}), files[0])
        self.schema = [(field.name, str(field.type)) for field in telling.schema]
        self.format = format_of(files[0].found.path)
        asked = [c for c in (*features, target, weights) if c is not None]
        require_columns(files, asked)
        self.names = tuple(features) or other_numbers(telling, asked)
        if self.format == "parquet":
            require_numbers(files, self.columns)
        self._files, self.files = files, tuple(f.found.path for f in files)
        self.title = files[0].name if len(files) == 1 else f"{len(files):,} files"
        self.size = sum(f.stamp[0] for f in files)
        self._hash: Future[str] | None = None
        self._digests: Iterable[str] | None = None

    @classmethod
    def open(
        cls,
        data: str,
        target: str | None,
        features: Sequence[str] = (),
        weights: str | None = None,
        missing: str = "refuse",
        skip_bad_files: bool = False,
        each: Each | None = None,
    ) -> "Table":
        """Finds the files, reads their first blocks or footers, and checks names and types.

        Without features, all other numeric columns are, in the file's order. Files that cannot be
        read are refused or, by a pass more, found and left out. `each` is who opens the files.
        """
        root, found = find(data)
        if each is None:
            each = map if found[0].fs is None else at_once
        if not skip_bad_files:
            return cls(root, list(each(File.open, found)), target, features, weights, missing, each)
        files, bad = _sound(each(_tried(File.open), found))
        table = cls(root, files, target, features, weights, missing, each)
        files, unread = _sound(each(_tried(partial(_read_through, table.columns)), files))
        if unread:
            table = cls(root, files, target, table.names, weights, missing, each)
        table.skipped = bad + unread
        return table

    @classmethod
    def of(cls, config: FitConfig, each: Each | None = None) -> "Table":
        """The table that these options mean."""
        return cls.open(
            config.data,
            config.target,
            config.features,
            config.weights or None,
            config.missing,
            config.skip_bad_files,
            each,
        )

    def survey(self, seed: int = 0) -> Survey:
        return self.survey_from_footers(seed) or super().survey(seed)

    @cached_property
    def _groups(self) -> list[tuple[list[int], list | None]]:
        """Of each Parquet file: the rows of its groups, and its bounds."""
        return list(self._each(partial(_footer, self.columns), self._files))

    def survey_from_footers(self, seed: int = 0) -> Survey | None:
        """The survey by Parquet's footers, None where only a whole pass can be sure.

        The sample is then of at most four row groups, spread evenly, or more where these are small.
        """
        if self.format == "csv" or self.missing == "drop":  # bounds are those of the rows that stay
            return None
        pieces, rows = [], []
        for number, (file, (counts, _)) in enumerate(zip(self._files, self._groups, strict=True)):
            before = 0
            for g, count in enumerate(counts):
                if count:
                    pieces.append(Piece(file, number, (g,), before))
                    rows.append(count)
                before += count
        bounds = [bounds for counts, bounds in self._groups if sum(counts)]
        if not rows or None in bounds:
            return None
        gaps, profile = MissingRows(), Profile(seed, len(self.columns))
        for place, arrays, _ in self._pieces([pieces[i] for i in _spread(rows)]):
            profile.add(place, arrays, self._kept(gaps, place, arrays))
        if gaps.missing == gaps.rows:
            return None
        low, high = np.moveaxis(np.array(bounds), 2, 0)
        return self._survey(sum(rows), low.min(axis=0), high.max(axis=0), profile.sample())

    def parts(self) -> list[Part]:
        """The table in parts of about equal size, the same whoever reads them."""
        if self.format == "csv":
            pieces = [Piece(f, n) for n, f in enumerate(self._files)]
            sizes, least = [piece.file.stamp[0] for piece in pieces], PART_BYTES
        else:
            pieces, sizes, least = [], [], PART_ROWS
            for number, (file, (counts, _)) in enumerate(
                zip(self._files, self._groups, strict=True)
            ):
                before = 0
                for g, count in enumerate(counts):
                    pieces.append(Piece(file, number, (g,), before))
                    sizes.append(count)
                    before += count
        found: list[list[Piece]] = []
        rows: list[int] = []
        least, room = max(least, sum(sizes) // MOST_PARTS), 0
        for piece, size in zip(pieces, sizes, strict=True):
            if room <= 0:
                found.append([])
                rows.append(0)
                room = least
            last = found[-1][-1] if found[-1] else None
            if last and last.number == piece.number:  # one reading
                assert last.groups and piece.groups
                found[-1][-1] = last._replace(groups=last.groups + piece.groups)
            else:
                found[-1].append(piece)
            room -= size
            rows[-1] += size if self.format == "parquet" else 0
        return [Part(self, *one) for one in zip(found, rows, strict=True)]

    def _read(self, exact: bool = False) -> Read:
        self._begin_hash()
        pieces = [Piece(file, number) for number, file in enumerate(self._files)]
        yield from self._pieces(pieces, exact)

    def _pieces(self, pieces: list[Piece], exact: bool = False) -> Read:
        files = [piece.file for piece in pieces]
        self._require_unchanged(files)
        for piece in pieces:
            yield from piece.read(self.columns, exact)
        self._require_unchanged(files)

    def records(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """All rows, all their columns as they stand, and x (n, D), nan where a value is missing."""
        self._require_unchanged(self._files)
        every = [name for name, _ in self.schema]
        for file in self._files:
            for batch in file.batches(every, numbers=self.names):
                yield batch, np.column_stack([as_float64(batch.column(c)) for c in self.names])
        self._require_unchanged(self._files)

    def _require_unchanged(self, files: Iterable[File]) -> None:
        for _ in self._each(File.require_unchanged, files):
            pass

    def sha256(self) -> str:
        """What `sha256sum` prints for a file; for several, for what it prints for them.

        That is for the lines `<hash>  <path below the folder>`, sorted by path. Hashing starts
        beside a first pass in this process, and this waits for it.
        """
        return self._hash.result() if self._hash else self._digest()

    def begin_digests(self) -> None:
        """Hash now, where `each` begins at once and not when its answers are asked for."""
        if self._digests is None:
            self._digests = self._each(sha256, self._files)

    def _begin_hash(self) -> None:
        if self._hash is None:
            self._hash = Future()
            Thread(target=_fulfil, args=(self._hash, self._digest), daemon=True).start()

    def _digest(self) -> str:
        self.begin_digests()
        digests = list(self._digests or ())
        self._require_unchanged(self._files)
        if len(digests) == 1:
            return digests[0]
        lines = (f"{d}  {f.name}\n" for d, f in zip(digests, self._files, strict=True))
        return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


def at_once(function: Callable, items: Iterable) -> Iterator:
    """As map, for what waits for a network."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(function, items)


@dataclass(frozen=True)
class _tried:
    """A function whose refusal of a file is an answer."""

    function: Callable

    def __call__(self, item: Any) -> Any:
        try:
            return self.function(item)
        except NotNow:
            raise
        except BadTable as error:
            return error


def _sound(opened: Iterable) -> tuple[list[File], list[str]]:
    """The files, and why the others are none."""
    files, bad = [], []
    for file in opened:
        if isinstance(file, BadTable):
            bad.append(str(file))
        else:
            files.append(file)
    if not files:
        raise BadTable(f"none of the {len(bad):,} files can be read; the first: {bad[0]}")
    return files, bad


def _read_through(columns: list[str], file: File) -> File:
    for _ in file.batches(columns):
        pass
    return file


def _footer(columns: list[str], file: File) -> tuple[list[int], list | None]:
    """The rows of each group, and the file's (low, high) of each column, None where not sure."""
    counts, bounds = [], []
    for count, ranges in file.bounds(columns):
        counts.append(count)
        if count:
            bounds.append(ranges)
    if not bounds or any(None in ranges for ranges in bounds):
        return counts, None
    low, high = np.moveaxis(np.array(bounds), 2, 0)
    return counts, list(zip(low.min(axis=0).tolist(), high.max(axis=0).tolist(), strict=True))


def _spread(rows: list[int]) -> list[int]:
    """Which of these row groups to sample: evenly spread, first and last included."""
    count = 4
    while True:
        chosen = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int).tolist()
        if count >= len(rows) or sum(rows[i] for i in chosen) >= SAMPLE:
            return chosen
        count *= 2


def _fulfil(promise: "Future[str]", work: Callable[[], str]) -> None:
    try:
        promise.set_result(work())
    except BaseException as error:
        promise.set_exception(error)
