"""Everything polyreg says to MLflow. No other module imports mlflow."""

import json
import math
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
import torch
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_PARENT_RUN_ID

from polyreg.inference import Answer
from polyreg.polynomial import Polynomial
from polyreg.terms import keys

# Its bars of one small file tell nothing; MLflow reads this at every transfer.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

EXPERIMENT = "polyreg"
CURVE_POINTS = 1000  # a curve of 10,000 points freezes MLflow's page
DOCUMENT = Path("extra_files/polyreg.json")  # of a logged model: what `load` reads
DIGEST = 36  # characters at most of a dataset's digest; the whole hash is a tag
CALL = 1000  # metrics at most in one call of log_batch
PROBE_SECONDS = 5
# Without this tag MLflow's page opens an experiment in its view for language models.
KIND, KIND_OF_OURS = "mlflow.experimentKind", "custom_model_development"
RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")  # what MLflow calls a run that was given no name


class Unreachable(Exception):
    """The tracking store or the artifact store cannot take a run; one line says why."""


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
        urllib.request.urlopen(uri, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError:
        pass  # it answered; what it allows is its own business
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(
            f"no tracking server answers at {uri} ({reason}); start one with `mlflow server`, or "
            "set MLFLOW_TRACKING_URI"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _local_path(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(uri)


def _require_store(uri: str) -> None:
    if uri.startswith("sqlite:///"):
        path = Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))
        _require_writable(path, "the tracking store")
    elif uri.startswith(("http://", "https://")):
        _require_answer(uri)


def _experiment() -> Any:
    """The experiment MLflow was told of, or polyreg's own, made if need be."""
    client = mlflow.MlflowClient()
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
    """An open run: what the experiments say to it."""

    def __init__(self, info):
        self.id, self.experiment_id = info.run_id, info.experiment_id
        self.model_uri = f"runs:/{self.id}/model"
        self._client = mlflow.MlflowClient()

    def rename(self, old: str, new: str) -> None:
        """Only where the name is still `old`: one that somebody gave is kept."""
        if self._client.get_run(self.id).info.run_name == old:
            self._client.update_run(self.id, name=new)

    def tag(self, tags: Mapping[str, str]) -> None:
        self._client.log_batch(self.id, tags=[RunTag(*item) for item in tags.items()])

    def log(
        self,
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[float] | np.ndarray] | None = None,
        at: np.ndarray | None = None,
    ) -> None:
        """Log final values, and curves whose points belong to the steps `at`, or to 1, 2, ...

        Curves are thinned to at most CURVE_POINTS points. What is not finite is left out: MLflow
        stores nan as 0 and inf as 1.8e308, which ruins every chart.
        """
        batch = _metrics(metrics, curves or {}, at)
        for start in range(0, len(batch), CALL):
            self._client.log_batch(self.id, metrics=batch[start : start + CALL])

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

        As few calls as MLflow allows; the last ends it. What interrupts them leaves no half of it.
        `model` is a module and an example.
        """
        about = resolve_tags({MLFLOW_PARENT_RUN_ID: self.id, **tags})
        made = self._client.create_run(self.experiment_id, tags=about, run_name=name)
        child = Run(made.info)
        try:
            if polynomial:
                metrics = {**metrics, **_coefficients(polynomial)}
                self._client.log_dict(child.id, polynomial.document(), "coefficients.json")
            batch = _metrics(metrics, curves, at)
            given = [Param(*item) for item in params.items()]
            self._client.log_batch(child.id, metrics=batch[:CALL], params=given)
            for start in range(CALL, len(batch), CALL):
                self._client.log_batch(child.id, metrics=batch[start : start + CALL])
            if polynomial and model:
                with mlflow.start_run(run_id=child.id, nested=True):
                    child.model(model[0], polynomial.document(), model[1])
            else:
                self._client.set_terminated(child.id, "FINISHED" if polynomial else "FAILED")
        except BaseException:
            self._client.delete_run(child.id)
            raise
        return child.id

    @contextmanager
    def reopened(self, child_id: str) -> Iterator["Run"]:
        """A nested run that has ended, to add to it; it ends FINISHED, whatever interrupts."""
        try:
            with mlflow.start_run(run_id=child_id, nested=True) as active:
                yield Run(active.info)
        finally:
            self._client.set_terminated(child_id, "FINISHED")

    def children(self) -> list[Child]:
        """The nested runs, the oldest first."""
        found, token = [], None
        while True:
            page = self._client.search_runs(
                [self.experiment_id],
                f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.id}'",
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            found += [
                Child(
                    id=run.info.run_id,
                    # FAILED are those that diverged, and have no coefficients.
                    whole=run.info.status == "FINISHED"
                    or (run.info.status == "FAILED" and "coef/1" not in run.data.metrics),
                    params=run.data.params,
                    metrics=run.data.metrics,
                    tags=run.data.tags,
                )
                for run in page
            ]
            token = page.token
            if not token:
                return found

    def remove(self, child_id: str) -> None:
        self._client.delete_run(child_id)

    def has_model(self, child_id: str) -> bool:
        """Whether a nested run has a model that was logged to its end."""
        outputs = self._client.get_run(child_id).outputs
        return any(
            self._client.get_logged_model(output.model_id).status == LoggedModelStatus.READY
            for output in (outputs.model_outputs if outputs else [])
        )

    def table(self, columns: Mapping[str, list], name: str) -> None:
        """A table that MLflow's page shows and compares; nan is an empty cell.

        As MLflow's log_table, which would add to the table that a resumed run has already.
        """
        rows = [
            [None if isinstance(cell, float) and not math.isfinite(cell) else cell for cell in row]
            for row in zip(*columns.values(), strict=True)
        ]
        path = f"{name}.json"
        self._client.log_dict(self.id, {"columns": list(columns), "data": rows}, path)
        self.tag({MLFLOW_LOGGED_ARTIFACTS: json.dumps([{"path": path, "type": "table"}])})

    def by_degree(self, degrees: Sequence[int], curves: Mapping[str, np.ndarray]) -> None:
        """Log curves whose steps are the degrees."""
        now = time.time_ns() // 1_000_000
        batch = [
            Metric(name, float(value), now, degree)
            for name, values in curves.items()
            for degree, value in zip(degrees, values, strict=True)
            if math.isfinite(value)
        ]
        self._client.log_batch(self.id, metrics=batch)

    def dataset(
        self, source: str, sha256: str, schema: Sequence[tuple[str, str]], rows: int
    ) -> None:
        """Log the table that was read: its columns (name, Arrow type), rows, and whole hash."""
        columns = Schema([ColSpec(_column_type(kind), name) for name, kind in schema])
        table = Dataset(
            name=Path(source).name or source,
            digest=sha256[:DIGEST],
            source_type="local",
            source=json.dumps({"uri": source}),
            schema=json.dumps({"mlflow_colspec": columns.to_dict()}),
            profile=json.dumps({"num_rows": rows, "sha256": sha256}),
        )
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self.id, datasets=[DatasetInput(table, [context])])

    def coefficients(self, polynomial: Polynomial | Answer) -> None:
        self._client.log_dict(self.id, polynomial.document(), "coefficients.json")
        self.log(_coefficients(polynomial))

    def figure(self, figure, name: str) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of somebody's names
            self._client.log_figure(self.id, figure, f"plots/{name}.png")

    def model(self, module: torch.nn.Module, document: dict, example: np.ndarray) -> None:
        """Log `module`, on the CPU, in MLflow's pt2 format: no pickle, no polyreg to load it.

        It maps x (N, D) to y (N, 1); example (at least 2, D) is such an x. `load` reads `document`.
        """
        dtype = np.dtype(str(next(module.parameters()).dtype).removeprefix("torch."))
        version = torch.__version__.partition("+")[0]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / DOCUMENT.name
            file.write_text(json.dumps(document))
            mlflow.pytorch.log_model(
                module.to("cpu"),
                name="model",
                input_example=example.astype(dtype),
                signature=ModelSignature(
                    inputs=Schema([TensorSpec(dtype, (-1, example.shape[1]))]),
                    outputs=Schema([TensorSpec(dtype, (-1, 1))]),
                ),
                pip_requirements=[f"torch=={version}", f"numpy=={np.__version__}"],
                serialization_format="pt2",
                extra_files=[str(file)],
            )

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


def _coefficients(polynomial: Polynomial | Answer) -> dict[str, float]:
    rows = zip(keys(polynomial.terms), polynomial.coefficients, strict=True)
    return {f"coef/{key}": value for key, value in rows}


def _metrics(
    metrics: Mapping[str, float],
    curves: Mapping[str, Sequence[float] | np.ndarray],
    at: np.ndarray | None,
) -> list[Metric]:
    now = time.time_ns() // 1_000_000
    batch = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
    for name, values in curves.items():
        steps = np.arange(1, len(values) + 1) if at is None else at
        batch += [Metric(name, float(values[i]), now, int(steps[i])) for i in thinned(steps)]
    return [m for m in batch if math.isfinite(m.value)]


def thinned(steps: np.ndarray) -> list[int]:
    """Places of at most CURVE_POINTS of these steps, which increase; first and last kept.

    Half of them evenly spaced, half in equal ratios: a descent is over in its first hundredth.
    """
    if len(steps) <= CURVE_POINTS:
        return list(range(len(steps)))
    half, first, last = CURVE_POINTS // 2, steps[0], steps[-1]
    wanted = np.concatenate([np.linspace(first, last, half), np.geomspace(first, last, half)])
    return sorted({int(i) for i in np.searchsorted(steps, wanted.round())})


def _column_type(arrow: str) -> DataType:
    if arrow.startswith(("int", "uint")):
        return DataType.long
    if arrow.startswith(("float", "double", "half", "decimal")):
        return DataType.double
    return DataType.boolean if arrow == "bool" else DataType.string


@contextmanager
def run(
    name: str,
    params: Mapping[str, str],
    discard: tuple[type[Exception], ...] = (),
    resume: str = "",
) -> Iterator[Run]:
    """Open a run, or take up the one that `mlflow run` opened; an error ends it FAILED.

    `resume` is the id of a run to go on with instead.
    Params that `mlflow run` logged already stay as the user typed them. Raises Unreachable, before
    there is a run, when the store or the artifact folder cannot take one. An error of `discard` is
    bad input that only reading it all can find: it leaves no run behind.
    """
    try:
        _require_store(mlflow.get_tracking_uri())
        experiment = _experiment()
        if artifacts := _local_path(experiment.artifact_location):
            _require_writable(artifacts, "the artifact folder")
        started_by_mlflow = "MLFLOW_RUN_ID" in os.environ
        if resume:
            if started_by_mlflow:  # a run of its own, which has nothing to do but to say so
                mlflow.MlflowClient().set_tag(os.environ["MLFLOW_RUN_ID"], "resumed", resume)
            active = mlflow.start_run(run_id=resume)
        else:
            active = mlflow.start_run(
                experiment_id=experiment.experiment_id,
                run_name=None if started_by_mlflow else name,
            )
    except Unreachable:
        raise
    except Exception as error:  # a store's own: of SQLAlchemy, of a driver that is not there
        raise Unreachable(f"{mlflow.get_tracking_uri()}: {_line(error)}") from error
    try:
        with active:
            yield _prepared(active, name if started_by_mlflow and not resume else None, params)
    except discard:
        if not (started_by_mlflow or resume):
            mlflow.MlflowClient().delete_run(active.info.run_id)
        raise
    except MlflowException as error:
        refused = f"MLflow refused what run {active.info.run_id} logs"
        raise Unreachable(f"{refused}: {_line(error)}") from error


def _prepared(active: Any, name: str | None, params: Mapping[str, str]) -> Run:
    """With its params, and the telling name in place of MLflow's random one."""
    client, run_id = mlflow.MlflowClient(), active.info.run_id
    if name and RANDOM_NAME.fullmatch(active.info.run_name or ""):
        client.update_run(run_id, name=name)
    known = active.data.params
    fresh = [Param(key, value) for key, value in params.items() if key not in known]
    client.log_batch(run_id, params=fresh)
    return Run(active.info)


def params_of(run_id: str) -> dict[str, str]:
    """The params of a run; Unreachable where there is none."""
    try:
        _require_store(mlflow.get_tracking_uri())
        return dict(mlflow.MlflowClient().get_run(run_id).data.params)
    except MlflowException as error:
        raise Unreachable(f"no run {run_id} in {mlflow.get_tracking_uri()}") from error


def load(model_uri: str) -> Polynomial | Answer:
    """The polynomial behind a logged model: coefficients, domain, prediction.

    A fit's has standard errors and intervals besides. Raises ValueError where there is none.
    model_uri: what MLflow takes, like runs:/<run id>/model
    """
    if model_uri.startswith(("runs:", "models:")):
        _require_store(mlflow.get_tracking_uri())
    try:
        folder = Path(mlflow.artifacts.download_artifacts(model_uri))
    except Exception as error:  # MLflow's, or that of whatever store the address means
        raise ValueError(f"no model at {model_uri}: {_line(error)}") from error
    if not (folder / DOCUMENT).is_file():
        raise ValueError(f"{model_uri} was not saved by polyreg; mlflow.pyfunc can load it")
    document = json.loads((folder / DOCUMENT).read_text())
    kind = Answer if isinstance(document["basis"], dict) else Polynomial
    return kind.from_document(document)
