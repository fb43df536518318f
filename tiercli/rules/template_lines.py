"""From a line of what a template was rendered to, back to the line of the template that it came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from tiercli.errors import Location, Problem

# Written at the end of every line of a template that is rendered once more, to see where each line ends up. Control
# characters: they stand in no template that can be read.
_MARK = "\x01{}\x02"
_MARKED = re.compile("\x01(\\d+)\x02")
_TAG = re.compile(r"{[{%#]|[}%#]}")


def marked(template: str) -> str:
    """`template` with a mark at the end of every line that a mark does not break: not within a tag, not after a statement,
    whose line break is dropped."""
    depth, lines = 0, []
    for number, line in enumerate(template.split("\n"), 1):
        for tag in _TAG.findall(line):
            depth += 1 if tag.startswith("{") else -1
        plain = depth == 0 and "{%" not in line and "{#" not in line and "%}" not in line and "#}" not in line
        lines.append(line + _MARK.format(number) if plain else line)
    return "\n".join(lines)


def lines_of(rendered: str) -> list[int]:
    """The template's line for each line of a marked template's text, by the last mark in it; of several lines that one tag
    gave, the mark that follows them."""
    found: list[int] = []
    for line in rendered.split("\n"):
        marks = _MARKED.findall(line)
        found.append(int(marks[-1]) if marks else 0)
    following = 0
    for position in range(len(found) - 1, -1, -1):
        following = found[position] or following
        found[position] = following
    return found


def relocated(
    problems: Sequence[Problem], file: str, template: str, text: str, lines: Callable[[], Sequence[int]]
) -> list[Problem]:
    """`problems`, with the template's lines in place of those of `text`, which it was rendered to, for those in `file`; and
    with the rendered line where that is another than the template's."""
    before, after = template.splitlines(), text.splitlines()
    found: list[Problem] = []
    for problem in problems:
        place = problem.location
        if place.file != file or not 0 < place.line <= len(after):
            found.append(problem)
            continue
        known = lines()
        number = known[place.line - 1] if place.line <= len(known) else 0
        here, there = after[place.line - 1].strip(), before[number - 1].strip() if number else ""
        if here == there:
            found.append(replace(problem, location=Location(file, number, place.column)))
            continue
        said = problem.found
        if here.partition(": ")[2] not in said:
            said = f"{said}; rendered: {here}"
        found.append(replace(problem, location=Location(file, number or place.line), found=said))
    return found
