"""The generated tree: every file's path and text, a pure function of catalog and deployment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tiercli import __version__
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.conventions import GENERATOR, MANIFEST_FILE
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.build.provisioning import render_provisioning
from tiercli.dashboards.read.board import parse_board
from tiercli.dashboards.read.interpolation import fill_any
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.output.folder import digest_of
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_checks import own_series
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.alertmanager import build_alertmanager
from tiercli.rules.counter_tests import build_counted_rules, build_counter_tests
from tiercli.rules.deployment import Deployment
from tiercli.rules.fragments import (
    build_alertmanager_fragment,
    build_federation_fragment,
    build_remote_write_fragment,
    build_scrape_fragment,
    render_fragments_readme,
)
from tiercli.rules.prometheus_config import RULES_FILE, build_prometheus, retention_flag, retention_note
from tiercli.rules.runbooks import render_runbook
from tiercli.rules.unit_tests import ALERT_RULES_FILE, build_tested_rules, build_unit_tests
from tiercli.signals.bindings import counts_contract
from tiercli.signals.expressions import check_expression
from tiercli.signals.retention import reach_s
from tiercli.signals.rule import RuleGroup, rule_file_content
from tiercli.signals.timing import Timing

PROMETHEUS_FILE = "prometheus/prometheus.yml"
RULES_PATH = f"prometheus/{RULES_FILE}"
TESTS_FOLDER = "prometheus/tests"
ALERTMANAGER_FILE = "alertmanager/alertmanager.yml"


def render_tree(loaded: LoadedCatalog, deployment: Deployment, template_folders: Sequence[Path] = ()) -> dict[str, str]:
    """The whole generated folder: text by path below it, sorted, the manifest included.

    Raises InvalidInput when the catalog, the alarm files and the source binding do not fit together.
    """
    catalog = loaded.catalog
    timing = deployment.timing
    alarm_set = load_alarm_set(loaded, timing, template_folders)
    alarms = alarm_set.alarms
    rule_groups = build_rule_groups(loaded, timing, alarms, alarm_set.canonical)
    tree = render_servers(loaded, deployment, alarms, rule_groups)
    tree[f"{TESTS_FOLDER}/{ALERT_RULES_FILE}"] = to_yaml(rule_file_content(build_tested_rules(catalog, alarms, timing)))
    for alarm in alarms:
        tree[f"{TESTS_FOLDER}/{alarm.alarm}_test.yml"] = to_yaml(build_unit_tests(catalog, alarms, alarm, timing))
        tree[f"runbooks/{alarm.alarm}.md"] = render_runbook(catalog, alarm, timing)
    if counts_contract(catalog.gateway.binding):  # the raw metrics of other gateways are those of their bindings
        tree |= _counter_tests(catalog, alarms, timing, rule_groups)
    tree["fragments/scrape_configs.yml"] = to_yaml(build_scrape_fragment(catalog, deployment))
    tree["fragments/remote_write.yml"] = to_yaml(build_remote_write_fragment())
    tree["fragments/federation.yml"] = to_yaml(build_federation_fragment(catalog, deployment))
    tree["fragments/alertmanager.yml"] = to_yaml(build_alertmanager_fragment(catalog, alarms, deployment))
    dashboards = render_dashboards(catalog, alarm_set.canonical.unbound, alarm_set.boards)
    check_panels(dashboards, alarms)
    looks_back = _looks_back(rule_groups, dashboards)
    tree[PROMETHEUS_FILE] = retention_note(looks_back) + tree[PROMETHEUS_FILE]
    retention = retention_flag(looks_back.values())
    tree["fragments/README.md"] = render_fragments_readme(catalog, deployment, retention)
    tree |= dashboards
    tree |= render_provisioning(catalog)
    tree = dict(sorted(tree.items()))
    return tree | {MANIFEST_FILE: render_manifest(tree, catalog.estate, catalog.env)}


def _looks_back(rule_groups: Sequence[RuleGroup], dashboards: Mapping[str, str]) -> dict[str, float]:
    """How far back each rule and each panel looks, seconds, by its name."""
    reaches: dict[str, float] = {}
    for rule in (rule for group in rule_groups for rule in group.rules):
        reaches[rule.name] = max(reaches.get(rule.name, 0.0), reach_s(rule.expr))
    for path, text in dashboards.items():
        for panel in parse_board(text, path).panels:
            name = f'panel "{panel.title}" of {Path(path).stem}'
            reaches[name] = max((reach_s(fill_any(target.expr)) for target in panel.targets), default=0.0)
    return reaches


def _counter_tests(
    catalog: Catalog, alarms: tuple[Alarm, ...], timing: Timing, rule_groups: Sequence[RuleGroup]
) -> dict[str, str]:
    tree: dict[str, str] = {}
    for alarm in alarms:
        if alarm.counters:
            # A rule file for each alarm: promtool evaluates everything that it loads, thousands of times.
            rules, file = build_counted_rules(rule_groups, alarm), f"{alarm.alarm}_counters_rules.yml"
            tree[f"{TESTS_FOLDER}/{file}"] = to_yaml(rule_file_content(rules))
            tests = build_counter_tests(catalog, alarm, timing, rules, file)
            tree[f"{TESTS_FOLDER}/{alarm.alarm}_counters_test.yml"] = to_yaml(tests)
    return tree


def check_panels(dashboards: Mapping[str, str], alarms: tuple[Alarm, ...]) -> None:
    """Raise InvalidInput for every panel whose expression does not parse, or reads a series that nothing exposes or records."""
    more = own_series(alarms)
    problems: list[Problem] = []
    for path, text in dashboards.items():
        for panel in parse_board(text, path).panels:
            place = Location(f"{path} ({panel.title})")
            for target in panel.targets:
                problems += check_expression(fill_any(target.expr), place, more)
    if problems:
        raise InvalidInput("panels with invalid queries", problems)


def render_servers(
    loaded: LoadedCatalog,
    deployment: Deployment,
    alarms: tuple[Alarm, ...],
    rule_groups: Sequence[RuleGroup] | None = None,
) -> dict[str, str]:
    """The files that Prometheus and Alertmanager read, which a sandbox starts with. `rule_groups`: if they are already built."""
    catalog = loaded.catalog
    return {
        PROMETHEUS_FILE: to_yaml(build_prometheus(catalog, deployment)),
        RULES_PATH: to_yaml(rule_file_content(rule_groups or build_rule_groups(loaded, deployment.timing, alarms))),
        ALERTMANAGER_FILE: to_yaml(build_alertmanager(catalog, alarms, deployment)),
    }


def render_manifest(tree: Mapping[str, str], estate: str, env: str) -> str:
    """The list of generated files, each with its SHA-256: a later run recognises edited files by it."""
    files = {path: digest_of(text.encode()) for path, text in sorted(tree.items())}
    content = {"generator": f"{GENERATOR} {__version__}", "estate": estate, "env": env, "files": files}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """YAML without anchors: the same list twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def from_yaml(text: str) -> Any:
    """What a generated YAML file holds."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one


def to_yaml(content: Any) -> str:
    """`content` as YAML: keys in their order, one line a string, readable in any language."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31 - 1)
    return text
