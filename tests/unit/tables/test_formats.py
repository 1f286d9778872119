"""Formats other than plain CSV, each of which gives the plain CSV's numbers."""

import bz2
import decimal
import gzip
import io
import lzma
import pickle
import sys
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

import polyreg
from polyreg.errors import BadTable
from polyreg.tables import table as tables
from polyreg.tables.formats import columnar
from polyreg.tables.table import Table
from tests.conftest import ROOT
from tests.support.sheets import write_ods, write_xlsx

X = np.random.default_rng(0).normal(size=12).tolist()
Y = np.random.default_rng(1).normal(size=12).tolist()
PLAIN = pa.table({"x": X, "y": Y})
ROWS = [["x", "y"], *map(list, zip(X, Y, strict=True))]


def text(separator: str = ",") -> bytes:
    return "".join(separator.join(map(str, row)) + "\n" for row in ROWS).encode()


def arrow(batch_rows: int = 5, is_file: bool = True) -> bytes:
    sink = pa.BufferOutputStream()
    new = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with new(sink, PLAIN.schema) as writer:
        writer.write_table(PLAIN, max_chunksize=batch_rows)
    return sink.getvalue().to_pybytes()


def feather(compression: str) -> bytes:
    sink = pa.BufferOutputStream()
    pa.feather.write_feather(PLAIN, sink, compression=compression)
    return sink.getvalue().to_pybytes()


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(PLAIN, sink)
    return sink.getvalue().to_pybytes()


def orc() -> bytes:
    sink = pa.BufferOutputStream()
    pa.orc.write_table(PLAIN, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def json_lines() -> bytes:
    lines = (f'{{"x": {x!r}, "y": {y!r}}}\n' for x, y in zip(X, Y, strict=True))
    return "".join(lines).encode()


def zipped(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with zipfile.ZipFile(sink, "w") as packed:
        packed.writestr("folder/t.csv", content)
        packed.writestr("__MACOSX/folder/._t.csv", "of no use")
    return sink.getvalue().to_pybytes()


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(content)
    return sink.getvalue().to_pybytes()


def spreadsheet(kind: str) -> bytes:
    sink = io.BytesIO()
    (write_xlsx if kind == "xlsx" else write_ods)(sink, {"lab": ROWS})
    return sink.getvalue()


def read(data: Path | str, **options) -> np.ndarray:
    """x and y of all rows (N, 2)."""
    blocks = list(Table.open(str(data), "y", **options).blocks())
    return np.concatenate([np.column_stack([*block.x, block.y]) for block in blocks])


def complaint(data: Path, target: str = "y", features=(), **options) -> str:
    with pytest.raises(BadTable) as caught:
        list(Table.open(str(data), target, features, **options).blocks())
    assert "\n" not in str(caught.value)
    return str(caught.value)


FILES = {
    "t.tsv": text("\t"), "t.txt": text(" "), "t.dat": text(";"),
    "file.arrow": arrow(), "stream.arrow": arrow(is_file=False), "t.ipc": arrow(100),
    "lz4.feather": feather("lz4"), "zstd.feather": feather("zstd"),
    "plain.feather": feather("uncompressed"), "t.orc": orc(), "t.parquet": parquet(),
    "t.jsonl": json_lines(), "t.ndjson": json_lines(), "t.json": json_lines(),
    "t.xlsx": spreadsheet("xlsx"), "t.ods": spreadsheet("ods"),
    # packed, whatever the name says
    "t.csv.gz": gzip.compress(text()), "t.csv.bz2": bz2.compress(text()),
    "t.csv.xz": lzma.compress(text()), "t.csv.zst": zstd(text()), "t.zip": zipped(text()),
    "t.tsv.gz": gzip.compress(text("\t")), "t.jsonl.gz": gzip.compress(json_lines()),
    "t.jsonl.zst": zstd(json_lines()), "gzip.jsonl": gzip.compress(json_lines()),
    "t.arrow.gz": gzip.compress(arrow()), "stream.arrow.gz": gzip.compress(arrow(is_file=False)),
    "gzip.csv": gzip.compress(text()), "zip.csv": zipped(text()), "xz.csv": lzma.compress(text()),
    # by another name, or none
    "parquet.csv": parquet(), "arrow.csv": arrow(), "stream.csv": arrow(is_file=False),
    "orc.csv": orc(), "json.csv": json_lines(), "xlsx.csv": spreadsheet("xlsx"),
    "ods.xlsx": spreadsheet("ods"), "csv.xls": text("\t"), "csv.ods": text(), "csv": text(),
    "parquet": parquet(), "arrow": arrow(), "orc": orc(), "json": json_lines(),
    "xlsx": spreadsheet("xlsx"), "t.log": text(), "gzip": gzip.compress(text()),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_format_holds_the_numbers_of_the_csv(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name])
    np.testing.assert_array_equal(read(tmp_path / name), np.column_stack([X, Y]))


@pytest.mark.parametrize("name", ["t.csv.bz2", "t.xlsx", "t.jsonl.zst", "t.zip", "t.arrow"])
def test_a_folder_of_any_format_is_a_table_and_a_readme_in_it_is_none(tmp_path, name):
    content = FILES.get(name, arrow())
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(content)
    if name != "t.zip":  # which may hold anything
        (tmp_path / "README.txt").write_text("Two of them.")
        (tmp_path / "a" / "~$t.xlsx").write_text("Excel has it open")
    np.testing.assert_array_equal(read(tmp_path), np.column_stack([2 * X, 2 * Y]))


def test_a_spreadsheet_beside_a_csv_may_be_the_same_table_and_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(text())
    (tmp_path / "t.xlsx").write_bytes(spreadsheet("xlsx"))
    told = complaint(tmp_path)
    assert "means both CSV (t.csv) and spreadsheets (t.xlsx); choose one by a glob" in told


def test_what_is_packed_twice_or_no_lines_of_json_is_refused_with_the_way_out(tmp_path):
    for name, content, words in (
        ("t.parquet.gz", gzip.compress(parquet()), "holds Parquet, packed once more; unpack it"),
        ("t.json", b'[{"x": 1, "y": 2}]', "one JSON array; write a line for each record, as jq"),
        ("u.jsonl", json_lines() + b'{"x": "a", "y": 1}\n',
         "column x of u.jsonl is number in its first rows and string in others"),
        ("t.orc", orc()[:-9], "cannot read t.orc"), ("t.arrow", arrow()[:-9], "cannot read t.arr"),
        ("t.xlsx", spreadsheet("xlsx")[:-9], "cannot read t.xlsx"),
        ("t.csv.bz2", bz2.compress(text())[:-9], "cannot read t.csv.bz2"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        assert words in complaint(tmp_path / name), name


def test_a_field_that_comes_late_in_json_lines_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(columnar, "JSON_BLOCK", 200)
    path = tmp_path / "t.jsonl"
    path.write_bytes(json_lines() + b'{"x": 1, "y": 2, "z": 3}\n')
    assert "has a record with a field that the first" in complaint(path)


def test_whole_numbers_of_json_lines_that_become_fractions_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(columnar, "JSON_BLOCK", 200)
    values = [*range(40), 0.5, 1.5, *range(40)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"x": {v}, "y": 1, "word": "a"}}\n' for v in values))
    assert read(path)[:, 0].tolist() == values


def test_a_missing_field_of_json_lines_is_a_missing_value(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(json_lines() + b'{"x": 1}\n{"x": null, "y": 2}\n')
    assert "2 of 14 rows of t.jsonl have a missing" in complaint(path)
    assert len(read(path, missing="drop")) == 12


# Spreadsheets.
DAYS = [date(2024, 3, 1) + timedelta(k) for k in range(12)]
SHEETS = {
    "lab": ROWS,
    "device": [["Device", "A; 1,2"], [], ["x", "y"], ["mV", "°C"], *ROWS[1:]],
    "days": [["when", "y"], *map(list, zip(DAYS, range(1, 24, 2), strict=True))],
    "gaps": [["x", "y"], [None, 3.0], *ROWS[1:], ["NA", 1.0]],
    "wrong": [["x", "y"], *ROWS[1:], ["about 3", 1.0]],
    "words": [["x", "y", "note", "good"], *([*row, "a; 1,5", True] for row in ROWS[1:])],
}


@pytest.fixture(params=["xlsx", "ods"])
def book(request, tmp_path) -> Path:
    path = tmp_path / f"book.{request.param}"
    (write_xlsx if request.param == "xlsx" else write_ods)(path, SHEETS)
    return path


def asked(path: Path, sheet: str = "", **options) -> polyreg.Result:
    return polyreg.fit(path, target="y", degree=1, sheet=sheet, **options)


def test_a_sheet_gives_the_fit_of_the_csv_and_is_named_beside_the_others(book, tmp_path):
    (tmp_path / "t.csv").write_bytes(text())
    plain = polyreg.fit(tmp_path / "t.csv", target="y", degree=1)
    told = f"{book.name} was read as sheet 'lab', not 'device', 'days', 'gaps', 'wrong', 'words'"
    for sheet in ("", "lab", "device"):
        found = asked(book, sheet)
        assert found.coefficients.tolist() == plain.coefficients.tolist()
        assert found.std_errors.tolist() == plain.std_errors.tolist()
        assert (told in found.notes) == (sheet != "device")
    assert found.units == {"x": "mV", "y": "°C"} and "1 line before the header" in found.notes[0]
    found = asked(book, "words", features=("x",))
    assert found.coefficients.tolist() == plain.coefficients.tolist()


def test_dates_of_a_sheet_are_days_since_the_first(book):
    found = asked(book, "days")
    assert found.coefficients.tolist() == [1, 2]
    assert found.units == {"when": "days since 2024-03-01"}


def test_cells_of_a_sheet_that_are_missing_or_wrong_are_told_as_those_of_a_csv(book):
    with pytest.raises(BadTable, match=r"2 of 14 rows of book\..* the first in row 1 .*column x"):
        asked(book, "gaps")
    assert asked(book, "gaps", missing="drop").nobs == 12
    with pytest.raises(BadTable, match=r"row 13 of book\.\w+ holds 'about 3'"):
        asked(book, "wrong")
    with pytest.raises(BadTable, match="has no sheet 'Lab'; it has 'lab', 'device', 'days', "):
        asked(book, "Lab")


def test_excels_old_format_is_read():
    path = ROOT / "tests" / "data" / "book.xls"  # by xlwt 1.3
    assert polyreg.fit(path, target="y", degree=2).coefficients.tolist() == [1, 2, 0.5]
    assert asked(path, "other").coefficients.tolist() == [3, -1]


def test_without_calamine_a_spreadsheet_is_refused_with_the_way_out(book, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert "pip install 'polyreg[sheets]', or save it as CSV" in complaint(book)


# Folders whose names are columns.
def hive(folder: Path, kind: str, keys, effect=lambda key: 0.0) -> Path:
    """y = 1 + 2 x + effect(key), in a folder for each key."""
    for number, key in enumerate(keys):
        part = folder / f"k={key}"
        part.mkdir(parents=True)
        x = [float(number), *X]
        columns = {"x": x, "y": [1 + 2 * v + effect(number) for v in x]}
        if kind == "parquet":
            pq.write_table(pa.table(columns), part / "a.parquet", row_group_size=5)
        else:
            pd.DataFrame(columns).to_csv(part / "a.csv", index=False)
    return folder


KINDS = pytest.mark.parametrize("kind", ["parquet", "csv"])


@KINDS
@pytest.mark.parametrize(
    "keys, units",
    [
        ((0, 1, 2, 3), {}), (("00", "01", "02", "03"), {}), (("0", "1.0", "2e0", "3"), {}),
        (("2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04"),
         {"k": "days since 2024-03-01"}),
    ],
)  # fmt: skip
def test_folders_that_are_numbers_or_dates_are_a_feature(tmp_path, kind, keys, units):
    data = hive(tmp_path, kind, keys, lambda k: 3.0 * k)
    found = polyreg.fit(data, target="y", degree=1)
    assert found.variables == ("x", "k") and found.units == units
    np.testing.assert_allclose(found.coefficients, [1, 2, 3], rtol=0, atol=1e-14)
    alone = polyreg.fit(data, target="y", features=("k",), degree=1)
    assert alone.variables == ("k",) and alone.nobs == 52


@KINDS
def test_a_key_may_be_the_target(tmp_path, kind):
    data = hive(tmp_path, kind, (0, 1, 2, 3), lambda k: 3.0 * k)
    found = polyreg.fit(data, target="k", degree=1)
    np.testing.assert_allclose(found.coefficients, [-1 / 3, -2 / 3, 1 / 3], rtol=0, atol=1e-14)


@KINDS
def test_folders_that_are_words_are_no_feature_and_refused_where_asked_for(tmp_path, kind):
    data = hive(tmp_path, kind, ("north", "south%20pole", "3"))
    found = polyreg.fit(data, target="y", degree=1)
    assert found.variables == ("x",) and "no features: k (text)" in found.notes
    assert "column k is not a number" in complaint(data, "k")
    assert "column k is not a number" in complaint(data, "y", ["k"])


@KINDS
def test_a_folder_without_a_value_is_a_missing_one(tmp_path, kind):
    data = hive(tmp_path, kind, (0, 1, "__HIVE_DEFAULT_PARTITION__"))
    assert "13 of 39 rows" in complaint(data, "y", ["k"])
    assert polyreg.fit(data, target="y", degree=1, missing="drop").nobs == 26


def test_parts_of_folders_travel_with_their_keys(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "PART_ROWS", 20)
    data = hive(tmp_path, "parquet", (5, 6, 7))
    table = Table.open(str(data), "y")
    parts = [pickle.loads(pickle.dumps(part)) for part in table.parts()]
    assert len(parts) > 1 and sum(part.rows for part in parts) == 39
    keys = np.concatenate([block.x[1] for part in parts for block in part.blocks()])
    assert keys.tolist() == [5] * 13 + [6] * 13 + [7] * 13
    survey = table.survey()
    assert (survey.low[1], survey.high[1]) == (5, 7)
    assert Table.open(str(data), "y", ["x"]).survey_from_footers() is not None


# Kinds of columns.
STEPS = range(12)
NUMBERS = {
    "dictionary": pa.array([0.5 * k for k in STEPS]).dictionary_encode(),
    "words of numbers": pa.array([k // 2 for k in STEPS]).dictionary_encode(),
    "decimal128": pa.array([decimal.Decimal(k) / 4 for k in STEPS], pa.decimal128(10, 3)),
    "nulls": pa.array([None, *range(11)], pa.int64()),
    "int8": pa.array(STEPS, pa.int8()),
    "uint64": pa.array(STEPS, pa.uint64()),
    "float32": pa.array([0.5 * k for k in STEPS], pa.float32()),
    "bool": pa.array([k % 3 == 0 for k in STEPS]),
}
TIMES = {
    "date32": pa.array(DAYS, pa.date32()),
    "date64": pa.array(DAYS, pa.date64()),
    "timestamp": pa.array([datetime(2024, 3, 1) + timedelta(k) for k in STEPS]),
    "zone": pa.array(
        [datetime(2024, 3, 1) + timedelta(k) for k in STEPS], pa.timestamp("ms", "Asia/Tokyo")
    ),
}
FORMS = {
    "parquet": lambda data, path: pq.write_table(data, path) or path,
    "feather": lambda data, path: pa.feather.write_feather(data, str(path)) or path,
    "orc": lambda data, path: pa.orc.write_table(data, str(path)) or path,
    "pyarrow": lambda data, path: data,
    "pandas": lambda data, path: data.to_pandas(),
    "pandas' own nulls": lambda data, path: data.to_pandas().convert_dtypes(),
    "pandas of arrow": lambda data, path: data.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda data, path: pl.from_arrow(data),
}


def made(form: str, data: pa.Table, folder: Path):
    try:
        return FORMS[form](data, folder / f"t.{form}")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        pytest.skip(f"{form} has no such columns")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_every_kind_give_the_same_fit(tmp_path, form, kind):
    x = [None if v is None else float(v) for v in NUMBERS[kind].to_pylist()]
    y = [0.0 if v is None else 1 + 2 * v for v in x]
    found = polyreg.fit(
        made(form, pa.table({"x": NUMBERS[kind], "y": y}), tmp_path),
        target="y", degree=1, missing="drop",
    )  # fmt: skip
    assert found.coefficients.tolist() == [1, 2] and found.variables == ("x",)
    assert found.nobs == sum(v is not None for v in x)


# pandas 3.1 says so to pyarrow 25, which asks it for values.
@pytest.mark.filterwarnings("ignore:Series.values returning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", TIMES)
def test_times_of_every_kind_are_days_since_the_first(tmp_path, form, kind):
    y = [1.0 + 2 * k for k in STEPS]
    data = made(form, pa.table({"when": TIMES[kind], "y": y}), tmp_path)
    found = polyreg.fit(data, target="y", degree=1)
    assert found.coefficients.tolist() == [1, 2]
    assert found.units == {"when": "days since 2024-03-01"}
