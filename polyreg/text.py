"""Numbers, names and addresses as people read them: short, on one line, without secrets."""

import csv
import io
import math
import re
from collections.abc import Collection, Sequence
from typing import Any

DIGITS = 6
INFINITE = 1.797e308  # what MLflow stores for inf


def text(value: Any) -> str:
    """The one spelling of an option's value, in `--help`, in MLproject and in MLflow's params."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        line = io.StringIO()  # of CSV, so that a name with a comma in it stays one
        csv.writer(line, lineterminator="").writerow([text(v) for v in value])
        return line.getvalue()
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def number(value: float, plain_below: float = 1e9, digits: int = DIGITS) -> str:
    """Six significant digits: 0.000123457 is 1.23457e-4. Whole numbers keep all of theirs."""
    if math.isnan(value) or abs(value) >= INFINITE:
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    size, million = abs(value), 10**digits
    if value == int(value) and size < min(million, plain_below):
        return f"{int(value)}"
    if 1e-3 <= size < plain_below:
        return f"{value:.{digits}g}" if size < million else f"{value:.0f}"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def brief(value: float) -> str:
    """Two digits, in as little room as they need: 0.012, 1200, 1.2e-4, 1.2e6."""
    return number(float(f"{value:.2g}"), plain_below=1e5)


def precise(value: float, spread: float) -> str:
    """A mean with the digits that its spread leaves it, to the second of the spread's own."""
    if not (math.isfinite(spread) and math.isfinite(value)) or spread <= 1e-9 * abs(value):
        return number(value)
    last = math.floor(math.log10(spread)) - 1
    digits = min(max(math.floor(math.log10(abs(value))) - last + 1, 2), 15) if value else 1
    return number(value, digits=digits)


def p_value(p: float) -> str:
    """`0.012`; what float64 has no number for is `< 1e-300`."""
    return f"{p:.2g}" if p >= 1e-300 or math.isnan(p) else "< 1e-300"


def as_p(p: float) -> str:
    """The same in a sentence: `p = 0.012`, `p < 1e-300`."""
    return f"p {p_value(p)}" if p < 1e-300 else f"p = {p_value(p)}"


def plus_minus(value: float, spread: float) -> str:
    """A mean and its spread: 115 ± 52, 0.0996 ± 2e-4; one of rounding alone is left out."""
    is_spread = math.isfinite(spread) and math.isfinite(value) and spread > 1e-9 * abs(value)
    return precise(value, spread) + (f" ± {brief(spread)}" if is_spread else "")


def plural(count: int, what: str) -> str:
    """`1 run`, `1,000 runs`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def ranges(numbers: Sequence[int]) -> str:
    """Increasing numbers, those in a row as one: `1-17, 20`."""
    parts: list[list[int]] = []
    for value in numbers:
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    joined = (map(str, one) if len(one) < 3 else (f"{one[0]}-{one[-1]}",) for one in parts)
    return ", ".join(text for one in joined for text in one)


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as lines of text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in [header, *rows]
    )


def clean(text: str) -> str:
    """Somebody's text as one line that UTF-8 and HTML can hold, not escaped."""
    text = re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]", "�", text)
    return " ".join(text.split())


def short(text: str, room: float = 60) -> str:
    """Somebody's text as one line of at most `room` characters."""
    text = clean(text)
    return text if len(text) <= room else text[: max(int(room) - 1, 1)] + "…"


def quoted(text: str) -> str:
    """Somebody's text as an error names it: in quotes, as it is written in Python, its start."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def listed(names: Sequence[str]) -> str:
    """Names in quotes: the first ten, and how many more there are."""
    more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
    return ", ".join(map(repr, names[:10])) + more


def without_secrets(address: str) -> str:
    """Addresses without user and password, or a secret in their query, as they can be shown.

    A password may hold a slash, as keys of S3 do; unencoded, it is in the error that this makes.
    """
    address = re.sub(r"(\w+://)(?!\[)([^/@\s]*?)(?::(?!\d{1,5}\b)[^@\s]*)?@", _shown, address)
    named = r"(?<=[?&])(\w*(?:secret|password|token|key|sig))=[^&\s']*"
    return re.sub(r"://\S+", lambda found: re.sub(named, r"\1=...", found[0]), address)


def _shown(found: re.Match) -> str:
    """Azure's container stands where others have the user."""
    user = found[2].partition(":")[0]
    return f"{found[1]}{user}@" if found[1].startswith(("abfs", "wasb")) else found[1]


def cut(text: str, room: int) -> str:
    """At most so many characters, cut in the middle: `a long na…of a file`."""
    if len(text) <= room:
        return text
    head = (room - 1) // 2
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"


def _alike(values: Collection[str]) -> int:
    """How many characters all of them begin with."""
    first, last = min(values), max(values)
    pairs = enumerate(zip(first, last, strict=False))
    return next((k for k, (a, b) in pairs if a != b), min(len(first), len(last)))


def told_apart(values: Collection[str], room: int) -> dict[str, str]:
    """Each value in about `room` characters, cut in the middle, but never where they differ.

    What the long ones have in common, at their start and their end, is cut; a value whose own
    part is longer than `room` stays longer.
    """
    long = {value for value in values if len(value) > room}
    if len(long) < 2:
        return {value: cut(value, room) for value in values}
    start = _alike(long)
    end = _alike({value[start:][::-1] for value in long})
    left = max(room - (max(map(len, long)) - start - end), 10)
    head = min(start, max(left // 2, left - end))

    def shortened(value: str) -> str:
        own = value[start : len(value) - end]
        return cut(value[:start], head) + own + cut(value[len(value) - end :], left - head)

    return {value: shortened(value) if value in long else value for value in values}
