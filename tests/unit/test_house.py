"""The borders of the house, and the facts that a tool forces us to write twice."""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest brings it
    import tomli as tomllib

from tests.conftest import ROOT

# Who may import whom: those before, in the order of the line, and their own wing.
ORDER = """
    errors text naming compiling device polynomials inference < options < fields measured grouped
    < config config_reading < tables sgd < least_squares < groups < tracking < reports cluster < api
    < __init__ < experiments < benchmarks
"""
HOMES = {"mlflow": "tracking", "matplotlib": "reports", "jinja2": "reports", "ray": "cluster"}


def wings() -> dict[str, list[Path]]:
    """The modules of each folder, and each module that lies beside polyreg's folders."""
    found = {name: sorted((ROOT / name).glob("*.py")) for name in ("experiments", "benchmarks")}
    for entry in (ROOT / "polyreg").iterdir():
        if entry.suffix == ".py":
            found[entry.stem] = [entry]
        elif modules := sorted(entry.rglob("*.py")):
            found[entry.name] = modules
    return found


def imports(module: Path) -> set[str]:
    """What a module imports, at its top or later, by full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def wing_of(name: str) -> str:
    """`polyreg.sgd.rates.stable_rate` is of sgd, `polyreg.fit` of __init__; "" is not ours."""
    package, _, rest = name.partition(".")
    if package != "polyreg":
        return package if package in ("experiments", "benchmarks") else ""
    wing = rest.partition(".")[0]
    return wing if wing in wings() else "__init__"


def test_nobody_imports_what_is_above():
    ranks = {wing: k for k, level in enumerate(ORDER.split("<")) for wing in level.split()}
    assert ranks.keys() == wings().keys()
    # plot() draws when it is asked to, and `import polyreg` hands on what is below it.
    known = {
        ("polyreg/polynomials/result.py", "polyreg.reports.plot.plot"),
        ("polyreg/groups/results.py", "polyreg.reports.groups.figures.curves"),
    }
    above = {
        (module.relative_to(ROOT).as_posix(), name)
        for wing, modules in wings().items()
        for module in modules
        for name in imports(module)
        if (other := wing_of(name)) not in ("", wing)
        if ranks[other] >= max(ranks[wing], 1)  # the first level is one family
    }
    assert above == known


@pytest.mark.parametrize("package, home", HOMES.items())
def test_one_wing_alone_imports(package, home):
    found = {
        wing
        for wing, modules in wings().items()
        for module in modules
        for name in imports(module)
        if name.partition(".")[0] == package
    }
    assert found - {"benchmarks"} == {home}


def test_a_wing_has_a_short_face_and_few_modules_of_a_sitting_each():
    long = {}
    for wing, modules in wings().items():
        assert max(Counter(module.parent for module in modules).values()) <= 12, wing
        for module in modules:
            is_face = module.name == "__init__.py" and module.parent != ROOT / "polyreg"
            lines = len(module.read_text().splitlines())
            if lines > (15 if is_face else 400) and wing != "benchmarks":
                long[module.relative_to(ROOT).as_posix()] = lines
    assert long == {}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_pyproject_declares_every_direct_import():
    extras = project()["optional-dependencies"]
    wanted = [*project()["dependencies"], *extras["search"], *extras["ray"], *extras["sheets"]]
    names = {re.match(r"[\w-]+", line)[0].replace("scikit-learn", "sklearn") for line in wanted}
    names = {name.replace("-", "_") for name in names}
    sources = [f for d in ("polyreg", "experiments") for f in (ROOT / d).rglob("*.py")]
    found = {
        m for f in sources for m in re.findall(r"^\s*(?:import|from) (\w+)", f.read_text(), re.M)
    }
    assert found - set(sys.stdlib_module_names) - {"polyreg", "experiments"} == names


PAGES = {
    "speed.md": ["speed", "fit", "descent", "sweeping", "comparing", "cluster"],
    "reliability.md": ["reliability"],
    "your-file.md": ["dialects", "formats"],
    "measured.md": ["coverage", "inverting", "influence"],
    "groups.md": ["groups", "adapting"],
}


QUOTED = [(page, name) for page, names in PAGES.items() for name in names]


@pytest.mark.parametrize("page, name", QUOTED)
def test_the_docs_figures_are_what_the_benchmark_printed(page, name):
    printed = (ROOT / "benchmarks" / "results" / f"{name}.md").read_text().strip()
    assert printed.count("\n|") > 2  # a head and two rows at least
    assert printed in (ROOT / "docs" / page).read_text()


def test_every_result_of_a_benchmark_is_on_a_page_or_checked_below():
    results = {path.stem for path in (ROOT / "benchmarks" / "results").glob("*.md")}
    assert results == {*(name for _, name in QUOTED), "convergence", "accuracy"}


def test_every_training_arrives_as_the_docs_say():
    rows = (ROOT / "benchmarks" / "results" / "convergence.md").read_text().strip().splitlines()[2:]
    assert len(rows) > 20
    assert [row for row in rows if "| 20 of 20 |" not in row] == []


def test_every_fit_has_the_digits_that_the_docs_say():
    rows = (ROOT / "benchmarks" / "results" / "accuracy.md").read_text().strip().splitlines()[2:]
    assert len(rows) == 23
    for row in rows:
        certified, fast, *peers = row.strip("| ").split(" | ")[1:]
        assert float(certified) >= 15.9, row
        assert all(float(fast) >= float(peer) for peer in peers if peer != "-"), row
