"""The points of a curve that are logged while a training goes on, and at its end."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from polyreg.config import TrainConfig
from polyreg.reports import training as reports
from polyreg.reports.training import CurveLog
from polyreg.sgd.curve import Chunk
from polyreg.sgd.training import Training
from polyreg.tracking import CURVE_POINTS, thinned

BOUND = 10**8


class Store:
    """The part of a run that CurveLog speaks to: what was logged, in its order."""

    def __init__(self):
        self.at: list[int] = []
        self.steps: list[float] = []

    def log(self, metrics, curves, at):
        assert set(curves) == {"loss/train", "loss/gap"}
        assert all((values == -at).all() for values in curves.values())
        self.at += at.tolist()
        self.steps.append(metrics["steps"])


@pytest.fixture(autouse=True)
def always_due(monkeypatch):
    """Minutes pass from each look at the clock to the next."""
    ticks = itertools.count(0, 100)
    monkeypatch.setattr(reports, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))


def go_on(training: Training, log: CurveLog | None, to: int, chunk: int) -> None:
    """Steps whose loss and gap are -step."""
    while training.curve.steps < to:
        first = training.curve.steps + 1
        values = -np.arange(first, min(first + chunk, to + 1), dtype=float)
        training.curve.append(Chunk(first, values, values, 0.0, 1.0, 0.1, False))
        if log:
            log.log_when_due()


def converge(training: Training) -> None:
    training.curve.converged = True


@pytest.mark.parametrize("steps", [1, 999, 1500, 300_000])
def test_a_training_that_ends_before_the_first_logging_is_logged_as_thinned(steps):
    training, store = Training(TrainConfig(max_steps=BOUND)), Store()
    go_on(training, None, steps, 100_000)
    converge(training)
    CurveLog(store, training).log_rest()
    assert store.at == training.curve.at[thinned(training.curve.at)].tolist()
    assert store.steps == [steps]


@pytest.mark.parametrize("steps", [5_000, 40_000, 1_000_000])
@pytest.mark.parametrize("chunk", [1_000, 100_000])
@pytest.mark.parametrize("bound", [1_000_000, BOUND])
def test_wherever_a_training_ends_the_picture_is_as_good_as_one_that_knew(steps, chunk, bound):
    training, store = Training(TrainConfig(max_steps=bound)), Store()
    log = CurveLog(store, training)
    go_on(training, log, steps, chunk)
    live = len(store.at)
    assert 0 < live <= CURVE_POINTS // 2
    assert store.at == sorted(store.at)
    converge(training)
    log.log_rest()
    at = sorted(store.at)
    assert len(set(at)) == len(at) <= CURVE_POINTS and (at[0], at[-1]) == (1, steps)
    assert len(at) > 0.7 * CURVE_POINTS
    knew = training.curve.at[thinned(training.curve.at)]
    assert np.diff(at).max() <= np.diff(knew).max()
    # On a logarithmic axis, too, beyond the first steps, where all numbers are whole.
    assert np.diff(np.log(at)).max() <= max(np.diff(np.log(knew)).max(), 0.1)
    assert store.steps == sorted(store.steps) and store.steps[-1] == steps


def test_a_training_that_goes_on_for_long_is_seen_up_to_a_fiftieth_of_its_steps():
    training, store = Training(TrainConfig(max_steps=BOUND)), Store()
    log = CurveLog(store, training)
    behind = []
    for reached in range(200_000, 20_000_000, 200_000):
        go_on(training, None, reached, 200_000)
        log.log_when_due()
        behind.append(1 - store.at[-1] / reached)
    assert max(behind) < 0.02
    assert len(store.at) <= CURVE_POINTS // 2


@pytest.mark.parametrize("seed", range(5))
def test_whatever_interrupts_a_training_no_step_is_logged_twice_and_at_most_a_thousand(seed):
    random, store = np.random.default_rng(seed), Store()
    training = Training(TrainConfig(max_steps=BOUND))
    checkpoint = training.curve.state()
    for _ in range(12):
        log = CurveLog(store, training, np.sort(store.at))
        go_on(training, log, training.curve.steps + int(random.integers(1, 300_000)), 20_000)
        if random.random() < 0.5:  # a signal; else it was killed outright
            log.log_rest()
            checkpoint = training.curve.state()
        else:
            training = Training(training.config)
            training.curve.restore(*checkpoint)
    log = CurveLog(store, training, np.sort(store.at))
    go_on(training, log, training.curve.steps + 400_000, 20_000)
    converge(training)
    log.log_rest()
    assert len(set(store.at)) == len(store.at) <= CURVE_POINTS
    assert max(store.at) == training.curve.steps == store.steps[-1]


def test_an_interruption_leaves_room_for_what_comes_after_it():
    training, store = Training(TrainConfig(max_steps=BOUND)), Store()
    go_on(training, None, 50_000, 10_000)
    CurveLog(store, training).log_rest()
    assert 400 < len(store.at) <= CURVE_POINTS // 2
    assert max(store.at) == 50_000
    log = CurveLog(store, training, np.sort(store.at))
    go_on(training, log, 500_000, 10_000)
    log.log_rest()
    assert max(store.at) == 500_000
    assert CURVE_POINTS - len(store.at) > 100
