"""Settings of tests by random examples: the same each time, unless a hunt is asked for.

POLYREG_FUZZ=<n> takes n times as many examples, and others each time.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("POLYREG_FUZZ", 0))


def asked(examples: int, **more: Any) -> settings:
    """Settings for so many examples."""
    return settings(
        max_examples=examples * max(TIMES, 1),
        derandomize=not TIMES,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        **more,
    )
