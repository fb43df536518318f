"""From a line of rendered text back to the line of its template."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from tiercli.errors import Location, Problem

# Added to the end of every line of a template, which is rendered again to see where each line ends up. A template that can be
# read has no control characters.
_MARK = "\x01{}\x02"
_MARKED = re.compile("\x01(\\d+)\x02")
# The two characters that tags of Jinja begin and end with: {{ }}, {% %} and {# #}, or << >>, <% %> and <# #>.
CURLY, ANGLE = ("{", "}"), ("<", ">")


def marked(template: str, tags: tuple[str, str] = CURLY) -> str:
    """`template` with a mark at the end of every line where a mark is harmless: not within a tag, and not after a statement, whose
    line break is dropped."""
    begin, end = tags
    tag_edge = re.compile(f"{begin}[{begin}%#]|[{end}%#]{end}")
    statements = (f"{begin}%", f"{begin}#", f"%{end}", f"#{end}")
    depth, lines = 0, []
    for number, line in enumerate(template.split("\n"), 1):
        for tag in tag_edge.findall(line):
            depth += 1 if tag.startswith(begin) else -1
        plain = depth == 0 and not any(statement in line for statement in statements)
        lines.append(line + _MARK.format(number) if plain else line)
    return "\n".join(lines)


def lines_of(rendered: str) -> list[int]:
    """The template's line for each line of the text of a marked template: that of its last mark, or of the next mark if one tag
    rendered several lines."""
    numbers: list[int] = []
    for line in rendered.split("\n"):
        marks = _MARKED.findall(line)
        numbers.append(int(marks[-1]) if marks else 0)
    following = 0
    for position in range(len(numbers) - 1, -1, -1):
        following = numbers[position] or following
        numbers[position] = following
    return numbers


def relocated(
    problems: Sequence[Problem], file: str, template: str, text: str, lines: Callable[[], Sequence[int]]
) -> list[Problem]:
    """`problems` of `file`, with lines of the template instead of lines of `text`, the rendered template; and with the rendered
    line where it differs from the template's."""
    before, after = template.splitlines(), text.splitlines()
    moved: list[Problem] = []
    for problem in problems:
        place = problem.location
        if place.file != file or not 0 < place.line <= len(after):
            moved.append(problem)
            continue
        known = lines()
        number = known[place.line - 1] if place.line <= len(known) else 0
        rendered_line, template_line = after[place.line - 1].strip(), before[number - 1].strip() if number else ""
        if rendered_line == template_line:
            moved.append(replace(problem, location=Location(file, number, place.column)))
            continue
        message = problem.found
        if rendered_line.partition(": ")[2] not in message:
            message = f"{message}; rendered: {rendered_line}"
        moved.append(replace(problem, location=Location(file, number or place.line), found=message))
    return moved
