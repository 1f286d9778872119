"""What a new interpreter imports, and how long that takes."""

import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

ASKED = ("--data", "calibration.csv", "--target", "y")


@pytest.mark.parametrize("arguments", [["--help"], ["--degree", "-1"], ["--degre", "3"]])
def test_help_and_a_wrong_option_import_neither_torch_nor_mlflow(arguments):
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(sorted({'torch', 'mlflow', 'numpy'} & set(sys.modules))))\n"
        "from experiments.train import main\n"
        f"main({arguments})"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", time.perf_counter() - start
    assert done.returncode == (0 if arguments == ["--help"] else 2)


@pytest.mark.parametrize("arguments", [["--help"], ["--degree", "-1"], ["--degre", "3"]])
def test_help_and_a_wrong_option_of_a_fit_import_neither_torch_nor_mlflow(arguments):
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(sorted({'torch', 'mlflow', 'numpy'} & set(sys.modules))))\n"
        "from experiments.fit import main\n"
        f"main({[*ASKED, *arguments]})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_of_a_comparison_waits_for_neither_torch_nor_mlflow(folder):
    code = (
        "import sys; from experiments.compare import main; main(['--help'], standalone_mode=False);"
        "assert not {'torch', 'mlflow', 'matplotlib', 'numpy'} & set(sys.modules)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--filter" in done.stdout and time.perf_counter() - start < 2
