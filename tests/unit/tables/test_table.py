import gzip
import hashlib
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from polyreg.errors import BadTable
from polyreg.fields import Reading
from polyreg.tables.files import BLOCK_ROWS, File, Found
from polyreg.tables.formats import dialect
from polyreg.tables.formats.delimited import BLOCK as CSV_BLOCK
from polyreg.tables.rows import InMemory
from polyreg.tables.sampling import SAMPLE
from polyreg.tables.table import Table

NAN, INF = float("nan"), float("inf")


def frame(rows: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "a": random.standard_normal(rows),
            "b": random.uniform(-5, 3, rows),
            "y": random.normal(7, 2, rows),
            "w": random.uniform(0.5, 4, rows),
        }
    )


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def saved(folder: Path, data: pd.DataFrame, kind: str, **options) -> Path:
    path = folder / f"t.{kind}"
    if kind == "csv" and len(data) > 10_000:  # in a tenth of pandas' time
        plain = pa.csv.WriteOptions(quoting_style="none")
        pa.csv.write_csv(pa.Table.from_pandas(data, preserve_index=False), path, plain)
    elif kind == "csv":
        data.to_csv(path, index=False)
    else:
        data.to_parquet(path, index=False, **options)
    return path


def read(rows) -> np.ndarray:
    """All clean rows at once (N, D + target + weights)."""
    parts = [
        np.column_stack([a for a in (*block.x, block.y, block.weights) if a is not None])
        for block in rows.blocks()
    ]
    return np.concatenate(parts)


def complaint(*args, **options) -> str:
    """What the table is refused for, at its opening or in its passes; always one line."""
    with pytest.raises(BadTable) as caught:
        table = Table.open(*args, **options)
        table.survey()
        list(table.blocks())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_blocks_hold_the_rows_in_order(tmp_path, kind):
    data = frame(2 * BLOCK_ROWS + 17)
    table = Table.open(str(saved(tmp_path, data, kind)), "y", ["b", "a"], "w")
    blocks = list(table.blocks())
    assert len(blocks) > 2 and max(len(b.y) for b in blocks) <= BLOCK_ROWS
    assert all(a.dtype == np.float64 and a.flags.c_contiguous for b in blocks for a in b.x)
    assert np.array_equal(read(table), data[["b", "a", "y", "w"]].to_numpy())
    assert table.names == ("b", "a") and table.missing_rows == 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_survey_knows_bounds_and_rows(tmp_path, kind):
    data = frame(40_000)
    table = Table.open(str(saved(tmp_path, data, kind, row_group_size=9_000)), "y", [], "w")
    survey = table.survey()
    assert table.names == ("a", "b") and survey.rows == len(data)
    assert np.array_equal(survey.low, data[["a", "b"]].min())
    assert np.array_equal(survey.high, data[["a", "b"]].max())
    assert survey.y_size == data.y.abs().max() and survey.weight_size == data.w.max()
    assert table.size == (tmp_path / f"t.{kind}").stat().st_size


def test_without_target_and_weights_there_are_features_alone(tmp_path):
    table = Table.open(str(saved(tmp_path, frame(10), "csv")), None, ["a"])
    (block,) = table.blocks()
    survey = table.survey()
    assert block.y is None and block.weights is None
    assert (survey.y_size, survey.weight_size) == (0.0, 1.0)


def test_other_columns_of_numbers_and_dates_are_the_features_and_an_index_is_not(tmp_path):
    data = frame(5).assign(t="text", d=pd.Timestamp("2020-01-01"), k=range(5), flag=True)
    data.to_csv(tmp_path / "t.csv")  # pandas writes its index under an empty name
    data.set_index(pd.Index([3, 1, 4, 1, 5])).to_parquet(tmp_path / "t.parquet")
    for kind in ("csv", "parquet"):
        table = Table.open(str(tmp_path / f"t.{kind}"), "y", weights="w")
        assert table.names == ("a", "b", "d", "k", "flag")
        assert np.array_equal(read(table)[:, 2:5], np.column_stack([[0] * 5, range(5), np.ones(5)]))
    assert dict(table.schema)["t"].endswith("string") and dict(table.schema)["k"] == "int64"


@pytest.mark.parametrize(
    "kind",
    [pa.float32(), pa.float16(), pa.int8(), pa.uint64(), pa.bool_(), pa.decimal128(9, 2)],
    ids=str,
)
def test_every_numeric_type_becomes_float64(tmp_path, kind):
    x = pa.array([1.0, 0.0, None, 1.0]).cast(kind)
    pq.write_table(pa.table({"x": x, "y": [1.5, 2.5, 3.5, 4.5]}), tmp_path / "t.parquet")
    table = Table.open(str(tmp_path / "t.parquet"), "y", missing="drop")
    assert np.array_equal(read(table), [[1, 1.5], [0, 2.5], [1, 4.5]])
    clean = pa.table({"x": x.drop_null(), "y": [1.5, 2.5, 4.5]})
    pq.write_table(clean, tmp_path / "clean.parquet")
    survey = Table.open(str(tmp_path / "clean.parquet"), "y").survey()
    assert (survey.low, survey.high, survey.rows) == (0.0, 1.0, 3)


def test_integers_beyond_float64_are_rounded(tmp_path):
    x = np.array([2**53 + 1, 2**62 + 1, -(2**60) - 1])
    path = saved(tmp_path, pd.DataFrame({"x": x, "y": [0.0, 1.0, 2.0]}), "parquet")
    assert np.array_equal(read(Table.open(str(path), "y"))[:, 0], x.astype(np.float64))


WRITTEN = {
    "text": (["0.1", "-2.5", None, "3e-7", " 12345678901234567.89"], pa.string()),
    "decimal128": (["0.1", "-2.5", None, "3e-7", "123456789012.345678"], pa.decimal128(38, 20)),
    "decimal256": (["0.1", "-2.5", None, "3e-7", "1" * 40 + ".5"], pa.decimal256(70, 20)),
    "int64": ([2**53 + 1, 5, None, -(2**62) - 1, 2**63 - 1], pa.int64()),
    "uint64": ([2**53 + 1, 5, None, 2**63 + 1, 2**64 - 1], pa.uint64()),
}


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("kind", WRITTEN)
def test_an_exact_pass_reads_what_float64_leaves_of_the_numbers_as_they_are_written(
    tmp_path, kind, in_parts
):
    cells, of_arrow = WRITTEN[kind]
    y = ["1", "2", "3", "0.3", "5"]
    if kind == "text":
        lines = [f"{x or 'NA'},{y},1" for x, y in zip(cells, y, strict=True)]
        path = write(tmp_path / "t.csv", "\n".join(["x,y,w", *lines]))
    else:
        is_text = isinstance(cells[0], str)
        x = pa.array(cells).cast(of_arrow) if is_text else pa.array(cells, of_arrow)
        path = tmp_path / "t.parquet"
        numbers = pa.array(y).cast(pa.decimal128(10, 5))
        pq.write_table(pa.table({"x": x, "y": numbers, "w": np.ones(5)}), path)
    table = Table.open(str(path), "y", weights="w", missing="drop")
    rows = table.parts() if in_parts else [table]
    [exact], [rounded] = ([b for r in rows for b in r.blocks(e)] for e in (True, False))
    assert rounded.low is None and exact.low is not None
    for a, b in zip((*exact.x, exact.y), (*rounded.x, rounded.y), strict=True):
        np.testing.assert_array_equal(a, b)  # so the bounds of the survey hold
    for found, low, texts in zip((*exact.x, exact.y), exact.low, (cells, y), strict=False):
        truth = [Fraction(t) for c, t in zip(cells, texts, strict=True) if c is not None]
        assert found.tolist() == [float(t) for t in truth]
        rest = [float(t - Fraction(h)) for t, h in zip(truth, found.tolist(), strict=True)]
        assert low.tolist() == rest and any(rest)
    assert exact.low[2] is None  # the weights are float64, or integers


def test_a_cell_that_is_no_number_any_more_in_the_exact_pass_is_one_line(tmp_path):
    table = Table.open(str(write(tmp_path / "t.csv", "x,y\n0.1,abc\n")), "y", ["x"])
    with pytest.raises(BadTable, match=r"row 1 of t\.csv holds 'abc'") as caught:
        list(table.blocks(exact=True))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_missing_rows_are_dropped_and_counted(tmp_path, kind):
    data = frame(3_000)
    random = np.random.default_rng(5)
    for column, hole in (("a", NAN), ("y", INF), ("y", -INF), ("w", NAN)):
        data.loc[random.integers(0, len(data), 20), column] = hole
    clean = data[np.isfinite(data).all(axis=1)]
    path = str(saved(tmp_path, data, kind))
    table = Table.open(path, "y", ["a", "b"], "w", "drop")
    assert np.array_equal(read(table), clean)
    assert table.missing_rows == len(data) - len(clean) > 0
    survey = table.survey()
    assert np.array_equal(np.column_stack([*survey.sample.x, survey.sample.y]), clean.iloc[:, :3])
    assert np.array_equal(survey.low, clean[["a", "b"]].min())


def test_missing_rows_are_refused_after_a_whole_pass_that_counts_them(tmp_path):
    data = frame(200_000)
    data.loc[[150_000, 3, 199_999], ["b", "y", "a"]] = NAN
    path = str(saved(tmp_path, data, "parquet"))
    table, seen = Table.open(path, "y", ["a", "b"]), 0
    with pytest.raises(BadTable) as caught:
        for block in table.blocks():
            seen += len(block.y)
    assert seen == 199_997 and table.missing_rows == 3
    assert str(caught.value) == (
        "3 of 200,000 rows of t.parquet have a missing or infinite value (a 3, b 3, y 3), the "
        "first in row 4 of t.parquet (column a); use --missing drop to leave them out"
    )


@pytest.mark.parametrize("cell", ["", "NA", "nan", "NaN", "inf", "-inf", "1e999", "null", '""'])
def test_a_cell_without_a_finite_number_is_missing(tmp_path, cell):
    path = write(tmp_path / "t.csv", f"x,y\n1,2\n3,{cell}\n")
    said = complaint(str(path), "y")
    assert said.startswith("1 of 2 rows of t.csv has a missing or infinite value, the first in row")
    assert "row 2 of t.csv (column y)" in said and "--missing drop" in said


def test_a_missing_row_is_found_in_its_file(tmp_path):
    write(tmp_path / "a.csv", "x,y\n1,2\n3,4\n")
    write(tmp_path / "b.csv", "x,y\n1,2\n3,4\n,6\n")
    said = complaint(str(tmp_path), "y")
    assert "1 of 5 rows of 2 files has" in said and "row 3 of b.csv (column x)" in said


@pytest.mark.parametrize("huge", [1e308, -1e308])
def test_huge_finite_values_are_kept(tmp_path, huge):
    data = pd.DataFrame({"x": np.full(50, huge), "y": np.arange(50.0)})
    assert np.isinf(sum(data.x))  # the case that the test is about
    for kind in ("csv", "parquet"):
        table = Table.open(str(saved(tmp_path, data, kind)), "y")
        assert np.array_equal(read(table), data) and table.missing_rows == 0
        assert table.survey().low == huge


def test_a_nan_that_the_footer_does_not_know_is_no_part_of_the_sample(tmp_path):
    x = np.arange(1000.0)
    x[::7] = NAN
    path = str(saved(tmp_path, pd.DataFrame({"x": x, "y": x}), "parquet"))
    pq.write_table(pa.table({"x": x, "y": x}), path)  # nan stays nan, not null
    survey = Table.open(path, "y").survey()
    assert survey.rows == 1000
    assert np.array_equal(survey.sample.x[0], x[np.isfinite(x)])


def test_a_footer_without_statistics_or_with_nulls_gives_the_same_survey(tmp_path):
    data = frame(5_000)
    plain = Table.open(str(saved(tmp_path, data, "parquet")), "y").survey(3)
    bare = tmp_path / "bare.parquet"
    data.to_parquet(bare, write_statistics=False)
    holed = tmp_path / "holed.parquet"
    pd.concat([data, pd.DataFrame({"a": [None]})]).to_parquet(holed)
    for path in (bare, holed):
        survey = Table.open(str(path), "y", missing="drop").survey(3)
        assert survey.rows == plain.rows == len(data)
        assert np.array_equal(survey.low, plain.low) and np.array_equal(survey.high, plain.high)
        assert np.array_equal(survey.sample.x, plain.sample.x)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_small_tables_sample_is_all_of_it(tmp_path, kind):
    data = frame(SAMPLE)
    path = saved(tmp_path, data, kind, row_group_size=500)
    sample = Table.open(str(path), "y", weights="w").survey().sample
    assert np.array_equal(np.column_stack([*sample.x, sample.y, sample.weights]), data)


@pytest.mark.parametrize("make", ["csv", "parquet", "memory"])
def test_a_sample_is_uniform_in_order_and_without_repeats(tmp_path, make):
    N = 200_000
    data = pd.DataFrame({"x": np.arange(N), "y": np.arange(N) * 2})
    if make == "memory":
        rows = InMemory([data.x.to_numpy()], data.y.to_numpy())
    else:
        rows = Table.open(str(saved(tmp_path, data, make)), "y")
    sample = rows.survey(1).sample
    x = sample.x[0]
    assert len(x) == SAMPLE and (np.diff(x) > 0).all() and np.array_equal(sample.y, 2 * x)
    # 20 equal parts: chi-squared of 19 degrees of freedom, mean 19, sd sqrt(38), bounded at 5 sd;
    # drawing without replacement only narrows it.
    counts, expected = np.histogram(x, 20, (0, N))[0], SAMPLE / 20
    assert ((counts - expected) ** 2 / expected).sum() < 19 + 5 * np.sqrt(38)
    assert np.array_equal(rows.survey(1).sample.x, sample.x)
    assert not np.array_equal(rows.survey(2).sample.x, sample.x)


@pytest.mark.parametrize("size, groups", [(10_000, 4), (1_000, 17), (200, 128)])
def test_a_parquet_sample_is_of_few_row_groups_spread_evenly(tmp_path, size, groups):
    N = 300_000
    data = pd.DataFrame({"x": np.arange(N), "y": np.zeros(N)})
    table = Table.open(str(saved(tmp_path, data, "parquet", row_group_size=size)), "y")
    x = table.survey().sample.x[0]
    used = np.unique(x // size)
    assert len(x) == SAMPLE and used[0] == 0 and used[-1] == N // size - 1
    # As few as hold a sample, of 4, 8, 16, ...; their distances differ by rounding alone.
    assert groups <= len(used) <= max(4, 2 * groups) and np.ptp(np.diff(used)) <= 1


def test_a_folder_and_a_glob_are_one_table_in_the_order_of_names(tmp_path):
    parts = [frame(50, seed) for seed in range(3)]
    (tmp_path / "sub").mkdir()
    for name, part in zip(("b.csv", "sub/c.csv", "a.csv"), parts, strict=True):
        part.to_csv(tmp_path / name, index=False)
    write(tmp_path / "_SUCCESS", "")
    write(tmp_path / ".hidden.csv", "not,a\ntable")
    write(tmp_path / "notes.txt", "text")
    whole = pd.concat([parts[2], parts[0], parts[1]])
    for data in (tmp_path, tmp_path / "**" / "*.csv"):
        table = Table.open(str(data), "y", ["a", "b"], "w")
        assert [f.name for f in table.files] == ["a.csv", "b.csv", "c.csv"]
        assert np.array_equal(read(table), whole)
    (tmp_path / "a.csv").rename(tmp_path / "_a.csv")
    assert len(read(Table.open(str(tmp_path / "_a.csv"), "y"))) == 50  # it is asked for by name


def test_row_groups_of_several_files_are_one_table(tmp_path):
    data = frame(30_000)
    for k in range(3):
        part = data[k * 10_000 : (k + 1) * 10_000]
        part.to_parquet(tmp_path / f"{k}.pq", row_group_size=700, index=False)
    table = Table.open(str(tmp_path), "y", weights="w")
    survey = table.survey()
    assert np.array_equal(read(table), data) and survey.rows == len(data)
    assert np.array_equal(survey.low, data[["a", "b"]].min())


def test_odd_but_good_csv_files_are_read(tmp_path):
    text = '\ufeff"Größe, m";a b;c.d;text;y'.replace(";", ",")
    text += '\r\n"1.5",2, 3,"two\r\nlines ""quoted""",4\r\n\r\n5,6,7,é,"8"\r\n'
    expected = [[1.5, 2, 3, 4], [5, 6, 7, 8]]
    plain, packed = write(tmp_path / "t.csv", text), tmp_path / "t.CSV.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed):
        table = Table.open(str(path), "y")
        assert table.names == ("Größe, m", "a b", "c.d") and table.format == "csv"
        assert np.array_equal(read(table), expected)


def test_a_dot_in_a_parquet_name_is_no_path(tmp_path):
    columns = {"a": [1.0, 2.0], "a.b": [3.0, 4.0], "s": [{"b": 9.0}, {"b": 8.0}], "y": [5.0, 6.0]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = Table.open(str(tmp_path / "t.parquet"), "y", ["a.b", "a"])
    assert np.array_equal(read(table), [[3, 1, 5], [4, 2, 6]])
    assert np.array_equal(table.survey().high, [4, 2])
    assert np.array_equal(
        read(Table.open(str(tmp_path / "t.parquet"), "y", ["a"])), [[1, 5], [2, 6]]
    )


def test_a_line_break_in_quotes_on_the_border_of_blocks_is_no_new_row(tmp_path):
    """Rows of 13 bytes in blocks of 2^22: each border falls at another byte of a row."""
    rows = 4 * CSV_BLOCK // 13
    write(tmp_path / "t.csv", "x,t,y\n" + '1,"a\n2,b",3\n' * rows)
    assert sum(len(block.y) for block in Table.open(str(tmp_path / "t.csv"), "y").blocks()) == rows


def test_a_column_that_starts_empty_is_a_number_column_all_the_same(tmp_path):
    start = "x,z,y\n" + "1,,2\n" * (CSV_BLOCK // 4)
    table = Table.open(str(write(tmp_path / "t.csv", start + "1,5,2\n")), "y", ["z"], None, "drop")
    assert np.array_equal(read(table), [[5, 2]]) and table.missing_rows == CSV_BLOCK // 4
    assert Table.open(str(tmp_path / "t.csv"), "y").names == ("x", "z")


def test_blocks_of_short_rows_are_no_longer_than_others(tmp_path):
    rows = CSV_BLOCK // 4 - 9
    path = write(tmp_path / "t.csv", "x,y\n" + "1,2\n" * rows + ",2\n")
    table = Table.open(str(path), "y", missing="drop")
    lengths = [len(block.y) for block in table.blocks()]
    assert sum(lengths) == rows and max(lengths) == BLOCK_ROWS
    assert f"the first in row {rows + 1:,} of t.csv (column x)" in complaint(str(path), "y")


def test_a_parquet_file_of_one_row_group_is_never_whole_in_memory(tmp_path):
    x = np.random.default_rng(0).standard_normal(4_000_000)
    pq.write_table(pa.table({"x": x, "y": x}), tmp_path / "t.parquet", row_group_size=len(x))
    table, before = Table.open(str(tmp_path / "t.parquet"), "y"), pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in table.blocks()]
    assert max(held) < 2 * x.nbytes / 3


def test_integers_that_become_fractions_in_a_later_block_are_read(tmp_path):
    rows = CSV_BLOCK // 4 + 1
    path = write(tmp_path / "t.csv", "x,y\n" + "1,2\n" * rows + "0.5,1e3\n")
    assert np.array_equal(read(Table.open(str(path), "y"))[-1], [0.5, 1000])


def test_a_part_that_is_only_a_header_adds_nothing(tmp_path):
    write(tmp_path / "0.csv", "x,y\n")
    write(tmp_path / "1.csv", "x,y\n1,2\n")
    assert np.array_equal(read(Table.open(str(tmp_path), "y")), [[1, 2]])


# --- the hash, and files that change -------------------------------------------------------------


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    path = saved(tmp_path, frame(100_000), "csv")
    assert path.stat().st_size > 2 << 20  # more than two reads
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    unread, passed = (Table.open(str(path), "y") for _ in range(2))
    list(passed.blocks())
    assert unread.sha256() == passed.sha256() == expected


def change(path: Path, how: str) -> None:
    if how == "grown":
        with path.open("ab") as stream:
            stream.write(b"1,2,3,4\n")
    elif how == "touched":
        os.utime(path, ns=(1, 1))
    elif how == "replaced":
        same = write(path.with_suffix(".new"), path.read_bytes())
        os.utime(same, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        same.replace(path)
    else:
        path.unlink()


CHANGED = r"t\.csv changed while it was read; run again"


@pytest.mark.parametrize("how", ["grown", "touched", "replaced", "gone"])
def test_a_file_that_changes_between_passes_is_noticed(tmp_path, how):
    path = saved(tmp_path, frame(100), "csv")
    table = Table.open(str(path), "y")
    table.survey()
    change(path, how)
    with pytest.raises(BadTable, match=CHANGED):
        next(table.blocks())
    later = Table.open(str(saved(tmp_path, frame(100), "csv")), "y")
    change(path, how)
    with pytest.raises(BadTable, match=CHANGED):
        later.sha256()


@pytest.mark.parametrize("how", ["grown", "touched", "replaced", "gone"])
def test_a_file_that_changes_during_a_pass_is_noticed_at_its_end(tmp_path, how):
    path = saved(tmp_path, frame(80_000), "csv")
    blocks = Table.open(str(path), "y").blocks()
    next(blocks)
    change(path, how)
    with pytest.raises(BadTable, match=CHANGED):
        list(blocks)


def test_a_file_cut_short_during_a_pass_has_changed_rather_than_is_broken(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        frame(1000).to_parquet(tmp_path / name)
    blocks = Table.open(str(tmp_path), "y").blocks()
    next(blocks)  # of a.parquet, and b.parquet is still unopened
    os.truncate(tmp_path / "b.parquet", 1000)
    with pytest.raises(BadTable, match=r"b\.parquet changed while it was read; run again"):
        list(blocks)


# --- what is refused: each line says the value and the way out -----------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("", ["t.csv is empty", "column names"]),
        ("\n\n", ["t.csv has no rows", "column names"]),
        ("x,y\n", ["t.csv has no rows", "a fit needs some"]),
        ("x,y", ["t.csv has no rows", "a fit needs some"]),
        ("1.0,2.0\n3,4\n", ["no column 'y'", "first line is data, not names", "'column1'"]),
        ("x,y,y\n1,2,3\n", ["t.csv has two columns 'y'", "rename one"]),
        ("x,y\n1,2\n3,n/a?\n", ["column y is not a number: row 2 of t.csv", "'n/a?'", "correct"]),
        ("x,y\n1,2020-01-01\n", ["column y is not a number: in t.csv it holds dates", "columns"]),
        ('x,y\n1,"a\nb"\n', ["column y is not a number: row 1 of t.csv holds 'a\\nb'", "correct"]),
        ("x,y\n1,2\n1,2,3\n", ["row 2 of t.csv has 3 fields where the header has 2: '1,2,3'"]),
        ("x,y\n1,2\n1\n", ["row 2 of t.csv has 1 fields where the header has 2: '1'", "quote it"]),
        ("x,yy,z\n1,2,3\n", ["no column 'y' in t.csv, did you mean 'yy'?", "'x', 'yy', 'z'"]),
        ("t,y\nred,2\n", ["t.csv has no numeric column left for a feature", "'t' (text)"]),
        ("x,y\n1,\n,2\n", ["2 of 2 rows of t.csv have a missing", "--missing drop"]),
        (b"\xff\xfex,y", ["t.csv is not utf-16", "--encoding"]),
    ],
)  # fmt: skip
def test_a_bad_csv_is_refused_in_one_line(tmp_path, text, words):
    said = complaint(str(write(tmp_path / "t.csv", text)), "y")
    assert all(word in said for word in words), said


def test_text_in_a_later_block_is_found_by_row(tmp_path):
    rows = CSV_BLOCK // 4 + 100
    path = write(tmp_path / "t.csv", "x,y\n" + "1,2\n" * rows + "3,oops\n4,5\n")
    said = complaint(str(path), "y")
    assert f"column y is not a number: row {rows + 1:,} of t.csv holds 'oops'" in said


def test_text_in_a_column_that_is_not_used_is_no_problem(tmp_path):
    path = write(tmp_path / "t.csv", "x,z,y\n" + "1,2,3\n" * (CSV_BLOCK // 6 + 9) + "1,oops,3\n")
    assert len(read(Table.open(str(path), "y", ["x"]))) == CSV_BLOCK // 6 + 10


def test_many_columns_are_listed_in_part(tmp_path):
    names = [f"c{k}" for k in range(30)]
    path = write(tmp_path / "t.csv", ",".join(names) + "\n" + ",".join("1" * 30) + "\n")
    said = complaint(str(path), "price")
    assert "'c9' and 20 more" in said and "'c10'" not in said


@pytest.mark.parametrize(
    "options, words",
    [
        ({"target": "y", "features": ["y"]}, ["'y' is chosen twice", "one only"]),
        ({"target": "y", "weights": "y"}, ["'y' is chosen twice", "one only"]),
        ({"target": "y", "features": ["a", "a"]}, ["'a' is chosen twice", "one only"]),
        ({"target": "y", "features": ["a", "w"], "weights": "w"}, ["'w' is chosen twice"]),
        ({"target": "y", "features": ["A1"]}, ["no column 'A1' in t.", "it has 'a', 'b'"]),
        ({"target": "line\nbreak"}, ["no column 'line\\nbreak'", "it has 'a', 'b'"]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_bad_choice_of_columns_is_refused_in_one_line(tmp_path, kind, options, words):
    said = complaint(str(saved(tmp_path, frame(5), kind)), **options)
    assert all(word in said for word in words), said


@pytest.mark.parametrize("bad, shown", [(0.0, "0"), (-1.5, "-1.5")])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_weight_that_is_not_positive_is_refused(tmp_path, kind, bad, shown):
    data = frame(20)
    data.loc[7, "w"] = bad
    data.loc[3, "w"] = NAN
    said = complaint(str(saved(tmp_path, data, kind)), "y", weights="w", missing="drop")
    assert f"the weight in row 8 of t.{kind} (column w) is {shown} and must be positive" in said
    assert "drop the rows" in said


@pytest.mark.parametrize(
    "values, type_",
    [(["a", "b"], "string"), ([["a"], []], "list"), ([None] * 2, "null")],
)
def test_a_parquet_column_that_is_no_number_is_refused_by_its_type(tmp_path, values, type_):
    path = str(saved(tmp_path, frame(2).assign(t=values), "parquet"))
    said = complaint(path, "y", ["t"])
    assert "column t is not a number: in t.parquet it is " in said and type_ in said
    assert "convert it" in said


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_rows_are_counted_over_blocks_and_row_groups(tmp_path, kind):
    row = BLOCK_ROWS + 70_000
    data = frame(row + 9)
    data.loc[row - 1, "a"] = NAN
    path = str(saved(tmp_path, data, kind, row_group_size=50_000))
    assert f"the first in row {row:,} of t.{kind} (column a)" in complaint(path, "y", ["b", "a"])
    data.loc[row, "w"] = -2  # in the last row group, which the survey's sample reads
    path = str(saved(tmp_path, data.fillna(1.0), kind, row_group_size=50_000))
    assert f"the weight in row {row + 1:,} of t.{kind} " in complaint(path, "y", ["a"], "w")


def test_all_rows_missing_is_refused_where_they_are_dropped(tmp_path):
    data = pd.DataFrame({"x": [1.0, 2.0], "y": [INF, INF]})
    for kind in ("csv", "parquet"):
        said = complaint(str(saved(tmp_path, data, kind)), "y", missing="drop")
        assert f"t.{kind} has no rows without a missing value in 'x', 'y'" in said
    # Here the footer tells bounds of both columns: each has nan in the rows where the other is not.
    table = pa.table({"x": [NAN, 1.0, NAN, 2.0], "y": [1.0, NAN, 2.0, NAN]})
    pq.write_table(table, tmp_path / "t.parquet")
    said = complaint(str(tmp_path / "t.parquet"), "y", missing="drop")
    assert "t.parquet has no rows without a missing value" in said


@pytest.mark.parametrize("data", ["none.csv", "empty", "*.csv"])
def test_no_table_is_refused_with_the_whole_path(tmp_path, monkeypatch, data):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    said = complaint(data, "y")
    assert said.startswith(f"no table at {tmp_path / data}; give a file, a folder of files")


def test_both_formats_in_a_folder_are_refused(tmp_path):
    saved(tmp_path, frame(3), "csv")
    saved(tmp_path, frame(3), "parquet")
    said = complaint(str(tmp_path), "y")
    assert "t.csv" in said and "t.parquet" in said and "a glob like '*.csv'" in said
    assert len(read(Table.open(str(tmp_path / "*.csv"), "y"))) == 3


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_of_different_columns_are_refused(tmp_path, kind):
    (tmp_path / "more").mkdir()
    saved(tmp_path, frame(3).rename(columns={"b": "other"}), kind)
    saved(tmp_path / "more", frame(3), kind)
    said = complaint(str(tmp_path), "y")
    assert f"more/t.{kind} has a column 'b' and t.{kind} has not" in said


def test_files_of_different_types_are_refused_by_file_and_column(tmp_path):
    for k, value in enumerate((1.5, 2, "three")):
        pd.DataFrame({"x": [value], "y": [1.0]}).to_parquet(tmp_path / f"{k}.parquet")
        pd.DataFrame({"x": [value], "y": [1.0]}).to_csv(tmp_path / f"{k}.csv", index=False)
    said = complaint(str(tmp_path / "*.parquet"), "y")
    assert "column x is not a number: in 2.parquet it is" in said and "convert it" in said
    said = complaint(str(tmp_path / "*.csv"), "y")
    assert "column x is not a number: row 1 of 2.csv holds 'three'" in said
    assert np.array_equal(read(Table.open(str(tmp_path / "[01].parquet"), "y")), [[1.5, 1], [2, 1]])


@pytest.mark.parametrize("length, words", [(0, "is empty"), (200, "magic"), (-1, "magic")])
def test_a_parquet_file_cut_short_is_named(tmp_path, length, words):
    path = saved(tmp_path, frame(1000), "parquet")
    said = complaint(str(write(path, path.read_bytes()[:length])), "y")
    assert "t.parquet" in said and words in said and ("check the file" in said or "needs" in said)


def test_a_parquet_file_broken_in_the_middle_is_named(tmp_path):
    path = saved(tmp_path, frame(10_000), "parquet")
    content = bytearray(path.read_bytes())
    content[4:50_000] = bytes(49_996)
    said = complaint(str(write(path, bytes(content))), "y")
    assert "cannot read t.parquet: " in said and "check the file" in said


def test_a_gzip_file_cut_short_is_named(tmp_path):
    text = frame(1000).to_csv(index=False).encode()
    path = write(tmp_path / "t.csv.gz", gzip.compress(text)[:-2000])
    assert complaint(str(path), "y").startswith("cannot read t.csv.gz: Truncated compressed stream")


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = saved(tmp_path, frame(3), "csv")
    path.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)  # root may read anything
    try:
        said = complaint(str(path), "y")
    finally:
        if is_root:
            os.seteuid(0)
    assert said.startswith("cannot read ") and "t.csv: Permission denied; check the file" in said


# --- arrays --------------------------------------------------------------------------------------


def test_arrays_in_memory_read_like_a_file_of_them(tmp_path):
    data = frame(BLOCK_ROWS + 5)
    table = Table.open(str(saved(tmp_path, data, "parquet")), "y", ["a", "b"], "w")
    columns = [data[c].to_numpy() for c in data]
    rows = InMemory(columns[:2], columns[2], columns[3], ["a", "b"])
    assert np.array_equal(read(rows), read(table)) and rows.rows == len(data)
    ours, theirs = rows.survey(4), table.survey(4)
    assert np.isin(ours.sample.x[0], columns[0]).all() and len(set(ours.sample.x[0])) == SAMPLE
    assert np.array_equal(ours.sample.y, read(rows)[np.isin(columns[0], ours.sample.x[0]), 2])
    assert np.array_equal([ours.low, ours.high], [theirs.low, theirs.high])
    assert (ours.rows, ours.y_size, ours.weight_size) == (
        theirs.rows,
        theirs.y_size,
        theirs.weight_size,
    )


def test_arrays_in_memory_have_default_names():
    x = np.arange(3, dtype=np.int32)
    assert InMemory([x], x).names == ("x",)
    assert InMemory([x, x], None).names == ("x1", "x2")


@pytest.mark.parametrize(
    "x, y, words",
    [
        ([np.ones(3)], np.ones(4), ["(3,), (4,)", "one shape (N,)"]),
        ([np.ones((3, 1))], np.ones((3, 1)), ["(3, 1)", "one shape (N,)"]),
        ([], np.ones(3), ["0 names", "a name for each x"]),
        ([np.array([1, NAN, 3])], np.ones(3), ["1 of 3 rows of the arrays has", "row 2"]),
        ([np.ones(0)], np.ones(0), ["the arrays has no rows", "needs some"]),
    ],
)
def test_bad_arrays_are_refused_in_one_line(x, y, words):
    with pytest.raises(BadTable) as caught:
        InMemory(x, y).survey()
    assert all(word in str(caught.value) for word in words), caught.value


# --- the usual way, at a glance -------------------------------------------------------------------

GLANCED = [
    "x,y\n1,2\n3,4.5\n",
    '"x","y"\r\n-1e3,2.\r\n3,4.5\r\n',
    "a,b,c\n" + "1,2.25,3e-7\n" * 2_000,
]


@pytest.mark.parametrize("text", GLANCED)
def test_what_is_seen_at_a_glance_is_what_a_longer_look_finds(tmp_path, monkeypatch, text):
    path = write(tmp_path / "t.csv", text)
    found = Found(path, "t.csv")
    glanced = File.open(Reading(), [], found)
    assert dialect._usual(text, True) is not None
    monkeypatch.setattr(dialect, "_usual", lambda text, whole: None)
    assert File.open(Reading(), [], found).text == glanced.text


@pytest.mark.parametrize(
    "text",
    [
        "x,x\n1,2\n",
        "x,y\n1,2,3\n",
        "x,y\n1,\n",
        "x,y\nm,s\n1,2\n",
        "1,2\n3,4\n",
        "x,y\n1;2\n",
        "x,y\n",
    ],
)
def test_what_is_not_usual_gets_a_longer_look(text):
    assert dialect._usual(text, True) is None
