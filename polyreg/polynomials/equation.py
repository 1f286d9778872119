"""The polynomial as an equation that can be evaluated as it is printed, in float64.

Powers of x cancel where x is far from 0 (years, seconds), or where the degree is high. The same
polynomial in t = (x - centre)/scale, |t| <= 1 on the domain, does not:

    powers      y = sum_k c_k prod_d x_d^e_kd
    centred     y = sum_k a_k prod_d t_d^e_kd
    chebyshev   y = sum_k b_k prod_d T_e_kd(t_d)         T_n(t) = cos(n arccos t)

An equation holds where it is within a tenth of the standard error of the fit, at all points of a
grid over the domain; where none is known, or the fit is exact, within 1e-9 of the range of y. Less
than FLOOR of the largest |y| is asked of none: float64 has no more. The first that holds is the
one to use; where none does, the nearest.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from polyreg.errors import PolyregError
from polyreg.polynomials import terms
from polyreg.polynomials.design import Powers, floats
from polyreg.polynomials.terms import Exponents

FORMS = ("powers", "centred", "chebyshev")
PART = 0.1  # of a standard error
PART_OF_RANGE = 1e-9
EXACT = 1e-13  # residual SD over the largest |y|: less is the rounding of y itself
FLOOR = 2.0**-50
POINTS, CORNERS = 257, 1024  # of the grid; corners at most, in several variables
ROUNDING = Fraction(1, 2**53)


@dataclass(frozen=True, eq=False)
class Equation:
    """A polynomial in D variables, K terms, in one of FORMS."""

    form: str
    target: str
    variables: tuple[str, ...]  # (D,)
    symbols: tuple[str, ...]  # (D,) t, or t1, t2; in powers the variables themselves
    centre: tuple[float, ...]  # (D,) round decimal numbers
    scale: tuple[float, ...]
    exponents: tuple[Exponents, ...]  # (K,)
    coefficients: np.ndarray  # (K,) float64
    units: Mapping[str, str]  # of variables and target, where they are known
    levels: str = ""  # what variables that are levels of words stand for

    @property
    def terms(self) -> list[str]:
        """1, t, t^2, t1*t2; or 1, T_1(t), T_2(t), T_1(t1)*T_1(t2)."""
        if self.form != "chebyshev":
            return [terms.name(e, self.symbols) for e in self.exponents]
        pairs = (zip(self.symbols, self.variables, e, strict=True) for e in self.exponents)
        return ["*".join(_chebyshev_of(s, x, n) for s, x, n in p if n) or "1" for p in pairs]

    @property
    def text(self) -> str:
        """Every digit of it: y = 3.1 + 2.2*t + 0.5*t^2, t = (x - 2010)/9"""
        parts = [terms.equation(self.target, self.terms, self.coefficients)]
        if self.form != "powers":
            rows = zip(self.symbols, self.variables, self.centre, self.scale, strict=True)
            parts += [f"{symbol} = {_moved(x, c, s)}" for symbol, x, c, s in rows if symbol != x]
        if self.form == "chebyshev":
            parts.append("T_n(t) = cos(n*arccos(t))")
        parts += [f"{terms.quoted(name)} in {unit}" for name, unit in self.units.items()]
        return ", ".join(parts + [self.levels] * bool(self.levels))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate in float64, term by term, as it is printed: x (N, D)  ->  (N,)"""
        centre, scale = np.array(self.centre), np.array(self.scale)
        t = x if self.form == "powers" else (x - centre) / scale
        top = np.max(self.exponents, axis=0, initial=0)
        factors = [self._factors(t[:, d], int(n)) for d, n in enumerate(top)]
        found = np.zeros(len(x))
        for c, e in zip(self.coefficients.tolist(), self.exponents, strict=True):
            part: Any = c
            for d, n in enumerate(e):
                if n:
                    part = part * factors[d][n]
            if c:
                found += part
        return found

    def _factors(self, t: np.ndarray, top: int) -> list[np.ndarray]:
        if self.form != "chebyshev":
            return [t**n for n in range(top + 1)]
        found = [np.ones_like(t), t]
        for _ in range(top - 1):
            found.append(2 * t * found[-1] - found[-2])
        return found

    def to_dict(self) -> dict[str, Any]:
        """As coefficients.json has it."""
        return {
            "form": self.form,
            "text": self.text,
            "symbols": dict(zip(self.variables, self.symbols, strict=True)),
            "centre": dict(zip(self.variables, self.centre, strict=True)),
            "scale": dict(zip(self.variables, self.scale, strict=True)),
            "terms": self.terms,
            "coefficients": self.coefficients.tolist(),
        }


class Equations:
    """The equations of a Result, made when they are asked for, and which of them to use."""

    def __init__(self, result: Any):
        self._result = result
        self._made: dict[str, Equation] = {}
        self._off: dict[str, float] = {}
        size = len(result.variables)
        low, high = result.low, result.high
        if size == 1:
            x = np.linspace(low, high, POINTS)
        else:
            rng = np.random.default_rng(0)
            few = 2**size <= CORNERS
            every = [*itertools.product((0, 1), repeat=size)] if few else []
            corners = every or rng.integers(0, 2, size=(CORNERS, size))
            x = low + (high - low) * np.concatenate([corners, rng.random((POINTS, size))])
            _set_levels(x, result.design.words, rng)
        self._x = x
        self._y, self._tolerance = _values(result, x)

    def __getitem__(self, form: str) -> Equation:
        """Raises PolyregError where it is none of FORMS."""
        if form not in FORMS:
            raise PolyregError(f"form must be one of {', '.join(FORMS)}; got {form!r}")
        if form not in self._made:
            make = {"powers": _powers, "centred": _centred, "chebyshev": _chebyshev}[form]
            self._made[form] = make(self._result)
        return self._made[form]

    def off(self, form: str) -> float:
        """The largest error on the grid, in units of y."""
        return float(np.max(self._errors(form)))

    def holds(self, form: str) -> bool:
        """Half of what is allowed, since between the grid's points it errs differently."""
        return self._excess(form) <= 0.5

    def _errors(self, form: str) -> np.ndarray:
        with np.errstate(all="ignore"):
            errors = np.abs(self[form](self._x) - self._y)
        return np.where(np.isnan(errors), np.inf, errors)

    def _excess(self, form: str) -> float:
        """The largest error over what is allowed there."""
        if form not in self._off:
            errors = self._errors(form)
            with np.errstate(all="ignore"):
                parts = np.where(errors == 0, 0.0, errors / self._tolerance)
            self._off[form] = float(np.max(parts))
        return self._off[form]

    @property
    def usable(self) -> Equation:
        """The first of FORMS that holds, or the one that is nearest to it."""
        for form in FORMS:
            if self.holds(form):
                return self[form]
        return self[min(FORMS, key=self._excess)]

    def lines(self) -> list[str]:
        """The equation to use; where it is not the powers of x, these, and why not to use them."""
        usable = self.usable
        if usable.form == "powers":
            return [usable.text, *([] if self.holds("powers") else [self._best("powers")])]
        names = ", ".join(map(terms.quoted, usable.variables))
        symbols = ", ".join(usable.symbols)
        advice = (
            f"use the equation in {symbols}: float64 evaluates the powers of {names}, whose "
            f"coefficients are as exact, with errors up to {self.off('powers'):.2g} on the domain"
        )
        if usable.form == "chebyshev":
            advice += "; powers of t would err, too, so it is in Chebyshev polynomials T_n"
        if not self.holds(usable.form):
            advice += f"; {self._best(usable.form)}"
        return [usable.text, f"in powers of {names}: {self['powers'].text}", advice]

    def to_dict(self) -> dict[str, Any]:
        """The equation to use, and the centred one, as coefficients.json has them."""
        usable = self.usable
        known = {"use": usable.form, "centred": self["centred"].to_dict()}
        return known | ({"chebyshev": usable.to_dict()} if usable.form == "chebyshev" else {})

    def _best(self, form: str) -> str:
        return f"the nearest that float64 comes to the fit: errors up to {self.off(form):.2g}"


def _set_levels(x: np.ndarray, words: Sequence[str], rng: np.random.Generator) -> None:
    """Give each row of x (n, D) one level of each column of words: at most one 1, the others 0."""
    for column in dict.fromkeys(filter(None, words)):
        own = [d for d, name in enumerate(words) if name == column]
        x[:, own] = rng.integers(0, len(own) + 1, len(x))[:, None] == range(1, len(own) + 1)


def _values(result: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The polynomial in the basis that did the work, and the error that is allowed, both (n,)."""
    q = result.design.matrix(torch.from_numpy(x)).numpy()
    y = q @ result.solution.weights
    largest, allowed = np.abs(y).max(), np.full(len(x), PART_OF_RANGE * np.ptp(y))
    if result.has_errors:
        unit = math.exp(result.log_weights / result.nobs / 2)  # the root of a typical weight
        if result.residual_sd > EXACT * largest * unit:
            variance = np.maximum(((q @ result.solution.inverse) * q).sum(1), 0)
            allowed = PART * result.residual_sd * np.sqrt(variance)
    return y, np.maximum(allowed, FLOOR * largest)


def _powers(result: Any) -> Equation:
    size = len(result.variables)
    return Equation(
        "powers",
        result.target,
        result.variables,
        result.variables,
        (0.0,) * size,
        (1.0,) * size,
        tuple(result.exponents),
        result.coefficients,
        result.units,
        _told_levels(result),
    )


def _told_levels(result: Any) -> str:
    """What the variables that are levels stand for, in words."""
    told = []
    for column, (base, *others) in result.levels.items():
        base, first = (" ".join(word.split()) for word in (base, others[0]))
        said = f"{column}={first} is 1 where {column} is {first}"
        if others[1:]:
            said = f"{column}={first}, ... are 1 at that level of {column}"
        told.append(f"{said}, else 0 (base {base})")
    return ", ".join(told)


def _centred(result: Any) -> Equation:
    windows = _windows(result)
    return _in_t(result, "centred", windows, _exact(result, windows))


def _chebyshev(result: Any) -> Equation:
    windows = _windows(result)
    exact = _exact(result, windows)
    for d in result.design.numeric:
        exact = _to_chebyshev(exact, d)
    return _in_t(result, "chebyshev", windows, exact)


def _in_t(result: Any, form: str, windows: Sequence, exact: dict[Exponents, Fraction]) -> Equation:
    taken = [*result.variables, *result.columns, result.target, result.target_column]
    symbols = _symbols(taken, len(windows), result.design.words)
    centre, scale = zip(*windows, strict=True)
    found = floats([exact[e] for e in result.design.exponents])
    return Equation(
        form,
        result.target,
        result.variables,
        symbols,
        centre,
        scale,
        result.design.exponents,
        found,
        result.units,
        _told_levels(result),
    )


def _exact(result: Any, windows: Sequence[tuple[float, float]]) -> dict[Exponents, Fraction]:
    """The weights' polynomial in powers of t; what their own rounding can explain is 0."""
    weights = [Fraction(w) for w in result.solution.weights.tolist()]
    found = {}
    for e, row in zip(result.design.exponents, Powers(result.design, windows).rows, strict=True):
        parts = [c * weights[t] for t, c in row.items()]
        value = sum(parts, start=Fraction(0))
        is_zero = abs(value) <= ROUNDING * sum(map(abs, parts))
        found[e] = Fraction(0) if is_zero else value
    return found


def _to_chebyshev(exact: dict[Exponents, Fraction], d: int) -> dict[Exponents, Fraction]:
    """Powers of t_d as Chebyshev polynomials:  2^(n-1) t^n = sum_k C(n, k) T_(n-2k), 2 k <= n

    where T_0 counts half.  (Mason and Handscomb 2003, 2.14)
    """
    found = dict.fromkeys(exact, Fraction(0))
    for e, value in exact.items():
        n = e[d]
        for k in range(n // 2 + 1):
            part = value * math.comb(n, k) * Fraction(2, 2**n)
            found[(*e[:d], n - 2 * k, *e[d + 1 :])] += part / 2 if n == 2 * k else part
    return found


def _windows(result: Any) -> list[tuple[float, float]]:
    """Centre and scale of each variable; levels stay what they are."""
    words = result.design.words or ("",) * len(result.variables)
    ends = zip(result.domain.values(), words, strict=True)
    return [(0.0, 1.0) if column else _window(*pair) for pair, column in ends]


def _window(low: float, high: float) -> tuple[float, float]:
    """Centre and scale, the scale of two digits and the centre a multiple of its last."""
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    if not half > 0:
        return middle, abs(middle) or 1.0
    unit = Decimal(1).scaleb(Decimal(half).adjusted() - 1)
    centre = Decimal(middle).quantize(unit)
    reach = max(Decimal(high) - centre, centre - Decimal(low))
    scale = (reach * (1 - Decimal("1e-12"))).quantize(unit, ROUND_CEILING)
    return float(centre), float(scale)


def _symbols(taken: Sequence[str], size: int, words: Sequence[str] = ()) -> tuple[str, ...]:
    """Names that are nobody's: t, or t1, t2, ...; of levels those that they have, first in taken"""
    size -= sum(map(bool, words))
    for name in ("t", "u", "v", "t_", *(f"t_{k}_" for k in range(len(taken) + 1))):
        found = [name] if size == 1 else [f"{name}{d}" for d in range(1, size + 1)]
        if not {*found} & {*taken}:
            break
    moved = iter(found)
    if not words:
        return tuple(moved)
    return tuple(taken[d] if column else next(moved) for d, column in enumerate(words))


def _chebyshev_of(symbol: str, variable: str, n: int) -> str:
    """T_n of a symbol; a level is itself."""
    return terms.quoted(symbol) if symbol == variable else f"T_{n}({symbol})"


def _moved(variable: str, centre: float, scale: float) -> str:
    """(x - 2010)/9"""
    name = terms.quoted(variable)
    name = name if re.fullmatch(rf"\w+|`.*`|{terms.FUNCTION}", name) else f"`{name}`"
    sign, size = ("+", -centre) if centre < 0 else ("-", centre)
    moved = f"({name} {sign} {_number(size)})" if centre else name
    return moved if scale == 1 else f"{moved}/{_number(scale)}"


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
