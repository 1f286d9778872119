"""Terms of a polynomial with levels of columns of words: each has an offset, or its own curve."""

from collections.abc import Sequence
from typing import Any

from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.least_squares.conditions.reading import MAX_TERMS, Wanted, numbers_of, read
from polyreg.polynomials import terms
from polyreg.tables.words import find_levels
from polyreg.tables.words.possible import require_possible
from polyreg.text import plural


def wanted(config: FitConfig, names: Sequence[str], words: Sequence[str]) -> Wanted:
    """What the options say of the polynomial, with the terms of its levels.

    words: of each variable the column whose level it is, "" of a number; () of numbers alone

    --terms, --degrees, --degree and --fix are of the variables that are numbers. Raises Refused as
    `read` does, and where an option holds of no single level.
    """
    if not any(words):
        return read(config, names)
    numbers = numbers_of(names, words)
    _require_number(numbers, words)
    plain = read(config, numbers)
    _require_constant(plain, words)
    lower = plain.all_terms or _all_of_degree(config, len(numbers), words)
    size = len(terms.levelled(lower, words, config.interact))
    if size > MAX_TERMS:
        raise _too_many(size, words)
    return Wanted(
        exponents=plain.exponents and _levelled(plain.exponents, words, config),
        fixed=tuple((terms.levelled([e], words)[0], value) for e, value in plain.fixed),
        lower=_levelled(lower, words, config),
    )


def levelled(table: Any, config: FitConfig) -> None:
    """Find the levels of a table's columns of words, by a pass over its rows.

    Raises BadTable as `find_levels` does, and Refused where an option cannot have levels.
    """
    require_possible(table, config)
    if not table.lexicon:
        return
    find_levels(table)
    _require_rows(table, config)


def _require_rows(table: Any, config: FitConfig) -> None:
    """Raise Refused where a level has fewer rows than its curve, or than folds take, needs."""
    rows = {(c, word): n for c, words in table.lexicon.items() for word, n in words.rows.items()}
    if config.degree == "auto":
        if lone := [f"{name}={word}" for (name, word), count in rows.items() if count == 1]:
            raise Refused(
                f"--degree auto leaves out rows, and {lone[0]} has one row alone; give --degree, "
                "or leave that row out"
            )
        return
    numbers = numbers_of(table.names, table.words)
    exponents = read(config, numbers).exponents
    size = len(exponents or _all_of_degree(config, len(numbers), table.words))
    for (name, word), count in rows.items():
        if name in config.interact and count < size:
            raise Refused(
                f"the curve of {name}={word} has {size} terms, and {plural(count, 'row')}; lower "
                f"--degree, leave {name} out of --interact, or leave out its rows"
            )


def _levelled(
    exponents: Sequence[terms.Exponents], words: Sequence[str], config: FitConfig
) -> tuple[terms.Exponents, ...]:
    return tuple(terms.levelled(exponents, words, config.interact))


def _all_of_degree(
    config: FitConfig, count: int, words: Sequence[str]
) -> tuple[terms.Exponents, ...]:
    interaction = config.interaction_degree or count
    size = terms.count(count, config.top_degree, interaction)
    if size > MAX_TERMS:
        raise _too_many(size, words)
    return tuple(terms.total_degree(count, config.top_degree, interaction))


def _too_many(size: int, words: Sequence[str]) -> Refused:
    levels = sum(map(bool, words)) + len({*words} - {""})
    return Refused(
        f"{levels:,} levels of words make {size:,} terms, more than {MAX_TERMS:,}; lower --degree, "
        "leave out --interact, or name fewer --features"
    )


def _require_number(numbers: Sequence[str], words: Sequence[str]) -> None:
    if not numbers:
        raise Refused(
            "no feature is a number, and a polynomial needs one; name one beside "
            f"{', '.join(dict.fromkeys(words))}"
        )


def _require_constant(plain: Wanted, words: Sequence[str]) -> None:
    """The offsets of levels are counted from the base's, which is the constant."""
    if plain.exponents is None or any(not any(e) for e in plain.exponents):
        return
    columns = ", ".join(dict.fromkeys(filter(None, words)))
    raise Refused(f"the offsets of {columns} are counted from the constant; add 1 to --terms")
