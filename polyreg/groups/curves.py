"""Curves of many groups as arrays: what predicts, by numpy and pandas alone.

This file travels with a logged model, where there is no polyreg. G groups, K terms; a group's
polynomial is base + sum_k weights_k T_k((x - centre) / radius), T_k the Chebyshev polynomials.
"""

import math
import warnings

import numpy as np
import pandas as pd

ROWS = 2**16  # at a time


class Curves:
    """Predictor of new rows by their group."""

    def __init__(self, document: dict, keys: list, arrays: dict):
        """keys: of each group, a tuple of the values of `by`; arrays: of G groups each.

        low, high (the range), base (what the constant is counted from), weights (G, K), inverse
        (G, K, K), scale (from its roots to standard errors), noise_sd (of a y of weight 1),
        quantile; a group without a polynomial has the degree -1.
        """
        self.by, self.variable = list(document["by"]), document["variable"]
        self.weighted_by, self.is_known = document["weighted_by"], document["is_known"]
        self.weight_function = document["weight_function"]
        low, high = arrays["low"], arrays["high"]
        self.centre, half = low / 2 + high / 2, high / 2 - low / 2
        self.radius = np.where(half > 0, half, 1.0)
        self.arrays, self.is_fitted = arrays, arrays["degrees"] >= 0
        self.places = {tuple(map(spelled, key)): g for g, key in enumerate(keys)}
        # Where a key is 007, a number 7 may have been 007 or 7 before somebody read it as one.
        self.as_written = [
            any(isinstance(k[d], str) and is_rewritten(k[d]) for k in keys)
            for d in range(len(self.by))
        ]

    def place(self, frame: pd.DataFrame) -> np.ndarray:
        """The group of each row (N,); -1 where it is not known."""
        columns = []
        for name, as_written in zip(self.by, self.as_written, strict=True):
            if name not in frame:
                raise ValueError(f"no column {name!r}, which tells the groups apart")
            codes, values = pd.factorize(frame[name], use_na_sentinel=True)
            known = [v if isinstance(v, str) or not as_written else None for v in values]
            words = np.array([*("" if v is None else spelled(v) for v in known), ""], dtype=object)
            columns.append(words[codes])
        if len(columns) == 1:
            codes, values = pd.factorize(columns[0])
            found = np.array([self.places.get((v,), -1) for v in values], dtype=np.int64)
            return found[codes] if len(found) else codes.astype(np.int64)
        rows = zip(*columns, strict=True)
        return np.array([self.places.get(row, -1) for row in rows], dtype=np.int64)

    def values(self, places: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The polynomials of groups (N,) at x (N,)  ->  (N,), and their standard errors (N,)."""
        found, error = np.empty(len(x)), np.empty(len(x))
        for start in range(0, len(x), ROWS):
            part = slice(start, start + ROWS)
            g = np.maximum(places[part], 0)
            terms = self.terms((x[part] - self.centre[g]) / self.radius[g])
            found[part] = (terms * self.arrays["weights"][g]).sum(axis=1) + self.arrays["base"][g]
            variance = np.einsum("nj,njk,nk->n", terms, self.arrays["inverse"][g], terms)
            error[part] = self.arrays["scale"][g] * np.sqrt(np.maximum(variance, 0))
        unknown = (places < 0) | ~self.is_fitted[places]
        found[unknown], error[unknown] = math.nan, math.nan
        return found, error

    def terms(self, z: np.ndarray) -> np.ndarray:
        """z (N,)  ->  (N, K)"""
        found = [np.ones_like(z)]
        for k in range(1, self.arrays["weights"].shape[1]):
            found.append(2 * found[-1] * z - found[-2] if k > 1 else z)
        return np.stack(found, axis=1)

    def predict(
        self, frame: pd.DataFrame, interval: str = "prediction", quantile=None
    ) -> pd.DataFrame:
        """Columns prediction, low, high, extrapolated and known, a row a row of the frame.

        A row whose group is not known, or has no polynomial, has no prediction, and known False.
        """
        if interval not in ("prediction", "confidence"):
            raise ValueError(f"interval must be prediction or confidence; got {interval!r}")
        if self.variable not in frame:
            raise ValueError(f"no column {self.variable!r}; the variable is {self.variable}")
        x = pd.to_numeric(frame[self.variable], errors="coerce").to_numpy(dtype=float)
        if len(bad := np.flatnonzero(~np.isfinite(x))):
            raise ValueError(
                f"column {self.variable!r}, row {bad[0] + 1}: "
                f"{frame[self.variable].iloc[bad[0]]} is no finite number"
            )
        places, own = self.place(frame), None
        if interval == "prediction":
            own = self.own(frame)
        found, low, high, outside = self.intervals(places, x, interval, own, quantile)
        return pd.DataFrame(
            {
                "prediction": found,
                "low": low,
                "high": high,
                "extrapolated": outside,
                "known": ~np.isnan(found),
            },
            index=frame.index,
        )

    def intervals(self, places: np.ndarray, x: np.ndarray, interval: str, own=None, quantile=None):
        """Prediction, low, high, and whether x is outside the group's range, of rows (N,).

        own (N,): weights of the rows, or uncertainties, where the fit had a column of them;
        quantile (G,): half an interval's width in standard errors, by default the fits' own
        """
        found, error = self.values(places, x)
        noise = self.noise(places, x, found, own) if interval == "prediction" else 0.0
        quantile = self.arrays["quantile"] if quantile is None else quantile
        half = quantile[np.maximum(places, 0)] * np.sqrt(error**2 + noise)
        outside = (x < self.arrays["low"][places]) | (x > self.arrays["high"][places])
        return found, found - half, found + half, outside & ~np.isnan(found)

    def own(self, frame: pd.DataFrame) -> np.ndarray | None:
        """Weights or uncertainties of the rows (N,); None, and a warning, where they lack."""
        if self.weighted_by is None:
            return None
        if self.weighted_by in frame:
            return frame[self.weighted_by].to_numpy(dtype=float)
        what = "uncertainties" if self.is_known else "weights"
        warnings.warn(
            f"the fit had {what}: low and high are nan; give the column {self.weighted_by}, or ask "
            "for the interval confidence",
            stacklevel=4,
        )
        return None

    def noise(self, places: np.ndarray, x: np.ndarray, fitted: np.ndarray, own=None):
        """Variance of a new y (N,); nan where it depends on what is not given.

        own (N,): weights of the rows, or uncertainties, where the fit had a column of them
        """
        noise = self.arrays["noise_sd"][np.maximum(places, 0)] ** 2
        if self.weight_function:
            values = fitted if "y" in self.weight_function else x
            return noise * np.abs(values) ** (2.0 if self.weight_function.endswith("2") else 1.0)
        if self.weighted_by is None:
            return noise
        if own is None:
            return np.full(len(x), math.nan)
        own = np.where(np.isfinite(own) & (own > 0), own, math.nan)
        return own**2 if self.is_known else noise / own


def is_rewritten(key: str) -> bool:
    """Whether a key is a number that would be written in another way, as 007 and 1.0 are."""
    try:
        return spelled(float(key)) != key
    except ValueError:
        return False


def spelled(value) -> str:
    """A key as text: 7 and 7.0 are one, as a column of numbers with a gap has it."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
