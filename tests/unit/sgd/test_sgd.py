import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from polyreg.config import TrainConfig
from polyreg.errors import Diverged
from polyreg.polynomials import families
from polyreg.polynomials.module import PolynomialModel
from polyreg.sgd import descend, rates, stream
from polyreg.sgd.optimum import Optimum
from polyreg.sgd.training import Training

SEEDS = 20
OTHERS = ["adam", "adamw", "rmsprop", "adagrad", "nadam"]  # than SGD


def train(device: str = "cpu", way=None, **options):
    """The curve and the model of a run, without tracking."""
    training = Training(TrainConfig(**options), device)
    for _ in descend.descend(training, way):
        pass
    return training.curve, training.model


def tutorial(learning_rate: float, tolerance: float, seed: int):
    """The tutorial's loop, on the stream's batches and the model's initial weights."""
    config = TrainConfig(basis="monomial", seed=seed)
    random = stream.Randomness.of(seed)
    weights = PolynomialModel(config).initialize(random.weights).weights()
    batches = stream.Stream(config, random)
    fc = torch.nn.Linear(3, 1)
    fc.bias.data, fc.weight.data = weights[:1].clone(), weights[None, 1:].clone()
    optimizer = torch.optim.SGD(fc.parameters(), lr=learning_rate)
    losses = []
    while True:
        x, y = (tensor[0] for tensor in batches.take(1))
        output = F.mse_loss(fc(torch.cat([x, x**2, x**3], dim=1)), y)
        optimizer.zero_grad()
        output.backward()
        optimizer.step()
        losses.append(output.item())
        if losses[-1] < tolerance:
            return np.array(losses), torch.cat([fc.bias, fc.weight[0]]).detach()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_tutorials_options_are_the_tutorial(seed):
    losses, weights = tutorial(1e-3, 1e-3, seed)
    curve, model = train(basis="monomial", learning_rate=1e-3, stop="batch", seed=seed)
    assert curve.steps == len(losses) > 500
    # The two round differently (x^3 by a power, by products). Rounding y, of size up to |y|, by eps
    # moves a squared residual by 2 sqrt(loss) eps |y|; the descent forgets old roundings.
    eps, size = np.finfo(np.float32).eps, 300
    bound = 2 * np.sqrt(losses) * eps * size + (eps * size) ** 2 + 8 * eps * losses
    assert (np.abs(curve.loss - losses) <= bound).all()
    torch.testing.assert_close(model.weights(), weights, rtol=0, atol=64 * eps)
    assert curve.loss[-1] < 1e-3 <= curve.loss[:-1].min()
    assert curve.converged


@pytest.mark.parametrize("degree", range(9))
def test_every_degree_converges_with_the_defaults_on_normal_inputs(degree):
    steps = 20_000
    for seed in range(SEEDS):
        curve, _ = train(degree=degree, seed=seed, max_steps=steps)
        assert curve.converged and curve.gap[-1] < 1e-3 <= curve.gap[:-1].min(initial=np.inf)


@pytest.mark.parametrize("degree", range(1, 21))
def test_every_degree_converges_with_the_defaults_on_uniform_inputs(degree):
    for seed in range(SEEDS):
        curve, _ = train(degree=degree, seed=seed, inputs="uniform", max_steps=20_000)
        assert curve.converged and curve.gap[-1] < 1e-3


def test_noise_does_not_keep_it_from_the_optimum():
    for seed in range(SEEDS):
        assert train(noise=0.5, seed=seed, max_steps=20_000)[0].converged


@pytest.mark.parametrize("degree", [1, 2])
def test_auto_falls_towards_the_optimum_where_a_constant_rate_hovers(degree):
    # No stop: the tolerance is out of reach. E gap at step t is about 16/7 ... 64/15 times
    # tr(E r^2 phi phi^T) / (B t), r what the best polynomial leaves.
    gaps = [
        train(degree=degree, noise=0.0, tolerance=1e-9, seed=s, max_steps=4000)[0].gap
        for s in range(5)
    ]
    early, late = (
        np.mean([g[span] for g in gaps]) for span in (slice(400, 800), slice(3200, 4000))
    )
    assert late < early / 2  # 1/t: six times less
    constant = [
        train(degree=degree, learning_rate=0.05, tolerance=1e-9, seed=s, max_steps=2000)[0].gap
        for s in range(5)
    ]
    assert np.mean([g[1000:] for g in constant]) > 5 * late


@pytest.mark.parametrize("degree", [8, 12, 20])
def test_with_auto_no_batch_throws_the_weights_away(degree):
    # In the orthonormal family the gap is the squared distance of the weights, and each step of
    # `auto` contracts: it never grows, however heavy the tail of a batch.
    gap = train(degree=degree, dtype="float64", max_steps=2000, tolerance=1e-6)[0].gap
    assert (np.diff(gap) <= 1e-12 * gap[:-1]).all()


@pytest.mark.parametrize("momentum", [0.5, 0.9])
@pytest.mark.parametrize("degree", [3, 8])
def test_momentum_converges_too(degree, momentum):
    for seed in range(5):
        curve, _ = train(degree=degree, momentum=momentum, seed=seed, max_steps=20_000)
        assert curve.converged


@pytest.mark.parametrize("options", [{}, {"noise": 0.5}, {"degree": 2}])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad", "nadam"])
def test_the_others_converge_with_auto_too(optimizer, options):
    for seed in range(3):
        assert train(optimizer=optimizer, seed=seed, max_steps=20_000, **options)[0].converged


@pytest.mark.parametrize("scale", [0, 1e-3, 1e6])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "adagrad", "nadam"])
def test_the_rate_of_auto_goes_with_the_size_of_y(optimizer, scale):
    truth = tuple(scale * c for c in (0.9, 0.5, 3.0, 2.4))
    curve, _ = train(
        optimizer=optimizer, coefficients=truth, tolerance=1e-3 * (scale or 1e-3) ** 2,
        dtype="float64", max_steps=5000,
    )  # fmt: skip
    assert curve.converged


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_rmsprop_with_momentum_converges_too(momentum):
    for options in ({}, {"inputs": "uniform"}, {"noise": 0.5}):
        assert train(optimizer="rmsprop", momentum=momentum, max_steps=5000, **options)[0].converged


def test_adamw_comes_close_although_its_weights_decay():
    for options in ({"inputs": "uniform"}, {"noise": 0.5}):
        curve, _ = train(optimizer="adamw", max_steps=5000, **options)
        assert curve.converged
    # Where Adam, which has no decay, is at the optimum, the decay holds AdamW off it.
    ends = [
        train(optimizer=name, tolerance=1e-12, max_steps=300)[0].gap[-100:]
        for name in ("adamw", "adam")
    ]
    assert ends[0].min() > 1e-3 > 1e-6 > ends[1].max()
    # Weights of more than 100 it never reaches; the rate is held to what that allows.
    held, _ = train(optimizer="adamw", coefficients=(0.0, 1e6), max_steps=2000)
    assert not held.converged and held.gap[-1] < 1.01 * 1e12


LOOPED = [(name, 0.0) for name in OTHERS] + [("rmsprop", 0.9)]


@pytest.mark.parametrize("learning_rate", [0.02, "auto"])
@pytest.mark.parametrize("optimizer, momentum", LOOPED)
def test_the_others_are_torch_optims_own_on_the_same_batches(optimizer, momentum, learning_rate):
    options = {"dtype": "float64", "max_steps": 50, "tolerance": 1e-12, "noise": 0.1}
    options |= {"optimizer": optimizer, "momentum": momentum, "learning_rate": learning_rate}
    config = TrainConfig(**options)
    random = stream.Randomness.of(0)
    w = PolynomialModel(config).initialize(random.weights).weights().detach().requires_grad_()
    batches = stream.Stream(config, random)
    kinds = {"adam": "Adam", "adamw": "AdamW", "nadam": "NAdam"}
    kinds |= {"rmsprop": "RMSprop", "adagrad": "Adagrad"}
    more = {"momentum": momentum} if momentum else {}
    own = getattr(torch.optim, kinds[optimizer])([w], lr=0.02, **more)
    # E y^2 of 0.9 + 0.5 x + 3 x^2 + 2.4 x^3 and noise 0.1: in Hermite's polynomials the squares.
    size = np.sqrt(3.9**2 + 7.7**2 + 2 * 3**2 + 6 * 2.4**2 + 0.01 + 4 / 9)
    losses = []
    for t in range(1, 51):
        x, y = (tensor[0] for tensor in batches.take(1))
        if learning_rate == "auto":
            c, power = {"rmsprop": (0.02, 0.75), "adagrad": (0.2, 0)}.get(optimizer, (0.05, 0.75))
            own.param_groups[0]["lr"] = c * size * (1 - momentum) / (1 + t / 100) ** power
        own.zero_grad()
        loss = F.mse_loss(families.design_matrix(x[:, 0], config.family, 3) @ w, y[:, 0])
        loss.backward()
        own.step()
        losses.append(loss.item())
    curve, model = train(**options)
    np.testing.assert_allclose(curve.loss, losses, rtol=1e-8)
    torch.testing.assert_close(model.weights(), w.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("optimizer", OTHERS)
def test_the_others_divergence_names_them(optimizer):
    with pytest.raises(descend.Diverged, match=f"(?i)large for {optimizer};") as e:
        train(optimizer=optimizer, learning_rate=1e12)
    assert "stable" not in str(e.value)


@pytest.mark.parametrize("learning_rate, momentum", [(1e-3, 0.9), (0.05, 0.0), ("auto", 0.9)])
def test_the_loop_is_torch_optims_own_step(learning_rate, momentum):
    """One step by hand: v <- m v + g, w <- w - lr v, in float64."""
    options = {"dtype": "float64", "max_steps": 50, "tolerance": 1e-12, "noise": 0.1}
    config = TrainConfig(learning_rate=learning_rate, momentum=momentum, **options)
    random = stream.Randomness.of(0)
    w = PolynomialModel(config).initialize(random.weights).weights()
    batches, v = stream.Stream(config, random), torch.zeros(4, dtype=torch.float64)
    losses = []
    for t in range(1, 51):
        x, y = (tensor[0] for tensor in batches.take(1))
        phi = families.design_matrix(x[:, 0], config.family, 3)
        residual = phi @ w - y[:, 0]
        losses.append(float(residual.square().mean()))
        gradient = 2 * phi.T @ residual / len(y)
        if learning_rate == "auto":
            rate = min(0.5 / float(phi.square().sum() / len(y)), 4 / t)
            v = momentum * v + rate * (1 - momentum) * gradient
            w = w - v
        else:
            v = momentum * v + gradient
            w = w - learning_rate * v
    curve, model = train(learning_rate=learning_rate, momentum=momentum, **options)
    np.testing.assert_allclose(curve.loss, losses, rtol=1e-10)
    torch.testing.assert_close(model.weights(), w, rtol=1e-12, atol=1e-12)


def test_the_first_steps_rate_is_what_auto_became():
    config = TrainConfig()
    x, _ = stream.Stream(config, stream.Randomness.of(0)).take(1)
    trace = families.design_matrix(x[0, :, 0].double(), "hermite", 3).square().sum() / 32
    assert train()[0].rate == pytest.approx(float(0.5 / trace), rel=1e-5)
    assert train(learning_rate=0.1)[0].rate == 0.1


def test_equal_seeds_give_equal_curves_and_seed_zero_is_a_seed():
    (a, ma), (b, mb), (c, _) = (train(seed=s) for s in (0, 0, 1))
    assert np.array_equal(a.loss, b.loss) and torch.equal(ma.weights(), mb.weights())
    assert a.loss[0] != c.loss[0]


def test_the_chunks_do_not_show_in_the_numbers(monkeypatch):
    whole, _ = train(degree=5)
    monkeypatch.setattr(descend, "CHUNK", 7)
    parts, _ = train(degree=5)
    assert np.array_equal(whole.gap, parts.gap) and np.array_equal(whole.loss, parts.loss)


def test_the_model_is_left_at_the_step_that_met_the_rule():
    curve, model = train(degree=4)
    gap = Optimum.of(TrainConfig(degree=4)).gap(model.weights().double().numpy())
    # Alone and among a chunk's others, the product may be summed in another order.
    assert float(gap) == pytest.approx(curve.gap[-1], rel=1e-14) and gap < 1e-3
    assert curve.gap[-2] > 1e-3


def test_steps_used_up_end_without_convergence():
    curve, _ = train(max_steps=5)
    assert curve.steps == 5 and not curve.converged


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("learning_rate", [1.0, 1e10, 1e15])
def test_divergence_stops_at_once_and_names_the_largest_stable_rate(learning_rate, dtype):
    with pytest.raises(Diverged, match=r"largest stable rate, 0\.217 ") as diverged:
        train(learning_rate=learning_rate, dtype=dtype)
    step = int(str(diverged.value).split("step ")[1].split(":")[0])
    assert step < 200
    assert step == 1 or learning_rate == 1.0


def test_what_was_measured_before_divergence_is_finite_and_kept():
    training = Training(TrainConfig(learning_rate=1.0))
    with pytest.raises(Diverged):
        list(descend.descend(training))
    curve = training.curve
    assert curve.steps > 5
    assert np.isfinite(curve.loss).all() and np.isfinite(curve.gap).all()
    assert torch.isfinite(training.model.weights()).all()


TABLE = {  # NUMERICS of the design: mean-square bounds at batch 32, to two digits
    ("normal", "monomial"): {3: 2.7e-2, 4: 1.4e-3, 5: 4.3e-5, 6: 1.0e-6, 8: 3.3e-10},
    ("normal", "hermite"): {3: 2.2e-1, 4: 3.8e-2, 5: 5.3e-3, 6: 6.9e-4, 8: 1.1e-5, 10: 1.7e-7},
    ("uniform", "legendre"): {3: 0.82, 4: 0.73, 5: 0.65, 6: 0.58, 8: 0.45, 10: 0.35},
}


@pytest.mark.parametrize("inputs, family", TABLE)
def test_the_stable_rate_is_the_published_one(inputs, family):
    for degree, rate in TABLE[inputs, family].items():
        found = rates.stable_rate(TrainConfig(degree=degree, inputs=inputs, basis=family))
        assert found == pytest.approx(rate, rel=0.05)


def mean_square_growth(config: TrainConfig, rate: float) -> float:
    """Spectral radius of  M -> E[F M F^T],  F one step of SGD with momentum on (w, v), densely."""
    terms, m, batch = config.degree + 1, config.momentum, config.batch_size
    nodes, mass = families.quadrature(config.inputs, 2 * terms)
    phi = families.design_matrix(torch.from_numpy(nodes), config.family, config.degree).numpy()
    grams = [np.outer(p, p) for p in phi]
    mean = sum(v * g for v, g in zip(mass, grams, strict=True))
    second = sum(v * np.kron(g, g) for v, g in zip(mass, grams, strict=True)) / batch
    second += (1 - 1 / batch) * np.kron(mean, mean)
    # F = P + G-part: w' = w - lr (m v + 2 G w), v' = m v + 2 G w.
    fixed = np.block([[np.eye(terms), -rate * m * np.eye(terms)],
                      [np.zeros((terms, terms)), m * np.eye(terms)]])  # fmt: skip
    lift = np.vstack([-2 * rate * np.eye(terms), 2 * np.eye(terms)])
    pick = np.hstack([np.eye(terms), np.zeros((terms, terms))])
    drift = lift @ mean @ pick
    operator = np.kron(fixed, fixed) + np.kron(fixed, drift) + np.kron(drift, fixed)
    operator += np.kron(lift, lift) @ second @ np.kron(pick, pick)
    return np.abs(np.linalg.eigvals(operator)).max()


@pytest.mark.parametrize("family, batch", [("hermite", 4), ("monomial", 32), ("chebyshev", 1)])
def test_the_stable_rate_is_where_mean_squares_stop_shrinking(family, batch):
    config = TrainConfig(degree=2, basis=family, batch_size=batch)
    rate = rates.stable_rate(config)
    assert mean_square_growth(config, 0.99 * rate) < 1 < mean_square_growth(config, 1.01 * rate)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_with_momentum_the_named_rate_is_stable_and_close_to_the_largest(momentum):
    config = TrainConfig(degree=2, momentum=momentum, batch_size=4)
    rate = rates.stable_rate(config)
    assert mean_square_growth(config, 0.99 * rate) < 1 < mean_square_growth(config, 2 * rate)


def test_an_unbounded_run_keeps_bounded_chunks():
    config = TrainConfig(batch_size=10**5, max_steps=30, tolerance=1e-12, noise=1.0)
    for chunk in itertools.islice(descend.descend(Training(config)), 3):
        assert len(chunk.loss) * config.batch_size * 5 <= descend.CHUNK_NUMBERS


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", [{}, {"degree": 8}, {"optimizer": "adam"}, {"momentum": 0.9}])
def test_the_gpu_trains_to_the_same_answer(options):
    here, _ = train(dtype="float64", **options)
    there, model = train(device="cuda", dtype="float64", **options)
    assert there.steps == here.steps
    np.testing.assert_allclose(there.loss, here.loss, rtol=1e-8)
    assert model.weights().device.type == "cuda"
