"""What a panel says, from its JSON and the answers to its queries: pure, one small board for each matter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards.board_json import GREY_DASH, RED_DASH, board_of, override, panel
from tiercli.catalog.loading import LoadedCatalog
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import parse_board
from tiercli.dashboards.read.fields import State
from tiercli.dashboards.read.interpolation import Choice, TimeSpan
from tiercli.dashboards.read.reading import place_panels, questions, read_dashboard
from tiercli.dashboards.read.reading_model import Answer, Answers, BoardReading, FiringAlert, Line, PanelReading
from tiercli.errors import InvalidInput

AT = 1_000_000.0
SPAN = TimeSpan(600, 60, 15)
NORMAL = override("byRegexp", "/(^|.* )normal$/", GREY_DASH)
LIMIT = override("byRegexp", "/(^|.* )alarm$/", RED_DASH)


def line(value: float, *earlier: float, ended: float = 0, **labels: str) -> Line:
    """A series with a point a minute, whose last is `value`, `ended` seconds ago."""
    values = [*earlier, value]
    points = tuple((AT - ended - 60 * (len(values) - 1 - at), one) for at, one in enumerate(values))
    return Line(labels, points)


def read(json_panel: Any, answers: Mapping[str, Any], **more: Any) -> PanelReading:
    """What one panel says; `answers`: lines by ref."""
    board = board_of(json_panel)
    got = {("1", ref): some if isinstance(some, Answer) else Answer(tuple(some)) for ref, some in answers.items()}
    return read_dashboard(board, {}, place_panels(board, {}), SPAN, Answers(AT, got, **more)).panels[0]


def test_a_signal_stands_beside_its_own_baseline_and_alarm() -> None:
    said = read(
        panel("timeseries", ("tier:x:p95", "{{who}} p95"), ("tier:x:p50", "{{who}} p50"), ("tier:x:p95:baseline", "{{who}} normal"), ("tier:x:p95:threshold", "{{who}} alarm"), unit="s", overrides=[NORMAL, LIMIT]),
        {"A": [line(1.5, 0.5, who="a"), line(0.5, who="b")], "B": [line(9, who="a")], "C": [line(0.6, who="a"), line(0.4, who="b")], "D": [line(1.2, who="a"), line(0.8, who="b")]},
    )  # fmt: skip
    rows = [(row.name, row.text, row.baseline_text, row.threshold_text, row.state) for row in said.rows]
    assert rows == [
        ("a p95", "1.50 s", "600 ms", "1.20 s", State.BAD),
        ("b p95", "500 ms", "400 ms", "800 ms", State.OK),
        ("a p50", "9 s", "", "", State.NONE),
    ]
    assert said.state is State.BAD


@pytest.mark.parametrize("name", ["home", "compliance", "health"])
@pytest.mark.parametrize(
    ("ratio", "state"),
    [(0.98, State.BAD), (0.995, State.OK), (1.004, State.OK), (1.006, State.WARN), (1.2, State.BAD)],
)
def test_more_audit_records_than_calls_are_no_better_than_fewer(
    hybrid: LoadedCatalog, name: str, ratio: float, state: State
) -> None:
    [text] = [text for path, text in render_dashboards(hybrid.catalog).items() if Path(path).stem == name]
    board = parse_board(text, name)
    [panel] = [panel for panel in board.panels if panel.title == "Audit completeness"]
    refs = [target.ref for target in panel.targets]
    got = {(str(panel.id), ref): Answer((line(value),)) for ref, value in zip(refs, (ratio, 0.99), strict=False)}
    read = read_dashboard(board, {}, place_panels(board, {}), SPAN, Answers(AT, got))
    [said] = [one for one in read.panels if one.title == panel.title]
    assert [row.state for row in said.rows] == [state]
    assert "100.5 %" in said.description


def test_steps_that_are_not_drawn_judge_nothing_that_an_alarm_judges() -> None:
    """Every time series that somebody makes in Grafana has a red step at 80."""
    queries = (("x", "x"), ("x:threshold", "alarm"))
    answers = {"A": [line(90)], "B": [line(99)]}
    for drawn, state in ((None, State.OK), ("off", State.OK), ("dashed", State.BAD)):
        made = panel("timeseries", *queries, overrides=[LIMIT], steps=[(None, "green"), (80, "red")])
        if drawn is not None:
            made["fieldConfig"]["defaults"]["custom"] = {"thresholdsStyle": {"mode": drawn}}
        assert read(made, answers).rows[0].state is state


def test_a_baseline_under_another_label_is_found_by_the_name_that_the_legend_gives_it() -> None:
    said = read(
        panel("timeseries", ("score", "{{alias}} score"), ("base", "{{subject}} normal"), overrides=[NORMAL]),
        {"A": [line(3, alias="a"), line(4, alias="b")], "B": [line(1, subject="a"), line(2, subject="b")]},
    )
    assert [(row.now, row.baseline) for row in said.rows] == [(3, 1), (4, 2)]


def test_one_alarm_without_labels_is_everybodys() -> None:
    said = read(
        panel("timeseries", ("used", "{{gpu}}"), ("max(limit)", "alarm"), overrides=[LIMIT]),
        {"A": [line(0.5, gpu="0"), line(0.95, gpu="1")], "B": [line(0.9)]},
    )
    assert [(row.threshold, row.state) for row in said.rows] == [(0.9, State.OK), (0.9, State.BAD)]


@pytest.mark.parametrize(
    ("description", "usual", "value", "state"),
    [
        pytest.param("", 1.0, 0.7, State.BAD, id="an alarm under what is usual is crossed downwards"),
        pytest.param("", 1.0, 0.9, State.OK, id="and not before"),
        pytest.param("red: where AuditEmissionLow begins", None, 0.7, State.BAD, id="an alarm named so"),
        pytest.param("red: where AuditEmissionLow begins", None, 1.0, State.OK, id="which is not reached"),
        pytest.param("", None, 0.7, State.OK, id="else it is crossed upwards"),
    ],
)
def test_which_side_of_an_alarm_is_bad(description: str, usual: float | None, value: float, state: State) -> None:
    said = read(
        panel("timeseries", ("m", "m"), ("n", "normal"), ("l", "alarm"), overrides=[NORMAL, LIMIT], description=description),
        {"A": [line(value)], "B": [] if usual is None else [line(usual)], "C": [line(0.8)]},
    )  # fmt: skip
    assert said.rows[0].state is state


def test_a_series_that_ended_is_judged_no_more_and_says_how_old_it_is() -> None:
    said = read(
        panel("timeseries", ("m", "m"), ("l", "alarm"), overrides=[LIMIT]),
        {"A": [line(9, 9, 9, ended=300)], "B": [line(1)]},
    )
    assert (said.rows[0].now, said.rows[0].age_s, said.rows[0].state) == (9, 300, State.NONE)


def test_an_alarm_alone_is_no_number_of_now() -> None:
    said = read(panel("timeseries", ("m", "m"), ("l", "alarm"), overrides=[LIMIT]), {"A": [], "B": [line(1)]})
    assert [(row.now, row.text, row.threshold) for row in said.rows] == [(None, "no data", 1)]


@pytest.mark.parametrize(
    ("value", "state"), [(-1, State.OK), (0.5, State.WARN), (0.9, State.WARN), (1, State.BAD), (7, State.BAD)]
)
def test_the_steps_of_a_stat_judge_it(value: float, state: State) -> None:
    steps = [(None, "green"), (0.5, "orange"), (1, "dark-red")]
    assert read(panel("stat", ("m", "m"), steps=steps), {"A": [line(value)]}).state is state


def test_a_stat_is_reduced_as_its_options_say() -> None:
    options = {"reduceOptions": {"calcs": ["max"]}}
    assert read(panel("stat", "m", options=options), {"A": [line(1, 5, 2)]}).rows[0].now == 5
    assert read(panel("stat", "m"), {"A": [line(1, 5, 2)]}).rows[0].now == 1


def test_a_lane_says_its_state_in_words_and_over_time() -> None:
    mapping = {"0": {"text": "healthy", "color": "green"}, "2": {"text": "down", "color": "red"}}
    said = read(
        panel("state-timeline", ("m", "{{lane}}"), mappings=[{"type": "value", "options": mapping}]),
        {"A": [line(2, 0, 0, lane="a")]},
    )
    [row] = said.rows
    assert (row.text, row.state, row.point_states) == ("down", State.BAD, (State.OK, State.OK, State.BAD))


def test_a_table_hides_renames_merges_sorts_and_colours_as_its_json_says() -> None:
    organize = {
        "excludeByName": {"Time": True, "job": True},
        "renameByName": {"Value #A": "spent", "Value #B": "budget"},
    }
    steps = {"mode": "absolute", "steps": [{"value": None, "color": "green"}, {"value": 100, "color": "red"}]}
    said = read(
        panel(
            "table", "a", "b",
            transformations=[{"id": "merge"}, {"id": "organize", "options": organize}],
            options={"sortBy": [{"displayName": "spent", "desc": True}]},
            overrides=[
                override("byName", "spent", [{"id": "unit", "value": "currencyUSD"}, {"id": "thresholds", "value": steps}])
            ],
        ),
        {"A": [line(20, team="x", job="j"), line(150, team="y", job="j")], "B": [line(9, team="z", job="j"), line(7, team="x", job="j")]},
    )  # fmt: skip
    assert said.columns == ("team", "spent", "budget")
    assert [[cell.text for cell in row.cells] for row in said.rows] == [
        ["y", "$150", ""],
        ["x", "$20", "7"],
        ["z", "", "9"],
    ]
    assert [row.state for row in said.rows] == [State.BAD, State.OK, State.NONE]


def test_a_table_says_what_it_could_not_apply() -> None:
    said = read(panel("table", "a", transformations=[{"id": "groupBy", "options": {}}]), {"A": [line(1, a="b")]})
    assert said.notes == ("without the transformation groupBy",)


def test_alerts_are_those_that_the_panel_lets_through_the_worst_first() -> None:
    def alert(name: str, severity: str, state: str = "firing") -> FiringAlert:
        return FiringAlert({"alertname": name, "severity": severity}, {"summary": f"{name}!"}, state, AT - 90)

    alerts = (alert("B", "notify"), alert("C", "page", "pending"), alert("A", "page"), alert("D", "trend"))
    options = {
        "alertInstanceLabelFilter": '{severity=~"page|notify"}',
        "stateFilter": {"firing": True, "pending": True},
    }
    rows = read(panel("alertlist", options=options), {}, alerts=alerts).rows
    assert [(row.name, row.state, row.text, row.age_s) for row in rows] == [
        ("page: A", State.BAD, "A!", 90),
        ("notify: B", State.WARN, "B!", 90),
        ("page: C (pending)", State.WARN, "C!", 90),
    ]
    firing = {"stateFilter": {"firing": True, "pending": False}}
    names = [row.name for row in read(panel("alertlist", options=firing), {}, alerts=alerts).rows]
    assert names == ["page: A", "notify: B", "trend: D"]


def test_a_query_that_failed_is_its_panels_error_and_the_others_rows_stay() -> None:
    said = read(panel("timeseries", ("a", "a"), ("b", "b")), {"A": Answer(error="parse error"), "B": [line(1)]})
    assert said.errors == ("parse error",)
    assert [row.name for row in said.rows] == ["b"]


def test_a_panel_is_repeated_once_a_value_with_the_variable_set_for_it() -> None:
    board = board_of(panel("stat", 'm{r=~"$region"}', title="In $region", repeat="region"))
    choices = {"region": Choice(("eu.1", "us"), multi=True, whole=True, all_value=".*")}
    placed = place_panels(board, choices)
    assert [(one.key, one.expr) for one in questions(placed, SPAN)] == [
        (("1[eu.1]", "A"), 'm{r=~"eu\\\\.1"}'),
        (("1[us]", "A"), 'm{r=~"us"}'),
    ]
    said = read_dashboard(board, choices, placed, SPAN, Answers(AT, {}))
    assert [one.title for one in said.panels] == ["In eu.1", "In us"]


def test_rows_are_sections_also_when_they_are_collapsed() -> None:
    inner = panel("text", title="Inside", options={"content": "words"})
    board = board_of(
        {"type": "row", "title": "Section", "gridPos": {"y": 1}, "panels": [inner]}, panel("stat", title="Before")
    )
    said: BoardReading = read_dashboard(board, {}, place_panels(board, {}), SPAN, Answers(AT, {}))
    assert [(one.section, one.title, one.content) for one in said.panels] == [("", "Before", ""), ("Section", "Inside", "words")]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place"),
    [('{"panels": [}', "b.json:1:13"), ('{"title": "x"}', "b.json:1:1"), ('{"panels": [{"id": 1}]}', "b.json:1:1")],
)
def test_what_is_no_dashboard_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_board(text, "b.json")
    assert [str(problem.location) for problem in caught.value.problems] == [place]
