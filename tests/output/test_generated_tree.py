"""The whole generated tree: the same bytes each time, accepted by the tools that read it, whatever the names are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.models.dashboard import Dashboard
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import HYBRID
from tiercli.catalog.loading import LoadedCatalog, parse_catalog
from tiercli.output.tree import ALERTMANAGER_FILE, PROMETHEUS_FILE, RULES_PATH, TESTS_FOLDER, render_tree
from tiercli.output.writing import write_tree
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.deployment import Deployment, timing_of
from tiercli.sandbox.stack.binaries import find_stack


def render(loaded: LoadedCatalog) -> dict[str, str]:
    """The tree for production."""
    return render_tree(loaded, Deployment.production(loaded.catalog))


def run_tool(*argv: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool or amtool."""
    return subprocess.run([str(part) for part in argv], capture_output=True, text=True, cwd=cwd, check=False)


def accept(folder: Path, unit_tests: str = "*_test.yml") -> None:
    """Every file of a written tree is accepted by the tool that reads it."""
    stack = find_stack()
    for command in (
        (stack.promtool.path, "check", "rules", folder / RULES_PATH),
        (stack.promtool.path, "check", "config", folder / PROMETHEUS_FILE),
        (stack.amtool.path, "check-config", folder / ALERTMANAGER_FILE),
    ):
        done = run_tool(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    files = sorted(path.name for path in (folder / TESTS_FOLDER).glob(unit_tests))
    assert files
    done = run_tool(stack.promtool.path, "test", "rules", *files, cwd=folder / TESTS_FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in (folder / "grafana" / "dashboards").glob("*.json"):
        Dashboard.from_json(json.loads(path.read_text(encoding="utf-8")))


def test_two_runs_give_the_same_bytes(hybrid: LoadedCatalog) -> None:
    assert render(hybrid) == render(hybrid)


def test_every_tool_accepts_its_file(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    write_tree(tmp_path, render(hybrid))
    accept(tmp_path, "GatewayDown*_test.yml")  # all of them: tests/lint/test_rule_tests.py


def test_rules_do_not_grow_with_the_catalog(hybrid: LoadedCatalog) -> None:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    for number in range(100):
        name = f"cloud-{number}"
        data["providers"][name] = {"tier": "cloud", "owner": "platform", "regions": {"r": {}}, "models": {"m": {}}}
        data["price_book"]["models"][name] = {"m": {"input": 1, "output": 1}}
    large = parse_catalog(yaml.safe_dump(data, sort_keys=False), "large.yaml")

    def alerts(tree: Mapping[str, str]) -> list[dict[str, object]]:
        return [
            rule for group in yaml.safe_load(tree[RULES_PATH])["groups"] for rule in group["rules"] if "alert" in rule
        ]

    assert alerts(render(large)) == alerts(render(hybrid))


def test_no_secret_has_a_place_in_the_tree(hybrid: LoadedCatalog) -> None:
    for path, text in render(hybrid).items():
        assert "routing_key:" not in text, path
        assert "api_url:" not in text, path
        assert "credentials:" not in text, path


# Quotes, backslashes, braces, templates of three languages, variables, other scripts, markup.
HOSTILE = [
    '"',
    "'",
    "\\",
    "{",
    "}",
    "{{",
    "}}",
    "$1",
    "${x}",
    "$__all",
    "[[x]]",
    "`",
    "é",
    "汉",
    "🔥",
    "<b>",
    "%",
    "|",
    ".*",
    "#",
    ": ",
    "- ",
]


def hostile_names() -> st.SearchStrategy[str]:
    """Names made of what breaks quoting, with something plain in them."""
    parts = st.lists(st.sampled_from([*HOSTILE, "a", "b", " "]), min_size=4, max_size=12)
    return parts.map(lambda chosen: "n" + "".join(chosen) + "e")


def catalog_with(names: Mapping[str, str]) -> LoadedCatalog:
    """A catalog whose provider, model, region, alias, tenant and feature have these names."""
    n = names
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    data |= {
        "providers": {
            n["provider"]: {
                "tier": "cloud",
                "owner": "platform",
                "regions": {n["region"]: {}, "second": {}},
                "models": {n["model"]: {}},
            }
        },
        "aliases": {
            n["alias"]: {
                "owner": "content-ai",
                "candidates": [{"provider": n["provider"], "model": n["model"], "region": n["region"]}],
            }
        },
        "zones": {"anywhere": {}},
        "tenants": {n["tenant"]: {"features": [n["feature"]], "budget_usd_per_month": 1, "zone": "anywhere"}},
        "price_book": {"version": "1", "models": {n["provider"]: {n["model"]: {"input": 1, "output": 1}}}},
        "alarms": {
            "ProviderLatencyHigh": {"overrides": [{"provider": n["provider"], "thresholds": {"min_seconds": 3}}]}
        },
    }
    return parse_catalog(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), "hostile.yaml")


KINDS = ("provider", "model", "region", "alias", "tenant", "feature")


@settings(max_examples=5, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(names=st.fixed_dictionaries({kind: hostile_names() for kind in KINDS}))
def test_hostile_names_never_break_or_inject(names: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    loaded = catalog_with(names)
    folder = tmp_path_factory.mktemp("hostile")
    tree = render(loaded)
    write_tree(folder, tree)
    # The unit tests of the alarm that names most: labels, annotations, links, a threshold of its own.
    accept(folder, "ProviderLatencyHigh_test.yml")
    infos = [
        rule["labels"]
        for group in yaml.safe_load(tree[RULES_PATH])["groups"]
        for rule in group["rules"]
        if rule.get("record") == "tier:provider:info"
    ]
    assert {"provider": names["provider"], "region": names["region"], "tier": "cloud"} in infos


def test_alertmanager_routes_every_alarm_to_who_should_hear_of_it(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    write_tree(tmp_path, render(hybrid))
    routing = hybrid.catalog.routing
    for alarm in load_alarms(hybrid, timing_of(hybrid.catalog)):
        labels = [f"alertname={alarm.alarm}", f"severity={alarm.severity}", "owner=platform"]
        done = run_tool(
            find_stack().amtool.path,
            "config",
            "routes",
            "test",
            f"--config.file={tmp_path / ALERTMANAGER_FILE}",
            *labels,
        )
        assert done.stdout.strip() == getattr(routing, alarm.severity), (alarm.alarm, done.stderr)


def test_an_owner_with_a_channel_of_their_own_hears_there(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    write_tree(tmp_path, render(hybrid))
    config = f"--config.file={tmp_path / ALERTMANAGER_FILE}"
    done = run_tool(find_stack().amtool.path, "config", "routes", "test", config, "severity=notify", "owner=content-ai")
    assert done.stdout.strip() == "content-ai-channel"


def test_the_fragment_joins_a_foreign_configuration_without_touching_it(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    fragment = yaml.safe_load(render(hybrid)["fragments/alertmanager.yml"])
    foreign = {
        "route": {
            "receiver": "theirs",
            "group_by": ["alertname"],
            "routes": [*fragment["routes"], {"receiver": "theirs-db", "matchers": ['team="db"']}],
        },
        "receivers": [{"name": "theirs"}, {"name": "theirs-db"}, *fragment["receivers"]],
        "inhibit_rules": fragment["inhibit_rules"],
    }
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(foreign, sort_keys=False))
    amtool = find_stack().amtool.path
    done = run_tool(amtool, "check-config", path)
    assert done.returncode == 0, done.stdout + done.stderr

    def receiver(*labels: str) -> str:
        return run_tool(amtool, "config", "routes", "test", f"--config.file={path}", *labels).stdout.strip()

    ours = ("estate=content-company", "env=production")
    assert receiver(*ours, "severity=page", "owner=platform") == "tiercli/platform-pager"
    assert receiver("severity=page", "team=db") == "theirs-db"
    assert receiver("severity=page", "estate=other", "env=production") == "theirs"
    for rule in fragment["inhibit_rules"]:
        assert 'estate="content-company"' in rule["source_matchers"]
        assert 'estate="content-company"' in rule["target_matchers"]


def test_the_scrape_fragment_is_accepted_in_a_foreign_prometheus(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    fragment = yaml.safe_load(render(hybrid)["fragments/scrape_configs.yml"])
    foreign = {"scrape_configs": [{"job_name": "theirs"}, *fragment["scrape_configs"]]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(foreign))
    done = run_tool(find_stack().promtool.path, "check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
