import numpy as np
import pytest
import torch

from polyreg.config import TrainConfig
from polyreg.sgd.stream import Randomness, Stream, sha256


def stream(**options):
    config = TrainConfig(**options)
    return Stream(config, Randomness.of(config.seed))


def test_y_is_the_polynomial_of_x():
    x, y = stream(coefficients=(1.0, -2.0, 0.5), dtype="float64").take(3)
    assert x.shape == y.shape == (3, 32, 1)
    torch.testing.assert_close(y, 1 - 2 * x + 0.5 * x**2, rtol=1e-14, atol=1e-14)


def test_equal_seeds_give_equal_bits_and_others_do_not():
    (xa, ya), (xb, yb), (xc, _) = (stream(seed=s, noise=0.3).take(5) for s in (0, 0, 1))
    assert torch.equal(xa, xb) and torch.equal(ya, yb)
    assert not torch.equal(xa, xc)


def test_how_many_steps_are_taken_at_once_does_not_change_the_numbers():
    whole = stream(noise=1.0).take(6)
    parts = stream(noise=1.0)
    pieces = [parts.take(n) for n in (1, 2, 3)]
    for k in (0, 1):
        assert torch.equal(whole[k], torch.cat([p[k] for p in pieces]))


def test_float32_is_float64_rounded():
    for wide, narrow in zip(stream(dtype="float64").take(4), stream().take(4), strict=True):
        assert torch.equal(wide.float(), narrow)


def test_noise_moves_y_by_its_standard_deviation_and_leaves_x():
    (x, clean), (same, noisy) = (stream(noise=s, dtype="float64").take(1000) for s in (0.0, 0.5))
    assert torch.equal(x, same)
    noise = (noisy - clean).flatten()
    # The standard error of a standard deviation from n samples is sd / sqrt(2 n).
    assert abs(float(noise.std()) - 0.5) < 4 * 0.5 / np.sqrt(2 * len(noise))
    assert abs(float(noise.mean())) < 4 * 0.5 / np.sqrt(len(noise))


@pytest.mark.parametrize("inputs, variance, fourth", [("normal", 1, 3), ("uniform", 1 / 3, 1 / 5)])
def test_inputs_have_their_distributions_moments(inputs, variance, fourth):
    x = stream(inputs=inputs, dtype="float64").take(3000)[0].flatten().numpy()
    n = len(x)
    assert abs(np.mean(x)) < 4 * np.sqrt(variance / n)
    assert abs(np.mean(x**2) - variance) < 4 * np.sqrt((fourth - variance**2) / n)
    assert inputs == "normal" or np.abs(x).max() <= 1


def test_the_hash_tells_data_apart_and_nothing_else():
    base = sha256(TrainConfig())
    assert base == sha256(TrainConfig(batch_size=7, dtype="float64", degree=5, max_steps=9))
    for other in ({"seed": 1}, {"noise": 0.1}, {"inputs": "uniform"}, {"coefficients": (1.0,)}):
        assert sha256(TrainConfig(**other)) != base


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_sees_the_same_numbers():
    config = TrainConfig(noise=0.3)
    on_gpu = Stream(config, Randomness.of(0), "cuda").take(4)
    for here, there in zip(stream(noise=0.3).take(4), on_gpu, strict=True):
        assert torch.equal(here, there.cpu())
