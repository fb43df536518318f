"""Parts for an existing stack, so that a team never has to replace its own configuration.

Receivers are prefixed here and not in the whole configuration: here they are beside names that others chose.
"""

from __future__ import annotations

from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, GATEWAY_JOB, RECEIVER_PREFIX, RECORD_PREFIX
from tiercli.durations import format_duration
from tiercli.resources import resource_folder
from tiercli.rules.alarm import Alarm
from tiercli.rules.alarm_templates import our_matchers, template_environment
from tiercli.rules.alertmanager import build_alertmanager, group_labels, inhibit_rules, severity_routes
from tiercli.rules.deployment import Deployment
from tiercli.rules.prometheus_config import scrape_jobs, scrape_timeout_s
from tiercli.rules.receivers import build_receiver
from tiercli.signals.promql import matcher

_RECORDED = f"{RECORD_PREFIX}:.+"


def build_scrape_fragment(catalog: Catalog, deployment: Deployment) -> dict[str, Any]:
    """Scrape jobs with their own intervals, on which the windows of the rules depend."""
    timing = deployment.timing
    times = {
        "scrape_interval": format_duration(timing.scrape_s),
        "scrape_timeout": format_duration(scrape_timeout_s(timing)),
    }
    return {"scrape_configs": [{**job, **times} for job in scrape_jobs(catalog, deployment)]}


def build_remote_write_fragment() -> dict[str, Any]:
    """Relabelling for your `remote_write` that sends recorded series and alerts, and drops raw series."""
    keep = {"source_labels": ["__name__"], "regex": f"{_RECORDED}|ALERTS|ALERTS_FOR_STATE", "action": "keep"}
    return {"write_relabel_configs": [keep]}


def build_federation_fragment(catalog: Catalog, deployment: Deployment) -> dict[str, Any]:
    """A job for a Prometheus above this one: it scrapes recorded series and alerts, and no raw series."""
    timing = deployment.timing
    job = {
        "job_name": f"{GATEWAY_JOB.partition('-')[0]}-federation-{catalog.estate}",
        "honor_labels": True,
        "metrics_path": "/federate",
        "params": {
            "match[]": [f"{{{matcher('__name__', '=~', _RECORDED)}}}", f"ALERTS{{{', '.join(our_matchers(catalog))}}}"]
        },
        "scrape_interval": format_duration(timing.evaluation_s),
        "scrape_timeout": format_duration(min(timing.evaluation_s, 10)),
        "static_configs": [{"targets": [deployment.prometheus_target]}],
    }
    return {"scrape_configs": [job]}


def build_alertmanager_fragment(catalog: Catalog, alarms: tuple[Alarm, ...], deployment: Deployment) -> dict[str, Any]:
    """A sub-tree: one route matched on estate and env, the receivers it names, the inhibitions within it."""
    prefix = f"{RECEIVER_PREFIX}/"
    root = build_alertmanager(catalog, alarms, deployment)["route"]
    route = {
        "receiver": prefix + catalog.routing.trend,
        "matchers": [f'{ESTATE_LABEL}="{catalog.estate}"', f'{ENV_LABEL}="{catalog.env}"'],
        "group_by": group_labels(alarms),
        **{key: root[key] for key in ("group_wait", "group_interval", "repeat_interval")},
        "routes": severity_routes(catalog, alarms, deployment, prefix),
    }
    return {
        "routes": [route],
        "receivers": [
            build_receiver(name, receiver, deployment, prefix) for name, receiver in sorted(catalog.receivers.items())
        ],
        "inhibit_rules": inhibit_rules(catalog, alarms),
    }


def render_fragments_readme(catalog: Catalog, deployment: Deployment, retention: str) -> str:
    """How to include each part. `retention`: the flag that Prometheus needs, "" for none."""
    path = resource_folder("templates") / "runbooks" / "fragments.md.j2"
    environment = template_environment(deployment.timing)
    return environment.from_string(path.read_text(encoding="utf-8")).render(
        estate=catalog.estate, env=catalog.env, retention=retention
    )
