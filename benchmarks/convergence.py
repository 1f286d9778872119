"""How many steps does training take, and does it ever fail to arrive?

    python -m benchmarks.convergence

20 seeds each, all other options at their defaults, without MLflow; the table goes to
benchmarks/results.
"""

import sys
import time
from statistics import median
from typing import Any

from polyreg.config import TrainConfig
from polyreg.sgd import descend
from polyreg.sgd.training import Training

SEEDS = 20
OTHERS: dict[str, dict[str, Any]] = {
    "degree=2": {"degree": 2},
    "degree=3": {"degree": 3},
    "degree=8": {"degree": 8},
    "degree=3 noise=0.5": {"degree": 3, "noise": 0.5},
    "degree=8 inputs=uniform": {"degree": 8, "inputs": "uniform"},
}
# Not degree 2: AdamW's weight decay holds some seeds above the tolerance (docs/train.md).
DECAYED = ("degree=3", "degree=3 noise=0.5", "degree=8 inputs=uniform")


def row(name: str, **options) -> str:
    steps, converged, start = [], 0, time.perf_counter()
    for seed in range(SEEDS):
        training = Training(TrainConfig(seed=seed, **options))
        for _ in descend.descend_together([training]):
            pass
        steps.append(training.curve.steps)
        converged += training.curve.converged
    print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    return f"| {name} | {converged} of {SEEDS} | {median(steps):,.0f} | {max(steps):,} |"


def main() -> None:
    print("| options | converged | median steps | most steps |")
    print("|--|--|--|--|")
    for degree in range(9):
        print(row(f"`degree={degree}`", degree=degree), flush=True)
    print(row("`degree=3 noise=0.5`", degree=3, noise=0.5), flush=True)
    print(row("`degree=8 noise=0.5`", degree=8, noise=0.5), flush=True)
    print(row("`degree=3 momentum=0.9`", degree=3, momentum=0.9), flush=True)
    print(row("`degree=8 momentum=0.9`", degree=8, momentum=0.9), flush=True)
    print(row("`degree=3 basis=monomial`", degree=3, basis="monomial"), flush=True)
    print(row("`degree=3 optimizer=adam`", degree=3, optimizer="adam"), flush=True)
    for optimizer in ("rmsprop", "adagrad", "nadam"):
        for name, options in OTHERS.items():
            print(
                row(f"`{name} optimizer={optimizer}`", optimizer=optimizer, **options), flush=True
            )
    for name in DECAYED:
        print(row(f"`{name} optimizer=adamw`", optimizer="adamw", **OTHERS[name]), flush=True)
    for degree in [*range(1, 9), 10, 15, 20]:
        print(row(f"`degree={degree} inputs=uniform`", degree=degree, inputs="uniform"), flush=True)


if __name__ == "__main__":
    main()
