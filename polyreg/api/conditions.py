"""Exact conditions on a polynomial as Python's callers give them, in the text of the command."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from polyreg.errors import Refused
from polyreg.polynomials.terms import quoted

LARGEST = 10**300  # as text reads numbers


def as_items(given: Any) -> str:
    """Terms: ["1", "x"] -> 1,x; text as it is, "" of None."""
    if given is None or isinstance(given, str):
        return given or ""
    if not isinstance(given, Iterable):
        raise Refused(f'--terms must be a list of terms, like ["1", "x^2"]; got {given!r}')
    found = ",".join(str(term) for term in given)
    if not found:
        raise Refused("--terms is empty; name a term")
    return found


def as_pairs(given: Any, sign: str, option: str) -> str:
    """{"x^2": 0.1} -> x^2=0.1; of degrees the names are those of columns."""
    if given is None or isinstance(given, str):
        return given or ""
    if not isinstance(given, Mapping):
        raise Refused(f'--{option} must be a dictionary, like {{"x": 2}}; got {given!r}')
    if not given:
        raise Refused(f"--{option} is empty; leave it out")
    name = quoted if option == "degrees" else str
    return ",".join(f"{name(str(k))}{sign}{number(v, option)}" for k, v in given.items())


def as_points(given: Any, option: str) -> str:
    """[(0, 2.5)] -> 0:2.5; of several variables [((0, 1), 2.5)] or [({"a": 0, "b": 1}, 2.5)]."""
    if given is None or isinstance(given, str):
        return given or ""
    wrong = Refused(f"--{option} must be a list of pairs, like [(0, 2.5)]; got {given!r}")
    if not isinstance(given, Iterable):
        raise wrong
    found = []
    for point in given:
        try:
            x, value = point
        except (TypeError, ValueError):
            raise wrong from None
        if isinstance(x, Mapping):
            said = ";".join(f"{quoted(str(k))}={number(v, option)}" for k, v in x.items())
        elif isinstance(x, Iterable) and not isinstance(x, str):
            said = ";".join(number(v, option) for v in x)
        else:
            said = number(x, option)
        found.append(f"{said}:{number(value, option)}")
    if not found:
        raise Refused(f"--{option} is empty; leave it out")
    return ",".join(found)


def number(value: Any, option: str) -> str:
    """A number as it is written: 0.1 is a tenth."""
    value = value.item() if hasattr(value, "item") and not isinstance(value, type) else value
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        raise Refused(f"--{option} has {value!r} where a number is needed, like 0.1")
    if isinstance(value, Integral) and abs(int(value)) > LARGEST:
        raise Refused(f"--{option} has a number that leaves float64; rescale it")
    if isinstance(value, Integral | Fraction | Decimal):
        return str(value)
    return repr(float(value))
