"""The equation can be evaluated as it is printed: by Python, in float64, at the printed digits."""

import json
import math
import re

import numpy as np
import pytest

import polyreg
from polyreg.polynomials import equation
from polyreg.polynomials.result import Result
from tests.support import oracle, problems

CHEBYSHEV = {
    f"T_{n}": lambda t, n=n: math.cos(n * math.acos(min(1, max(-1, t)))) for n in range(61)
}


def evaluated(text: str, names: tuple[str, ...], x: np.ndarray) -> np.ndarray:
    """What is printed, at the rows x (N, D), by Python's eval with ^ as **."""
    _, _, right = text.partition(" = ")
    right, *definitions = re.split(r", (?=\w+ = |T_n)", right)
    codes = [
        (symbol, compile(formula.replace("^", "**"), "t", "eval"))
        for symbol, _, formula in (one.partition(" = ") for one in definitions)
        if not symbol.startswith("T_n")
    ]
    polynomial, found = compile(right.replace("^", "**"), "y", "eval"), []
    for row in x.tolist():
        known = dict(zip(names, row, strict=True))
        known |= {symbol: eval(code, {}, known) for symbol, code in codes}
        found.append(eval(polynomial, CHEBYSHEV, known))
    return np.array(found)


def grid(result: Result) -> np.ndarray:
    """Points of the domain that are not those of the check, and its corners."""
    rng = np.random.default_rng(7)
    size = len(result.variables)
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * size)).reshape(size, -1).T
    return result.low + (result.high - result.low) * np.concatenate(
        [corners, rng.random((300, size))]
    )


def allowed(result: Result, x: np.ndarray) -> np.ndarray:
    """A tenth of the fit's standard error at x; of an exact fit 1e-9 of the range of y."""
    y, _, high = result.predict(x, "confidence")
    least = 2.0**-50 * np.abs(y).max()
    if not result.residual_sd > 1e-13 * np.abs(y).max():
        return np.full(len(x), 1e-9 * np.ptp(y))
    return np.maximum((high - y) / result.quantile() / 10, least)


def seconds(rng):
    x = 1_700_000_000 + 3600.0 * np.arange(24)
    return problems.Problem([x], np.sin(x / 2e4) + rng.normal(scale=0.05, size=24), 3)


def nanometres(rng):
    x = np.linspace(400e-9, 700e-9, 31)
    return problems.Problem([x], np.sin(1e7 * x) + rng.normal(scale=0.01, size=31), 5)


def annual(degree):
    def made(rng):
        x = np.arange(2001.0, 2020.0)
        return problems.Problem([x], 20 + np.sin(x) + rng.normal(scale=0.4, size=19), degree)

    return made


def mixed(rng):
    """A year, a wavelength and a temperature in kelvin."""
    a, b, c = rng.uniform(2001, 2019, 200), rng.uniform(4e-7, 7e-7, 200), rng.normal(290, 5, 200)
    y = np.sin(a) + b * 1e7 + c / 100 + rng.normal(scale=0.01, size=200)
    return problems.Problem([a, b, c], y, 4)


def nist(name):
    def made(rng):
        columns, y, exponents, _ = oracle.read_nist(name)
        degree = max(map(sum, exponents))
        return problems.Problem([np.array(c) for c in columns], np.array(y), degree), exponents

    return made


MADE = {name: nist(name) for name in oracle.NIST_NAMES}
MADE |= {f"years, degree {d}": annual(d) for d in range(1, 9)}
MADE |= {f.__name__: f for f in (seconds, nanometres, mixed)}
MADE |= problems.PROBLEMS
FAR = [*(f"years, degree {d}" for d in range(6, 9)), "seconds", "years"]


@pytest.mark.parametrize("name", MADE)
def test_what_is_printed_evaluates_to_the_exact_fit_within_a_tenth_of_its_standard_error(name):
    problem, exponents = MADE[name](np.random.default_rng(3)), None
    if name in oracle.NIST_NAMES:
        problem, exponents = problem
    columns, y, degree, weights = problem
    intercept = exponents is None or (0,) * len(columns) in exponents
    rows, names = np.column_stack(columns), [f"x{d}" for d in range(len(columns))]
    result = polyreg.fit(
        rows, y, weights=weights, degree=degree, intercept=intercept, features=names,
        precision="certified",
    )  # fmt: skip
    x = grid(result)
    truth = oracle.exact(columns, y, result.exponents, weights).fitted([*x.T])
    found = evaluated(result.equation(), result.variables, x)
    assert (np.abs(found - [float(v) for v in truth]) <= allowed(result, x)).all()
    # Powers that serve are not passed over.
    if result.equations.usable.form != "powers":
        powers = evaluated(result.equation("powers"), result.variables, x)
        off = np.abs(powers - [float(v) for v in truth])
        assert (off / allowed(result, x)).max() > 0.2
    if name in FAR:
        assert result.equations.usable.form == "centred"


def test_the_equation_is_in_round_decimal_numbers():
    x = np.arange(2001.0, 2020.0)
    result = polyreg.fit(x, (x - 2010) ** 6, degree=6)
    assert result.equation() == "y = 531441.0*t^6, t = (x - 2010)/9"
    assert result.equation("powers").startswith("y = 6.5944")
    centred = result.equations["centred"]
    assert (centred.centre, centred.scale, centred.symbols) == ((2010.0,), (9.0,), ("t",))
    assert centred.terms == ["1", "t", *(f"t^{k}" for k in range(2, 7))]
    for low, high, said in (
        (0.0, 10.0, "t = (x - 5)/5"),
        (-3.0, 3.0, "t = x/3"),
        (-7.0, -5.0, "t = x + 6"),
        (400e-9, 700e-9, "t = (x - 5.5e-07)/1.5e-07"),
        (1.7e9, 1.7e9 + 82800, "t = (x - 1700041000)/42000"),
        (0.1, 0.7, "t = (x - 0.4)/0.3"),
    ):
        text = polyreg.fit([low, (low + high) / 2, high], [1, 2, 4], degree=1).equation("centred")
        assert text.partition(", ")[2].removeprefix(" ").replace("(x + 6)", "x + 6") == said


def test_the_symbols_are_nobodys_name():
    rng = np.random.default_rng(0)
    x, y = np.linspace(2000, 2010, 100).reshape(50, 2), rng.normal(size=50)
    x[:, 1] = rng.permutation(x[:, 1])
    x[-1, 0] = 2010
    for names, target, symbols in (
        (["a", "b"], "y", ("t1", "t2")),
        (["t1", "b"], "y", ("u1", "u2")),
        (["a", "b"], "t2", ("u1", "u2")),
        (["t1", "u2"], "v1", ("t_1", "t_2")),
    ):
        result = polyreg.fit(x, y, features=names, target=target, degree=2)
        assert result.equations["centred"].symbols == symbols
    one = polyreg.fit(x[:, 0], y, features=["t"], target="u", degree=2)
    assert one.equation("centred").endswith(", v = (t - 2005)/5")
    odd = polyreg.fit(x[:, 0], y, features=["a-b"], degree=2)
    assert odd.equation("centred").endswith(", t = (`a-b` - 2005)/5")


def oscillation(degree: int) -> Result:
    x = np.linspace(-1, 1, 400)
    noise = np.random.default_rng(0).normal(scale=1e-12, size=400)
    return polyreg.fit(x, np.cos(degree * np.arccos(x)) + noise, degree=degree)


def test_at_a_very_high_degree_it_is_in_chebyshev_polynomials_and_says_so():
    result = oscillation(40)
    first, powers, advice = result.equations.lines()
    assert first.startswith("y = ") and first.endswith("t = x, T_n(t) = cos(n*arccos(t))")
    assert "*T_40(t)" in first and powers.startswith("in powers of x: y = ")
    assert "Chebyshev" in advice and "powers of t would err, too" in advice
    x = grid(result)
    errors = np.abs(evaluated(first, ("x",), x) - np.cos(40 * np.arccos(x[:, 0])))
    assert errors.max() < 1e-11
    assert (
        np.abs(evaluated(result.equation("centred"), ("x",), x) - result.predict(x)) > 1e-9
    ).any()


@pytest.mark.parametrize("size", [1, 3])
def test_the_change_to_chebyshev_polynomials_is_that_of_numpy(size):
    rng = np.random.default_rng(2)
    x = rng.uniform(3, 5, size=(80, size))
    result = polyreg.fit(x, rng.normal(size=80), degree=5, interaction_degree=2)
    found, centred = result.equations["chebyshev"], result.equations["centred"]
    np.testing.assert_allclose(found(x), result.predict(x), rtol=0, atol=1e-9)
    if size == 1:
        expected = np.polynomial.chebyshev.poly2cheb(centred.coefficients)
        np.testing.assert_allclose(found.coefficients, expected, rtol=1e-12, atol=1e-12)


def test_where_powers_do_not_serve_every_report_has_both_and_says_which_to_use():
    x = np.arange(2001.0, 2020.0)
    y = 3 + np.sin(x) + np.random.default_rng(1).normal(scale=0.4, size=19)
    result = polyreg.fit(x, y, degree=6)
    first, powers, advice = result.equations.lines()
    assert first == result.equation() == result.equation("centred")
    assert powers == f"in powers of x: {result.equation('powers')}"
    assert advice.startswith("use the equation in t: float64 evaluates the powers of x")
    said = float(re.search(r"errors up to (\S+) on", advice)[1])
    values = evaluated(result.equation("powers"), ("x",), x[:, None])
    assert 0.2 * said < np.abs(values - result.predict(x)).max() < 2 * said
    for shown in (result.summary(), result._repr_html_()):
        plain = " ".join(shown.split())
        assert all(line in plain for line in (first, powers, advice))
    assert repr(result).startswith(f"{first}\n")
    near = polyreg.fit(x - 2010, y, degree=6)
    assert near.equations.lines() == [near.equation("powers")]


def test_no_number_of_a_long_equation_is_cut_in_a_notebook():
    rng = np.random.default_rng(0)
    result = polyreg.fit(rng.uniform(size=(200, 3)), rng.normal(size=200), degree=5)
    assert len(result.equation()) > 1500 and f"<li>{result.equation()}</li>" in result._repr_html_()


def test_coefficients_json_has_both_forms():
    x = np.arange(2001.0, 2020.0)
    result = polyreg.fit(x, np.sin(x), degree=6)
    written = json.loads(json.dumps(result.to_dict(), allow_nan=False))["equation"]
    assert written["use"] == "centred" and "chebyshev" not in written
    block = written["centred"]
    assert block["form"] == "centred" and block["text"] == result.equation()
    assert (block["centre"], block["scale"]) == ({"x": 2010.0}, {"x": 9.0})
    pairs = zip(block["terms"], block["coefficients"], strict=True)
    powers = {"1": lambda t: 1 + 0 * t, "t": lambda t: t}
    powers |= {f"t^{k}": lambda t, k=k: t**k for k in range(2, 7)}
    found = sum(c * powers[term]((x - 2010) / 9) for term, c in pairs)
    np.testing.assert_allclose(found, result.predict(x), rtol=0, atol=1e-12)
    assert Result.from_dict(result.to_dict()).equation() == result.equation()
    high = oscillation(40).to_dict()["equation"]
    assert high["use"] == "chebyshev" == high["chebyshev"]["form"]


def test_a_form_that_is_none_is_refused():
    with pytest.raises(polyreg.PolyregError, match="form must be one of powers, centred, chebysh"):
        polyreg.fit([1, 2, 3], [1, 2, 4], degree=1).equation("horner")


def test_a_training_has_the_same_equations():
    result = polyreg.train(degree=3).result()
    assert result.equations.usable.form == "powers"
    x = np.linspace(result.low[0], result.high[0], 50)[:, None]
    for form in equation.FORMS:
        found = evaluated(result.equation(form), ("x",), x)
        np.testing.assert_allclose(found, result.predict(x), rtol=0, atol=1e-9 * np.ptp(found))
