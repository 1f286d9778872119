"""A real S3 server in a process of its own, and its buckets."""

import shlex
import sys
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet

from polyreg.tables.table import Table
from tests.support.processes import answers, process, until

KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}


@contextmanager
def server(port: int):
    # A pipe that no one reads is full after 64 kB of its log, and then it waits.
    command = f"exec {shlex.quote(sys.executable)} -m moto.server -p {port} >/dev/null 2>&1"
    with process(["sh", "-c", command]) as running:
        until(lambda: answers(f"http://127.0.0.1:{port}", "moto-api/"))
        yield running


def storage(port: int) -> pa.fs.FileSystem:
    """What fills the buckets."""
    return pa.fs.S3FileSystem(
        endpoint_override=f"127.0.0.1:{port}", scheme="http", region="us-east-1",
        access_key="nobody", secret_key="nothing", allow_bucket_creation=True,
    )  # fmt: skip


def uploaded(port: int, folder, bucket: str) -> pa.fs.FileSystem:
    there = storage(port)
    there.create_dir(bucket)
    pa.fs.copy_files(str(folder), f"{bucket}/folder", destination_filesystem=there)
    return there


def at(port: int, path: str, keys: str = "") -> str:
    return f"s3://{keys}{path}?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


def same(ours: Table, theirs: Table) -> None:
    a, b = (list(table.blocks()) for table in (ours, theirs))
    for place in (0, 1):
        columns = [np.concatenate([(*x.x, x.y)[place] for x in blocks]) for blocks in (a, b)]
        np.testing.assert_array_equal(*columns)
    assert ours.sha256() == theirs.sha256()
