"""Fit of a polynomial for each group of a table, by one pass in any order of its rows."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from polyreg.config import FitConfig
from polyreg.errors import BadTable, Refused
from polyreg.groups import pooling, solving
from polyreg.groups.passes.exact import certified
from polyreg.groups.pooled import pooled
from polyreg.groups.results import Results
from polyreg.groups.solved import Solved, solved_groups
from polyreg.groups.sums import Factors
from polyreg.least_squares.origin import Source, unusual
from polyreg.least_squares.problem import POWER_DECADES, TARGET_DECADES, WEIGHT_DECADES
from polyreg.measured import CONDITIONS
from polyreg.polynomials.predictor import weight_of
from polyreg.tables.files import Place
from polyreg.tables.rows import InMemory, Rows
from polyreg.tables.table import Table
from polyreg.text import text


def fit_groups(
    table: Table | InMemory,
    config: FitConfig,
    advance: Callable[[int], Any] = lambda rows: None,
    passes: Any = None,
) -> Results:
    """Least-squares polynomials of the groups that the columns `table.keys` tell apart.

    A group that cannot be fitted has its reason in the Results. advance(rows) is told of progress;
    passes: who reads the table, as cluster.groups.GroupPasses, by default this process.

    Raises Refused where options make no such fit, or, with require_all, where a group has none;
    BadTable where a row has no key.
    """
    reading = passes.read(config, advance) if passes else read(table, config, advance)
    factors, keys, failed = reading.finished()
    usable, shape = ~np.isin(np.arange(len(keys)), [*failed]), None
    if config.pool != "none":
        failed |= pooling.without_own(factors, usable, config)
        require_fitted(failed, keys, config)
        part = np.setdiff1d(np.arange(len(keys)), [*failed])
        solved, shape = pooling.common_shape(factors, part, config)
        degrees = own_degrees(factors, part, shape.degree)
    else:
        solved, refused = own_curves(factors, usable, config)
        failed |= refused
        if config.precision == "certified":
            exactly = passes.certified if passes else partial(certified, table)
            solved, refused = exactly(config, reading.coded, solved)
            failed |= refused
        require_fitted(failed, keys, config)
        degrees = solved.degrees.copy()
    notes = unusual(table)
    if config.degree == "auto" and config.criterion == "cv":
        what = "the degree of the shape is" if shape else "degrees of groups are"
        notes.append(f"{what} chosen by AICc: cross-validation would take the rows once more")
    [variable] = table.names
    dropped = reading.missing if config.missing == "drop" else 0
    common = partial(pooled, factors, degrees, variable, bool(config.sigma))
    counts = reading.rows, dropped
    origin = Source.of(table)
    return Results(
        config, keys, variable, solved, failed, table.units, counts, notes, common, origin, shape
    )


def own_curves(
    factors: Factors, usable: np.ndarray, config: FitConfig
) -> tuple[Solved, dict[int, str]]:
    """Each of the groups `usable` (G,) fitted by itself, and why some cannot be."""
    degrees = np.where(usable, chosen_degrees(factors, config), -1)
    solved, ranks = solved_groups(factors, degrees)
    sizes = degrees + (1 if config.intercept else 0)
    failed = {}
    for g in np.flatnonzero((degrees >= 0) & (ranks < sizes)).tolist():
        failed[g] = too_few(int(factors.count[g]), int(ranks[g]), int(sizes[g]))
        solved.degrees[g] = -1
    return solved, failed


def own_degrees(factors: Factors, part: np.ndarray, degree: int) -> np.ndarray:
    """The degree (G,) of those groups of `part` that tell a curve of their own; of others -1."""
    alone = np.full(len(factors.count), -1)
    _, apart = nested(factors)
    alone[part[apart[part, degree]]] = degree
    return alone


def require_fitted(failed: dict[int, str], keys: list[tuple[Any, ...]], config: FitConfig) -> None:
    """Raises Refused where no group can be fitted, or with --require-all not each."""
    if failed and config.require_all:
        g, why = min(failed.items())
        key = ", ".join(map(str, keys[g]))
        raise Refused(
            f"--require-all: {len(failed):,} of {len(keys):,} groups cannot be fitted, the first "
            f"{key}: {why}"
        )
    if len(failed) == len(keys):
        g, why = min(failed.items())
        raise Refused(f"none of the {len(keys):,} groups can be fitted; the first: {why}")


def read(
    table: Rows, config: FitConfig, advance: Callable[[int], Any] = lambda rows: None
) -> "Reading":
    """One pass over the rows; raises as `fit_groups` does."""
    require_possible(table, config)
    reading = Reading(table, config)
    for place, arrays, _ in table.unjudged():
        reading.add(place, arrays)
        advance(len(arrays[0]))
    return reading


def require_possible(table: Rows, config: FitConfig) -> None:
    """Raises Refused where options or columns make no fit by groups."""
    if len(table.names) != 1:
        raise Refused(
            f"--by fits one variable, and there are {len(table.names)}: {', '.join(table.names)}; "
            "name one of --features"
        )
    others = {
        "loss": (config.loss, "squares"),
        "sigma-x": (config.sigma_x, ""),
        "ridge": (config.ridge, 0.0),
        **{name: (getattr(config, name), "") for name in CONDITIONS},
        "interaction-degree": (config.interaction_degree, 0),
        "band": (config.band, "pointwise"),
        "diagnostics": (config.diagnostics, False),
        "folds": (config.folds, FitConfig.folds),
        "device": (config.device if config.device == "cuda" else "cpu", "cpu"),
    }
    instead = {
        "interaction-degree": "leave it out: there is one variable",
        "folds": "leave it out, and choose degrees by --criterion aicc, bic or f",
        "device": "take --device cpu",
    }
    for name, (given, usual) in others.items():
        if given != usual:
            value = "" if given is True else f" {text(given)}"
            way = instead.get(name, "leave it out, or fit each group's rows alone, without --by")
            raise Refused(f"--by takes no --{name}{value}; {way}")
    if config.weight_function in ("1/y", "1/y^2"):
        raise Refused(
            f"--by takes no --weights {config.weight_function}, which follow from the fit; give a "
            "column, 1/x or 1/x^2"
        )
    if config.degree == "auto" and config.criterion == "lack-of-fit":
        raise Refused("--by takes no --criterion lack-of-fit; take aicc, bic or f")
    if config.pool != "none":
        pooling.require_possible(config)


class Reading:
    """One pass: factors of the groups, what is missing, and the keys."""

    def __init__(self, table: Rows, config: FitConfig):
        self.table, self.config = table, config
        width = config.top_degree + (2 if config.intercept else 1)
        is_weighted = table.weights is not None or bool(config.weight_function)
        self.factors = Factors(width, not config.intercept, is_weighted)
        self.failed: dict[int, str] = {}
        self.rows = self.missing = 0
        self.pairs: dict[tuple[int, ...], int] = {}  # of several key columns

    def add(self, place: Place, arrays: list[np.ndarray]) -> None:
        """Rows as they are read: x, y, weights and keys."""
        table = self.table
        self.rows += len(arrays[0])
        x, y = arrays[:2]
        w = arrays[2] if table.weights is not None else None
        if self.config.weight_function:
            w = weight_of(self.config.weight_function, x, x)
        keys = arrays[len(arrays) - len(table.keys) :]
        kept = ~np.isnan(sum(keys))
        if not kept.all():
            if self.config.missing != "drop":
                raise BadTable(
                    f"{place.row(int(kept.argmin()))} has no value of {', '.join(table.keys)}, and "
                    "belongs to no group; use --missing drop to leave such rows out"
                )
            self.missing += int((~kept).sum())
        codes = np.full(len(x), -1)
        codes[kept] = self.coded([key[kept] for key in keys])
        fine = kept & np.isfinite(x) & np.isfinite(y)
        usable, given = fine, w
        if w is not None and given is not None:
            if not self.config.weight_function:
                fine &= np.isfinite(w)
            with np.errstate(all="ignore"):
                w = w**-2.0 if table.is_sigma else w
                usable = fine & (given > 0) & (np.abs(np.log10(w)) <= WEIGHT_DECADES)
            if self.config.weight_function:
                usable &= x > 0
        if not usable.all():
            self._note(place, codes, kept & ~fine, fine & ~usable, x, given)
            codes, x, y = codes[usable], x[usable], y[usable]
            w = None if w is None else w[usable]
        if len(codes):
            self.factors.add(codes, np.ascontiguousarray(x), np.ascontiguousarray(y), w)

    def coded(self, keys: list[np.ndarray]) -> np.ndarray:
        """One code a row (n,), int64, in the order of first appearance."""
        if len(keys) == 1:
            return keys[0].astype(np.int64)
        rows, first, places = np.unique(
            np.stack(keys, axis=1).astype(np.int64), axis=0, return_index=True, return_inverse=True
        )
        known, found = self.pairs, np.empty(len(rows), np.int64)
        for k in np.argsort(first).tolist():
            found[k] = known.setdefault(tuple(rows[k].tolist()), len(known))
        return found[places.ravel()]

    def _note(self, place: Place, codes: np.ndarray, gaps, bad, x, w) -> None:
        """Rows that are left out: dropped, or the reason why their group has no polynomial."""
        self.missing += int(gaps.sum())
        if self.config.missing == "drop":
            gaps = np.zeros_like(gaps)
        for code, row in _first_of_each(codes, gaps):
            self.failed.setdefault(code, f"a missing or infinite value in {place.row(row)}")
        for code, row in _first_of_each(codes, bad):
            self.failed.setdefault(code, self._bad_weight(place.row(row), x[row], w[row]))

    def _bad_weight(self, where: str, x: float, given: float) -> str:
        """Why a weight or uncertainty is none."""
        if function := self.config.weight_function:
            return (
                f"--weights {function} needs {self.table.names[0]} above 0; it is {x:g} in {where}"
            )
        what = f"the {'uncertainty' if self.table.is_sigma else 'weight'} in {where} is {given:g}"
        if not given > 0:
            return f"{what} and must be positive"
        return f"{what}, whose square leaves float64; rescale it"

    def finished(self) -> tuple[Factors, list[tuple[Any, ...]], dict[int, str]]:
        """The factors, the groups' keys, and why some cannot be fitted."""
        values = [codes.values() for codes in self.table.keys.values()]
        if len(values) == 1:
            keys = [*zip(values[0])]
        else:
            keys = [tuple(v[c] for v, c in zip(values, pair, strict=True)) for pair in self.pairs]
        if not keys:
            raise BadTable(f"{self.table.title} has no rows; a fit needs some")
        self.factors.trim(len(keys))
        factors = self.factors
        for g, why in _too_large(factors, max(1, self.config.top_degree), self.table.names[0]):
            self.failed.setdefault(g, why)
        for g in np.flatnonzero(factors.count == 0).tolist():
            self.failed.setdefault(g, "no row without a missing value")
        return factors, keys, self.failed


def _first_of_each(codes: np.ndarray, rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """The first of these rows (n,) of each code."""
    found, first = np.unique(codes[rows], return_index=True)
    yield from zip(found.tolist(), np.flatnonzero(rows)[first].tolist(), strict=True)


def _too_large(factors: Factors, degree: int, name: str) -> Iterator[tuple[int, str]]:
    """Groups whose powers of x or squares of y leave float64, and that in words."""
    size = np.maximum(np.abs(factors.low), np.abs(factors.high))
    half = factors.high / 2 - factors.low / 2
    with np.errstate(all="ignore"):
        y = np.abs(factors.base) + np.sqrt((factors.factors[:, :, -1] ** 2).sum(axis=1))
        x = np.maximum(_decades(size), np.where(half > 0, _decades(half), 0.0)) * degree
        y_decades = _decades(y)
    for g in np.flatnonzero(~(x <= POWER_DECADES)).tolist():
        yield (
            g,
            (
                f"{name} runs from {factors.low[g]:g} to {factors.high[g]:g}, whose powers up to "
                f"{degree} leave float64; rescale it, or lower the degree"
            ),
        )
    for g in np.flatnonzero(~(y_decades <= TARGET_DECADES)).tolist():
        yield g, f"the target is about {y[g]:g} in size, whose squares leave float64; rescale it"


def _decades(size: np.ndarray) -> np.ndarray:
    """|log10|, 0 of 0; nan and inf stay."""
    return np.where(size == 0, 0.0, np.abs(np.log10(size)))


def too_few(rows: int, rank: int, size: int) -> str:
    if rows < size:
        return f"{rows} row{'s' * (rows != 1)} for {size} terms"
    return f"{rows} rows tell only {rank} of {size} terms apart"


def chosen_degrees(factors: Factors, config: FitConfig) -> np.ndarray:
    """The degree of each group (G,)."""
    groups = len(factors.count)
    if config.degree != "auto":
        return np.full(groups, config.degree)
    first = 0 if config.intercept else 1
    value, possible = criteria(factors, config)
    if config.same_degree:  # of the degrees that half of the groups can have, by those that can
        top = int(np.flatnonzero(possible.mean(axis=0) >= 0.5).max(initial=0))
        total = value[possible[:, top], : top + 1].sum(axis=0)
        return np.full(groups, first + int(total.argmin()))
    if config.criterion == "f":
        return first + _by_tests(factors, config, possible)
    return first + np.where(possible, value, math.inf).argmin(axis=1)


def criteria(factors: Factors, config: FitConfig) -> tuple[np.ndarray, np.ndarray]:
    """AICc or BIC of each group and degree (G, degrees), and whether the rows allow it.

    From one factor: the part of y that a higher degree explains is one square of its last column.
    """
    rss, possible = nested(factors)
    p = np.arange(1, rss.shape[1] + 1)
    n = factors.count[:, None]
    if config.sigma:
        likelihood = rss
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            likelihood = n * np.log(np.maximum(rss, 1e-300) / n)
        p = p + 1  # the variance
    if config.criterion == "bic":
        return likelihood + p * np.log(np.maximum(n, 1)), possible
    possible = possible & (n - p - 1 > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return likelihood + 2 * p + 2 * p * (p + 1) / (n - p - 1), possible


def nested(factors: Factors) -> tuple[np.ndarray, np.ndarray]:
    """Sum of squares that each degree leaves (G, degrees), and whether its terms are told apart."""
    R = factors.factors
    size = R.shape[1] - 1
    with np.errstate(over="ignore", invalid="ignore"):  # of groups that are refused for their size
        parts = R[:, :, -1] ** 2
        rss = np.cumsum(parts[:, ::-1], axis=1)[:, ::-1][:, 1:]
        lengths = np.sqrt((R[:, :size, :size] ** 2).sum(axis=1))
    diagonal = np.abs(np.diagonal(R, axis1=1, axis2=2))[:, :size]
    apart = np.logical_and.accumulate(diagonal > solving.DEPENDENT * lengths, axis=1)
    return rss, apart


def _by_tests(factors: Factors, config: FitConfig, possible: np.ndarray) -> np.ndarray:
    """The highest degree of each group whose nested F test has p < 0.05."""
    from scipy.special import chdtrc, fdtrc

    rss, apart = nested(factors)
    p = np.arange(1, rss.shape[1] + 1)
    free = factors.count[:, None] - p
    gain = rss[:, :-1] - rss[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        if config.sigma:
            chance = chdtrc(1, gain)
        else:
            chance = fdtrc(1, np.maximum(free[:, 1:], 1), gain * free[:, 1:] / rss[:, 1:])
    holds = (chance < 0.05) & apart[:, 1:] & (free[:, 1:] > 0)
    highest = np.arange(1, rss.shape[1])
    return np.where(holds, highest, 0).max(axis=1, initial=0)
