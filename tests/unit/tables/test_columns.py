"""Which columns become features, what is said of the others, and what is refused."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import polyreg
from polyreg.errors import BadTable, PolyregError
from polyreg.fields import Reading
from polyreg.tables.hints import codes, few, is_counter
from polyreg.tables.rows import Block, Survey
from polyreg.tables.table import Table

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(1, 9, 40)
ROWS = pd.DataFrame({"x": X, "y": 1 + 2 * X})


def fitted(data, **options):
    return polyreg.fit(data, target="y", degree=1, **options)


def both(tmp_path, data):
    """A frame, and the CSV and the Parquet file of it."""
    data.to_csv(tmp_path / "t.csv", index=False)
    data.to_parquet(tmp_path / "t.parquet", index=False)
    return data, tmp_path / "t.csv", tmp_path / "t.parquet"


# --- left out, and said ---------------------------------------------------------------------------


def test_columns_that_are_no_features_are_in_the_notes_with_the_reason(tmp_path):
    data = ROWS.assign(site="hill", k=7.0, z=RANDOM.normal(size=40))
    for given in both(tmp_path, data):
        found = fitted(given)
        assert found.variables == ("x", "z")
        assert found.notes[0] == "no features: site (text), k (constant)"
    data.assign(empty=np.nan).to_csv(tmp_path / "t.csv", index=False)
    assert "empty (empty)" in fitted(tmp_path / "t.csv").notes[0]


def test_a_column_asked_for_that_is_constant_is_refused_as_ever(tmp_path):
    data, _, path = both(tmp_path, ROWS.assign(k=7.0))
    for given in (data, path):
        with pytest.raises(PolyregError, match=r"feature k is constant \(7 on every row\)"):
            fitted(given, features=["x", "k"])


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_what_pandas_writes_of_an_index_is_no_feature(tmp_path, name):
    data = ROWS.copy()
    data.insert(0, name, range(len(data)))
    data.to_csv(tmp_path / "t.csv", index=False)
    found = fitted(tmp_path / "t.csv")
    assert found.variables == ("x",) and "(an index)" in found.notes[0]


def test_a_named_index_of_pandas_in_parquet_is_no_feature(tmp_path):
    ROWS.set_index(pd.Index(RANDOM.permutation(40), name="sample")).to_parquet(
        tmp_path / "t.parquet"
    )
    found = fitted(tmp_path / "t.parquet")
    assert found.variables == ("x",) and "sample (an index)" in found.notes[0]


def test_excluded_columns_are_no_features_and_need_no_note(tmp_path):
    data = ROWS.assign(u=0.5 + X % 1, id=range(40))
    for given in both(tmp_path, data):
        found = fitted(given, exclude=("u", "id"))
        assert found.variables == ("x",) and not any("features" in note for note in found.notes)
        with pytest.raises(PolyregError, match="no column 'v'"):
            fitted(given, exclude="v")


def test_a_column_cannot_be_asked_for_and_excluded(tmp_path):
    _, path, _ = both(tmp_path, ROWS)
    with pytest.raises(PolyregError, match="exclude y is asked for, too"):
        fitted(path, exclude="y")


# --- refused: it never just stops being a feature -------------------------------------------------


@pytest.mark.parametrize("row", [0, 1, 20, 39])
def test_a_cell_that_is_no_number_refuses_the_column_wherever_it_stands(tmp_path, row):
    data = ROWS.astype(object).assign(a=(ROWS.x + 1).astype(object))
    data.loc[row, "a"] = "broken"
    data.to_csv(tmp_path / "t.csv", index=False)
    for given in (data, tmp_path / "t.csv"):
        with pytest.raises(BadTable) as caught:
            fitted(given)
        said = str(caught.value)
        assert said.startswith(f"column a is not a number: row {row + 1} of ")
        assert "holds 'broken'; correct it" in said and "exclude" in said
        assert fitted(given, exclude="a").variables == ("x",)


@pytest.mark.parametrize("start", ["", "off"])
def test_what_the_first_block_looks_like_decides_no_column(tmp_path, start):
    """300,000 rows are 1.2 MB, and the first look is at 32 kB."""
    head = f"1,{start},3\n" * 300_000
    path = tmp_path / "t.csv"
    path.write_text("x,a,y\n" + head + "2,5,5\n" * 300_002)
    if start:  # mostly numbers
        with pytest.raises(BadTable, match=r"column a is not a number: row 1 of t.csv holds 'off'"):
            Table.open(str(path), "y").survey()
    else:
        table = Table.open(str(path), "y", missing="drop")
        assert table.names == ("x", "a") and table.survey().rows == 300_002
        assert table.missing_by == {"a": 300_000}


def test_numbers_that_are_text_in_parquet_are_refused_and_text_is_not(tmp_path):
    text = pa.array([str(x) for x in X])
    site = pa.array(["hill"] * 40)
    table = pa.table({"x": X, "a": text, "site": site, "y": X})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(BadTable, match=r"column a of t\.parquet holds numbers as text; convert it"):
        fitted(tmp_path / "t.parquet")
    pq.write_table(table.drop_columns(["a"]), tmp_path / "t.parquet")
    assert fitted(tmp_path / "t.parquet").variables == ("x",)


@pytest.mark.parametrize("cell", ["50%", "$5", "7 €"])
def test_percents_and_currencies_are_refused_with_the_cell(tmp_path, cell):
    data = ROWS.assign(a=cell)
    for given in both(tmp_path, data):
        with pytest.raises(BadTable) as caught:
            fitted(given)
        assert f"row 1 of {'the data' if given is data else given.name} holds" in str(caught.value)
        assert cell in str(caught.value) and "write the number alone" in str(caught.value)


# --- hints ----------------------------------------------------------------------------------------


def test_a_counter_of_rows_and_names_of_uncertainties_get_a_hint(tmp_path):
    data = pd.DataFrame({"n": range(1, 41)}).join(ROWS).assign(sigma_y=X % 1 + 0.1)
    for given in both(tmp_path, data):
        notes = fitted(given).notes
        assert any("n counts the rows" in n and "exclude n" in n for n in notes)
        assert any("sigma_y is a feature here" in n and "weights" in n for n in notes)
    alone = fitted(pd.DataFrame({"x": range(1, 41), "y": X}))
    assert not any("counts the rows" in n for n in alone.notes)  # the only variable


def test_features_of_two_or_three_values_are_named_and_hold_the_degree_down(tmp_path):
    data = ROWS.assign(w=RANDOM.integers(0, 2, 40), y=X**3)
    for given in both(tmp_path, data):
        found = polyreg.fit(given, target="y", degree="auto")
        assert any(n.startswith("w has only 2 distinct values") for n in found.notes)
        assert found.selection.degrees[-1] == 1
        assert "rows: w has only 2 distinct values" in found.selection.sentence()


@pytest.mark.parametrize(
    "values, expected",
    [
        ([*X, -999, -999], [-999]),
        ([*X, 9999, 9999, -9999, -9999], [-9999, 9999]),
        ([*X, -999], []),  # once: an outlier
        ([*(100 * X), 999, 999], []),  # not far
        ([*X, 1234, 1234], []),  # not so spelt
        ([*X, 1e30, 1e30], [1e30]),
        ([0, 0, 99, 99], []),
    ],
)
def test_codes_are_values_of_their_spelling_repeated_and_far_outside(values, expected):
    assert sorted(codes(np.array(values, float))) == expected


def test_a_code_gets_a_note_and_is_missing_once_it_is_named(tmp_path):
    data = pd.concat([ROWS, pd.DataFrame({"x": [-999.0] * 2, "y": [3.0, 5.0]})])
    for given in both(tmp_path, data):
        assert any("give missing-values=-999" in n or "give --missing-values=-999" in n
                   for n in fitted(given).notes)  # fmt: skip
        with pytest.raises(BadTable, match="2 of 42 rows"):
            fitted(given, missing_values=-999)
        found = fitted(given, missing_values=[-999], missing="drop")
        assert found.nobs == 40 and found.origin.missing_by == {"x": 2}
        assert np.allclose(found.coefficients, [1, 2], rtol=1e-14)


def test_few_and_counters_by_their_definition():
    assert few(np.array([0, 1, 0, 1.0])) == 2 and few(np.array([1, 2, 3, 4.0])) == 0
    assert few(np.array([1, 2, 3.0])) == 0  # three rows have no more

    def survey(n, rows):
        return Survey(rows, *np.zeros((2, 1)), 0, 1, 1, Block((np.arange(n),), None, None))

    assert is_counter(np.arange(5.0), survey(5, 5)) and is_counter(np.arange(1.0, 6), survey(5, 5))
    assert not is_counter(np.array([0, 1, 3.0]), survey(3, 3))
    assert is_counter(np.array([1, 7, 30.0]), survey(3, 40))  # a sample of more rows
    assert not is_counter(np.array([5, 6, 7.0]), survey(3, 3))


# --- missing values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        *[
            "NA",
            "N/A",
            "nan",
            "null",
            "NULL",
            "None",
            "-",
            "--",
            ".",
            "?",
            "\\N",
            "#N/A",
            "#DIV/0!",
        ],
        "",
        " ",
        " NA ",
        '"-"',
    ],
)
def test_the_usual_spellings_are_missing_and_counted_by_column(tmp_path, cell):
    path = tmp_path / "t.csv"
    path.write_text(f"x,y\n1,2\n{cell},3\n{cell},4\n2,{cell}\n5,6\n7,8\n")
    with pytest.raises(BadTable) as caught:
        fitted(path)
    assert str(caught.value).startswith("3 of 6 rows of t.csv have a missing or infinite value")
    assert "(x 2, y 1), the first in row 2 of t.csv (column x)" in str(caught.value)
    if cell.strip():
        assert f"which holds {cell.strip(chr(34))!r}" in str(caught.value)
    found = fitted(path, missing="drop")
    assert found.nobs == 3 and found.origin.missing_by == {"x": 2, "y": 1}


def test_words_and_numbers_are_missing_where_they_are_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,3\n-999.0,1\nn.a.,1\n2,5\n4,9\n")
    reading = Reading(missing_values=("-999", "n.a."))
    table = Table.open(str(path), "y", missing="drop", reading=reading)
    assert [block.y.tolist() for block in table.blocks()] == [[3, 5, 9]]
