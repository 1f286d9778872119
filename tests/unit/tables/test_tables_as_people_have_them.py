"""25 files as instruments, spreadsheets and databases write them, of one polynomial or two."""

import json

import pytest

import polyreg
from tests.conftest import ROOT

TABLES = ROOT / "tests" / "data" / "tables"
EXPECTED = json.loads((TABLES / "expected.json").read_text())
OPTIONS = {"codes.csv": {"missing_values": ("-999", "n.a."), "missing": "drop"}}
UNITS = {
    "units_row.csv": {"x": "mV", "y": "°C"},
    "dates.csv": {"when": "days since 2024-03-01"},
    "german_dates.csv": {"Datum": "days since 2024-03-01 06:00:00"},
}
NOTES = {
    "headerless.dat": "no header: columns are column1, column2",
    "index.csv": "no features: '' (an index)",
    "european.csv": "separated by ';', decimal comma",
    "preamble.txt": "3 lines before the header",
    "utf16.txt": "UTF-16",
    "latin1.csv": "Windows-1252",
}
REFUSED = {
    "bad_cell.csv": "the first in row 3 of bad_cell.csv (column a), which holds '-'; use missing=",
    "percent.csv": "column x is not a number: row 1 of percent.csv holds '50%'; write the number "
    "alone and its unit in the column's name, or leave the column out by exclude",
}


def fitted(name: str) -> polyreg.Result:
    expected = EXPECTED[name]
    features = {"features": expected["features"]} if "features" in expected else {}
    return polyreg.fit(
        TABLES / name,
        target=expected.get("target", "y"),
        degree=len(expected["coefficients"] or [1, 2]) - 1,
        **features,
        **OPTIONS.get(name, {}),
    )


def test_there_are_25_of_them():
    there = {path.name for path in TABLES.iterdir()} - {"expected.json"}
    assert there == {*EXPECTED} and len(there) == 25


@pytest.mark.parametrize("name", [name for name in EXPECTED if name not in REFUSED])
def test_the_polynomial_is_found_to_all_digits(name):
    found = fitted(name)
    assert found.coefficients.tolist() == (EXPECTED[name]["coefficients"] or [1, 2])
    assert found.units == UNITS.get(name, {})
    assert NOTES.get(name, "") in " ".join(found.notes)


@pytest.mark.parametrize("name, words", REFUSED.items())
def test_a_cell_that_is_no_number_is_named_with_the_way_out(name, words):
    with pytest.raises(polyreg.PolyregError) as caught:
        fitted(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_pandas_own_name_of_an_index_is_one_too(tmp_path):
    text = (TABLES / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(f"Unnamed: 0{text}")
    found = polyreg.fit(tmp_path / "index.csv", target="y", degree=2)
    assert found.coefficients.tolist() == [1, 2, 0.5] and found.variables == ("x",)
    assert "no features: Unnamed: 0 (an index)" in found.notes
