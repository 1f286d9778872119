"""Tables at addresses, from a real S3 server in a process of its own."""

import hashlib
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from experiments.fit import main
from polyreg.config import FitConfig, params
from polyreg.files import BadTable
from polyreg.least_squares import fit
from polyreg.table import Table
from tests.conftest import only_run
from tests.processes import answers, free_port, process, until

KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}


@pytest.fixture(scope="module")
def port():
    pytest.importorskip("moto.server", reason="pip install 'moto[server]'")
    port = free_port()
    with process([sys.executable, "-m", "moto.server", "-p", str(port)]):
        until(lambda: answers(f"http://127.0.0.1:{port}", "moto-api/"))
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
    there = pa.fs.S3FileSystem(
        endpoint_override=f"127.0.0.1:{port}", scheme="http", region="us-east-1",
        access_key="nobody", secret_key="nothing", allow_bucket_creation=True,
    )  # fmt: skip
    there.create_dir("bucket")
    pa.fs.copy_files(str(folder), "bucket/folder", destination_filesystem=there)
    return folder


def at(port: int, path: str, keys: str = "") -> str:
    return f"s3://{keys}{path}?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


def same(ours: Table, theirs: Table) -> None:
    a, b = (list(table.blocks()) for table in (ours, theirs))
    for place in (0, 1):
        columns = [np.concatenate([(*x.x, x.y)[place] for x in blocks]) for blocks in (a, b)]
        np.testing.assert_array_equal(*columns)
    assert ours.sha256() == theirs.sha256()


@pytest.mark.parametrize(
    "path", ["year=*/*.parquet", "year=0/0.parquet", "year=*/*0*", "*.csv", "z.csv.gz", "year=2"]
)
def test_what_is_read_is_what_the_folder_holds(port, data, path):
    there = Table.open(at(port, f"bucket/folder/{path}"), "y")
    here = Table.open(str(data / path), "y")
    assert [f.name for f in there.files] == [f.name for f in here.files]
    same(there, here)


def test_one_file_has_the_hash_that_sha256sum_prints(port, data):
    there = Table.open(at(port, "bucket/folder/0.csv"), "y")
    assert there.sha256() == hashlib.sha256((data / "0.csv").read_bytes()).hexdigest()
    assert there.root == "s3://bucket/folder/0.csv"


def test_an_address_of_this_machine_is_its_path(tmp_path):
    pa.csv.write_csv(pa.table({"x": [1.0, 2, 3], "y": [1.0, 2, 4]}), tmp_path / "t.csv")
    same(Table.open(f"file://{tmp_path}/t.csv", "y"), Table.open(str(tmp_path / "t.csv"), "y"))


def test_a_fit_is_the_local_one_and_its_secrets_stay_here(store, port, data):
    address = at(port, "bucket/folder/year=*/*.parquet", "nobody:nothing@")
    done = CliRunner().invoke(main, ["--data", address, "--target", "y", "--degree", "1"])
    assert done.exit_code == 0, done.output
    run = only_run()
    local = str(data / "year=*/*.parquet")
    answer = fit(Table.open(local, "y"), FitConfig(data=local, target="y", degree=1))
    found = [run.data.metrics[f"coef/{key}"] for key in ("1", "x")]
    np.testing.assert_array_equal(found, answer.coefficients)
    assert "nothing" not in str(run.to_dictionary()) and "nothing" not in done.output
    assert run.data.params["data"] == address.replace("nobody:nothing@", "")


@pytest.mark.parametrize(
    "path", ["nowhere/folder", "bucket/nothing", "bucket/folder/none.parquet", "bucket/*.parquet"]
)
def test_what_is_not_there_is_one_line(port, data, path):
    with pytest.raises(BadTable, match="no CSV or Parquet at s3://") as told:
        Table.open(at(port, path, "nobody:nothing@"), "y")
    assert "nothing@" not in str(told.value)


def test_no_server_is_one_line_and_not_minutes():
    start = time.monotonic()
    with pytest.raises(BadTable, match="cannot read s3://bucket/a") as told:
        Table.open(at(free_port(), "bucket/a", "nobody:nothing@"), "y")
    assert time.monotonic() - start < 30 and "\n" not in str(told.value)
    assert "nothing" not in str(told.value)


@pytest.mark.parametrize("address", ["foo://user:secret@a/b", "s3://", "https://a.b/c.csv"])
def test_an_address_that_no_one_reads_is_one_line(address):
    with pytest.raises(BadTable) as told:
        Table.open(address, "y")
    assert "secret" not in str(told.value) and "\n" not in str(told.value)


def test_params_hold_no_password():
    config = FitConfig(data="s3://key:secret@bucket/a?region=b", target="y")
    assert params(config)["data"] == "s3://bucket/a?region=b"
    assert params(FitConfig(data="a@b/c://d.csv", target="y@z"))["target"] == "y@z"
