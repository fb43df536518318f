"""The catalog's models: frozen pydantic classes, the shape of a catalog file and the source of its JSON Schema.

They check one entry at a time; references.py, consistency.py and overrides.py check entries against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, StringConstraints

from tiercli.catalog.environment import Environment
from tiercli.catalog.field_types import Duration, HostPort, Interval, Line, Model, Name, PlainName, Severity, Span, Tier
from tiercli.catalog.receivers import Owner, Receiver, Routing

# The labels of an override.
OVERRIDE_LABELS = ("provider", "region", "model", "alias", "tenant")


class Offer(NamedTuple):
    """A model that a provider offers in a region: the identity that most signals carry."""

    provider: str
    model: str
    region: str


class Typical(Model):
    """Normal values of a region: what the sandbox simulates, and what alarms go by while there is no baseline. What is not stated: its
    default for the sandbox, and no alarm's limit."""

    p50_seconds: PositiveFloat = 0.4
    p95_seconds: PositiveFloat = 0.8
    error_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.002
    concurrency: PositiveInt | None = Field(
        default=None, description="requests served at once before a queue builds up"
    )


class Region(Model):
    """A region of a provider (for the local tier: a data centre)."""

    typical: Typical = Typical()


class ModelOffer(Model):
    """A model of a provider. Without `regions` it is offered in all regions of the provider."""

    regions: tuple[Name, ...] | None = None


class Server(Model):
    """One inference server of the local tier."""

    region: Name
    models: tuple[Name, ...] = Field(min_length=1, description="the models that it serves")
    gpus: NonNegativeInt = Field(default=1, description="how many GPUs it has; 0: it runs on CPUs")
    metrics: HostPort | None = Field(default=None, description="host:port of the server's own /metrics")


class Provider(Model):
    """A cloud provider, or one kind of your own inference servers."""

    tier: Tier = Field(description="local: your own servers; cloud: those of a provider")
    owner: PlainName
    regions: dict[Name, Region] = Field(min_length=1, description="regions, by the name that the gateway reports")
    models: dict[Name, ModelOffer] = Field(min_length=1, description="models, by the name that the gateway reports")
    servers: dict[Name, Server] = Field(default={}, description="local tier only: the servers, by name")
    binding: PlainName | None = Field(
        default=None, description="local tier only: the source binding of its servers' own metrics"
    )


class Candidate(Model):
    """A model in a region that can serve an alias."""

    provider: Name
    model: Name
    region: Name


class Alias(Model):
    """A name that clients call; the first candidate is the primary, the others are fallback steps 1, 2, …"""

    owner: PlainName
    candidates: tuple[Candidate, ...] = Field(min_length=1, description="in fallback order")
    eval_baseline: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="the score that its production evals should reach"
    )


class Zone(Model):
    """The regions that may serve a tenant's calls. Without `regions`: all."""

    regions: tuple[Name, ...] | None = None


class Tenant(Model):
    """A caller: its features, aliases, monthly budget and privacy zone."""

    features: tuple[Name, ...] = Field(min_length=1, description="the features that call")
    aliases: tuple[Name, ...] | None = Field(default=None, description="the aliases that it may call; default: all")
    budget_usd_per_month: PositiveFloat
    zone: Name


class Price(Model):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cache_read: Annotated[float, Field(ge=0)] | None = None
    cache_write: Annotated[float, Field(ge=0)] | None = None


class PriceBook(Model):
    """Prices of tokens by provider and model; those of the local tier follow from the price of a GPU hour."""

    version: PlainName
    models: dict[Name, dict[Name, Price]]
    gpu_usd_per_hour: PositiveFloat | None = None


class Source(Model):
    """Something that exposes metrics, and the binding (see `tiercli sources`) that maps them to signals."""

    binding: PlainName
    targets: tuple[HostPort, ...] = Field(min_length=1, description="host:port of each instance")
    path: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~%/-]*$")] = Field(
        default="/metrics", description="the path of its metrics"
    )
    scheme: Literal["http", "https"] = "http"
    deployments: dict[Name, Candidate] = Field(
        default={},
        description="for a gateway that does not report regions: provider, model and region of each of its stable ids",
    )
    signals: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="what it is used for: names of signals, or what they begin with, up to a colon; without it, whatever no source before it has",
    )


class Gateway(Source):
    """What exposes the metrics of the estate, and what it does with a tenant's calls."""

    zones: Literal["observed", "enforced"] = Field(
        default="observed",
        description="enforced: it passes over candidates outside a tenant's zone; observed: it does not, so there may be none",
    )
    # Part of the floor of every alarm that waits for a failed attempt. A drill's load itself waits 30 s for an answer.
    timeout_seconds: Annotated[float, Field(gt=0, lt=30)] | None = Field(
        default=None,
        description="of one attempt, in the sandbox: to a whole answer, or to the first and to each further token of a stream; then "
        "the next candidate is tried. Without it 3, or four times the largest typical p95",
    )


class OtherSource(Source):
    """A source beside the gateway and the local servers: GPUs, a cloud provider's console, or what has signals that the gateway
    lacks."""

    provider: Name | None = Field(
        default=None, description="a console: the provider that it measures instead of the gateway"
    )


class ServiceLevel(Model):
    """The service level that users are promised: the overview compares with it. No alarm depends on it."""

    latency_seconds: PositiveFloat = Field(default=5.0, description="a call should not take longer than this")


class Override(Model):
    """Settings for some providers, regions, models, aliases or tenants only; the entry with the most labels wins."""

    provider: Name | None = None
    region: Name | None = None
    model: Name | None = None
    alias: Name | None = None
    tenant: Name | None = None
    thresholds: dict[str, Annotated[float, Field(ge=0)]] = {}
    severity: Severity | None = None
    owner: PlainName | None = None
    for_: Duration | None = Field(
        default=None, alias="for", description="how long the condition holds before the alert fires, for these alerts"
    )

    def labels(self) -> dict[str, str]:
        """The labels that it names."""
        named = {label: getattr(self, label) for label in OVERRIDE_LABELS}
        return {label: value for label, value in named.items() if value is not None}


class AlarmSettings(Model):
    """Changes of one alarm. Anything not given stays as in the alarm's file."""

    severity: Severity | None = None
    owner: PlainName | None = None
    for_: Duration | None = Field(default=None, alias="for")
    thresholds: dict[str, Annotated[float, Field(ge=0)]] = {}
    overrides: tuple[Override, ...] = ()


class SeriesBudget(Model):
    """How many series a metric may have, who is responsible, and why. Zero is not a budget."""

    series: PositiveInt = Field(description="the highest number of series")
    owner: PlainName = Field(description="the responsible team")
    reason: Line = Field(description="why this number")


class RareTenants(Model):
    """Which tenants keep their own label value. Tenants that an override of an alarm names keep theirs too; all others are merged
    into one. Spend is the monthly budget of the catalog."""

    keep: tuple[Name, ...] = Field(default=(), description="tenants that keep their name")
    top: Annotated[int, Field(ge=0)] = Field(default=0, description="and this number of tenants that spend most")
    rest: Name = Field(default="other", description="the name of all others")


class LabelPolicy(Model):
    """Labels that some metrics drop, and whether their rare tenants are grouped: where metrics are counted (by the gateway, or by
    `tiercli exporter audit`), or where rules record them."""

    metrics: tuple[Line, ...] = Field(min_length=1, description="metrics of the contract; * stands for any text")
    drop: tuple[Line, ...] = Field(default=(), description="labels that they drop")
    rare_tenants: RareTenants | None = None
    where: Literal["gateway", "rules"] = Field(
        default="gateway",
        description="what groups tenants: the gateway, or the recording rules if the gateway cannot",
    )


class Drops(Model):
    """What Prometheus does not keep of what it scrapes. Nothing else changes: what rules and panels read stays, and no two
    series become one."""

    metrics: tuple[Line, ...] = Field(
        default=(), description="metrics of the scraped targets that no rule and no panel reads"
    )
    labels: dict[Line, Annotated[tuple[Line, ...], Field(min_length=1)]] = Field(
        default={}, description="by metric, labels that have one value and that no rule and no panel needs"
    )


class Cardinality(Model):
    """Budgets of series, in total and by metric, and the policy that keeps within them."""

    total: SeriesBudget
    metrics: dict[str, SeriesBudget] = {}
    policy: tuple[LabelPolicy, ...] = Field(default=(), description="at most one entry for a metric")
    drop: Drops = Field(default=Drops(), description="what is dropped at the scrape (`tiercli budget --fix`)")
    label_values: dict[PlainName, PositiveInt] = Field(
        default={},
        description="for labels of sources that the catalog does not have: how many values each has per combination of the others",
    )


class AuditRetention(Model):
    """How far back the audit log must go, by purpose."""

    live: Span | None = Field(default=None, description="for questions of the day: incidents, dashboards")
    cost: Span | None = Field(default=None, description="for invoices and budgets")
    compliance: Span | None = Field(default=None, description="for auditors")


class AuditSettings(Model):
    """Requirements for the gateway's audit log."""

    retention: AuditRetention = AuditRetention()
    hash_callers: bool = Field(
        default=False,
        description="records of `tiercli proxy` and of the simulated gateway have a hash of each caller, not its name",
    )


class PrometheusSettings(Model):
    """How often Prometheus scrapes and evaluates, and its own address."""

    scrape_interval: Interval = "15s"
    evaluation_interval: Interval = "15s"
    target: HostPort = Field(default="localhost:9090", description="host:port of Prometheus, as it reaches itself")


class AlertmanagerSettings(Model):
    """How long Alertmanager waits and how often it repeats."""

    targets: tuple[HostPort, ...] = Field(default=("localhost:9093",), description="host:port of each Alertmanager")
    group_wait: Duration = "10s"
    group_interval: Interval = "1m"
    repeat_interval: Interval = "4h"


class Links(Model):
    """Base URLs of links in annotations, without a trailing slash."""

    runbooks: Annotated[str, StringConstraints(pattern=r"^https?://[^\s{}$]*[^/\s{}$]$")]
    grafana: Annotated[str, StringConstraints(pattern=r"^https?://[^\s{}$]*[^/\s{}$]$")]


class Catalog(Model):
    """One estate in one environment: everything that tiercli generates, plans and drills comes from this."""

    version: Literal[1] = Field(description="the version of this format")
    estate: PlainName = Field(description="what this catalog describes: a label of every alert")
    env: PlainName = Field(description="the environment: a label of every alert")
    time_zone: str = Field(default="UTC", description="an IANA time zone, for days and months")
    links: Links = Field(description="base URLs of links in annotations")
    owners: dict[PlainName, Owner] = Field(min_length=1, description="the teams, by name")
    receivers: dict[PlainName, Receiver] = Field(min_length=1, description="where notifications can go, by name")
    routing: Routing = Field(description="the receiver of each severity")
    providers: dict[Name, Provider] = Field(
        min_length=1, description="cloud providers and the local tier, by the name that the gateway reports"
    )
    aliases: dict[Name, Alias] = Field(min_length=1, description="the names that clients call")
    zones: dict[Name, Zone] = Field(min_length=1, description="privacy zones, by name")
    tenants: dict[Name, Tenant] = Field(min_length=1, description="the callers, by name")
    tenants_file: Line | None = Field(
        default=None, exclude=True, description="CSV or JSON Lines beside the catalog, with more tenants"
    )
    price_book: PriceBook = Field(description="prices of tokens and GPU hours")
    gateway: Gateway = Field(description="what exposes the metrics of the estate")
    sources: dict[PlainName, OtherSource] = Field(default={}, description="GPUs and consoles, by a name of your own")
    service_level: ServiceLevel = Field(default=ServiceLevel(), description="the service level that users are promised")
    alarms: dict[str, AlarmSettings] = Field(default={}, description="changes to alarms, by the alarm's name")
    templates: tuple[Line, ...] = Field(default=(), description="folders of your own alarm files, beside this file")
    cardinality: Cardinality = Field(description="budgets of series")
    audit: AuditSettings = Field(default=AuditSettings(), description="requirements for the gateway's audit log")
    prometheus: PrometheusSettings = Field(
        default=PrometheusSettings(), description="intervals of the generated Prometheus configuration"
    )
    environments: dict[PlainName, Environment] = Field(default={}, description="live environments for drills, by name")
    alertmanager: AlertmanagerSettings = Field(
        default=AlertmanagerSettings(), description="timing of the generated Alertmanager configuration"
    )

    def offers(self) -> Iterator[Offer]:
        """Every (provider, model, region) that the catalog allows, in the catalog's order."""
        for provider_name, provider in self.providers.items():
            for model_name, model in provider.models.items():
                for region in provider.regions if model.regions is None else model.regions:
                    yield Offer(provider_name, model_name, region)

    def provider_regions(self) -> Iterator[tuple[str, str]]:
        """Every (provider, region), in the catalog's order."""
        for provider_name, provider in self.providers.items():
            for region in provider.regions:
                yield provider_name, region

    def servers(self) -> Iterator[tuple[str, str, Server]]:
        """Every (provider, server's name, server) of the local tier, in the catalog's order."""
        for provider_name, provider in self.providers.items():
            for server_name, server in provider.servers.items():
                yield provider_name, server_name, server

    def regions_of(self, tenant: Tenant) -> tuple[str, ...] | None:
        """Where the calls of `tenant` may be served. None: anywhere."""
        return self.zones[tenant.zone].regions

    def candidates_of(self, zone: str, alias: str) -> tuple[Candidate, ...]:
        """The candidates of `alias` that are tried for tenants of `zone`, in their order: all, unless the gateway enforces zones."""
        candidates, regions = self.aliases[alias].candidates, self.zones[zone].regions
        if self.gateway.zones == "observed" or regions is None:
            return candidates
        return tuple(candidate for candidate in candidates if candidate.region in regions)

    def tenant_aliases(self, tenant: Tenant) -> tuple[str, ...]:
        """The aliases that `tenant` may call."""
        return tuple(self.aliases) if tenant.aliases is None else tenant.aliases
