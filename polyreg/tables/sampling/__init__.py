"""Bounds and a uniform sample of a table's rows."""

from polyreg.tables.sampling.profile import SAMPLE, Profile, bounds

__all__ = ["SAMPLE", "Profile", "bounds"]
