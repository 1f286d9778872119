"""Results of many groups: a mapping from a group's key to its Result."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from polyreg.config import FitConfig
from polyreg.errors import PolyregError
from polyreg.groups import summary
from polyreg.groups.curves import Curves, spelled
from polyreg.groups.pooled import Pooled
from polyreg.groups.pooling import Shape
from polyreg.groups.population import adapted, chebyshev
from polyreg.groups.solved import ARRAYS, Solved
from polyreg.inference.estimates import ESTIMATED, KNOWN
from polyreg.least_squares import notes
from polyreg.least_squares.origin import Source
from polyreg.options import from_params
from polyreg.polynomials.design import Design, floats
from polyreg.polynomials.result import Result
from polyreg.polynomials.solution import Solution, condition_of
from polyreg.polynomials.terms import name as term_name
from polyreg.text import text, without_secrets

ROUNDING = 2.0**-53
FREEDOM = 1e-9  # part of a group's rows, below which no residual is left to judge by


class Results(Mapping):
    """Polynomials of many groups of rows, by the groups' keys.

    A key is the value of the column `by`, or a tuple of the values of several; values are Results,
    made when they are asked for. A group that could not be fitted is no key: `failed` has it, with
    its reason.

    >>> import pandas as pd, polyreg
    >>> rows = pd.DataFrame({"sensor": list("aaabbbc"), "x": [0, 1, 2, 0, 1, 2, 0]})
    >>> rows["y"] = [1, 3, 5, 0, 2, 4.0, 7]
    >>> found = polyreg.fit(rows, target="y", features="x", by="sensor", degree=1)
    >>> found
    <Results: 2 groups by sensor, 1 without a polynomial>
    >>> found["a"].coefficients.round(9).tolist(), found.failed
    ([1.0, 2.0], {'c': '1 row for 2 terms'})
    """

    def __init__(
        self,
        config: FitConfig,
        keys: Sequence[tuple[Any, ...]],
        variable: str,
        solved: Solved,
        failed: Mapping[int, str],
        units: Mapping[str, str],
        counts: tuple[int, int] = (0, 0),
        notes: Sequence[str] = (),
        common: Callable[[], Pooled | None] = lambda: None,
        source: Source | None = None,
        shape: Shape | None = None,
    ):
        """counts: rows that were read, and those of them that were dropped.

        common: makes `pooled`, when it is first asked for; source: None of results that were
        loaded; shape: what is common to all polynomials, None where each is fitted by itself
        """
        self.source, self.shape = source, shape
        self.config, self.variable, self.target = config, variable, config.target
        self.by, self.solved, self.units = config.by, solved, dict(units)
        self.all_keys, self._failed = list(keys), dict(failed)
        (self.rows, self.rows_missing), self.notes, self._common = counts, tuple(notes), common

    def plain(self, key: tuple[Any, ...]) -> Any:
        """The key as users write it: of one column its value alone."""
        return key[0] if len(self.by) == 1 else key

    @cached_property
    def _places(self) -> dict[Any, int]:
        fitted = (g for g in range(len(self.all_keys)) if g not in self._failed)
        return {self.plain(self.all_keys[g]): g for g in fitted}

    @cached_property
    def failed(self) -> dict[Any, str]:
        """Why each of the groups that have no polynomial has none, by its key."""
        return {self.plain(self.all_keys[g]): why for g, why in sorted(self._failed.items())}

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._places)

    def __getitem__(self, key: Any) -> Result:
        if key not in self._places:
            why = self.failed.get(key) if not isinstance(key, list) else None
            told = f"group {key!r} has no polynomial: {why}" if why else f"no group {key!r}"
            raise KeyError(told)
        return self.of(self._places[key])

    def __repr__(self) -> str:
        lost = f", {len(self.failed):,} without a polynomial" if self.failed else ""
        return f"<Results: {len(self):,} groups by {', '.join(self.by)}{lost}>"

    @property
    def is_known(self) -> bool:
        """Whether the uncertainties of y were given."""
        return bool(self.config.sigma)

    def of(self, g: int) -> Result:
        """The polynomial of the group in row g of `to_frame`."""
        solved, config, shape = self.solved, self.config, self.shape
        degree = int(solved.degrees[g])
        size, design = degree + 1, self.design(g)
        inverse = solved.inverse[g, :size, :size].copy()
        exact = [Fraction(w) for w in solved.weights[g, :size].tolist()]
        exact[0] += Fraction(solved.base[g].item())
        made = Result(
            design=design,
            solution=Solution(
                weights=floats(exact),
                coefficients=solved.coefficients[g, :size].copy(),
                inverse=inverse,
                spread=solved.spread[g, :size].copy(),
                errors=solved.errors[g, :size].copy(),
                rss=float(solved.rss[g]),
                tss=float(solved.tss[g]),
                rank=int(solved.terms[g]),
                condition=condition_of(inverse) if not solved.no_intercept else math.nan,
                exact_fit=shape.is_exact if shape else bool(solved.is_exact[g]),
                common=(shape.rss, shape.df_resid) if shape else None,
                absent=(0,) if solved.no_intercept else (),
            ),
            target=self.target,
            intercept=config.intercept,
            level=config.level,
            precision="certified" if solved.is_certified else "fast",
            nobs=int(solved.count[g]),
            log_weights=float(solved.log_weights[g]),
            weighted_by=config.weighed_by,
            weight_function=config.weight_function,
            uncertainties=KNOWN if self.is_known else ESTIMATED,
            units=self.units,
            low=solved.low[g : g + 1].copy(),
            high=solved.high[g : g + 1].copy(),
        )
        said = [shape.sentence(self.variable, self.is_known)] if shape else []
        return replace(made, notes=(*said, *notes.notes(made)))

    def design(self, g: int) -> Design:
        """The basis of a group."""
        solved = self.solved
        ends = solved.low[g].item(), solved.high[g].item()
        return chebyshev(self.variable, int(solved.degrees[g]), *ends)

    @cached_property
    def free(self) -> np.ndarray:
        """Degrees of freedom of each group's residuals (G,), 0 where it was not fitted.

        With one shape for all they are those of all groups together, as is the residual SD.
        """
        own = self.shape.df_resid if self.shape else self.solved.count - self.solved.terms
        return np.where(self.solved.degrees < 0, 0, own)

    @cached_property
    def residual_sd(self) -> np.ndarray:
        """Of each group (G,), nan where there is no freedom."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.sqrt((self.shape or self.solved).rss / self.free)
        return np.where(self.free > 0, found, math.nan)

    @cached_property
    def group_sd(self) -> np.ndarray:
        """sqrt(rss / (rows - leverage)) of each group's own rows (G,), nan without freedom.

        It is the residual SD where each group is fitted by itself. With one shape for all it tells
        which groups lie off that shape; their rss / (rows - leverage) have the noise's mean.
        """
        free = self.solved.count - self.solved.leverage
        known = (self.solved.degrees >= 0) & (free > FREEDOM * np.maximum(self.solved.count, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(known, np.sqrt(self.solved.rss / free), math.nan)

    @cached_property
    def error_scale(self) -> np.ndarray:
        """From roots of `inverse` to standard errors (G,)."""
        if self.is_known:
            return np.where(self.solved.degrees < 0, math.nan, 1.0)
        return self.residual_sd

    def quantiles(self, level: float | None = None) -> np.ndarray:
        """Half an interval's width in standard errors (G,), at a level or the fits' own."""
        level = level or self.config.level
        if not 0 < level < 1:
            raise PolyregError(f"level must be between 0 and 1; got {level}")
        tail = (1 - level) / 2
        if self.is_known:
            return np.full(len(self.free), -ndtri(tail))
        return np.where(self.free > 0, -stdtrit(np.maximum(self.free, 1), tail), math.nan)

    @cached_property
    def curves(self) -> Curves:
        """What predicts new rows by their key."""
        return Curves(self._words(), self.all_keys, self._arrays())

    def _words(self) -> dict[str, Any]:
        return {
            "by": list(self.by),
            "variable": self.variable,
            "weighted_by": self.config.weighed_by,
            "is_known": self.is_known,
            "weight_function": self.config.weight_function,
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self.solved, name) for name in ARRAYS} | {
            "scale": self.error_scale,
            "noise_sd": np.ones(len(self.free)) if self.is_known else self.residual_sd,
            "quantile": self.quantiles(),
        }

    def document(self) -> tuple[dict, list, dict]:
        """What a logged model holds of the results: words, keys and arrays; `from_document`."""
        words = self._words() | {
            "no_intercept": bool(self.solved.no_intercept),
            "is_certified": self.solved.is_certified,
            "params": {
                f.name: without_secrets(text(getattr(self.config, f.name)))
                for f in fields(self.config)
            },
            "failed": [[g, why] for g, why in sorted(self._failed.items())],
            "units": self.units,
            "counts": [self.rows, self.rows_missing],
            "pooled": None if self.pooled is None else asdict(self.pooled),
            "notes": list(self.notes),
            "shape": None if self.shape is None else asdict(self.shape),
        }
        return words, [[*map(plain, key)] for key in self.all_keys], self._arrays()

    @classmethod
    def from_document(cls, words: dict, keys: list, arrays: Mapping[str, np.ndarray]) -> "Results":
        """What `document` wrote down."""
        own = {f: arrays[f] for f in ARRAYS}
        return cls(
            from_params(FitConfig, words["params"]),
            [*map(tuple, keys)],
            words["variable"],
            Solved(no_intercept=words["no_intercept"], **own, is_certified=words["is_certified"]),
            dict(words["failed"]),
            words["units"],
            tuple(words["counts"]),
            words["notes"],
            lambda: None if words["pooled"] is None else Pooled(**words["pooled"]),
            shape=Shape(**words["shape"]) if words.get("shape") else None,
        )

    def predict(
        self, rows: Any, interval: str = "prediction", level: float | None = None
    ) -> pd.DataFrame:
        """Predictions of new rows, whose frame has the columns of x and of the key.

        Columns prediction, low, high, extrapolated and known; see Curves.predict.
        """
        if not isinstance(rows, pd.DataFrame):
            rows = rows.to_pandas() if hasattr(rows, "to_pandas") else pd.DataFrame(rows)
        try:
            return self.curves.predict(rows, interval, self.quantiles(level))
        except ValueError as error:
            raise PolyregError(str(error)) from error

    def to_frame(self) -> pd.DataFrame:
        """A row a group, those without a polynomial too: their note says why."""
        solved, bad = self.solved, self.solved.degrees < 0
        columns: dict[str, Any] = {
            name: [key[d] for key in self.all_keys] for d, name in enumerate(self.by)
        }
        columns["rows"] = solved.count
        columns["degree"] = pd.array(np.where(bad, 0, solved.degrees), dtype="Int64")
        columns["degree"][bad] = pd.NA
        # What a group has no term for is nan, not 0: it was not fitted.
        absent = np.arange(solved.coefficients.shape[1]) > solved.degrees[:, None]
        errors = solved.spread * self.error_scale[:, None]
        for k in range(1 if solved.no_intercept else 0, solved.coefficients.shape[1]):
            term = term_name((k,), (self.variable,))
            columns[f"coef/{term}"] = np.where(absent[:, k], math.nan, solved.coefficients[:, k])
            columns[f"std_error/{term}"] = np.where(absent[:, k], math.nan, errors[:, k])
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = 1 - solved.rss / solved.tss
            relative = solved.errors / np.abs(solved.coefficients) + ROUNDING
            digits = -np.log10(np.where(absent, ROUNDING, relative))
        digits = np.where(np.isnan(digits), 0.0, np.maximum(digits, 0.0))
        if solved.no_intercept:
            digits = digits[:, 1:]
        columns |= {
            "residual_sd": self.residual_sd,
            **({"group_sd": self.group_sd} if self.shape else {}),
            "r2": np.where(bad | (solved.tss <= 0), math.nan, r2),
            "digits": np.where(bad, math.nan, digits.min(axis=1, initial=16.0)),
            "low": np.where(solved.count > 0, solved.low, math.nan),
            "high": np.where(solved.count > 0, solved.high, math.nan),
            "note": [self._failed.get(g, "") for g in range(len(self.all_keys))],
        }
        return pd.DataFrame(columns)

    @property
    def common(self) -> pd.DataFrame | None:
        """The common coefficients of powers of x, where the groups have one shape (`pool`).

        Columns term, estimate, std_error, low, high (at the fits' level), digits.
        """
        if self.shape is None:
            return None
        return self.shape.frame(self.of(next(iter(self._places.values()))))

    @cached_property
    def pooled(self) -> Pooled | None:
        """Fits of groups together, None where nothing tells them apart; see `tests`."""
        return self._common()

    def __getstate__(self) -> dict[str, Any]:
        self.pooled  # noqa: B018 (of the rows' factors, which stay behind)
        return vars(self) | {"_common": None}

    @property
    def tests(self) -> pd.DataFrame | None:
        """Do groups need their own curves?

        One curve, and one shape with own offsets, or own offsets and slopes, each against own
        curves, by F, or chi2 / df1 where uncertainties are known.

        Columns model, parameters, rss, F, df1, df2, p; of the groups that have the commonest
        degree. None where there are not two, or nothing is left to judge by.
        """
        return None if self.pooled is None else self.pooled.frame("tests")

    @property
    def variation(self) -> pd.DataFrame | None:
        """How each coefficient of powers of x - centre differs between groups beyond its error.

        Columns term, mean, std_error, sd_between (DerSimonian and Laird 1986), Q, df, p of equal
        coefficients.
        """
        return None if self.pooled is None else self.pooled.frame("variation")

    @property
    def differing(self) -> pd.DataFrame | None:
        """The groups that differ most from one curve for all: key, F, p_bonferroni."""
        if self.pooled is None:
            return None
        found = self.pooled.frame("differing")
        keys = [self.plain(self.all_keys[g]) for g in found.pop("group")]
        found.insert(0, "key", keys)
        return found

    def adapt(self, x: Any, y: Any) -> Result:
        """The curve of a new group from a point or two: the population's shape, moved to them.

        x, y (n,), n from 1  ->  a Result over the range of all groups, whose intervals hold what
        the points leave open: the spread between groups, and the noise.

        Raises PolyregError after a fit with `pool`, with weights or known uncertainties, and where
        too few groups have their own curve: see `tests`.

        Source: best linear prediction in a model of random coefficients (Laird and Ware 1982).
        """
        return adapted(self, x, y)

    def plot(self) -> Any:
        """The figure of all curves that a run logs, the farthest named; a matplotlib Figure."""
        from polyreg.reports.groups.figures import curves  # what draws is above

        return curves(self, self.config.named((self.variable,)))

    def summary(self) -> str:
        """What `polyreg fit --by` prints: quantiles over the groups, tests, and what to mind."""
        return summary.text(self)

    def _repr_html_(self) -> str:
        """The table for a notebook, and what there is to mind; every name escaped."""
        return summary.html(self)

    def named(self, g: int) -> str:
        """A group as reports call it."""
        return ", ".join(map(spelled, self.all_keys[g]))


def plain(value: Any) -> Any:
    """A key's part as JSON has it."""
    return value if isinstance(value, str | int | float | bool) else str(value)
