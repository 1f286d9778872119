"""Runs side by side as plain data, which page and figure draw."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from polyreg.polynomials.summary import UNCENTRED
from polyreg.reports.comparison.runs import LOST, SAMPLE, Seen, started
from polyreg.text import INFINITE, aligned, number, plural, short

GRID = 241  # points of a curve over a chart: more than the pixels between two of them tell
LEARNING = 300  # points of a learning curve
TERMS = 60  # of a table of coefficients
STRIPPED = 24  # terms that are drawn
# What is lowest at its best, and what highest; of the others nobody can say.
LOW = ("loss/", "coef_error/", "condition", "residual_sd", "aic", "bic", "cv/", "time/")
HIGH = ("r2", "adjusted_r2", "digits/", "steps_per_s")
FIRST = ("loss/gap", "loss/train", "coef_error/max", "steps", "r2", "adjusted_r2", "residual_sd")
ABOUT_MEAN = ("r2", "adjusted_r2")  # where there is an intercept
ELSEWHERE = ("coef/", "std_error/", "system/")  # not in the table of metrics
CURVES = ("cv/mse", "cv/std_error", "cv/aic", "cv/bic")  # whose last value is no result


def compared(seen: Sequence[Seen], notes: Sequence[str]) -> Any:
    """Everything that page and figure show, as plain data."""
    from polyreg.reports import chart

    letters = data_letters(seen)
    runs = [
        chart.Run(
            name=one.past.name,
            id=one.past.id,
            kind=one.kind,
            status=one.past.status,
            started=started(one.past.start),
            data=letters.get(one.past.tags.get("data.sha256", ""), ""),
            note="; ".join(one.notes),
        )
        for one in seen
    ]
    groups = by_variables(seen)
    charts = [one for group in groups for one in fitted(seen, group, letters)]
    charts += learning(seen)
    return chart.Comparison(
        title=f"Comparison of {plural(len(seen), 'run')}",
        runs=runs,
        warnings=different_data(seen, letters),
        notes=list(notes),
        charts=charts,
        coefficients=[coefficients(seen, group) for group in groups],
        tables=list(tables(seen)),
    )


def data_letters(seen: Sequence[Seen]) -> dict[str, str]:
    """A, B, ... for the data that the runs saw, by hash."""
    hashes = dict.fromkeys(one.past.tags.get("data.sha256", "") for one in seen)
    hashes.pop("", None)
    return {h: chr(65 + k % 26) + (str(k // 26) if k >= 26 else "") for k, h in enumerate(hashes)}


def numbers(runs: Sequence[int]) -> str:
    """`run 1`, `runs 1, 3`: as the page numbers them."""
    return f"run{'s' if len(runs) > 1 else ''} {', '.join(str(k + 1) for k in runs)}"


def different_data(seen: Sequence[Seen], letters: dict[str, str]) -> list:
    from polyreg.reports import chart

    saw: dict[str, list[int]] = {}
    for k, one in enumerate(seen):
        saw.setdefault(one.past.tags.get("data.sha256", ""), []).append(k)
    unknown = saw.pop("", [])
    if len(saw) < 2:
        return []
    lines = [f"{letters[h]}: {numbers(runs)} (sha256 {h[:12]})" for h, runs in saw.items()]
    if unknown:
        lines.append(f"not known: {numbers(unknown)}")
    return [
        chart.Warned(
            "These runs saw different data. Errors and criteria compare only on the same data; "
            "★ is the best there.",
            lines,
        )
    ]


def by_variables(seen: Sequence[Seen]) -> list[list[int]]:
    """The runs that have a polynomial, together where target and variables are the same."""
    groups: dict[tuple, list[int]] = {}
    for k, one in enumerate(seen):
        if one.polynomial is not None:
            groups.setdefault((one.target, one.variables), []).append(k)
    return list(groups.values())


def samples(seen: Sequence[Seen], group: Sequence[int], letters: dict[str, str]) -> Iterator:
    """Each table's or stream's points once; as one, where they are too many to tell apart."""
    import numpy as np

    from polyreg.reports import chart

    shared: dict[str, list[int]] = {}
    for k in group:
        if seen[k].sample is not None:
            shared.setdefault(seen[k].past.tags.get("data.sha256", f"run {k}"), []).append(k)
    if len(shared) > len(chart.DOTS):
        few = -(-len(shared) * SAMPLE // 1000)  # every so many: 1000 points in all
        drawn = [seen[runs[0]].sample for runs in shared.values()]
        x, y = (np.concatenate([one[i][::few] for one in drawn]) for i in (0, 1))
        yield chart.Points(f"data, of {len(shared)} kinds (samples)", x[:, 0], y)
        return
    for look, (sha256, runs) in enumerate(shared.items()):
        x, y = seen[runs[0]].sample
        letter = letters.get(sha256, "")
        of = "" if len(shared) == 1 and len(runs) == len(group) else f" of {numbers(runs)}"
        yield chart.Points(f"data {letter}{of} (a sample)".replace("  ", " "), x[:, 0], y, look)


def fitted(seen: Sequence[Seen], group: Sequence[int], letters: dict[str, str]) -> Iterator:
    """The chart of runs that explain the same target by the same variables."""
    import numpy as np

    from polyreg.reports import chart

    first = seen[group[0]]
    if len(first.variables) != 1:
        yield from observed(seen, group)
        return
    ends = [seen[k].domain for k in group]
    low, high = min(a for a, _ in ends), max(b for _, b in ends)
    grid = np.unique(np.concatenate([np.linspace(low, high, GRID), np.ravel(ends)]))
    curves = []
    for truth in dict.fromkeys(seen[k].truth for k in group):
        if truth is not None:
            known = [seen[k].domain for k in group if seen[k].truth == truth]
            x = within(grid, min(a for a, _ in known), max(b for _, b in known))
            curves.append(chart.Curve(None, x, np.polynomial.polynomial.polyval(x, truth)))
    levels = set()
    for k, (a, b) in zip(group, ends, strict=True):
        x = within(grid, a, b)
        y, lower, upper = seen[k].polynomial.predict(x, "confidence")
        if np.isfinite(lower).all() and np.isfinite(upper).all():
            levels.add(f"{100 * seen[k].polynomial.level:g} %")
            curves.append(chart.Curve(k, x, y, lower, upper))
        else:
            curves.append(chart.Curve(k, x, y))
    notes = []
    if levels:
        notes.append(f"Bands: {' and '.join(sorted(levels))} confidence, of the mean.")
        if sum(curve.low is not None for curve in curves) > chart.BANDS:
            notes[-1] = f"Bands are drawn for up to {chart.BANDS} curves; point at one for its own."
    bare = [k for k in group if seen[k].sample is None]
    if bare:
        notes.append(f"No sample of the data of {numbers(bare)}: the curve only.")
    yield chart.Chart(
        title=f"{first.target} against {first.variables[0]}",
        names=(first.variables[0], first.target),
        curves=curves,
        points=list(samples(seen, group, letters)),
        note=" ".join(notes),
    )


def within(grid: Any, low: float, high: float) -> Any:
    return grid[(grid >= low) & (grid <= high)]


def observed(seen: Sequence[Seen], group: Sequence[int]) -> Iterator:
    """Of several variables: what was observed against what each run says."""
    from polyreg.reports import chart

    points = []
    for look, k in enumerate(group):
        if seen[k].sample is not None:
            x, y = seen[k].sample
            points.append(chart.Points(f"run {k + 1}", seen[k].polynomial.predict(x), y, look, k))
    first = seen[group[0]]
    if not first.variables:
        return
    names = ", ".join(first.variables)
    bare = [k for k in group if seen[k].sample is None]
    note = f"A curve is shown for one variable; these runs have {len(first.variables)}: {names}."
    if bare:
        note += f" No sample of the data of {numbers(bare)}: no points."
    yield chart.Chart(
        title=f"{first.target}: observed against fitted",
        names=(f"fitted {first.target}", f"observed {first.target}"),
        points=points,
        diagonal=bool(points),
        note=note,
    )


LEARNED = {
    "loss/gap": ("Learning curves: gap, the expected excess loss over the optimum", "step", "gap"),
    "loss/train": ("Learning curves: loss of the batch", "step", "loss"),
    "cv/mse": ("Cross-validated error by degree", "degree", "mean squared error"),
}


def learning(seen: Sequence[Seen]) -> Iterator:
    import numpy as np

    from polyreg.reports import chart
    from polyreg.tracking import thinned

    for key, (title, across, up) in LEARNED.items():
        curves = []
        for k, one in enumerate(seen):
            if key in one.learning:
                steps, values = one.learning[key]
                kept = np.isfinite(values) & (values > 0) & (values < INFINITE)
                steps, values = steps[kept], values[kept]
                if len(steps):
                    at = thinned(steps, LEARNING)
                    curves.append(chart.Curve(k, steps[at].astype(float), values[at]))
        if curves:
            lowest = min(curve.x[0] for curve in curves)
            long = lowest >= 1 and max(curve.x[-1] for curve in curves) >= 50
            yield chart.Chart(title, (across, up), curves, log=(bool(long), True))


def coefficients(seen: Sequence[Seen], group: Sequence[int]) -> Any:
    """Each term that any of these runs has, low degrees first, with what is known of it."""
    from polyreg.reports import chart

    truths: dict[tuple, list[int]] = {}
    for k in group:
        if (known := seen[k].truth) is not None:
            truths.setdefault(known, []).append(k)
    exponents: dict[str, tuple[int, ...]] = {}
    found: dict[str, list] = {}
    for k in group:
        polynomial = seen[k].polynomial
        pairs = zip(polynomial.terms, polynomial.coefficients.tolist(), strict=True)
        rows = zip(pairs, polynomial.exponents, polynomial.conf_int().tolist(), strict=True)
        for (term, value), powers, (low, high) in rows:
            exponents[term] = powers
            found.setdefault(term, []).append(chart.Estimate(k, value, low, high))
    for truth in truths:
        for i in range(len(truth)):
            term = {0: "1", 1: "x"}.get(i, f"x^{i}")
            exponents.setdefault(term, (i,))
            found.setdefault(term, [])
    order = sorted(found, key=lambda t: (sum(exponents[t]), [-e for e in exponents[t]]))

    def known_of(term: str) -> list[tuple[str, float]]:
        (power,) = exponents[term] if truths else (0,)
        return [
            (
                "truth" if len(truths) == 1 else f"truth of {numbers(runs)}",
                truth[power] if power < len(truth) else 0.0,
            )
            for truth, runs in truths.items()
        ]

    first = seen[group[0]]
    notes = []
    levels = {
        f"{100 * s.polynomial.level:g} %" for s in seen if s.polynomial and s.polynomial.has_errors
    }
    if any(math.isfinite(e.low) for es in found.values() for e in es):
        notes.append(f"Below an estimate: its {' or '.join(sorted(levels))} interval.")
    if truths:
        notes.append("A training knows the truth and no intervals.")
    if len(order) > TERMS:
        notes.append(f"The first {TERMS} of {len(order)} terms.")
    if len(order) > STRIPPED:
        notes.append(f"Drawn are the first {STRIPPED}.")
    return chart.Coefficients(
        title=f"Coefficients of {first.target} by {', '.join(first.variables) or 'nothing'}",
        terms=[chart.Term(term, known_of(term), found[term]) for term in order[:TERMS]],
        note=" ".join(notes),
        drawn=STRIPPED,
        target=first.target,
    )


def tables(seen: Sequence[Seen]) -> Iterator:
    """The options that differ, the metrics, the seconds."""
    from polyreg.reports import chart

    rows = [
        chart.Row(name, [one.past.params.get(name) for one in seen]) for name in differing(seen)
    ]
    if rows:
        note = "An option that a run does not have is a dash."
        yield chart.Table("Options that differ", rows, note)
    names = {name for one in seen for name in one.past.metrics if name not in CURVES}
    shown = {name for name in names if not name.startswith(ELSEWHERE)}
    times = sorted(name for name in shown if name.startswith("time/"))
    first = [name for name in FIRST if name in shown]
    rest = sorted(shown - set(times) - set(first))
    best = "★ best of the runs that saw the same data."
    for title, keys in (("Final metrics", first + rest), ("Seconds of each stage", times)):
        rows = [row for name in keys for row in metrics(seen, name)]
        if rows:
            yield chart.Table(title, rows, best, folded=keys is times)


def differing(seen: Sequence[Seen]) -> list[str]:
    """Options that two runs have differently, or that one of a kind has and another has not."""
    found = []
    for name in dict.fromkeys(name for one in seen for name in one.past.params):
        values = {one.past.params[name] for one in seen if name in one.past.params}
        kinds = {one.kind for one in seen if name in one.past.params}
        lacking = any(name not in one.past.params for one in seen if one.kind in kinds)
        if len(values) > 1 or lacking:
            found.append(name)
    return found


def metrics(seen: Sequence[Seen], name: str) -> Iterator:
    """A row of a metric; R2 of fits without an intercept, which is about 0, in one of its own."""
    if name not in ABOUT_MEAN:
        yield metric(seen, name, name, [True] * len(seen))
        return
    bare = [is_uncentred(one) for one in seen]
    for label, kept in ((name, [not b for b in bare]), (name + UNCENTRED, bare)):
        if any(k and name in one.past.metrics for k, one in zip(kept, seen, strict=True)):
            yield metric(seen, name, label, kept)


def is_uncentred(one: Seen) -> bool:
    """Whether R2 is from the sum of squares about 0: a fit without an intercept."""
    return one.past.params.get("intercept") == "false" or not getattr(
        one.polynomial, "intercept", True
    )


def metric(seen: Sequence[Seen], name: str, label: str, kept: Sequence[bool]) -> Any:
    """A metric of the runs that are kept, with the best on each data marked, where two differ."""
    from polyreg.reports import chart

    pairs = zip(seen, kept, strict=True)
    values = [one.past.metrics.get(name) if is_kept else None for one, is_kept in pairs]
    sign = -1 if name.startswith(HIGH) else 1 if name.startswith(LOW) or name == "steps" else 0
    best: set[int] = set()
    if sign:
        saw: dict[str, dict[int, float]] = {}
        for k, (one, value) in enumerate(zip(seen, values, strict=True)):
            if value is not None and abs(value) < INFINITE:  # nan is not
                those = saw.setdefault(one.past.tags.get("data.sha256", ""), {})
                those[k] = sign * float(f"{value:.6g}")  # as the page shows it
        for those in saw.values():
            least = min(those.values())
            if least < max(those.values()):
                best |= {k for k, value in those.items() if value == least}
    return chart.Row(label, values, frozenset(best))


def report(seen: Sequence[Seen], comparison: Any) -> tuple[list[str], list[str]]:
    """A line a run; and what there is to mind."""
    cells = {"degree": [one.past.params.get("degree", "-") for one in seen]}
    for key in ("steps", "loss/gap", "r2", "residual_sd"):
        if any(key in one.past.metrics for one in seen):
            for row in metrics(seen, key):
                shown = ["-" if v is None else number(v) for v in row.cells]
                cells[row.name.rpartition("/")[2]] = shown
    names = [f"{k + 1:>2} {short(one.past.name, 40)}" for k, one in enumerate(seen)]
    cells["data"] = [run.data or "-" for run in comparison.runs]
    cells["status"] = [one.past.status for one in seen]
    lines = [aligned(["run", *cells], list(zip(names, *cells.values(), strict=True)))]
    warnings = [f"warning: {one.text} {'; '.join(one.lines)}" for one in comparison.warnings]
    notes = list(comparison.notes)
    lost = [k for k, one in enumerate(seen) if any(note.startswith(LOST) for note in one.notes)]
    if lost:
        notes.append(
            f"No curve of {numbers(lost)}: no artifacts are where MLflow expects them, as in "
            f"{seen[lost[0]].past.artifact_uri}; if that folder was moved, move it back, or put a "
            "link there."
        )
    return lines, warnings + [f"note: {note}" for note in notes]
