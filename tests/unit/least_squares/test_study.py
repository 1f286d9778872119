"""Study of a fit by two passes: streamed against in memory, and what becomes of it in storage."""

import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import polyreg
from polyreg.errors import PolyregError
from polyreg.least_squares.study import grouping
from polyreg.least_squares.study.grouping import Grouping
from polyreg.polynomials.result import Result


def rows(count: int = 3000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 200, count) / 10
    u = rng.uniform(0.5, 2, count)
    return pd.DataFrame({"x": x, "y": 3 + x - 0.02 * x**2 + u * rng.normal(size=count), "u": u})


@pytest.mark.parametrize("how", [{}, {"weights": "u"}, {"sigma": "u"}, {"weights": "1/x"}])
def test_a_stream_of_files_tells_what_arrays_tell_row_by_row(tmp_path, monkeypatch, how):
    monkeypatch.setattr("polyreg.tables.rows.BLOCK_ROWS", 700)
    frame = rows()
    for k, part in enumerate((frame[:1100], frame[1100:])):
        part.to_csv(tmp_path / f"{k}.csv", index=False)
    found = polyreg.fit(str(tmp_path), target="y", features=["x"], degree=2, **how)
    given = {k: frame.u.to_numpy() if v == "u" else v for k, v in how.items()}
    memory = polyreg.fit(frame.x.to_numpy(), frame.y.to_numpy(), degree=2, **given)
    for name, values in found.degrees.items():
        assert values.to_numpy() == pytest.approx(memory.degrees[name], rel=1e-9, nan_ok=True)
    assert found.lack_of_fit[:2] == pytest.approx(memory.lack_of_fit[:2], rel=1e-9)
    given = {k: v for k, v in given.items() if not isinstance(v, str)}
    table = memory.diagnostics(frame.x, frame.y, **given)
    for by in ("studentized", "leverage", "cooks_distance"):
        size = table[by].abs().to_numpy()
        wanted = np.sort(size)[::-1][:5]
        assert [abs(getattr(r, by)) for r in found.study.most(by)[:5]] == pytest.approx(wanted)
    for row in found.study.rows:
        at = row.row - 1 + (1100 if row.file.endswith("1.csv") else 0)
        assert (row.x[0], row.y) == (frame.x[at], frame.y[at])
        assert row.cooks_distance == pytest.approx(table.cooks_distance[at], rel=1e-8)
    for row in memory.study.rows:  # in blocks, of which each knows where it begins
        assert (row.x[0], row.y) == (frame.x[row.row - 1], frame.y[row.row - 1])


def test_rows_with_missing_values_keep_the_numbers_they_have_in_their_file(tmp_path):
    frame = rows(30)
    frame.loc[3, "y"] = np.nan
    frame.loc[20, "y"] += 100
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = polyreg.fit(
        str(tmp_path / "a.csv"), target="y", features=["x"], degree=1, missing="drop"
    )
    assert found.study.most("studentized")[0].row == 21
    assert "row 21 of a.csv stands out" in found.study.doubts()[0]


def test_residuals_that_grow_with_x_ask_for_weights():
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 10, 400)
    said = polyreg.fit(x, x * (1 + rng.normal(0, 0.1, 400)), degree=1).study.doubts()
    assert any("residuals grow with x" in s and "consider --weights 1/x" in s for s in said)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("most", [10**6, 40])
def test_replicates_are_counted_however_blocks_are_cut(monkeypatch, weighted, most):
    monkeypatch.setattr(grouping, "MOST", most)
    rng = np.random.default_rng(0)
    x, y, w = rng.integers(-15, 15, 500) / 7, 1e6 + rng.normal(size=500), rng.uniform(1, 2, 500)
    x[x == 0] = rng.choice([0.0, -0.0], (x == 0).sum())
    w = w if weighted else np.ones(500)
    found = Grouping()
    for part in np.split(np.arange(500), [1, 2, 70, 300, 499]):
        found.add(x[part], y[part], w[part] if weighted else None)
    wanted = 0.0
    for value in np.unique(x):
        at = x == value
        mean = np.average(y[at], weights=w[at])
        wanted += (w[at] * (y[at] - mean) ** 2).sum()
    told = found.found()
    assert (told.groups, told.rows) == (len(np.unique(x)), 500)
    assert told.pure_error == pytest.approx(wanted, rel=1e-9)


def test_too_many_distinct_x_are_given_up_with_a_reason(monkeypatch):
    monkeypatch.setattr(grouping, "MOST", 40)
    x = np.arange(100.0)
    found = polyreg.fit(x, x % 7, degree=1).lack_of_fit
    assert math.isnan(found.F) and "above 40 distinct x" in found.reason


def test_a_stored_result_knows_what_was_studied_and_one_that_was_not_says_the_way_out():
    frame = rows(50)
    found = polyreg.fit(frame.x, frame.y, degree=1)
    without = Result.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    for empty in (without, pickle.loads(pickle.dumps(found))):
        with pytest.raises(PolyregError, match="--diagnostics"):
            _ = empty.degrees
    wanted = found.degrees
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    for stored in (Result.from_dict(written), pickle.loads(pickle.dumps(found))):
        pd.testing.assert_frame_equal(stored.degrees, wanted)
        assert (
            stored.study.rows == found.study.rows or stored.study.doubts() == found.study.doubts()
        )
        assert stored.lack_of_fit == found.lack_of_fit


def test_an_exact_fit_is_stored_with_its_infinities():
    x = np.arange(9.0)
    found = polyreg.fit(x, 1 + x**2, degree=2)
    _ = found.study
    stored = Result.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    pd.testing.assert_frame_equal(stored.degrees, found.degrees)


@pytest.mark.parametrize("degree", [1, "auto"])
def test_rows_that_changed_since_the_fit_are_refused(degree):
    x, y = np.arange(40.0), np.arange(40.0) % 7
    found = polyreg.fit(x, y, degree=degree, max_degree=4)
    y[3] += 1
    with pytest.raises(PolyregError, match="the rows have changed since the fit: 40 rows"):
        _ = found.degrees


def test_a_file_that_changed_since_the_fit_is_refused(tmp_path):
    frame, path = rows(40), tmp_path / "a.csv"
    frame.to_csv(path, index=False)
    found = polyreg.fit(str(path), target="y", features=["x"], degree=1)
    frame.assign(y=frame.y + frame.index % 2).to_csv(path, index=False)
    with pytest.raises(PolyregError, match=r"a\.csv changed"):
        _ = found.degrees


def test_a_fit_alone_makes_no_further_pass():
    found = polyreg.fit([0.0, 1, 2, 3], [0.0, 1, 2, 4], degree=1)
    assert found.deferred.found is None
    assert replace(found, level=0.9).deferred is found.deferred


@pytest.mark.parametrize("how", [{"precision": "fast"}, {"intercept": False}, {"weights": "1/y"}])
def test_other_fits_are_studied_too(how):
    frame = rows(500)
    found = polyreg.fit(frame.x.to_numpy(), 20 + frame.y.to_numpy(), degree=2, **how)
    near = found.degrees.degree.tolist()
    assert near == ([1, 2, 3, 4] if "intercept" in how else [0, 1, 2, 3, 4])
    at = near.index(2)
    assert found.degrees.rss[at] == pytest.approx(found.solution.rss, rel=1e-9)


def test_several_variables_have_rows_to_doubt_and_no_degrees():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = x @ [1, 2] + rng.normal(size=60)
    y[7] += 30
    found = polyreg.fit(x, y, degree=1).study
    assert found.degrees is None and "several" in found.no_degrees
    assert found.most("studentized")[0].row == 8


def test_three_rows_on_a_line_are_no_reason_to_doubt_one():
    assert polyreg.fit([1.0, 2, 3], [1.0, 2, 4], degree=1).study.doubts() == []


def test_a_row_that_moves_the_fit_is_named():
    x, y = np.r_[np.arange(10.0), 60], np.r_[np.arange(10.0), 20] + np.tile([0.3, -0.3], 6)[:11]
    said = polyreg.fit(x, y, degree=2).study.doubts()
    assert any("row 11 of" in s and "moves the fit: Cook's distance" in s for s in said)
