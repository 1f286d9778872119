"""Which tools read 25 tables as people have them, asked for nothing but the path?

    python -m benchmarks.peers.dialects

"right": the names and the values of all columns and rows. "text": nothing is lost, but numbers or
dates are still text. "wrong": a name, a row or a value is another, which nobody is told. "error":
the tool refuses. Of charset-normalizer, which knows encodings alone: whether the text is right.
Missing values that are codes are told to each side. The table goes to docs/your-file.md.
"""

import datetime
import json
import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

TABLES = Path(__file__).parents[2] / "tests" / "data" / "tables"
CODES = ["-999", "n.a."]
ANY = "any name"  # of a column that has none
Columns = dict[str, list[Any]]


def truth() -> dict[str, Columns]:
    """The columns of each file, as its writer meant them."""
    x = [k / 2 for k in range(1, 13)]
    usual = {"x": x, "y": [1 + 2 * v + v * v / 2 for v in x]}
    large = [1000.5 + 1250.25 * k for k in range(12)]
    straight = {"x": large, "y": [1 + 2 * v for v in large]}
    days = [datetime.datetime(2024, 3, day) for day in range(1, 13)]
    odd = [1.0 + 2 * k for k in range(12)]
    found: dict[str, Columns] = {name: usual for name in json.loads(read("expected.json"))}
    return found | {
        "european_groups.csv": straight,
        "grouped.csv": straight,
        "headerless.dat": {f"{ANY} {k}": v for k, v in enumerate(usual.values())},
        "latin1.csv": {"T (°C)": usual["x"], "y": usual["y"]},
        "codes.csv": {
            "x": [None, x[0], None, *x[1:]],
            "y": [4.0, usual["y"][0], 5.0, *usual["y"][1:]],
        },
        "bad_cell.csv": {
            "a": [1.0, 2.0, None, 4.0],
            "x": x[:4],
            "y": usual["y"][:4],
        },
        "percent.csv": {"x": ["50%", "60%", "70%"], "y": [1.0, 2.0, 3.0]},
        "dates.csv": {"when": days, "y": odd},
        "german_dates.csv": {"Datum": [day.replace(hour=6) for day in days], "Wert": odd},
        "index.csv": {ANY: [float(k) for k in range(12)], **usual},
    }


def read(name: str) -> str:
    return (TABLES / name).read_text(encoding="utf-8")


def polyreg(path: Path) -> Columns:
    from polyreg.fields import Reading
    from polyreg.tables.files import File, Found
    from polyreg.tables.opening import decided

    codes = tuple(CODES) if path.name == "codes.csv" else ()
    reading = Reading(missing_values=codes)
    opened = File.open(reading, (), Found(path, path.name))
    [file] = decided([opened], None, (), reading, map)
    names = file.schema.names
    numbers = [f.name for f in file.schema if str(f.type) != "string"]
    found: Columns = {name: [] for name in names}
    for batch in file.batches(names, numbers=numbers):
        for name in names:
            found[name] += batch.column(name).to_pylist()
    return found


def duckdb(path: Path) -> Columns:
    import duckdb as tool

    told = f", nullstr={CODES}" if path.name == "codes.csv" else ""
    relation = tool.sql(f"from read_csv('{path}'{told})")
    assert relation is not None
    rows = relation.fetchall()
    return {name: [row[k] for row in rows] for k, name in enumerate(relation.columns)}


def pandas(path: Path) -> Columns:
    import pandas as tool

    codes = CODES if path.name == "codes.csv" else None
    return tool.read_csv(path, sep=None, engine="python", na_values=codes).to_dict("list")


def clevercsv(path: Path) -> Columns:
    import clevercsv as tool

    codes = CODES if path.name == "codes.csv" else None
    return tool.read_dataframe(str(path), na_values=codes).to_dict("list")


def charset_normalizer(path: Path) -> str:
    import charset_normalizer as tool

    best = tool.from_path(path).best()
    return "error" if best is None else str(best)


TOOLS: dict[str, Callable[[Path], Any]] = {
    "polyreg": polyreg,
    "DuckDB": duckdb,
    "clevercsv": clevercsv,
    "pandas": pandas,
    "charset-normalizer": charset_normalizer,
}


def judged(found: Columns, meant: Columns) -> str:
    if len(found) != len(meant):
        return "wrong"
    verdicts = set()
    for (name, values), (other, truths) in zip(found.items(), meant.items(), strict=True):
        if not other.startswith(ANY) and name != other:
            return "wrong"
        if len(values) != len(truths):
            return "wrong"
        verdicts |= {equal(v, t) for v, t in zip(values, truths, strict=True)}
    return next(verdict for verdict in ("wrong", "text", "right") if verdict in verdicts)


def equal(value: Any, meant: Any) -> str:
    """right, text where the cell is as it was written, or wrong."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    if missing or meant is None:
        unread = value in ("-", *CODES) or value == -999
        return "right" if missing and meant is None else "text" if unread else "wrong"
    if isinstance(value, str):
        return "right" if value == meant else "text" if is_meant(value, meant) else "wrong"
    if isinstance(meant, datetime.datetime):
        if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
            value = datetime.datetime.combine(value, datetime.time())
        return "right" if value == meant else "wrong"
    return "right" if not isinstance(meant, str) and value == meant else "wrong"


def is_meant(text: str, meant: Any) -> bool:
    """Whether text is some spelling of it."""
    if isinstance(meant, datetime.datetime):
        return text.startswith((f"{meant:%Y-%m-%d}", f"{meant:%d.%m.%Y}"))
    point = max(text.rfind("."), text.rfind(","))
    spellings = [text.replace("D", "e"), text.replace(".", "").replace(",", ".")]
    spellings += [text.replace(",", ""), text[:point].replace(".", "") + "." + text[point + 1 :]]
    return any(number(one) == meant for one in spellings)


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def verdict(tool: str, name: str, meant: Columns) -> str:
    path = TABLES / name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = TOOLS[tool](path)
    except ModuleNotFoundError:
        return "not installed"
    except Exception:  # each tool has its own
        return "error"
    if tool != "charset-normalizer":
        return judged(found, meant)
    if path.read_bytes()[:2] in (b"PK", b"\x1f\x8b"):
        return "-"
    encoding = {"utf16.txt": "utf-16", "latin1.csv": "cp1252"}.get(name, "utf-8-sig")
    text = path.read_bytes().decode(encoding)
    return "right" if found.lstrip("\ufeff") == text else "wrong"


def main() -> None:
    rows = {
        name: list(map(partial(verdict, name=name, meant=meant), TOOLS))
        for name, meant in truth().items()
    }
    print(f"| file | {' | '.join(TOOLS)} |")
    print("|--|" + "--|" * len(TOOLS))
    for name, verdicts in rows.items():
        print(f"| `{name}` | {' | '.join(verdicts)} |")
    right = [f"{list(column).count('right')} right" for column in zip(*rows.values(), strict=True)]
    print(f"| {len(rows)} files | {' | '.join(right)} |")


if __name__ == "__main__":
    main()
