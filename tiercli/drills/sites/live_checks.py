"""Whether a live drill can be run and would prove anything, asked of the environment itself. Nothing is changed there."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace

from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.environment_access import Access, refusal
from tiercli.clients.prometheus import PrometheusClient
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, WATCHDOG
from tiercli.drills.sites.continuity import read_clock
from tiercli.drills.sites.live_lock import check_free
from tiercli.drills.sites.live_plan import LivePlan
from tiercli.drills.sites.sent_counts import integrations_of
from tiercli.durations import format_duration, parse_duration
from tiercli.errors import BackendError, InvalidInput, Problem
from tiercli.faults.environment.live import LiveInjectors

_FOR_DIFFERS_S = 0.5
_BETTER = "`webhook` in the environment, or another integration"


async def check_live(plan: LivePlan, injectors: LiveInjectors) -> None:
    """Raises InvalidInput with everything that is wrong: credentials, certificates, rules that are not there or run at another speed,
    receivers that cannot notify anybody, faults that nothing there can bring about. BackendUnreachable where a server does not
    answer, BackendError where another drill runs or the clocks disagree."""
    loaded = plan.estate.loaded
    knocks: list[tuple[Access, str]] = [
        (plan.prometheus, "/api/v1/status/buildinfo"),
        (plan.alertmanager, "/api/v2/status"),
        *(_gateway_knocks(plan, plan.gateway) if plan.gateway else []),
        *([(plan.grafana, "/api/org")] if plan.grafana else []),
    ]
    problems = [problem for access, path in knocks if (problem := await refusal(access, path))]
    if not problems:
        catalog, access = loaded.catalog, plan.alertmanager
        async with AlertmanagerClient(access.url, headers=access.headers, verify=access.verify) as alertmanager:
            await check_free(alertmanager, catalog.estate, catalog.env)
        problems += await _rules(plan)
        problems += _receivers(plan)
        problems += await injectors.check([(use.fault, use.target, use.settings) for use in plan.spec.faults])
    if problems:
        raise InvalidInput(f"{plan.spec.name} cannot be run in {plan.name!r} of {loaded.document.name}", problems)
    async with PrometheusClient(
        plan.prometheus.url, headers=plan.prometheus.headers, verify=plan.prometheus.verify
    ) as prometheus_client:
        message = (await read_clock(prometheus_client)).problem()
    if message:
        raise BackendError(message, hint="set both clocks by the same time server (chrony, systemd-timesyncd)")


async def versions(plan: LivePlan) -> dict[str, str]:
    """What runs there. Raises BackendError."""
    prometheus, alertmanager = plan.prometheus, plan.alertmanager
    async with (
        PrometheusClient(prometheus.url, headers=prometheus.headers, verify=prometheus.verify) as prometheus_client,
        AlertmanagerClient(alertmanager.url, headers=alertmanager.headers, verify=alertmanager.verify) as other,
    ):
        return {"prometheus": await prometheus_client.version(), "alertmanager": await other.version()}


def _gateway_knocks(plan: LivePlan, gateway: Access) -> list[tuple[Access, str]]:
    """Which models there are may be asked by anybody who may call: once with each key."""
    path = "/models" if gateway.url.rstrip("/").endswith("/v1") else "/v1/models"
    locate = plan.estate.loaded.document.locate
    knocks = []
    for tenant, key in plan.way.keys.items():
        place = locate(("environments", plan.name, "tenants", tenant)) if tenant else gateway.location
        name = f"gateway, as {tenant}," if tenant else gateway.name
        knocks.append((replace(gateway, name=name, headers={"Authorization": key}, location=place), path))
    return knocks or [(gateway, path)]


async def _rules(plan: LivePlan) -> list[Problem]:
    """What Prometheus has in place of the alarms that the drill is about."""
    access = plan.prometheus
    async with PrometheusClient(access.url, headers=access.headers, verify=access.verify) as client:
        loaded = {
            loaded_rule.rule.name: loaded_rule.rule
            for loaded_rule in await client.rules()
            if loaded_rule.rule.kind == "alert"
        }
    alarms = {alarm.alarm: alarm for alarm in plan.estate.alarms}
    problems = []
    for name in dict.fromkeys((*(expected.alert for expected in plan.spec.expect), WATCHDOG)):
        rule = loaded.get(name)
        if rule is None:
            message = f"Prometheus at {access.url} has no alert {name}"
            problems.append(Problem(access.location, message, "the rules of `tiercli generate`, loaded there"))
        elif strange := _strange(rule.labels, plan):
            message = f"{name} has {strange} there: this drill would not know its alerts"
            problems.append(Problem(access.location, message, "the rules of this catalog"))
        elif name in alarms and abs(parse_duration(alarms[name].for_) - rule.for_s) > _FOR_DIFFERS_S:
            message = (
                f"{name} waits {format_duration(rule.for_s)} there, and {alarms[name].for_} by the catalog with time "
                f"{plan.environment.factor:g} times as fast"
            )
            problems.append(Problem(access.location, message, "the rules of this catalog, and their `factor`"))
    return problems


def _receivers(plan: LivePlan) -> list[Problem]:
    """Where Alertmanager's word counts, a receiver must have something to send by, and the heartbeat something else: Alertmanager
    counts by integration."""
    if plan.environment.webhook is not None:
        return _webhook(plan.environment.webhook, plan)
    catalog = plan.estate.loaded.catalog
    integrations = integrations_of(catalog)
    beating = set(integrations[catalog.routing.heartbeat])
    problems = []
    for name in dict.fromkeys(expected.receiver for expected in plan.spec.expect if expected.receiver):
        place = plan.estate.loaded.document.locate(("receivers", name))
        if not integrations[name]:
            problems.append(Problem(place, f"receiver {name!r} has no integration: it cannot notify anybody", _BETTER))
        elif shared := sorted(beating & set(integrations[name])):
            message = f"receiver {name!r} and the heartbeat both go by {', '.join(shared)}: Alertmanager's count tells nothing"
            problems.append(Problem(place, message, _BETTER))
    return problems


def _webhook(address: str, plan: LivePlan) -> list[Problem]:
    """Whether we can listen there."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_server(
            (host.strip("[]"), int(port)), family=socket.AF_INET6 if "[" in host else socket.AF_INET
        ):
            return []
    except OSError as error:
        place = plan.estate.loaded.document.locate(("environments", plan.name, "webhook"))
        message = f"tiercli cannot listen at {address}: {error.strerror or error}"
        return [Problem(place, message, "an address of this machine that is free")]


def _strange(labels: Mapping[str, str], plan: LivePlan) -> str:
    """Labels of a rule that are those of another estate."""
    catalog = plan.estate.loaded.catalog
    wanted = {ESTATE_LABEL: catalog.estate, ENV_LABEL: catalog.env}
    return ", ".join(f"{key}={labels.get(key, '')!r}" for key, value in wanted.items() if labels.get(key) != value)
