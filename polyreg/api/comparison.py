"""Comparison of results, trainings, runs and sweeps in Python."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyreg.api.arguments import as_arguments, in_python
from polyreg.api.functions import Sweep
from polyreg.errors import PolyregError, Refused
from polyreg.groups import Results
from polyreg.polynomials.inputs import is_frame
from polyreg.polynomials.result import Result
from polyreg.sgd import Training

if TYPE_CHECKING:  # all of them bring MLflow with them
    from polyreg.reports.chart import Cell
    from polyreg.reports.comparison.reading.choice import Item
    from polyreg.reports.comparison.reading.runs import Read, Swept
    from polyreg.reports.comparison.reading.seen import Seen

KINDS = Result, Results, Training, Sweep, str


class Comparison:
    """Results, runs and sweeps side by side: one HTML page, one figure, one table.

    >>> import polyreg
    >>> results = [polyreg.fit([0, 1, 2, 3], [0, 1, 4, 9], degree=k) for k in (1, 2)]
    >>> table = polyreg.compare(results).table()
    >>> table["degree"].tolist(), table["r2"].round(3).tolist()
    ([1, 2], [0.918, 1.0])
    """

    def __init__(self, read: "Read"):
        from polyreg.reports.comparison.compared import compared

        self._read, self._data = read, compared(read)

    def to_html(self, path: str | PathLike | None = None) -> str:
        """The page, which needs no network and runs no script but its own; written to `path`.

        Raises PolyregError where that cannot be written.
        """
        from polyreg.reports.comparison import page

        content = page.render(self._data)
        if path is not None:
            try:
                Path(path).write_text(content, encoding="utf-8")
            except OSError as error:
                told = f"the page cannot be written to {path}: {error.strerror}"
                raise PolyregError(f"{told}; name a file in a folder that is there") from error
        return content

    def figure(self) -> Any:
        """The charts as a matplotlib Figure."""
        from polyreg.reports.comparison import figure

        return figure.comparison(self._data)

    def table(self) -> Any:
        """A pandas DataFrame, a row a group of runs that differ in the seed alone, by their names.

        First the options in which groups differ, numbers as numbers. Where a group has several
        runs, `runs` is how many, a metric is their mean, and `<metric> sd` the standard deviation
        over them, nan of one. `converged` is how many have, or whether, where no group has several.
        A metric that bears an option's name is `<metric> (measured)`. nan: a group has it not.

        >>> import polyreg
        >>> sweep = polyreg.sweep(degrees=(1, 3), learning_rates=("auto",), seeds=3)
        >>> table = polyreg.compare(sweep).table()
        >>> table[["degree", "runs", "converged"]].values.tolist()
        [[1, 3, 3], [3, 3, 3]]
        >>> bool((table["steps sd"] > 0).all())
        True
        """
        import pandas

        groups = self._data.groups
        several = any(len(group.runs) > 1 for group in groups)
        found = [column for table in self._data.tables for column in table.columns]
        columns = {
            column.name.replace(" ", "_"): [plain(cell) for cell in column.cells]
            for column in found
            if column.is_option
        }
        if several:
            columns["runs"] = [len(group.runs) for group in groups]
        for column in found:
            if column.is_option:
                continue
            name = column.name + (" (measured)" if column.name in columns else "")
            columns[name] = [plain(cell) for cell in column.cells]
            if column.name == "converged":
                columns[name] = [counted(cell, several) for cell in column.cells]
            elif several and column.spreads:
                columns[f"{name} sd"] = list(column.spreads)
        index = pandas.Index([group.name for group in groups], name="run")
        return pandas.DataFrame(columns, index=index)

    def __repr__(self) -> str:
        return "\n".join(part for parts in self._report() for part in parts)

    def _repr_html_(self) -> str:
        """The table for a notebook, and what there is to mind; every name escaped."""
        import html

        _, warnings = self._report()
        shared = [f"all: {self._data.shared}"] if self._data.shared else []
        above, below = ("".join(f"<p>{html.escape(p)}</p>" for p in t) for t in (shared, warnings))
        return above + self.table().to_html(float_format="{:.6g}".format, na_rep="–") + below

    def _report(self) -> tuple[list[str], list[str]]:
        from polyreg.reports.comparison.terminal import report

        lines, warnings = report(self._read, self._data)
        return lines, list(map(as_arguments, warnings))


def plain(cell: "Cell") -> Any:
    """A cell as Python has it: a number of one that is a number's text; nan of none."""
    if not isinstance(cell, str):
        return float("nan") if cell is None else cell
    if cell in ("true", "false"):
        return cell == "true"
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return cell


def counted(cell: "Cell", several: bool) -> Any:
    """How many have converged, of `3 of 5`, `yes` or `no`; or, where all are single, whether."""
    if not isinstance(cell, str):
        return float("nan")
    many = {"yes": 1, "no": 0}.get(cell) if cell in ("yes", "no") else int(cell.split()[0])
    return many if several else bool(many)


def compare(*items: Any) -> Comparison:
    """Results, trainings, runs and sweeps side by side, in any mixture.

    items: Result, Results of groups, Training, Sweep, or the id of a run or a sweep in MLflow's
        store, each; or one list of these. Those that differ in the seed alone are one group; a
        sweep's combinations are groups, of which at most 50 are shown, the best by score.

    -> Comparison: `.table()`, `.figure()`, `.to_html(path)`

    Raises PolyregError where an item is none of these, or the store has no such run.

    >>> import polyreg
    >>> trained = [polyreg.train(degree=k, seed=2, max_steps=50) for k in (1, 3)]
    >>> polyreg.compare(*trained, polyreg.train(seed=3, max_steps=50)).table()["runs"].tolist()
    [1, 2]
    """
    given = as_list(items)
    if not given:
        raise Refused("nothing to compare; give results, trainings, sweeps or run ids")
    with in_python():
        from polyreg.reports.comparison.reading.runs import read_all

        given = list({item if isinstance(item, str) else id(item): item for item in given}.values())
        return Comparison(read_all([source(item, k) for k, item in enumerate(given, 1)]))


def as_list(items: Sequence[Any]) -> list[Any]:
    """What is to be compared: several arguments, or one that is a list of it."""
    if len(items) != 1 or isinstance(items[0], KINDS):
        return list(items)
    [listed] = items
    if is_frame(listed) or not isinstance(listed, Iterable):
        raise Refused(
            f"a {type(listed).__name__} is no list of results, trainings, sweeps or run ids"
        )
    return list(listed)


def source(item: Any, number: int) -> "Item | Seen | Swept":
    """The `number`-th of those to compare, as it is read. Refused where it is none."""
    from polyreg import tracking
    from polyreg.reports.comparison.reading.choice import as_item
    from polyreg.reports.comparison.reading.runs import Swept
    from polyreg.reports.comparison.reading.seen import Seen

    if isinstance(item, str):
        return as_item(tracking.past([item])[0])
    if isinstance(item, Sweep):
        return Swept(item.config, item.trainings, item.runs)
    if isinstance(item, Result):
        return Seen.of_result(item, f"result {number}")
    if isinstance(item, Results):
        return Seen.of_results(item)
    if not isinstance(item, Training):
        kinds = "a Result or Results, a Training, a Sweep or a run id"
        raise Refused(f"item {number} is a {type(item).__name__}; give {kinds}")
    if not item.curve.steps:
        raise Refused(f"item {number} is a training without a step; train it first")
    return Seen.of_training(item)
