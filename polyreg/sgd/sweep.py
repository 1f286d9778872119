"""Sweeps: many trainings at once, those of one shape in blocks, the blocks in threads."""

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from polyreg.config import SweepConfig, TrainConfig
from polyreg.options import from_params
from polyreg.polynomials import terms
from polyreg.sgd import descend
from polyreg.sgd.optimum import Optimum
from polyreg.sgd.recovery import Recovery, recovery
from polyreg.sgd.training import Training

BLOCK = 8  # runs at once on a CPU, where their chunks are what caches hold (LOG.md)
GPU_BLOCK = 256
TRIALS_AT_ONCE, ASKED_AT_MOST = 8, 64


def train_all(
    configs: Sequence[TrainConfig],
    device: str = "cpu",
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Training]:
    """Train them all, and give each as it ends, in their order.

    What a run comes to does not depend on which others there are. On a CPU there is a thread a
    core; `stopped`, or a caller that stops listening, stops them: of those under way then, the
    runs that have come to their own end are given still.
    """
    workers = torch.get_num_threads() if device == "cpu" else 1
    left = threading.Event()  # nobody listens

    def halted() -> bool:
        return left.is_set() or stopped()

    pending: deque[Future[list[Training]]] = deque()
    # Each with one of torch's own threads: two pools on the same cores wait for each other.
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for block in itertools.takewhile(lambda _: not halted(), blocks(configs, device)):
            pending.append(pool.submit(train, block, device, halted))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        left.set()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(torch.get_num_threads())  # MKL's count is the process's


def blocks(configs: Iterable[TrainConfig], device: str) -> Iterator[list[TrainConfig]]:
    """The runs in their order, as many at a time as are best trained together."""
    for _, alike in itertools.groupby(configs, _shape):
        yield from _pieces(alike, BLOCK if device == "cpu" else GPU_BLOCK)


def _shape(config: TrainConfig) -> list:
    """What runs that train together have in common."""
    own = ("learning_rate", "coefficients", "noise", "seed")
    return [value for name, value in vars(config).items() if name not in own]


def _pieces(items: Iterator, size: int) -> Iterator[list]:
    while piece := list(itertools.islice(items, size)):
        yield piece


def train(
    configs: Sequence[TrainConfig], device: str, halted: Callable[[], bool] = lambda: False
) -> list[Training]:
    """Train a block; of one that is halted, the runs that have come to their own end."""
    start = time.perf_counter()
    trainings = [Training(config, device) for config in configs]
    for _ in descend.descend_together(trainings):
        if halted():
            break
    seconds = time.perf_counter() - start
    steps = sum(training.curve.steps for training in trainings)
    for training in trainings:  # its share
        training.seconds = seconds * max(training.curve.steps, 1) / max(steps, 1)
    return [training for training in trainings if training.ended]


LEAST = 1e-300  # of gaps whose logarithm is taken


def sampled_steps(max_steps: int) -> np.ndarray:
    """Steps in equal ratios, at which learning curves of one length are laid side by side."""
    return np.unique(np.geomspace(1, max_steps, 200).round().astype(int))


def gap_at(at: np.ndarray, gap: np.ndarray, steps: np.ndarray, end: float) -> np.ndarray:
    """A curve's gap at each of the steps, between its points on logarithmic axes; then `end`.

    at (T,), increasing from 1, gap (T,), steps (S,)  ->  (S,)
    """
    values = np.interp(np.log(steps), np.log(at), np.log(np.maximum(gap, LEAST)))
    return np.where(steps <= at[-1], np.exp(values), end)


def sampled(at: np.ndarray, gap: np.ndarray, diverged: bool, max_steps: int) -> np.ndarray:
    """A curve's gap at each of `sampled_steps`: after its end the last, after divergence inf.

    at (T,), increasing from 1, gap (T,); of none (T = 0), inf throughout  ->  (S,)
    """
    steps = sampled_steps(max_steps)
    if not len(at):  # it diverged at the first step
        return np.full(len(steps), np.inf)
    return gap_at(at, gap, steps, np.inf if diverged else gap[-1])


class Quartiles(NamedTuple):
    """Median and quartiles over repetitions of a learning curve, (S,) each; inf: diverged."""

    steps: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def quartiles(gaps: np.ndarray, taken: Sequence[int], max_steps: int) -> Quartiles:
    """Of curves at `sampled_steps`, until more than half of them have ended.

    gaps (R, S), as `sampled` gives each; taken (R,): the steps that each run took
    """
    steps, half = sampled_steps(max_steps), max(sorted(taken)[len(taken) // 2], 1)
    # At the first of the sampled steps from there on, theirs are the last gaps.
    end = int(np.searchsorted(steps, half))
    logs = np.log(np.maximum(gaps[:, : end + 1], LEAST))
    with np.errstate(invalid="ignore"):  # runs that diverged: infinity less infinity
        found = np.quantile(logs, (0.25, 0.5, 0.75), axis=0)
    at = np.append(steps[:end], half).astype(float)
    return Quartiles(at, *np.exp(np.where(np.isnan(found), np.inf, found)))


@dataclass(frozen=True)
class Row:
    """One run of a sweep. Of a run that diverged, gap is nan and there are no coefficients.

    `curve` is its gap at each of `sampled_steps`: after its end the last, after divergence inf;
    None of a row that was read back.
    """

    id: str
    config: TrainConfig
    converged: bool
    steps: int
    rate: float  # the first step's
    gap: float
    coefficients: np.ndarray | None  # of the powers of x (K,)
    curve: np.ndarray | None = None

    @classmethod
    def of(cls, run_id: str, training: Training) -> "Row":
        curve = training.curve
        learned = None if training.diverged else training.result()
        return cls(
            id=run_id,
            config=training.config,
            converged=curve.converged,
            steps=curve.steps,
            rate=curve.rate,
            gap=float(curve.gap[-1]) if learned else math.nan,
            coefficients=learned.coefficients if learned else None,
        ).with_curve(curve.at, curve.gap)

    @classmethod
    def from_run(
        cls,
        run_id: str,
        params: Mapping[str, str],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
    ) -> "Row":
        """Read back from what MLflow holds of it."""
        config = from_params(TrainConfig, params)
        names = [f"coef/{key}" for key in terms.keys(terms.powers(config.degree))]
        learned = all(name in metrics for name in names)
        return cls(
            id=run_id,
            config=config,
            converged=tags["converged"] == "true",
            steps=int(metrics["steps"]),
            rate=metrics.get("learning_rate", math.nan),
            gap=metrics["loss/gap"] if learned else math.nan,
            coefficients=np.array([metrics[name] for name in names]) if learned else None,
        )

    def with_curve(self, at: np.ndarray, gap: np.ndarray) -> "Row":
        """The row with its learning curve: gap (T,) after the steps at (T,), increasing from 1."""
        return replace(self, curve=sampled(at, gap, self.diverged, self.config.max_steps))

    @property
    def diverged(self) -> bool:
        return self.coefficients is None

    @property
    def error(self) -> float:
        """E (learned(x) - p(x))^2: the gap, and what the best polynomial of its degree leaves."""
        return self.gap + Optimum.of(self.config).residual_variance - self.config.noise**2

    @property
    def score(self) -> float:
        """The steps that it took, times how many tolerances it ended from the truth, if over one.

        What diverged is a million times as bad as all steps taken in vain: finite, for a search.
        """
        if self.diverged:
            return 1e6 * self.config.max_steps
        return self.steps * max(1.0, self.error / self.config.tolerance)


def best(rows: Iterable[Row]) -> Row | None:
    """The run of the least score, if any did not diverge."""
    return min((r for r in rows if not r.diverged), key=lambda r: r.score, default=None)


class Summary(NamedTuple):
    """The seeds of one combination."""

    varied: dict[str, Any]
    rows: list[Row]

    @property
    def converged(self) -> int:
        return sum(row.converged for row in self.rows)

    @property
    def kept(self) -> list[Row]:
        """Those that did not diverge."""
        return [row for row in self.rows if not row.diverged]

    @property
    def score(self) -> float:
        """The mean of log10 of the scores."""
        return float(np.mean([math.log10(row.score) for row in self.rows]))

    def recovery(self) -> Recovery:
        """How the seeds that did not diverge lie about the optimum; at least two.

        Where a stop rule ended runs, it made their spread, which no theory here predicts.
        """
        coefficients = np.array([row.coefficients for row in self.kept])
        steps = np.array([row.steps for row in self.kept])
        study = recovery(self.rows[0].config, coefficients, steps)
        unknown = np.full(len(study.terms), np.nan)
        return replace(study, predicted=unknown) if self.converged else study

    def mean(self, quantity: str) -> float:
        values = [getattr(row, quantity) for row in self.kept]
        return float(np.mean(values)) if values else math.nan

    def spread(self, quantity: str) -> float:
        """The standard deviation over the seeds; nan for fewer than two."""
        values = [getattr(row, quantity) for row in self.kept]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def summaries(
    config: SweepConfig, rows: Mapping[TrainConfig, Row], combinations: Iterable[dict[str, Any]]
) -> list[Summary]:
    """Of the combinations whose seeds have all been trained."""
    found = []
    for varied in combinations:
        runs = config.runs(varied)
        if all(run in rows for run in runs):
            found.append(Summary(varied, [rows[run] for run in runs]))
    return found


def in_order(
    config: SweepConfig, rows: Mapping[TrainConfig, Row], combinations: Iterable[dict[str, Any]]
) -> dict[TrainConfig, Row]:
    """The rows as a sweep that was never interrupted has them; of equal scores, the first wins."""
    planned = [run for varied in combinations for run in config.runs(varied) if run in rows]
    return {run: rows[run] for run in [*planned, *rows]}


def grid(config: SweepConfig) -> Generator[list[dict[str, Any]], Any, None]:
    """All combinations, at once."""
    yield config.combinations()


def explore(
    config: SweepConfig,
    rows: dict[TrainConfig, Row],
    train: Callable[[list[TrainConfig]], Iterable[Row]],
    stopped: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]]:
    """Add to `rows` the runs of a sweep that they lack; the combinations that were tried.

    train: the rows of these runs, as each ends
    """
    plan = search(config) if config.trials else grid(config)
    tried: list[dict[str, Any]] = []
    scores = None
    while True:
        try:
            combinations = plan.send(scores)
        except StopIteration:
            return tried
        runs = [run for varied in combinations for run in config.runs(varied)]
        for row in train([run for run in dict.fromkeys(runs) if run not in rows]):
            rows[row.config] = row
        if stopped():
            return [*tried, *combinations]
        scores = [s.score for s in summaries(config, rows, combinations)]
        tried += [varied for varied in combinations if varied not in tried]


def search(config: SweepConfig) -> Generator[list[dict[str, Any]], Any, None]:
    """Combinations to try next, by Optuna's tree-structured Parzen estimator; send their scores.

    Each is tried once; where Optuna asks for one again, it is told the score that it had. Equal
    seeds and scores give equal trials.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=config.seed % 2**32))
    untried = {tuple(varied.values()): varied for varied in config.combinations()}
    known: dict[tuple, float] = {}
    wanted = min(config.trials, len(untried))
    while len(known) < wanted:
        asked: dict[tuple, optuna.Trial] = {}
        for _ in range(ASKED_AT_MOST):
            if len(asked) == min(TRIALS_AT_ONCE, wanted - len(known)):
                break
            trial = study.ask()
            values = tuple(
                trial.suggest_categorical(name, list_) for name, list_ in config.lists().items()
            )
            if values in untried and values not in asked:
                asked[values] = trial
            elif values in known:
                study.tell(trial, known[values])
        if not asked:  # it has made up its mind: the next ones in order
            for varied in itertools.islice(untried.values(), TRIALS_AT_ONCE):
                study.enqueue_trial(varied)
            continue
        scores = yield [untried.pop(values) for values in asked]
        for (values, trial), score in zip(asked.items(), scores, strict=True):
            known[values] = score
            study.tell(trial, score)
