"""Least squares with known errors in x and y."""
