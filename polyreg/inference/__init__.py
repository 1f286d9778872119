"""Inference: errors of the coefficients, x from y, limits, why this degree, rows to doubt."""
