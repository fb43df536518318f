"""Servers for these tests: small HTTP servers in threads, real programs as processes, and what they are told."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import generate_latest

from tests.contract_metrics import EVERY_LABEL, ContractMetrics

Answer = Callable[[str], tuple[int, bytes]]

RULES = {
    "groups": [
        {
            "name": "test",
            "rules": [
                {"record": "tier:test:constant", "expr": "vector(1)", "labels": {"provider": 'a"b\\c'}},
                {"alert": "Burning", "expr": "vector(7) > 5", "labels": {"severity": "page"}, "annotations": {"summary": "hot"}},
            ],
        }
    ]
}  # fmt: skip
ALERTMANAGER = {
    "route": {"receiver": "nobody", "group_wait": "0s", "group_interval": "1s"},
    "receivers": [{"name": "nobody"}],
    "inhibit_rules": [{"source_matchers": ['alertname="Loud"'], "target_matchers": ['alertname="Quiet"']}],
}


@contextmanager
def http_server(answer: Answer, content_type: str = "text/plain; version=0.0.4") -> Iterator[str]:
    """A server on loopback that answers each GET by `answer(path)`: status and body. Yields its URL. Without a `content_type` it
    names none: Prometheus 3 scrapes nothing so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            if content_type:
                self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until(what: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if what():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())


@contextmanager
def running(command: list[str], folder: Path, ready: str) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: process.poll() is None and bool(fetch(ready)))
            yield
        except AssertionError as error:
            raise AssertionError(f"{error}: {(folder / 'log').read_text()[-2000:]}") from error
        finally:
            process.terminate()
            process.wait(timeout=20)


def gateway_exposition() -> bytes:
    """A gateway that has served: two providers, three aliases' steps, two tenants, one of them with a hostile name."""
    metrics = ContractMetrics(tuple(EVERY_LABEL))
    claude = {"provider": "anthropic", "model": "claude", "region": "ap-south-1"}
    america = claude | {"region": "us-east-1"}
    llama = {"provider": "vllm", "model": 'llama "3" \\ {{ $1 }} 😀', "region": "mumbai-dc"}
    for offer in (claude, america, llama):
        metrics.count("ai_gateway_requests_total", 5, **offer, status="success")
        metrics.observe("ai_gateway_request_duration_seconds", 0.4, **offer)
    for step, offer in enumerate((claude, america, llama)):
        metrics.count("ai_gateway_alias_requests_total", alias="smart", **offer, fallback_step=str(step))
    metrics.count("ai_gateway_alias_requests_total", alias="cheap", **llama, fallback_step="0")
    for tenant, feature, alias in (("acme", "chat", "smart"), ("acme", "search", "cheap"), ("a: [b", "# x", "smart")):
        metrics.count("ai_gateway_cost_usd_total", 1.5, tenant=tenant, feature=feature, alias=alias)
    return generate_latest(metrics.registry)
