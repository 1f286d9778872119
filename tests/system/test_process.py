"""Whether a process is gone: told only where it can be told, whatever /proc and ps say."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from polyreg.tracking import owner
from polyreg.tracking.owner import identity, is_gone
from tests.conftest import ROOT

# A process that says who it is, by our own identity(), and waits for its end.
CHILD = """
import json, runpy, sys
name = bytes.fromhex(sys.argv[1])
if name:
    open("/proc/self/comm", "wb").write(name)
print(json.dumps(runpy.run_path(sys.argv[2])["identity"]()), flush=True)
sys.stdin.read()
"""
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")


@contextmanager
def child(name: bytes = b"") -> Iterator[tuple[subprocess.Popen, dict[str, str]]]:
    command = [sys.executable, "-c", CHILD, name.hex(), owner.__file__]
    own = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=own) as running:
        try:
            line = running.stdout.readline()
            assert line, "it did not come to say who it is"
            yield running, json.loads(line)
        finally:
            running.kill()


@pytest.fixture(scope="module")
def living() -> Iterator[tuple[subprocess.Popen, dict[str, str]]]:
    with child() as made:
        yield made


@pytest.fixture(scope="module")
def ended() -> dict[str, str]:
    with child() as (_, tags):
        pass
    return tags


@pytest.fixture
def without_proc(tmp_path, monkeypatch) -> Iterator[None]:
    """A system without /proc."""
    monkeypatch.setattr(owner, "PROC", tmp_path / "proc")
    owner._boot_id.cache_clear()
    yield
    owner._boot_id.cache_clear()


@pytest.fixture
def without_ps(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_a_child_is_there_until_it_has_ended(living, ended):
    _, tags = living
    assert is_gone(tags) is False
    assert is_gone(ended) is True


@linux
def test_the_start_is_the_systems():
    began = time.clock_gettime(time.CLOCK_BOOTTIME)
    with child() as (running, tags):
        assert tags["process_id"] == str(running.pid)
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
    start = int(tags["process_start"].partition("@")[0]) / os.sysconf("SC_CLK_TCK")
    assert began - 0.1 <= start <= now


@linux
def test_a_zombie_is_gone():
    with child() as (running, tags):
        running.stdin.close()
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)  # ended, and not taken note of
        assert Path(f"/proc/{running.pid}").exists()
        assert is_gone(tags) is True


def test_an_id_that_another_process_has_now_is_gone(ended):
    assert is_gone(ended | {"process_id": str(os.getpid())}) is True


def test_an_id_of_which_no_start_is_known_is_gone_only_where_nothing_has_it(living, ended):
    _, tags = living
    assert is_gone(tags | {"process_start": ""}) is False
    assert is_gone({k: v for k, v in tags.items() if k != "process_start"}) is False
    assert is_gone(ended | {"process_start": ""}) is True


@pytest.mark.parametrize("where", [
    {"host": "elsewhere"},
    {"host": ""},
    {"machine": "0" * 16},
    {"machine": ""},
    {"host": "elsewhere", "boot_id": "another"},
    {"machine": "0" * 16, "boot_id": "another"},
], ids=str)  # fmt: skip
def test_of_another_host_or_machine_it_cannot_be_told(ended, where):
    if where.get("machine") == identity()["machine"]:
        pytest.skip("a machine without an id")
    assert is_gone(ended | where) is False


def test_without_the_tag_machine_the_host_alone_counts(ended):
    assert is_gone({k: v for k, v in ended.items() if k != "machine"}) is True


def test_what_ran_before_the_last_boot_is_gone(living):
    _, tags = living
    assert is_gone(tags | {"boot_id": "another"}) is True
    assert is_gone(tags | {"boot_id": ""}) is False


@linux
def test_of_another_namespace_it_cannot_be_told(ended):
    ours = ended["process_start"].partition("@")[2]
    assert ours == os.readlink("/proc/self/ns/pid")
    there = ended["process_start"].replace(ours, "pid:[1]")
    assert is_gone(ended | {"process_start": there}) is False
    assert is_gone(ended | {"process_start": there, "process_id": str(os.getpid())}) is False


@pytest.mark.parametrize(
    "number", ["", " ", "x", "-1", "1.5", "1e3", "²", "0x10", "9" * 5000], ids=lambda n: n[:5]
)
def test_an_id_that_is_none_cannot_be_told(ended, number):
    assert is_gone(ended | {"process_id": number}) is False


@pytest.mark.parametrize("number", ["99999999", "9" * 10, "9" * 19, "9" * 400], ids=len)
def test_an_id_too_large_for_a_process_is_no_error(ended, number):
    assert is_gone(ended | {"process_id": number}) in (True, False)


@linux
@pytest.mark.parametrize("name", [
    b"two words", b") Z 1 1 (x", b"a) S 1", b"((", b"))", b"a\nb c", b"\xff\xfe",
    "abcdefghijklmnö".encode(),  # cut in the middle of its last letter
], ids=repr)  # fmt: skip
def test_a_process_may_have_any_name(name):
    with child(name) as (running, tags):
        assert name[:15] in Path(f"/proc/{running.pid}/stat").read_bytes()
        assert is_gone(tags) is False
        assert is_gone(tags | {"process_start": "1@" + tags["process_start"].split("@")[1]}) is True
    assert is_gone(tags) is True


@linux
@pytest.mark.parametrize("how", ["hidden", "not ours to read", "not ours to signal"])
def test_a_process_that_proc_hides_is_not_gone(living, ended, how, tmp_path, monkeypatch):
    """As with hidepid=1 and 2, of others' processes."""
    running, tags = living
    (tmp_path / "self").symlink_to("/proc/self")
    (tmp_path / "sys").symlink_to("/proc/sys")
    if how == "not ours to read":
        (tmp_path / f"{running.pid}/stat").mkdir(parents=True)  # an OSError of another kind
    monkeypatch.setattr(owner, "PROC", tmp_path)
    if how == "not ours to signal":

        def refuse(number: int, blow: int) -> None:
            assert (number, blow) == (running.pid, 0)
            raise PermissionError

        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", refuse)
            assert is_gone(tags) is False
    assert is_gone(tags) is False
    assert is_gone(ended) is True


@linux
def test_a_boot_that_cannot_be_read_now_ends_nothing(living, tmp_path, monkeypatch):
    _, tags = living
    for name in os.listdir("/proc"):
        if name == "self" or name.isdecimal():
            (tmp_path / name).symlink_to(f"/proc/{name}")
    monkeypatch.setattr(owner, "PROC", tmp_path)
    owner._boot_id.cache_clear()
    try:
        assert is_gone(tags) is False
    finally:
        owner._boot_id.cache_clear()


# Without /proc


def ask_ps(number: int, tags: dict[str, str]) -> dict[str, str]:
    return tags | {"process_id": str(number), "process_start": ""}


@pytest.mark.skipif(not shutil.which("ps"), reason="no ps")
def test_without_proc_ps_tells(living, ended, without_proc):
    tags = identity()
    assert tags["process_start"] and is_gone(tags) is False
    assert is_gone(ask_ps(living[0].pid, tags)) is False
    assert is_gone(ask_ps(int(ended["process_id"]), tags)) is True
    assert is_gone(tags | {"process_start": "Thu Jan  1 00:00:00 1970"}) is True


@pytest.mark.skipif(not shutil.which("ps"), reason="no ps")
def test_without_proc_a_zombie_is_gone(without_proc):
    tags = identity()
    with child() as (running, _):
        assert is_gone(ask_ps(running.pid, tags)) is False
        running.stdin.close()
        os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(ask_ps(running.pid, tags)) is True


@pytest.mark.skipif(not shutil.which("ps"), reason="no ps")
def test_without_proc_the_start_is_the_same_in_every_time_zone(without_proc, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    tags = identity()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert is_gone(tags) is False


def test_without_proc_and_ps_nothing_can_be_told(ended, without_proc, without_ps):
    tags = identity()
    assert is_gone(tags) is False
    assert is_gone(ask_ps(int(ended["process_id"]), tags)) is False
    assert is_gone(tags | {"process_start": "Thu Jan  1 00:00:00 1970"}) is False


def test_a_ps_that_hangs_tells_nothing(without_proc, monkeypatch):
    tags = identity()

    def hang(command, timeout=None, **how):
        assert timeout and timeout <= 10
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    assert is_gone(tags) is False
    assert identity()["process_id"] == tags["process_id"]
