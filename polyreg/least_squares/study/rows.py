"""Second pass of a study: largest residual by degree, rows to doubt, tests in row order."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from polyreg.device import one
from polyreg.inference.influence import AT_ONCE, Measures, times, why_not
from polyreg.inference.residuals import Residuals
from polyreg.inference.study import DoubtedRow
from polyreg.least_squares.study.grouping import Grouping, joined
from polyreg.polynomials.result import Result
from polyreg.tables.rows import Block, Place

TOP = 5  # rows that are kept of each measure
BY = ("studentized", "leverage", "cooks_distance")


class RowPass:
    """Sums and top rows of a fit, and of fits of other degrees, added block after block.

    fits: of the degrees in ascending order, in the leading terms of one design; main among them,
    or alone
    """

    def __init__(self, main: Result, fits: Sequence[Result]):
        self.main, self.fits = main, list(fits) or [main]
        self.widest = self.fits[-1].design
        self.columns = np.zeros((len(self.widest.exponents), len(self.fits)))
        for k, fit in enumerate(self.fits):
            self.columns[: len(fit.weights), k] = fit.weights
        self.is_judged = not why_not(main)
        self.at = self.fits.index(main)
        self.measures = Measures.of(main) if self.is_judged else None
        scale = main.residual_sd if main.residual_sd > 0 else 1.0
        middle = main.low / 2 + main.high / 2
        half = np.where(main.high > main.low, main.high / 2 - main.low / 2, 1.0)
        self.tests = Residuals(middle, half, scale)
        self.groups = Grouping()
        self.largest, self.rss, self.count = np.zeros(len(self.fits)), 0.0, 0
        self._top: dict[str, list[tuple[float, DoubtedRow]]] = {by: [] for by in BY}

    def add(self, place: Place, kept: np.ndarray | slice, block: Block) -> None:
        """The rows of a block, with where they were read."""
        assert block.y is not None
        y = block.y
        before = np.arange(len(y)) if isinstance(kept, slice) else _indices(kept)
        with one():  # threads cost more than what they share here
            for start in range(0, len(y), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                self._add(place, before[part], block.take(part))

    def _add(self, place: Place, rows: np.ndarray, block: Block) -> None:
        y, w = block.y, block.weights
        assert y is not None
        x = np.stack(block.x, axis=1)
        q = self.widest.matrix(torch.from_numpy(x)).numpy()
        residuals = y[:, None] - times(q, self.columns)
        root = None if w is None else np.sqrt(w)
        if root is not None and self.main.is_known:
            found = np.abs(residuals * root[:, None])
        else:
            found = np.abs(residuals)
        self.largest = np.maximum(self.largest, found.max(0))
        r = residuals[:, self.at]
        e = r if root is None else r * root
        self.count, self.rss = self.count + len(e), self.rss + float(e @ e)
        self.tests.add(x, e)
        self.groups.add(joined(block.x, self.main.design.words), y, w)
        if self.measures is not None:
            h = self.measures.leverage(q[:, : len(self.main.weights)], w)
            self._keep(place, rows, (x, y, r), h, self.measures(e, h))

    def _keep(
        self,
        place: Place,
        rows: np.ndarray,
        data: tuple[np.ndarray, np.ndarray, np.ndarray],
        h: np.ndarray,
        found: dict[str, np.ndarray],
    ) -> None:
        x, y, r = data
        found = found | {"leverage": h}
        for by in BY:
            size, top = np.nan_to_num(np.abs(found[by]), nan=-1.0), self._top[by]
            least = top[-1][0] if len(top) == TOP else 0.0
            near = np.flatnonzero(size > least)
            if len(near) > TOP:
                near = near[np.argpartition(-size[near], TOP)[:TOP]]
            for i in np.sort(near).tolist():
                top.append(
                    (float(size[i]), self._row(place, int(rows[i]), x[i], y[i], r[i], i, found))
                )
            top.sort(key=lambda pair: -pair[0])
            del top[TOP:]

    def _row(
        self, place: Place, before: int, x: np.ndarray, y: Any, r: Any, i: int, found: dict
    ) -> DoubtedRow:
        assert self.measures is not None
        studentized = float(found["studentized"][i])
        named = ("leverage", "standardized", "cooks_distance", "robust_weight")
        return DoubtedRow(
            file=place.file,
            row=place.before + before + 1,
            x=tuple(x.tolist()),
            y=float(y),
            residual=float(r),
            studentized=studentized,
            p_bonferroni=float(self.measures.bonferroni(np.array(studentized))),
            **{name: float(found[name][i]) for name in named if name in found},
        )

    def rows(self) -> list[DoubtedRow]:
        """Each once: those of largest |studentized| first, then leverage, then Cook's distance."""
        found = [row for by in BY for _, row in self._top[by]]
        return list({(row.file, row.row): row for row in found}.values())


def _indices(kept: np.ndarray) -> np.ndarray:
    return np.flatnonzero(kept) if kept.dtype == bool else kept
