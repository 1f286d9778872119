"""Features and targets written as functions of columns: how they are read, and what is refused."""

import re
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import polyreg
from polyreg.config import FitConfig
from polyreg.errors import BadTable, PolyregError
from polyreg.polynomials.terms import quoted
from polyreg.polynomials.variables import Variable
from polyreg.tables.table import Table
from polyreg.tables.variables.written import parsed

RANDOM = np.random.default_rng(0)
X = RANDOM.uniform(1, 9, 40)
ROWS = pd.DataFrame({"x": X, "y": np.exp(0.2 + 0.5 * np.log(X) + RANDOM.normal(0, 0.1, 40))})


@pytest.mark.parametrize(
    "text, name, kind, shift",
    [
        ("x", "x", "identity", 0.0),
        ("log(x)", "log(x)", "log", 0.0),
        (" log10( x ) ", "log10(x)", "log10", 0.0),
        ("exp(x - 1)", "exp(x-1)", "exp", -1.0),
        ("sqrt(x+.5)", "sqrt(x+.5)", "sqrt", 0.5),
        ("square(x-1e-3)", "square(x-1e-3)", "square", -1e-3),
        ("1/x", "(1/x)", "reciprocal", 0.0),
        ("1 / ( x + 273.15 )", "(1/(x+273.15))", "reciprocal", 273.15),
        ("x-273.15", "(x-273.15)", "identity", -273.15),
        ("x+273.15", "(x+273.15)", "identity", 273.15),
    ],
)
def test_a_function_is_read_as_it_is_written(text, name, kind, shift):
    found = parsed(text, ["x", "y"], "t.csv")
    assert found == Variable(name, "x", kind, shift)
    assert quoted(name) == name  # as terms have it


@pytest.mark.parametrize("column", ["log(x)", "1/x", "x-1", "x+1", "exp(x"])
def test_a_column_of_that_very_name_comes_first(column):
    assert parsed(column, ["x", column], "t.csv") == Variable(column, column)
    frame = ROWS.rename(columns={"x": column}).assign(x=-1.0)
    found = polyreg.fit(frame, target="y", features=[column], degree=1)
    assert found.variables == (column,) and not found.is_transformed
    same = polyreg.fit(ROWS, target="y", features=["x"], degree=1)
    np.testing.assert_array_equal(found.coefficients, same.coefficients)


def test_a_shift_is_taken_from_the_longest_name_that_is_a_column():
    assert parsed("log(a-1)", ["a", "a-1"], "t") == Variable("log(a-1)", "a-1", "log")
    assert parsed("log(a-1-2)", ["a-1"], "t") == Variable("log(a-1-2)", "a-1", "log", -2.0)


@pytest.mark.parametrize(
    "text", ["sin(x)", "2*x", "x^2", "x**2", "x/y", "log(x)*2", "-x", "log(log(x))", "log(x)+1",
             "x+y", "__import__('os')+x", "1/x^2", "ln(x)"]
)  # fmt: skip
def test_another_expression_is_refused_with_the_forms_there_are(text):
    with pytest.raises(BadTable) as told:
        polyreg.fit(ROWS, target="y", features=[text], degree=1)
    said = str(told.value)
    assert "\n" not in said and "'x', 'y'" in said
    assert "a function is log, log10, exp, sqrt or square" in said or "no column" in said


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(BadTable, match=r"no column 'frq' in the data, did you mean 'freq'\?"):
        polyreg.fit({"freq": X, "y": X}, target="y", features=["log(frq)"], degree=1)
    with pytest.raises(BadTable, match="chosen twice"):
        polyreg.fit(ROWS, target="y", features=["log(y)"], degree=1)
    with pytest.raises(BadTable, match=r"feature log\(x\) is chosen twice; leave out one"):
        polyreg.fit(ROWS, target="y", features=["log(x)", "log( x )"], degree=1)


def test_dates_have_no_logarithm(tmp_path):
    frame = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=5), "y": np.arange(5.0)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    for data in (frame, str(tmp_path / "t.csv")):
        with pytest.raises(BadTable, match=r"log\(when\) is a function of a number, and column"):
            polyreg.fit(data, target="y", features=["log(when)"], degree=1)


@pytest.fixture(params=["frame", "csv", "parquet", "folder"])
def holder(request, tmp_path):
    """What makes data of a frame: itself, a file, or a folder of two."""

    def held(frame: pd.DataFrame):
        if request.param == "frame":
            return frame
        if request.param == "csv":
            frame.to_csv(tmp_path / "t.csv", index=False)
            return str(tmp_path / "t.csv")
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if request.param == "parquet":
            pq.write_table(table, tmp_path / "t.parquet", row_group_size=7)
            return str(tmp_path / "t.parquet")
        (tmp_path / "parts").mkdir()
        pq.write_table(table[:20], tmp_path / "parts" / "a.parquet")
        pq.write_table(table[20:], tmp_path / "parts" / "b.parquet")
        return str(tmp_path / "parts")

    return held


@pytest.mark.parametrize("precision", ["fast", "certified"])
def test_whatever_holds_the_rows_the_functions_are_the_same(holder, precision):
    asked = {"target": "log(y)", "features": ["1/x"], "degree": 2, "precision": precision}
    found = polyreg.fit(holder(ROWS), **asked)
    own = {"z": 1 / X, "v": np.log(ROWS.y)}
    expected = polyreg.fit(own, target="v", features=["z"], degree=2, precision=precision)
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-15)
    np.testing.assert_allclose(found.std_errors, expected.std_errors, rtol=1e-13)
    assert found.terms == ["1", "(1/x)", "(1/x)^2"] and found.target == "log(y)"
    assert found.ranges == {"x": (X.min(), X.max())}
    np.testing.assert_allclose(found.low, 1 / X.max())


def test_what_a_function_does_not_take_is_one_line_with_its_place(holder):
    frame = pd.concat([ROWS, pd.DataFrame({"x": [-2.0, 0.0], "y": [1.0, 1.0]})], ignore_index=True)
    data, place = holder(frame), r"in row \d+ of (the data|t\.csv|t\.parquet|[ab]\.parquet)"
    way_out = "correct it, leave such rows out by missing='drop', or choose another function"
    for text, why in (
        ("log(x)", "log(x) needs x above 0, and x is -2"),
        ("log10(x+1)", "log10(x+1) needs x+1 above 0, and x is -2"),
        ("sqrt(x)", "sqrt(x) needs x of 0 or more, and x is -2"),
        ("1/x", "1/x needs x other than 0, and x is 0"),
        ("1/(x+2)", "1/(x+2) needs x+2 other than 0, and x is -2"),
        ("exp(x+800)", "exp(x+800) leaves float64 where x is"),
    ):
        with pytest.raises(BadTable) as told:
            polyreg.fit(data, target="y", features=[text], degree=1)
        assert str(told.value).startswith(why) and str(told.value).endswith(way_out)
        assert re.search(place, str(told.value))
    found = polyreg.fit(data, target="y", features=["log(x)"], degree=1, missing="drop")
    assert any("dropped for lack of a finite value: " in note for note in found.notes)
    assert found.nobs == 40
    assert found.origin.missing_rows == 2 and found.origin.missing_by == {"log(x)": 2}
    same = polyreg.fit(ROWS, target="y", features=["log(x)"], degree=1)
    np.testing.assert_array_equal(found.coefficients, same.coefficients)


def test_missing_values_and_codes_are_those_of_the_columns(holder):
    frame = pd.concat([ROWS, pd.DataFrame({"x": [np.nan, -999], "y": [1.0, 1.0]})])
    data = holder(frame)
    asked = {"target": "y", "features": ["log(x)", "x"], "degree": 1}
    with pytest.raises(BadTable, match=r"log\(x\) needs x above 0, and x is -999"):
        polyreg.fit(data, **asked)
    with pytest.raises(BadTable, match=r"2 of 42 rows of .* value.*\(column x\)"):
        polyreg.fit(data, **asked, missing_values=[-999])
    found = polyreg.fit(data, **asked, missing_values=[-999], missing="drop")
    assert found.nobs == 40 and found.origin.missing_by == {"x": 2}


def test_a_code_that_a_function_takes_is_noted():
    frame = pd.concat([ROWS, pd.DataFrame({"x": [9999.0] * 3, "y": [1.0] * 3})])
    found = polyreg.fit(frame, target="y", features=["log(x)"], degree=1)
    assert any(note.startswith("x holds 9999 far outside its other values") for note in found.notes)


def test_plain_columns_beside_functions_are_still_exact(tmp_path):
    written = ["0.1", "0.2", "0.3", "0.4", "0.7"]
    rows = [f"{k + 1},{v},{k * k}.1,{v}" for k, v in enumerate(written)]
    (tmp_path / "t.csv").write_text("\n".join(["x,b,y,u", *rows]))
    asked = {"data": str(tmp_path / "t.csv"), "target": "y", "sigma": "u"}
    [block] = Table.of(FitConfig(**asked, features=("log(x)", "b"))).blocks(exact=True)
    [plain] = Table.of(FitConfig(**asked, features=("x", "b"))).blocks(exact=True)
    assert block.low[0] is None  # log(x): the float64 number is the datum
    exact = [float(Fraction(v) - Fraction(float(v))) for v in written]
    np.testing.assert_allclose(block.low[1], exact, rtol=1e-12)
    for ours, theirs in zip(block.low[1:], plain.low[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(block.weights, plain.weights)


def test_parts_of_a_table_see_the_same_functions(tmp_path):
    table = pa.Table.from_pandas(ROWS, preserve_index=False)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=5)
    rows = Table.of(FitConfig(data=str(tmp_path / "t.parquet"), target="log(y)",
                              features=("sqrt(x)", "x")))  # fmt: skip
    whole = rows.survey()
    profile = sum_of([part.profile(0) for part in rows.parts()])
    again = rows.surveyed(profile)
    np.testing.assert_array_equal(again.low, whole.low)
    np.testing.assert_array_equal(again.ranges, [[X.min(), X.max()]])
    np.testing.assert_array_equal(again.given.x[0], X)
    np.testing.assert_array_equal(again.given.y, ROWS.y)
    np.testing.assert_allclose(np.column_stack(again.sample.x), np.column_stack([X**0.5, X]))


def sum_of(profiles):
    found = profiles[0]
    for profile in profiles[1:]:
        found = found + profile
    return found


def test_a_targets_square_leaves_no_sign_open():
    frame = ROWS.assign(y=-ROWS.y)
    with pytest.raises(BadTable, match=r"square\(y\) leaves the target's sign open where y is -"):
        polyreg.fit(frame, target="square(y)", features=["x"], degree=1)


def test_where_a_slope_is_infinite_so_is_the_uncertainty():
    frame = ROWS.assign(s=0.1, u=0.1)
    frame.loc[3, ["x", "y"]] = 0.0
    for text, options in (("y", {"target": "sqrt(y)"}), ("x", {"features": ["sqrt(x)"]})):
        asked = {"target": "y", "features": ["x"], "degree": 1, "sigma": "s", "sigma_x": "u"}
        why = rf"sqrt\({text}\) has no uncertainty where {text} is 0 in row 4 of the data"
        with pytest.raises(BadTable, match=why):
            polyreg.fit(frame, **asked | options)
        assert polyreg.fit(frame, **asked | options, missing="drop").nobs == 39
    assert polyreg.fit(frame, target="sqrt(y)", features=["sqrt(x)"], degree=1).nobs == 40


def test_names_of_arrays_are_names_and_are_told_so():
    found = polyreg.fit(X, ROWS.y.to_numpy(), features=["log(x)"], target="1/T", degree=1)
    assert not found.is_transformed and found.variables == ("log(x)",)
    told = [note for note in found.notes if "is the name of an array" in note]
    assert [note.partition(" is")[0] for note in told] == ["log(x)", "1/T"]
    held = polyreg.fit({"x": X, "y": ROWS.y}, target="y", features=["log(x)"], degree=1)
    assert held.is_transformed and not held.notes


@pytest.mark.parametrize(
    "options, why",
    [
        ({"by": "k"}, "by fits columns as they are, and log(x) is a function of one"),
        ({"weights": "1/x"}, "weights 1/x is of columns as they are, and log(x)"),
        ({"weights": "1/y^2"}, "weights 1/y^2 is of columns as they are, and log(y)"),
        ({"sigma": "s", "sigma_x": "u", "swap": True}, "swap fits columns as they are"),
    ],
)
def test_options_of_columns_as_they_are_are_refused(options, why):
    frame = ROWS.assign(k=1, s=0.1, u=0.1)
    with pytest.raises(PolyregError) as told:
        polyreg.fit(frame, target="log(y)", features=["log(x)"], degree=1, **options)
    assert str(told.value).startswith(why)


def test_a_training_takes_columns_as_they_are():
    with pytest.raises(PolyregError, match=r"a training learns columns as they are, and log\(y\)"):
        polyreg.train(data=ROWS, target="log(y)", features=("x",))
