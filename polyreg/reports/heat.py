"""The colours of a sweep's heat maps, which page and figure both draw."""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from polyreg.reports.chart import Scale
from polyreg.reports.panels import ERROR, GAP, STEPS, Panel

OVER = {  # which seeds of a combination a metric's mean is over
    STEPS.name: "over the seeds that converged",
    ERROR.name: "over the seeds that did not diverge",
    GAP.name: "over the seeds that neither converged nor diverged",
}
VIRIDIS = [to_hex(colour) for colour in colormaps["viridis"](range(256))]


class Square(NamedTuple):
    """A cell of a heat map."""

    mean: float | None
    spread: float  # nan: not written
    said: str  # where there is no mean, why; else what is to be said of it, as `3 of 5`
    colour: str  # empty: there is no mean
    ink: str
    group: int  # of the comparison's; -1: none


class Map(NamedTuple):
    """The panels of one metric, which share their colours: the lowest is the first of VIRIDIS."""

    metric: str
    panels: Sequence[tuple[Panel, Sequence[Sequence[Square]]]]
    low: float  # nan: there is no number
    high: float
    has_spread: bool  # in some cell

    @property
    def over(self) -> str:
        """Which seeds its means are over; empty: not known."""
        return OVER.get(self.metric, "")


def by_metric(panels: Sequence[Panel]) -> list[Map]:
    """The heat maps of a sweep, on a log scale where all that a metric has is positive."""
    maps = []
    for metric in dict.fromkeys(panel.metric for panel in panels):
        same = [panel for panel in panels if panel.metric == metric]
        means = np.concatenate([np.ravel(panel.mean) for panel in same]).astype(float)
        means = means[np.isfinite(means)]
        low, high = (float(means.min()), float(means.max())) if means.size else (math.nan,) * 2
        scale = Scale(low, high, low > 1e-300) if high > low else None
        drawn = [(panel, _squares(panel, scale)) for panel in same]
        has_spread = any(np.isfinite(panel.spread).any() for panel in same)
        maps.append(Map(metric, drawn, low, high, has_spread))
    return maps


def _squares(panel: Panel, scale: Scale | None) -> list[list[Square]]:
    rows = []
    for i, said in enumerate(panel.said):
        row = []
        for j, text in enumerate(said):
            mean, group = float(panel.mean[i, j]), int(panel.at[i, j])
            if math.isfinite(mean):
                colour = VIRIDIS[128 if scale is None else round(255 * float(scale.at(mean)))]
                row.append(
                    Square(mean, float(panel.spread[i, j]), text, colour, _ink(colour), group)
                )
            else:
                row.append(Square(None, math.nan, text, "", "", group))
        rows.append(row)
    return rows


@cache
def _ink(colour: str) -> str:
    """Black or white, whichever stands out more from a colour, by WCAG's luminance."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return "#000000" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#ffffff"
