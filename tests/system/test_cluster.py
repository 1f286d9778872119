"""On a real Ray cluster of two nodes: the same answers, whatever ends when, and dies."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import Mock

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from mlflow.entities import Run

from experiments.fit import main
from polyreg.cluster import connect
from polyreg.cluster import tasks as tasks_module
from polyreg.cluster.groups import passes_by_groups
from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.groups import fit_groups
from polyreg.least_squares import fitting
from polyreg.least_squares.fitting import Passes
from polyreg.least_squares.origin import originated
from polyreg.least_squares.problem import Problem
from polyreg.tables import table
from polyreg.tables.table import Table
from tests.conftest import ROOT, only_run
from tests.support import rays, slow
from tests.support.buckets import at, server, uploaded
from tests.support.forked import done, forked
from tests.support.processes import free_port, process, started, tracking_server, until


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> rays.Address:
    with rays.started(tmp_path_factory.mktemp("ray")) as found:
        yield found


@pytest.fixture(scope="module")
def engine(address):
    with pytest.MonkeyPatch.context() as there:
        for name, value in rays.SETTINGS.items():
            there.setenv(name, value)
        there.setattr(tasks_module, "PACKAGES", (*tasks_module.PACKAGES, "tests"))  # its slow tasks
        with connect.connected(address.gcs) as found:
            yield found


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(table, "PART_ROWS", 2000)
    monkeypatch.setattr(table, "PART_BYTES", 20_000)
    monkeypatch.setattr(tasks_module, "FAN", 3)  # so that the tree has several floors


ROWS = (3000, 0, 17_000, 5, 2500)  # of each file


def columns(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=rows), random.uniform(-2, 5, size=rows)
    y = 1 + a - 2 * a * b + b**3 + random.normal(size=rows)
    return pa.table({"a": a, "b": b, "w": random.uniform(0.5, 2, rows), "y": y})


def written(folder: Path, form: str = "parquet", **replaced) -> Path:
    """Files of unequal sizes, one of them empty, one twice."""
    folder.mkdir()
    for number, rows in enumerate([*ROWS, ROWS[0]]):
        content = columns(rows, number % len(ROWS))
        content = replaced.get(f"file_{number}", lambda content: content)(content)
        if form == "parquet":
            pa.parquet.write_table(content, folder / f"{number}.parquet", row_group_size=700)
        elif rows:
            pa.csv.write_csv(content, folder / f"{number}.csv")
    return folder


def with_gaps(content: pa.Table) -> pa.Table:
    values = content["a"].to_numpy().copy()
    values[[5, 1999, 2001]] = np.nan
    return content.set_column(0, "a", pa.array(values))


def config_of(folder: Path, **options) -> FitConfig:
    features = {"features": ("a", "b")} | options
    return FitConfig(data=str(folder), target="y", **features)


def fitted(config: FitConfig, engine=None):
    rows = Table.of(config, engine and engine.each)
    passes = engine.passes(rows) if engine else Passes(rows)
    done = []
    problem = Problem.of(passes.survey(config.seed), rows.names, config, "cpu")
    answer = fitting.run(problem, partial(passes.sums, advance=done.append))
    return answer, answer.selection, rows, sum(done)


CASES = {
    "parquet": ({}, {}),
    "weights": ({}, {"weights": "w"}),
    "known uncertainties": ({}, {"sigma": "w"}),
    "weights of x": ({}, {"features": ("w",), "weights": "1/x^2"}),
    "functions, rows dropped": (
        {"file_2": with_gaps},
        {"features": ("exp(a)", "sqrt(b+1)", "a"), "missing": "drop", "degree": 2},
    ),
    "weights of the fit": ({}, {"features": ("w",), "weights": "1/y", "degree": 1}),
    "csv": ({"form": "csv"}, {"degree": 2}),
    "rows dropped": ({"file_0": with_gaps, "file_2": with_gaps}, {"missing": "drop"}),
    "csv, rows dropped, degree": (
        {"form": "csv", "file_2": with_gaps},
        {"missing": "drop", "degree": "auto", "max_degree": 4, "features": ("b",)},
    ),
    "degree": ({}, {"degree": "auto", "max_degree": 5}),
    "no intercept, ridge": ({}, {"intercept": False, "ridge": 0.5}),
}


@pytest.mark.parametrize("precision", ["certified", "fast"])
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_answer_of_one_machine(engine, tmp_path, case, precision):
    files, options = CASES[case]
    folder = written(tmp_path / "data", **files)
    config = config_of(folder, precision=precision, **options)
    here, there = fitted(config), fitted(config, engine)
    for of in ("coefficients", "std_errors", "residual_sd", "r2"):
        ours, theirs = (np.asarray(getattr(found[0], of)) for found in (here, there))
        if precision == "certified":
            np.testing.assert_array_equal(theirs, ours)
        else:
            np.testing.assert_allclose(theirs, ours, rtol=1e-11)
    assert there[0].precision == precision and there[0].nobs == here[0].nobs
    assert there[2].missing_rows == here[2].missing_rows
    assert there[2].sha256() == here[2].sha256()
    assert here[3] == there[3]  # of the progress bar
    assert here[3] == here[0].nobs or case == "weights of the fit"  # which takes several passes
    if config.degree == "auto":
        assert there[1].degrees == here[1].degrees and there[1].chosen == here[1].chosen
        np.testing.assert_allclose(there[1].mse, here[1].mse, rtol=1e-10)
        np.testing.assert_allclose(there[1].std_error, here[1].std_error, rtol=1e-8)


def grouped(content: pa.Table) -> pa.Table:
    """Keys that are words and numbers, and a row of a group of its own."""
    number = np.arange(len(content)) // 3 % 31
    words = [f"s{k}" for k in number]
    if words:
        words[-1] = f"alone{len(words)}"
    return content.append_column("s", pa.array(words)).append_column("k", pa.array(number % 2))


GROUPED = {
    "one key": ({}, {}),
    "two keys, weights": ({}, {"by": ("s", "k"), "weights": "w"}),
    "csv": ({"form": "csv"}, {"by": ("k", "s")}),
    "one shape": ({}, {"pool": "offset"}),
    "rows dropped, degree": (
        {},
        {"features": ("a",), "missing": "drop", "degree": "auto", "criterion": "aicc"},
    ),
}


@pytest.mark.parametrize(
    "case, precision",
    [
        (case, precision)
        for case, (_, options) in GROUPED.items()
        for precision in ("certified", "fast")
        if precision == "fast" or "pool" not in options  # which is not certified
    ],
)
def test_polynomials_of_groups_are_those_of_one_machine(engine, tmp_path, case, precision):
    files, options = GROUPED[case]
    changes = {f"file_{number}": grouped for number in range(6)}
    if "missing" in options:
        changes["file_2"] = lambda content: grouped(with_gaps(content))
    folder = written(tmp_path / "data", **changes, **files)
    options = {"features": ("b",), "by": ("s",), "degree": 2, "max_degree": 4} | options
    config = config_of(folder, precision=precision, **options)
    found, told = [], []
    for cluster in (None, engine):
        rows = Table.of(config, cluster and cluster.each)
        passes = passes_by_groups(cluster, rows)
        found.append(fit_groups(rows, config, told.append, passes))
    here, there = found
    assert there.all_keys == here.all_keys and there.failed == here.failed
    assert bool(here.failed) == (config.degree == 2 and config.pool == "none")
    assert there.source.sha256 == here.source.sha256
    assert (there.rows, there.rows_missing) == (here.rows, here.rows_missing)
    assert here.rows_missing == 3 * (config.missing == "drop")
    assert sum(told) == 2 * here.rows > 0
    ours, theirs = here.to_frame(), there.to_frame()
    for name in ours.columns:
        if precision == "certified" or ours[name].dtype.kind != "f":
            assert ours[name].equals(theirs[name]), name
        elif name != "digits":
            np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-9, err_msg=name)
    assert there.pooled.tests["F"] == pytest.approx(here.pooled.tests["F"], rel=1e-9)


API = """
import sys, polyreg
address, by = sys.argv[1:3]
options = dict(target="y", features="b", by=by or ())
there = polyreg.fit("data", **options, engine="ray", address=address)
here = polyreg.fit("data", **options)
if by:
    assert there.source.sha256 == here.source.sha256 and sorted(there) == sorted(here)
else:
    assert there.origin.sha256 == here.origin.sha256 and there.study.rows == here.study.rows
    there.plot()
"""


@pytest.mark.parametrize("by", ["", "s"])
def test_python_s_result_outlives_the_cluster_s_connection(store, address, by):
    written(store / "data", **{f"file_{number}": grouped for number in range(6)})
    command = [sys.executable, "-c", API, address.gcs, by]
    environment = os.environ | rays.SETTINGS | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, cwd=store, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def keyless(config: FitConfig, engine) -> str:
    """What refuses rows by groups, on one machine and on many."""
    told = []
    for cluster in (None, engine):
        rows = Table.of(config, cluster and cluster.each)
        with pytest.raises(Refused) as refused:
            fit_groups(rows, config, passes=passes_by_groups(cluster, rows))
        told.append(str(refused.value))
    assert told[0] == told[1]
    return told[0].partition(";")[0]


def test_a_row_without_a_key_is_refused_in_the_same_words(engine, tmp_path):
    content = grouped(columns(17_000, 2))
    keys = content["s"].to_pylist()
    keys[4321] = keys[9000] = None
    changes = {f"file_{number}": grouped for number in range(6)}
    changes["file_2"] = lambda _: content.set_column(4, "s", pa.array(keys))
    config = config_of(written(tmp_path / "data", **changes), features=("b",), by=("s",))
    assert "row 4,322 of 2.parquet has no value of s" in keyless(config, engine)


def test_the_cluster_sums_for_the_comparison_of_degrees(engine, tmp_path):
    config = config_of(written(tmp_path / "data"), features=("a",), degree=2)
    studies = []
    for there in (None, engine):
        rows = Table.of(config, there and there.each)
        passes = there.passes(rows) if there else Passes(rows)
        survey = passes.survey(config.seed)
        problem = Problem.of(survey, rows.names, config, "cpu")
        found = originated(fitting.run(problem, passes.sums), rows, config, survey, "cpu")
        asked = Mock(wraps=passes.sums)
        studies.append(found.deferred.get(found, sums=asked))
        assert asked.call_count == 1
    here, there = studies
    pd.testing.assert_frame_equal(there.degrees.to_frame(), here.degrees.to_frame())
    assert there.rows == here.rows


def slowly(engine, folder, config):
    """The problem and its sums, by tasks that take random whiles and tell of themselves."""
    rows = Table.of(config, engine.each)
    passes = engine.passes(rows)
    problem = Problem.of(passes.survey(0), rows.names, config, "cpu")
    before = np.cumsum([0, *(part.rows for part in passes.parts)]).tolist()
    parts = list(zip(passes.parts, before, strict=False))
    work = partial(slow.sums, folder, problem)
    return problem, lambda: engine.total(work, parts, lambda gaps: None)[1], len(parts)


def same(a, b) -> bool:
    """To the last bit, of float64 sums too."""
    assert a.keys() == b.keys()
    return all((a[k].gram == b[k].gram).all() and a[k].count == b[k].count for k in a)


def test_the_sums_are_the_same_to_the_bit_in_whatever_order_tasks_end(engine, tmp_path):
    config = config_of(written(tmp_path / "data"), precision="fast")
    found, workers = [], set()
    for time_ in range(3):
        (folder := tmp_path / f"tasks{time_}").mkdir()
        _, sums, tasks = slowly(engine, folder, config)
        found.append(sums())
        assert tasks > 8 and len(list(folder.iterdir())) == tasks
        workers |= {file.read_text() for file in folder.iterdir()}
    assert len(workers) > 1
    assert same(*found[:2]) and same(*found[1:])


@pytest.mark.parametrize("precision", ["certified", "fast"])
def test_a_worker_that_is_killed_in_mid_task_costs_and_doubles_nothing(engine, tmp_path, precision):
    config = config_of(written(tmp_path / "data"), precision=precision)
    (folder := tmp_path / "tasks").mkdir()
    problem, sums, tasks = slowly(engine, folder, config)

    def kill() -> None:
        some = until(lambda: [*folder.iterdir()][3:4], 30)[0]
        os.kill(int(until(some.read_text, 30)), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = sums()
    killer.join()
    assert len(list(folder.iterdir())) > tasks  # one was done again
    whole = problem.accumulate(Table.of(config).blocks(problem.is_exact))
    assert {k: m.count for k, m in found.items()} == {k: m.count for k, m in whole.items()}
    if precision == "certified":
        assert same(found, whole)
    else:
        np.testing.assert_allclose(found[0].gram, whole[0].gram, rtol=1e-9, atol=1e-9)


def test_a_node_that_goes_in_mid_task_costs_and_doubles_nothing(engine, address, tmp_path):
    config = config_of(written(tmp_path / "data"), precision="certified")
    (folder := tmp_path / "tasks").mkdir()
    with rays.node(tmp_path / "third.log", f"--address={address.gcs}") as third:
        until(lambda: engine.workers == 3, 30)
        problem, sums, _ = slowly(engine, folder, config)

        def kill() -> None:
            until(lambda: len(list(folder.iterdir())) >= 6, 30)
            rays.kill(third)

        killer = threading.Thread(target=kill)
        killer.start()
        found = sums()
        killer.join()
    assert same(found, problem.accumulate(Table.of(config).blocks(problem.is_exact)))
    until(lambda: engine.workers == 2, 60)


def test_the_workers_need_no_polyreg(engine):
    kinds = list(engine.each(eval, ["type(__import__('polyreg').__loader__).__name__"] * 9))
    assert kinds == ["zipimporter"] * 9


REFUSED = {
    "a weight": dict(weights="w", file=2, change=lambda c: changed(c, "w", 4321, -1.0)),
    "a gap": dict(file=2, change=lambda c: changed(c, "b", 4321, np.nan)),
    "a corrupt page": dict(file=2, damage=True),
    "no footer": dict(file=4, text=b"PAR1 and so on"),
    "an empty file": dict(file=3, text=b""),
    "another schema": dict(file=4, change=lambda c: c.drop_columns(["b"])),
    "another type": dict(file=4, change=lambda c: c.set_column(0, "a", c["a"].cast("string"))),
}


def test_files_without_rows_are_no_table_there_either(engine, tmp_path):
    (folder := tmp_path / "data").mkdir()
    for number in range(3):
        pa.parquet.write_table(columns(0, number), folder / f"{number}.parquet")
    for missing in ("refuse", "drop"):
        config = config_of(folder, missing=missing)
        assert said(config, engine) == said(config) != ""
        assert keyless(replace(config, features=("b",), by=("a",)), engine) == "3 files has no rows"


def changed(content: pa.Table, column: str, row: int, value: float) -> pa.Table:
    values = content[column].to_numpy().copy()
    values[row] = value
    return content.set_column(content.column_names.index(column), column, pa.array(values))


def damaged(folder: Path, case: dict) -> None:
    file = folder / f"{case['file']}.parquet"
    if "text" in case:
        file.write_bytes(case["text"])
    if "damage" in case:
        content = bytearray(file.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 4000] = bytes(4000)
        file.write_bytes(content)


def said(config: FitConfig, engine=None) -> str:
    with pytest.raises(Refused) as told:
        fitted(config, engine)
    return str(told.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_one_machine_refuses_is_refused_in_the_same_words(engine, tmp_path, name):
    case = REFUSED[name]
    files = {f"file_{case['file']}": case["change"]} if "change" in case else {}
    folder = written(tmp_path / "data", **files)
    damaged(folder, case)
    config = config_of(folder, weights=case.get("weights", ""))
    assert said(config, engine) == said(config)


@pytest.mark.parametrize("name", ["a corrupt page", "no footer", "an empty file"])
def test_bad_files_are_left_out_where_that_is_asked_for(engine, tmp_path, name):
    case = REFUSED[name]
    folder = written(tmp_path / "data")
    damaged(folder, case)
    config = config_of(folder, skip_bad_files=True)
    answer, _, rows, _ = fitted(config, engine)
    [skipped] = rows.skipped
    assert f"{case['file']}.parquet" in skipped
    here, _, alone, _ = fitted(config)
    assert alone.skipped == rows.skipped
    np.testing.assert_array_equal(answer.coefficients, here.coefficients)
    (folder / f"{case['file']}.parquet").unlink()
    assert answer.nobs == fitted(config_of(folder))[0].nobs


@pytest.mark.parametrize("precision", ["certified", "fast"])
def test_a_bucket_is_read_by_the_workers(engine, tmp_path, precision):
    folder = written(tmp_path / "data")
    damaged(folder, REFUSED["a corrupt page"])
    with server(port := free_port()):
        uploaded(port, folder, "bucket")
        # The keys travel with the address: the workers' own environment has none.
        address = at(port, "bucket/folder", "nobody:nothing@")
        found = []
        for data in (folder, address):
            config = config_of(data, precision=precision, skip_bad_files=True, weights="w")
            answer, _, rows, advanced = fitted(config, engine)
            found.append((answer.coefficients.tolist(), advanced, rows.sha256()))
            assert ["2.parquet" in line for line in rows.skipped] == [True]
            assert advanced == answer.nobs
    assert found[0] == found[1]


# -- The command ------------------------------------------------------------------------------


def fit(folder: Path, *options: str, **environment: str):
    arguments = ("--target", "y", *options)
    environment = rays.SETTINGS | environment
    return done("experiments.fit:main", *arguments, cwd=folder, environment=environment)


def only_answer(output: str) -> str:
    return output.split("\nrun ")[0]


@pytest.mark.parametrize("by", ["gcs", "client"])
def test_the_command_prints_and_tracks_what_it_does_on_one_machine(store, address, by):
    written(store / "data")
    where = getattr(address, by)
    done = fit(store, "--data", "data", "--engine", "ray", "--address", where)
    assert done.returncode == 0, done.stderr
    [told] = done.stderr.splitlines()
    assert told.startswith("note: w is a feature here; if it is an uncertainty")
    run = only_run()
    assert run.info.status == "FINISHED"
    assert run.data.params["engine"] == "ray" and run.data.params["address"] == where
    if by == "client":
        return
    plain = fit(store, "--data", "data")
    assert only_answer(done.stdout) == only_answer(plain.stdout)
    [one, two] = mlflow.search_runs(experiment_names=["polyreg"], output_format="list")
    assert one.data.tags["data.sha256"] == two.data.tags["data.sha256"]
    same = {k: v for k, v in one.data.metrics.items() if not k.startswith("time/")}
    assert same == {k: v for k, v in two.data.metrics.items() if not k.startswith("time/")}


def test_the_plan_tells_of_the_cluster(store, address):
    written(store / "data")
    plan = fit(store, "--data", "data", "--dry-run", "--engine", "ray", RAY_ADDRESS=address.gcs)
    assert "Ray, 2 nodes, 2 CPUs" in plan.stdout


def test_a_bad_file_is_left_out_and_named_on_request(store, address):
    damaged(written(store / "data"), REFUSED["a corrupt page"])
    options = ["--data", "data", "--engine", "ray", "--address", address.gcs]
    done = fit(store, *options, "--skip-bad-files")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: left out: ") and "2.parquet" in done.stderr
    assert "2.parquet" in only_run().data.tags["files_skipped"]


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_killed(store, address, number, code):
    random = np.random.default_rng(0)
    x = random.normal(size=1_000_000)
    content = pa.table({"x": x, "y": 1 + x})
    (store / "data").mkdir()
    for file in range(4):
        pa.parquet.write_table(content, store / f"data/{file}.parquet")
    options = [
        "--data", "data", "--target", "y", "--precision", "certified", "--degree", "30",
        "--engine", "ray", "--address", address.gcs,
    ]  # fmt: skip
    with started("fit", *options, **rays.SETTINGS) as running:
        until(lambda: mlflow.search_experiments(filter_string="name = 'polyreg'"))
        time.sleep(2)  # among the tasks
        start = time.monotonic()
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
        assert running.returncode == code, err
        assert time.monotonic() - start < 10
    assert only_run().info.status == "KILLED"


def test_a_cluster_that_goes_is_one_line_and_a_failed_run(store, tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=1_000_000)
    for file in range(4):
        pa.parquet.write_table(pa.table({"x": x, "y": 1 + x}), store / f"{file}.parquet")
    options = ["--data", str(store), "--target", "y", "--precision", "certified", "--degree", "30"]
    with rays.started(tmp_path, second=False) as there:
        engine = ["--engine", "ray", "--address", there.gcs]
        with started("fit", *options, *engine, **rays.SETTINGS) as running:
            until(lambda: mlflow.search_experiments(filter_string="name = 'polyreg'"))
            time.sleep(2)
            rays.kill(there.head)
            _, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    assert "Error: the Ray cluster at" in err and "is gone" in err
    assert "Traceback" not in err
    assert only_run().info.status == "FAILED"


def refused(store: Path, *options: str) -> str:
    """The one line of a refusal that takes no minutes and leaves no run."""
    (store / "t.csv").write_text("x,y\n1,2\n2,3\n3,5\n")
    start = time.monotonic()
    options = ("--data", "t.csv", "--target", "y", "--degree", "1", "--engine", "ray", *options)
    done = CliRunner().invoke(main, options)
    assert time.monotonic() - start < 10  # Ray's own client would take 30
    assert done.exit_code == 2, done.output
    assert done.output.startswith("Error: ") and done.output.count("\n") == 1, done.output
    assert mlflow.search_runs(experiment_names=["polyreg"], output_format="list") == []
    return done.output


class Page(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def no_ray():
    """Ports where there is something else."""
    silent = socket.create_server(("127.0.0.1", 0))
    page = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    yield {
        "nothing": free_port(),
        "silence": silent.getsockname()[1],
        "a web page": page.server_port,
    }
    page.shutdown()
    page.server_close()
    silent.close()


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
@pytest.mark.parametrize("there", ["nothing", "silence", "a web page"])
def test_no_cluster_is_one_line_within_ten_seconds(store, no_ray, there, form):
    where = form.format(no_ray[there])
    line = refused(store, "--address", where)
    assert f"--address {where}: no Ray cluster" in line and "ray start" in line


def test_auto_does_not_wait_for_a_cluster_that_was_killed(store, monkeypatch):
    (store / "ray").mkdir()
    (store / "ray/ray_current_cluster").write_text(f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("RAY_TMPDIR", str(store))
    line = refused(store)
    assert "--address auto: no Ray cluster" in line and "ray start" in line


@pytest.mark.parametrize("where", ["", "ray://", "http://a:1", "a b", "host", "host:port", "a:1:2"])
def test_an_address_that_is_none_is_refused(store, where):
    line = refused(store, "--address", where)
    assert "--address must be auto, host:port or ray://host:port" in line


def test_without_ray_one_line_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "pip install 'ray[client]'" in refused(store)


def test_ray_is_imported_only_where_it_is_asked_for(store):
    (store / "t.csv").write_text("x,y\n1,2\n2,3\n3,5\n")
    (store / "ray.py").write_text("raise AssertionError('imported')")
    options = ("--data", "t.csv", "--target", "y", "--degree", "1", "--dry-run")
    with process(
        [sys.executable, "-m", "experiments.fit", *options], PYTHONPATH=f"{store}:{ROOT}"
    ) as running:
        _, err = running.communicate(timeout=120)
    assert running.returncode == 0 and err == "", err


# -- Sweeps -----------------------------------------------------------------------------------

SWEEP = (
    "--degrees", "1,3", "--learning-rates", "auto,0.01,50", "--seeds", "2", "--max-steps", "2000",
)  # fmt: skip


EXPERIMENT = "experiments.sweep:main"


def on(address: str, *options: str) -> tuple[str, ...]:
    return "--engine", "ray", "--address", address, *options


def sweep(store: Path, *options: str, **environment: str) -> str:
    environment = rays.SETTINGS | environment
    ended = done(EXPERIMENT, *options, cwd=store, environment=environment, timeout=240)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def children(experiment: str = "polyreg") -> dict[tuple, Run]:
    """The nested runs, by what was varied; each once."""
    runs = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    nested = [run for run in runs if "mlflow.parentRunId" in run.data.tags and run.data.params]
    varied = ("degree", "learning_rate", "seed", "batch_size")
    found = {tuple(run.data.params[name] for name in varied): run for run in nested}
    assert len(found) == len(nested)
    return found


def parent_of(experiment: str = "polyreg") -> Run:
    runs = mlflow.search_runs(experiment_names=[experiment], output_format="list")
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parent


def numbers(run) -> dict:
    times = ("time/", "steps_per_s")
    return {k: v for k, v in run.data.metrics.items() if not k.startswith(times)}


@pytest.fixture(scope="module")
def swept(tmp_path_factory, made_store) -> Path:
    """A store with the same sweep by one process, in an experiment of its own."""
    path = tmp_path_factory.mktemp("alone") / "mlflow.db"
    shutil.copy(made_store, path)
    sweep(
        path.parent, *SWEEP,
        MLFLOW_TRACKING_URI=f"sqlite:///{path}", MLFLOW_EXPERIMENT_NAME="one",
    )  # fmt: skip
    return path


@pytest.fixture
def alone(store, swept) -> dict:
    shutil.copy(swept, store / "mlflow.db")
    return children("one")


def agree(found: dict, alone: dict) -> None:
    assert found.keys() == alone.keys() and len(found) == 12
    for key, run in found.items():
        assert run.info.status == alone[key].info.status
        assert numbers(run) == numbers(alone[key])
        assert run.data.params == alone[key].data.params
    assert {run.info.status for run in found.values()} == {"FINISHED", "FAILED"}


def test_a_sweep_of_which_the_driver_alone_writes(store, address, alone):
    said = sweep(store, *on(address.gcs, *SWEEP))
    assert "diverged" in said and "best" in said
    found = children()
    agree(found, alone)
    parent = parent_of()
    assert parent.info.status == "FINISHED" and parent.data.params["engine"] == "ray"
    assert writers(*found.values()) == writers(parent)


def test_a_sweep_whose_workers_write_through_a_server(store, address, alone):
    with tracking_server(store, free_port()) as server:
        sweep(store, *on(address.client, *SWEEP, "--tracking-uri", server))
        mlflow.set_tracking_uri(server)
        found = children()
        parent = parent_of()
    agree(found, alone)
    assert parent.info.status == "FINISHED"
    workers = writers(*found.values())
    assert not writers(parent) & workers and len(workers) > 1


def writers(*found: Run) -> set[str]:
    return {json.loads(run.data.tags["owner"])["process_id"] for run in found}


@pytest.mark.parametrize("server, number", [(False, signal.SIGTERM), (True, signal.SIGKILL)])
def test_an_interrupted_sweep_goes_on(store, address, alone, server, number):
    """To a server, workers write, and the one that goes on is another client."""
    with tracking_server(store, free_port()) if server else nullcontext() as uri:
        if uri:
            mlflow.set_tracking_uri(uri)
        told = ("--tracking-uri", mlflow.get_tracking_uri())
        slowly = "tests.support.slow:sweep"
        options = on(address.gcs, *SWEEP, *told)
        with forked(slowly, *options, environment=rays.SETTINGS) as running:
            until(lambda: mlflow.search_experiments(filter_string="name = 'polyreg'"))
            until(lambda: [r for r in children().values() if r.info.status != "RUNNING"])
            running.send_signal(number)
            _, err = running.communicate(timeout=60)
        assert running.returncode == (-9 if server else 143), err
        parent = parent_of()
        assert parent.info.status == ("RUNNING" if server else "KILLED")
        drivers = writers(parent)
        before = [run for run in children().values() if run.info.status != "RUNNING"]
        assert 0 < len(before) < 12
        where = address.client if server else address.gcs
        said = sweep(store, *on(where, "--resume", parent.info.run_id, *told))
        assert "diverged" in said and "best" in said
        found = children()
        parent = mlflow.get_run(parent.info.run_id)
        agree(found, alone)
    assert parent.info.status == "FINISHED"
    drivers |= writers(parent)
    assert len(drivers) == 2
    assert not writers(*found.values()) & drivers if server else writers(*found.values()) == drivers


def test_a_sweep_begun_here_goes_on_there(store, address, alone):
    parent = parent_of("one")
    client = mlflow.MlflowClient()
    lost = [run for run in alone.values() if run.data.params["learning_rate"] == "auto"]
    for run in lost:
        client.delete_run(run.info.run_id)
    client.set_terminated(parent.info.run_id, "KILLED")
    sweep(store, *on(address.gcs, "--resume", parent.info.run_id))
    agree(children("one"), alone)
