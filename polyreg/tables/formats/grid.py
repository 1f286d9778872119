"""Lines of text as cells: without comments, by one separator and one kind of quotes."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import takewhile

from polyreg.tables.formats import dates
from polyreg.tables.formats.cells import MISSING
from polyreg.tables.formats.notation import VALUE

SEPARATORS = ("\t", ";", ",", "|", " ")  # in this order where two fit as well; " " is blanks
COMMENTS = ("#", "%", "//", ";")
SPELT = "|".join(re.escape(word[1:]) for word in MISSING if word[:1] == "#")
FEW = 40  # lines: of more, the first half is not asked for the width
LOOKED_AT = 200  # rows at the end that tell how well a separator fits
NUMBER = re.compile(r"[\"']?[+−-]?[.,]?\d")  # how one begins
FIT = 0.3  # share of the cells that are values in a table


def comment_pattern(mark: str) -> str:
    """Regular expression of a comment's beginning; # and #N/A may be a cell, too."""
    spelt = rf"(?!(?:{SPELT})\s*(?:[,;|\s]|\Z))" if mark == "#" else ""
    return rf"[ \t]*{re.escape(mark)}(?![,;|\t]){spelt}"


def without_comments(lines: list[str], mark: str) -> list[str]:
    begins = re.compile(comment_pattern(mark))
    return [line for line in lines if not (mark and begins.match(line))]


def comment_of(lines: list[str], asked: str, separator: str) -> str:
    """The mark of comments, that of most lines; "" without."""
    if asked != "auto":
        return "" if asked == "none" else asked
    count, found = 0, ""
    for mark in COMMENTS:
        kept = without_comments(lines, mark)
        separates = mark == separator or (mark == ";" and any(";" in line for line in kept))
        # A table whose rows all begin with the mark has none.
        if not separates and len(lines) - len(kept) > count and any(map(_has_digit, kept)):
            count, found = len(lines) - len(kept), mark
    return found


def _has_digit(line: str) -> bool:
    return any(map(str.isdigit, line))


def quote_of(lines: Sequence[str]) -> str:
    """Double quotes, or single ones where cells are in these and none in the others."""

    def has_cells_in(mark: str) -> bool:
        cell = re.compile(rf"(?:^|[,;\t|#%/])\s*{mark}[^{mark}]*{mark}\s*(?:[,;\t|]|$)")
        return any(map(cell.search, lines))

    return "'" if has_cells_in("'") and not has_cells_in('"') else '"'


def squeezed(line: str) -> str:
    """Runs of blanks as one, outside of double quotes."""
    return re.sub(r'("[^"]*")|[ \t\u00a0]+', lambda found: found[1] or " ", line.strip(" \t\u00a0"))


def is_value(cell: str) -> bool:
    """Whether a cell is a number in any notation, or a date."""
    return bool(VALUE.fullmatch(cell.strip())) or dates.is_date(cell)


def _is_several(cell: str) -> bool:
    """Whether a cell is several, of which some are values: another mark separates."""
    parts, words = re.split(r"[\t;,|]", cell), cell.split()
    return not is_value(cell) and (
        (len(parts) > 1 and any(map(is_value, parts)))
        or (len(words) > 1 and is_value(words[0]) and any(map(is_value, words[1:])))
    )


def _is_text(cell: str) -> bool:
    return not is_value(cell) and cell.strip() not in MISSING


def filled_columns(rows: Iterable[Sequence[str]]) -> int:
    """How many columns are left without the empty ones at the right."""
    return max((k + 1 for row in rows for k, cell in enumerate(row) if cell.strip()), default=0)


class Grid:
    """Lines as cells, by one separator.

    `ends[k]` counts the lines up to and with row k. `width` is that of most rows, `body` holds
    the rows of this width after the last that is text alone, as a header is, and `filled` is
    how many of their columns are left without the empty ones at the right.
    """

    def __init__(self, separator: str, quote: str, lines: Sequence[str], width: int = 0):
        self.separator, self.quote, self.lines = separator, quote, lines
        self.rows: list[list[str]] = []
        self.ends: list[int] = []
        reader = csv.reader(
            (f"{squeezed(line) if separator == ' ' else line}\n" for line in lines),
            delimiter=separator,
            quotechar=quote,
        )
        try:
            for row in reader:
                self.rows.append(row)
                self.ends.append(reader.line_num)
        except csv.Error:
            self.rows, self.ends = [], []
        half = len(self.rows) // 2 if len(self.rows) > FEW else 0
        self._later = [row for row in self.rows[half:] if any(map(str.strip, row))]
        widths, all_widths = Counter(map(len, self._later)), Counter(map(len, self.rows))
        if len(widths) > 1:
            del widths[1]  # lines of text
        self.width = width or max(widths, key=lambda w: (widths[w], all_widths[w], w), default=0)
        rows = [row for row in self._later if len(row) == self.width]
        self.filled = filled_columns(rows) or self.width
        heads = [k for k, row in enumerate(rows) if all(map(_is_text, row[: self.filled]))]
        self.body = rows[heads[-1] + 1 if heads else 0 :] or rows
        below = next((k for k, row in enumerate(self._later) if row in self.body[:1]), 0)
        self._above, self._later = self._later[:below], self._later[below:]

    @cached_property
    def share(self) -> float:
        """Values among the cells that are not missing; cells of several values count against."""
        cells = [c.strip() for row in self.body[-LOOKED_AT:] for c in row]
        cells += [c for row in self._above for c in row if _is_several(c)]  # rows left out
        cells = [cell for cell in cells if cell not in MISSING]
        values = sum(is_value(c) and not c.endswith(",") for c in cells)
        values -= 2 * sum(map(_is_several, cells))  # it may be a text in quotes
        if self.width < 2 and any(self.separator in row[0] for row in self.body if row):
            return 0.0  # in quotes
        return len(self.body) / max(1, len(self._later)) * values / max(1, len(cells))

    @property
    def fit(self) -> tuple:
        """How well the separator explains the lines: more is better."""
        return (self.share > FIT, self.width > 1, round(self.share, 3), self._names)

    @cached_property
    def _names(self) -> int:
        """2 where a line of text above is as wide as the rows, or none is there; 1 by one less."""
        above = takewhile(lambda row: row not in self.body, self.rows)
        texts = [row for row in above if any(map(str.strip, row)) and not any(map(is_value, row))]
        if not texts or any(self.filled <= len(row) <= self.width for row in texts):
            return 2
        return int(any(len(row) == self.filled - 1 for row in texts))

    def footer(self) -> tuple[str, ...]:
        """Lines at the end that are no rows."""
        words = [row for row in self.body if row[0].strip() and not is_value(row[0])]
        found: list[str] = []
        for row, end in zip(reversed(self.rows), reversed(self.ends), strict=True):
            if not any(map(str.strip, row)):
                continue
            if len(row) == self.width or not is_footer(row[0], len(row), words != []):
                break
            found.append(self.lines[end - 1].strip())
        return tuple(reversed(found))


def is_footer(text: str, width: int, under_words: bool) -> bool:
    """Whether a line, not of the rows' width, begins with a word as no row does.

    Under a column of words it has to be of one cell, since others may be a row that was cut.
    """
    text = text.strip()
    return bool(text) and not NUMBER.match(text) and (width == 1 or not under_words)
