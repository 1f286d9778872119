"""Levels of a column of words: found by a pass over the clean rows, then sorted.

A level is a word without the blanks about it. Sorted, by their characters' codes as in Python and
patsy, levels depend neither on the order of rows nor on that of files. The first is the base.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from polyreg.errors import BadTable
from polyreg.polynomials.variables import Variable
from polyreg.polynomials.variables.words import MOST_LEVELS, codes_of_words, word_of
from polyreg.tables.columns import Columns, is_text
from polyreg.tables.formats.cells import CURRENCY, Numbers, counted, is_quantity
from polyreg.tables.missing import MissingRows
from polyreg.tables.variables import Functions
from polyreg.text import listed

EMPTY = pa.null()  # the kind of a column without a value in its file


class Words:
    """Codes 0, 1, ... of a column's words, in the order of their first appearance."""

    def __init__(self, column: str, missing: Sequence[str] = ()):
        """missing: words that stand for a missing value, besides the usual"""
        self.column, self.missing = column, tuple(missing)
        self.counts = np.zeros(0, np.int64)  # clean rows of each code
        self._codes: dict[str, int] = {}

    def __call__(self, column: pa.Array) -> np.ndarray:
        """(n,) float64, nan where there is no value; BadTable at too many words."""
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        values = [word_of(v, self.missing) for v in column.dictionary.to_pylist()]
        # A category that no row has is no level.
        used = {*column.indices.unique().to_pylist()} - {None}
        values = [v if k in used else None for k, v in enumerate(values)]
        known = self._codes
        codes = [np.nan if v is None else known.setdefault(v, len(known)) for v in values]
        if len(known) > MOST_LEVELS:
            raise BadTable(
                f"column {self.column} has more than {MOST_LEVELS} different words "
                f"({', '.join(map(repr, [*known][:3]))}, ...), too many for levels; leave it out "
                f"of --features, or fit each of them by --by {self.column}"
            )
        found = np.array([*codes, np.nan])  # the last of rows without a value
        places = column.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
        return found[places.astype(np.int64, copy=False)]

    def count(self, codes: np.ndarray) -> None:
        """Clean rows with these codes (n,)."""
        counts = np.bincount(codes.astype(np.int64), minlength=len(self._codes))
        counts[: len(self.counts)] += self.counts
        self.counts = counts

    @property
    def rows(self) -> dict[str, int]:
        """How many clean rows each level has, the base first."""
        found = zip(self._codes, self.counts.tolist(), strict=False)
        return dict(sorted((word, count) for word, count in found if count))

    def levels(self) -> tuple[Variable, ...]:
        """A variable for each level but the base; BadTable where there is one level alone."""
        words, column = tuple(self.rows), self.column
        if len(words) < 2:
            raise BadTable(
                f"column {column} has one level alone, {listed(words)}, as the constant term "
                "already has; leave it out of --features"
            )
        return tuple(
            Variable(
                f"{column}={word}", column, "level",
                shift=-float(self._codes[word]), words=words, place=place,
            )
            for place, word in enumerate(words) if place
        )  # fmt: skip


class Known:
    """Places of a column's words among the levels of a fit, -1 of others."""

    def __init__(self, levels: Sequence[str]):
        self.levels = tuple(levels)

    def __call__(self, column: pa.Array) -> np.ndarray:
        """(n,) float64"""
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        found = codes_of_words([*column.dictionary.to_pylist(), None], self.levels)
        places = column.indices.fill_null(len(found) - 1).to_numpy(zero_copy_only=False)
        return found[places.astype(np.int64, copy=False)]


def lexicon_of(
    files: Sequence[Columns],
    features: Sequence[str],
    levels: Mapping[str, Sequence[str]],
    missing: Sequence[str],
) -> dict[str, Any]:
    """What makes codes of those of the features that hold words; of a model's, of its levels."""
    found = {name: Words(name, missing) for name in word_columns(files, features)}
    return found | {name: Known(words) for name, words in levels.items()}


def word_columns(files: Sequence[Columns], features: Sequence[str]) -> list[str]:
    """Those of the features that hold words: categories, or text that is not mostly numbers."""
    found = []
    for name in filter(None, features):  # levels are told by the column's name
        told = [file for file in files if name in file.schema.names and _kind(file, name) != EMPTY]
        if told and all(_is_words(file, name) for file in told):
            found.append(name)
    return found


def _kind(file: Columns, name: str) -> pa.DataType:
    return file.schema.field(name).type


def _is_words(file: Columns, name: str) -> bool:
    if not is_text(kind := _kind(file, name)):
        return False
    if pa.types.is_dictionary(kind):
        return True
    counts = counted(file.sample(name), Numbers())
    if is_quantity(counts.first) and {*counts.first} & {*f"%{CURRENCY}"}:
        return False
    return counts.texts > 0 and not counts.is_number


def find_levels(rows: Any) -> None:
    """Take the levels of a table's columns of words as features, by one pass over its clean rows.

    Raises BadTable where values are missing, words are too many, or there is one level alone.
    """
    if not rows.lexicon or rows.words:
        return
    gaps, places = MissingRows(), {name: rows.columns.index(name) for name in rows.lexicon}
    for _, kept, raw, _, _ in rows.judged(gaps):
        for name, words in rows.lexicon.items():
            words.count(raw[places[name]][kept])
    rows.check_missing(gaps)
    levels = {name: words.levels() for name, words in rows.lexicon.items()}
    outcome = rows.target and Variable(rows.target, rows.target)
    plain = Functions(tuple(Variable(name, name) for name in rows.names), outcome)
    rows.functions = (rows.functions or plain).with_levels(levels)
    rows.names = rows.functions.names
    if twice := [name for name in rows.names if rows.names.count(name) > 1]:
        raise BadTable(f"two features are called {twice[0]}; rename a column, or its words")


def written(rows: Any) -> tuple[str, ...]:
    """The features as they were named: columns of words, and not their levels."""
    columns = rows.words or ("",) * len(rows.names)
    return tuple(dict.fromkeys(c or name for c, name in zip(columns, rows.names, strict=True)))
