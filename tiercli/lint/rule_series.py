"""What the generated rules add to the series that a catalog allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tiercli.cardinality.plan import RuleSeries
from tiercli.catalog.loading import LoadedCatalog
from tiercli.conventions import POLICY_PREFIX, THRESHOLD_PREFIX
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.rules.constants import TENANT_BUDGETS, TENANT_COST, constant_names
from tiercli.rules.deployment import timing_of
from tiercli.rules.recording import build_records
from tiercli.signals.expressions import reads_of, series_read
from tiercli.signals.recorded import RECORDED_BY_NAME


def count_rule_series(loaded: LoadedCatalog, template_folders: Sequence[Path] = ()) -> RuleSeries:
    """The series that rules generated from `loaded` record, and the alerts that they can raise.

    Raises InvalidInput when the catalog, the alarm files and the source binding do not fit together.
    """
    timing = timing_of(loaded.catalog)
    alarm_set = load_alarm_set(loaded, timing, template_folders, with_cases=False)
    alarms = alarm_set.alarms
    groups = build_records(loaded, timing, alarms, alarm_set.canonical, constants=())
    reads = reads_of(record for group in groups.values() for record in group)
    reads |= {TENANT_BUDGETS: {TENANT_COST}}  # whose tenants a constant has
    reads |= {alarm.alarm: set(series_read(alarm.expr)) for alarm in alarms}
    # Of ten thousand constants only the names are asked for.
    named = dict.fromkeys(constant_names(loaded.catalog), 1)
    names = named | Counter(record.name for group in groups.values() for record in group)
    return RuleSeries(
        recorded=frozenset(name for name in names if name in RECORDED_BY_NAME),
        constants={
            name: count
            for name, count in names.items()
            if name.startswith((f"{THRESHOLD_PREFIX}:", f"{POLICY_PREFIX}:"))
        },
        identities={alarm.alarm: alarm.identity for alarm in alarms},
        groups=frozenset(groups) | {alarm.group for alarm in alarms},
        reads=reads,
    )
