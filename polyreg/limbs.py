"""Exact sums of products on any device that multiplies float64 matrices.

A number is LIMBS floats, limb i an integer multiple of 2^(-21 (i + 1)): fixed point, 105 bits
behind the point. Limbs have at most 21 bits, so that a product of two has 42, and a matrix product
over up to 2^11 rows sums them without rounding whatever the order (the Ozaki scheme: Ozaki, Ogita,
Oishi, Rump, Numer. Algorithms 59, 2012). What is summed in this way is the same on every device,
in every chunking, and adds up like integers, which it is.

Arrays of limbs are (LIMBS, ..., n); all functions work in place on float64 tensors.
"""

import numpy as np
import torch
from torch import Tensor

LIMBS, BITS = 5, 21
ROWS = 2**11  # in one exact product
UNITS = [2.0 ** (-BITS * (i + 1)) for i in range(LIMBS + 1)]
POINT = BITS * (LIMBS + 1)  # the integers of `gram` count units of 2^-POINT


def _rounded(values: Tensor, unit: float, out: Tensor) -> None:
    """The nearest multiple of unit, for |values| < 2^51 unit."""
    large = 1.5 * 2.0**52 * unit
    torch.add(values, large, out=out)
    out.sub_(large)


def split(values: Tensor, out: Tensor) -> None:
    """values (n,), below 2^29 in size, into limbs (LIMBS, n); what is left in them is the error."""
    for unit, limb in zip(UNITS, out, strict=False):
        _rounded(values, unit, limb)
        values.sub_(limb)


def carry(product: Tensor, spare: Tensor) -> None:
    """Bring each limb of product (LIMBS + 1, n) to 21 bits; the last one is rounded away."""
    for i in range(LIMBS, 0, -1):
        _rounded(product[i], UNITS[i - 1], spare)
        product[i - 1].add_(spare)
        if i < LIMBS:
            product[i].sub_(spare)


def multiply(a: Tensor, b: Tensor, product: Tensor) -> None:
    """a b of limbs (LIMBS, n) into product (LIMBS + 1, n), which is left to `carry`."""
    product[0].zero_()
    torch.mul(a[0], b, out=product[1:])
    for i in range(1, LIMBS):
        product[i + 1 :].addcmul_(a[i], b[: LIMBS - i])


def gram(left: Tensor, right: Tensor) -> np.ndarray:
    """left right^T, exactly but for limbs below the last.

    (LIMBS, K, n), both contiguous  ->  (K, K) Python integers, in units of 2^-POINT
    n is at most ROWS, or a multiple of it. `left is right` spares half of the work.
    """
    _, terms, n = left.shape
    parts = max(1, n // ROWS)
    total = np.zeros((terms, terms), dtype=object)
    for i in range(LIMBS):
        first = i if left is right else 0
        if first >= LIMBS - i:
            break
        # (parts, K, rows) (parts, rows, K * limbs)
        rows = left[i].reshape(terms, parts, n // parts).transpose(0, 1)
        columns = right[first : LIMBS - i].reshape(-1, parts, n // parts).permute(1, 2, 0)
        blocks = torch.bmm(rows, columns).reshape(parts, terms, -1, terms)
        for j in range(first, LIMBS - i):
            # Units of 2^(-21 (i + j + 2)): integers below 2^53, and sums of at most 2^10 of them.
            units = blocks[:, :, j - first] * 2.0 ** (BITS * (i + j + 2))
            exact = units.to(torch.int64).sum(0).cpu().numpy().astype(object)
            exact <<= BITS * (LIMBS - 1 - i - j)
            total += exact if left is not right or i == j else exact + exact.T
    return total
