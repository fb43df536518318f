"""Whether a catalog, and the rule of an alarm with all that it reads, are still those that were drilled: their hashes."""

from __future__ import annotations

import hashlib
import json

from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog
from tiercli.rules.alarm_files import AlarmSet
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.deployment import timing_of
from tiercli.signals.expressions import all_read, reads_of


def catalog_fingerprint(catalog: Catalog) -> str:
    """SHA-256 of what a catalog says, its defaults and the tenants of other files included."""
    return hashlib.sha256(catalog.model_dump_json().encode()).hexdigest()


def rule_fingerprints(loaded: LoadedCatalog, alarms: AlarmSet) -> dict[str, str]:
    """By alarm, 16 hexadecimal digits of its alert rule and of the recording rules that it reads, directly or through others: expressions,
    labels and durations, without annotations. `alarms`: in the catalog's own time, not compressed."""
    groups = build_rule_groups(loaded, timing_of(loaded.catalog), alarms.alarms, alarms.canonical)
    rules = [rule for group in groups for rule in group.rules]
    reads = reads_of(rules)
    texts: dict[str, list[str]] = {}
    for rule in rules:
        parts = (rule.kind, rule.name, rule.expr, sorted(rule.labels.items()), rule.for_s, rule.keep_firing_for_s)
        texts.setdefault(rule.name, []).append(json.dumps(parts))
    found = {}
    for alarm in alarms.alarms:
        whole = "\n".join(text for name in sorted(all_read([alarm.alarm], reads)) for text in texts.get(name, ()))
        found[alarm.alarm] = hashlib.sha256(whole.encode()).hexdigest()[:16]
    return found
