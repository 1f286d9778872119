"""polyreg recovers polynomials from data and tracks every run.

Conventions, true everywhere in this package:

    N samples    D input variables    K terms, the constant included
    B batch size    T steps
    x (N, D)    y (N, 1)    design matrix (N, K)    coefficients (K,), constant first, low first

`weights` (K,) belong to the basis that did the work, `coefficients` (K,) to the powers of x in the
user's own units; the first is what training moves, the second is what is reported.
float64 for exact work; float32 is the default of SGD, as in PyTorch.
"""

__all__ = ["load"]


def __getattr__(name: str):
    # polyreg.load brings torch and mlflow with it; `--help` and bad options answer before either.
    if name == "load":
        from polyreg.tracking.models import load

        return load
    raise AttributeError(f"module 'polyreg' has no attribute {name!r}")
