"""Words of a column as codes: the places of its levels, which are sorted, the base first.

This file travels with a logged model, before predictor.py: it imports nothing but numpy.
"""

import numpy as np

MOST_LEVELS = 100
# What stands for a missing value. Unlike a number's column, one of words may hold "none" and "-".
NO_WORDS = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "nan", "NaN", "NAN", "null", "NULL", "Null")
)


def word_of(value, missing=()):
    """A value as text, without the blanks about it; None where there is none.

    missing: words that stand for a missing value, besides the usual
    """
    if value is None or (isinstance(value, float) and value != value):
        return None
    word = str(value).strip()
    return None if word in NO_WORDS or word in missing else word


def codes_of_words(values, words) -> np.ndarray:
    """Places of the values (N,) among the words, float64; -1 of what is none of them."""
    place = {word: float(k) for k, word in enumerate(words)}
    return np.array([place.get(word_of(value), -1.0) for value in values], dtype=float)
