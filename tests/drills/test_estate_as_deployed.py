"""A sandbox drills what is deployed: the rules of the catalog, which read its own sources, with other targets and durations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tests.conftest import HYBRID
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.conventions import GATEWAY_JOB
from tiercli.drills.blind.answer import Kind
from tiercli.drills.blind.ground import survey
from tiercli.drills.blind.panels_read import look_at
from tiercli.drills.blind.recipes import RECIPES
from tiercli.drills.blind.rules import not_shown
from tiercli.drills.blind.scenario import draw
from tiercli.drills.run.readings import full_window_departure
from tiercli.drills.sites.estate import build_estate
from tiercli.drills.spec.model import SandboxSettings
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.deployment import timing_of
from tiercli.signals.contract import METRICS_BY_SERIES
from tiercli.signals.exposed import exposed_labels
from tiercli.signals.expressions import SCRAPE_METRICS
from tiercli.signals.parsed import parse, walk
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.rule import rule_file_content
from tiercli.signals.sources import catalog_sources
from tiercli.signals.timing import Timing

CATALOGS = sorted(HYBRID.parent.glob("*.yaml"))
# How many targets there are: a sandbox has a GPU exporter at each server, and as many instances as a drill says.
OF_TARGETS = {"tier:server:expected_targets:count", "tier:gateway:expected_instances:count"}
# Alarms whose own expression reads records over a window: of gauges, which no rate makes.
FROM_RECORDS = {"GpuUtilizationHigh", "LocalQueueGrowing"}


@pytest.fixture(scope="module", params=CATALOGS, ids=lambda path: path.stem)
def loaded(request: pytest.FixtureRequest) -> LoadedCatalog:
    return load_catalog(Path(request.param))


def rules_of(loaded: LoadedCatalog, timing: Timing) -> list[dict[str, Any]]:
    content = rule_file_content(build_rule_groups(loaded, timing, load_alarms(loaded, timing)))
    groups = yaml.safe_load(yaml.safe_dump(content))["groups"]
    return [
        {**rule, "group": group["name"]}
        for group in groups
        for rule in group["rules"]
        if rule.get("record") not in OF_TARGETS
    ]


@pytest.mark.parametrize("factor", [1, 60])
def test_the_rules_of_a_sandbox_are_those_that_are_deployed(loaded: LoadedCatalog, factor: int) -> None:
    timing = timing_of(loaded.catalog, factor)
    estate = build_estate(loaded, factor, (), SandboxSettings(gateway_instances=3, local_concurrency=9, error_ratio=0))
    ours, theirs = rules_of(estate.loaded, estate.timing), rules_of(loaded, timing)
    # What is typical of a place is a drill's to set, and a constant of the rules.
    assert [rule for rule in ours if ":typical" not in rule.get("record", "")] == [
        rule for rule in theirs if ":typical" not in rule.get("record", "")
    ]
    assert len(ours) > 100


def test_what_a_departure_reads_is_what_the_sources_expose_or_the_rules_record(loaded: LoadedCatalog) -> None:
    """Time to detect counts from the raw data, whatever the gateway calls it."""
    exposed = set(exposed_labels(loaded.catalog)) | set(SCRAPE_METRICS)
    for source in catalog_sources(loaded):
        exposed |= {series for metric in source.binding.contract() for series in metric.exposed_names}
    native = any(source.binding.contract() and source.job == GATEWAY_JOB for source in catalog_sources(loaded))
    estate = build_estate(loaded, 30)
    for alarm in estate.alarms:
        for expr in filter(None, (alarm.departure, full_window_departure(alarm, estate))):
            tree = parse(expr)
            assert tree is not None, (alarm.alarm, expr)
            read = {node.name for node, _ in walk(tree) if isinstance(node, promql_parser.VectorSelector)}
            assert {name for name in read if not name.startswith("tier:")} <= exposed, alarm.alarm
            # What the sources provide is read raw: a record of it is an evaluation late.
            if alarm.alarm not in FROM_RECORDS:
                assert not [name for name in read if name in RECORDED_BY_NAME and RECORDED_BY_NAME[name].primitive], (
                    alarm.alarm,
                    read,
                )
            if alarm.alarm in ("ProviderDown", "ProviderErrorRateHigh"):
                assert any(name in METRICS_BY_SERIES for name in read) == native, (alarm.alarm, read)


def test_blind_faults_are_those_that_the_estate_can_show() -> None:
    hidden = {}
    for path in CATALOGS:
        loaded = load_catalog(path)
        ground = survey(loaded.catalog)
        ground = look_at(ground, build_estate(loaded, 60, (), ground.settings()))
        hidden[path.stem] = set(not_shown(ground))
        drawn = {draw(ground, f"3/{number}").kind for number in range(300)}
        assert not drawn & hidden[path.stem]
        assert len(drawn) > 12
    assert hidden == {
        "hybrid": set(),
        "litellm-vllm": {Kind.BAD_ANSWERS, Kind.REFUSALS, Kind.EVAL_SCORE, Kind.QUOTA},
        "minimal": {Kind.OVERLOADED},
        "otel-sglang": {Kind.AUDIT, Kind.BAD_ANSWERS, Kind.QUOTA},
        "starter": {Kind.OVERLOADED},
    }
    assert {recipe.kind for recipe in RECIPES} == set(Kind)
