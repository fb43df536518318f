"""A real Prometheus that scrapes recorded series as if they had been recorded: a slow provider, a healthy one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.clients.live_servers import fetch, free_port, http_server, running, wait_until
from tiercli.sandbox.stack.binaries import find_stack

SLOW = 'provider="anthropic",model="claude-4.6",region="ap-south-1"'
FINE = 'provider="openai",model="gpt-5-mini",region="us-east-1"'
EXPOSITION = f"""
tier:provider:info{{provider="anthropic",region="ap-south-1",tier="cloud"}} 1
tier:provider:info{{provider="openai",region="us-east-1",tier="cloud"}} 1
tier:provider:requests:rate5m{{{SLOW},status="success"}} 2
tier:provider:requests:rate5m{{{FINE},status="success"}} 4
tier:provider:latency_seconds:p95_5m{{{SLOW}}} 1.8
tier:provider:latency_seconds:p95_5m{{{FINE}}} 0.5
tier:provider:latency_seconds:p50_5m{{{SLOW}}} 0.9
tier:provider:latency_seconds:p95_5m:usual{{{SLOW}}} 0.6
tier:provider:latency_seconds:p95_5m:usual{{{FINE}}} 0.4
tier:provider:latency_seconds:p95_5m:threshold{{{SLOW}}} 1.2
tier:provider:latency_seconds:p95_5m:threshold{{{FINE}}} 0.8
tier:alias:eval_score:mean{{alias="chat"}} 0.84
tier:tenant:cost_usd:rate5m{{tenant="acme-corp"}} 0
tier:tenant:cost_usd:grown{{tenant="acme-corp",month="11"}} 0
tier:tenant:cost_usd:lead{{tenant="acme-corp"}} 198.72
tier:drift:value:mean1h{{signal="eval score",subject="chat"}} 0.84
tier:drift:value:baseline{{signal="eval score",subject="chat"}} 0.9
tier:drift:departure:ratio{{signal="eval score",subject="chat"}} 3
tier:drift:value:mean1h{{signal="refusal rate",subject="chat"}} 0.0125
tier:drift:value:baseline{{signal="refusal rate",subject="chat"}} 0.01
tier:drift:departure:ratio{{signal="refusal rate",subject="chat"}} 2.5
tier:drift:value:mean1h{{signal="output tokens per call",subject="chat"}} 220
tier:drift:value:baseline{{signal="output tokens per call",subject="chat"}} 200
tier:drift:departure:ratio{{signal="output tokens per call",subject="chat"}} 1
test_state{{lane="a"}} 0
test_state{{lane="b"}} 2
test_spend{{team="x"}} 1500
test_spend{{team="y"}} 20
test_fill 0.97
test_complete 0.999
"""
RULES = {
    "groups": [
        {
            "name": "test",
            "rules": [
                {
                    "alert": name,
                    "expr": "vector(1)",
                    "for": wait,
                    "labels": {"severity": severity, "team": team},
                    "annotations": {"summary": f"{name} of {team}"},
                }
                for name, severity, team, wait in (
                    ("Burning", "page", "x", "0s"),
                    ("Warming", "notify", "y", "0s"),
                    ("Smelling", "page", "y", "1h"),
                )
            ],
        },
        {
            "name": "generated",
            "rules": [
                {
                    "alert": name,
                    "expr": "vector(1)",
                    "labels": {"severity": severity, "estate": "content-company", "env": "production"},
                }
                for name, severity in (("Watchdog", "heartbeat"), ("TotalSpendAnomaly", "notify"))
            ],
        },
    ]
}


@pytest.fixture(scope="session")
def boards_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of that Prometheus."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text(yaml.safe_dump(RULES))
    with http_server(lambda _: (200, EXPOSITION.encode())) as exposing:
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "scrape_configs": [
                {"job_name": "test", "static_configs": [{"targets": [exposing.removeprefix("http://")]}]}
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        url = f"http://127.0.0.1:{free_port()}"
        command = [str(find_stack().prometheus.path), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        with running([*command, f"--web.listen-address={url.removeprefix('http://')}"], folder, f"{url}/-/ready"):
            wait_until(lambda: b"Smelling" in fetch(f"{url}/api/v1/alerts"))
            wait_until(lambda: b"Watchdog" in fetch(f"{url}/api/v1/query?query=ALERTS"))
            wait_until(lambda: b"0.999" in fetch(f"{url}/api/v1/query?query=test_complete"))
            yield url
