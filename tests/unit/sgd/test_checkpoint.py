"""Going on from a checkpoint is never to have stopped; what is damaged is never gone on from."""

import functools
import io
import os
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from polyreg import tracking
from polyreg.config import TrainConfig
from polyreg.errors import Diverged
from polyreg.fields import Optimizer
from polyreg.sgd import checkpoint, curve, descend, kernel, loops, rates
from polyreg.sgd.kernel import Compiled
from polyreg.sgd.training import Training
from polyreg.tracking.checkpoints import SLOTS, Checkpoints

STEPS, CHUNK = 330, 50  # the last chunk is shorter


@pytest.fixture(autouse=True)
def short(monkeypatch) -> None:
    """Chunks that are short, and a curve that is thinned twice in their course."""
    for name in ("FIRST_SCAN", "SCAN", "CHUNK", "LOOP_CHUNK"):
        monkeypatch.setattr(descend, name, CHUNK)
    monkeypatch.setattr(curve, "KEPT", 100)
    monkeypatch.setattr(kernel, "UNCOMPILED", 0)  # or a chunk would end there, too


def config_of(**options) -> TrainConfig:
    endless = {"tolerance": 1e-30, "max_steps": STEPS, "noise": 0.1}
    return TrainConfig(**(endless | options))


WAYS = [
    (way, options)
    for way, options in [
        (Compiled, {}),
        (Compiled, {"momentum": 0.9}),
        (Compiled, {"optimizer": "adam"}),
        (loops.Scan, {}),
        (loops.Scan, {"momentum": 0.9}),
        (loops.Loop, {}),
        (loops.Loop, {"momentum": 0.9}),
        *((loops.Loop, {"optimizer": name}) for name in get_args(Optimizer) if name != "sgd"),
        (loops.Loop, {"optimizer": "rmsprop", "momentum": 0.9}),
    ]
]
KINDS = [
    {"dtype": "float32", "inputs": "normal"},
    {"dtype": "float64", "inputs": "uniform"},
    {"dtype": "float32", "inputs": "uniform", "noise": 0.0, "degree": 5},
    {"dtype": "float64", "inputs": "normal", "degree": 0, "batch_size": 1, "seed": 3},
    {"dtype": "float64", "inputs": "normal", "basis": "monomial", "learning_rate": 1e-3},
]


def name_of(value) -> str:
    if isinstance(value, dict):
        return "-".join(str(v) for v in value.values()) or "plain"
    return getattr(value, "__name__", str(value))


def steps_on(training: Training, way: type, chunks: int | None = None) -> int:
    """Train on, for some chunks or to the end; how many there were."""
    taken = 0
    try:
        for _ in descend.descend(training, way):
            taken += 1
            if taken == chunks:
                break
    except Diverged:
        pass
    return taken


def reopened(packed: bytes, config: TrainConfig, way: type | None = None) -> Training:
    training = Training(config)
    checkpoint.unpack(packed, training, way)
    return training


def assert_same(found: Training, expected: Training) -> None:
    """To the last bit."""
    assert found.weights.dtype == expected.weights.dtype
    assert torch.equal(found.weights, expected.weights)
    for name in ("at", "loss", "gap"):
        assert np.array_equal(getattr(found.curve, name), getattr(expected.curve, name)), name
    for name in ("steps", "rate", "domain", "converged"):
        assert getattr(found.curve, name) == getattr(expected.curve, name), name
    assert found.stream.state == expected.stream.state
    assert str(found.diverged) == str(expected.diverged) and found.ended == expected.ended


@functools.cache
def never_stopped(way: type, config: TrainConfig) -> tuple[Training, int]:
    training = Training(config)
    return training, steps_on(training, way)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
@pytest.mark.parametrize("way, options", WAYS, ids=name_of)
def test_after_whatever_chunk_it_stopped_it_comes_to_the_same(way, options, kind):
    config = config_of(**(kind | options))
    whole, chunks = never_stopped(way, config)
    assert chunks == 7 and whole.curve.steps == STEPS
    assert len(whole.curve.at) < STEPS / 2  # it was thinned
    assert not config.momentum or not torch.equal(
        whole.weights, never_stopped(way, replace(config, momentum=0.0))[0].weights
    )
    each = Training(config)  # stops after every chunk
    for done in range(1, chunks + 1):
        steps_on(each, way, 1)
        packed = checkpoint.pack(each, 0.0)
        once = reopened(packed, config, way)
        assert_same(once, each)
        steps_on(once, way)
        assert_same(once, whole)
        each = reopened(packed, config, way)
        assert each.curve.steps == min(done * CHUNK, STEPS)
    assert_same(each, whole)


@pytest.mark.parametrize("way, options", WAYS, ids=name_of)
def test_what_is_measured_after_it_is_what_was_measured(way, options):
    """Every step's, of which a thinned curve would keep some."""
    config = config_of(**options)
    training = Training(config)
    chunks, packed = [], []
    for chunk in descend.descend(training, way):
        chunks.append(chunk)
        packed.append(checkpoint.pack(training, 0.0))
    later = list(descend.descend(reopened(packed[2], config, way), way))
    assert len(later) == 4
    for found, expected in zip(later, chunks[3:], strict=True):
        for a, b in zip(found, expected, strict=True):
            assert np.array_equal(a, b)


@pytest.mark.parametrize("way, options", WAYS, ids=name_of)
def test_two_checkpoints_in_a_row_are_equal_and_disturb_nothing(way, options):
    config = config_of(**options)
    training = Training(config)
    packed = []
    for _ in descend.descend(training, way):
        packed.append([checkpoint.pack(training, 1.0) for _ in range(2)])
    assert all(first == second for first, second in packed)
    assert len({first for first, _ in packed}) == len(packed)
    assert_same(training, never_stopped(way, config)[0])


@pytest.mark.parametrize("kept", [2**18, 64])
def test_the_curve_is_the_same_whatever_it_keeps(kept, monkeypatch):
    monkeypatch.setattr(curve, "KEPT", kept)
    config = config_of(seed=7)
    whole, part = Training(config), Training(config)
    steps_on(whole, Compiled)
    steps_on(part, Compiled, 3)
    part = reopened(checkpoint.pack(part, 0.0), config)
    steps_on(part, Compiled)
    assert_same(part, whole)
    assert (len(whole.curve.at) == STEPS) == (kept > STEPS)


@pytest.mark.parametrize("way, options", WAYS, ids=name_of)
def test_of_one_that_has_ended_nothing_is_left_to_do(way, options):
    config = config_of(tolerance=0.5, noise=0.01, max_steps=20_000, **options)
    training = Training(config)
    packed = [checkpoint.pack(training, 0.0) for _ in descend.descend(training, way)]
    assert training.curve.converged
    again = reopened(packed[-1], config, way)
    assert steps_on(again, way) == 0
    assert_same(again, training)
    if len(packed) > 1:
        before = reopened(packed[-2], config, way)
        assert steps_on(before, way) == 1
        assert_same(before, training)


def test_one_that_diverges_does_so_at_the_same_step():
    shape = {"degree": 8, "inputs": "uniform"}
    rate = 1.5 * rates.stable_rate(TrainConfig(**shape))
    config = config_of(learning_rate=rate, max_steps=5000, **shape)
    whole, chunks = never_stopped(Compiled, config)
    assert whole.diverged and chunks > 2
    part = Training(config)
    steps_on(part, Compiled, chunks - 2)
    part = reopened(checkpoint.pack(part, 0.0), config)
    steps_on(part, Compiled)
    assert_same(part, whole)


# Damage

CONFIG = config_of(momentum=0.5)


@functools.cache
def sound() -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRST_SCAN", "SCAN", "CHUNK", "LOOP_CHUNK"):
            patch.setattr(descend, name, CHUNK)
        patch.setattr(curve, "KEPT", 100)
        training = Training(CONFIG)
        steps_on(training, Compiled, 2)
        return checkpoint.pack(training, 12.5)


def assert_untouched(training: Training) -> None:
    """It would begin at the beginning."""
    steps_on(training, Compiled, 1)
    fresh = Training(training.config)
    steps_on(fresh, Compiled, 1)
    assert_same(training, fresh)


def assert_refused_or_equal(packed: bytes) -> None:
    training = Training(CONFIG)
    with watched() as unpickled:
        try:
            seconds = checkpoint.unpack(packed, training)
        except ValueError as error:
            assert "\n" not in str(error)
            assert_untouched(training)
        else:
            assert seconds == 12.5
            right = reopened(sound(), CONFIG)
            assert_same(training, right)
            for each in (training, right):
                steps_on(each, Compiled, 1)
            assert_same(training, right)
    assert unpickled == []


_watching: list[list] = []


def _hook(event: str, arguments: tuple) -> None:
    if event == "pickle.find_class" and _watching:
        _watching[-1].append(arguments)


@functools.cache
def _install() -> None:  # there is no way to take one away
    sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[list]:
    """What pickle looked up."""
    _install()
    found: list = []
    _watching.append(found)
    try:
        yield found
    finally:
        _watching.pop()


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1, exclude_max=True))
@example(0.0)
def test_a_checkpoint_that_was_cut_off_is_a_value_error(part):
    packed = sound()[: int(part * len(sound()))]
    with pytest.raises(ValueError):
        checkpoint.unpack(packed, Training(CONFIG))
    assert_refused_or_equal(packed)


# Headers tell how to read what follows: their bytes are a small part, and the worst.
def headers() -> list[int]:
    packed, places = sound(), []
    for mark, length in ((b"PK", 46), (b"\x93NUMPY", 128)):
        start = packed.find(mark)
        while start >= 0:
            places += range(start, min(start + length, len(packed)))
            start = packed.find(mark, start + 1)
    return places


@settings(max_examples=250, deadline=None)
@given(st.data(), st.integers(1, 255))
def test_a_checkpoint_with_a_wrong_byte_is_refused_or_as_good(data, flip):
    packed = bytearray(sound())
    places = st.one_of(st.sampled_from(headers()), st.integers(0, len(packed) - 1))
    packed[data.draw(places)] ^= flip
    assert_refused_or_equal(bytes(packed))


def test_a_shape_that_asks_for_a_part_is_refused():
    """zip's checksums are of what is read to its end."""
    packed = sound()
    assert packed.count(b"'shape': (4,)") >= 1
    assert_refused_or_equal(packed.replace(b"'shape': (4,)", b"'shape': (0,)", 1))
    assert_refused_or_equal(packed.replace(b"'descr': '<f8'", b"'descr': '<f4'"))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_checkpoint_are_a_value_error(packed):
    with pytest.raises(ValueError):
        checkpoint.unpack(packed, Training(CONFIG))


def zipped(**entries: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return made.getvalue()


def npz(**arrays) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


OTHERS = {
    "empty": b"",
    "an empty zip": zipped(),
    "a zip of text": zipped(facts=b"{}"),
    "a zip of no npy": zipped(**{"facts.npy": b"text"}),
    "an empty npz": npz(),
    "an npz of others": npz(weights=np.ones(4)),
    "an npz with facts that are no JSON": npz(facts=np.frombuffer(b"no", dtype=np.uint8)),
    "an npz with facts of others": npz(facts=np.frombuffer(b"{}", dtype=np.uint8)),
    "an npy": np.lib.format.magic(1, 0) + b"\x00",
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
    "two in a row": None,
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_a_value_error(name):
    packed = sound() + sound() if OTHERS[name] is None else OTHERS[name]
    if name == "two in a row":  # a zip is found from its end
        return assert_refused_or_equal(packed)
    training = Training(CONFIG)
    with watched() as unpickled, pytest.raises(ValueError):
        checkpoint.unpack(packed, training)
    assert unpickled == []
    assert_untouched(training)
    return None


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("where", ["weights", "curve/kept", "way/gathered", "facts"])
def test_a_pickle_inside_is_never_opened(where, monkeypatch, tmp_path):
    """Whole in all its checksums, as one would be that somebody made with this very code."""
    monkeypatch.chdir(tmp_path)
    training = Training(CONFIG)
    steps_on(training, Compiled, 1)
    trap = np.array([Trap(), None], dtype=object)
    arrays, facts = training.state()
    bad = Training(CONFIG)
    if where == "facts":
        monkeypatch.setattr(checkpoint.np, "frombuffer", lambda *a, **k: trap)
    bad.state = lambda: (arrays | ({} if where == "facts" else {where: trap}), facts)
    try:
        packed = checkpoint.pack(bad, 0.0)
    except ValueError:
        return  # not even written
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    start = packed.index(b"PK")
    with watched() as unpickled:  # it would have been seen
        np.load(io.BytesIO(packed[start:]), allow_pickle=True)[where]
    assert unpickled and os.listdir(tmp_path) == ["sprung"]
    os.rmdir("sprung")
    training = Training(CONFIG)
    with watched() as unpickled, pytest.raises(ValueError):
        checkpoint.unpack(packed, training)
    assert unpickled == [] and os.listdir(tmp_path) == []


@pytest.mark.parametrize("other", [
    {"seed": 1}, {"degree": 4}, {"noise": 0.2}, {"dtype": "float64"}, {"momentum": 0.6},
    {"max_steps": STEPS + 1}, {"coefficients": (1.0, 2.0)}, {"inputs": "uniform"},
    {"optimizer": "adam", "momentum": 0.0}, {"batch_size": 31}, {"stop": "batch"},
], ids=name_of)  # fmt: skip
def test_a_checkpoint_of_other_options_is_refused(other):
    training = Training(replace(CONFIG, **other))
    with pytest.raises(ValueError, match="of other options"):
        checkpoint.unpack(sound(), training)
    assert training.curve.steps == 0
    fresh = Training(training.config)
    assert torch.equal(training.weights, fresh.weights)
    assert training.stream.state == fresh.stream.state


# Of a run


class Artifacts:
    """The part of a run that Checkpoints speaks to."""

    def __init__(self):
        self.id, self.tags, self.files = "r", {}, {}

    def checkpoint(self, content: bytes, path: str) -> None:
        self.files[path] = content
        self.tags["checkpoint"] = path


@pytest.fixture
def run(monkeypatch) -> Artifacts:
    made = Artifacts()
    monkeypatch.setattr(tracking.history, "file", lambda _, path: made.files.get(path))
    return made


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    made = SimpleNamespace(now=1e3)
    monkeypatch.setattr(time, "perf_counter", lambda: made.now)
    return made


def test_seconds_are_kept():
    training = Training(CONFIG)
    steps_on(training, Compiled, 1)
    for seconds in (0.0, 0.1, 1e9):
        assert checkpoint.unpack(checkpoint.pack(training, seconds), Training(CONFIG)) == (seconds)


def test_the_seconds_of_all_parts_add_up(run, clock):
    training = Training(CONFIG)
    for part in (10, 20, 30, 5):
        checkpoints = Checkpoints(training)
        checkpoints.read(run)
        steps_on(training, Compiled, 1)
        clock.now += part
        checkpoints.write(run)
        clock.now += 1000  # until it is resumed
        training = Training(CONFIG)
    last = Checkpoints(training)
    last.read(run)
    assert last.seconds() == 65 and training.curve.steps == 4 * CHUNK


def test_a_checkpoint_is_due_every_ten_seconds(run, clock):
    training = Training(CONFIG)
    checkpoints, written = Checkpoints(training), []
    for _ in descend.descend(training):
        clock.now += 4
        checkpoints.write_when_due(run)
        written.append(run.tags.get("checkpoint"))
    a, b = SLOTS
    assert written == [None, None, a, a, a, b, b] and set(run.files) == {a, b}


@pytest.mark.parametrize("damaged", [[], [0], [1], [0, 1]], ids=str)
def test_the_last_that_is_whole_is_gone_on_from(run, clock, damaged):
    training = Training(CONFIG)
    checkpoints = Checkpoints(training)
    for chunk in descend.descend(training):
        if (chunk.first // CHUNK) % 2:
            checkpoints.write(run)
    newest = run.tags["checkpoint"]
    order = [newest, next(slot for slot in SLOTS if slot != newest)]
    for place in damaged:
        run.files[order[place]] = run.files[order[place]][:-1]
    fresh = Training(CONFIG)
    again = Checkpoints(fresh)
    again.read(run)
    steps = {(): 6, (0,): 4, (1,): 6, (0, 1): 0}[tuple(damaged)] * CHUNK
    assert fresh.curve.steps == steps
    steps_on(fresh, Compiled)
    assert_same(fresh, never_stopped(Compiled, CONFIG)[0])
    if steps:  # the next is written over the other, never over the one that is whole
        whole = order[0] if 0 not in damaged else order[1]
        before = run.files[whole]
        again.training = reopened(before, CONFIG)
        steps_on(again.training, Compiled, 1)
        again.write(run)
        assert run.files[whole] == before and run.tags["checkpoint"] != whole
