"""Prometheus' configuration: scrape jobs, rule files and Alertmanagers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tiercli.catalog.model import Catalog, Drops, Source
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, GATEWAY_JOB, PROMETHEUS_JOB, SERVERS_JOB, source_job
from tiercli.durations import duration_in_words, format_duration
from tiercli.rules.deployment import Deployment
from tiercli.signals.exposed import ScrapedMetric, exposed_by_job
from tiercli.signals.expressions import PROMETHEUS_METRICS
from tiercli.signals.retention import DEFAULT_RETENTION_S, needed_s
from tiercli.signals.timing import Timing

RULES_FILE = "rules/tiercli.yml"
_DAY_S = 86_400


def build_prometheus(catalog: Catalog, deployment: Deployment) -> dict[str, Any]:
    """A whole configuration; rule files are relative to it."""
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


def retention_note(looks_back: Mapping[str, float]) -> str:
    """Comment lines for the head of the configuration: how long samples have to be kept. `looks_back`: seconds, by what looks
    back, a recorded series, an alarm or a panel. Prometheus 2 reads its retention from its command line alone."""
    kept = retention_flag(looks_back.values())
    default = f"{DEFAULT_RETENTION_S / _DAY_S:g} days"
    lines = [
        f"Start Prometheus with {kept}: its default is {default}, and Prometheus 2 reads it from no file."
        if kept
        else f"Prometheus' default retention of {default} is enough."
    ]
    by_reach: dict[float, list[str]] = {}
    for name, reach in looks_back.items():
        if reach >= _DAY_S:
            by_reach.setdefault(reach, []).append(name)
    lines += ["What looks back a day or more:"] if by_reach else []
    for reach, names in sorted(by_reach.items(), reverse=True):
        lines.append(f"  {duration_in_words(reach)}: {', '.join(sorted(names))}")
    return "".join(f"# {line}\n" for line in lines)


def retention_flag(reaches: Iterable[float]) -> str:
    """The flag that makes Prometheus keep samples for as long as is looked back, in whole days; "" where its default does."""
    days = math.ceil(needed_s(reaches) / _DAY_S)
    return f"--storage.tsdb.retention.time={days}d" if days * _DAY_S > DEFAULT_RETENTION_S else ""


def scrape_timeout_s(timing: Timing) -> float:
    """How long a scrape may take, seconds: Prometheus' default of 10, and at most one interval."""
    return min(timing.scrape_s, 10)


def scrape_jobs(catalog: Catalog, deployment: Deployment) -> list[dict[str, Any]]:
    """A job for the gateway, one for the local servers that expose metrics, one for each other source, and one for Prometheus
    itself, of which a few metrics are kept. What the catalog drops is dropped in the jobs whose targets expose it.

    Targets of servers carry the labels that the servers do not expose; the bindings of servers read them."""
    jobs: list[dict[str, Any]] = [_job(GATEWAY_JOB, catalog.gateway, [{"targets": list(deployment.gateway_targets)}])]
    if deployment.server_targets:
        static = [{"targets": [target.address], "labels": target.labels()} for target in deployment.server_targets]
        jobs.append({"job_name": SERVERS_JOB, "static_configs": static})
    for name, targets in deployment.source_targets.items():
        source = catalog.sources[name]
        group: dict[str, Any] = {"targets": list(targets)}
        if source.provider is not None:
            group["labels"] = {"provider": source.provider}
        jobs.append(_job(source_job(name), source, [group]))
    exposed = exposed_by_job(catalog)
    for job in jobs:
        if relabelling := drop_relabelling(catalog.cardinality.drop, exposed.get(job["job_name"], ())):
            job["metric_relabel_configs"] = relabelling
    jobs.append(
        {
            "job_name": PROMETHEUS_JOB,
            "static_configs": [{"targets": [deployment.prometheus_target]}],
            "metric_relabel_configs": [
                {"source_labels": ["__name__"], "regex": "|".join(PROMETHEUS_METRICS), "action": "keep"}
            ],
        }
    )
    return jobs


def drop_relabelling(drops: Drops, exposed: Iterable[ScrapedMetric]) -> list[dict[str, Any]]:
    """Of what the targets of a job expose, one rule that drops metrics, all their series, and one for each label that some lose:
    an empty label is none. Not a labeldrop, which every metric would feel."""
    dropped: list[str] = []
    without: dict[str, list[str]] = {}
    for metric in exposed:
        if metric.name in drops.metrics:
            dropped += metric.series
        for label in drops.labels.get(metric.name, ()):
            without.setdefault(label, []).extend(metric.series)
    rules: list[dict[str, Any]] = []
    if dropped:
        rules.append({"source_labels": ["__name__"], "regex": _any_of(dropped), "action": "drop"})
    for label, series in without.items():
        of = {"source_labels": ["__name__"], "regex": _any_of(series)}
        rules.append({**of, "target_label": label, "replacement": "", "action": "replace"})
    return rules


def _any_of(series: Iterable[str]) -> str:
    return "|".join(dict.fromkeys(series))


def _job(name: str, source: Source, static: list[dict[str, Any]]) -> dict[str, Any]:
    return {"job_name": name, "scheme": source.scheme, "metrics_path": source.path, "static_configs": static}
