"""Recording rules: constants of the catalog, the binding's primitive series, what is derived from them."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.catalog.document import parse_document
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.catalog.shape import load_model
from tiercli.conventions import threshold_series
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm, Record, RecordFile
from tiercli.rules.alarm_templates import template_environment, threshold_of
from tiercli.signals.bindings import bound_expressions, load_binding
from tiercli.signals.contract import CODES_WITH_OWN_ALARM
from tiercli.signals.promql import any_of
from tiercli.signals.timing import Timing

GATEWAY_JOB = "gateway"
SERVERS_JOB = "servers"


def build_records(loaded: LoadedCatalog, timing: Timing, alarms: tuple[Alarm, ...]) -> dict[str, list[Record]]:
    """Recording rules by group, in the order in which they read each other."""
    groups: dict[str, list[Record]] = {"meta": [], "gateway": [], "provider": []}
    groups["meta"] += _constants(loaded.catalog)
    groups["meta"] += threshold_records(loaded.catalog, alarms)
    binding = load_binding(loaded.catalog.gateway.binding, loaded.document.locate(("gateway", "binding")))
    for record, expr in bound_expressions(binding, timing, GATEWAY_JOB).items():
        group = "provider" if record.startswith("tier:provider:") else "gateway"
        groups[group].append(Record(record=record, expr=expr))
    for path in sorted((resource_folder("templates") / "recording").glob("*.yml.j2")):
        template = template_environment(timing).from_string(path.read_text(encoding="utf-8"))
        rendered = template.render(own_alarm_codes=any_of(CODES_WITH_OWN_ALARM))
        records = load_model(parse_document(rendered, str(path)), RecordFile)
        groups.setdefault(records.group, []).extend(records.records)
    for alarm in alarms:
        groups.setdefault(alarm.group, []).extend(alarm.records)
    return groups


def _constants(catalog: Catalog) -> Iterator[Record]:
    for provider, region in catalog.provider_regions():
        labels = {"provider": provider, "region": region, "tier": catalog.providers[provider].tier}
        yield Record(record="tier:provider:info", expr="vector(1)", labels=labels)
    count = len(catalog.gateway.targets)
    yield Record(record="tier:gateway:expected_instances:count", expr=f"vector({count})")


def threshold_records(catalog: Catalog, alarms: tuple[Alarm, ...]) -> Iterator[Record]:
    """A constant for each identity that an override covers: alert rules do not grow with the catalog."""
    for alarm in alarms:
        settings = catalog.alarms.get(alarm.alarm)
        if settings is None:
            continue
        defaults = {name: one.default for name, one in alarm.thresholds.items()} | settings.thresholds
        for threshold in sorted({key for override in settings.overrides for key in override.thresholds}):
            seen: set[tuple[str, ...]] = set()
            for offer in catalog.offers():
                labels = {key: value for key, value in offer._asdict().items() if key in alarm.identity}
                value = threshold_of(catalog, alarm.alarm, threshold, defaults, labels)
                if tuple(labels.values()) not in seen and value != defaults[threshold]:
                    seen.add(tuple(labels.values()))
                    yield Record(
                        record=threshold_series(alarm.alarm, threshold), expr=f"vector({value:g})", labels=labels
                    )
