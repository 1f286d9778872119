"""Predictor of new rows, from a result's document alone.

This file travels with a logged model, behind variable.py, where there is no polyreg, no torch and
no scipy: it imports nothing but numpy, pandas and what is in that file. It is the second way to the
numbers of Result.predict; tests compare them.

A term is a product over the variables, each of its own three-term recurrence (design.py),
which the document describes:

    p_0 = 1,   p_{k+1} = scale_k (z - shift_k) p_k - decay_k p_{k-1},   z = (x - centre) / radius
    term(e_1, ..., e_D) = unit prod_d p_{e_d}(x_d)

N rows, D variables, K terms.
"""

import base64
import decimal
import math
import numbers
import warnings

import numpy as np
import pandas as pd

from polyreg.polynomials.variables.variable import (
    Variable,
    columns_of,
    require_values,
    values_of,
    words_of,
)
from polyreg.polynomials.variables.words import codes_of_words

INTERVALS = ("prediction", "confidence")
BANDS = ("pointwise", "simultaneous")
CELLS = 2**20  # of the design matrix at a time


class Predictions(pd.DataFrame):
    """Its nan and inf are None in a dict: MLflow's server would write NaN, which is no JSON."""

    def to_dict(self, *arguments, **options):
        finite = np.isfinite(self.to_numpy(dtype=float))
        return pd.DataFrame(self.astype(object).where(finite, None)).to_dict(*arguments, **options)


class Predictor:
    """The polynomial of a fit or of a training, at rows of a DataFrame.

    document: what polyreg's Result.to_dict gives
    """

    def __init__(self, document: dict):
        basis = document["basis"]
        self.unit, self.names = basis.get("unit", 0.5), basis["variables"]
        self.exponents, self.recurrences = np.array(basis["exponents"]), basis["recurrences"]
        self.weights, self.units = np.array(basis["weights"]), document.get("units", {})
        self.target, self.pieces = document["target"], document.get("pieces")
        self.swapped = document.get("swapped", False)
        plain = [{"name": name, "column": name} for name in self.names]
        self.variables = [Variable(**v) for v in document.get("inputs") or plain]
        self.columns, outcome = columns_of(self.variables), document.get("outcome")
        self.levels = words_of(self.variables)
        self.outcome = Variable(**(outcome or {"name": self.target, "column": self.target}))
        ranges = [document["domain"][name] for name in self.names]
        self.rank = document["rank"]
        # Earlier versions knew no conditions, which leave fewer parameters than terms.
        free = document.get("parameters", len(document["terms"]))
        has_errors = not document["ridge"] and self.rank == free
        self.low, self.high = np.array(ranges, dtype=float).T
        self.inverse, self.half, self.quantile = None, None, math.nan
        # Earlier versions knew no other scale, and no uncertainties that are given.
        self.is_known = document.get("uncertainties") == "known"
        self.scale = document.get("error_scale", document["residual_sd"])
        self.noise_sd = document.get("noise_sd", document["residual_sd"])
        self.weight_function = document.get("weight_function", "")
        if has_errors and basis["inverse"] and self.scale is not None:
            self.inverse = unpacked(basis["inverse"], len(self.weights))
            self.half = rooted(self.inverse, self.rank)
            self.quantile = document["quantile"]
        self.simultaneous = document.get("quantile_simultaneous") or math.nan
        # Earlier versions did not say by which column a fit was weighted.
        unnamed = "" if document["log_weights"] else None
        self.weighted_by = document.get("weighted_by", unnamed)

    def predict(self, frame, interval: str = "prediction", band: str = "pointwise") -> Predictions:
        """Columns prediction, low, high and extrapolated for the rows of `frame`.

        Of a fit with words also known: a row with a word that the fit has not seen is not, and has
        no prediction.

        frame: a table of pandas, or x (N, D) without names, in the order of the columns

        Bounds are those of one new y ("prediction") or of the mean ("confidence"), at the fit's
        level; nan where the model knows no errors. After a fit with weights or known uncertainties,
        those of a new y need its own, in the column of that name; without it they are nan, and a
        warning says so. band "simultaneous", of the mean, holds the whole polynomial at the level.
        What overflows is inf or nan. extrapolated:
        some variable is outside the range that was fitted. Other columns are ignored. Raises
        ValueError with the name of a column that is missing or holds what is no finite number, or
        none that its function takes.
        """
        if interval not in INTERVALS:
            raise ValueError(f"interval must be one of {', '.join(INTERVALS)}; got {interval!r}")
        if band not in BANDS or (band != BANDS[0] and interval == "prediction"):
            known = ", ".join(BANDS)
            raise ValueError(
                f"band must be one of {known}, the second of interval confidence; got {band!r}"
            )
        quantile = self.quantile if band == BANDS[0] else self.simultaneous
        x = self.rows(frame := with_names(frame, self.columns))
        noise = self._noise(frame, x) if interval == "prediction" else np.zeros(len(x))
        found, half = np.empty((2, len(x)))
        step = max(1, CELLS // len(self.weights))
        with np.errstate(over="ignore", invalid="ignore"):  # far outside the domain
            for start in range(0, len(x), step):
                part = slice(start, start + step)
                found[part], half[part] = self._rows(x[part], noise[part])
            half *= quantile
            low, high = self.outcome.inverse_bounds(found - half, found + half)
            found = self.outcome.inverse(found)
            columns = {"prediction": found, "low": low, "high": high}
        columns["extrapolated"] = ((x < self.low) | (x > self.high)).any(axis=1)
        if self.levels:
            columns["known"] = ~np.isnan(x).any(axis=1)
        return Predictions(columns, index=frame.index)

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        """The variables at the rows of a table  ->  (N, D)"""
        given = {
            name: column(frame, name, self.columns, self.units, self.levels.get(name, ()))
            for name in self.columns
        }
        require_values(self.variables, given)
        return values_of(self.variables, given)

    def _noise(self, frame: pd.DataFrame, x: np.ndarray) -> np.ndarray:
        """Variance of a new y of each row (N,), nan where it is not known

        ValueError where a weight, or an uncertainty, is not above 0.
        """
        if self.inverse is None:
            return np.full(len(frame), math.nan)
        if self.weight_function:
            with np.errstate(over="ignore", invalid="ignore"):
                fitted = self._terms(x) @ self.weights
            return self.noise_sd**2 / weight_of(self.weight_function, x[:, 0], fitted)
        if self.outcome.is_plain or not self.is_known:
            return self.own_noise(frame)
        y = self.outcome.inverse(self._terms(x) @ self.weights)
        return self.own_noise(frame) * self.outcome.slopes(y) ** 2

    def own_noise(self, frame: pd.DataFrame) -> np.ndarray:
        """The same, of rows whose weights do not follow from x: of y itself, where it is known."""
        if self.weighted_by is None:
            return np.full(len(frame), self.noise_sd**2)
        if not self.weighted_by or self.weighted_by not in frame.columns:
            told = unknown_noise(self.weighted_by, self.is_known)
            warnings.warn(told, UserWarning, stacklevel=4)
            return np.full(len(frame), math.nan)
        found = column(frame, self.weighted_by, self.columns, {})
        if bad := np.flatnonzero(found <= 0).tolist():
            told = f"column {self.weighted_by!r}, row {bad[0] + 1}: {found[bad[0]]:g}"
            what = "uncertainty; uncertainties" if self.is_known else "weight; weights"
            raise ValueError(f"{told} is no {what} are above 0")
        return found**2 if self.is_known else self.noise_sd**2 / found

    def _rows(self, x: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
        """The polynomial at x (N, D)  ->  (N,), and its standard error (N,).

        noise (N,): variance of a new y; 0 of the mean
        """
        terms = self._terms(x)
        found = terms @ self.weights
        if self.inverse is None:
            return found, math.nan
        variance = self.scale**2 * ((terms @ self.half) ** 2).sum(axis=1)
        return found, np.sqrt(variance + noise)

    def _terms(self, x: np.ndarray) -> np.ndarray:
        """x (N, D)  ->  (N, K)"""
        result = np.full((len(x), len(self.weights)), self.unit)
        for d, recurrence in enumerate(self.recurrences):
            result *= terms_of(recurrence, x[:, d])[:, self.exponents[:, d]]
        return result


def weight_of(function: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Weights (N,) by a weight function, 1/x, 1/x^2, 1/y or 1/y^2; nan where it has none."""
    values = y if "y" in function else x
    squared = function.endswith("^2")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = values**-2.0 if squared else 1 / values
    return np.where((found > 0) & np.isfinite(found), found, math.nan)


def unknown_noise(name: str, is_known: bool) -> str:
    """Why there is no interval of a new y after a fit with weights, or known uncertainties."""
    column = f", in the column {name}" if name else ""
    if is_known:
        return (
            "the uncertainties of y were given, and an interval of a new y depends on its own: low "
            f"and high are nan; give sigma of the new rows{column}, or ask for the interval "
            "confidence"
        )
    return (
        "the fit had weights, and an interval of a new y depends on its own weight: low and high "
        f"are nan; give the weights of the new rows{column}, or ask for the interval confidence"
    )


def with_names(data, names):
    """An array (N, D), or a list of N rows, as a table whose columns are the variables in order.

    In one variable (N,) is taken as well. Whatever else it is, a table, rows that bear names, is
    given back as it is. Raises ValueError where a row is not of D numbers.
    """
    if isinstance(data, np.ndarray) and data.dtype.names is None:
        data = pd.DataFrame(data)  # ValueError where there are more dimensions than two
        widths = {len(data.columns)}
    elif isinstance(data, list) and not any(isinstance(row, dict | pd.Series) for row in data):
        widths = {len(r) if isinstance(r, list | tuple | np.ndarray) else 1 for r in data}
    else:
        return data
    if wrong := widths - {len(names)}:
        found = "a row of 1 number" if wrong == {1} else f"a row of {max(wrong)} numbers"
        raise ValueError(f"{found}; x is (N, {len(names)}), its columns {', '.join(names)}")
    columns = None if len(data) else range(len(names))
    return pd.DataFrame(data, columns=columns).set_axis(list(names), axis=1)


def column(frame: pd.DataFrame, name: str, names, units, levels=()) -> np.ndarray:
    """A column  ->  (N,), of finite numbers; ValueError names what is none, or the variables.

    units: of variables that are dates, such as {"when": "days since 2024-03-01"}
    levels: of a column of words, which become places among these, -1 of what is none of them
    """
    places = np.flatnonzero(frame.columns == name)
    if len(places) != 1:
        what = "no column" if not len(places) else f"{len(places)} columns"
        raise ValueError(f"{what} {name!r}; the variables are {', '.join(names)}")
    found = frame.iloc[:, places[0]]
    if levels:
        return codes_of_words(found, levels)
    if is_dated(units.get(name, "")) and found.dtype.kind not in "fiub":
        return since(found, units[name])
    if found.dtype.kind in "fiub":
        values = found.to_numpy(dtype=float, na_value=math.nan)
    else:
        values = np.array([_number(value) for value in found], dtype=float)
    if bad := np.flatnonzero(~np.isfinite(values)).tolist():
        value, row = found.iloc[bad[0]], bad[0] + 1
        said = repr(value.item() if isinstance(value, np.generic) else value)[:80]
        raise ValueError(f"column {name!r}, row {row}: {said} is no finite number")
    return values


def is_dated(units: str) -> bool:
    """Whether a variable of these units is dates, counted from an origin."""
    return units.startswith(("days since ", "seconds since "))


def since(dates: pd.Series, units: str) -> np.ndarray:
    """Dates, or text like 2024-03-31 12:30, in these units  ->  (N,); without a zone in UTC.

    Numbers are in these units already. Raises ValueError with the first that is neither.
    """
    unit, _, origin = units.partition(" since ")
    found = np.array([_number(value) for value in dates], dtype=float)
    for row in np.flatnonzero(np.isnan(found)).tolist():
        try:
            moment = pd.Timestamp(dates.iloc[row])
        except (TypeError, ValueError):
            moment = pd.NaT
        if moment is pd.NaT:
            said = repr(dates.iloc[row])[:80]
            raise ValueError(f"column {dates.name!r}, row {row + 1}: {said} is no date")
        moment = moment.tz_localize("UTC") if moment.tz is None else moment
        found[row] = (moment - pd.Timestamp(origin, tz="UTC")) / pd.Timedelta(1, unit)
    return found


def terms_of(recurrence: dict, x: np.ndarray) -> np.ndarray:
    """p_0 ... p_degree at x (N,)  ->  (N, degree + 1)"""
    z = (x - recurrence["centre"]) / recurrence["radius"]
    found = [np.ones_like(z)]
    steps = (recurrence[name] for name in ("shifts", "scales", "decays"))
    for shift, scale, decay in zip(*steps, strict=True):
        column = scale * (z - shift) * found[-1]
        found.append(column - decay * found[-2] if decay else column)
    return np.stack(found, axis=1)


def slopes(recurrence: dict, x: np.ndarray) -> np.ndarray:
    """Derivatives of p_0 ... p_degree at x (N,)  ->  (N, degree + 1)"""
    z, radius = (x - recurrence["centre"]) / recurrence["radius"], recurrence["radius"]
    p, found = terms_of(recurrence, x).T, [np.zeros_like(z)]
    steps = (recurrence[name] for name in ("shifts", "scales", "decays"))
    for k, (shift, scale, decay) in enumerate(zip(*steps, strict=True)):
        column = scale * ((z - shift) * found[-1] + p[k] / radius)
        found.append(column - decay * found[-2] if decay else column)
    return np.stack(found, axis=1)


def _number(value) -> float:
    """nan for what is none, text that looks like one included."""
    if isinstance(value, list | np.ndarray) and len(value) == 1:
        value = value[0]  # a row of one variable
    if not isinstance(value, numbers.Real | decimal.Decimal | np.bool_):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def rooted(inverse: np.ndarray, rank: int) -> np.ndarray:
    """Root of a positive semidefinite matrix, half half^T  ->  (size, rank)

    What is left out is rounding; where conditions hold exactly, a variance is then exactly 0 but
    for what is squared.
    """
    if np.isnan(inverse).any():
        return np.full((len(inverse), rank), math.nan)
    values, vectors = np.linalg.eigh(inverse)
    first = len(values) - rank
    return vectors[:, first:] * np.sqrt(np.maximum(values[first:], 0))


def unpacked(packed: str, size: int) -> np.ndarray:
    """A symmetric matrix from the base64 of its upper triangle  ->  (size, size)"""
    result = np.empty((size, size))
    upper = np.triu_indices(size)
    result[upper] = np.frombuffer(base64.b64decode(packed), dtype="<f8")
    result.T[upper] = result[upper]
    return result
