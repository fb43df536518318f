"""Board files: an operator's own beside tiercli's, and what is reported of one that is wrong."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import HYBRID, ROOT, Done
from tiercli.conventions import dashboard_uid

Run = Callable[..., Done]
PAGE = (ROOT / "docs" / "adding-a-dashboard.md").read_text(encoding="utf-8")
EXAMPLE = textwrap.dedent(
    PAGE.split("`ours/dashboards/regions.yml.j2`:\n\n", 1)[1].split("\n\n    tiercli generate", 1)[0]
)


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A folder of templates with the example of docs/adding-a-dashboard.md."""
    return write_board(tmp_path, EXAMPLE, "regions")


def write_board(folder: Path, text: str, name: str) -> Path:
    path = folder / "ours" / "dashboards" / f"{name}.yml.j2"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return folder / "ours"


def test_the_example_of_the_page_joins_the_generated_boards(run_tiercli: Run, ours: Path, tmp_path: Path) -> None:
    done = run_tiercli("generate", str(HYBRID), "--out", str(tmp_path / "out"), "--templates", str(ours))
    assert done.returncode == 0, done.stderr
    board = json.loads((tmp_path / "out/grafana/dashboards/regions.json").read_text())
    assert board["uid"] == dashboard_uid("regions", "content-company", "production")
    assert [panel["title"] for panel in board["panels"]] == ["Calls per minute", "Latency", "Firing alarms"]
    assert (tmp_path / "out/grafana/dashboards/home.json").is_file()


def test_the_example_of_the_page_is_listed_linted_and_wrapped(run_tiercli: Run, ours: Path, tmp_path: Path) -> None:
    listed = run_tiercli("dashboards", "list", str(HYBRID), "--templates", str(ours))
    assert "regions" in listed.stdout
    linted = run_tiercli("lint", str(HYBRID), "--templates", str(ours))
    assert linted.returncode == 0, linted.stdout
    assert "regions" not in linted.stdout
    wrapped = tmp_path / "out"
    done = run_tiercli("generate", str(HYBRID), "--out", str(wrapped), "--templates", str(ours), "--wrap", "kubernetes")
    assert done.returncode == 0, done.stderr
    assert (wrapped / "kubernetes/dashboard-regions.yaml").is_file()


def test_lint_looks_at_a_board_of_ones_own(run_tiercli: Run, tmp_path: Path) -> None:
    wrong = EXAMPLE.replace("tier:provider:requests:rate5m", "tier:provider:request:rate5m")
    done = run_tiercli("lint", str(HYBRID), "--templates", str(write_board(tmp_path, wrong, "regions")))
    assert done.returncode != 0
    assert "tier:provider:request:rate5m" in done.stdout + done.stderr


def test_an_alarm_of_ones_own_links_to_a_panel_of_ones_own_board(run_tiercli: Run, ours: Path, tmp_path: Path) -> None:
    shipped = (ROOT / "templates/alerts/ProviderLatencyHigh.yml.j2").read_text()
    head, panel, tail = shipped.partition("panel:")
    alarm = head + "panel: {dashboard: regions, panel: Latency}\n" + tail.split("\n", 1)[1] + "\nreplaces: true\n"
    assert panel
    (ours / "ProviderLatencyHigh.yml.j2").write_text(alarm)
    out = tmp_path / "out"
    done = run_tiercli("generate", str(HYBRID), "--out", str(out), "--templates", str(ours))
    assert done.returncode == 0, done.stderr
    groups = yaml.safe_load((out / "prometheus/rules/tiercli.yml").read_text())["groups"]
    rule = next(rule for group in groups for rule in group["rules"] if rule.get("alert") == "ProviderLatencyHigh")
    uid = dashboard_uid("regions", "content-company", "production")
    assert f"/d/{uid}?viewPanel=2&" in rule["annotations"]["dashboard_url"]


def test_a_board_takes_the_place_of_a_shipped_one_only_when_it_says_so(run_tiercli: Run, tmp_path: Path) -> None:
    ours = write_board(tmp_path, EXAMPLE, "overview")
    refused = run_tiercli("generate", str(HYBRID), "--out", str(tmp_path / "out"), "--templates", str(ours))
    assert refused.returncode == 2
    assert "tiercli has a board overview (accepted: another file name, or `replaces: true`)" in refused.stderr
    write_board(tmp_path, EXAMPLE + "\nreplaces: true", "overview")
    done = run_tiercli("generate", str(HYBRID), "--out", str(tmp_path / "out"), "--templates", str(ours))
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((tmp_path / "out/grafana/dashboards/overview.json").read_text())["title"] == "LLM traffic: regions"
    )


def test_every_mistake_is_reported_at_once_at_its_line_and_column(run_tiercli: Run, tmp_path: Path) -> None:
    # The shape first, each key at its place ...
    shape = EXAMPLE.replace("type: timeseries", "type: timeserie", 1).replace("size: [12, 8]", "size: [32, 8]", 1)
    shape = shape.replace("    legend: '{{region}}'", "    legends: '{{region}}'", 1)
    done = run_tiercli(
        "generate",
        str(HYBRID),
        "--out",
        str(tmp_path / "a"),
        "--templates",
        str(write_board(tmp_path, shape, "regions")),
    )
    path = tmp_path / "ours/dashboards/regions.yml.j2"
    assert done.returncode == 2
    lines = shape.splitlines()
    for text in ("type: timeserie", "size: [32", "legends:"):
        number = next(number for number, line in enumerate(lines, 1) if text in line)
        assert f"{path}:{number}:" in done.stderr, text
    assert not (tmp_path / "a").exists()
    # ... then what does not fit together, also below lines that a statement adds or drops.
    loose = "<% for word in ['one', 'two'] %>\n# << word >>\n<% endfor %>\n" + EXAMPLE.replace("id: 2", "id: 1")
    loose = loose.replace("    matching: 'region=~\"${region}\"'", "    markdown: words")
    done = run_tiercli(
        "generate",
        str(HYBRID),
        "--out",
        str(tmp_path / "a"),
        "--templates",
        str(write_board(tmp_path, loose, "regions")),
    )
    assert done.returncode == 2
    number = [number for number, line in enumerate(loose.splitlines(), 1) if "id: 1" in line][1]
    assert f"{path}:{number}:9: id 1 is there twice" in done.stderr
    number = next(number for number, line in enumerate(loose.splitlines(), 1) if "markdown: words" in line)
    assert f"{path}:{number}:5: a panel of type firing has no markdown" in done.stderr
    assert "a panel of type firing without matching" in done.stderr


def test_a_link_that_sets_what_its_board_does_not_have_is_reported(run_tiercli: Run, tmp_path: Path) -> None:
    link = "links: [{title: Open, board: tenant, variables: [tenant, regoin]}, {title: Own, board: regions, variables: [regoin]}]"
    wrong = EXAMPLE.replace("    unit: s\n", f"    unit: s\n    {link}\n", 1)
    ours = write_board(tmp_path, wrong, "regions")
    done = run_tiercli("generate", str(HYBRID), "--out", str(tmp_path / "a"), "--templates", str(ours))
    assert done.returncode == 2
    number = next(number for number, line in enumerate(wrong.splitlines(), 1) if link in line)
    place = f"{tmp_path}/ours/dashboards/regions.yml.j2:{number}:"
    said = " ".join(done.stderr.split())
    assert f"{place}{5 + link.index('regoin')}: unknown variable 'regoin' of board 'tenant' (accepted: tenant)" in said
    assert f"{place}{5 + link.rindex('regoin')}: unknown variable 'regoin' of board 'regions'" in said


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("title: '<< estate >>'", "'estate' is undefined"),
        ("title: '<< catalog.estate'", "regions.yml.j2:1"),
    ],
    ids=["a name that does not exist", "a tag without its end"],
)
def test_a_template_that_cannot_be_rendered_is_reported(
    run_tiercli: Run, tmp_path: Path, text: str, reported: str
) -> None:
    ours = write_board(tmp_path, text + "\n" + EXAMPLE.split("\n", 1)[1], "regions")
    done = run_tiercli("generate", str(HYBRID), "--out", str(tmp_path / "a"), "--templates", str(ours))
    assert done.returncode == 2
    assert reported in done.stderr
