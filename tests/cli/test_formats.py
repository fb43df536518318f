"""`--format` everywhere, its old name, and GitHub annotations that hold whatever a name holds."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_commands import commands
from tests.conftest import HYBRID, tiercli_here
from tiercli.cli.lazy_group import Command, load_command
from tiercli.errors import Location
from tiercli.lint.formats import github_annotation

# Commands that print no result of several forms: they serve, write what they name, or print one form only.
ONE_FORM = {
    *(
        "catalog init",
        "catalog schema",
        "alarms show",
        "drill init",
        "drill schema",
        "drill show",
        "drill worker",
        "exporter audit",
        "exporter gpu",
    ),
    *("stack install", "stack up"),
}


@pytest.mark.parametrize(("name", "command"), [pytest.param(*entry, id=entry[0]) for entry in commands()])
def test_every_command_that_prints_a_result_has_a_format(name: str, command: Command) -> None:
    options = {opt for parameter in load_command(name.split()[-1], command).params for opt in parameter.opts}
    assert ("--format" in options) == (name not in ONE_FORM)
    assert "--output" not in options


@pytest.mark.parametrize(
    "arguments",
    [
        ("sources", "show", "vllm"),
        ("alarms", "list", str(HYBRID)),
        ("catalog", "show", str(HYBRID)),
        ("dashboards", "list", str(HYBRID)),
        ("drill", "list"),
    ],
    ids=" ".join,
)
def test_the_old_name_of_format_still_works(arguments: tuple[str, ...]) -> None:
    done = tiercli_here(*arguments, "--format", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)
    assert tiercli_here(*arguments, "--output", "json") == done
    assert tiercli_here(*arguments, "--output=json") == done


def test_an_annotation_cannot_be_left_by_a_name() -> None:
    line = github_annotation("error", "50 %\r\n::warning::x", title="a:b,c\n", place=Location("d,e:f%.yml", 3, 7))
    assert line == "::error file=d%2Ce%3Af%25.yml,line=3,col=7,title=a%3Ab%2Cc%0A::50 %25%0D%0A::warning::x"
    assert github_annotation("notice", "plain") == "::notice::plain"
