"""The table that groups were fitted to, for its record in MLflow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass
class Source:
    """Where the rows are, their columns (name, Arrow type), and their hash when it is asked for."""

    root: str
    schema: list[tuple[str, str]]
    digest: Callable[[], str]

    @property
    def sha256(self) -> str:
        found = self.digest()
        self.digest = partial(str, found)
        return found

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"digest": partial(str, self.sha256)}
