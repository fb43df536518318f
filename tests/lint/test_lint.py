"""Lint: each check finds what it is for and nothing else, comments silence for a time and with a reason."""

from __future__ import annotations

import datetime
import json
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import InvalidInput
from tiercli.lint.checks import CHECKS
from tiercli.lint.comments import COMMENT_CODES
from tiercli.lint.formats import as_github, as_json, as_sarif
from tiercli.lint.interface import Finding, Severity, load_page
from tiercli.lint.linted import LintedFile
from tiercli.lint.linting import CODES, lint_files, lint_tree, run_checks
from tiercli.output.tree import ALERTMANAGER_FILE, RULES_PATH, render_tree
from tiercli.resources import resource_folder
from tiercli.rules.deployment import Deployment

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = "alert/left-out"
UNDEPLOYED = "alert/undeployed"
TODAY = datetime.date(2026, 11, 21)
Edit = Callable[[dict[str, Any]], object]


def findings_of(loaded: LoadedCatalog, file: str = RULES_PATH, edit: Edit = lambda content: None) -> list[Finding]:
    """What lint finds in the generated files after one of them was changed."""
    tree = render_tree(loaded, Deployment.production(loaded.catalog))
    read, write = (json.loads, json.dumps) if file.endswith(".json") else (yaml.safe_load, yaml.safe_dump)
    content = read(tree[file])
    edit(content)
    linted, sources = lint_tree(loaded, {**tree, file: write(content)})
    return run_checks(linted, sources, today=TODAY)


def rule(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    rules = [rule for group in content["groups"] for rule in group["rules"]]
    match: dict[str, Any] = next(rule for rule in rules if name in (rule.get("alert"), rule.get("record")))
    return match


def test_what_is_generated_from_the_catalogs_that_come_with_tiercli_is_clean(hybrid: LoadedCatalog) -> None:
    assert findings_of(hybrid) == []


def expression(text: str, name: str = "ProviderDown") -> Edit:
    return lambda content: rule(content, name).update(expr=text)


def all_pages(content: dict[str, Any]) -> None:
    for group in content["groups"]:
        for entry in group["rules"]:
            if entry.get("labels", {}).get("severity") == "notify":
                entry["labels"]["severity"] = "page"


BROKEN = [
    pytest.param(RULES_PATH, expression("sum(up"), "promql/syntax", "ProviderDown", id="a bracket that is not closed"),
    pytest.param(
        RULES_PATH, expression("tier:provider:request:increase1m > 1"), "promql/unknown-series", "ProviderDown",
        id="a series that nothing records",
    ),
    pytest.param(
        RULES_PATH, expression('tier:provider:requests:increase1m{tenant="x"} > 1'), "promql/unknown-series", "ProviderDown",
        id="a label that the series does not have",
    ),
    pytest.param(
        RULES_PATH, expression("rate(ai_gateway_quota_headroom_ratio[5m]) > 1"), "promql/rate-over-gauge", "ProviderDown",
        id="rate over a gauge of the contract",
    ),
    pytest.param(
        RULES_PATH, expression("increase(tier:provider:requests:rate5m[5m]) > 1"), "promql/rate-over-gauge", "ProviderDown",
        id="increase over a recorded rate",
    ),
    pytest.param(
        RULES_PATH, expression("sum by (provider, region) (ai_gateway_errors_total) > 1"), "promql/counter-without-rate",
        "ProviderDown", id="a counter as it stands",
    ),
    pytest.param(
        RULES_PATH,
        expression("histogram_quantile(0.9, sum by (provider, region) (rate(ai_gateway_request_duration_seconds_bucket[5m]))) > 1"),
        "promql/quantile-without-le", "ProviderDown", id="a quantile over sums without le",
    ),
    pytest.param(
        RULES_PATH, expression("sum by (provider, region) (rate(ai_gateway_errors_total[30s])) > 1"), "promql/short-range",
        "ProviderDown", id="a range of three scrapes",
    ),
    pytest.param(
        RULES_PATH, expression("sum by (region) (tier:provider:requests:increase1m) > 1"), "alert/lost-label", "ProviderDown",
        id="a provider that the summary quotes and the sum has lost",
    ),
    pytest.param(
        RULES_PATH, lambda content: rule(content, "ProviderDown")["annotations"].pop("runbook_url"), "alert/missing-parts",
        "ProviderDown", id="an alert without a runbook",
    ),
    pytest.param(
        RULES_PATH, lambda content: rule(content, "ProviderDown")["labels"].pop("owner"), "alert/missing-parts",
        "ProviderDown", id="an alert without an owner",
    ),
    pytest.param(
        RULES_PATH, lambda content: rule(content, "ProviderDown")["annotations"].update(action="watch the dashboard"),
        "alert/idle-action", "ProviderDown", id="an alert that nobody can do anything about",
    ),
    pytest.param(
        RULES_PATH,
        lambda content: rule(content, "ProviderDown")["annotations"].update(dashboard_url="https://g/d/tiercli-gone-1?viewPanel=1"),
        "alert/unknown-panel", "ProviderDown", id="a dashboard that is not there",
    ),
    pytest.param(
        "grafana/dashboards/provider.json", lambda content: content["panels"].pop(1), "alert/unknown-panel", "ProviderDown",
        id="a panel that was removed",
    ),
    pytest.param(RULES_PATH, all_pages, "alert/page-share", "alarms", id="pages above a third"),
    pytest.param(
        RULES_PATH,
        lambda content: [group.update(rules=[entry for entry in group["rules"] if entry.get("alert") in (None, "ProviderDown")]) for group in content["groups"]],
        "alert/alarm-count", "alarms", id="one alarm alone",
    ),
    pytest.param(
        "grafana/dashboards/home.json", lambda content: content["panels"][0]["targets"][0].update(expr="rate(up[5m])"),
        "promql/rate-over-gauge", "home: Firing alarms", id="a pane that takes the rate of a gauge",
    ),
    pytest.param(
        "grafana/dashboards/drift.json", lambda content: content["panels"][0].update(links=[{"url": "/d/nowhere-1"}]),
        "dashboard/unknown-link", "drift: Drift signals", id="a link to no board",
    ),
    pytest.param(
        RULES_PATH, expression("sgn_of_tomorrow(tier:provider:requests:increase1m)"), "tool/promtool", "promtool check rules",
        id="a function that this promtool does not know",
    ),
    pytest.param(
        ALERTMANAGER_FILE, lambda content: content["route"].update(receiver="nobody"), "tool/amtool", "amtool check-config",
        id="a receiver that is not there",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("file", "edit", "code", "subject"), BROKEN)
def test_finds(hybrid: LoadedCatalog, file: str, edit: Edit, code: str, subject: str) -> None:
    findings = [
        finding for finding in findings_of(hybrid, file, edit) if (finding.code, finding.subject) == (code, subject)
    ]
    assert findings
    assert findings[0].location.file in (file, RULES_PATH, "grafana/dashboards/provider.json")
    assert findings[0].location.line >= 1
    assert findings[0].do


@pytest.mark.parametrize(
    ("action", "idle"),
    [
        ("Watch the dashboard.", True),
        ("Look at the provider board, and monitor it closely.", True),
        ("Keep an eye on the Grafana panels; wait and see.", True),
        ("Open the dashboard, then shift the weight to another region.", False),
        ("Look for a runaway loop, or a regression.", False),
        ("Replace the dashboard's broken panel.", False),
    ],
)
def test_an_action_is_idle_only_when_all_of_it_is(hybrid: LoadedCatalog, action: str, idle: bool) -> None:
    def change(content: dict[str, Any]) -> None:
        rule(content, "ProviderDown")["annotations"]["action"] = action

    found = [finding for finding in findings_of(hybrid, RULES_PATH, change) if finding.code == "alert/idle-action"]
    assert [finding.subject for finding in found] == ["ProviderDown"] * idle


def test_alarms_that_no_source_can_feed_are_told(changed_hybrid: Callable[..., LoadedCatalog]) -> None:
    def behind_envoy(data: dict[str, Any]) -> None:
        offer = {"provider": "openai", "model": "gpt-5-mini", "region": "ap-south-1"}
        data["gateway"] |= {"binding": "envoy-ai-gateway", "deployments": {"openai/gpt-5-mini": offer}}

    left_out = {
        finding.subject: finding for finding in findings_of(changed_hybrid(behind_envoy)) if finding.code == LEFT_OUT
    }
    assert {"ProviderThrottled", "ZoneViolation"} <= set(left_out)
    assert "ProviderDown" not in left_out
    finding = left_out["ProviderThrottled"]
    assert finding.severity is Severity.INFO
    assert finding.location.file.endswith("ProviderThrottled.yml.j2")
    assert "tier:provider:throttle_ratio:rate5m" in finding.found


def test_a_candidate_that_no_deployment_is_is_told_at_its_place(changed_hybrid: Callable[..., LoadedCatalog]) -> None:
    offer = {"provider": "openai", "model": "gpt-5-mini", "region": "ap-south-1"}

    def behind_bifrost(data: dict[str, Any]) -> None:
        data["gateway"] |= {"binding": "bifrost", "deployments": {"openai/gpt-5-mini": offer}}

    loaded = changed_hybrid(behind_bifrost)
    found = [finding for finding in findings_of(loaded) if finding.code == UNDEPLOYED]
    candidates = [candidate.model_dump() for alias in loaded.catalog.aliases.values() for candidate in alias.candidates]
    assert len(found) == sum(candidate != offer for candidate in candidates) > 0
    assert "anthropic/claude-sonnet-4-6/ap-south-1" in {finding.subject for finding in found}
    assert all(finding.severity is Severity.WARNING and finding.location.line > 1 for finding in found)


def test_every_check_finds_something_in_these_tests_and_has_its_file_and_page() -> None:
    exercised = {str(case.values[2]) for case in BROKEN} | set(COMMENT_CODES) | {LEFT_OUT, UNDEPLOYED}
    assert exercised == set(CODES)
    folder = resource_folder("docs") / "checks"
    pages = {str(path.relative_to(folder))[:-3] for path in folder.rglob("*.md")}
    assert pages == set(CODES) | {"budget/over", "budget/raised"}  # those two are `tiercli budget`'s
    files = {path.stem for path in (ROOT / "tiercli" / "lint" / "checks").glob("*.py")} - {"__init__"}
    assert files == {check.code.partition("/")[2].replace("-", "_") for check in CHECKS}


RULES = """groups:
  - name: ours
    rules:
      - record: job:calls:rate
        expr: rate(http_calls_total[5m])
      # COMMENT
      - alert: TooMany
        expr: http_calls_total > 5
        labels: {severity: critical}
      - alert: AlsoTooMany
        expr: http_calls_total > 9
"""


def lint_text(folder: Path, comment: str) -> list[Finding]:
    path = folder / "rules.yml"
    path.write_text(RULES.replace("# COMMENT", comment), encoding="utf-8")
    return [
        finding
        for finding in run_checks(lint_files([path], []), today=TODAY)
        if finding.code.startswith(("comment/", "promql/counter"))
    ]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        pytest.param("#", ["TooMany", "AlsoTooMany"], id="no comment"),
        pytest.param(
            "# tiercli: disable promql/counter-without-rate: it is reset daily", ["AlsoTooMany"], id="of the rule below"
        ),
        pytest.param(
            "# tiercli: disable promql/counter-without-rate until 2026-11-21: soon", ["AlsoTooMany"], id="until today"
        ),
        pytest.param(
            "# tiercli: disable promql/counter-without-rate until 2026-11-20: soon",
            ["comment/expired", "TooMany", "AlsoTooMany"],
            id="until yesterday",
        ),
        pytest.param(
            "# tiercli: disable promql/counter-without-rate",
            ["comment/no-reason", "AlsoTooMany"],
            id="without a reason",
        ),
        pytest.param(
            "# tiercli: disable promql/counter: no such check",
            ["comment/unreadable", "TooMany", "AlsoTooMany"],
            id="of no check",
        ),
        pytest.param(
            "# tiercli: disable promql/counter-without-rate until tomorrow: soon",
            ["comment/unreadable", "TooMany", "AlsoTooMany"],
            id="until no date",
        ),
        pytest.param(
            "# tiercli: disable promql/counter-without-rate AlsoTooMany: not this one",
            ["TooMany", "AlsoTooMany"],
            id="of another subject",
        ),
    ],
)
def test_a_comment_silences(tmp_path: Path, comment: str, expected: list[str]) -> None:
    found = lint_text(tmp_path, comment)
    assert [finding.code if finding.code.startswith("comment/") else finding.subject for finding in found] == expected


def test_a_comment_in_the_catalog_silences_what_is_generated_from_it(hybrid: LoadedCatalog) -> None:
    tree = render_tree(hybrid, Deployment.production(hybrid.catalog))
    content = yaml.safe_load(tree[RULES_PATH])
    for name in ("ProviderDown", "GatewayDown"):
        rule(content, name)["labels"].pop("owner")
    linted, sources = lint_tree(hybrid, {**tree, RULES_PATH: yaml.safe_dump(content)})
    comment = "# tiercli: disable alert/missing-parts ProviderDown until 2027-01-31: its owner is being found\n"
    found = run_checks(linted, [*sources, LintedFile("my.yaml", comment)], today=TODAY)
    assert [(finding.code, finding.subject) for finding in found] == [("alert/missing-parts", "GatewayDown")]


def test_files_of_others_are_judged_as_far_as_they_can_be(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(RULES, encoding="utf-8")
    board = tmp_path / "board.json"
    panels = [
        {
            "title": "Row",
            "type": "row",
            "panels": [{"title": "Calls", "type": "timeseries", "targets": [{"expr": "rate(x[$__interval]"}]}],
        }
    ]
    board.write_text(json.dumps({"uid": "u", "panels": panels}), encoding="utf-8")
    found = {
        (finding.code, finding.subject): finding for finding in run_checks(lint_files([path], [board]), today=TODAY)
    }
    assert found["promql/syntax", "board: Calls"].location.file == str(board)
    assert found["promql/counter-without-rate", "TooMany"].location.line == 8
    assert found["alert/missing-parts", "TooMany"].severity is Severity.WARNING
    assert ("promql/unknown-series", "TooMany") not in found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("rules.yml", "rules: []\n", id="a rule file without groups"),
        pytest.param("rules.yml", "groups: [{name: a, rules: [{alert: x}]}]\n", id="a rule without an expression"),
        pytest.param("board.json", "{", id="a dashboard that is no JSON"),
        pytest.param("board.json", "[]", id="a dashboard that is a list"),
    ],
)
def test_a_file_that_is_something_else_is_told(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput) as raised:
        lint_files([path] if name.endswith("yml") else [], [path] if name.endswith("json") else [])
    assert raised.value.problems[0].location.file == str(path)


def test_findings_are_told_to_machines(tmp_path: Path) -> None:
    found = lint_text(tmp_path, "#")
    assert json.loads(as_json(found))["findings"][0]["code"] == "promql/counter-without-rate"
    lines = as_github(found).splitlines()
    assert lines[0].startswith("::warning file=")
    assert "title=promql/counter-without-rate" in lines[0]
    log = json.loads(as_sarif(found, CHECKS))
    # What SARIF 2.1.0 demands of these parts.
    place = {"type": "object", "required": ["artifactLocation", "region"]}
    result = {
        "type": "object",
        "required": ["ruleId", "level", "message", "locations"],
        "properties": {
            "level": {"enum": ["none", "note", "warning", "error"]},
            "message": {"type": "object", "required": ["text"]},
            "locations": {"items": {"properties": {"physicalLocation": place}, "required": ["physicalLocation"]}},
        },
    }
    run = {"type": "object", "required": ["tool", "results"], "properties": {"results": {"items": result}}}
    jsonschema.validate(log, {"properties": {"version": {"const": "2.1.0"}, "runs": {"minItems": 1, "items": run}}})
    rules = {rule["id"] for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert {result["ruleId"] for result in log["runs"][0]["results"]} <= rules


def test_the_command_exits_by_what_is_found(tmp_path: Path, run_tiercli: Any) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(RULES, encoding="utf-8")
    passed = run_tiercli("lint", "--rules", str(path))
    assert passed.returncode == 0
    assert "warning promql/counter-without-rate: TooMany" in passed.stdout
    assert run_tiercli("lint", "--rules", str(path), "--fail-on", "warning").returncode == 1
    assert run_tiercli("lint").returncode == 2
    assert run_tiercli("lint", "--rules", str(path), "--disable", "promql/nothing").returncode == 2


def test_a_finding_names_a_command_that_explains_it(tmp_path: Path, run_tiercli: Any) -> None:
    finding = lint_text(tmp_path, "#")[0]
    explained = run_tiercli(*finding.page.split()[1:])
    assert explained.returncode == 0
    assert explained.stdout.startswith("# promql/counter-without-rate\n")
    budget = run_tiercli("lint", "--explain", "budget/over")
    assert "more series than a budget allows" in budget.stdout.replace("\n", " ")


def test_an_unknown_code_is_not_explained(run_tiercli: Any) -> None:
    done = run_tiercli("lint", "--explain", "promql/short-rang")
    assert done.returncode == 2
    assert "did you mean 'promql/short-range'?" in done.stderr


def test_a_wheel_holds_the_pages_where_an_installed_tiercli_looks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As installed: only what pyproject.toml puts into the wheel, and no checkout beside it."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    for source, target in build["wheel"]["force-include"].items():
        shutil.copytree(ROOT / source, tmp_path / target)
    monkeypatch.setattr("tiercli.resources._PACKAGE", tmp_path / "tiercli")
    for code in (*CODES, "budget/over", "budget/raised"):
        assert load_page(code).startswith(f"# {code}\n")
    for name in ("templates", "catalogs", "drills"):
        assert resource_folder(name).is_relative_to(tmp_path / "tiercli" / "resources")


def test_help_shows_the_whole_form_of_a_comment(run_tiercli: Any) -> None:
    shown = " ".join(run_tiercli("lint", "--help").stdout.split())
    assert "# tiercli: disable CODE [SUBJECT] [until YYYY-MM-DD]: reason" in shown
