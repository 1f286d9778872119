"""Start and end of a run: what opens it, and the status that it ends with."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from polyreg.errors import Refused, Unsent
from polyreg.text import without_secrets
from polyreg.tracking import owner
from polyreg.tracking.history import begun
from polyreg.tracking.metrics import now
from polyreg.tracking.outbox import Outbox
from polyreg.tracking.run import Run
from polyreg.tracking.sender import EndRun, LogBatch, sender
from polyreg.tracking.store import (
    is_locked,
    is_server,
    line,
    reading,
    require_active,
    require_artifacts,
    require_store,
    retried,
)

EXPERIMENT = "polyreg"
# Without this tag MLflow's page opens an experiment in its view for language models.
KIND, KIND_OF_OURS = "mlflow.experimentKind", "custom_model_development"
RANDOM_NAME = re.compile(r"[a-z]+-[a-z]+-\d+")  # what MLflow calls a run that was given no name
NONE: Mapping[str, str] = MappingProxyType({})


def _give_up_at_once(why: str) -> bool:
    return False


@contextmanager
def start_run(
    name: str,
    params: Mapping[str, str] = NONE,
    discard: tuple[type[Exception], ...] = (),
    resume: str = "",
    wait: Callable[[str], bool] = _give_up_at_once,
) -> Iterator[Run]:
    """Open a run of MLflow, to log to, and end it with its true status: FINISHED, or
    FAILED by an error, whose one line is the tag `error`, or KILLED by KeyboardInterrupt.

    It is in the experiment that MLflow was told (MLFLOW_EXPERIMENT_NAME), else in `polyreg`. Under
    `mlflow run`, which sets MLFLOW_RUN_ID, it is the run that this opened: there the params and a
    name that the user gave stay as they are. MLflow's own active run is neither used nor ended.

    params: options by name, as MLflow stores them
    discard: errors of bad input that only reading it all can find; they leave no run behind
    resume: the id of a run to go on with instead
    wait: asked with one line why, at the end, while the store is away: whether to try again

    Raises, before there is a run, Unreachable when the store, the experiment or the artifact folder
    cannot take one, and Refused when MLFLOW_RUN_ID names a run that has ended, was deleted, has
    metrics, or is in another experiment than MLflow was told. A store that goes away in between
    stops nothing: where it does not come back, Unsent names the folder that holds what could not
    be sent.

    >>> import mlflow, polyreg, tempfile
    >>> mlflow.set_tracking_uri(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
    >>> with polyreg.start_run("a calibration", {"degree": "2"}) as run:
    ...     run.log({"residual_sd": 0.25})
    >>> found = mlflow.get_run(run.id)
    >>> found.info.status, found.data.metrics["residual_sd"]
    ('FINISHED', 0.25)
    """
    uri = mlflow.get_tracking_uri()
    with reading(make=True) as client:
        opened = _opened(client, name, resume)
    run_id = opened.info.run_id
    box = Outbox(sender(uri), run_id, {"uri": uri, "run": run_id})
    fresh = {key: value for key, value in params.items() if key not in opened.data.params}
    box.put(LogBatch(run_id, params=fresh, tags=owner.tag()))
    status, reason = "FINISHED", ""
    try:
        kept = opened.info.artifact_uri
        yield Run(run_id, opened.info.experiment_id, box, artifact_uri=kept)
    except discard as error:
        if not (os.environ.get("MLFLOW_RUN_ID") or resume):
            status = "DELETED"
            with reading() as client:
                client.delete_run(run_id)
        else:
            status, reason = "FAILED", line(error)
        raise
    except KeyboardInterrupt as interrupt:
        status, reason, wait = "KILLED", line(interrupt), _give_up_at_once
        raise
    except BaseException as error:
        status, reason = "FAILED", line(error)
        raise
    finally:
        if status != "DELETED":
            _end(box, run_id, status, reason, wait)


def _opened(client: Any, name: str, resume: str) -> Any:
    """The run, in the store's words, RUNNING."""
    started = os.environ.get("MLFLOW_RUN_ID", "")
    if started and started != resume:
        _require_new(client, started)
    if not (resume or started):
        experiment = _experiment(client)
        require_artifacts(experiment.artifact_location)
        about = resolve_tags(owner.tag())
        return client.create_run(experiment.experiment_id, tags=about, run_name=name)
    opened = client.get_run(resume or started)
    require_artifacts(opened.info.artifact_uri)
    if resume:
        client.update_run(resume, status="RUNNING")
        if started:  # a run of its own, which has nothing to do but to say so
            client.set_tag(started, "resumed", resume)
    else:
        _experiment(client)
        if RANDOM_NAME.fullmatch(opened.info.run_name or ""):
            client.update_run(started, name=name)
    return opened


def _require_new(client: Any, started: str) -> None:
    """Raise Refused where the run of MLFLOW_RUN_ID is not as `mlflow run` opens one.

    Such an id was left in the shell: what is logged to that run would change a finished record.
    """
    way_out = "`unset MLFLOW_RUN_ID`, and try again"
    try:
        run = client.get_run(started)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        uri = without_secrets(mlflow.get_tracking_uri())
        raise Refused(f"MLFLOW_RUN_ID: {uri} has no run {started[:100]!r}; {way_out}") from error
    why = begun(run) or _elsewhere(client, run.info.experiment_id)
    if why:
        raise Refused(f"MLFLOW_RUN_ID: run {started} {why}; {way_out}")


def _elsewhere(client: Any, experiment_id: str) -> str:
    """In words, that the experiment is not the one that is asked for; "" where it is."""
    variable, found = "MLFLOW_EXPERIMENT_ID", experiment_id  # `mlflow run` sets this one
    if not os.environ.get(variable):
        variable, found = "MLFLOW_EXPERIMENT_NAME", client.get_experiment(experiment_id).name
    asked = os.environ.get(variable) or found
    return "" if asked == found else f"is in experiment {found!r}, and {variable} is {asked!r}"


def _experiment(client: Any) -> Any:
    """The experiment MLflow was told of, or polyreg's own, made if need be."""

    def made_by_another(error: MlflowException) -> bool:
        # Of several that make it at once, all but one are told so in one of these ways.
        told = f"{error.error_code} {error}"
        return bool(re.search("RESOURCE_ALREADY_EXISTS|IntegrityError|is locked", told))

    return retried(lambda: _experiment_at_first(client), (0.1, 0.3, 1.0), made_by_another)


def _experiment_at_first(client: Any) -> Any:
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        experiment = client.get_experiment(client.get_run(run_id).info.experiment_id)
    elif experiment_id := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        experiment = client.get_experiment(experiment_id)
    else:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        known = client.get_experiment_by_name(name)
        experiment = known or client.get_experiment(client.create_experiment(name))
    require_active(
        experiment, "name another by MLFLOW_EXPERIMENT_NAME (of `mlflow run`: --experiment-name)"
    )
    if KIND not in experiment.tags:
        client.set_experiment_tag(experiment.experiment_id, KIND, KIND_OF_OURS)
    return experiment


def _end(box: Outbox, run_id: str, status: str, reason: str, wait: Callable[[str], bool]) -> None:
    """Send what is left, and end the run; Unsent where that cannot be done."""
    last = EndRun(run_id, status, now(), reason)
    if _arrived(box, wait):
        box.put(last)
        if _arrived(box, wait):
            return
    else:
        box.keep(last)
    why = line(box.error)
    with contextlib.suppress(Exception):  # the store may be there, and the artifacts' not
        error = f"what it logs did not all arrive ({why}); the rest is in {box.folder}"
        box.send(EndRun(run_id, "KILLED" if status == "KILLED" else "FAILED", now(), error), None)
    raise Unsent(
        f"{why}; what run {run_id} could not log is in {box.folder}: later, "
        f"`python -m experiments.repair --send {box.folder}` sends it"
    ) from box.error


def _arrived(box: Outbox, wait: Callable[[str], bool]) -> bool:
    while not box.flush():
        if not (_may_heal(box.error) and wait(line(box.error))):
            return False
    return True


def _may_heal(error: Exception | None) -> bool:
    """Whether waiting can help: for a server that is away, or a lock; not for a full disk."""
    if is_locked(error):
        return True
    if isinstance(error, MlflowException):
        if error.get_http_status_code() < 500:
            return False
    elif getattr(error, "errno", None) is not None:  # the file system's
        return False
    return is_server(mlflow.get_tracking_uri())


def send(folder: Path) -> list[str]:
    """Send what an earlier run left in a folder; Unsent where it cannot be.

    ->  what there is to tell of it: the run's id, the models that were registered

    Raises ValueError where the folder holds no such thing. To the store that it was meant for, or
    that of MLFLOW_TRACKING_URI.
    """

    def connect(about: Mapping[str, str]) -> Any:
        uri = os.environ.get("MLFLOW_TRACKING_URI") or about["uri"]
        mlflow.set_tracking_uri(uri)
        require_store(uri)
        return sender(uri)

    box = Outbox.of(folder, connect)
    if not box.flush():
        raise Unsent(f"{line(box.error)}; {folder} still holds the rest") from box.error
    return [f"sent to run {box.about['run']}", *box.news]
