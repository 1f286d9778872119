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
NOTES = ("1.5", "a note, with 3; words | and so on, and on", "first day: all is well here")
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
KINDS = ("f0", "f", "f", "e", "shortest")  # of a column's numbers
PACKINGS = ("",) * 6 + ("gzip", "bz2", "zip", "zstd")
ORDERED = ("%d/%m/%Y", "%m/%d/%Y %I:%M %p")  # their days may all be months
EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")  # a decimal, or thousands


@dataclass
class Case:
    """A table as bytes, and what it holds: float64 columns, seconds since 1970 of dates."""

    name: str
    content: bytes
    target: str
    values: dict[str, np.ndarray]
    dated: set[str]
    reading: Reading
    is_ambiguous: bool


@dataclass
class Writer:
    """A dialect, drawn by a seed, and the columns that are written in it so far."""

    r: random.Random
    kinds: list[str]
    rows: int
    sep: str
    decimal: str
    quote: str
    quoting: str
    end: str
    header: str
    comment: str
    group: str = ""
    values: dict[str, np.ndarray] = field(default_factory=dict)
    dated: set[str] = field(default_factory=set)
    options: dict[str, Any] = field(default_factory=dict)
    numbers: list[str] = field(default_factory=list)  # as they are written
    orders: int = 0  # columns of dates whose days may all be months

    @classmethod
    def draw(cls, r: random.Random) -> "Writer":
        header = r.choice(("yes",) * 8 + ("no", "comment"))
        made = cls(
            r,
            kinds=["number", "number", *r.choices(("number", "text", "date"), k=r.randint(0, 3))],
            rows=3000 if r.random() < 0.02 else r.choice((1, 2, 3, 5, 10, 30, r.randint(1, 200))),
            sep=r.choice(SEPARATORS),
            decimal=r.choice((".", ".", ",")),
            quote=r.choice(('"',) * 9 + ("'",)),
            quoting=r.choice(("minimal", "minimal", "all", "text")),
            end=r.choice(("\n", "\n", "\r\n", "\r")),
            header=header,
            comment="#" if header == "comment" else r.choice(("", "", "", "#", "%", "//")),
        )
        r.shuffle(made.kinds)
        made.quote = made.quote if made.sep != " " else '"'
        marks = ["." if made.decimal == "," else ",", *("'" * (made.quote != "'"))]
        made.group = r.choice(["", "", "", *marks, *((" ", "\u00a0") if made.sep != " " else ())])
        return made

    def maybe(self, share: float) -> bool:
        return self.r.random() < share

    def column(self, name: str, kind: str, missing: str) -> list[str]:
        """The cells of a column; what they mean goes to `values`."""
        cells: list[str] = getattr(self, f"_{kind}")(name)
        if self.rows > 2 and self.maybe(0.3):
            for k in self.r.sample(range(1, self.rows), self.rows // 4):
                cells[k] = missing
                if name in self.values:
                    self.values[name][k] = np.nan
        self.numbers += cells if kind == "number" else []
        return cells

    def _text(self, name: str) -> list[str]:
        words = [w for w in WORDS if self.quote == '"' or self.quote not in w]
        if self.sep == " ":
            words = [w for w in words if " " not in w]
        some = self.r.sample(words, 4)
        if self.maybe(0.05) and self.sep != " " and self.quote == '"':
            some[0] = f"two{self.end}lines"
        return [self.r.choice(some) for _ in range(self.rows)]

    def _date(self, name: str) -> list[str]:
        form = self.r.choice([f for f in DATES if self.sep != " " or " " not in f])
        step = self.r.choice((60, 3600, 86400, 40 * 86400 if self.rows < 1000 else 86400))
        moments = [datetime(2024, 1, 1) + timedelta(seconds=step * k) for k in range(self.rows)]
        cells = [m.strftime(form) for m in moments]
        since = [datetime.strptime(cell, form) - datetime(1970, 1, 1) for cell in cells]
        self.dated.add(name)
        self.values[name] = np.array([s.total_seconds() for s in since])
        if form in ORDERED:
            self.orders += 1
            self.options["dates"] = "day-first" if form[1] == "d" else "month-first"
        return cells

    def _number(self, name: str) -> list[str]:
        kind, places = self.r.choice(KINDS), self.r.randint(1, 12)
        size = 10.0 ** self.r.randint(-6, 9)
        texts = [_number(self.r.uniform(-size, size), kind, places) for _ in range(self.rows)]
        self.values[name] = np.array([float(text) for text in texts])
        return [_spelt(t, self.decimal, self.group if self.maybe(0.9) else "") for t in texts]

    def line(self, cells: list[str], padded: bool) -> str:
        shown = []
        for cell in cells:
            is_text = not re.fullmatch(r"[-+.,\d'eE \u00a0]*", cell)
            must = any(c in cell for c in (self.sep, self.quote, "\n", "\r"))
            if must or self.quoting == "all" or (self.quoting == "text" and is_text):
                cell = self.quote + cell.replace(self.quote, self.quote * 2) + self.quote
            shown.append(f" {cell}" if padded and not cell.startswith(self.quote) else cell)
        return self.sep.join(shown)

    def lines(self, names: list[str], columns: list[list[str]]) -> list[str]:
        """The table's, and those above, between and below its rows."""
        r, maybe, sep = self.r, self.maybe, self.sep
        padded = sep == " " or maybe(0.1)
        empty = [""] * (r.randint(1, 3) if sep != " " and self.rows > 2 and maybe(0.1) else 0)
        has_row_names = self.header == "yes" and not empty and sep != " " and maybe(0.05)
        lines = [
            self.line([*([str(k + 1)] if has_row_names else []), *row, *empty], padded)
            for k, row in enumerate(zip(*columns, strict=True))
        ]
        notes = NOTES[:1] if self.header == "no" else NOTES  # others could be a header
        if self.comment and self.header != "comment":
            for _ in range(r.choice((0, 0, 1, 3))):
                lines.insert(r.randint(0, len(lines)), f"{self.comment} {r.choice(notes)}")
        if maybe(0.1):
            lines.insert(r.randint(0, len(lines)), "")
        units = [r.choice([u for u in UNITS if sep != " " or u]) for _ in names]
        telling = [u for u, k in zip(units, self.kinds, strict=True) if k != "text" and len(u) > 1]
        if self.header == "yes" and telling and maybe(0.15) and self.rows > 2:
            lines.insert(0, self.line(units + empty, padded))
        if self.header == "yes":
            lines.insert(0, self.line(names + (empty if maybe(0.7) else []), padded))
        above: list[str] = []
        if maybe(0.2) and sep != " " and self.header == "yes":
            above = [p.format(sep=sep) for p in r.sample(PREAMBLES, r.randint(1, 3))]
        lines = above + lines
        if self.header == "comment":
            lines.insert(0, f"# {self.line(names, padded)}")
        elif self.comment:
            lines.insert(r.choice((0, len(above))), f"{self.comment} {r.choice(notes)}")
        if maybe(0.1) and self.header != "comment" and sep != " ":
            lines.insert(0, f"sep={sep}")
        if maybe(0.1) and len(names) > 2 and sep != " " and self.rows < 1000:
            lines.append(r.choice(FOOTERS[: 1 if self.kinds[0] == "text" else 2]).format(sep=sep))
        return lines


def draw(seed: int) -> Case:
    """The case of a seed."""
    r = random.Random(seed)
    w = Writer.draw(r)
    names = r.sample(NAMES, len(w.kinds))
    if w.sep == " ":
        names = [n.replace(" ", "_") for n in names]
    missing = r.choice(MISSING if w.sep != " " else MISSING[:-1])
    columns = [w.column(n, k, missing) for n, k in zip(names, w.kinds, strict=True)]
    proofs = [c for c in w.numbers if set(c) & set(".,") and not EITHER.fullmatch(c)]
    has_either = any(EITHER.fullmatch(c) for c in w.numbers)
    if has_either and not proofs and w.group == "." and w.sep != ";":
        return draw(seed + 10**9)  # everybody reads them as decimals
    text = w.end.join(w.lines(names, columns)) + w.end * r.choice((0, 1, 1, 1, 2))

    if w.header == "no":
        new = dict(zip(names, (f"column{k + 1}" for k in range(len(names))), strict=True))
        w.values = {new[name]: values for name, values in w.values.items()}
        w.dated = {new[name] for name in w.dated}
    if len(w.dated) > 1 or w.maybe(0.5):
        w.options.pop("dates", None)
    encoding = r.choice(("utf-8",) * 4 + ("utf-8-sig", "utf-16", "cp1252", "utf-16-le"))
    known = {
        "separator": w.sep,
        "decimal": w.decimal,
        "encoding": encoding,
        "comment": w.comment or "none",
        "no_header": w.header == "no",
    }
    asked = {key: value for key, value in known.items() if w.maybe(0.1)} | w.options
    return Case(
        name=r.choice(("t.csv", "t.txt", "t.dat", "t.csv.gz")),
        content=_packed(text.encode(encoding), r.choice(PACKINGS)),
        target=r.choice([name for name in w.values if name not in w.dated]),
        values=w.values,
        dated=w.dated,
        reading=Reading(**asked),
        is_ambiguous=(has_either and not proofs) or (w.orders > 0 and "dates" not in asked),
    )


def _number(value: float, kind: str, places: int) -> str:
    """A number as Python writes it."""
    if kind == "shortest":
        return repr(value)
    return f"{value:.{0 if kind == 'f0' else places}{kind[0]}}"


def _spelt(text: str, decimal: str, group: str) -> str:
    mantissa, e, exponent = text.partition("e")
    whole, point, rest = mantissa.partition(".")
    if group and whole != "-0":
        whole = f"{int(whole):,}".replace(",", group)
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
