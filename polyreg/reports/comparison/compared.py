"""A comparison as plain data, which page, figure and terminal show."""

from collections.abc import Sequence

from polyreg.naming import last_part
from polyreg.reports import chart
from polyreg.reports.comparison.charts import by_variables, coefficients, fitted, learning, numbers
from polyreg.reports.comparison.groups import Together, groups, saw, source
from polyreg.reports.comparison.labels import Labels, labels
from polyreg.reports.comparison.reading.runs import Read
from polyreg.reports.comparison.reading.seen import started
from polyreg.reports.comparison.sweeps import sweeps
from polyreg.reports.comparison.tables import tables
from polyreg.reports.groups.compared import coefficients as medians
from polyreg.reports.groups.compared import distributions
from polyreg.text import plural


def compared(read: Read) -> chart.Comparison:
    """Everything that page and figure show: groups of runs, charts, coefficients, tables."""
    together = groups(read.seen)
    told = labels(together)
    letters = data_letters(together)
    charts = [one for which in by_variables(together) for one in fitted(together, which, letters)]
    runs, is_grouped = plural(len(read.seen), "run"), len(together) < len(read.seen)
    many = {
        k: one.quantiles for k, group in enumerate(together) for one in group[:1] if one.quantiles
    }
    return chart.Comparison(
        title=f"Comparison of {runs}"
        + (f" in {plural(len(together), 'group')}" if is_grouped else ""),
        shared=told.shared,
        groups=[group_of(group, k, told, letters) for k, group in enumerate(together)],
        warnings=[*different_data(together, letters), *different_targets(together)],
        notes=[*read.notes, *different_noise(together, letters)],
        sweeps=sweeps(together, read.sweeps),
        charts=[*charts, *distributions(many), *learning(together)],
        coefficients=[
            *(coefficients(together, which) for which in by_variables(together)),
            *medians(many),
        ],
        tables=list(tables(together, told)),
    )


def group_of(group: Together, k: int, told: Labels, letters: dict) -> chart.Group:
    runs = [
        chart.Run(
            name=name,
            title=one.past.name,
            id=one.past.id,
            kind=one.kind,
            status=one.past.status,
            started=started(one.past.start),
            note="; ".join(one.notes),
        )
        for one, name in zip(group, told.runs[k], strict=True)
    ]
    return chart.Group(told.names[k], runs, letters.get(saw(group), ""), group[0].sweep)


def data_letters(together: Sequence[Together]) -> dict[tuple, str]:
    """A, B, ... for the data that the groups saw."""
    known = [data for data in dict.fromkeys(map(saw, together)) if data]
    return {
        data: chr(65 + k % 26) + (str(k // 26) if k >= 26 else "") for k, data in enumerate(known)
    }


def lines(together: Sequence[Together], letters: dict[tuple, str]) -> list[str]:
    """The data by their letters: what they are, and whose."""
    found: dict[tuple, list[int]] = {}
    for k, group in enumerate(together):
        found.setdefault(saw(group), []).append(k)
    unknown = found.pop((), [])
    told = [
        f"{letters[data]}: {in_words(data, together[of[0]])}, {numbers(of)}"
        for data, of in found.items()
    ]
    return told + ([f"not known: {numbers(unknown)}"] if unknown else [])


def in_words(data: tuple[str, ...], group: Together) -> str:
    if data[0] == "table":
        name = last_part(group[0].past.params.get("data", "")) or "a table"
        return f"{data[2]} of {name} (sha256 {data[1][:12]})"
    _, coefficients, inputs, noise = data
    return f"truth {coefficients}, {inputs} inputs, noise {noise}"


def different_data(together: Sequence[Together], letters: dict) -> list[chart.Warned]:
    if len({source(data) for data in letters}) < 2:
        return []
    said = (
        "These runs saw different tables or truths. Errors and criteria compare only on the same "
        "data; ★ is the best there."
    )
    return [chart.Warned(said, lines(together, letters))]


def different_targets(together: Sequence[Together]) -> list[chart.Warned]:
    found: dict[str, list[int]] = {}
    for k, group in enumerate(together):
        found.setdefault(group[0].target, []).append(k)
    if len(found) < 2:
        return []
    said = (
        "These runs have different targets. Errors and criteria are of the target as it is fitted, "
        "and compare only where it is the same."
    )
    return [chart.Warned(said, [f"{target}: {numbers(of)}" for target, of in found.items()])]


def different_noise(together: Sequence[Together], letters: dict) -> list[str]:
    """What the letters mean, where the truth is the same and the noise is not."""
    if len(letters) < 2 or len({source(data) for data in letters}) > 1:
        return []
    return [f"Data {'; '.join(lines(together, letters))}. ★ is the best on the same data."]
