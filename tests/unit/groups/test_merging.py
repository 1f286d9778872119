"""Groups that are read in parts and merged: what one pass over all rows finds."""

import itertools
import pickle
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import pytest

import polyreg
from polyreg.config import FitConfig
from polyreg.groups.fit import Reading, fit_groups
from polyreg.groups.passes.merging import GroupSums
from polyreg.tables import table as tables
from polyreg.tables.table import Table


class Parted:
    """Reads a table's parts, each as if it were elsewhere, and merges them in a tree."""

    def __init__(self, table):
        self.table = table

    def read(self, config, advance):
        found = []
        for part in self.table.parts():
            part = pickle.loads(pickle.dumps(part))
            reading = Reading(part, config)
            for place, arrays, _ in part.unjudged():
                reading.add(place, arrays)
            found.append(pickle.loads(pickle.dumps(GroupSums.of(reading))))
        assert len(found) > 1
        while len(found) > 1:
            found = [reduce(add, found[i : i + 2]) for i in range(0, len(found), 2)]
        return found[0].reading(self.table, config)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(tables, "PART_ROWS", 1)
    monkeypatch.setattr(tables, "PART_BYTES", 1)


def both(folder, frame, cuts, form="parquet", **options):
    """The fits of one pass and those of merged parts, of a file for each."""
    ends = [0, *cuts, len(frame)]
    for number, (a, b) in enumerate(itertools.pairwise(ends)):
        if form == "csv":
            frame[a:b].to_csv(folder / f"{number}.csv", index=False)
        else:
            frame[a:b].to_parquet(folder / f"{number}.parquet", index=False)
    fixed = {"by": ("a",), "degree": 2, "data": str(folder), "target": "y", "features": ("x",)}
    config = FitConfig(**fixed | options)
    one, two = Table.of(config), Table.of(config)
    return fit_groups(one, config), fit_groups(two, config, passes=Parted(two))


def a_frame(rows=3000, groups=40):
    rng = np.random.default_rng(1)
    key = rng.integers(0, groups, rows)
    x = rng.normal(100, 3, rows) + key
    frame = pd.DataFrame({"a": [f"s{k}" for k in key], "b": key % 3, "x": x})
    frame["w"] = rng.uniform(0.5, 2, rows)
    frame["y"] = 1e3 * key + (key % 7) * (x - 100) + 0.1 * (x - 100) ** 2 + rng.normal(0, 1, rows)
    return frame


CASES = {
    "one key": {},
    "two keys": {"by": ("a", "b")},
    "weights": {"weights": "w"},
    "no intercept": {"intercept": False},
    "degree 0": {"degree": 0},
    "auto": {"degree": "auto", "max_degree": 4, "criterion": "aicc"},
    "one for all": {"degree": "auto", "max_degree": 4, "criterion": "bic", "same_degree": True},
    "x squared": {"weights": "1/x^2"},
}  # fmt: skip


@pytest.mark.parametrize("cuts", [(1000, 2000), (1, 2, 3, 4, 5, 1500), (0, 0, 2999)])
@pytest.mark.parametrize("case", CASES)
def test_the_fits_are_those_of_one_pass(tmp_path, case, cuts):
    frame = a_frame()
    # Groups of one part alone, of a few rows, and with something missing in a later part.
    frame.loc[5:6, "a"], frame.loc[2500, "a"] = "early", "late"
    frame.loc[2400, "y"] = np.nan
    here, there = both(tmp_path, frame, cuts, **CASES[case])
    assert there.all_keys == here.all_keys and there.failed == here.failed and here.failed
    assert (there.rows, there.rows_missing) == (here.rows, here.rows_missing) == (3000, 0)
    ours, theirs = here.to_frame(), there.to_frame()
    exact = ["rows", "degree", "low", "high", "note"]
    pd.testing.assert_frame_equal(theirs[exact], ours[exact])
    for name in ours.columns.difference([*exact, "digits", "a", "b"]):
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(there.solved.log_weights, here.solved.log_weights, rtol=1e-12)
    if here.pooled:
        np.testing.assert_allclose(there.pooled.mean, here.pooled.mean, rtol=1e-9)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_keys_of_another_type_in_another_file_are_those_of_one_pass(tmp_path, form):
    frame = a_frame(300, 6)
    frame["a"] = [int(k[1:]) for k in frame["a"]]
    here, there = both(tmp_path, frame, (100, 200), form)
    assert there.all_keys == here.all_keys == [(k,) for k in frame["a"].unique()]
    if form == "csv":
        (tmp_path / "3.csv").write_text("a,b,x,w,y\n007,1,100,1,2\n")
    else:
        frame[:9].astype({"a": str}).to_parquet(tmp_path / "3.parquet", index=False)
    here, there = both(tmp_path, frame, (100, 200), form)
    assert there.all_keys == here.all_keys and len(here.all_keys) > 6


def test_a_group_of_one_x_in_each_part_has_the_line_through_them(tmp_path):
    frame = pd.DataFrame({"a": ["s"] * 6, "x": [1.0, 1, 2, 2, 3, 3], "y": [1.0, 3, 4, 4, 5, 7]})
    here, there = both(tmp_path, frame, (2, 4), degree=1)
    assert there["s"].coefficients == pytest.approx(np.polyfit(frame.x, frame.y, 1)[::-1])
    assert there["s"].residual_sd == pytest.approx(here["s"].residual_sd)


def test_keys_of_several_columns_have_the_order_of_their_first_rows():
    frame = pd.DataFrame({"a": list("qqpp"), "b": [2, 1, 1, 2], "x": range(4), "y": range(4)})
    found = polyreg.fit(frame, target="y", features="x", by=["a", "b"], degree=0)
    assert [*found] == [("q", 2), ("q", 1), ("p", 1), ("p", 2)]
