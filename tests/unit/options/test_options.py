"""Options made from a dataclass: bounds, groups, the command `polyreg`, errors in one line."""

import inspect
import pickle
import re
import shlex
import subprocess
import sys
from dataclasses import fields

import click
import pytest
from click.testing import CliRunner

from experiments import compare, fit, predict, sweep, train
from experiments.__main__ import EXPERIMENTS, main
from polyreg import errors
from polyreg.config import FitConfig, SweepConfig, TrainConfig
from polyreg.config_reading import CompareConfig, PredictConfig
from polyreg.options import (
    GROUPS,
    Integer,
    IntegerOrAuto,
    ListOf,
    Number,
    NumberOrAuto,
    bounds,
    click_type,
    from_params,
    grouped,
    is_within,
    params,
)

COMMANDS = {
    TrainConfig: train.main,
    FitConfig: fit.main,
    SweepConfig: sweep.main,
    PredictConfig: predict.main,
    CompareConfig: compare.main,
}
GIVEN = {
    FitConfig: {"data": "a.csv", "target": "y"},
    PredictConfig: {"data": "a.csv", "model": "runs:/a/model"},
}
ERRORS = [error for _, error in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize(
    "kind, words, inside, outside",
    [
        (Integer(0, 20), "0 to 20", [0, 20], [-1, 21, 2.5, "3", None, float("nan")]),
        (Integer(1, 10**6), "1 to 10^6", [1, 10**6], [0, 10**6 + 1]),
        (Integer(0), "0 or more", [0, 9 * 10**40], [-1]),
        (Number(0, 1e15), "0 to 1e+15", [0, 0.0, 1e15], [-5e-324, 1.1e15, float("nan"), "1"]),
        (Number(0, 1, max_open=True), "at least 0, below 1", [0.0, 1 - 2**-53], [1.0, 1]),
        (Number(0, 1, min_open=True, max_open=True), "between 0 and 1", [0.5], [0, 1]),
        (NumberOrAuto(0, 1e15, min_open=True), "a positive number up to 1e+15", ["auto", 1], [0.0]),
        (
            Number(0, float("inf"), min_open=True, max_open=True),
            "a positive finite number",
            [5e-324, 1e308],
            [0, float("inf"), float("nan")],
        ),
        (IntegerOrAuto(0, 40), "0 to 40", ["auto", 40], ["", "aut", 41]),
        (ListOf(Integer(0, 20), "d1,..."), "each 0 to 20", [], []),
        (click.STRING, "", ["any"], []),
    ],
    ids=lambda value: value.name if isinstance(value, click.ParamType) else str(value),
)
def test_a_range_is_said_in_words_and_holds_what_is_in_it(kind, words, inside, outside):
    assert bounds(kind) == words
    assert all(is_within(kind, value) for value in inside)
    assert not any(is_within(kind, value) for value in outside)


@pytest.mark.parametrize("config_class", COMMANDS, ids=lambda c: c.__name__)
def test_help_shows_every_option_with_its_default_and_bounds_in_its_group(config_class):
    shown = CliRunner().invoke(COMMANDS[config_class], ["--help"], terminal_width=1000).output
    shown = re.sub(r"\n {8,}", "  ", shown)  # the meaning of a long option has its own line
    sections = dict(
        part.split(":\n", 1) for part in shown.split("\n\n")[-len(GROUPS) :] if ":\n" in part
    )
    assert list(sections) == [group for group in GROUPS if group in sections]
    for f in fields(config_class):
        start = f"  --{f.name.replace('_', '-')} "
        [line] = [line for line in shown.splitlines() if line.startswith(start)]
        assert line in sections[f.metadata["group"]].splitlines(), f.name
        assert f.metadata["help"] in line
        assert bounds(click_type(f)) in line.rpartition("[")[2]


@pytest.mark.parametrize("config_class", COMMANDS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("width", [60, 80])
def test_help_fits_the_terminal_but_for_what_is_to_be_copied(config_class, width):
    result = CliRunner().invoke(COMMANDS[config_class], ["--help"], terminal_width=width)
    copied = ("python -m ", "mlflow run ", "--basis [", "--precision [", "--interval [")
    long = [line for line in result.output.splitlines() if len(line) > width]
    assert [line for line in long if not line.strip().startswith(copied)] == []


def test_no_option_of_a_config_is_without_a_group():
    for config_class, command in COMMANDS.items():
        assert all(f.metadata["group"] in GROUPS[:-1] for f in fields(config_class))
        assert "Other" not in grouped(command)


@pytest.mark.parametrize(
    "config_class, option, value",
    [
        (TrainConfig, "degree", 21),
        (TrainConfig, "noise", -0.5),
        (TrainConfig, "learning_rate", 0.0),
        (TrainConfig, "momentum", 1.0),
        (TrainConfig, "seed", -1),
        (TrainConfig, "register_as", "a/b"),
        (SweepConfig, "address", "nowhere"),
        (SweepConfig, "trials", -1),
        (FitConfig, "degree", 41),
        (FitConfig, "max_degree", 41),
        (FitConfig, "level", 1.0),
        (FitConfig, "target", ""),
        (PredictConfig, "out", "a.txt"),
        (CompareConfig, "last", 51),
    ],
)
def test_python_is_refused_in_the_words_of_the_command_line(config_class, option, value):
    options = GIVEN.get(config_class, {}) | {option: value}
    with pytest.raises(errors.PolyregError) as refused:
        config_class(**options)
    said = str(refused.value)
    assert len(said.splitlines()) == 1 and said.startswith(f"--{option.replace('_', '-')} ")
    line = [f"--{name.replace('_', '-')}={given}" for name, given in options.items()]
    result = CliRunner().invoke(COMMANDS[config_class], line)
    assert result.exit_code == 2
    assert result.stderr == f"Error: {said}\n"


@pytest.mark.parametrize(
    "options, said",
    [
        ({"degree": "three"}, "--degree must be 0 to 20; .*; got 'three'"),
        ({"degree": 2.5}, "--degree must be 0 to 20; .*; got 2.5"),
        ({"basis": "fourier"}, "--basis must be one of auto, monomial, .*; got 'fourier'"),
        ({"noise": None}, "--noise is a standard deviation .*; got None"),
    ],
)
def test_python_values_of_another_kind_are_refused_too(options, said):
    with pytest.raises(errors.PolyregError, match=said):
        TrainConfig(**options)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_a_polyreg_error_of_one_line_that_travels(error):
    raised = error("one\ntwo")
    assert isinstance(raised, errors.PolyregError) and isinstance(raised, ValueError)
    assert str(raised) == "one two"
    there = pickle.loads(pickle.dumps(raised))  # to a machine of a cluster
    assert type(there) is error and str(there) == "one two"


def test_errors_stay_what_they_were_besides():
    assert issubclass(errors.Diverged, ArithmeticError)
    assert issubclass(errors.NearlySingular, ArithmeticError)
    assert issubclass(errors.ClusterLost, RuntimeError)
    assert issubclass(errors.NotNow, errors.BadTable)


# The command `polyreg`.


def test_help_lists_every_experiment_in_one_line_without_importing_it():
    code = (
        "import sys, atexit\n"
        "heavy = {'torch', 'mlflow', 'numpy', 'experiments.fit', 'experiments.compare'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules))))\n"
        "from experiments.__main__ import main\n"
        "main(['--help'], terminal_width=80)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, imported = done.stdout.splitlines()
    assert imported == "[]"
    for name in EXPERIMENTS:
        [line] = [line for line in lines if line.startswith(f"  {name} ")]
        assert line.endswith("?") and len(line) <= 80


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_of_polyreg_is_the_one_of_its_module(name):
    result = CliRunner().invoke(main, [name, "--help"], prog_name="polyreg")
    assert result.exit_code == 0 and result.output.startswith(f"Usage: polyreg {name} [OPTIONS]")
    alone = CliRunner().invoke(
        main.get_command(None, name), ["--help"], prog_name=f"polyreg {name}"
    )
    assert result.output == alone.output


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["fitt"], "No such command 'fitt'"),
        (["--nope"], "No such option"),
        (["train", "--degree", "21"], "--degree must be 0 to 20; above that"),
        (["train", "--degre", "3"], "No such option"),
        (["fit", "--target", "y"], "Missing option '--data'"),
    ],
)
def test_errors_are_one_line_and_exit_code_2_through_polyreg(arguments, said):
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr and result.stderr.count("\n") == 1


def test_without_arguments_polyreg_shows_its_help():
    alone = CliRunner().invoke(main, [])
    assert alone.exit_code == 0 and alone.output == CliRunner().invoke(main, ["--help"]).output


def test_polyreg_says_its_version():
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0 and result.output.startswith("polyreg 0.")


def test_params_that_mlflow_run_logged_in_quotes_are_read_without_them():
    config = TrainConfig(data="my file.csv", target="y")
    stored = {name: shlex.quote(value) for name, value in params(config).items()}
    assert stored["register_as"] == "''" and stored["data"] == "'my file.csv'"
    assert from_params(TrainConfig, stored) == config
