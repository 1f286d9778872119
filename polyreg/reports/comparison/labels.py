"""Names of groups of runs, by the options in which they differ."""

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

from polyreg.naming import FIT_WORDS, TRAIN_WORDS, last_part, telling, variables
from polyreg.reports.comparison.groups import Together, options
from polyreg.reports.comparison.reading.seen import Seen, started
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
EVERYWHERE = ("kind", "name", "degree", "data", EXPLAINED)  # compared between kinds, too
FEW = 4  # options in a name up to which defaults are among them
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
    usual = defaults(groups)
    columns = {name: [one.get(name, "") for one in told] for name in differing(groups, told)}
    names = names_of(groups, told, columns, usual)
    for tell in (seeds_of, sweep_of, given_name, first_start, first_id):
        names = apart(names, [tell(group) for group in groups])
    names = apart(names, [f"no. {k + 1}" for k in range(len(groups))])
    runs = [
        [f"seed {options(one)['seed']}" for one in group] if len(group) > 1 else [name]
        for group, name in zip(groups, names, strict=True)
    ]
    return Labels(columns, names, runs, shared(groups, told, usual))


def names_of(
    groups: Sequence[Together],
    told: Sequence[dict[str, str]],
    columns: dict[str, list[str]],
    usual: dict[str, str],
) -> list[str]:
    """The options that differ, in words: of many, the degree and those that are no defaults."""
    if len(groups) == 1:
        [group] = groups
        several = " · ".join(word(*one) for one in notable(told[0], usual))
        return [several if len(group) > 1 else group[0].past.name]
    short = {name: told_apart(values, ROOM) for name, values in columns.items()}
    names = []
    for k in range(len(groups)):
        own = [(name, short[name][values[k]]) for name, values in columns.items() if values[k]]
        if len(own) > FEW:
            own = [
                (name, value)
                for name, value in own
                if value != usual.get(name) or name in ("kind", "degree")
            ] or own[:1]
        names.append(" · ".join(word(name, value) for name, value in own))
    return names


def described(group: Together) -> dict[str, str]:
    """A group's options as they are shown, in the order of a run's name."""
    first, given = group[0], {own_name(one) for one in group}
    found = {"kind": first.kind, "name": given.pop() if len(given) == 1 else ""} | options(first)
    if len(group) > 1:
        del found["seed"]
    if first.polynomial is not None and {"target", "features"} <= found.keys():
        found[EXPLAINED] = variables(first.target, first.polynomial.named)
        del found["target"], found["features"]
        if found.get("degree") == "auto":
            found["degree"] = f"auto → {first.polynomial.design.degree}"
    if found.get("data"):
        found["data"] = last_part(found["data"])
    order = [name for name in WORDS if name in found]
    return {name: found[name] for name in [*order, *(n for n in found if n not in WORDS)]}


def defaults(groups: Sequence[Together]) -> dict[str, str]:
    """What options are where nobody gives them."""
    return {
        f.name: text(f.default)
        for group in groups
        if group[0].config is not None
        for f in fields(group[0].config)
    }


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
    """Options that two groups of a kind have differently; of some, that any two groups have.

    Of a run whose options are not this version's, also those that it has not and another has.
    """
    found = []
    for name in dict.fromkeys(name for one in told for name in one):
        having = [(k, one[name]) for k, one in enumerate(told) if name in one]
        kinds = {groups[k][0].kind for k, _ in having}
        among = [{v for k, v in having if groups[k][0].kind == kind} for kind in kinds]
        if name in EVERYWHERE:
            among = [set.union(*among)]
        lacking = name not in ("seed", EXPLAINED, "target", "features") and any(
            name not in one and group[0].kind in kinds and group[0].config is None
            for one, group in zip(told, groups, strict=True)
        )
        if lacking or max(map(len, among)) > 1:
            found.append(name)
    return found


def shared(
    groups: Sequence[Together], told: Sequence[dict[str, str]], usual: dict[str, str]
) -> str:
    """What they have in common: `trainings · degree 3 · noise 1`, besides defaults."""
    kinds = dict.fromkeys(group[0].kind for group in groups)
    common = {n: v for n, v in told[0].items() if all(one.get(n) == v for one in told)}
    found = [word(name, value) for name, value in notable(common, usual)]
    rest = "; options not named have their defaults" if all(g[0].config for g in groups) else ""
    return " · ".join([" and ".join(f"{kind}s" for kind in kinds), *found]) + rest


def notable(one: dict[str, str], usual: dict[str, str]) -> list[tuple[str, str]]:
    """Options that are none of the defaults, and what is always said."""
    own = {"degree", "data", EXPLAINED}
    return [
        (name, value)
        for name, value in one.items()
        if name not in ("kind", "name") and value and (name in own or value != usual.get(name))
    ]


def word(name: str, value: str) -> str:
    """An option as a part of a name: `rate 0.01`."""
    form = WORDS.get(name, "{}")
    if name in WORDS and (form != "{}" or value != "auto"):
        return form.format(value)
    return f"{name.replace('_', ' ')} {value}"


def apart(names: Sequence[str], more: Sequence[str]) -> list[str]:
    """The names, with one word more for those that are alike, where that tells them apart."""
    words: dict[str, set[str]] = {}
    for name, one in zip(names, more, strict=True):
        words.setdefault(name, set()).add(one)
    return [
        " · ".join(filter(None, (name, one))) if len(words[name]) > 1 or not name else name
        for name, one in zip(names, more, strict=True)
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
