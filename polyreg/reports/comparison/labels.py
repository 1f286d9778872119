"""Names of groups of runs, by the options in which they differ."""

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

from polyreg.naming import FIT_WORDS, TRAIN_WORDS, last_part, telling, variables
from polyreg.reports.comparison.groups import Together, options
from polyreg.reports.comparison.runs import Seen, started
from polyreg.text import plural, text, told_apart

EXPLAINED = "target and features"  # `y ~ a + b`, in place of both options
WORDS = {
    "kind": "{}",
    "name": "{}",
    "data": "{}",
    EXPLAINED: "{}",
    **TRAIN_WORDS,
    **FIT_WORDS,
    "max_degree": "degree to {}",
    "intercept": "intercept {}",
}
ROOM = 40  # characters of a value, unless they differ beyond


class Labels(NamedTuple):
    """columns: the options that differ, a value a group, `` where it has none."""

    columns: dict[str, list[str]]
    names: list[str]  # a group
    runs: list[list[str]]  # of each group, a name a run: `seed 3`
    shared: str  # what all have in common


def labels(groups: Sequence[Together]) -> Labels:
    """What tells the groups apart, in few words, and what they share."""
    told = [described(group) for group in groups]
    columns = {name: [one.get(name, "") for one in told] for name in differing(groups, told)}
    if not columns and len(groups) == 1:
        names = [groups[0][0].past.name]
    else:
        shown = [told_apart(values, ROOM) for values in columns.values()]
        names = [
            " · ".join(
                word(name, short[values[k]])
                for (name, values), short in zip(columns.items(), shown, strict=True)
                if values[k]
            )
            for k in range(len(groups))
        ]
    for tell in (seeds_of, sweep_of, given_name, first_start, first_id):
        names = apart(names, [tell(group) for group in groups])
    names = apart(names, [f"no. {k + 1}" for k in range(len(groups))])
    runs = [
        [f"seed {options(one)['seed']}" for one in group] if len(group) > 1 else [name]
        for group, name in zip(groups, names, strict=True)
    ]
    return Labels(columns, names, runs, shared(groups, told))


def described(group: Together) -> dict[str, str]:
    """A group's options as they are shown, in the order of a run's name."""
    first = group[0]
    found = {"kind": first.kind, "name": own_name(first)} | options(first)
    if len(group) > 1:
        del found["seed"]
    if first.polynomial is not None and {"target", "features"} <= found.keys():
        found[EXPLAINED] = variables(first.target, first.variables)
        del found["target"], found["features"]
        if found.get("degree") == "auto":
            found["degree"] = f"auto → {max(map(sum, first.polynomial.exponents), default=0)}"
    if found.get("data"):
        found["data"] = last_part(found["data"])
    order = [name for name in WORDS if name in found]
    return {name: found[name] for name in [*order, *(n for n in found if n not in WORDS)]}


def own_name(one: Seen) -> str:
    """The name that somebody gave a run; empty where it is one made from its options."""
    if one.config is None or not one.past.name:
        return one.past.name
    words = FIT_WORDS if one.kind == "fit" else TRAIN_WORDS
    made = {*telling(one.config, words, words), last_part(getattr(one.config, "data", ""))}
    parts = one.past.name.split(" · ")
    ours = all(part in made or " ~ " in part or part.startswith("degree ") for part in parts)
    return "" if ours else one.past.name


def differing(groups: Sequence[Together], told: Sequence[dict[str, str]]) -> list[str]:
    """Options that two groups have differently, or that one of a kind has and another has not."""
    found = []
    for name in dict.fromkeys(name for one in told for name in one):
        having = [k for k, one in enumerate(told) if name in one]
        kinds = {groups[k][0].kind for k in having}
        lacking = any(
            name not in one and group[0].kind in kinds and name != "seed"
            for one, group in zip(told, groups, strict=True)
        )
        if len({told[k][name] for k in having}) > 1 or lacking:
            found.append(name)
    return found


def shared(groups: Sequence[Together], told: Sequence[dict[str, str]]) -> str:
    """What they have in common: `trainings · degree 3 · noise 1`, besides defaults."""
    kinds = dict.fromkeys(group[0].kind for group in groups)
    own = {"degree", "data", EXPLAINED}
    defaults = {
        f.name: text(f.default)
        for group in groups
        if group[0].config is not None
        for f in fields(group[0].config)
    }
    found = [
        word(name, value)
        for name, value in told[0].items()
        if name not in ("kind", "name") and value
        if name in own or value != defaults.get(name)
        if all(one.get(name) == value for one in told)
    ]
    rest = "; options not named have their defaults" if all(g[0].config for g in groups) else ""
    return " · ".join([" and ".join(f"{kind}s" for kind in kinds), *found]) + rest


def word(name: str, value: str) -> str:
    """An option as a part of a name: `rate 0.01`."""
    form = WORDS.get(name, "{}")
    if name in WORDS and (form != "{}" or value != "auto"):
        return form.format(value)
    return f"{name.replace('_', ' ')} {value}"


def apart(names: Sequence[str], more: Sequence[str]) -> list[str]:
    """The names, with one word more for those that are alike."""
    alike = {name for name in names if names.count(name) > 1 or not name}
    return [
        " · ".join(filter(None, (name, word_))) if name in alike else name
        for name, word_ in zip(names, more, strict=True)
    ]


def seeds_of(group: Together) -> str:
    seed = options(group[0]).get("seed")
    return plural(len(group), "seed") if len(group) > 1 else f"seed {seed}" if seed else ""


def sweep_of(group: Together) -> str:
    return "" if group[0].sweep is None else f"sweep {group[0].sweep + 1}"


def given_name(group: Together) -> str:
    return group[0].past.name


def first_start(group: Together) -> str:
    return started(group[0].past.start)


def first_id(group: Together) -> str:
    return group[0].past.id[:8]
