"""Charts and coefficients of a comparison, as plain data: a curve a group."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from polyreg.reports import chart
from polyreg.reports.comparison.groups import Together, saw
from polyreg.reports.comparison.reading.seen import SAMPLE, Seen
from polyreg.sgd.sweep import quartiles, sampled
from polyreg.text import INFINITE, plural, ranges
from polyreg.tracking import thinned

GRID = 241  # points of a curve over a chart: more than the pixels between two of them tell
LEARNING = 300  # points of a learning curve
OWN, OWN_POINTS = 250, 60  # curves of single runs in all groups, and points of each
TERMS = 60  # of a table of coefficients
STRIPPED = 24  # terms that are drawn
LEARNED = {
    "loss/gap": ("Learning curves: gap, the expected excess loss over the optimum", "step", "gap"),
    "loss/train": ("Learning curves: loss of the batch", "step", "loss"),
    "cv/mse": ("Cross-validated error by degree", "degree", "mean squared error"),
}
QUARTILES = "Of several seeds: the median and the quartiles."


def numbers(groups: Sequence[int]) -> str:
    """`run 1`, `runs 1-4, 7`: as the page numbers them."""
    return f"run{'s' if len(groups) > 1 else ''} {ranges([k + 1 for k in groups])}"


def drawn(group: Together) -> list[Seen]:
    """The runs of a group that have a polynomial."""
    return [one for one in group if one.polynomial is not None]


def by_variables(groups: Sequence[Together]) -> list[list[int]]:
    """The groups that have a polynomial, together where target and variables are the same."""
    found: dict[tuple, list[int]] = {}
    for k, group in enumerate(groups):
        if have := drawn(group):
            found.setdefault((have[0].measured, have[0].columns), []).append(k)
    return list(found.values())


def own_runs(groups: Sequence[Together]) -> int:
    """How many runs of a group have a curve of their own."""
    return OWN // max(sum(len(group) > 1 for group in groups), 1)


def samples(groups: Sequence[Together], which: Sequence[int], letters: dict) -> Iterator:
    """Each table's or truth's points once; as one, where they are too many to tell apart."""
    found: dict[Any, list[int]] = {}
    for k in which:
        if sample(groups[k]) is not None:
            found.setdefault(saw(groups[k]) or f"run {k}", []).append(k)
    if len(found) > len(chart.DOTS):
        few = -(-len(found) * SAMPLE // 1000)  # every so many: 1000 points in all
        parts = [sample(groups[of[0]]) for of in found.values()]
        x, y = (np.concatenate([one[i][::few] for one in parts]) for i in (0, 1))
        yield chart.Points(f"data, of {len(found)} kinds (samples)", x[:, 0], y)
        return
    for look, (data, of) in enumerate(found.items()):
        x, y = sample(groups[of[0]])
        letter = f" {letters[data]}" if data in letters else ""
        whose = "" if len(found) == 1 and len(of) == len(which) else f" of {numbers(of)}"
        yield chart.Points(f"data{letter}{whose} (a sample)", x[:, 0], y, look)


def sample(group: Together) -> Any:
    """x (n, D) and y (n,) of the first run that has some."""
    return next((one.sample for one in drawn(group) if one.sample is not None), None)


def fitted(groups: Sequence[Together], which: Sequence[int], letters: dict) -> Iterator:
    """The chart of groups that explain the same target by the same variables."""
    runs = {k: drawn(groups[k]) for k in which}
    first = runs[which[0]][0]
    if len(first.variables) != 1:
        yield from observed(groups, which)
        return
    ends = {k: domain(own) for k, own in runs.items()}
    low, high = min(a for a, _ in ends.values()), max(b for _, b in ends.values())
    grid = np.unique(np.concatenate([np.linspace(low, high, GRID), np.ravel([*ends.values()])]))
    curves = list(truths(runs, ends, grid))
    levels = set()
    for k, own in runs.items():
        x = within(grid, *ends[k])
        if len(groups[k]) > 1:
            curves += repeated(k, own, x, own_runs(groups))
            continue
        y, lower, upper = own[0].polynomial.predict(x, "confidence")
        if np.isfinite(lower).all() and np.isfinite(upper).all():
            levels.add(f"{100 * own[0].polynomial.level:g} %")
            curves.append(chart.Curve(k, x, y, lower, upper))
        else:
            curves.append(chart.Curve(k, x, y))
    notes = []
    if levels:
        notes.append(f"Bands: {' and '.join(sorted(levels))} confidence, of the mean.")
    if any(len(groups[k]) > 1 for k in which):
        notes.append(QUARTILES)
    if sum(curve.low is not None for curve in curves) > chart.BANDS:
        notes.append(
            f"Bands are drawn for up to {chart.BANDS} curves; point at one for its numbers."
        )
    bare = [k for k in which if sample(groups[k]) is None]
    if bare:
        notes.append(f"No sample of the data of {numbers(bare)}: the curve only.")
    yield chart.Chart(
        title=f"{first.measured} against {first.columns[0]}",
        names=(first.columns[0], first.measured),
        curves=curves,
        points=list(samples(groups, which, letters)),
        note=" ".join(notes),
    )


def domain(runs: Sequence[Seen]) -> tuple[float, float]:
    ends = [one.domain for one in runs]
    return min(a for a, _ in ends), max(b for _, b in ends)


def truths(runs: dict[int, list[Seen]], ends: dict, grid: np.ndarray) -> Iterator:
    """Each truth once, as far as the data of its groups go."""
    known: dict[tuple, list[int]] = {}
    for k, own in runs.items():
        if own[0].truth is not None:
            known.setdefault(own[0].truth, []).append(k)
    for truth, of in known.items():
        x = within(grid, min(ends[k][0] for k in of), max(ends[k][1] for k in of))
        yield chart.Curve(None, x, np.polynomial.polynomial.polyval(x, truth))


def repeated(k: int, runs: Sequence[Seen], x: np.ndarray, most: int) -> Iterator:
    """Median and quartiles over the seeds, and the first runs' own curves."""
    y = np.stack([one.polynomial.predict(x) for one in runs])
    low, middle, high = np.quantile(y, (0.25, 0.5, 0.75), axis=0)
    yield chart.Curve(k, x, middle, low, high)
    few = -(-len(x) // OWN_POINTS)
    for i, own in enumerate(y[:most]):
        yield chart.Curve(k, x[::few], own[::few], run=i)


def within(grid: Any, low: float, high: float) -> Any:
    return grid[(grid >= low) & (grid <= high)]


def observed(groups: Sequence[Together], which: Sequence[int]) -> Iterator:
    """Of several variables: what was observed against what each group's first run says."""
    points, first = [], drawn(groups[which[0]])[0]
    if not first.variables:
        return
    bare = []
    for look, k in enumerate(which):
        one = next((one for one in drawn(groups[k]) if one.sample is not None), None)
        if one is None:
            bare.append(k)
            continue
        x, y = one.sample
        points.append(chart.Points(f"run {k + 1}", one.polynomial.predict(x), y, look, k))
    named = first.polynomial.named
    names = ", ".join(named)
    note = f"A curve is shown for one variable; these runs have {len(named)}: {names}."
    if any(len(groups[k]) > 1 for k in which):
        note += " Of several seeds: the first."
    if bare:
        note += f" No sample of the data of {numbers(bare)}: no points."
    yield chart.Chart(
        title=f"{first.measured}: observed against fitted",
        names=(f"fitted {first.measured}", f"observed {first.measured}"),
        points=points,
        diagonal=bool(points),
        note=note,
    )


def learning(groups: Sequence[Together]) -> Iterator:
    most = own_runs(groups)
    for key, (title, across, up) in LEARNED.items():
        curves: list[chart.Curve] = []
        for k, group in enumerate(groups):
            found = {
                i: plain(*one.learning[key]) for i, one in enumerate(group) if key in one.learning
            }
            found = {i: curve for i, curve in found.items() if len(curve[0])}
            if len(group) > 1 and found:
                curves += learned_together(k, group, found, key == "cv/mse")
                curves += [thin(k, curve, OWN_POINTS, i) for i, curve in list(found.items())[:most]]
            elif found:
                curves.append(thin(k, found[0], LEARNING))
        if curves:
            lowest = min(curve.x[0] for curve in curves)
            long = lowest >= 1 and max(curve.x[-1] for curve in curves) >= 50
            several = any(curve.low is not None for curve in curves)
            note = QUARTILES if several else ""
            yield chart.Chart(title, (across, up), curves, log=(bool(long), True), note=note)


def plain(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a curve that a logarithmic axis can hold."""
    kept = np.isfinite(values) & (values > 0) & (values < INFINITE)
    return steps[kept], values[kept]


def thin(
    k: int, curve: tuple[np.ndarray, np.ndarray], points: int, run: int | None = None
) -> chart.Curve:
    steps, values = curve
    at = thinned(steps, points)
    return chart.Curve(k, steps[at].astype(float), values[at], run=run)


def learned_together(k: int, group: Together, found: dict, by_degree: bool) -> Iterator:
    """Median and quartiles of a group's curves; of steps until more than half have ended."""
    curves = list(found.values())
    if by_degree:  # over those that all have tried
        x = sorted(set.intersection(*(set(at.tolist()) for at, _ in curves)))
        rows = [values[np.isin(at, x)] for at, values in curves]
        at, parts = np.array(x), np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
    else:
        taken = [int(steps[-1]) for steps, _ in curves]
        lost = [group[i].past.diverged for i in found]
        rows = [
            sampled(np.maximum(steps, 1), values, gone, max(taken))
            for (steps, values), gone in zip(curves, lost, strict=True)
        ]
        at, *parts = quartiles(np.stack(rows), taken, max(taken))
    low, median, high = np.asarray(parts)
    kept = np.isfinite(median)
    if kept.any():
        # inf: so many have diverged; as high as the median's highest, which the axis holds.
        high = np.where(np.isfinite(high), high, np.max(median[kept]))
        yield chart.Curve(k, at[kept].astype(float), median[kept], low[kept], high[kept])


def coefficients(groups: Sequence[Together], which: Sequence[int]) -> chart.Coefficients:
    """Each term that any of these groups has, low degrees first, with what is known of it."""
    known: dict[tuple, list[int]] = {}
    exponents: dict[str, tuple[int, ...]] = {}
    found: dict[str, list[chart.Estimate]] = {}
    for k in which:
        runs = drawn(groups[k])
        if runs[0].truth is not None:
            known.setdefault(runs[0].truth, []).append(k)
        for term, powers, estimate in estimates(k, runs):
            exponents[term] = powers
            found.setdefault(term, []).append(estimate)
    for truth in known:
        for i in range(len(truth)):
            term = {0: "1", 1: "x"}.get(i, f"x^{i}")
            exponents.setdefault(term, (i,))
            found.setdefault(term, [])
    order = sorted(found, key=lambda t: (sum(exponents[t]), [-e for e in exponents[t]]))
    terms = [
        chart.Term(term, truths_of(exponents[term], known, len(which)), found[term])
        for term in order[:TERMS]
    ]
    first = drawn(groups[which[0]])[0]
    return chart.Coefficients(
        title=f"Coefficients of {first.target} by {', '.join(first.polynomial.named) or 'nothing'}",
        terms=terms,
        note=" ".join(coefficient_notes([groups[k] for k in which], found, known, len(order))),
        drawn=STRIPPED,
        target=first.target,
    )


def estimates(k: int, runs: Sequence[Seen]) -> Iterator[tuple[str, tuple, chart.Estimate]]:
    """Term, exponents and estimate: with its interval, or of several runs mean and spread."""
    first = runs[0].polynomial
    rows = zip(first.terms, first.exponents, strict=True)
    if len(runs) == 1:
        intervals = first.conf_int().tolist()
        for (term, powers), value, ends in zip(
            rows, first.coefficients.tolist(), intervals, strict=True
        ):
            yield term, powers, chart.Estimate(k, value, *ends)
        return
    alike = [one.polynomial.coefficients for one in runs if one.polynomial.terms == first.terms]
    middle, deviation = np.mean(alike, axis=0), np.std(alike, axis=0, ddof=1 if alike[1:] else 0)
    for (term, powers), value, one in zip(rows, middle.tolist(), deviation.tolist(), strict=True):
        yield term, powers, chart.Estimate(k, value, value - one, value + one, one)


def truths_of(
    powers: tuple[int, ...], known: dict[tuple, list[int]], groups: int
) -> list[tuple[str, float]]:
    """What each truth is called, and its coefficient: of those groups that have one."""
    return [
        (
            "truth" if len(of) == groups else f"truth of {numbers(of)}",
            truth[powers[0]] if powers[0] < len(truth) else 0.0,
        )
        for truth, of in known.items()
    ]


def coefficient_notes(
    groups: Sequence[Together], found: dict, known: dict, terms: int
) -> Iterator[str]:
    levels = {
        f"{100 * one.polynomial.level:g} %"
        for group in groups
        for one in drawn(group)
        if one.polynomial.has_errors and len(group) == 1
    }
    if levels and any(math.isfinite(e.low) for es in found.values() for e in es):
        yield f"Below an estimate: its {' or '.join(sorted(levels))} interval."
    if several := {len(group) for group in groups} - {1}:
        seeds = " or ".join(plural(n, "seed") for n in sorted(several))
        yield f"Of {seeds}: the mean, with the standard deviation over them (±)."
    if known:
        yield "A training knows the truth and no intervals."
    if terms > TERMS:
        yield f"The first {TERMS} of {terms} terms."
    if terms > STRIPPED:
        yield f"Drawn are the first {STRIPPED}."
