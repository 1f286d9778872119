"""Module of many groups: rows of a group's number and x, to y."""

import numpy as np
import torch
from torch import Tensor

from polyreg.groups.results import Results


class GroupedModel(torch.nn.Module):
    """(N, 2), a group's row in Results.to_frame() and x  ->  (N, 1), float64.

    nan for a group that has no polynomial, and for a negative number, such as the -1 of an unknown
    key; a row beyond the last is an IndexError.
    """

    centre: Tensor
    radius: Tensor

    def __init__(self, results: Results):
        super().__init__()
        curves = results.curves
        weights = np.where(curves.is_fitted[:, None], curves.arrays["weights"], np.nan)
        weights[:, 0] += curves.arrays["base"]
        self.weights = torch.nn.Parameter(torch.from_numpy(weights))
        self.register_buffer("centre", torch.from_numpy(curves.centre))
        self.register_buffer("radius", torch.from_numpy(curves.radius))

    def forward(self, x: Tensor) -> Tensor:
        number, value = x[:, 0].long(), x[:, 1]
        group = number.clamp(min=0)
        z = (value - self.centre[group]) / self.radius[group]
        weights = self.weights[group]
        below, here = torch.zeros_like(z), torch.ones_like(z)
        total = weights[:, 0]
        for k in range(1, weights.shape[1]):
            below, here = here, 2 * z * here - below if k > 1 else z
            total = total + weights[:, k] * here
        return torch.where(number < 0, torch.nan, total)[:, None]
