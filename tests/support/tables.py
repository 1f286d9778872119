"""A table to fit."""

import numpy as np
import pandas as pd

TRUTH = [1.5, -2.0, 0.5]


def calibration(rows: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 3, rows)
    return pd.DataFrame({"x": x, "y": np.polyval(TRUTH[::-1], x) + random.normal(0, 0.1, rows)})
