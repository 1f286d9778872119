"""Where compiled code is kept, and what happens without a compiler, in new interpreters."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from polyreg.cluster.source import archive
from tests.conftest import ROOT

# Trains long enough to be compiled, by the polyreg of the first argument.
TRAIN = """
import sys
import zipfile
sys.path.insert(0, sys.argv[1])
from polyreg.sgd.descend import descend
from polyreg.sgd.kernel import steps
from polyreg.sgd.training import Training
from polyreg import TrainConfig, compiling
training = Training(TrainConfig(noise=1.0, max_steps=1000, tolerance=1e-9))
for _ in descend(training):
    pass
stats = compiling.compiled(steps).stats
print(sum(stats.cache_hits.values()), stats.cache_path, training.curve.gap[-1])
"""


def trained(polyreg: Path, home: Path) -> tuple[int, Path, str]:
    """Hits of the cache, its folder, and the last gap."""
    environment = os.environ | {"HOME": str(home)}
    for name in ("PYTHONPATH", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    command = [sys.executable, "-c", TRAIN, str(polyreg)]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    hits, folder, gap = done.stdout.split()
    return int(hits), Path(folder), gap


@pytest.mark.parametrize("kind", ["a folder that cannot be written", "a zip, as on Ray"])
def test_what_was_compiled_is_found_again_though_it_cannot_lie_beside_the_source(kind, tmp_path):
    place = tmp_path / "polyreg.zip"
    place.write_bytes(archive(ROOT / "polyreg"))
    if kind.startswith("a folder"):
        place = tmp_path / "installed"
        with zipfile.ZipFile(tmp_path / "polyreg.zip") as file:
            file.extractall(place)
        (place / "polyreg/sgd/__pycache__").write_text("in the way, for root too")
    home = tmp_path / "home"
    home.mkdir()
    first, folder, gap = trained(place, home)
    assert first == 0 and home in folder.parents
    assert trained(place, home) == (1, folder, gap)


def test_where_it_can_be_kept_nowhere_it_is_compiled_all_the_same(tmp_path):
    place, home = tmp_path / "polyreg.zip", tmp_path / "home"
    place.write_bytes(archive(ROOT / "polyreg"))
    home.mkdir()
    (home / ".cache").write_text("in the way")
    hits, folder, gap = trained(place, home)
    assert hits == 0 and str(folder) == "None" and float(gap) > 0


def test_the_main_job_imports_no_numba_and_a_numba_that_fails_is_one_note(folder):
    (folder / "numba").mkdir()
    (folder / "numba/__init__.py").write_text("raise ImportError('its llvmlite is another')")
    run = [sys.executable, "-m", "experiments.train", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    notes = []
    for options in ([], ["--noise", "1", "--max-steps", "300", "--tolerance", "1e-9"]):
        done = subprocess.run([*run, *options], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        notes.append([line for line in done.stderr.splitlines() if "numba" in line])
    assert notes[0] == [] and len(notes[1]) == 1 and "pip install numba" in notes[1][0]
