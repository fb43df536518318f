"""`tiercli proxy` as its user meets it: a process, real HTTP, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import uvloop
from aiohttp import web
from measured_stand import CLAUDE, GPT, LLAMA, catalog_with, openai_answer
from proxy_process import TOKEN, proxy_process
from upstreams import fake_anthropic, simulated

from tests.clients.live_servers import free_port
from tests.sandbox.gateway_stand import DONE, chunk
from tiercli.audit.record import record_decoder
from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import ExitCode
from tiercli.faults.control import FaultControl

Run = Callable[..., subprocess.CompletedProcess[str]]
KEY = "sk-not-to-be-seen"
ASKED = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}


async def upstream(seen: list[dict[str, str]], **more: Any) -> tuple[web.ServerRunner, int]:
    """A server that answers every call, and notes its headers."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(body=openai_answer(), content_type="application/json")

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, **more).start()
    return runner, runner.addresses[0][1]


def scenario(check: Callable[[], Awaitable[None]]) -> None:
    uvloop.run(check())  # type: ignore[arg-type]


async def until(found: Callable[[], bool]) -> None:
    """Wait for something that comes, though nobody can say when."""
    for _ in range(1000):
        if found():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come")


def test_calls_of_every_endpoint_pass_and_are_measured(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    async def check() -> None:
        async with simulated(hybrid.catalog, tmp_path) as urls, fake_anthropic() as (claude, _):
            catalog_with(
                GPT | {"url": urls["openai/ap-south-1"]},
                CLAUDE | {"url": claude},
                LLAMA | {"url": urls["vllm/mumbai-dc/vllm-a"]},
                folder=tmp_path,
            )
            with proxy_process(tmp_path) as proxy:
                listed = {one["name"]: one for one in proxy.said["endpoints"]}
                assert list(listed) == ["openai/ap-south-1", "anthropic/ap-south-1", "vllm/mumbai-dc/vllm-a"]
                assert listed["vllm/mumbai-dc/vllm-a"]["tier"] == "local"
                headers = {"x-tenant": "globex-media", "x-feature": "summary"}
                async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=20) as client:
                    for name, model, path in (
                        ("openai/ap-south-1", "gpt-5-mini", "chat/completions"),
                        ("anthropic/ap-south-1", "claude-sonnet-4-6", "messages"),
                        ("vllm/mumbai-dc/vllm-a", "llama-3.3-70b", "chat/completions"),
                    ):
                        for stream in (False, True):
                            body = {**ASKED, "model": model, "stream": stream}
                            answer = await client.post(f"{listed[name]['url']}/v1/{path}", json=body)
                            assert answer.status_code == 200, answer.text
                    log = tmp_path / "audit.jsonl"
                    await until(lambda: log.read_bytes().count(b"\n") == 6)
                    exposed = (await client.get(proxy.said["metrics"])).text
                assert stat.S_IMODE(log.stat().st_mode) == 0o600
                records = [record_decoder()(line) for line in log.read_bytes().splitlines()]
                assert {one.status for one in records} == {"success"}
                assert {one.model_alias for one in records} == {"chat", "smart-reasoner", "summariser"}
                counted = re.findall(r"^ai_gateway_requests_total\{.*\} (\S+)$", exposed, re.MULTILINE)
                assert [float(one) for one in counted] == [2, 2, 2]
                assert proxy.end(signal.SIGTERM) == ExitCode.OK
                assert proxy.complaints() == ""

    scenario(check)


@pytest.mark.parametrize(
    ("place", "own", "sent"),
    [
        (GPT, {"Authorization": "Bearer clients-own"}, {"authorization": f"Bearer {KEY}"}),
        (CLAUDE, {"x-api-key": "clients-own", "Authorization": "Bearer x"}, {"x-api-key": KEY}),
    ],
    ids=["openai", "anthropic"],
)
@pytest.mark.parametrize("kept_in", ["variable", "file"])
def test_the_endpoints_credential_takes_the_place_of_the_clients_and_is_never_told(
    tmp_path: Path, place: dict[str, str], own: dict[str, str], sent: dict[str, str], kept_in: str
) -> None:
    async def check() -> None:
        seen: list[dict[str, str]] = []
        runner, port = await upstream(seen)
        credential = {"env": "PROVIDER_KEY"} if kept_in == "variable" else {"file": "key"}
        (tmp_path / "key").write_text(KEY + "\n")
        catalog_with(place | {"url": f"http://127.0.0.1:{port}/", "credential": credential}, folder=tmp_path)
        try:
            with proxy_process(tmp_path, environment={"PROVIDER_KEY": KEY}) as proxy:
                headers = {**own, "x-tenant": "acme-corp", "x-alias": "chat"}
                path = "messages" if place is CLAUDE else "chat/completions"
                async with httpx.AsyncClient(trust_env=False) as client:
                    answer = await client.post(f"{proxy.url}/v1/{path}", json=ASKED, headers=headers)
                    assert answer.status_code == 200
                    told = (await client.get(proxy.said["metrics"])).text
                log = tmp_path / "audit.jsonl"
                await until(lambda: log.stat().st_size > 0)
                told += proxy.complaints() + log.read_text() + json.dumps(proxy.said)
        finally:
            await runner.cleanup()
        (headers,) = seen
        assert {name: headers.get(name) for name in ("authorization", "x-api-key") if name in headers} == sent
        assert not {"x-tenant", "x-alias"} & set(headers)  # who called is nothing to the provider
        assert headers.get("anthropic-version") == ("2023-06-01" if place is CLAUDE else None)
        assert KEY not in told
        assert TOKEN not in told

    scenario(check)


def test_without_a_credential_the_clients_own_passes(tmp_path: Path) -> None:
    async def check() -> None:
        seen: list[dict[str, str]] = []
        runner, port = await upstream(seen)
        catalog_with(CLAUDE | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        own = {"x-api-key": "clients-own", "anthropic-version": "2099-01-01"}
        try:
            with proxy_process(tmp_path) as proxy:
                async with httpx.AsyncClient(trust_env=False) as client:
                    await client.post(f"{proxy.url}/v1/messages", json=ASKED, headers=own)
        finally:
            await runner.cleanup()
        assert own.items() <= seen[0].items()

    scenario(check)


def test_an_upstreams_certificate_is_checked_by_the_file_that_the_catalog_names(tmp_path: Path) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def check() -> None:
        seen: list[dict[str, str]] = []
        runner, port = await upstream(seen, ssl_context=context)
        url = f"https://localhost:{port}"
        catalog_with(GPT | {"url": url, "ca_file": "ca.pem"}, {**CLAUDE, "wire": "openai", "url": url}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                async with httpx.AsyncClient(trust_env=False) as client:
                    urls = [f"{one['url']}/v1/chat/completions" for one in proxy.said["endpoints"]]
                    trusted, other = [(await client.post(url, json=ASKED)).status_code for url in urls]
        finally:
            await runner.cleanup()
        assert (trusted, other, len(seen)) == (200, 502, 1)

    scenario(check)


def test_the_control_api_wants_the_token_and_names_the_routes(tmp_path: Path) -> None:
    async def check() -> None:
        runner, port = await upstream([])
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                async with FaultControl(proxy.control, "wrong") as stranger:
                    with pytest.raises(Exception, match="401"):
                        await stranger.routes()
                async with FaultControl(proxy.control, TOKEN) as control:
                    (route,) = await control.routes()
                    assert f"http://{route.address}" == proxy.url
                    assert route.labels == {"provider": "openai", "region": "ap-south-1", "tier": "cloud"}
                    assert {"outage", "latency", "refusal-drift"} <= set(route.faults)
        finally:
            await runner.cleanup()

    scenario(check)


@pytest.mark.parametrize("given", ["file", "made"])
def test_the_token_is_a_files_or_made_in_one_that_only_its_owner_can_read(tmp_path: Path, given: str) -> None:
    async def check() -> None:
        catalog_with(GPT | {"url": "http://127.0.0.1:9"}, folder=tmp_path)
        (tmp_path / "token").write_text("from-a-file\n")
        arguments = ["--token-file", "token"] if given == "file" else []
        with proxy_process(tmp_path, *arguments, token="not-this-one" if given == "file" else None) as proxy:
            path = tmp_path / proxy.said["control"]["token_file"]
            if given == "made":
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            async with FaultControl(proxy.control, path.read_text().strip()) as control:
                assert len(await control.routes()) == 1
            assert proxy.end(signal.SIGTERM) == ExitCode.OK
            assert path.exists() == (given == "file")

    scenario(check)


def test_a_fault_ends_within_its_lease_when_whoever_set_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from tiercli.faults.control import FaultControl\n"
        "async def main():\n"
        "    async with FaultControl(sys.argv[1], sys.argv[2]) as control:\n"
        "        await control.apply('errors', {'provider': 'openai'}, {'share': 1}, lease_s=1)\n"
        "        print('on', flush=True)\n"
        "        while True:\n"
        "            await control.renew_all()\n"
        "            await asyncio.sleep(0.1)\n"
        "asyncio.run(main())\n"
    )

    async def check() -> None:
        runner, port = await upstream([])
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                drill = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", code, proxy.control, TOKEN, stdout=subprocess.PIPE
                )
                assert drill.stdout is not None
                assert await drill.stdout.readline() == b"on\n"
                try:
                    async with httpx.AsyncClient(trust_env=False) as client:
                        for _ in range(4):  # it is renewed beyond its lease
                            answer = await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED)
                            assert answer.status_code == 500
                            await asyncio.sleep(0.5)
                        drill.kill()
                        end = time.monotonic() + 30
                        while answer.status_code != 200:
                            assert time.monotonic() < end, "the fault is still on"
                            answer = await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED)
                    async with FaultControl(proxy.control, TOKEN) as control:
                        assert await control.active() == ()
                finally:
                    if drill.returncode is None:
                        drill.kill()
                    await drill.wait()
        finally:
            await runner.cleanup()

    scenario(check)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, ExitCode.OK), (signal.SIGINT, ExitCode.INTERRUPTED)], ids=["TERM", "INT"]
)
def test_a_call_under_way_comes_to_its_end_before_the_proxy_does(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async def check() -> None:
        over = asyncio.Event()

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(chunk("a"))
            await over.wait()
            await response.write(DONE)
            return response

        runner = web.ServerRunner(web.Server(serve), shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        catalog_with(GPT | {"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path) as proxy:
                async with (
                    aiohttp.ClientSession() as client,
                    client.post(f"{proxy.url}/v1/chat/completions", json={**ASKED, "stream": True}) as answer,
                ):
                    assert await answer.content.readany() == chunk("a")
                    proxy.process.send_signal(number)
                    await until(lambda: not _listens(proxy.url))
                    over.set()
                    assert await answer.content.readany() == DONE
                assert await asyncio.to_thread(proxy.process.wait, 30) == code
                (line,) = (tmp_path / "audit.jsonl").read_bytes().splitlines()
                assert record_decoder()(line).status == "success"
        finally:
            await runner.cleanup()

    scenario(check)


def _listens(url: str) -> bool:
    try:
        httpx.get(url, trust_env=False, timeout=0.2)
    except httpx.ConnectError:
        return False
    except httpx.TimeoutException:
        return True
    return True


def test_it_goes_on_in_a_new_file_when_the_log_is_rotated(tmp_path: Path) -> None:
    async def check() -> None:
        runner, port = await upstream([])
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        log, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
        try:
            with proxy_process(tmp_path) as proxy:
                async with httpx.AsyncClient(trust_env=False) as client:
                    await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED)
                    await until(lambda: log.read_bytes().count(b"\n") == 1)
                    log.rename(old)
                    await until(log.exists)
                    await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED)
                    await until(lambda: log.read_bytes().count(b"\n") == 1)
                    assert old.read_bytes().count(b"\n") == 1
        finally:
            await runner.cleanup()

    scenario(check)


def test_without_measuring_nothing_is_served_or_written_and_an_outage_refuses(tmp_path: Path) -> None:
    async def check() -> None:
        seen: list[dict[str, str]] = []
        runner, port = await upstream(seen)
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}"}, folder=tmp_path)
        try:
            with proxy_process(tmp_path, "--no-measure") as proxy:
                async with httpx.AsyncClient(trust_env=False) as client:
                    headers = {"x-tenant": "acme-corp"}
                    await client.post(f"{proxy.url}/v1/chat/completions", json=ASKED, headers=headers)
                    assert (proxy.said["metrics"], proxy.said["audit_log"]) == (None, None)
                    assert not (tmp_path / "audit.jsonl").exists()
                    assert seen[0]["x-tenant"] == "acme-corp"  # a gateway behind it may want it
                # A client of its own: what was open is reset, and this is about what is new.
                async with FaultControl(proxy.control, TOKEN) as control, httpx.AsyncClient(trust_env=False) as client:
                    await control.apply("outage", {"provider": "openai"})
                    with pytest.raises(httpx.ConnectError):
                        await client.get(proxy.url)
        finally:
            await runner.cleanup()

    scenario(check)


def test_beyond_loopback_it_says_what_that_means(tmp_path: Path) -> None:
    endpoint = {"url": "http://127.0.0.1:9", "listen": "0.0.0.0:0", "credential": {"env": "PROVIDER_KEY"}}
    catalog_with(GPT | endpoint, folder=tmp_path)
    with proxy_process(tmp_path, "--control", "0.0.0.0:0", environment={"PROVIDER_KEY": KEY}) as proxy:
        said = proxy.complaints()
    assert "a token protects it, but nothing encrypts it" in said
    assert "calls openai/ap-south-1 with its credential" in said


def test_every_mistake_in_the_endpoints_is_told_at_once(run_tiercli: Run, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    catalog_with(
        GPT | {"url": f"http://{address}", "listen": address, "credential": {"env": "NOT_SET_ANYWHERE"}},
        CLAUDE | {"url": "http://127.0.0.1:9", "listen": address, "ca_file": "not-there.pem"},
        LLAMA | {"url": "http://127.0.0.1:9?key=secret", "listen": "127.0.0.1:99999"},
        folder=tmp_path,
    )
    done = run_tiercli("proxy", "--catalog", str(tmp_path / "catalog.yaml"), "--env", "staging")
    assert done.returncode == ExitCode.INVALID_INPUT
    for said in (
        f"{address} is the endpoint itself",
        "the environment variable NOT_SET_ANYWHERE is not set",
        f"{address} is another endpoint's too",
        "not-there.pem: No such file or directory",
        "99999 is not a port",
        "a query",
    ):
        assert said in done.stderr
    assert "key=secret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--env", "stagin"], 2, "did you mean 'staging'?"),
        (["--env", "empty"], 2, "names no endpoints"),
        (["--env", "staging", "--control", "9465"], 2, "is not an address to listen on"),
        (["--env", "staging", "--token-file", "not-there"], 2, "cannot read the token in not-there"),
        (["--env", "staging", "--audit-log", "/not/there/audit.jsonl"], 3, "cannot write the audit log"),
        (["--env", "staging", "--metrics", "{taken}"], 3, "cannot be listened on"),
        (["--env", "staging", "--control", "{taken}"], 3, "cannot listen on"),
        (["--env", "taken"], 3, "another program has it"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_told_with_its_exit_code(
    run_tiercli: Run, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    async def check() -> None:
        runner, port = await upstream([])
        taken = f"127.0.0.1:{port}"
        catalog_with(GPT | {"url": "http://127.0.0.1:9"}, folder=tmp_path)
        path = tmp_path / "catalog.yaml"
        more = "  empty: {}\n  taken: {endpoints: [{provider: openai, region: ap-south-1, url: 'http://x', listen: '%s'}]}\n"
        path.write_text(path.read_text() + more % taken)
        filled = [one.replace("{taken}", taken) for one in arguments]
        if "--audit-log" not in filled:
            filled += ["--audit-log", str(tmp_path / "audit.jsonl")]
        defaults = {"--control": "127.0.0.1:0", "--metrics": "127.0.0.1:0"}
        filled += [part for name, value in defaults.items() if name not in filled for part in (name, value)]
        done = await asyncio.to_thread(run_tiercli, "proxy", "--catalog", str(path), *filled)
        await runner.cleanup()
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr

    scenario(check)


def test_it_may_open_as_many_connections_as_the_system_allows(tmp_path: Path) -> None:
    catalog_with(GPT | {"url": "http://127.0.0.1:9"}, folder=tmp_path)
    with proxy_process(tmp_path) as proxy:
        limits = Path(f"/proc/{proxy.process.pid}/limits").read_text()
        soft, hard = re.findall(r"^Max open files\s+(\S+)\s+(\S+)", limits, re.MULTILINE)[0]
        assert soft == hard
