"""Variables of a polynomial: functions of the columns of the user's table."""

from polyreg.polynomials.variables.variable import Variable, columns_of, values_of, words_of

__all__ = ["Variable", "columns_of", "values_of", "words_of"]
