"""A package's own source, for processes that have only what it imports.

Ray carries `work` by value, so this module imports nothing that a machine of a cluster may lack.
"""

import importlib.abc
import importlib.util
import pickle
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path


class Carried(importlib.abc.SourceLoader, importlib.abc.MetaPathFinder):  # type: ignore[misc]
    """Modules from their texts, by path: polyreg/config.py."""

    def __init__(self, texts: dict[str, bytes]):
        self.texts = texts

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        source = self._source(name)
        if source is None:
            return None
        return importlib.util.spec_from_file_location(name, source, loader=self)

    def get_filename(self, name: str) -> str:
        source = self._source(name)
        if source is None:
            raise ImportError(f"{name} is not carried")
        return source

    def _source(self, name: str) -> str | None:
        file = name.replace(".", "/")
        return next((s for s in (f"{file}.py", f"{file}/__init__.py") if s in self.texts), None)

    def get_data(self, path) -> bytes:
        return self.texts[path]


def texts(*packages: Path) -> dict[str, bytes]:
    """The modules of these folders, and of those in them."""
    return {
        f.relative_to(p.parent).as_posix(): f.read_bytes()
        for p in packages
        for f in p.rglob("*.py")
    }


def work(sources: dict[str, bytes], function: bytes, *arguments: bytes) -> bytes | tuple:
    """What function(*arguments) gives, a tuple of one or more, all of it pickled, by `sources`."""
    if not any(type(finder).__name__ == "Carried" for finder in sys.meta_path):
        sys.meta_path.insert(0, Carried(sources))
    done = tuple(map(pickle.dumps, pickle.loads(function)(*map(pickle.loads, arguments))))
    return done if len(done) > 1 else done[0]
