"""The source that workers are given: the same bytes for the same modules, and never another's."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from polyreg.cluster import source

WORKER = """
import pickle, runpy, sys
import operator
work = runpy.run_path(sys.argv[1])["work"]
sources = open(sys.argv[2], "rb").read()
call = pickle.dumps(operator.methodcaller("__call__"))
for _ in range(2):
    found = work(sources, b"cours.inner\\nanswer\\n.", pickle.dumps(20))
print(pickle.loads(found), sys.modules["ours"].__file__)
"""


@pytest.fixture
def package(tmp_path) -> Path:
    folder = tmp_path / "here" / "ours"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("STEP = 1\n")
    (folder / "inner.py").write_text(
        "from ours import STEP\n\ndef answer(x):\n    return (x + STEP,)\n"
    )
    (folder / "note.txt").write_text("no module")
    return folder


def worked(sources: bytes, tmp_path: Path) -> tuple[int, Path]:
    """What a process without the package makes of a call, and which file it came from."""
    (shared := tmp_path / "tmp").mkdir(exist_ok=True)
    (tmp_path / "sources").write_bytes(sources)
    command = [sys.executable, "-c", WORKER, source.__file__, str(tmp_path / "sources")]
    environment = {"TMPDIR": str(shared), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, module = done.stdout.split()
    return int(answer), Path(module).parent.parent


def test_the_archive_has_the_modules_alone_and_the_same_bytes_each_time(package):
    first = source.archive(package)
    (package / "inner.py").touch()
    assert source.archive(package) == first
    (package / "inner.py").write_text("")
    assert source.archive(package) != first
    assert b"note.txt" not in first


def test_a_worker_imports_what_it_was_given(package, tmp_path):
    answer, archive = worked(source.archive(package), tmp_path)
    assert answer == 21 and archive.parent == tmp_path / "tmp"
    assert [f.name for f in (tmp_path / "tmp").iterdir()] == [archive.name]  # one for all workers


def test_newer_sources_are_another_file(package, tmp_path):
    worked(source.archive(package), tmp_path)
    (package / "__init__.py").write_text("STEP = 5\n")
    assert worked(source.archive(package), tmp_path)[0] == 25


@pytest.mark.parametrize("planted", ["another's content", "a link"])
def test_what_somebody_else_put_there_is_not_run(package, tmp_path, planted):
    sources = source.archive(package)
    _, archive = worked(sources, tmp_path)
    (package / "__init__.py").write_text("STEP = 1000\n")
    theirs = source.archive(package)
    if planted == "a link":
        (tmp_path / "theirs.zip").write_bytes(theirs)
        archive.unlink()
        archive.symlink_to(tmp_path / "theirs.zip")
    else:
        archive.write_bytes(theirs)
    assert worked(sources, tmp_path)[0] == 21


def test_a_task_of_several_outputs_gives_each_pickled(monkeypatch):
    monkeypatch.syspath_prepend("polyreg-source-of-this-process")
    done = source.work(b"", pickle.dumps(divmod), pickle.dumps(7), pickle.dumps(2))
    assert [pickle.loads(one) for one in done] == [3, 1]
