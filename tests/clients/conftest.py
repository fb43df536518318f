"""Real prometheus and alertmanager on free loopback ports, once a session, scraping a real exposition over HTTP."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest
import yaml
from live_servers import ALERTMANAGER, RULES, fetch, free_port, gateway_exposition, http_server, running, wait_until

from tiercli.sandbox.stack.binaries import find_stack


@pytest.fixture(scope="session")
def gateway_url() -> Iterator[str]:
    body = gateway_exposition()
    with http_server(lambda _: (200, body)) as url:
        yield url


@pytest.fixture(scope="session")
def prometheus_url(gateway_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A prometheus that has scraped the gateway and evaluated its rules."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text(yaml.safe_dump(RULES))
    config = {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "gateway", "static_configs": [{"targets": [gateway_url.removeprefix("http://")]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(find_stack().prometheus.path), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with running([*command, f"--web.listen-address={url.removeprefix('http://')}"], folder, f"{url}/-/ready"):
        wait_until(lambda: b"Burning" in fetch(f"{url}/api/v1/alerts"))
        wait_until(lambda: b"anthropic" in fetch(f"{url}/api/v1/query?query=ai_gateway_requests_total"))
        yield url


@pytest.fixture(scope="session")
def alertmanager_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An alertmanager that holds one alert and another that the first inhibits."""
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(ALERTMANAGER))
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(find_stack().alertmanager.path), "--config.file=alertmanager.yml", "--storage.path=data"]
    command += ["--cluster.listen-address=", f"--web.listen-address={url.removeprefix('http://')}"]
    with running(command, folder, f"{url}/-/ready"):
        alerts = [{"labels": {"alertname": name}, "annotations": {"summary": name}} for name in ("Loud", "Quiet")]
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{url}/api/v2/alerts", json.dumps(alerts).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - loopback
        wait_until(lambda: b'"suppressed"' in fetch(f"{url}/api/v2/alerts"))
        yield url
