"""Random tables in random dialects, read back: the same numbers, or one clear refusal.

python -m tests.support.dialects 100000 [first seed]
"""

import bz2
import gzip
import io
import random
import re
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from polyreg.errors import BadTable
from polyreg.fields import Reading
from polyreg.tables.table import Table

SEPARATORS = (",", ",", ";", ";", "\t", "\t", "|", " ")
NAMES = ("x", "U [mV]", "größe", "a.b", "room temp", "T (°C)", "time", "p/kPa", "Änderung 2", "N")
WORDS = ("north", "A12", "sample 3", "süd", "ok", "x-1", "7b", "left, right", "a;b", 'say "hi"')
MISSING = ("NA", "N/A", "nan", "null", "NULL", "None", "-", "--", ".", "?", "\\N", "#N/A", "")
UNITS = ("mV", "°C", "s", "[kPa]", "(m/s)", "-", "%", "1", "µm", "")
PREAMBLES = (
    "Measured by A. Meier",
    "Instrument: XY 3000",
    "Date{sep}2024-03-01",
    "Channels{sep}4{sep}on",
    "",
)
FOOTERS = ("End of file", "Total{sep}12")
NOTES = ("a note, with 3; words | and so on, and on", "1.5", "first day: all is well here")
DATES = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %I:%M %p",
)
ORDERED = ("%d/%m/%Y", "%m/%d/%Y %I:%M %p")  # their days may all be months
EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # a decimal, or thousands


@dataclass
class Case:
    """A table as bytes, and what it holds: float64 columns, seconds since 1970 of dates."""

    seed: int
    name: str
    content: bytes
    target: str
    values: dict[str, np.ndarray]
    dated: set[str]
    reading: Reading
    is_ambiguous: bool
    dialect: dict[str, Any] = field(default_factory=dict)


def draw(seed: int) -> Case:
    """The case of a seed."""
    r = random.Random(seed)

    def maybe(share: float) -> bool:
        return r.random() < share

    rows = 3000 if maybe(0.02) else r.choice((1, 2, 3, 5, 10, 30, r.randint(1, 200)))
    sep = r.choice(SEPARATORS)
    decimal = r.choice((".", ".", ","))
    groups = ["", "", "", "." if decimal == "," else ",", "'"] + [" ", "\u00a0"] * (sep != " ")
    group = r.choice(groups)
    quoting = r.choice(("minimal", "minimal", "all", "text"))
    quote = "'" if maybe(0.1) and group != "'" and sep != " " else '"'
    end = r.choice(("\n", "\n", "\r\n", "\r"))
    header = r.choice(("yes",) * 8 + ("no", "comment"))
    comment = r.choice(("", "", "", "#", "%", "//"))
    comment = "#" if header == "comment" else comment
    encoding = r.choice(("utf-8",) * 4 + ("utf-8-sig", "utf-16", "cp1252", "utf-16-le"))
    padded = sep == " " or maybe(0.1)

    # Columns: as they are written, and what that means.
    kinds = ["number", "number", *r.choices(("number", "text", "date"), k=r.randint(0, 3))]
    r.shuffle(kinds)
    names = r.sample(NAMES, len(kinds))
    if sep == " ":
        names = [n.replace(" ", "_") for n in names]
    spelt = r.choice(MISSING if sep != " " else MISSING[:-1])
    written: list[list[str]] = []
    values: dict[str, np.ndarray] = {}
    dated: set[str] = set()
    numbers: list[str] = []
    options: dict[str, Any] = {}
    unordered = False
    for name, kind in zip(names, kinds, strict=True):
        if kind == "text":
            words = [w for w in WORDS if quote == '"' or quote not in w]
            if sep == " ":
                words = [w for w in words if " " not in w and '"' not in w]
            some = r.sample(words, 4)
            if maybe(0.05) and sep != " " and quote == '"':
                some[0] = f"two{end}lines"
            cells = [r.choice(some) for _ in range(rows)]
        elif kind == "date":
            form = r.choice([f for f in DATES if sep != " " or " " not in f])
            start, step = datetime(2024, 1, 1), r.choice((60, 3600, 86400, 40 * 86400))
            moments = [start + timedelta(seconds=step * k) for k in range(rows)]
            moments = [datetime.strptime(m.strftime(form), form) for m in moments]
            cells = [m.strftime(form) for m in moments]
            dated.add(name)
            values[name] = np.array([(m - datetime(1970, 1, 1)).total_seconds() for m in moments])
            if form in ORDERED and maybe(0.5):
                options["dates"] = "day-first" if form[1] == "d" else "month-first"
            unordered |= form in ORDERED
        else:
            style = _style(r)
            texts = [_number(r, style) for _ in range(rows)]
            cells = [_spelt(t, decimal, group if maybe(0.9) else "", quote) for t in texts]
            values[name] = np.array([float(t) for t in texts])
        if rows > 2 and maybe(0.3):
            for k in r.sample(range(1, rows), rows // 4):
                cells[k] = spelt
                if name in values:
                    values[name][k] = np.nan
        written.append(cells)
        numbers += cells if kind == "number" else []
    if unordered and sum(k == "date" for k in kinds) > 1:
        options.pop("dates", None)

    def line(cells: list[str]) -> str:
        shown = []
        for cell in cells:
            is_text = not re.fullmatch(r"[-+.,\d'eE \u00a0]*", cell)
            must = any(c in cell for c in (sep, quote, "\n", "\r"))
            if must or quoting == "all" or (quoting == "text" and is_text):
                cell = quote + cell.replace(quote, quote * 2) + quote
            shown.append(f" {cell}" if padded and not cell.startswith(quote) else cell)
        return sep.join(shown)

    extra = r.randint(1, 3) if sep != " " and rows > 2 and maybe(0.1) else 0
    row_names = header == "yes" and not extra and sep != " " and maybe(0.05)
    body = [list(row) for row in zip(*written, strict=True)]
    lines = [
        line(([str(k + 1)] if row_names else []) + row + [""] * extra) for k, row in enumerate(body)
    ]
    notes = ("1.5",) if header == "no" else NOTES  # another could be a header
    if comment and header != "comment" and maybe(0.5):
        for _ in range(r.randint(1, 3)):
            lines.insert(r.randint(0, len(lines)), f"{comment} {r.choice(notes)}")
    if maybe(0.1):
        lines.insert(r.randint(0, len(lines)), "")
    if header != "no" and maybe(0.15) and rows > 2:
        units = [r.choice([u for u in UNITS if sep != " " or u]) for _ in kinds]
        if header == "yes" and any(
            len(u) > 1 for u, k in zip(units, kinds, strict=True) if k != "text"
        ):
            lines.insert(0, line(units + [""] * extra))
    if header == "yes":
        lines.insert(0, line(names + [""] * (extra if maybe(0.7) else 0)))
    before = 0
    if maybe(0.2) and sep != " " and header == "yes":
        above = [p.format(sep=sep) for p in r.sample(PREAMBLES, r.randint(1, 3))]
        lines = above + lines
        before = len(above)
    if header == "comment":
        lines.insert(0, f"# {line(names)}")
    elif comment:
        lines.insert(r.choice((0, before)), f"{comment} {r.choice(notes)}")
    if maybe(0.1) and header != "comment" and sep != " ":
        lines.insert(0, f"sep={sep}")
    if maybe(0.1) and len(kinds) > 2:
        footers = FOOTERS[: 1 if kinds[0] == "text" else 2]
        lines += [r.choice(footers).format(sep=sep)] if sep != " " and rows < 3000 else []
    text = end.join(lines) + end * (not maybe(0.2)) + end * maybe(0.1)

    if maybe(0.15):
        options["separator"] = sep
    if maybe(0.15):
        options["decimal"] = decimal
    if maybe(0.1) and encoding != "utf-8-sig":
        options["encoding"] = encoding
    if maybe(0.1) and comment:
        options["comment"] = comment
    if header == "no":
        named = [f"column{k + 1}" for k in range(len(names))]
        values = {named[names.index(n)]: v for n, v in values.items()}
        dated = {named[names.index(n)] for n in dated}
        if maybe(0.3):
            options["no_header"] = True
    try:
        content = text.encode(encoding)
    except UnicodeEncodeError:
        encoding = "utf-8"
        options.pop("encoding", None)
        content = text.encode()
    if encoding == "utf-16" and maybe(0.3):
        content = "\ufeff".encode("utf-16-be") + text.encode("utf-16-be")
    packing = r.choice(("",) * 6 + ("gzip", "bz2", "zip", "zstd"))
    target = next(n for n in r.sample([*values], len(values)) if n not in dated)
    proofs = [c for c in numbers if set(c) & set(".,") and not EITHER.fullmatch(c)]
    has_either = any(EITHER.fullmatch(c) for c in numbers)
    if has_either and not proofs and group == "." and sep != ";":
        return draw(seed + 10**9)  # everybody reads them as decimals
    return Case(
        seed,
        r.choice(("t.csv", "t.txt", "t.dat", "t.csv.gz")),
        _packed(content, packing),
        target,
        values,
        dated,
        Reading(**options),
        (has_either and not proofs) or (unordered and "dates" not in options),
        {
            "rows": rows,
            "sep": sep,
            "decimal": decimal,
            "group": group,
            "quoting": quoting + quote,
            "end": end,
            "header": header,
            "comment": comment,
            "encoding": encoding,
            "packing": packing,
            "text": text,
            "options": options,
        },
    )


def _style(r: random.Random) -> tuple[str, int, int]:
    """How a column's numbers are written: whole, decimal or exponent; places; magnitude."""
    kind = r.choice(("whole", "decimal", "decimal", "exponent", "shortest"))
    return kind, r.randint(1, 12), r.randint(-6, 9)


def _number(r: random.Random, style: tuple[str, int, int]) -> str:
    """A number as Python writes it."""
    kind, places, magnitude = style
    value = r.uniform(-1, 1) * 10.0**magnitude
    if kind == "whole":
        return f"{value:.0f}"
    if kind == "exponent":
        return f"{value:.{places}e}"
    return f"{value:.{places}f}" if kind == "decimal" else repr(value)


def _spelt(text: str, decimal: str, group: str, quote: str) -> str:
    mantissa, e, exponent = text.partition("e")
    whole, point, rest = mantissa.partition(".")
    if group:
        whole = f"{int(whole):,}".replace(",", group) if whole not in ("-0", "-") else whole
    return whole + point.replace(".", decimal) + rest + e + exponent


def _packed(content: bytes, packing: str) -> bytes:
    if packing == "gzip":
        return gzip.compress(content, 1)
    if packing == "bz2":
        return bz2.compress(content)
    if packing == "zstd":
        return pa.compress(content, "zstd", asbytes=True)
    if packing == "zip":
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as packed:
            packed.writestr("inner.csv", content)
        return made.getvalue()
    return content


def outcome(case: Case, folder: Path) -> tuple[str, str]:
    """read, refused, or what is wrong; and why."""
    path = folder / case.name
    path.write_bytes(case.content)
    try:
        table = Table.open(str(path), case.target, missing="drop", reading=case.reading)
        blocks = list(table.blocks())
    except BadTable as error:
        return ("refused" if "\n" not in str(error) else "two lines"), str(error)
    except Exception as error:  # whatever it is, it is a finding
        return "raised", repr(error)
    names = [n for n in case.values if n != case.target]
    found_names = [n for n in table.names if n != "column1" or n in names]
    if [n for n in found_names if n in case.values] != names:
        return "other columns", f"{table.names} instead of {names}"
    kept = ~np.isnan([*case.values.values()]).any(axis=0)
    for name in (*names, case.target):
        want = case.values[name][kept]
        arrays = [b.y if name == case.target else b.x[table.names.index(name)] for b in blocks]
        found = np.concatenate([a for a in arrays if a is not None] or [np.empty(0)])
        if len(found) != len(want):
            return "other rows", f"{len(found)} instead of {len(want)}"
        if name in case.dated:
            unit, _, origin = table.units[name].partition(" since ")
            seconds = 86400 if unit == "days" else 1
            begin = (datetime.fromisoformat(origin) - datetime(1970, 1, 1)).total_seconds()
            same = abs(found * seconds + begin - want) < 1e-3
        else:
            same = found == want
        if not same.all():
            place = int((~same).argmax())
            return "other numbers", f"{name}: {found[place]!r} instead of {want[place]!r}"
    return "read", ""


def kind_of(message: str) -> str:
    """A refusal without what is special in it."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|\S*\d\S*|column \S+( \S+)? (is|of)|\(.*?\)", "_", message)[
        :70
    ]


def main(count: int, first: int = 0) -> None:
    began, counts, kinds = time.perf_counter(), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            case = draw(seed)
            what, why = outcome(case, Path(folder))
            if what == "refused" and case.is_ambiguous:
                what = "refused, ambiguous"
            counts[what] += 1
            if what == "refused":
                if not kinds[kind_of(why)]:
                    print(f"{seed}: {why}")
                kinds[kind_of(why)] += 1
            elif what not in ("read", "refused, ambiguous"):
                print(f"{seed}: {what}: {why}")
    for kind, times in kinds.most_common():
        print(f"  refused {times:6,}  {kind}")
    print(f"{count:,} cases: {dict(counts)}, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
