"""Connection to a Ray cluster that does not come at once."""

import pytest

ray = pytest.importorskip("ray")

from polyreg.cluster import connect, tasks  # noqa: E402
from polyreg.errors import Refused  # noqa: E402

SAID = (
    "Initialization failure from server:\nTraceback (most recent call last):\n"
    '  File "proxier.py", line 772, in Datapath\n    raise RuntimeError(\n'
    "RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err\n"
)
ADDRESS = "ray://127.0.0.1:1"


@pytest.fixture
def answers(monkeypatch):
    """What the cluster answers, one after the other; None where it takes the client."""
    found: list[Exception | None] = []

    def init(address, **how):
        answer = found.pop(0)
        if answer is not None:
            raise answer

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(tasks, "Cluster", lambda ray, device: device)
    monkeypatch.setattr(connect, "silence", lambda address: "")
    monkeypatch.setattr(connect, "PAUSES", (0, 0))
    return found


def test_a_client_whose_process_failed_to_start_tries_again(answers):
    answers += [ConnectionAbortedError(SAID), ConnectionAbortedError(SAID), None]
    with connect.connected(ADDRESS) as cluster:
        assert cluster == "cpu"
    assert not answers


def test_the_last_failure_is_told_by_its_last_line(answers):
    answers += [ConnectionAbortedError(SAID)] * 3
    told = r"no Ray cluster \(RuntimeError: Starting Ray client server failed\. See ray_client"
    with pytest.raises(Refused, match=told), connect.connected(ADDRESS):
        pass


def test_another_failure_is_told_at_once(answers):
    answers += [RuntimeError("Version mismatch: the cluster has Ray 2.1"), None]
    with pytest.raises(Refused, match="Version mismatch"), connect.connected(ADDRESS):
        pass
    assert len(answers) == 1
