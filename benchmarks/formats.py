"""How long does it take to read a table in each format, beside pyarrow, polars and pandas?

    python -m benchmarks.formats --rows 10000000 --sheet-rows 100000 --rounds 3

One table of two columns, written in each way. polyreg finds the dialect, passes over all rows once
as float64, in blocks, and hashes the file beside; the others are told the dialect and hold the
whole table. Sides take turns; a ratio is the median of the rounds' own. Each has the threads that
it takes by default. Needs polars and python-calamine; the table goes to docs/your-file.md.
"""

import gzip
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq

from polyreg.tables.table import Table

Side = Callable[[Path], Any]
COLUMNS = ("polyreg", "pyarrow", "polars", "pandas")
CHUNK = 100_000  # rows that are spelt at a time


def polyreg(path: Path) -> int:
    table = Table.open(str(path), "y")
    rows = sum(len(block.x[0]) for block in table.blocks())
    table.sha256()
    return rows


def comma(path: Path) -> pa.Table:
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(delimiter=";"),
        convert_options=pa.csv.ConvertOptions(decimal_point=","),
    )


# What is written, the file's name, and the others that know how to read it.
FORMATS: list[tuple[str, str, dict[str, Side]]] = [
    ("plain CSV", "plain.csv", {"pyarrow": pa.csv.read_csv, "polars": pl.read_csv,
                                "pandas": pd.read_csv}),
    ("`;` and decimal comma", "comma.csv", {
        "pyarrow": comma,
        "polars": lambda path: pl.read_csv(path, separator=";", decimal_comma=True),
        "pandas": lambda path: pd.read_csv(path, sep=";", decimal=",")}),
    ("blanks", "blanks.txt", {"pandas": lambda path: pd.read_csv(path, sep=r"\s+")}),
    ("grouped thousands", "grouped.csv", {"pandas": lambda path: pd.read_csv(path, thousands=",")}),
    ("gzip CSV", "plain.csv.gz", {"pyarrow": pa.csv.read_csv, "polars": pl.read_csv,
                                  "pandas": pd.read_csv}),
    ("Parquet", "t.parquet", {"pyarrow": pq.read_table, "polars": pl.read_parquet,
                              "pandas": pd.read_parquet}),
    ("Arrow", "t.feather", {"pyarrow": pa.feather.read_table, "polars": pl.read_ipc,
                            "pandas": pd.read_feather}),
    ("xlsx", "t.xlsx", {"pandas": lambda path: pd.read_excel(path, engine="calamine")}),
]  # fmt: skip


def write(folder: Path, rows: int, sheet_rows: int) -> None:
    from tests.support.sheets import write_xlsx

    random = np.random.default_rng(0)
    x, y = (random.normal(0, 5000, (2, rows)) * 100).round() / 100
    table = pa.table({"x": x, "y": y})
    pq.write_table(table, folder / "t.parquet")
    pa.feather.write_feather(table, str(folder / "t.feather"))
    pairs = list(zip(x[:sheet_rows].tolist(), y[:sheet_rows].tolist(), strict=True))
    write_xlsx(folder / "t.xlsx", {"lab": [("x", "y"), *pairs]})
    with (
        open(folder / "plain.csv", "w") as plain,
        open(folder / "comma.csv", "w") as commas,
        open(folder / "blanks.txt", "w") as blanks,
        open(folder / "grouped.csv", "w") as grouped,
        gzip.open(folder / "plain.csv.gz", "wt", compresslevel=3) as packed,
    ):
        for start in range(-1, rows, CHUNK):
            part = slice(max(0, start), start + CHUNK)
            pairs = [("x", "y")] if start < 0 else []
            pairs += zip(x[part].tolist(), y[part].tolist(), strict=True)
            text = "".join(f"{a},{b}\n" for a, b in pairs)
            plain.write(text)
            packed.write(text)
            commas.write(text.translate({ord(","): ";", ord("."): ","}))
            blanks.write(text.replace(",", "  "))
            head = "x,y\n" if start < 0 else ""
            numbers = pairs[1:] if start < 0 else pairs
            grouped.write(head + "".join(f'"{a:,}","{b:,}"\n' for a, b in numbers))


def seconds(side: Side, path: Path) -> float:
    start = time.perf_counter()
    side(path)
    return time.perf_counter() - start


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--sheet-rows", default=100_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(rows: int, sheet_rows: int, rounds: int) -> None:
    print(f"| format | rows | MB | {' | '.join(COLUMNS)} |")
    print("|--|--|--|" + "--|" * len(COLUMNS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, rows, min(rows, sheet_rows))
        for title, file, others in FORMATS:
            path = folder / file
            sides = {"polyreg": polyreg, **others}
            took = [{s: seconds(read, path) for s, read in sides.items()} for _ in range(rounds)]
            cells = [f"{min(r['polyreg'] for r in took):.2f} s"]
            for side in COLUMNS[1:]:
                ratio = median(r[side] / r["polyreg"] for r in took) if side in others else None
                cells.append("-" if ratio is None else f"{ratio:.2f} times as long")
            count = min(rows, sheet_rows) if file.endswith("xlsx") else rows
            size = path.stat().st_size / 1e6
            print(f"| {title} | {count:,} | {size:,.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
