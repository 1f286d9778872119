"""The learning curve of SGD and Adam, step by step, beside its exact optimum."""

from polyreg.sgd.curve import Chunk, Curve
from polyreg.sgd.kernel import Compiled
from polyreg.sgd.loops import Loop, Scan
from polyreg.sgd.rates import stable_rate
from polyreg.sgd.training import Training

__all__ = ["Chunk", "Compiled", "Curve", "Loop", "Scan", "Training", "stable_rate"]
