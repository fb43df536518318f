"""Prometheus' configuration: what is scraped, which rules are read, where alerts go."""

from __future__ import annotations

from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, GATEWAY_JOB, SERVERS_JOB
from tiercli.durations import format_duration
from tiercli.rules.deployment import Deployment
from tiercli.signals.timing import Timing

RULES_FILE = "rules/tiercli.yml"


def build_prometheus(catalog: Catalog, deployment: Deployment) -> dict[str, Any]:
    """A whole configuration; rule files are looked for beside it."""
    timing = deployment.timing
    return {
        "global": {
            "scrape_interval": format_duration(timing.scrape_s),
            "scrape_timeout": format_duration(scrape_timeout_s(timing)),
            "evaluation_interval": format_duration(timing.evaluation_s),
            "external_labels": {ESTATE_LABEL: catalog.estate, ENV_LABEL: catalog.env},
        },
        "rule_files": [RULES_FILE],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": list(deployment.alertmanager_targets)}]}],
        },
        "scrape_configs": scrape_jobs(catalog, deployment),
    }


def scrape_timeout_s(timing: Timing) -> float:
    """How long a scrape may take, seconds: Prometheus' own 10, and never longer than it is to the next."""
    return min(timing.scrape_s, 10)


def scrape_jobs(catalog: Catalog, deployment: Deployment) -> list[dict[str, Any]]:
    """A job for the gateway, and one for the local servers that expose metrics."""
    jobs: list[dict[str, Any]] = [
        {
            "job_name": GATEWAY_JOB,
            "scheme": catalog.gateway.scheme,
            "metrics_path": catalog.gateway.path,
            "static_configs": [{"targets": list(deployment.gateway_targets)}],
        }
    ]
    if deployment.server_targets:
        jobs.append({"job_name": SERVERS_JOB, "static_configs": [{"targets": list(deployment.server_targets)}]})
    return jobs
