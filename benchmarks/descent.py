"""How fast SGD's learning curve is made, beside peers, and how its cost grows.

    python -m benchmarks.descent

The tutorial's setting: x ~ N(0, 1), y = 0.9 + 0.5 x + 3 x^2 + 2.4 x^3, batches of 32, powers of x,
a rate of 1e-3, float32. Every side draws its batches while it is timed. Models are made, and steps
compiled, before; but of many runs, making them is timed too. All sides in one go, in turn; medians
of the rounds; a ratio is the median of the rounds' own ratios. Prints the tables and draws
docs/pictures/growth.png. Peak memory needs Linux.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.reading import peak_bytes
from polyreg.config import FitConfig, TrainConfig
from polyreg.least_squares.fitting import fit
from polyreg.reports import figures
from polyreg.sgd import kernel, loops, sweep
from polyreg.sgd.descend import descend
from polyreg.sgd.training import Training
from polyreg.tables.rows import InMemory

ROOT = Path(__file__).parent.parent
ROUNDS, GROWTH_ROUNDS = 5, 3
SEEDS = range(10)  # of the runs to the stop
RUNS, RUN_STEPS = 1000, 1024
DEGREE, BATCH, RATE, STOP = 3, 32, 1e-3, 1e-3
SLOPES, BIAS = [0.5, 3.0, 2.4], 0.9
NEVER = 1e-30  # a tolerance that no run in float32 meets


class Ran(NamedTuple):
    """What some runs took, and their steps, all together."""

    seconds: float
    steps: int

    @property
    def microseconds(self) -> float:
        return 1e6 * self.seconds / self.steps


def timed(work: Callable[[], int]) -> Ran:
    start = time.perf_counter()
    steps = work()
    return Ran(time.perf_counter() - start, steps)


# Of a side: makes ready and compiles, as far as it does; then it is called with a seed.
Side = Callable[[int], Ran]


# -- One run, to the first batch whose loss is below 1e-3 -------------------------------------


def tutorial() -> Side:
    slopes = torch.tensor(SLOPES)[:, None]

    def descend(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> int:
        step, loss = 0, np.inf
        while loss >= STOP:
            x = torch.randn(BATCH, 1)
            features = torch.cat([x**i for i in range(1, DEGREE + 1)], 1)
            y = features.mm(slopes) + BIAS
            output = F.mse_loss(model(features), y)
            loss = output.item()
            optimizer.zero_grad()
            output.backward()
            optimizer.step()
            step += 1
        return step

    def run(seed: int) -> Ran:
        torch.manual_seed(seed)
        model = torch.nn.Linear(DEGREE, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        return timed(lambda: descend(model, optimizer))

    return run


def compiled() -> Side:
    slopes = torch.tensor(SLOPES)[:, None]

    def loss_of(weights: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        x = torch.randn(BATCH, 1)
        features = torch.cat([x**i for i in range(1, DEGREE + 1)], 1)
        return F.mse_loss(features @ weights + bias, features @ slopes + BIAS)

    @torch.compile(fullgraph=True)
    def step_from(weights: torch.Tensor, bias: torch.Tensor):
        slope, loss = torch.func.grad_and_value(loss_of, argnums=(0, 1))(weights, bias)
        return weights - RATE * slope[0], bias - RATE * slope[1], loss

    def descend(weights: torch.Tensor, bias: torch.Tensor) -> int:
        step, loss = 0, np.inf
        while loss >= STOP:
            weights, bias, output = step_from(weights, bias)
            step, loss = step + 1, output.item()
        return step

    def run(seed: int) -> Ran:
        torch.manual_seed(seed)
        model = torch.nn.Linear(DEGREE, 1)
        with torch.no_grad():
            return timed(lambda: descend(model.weight.mT.clone(), model.bias.clone()))

    return run


def jax_step() -> Callable:
    """(key, weights, bias)  ->  those after a step, and its loss before"""
    import jax
    import jax.numpy as jnp

    slopes = jnp.array(SLOPES)

    def loss_of(model, x):
        features = jnp.stack([x**i for i in range(1, DEGREE + 1)], 1)
        return jnp.mean((features @ model[0] + model[1] - features @ slopes - BIAS) ** 2)

    def step_from(state):
        key, *model = state
        key, drawn = jax.random.split(key)
        loss, slope = jax.value_and_grad(loss_of)(model, jax.random.normal(drawn, BATCH))
        return (key, *(w - RATE * s for w, s in zip(model, slope, strict=True))), loss

    return step_from


def jax_start(seed: Any) -> tuple:
    """A key, and weights and bias as nn.Linear draws them."""
    import jax

    key, *drawn = jax.random.split(jax.random.key(seed), 3)
    bound = 1 / DEGREE**0.5
    draw = partial(jax.random.uniform, minval=-bound, maxval=bound)
    return key, draw(drawn[0], (DEGREE,)), draw(drawn[1])


def jax_loop() -> Side:
    import jax

    step_from = jax_step()

    @jax.jit
    def descend(start):
        return jax.lax.while_loop(
            lambda carry: carry[1] >= STOP,
            lambda carry: (*step_from(carry[0]), carry[2] + 1),
            (start, np.float32(np.inf), 0),
        )

    def run(seed: int) -> Ran:
        start = jax.block_until_ready(jax_start(seed))
        return timed(lambda: int(jax.block_until_ready(descend(start))[2]))

    return run


def scikit_learn() -> Side:
    from sklearn.linear_model import SGDRegressor

    slopes = np.array(SLOPES, np.float32)

    def batch(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        x = random.standard_normal((BATCH, 1), dtype=np.float32)
        features = np.concatenate([x**i for i in range(1, DEGREE + 1)], 1)
        return features, features @ slopes + np.float32(BIAS)

    def descend(model: Any, random: np.random.Generator) -> int:
        step, loss = 0, np.inf
        while loss >= STOP:
            features, y = batch(random)
            loss = float(np.mean((features @ model.coef_ + model.intercept_ - y) ** 2))
            model.partial_fit(features, y)
            step += 1
        return step

    def run(seed: int) -> Ran:
        random = np.random.default_rng(seed)
        model = SGDRegressor(penalty=None, learning_rate="constant", eta0=RATE)
        model.partial_fit(*batch(random))  # which makes its weights
        return timed(lambda: descend(model, random))

    return run


def config(**options: Any) -> TrainConfig:
    tutorial: dict[str, Any] = {"basis": "monomial", "learning_rate": RATE, "stop": "batch"}
    return TrainConfig(**tutorial | options)


def polyreg(way: type[kernel.Compiled | loops.Loop]) -> Side:
    def run(seed: int) -> Ran:
        training = Training(config(tolerance=STOP, seed=seed))
        return timed(lambda: sum(len(chunk.loss) for chunk in descend(training, way)))

    return run


# -- Many runs of 1,024 steps each ------------------------------------------------------------


def jax_many() -> Side:
    import jax

    step_from = jax_step()

    @jax.jit
    @jax.vmap
    def losses_of(seed):
        return jax.lax.scan(lambda s, _: step_from(s), jax_start(seed), length=RUN_STEPS)[1]

    def run(seed: int) -> Ran:
        seeds = np.arange(RUNS * seed, RUNS * (seed + 1))
        return timed(lambda: jax.block_until_ready(losses_of(seeds)).size)

    return run


def polyreg_many(runs: int = RUNS, steps: int = RUN_STEPS) -> Side:
    def run(seed: int) -> Ran:
        seeds = range(runs * seed, runs * (seed + 1))
        configs = [config(tolerance=NEVER, max_steps=steps, seed=s) for s in seeds]
        ran = timed(lambda: sum(training.curve.steps for training in sweep.train_all(configs)))
        assert ran.steps == runs * steps
        return ran

    return run


# -- Beside each other ------------------------------------------------------------------------

TUTORIAL = "the tutorial's loop, as published"
JAX, JAX_MANY = "jax, `jit` of a `while_loop`", "jax, `jit` of `vmap` of `scan`"
ONE: dict[str, Callable[[], Side]] = {
    TUTORIAL: tutorial,
    "scikit-learn, `SGDRegressor.partial_fit` of a batch: 32 steps, a sample each": scikit_learn,
    "torch, the step by `torch.compile`": compiled,
    JAX: jax_loop,
    "polyreg, step by step (`Loop`)": partial(polyreg, loops.Loop),
    "polyreg": partial(polyreg, kernel.Compiled),
}
MANY: dict[str, Callable[[], Side]] = {
    JAX_MANY: jax_many,
    "polyreg, in blocks": polyreg_many,
}


def ready(make: Callable[[], Side]) -> Side | str:
    """A side that has run once, or why there is none."""
    try:
        side = make()
        side(0)
    except ImportError:
        return "not installed"
    except RuntimeError as error:  # torch.compile's, of a compiler that is missing or fails
        return f"failed: {str(error).splitlines()[0][:80]}"
    return side


def told(name: str, side: Side, seeds: Sequence[int]) -> Ran:
    runs = [side(seed) for seed in seeds]
    ran = Ran(sum(run.seconds for run in runs), sum(run.steps for run in runs))
    print(f"{name}: {ran.seconds:.3f} s, {ran.microseconds:.3g} us a step", file=sys.stderr)
    return ran


def comparison() -> Iterator[str]:
    sides = {name: ready(make) for name, make in (ONE | MANY).items()}
    rounds = [
        {
            name: told(name, side, SEEDS if name in ONE else [i])
            for name, side in sides.items()
            if not isinstance(side, str)
        }
        for i in range(ROUNDS)
    ]

    def ratio(name: str, base: str) -> str:
        if isinstance(sides[base], str):
            return ""
        return f"{median(r[base].microseconds / r[name].microseconds for r in rounds):.3g}"

    yield "| what | steps | µs a step | tutorial's loop / this | jax / this |"
    yield "|--|--|--|--|--|"
    for name, side in sides.items():
        one = name in ONE
        what = f"{'one run to the stop' if one else f'{RUNS:,} runs'}: {name}"
        if isinstance(side, str):
            yield f"| {what} | | {side} | | |"
            continue
        steps = rounds[0][name].steps // (len(SEEDS) if one else RUNS)
        took = median(r[name].microseconds for r in rounds)
        beside = " | ".join(ratio(name, base) for base in (TUTORIAL, JAX if one else JAX_MANY))
        yield f"| {what} | {steps:,} | {took:.3g} | {beside} |"


# -- How the cost grows -----------------------------------------------------------------------


def polyreg_steps(**options: Any) -> Side:
    def run(seed: int) -> Ran:
        # By the gap: a batch's loss may be 0.
        training = Training(config(tolerance=NEVER, seed=seed, stop="gap", **options))
        ran = timed(lambda: sum(len(chunk.loss) for chunk in descend(training)))
        assert ran.steps == training.config.max_steps
        return ran

    return run


def polyreg_fit(rows: int) -> Side:
    """Sums and solution of a `fast` fit of degree 3; its steps are its rows."""

    def run(seed: int) -> Ran:
        random = np.random.default_rng(seed)
        x = random.standard_normal(rows)
        table = InMemory([x], ((2.4 * x + 3.0) * x + 0.5) * x + BIAS)
        asked = FitConfig(data="memory", target="y", degree=DEGREE, precision="fast")
        return timed(lambda: fit(table, asked).nobs)

    return run


PANELS: dict[str, dict[int, Side]] = {
    "steps": {n: polyreg_steps(max_steps=n) for n in (10**3, 10**4, 10**5, 10**6, 10**7, 10**8)},
    "batch size": {
        n: polyreg_steps(batch_size=n, max_steps=max(10, 10**6 // n))
        for n in (1, 10, 100, 1000, 10_000, 100_000)
    },
    "runs of 256 steps": {n: polyreg_many(n, 256) for n in (1, 10, 100, 1000, 10_000)},
    "degree": {
        n: polyreg_steps(
            degree=n, inputs="uniform", basis="legendre", learning_rate="auto", max_steps=2**15
        )
        for n in range(1, 21)
    },
    "rows": {n: polyreg_fit(n) for n in (10**3, 10**4, 10**5, 10**6, 10**7, 10**8)},
}
TITLES = {
    "steps": "one run, degree 3",
    "batch size": "one run, degree 3",
    "runs of 256 steps": "many runs, degree 3",
    "degree": "one run, Legendre, uniform x",
    "rows": "a fit, degree 3",
}
SHOWN_DEGREES = (1, 2, 3, 5, 10, 15, 20)  # in the table


def growth() -> Iterator[str]:
    for side in PANELS["rows"].values():  # until its loops are worth compiling, and are
        side(0)
    rounds = [
        {
            (panel, n): told(f"{panel} {n:,}", side, [seed])
            for panel, sides in PANELS.items()
            for n, side in sides.items()
        }
        for seed in range(GROWTH_ROUNDS)
    ]
    found = {key: median(r[key].microseconds for r in rounds) for key in rounds[0]}
    draw({panel: {n: found[panel, n] for n in sides} for panel, sides in PANELS.items()})
    yield "| polyreg | µs a step, or ns a row | the whole | peak memory above the start |"
    yield "|--|--|--|--|"
    for (panel, n), microseconds in found.items():
        if panel == "degree" and n not in SHOWN_DEGREES:
            continue
        seconds = median(r[panel, n].seconds for r in rounds)
        what = f"{panel} {n:,}" if panel in ("degree", "batch size") else f"{n:,} {panel}"
        peak = f"{peak_of(n):.0f} MB" if panel == "steps" and n in (10**3, 10**7) else ""
        each = 1000 * microseconds if panel == "rows" else microseconds
        yield f"| {what} | {each:.3g} | {seconds:.3g} s | {peak} |"


def peak_of(steps: int) -> float:
    """In fresh processes, MB above what imports took: the median, for it varies by a half."""
    code = f"from benchmarks import descent; print(descent.peak({steps}))"
    command = [sys.executable, "-c", code]
    peaks = []
    for _ in range(GROWTH_ROUNDS):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr}")
        peaks.append(int(done.stdout) / 1e6)
    return median(peaks)


def peak(steps: int) -> int:
    start = peak_bytes()
    polyreg_steps(max_steps=steps)(0)
    return peak_bytes() - start


def draw(found: dict[str, dict[int, float]]) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(9, 6), dpi=110)
    panels: Any = figure.subplots(2, 3)
    panels[1, 2].set_visible(False)
    for axes, (panel, costs) in zip(panels.flat, found.items(), strict=False):
        unit = 1000 if panel == "rows" else 1
        costs = {n: unit * cost for n, cost in costs.items()}
        axes.loglog(costs.keys(), costs.values(), color=figures.LEARNED, lw=1.6, marker="o", ms=4)
        axes.set_title(TITLES[panel], loc="left", color=figures.INK, fontsize=10)
        axes.set_xlabel(panel, color=figures.INK)
        axes.set_ylabel("ns a row" if panel == "rows" else "µs a step", color=figures.INK)
        axes.minorticks_off()
        decades = max(costs.values()) / min(costs.values())
        axes.yaxis.set_major_locator(LogLocator(subs=(1,) if decades > 100 else (1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_ylim(0.4 * min(costs.values()), 2.5 * max(costs.values()))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e4e7eb", linewidth=0.6)
        if panel == "degree":
            axes.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    figure.subplots_adjust(0.08, 0.09, 0.985, 0.95, 0.38, 0.35)
    figure.savefig(ROOT / "docs/pictures/growth.png")


def machine() -> str:
    def named(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"no {package}"

    packages = ", ".join(map(named, ("torch", "jax", "scikit-learn", "numpy")))
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def main() -> None:
    print(f"{machine()}\n")
    for table in (comparison, growth):
        for row in table():
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main()
