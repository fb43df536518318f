"""The load itself: a real Locust against a small real server."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
import statistics
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from tiercli.catalog.loading import LoadedCatalog
from tiercli.drills.load.locust import locust_process, tail_windows
from tiercli.drills.load.plan import Endpoint, LoadWay, build_load_plan
from tiercli.drills.record.events import LoadWindow
from tiercli.drills.spec.model import Load

pytestmark = pytest.mark.drill

RATE = 40.0
SECONDS = 6.0
# What a stream ends with, by OpenAI's and Anthropic's API.
LAST = {
    "/v1/chat/completions": b"data: [DONE]\n\n",
    "/v1/messages": b'event: message_stop\ndata: {"type": "message_stop"}\n\n',
}
CHUNK = b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'


class Upstream:
    """A server that answers well, stalls, fails, or breaks its streams off."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.calls: Counter[tuple[str, str, bool]] = Counter()
        self.headers: list[dict[str, str]] = []

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.calls[body["model"], request.headers["x-tenant"], bool(body["stream"])] += 1
        self.headers.append(dict(request.headers))
        if self.behaviour == "stalls":
            await asyncio.sleep(60)
        if self.behaviour == "fails":
            return web.Response(status=500)
        if not body["stream"]:
            return web.json_response({"choices": []})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await asyncio.sleep(0.2)
        await response.prepare(request)
        await response.write(CHUNK)
        if self.behaviour != "breaks streams":
            await asyncio.sleep(0.3)
            await response.write(LAST[request.path])
        await response.write_eof()
        return response


async def run_load(
    loaded: LoadedCatalog,
    folder: Path,
    upstream: Upstream,
    load: Load,
    way: Callable[[int], LoadWay] = lambda port: LoadWay(f"http://127.0.0.1:{port}"),
    trust: ssl.SSLContext | None = None,
) -> list[LoadWindow]:
    """What Locust wrote in some seconds against the upstream, which it reaches by `way` of its port."""
    app = web.Application()
    for path in LAST:
        app.router.add_post(path, upstream.complete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
    await site.start()
    port = runner.addresses[0][1]
    windows_file = folder / "windows.jsonl"
    plan = build_load_plan(load, loaded.catalog, way=way(port), windows_file=windows_file, factor=1)
    spec = locust_process(plan, folder / "plan.json", folder / "log")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(spec.argv, env={**os.environ, **spec.env}, stdout=log, stderr=log)  # noqa: ASYNC220 - it starts at once
    windows: list[LoadWindow] = []

    async def collect() -> None:
        async for window in tail_windows(windows_file):
            windows.append(window)
            ended = any(
                window.succeeded or window.failed for window in windows
            )  # on a busy machine the first takes a while
            if ended and sum(window.seconds for window in windows) >= SECONDS:
                return

    try:
        await asyncio.wait_for(collect(), 90)
    finally:
        process.terminate()
        process.wait(20)
        await runner.cleanup()
    return windows


def load_of(**changes: object) -> Load:
    """A load of 40 requests a second, a third of them streamed."""
    return Load.model_validate({"arrivals_per_second": RATE, "stream_share": 0.33, **changes})


def started_rate(windows: list[LoadWindow]) -> float:
    """Requests a second, the first second of spawning users left out."""
    steady = windows[2:]
    return sum(one.started for one in steady) / sum(one.seconds for one in steady)


@pytest.mark.parametrize("behaviour", ["answers", "stalls"])
def test_arrivals_are_open_whatever_the_upstream_does(hybrid: LoadedCatalog, tmp_path: Path, behaviour: str) -> None:
    windows = asyncio.run(run_load(hybrid, tmp_path, Upstream(behaviour), load_of()))
    assert started_rate(windows) == pytest.approx(RATE, rel=0.3)
    if behaviour == "stalls":
        assert windows[-1].in_flight > 100
        assert sum(one.succeeded for one in windows) == 0


def test_the_mix_streams_and_the_first_token_are_as_planned(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    upstream = Upstream("answers")
    load = load_of(mix={"aliases": {"smart-reasoner": 3, "chat": 1}, "tenants": {"globex-media": 1, "acme-corp": 1}})
    windows = asyncio.run(run_load(hybrid, tmp_path, upstream, load))
    calls = sum(upstream.calls.values())
    by_alias = Counter(dict.fromkeys(("smart-reasoner", "chat"), 0))
    for (alias, _, _), count in upstream.calls.items():
        by_alias[alias] += count
    assert by_alias["smart-reasoner"] / calls == pytest.approx(0.75, abs=0.12)
    assert not any(tenant == "acme-corp" and alias == "smart-reasoner" for alias, tenant, _ in upstream.calls)
    assert sum(count for (_, _, stream), count in upstream.calls.items() if stream) / calls == pytest.approx(
        0.33, abs=0.12
    )
    first = [one.ttft_p95_s for one in windows if one.ttft_p95_s is not None]
    assert first
    assert all(seconds >= 0.2 for seconds in first), first
    # The upstream sends the rest 0.3 s later; what a busy machine adds before the first token delays the rest as well.
    whole = [one.p95_s for one in windows if one.ttft_p95_s is not None and one.p95_s is not None]
    assert statistics.median(first) <= statistics.median(whole) - 0.25, (first, whole)
    assert sum(one.failed for one in windows) == 0


@pytest.mark.parametrize(("behaviour", "share"), [("fails", 1.0), ("breaks streams", 0.33)])
def test_what_fails_for_a_client_is_counted(
    hybrid: LoadedCatalog, tmp_path: Path, behaviour: str, share: float
) -> None:
    windows = asyncio.run(run_load(hybrid, tmp_path, Upstream(behaviour), load_of()))
    failed, succeeded = sum(one.failed for one in windows), sum(one.succeeded for one in windows)
    assert failed / (failed + succeeded) == pytest.approx(share, abs=0.12)


def test_an_operators_own_locustfile_is_run_in_place_of_ours(hybrid: LoadedCatalog, tmp_path: Path) -> None:
    plan = build_load_plan(
        load_of(), hybrid.catalog, way=LoadWay("http://127.0.0.1:1"), windows_file=tmp_path / "w", factor=1
    )
    spec = locust_process(plan, tmp_path / "plan.json", tmp_path / "log", "theirs.py")
    assert "theirs.py" in spec.argv
    assert "--users" in spec.argv
    assert json.loads((tmp_path / "plan.json").read_text())["base_url"] == "http://127.0.0.1:1"


@pytest.mark.parametrize("behaviour", ["answers", "breaks streams"])
def test_an_endpoint_is_called_as_its_wire_wants(hybrid: LoadedCatalog, tmp_path: Path, behaviour: str) -> None:
    upstream = Upstream(behaviour)

    def direct(port: int) -> LoadWay:
        place = Endpoint(f"http://127.0.0.1:{port}", "anthropic", "claude-sonnet-4-6")
        return LoadWay(
            place.url, endpoints={"smart-reasoner": (place,)}, keys={"": "Bearer a", "globex-media": "Bearer g"}
        )

    load = load_of(mix={"aliases": {"smart-reasoner": 1}})
    windows = asyncio.run(run_load(hybrid, tmp_path, upstream, load, direct))
    failed, succeeded = sum(one.failed for one in windows), sum(one.succeeded for one in windows)
    # A stream is whole when it says so, by this API's own word.
    assert failed / (failed + succeeded) == pytest.approx(0 if behaviour == "answers" else 0.33, abs=0.12)
    assert {model for model, _, _ in upstream.calls} == {"claude-sonnet-4-6"}
    for headers in upstream.headers:
        assert headers["anthropic-version"] == "2023-06-01"
        assert headers["x-alias"] == "smart-reasoner"
        assert headers["Authorization"] == ("Bearer g" if headers["x-tenant"] == "globex-media" else "Bearer a")
    assert "Bearer" not in (tmp_path / "plan.json").read_text(encoding="utf-8")


# The server's side of connections that a client broke off in the handshake is closed when it is collected: here, and not in
# whatever test comes next.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("known", [True, False])
def test_no_key_goes_to_whom_no_certificate_speaks_for(hybrid: LoadedCatalog, tmp_path: Path, known: bool) -> None:
    authority, trust = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(trust)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    upstream = Upstream("answers")

    def secured(port: int) -> LoadWay:
        return LoadWay(
            f"https://127.0.0.1:{port}", keys={"": "Bearer a"}, ca_file=str(tmp_path / "ca.pem") if known else None
        )

    windows = asyncio.run(run_load(hybrid, tmp_path, upstream, load_of(), secured, trust))
    succeeded, failed = sum(one.succeeded for one in windows), sum(one.failed for one in windows)
    assert (succeeded > 0, failed > 0) == (known, not known)
    assert bool(upstream.headers) == known
    gc.collect()
