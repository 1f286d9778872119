"""Which runs a comparison takes: by id, by their params, tags and metrics."""

import operator
import re
from collections import Counter
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

import click

from polyreg.config import CompareConfig, FitConfig, SweepConfig, TrainConfig
from polyreg.options import from_params
from polyreg.text import plural, text

SEARCHED = 1000  # runs at most, for those that can be compared
KINDS: dict[str, tuple[type, tuple[str, ...]]] = {  # by the params that only such a run has
    "training": (TrainConfig, ("degree", "coefficients", "inputs", "seed")),
    "fit": (FitConfig, ("data", "target", "degree")),
    "sweep": (SweepConfig, ("degrees", "learning_rates")),
    "comparison": (CompareConfig, ("runs", "last", "out")),
}


def kind_of(params: Any) -> tuple[str, Any]:
    """What made a run, and its config where the params are one; what they lack is the default."""
    for kind, (config_class, known) in KINDS.items():
        if all(name in params for name in known):
            defaults = {
                f.name: text(f.default) for f in fields(config_class) if f.default is not MISSING
            }
            try:
                return kind, from_params(config_class, defaults | dict(params))
            except ValueError:
                return kind, None
    return "other", None


def chosen(config: CompareConfig) -> tuple[list, list[str]]:
    """The runs to compare, and what to say of those left out."""
    from polyreg import tracking

    if config.runs:
        found = []
        for run_id in config.ids:
            try:
                found += tracking.past([run_id])
            except tracking.Unreachable as error:
                raise click.UsageError(
                    f"--runs: {error}; ids are in MLflow's page, or `mlflow runs list`"
                ) from error
        return found, []
    condition, bounds = split(config.filter)
    asked = config.last
    while True:  # until there are enough that can be compared, or no more
        try:
            past = tracking.search(config.experiment, asked, condition)
        except tracking.Unreachable as error:
            asked_for = f"--filter {config.filter}: " if config.filter else ""
            raise click.UsageError(f"{asked_for}{error}") from error
        met = [one for one in past if all(bound.holds(one.params) for bound in bounds)]
        useful = [one for one in met if kind_of(one.params)[0] in ("training", "fit")]
        if len(useful) >= config.last or len(past) < asked or asked >= SEARCHED:
            break
        asked = min(4 * asked, SEARCHED)
    kept = useful[-config.last :]
    if not kept:
        that = f" that meets {config.filter!r}" if config.filter else ""
        raise click.UsageError(
            f"--experiment {config.experiment} has no training or fit{that}; "
            "see what there is with `mlflow ui`, or name runs by --runs"
        )
    newest = met if kept == useful else met[met.index(kept[0]) :]
    others = Counter(kind_of(one.params)[0] for one in newest if one not in kept)
    counts = [
        plural(count, "run") + " of another kind" if kind == "other" else plural(count, kind)
        for kind, count in sorted(others.items())
    ]
    notes = [f"Left out of the newest runs: {', '.join(counts)}."] if counts else []
    return kept, notes


class Bound(NamedTuple):
    """params.name < number, which MLflow's own filter does not know: its params are texts."""

    name: str
    sign: str
    value: float

    def holds(self, params: Any) -> bool:
        try:
            found = float(params[self.name])
        except (KeyError, ValueError):  # such as auto
            return False
        return getattr(operator, SIGNS[self.sign])(found, self.value)


SIGNS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
BOUND = re.compile(r"param(?:eter)?s?\.[`\"]?(\w+)[`\"]?\s*(<=|>=|<|>)\s*'?([-+\w.]+)'?", re.I)


def split(condition: str) -> tuple[str, list[Bound]]:
    """A filter as MLflow's part of it, and the bounds on params."""
    outside_quotes = r"(?=(?:[^']*'[^']*')*[^']*$)"
    rest, bounds = [], []
    for clause in re.split(rf"\s+and\s+{outside_quotes}", condition.strip(), flags=re.I):
        match = BOUND.fullmatch(clause.strip())
        if not match:
            rest.append(clause)
            continue
        name, sign, value = match.groups()
        try:
            bounds.append(Bound(name, sign, float(value)))
        except ValueError as error:
            raise click.UsageError(
                f"--filter {clause}: {value!r} is no number; texts are compared by = and !="
            ) from error
    return " and ".join(rest), bounds
