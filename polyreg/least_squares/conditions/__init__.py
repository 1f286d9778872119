"""Exact conditions on the polynomial of a fit: its terms, fixed coefficients, points, slopes."""
