"""From triangular factors to coefficients of many groups: a compiled loop, which calls no other."""

import numpy as np

DEPENDENT = 1e-13  # part of a column that the columns before it leave, where it depends on them
ERROR = 2.0**-52  # of a term, a residual and their sums, relative; it grows with the degree


def solve(
    first, last, degrees, no_intercept, low, high, base, factors, weights, inverse, coefficients,
    spread, errors, sums, ranks,
):  # fmt: skip
    """Solve the groups first ... last - 1, of degree degrees[g] each; -1: not at all.

    weights (G, P) and inverse (G, P, P) are of T_0 ... T_d, coefficients, spread and errors (G, P)
    of powers of x; sums (G, 2): rss and tss, about the mean where there is an intercept; ranks (G,)
    """
    width = factors.shape[1]
    most = width - 1
    shift = 1 if no_intercept else 0  # q_k = x T_k
    free = most + shift
    root, lifted = np.zeros((most, most)), np.zeros((free, most))
    found = np.zeros(most)
    front, behind = np.zeros((free, 2)), np.zeros((free, 2))
    change = np.zeros((free, most))
    split = 134217729.0
    for g in range(first, last):
        if degrees[g] < 0:
            continue
        size = degrees[g] + 1 - shift
        rank = 0
        for k in range(size):
            square = 0.0
            for j in range(k + 1):
                square += factors[g, j, k] * factors[g, j, k]
            if square > 0 and abs(factors[g, k, k]) > DEPENDENT * np.sqrt(square):
                rank += 1
            else:
                break
        ranks[g] = rank
        rss, about = 0.0, 0.0
        for k in range(width):
            part = factors[g, k, most] * factors[g, k, most]
            if k >= size:
                rss += part
            if k or no_intercept:
                about += part
        sums[g, 0], sums[g, 1] = rss, about
        if rank < size:
            continue
        # The inverse factor, column by column, and the weights of the basis.
        for k in range(size):
            for i in range(size):
                root[i, k] = 0.0
            root[k, k] = 1 / factors[g, k, k]
            for i in range(k - 1, -1, -1):
                value = 0.0
                for j in range(i + 1, k + 1):
                    value += factors[g, i, j] * root[j, k]
                root[i, k] = -value / factors[g, i, i]
        for k in range(size - 1, -1, -1):
            value = factors[g, k, most]
            for j in range(k + 1, size):
                value -= factors[g, k, j] * found[j]
            found[k] = value / factors[g, k, k]
        centre, radius = low[g] / 2 + high[g] / 2, high[g] / 2 - low[g] / 2
        radius = radius if radius > 0 else 1.0
        # x T_k = centre T_k + radius (T_{k+1} + T_{k-1}) / 2, x T_0 = centre T_0 + radius T_1
        for j in range(free):
            for k in range(size):
                lifted[j, k] = root[j, k] if not no_intercept and j < size else 0.0
            weights[g, j] = found[j] if not no_intercept and j < size else 0.0
        if no_intercept:
            for i in range(size):
                up = radius / 2 if i else radius
                for k in range(size):
                    lifted[i, k] += centre * root[i, k]
                    lifted[i + 1, k] += up * root[i, k]
                    if i:
                        lifted[i - 1, k] += up * root[i, k]
                weights[g, i] += centre * found[i]
                weights[g, i + 1] += up * found[i]
                if i:
                    weights[g, i - 1] += up * found[i]
        for i in range(free):
            for j in range(i, free):
                value = 0.0
                for k in range(size):
                    value += lifted[i, k] * lifted[j, k]
                inverse[g, i, j] = value
                inverse[g, j, i] = value
        # To powers of x, in pairs of float64 (Dekker 1971): `change` holds those of q_k, column k.
        for k in range(free):
            coefficients[g, k], errors[g, k], spread[g, k] = 0.0, 0.0, 0.0
            front[k, 0], front[k, 1], behind[k, 0], behind[k, 1] = 0.0, 0.0, 0.0, 0.0
        front[0, 0] = 1.0
        total = np.zeros((free, 2))
        for k in range(size):
            for j in range(free):
                change[j, k] = 0.0
            for j in range(k + 1):
                change[j + shift, k] = front[j, 0]
                # total_{j + shift} += weight * front_j
                a, b = found[k], front[j, 0]
                p = a * b
                t = split * a
                ah = t - (t - a)
                al = a - ah
                t = split * b
                bh = t - (t - b)
                bl = b - bh
                e = ((ah * bh - p) + ah * bl + al * bh) + al * bl + a * front[j, 1]
                before = total[j + shift, 0]
                s = before + p
                v = s - before
                e += (before - (s - v)) + (p - v) + total[j + shift, 1]
                total[j + shift, 0] = s + e
                total[j + shift, 1] = e - (total[j + shift, 0] - s)
            if k + 1 == size:
                break
            # The next function: twice (x - centre) / radius times this one, less the one before.
            twice = 2.0 if k else 1.0
            for j in range(k + 1, -1, -1):
                # u = front_{j-1} - centre front_j, exactly in a pair
                a, b = centre, front[j, 0]
                p = a * b
                t = split * a
                ah = t - (t - a)
                al = a - ah
                t = split * b
                bh = t - (t - b)
                bl = b - bh
                e = ((ah * bh - p) + ah * bl + al * bh) + al * bl + a * front[j, 1]
                u = front[j - 1, 0] if j else 0.0
                rest = front[j - 1, 1] if j else 0.0
                s = u - p
                v = s - u
                rest += (u - (s - v)) + (-p - v) - e
                u = s + rest
                rest = rest - (u - s)
                # divided by the radius
                q = u / radius
                a, b = q, radius
                p = a * b
                t = split * a
                ah = t - (t - a)
                al = a - ah
                t = split * b
                bh = t - (t - b)
                bl = b - bh
                e = ((ah * bh - p) + ah * bl + al * bh) + al * bl
                r = ((u - p) - e + rest) / radius
                u, rest = twice * q, twice * r
                # less the one before
                if k:
                    s = u - behind[j, 0]
                    v = s - u
                    rest += (u - (s - v)) + (-behind[j, 0] - v) - behind[j, 1]
                    u = s
                # keep: `behind` takes what this one was, at the same place
                behind[j, 0], behind[j, 1] = front[j, 0], front[j, 1]
                s = u + rest
                front[j, 0], front[j, 1] = s, rest - (s - u)
        s = total[0, 0] + base[g]
        v = s - total[0, 0]
        e = (total[0, 0] - (s - v)) + (base[g] - v) + total[0, 1]
        total[0, 0], total[0, 1] = s + e, 0.0
        # What arithmetic may have done, and the standard errors in units of the residual SD.
        sizes, length = 0.0, 0.0
        for k in range(size):
            sizes += abs(found[k])
        for k in range(width):
            length += factors[g, k, most] * factors[g, k, most]
        scale = 0.0
        for j in range(size):
            scale = max(scale, abs(factors[g, j, j]))
        norm = np.sqrt(length) + sizes * scale
        for j in range(free):
            variance, error = 0.0, 0.0
            for k in range(size):
                value, amount = 0.0, 0.0
                for i in range(k + 1):
                    value += change[j, i] * root[i, k]
                    amount += abs(change[j, i] * root[i, k])
                variance += value * value
                error += amount
            coefficients[g, j] = total[j, 0]
            spread[g, j] = np.sqrt(variance)
            errors[g, j] = ERROR * (1 + size) * error * norm
