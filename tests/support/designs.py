"""Design matrices in a fit's own basis, which other packages can solve without losing digits."""

import numpy as np

from polyreg.polynomials.variables.answers import matrix, variables_at


def matrix_at(result, x) -> np.ndarray:
    """(N, K) at x, as `Result.predict` takes it."""
    return matrix(result, variables_at(result, x))
