from polyreg.terms import key, powers


def test_terms_are_named_as_people_write_them():
    assert powers(0) == ["1"]
    assert powers(1) == ["1", "x"]
    assert powers(3) == ["1", "x", "x^2", "x^3"]


def test_a_key_has_only_what_mlflow_allows():
    assert [key(t) for t in powers(2)] == ["1", "x", "x.2"]
    assert key("a^2*b") == "a.2:b"
