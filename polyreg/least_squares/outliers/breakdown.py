"""Least trimmed squares: a start that half of the rows, however wrong, cannot carry away.

Minimizes the sum of the h smallest squared residuals, h = (n + K + 1) // 2, by concentration from
random subsets of K rows (FAST-LTS, Rousseeuw and Van Driessen 2006): of many starts two steps
each, of the best ten as many as it takes.
"""

import numpy as np

STARTS = 500
WORK = 2e10  # products and sums that the starts may take together
FIRST_ROWS = 1500  # of the rows, on which the starts are compared
BEST = 10
MOST_STEPS = 50
TINY = 1e-13  # of a Gram matrix's trace: what keeps its inverse finite


def least_trimmed(matrix: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Weights (K,) of the columns of matrix (n, K) that fit half of the rows best.

    The subsets are drawn from `seed`. Least squares and an approximate fit of absolute values are
    two more starts.
    """
    random, (count, size) = np.random.default_rng(seed), matrix.shape
    few = np.arange(count)
    if count > FIRST_ROWS:
        few = np.sort(random.choice(count, max(FIRST_ROWS, 5 * size), replace=False))
    rows, goal = matrix[few], y[few]
    starts = int(min(STARTS, max(2 * BEST, WORK / (4 * len(few) * size**2))))
    found = [_fit(rows, goal), _absolute(rows, goal)]
    for _ in range(starts):
        drawn = random.choice(len(few), min(size, len(few)), replace=False)
        found.append(_fit(rows[drawn], goal[drawn]))
    ranked = sorted((_concentrated(rows, goal, start, 2) for start in found), key=lambda f: f[0])
    best = (_concentrated(matrix, y, start, MOST_STEPS) for _, start in ranked[:BEST])
    return min(best, key=lambda f: f[0])[1]


def _concentrated(
    matrix: np.ndarray, y: np.ndarray, weights: np.ndarray, steps: int
) -> tuple[float, np.ndarray]:
    """Sum of the h smallest squares, and the weights, after steps that can only lessen it."""
    kept = (len(y) + matrix.shape[1] + 1) // 2
    least, best = np.inf, weights
    for _ in range(steps + 1):
        squares = (y - matrix @ weights) ** 2
        near = np.argpartition(squares, min(kept, len(y)) - 1)[:kept]
        total = float(squares[near].sum())
        if not total < least:
            break
        least, best = total, weights
        weights = _fit(matrix[near], y[near])
    return least, best


def _fit(matrix: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares, roughly where columns depend on each other."""
    gram = matrix.T @ matrix
    gram[np.diag_indices(len(gram))] += TINY * np.trace(gram) + np.finfo(float).tiny
    weights = np.linalg.solve(gram, matrix.T @ y)
    return weights + np.linalg.solve(gram, matrix.T @ (y - matrix @ weights))


def _absolute(matrix: np.ndarray, y: np.ndarray, passes: int = 30) -> np.ndarray:
    """About the least sum of absolute values, by passes with weights 1 / |residual|."""
    weights = _fit(matrix, y)
    for _ in range(passes):
        left = np.abs(y - matrix @ weights)
        if not (mean := left.mean()):
            break
        root = 1 / np.sqrt(np.maximum(left / mean, 1e-6))
        weights = _fit(matrix * root[:, None], y * root)
    return weights
