"""Codes of columns that tell groups apart."""

import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from polyreg.tables import parts
from polyreg.tables.parts import Codes


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("kind", ["int64", "int8", "uint32", "string", "float64", "dictionary"])
def test_codes_count_values_in_the_order_of_their_first_appearance(monkeypatch, kind, is_compiled):
    if not is_compiled:
        monkeypatch.setattr(parts, "compiled", lambda function: None)
    rng = np.random.default_rng(0)
    values = rng.integers(-100 if kind[0] != "u" else 0, 100, 3000).astype(
        kind if kind[:4] not in ("stri", "dict") else "int64"
    )
    column = pa.array(values.astype(str) if kind == "string" else values)
    if kind == "dictionary":
        column = column.dictionary_encode()
    codes = Codes()
    found = np.concatenate([codes(column[i : i + 700]) for i in range(0, 3000, 700)])
    known, order = pd.factorize(values)
    assert (found == known).all()
    assert codes.values() == order.tolist()


def test_more_values_than_a_table_of_slots_has_room_for():
    values = np.random.default_rng(0).permutation(np.arange(-(10**5), 10**5) * 2**40)
    codes = Codes()
    found = np.concatenate([codes(pa.array(part)) for part in np.array_split(values, 3)])
    assert (found == np.arange(len(values))).all()
    assert (codes(pa.array(values[::-1])) == np.arange(len(values))[::-1]).all()
    assert codes.values() == values.tolist()


def test_what_has_no_value_has_no_code_and_files_may_differ_in_type():
    codes = Codes()
    assert np.isnan(codes(pa.array([None, 7, None, 8]))).tolist() == [True, False, True, False]
    assert codes(pa.array([8.0, 7.5, None]))[:2].tolist() == [1, 2]
    assert codes.values() == [7, 8, 7.5]
    words = Codes()
    assert words(pa.array(["a", "", None, "b"])).tolist()[::3] == [0, 1]


def test_words_that_are_whole_numbers_are_numbers_and_others_stay():
    for given, wanted in ((["1", "20"], [1, 20]), (["1", "020"], ["1", "020"]), (["-0"], ["-0"])):
        codes = Codes()
        codes(pa.array(given))
        assert codes.values() == wanted


def test_a_row_whose_key_is_nan_has_none():
    codes = Codes()
    found = codes(pa.array([1.5, np.nan, 2.5, None, np.nan]))
    np.testing.assert_array_equal(found, [0, np.nan, 1, np.nan, np.nan])
    assert codes.values() == [1.5, 2.5]


@pytest.mark.parametrize("kinds", [("int64", "int64"), ("string", "string"), ("int64", "string")])
def test_what_other_codes_have_written_is_added(kinds):
    first, second = pa.array([7, 8, 9]).cast(kinds[0]), pa.array([9, 5, 7, 5]).cast(kinds[1])
    one, two, both = Codes(), Codes(), Codes()
    one(first), two(second)
    known = np.concatenate([both(first), both(second)])
    merged = Codes()
    moved = [merged.add(pickle.loads(pickle.dumps(c)).written()) for c in (one, two)]
    again = Codes()
    np.testing.assert_array_equal(
        np.concatenate([moved[0][one(first).astype(int)], moved[1][two(second).astype(int)]]), known
    )
    assert merged.values() == both.values()
    assert again.add([]).tolist() == [] and again.add(np.empty(0, np.int64)).tolist() == []
