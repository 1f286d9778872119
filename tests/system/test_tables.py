"""The hash of a folder beside the system's own tool."""

import hashlib
import subprocess
from pathlib import Path

from polyreg.tables.table import Table


def test_the_hash_of_a_folder_is_that_of_what_sha256sum_prints(tmp_path):
    (tmp_path / "sub").mkdir()
    names = ["a.csv", "b é.csv", "sub/c.csv"]
    for k, name in enumerate(names):
        write(tmp_path / name, f"x,y\n{k},1\n")
    printed = subprocess.run(["sha256sum", *names], cwd=tmp_path, capture_output=True, check=True)
    table = Table.open(str(tmp_path), "y")
    assert table.sha256() == hashlib.sha256(printed.stdout).hexdigest()


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
