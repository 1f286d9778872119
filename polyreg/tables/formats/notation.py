"""Notation of numbers: the decimal mark, and the mark between thousands."""

import re
from collections.abc import Sequence

from polyreg.errors import BadTable
from polyreg.fields import Reading
from polyreg.tables.formats.cells import BLANKS, MOST, Numbers

GROUP = rf"[.,'’{BLANKS}]"
VALUE = re.compile(
    rf"[+−-]?(?:\d{{1,3}}(?:{GROUP}\d{{3}})+|\d+)(?:[.,]\d*)?(?:[eEdD][+−-]?\d+)?"
    r"|[+−-]?[.,]\d+(?:[eEdD][+−-]?\d+)?"
)


def is_numeric(cells: Sequence[str], missing: Sequence[str] = ()) -> bool:
    """Whether most cells of a column that are not missing look like numbers."""
    numbers = Numbers(missing=tuple(missing))
    known = [cell.strip() for cell in cells if not numbers.is_missing(cell)]
    return sum(bool(VALUE.fullmatch(cell)) for cell in known) > MOST * len(known)


def notation_of(cells: Sequence[str], separator: str, name: str, reading: Reading) -> Numbers:
    """The decimal mark and the one between thousands, by all cells that look like numbers."""
    grouped = {mark: False for mark in (".", ",", " ", "'")}  # surely
    decimal = {".": "", ",": ""}  # a cell that proves it
    either = {".": "", ",": ""}  # a cell that may be both
    long_whole = False
    for cell in map(str.strip, cells):
        if not VALUE.fullmatch(cell):
            continue
        body = re.split("[eEdD]", cell.lstrip("+-−"))[0]
        exponent = body != cell.lstrip("+-−")
        if re.search(rf"\d[{BLANKS}]\d", body):
            grouped[" "] = True
        if re.search(r"\d['’]\d", body):
            grouped["'"] = True
        marks = [c for c in body if c in ".,"]
        if not marks:
            long_whole |= len(body) > 3 and body.isdigit()
        elif len({*marks}) == 2:
            decimal[marks[-1]] = decimal[marks[-1]] or cell
            grouped[marks[0]] = True
        elif len(marks) > 1:
            grouped[marks[0]] = True
        else:
            mark = marks[0]
            whole, _, rest = body.partition(mark)
            group = re.fullmatch(r"[1-9]\d{0,2}", whole) and re.fullmatch(r"\d{3}", rest)
            if group and not exponent:
                either[mark] = either[mark] or cell
            else:
                decimal[mark] = decimal[mark] or cell
                long_whole |= len(whole) > 3 and whole.isdigit()
    mark = reading.decimal
    if mark == "auto":
        mark = _decimal(separator, decimal, grouped, either, long_whole, name)
    other = "," if mark == "." else "."
    grouping = next((g for g in (" ", "'") if grouped[g]), "")
    if grouped[other] or either[other]:
        grouping = other
    return Numbers(mark, grouping, tuple(reading.missing_values))


def _decimal(separator, decimal, grouped, either, long_whole, name) -> str:
    sure = [mark for mark in ".," if decimal[mark] or grouped["," if mark == "." else "."]]
    if len(sure) == 1:
        return sure[0]
    if len(sure) == 2:
        dots, commas = (decimal[m] or either[m] for m in ".,")
        raise BadTable(
            f"{name} has numbers with a decimal point ({dots}) and with a decimal comma "
            f"({commas}); write them in one way, or give --decimal"
        )
    if not either[","]:
        # Where commas do not separate, they may well be the decimal mark.
        if not either["."] or separator != ";" or long_whole:
            return "."
    elif long_whole and not either["."]:
        return ","
    cell = either[","] or either["."]
    whole, rest = re.split("[.,]", cell)[:2]
    raise BadTable(
        f"{cell} in {name} reads as {whole}.{rest} and as {whole}{rest}: a decimal mark, or one "
        "between thousands; give --decimal , or --decimal ."
    )
