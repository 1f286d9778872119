"""Options of a fit of many curves: which rows make one, and what becomes of those that fail."""

from dataclasses import dataclass
from typing import Literal

from polyreg.errors import Refused
from polyreg.options import Names, Options, knob


@dataclass(frozen=True, kw_only=True)
class Grouped(Options):
    """A polynomial for each group of rows."""

    by: tuple[str, ...] = knob(
        (),
        "Columns whose values tell groups of rows apart, comma list: a polynomial for each group, "
        "as for each sensor or batch.",
        Names(),
        group="Data",
        is_new=True,
    )
    interact: tuple[str, ...] = knob(
        (),
        "Columns of words among the --features, comma list, whose levels have curves of their own; "
        "by default a level has an offset alone.",
        Names(),
        group="Model",
        is_new=True,
    )
    same_degree: bool = knob(
        False,
        "With --by and --degree auto, one degree for all groups: the least sum of the criterion.",
        group="Model",
        is_new=True,
    )
    pool: Literal["none", "offset", "offset+slope"] = knob(
        "none",
        "With --by, one shape for all groups: each has an offset, or an offset and a slope, of its "
        "own, and all higher coefficients are common.",
        group="Model",
        is_new=True,
    )
    require_all: bool = knob(
        False,
        "With --by, refuse a table in which some group cannot be fitted; by default it has its "
        "reason in the table of groups.",
        group="Model",
        is_new=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.by and self.interact:
            raise Refused("--by fits each group by itself; leave out --interact")
        given_names = {
            "same-degree": self.same_degree,
            "require-all": self.require_all,
            "pool": self.pool != "none",
        }
        for name, given in given_names.items():
            if given and not self.by:
                raise Refused(f"--{name} is of groups; name their --by")
        if self.pool != "none" and self.same_degree:
            raise Refused("--pool has one degree for all groups; leave out --same-degree")
