"""Comparisons by a tracking server."""

import mlflow
import numpy as np

from polyreg.config_reading import CompareConfig
from polyreg.reports.comparison.reading.runs import read
from tests.runs.test_compare import made, swept, trained
from tests.support.processes import free_port, tracking_server


def test_what_is_compared_is_the_same_by_a_tracking_server(store):
    first, parent = trained("--max-steps", "50"), swept()
    inner = made(parent=made({"lr": "1"}))
    here = [read(CompareConfig(last=3)), read(CompareConfig(filter="params.degree > 1"))]
    assert here[0].ids == [parent, first, inner]
    with tracking_server(store, free_port()) as uri:
        mlflow.set_tracking_uri(uri)
        there = [read(CompareConfig(last=3)), read(CompareConfig(filter="params.degree > 1"))]
    for one, other in zip(here, there, strict=True):
        assert (one.ids, one.notes) == (other.ids, other.notes)
        for seen, same in zip(one.seen, other.seen, strict=True):
            assert (seen.past, seen.config, seen.notes) == (same.past, same.config, same.notes)
            for key in seen.learning.keys() | same.learning.keys():
                assert np.array_equal(seen.learning[key], same.learning[key])
