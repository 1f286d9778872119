"""Exact least squares on a table, from one pass of sums."""

from polyreg.least_squares.origin import Origin
from polyreg.least_squares.problem import Passes, Problem, fit, run, surveyed

__all__ = ["Origin", "Passes", "Problem", "fit", "run", "surveyed"]
