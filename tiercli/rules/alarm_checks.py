"""Checks of alarm files: within a file, between files, and against the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiercli.catalog.document import Document, KeyPath
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import AlarmSettings, Catalog
from tiercli.catalog.names import unknown_name
from tiercli.conventions import HEARTBEAT, threshold_series
from tiercli.durations import parse_duration
from tiercli.errors import InvalidInput, Problem
from tiercli.rules.alarm import PROOFS, Alarm
from tiercli.rules.alarm_templates import VALUE_FORMATS, optional_label
from tiercli.rules.policies import series_of_policies
from tiercli.signals.boards import Board
from tiercli.signals.contract import DURATION_BUCKETS
from tiercli.signals.exposed import exposed_labels
from tiercli.signals.expressions import Series, check_expression, expression_labels, series_labels
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
    """Settings of the catalog that the alarm does not allow."""
    settings = loaded.catalog.alarms.get(name, AlarmSettings())
    here: KeyPath = ("alarms", name)
    if alarm.severity == HEARTBEAT and settings.severity is not None:
        message = f"{name} always fires: as a {settings.severity} it would never resolve"
        yield loaded.problem((*here, "severity"), message, "no severity: it is routed as the heartbeat")
    yield from _thresholds(loaded, name, alarm, (*here, "thresholds"), settings.thresholds)
    for position, override in enumerate(settings.overrides):
        place = (*here, "overrides", position)
        yield from _thresholds(loaded, name, alarm, (*place, "thresholds"), override.thresholds)
        for label in override.labels():
            if label not in alarm.identity:
                message = f"{name} has no label {label}"
                identity = ", ".join(alarm.identity) or f"thresholds of {name} without labels"
                yield loaded.problem((*place, label), message, identity, key=True)


def _thresholds(
    loaded: LoadedCatalog, name: str, alarm: Alarm, place: KeyPath, values: dict[str, float]
) -> Iterator[Problem]:
    for key, value in values.items():
        threshold = alarm.thresholds.get(key)
        if threshold is None:
            at = loaded.document.locate((*place, key), key=True)
            yield unknown_name("threshold", key, alarm.thresholds, at, f" of {name}")
        elif value < threshold.at_least:
            message = f"{key} of {name} is {value:g}: {threshold.meaning}"
            yield loaded.problem((*place, key), message, f"at least {threshold.at_least:g} {threshold.unit}")
        elif threshold.bounds_quantile and value >= max(DURATION_BUCKETS):
            message = f"{key} of {name} is {value:g}; a quantile cannot exceed the last bucket"
            yield loaded.problem((*place, key), message, f"below {max(DURATION_BUCKETS):g}")


def check_alarm_files(files: Sequence[AlarmFile], catalog: Catalog, boards: Mapping[str, Board]) -> Iterator[Problem]:
    """Problems within alarm files and between them."""
    more = own_series([file.alarm for file in files])
    raw = {**more, **exposed_labels(catalog)}
    alarms = {file.alarm.alarm: file.alarm for file in files}
    for file in files:
        yield from _expressions(file, more, raw)
        yield from _annotations(file)
        yield from _inhibitions(file, alarms)
        yield from _cases(file, more)
        yield from _proofs(file)
        panel = file.alarm.panel
        if panel.dashboard not in boards:
            yield unknown_name("dashboard", panel.dashboard, boards, file.document.locate(("panel", "dashboard")))
        elif not panel.found_in(boards):
            ids = boards[panel.dashboard].panel_ids()
            at = file.document.locate(("panel", "panel"))
            yield unknown_name("panel", panel.panel, ids, at, f" of dashboard {panel.dashboard!r}")
        settings = catalog.alarms.get(file.alarm.alarm)
        if (
            settings is None or settings.owner is None
        ) and file.alarm.owner not in catalog.owners:  # otherwise the catalog's owner applies
            yield unknown_name("owner", file.alarm.owner, catalog.owners, file.document.locate(("owner",)))


def own_series(alarms: Sequence[Alarm]) -> dict[str, frozenset[str] | None]:
    """The series that only alarms add: their thresholds, and records that signals/recorded.py does not have."""
    more: dict[str, frozenset[str] | None] = {}
    for alarm in alarms:
        more |= {threshold_series(alarm.alarm, name): frozenset(alarm.identity) for name in alarm.thresholds}
        more |= series_of_policies(alarm)
        for record in alarm.records:
            if record.record not in RECORDED_BY_NAME:
                more[record.record] = frozenset(alarm.identity) | frozenset(record.labels)
    return more


def _expressions(file: AlarmFile, more: Series, raw: Series) -> Iterator[Problem]:
    alarm = file.alarm
    for part in ("signal", "baseline", "threshold"):
        if (expr := getattr(alarm.watch, part)) is not None:
            yield from check_expression(expr, file.document.locate(("watch", part)), more)
    for part in ("expr", "departure", "fills"):
        if (expr := getattr(alarm, part)) is not None:
            yield from check_yield(expr, frozenset(alarm.identity), file, (part,), more if part == "expr" else raw)
    for position, record in enumerate(alarm.records):
        known = RECORDED_BY_NAME.get(record.record)
        labels = frozenset(known.labels if known is not None else (*alarm.identity, *record.labels))
        wanted = labels - frozenset(record.labels)
        yield from check_yield(record.expr, wanted, file, ("records", position, "expr"), more)


def check_yield(expr: str, wanted: frozenset[str], file: AlarmFile, path: KeyPath, more: Series) -> Iterator[Problem]:
    """Problems of an expression that must yield the labels `wanted`."""
    problems = check_expression(expr, file.document.locate(path), more)
    yield from problems
    labels = None if problems else expression_labels(expr, more)
    if labels is not None and labels != wanted:
        message = f"{'.'.join(map(str, path))} yields {_listed(labels)}"
        yield file.problem(path, message, f"exactly {_listed(wanted)}: {expr}")


def _annotations(file: AlarmFile) -> Iterator[Problem]:
    values = {template[template.index("{{") : template.rindex("}}") + 2] for template in VALUE_FORMATS.values()}
    labels = {f"{{{{ $labels.{label} }}}}" for label in file.alarm.identity if label not in file.alarm.optional}
    optional = [optional_label(label) for label in file.alarm.optional]
    for part in _ANNOTATIONS:
        text = getattr(file.alarm, part)
        for each in optional:
            text = text.replace(each, "")
        for template_tag in re.findall(r"\{\{.*?\}\}|\{\{|\}\}", text):
            if template_tag not in labels | values:
                accepted = (
                    f"label() of {_listed(frozenset(file.alarm.identity))}; value() of {', '.join(VALUE_FORMATS)}"
                )
                yield file.problem((part,), f"{part} contains {template_tag}", accepted)


def _inhibitions(file: AlarmFile, alarms: dict[str, Alarm]) -> Iterator[Problem]:
    for number, inhibits in enumerate(file.alarm.inhibitions):
        here: KeyPath = ("inhibits", number) if isinstance(file.alarm.inhibits, tuple) else ("inhibits",)
        for position, name in enumerate(inhibits.alarms):
            path = (*here, "alarms", position)
            if name not in alarms:
                yield unknown_name("alarm", name, alarms, file.document.locate(path))
            elif missing := set(inhibits.equal) - set(alarms[name].identity):
                yield file.problem(path, f"{name} has no {_listed(frozenset(missing))}, a label in `equal`")
        for part in ("equal", "when"):
            if missing := set(getattr(inhibits, part)) - set(file.alarm.identity):
                yield file.problem((*here, part), f"{file.alarm.alarm} has no {_listed(frozenset(missing))}")
        if file.alarm.source in inhibits.sources:
            yield file.problem((*here, "sources"), f"{file.alarm.alarm} would inhibit itself")


def _cases(file: AlarmFile, more: Series) -> Iterator[Problem]:
    for number, case in enumerate(file.alarm.cases):
        # Cases beyond the file's own are its cases again, about labels that an override covers.
        path: KeyPath = ("cases", number)
        for position, series in enumerate(case.series):
            try:
                series_labels(series.series)
            except ValueError as error:
                yield file.problem((*path, "series", position), str(error), 'metric{label="value"}')
                continue
            yield from check_expression(series.series, file.document.locate((*path, "series", position)), more)
        for alert in (*case.fires, *(case.later or ())):
            if not set(file.alarm.identity) - set(file.alarm.optional) <= set(alert.labels) <= set(file.alarm.identity):
                message = f"an alert with {_listed(frozenset(alert.labels))}"
                yield file.problem((*path, "fires"), message, _listed(frozenset(file.alarm.identity)))


def _proofs(file: AlarmFile) -> Iterator[Problem]:
    """Every alarm has the cases that prove it, or says why one is not needed."""
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
    due -= {"birth"}  # only for rare events, which the binding declares
    for proof in PROOFS:
        if proof in due and proof not in shown:
            message = f"no case proves {proof!r}"
            yield file.problem(
                ("cases",), message, f"a case with `proves: {proof}`, or under `needless` why none is needed"
            )


def check_records(document: Document, records: Sequence[tuple[KeyPath, Rule]], more: Series | None = None) -> None:
    """Raise InvalidInput unless each record is of a declared series and yields its labels. `more`: series that the expressions
    may read beside the canonical ones."""
    problems: list[Problem] = []
    for path, record in records:
        name, expr = record.name, record.expr
        if name not in RECORDED_BY_NAME:
            problems.append(unknown_name("recorded series", name, RECORDED_BY_NAME, document.locate(path, key=True)))
            continue
        wrong = check_expression(expr, document.locate(path), more)
        wanted = frozenset(RECORDED_BY_NAME[name].labels) - frozenset(record.labels)
        if not wrong and (labels := expression_labels(expr, more)) not in (None, wanted):
            message = f"{name} is recorded with {_listed(labels or frozenset())}"
            wrong = [Problem(document.locate(path), message, f"exactly {_listed(wanted)}: {expr}")]
        problems += wrong
    if problems:
        raise InvalidInput(f"{document.name} has invalid recording rules", problems)


def _listed(labels: frozenset[str]) -> str:
    return ", ".join(sorted(labels)) or "no labels"
