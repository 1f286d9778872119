"""The exact least-squares answer on a table, from one pass of sums."""

from polyreg.least_squares.problem import Passes, Problem, fit, run

__all__ = ["Passes", "Problem", "fit", "run"]
