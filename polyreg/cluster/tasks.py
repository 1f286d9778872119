"""Tasks of a Ray cluster: passes over tables, and blocks of trainings.

A task is a function of what it is given, and gives back a small state that merges by addition. So
one whose worker dies is done again elsewhere, and nothing counts twice. States are merged by tasks,
in a tree whose shape is the table's: the sums are the same to the last bit whatever the order in
which tasks end, and however many machines there are.

The machines need Ray and what polyreg imports; polyreg's own source is carried to them.
"""

import itertools
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

from polyreg.cluster import source
from polyreg.cluster.probe import silence
from polyreg.config import TrainConfig
from polyreg.errors import BadTable, ClusterLost, Refused
from polyreg.least_squares.gram import Moments
from polyreg.least_squares.problem import Problem
from polyreg.sgd import sweep
from polyreg.sgd.training import Training
from polyreg.tables.missing import MissingRows
from polyreg.tables.parts import Part
from polyreg.tables.rows import Survey
from polyreg.tables.sampling import Profile
from polyreg.tables.table import Table, at_once

SECONDS_OF_SILENCE = 5
RETRIES = 5  # of a task whose worker died
FAN = 16  # states merged by one task
WATCHED = 512  # tasks that are waited for at once
AHEAD = 4  # blocks of trainings that wait, for each CPU
FILES = 256  # at most that one task opens
PACKAGES: tuple[str, ...] = ("polyreg",)  # whose source travels


class Cluster:
    """Where tasks go: functions that give a tuple, of arguments that travel pickled."""

    def __init__(self, ray: Any, device: str):
        self._ray = ray
        client = ray.util.client.ray.is_connected()  # which notices by itself
        self._head = "" if client else ray.get_runtime_context().gcs_address
        self._heard = time.monotonic()
        ray.cloudpickle.register_pickle_by_value(source)
        here = Path(__file__).parents[2]
        self._sources = ray.put(source.archive(*(here / name for name in PACKAGES)))
        # By default Ray fills the machine that it began with: of two equal ones, it left one idle.
        self._work = ray.remote(
            num_cpus=1,
            num_gpus=int(device == "cuda"),
            max_retries=RETRIES,
            scheduling_strategy="SPREAD",
        )(source.work)

    def __str__(self) -> str:
        nodes = sum(node["Alive"] for node in self._ray.nodes())
        return (
            f"Ray, {nodes} node{'s' * (nodes != 1)}, {self.workers} CPU{'s' * (self.workers != 1)}"
        )

    @property
    def workers(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def put(self, value: Any) -> Any:
        """What several tasks are given."""
        return self._ray.put(pickle.dumps(value))

    def submit(self, function: Any, *arguments: Any, outputs: int = 1) -> Any:
        """A task, by what `put` gave, or pickled bytes, or what other tasks are to give."""
        return self._work.options(num_returns=outputs).remote(self._sources, function, *arguments)

    def ended(self, tasks: Iterable[Any], seconds: float = 0.5) -> list[Any]:
        """Those of the first tasks that have ended; none where `seconds` pass before."""
        some = list(itertools.islice(tasks, WATCHED))
        wait = partial(self._ray.wait, some, fetch_local=False)
        if wait(timeout=seconds)[0]:
            self._heard = time.monotonic()
            return wait(num_returns=len(some), timeout=0)[0]
        if self._head and time.monotonic() - self._heard > SECONDS_OF_SILENCE:
            self._heard = time.monotonic()
            if why := silence(self._head):  # Ray itself would end this process, by and by
                raise ClusterLost(f"the Ray cluster at {self._head} is gone ({why})")
        return []

    def value(self, task: Any) -> Any:
        while not self.ended([task]):  # a signal is heard in between
            pass
        return pickle.loads(self._ray.get(task))

    def each(self, function: Callable, items: Iterable) -> Iterator:
        """As map, in order, some items a task, all begun at once; what refuses one is raised."""
        shared, items = self.put(partial(_each, function)), list(items)
        size = min(FILES, -(-len(items) // (4 * self.workers)) or 1)
        pieces = [items[i : i + size] for i in range(0, len(items), size)]
        return self._found(deque(self.submit(shared, pickle.dumps(piece)) for piece in pieces))

    def _found(self, tasks: deque) -> Iterator:
        while tasks:
            found, refused = self.value(tasks.popleft())
            yield from found
            if refused:
                raise refused

    def train_all(
        self,
        configs: Iterable[TrainConfig],
        device: str,
        stopped: Callable[[], bool],
        track: Callable[[list[Training]], list] | None = None,
    ) -> Iterator[Any]:
        """As sweep.train_all, a block a task; or what `track` makes of each, where it was trained.

        Once `stopped`, those are given that have ended, up to the first that has not.
        """
        shared = self.put(partial(_trained, device, track))
        blocks = sweep.blocks(configs, device)
        pending: deque = deque()
        try:
            while True:
                while len(pending) < AHEAD * self.workers and not stopped():
                    block = next(blocks, None)
                    if block is None:
                        break
                    pending.append(self.submit(shared, pickle.dumps(block)))
                if not pending:
                    return
                if self.ended([pending[0]], 0.0 if stopped() else 0.5):
                    yield from self.value(pending.popleft())
                elif stopped():
                    return
        finally:
            for task in pending:
                self._ray.cancel(task, force=True)

    def passes(self, table: Table) -> "Passes":
        return Passes(self, table)

    def total(
        self, function: Callable, parts: Iterable[tuple], ended: Callable[[MissingRows], None]
    ) -> tuple[list[MissingRows], Any]:
        """What function(*part) gives of all parts: the gaps of each, and the sum of the states.

        Raises what refuses the first of those parts that are refused.
        """
        shared, merge = self.put(partial(_part, function)), self.put(_merged)
        reports, states = [], []
        for part in parts:
            report, state = self.submit(shared, *map(pickle.dumps, part), outputs=2)
            reports.append(report)
            states.append(state)
        while len(states) > 1:
            groups = [states[i : i + FAN] for i in range(0, len(states), FAN)]
            states = [self.submit(merge, *group) for group in groups]
        found: dict[int, MissingRows] = {}
        waiting, last, why = {task: i for i, task in enumerate(reports)}, len(reports), None
        while waiting:
            for task in self.ended(waiting):
                place = waiting.pop(task)
                gaps, refused = self.value(task)
                found[place] = gaps
                ended(gaps)
                if refused and place < last:
                    last, why = place, refused
            if why:  # one before it may be refused, too
                waiting = {task: place for task, place in waiting.items() if place < last}
        if why:
            raise why
        return [found[i] for i in range(len(reports))], self.value(states[0]) if states else None


@dataclass
class Passes:
    """The passes over a table, as least_squares.Passes, part by part."""

    cluster: Cluster
    table: Table

    def __post_init__(self) -> None:
        self.parts = self.table.parts()
        self._rows: list[int] | None = None  # the clean rows of each part

    def survey(self, seed: int) -> Survey:
        found = self.table.survey_from_footers(seed)
        if found is None:
            gaps, profile = self.cluster.total(partial(_profile, seed), zip(self.parts), _ignored)
            self._check_missing(gaps)
            return self.table.surveyed(profile or Profile(seed, self.table.width))
        return found

    def leave_out(self, names: Sequence[str], why: str) -> None:
        self.table.leave_out(names, why)
        self.parts = self.table.parts()

    def sums(
        self, problem: Problem, advance: Callable[[int], Any] = lambda rows: None
    ) -> dict[int, Moments]:
        """Raises BadTable as a pass does; advance(rows) is told of progress."""
        self.table.begin_digests()  # of one large file, in one task, this takes longest
        rows = self._rows or [part.rows for part in self.parts]
        before = [0, *itertools.accumulate(rows)]
        found, state = self.cluster.total(
            partial(_sums, problem),
            zip(self.parts, before, strict=False),
            lambda gaps: advance(gaps.clean),
        )
        self._check_missing(found)
        return state

    def _check_missing(self, gaps: list[MissingRows]) -> None:
        self.table.check_missing(reduce(add, gaps, MissingRows()))
        self._rows = [g.clean for g in gaps]


def _ignored(gaps: MissingRows) -> None:
    pass


def _each(function: Callable, items: list) -> tuple[tuple[list, Refused | None]]:
    found: list = []
    try:
        found.extend(at_once(function, items))
    except Refused as error:
        return ((found, error),)
    return ((found, None),)


def _part(function: Callable, part: Part, *more: Any) -> tuple[tuple, Any]:
    try:
        state = function(part, *more)
    except BadTable as error:
        return (part.gaps, error), None
    return (part.gaps, None), state


def _trained(
    device: str, track: Callable[[list[Training]], list] | None, block: list[TrainConfig]
) -> tuple[list]:
    trainings = sweep.train(block, device)
    for training in trainings:  # the driver may have no such device
        training.device, training.weights = "cpu", training.weights.cpu()
    return (track(trainings) if track else trainings,)


def _profile(seed: int, part: Part) -> Profile:
    return part.profile(seed)


def _sums(problem: Problem, part: Part, before: int) -> dict[int, Moments]:
    return problem.accumulate(part.blocks(problem.is_exact), before)


def _merged(*states: Any) -> tuple[Any]:
    """Their sum, in their order; of what was refused there is none."""
    found = [state for state in states if state is not None]
    return (reduce(_plus, found) if found else None,)


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, dict):
        return a | {label: a[label] + sums if label in a else sums for label, sums in b.items()}
    return a + b
