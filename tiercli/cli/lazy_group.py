"""Command groups that import a command's module when the command is called: `tiercli --help` loads nothing heavy."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as build_command

_F = TypeVar("_F", bound=Callable[..., Any])
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Command:
    """A command: the function that it is, as module:function below tiercli.cli, and what lists say of it."""

    function: str
    summary: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group of commands. `default`: the command that is meant where none is named."""

    summary: str
    commands: Mapping[str, Command] = field(default_factory=dict)
    default: str | None = None


Tree = Mapping[str, Command | Group]


def examples(*lines: str, note: str = "") -> Callable[[_F], _F]:
    """Show `lines` as examples below the help of a command, and `note` below these."""
    shown = [re.sub(r"(?<!\\)\[(?=[a-z#/@])", r"\\[", line) for line in lines]  # a bracket is not Rich's markup
    paragraphs = ["Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in shown)]

    def mark(function: _F) -> _F:
        function.examples = "\n\n".join([*paragraphs, note] if note else paragraphs)  # type: ignore[attr-defined]
        return function

    return mark


def reflowed(text: str) -> str:
    """A docstring with each of its paragraphs on one line, for a terminal to break where it is full."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def load_command(name: str, command: Command) -> Any:
    """The click command that `command` describes; imports its module."""
    module, _, function_name = command.function.partition(":")
    function = getattr(importlib.import_module(f"tiercli.cli.{module}"), function_name)
    app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    app.command(
        name,
        cls=FormattedCommand,
        help=reflowed(function.__doc__ or ""),
        epilog=getattr(function, "examples", None),
        context_settings=SETTINGS,
    )(function)
    return build_command(app)


class FormattedCommand(TyperCommand):
    """A command that may have `--format`, which earlier versions called `--output`: that still works."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, the old name as the new one."""
        options = {name for parameter in self.params for name in parameter.opts}
        if "--format" in options and "--output" not in options:
            end = args.index("--") if "--" in args else len(args)
            args = [re.sub(r"^--output(?==|$)", "--format", argument) for argument in args[:end]] + args[end:]
        return super().parse_args(ctx, args)


class LazyGroup(TyperGroup):
    """A group whose commands are those of `tree`."""

    tree: Tree = {}
    default: str | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in order."""
        return list(self.tree)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What lists and completion need of a command: its name and its summary."""
        entry = self.tree.get(cmd_name)
        if entry is None:
            return None
        if isinstance(entry, Group):
            return build_group(cmd_name, entry)
        return TyperCommand(cmd_name, help=entry.summary, context_settings=SETTINGS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments name, loaded."""
        self.commands = dict.fromkeys(self.tree, TyperCommand(None))  # what a mistyped name is compared with
        name, command, rest = super().resolve_command(ctx, args)
        entry = self.tree.get(name or "")
        return name, load_command(name, entry) if name and isinstance(entry, Command) else command, rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help of the group, with the examples of the command that is meant where none is named."""
        default = self.tree.get(self.default or "")
        if isinstance(default, Command):
            self.epilog = load_command(self.default or "", default).epilog
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command that is meant where the arguments name none."""
        named = args and (args[0] in self.tree or args[0] in ctx.help_option_names)
        if self.default is not None and not named and (args or not self.no_args_is_help):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def build_group(name: str, group: Group) -> LazyGroup:
    """The click group that `group` describes."""
    built = LazyGroup(
        name=name,
        help=reflowed(group.summary),
        no_args_is_help=group.default != "list",
        rich_markup_mode="rich",
        context_settings=SETTINGS,
    )
    built.tree, built.default = group.commands, group.default
    return built
