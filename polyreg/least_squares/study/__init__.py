"""Study of a fit by two more passes over its rows: degrees compared, and rows to doubt."""

from polyreg.least_squares.study.passes import examine

__all__ = ["examine"]
