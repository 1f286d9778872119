"""Models as torch modules: raw x in, y out, features inside."""

import warnings

import numpy as np
import torch
from torch import Tensor, nn

from polyreg.polynomials import families
from polyreg.polynomials.design import products


class LinearModel(nn.Module):
    """bias + sum_{k=1}^{K-1} weight_k phi_k, one `nn.Linear` on features that are given."""

    def __init__(self, terms: int, dtype: torch.dtype):
        super().__init__()
        with warnings.catch_warnings():
            # Degree 0, the constant alone, has no features to initialize, and torch warns of it.
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            self.linear = nn.utils.skip_init(nn.Linear, terms - 1, 1, dtype=dtype)

    @classmethod
    def of(cls, weights: Tensor) -> "LinearModel":
        """With these weights (K,), on their device."""
        made = cls(len(weights), weights.dtype).to(weights.device)
        made.set_weights(weights)
        return made

    def weights(self) -> Tensor:
        """(K,): the bias, then the linear layer's weights."""
        return torch.cat([self.linear.bias, self.linear.weight[0]]).detach()

    @torch.no_grad()
    def set_weights(self, weights: Tensor) -> None:
        self.linear.bias.copy_(weights[:1])
        self.linear.weight.copy_(weights[None, 1:])


class PolynomialModel(LinearModel):
    """y = bias + sum_{k=1}^{degree} weight_k phi_k(x).

    x (N, 1), any real dtype  ->  (N, 1) in the weights' dtype
    """

    def __init__(self, config):
        super().__init__(config.degree + 1, getattr(torch, config.dtype))
        self.degree, self.family = config.degree, config.family

    def initialize(self, generator: np.random.Generator) -> "PolynomialModel":
        self.set_weights(initial_weights(self.degree, generator))
        return self

    def features(self, x: Tensor) -> Tensor:
        """phi_1 ... phi_degree of x (..., 1)  ->  (..., degree); the bias is phi_0."""
        return families.design_matrix(x[..., 0], self.family, self.degree)[..., 1:]

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.features(_wide(x)).to(self.linear.bias.dtype))


def initial_weights(degree: int, generator: np.random.Generator) -> Tensor:
    """As nn.Linear's: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).   ->  (K,), float64"""
    bound = 1 / np.sqrt(max(degree, 1))
    return torch.from_numpy(generator.uniform(-bound, bound, size=degree + 1))


FUNCTIONS = {
    "identity": lambda x: x,
    "log": torch.log,
    "log10": torch.log10,
    "exp": torch.exp,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "reciprocal": torch.reciprocal,
}
BACK = {
    "identity": lambda z: z,
    "log": torch.exp,
    "log10": lambda z: 10.0**z,
    "exp": torch.log,
    "sqrt": lambda z: torch.where(z < 0, torch.nan, z * z),
    "square": torch.sqrt,
    "reciprocal": torch.reciprocal,
}


class FittedModel(nn.Module):
    """y = g(sum_t weight_t term_t(z)) of any Result, its scaling inside.

    z are the variables, functions of x; g is the inverse of the target's function, if it has one.

    x (N, C), the columns, any real dtype  ->  (N, 1), float64. A column of words has the places of
    its levels, 0 for the base; y is nan of any other number.
    """

    places: Tensor

    def __init__(self, result):
        super().__init__()
        self.inputs, self.outcome, self.columns = result.inputs, result.outcome, result.columns
        self.recurrences, self.unit = result.design.recurrences, result.design.unit
        self.register_buffer("places", result.design.places)
        self.weights = nn.Parameter(torch.from_numpy(result.solution.weights))

    def forward(self, x: Tensor) -> Tensor:
        terms = products(self.recurrences, self.places, self._variables(_wide(x)), self.unit)
        y = terms @ self.weights[:, None]
        if self.outcome is None:
            return y
        return self.outcome.sign * BACK[self.outcome.kind](y) - self.outcome.shift

    def _variables(self, x: Tensor) -> Tensor:
        """x (N, C)  ->  (N, D)"""
        if not self.inputs:
            return x
        columns = [(v, x[..., self.columns.index(v.column)]) for v in self.inputs]
        return torch.stack([_values(v, c) for v, c in columns], dim=-1)


def _values(variable, x: Tensor) -> Tensor:
    """A variable of its column (N,), float64."""
    if not variable.words:
        return FUNCTIONS[variable.kind](x + variable.shift)
    known = (x >= 0) & (x < len(variable.words)) & (x == x.floor())
    return torch.where(known, (x == variable.place).to(x.dtype), torch.nan)


def _wide(x: Tensor) -> Tensor:
    # The product with a float64 one promotes whatever arrives. A plain `.to(float64)` would
    # make torch.export freeze the example's dtype, and the reloaded model refuse all others.
    return x * torch.ones(1, dtype=torch.float64, device=x.device)
