"""What the real programs of a sandbox count while a drill runs on them: read at their own ports, not through Prometheus."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

EVERY_S = 2.0  # what is watched is as slow as the machine


class Watched:
    """`most`: the largest value of each metric that was seen, its series summed; they begin at 0. `command_lines`: those of the
    sandbox's processes, as everyone on the machine can read them."""

    def __init__(self) -> None:
        self.most: dict[str, float] = {}
        self.command_lines: set[str] = set()

    def see(self, exposition: str) -> None:
        """Take one scrape."""
        sums: dict[str, float] = {}
        for line in exposition.splitlines():
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                name = series.partition("{")[0]
                sums[name] = sums.get(name, 0.0) + float(value)
        for name, total in sums.items():
            self.most[name] = max(total, self.most.get(name, 0.0))


@contextmanager
def watching(temporary: Path) -> Iterator[Watched]:
    """Inside, watch the gateway and the real servers of the sandboxes that are made below `temporary`."""
    watched, over = Watched(), threading.Event()
    thread = threading.Thread(target=_watch, args=(temporary, watched, over))
    thread.start()
    try:
        yield watched
    finally:
        over.set()
        thread.join(30)


def _watch(temporary: Path, watched: Watched, over: threading.Event) -> None:
    with httpx.Client(trust_env=False, timeout=5) as client:
        while not over.wait(EVERY_S):
            urls = [url for plan in temporary.glob("tiercli-sandbox-*/plan.json") for url in _metrics_of(plan)]
            for url in urls:
                try:
                    watched.see(client.get(url).raise_for_status().text)
                except httpx.HTTPError:
                    continue  # not ready yet, or ended
            watched.command_lines |= set(_command_lines(str(temporary)))


def _metrics_of(plan: Path) -> list[str]:
    try:
        content = json.loads(plan.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []  # half written, or deleted
    gateways = [f"http://127.0.0.1:{gateway['port']}/metrics/" for gateway in content["gateways"]]
    real = [endpoint for endpoint in content["endpoints"] if endpoint["key"] in content["real"]]
    return [*gateways, *(f"http://127.0.0.1:{endpoint['upstream_port']}/metrics" for endpoint in real)]


def _command_lines(holding: str) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended
        if holding in line:
            yield line
