"""A training in the making as bytes, to go on from: no pickle."""

import hashlib
import io
import json
from typing import Any

import numpy as np

from polyreg.options import params
from polyreg.sgd.descend import stepper_of
from polyreg.sgd.training import Training


def pack(training: Training, seconds: float) -> bytes:
    """All that going on depends on, as numpy's npz after its SHA-256.

    `seconds` is what the training took so far.
    """
    arrays: dict[str, Any]
    arrays, facts = training.state()
    facts |= {"seconds": seconds, "params": params(training.config)}
    packed = io.BytesIO()
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    np.savez(packed, **arrays)  # type: ignore[arg-type]
    return hashlib.sha256(packed.getvalue()).digest() + packed.getvalue()


def unpack(packed: bytes, training: Training, stepper: type | None = None) -> float:
    """Put a training that has not begun where `pack` found it, and give the seconds it took.

    stepper: what is to take its steps, as of `descend`
    ValueError where the bytes are damaged, or of other options, or of steps that were taken in
    another way: on another device, or by an earlier polyreg.
    """
    digest, packed = packed[:32], packed[32:]
    # zip's own checksums are not enough: a header that is damaged may ask for a part of the data.
    if hashlib.sha256(packed).digest() != digest:
        raise ValueError("a damaged checkpoint")
    with np.load(io.BytesIO(packed), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    facts = json.loads(arrays.pop("facts").tobytes())
    if facts["params"] != params(training.config):
        raise ValueError("a checkpoint of other options")
    if facts.get("stepper") != (stepper or stepper_of(training)).__name__:
        raise ValueError("a checkpoint of other steps")
    training.restore(arrays, facts)
    return facts["seconds"]
