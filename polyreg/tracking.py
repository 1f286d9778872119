"""Everything polyreg says to MLflow. No other module imports mlflow."""

import math
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import mlflow
import numpy as np
import torch
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, get_model_info
from mlflow.types import Schema, TensorSpec

from polyreg.polynomial import Polynomial
from polyreg.terms import key

EXPERIMENT = "polyreg"
CURVE_POINTS = 1000  # a curve of 10,000 points freezes MLflow's page
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


class Run:
    """An open run: what the experiments say to it."""

    def __init__(self, info):
        self.id, self.experiment_id = info.run_id, info.experiment_id
        self.model_uri = f"runs:/{self.id}/model"
        self._client = mlflow.MlflowClient()

    def tag(self, tags: Mapping[str, str]) -> None:
        self._client.log_batch(self.id, tags=[RunTag(*item) for item in tags.items()])

    def log(
        self,
        metrics: Mapping[str, float],
        curves: Mapping[str, Sequence[float] | np.ndarray] | None = None,
    ) -> None:
        """Log final values, and curves whose first point belongs to step 1.

        Curves are thinned to at most CURVE_POINTS points. What is not finite is left out: MLflow
        stores nan as 0 and inf as 1.8e308, which ruins every chart.
        """
        now = time.time_ns() // 1_000_000
        batch = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
        for name, values in (curves or {}).items():
            batch += [Metric(name, float(values[i]), now, i + 1) for i in thinned(len(values))]
        batch = [m for m in batch if math.isfinite(m.value)]
        for start in range(0, len(batch), CALL):
            self._client.log_batch(self.id, metrics=batch[start : start + CALL])

    def coefficients(self, polynomial: Polynomial) -> None:
        self._client.log_dict(self.id, polynomial.document(), "coefficients.json")
        rows = zip(polynomial.terms, polynomial.coefficients, strict=True)
        self.log({f"coef/{key(term)}": value for term, value in rows})

    def figure(self, figure, name: str) -> None:
        self._client.log_figure(self.id, figure, f"plots/{name}.png")

    def model(self, module: torch.nn.Module, polynomial: Polynomial) -> None:
        """Log `module`, on the CPU, in MLflow's pt2 format: no pickle, no polyreg to load it.

        It maps x (N, 1) to y (N, 1); its metadata is what `load` reads.
        """
        dtype = np.dtype(str(next(module.parameters()).dtype).removeprefix("torch."))
        column = Schema([TensorSpec(dtype, (-1, 1))])
        version = torch.__version__.partition("+")[0]
        mlflow.pytorch.log_model(
            module.to("cpu"),
            name="model",
            input_example=np.linspace(-1, 1, 3, dtype=dtype)[:, None],
            signature=ModelSignature(inputs=column, outputs=column),
            pip_requirements=[f"torch=={version}", f"numpy=={np.__version__}"],
            serialization_format="pt2",
            metadata={"polyreg": polynomial.document()},
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


def thinned(points: int) -> list[int]:
    """At most CURVE_POINTS of 0 ... points - 1, first and last kept.

    Half of them evenly spaced, half in equal ratios: a descent is over in its first hundredth.
    """
    if points <= CURVE_POINTS:
        return list(range(points))
    half = CURVE_POINTS // 2
    even = np.linspace(0, points - 1, half)
    ratios = np.geomspace(1, points, half) - 1
    return sorted({int(i) for i in np.concatenate([even, ratios]).round()})


@contextmanager
def run(name: str, params: Mapping[str, str]) -> Iterator[Run]:
    """Open a run, or take up the one that `mlflow run` opened; an error ends it FAILED.

    Params that `mlflow run` logged already stay as the user typed them. Raises Unreachable, before
    there is a run, when the store or the artifact folder cannot take one.
    """
    try:
        _require_store(mlflow.get_tracking_uri())
        experiment = _experiment()
        if artifacts := _local_path(experiment.artifact_location):
            _require_writable(artifacts, "the artifact folder")
        started_by_mlflow = "MLFLOW_RUN_ID" in os.environ
        active = mlflow.start_run(
            experiment_id=experiment.experiment_id,
            run_name=None if started_by_mlflow else name,
        )
    except MlflowException as error:
        line = " ".join(str(error).split())
        raise Unreachable(f"{mlflow.get_tracking_uri()}: {line}") from error
    with active:
        client, run_id = mlflow.MlflowClient(), active.info.run_id
        if started_by_mlflow and RANDOM_NAME.fullmatch(active.info.run_name or ""):
            client.update_run(run_id, name=name)
        known = active.data.params
        fresh = [Param(key, value) for key, value in params.items() if key not in known]
        client.log_batch(run_id, params=fresh)
        yield Run(active.info)


def load(model_uri: str) -> Polynomial:
    """The polynomial behind a logged model: coefficients, domain, prediction.

    model_uri: what MLflow takes, like runs:/<run id>/model
    """
    metadata = get_model_info(model_uri).metadata or {}
    if "polyreg" not in metadata:
        raise ValueError(f"{model_uri} was not saved by polyreg; mlflow.pyfunc can load it")
    return Polynomial.from_document(metadata["polyreg"])
