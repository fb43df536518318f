"""Reading a dashboard as an on-call does: what each panel says now, what is usual, where the alarm is, what is bad.

    parse_board ─▶ place_panels ─▶ questions ─▶ (somebody asks Prometheus) ─▶ read_dashboard ─▶ BoardReading

Everything here is pure: the answers come from whoever can ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tiercli.dashboards.read.board import Board, BoardPanel
from tiercli.dashboards.read.interpolation import Choice, Choices, TimeSpan, fill_query, fill_title
from tiercli.dashboards.read.panel_rows import read_panel
from tiercli.dashboards.read.reading_model import Answers, BoardReading, Question


@dataclass(frozen=True, slots=True)
class PlacedPanel:
    """A panel as it is shown: one of its copies where it is repeated, with what its variables are for it."""

    key: str
    panel: BoardPanel
    choices: Choices


def place_panels(board: Board, choices: Choices) -> tuple[PlacedPanel, ...]:
    """The panels that are shown, those that a variable repeats once a value."""
    placed = []
    for panel in board.panels:
        for row_suffix, row_choices in _copies(panel.section_repeat, choices):
            for suffix, own in _copies(panel.repeat, row_choices):
                placed.append(PlacedPanel(f"{panel.id}{row_suffix}{suffix}", panel, own))
    return tuple(placed)


def questions(placed: Sequence[PlacedPanel], span: TimeSpan) -> tuple[Question, ...]:
    """What to ask of Prometheus for these panels."""
    return tuple(
        Question((placed_panel.key, target.ref), fill_query(target.expr, placed_panel.choices, span), target.instant)
        for placed_panel in placed
        for target in placed_panel.panel.targets
    )


def read_dashboard(
    board: Board, choices: Choices, placed: Sequence[PlacedPanel], span: TimeSpan, answers: Answers
) -> BoardReading:
    """What the dashboard says, from the answers to `questions`; `placed`: all of its panels, or only some."""
    panels = []
    for placed_panel in placed:
        reading = read_panel(placed_panel.key, placed_panel.panel, answers)
        title, section, content = (
            fill_title(text, placed_panel.choices, span) for text in (reading.title, reading.section, reading.content)
        )
        panels.append(replace(reading, title=title, section=section, content=content))
    return BoardReading(
        uid=board.uid,
        title=board.title,
        description=board.description,
        at=answers.at,
        range_s=span.range_s,
        chosen={name: choice.text for name, choice in choices.items()},
        panels=tuple(panels),
    )


def _copies(variable: str, choices: Choices) -> list[tuple[str, Choices]]:
    if not variable or variable not in choices or not choices[variable].values:
        return [("", choices)]
    return [
        (f"[{value}]", {**choices, variable: Choice((value,), choices[variable].multi)})
        for value in choices[variable].values
    ]
