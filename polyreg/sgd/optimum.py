"""Exact optimum of a training: least squares when the distribution of x is known."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch

from polyreg.polynomials import families


@dataclass(frozen=True)
class Optimum:
    """The least-squares optimum of a model on a known polynomial, all in float64.

    weights (K,) minimise  E (p(x) + noise - sum_k weights_k phi_k(x))^2,  whose minimum is
    `residual_variance`. `design` (K, K) is upper triangular, and design^T design =
    E phi(x) phi(x)^T: the R of the QR of rows sqrt(v_q) phi(x_q) at Gauss nodes x_q of weight v_q.
    """

    weights: np.ndarray
    coefficients: np.ndarray
    residual_variance: float
    second_moment: float  # E y^2
    misses_terms: bool  # of the truth: its degree is above the model's
    design: np.ndarray

    @classmethod
    def of(cls, config) -> "Optimum":
        """The optimum of `config`'s model, under its inputs, for its truth and noise."""
        c = config
        return _optimum(c.inputs, c.family, c.degree, c.coefficients, c.noise)

    def gap(self, weights: np.ndarray) -> np.ndarray:
        """Expected excess loss over the optimum: E (sum_k (w_k - weights_k) phi_k(x))^2.

        weights (..., K)  ->  (...)
        """
        return self.excess(weights - self.weights)

    def excess(self, error: np.ndarray) -> np.ndarray:
        """E (sum_k error_k phi_k(x))^2.   error (..., K)  ->  (...)"""
        # Term by term: of a product of matrices, the last bits of a step may depend on how many
        # steps there are, and runs that train together would not equal each alone.
        errors, design = torch.from_numpy(error), torch.from_numpy(self.design)
        values = torch.zeros(*error.shape[:-1], len(design), dtype=torch.float64)
        for k in range(error.shape[-1]):
            values.addcmul_(errors[..., k, None], design[:, k])
        return values.square_().sum(-1).numpy()

    @cached_property
    def root(self) -> np.ndarray:
        """design^T: the gap of w is |(w - weights) root|^2.   (K, K), or (0, 0) where it is 1"""
        is_one = np.array_equal(self.design, np.eye(len(self.weights)))
        return np.empty((0, 0)) if is_one else np.ascontiguousarray(self.design.T)

    def singular_values(self) -> np.ndarray:
        """Of `design`, largest first (K,): the square roots of E phi phi^T's eigenvalues."""
        return np.linalg.svd(self.design, compute_uv=False)

    def condition(self) -> float:
        """2-norm condition number of the design matrix; 1 in the orthonormal family."""
        values = self.singular_values()
        return float(values[0] / values[-1])


@lru_cache(maxsize=256)
def _optimum(inputs, family, degree, coefficients, noise) -> Optimum:
    """The truth is written in the family orthonormal under the inputs, where leaving out the
    degrees above the model's is the projection; both changes of basis are exact.
    """
    orthonormal = families.ORTHONORMAL[inputs]
    truth = families.from_powers(coefficients, orthonormal)
    terms = degree + 1
    projected = np.zeros(terms)
    projected[: len(truth)] = truth[:terms]
    best = families.to_powers(projected, orthonormal)
    if family == orthonormal:
        design = np.eye(terms)
    else:
        nodes, mass = families.quadrature(inputs, terms)
        phi = families.design_matrix(torch.from_numpy(nodes), family, degree).numpy()
        design = np.linalg.qr(np.sqrt(mass)[:, None] * phi).R
    return Optimum(
        weights=families.from_powers(best, family),
        coefficients=best,
        residual_variance=float(truth[terms:] @ truth[terms:]) + noise**2,
        second_moment=float(truth @ truth) + noise**2,
        misses_terms=any(coefficients[terms:]),
        design=design,
    )
