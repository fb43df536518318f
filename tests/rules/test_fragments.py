"""Parts for a stack that exists already: merged as their README says, ours is routed and theirs is untouched."""

from __future__ import annotations

import copy
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.output.tree import render_tree
from tiercli.output.writing import write_tree
from tiercli.rules.deployment import Deployment
from tiercli.signals.contract import CONTRACT

FOREIGN_ALERTMANAGER: dict[str, Any] = {
    "global": {"resolve_timeout": "5m"},
    "route": {
        "receiver": "their-default",
        "group_by": ["cluster"],
        "routes": [
            {"receiver": "their-db-team", "matchers": ['team="db"'], "continue": False},
            {"receiver": "their-pager", "matchers": ['severity="page"']},
            {"receiver": "heartbeat", "matchers": ['severity="heartbeat"']},
        ],
    },
    "receivers": [{"name": name} for name in ("their-default", "their-db-team", "their-pager", "heartbeat")],
    "inhibit_rules": [
        {"source_matchers": ['severity="critical"'], "target_matchers": ['severity="warning"'], "equal": ["cluster"]}
    ],
}
FOREIGN_PROMETHEUS: dict[str, Any] = {
    "global": {"scrape_interval": "1m", "scrape_timeout": "30s", "external_labels": {"cluster": "theirs"}},
    "rule_files": ["their-rules.yml"],
    "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": ["their-gateway:80"]}]}],
}
THEIR_RULES = {"groups": [{"name": "theirs", "rules": [{"alert": "TheirAlert", "expr": "up == 0"}]}]}
OURS = {"estate": "content-company", "env": "production"}


@pytest.fixture(scope="module")
def generated(hybrid: LoadedCatalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    write_tree(folder, render_tree(hybrid, Deployment.production(hybrid.catalog)))
    return folder


@pytest.fixture(scope="module")
def merged(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A foreign Alertmanager configuration with our sub-tree among its routes."""
    ours = yaml.safe_load((generated / "fragments" / "alertmanager.yml").read_text())
    config = copy.deepcopy(FOREIGN_ALERTMANAGER)
    config["route"]["routes"] = [*ours["routes"], *config["route"]["routes"]]
    config["receivers"] += ours["receivers"]
    config["inhibit_rules"] += ours["inhibit_rules"]
    path = tmp_path_factory.mktemp("merged") / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def receiver(amtool: Any, config: Path, labels: dict[str, str]) -> str:
    matchers = [f'{name}="{value}"' for name, value in labels.items()]
    code, output = amtool("config", "routes", "test", f"--config.file={config}", *matchers)
    assert code == 0, output
    return str(output.splitlines()[0])


def test_alertmanager_accepts_the_merged_configuration(amtool: Any, merged: Path) -> None:
    code, output = amtool("check-config", merged)
    assert code == 0, output


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({"severity": "page", **OURS}, "tiercli/platform-pager", id="our page"),
        pytest.param({"severity": "notify", **OURS}, "tiercli/platform-channel", id="our notification"),
        pytest.param(
            {"severity": "notify", "owner": "content-ai", **OURS}, "tiercli/content-ai-channel", id="an owner of ours"
        ),
        pytest.param({"severity": "trend", **OURS}, "tiercli/dashboards", id="our trend"),
        pytest.param({"severity": "heartbeat", **OURS}, "tiercli/heartbeat", id="our heartbeat"),
        pytest.param({"severity": "page", "team": "db", **OURS}, "tiercli/platform-pager", id="ours comes first"),
    ],
)
def test_our_alerts_are_routed_by_our_tree(amtool: Any, merged: Path, labels: dict[str, str], expected: str) -> None:
    assert receiver(amtool, merged, labels) == expected


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"severity": "page"}, id="their page"),
        pytest.param({"severity": "heartbeat"}, id="their heartbeat, whose receiver has the name of ours"),
        pytest.param({"team": "db", "severity": "page"}, id="their team"),
        pytest.param({"severity": "page", **OURS, "env": "staging"}, id="the same estate elsewhere"),
        pytest.param({"severity": "page", "env": "production", "estate": "another"}, id="another estate"),
        pytest.param({"alertname": "Anything"}, id="anything of theirs"),
    ],
)
def test_their_alerts_go_where_they_went(amtool: Any, merged: Path, tmp_path: Path, labels: dict[str, str]) -> None:
    alone = tmp_path / "alertmanager.yml"
    alone.write_text(yaml.safe_dump(FOREIGN_ALERTMANAGER, sort_keys=False))
    before = receiver(amtool, alone, labels)
    assert receiver(amtool, merged, labels) == before
    assert not before.startswith("tiercli/")


def test_no_inhibition_of_ours_can_touch_an_alert_of_theirs(generated: Path) -> None:
    fragment = yaml.safe_load((generated / "fragments" / "alertmanager.yml").read_text())
    whole = {'estate="content-company"', 'env="production"'}
    assert fragment["inhibit_rules"]
    for rule in fragment["inhibit_rules"]:
        assert whole <= set(rule["source_matchers"])
        assert whole <= set(rule["target_matchers"])
        assert {"estate", "env"} <= set(rule["equal"])


def merged_prometheus(generated: Path, folder: Path, jobs: list[Any]) -> Path:
    config = copy.deepcopy(FOREIGN_PROMETHEUS)
    config["scrape_configs"] += jobs
    config["rule_files"].append("tiercli.yml")
    shutil.copy(generated / "prometheus" / "rules" / "tiercli.yml", folder / "tiercli.yml")
    (folder / "their-rules.yml").write_text(yaml.safe_dump(THEIR_RULES))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def test_prometheus_accepts_the_merged_configuration(promtool: Any, generated: Path, tmp_path: Path) -> None:
    jobs = yaml.safe_load((generated / "fragments" / "scrape_configs.yml").read_text())["scrape_configs"]
    code, output = promtool("check", "config", merged_prometheus(generated, tmp_path, jobs))
    assert code == 0, output


def test_what_leaves_prometheus_is_what_rules_recorded(promtool: Any, generated: Path, tmp_path: Path) -> None:
    sent = yaml.safe_load((generated / "fragments" / "remote_write.yml").read_text())
    above = yaml.safe_load((generated / "fragments" / "federation.yml").read_text())
    config = {"remote_write": [{"url": "http://central:9009/api/v1/push", **sent}], **above}
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    code, output = promtool("check", "config", path)
    assert code == 0, output
    keep = re.compile(sent["write_relabel_configs"][0]["regex"])
    recorded = yaml.safe_load((generated / "prometheus" / "rules" / "tiercli.yml").read_text())
    names = {rule["record"] for group in recorded["groups"] for rule in group["rules"] if "record" in rule}
    assert len(names) > 50
    assert all(keep.fullmatch(name) for name in {*names, "ALERTS"})
    assert not any(keep.fullmatch(name) for metric in CONTRACT for name in metric.exposed_names)


def test_our_jobs_scrape_in_their_own_time_whatever_theirs_is(promtool: Any, generated: Path, tmp_path: Path) -> None:
    jobs = yaml.safe_load((generated / "fragments" / "scrape_configs.yml").read_text())["scrape_configs"]
    assert {(job["scrape_interval"], job["scrape_timeout"]) for job in jobs} == {("10s", "10s")}
    # Prometheus refuses a timeout that is longer than the interval: it must come with it.
    for job in jobs:
        job["scrape_timeout"] = FOREIGN_PROMETHEUS["global"]["scrape_timeout"]
    code, output = promtool("check", "config", merged_prometheus(generated, tmp_path, jobs))
    assert code == 1
    assert "scrape timeout greater than scrape interval" in output


def test_the_readme_names_every_part(generated: Path) -> None:
    text = (generated / "fragments" / "README.md").read_text()
    for path in (generated / "fragments").iterdir():
        assert path.name == "README.md" or path.name in text
    assert "content-company / production" in text
