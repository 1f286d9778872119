"""The runs of a sweep: trained here or on a cluster, and tracked by whoever can reach the store."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from experiments import train
from experiments.common import Stop
from polyreg.config import LISTS, SweepConfig, params
from polyreg.outbox import Unreachable
from polyreg.text import text


class Trainer(NamedTuple):
    """Who trains, here or on a cluster."""

    engine: Any
    device: str
    stop: Stop

    def train(self, configs: Sequence, track: Any = None) -> Iterator:
        """Trainings, or what `track` makes of them where they are."""
        from polyreg import sweep

        if self.engine:
            return self.engine.train_all(configs, self.device, self.stop.__bool__, track)
        return sweep.train_all(configs, self.device, self.stop.__bool__)

    def rows(self, run, config: SweepConfig, missing: Sequence) -> Iterator:
        """Train and track these, and give their rows."""
        from polyreg.sweep import Row

        elsewhere = run.elsewhere() if self.engine else None
        there = elsewhere and partial(track_there, elsewhere, config, self.device)
        for trained in self.train(missing, there):
            tracked = isinstance(trained, Row)
            yield trained if tracked else track(run, config, trained, self.device)


def track_there(elsewhere, config: SweepConfig, device: str, trainings: list) -> list:
    """The rows of trainings that were tracked where they were trained, or else the trainings."""
    done: list = []
    try:
        with elsewhere.open() as run:
            for training in trainings if run else []:
                done.append(track(run, config, training, device))
    except Unreachable:
        pass
    return done + trainings[len(done) :]


def track(run, config: SweepConfig, training, device: str):
    """Log one run, as `train` does, and give its row."""
    from polyreg.polynomial import Polynomial
    from polyreg.sweep import Row

    own, curve = training.config, training.curve
    metrics, curves, at = train.measured(curve)
    learned = model = None
    about = train.tags(training, device)
    if training.diverged:
        about["error"] = str(training.diverged)
    else:
        learned = Polynomial.of(training)
        metrics |= train.reached(training, learned) | {"time/train_s": training.seconds}
        if config.save_models == "all":
            model = (training.model, train.example(learned))
    name = run_name(config, own)
    run_id = run.child(name, params(own), about, metrics, curves, at, learned, model)
    return Row.of(run_id, training)


def run_name(config: SweepConfig, own) -> str:
    """`train`'s name, and what the sweep varies besides."""
    besides = {o: getattr(own, o) for o in LISTS if o not in ("degree", "basis")}
    seed = [f"seed {own.seed}"] if config.seeds > 1 else []
    return " · ".join([own.name, *words(config, besides), *seed])


def words(config: SweepConfig, varied: dict[str, Any]) -> list[str]:
    """A combination by those of its options that the sweep varies."""
    lists = config.lists()
    return [
        f"{option.replace('_', ' ')} {text(value)}"
        for option, value in varied.items()
        if len(lists[option]) > 1
    ]
