"""Pieces of the domain on which a polynomial is monotone, proved by exact root counting."""
