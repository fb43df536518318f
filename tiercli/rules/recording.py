"""Recording rules: constants of the catalog, the binding's primitive series, what is derived from them."""

from __future__ import annotations

from collections.abc import Iterator

from tiercli.catalog.document import parse_document, read_text
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.catalog.shape import load_model
from tiercli.conventions import GATEWAY_JOB
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm, Record, RecordFile
from tiercli.rules.alarm_checks import check_records
from tiercli.rules.alarm_templates import template_environment
from tiercli.rules.thresholds import threshold_records
from tiercli.signals.bindings import bound_expressions, load_binding, read_binding
from tiercli.signals.contract import CODES_WITH_OWN_ALARM
from tiercli.signals.promql import any_of
from tiercli.signals.timing import Timing


def build_records(loaded: LoadedCatalog, timing: Timing, alarms: tuple[Alarm, ...]) -> dict[str, list[Record]]:
    """Recording rules by group, in the order in which they read each other.

    Raises InvalidInput when the catalog's binding is unknown, or when a record is not sound.
    """
    groups: dict[str, list[Record]] = {"meta": [], "gateway": [], "provider": []}
    groups["meta"] += _constants(loaded.catalog)
    for alarm in alarms:
        groups["meta"] += threshold_records(loaded.catalog, alarm)
    for record in bound_records(loaded, timing):
        group = "provider" if record.record.startswith("tier:provider:") else "gateway"
        groups[group].append(record)
    for group, records in derived_records(timing).items():
        groups.setdefault(group, []).extend(records)
    for alarm in alarms:
        groups.setdefault(alarm.group, []).extend(alarm.records)
    return groups


def bound_records(loaded: LoadedCatalog, timing: Timing) -> list[Record]:
    """What the binding of the catalog's gateway yields."""
    name = loaded.catalog.gateway.binding
    binding = load_binding(name, loaded.document.locate(("gateway", "binding")))
    expressions = bound_expressions(binding, timing, GATEWAY_JOB)
    check_records(read_binding(name), [(("signals", record), record, expr) for record, expr in expressions.items()])
    return [Record(record=record, expr=expr) for record, expr in expressions.items()]


def derived_records(timing: Timing) -> dict[str, list[Record]]:
    """What templates/recording/ derives from a binding's series, by group: the same for every source."""
    groups: dict[str, list[Record]] = {}
    for path in sorted((resource_folder("templates") / "recording").glob("*.yml.j2")):
        template = template_environment(timing).from_string(read_text(path))
        document = parse_document(template.render(own_alarm_codes=any_of(CODES_WITH_OWN_ALARM)), str(path))
        file = load_model(document, RecordFile)
        places = [("records", position, "expr") for position in range(len(file.records))]
        check_records(
            document, [(place, one.record, one.expr) for place, one in zip(places, file.records, strict=True)]
        )
        groups.setdefault(file.group, []).extend(file.records)
    return groups


def _constants(catalog: Catalog) -> Iterator[Record]:
    for provider, region in catalog.provider_regions():
        labels = {"provider": provider, "region": region, "tier": catalog.providers[provider].tier}
        yield Record(record="tier:provider:info", expr="vector(1)", labels=labels)
    count = len(catalog.gateway.targets)
    yield Record(record="tier:gateway:expected_instances:count", expr=f"vector({count})")
