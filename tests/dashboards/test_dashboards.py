"""Dashboards: what Grafana's own models accept, what an on-call needs on every pane, and queries that can answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.conftest import ROOT
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import parse_board
from tiercli.dashboards.read.interpolation import fill_any
from tiercli.errors import Location
from tiercli.output.tree import render_tree
from tiercli.rules.deployment import Deployment
from tiercli.signals.boards import board_paths, load_boards
from tiercli.signals.expressions import check_expression
from tiercli.signals.recorded import RECORDED

CURRENT_TYPES = {"timeseries", "stat", "table", "bargauge", "state-timeline", "text"}
LEGACY_KEYS = {"rows", "hideControls", "sharedCrosshair", "style", "__inputs"}


@pytest.fixture(scope="module", params=sorted(board_paths()))
def dashboard(request: pytest.FixtureRequest, hybrid: LoadedCatalog) -> tuple[str, dict[str, Any]]:
    """Each dashboard's name and JSON."""
    name = str(request.param)
    return name, json.loads(render_dashboards(hybrid.catalog)[f"grafana/dashboards/{name}.json"])


def test_grafanas_own_model_reads_it_and_loses_no_panel(dashboard: tuple[str, dict[str, Any]]) -> None:
    _, data = dashboard
    model = Dashboard.from_json(data)
    assert model.panels is not None
    assert len(model.panels) == len(data["panels"])
    assert model.uid == data["uid"]


def test_it_needs_no_migration(dashboard: tuple[str, dict[str, Any]]) -> None:
    _, data = dashboard
    assert data["schemaVersion"] >= 39
    assert not LEGACY_KEYS & set(data)
    assert {panel["type"] for panel in data["panels"]} <= CURRENT_TYPES
    assert len(data["uid"]) <= 40


def test_every_panel_says_what_it_shows(dashboard: tuple[str, dict[str, Any]]) -> None:
    _, data = dashboard
    for panel in data["panels"]:
        assert len(panel["description"]) > 20, panel["title"]
        if panel["type"] == "text":
            assert panel["options"]["content"]
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert "unit" in panel["fieldConfig"]["defaults"] or panel["type"] == "state-timeline", panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_panels_have_the_ids_that_links_use_and_do_not_overlap(
    dashboard: tuple[str, dict[str, Any]], hybrid: LoadedCatalog
) -> None:
    name, data = dashboard
    assert {panel["title"]: panel["id"] for panel in data["panels"]} == load_boards(hybrid.catalog)[name].panel_ids()
    taken: dict[tuple[int, int], str] = {}
    for panel in data["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert (x, y) not in taken, (panel["title"], taken.get((x, y)))
                taken[x, y] = panel["title"]


def holes(panels: list[dict[str, Any]]) -> set[tuple[int, int]]:
    """The places of a board, column and row, that no panel takes."""
    grids = [panel["gridPos"] for panel in panels]
    taken = {
        (x, y)
        for grid in grids
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    }
    rows = max(grid["y"] + grid["h"] for grid in grids)
    return {(x, y) for x in range(24) for y in range(rows)} - taken


@pytest.mark.parametrize("catalog", sorted(path.stem for path in (ROOT / "catalogs").glob("*.yaml")))
def test_no_board_has_a_hole_whatever_its_sources_lack(catalog: str) -> None:
    loaded = load_catalog(ROOT / "catalogs" / f"{catalog}.yaml")
    for path, text in render_tree(loaded, Deployment.production(loaded.catalog)).items():
        if path.startswith("grafana/dashboards/"):
            assert holes(json.loads(text)["panels"]) == set(), path


def test_a_link_carries_only_variables_that_its_board_has(hybrid: LoadedCatalog) -> None:
    tree = render_tree(hybrid, Deployment.production(hybrid.catalog))
    boards = [json.loads(text) for path, text in tree.items() if path.startswith("grafana/dashboards/")]
    variables = {board["uid"]: {one["name"] for one in board["templating"]["list"]} for board in boards}
    rules = yaml.safe_load(tree["prometheus/rules/tiercli.yml"])
    for text in (*map(json.dumps, boards), json.dumps(rules)):
        links = re.findall(r"/d/([\w-]+)\?([^\"]*)", text)
        assert all(set(re.findall(r"var-(\w+)=", query)) <= variables[uid] for uid, query in links), links
    assert "var-provider" in json.dumps(rules)


def test_every_query_parses_and_reads_known_series(dashboard: tuple[str, dict[str, Any]]) -> None:
    name, data = dashboard
    queries = [(panel, target) for panel in parse_board(json.dumps(data), name).panels for target in panel.targets]
    assert queries
    for panel, target in queries:
        hostile = {"alias": 'a"', "tenant": "t\\", "server": "$s", "signal": "x|y", "subject": '"}'}
        for chosen in (None, {"provider": 'a"b\\c.*', "region": "r|s", "model": "{m}", **hostile}):
            problems = check_expression(fill_any(target.expr, chosen), Location(panel.title))
            assert problems == [], panel.title


def test_a_query_of_an_unknown_series_would_be_noticed() -> None:
    assert check_expression("tier:provider:latency_second:p95_5m", Location("x"))
    assert check_expression('tier:provider:latency_seconds:p95_5m{tenant="t"}', Location("x"))
    assert check_expression("sum(", Location("x"))


def test_a_panel_without_its_signal_is_left_out_without_a_hole(hybrid: LoadedCatalog) -> None:
    unbound = {"tier:alias:eval_score:mean", "tier:drift:value:baseline"}
    boards = render_dashboards(hybrid.catalog, unbound)
    panels = json.loads(boards["grafana/dashboards/alias.json"])["panels"]
    titles = {panel["title"]: panel for panel in panels}
    assert "Eval score" not in titles
    # A pane keeps its signal when only what it is compared with is missing.
    assert [one["legendFormat"] for one in titles["Cost per 1,000 calls"]["targets"]] == ["{{alias}} cost"]
    assert holes(panels) == set()


def test_a_board_that_would_show_nothing_is_not_written(hybrid: LoadedCatalog) -> None:
    of_drift = {series.name for series in RECORDED if series.name.startswith("tier:drift:")}
    assert "grafana/dashboards/drift.json" in render_dashboards(hybrid.catalog)
    boards = render_dashboards(hybrid.catalog, of_drift)
    assert "grafana/dashboards/drift.json" not in boards
    assert "grafana/dashboards/home.json" in boards


def test_every_link_leads_to_a_board_and_every_alarm_to_a_panel(hybrid: LoadedCatalog) -> None:
    boards = {name: json.loads(text) for name, text in render_dashboards(hybrid.catalog).items()}
    uids = {board["uid"] for board in boards.values()}
    linked = {uid for board in boards.values() for uid in re.findall(r"/d/([\w-]+)", json.dumps(board))}
    assert linked
    assert linked <= uids


def test_links_keep_the_time_range(hybrid: LoadedCatalog) -> None:
    text = render_dashboards(hybrid.catalog)["grafana/dashboards/home.json"]
    assert "${__url_time_range}" in text
    assert "var-provider=${__field.labels.provider:percentencode}" in text
    for link in json.loads(text)["links"]:
        assert link["keepTime"]
        assert link["includeVars"]
