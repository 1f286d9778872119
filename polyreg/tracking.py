"""Everything polyreg says to MLflow. No other module imports mlflow."""

import contextlib
import http.client
import inspect
import io
import json
import logging
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType
from mlflow.utils.logging_utils import suppress_logs
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_PARENT_RUN_ID

from polyreg import predictor, process
from polyreg.config import Refused
from polyreg.inference import Answer
from polyreg.outbox import Message, Outbox, Unreachable, Unsent, scratch
from polyreg.polynomial import Polynomial, read
from polyreg.terms import keys
from polyreg.text import without_secrets

# Its bars of one small file tell nothing; MLflow reads this at every transfer.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A uv project that the user happens to stand in is no part of a model.
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run
# What cannot be sent waits in the outbox; MLflow itself would stop everything for minutes.
for _name, _value in {"MAX_RETRIES": "1", "BACKOFF_FACTOR": "1", "TIMEOUT": "30"}.items():
    os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{_name}", _value)

# What it raises comes with the same traceback as a line of its log.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: record.exc_info is None)

EXPERIMENT = "polyreg"
CURVE_POINTS = 1000  # a curve of 10,000 points freezes MLflow's page
# Of `model` and of `predictor`: what `load` reads.
DOCUMENT, SERVED = Path("extra_files/polyreg.json"), Path("artifacts/polyreg.json")
# What follows polyreg/predictor.py in the file that MLflow runs to load the model.
PREDICTOR = """

import json
from pathlib import Path

import mlflow


class Model(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        document = Path(context.artifacts["document"]).read_text(encoding="utf-8")
        self.predictor = Predictor(json.loads(document))

    def predict(self, model_input: pd.DataFrame, params: dict | None = None):
        try:
            return self.predictor.predict(model_input, **(params or {}))
        except ValueError as error:  # a server answers 400 with its line
            raise mlflow.MlflowException.invalid_parameter_value(str(error)) from error


mlflow.models.set_model(Model())
"""
LAST_WORD = """
import sys, time
import mlflow

client, run = mlflow.MlflowClient(sys.argv[1]), sys.argv[2]
print("listening", flush=True)
for _ in range(600):
    if client.get_run(run).info.status == "FAILED":
        client.set_terminated(run, "KILLED")
        break
    time.sleep(0.05)
"""
DIGEST = 36  # characters at most of a dataset's digest; the whole hash is a tag
CALL = 1000  # metrics at most in one call of log_batch
PROBE_SECONDS = 5
# Without this tag MLflow's page opens an experiment in its view for language models.
KIND, KIND_OF_OURS = "mlflow.experimentKind", "custom_model_development"
RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")  # what MLflow calls a run that was given no name


def _require_writable(path: Path, what: str) -> None:
    """Write a byte's worth of nothing where `path` is, or is going to be."""
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    try:
        if path.is_file():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise Unreachable(
            f"{what} {path} cannot be written ({error.strerror}); run in a folder that can, or "
            "set MLFLOW_TRACKING_URI, like sqlite:////folder/mlflow.db"
        ) from error


def _require_answer(uri: str) -> None:
    # MLflow itself would retry for minutes before it says so.
    try:
        urllib.request.urlopen(without_secrets(uri), timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        pass  # it answered; what it allows is its own business
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(
            f"no tracking server answers at {without_secrets(uri)} ({reason}); start one with "
            "`mlflow server`, or set MLFLOW_TRACKING_URI"
        ) from error


def _line(error: BaseException | None) -> str:
    if "Max retries exceeded" in str(error):
        return f"no tracking server answers at {without_secrets(mlflow.get_tracking_uri())}"
    return " ".join(str(error).split())[:300] or type(error).__name__


def _local_path(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(uri)


def _require_store(uri: str, make: bool = False) -> None:
    if uri.partition("?")[0] in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise Unreachable(f"{uri} is a store in memory, which is lost at once; name a file")
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///").partition("?")[0])
        if not path.exists():
            if not make:
                raise Unreachable(f"there is no tracking store {path}; set MLFLOW_TRACKING_URI")
            _require_writable(path, "the tracking store")
            _first_use(path)
        _require_writable(path, "the tracking store")
    elif uri.startswith(("http://", "https://")):
        _require_answer(uri)


def _first_use(path: Path) -> None:
    """Make a new store's tables, by one process, and aside: SQLite's file appears when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        if path.exists():
            return
        for left in path.parent.glob(f".{path.name}.*"):  # of a process that was killed at this
            left.unlink()
        made = path.with_name(f".{path.name}.{os.getpid()}")
        mlflow.MlflowClient(f"sqlite:///{made}").search_experiments()
        try:
            os.link(made, path)
        except FileExistsError:  # by somebody else's MLflow
            pass
        except OSError:  # a file system without links
            made.rename(path)
        made.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time, where the system can do that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _experiment(client: Any) -> Any:
    """The experiment MLflow was told of, or polyreg's own, made if need be."""
    for pause in (0.1, 0.3, 1.0):
        try:
            return _experiment_at_first(client)
        except MlflowException as error:
            # Of several that make it at once, all but one are told so in one of these ways.
            told = f"{error.error_code} {error}"
            if not re.search("RESOURCE_ALREADY_EXISTS|IntegrityError|is locked", told):
                raise
            time.sleep(pause * random.uniform(1, 2))
    return _experiment_at_first(client)


def _experiment_at_first(client: Any) -> Any:
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        experiment = client.get_experiment(client.get_run(run_id).info.experiment_id)
    elif experiment_id := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        experiment = client.get_experiment(experiment_id)
    else:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = client.get_experiment_by_name(name)
        experiment = known or client.get_experiment(client.create_experiment(name))
    if KIND not in experiment.tags:
        client.set_experiment_tag(experiment.experiment_id, KIND, KIND_OF_OURS)
    return experiment


class Child(NamedTuple):
    """A nested run as the store has it; one that is not `whole` was interrupted half-written."""

    id: str
    whole: bool
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Run:
    """An open run: what the experiments say to it.

    What the store does not take at the time is kept, and sent when it does.
    """

    def __init__(self, run_id: str, experiment_id: str, box: Outbox):
        self.id, self.experiment_id = run_id, experiment_id
        self.model_uri = f"runs:/{run_id}/model"
        self._box = box

    def at(self, run_id: str) -> "Run":
        """Another run of this store, a nested one, to add to it."""
        return Run(run_id, self.experiment_id, self._box)

    def id_of(self, run_id: str) -> str:
        """A nested run's id: while the store is away it is a placeholder."""
        return self._box.id(run_id)

    def _put(self, do: str, payload: Path | None = None, **what: Any) -> None:
        self._box.put({"do": do, "run": self.id, **what}, payload)

    def rename(self, old: str, new: str) -> None:
        """Only where the name is still `old`: one that somebody gave is kept."""
        self._put("rename", old=old, new=new)

    def tag(self, tags: Mapping[str, str]) -> None:
        self._put("batch", tags=dict(tags))

    def checkpoint(self, content: bytes, path: str) -> None:
        """A file to go on from; once it is there whole, the tag `checkpoint` names it."""
        self.file(content, path, replaces="checkpoint")
        self._put("batch", tags={"checkpoint": path}, replaces="checkpoint tag")

    def drop_checkpoints(self, folder: str) -> None:
        self._put("drop", folder=folder, replaces="checkpoint")

    def log(
        self,
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[float] | np.ndarray] | None = None,
        at: np.ndarray | None = None,
        points: int = CURVE_POINTS,
    ) -> None:
        """Log final values, and curves whose points belong to the steps `at`, or to 1, 2, ...

        Curves are thinned to at most `points`. What is not finite is left out: MLflow stores nan
        as 0 and inf as 1.8e308, which ruins every chart.
        """
        batch = _metrics(metrics, curves or {}, at, points)
        for start in range(0, len(batch), CALL):
            self._put("batch", metrics=batch[start : start + CALL])

    def child(
        self,
        name: str,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        curves: Mapping[str, np.ndarray],
        at: np.ndarray,
        polynomial: Polynomial | None,
        model: tuple[torch.nn.Module, np.ndarray] | None = None,
    ) -> str:
        """Write a whole nested run, and give its id: FAILED where there is no polynomial.

        As few calls as MLflow allows; the last ends it. `model` is a module and an example.
        """
        about = resolve_tags({MLFLOW_PARENT_RUN_ID: self.id, **process.identity(), **tags})
        made = {"do": "create", "experiment": self.experiment_id, "name": name, "tags": about}
        child = self.at(self._box.put(made | {"start": _now()}))
        if polynomial:
            metrics = {**metrics, **_coefficients(polynomial)}
            child._document(polynomial.document(), "coefficients.json")
        batch = _metrics(metrics, curves, at)
        child._put("batch", metrics=batch[:CALL], params=dict(params))
        for start in range(CALL, len(batch), CALL):
            child._put("batch", metrics=batch[start : start + CALL])
        if polynomial and model:
            child.model(model[0], polynomial, model[1])
        child._put("end", status="FINISHED" if polynomial else "FAILED", at=_now())
        return child.id

    def elsewhere(self) -> "Elsewhere | None":
        """For other machines to write nested runs; None where the store is not for them."""
        uri = mlflow.get_tracking_uri()
        if not uri.startswith(("http://", "https://")):
            return None
        try:
            with _reading() as client:
                kept = client.get_run(self.id).info.artifact_uri
        except Unreachable:  # for now: what we write is sent when it is back
            return None
        return None if _local_path(kept) else Elsewhere(uri, self.id, self.experiment_id)

    def children(self) -> list[Child]:
        """The nested runs, the oldest first."""
        ours = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.id}'"
        oldest = ["attributes.start_time ASC"]
        with _reading() as client:
            return [
                Child(
                    id=run.info.run_id,
                    whole=run.info.status == "FINISHED" or _diverged(run),
                    params=run.data.params,
                    metrics=run.data.metrics,
                    tags=run.data.tags,
                )
                for run in _all_runs(client, [self.experiment_id], ours, oldest)
            ]

    def remove(self, child_id: str) -> None:
        self._put("remove", child=child_id)

    def table(self, columns: Mapping[str, list], name: str) -> None:
        """A table that MLflow's page shows and compares; nan is an empty cell.

        As MLflow's log_table, which would add to the table that a resumed run has already.
        """
        rows = [
            [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]
            for row in zip(*columns.values(), strict=True)
        ]
        path = f"{name}.json"
        self._document({"columns": list(columns), "data": rows}, path)
        self.tag({MLFLOW_LOGGED_ARTIFACTS: json.dumps([{"path": path, "type": "table"}])})

    def by_degree(self, degrees: Sequence[int], curves: Mapping[str, np.ndarray]) -> None:
        """Log curves whose steps are the degrees."""
        now = _now()
        batch = [
            (name, float(value), now, degree)
            for name, values in curves.items()
            for degree, value in zip(degrees, values, strict=True)
            if math.isfinite(value)
        ]
        self._put("batch", metrics=batch)

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
        self._put("dataset", table=table)

    def coefficients(self, polynomial: Polynomial | Answer) -> None:
        self._document(polynomial.document(), "coefficients.json")
        self.log(_coefficients(polynomial))

    def _document(self, document: dict, name: str) -> None:
        self.text(json.dumps(document, indent=2), name)

    def text(self, content: str, name: str) -> None:
        self.file(content.encode(), name)

    def file(self, content: bytes, path: str, replaces: str = "") -> None:
        folder, _, name = path.rpartition("/")
        made = scratch(lambda there: _write(there / name, content))
        self._put("files", made, to=folder, replaces=replaces)

    def figure(self, figure, name: str) -> None:
        drawn = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of somebody's names
            figure.savefig(drawn, format="png")
        self.file(drawn.getvalue(), f"plots/{name}.png")

    def model(
        self,
        module: torch.nn.Module,
        learned: Polynomial | Answer,
        example: np.ndarray,
        register_as: str = "",
    ) -> None:
        """Log `model` and `predictor`, in place of those that the run has already.

        Neither is a pickle or needs polyreg. `model` is the module, on the CPU, in MLflow's pt2
        format: x (N, D) to y (N, 1). `predictor` is for serving: columns by their names.
        example (at least 2, D) is an x.
        """
        document = learned.document()
        saved = scratch(lambda there: _save_module(there, module, document, example))
        self._put("model", saved, name="model", register_as=register_as)
        rows = pd.DataFrame(example, columns=list(learned.variables))
        saved = scratch(lambda there: save_predictor(there, document, rows))
        self._put("model", saved, name="predictor")

    def how_to_open(self) -> str:
        """The command or the address that shows this run in a browser."""
        page = f"#/experiments/{self.experiment_id}/runs/{self.id}"
        uri = mlflow.get_tracking_uri()
        if uri.startswith(("http://", "https://")):
            return f"{uri.rstrip('/')}/{page}"
        here = uri.startswith("sqlite:///") and Path("mlflow.db").resolve() == Path(
            unquote(uri.removeprefix("sqlite:///"))
        )
        store = "" if here else f" --backend-store-uri {uri}"
        return f"mlflow ui{store}    then http://127.0.0.1:5000/{page}"


class _AtOnce:
    """In an Outbox's place, where another can do what the store does not take."""

    def __init__(self, send: "Sender"):
        self._send = send

    def put(self, message: Message, payload: Path | None = None) -> str:
        try:
            return self._send(message, payload) or message["run"]
        finally:
            if payload:
                shutil.rmtree(payload, ignore_errors=True)


class Elsewhere(NamedTuple):
    """A run of a tracking server, as any machine can add to it."""

    uri: str
    run: str
    experiment: str

    @contextmanager
    def open(self) -> Iterator[Run | None]:
        """The run; None where this machine does not reach its server. Raises Unreachable."""
        mlflow.set_tracking_uri(self.uri)
        try:
            with _reading() as client:
                client.get_run(self.run)
        except Unreachable:
            yield None
            return
        try:
            yield Run(self.run, self.experiment, cast(Outbox, _AtOnce(Sender(self.uri))))
        except MlflowException as error:
            raise Unreachable(_line(error)) from error


def use(uri: str) -> None:
    """Another tracking store than MLflow was told of."""
    mlflow.set_tracking_uri(uri)


def _save_module(
    folder: Path, module: torch.nn.Module, document: dict, example: np.ndarray
) -> None:
    dtype = np.dtype(str(next(module.parameters()).dtype).removeprefix("torch."))
    version = torch.__version__.partition("+")[0]
    with tempfile.TemporaryDirectory() as aside:
        file = Path(aside) / DOCUMENT.name
        file.write_text(json.dumps(document))
        mlflow.pytorch.save_model(
            module.to("cpu"),
            folder,
            input_example=example.astype(dtype),
            signature=ModelSignature(
                inputs=Schema([TensorSpec(dtype, (-1, example.shape[1]))]),
                outputs=Schema([TensorSpec(dtype, (-1, 1))]),
            ),
            pip_requirements=[f"torch=={version}", f"numpy=={np.__version__}"],
            serialization_format="pt2",
            extra_files=[str(file)],
        )


def save_predictor(folder: Path, document: dict, example: pd.DataFrame) -> None:
    """Save what polyreg.predictor makes of `document` as an MLflow model, without a pickle.

    example: some rows, whose columns are the variables. Their type is MLflow's `any`: a column of
    its type double refuses int64, and `any` leaves it to the model to name the column that is bad.
    """
    with tempfile.TemporaryDirectory() as temporary:
        code, known = (Path(temporary) / name for name in ("predictor.py", "polyreg.json"))
        source = inspect.getsource(predictor)
        code.write_text(source + PREDICTOR, encoding="utf-8")
        known.write_text(json.dumps(document), encoding="utf-8")
        numbers = [ColSpec(DataType.double, name) for name in ("prediction", "low", "high")]
        with suppress_logs("mlflow.pyfunc", re.compile("Validating input example")):
            mlflow.pyfunc.save_model(
                path=folder,
                python_model=code,
                artifacts={"document": str(known)},
                signature=ModelSignature(
                    inputs=Schema([ColSpec(AnyType(), name) for name in example.columns]),
                    outputs=Schema([*numbers, ColSpec(DataType.boolean, "extrapolated")]),
                    params=ParamSchema([ParamSpec("interval", DataType.string, "prediction")]),
                ),
                input_example=example,
                pip_requirements=[
                    f"mlflow=={mlflow.__version__}",
                    f"numpy=={np.__version__}",
                    f"pandas=={pd.__version__}",
                ],
            )


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _diverged(run: Any) -> bool:
    """Of the runs that FAILED, those that went the whole way have no coefficients."""
    why = run.data.tags.get("error", "diverged")  # none of those before there was such a tag
    lost = run.info.status == "FAILED" and "coef/1" not in run.data.metrics
    return lost and why.startswith("diverged")


def _all_runs(
    client: mlflow.MlflowClient, experiments: list[str], condition: str, order: list[str]
) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs(experiments, condition, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


class Sender:
    """Messages to runs as calls of MLflow."""

    def __init__(self, uri: str):
        self._uri = uri
        self._client = mlflow.MlflowClient(uri)

    def __call__(self, message: Message, payload: Path | None) -> str | None:
        for pause in (0.1, 0.3, 1.0, 3.0):
            try:
                return getattr(self, message["do"])(message, payload)
            except MlflowException as error:
                # SQLite says so at once where waiting would never end.
                if "database is locked" not in str(error):
                    raise
                time.sleep(pause * random.uniform(1, 2))
        return getattr(self, message["do"])(message, payload)

    def create(self, message: Message, _) -> str:
        experiment, name = message["experiment"], message["name"]
        made = self._client.create_run(experiment, message["start"], message["tags"], name)
        return made.info.run_id

    def batch(self, message: Message, _) -> None:
        self._client.log_batch(
            message["run"],
            metrics=[Metric(*metric) for metric in message.get("metrics", [])],
            params=[Param(*item) for item in message.get("params", {}).items()],
            tags=[RunTag(*item) for item in message.get("tags", {}).items()],
        )

    def remove(self, message: Message, _) -> None:
        self._client.delete_run(message["child"])

    def rename(self, message: Message, _) -> None:
        run = message["run"]
        if self._client.get_run(run).info.run_name == message["old"]:
            self._client.update_run(run, name=message["new"])

    def dataset(self, message: Message, _) -> None:
        context = [InputTag("mlflow.data.context", "training")]
        inputs = [DatasetInput(Dataset(**message["table"]), context)]
        self._client.log_inputs(message["run"], datasets=inputs)

    def files(self, message: Message, payload: Path) -> None:
        self._client.log_artifacts(message["run"], str(payload), message["to"] or None)

    def drop(self, message: Message, _) -> None:
        run = self._client.get_run(message["run"])
        if "checkpoint" in run.data.tags:
            self._client.delete_tag(message["run"], "checkpoint")
        repository = get_artifact_repository(run.info.artifact_uri, self._uri)
        repository.delete_artifacts(message["folder"])

    def model(self, message: Message, payload: Path) -> None:
        """What MLflow's log_model does, with what was saved before; what got halfway goes on."""
        run = self._client.get_run(message["run"])
        experiment, name = run.info.experiment_id, message["name"]
        if "model_id" not in message:
            message["before"] = self._models(experiment, run.info.run_id, name)
            made = self._client.create_logged_model(
                experiment, name, run.info.run_id, resolve_tags(), run.data.params
            )
            message["model_id"] = made.model_id
        model_id = message["model_id"]
        if "outputs" not in message:
            outputs = [LoggedModelOutput(model_id, step=0)]
            self._client.log_outputs(run.info.run_id, outputs)
            message["outputs"] = True
        about = Model.load(payload)
        location = self._client.get_logged_model(model_id).artifact_location
        about.artifact_path, about.run_id = location, run.info.run_id
        about.model_id = about.model_uuid = model_id
        about.save(payload / MLMODEL_FILE_NAME)
        self._client.log_model_artifacts(model_id, str(payload))
        self._client.finalize_logged_model(model_id, LoggedModelStatus.READY)
        for earlier in message["before"]:
            self._client.delete_logged_model(earlier)
        message["before"] = []
        if message.get("register_as"):
            self._register(message, location)

    def _models(self, experiment: str, run: str, name: str) -> list[str]:
        named = f"name = '{name}' and source_run_id = '{run}'"
        return [m.model_id for m in self._client.search_logged_models([experiment], named)]

    def _register(self, message: Message, location: str) -> None:
        name = message["register_as"]
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        self._client.create_model_version(
            name, location, message["run"], model_id=message["model_id"]
        )

    def end(self, message: Message, _) -> None:
        run, error = message["run"], message.get("error", "")
        if error:
            self._client.set_tag(run, "error", error)
        elif "error" in message and "error" in self._client.get_run(run).data.tags:
            self._client.delete_tag(run, "error")
        self._client.set_terminated(run, message["status"], message["at"])


def _coefficients(polynomial: Polynomial | Answer) -> dict[str, float]:
    rows = zip(keys(polynomial.terms), polynomial.coefficients, strict=True)
    return {f"coef/{key}": value for key, value in rows}


def _metrics(
    metrics: Mapping[str, float],
    curves: Mapping[str, Sequence[float] | np.ndarray],
    at: np.ndarray | None,
    points: int = CURVE_POINTS,
) -> list[tuple[str, float, int, int]]:
    """(key, value, milliseconds, step) each."""
    now = _now()
    batch = [(name, float(value), now, 0) for name, value in metrics.items()]
    for name, values in curves.items():
        steps = np.arange(1, len(values) + 1) if at is None else at
        kept = thinned(steps, points)
        batch += [(name, float(values[i]), now, int(steps[i])) for i in kept]
    return [metric for metric in batch if math.isfinite(metric[1])]


def thinned(steps: np.ndarray, points: int = CURVE_POINTS) -> list[int]:
    """Places of at most `points` of these steps, which increase; first and last kept.

    Half of them evenly spaced, half in equal ratios: a descent is over in its first hundredth.
    """
    if len(steps) <= points:
        return list(range(len(steps)))
    half, first, last = points // 2, steps[0], steps[-1]
    wanted = np.concatenate([np.linspace(first, last, half), np.geomspace(first, last, half)])
    return sorted({int(i) for i in np.searchsorted(steps, wanted.round())})


def _column_type(arrow: str) -> DataType:
    if arrow.startswith(("int", "uint")):
        return DataType.long
    if arrow.startswith(("float", "double", "half", "decimal")):
        return DataType.double
    return DataType.boolean if arrow == "bool" else DataType.string


def _give_up_at_once(why: str) -> bool:
    return False


@contextmanager
def run(
    name: str,
    params: Mapping[str, str],
    discard: tuple[type[Exception], ...] = (),
    resume: str = "",
    wait: Callable[[str], bool] = _give_up_at_once,
) -> Iterator[Run]:
    """Open a run, or take up the one that `mlflow run` opened, and end it with its true status.

    An error ends it FAILED, with its one line as tag `error`; KeyboardInterrupt ends it KILLED.
    `resume` is the id of a run to go on with instead.
    Params that `mlflow run` logged already stay as the user typed them. Raises Unreachable, before
    there is a run, when the store or the artifact folder cannot take one. An error of `discard` is
    bad input that only reading it all can find: it leaves no run behind.

    A store that goes away in between stops nothing. At the end, `wait(why)` says whether to try
    again; where it does not, Unsent names the folder that holds what could not be sent.
    """
    uri = mlflow.get_tracking_uri()
    with _reading(make=True) as client:
        opened = _opened(client, name, resume)
    run_id = opened.info.run_id
    box = Outbox(Sender(uri), run_id, {"uri": uri, "run": run_id})
    fresh = {key: value for key, value in params.items() if key not in opened.data.params}
    box.put({"do": "batch", "run": run_id, "params": fresh, "tags": process.identity()})
    status, reason = "FINISHED", ""
    try:
        yield Run(run_id, opened.info.experiment_id, box)
    except discard as error:
        if "MLFLOW_RUN_ID" not in os.environ and not resume:
            status = "DELETED"
            with _reading() as client:
                client.delete_run(run_id)
        else:
            status, reason = "FAILED", _line(error)
        raise
    except KeyboardInterrupt as interrupt:
        status, reason, wait = "KILLED", _line(interrupt), _give_up_at_once
        raise
    except BaseException as error:
        status, reason = "FAILED", _line(error)
        raise
    finally:
        if status != "DELETED":
            _end(box, run_id, status, reason, wait)


def _opened(client: Any, name: str, resume: str) -> Any:
    """The run, in the store's words, RUNNING."""
    started = os.environ.get("MLFLOW_RUN_ID", "")
    if not (resume or started):
        experiment = _experiment(client)
        _require_artifacts(experiment.artifact_location)
        about = resolve_tags(process.identity())
        return client.create_run(experiment.experiment_id, tags=about, run_name=name)
    opened = client.get_run(resume or started)
    _require_artifacts(opened.info.artifact_uri)
    if resume:
        client.update_run(resume, status="RUNNING")
        if started:  # a run of its own, which has nothing to do but to say so
            client.set_tag(started, "resumed", resume)
    else:
        _experiment(client)
        if RANDOM_NAME.fullmatch(opened.info.run_name or ""):
            client.update_run(started, name=name)
    return opened


def _require_artifacts(uri: str) -> None:
    if folder := _local_path(uri):
        _require_writable(folder, "the artifact folder")


def _end(box: Outbox, run_id: str, status: str, reason: str, wait: Callable[[str], bool]) -> None:
    """Send what is left, and end the run; Unsent where that cannot be done."""
    last = {"do": "end", "run": run_id, "status": status, "error": reason, "at": _now()}
    if _arrived(box, wait):
        box.put(last)
        if _arrived(box, wait):
            return
    else:
        box.keep(last)
    why = _line(box.error)
    with contextlib.suppress(Exception):  # the store may be there, and the artifacts' not
        error = f"what it logs did not all arrive ({why}); the rest is in {box.folder}"
        box.send(
            last | {"status": "KILLED" if status == "KILLED" else "FAILED", "error": error}, None
        )
    raise Unsent(
        f"{why}; what run {run_id} could not log is in {box.folder}: later, "
        f"`python -m experiments.repair --send {box.folder}` sends it"
    ) from box.error


def _arrived(box: Outbox, wait: Callable[[str], bool]) -> bool:
    while not box.flush():
        if not (_may_heal(box.error) and wait(_line(box.error))):
            return False
    return True


def _may_heal(error: Exception | None) -> bool:
    """Whether waiting can help: for a server that is away, or a lock; not for a full disk."""
    if isinstance(error, MlflowException):
        if "database is locked" in str(error):
            return True
        if error.get_http_status_code() < 500:
            return False
    elif getattr(error, "errno", None) is not None:  # the file system's
        return False
    return mlflow.get_tracking_uri().startswith(("http://", "https://"))


def send(folder: Path) -> str:
    """Send what an earlier run left in a folder, and give the run's id; Unsent where it cannot be.

    Raises ValueError where the folder holds no such thing. To the store that it was meant for, or
    that of MLFLOW_TRACKING_URI.
    """

    def connect(about: Message) -> Sender:
        uri = os.environ.get("MLFLOW_TRACKING_URI") or about["uri"]
        mlflow.set_tracking_uri(uri)
        _require_store(uri)
        return Sender(uri)

    box = Outbox.of(folder, connect)
    if not box.flush():
        raise Unsent(f"{_line(box.error)}; {folder} still holds the rest") from box.error
    return box.about["run"]


class Past(NamedTuple):
    """A run as the store has it."""

    id: str
    name: str
    status: str  # RUNNING, FINISHED, FAILED, KILLED
    start: float  # seconds since 1970
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]

    @classmethod
    def of(cls, run: Any) -> "Past":
        info, data = run.info, run.data
        start = (info.start_time or 0) / 1000
        name = info.run_name or info.run_id
        return cls(info.run_id, name, info.status, start, data.params, data.metrics, data.tags)


@contextmanager
def _reading(make: bool = False) -> Iterator[mlflow.MlflowClient]:
    """A client of a store that answers; what the store complains of becomes Unreachable.

    make: whether a store that is not there yet is made
    """
    uri = mlflow.get_tracking_uri()
    try:
        _require_store(uri, make)
        yield mlflow.MlflowClient(uri)
    except (Unreachable, Refused):
        raise
    except Exception as error:  # of SQLAlchemy too, or of a driver that is not there
        if "out-of-date database schema" in str(error):
            raise Unreachable(
                f"the tracking store {uri} was made by another MLflow than {mlflow.__version__}; "
                f"back it up, then run `mlflow db upgrade {uri}`"
            ) from error
        raise Unreachable(f"{without_secrets(uri)}: {_line(error)}") from error


def past(run_ids: Sequence[str]) -> list[Past]:
    """The runs of these ids, in their order; Unreachable names one that is not there."""
    with _reading() as client:
        return [Past.of(client.get_run(run_id)) for run_id in run_ids]


def search(experiment: str, last: int, condition: str = "") -> list[Past]:
    """The newest runs of an experiment, oldest first, that meet a condition in MLflow's language.

    condition: like "metrics.r2 > 0.9". Unreachable where there is no such experiment.
    """
    with _reading() as client:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise Unreachable(f"no experiment {experiment!r} in {mlflow.get_tracking_uri()}")
        newest = ["attributes.start_time DESC"]
        runs = client.search_runs(
            [found.experiment_id], condition, max_results=last, order_by=newest
        )
        return [Past.of(run) for run in reversed(runs)]


def abandoned() -> list[Past]:
    """The runs of this store that read RUNNING, and whose process on this machine is gone."""
    with _reading() as client:
        everywhere = [e.experiment_id for e in client.search_experiments()]
        ours = "attributes.status = 'RUNNING' and tags.host LIKE '%'"
        running = map(Past.of, _all_runs(client, everywhere, ours, ["attributes.start_time ASC"]))
        return [run for run in running if process.is_gone(run.tags)]


def interrupted(run_id: str) -> Past:
    """A run that can be gone on with; Refused where its process may still do so itself."""
    [found] = past([run_id])
    if found.status == "RUNNING" and "process_id" in found.tags and not process.is_gone(found.tags):
        who = f"process {found.tags['process_id']} on {found.tags.get('host')}"
        raise Refused(
            f"--resume: run {run_id} is still going on in {who}; if that has ended, "
            f"`python -m experiments.repair --run {run_id}` closes it"
        )
    return found


def kill(run_id: str) -> None:
    """See to it that a run which `mlflow run` opened reads KILLED, if the store can be reached.

    When its command fails, `mlflow run` calls a run FAILED that was KILLED long before: it looks
    for a word among numbers. So a process stays that sets this right, once we are gone.
    """
    uri = mlflow.get_tracking_uri()
    with contextlib.suppress(Unreachable), _reading() as client:
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id, "KILLED")
        staying = subprocess.Popen(
            [sys.executable, "-c", LAST_WORD, uri, run_id],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert staying.stdout
        staying.stdout.readline()  # it listens


def close(run_id: str, error: str) -> None:
    """End a run FAILED whose process could not."""
    Sender(mlflow.get_tracking_uri()).end(
        {"run": run_id, "status": "FAILED", "error": error, "at": _now()}, None
    )


def curve(run_id: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    """A metric's steps (T,) and values (T,), in order; empty where it was never logged."""
    with _reading() as client:
        points = {m.step: m.value for m in client.get_metric_history(run_id, key)}
    steps = sorted(points)
    return np.array(steps, dtype=int), np.array([points[step] for step in steps], dtype=float)


def file(run_id: str, path: str) -> bytes | None:
    """One of a run's artifacts, None where there is none of that name."""
    with _reading() as client:
        folder = path.rpartition("/")[0]
        if path not in [file.path for file in client.list_artifacts(run_id, folder or None)]:
            return None
        with tempfile.TemporaryDirectory() as there:
            return Path(client.download_artifacts(run_id, path, there)).read_bytes()


def text(run_id: str, path: str) -> str | None:
    found = file(run_id, path)
    return None if found is None else found.decode()


def load(model_uri: str) -> Polynomial | Answer:
    """The polynomial behind a logged model: coefficients, domain, prediction.

    A fit's has standard errors and intervals besides. Raises ValueError where there is none.
    model_uri: what MLflow takes, like runs:/<run id>/model or models:/<name>/1; and
    models:/<name>@latest, which it does not: it keeps that alias for its own models:/<name>/latest
    """
    if model_uri.startswith(("runs:", "models:")):
        _require_store(mlflow.get_tracking_uri())
    model_uri = re.sub("^(models:/[^/@]+)@latest$", r"\1/latest", model_uri)
    with tempfile.TemporaryDirectory() as there:  # MLflow's own would stay
        try:
            folder = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=there))
        except Exception as error:  # MLflow's, or that of whatever store the address means
            raise ValueError(f"no model at {model_uri}: {_line(error)}") from error
        known = [folder / path for path in (DOCUMENT, SERVED) if (folder / path).is_file()]
        if not known:
            raise ValueError(f"{model_uri} was not saved by polyreg; mlflow.pyfunc can load it")
        document = json.loads(known[0].read_text())
    return read(document)
