"""A real Prometheus that scrapes an exposition and records what a binding makes of it.

In an exposition, a value `+2` is a counter that grows by 2 a second; other values stay.
"""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from tiercli.catalog.loading import LoadedCatalog
from tiercli.rules.deployment import Deployment
from tiercli.rules.prometheus_config import scrape_jobs
from tiercli.rules.recording import build_records
from tiercli.signals.rule import RuleGroup, rule_file_content
from tiercli.signals.timing import Timing

EXPOSITIONS = Path(__file__).parent / "expositions"
TIMING = Timing(factor=60)
Found = dict[str, dict[tuple[str, ...], float]]


@contextmanager
def exposing(text: str) -> Iterator[str]:
    """host:port of a server that exposes `text` at every path."""
    began = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seconds = 100 + time.monotonic() - began
            moved = re.sub(r" \+(\S+)$", lambda one: f" {float(one[1]) * seconds!r}", text, flags=re.MULTILINE)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(moved.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def recorded(
    loaded: LoadedCatalog, prometheus: Path, folder: Path, expected: Found, labels: tuple[str, ...], seconds: float = 25
) -> Found:
    """The values of the `expected` series by `labels`, once they are near those expected, or after `seconds`."""
    deployment = dataclasses.replace(Deployment.production(loaded.catalog), timing=TIMING)
    jobs = [job for job in scrape_jobs(loaded.catalog, deployment) if job["job_name"] != "gateway"]
    wanted = {*expected, "tier:gateway:deployment_info"}
    groups = [
        RuleGroup(name, tuple(record for record in records if record.name in wanted))
        for name, records in build_records(loaded, TIMING, ()).items()
    ]
    (folder / "rules.yml").write_text(yaml.safe_dump(rule_file_content(groups)))
    every = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
    config = {"global": every, "rule_files": ["rules.yml"], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command: list[str | Path] = [
        prometheus,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        until, found = time.monotonic() + seconds, Found()
        while time.monotonic() < until and not near(found, expected):
            time.sleep(0.2)
            assert process.poll() is None, (folder / "log").read_text()
            found = _now(port, expected, labels)
        return found
    finally:
        process.terminate()
        process.wait(10)


def near(found: Found, expected: Found) -> bool:
    """Whether the same series have the same values, within 2 %: what scraping at uneven moments does to a rate."""
    return {name: set(values) for name, values in found.items()} == {
        name: set(v) for name, v in expected.items()
    } and all(
        abs(found[name][key] - value) <= 0.02 * abs(value) for name, v in expected.items() for key, value in v.items()
    )


def _now(port: int, expected: Found, labels: tuple[str, ...]) -> Found:
    found = Found()
    for name in expected:
        url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(name)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        found[name] = {
            tuple(one["metric"][key] for key in labels if key in one["metric"]): float(one["value"][1])
            for one in result
        }
    return found
