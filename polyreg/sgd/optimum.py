"""Exact optimum of a training: least squares when the distribution of x, or the table, is known."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from polyreg.device import one
from polyreg.errors import Refused
from polyreg.polynomials import families
from polyreg.polynomials.design import Design, Powers, Recurrence, floats
from polyreg.polynomials.document import NO_ERRORS
from polyreg.polynomials.result import Result
from polyreg.polynomials.solution import Solution


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


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """The rows of a table as a training needs them, and their exact fit.

    features (N, K) and targets (N,) are those of the config's dtype; features_0 = 1. Expectations
    are means over the rows, so that the gap is the mean of (f_w(x) - f_best(x))^2.

        auto      features = design(x) triangle^-1, orthonormal: features^T features / N = 1
        monomial  products of powers of z = (x - mean) / SD, which are `design`; triangle = 1
    """

    config: Any
    best: Result  # least squares on these rows; its origin knows the table
    design: Design
    triangle: np.ndarray  # (K, K), upper: the weights of features are triangle times design's
    features: np.ndarray
    targets: np.ndarray
    optimum: Optimum
    unit: float  # standard deviation of y; of a y that is constant its size

    @property
    def varies(self) -> bool:
        """Whether y does; else `unit` is its size, or 1."""
        return bool(np.ptp(self.targets))

    @property
    def name(self) -> str:
        """As its run is called."""
        return self.config.named((), self.best.variables)

    @classmethod
    def of(cls, config: Any, best: Result, x: np.ndarray, y: np.ndarray) -> "TrainingTable":
        """From rows x (N, D), y (N,). Raises Refused where they leave terms undetermined."""
        if not best.has_full_rank:
            found = best.solution.dependent or (f"rank {best.rank} of {len(best.terms)}",)
            more = f"; and {len(found) - 3} more" if found[3:] else ""
            raise Refused(
                f"on these rows {'; '.join(found[:3])}{more}: no optimum to compare with; lower "
                "--degree, or --exclude a column"
            )
        rows, design, weights = torch.from_numpy(x), best.design, best.weights
        if config.basis == "monomial":
            design = _standardized(design, x)
            windows = [(r.centre, r.radius) for r in design.recurrences]
            exact = Powers(best.design, windows).coefficients([*map(Fraction, weights.tolist())])
            weights = floats(exact)
        features = design.matrix(rows)
        with one():  # whose number of threads may change the last digits
            q, r = torch.linalg.qr(features)
        signs = torch.ones_like(r.diagonal()).copysign(r.diagonal())
        root = (signs[:, None] * r).numpy() / math.sqrt(len(y))
        triangle = np.eye(len(root))
        if config.basis == "auto":
            features = math.sqrt(len(y)) * signs * q
            weights, triangle, root = root @ weights, root, triangle
        features[:, 0] = 1
        optimum = Optimum(
            weights=weights,
            coefficients=best.coefficients,
            residual_variance=best.solution.rss / len(y),
            second_moment=float(np.mean(y**2)),
            misses_terms=False,
            design=root,
        )
        unit = float(y.std()) if np.ptp(y) else float(abs(y[0])) or 1.0
        dtype = getattr(torch, config.dtype)
        own = features.to(dtype).contiguous().numpy()
        targets = torch.from_numpy(y).to(dtype).numpy()
        return cls(config, best, design, triangle, own, targets, optimum, unit)

    def result(self, weights: np.ndarray, gap: float, tolerance: float) -> Result:
        """A training's Result, in the units of the data: weights (K,) of the features."""
        own = np.linalg.solve(self.triangle, weights)
        exact = self.design.powers.coefficients([*map(Fraction, own.tolist())])
        unknown, notes = np.full(len(own), np.nan), [NO_ERRORS, *self.best.origin.remarks]
        if gap >= tolerance:
            notes.append(
                "the training ended short of the optimum: its mean squared distance from the exact "
                f"fit, over the rows, is {gap:.2g}, {gap / self.unit**2:.2g} of the variance of "
                f"{self.best.target}"
            )
        return replace(
            self.best,
            design=self.design,
            solution=Solution(
                weights=own,
                coefficients=floats(exact),
                inverse=np.full((len(own), len(own)), np.nan),
                spread=unknown,
                errors=unknown,
                rss=math.nan,
                tss=math.nan,
                rank=len(own),
                condition=self.optimum.condition(),
            ),
            precision=self.config.dtype,
            method=self.config.optimizer,
            notes=tuple(notes),
            origin=self,
        )

    def require_headroom(self) -> None:
        """Refuse rows whose squares the dtype cannot hold."""
        config, limits = self.config, torch.finfo(getattr(torch, self.config.dtype))
        far = float(np.abs(self.features).max())
        if not far**2 * len(self.design.exponents) <= 1e-14 * limits.max:
            raise Refused(
                f"--basis {config.basis}: a term reaches {far:.2g} on the rows, too large to "
                f"square in {config.dtype}; use --dtype float64, or lower --degree"
            )
        mean = self.optimum.second_moment
        if not (mean <= 1e-14 * limits.max and self.unit**2 >= 1e14 * limits.tiny):
            raise Refused(
                f"the mean of {self.best.target}^2 is {mean:.2g}, and its variance "
                f"{self.unit**2:.2g}, which {config.dtype} cannot hold with room to spare; rescale "
                f"{self.best.target}, or use --dtype float64"
            )


def _standardized(design: Design, x: np.ndarray) -> Design:
    """The same terms as products of powers of z = (x - mean) / SD."""
    degree = design.degree
    straight = (0.0,) * degree, (1.0,) * degree, (0.0,) * degree
    places = zip(x.mean(axis=0).tolist(), x.std(axis=0).tolist(), strict=True)
    recurrences = tuple(Recurrence(mean, sd or 1.0, *straight) for mean, sd in places)
    return replace(design, recurrences=recurrences, unit=1.0, basis="monomial")
