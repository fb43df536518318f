"""Boards of an estate of which nothing is scraped, over a real Prometheus that evaluates its rules: nothing is green."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.clients.live_servers import fetch, free_port, running, wait_until
from tests.dashboards.test_live_boards import read
from tiercli.catalog.loading import LoadedCatalog
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import Board, parse_board
from tiercli.dashboards.read.fields import State
from tiercli.output.tree import RULES_PATH, render_tree
from tiercli.rules.deployment import Deployment
from tiercli.sandbox.stack.binaries import find_stack
from tiercli.signals.boards import board_paths

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def boards(hybrid: LoadedCatalog) -> dict[str, Board]:
    """Every generated dashboard by its name."""
    rendered = render_dashboards(hybrid.catalog)
    return {Path(path).stem: parse_board(text, path) for path, text in rendered.items()}


@pytest.fixture(scope="module")
def unscraped(hybrid: LoadedCatalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that has the hybrid catalog's rules, and cannot reach one of its targets."""
    folder = tmp_path_factory.mktemp("prometheus")
    rules = yaml.safe_load(render_tree(hybrid, Deployment.production(hybrid.catalog))[RULES_PATH])
    for group in rules["groups"]:
        group["interval"] = "1s"
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    jobs = ("tiercli-gateway", "tiercli-servers", "tiercli-source-gpus")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": ["127.0.0.1:1"]}]} for job in jobs],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(find_stack().prometheus.path), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with running([*command, f"--web.listen-address={url.removeprefix('http://')}"], folder, f"{url}/-/ready"):
        wait_until(lambda: b"Watchdog" in fetch(f"{url}/api/v1/alerts"))
        wait_until(lambda: b'"0"' in fetch(f"{url}/api/v1/query?query=up"))
        wait_until(lambda: b"silent_targets" in fetch(f"{url}/api/v1/query?query=tier:server:silent_targets:count"))
        yield url


@pytest.mark.parametrize("name", sorted(board_paths()))
def test_no_pane_says_that_all_is_well_where_nothing_is_scraped(
    boards: dict[str, Board], unscraped: str, name: str
) -> None:
    said = read(unscraped, boards[name])
    well = {(one.title, row.name, row.text) for one in said.panels for row in one.rows if row.state is State.OK}
    # That rules are evaluated is true, and no reading of the estate.
    assert well - {("Watchdog", "firing", "1")} == set()


def test_lanes_of_providers_say_that_there_is_no_data(boards: dict[str, Board], unscraped: str) -> None:
    (health,) = [one for one in read(unscraped, boards["home"]).panels if one.title == "Provider health"]
    assert {row.text for row in health.rows} == {"no data"}


def test_every_target_of_the_local_tier_is_told_apart_where_none_answers(
    boards: dict[str, Board], unscraped: str
) -> None:
    (targets,) = [one for one in read(unscraped, boards["local"]).panels if one.title == "Targets"]
    assert {row.text for row in targets.rows} == {"does not answer"}
    assert {"tiercli-servers vllm-a", "tiercli-servers vllm-b"} <= {row.name for row in targets.rows}


def test_the_list_of_firing_alarms_is_empty_only_while_rules_are_evaluated(
    boards: dict[str, Board], hybrid: LoadedCatalog, unscraped: str
) -> None:
    def firing(board: Board) -> str:
        (pane,) = [panel for panel in read(unscraped, board).panels if panel.title == "Firing alarms"]
        return str(pane.rows)

    # The rules that are evaluated there are another environment's.
    elsewhere = render_dashboards(hybrid.catalog.model_copy(update={"env": "staging"}))
    of_staging = {Path(path).stem: parse_board(text, path) for path, text in elsewhere.items()}
    for name in ("local", "home"):
        assert "no data: the rules are not evaluated" not in firing(boards[name])
        assert "no data: the rules are not evaluated" in firing(of_staging[name])
