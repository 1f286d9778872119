"""Functions of a column as they are written: log(x), log(x+1), 1/x, 1/(x+273.15), x-273.15.

Nothing is evaluated: a text is one of these forms, or it is refused.
"""

import re
from collections.abc import Collection

from polyreg.errors import BadTable
from polyreg.polynomials.variables import Variable
from polyreg.text import listed

NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NAMED = ("log", "log10", "exp", "sqrt", "square")
FORMS = "log, log10, exp, sqrt or square of a column, 1/column, or a column with a shift"
EXAMPLES = "log(x), log(x+1), 1/(x+273.15) or x-273.15"


def parsed(text: str, columns: Collection[str], title: str) -> Variable:
    """The variable that a text means; a column of that very name is meant before all else.

    Its name is written without blanks, and in parentheses where it could be taken apart in a term.
    A column that is not there is for others to refuse. Raises BadTable where the text has a column
    in it, and is no such function.
    """
    if text in columns:
        return Variable(text, text)
    plain = text.strip()
    if found := re.fullmatch(rf"({'|'.join(NAMED)})\s*\((.*)\)", plain):
        column, shift, inside = _shifted(found[2], columns)
        return Variable(f"{found[1]}({inside})", column, found[1], shift)
    if found := re.fullmatch(r"1\s*/\s*\((.*)\)", plain):
        column, shift, inside = _shifted(found[1], columns)
        return Variable(f"(1/({inside}))", column, "reciprocal", shift)
    if (found := re.fullmatch(r"1\s*/\s*(.*)", plain)) and found[1] in columns:
        return Variable(f"(1/{found[1]})", found[1], "reciprocal")
    column, shift, inside = _shifted(plain, columns)
    if column in columns:
        return Variable(f"({inside})", column, "identity", shift)
    words = re.findall(r"\w+", plain)
    if re.search(r"[-+*/^()]", plain) and {*words} & {*columns}:
        raise BadTable(
            f"{text!r} is neither a column of {title} nor a function of one; a function is "
            f"{FORMS}, like {EXAMPLES}; columns are {listed([*columns])}"
        )
    return Variable(text, text)


def is_function(text: str) -> bool:
    """Whether a name reads as a function of a column."""
    return bool(re.fullmatch(rf"({'|'.join(NAMED)})\s*\(.+\)|1\s*/.+", text))


def _shifted(inside: str, columns: Collection[str]) -> tuple[str, float, str]:
    """Column, shift, and both as they are written, of x, x+1 or x-273.15."""
    inside = inside.strip()
    found = re.fullmatch(rf"(.+?)\s*([+-])\s*({NUMBER})", inside)
    if inside in columns or not found or (shift := float(found[2] + found[3])) == 0:
        return inside, 0.0, inside
    return found[1], shift, f"{found[1]}{found[2]}{found[3]}"
