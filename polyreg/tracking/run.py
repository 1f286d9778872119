"""Open run: params, metrics, artifacts and models that are logged to it."""

import io
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import mlflow
import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import ColSpec, DataType, Schema
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_PARENT_RUN_ID

from polyreg.errors import Refused, Unreachable
from polyreg.groups import Results
from polyreg.polynomials.result import Result
from polyreg.tracking import description, history, owner
from polyreg.tracking.many import save_groups
from polyreg.tracking.metrics import CURVE_POINTS, coefficients, now, points
from polyreg.tracking.models import save_model
from polyreg.tracking.outbox import Message, Outbox, Unbuffered, scratch
from polyreg.tracking.sender import (
    CreateRun,
    DeleteRun,
    Describe,
    DropCheckpoints,
    EndRun,
    LogBatch,
    LogDataset,
    LogFiles,
    LogModel,
    LogParams,
    Rename,
    sender,
)
from polyreg.tracking.store import is_server, line, local_path, reading

DIGEST = 36  # characters at most of a dataset's digest; the whole hash is a tag
DESCRIPTION = 5000  # characters at most of a registered version's, where the store is a database
CALL = 1000  # metrics at most in one call of log_batch


class Run:
    """An open run: what is said to it, each verb a message.

    What the store does not take at the time is kept, and sent when it does. But where the run is
    somebody's own (`active_run`), all is sent at once, raises where it cannot be, and neither
    renames nor replaces anything.
    """

    def __init__(
        self,
        run_id: str,
        experiment_id: str,
        box: Outbox | Unbuffered,
        ours: bool = True,
        artifact_uri: str = "",
        tables: str = "",
    ):
        """tables: MLflow's tag of those that the run has already"""
        self.id, self.experiment_id = run_id, experiment_id
        self.model_uri = f"runs:/{run_id}/model"
        self._box, self._ours, self._artifact_uri = box, ours, artifact_uri
        self._tables: list[dict[str, str]] = json.loads(tables or "[]")

    def at(self, run_id: str) -> "Run":
        """Another run of this store, a nested one, to add to it."""
        return Run(run_id, self.experiment_id, self._box)

    def id_of(self, run_id: str) -> str:
        """A nested run's id: while the store is away it is a placeholder."""
        return self._box.id(run_id)

    def rename(self, old: str, new: str) -> None:
        """Only where the name is still `old`: one that somebody gave is kept."""
        if self._ours and new != old:
            self._box.put(Rename(self.id, old, new))

    def describe(self, outcome: str, result: Result | None = None) -> None:
        """Show a result and how it came about as the run's description.

        One that somebody gave is kept.
        """
        if self._ours:
            self._box.put(Describe(self.id, description.of(outcome, result)))

    def params(self, params: Mapping[str, str]) -> None:
        """Those that the run does not have yet: MLflow refuses to change one."""
        self._box.put(LogParams(self.id, dict(params)))

    def tag(self, tags: Mapping[str, str]) -> None:
        self._box.put(LogBatch(self.id, tags=dict(tags)))

    def log(
        self,
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[float] | np.ndarray] | None = None,
        at: np.ndarray | None = None,
        most: int = CURVE_POINTS,
    ) -> None:
        """Log final values, and curves whose points belong to the steps `at`, or to 1, 2, ...

        Curves are thinned to at most `most` points, and what is not finite is left out.
        """
        batch = points(metrics, curves, at, most)
        for start in range(0, len(batch), CALL):
            self._box.put(LogBatch(self.id, metrics=batch[start : start + CALL]))

    def by_degree(self, degrees: Sequence[int], curves: Mapping[str, np.ndarray]) -> None:
        """Log curves whose steps are the degrees."""
        self.log({}, curves, np.array(degrees))

    def coefficients(self, polynomial: Result) -> None:
        self._document(polynomial.to_dict(), "coefficients.json")
        self.log(coefficients(polynomial))

    def table(self, columns: Mapping[str, list], name: str) -> None:
        """A table that MLflow's page shows and compares; nan is an empty cell.

        As MLflow's log_table, which would add to the table that a resumed run has already.
        """
        rows = [
            [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]
            for row in zip(*columns.values(), strict=True)
        ]
        table = {"path": f"{name}.json", "type": "table"}
        self._document({"columns": list(columns), "data": rows}, table["path"])
        if table not in self._tables:
            self._tables.append(table)
        self.tag({MLFLOW_LOGGED_ARTIFACTS: json.dumps(self._tables)})

    def dataset(
        self, source: str, sha256: str, schema: Sequence[tuple[str, str]], rows: int
    ) -> None:
        """Log the table that was read: its columns (name, Arrow type), rows, and whole hash."""
        columns = Schema([ColSpec(_column_type(kind), name) for name, kind in schema])
        table = {
            "name": Path(source).name or source,
            "digest": sha256[:DIGEST],
            "source_type": "local",
            "source": json.dumps({"uri": source}),
            "schema": json.dumps({"mlflow_colspec": columns.to_dict()}),
            "profile": json.dumps({"num_rows": rows, "sha256": sha256}),
        }
        self._box.put(LogDataset(self.id, table))

    def _document(self, document: dict, name: str) -> None:
        self.text(json.dumps(document, indent=2), name)

    def text(self, content: str, name: str) -> None:
        self.file(content.encode(), name)

    def file(self, content: bytes, path: str, replaces: str = "") -> None:
        folder, _, name = path.rpartition("/")
        made = scratch(lambda there: _write(there / name, content))
        self._box.put(LogFiles(self.id, folder, replaces=replaces), made)

    def files(self, folder: Path) -> None:
        """All that is in a folder, which is removed then."""
        self._box.put(LogFiles(self.id), folder)

    def figure(self, figure, name: str) -> None:
        drawn = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of somebody's names
            figure.savefig(drawn, format="png")
        self.file(drawn.getvalue(), f"plots/{name}.png")

    def model(
        self,
        module: torch.nn.Module,
        learned: Result,
        example: np.ndarray,
        register_as: str = "",
    ) -> None:
        """Log `model`, in place of one that the run has already, and register it if named.

        example (at least 2, D) is an x. See models.save_model.
        """
        saved = scratch(lambda there: save_model(module, learned, example, there))
        about = learned.equation()[:DESCRIPTION] if register_as else ""
        self._box.put(LogModel(self.id, "model", register_as, about, self._ours), saved)

    def groups(self, results: Results, register_as: str = "") -> None:
        """Log the `model` of many groups, and register it if named."""
        saved = scratch(lambda there: save_groups(results, there))
        about = repr(results) if register_as else ""
        self._box.put(LogModel(self.id, "model", register_as, about, self._ours), saved)

    @property
    def news(self) -> list[str]:
        """What there is to tell of what has arrived: registered models and their versions."""
        return self._box.news

    def checkpoint(self, content: bytes, path: str) -> None:
        """A file to go on from; once it is there whole, the tag `checkpoint` names it."""
        self.file(content, path, replaces="checkpoint")
        self._box.put(LogBatch(self.id, tags={"checkpoint": path}, replaces="checkpoint tag"))

    def drop_checkpoints(self, folder: str) -> None:
        self._box.put(DropCheckpoints(self.id, folder, replaces="checkpoint"))

    def child(
        self,
        name: str,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        curves: Mapping[str, np.ndarray],
        at: np.ndarray,
        polynomial: Result | None,
        model: tuple[torch.nn.Module, np.ndarray] | None = None,
        outcome: str = "",
        most: int = CURVE_POINTS,
    ) -> str:
        """Write a whole nested run, and give its id: FAILED where there is no polynomial.

        As few calls as MLflow allows; the last ends it. `model` is a module and an example.
        `outcome` is how it ended, in its description; `most` as in `log`.
        """
        about = {**self._context, MLFLOW_PARENT_RUN_ID: self.id, **tags}
        if told := description.of(outcome, polynomial):
            about[description.TAG] = description.signed(told)
        made = CreateRun("", self.experiment_id, name, about, now())
        child = self.at(self._box.put(made))
        if polynomial:
            metrics = {**metrics, **coefficients(polynomial)}
            child._document(polynomial.to_dict(), "coefficients.json")
        batch = points(metrics, curves, at, most)
        first, rest = batch[:CALL], batch[CALL:]
        self._box.put(LogBatch(child.id, first, dict(params)))
        for start in range(0, len(rest), CALL):
            self._box.put(LogBatch(child.id, rest[start : start + CALL]))
        if polynomial and model:
            child.model(model[0], polynomial, model[1])
        self._box.put(EndRun(child.id, "FINISHED" if polynomial else "FAILED", now()))
        return child.id

    @cached_property
    def _context(self) -> dict[str, str]:
        """Tags that each nested run of this process has: user, source, owner."""
        return resolve_tags(owner.tag())

    def children(self) -> list[history.Past]:
        """The nested runs, the oldest first."""
        return history.children(self.id, self.experiment_id)

    def remove(self, child_id: str) -> None:
        self._box.put(DeleteRun(self.id, child_id))

    def handle(self) -> "RunHandle | None":
        """For other machines to write nested runs; None where the store is not for them."""
        uri = mlflow.get_tracking_uri()
        if not is_server(uri):
            return None
        try:
            with reading() as client:
                kept = client.get_run(self.id).info.artifact_uri
        except Unreachable:  # for now: what we write is sent when it is back
            return None
        return None if local_path(kept) else RunHandle(uri, self.id, self.experiment_id)

    def how_to_open(self) -> str:
        """The command or the address that shows this run in a browser."""
        page = f"#/experiments/{self.experiment_id}/runs/{self.id}"
        uri = mlflow.get_tracking_uri()
        if is_server(uri):
            return f"{uri.rstrip('/')}/{page}"
        here = uri.startswith("sqlite:///") and Path("mlflow.db").resolve() == Path(
            unquote(uri.removeprefix("sqlite:///"))
        )
        store = "" if here else f" --backend-store-uri {uri}"
        return f"mlflow ui{store}    then http://127.0.0.1:5000/{page}"

    def where(self, folder: str) -> str:
        """A folder of the run's artifacts: its path, where they are on this machine."""
        kept = local_path(self._artifact_uri) if self._artifact_uri else None
        if kept is None:
            return f"{folder}/ in the run's artifacts"
        here = Path.cwd()
        return str((kept.relative_to(here) if kept.is_relative_to(here) else kept) / folder)


class RunHandle(NamedTuple):
    """A run of a tracking server, as any machine can add to it."""

    uri: str
    run: str
    experiment: str

    @contextmanager
    def open(self) -> Iterator[Run | None]:
        """The run; None where this machine does not reach its server. Raises Unreachable."""
        mlflow.set_tracking_uri(self.uri)
        try:
            with reading() as client:
                client.get_run(self.run)
        except Unreachable:
            yield None
            return
        yield Run(self.run, self.experiment, _at_once(self.uri))


def active_run() -> Run:
    """The run of somebody's `with mlflow.start_run()`, to add to; nothing of it is ended.

    Raises Refused, a ValueError, where there is none. What is said to it raises Unreachable where
    the store does not take it.
    """
    found = mlflow.active_run()
    if found is None:
        raise Refused(
            "no MLflow run is active; call this inside `with mlflow.start_run():`, or open one "
            "with polyreg.start_run"
        )
    box = _at_once(mlflow.get_tracking_uri())
    try:
        tags = mlflow.MlflowClient().get_run(found.info.run_id).data.tags  # as they are now
    except MlflowException as error:
        raise Unreachable(line(error)) from error
    tables = tags.get(MLFLOW_LOGGED_ARTIFACTS, "")
    return Run(found.info.run_id, found.info.experiment_id, box, ours=False, tables=tables)


def _at_once(uri: str) -> Unbuffered:
    send = sender(uri)

    def sent(message: Message, payload: Path | None) -> str | None:
        try:
            return send(message, payload)
        except MlflowException as error:
            raise Unreachable(line(error)) from error

    return Unbuffered(sent)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _column_type(arrow: str) -> DataType:
    if arrow.startswith(("int", "uint")):
        return DataType.long
    if arrow.startswith(("float", "double", "half", "decimal")):
        return DataType.double
    return DataType.boolean if arrow == "bool" else DataType.string
