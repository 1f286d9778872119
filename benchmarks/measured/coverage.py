"""How often do intervals hold what they should? Simulated tables, and the truth beside each.

    python -m benchmarks.measured.coverage

TABLES tables of 15 rows of a rising parabola, of each kind of data; each is fitted, and one new y
is drawn at a new x. Counted are the 95 % intervals that hold the truth: of the coefficients, of the
mean at the new x, of the new y, of the new x as it is found from the new y, and the simultaneous
band (of the whole polynomial, so that it holds more often on a range). What chance leaves of a rate
of 95 % in so many tables is its binomial standard error, 0.5 points in 2,000. The table goes to
docs/measured.md.
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

TABLES = 2000
TRUTH = np.array([1.0, 2.0, 0.05])
X = np.repeat([1.0, 2.5, 4.0, 7.0, 10.0], 3)
WHERE, GRID = 6.0, np.linspace(1, 10, 60)
COLUMNS = ("coefficients", "mean", "new y", "x from y", "simultaneous")


def truth(x: Any) -> Any:
    return np.polynomial.polynomial.polyval(x, TRUTH)


class Drawn(NamedTuple):
    """A table, what is said of it to the fit, and of a new reading to the intervals."""

    x: np.ndarray
    y: np.ndarray
    said: dict[str, Any]
    new_y: float
    new_x: float  # as it is read, where x has an error, too
    own: dict[str, Any]  # of a new y
    own_x: dict[str, Any]


def equal(random: np.random.Generator) -> Drawn:
    y = truth(X) + 0.3 * random.normal(size=len(X))
    return Drawn(X, y, {}, truth(WHERE) + 0.3 * random.normal(), WHERE, {}, {})


def weighted(random: np.random.Generator) -> Drawn:
    sd = 0.06 * X
    y = truth(X) + sd * random.normal(size=len(X))
    new = truth(WHERE) + 0.06 * WHERE * random.normal()
    own = {"weights": (0.06 * WHERE) ** -2}
    return Drawn(X, y, {"weights": sd**-2}, new, WHERE, own, {})


def of_x(random: np.random.Generator) -> Drawn:
    drawn = weighted(random)
    return drawn._replace(said={"weights": "1/x^2"}, own={})


def of_y(random: np.random.Generator) -> Drawn:
    y = truth(X) * (1 + 0.05 * random.normal(size=len(X)))
    new = truth(WHERE) * (1 + 0.05 * random.normal())
    return Drawn(X, y, {"weights": "1/y^2"}, new, WHERE, {}, {})


def known(random: np.random.Generator) -> Drawn:
    sigma = random.uniform(0.1, 0.8, len(X))
    y = truth(X) + sigma * random.normal(size=len(X))
    own = {"sigma": 0.4}
    return Drawn(X, y, {"sigma": sigma}, truth(WHERE) + 0.4 * random.normal(), WHERE, own, {})


def in_both(random: np.random.Generator) -> Drawn:
    sigma, sigma_x = random.uniform(0.1, 0.5, len(X)), np.full(len(X), 0.08)
    y = truth(X) + sigma * random.normal(size=len(X))
    x = X + sigma_x * random.normal(size=len(X))
    said = {"sigma": sigma, "sigma_x": sigma_x}
    new_y, new_x = truth(WHERE) + 0.4 * random.normal(), WHERE + 0.08 * random.normal()
    return Drawn(x, y, said, new_y, new_x, {"sigma": 0.4}, {"sigma_x": 0.08})


KINDS: dict[str, Callable[[np.random.Generator], Drawn]] = {
    "equal": equal,
    "weights of each row": weighted,
    "weights 1/x^2": of_x,
    "weights 1/y^2": of_y,
    "sigma known": known,
    "sigma of x and y known": in_both,
}


def held(drawn: Drawn) -> list[Any]:
    """Which intervals of one table hold the truth: five, the first of each coefficient."""
    import polyreg

    found = polyreg.fit(drawn.x, drawn.y, degree=2, **drawn.said)
    low, high = found.conf_int().T
    rows = [(low <= TRUTH) & (high >= TRUTH)]
    at = np.array([drawn.new_x])
    for interval, value, own in (
        ("confidence", truth(WHERE), drawn.own_x),
        ("prediction", drawn.new_y, drawn.own | drawn.own_x),
    ):
        _, below, above = found.predict(at, interval, **own)
        rows.append(below[0] <= value <= above[0])
    inverse = found.inverse(drawn.new_y, **drawn.own)
    rows.append(inverse.low <= WHERE <= inverse.high)
    _, below, above = found.predict(GRID, "confidence", band="simultaneous")
    rows.append(bool(((below <= truth(GRID)) & (truth(GRID) <= above)).all()))
    return rows


def rates(kind: str, tables: int) -> list[float]:
    """The share of tables whose interval holds, by COLUMNS; of the coefficients their mean."""
    random = np.random.default_rng([len(kind), tables])
    found = [held(KINDS[kind](random)) for _ in range(tables)]
    return [float(np.mean(np.stack([row[k] for row in found]))) for k in range(len(COLUMNS))]


def main() -> None:
    print(f"| 95 % intervals of {TABLES:,} tables | {' | '.join(COLUMNS)} |")
    print(f"|--{'|--' * len(COLUMNS)}|")
    for kind in KINDS:
        told = " | ".join(f"{100 * rate:.1f} %" for rate in rates(kind, TABLES))
        print(f"| {kind} | {told} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
