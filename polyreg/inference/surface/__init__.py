"""Response surfaces: stationary point of a polynomial of degree 2, and its confidence region."""

from polyreg.inference.surface.stationary import (
    Region,
    StationaryPoint,
    refusal,
    stationary_point,
)

__all__ = ["Region", "StationaryPoint", "refusal", "stationary_point"]
