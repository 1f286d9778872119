"""Exact least squares on a table, from one pass of sums."""

from polyreg.least_squares.fitting import Passes, fit, reading_of, replicated, run, surveyed
from polyreg.least_squares.origin import Origin
from polyreg.least_squares.problem import Problem

__all__ = ["Origin", "Passes", "Problem", "fit", "reading_of", "replicated", "run", "surveyed"]
