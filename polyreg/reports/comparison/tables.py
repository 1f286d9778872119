"""Tables of a comparison, as plain data: a row a group, a column an option or a metric."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from polyreg.polynomials.summary import UNCENTRED
from polyreg.reports.chart import Cell, Column, Table
from polyreg.reports.comparison.groups import (
    DISTANCE,
    Together,
    converged,
    mean,
    metric,
    misfit,
    options,
    rounded,
    saw,
    spread,
    values,
)
from polyreg.reports.comparison.labels import Labels
from polyreg.reports.comparison.reading.seen import Seen
from polyreg.text import INFINITE

FIRST = (
    "converged", "steps", "loss/gap", DISTANCE, "coef_error/max", "loss/train", "r2",
    "adjusted_r2", "residual_sd", "robust_sd", "groups", "groups_failed", "residual_sd/median",
    "r2/median",
)  # fmt: skip
ABOUT_MEAN = ("r2", "adjusted_r2")  # where there is an intercept
ELSEWHERE = ("coef/", "std_error/", "system/")  # not in the table of metrics
CURVES = ("cv/mse", "cv/std_error", "cv/aic", "cv/bic")  # whose last value is no result
# Where a best exists, and what it means; of the others nobody can say. The lowest, but for speed.
BEST = {
    "steps": "fewest steps to converge",
    DISTANCE: "nearest the truth, but for what the stop rule left",
    "coef_error/max": "coefficients nearest the truth, but for what the stop rule left",
    "loss/gap": "nearest the optimum; none has converged",
    "cv/chosen_mse": "least cross-validated error",
    "aic": "lowest AIC",
    "bic": "lowest BIC",
    "steps_per_s": "fastest",
}


def tables(groups: Sequence[Together], labels: Labels) -> Iterator[Table]:
    """Options that differ and final metrics; the seconds of each stage."""
    names = {name for group in groups for one in group for name in one.past.metrics}
    known = {*CURVES, "degree"} if "degree" in labels.columns else {*CURVES}  # of auto, there too
    shown = {name for name in names - known if not name.startswith(ELSEWHERE)}
    if any(metric(one, DISTANCE) is not None for group in groups for one in group):
        shown.add(DISTANCE)
    if any("converged" in one.past.tags for group in groups for one in group):
        shown.add("converged")
    times = sorted(name for name in shown if name.startswith("time/"))
    first = [name for name in FIRST if name in shown]
    rest = sorted(shown - set(times) - set(first))
    columns = [option(name, cells) for name, cells in labels.columns.items()]
    columns += [one for name in first + rest for one in metrics(groups, name)]
    notes = []
    if any(column.best for column in columns):
        notes.append("★ is the best among runs on the same data.")
    if any(len(group) > 1 for group in groups):
        notes.append("Of several seeds: mean ± standard deviation.")
    if columns:
        yield Table("Options that differ, and final metrics", columns, " ".join(notes))
    if times:
        seconds = [one for name in times for one in metrics(groups, name)]
        yield Table("Seconds of each stage", seconds, folded=True)


def option(name: str, cells: Sequence[str]) -> Column:
    return Column(name.replace("_", " "), [cell or None for cell in cells], is_option=True)


def metrics(groups: Sequence[Together], name: str) -> Iterator[Column]:
    """A metric; R2 of fits without an intercept, which is about 0, in a column of its own."""
    if name == "converged":
        yield convergence(groups)
        return
    if name not in ABOUT_MEAN:
        yield column(groups, name, name, [True] * len(groups))
        return
    bare = [is_uncentred(group[0]) for group in groups]
    for label, kept in ((name, [not b for b in bare]), (name + UNCENTRED, bare)):
        if any(k and values(group, name) for k, group in zip(kept, groups, strict=True)):
            yield column(groups, name, label, kept)


def is_uncentred(one: Seen) -> bool:
    """Whether R2 is from the sum of squares about 0: a fit without an intercept."""
    return one.past.params.get("intercept") == "false" or not getattr(
        one.polynomial, "intercept", True
    )


def convergence(groups: Sequence[Together]) -> Column:
    """Whether a run has converged, or how many of a group's."""
    words = {"true": "yes", "false": "no"}
    runs = [[words.get(one.past.tags.get("converged", "")) for one in group] for group in groups]
    cells = [
        found[0] if len(found) == 1 else f"{converged(group)} of {len(group)}"
        for found, group in zip(runs, groups, strict=True)
    ]
    return Column("converged", cells, runs=[one if len(one) > 1 else [] for one in runs])


def column(groups: Sequence[Together], name: str, label: str, kept: Sequence[bool]) -> Column:
    """A metric of the groups that are kept: mean and spread, and the best on each data."""
    cells: list[Cell] = []
    spreads: list[float] = []
    runs: list[list[Cell]] = []
    for group, is_kept in zip(groups, kept, strict=True):
        found = values(group, name) if is_kept else []
        cells.append(mean(found) if found else None)
        spreads.append(spread(found))
        several = is_kept and len(group) > 1
        runs.append([metric(one, name) for one in group] if several else [])
    best = bests(groups, name, cells)
    return Column(label, cells, spreads, runs, best, meaning(groups, name) if best else "")


def meaning(groups: Sequence[Together], name: str) -> str:
    if name == "coef_error/max" and not any(group[0].truth for group in groups):
        return "coefficients nearest those of the exact fit"
    return BEST[name]


def bests(groups: Sequence[Together], name: str, cells: Sequence[Cell]) -> frozenset[int]:
    """The groups with the best value among those that it compares with, where two differ.

    What differs in the seeds alone is alike, and has the value of the most runs.
    """
    if name not in BEST:
        return frozenset()
    rivals: dict[tuple, dict[int, float]] = {}
    for k, (group, value) in enumerate(zip(groups, cells, strict=True)):
        if isinstance(value, float) and abs(value) < INFINITE and competes(name, group):
            rivals.setdefault(rivalry(name, group), {})[k] = rounded(value)
    best: set[int] = set()
    for those in rivals.values():
        if name == "loss/gap" and any(converged(groups[k]) for k in those):
            continue  # the stop rule ended those, and set their gap
        if name == DISTANCE:
            floors = {k: floor(groups[k]) for k in those}
            those |= {k: least for k, least in floors.items() if least is not None}
        if name == "coef_error/max":
            for alike in same(those, lambda k: floor(groups[k])):
                those |= dict.fromkeys(alike, min(those[k] for k in alike))
        for alike in same(those, lambda k: without_seed(groups[k])):
            largest = max(alike, key=lambda k: len(groups[k]))
            those |= dict.fromkeys(alike, those[largest])
        low, high = min(those.values()), max(those.values())
        if low < high:
            first = high if name == "steps_per_s" else low
            best |= {k for k, value in those.items() if value == first}
    return frozenset(best)


def same(those: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """Those of equal keys, together; one whose key is None is alike to none."""
    found: dict[Hashable, list[int]] = {}
    for k in those:
        if (of := key(k)) is not None:
            found.setdefault(of, []).append(k)
    return list(found.values())


def rivalry(name: str, group: Together) -> tuple:
    """What two groups must share for one to be better: data and target, and for some more.

    Steps: the stop rule. Criteria: the rows and their weights.
    """
    shared = saw(group), group[0].target
    given = options(group[0])
    if name == "steps":
        return *shared, given.get("stop"), given.get("tolerance")
    if name in ("aic", "bic", "cv/chosen_mse"):
        return *shared, given.get("weights"), group[0].past.metrics.get("rows")
    return shared


def without_seed(group: Together) -> frozenset[tuple[str, str]]:
    return frozenset((name, value) for name, value in options(group[0]).items() if name != "seed")


def competes(name: str, group: Together) -> bool:
    """Steps count where every run has converged, speed where none was trained in a sweep."""
    if name == "steps":
        return converged(group) == len(group)
    nested = any(one.past.parent or one.sweep is not None for one in group)
    return name != "steps_per_s" or not nested


def floor(group: Together) -> float | None:
    """The distance to the truth, without what the stop rule left of it by chance.

    That is what the best polynomial of its degree leaves, and the tolerance; None unless every
    run has converged, to a gap within the tolerance.
    """
    left, gaps = misfit(group[0]), values(group, "loss/gap")
    if left is None or converged(group) < len(group) or not gaps:
        return None
    tolerance = group[0].config.tolerance
    return rounded(left + tolerance) if max(gaps) <= tolerance else None
