"""Triangular factors of many groups, row after row: compiled loops, which call no other of ours.

A group's rows [q(x), y - y_0] sqrt(w), q the Chebyshev polynomials T_0 ... T_d in
z = (x - centre) / radius over the group's range, have a triangular factor R (K + 1, K + 1) with
R^T R the augmented Gram matrix. Householder's reflections fold rows into it without squaring the
condition number (TSQR: Demmel, Grigori, Hoemmen, Langou 2012). Where later rows widen the range, R
is taken to the wider basis first, whose functions are combinations of the narrower one's.

Without an intercept q are x T_0 ... x T_{d-1}.
"""

import numpy as np


def order_by_code(codes, groups):
    """Places of rows in the order of their codes (n,), and where each group begins (groups + 1,).

    codes: (n,) int64, from 0 to groups - 1
    """
    starts = np.zeros(groups + 1, np.int64)
    for code in codes:
        starts[code + 1] += 1
    for g in range(groups):
        starts[g + 1] += starts[g]
    free, order = starts[:-1].copy(), np.empty(len(codes), np.int64)
    for i in range(len(codes)):
        order[free[codes[i]]] = i
        free[codes[i]] += 1
    return order, starts


def fold(first, last, order, starts, x, y, w, no_intercept, count, low, high, base, factors):
    """Fold rows into the factors of the groups first ... last - 1.

    order, starts: as order_by_code; x, y, w (n,), w of length 0 where all weights are 1;
    written are count, low, high, base (y_0) (G,) and factors (G, K + 1, K + 1)
    """
    width = factors.shape[1]
    size = width - 1
    change = np.zeros((width, width))
    rows = np.zeros((width + 64, width))
    above = np.zeros(width)
    for g in range(first, last):
        begin, end = starts[g], starts[g + 1]
        if begin == end:
            continue
        least, most = x[order[begin]], x[order[begin]]
        for i in range(begin + 1, end):
            value = x[order[i]]
            least, most = min(least, value), max(most, value)
        held = 0
        if count[g]:
            held = width
            rows[:width] = factors[g]
            old_low, old_high = low[g], high[g]
            least, most = min(least, old_low), max(most, old_high)
        elif not no_intercept:
            base[g] = y[order[begin]]
        low[g], high[g] = least, most
        centre, radius = least / 2 + most / 2, most / 2 - least / 2
        inverse = 1 / radius if radius > 0 else 0.0
        if held and (least != old_low or most != old_high):
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
                        value += rows[i, j] * change[j, k]
                    above[k] = value
                for k in range(size):
                    rows[i, k] = above[k]
        at = begin
        while at < end:
            m = held
            while at < end and m < held + 64:
                i = order[at]
                z = (x[i] - centre) * inverse
                root = np.sqrt(w[i]) if len(w) else 1.0
                below, here = 0.0, 1.0
                times = root * x[i] if no_intercept else root
                for k in range(size):
                    rows[m, k] = here * times
                    below, here = here, (2 * z * here - below if k else z)
                rows[m, size] = (y[i] - base[g]) * root
                m, at = m + 1, at + 1
            for k in range(min(width, m)):
                square = 0.0
                for i in range(k + 1, m):
                    square += rows[i, k] * rows[i, k]
                if square == 0.0:
                    continue
                top = rows[k, k]
                length = np.sqrt(top * top + square)
                head = top + length if top > 0 else top - length
                scale = 2.0 / (head * head + square)
                for j in range(k + 1, width):
                    dot = head * rows[k, j]
                    for i in range(k + 1, m):
                        dot += rows[i, k] * rows[i, j]
                    dot *= scale
                    rows[k, j] -= dot * head
                    for i in range(k + 1, m):
                        rows[i, j] -= dot * rows[i, k]
                rows[k, k] = -length if top > 0 else length
                for i in range(k + 1, m):
                    rows[i, k] = 0.0
            for i in range(m, width):
                for j in range(width):
                    rows[i, j] = 0.0
            held = width
        factors[g] = rows[:width]
        count[g] += end - begin
