"""How many requests a second one core of Locust starts and finishes through the fault proxy.

Run it: python -m tests.bench.bench_load. Locust has one core; the proxy and a small upstream share the other. Exit code 1 where
it misses what is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import psutil
import uvloop

from tests.bench.bench_fault_proxy import ANSWER, _cpu_s, _free_port, _process, _wait_for
from tiercli.drills.load.plan import LoadPlan, write_load_plan
from tiercli.drills.spec.mix import MixPart
from tiercli.resources import resource_folder

NEEDED_PER_S = 1500
ASKED_PER_S = 3000  # more than there will be: what is started is what one core can
SECONDS = 12.0
WARM_UP_S = 4.0


class _Upstream(asyncio.Protocol):
    """Answers every request, of any length, with the same completion."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by class
        self.waiting = b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (head := self.waiting.find(b"\r\n\r\n")) >= 0:
            length = int(self.waiting[:head].lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self.waiting) < head + 4 + length:
                return
            self.waiting = self.waiting[head + 4 + length :]
            self.transport.write(ANSWER)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", port)
    await server.serve_forever()


def measure() -> dict[str, float]:
    """Locust against the proxy, for SECONDS after WARM_UP_S."""
    cores = sorted(os.sched_getaffinity(0))
    locust_cores, other_cores = {cores[0]}, set(cores[1:] or cores)
    upstream, listen, control = _free_port(), _free_port(), _free_port()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "token").write_text(secrets.token_hex())
        route = {"name": "bench", "port": listen, "upstream": f"http://127.0.0.1:{upstream}", "labels": {}}
        proxy = {"control_port": control, "token_file": str(folder / "token"), "routes": [route]}
        (folder / "plan.json").write_text(json.dumps({"proxy": proxy}))
        stack.enter_context(_process(["-m", "tests.bench.bench_load", str(upstream)], other_cores))
        stack.enter_context(
            _process(["-m", "tiercli.faults.proxy.process", "--plan", str(folder / "plan.json")], other_cores)
        )
        _wait_for(upstream)
        _wait_for(control)
        windows = folder / "windows.jsonl"
        plan = LoadPlan(
            base_url=f"http://127.0.0.1:{listen}",
            windows_file=str(windows),
            points=((0.0, ASKED_PER_S),),
            mix=(MixPart("chat", "acme", "chat", 1.0),),
            users=20,
            stream_share=0,
            repeat_share=0,
            prompt_tokens=300,
            max_tokens=400,
            seed=1,
        )
        write_load_plan(plan, folder / "load.json")
        os.environ["TIERCLI_LOAD_PLAN"] = str(folder / "load.json")
        arguments = ["-m", "locust", "-f", str(resource_folder("drills") / "locustfile.py"), "--headless"]
        locust = stack.enter_context(_process([*arguments, "--only-summary", "--loglevel", "ERROR"], locust_cores))
        return _watch(locust, windows)


def _watch(locust: psutil.Process, windows: Path) -> dict[str, float]:
    while not windows.exists() or not windows.stat().st_size:
        time.sleep(0.1)
    time.sleep(WARM_UP_S)
    used, began, known = _cpu_s(locust), time.perf_counter(), len(windows.read_text().splitlines())
    time.sleep(SECONDS)
    share = (_cpu_s(locust) - used) / (time.perf_counter() - began)
    lines = [json.loads(line) for line in windows.read_text().splitlines()[known:]]
    seconds = sum(line["seconds"] for line in lines)
    return {
        "started_per_s": round(sum(line["started"] for line in lines) / seconds),
        "succeeded_per_s": round(sum(line["succeeded"] for line in lines) / seconds),
        "failed": sum(line["failed"] for line in lines),
        "share_of_its_core": round(share, 2),
    }


def main() -> int:
    """Measure, print, judge."""
    if len(sys.argv) > 1:
        uvloop.run(_serve(int(sys.argv[1])))
        return 0
    figures = measure()
    met = figures["succeeded_per_s"] >= NEEDED_PER_S
    print(json.dumps({**figures, "asked": NEEDED_PER_S, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
