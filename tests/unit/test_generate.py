"""The generated files: that they follow the code, and that MLflow reads what is written."""

import shlex

import click
import mlflow.projects._project_spec as projects
import pytest
import yaml
from click.testing import CliRunner

from docs import generate
from experiments import train
from tests.conftest import ROOT


def check():
    return CliRunner().invoke(generate.main, ["--check"])


def test_the_files_are_up_to_date():
    assert (check().exit_code, check().output) == (0, "")


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """The repository's generated files in a folder of their own, and what they are made from."""
    (tmp_path / "docs").mkdir()
    for name in ("MLproject", "conda.yaml", "docs/options.md", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return tmp_path


def test_a_changed_default_makes_its_files_stale_until_they_are_written_again(copies, monkeypatch):
    degree = next(one for one in train.main.params if one.name == "degree")
    monkeypatch.setattr(degree, "default", "4")
    result = check()
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 2
    assert "MLproject is not up to date" in result.stderr
    assert "options.md is not up to date" in result.stderr
    assert CliRunner().invoke(generate.main).exit_code == 0
    written = yaml.safe_load((copies / "MLproject").read_text())
    assert written["entry_points"]["main"]["parameters"]["degree"]["default"] == "4"
    assert "| `degree` | `4` | 0 to 20 |" in (copies / "docs" / "options.md").read_text()
    assert check().exit_code == 0


def test_a_changed_meaning_or_range_makes_the_table_stale(copies, monkeypatch):
    degree = next(one for one in train.main.params if one.name == "degree")
    monkeypatch.setattr(degree, "help", "Something else.")
    assert "options.md" in check().stderr and "MLproject" not in check().stderr
    monkeypatch.undo()
    monkeypatch.setattr(generate, "ROOT", copies)
    monkeypatch.setattr(degree.type, "max", 21)
    assert "options.md" in check().stderr


def test_a_changed_requirement_makes_conda_stale(copies):
    project = copies / "pyproject.toml"
    project.write_text(project.read_text().replace('"click>=8.1"', '"click>=8.2"', 1))
    assert check().stderr == "conda.yaml is not up to date: python -m docs.generate writes it\n"
    CliRunner().invoke(generate.main)
    written = yaml.safe_load((copies / "conda.yaml").read_text())["dependencies"]
    assert "click>=8.2" in written[-1]["pip"] and "torch>=2.10" in written[-1]["pip"]
    assert any(line.startswith("python=3.") for line in written[:-1])


def test_a_file_that_is_missing_or_edited_is_stale(copies):
    (copies / "MLproject").unlink()
    (copies / "conda.yaml").write_text((copies / "conda.yaml").read_text() + "      - six\n")
    assert check().exit_code == 1 and len(check().stderr.splitlines()) == 2


def another(one: click.Parameter) -> str:
    """A value that the option takes, other than its default."""
    words = [*getattr(one.type, "choices", ()), "2", "0.25", "false", "true", "1,2"]
    for word in [*words, "legendre", "adam", "some words"]:
        try:
            value = one.type_cast_value(click.Context(click.Command("any")), word)
        except click.BadParameter:
            continue
        if one.required or value != one.type.convert(generate.default(one), None, None):
            return word
    raise AssertionError(one.name)


@pytest.mark.parametrize("entry, name", generate.ENTRY_POINTS.items())
def test_what_mlflow_run_is_told_arrives_at_the_command(entry, name):
    main = generate.command(name)
    # The store is the one that `mlflow run` was told itself.
    options = [one for one in main.params if not one.is_flag and one.name != "tracking_uri"]
    given = {one.name: another(one) for one in options}
    read = projects.load_project(str(ROOT)).get_entry_point(entry)
    assert set(read.parameters) == set(given)
    required = {key for key, parameter in read.parameters.items() if parameter.default is None}
    assert required == {one.name for one in options if one.required}
    command = shlex.split(read.compute_command(given, None))
    assert command[:3] == ["python", "-m", f"experiments.{name}"]
    context = main.make_context(name, command[3:])
    for one in options:
        assert context.params[one.name] == one.type.convert(given[one.name], None, None), one.name
