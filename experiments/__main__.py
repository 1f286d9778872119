"""The command `polyreg`: each experiment by its name, without its module until it is asked for."""

import ast
import importlib
from pathlib import Path

import click

from polyreg.options import OneLineGroup

EXPERIMENTS = ("fit", "train", "sweep", "compare", "predict", "invert", "repair")


class Experiments(OneLineGroup):
    """A group whose commands are the modules beside this one."""

    def list_commands(self, ctx):
        return list(EXPERIMENTS)

    def get_command(self, ctx, name):
        return importlib.import_module(f"experiments.{name}").main if name in EXPERIMENTS else None

    def format_commands(self, ctx, formatter):
        with formatter.section("Experiments"):
            formatter.write_dl([(name, question(name)) for name in EXPERIMENTS])

    def parse_args(self, ctx, args):
        return super().parse_args(ctx, args or ["--help"])


def question(name: str) -> str:
    """The first line of an experiment's docstring, read from its text, without an import."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


@click.group(
    cls=Experiments,
    help="Recovers polynomials from data, and tracks every run in MLflow.",
    epilog="polyreg fit --help shows the options of an experiment.",
)
@click.version_option(package_name="polyreg", message="%(package)s %(version)s")
def main() -> None:
    pass


if __name__ == "__main__":
    main()
