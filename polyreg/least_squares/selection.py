"""Choice of the degree: K-fold cross-validation of all degrees, from one pass of sums a fold.

A fold's held-out error needs its rows no more: with the fold's sums G, b, s about a centre, the
residuals of weights w have the mean square (s - 2 d.b + d.G d) / mass, d = w - centre; and what was
trained on is the total minus the fold. Lower degrees are leading blocks of the same sums.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np

from polyreg.errors import NearlySingular, Refused
from polyreg.inference.degrees import SIGNIFICANT, by_test, criteria, lack_of_fit, nested
from polyreg.least_squares.gram import Moments
from polyreg.least_squares.solve_float import Normal
from polyreg.polynomials.solution import EXACT_FIT, information
from polyreg.tables.rows import Block

NAMES = {
    "cv": "cross-validation",
    "aicc": "AICc",
    "bic": "BIC",
    "f": "F",
    "lack-of-fit": "lack of fit",
}
GROUPS = 4096  # of one row a fold, drawn at once


@dataclass(frozen=True)
class Selection:
    """What cross-validation found, by degree; the arrays are as long as `degrees`.

    mse is the mean over the folds of the (weighted) mean squared error on held-out rows, std_error
    its standard error over the folds.
    """

    degrees: list[int]
    mse: np.ndarray
    std_error: np.ndarray
    aic: np.ndarray
    bic: np.ndarray
    folds: int
    tried: int  # the largest degree that was asked for
    few: dict[str, int] = field(default_factory=dict)  # distinct values of features that have few
    criterion: str = "cv"  # that decides: cv, aicc, bic, f or lack-of-fit
    choices: dict[str, int] = field(default_factory=dict)  # of each criterion but cv

    @property
    def best(self) -> int:
        """The degree with the least error."""
        return self.degrees[int(self.mse.argmin())]

    @property
    def chosen(self) -> int:
        """The degree that the criterion decided for."""
        return self.by_cv if self.criterion == "cv" else self.choices[self.criterion]

    @property
    def by_cv(self) -> int:
        """The lowest degree within one standard error of the best (Breiman et al. 1984)."""
        best = int(self.mse.argmin())
        within = self.mse <= self.mse[best] + self.std_error[best]
        return self.degrees[int(within.argmax())]

    @property
    def chosen_mse(self) -> float:
        return float(self.mse[self.degrees.index(self.chosen)])

    def curves(self) -> dict[str, np.ndarray]:
        """By the names under which they are tracked."""
        return {
            "cv/mse": self.mse,
            "cv/std_error": self.std_error,
            "cv/aic": self.aic,
            "cv/bic": self.bic,
        }

    def sentence(self) -> str:
        """What decided, and which criteria would have chosen otherwise."""
        said = self._by_cv() if self.criterion == "cv" else self._by_criterion()
        others = {"cv": self.by_cv, **self.choices}
        agree = [NAMES[k] for k, d in others.items() if d == self.chosen and k != self.criterion]
        differ = [f"{NAMES[k]} would take {d}" for k, d in others.items() if d != self.chosen]
        both = " and ".join([", ".join(agree[:-1])] * (len(agree) > 1) + agree[-1:])
        agreed = f"{both} agree{'s' * (len(agree) == 1)}" if agree else ""
        told = ", ".join([agreed] * bool(agree) + differ)
        return said + (f"; {told}" if self.choices else "")

    def _by_criterion(self) -> str:
        chosen = f"degree {self.chosen}"
        if self.criterion == "f":
            return f"{chosen} is the highest whose nested F test has p < {SIGNIFICANT:g}"
        if self.criterion == "lack-of-fit":
            return f"{chosen} is the lowest whose lack of fit has p >= {SIGNIFICANT:g}"
        said = f"{chosen} has the least {NAMES[self.criterion]}"
        if self.chosen == self.tried > 0:
            said += f"; --max-degree {self.tried} may be too low"
        return said

    def _by_cv(self) -> str:
        mse = dict(zip(self.degrees, self.mse, strict=True))
        best = int(self.mse.argmin())
        said = f"degree {self.chosen} has the least cross-validated mean squared error, "
        said += f"{mse[self.chosen]:.4g}"
        if self.chosen != self.best:
            said = (
                f"degree {self.chosen} is the lowest whose cross-validated mean squared error, "
                f"{mse[self.chosen]:.4g}, is within one standard error "
                f"({self.std_error[best]:.2g}) "
                f"of the least, {mse[self.best]:.4g} at degree {self.best}"
            )
        if self.degrees[-1] < self.tried:
            said += f"; degrees above {self.degrees[-1]} cannot be told apart on these rows"
            held = [n for n, count in self.few.items() if count <= self.degrees[-1] + 1]
            if held:
                told = (f"{name} has only {self.few[name]} distinct values" for name in held)
                said += f": {', '.join(told)}"
        elif self.chosen == self.tried > 0:
            said += f"; --max-degree {self.tried} may be too low"
        return said


def require_folds(rows: int, line: int, folds: int) -> None:
    """Raise Refused where a choice of the degree has no rows for its folds.

    line: terms of degree 1, which the rows outside any one fold have to tell
    """
    if rows >= line + folds:
        return
    most = rows - line
    fewer = f", or lower --folds to {most}" if most >= 2 else f" (--folds 2 would need {line + 2})"
    raise Refused(
        f"choosing the degree in {folds} folds needs at least {line + folds} rows, got {rows}; "
        f"give --degree{fewer}"
    )


def labelled(
    blocks: Iterable[Block],
    folds: int,
    seed: int,
    before: int = 0,
    shuffler: Callable | None = None,
) -> Iterator[tuple[int, Block]]:
    """The rows by fold: of every `folds` rows in file order, one goes to each, at random.

    A row's fold depends on its place alone; the first block comes after `before` rows.
    shuffler: `shuffle`, compiled; by default numpy draws the same folds
    """
    chunk, skipped = divmod(before, GROUPS * folds)
    left = _labels(folds, seed, chunk, shuffler)[skipped:]
    for block in blocks:
        assert block.y is not None
        size = len(block.y)
        while len(left) < size:
            chunk += 1
            left = np.concatenate([left, _labels(folds, seed, chunk, shuffler)])
        label, left = left[:size], left[size:]
        order = np.argsort(label, kind="stable")
        bounds = np.searchsorted(label[order], np.arange(folds + 1))
        ordered = block.take(order)
        for fold in range(folds):
            rows = slice(bounds[fold], bounds[fold + 1])
            if rows.start < rows.stop:
                yield fold, ordered.take(rows)


def _labels(folds: int, seed: int, chunk: int, shuffler: Callable | None) -> np.ndarray:
    dtype = np.uint8 if folds <= 256 else np.uint16  # sorted in half the time
    groups = np.tile(np.arange(folds, dtype=dtype), (GROUPS, 1))
    if shuffler is None:
        return np.random.default_rng([seed, chunk]).permuted(groups, axis=1).ravel()
    last = np.arange(1, folds)
    masks = (1 << np.ceil(np.log2(last + 1)).astype(np.int64)) - 1
    draws = int(GROUPS * ((masks + 1) / (last + 1)).sum() * 1.02)  # what they take, and more
    while True:
        raw = np.random.default_rng([seed, chunk]).bit_generator.random_raw(draws // 2)
        if shuffler(groups, raw.astype("<u8", copy=False).view("<u4"), masks):
            return groups.ravel()
        groups[:], draws = np.arange(folds), 2 * draws


def shuffle(groups, draws, masks):
    """Shuffle each row of groups (G, folds) as numpy's `permuted` does, in a quarter of its time.

    draws: 32 random bits each; masks (folds - 1,): 1, 3, 3, 7, 7, 7, 7, 15, ... are the bits of
    those that may change with place 1, 2, 3, ...  ->  whether there were draws enough

    Place k, from the last on, changes with j, the low bits of a draw, unless j > k (Fisher, Yates).
    """
    used = 0
    for row in groups:
        k = len(masks)
        while k > 0:
            if used == len(draws):
                return False
            j = draws[used] & masks[k - 1]
            used += 1
            # Without a branch, which would be guessed wrong as often as not.
            is_place = j <= k
            j = j if is_place else k
            held = row[j]
            row[j] = row[k]
            row[k] = held
            k -= is_place
    return True


def cross_validate(problem, parts: dict[int, Moments]) -> Selection:
    """Compare all degrees of `problem` by the sums of each fold."""
    total: Moments = reduce(add, parts.values())
    whole = problem.centred(total)
    folds = Normal.stacked([problem.centred(part, whole.centre) for part in parts.values()])
    degrees, mse, aic, bic, sums, sizes = [], [], [], [], [], []
    # Below, errors are y's own rounding, and which is less is chance.
    floor = EXACT_FIT * whole.total(intercept=False) / whole.mass
    for degree, size in problem.sizes.items():
        try:
            errors = np.maximum(floor, _held_out(problem, whole, folds, size))
            rss = problem.solve_float(whole, size).rss
        except NearlySingular:
            break
        degrees.append(degree)
        mse.append(errors)
        free = size if problem.config.intercept else size - 1
        information_of = information(total.count, free, rss, total.log_weights)
        aic.append(information_of[0])
        bic.append(information_of[1])
        sums.append(max(float(rss), floor * whole.mass))
        sizes.append(free)
    if not degrees:
        raise Refused(
            "no degree can be told apart by cross-validation: the features depend on each other, "
            "or on too few rows; give --degree, or leave out --features"
        )
    found = np.array(mse)
    return Selection(
        degrees=degrees,
        mse=found.mean(1),
        std_error=found.std(1, ddof=1) / np.sqrt(len(parts)),
        aic=np.array(aic),
        bic=np.array(bic),
        folds=len(parts),
        tried=problem.config.top_degree,
        few=problem.few,
        criterion=problem.config.criterion,
        choices=choices(problem, degrees, np.array(sums), np.array(sizes), total.count),
    )


def choices(
    problem, degrees: list[int], rss: np.ndarray, sizes: np.ndarray, count: int
) -> dict[str, int]:
    """The degree that each criterion takes, but cross-validation; none with a ridge.

    Raises Refused where the one that is to decide cannot.
    """
    wanted, known = problem.config.criterion, bool(problem.config.sigma)
    if problem.config.ridge:
        if wanted != "cv":
            raise Refused(f"--criterion {wanted} does not hold with --ridge; take cv")
        return {}
    found = {}
    for name, values in zip(("aicc", "bic"), criteria(rss, sizes, count, known), strict=True):
        if (~np.isnan(values)).any():
            found[name] = degrees[int(np.nanargmin(values))]
    found["f"] = degrees[by_test(nested(rss, sizes, count, known)[1], "f") or 0]
    if problem.replicates is not None:
        tested = [
            lack_of_fit(s, int(p), problem.replicates, known)
            for s, p in zip(rss, sizes, strict=True)
        ]
        place = by_test(np.array([test.p for test in tested]), "lack-of-fit")
        if place is not None:
            found["lack-of-fit"] = degrees[place]
        elif wanted == "lack-of-fit":
            why = tested[0].reason or f"no degree up to {degrees[-1]} fits; raise --max-degree"
            raise Refused(f"--criterion lack-of-fit cannot decide: {why}, or take another one")
    if wanted != "cv" and wanted not in found:
        raise Refused(f"--criterion {wanted} cannot decide: there are too few rows; take cv")
    return found


def _held_out(problem, whole: Normal, folds: Normal, size: int) -> np.ndarray:
    """Mean squares (F,) on each of the stacked folds, of the first `size` terms fit to the rest."""
    trained = Normal(
        whole.gram - folds.gram, whole.right - folds.right, whole.rss - folds.rss, whole.centre
    )
    weights = np.zeros_like(folds.right)
    weights[:, :size] = problem.solve_float(trained, size).weights
    return folds.about(weights).rss / folds.mass
