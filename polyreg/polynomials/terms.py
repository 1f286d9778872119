"""Monomials of a model, and their names."""

import itertools
import math
import re
from collections.abc import Collection, Iterable, Sequence

SHIFTED = r"[^^*`+()]+([+-][\d.]+([eE][+-]?\d+)?)?"
FUNCTION = rf"(log|log10|exp|sqrt|square)\({SHIFTED}\)|\((1/)?\(?{SHIFTED}\)?\)"
LONGEST = 200  # MLflow's keys have at most 250 characters
Exponents = tuple[int, ...]


def powers(degree: int) -> list[str]:
    """Names of 1, x, ..., x^degree, as tables write them."""
    return [name((k,), ["x"]) for k in range(degree + 1)]


def name(exponents: Exponents, variables: Sequence[str]) -> str:
    """A term as tables write it: 1, x, x^2, a^2*b."""
    pairs = zip(map(quoted, variables), exponents, strict=True)
    factors = [v if e == 1 else f"{v}^{e}" for v, e in pairs if e]
    return "*".join(factors) or "1"


def quoted(variable: str) -> str:
    """A variable's name inside a term: in backticks where it could be taken for something else.

    Functions of a column stand as they are: log(x+1), (1/x), (x-273.15).
    """
    plain = " ".join(variable.split())
    return plain if re.fullmatch(rf"[^\W\d][^^*`+]*|{FUNCTION}", plain) else f"`{plain}`"


def equation(target: str, terms: Sequence[str], coefficients: Iterable[float]) -> str:
    """The polynomial, every digit of it: y = 0.9 + 0.5*x + 3*x^2"""
    text = ""
    for term, value in zip(terms, coefficients, strict=True):
        if value == 0 and len(terms) > 1:
            continue
        size = repr(abs(float(value)))
        factor = size if term == "1" else f"{size}*{term}"
        if not text:
            text = f"-{factor}" if value < 0 else factor
        else:
            text += f" - {factor}" if value < 0 else f" + {factor}"
    return f"{target} = {text or 0}"


def keys(terms: Sequence[str]) -> list[str]:
    """Names inside MLflow keys, where ^ and * are not allowed: x^2 -> x.2, a^2*b -> a.2:b

    What else MLflow refuses becomes _; names that this makes equal are numbered.
    """
    found: list[str] = []
    for term in terms:
        plain = re.sub(r"[^\w.: -]", "_", term.replace("^", ".").replace("*", ":"))
        plain = re.sub(r"^\.+$", "_", plain)  # . and .. would be folders
        plain = plain[:LONGEST]
        key, twins = plain, 1
        while key in found:
            twins += 1
            key = f"{plain}_{twins}"
        found.append(key)
    return found


def count(variables: int, degree: int, interaction: int) -> int:
    """How many exponents `total_degree` returns, without making them.

    sum_j C(D, j) C(degree, j): j of the D variables, with at least one power each.
    """
    most = min(variables, degree, interaction)
    return sum(math.comb(variables, j) * math.comb(degree, j) for j in range(most + 1))


def total_degree(variables: int, degree: int, interaction: int) -> list[Exponents]:
    """All exponents (e_1, ..., e_D) of total degree at most `degree`, the constant first.

    At most `interaction` of the variables appear in one product. Ordered by total degree, so that
    a lower degree's terms come first.
    """
    found = []
    for active in range(min(variables, degree, interaction) + 1):
        for chosen in itertools.combinations(range(variables), active):
            # Cuts of 0 ... degree into `active` positive parts and a rest.
            for cuts in itertools.combinations(range(1, degree + 1), active):
                parts = [high - low for low, high in zip((0, *cuts), cuts, strict=False)]
                powers = dict(zip(chosen, parts, strict=True))
                found.append(tuple(powers.get(v, 0) for v in range(variables)))
    return sorted(found, key=order)


def levelled(
    exponents: Iterable[Exponents], words: Sequence[str], curves: Collection[str] = ()
) -> list[Exponents]:
    """Terms of a polynomial in the variables that are numbers, with those of levels.

    words: of each variable the column whose level it is, "" of a number. Each level has an offset,
    a term of its own; those of the columns `curves` are multiplied with all other terms as well.
    They come after the term that they belong to, so that a lower degree's terms come first.
    """
    numbers, found = [d for d, column in enumerate(words) if not column], []
    for e in exponents:
        powers = dict(zip(numbers, e, strict=True))
        plain = tuple(powers.get(d, 0) for d in range(len(words)))
        found.append(plain)
        for d, column in enumerate(words):
            if column and (column in curves or not any(e)):
                found.append((*plain[:d], 1, *plain[d + 1 :]))
    return found


def order(exponents: Exponents) -> tuple[int, list[int]]:
    """Key that sorts by total degree, then earlier variables first."""
    return sum(exponents), [-power for power in exponents]
