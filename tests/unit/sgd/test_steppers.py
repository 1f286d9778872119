"""The compiled loop, and Scan, which takes all steps of a chunk at once, against torch.optim."""

import functools
import itertools
import math
import operator
import tracemalloc
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from polyreg import compiling
from polyreg.config import TrainConfig
from polyreg.polynomials import families
from polyreg.sgd import curve as curve_module
from polyreg.sgd import descend, kernel, loops
from polyreg.sgd.kernel import Compiled
from polyreg.sgd.rates import stable_rate
from polyreg.sgd.training import Training

FAMILIES = ["monomial", "hermite", "legendre", "chebyshev"]
WAYS = [Compiled, loops.Scan]
HIGH = (1.0,) * 10  # a truth of degree 9


@pytest.fixture(params=WAYS)
def way(request) -> type:
    """Both ways that are faster than torch.optim: a CPU's, and a GPU's."""
    return request.param


class Path(NamedTuple):
    """All that some steps did, whatever a stop rule would say."""

    x: Tensor  # (T, B), and y
    y: Tensor
    start: np.ndarray  # (K,)
    loss: np.ndarray  # (T,), and gap
    gap: np.ndarray
    weights: np.ndarray  # (T, K), after each step


def path(steps_of: type, config: TrainConfig, steps: int, device: str = "cpu") -> Path:
    training = Training(config, device)
    start = training.model.weights().cpu().double().numpy()
    x, y = (part[..., 0].cpu() for part in Training(config, device).stream.take(steps))
    stepper, parts = steps_of([training]), []
    size = 1 if steps_of is Compiled else 128  # whose weights are told at the end of a chunk
    for first in range(1, steps + 1, size):
        count = min(size, steps + 1 - first)
        if steps_of is Compiled:
            ((_, chunk),), _ = stepper.measure([training], first, 1)
            loss, weights = chunk.loss, training.weights[None].clone()
        else:
            drawn = (part[None, ..., 0] for part in training.stream.take(count))
            _, (loss,), (weights,) = stepper(*drawn, first)
        parts.append((loss, weights.cpu().double().numpy()))
    loss, weights = map(np.concatenate, zip(*parts, strict=True))
    return Path(x, y, start, loss, training.optimum.gap(weights), weights)


by_loop = functools.cache(functools.partial(path, loops.Loop))


class Sizes(NamedTuple):
    """What the numbers of each step are made of, where nothing cancels.

    Scan goes by the error w - w*, so that the optimum is among it even where w is far smaller.
    """

    weights: np.ndarray  # (T,)
    loss: np.ndarray  # root of the mean square of  sum_k |phi_k| |w_k| + |y|
    gap: np.ndarray  # root of  E (sum_k |phi_k| |w_k|)^2


def sizes(run: Path, config: TrainConfig) -> Sizes:
    optimum = Training(config).optimum
    after = np.maximum(np.abs(run.weights), np.abs(optimum.weights))
    before = np.maximum(np.concatenate([np.abs(run.start)[None], after[:-1]]), after)
    phi = families.design_matrix(run.x.double(), config.family, config.degree).abs().numpy()
    values = (phi @ before[..., None])[..., 0] + run.y.double().abs().numpy()
    means = np.linalg.norm(np.abs(optimum.design) @ after.T, axis=0)
    return Sizes(np.linalg.norm(after, axis=1), np.sqrt((values**2).mean(axis=1)), means)


def assert_same(found: Path, expected: Path, config: TrainConfig) -> None:
    """Each step's loss and gap within 1e-12 of its own value and a floor of (4 eps size)^2.

    1e-12 is what 10,000 steps make of half an eps each. The two add up as the lengths of vectors,
    which losses and gaps are the squares of: of the residuals, and of the error's values.
    """
    size, relative = sizes(expected, config), 1e-12
    eps = np.finfo(np.float64).eps
    for name in ("loss", "gap"):
        a, b = (np.sqrt(getattr(run, name)) for run in (found, expected))
        floor = 4 * eps * getattr(size, name)
        assert (np.abs(a - b) <= relative / 2 * b + floor).all(), name
    far = np.linalg.norm(found.weights - expected.weights, axis=1)
    assert (far <= relative * size.weights).all()


def every_kind() -> list[dict]:
    """Each family, distribution of x and degree; the other options take turns."""
    turns = {
        "momentum": [0.0, 0.5, 0.9],
        "batch_size": [1, 2, 32, 100, 32],
        "noise": [0.0, 0.1],
        "learning_rate": ["auto", "auto", "constant", "auto"],
        "coefficients": [TrainConfig().coefficients] * 6 + [HIGH],
    }
    kinds = itertools.product(FAMILIES, ["normal", "uniform"], [0, 1, 3, 8, 20])
    cases = []
    for i, (family, inputs, degree) in enumerate(kinds):
        case = {"basis": family, "inputs": inputs, "degree": degree, "dtype": "float64"}
        case |= {name: values[i % len(values)] for name, values in turns.items()}
        if case["learning_rate"] == "constant":
            case["learning_rate"] = stable_rate(TrainConfig(**{**case, "learning_rate": "auto"}))
        cases.append(case)
    return cases


def name_of(case) -> str:
    words = [v for v in case.values() if v not in ("float64", HIGH, TrainConfig().coefficients)]
    return "-".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in words)


@pytest.mark.parametrize("case", every_kind(), ids=name_of)
def test_both_go_the_way_of_torch_optim(case, way):
    config = TrainConfig(**case)
    assert_same(path(way, config, 200), by_loop(config, 200), config)


@pytest.mark.parametrize("options", [
    {},
    {"degree": 8, "momentum": 0.9, "batch_size": 2, "noise": 0.1},
    {"degree": 8, "basis": "monomial", "inputs": "uniform", "batch_size": 1},
])  # fmt: skip
def test_after_ten_thousand_steps_it_is_still_there(options, way):
    config = TrainConfig(dtype="float64", **options)
    assert_same(path(way, config, 10_000), by_loop(config, 10_000), config)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [
    {}, {"inputs": "uniform", "degree": 8}, {"noise": 1.0}, {"batch_size": 1}, {"batch_size": 100},
    {"learning_rate": 0.01, "basis": "chebyshev"},
], ids=name_of)  # fmt: skip
def test_adam_goes_the_way_of_torch_optim(options, dtype):
    """To rounding: Adam divides by what may be near 0, so that here and there a step differs."""
    config = TrainConfig(optimizer="adam", dtype=dtype, **options)
    found, expected = path(Compiled, config, 300), by_loop(config, 300)
    size = np.linalg.norm(expected.weights, axis=1)
    far = np.linalg.norm(found.weights - expected.weights, axis=1)
    assert (far <= 300 * np.finfo(dtype).eps * size).all(), (far / size).max()


PYTHON_TOO = [
    {}, {"degree": 0, "noise": 0.1}, {"degree": 8, "momentum": 0.9, "inputs": "uniform"},
    {"basis": "monomial", "learning_rate": 1e-3, "stop": "batch"}, {"optimizer": "adam"},
    {"batch_size": 1}, {"batch_size": 33, "noise": 1.0}, {"degree": 20, "batch_size": 7},
    {"learning_rate": 10.0}, {"degree": 8, "basis": "chebyshev", "inputs": "uniform"},
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", PYTHON_TOO, ids=name_of)
def test_compiled_or_run_by_python_the_loop_has_the_same_digits(options, dtype, monkeypatch):
    """So that a run may begin in Python, and on every processor comes to the same."""
    options = {"max_steps": 40, "tolerance": 1e-9, "dtype": dtype, **options}
    compiled = train(Compiled, **options)
    monkeypatch.setattr(kernel, "compiled", lambda loop: None)
    monkeypatch.setattr(kernel, "is_compiled", lambda loop: False)
    interpreted = train(Compiled, **options)
    assert_one_end(compiled, interpreted)
    for name in ("at", "loss", "gap"):
        assert np.array_equal(getattr(compiled.curve, name), getattr(interpreted.curve, name))
    assert torch.equal(compiled.weights, interpreted.weights)


def test_a_short_run_is_over_before_anything_is_compiled(monkeypatch):
    asked = []
    monkeypatch.setattr(kernel, "compiled", lambda loop: asked.append(loop))
    monkeypatch.setattr(kernel, "is_compiled", lambda loop: False)
    assert train().curve.converged and not asked
    run = train(max_steps=kernel.UNCOMPILED // (32 * 4) + 1, tolerance=1e-20)
    assert asked and not run.curve.converged
    asked.clear()
    train(batch_size=10**4, max_steps=1)
    assert asked


@pytest.mark.parametrize("steps", [1, 100, 4096])
def test_where_chunks_are_cut_does_not_change_a_digit(steps, monkeypatch):
    options = {"max_steps": 5000, "noise": 0.3, "tolerance": 1e-9, "momentum": 0.5}
    whole = train(Compiled, **options)
    monkeypatch.setattr(descend, "CHUNK", steps)
    cut = train(Compiled, **options)
    assert np.array_equal(whole.curve.gap, cut.curve.gap)
    assert whole.stream.state == cut.stream.state


def test_exact_rationals_give_the_same_first_steps():
    """In float64, by fractions: features, residuals, gradient, update, loss."""
    config = TrainConfig(dtype="float64", basis="monomial", learning_rate=0.01, momentum=0.5)
    found = path(Compiled, config, 4)
    batches = zip(found.x.numpy(), found.y.numpy(), strict=True)
    w, v = [Fraction(c) for c in found.start.tolist()], [Fraction(0)] * 4
    for t, (x, y) in enumerate(batches):
        powers = [[Fraction(value) ** k for k in range(4)] for value in x.tolist()]
        pairs = zip(powers, y.tolist(), strict=True)
        r = [sum(map(operator.mul, w, p)) - Fraction(value) for p, value in pairs]
        assert found.loss[t] == pytest.approx(float(sum(e * e for e in r) / 32), rel=1e-14)
        for k in range(4):
            slope = 2 * sum(e * p[k] for e, p in zip(r, powers, strict=True)) / 32
            v[k] = v[k] / 2 + Fraction(0.01) * slope
        w = [a - b for a, b in zip(w, v, strict=True)]
        np.testing.assert_allclose(found.weights[t], [float(c) for c in w], rtol=1e-13)


@pytest.mark.parametrize("optimizer, expected", [
    ("sgd", Compiled), ("adam", Compiled), ("nadam", loops.Loop)
])  # fmt: skip
def test_a_cpu_compiles_what_it_can(optimizer, expected):
    run = train(optimizer=optimizer, max_steps=2)
    assert type(run.stepper) is expected


@pytest.mark.parametrize("optimizer, expected", [("sgd", loops.Scan), ("adam", loops.Loop)])
def test_without_numba_torch_trains_and_one_note_says_so(optimizer, expected, monkeypatch):
    monkeypatch.setattr(compiling, "find_spec", lambda name: None)
    monkeypatch.setattr(compiling, "_missed", set())
    assert not compiling.notes()
    run = train(optimizer=optimizer)
    assert type(run.stepper) is expected and run.curve.converged
    assert run.curve.steps == train(Compiled, optimizer=optimizer).curve.steps
    assert compiling.notes() == [compiling.MISSING] and "pip install numba" in compiling.MISSING


# float32: all round, and what and what counts is how far each is from the answer without rounding.


def answer(run: Path, config: TrainConfig) -> Path:
    """The descent in float64 from run's own start on its own batches, by the formulas."""
    phi = families.design_matrix(run.x.double(), config.family, config.degree).numpy()
    y, batch, optimum = run.y.double().numpy(), config.batch_size, Training(config).optimum
    rates = np.full(len(y), config.constant_rate or np.inf)
    if config.learning_rate == "auto":
        rates = 0.5 / (np.square(phi).sum(axis=(1, 2)) / batch)
        if optimum.residual_variance > config.tolerance / 10:
            curvature = np.linalg.eigvalsh(optimum.design.T @ optimum.design)[0]
            rates = np.minimum(rates, 4 / curvature / np.arange(1, len(y) + 1))
        rates *= 1 - config.momentum
    w, v = run.start, np.zeros_like(run.start)
    loss, weights = np.empty(len(y)), np.empty((len(y), len(w)))
    for t in range(len(y)):
        residual = phi[t] @ w - y[t]
        loss[t] = residual @ residual / batch
        v = config.momentum * v + 2 * rates[t] / batch * (residual @ phi[t])
        w = weights[t] = w - v
    return run._replace(loss=loss, gap=optimum.gap(weights), weights=weights)


def distances(steps_of: type, cases: list[TrainConfig], steps: int) -> tuple:
    """From the answer, of weights, loss and gap: the lengths over all steps of these runs, and
    what a rounding of all the numbers by one eps would be."""
    far, one = [], []
    for config in cases:
        run = by_loop(config, steps) if steps_of is loops.Loop else path(steps_of, config, steps)
        exact = answer(run, config)
        far.append([np.linalg.norm(run.weights - exact.weights),
                    np.linalg.norm(np.sqrt(run.loss) - np.sqrt(exact.loss)),
                    np.linalg.norm(np.sqrt(run.gap) - np.sqrt(exact.gap))])  # fmt: skip
        one.append([np.linalg.norm(size) for size in sizes(exact, config)])
    eps = np.finfo(np.float32).eps
    return np.linalg.norm(far, axis=0), eps * np.linalg.norm(one, axis=0)


WELL_POSED = [
    {"degree": degree, "momentum": momentum, **options}
    for options in ({}, {"inputs": "uniform"}, {"basis": "chebyshev", "inputs": "uniform"})
    for degree, momentum in [(0, 0.0), (1, 0.9), (3, 0.0), (3, 0.9), (8, 0.0), (20, 0.5)]
] + [
    {"basis": "monomial", "degree": 8, "inputs": "uniform"},
    {"degree": 3, "noise": 0.1, "batch_size": 1},
    {"degree": 2},
]  # fmt: skip


@pytest.mark.parametrize("case", WELL_POSED, ids=name_of)
def test_in_float32_both_are_about_as_near_to_the_answer_as_the_loop(case, way):
    cases = [TrainConfig(**case, seed=seed) for seed in range(3)]
    loop, one = distances(loops.Loop, cases, 300)
    scan, _ = distances(way, cases, 300)
    assert (loop <= 4 * math.sqrt(300) * one).all(), loop / one  # what it is the measure of
    # Both are a walk of many roundings, of which the loop's may happen to end near its start:
    # as near as one rounding of the numbers themselves is near enough.
    assert (scan <= 4 * np.maximum(loop, one)).all(), (scan / loop, scan / one)


ILL_POSED = [
    {"basis": "monomial", "learning_rate": 1e-3},  # the tutorial
    {"basis": "monomial", "degree": 8},
    {"basis": "monomial", "degree": 20, "inputs": "uniform"},
    {"basis": "hermite", "degree": 8, "inputs": "uniform"},
    {"basis": "hermite", "degree": 20, "inputs": "uniform", "momentum": 0.9},
    {"basis": "chebyshev", "degree": 8, "momentum": 0.9},
    {"basis": "legendre", "degree": 20},
    {"basis": "monomial", "degree": 8, "coefficients": HIGH},
    {"basis": "hermite", "degree": 8, "coefficients": HIGH, "momentum": 0.9},
    {"basis": "hermite", "degree": 19, "coefficients": (1.0,) * 21},
]


@pytest.mark.parametrize("case", ILL_POSED, ids=name_of)
def test_in_float32_neither_errs_more_than_one_rounding_of_the_optimum_a_step(case, way):
    cases = [TrainConfig(**case, seed=seed) for seed in range(3)]
    steps = 300
    loop, _ = distances(loops.Loop, cases, steps)
    scan, one = distances(way, cases, steps)
    # A random walk of one rounding of each number a step.
    assert (scan <= 4 * np.maximum(loop, math.sqrt(steps) * one)).all(), (scan / loop, scan / one)


# Ends


def train(steps_of=None, **options) -> Training:
    training = Training(TrainConfig(**options))
    for _ in descend.descend_together([training], steps_of):
        pass
    return training


@functools.cache
def loops_run(config: TrainConfig) -> Training:
    return train(loops.Loop, **vars(config))


def both(way, monkeypatch, **options) -> list[Training]:
    """The way's run and the loop's; a scan would go on to the end of a longer first chunk."""
    monkeypatch.setattr(descend, "FIRST_SCAN", 128)
    return [train(way, **options), loops_run(TrainConfig(**options))]


def assert_one_end(a: Training, b: Training) -> None:
    assert a.curve.steps == b.curve.steps and a.curve.converged == b.curve.converged
    assert str(a.diverged) == str(b.diverged)
    assert a.curve.domain == b.curve.domain
    assert a.curve.rate == pytest.approx(b.curve.rate, rel=1e-14, nan_ok=True)


@pytest.mark.parametrize("stop", ["gap", "batch"])
@pytest.mark.parametrize("options", [
    {},
    {"degree": 8, "inputs": "uniform", "momentum": 0.9},
    {"basis": "monomial", "learning_rate": 1e-3},
    {"noise": 0.01, "batch_size": 1},
    {"degree": 0, "coefficients": (2.0,), "noise": 0.01},
    {"basis": "chebyshev", "inputs": "uniform", "tolerance": 1e-20},
    {"tolerance": 1e300},
], ids=name_of)  # fmt: skip
def test_the_stop_rule_ends_both_at_one_step(options, stop, way, monkeypatch):
    runs = both(way, monkeypatch, dtype="float64", stop=stop, **options)
    assert runs[0].curve.converged
    assert_one_end(*runs)
    scan, loop = (run.model.weights() for run in runs)
    assert torch.linalg.vector_norm(scan - loop) <= 1e-12 * torch.linalg.vector_norm(loop)


@pytest.mark.parametrize("max_steps", [1, 128, 129])
def test_the_steps_used_up_end_both_at_one_step(max_steps, way, monkeypatch):
    options = {"dtype": "float64", "max_steps": max_steps, "tolerance": 1e-300, "noise": 1.0}
    runs = both(way, monkeypatch, **options)
    assert runs[0].curve.steps == max_steps and not runs[0].curve.converged
    assert_one_end(*runs)


DIVERGING = [  # and how many times the stable rate; the first is noticed late
    ({"degree": 8, "inputs": "uniform", "noise": 0.1}, 1.5),
    ({"degree": 3, "basis": "monomial"}, 3),
    ({"degree": 20, "inputs": "uniform", "batch_size": 2}, 3),
    ({"degree": 5, "basis": "legendre", "momentum": 0.9}, 30),
    ({"degree": 8, "basis": "chebyshev", "noise": 0.1}, 1e6),
    ({"degree": 20, "basis": "hermite"}, 1e18),
    ({"degree": 20, "basis": "monomial", "batch_size": 1}, 1e36),
    ({"degree": 0, "noise": 0.1}, 1.5),
    ({"degree": 1, "momentum": 0.5}, 1e15),
]


@pytest.mark.parametrize("options, factor", DIVERGING, ids=lambda v: str(v)[:60])
def test_divergence_is_noticed_at_one_step(options, factor, way, monkeypatch):
    stable = stable_rate(TrainConfig(**options))
    rate = min(factor * stable, 1e15)
    shared = {"dtype": "float64", "tolerance": 1e-12, "max_steps": 2000, "learning_rate": rate}
    runs = both(way, monkeypatch, **shared, **options)
    assert runs[0].diverged and f"step {runs[0].curve.steps + 1}:" in str(runs[0].diverged)
    assert_one_end(*runs)
    for run in runs:
        assert np.isfinite([run.curve.loss, run.curve.gap]).all()
    found = runs[0].model.weights()
    assert torch.isfinite(found).all()
    if runs[0].curve.steps:
        gap = float(runs[0].optimum.gap(found.numpy()))
        assert gap == pytest.approx(runs[0].curve.gap[-1], rel=1e-12) and gap <= runs[0].limit
        np.testing.assert_allclose(runs[0].curve.loss, runs[1].curve.loss, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [3, 1e4, 1e15])
@pytest.mark.parametrize("degree", [3, 8, 20])
def test_nothing_that_is_kept_of_a_diverging_run_is_not_finite(degree, factor, dtype, way):
    rate = min(factor * stable_rate(TrainConfig(degree=degree, inputs="uniform")), 1e15)
    run = train(way, degree=degree, inputs="uniform", learning_rate=rate, dtype=dtype, momentum=0.5)
    assert run.diverged
    assert np.isfinite([run.curve.loss, run.curve.gap]).all()
    assert torch.isfinite(run.model.weights()).all()


@pytest.mark.parametrize("options", [
    {"degree": 20, "batch_size": 1},
    {"degree": 20, "batch_size": 1, "momentum": 0.9, "basis": "monomial"},
    {"coefficients": (1e15,) * 4},
    {"coefficients": (1e15,) * 21, "degree": 20, "dtype": "float64"},
    {"coefficients": (0.0,)},
    {"tolerance": 1e-300},
    {"noise": 1e15},
    {"learning_rate": 1e-300},
    {"batch_size": 10**5, "max_steps": 30},
], ids=lambda o: str(o)[:60])  # fmt: skip
def test_extreme_options_train_on_finite_numbers(options, way):
    run = train(way, **{"max_steps": 1500, **options})
    assert not run.diverged and run.curve.steps > 0
    assert np.isfinite([run.curve.loss, run.curve.gap]).all()
    assert torch.isfinite(run.model.weights()).all()


@pytest.mark.parametrize(
    "options", [{"optimizer": "adam"}, {"optimizer": "nadam"}, {"steps_of": loops.Loop}]
)
def test_a_loop_that_goes_on_through_its_chunk_leaves_the_model_before_divergence(options):
    run = train(learning_rate=1e15, **options)
    assert run.diverged and run.curve.steps == 0
    assert torch.equal(run.model.weights(), Training(run.config).model.weights())


def test_a_step_that_leaves_float32_at_once_is_a_divergence(way):
    # Overflow less overflow is nan, which is not above any limit.
    options = {"coefficients": (1e15,) * 21, "degree": 19}
    run = train(way, learning_rate=1e15, **options)
    assert "step 1:" in str(run.diverged) and run.curve.steps == 0


# Several runs at once


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [
    {}, {"degree": 8, "momentum": 0.9}, {"degree": 20, "batch_size": 2}
], ids=name_of)  # fmt: skip
def test_together_each_run_is_what_it_is_alone(options, dtype):
    own = [
        {},
        {"seed": 1, "noise": 0.1},
        {"seed": 2, "learning_rate": 0.05},
        {"seed": 3, "learning_rate": 1.0},  # diverges
        {"seed": 4, "coefficients": (1.0, 2.0)},
        {"seed": 5, "coefficients": HIGH, "learning_rate": 1e-4},
    ]
    shared = {"dtype": dtype, "max_steps": 3000, "tolerance": 1e-6, **options}
    together = [Training(TrainConfig(**shared, **o)) for o in own]
    seen: dict[int, list[curve_module.Chunk]] = {id(t): [] for t in together}
    for training, chunk in descend.descend_together(together):
        seen[id(training)].append(chunk)
    assert len({t.curve.steps for t in together}) > 2  # they end one by one
    assert together[3].diverged and together[3].curve.steps < 100
    for training, o in zip(together, own, strict=True):
        alone = train(**shared, **o)
        assert_one_end(training, alone)
        for name in ("at", "loss", "gap"):
            assert np.array_equal(getattr(training.curve, name), getattr(alone.curve, name))
        assert torch.equal(training.model.weights(), alone.model.weights())
        # What was yielded, in whatever order among the runs, is that run's curve.
        chunks = seen[id(training)]
        firsts = np.cumsum([1] + [len(c.gap) for c in chunks])
        assert [c.first for c in chunks] == firsts[:-1].tolist()
        assert np.array_equal(np.concatenate([c.gap for c in chunks]), alone.curve.gap)
        assert [c.converged for c in chunks[:-1]] == [False] * (len(chunks) - 1)


def test_the_order_of_the_runs_does_not_matter():
    own = [{"seed": 1}, {"seed": 2, "learning_rate": 1.0}, {"seed": 3, "noise": 0.5}]
    ends = []
    for order in itertools.permutations(range(3)):
        runs = {i: Training(TrainConfig(max_steps=1500, **own[i])) for i in order}
        for _ in descend.descend_together(list(runs.values())):
            pass
        ends.append([(r.curve.steps, *r.model.weights().tolist()) for _, r in sorted(runs.items())])
    assert all(end == ends[0] for end in ends)


# Long curves


def stretch(first: int, count: int, rate: float = 0.1) -> curve_module.Chunk:
    at = np.arange(first, first + count, dtype=float)
    return curve_module.Chunk(first, 1 / at, 2 / at, -float(first), float(first), rate, False)


@pytest.mark.parametrize("steps", [1, 100, 101, 1000, 12_345, 100_000])
def test_a_curve_keeps_the_early_steps_and_the_last_and_is_bounded(steps, monkeypatch):
    monkeypatch.setattr(curve_module, "KEPT", 100)
    rng, curve = np.random.default_rng(steps), curve_module.Curve()
    while curve.steps < steps:
        count = min(int(rng.integers(1, 50)), steps - curve.steps)
        curve.append(stretch(curve.steps + 1, count, rate=1 / (curve.steps + 1)))
        at = curve.at
        assert len(at) <= 101 and at[-1] == curve.steps
        assert np.array_equal(at[:50], np.arange(1, 51)[: curve.steps])
        assert np.array_equal(curve.loss, 1 / at) and np.array_equal(curve.gap, 2 / at)
    later = np.diff(at[50:-1])
    assert set(later[1:].tolist()) <= {later[-1]} if len(later) > 1 else True
    assert len(at) >= min(steps, 70)  # at least half of what is not early, when just thinned
    assert curve.steps == steps and curve.rate == 1
    assert curve.domain[0] == -curve.domain[1] < 0


def test_a_million_steps_take_no_more_memory_than_a_few(monkeypatch):
    monkeypatch.setattr(curve_module, "KEPT", 2**13)
    curve, first = curve_module.Curve(), 1
    tracemalloc.start()
    for first in range(1, 10**6, 4096):
        curve.append(stretch(first, 4096))
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Three rows of KEPT float64 in parts, and the last chunk's; at most some copies of them.
    assert held < 2 * 3 * 8 * curve_module.KEPT and peak < 8 * 3 * 8 * curve_module.KEPT
    assert curve.steps == first + 4095 and len(curve.at) <= curve_module.KEPT + 1


def test_a_long_run_has_a_bounded_curve_that_ends_where_the_model_is(monkeypatch):
    monkeypatch.setattr(curve_module, "KEPT", 2**13)
    monkeypatch.setattr(descend, "CHUNK", 2**12)
    options = {"degree": 0, "batch_size": 1, "noise": 1.0, "tolerance": 1e-15}
    run = train(max_steps=100_001, **options)
    at = run.curve.at
    assert len(at) <= curve_module.KEPT + 1 and at[-1] == run.curve.steps == 100_001
    assert np.array_equal(at[: 2**12], np.arange(1, 2**12 + 1))
    gap = float(run.optimum.gap(run.model.weights().double().numpy()))
    assert gap == pytest.approx(run.curve.gap[-1], rel=1e-12)
    monkeypatch.undo()
    whole = train(max_steps=100_001, **options).curve
    assert np.array_equal(whole.gap[at - 1], run.curve.gap)
    assert whole.domain == run.curve.domain


def test_chunks_are_small_beside_a_curve():
    # A curve is thinned once a chunk: half of what it keeps has to be room for one.
    assert 2 * descend.CHUNK <= curve_module.KEPT


# Known to fail


@pytest.mark.parametrize("rate", [1e-3, 1e-5, 1e-8])
def test_in_float32_a_small_rate_goes_as_far_as_with_the_loop(rate, way):
    cases = [TrainConfig(learning_rate=rate, seed=seed) for seed in range(3)]
    loop, one = distances(loops.Loop, cases, 300)
    scan, _ = distances(way, cases, 300)
    assert (scan <= 4 * np.maximum(loop, one)).all(), (scan / loop, scan / one)


@pytest.mark.parametrize("steps_of", [*WAYS, loops.Loop])
def test_the_largest_coefficients_have_finite_losses_in_float32(steps_of):
    run = train(steps_of, coefficients=(1e15,) * 21, degree=20, max_steps=50)
    assert np.isfinite(run.curve.loss).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("case", every_kind()[::3], ids=name_of)
def test_on_the_gpu_a_scan_goes_the_way_of_the_cpu(case):
    config = TrainConfig(**case)
    there = path(loops.Scan, config, 300, "cuda")
    assert_same(there, path(Compiled, config, 300), config)
