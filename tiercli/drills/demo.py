"""The sandbox kept up for a person to look at: where everything is, and each notification."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

from tiercli.conventions import WATCHDOG, dashboard_uid
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.build.provisioning import render_provisioning
from tiercli.drills.load.plan import LoadWay
from tiercli.drills.load.running import RunningLoad
from tiercli.drills.record.events import BackendLost, Interrupted
from tiercli.drills.run.stopping import Stopped, StopSignal, signals_stop
from tiercli.drills.sites.estate import Estate, start_sandbox
from tiercli.drills.spec.model import Load
from tiercli.errors import BackendError
from tiercli.output.writing import write_tree
from tiercli.sandbox.receiver import Notification, WebhookReceiver
from tiercli.sandbox.sandbox import Sandbox
from tiercli.sandbox.stack.binaries import StackBinaries

DEMO_LOAD = Load(arrivals_per_second=60)


async def run_demo(
    estate: Estate, binaries: StackBinaries, out: Path, ports: Mapping[str, int], load: bool, say: Callable[[str], None]
) -> None:
    """Start the sandbox, say where it is, and wait for Ctrl-C. Raises BackendError when a part of it dies."""
    stop = StopSignal()

    def on_exit(name: str, code: int) -> None:
        stop.set(BackendLost(at=0.0, name=name, reason=f"it ended by itself with code {code}"))

    with signals_stop(stop, Interrupted):
        try:
            async with AsyncExitStack() as stack:
                catalog = estate.loaded.catalog
                sandbox = await stack.enter_async_context(
                    Sandbox(catalog, binaries, estate.timing, on_exit=on_exit, ports=ports)
                )
                await stack.enter_async_context(WebhookReceiver(sandbox.addresses.receiver, _teller(say)))
                await stop.race(start_sandbox(estate, sandbox, load=DEMO_LOAD if load else None))
                if load:
                    way = LoadWay(sandbox.plan.gateways[0].url)
                    await stack.enter_async_context(
                        RunningLoad(
                            DEMO_LOAD, catalog, way, sandbox.supervisor, sandbox.folder, factor=estate.timing.factor
                        )
                    )
                write_tree(out, render_dashboards(catalog) | render_provisioning(catalog), force=True)
                for line in describe(estate, sandbox, out, load):
                    say(line)
                await stop.race(asyncio.Event().wait())
        except Stopped as stopped:
            if isinstance(stopped.event, BackendLost):
                raise BackendError(f"{stopped.event.name} failed: {stopped.event.reason}") from stopped
    say("stopped; nothing is left running")


def describe(estate: Estate, sandbox: Sandbox, out: Path, load: bool) -> list[str]:
    """Where everything listens, and how to look at it."""
    catalog, plan = estate.loaded.catalog, sandbox.plan
    name, tenant = next(iter(catalog.tenants.items()))
    body = json.dumps({"model": catalog.tenant_aliases(tenant)[0], "messages": [{"role": "user", "content": "hello"}]})
    call = (
        f"curl {plan.gateways[0].url}/v1/chat/completions -H 'x-tenant: {quote(name, safe='')}' "
        f"-H 'x-feature: {quote(tenant.features[0], safe='')}' -H 'content-type: application/json' -d '{body}'"
    )
    return [
        "",
        f"prometheus    {sandbox.addresses.prometheus_url}/alerts",
        f"alertmanager  {sandbox.addresses.alertmanager_url}",
        f"gateway       {plan.gateways[0].url}/metrics",
        "",
        f"time is compressed ×{estate.timing.factor:g}: 1 s here is {estate.timing.factor:g} s of simulated time",
        f"load: {DEMO_LOAD.arrivals_per_second:g} requests/s" if load else "no load; --load puts the estate under it",
        "",
        "a call of your own:",
        f"  {call}",
        "",
        "your own Grafana, on this machine (10 or later):",
        f"  1. add a Prometheus data source with the URL {sandbox.addresses.prometheus_url}",
        f"  2. import {out / 'grafana' / 'dashboards' / 'home.json'} and provider.json beside it",
        f"  3. open /d/{dashboard_uid('home', catalog.estate, catalog.env)}",
        "",
        "notifications, as they arrive (Ctrl-C stops everything):",
    ]


def _teller(say: Callable[[str], None]) -> Callable[[Notification], None]:
    def tell(notification: Notification) -> None:
        name = notification.labels.get("alertname", "")
        if name != WATCHDOG:
            summary = notification.annotations.get("summary", "")
            say(f"  {notification.receiver}: {name} {notification.status}: {summary}")

    return tell
