import json

import numpy as np
import pytest
import torch

from polyreg.config import TrainConfig
from polyreg.polynomial import Polynomial
from polyreg.sgd import Training


def polynomial(weights, **options) -> Polynomial:
    config = TrainConfig(degree=len(weights) - 1, **options)
    weights = torch.tensor(weights, dtype=torch.float32)
    training = Training(config)
    training.weights = weights
    training.curve.domain = (-3.0, 3.0)
    return Polynomial.of(training)


def test_it_is_reported_in_powers_of_x():
    # 1 + 2 He_1 + 3 He_2 / sqrt(2)
    found = polynomial([1.0, 2.0, 3.0]).coefficients
    np.testing.assert_allclose(found, [1 - 3 / np.sqrt(2), 2, 3 / np.sqrt(2)], rtol=1e-15)


@pytest.mark.parametrize("x", [1.5, [1.5, -2.0], [[0.0], [1.0], [2.0]]])
def test_it_predicts_in_the_shape_of_x(x):
    found = polynomial([1.0, 2.0, 3.0, -1.0])
    answer = found.predict(x)
    assert answer.shape == np.shape(x) and answer.dtype == np.float64
    expected = np.polynomial.polynomial.polyval(np.array(x, float), found.coefficients)
    np.testing.assert_allclose(answer, expected, rtol=1e-13)


def test_it_survives_its_document():
    found = polynomial([1.0, 2.0, 3.0])
    back = Polynomial.from_document(json.loads(json.dumps(found.document())))
    for name in ("coefficients", "weights", "basis", "domain", "condition"):
        assert np.array_equal(getattr(back, name), getattr(found, name))
    assert back.truth.tolist() == [0.9, 0.5, 3.0]


def test_a_document_has_a_row_a_term():
    rows = polynomial([1.0, 2.0], basis="monomial").document()["terms"]
    assert [(r["term"], r["estimate"], r["truth"]) for r in rows] == [("1", 1, 0.9), ("x", 2, 0.5)]
    assert all(r[name] is None for r in rows for name in ("std_error", "low", "high"))


def test_a_term_that_only_one_of_them_has_counts_as_zero_in_the_other():
    low = polynomial([0.9, 0.5], basis="monomial")
    assert low.max_error() == 3.0
    assert [t for t, _, _ in low.against_truth()] == ["1", "x", "x^2", "x^3"]
    high = polynomial([0.9, 0.5, 3.0, 2.4, 0.25], basis="monomial")
    assert high.max_error() == 0.25
    assert high.document()["terms"][4]["truth"] == 0
