"""Write what repeats the code: MLproject, the pip list of conda.yaml, docs/options.md.

\b
    python -m docs.generate
    python -m docs.generate --check

Options, defaults and meanings come from the commands, requirements from pyproject.toml. With
--check nothing is written: a line for each file that is not up to date, and exit code 1.
"""

import importlib
import json
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from experiments.__main__ import EXPERIMENTS
from polyreg.options import bounds, grouped
from polyreg.text import text

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest and mypy bring it
    import tomli as tomllib  # type: ignore[no-redef]

ROOT = Path(__file__).parent.parent
ENTRY_POINTS = {"main": "train"} | {
    name: name for name in EXPERIMENTS if name not in ("train", "repair")
}
COMMAND_LINE_ONLY = ("dry_run", "tracking_uri")  # the store is the one that `mlflow run` is told
WIDTH = 92  # columns of a command in MLproject
INTRODUCTION = """\
# Options

<!-- Written by `python -m docs.generate`; change polyreg/config.py or the experiment instead. -->

An option has the same name everywhere: `--max-steps 10` of `polyreg train` (or of
`python -m experiments.train`) is `-P max_steps=10` of `mlflow run .`, and the param `max_steps` of
the run. The other commands are entry points of the project: `polyreg fit` is `mlflow run . -e fit`.
Three things exist on the command line only: `dry_run`, `tracking_uri`, and all of `repair`.

Wrong options and bad data end in one line and exit code 2. They leave no run (of `mlflow run`, a
FAILED one).

Runs go to the tracking store that MLflow is told of (`MLFLOW_TRACKING_URI`), else to `mlflow.db` in
the current folder. Their experiment is the one that MLflow is told of (`MLFLOW_EXPERIMENT_NAME`, or
`--experiment-name` of `mlflow run`), else `polyreg`. Without that option, `mlflow run` opens its
runs in MLflow's experiment `Default`. It works in the folder of the project, so give it absolute
paths.
"""


def command(name: str) -> click.Command:
    """The Click command of an experiment."""
    return importlib.import_module(f"experiments.{name}").main


def default(one: click.Parameter) -> str:
    return "" if isinstance(one, click.Option) and one.is_flag else text(one.default)


def mlproject() -> str:
    """Every option of an experiment as a parameter of its entry point, which passes it on."""
    return "name: polyreg\nconda_env: conda.yaml\nentry_points:\n" + "".join(
        entry_point(entry, name) for entry, name in ENTRY_POINTS.items()
    )


def entry_point(entry: str, name: str) -> str:
    options = [one for one in command(name).params if one.name not in COMMAND_LINE_ONLY]
    lines = [f"  {entry}:", "    parameters:"]
    passed = []
    for one in options:
        given = "" if one.required else f", default: {json.dumps(default(one))}"
        lines.append(f"      {one.name}: {{type: string{given}}}")
        passed.append(f"{one.opts[0]} {{{one.name}}}")
    lines.append("    command: >-")
    lines += [f"      {line}" for line in filled([f"python -m experiments.{name}", *passed])]
    return "\n".join(lines) + "\n"


def filled(words: Iterable[str]) -> list[str]:
    """Lines of words that are not cut: an option stays beside its value."""
    glued = " ".join(word.replace(" ", "\0") for word in words)
    lines = textwrap.wrap(glued, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def conda(now: str, requirements: Sequence[str]) -> str:
    """conda.yaml with these as its pip list, which ends the file."""
    head, mark, _ = now.partition("  - pip:\n")
    return head + mark + "".join(f"      - {line}\n" for line in requirements)


def requirements() -> list[str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def options() -> str:
    """docs/options.md: a table for each group of each command."""
    return INTRODUCTION + "".join(section(name) for name in EXPERIMENTS)


def section(name: str) -> str:
    lines = ["", f"## {name}"]
    for group, some in grouped(command(name)).items():
        lines += ["", f"**{group}**", ""] if group != "Other" else [""]
        lines += ["| option | default | values | meaning |", "|--|--|--|--|"]
        lines += map(row, some)
    return "\n".join(lines) + "\n"


def row(one: click.Parameter) -> str:
    assert isinstance(one, click.Option)
    given = "required" if one.required else f"`{default(one)}`" if default(one) else ""
    values = bounds(one.type)
    if isinstance(one.type, click.Choice):
        values = ", ".join(f"`{choice}`" for choice in one.type.choices)
    name = one.opts[0].removeprefix("--").replace("-", "_")
    cells = [f"`{name}`", given, values, (one.help or "").replace("<", r"\<").replace("|", r"\|")]
    return f"| {' | '.join(cells)} |"


def files() -> dict[Path, str]:
    """What each of the files has to be."""
    environment = ROOT / "conda.yaml"
    return {
        ROOT / "MLproject": mlproject(),
        environment: conda(environment.read_text(), requirements()),
        ROOT / "docs" / "options.md": options(),
    }


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file would change.")
def main(check: bool) -> None:
    stale = {
        path: content
        for path, content in files().items()
        if not path.exists() or path.read_text() != content
    }
    for path, content in stale.items():
        name = path.relative_to(ROOT)
        if check:
            click.echo(f"{name} is not up to date: python -m docs.generate writes it", err=True)
        else:
            path.write_text(content)
            click.echo(f"wrote {name}")
    if check and stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
