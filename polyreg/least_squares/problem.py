"""Exact least squares on a table, from one pass of sums.

    survey -> Problem.of -> accumulate -> answer -> Result

`fast` sums in float64 what a pilot fit to a sample leaves, which is a step of refinement, and
factors by Cholesky. `certified` sums in integers and solves with hundreds of bits, so that each
coefficient is the exact one of the numbers as they are written, rounded. Both change to powers of x
in rationals.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import add

import numpy as np

from polyreg.compiling import compiled
from polyreg.config import FitConfig
from polyreg.errors import NearlySingular, Refused
from polyreg.inference.degrees import Replicates
from polyreg.inference.estimates import ESTIMATED, KNOWN
from polyreg.least_squares import notes, solve_float
from polyreg.least_squares.conditions import levels
from polyreg.least_squares.conditions.affine import Affine
from polyreg.least_squares.conditions.reading import MAX_TERMS, NOTHING, Wanted, variables
from polyreg.least_squares.gram import ExactKernel, FastKernel, Kernel, Moments, totals
from polyreg.least_squares.integers import ozaki, solve_exact
from polyreg.least_squares.selection import cross_validate, labelled, require_folds, shuffle
from polyreg.least_squares.solve_float import Normal, Solved, solve
from polyreg.least_squares.sums import CompiledKernel, choose_compiled, fast_kernel
from polyreg.least_squares.weighing import Weigher, of_x
from polyreg.polynomials import terms
from polyreg.polynomials.design import Design
from polyreg.polynomials.result import Result
from polyreg.tables.rows import Block, Survey

CERTIFIED_VALUES = 10**7  # of the design matrix, up to which `auto` is certified
CERTIFIED_TERMS = 150  # 1.1 s at 126 terms and 2,000 rows, 4.7 s at 210: with the cube
WEIGHT_SPAN = 1e16
INTEGERS = 2.0**53  # from here on float64 skips some
# Decades that sizes may span, up or down: coefficients and sums of squares stay in float64.
POWER_DECADES, TARGET_DECADES, WEIGHT_DECADES = 120, 80, 60


@dataclass(frozen=True)
class Problem:
    """A design on a table, and how its sums are taken."""

    config: FitConfig
    design: Design
    precision: str
    pilot: np.ndarray  # (K,) what the residuals of `fast` are taken from
    y_unit: float  # powers of two, which bring y and the weights to 1/2 at most
    weight_unit: float | None
    device: str
    rows: int  # expected
    low: np.ndarray  # (D,) the domain of the rows
    high: np.ndarray
    is_compiled: bool  # the sums, where there is numba
    notes: tuple[str, ...] = ()
    few: dict[str, int] = field(default_factory=dict)  # distinct values of features that have few
    replicates: Replicates | None = None  # where they are to choose the degree
    weigher: Weigher | None = None  # weights of the rows, where no column has them
    wanted: Wanted = NOTHING  # exact conditions on the polynomial

    @classmethod
    def of(cls, survey: Survey, names: Sequence[str], config: FitConfig, device: str) -> "Problem":
        """Raises Refused where the table cannot have this fit, before any work."""
        size = term_count(names, config, survey.words)
        # Errors in x have conditions of their own (errors_in_x), and perhaps another variable.
        wanted = NOTHING if config.sigma_x else levels.wanted(config, names, survey.words)
        _require_variation(survey, names, config, wanted)
        weigher = of_x(config, names, survey)
        if weigher:
            survey = weigher.surveyed(survey)
        require_sizes(survey, names, config)
        if config.degree == "auto" and not config.sigma_x:
            require_folds(survey.rows, len(names) + 1, config.folds)
        interaction = config.interaction_degree or len(names)
        degree = config.top_degree
        design = Design.fitted(names, survey, degree, interaction, wanted.all_terms)
        precision = chosen_precision(survey.rows, size, config)
        weighted = survey.sample.weights is not None
        problem = cls(
            config=config,
            design=design,
            precision=precision,
            pilot=np.zeros(size),
            y_unit=_power_of_two(survey.y_size),
            weight_unit=_power_of_two(survey.weight_size) if weighted else None,
            device=device,
            rows=survey.rows,
            low=survey.low,
            high=survey.high,
            is_compiled=(precision, device) == ("fast", "cpu")
            and choose_compiled(survey.rows, size),
            notes=() if precision == "certified" else _rounded(survey, names, config),
            few=_few(survey, names, config),
            weigher=weigher,
            wanted=wanted,
        )
        problem.require_rows()
        return problem if precision == "certified" else problem._piloted(survey.sample)

    def require_rows(self) -> None:
        """Raise Refused where conditions cannot hold, or rows are fewer than what is free."""
        if self.config.degree == "auto":
            return
        known, size = self.conditions(), len(self.pilot)
        if known:
            size = len(known.free)
        named = f"{size} terms" if self.wanted == NOTHING else f"{size} free parameters"
        if self.rows < size:
            raise Refused(
                f"{named} need at least as many rows, got {self.rows}; lower --degree"
                + (", or name fewer --terms" if self.wanted.exponents else "")
                + (", or leave out a column of words" if self.design.words else "")
            )

    def _piloted(self, sample: Block) -> "Problem":
        """With the sample's own fit as pilot: near enough, it need not be exact."""
        try:
            return replace(self, pilot=self._of_sample(sample).weights)
        except NearlySingular:
            return self

    def reweighed(self, weigher: Weigher) -> "Problem":
        """The same problem, its rows weighed by another rule."""
        return replace(self, weigher=weigher, weight_unit=_power_of_two(weigher.largest))

    def in_integers(self, note: str) -> "Problem":
        """The same problem, summed in integers."""
        return replace(
            self,
            precision="certified",
            pilot=np.zeros_like(self.pilot),
            notes=(note,),  # not what the notes say of fast
        )

    @property
    def is_exact(self) -> bool:
        """Whether its pass reads the numbers as they are written."""
        return self.precision == "certified"

    def kernel(self) -> Kernel:
        if self.precision == "certified":
            return ExactKernel(self.design, self.y_unit, self.weight_unit, self.device)
        return fast_kernel(self.design, self.pilot, self.device, self.rows, self.is_compiled)

    def accumulate(self, blocks: Iterable[Block], before: int = 0) -> dict[int, Moments]:
        """One pass over rows: the sums of each fold, or of them all where none are needed.

        The rows are those that come after the table's first `before`.
        """
        kernel = self.kernel()
        if self.weigher:
            blocks = map(self.weigher, blocks)
        rows: Iterator[tuple[int, Block]] = ((0, block) for block in blocks)
        if self.config.degree == "auto":
            shuffler = compiled(shuffle) if isinstance(kernel, CompiledKernel) else None
            rows = labelled(blocks, self.config.folds, self.config.seed, before, shuffler)
        return totals(kernel, rows)

    def answer(self, parts: dict[int, Moments]) -> Result:
        """The fit, with how its degree was chosen where that was asked for."""
        if not parts:
            raise Refused("the table has no rows")
        total = reduce(add, parts.values())
        if self.config.degree != "auto":
            return self.solve(total)
        selection = cross_validate(self, parts)
        found = self.solve(total, self.sizes[selection.chosen])
        return replace(found, selection=selection)

    def memory(self) -> int:
        """Bytes of the sums and of the work on them, about."""
        size = len(self.pilot) + 1
        if self.precision == "fast":
            rows = FastKernel(self.design, self.pilot, "cpu", self.rows).rows
            return rows * size * 8 + 8 * 6 * size**2
        work = self.kernel().rows * size * 8
        return 3 * ozaki.LIMBS * work + 150 * 4 * size**2

    def expected_condition(self, sample: Block) -> float:
        """Of the design matrix, by the sample; inf where float64 cannot tell it from that."""
        try:
            return float(self._of_sample(sample).condition)
        except NearlySingular:
            return math.inf

    def _of_sample(self, sample: Block) -> Solved:
        count, none = len(sample.x[0]), np.zeros_like(self.pilot)
        kernel = fast_kernel(self.design, none, "cpu", count, self.is_compiled)
        sums = totals(kernel, [(0, sample)])[0]
        normal, size = Normal.of(sums.gram, none), len(self.pilot)
        return solve(normal, size, conditions=self.conditions())

    @property
    def sizes(self) -> dict[int, int]:
        """How many terms each degree has; those of lower degrees come first in the design."""
        degrees = [*map(self.design.degree_of, self.design.exponents)]
        first = 0 if self.config.intercept else 1
        return {d: sum(t <= d for t in degrees) for d in range(first, self.design.degree + 1)}

    def conditions(self, size: int | None = None) -> Affine | None:
        """What holds exactly of the weights of the first `size` terms; None where nothing does."""
        size = len(self.design.exponents) if size is None else size
        if size not in self._conditions:
            design = self.design.prefix(size) if size < len(self.design.exponents) else self.design
            self._conditions[size] = Affine.of(self.wanted, design, self.config.intercept)
        return self._conditions[size]

    @cached_property
    def _conditions(self) -> dict[int, Affine | None]:
        return {}

    @property
    def terms(self) -> list[str]:
        """Names of the terms of the polynomial."""
        known = self.conditions()
        absent = known.absent if known else ()
        return [name for k, name in enumerate(self.design.terms) if k not in absent]

    @property
    def weighted_by(self) -> str | None:
        """The column of the weights, or of sigma; None where the rows have none of their own."""
        has_column = self.weight_unit is not None and self.weigher is None
        return (self.config.weighed_by or "weights") if has_column else None

    def solve(self, moments: Moments, size: int | None = None) -> Result:
        """The fit of the first `size` terms, all of them by default.

        Raises NearlySingular where `fast` cannot tell the rank.
        """
        design = self.design if size is None else self.design.prefix(size)
        conditions = self.conditions(size)
        if self.precision == "certified":
            sums = self._sums(moments).prefix(len(design.exponents))
            solution = solve_exact.solution(sums, design, self.config.ridge, conditions)
        else:
            normal = self.centred(moments)
            solution = solve_float.solution(normal, design, self.config.ridge, conditions)
        found = Result(
            design=design,
            solution=solution,
            target=self.config.target,
            intercept=conditions is None or conditions.is_centred,
            ridge=self.config.ridge,
            level=self.config.level,
            precision=self.precision,
            nobs=moments.count,
            log_weights=moments.log_weights,
            weighted_by=self.weighted_by,
            weight_function=self.config.weight_function,
            uncertainties=KNOWN if self.config.sigma else ESTIMATED,
            low=self.low,
            high=self.high,
        )
        held = conditions.notes(design) if conditions else ()
        return replace(found, notes=(*self.notes, *held, *notes.notes(found)))

    def centred(self, moments: Moments, centre: np.ndarray | None = None) -> Normal:
        """The sums in float64, about a fit of all terms: differences of fits do not cancel."""
        if self.precision == "fast":
            return Normal.of(moments.gram, self.pilot)
        return self._sums(moments).normal(centre)

    def _sums(self, moments: Moments) -> solve_exact.Sums:
        return solve_exact.Sums.of(moments, self.y_unit, self.weight_unit)

    def solve_float(self, sums: Normal, size: int) -> Solved:
        return solve(sums, size, self.config.ridge, self.conditions(size))


def term_count(names: Sequence[str], config: FitConfig, words: Sequence[str] = ()) -> int:
    """Raises Refused above MAX_TERMS. words: as of Rows"""
    interaction = config.interaction_degree or len(names)
    wanted = levels.wanted(config, variables(names, config), words).all_terms
    size = len(wanted or ()) or terms.count(len(names), config.top_degree, interaction)
    if size > MAX_TERMS:
        raise Refused(
            f"{len(names)} variables at degree {config.top_degree} make {size:,} terms, more than "
            f"{MAX_TERMS:,}; lower --degree, name fewer --features, or, of a fit, set "
            "--interaction-degree"
        )
    if size > CERTIFIED_TERMS and config.precision == "certified":
        raise Refused(
            f"--precision certified has at most {CERTIFIED_TERMS} terms, got {size:,}; use fast, "
            "or lower --degree"
        )
    return size


def chosen_precision(rows: int, size: int, config: FitConfig) -> str:
    if config.precision != "auto":
        return config.precision
    small = rows * size <= CERTIFIED_VALUES and size <= CERTIFIED_TERMS
    return "certified" if small else "fast"


def _few(survey: Survey, names: Sequence[str], config: FitConfig) -> dict[str, int]:
    """Features with no more distinct values than the highest degree needs."""
    counts = [len(np.unique(values)) for values in survey.sample.x]
    triples = zip(names, counts, survey.words or ("",) * len(names), strict=True)
    return {name: n for name, n, column in triples if n <= config.top_degree and not column}


def _require_variation(
    survey: Survey, names: Sequence[str], config: FitConfig, wanted: Wanted
) -> None:
    none = (0,) * len(names)
    has_constant = config.intercept and none in (wanted.exponents or (none,))
    for name, low, high in zip(names, survey.low.tolist(), survey.high.tolist(), strict=True):
        if low == high and has_constant and config.top_degree:
            raise Refused(
                f"feature {name} is constant ({low:g} on every row), as the constant term already "
                "is; leave it out of --features"
            )


def require_sizes(survey: Survey, names: Sequence[str], config: FitConfig) -> None:
    """Raises Refused where powers or squares of the data leave float64."""
    degree = max(1, config.top_degree)
    for name, low, high in zip(names, survey.low.tolist(), survey.high.tolist(), strict=True):
        sizes = {max(abs(low), abs(high)), high / 2 - low / 2} - ({0.0} if low == high else set())
        if any(not size or degree * abs(math.log10(size)) > POWER_DECADES for size in sizes):
            raise Refused(
                f"feature {name} runs from {low:g} to {high:g}, whose powers up to {degree} leave "
                "float64; rescale it, or lower the degree"
            )
    if survey.weight_size > WEIGHT_SPAN * survey.weight_low:
        raise Refused(
            f"the weights run from {survey.weight_low:g} to {survey.weight_size:g}: rows of less "
            f"than 1/{WEIGHT_SPAN:g} of the largest leave no trace; drop them"
        )
    for what, size, decades in (
        (f"target {config.target}", survey.y_size, TARGET_DECADES),
        (f"weight {config.weights or config.sigma}", survey.weight_size, WEIGHT_DECADES),
    ):
        if size and abs(math.log10(size)) > decades:
            raise Refused(
                f"the {what} reaches {size:g} in size, whose squares leave float64; rescale it"
            )


def _rounded(survey: Survey, names: Sequence[str], config: FitConfig) -> tuple[str, ...]:
    sizes = np.maximum(np.abs(survey.low), np.abs(survey.high))
    large = [name for name, size in zip(names, sizes, strict=True) if size >= INTEGERS]
    if survey.y_size >= INTEGERS:
        large.append(config.target)
    if not large:
        return ()
    names = ", ".join(" ".join(name.split()) for name in large)
    return (
        f"{names} reaches 2^53: fast rounds larger integers when it reads them; "
        "take --precision certified, or subtract an offset before, if they are exact",
    )


def _power_of_two(size: float) -> float:
    """At least twice the size."""
    return 2.0 ** (math.frexp(size)[1] + 1) if size else 1.0
