"""Dashboards read from a real Prometheus, and what tiercli prints of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.clients.live_servers import http_server
from tests.conftest import HYBRID, Done
from tests.dashboards.board_json import RED_DASH, board_of, override, panel, query_variable
from tiercli.catalog.loading import LoadedCatalog
from tiercli.cli.dashboard_view import draw_board, fit_board
from tiercli.clients.prometheus import PrometheusClient
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import Board, parse_board
from tiercli.dashboards.read.fields import State
from tiercli.dashboards.read.reading_model import BoardReading
from tiercli.output.live_board import BoardRequest, fetch_board
from tiercli.signals.boards import board_paths

pytestmark = pytest.mark.stack
RANGE_S = 12 * 3600  # one point every 12 minutes: all that was scraped is in the last
Run = Callable[..., Done]


def read(url: str, board: Board, wanted: Mapping[str, Sequence[str]] | None = None) -> BoardReading:
    async def fetched() -> BoardReading:
        async with PrometheusClient(url) as client:
            return await fetch_board(client, BoardRequest(board, wanted or {}, RANGE_S))

    return asyncio.run(fetched())


@pytest.fixture(scope="module")
def boards(hybrid: LoadedCatalog) -> dict[str, Board]:
    """Every generated dashboard by its name."""
    rendered = render_dashboards(hybrid.catalog)
    return {Path(path).stem: parse_board(text, path) for path, text in rendered.items()}


def test_the_generated_provider_board_says_who_is_slow(boards: dict[str, Board], boards_prometheus: str) -> None:
    said = read(boards_prometheus, boards["provider"])
    latency = next(one for one in said.panels if one.title == "Latency")
    rows = {row.name: (row.text, row.baseline_text, row.threshold_text, row.state) for row in latency.rows}
    assert rows["anthropic / claude-4.6 / ap-south-1 p95"] == ("1.80 s", "600 ms", "1.20 s", State.BAD)
    assert rows["openai / gpt-5-mini / us-east-1 p95"] == ("500 ms", "400 ms", "800 ms", State.OK)
    assert rows["anthropic / claude-4.6 / ap-south-1 p50"] == ("900 ms", "", "", State.NONE)
    assert said.chosen == {"provider": "All", "region": "All", "model": "All"}


def test_a_change_stands_beside_its_unit_one_row_a_signal(boards: dict[str, Board], boards_prometheus: str) -> None:
    said = read(boards_prometheus, boards["drift"])
    drift = next(one for one in said.panels if one.title == "Drift signals")
    scraped = len(("instance", "job"))  # a recorded series has no such labels
    columns = ("signal", "subject", "unit", "of tolerance", "now", "prior 7 days", "change")
    assert drift.columns[scraped:] == columns
    assert [[cell.text for cell in row.cells[scraped:]] for row in drift.rows] == [
        ["eval score", "chat", "score points", "3.00", "0.84", "0.90", "-0.06"],
        ["refusal rate", "chat", "%", "2.50", "1.25", "1.00", "0.25"],
        ["output tokens per call", "chat", "tokens", "1.00", "220.00", "200.00", "20.00"],
    ]


def test_an_eval_score_is_a_score_and_money_has_cents(boards: dict[str, Board], boards_prometheus: str) -> None:
    alias = read(boards_prometheus, boards["alias"])
    score = next(one for one in alias.panels if one.title == "Eval score")
    assert [row.text for row in score.rows] == ["0.84"]
    cost = read(boards_prometheus, boards["cost"])
    spend = next(one for one in cost.panels if one.title == "Spend")
    assert [row.text for row in spend.rows if row.name == "24 hours"] == ["$198.72"]


@pytest.mark.parametrize("name", ["home", "provider", "alias", "tenant"])
def test_the_heartbeat_is_no_firing_alarm(boards: dict[str, Board], boards_prometheus: str, name: str) -> None:
    said = read(boards_prometheus, boards[name])
    firing = next(one for one in said.panels if one.title == "Firing alarms")
    listed = " ".join(cell.text for row in firing.rows for cell in row.cells)
    assert "TotalSpendAnomaly" in listed
    assert "Watchdog" not in listed


def test_a_chosen_model_with_a_dot_is_the_only_one_shown(boards: dict[str, Board], boards_prometheus: str) -> None:
    said = read(boards_prometheus, boards["provider"], {"model": ["claude-4.6"]})
    latency = next(one for one in said.panels if one.title == "Latency")
    assert {row.labels["model"] for row in latency.rows} == {"claude-4.6"}
    assert said.notes == ()


@pytest.mark.parametrize("name", sorted(board_paths()))
def test_prometheus_understands_every_query_of_every_board_whatever_is_chosen(
    boards: dict[str, Board], boards_prometheus: str, name: str
) -> None:
    odd = {variable.name: ['a.b"c\\d', "x|y"] for variable in boards[name].variables if variable.type == "query"}
    for wanted in ({}, odd):
        said = read(boards_prometheus, boards[name], wanted)
        assert [(one.title, one.errors) for one in said.panels if one.errors] == []


def test_a_value_that_nothing_has_is_told_with_what_was_meant(boards: dict[str, Board], boards_prometheus: str) -> None:
    said = read(boards_prometheus, boards["provider"], {"provider": ["antropic"]})
    assert said.notes == ("no series has provider='antropic' in this range; did you mean 'anthropic'?",)


def test_a_panel_is_repeated_for_what_prometheus_has(boards_prometheus: str) -> None:
    repeated = panel("stat", ('test_spend{team=~"$team"}', "{{team}}"), title="Spend of $team", repeat="team")
    board = board_of(repeated, variables=[query_variable("team", "label_values(test_spend, team)")])
    said = read(boards_prometheus, board)
    assert [(one.title, [row.now for row in one.rows]) for one in said.panels] == [
        ("Spend of x", [1500]),
        ("Spend of y", [20]),
    ]


EVERY_TYPE = [
    panel("timeseries", ("test_fill", "fill"), ("vector(0.9)", "alarm"), title="Fill", unit="percentunit", overrides=[override("byRegexp", "/(^|.* )alarm$/", RED_DASH)], description="Above the line: drain it."),
    panel("stat", ("test_complete", "complete"), title="Complete", unit="percentunit", steps=[(None, "red"), (0.99, "green")]),
    panel("table", "test_spend", title="Spend", unit="currencyUSD", transformations=[{"id": "organize", "options": {"excludeByName": {"__name__": True, "job": True, "instance": True}, "renameByName": {"Value": "spent"}}}], options={"sortBy": [{"displayName": "spent", "desc": True}]}),
    panel("bargauge", ("test_spend", "{{team}}"), title="By team", unit="currencyUSD", steps=[(None, "blue")]),
    panel("state-timeline", ("test_state", "{{lane}}"), title="Lanes", mappings=[{"type": "value", "options": {"0": {"text": "up", "color": "green"}, "2": {"text": "down", "color": "red"}}}]),
    panel("alertlist", title="Alerts", options={"alertInstanceLabelFilter": '{severity="page"}'}),
    panel("text", title="Words", options={"content": "What to do."}),
    panel("stat", ("rate(", "broken"), title="Broken"),
    panel("stat", ("nothing_at_all", "nothing"), title="Empty"),
]  # fmt: skip
DRAWING = """\
Test  3 bad  1 without an answer                   TIME, last 12h

── Fill ───────────────────────────────────────────────────────────────── bad ──
Above the line: drain it.
        now  alarm
✗ fill  97%    90%                               ▄

── Complete ────────────────────────────────────────────────────────────── ok ──
✓ complete  99.9%

── Spend ───────────────────────────────────────────────────────────────────────
  team   spent
· x     $1.50K
· y        $20

── By team ─────────────────────────────────────────────────────────────────────
· x  $1.50K  ███████████████████████████████████████████████████████████████████
· y     $20  █

── Lanes ──────────────────────────────────────────────────────────────── bad ──
✗ b  down  █
✓ a    up  ▁

── Alerts ─────────────────────────────────────────────────────────────── bad ──
✗ page: Burning  for AGE
    Burning of x
! page: Smelling (pending)  for AGE
    Smelling of y

── Words ───────────────────────────────────────────────────────────────────────
What to do.

── Broken ───────────────────────────────────────────────────────── no answer ──
ERROR

── Empty ───────────────────────────────────────────────────────────────────────
no data
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one dashboard of a panel of each type."""
    data = {"uid": "test", "title": "Test", "panels": [{**one, "id": at} for at, one in enumerate(EVERY_TYPE, 1)]}
    (tmp_path / "every.json").write_text(json.dumps(data))
    return tmp_path


def masked(text: str) -> str:
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"for \d+(s|m|m\d+s)$", "for AGE", text, flags=re.MULTILINE)
    return re.sub(r"^\? .*parse error.*$", "ERROR", text, flags=re.MULTILINE)


def test_every_type_of_panel_is_drawn_in_plain_text(folder: Path, boards_prometheus: str, run_tiercli: Run) -> None:
    done = run_tiercli("dashboards", "show", "every", "--dir", str(folder), "--prometheus", boards_prometheus, "--range", "12h", "--width", "80")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert masked(done.stdout) == DRAWING


def test_json_says_the_same_for_a_machine(folder: Path, boards_prometheus: str, run_tiercli: Run) -> None:
    done = run_tiercli("dashboards", "show", "every", "--dir", str(folder), "--prometheus", boards_prometheus, "--range", "12h", "--format", "json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    states = {one["title"]: one["state"] for one in said["panels"]}
    assert (said["state"], states["Fill"], states["Complete"], states["Broken"]) == ("bad", "bad", "ok", "none")
    fill = said["panels"][0]["rows"][0]
    assert (fill["now"], fill["threshold"], fill["state"]) == (0.97, 0.9, "bad")


@pytest.mark.parametrize("name", ["home", "provider", "tenant"])
def test_no_line_is_wider_or_drawing_higher_than_asked(
    boards: dict[str, Board], boards_prometheus: str, name: str
) -> None:
    said = read(
        boards_prometheus, boards[name], {"provider": ["anthropic", "a provider with a name that is long " * 3]}
    )
    for width in (40, 80, 131, 132, 160):
        for lines in (draw_board(said, width, 0), fit_board(said, width, 20)):
            assert max(one.cell_len for one in lines) <= width
        assert len(fit_board(said, width, 20)) <= 20


def test_a_prometheus_that_is_not_there_or_is_something_else_is_exit_3(run_tiercli: Run) -> None:
    with http_server(lambda _: (200, b"<html>")) as other:
        for url, said in (("http://127.0.0.1:1", "does not answer"), (other, "is not prometheus")):
            done = run_tiercli("dashboards", "show", "home", str(HYBRID), "--prometheus", url)
            assert (done.returncode, done.stdout) == (3, "")
            assert said in done.stderr


def test_every_mistake_on_the_command_line_is_told_at_once(run_tiercli: Run) -> None:
    done = run_tiercli("dashboards", "show", "alias", str(HYBRID), "--var", "alais=x", "--var", "nonsense", "--prometheus", "http://127.0.0.1:1")  # fmt: skip
    assert done.returncode == 2
    assert "--var: 'nonsense' sets nothing (accepted: NAME=VALUE)" in done.stderr
    assert "--var: unknown variable 'alais'; did you mean 'alias'?" in done.stderr
