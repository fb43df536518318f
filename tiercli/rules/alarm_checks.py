"""What can be wrong with alarms before Prometheus sees them: between their parts, with each other, with the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tiercli.catalog.document import Document, KeyPath
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import AlarmSettings, Catalog
from tiercli.catalog.names import unknown_name
from tiercli.conventions import HEARTBEAT, threshold_series
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput, Problem
from tiercli.rules.alarm import PROOFS, Alarm
from tiercli.rules.alarm_templates import VALUE_FORMATS
from tiercli.rules.policies import series_of_policies
from tiercli.signals.contract import DURATION_BUCKETS
from tiercli.signals.expressions import Series, check_expression, expression_labels, series_labels
from tiercli.signals.panels import PANELS
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.rule import Rule

_ANNOTATIONS = ("summary", "description", "action", "sla")


@dataclass(frozen=True, slots=True)
class AlarmFile:
    """An alarm and the document that it was read from."""

    alarm: Alarm
    document: Document

    def problem(self, path: KeyPath, found: str, accepted: str = "") -> Problem:
        """A problem at a place of the alarm's file."""
        return Problem(self.document.locate(path), found, accepted)


def check_settings(loaded: LoadedCatalog, name: str, alarm: Alarm) -> Iterator[Problem]:
    """What the catalog wants of an alarm and cannot have."""
    settings = loaded.catalog.alarms.get(name, AlarmSettings())
    here: KeyPath = ("alarms", name)
    if alarm.severity == HEARTBEAT and settings.severity is not None:
        said = f"{name} always fires: as a {settings.severity} it would never end"
        yield loaded.problem((*here, "severity"), said, "no severity: its route is the heartbeat's")
    yield from _thresholds(loaded, name, alarm, (*here, "thresholds"), settings.thresholds)
    for position, override in enumerate(settings.overrides):
        place = (*here, "overrides", position)
        yield from _thresholds(loaded, name, alarm, (*place, "thresholds"), override.thresholds)
        for label in override.labels():
            if label not in alarm.identity:
                said = f"{name} does not tell one {label} from another"
                identity = ", ".join(alarm.identity) or f"thresholds of {name} for everyone"
                yield loaded.problem((*place, label), said, identity, key=True)


def _thresholds(
    loaded: LoadedCatalog, name: str, alarm: Alarm, place: KeyPath, values: dict[str, float]
) -> Iterator[Problem]:
    for key, value in values.items():
        threshold = alarm.thresholds.get(key)
        if threshold is None:
            at = loaded.document.locate((*place, key), key=True)
            yield unknown_name("threshold", key, alarm.thresholds, at, f" of {name}")
        elif value < threshold.at_least:
            said = f"{key} of {name} is {value:g}: {threshold.meaning}"
            yield loaded.problem((*place, key), said, f"at least {threshold.at_least:g} {threshold.unit}")
        elif threshold.bounds_quantile and value >= max(DURATION_BUCKETS):
            said = f"{key} of {name} is {value:g}; no quantile can exceed the last bucket"
            yield loaded.problem((*place, key), said, f"below {max(DURATION_BUCKETS):g}")


def check_alarm_files(files: Sequence[AlarmFile], catalog: Catalog) -> Iterator[Problem]:
    """What is wrong within alarm files, and between them."""
    more = own_series([file.alarm for file in files])
    alarms = {file.alarm.alarm: file.alarm for file in files}
    for file in files:
        yield from _expressions(file, more)
        yield from _annotations(file)
        yield from _inhibitions(file, alarms)
        yield from _cases(file, more)
        yield from _proofs(file)
        panel = file.alarm.panel
        at = file.document.locate(("panel", "dashboard"))
        if panel.dashboard not in PANELS:
            yield unknown_name("dashboard", panel.dashboard, PANELS, at)
        elif panel.panel not in PANELS[panel.dashboard]:
            at = file.document.locate(("panel", "panel"))
            yield unknown_name("panel", panel.panel, PANELS[panel.dashboard], at, f" of dashboard {panel.dashboard!r}")
        settings = catalog.alarms.get(file.alarm.alarm)
        if (
            settings is None or settings.owner is None
        ) and file.alarm.owner not in catalog.owners:  # else: the catalog's
            yield unknown_name("owner", file.alarm.owner, catalog.owners, file.document.locate(("owner",)))


def own_series(alarms: Sequence[Alarm]) -> dict[str, frozenset[str] | None]:
    """The series that only alarms bring: their thresholds, and records that signals/recorded.py does not have."""
    more: dict[str, frozenset[str] | None] = {}
    for alarm in alarms:
        more |= {threshold_series(alarm.alarm, name): frozenset(alarm.identity) for name in alarm.thresholds}
        more |= series_of_policies(alarm)
        for record in alarm.records:
            if record.record not in RECORDED_BY_NAME:
                more[record.record] = frozenset(alarm.identity) | frozenset(record.labels)
    return more


def _expressions(file: AlarmFile, more: Series) -> Iterator[Problem]:
    alarm = file.alarm
    watch = alarm.watch
    optional: list[tuple[KeyPath, str | None]] = [
        (("watch", "signal"), watch.signal),
        (("watch", "baseline"), watch.baseline),
        (("watch", "threshold"), watch.threshold),
    ]
    for path, expr in optional:
        yield from check_expression(expr, file.document.locate(path), more) if expr is not None else ()
    yielding: list[tuple[KeyPath, str, frozenset[str]]] = [
        (("expr",), alarm.expr, frozenset(alarm.identity)),
        (("departure",), alarm.departure, frozenset(alarm.identity)),
    ]
    if alarm.fills is not None:
        yielding.append((("fills",), alarm.fills, frozenset(alarm.identity)))
    for position, record in enumerate(alarm.records):
        known = RECORDED_BY_NAME.get(record.record)
        labels = frozenset(known.labels if known is not None else (*alarm.identity, *record.labels))
        yielding.append((("records", position, "expr"), record.expr, labels - frozenset(record.labels)))
    for path, expr, wanted in yielding:
        yield from check_yield(expr, wanted, file, path, more)


def check_yield(expr: str, wanted: frozenset[str], file: AlarmFile, path: KeyPath, more: Series) -> Iterator[Problem]:
    """What is wrong with an expression that must yield the labels `wanted`."""
    problems = check_expression(expr, file.document.locate(path), more)
    yield from problems
    labels = None if problems else expression_labels(expr, more)
    if labels is not None and labels != wanted:
        said = f"{'.'.join(map(str, path))} yields {_listed(labels)}"
        yield file.problem(path, said, f"exactly {_listed(wanted)}: {expr}")


def _annotations(file: AlarmFile) -> Iterator[Problem]:
    values = {one[one.index("{{") : one.rindex("}}") + 2] for one in VALUE_FORMATS.values()}
    labels = {f"{{{{ $labels.{label} }}}}" for label in file.alarm.identity}
    for part in _ANNOTATIONS:
        text = getattr(file.alarm, part)
        for found in re.findall(r"\{\{.*?\}\}|\{\{|\}\}", text):
            if found not in labels | values:
                accepted = (
                    f"label() of {_listed(frozenset(file.alarm.identity))}; value() of {', '.join(VALUE_FORMATS)}"
                )
                yield file.problem((part,), f"{part} says {found}", accepted)


def _inhibitions(file: AlarmFile, alarms: dict[str, Alarm]) -> Iterator[Problem]:
    inhibits = file.alarm.inhibits
    if inhibits is None:
        return
    for position, name in enumerate(inhibits.alarms):
        path: KeyPath = ("inhibits", "alarms", position)
        if name not in alarms:
            yield unknown_name("alarm", name, alarms, file.document.locate(path))
        elif missing := set(inhibits.equal) - set(alarms[name].identity):
            yield file.problem(path, f"{name} has no {_listed(frozenset(missing))}, which must be equal")
    if missing := set(inhibits.equal) - set(file.alarm.identity):
        yield file.problem(("inhibits", "equal"), f"{file.alarm.alarm} has no {_listed(frozenset(missing))}")
    if file.alarm.source in inhibits.sources:
        yield file.problem(("inhibits", "sources"), f"{file.alarm.alarm} would hold back itself")


def _cases(file: AlarmFile, more: Series) -> Iterator[Problem]:
    for number, case in enumerate(file.alarm.cases):
        # Cases beyond the file's own are those that load_alarms repeats for whom an override covers.
        path: KeyPath = ("cases", number)
        for position, one in enumerate(case.series):
            try:
                series_labels(one.series)
            except ValueError as error:
                yield file.problem((*path, "series", position), str(error), 'metric{label="value"}')
                continue
            yield from check_expression(one.series, file.document.locate((*path, "series", position)), more)
        for alert in (*case.fires, *(case.later or ())):
            if set(alert.labels) != set(file.alarm.identity):
                said = f"an alert with {_listed(frozenset(alert.labels))}"
                yield file.problem((*path, "fires"), said, _listed(frozenset(file.alarm.identity)))


def _proofs(file: AlarmFile) -> Iterator[Problem]:
    """Every alarm shows what its unit tests have to show, or says why it need not."""
    alarm = file.alarm
    if alarm.severity == HEARTBEAT:
        return
    shown = {case.proves for case in alarm.cases} | {case.proves for case in alarm.counters}
    due = {proof for proof in PROOFS if proof not in alarm.needless}
    if not parse_duration(alarm.for_):
        due -= {"duration"}
    if not alarm.identity:
        due -= {"neighbours"}
    if alarm.watch.baseline is None:
        due -= {"history"}
    if not any(name.startswith("min_") for name in alarm.thresholds):
        due -= {"traffic"}
    due -= {"birth"}  # of rare events only: which those are, their binding says
    for proof in PROOFS:
        if proof in due and proof not in shown:
            said = f"no case proves {proof!r}"
            yield file.problem(
                ("cases",), said, f"a case with `proves: {proof}`, or why none is needed under `needless`"
            )


def check_records(document: Document, records: Sequence[tuple[KeyPath, Rule]], more: Series | None = None) -> None:
    """Raise InvalidInput unless each record is of a series that is to be recorded, and yields its labels. `more` are
    series that the expressions may read beside the canonical ones."""
    problems: list[Problem] = []
    for path, record in records:
        name, expr = record.name, record.expr
        if name not in RECORDED_BY_NAME:
            problems.append(unknown_name("recorded series", name, RECORDED_BY_NAME, document.locate(path, key=True)))
            continue
        found = check_expression(expr, document.locate(path), more)
        wanted = frozenset(RECORDED_BY_NAME[name].labels) - frozenset(record.labels)
        if not found and (labels := expression_labels(expr, more)) not in (None, wanted):
            said = f"{name} is given {_listed(labels or frozenset())}"
            found = [Problem(document.locate(path), said, f"exactly {_listed(wanted)}: {expr}")]
        problems += found
    if problems:
        raise InvalidInput(f"{document.name} records what Prometheus could not evaluate", problems)


def _listed(labels: frozenset[str]) -> str:
    return ", ".join(sorted(labels)) or "no labels"
