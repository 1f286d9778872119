"""Least squares in integers: exact, then rounded once."""
