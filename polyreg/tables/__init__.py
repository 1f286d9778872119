"""Tables: the user's data as a stream of blocks."""

from polyreg.tables.memory import in_memory, is_address, name_of, names_of
from polyreg.tables.rows import Block, InMemory, Survey
from polyreg.tables.table import Table

__all__ = ["Block", "InMemory", "Survey", "Table", "in_memory", "is_address", "name_of", "names_of"]
