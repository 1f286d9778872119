"""The examples of docs/ and of the docstrings that log, run as they stand."""

import doctest
import importlib
import re
import shlex
import shutil

import mlflow
import pytest
from click.testing import CliRunner

from experiments.__main__ import main
from tests.conftest import ROOT


@pytest.mark.parametrize("page, most", [("python.md", 20), ("measured.md", 4), ("groups.md", 6)])
def test_a_pages_examples_print_what_it_says(store, page, most):
    (store / "docs").mkdir()
    for name in ("calibration.csv", "standards.csv", "sensors.csv"):
        shutil.copy(ROOT / "docs" / name, store / "docs")
    found = doctest.testfile(str(ROOT / "docs" / page), module_relative=False)
    assert found.attempted > most and found.failed == 0


@pytest.mark.parametrize("module", ["api.log", "tracking.models", "tracking.start"])
def test_examples_that_write_to_a_store_print_what_they_say(store, module):
    try:
        found = doctest.testmod(importlib.import_module(f"polyreg.{module}"))
    finally:
        mlflow.set_tracking_uri(None)
    assert found.attempted > 3 and found.failed == 0


def test_the_five_commands_of_a_calibration_print_what_the_page_says(store):
    (store / "docs").mkdir()
    for name in ("standards.csv", "readings.csv"):
        shutil.copy(ROOT / "docs" / name, store / "docs")
    page = (ROOT / "docs" / "measured.md").read_text()
    blocks = re.findall(r"```(sh|)\n(.*?)```", page, flags=re.DOTALL)
    commands = [line for kind, block in blocks if kind for line in block.splitlines()]
    assert len(commands) == 5 and commands.pop() == "mlflow ui"
    said = run = ""
    for command in commands:
        if "<run id>" in command:
            command = command.replace("<run id>", run)
        ran = CliRunner().invoke(main, shlex.split(command)[1:])
        assert ran.exit_code == 0, ran.output
        if told := re.search(r"^run +(\w+)$", ran.output, flags=re.MULTILINE):
            run = told[1]
        said += ran.output
    said += (store / "found.csv").read_text()
    printed = [line.split() for kind, block in blocks if not kind for line in block.splitlines()]
    assert len(printed) > 30
    assert [line for line in printed if line not in map(str.split, said.splitlines())] == []


def test_a_fit_with_a_column_of_words_prints_what_its_page_says(store):
    (store / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "yield.csv", store / "docs")
    page = (ROOT / "docs" / "fit.md").read_text()
    section = page[page.index("## Columns of words") :].partition("\n## ")[0]
    [command] = re.findall(r"^polyreg fit .*$", section, flags=re.MULTILINE)
    ran = CliRunner().invoke(main, shlex.split(command)[1:])
    assert ran.exit_code == 0, ran.output
    [block] = re.findall(r"```\n(.*?)```", section.partition(command)[2][4:], flags=re.DOTALL)
    printed = block.splitlines()
    assert len(printed) > 10 and [line for line in printed if line not in ran.output] == []


def test_a_fit_of_many_curves_prints_what_its_page_says(store):
    (store / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "sensors.csv", store / "docs")
    page = (ROOT / "docs" / "groups.md").read_text()
    said = ""
    for command in re.findall(r"^polyreg fit .*$", page, flags=re.MULTILINE):
        ran = CliRunner().invoke(main, shlex.split(command)[1:])
        assert ran.exit_code == 0, ran.output
        said += ran.output
    blocks = re.findall(r"```(sh|python|)\n(.*?)```", page, flags=re.DOTALL)
    printed = [line for kind, block in blocks if not kind for line in block.splitlines()]
    assert len(printed) > 30 and [line for line in printed if line not in said] == []
