"""The same work as tasks of a Ray cluster."""

from polyreg.cluster.connect import cluster_of, connected

__all__ = ["cluster_of", "connected"]
