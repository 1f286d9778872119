"""Codes of columns that tell groups apart."""

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
