"""Groups of runs: those that differ in the seed alone are repetitions of one."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from polyreg.config import FitConfig, TrainConfig
from polyreg.options import params
from polyreg.reports.comparison.reading.seen import Seen
from polyreg.sgd.optimum import Optimum
from polyreg.text import INFINITE

RECORD = ("register_as",)  # options that do not change what a run comes to
Together = Sequence[Seen]  # the runs of one group


def options(one: Seen) -> dict[str, str]:
    """A run's options as texts; what an earlier version did not have is the default."""
    known = isinstance(one.config, TrainConfig | FitConfig)
    found = params(one.config) if known else dict(one.past.params)
    return {name: value for name, value in found.items() if name not in RECORD}


def groups(seen: Sequence[Seen]) -> list[list[Seen]]:
    """The runs, together where only their seeds differ, in the order of the first of each.

    A second run of the same seed is a group of its own, as are the runs of each sweep.
    """
    found: dict[tuple, list[Seen]] = {}
    met: Counter[tuple] = Counter()  # how often each run of the same options and seed
    for number, one in enumerate(seen):
        given = options(one)
        seed = given.pop("seed", None)
        if one.kind not in ("training", "fit") or seed is None:
            found[number, 0] = [one]
            continue
        table = "" if one.is_drawn else one.past.tags.get("data.sha256", f"run {number}")
        same = one.kind, one.sweep, table, one.target, *sorted(given.items())
        found.setdefault((same, met[same, seed]), []).append(one)
        met[same, seed] += 1
    return list(found.values())


def saw(group: Together) -> tuple[str, ...]:
    """What a group's data are: a table by its hash, or a truth, its inputs and its noise.

    Of different seeds samples are different, and the data are the same. Empty: not known.
    """
    first = group[0]
    if first.is_drawn and first.config is not None:
        own = options(first)
        return "truth", own["coefficients"], own["inputs"], own["noise"]
    sha256 = first.past.tags.get("data.sha256", "")
    return ("table", sha256, first.measured) if sha256 else ()


def source(data: tuple[str, ...]) -> tuple[str, ...]:
    """What makes data different: the table, or the truth and its inputs, not the noise."""
    return data[:3] if data and data[0] == "truth" else data[:2]


def values(group: Together, name: str) -> list[float]:
    """A metric of those runs of a group that have it; of several, that have not diverged."""
    kept = [one for one in group if len(group) == 1 or not one.past.diverged]
    found = (metric(one, name) for one in kept)
    return [value for value in found if value is not None]


DISTANCE = "distance to the truth"


def metric(one: Seen, name: str) -> float | None:
    """A run's final metric, or its distance to the truth, which is computed here."""
    return distance(one) if name == DISTANCE else one.past.metrics.get(name)


def distance(one: Seen) -> float | None:
    """E (learned(x) - truth(x))^2 of a training on samples of a known polynomial.

    That is its gap, and what the best polynomial of its degree leaves.
    """
    gap, left = one.past.metrics.get("loss/gap"), misfit(one)
    if left is None or gap is None or one.past.diverged:
        return None
    return gap + left


def misfit(one: Seen) -> float | None:
    """The distance to the truth of the best polynomial of a training's degree."""
    if not one.is_drawn or one.config is None:
        return None
    return Optimum.of(one.config).residual_variance - one.config.noise**2


def mean(found: Sequence[float]) -> float:
    """The mean of those that are finite; where none is, the first; nan of none."""
    finite = [value for value in found if abs(value) < INFINITE]
    return float(np.mean(finite)) if finite else found[0] if found else math.nan


def spread(found: Sequence[float]) -> float:
    """The standard deviation over the runs of a group; nan for fewer than two."""
    finite = [value for value in found if abs(value) < INFINITE]
    if len(finite) < 2:
        return math.nan
    return 0.0 if len(set(finite)) == 1 else float(np.std(finite, ddof=1))


def converged(group: Together) -> int:
    return sum(one.past.tags.get("converged") == "true" for one in group)


def rounded(value: float) -> float:
    """To six digits, as it is shown: what looks alike is alike."""
    return float(f"{value:.6g}")
