"""Ray: fits and sweeps as tasks of a cluster."""

from polyreg.cluster.connect import cluster_of, connected

__all__ = ["cluster_of", "connected"]
