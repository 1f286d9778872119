"""Whether a process is gone, of this one and of none."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyreg.tracking.owner import identity, is_gone


def test_this_process_is_not_gone():
    tags = identity()
    assert is_gone(tags) is False
    assert tags["process_id"] == str(os.getpid())
    assert all(isinstance(value, str) for value in tags.values())


@pytest.mark.parametrize("tags", [{}, {"process_id": "1"}, {"host": "elsewhere"}], ids=str)
def test_runs_without_our_tags_are_nobodys(tags):
    assert is_gone(tags) is False


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(list(identity())), st.text(max_size=12)))
def test_tags_of_any_kind_are_no_error_and_never_end_what_is_elsewhere(tags):
    ours = identity()
    found = is_gone(ours | tags)
    assert found in (True, False)
    if not set(tags) - {"host", "machine"}:
        assert found is False
