"""Data that Python holds: every kind of it gives the same fit, and bad data one line."""

import decimal
import fractions
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch

import polyreg
from polyreg import least_squares
from polyreg.config import FitConfig
from polyreg.tables import Table, in_memory

NAN, INF = float("nan"), float("inf")
DRAWN = np.random.default_rng(0)


def binary(values: np.ndarray) -> np.ndarray:
    """Rounded to numbers that float64 holds as a file writes them."""
    return np.round(values * 2**12) / 2**12


A, B = binary(DRAWN.normal(size=40)), binary(DRAWN.uniform(1, 3, size=40))
Y = binary(1 + A - 2 * A * B + DRAWN.normal(scale=0.1, size=40))
W = binary(DRAWN.uniform(0.5, 2, size=40))
FRAME = pd.DataFrame({"a": A, "b": B, "y": Y, "w": W})
DECIMALS = [decimal.Decimal(repr(v)) for v in A.tolist()]


def same(found: polyreg.Result, expected: polyreg.Result) -> bool:
    """To the last bit, with their errors."""
    pairs = [
        (getattr(found, name), getattr(expected, name)) for name in ("coefficients", "std_errors")
    ]
    return found.nobs == expected.nobs and all(np.array_equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "t.csv"
    FRAME.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def expected(file) -> polyreg.Result:
    """What the command line fits to the file."""
    config = FitConfig(data=str(file), target="y", features=("a", "b"), weights="w", degree=2)
    return least_squares.fit(Table.of(config), config)


AB = np.column_stack([A, B])
ARRAYS = {
    "numpy": AB,
    "list": AB.tolist(),
    "tuple of tuples": tuple(map(tuple, AB.tolist())),
    "Fortran order": np.asfortranarray(AB),
    "negative strides": AB[::-1].copy()[::-1],
    "big-endian": AB.astype(">f8"),
    "long double": AB.astype(np.longdouble),
    "objects": AB.astype(object),
    "decimals": np.column_stack([DECIMALS, B.astype(object)]),
    "masked, nothing hidden": np.ma.array(AB),
    "torch": torch.tensor(AB),
    "torch with gradients": torch.tensor(AB, requires_grad=True),
    "torch parameter": torch.nn.Parameter(torch.tensor(AB)),
    "torch, negated lazily": torch._neg_view(torch.tensor(-AB)),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_every_kind_fit_as_the_file_does(kind, expected):
    found = polyreg.fit(ARRAYS[kind], Y, weights=W, degree=2)
    assert same(found, expected) and found.variables == ("x1", "x2") and found.target == "y"


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


SHUFFLED = FRAME[["w", "y", "a", "b"]]
FRAMES = {
    "pandas": FRAME,
    "dates as index": FRAME.set_index(pd.date_range("2020", periods=40)),
    "nullable": FRAME.convert_dtypes(),
    "pandas on Arrow": FRAME.convert_dtypes(dtype_backend="pyarrow"),
    "objects": FRAME.astype(object),
    "sparse": FRAME.assign(a=pd.arrays.SparseArray(A)),
    "big-endian": FRAME.astype(">f8"),
    "decimals": FRAME.assign(a=DECIMALS),
    "fractions": FRAME.assign(a=[fractions.Fraction(v) for v in A.tolist()]),
    "with what is no number": FRAME.assign(
        t=pd.date_range("2020", periods=40), s="s", c=pd.Categorical([1, 2] * 20), o=[{}] * 40
    ),
    "other order": SHUFFLED,
    "polars": pl.DataFrame(FRAME),
    "pyarrow": pa.Table.from_pandas(FRAME),
    "pyarrow in chunks": pa.concat_tables(map(pa.Table.from_pandas, (FRAME[:9], FRAME[9:]))),
    "record batch": pa.RecordBatch.from_pandas(FRAME),
    "dictionary": {"a": A, "b": B, "y": Y, "w": W},
    "dictionary of all sorts": {
        "a": torch.tensor(A, requires_grad=True),
        "b": pl.Series(B),
        "y": Y.tolist(),
        "w": W[:, None],
    },
    "array with fields": FRAME.to_records(),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_every_kind_fit_as_the_file_does(kind, expected):
    frame = FRAMES[kind]
    found = polyreg.fit(frame, target="y", features=["a", "b"], weights="w", degree=2)
    assert same(found, expected) and found.variables == ("a", "b") and found.target == "y"
    x = {"a": A[:3], "b": B[:3]}
    for rows in (frame, x, pl.DataFrame(x), torch.tensor(AB[:3], requires_grad=True)):
        assert np.array_equal(found.predict(rows)[:3], expected.predict(AB[:3]))


LARGE = [2**53 + 1, 2**60 + 3, -(2**62) - 1, 2**63 - 1, 5]
PRICES = [decimal.Decimal(t) for t in ("0.1", "0.25", "1e-3", "12345678901234567890.123", "-7.7")]
WRITTEN = {
    "list of integers": (LARGE, LARGE),
    "longer integers": ([2**70 + 1, 5, 2**64 - 1, 2, 3], [2**70 + 1, 5, 2**64 - 1, 2, 3]),
    "int64": (np.array(LARGE), LARGE),
    "torch": (torch.tensor(LARGE), LARGE),
    "series of int64": (pd.Series(LARGE), LARGE),
    "polars int64": (pl.Series(LARGE), LARGE),
    "arrow int64": (pa.chunked_array([LARGE[:2], LARGE[2:]]), LARGE),
    "decimals": (PRICES, PRICES),
    "series of decimals": (pd.Series(PRICES), PRICES),
    "polars decimals": (pl.Series(PRICES), PRICES),
    "arrow decimals": (pa.array(PRICES), PRICES),
    "fractions": ([fractions.Fraction(1, k) for k in (3, 2, 7, 9, 11)],) * 2,
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_an_exact_pass_reads_what_float64_leaves_of_the_numbers_as_they_are_given(kind):
    given, numbers = WRITTEN[kind]
    truth = [fractions.Fraction(v) for v in numbers]
    rest = [float(v - fractions.Fraction(float(v))) for v in truth]
    y = np.arange(5.0)
    tables = [in_memory(given, y), in_memory(y, given)]
    for frame in (pd.DataFrame, dict):
        tables.append(in_memory(frame({"a": given, "b": y}), target="b"))
    for place, table in zip((0, 1, 0, 0), tables, strict=False):
        [block], [rounded] = table.blocks(exact=True), table.blocks()
        assert block.low[place].tolist() == rest and rounded.low is None
        assert [*block.x, block.y][place].tolist() == [float(v) for v in truth]
    [block] = in_memory(y, y, weights=pd.DataFrame({"w": [1, 2, 3, 4, 2**53 + 1]})).blocks(True)
    assert block.low[2].tolist() == [0, 0, 0, 0, 1] and block.low[:2] == (None, None)


def test_numbers_that_float64_holds_leave_nothing_and_have_the_hash_of_float64():
    for given in (A, A.tolist(), A.astype(object), pd.Series(A), np.arange(40), range(40)):
        table = in_memory(given, Y)
        assert [block.low for block in table.blocks(exact=True)] == [None]
        plain = in_memory(np.array(given, dtype=float), Y)
        assert table.sha256() == plain.sha256()
    assert in_memory([0.1], [1]).sha256() != in_memory(PRICES[:1], [1]).sha256()


def test_a_path_of_either_kind_fits_as_the_command_line_does(file, expected):
    for path in (file, str(file)):
        options = {"features": ("a", "b"), "weights": "w", "degree": 2}
        assert same(polyreg.fit(path, target="y", **options), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int64, bool])
def test_narrow_numbers_are_fitted_as_the_float64_that_they_are(dtype):
    x = (10 * B).astype(dtype) if dtype is not bool else B > 2
    wanted = polyreg.fit(x.astype(float), Y, degree=1)
    tensor = torch.tensor(x)
    for given in (
        x,
        tensor,
        pd.Series(x),
        pl.Series(x.astype(np.float32)),
        pa.array(x),
        x.tolist(),
    ):
        assert same(polyreg.fit(given, Y, degree=1), wanted)
    if dtype == np.float32:
        half = tensor.bfloat16()
        assert same(polyreg.fit(half, Y), polyreg.fit(half.double().numpy(), Y))


@pytest.mark.parametrize("given", [read_only(A), A[::-1][::-1], range(40), pd.Index(A)])
def test_one_variable_may_be_flat(given):
    wanted = polyreg.fit(np.array(given, dtype=float)[:, None], Y)
    assert same(polyreg.fit(given, Y), wanted) and wanted.variables == ("x",)


def test_a_memory_map_is_read(tmp_path):
    mapped = np.memmap(tmp_path / "m", dtype=float, mode="w+", shape=40)
    mapped[:] = A
    assert same(polyreg.fit(mapped, Y), polyreg.fit(A, Y))


@pytest.mark.parametrize("wrap", [pd.Series, pl.Series, np.array, list, torch.tensor, pa.array])
def test_weights_are_an_array_of_any_kind_or_a_column(wrap):
    unweighed, weighed = polyreg.fit(AB, Y), polyreg.fit(AB, Y, weights=W)
    assert not np.array_equal(unweighed.coefficients, weighed.coefficients)
    assert same(polyreg.fit(AB, wrap(Y), weights=wrap(W)), weighed)
    frame = FRAME[["a", "b", "w"]]
    assert same(polyreg.fit(frame, wrap(Y), weights="w"), weighed)
    assert same(polyreg.fit(frame[["a", "b"]], wrap(Y), weights=wrap(W)), weighed)


def test_weights_act_as_statsmodels_have_them():
    import statsmodels.api as sm

    found = polyreg.fit(A, Y, weights=W, degree=1)
    theirs = sm.WLS(Y, sm.add_constant(A), weights=W).fit()
    np.testing.assert_allclose(found.coefficients, theirs.params, rtol=1e-12)
    np.testing.assert_allclose(found.std_errors, theirs.bse, rtol=1e-12)


def test_variables_come_in_the_order_of_features_or_of_the_columns():
    assert polyreg.fit(SHUFFLED, target="y").variables == ("w", "a", "b")
    for features in (
        ["b", "a"],
        ("b", "a"),
        np.array(["b", "a"]),
        pd.Index(["b", "a"]),
        iter("ba"),
    ):
        found = polyreg.fit(FRAME, target="y", features=features, degree=1)
        assert found.variables == ("b", "a") and found.terms == ["1", "b", "a"]
    ab, ba = (polyreg.fit(FRAME, target="y", features=[*f], degree=1) for f in ("ab", "ba"))
    np.testing.assert_allclose(ab.coefficients, ba.coefficients[[0, 2, 1]], rtol=1e-14)
    assert polyreg.fit(FRAME, target="y", features="b").variables == ("b",)
    assert polyreg.fit(AB, Y, features=["p", "q"]).variables == ("p", "q")


def test_series_bring_their_names_and_a_target_of_a_features_name_has_another():
    price = pd.Series(Y, name="price")
    assert polyreg.fit(pd.Series(A, name="a"), price).equation().startswith("price = ")
    lagged = polyreg.fit(price[:-1].to_numpy(), price[1:], degree=1)
    assert (lagged.variables, lagged.target) == (("x",), "price")
    lagged = polyreg.fit(price[:-1].reset_index(drop=True), price[1:].reset_index(drop=True))
    assert (lagged.variables, lagged.target) == (("price",), "y")
    assert polyreg.fit(FRAME[["y"]], FRAME.a.to_numpy()).target == "y1"
    assert polyreg.fit(FRAME[["a"]], FRAME[["y"]]).target == "y"
    assert polyreg.fit(A, Y, target="cost").target == "cost"


def test_labels_that_are_no_text_are_taken_by_their_text():
    numbered = pd.DataFrame(np.column_stack([A, Y]))
    found = polyreg.fit(numbered, target=1, features=[0])
    assert (found.variables, found.target) == (("0",), "1")
    assert same(found, polyreg.fit(A, Y)) and same(polyreg.fit(numbered, target="1"), found)
    assert np.array_equal(found.predict(numbered), found.predict(A))
    levels = pd.DataFrame({("in", "a"): A, ("out", "y"): Y})
    assert same(polyreg.fit(levels, target=("out", "y"), features=[("in", "a")]), found)


MISSING = {
    "nan": np.where(np.arange(40) == 3, NAN, A),
    "inf": np.where(np.arange(40) == 3, INF, A),
    "None": [None if k == 3 else v for k, v in enumerate(A.tolist())],
    "masked": np.ma.array(A, mask=np.arange(40) == 3),
    "pandas nullable": pd.Series(A).convert_dtypes().mask(np.arange(40) == 3),
    "polars": pl.Series([None if k == 3 else v for k, v in enumerate(A.tolist())]),
    "pyarrow": pa.array([None if k == 3 else v for k, v in enumerate(A.tolist())]),
    "torch": torch.tensor(np.where(np.arange(40) == 3, NAN, A)),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("place", ["x", "y", "weights", "column"])
def test_a_missing_value_is_refused_or_its_row_dropped(kind, place):
    kept = np.arange(40) != 3
    x, y, w = B, Y, None
    if place == "x" or place == "column":
        x = MISSING[kind]
        wanted = polyreg.fit(A[kept], Y[kept], degree=1)
    elif place == "y":
        y, wanted = MISSING[kind], polyreg.fit(B[kept], A[kept], degree=1)
    else:  # weights are positive
        w = MISSING[kind]
        if kind == "torch":
            w = w.abs()
        elif isinstance(w, list):
            w = [v and abs(v) for v in w]
        elif kind == "pyarrow":
            w = pa.compute.abs(w)
        else:
            w = w.abs() if hasattr(w, "abs") else abs(w)
        wanted = polyreg.fit(B[kept], Y[kept], weights=abs(A[kept]), degree=1)
    given = ({"x": x, "y": y}, None) if place == "column" else (x, y)
    options = {"target": "y"} if place == "column" else {"weights": w}
    assert same(polyreg.fit(*given, degree=1, missing="drop", **options), wanted)
    with pytest.raises(polyreg.PolyregError) as caught:
        polyreg.fit(*given, degree=1, **options)
    name = "x" if place == "column" else place
    assert str(caught.value) == (
        "1 of 40 rows of the data has a missing or infinite value, the first in row 4 of the data "
        f"(column {name}); use missing='drop' to leave them out"
    )


def test_a_list_of_masked_rows_keeps_its_masks():
    hidden = np.ma.array([NAN, 5.0], mask=[True, False])
    rows = [np.ma.array([float(a), float(b)], mask=[False, False]) for a, b in AB] + [hidden]
    found = polyreg.fit(rows, [*Y, 0.0], degree=1, missing="drop")
    assert same(found, polyreg.fit(AB, Y, degree=1))
    assert np.isnan(found.predict(np.ma.array([[1.0, 2.0]], mask=[[True, False]]))).all()


LAZY = pl.LazyFrame({"a": A, "y": Y})
TEXT = [str(v) for v in A]
REFUSED = {
    # shapes and lengths
    "x of three dimensions": (
        (np.zeros((4, 4, 4)), Y),
        "x must have the shape (N,) or (N, D); got (4, 4, 4)",
    ),
    "a number": ((3.0, 1.0), "x must have the shape (N,) or (N, D); got ()"),
    "no x": ((None, Y), "x is a NoneType; give an array or a list"),
    "a generator": (((v for v in A), Y), "x is a generator; give an array or a list"),
    "y of two columns": ((A, AB), "y must have the shape (N,); got (40, 2)"),
    "y as a frame of two": ((A, FRAME[["a", "y"]]), "y must be one column; it has 2: 'a', 'y'"),
    "y as an empty frame": ((A, FRAME[[]]), "y must be one column; it has 0: "),
    "ragged": (([[1], [1, 2]], [1, 2]), "x is no array: its rows have different lengths"),
    "y is short": ((A, Y[:3]), "x has 40 rows and y has 3; give one for each row"),
    "columns differ": (({"a": A, "y": Y[:3]},), dict(target="y"), "x has 40 rows and y has 3"),
    "weights are short": ((A, Y), dict(weights=W[:3]), "x has 40 rows and weights has 3"),
    "one weight": ((A, Y), dict(weights=2.0), "weights must have the shape (N,); got ()"),
    "no rows": (([], []), "the data has no rows; a fit needs some"),
    "no rows in a frame": (
        (FRAME[:0],),
        dict(target="y"),
        "the data has no rows; a fit needs some",
    ),
    "no columns": ((np.empty((40, 0)), Y), "x has no columns; a fit needs one at least"),
    "no y": ((A,), "y is missing: give an array y, or a frame x and target, a column of it"),
    "no target": ((FRAME,), "target must name the column to predict, one of 'a', 'b', 'y', 'w'"),
    "an empty target": ((FRAME,), dict(target=""), "target must name a column; got ''"),
    # numbers that are none
    "infinite weight": (
        (A, Y),
        dict(weights=[INF, *W[1:]]),
        "the first in row 1 of the data (column weights); use missing='drop'",
    ),
    "negative weight": (
        (A, Y),
        dict(weights=[-1, *W[1:]]),
        "the weight in row 1 of the data (column weights) is -1 and must be positive",
    ),
    "weight 0": (
        (A, Y),
        dict(weights=[*W[1:], 0]),
        "the weight in row 40 of the data (column weights) is 0",
    ),
    "text": ((TEXT, Y), "x is not a number: its dtype is <U"),
    "text as objects": (
        (np.array(TEXT, dtype=object), Y),
        f"x is not a number everywhere (it has '{A[0]}'); convert it",
    ),
    "text of Arrow": ((pa.array(TEXT), Y), "x is not a number everywhere"),
    "text of polars": ((pl.Series(TEXT), Y), "x is not a number"),
    "text as a column": (
        (FRAME.assign(a=TEXT),),
        dict(target="y", features="a"),
        "column a is not a number: in the data it is large_string",
    ),
    "text as y": ((A, FRAME.assign(y=TEXT)[["y"]]), "column y is not a number"),
    "bytes": ((b"1,2", Y), "x is not a number: its dtype is |S3"),
    "complex": ((A.astype(complex), Y), "x is not a number: its dtype is complex128; convert it"),
    "complex torch": (
        (torch.tensor(A).to(torch.complex64), Y),
        "x is a tensor that is no array of numbers: it is complex",
    ),
    "complex column": (
        ({"a": A * 1j, "y": Y},),
        dict(target="y", features="a"),
        "column a is not a number",
    ),
    "dates": ((pd.date_range("2020", periods=40), Y), "x is not a number: its dtype is datetime64"),
    "categories": (
        (FRAME.assign(a=pd.Categorical(TEXT)),),
        dict(target="y", features="a"),
        "no feature is a number, and a polynomial needs one; name one beside a",
    ),
    "sparse": ((scipy.sparse.csr_array(AB), Y), "x is sparse; give x.toarray()"),
    "sparse torch": (
        (torch.tensor(AB).to_sparse(), Y),
        "x is a tensor that is no array of numbers",
    ),
    "torch without data": (
        (torch.empty(40, device="meta"), Y),
        "x is a tensor that is no array of numbers",
    ),
    "tensors with gradients in a list": (
        ([torch.ones((), requires_grad=True)] * 40, Y),
        "x is no array: ",
    ),
    "integers beyond float64": (([10**400] * 40, Y), "x is not a number everywhere (int too large"),
    "column of numbers alone": (
        ({"a": 1, "y": 2},),
        dict(target="y"),
        "column a must have the shape (N,); got ()",
    ),
    "column of two dimensions": (
        ({"a": AB, "y": Y},),
        dict(target="y"),
        "column a must have the shape (N,); got (40, 2)",
    ),
    "a lazy frame": (
        (LAZY,),
        dict(target="y"),
        "a LazyFrame has no rows in memory; give a DataFrame, such as x.collect()",
    ),
    # columns
    "unknown target": (
        (FRAME,),
        dict(target="yy"),
        "no column 'yy' in the data, did you mean 'y'? it has 'a', 'b', 'y', 'w'",
    ),
    "unknown feature": ((FRAME,), dict(target="y", features=["c"]), "no column 'c' in the data"),
    "unknown weights": ((FRAME,), dict(target="y", weights="v"), "no column 'v' in the data"),
    "a column as target": (
        (FRAME,),
        dict(target=FRAME.y),
        "a Series is no name of a column; give its name",
    ),
    "y as a name": ((FRAME, "y"), "y='y' is a name; a column of x is named by target='y'"),
    "weights named, no frame": (
        (A, Y),
        dict(weights="w"),
        "weights='w' names a column, and x is no frame; give an array",
    ),
    "features of a number": (
        (FRAME,),
        dict(target="y", features=3),
        "features must be a list of names; got 3",
    ),
    "too many names": ((AB, Y), dict(features=["a"]), "x has 2 columns, and features 1 names"),
    "a feature twice": (
        (FRAME,),
        dict(target="y", features=["a", "a"]),
        "column 'a' is chosen twice",
    ),
    "a name twice": ((AB, Y), dict(features=["a", "a"]), "column 'a' is chosen twice"),
    "the target among the features": (
        (FRAME,),
        dict(target="y", features=["a", "y"]),
        "column 'y' is chosen twice",
    ),
    "the target as a name": ((A, Y), dict(target="x"), "column 'x' is chosen twice"),
    "two columns of one name": (
        (pd.concat([FRAME, FRAME], axis=1),),
        dict(target="y"),
        "the data has two columns 'a'; rename one of them",
    ),
    "two columns of one text": (
        ({0: A, "0": B, "y": Y},),
        dict(target="y"),
        "the data has two columns '0'; rename one of them",
    ),
    "no numeric column": (
        ({"s": TEXT, "y": Y},),
        dict(target="y"),
        "column s of the data holds numbers as text",
    ),
    "another index": (
        (FRAME[["a"]][::-1], FRAME.y),
        "x and y differ in their pandas index, and rows are taken in their order; "
        "sort y as x is, by y.loc[x.index], or give y.to_numpy()",
    ),
    "weights of another index": (
        (FRAME[["a"]], Y),
        dict(weights=FRAME.w[::-1]),
        "x and weights differ in their pandas index",
    ),
    # files
    "no file": (("nope.csv",), dict(target="y"), "no table at "),
    "a file and y": (
        ("t.csv", Y),
        dict(target="y"),
        "of the table t.csv, y and weights are columns: name them, target='...'",
    ),
    "a file and weights": (
        ("t.csv",),
        dict(target="y", weights=W),
        "of the table t.csv, y and weights are columns",
    ),
    "a file and no target": (("t.csv",), "target must name a column; got ''"),
    # the fit
    "a constant": (
        (np.ones(40), Y),
        "feature x is constant (1 on every row), as the constant term already is; "
        "leave it out of features",
    ),
    "one row": (([1.0], [2.0]), "feature x is constant"),
    "too few rows": ((A[:3], Y[:3]), "4 terms need at least as many rows, got 3; lower degree"),
    "too few rows to choose": (
        (A[:9], Y[:9]),
        dict(degree="auto"),
        "choosing the degree in 10 folds needs at least 12 rows, got 9; give degree",
    ),
    "huge x": (
        (A * 1e200, Y),
        "whose powers up to 3 leave float64; rescale it, or lower the degree",
    ),
    "huge y": ((A, Y * 1e200), "squares leave float64; rescale it"),
    "weights of all sizes": (
        (A, Y),
        dict(weights=np.geomspace(1e-9, 1e9, 40)),
        "rows of less than 1/1e+16 of the largest leave no trace; drop them",
    ),
    "too many terms": (
        (np.zeros((40, 60)) + AB[:, :1] * np.arange(60), Y),
        dict(degree=4),
        "make 635,376 terms, more than 5,000; lower degree, name fewer features, or, of a fit, set "
        "interaction_degree",
    ),
    "ray on arrays": (
        (A, Y),
        dict(engine="ray"),
        'engine="ray" reads files; give the path or address of a table as x',
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_data_are_refused_in_one_line_that_names_the_argument(case):
    given, *options, said = REFUSED[case]
    with pytest.raises(polyreg.PolyregError) as caught:
        polyreg.fit(*given, **(options[0] if options else {}))
    message = str(caught.value)
    assert isinstance(caught.value, ValueError) and said in message
    assert "\n" not in message and not re.search(r"(?<!\w)--\w", message)
    assert caught.value.__cause__ is None or said not in str(caught.value.__cause__)


def test_predict_names_the_column_that_is_missing_or_no_number():
    found = polyreg.fit(FRAME, target="y", features=["a", "b"])
    for rows, said in (
        (FRAME[["a"]], "no column 'b'; the variables are a, b"),
        ({"a": A}, "no column 'b'; the variables are a, b"),
        (FRAME.assign(b="text"), "column 'b', row 1: 'text' is no finite number"),
        (pl.DataFrame({"a": TEXT, "b": B}), "column a is not a number"),
        (AB[:, :1], "x must be (N, 2): a, b"),
        (TEXT, "x is not a number"),
        (LAZY, "a LazyFrame has no rows in memory"),
    ):
        with pytest.raises(polyreg.PolyregError, match=re.escape(said)):
            found.predict(rows)


def test_the_origin_lists_all_columns_of_a_frame_and_which_were_not_used():
    found = polyreg.fit(FRAME.assign(site="north"), target="y", features=["b"])
    kinds = dict(found.origin.schema)
    assert [*kinds] == ["a", "b", "y", "w", "site"] and kinds["a"] == "double"
    assert found.origin.unused == ["a", "w", "site"]
    weighed = polyreg.fit(FRAME[["a"]], Y, weights=W).origin
    assert weighed.schema == [("a", "double"), ("y", "double"), ("weights", "double")]
    assert weighed.unused == []
