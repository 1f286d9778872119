"""Whatever the rows: each group has what a fit of its rows alone has, or the reason why not.

POLYREG_FUZZ=<n> takes n times as many examples, and others each time.
"""

import math
import re

import numpy as np
import pandas as pd
from hypothesis import Phase, event, given
from hypothesis import strategies as st

import polyreg
from polyreg.errors import PolyregError
from polyreg.groups.summary import report
from tests.support.hunting import asked

TEXTS = [
    "a",
    "A",
    "é",
    "e\u0301",
    "温度",
    "",
    " ",
    "7",
    "007",
    "7.0",
    "nan",
    "None",
    "a,b",
    "x" * 300,
]
KEYS = [TEXTS, [7, 0, -3, 10**15], [True, False]]
SCALES = [1.0, 1e-30, 1e30, 1e-3, 1e6]
SHIFTS = [0.0, 1.0, 1e3, 1e9, -1e6]


@st.composite
def groups(draw):
    """Rows of one group: how many, where x lies, and what is wrong with them."""
    rows = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["spread", "spread", "one x", "few x", "duplicates"]))
    t = rng.uniform(-1, 1, rows)
    if kind == "one x":
        t[:] = t[0]
    elif kind == "few x":
        t = rng.integers(-1, 2, rows).astype(float)
    elif kind == "duplicates":
        t = np.repeat(t[: (rows + 1) // 2], 2)[:rows]
    x = draw(st.sampled_from(SHIFTS)) + draw(st.sampled_from(SCALES)) * t
    y = draw(st.sampled_from(SHIFTS)) + draw(st.sampled_from(SCALES)) * rng.normal(size=rows)
    if draw(st.integers(0, 5)) == 0:
        y[:] = y[0]
    w = rng.uniform(0.5, 2, rows)
    bad = draw(st.sampled_from([None] * 6 + [math.nan, math.inf, 0.0, -1.0, 1e300]))
    if bad is not None:
        column = draw(st.sampled_from([x, y, w]))
        column[draw(st.integers(0, rows - 1))] = bad
    return pd.DataFrame({"x": x, "y": y, "w": w})


@st.composite
def tables(draw):
    keys = draw(st.lists(st.sampled_from(draw(st.sampled_from(KEYS))), min_size=1, unique=True))
    frame = pd.concat([draw(groups()).assign(key=key) for key in keys], ignore_index=True)
    order = np.random.default_rng(draw(st.integers(0, 2**32))).permutation(len(frame))
    return frame.iloc[order].reset_index(drop=True)


def require_told(found):
    """A report without a number that is none, and a document that is read again."""
    lines, _ = report(found)
    numbers = [line for line in lines if not re.match("(larg|farth)est", line)]  # those have keys
    assert [s for s in numbers if re.search(r"(?<!\w)(nan|inf)(?!\w)", s)] == []
    again = type(found).from_document(*found.document())
    pd.testing.assert_frame_equal(again.to_frame(), found.to_frame())


def alone(rows, weighted, **options):
    """The fit of these rows by themselves, or the line that refuses it."""
    try:
        return polyreg.fit(
            rows.x.to_numpy(), rows.y.to_numpy(),
            weights=rows.w.to_numpy() if weighted else None, **options,
        )  # fmt: skip
    except PolyregError as error:
        return str(error)


@asked(60, phases=[Phase.generate])
@given(tables(), st.sampled_from([0, 1, 2, 3, 4, "auto"]), st.booleans(), st.booleans())
def test_each_group_has_the_fit_of_its_rows_or_a_reason(frame, degree, weighted, intercept):
    options = {"degree": degree or int(not intercept), "intercept": intercept, "max_degree": 4}
    more = {"weights": "w"} if weighted else {}
    try:
        found = polyreg.fit(frame, target="y", features="x", by="key", **more, **options)
    except PolyregError as error:
        event(str(error)[:20])
        print(error)
        return
    require_told(found)
    names = {str(key): key for (key,) in found.all_keys}  # texts of whole numbers are numbers
    for key, rows in frame.groupby("key", sort=False):
        key = names[str(key)]
        if degree == "auto":  # the rows alone would choose by cross-validation
            options["degree"] = found[key].design.degree if key in found else 4
        known = alone(rows, weighted, **options)
        if key in found.failed:
            event("failed")
            assert isinstance(known, str) or not known.has_full_rank, (found.failed[key], known)
            continue
        event("fitted")
        one = found[key]
        assert not isinstance(known, str), known
        if not intercept and rows.x.nunique() == 1:
            continue  # x itself is all that is told, which may be small beside 1
        assert known.has_full_rank
        off = np.abs(one.coefficients - known.coefficients)
        errors = one.solution.errors[-len(off) :] + known.solution.errors[-len(off) :]
        is_told = known.coefficients != 0  # 0 is also what could not be told from it
        assert (off <= errors + 2**-51 * np.abs(known.coefficients))[is_told].all()


@asked(60, phases=[Phase.generate])
@given(tables(), st.integers(1, 4), st.booleans(), st.sampled_from([1, 2]))
def test_one_shape_fits_its_rows_as_least_squares_with_dummies(frame, degree, weighted, own):
    pool = ["offset", "offset+slope"][own - 1]
    more = {"weights": "w"} if weighted else {}
    try:
        found = polyreg.fit(
            frame, target="y", features="x", by="key", degree=degree, pool=pool, **more
        )
    except PolyregError as error:
        event(str(error)[:20])
        assert len(str(error).splitlines()) == 1
        return
    event("fitted")
    require_told(found)
    rows = frame[frame.key.map(str).isin(list(map(str, found)))]
    x, y = rows.x.to_numpy(), rows.y.to_numpy()
    root = np.sqrt(rows.w.to_numpy()) if weighted else np.ones(len(rows))
    shape = found.shape
    z = (x - (shape.low / 2 + shape.high / 2)) / (shape.high / 2 - shape.low / 2)
    terms = np.polynomial.chebyshev.chebvander(z, degree)
    each = np.array([[str(a) == str(b) for b in found] for a in rows.key])
    matrix = np.hstack([*(each * terms[:, [k]] for k in range(own)), terms[:, own:]])
    matrix /= np.abs(matrix).max(axis=0)  # a group may fill a small part of the range
    known, *_ = np.linalg.lstsq(matrix * root[:, None], y * root, rcond=1e-14)
    got = found.predict(rows, "confidence").prediction.to_numpy()
    size = np.abs(y).max() + np.abs(known).max()
    if np.linalg.cond(matrix * root[:, None]) < 1e6:
        assert np.abs(got - matrix @ known).max() <= 1e-9 * size
    left, least = (((y - fitted) * root) ** 2 for fitted in (got, matrix @ known))
    assert left.sum() <= least.sum() * (1 + 1e-9) + 1e-20 * len(y) * size**2
    assert shape.rss <= left.sum() * (1 + 1e-9) + 1e-20 * len(y) * size**2
    assert shape.df_resid == len(rows) - np.linalg.matrix_rank(matrix, tol=1e-13)
