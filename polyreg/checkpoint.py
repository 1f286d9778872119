"""A training in the making as bytes, to go on from: no pickle."""

import io
import json
from typing import Any

import numpy as np

from polyreg.config import params
from polyreg.sgd import Training


def pack(training: Training, seconds: float) -> bytes:
    """All that going on depends on, as numpy's npz; `seconds` is what the training took so far."""
    arrays: dict[str, Any]
    arrays, facts = training.state()
    facts |= {"seconds": seconds, "params": params(training.config)}
    packed = io.BytesIO()
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    return packed.getvalue()


def unpack(packed: bytes, training: Training) -> float:
    """Put a training that has not begun where `pack` found it, and give the seconds it took.

    ValueError where the bytes are damaged, or those of other options.
    """
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}  # the checksums are looked at here
        facts = json.loads(arrays.pop("facts").tobytes())
        facts["params"]
    except Exception as error:  # whatever numpy, zipfile, zlib or json say of damaged bytes
        raise ValueError(f"a damaged checkpoint: {error}") from error
    if facts["params"] != params(training.config):
        raise ValueError("a checkpoint of other options")
    training.restore(arrays, facts)
    return facts["seconds"]
