"""Click options from the fields of a dataclass: default, help, bounds and group written once.

Nothing heavy is imported, so that `--help` and a wrong option answer at once.
"""

import csv
import functools
import math
import numbers
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource

from polyreg.errors import PolyregError, Refused
from polyreg.text import text, without_secrets

GROUPS = (
    "Varied",
    "Data",
    "Model",
    "Training",
    "Statistics",
    "Reading",
    "Where it runs",
    "Record",
    "Other",
)
LEFT = 28  # columns of `--help` at most, before the meaning; a longer option has its own line
PLACEMENT = ("engine", "address")  # where the work runs; does not change the result


def knob(
    default: Any,
    help: str,
    type: click.ParamType | None = None,
    *,
    group: str = "Other",
    holds: Callable[[Any], bool] | None = None,
    refused: str = "must be {bounds}",
    is_new: bool = False,
    was: str = "",
    earlier: Any = None,
) -> Any:
    """A field that is an option; without a default (MISSING) it has to be given.

    type: of Click; an Integer or a Number carries the bounds, which `--help` prints
    holds: whether a value is allowed, where bounds do not say it
    refused: what is said of a value that is not, after the option's name; {bounds} are the type's
    is_new: earlier runs lack the param; they had the default
    was: its earlier name, by which it is still given, and read from earlier runs
    earlier: what earlier runs had, which lack the param, where that is not the default
    """
    metadata = {
        "help": help,
        "type": type,
        "group": group,
        "holds": holds,
        "refused": refused,
        "was": was,
        "before": default if is_new else earlier,
    }
    return field(default=default, metadata=metadata)


class Integer(click.IntRange):
    """A whole number in a range; the dataclass refuses what is outside, in words of its own."""

    name = "integer"

    def convert(self, value, param, ctx):
        return click.INT.convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range; the dataclass refuses what is outside, in words of its own."""

    name = "float"

    def convert(self, value, param, ctx):
        return click.FLOAT.convert(value, param, ctx)


class NumberOrAuto(Number):
    name = "auto|float"

    def convert(self, value, param, ctx):
        try:
            return value if value == "auto" else float(value)
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a number", param, ctx)


class IntegerOrAuto(Integer):
    name = "auto|integer"

    def convert(self, value, param, ctx):
        try:
            return value if value == "auto" else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither 'auto' nor a whole number", param, ctx)


class Numbers(click.ParamType):
    name = "c0,c1,..."

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(
                f"{value!r} is not a comma list of numbers; write the constant first, "
                "like 0.9,0.5,3,2.4",
                param,
                ctx,
            )


class ListOf(click.ParamType):
    """A comma list of values of another type, each taken once."""

    def __init__(self, element: click.ParamType, name: str):
        self.element, self.name = element, name

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in value.split(",")]
        return tuple(dict.fromkeys(self.element.convert(word, param, ctx) for word in words))


class Names(click.ParamType):
    name = "a,b,..."

    def convert(self, value, param, ctx):
        # As one line of CSV: a name with a comma in it goes in double quotes.
        try:
            return value if isinstance(value, tuple) else tuple(next(csv.reader([value]), ()))
        except csv.Error as error:
            self.fail(f"{value[:60]!r} is not a comma list of names: {error}", param, ctx)


def bounds(kind: click.ParamType) -> str:
    """The range of a type in words, as both `--help` and a refusal say it; "" without one."""
    if isinstance(kind, ListOf):
        each = bounds(kind.element)
        return each and f"each {each}"
    if not isinstance(kind, Integer | Number) or kind.min is None:
        return ""
    low = _bound(kind.min)
    if kind.max is None:
        return f"{low} or more"
    high = _bound(kind.max)
    if kind.min_open and kind.max_open:
        return "a positive finite number" if high == "inf" else f"between {low} and {high}"
    if kind.min_open:
        return f"a positive number up to {high}"
    return f"at least {low}, below {high}" if kind.max_open else f"{low} to {high}"


def _bound(value: float) -> str:
    power = len(str(value)) - 1
    return f"10^{power}" if power >= 6 and value == 10**power else f"{value:g}"


def is_within(kind: click.ParamType, value: Any) -> bool:
    """Whether a value is of the type's kind and in its range; nan never is."""
    if isinstance(kind, NumberOrAuto | IntegerOrAuto) and isinstance(value, str):
        return value == "auto"
    if isinstance(kind, click.Choice):
        return value in kind.choices
    if not isinstance(kind, Integer | Number):
        return True
    number: Any = numbers.Integral if isinstance(kind, Integer) else numbers.Real
    if not isinstance(value, number):
        return False
    low = -math.inf if kind.min is None else kind.min
    high = math.inf if kind.max is None else kind.max
    return bool(
        (low < value if kind.min_open else low <= value)
        and (value < high if kind.max_open else value <= high)
    )


def require(holds: object, option: str, value: object, why: str) -> None:
    """Raises Refused, one line with option, bound and value, where a value is not allowed."""
    if not holds:
        raise Refused(f"--{option.replace('_', '-')} {why}; got {text(value)}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of every config: each field is held to its bounds. Raises Refused."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Options that say nothing beside the others: they are no params of the run."""
        return ()

    def __post_init__(self):
        for name, holds, why in _checks(type(self)):
            value = getattr(self, name)
            require(holds(value), name, repr(value) if isinstance(value, str) else value, why)


@functools.cache
def _checks(config_class: type) -> tuple[tuple[str, Callable[[Any], bool], str], ...]:
    """Name, test and refusal of each field that has bounds."""
    found = []
    for f in fields(config_class):
        kind, refused = click_type(f), f.metadata["refused"]
        holds = f.metadata["holds"] or functools.partial(is_within, kind)
        if isinstance(kind, click.Choice):
            refused = f"must be one of {', '.join(kind.choices)}"
        found.append((f.name, holds, refused.format(bounds=bounds(kind))))
    return tuple(found)


def click_type(f: Any) -> Any:
    """The Click type of a field."""
    if f.metadata["type"] is not None:
        return f.metadata["type"]
    if get_origin(f.type) is Literal:
        return click.Choice(get_args(f.type))
    return click.types.convert_type(f.type)


def params(config: Any) -> dict[str, str]:
    """What MLflow stores: options under their own names, and no password of an address."""
    pairs = asdict(config).items()
    return {k: without_secrets(text(v)) for k, v in pairs if k not in config.left_out}


Config = TypeVar("Config")


def from_params(config_class: type[Config], stored: Mapping[str, str]) -> Config:
    """The config whose `params` these are; Refused where they are none."""
    known = fields(config_class)  # type: ignore[arg-type]
    before = {f.name: text(old) for f in known if (old := f.metadata["before"]) is not None}
    try:
        named = {f.name: stored[f.metadata["was"]] for f in known if f.metadata["was"] in stored}
        # `mlflow run` logs the new name with its default beside an earlier one that was given.
        stored = before | {name: unquoted(value) for name, value in (dict(stored) | named).items()}
        values = {f.name: click_type(f).convert(stored[f.name], None, None) for f in known}
    except (KeyError, click.BadParameter) as error:
        raise Refused(f"not params of {config_class.__name__}: {error}") from error
    return config_class(**values)


def unquoted(param: str) -> str:
    """A param without the quotes in which `mlflow run` logs what a shell would split, and ""."""
    words = shlex.split(param) if len(param) > 1 and param[0] == param[-1] == "'" else []
    return words[0] if len(words) == 1 else param


def same_options(config: Any, stored: Mapping[str, str]) -> Any:
    """The options of the run to go on with; one that was given now has to be the same."""
    try:
        before = from_params(type(config), stored)
    except ValueError as error:
        raise click.UsageError(
            f"--resume: that run is none of this experiment ({error})"
        ) from error
    context = click.get_current_context()
    differ = []
    placement = {name: getattr(config, name) for name in PLACEMENT if hasattr(config, name)}
    before = replace(before, **placement)
    for f in fields(config):
        now, then = getattr(config, f.name), getattr(before, f.name)
        given = context.get_parameter_source(f.name) == ParameterSource.COMMANDLINE
        if "MLFLOW_RUN_ID" in os.environ:  # which passes every option on
            given &= now != f.default
        if given and now != then:
            option = "--" + f.name.replace("_", "-")
            differ.append(f"{option} {text(now)}, where that run has {text(then)}")
    if differ:
        raise click.UsageError(f"--resume: {'; '.join(differ)}; leave it out, or start a new run")
    return before


class Option(click.Option):
    """An option in a group of `--help`, which shows its bounds in words."""

    def __init__(self, *args: Any, group: str = "Other", **settings: Any):
        super().__init__(*args, **settings)
        self.group = group

    def get_help_record(self, ctx):
        left, _ = super().get_help_record(ctx)
        for earlier in self.opts[1:]:
            left = left.replace(f", {earlier}", "")
        default = "" if self.required or self.is_flag else text(self.default)
        given = "required" if self.required else default and f"default: {default}"
        shown = "; ".join(filter(None, (given, bounds(self.type))))
        return left, f"{self.help}  [{shown}]" if shown else self.help


def extra_option(*names: str, group: str, **settings: Any) -> Callable:
    """An option that a command has besides those of its config."""
    return click.option(*names, cls=Option, group=group, **settings)


def grouped(command: click.Command) -> dict[str, list[click.Parameter]]:
    """The options of a command by their groups, in the order of GROUPS."""
    found: dict[str, list[click.Parameter]] = {group: [] for group in GROUPS}
    for one in command.params:
        found[getattr(one, "group", "Other")].append(one)
    return {group: some for group, some in found.items() if some}


class _Terse(click.Command):
    """A command whose errors are one line: no usage text before them."""

    def invoke(self, ctx):
        return _without_usage(super().invoke, ctx)

    def parse_args(self, ctx, args):
        return _without_usage(super().parse_args, ctx, args)


def _without_usage(call: Callable, *args):
    try:
        return call(*args)
    except click.ClickException as error:
        kind = click.UsageError if isinstance(error, click.UsageError) else click.ClickException
        # Somebody's names and values may have several lines.
        raise kind(" ".join(error.format_message().splitlines())) from error


class OneLine(_Terse):
    """A command with one-line errors, and a section of `--help` for each group of options."""

    def format_options(self, ctx, formatter):
        groups = grouped(self)
        if set(groups) <= {"Other"}:
            return super().format_options(ctx, formatter)
        rest = [one for one in self.get_params(ctx) if one not in self.params]  # --help itself
        groups["Other"] = [*groups.get("Other", []), *rest]
        records = {
            group: [one.get_help_record(ctx) for one in options]
            for group, options in groups.items()
        }
        lefts = [len(left) for some in records.values() for left, _ in some]
        width = max(left for left in lefts if left <= LEFT)
        for group, some in records.items():
            with formatter.section(group):
                formatter.write_dl([(left.ljust(width), right) for left, right in some], width)
        return None


class OneLineGroup(_Terse, click.Group):
    """A group of commands with one-line errors."""


def command(config_class: type, help: str | None) -> Callable:
    """Make `main(config)` a Click command with one option a field of `config_class`.

    Options that main has of its own come after the config, by name.
    A value that the dataclass refuses ends in one line and exit code 2.
    """

    def decorate(main: Callable) -> click.Command:
        @functools.wraps(main)
        def from_options(**options):
            values = {f.name: options.pop(f.name) for f in fields(config_class)}
            try:
                config = config_class(**values)
            except PolyregError as error:
                raise click.UsageError(str(error)) from error
            return main(config, **options)

        made: Any = from_options
        for f in reversed(fields(config_class)):
            given: dict[str, Any] = (
                {"required": True} if f.default is MISSING else {"default": text(f.default)}
            )
            if f.default is False:  # --flag, and --flag true, which MLproject writes
                given |= {"is_flag": False, "flag_value": "true"}
            names = filter(None, (f.name, f.metadata["was"]))
            made = extra_option(
                f.name,
                *("--" + name.replace("_", "-") for name in names),
                group=f.metadata["group"],
                type=click_type(f),
                help=f.metadata["help"],
                **given,
            )(made)
        built = click.command(cls=OneLine, help=help)(made)
        built.params = [one for some in grouped(built).values() for one in some]
        return built

    return decorate
