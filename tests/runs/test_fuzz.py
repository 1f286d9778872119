"""Whatever the options, the table, the frame: an answer, or one clear line.

Never a traceback, a warning, a nan that nobody marked, a run left RUNNING, a half-made file.

POLYREG_FUZZ=<n> takes n times as many examples, and others each time:

    POLYREG_FUZZ=20 python -m pytest tests/runs/test_fuzz.py --hypothesis-seed=7
"""

import csv
import gzip
import io
import json
import logging
import math
import os
import re
import tempfile
import time
from dataclasses import dataclass, fields
from itertools import count
from pathlib import Path
from typing import Any, get_args

import click
import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from hypothesis import event, given
from hypothesis import strategies as st

import polyreg
from experiments import fit, predict, sweep, train
from polyreg.config import FitConfig, SweepConfig, TrainConfig
from polyreg.config_reading import PredictConfig
from polyreg.errors import Refused
from polyreg.fields import Basis, Optimizer
from polyreg.least_squares import fitting
from polyreg.options import command, from_params, params
from polyreg.polynomials.predictor import Predictor
from polyreg.tables.table import Table
from tests.conftest import TOLD
from tests.support.hunting import asked

SECONDS = 60  # of one example at most, on a machine that others use too
NUMBERS = [
    *("0", "-0", "1", "-1", "1.5", "0.9", "1e-3", "1e3", "1e15", "1.0000001e15", "1e16", "1e-320"),
    *("5e-324", "1e-30", "1e30", "1e150", "1e308", "-1e308", "1e309", "nan", "-nan", "inf"),
    *("-inf", "Infinity", "0x10", "1_000", "１２", "٣", "1e400", "1,5", "1 ", " 1", "+1", "--1"),
    *("9" * 30, "9" * 400, "9" * 5000, "." * 9, "1e", "e1", "0.1.2"),
]
TEXTS = [
    *("", " ", "\t", "a", "auto", "AUTO", "None", "true", "false", "yes", "on", "-h", "--help"),
    *("a\nb", "\n", "a\r\nb", "\x1b[31mred", "é", "温度", "😀", "\u202ex", "e\u0301", "\ufeff"),
    *("x" * 300, "x" * 7000, "a b", "a,b", "'", '"', '"a', "a/b", "../x", "/", "~", "$HOME", "%s"),
    *(
        "{x}",
        "$x$",
        r"$\frac{",
        "\\",
        "a\\nb",
        "<b>",
        "-",
        ".",
        "..",
        ",",
        ",,",
        ":",
        "@",
        "=",
        "*",
    ),
]
NAMES = [
    *("x", "y", "w", "X", "prediction", "low", "high", "extrapolated", "1", "1e5", "nan", "NA"),
    *("__index_level_0__", "x^2", "x*y", "`", "`x`", "x.2", "coef", "mlflow.runName", "+", "None"),
    *TEXTS,
]


# What is done, and what is to hold after it.


class Place:
    """A store, and for each example a new folder to stand in."""

    def __init__(self, root: Path):
        self.root, self.numbers = root, count()
        self.temporary = root / "temporary"
        self.temporary.mkdir()

    def stand(self) -> Path:
        folder = self.root / f"example-{next(self.numbers)}"
        folder.mkdir()
        os.chdir(folder)
        return folder

    def runs(self, condition: str = "") -> list:
        client = mlflow.MlflowClient()
        experiments = [e.experiment_id for e in client.search_experiments()]
        newest = ["attributes.start_time DESC"]
        return client.search_runs(experiments, condition, max_results=1, order_by=newest)


@pytest.fixture(scope="module")
def place(tmp_path_factory, made_store):
    """One store for the whole file: an example's run is the newest."""
    root = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as here:
        for name in TOLD:
            here.delenv(name, raising=False)
        here.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        here.setenv("POLYREG_PATIENCE", "0")
        here.chdir(root)
        (root / "mlflow.db").write_bytes(made_store.read_bytes())
        mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
        mlflow.create_experiment("polyreg")  # here is where its artifacts come to lie
        made = Place(root)
        here.setattr(tempfile, "tempdir", str(made.temporary))
        # A remark on columns that the model ignores, with each frame.
        here.setattr(logging.getLogger("mlflow.models.utils"), "disabled", True)
        yield made
        mlflow.set_tracking_uri(None)


REMARK = re.compile("warning: |note: ")
OF_A_RUN = re.compile("run +[0-9a-f]{32}$|open +mlflow ui ")


def invoke(main: click.Command, arguments: list[str]):
    """Its result, which is an answer or one line, with nothing left behind."""
    began = time.perf_counter()
    result = CliRunner().invoke(main, arguments)
    took = time.perf_counter() - began
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert took < SECONDS, f"{took:.0f} s"
    require_one_line(result)
    return result


def require_one_line(result) -> None:
    said = result.output
    assert "Traceback" not in said
    if result.exit_code == 0:
        assert "Error" not in said.split("\n")[0], said
        return
    assert result.exit_code in (1, 2), said
    lines = [
        line
        for line in said.removesuffix("\n").split("\n")
        if not REMARK.match(line) and not OF_A_RUN.match(line)
    ]
    assert len(lines) == 1 and lines[0].startswith("Error: "), said
    assert len(lines[0]) > len("Error: ") + 10 and "\r" not in lines[0], said


def require_tidy(place: Place, folder: Path, expected: set[str]) -> None:
    """No run is open, and of files there is what is expected."""
    assert not place.runs("attributes.status = 'RUNNING'")
    assert {f.name for f in folder.iterdir()} == expected
    left = [f.name for f in place.temporary.iterdir() if not f.name.startswith("torchinductor")]
    assert not left, left
    assert not (place.root / "unsent").exists()


def strictly(text: str) -> dict:
    """JSON by the letter: no NaN, no Infinity."""
    return json.loads(text, parse_constant=lambda token: pytest.fail(f"{token} in {text[:300]}"))


def require_told(run, run_folder: Path) -> dict:
    """A run's coefficients.json, which is finite, as are all its metrics; its plots are there."""
    assert run.info.status == "FINISHED"
    document = strictly((run_folder / "coefficients.json").read_text())
    assert all(math.isfinite(row["estimate"]) for row in document["terms"])
    assert all(math.isfinite(value) for value in run.data.metrics.values())
    assert (run_folder / "plots" / "fit.png").stat().st_size > 3000
    return document


def artifacts(run) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


SILENT = re.compile(r"(?<![\w.])[-+]?(nan|inf)(?![\w])")


# Options.


def words(*valid: str):
    """Of an option: mostly a valid word, else one of any kind."""
    return st.one_of(
        st.sampled_from(valid),
        st.sampled_from(valid),
        st.sampled_from(valid),
        st.sampled_from(NUMBERS),
        st.sampled_from(TEXTS),
        st.text(max_size=8),
    )


def rarely(times: int):
    """True about once in so many times."""
    return st.sampled_from([False] * (times - 1) + [True])


def listed(one):
    return st.lists(one, min_size=1, max_size=4).map(",".join)


CONFIGS = {c.__name__: c for c in (TrainConfig, SweepConfig, FitConfig, PredictConfig)}


@st.composite
def command_lines(draw) -> tuple[str, list[str]]:
    name = draw(st.sampled_from(sorted(CONFIGS)))
    arguments = []
    required = {"data": "a.csv", "target": "y", "model": "runs:/a/model"}
    for f in fields(CONFIGS[name]):
        if f.name in required and not draw(rarely(10)):
            arguments += ["--" + f.name, required[f.name]]
    for f in draw(st.lists(st.sampled_from(fields(CONFIGS[name])), max_size=4)):
        choices = [c for c in get_args(f.type) if isinstance(c, str)]
        numbers = listed(st.sampled_from(NUMBERS)) | st.integers().map(str) | st.floats().map(repr)
        value = draw(
            words(*(choices or ["1", "2"])) | numbers | listed(st.sampled_from(choices or TEXTS))
        )
        option = "--" + f.name.replace("_", "-")
        arguments += draw(st.sampled_from([[option, value], [f"{option}={value}"]]))
    if draw(rarely(10)):
        arguments.append(draw(st.sampled_from(TEXTS) | st.text(max_size=8).map("--{}".format)))
    return name, arguments


def check_command_line(name: str, arguments: list[str]) -> str:
    config_class, made = CONFIGS[name], []

    @command(config_class, help="What is parsed.")
    def main(config):
        made.append(config)

    result = invoke(main, arguments)
    if made:
        stored = params(made[0])
        assert from_params(config_class, stored) == made[0]
    return f"{name} {result.exit_code}"


@asked(800)
@given(command_lines())
def test_options_make_a_config_that_its_params_give_again_or_one_line(line):
    event(check_command_line(*line))


TRAIN = {
    "degree": words("0", "1", "2", "3", "5", "20"),
    "coefficients": words(
        "0.9,0.5,3,2.4", "0", "1,-0,1e-320", "1e15,-1e15", ",".join(21 * ["1e15"])
    )
    | listed(st.sampled_from(NUMBERS[:12])),
    "noise": words("0", "0.1", "1e15", "1e-320", "1e6"),
    "inputs": words("normal", "uniform"),
    "basis": words(*get_args(Basis)),
    "optimizer": words(*get_args(Optimizer)),
    "learning-rate": words("auto", "0.1", "1e-3", "1e15", "1e-320", "10", "0.5"),
    "momentum": words("0", "0.9", "0.9999999999999999", "1e-320"),
    "batch-size": words("1", "2", "32", "1000"),
    "tolerance": words("1e-3", "1e-12", "1e308", "5e-324", "1e-320"),
    "stop": words("gap", "batch"),
    "seed": words("0", "1", str(2**63), "9" * 40),
    "dtype": words("float32", "float64"),
    "register-as": words("", "m", "😀", "a b", "m.v", "x" * 200),
}
SWEEP = {
    "degrees": listed(TRAIN["degree"]),
    "learning-rates": listed(TRAIN["learning-rate"]),
    "batch-sizes": words("1", "32", "1,2"),
    "noises": listed(TRAIN["noise"]),
    "bases": listed(TRAIN["basis"]),
    "optimizers": listed(TRAIN["optimizer"]),
    "optimizer": TRAIN["optimizer"],  # its earlier name
    "seeds": st.sampled_from(["1", "2", "0", "-1", "nan", "", "1e9", "9" * 30]),
    "trials": words("0", "1", "2"),
    "save-models": words("best", "all"),
    **{
        name: TRAIN[name]
        for name in (
            *("coefficients", "inputs", "momentum", "tolerance", "stop", "seed"),
            *("dtype", "register-as"),
        )
    },
}


@st.composite
def options(draw, table: dict, base: dict[str, str], most: int) -> list[str]:
    given = dict(base)
    for name in draw(st.lists(st.sampled_from(sorted(table)), max_size=most, unique=True)):
        given[name] = draw(table[name])
    return [f"--{name}={value}" for name, value in given.items()]


def check_train(place: Place, arguments: list[str]) -> str:
    folder = place.stand()
    result = invoke(train.main, [*arguments, "--device=cpu"])
    require_tidy(place, folder, set())
    if result.exit_code == 0:
        [run] = place.runs()
        require_told(run, artifacts(run))
        assert not SILENT.search(result.output), result.output
    return f"train {result.exit_code}"


@asked(20)
@given(options(TRAIN, {"max-steps": "30"}, 4))
def test_a_training_ends_in_coefficients_or_one_line(place, arguments):
    event(check_train(place, arguments))


def check_sweep(place: Place, arguments: list[str]) -> str:
    folder = place.stand()
    result = invoke(sweep.main, [*arguments, "--device=cpu"])
    require_tidy(place, folder, set())
    if result.exit_code == 0:
        assert not SILENT.search(result.output), result.output
        [parent] = place.runs("tags.`mlflow.parentRunId` IS NULL") or [None]
        assert parent.info.status == "FINISHED"
        rows = strictly((artifacts(parent) / "runs.json").read_text())
        assert len(rows["data"]) == parent.data.metrics["runs"] > 0
    return f"sweep {result.exit_code}"


@asked(10)
@given(
    options(SWEEP, {"max-steps": "30", "seeds": "1", "degrees": "1", "learning-rates": "auto"}, 4)
)
def test_a_sweep_ends_in_its_table_or_one_line(place, arguments):
    event(check_sweep(place, arguments))


# Tables.

CELLS = [
    *("", "", "NA", "nan", "inf", "-inf", "1e308", "-1e308", "1e309", "5e-324", "1e-310", "-0"),
    *("0", "1", "1e200", "1e-200", "9007199254740993", "true", "True", "abc", "é", "1,5", " 1"),
    *("2020-01-01", "1_000", "0x10", "+5", "1e5", ".5", "5.", '"', "'1'", "\n", "\x00", "１"),
]
SCALES = [*40 * [0], 1, -1, 3, -3, 8, -8, 15, -15, 40, -40, 60, -60, 77, 150, -150, 300, -300, -320]


@dataclass(frozen=True)
class Column:
    """What a column holds: `kind`, drawn from `seed`, times 10^scale, plus offset."""

    kind: str
    seed: int
    scale: int
    offset: float

    def cells(self, rows: int) -> list[Any]:
        random = np.random.default_rng(self.seed)
        if self.kind in ("normal", "ramp", "constant", "few", "heavy"):
            ramp = np.arange(rows, dtype=float)
            z = {
                "normal": random.normal(size=rows),
                "ramp": ramp,
                "constant": np.ones(rows),
                "few": ramp % (self.seed % 3 + 1),
                "heavy": random.standard_cauchy(rows) ** 3,
            }[self.kind]
            with np.errstate(over="ignore", under="ignore"):
                return (z * float(f"1e{self.scale}") + self.offset).tolist()
        if self.kind == "integers":
            return [int(v) for v in random.integers(-(2**62), 2**62, rows)]
        if self.kind == "booleans":
            return [bool(v) for v in random.integers(0, 2, rows)]
        if self.kind == "dates":
            return [pd.Timestamp("2020-01-01") + pd.Timedelta(days=k) for k in range(rows)]
        if self.kind == "empty":
            return rows * [None]
        return [CELLS[k] for k in random.integers(0, len(CELLS), rows)]  # mixed


COLUMNS = st.builds(
    Column,
    st.sampled_from(
        [
            *16 * ["normal"],
            *3 * ["ramp"],
            *("constant", "few", "heavy", "integers", "booleans", "dates", "empty", "mixed"),
        ]
    ),
    st.integers(0, 99),
    st.sampled_from(SCALES),
    st.sampled_from([*30 * [0.0], 1.0, 1e3, 1e8, 1e16, -1e16, 1e-300, 1e100, 1e308]),
)
QUIRKS = [
    *("bom", "crlf", "cr", "open end", "quoted", "ragged", "long row", "blank line", "semicolon"),
    *("latin-1", "gzip", "empty", "header", "no header", "cut", "utf-16", "spaces", "twice"),
]


@dataclass(frozen=True)
class Sheet:
    """A table as it is written."""

    names: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: int
    edits: tuple[tuple[int, int, str], ...]  # row, column, cell
    kind: str
    quirk: str

    @property
    def file(self) -> str:
        return f"t.{self.kind}" + (".gz" if self.kind == "csv" and self.quirk == "gzip" else "")

    def cells(self) -> list[list[Any]]:
        found = [column.cells(self.rows) for column in self.columns]
        for row, column, cell in self.edits:
            if self.rows:
                found[column % len(found)][row % self.rows] = cell
        return found

    def write(self, folder: Path) -> None:
        content = self._csv() if self.kind == "csv" else self._parquet()
        (folder / self.file).write_bytes(content)

    def _csv(self) -> bytes:
        out, quirk = io.StringIO(), self.quirk
        end = {"crlf": "\r\n", "cr": "\r"}.get(quirk, "\n")
        writer = csv.writer(
            out,
            delimiter=";" if quirk == "semicolon" else ",",
            quoting=csv.QUOTE_ALL if quirk == "quoted" else csv.QUOTE_MINIMAL,
            lineterminator=end,
        )
        if quirk != "no header":
            writer.writerow(self.names)
        lines = [] if quirk == "header" else list(zip(*self.cells(), strict=True))
        for k, line in enumerate(lines):
            if k == len(lines) // 2:
                if quirk == "ragged":
                    line = line[:-1]
                if quirk == "long row":
                    line = [*line, 1]
                if quirk == "blank line":
                    out.write(end)
            if quirk == "spaces":
                line = [f" {cell} " for cell in line]
            writer.writerow(["" if cell is None else cell for cell in line])
        text = out.getvalue()
        if quirk == "open end":
            text = text.removesuffix(end)
        if quirk == "cut":
            text = text[: 2 * len(text) // 3]
        if quirk == "empty":
            text = ""
        encoding = {"bom": "utf-8-sig", "latin-1": "latin-1", "utf-16": "utf-16"}.get(
            quirk, "utf-8"
        )
        content = text.encode(encoding, "replace")
        return gzip.compress(content) if quirk == "gzip" else content

    def _parquet(self) -> bytes:
        out = io.BytesIO()
        cells = self.cells()
        if self.quirk in ("empty", "header"):
            cells = [column[:0] for column in cells]
        arrays = []
        for column in cells:
            try:
                arrays.append(pa.array(column))
            except (pa.ArrowException, OverflowError):
                arrays.append(pa.array([None if cell is None else str(cell) for cell in column]))
        pq.write_table(pa.table(arrays, names=list(self.names)), out, row_group_size=9)
        content = out.getvalue()
        return content[: len(content) // 2] if self.quirk == "cut" else content


@st.composite
def sheets(draw, names=None) -> Sheet:
    if names is None:
        odd = st.sampled_from(NAMES) | st.text(max_size=5)
        names = [draw(odd) if draw(rarely(5)) else plain for plain in ("a", "b", "c", "y")]
        names = names[-draw(st.sampled_from([1, 2, 2, 2, 3, 3, 4])) :]
        if not draw(rarely(10)):
            names = list(dict.fromkeys(names))
    edited = st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from(CELLS))
    return Sheet(
        names=tuple(names),
        columns=tuple(draw(COLUMNS) for _ in names),
        rows=draw(st.sampled_from([0, 1, 2, 3, 5, 8, *8 * [20], *8 * [40]])),
        edits=tuple(draw(st.lists(edited, max_size=2)) if draw(rarely(5)) else ()),
        kind=draw(st.sampled_from(["csv", "parquet"])),
        quirk=draw(st.sampled_from([*60 * [""], *QUIRKS])),
    )


FIT = {
    "degree": st.sampled_from(["0", "1", "2", "3", "4", "7", "auto", "auto", "12", "40"]),
    "max-degree": st.sampled_from(["0", "1", "3", "6"]),
    "folds": st.sampled_from(["2", "3", "10", "1000"]),
    "missing": st.just("drop"),
    "precision": st.sampled_from(["fast", "certified"]),
    "intercept": st.just("false"),
    "ridge": st.sampled_from(["0", "1e-320", "1e-3", "1", "1e15"]),
    "level": st.sampled_from(["5e-324", "0.5", "0.9999999999999999", "1e-10"]),
    "interaction-degree": st.sampled_from(["1", "2", "99"]),
    "seed": st.sampled_from(["1", "9" * 40]),
}


@st.composite
def fits(draw) -> tuple[Sheet, list[str]]:
    sheet = draw(sheets())
    any_name = st.sampled_from([*sheet.names, "none"])
    target = draw(any_name) if draw(rarely(20)) else sheet.names[-1]
    arguments = draw(options(FIT, {"degree": "1", "target": target}, 4))
    if draw(rarely(5)):
        line = io.StringIO()
        some = any_name if draw(rarely(10)) else st.sampled_from(sheet.names[:-1] or ("a",))
        features = draw(st.lists(some, min_size=1, max_size=3, unique=True))
        csv.writer(line, lineterminator="").writerow(features)
        arguments.append(f"--features={line.getvalue()}")
    if draw(rarely(6)):
        some = any_name if draw(rarely(10)) else st.sampled_from(sheet.names[:-1] or ("a",))
        arguments.append(f"--weights={draw(some)}")
    return sheet, [f"--data={sheet.file}", *arguments]


def fit_config(arguments: list[str]) -> FitConfig | None:
    made = []

    @command(FitConfig, help="What is parsed.")
    def main(config):
        made.append(config)

    invoke(main, arguments)
    return made[0] if made else None


def require_answer(answer, table: Table) -> None:
    """Finite, in order, the same by its document and by the predictor."""
    assert np.isfinite(answer.coefficients).all()
    document = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    x = np.concatenate([np.column_stack(block.x) for block in table.blocks()])
    weights = None if answer.weighted_by is None else 1.0
    found, low, high = answer.predict(x, interval="prediction", weights=weights)
    assert np.isfinite(found).all()
    if answer.has_errors:
        assert np.isfinite(answer.std_errors).all() and (answer.std_errors >= 0).all()
        assert (low <= found).all() and (found <= high).all()
        mean = answer.predict(x, interval="confidence")
        assert (low <= mean[1]).all() and (mean[2] <= high).all()
    else:
        assert np.isnan(answer.std_errors).all()
    frame = pd.DataFrame(x, columns=list(answer.variables))
    if answer.weighted_by is not None:
        frame[answer.weighted_by] = 1.0
    served = Predictor(document).predict(frame)
    size = np.abs(found).max() + np.abs(document["basis"]["weights"]).sum()
    np.testing.assert_allclose(served.prediction, found, rtol=1e-9, atol=1e-12 * size)
    assert np.isfinite(served.low).all() == np.isfinite(low).all()
    assert not answer.extrapolated(x).any()
    again = type(answer).from_dict(document)
    np.testing.assert_array_equal(again.predict(x), found)


def named_so(sheet: Sheet) -> bool:
    """Whether a column is called nan or inf."""
    return any(SILENT.search(name) for name in sheet.names)


def check_table(place: Place, sheet: Sheet, arguments: list[str]) -> str:
    """Without tracking: many."""
    folder = place.stand()
    sheet.write(folder)
    config = fit_config(arguments)
    if config is None:
        return "table options"
    began = time.perf_counter()
    try:
        table = Table.open(
            config.data, config.target, config.features, config.weights or None, config.missing
        )
        answer = fitting.fit(table, config)
    except Refused as refused:
        assert len(str(refused).splitlines()) == 1 and len(str(refused)) > 10, str(refused)
        answer = None
    else:
        require_answer(answer, table)
        for note in answer.notes:
            assert len(note.splitlines()) == 1, note
            assert named_so(sheet) or not SILENT.search(note), note
    assert time.perf_counter() - began < SECONDS
    assert {f.name for f in folder.iterdir()} == {sheet.file}
    return "table refused" if answer is None else "table fitted"


@asked(1000)
@given(fits())
def test_a_table_is_fitted_or_refused_in_one_line(place, case):
    event(check_table(place, *case))


def check_fit(place: Place, sheet: Sheet, arguments: list[str]) -> str:
    """Tracked; and the model meets its own table."""
    folder = place.stand()
    sheet.write(folder)
    result = invoke(fit.main, [*arguments, "--device=cpu"])
    require_tidy(place, folder, {sheet.file})
    if result.exit_code:
        return f"fit {result.exit_code}"
    [run] = place.runs()
    document = require_told(run, artifacts(run))
    numbers = [line for line in result.stdout.splitlines() if not line.startswith("features ")]
    assert named_so(sheet) or not SILENT.search("\n".join(numbers)), result.stdout
    model = f"runs:/{run.info.run_id}/model"
    taken = set(sheet.names) & set(predict.ADDED)
    said = check_predict(place, model, document, sheet)
    assert said in ("predict 0", "predict 2") and (said == "predict 0" or taken or not sheet.rows)
    return "fit 0"


@asked(40)
@given(fits())
def test_a_fit_is_tracked_with_finite_coefficients_or_refused_in_one_line(place, case):
    event(check_fit(place, *case))


# Predictions.


def check_predict(
    place: Place, model: str, document: dict, sheet: Sheet, out: str = "out.parquet"
) -> str:
    folder = place.stand()
    sheet.write(folder)
    result = invoke(predict.main, [f"--model={model}", f"--data={sheet.file}", f"--out={out}"])
    made = {out} if result.exit_code == 0 else set()
    require_tidy(place, folder, {sheet.file} | made)
    if result.exit_code == 0:
        found = pq.read_table(folder / out) if out.endswith("parquet") else None
        if found is not None:
            require_predictions(found, document)
    return f"predict {result.exit_code}"


def require_predictions(found: pa.Table, document: dict) -> None:
    """null where a variable is missing or the polynomial overflows; in order elsewhere."""
    names = document["basis"]["variables"]
    x = np.column_stack([found[name].cast(pa.float64(), safe=False).to_numpy() for name in names])
    columns = {name: found[name].to_numpy() for name in predict.ADDED}
    for name in predict.ADDED[:3]:
        values = found[name].drop_null().to_numpy()
        assert np.isfinite(values).all(), name
    prediction = columns["prediction"].astype(float)
    whole = np.isfinite(x).all(axis=1)
    assert np.isnan(prediction[~whole]).all()
    known = document["domain"]
    low, high = np.array([known[name] for name in names]).T
    inside = whole & (x >= low).all(axis=1) & (x <= high).all(axis=1)
    assert np.isfinite(prediction[inside]).all()
    there = ~np.isnan(columns["low"].astype(float))
    below, above = (columns[k][there].astype(float) for k in ("low", "high"))
    assert (below <= prediction[there]).all() and (prediction[there] <= above).all()
    outside = columns["extrapolated"]
    for row in np.flatnonzero(np.isfinite(prediction)):
        assert bool(outside[row]) is not bool(inside[row])


@pytest.fixture(scope="module")
def models(place) -> list[tuple[str, dict]]:
    """Fits in one and two variables, of odd names too, and one whose terms depend."""
    made = []
    random = np.random.default_rng(0)
    for names, degree in ((["a"], "3"), (["b", "a"], "2"), (["é 1", "nan"], "1"), (["a"], "0")):
        folder = place.stand()
        x = random.normal(size=(60, len(names)))
        data = pd.DataFrame(x, columns=names)
        data["y"] = 1 + x.sum(1) ** 2 + random.normal(size=60)
        data.to_parquet(folder / "t.parquet")
        arguments = ["--data=t.parquet", "--target=y", f"--degree={degree}", "--device=cpu"]
        assert invoke(fit.main, arguments).exit_code == 0
        [run] = place.runs()
        document = strictly((artifacts(run) / "coefficients.json").read_text())
        made.append((f"runs:/{run.info.run_id}/model", document))
    return made


NEW = st.sampled_from(
    [["a"], ["b", "a"], ["nan", "é 1"], ["a", "b", "prediction"], ["b", "a", "t"]]
)


@asked(120)
@given(
    st.integers(0, 3),
    NEW.flatmap(sheets),
    st.sampled_from([*6 * ["out.parquet"], "out.csv", "é.csv", "none/out.csv", ".part.csv"]),
)
def test_new_rows_are_predicted_or_refused_in_one_line(place, models, which, sheet, out):
    event(check_predict(place, *models[which], sheet, out))


VALUES = [
    *(0, 1, -1.5, 1e300, -1e308, 5e-324, math.nan, math.inf, None, True, 10**400, 2**63),
    *("1", "x", "", 1j, [1], [1, 2], {"a": 1}, b"1", pd.Timestamp("2020-01-01"), pd.NA, pd.NaT),
    *(
        np.float32(1.5),
        np.int8(3),
        np.datetime64("2020-01-01"),
        pd.Timedelta(1),
        object,
        (1,),
        np.array([1.0]),
    ),
]
DTYPES = [None, None, None, float, "float32", object, "Int64", "string", "category", "boolean"]


@st.composite
def frames(draw) -> pd.DataFrame:
    names = draw(st.lists(st.sampled_from(NAMES))) if draw(rarely(10)) else draw(NEW)
    rows = draw(st.integers(0, 3))
    good = st.floats(-3, 3) | st.integers(-3, 3)
    value = good if draw(st.booleans()) else st.sampled_from(VALUES) | good
    columns = {}
    for name in names:
        cells = pd.Series([None] * rows, dtype=object)
        for row in range(rows):
            cells.iat[row] = draw(value)
        dtype = draw(st.sampled_from(DTYPES))
        try:
            columns[name] = cells.infer_objects() if dtype is None else cells.astype(dtype)
        except Exception:  # these cells are none of that type
            columns[name] = cells
    frame = pd.DataFrame(columns)
    if draw(rarely(10)) and len(frame.columns):
        frame = pd.concat([frame, frame.iloc[:, :1]], axis=1)
    if draw(rarely(5)) and rows:
        frame.index = draw(st.sampled_from([[7] * rows, list("abc")[:rows]]))
    return frame


def column_wise(names, frame: pd.DataFrame) -> np.ndarray:
    """x (N, D), each number by itself, whatever the frame calls its type."""
    return np.array(
        [[float(value[0] if np.shape(value) else value) for value in frame[name]] for name in names]
    ).T.copy()


def check_frame(models, which: int, frame: pd.DataFrame, interval: str) -> str:
    uri, document = models[which]
    key = ("loaded", uri)
    if key not in LOADED:
        LOADED[key] = (
            *(polyreg.load(uri), Predictor(document)),
            *(mlflow.pyfunc.load_model(uri), mlflow.pytorch.load_model(uri)),
        )
    answer, ours, served, module = LOADED[key]
    before = frame.copy(deep=True)
    try:
        expected = ours.predict(frame, interval)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) > 10, str(error)
        expected = None
    assert repr(frame) == repr(before)  # it is the caller's
    if expected is not None:
        assert len(expected) == len(frame) and expected.index.equals(frame.index)
        usual = ~expected.extrapolated.to_numpy(bool)
        assert np.isfinite(expected.prediction.to_numpy()[usual]).all()
        strictly(json.dumps(expected.to_dict("records")))
    try:
        by_name = answer.predict(frame, interval)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) > 10, str(error)
        assert expected is None, f"polyreg.load refuses what the predictor answers: {error}"
    else:
        if expected is None:  # it lets nan and inf through to nan: not silent, they were given
            held = [
                isinstance(v, str | complex | pd.Timestamp)
                for v in frame[list(answer.variables)].to_numpy().ravel()
            ]
            assert not any(held), "polyreg.load answers what the predictor refuses"
        else:
            for name, column in zip(predict.ADDED, by_name, strict=False):
                np.testing.assert_allclose(column, expected[name], rtol=1e-9, atol=1e-9)
    try:
        again = served.predict(frame, params={"interval": interval})
    except mlflow.MlflowException as error:
        assert str(error)
        assert expected is None or frame.columns.duplicated().any(), str(error)
    else:
        assert expected is not None
        np.testing.assert_array_equal(again.to_numpy(float), expected.to_numpy(float))
    if expected is not None and len(frame):
        x = column_wise(answer.variables, frame)
        with np.errstate(all="ignore"):
            found = module(torch.from_numpy(x)).detach().numpy()
            unnamed = served.predict(x, params={"interval": interval})
        np.testing.assert_allclose(found[:, 0], expected.prediction, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            unnamed.to_numpy(float), expected.to_numpy(float), rtol=1e-9, atol=1e-9
        )
    return "frame refused" if expected is None else "frame answered"


LOADED: dict = {}


@asked(400)
@given(st.integers(0, 3), frames(), st.sampled_from(["prediction", "confidence"]))
def test_a_frame_is_predicted_alike_by_every_way_or_refused_in_one_line(
    place, models, which, frame, interval
):
    event(check_frame(models, which, frame, interval))
