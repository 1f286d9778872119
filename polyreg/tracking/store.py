"""Tracking store: whether it answers, how it is made, and what it complains of, in one line."""

import http.client
import logging
import os
import random
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import mlflow
from filelock import FileLock
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException

from polyreg.errors import Refused, Unreachable
from polyreg.text import without_secrets

# Its bars of one small file tell nothing; MLflow reads this at every transfer.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A uv project that the user happens to stand in is no part of a model.
os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run
# What cannot be sent waits in the outbox; MLflow itself would stop everything for minutes.
for _name, _value in {"MAX_RETRIES": "1", "BACKOFF_FACTOR": "1", "TIMEOUT": "30"}.items():
    os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{_name}", _value)

# This of nothing to download as well, which is told as an error in `models.load`.
logging.getLogger("mlflow.store.artifact.artifact_repo").addFilter(
    lambda record: not record.getMessage().startswith("No artifacts found to download")
)
# What it raises comes with the same traceback as a line of its log.
logging.getLogger("mlflow.store.db.utils").addFilter(lambda record: record.exc_info is None)

PROBE_SECONDS = 5
OTHER_STORE = (
    "run in a folder that can, or set MLFLOW_TRACKING_URI, like sqlite:////folder/mlflow.db"
)
OTHER_ARTIFACTS = (
    "make it writable, or choose an experiment that has another by MLFLOW_EXPERIMENT_NAME, or "
    "another store by MLFLOW_TRACKING_URI"
)
# In what MLflow says of a request that failed: the folder that a file was sent to.
SENT_TO = re.compile(r"with url: \S*/mlflow-artifacts/artifacts(/\S*)/")
LINE = 300  # characters of an error, which may quote a whole statement of SQL

Result = TypeVar("Result")


def use(uri: str) -> None:
    """Another tracking store than MLflow was told of."""
    mlflow.set_tracking_uri(uri)


def is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def line(error: BaseException | None) -> str:
    """An error as one line, without MLflow's account of its own retries."""
    if "Max retries exceeded" in str(error):
        uri = mlflow.get_tracking_uri()
        if (folder := SENT_TO.search(str(error))) and _answers(uri):
            return (
                f"the tracking server {without_secrets(uri)} does not take artifacts at "
                f"mlflow-artifacts:{folder[1]}; its log says why; start it with an "
                "--artifacts-destination that it can write"
            )
        return f"no tracking server answers at {without_secrets(uri)}"
    return " ".join(str(error).split())[:LINE] or type(error).__name__


@contextmanager
def reading(make: bool = False) -> Iterator[mlflow.MlflowClient]:
    """A client of a store that answers; what the store complains of becomes Unreachable.

    make: whether a store that is not there yet is made
    """
    uri = mlflow.get_tracking_uri()
    try:
        require_store(uri, make)
        yield mlflow.MlflowClient(uri)
    except (Unreachable, Refused):
        raise
    except Exception as error:  # of SQLAlchemy too, or of a driver that is not there
        if "out-of-date database schema" in str(error):
            raise Unreachable(
                f"the tracking store {uri} was made by another MLflow than {mlflow.__version__}; "
                f"back it up, then run `mlflow db upgrade {uri}`"
            ) from error
        raise Unreachable(f"{without_secrets(uri)}: {line(error)}") from error


def retried(
    call: Callable[[], Result], pauses: Sequence[float], passes: Callable[[MlflowException], bool]
) -> Result:
    """call(), again after each of these pauses while it raises what soon passes; in seconds."""
    for pause in pauses:
        try:
            return call()
        except MlflowException as error:
            if not passes(error):
                raise
        time.sleep(pause * random.uniform(1, 2))
    return call()


def is_locked(error: BaseException | None) -> bool:
    """SQLite says so at once where waiting would never end."""
    return isinstance(error, MlflowException) and "database is locked" in str(error)


def require_store(uri: str, make: bool = False) -> None:
    """Raise Unreachable where this store does not answer or cannot be written."""
    if uri.partition("?")[0] in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        raise Unreachable(f"{uri} is a store in memory, which is lost at once; name a file")
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///").partition("?")[0])
        if not path.exists():
            if not make:
                raise Unreachable(f"there is no tracking store {path}; set MLFLOW_TRACKING_URI")
            _require_writable(path, f"the tracking store {path}", OTHER_STORE)
            _first_use(path)
        _require_writable(path, f"the tracking store {path}", OTHER_STORE)
    elif is_server(uri):
        _require_answer(uri)


def require_active(experiment: Any, otherwise: str) -> None:
    """Raise Unreachable where an experiment was deleted; it has its name still."""
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        raise Unreachable(
            f"the experiment {experiment.name!r} was deleted; `mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}` brings it back, or {otherwise}"
        )


def require_artifacts(uri: str) -> None:
    """Raise Unreachable where artifacts go to a folder that cannot be written, or, in a store that
    a tracking server made, to that server alone."""
    if folder := local_path(uri):
        _require_writable(folder, f"the artifact folder {folder}", OTHER_ARTIFACTS, is_folder=True)
    elif uri.startswith("mlflow-artifacts:/") and not is_server(mlflow.get_tracking_uri()):
        raise Unreachable(
            f"artifacts go to {uri}, which a tracking server alone can write; set "
            "MLFLOW_TRACKING_URI to its http address, or MLFLOW_EXPERIMENT_NAME to another name"
        )


def local_path(uri: str) -> Path | None:
    """The folder of this machine that an address means, None where it means another place."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(uri)


def _require_writable(path: Path, what: str, way_out: str, is_folder: bool = False) -> None:
    """Write a byte's worth of nothing where `path` is, or is going to be."""
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    try:
        if path.is_file() and not is_folder:
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise Unreachable(f"{what} cannot be written ({error.strerror}); {way_out}") from error


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


def _answers(uri: str) -> bool:
    try:
        _require_answer(uri)
    except Unreachable:
        return False
    return True


def _first_use(path: Path) -> None:
    """Make a new store's tables, by one process, and aside: SQLite's file appears when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".lock-{path.name}")
    with FileLock(lock):
        if not path.exists():
            _make(path)
        lock.unlink(missing_ok=True)  # those who wait for it find the store made


def _make(path: Path) -> None:
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
