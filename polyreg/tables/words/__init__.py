"""Columns of words: their levels, as codes that the sums can take."""

from polyreg.tables.words.levels import Words, find_levels, lexicon_of, written

__all__ = ["Words", "find_levels", "lexicon_of", "written"]
