"""Draw the pictures of these pages, from trainings, a fit, sweeps and a comparison that run here.

    python -m docs.pictures

The figures are the tool's own, at the width of a column of text. The page of a comparison needs
Chromium, and is left out without it. `python -m benchmarks.descent` draws growth.png.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.image import imread, imsave

import polyreg
from polyreg.config import SweepConfig, TrainConfig
from polyreg.fields import Optimizer
from polyreg.reports import fit, sweep_plots, training
from polyreg.sgd import sweep

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
# Inches, at most; the others 6.4.
WIDTHS = {"recovery": 7.2, "selection": 9.0, "heat_map": 7.6, "parallel": 7.6, "optimizers": 7.0}
PANELS = {"selection": 555}  # pixels of the first panel, where one is enough
LEVELS = {"parallel": 15, "comparison": 15}  # of a channel of colour, for a small file


def trained() -> Iterator[tuple[str, Any]]:
    """train --noise 3"""
    [one] = sweep.train_all([TrainConfig(noise=3.0)])
    yield "training", dict(training.figures(one.result(), one))["loss"]


def fitted() -> Iterator[tuple[str, Any]]:
    """fit --data docs/calibration.csv --target celsius --degree auto"""
    data = ROOT / "docs" / "calibration.csv"
    figures = dict(fit.figures(polyreg.fit(data, target="celsius", degree="auto")))
    yield from ((name, figures[name]) for name in ("fit", "selection"))


def swept(names: tuple[str, ...], **options: Any) -> Iterator[tuple[str, Any]]:
    config = SweepConfig(**options)
    combinations = config.combinations()
    runs = sweep.train_all([run for varied in combinations for run in config.runs(varied)])
    rows = {one.config: sweep.Row.of("", one) for one in runs}
    found = sweep.summaries(config, rows, combinations)
    figures = dict(sweep_plots.figures(config, found))
    yield from ((name, figures[name]) for name in names)


def compared(path: Path, browser: str) -> None:
    """train --degree 1 ... 6; compare"""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": ""}
        polyreg = [sys.executable, "-m", "experiments"]
        trainings = [[*polyreg, "train", "--degree", str(degree)] for degree in range(1, 7)]
        shot = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--screenshot={path}"]
        browse = [browser, *shot, "--window-size=720,1078", "comparison.html"]
        for command in (*trainings, [*polyreg, "compare"], browse):
            subprocess.run(command, cwd=folder, check=True, env=environment)


def main() -> None:
    rates = ("auto", 0.1, 0.01, 0.001)
    grid = swept(("heat_map", "parallel"), degrees=(1, 2, 3, 4), learning_rates=rates)
    long: dict[str, Any] = {"seeds": 200, "tolerance": 1e-12, "max_steps": 2000}
    study = swept(("recovery",), degrees=(3,), learning_rates=("auto", 0.01), noises=(0.1,), **long)
    six = swept(
        ("optimizers",),
        degrees=(3,),
        learning_rates=("auto",),
        seeds=20,
        optimizers=get_args(Optimizer),
    )
    everything = (trained(), fitted(), six, grid, study)
    drawn = {name: figure for some in everything for name, figure in some}
    for name, figure in drawn.items():
        width, height = figure.get_size_inches()
        figure.set_size_inches(min(width, WIDTHS.get(name, 6.4)), height)
        for axes in figure.axes[1:] if name in PANELS else ():
            axes.remove()
        for lines in figure.axes[0].collections if name == "parallel" else ():
            lines.set_antialiased(False)  # half of the file
        figure.savefig(PICTURES / f"{name}.png", dpi=110)
    if browser := shutil.which("chromium"):
        compared(PICTURES / "comparison.png", browser)
    for path in (PICTURES / f"{name}.png" for name in (*drawn, "comparison")):
        if path.exists():
            levels = LEVELS.get(path.stem, 63)
            pixels = imread(path)[:, : PANELS.get(path.stem), :3]
            imsave(path, np.round(pixels * levels) / levels)


if __name__ == "__main__":
    main()
