"""Document of a result: the JSON of coefficients.json, which the predictor reads.

One form for fits and trainings. polyreg 0.1 wrote two others, which are read as well.
"""

import base64
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from polyreg.inference.study import Deferred, Study
from polyreg.polynomials import families
from polyreg.polynomials.design import Design
from polyreg.polynomials.predictor import unpacked
from polyreg.polynomials.solution import Solution
from polyreg.polynomials.variables import Variable

BAND_TERMS = 1000  # up to which a document knows its bands: 5,000 terms have 100 MB of them
ROUNDING = 2.0**-53  # of a coefficient to float64: nearly 16 digits
LEAST_SQUARES = "least squares"
NO_ERRORS = "training knows no errors: low and high are empty"
ADDED = ("weight_function", "uncertainties", "loss", "swapped")  # not in documents of polyreg 0.2
COLUMNS = ("estimate", "truth", "std_error", "t", "p", "low", "high", "digits")


def write(result: Any) -> dict[str, Any]:
    """The document of a Result, all of it finite JSON: null is what is not known."""
    design, solution = result.design, result.solution
    size = len(design.exponents)
    known = size <= BAND_TERMS and not np.isnan(solution.inverse).any()
    truth = result.truth
    return {
        "target": result.target,
        "pieces": _pieces(result),
        "terms": list(_rows(result)),
        "domain": {name: list(ends) for name, ends in result.domain.items()},
        "truth": None if truth is None else truth.tolist(),
        "condition": _finite(result.condition),
        "rank": result.rank,
        "parameters": result.parameters,
        "fixed": list(result.fixed),
        "rows": result.nobs,
        "rss": _finite(solution.rss),
        "common": None if solution.common is None else list(solution.common),
        "tss": _finite(solution.tss),
        "log_weights": result.log_weights,
        "weighted_by": result.weighted_by,
        "weight_function": result.weight_function,
        "uncertainties": result.uncertainties,
        "loss": result.loss,
        "swapped": result.swapped,
        "residual_sd": _finite(result.residual_sd),
        "error_scale": _finite(result.error_scale),
        "noise_sd": _finite(result.noise_sd),
        "deviation": _finite(result.deviation),
        "study": result.deferred.found.to_dict() if studied(result) else None,
        "intercept": result.intercept,
        "ridge": result.ridge,
        "level": result.level,
        "quantile": _finite(result.quantile()),
        "quantile_simultaneous": _finite(result.quantile(band="simultaneous")),
        "method": result.method,
        "precision": result.precision,
        "units": result.units,
        "notes": list(result.notes),
        "equation": result.equations.to_dict() if size <= BAND_TERMS else None,
        "basis": design.to_dict()
        | {
            "weights": result.weights.tolist(),
            "absent": list(solution.absent),
            "held": list(solution.held),
            "spread": list(map(_finite, solution.spread.tolist())),
            "errors": list(map(_finite, solution.errors.tolist())),
            "inverse": _packed(solution.inverse) if known else None,
        },
    } | _functions(result)


def _functions(result: Any) -> dict[str, Any]:
    """The variables and the target as functions of columns; nothing where they are columns."""
    if not result.is_transformed:
        return {}
    outcome = result.outcome and result.outcome.to_dict()
    return {"inputs": [v.to_dict() for v in result.inputs], "outcome": outcome}


def studied(result: Any) -> bool:
    """Whether degrees and rows were studied."""
    return result.deferred is not None and result.deferred.found is not None


def _pieces(result: Any) -> list | None:
    """Monotone pieces: low, high, and 1 where it rises or -1; None of several variables."""
    if len(result.variables) > 1:
        return None
    return [[piece.low, piece.high, piece.rises] for piece in result.pieces]


def _rows(result: Any) -> Iterable[dict]:
    """A row a term."""
    size = len(result.terms)
    truth = np.full(size, np.nan) if result.truth is None else result.truth[:size]
    columns = (
        result.coefficients,
        truth,
        result.std_errors,
        result.t_values,
        result.p_values,
        *result.conf_int().T,
        result.digits,
    )
    rows = zip(*(map(_finite, values.tolist()) for values in columns), strict=True)
    for term, row in zip(result.terms, rows, strict=True):
        yield {"term": term, **dict(zip(COLUMNS, row, strict=True))}


def read(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of the Result that `write` wrote down, or that polyreg 0.1 did."""
    document = upgraded(document)
    rows, known = document["terms"], document["basis"]
    design = Design.from_dict(known)
    # Earlier versions knew no other absent term than the constant.
    absent = known.get("absent", [] if document["intercept"] else [0])
    shown = [k for k in range(len(design.exponents)) if k not in absent]
    coefficients = np.zeros(len(design.exponents))
    coefficients[shown] = _numbers(row["estimate"] for row in rows)
    ranges, truth = _numbers(document["domain"].values()), document["truth"]
    seen = document.get("study")
    is_robust = document.get("loss", "squares") != "squares"
    added = {name: document[name] for name in ADDED if name in document}
    names = ("target", "intercept", "ridge", "level", "method", "precision", "log_weights")
    return {
        "design": design,
        "solution": Solution(
            weights=_numbers(known["weights"]),
            coefficients=coefficients,
            inverse=_inverse(known["inverse"], len(design.exponents)),
            spread=_numbers(known["spread"]),
            errors=_numbers(known["errors"]),
            rss=_number(document["rss"]),
            tss=_number(document["tss"]),
            rank=document["rank"],
            parameters=document.get("parameters"),
            absent=tuple(absent),
            held=tuple(known.get("held", ())),
            common=tuple(document["common"]) if document.get("common") else None,
            condition=_number(document["condition"]),
            scale=_number(document["error_scale"]) if is_robust else None,
            noise=_number(document["noise_sd"]) if is_robust else None,
        ),
        "low": ranges[:, 0],
        "high": ranges[:, 1],
        "nobs": document["rows"],
        "units": document.get("units", {}),
        "inputs": tuple(Variable(**v) for v in document.get("inputs", ())),
        "outcome": Variable(**document["outcome"]) if document.get("outcome") else None,
        # Earlier versions did not say by which column.
        "weighted_by": document.get("weighted_by", "" if document["log_weights"] else None),
        "notes": tuple(document["notes"]),
        "truth": None if truth is None else _numbers(truth),
        "deviation": _number(document.get("deviation")),
        "deferred": Deferred(None, Study.from_dict(seen) if seen else None),
        **{name: document[name] for name in names},
        **added,
    }


def upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """A document of polyreg 0.1 in today's form; one of today as it is."""
    known = document["basis"]
    if isinstance(known, str):
        return _of_training(document)
    if "errors" in known:
        return document
    # Of a fit: what the digits, to a decimal or so, tell of the errors.
    rows = document["terms"]
    errors = [] if document["intercept"] else [0.0]
    for row in rows:
        certain = math.nan if row["digits"] is None else 10 ** -row["digits"]
        errors.append(abs(row["estimate"]) * float(np.maximum(0, certain - ROUNDING)))
    added = {"truth": None, "method": LEAST_SQUARES}
    return document | added | {"basis": known | {"errors": errors}}


def _of_training(document: dict[str, Any]) -> dict[str, Any]:
    """Of a training in x: its rows had the weights, and the basis was its name alone."""
    rows, family = document["terms"], document["basis"]
    size = len(rows)
    truth = [row["truth"] for row in rows]
    unknown = ("rss", "tss", "residual_sd", "quantile")
    return dict.fromkeys(unknown) | {
        "target": "y",
        "terms": rows,
        "domain": {"x": document["domain"]},
        "truth": None if None in truth else truth,
        "condition": document["condition"],
        "rank": size,
        "rows": 0,
        "log_weights": 0.0,
        "intercept": True,
        "ridge": 0.0,
        "level": 0.95,
        "method": "training",  # it did not say by which optimizer, and in which dtype
        "precision": "",
        "notes": [NO_ERRORS],
        "basis": families.design(family, size - 1).to_dict()
        | {
            "weights": [row["weight"] for row in rows],
            "spread": [None] * size,
            "errors": [None] * size,
            "inverse": None,
        },
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _numbers(values) -> np.ndarray:
    """float64, with nan for None."""
    return np.array(list(values), dtype=float)


def _packed(symmetric: np.ndarray) -> str:
    """The upper triangle as base64 of little-endian float64: as text it would be twice as long."""
    upper = symmetric[np.triu_indices(len(symmetric))]
    return base64.b64encode(upper.astype("<f8").tobytes()).decode()


def _inverse(packed: str | None, size: int) -> np.ndarray:
    return np.full((size, size), np.nan) if packed is None else unpacked(packed, size)
