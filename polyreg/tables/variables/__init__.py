"""Features and targets that are functions of columns: how they are written, and their values."""

from polyreg.tables.variables.functions import Functions

__all__ = ["Functions"]
