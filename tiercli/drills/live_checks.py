"""Whether a live drill can be run and would prove anything, asked of the environment itself. Nothing is changed there."""

from __future__ import annotations

from dataclasses import replace

from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.environment_access import Access, refusal
from tiercli.clients.prometheus import PrometheusClient
from tiercli.conventions import WATCHDOG
from tiercli.drills.continuity import read_clock
from tiercli.drills.live_plan import LivePlan
from tiercli.durations import format_duration, parse_duration
from tiercli.errors import BackendError, InvalidInput, Location, Problem
from tiercli.faults.injectors.live import LiveInjectors

_FOR_DIFFERS_S = 0.5


async def check_live(plan: LivePlan, injectors: LiveInjectors) -> None:
    """Raises InvalidInput with everything that is wrong: credentials, certificates, rules that are not there or run at another speed,
    receivers that nobody could be told by, faults that nothing there can bring about. BackendUnreachable where a server does not
    answer, BackendError where the clocks disagree."""
    loaded = plan.estate.loaded
    knocks: list[tuple[Access, str]] = [
        (plan.prometheus, "/api/v1/status/buildinfo"),
        (plan.alertmanager, "/api/v2/status"),
        *([_gateway_knock(plan, plan.gateway)] if plan.gateway else []),
        *([(plan.grafana, "/api/org")] if plan.grafana else []),
    ]
    problems = [problem for access, path in knocks if (problem := await refusal(access, path))]
    if not problems:
        problems += await _rules(plan)
        problems += _receivers(plan)
        problems += await injectors.check([(use.fault, use.target, use.settings) for use in plan.spec.faults])
    if problems:
        raise InvalidInput(f"{plan.spec.name} cannot be run in {plan.name!r} of {loaded.document.name}", problems)
    async with PrometheusClient(
        plan.prometheus.url, headers=plan.prometheus.headers, verify=plan.prometheus.verify
    ) as one:
        said = (await read_clock(one)).problem()
    if said:
        raise BackendError(said, hint="set both clocks by the same time server (chrony, systemd-timesyncd)")


async def versions(plan: LivePlan) -> dict[str, str]:
    """What runs there. Raises BackendError."""
    prometheus, alertmanager = plan.prometheus, plan.alertmanager
    async with (
        PrometheusClient(prometheus.url, headers=prometheus.headers, verify=prometheus.verify) as one,
        AlertmanagerClient(alertmanager.url, headers=alertmanager.headers, verify=alertmanager.verify) as other,
    ):
        return {"prometheus": await one.version(), "alertmanager": await other.version()}


def _gateway_knock(plan: LivePlan, gateway: Access) -> tuple[Access, str]:
    """Which models there are may be asked by anybody who may call: with a tenant's key, where the gateway has none for others."""
    path = "/models" if gateway.url.rstrip("/").endswith("/v1") else "/v1/models"
    key = next(iter(plan.way.keys.values()), None)
    headers = gateway.headers if key is None or gateway.headers else {"Authorization": key}
    return replace(gateway, headers=headers), path


async def _rules(plan: LivePlan) -> list[Problem]:
    """What Prometheus has in place of the alarms that the drill is about."""
    access = plan.prometheus
    async with PrometheusClient(access.url, headers=access.headers, verify=access.verify) as client:
        loaded = {rule.name: rule for rule in await client.rules() if rule.kind == "alert"}
    alarms = {alarm.alarm: alarm for alarm in plan.estate.alarms}
    problems = []
    for name in dict.fromkeys((*(one.alert for one in plan.spec.expect), WATCHDOG)):
        rule = loaded.get(name)
        if rule is None:
            said = f"Prometheus at {access.url} has no alert {name}"
            problems.append(Problem(access.location, said, "the rules of `tiercli generate`, loaded there"))
        elif name in alarms and abs(parse_duration(alarms[name].for_) - rule.for_s) > _FOR_DIFFERS_S:
            said = (
                f"{name} waits {format_duration(rule.for_s)} there, and {alarms[name].for_} by the catalog with time "
                f"{plan.environment.factor:g} times as fast"
            )
            problems.append(Problem(access.location, said, "the rules of this catalog, and their `factor`"))
    return problems


def _receivers(plan: LivePlan) -> list[Problem]:
    """Where Alertmanager's word counts, it must have something to send by."""
    if plan.environment.webhook is not None:
        return []
    receivers = plan.estate.loaded.catalog.receivers
    return [
        Problem(
            Location(f"{plan.spec.name} expect {expected.alert}"),
            f"receiver {expected.receiver!r} has no integration: nobody can be told",
            "a receiver with one, or `webhook` in the environment",
        )
        for expected in plan.spec.expect
        if expected.receiver and not receivers[expected.receiver].model_dump(exclude_none=True)
    ]
