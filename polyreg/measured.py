"""Options of a fit to measured data: what is known of its rows, and of the polynomial."""

from dataclasses import dataclass
from typing import Literal

from polyreg.errors import Refused
from polyreg.options import Options, knob, require

Loss = Literal["squares", "huber", "bisquare", "l1"]
Criterion = Literal["cv", "aicc", "bic", "f", "lack-of-fit"]
WEIGHT_FUNCTIONS = ("1/x", "1/x^2", "1/y", "1/y^2")
CONDITIONS = ("terms", "degrees", "fix", "through", "slope")
LONGEST = 6000  # characters of a text: MLflow's params have no more


@dataclass(frozen=True, kw_only=True)
class Conditioned(Options):
    """What is known of the polynomial itself, and held exactly."""

    terms: str = knob(
        "",
        "The terms of the polynomial, and no others, like 1,x,x^3 or 1,a,a*b; its degree follows.",
        group="Model",
        is_new=True,
    )
    degrees: str = knob(
        "",
        "Highest power of each variable, like a:2,b:1: all products within these (and "
        "--interaction-degree), of no other variable; the total degree follows.",
        group="Model",
        is_new=True,
    )
    fix: str = knob(
        "",
        "Coefficients that are held at a value, like x^2=0.1,1=0.",
        group="Model",
        is_new=True,
    )
    through: str = knob(
        "",
        "Points x:y that are met exactly, like 0:0,1:2.5; of several variables a=0;b=1:5.",
        group="Model",
        is_new=True,
    )
    slope: str = knob(
        "",
        "Derivatives that are met exactly, x:slope, like 0:0; of one variable.",
        group="Model",
        is_new=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.terms and self.degrees:
            raise Refused("--terms and --degrees both choose the terms; give one")
        for name in CONDITIONS:
            value = getattr(self, name)
            require(isinstance(value, str), name, repr(value), "must be text")
            require(not value or value.strip(), name, repr(value), "is empty; leave it out")
            require(
                len(value) <= LONGEST,
                name,
                f"{len(value):,} characters",
                f"must be at most {LONGEST:,} characters, as MLflow's params",
            )

    @property
    def conditions(self) -> tuple[str, ...]:
        """Which of the options are given."""
        return tuple(name for name in CONDITIONS if getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class Measured(Options):
    """A fit to measured data: what is known of the uncertainty of its rows."""

    weights: str = knob(
        "",
        "Column with the weight of each row (1/variance of its target), or a function: 1/x, 1/x^2, "
        "1/y, 1/y^2 (y as fitted); by default all weights are equal.",
        group="Data",
    )
    sigma: str = knob(
        "",
        "Column with the known standard uncertainty of each target: standard errors are then not "
        "scaled by the residuals, and chi2 tests the polynomial.",
        group="Data",
        is_new=True,
    )
    sigma_x: str = knob(
        "",
        "Column with the known standard uncertainty of each x: least squares in x and y.",
        group="Data",
        is_new=True,
    )
    covariance: str = knob(
        "",
        "Column with the covariance of x and y of each row, besides --sigma and --sigma-x.",
        group="Data",
        is_new=True,
    )
    swap: bool = knob(
        False,
        "Fit the feature as a function of the target, as ISO 6143 does.",
        group="Model",
        is_new=True,
    )
    loss: Loss = knob(
        "squares",
        "What is minimized over the residuals: squares, or robustly huber, bisquare or l1 "
        "(absolute values).",
        group="Model",
        is_new=True,
    )
    criterion: Criterion = knob(
        "cv",
        "What chooses the degree of --degree auto: cross-validation (cv), aicc, bic, the nested F "
        "test (f), or the lack of fit against replicates (lack-of-fit).",
        group="Statistics",
        is_new=True,
    )
    diagnostics: bool = knob(
        False,
        "Compare degrees and look for rows to doubt, by two more passes; below a million rows that "
        "is always done.",
        group="Statistics",
        is_new=True,
    )
    band: Literal["pointwise", "simultaneous"] = knob(
        "pointwise",
        "Confidence band in the plots: of each value, or of the whole polynomial (simultaneous).",
        group="Statistics",
        is_new=True,
    )

    def __post_init__(self):
        super().__post_init__()
        both = "are two statements on the uncertainty of the target; give one"
        if self.sigma and self.weights:
            raise Refused(f"--sigma {self.sigma} and --weights {self.weights} {both}")
        require(not self.sigma_x or bool(self.sigma), "sigma-x", self.sigma_x, "needs --sigma")
        require(
            not self.covariance or bool(self.sigma_x),
            "covariance",
            self.covariance,
            "needs --sigma and --sigma-x",
        )
        if self.swap and not self.sigma_x:
            raise Refused("--swap is of errors in x and y; it needs --sigma and --sigma-x")
        require(
            self.loss == "squares" or not self.sigma_x,
            "loss",
            self.loss,
            "must be squares with --sigma-x",
        )

    @property
    def weight_function(self) -> str:
        """The function that gives the rows' weights; "" where a column does, or nothing."""
        return self.weights if self.weights in WEIGHT_FUNCTIONS else ""

    @property
    def weighed_by(self) -> str | None:
        """The column that gives the rows' weights, by itself or as sigma."""
        return self.sigma or (None if self.weight_function else self.weights or None)

    @property
    def more_columns(self) -> tuple[str, ...]:
        """Columns of x's uncertainty and covariance."""
        return tuple(name for name in (self.sigma_x, self.covariance) if name)
