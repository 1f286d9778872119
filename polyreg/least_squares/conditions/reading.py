"""What options say of the polynomial: --terms, --degrees, --fix, --through and --slope, exactly."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.fields import MAX_FIT_DEGREE
from polyreg.polynomials import terms
from polyreg.polynomials.terms import Exponents

MAX_TERMS = 5000
LONGEST = 60  # characters of an item that an error shows
DECADES = 300  # of a number's size, up or down
SMALLEST = Fraction(1, 10**DECADES)
NUMBER = r"[^,;:=*^`]*"
DEGREE = next(f.default for f in fields(FitConfig) if f.name == "degree")


@dataclass(frozen=True)
class Point:
    """p(x) = value, or of a slope p'(x) = value."""

    x: tuple[Fraction, ...]  # (D,)
    value: Fraction
    told: str


@dataclass(frozen=True)
class Wanted:
    """What a polynomial in D variables has to be; without it, any of a total degree."""

    exponents: tuple[Exponents, ...] | None = None  # its terms; None: all of the degree
    fixed: tuple[tuple[Exponents, Fraction], ...] = ()
    points: tuple[Point, ...] = ()
    slopes: tuple[Point, ...] = ()
    lower: tuple[Exponents, ...] | None = None  # the terms of the design, where they are given

    @property
    def all_terms(self) -> tuple[Exponents, ...] | None:
        """Terms of the design, (K,): those of the polynomial, and what divides them.

        Powers of a shifted x make lower powers of x. Raises Refused above MAX_TERMS.
        """
        if self.exponents is None or self.lower is not None:
            return self.lower
        found: set[Exponents] = set()
        for e in self.exponents:
            if math.prod(n + 1 for n in e) > MAX_TERMS:
                raise too_many()
            found.update(itertools.product(*(range(n + 1) for n in e)))
            if len(found) > MAX_TERMS:
                raise too_many()
        return tuple(sorted(found, key=terms.order))


NOTHING = Wanted()


def too_many() -> Refused:
    return Refused(
        f"the terms, with the lower ones that they are made from, are more than {MAX_TERMS:,}; "
        "name fewer, or lower ones"
    )


def read(config: FitConfig, names: Sequence[str]) -> Wanted:
    """What the options say, of these variables.

    Raises Refused where they name what there is not, or say something twice.
    """
    exponents = chosen(config, names)
    fixed = _fixed(Scanner(config.fix, "fix", names), exponents, config)
    if config.slope and len(names) > 1:
        raise Refused(
            f"--slope is of one variable, and there are {len(names)}: {', '.join(names)}; name one "
            "of --features"
        )
    return Wanted(
        exponents,
        fixed,
        _points(Scanner(config.through, "through", names), "p({}) = {}"),
        _points(Scanner(config.slope, "slope", names), "p'({}) = {}"),
    )


def chosen(config: FitConfig, names: Sequence[str]) -> tuple[Exponents, ...] | None:
    """The terms that --terms or --degrees choose; None without. Raises Refused."""
    exponents: tuple[Exponents, ...] | None = None
    if config.terms:
        exponents = _terms(Scanner(config.terms, "terms", names))
        if not config.intercept and (0,) * len(names) in exponents:
            raise Refused("--terms has the constant 1, and --intercept is false; leave out one")
    elif config.degrees:
        exponents = _box(Scanner(config.degrees, "degrees", names), config)
    if exponents is not None:
        _require_degree(exponents, config, names)
    return exponents


def settled(passes: Any, config: FitConfig) -> FitConfig:
    """The config with the degree that --terms or --degrees come to, and the target's own name.

    passes: who reads the table. Columns that nobody asked for, and that no term has, are left out
    of its features. Raises Refused.
    """
    if passes.table.functions:
        config = replace(config, target=passes.table.target)
    if not (config.terms or config.degrees):
        return config
    names = variables(numbers_of(passes.table.names, passes.table.words), config)
    found = chosen(config, names) or ()
    used = [any(e[d] for e in found) for d in range(len(names))]
    if not config.swap and any(used) and not all(used) and passes.table.chosen_by_default:
        left_out = [name for name, is_used in zip(names, used, strict=True) if not is_used]
        passes.leave_out(left_out, "in no term")
    degree = max(map(sum, found))
    if config.degree not in (DEGREE, degree):
        which = "terms" if config.terms else "degrees"
        raise Refused(
            f"--degree {config.degree} beside --{which}, whose highest total degree is {degree}; "
            "leave it out"
        )
    return replace(config, degree=degree)


def variables(names: Sequence[str], config: FitConfig) -> tuple[str, ...]:
    """Those of the polynomial: with --swap the table's target."""
    return (config.target,) if config.swap else tuple(names)


def numbers_of(names: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """The variables that are no levels. words: as of Rows"""
    columns = words or ("",) * len(names)
    return tuple(name for name, column in zip(names, columns, strict=True) if not column)


class Scanner:
    """Reads a text of terms, numbers and the signs between them. Every error is Refused."""

    def __init__(self, text: str, option: str, names: Sequence[str]):
        self.text, self.option, self.names, self.at = text, option, names, 0
        known = {}
        for d, name in enumerate(names):
            known[f"`{' '.join(name.split())}`"] = d
            known[terms.quoted(name)] = d
            if name.startswith("(1/"):  # as it is asked for
                known[name[1:-1]] = known[f"`{name[1:-1]}`"] = d
        self._known = sorted(known.items(), key=lambda pair: -len(pair[0]))

    def items(self) -> Iterator[int]:
        """The place of each item of a comma list, which the caller reads up to the next comma."""
        while self.text:
            start = self.at
            yield start
            self._read(r"\s*")
            if self.at == len(self.text):
                return
            if not self.take(","):
                raise self.wrong(start)

    def take(self, sign: str) -> bool:
        """Whether the sign is next; it is then read, with the blanks about it."""
        found = re.compile(rf"\s*{re.escape(sign)}\s*").match(self.text, self.at)
        self.at = found.end() if found else self.at
        return bool(found)

    def name(self, ends: str) -> int | None:
        """The place of the variable whose name is next, before one of the signs `ends`."""
        blank = re.compile(r"\s*").match(self.text, self.at)
        start = blank.end() if blank else self.at
        for name, d in self._known:
            end = start + len(name)
            if self.text.startswith(name, start) and re.match(
                rf"\s*([{re.escape(ends)}]|$)", self.text[end:]
            ):
                self.at = end
                return d
        return None

    def term(self) -> Exponents:
        """A product of powers, or 1."""
        start, powers = self.at, [0] * len(self.names)
        if self._read(r"\s*1\s*(?=[,=]|$)"):
            return tuple(powers)
        while True:
            d = self.name("^*,=")
            if d is None:
                raise self.unknown(start)
            power = self._read(r"\s*\^\s*(\d{1,4})")
            powers[d] += int(power[1]) if power else 1
            if not self.take("*"):
                return tuple(powers)

    def number(self) -> Fraction:
        """Exactly as it is written: a decimal, or a fraction such as 1/3."""
        word = self._read(NUMBER)
        said = word[0].strip() if word else ""
        parts = [self._decimal(part) for part in said.split("/")]
        if len(parts) > 2 or (len(parts) == 2 and not parts[1]):
            raise self.no_number(said)
        found = parts[0] / parts[1] if len(parts) == 2 else parts[0]
        if found and not SMALLEST <= abs(found) <= 1 / SMALLEST:
            raise self.beyond(said)
        return found

    def _decimal(self, said: str) -> Fraction:
        try:
            found = Decimal(said.strip())
        except InvalidOperation:
            raise self.no_number(said) from None
        if not found.is_finite():
            raise self.no_number(said)
        if found and abs(found.adjusted()) > DECADES:
            raise self.beyond(said)
        return Fraction(found) if found else Fraction(0)

    def beyond(self, said: str) -> Refused:
        return Refused(f"--{self.option} has the number {said}, which leaves float64; rescale it")

    def _read(self, pattern: str) -> re.Match | None:
        found = re.compile(pattern).match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def item(self, start: int) -> str:
        """What is written from a place on, up to the next comma."""
        said = self.text[start:].partition(",")[0].strip()
        return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."

    def unknown(self, start: int) -> Refused:
        said, names = self.item(start), ", ".join(map(terms.quoted, self.names[:8]))
        if not said:
            return Refused(f"--{self.option} has an empty item; leave out the comma")
        return Refused(
            f"--{self.option} names the term {said}, and there is none; a term is 1 or a product "
            f"of powers of {names}{', ...' if len(self.names) > 8 else ''}, like "
            f"{terms.quoted(self.names[0])}^2"
        )

    def no_number(self, said: str) -> Refused:
        return Refused(f"--{self.option} has {said.strip()!r} where a number is needed, like 0.1")

    def wrong(self, start: int) -> Refused:
        form = {
            "terms": "1,x,x^3",
            "degrees": "a:2,b:1",
            "fix": "x^2=0.1,1=0",
            "through": "0:0,1:2.5, or of several variables a=0;b=1:5",
            "slope": "0:0",
        }[self.option]
        return Refused(f"--{self.option} has {self.item(start)!r}; write it like {form}")


def _terms(scan: Scanner) -> tuple[Exponents, ...]:
    found: list[Exponents] = []
    for start in scan.items():
        term = scan.term()
        if term in found:
            raise Refused(f"--terms names {scan.item(start)} twice; leave out one")
        found.append(term)
    return tuple(sorted(found, key=terms.order))


def _box(scan: Scanner, config: FitConfig) -> tuple[Exponents, ...]:
    """All products within the highest power of each variable, and --interaction-degree."""
    tops = [0] * len(scan.names)
    seen = set()
    for start in scan.items():
        d = scan.name(":")
        if d is None:
            said = scan.item(start).partition(":")[0]
            raise Refused(
                f"--degrees names {said or 'nothing'}, and the variables are "
                f"{', '.join(map(terms.quoted, scan.names[:8]))}"
            )
        if d in seen:
            raise Refused(f"--degrees names {terms.quoted(scan.names[d])} twice; leave out one")
        seen.add(d)
        power = scan.number() if scan.take(":") else Fraction(-1)
        if power.denominator != 1 or not 0 <= power <= MAX_FIT_DEGREE:
            raise Refused(
                f"--degrees has {scan.item(start)!r}; a highest power is a whole number from 0 to "
                f"{MAX_FIT_DEGREE}, like {terms.quoted(scan.names[d])}:2"
            )
        tops[d] = int(power)
    active = [d for d, top in enumerate(tops) if top]
    most = min(len(active), config.interaction_degree or len(active))
    found: list[Exponents] = []
    for size in range(most + 1):
        for chosen in itertools.combinations(active, size):
            for powers in itertools.product(*(range(1, tops[d] + 1) for d in chosen)):
                if len(found) == MAX_TERMS:
                    raise too_many()
                of = dict(zip(chosen, powers, strict=True))
                found.append(tuple(of.get(d, 0) for d in range(len(tops))))
    return tuple(sorted(found[0 if config.intercept else 1 :], key=terms.order))


def _require_degree(
    exponents: tuple[Exponents, ...], config: FitConfig, names: Sequence[str]
) -> None:
    if not exponents:
        raise Refused("--degrees leaves no term; give a power above 0")
    highest = max(exponents, key=sum)
    if sum(highest) > MAX_FIT_DEGREE:
        which = "terms" if config.terms else "degrees"
        raise Refused(
            f"--{which} has {terms.name(highest, names)}, of total degree {sum(highest)}; at most "
            f"{MAX_FIT_DEGREE} has digits left"
        )


def _fixed(
    scan: Scanner, exponents: tuple[Exponents, ...] | None, config: FitConfig
) -> tuple[tuple[Exponents, Fraction], ...]:
    found: dict[Exponents, Fraction] = {}
    for start in scan.items():
        term = scan.term()
        said = terms.name(term, scan.names)
        if not scan.take("="):
            raise scan.wrong(start)
        if term in found:
            raise Refused(f"--fix has {said} twice; leave out one")
        is_there = (
            term in exponents
            if exponents is not None
            else sum(term) <= config.top_degree
            and sum(map(bool, term)) <= (config.interaction_degree or len(term))
        )
        if not is_there or (not any(term) and not config.intercept):
            raise Refused(
                f"--fix has {said}, which is no term of the polynomial: it is 0 already; leave it "
                "out, or add the term"
            )
        found[term] = scan.number()
    return tuple(found.items())


def _points(scan: Scanner, form: str) -> tuple[Point, ...]:
    found: list[Point] = []
    for start in scan.items():
        given: dict[int, Fraction] = {}
        while True:
            d = scan.name("=")
            if d is not None and not scan.take("="):
                raise scan.wrong(start)
            place = len(given) if d is None else d
            if place in given or place >= len(scan.names):
                raise scan.wrong(start)
            given[place] = scan.number()
            if not scan.take(";"):
                break
        if len(given) < len(scan.names):
            missing = next(n for d, n in enumerate(scan.names) if d not in given)
            raise Refused(
                f"--{scan.option} has {scan.item(start)!r} without a value of {missing}; write it "
                "like a=0;b=1:5"
            )
        if not scan.take(":"):
            raise scan.wrong(start)
        x = tuple(given[d] for d in range(len(scan.names)))
        said = scan.text[start : scan.at].strip(" :")
        value = scan.number()
        number = scan.text[: scan.at].rpartition(":")[2].strip()
        same = [other for other in found if other.x == x]
        for other in same:
            if other.value != value:
                raise Refused(
                    f"--{scan.option} has {other.told} and {form.format(said, number)}; leave out "
                    "one"
                )
        if not same:
            found.append(Point(x, value, form.format(said, number)))
    return tuple(found)
