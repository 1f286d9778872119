"""A signal at every line of what it may meet, in a process of its own."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# A signal is sent at each line that runs while another is noted, or a store is waited for.
AT_EVERY_LINE = """
import faulthandler, os, signal, sys, time
from experiments.lifecycle import Stop, patience

faulthandler.dump_traceback_later(12)
plain = time.sleep
time.sleep = lambda seconds: plain(seconds / 100)

def lines(blow):
    seen = 0
    def trace(frame, event, argument):
        nonlocal seen
        if event == "line":
            seen += 1
            if seen == blow:
                os.kill(os.getpid(), signal.SIGTERM)
        return trace
    stop = Stop()
    wait = patience(stop)
    with stop.listening():
        sys.settrace(trace)
        {}
        sys.settrace(None)
        assert stop or seen < blow
    return seen

blow = 1
while lines(blow) >= blow:
    blow += 1
print(blow)
"""


@pytest.mark.parametrize("work", ["signal.raise_signal(signal.SIGINT)", 'wait("away")'])
def test_a_signal_at_any_line_of_what_it_meets_hangs_nothing(work):
    done = subprocess.run(
        [sys.executable, "-c", AT_EVERY_LINE.replace("{}", work)], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "POLYREG_PATIENCE": "0.1"}, timeout=15,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 3
