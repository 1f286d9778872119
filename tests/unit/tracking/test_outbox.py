"""What is sent arrives once and in order, whatever fails: store, disk, process.

Times, disks and stores are made up here; tests/system/test_outage.py has real ones.
"""

import builtins
import contextlib
import copy
import errno
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from polyreg.errors import Unsent
from polyreg.tracking import outbox
from polyreg.tracking.outbox import Message, Outbox, scratch

ABOUT = {"uri": "http://user:secret@somewhere", "run": "r"}


class Places(NamedTuple):
    """Where something may be kept, in the order of preference, and where payloads are made."""

    here: Path
    temporary: Path
    home: Path

    @property
    def folders(self) -> list[Path]:
        own = "polyreg-unsent"
        return [self.here / "unsent", self.temporary / own, self.home / own]


@contextlib.contextmanager
def placed() -> Iterator[Places]:
    """A process in an empty folder, with an empty temporary folder and an empty home."""
    with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
        places = Places(*(Path(root) / name for name in Places._fields))
        for place in places:
            place.mkdir()
        patch.chdir(places.here)
        patch.setenv("HOME", str(places.home))
        patch.setattr(tempfile, "tempdir", str(places.temporary))
        yield places
        patch.undo()  # before the folder that we are in is removed


@pytest.fixture
def places() -> Iterator[Places]:
    with placed() as made:
        yield made


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """A clock that stands, in place of outbox's."""
    made = SimpleNamespace(now=1e3)
    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@dataclass
class Note(Message, do="note"):
    """Number n, of a run; it counts its tries, as what got halfway does."""

    n: int
    of: str = ""
    tries: int = 0


@dataclass
class Made(Note, do="made"):
    makes_run = True


class Store:
    """Takes messages, where `fails`, asked at each, does not say otherwise."""

    def __init__(self, fails: Iterable[bool] = ()):
        self.fails = iter(fails)
        self.arrived: list[tuple[Note, dict[str, bytes] | None]] = []
        self.made: list[str] = []
        self.tried = 0

    def __call__(self, message: Note, payload: Path | None) -> str | None:
        self.tried += 1
        message.tries += 1
        if next(self.fails, False):
            raise ConnectionError("away")
        found = None if payload is None else files(payload)
        self.arrived.append((copy.deepcopy(message), found))
        if message.makes_run:
            self.made.append(f"run{len(self.made)}")
            return self.made[-1]
        return None

    @property
    def numbers(self) -> list[int]:
        return [message.n for message, _ in self.arrived]


def away(*lasting: bool) -> Iterator[bool]:
    yield from lasting or iter(lambda: True, None)


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def payload(n: int, run: str = "r") -> Path:
    """Files of which one, deeper down, tells of the run."""

    def fill(made: Path) -> None:
        (made / "deep").mkdir()
        (made / "data").write_bytes(bytes(range(256)) + str(n).encode())
        (made / "deep/about.json").write_text(json.dumps({"of": run, "n": n}))

    return scratch(fill)


def expected(n: int, run: str) -> dict[str, bytes]:
    return {
        "data": bytes(range(256)) + str(n).encode(),
        "deep/about.json": json.dumps({"of": run, "n": n}).encode(),
    }


def message(n: int, run: str = "r", **more) -> Note:
    return Note(run, n, **more)


def left(places: Places) -> list[str]:
    return [str(path) for place in places for path in place.rglob("*")]


OPERATION = st.one_of(
    st.tuples(st.just("create")),
    st.tuples(st.sampled_from(["tag", "files"]), st.integers(0, 3), st.sampled_from(["", "", "w"])),
    st.tuples(st.just("flush")),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3.0, 100.0])),
    st.tuples(st.just("restart")),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(OPERATION, max_size=14), st.lists(st.booleans(), max_size=25))
# A run is made late: files of before wait for it, and those of after must not overtake them.
@example([("create",), ("files", 1, ""), ("wait", 3.0), ("tag", 1, ""), ("files", 1, "")], [True])
# Another process goes on: its messages come after those that it found.
@example([("tag", 0, ""), ("restart",), ("tag", 0, ""), ("files", 0, "")], [True])
@example([("files", 0, "w"), ("files", 0, "w"), ("restart",), ("files", 0, "w")], [True] * 2)
def test_every_message_arrives_once_whole_and_in_order_whatever_fails(operations, fails):
    with placed() as places, pytest.MonkeyPatch.context() as patch:
        clock, store = SimpleNamespace(now=0.0), Store(fails)
        patch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: clock.now))
        box = Outbox(store, "r", ABOUT)
        runs, put, dropped = ["r"], [], set()
        for do, *what in operations:
            if do == "create":
                put.append((len(put), "tag", len(runs), ""))
                runs.append(box.put(Made("", put[-1][0], "r")))
            elif do in ("tag", "files"):
                run = what[0] % len(runs)
                n, name, word = len(put), runs[run], what[1] and do  # a word of each kind
                dropped |= {m for m, _, _, w in put if word and w == word} - set(store.numbers)
                put.append((n, do, run, word))
                made = payload(n, name) if do == "files" else None
                told = box.put(message(n, name, of=name, replaces=word), made)
                assert told == box.id(name)
                assert made is None or not made.exists()
            elif do == "flush":
                assert box.flush() == (not box.pending())
            elif do == "wait":
                clock.now += what[0]
            elif box.folder:
                box = Outbox.of(box.folder, lambda about: {ABOUT["uri"]: store}[about["uri"]])
        store.fails = iter(())
        assert box.flush() and not box.pending() and box.folder is None
        assert left(places) == []

    ids = [box.id(run) for run in runs]
    assert ids[1:] == store.made  # in the order of their creation, each once
    arrived = {told.n: (told, content) for told, content in store.arrived}
    assert len(arrived) == len(store.arrived)
    assert arrived.keys() == {n for n, *_ in put} - dropped
    for kind in ("tag", "files"):
        of_kind = [n for n, k, *_ in put if k == kind and n not in dropped]
        assert [n for n in store.numbers if n in of_kind] == of_kind
    for n, kind, run, _ in put:
        if n in arrived:
            told, content = arrived[n]
            if not told.makes_run:
                assert (told.run, told.of) == (ids[run], ids[run])
            assert content == (expected(n, ids[run]) if kind == "files" else None)


def test_messages_with_files_and_without_fail_separately(places, clock):
    store = Store()
    full = Outbox(lambda m, p: store(m, p) if p is None else refuse(), "r", ABOUT)
    for n in range(6):
        full.put(message(n), payload(n) if n % 2 else None)
    assert store.numbers == [0, 2, 4]
    assert not full.flush() and isinstance(full.error, ConnectionError)
    full.send = store
    assert full.flush() and store.numbers == [0, 2, 4, 1, 3, 5]


def test_files_are_sent_though_the_rest_fails(places, clock):
    store = Store()
    box = Outbox(lambda m, p: store(m, p) if p else refuse(), "r", ABOUT)
    box.put(message(0))
    box.put(message(1), payload(1))
    assert store.numbers == [1]
    box.send = lambda m, p: refuse()
    box.put(message(2), payload(2))
    box.send = lambda m, p: store(m, p) if p else refuse()
    assert not box.flush() and store.numbers == [1, 2] and len(box.pending()) == 1


def refuse() -> None:
    raise ConnectionError("away")


def test_what_got_halfway_goes_on_from_there_in_a_later_process_too(places, clock):
    store = Store(away(True, True, True))
    box = Outbox(store, "r", ABOUT)
    box.put(message(1), payload(1))
    assert not box.flush()
    later = Outbox.of(box.folder, lambda about: store)
    assert not later.flush() and later.flush()
    [(told, content)] = store.arrived
    assert told.tries == 4 and content == expected(1, "r")


def test_a_later_process_knows_the_runs_that_the_first_one_made(places, clock):
    store = Store(away(True, False, True, True))
    box = Outbox(store, "r", ABOUT)
    name = box.put(Made("", 0))
    assert name not in store.made and box.id(name) == name
    box.put(message(1, name), payload(1, name))
    box.flush()  # the run is made, its files are not taken
    assert box.id(name) == "run0"
    told = []
    later = Outbox.of(box.folder, lambda about: told.append(about) or store)
    assert told[0]["uri"] == ABOUT["uri"] and later.about["run"] == "r"
    assert later.id(name) == "run0"
    assert later.put(message(2, name)) == "run0"
    store.fails = iter(())
    assert later.flush() and store.made == ["run0"]
    assert [m.run for m, _ in store.arrived[1:]] == ["run0"] * 2
    assert store.arrived[-1][1] == expected(1, "run0")
    assert left(places) == []


@pytest.mark.parametrize("about", [None, "", "nonsense", "[]", "{}", '{"uri": "x"}', '{"ids": 1}'])
def test_a_folder_without_a_log_is_a_value_error(places, about):
    folder = places.here / "folder"
    folder.mkdir()
    if about is not None:
        (folder / outbox.ABOUT).write_text(about)
    with pytest.raises(ValueError, match="holds no unsent log"):
        Outbox.of(folder, lambda about: Store())
    with pytest.raises(ValueError, match="holds no unsent log"):
        Outbox.of(folder / "nowhere", lambda about: Store())


@pytest.mark.parametrize("told", ['{"do": "newer", "run": "r"}', '{"do": "note", "m": 1}', "[]"])
def test_a_message_of_a_later_version_is_a_value_error_and_stays(places, clock, told):
    box = Outbox(Store(away()), "r", ABOUT)
    box.put(message(0))
    (kept,) = box.pending()
    kept.write_text(told)
    with pytest.raises(ValueError, match="no message of this version"):
        Outbox.of(box.folder, lambda about: Store()).flush()
    assert kept.read_text() == told


def test_tries_are_1_2_4_8_16_and_then_30_seconds_apart_and_messages_wait_meanwhile(places, clock):
    store, tries = Store(away()), []
    box, start = Outbox(store, "r", ABOUT), clock.now
    for n in range(125):
        before = store.tried
        box.put(message(n))
        tries += [clock.now - start] * (store.tried - before)
        clock.now += 1
    assert tries == [0, 1, 3, 7, 15, 31, 61, 91, 121]
    store.fails = iter(())
    box.put(message(125))
    assert store.arrived == []  # not yet
    clock.now += 30
    box.put(message(126))
    assert store.numbers == list(range(127))
    store.fails = away(True, True, False)
    for pause in (0, 1, 2):  # from the beginning again
        clock.now += pause
        box.put(message(127 + pause))
    assert store.numbers == [*range(127), 127, 128, 129]


def test_a_flush_does_not_wait(places, clock):
    store = Store(away(True, True, True))
    box = Outbox(store, "r", ABOUT)
    box.put(message(0))
    assert [box.flush(), box.flush(), box.flush()] == [False, False, True]
    assert box.error is None and store.numbers == [0]


def test_the_files_pause_is_not_that_of_the_rest(places, clock):
    store = Store(away(True))
    box = Outbox(store, "r", ABOUT)
    box.put(message(0), payload(0))
    box.put(message(1))
    box.put(message(2), payload(2))
    assert store.numbers == [1]


def test_only_the_last_of_what_replaces_each_other_is_kept(places, clock):
    store = Store(away(True))
    box = Outbox(store, "r", ABOUT)
    for n in range(5):
        box.put(message(n, replaces="a"), payload(n))
    box.put(message(5, replaces="b"), payload(5))
    assert len(box.pending()) == 2
    assert sorted(path.name for path in box.folder.iterdir() if path.is_dir()) == [
        path.stem for path in box.pending()
    ]
    assert box.flush() and store.numbers == [4, 5]


# Folders


def test_a_log_is_for_its_owner_only(places, clock):
    mask = os.umask(0)
    try:
        box = Outbox(Store(away()), "r", ABOUT)
        box.put(message(0), payload(0))
    finally:
        os.umask(mask)
    assert box.folder == places.here / "unsent/r"
    assert box.folder.stat().st_mode & 0o777 == 0o700


def test_nothing_is_written_while_all_arrives(places, clock):
    box = Outbox(Store(), "r", ABOUT)
    box.put(message(0))
    box.put(message(1), payload(1))
    assert box.folder is None and left(places) == []
    assert box.flush() and left(places) == []


@contextlib.contextmanager
def full(*roots: Path) -> Iterator[list[Path]]:
    """Disks where files can be begun, and cannot be written; gives those that were tried."""
    plain, tried = io.open, []

    def opened(file, mode="r", *args, **kwargs):
        if set(mode) & set("wax+") and not isinstance(file, int):
            path = Path(file).absolute()
            if any(path.is_relative_to(root) for root in roots):
                tried.append(path)
                plain(file, mode, *args, **kwargs).close()  # cut to nothing
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
        return plain(file, mode, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        patch.setattr(Path, "open", lambda self, mode="r", *a, **k: opened(self, mode, *a, **k))
        yield tried


@pytest.mark.parametrize("bad", [1, 2])
@pytest.mark.parametrize("how", ["full", "no folder"])
def test_where_a_folder_cannot_be_written_the_next_is_taken(places, clock, bad, how):
    store = Store(away())
    box = Outbox(store, "r", ABOUT)
    made = payload(0)
    broken = places.folders[:bad]
    with full(*broken) if how == "full" else contextlib.nullcontext():
        if how == "no folder":
            for folder in broken:
                folder.write_text("a file in its place")
        box.put(message(0), made)
    assert box.folder == places.folders[bad] / "r"
    assert box.folder.stat().st_mode & 0o777 == 0o700
    assert not [folder for folder in broken if folder.is_dir() and list(folder.rglob("*"))]
    store.fails = iter(())
    assert box.flush() and store.arrived[0][1] == expected(0, "r")
    assert not box.folder and not places.folders[bad].exists()


def test_what_was_kept_moves_with_the_rest_when_a_disk_fills_up(places, clock):
    store = Store(away(True, False, True, True))
    box = Outbox(store, "r", ABOUT)
    name = box.put(Made("", 0))
    box.put(message(1, name), payload(1, name))
    box.flush()
    box.put(message(2, name, of=name))
    store.fails = away()
    made = payload(3, name)
    first = box.folder
    with full(first) as tried:
        box.put(message(3, name), made)
        box.put(message(4, name))
    assert tried and box.folder == places.folders[1] / "r" and not first.exists()
    later = Outbox.of(box.folder, lambda about: store)  # it knows of the run
    store.fails = iter(())
    assert later.flush() and store.made == ["run0"]
    assert sorted(store.numbers) == [0, 1, 2, 3, 4]
    contents = {told.n: content for told, content in store.arrived}
    assert contents[1] == expected(1, "run0") and contents[3] == expected(3, "run0")
    assert left(places) == []


def test_a_full_disk_does_not_cost_the_message_that_fails_again(places, clock):
    store = Store(away())
    box = Outbox(store, "r", ABOUT)
    for n in range(3):
        box.put(message(n), payload(n) if n == 1 else None)
    with full(box.folder):
        assert not box.flush()
        clock.now += 100
        box.put(message(3))
    store.fails = iter(())
    assert box.flush() and sorted(store.numbers) == [0, 1, 2, 3]


def test_a_full_disk_makes_no_run_twice(places, clock):
    store = Store(away(True))
    box = Outbox(store, "r", ABOUT)
    name = box.put(Made("", 0))
    with full(box.folder):
        clock.now += 100
        assert box.put(message(1, name)) == "run0"
        box.flush()
    box.put(message(2, name))
    assert box.flush() and store.made == ["run0"] and store.numbers == [0, 1, 2]
    assert left(places) == []


@pytest.mark.parametrize("then", ["room", "another folder"])
def test_a_full_disk_does_not_part_a_later_process_from_the_log(places, clock, then):
    store = Store(away(True, False))
    box = Outbox(store, "r", ABOUT)
    name = box.put(Made("", 0))
    folder = box.folder
    with full(folder):
        clock.now += 100
        box.put(message(1, name))  # now the run is there, and its id cannot be written down
        store.fails = away()
        if then == "another folder":
            box.put(message(2, name))
    box.put(message(3, name))
    box.put(message(4, name))  # this one was not even tried
    later = Outbox.of(box.folder, lambda about: store)
    store.fails = iter(())
    assert later.flush() and store.made == ["run0"]
    assert store.numbers == [0, 1, *([2] if then == "another folder" else []), 3, 4]
    assert {told.run for told, _ in store.arrived[1:]} == {"run0"}


def test_a_full_disk_costs_no_file_of_a_payload_that_tells_of_a_run(places, clock):
    store = Store(away(True))
    box = Outbox(store, "r", ABOUT)
    name = box.put(Made("", 0))
    assert box.flush()
    made = payload(1, name)
    with full(places.temporary):
        box.put(message(1, name), made)
    assert box.flush()
    assert store.arrived[-1][1] == expected(1, "run0")


def test_where_nothing_can_be_written_the_error_says_so_and_what_was_kept_stays(places, clock):
    store = Store(away())
    box = Outbox(store, "r", ABOUT)
    box.put(message(0), payload(0))
    with full(*places), pytest.raises(Unsent, match="no folder can keep") as error:
        box.put(message(1))
    assert "\n" not in str(error.value)
    assert not any((folder / "r").exists() for folder in places.folders[1:])  # a part of it
    assert not box.flush()  # says so, and does not stumble over what is half there
    store.fails = iter(())
    assert box.flush() and store.numbers == [0]
    assert left(places) == []


def test_a_move_that_fails_halfway_leaves_no_copy(places, clock):
    store = Store(away())
    box = Outbox(store, "r", ABOUT)
    for n in range(3):
        box.put(message(n), payload(n))
    with full(box.folder, places.folders[1] / "r/000003"):
        box.put(message(3))
    assert box.folder == places.folders[2] / "r"
    assert not (places.folders[1] / "r").exists()
    store.fails = iter(())
    assert box.flush() and store.numbers == [3, 0, 1, 2]


def test_a_working_folder_that_was_removed_is_no_obstacle(places, clock):
    gone = places.here / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    store = Store(away())
    box = Outbox(store, "r", ABOUT)
    box.put(message(0), payload(0))
    assert box.folder == places.folders[1] / "r"
    store.fails = iter(())
    assert box.flush() and store.numbers == [0]


def test_what_others_left_is_left_alone(places, clock):
    other = places.here / "unsent/other"
    other.mkdir(parents=True)
    (other / "000001.json").write_text("theirs")
    before = files(places.here)
    store = Store(away())
    box = Outbox(store, "r", ABOUT)
    box.put(message(0), payload(0))
    store.fails = iter(())
    assert box.flush()
    assert files(places.here) == before and os.listdir(places.here / "unsent") == ["other"]


def test_what_an_earlier_process_left_of_the_same_run_is_left_alone(places, clock):
    store = Store(away())
    earlier = Outbox(store, "r", ABOUT)
    earlier.put(message(0), payload(0))
    earlier.put(message(1))
    box = Outbox(store, "r", ABOUT)
    for n in range(2, 5):
        box.put(message(n))
    assert box.folder != earlier.folder
    store.fails = iter(())
    assert box.flush() and store.numbers == [2, 3, 4]
    assert Outbox.of(earlier.folder, lambda about: store).flush()
    assert sorted(store.numbers) == [0, 1, 2, 3, 4] and left(places) == []


# Scratch


def fill(made: Path) -> None:
    (made / "a").mkdir()
    (made / "a/file").write_text("whole")


@pytest.mark.parametrize("bad", range(3))
def test_scratch_falls_over_to_where_there_is_room(places, bad):
    roots = [places.temporary, places.here / "unsent", places.home / "polyreg-unsent"]
    with full(*roots[:bad]) as tried:
        made = scratch(fill)
    assert len(tried) == (0, 1, 3)[bad]  # in the last, a folder of the temporary one's is too
    assert made.parent == roots[bad] and made.stat().st_mode & 0o777 == 0o700
    assert files(made) == {"a/file": b"whole"}
    shutil.rmtree(made)
    assert not [path for path in left(places) if Path(path).name not in outbox_folders(places)]


def outbox_folders(places: Places) -> set[str]:
    return {folder.name for folder in places.folders}


def test_scratch_where_there_is_no_room_anywhere_raises_and_leaves_nothing(places):
    with full(*places), pytest.raises(OSError, match="No space left"):
        scratch(fill)
    assert not [path for path in left(places) if Path(path).name not in outbox_folders(places)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_scratch_is_not_tried_elsewhere_for_what_is_no_matter_of_room(places, error):
    tried = []

    def bad(made: Path) -> None:
        tried.append(made)
        fill(made)
        raise error

    with pytest.raises(error):
        scratch(bad)
    assert len(tried) == 1 and left(places) == []


def test_scratch_needs_no_working_folder_and_no_temporary_one(places, monkeypatch):
    gone = places.here / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert scratch(fill).parent == places.temporary

    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert scratch(fill).parent == places.folders[2]
