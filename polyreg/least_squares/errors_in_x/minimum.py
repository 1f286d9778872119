"""Minimum of least squares in x and y, of one variable, in float64.

Of rows (x, y) with standard uncertainties a, b and covariance c, V = [[a^2, c], [c, b^2]]:

    S = min over beta and xi of sum (x - xi, y - f(xi)) V^-1 (x - xi, y - f(xi))^T

(ISO/TS 28037, clause 10; ISO 6143). With delta = (x - xi) / a, s = c / a^2 and t^2 = b^2 - c s it
is, of each row,

    delta^2 + rho^2 / t^2,   rho = y - f(xi) - s (x - xi)

so that a may be 0. The foot points xi follow f by Newton's method, each on its own. What is left is
a problem in beta alone (variable projection, Golub and Pereyra 1973): at the foot points S is
sum e^2 / v, e = (y - f) - f' (x - xi), v = t^2 + a^2 (f' - s)^2 = b^2 + f'^2 a^2 - 2 f' c, and its
gradient -2 sum q e / v. Far from the minimum the step is that of Gauss and Newton, whose matrix is
sum q q^T / v; near it Newton's.

N rows, K weights.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from polyreg.errors import NearlySingular
from polyreg.polynomials.design import Design
from polyreg.polynomials.predictor import slopes, terms_of

CONVERGED = 1e-10  # gradient, each part of it over the root of the matrix' diagonal, of sqrt(S)
NEAR = 0.01  # the same, from where on steps are Newton's
ROUNDING = 2.0**-52
ROUNDED = 64 * ROUNDING  # part of y that a residual's own rounding may be
MOST_STEPS, HALVINGS, MOST_STALLS = 500, 30, 5
MOST_FEET, FOOT_HALVINGS, LAST_FEET = 100, 12, 2
SMALL = 1e-6  # step of delta, after which Newton's method has two more to go at most
FLAT = 1e-8  # singular value of the columns at unit length that counts as 0
VARIANCES = 3  # of the rows, by the slopes of the fit before: for a start


class Rows(NamedTuple):
    """What was measured, each (N,): standard uncertainties a of x and b of y, covariance c."""

    x: np.ndarray
    y: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray

    def swapped(self) -> "Rows":
        """y in place of x."""
        return Rows(self.y, self.x, self.b, self.a, self.c)


@dataclass(frozen=True, eq=False)
class Basis:
    """Functions of x and their derivatives: of a design, of those that lift (K, M) leaves free.

    f has the weights start + lift free.
    """

    design: Design
    lift: np.ndarray
    start: np.ndarray  # (K,)

    def terms(self, x: np.ndarray) -> np.ndarray:
        """(N,)  ->  (N, M)"""
        return self._terms(x) @ self.lift

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """(N,)  ->  (N, M)"""
        return self._slopes(x) @ self.lift

    def value(self, x: np.ndarray, free: np.ndarray) -> np.ndarray:
        """f (N,)"""
        return self._terms(x) @ (self.start + self.lift @ free)

    def slope(self, x: np.ndarray, free: np.ndarray) -> np.ndarray:
        """f' (N,)"""
        return self._slopes(x) @ (self.start + self.lift @ free)

    def bend(self, x: np.ndarray, free: np.ndarray) -> np.ndarray:
        """f'' (N,)"""
        return self._bends(x) @ (self.start + self.lift @ free)

    def _terms(self, x: np.ndarray) -> np.ndarray:
        return self.design.unit * terms_of(vars(self.design.recurrences[0]), x)

    def _slopes(self, x: np.ndarray) -> np.ndarray:
        return self.design.unit * slopes(vars(self.design.recurrences[0]), x)

    def _bends(self, x: np.ndarray) -> np.ndarray:
        """Second derivatives (N,)  ->  (N, K), of the recurrence derived twice."""
        recurrence = self.design.recurrences[0]
        z, radius = (x - recurrence.centre) / recurrence.radius, recurrence.radius
        first, found = slopes(vars(recurrence), x).T, [np.zeros_like(z)]
        steps = zip(recurrence.shifts, recurrence.scales, recurrence.decays, strict=True)
        for k, (shift, scale, decay) in enumerate(steps):
            column = scale * ((z - shift) * found[-1] + 2 * first[k] / radius)
            found.append(column - decay * found[-2] if decay else column)
        return self.design.unit * np.stack(found, axis=1)


@dataclass(frozen=True, eq=False)
class State:
    """A polynomial, and the foot points of the rows on it."""

    free: np.ndarray  # (M,) weights
    delta: np.ndarray  # (N,) (x - xi) / a
    total: float  # S
    xi: np.ndarray  # (N,)
    left: np.ndarray  # (N,) y - f(xi)
    e: np.ndarray  # (N,)
    v: np.ndarray  # (N,)


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where S is least; root^T root is (sum q q^T / v)^-1 in the free weights (M, M)."""

    state: State
    root: np.ndarray
    condition: float
    gradient: float  # as CONVERGED has it
    step: np.ndarray  # (M,) which would have come next
    steps: int

    @property
    def has_converged(self) -> bool:
        return self.gradient <= CONVERGED


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows and functions; `minimum` does the work."""

    rows: Rows
    basis: Basis

    @property
    def s(self) -> np.ndarray:
        a, c = self.rows.a, self.rows.c
        return np.divide(c, a**2, out=np.zeros_like(c), where=a > 0)

    @property
    def t2(self) -> np.ndarray:
        """t^2, above 0 where |c| < a b."""
        return self.rows.b**2 - self.rows.c * self.s

    def minimum(self) -> Minimum:
        """Raises NearlySingular where the rows cannot tell the functions apart."""
        state, stalls, least = self.start(), 0, np.inf
        for count in range(MOST_STEPS):
            gradient, gauss, root, condition = self._gauss_newton(state)
            newton = self._newton(state) if gradient <= NEAR else None
            if gradient <= CONVERGED:  # one more, which is of full effect, where it is one
                last = self._walked(state, gauss if newton is None else newton)
                if last is not None:
                    better = self._gauss_newton(last)
                    if better[0] <= gradient:
                        state, (gradient, gauss, root, condition) = last, better
                return Minimum(state, root, condition, gradient, gauss, count + 1)
            # Where it does not get less, it has come to what rounding leaves.
            stalls += bool(NEAR >= gradient >= least)
            least = min(least, gradient)
            if stalls > MOST_STALLS:
                break
            after = None if newton is None else self._walked(state, newton)
            after = after or self._walked(state, gauss)
            if after is None:
                break
            state = after
        gradient, gauss, root, condition = self._gauss_newton(state)
        return Minimum(state, root, condition, gradient, gauss, count + 1)

    def start(self) -> State:
        """By least squares in y, whose variances follow from the slopes of the fit before."""
        x, y, a, b, _ = self.rows
        q, v = self.basis.terms(x), b**2
        left = y - self.basis.value(x, np.zeros(q.shape[1]))
        for _ in range(VARIANCES):
            weights = 1 / np.sqrt(v)
            free = _factored(q * weights[:, None])[0] @ (left * weights)
            d = self.basis.slope(x, free)
            v = self.t2 + a**2 * (d - self.s) ** 2
        return self.at(free, np.zeros_like(x))

    def at(self, free: np.ndarray, delta: np.ndarray) -> State:
        """With the foot points of these weights, looked for from delta or from x itself."""
        x, y, a, *_ = self.rows
        delta = self._feet(free, delta)
        xi = x - a * delta
        d = self.basis.slope(xi, free)
        rho = self._rho(free, delta)
        left = y - self.basis.value(xi, free)
        e = left - d * a * delta
        v = self.t2 + a**2 * (d - self.s) ** 2
        return State(free, delta, float((delta**2 + rho**2 / self.t2).sum()), xi, left, e, v)

    def _rho(self, free: np.ndarray, delta: np.ndarray) -> np.ndarray:
        moved = self.rows.a * delta
        return self.rows.y - self.basis.value(self.rows.x - moved, free) - self.s * moved

    def _feet(self, free: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Newton's method of each row, with Gauss' and Newton's curvature where that is not above
        0, and the step halved while the row's part of S grows."""
        t2, s, a, x = self.t2, self.s, self.rows.a, self.rows.x

        def part(delta: np.ndarray) -> np.ndarray:
            return delta**2 + self._rho(free, delta) ** 2 / t2

        from_x = part(np.zeros_like(delta))
        here = part(delta)
        delta = np.where(from_x < here, 0.0, delta)
        here = np.minimum(from_x, here)
        left = np.full(len(delta), LAST_FEET)  # steps too small to be told from S, of each row
        for _ in range(MOST_FEET):
            xi = x - a * delta
            rho = self._rho(free, delta)
            p = a * (self.basis.slope(xi, free) - s)
            curvature = 1 + p**2 / t2
            full = curvature - rho * a**2 * self.basis.bend(xi, free) / t2
            step = -(delta + rho * p / t2) / np.where(full > 0, full, curvature)
            step = np.where(left > 0, step, 0.0)
            is_small = np.abs(step) <= SMALL * (1 + np.abs(delta))
            for _ in range(FOOT_HALVINGS):
                there = part(delta + step)
                worse = ~is_small & ~(there < here)
                if not worse.any():
                    break
                step = np.where(worse, step / 2, step)
            else:
                step = np.where(worse, 0.0, step)
            left = np.where(is_small, left - 1, np.where(worse, 0, left))
            delta = delta + step
            here = part(delta)
            if (left <= 0).all():
                break
        return delta

    def _gauss_newton(self, state: State) -> tuple[float, np.ndarray, np.ndarray, float]:
        """The gradient's size, the step, and root and condition of sum q q^T / v."""
        weights = 1 / np.sqrt(state.v)
        columns = self.basis.terms(state.xi) * weights[:, None]
        solver, root, condition = _factored(columns)
        left = state.e * weights
        lengths = np.linalg.norm(columns, axis=0)
        # What is left of y by its own rounding has no gradient to speak of.
        floor = ROUNDED * np.linalg.norm(self.rows.y * weights) / CONVERGED
        gradient = np.abs(columns.T @ left / lengths).max() / max(np.linalg.norm(left), floor)
        return float(gradient) if np.isfinite(gradient) else 0.0, solver @ left, root, condition

    def _newton(self, state: State) -> np.ndarray | None:
        """Newton's step; None where the matrix of second derivatives is not positive definite.

        It is sum [(1 - m f'') q q^T + p n (q q'^T + q' q^T) - n^2 t^2 q' q'^T] / (v - m t^2 f''),
        m = a^2 e / v, n = a e / v, p = a (f' - s): the foot points are eliminated.
        """
        a, t2 = self.rows.a, self.t2
        q, slope = self.basis.terms(state.xi), self.basis.slopes(state.xi)
        bend = self.basis.bend(state.xi, state.free)
        n = a * state.e / state.v
        p = a * (self.basis.slope(state.xi, state.free) - self.s)
        below = state.v - a * n * t2 * bend
        if not (below > 0).all():
            return None
        cross = (q * (p * n / below)[:, None]).T @ slope
        hessian = (q * ((1 - a * n * bend) / below)[:, None]).T @ q + cross + cross.T
        hessian -= (slope * (n**2 * t2 / below)[:, None]).T @ slope
        scale = np.sqrt((q**2 / state.v[:, None]).sum(0))
        try:
            lower = np.linalg.cholesky(hessian / np.outer(scale, scale))
        except np.linalg.LinAlgError:
            return None
        goal = q.T @ (state.e / state.v) / scale
        return np.linalg.solve(lower.T, np.linalg.solve(lower, goal)) / scale

    def _walked(self, state: State, step: np.ndarray) -> State | None:
        """Along the step, halved while S grows by more than its own rounding; None where it
        grows all the same."""
        size = np.linalg.norm(self.rows.y / np.sqrt(self.t2))
        rounding = ROUNDED * (state.total + math.sqrt(state.total) * float(size))
        for _ in range(HALVINGS):
            after = self.at(state.free + step, state.delta)
            if after.total <= state.total + rounding:
                return after
            step = step / 2
        return None


def _factored(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The pseudoinverse (M, N) of columns (N, M), root^T root = inverse Gram matrix, condition.

    Raises NearlySingular.
    """
    lengths = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise NearlySingular
    left, values, right = np.linalg.svd(columns / lengths, full_matrices=False)
    if len(values) < columns.shape[1] or values[-1] <= FLAT * values[0]:
        raise NearlySingular
    root = right / values[:, None] / lengths
    return root.T @ left.T, root, float(values[0] / values[-1])
