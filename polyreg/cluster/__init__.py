"""The same work as tasks of a Ray cluster."""

from polyreg.cluster.connect import connected

__all__ = ["connected"]
