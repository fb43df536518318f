"""Alertmanager's configuration: routes, receivers and inhibitions."""

from __future__ import annotations

from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.conventions import (
    ENV_LABEL,
    ESTATE_LABEL,
    HEARTBEAT,
    OWNER_LABEL,
    SEVERITIES,
    SEVERITY_LABEL,
    SOURCE_LABEL,
)
from tiercli.rules.alarm import Alarm
from tiercli.rules.deployment import Deployment
from tiercli.rules.receivers import build_receiver
from tiercli.signals.promql import matcher


def build_alertmanager(catalog: Catalog, alarms: tuple[Alarm, ...], deployment: Deployment) -> dict[str, Any]:
    """A whole configuration. Receivers carry the catalog's own names."""
    return {
        "route": {
            "receiver": catalog.routing.trend,
            "group_by": group_labels(alarms),
            **_waits(catalog, deployment),
            "routes": severity_routes(catalog, alarms, deployment),
        },
        "receivers": [
            build_receiver(name, receiver, deployment) for name, receiver in sorted(catalog.receivers.items())
        ],
        "inhibit_rules": inhibit_rules(catalog, alarms),
    }


def group_labels(alarms: tuple[Alarm, ...]) -> list[str]:
    """The alarm's name and every identity label, so that a second provider's page does not wait for the first."""
    identity = sorted({label for alarm in alarms for label in alarm.identity})
    return ["alertname", ESTATE_LABEL, ENV_LABEL, *identity]


def severity_routes(
    catalog: Catalog, alarms: tuple[Alarm, ...], deployment: Deployment, prefix: str = ""
) -> list[dict[str, Any]]:
    """One route per severity, with sub-routes for alarms with their own group_wait and owners with their own receiver; the
    heartbeat's is first."""
    timing = deployment.timing
    routes: list[dict[str, Any]] = [
        {
            "receiver": prefix + catalog.routing.heartbeat,
            "matchers": [f'{SEVERITY_LABEL}="{HEARTBEAT}"'],
            "group_wait": timing.duration("0s"),
            "group_interval": timing.duration("1m"),
            # Shorter than group_interval; otherwise a repetition that is due a moment later waits for the next one.
            "repeat_interval": timing.duration("30s"),
        }
    ]
    for severity in SEVERITIES:
        route: dict[str, Any] = {
            "receiver": prefix + getattr(catalog.routing, severity),
            "matchers": [f'{SEVERITY_LABEL}="{severity}"'],
        }
        owners = [
            {"receiver": prefix + receiver, "matchers": [f'{OWNER_LABEL}="{name}"']}
            for name, owner in sorted(catalog.owners.items())
            if (receiver := getattr(owner, severity)) is not None
        ]
        with_own_wait: dict[str, list[str]] = {}
        for alarm in alarms:
            if alarm.severity == severity and alarm.group_wait is not None:
                with_own_wait.setdefault(alarm.group_wait, []).append(alarm.alarm)
        sub_routes: list[dict[str, Any]] = [
            {"matchers": [f'alertname=~"{"|".join(names)}"'], "group_wait": wait}
            | ({"routes": owners} if owners else {})
            for wait, names in sorted(with_own_wait.items())
        ]
        if sub_routes or owners:
            route["routes"] = sub_routes + owners
        routes.append(route)
    return routes


def inhibit_rules(catalog: Catalog, alarms: tuple[Alarm, ...]) -> list[dict[str, Any]]:
    """What each alarm inhibits, within its own estate and environment only."""
    ours = [f'{ESTATE_LABEL}="{catalog.estate}"', f'{ENV_LABEL}="{catalog.env}"']
    rules = []
    for alarm in alarms:
        for inhibits in alarm.inhibitions:
            when = [matcher(label, "=", value) for label, value in inhibits.when.items()]
            targets = []
            if inhibits.alarms:
                targets.append([f'alertname=~"{"|".join(inhibits.alarms)}"'])
            if inhibits.sources:
                sources = "|".join(inhibits.sources)
                targets.append([f'{SOURCE_LABEL}=~"{sources}"', f'alertname!="{alarm.alarm}"'])
            rules += [
                {
                    "source_matchers": [f'alertname="{alarm.alarm}"', *when, *ours],
                    "target_matchers": [*target, *ours],
                    "equal": [ESTATE_LABEL, ENV_LABEL, *inhibits.equal],
                }
                for target in targets
            ]
    return rules


def _waits(catalog: Catalog, deployment: Deployment) -> dict[str, str]:
    timing, settings = deployment.timing, catalog.alertmanager
    return {
        "group_wait": timing.duration(settings.group_wait),
        "group_interval": timing.duration(settings.group_interval),
        "repeat_interval": timing.duration(settings.repeat_interval),
    }
