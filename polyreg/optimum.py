"""The exact least-squares answer when the distribution of x is known."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polyreg import basis


@dataclass(frozen=True)
class Optimum:
    """The least-squares optimum of a model on a known polynomial, all in float64.

    weights (K,) minimise  E (p(x) + noise - sum_k weights_k phi_k(x))^2,  whose minimum is
    `residual_variance`. Row q of `design` (Q, K) is sqrt(v_q) phi(x_q) at the Gauss node x_q of
    weight v_q, so that design^T design = E phi(x) phi(x)^T, exactly.
    """

    weights: Tensor
    coefficients: np.ndarray
    residual_variance: float
    second_moment: float  # E y^2
    misses_terms: bool  # of the truth: its degree is above the model's
    design: Tensor

    @classmethod
    def of(cls, config) -> "Optimum":
        """The optimum of `config`'s model, under its inputs, for its truth and noise.

        The truth is written in the family orthonormal under the inputs, where leaving out the
        degrees above the model's is the projection; both changes of basis are exact.
        """
        orthonormal = basis.ORTHONORMAL[config.inputs]
        truth = basis.from_powers(config.coefficients, orthonormal)
        terms = config.degree + 1
        projected = np.zeros(terms)
        projected[: len(truth)] = truth[:terms]
        coefficients = basis.to_powers(projected, orthonormal)
        nodes, mass = (
            torch.from_numpy(a) for a in basis.quadrature(config.inputs, config.degree + 1)
        )
        phi = basis.design_matrix(nodes, config.family, config.degree)
        return cls(
            weights=torch.from_numpy(basis.from_powers(coefficients, config.family)),
            coefficients=coefficients,
            residual_variance=float(truth[terms:] @ truth[terms:]) + config.noise**2,
            second_moment=float(truth @ truth) + config.noise**2,
            misses_terms=any(config.coefficients[terms:]),
            design=mass.sqrt()[:, None] * phi,
        )

    def gap(self, weights: Tensor) -> Tensor:
        """Expected excess loss over the optimum: E (sum_k (w_k - weights_k) phi_k(x))^2.

        weights (..., K), any dtype and device  ->  (...) float64, on the CPU
        """
        error = weights.to("cpu", torch.float64) - self.weights
        return (error @ self.design.T).square().sum(-1)

    def singular_values(self) -> Tensor:
        """Of `design`, largest first (K,): the square roots of E phi phi^T's eigenvalues."""
        return torch.linalg.svdvals(self.design)

    def condition(self) -> float:
        """2-norm condition number of the design matrix; 1 in the orthonormal family."""
        values = self.singular_values()
        return float(values[0] / values[-1])
