"""The sandbox: a real Prometheus and a real Alertmanager around a simulated estate, on loopback, in a folder of its own.

async with Sandbox(catalog, binaries, timing) as sandbox:   folder, ports, plan
    await sandbox.start(tree, history)                      the caller's configuration for these addresses
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx

from tiercli.catalog.model import Catalog
from tiercli.errors import BackendError
from tiercli.sandbox.plan import TENANT_CALLS_PER_10S, Endpoint, EstatePlan, plan_estate, write_plan
from tiercli.sandbox.ports import PortAllocator
from tiercli.sandbox.real_parts.interface import RealPart, RealProcess
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.sandbox.stack.servers import (
    Addresses,
    alertmanager_command,
    backfill,
    count_targets,
    prometheus_command,
    without_rules,
)
from tiercli.serving import LOOPBACK
from tiercli.sidecar.supervisor import SUPERVISOR, ProcessSpec, Supervisor
from tiercli.signals.timing import Timing

GATEWAY = "gateway"
PROMETHEUS, ALERTMANAGER, PROVIDERS, PROXY = "prometheus", "alertmanager", "providers", "proxy"
READY_WITHIN_S = 20.0
PROMETHEUS_FILE = "prometheus/prometheus.yml"
_ANSWERS_WITHIN_S = 5.0
_POLL_S = 0.05


class Sandbox:
    """Everything of a sandbox ends with it, and with the process that started it, however that ends.

    `on_exit(name, code)` is called for a process that ends by itself after `start`; before that, `start` raises. `on_progress`
    gets each step of the start as a sentence. `tenant_calls_per_10s`: the quota that the gateway enforces, of `quota_of` alone where
    that is given; `cooldown_s`: how long it leaves out a candidate that fails again and again. `ports` fixes ports by name
    (prometheus, alertmanager, receiver); the others are any free ones. `real`: programs in place of simulated ones. Entering raises
    InvalidInput for a port that is not one, BackendError if one is taken or the disk is full.
    """

    def __init__(
        self,
        catalog: Catalog,
        binaries: StackBinaries,
        timing: Timing,
        *,
        on_exit: Callable[[str, int], None] | None = None,
        on_progress: Callable[[str], None] | None = None,
        ports: Mapping[str, int] | None = None,
        tenant_calls_per_10s: int | None = None,
        quota_of: str | None = None,
        cooldown_s: float = 0.0,
        real: Sequence[RealPart] = (),
    ) -> None:
        self._catalog = catalog
        self._binaries = binaries
        self._timing = timing
        self._on_exit = on_exit
        self._on_progress = on_progress
        self._fixed_ports = ports or {}
        self._tenant_calls = tenant_calls_per_10s or TENANT_CALLS_PER_10S
        self._quota_of = quota_of
        self._cooldown_s = cooldown_s
        self._real = real
        self._real_processes: dict[str, RealProcess] = {}
        self._died: dict[str, int] = {}
        self._started = False
        self._stack = AsyncExitStack()
        self._specs: dict[str, ProcessSpec] = {}
        self.token = secrets.token_urlsafe(24)

    async def __aenter__(self) -> Self:
        try:
            await self._enter()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _enter(self) -> None:
        allocate = self._stack.enter_context(PortAllocator())

        def port(name: str) -> int:
            return allocate.claim(self._fixed_ports[name], name) if name in self._fixed_ports else allocate()

        self.addresses = Addresses(port(PROMETHEUS), port(ALERTMANAGER), port("receiver"))
        self.load_port = port("load")  # where a load's workers find its master
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="tiercli-sandbox-"))  # mode 0700
        except OSError as error:
            raise BackendError(f"cannot make a folder for the sandbox: {error}", hint="TMPDIR names another") from error
        # Where the supervisor cannot be entered, the folder is still ours to delete; afterwards it is the supervisor's.
        try:
            self.supervisor = await self._stack.enter_async_context(Supervisor(self.folder, self._note_exit))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        token_file = self.folder / "token"
        plan = plan_estate(self._catalog, folder=self.folder, allocate=allocate, token_file=token_file)
        self.plan: EstatePlan = dataclasses.replace(
            plan,
            tenant_calls_per_10s=self._tenant_calls,
            quota_of=self._quota_of,
            cooldown_s=self._cooldown_s,
            minute_s=self._timing.compress(60),
        )
        with self._writing():
            for part in self._real:
                self._real_processes |= part.processes(self.plan)
            endpoints = {endpoint.key for endpoint in self.plan.endpoints}
            self.plan = dataclasses.replace(self.plan, real=tuple(endpoints & self._real_processes.keys()))
            with os.fdopen(os.open(token_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as stream:
                stream.write(self.token)
            write_plan(self.plan, self.folder / "plan.json")

    @property
    def gateway_targets(self) -> tuple[str, ...]:
        """Scrape targets of the gateway's instances."""
        return tuple(gateway.address for gateway in self.plan.gateways)

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        """The local servers. Their simulated GPUs are at metrics addresses of their own."""
        return tuple(endpoint for endpoint in self.plan.endpoints if endpoint.server is not None)

    async def start(self, tree: Mapping[str, str], history: str | None = None) -> None:
        """Write the configuration, backfill `history` (OpenMetrics text), start everything, wait until it is ready.

        Raises BackendError with the end of the log of what did not start.
        """
        data = self.folder / "prometheus"
        self._say("writing the configuration")
        with self._writing():
            for path, text in tree.items():
                place = self.folder / "config" / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            (self.folder / "config" / PROMETHEUS_FILE).parent.mkdir(parents=True, exist_ok=True)
            data.mkdir()
        self._specs = {spec.name: spec for spec in self._process_specs(data)}
        async with httpx.AsyncClient(timeout=_ANSWERS_WITHIN_S, trust_env=False) as client:
            # Prometheus first: it discovers its targets 5 s after it starts, whatever its settings.
            await _all_or_first_error(
                self._start_prometheus(client, tree.get(PROMETHEUS_FILE, ""), history, data),
                *(self._start_one(client, name, url) for name, url in self._ready_urls().items()),
                *(
                    self._start_one(client, real.spec.name, real.ready_url, real.ready_within_s)
                    for real in self._real_processes.values()
                ),
            )
            await self._wait_until_scraped(client, count_targets(tree.get(PROMETHEUS_FILE, "")))
            await self._read_rules(client, tree.get(PROMETHEUS_FILE, ""))
        for name in self._died:
            raise self._died_error(name)
        self._started = True

    async def _start_prometheus(
        self, client: httpx.AsyncClient, configuration: str, history: str | None, data: Path
    ) -> None:
        """Start it on its configuration without rules: 5 s without targets are minutes of compressed time, in which
        rules that look for something missing would be true."""
        if history is not None:
            self._say("backfilling the history")
            file = self.folder / "history.om"
            with self._writing():
                file.write_text(history, encoding="utf-8")
            await backfill(self._binaries.promtool.path, file, data)
        self._configure_prometheus(without_rules(configuration))
        await self._start_one(client, PROMETHEUS, f"{self.addresses.prometheus_url}/-/ready")

    async def _wait_until_scraped(self, client: httpx.AsyncClient, targets: int) -> None:
        self._say(f"waiting until prometheus has scraped its {targets} targets")

        async def scraped() -> bool:
            answer = await client.get(f"{self.addresses.prometheus_url}/api/v1/query", params={"query": "up == 1"})
            return answer.status_code == 200 and len(answer.json()["data"]["result"]) >= targets

        await self._wait_until(scraped, PROMETHEUS, f"did not scrape its {targets} targets within {READY_WITHIN_S:g} s")

    async def _read_rules(self, client: httpx.AsyncClient, configuration: str) -> None:
        self._configure_prometheus(configuration)
        try:
            answer = await client.post(f"{self.addresses.prometheus_url}/-/reload")
        except httpx.HTTPError as error:
            raise self._error(PROMETHEUS, f"does not read its rules: {error!r}") from error
        if answer.status_code != 200:
            raise self._error(PROMETHEUS, f"does not accept its configuration: {answer.text.strip()}")

    def _configure_prometheus(self, text: str) -> None:
        with self._writing():
            (self.folder / "config" / PROMETHEUS_FILE).write_text(text, encoding="utf-8")

    async def _start_one(
        self, client: httpx.AsyncClient, name: str, url: str, within_s: float = READY_WITHIN_S
    ) -> None:
        await self.supervisor.start(self._specs[name])
        await self._wait_until_ready(client, name, url, within_s)
        self._say(f"{name} is ready")

    def _ready_urls(self) -> dict[str, str]:
        """The URLs at which each process reports that it is ready, but for Prometheus and real parts."""
        gateways = zip(self.gateway_names, self.plan.gateways, strict=True)
        simulated = [endpoint for endpoint in self.plan.endpoints if endpoint.key not in self.plan.real]
        # They listen one after another, and the last one last; without any, nothing is waited for.
        last = simulated[-1].upstream_port if simulated else self.plan.proxy.control_port
        return {
            ALERTMANAGER: f"{self.addresses.alertmanager_url}/-/ready",
            PROXY: f"{self.plan.proxy.control_url}/health",
            PROVIDERS: f"http://{LOOPBACK}:{last}/health",
            **{name: f"{gateway.url}/health" for name, gateway in gateways if name not in self._real_processes},
        }

    @property
    def gateway_names(self) -> list[str]:
        """The names of the gateway's processes."""
        return [f"{GATEWAY}-{number}" for number in range(len(self.plan.gateways))]

    async def stop_process(self, name: str) -> None:
        """End one process, as a fault does."""
        await self.supervisor.stop(name)

    async def start_process(self, name: str) -> None:
        """Start a process that stop_process ended."""
        await self.supervisor.start(self._specs[name])

    def log_tail(self, name: str, lines: int = 8) -> str:
        """The end of a process's log."""
        try:
            text = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _process_specs(self, data: Path) -> list[ProcessSpec]:
        plan, config = str(self.folder / "plan.json"), self.folder / "config"
        module = (sys.executable, "-m")
        prometheus = prometheus_command(
            self._binaries.prometheus.path,
            config / PROMETHEUS_FILE,
            data,
            self.addresses.prometheus,
            self._timing,
        )
        alertmanager = alertmanager_command(
            self._binaries.alertmanager.path,
            config / "alertmanager" / "alertmanager.yml",
            self.folder / "alertmanager",
            self.addresses.alertmanager,
        )
        specs = [
            self._spec(PROVIDERS, (*module, "tiercli.sandbox.providers.process", "--plan", plan)),
            self._spec(PROXY, (*module, "tiercli.faults.proxy.process", "--plan", plan)),
        ]
        specs += [
            self._spec(name, (*module, "tiercli.sandbox.gateway.process", "--plan", plan, "--instance", str(number)))
            for number, name in enumerate(self.gateway_names)
            if name not in self._real_processes
        ]
        specs += [process.spec for process in self._real_processes.values()]
        return [*specs, self._spec(ALERTMANAGER, alertmanager), self._spec(PROMETHEUS, prometheus)]

    def _spec(self, name: str, argv: tuple[str, ...]) -> ProcessSpec:
        return ProcessSpec(name, argv, self.folder / f"{name}.log")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BackendError(f"cannot write in the sandbox's folder: {error}", hint="TMPDIR names another") from error

    def _say(self, text: str) -> None:
        if self._on_progress is not None:
            self._on_progress(text)

    def _note_exit(self, name: str, code: int) -> None:
        self._died[name] = code
        if self._started and self._on_exit is not None:
            self._on_exit(name, code)

    def _died_error(self, name: str) -> BackendError:
        return self._error(name, f"ended with code {self._died[name]}")

    def _error(self, name: str, problem: str) -> BackendError:
        return BackendError(f"{name} {problem}", hint=f"the end of its log: {self.log_tail(name) or 'it is empty'}")

    async def _wait_until_ready(self, client: httpx.AsyncClient, name: str, url: str, within_s: float) -> None:
        async def ready() -> bool:
            return (await client.get(url)).status_code == 200

        await self._wait_until(ready, name, f"was not ready within {within_s:g} s", within_s)

    async def _wait_until(
        self, what: Callable[[], Awaitable[bool]], name: str, problem: str, within_s: float = READY_WITHIN_S
    ) -> None:
        """Return once `what` is true. Raises BackendError if it does not become true in time, or if `name` ends."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for dead in (name, SUPERVISOR):
                if dead in self._died:
                    raise self._died_error(dead)
            try:
                if await what():
                    return
            except (httpx.HTTPError, ValueError):
                pass
            await asyncio.sleep(_POLL_S)
        raise self._error(name, problem)


async def _all_or_first_error(*work: Coroutine[None, None, None]) -> None:
    """Everything at once; the first error ends the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in work:
                group.create_task(coroutine)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
