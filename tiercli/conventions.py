"""Every name that tiercli emits, in one place: labels, jobs, groups, uids, file names. Metrics: signals/contract.py;
recorded series: signals/recorded.py."""

from __future__ import annotations

import hashlib
import re

# Labels that name the catalog and the environment in every alert, group_by, inhibition and drill match.
ESTATE_LABEL = "estate"
ENV_LABEL = "env"
SEVERITY_LABEL = "severity"
OWNER_LABEL = "owner"
SOURCE_LABEL = "source"
SOURCE_GATEWAY = "gateway"  # alerts that rest on what the gateway reports: GatewayDown inhibits them

SEVERITIES = ("page", "notify", "trend")
HEARTBEAT = "heartbeat"  # the severity label of Watchdog: a route of its own, never a page
WATCHDOG = "Watchdog"

# Scrape jobs: prefixed, because they join the jobs of a stack that exists already.
GATEWAY_JOB = "tiercli-gateway"
SERVERS_JOB = "tiercli-servers"
PROMETHEUS_JOB = "tiercli-prometheus"
# In place of a target's name where a job has fewer targets than the catalog, and nothing says which is not there.
MISSING_EXPORTER = "missing-exporter"


GROUP_PREFIX = "tiercli"  # rule groups: tiercli-provider, tiercli-gateway, …
RECORD_PREFIX = "tier"  # recorded series: tier:level:metric. Templates and signals/recorded.py write it out.
THRESHOLD_PREFIX = f"{RECORD_PREFIX}:threshold"
POLICY_PREFIX = f"{RECORD_PREFIX}:policy"  # severity, owner and `for` of those that the catalog treats differently
DASHBOARD_UID_PREFIX = "tiercli"
DASHBOARD_TAG = "tiercli"  # of every dashboard, beside its estate and environment
DRILL_TAG = "tiercli-drill"  # of the annotations that drills write and dashboards show
RECEIVER_PREFIX = "tiercli"  # receivers in the Alertmanager configuration: tiercli/<receiver>

# In Kubernetes: what Prometheus Operator matches an AlertmanagerConfig's routes on, with the object's namespace, and how the
# pieces of a group of constants are called that is too large for one object.
NAMESPACE_LABEL = "namespace"
CONSTANTS_PIECE = "-constants-"

MANIFEST_FILE = "manifest.json"
GENERATOR = "tiercli"  # what a manifest says wrote it


def snake_name(alarm: str) -> str:
    """An alarm's name as a metric name part: "ProviderDown" gives "provider_down"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", alarm).lower()


def source_job(name: str) -> str:
    """The scrape job of a source that the catalog names."""
    return f"tiercli-source-{name}"


def threshold_series(alarm: str, threshold: str) -> str:
    """The recorded series of an alarm's threshold, for example tier:threshold:provider_down_min_requests."""
    return f"{THRESHOLD_PREFIX}:{snake_name(alarm)}_{threshold}"


def policy_series(alarm: str, what: str = "who") -> str:
    """The recorded series that says whose alerts of an alarm are another severity's or owner's, or wait longer."""
    return f"{POLICY_PREFIX}:{snake_name(alarm)}_{what}"


def dashboard_uid(name: str, estate: str, env: str) -> str:
    """A stable uid of at most 40 characters from [a-z0-9-], as Grafana wants it, for an estate and environment of any name:
    staging's dashboards never take the place of production's in a shared Grafana."""
    digest = hashlib.sha256(f"{estate}\n{env}".encode()).hexdigest()[:8]
    return f"{DASHBOARD_UID_PREFIX}-{name}-{digest}"


def folder_uid(estate: str, env: str) -> str:
    """The uid of Grafana's folder for the dashboards of an estate and environment, of any name."""
    digest = hashlib.sha256(f"{estate}\n{env}".encode()).hexdigest()[:8]
    return f"{DASHBOARD_UID_PREFIX}-{digest}"


def slug(text: str) -> str:
    """`text` as a file name part: lower case letters, digits and dashes, and a short hash where anything was lost."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if plain == text:
        return plain
    return f"{plain[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("-")
