"""The answer of a run: a polynomial with its terms, its domain and what is known of its errors."""

from dataclasses import dataclass

import numpy as np
import torch

from polyreg import basis, terms
from polyreg.inference import Answer, by_name
from polyreg.sgd import Training
from polyreg.terms import equation


@dataclass(frozen=True)
class Polynomial:
    """Coefficients of 1, x, x^2, ..., and the same polynomial in the basis that did the work.

    `truth`, where it is known, may be of another degree. The x of the training lay in `domain`.
    """

    coefficients: np.ndarray  # (K,)
    weights: np.ndarray  # (K,)
    basis: str
    domain: tuple[float, float]
    condition: float
    truth: np.ndarray | None = None  # constant first

    @classmethod
    def of(cls, training: Training) -> "Polynomial":
        """What a training on a known polynomial came to."""
        weights = training.model.weights().to("cpu", torch.float64).numpy()
        return cls(
            coefficients=basis.to_powers(weights, training.config.family),
            weights=weights,
            basis=training.config.family,
            domain=training.curve.domain,
            condition=training.optimum.condition(),
            truth=np.array(training.config.coefficients),
        )

    @property
    def terms(self) -> list[str]:
        return terms.powers(len(self.coefficients) - 1)

    @property
    def notes(self) -> tuple[str, ...]:
        return ("training knows no errors: low and high are empty",)

    @property
    def variables(self) -> tuple[str, ...]:
        return ("x",)

    target = "y"

    def equation(self) -> str:
        """The polynomial, every digit of it: y = 0.9 + 0.5*x + 3*x^2"""
        return equation(self.target, self.terms, self.coefficients)

    def predict(self, x, interval: str | None = None):
        """The polynomial's value at x, of any shape; float64, evaluated in its basis.

        Training knows no errors: where an interval is asked for, its bounds are nan.
        x (N, 1) or (N,)  ->  prediction (N,), low (N,), high (N,)
        """
        if hasattr(x, "columns"):
            x = by_name(x, self.variables)
        x = torch.from_numpy(np.array(x, dtype=float, order="C"))
        phi = basis.design_matrix(x, self.basis, len(self.weights) - 1)
        found = (phi @ torch.from_numpy(self.weights)).numpy()
        if interval is None:
            return found
        found = found.reshape(-1)
        return found, *np.full((2, len(found)), np.nan)

    def extrapolated(self, x) -> np.ndarray:
        """Which rows of x (N, 1) lie outside the domain  ->  (N,) bool."""
        low, high = self.domain
        return ((x < low) | (x > high)).any(axis=1)

    def against_truth(self) -> list[tuple[str, float, float]]:
        """(term, truth, estimate) of every term that either has; one that is missing is 0."""
        assert self.truth is not None
        size = max(len(self.truth), len(self.coefficients))
        truth, estimate = np.zeros(size), np.zeros(size)
        truth[: len(self.truth)] = self.truth
        estimate[: len(self.coefficients)] = self.coefficients
        return list(zip(terms.powers(size - 1), truth.tolist(), estimate.tolist(), strict=True))

    def max_error(self) -> float:
        """The largest |estimate - truth| of a coefficient; a term the model lacks counts as 0."""
        return max(abs(estimate - truth) for _, truth, estimate in self.against_truth())

    def document(self) -> dict:
        """What coefficients.json holds: a row a term of the model, and what it takes to read it."""
        known = {} if self.truth is None else {t: true for t, true, _ in self.against_truth()}
        return {
            "terms": [
                {
                    "term": term,
                    "estimate": float(self.coefficients[k]),
                    "truth": known.get(term),
                    "weight": float(self.weights[k]),
                    "std_error": None,
                    "low": None,
                    "high": None,
                }
                for k, term in enumerate(self.terms)
            ],
            "basis": self.basis,
            "domain": list(self.domain),
            "condition": self.condition,
        }

    @classmethod
    def from_document(cls, document: dict) -> "Polynomial":
        def column(name: str) -> list:
            return [row[name] for row in document["terms"]]

        low, high = document["domain"]
        return cls(
            coefficients=np.array(column("estimate")),
            weights=np.array(column("weight")),
            basis=document["basis"],
            domain=(low, high),
            condition=document["condition"],
            truth=None if None in column("truth") else np.array(column("truth")),
        )


def read(document: dict) -> Polynomial | Answer:
    """What a document describes: a training's polynomial, or a fit's answer."""
    kind = Answer if isinstance(document["basis"], dict) else Polynomial
    return kind.from_document(document)
