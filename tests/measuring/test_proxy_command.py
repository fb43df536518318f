"""`tiercli proxy` as its user meets it: a process, real HTTP, credentials, certificates, what it prints."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import ssl
import stat
import subprocess
from pathlib import Path

import httpx
import pytest
from measured_stand import CLAUDE, GPT, LLAMA, catalog_with
from proxy_process import ASKED, KEY, TOKEN, proxy_process, run_scenario, until, upstream
from upstreams import fake_anthropic, simulated

from tiercli.audit.record import record_decoder
from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import ExitCode


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

    run_scenario(check)


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

    run_scenario(check)


@pytest.mark.parametrize("asked", ["by the option", "by the catalog", "not at all"])
def test_a_caller_is_hashed_when_asked_and_is_nothing_to_the_provider(tmp_path: Path, asked: str) -> None:
    async def check() -> None:
        seen: list[dict[str, str]] = []
        runner, port = await upstream(seen)
        catalog_with(GPT | {"url": f"http://127.0.0.1:{port}/"}, folder=tmp_path)
        if asked == "by the catalog":
            text = (tmp_path / "catalog.yaml").read_text()
            (tmp_path / "catalog.yaml").write_text(text.replace("audit:\n", "audit:\n  hash_callers: true\n", 1))
        try:
            with proxy_process(tmp_path, *(["--hash-caller"] if asked == "by the option" else [])) as proxy:
                async with httpx.AsyncClient(trust_env=False) as client:
                    url, headers = f"{proxy.url}/v1/chat/completions", {"x-caller": "ana"}
                    assert (await client.post(url, json=ASKED, headers=headers)).status_code == 200
                log = tmp_path / "audit.jsonl"
                await until(lambda: log.stat().st_size > 0)
        finally:
            await runner.cleanup()
        expected = "ana" if asked == "not at all" else hashlib.sha256(b"ana").hexdigest()[:16]
        assert record_decoder()(log.read_bytes()).caller == expected
        assert "x-caller" not in seen[0]

    run_scenario(check)


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

    run_scenario(check)


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

    run_scenario(check)


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

    run_scenario(check)


def test_it_may_open_as_many_connections_as_the_system_allows(tmp_path: Path) -> None:
    catalog_with(GPT | {"url": "http://127.0.0.1:9"}, folder=tmp_path)
    with proxy_process(tmp_path) as proxy:
        limits = Path(f"/proc/{proxy.process.pid}/limits").read_text()
        soft, hard = re.findall(r"^Max open files\s+(\S+)\s+(\S+)", limits, re.MULTILINE)[0]
        assert soft == hard
