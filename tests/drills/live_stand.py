"""An environment to drill in: a sandbox that is asked by its URLs alone, as an operator's own servers would be."""

from __future__ import annotations

import asyncio
import functools
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import HYBRID
from tests.drills.short_drill import SHORT
from tiercli.catalog.loading import load_catalog
from tiercli.drills.sites.estate import build_estate, start_sandbox
from tiercli.drills.spec.model import Load
from tiercli.output.tree import ALERTMANAGER_FILE
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.sandbox import Sandbox
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.sidecar.supervisor import ProcessSpec

FACTOR = 30
LOAD = Load.model_validate(SHORT["load"])


@dataclass(frozen=True, slots=True)
class Stand:
    """Where it is. `catalog`: a file with the environment `staging`; `drills`: a folder with the short drill."""

    sandbox: Sandbox
    catalog: Path
    drills: Path
    loop: asyncio.AbstractEventLoop

    def stop(self, name: str) -> None:
        """End one of its processes."""
        asyncio.run_coroutine_threadsafe(self.sandbox.stop_process(name), self.loop).result(30)

    def start(self, name: str) -> None:
        """Start it again."""
        asyncio.run_coroutine_threadsafe(self.sandbox.start_process(name), self.loop).result(30)


@contextmanager
def live_stand(
    stack: StackBinaries,
    folder: Path,
    edit: Callable[[dict[str, Any], dict[str, Any]], object] = lambda environment, catalog: None,
    measured: bool = False,
    slack: str | None = None,
    factor: float = FACTOR,
    **spec: Any,
) -> Iterator[Stand]:
    """A running estate, and a catalog that names its servers. `measured`: no gateway, but `tiercli proxy` before an endpoint. `slack`:
    its platform-pager is a Slack at this URL. `factor`: how fast time runs in its rules. `edit` changes the environment, and the
    catalog, before they are written; `spec` the drill."""
    ready: queue.Queue[Stand | BaseException] = queue.Queue()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        estate = build_estate(load_catalog(HYBRID), factor)
        async with Sandbox(estate.loaded.catalog, stack, estate.timing) as sandbox:
            edit_tree = None if slack is None else functools.partial(_paging_by_slack, slack)
            if measured:
                metrics = await _start_proxy(sandbox, folder, edit, spec)
                files = folder / "catalog.yaml", folder / "drills"

                def edit_tree(tree: dict[str, str]) -> dict[str, str]:
                    return {
                        path: text.replace(sandbox.plan.gateways[0].address, metrics) for path, text in tree.items()
                    }

            else:
                files = _write(sandbox, folder, edit, spec, factor)
            await start_sandbox(estate, sandbox, edit_tree, load=LOAD)
            over = asyncio.Event()
            loops.append((asyncio.get_running_loop(), over))
            ready.put(Stand(sandbox, *files, asyncio.get_running_loop()))
            await over.wait()

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 - it is raised where the stand is waited for
            ready.put(error)

    thread = threading.Thread(target=main)
    thread.start()
    try:
        stand = ready.get(timeout=60)
        if isinstance(stand, BaseException):
            raise stand
        yield stand
    finally:
        for loop, over in loops:
            loop.call_soon_threadsafe(over.set)
        thread.join(60)


def _write(
    sandbox: Sandbox,
    folder: Path,
    edit: Callable[[dict[str, Any], dict[str, Any]], object],
    spec: dict[str, Any],
    factor: float = FACTOR,
) -> tuple[Path, Path]:
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8"))
    (folder / "token").write_text(sandbox.token, encoding="utf-8")
    environment: dict[str, Any] = {
        "gateway": {"url": sandbox.plan.gateways[0].url},
        "prometheus": {"url": sandbox.addresses.prometheus_url},
        "alertmanager": {"url": sandbox.addresses.alertmanager_url},
        "webhook": f"127.0.0.1:{sandbox.addresses.receiver}",
        "injectors": {"proxy": {"url": sandbox.plan.proxy.control_url, "credential": {"file": "token"}}},
        "factor": factor,
        "spend_cap_usd": 1000,
    }
    edit(environment, data)
    data["environments"] = {"staging": environment}
    catalog = folder / "catalog.yaml"
    catalog.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    drills = folder / "drills"
    drills.mkdir()
    (drills / "short-outage.yaml").write_text(yaml.safe_dump(SHORT | spec), encoding="utf-8")
    return catalog, drills


async def _start_proxy(
    sandbox: Sandbox, folder: Path, edit: Callable[[dict[str, Any], dict[str, Any]], object], spec: dict[str, Any]
) -> str:
    """The measuring point, before the simulated primary; where its metrics are."""
    with PortAllocator() as allocate:
        listen, metrics, control = (f"127.0.0.1:{allocate()}" for _ in range(3))
    primary = next(one for one in sandbox.plan.endpoints if (one.provider, one.region) == ("anthropic", "ap-south-1"))

    def direct(environment: dict[str, Any], catalog: dict[str, Any]) -> None:
        del environment["gateway"]
        url = f"http://127.0.0.1:{primary.upstream_port}"
        place = {"provider": primary.provider, "region": primary.region, "url": url, "listen": listen}
        environment["endpoints"] = [place]
        environment["injectors"]["proxy"]["url"] = f"http://{control}"
        edit(environment, catalog)

    catalog, _ = _write(sandbox, folder, direct, spec)
    command = (sys.executable, "-m", "tiercli", "proxy", "--catalog", str(catalog), "--env", "staging")
    command += ("--metrics", metrics, "--control", control, "--token-file", str(folder / "token"))
    command += ("--audit-log", str(folder / "audit.jsonl"))
    await sandbox.supervisor.start(ProcessSpec("measuring point", command, folder / "proxy.log"))
    return metrics


def _paging_by_slack(url: str, tree: dict[str, str]) -> dict[str, str]:
    configuration = yaml.safe_load(tree[ALERTMANAGER_FILE])
    for receiver in configuration["receivers"]:
        if receiver["name"] == "platform-pager":
            del receiver["webhook_configs"]
            receiver["slack_configs"] = [{"api_url": url, "channel": "#pages", "send_resolved": True}]
    return tree | {ALERTMANAGER_FILE: yaml.safe_dump(configuration)}
