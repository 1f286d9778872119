import itertools
import re

import pytest

from polyreg.polynomials.terms import count, keys, name, powers, total_degree
from tests.support import oracle

LEGAL = re.compile(r"[/\w.\- :]*")  # what MLflow allows in a metric's name


def test_terms_are_named_as_people_write_them():
    assert powers(0) == ["1"]
    assert powers(1) == ["1", "x"]
    assert powers(3) == ["1", "x", "x^2", "x^3"]


def test_a_product_names_its_variables_in_their_order_and_leaves_out_what_is_not_there():
    assert name((0, 0, 0), ["a", "b", "c"]) == "1"
    assert name((0, 1, 0), ["a", "b", "c"]) == "b"
    assert name((2, 0, 1), ["a", "b", "c"]) == "a^2*c"


def test_a_key_has_only_what_mlflow_allows():
    assert keys(powers(2)) == ["1", "x", "x.2"]
    assert keys(["a^2*b"]) == ["a.2:b"]


@pytest.mark.parametrize(
    "odd",
    [
        ["price ($)", "price (€)", "price [£]"],
        ["a*b", "a:b", "a^b", "a.b"],
        ["a", "a_2", "a*", "a:"],
        ["a_2", "a"],  # the number that a twin would get is a name of its own
        ["x%", "x_", "x__2", "x?"],
        ["größe", "長さ", "a/b", 'a"b', "a\tb", "a\nb"],
    ],
)
def test_keys_of_odd_names_are_legal_and_unique_in_any_order(odd):
    for terms in itertools.permutations(odd):
        found = keys(terms)
        assert len({*found}) == len(odd) and all(map(LEGAL.fullmatch, found)), found


@pytest.mark.parametrize("variables", [1, 2, 3, 4])
@pytest.mark.parametrize("degree", [0, 1, 2, 5])
def test_the_exponents_are_those_that_brute_force_finds_each_once(variables, degree):
    every = list(itertools.product(range(degree + 1), repeat=variables))
    for interaction in range(1, variables + 1):
        found = total_degree(variables, degree, interaction)
        expected = {e for e in every if sum(e) <= degree and sum(map(bool, e)) <= interaction}
        assert {*found} == expected and len(found) == len(expected)
        assert count(variables, degree, interaction) == len(expected)
        assert found[0] == (0,) * variables
        assert [sum(e) for e in found] == sorted(map(sum, found))
    assert found == oracle.total_degree(variables, degree)


@pytest.mark.parametrize("variables, degree, interaction", [(12, 3, 2), (60, 2, 2), (3, 20, 2)])
def test_the_count_is_the_number_of_exponents_made(variables, degree, interaction):
    assert count(variables, degree, interaction) == len(
        total_degree(variables, degree, interaction)
    )


def test_a_name_that_could_be_taken_for_something_else_is_quoted():
    assert name((1, 1), ["1", "x^2"]) == "`1`*`x^2`"
    assert name((2,), ["line\nbreak"]) == "line break^2"
    assert name((1,), ["Größe (m)"]) == "Größe (m)"


def test_keys_fit_into_mlflow():
    [long, twin] = keys(["x" * 300, "x" * 301])
    assert len(long) <= 200 and long != twin
