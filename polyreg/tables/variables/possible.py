"""Options that functions of columns leave no meaning, refused in one line."""

from typing import Any

from polyreg.config import FitConfig
from polyreg.errors import Refused
from polyreg.tables.words import possible as words


def require_possible(rows: Any, config: FitConfig) -> None:
    """Raise Refused where an option is of columns as they are, and rows have functions of them."""
    words.require_possible(rows, config)
    if rows.functions is None:
        return
    outcome = rows.functions.outcome
    x = next((v.name for v in rows.functions.inputs if not v.is_plain), "")
    y = outcome.name if outcome and not outcome.is_plain else ""
    first = rows.functions.first
    if config.by:
        raise Refused(
            f"--by fits columns as they are, and {first} is a function of one; make it a column of "
            "the table, or fit the groups one by one"
        )
    if config.swap:
        raise Refused(
            f"--swap fits columns as they are, and {first} is a function of one; name the other "
            "column as --target"
        )
    function = config.weight_function
    named = x if "x" in function else y
    if function and named:
        raise Refused(
            f"--weights {function} is of columns as they are, and {named} is a function of one; "
            "give a column of weights"
        )
