"""A whole sandbox of real processes: what runs, where it listens, how it fails to start, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from waiting import eventually

from tiercli.catalog.loading import LoadedCatalog
from tiercli.clients.alertmanager import AlertmanagerClient
from tiercli.clients.prometheus import PrometheusClient
from tiercli.drills.sites.estate import Estate, build_estate, start_sandbox
from tiercli.errors import BackendError, InvalidInput
from tiercli.output.tree import ALERTMANAGER_FILE
from tiercli.sandbox.sandbox import Sandbox
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.sidecar.supervisor import SUPERVISOR

CHECKOUT = Path(__file__).resolve().parents[2]
PROMETHEUS_FILE = "prometheus/prometheus.yml"

# A program that has a sandbox up, says which process its supervisor is, and waits to be killed.
HOLDER = """
import asyncio, json, sys
from pathlib import Path
from tiercli.catalog.loading import load_catalog
from tiercli.drills.sites.estate import build_estate, start_sandbox
from tiercli.sandbox.stack.binaries import find_stack
from tiercli.sandbox.sandbox import Sandbox

async def main():
    estate = build_estate(load_catalog(Path(sys.argv[1])), 30)
    async with Sandbox(estate.loaded.catalog, find_stack(), estate.timing) as sandbox:
        await start_sandbox(estate, sandbox)
        print(json.dumps({"supervisor": sandbox.supervisor.pid, "folder": str(sandbox.folder)}), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def estate(hybrid: LoadedCatalog) -> Estate:
    return build_estate(hybrid, 30)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where sandboxes of a test make their folders; none may be left there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.glob("tiercli-sandbox-*")) == []


def descendants(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def test_everything_runs_on_loopback_is_scraped_and_is_gone_at_the_end(
    stack: StackBinaries, estate: Estate, temporary: Path
) -> None:
    async def run() -> None:
        said: list[str] = []
        exits: list[tuple[str, int]] = []
        sandbox = Sandbox(
            estate.loaded.catalog,
            stack,
            estate.timing,
            on_exit=lambda *exit_: exits.append(exit_),
            on_progress=said.append,
        )
        async with sandbox:
            await start_sandbox(estate, sandbox)
            processes = descendants(sandbox.supervisor.pid)
            names = {"prometheus", "alertmanager", "providers", "proxy", *sandbox.gateway_names}
            assert {f"{name} is ready" for name in names} <= set(said)
            assert len(processes) == 1 + len(names)
            listening = {
                one.laddr
                for process in processes
                for one in process.net_connections("inet")
                if one.status == psutil.CONN_LISTEN
            }
            assert {address.ip for address in listening} == {"127.0.0.1"}
            ports = {address.port for address in listening}
            assert {sandbox.addresses.prometheus, sandbox.addresses.alertmanager} <= ports
            assert sandbox.folder.parent == temporary
            assert sandbox.folder.stat().st_mode & 0o777 == 0o700
            assert (sandbox.folder / "token").stat().st_mode & 0o777 == 0o600
            async with (
                PrometheusClient(sandbox.addresses.prometheus_url) as prometheus,
                AlertmanagerClient(sandbox.addresses.alertmanager_url) as alertmanager,
            ):
                assert await prometheus.ready()
                assert await alertmanager.ready()
                baseline = await prometheus.query(
                    "count(last_over_time(tier:provider:latency_seconds:p95_5m:normal[1h]))"
                )
                assert baseline[0].value == len(list(estate.loaded.catalog.offers()))
                targets = {*sandbox.gateway_targets, *(server.metrics_address for server in sandbox.servers)}
                targets |= {server.gpu_metrics_address for server in sandbox.servers}
                targets.add(f"127.0.0.1:{sandbox.addresses.prometheus}")
                assert {one.labels["instance"] for one in await prometheus.query("up == 1")} == targets

                async def rules_were_read() -> bool:
                    return bool(await prometheus.query("tier:provider:info"))

                await eventually(rules_were_read)
                # Rules that look for something missing were never true.
                fired = await prometheus.query('count_over_time(ALERTS{alertname!="Watchdog"}[1h])')
                assert [one.labels["alertname"] for one in fired] == []
        assert exits == []
        assert gone(processes)
        assert not any(map(listens, ports))

    asyncio.run(run())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_process_that_holds_a_sandbox_is_killed(
    estate: Estate, temporary: Path, number: signal.Signals
) -> None:
    catalog = CHECKOUT / "catalogs" / "hybrid.yaml"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", HOLDER, str(catalog)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, env=environment) as holder:
        assert holder.stdout is not None
        said = json.loads(holder.stdout.readline())
        processes = descendants(said["supervisor"])
        assert len(processes) > 5
        assert Path(said["folder"]).parent == temporary
        holder.send_signal(number)
    wait_until(lambda: gone(processes) and not Path(said["folder"]).exists())


def test_a_process_that_ends_by_itself_is_told_and_the_others_go_on(
    stack: StackBinaries, estate: Estate, temporary: Path
) -> None:
    async def run() -> list[tuple[str, int]]:
        exits: list[tuple[str, int]] = []
        catalog, timing = estate.loaded.catalog, estate.timing
        async with Sandbox(catalog, stack, timing, on_exit=lambda *exit_: exits.append(exit_)) as sandbox:
            await start_sandbox(estate, sandbox)
            name = sandbox.gateway_names[0]
            await sandbox.stop_process(name)
            await sandbox.start_process(name)  # as a fault does: not told
            servers = [one for one in descendants(sandbox.supervisor.pid) if "alertmanager" in one.name()]
            servers[0].kill()

            async def told() -> bool:
                return bool(exits)

            await eventually(told)
            async with PrometheusClient(sandbox.addresses.prometheus_url) as prometheus:
                assert await prometheus.ready()
            os.kill(sandbox.supervisor.pid, signal.SIGKILL)

            async def told_of_the_supervisor() -> bool:
                return len(exits) == 2

            await eventually(told_of_the_supervisor)
            return exits

    assert asyncio.run(run()) == [("alertmanager", -signal.SIGKILL), (SUPERVISOR, -signal.SIGKILL)]


def broken(path: str, text: str) -> Callable[[dict[str, str]], dict[str, str]]:
    def edit(tree: dict[str, str]) -> dict[str, str]:
        assert path in tree
        return tree | {path: text}

    return edit


@pytest.mark.parametrize(
    ("path", "text", "error", "log"),
    [
        pytest.param(
            PROMETHEUS_FILE,
            "colour: blue\n",
            "^prometheus ended with code [12]$",
            "field colour not found",
            id="a setting that prometheus does not know",
        ),
        pytest.param(
            PROMETHEUS_FILE, "[", "^prometheus ended with code [12]$", "yaml: ", id="a configuration that is no YAML"
        ),
        pytest.param(
            "prometheus/rules/tiercli.yml",
            "groups: 3\n",
            "^prometheus does not accept its configuration: ",
            "cannot unmarshal",
            id="rules that prometheus does not read",
        ),
        pytest.param(
            "alertmanager/alertmanager.yml",
            "colour: blue\n",
            "^alertmanager ended with code 1$",
            "field colour not found",
            id="a setting that alertmanager does not know",
        ),
    ],
)
def test_a_server_that_does_not_start_is_named_with_the_end_of_its_log(
    stack: StackBinaries, estate: Estate, temporary: Path, path: str, text: str, error: str, log: str
) -> None:
    exits: list[tuple[str, int]] = []

    async def run() -> None:
        catalog, timing = estate.loaded.catalog, estate.timing
        async with Sandbox(catalog, stack, timing, on_exit=lambda *exit_: exits.append(exit_)) as sandbox:
            with pytest.raises(BackendError, match=error) as caught:
                await start_sandbox(estate, sandbox, broken(path, text))
            assert caught.value.hint.startswith("the end of its log: ")
            assert log in caught.value.hint

    asyncio.run(run())
    assert exits == []  # the error says it


def test_a_history_that_promtool_refuses_is_an_error(stack: StackBinaries, estate: Estate, temporary: Path) -> None:
    async def run() -> None:
        async with Sandbox(estate.loaded.catalog, stack, estate.timing) as sandbox:
            # Alertmanager ends by itself without a configuration, and then that is what went wrong.
            await sandbox.start(
                {ALERTMANAGER_FILE: "route: {receiver: none}\nreceivers: [{name: none}]\n"}, "no history\n"
            )

    with pytest.raises(BackendError, match=r"promtool could not backfill the history: .+"):
        asyncio.run(run())


def test_a_port_asked_for_is_used_and_one_that_is_taken_stops_everything(
    stack: StackBinaries, estate: Estate, temporary: Path
) -> None:
    async def run(port: int) -> str:
        async with Sandbox(estate.loaded.catalog, stack, estate.timing, ports={"prometheus": port}) as sandbox:
            return sandbox.addresses.prometheus_url

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BackendError, match=f"port {port} for prometheus cannot be used"):
            asyncio.run(run(port))
    assert asyncio.run(run(port)) == f"http://127.0.0.1:{port}"
    with pytest.raises(InvalidInput, match="70000 for prometheus is not a port"):
        asyncio.run(run(70_000))


def test_a_catalog_that_cannot_be_simulated_leaves_nothing(
    stack: StackBinaries, estate: Estate, temporary: Path
) -> None:
    aliases = {name: alias.model_copy(deep=True) for name, alias in estate.loaded.catalog.aliases.items()}
    name, alias = next(iter(aliases.items()))
    elsewhere = alias.candidates[0].model_copy(update={"region": "nowhere"})
    aliases[name] = alias.model_copy(update={"candidates": (elsewhere,)})
    catalog = estate.loaded.catalog.model_copy(update={"aliases": aliases})

    async def run() -> None:
        async with Sandbox(catalog, stack, estate.timing):
            pass

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(InvalidInput, match="cannot be simulated"):
        asyncio.run(run())
    assert set(psutil.Process().children(recursive=True)) <= before


def test_a_disk_that_takes_no_folder_is_an_error(
    stack: StackBinaries, estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with Sandbox(estate.loaded.catalog, stack, estate.timing):
            pass

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(BackendError, match="cannot make a folder for the sandbox") as caught:
        asyncio.run(run())
    assert "TMPDIR" in caught.value.hint


def test_two_sandboxes_run_beside_each_other(stack: StackBinaries, estate: Estate, temporary: Path) -> None:
    async def run() -> None:
        catalog, timing = estate.loaded.catalog, estate.timing
        async with Sandbox(catalog, stack, timing) as one, Sandbox(catalog, stack, timing) as other:
            await asyncio.gather(start_sandbox(estate, one), start_sandbox(estate, other))
            assert one.folder != other.folder
            assert set(one.gateway_targets).isdisjoint(other.gateway_targets)
            for sandbox in (one, other):
                async with PrometheusClient(sandbox.addresses.prometheus_url) as prometheus:
                    assert await prometheus.ready()

    asyncio.run(run())
