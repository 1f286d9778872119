"""Numbers as somebody holds them: arrays, tensors, lists, and frames of named columns."""

import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from polyreg.errors import BadTable, PolyregError
from polyreg.polynomials.predictor import column, is_dated, since
from polyreg.text import plural


def as_numbers(values: Any, what: str) -> np.ndarray:
    """Float64 of the same shape, nan where a value is missing or masked.

    Raises BadTable, which says `what` it is, where it is no array of real numbers.
    """
    if hasattr(values, "detach"):
        return _of_tensor(values, what)
    if hasattr(values, "toarray"):
        raise BadTable(f"{what} is sparse; give {what}.toarray()")
    if isinstance(values, list | tuple) and any(isinstance(v, np.ma.MaskedArray) for v in values):
        values = np.ma.array(values)
    array = _array(values, what)
    if array.dtype.kind == "O":  # such as pandas' nullable numbers, decimals, fractions
        if array.ndim == 0:
            raise BadTable(f"{what} is a {type(values).__name__}; give an array or a list")
        text = next((v for v in array.flat if isinstance(v, str | bytes)), None)
        if text is not None:
            raise BadTable(f"{what} is not a number everywhere (it has {text!r}); convert it")
        try:
            array = np.asarray(values, dtype=float)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadTable(f"{what} is not a number everywhere ({error}); convert it") from error
    if array.dtype.kind not in "biuf":
        raise BadTable(f"{what} is not a number: its dtype is {array.dtype}; convert it")
    array = array.astype(np.float64, copy=False)
    if isinstance(values, np.ma.MaskedArray):
        array = np.where(np.ma.getmaskarray(values), np.nan, array)
    return array


def _array(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise BadTable(f"{what} is no array: its rows have different lengths") from error
    except (TypeError, RuntimeError) as error:  # such as a list of tensors with gradients
        raise BadTable(f"{what} is no array: {error}") from error


def _of_tensor(values: Any, what: str) -> np.ndarray:
    try:
        found = values.detach().cpu()
        if found.is_complex():
            raise TypeError("it is complex")
        return found.double().resolve_neg().numpy()  # numpy knows no bfloat16
    except (TypeError, RuntimeError) as error:  # sparse, or without data
        raise BadTable(f"{what} is a tensor that is no array of numbers: {error}") from error


def is_frame(x: Any) -> bool:
    """Whether data have columns by name: a frame, a dictionary, an array with fields."""
    if isinstance(x, Mapping) or _fields(x):
        return True
    return hasattr(x, "collect") or hasattr(x, "columns")  # a LazyFrame's columns would warn


def labels(frame: Any) -> list[Any]:
    """The names of a frame's columns, as `frame[label]` takes them.

    Raises BadTable where the rows are not in memory.
    """
    if hasattr(frame, "collect"):
        kind = type(frame).__name__
        raise BadTable(f"a {kind} has no rows in memory; give a DataFrame, such as x.collect()")
    named = _fields(frame) or getattr(frame, "column_names", None)  # Arrow's
    return list(getattr(frame, "columns", frame) if named is None else named)


def as_times(values: Any, units: str, name: str) -> Any:
    """Dates as numbers in these units, such as "days since 2024-03-01"; numbers as they are.

    Raises PolyregError where a value is neither.
    """
    found = values if hasattr(values, "detach") else np.asarray(values)
    if getattr(found.dtype, "kind", "f") not in "MOUS":
        return values
    try:
        return since(pd.Series(found.ravel(), name=name), units).reshape(found.shape)
    except ValueError as error:
        raise PolyregError(str(error)) from error


def by_name(
    frame: Any,
    names: Sequence[str],
    units: Mapping[str, str],
    levels: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> np.ndarray:
    """The columns of a frame, whatever their order there  ->  (N, D)

    levels: of columns of words, which become the places of these, -1 of what is none of them

    Raises PolyregError where one is missing, or holds what is no finite number.
    """
    if not isinstance(frame, pd.DataFrame):
        found = {str(label): frame[label] for label in labels(frame) if str(label) in names}
        dated = {name for name in names if is_dated(units.get(name, ""))}
        columns = {
            name: np.asarray(c)
            if name in dated or name in levels
            else as_numbers(c, f"column {name}")
            for name, c in found.items()
        }
        frame = pd.DataFrame(columns)
    frame = frame.set_axis([str(label) for label in frame.columns], axis=1)
    try:
        read = [column(frame, name, names, units, levels.get(name, ())) for name in names]
        _warn_of_words(frame, levels, dict(zip(names, read, strict=True)))
        return np.stack(read, axis=1)
    except ValueError as error:  # of the file that travels without polyreg
        raise PolyregError(str(error)) from error


def _warn_of_words(
    frame: pd.DataFrame, levels: Mapping[str, Sequence[str]], read: Mapping[str, np.ndarray]
) -> None:
    for name in levels:
        if unknown := np.flatnonzero(read[name] < 0).tolist():
            said = f"column {name}, row {unknown[0] + 1}: {frame[name].iloc[unknown[0]]!r}"
            more = f", and in {plural(len(unknown) - 1, 'row')} more" if unknown[1:] else ""
            warnings.warn(
                f"{said} is no level that the fit knows{more}; there it answers nan", stacklevel=6
            )


def rows_of(
    x: Any,
    names: Sequence[str],
    units: Mapping[str, str],
    levels: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> np.ndarray:
    """x as `Result.predict` takes it  ->  (N, D), a copy; PolyregError where it is another shape

    levels: as of `by_name`. Rows without names have words too, or, as the torch module takes them,
    numbers: the places of levels, 0 of the base
    """
    if levels and not is_frame(x) and not _is_numbers(x):
        x = _named(x, names)
    if is_frame(x):
        x = by_name(x, names, units, levels)
    elif len(names) == 1 and is_dated(units.get(names[0], "")):
        x = as_times(x, units[names[0]], names[0])
    # A copy: torch takes neither views in reverse nor read-only memory.
    x, size = np.array(as_numbers(x, "x"), order="C"), len(names)
    if x.ndim < 2:
        x = x.reshape(-1, 1) if size == 1 else x.reshape(1, -1)
    if x.ndim != 2 or x.shape[1] != size:
        raise PolyregError(f"x must be (N, {size}): {', '.join(names)}")
    for d, name in enumerate(names):
        if name in levels:
            x[~np.isin(x[:, d], range(len(levels[name]))), d] = -1.0
    return x


def _is_numbers(x: Any) -> bool:
    return hasattr(x, "detach") or np.asarray(x).dtype.kind in "biuf"


def _named(x: Any, names: Sequence[str]) -> pd.DataFrame:
    """Rows of numbers and words as a frame."""
    rows = np.array(x, dtype=object)
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != len(names):
        raise PolyregError(f"x must be (N, {len(names)}): {', '.join(names)}")
    return pd.DataFrame(rows, columns=[*names])


def _fields(x: Any) -> Any:
    return getattr(getattr(x, "dtype", None), "names", None)
