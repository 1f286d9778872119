import subprocess
import sys
import time
from dataclasses import fields

import pytest

from polyreg.config import TrainConfig
from polyreg.config import params as params_of
from polyreg.text import text


def test_a_value_is_spelled_the_same_however_it_was_typed():
    typed = TrainConfig(noise=float("0.0"), learning_rate=float("1e-3"), coefficients=(1.0, -2.5))
    params = params_of(typed)
    assert params["noise"] == "0"
    assert params["learning_rate"] == "0.001"
    assert params["coefficients"] == "1,-2.5"
    assert text(float(params["tolerance"])) == params["tolerance"] == "0.001"


def test_every_option_is_a_param():
    assert list(params_of(TrainConfig())) == [f.name for f in fields(TrainConfig)]


@pytest.mark.parametrize(
    "options, family",
    [
        ({}, "hermite"),
        ({"inputs": "uniform"}, "legendre"),
        ({"inputs": "uniform", "basis": "monomial"}, "monomial"),
    ],
)
def test_auto_is_the_family_orthonormal_under_the_inputs(options, family):
    assert TrainConfig(**options).family == family


@pytest.mark.parametrize(
    "options, said",
    [
        ({"degree": -1}, "-1"),
        ({"degree": 21}, "0 to 20; above that"),
        ({"batch_size": 0}, "got 0"),
        ({"coefficients": (float("nan"),)}, "nan"),
        ({"coefficients": ()}, "1 to 21"),
        ({"coefficients": (1e300,)}, "1e+300"),
        ({"noise": -0.5}, "-0.5"),
        ({"learning_rate": 0.0}, "got 0"),
        ({"learning_rate": float("nan")}, "nan"),
        ({"learning_rate": 1e300}, "1e+300"),
        ({"momentum": 1.0}, "got 1"),
        ({"momentum": 0.9, "optimizer": "adam"}, "Adam has its own"),
        ({"tolerance": 0.0}, "got 0"),
        ({"max_steps": 0}, "got 0"),
        ({"seed": -1}, "-1"),
    ],
)
def test_a_value_that_makes_no_run_is_refused_with_the_value_and_the_way_out(options, said):
    with pytest.raises(ValueError, match=r"must|belongs|is a") as refused:
        TrainConfig(**options)
    assert said in str(refused.value)


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
