"""The sandbox: a real Prometheus and a real Alertmanager around a simulated estate, on loopback, in a folder of its own.

async with Sandbox(catalog, binaries, timing) as sandbox:   folder, ports, plan
    await sandbox.start(tree, history)                      the caller's configuration for these addresses
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import yaml

from tiercli.catalog.model import Catalog
from tiercli.durations import format_duration
from tiercli.errors import BackendError
from tiercli.sandbox.binaries import StackBinaries
from tiercli.sandbox.plan import EstatePlan, plan_estate, write_plan
from tiercli.sandbox.ports import LOOPBACK, PortAllocator
from tiercli.sandbox.processes import ProcessSpec, Warden
from tiercli.signals.timing import Timing

GATEWAY = "gateway"
READY_WITHIN_S = 20.0
_LOOKBACK_ESTATE_S = 300.0  # Prometheus' own default, in estate time
_RESEND_ESTATE_S = 60.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything in a sandbox listens."""

    prometheus: int
    alertmanager: int
    receiver: int

    @property
    def prometheus_url(self) -> str:
        """Prometheus' base URL."""
        return f"http://{LOOPBACK}:{self.prometheus}"

    @property
    def alertmanager_url(self) -> str:
        """Alertmanager's base URL."""
        return f"http://{LOOPBACK}:{self.alertmanager}"

    @property
    def receiver_url(self) -> str:
        """The base URL under which each receiver has its path."""
        return f"http://{LOOPBACK}:{self.receiver}"


class Sandbox:
    """Everything of a sandbox ends with it, and with the process that started it, however that ends.

    `on_exit(name, code)` hears of a process that ended by itself. `ports` fixes ports by name (prometheus,
    alertmanager); any free one otherwise.
    """

    def __init__(
        self,
        catalog: Catalog,
        binaries: StackBinaries,
        timing: Timing,
        *,
        on_exit: Callable[[str, int], None] | None = None,
        ports: Mapping[str, int] | None = None,
    ) -> None:
        self._catalog = catalog
        self._binaries = binaries
        self._timing = timing
        self._on_exit = on_exit
        self._asked = ports or {}
        self._died: dict[str, int] = {}
        self._stack = AsyncExitStack()
        self._specs: dict[str, ProcessSpec] = {}
        self.token = secrets.token_urlsafe(24)

    async def __aenter__(self) -> Self:
        allocate = PortAllocator()

        def port(name: str) -> int:
            return allocate.claim(self._asked[name], name) if name in self._asked else allocate()

        self.addresses = Addresses(port("prometheus"), port("alertmanager"), port("receiver"))
        self.folder = Path(tempfile.mkdtemp(prefix="tiercli-sandbox-"))  # mode 0700
        try:
            token_file = self.folder / "token"
            with os.fdopen(os.open(token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
                stream.write(self.token)
            self.plan: EstatePlan = plan_estate(
                self._catalog, folder=self.folder, allocate=allocate, token_file=token_file
            )
            write_plan(self.plan, self.folder / "plan.json")
        finally:
            # From here on the folder is the warden's to delete.
            self.warden = await self._stack.enter_async_context(Warden(self.folder, self._note_exit))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def gateway_targets(self) -> tuple[str, ...]:
        """Scrape targets of the gateway's instances."""
        return tuple(gateway.address for gateway in self.plan.gateways)

    @property
    def server_targets(self) -> tuple[str, ...]:
        """Scrape targets of the local servers."""
        return tuple(endpoint.metrics_address for endpoint in self.plan.endpoints if endpoint.server is not None)

    async def start(self, tree: Mapping[str, str], history: str | None = None) -> None:
        """Write the configuration, backfill `history` (OpenMetrics text), start everything, wait until it is ready.

        Raises BackendError with the end of the log of what did not start.
        """
        for path, text in tree.items():
            place = self.folder / "config" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        prometheus_file = self.folder / "config" / "prometheus" / "prometheus.yml"
        whole = prometheus_file.read_text(encoding="utf-8")
        prometheus_file.write_text(yaml.safe_dump({**yaml.safe_load(whole), "rule_files": []}), encoding="utf-8")
        data = self.folder / "prometheus"
        data.mkdir()
        if history is not None:
            await self._backfill(history, data)
        names = ["providers", "proxy", *self.gateway_names, "alertmanager", "prometheus"]
        specs = dict(zip(names, self._process_specs(data), strict=True))
        self._specs = specs
        urls = {
            "proxy": f"{self.plan.proxy.control_url}/health",
            "alertmanager": f"{self.addresses.alertmanager_url}/-/ready",
            "providers": f"http://{LOOPBACK}:{self.plan.endpoints[-1].upstream_port}/health",
            **{
                name: f"{gateway.url}/health"
                for name, gateway in zip(self.gateway_names, self.plan.gateways, strict=True)
            },
            "prometheus": f"{self.addresses.prometheus_url}/-/ready",
        }
        await asyncio.gather(*(self.warden.start(spec) for spec in specs.values()))
        await asyncio.gather(*(self._wait_until_ready(name, url) for name, url in urls.items()))
        # Prometheus finds its targets up to 5 real seconds after it starts: minutes of compressed time, in which rules
        # that look for something missing would be true. So it scrapes first, and reads its rules then.
        await self._wait_until_scraped()
        prometheus_file.write_text(whole, encoding="utf-8")
        await self._reload_prometheus()

    @property
    def gateway_names(self) -> list[str]:
        """The names of the gateway's processes."""
        return [f"{GATEWAY}-{number}" for number in range(len(self.plan.gateways))]

    async def stop_process(self, name: str) -> None:
        """End one process, as a fault does."""
        await self.warden.stop(name)

    async def start_process(self, name: str) -> None:
        """Start a process again that stop_process ended."""
        await self.warden.start(self._specs[name])

    def log_tail(self, name: str, lines: int = 8) -> str:
        """The end of a process's log."""
        try:
            text = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _process_specs(self, data: Path) -> list[ProcessSpec]:
        import sys

        plan = str(self.folder / "plan.json")
        timing, config = self._timing, self.folder / "config"
        module = (sys.executable, "-m")
        prometheus = (
            str(self._binaries.prometheus.path),
            f"--config.file={config / 'prometheus' / 'prometheus.yml'}",
            f"--web.listen-address={LOOPBACK}:{self.addresses.prometheus}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=15d",
            f"--query.lookback-delta={format_duration(max(timing.compress(_LOOKBACK_ESTATE_S), 4 * timing.scrape_s))}",
            f"--rules.alert.resend-delay={format_duration(timing.compress(_RESEND_ESTATE_S))}",
            f"--rules.alert.for-grace-period={format_duration(timing.compress(600))}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        )
        alertmanager = (
            str(self._binaries.alertmanager.path),
            f"--config.file={config / 'alertmanager' / 'alertmanager.yml'}",
            f"--web.listen-address={LOOPBACK}:{self.addresses.alertmanager}",
            f"--storage.path={self.folder / 'alertmanager'}",
            "--cluster.listen-address=",
            "--log.level=warn",
        )
        specs = [
            self._spec("providers", (*module, "tiercli.sandbox.simulated_providers", "--plan", plan)),
            self._spec("proxy", (*module, "tiercli.faults.proxy", "--plan", plan)),
        ]
        specs += [
            self._spec(name, (*module, "tiercli.sandbox.gateway", "--plan", plan, "--instance", str(number)))
            for number, name in enumerate(self.gateway_names)
        ]
        return [*specs, self._spec("alertmanager", alertmanager), self._spec("prometheus", prometheus)]

    def _spec(self, name: str, argv: tuple[str, ...]) -> ProcessSpec:
        return ProcessSpec(name, argv, self.folder / f"{name}.log")

    async def _backfill(self, history: str, data: Path) -> None:
        file = self.folder / "history.om"
        file.write_text(history, encoding="utf-8")
        done = await asyncio.create_subprocess_exec(
            *(self._binaries.promtool.path, "tsdb", "create-blocks-from", "openmetrics", file, data),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await done.communicate()
        if done.returncode:
            raise BackendError(f"promtool could not backfill the history: {output.decode(errors='replace')[-400:]}")

    async def _wait_until_scraped(self) -> None:
        targets = len(self.gateway_targets) + len(self.server_targets)
        deadline = time.monotonic() + READY_WITHIN_S
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while time.monotonic() < deadline and "prometheus" not in self._died:
                try:
                    url = f"{self.addresses.prometheus_url}/api/v1/query"
                    answer = (await client.get(url, params={"query": "up == 1"})).json()
                    if len(answer["data"]["result"]) >= targets:
                        return
                except (httpx.HTTPError, ValueError, KeyError):
                    pass
                await asyncio.sleep(0.1)
        raise BackendError(f"prometheus did not scrape its {targets} targets within {READY_WITHIN_S:g} s")

    async def _reload_prometheus(self) -> None:
        async with httpx.AsyncClient(timeout=10.0, trust_env=False) as client:
            answer = await client.post(f"{self.addresses.prometheus_url}/-/reload")
        if answer.status_code != 200:
            raise BackendError(
                f"prometheus does not accept its configuration: {answer.text.strip()}",
                hint=f"the end of its log: {self.log_tail('prometheus')}",
            )

    def _note_exit(self, name: str, code: int) -> None:
        self._died[name] = code
        if self._on_exit is not None:
            self._on_exit(name, code)

    async def _wait_until_ready(self, name: str, url: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            while time.monotonic() < deadline and name not in self._died:
                try:
                    if (await client.get(url)).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
        said = (
            f"ended with code {self._died[name]}"
            if name in self._died
            else f"was not ready within {READY_WITHIN_S:g} s"
        )
        raise BackendError(f"{name} {said}", hint=f"the end of its log: {self.log_tail(name)}")
