"""A dashboard read from a live Prometheus: asks what its panels ask, and reads the answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tiercli.clients.prometheus import PrometheusClient
from tiercli.dashboards.read.board import Board, Variable
from tiercli.dashboards.read.choices import (
    asked_variables,
    filtered,
    fixed_options,
    needs_options,
    parse_label_values,
    unknown_values,
)
from tiercli.dashboards.read.interpolation import Choice, TimeSpan, choose, fill_query
from tiercli.dashboards.read.reading import place_panels, questions, read_dashboard
from tiercli.dashboards.read.reading_model import Answer, Answers, BoardReading, FiringAlert, Line, Question
from tiercli.errors import BackendError, BackendUnreachable

AT_ONCE = 8  # queries that a Prometheus is asked at the same time
POINTS = 60  # of each line


@dataclass(frozen=True, slots=True)
class BoardRequest:
    """What to read: `wanted` values by variable (all of one that is not there), the range and scrape interval in seconds."""

    board: Board
    wanted: Mapping[str, Sequence[str]] = field(default_factory=dict)
    range_s: float = 3600.0
    scrape_s: float = 15.0


async def fetch_board(client: PrometheusClient, request: BoardRequest, at: float | None = None) -> BoardReading:
    """What the dashboard says at `at` (Unix seconds; now). A query that fails is its panel's error.

    Raises BackendUnreachable when nobody answers, or somebody who is not Prometheus.
    """
    end = time.time() if at is None else at
    span = TimeSpan(request.range_s, request.range_s / POINTS, request.scrape_s)
    await client.query("vector(1)")
    choices: dict[str, Choice] = {}
    notes: list[str] = []
    for variable in asked_variables(request.board):
        wanted = request.wanted.get(variable.name, ())
        options: tuple[str, ...] = ()
        if needs_options(request.board, variable, wanted):
            try:
                options = await _options(client, variable, choices, span, end)
                notes += unknown_values(variable.name, wanted, options) if variable.type == "query" else []
            except BackendError as error:
                notes.append(f"the options of {variable.name} are not known: {error.message}")
        choices[variable.name] = choose(variable, wanted, options)
    placed = place_panels(request.board, choices)
    asks = questions(placed, span)
    limit = asyncio.Semaphore(AT_ONCE)
    answers = await asyncio.gather(*(_answer(client, question, span, end, limit) for question in asks))
    alerts: tuple[FiringAlert, ...] = ()
    alerts_error = ""
    if any(placed_panel.panel.type == "alertlist" for placed_panel in placed):
        try:
            alerts = tuple(
                FiringAlert(alert.labels, alert.annotations, alert.state, alert.active_at)
                for alert in await client.alerts()
            )
        except BackendError as error:
            alerts_error = error.message
    got = {question.key: answer for question, answer in zip(asks, answers, strict=True)}
    reading = read_dashboard(request.board, choices, placed, span, Answers(end, got, alerts, alerts_error))
    return replace(reading, notes=tuple(notes))


async def _options(
    client: PrometheusClient, variable: Variable, choices: Mapping[str, Choice], span: TimeSpan, end: float
) -> tuple[str, ...]:
    if variable.type != "query":
        return fixed_options(variable)
    label_query = parse_label_values(fill_query(variable.query, choices, span))
    if label_query is None:
        return tuple(variable.current)
    values = await client.label_values(label_query.label, label_query.match or None, end - span.range_s, end)
    return filtered(sorted(values), variable.regex)


async def _answer(
    client: PrometheusClient, question: Question, span: TimeSpan, end: float, limit: asyncio.Semaphore
) -> Answer:
    async with limit:
        try:
            if question.instant:
                samples = await client.query(question.expr, end)
                return Answer(tuple(Line(sample.labels, ((sample.at, sample.value),)) for sample in samples))
            series = await client.query_range(question.expr, end - span.range_s, end, span.step_s)
            return Answer(tuple(Line(line.labels, line.points) for line in series))
        except BackendUnreachable as error:
            return Answer(error=error.message)
        except BackendError as error:
            return Answer(error=error.message.partition(": ")[2] or error.message)
