"""The user's table, CSV or Parquet, as a stream of blocks of float64 columns.

A row is missing where a column that is used is null, nan or infinite. Rows are counted from 1 in
each file, a CSV's header not among them. No more is held than a few blocks and a sample.
"""

import difflib
import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from polyreg.config import FitConfig
from polyreg.errors import BadTable, NotNow
from polyreg.files import BLOCK_ROWS, File, find, format_of, sha256
from polyreg.text import listed, quoted

SAMPLE = 16_384
# A part is as many row groups as make this, or as make MOST_PARTS of any table.
PART_ROWS, PART_BYTES, MOST_PARTS = 2**20, 1 << 26, 2**14
AT_ONCE = 16  # files that are opened over a network
Each = Callable[[Callable, Iterable], Iterable]  # like `map`
INDEX = ("", "__index_level_0__")  # what pandas calls an index that it writes: no feature


class Block(NamedTuple):
    """Consecutive clean rows: D arrays (n,), and y and weights (n,), float64, maybe read-only."""

    x: tuple[np.ndarray, ...]
    y: np.ndarray | None
    weights: np.ndarray | None


@dataclass(frozen=True)
class Survey:
    """What is known before the main pass; low and high are (D,).

    From Parquet's metadata, rows and bounds may include rows that turn out to be missing.
    y_size is max |y| (0 without a target), weight_size the largest weight and weight_low the least
    (1 without weights).
    """

    rows: int
    low: np.ndarray
    high: np.ndarray
    y_size: float
    weight_size: float
    weight_low: float
    sample: Block


class Place(NamedTuple):
    """Where a block begins: in which file, after how many of its rows."""

    file: str
    number: int  # of the file
    before: int

    def row(self, index: int) -> str:
        return f"row {self.before + index + 1:,} of {self.file}"

    def random(self, seed: int) -> np.random.Generator:
        """A number a row, whatever was read before."""
        bits = np.random.PCG64([seed, self.number])
        return np.random.Generator(bits.advance(self.before))


class Tally:
    """Bounds and a sample of rows, which merge by addition.

    The sample is uniform: the rows with the SAMPLE smallest random keys, in order.
    """

    def __init__(self, seed: int, width: int):
        self.seed, self.rows = seed, 0
        self.low, self.high = np.full((2, width), [[math.inf], [-math.inf]])
        self._keys, self._rows, self._bound = np.empty(0), np.empty((0, width)), math.inf

    def add(self, place: Place, arrays: list[np.ndarray], kept: np.ndarray | slice) -> None:
        """Those of a block's rows that are `kept`."""
        keys = place.random(self.seed).random(len(arrays[0]))[kept]
        arrays = [a[kept] for a in arrays]
        if len(keys):
            self.rows += len(keys)
            self.low = np.minimum(self.low, [a.min() for a in arrays])
            self.high = np.maximum(self.high, [a.max() for a in arrays])
            near = np.flatnonzero(keys < self._bound)
            self._draw(keys[near], np.column_stack([a[near] for a in arrays]))

    def __add__(self, later: "Tally") -> "Tally":
        made = Tally(self.seed, len(self.low))
        made.rows = self.rows + later.rows
        made.low, made.high = np.minimum(self.low, later.low), np.maximum(self.high, later.high)
        for tally in (self, later):
            made._draw(tally._keys, tally._rows)
        return made

    def _draw(self, keys: np.ndarray, rows: np.ndarray) -> None:
        self._keys = np.concatenate([self._keys, keys])
        self._rows = np.concatenate([self._rows, rows])
        if len(self._keys) > SAMPLE:
            kept = np.sort(np.argpartition(self._keys, SAMPLE)[:SAMPLE])  # stays in file order
            self._keys, self._rows = self._keys[kept], self._rows[kept]
            self._bound = self._keys.max()

    def sample(self) -> list[np.ndarray]:
        return list(np.ascontiguousarray(self._rows.T))


@dataclass
class Gaps:
    """The rows so far, those of them with a missing value, and where the first is."""

    rows: int = 0
    missing: int = 0
    first: str = ""

    @property
    def clean(self) -> int:
        return self.rows - self.missing

    def __add__(self, later: "Gaps") -> "Gaps":
        return Gaps(self.rows + later.rows, self.missing + later.missing, self.first or later.first)


class _Rows:
    """Named columns as clean blocks; a child says in `_read` where they come from."""

    title: str
    names: tuple[str, ...]
    target: str | None
    weights: str | None
    missing = "refuse"
    missing_rows = 0  # of the last complete pass

    @property
    def columns(self) -> list[str]:
        return [c for c in (*self.names, self.target, self.weights) if c is not None]

    def _read(self) -> Iterator[tuple[Place, list[np.ndarray]]]:
        raise NotImplementedError

    def blocks(self) -> Iterator[Block]:
        """One pass over the clean rows, in order.

        Raises BadTable at the first weight that is not positive, and at the end where rows were
        missing that are not to be dropped.
        """
        gaps = Gaps()
        for place, arrays in self._read():
            kept = self._kept(gaps, place, arrays)
            clean = [a[kept] for a in arrays]
            if len(clean[0]):
                yield self._block(clean)
        self.settle(gaps)

    def tally(self, seed: int) -> Tally:
        """Bounds and a sample of the clean rows, by one pass; raises as `blocks` does."""
        gaps, tally = Gaps(), Tally(seed, len(self.columns))
        for place, arrays in self._read():
            tally.add(place, arrays, self._kept(gaps, place, arrays))
        self.settle(gaps)
        return tally

    def settle(self, gaps: Gaps) -> None:
        """What a whole pass found missing is counted, or refused."""
        self.missing_rows = gaps.missing
        if gaps.missing and self.missing != "drop":
            raise BadTable(
                f"{gaps.missing:,} of {gaps.rows:,} rows of {self.title} "
                f"{'has' if gaps.missing == 1 else 'have'} a missing or infinite value, the first "
                f"in {gaps.first}; use --missing drop to leave them out"
            )

    def _kept(self, gaps: Gaps, place: Place, arrays: list[np.ndarray]) -> np.ndarray | slice:
        """The rows of a block without a missing value; refuses weights <= 0."""
        gaps.rows += len(arrays[0])
        if self.weights is not None and (arrays[-1] <= 0).any():  # nan is not: it is missing
            row = int((arrays[-1] <= 0).argmax())
            raise BadTable(
                f"the weight in {place.row(row)} (column {self.columns[-1]}) is "
                f"{arrays[-1][row]:g} and must be positive; drop the rows that are not to count"
            )
        # One sum instead of n tests; where finite numbers overflow it, the tests decide.
        with np.errstate(over="ignore", invalid="ignore"):
            if all(math.isfinite(a.sum()) for a in arrays):
                return slice(None)
        holes = ~np.isfinite(arrays)
        missing = np.logical_or.reduce(holes)
        if not missing.any():
            return slice(None)
        if not gaps.missing:
            row = int(missing.argmax())
            gaps.first = f"{place.row(row)} (column {self.columns[holes[:, row].argmax()]})"
        gaps.missing += int(missing.sum())
        return ~missing

    def survey(self, seed: int = 0) -> Survey:
        """Bounds and a sample, by one whole pass."""
        return self.surveyed(self.tally(seed))

    def surveyed(self, tally: Tally) -> Survey:
        """What a whole pass found."""
        if not tally.rows:
            lost = f" without a missing value in {listed(self.columns)}" * bool(self.missing_rows)
            raise BadTable(f"{self.title} has no rows{lost}; a fit needs some")
        return self._survey(tally.rows, tally.low, tally.high, tally.sample())

    def _survey(
        self, rows: int, low: np.ndarray, high: np.ndarray, sample: list[np.ndarray]
    ) -> Survey:
        D, size = len(self.names), np.maximum(abs(low), abs(high))
        return Survey(
            rows=rows,
            low=low[:D],
            high=high[:D],
            y_size=0.0 if self.target is None else float(size[D]),
            weight_size=1.0 if self.weights is None else float(high[-1]),
            weight_low=1.0 if self.weights is None else float(low[-1]),
            sample=self._block(sample),
        )

    def _block(self, arrays: list[np.ndarray]) -> Block:
        D = len(self.names)
        return Block(
            tuple(arrays[:D]),
            None if self.target is None else arrays[D],
            None if self.weights is None else arrays[-1],
        )


class InMemory(_Rows):
    """Arrays as a table: x holds D arrays (N,), y and weights are (N,)."""

    def __init__(
        self,
        x: Sequence[np.ndarray],
        y: np.ndarray | None,
        weights: np.ndarray | None = None,
        names: Sequence[str] | None = None,
    ):
        default = ["x"] if len(x) == 1 else [f"x{d}" for d in range(1, len(x) + 1)]
        self.title, self.names = "the arrays", tuple(default if names is None else names)
        self.target = None if y is None else "y"
        self.weights = None if weights is None else "weights"
        given = (a for a in (*x, y, weights) if a is not None)
        self._arrays = [np.ascontiguousarray(a, np.float64) for a in given]
        shapes = [a.shape for a in self._arrays]
        if not x or len(self.names) != len(x) or len({*shapes}) > 1 or len(shapes[0]) != 1:
            raise BadTable(
                f"arrays of shapes {shapes} under {len(self.names)} names are no table; give all "
                "of them one shape (N,), and a name for each x"
            )
        self.rows = len(self._arrays[0])

    def survey(self, seed: int = 0) -> Survey:
        with np.errstate(over="ignore", invalid="ignore"):
            clean = all(math.isfinite(a.sum()) for a in self._arrays)
        if not (self.rows and clean) or (self.weights and self._arrays[-1].min() <= 0):
            return super().survey(seed)
        arrays = self._arrays
        if self.rows > SAMPLE:
            random = np.random.default_rng(seed)
            chosen = np.sort(random.choice(self.rows, SAMPLE, replace=False, shuffle=False))
            arrays = [a[chosen] for a in arrays]
        low, high = (np.array([f(a) for a in self._arrays]) for f in (np.min, np.max))
        return self._survey(self.rows, low, high, arrays)

    def _read(self) -> Iterator[tuple[Place, list[np.ndarray]]]:
        for start in range(0, self.rows, BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            yield Place(self.title, 0, start), [a[part] for a in self._arrays]


class Piece(NamedTuple):
    """A file, or some of its row groups: those after its first `before` rows."""

    file: File
    number: int  # of the file
    groups: tuple[int, ...] | None = None
    before: int = 0

    def read(self, columns: list[str]) -> Iterator[tuple[Place, list[np.ndarray]]]:
        before = self.before
        for batch in _ahead(self.file.batches(columns, self.groups)):
            for start in range(0, batch.num_rows, BLOCK_ROWS):  # short rows of a CSV
                part = batch.slice(start, BLOCK_ROWS)
                place = Place(self.file.name, self.number, before + start)
                yield place, [_float64(c) for c in part.columns]
            before += batch.num_rows


class Part(_Rows):
    """Consecutive pieces of a table, for whoever is to read them.

    `rows` is how many Parquet says there are, 0 of a CSV; `gaps` are what a whole pass found.
    """

    def __init__(self, table: "Table", pieces: list[Piece], rows: int):
        self.title, self.missing = table.title, table.missing
        self.names, self.target, self.weights = table.names, table.target, table.weights
        self.pieces, self.rows, self.gaps = pieces, rows, Gaps()

    def _read(self) -> Iterator[tuple[Place, list[np.ndarray]]]:
        for piece in self.pieces:
            piece.file.require_unchanged()
            yield from piece.read(self.columns)
            piece.file.require_unchanged()

    def settle(self, gaps: Gaps) -> None:
        """The whole table is judged by all its parts."""
        self.gaps = gaps


class Table(_Rows):
    """A file, a folder or a glob of CSV or Parquet files."""

    def __init__(self, root: str, files: list[File], target, features, weights, missing, each):
        self.root = f"{root}/{files[0].name}" if len(files) == 1 else root
        self.target, self.weights, self.missing = target, weights, missing
        self.skipped: list[str] = []  # why each of the files that cannot be read is left out
        self._each = each
        # A column that starts empty, or a part that is only a header, tells no types.
        telling = next((f for f in files if set(f.schema.types) - {pa.null()}), files[0])
        self.schema = [(field.name, str(field.type)) for field in telling.schema]
        self.format = format_of(files[0].found.path)
        asked = [c for c in (*features, target, weights) if c is not None]
        _require_columns(files, asked)
        self.names = tuple(features) or _other_numbers(telling, asked)
        if self.format == "parquet":
            _require_numbers(files, self.columns)
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
        return self.glance(seed) or super().survey(seed)

    @cached_property
    def _groups(self) -> list[tuple[list[int], list | None]]:
        """Of each Parquet file: the rows of its groups, and its bounds."""
        return list(self._each(partial(_footer, self.columns), self._files))

    def glance(self, seed: int = 0) -> Survey | None:
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
        gaps, tally = Gaps(), Tally(seed, len(self.columns))
        for place, arrays in self._pieces([pieces[i] for i in _spread(rows)]):
            tally.add(place, arrays, self._kept(gaps, place, arrays))
        if gaps.missing == gaps.rows:
            return None
        low, high = np.moveaxis(np.array(bounds), 2, 0)
        return self._survey(sum(rows), low.min(axis=0), high.max(axis=0), tally.sample())

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

    def _read(self) -> Iterator[tuple[Place, list[np.ndarray]]]:
        self._begin_hash()
        yield from self._pieces([Piece(file, number) for number, file in enumerate(self._files)])

    def _pieces(self, pieces: list[Piece]) -> Iterator[tuple[Place, list[np.ndarray]]]:
        files = [piece.file for piece in pieces]
        self._require_unchanged(files)
        for piece in pieces:
            yield from piece.read(self.columns)
        self._require_unchanged(files)

    def records(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """All rows, all their columns as they stand, and x (n, D), nan where a value is missing."""
        self._require_unchanged(self._files)
        every = [name for name, _ in self.schema]
        for file in self._files:
            for batch in file.batches(every, numbers=self.names):
                yield batch, np.column_stack([_float64(batch.column(c)) for c in self.names])
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


def _ahead(items: Iterator) -> Iterator:
    """The same items, each made in a thread while the one before it is used."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = reader.submit(next, items, None)
            yield item


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in tests)


def _float64(column: pa.Array) -> np.ndarray:
    """(n,) float64, nan where null; of Arrow's own memory where that is what it holds."""
    if column.type != pa.float64():
        column = column.cast(pa.float64(), safe=False)  # integers beyond 2^53 are rounded
    if column.null_count:
        column = column.fill_null(np.nan)
    return np.from_dlpack(column)  # to_numpy would import pandas, in 0.16 s


def _spread(rows: list[int]) -> list[int]:
    """Which of these row groups to sample: evenly spread, first and last included."""
    count = 4
    while True:
        chosen = np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int).tolist()
        if count >= len(rows) or sum(rows[i] for i in chosen) >= SAMPLE:
            return chosen
        count *= 2


def _require_columns(files: list[File], asked: list[str]) -> None:
    twice = next((c for c in asked if asked.count(c) > 1), None)
    if twice is not None:
        raise BadTable(f"column {twice!r} is chosen twice; a target, feature or weight is one only")
    first = files[0].schema.names
    for file in files:
        names = file.schema.names
        if (
            format_of(file.found.path) == "csv"
            and not {*asked} & {*names}
            and all(map(_is_numeral, names))
        ):
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


def _require_numbers(files: list[File], columns: list[str]) -> None:
    for file in files:
        for column in columns:
            kind = file.schema.field(column).type
            if not _is_number(kind):
                raise BadTable(
                    f"column {column} is not a number: in {file.name} it is {kind}; convert it, or "
                    "choose other columns"
                )


def _other_numbers(file: File, asked: list[str]) -> tuple[str, ...]:
    taken = {*asked, *INDEX}
    found = [f.name for f in file.schema if f.name not in taken and _is_number(f.type)]
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


def _fulfil(promise: "Future[str]", work: Callable[[], str]) -> None:
    try:
        promise.set_result(work())
    except BaseException as error:
        promise.set_exception(error)
