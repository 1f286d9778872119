"""Runs as the store has them: found, read, and closed where their own process cannot."""

import contextlib
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
from mlflow.entities import LifecycleStage, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from polyreg.errors import Refused, Unreachable
from polyreg.tracking import owner
from polyreg.tracking.metrics import now
from polyreg.tracking.sender import EndRun, sender
from polyreg.tracking.store import local_path, reading, require_active

PARENT = f"tags.`{MLFLOW_PARENT_RUN_ID}`"
BESIDES = 40  # SQLite joins at most 64 tables, and each condition on a tag is one

RESTORE_KILLED = """
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


class Past(NamedTuple):
    """A run as the store has it."""

    id: str
    name: str
    status: str  # RUNNING, FINISHED, FAILED, KILLED
    start: float  # seconds since 1970
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifact_uri: str = ""
    experiment: str = ""  # its id
    deleted: bool = False

    @classmethod
    def of(cls, run: Any) -> "Past":
        info, data = run.info, run.data
        start = (info.start_time or 0) / 1000
        name = info.run_name or info.run_id
        logged = data.params, data.metrics, data.tags
        deleted = info.lifecycle_stage == LifecycleStage.DELETED
        where = info.artifact_uri, info.experiment_id
        return cls(info.run_id, name, info.status, start, *logged, *where, deleted)

    @property
    def parent(self) -> str:
        """The id of the run in which it is nested; empty: in none."""
        return self.tags.get(MLFLOW_PARENT_RUN_ID, "")

    @property
    def whole(self) -> bool:
        """Whether a nested run was written to its end; else it was interrupted half-written."""
        return self.status == "FINISHED" or self.diverged

    @property
    def diverged(self) -> bool:
        """Whether it FAILED by that: it went the whole way, and has no coefficients."""
        why = self.tags.get("error", "diverged")  # none of those before there was such a tag
        lost = self.status == "FAILED" and "coef/1" not in self.metrics
        return lost and why.startswith("diverged")

    @property
    def lost_artifacts(self) -> bool:
        """Whether it logged coefficients, and none of its files are where MLflow expects them, as
        where the folder of a store was moved."""
        if not any(key.startswith("coef/") for key in self.metrics):
            return False
        with reading() as client:
            return not client.list_artifacts(self.id)

    @property
    def process(self) -> str:
        """Whose it is, in words."""
        known = owner.of(self.tags)
        return f"process {known.get('process_id', '?')} on {known.get('host', '?')}"

    @property
    def is_gone(self) -> bool:
        """Whether the process whose it is has ended; False where that cannot be told here."""
        return owner.is_gone(owner.of(self.tags))


def children(parent: str, experiment: str, condition: str = "") -> list[Past]:
    """The nested runs of a run, the oldest first, that meet a condition in MLflow's language.

    One search, whose pages bring params, metrics and tags with them.
    """
    ours = f"{PARENT} = '{parent}'"
    with reading() as client:
        return [Past.of(run) for run in _all_runs(client, [experiment], _both(condition, ours))]


def _both(condition: str, other: str) -> str:
    return f"{condition} and {other}" if condition.strip() else other


def _all_runs(client: mlflow.MlflowClient, experiments: list[str], condition: str) -> Iterator[Any]:
    """The oldest first."""
    token = None
    while True:
        page = client.search_runs(
            experiments, condition, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def past(run_ids: Sequence[str]) -> list[Past]:
    """The runs of these ids, in their order; Unreachable names one that is not there."""
    with reading() as client:
        return [Past.of(client.get_run(run_id)) for run_id in run_ids]


def known(run_ids: Sequence[str]) -> dict[str, Past]:
    """Those runs of these ids that the store has, by their ids."""
    found = {}
    with reading() as client:
        for run_id in run_ids:
            try:
                found[run_id] = Past.of(client.get_run(run_id))
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
    return found


def search(
    experiment: str,
    last: int,
    condition: str = "",
    nested: bool | None = None,
    since: float = 0.0,
    besides: Sequence[str] = (),
) -> list[Past]:
    """The newest runs of an experiment, oldest first, that meet a condition in MLflow's language.

    condition: like "metrics.r2 > 0.9"
    nested: those in no other run (False), those in one (True), or all
    since: those that started then or later, in seconds since 1970
    besides: ids of runs whose nested ones are left out; at most BESIDES

    Unreachable where there is no such experiment.
    """
    given = condition
    if nested is not None:
        condition = _both(condition, f"{PARENT} IS {'NOT ' if nested else ''}NULL")
    if since:
        condition = _both(condition, f"attributes.start_time >= {math.floor(1000 * since)}")
    for parent in besides[:BESIDES]:
        condition = _both(condition, f"{PARENT} != '{parent}'")
    with reading() as client:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            raise Unreachable(f"no experiment {experiment!r} in {mlflow.get_tracking_uri()}")
        require_active(found, "name another by --experiment")
        newest = ["attributes.start_time DESC"]
        where = [found.experiment_id]
        try:
            runs = client.search_runs(where, condition, max_results=last, order_by=newest)
        except MlflowException:
            client.search_runs(where, given, max_results=1)  # complains of what was given alone
            raise
        return [Past.of(run) for run in reversed(runs)]


def abandoned() -> list[Past]:
    """The runs of this store that read RUNNING, and whose process on this machine is gone."""
    found: dict[str, Past] = {}
    with reading() as client:
        everywhere = [e.experiment_id for e in client.search_experiments()]
        for tag in (owner.TAG, "host"):  # the second, of the first versions
            ours = f"attributes.status = 'RUNNING' and tags.{tag} LIKE '%'"
            running = map(Past.of, _all_runs(client, everywhere, ours))
            found |= {run.id: run for run in running if run.is_gone}
    return sorted(found.values(), key=lambda run: run.start)


def interrupted(run_id: str) -> Past:
    """A run that can be gone on with; Refused where its process may still do so itself."""
    [found] = past([run_id])
    if found.status == "RUNNING" and "process_id" in owner.of(found.tags) and not found.is_gone:
        raise Refused(
            f"--resume: run {run_id} is still going on in {found.process}; if that has ended, "
            f"`python -m experiments.repair --run {run_id}` closes it"
        )
    return found


def begun(run: Any) -> str:
    """What a run of MLflow's has that one which `mlflow run` just opened has not, in words."""
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        return "was deleted"
    if RunStatus.is_terminated(RunStatus.from_string(run.info.status)):
        return f"has ended ({run.info.status})"
    return "has metrics already" if run.data.metrics else ""


def kill(run_id: str) -> None:
    """See to it that a run which `mlflow run` opened reads KILLED, if the store can be reached.

    Another one, whose id was left in the shell, stays as it is.


    When its command fails, `mlflow run` calls a run FAILED that was KILLED long before: it looks
    for a word among numbers. So a process stays that sets this right, once we are gone.
    """
    uri = mlflow.get_tracking_uri()
    with contextlib.suppress(Unreachable), reading() as client:
        run = client.get_run(run_id)
        if begun(run) and owner.of(run.data.tags) != owner.identity():
            return
        if run.info.status == "RUNNING":
            client.set_terminated(run_id, "KILLED")
        staying = subprocess.Popen(
            [sys.executable, "-c", RESTORE_KILLED, uri, run_id],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert staying.stdout
        staying.stdout.readline()  # it listens


def close(run_id: str, error: str) -> None:
    """End a run FAILED whose process could not."""
    sender(mlflow.get_tracking_uri())(EndRun(run_id, "FAILED", now(), error), None)


def curve(run_id: str, key: str) -> tuple[np.ndarray, np.ndarray]:
    """A metric's steps (T,) and values (T,), in order; empty where it was never logged."""
    return curves([run_id], key)[run_id]


def curves(run_ids: Sequence[str], key: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each of these runs a metric's steps (T,) and values (T,), in order."""
    found = {}
    with reading() as client:
        for run_id in run_ids:
            points = {m.step: m.value for m in client.get_metric_history(run_id, key)}
            steps = sorted(points)
            values = np.array([points[step] for step in steps], dtype=float)
            found[run_id] = np.array(steps, dtype=int), values
    return found


def file(run_id: str, path: str) -> bytes | None:
    """One of a run's artifacts, None where there is none of that name."""
    with reading() as client:
        folder = path.rpartition("/")[0]
        if path not in [file.path for file in client.list_artifacts(run_id, folder or None)]:
            return None
        with tempfile.TemporaryDirectory() as there:
            return Path(client.download_artifacts(run_id, path, there)).read_bytes()


def text(run: Past, path: str) -> str | None:
    """The text of one of a run's artifacts, None where there is none of that name.

    From its folder where that is of this machine, which costs a twentieth of asking MLflow.
    """
    folder = local_path(run.artifact_uri) if run.artifact_uri else None
    if folder is None:
        found = file(run.id, path)
        return None if found is None else found.decode(errors="replace")
    try:
        return (folder / path).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise Unreachable(f"{folder / path} cannot be read: {error.strerror}") from error
