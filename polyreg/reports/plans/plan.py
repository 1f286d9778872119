"""What is told of a fit before it is made: how its table was read, and what it would do."""

from typing import Any

from polyreg.least_squares import Problem
from polyreg.tables import Survey, Table
from polyreg.tables.hints import remarks
from polyreg.tables.words import written
from polyreg.text import plural


def about(rows: Table, survey: Survey) -> list[str]:
    """How the table was read, and what is to be said of its columns, before they are fitted."""
    told = rows.unusual()
    read = [f"{rows.title}: {told}, {plural(survey.rows, 'row')}"] if told else []
    return read + [f"note: {remark}" for remark in remarks(rows, survey)]


def plan(problem: Problem, rows: Table, survey: Survey, engine: Any) -> list[str]:
    """What a fit would do, a line each."""
    terms = problem.terms
    shown = ", ".join(terms[:8]) + (f", ... {terms[-1]}" if len(terms) > 8 else "")
    condition = problem.expected_condition(survey.sample)
    dropped = f", and {rows.missing_rows:,} dropped" if rows.missing_rows else ""
    left_out = f", and {len(rows.skipped)} left out" if rows.skipped else ""
    used = rows.columns
    told = {
        "data": f"{len(rows.files)} {rows.format} file(s), {rows.size:,} bytes{left_out}",
        "rows": f"{survey.rows:,}{dropped}",
        "features": features(written(rows), [name for name, _ in rows.schema if name not in used]),
        "terms": f"{len(terms):,}: {shown}",
        "precision": problem.precision,
        "memory": f"{problem.memory() / 1e6:,.0f} MB, whatever the rows",
        "device": problem.device,
        "engine": str(engine or "this process"),
        "condition": f"about {condition:.3g}, in the scaled basis"
        if condition < float("inf")
        else "beyond float64, by the sample: terms may depend on each other",
    }
    return [f"{what:<11}{value}" for what, value in told.items()]


def features(names: tuple[str, ...], unused: list[str]) -> str:
    """The columns that are used, and those that are not."""
    return ", ".join(names) + (f"; not used: {', '.join(unused)}" if unused else "")
