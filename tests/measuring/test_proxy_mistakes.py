"""What `tiercli proxy` refuses or warns of, and with which exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from measured_stand import CLAUDE, GPT, LLAMA, catalog_with
from proxy_process import KEY, proxy_process, run_scenario, upstream

from tests.clients.live_servers import free_port
from tests.conftest import Done
from tiercli.errors import ExitCode

Run = Callable[..., Done]


def test_beyond_loopback_it_says_what_that_means(tmp_path: Path) -> None:
    endpoint = {"url": "http://127.0.0.1:9", "listen": "0.0.0.0:0", "credential": {"env": "PROVIDER_KEY"}}
    catalog_with(GPT | endpoint, folder=tmp_path)
    with proxy_process(tmp_path, "--control", "0.0.0.0:0", environment={"PROVIDER_KEY": KEY}) as proxy:
        said = proxy.complaints()
    assert "a token protects it, but nothing encrypts it" in said
    assert "calls openai/ap-south-1 with its credential" in said


def test_every_mistake_in_the_endpoints_is_told_at_once(start_tiercli: Run, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    catalog_with(
        GPT | {"url": f"http://{address}", "listen": address, "credential": {"env": "NOT_SET_ANYWHERE"}},
        CLAUDE | {"url": "http://127.0.0.1:9", "listen": address, "ca_file": "not-there.pem"},
        LLAMA | {"url": "http://127.0.0.1:9?key=secret"},
        folder=tmp_path,
    )
    done = start_tiercli("proxy", "--catalog", str(tmp_path / "catalog.yaml"), "--env", "staging")
    assert done.returncode == ExitCode.INVALID_INPUT
    for said in (
        f"{address} is the address of the endpoint itself",
        "the environment variable NOT_SET_ANYWHERE is not set",
        f"another endpoint listens on {address} too",
        "not-there.pem: No such file or directory",
        "has a query",
    ):
        assert said in done.stderr
    assert "key=secret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--env", "stagin"], 2, "did you mean 'staging'?"),
        (["--env", "empty"], 2, "has no endpoints"),
        (["--env", "staging", "--control", "9465"], 2, "is not an address HOST:PORT"),
        (["--env", "staging", "--token-file", "not-there"], 2, "cannot read the token in not-there"),
        (["--env", "staging", "--audit-log", "/not/there/audit.jsonl"], 3, "cannot write the audit log"),
        (["--env", "staging", "--metrics", "{taken}"], 3, "cannot listen on"),
        (["--env", "staging", "--control", "{taken}"], 3, "cannot listen on"),
        (["--env", "taken"], 3, "another program uses it"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_told_with_its_exit_code(
    start_tiercli: Run, tmp_path: Path, arguments: list[str], code: int, said: str
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
        done = await asyncio.to_thread(start_tiercli, "proxy", "--catalog", str(path), *filled)
        await runner.cleanup()
        assert done.returncode == code, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr

    run_scenario(check)
