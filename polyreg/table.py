"""The user's table, CSV or Parquet, as a stream of blocks of float64 columns.

A row is missing where a column that is used is null, nan or infinite. Rows are counted from 1 in
each file, a CSV's header not among them. No more is held than a few blocks and a sample.
"""

import difflib
import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from polyreg.files import BLOCK_ROWS, BadTable, File, find, format_of, sha256, short

SAMPLE = 16_384
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


class _Sample:
    """A uniform random sample of a stream: the rows with the SAMPLE smallest random keys."""

    def __init__(self, seed: int, width: int):
        self._random = np.random.default_rng(seed)
        self._keys, self._rows, self._bound = np.empty(0), np.empty((0, width)), math.inf

    def add(self, arrays: list[np.ndarray]) -> None:
        keys = self._random.random(len(arrays[0]))
        near = np.flatnonzero(keys < self._bound)
        self._keys = np.concatenate([self._keys, keys[near]])
        self._rows = np.concatenate([self._rows, np.column_stack([a[near] for a in arrays])])
        if len(self._keys) > SAMPLE:
            kept = np.sort(np.argpartition(self._keys, SAMPLE)[:SAMPLE])  # stays in file order
            self._keys, self._rows = self._keys[kept], self._rows[kept]
            self._bound = self._keys.max()

    def arrays(self) -> list[np.ndarray]:
        return list(np.ascontiguousarray(self._rows.T))


class _Place(NamedTuple):
    """Where a block begins: in which file, after how many of its rows."""

    file: str
    before: int

    def row(self, index: int) -> str:
        return f"row {self.before + index + 1:,} of {self.file}"


class _Gaps:
    """Leaves out the rows with a missing value, and counts them; refuses weights <= 0."""

    def __init__(self, columns: list[str], weighted: bool):
        self.columns, self.weighted = columns, weighted
        self.rows, self.missing, self.first = 0, 0, ""

    def leave_out(self, place: _Place, arrays: list[np.ndarray]) -> list[np.ndarray]:
        self.rows += len(arrays[0])
        if self.weighted and (arrays[-1] <= 0).any():  # nan is not: it is missing
            row = int((arrays[-1] <= 0).argmax())
            raise BadTable(
                f"the weight in {place.row(row)} (column {self.columns[-1]}) is "
                f"{arrays[-1][row]:g} and must be positive; drop the rows that are not to count"
            )
        # One sum instead of n tests; where finite numbers overflow it, the tests decide.
        with np.errstate(over="ignore", invalid="ignore"):
            if all(math.isfinite(a.sum()) for a in arrays):
                return arrays
        holes = ~np.isfinite(arrays)
        missing = holes.any(axis=0)
        if not missing.any():
            return arrays
        if not self.missing:
            row = int(missing.argmax())
            self.first = f"{place.row(row)} (column {self.columns[holes[:, row].argmax()]})"
        self.missing += int(missing.sum())
        return [a[~missing] for a in arrays]


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

    def _read(self) -> Iterator[tuple[_Place, list[np.ndarray]]]:
        raise NotImplementedError

    def blocks(self) -> Iterator[Block]:
        """One pass over the clean rows, in order.

        Raises BadTable at the first weight that is not positive, and at the end where rows were
        missing that are not to be dropped.
        """
        gaps = _Gaps(self.columns, self.weights is not None)
        for place, arrays in self._read():
            arrays = gaps.leave_out(place, arrays)
            if len(arrays[0]):
                yield self._block(arrays)
        self.missing_rows = gaps.missing
        if gaps.missing and self.missing != "drop":
            raise BadTable(
                f"{gaps.missing:,} of {gaps.rows:,} rows of {self.title} "
                f"{'has' if gaps.missing == 1 else 'have'} a missing or infinite value, the first "
                f"in {gaps.first}; use --missing drop to leave them out"
            )

    def survey(self, seed: int = 0) -> Survey:
        """Bounds and a sample, by one whole pass."""
        low, high = np.full((2, len(self.columns)), [[math.inf], [-math.inf]])
        sample, rows = _Sample(seed, len(self.columns)), 0
        for block in self.blocks():
            arrays = [a for a in (*block.x, block.y, block.weights) if a is not None]
            low = np.minimum(low, [a.min() for a in arrays])
            high = np.maximum(high, [a.max() for a in arrays])
            sample.add(arrays)
            rows += len(arrays[0])
        if not rows:
            lost = f" without a missing value in {_listed(self.columns)}" * bool(self.missing_rows)
            raise BadTable(f"{self.title} has no rows{lost}; a fit needs some")
        return self._survey(rows, low, high, sample.arrays())

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

    def _read(self) -> Iterator[tuple[_Place, list[np.ndarray]]]:
        for start in range(0, self.rows, BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            yield _Place(self.title, start), [a[part] for a in self._arrays]


class Table(_Rows):
    """A file, a folder or a glob of CSV or Parquet files."""

    def __init__(self, root: Path, files: list[File], target, features, weights, missing):
        self.root = root / files[0].name if len(files) == 1 else root
        self.target, self.weights, self.missing = target, weights, missing
        self.files, self._files = tuple(f.path for f in files), files
        self.title = files[0].name if len(files) == 1 else f"{len(files):,} files"
        self.format = format_of(files[0].path)
        self.size = sum(f.stamp[0] for f in files)
        # A column that starts empty, or a part that is only a header, tells no types.
        telling = next((f for f in files if set(f.schema.types) - {pa.null()}), files[0])
        self.schema = [(field.name, str(field.type)) for field in telling.schema]
        asked = [c for c in (*features, target, weights) if c is not None]
        _require_columns(files, asked)
        self.names = tuple(features) or _other_numbers(telling, asked)
        if self.format == "parquet":
            _require_numbers(files, self.columns)
        self._hash: Future[str] | None = None

    @classmethod
    def open(
        cls,
        data: str,
        target: str | None,
        features: Sequence[str] = (),
        weights: str | None = None,
        missing: str = "refuse",
    ) -> "Table":
        """Finds the files, reads their first blocks or footers, and checks names and types.

        Without features, all other numeric columns are, in the file's order.
        """
        root, paths = find(data)
        files = [File.open(path, path.relative_to(root).as_posix()) for path in paths]
        return cls(root, files, target, features, weights, missing)

    def survey(self, seed: int = 0) -> Survey:
        """Bounds and a sample: by Parquet's footers where they are sure, else by a whole pass.

        The sample is then of at most four row groups, spread evenly, or more where these are small.
        """
        if self.format == "csv" or self.missing == "drop":  # bounds are those of the rows that stay
            return super().survey(seed)
        groups, rows, bounds = [], [], []
        for file in self._files:
            before = 0
            for g, (count, ranges) in enumerate(file.bounds(self.columns)):
                if count:
                    groups.append((file, g, before))
                    rows.append(count)
                    bounds.append(ranges)
                before += count
        if not rows or any(None in ranges for ranges in bounds):
            return super().survey(seed)
        gaps = _Gaps(self.columns, self.weights is not None)
        sample = _Sample(seed, len(self.columns))
        for place, arrays in self._read([groups[i] for i in _spread(rows)]):
            sample.add(gaps.leave_out(place, arrays))
        if gaps.missing == gaps.rows:
            return super().survey(seed)
        low, high = np.moveaxis(np.array(bounds), 2, 0)
        return self._survey(sum(rows), low.min(axis=0), high.max(axis=0), sample.arrays())

    def _read(
        self, groups: Sequence[tuple[File, int | None, int]] = ()
    ) -> Iterator[tuple[_Place, list[np.ndarray]]]:
        self._require_unchanged()
        self._begin_hash()
        for file, group, before in groups or [(file, None, 0) for file in self._files]:
            for batch in _ahead(file.batches(self.columns, group)):
                for start in range(0, batch.num_rows, BLOCK_ROWS):  # short rows of a CSV
                    part = batch.slice(start, BLOCK_ROWS)
                    yield _Place(file.name, before + start), [_float64(c) for c in part.columns]
                before += batch.num_rows
        self._require_unchanged()

    def records(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """All rows, all their columns as they stand, and x (n, D), nan where a value is missing."""
        self._require_unchanged()
        every = [name for name, _ in self.schema]
        for file in self._files:
            for batch in file.batches(every, numbers=self.names):
                yield batch, np.column_stack([_float64(batch.column(c)) for c in self.names])
        self._require_unchanged()

    def _require_unchanged(self) -> None:
        for file in self._files:
            file.require_unchanged()

    def sha256(self) -> str:
        """What `sha256sum` prints for a file; for several, for what it prints for them.

        That is for the lines `<hash>  <path below the folder>`, sorted by path. Hashing starts
        beside the first pass, and this waits for it.
        """
        return self._begin_hash().result()

    def _begin_hash(self) -> "Future[str]":
        if self._hash is None:
            self._hash = Future()
            Thread(target=_fulfil, args=(self._hash, self._digest), daemon=True).start()
        return self._hash

    def _digest(self) -> str:
        digests = [sha256(file) for file in self._files]
        self._require_unchanged()
        if len(digests) == 1:
            return digests[0]
        lines = (f"{d}  {f.name}\n" for d, f in zip(digests, self._files, strict=True))
        return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()


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
        if file.footer is None and not {*asked} & {*names} and all(map(_is_numeral, names)):
            raise BadTable(
                f"the first line of {file.name} is data, not names: {short(','.join(names))}; "
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
                f"{f', did you mean {near[0]!r}?' if near else ';'} it has {_listed(first)}"
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
            f"{_listed([f'{f.name} ({f.type})' for f in file.schema])}"
        )
    return tuple(found)


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more


def _fulfil(promise: "Future[str]", work: Callable[[], str]) -> None:
    try:
        promise.set_result(work())
    except BaseException as error:
        promise.set_exception(error)
