"""Which monomials a model has, and their names."""


def powers(degree: int) -> list[str]:
    """Names of 1, x, ..., x^degree, as tables write them."""
    return ["1", "x", *(f"x^{k}" for k in range(2, degree + 1))][: degree + 1]


def key(term: str) -> str:
    """A term's name inside an MLflow key, where ^ and * are not allowed: x^2 -> x.2"""
    return term.replace("^", ".").replace("*", ":")
