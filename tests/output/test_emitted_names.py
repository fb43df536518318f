"""Names in generated files are those of tiercli/conventions.py, and what one file writes is what another one reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser
import pytest
import yaml

from tests.conftest import ROOT
from tests.output.test_golden import CATALOGS, generated
from tiercli.catalog.loading import load_catalog
from tiercli.catalog.model import Catalog
from tiercli.conventions import (
    DASHBOARD_TAG,
    DRILL_TAG,
    ENV_LABEL,
    ESTATE_LABEL,
    GATEWAY_JOB,
    GROUP_PREFIX,
    HEARTBEAT,
    NAMESPACE_LABEL,
    OWNER_LABEL,
    POLICY_PREFIX,
    PROMETHEUS_JOB,
    RECEIVER_PREFIX,
    RECORD_PREFIX,
    SERVERS_JOB,
    SEVERITIES,
    SEVERITY_LABEL,
    SOURCE_GATEWAY,
    SOURCE_LABEL,
    THRESHOLD_PREFIX,
    WATCHDOG,
    dashboard_uid,
    policy_series,
    source_job,
)
from tiercli.drills.sites.live import ANNOTATION_TAGS
from tiercli.output.tree import ALERTMANAGER_FILE, PROMETHEUS_FILE, RULES_PATH
from tiercli.signals.expressions import known_series
from tiercli.signals.label_flow import LabelFlow
from tiercli.signals.recorded import RECORDED_BY_NAME

ALERT_LABELS = {ESTATE_LABEL, ENV_LABEL, SEVERITY_LABEL, OWNER_LABEL, SOURCE_LABEL}
# `label="value"` and `label=~"value"` of a matcher, in Alertmanager's configuration.
MATCHER = re.compile(r'(\w+)(?:=~?|!=|!~)"(.*)"')


class Emitted:
    """What one catalog generates, read back."""

    def __init__(self, name: str) -> None:
        self.catalog: Catalog = load_catalog(ROOT / "catalogs" / f"{name}.yaml").catalog
        self.tree: Mapping[str, str] = generated(name)
        self.groups: list[dict[str, Any]] = self.read(RULES_PATH)["groups"]
        rules = [rule for group in self.groups for rule in group["rules"]]
        self.records = [rule for rule in rules if "record" in rule]
        self.alerts = [rule for rule in rules if "alert" in rule]
        self.boards = {
            path.removeprefix("grafana/dashboards/").removesuffix(".json"): json.loads(text)
            for path, text in self.tree.items()
            if path.startswith("grafana/dashboards/")
        }
        self.jobs = {scrape["job_name"] for scrape in self.read(PROMETHEUS_FILE)["scrape_configs"]}

    def read(self, path: str) -> Any:
        return yaml.safe_load(self.tree[path])

    def expressions(self) -> Iterator[str]:
        """Every expression of rules, and of panels with their variables filled in."""
        yield from (str(rule["expr"]) for rule in (*self.records, *self.alerts))
        for board in self.boards.values():
            for panel in board["panels"]:
                for target in panel.get("targets", ()):
                    yield re.sub(r"\$\{?\w+(?::\w+)?\}?", "1m", target["expr"])

    def routes(self, path: str) -> Iterator[dict[str, Any]]:
        """Every route of an Alertmanager configuration or fragment, the top one first."""
        content = self.read(path)
        waiting = [content.get("route") or content["routes"][0]]
        while waiting:
            route = waiting.pop()
            waiting += route.get("routes", ())
            yield route


@pytest.fixture(scope="module", params=CATALOGS)
def emitted(request: pytest.FixtureRequest) -> Emitted:
    return Emitted(request.param)


def test_every_recorded_series_has_the_prefix_and_is_declared(emitted: Emitted) -> None:
    names = {rule["record"] for rule in emitted.records}
    assert len(names) > 50
    assert not [name for name in names if not name.startswith(f"{RECORD_PREFIX}:")]
    made_by_alarms = (f"{THRESHOLD_PREFIX}:", f"{POLICY_PREFIX}:")
    assert not [name for name in names if name not in RECORDED_BY_NAME and not name.startswith(made_by_alarms)]


def test_every_series_that_an_expression_reads_is_recorded_or_exposed(emitted: Emitted) -> None:
    recorded, known = {rule["record"] for rule in emitted.records}, known_series()
    read = {name for text in emitted.expressions() for name in LabelFlow.selected(promql_parser.parse(text))}
    ours = {name for name in read if name.startswith(f"{RECORD_PREFIX}:")}
    assert len(ours) > 50
    # What no source of the catalog has is not recorded; its panels stay empty, and no alarm reads it.
    assert not [name for name in ours - recorded if name not in known]


def test_rule_groups_are_those_of_tiercli(emitted: Emitted) -> None:
    names = [group["name"] for group in emitted.groups]
    assert len(names) > 10
    assert not [name for name in names if not name.startswith(f"{GROUP_PREFIX}-")]


def test_scrape_jobs_are_those_that_expressions_match(emitted: Emitted) -> None:
    allowed = {GATEWAY_JOB, SERVERS_JOB, PROMETHEUS_JOB, *map(source_job, emitted.catalog.sources)}
    assert {GATEWAY_JOB, PROMETHEUS_JOB} <= emitted.jobs <= allowed
    fragment = {scrape["job_name"] for scrape in emitted.read("fragments/scrape_configs.yml")["scrape_configs"]}
    assert fragment <= allowed
    matched = {job for text in emitted.expressions() for job in re.findall(r'\bjob="([^"]*)"', text)}
    assert GATEWAY_JOB in matched
    assert matched <= allowed


def test_alerts_have_the_labels_of_the_conventions(emitted: Emitted) -> None:
    assert len(emitted.alerts) > 10
    for alert in emitted.alerts:
        # Where the catalog treats some differently, severity and owner come from the series that says whom.
        policy = [set(rule["labels"]) for rule in emitted.records if rule["record"] == policy_series(alert["alert"])]
        labels = set(alert["labels"])
        assert labels <= ALERT_LABELS, alert["alert"]
        assert ALERT_LABELS - {SOURCE_LABEL} <= labels.union(*policy), alert["alert"]
        assert (alert["labels"][ESTATE_LABEL], alert["labels"][ENV_LABEL]) == (
            emitted.catalog.estate,
            emitted.catalog.env,
        )
    rules = [*emitted.alerts, *(rule for rule in emitted.records if rule["record"].startswith(f"{POLICY_PREFIX}:"))]
    severities = {
        (rule.get("alert"), rule["labels"][SEVERITY_LABEL]) for rule in rules if SEVERITY_LABEL in rule["labels"]
    }
    assert {alarm for alarm, severity in severities if severity == HEARTBEAT} == {WATCHDOG}
    assert {severity for _, severity in severities} == {*SEVERITIES, HEARTBEAT}
    assert SOURCE_GATEWAY in {alert["labels"].get(SOURCE_LABEL) for alert in emitted.alerts}


@pytest.mark.parametrize("path", [ALERTMANAGER_FILE, "fragments/alertmanager.yml"])
def test_routes_and_inhibitions_match_labels_that_alerts_have(emitted: Emitted, path: str) -> None:
    content, routes = emitted.read(path), list(emitted.routes(path))
    identities = {label for alert in emitted.alerts for label in re.findall(r"\$labels\.(\w+)", str(alert))}
    texts = [matcher for route in routes for matcher in route.get("matchers", ())]
    for inhibition in content["inhibit_rules"]:
        texts += [*inhibition["source_matchers"], *inhibition["target_matchers"]]
        assert set(inhibition["equal"]) <= {*ALERT_LABELS, *identities}
    matchers = [match.groups() for text in texts if (match := MATCHER.fullmatch(text))]
    assert len(matchers) == len(texts) > 10
    assert {label for label, _ in matchers} <= {"alertname", *ALERT_LABELS, *identities}
    alarms = {alert["alert"] for alert in emitted.alerts}
    named = {name for label, value in matchers if label == "alertname" for name in value.split("|")}
    assert named <= alarms
    assert {value for label, value in matchers if label == SEVERITY_LABEL} == {*SEVERITIES, HEARTBEAT}


def test_receivers_have_the_prefix_only_where_they_join_names_of_others(emitted: Emitted) -> None:
    own = {receiver["name"] for receiver in emitted.read(ALERTMANAGER_FILE)["receivers"]}
    joining = {receiver["name"] for receiver in emitted.read("fragments/alertmanager.yml")["receivers"]}
    assert own == set(emitted.catalog.receivers)
    assert joining == {f"{RECEIVER_PREFIX}/{name}" for name in own}
    for path, receivers in ((ALERTMANAGER_FILE, own), ("fragments/alertmanager.yml", joining)):
        assert {route["receiver"] for route in emitted.routes(path) if "receiver" in route} <= receivers


def test_dashboards_have_the_uid_and_tags_of_the_conventions(emitted: Emitted) -> None:
    catalog = emitted.catalog
    assert len(emitted.boards) > 5
    for name, board in emitted.boards.items():
        assert board["uid"] == dashboard_uid(name, catalog.estate, catalog.env)
        assert board["tags"] == [DASHBOARD_TAG, catalog.estate, catalog.env]
        assert [link["tags"] for link in board["links"] if link["type"] == "dashboards"] == [[DASHBOARD_TAG]]


def test_links_of_alerts_and_panels_lead_to_panels_that_there_are(emitted: Emitted) -> None:
    panels = {board["uid"]: {panel["id"] for panel in board["panels"]} for board in emitted.boards.values()}
    links = [alert["annotations"]["dashboard_url"] for alert in emitted.alerts]
    links += re.findall(r'"(/d/[^"]+)"', json.dumps(emitted.boards))
    assert len(links) > len(emitted.alerts)
    for link in links:
        url = urlsplit(link)
        uid = url.path.rsplit("/d/", 1)[1].split("/")[0]
        assert uid in panels, link
        assert {int(panel) for panel in parse_qs(url.query).get("viewPanel", ())} <= panels[uid], link


def test_dashboards_show_the_annotations_that_drills_write(emitted: Emitted) -> None:
    for board in emitted.boards.values():
        targets = [entry["target"] for entry in board["annotations"]["list"] if "target" in entry]
        assert [target["tags"] for target in targets] == [[DRILL_TAG]]
    assert DRILL_TAG in ANNOTATION_TAGS


def test_kubernetes_objects_carry_the_namespace_that_routes_match(emitted: Emitted) -> None:
    objects = [emitted.read(path) for path in emitted.tree if path.startswith("kubernetes/prometheusrule-")]
    alerts = [
        (content["metadata"]["namespace"], rule["labels"][NAMESPACE_LABEL])
        for content in objects
        for group in content["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
    assert len(alerts) == len(emitted.alerts)
    assert [(own, label) for own, label in alerts if own != label] == []
