"""Origin of a fit: options, table and sample, for its record in MLflow and its plot."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from polyreg.config import FitConfig
from polyreg.inference.study import Deferred
from polyreg.least_squares.study import examine
from polyreg.polynomials.result import Result
from polyreg.tables import Block, InMemory, Survey, Table
from polyreg.tables.hints import remarks
from polyreg.tables.missing import counts


@dataclass(kw_only=True)
class Source:
    """A table that was read. Pickled is its hash, which is made when somebody asks for it."""

    source: str  # path or address of the table, or what it is
    schema: list[tuple[str, str]]  # name and Arrow type of each column
    skipped: list[str]  # files that were left out, and why
    read: str  # how a text table was read, in words
    digest: Callable[[], str]

    @classmethod
    def of(cls, rows: Table | InMemory, **more: Any) -> Any:
        return cls(
            source=rows.root,
            schema=list(rows.schema),
            skipped=list(rows.skipped),
            read=rows.described(),
            digest=rows.sha256,
            **more,
        )

    @property
    def sha256(self) -> str:
        """Of the files as they are, or of the columns in memory as float64."""
        found = self.digest()
        self.digest = partial(str, found)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"digest": partial(str, self.sha256)}


@dataclass(kw_only=True)
class Origin(Source):
    """Options, a sample of the rows, and what tells the table apart from others.

    The rows are kept only to be hashed when somebody asks, as they are then.
    """

    config: FitConfig
    sample: Block
    given: Block  # the same rows as they were read, before functions of their columns
    device: str
    names: tuple[str, ...]  # of the features
    columns: tuple[str, ...]  # that were read
    missing_rows: int
    remarks: tuple[str, ...]  # on its columns; they are among the result's notes
    missing_by: dict[str, int]  # missing values of each column

    @property
    def unused(self) -> list[str]:
        """Columns that are neither feature, target, weight nor uncertainty."""
        return [name for name, _ in self.schema if name not in self.columns]


def unusual(rows: Table | InMemory) -> list[str]:
    """How a table was read, where that is not what everybody would expect: a sentence, or none."""
    read = rows.unusual()
    return [f"{rows.title} was read as {read}"] if read else []


def functions_of(rows: Table | InMemory, survey: Survey) -> dict[str, Any]:
    """Variables and target as functions of columns, with the columns' ranges: of a Result."""
    found = rows.functions
    if found is None or survey.ranges is None:
        return {}
    ranges = dict(zip(found.columns, survey.ranges.tolist(), strict=True))
    inputs = [replace(v, low=ranges[v.column][0], high=ranges[v.column][1]) for v in found.inputs]
    # Levels are numbered in the order of the words, not in that of their appearance in the table.
    inputs = [
        replace(v, low=0.0, high=len(v.words) - 1.0, shift=-float(v.place)) if v.words else v
        for v in inputs
    ]
    is_plain = all(v.is_plain for v in inputs)
    outcome = found.outcome if found.outcome and not found.outcome.is_plain else None
    return {"inputs": () if is_plain else tuple(inputs), "outcome": outcome}


def scale_notes(rows: Table | InMemory, config: FitConfig) -> Iterator[str]:
    """What is of the target's function and what of its column, where these are two: sentences."""
    outcome = rows.functions and rows.functions.outcome
    if not outcome or outcome.kind == "identity":
        return
    yield (
        f"predictions of {outcome.column} are its median, not its mean: they come back from "
        f"{outcome.name}, of which std errors, residual SD and R2 are"
    )
    if config.sigma:
        yield f"uncertainties of {outcome.column} became those of {outcome.name}, to first order"
    elif rows.weights:
        yield f"weights are of {outcome.name}, as it is fitted, not of {outcome.column}"


def _given(rows: Table | InMemory, given: Block) -> Block:
    """The sample as it was read, of words the places of their levels."""
    if not rows.functions or not rows.words:
        return given
    columns = dict(zip(rows.functions.columns, given.x, strict=True))
    for column in rows.lexicon:
        own = [v for v in rows.functions.inputs if v.column == column]
        columns[column] = np.sum([v.place * v.values(columns[column]) for v in own], axis=0)
    return given._replace(x=tuple(columns.values()))


def _dropped(rows: Table | InMemory) -> Iterator[str]:
    """How many rows are not among those fitted, and for what."""
    if missing := rows.missing_rows:
        each = f": {counts(rows.missing_by)}" if rows.missing_by else ""
        yield f"{missing:,} row{'s' * (missing != 1)} dropped for lack of a finite value{each}"


def originated(
    result: Result, rows: Table | InMemory, config: FitConfig, survey: Survey, device: str
) -> Result:
    """The result with what it was made from."""
    sample = survey.sample
    if result.swapped and sample.y is not None:  # as its plots draw it
        (x,), y, weights, u = sample.x, sample.y, sample.weights, sample.more[0]
        assert weights is not None
        sample = sample._replace(x=(y,), y=x, weights=u**-2.0, more=(weights**-0.5,))
    made = Origin.of(
        rows,
        config=config,
        sample=sample,
        given=_given(rows, survey.given) if survey.given else sample,
        device=device,
        names=rows.names,
        columns=tuple(rows.columns),
        missing_rows=rows.missing_rows,
        remarks=(*unusual(rows), *remarks(rows, survey), *_dropped(rows)),
        missing_by=dict(rows.missing_by),
    )
    look = partial(examine, rows=rows, config=config, survey=survey, device=device)
    return replace(
        result,
        **functions_of(rows, survey),
        origin=made,
        units=dict(rows.units),
        notes=(*made.remarks, *result.notes, *scale_notes(rows, config)),
        deferred=Deferred(look),
    )
