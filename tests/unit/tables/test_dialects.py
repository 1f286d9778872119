"""Dialects of text tables: what was written is what is read, or one clear line."""

import gzip
import io
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from polyreg.errors import BadTable
from polyreg.fields import Reading
from polyreg.tables.table import Table
from tests.support.dialects import draw, outcome

CASES = 250
XY = [[1, 2], [3, 4]]


def read(folder: Path, content: str | bytes, target: str | None = "y", **options) -> list:
    """The rows of features and target, without those where a value is missing."""
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    table = Table.open(str(path), target, missing="drop", reading=Reading(**options))
    return [
        list(row)
        for block in table.blocks()
        for row in zip(*(a.tolist() for a in (*block.x, block.y) if a is not None), strict=True)
    ]


def refusal(folder: Path, content: str | bytes, target: str = "y", **options) -> str:
    with pytest.raises(BadTable) as caught:
        read(folder, content, target, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_random_tables_in_random_dialects_are_read_as_written_or_refused(tmp_path):
    counts: Counter[str] = Counter()
    for seed in range(CASES):
        case = draw(seed)
        what, why = outcome(case, tmp_path)
        assert what in ("read", "refused"), (seed, what, why)
        counts[what, case.is_ambiguous] += 1
    # What is refused is ambiguous, but for a few tables of one or two rows.
    assert counts["refused", False] <= CASES // 100
    assert counts["read", False] > 0.9 * CASES


FOUND = {
    "a name over one row": ("x,y\n1,2\n", [[1, 2]]),
    "line breaks and separators in quotes": ('n,x,y\n"a\nb,c",1,2\n"d ""e""",3,4\n', XY),
    "old Macs' line ends, others in quotes": ('n,x,y\r"a\nb",1,2\r"c",3,4\r', XY),
    "all line ends": ("x,y\r\n1,2\n3,4\r5,6\r\n", [*XY, [5, 6]]),
    "single quotes beside double ones": ("n;x;y\n'say \"hi\"';'1';2\n'a;b';'3';4\n", XY),
    "blank lines": ("x,y\n\n1,2\n\n3,4\n   \n5,6\n", [*XY, [5, 6]]),
    "comments below a byte order mark": ("\ufeff# a\nx,y\n# b\n1,2\n3,4\n#", XY),
    "a comment in the middle alone": ("x,y\n1,2\n# 9,9\n3,4\n", XY),
    "names in a comment, notes below": ("# x y\n1 2\n# end\n3 4\n# the end\n", XY),
    "# as the first of the names": ("#\tx\ty\n1\t2\n3\t4\n", XY),
    "# as a column": ("#;x;y\n5;1;2\n7;3;4\n", [[5, 1, 2], [7, 3, 4]]),
    "names of rows that begin with #": ("id,x,y\n#1,1,2\n#2,3,4\n", XY),
    "#N/A is no comment": ("n,x,y\n#N/A,1,2\n# a\n#DIV/0!,3,4\n", XY),
    "% as a unit beside comments": ("// a\nx  y\n%  mV\n1  2\n// b\n3  4\n", XY),
    "tabs, few values, one row": ("n\tx\ty 2\ty\n\na\t1,5\tb 3\t2\nEnd of it\n", [[1.5, 2]]),
    "% as a unit is no comment": ("x;y\n%;mV\n1;2\n3;4\n", XY),
    "1 as a unit": ("x;y;z\n1;(m/s);-\n1;2;3\n3;4;5\n", [[1, 3, 2], [3, 5, 4]]),
    "units that nobody knows": ("x;y\nWobble;NTU\n1;2\n3;4\n", XY),
    "lines as wide as the table above": ("Operator;Smith\nRun;12\nx;y\n1;2\n3;4\n", XY),
    "a preamble over one row": ("Channels;4;on\nBy A. Meier\nx;y;z\n1;2;3\n", [[1, 3, 2]]),
    "a short line above tabs": (
        "By A. Meier\nx\ty\n1,5\t-2,25\n3,5\t4,75\n",
        [[1.5, -2.25], [3.5, 4.75]],
    ),
    "tabs with blanks in the cells": ("n\troom x\ty\na b\t 1\t2\nc d\t3 \t4\n", XY),
    "more empty columns than names": ("x;y\n1;2;;\n3;4;;\n", XY),
    "empty columns of blanks": ("x, y, ,\n1, 2, ,\n3, 4, ,\n", XY),
    "empty column under a wider line": ("A;1;on\nx;y\n1;2;\n3;4;\n5;6;\n", [*XY, [5, 6]]),
    "R's names of rows": ('"x" "y"\n"a b" 1 2\n"c" 3 4\n', XY),
    "R's names of rows, and units": ("x,y\n1,mV\na,1,2\nb,3,4\n", XY),
    "lines below": ("x;z;y\n1;0;2\n3;0;4\nTotal;12\nEnd of file\n", [[1, 0, 2], [3, 0, 4]]),
    "numbers of Fortran": ("x,y\n1.5D+02,1d-3\n2D0,1.d0\n", [[150, 0.001], [2, 1]]),
    "minus as a sign": ("x,y\n−1.5,2\n1e−2,+4\n", [[-1.5, 2], [0.01, 4]]),
    "blanks around": ("x,y\n 1 , 2\n3,\u00a04\n", XY),
    "apostrophes": ("x;y\n1’234.5;2\n12'345.6;4\n", [[1234.5, 2], [12345.6, 4]]),
    "grouped in a text-heavy table": (
        'a;b;x;y\nn;m;0,25;1\nn;"q, 5";81 294,5;2\n',
        [[0.25, 1], [81294.5, 2]],
    ),
    "grouped by commas in blanks": (
        "x n y\n-261,289,992 ok -1\n802,276,201 x-1 3\n",
        [[-261289992, -1], [802276201, 3]],
    ),
    "grouped by commas in blanks, one row": (
        '-37,923,868.5 "ok" "A12" 4,883,222 1\n',
        [[-37923868.5, 4883222, 1]],
    ),
    "years as names": ("n,2019,y\na,1,2\nb,3,4\n", XY),
    "text with digits": ("n,x,y\nA1,1,2\n7,3,4\nB2,5,6\n", [*XY, [5, 6]]),
    "a zone of hours": (
        "x,y\n2024-03-01T12:00:00+02,2\n2024-03-01T10:00:03Z,4\n",
        [[0, 2], [3, 4]],
    ),
}


@pytest.mark.parametrize("content, rows", FOUND.values(), ids=FOUND.keys())
def test_a_dialect_is_found(tmp_path, content, rows):
    target = "y" if "y" in content else "column5"
    assert read(tmp_path, content, target) == rows


@pytest.mark.parametrize(
    "content, said",
    [
        # Each of these reads in two ways.
        ("y\n1,5\n2,25\n", "give --separator semicolon or --separator comma"),
        ("year|y\n2019|1,234\n12020|1,345\n", "1,234 in t.csv reads as 1.234 and as 1234"),
        ("y;x\n769,236;1\n-662695;2\n", "769,236 in t.csv reads as 769.236 and as 769236"),
        ("year;y\n12019;1.234\n2020;1.345\n", "1.234 in t.csv reads as 1.234 and as 1234"),
        ("id,x,y\n#1,2,3\nA,4,5\n#3,6,7\n", "'#1,2,3' in t.csv reads as a comment and as a row"),
        ("x,y\n1,2,\n3,4,note\n5,6,\n", "t.csv has 2 names over 3 columns"),
        ("x,y\n1,2,a\n1,4,b\n", "t.csv has 2 names over 3 columns"),
        ("x,y\n03/04/2024,1\n2024-05-06,2\n", "give --dates day-first or --dates month-first"),
        # Each of these would lose a row.
        ("n;x;y\na;2;3\nb;3;4\nc;1", "row 3 of t.csv has 2 fields where the header has 3: 'c;1'"),
        ("d;x;y\n2024-01-01;2;3\n2024-01-02;3", "row 2 of t.csv has 2 fields"),
        ("  x    y\n 1.0 -2.0\n-3.0-14.0\n", "row 2 of t.csv has 1 fields"),
        ("x;y;z\n1;2;3\nfoo\n2;3;4\n", "row 2 of t.csv has 1 fields"),
        ("x;y\n1;2\n2;3\nTotal;12\n", "column x is not a number: row 3 of t.csv holds 'Total'"),
        # And what else is no table.
        ("x,y\n1,2\nx,y\n3,4\n", "row 2 of t.csv holds 'x'"),
        ("x,y\nfoo,2\n60,3\n70,3\n", "row 1 of t.csv holds 'foo'"),
        ("x,y\n50%,2\n60,3\n70,3\n", "row 1 of t.csv holds '50%'"),
        ("d,y\n1500-03-01,1\n1501-01-01,2\n", "1500-03-01 is outside the years 1678 to 2262"),
        ("x,y\n1,2\0\n", "t.csv is no text (it has bytes of 0)"),
        ("x,y\n1,2\n3,4\n".encode("utf-32"), "t.csv is no text"),
        ("x,y\n1,2\n3,4\n".encode("utf-16") + b"a", "t.csv is not utf-16 throughout"),
        (b"PK\5\6" + bytes(18), "t.csv is an empty zip file"),
        (gzip.compress(b"x,y\n1,2\n" * 9, mtime=0)[:-9], "Truncated compressed stream"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_for_sure_is_refused(tmp_path, content, said):
    assert said in refusal(tmp_path, content)


def test_a_zip_holds_one_file(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as two:
        two.writestr("a.csv", "x,y\n1,2\n")
        two.writestr("b.csv", "x,y\n1,2\n")
    assert "t.csv holds 2 files: 'a.csv', 'b.csv'; unpack one" in refusal(
        tmp_path, packed.getvalue()
    )


LONG = 9000  # rows: more than the first bytes that tell the dialect


@pytest.mark.parametrize(
    "last, rows",
    [
        ("1.5,2,4", [[1.5, 2, 4]]),
        ("2024-01-01,2,4", [[0, 2, 4]]),
        ("13/01/2024,2,4\n02/01/2024,2,5", [[0, 2, 4], [-11, 2, 5]]),
    ],
)
def test_a_column_that_is_empty_at_first_is_what_it_turns_out_to_be(tmp_path, last, rows):
    assert read(tmp_path, "a,x,y\n" + ",1,2\n" * LONG + last) == rows


@pytest.mark.parametrize(
    "content, said",
    [
        ("x;y\n" + "1;2\n" * LONG + "1.234;2\n", "1.234 in the table reads as 1.234 and as 1234"),
        ("x;y\n" + "1;2\n" * LONG + "1,5;2\n", "row 9,001 of t.csv holds '1,5'"),
        ("x,y\n" + "1,2\n" * LONG + "foo,2\n", "row 9,001 of t.csv holds 'foo'"),
        ("x,y,\n" + "1,2,\n" * LONG + "1,2,3\n", "'3' stands in a column without a name"),
        ("x,y\n" + "2024-01-01,2\n" * LONG + "03/04/2024,2\n", "holds '03/04/2024'"),
        ("é,y\n".encode("cp1252") + b"1,2\n" * LONG + b"\x81,3\n", "is not cp1252 throughout"),
    ],
    ids=["thousands", "comma", "text", "unnamed", "order", "encoding"],
)
def test_what_stands_below_the_first_lines_is_judged_as_well(tmp_path, content, said):
    assert said in refusal(tmp_path, content)


@pytest.mark.parametrize("above", ["", "A. Meier\nXY 3000\n\n", "# a\n"])
def test_a_row_is_counted_below_the_header_whatever_stands_above(tmp_path, above):
    content = f"{above}x;y;z\n1;2;3\n  \n\n4;5;6\n7;8\n"
    assert "row 3 of t.csv has 2 fields where the header has 3" in refusal(tmp_path, content)


def test_lines_below_a_long_packed_table_are_left_out_and_others_are_not(tmp_path):
    rows = "1;0;2\n" * LONG
    packed = gzip.compress(f"x;z;y\n{rows}Total;12\n\nEnd\n".encode())
    assert len(read(tmp_path, packed)) == LONG
    packed = gzip.compress(f"x;z;y\n{rows}Total;12\n{rows}".encode())
    assert "row 9,001 of t.csv has 2 fields" in refusal(tmp_path, packed)


def test_text_that_is_no_utf8_far_below_is_text_all_the_same(tmp_path):
    content = b"n,x,y\n" + b"a,1,2\n" * LONG + "grün,3,4\n".encode("latin-1")
    assert read(tmp_path, content)[-2:] == XY


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_found_with_and_without_its_mark(tmp_path, encoding):
    assert read(tmp_path, "größe;y\n1;2\n3;4\n".encode(encoding)) == XY
    assert read(tmp_path, "größe;y\n1;2\n3;4\n".encode(encoding), encoding=encoding) == XY


def test_names_that_are_units_are_names_below_a_line_with_a_value(tmp_path):
    assert read(tmp_path, "Date\t2024-03-01\nN\tT\n\n1\t2\n3\t4\n", "T") == XY


def test_a_blank_in_a_date_separates_nothing(tmp_path):
    assert read(tmp_path, "when;note\n31.03.2024 06:00;a\n", None) == [[0]]


def test_skipped_lines_may_be_comments(tmp_path):
    assert read(tmp_path, "# a\njunk\nx,y\n1,2\n3,4\n", skip_lines=2) == XY


def test_missing_words_stand_in_columns_of_dates_and_truth_values_too(tmp_path):
    content = "d,b,y\n2024-03-01,true,1\nn.a.,true,2\n2024-03-03,n.a.,3\n2024-03-04,false,4\n"
    assert read(tmp_path, content, missing_values=("n.a.",)) == [[0, 1, 1], [3, 0, 4]]


@pytest.mark.parametrize(
    "encoding, said",
    [
        ("base64", "--encoding base64 is unknown"),
        ("utf-16", "t.csv is not utf-16 throughout; give its --encoding"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(tmp_path, encoding, said):
    assert said in refusal(tmp_path, "x,y\n1,2\n3,4\n", encoding=encoding)


def test_a_row_whose_thousands_are_commas_is_not_the_only_row(tmp_path):
    """Two rows by blanks: by commas one of them would be a line before the table."""
    path = tmp_path / "t.dat"
    path.write_text(
        ' -918158.21 -0.004 5e-08 "south" "x-1"\n -6,746,794.33 0.007 9e-07 "north" "a"\n'
    )
    table = Table.open(str(path), "column2")
    assert table.names == ("column1", "column3")
    [block] = table.blocks()
    assert block.x[0].tolist() == [-918158.21, -6746794.33]
