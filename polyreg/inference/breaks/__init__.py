"""Fits in one variable by their columns: where y turns, breaks off, or has a pole."""

from polyreg.inference.breaks.breaks import Breaks, breaks, turning_points
from polyreg.inference.breaks.told import described

__all__ = ["Breaks", "breaks", "described", "turning_points"]
