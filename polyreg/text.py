"""One-line texts: the spelling of values, addresses without secrets."""

import re
from typing import Any


def text(value: Any) -> str:
    """The one spelling of an option's value, in `--help`, in MLproject and in MLflow's params."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(text(v) for v in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def without_secrets(address: str) -> str:
    """Addresses without user and password, or a secret in their query, as they can be shown.

    A password may hold a slash, as keys of S3 do; unencoded, it is in the error that this makes.
    """
    address = re.sub(r"(\w+://)(?!\[)([^/@\s]*?)(?::(?!\d{1,5}\b)[^@\s]*)?@", _shown, address)
    named = r"(?<=[?&])(\w*(?:secret|password|token|key|sig))=[^&\s']*"
    return re.sub(r"://\S+", lambda found: re.sub(named, r"\1=...", found[0]), address)


def _shown(found: re.Match) -> str:
    """Azure's container stands where others have the user."""
    user = found[2].partition(":")[0]
    return f"{found[1]}{user}@" if found[1].startswith(("abfs", "wasb")) else found[1]
