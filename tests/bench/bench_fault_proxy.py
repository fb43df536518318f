"""How fast the fault proxy is: calls per second with the proxy on one core, and the latency it adds.

Run as a script: python tests/bench/bench_fault_proxy.py [--json]. The proxy has one core to itself; a small upstream and
a load generator, in processes of their own, share the others. Measured twice: as it stands in a sandbox, and as `tiercli
proxy` with everything counted and written down. Exit code 1 where a figure misses what is asked of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import psutil
import uvloop
import yaml

NEEDED_CALLS_PER_S = 3000
NEEDED_ADDED_MS = 3.0
BODY = json.dumps({"model": "gpt-5-mini", "messages": [{"role": "user", "content": "word " * 40}]}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer none\r\nx-tenant: acme-corp\r\nx-feature: chat\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
ANSWER_BODY = json.dumps(
    {
        "choices": [{"message": {"role": "assistant", "content": "word " * 80}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 80, "total_tokens": 120},
    }
).encode()
HYBRID = Path(__file__).resolve().parent.parent.parent / "catalogs" / "hybrid.yaml"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER_BODY)
) + ANSWER_BODY


@dataclass
class Figures:
    """What was measured, one entry a round."""

    cores: int
    calls_per_s: list[float] = field(default_factory=list)
    proxy_cpu_ms_per_call: list[float] = field(default_factory=list)
    proxy_core_share: list[float] = field(default_factory=list)
    direct_median_ms: list[float] = field(default_factory=list)
    proxied_median_ms: list[float] = field(default_factory=list)
    added_median_ms: list[float] = field(default_factory=list)
    proxy_memory_mb: float = 0.0


class _Upstream(asyncio.Protocol):
    """Answers every request with the same bytes; requests are whole when their length has arrived."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (head := self.waiting.find(b"\r\n\r\n")) >= 0 and len(self.waiting) >= head + 4 + len(BODY):
            self.waiting = self.waiting[head + 4 + len(BODY) :]
            self.transport.write(ANSWER)


class _Caller(asyncio.Protocol):
    """One keep-alive connection; one call at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        self.received = b""
        self.done: asyncio.Future[None] | None = None

    def call(self) -> asyncio.Future[None]:
        self.done = asyncio.get_running_loop().create_future()
        self.transport.write(REQUEST)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.received += data
        head = self.received.find(b"\r\n\r\n")
        if head >= 0 and len(self.received) >= head + 4 + len(ANSWER_BODY):
            assert self.received.startswith(b"HTTP/1.1 200"), self.received[:200]
            assert self.done is not None
            self.received = b""
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(ConnectionResetError("the bench lost a connection"))


async def _connect(port: int, count: int) -> list[_Caller]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(_Caller, "127.0.0.1", port))[1] for _ in range(count)]


async def saturate(port: int, seconds: float, connections: int) -> float:
    """Calls per second with every connection busy all the time."""
    callers = await _connect(port, connections)
    end = time.perf_counter() + seconds

    async def work(caller: _Caller) -> int:
        count = 0
        while time.perf_counter() < end:
            await caller.call()
            count += 1
        return count

    started = time.perf_counter()
    counts = await asyncio.gather(*(work(caller) for caller in callers))
    elapsed = time.perf_counter() - started
    for caller in callers:
        caller.transport.close()
    return sum(counts) / elapsed


async def pace(port: int, seconds: float, per_second: float, connections: int) -> float:
    """The median latency, seconds, at a steady rate; each connection starts at its own moment."""
    callers = await _connect(port, connections)
    gap = connections / per_second
    taken: list[float] = []
    begin = time.perf_counter()

    async def work(number: int, caller: _Caller) -> None:
        turn = begin + gap * number / connections
        while turn < begin + seconds:
            await asyncio.sleep(max(0.0, turn - time.perf_counter()))
            started = time.perf_counter()
            await caller.call()
            taken.append(time.perf_counter() - started)
            turn = max(turn + gap, time.perf_counter())

    await asyncio.gather(*(work(number, caller) for number, caller in enumerate(callers)))
    for caller in callers:
        caller.transport.close()
    return statistics.median(taken)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


@contextlib.contextmanager
def _process(arguments: list[str], cores: set[int]) -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(process.pid, cores)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(10)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _sandbox_proxy(folder: Path, listen: int, upstream: int, control: int) -> list[str]:
    token, plan = folder / "token", folder / "plan.json"
    token.write_text(secrets.token_hex())
    route = {"name": "bench", "port": listen, "upstream": f"http://127.0.0.1:{upstream}", "labels": {}}
    plan.write_text(
        json.dumps({"proxy": {"control_port": control, "token_file": str(token), "routes": [route]}}), encoding="utf-8"
    )
    return ["-m", "tiercli.faults.proxy.process", "--plan", str(plan)]


def _measuring_proxy(folder: Path, listen: int, upstream: int, control: int) -> list[str]:
    endpoint = {"provider": "openai", "region": "ap-south-1"}
    endpoint |= {"url": f"http://127.0.0.1:{upstream}", "listen": f"127.0.0.1:{listen}"}
    data = yaml.safe_load(HYBRID.read_text(encoding="utf-8")) | {"environments": {"bench": {"endpoints": [endpoint]}}}
    catalog = folder / "catalog.yaml"
    catalog.write_text(yaml.safe_dump(data), encoding="utf-8")
    where = [
        "--control",
        f"127.0.0.1:{control}",
        "--metrics",
        "127.0.0.1:0",
        "--audit-log",
        str(folder / "audit.jsonl"),
    ]
    return ["-m", "tiercli", "proxy", "--catalog", str(catalog), "--env", "bench", "--format", "json", *where]


def measure(rounds: int, seconds: float, proxy: Callable[[Path, int, int, int], list[str]]) -> Figures:
    """Run everything with one way to start the proxy, and give the figures."""
    cores = sorted(os.sched_getaffinity(0))
    proxy_cores, other_cores = {cores[0]}, set(cores[1:] or cores)
    upstream, listen, control = _free_port(), _free_port(), _free_port()
    figures = Figures(cores=len(cores))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, other_cores)
        stack.enter_context(_process([__file__, "--upstream", str(upstream)], other_cores))
        process = stack.enter_context(_process(proxy(Path(folder), listen, upstream, control), proxy_cores))
        _wait_for(upstream)
        _wait_for(control)
        uvloop.run(saturate(listen, 1.0, 32))
        for _ in range(rounds):
            used, began = _cpu_s(process), time.perf_counter()
            rate = uvloop.run(saturate(listen, seconds, 32))
            elapsed = time.perf_counter() - began
            used = _cpu_s(process) - used
            figures.calls_per_s.append(round(rate))
            figures.proxy_cpu_ms_per_call.append(round(1000 * used / (rate * seconds), 4))
            figures.proxy_core_share.append(round(used / elapsed, 2))
            direct = 1000 * uvloop.run(pace(upstream, seconds, 500, 16))
            proxied = 1000 * uvloop.run(pace(listen, seconds, 500, 16))
            figures.direct_median_ms.append(round(direct, 3))
            figures.proxied_median_ms.append(round(proxied, 3))
            figures.added_median_ms.append(round(proxied - direct, 3))
        figures.proxy_memory_mb = round(process.memory_info().rss / 1e6, 1)
    return figures


VARIANTS: dict[str, Callable[[Path, int, int, int], list[str]]] = {
    "fault proxy": _sandbox_proxy,
    "fault proxy that measures": _measuring_proxy,
}


async def _serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", port)
    await server.serve_forever()


def main() -> int:
    """Measure, print, and compare with what is asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.upstream:
        uvloop.run(_serve_upstream(arguments.upstream))
        return 0
    found = {name: measure(arguments.rounds, arguments.seconds, proxy) for name, proxy in VARIANTS.items()}
    met = all(_meets(figures) for figures in found.values())
    if arguments.json:
        print(json.dumps({**{name: asdict(figures) for name, figures in found.items()}, "met": met}))
    else:
        for name, figures in found.items():
            _print(name, figures, arguments.rounds)
    return 0 if met else 1


def _meets(figures: Figures) -> bool:
    rate, added = statistics.median(figures.calls_per_s), statistics.median(figures.added_median_ms)
    return rate >= NEEDED_CALLS_PER_S and added <= NEEDED_ADDED_MS


def _print(name: str, figures: Figures, rounds: int) -> None:
    rate, added = statistics.median(figures.calls_per_s), statistics.median(figures.added_median_ms)
    print(f"{name} on one core of {figures.cores}: median of {rounds} rounds")
    print(f"  calls per second  {rate:8.0f}   (asked: at least {NEEDED_CALLS_PER_S}); rounds: {figures.calls_per_s}")
    print(f"  added at median   {added:8.2f} ms (asked: at most {NEEDED_ADDED_MS:g}), at 500 calls/s; ", end="")
    print(f"direct {figures.direct_median_ms}, proxied {figures.proxied_median_ms}")
    print(f"  CPU per call      {statistics.median(figures.proxy_cpu_ms_per_call):8.3f} ms; ", end="")
    print(f"share of its core that the proxy got: {figures.proxy_core_share}")
    print(f"  memory            {figures.proxy_memory_mb:8.1f} MB")


if __name__ == "__main__":
    sys.exit(main())
