"""Summary of a result: as text for a terminal, as tables for a notebook, in one line."""

import html as escaping
import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from polyreg.inference.breaks import described
from polyreg.inference.levels import level_lines
from polyreg.inference.surface import refusal

WIDTH = 100  # columns of text, at most
LEAST_WIDTH = 78  # as statsmodels' summary
LONGEST = 200  # characters of a name in a notebook
MEANING = (
    "std err is the uncertainty that the noise of the data leaves; digits are the decimal digits "
    "of coef that arithmetic leaves certain, whatever the noise"
)
UNCENTRED = " (uncentred)"  # without an intercept: the sum of squares is that about 0
RELATIVE = "std errors scaled by the residuals; weights are relative"
NO_UNIT = "residual SD is that of y * sqrt(weight), without unit"
KNOWN = "std errors by the known uncertainties of y, not scaled by the residuals; normal quantiles"
ALONE = (
    "digits are the decimal digits of coef that arithmetic leaves certain; they say nothing of the "
    "noise of the data, for which there is no std err here"
)


class Told(NamedTuple):
    """What a summary shows, whatever its form."""

    title: str
    figures: list[tuple[str, str]]  # label and value, those of the left column first
    head: list[str]
    rows: list[list[str]]
    notes: list[str]  # the equation first

    @classmethod
    def of(cls, result: Any) -> "Told":
        if _fitted(result):
            title, figures, table = "Least-squares results", _fit_figures, _fit_table
            title = "Robust results" if result.is_robust else title
        else:
            title, figures, table = "Training results", _training_figures, _training_table
        head, rows, notes = table(result)
        notes = [*result.equations.lines(), *notes, *result.notes]
        return cls(title, figures(result), head, rows, notes)


def _fitted(result: Any) -> bool:
    return not math.isnan(result.solution.rss)


def _fit_figures(result: Any) -> list[tuple[str, str]]:
    bare = not result.intercept
    return [
        ("Dep. Variable", result.target),
        ("Method", f"M-estimate ({result.loss})" if result.is_robust else result.method),
        *([("Ridge", f"{result.ridge:.10g}")] if result.ridge else []),
        ("Precision", result.precision),
        ("No. Observations", f"{result.nobs:,}"),
        ("Df Residuals", f"{result.df_resid:,}"),
        ("Rank", f"{result.rank} of {result.parameters}"),
        (f"R-squared{UNCENTRED}" if bare else "R-squared", number(result.r2, 10)),
        (f"Adj. R-sq.{UNCENTRED}" if bare else "Adj. R-squared", number(result.adjusted_r2, 10)),
        ("AIC", number(result.aic, 10)),
        ("BIC", number(result.bic, 10)),
        *_noise_figures(result),
        ("Cond. No.", number(result.condition, 3)),
    ]


def _noise_figures(result: Any) -> list[tuple[str, str]]:
    if result.loss != "squares":
        return [("Robust SD", number(result.noise_sd, 6))]
    if not result.is_known:
        label = "Residual SD (no unit)" if is_weighted(result) else "Residual SD"
        return [(label, number(result.residual_sd, 6))]
    return [
        ("Uncertainties", result.uncertainties),
        ("Chi2", number(result.chi2, 7)),
        ("P(>chi2)", number(result.chi2_p, 4)),
        ("Reduced chi2", number(result.reduced_chi2, 6)),
    ]


def is_weighted(result: Any) -> bool:
    """Whether rows have weights, which are relative: not where uncertainties are known."""
    has_weights = result.weighted_by is not None or bool(result.weight_function)
    return has_weights and not result.is_known


def _training_figures(result: Any) -> list[tuple[str, str]]:
    (low, high), *_ = result.domain.values()
    known = result.truth is not None
    return [
        ("Dep. Variable", result.target),
        ("Method", result.method),
        ("Basis", result.basis),
        ("Precision", result.precision or "-"),
        ("No. Observations", f"{result.nobs:,}" if result.nobs else "-"),
        ("Degree", str(result.design.degree)),
        (f"Range of {result.variables[0]}", f"{number(low, 6)} to {number(high, 6)}"),
        ("Max. error", number(result.max_error(), 6) if known else "-"),
        ("Cond. No.", number(result.condition, 3)),
    ]


def _fit_table(result: Any) -> tuple[list[str], list[list[str]], list[str]]:
    tail = (1 - result.level) / 2
    t = "z" if result.is_normal else "t"
    head = ["", "coef", "std err", t, f"P>|{t}|", f"[{tail:.6g}", f"{1 - tail:.6g}]", "digits"]
    columns = zip(
        result.terms,
        result.coefficients,
        result.std_errors,
        result.t_values,
        result.p_values,
        result.conf_int(),
        result.digits,
        strict=True,
    )
    rows = [
        [
            term,
            number(value, 10),
            *(number(v, 3) for v in (error, t, p)),
            *(number(v, 6) for v in interval),
            "-" if math.isnan(digits) else f"{digits:.1f}",
        ]
        for term, value, error, t, p, interval, digits in columns
    ]
    chosen = [result.selection.sentence()] if result.selection else []
    return (
        head,
        rows,
        [
            MEANING if result.has_errors else ALONE,
            *scale(result),
            *level_lines(result),
            *shape(result),
            *chosen,
        ],
    )


def shape(result: Any) -> list[str]:
    """Whether it is monotone, or where it turns; of several variables the stationary point."""
    if len(result.variables) > 1:
        return [] if refusal(result) else [result.stationary_point().line]
    if result.design.degree < 1:
        return []
    return [described(result)]


def scale(result: Any) -> list[str]:
    """Where the standard errors come from, unless it is the residuals of equal weights."""
    if result.is_known:
        return [KNOWN]
    if not is_weighted(result):
        return []
    function = f"weights {result.weight_function}: " if result.weight_function else ""
    return [f"{function}{RELATIVE}: {NO_UNIT}"]


def _training_table(result: Any) -> tuple[list[str], list[list[str]], list[str]]:
    if result.truth is None:
        pairs = zip(result.terms, result.coefficients, strict=True)
        return ["", "coef"], [[t, number(v, 10)] for t, v in pairs], []
    rows = [
        [
            term,
            number(truth, 10),
            number(estimate, 10) if term in result.terms else "-",
            number(estimate - truth, 3),
        ]
        for term, truth, estimate in result.against_truth()
    ]
    return ["", "truth", "coef", "error"], rows, []


def line(result: Any) -> str:
    """The figures that matter most, in one line."""
    condition = f"condition {number(result.condition, 3)}"
    if not _fitted(result):
        drawn = f" on {result.nobs:,} samples" if result.nobs else ""
        known = result.truth is not None
        errs = f", max. error of a coefficient {number(result.max_error(), 3)}" if known else ""
        return f"{result.method}{drawn} in the {result.basis} basis{errs}, {condition}"
    if not result.has_full_rank:
        condition = f"rank {result.rank} of {result.parameters}"
    return ", ".join([f"{result.nobs:,} rows", *quality(result), condition, result.precision])


def quality(result: Any) -> list[str]:
    """Residual SD, or chi2, and R2 of a fit; without those that are not known."""
    if result.loss != "squares":
        return [f"loss {result.loss}, robust SD {number(result.noise_sd, 6)}"]
    if result.is_known and not math.isnan(result.chi2):
        return [chi2(result), *_r2(result)]
    unit = " of y * sqrt(weight), without unit" if is_weighted(result) else ""
    figures = [f"residual SD {number(result.residual_sd, 6)}{unit}"]
    return ([] if math.isnan(result.residual_sd) else figures) + _r2(result)


def chi2(result: Any) -> str:
    """chi2 with its degrees of freedom, P and what it comes to for each; the largest deviation."""
    told = f"chi2 {number(result.chi2, 7)} on {result.df_resid:,}"
    if result.df_resid:
        told += f" (P {number(result.chi2_p, 3)}, reduced {number(result.reduced_chi2, 4)})"
    if not math.isnan(result.deviation):
        told += f", largest weighted deviation {number(result.deviation, 4)}"
    return told


def _r2(result: Any) -> list[str]:
    about = "" if result.intercept else UNCENTRED
    return [] if math.isnan(result.r2) else [f"R2{about} {number(result.r2, 10)}"]


def number(value: float, digits: int) -> str:
    """So many significant digits, none of them made up; - for nan, which is: not known."""
    return "-" if math.isnan(value) else f"{value:.{digits}g}"


def text(result: Any) -> str:
    """At most WIDTH columns wide, but for no number: names are shortened, notes wrapped."""
    told = Told.of(result)
    table = list(_aligned([told.head, *told.rows]))
    width = max(LEAST_WIDTH, len(table[0]))
    rule, thin = "=" * width, "-" * width
    parts = [told.title.center(width).rstrip(), rule, *_beside(told.figures, width), rule]
    parts += [table[0], thin, *table[1:], rule]
    for k, note in enumerate(told.notes, 1):
        parts += textwrap.wrap(
            f"[{k}] {_plain(note)}", width, subsequent_indent="    ", break_on_hyphens=False
        )
    return "\n".join(parts)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column left, the others right."""
    names = [_plain(row[0]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*(row[1:] for row in rows), strict=True)]
    room = WIDTH - sum(widths) - 2 * len(widths)
    first = min(max(map(len, names)), max(room, 1))
    for name, row in zip(names, rows, strict=True):
        cells = [_short(name, first).ljust(first), *map(str.rjust, row[1:], widths)]
        yield "  ".join(cells)


def _beside(figures: list[tuple[str, str]], width: int) -> Iterator[str]:
    """Label and value, in two columns."""
    named = max(len(label) for label, _ in figures) + 2
    room = (width - 2) // 2 - named
    for pair in _pairs(figures):
        cells = [
            f"{label}:".ljust(named) + _short(_plain(v), room).rjust(room) for label, v in pair
        ]
        yield "  ".join(cells)


def _pairs(figures: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """The first half beside the second."""
    half = (len(figures) + 1) // 2
    return ([*figures[k::half]] for k in range(half))


def html(result: Any) -> str:
    """Two tables and the notes; names of columns are somebody's own, so that all is escaped."""
    told = Told.of(result)
    named = [[_cell(f"{k}:", "th", "left") + _cell(v) for k, v in p] for p in _pairs(told.figures)]
    figures = "".join(f"<tr>{''.join(cells)}</tr>" for cells in named)
    head = "".join(_cell(name, "th") for name in told.head)
    body = "".join(
        f"<tr>{_cell(row[0], 'th', 'left')}{''.join(map(_cell, row[1:]))}</tr>" for row in told.rows
    )
    # No number of the equation is cut.
    notes = "".join(f"<li>{_escaped(note, len(note))}</li>" for note in told.notes)
    return (
        f"<div><table><caption>{_escaped(told.title)}</caption><tbody>{figures}</tbody></table>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<ol>{notes}</ol></div>"
    )


def _cell(content: str, kind: str = "td", side: str = "right") -> str:
    return f'<{kind} style="text-align: {side}">{_escaped(content)}</{kind}>'


def _escaped(content: str, room: int = LONGEST) -> str:
    return escaping.escape(_short(_plain(content), room))


def _plain(content: str) -> str:
    """One line, of characters that can be shown."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(content.split()))


def _short(content: str, room: int) -> str:
    """Its beginning and its end, which tells x^2 from x^3."""
    if len(content) <= room:
        return content
    end = max(room - 3, 0) // 3
    return content[: max(room - 3 - end, 0)] + "..." + content[len(content) - end :]
