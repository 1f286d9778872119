"""Models of many curves."""

from polyreg.tracking.many.model import read_groups, save_groups

__all__ = ["read_groups", "save_groups"]
