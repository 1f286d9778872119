"""Triangular factors of many groups, row after row: compiled loops, which call no other of ours.

A group's rows [q(x), y - y_0] sqrt(w), q the Chebyshev polynomials T_0 ... T_d in
z = (x - centre) / radius over the group's range, have a triangular factor R (K + 1, K + 1) with
R^T R the augmented Gram matrix. Householder's reflections fold rows into it without squaring the
condition number (TSQR: Demmel, Grigori, Hoemmen, Langou 2012). Where later rows widen the range, R
is taken to the wider basis first, whose functions are combinations of the narrower one's.

Without an intercept q are x T_0 ... x T_{d-1}.
"""

import numpy as np

BLOCK = 64  # rows that are folded in at once, a multiple of 4


def move(codes, x, y, w, shift, free, to_codes, to_x, to_y, to_w):
    """Rows (n,) to the next free place of their codes >> shift; w has length 0 where there is none.

    codes: (n,) int64; free: (codes >> shift), counted on
    """
    for i in range(len(codes)):
        code = codes[i]
        at = free[code >> shift]
        free[code >> shift] = at + 1
        to_codes[at], to_x[at], to_y[at] = code, x[i], y[i]
        if len(w):
            to_w[at] = w[i]


def fold(first, last, starts, x, y, w, no_intercept, count, low, high, base, factors):
    """Fold rows into the factors of the groups first ... last - 1.

    starts: (G + 1,) where the rows of each begin; x, y, w: (n,), w of length 0 where all are 1;
    written are count, low, high, base (y_0) (G,) and factors (G, K + 1, K + 1)
    """
    width = factors.shape[1]
    size = width - 1
    change = np.zeros((width, width))
    R, block = np.zeros((width, width)), np.zeros((width, BLOCK))
    above = np.zeros(width)
    for g in range(first, last):
        begin, end = starts[g], starts[g + 1]
        if begin == end:
            continue
        least, most = x[begin], x[begin]
        for i in range(begin + 1, end):
            least, most = min(least, x[i]), max(most, x[i])
        if count[g]:
            R[:] = factors[g]
            old_low, old_high = low[g], high[g]
            least, most = min(least, old_low), max(most, old_high)
        else:
            R[:] = 0.0
            if not no_intercept:
                base[g] = y[begin]
        low[g], high[g] = least, most
        centre, radius = least / 2 + most / 2, most / 2 - least / 2
        inverse = 1 / radius if radius > 0 else 0.0
        if count[g] and (least != old_low or most != old_high):
            # Column k of `change`: the wider basis's function k in those of the narrower one.
            a = (old_high / 2 - old_low / 2) * inverse
            b = (old_low / 2 + old_high / 2 - centre) * inverse
            change[:] = 0.0
            change[0, 0] = 1.0
            for k in range(size - 1):
                # T_{k+1} = (2 z T_k - T_{k-1}), the first of them z; z = a t + b
                twice = 2.0 if k else 1.0
                for j in range(k + 2):
                    value = twice * b * change[j, k]
                    if j:
                        value += twice * a * change[j - 1, k] * (1.0 if j == 1 else 0.5)
                    if j + 1 <= k:
                        value += twice * a * change[j + 1, k] * 0.5
                    if k:
                        value -= change[j, k - 1]
                    change[j, k + 1] = value
            for i in range(width):
                for k in range(size - 1, -1, -1):
                    value = 0.0
                    for j in range(k + 1):
                        value += R[i, j] * change[j, k]
                    above[k] = value
                for k in range(size):
                    R[i, k] = above[k]
        at = begin
        while at < end:
            m = min(end - at, BLOCK)
            for i in range(m):
                row = at + i
                z = (x[row] - centre) * inverse
                root = np.sqrt(w[row]) if len(w) else 1.0
                below, here = 0.0, 1.0
                times = root * x[row] if no_intercept else root
                for k in range(size):
                    block[k, i] = here * times
                    below, here = here, (2 * z * here - below if k else z)
                block[size, i] = (y[row] - base[g]) * root
            at += m
            while m % 4:  # so that sums of four run side by side
                for k in range(width):
                    block[k, m] = 0.0
                m += 1
            rows = count[g] + at - begin
            for k in range(width):
                if rows <= k < size:
                    continue  # nothing but rounding is left of it
                # The reflection that takes R[k, k] and column k of the block to (R[k, k], 0).
                s, t, u, v = 0.0, 0.0, 0.0, 0.0
                for i in range(0, m, 4):
                    s += block[k, i] * block[k, i]
                    t += block[k, i + 1] * block[k, i + 1]
                    u += block[k, i + 2] * block[k, i + 2]
                    v += block[k, i + 3] * block[k, i + 3]
                square = (s + t) + (u + v)
                if square == 0.0:
                    continue
                top = R[k, k]
                length = np.sqrt(top * top + square)
                head = top + length if top > 0 else top - length
                scale = 2.0 / (head * head + square)
                for j in range(k + 1, width):
                    s, t, u, v = 0.0, 0.0, 0.0, 0.0
                    for i in range(0, m, 4):
                        s += block[k, i] * block[j, i]
                        t += block[k, i + 1] * block[j, i + 1]
                        u += block[k, i + 2] * block[j, i + 2]
                        v += block[k, i + 3] * block[j, i + 3]
                    dot = (head * R[k, j] + ((s + t) + (u + v))) * scale
                    R[k, j] -= dot * head
                    for i in range(m):
                        block[j, i] -= dot * block[k, i]
                R[k, k] = -length if top > 0 else length
        factors[g] = R
        count[g] += end - begin
