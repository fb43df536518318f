"""`catalog init --from-prometheus` against a real prometheus that scrapes a real exposition."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.clients.live_servers import fetch, free_port, running, wait_until
from tests.conftest import ROOT, Done
from tests.sources.scraping import exposing
from tiercli.catalog.draft import SeenStep
from tiercli.catalog.loading import load_catalog
from tiercli.catalog.model import Offer
from tiercli.clients.discovery import fetch_estate
from tiercli.errors import BackendError, InvalidInput
from tiercli.lint.catalog_checks import further_checks
from tiercli.sandbox.stack.binaries import find_stack

pytestmark = pytest.mark.stack

Run = Callable[..., Done]
SCRAPES = ROOT / "tests" / "sources" / "scrapes"
INDIA = Offer("anthropic", "claude", "ap-south-1")
AMERICA = Offer("anthropic", "claude", "us-east-1")
LLAMA = Offer("vllm", 'llama "3" \\ {{ $1 }} 😀', "mumbai-dc")


@contextmanager
def scraping(target: str, folder: Path, metric: str) -> Iterator[str]:
    """The URL of a Prometheus that has scraped `metric` of a target."""
    job = {"job_name": "gateway", "static_configs": [{"targets": [target]}]}
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(find_stack().prometheus.path), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with running([*command, f"--web.listen-address={url.removeprefix('http://')}"], folder, f"{url}/-/ready"):
        wait_until(lambda: b'"value"' in fetch(f"{url}/api/v1/query?query={metric}"))
        yield url


def test_what_the_gateway_exposes_is_what_is_seen(prometheus_url: str, gateway_url: str) -> None:
    seen = asyncio.run(fetch_estate(prometheus_url, "native"))
    assert seen.offers == (INDIA, AMERICA, LLAMA)
    assert {alias: sorted(steps) for alias, steps in seen.aliases.items()} == {
        "smart": [SeenStep(0, INDIA), SeenStep(1, AMERICA), SeenStep(2, LLAMA)],
        "cheap": [SeenStep(0, LLAMA)],
    }
    assert {name: (sorted(one.features), sorted(one.aliases)) for name, one in seen.tenants.items()} == {
        "acme": (["chat", "search"], ["cheap", "smart"]),
        "a: [b": (["# x"], ["smart"]),
    }
    assert seen.targets == (gateway_url.removeprefix("http://"),)


def test_the_command_writes_a_draft_that_is_valid(prometheus_url: str, tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    command = [sys.executable, "-m", "tiercli", "catalog", "init", str(path), "--from-prometheus", prometheus_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    catalog = load_catalog(path, further_checks()).catalog
    assert set(catalog.offers()) == {INDIA, AMERICA, LLAMA}
    assert list(catalog.tenants) == ["a: [b", "acme"]
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert again.returncode == 2
    assert "exists already" in again.stderr


@pytest.mark.parametrize("scrape", ["litellm-proxy-1.106", "litellm-proxy-1.106-failures"])
def test_a_draft_from_litellms_own_metrics_is_valid_as_it_is(scrape: str, tmp_path: Path, run_tiercli: Run) -> None:
    text = (SCRAPES / f"{scrape}.metrics.txt").read_text(encoding="utf-8")
    path = tmp_path / "draft.yaml"
    with exposing(text) as target, scraping(target, tmp_path, "litellm_deployment_total_requests_total") as url:
        done = run_tiercli("catalog", "init", str(path), "--from-prometheus", url, "--source", "litellm")
        assert done.returncode == 0, done.stderr
    valid = run_tiercli("catalog", "validate", str(path))
    assert (valid.returncode, valid.stderr) == (0, "")
    catalog = load_catalog(path, further_checks()).catalog
    assert set(catalog.offers()) == {("openai", "gpt-4o-mini", "unknown-region"), ("openai", "x-429", "unknown-region")}
    # Every series names its deployment, and the deployment gives its place: without one nothing would be recorded.
    named = set(re.findall(r'model_id="([^"]+)"', text)) - {"None"}
    assert set(catalog.gateway.deployments) == named
    assert [name for name in catalog.aliases if name in ("fast", "flaky")] == ["fast", "flaky"]
    guessed = [line for line in path.read_text(encoding="utf-8").splitlines() if "deployments:" in line]
    assert ["# guess:" in line for line in guessed] == [True]


def test_a_source_that_prometheus_has_nothing_of_proves_nothing(
    prometheus_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiercli.clients import discovery

    binding = discovery.load_binding("native", discovery.Location("x"))
    assert binding.discovery is not None
    offers = binding.discovery.offers.model_copy(update={"metric": "nobody_exposes_this"})
    absent = binding.model_copy(update={"discovery": binding.discovery.model_copy(update={"offers": offers})})
    monkeypatch.setattr(discovery, "load_binding", lambda *_: absent)
    with pytest.raises(BackendError, match="has no series of nobody_exposes_this"):
        asyncio.run(fetch_estate(prometheus_url, "native"))


def test_an_unknown_source_is_told_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput) as caught:
        asyncio.run(fetch_estate("http://127.0.0.1:1", "nativ"))
    assert "did you mean 'native'?" in str(caught.value.problems[0])
