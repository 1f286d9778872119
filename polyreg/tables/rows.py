"""Rows as clean blocks of float64 columns: missing values, bounds, a uniform sample.

A row is missing where a column that is used is null, nan or infinite. Rows are counted from 1 in
each file, a CSV's header not among them.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from polyreg.errors import BadTable
from polyreg.tables.decimals import inverse_power
from polyreg.tables.files import BLOCK_ROWS, Place
from polyreg.tables.missing import MissingRows
from polyreg.text import listed

SAMPLE = 16_384
CACHED = 2**16  # values, which a core's second cache holds
USUAL = "separated by ','"
Columns = list[np.ndarray]
Low = Sequence[np.ndarray | None]  # what float64 leaves of each column; None where it is nothing
Read = Iterator[tuple[Place, Columns, Low]]


class Block(NamedTuple):
    """Consecutive clean rows: D arrays (n,), and y and weights (n,), float64, maybe read-only.

    low is what float64 leaves of the numbers as they are written, for x, y and weights in turn:
    each (n,), or None where it is nothing; None too of a pass that was not to read it. more are
    the columns that were asked for besides, each (n,).
    """

    x: tuple[np.ndarray, ...]
    y: np.ndarray | None
    weights: np.ndarray | None
    low: tuple[np.ndarray | None, ...] | None = None
    more: tuple[np.ndarray, ...] = ()

    def take(self, rows: slice | np.ndarray) -> "Block":
        """These rows alone."""
        return Block(
            tuple(x[rows] for x in self.x),
            None if self.y is None else self.y[rows],
            None if self.weights is None else self.weights[rows],
            self.low and tuple(None if part is None else part[rows] for part in self.low),
            tuple(column[rows] for column in self.more),
        )


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


class Profile:
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

    def __add__(self, later: "Profile") -> "Profile":
        made = Profile(self.seed, len(self.low))
        made.rows = self.rows + later.rows
        made.low, made.high = np.minimum(self.low, later.low), np.maximum(self.high, later.high)
        for profile in (self, later):
            made._draw(profile._keys, profile._rows)
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


class Rows:
    """Named columns as clean blocks; a child says in `_read` where they come from."""

    title: str
    root: str  # where the table is
    schema: list[tuple[str, str]]  # name and Arrow type of each column
    skipped: list[str]  # why each of the files that cannot be read is left out
    names: tuple[str, ...]
    target: str | None
    weights: str | None  # column
    is_sigma = False  # that column: of standard uncertainties u, the weights being 1/u^2
    more: tuple[str, ...] = ()  # columns that are read besides
    keys: Mapping[str, Any] = {}  # those of them that are codes of their values: a Codes each
    missing = "refuse"
    missing_rows = 0  # of the last complete pass
    missing_by: Mapping[str, int] = {}  # column
    units: Mapping[str, str] = {}  # of columns, as "mV", or "days since 2024-03-01" of dates
    codes: tuple[float, ...] = ()  # numbers that stand for a missing value
    left_out: Sequence[tuple[str, str]] = ()  # columns that are no features, and why
    chosen_by_default = False  # the features

    def leave_out(self, names: Sequence[str], why: str) -> None:
        """These are no features."""
        self.names = tuple(name for name in self.names if name not in names)
        self.left_out = [*self.left_out, *((name, why) for name in names)]

    def described(self) -> str:
        """How the table was read, in words; "" where there is nothing to say."""
        return ""

    def unusual(self) -> str:
        """The same, "" also of commas and decimal points alone."""
        told = self.described()
        return "" if told == USUAL else told

    @property
    def columns(self) -> list[str]:
        named = (*self.names, self.target, self.weights, *self.more)
        return [c for c in named if c is not None]

    @property
    def numbers(self) -> list[str]:
        """The columns without the keys, which may be words."""
        return [c for c in self.columns if c not in self.keys]

    def _read(self, exact: bool = False) -> Read:
        """The columns in blocks; and if it is to be `exact`, what float64 leaves of them."""
        raise NotImplementedError

    def _decoded(self, exact: bool = False) -> Read:
        """As `_read`, without codes."""
        for place, arrays, low in self._read(exact):
            yield place, [*map(self._uncoded, arrays)], low

    def _uncoded(self, values: np.ndarray) -> np.ndarray:
        """nan where a code stands for a missing value."""
        return np.where(np.isin(values, self.codes), np.nan, values) if self.codes else values

    def blocks(self, exact: bool = False) -> Iterator[Block]:
        """One pass over the clean rows, in order, if `exact` with their low parts.

        Raises BadTable at the first weight that is not positive, and at the end where rows were
        missing that are not to be dropped.
        """
        return (block for _, _, block in self.placed(exact))

    def placed(self, exact: bool = False) -> Iterator[tuple[Place, np.ndarray | slice, Block]]:
        """The same, each block with where it was read, and which of the rows there it kept."""
        gaps = MissingRows()
        for place, arrays, low in self._decoded(exact):
            kept = self._kept(gaps, place, arrays)
            block = self._block(arrays, low).take(kept)
            if len(block.x[0]):
                yield place, kept, block
        self.check_missing(gaps)

    def unjudged(self, exact: bool = False) -> Read:
        """All rows: nan where a value is missing, of `keys` the codes, weights as they are."""
        for place, arrays, low in self._read(exact):
            last = len(arrays) - len(self.keys)
            yield place, [*map(self._uncoded, arrays[:last]), *arrays[last:]], low

    def profile(self, seed: int) -> Profile:
        """Bounds and a sample of the clean rows, by one pass; raises as `blocks` does."""
        gaps, profile = MissingRows(), Profile(seed, len(self.columns))
        for place, arrays, _ in self._decoded():
            profile.add(place, arrays, self._kept(gaps, place, arrays))
        self.check_missing(gaps)
        return profile

    def check_missing(self, gaps: MissingRows) -> None:
        """What a whole pass found missing is counted, or refused."""
        self.missing_rows, self.missing_by = gaps.missing, gaps.columns
        if gaps.missing and self.missing != "drop":
            raise gaps.refusal(self.title, self._spelling(gaps))

    def _spelling(self, gaps: MissingRows) -> str:
        """How the first missing value is written, where that is text."""
        return ""

    def _kept(
        self, gaps: MissingRows, place: Place, arrays: list[np.ndarray]
    ) -> np.ndarray | slice:
        """The rows of a block without a missing value; refuses weights and uncertainties <= 0."""
        if self.weights is not None:
            given = arrays[self._weighed]
            if (given <= 0).any():  # nan is not: it is missing
                row, what = int((given <= 0).argmax()), "uncertainty" if self.is_sigma else "weight"
                raise BadTable(
                    f"the {what} in {place.row(row)} (column {self.weights}) is "
                    f"{given[row]:g} and must be positive; drop the rows that are not to count"
                )
        return gaps.clean_rows(place, arrays, self.columns)

    def survey(self, seed: int = 0) -> Survey:
        """Bounds and a sample, by one whole pass."""
        return self.surveyed(self.profile(seed))

    def surveyed(self, profile: Profile) -> Survey:
        """What a whole pass found."""
        if not profile.rows:
            lost = f" without a missing value in {listed(self.columns)}" * bool(self.missing_rows)
            raise BadTable(f"{self.title} has no rows{lost}; a fit needs some")
        return self._survey(profile.rows, profile.low, profile.high, profile.sample())

    def _survey(
        self, rows: int, low: np.ndarray, high: np.ndarray, sample: list[np.ndarray]
    ) -> Survey:
        D, size = len(self.names), np.maximum(abs(low), abs(high))
        least, largest = 1.0, 1.0
        if self.weights is not None:
            least, largest = float(low[self._weighed]), float(high[self._weighed])
            if self.is_sigma:
                least, largest = largest**-2.0, least**-2.0
        return Survey(
            rows=rows,
            low=low[:D],
            high=high[:D],
            y_size=0.0 if self.target is None else float(size[D]),
            weight_size=largest,
            weight_low=least,
            sample=self._block(sample),
        )

    def _block(self, arrays: Columns, low: Low = ()) -> Block:
        D, more = len(self.names), len(arrays) - len(self.more)
        rest, weights = [*low[:more]], None
        if self.weights is not None:
            weights = arrays[self._weighed]
            if self.is_sigma:
                sigma = rest[-1] if rest else None
                weights, left = inverse_power(weights, sigma, 2)
                if rest:
                    rest[-1] = left
        return Block(
            tuple(arrays[:D]),
            None if self.target is None else arrays[D],
            weights,
            tuple(rest) if any(part is not None for part in rest) else None,
            tuple(arrays[more:]),
        )

    @property
    def _weighed(self) -> int:
        """The place of the weights among the columns."""
        return len(self.columns) - len(self.more) - 1


class InMemory(Rows):
    """Arrays as a table: x holds D arrays (N,); y, named target, and weights, `weighed`, (N,).

    low() is what float64 leaves of x, y and weights, in turn; it is asked for by an exact pass.
    is_sigma: the weights are standard uncertainties; more: columns besides, by name
    """

    def __init__(
        self,
        x: Sequence[np.ndarray],
        y: np.ndarray | None,
        weights: np.ndarray | None = None,
        names: Sequence[str] | None = None,
        *,
        target: str = "y",
        weighed: str = "weights",
        title: str = "the arrays",
        missing: str = "refuse",
        low: Callable[[], Low] = tuple,
        is_sigma: bool = False,
        more: Mapping[str, np.ndarray] | None = None,
    ):
        default = ["x"] if len(x) == 1 else [f"x{d}" for d in range(1, len(x) + 1)]
        self.title, self.names = title, tuple(default if names is None else names)
        self.target = None if y is None else target
        self.weights = None if weights is None else weighed
        self.missing, self._low, self._is_clean = missing, low, False
        self.is_sigma, self.more = is_sigma, tuple(more or ())
        given = (a for a in (*x, y, weights, *(more or {}).values()) if a is not None)
        self._arrays = [np.ascontiguousarray(a, np.float64) for a in given]
        shapes = [a.shape for a in self._arrays]
        if not x or len(self.names) != len(x) or len({*shapes}) > 1 or len(shapes[0]) != 1:
            raise BadTable(
                f"arrays of shapes {shapes} under {len(self.names)} names are no table; give all "
                "of them one shape (N,), and a name for each x"
            )
        self.rows, self.root = len(self._arrays[0]), self.title
        self.schema, self.skipped = [(name, "double") for name in self.columns], []

    def leave_out(self, names: Sequence[str], why: str) -> None:
        kept = [name not in names for name in self.names]
        kept += [True] * (len(self._arrays) - len(kept))
        self._arrays = [a for a, keep in zip(self._arrays, kept, strict=True) if keep]
        low = self._low
        self._low = lambda: [a for a, keep in zip(low(), kept, strict=False) if keep]
        super().leave_out(names, why)

    def survey(self, seed: int = 0) -> Survey:
        if not self.rows or self.codes:
            return super().survey(seed)
        low, high = np.array([_bounds(a) for a in self._arrays]).T
        clean = np.isfinite(low).all() and np.isfinite(high).all()
        if not clean or (self.weights and low[self._weighed] <= 0):
            return super().survey(seed)
        self._is_clean = True
        arrays = self._arrays
        if self.rows > SAMPLE:
            random = np.random.default_rng(seed)
            chosen = np.sort(random.choice(self.rows, SAMPLE, replace=False, shuffle=False))
            arrays = [a[chosen] for a in arrays]
        return self._survey(self.rows, low, high, arrays)

    def _kept(
        self, gaps: MissingRows, place: Place, arrays: list[np.ndarray]
    ) -> np.ndarray | slice:
        if not self._is_clean:
            return super()._kept(gaps, place, arrays)
        gaps.rows += len(arrays[0])
        return slice(None)

    def sha256(self) -> str:
        """Of the columns' names and float64 values; and of what these leave, where they do."""
        found = hashlib.sha256()
        for name, array in zip(self.columns, self._arrays, strict=True):
            found.update(f"{name}\0{len(array)}\0".encode())
            found.update(array.astype("<f8", copy=False).data)
        for rest in self._low():
            if rest is not None:
                found.update(rest.astype("<f8", copy=False).data)
        return found.hexdigest()

    def _read(self, exact: bool = False) -> Read:
        low = self._low() if exact else ()
        for start in range(0, self.rows, BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            rest = [None if a is None else a[part] for a in low]
            yield Place(self.title, 0, start), [a[part] for a in self._arrays], rest


def _bounds(values: np.ndarray) -> tuple[float, float]:
    """The least and the largest of (n,), by one reading of memory; nan where there is one."""
    parts = [values[i : i + CACHED] for i in range(0, len(values), CACHED)]
    low, high = zip(*((part.min(), part.max()) for part in parts), strict=True)
    return np.min(low), np.max(high)
