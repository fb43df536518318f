"""LiteLLM's own proxy as the gateway, before simulated providers behind our fault proxy; a real Prometheus scrapes it."""

from __future__ import annotations

import asyncio
import dataclasses
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.lint.catalog_checks import further_checks
from tiercli.output.tree import render_servers
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.deployment import Deployment, ServerTarget, timing_of
from tiercli.sandbox.plan import source_path
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.real_parts.litellm import WHO_CALLS, find_litellm, proxy_config, proxy_process
from tiercli.sandbox.sandbox import Sandbox
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.sidecar.supervisor import ProcessSpec

ROOT = Path(__file__).resolve().parents[2]
FACTOR = 10
STARTS_WITHIN_S = 120.0
KEYS = {"web-shop": "sk-web-shop", "catalogue": "sk-catalogue"}
TENANTS = {key: tenant for tenant, key in KEYS.items()}
# LiteLLM keeps keys in a database, or asks a function: of this stand each tenant has one.
TENANT_OF_KEY = f"""
from litellm.proxy._types import UserAPIKeyAuth

TENANTS = {TENANTS!r}


async def user_api_key_auth(request, api_key):
    if api_key not in TENANTS:
        raise Exception("unknown key")
    return UserAPIKeyAuth(api_key=api_key, team_id=TENANTS[api_key], team_alias=TENANTS[api_key])
"""
DRILL: dict[str, Any] = {
    "name": "litellm-outage",
    "description": "The region that search is served from refuses every connection; LiteLLM falls back to the other.",
    "owner": "platform",
    "alarms": ["ProviderDown"],
    "factor": FACTOR,
    "load": {"arrivals_per_second": 5, "stream_share": 0.3, "mix": {"tenants": {"catalogue": 1}}},
    "phases": {"steady": "2m", "fault": "5m", "recovery": "14m"},
    "faults": [{"fault": "outage", "target": {"provider": "openai", "region": "eu"}}],
    "expect": [
        {
            "alert": "ProviderDown",
            "labels": {"provider": "openai", "region": "eu"},
            "severity": "page",
            "receiver": "pager",
            "firing_within": "4m",
            "notified_within": "5m",
            "resolved_within": "14m",
        }
    ],
    # Usually 1.4 s there, and no alias was served from it before: more than is promised.
    "allow": [{"alert": "ProviderLatencyHigh", "labels": {"provider": "openai", "region": "us"}}],
}


@dataclass(frozen=True, slots=True)
class Stand:
    """`catalog`: a file with the environment `staging`; `drills`: a folder with the drill; `gateway`: LiteLLM's URL."""

    catalog: Path
    drills: Path
    gateway: str
    prometheus: str
    token: str


@contextmanager
def litellm_stand(stack: StackBinaries, folder: Path) -> Iterator[Stand]:
    """A running estate."""
    ready: queue.Queue[Stand | BaseException] = queue.Queue()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        data = _catalog()
        file = _write(folder, data)
        loaded = load_catalog(file, further_checks())
        timing = timing_of(loaded.catalog, FACTOR)
        with PortAllocator() as allocate:
            port = allocate()
        async with Sandbox(loaded.catalog, stack, timing) as sandbox:
            await sandbox.supervisor.start(_litellm(sandbox, folder, port))
            await _until_ready(f"http://127.0.0.1:{port}", folder / "litellm.log")
            await sandbox.start(_tree(loaded, sandbox, port))
            _name_servers(data, sandbox, port)
            _write(folder, data)
            (folder / "token").write_text(sandbox.token, encoding="utf-8")
            over = asyncio.Event()
            ends.append((asyncio.get_running_loop(), over))
            url = f"http://127.0.0.1:{port}"
            ready.put(Stand(file, folder / "drills", url, sandbox.addresses.prometheus_url, sandbox.token))
            await over.wait()

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 - it is raised where the stand is waited for
            ready.put(error)

    (folder / "drills").mkdir()
    (folder / "drills" / "litellm-outage.yaml").write_text(yaml.safe_dump(DRILL), encoding="utf-8")
    thread = threading.Thread(target=main)
    thread.start()
    try:
        stand = ready.get(timeout=STARTS_WITHIN_S + 60)
        if isinstance(stand, BaseException):
            raise stand
        yield stand
    finally:
        for loop, over in ends:
            loop.call_soon_threadsafe(over.set)
        thread.join(60)


def _catalog() -> dict[str, Any]:
    """The example with LiteLLM, with the GPUs that a sandbox has, and every receiver with something to tell by."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "catalogs" / "litellm-vllm.yaml").read_text(encoding="utf-8"))
    data["gateway"]["targets"] = ["litellm.internal:4000"]
    # Both aliases are served there, and an id is of one alias' deployment.
    data["gateway"]["deployments"]["gpt-5-mini-eu-for-search"] = data["gateway"]["deployments"]["gpt-5-mini-eu"]
    data["sources"] = {"gpus": {"binding": "tiercli-gpu", "targets": ["localhost:9400"], "path": source_path("gpus")}}
    return data


def _write(folder: Path, data: dict[str, Any]) -> Path:
    file = folder / "catalog.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return file


def _name_servers(data: dict[str, Any], sandbox: Sandbox, port: int) -> None:
    data["environments"] = {
        "staging": {
            "gateway": {"url": f"http://127.0.0.1:{port}"},
            "tenants": {tenant: {"env": f"KEY_{tenant.replace('-', '_').upper()}"} for tenant in KEYS},
            "prometheus": {"url": sandbox.addresses.prometheus_url},
            "alertmanager": {"url": sandbox.addresses.alertmanager_url},
            "webhook": f"127.0.0.1:{sandbox.addresses.receiver}",
            "injectors": {"proxy": {"url": sandbox.plan.proxy.control_url, "credential": {"file": "token"}}},
            "factor": FACTOR,
            "spend_cap_usd": 20,
        }
    }


def key_variables() -> dict[str, str]:
    """The environment variables in which the catalog's credentials are."""
    return {f"KEY_{tenant.replace('-', '_').upper()}": key for tenant, key in KEYS.items()}


def _litellm(sandbox: Sandbox, folder: Path, port: int) -> ProcessSpec:
    (folder / f"{WHO_CALLS}.py").write_text(TENANT_OF_KEY, encoding="utf-8")
    config = folder / "litellm.yaml"
    config.write_text(yaml.safe_dump(proxy_config(sandbox.plan)), encoding="utf-8")
    return proxy_process("litellm", find_litellm(), config, port)


async def _until_ready(url: str, log: Path) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(int(STARTS_WITHIN_S * 2)):
            try:
                if (await client.get(f"{url}/health/liveliness")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.5)
    text = await asyncio.to_thread(log.read_text, encoding="utf-8")
    raise AssertionError(f"LiteLLM does not start: {text[-2000:]}")


def _tree(loaded: LoadedCatalog, sandbox: Sandbox, port: int) -> dict[str, str]:
    """The configuration that tiercli generates for this catalog, at this stand's addresses."""
    timing = timing_of(loaded.catalog, FACTOR)
    deployment = dataclasses.replace(
        Deployment.production(loaded.catalog),
        timing=timing,
        gateway_targets=(f"127.0.0.1:{port}",),
        server_targets=tuple(
            ServerTarget(one.metrics_address, one.server or one.key, one.provider, one.region)
            for one in sandbox.servers
        ),
        source_targets={"gpus": tuple(one.gpu_metrics_address for one in sandbox.servers)},
        alertmanager_targets=(f"127.0.0.1:{sandbox.addresses.alertmanager}",),
        prometheus_target=f"127.0.0.1:{sandbox.addresses.prometheus}",
        receiver_base=sandbox.addresses.receiver_url,
    )
    return render_servers(loaded, deployment, load_alarms(loaded, timing))
