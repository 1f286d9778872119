"""Study of a fit: degrees compared, and rows to doubt, as more passes over its rows found them."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from polyreg.errors import PolyregError
from polyreg.inference.degrees import SIGNIFICANT, Degrees, LackOfFit
from polyreg.text import as_p

DOUBTFUL = 0.05  # Bonferroni p of a row to be doubted
FAR = 1.0  # Cook's distance of a row that moves the fit (Cook and Weisberg 1982)


@dataclass(frozen=True)
class Test:
    """A test of the residuals: its statistic, p (nan: none), and what it says, in words."""

    name: str
    statistic: float
    p: float
    says: str


@dataclass(frozen=True)
class DoubtedRow:
    """A row among those that stand out; nan is what is not known."""

    file: str
    row: int  # from 1, in its file
    x: tuple[float, ...]
    y: float
    residual: float
    leverage: float
    standardized: float
    studentized: float
    p_bonferroni: float
    cooks_distance: float
    robust_weight: float = math.nan

    @property
    def place(self) -> str:
        return f"row {self.row:,} of {self.file}"


@dataclass(frozen=True, eq=False)
class Study:
    """What more passes over the rows of a fit found."""

    degrees: Degrees | None
    no_degrees: str  # why there are none
    lack_of_fit: LackOfFit
    weighted_deviation: float  # largest |y - p(x)| / u; nan where u is not known
    rows: list[DoubtedRow]  # those of largest |studentized|, leverage or Cook's distance
    no_rows: str  # why there are none
    tests: list[Test]

    def most(self, by: str) -> list[DoubtedRow]:
        """The rows in descending order of a field's size, without nan."""
        known = [r for r in self.rows if not math.isnan(getattr(r, by))]
        return sorted(known, key=lambda r: -abs(getattr(r, by)))

    def doubts(self) -> list[str]:
        """What is to be doubted, a sentence each; or that nothing is."""
        told, residuals = [], self.most("studentized")
        for row in [r for r in residuals if r.p_bonferroni < DOUBTFUL][:3]:
            said = f"studentized residual {row.studentized:.3g}"
            if not math.isnan(row.robust_weight):
                said = (
                    f"{row.studentized:.3g} robust SD from the fit, which gives it the weight "
                    f"{row.robust_weight:.2g}"
                )
            told.append(f"{row.place} stands out: {said}, Bonferroni {as_p(row.p_bonferroni)}")
        moving = [r for r in self.most("cooks_distance") if r.cooks_distance > FAR]
        # with one degree of freedom, some row always does
        for row in [r for r in moving if not math.isnan(r.studentized)][:3]:
            told.append(
                f"{row.place} moves the fit: Cook's distance {row.cooks_distance:.3g}, leverage "
                f"{row.leverage:.3g}"
            )
        if not told and residuals:
            row = residuals[0]
            told.append(
                f"no row stands out: the largest studentized residual is {row.studentized:.2g} "
                f"({row.place}), Bonferroni {as_p(row.p_bonferroni)}"
            )
        elif not told and self.no_rows:
            told.append(f"rows were not judged: {self.no_rows}")
        return told + [test.says for test in self.tests if test.p < SIGNIFICANT]

    def to_dict(self) -> dict[str, Any]:
        """As finite JSON; what is infinite is a word."""
        degrees = None
        if self.degrees is not None:
            degrees = {f.name: getattr(self.degrees, f.name).tolist() for f in fields(Degrees)}
        rows, tests = [asdict(r) for r in self.rows], [asdict(t) for t in self.tests]
        return written(
            vars(self)
            | {"degrees": degrees, "lack_of_fit": self.lack_of_fit._asdict()}
            | {"rows": rows, "tests": tests}
        )

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Study":
        """What `to_dict` wrote down."""
        found = dict(document)
        if found["degrees"] is not None:
            columns = {name: np.array(numbers(v)) for name, v in found["degrees"].items()}
            found["degrees"] = Degrees(**columns)
        lack = found["lack_of_fit"]
        F, p, *df = numbers([lack["F"], lack["p"], *lack["df"]])
        found["lack_of_fit"] = LackOfFit(F, p, (df[0], df[1]), lack["reason"])
        found["weighted_deviation"] = numbers([found["weighted_deviation"]])[0]
        found["rows"] = [DoubtedRow(**_known(row)) for row in found["rows"]]
        found["tests"] = [Test(**_known(test)) for test in found["tests"]]
        return cls(**found)


def _known(fields_of: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {k: math.nan if v is None else v for k, v in fields_of.items()}
    return found | ({"x": tuple(found["x"])} if "x" in found else {})


def written(value: Any) -> Any:
    """nan as None and infinities as "inf" and "-inf", in what JSON is made of."""
    if isinstance(value, dict):
        return {k: written(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [written(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def numbers(values: list[Any]) -> list[Any]:
    """The numbers that `written` wrote."""
    return [math.nan if v is None else float(v) if isinstance(v, str) else v for v in values]


class Deferred:
    """A study that is made when it is first asked for; pickled is what was made."""

    def __init__(self, make: Callable[..., Study] | None, found: Study | None = None):
        self.make, self.found = make, found

    def get(self, result: Any, **options: Any) -> Study:
        """Raises PolyregError where the rows are no longer there."""
        if self.found is None:
            if self.make is None:
                raise PolyregError(
                    "degrees and rows were not studied before this result was stored, and its rows "
                    "are not in it; fit them again, by the command with --diagnostics"
                )
            self.found = self.make(result, **options)
        return self.found

    def __getstate__(self) -> dict[str, Any]:
        return {"make": None, "found": self.found}
