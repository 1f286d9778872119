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
UNITS = [2.0 ** (-BITS * (i + 1)) for i in range(LIMBS)]
JOINT = 2  # after this limb of both, what is left of values + low errs by 2^-116 in one float64
POINT = BITS * (LIMBS + 1)  # the integers of `gram` count units of 2^-POINT


def _rounded(values: Tensor, unit: float, out: Tensor) -> None:
    """The nearest multiple of unit, for |values| < 2^51 unit."""
    large = 1.5 * 2.0**52 * unit
    torch.add(values, large, out=out)
    out.sub_(large)


def split(
    values: Tensor,
    out: Tensor,
    low: Tensor | None = None,
    spare: Tensor | None = None,
    first: int = 0,
) -> None:
    """values (n,), below 2^29 in size, into limbs (LIMBS, n); what is left in them is the error.

    With low (n,) it is values + low, where |low| is below half of a unit of limb `first` - 1, or
    below 1/2. A limb may then reach 2^21 of its units, which `multiply` and `gram` bear. low and
    spare (n,) are overwritten.
    """
    for i, (unit, limb) in enumerate(zip(UNITS, out, strict=True)):
        _rounded(values, unit, limb)
        values.sub_(limb)
        if low is not None and spare is not None and first <= i <= JOINT:
            _rounded(low, unit, spare)
            limb.add_(spare)
            low.sub_(spare)
            if i == JOINT:
                values.add_(low)


def multiply(a: Tensor, b: Tensor, product: Tensor) -> None:
    """a b, all (LIMBS, n); product is one limb further down and left to `carry`.

    Its limb i counts units of 2^(-21 (i + 2)), in up to 45 bits.
    """
    torch.mul(a[0], b, out=product)
    for i in range(1, LIMBS):
        product[i:].addcmul_(a[i], b[: LIMBS - i])


def carry(product: Tensor, spare: Tensor, out: Tensor) -> None:
    """A product into limbs of 21 bits, out (LIMBS, n); what is below the last is rounded away."""
    for i in range(LIMBS - 1, 0, -1):
        _rounded(product[i], UNITS[i], spare)
        if i + 1 < LIMBS:
            torch.sub(product[i], spare, out=out[i + 1])
        product[i - 1].add_(spare)
    _rounded(product[0], UNITS[0], out[0])
    torch.sub(product[0], out[0], out=out[1])


def gram(left: Tensor, right: Tensor) -> np.ndarray:
    """left right^T, exactly but for limbs below the last.

    (LIMBS, K, n), both contiguous  ->  (K, K) Python integers, in units of 2^-POINT
    n is at most ROWS, or up to 2^8 times it. `left is right` spares half of the work.
    """
    _, terms, n = left.shape
    parts = max(1, n // ROWS)
    levels = torch.zeros(LIMBS, terms, terms, dtype=torch.int64, device=left.device)
    for i in range(LIMBS):
        first = i if left is right else 0
        if first >= LIMBS - i:
            break
        # (parts, K, rows) (parts, rows, limbs * K)
        rows = left[i].reshape(terms, parts, n // parts).transpose(0, 1)
        columns = right[first : LIMBS - i].reshape(-1, parts, n // parts).permute(1, 2, 0)
        blocks = torch.bmm(rows, columns).reshape(parts, terms, -1, terms)
        for j in range(first, LIMBS - i):
            # In units of 2^(-21 (i + j + 2)), integers below 2^52: an int64 holds hundreds of them.
            exact = (blocks[:, :, j - first] * 2.0 ** (BITS * (i + j + 2))).to(torch.int64).sum(0)
            levels[i + j] += exact if left is not right or i == j else exact + exact.T
    total = np.zeros((terms, terms), dtype=object)
    for level in levels.cpu().numpy():
        total = (total << BITS) + level.astype(object)
    return total
