"""Data that Python holds, as a table: arrays, tensors, and frames of pandas, polars or pyarrow."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache, partial
from numbers import Real
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from polyreg.errors import BadTable
from polyreg.polynomials.inputs import as_numbers, is_frame, labels
from polyreg.tables import decimals
from polyreg.tables.columns import features_of, require_columns, require_numbers
from polyreg.tables.formats.cells import codes_of
from polyreg.tables.formats.dates import is_time, units_of
from polyreg.tables.parts import Codes, as_float64, exactly
from polyreg.tables.rows import InMemory
from polyreg.tables.variables import Functions
from polyreg.tables.variables.written import is_function
from polyreg.tables.words import Words, lexicon_of
from polyreg.text import listed

TITLE = "the data"


class Frame(NamedTuple):
    """Columns as Arrow has them, by name; without its numbers, what a file is known by."""

    columns: Mapping[str, Any]
    name: str = TITLE
    hint: str = ""

    def sample(self, column: str) -> pa.Array:
        """A column as text."""
        return _whole(self.columns[column]).cast(pa.string())

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, column.type) for name, column in self.columns.items()])


class Exact(NamedTuple):
    """A column (N,), and what float64 leaves of it, which takes time and is not always asked for.

    None is nothing.
    """

    high: np.ndarray
    low: Callable[[], np.ndarray | None]


def in_memory(
    x: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] | None = (),
    weights: Any = None,
    missing: str = "refuse",
    exclude: Sequence[str] = (),
    codes: Sequence[str] = (),
    sigma: Any = None,
    more: Mapping[str, Any] | None = None,
    keys: Sequence[str] = (),
) -> InMemory:
    """The table of x and y, or of a frame x and the names of its columns.

    x: (N,), (N, D), or a frame, whose `features` are by default its other numeric columns
    y: (N,) or (N, 1); None where `target` names a column of x
    weights: (N,), or the name of a column of x; None is 1 for each row
    sigma: standard uncertainties of y in place of weights
    more: columns that are read besides, in the same ways, by the names they have as arrays

    Rows belong together by their order. Names that are no text, such as pandas' numbers of columns,
    are taken by their text. A row is missing too where an array has it masked.

    Raises BadTable where shapes, lengths or pandas' indices differ, a column is missing, or it is
    no number.
    """
    asked, is_sigma, functions = names_of(features), sigma is not None, None
    besides = {what: given for what, given in (more or {}).items() if given is not None}
    if weights is not None or is_sigma:
        besides = {"sigma": sigma} | besides if is_sigma else {"weights": weights} | besides
    in_frame = {what: name for what, name in besides.items() if isinstance(name, str)}
    units: dict[str, str] = {}
    left_out: list[tuple[str, str]] = []
    lexicon: dict[str, Words] = {}
    if isinstance(y, str):
        raise BadTable(f"y={y!r} is a name; a column of x is named by target={y!r}")
    target = None if target is None else name_of(target)
    _require_one_index({"x": x, "y": y, **besides})
    frame = Frame(_columns(x)) if is_frame(x) else None
    if keys and not frame:
        raise BadTable(f"by={keys[0]!r} names a column, and x is no frame; give one with it")
    if frame:
        if y is None and target is None:
            columns = listed([*frame.columns])
            raise BadTable(f"target must name the column to predict, one of {columns}")
        functions = Functions.of(asked, target if y is None else None, [*frame.columns], TITLE)
        if functions:
            asked, target = tuple(functions.columns), _column_of(functions, target)
        require_columns([frame], [*exclude])
        others = (target if y is None else None, *in_frame.values())
        other = [name for name in others if name is not None]
        require_columns([frame], [*asked, *other, *keys])
        names = asked
        if not asked:
            names, left_out = features_of([frame], [*other, *keys], exclude)
        lexicon = lexicon_of([frame], functions.plain if functions else asked, {}, codes)
        require_numbers([frame], [c for c in (*names, *other) if c not in lexicon], names)
        given = {str(label): label for label in labels(x)}
        used = [*dict.fromkeys([*names, *other])]
        units = {c: units_of(_whole(a)) for c, a in frame.columns.items() if is_time(a.type)}
        units = {c: unit for c, unit in units.items() if c in used}
        found = {
            c: _of_words(frame.columns[c], lexicon[c])
            if c in lexicon
            else _of_frame(frame.columns[c], x[given[c]], units.get(c, ""))
            for c in used
        }
        xs = [found[name] for name in names]
    else:
        for what, name in in_frame.items():
            raise BadTable(f"{what}={name!r} names a column, and x is no frame; give an array")
        if y is None:
            raise BadTable("y is missing: give an array y, or a frame x and target, a column of it")
        found, array = {}, _shaped(as_numbers(x, "x"), "x", 2)
        low = cache(partial(decimals.of_numbers, x, array))
        xs = [Exact(column, partial(_nth, low, d)) for d, column in enumerate(array.T)]
        names = asked or _names(x, len(xs))
        if not xs:
            raise BadTable("x has no columns; a fit needs one at least")
        if len(names) != len(xs):
            raise BadTable(f"x has {len(xs)} columns, and features {len(names)} names")
    if y is None:
        ys, named = found[str(target)], str(target)
    else:
        ys = _column(y, "y")
        named = target or _free(_name(y), names)
    extra = {
        what: found[given] if what in in_frame else _column(given, what)
        for what, given in besides.items()
    }
    for what, column in {"y": ys, **extra}.items():
        if len(column.high) != len(xs[0].high):
            raise BadTable(
                f"x has {len(xs[0].high):,} rows and {what} has {len(column.high):,}; "
                "give one for each row"
            )
    twice = [n for n, times in Counter([*names, named, *in_frame.values()]).items() if times > 1]
    if twice:
        raise BadTable(f"column {twice[0]!r} is chosen twice; a target or feature is one only")
    told = {name: Codes() for name in keys}
    coded = {k: told[k](_whole(frame.columns[k])) for k in keys} if frame else {}
    kept = next((what for what in ("sigma", "weights") if what in besides), "weights")
    weighed = extra.pop(kept, None)
    made = InMemory(
        [column.high for column in xs],
        ys.high,
        None if weighed is None else weighed.high,
        names,
        target=named,
        weighed=in_frame.get(kept, kept),
        title=TITLE,
        missing=missing,
        low=lambda: [c.low() for c in (*xs, ys, weighed) if c is not None],
        is_sigma=is_sigma,
        more={in_frame.get(what, what): column.high for what, column in extra.items()} | coded,
    )
    made.keys = told
    made.codes, made.lexicon = codes_of(codes), lexicon
    if functions:
        made.units = units
        made.apply(functions)
    held = (*(() if frame else names), *(() if y is None else (named,)))  # as arrays
    made.unread = [name for name in held if is_function(name)]
    if frame:
        own = [(field.name, str(field.type)) for field in frame.schema]
        made.units, made.left_out, made.chosen_by_default = units, left_out, not asked
        made.schema = own + [pair for pair in made.schema if pair[0] not in frame.columns]
    return made


def _column_of(functions: Functions, target: str | None) -> str | None:
    return functions.outcome.column if functions.outcome else target


def name_of(label: Any) -> str:
    """The text of a column's label, which need not be text."""
    if not isinstance(label, Hashable):  # a whole column, say
        raise BadTable(f"a {type(label).__name__} is no name of a column; give its name")
    return str(label)


def names_of(features: Any) -> tuple[str, ...]:
    """Names as text; one name is a list of one."""
    if features is None or isinstance(features, str):
        return () if features is None else (features,)
    if not isinstance(features, Iterable):
        raise BadTable(f"features must be a list of names; got {features!r}")
    return tuple(map(name_of, features))


def is_address(x: Any) -> bool:
    """Whether data are a file's, by path or address."""
    return isinstance(x, str | PathLike)


def _require_one_index(given: dict[str, Any]) -> None:
    """As statsmodels does: who has two indices may expect the rows to be joined by them."""
    indexed = [(what, values.index) for what, values in given.items() if hasattr(values, "iloc")]
    for what, index in indexed[1:]:
        first, other = indexed[0]
        if len(index) == len(other) and not index.equals(other):
            raise BadTable(
                f"{first} and {what} differ in their pandas index, and rows are taken in their "
                f"order; sort {what} as {first} is, by {what}.loc[{first}.index], or give "
                f"{what}.to_numpy()"
            )


def _columns(frame: Any) -> dict[str, Any]:
    found = labels(frame)
    twice = [name for name, times in Counter(map(str, found)).items() if times > 1]
    if twice:
        raise BadTable(f"{TITLE} has two columns {twice[0]!r}; rename one of them")
    return {str(label): _arrow(frame[label], str(label)) for label in found}


def _arrow(column: Any, name: str) -> Any:
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column
    if hasattr(column, "to_arrow"):
        return column.to_arrow()
    if not hasattr(column, "detach"):
        try:
            return pa.array(column)
        except (pa.ArrowException, TypeError, OverflowError):
            pass  # another byte order, say; or objects
    try:
        numbers = as_numbers(column, f"column {name}")
    except BadTable:
        if not isinstance(column, Iterable):
            raise
        # No number, which is said if it is asked for; words if it is words that are not all text.
        is_words = all(value is None or isinstance(value, str | Real) for value in column)
        found = [None if value is None else str(value) for value in column]
        return pa.array(found, pa.string() if is_words else pa.binary())
    return pa.array(_shaped(numbers, f"column {name}", 1))


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _of_frame(column: Any, given: Any, units: str = "") -> Exact:
    """A column as Arrow has it, which may be float64 of what was given; dates in their units."""
    whole = _whole(column)
    high = as_float64(whole, units)
    if pa.types.is_floating(whole.type):
        return Exact(high, partial(decimals.of_numbers, given, high))
    return Exact(high, lambda: exactly(whole, units)[1])


def _of_words(column: Any, words: Words) -> Exact:
    """Codes of a column of words."""
    return Exact(words(_whole(column)), lambda: None)


def _nth(columns: Callable[[], np.ndarray | None], d: int) -> np.ndarray | None:
    found = columns()
    return None if found is None else found[:, d]


def _column(values: Any, what: str) -> Exact:
    """(N,) of an array, or of a frame of one column."""
    if not is_frame(values):
        array = _shaped(as_numbers(values, what), what, 1)
        return Exact(array, partial(decimals.of_numbers, values, array))
    columns = _columns(values)
    if len(columns) != 1:
        raise BadTable(f"{what} must be one column; it has {len(columns)}: {listed([*columns])}")
    require_numbers([Frame(columns)], [*columns], ())
    [column] = columns.values()
    return _of_frame(column, values[labels(values)[0]])


def _shaped(array: np.ndarray, what: str, most: int) -> np.ndarray:
    """(N, D) where two dimensions are the most, or (N,)."""
    shape = array.shape
    if most == 1 and array.ndim == 2 and shape[1] == 1:
        array = array[:, 0]
    if most == 2 and array.ndim == 1:
        array = array[:, None]
    if array.ndim != most:
        wanted = "(N,) or (N, D)" if most == 2 else "(N,)"
        raise BadTable(f"{what} must have the shape {wanted}; got {shape}")
    return array


def _name(values: Any) -> str:
    """A series' own name, or that of a frame's only column."""
    if is_frame(values):
        return str(labels(values)[0])
    name = getattr(values, "name", None)
    return name if isinstance(name, str) else ""


def _names(x: Any, size: int) -> tuple[str, ...]:
    if size == 1:
        return (_name(x) or "x",)
    return tuple(f"x{d}" for d in range(1, size + 1))


def _free(name: str, taken: Sequence[str]) -> str:
    """The target's name; where a feature has it, as that of a lagged series, another."""
    others = ("y", *(f"y{k}" for k in range(1, len(taken) + 1)))
    return next(n for n in (name, *others) if n and n not in taken)
