"""What a real Prometheus says of exposition texts: each is a target of its own, scraped once."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.clients.live_servers import fetch, free_port, wait_until

PLAIN, OPENMETRICS = "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0; charset=utf-8"
SCRAPES_PER_S = 120  # on one busy core


@dataclass(frozen=True)
class Case:
    """A text as it is served. `content_type`: None is none at all."""

    text: bytes
    content_type: str | None


def errors_of_scrapes(prometheus: Path, cases: Sequence[Case], folder: Path) -> list[str]:
    """By case, why the scrape failed; nothing where it did not."""
    interval = f"{max(2, len(cases) // SCRAPES_PER_S)}s"
    with _served(cases) as address:
        target = {"targets": [address]}
        config = {
            "scrape_configs": [
                {"job_name": "ordinary", "scrape_interval": "1s", "static_configs": [target]},
                {
                    "job_name": "cases",
                    "scrape_interval": interval,
                    "scrape_timeout": interval,
                    "static_configs": [
                        target | {"labels": {"__metrics_path__": f"/case/{number}", "instance": str(number)}}
                        for number in range(len(cases))
                    ],
                },
            ]
        }
        folder.mkdir(parents=True)
        (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
        listen = f"127.0.0.1:{free_port()}"
        command = [str(prometheus), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command += [f"--web.listen-address={listen}", "--log.level=error"]
        found: dict[int, str] = {}

        def all_scraped() -> bool:
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8", errors="replace")[-3000:]
            found.update(_scraped(listen))
            return len(found) == len(cases)

        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
            try:
                wait_until(all_scraped, 300)
            finally:
                process.terminate()
                process.wait(timeout=30)
    return [found[number] for number in range(len(cases))]


def _scraped(listen: str) -> Iterator[tuple[int, str]]:
    """Targets that were scraped and answered with their case, and the error of each."""
    for target in json.loads(fetch(f"http://{listen}/api/v1/targets?state=active"))["data"]["activeTargets"]:
        error = target["lastError"]
        answered = target["health"] != "unknown" and "HTTP status" not in error and "deadline exceeded" not in error
        if target["scrapePool"] == "cases" and answered:
            yield int(target["labels"]["instance"]), error


@contextmanager
def _served(cases: Sequence[Case]) -> Iterator[str]:
    """A server of the cases, /case/NUMBER; its address. It has none before Prometheus has stored a sample of now: an empty
    storage keeps samples however old they are."""
    ordinary = threading.Semaphore(2)
    stored = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not self.path.startswith("/case/"):
                if not ordinary.acquire(blocking=False):
                    stored.set()
                self._answer(200, Case(b"ordinary 1\n", PLAIN))
            elif not stored.is_set():
                self._answer(503, Case(b"", PLAIN))
            else:
                self._answer(200, cases[int(self.path.removeprefix("/case/"))])

        def _answer(self, status: int, case: Case) -> None:
            self.send_response(status)
            if case.content_type is not None:
                self.send_header("Content-Type", case.content_type)
            self.send_header("Content-Length", str(len(case.text)))
            self.end_headers()
            self.wfile.write(case.text)

        def log_message(self, *_: object) -> None:
            """Nothing: pytest's output is for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # Prometheus hangs up when it ends
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
