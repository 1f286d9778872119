"""Options that columns of words leave no meaning, refused in one line."""

from typing import Any

from polyreg.config import FitConfig
from polyreg.errors import Refused


def require_possible(rows: Any, config: FitConfig) -> None:
    """Raise Refused where an option cannot have the words that are among the features."""
    columns = [*rows.lexicon]
    for name in config.interact:
        if not columns:
            raise Refused(f"--interact {name} needs --features to name that column of words, too")
        if name not in columns:
            raise Refused(
                f"--interact {name} is no column of words among the --features; these are "
                f"{', '.join(columns)}"
            )
    if not columns:
        return
    others = {
        "by": config.by,
        "sigma-x": config.sigma_x,
        "engine ray": config.engine == "ray",
        f"weights {config.weight_function}": config.weight_function,
        f"through {config.through}": config.through,
        f"slope {config.slope}": config.slope,
        "intercept false": not config.intercept,
    }
    for option, given in others.items():
        if given:
            named = columns[0]
            raise Refused(
                f"--{option} cannot be had with words, and {named} among the --features holds "
                f"some; leave out {named}, or --{option.partition(' ')[0]}"
            )
