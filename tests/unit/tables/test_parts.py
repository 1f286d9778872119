"""A table in parts is the table; files that cannot be read are named, and left out on request."""

import pickle
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from polyreg.config import FitConfig
from polyreg.errors import BadTable
from polyreg.least_squares.fitting import Passes
from polyreg.least_squares.problem import Problem
from polyreg.least_squares.selection import GROUPS, labelled
from polyreg.tables import parts as parts_module
from polyreg.tables import table
from polyreg.tables.formats import columnar, delimited
from polyreg.tables.rows import Block
from polyreg.tables.sampling import profile as profile_module
from polyreg.tables.table import Table

ROWS = (1500, 0, 4000, 3, 40)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(table, "PART_ROWS", 700)
    monkeypatch.setattr(table, "PART_BYTES", 10_000)
    monkeypatch.setattr(profile_module, "SAMPLE", 600)


def content(number: int, rows: int) -> pa.Table:
    random = np.random.default_rng(number)
    x = random.normal(size=rows)
    return pa.table(
        {"x": x, "w": random.uniform(1, 2, rows), "y": 1 + x + random.normal(size=rows)}
    )


@pytest.fixture(params=["parquet", "csv"])
def folder(request, tmp_path):
    for number, rows in enumerate(ROWS):
        if request.param == "parquet":
            file = tmp_path / f"{number}.parquet"
            pa.parquet.write_table(content(number, rows), file, row_group_size=300)
        elif rows:
            pa.csv.write_csv(content(number, rows), tmp_path / f"{number}.csv")
    return tmp_path


def opened(folder, **options) -> Table:
    options = {"features": ["x"], "weights": "w"} | options
    return Table.open(str(folder), "y", **options)


def together(blocks) -> list[np.ndarray]:
    columns = [(b.x[0], b.y, b.weights) for b in blocks]
    return [np.concatenate(part) for part in zip(*columns, strict=True)]


def test_the_parts_in_order_are_the_table(folder):
    rows = opened(folder)
    parts = [pickle.loads(pickle.dumps(part)) for part in rows.parts()]
    assert len(parts) > 2
    for ours, whole in zip(
        together(b for part in parts for b in part.blocks()), together(rows.blocks()), strict=True
    ):
        np.testing.assert_array_equal(ours, whole)
    assert sum(part.gaps.clean for part in parts) == sum(ROWS)
    if rows.format == "parquet":
        assert [part.rows for part in parts] == [part.gaps.rows for part in parts]


def test_parts_are_of_about_equal_size(tmp_path, monkeypatch):
    for number in range(300):
        pa.parquet.write_table(content(number, 100), tmp_path / f"{number:03}.parquet")
    sizes = [part.rows for part in opened(tmp_path).parts()]
    assert sizes == [700] * 42 + [600]
    monkeypatch.setattr(table, "MOST_PARTS", 5)
    assert [part.rows for part in opened(tmp_path).parts()] == [6000] * 5


def test_their_tallies_add_up_to_the_tables_in_any_chunking(folder, monkeypatch):
    rows = opened(folder)
    whole = rows.profile(3)
    tallies = [part.profile(3) for part in rows.parts()]
    left = reduce(add, tallies)
    right = reduce(lambda a, b: b + a, reversed(tallies))
    tree = tallies
    while len(tree) > 1:
        tree = [reduce(add, tree[i : i + 3]) for i in range(0, len(tree), 3)]
    monkeypatch.setattr(table, "PART_ROWS", 1)  # each row group, and blocks of other sizes
    monkeypatch.setattr(parts_module, "BLOCK_ROWS", 77)
    monkeypatch.setattr(columnar, "BLOCK_ROWS", 130)
    finest = reduce(add, (part.profile(3) for part in rows.parts()))
    for profile in (left, right, tree[0], finest):
        assert profile.rows == whole.rows == sum(ROWS)
        np.testing.assert_array_equal(profile.low, whole.low)
        np.testing.assert_array_equal(profile.high, whole.high)
        np.testing.assert_array_equal(profile.sample(), whole.sample())
    assert len(whole.sample()[0]) == 600
    assert not np.array_equal(rows.profile(4).sample(), whole.sample())


def test_a_sample_is_uniform_over_files_and_rows(tmp_path):
    number = np.arange(20_000.0)
    for file in range(4):
        part = number[5000 * file : 5000 * (file + 1)]
        pa.parquet.write_table(
            pa.table({"x": part, "y": part}), tmp_path / f"{file}.parquet", row_group_size=900
        )
    drawn = np.zeros(20_000)
    for seed in range(200):
        drawn[opened(tmp_path, weights=None).profile(seed).sample()[0].astype(int)] += 1
    # 200 draws of 600 of 20,000: each tenth of the rows gets 12,000, give or take 110.
    assert np.abs(drawn.reshape(10, -1).sum(1) - 12_000).max() < 500
    assert drawn.max() < 25 and abs(drawn.var() - 200 * 0.03 * 0.97) < 0.5


@pytest.mark.parametrize("degree", [2, "auto"])
def test_their_sums_add_up_to_the_same_integers_fold_by_fold(folder, degree):
    rows = opened(folder)
    config = FitConfig(
        data=str(folder), target="y", weights="w", degree=degree, max_degree=3, folds=4,
        precision="certified",
    )  # fmt: skip
    passes = Passes(rows)
    problem = Problem.of(passes.survey(0), rows.names, config, "cpu")
    whole = passes.sums(problem)
    before, found = 0, []
    for part in rows.parts():
        found.append(problem.accumulate(part.blocks(problem.is_exact), before))
        before += part.gaps.clean
    assert len(whole) == (4 if degree == "auto" else 1)
    for fold, moments in whole.items():
        parts = [sums[fold] for sums in found if fold in sums]
        total = reduce(add, parts)
        assert total.count == moments.count and (total.gram == moments.gram).all()


def test_a_rows_fold_depends_on_its_place_alone():
    number = np.arange(3.0 * GROUPS * 5 + 17)

    def folds(start: int, stop: int, size: int) -> np.ndarray:
        rows = number[start:stop]
        blocks = [Block((p,), p, None) for p in np.split(rows, range(size, len(rows), size))]
        found = np.empty(len(rows))
        for fold, block in labelled(blocks, 5, 1, before=start):
            found[block.y.astype(int) - start] = fold
        return found

    whole = folds(0, len(number), 1000)
    np.testing.assert_array_equal(folds(0, len(number), len(number)), whole)
    for start, stop in ((0, 7), (3, 40_000), (GROUPS * 5, GROUPS * 5 + 1), (50_001, len(number))):
        np.testing.assert_array_equal(folds(start, stop, 777), whole[start:stop])


def test_rows_that_are_dropped_move_no_fold_and_no_sample(tmp_path):
    for number, rows in enumerate(ROWS):
        holed = content(number, rows).to_pandas()
        holed.loc[::7, "x"] = np.nan
        pa.parquet.write_table(
            pa.Table.from_pandas(holed, preserve_index=False),
            tmp_path / f"{number}.parquet",
            row_group_size=300,
        )
    rows = opened(tmp_path, missing="drop")
    config = FitConfig(
        data=str(tmp_path), target="y", weights="w", degree="auto", max_degree=2, folds=3,
        missing="drop", precision="certified",
    )  # fmt: skip
    passes = Passes(rows)
    survey = passes.survey(0)
    problem = Problem.of(survey, rows.names, config, "cpu")
    parts = rows.parts()
    profile = reduce(add, (part.profile(0) for part in parts))
    np.testing.assert_array_equal(rows.surveyed(profile).sample.x, survey.sample.x)
    before, found = 0, []
    for part in parts:
        found.append(problem.accumulate(part.blocks(problem.is_exact), before))
        before += part.gaps.clean
    whole = passes.sums(problem)
    assert before == survey.rows == sum(ROWS) - rows.missing_rows and rows.missing_rows > 700
    for fold, moments in whole.items():
        total = reduce(add, (sums[fold] for sums in found if fold in sums))
        assert total.count == moments.count and (total.gram == moments.gram).all()


@pytest.mark.parametrize("column, bad", [("w", -1.0), ("x", np.nan)])
def test_errors_name_the_row_in_its_file(tmp_path, column, bad):
    for number in (0, 1):
        rows = content(number, 2000)
        values = rows[column].to_numpy().copy()
        if number:
            values[650] = bad
        place = rows.column_names.index(column)
        pa.parquet.write_table(
            rows.set_column(place, column, pa.array(values)),
            tmp_path / f"{number}.parquet",
            row_group_size=300,
        )
    parts = opened(tmp_path).parts()
    if column == "w":
        with pytest.raises(BadTable, match=r"row 651 of 1\.parquet \(column w\) is -1"):
            for part in parts:
                list(part.blocks())
    else:
        for part in parts:
            list(part.blocks())
        gaps = reduce(add, (part.gaps for part in parts))
        assert (gaps.rows, gaps.missing) == (4000, 1)
        assert gaps.first == "row 651 of 1.parquet (column x)"


# -- Files that cannot be read ----------------------------------------------------------------


def garbage(file):
    parquet = file.suffix == ".parquet"
    file.write_bytes(b"PAR1 is how it begins" if parquet else b"\xff\xfe,\xff\n1,2\n")


def empty(file):
    file.write_bytes(b"")


def cut(file):
    whole = file.read_bytes()
    parquet = file.suffix == ".parquet"
    file.write_bytes(whole[: len(whole) // 2] if parquet else whole[:-40] + b"1\n")


def damaged(file):
    whole = bytearray(file.read_bytes())
    middle = len(whole) // 2
    noise = bytes(300) if file.suffix == ".parquet" else b"text" * 75
    whole[middle : middle + 300] = noise
    file.write_bytes(whole)


@pytest.mark.parametrize("spoil", [garbage, empty, cut, damaged])
def test_a_bad_file_is_refused_and_left_out_on_request(folder, spoil):
    [bad] = folder.glob("2.*")
    spoil(bad)
    with pytest.raises(BadTable, match=bad.name):
        rows = opened(folder)
        list(rows.blocks())
    rows = opened(folder, skip_bad_files=True)
    assert len(rows.skipped) == 1 and bad.name in rows.skipped[0]
    found = together(rows.blocks())
    assert len(found[0]) == sum(ROWS) - ROWS[2]
    assert bad.name not in [file.name for file in rows.files]
    assert rows.survey(0).rows == len(found[0])
    bad.unlink()
    good = opened(folder)
    np.testing.assert_array_equal(found, together(good.blocks()))
    assert good.sha256() == rows.sha256()


def test_a_file_that_goes_while_it_is_opened_is_no_bad_file(folder):
    """It may have been a good one: a passing fault leaves out no rows."""

    def each(function, files):
        files = list(files)
        getattr(files[0], "found", files[0]).path.unlink()
        return map(function, files)

    with pytest.raises(BadTable, match=r"0\.(csv|parquet)"):
        opened(folder, skip_bad_files=True, each=each)


def test_where_no_file_can_be_read_there_is_nothing_to_fit(folder):
    for file in folder.iterdir():
        garbage(file)
    with pytest.raises(BadTable, match=r"none of the \d files can be read; the first: .*0\."):
        opened(folder, skip_bad_files=True)


def test_another_schema_is_no_bad_file(tmp_path):
    pa.parquet.write_table(content(0, 10), tmp_path / "a.parquet")
    pa.parquet.write_table(content(1, 10).drop_columns(["w"]), tmp_path / "b.parquet")
    for skip in (False, True):
        with pytest.raises(BadTable, match=r"a\.parquet has a column 'w' and b\.parquet has not"):
            opened(tmp_path, skip_bad_files=skip)


def test_other_types_are_no_bad_file(tmp_path):
    pa.parquet.write_table(content(0, 10), tmp_path / "a.parquet")
    text = pa.array(["1"] * 10)
    pa.parquet.write_table(content(1, 10).set_column(0, "x", text), tmp_path / "b.parquet")
    for skip in (False, True):
        with pytest.raises(BadTable, match=r"column x is not a number: in b\.parquet it is string"):
            opened(tmp_path, skip_bad_files=skip)


def test_text_in_a_later_block_of_a_csv_makes_it_a_bad_file(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 10_000)
    for number in (0, 1):
        pa.csv.write_csv(content(number, 2000), tmp_path / f"{number}.csv")
    with open(tmp_path / "0.csv", "a") as file:
        file.write("1,1,oops\n")
    said = r"column y is not a number: row 2,001 of 0\.csv holds 'oops'"
    with pytest.raises(BadTable, match=said):
        list(opened(tmp_path).blocks())
    rows = opened(tmp_path, skip_bad_files=True)
    assert len(rows.skipped) == 1 and said.replace("\\", "") in rows.skipped[0]
    good = opened(tmp_path / "1.csv")
    np.testing.assert_array_equal(together(rows.blocks()), together(good.blocks()))


def test_what_a_table_is_said_to_be_is_what_is_left_of_it(tmp_path):
    (tmp_path / "0.csv").write_text("x,w,y\nred,1,2\n")
    pa.csv.write_csv(content(1, 20), tmp_path / "1.csv")
    rows, good = opened(tmp_path, skip_bad_files=True), opened(tmp_path / "1.csv")
    assert "0.csv" in rows.skipped[0] and rows.names == good.names == ("x",)
    assert rows.schema == good.schema and dict(rows.schema)["x"] == "double"
    assert (rows.root, rows.title, rows.size) == (good.root, good.title, good.size)


def test_damage_that_a_checksum_tells_is_no_data(tmp_path):
    for number in (0, 1):
        pa.parquet.write_table(
            content(number, 2000), tmp_path / f"{number}.parquet", compression="none",
            use_dictionary=False, write_page_checksum=True,
        )  # fmt: skip
    whole = bytearray((tmp_path / "1.parquet").read_bytes())
    whole[8000:8008] = bytes(8)  # another number
    (tmp_path / "1.parquet").write_bytes(whole)
    with pytest.raises(BadTable, match=r"cannot read 1\.parquet: .*checksum"):
        list(opened(tmp_path).blocks())
    [said] = opened(tmp_path, skip_bad_files=True).skipped
    assert "1.parquet" in said


def test_whatever_the_damage_the_file_is_read_or_named(tmp_path):
    for number in (0, 1):
        pa.parquet.write_table(
            content(number, 1000), tmp_path / f"{number}.parquet", row_group_size=300
        )
    bad, random = tmp_path / "0.parquet", np.random.default_rng(0)
    whole, good = bad.read_bytes(), together(opened(tmp_path / "1.parquet").blocks())
    skipped = 0
    for case in range(100):
        spoilt = bytearray(whole)
        # Half of the damage is where the footer is.
        place = random.integers(len(whole)) if case % 2 else len(whole) - random.integers(1, 2000)
        spoilt[place : place + 9] = random.bytes(9)
        bad.write_bytes(spoilt)
        rows = opened(tmp_path, skip_bad_files=True, missing="drop")
        assert [r.split(".parquet")[0][-1] for r in rows.skipped] in ([], ["0"])
        skipped += len(rows.skipped)
        if rows.skipped:
            np.testing.assert_array_equal(together(rows.blocks()), good)
    assert 20 < skipped < 100


def test_rows_that_files_share_count_as_often_as_they_are_there(tmp_path):
    for number in range(3):
        pa.parquet.write_table(content(7, 900), tmp_path / f"{number}.parquet", row_group_size=300)
    rows, once = opened(tmp_path), opened(tmp_path / "0.parquet")
    expected = [np.tile(column, 3) for column in together(once.blocks())]
    for blocks in (rows.blocks(), (b for part in rows.parts() for b in part.blocks())):
        np.testing.assert_array_equal(together(blocks), expected)
    assert rows.survey(0).rows == reduce(add, (p.profile(0) for p in rows.parts())).rows == 2700
    assert len({*rows.profile(0).sample()[0]}) > 300  # a key is of a place, not of what is there


def test_files_without_rows_are_parts_without_rows(tmp_path):
    for number in range(3):
        pa.parquet.write_table(content(number, 0), tmp_path / f"{number}.parquet")
    rows = opened(tmp_path, skip_bad_files=True)
    assert not rows.skipped
    assert not [b for part in rows.parts() for b in part.blocks()]
    assert sum(part.rows for part in rows.parts()) == 0
    with pytest.raises(BadTable, match="3 files has no rows; a fit needs some"):
        rows.survey(0)
