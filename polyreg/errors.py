"""Errors whose one line the user reads."""


class Unreachable(Exception):
    """The tracking store or the artifact store cannot take a run; one line says why."""


class Unsent(Exception):
    """A run's log, or a part of it, did not arrive; one line says where it is."""
