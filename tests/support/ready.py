"""Half of a run's second goes to its pictures and to torch.export: for tests that look at neither.

What is made in their place is what the first run made, so all else of a run is as ever.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from unittest import mock

import torch
from matplotlib.figure import Figure

_kept: dict = {}
_plain_save, _plain_export = Figure.savefig, torch.export.export


def _save(figure: Figure, to, **how) -> None:
    if "picture" not in _kept:
        _plain_save(figure, made := BytesIO(), format="png")
        _kept["picture"] = made.getvalue()
    if hasattr(to, "write"):
        to.write(_kept["picture"])
    else:
        with open(to, "wb") as file:
            file.write(_kept["picture"])


def _export(module: torch.nn.Module, args, *more, **how):
    key = type(module), *(p.dtype for p in module.parameters()), *(a.dtype for a in args)
    if key not in _kept:
        _kept[key] = _plain_export(module, args, *more, **how)
    return _kept[key]


@contextmanager
def pictures_and_models() -> Iterator[None]:
    with mock.patch.object(Figure, "savefig", _save), mock.patch("torch.export.export", _export):
        yield
