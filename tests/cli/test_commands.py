"""The commands of tiercli: what lists say of them, and how their help is broken into lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.conftest import tiercli_here
from tiercli.cli.commands import COMMANDS
from tiercli.cli.lazy_group import Command, Group, load_command, reflowed


def commands() -> Iterator[tuple[str, Command]]:
    for name, entry in COMMANDS.items():
        if isinstance(entry, Command):
            yield name, entry
        else:
            yield from ((f"{name} {inner}", command) for inner, command in entry.commands.items())


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in commands()])
def test_a_list_says_of_a_command_what_its_own_help_begins_with(name: str, command: Command) -> None:
    loaded = load_command(name.split()[-1], command)
    assert (loaded.help or "").split("\n\n")[0] == command.summary


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_help_breaks_a_line_only_where_it_is_full(name: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", columns)
    done = tiercli_here(*name.split(), "--help")
    lines = [line.strip() for line in done.stdout.split("╭─")[0].splitlines()]
    usage, *paragraphs = re.split(r"\n{2,}", "\n".join(lines).strip())
    short = [
        f"{line} | {following}"
        for paragraph in paragraphs
        for line, following in zip(paragraph.splitlines(), paragraph.splitlines()[1:], strict=False)
        if len(line) + 1 + len(following.split()[0]) <= columns - 2
    ]
    assert done.returncode == 0
    assert usage.startswith("Usage: ")
    assert paragraphs
    assert short == []


def test_every_command_has_examples() -> None:
    without = [
        name for name, command in commands() if "tiercli " not in (load_command(name.split()[-1], command).epilog or "")
    ]
    assert without == []


def test_a_group_without_a_name_means_its_default() -> None:
    group = COMMANDS["sources"]
    assert isinstance(group, Group)
    assert group.default == "list"
    assert tiercli_here("sources").stdout == tiercli_here("sources", "list").stdout


@pytest.mark.parametrize(("typed", "meant"), [(("dril",), "drill"), (("drill", "rnu"), "run")])
def test_a_mistyped_command_is_answered_with_the_nearest_one(typed: tuple[str, ...], meant: str) -> None:
    done = tiercli_here(*typed)
    assert done.returncode == 2
    assert f"No such command '{typed[-1]}'. Did you mean '{meant}'?" in done.stderr


def test_lines_of_a_docstring_are_joined_and_its_paragraphs_are_not() -> None:
    assert reflowed("One line\n    and its end.\n\n    Another.\n    ") == "One line and its end.\n\nAnother."
