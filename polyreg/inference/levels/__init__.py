"""Tests of columns of words: whether their levels differ, and whether their curves do."""

from polyreg.inference.levels.tests import as_frame, base_levels, level_lines, level_tests

__all__ = ["as_frame", "base_levels", "level_lines", "level_tests"]
