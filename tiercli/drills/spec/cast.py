"""A drill on a catalog: the names in place of its roles, or why it does not apply there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

from tiercli.catalog.document import KeyPath
from tiercli.catalog.loading import LoadedCatalog
from tiercli.catalog.model import Catalog, Typical
from tiercli.drills.spec.check import Locate, check_spec
from tiercli.drills.spec.files import load_drill
from tiercli.drills.spec.mix import first_calls
from tiercli.drills.spec.model import DrillSpec, Evidence, Expectation, SandboxSettings
from tiercli.drills.spec.roles import ROLES, SECONDS, Names
from tiercli.errors import InvalidInput, Problem
from tiercli.faults.kinds.latencies import Lognormal
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_files import AlarmSet
from tiercli.rules.deployment import timing_of
from tiercli.rules.policies import Policies
from tiercli.rules.receivers import receiver_of
from tiercli.signals.expressions import all_read, reads_of, series_read
from tiercli.signals.recorded import RECORDED_BY_NAME
from tiercli.signals.sources import catalog_sources

CATALOG = "$catalog"
_WITH_NAMES = ("faults", "expect", "allow", "evidence", "load")  # the entries of a drill in which roles stand


@dataclass(frozen=True, slots=True)
class Cast:
    """`spec` with names in place of roles; `played`: those roles, and the names that play them. `not_applicable`: why the drill does
    not apply to the estate; its spec is as it was."""

    spec: DrillSpec
    played: Mapping[str, Names] = field(default_factory=dict)
    not_applicable: str | None = None


def cast_drills(paths: Iterable[Path], loaded: LoadedCatalog, alarms: AlarmSet) -> list[Cast]:
    """The drills of these files on a catalog, whose alarms are `alarms`, in its own time. Raises InvalidInput with every problem of every
    drill: a role that does not exist, and whatever check_spec finds."""
    casts: list[Cast] = []
    problems: list[Problem] = []
    names: list[str] = []
    for path in paths:
        spec, document = load_drill(path)
        names.append(spec.name)
        try:
            casts.append(cast_drill(spec, loaded, alarms, document.locate))
        except InvalidInput as error:
            problems += error.problems
            continue
        if casts[-1].not_applicable is None:
            problems += check_spec(casts[-1].spec, loaded.catalog, alarms.alarms, document.locate)
    if problems:
        raise InvalidInput(f"{', '.join(names)} cannot be run on {loaded.document.name}", problems)
    return casts


def cast_drill(spec: DrillSpec, loaded: LoadedCatalog, alarms: AlarmSet, locate: Locate) -> Cast:
    """The drill on this catalog. Raises InvalidInput for a role that does not exist, each at its place."""
    catalog = loaded.catalog
    casting = _Casting(catalog, locate)
    written = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    names = {key: casting.put_in(written[key], (key,)) for key in _WITH_NAMES if key in written}
    if casting.problems:
        raise InvalidInput(f"{spec.name} names roles that do not exist", casting.problems)
    reasons = [*casting.unfilled, *_needs(spec, catalog, alarms, locate), *_left_out(spec, alarms)]
    if reasons:
        return Cast(spec, not_applicable=reasons[0])
    chosen = DrillSpec.model_validate({**written, **names})
    if (unmeasured := _unmeasured(chosen, loaded, alarms)) is not None:
        return Cast(spec, not_applicable=unmeasured)
    known = {alarm.alarm: alarm for alarm in alarms.alarms}
    expect = tuple(_as_the_catalog_says(expected, known, catalog) for expected in chosen.expect)
    owners = [known[expected.alert].owner for expected in expect if expected.alert in known]
    return Cast(
        chosen.model_copy(
            update={
                "sandbox": _with_room(chosen, catalog),
                "owner": [*owners, *catalog.owners][0] if spec.owner == CATALOG else spec.owner,
                "expect": expect,
                "allow": tuple(allowed for allowed in chosen.allow if allowed.alert not in alarms.left_out),
                "evidence": tuple(shown for shown in chosen.evidence if _is_shown(shown, alarms)),
            }
        ),
        casting.played,
    )


def _with_room(spec: DrillSpec, catalog: Catalog) -> SandboxSettings:
    """The settings of the sandbox with numbers in place of room beside the ordinary load, which differs by estate."""
    # What was asked before is answered from the gateway's cache.
    asked = 1 - spec.load.repeat_share * (1 - spec.load.stream_share)
    settings = spec.sandbox
    calls = [(part, candidate, asked * rate) for part, candidate, rate in first_calls(spec.load, catalog)]
    changes: dict[str, int | str | None] = {"local_room": None, "local_overload": None, "tenant_room": None}
    if (settings.local_room is not None or settings.local_overload is not None) and any(catalog.servers()):
        local = ROLES["local"].find(catalog)
        needs = []
        for name, provider in catalog.providers.items():
            for region, entry in provider.regions.items():
                servers = sum(server.region == region for server in provider.servers.values())
                rate = sum(rate for _, at, rate in calls if (at.provider, at.region) == (name, region))
                own = isinstance(local, str) or (local["provider"], local["region"]) == (name, region)
                typical = entry.typical or Typical()
                carried = _carried(spec, rate) if own else 2 * rate
                at_once = Lognormal(typical.p50_seconds, typical.p95_seconds).mean * carried
                needs += [at_once / servers] if servers else []
        changes["local_concurrency"] = max(1, *(round(need) for need in needs))
    if settings.gateway_instances == len(catalog.gateway.targets):
        changes["gateway_instances"] = None  # as the catalog says: such drills share a sandbox with others
    saver = ROLES["saver"].find(catalog)
    if settings.tenant_room is not None and not isinstance(saver, str):
        bucket = (saver["tenant"], saver["provider"])
        usual = sum(rate for part, at, rate in calls if (part.tenant, at.provider) == bucket)
        changes["tenant_calls_per_10s"] = round(10 * (usual + settings.tenant_room))
        changes["quota_of"] = saver["tenant"]
    return settings.model_copy(update=changes)


def _carried(spec: DrillSpec, rate: float) -> float:
    """Calls per second that the servers of the role `local` are to carry, where the ordinary load there is `rate`."""
    if spec.sandbox.local_overload is None:
        return rate + (spec.sandbox.local_room or 0.0)
    surges = [fault.settings.get("grows_to", fault.settings.get("calls_per_second", 0.0)) for fault in spec.faults]
    return (rate + max(map(float, surges), default=0.0)) / spec.sandbox.local_overload


def _is_shown(evidence: Evidence, alarms: AlarmSet) -> bool:
    """Whether the estate has the panel; one that no board has is for whoever reads it to miss."""
    board = alarms.boards.get(evidence.dashboard)
    panels = [panel for panel in board.panels if panel.title == evidence.panel] if board is not None else []
    return not panels or any(not alarms.canonical.missing([query.expr]) for panel in panels for query in panel.queries)


_TIMES = re.compile(rf"(\$\w+\.(?:{'|'.join(SECONDS)})) \* (\d+(?:\.\d+)?)")


class _Casting:
    """Puts names in place of roles, and keeps what went wrong."""

    def __init__(self, catalog: Catalog, locate: Locate) -> None:
        self._catalog = catalog
        self._locate = locate
        self.played: dict[str, Names] = {}
        self.unfilled: list[str] = []
        self.problems: list[Problem] = []

    def put_in(self, value: Any, path: KeyPath) -> Any:
        """`value` of the drill's file at `path`, with names."""
        if isinstance(value, dict):
            return {self._name(key, path): self.put_in(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.put_in(item, (*path, place)) for place, item in enumerate(value)]
        return self._name(value, path) if isinstance(value, str) else value

    def _name(self, text: str, path: KeyPath) -> str | float:
        if text == CATALOG or not text.startswith("$"):
            return text
        if text.startswith("$$"):
            return text[1:]
        if (times := _TIMES.fullmatch(text)) is not None:
            number = self._name(times[1], path)
            return number if number == times[1] else round(float(number) * float(times[2]), 3)
        role, _, label = text[1:].partition(".")
        if role not in ROLES or label not in ROLES[role].labels:
            known = [f"${name}.{of}" for name, one in ROLES.items() for of in one.labels]
            near = get_close_matches(text, known, n=1)
            accepted = ", ".join(f"${name}" for name in ROLES) + "; $$ for a dollar sign"
            if role in ROLES:
                accepted = ", ".join(f"${role}.{of}" for of in ROLES[role].labels)
            self.problems.append(
                Problem(self._locate(path), f"unknown role {text!r}", accepted, near[0] if near else "")
            )
            return text
        found = ROLES[role].find(self._catalog)
        if isinstance(found, str):
            self.unfilled.append(found)
            return text
        self.played[role] = {name: value for name, value in found.items() if name not in SECONDS}
        return found[label]


def _needs(spec: DrillSpec, catalog: Catalog, alarms: AlarmSet, locate: Locate) -> list[str]:
    """Why the estate lacks what the drill needs."""
    reasons = []
    for position, need in enumerate(spec.needs):
        if need.removeprefix("$") in ROLES:
            found = ROLES[need.removeprefix("$")].find(catalog)
            reasons += [found] if isinstance(found, str) else []
        elif need in alarms.canonical.unbound:
            reasons.append(f"{need}: {alarms.canonical.unbound[need]}")
        elif need not in RECORDED_BY_NAME:
            problem = Problem(locate(("needs", position)), f"{need!r} is neither a role nor a recorded series")
            raise InvalidInput(f"{spec.name} needs what does not exist", [problem])
    return reasons


def _left_out(spec: DrillSpec, alarms: AlarmSet) -> list[str]:
    return [
        f"{expected.alert} is left out: {why}"
        for expected in spec.expect
        for why in list(alarms.left_out.get(expected.alert, {}).values())[:1]
    ]


def _unmeasured(spec: DrillSpec, loaded: LoadedCatalog, alarms: AlarmSet) -> str | None:
    """Why an alert that is expected cannot come: a console measures its provider in the gateway's place, and lacks what the alarm reads."""
    consoles = {
        source.provider: source.binding for source in catalog_sources(loaded) if source.provider and not source.named
    }
    by_name = {alarm.alarm: alarm for alarm in alarms.alarms}
    for expected in spec.expect:
        console, alarm = consoles.get(expected.labels.get("provider", "")), by_name.get(expected.alert)
        if console is None or alarm is None:
            continue
        for series in sorted(
            all_read(series_read(alarm.expr), reads_of(chain.from_iterable(alarms.canonical.groups.values())))
        ):
            known = RECORDED_BY_NAME.get(series)
            if known is not None and known.primitive and "provider" in known.labels and series not in console.signals:
                why = console.why_not(series) or "it does not have it"
                return f"{expected.alert} has no {series} of {expected.labels['provider']}: {console.source}: {why}"
    return None


def _as_the_catalog_says(expected: Expectation, alarms: Mapping[str, Alarm], catalog: Catalog) -> Expectation:
    """The expectation with the severity and the receiver that the catalog gives such an alert; no receiver where it notifies nobody."""
    alarm = alarms.get(expected.alert)
    if alarm is None or CATALOG not in (expected.severity, expected.receiver):
        return expected
    policy = Policies(catalog, alarm, timing_of(catalog)).of(expected.labels)
    receiver: str | None = receiver_of(catalog, policy.severity, policy.owner)
    if receiver is not None and not catalog.receivers[receiver].in_words():
        receiver = None
    changes: dict[str, Any] = {"severity": policy.severity} if expected.severity == CATALOG else {}
    if expected.receiver == CATALOG:
        changes |= {"receiver": receiver} if receiver else {"receiver": None, "notified_within": None}
    return expected.model_copy(update=changes)
