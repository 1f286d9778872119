"""Python API: fits, trainings and sweeps as functions of data and options.

The work is that of the command line, and so are the numbers, to the last digit. Nothing here
imports MLflow.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from polyreg import least_squares
from polyreg.api.arguments import as_arguments, config_of, in_python, named_by, words_of
from polyreg.api.conditions import as_items, as_pairs, as_points
from polyreg.api.rows import training_table
from polyreg.config import FitConfig, SweepConfig, TrainConfig
from polyreg.device import available_device, device_of
from polyreg.errors import Refused
from polyreg.groups import fit_groups
from polyreg.sgd import Training
from polyreg.sgd import sweep as sweeps
from polyreg.sgd.descend import descend
from polyreg.sgd.recovery import Recovery
from polyreg.sgd.sweep import Row, Summary
from polyreg.sgd.training import require_headroom
from polyreg.tables import Table, in_memory, is_address, name_of, names_of
from polyreg.tables.variables.possible import require_possible


def fit(
    x: Any,
    y: Any = None,
    *,
    target: str | None = None,
    features: Sequence[str] = (),
    weights: Any = None,
    degree: int | str = 3,
    max_degree: int = 15,
    folds: int = 10,
    interaction_degree: int = 0,
    intercept: bool = True,
    ridge: float = 0.0,
    precision: str = "auto",
    level: float = 0.95,
    missing: str = "refuse",
    skip_bad_files: bool = False,
    seed: int = 0,
    device: str = "cpu",
    engine: str | None = None,
    address: str = "auto",
    exclude: Sequence[str] = (),
    missing_values: Sequence[str] = (),
    separator: str = "auto",
    decimal: str = "auto",
    encoding: str = "auto",
    skip_lines: int | str = "auto",
    no_header: bool = False,
    comment: str = "auto",
    dates: str = "auto",
    sheet: str = "",
    sigma: Any = None,
    sigma_x: Any = None,
    covariance: Any = None,
    swap: bool = False,
    loss: str = "squares",
    criterion: str = "cv",
    band: str = "pointwise",
    by: Any = (),
    interact: Any = (),
    same_degree: bool = False,
    pool: str = "none",
    require_all: bool = False,
    terms: Any = None,
    degrees: Any = None,
    fix: Any = None,
    through: Any = None,
    slope: Any = None,
) -> Any:
    """The polynomial p that minimizes sum_i w_i (y_i - p(x_i))^2, solved exactly.

    p(x) = sum_k c_k prod_d x_d^e_kd, over all exponents of total degree at most `degree`; with
    `ridge`, plus that times the squared weights of the orthogonal polynomials. Conventions are
    statsmodels'; the arithmetic is described in polyreg.least_squares.problem.

    x: (N,) or (N, D), an array, a torch tensor or a list; a frame of pandas, polars or pyarrow; or
        the path or address of a table's files (text such as CSV, Parquet, a spreadsheet, ...; a
        folder, a glob, s3://...). Rows of x, y and weights belong together by their order; pandas'
        indices must be the same
    y: (N,); None where `target` names a column of x
    features: columns of x to use, or functions of them, "log(x)" or "1/(x+273.15)" (`target` too),
        by default all others of numbers or dates but those in `exclude`; of arrays their names.
        A column of words that is named becomes levels, with own curves where `interact` names it
    weights: (N,), 1/variance of each y, or the column of x that holds them; or a function, "1/x",
        "1/x^2", "1/y" or "1/y^2", of y as it is fitted
    sigma: (N,), known standard uncertainty of each y, or a column of x, in place of weights:
        errors are not scaled by the residuals, and Result.chi2 tests the polynomial
    sigma_x, covariance: (N,), known standard uncertainty of each x, and covariance of x and y, or
        columns: least squares in x and y, of one variable
    swap: fit x as a function of y (ISO 6143)
    loss: "squares", or robustly "huber", "bisquare" or "l1"
    criterion: what chooses degree="auto": "cv", "aicc", "bic", "f" or "lack-of-fit"
    band: "simultaneous" draws the band that holds the whole polynomial
    by: column or columns of x whose values tell groups of rows apart, as each sensor: then ->
        Results, a mapping from each group's key to its Result
    same_degree: with by and degree="auto", one degree for all groups
    pool: with by, "offset" or "offset+slope": these alone are each group's, the rest is common
    require_all: with by, an error where a group cannot be fitted, which else is in Results.failed
    degree: total degree; "auto" takes the lowest within one standard error of the least
        cross-validated error, up to `max_degree`, by `folds` folds
    terms: the only terms, as ["1", "x", "x^3"]; degrees: highest power of each variable, as
        {"a": 2, "b": 1}, with all products within; the total degree follows from both
    fix: coefficients held at a value, {"x^2": 0.1}; through: points (x, y) met exactly, x a number,
        or (D,) or {"a": 0, "b": 1} of several variables; slope: (x, derivative), of one. Decimals
        count as they are written; all five may be text, as the command has it
    interaction_degree: variables in one product at most; 0 is no limit
    precision: "certified" is exact in integers, "fast" float64; "auto" is certified up to 10
        million values of the design matrix (rows times terms)
    level: of the intervals, unless another is asked for
    missing: "refuse" or "drop" rows with a missing, masked or infinite value; `missing_values`
        are numbers or words that stand for one, as -999
    separator, decimal, encoding, skip_lines, no_header, comment, dates, sheet: how a file is
        written, as `polyreg fit --help` has it; by default that is found
    engine: "ray" reads files on the cluster at `address`; None in this process

    -> Result: coefficients in the units of the data, with standard errors, digits, predictions

    Raises PolyregError, a ValueError of one line, where data or options make no fit.

    >>> import polyreg
    >>> result = polyreg.fit([0, 1, 2, 3, 4], [1, 3, 9, 19, 33], degree=2)
    >>> result.equation()
    'y = 1.0 + 2.0*x^2'
    >>> float(result(5))
    51.0
    """
    with in_python():
        options: dict[str, Any] = {
            "degree": degree,
            "max_degree": max_degree,
            "folds": folds,
            "interaction_degree": interaction_degree,
            "intercept": intercept,
            "ridge": ridge,
            "precision": precision,
            "level": level,
            "missing": missing,
            "skip_bad_files": skip_bad_files,
            "seed": seed,
            "device": device,
            "engine": engine or "local",
            "address": address,
            "exclude": names_of(exclude),
            "missing_values": words_of(missing_values),
            "separator": separator,
            "decimal": decimal,
            "encoding": encoding,
            "skip_lines": skip_lines,
            "no_header": no_header,
            "comment": comment,
            "dates": dates,
            "sheet": sheet,
            "swap": swap,
            "loss": loss,
            "criterion": criterion,
            "band": band,
            "by": names_of(by),
            "interact": names_of(interact),
            "same_degree": same_degree,
            "pool": pool,
            "require_all": require_all,
            "terms": as_items(terms),
            "degrees": as_pairs(degrees, ":", "degrees"),
            "fix": as_pairs(fix, "=", "fix"),
            "through": as_points(through, "through"),
            "slope": as_points(slope, "slope"),
        }
        measured = {
            "weights": weights,
            "sigma": sigma,
            "sigma_x": sigma_x,
            "covariance": covariance,
        }
        target = None if target is None else name_of(target)
        if is_address(x):
            return _fit_files(str(x), y, target, features, measured, options)
        if engine == "ray":
            raise Refused('engine="ray" reads files; give the path or address of a table as x')
        # Judged before the data are: a typing error is told before minutes of work.
        named: dict[str, Any] = {"data": "memory", "target": "y" if target is None else target}
        given = {what: named_by(what, values) for what, values in measured.items()}
        config = config_of(FitConfig, options | named | given)
        if config.weight_function:
            weights = None
        rows = in_memory(
            x,
            y,
            target=target,
            features=features,
            weights=weights,
            missing=config.missing,
            exclude=config.exclude,
            codes=config.missing_values,
            sigma=sigma,
            more={"sigma_x": sigma_x, "covariance": covariance},
            keys=config.by,
        )
        config = replace(config, target=str(rows.target), features=rows.names)
        require_possible(rows, config)
        if config.by:
            return fit_groups(rows, config)
        return least_squares.fit(rows, config, device_of(config, "float64"))


def _fit_files(
    data: str,
    y: Any,
    target: str | None,
    features: Any,
    measured: dict[str, Any],
    options: dict[str, Any],
) -> Any:
    from polyreg.cluster import cluster_of
    from polyreg.cluster.groups import passes_by_groups

    arrays = [w for w, given in measured.items() if not (given is None or isinstance(given, str))]
    if y is not None or arrays:
        what = arrays[0] if y is None else "y"
        raise Refused(
            f"of the table {data}, y and {what if arrays else 'weights'} are columns: name them, "
            "target='...'"
        )
    named = {"data": data, "target": target or "", "features": names_of(features)}
    named |= {what: name or "" for what, name in measured.items()}
    config = config_of(FitConfig, options | named)
    device = device_of(config, "float64")
    with cluster_of(config, device) as engine:
        rows = Table.of(config, engine and engine.each)
        found: Any
        if config.by:
            found = fit_groups(rows, config, passes=passes_by_groups(engine, rows))
        else:
            found = least_squares.fit(rows, config, device, engine and engine.passes(rows))
        if engine:
            rows.release()
        return found


def train(**options: Any) -> Training:
    """SGD, Adam or their kin, until the stop rule holds: on drawn samples, or on your own rows.

    Minimizes E (w^T phi(x) - y)^2 over batches of y = sum_k c_k x^k + noise, phi the basis; the
    gap is that loss above its least-squares optimum. With `data`, the path of a table or a frame
    of pandas, polars or pyarrow, and `target`, a column of it, the batches are its rows, in epochs,
    and the gap is the mean of (f_w(x) - f_best(x))^2 over them. options are those of TrainConfig,
    whose fields are documented in docs/options.md and by `polyreg train --help`.

    -> Training: `.curve` with `.at` (T,), `.loss` and `.gap` (T,), `.steps`, `.converged`;
    `.result()`, a Result beside the truth; `.model`, a torch.nn.Module of x (N, D); with `data`,
    `.table.best`, the exact fit, and `.epochs`

    Raises PolyregError where an option is unknown or out of bounds, or a table makes no fit, and
    Diverged, one of them, with a bound of the stable rate, where the gap leaves its limit.

    >>> import polyreg
    >>> training = polyreg.train(degree=3, seed=1)
    >>> training.curve.converged, bool(training.curve.gap[-1] < 1e-3)
    (True, True)
    >>> training.result().max_error() < 0.1
    True
    """
    with in_python():
        data = options.get("data", "")
        frame = None if is_address(data) else data
        if not is_address(data) and not hasattr(data, "columns"):
            raise Refused(
                "data must be the path of a table, or a frame of pandas, polars or pyarrow; "
                f"got {type(data).__name__}"
            )
        named = {"data": str(data) if frame is None else "memory"}
        config = config_of(TrainConfig, options | named)
        device, table = available_device(config.device, config.dtype), None
        require_headroom(config)
        if config.data:
            table = training_table(config, frame)
        training = Training(config, device, table)
        start = time.perf_counter()
        for _ in descend(training):
            pass
        training.seconds = time.perf_counter() - start
        return training


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """Trainings of every combination of options with every seed.

    `.runs` is a row a run (config, converged, steps, gap, error, coefficients), `.summaries` one a
    combination (varied, mean(quantity), spread(quantity)); `.trainings` have the curves.
    `.to_frame()` is a DataFrame of the runs, and polyreg.compare(sweep) shows the combinations.

    >>> import polyreg
    >>> found = polyreg.sweep(degrees=(1, 3), learning_rates=("auto",), seeds=2)
    >>> [summary.varied["degree"] for summary in found.summaries], len(found.runs)
    ([1, 3], 4)
    """

    config: SweepConfig
    trainings: list[Training]
    tried: list[dict[str, Any]]  # combinations

    @cached_property
    def runs(self) -> list[Row]:
        return [Row.of("", training) for training in self.trainings]

    @cached_property
    def summaries(self) -> list[Summary]:
        return sweeps.summaries(self.config, {row.config: row for row in self.runs}, self.tried)

    @property
    def best(self) -> Row | None:
        """The run of the least score: steps, times its distance from the truth in tolerances."""
        return sweeps.best(self.runs)

    def to_frame(self) -> Any:
        """All runs as a pandas DataFrame, a row a run, in the order in which they were trained.

        A column for each option that a sweep can vary, and the seed; then converged, diverged
        (bool), steps, rate (the first step's), gap, and error, the distance to the truth
        E (p - q)^2; gap and error of a run that diverged are nan.

        >>> import polyreg
        >>> found = polyreg.sweep(degrees=(2, 3), learning_rates=("auto",), seeds=2)
        >>> found.to_frame()[["degree", "seed", "converged"]].values.tolist()
        [[2, 0, True], [2, 1, True], [3, 0, True], [3, 1, True]]
        """
        import pandas

        options = [*self.config.lists(), "seed"]
        columns = {name: [getattr(row.config, name) for row in self.runs] for name in options}
        for name in ("converged", "diverged", "steps", "rate", "gap", "error"):
            columns[name] = [getattr(row, name) for row in self.runs]
        return pandas.DataFrame(columns)

    def recovery(self) -> Recovery:
        """How the seeds of the best combination lie about the optimum, beside least squares.

        Raises PolyregError where fewer than two of its seeds did not diverge.
        """
        leader = min(self.summaries, key=lambda summary: summary.score)
        if len(leader.kept) < 2:
            raise Refused("recovery needs at least two seeds that did not diverge; raise seeds")
        return leader.recovery()

    def __repr__(self) -> str:
        from polyreg.reports.sweep import report

        return as_arguments("\n".join([self.config.name, *report(self.config, self.summaries)]))


def sweep(**options: Any) -> Sweep:
    """Train every combination of degrees, rates, optimizers, ... with every seed.

    options are those of SweepConfig (`polyreg sweep --help`): lists where `train` has one value,
    as degrees=(1, 2, 3); `trials` lets Optuna choose the combinations. Runs of one shape are
    trained together, in threads; what a run comes to does not depend on the others.

    Raises PolyregError where an option is unknown or out of bounds. A run that diverges is among
    the results, without coefficients.

    >>> import polyreg
    >>> polyreg.sweep(degrees=(3,), learning_rates=("auto",), seeds=2).best.converged
    True
    """
    from polyreg.cluster import cluster_of

    with in_python():
        config = config_of(SweepConfig, options)
        for varied in config.combinations():
            require_headroom(config.run(config.seed, **varied))
        device = device_of(config, config.dtype)
        found: list[Training] = []

        def rows(configs: list[TrainConfig]) -> Iterator[Row]:
            trained = (
                engine.train_all(configs, device, lambda: False)
                if engine
                else sweeps.train_all(configs, device)
            )
            for training in trained:
                found.append(training)
                yield Row.of("", training)

        with cluster_of(config, device) as engine:
            tried = sweeps.explore(config, {}, rows)
        return Sweep(config, found, tried)
