"""One side of benchmarks.fit's reading of a file, in a process of its own.

    python -m benchmarks.peers.reading dataset|read_table|polyreg FILE

Imports first, then times the work; prints seconds, and the peak memory of the process in bytes.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def dataset() -> Callable[[str], int]:
    import pyarrow.dataset

    def count(path: str) -> int:
        batches = pyarrow.dataset.dataset(path).scanner(columns=["x", "y"]).to_batches()
        return sum(batch.num_rows for batch in batches)

    return count


def read_table() -> Callable[[str], int]:
    import pyarrow.dataset  # which read_table would import while it is timed
    import pyarrow.parquet

    return lambda path: pyarrow.parquet.read_table(path, columns=["x", "y"]).num_rows


def polyreg() -> Callable[[str], int]:
    from polyreg.config import FitConfig
    from polyreg.least_squares.fitting import fit
    from polyreg.tables.table import Table

    def count(path: str) -> int:
        # What auto takes above 10 million values; asked for, so that the small file gets it too.
        config = FitConfig(data=path, target="y", degree=3, precision="fast")
        table = Table.open(config.data, config.target)
        answer = fit(table, config)
        table.sha256()
        return answer.nobs

    return count


def peak_bytes() -> int:
    """Not getrusage's ru_maxrss: through exec, that keeps the peak of whoever started us."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    side, path = sys.argv[1:]
    count = {"dataset": dataset, "read_table": read_table, "polyreg": polyreg}[side]()
    start = time.perf_counter()
    rows = count(path)
    took = time.perf_counter() - start
    print(json.dumps({"rows": rows, "seconds": took, "peak": peak_bytes()}))


if __name__ == "__main__":
    main()
