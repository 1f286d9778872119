"""Affine recurrences s_t = A_t s_{t-1} + b_t, all their states at once.

They are what SGD does to the weights of a linear model: A_t and b_t come from the batches alone, so
they are made by large matrix products, and what is left is this recurrence.

Shapes: M recurrences of T steps and S numbers.
A (M, T, S, S), b (M, T, S), start (M, S)  ->  states after each step (M, T, S), dtype and device
of A. A state that overflows is inf or nan, and so are those after it; those before it are right.
"""

import torch
from scipy.linalg import blas
from torch import Tensor

from polyreg import device


def states(matrix: Tensor, offset: Tensor, start: Tensor) -> Tensor:
    """The states, by whatever is fastest on the device."""
    way = substitution if matrix.device.type == "cpu" else prefix_scan
    return way(matrix, offset, start)


def substitution(matrix: Tensor, offset: Tensor, start: Tensor) -> Tensor:
    """The states as the solution of one triangular system, by BLAS (tbsv), on the CPU.

    s_t - A_t s_{t-1} = b_t  for all t is a system of T S unknowns with ones on the diagonal and
    2 S - 1 diagonals below it; forward substitution is the recurrence itself, in compiled code.
    """
    runs, steps, size, _ = matrix.shape
    # The first unknowns are the start itself. Column t S + l of the system holds its diagonal, then
    # what is below it, A_t[k, l] in place S + k - l: along t, l and k, evenly spaced places.
    # The last unknowns are nobody's: without them the last columns that count would be shorter, and
    # BLAS may round the end of a column otherwise than its middle.
    band = device.workspace("band", matrix, runs, steps + 2, size, 2 * size)
    inner = (2 * size * size, 2 * size - 1, 1)
    below = band.as_strided((runs, steps, size, size), ((steps + 2) * inner[0], *inner), size)
    torch.neg(matrix.mT, out=below)
    found = torch.cat([start[:, None], offset, torch.zeros_like(offset[:, :1])], dim=1)
    solve = blas.stbsv if matrix.dtype == torch.float32 else blas.dtbsv
    columns, right = band.flatten(1, 2).mT.numpy(), found.flatten(1).numpy()
    for m in range(runs):
        solve(2 * size - 1, columns[m], right[m], lower=1, diag=1, overwrite_x=1)
    return found[:, 1:-1]


def prefix_scan(matrix: Tensor, offset: Tensor, start: Tensor) -> Tensor:
    """The states in about 2 log2(T) batched products, on any device.

    Two affine steps are one,  A'(A s + b) + b' = (A' A) s + (A' b + b'),  so that the states after
    every second step are those of a recurrence half as long; the others are one step from them.
    (Blelloch 1990; Martin and Cundy, arXiv 1709.02755)
    """
    steps = matrix.shape[1]
    column, before = offset[..., None], start[:, None, :, None]
    if steps == 1:
        return (matrix @ before + column)[..., 0]
    pairs = steps // 2
    first, second = (matrix[:, i : 2 * pairs : 2] for i in (0, 1))
    joined = second @ column[:, 0 : 2 * pairs : 2] + column[:, 1 : 2 * pairs : 2]
    result = torch.empty_like(offset)
    result[:, 1 : 2 * pairs : 2] = prefix_scan(second @ first, joined[..., 0], start)
    known = torch.cat([before, result[:, 1 : steps - 1 : 2, :, None]], dim=1)
    result[:, ::2] = (matrix[:, ::2] @ known + column[:, ::2])[..., 0]
    return result
