"""polyreg recovers polynomials from data and tracks every run.

    polyreg.fit(x, y)            exact least squares of data in memory or of a table's files
    polyreg.train(degree=3)      SGD or Adam on a known polynomial, beside the exact optimum
    polyreg.sweep(degrees=(1, 2, 3))   many trainings at once
    polyreg.compare(a, b, ...)   results, runs and sweeps side by side
    polyreg.load(uri)            the Result behind a model that a run logged

Conventions, true everywhere in this package:

    N samples    D input variables    K terms, the constant included
    B batch size    T steps    M models trained at once
    x (N, D)    y (N, 1)    design matrix (N, K)    coefficients (K,), constant first, low first

`weights` (K,) belong to the basis that did the work, `coefficients` (K,) to the powers of x in the
user's own units; the first is what training moves, the second is what is reported.
float64 for exact work; float32 is the default of SGD, as in PyTorch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyreg.api.comparison import Comparison, compare
    from polyreg.api.functions import Sweep, fit, sweep, train
    from polyreg.api.log import log_result, log_sweep, log_training
    from polyreg.api.regressor import PolynomialRegressor
    from polyreg.config import FitConfig, SweepConfig, TrainConfig
    from polyreg.config_reading import CompareConfig, InvertConfig, PredictConfig
    from polyreg.errors import PolyregError
    from polyreg.groups import Results
    from polyreg.polynomials.result import Result
    from polyreg.sgd import Training
    from polyreg.tracking import load, start_run

__version__ = "0.2.0"
__all__ = [
    "CompareConfig",
    "Comparison",
    "FitConfig",
    "InvertConfig",
    "PolynomialRegressor",
    "PolyregError",
    "PredictConfig",
    "Result",
    "Results",
    "Sweep",
    "SweepConfig",
    "TrainConfig",
    "Training",
    "compare",
    "fit",
    "load",
    "log_result",
    "log_sweep",
    "log_training",
    "start_run",
    "sweep",
    "train",
]
# Where each is written; it is imported when it is asked for: torch takes a second, MLflow another.
_HOMES = {
    "polyreg.config": ("FitConfig", "SweepConfig", "TrainConfig"),
    "polyreg.config_reading": ("CompareConfig", "InvertConfig", "PredictConfig"),
    "polyreg.errors": ("PolyregError",),
    "polyreg.groups": ("Results",),
    "polyreg.api.comparison": ("Comparison", "compare"),
    "polyreg.api.log": ("log_result", "log_sweep", "log_training"),
    "polyreg.polynomials.result": ("Result",),
    "polyreg.api.regressor": ("PolynomialRegressor",),
    "polyreg.sgd": ("Training",),
    "polyreg.tracking": ("load", "start_run"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'polyreg' has no attribute {name!r}")
    home = next((home for home, names in _HOMES.items() if name in names), "polyreg.api.functions")
    found = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
