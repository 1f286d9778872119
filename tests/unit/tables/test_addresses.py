"""Addresses, before anything is read from them."""

import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet
import pytest

from polyreg.config import FitConfig
from polyreg.errors import BadTable
from polyreg.options import params
from polyreg.tables.table import Table
from polyreg.text import without_secrets
from tests.support.buckets import same


def test_an_address_of_this_machine_is_its_path(tmp_path):
    pa.csv.write_csv(pa.table({"x": [1.0, 2, 3], "y": [1.0, 2, 4]}), tmp_path / "t.csv")
    same(Table.open(f"file://{tmp_path}/t.csv", "y"), Table.open(str(tmp_path / "t.csv"), "y"))


@pytest.mark.parametrize(
    "address",
    [
        "foo://user:secret@a/b", "s3://", "https://a.b/c.csv", "s3://user:half/secret@bucket/a",
        "s3://bucket/a?secret_key=a.secret", "abfs://a@b.c/d?tenant_id=e&client_secret=a.secret",
    ],
)  # fmt: skip
def test_an_address_that_no_one_reads_is_one_line(address):
    with pytest.raises(BadTable) as told:
        Table.open(address, "y")
    shown = str(told.value).replace("secret_key", "").replace("client_secret", "")
    assert "secret" not in shown and "\n" not in shown


def test_params_hold_no_password():
    config = FitConfig(data="s3://key:secret@bucket/a?region=b", target="y")
    assert params(config)["data"] == "s3://bucket/a?region=b"
    config = FitConfig(data="s3://key:half/secret@bucket/a@b?region=c", target="y")
    assert params(config)["data"] == "s3://bucket/a@b?region=c"
    assert params(FitConfig(data="a@b/c://d.csv", target="y@z"))["target"] == "y@z"


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/a@b/c", "hdfs://host:8020/a@b.csv", "http://[::1]:5000/a@b", "what?key=3",
        "s3://bucket/a?region=b&scheme=http", "/a:b@c/d.csv",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_shown(address):
    assert without_secrets(address) == address


@pytest.mark.parametrize("password", ["", ":secret", ":secret/with/slashes"])
def test_azures_container_is_no_user(password):
    address = f"abfs://container{password}@account.dfs.core.windows.net/folder"
    assert without_secrets(address) == "abfs://container@account.dfs.core.windows.net/folder"
