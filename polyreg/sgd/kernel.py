"""SGD and Adam on a CPU, step by step: one plain loop, compiled by numba."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from polyreg.compiling import compiled, is_compiled
from polyreg.errors import Diverged
from polyreg.sgd.curve import Chunk
from polyreg.sgd.rates import SIZES, falling, way_to_go, why_diverged
from polyreg.sgd.training import Measured, Training

UNCOMPILED = 2**14  # numbers in the features of the steps that Python takes: 0.05 s
TOGETHER = 2048  # numbers in the features of the steps that are drawn together: L1 holds them
RUNNING, CONVERGED, DIVERGED = 0, 1, 2


def steps(
    inputs, uniform, truth, noises, noise, batch, scales, decays, table, targets,
    adam, constant, falling, size, momentum,
    optimum, root, tolerance, by_gap, limit,
    order, first, weights, gathered, powers, loss, gap,
):  # fmt: skip
    """Train from step `first` on, until the stop rule holds or loss (T,) and gap (T,) are full.

    Each step draws x (B,) and y = sum_k truth_k x^k + noise N(0, 1) in float64, and rounds them to
    the dtype of weights (K,), in which all the rest is done:

        phi_0 = 1,   phi_{k+1} = scale_k x phi_k - decay_k phi_{k-1},   r = sum_k w_k phi_k - y
        loss = sum r^2 / B,   g_k = 2 sum phi_k r / B

        SGD   v <- m v + rate g,   w <- w - v          gathered (2, K) holds v
        Adam  as torch.optim.Adam                      gathered (2, K) holds its two moments

    Where order (T B,) is not empty, it names the rows of each step instead: of the features,
    table (N, K), and of the targets (N,).

    The rate is `constant`, or where that is nan the one of polyreg.sgd.rates.Rates. The gap is
    |(w - optimum) root|^2 after the step, in float64, with a lower triangular root (K, K), or an
    empty one for 1.

    weights, gathered and powers (2,), Adam's beta^t, are updated. A step whose gap is not below the
    limit, or whose loss is not finite, is not counted and leaves the weights as they were.

    What depends on x alone is done for several steps at once, in loops that are long enough to be
    vectorized. A sum over a batch is four sums, of every fourth sample each, added at the end: its
    order is written out, so that every processor, and Python itself, rounds alike. (A compiler that
    may choose the order is 0.03 us a step faster, and its digits depend on the processor.)

    ->  steps taken, how it stands, low and high of their x, and the first one's rate
    """
    kind = weights.dtype.type
    terms, degree, wanted = len(weights), len(truth) - 1, len(loss)
    quads = (batch + 3) // 4
    width = 4 * quads
    together = max(1, min(wanted, TOGETHER // (width * terms)))
    drawn, value = np.zeros((together, width)), np.zeros((together, width))
    x, y = np.zeros((together, width), weights.dtype), np.zeros((together, width), weights.dtype)
    rows = np.zeros((terms, together, width), weights.dtype)
    for s in range(together):
        for b in range(batch):
            rows[0, s, b] = 1  # where it is 0, all is: in samples that fill up the last four
    squares = np.zeros((together, width), weights.dtype)  # sum_k phi_k^2
    r = np.zeros(width, weights.dtype)
    all_drawn, all_value = drawn.reshape(-1), value.reshape(-1)
    all_x, all_y, all_rows = x.reshape(-1), y.reshape(-1), rows.reshape(terms, -1)
    all_squares = squares.reshape(-1)
    fours, r_fours = rows.reshape(terms, together, quads, 4), r.reshape(quads, 4)
    square_fours = squares.reshape(together, quads, 4)
    lows, highs = np.empty(width, weights.dtype), np.empty(width, weights.dtype)
    for b in range(width):
        lows[b], highs[b] = math.inf, -math.inf
    sums, before = np.empty(terms, weights.dtype), np.empty(terms, weights.dtype)
    error = np.empty(terms)
    auto, zero, count, inertia = math.isnan(constant), kind(0), kind(batch), kind(momentum)
    taken, ended, first_rate = wanted, RUNNING, math.nan
    for t in range(wanted):
        s = t % together
        if s == 0:
            ahead = min(together, wanted - t)
            n = ahead * width
            for j in range(ahead):
                if len(order):
                    for b in range(batch):
                        i = order[(t + j) * batch + b]
                        y[j, b] = targets[i]
                        for k in range(terms):
                            rows[k, j, b] = table[i, k]
                elif uniform:
                    for b in range(batch):
                        drawn[j, b] = inputs.uniform(-1.0, 1.0)
                else:
                    for b in range(batch):
                        drawn[j, b] = inputs.standard_normal()
        if s == 0 and not len(order):
            for b in range(n):
                all_value[b] = truth[degree]
            for k in range(degree - 1, -1, -1):  # Horner's rule
                c = truth[k]
                for b in range(n):
                    all_value[b] = all_value[b] * all_drawn[b] + c
            if noise > 0:
                for j in range(ahead):
                    for b in range(batch):
                        value[j, b] += noise * noises.standard_normal()
            for b in range(n):
                all_x[b] = all_drawn[b]
            for b in range(n):
                all_y[b] = all_value[b] * all_rows[0, b]
            for k in range(terms - 1):
                up, down = scales[k], decays[k]
                below, here, above = all_rows[max(k - 1, 0)], all_rows[k], all_rows[k + 1]
                if k and down != zero:
                    for b in range(n):
                        above[b] = up * all_x[b] * here[b] - down * below[b]
                else:
                    for b in range(n):
                        above[b] = up * all_x[b] * here[b]
        if s == 0 and auto and not adam:
            for b in range(n):
                all_squares[b] = 0
            for k in range(terms):
                for b in range(n):
                    all_squares[b] += all_rows[k, b] * all_rows[k, b]
        for b in range(width):
            r[b] = -y[s, b]
        for k in range(terms):
            w = weights[k]
            for b in range(width):
                r[b] += w * rows[k, s, b]
        p0, p1, p2, p3 = zero, zero, zero, zero
        for i in range(quads):
            p0 += r_fours[i, 0] * r_fours[i, 0]
            p1 += r_fours[i, 1] * r_fours[i, 1]
            p2 += r_fours[i, 2] * r_fours[i, 2]
            p3 += r_fours[i, 3] * r_fours[i, 3]
        mean_square = ((p0 + p2) + (p1 + p3)) / count
        for k in range(terms):
            p0, p1, p2, p3 = zero, zero, zero, zero
            for i in range(quads):
                p0 += fours[k, s, i, 0] * r_fours[i, 0]
                p1 += fours[k, s, i, 1] * r_fours[i, 1]
                p2 += fours[k, s, i, 2] * r_fours[i, 2]
                p3 += fours[k, s, i, 3] * r_fours[i, 3]
            sums[k] = (p0 + p2) + (p1 + p3)

        step = first + t
        rate = constant
        if auto and adam:
            root_of = math.sqrt(1 + step / 100)
            rate = size / (root_of * math.sqrt(root_of))
        elif auto:
            p0, p1, p2, p3 = zero, zero, zero, zero
            for i in range(quads):
                p0 += square_fours[s, i, 0]
                p1 += square_fours[s, i, 1]
                p2 += square_fours[s, i, 2]
                p3 += square_fours[s, i, 3]
            rate = 0.5 / float(((p0 + p2) + (p1 + p3)) / count)
            if falling / step < rate:
                rate = falling / step
            rate *= 1 - momentum
        if t == 0:
            first_rate = rate
        if adam:
            powers[0] *= 0.9
            powers[1] *= 0.999
            pace, spread = kind(rate / (1 - powers[0])), kind(math.sqrt(1 - powers[1]))
            factor = kind(2 / batch)
            for k in range(terms):
                before[k] = weights[k]
                g = factor * sums[k]
                gathered[0, k] += kind(0.1) * (g - gathered[0, k])
                gathered[1, k] = kind(0.999) * gathered[1, k] + kind(0.001) * g * g
                deviation = kind(math.sqrt(gathered[1, k])) / spread + kind(1e-8)
                weights[k] -= pace * gathered[0, k] / deviation
        else:
            factor = kind(2 * rate / batch)
            for k in range(terms):
                before[k] = weights[k]
                gathered[0, k] = inertia * gathered[0, k] + factor * sums[k]
                weights[k] -= gathered[0, k]

        for k in range(terms):
            error[k] = float(weights[k]) - optimum[k]
        if len(root):
            for k in range(terms):
                off, error[k] = error[k], 0.0
                for q in range(k + 1):
                    error[q] += off * root[k, q]
        excess = 0.0
        for k in range(terms):
            excess += error[k] * error[k]
        if not (excess <= limit and mean_square < math.inf):
            for k in range(terms):
                weights[k] = before[k]
            taken, ended = t, DIVERGED
            break
        for b in range(width):
            lows[b] = min(lows[b], x[s, b])
        for b in range(width):
            highs[b] = max(highs[b], x[s, b])
        loss[t], gap[t] = mean_square, excess
        if (excess if by_gap else float(mean_square)) < tolerance:
            taken, ended = t + 1, CONVERGED
            break
    low, high = math.inf, -math.inf
    for b in range(batch):
        low, high = min(low, float(lows[b])), max(high, float(highs[b]))
    return taken, ended, low, high, first_rate


class Compiled:
    """SGD and Adam on a CPU, run by run, each in `steps`.

    Loading numba and what it compiled takes most of a second. Until a run has proved long enough
    for that, Python runs the same loop, a thousand times slower, to the same digits.
    """

    def __init__(self, trainings: Sequence[Training]):
        self._runs = [_Run(t) for t in trainings]
        config = trainings[0].config
        self._first_compiled = 1 + UNCOMPILED // (config.batch_size * len(trainings[0].weights))
        if len(trainings) > 1:
            self._first_compiled = 1

    def uncompiled(self, first: int) -> int:
        """How many steps, from `first` on, Python had better take; 0 where none."""
        return 0 if is_compiled(steps) else max(0, self._first_compiled - first)

    def measure(self, running: Sequence[Training], first: int, count: int) -> Measured:
        """As Stepper's."""
        loop = steps if count <= self.uncompiled(first) else compiled(steps) or steps
        measured, going = [], []
        for m, (training, run) in enumerate(zip(running, self._runs, strict=True)):
            chunk, ended = run.chunk(loop, first, count)
            if ended == DIVERGED:
                at = first + len(chunk.gap)
                training.diverged = Diverged(why_diverged(at, training))
            elif ended == RUNNING:
                going.append(m)
            if len(chunk.gap):
                measured.append((training, chunk))
        return measured, going

    def state(self) -> dict[str, np.ndarray]:
        """As Stepper's."""
        return {name: array.copy() for run in self._runs for name, array in run.state().items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        for run in self._runs:
            for name, array in run.state().items():
                array[:] = state[name]

    def select(self, runs: list[int]) -> None:
        self._runs = [self._runs[m] for m in runs]


class _Run:
    """The arguments of `steps` for a training, whose weights they are."""

    def __init__(self, training: Training):
        config, optimum = training.config, training.optimum
        self._weights = training.weights.numpy()
        self._order = training.stream.order
        self._gathered, self._powers = np.zeros((2, len(self._weights)), config.dtype), np.ones(2)
        constant, adam = config.constant_rate, config.optimizer == "adam"
        size = SIZES["adam"][0] * way_to_go(training)
        self._arguments = (
            *training.stream.source(),
            *training.stream.table(),
            *(adam, math.nan if constant is None else float(constant)),
            *(falling(optimum, training.tolerance), size, float(config.momentum)),
            *(optimum.weights, optimum.root, training.tolerance, config.stop == "gap"),
            training.limit,
        )

    def chunk(self, loop: Callable, first: int, count: int) -> tuple[Chunk, int]:
        """Some steps by this loop, and how the run stands then."""
        loss, gap = np.empty(count), np.empty(count)
        order = self._order(count)
        with np.errstate(all="ignore"):
            taken, ended, low, high, rate = loop(
                *(*self._arguments, order, first),
                *(self._weights, self._gathered, self._powers, loss, gap),
            )
        measured = loss[:taken], gap[:taken]
        return Chunk(first, *measured, low, high, float(rate), ended == CONVERGED), ended

    def state(self) -> dict[str, np.ndarray]:
        return {"gathered": self._gathered, "powers": self._powers}
