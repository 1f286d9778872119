"""Rows as clean blocks of float64 columns: missing values, bounds, a uniform sample.

A row is missing where a column that is used is null, nan or infinite. Rows are counted from 1 in
each file, a CSV's header not among them.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from polyreg.errors import BadTable
from polyreg.polynomials.predictor import is_dated
from polyreg.tables.decimals import inverse_power
from polyreg.tables.files import BLOCK_ROWS, Place
from polyreg.tables.missing import MissingRows, counts
from polyreg.tables.sampling import SAMPLE, Profile, bounds
from polyreg.tables.variables import Functions
from polyreg.text import listed

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
    (1 without weights). ranges: of the columns (C, 2) that features are functions of; given: the
    sample's rows as they were read; words: as of Rows
    """

    rows: int
    low: np.ndarray
    high: np.ndarray
    y_size: float
    weight_size: float
    weight_low: float
    sample: Block
    ranges: np.ndarray | None = None
    given: Block | None = None
    words: tuple[str, ...] = ()


class Rows:
    """Named columns as clean blocks; a child says in `_read` where they come from."""

    title: str
    root: str  # where the table is
    schema: list[tuple[str, str]]  # name and Arrow type of each column
    skipped: list[str]  # why each of the files that cannot be read is left out
    names: tuple[str, ...]
    target: str | None
    functions: Functions | None = None  # what these are of their columns; None: columns themselves
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
    unread: Sequence[str] = ()  # names of arrays that read as functions, and are none
    lexicon: Mapping[str, Any] = {}  # features that are words: of each its Words, which are codes

    def apply(self, functions: Functions) -> None:
        """Take these functions of the columns that were chosen as features and target.

        Raises BadTable where such a column holds dates.
        """
        self.functions = functions.of_features(self.names)
        outcome = self.functions.outcome
        for variable in (*self.functions.inputs, *filter(None, [outcome])):
            if not variable.is_plain and is_dated(self.units.get(variable.column, "")):
                raise BadTable(
                    f"{variable.name} is a function of a number, and column {variable.column} of "
                    f"{self.title} holds dates; take the column as it is"
                )
        self.names, self.target = self.functions.names, outcome.name if outcome else self.target

    def leave_out(self, names: Sequence[str], why: str) -> None:
        """These are no features."""
        self.names = tuple(name for name in self.names if name not in names)
        self.functions = self.functions and self.functions.without(names)
        self.left_out = [*self.left_out, *((name, why) for name in names)]

    def described(self) -> str:
        """How the table was read, in words; "" where there is nothing to say."""
        return ""

    def unusual(self) -> str:
        """The same, "" also of commas and decimal points alone."""
        told = self.described()
        return "" if told == USUAL else told

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that the features are, or are functions of."""
        return tuple(self.functions.columns) if self.functions else self.names

    @property
    def measured(self) -> str | None:
        """The column that the target is, or is a function of."""
        outcome = self.functions and self.functions.outcome
        return outcome.column if outcome else self.target

    @property
    def columns(self) -> list[str]:
        named = (*self.inputs, self.measured, self.weights, *self.more)
        return [c for c in named if c is not None]

    @property
    def numbers(self) -> list[str]:
        """The columns without the keys and features that may be words."""
        return [c for c in self.columns if c not in self.keys and c not in self.lexicon]

    @property
    def words(self) -> tuple[str, ...]:
        """Of each feature the column whose level it is, "" of a number; () of numbers alone."""
        return self.functions.words if self.functions else ()

    def _read(self, exact: bool = False) -> Read:
        """The columns in blocks; and if it is to be `exact`, what float64 leaves of them."""
        raise NotImplementedError

    def _decoded(self, exact: bool = False) -> Read:
        """As `_read`, without codes."""
        for place, arrays, low in self._read(exact):
            yield place, [*map(self._uncoded, arrays, self.columns)], low

    def _uncoded(self, values: np.ndarray, column: str = "") -> np.ndarray:
        """nan where a code stands for a missing value of a column that is no words."""
        is_coded = self.codes and column not in self.lexicon
        return np.where(np.isin(values, self.codes), np.nan, values) if is_coded else values

    def blocks(self, exact: bool = False) -> Iterator[Block]:
        """One pass over the clean rows, in order, if `exact` with their low parts.

        Raises BadTable at the first weight that is not positive, and at the end where rows were
        missing that are not to be dropped.
        """
        return (block for _, _, block in self.placed(exact))

    def placed(self, exact: bool = False) -> Iterator[tuple[Place, np.ndarray | slice, Block]]:
        """The same, each block with where it was read, and which of the rows there it kept."""
        gaps = MissingRows()
        for place, kept, _, arrays, low in self.judged(gaps, exact):
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
        gaps, profile = MissingRows(), Profile(seed, self.width)
        for place, kept, raw, arrays, _ in self.judged(gaps):
            profile.add(place, [*arrays, *raw] if self.functions else arrays, kept)
        self.check_missing(gaps)
        return profile

    @property
    def width(self) -> int:
        """How many arrays a profile has: of the columns, or of functions and their columns."""
        if not self.functions:
            return len(self.columns)
        return 2 * len(self.columns) + len(self.names) - len(self.inputs)

    def judged(self, gaps: MissingRows, exact: bool = False) -> Iterator[tuple]:
        """Place, kept rows, the columns as they are read, and features, target, ... with low."""
        for place, raw, low in self._decoded(exact):
            kept, arrays = self._kept(gaps, place, raw), raw
            if self.functions:
                drops, more = self.missing == "drop", len(self.more)
                given = self.is_sigma, more > 0
                kept = self.functions.within(gaps, place, raw, kept, drops, *given)
                arrays, low = self.functions.applied(raw, low, self.is_sigma, more)
            yield place, kept, raw, arrays, low

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
            lost = ""
            if self.missing_rows:
                each = f" ({counts(self.missing_by)})" if self.missing_by else ""
                lost = f" without a missing value in {listed(self.columns)}{each}"
            raise BadTable(f"{self.title} has no rows{lost}; a fit needs some")
        return self._survey(profile.rows, profile.low, profile.high, profile.sample())

    def _survey(
        self, rows: int, low: np.ndarray, high: np.ndarray, sample: list[np.ndarray]
    ) -> Survey:
        D, size, ranges, given = len(self.names), np.maximum(abs(low), abs(high)), None, None
        if self.functions:
            first, count = self.width - len(self.columns), len(self.inputs)
            ranges = np.stack([low[first:], high[first:]], axis=1)[:count]
            given, sample = self._block(sample[first:], size=count), sample[:first]
        least, largest = 1.0, 1.0
        if self.weights is not None:
            w = D + (self.target is not None)
            least, largest = float(low[w]), float(high[w])
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
            ranges=ranges,
            given=given,
            words=self.words,
        )

    def _block(self, arrays: Columns, low: Low = (), size: int | None = None) -> Block:
        D, more = len(self.names) if size is None else size, len(arrays) - len(self.more)
        rest, weights = [*low[:more]], None
        if self.weights is not None:
            weights = arrays[D + (self.target is not None)]
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
        """The place of the weights among the columns that are read."""
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
        functions: Functions | None = None,
    ):
        default = ["x"] if len(x) == 1 else [f"x{d}" for d in range(1, len(x) + 1)]
        self.title, self.names = title, tuple(default if names is None else names)
        self.target = None if y is None else target
        self.weights = None if weights is None else weighed
        self.missing, self._low, self._is_clean = missing, low, False
        self.functions = functions
        self.is_sigma, self.more = is_sigma, tuple(more or ())
        given = (a for a in (*x, y, weights, *(more or {}).values()) if a is not None)
        self._arrays = [np.ascontiguousarray(a, np.float64) for a in given]
        shapes = [a.shape for a in self._arrays]
        if not x or len(self.inputs) != len(x) or len({*shapes}) > 1 or len(shapes[0]) != 1:
            raise BadTable(
                f"arrays of shapes {shapes} under {len(self.names)} names are no table; give all "
                "of them one shape (N,), and a name for each x"
            )
        self.rows, self.root = len(self._arrays[0]), self.title
        self.schema, self.skipped = [(name, "double") for name in self.columns], []

    def leave_out(self, names: Sequence[str], why: str) -> None:
        before = self.inputs
        super().leave_out(names, why)
        kept = [name in self.inputs for name in before]
        kept += [True] * (len(self._arrays) - len(kept))
        self._arrays = [a for a, keep in zip(self._arrays, kept, strict=True) if keep]
        low = self._low
        self._low = lambda: [a for a, keep in zip(low(), kept, strict=False) if keep]

    def survey(self, seed: int = 0) -> Survey:
        if not self.rows or self.codes or self.functions:
            return super().survey(seed)
        low, high = np.array([bounds(a) for a in self._arrays]).T
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
