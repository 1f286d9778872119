"""Every error that a user meets: one line that says what is wrong, and the way out."""


class PolyregError(ValueError):
    """Base of every error of polyreg's own: one line with the value and the way out.

    >>> import polyreg
    >>> try:
    ...     polyreg.fit([1, 2], [3, 4], degree=5)
    ... except polyreg.PolyregError as error:
    ...     print(error)
    6 terms need at least as many rows, got 2; lower degree
    """

    def __init__(self, message: str = ""):
        super().__init__(" ".join(message.splitlines()))


class Refused(PolyregError):
    """Options, or options and a table, that make no run."""


class BadTable(Refused):
    """A table that cannot be read or written: what is wrong, and where."""


class NotNow(BadTable):
    """A file that may be readable at another time: it changed, or its server does not answer."""


class NearlySingular(PolyregError, ArithmeticError):
    """Normal equations in which float64 cannot tell whether the terms depend on each other."""


class Diverged(PolyregError, ArithmeticError):
    """Raised when the gap exceeds the divergence limit."""


class Unreachable(PolyregError):
    """A tracking store or an artifact store that cannot take a run."""


class Unsent(PolyregError):
    """A log of which a part did not arrive; the message names the folder that holds it."""


class ClusterLost(PolyregError, RuntimeError):
    """A cluster that went away while it worked."""
