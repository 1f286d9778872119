import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from polyreg.sgd.loops import prefix_scan

DTYPES = [torch.float32, torch.float64]
SHAPES = [(m, t, s) for m in (1, 3) for t in (1, 2, 3, 7, 64) for s in (1, 4, 21, 42)]
SHAPES += [(1, 1000, 1), (2, 1000, 4), (1, 1000, 21), (1, 1000, 42)]


def problem(runs, steps, size, dtype=torch.float64, seed=0):
    """Recurrences that remember: each A a signed permutation, a little damped and mixed.

    Its rows' absolute sums are at most 1, so that no state outgrows the sum of the offsets.
    """
    rng = np.random.default_rng([seed, runs, steps, size])
    matrix = rng.uniform(-1, 1, (runs, steps, size, size)) * 0.01 / size
    places = rng.permuted(np.tile(np.arange(size), (runs, steps, 1)), axis=-1)[..., None]
    kept = 0.98 * rng.choice([-1.0, 1.0], (runs, steps, size, 1))
    np.put_along_axis(matrix, places, kept, axis=-1)
    parts = matrix, rng.normal(size=(runs, steps, size)), rng.normal(size=(runs, size))
    return [torch.from_numpy(part).to(dtype) for part in parts]


def one_by_one(matrix, offset, start):
    """Of numpy arrays, of any numbers."""
    states, state = [], start
    for t in range(matrix.shape[1]):
        state = (matrix[:, t] @ state[..., None])[..., 0] + offset[:, t]
        states.append(state)
    return np.stack(states, axis=1)


def bound(matrix, offset, start):
    """What roundings may add up to: each state is a sum of products of A's, and no term of it
    passes more than `deep` products of a matrix, which round it size + 1 times each.

    A matrix of level l has l products behind it, and a
    state is carried through one of every level: 1 + 2 + ... of log2(T) + 1.
    """
    steps, size = matrix.shape[1], matrix.shape[2]
    levels = math.ceil(math.log2(steps)) + 1
    deep = levels * (levels + 1) // 2 + levels
    sizes = one_by_one(*(part.double().abs().numpy() for part in (matrix, offset, start)))
    return torch.finfo(matrix.dtype).eps / 2 * (size + 1) * deep * sizes


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_states_at_once_are_the_states_one_by_one(dtype):
    for shape in SHAPES:
        given = problem(*shape, dtype)
        kept = [part.clone() for part in given]
        found = prefix_scan(*given)
        assert found.shape == shape and found.dtype == dtype
        expected = one_by_one(*(part.double().numpy() for part in given))
        # Two of them: in float64 the reference rounds as well.
        forward = bound(*given) * (dtype == torch.float64)
        assert (np.abs(found.numpy() - expected) <= bound(*given) + forward).all(), shape
        assert all(map(torch.equal, given, kept))  # what is given stays as it is


@pytest.mark.parametrize("shape", [(2, 5, 1), (2, 7, 3), (1, 8, 4)])
def test_the_states_are_the_exact_ones(shape):
    given = problem(*shape)
    exact = one_by_one(*(np.vectorize(Fraction, otypes=[object])(part.numpy()) for part in given))
    distance = np.abs(np.vectorize(Fraction)(prefix_scan(*given).numpy()) - exact).astype(float)
    assert (distance <= bound(*given)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 1, 4), (2, 5, 1), (2, 6, 2), (3, 5, 3), (1, 4, 7)])
def test_whole_numbers_come_out_whole(dtype, shape):
    # Below 2^24: sums of at most 3 (S 3)^T, and of S^T 3^(T + 1).
    rng = np.random.default_rng(1)
    runs, _, size = shape
    whole = [rng.integers(-2, 3, s) for s in ((*shape, size), shape, (runs, size))]
    found = prefix_scan(*(torch.from_numpy(part).to(dtype) for part in whole))
    expected = one_by_one(*whole)
    assert np.abs(expected).max() < 2**24
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("at", [0, 5, 36])
def test_a_state_that_overflows_spoils_neither_those_before_it_nor_the_other_recurrences(dtype, at):
    matrix, offset, start = problem(3, 37, 4, dtype)
    right = prefix_scan(matrix, offset, start)
    tolerance = bound(matrix, offset, start)[1, :at]
    matrix[1, at:] *= torch.finfo(dtype).max ** 0.75  # the second of them is too much
    matrix[1, at] *= torch.finfo(dtype).max ** 0.25
    offset[1, at] = math.inf
    found = prefix_scan(matrix, offset, start)
    assert torch.equal(found[[0, 2]], right[[0, 2]])
    assert (np.abs((found - right)[1, :at].numpy()) <= 2 * tolerance).all()
    assert not torch.isfinite(found[1, at:]).all(dim=-1).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", DTYPES)
def test_on_the_gpu_the_states_are_those_of_the_cpu(dtype):
    given = problem(3, 100, 21, dtype)
    found = prefix_scan(*(part.cuda() for part in given))
    assert found.device.type == "cuda"
    assert (np.abs((found.cpu() - prefix_scan(*given)).numpy()) <= 2 * bound(*given)).all()
