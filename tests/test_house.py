"""The borders of the house, and the facts that a tool forces us to write twice."""

import re
import sys

import pytest
import yaml

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest brings it
    import tomli as tomllib

from experiments import compare, fit, predict, sweep, train
from polyreg.text import text
from tests.conftest import ROOT

PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
COMMANDS = {
    "compare": compare.main,
    "main": train.main,
    "fit": fit.main,
    "predict": predict.main,
    "sweep": sweep.main,
}


@pytest.mark.parametrize(
    "package, homes",
    [
        ("mlflow", "tracking.py"),
        ("matplotlib", "chart.py figures.py sweep_figures.py comparison_figure.py"),
        ("jinja2", "page.py"),
        ("ray", "cluster.py"),
    ],
)
def test_one_part_alone_imports(package, homes):
    imports = re.compile(rf"^\s*(import|from) {package}\b", re.MULTILINE)
    files = [*(ROOT / "polyreg").glob("*.py"), *(ROOT / "experiments").glob("*.py")]
    assert {f.name for f in files if imports.search(f.read_text())} == set(homes.split())


def test_lower_floors_never_import_upper_ones():
    floors = [
        ["text"],
        [
            *("config", "terms", "files", "limbs", "exact", "normal", "threads"),
            *("process", "outbox", "predictor", "carried"),
        ],
        ["table", "basis", "design", "recurrence"],
        ["data", "model", "optimum", "moments", "inference"],
        ["sgd", "selection", "polynomial", "certified", "fast"],
        ["least_squares", "recovery"],
        ["sweep", "checkpoint"],
        ["tracking", "chart", "cluster"],
        ["page", "figures"],
        ["sweep_figures", "comparison_figure"],
    ]
    assert {f.stem for f in (ROOT / "polyreg").glob("*.py")} == {"__init__"}.union(*floors)
    for height, floor in enumerate(floors):
        above = {name for higher in floors[height + 1 :] for name in higher}
        for name in floor:
            source = (ROOT / "polyreg" / f"{name}.py").read_text()
            lines = re.findall(
                r"^(?:from polyreg(?:\.\w+)?) import .*|^from polyreg\.\w+", source, re.M
            )
            used = set(re.findall(r"\w+", " ".join(lines)))
            assert not used & above, (name, used & above)


def test_the_entry_points_are_the_commands():
    assert PROJECT["entry_points"].keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_mlproject_offers_what_click_offers_and_passes_it_on(name):
    entry, command = PROJECT["entry_points"][name], COMMANDS[name]
    # What --tracking-uri says, `mlflow run` was told itself.
    options = [p for p in command.params if not p.is_flag and p.name != "tracking_uri"]
    in_click = {p.name: None if p.required else text(p.default) for p in options}
    assert {k: v.get("default") for k, v in entry["parameters"].items()} == in_click
    passed = dict(re.findall(r"--([\w-]+) \{(\w+)\}", entry["command"]))
    assert passed == {name.replace("_", "-"): name for name in in_click}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_asks_for_what_pyproject_asks_for():
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == project()["dependencies"]
    assert any(line.startswith("python=3.") for line in conda["dependencies"][:-1])


def test_pyproject_declares_every_direct_import():
    extras = project()["optional-dependencies"]
    wanted = [*project()["dependencies"], *extras["search"], *extras["ray"]]
    names = {re.match(r"\w+", line)[0] for line in wanted}
    sources = [f for d in ("polyreg", "experiments") for f in (ROOT / d).glob("*.py")]
    found = {
        m for f in sources for m in re.findall(r"^\s*(?:import|from) (\w+)", f.read_text(), re.M)
    }
    assert found - set(sys.stdlib_module_names) - {"polyreg", "experiments"} == names


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_lists_every_option_with_its_default(name):
    readme = (ROOT / "README.md").read_text()
    module = COMMANDS[name].callback.__module__
    options = readme.split(f"\n### `{module}`\n")[1]
    for option in COMMANDS[name].params:
        row = re.search(rf"^\| `{option.name}` \|.*", options, re.MULTILINE)
        assert row, option.name
        if not (option.is_flag or option.required):
            assert f"| `{text(option.default)}` |".replace("| `` |", "| |") in row[0]


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
