"""A small HTTP server on loopback, in a thread: what a function answers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


@contextmanager
def serving(
    answer: Callable[[Asked], tuple[int, str]], *, certificate: Path | None = None, key: Path | None = None
) -> Iterator[str]:
    """The base URL of a server whose answers, status and JSON text, are those of `answer`. What that raises fails the test.
    With a certificate it speaks TLS."""
    failures: list[Exception] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            try:
                status, text = answer(Asked(self.command, self.path, dict(self.headers), body))
            except Exception as error:  # noqa: BLE001 - told where the server ends
                failures.append(error)
                status, text = 500, "the server of this test failed"
            content = text.encode()
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for failures."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hangs up is none of this test's business."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(certificate, key)
        server.socket, scheme = trust.wrap_socket(server.socket, server_side=True), "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert failures == []
