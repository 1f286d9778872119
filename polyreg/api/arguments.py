"""Options as Python's callers give them, and errors that name them so."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field, fields
from numbers import Real
from typing import Any, TypeVar

from polyreg.errors import PolyregError, Refused
from polyreg.options import Integer, ListOf, Names, Numbers, require
from polyreg.text import text

Config = TypeVar("Config")
# How the command line writes an option and its value, in an error that says the way out.
OPTION = re.compile(
    r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)(?: (drop|fast|certified|auto|cpu|cuda|mps|float64|gap)\b)?"
)


@contextmanager
def in_python() -> Iterator[None]:
    """Errors that name arguments as Python writes them: degree for --degree."""
    try:
        yield
    except PolyregError as error:
        raise type(error)(as_arguments(str(error))) from error.__cause__


def as_arguments(told: str) -> str:
    """A text that names options as the command line does, in Python's words."""
    return OPTION.sub(_argument, told)


def _argument(found: re.Match[str]) -> str:
    name = found[1].replace("-", "_")
    return name if found[2] is None else f"{name}={found[2]!r}"


def config_of(kind: type[Config], options: dict[str, Any]) -> Config:
    """The options of a config, in Python's own types; Refused where one is unknown."""
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    now = {f.metadata["was"]: name for name, f in known.items() if f.metadata["was"]}
    options = {now.get(name, name): value for name, value in options.items()}
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise Refused(f"no option {name!r}{hint}")
    return kind(**{name: _value(known[name], value) for name, value in options.items()})


def words_of(values: Any) -> tuple[str, ...]:
    """Words and numbers that stand for missing values, as text; one is a list of one."""
    given = values if isinstance(values, Iterable) and not isinstance(values, str) else (values,)
    return tuple(text(value) for value in given)


def _value(option: Field, value: Any) -> Any:
    """An option's value as the command line would have made it; Refused where it could not."""
    value, kind = _plain(value), option.metadata["type"]
    if option.type is bool:
        require(value in (True, False), option.name, repr(value), "must be True or False")
        return bool(value)
    if isinstance(kind, Numbers | ListOf | Names):
        value = value if isinstance(value, tuple) else (value,)  # one value is a list of one
    if isinstance(kind, Numbers):
        strange = [c for c in value if not isinstance(c, Real)]
        require(not strange, option.name, repr(strange), "must be numbers, constant first")
        return tuple(map(float, value))
    if isinstance(kind, ListOf):
        require(value, option.name, "none", "must be one value or more")
        return tuple(dict.fromkeys(_whole(kind.element, one) for one in value))
    return _whole(kind, value)


def _whole(kind: Any, value: Any) -> Any:
    """2.0 is 2 where a whole number is wanted."""
    is_whole = isinstance(kind, Integer) and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def _plain(value: Any) -> Any:
    """numpy's and torch's numbers as Python's; arrays, ranges and other series as tuples."""
    if hasattr(value, "tolist") and not isinstance(value, type):
        value = value.tolist()
    is_series = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return tuple(map(_plain, value)) if is_series else value


def named_by(what: str, values: Any) -> str:
    """A column or a weight function by its name; of an array what it is, and "" of nothing."""
    if isinstance(values, str):
        return values
    return "" if values is None else what
