"""A /metrics endpoint for one collector, in the format that the scraper accepts."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tiercli.errors import BackendError, InvalidInput


def read_address(text: str) -> tuple[str, int]:
    """HOST:PORT as its parts, the host without brackets. Raises InvalidInput for anything else."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidInput(
            f"{text!r} is not an address HOST:PORT", hint="for example 127.0.0.1:9108; ports are 0 to 65535"
        )
    return host.strip("[]"), int(port)


@contextmanager
def serve_metrics(collector: Collector, host: str, port: int) -> Iterator[str]:
    """Answer scrapes of `collector` until the context ends; the URL. Port 0 takes any free port. Raises BackendError if the address
    is not available. A collector that raises BackendError makes the scrape fail with its message."""
    registry = CollectorRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self._answer(404, "text/plain; charset=utf-8", b"metrics are at /metrics\n")
                return
            encode, kind = choose_encoder(self.headers.get("Accept") or "")
            try:
                self._answer(200, kind, encode(registry))
            except BackendError as error:
                self._answer(503, "text/plain; charset=utf-8", f"{error.message}\n".encode())

        def log_message(self, *arguments: object) -> None:
            """Scrapes are not logged."""

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            if "gzip" in (self.headers.get("Accept-Encoding") or ""):
                body = gzip.compress(body, 1)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    try:
        server = Server((host, port), Handler)
    except OSError as error:
        raise BackendError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    registry.register(collector)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
