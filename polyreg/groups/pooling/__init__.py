"""One shape for all groups, each with an offset, or an offset and a slope, of its own."""

from polyreg.groups.pooling.shape import Shape, common_shape, require_possible, without_own

__all__ = ["Shape", "common_shape", "require_possible", "without_own"]
