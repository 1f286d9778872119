"""What has to be said of a table's columns before they are fitted: sentences for its notes."""

import re
from collections.abc import Iterator

import numpy as np

from polyreg.polynomials.variables import Variable
from polyreg.tables.rows import Rows, Survey
from polyreg.text import listed

UNCERTAIN = re.compile(
    r"(?i)(.*[\W_])?(u|unc|uncertainty|sigma|sd|std|stdev|se|err|error|weights?|w)([\W_].*)?"
)
# What instruments and databases write where there is no value.
CODES = re.compile(r"-?9{2,}|-32768|32767|65535|-?1e\+?(20|30|36|37)")
SMALLEST_CODE = 98.9  # what is spelt 99, or longer, is above it
FAR = 3  # ranges of the other values
FEW = 3  # distinct values


def remarks(rows: Rows, survey: Survey) -> Iterator[str]:
    """Columns that are no features, and features that may not be meant as such."""
    if rows.left_out:
        told = ", ".join(f"{name or repr(name)} ({why})" for name, why in rows.left_out)
        yield f"no features: {told}"
    for name in rows.unread:
        yield (
            f"{name} is the name of an array, which is taken as it is; for a function of a column "
            "give a frame, or a dictionary of arrays"
        )
    # A name may be empty.
    named = [c for c in (*rows.names, rows.target, rows.weights, *rows.more) if c is not None]
    columns = dict(zip(named, _arrays(survey), strict=True))
    yield from lone_levels(rows)
    for name, values in _as_read(rows, columns).items():
        for code in codes(values):
            yield (
                f"{name} holds {code:g} far outside its other values: if it stands for a missing "
                f"value, give --missing-values={code:g}"
            )
    several = rows.chosen_by_default and len(rows.names) > 1
    for place, name in enumerate(rows.names):
        values = columns[name]
        if several and place == 0 and is_counter(values, survey):
            yield f"{name} counts the rows: if it is no variable, leave it out by --exclude {name}"
        elif rows.chosen_by_default and (count := few(values)):
            yield f"{name} has only {count} distinct values: at most degree {count - 1} in it"
        elif several and UNCERTAIN.fullmatch(name):
            yield (
                f"{name} is a feature here; if it is an uncertainty or a weight, leave it out by "
                f"--exclude {name}, or give it as --sigma or --weights"
            )


def _as_read(rows: Rows, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns as they are read, where some of them are functions of such."""
    if not rows.functions:
        return columns
    made = {v.name: v for v in (*rows.functions.inputs, rows.functions.outcome) if v}
    pairs = ((made.get(name, Variable(name, name)), a) for name, a in columns.items())
    return {v.column: v.inverse(a) for v, a in pairs}


def lone_levels(rows: Rows) -> Iterator[str]:
    """Levels of words that one row has."""
    for name, words in rows.lexicon.items():
        if lone := [f"{name}={word}" for word, count in words.rows.items() if count == 1]:
            told = f"{listed(lone)} has one row, which its offset fits exactly: the residual is 0"
            if lone[1:]:
                told = f"{listed(lone)} have one row each, which their offsets fit exactly"
            yield told


def _arrays(survey: Survey) -> list[np.ndarray]:
    block = survey.sample
    return [a for a in (*block.x, block.y, block.weights, *block.more) if a is not None]


def codes(values: np.ndarray) -> list[float]:
    """Values that stand for a missing one, by their spelling, number and distance."""
    if not (np.abs(values) >= SMALLEST_CODE).any():
        return []
    distinct, counts = np.unique(values, return_counts=True)
    repeated = (counts > 1) & (np.abs(distinct) >= SMALLEST_CODE)  # spelling all took 18 ms a fit
    coded = repeated.copy()
    coded[repeated] = [bool(CODES.fullmatch(f"{v:g}")) for v in distinct[repeated].tolist()]
    others = distinct[~coded]
    if len(others) < 2:
        return []
    width = max(np.ptp(others), np.abs(others).max() / 10)
    far = np.maximum(others[0] - distinct, distinct - others[-1]) > FAR * width
    return distinct[coded & far].tolist()


def few(values: np.ndarray) -> int:
    """How many distinct values there are, 0 for more than FEW of them."""
    count = len(np.unique(values))
    return count if 1 < count <= FEW < len(values) else 0


def is_counter(values: np.ndarray, survey: Survey) -> bool:
    """Whether a column is 0 or 1, 2, 3, ... in the order of the rows."""
    low, high = values[0], values[-1]
    return bool(
        len(values) > 2
        and low in (0, 1)
        and (np.diff(values) > 0).all()
        and (values % 1 == 0).all()
        and (high - low == len(values) - 1 or len(values) < survey.rows)
    )
