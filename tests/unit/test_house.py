"""The borders of the house, and the facts that a tool forces us to write twice."""

import re
import sys

import pytest

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest brings it
    import tomli as tomllib

from tests.conftest import ROOT


@pytest.mark.parametrize(
    "package, home",
    [
        ("mlflow", "tracking/"),
        ("matplotlib", "figures"),
        ("jinja2", "page.py"),
        ("ray", "cluster.py"),
    ],
)
def test_one_place_alone_imports(package, home):
    imports = re.compile(rf"^\s*(import|from) {package}\b", re.MULTILINE)
    files = [f for d in ("polyreg", "experiments") for f in (ROOT / d).rglob("*.py")]
    found = [f.relative_to(ROOT) for f in files if imports.search(f.read_text())]
    assert found and all(f.as_posix().startswith(f"polyreg/{home}") for f in found)


def test_a_wing_has_a_short_face_and_few_modules():
    for face in (ROOT / "polyreg").glob("*/__init__.py"):
        assert len(face.read_text().splitlines()) <= 15
        modules = [f for f in face.parent.glob("*.py") if f != face]
        assert len(modules) < 12
        assert all(len(f.read_text().splitlines()) <= 400 for f in modules)


def test_lower_floors_never_import_upper_ones():
    floors = [
        ["errors", "text"],
        ["options"],
        [
            *("config", "errors", "terms", "files", "limbs", "exact", "normal", "threads"),
            *("predictor", "page", "carried"),
        ],
        ["table", "basis", "design", "recurrence", "solution", "summary"],
        ["data", "model", "optimum", "moments", "document"],
        ["result"],
        ["sgd", "selection", "certified", "fast"],
        ["least_squares", "recovery"],
        ["sweep", "checkpoint", "models"],
        ["tracking", "plots", "cluster"],
    ]
    modules = [*(ROOT / "polyreg").glob("*.py"), *(ROOT / "polyreg").glob("*/__init__.py")]
    names = {f.parent.name if f.name == "__init__.py" else f.stem for f in modules}
    assert names == {"polyreg"}.union(*floors)
    for height, floor in enumerate(floors):
        above = {name for higher in floors[height + 1 :] for name in higher}
        for name in floor:
            wing = ROOT / "polyreg" / name
            files = wing.glob("*.py") if wing.is_dir() else [wing.with_suffix(".py")]
            source = "".join(file.read_text() for file in files)
            lines = re.findall(
                r"^(?:from polyreg(?:\.\w+)?) import .*|^from polyreg\.\w+", source, re.M
            )
            used = set(re.findall(r"\w+", " ".join(lines)))
            assert not used & above, (name, used & above)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_pyproject_declares_every_direct_import():
    extras = project()["optional-dependencies"]
    wanted = [*project()["dependencies"], *extras["search"], *extras["ray"]]
    names = {re.match(r"\w+", line)[0] for line in wanted}
    sources = [f for d in ("polyreg", "experiments") for f in (ROOT / d).rglob("*.py")]
    found = {
        m for f in sources for m in re.findall(r"^\s*(?:import|from) (\w+)", f.read_text(), re.M)
    }
    assert found - set(sys.stdlib_module_names) - {"polyreg", "experiments"} == names


@pytest.mark.parametrize("name", ["speed", "fit", "descent", "sweeping", "reliability", "cluster"])
def test_readmes_figures_are_what_the_benchmark_printed(name):
    printed = (ROOT / "benchmarks" / f"{name}.md").read_text().strip()
    assert printed.count("\n|") > 2  # a head and two rows at least
    assert printed in (ROOT / "README.md").read_text()


def test_every_training_arrives_as_readme_says():
    rows = (ROOT / "benchmarks" / "convergence.md").read_text().strip().splitlines()[2:]
    assert len(rows) > 20
    assert [row for row in rows if "| 20 of 20 |" not in row] == []


def test_every_fit_has_the_digits_that_readme_says():
    rows = (ROOT / "benchmarks" / "accuracy.md").read_text().strip().splitlines()[2:]
    assert len(rows) == 23
    for row in rows:
        certified, fast, *peers = row.strip("| ").split(" | ")[1:]
        assert float(certified) >= 15.9, row
        assert all(float(fast) >= float(peer) for peer in peers if peer != "-"), row
