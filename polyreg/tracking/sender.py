"""Messages to runs, and how each is sent to MLflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
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
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.context.registry import resolve_tags

from polyreg.tracking import description
from polyreg.tracking.metrics import Points
from polyreg.tracking.outbox import Message, Send
from polyreg.tracking.store import is_locked, retried

NEW: dict[str, str] = {}  # where the artifacts are of runs that were made here, without any yet
PAUSES = (0.1, 0.3, 1.0, 3.0)  # seconds, while SQLite's store is locked


def sender(uri: str) -> Send:
    """Send messages to the tracking store at `uri`."""
    client = mlflow.MlflowClient(uri)

    def send(message: Message, payload: Path | None) -> str | None:
        return retried(lambda: message.send(client, payload), PAUSES, is_locked)

    return send


@dataclass
class CreateRun(Message, do="create"):
    experiment: str
    name: str
    tags: dict[str, str]
    start: int  # milliseconds since 1970

    makes_run = True

    def send(self, client: Any, payload: Path | None) -> str:
        made = client.create_run(self.experiment, self.start, self.tags, self.name)
        NEW[made.info.run_id] = made.info.artifact_uri
        return made.info.run_id


@dataclass
class LogBatch(Message, do="batch"):
    metrics: Points = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def send(self, client: Any, payload: Path | None) -> None:
        client.log_batch(
            self.run,
            metrics=[Metric(*metric) for metric in self.metrics],
            params=[Param(*item) for item in self.params.items()],
            tags=[RunTag(*item) for item in self.tags.items()],
        )


@dataclass
class LogParams(Message, do="params"):
    """Params that the run does not have yet: MLflow refuses to change one."""

    params: dict[str, str]

    def send(self, client: Any, payload: Path | None) -> None:
        known = client.get_run(self.run).data.params
        fresh = {name: value for name, value in self.params.items() if name not in known}
        LogBatch(self.run, params=fresh).send(client, payload)


@dataclass
class DeleteRun(Message, do="remove"):
    child: str

    def send(self, client: Any, payload: Path | None) -> None:
        client.delete_run(self.child)


@dataclass
class Rename(Message, do="rename"):
    """Only where the name is still `old`: one that somebody gave is kept."""

    old: str
    new: str

    def send(self, client: Any, payload: Path | None) -> None:
        if client.get_run(self.run).info.run_name == self.old:
            client.update_run(self.run, name=self.new)


@dataclass
class Describe(Message, do="describe"):
    """A description in Markdown, where there is none, or one of ours: somebody's own is kept."""

    content: str

    def send(self, client: Any, payload: Path | None) -> None:
        if description.is_ours(client.get_run(self.run).data.tags):
            client.set_tag(self.run, description.TAG, description.signed(self.content))


@dataclass
class LogDataset(Message, do="dataset"):
    table: dict[str, str]

    def send(self, client: Any, payload: Path | None) -> None:
        context = [InputTag("mlflow.data.context", "training")]
        inputs = [DatasetInput(Dataset(**self.table), context)]
        client.log_inputs(self.run, datasets=inputs)


@dataclass
class LogFiles(Message, do="files"):
    """The payload's files, into a folder of the run's artifacts."""

    to: str = ""

    def send(self, client: Any, payload: Path | None) -> None:
        if uri := NEW.pop(self.run, ""):
            repository = get_artifact_repository(uri, client.tracking_uri)
            repository.log_artifacts(str(payload), self.to or None)
        else:  # which asks the store for the whole run, to know where its artifacts are
            client.log_artifacts(self.run, str(payload), self.to or None)


@dataclass
class DropCheckpoints(Message, do="drop"):
    folder: str

    def send(self, client: Any, payload: Path | None) -> None:
        run = client.get_run(self.run)
        if "checkpoint" in run.data.tags:
            client.delete_tag(self.run, "checkpoint")
        repository = get_artifact_repository(run.info.artifact_uri, client.tracking_uri)
        repository.delete_artifacts(self.folder)


@dataclass
class LogModel(Message, do="model"):
    """What MLflow's log_model does, with what was saved before; what got halfway goes on."""

    name: str
    register_as: str = ""
    description: str = ""  # of the registered version
    in_place: bool = True  # of models of that name which the run has
    before: list[str] = field(default_factory=list)  # those, to be deleted
    model_id: str = ""
    outputs: bool = False  # whether the run names it

    def send(self, client: Any, payload: Path | None) -> str | None:
        assert payload
        run = client.get_run(self.run)
        experiment = run.info.experiment_id
        if not self.model_id:
            self.before = self._earlier(client, experiment) if self.in_place else []
            made = client.create_logged_model(
                experiment, self.name, self.run, resolve_tags(), run.data.params
            )
            self.model_id = made.model_id
        if not self.outputs:
            client.log_outputs(self.run, [LoggedModelOutput(self.model_id, step=0)])
            self.outputs = True
        about = Model.load(payload)
        location = client.get_logged_model(self.model_id).artifact_location
        about.artifact_path, about.run_id = location, self.run
        about.model_id = about.model_uuid = self.model_id
        about.save(payload / MLMODEL_FILE_NAME)
        client.log_model_artifacts(self.model_id, str(payload))
        client.finalize_logged_model(self.model_id, LoggedModelStatus.READY)
        for earlier in self.before:
            client.delete_logged_model(earlier)
        self.before = []
        if not self.register_as:
            return None
        version = self._registered(client, location, run.data.tags)
        return f"registered {self.register_as} version {version}"

    def _earlier(self, client: Any, experiment: str) -> list[str]:
        """Those of this name; with `model`, the `predictor` that runs had beside it before."""
        names = (self.name, "predictor") if self.name == "model" else (self.name,)
        known = client.search_logged_models([experiment], f"source_run_id = '{self.run}'")
        return [model.model_id for model in known if model.name in names]

    def _registered(self, client: Any, location: str, tags: Mapping[str, str]) -> str:
        """The version: a new one, unless an earlier try made it and could not hear so."""
        try:
            client.create_registered_model(self.register_as)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        for known in client.search_model_versions(f"run_id = '{self.run}'"):
            if known.name == self.register_as and known.source == location:
                return str(known.version)
        own = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
        about = {"description": self.description, "model_id": self.model_id}
        made = client.create_model_version(self.register_as, location, self.run, own, **about)
        return str(made.version)  # a number, where the store is a database


@dataclass
class EndRun(Message, do="end"):
    """error: why it did not end well; "" takes back what was said so before, None says nothing"""

    status: str
    at: int  # milliseconds since 1970
    error: str | None = None

    def send(self, client: Any, payload: Path | None) -> None:
        if self.error is not None:
            self._say_why(client, client.get_run(self.run).data.tags)
        client.set_terminated(self.run, self.status, self.at)

    def _say_why(self, client: Any, tags: Mapping[str, str]) -> None:
        if self.error:
            client.set_tag(self.run, "error", self.error)
        elif "error" in tags:
            client.delete_tag(self.run, "error")
        told = description.ended(tags, self.status if self.error else "", self.error or "")
        if told is not None:
            client.set_tag(self.run, description.TAG, told)
