"""Variables that are functions of columns: values, slopes, and the way back."""

import numpy as np
import pandas as pd
import pytest
import torch

import polyreg
from polyreg.polynomials.module import FittedModel
from polyreg.polynomials.predictor import Predictor
from polyreg.polynomials.result import Result
from polyreg.polynomials.variables import Variable, values_of

KINDS = ("identity", "log", "log10", "exp", "sqrt", "square", "reciprocal")
EXPECTED = {
    "identity": lambda x: x,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "square": np.square,
    "reciprocal": np.reciprocal,
}
X = np.linspace(0.5, 4, 15)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shift", [0.0, 1.5, -0.25])
def test_a_function_has_its_values_slopes_and_inverse(kind, shift):
    v = Variable("z", "x", kind, shift)
    np.testing.assert_array_equal(v.values(X), EXPECTED[kind](X + shift))
    step = 1e-6
    rough = (v.values(X + step) - v.values(X - step)) / (2 * step)
    np.testing.assert_allclose(v.slopes(X), rough, rtol=1e-7)
    np.testing.assert_allclose(v.inverse(v.values(X)), X, rtol=1e-13)
    low, high = np.sort([v.values(X), v.values(X + 0.25)], axis=0)
    np.testing.assert_allclose(v.inverse_bounds(low, high), [X, X + 0.25], rtol=1e-13)
    assert Variable(**v.to_dict()) == v


@pytest.mark.parametrize(
    "kind, low, high, expected",
    [
        ("reciprocal", -1.0, 2.0, (-np.inf, np.inf)),
        ("reciprocal", 0.0, 2.0, (0.5, np.inf)),
        ("reciprocal", -2.0, 0.0, (-np.inf, -0.5)),
        ("reciprocal", -4.0, -2.0, (-0.5, -0.25)),
        ("sqrt", -1.0, 2.0, (0.0, 4.0)),
        ("sqrt", -2.0, -1.0, (np.nan, np.nan)),
        ("square", -1.0, 4.0, (0.0, 2.0)),
        ("exp", -1.0, 1.0, (-np.inf, 0.0)),
        ("log", -np.inf, 0.0, (0.0, 1.0)),
        ("log", np.nan, 0.0, (np.nan, np.nan)),
    ],
)
def test_bounds_are_those_of_every_x_that_has_such_a_value(kind, low, high, expected):
    v = Variable("z", "x", kind)
    found = v.inverse_bounds(np.array([low]), np.array([high]))
    np.testing.assert_array_equal(np.ravel(found), expected)


def test_a_square_goes_back_to_the_side_of_the_data():
    negative = Variable("square(x)", "x", "square", 0.0, -5.0, -1.0)
    np.testing.assert_array_equal(negative.inverse(np.array([4.0, -1.0])), [-2.0, np.nan])
    np.testing.assert_array_equal(negative.inverse_bounds([1.0], [4.0]), [[-2.0], [-1.0]])
    assert negative.has_inverse and negative.is_falling
    assert not Variable("square(x)", "x", "square", 0.0, -1.0, 5.0).has_inverse


def test_several_variables_may_be_functions_of_one_column():
    both = [Variable("x", "x"), Variable("log(x)", "x", "log"), Variable("z", "z")]
    found = values_of(both, {"x": X, "z": 2 * X})
    np.testing.assert_array_equal(found, np.column_stack([X, np.log(X), 2 * X]))


def test_document_predictor_and_module_answer_alike():
    rng = np.random.default_rng(0)
    x, b = rng.uniform(1, 9, 40), rng.uniform(-1, 1, 40)
    y = np.exp(0.3 + 0.7 * np.log(x) - 0.2 * b + rng.normal(0, 0.05, 40)) - 1
    frame = pd.DataFrame({"b": b, "x": x, "y": y})
    found = polyreg.fit(frame, target="log(y+1)", features=["log(x)", "1/x", "b"], degree=1)
    assert found.variables == ("log(x)", "(1/x)", "b")
    assert found.columns == ("x", "b") and found.target_column == "y"
    expected = found.predict(frame, "prediction")
    again = Result.from_dict(found.to_dict())
    np.testing.assert_array_equal(again.predict(frame, "prediction"), expected)
    told = Predictor(found.to_dict()).predict(frame)
    np.testing.assert_allclose(told[["prediction", "low", "high"]].T, expected, rtol=1e-12)
    module = FittedModel(found)(torch.from_numpy(np.column_stack([x, b])))
    np.testing.assert_allclose(module.detach().numpy()[:, 0], expected[0], rtol=1e-12)


def test_a_document_without_functions_says_nothing_of_them():
    found = polyreg.fit([0, 1, 2, 3], [1, 2, 5, 9.5], degree=1)
    assert not {"inputs", "outcome"} & found.to_dict().keys()
    assert not found.is_transformed and found.as_fitted is found
