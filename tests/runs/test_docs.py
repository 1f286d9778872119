"""The examples of docs/ and of the docstrings that log, run as they stand."""

import doctest
import importlib
import shutil

import mlflow
import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize("page, most", [("python.md", 20), ("measured.md", 4)])
def test_a_pages_examples_print_what_it_says(store, page, most):
    (store / "docs").mkdir()
    for name in ("calibration.csv", "standards.csv"):
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
