"""What goes wrong when a fault is turned on or off: what is said, with which exit code, and that no secret is in it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.clients.live_servers import free_port
from tests.faults.environment.live_processes import processes_with
from tests.faults.environment.loopback import Asked, serving
from tests.faults.environment.stands import (
    MUMBAI,
    SECRET,
    SECRET_VARIABLE,
    Deployment,
    hook_stand,
    injectors_of,
    write_catalog,
)
from tests.faults.environment.toxiproxy_fake import fake_toxiproxy
from tiercli.catalog.loading import load_catalog
from tiercli.errors import BackendError, ExitCode, FaultNotReverted, TiercliError
from tiercli.faults.environment.live import LiveInjectors, note_name

NOTE = note_name("staging", os.getpid())


@pytest.fixture(autouse=True)
def _no_undoer_goes_on(tmp_path: Path) -> Iterator[None]:
    """One that has something left tries for half a minute more, at a port that may be another test's by then."""
    yield
    for pid in processes_with(str(tmp_path)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def commands(folder: Path, on: list[str], off: list[str], within: str = "20s") -> Path:
    command = {"fault": "gateway-down", "on": on, "off": off, "within": within}
    return write_catalog(folder, {"commands": [command]})


def failure(
    catalog: Path,
    fault: str = "gateway-down",
    target: dict[str, str] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> TiercliError:
    """What applying a fault, doing something meanwhile, and clearing it by leaving raises."""

    async def scenario() -> None:
        async with injectors_of(catalog) as live:
            await live.apply(fault, target or {}, {})
            meanwhile()

    with pytest.raises(TiercliError) as caught:
        asyncio.run(scenario())
    return caught.value


def test_a_command_that_fails_is_said_with_the_end_of_what_it_printed_and_undone(tmp_path: Path) -> None:
    script = "seq 1 4000; echo no such deployment >&2; touch half-done; exit 7"
    error = failure(commands(tmp_path, sh(script), sh("rm -f half-done")))
    assert isinstance(error, BackendError)
    assert error.message.startswith("gateway-down could not be turned on: exit code 7: …")
    assert error.message.endswith("no such deployment")
    assert len(error.message) < 700
    assert not (tmp_path / "half-done").exists()
    assert not (tmp_path / "run" / NOTE).exists()


def test_a_command_that_takes_too_long_is_ended_with_what_it_started_and_undone(tmp_path: Path) -> None:
    script = "touch half-done; (trap '' TERM; while true; do sleep 0.1; touch alive; done) & sleep 600"
    error = failure(commands(tmp_path, sh(script), sh("rm -f half-done"), within="1s"))
    assert isinstance(error, BackendError)
    assert "not done within 1 s" in error.message
    assert not (tmp_path / "half-done").exists()
    (tmp_path / "alive").unlink()
    asyncio.run(asyncio.sleep(0.5))
    assert not (tmp_path / "alive").exists()


def test_a_command_may_leave_a_process_running(tmp_path: Path) -> None:
    """What makes the fault may be a process; it holds the command's output open, and nobody waits for that."""
    on = sh("sleep 600 & echo $! > pid")
    off = sh("kill $(cat pid) && rm pid")

    async def scenario() -> None:
        async with injectors_of(commands(tmp_path, on, off)) as live:
            await live.apply("gateway-down", {}, {})
            assert (tmp_path / "pid").exists()

    asyncio.run(scenario())
    assert not (tmp_path / "pid").exists()


def test_a_program_that_is_gone_since_it_was_looked_for_is_said(tmp_path: Path) -> None:
    error = failure(commands(tmp_path, ["./gone"], sh("true")))
    assert isinstance(error, BackendError)
    assert "./gone cannot be run: No such file or directory" in error.message


def test_a_fault_that_cannot_be_turned_off_is_exit_code_4_with_what_to_do_by_hand(tmp_path: Path) -> None:
    error = failure(commands(tmp_path, sh("true"), sh("echo cluster is busy; exit 1")))
    assert error.exit_code == ExitCode.FAULT_NOT_REVERTED
    assert error.message == "gateway-down may still be on: exit code 1: cluster is busy"
    assert error.hint == f"by hand: cd {tmp_path} && sh -c 'echo cluster is busy; exit 1'"
    assert "cluster is busy" in (tmp_path / "run" / NOTE).read_text()


def test_a_fault_that_can_neither_be_turned_on_nor_undone_is_exit_code_4(tmp_path: Path) -> None:
    error = failure(commands(tmp_path, sh("exit 3"), sh("exit 5")))
    assert isinstance(error, FaultNotReverted)
    assert "turning it on failed (exit code 3), and so did undoing it: exit code 5" in error.message


def test_one_fault_that_cannot_be_turned_off_does_not_keep_the_others_on(tmp_path: Path) -> None:
    injectors = [
        {"fault": "gateway-down", "on": ["touch", "one"], "off": ["rm", "one"]},
        {"fault": "replica-down", "on": ["touch", "two"], "off": ["false"]},
        {"fault": "audit-silence", "on": ["touch", "three"], "off": ["rm", "three"]},
    ]

    async def scenario() -> None:
        async with injectors_of(write_catalog(tmp_path, {"commands": injectors})) as live:
            for injector in injectors:
                await live.apply(str(injector["fault"]), {}, {})

    with pytest.raises(FaultNotReverted, match="replica-down may still be on"):
        asyncio.run(scenario())
    assert [path.name for path in tmp_path.iterdir() if path.name in ("one", "two", "three")] == ["two"]
    note = (tmp_path / "run" / NOTE).read_text()
    assert "replica-down" in note
    assert "gateway-down" not in note


@pytest.mark.parametrize("status", [500, 401, 302])
def test_a_hook_that_does_not_answer_with_success_is_an_error_without_the_secret_that_it_repeats(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    deployment = Deployment()
    deployment.on_is_broken = status
    with hook_stand(tmp_path, deployment) as stand:
        error = failure(stand.catalog)
    assert isinstance(error, BackendError)
    assert f"HTTP {status}: " in error.message
    assert "Bearer (secret)" in error.message
    assert SECRET not in error.message + error.hint
    assert [asked.body for asked in deployment.asked] == ['{"replicas": 0}', '{"replicas": 2}']


def test_a_hook_that_fails_to_undo_is_exit_code_4_without_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    deployment = Deployment()
    with hook_stand(tmp_path, deployment) as stand:
        error = failure(stand.catalog, meanwhile=lambda: setattr(deployment, "broken", 503))
        assert isinstance(error, FaultNotReverted)
        assert f"${SECRET_VARIABLE}" in error.hint
        assert SECRET not in error.message + error.hint
        assert deployment.down


@pytest.mark.parametrize("form", ["as it was sent", "decoded", "the password alone"])
def test_no_form_of_a_user_and_password_is_repeated(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, f"operator:{SECRET}")
    encoded = base64.b64encode(f"operator:{SECRET}".encode()).decode()

    def answer(asked: Asked) -> tuple[int, str]:
        assert asked.headers["Authorization"] == f"Basic {encoded}"
        return 403, {"as it was sent": encoded, "decoded": f"operator:{SECRET}", "the password alone": SECRET}[form]

    with serving(answer) as url:
        call = {"url": url, "credential": {"env": SECRET_VARIABLE, "scheme": "basic"}}
        catalog = write_catalog(tmp_path, {"hooks": [{"fault": "gateway-down", "on": call, "off": call}]})
        error = failure(catalog)
    assert "HTTP 403: (secret)" in error.message
    assert SECRET not in error.message
    assert encoded not in error.message


def test_a_hook_whose_server_does_not_answer_is_said(tmp_path: Path) -> None:
    call = {"url": f"http://127.0.0.1:{free_port()}/on"}
    undone: list[Asked] = []

    def answer(asked: Asked) -> tuple[int, str]:
        undone.append(asked)
        return 200, "{}"

    with serving(answer) as url:
        catalog = write_catalog(tmp_path, {"hooks": [{"fault": "gateway-down", "on": call, "off": {"url": url}}]})
        error = failure(catalog)
    assert "could not be turned on: Connection refused" in error.message
    assert len(undone) == 1


def test_a_toxiproxy_that_goes_away_leaves_the_fault_on_and_says_what_to_do(tmp_path: Path) -> None:
    with fake_toxiproxy("mumbai") as fake:
        catalog = write_catalog(tmp_path, {"toxiproxy": {"url": fake.url, "proxies": {"mumbai": MUMBAI}}})
        error = failure(catalog, "outage", MUMBAI, lambda: setattr(fake, "broken", 500))
        assert isinstance(error, FaultNotReverted)
        assert "outage on provider=anthropic, region=ap-south-1 may still be on: HTTP 500" in error.message
        assert f"-d '{{\"enabled\": true}}' {fake.url}/proxies/mumbai" in error.hint


def test_a_proxy_that_is_deleted_meanwhile_is_as_good_as_off(tmp_path: Path) -> None:
    async def scenario(catalog: Path) -> None:
        async with injectors_of(catalog) as live:
            await live.apply("outage", MUMBAI, {})
            await live.apply("latency", MUMBAI | {"region": "us-east-1"}, {"seconds": 1})
            fake.proxies.clear()

    with fake_toxiproxy("mumbai", "virginia") as fake:
        proxies: dict[str, Any] = {"mumbai": MUMBAI, "virginia": MUMBAI | {"region": "us-east-1"}}
        asyncio.run(scenario(write_catalog(tmp_path, {"toxiproxy": {"url": fake.url, "proxies": proxies}})))


def test_a_drill_that_cannot_leave_a_note_turns_nothing_on(tmp_path: Path) -> None:
    catalog = commands(tmp_path, ["touch", "down"], ["rm", "-f", "down"])
    (tmp_path / "run" / NOTE).mkdir(parents=True)
    error = failure(catalog)
    assert isinstance(error, BackendError)
    assert "cannot write" in error.message
    assert not (tmp_path / "down").exists()
    (tmp_path / "run" / NOTE).rmdir()
    (tmp_path / "run").rmdir()
    (tmp_path / "run").write_text("a file")
    assert "cannot start the undoer" in failure(catalog).message


def test_without_a_run_folder_the_note_is_in_the_folder_of_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    loaded = load_catalog(commands(tmp_path, ["touch", "down"], ["rm", "-f", "down"]))
    note = tmp_path / "state" / "tiercli" / NOTE

    async def scenario() -> None:
        environment = loaded.catalog.environments["staging"]
        async with LiveInjectors(environment, "staging", tmp_path, loaded.document.locate) as live:
            await live.apply("gateway-down", {}, {})
            assert f"by hand: cd {tmp_path} && rm -f down" in note.read_text()

    asyncio.run(scenario())
    assert not note.exists()


def test_a_certificate_is_checked_by_the_catalogs_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    asked: list[Asked] = []

    def answer(one: Asked) -> tuple[int, str]:
        asked.append(one)
        return 200, "{}"

    with serving(answer, certificate=tmp_path / "server.pem", key=tmp_path / "server.pem") as url:
        call = {"url": url.replace("127.0.0.1", "localhost")}
        trusting = call | {"ca_file": "ca.pem"}
        hooks = [{"fault": "gateway-down", "on": trusting, "off": trusting}]
        asyncio.run(_on_and_off(write_catalog(tmp_path, {"hooks": hooks})))
        assert len(asked) == 2
        error = failure(write_catalog(tmp_path, {"hooks": [{"fault": "gateway-down", "on": call, "off": trusting}]}))
        assert "certificate verify failed" in error.message.lower()
        assert len(asked) == 3


async def _on_and_off(catalog: Path) -> None:
    async with injectors_of(catalog) as live:
        await live.apply("gateway-down", {}, {})


def test_a_fault_that_is_being_turned_on_when_the_drill_is_cancelled_is_off_in_the_end(tmp_path: Path) -> None:
    catalog = commands(tmp_path, sh("touch began; sleep 600"), sh("rm began"))

    async def drill() -> None:
        async with injectors_of(catalog) as live:
            await live.apply("gateway-down", {}, {})

    async def scenario() -> None:
        task = asyncio.create_task(drill())
        async with asyncio.timeout(20):
            while not (tmp_path / "began").exists():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert not (tmp_path / "began").exists()
