"""What stands above the rows of a text table: names, units, other lines."""

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

from polyreg.tables.formats import dates
from polyreg.tables.formats.cells import MOST, Numbers
from polyreg.tables.formats.grid import COMMENTS, Grid, is_value, squeezed

UNIT = re.compile(
    r"\[.*\]|\(.*\)|[%‰°1-]|a\.?u\.?|arb\. ?units?|pp[mbt]v?|counts?|cts|deg([CFK]| ?C)?|°[CFK]"
    r"|([yzafpnuµμmcdhkMGTPEZY]|da)?(m|g|s|A|K|mol|cd|Hz|N|Pa|J|W|C|V|F|Ω|ohms?|S|Wb|T|H|lm|lx|Bq"
    r"|Gy|Sv|L|l|bar|eV|rad|sr|min|h|d|t|M|B)([-^]?\d|²|³)?([/*·. ]\S{1,8})*"
    r"|in|ft|psi|rpm|years?|days?|hours?"
)


class Header(NamedTuple):
    """Names, None without a header; units; and the place of the names' row, or the first row's."""

    names: list[str] | None
    units: list[str]
    place: int


def is_dated(cells: Sequence[str], numbers: Numbers) -> bool:
    known = [cell for cell in cells if not numbers.is_missing(cell)]
    return bool(known) and sum(map(dates.is_date, known)) > MOST * len(known)


def first_row(grid: Grid, telling: list[bool], numbers: Numbers) -> int:
    """The place of the first row: of the grid's width, with a value where columns have values.

    Rows above it that have some are rows, too: what else is in them will be refused.
    """

    def values(row: list[str]) -> tuple[int, int]:
        """How many cells are values, and how many are something else."""
        cells = [c.strip() for c, tells in zip(row, telling, strict=False) if tells and c.strip()]
        known = sum(map(is_value, cells))
        return known, len(cells) - known - sum(map(numbers.is_missing, cells))

    if not any(telling):  # text alone
        return min(1, len(grid.rows))
    first = len(grid.rows)
    for place, row in enumerate(grid.rows):
        known, strange = values(row)
        if len(row) == grid.width and known and not strange:
            first = place
            break
    while first and len(row := grid.rows[first - 1]) == grid.width:
        known, strange = values(row)
        is_row = known or (not strange and any(map(str.strip, row)))
        if not is_row or (strange and _are_units(row)):
            break
        first -= 1
    return first


def header(grid: Grid, first: int, comments: Sequence[str], wanted: Sequence[str]) -> Header:
    """Of the rows from place `first` on, below these comments.

    It is the line that has the wanted names; else the one right above the rows or their units;
    else, as numpy.savetxt writes it, the last comment of that many cells.
    """
    above: list[tuple[int, list[str]]] = []
    for i in range(first - 1, -1, -1):
        row = [cell.strip() for cell in grid.rows[i]]
        if not any(row):
            continue
        if len(row) == grid.width + 1 and row[0] in COMMENTS:
            del row[0]
        while len(row) > grid.width and not row[-1]:
            row.pop()
        if grid.separator == " " and len(row) > grid.width:  # names with blanks in them
            row = re.split(r"\s{2,}", grid.lines[grid.ends[i] - 1].strip())
        if not (_may_be_names(row, grid) or _may_be_units(row, grid)):
            break
        above.append((i, row))
    units: list[str] = []
    if len(above) > 1:
        (_, nearest), (_, next_row) = above[:2]
        has_wanted = {*wanted} <= {*next_row} and not {*wanted} <= {*nearest}
        if has_wanted or (_are_units(nearest) and _are_names(next_row)):
            units = [cell.strip("[]()") for cell in above.pop(0)[1]]
    if above:
        return Header(above[0][1], units, above[0][0])
    for comment in reversed(comments if first < len(grid.rows) else ()):
        words = comment.strip().lstrip("#%/; ")
        words = squeezed(words) if grid.separator == " " else words
        found = next(csv.reader([words], delimiter=grid.separator, quotechar=grid.quote), [])
        if grid.filled <= len(found) <= grid.width and not any(map(is_value, found)):
            return Header([cell.strip() for cell in found], [], first)
    return Header(None, [], first)


def _may_be_names(row: list[str], grid: Grid) -> bool:
    """Of all columns, or of all but the first, whose cells are names of rows then (R's)."""
    if len(row) == grid.filled - 1:
        return not any(map(is_value, row)) and (len(row) > 1 or " " not in row[0])
    return grid.filled <= len(row) <= grid.width


def _may_be_units(row: list[str], grid: Grid) -> bool:
    return len(row) == grid.filled - 1 and _are_units(row)


def _are_names(row: list[str]) -> bool:
    return not _are_units(row) and not any(map(is_value, row))


def _are_units(cells: Sequence[str]) -> bool:
    known = [cell.strip() for cell in cells if cell.strip()]
    return bool(known) and all(UNIT.fullmatch(cell) for cell in known)


def full_names(names: list[str], filled: int, columns: list[list[str]]) -> list[str]:
    """A name for each column, but those at the right that have neither name nor value."""
    if len(names) < filled:
        names = ["", *names]  # R's row names have none
    while len(names) > 1 and not names[-1] and not any(map(str.strip, columns[len(names) - 1])):
        names = names[:-1]
    return [n or (f"column{k + 1}" if k else "") for k, n in enumerate(names)]


def distinct_names(names: list[str]) -> tuple[list[str], list[str]]:
    """Names of which no two are the same, as x, x_2, x_3, and which were changed."""
    taken: set[str] = set()
    made, renamed = [], []
    for name in names:
        own, k = name, 2
        while own in taken:
            own, k = f"{name}_{k}", k + 1
        if own != name:
            renamed.append(f"{name} is {own}")
        taken.add(own)
        made.append(own)
    return made, renamed
