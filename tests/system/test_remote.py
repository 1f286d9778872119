"""Tables at addresses, from a real S3 server in a process of its own."""

import hashlib
import pickle
import shutil
import socket
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import polyreg
from experiments.fit import main
from polyreg.config import FitConfig
from polyreg.errors import BadTable
from polyreg.least_squares.fitting import fit
from polyreg.tables import table
from polyreg.tables.table import Table
from tests.conftest import ROOT, only_run
from tests.support.buckets import KEYS, at, same, server, storage, uploaded
from tests.support.processes import free_port
from tests.support.sheets import write_xlsx

TABLES = ROOT / "tests" / "data" / "tables"


@pytest.fixture(scope="module")
def port():
    port = free_port()
    with server(port):
        yield port


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def data(port, tmp_path_factory):
    """The same files in a folder and in a bucket."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for number, rows in enumerate((3000, 0, 500)):
        x = random.normal(size=rows)
        content = pa.table({"x": x, "y": 1 + 2 * x + random.normal(size=rows)})
        below = folder / f"year={number}"
        below.mkdir()
        pa.parquet.write_table(content, below / f"{number}.parquet", row_group_size=400)
        if rows:
            pa.csv.write_csv(content, folder / f"{number}.csv")
    with (
        pa.OSFile(str(folder / "z.csv.gz"), "wb") as raw,
        pa.CompressedOutputStream(raw, "gzip") as out,
    ):
        pa.csv.write_csv(content, out)
    (folder / "deep/er").mkdir(parents=True)
    for name in ("1.parquet", "2 é.parquet"):
        pa.parquet.write_table(content, folder / "deep/er" / name, row_group_size=100)
    uploaded(port, folder, "bucket")
    return folder


@pytest.mark.parametrize(
    "path",
    [
        "year=*/*.parquet", "year=0/0.parquet", "year=*/*0*", "*.csv", "z.csv.gz", "year=2", "deep",
        "d*/er/*.parquet", "d*/*", "**/*.parquet", "d*/**/*.parquet", "year=*/**", "deep/er/",
    ],
)  # fmt: skip
def test_what_is_read_is_what_the_folder_holds(port, data, path):
    try:
        here = Table.open(str(data / path), "y")
    except BadTable as error:
        with pytest.raises(BadTable) as told:
            Table.open(at(port, f"bucket/folder/{path}"), "y")
        assert str(told.value).split(" at ")[0] == str(error).split(" at ")[0]
        return
    there = Table.open(at(port, f"bucket/folder/{path}"), "y")
    assert [f.name for f in there.files] == [f.name for f in here.files]
    assert there.root == here.root.replace(str(data), "s3://bucket/folder")
    same(there, here)


def test_one_file_has_the_hash_that_sha256sum_prints(port, data):
    there = Table.open(at(port, "bucket/folder/0.csv"), "y")
    assert there.sha256() == hashlib.sha256((data / "0.csv").read_bytes()).hexdigest()
    assert there.root == "s3://bucket/folder/0.csv"


def test_a_space_is_written_as_in_any_address(port, data):
    there = Table.open(at(port, "bucket/folder/deep/er/2%20%C3%A9.parquet"), "y")
    same(there, Table.open(str(data / "deep/er/2 é.parquet"), "y"))
    with pytest.raises(BadTable, match="syntax error at character ' '"):
        Table.open(at(port, "bucket/folder/deep/er/2 é.parquet"), "y")


def test_the_server_may_be_told_by_the_environment(port, data, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    there = Table.open("s3://bucket/folder/deep?region=us-east-1", "y")
    same(there, Table.open(str(data / "deep"), "y"))


def test_parts_travel_and_add_up_to_the_table(port, data, monkeypatch):
    monkeypatch.setattr(table, "PART_ROWS", 700)
    address = at(port, "bucket/folder/year=*/*.parquet", "nobody:nothing@")
    here = Table.open(str(data / "year=*/*.parquet"), "y")
    parts = [pickle.loads(pickle.dumps(part)) for part in Table.open(address, "y").parts()]
    assert [part.rows for part in parts] == [part.rows for part in here.parts()] and len(parts) > 3
    x = np.concatenate([block.x[0] for part in parts for block in part.blocks()])
    np.testing.assert_array_equal(x, np.concatenate([block.x[0] for block in here.blocks()]))


def test_a_fit_is_the_local_one_and_its_secrets_stay_here(store, port, data):
    address = at(port, "bucket/folder/year=*/*.parquet", "nobody:open%2Fsesame@")
    done = CliRunner().invoke(main, ["--data", address, "--target", "y", "--degree", "1"])
    assert done.exit_code == 0, done.output
    run = only_run()
    local = str(data / "year=*/*.parquet")
    answer = fit(Table.open(local, "y"), FitConfig(data=local, target="y", degree=1))
    found = [run.data.metrics[f"coef/{key}"] for key in ("1", "x", "year")]
    np.testing.assert_array_equal(found, answer.coefficients)
    assert "sesame" not in str(run.to_dictionary()) and "sesame" not in done.output
    files = [file for file in store.rglob("*") if file.is_file()]
    assert len(files) > 3 and not [file for file in files if b"sesame" in file.read_bytes()]
    assert run.data.params["data"] == address.replace("nobody:open%2Fsesame@", "")


def test_a_bad_file_there_is_refused_and_left_out_on_request(port, data):
    there = uploaded(port, data / "deep", "spoilt")
    with there.open_output_stream("spoilt/folder/er/0.parquet") as stream:
        stream.write(b"PAR1 is how it begins")
    address = at(port, "spoilt/folder")
    with pytest.raises(BadTable, match=r"cannot read er/0\.parquet"):
        Table.open(address, "y")
    rows = Table.open(address, "y", skip_bad_files=True)
    assert len(rows.skipped) == 1 and "er/0.parquet" in rows.skipped[0]
    same(rows, Table.open(str(data / "deep"), "y"))


@pytest.mark.parametrize("how", ["gone", "replaced"])
def test_what_changes_there_during_a_pass_is_noticed(port, data, how):
    there = uploaded(port, data / "deep", f"changing-{how}")
    blocks = Table.open(at(port, f"changing-{how}/folder"), "y").blocks()
    next(blocks)
    if how == "gone":
        there.delete_file(f"changing-{how}/folder/er/2 é.parquet")
    else:
        pa.fs.copy_files(
            str(data / "year=0/0.parquet"), f"changing-{how}/folder/er/2 é.parquet",
            destination_filesystem=there,
        )  # fmt: skip
    with pytest.raises(BadTable, match=r"er/2 é\.parquet changed while it was read; run again"):
        list(blocks)


def test_a_server_that_goes_during_a_pass_is_said_to_be_gone(data):
    port = free_port()
    with server(port) as running:
        uploaded(port, data / "deep", "bucket")
        rows = Table.open(at(port, "bucket/folder", "nobody:nothing@"), "y")
        blocks = rows.blocks()
        next(blocks)
        running.kill()
        running.wait()
        start = time.monotonic()
        with pytest.raises(BadTable, match=r"cannot read .*\.parquet: .*NETWORK") as told:
            list(blocks)
    assert time.monotonic() - start < 30 and "\n" not in str(told.value)
    assert "nothing" not in str(told.value)


@pytest.mark.parametrize(
    "path", ["nowhere/folder", "bucket/nothing", "bucket/folder/none.parquet", "bucket/*.parquet"]
)
def test_what_is_not_there_is_one_line(port, data, path):
    with pytest.raises(BadTable, match="no table at s3://") as told:
        Table.open(at(port, path, "nobody:nothing@"), "y")
    assert "nothing@" not in str(told.value)


def test_no_server_is_one_line_and_not_minutes():
    start = time.monotonic()
    with pytest.raises(BadTable, match="cannot read s3://bucket/a") as told:
        Table.open(at(free_port(), "bucket/a", "nobody:nothing@"), "y")
    assert time.monotonic() - start < 30 and "\n" not in str(told.value)
    assert "nothing" not in str(told.value)


def test_a_server_that_stays_silent_is_one_line_and_not_minutes():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        start = time.monotonic()
        with pytest.raises(BadTable, match=r"cannot read s3://bucket/a.* Timeout was reached"):
            Table.open(at(silent.getsockname()[1], "bucket/a"), "y")
    # Three attempts of 3 s; from_uri alone takes 99 s.
    assert time.monotonic() - start < 40


def test_a_server_that_goes_leaves_out_no_files():
    port = free_port()
    with server(port) as running:
        there = storage(port)
        there.create_dir("bucket")
        for name in ("a", "b"):
            with there.open_output_stream(f"bucket/{name}.csv") as file:
                file.write(b"x,y\n1,2\n2,3\n")

        def each(function, files):
            files = list(files)
            running.kill()
            running.wait()
            return map(function, files)

        with pytest.raises(BadTable, match="NETWORK_CONNECTION"):
            Table.open(at(port, "bucket"), "y", skip_bad_files=True, each=each)


@pytest.mark.parametrize(
    "name", ["european.csv", "zipped.zip", "utf16.txt", "gzip_named.csv", "book.xlsx"]
)
def test_a_table_of_any_dialect_or_packing_is_read_there_as_here(port, tmp_path, name):
    if name == "book.xlsx":
        rows = [(k / 2, 1 + k + k * k / 8) for k in range(12)]
        write_xlsx(tmp_path / name, {"lab": [("x", "y"), *rows]})
    else:
        shutil.copy(TABLES / name, tmp_path / name)
    bucket = name.replace("_", "-").replace(".", "-")
    uploaded(port, tmp_path, bucket)
    address = at(port, f"{bucket}/folder/{name}")
    same(Table.open(address, "y"), Table.open(str(tmp_path / name), "y"))
    found = polyreg.fit(address, target="y", degree=2)
    assert found.coefficients.tolist() == [1, 2, 0.5]
