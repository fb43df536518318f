"""The catalog's models: frozen pydantic classes, the shape of a catalog file and the source of its JSON Schema.

They check one entry at a time; references.py, consistency.py and overrides.py check entries against each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, PositiveFloat, PositiveInt, StringConstraints

from tiercli.catalog.environment import Environment
from tiercli.catalog.field_types import Duration, HostPort, Interval, Line, Model, Name, PlainName, Severity, Span, Tier
from tiercli.catalog.receivers import Owner, Receiver, Routing

# What an override can be for.
OVERRIDE_LABELS = ("provider", "region", "model", "alias", "tenant")


class Offer(NamedTuple):
    """A model that a provider offers in a region: the identity that most signals carry."""

    provider: str
    model: str
    region: str


class Typical(Model):
    """What is normal there: used for the sandbox's simulated latencies and for backfilled history, never for alerts."""

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
    """A model of a provider. Without `regions` it is offered in all of the provider's."""

    regions: tuple[Name, ...] | None = None


class Server(Model):
    """One inference server of the local tier."""

    region: Name
    models: tuple[Name, ...] = Field(min_length=1, description="what it serves")
    gpus: PositiveInt = 1
    metrics: HostPort | None = Field(default=None, description="host:port of the server's own /metrics")


class Provider(Model):
    """A cloud provider, or one kind of inference server of one's own."""

    tier: Tier = Field(description="local: servers of one's own; cloud: somebody else's")
    owner: PlainName
    regions: dict[Name, Region] = Field(
        min_length=1, description="where it serves, by the name that the gateway reports"
    )
    models: dict[Name, ModelOffer] = Field(
        min_length=1, description="what it serves, by the name that the gateway reports"
    )
    servers: dict[Name, Server] = Field(default={}, description="local tier only: the servers, by name")
    binding: PlainName | None = Field(
        default=None, description="local tier only: the source binding of its servers' own metrics"
    )


class Candidate(Model):
    """One place that an alias can be served from."""

    provider: Name
    model: Name
    region: Name


class Alias(Model):
    """A name that clients call; the first candidate is the primary, the others are fallback steps 1, 2, …"""

    owner: PlainName
    candidates: tuple[Candidate, ...] = Field(min_length=1, description="in the order of falling back")
    eval_baseline: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="the score that its production evals are held to"
    )


class Zone(Model):
    """Where a tenant's calls may be served. Without `regions`: anywhere."""

    regions: tuple[Name, ...] | None = None


class Tenant(Model):
    """Who calls, from which features, for how much a month, and where their data may go."""

    features: tuple[Name, ...] = Field(min_length=1, description="what it calls for")
    aliases: tuple[Name, ...] | None = Field(default=None, description="the aliases it may call; all, when not given")
    budget_usd_per_month: PositiveFloat
    zone: Name


class Price(Model):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]
    cache_read: Annotated[float, Field(ge=0)] | None = None
    cache_write: Annotated[float, Field(ge=0)] | None = None


class PriceBook(Model):
    """What tokens cost: by provider and model. The local tier's from the price of its GPU hours."""

    version: PlainName
    models: dict[Name, dict[Name, Price]]
    gpu_usd_per_hour: PositiveFloat | None = None


class Source(Model):
    """Something that exposes metrics, and the binding (see `tiercli sources`) that says what they mean."""

    binding: PlainName
    targets: tuple[HostPort, ...] = Field(min_length=1, description="host:port of each instance")
    path: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~%/-]*$")] = Field(
        default="/metrics", description="where its metrics are"
    )
    scheme: Literal["http", "https"] = "http"
    deployments: dict[Name, Candidate] = Field(
        default={}, description="for a gateway that does not report regions: what each of its stable ids stands for"
    )


class OtherSource(Source):
    """A source beside the gateway and the local servers: GPUs, or a cloud provider's own console."""

    provider: Name | None = Field(
        default=None, description="a console: the provider that it measures, in the gateway's place"
    )


class ServiceLevel(Model):
    """What users are promised: what the overview compares with. No alarm rests on it."""

    latency_seconds: PositiveFloat = Field(default=5.0, description="a call should not take longer than this")


class Override(Model):
    """What is different for some providers, regions, models, aliases or tenants only; the entry that names most labels
    wins."""

    provider: Name | None = None
    region: Name | None = None
    model: Name | None = None
    alias: Name | None = None
    tenant: Name | None = None
    thresholds: dict[str, Annotated[float, Field(ge=0)]] = {}
    severity: Severity | None = None
    owner: PlainName | None = None
    for_: Duration | None = Field(default=None, alias="for", description="at least the alarm's own")

    def labels(self) -> dict[str, str]:
        """The labels that it names: whom it is for."""
        named = {label: getattr(self, label) for label in OVERRIDE_LABELS}
        return {label: value for label, value in named.items() if value is not None}


class AlarmSettings(Model):
    """What this catalog changes in one alarm. Anything not given stays as the alarm's own file has it."""

    severity: Severity | None = None
    owner: PlainName | None = None
    for_: Duration | None = Field(default=None, alias="for")
    thresholds: dict[str, Annotated[float, Field(ge=0)]] = {}
    overrides: tuple[Override, ...] = ()


class SeriesBudget(Model):
    """How many series a metric may have, who says so, and why. Zero is not a budget."""

    series: PositiveInt = Field(description="the most series that there may be")
    owner: PlainName = Field(description="the team that answers for it")
    reason: Line = Field(description="why that many")


class RareTenants(Model):
    """Which tenants keep their own label value. Those that an override of an alarm names keep theirs too; all others
    become one. Spend is the monthly budget: what the catalog knows of it."""

    keep: tuple[Name, ...] = Field(default=(), description="these")
    top: Annotated[int, Field(ge=0)] = Field(default=0, description="and so many that spend most")
    rest: Name = Field(default="other", description="what all others become")


class LabelPolicy(Model):
    """Which labels some metrics go without, and whether their rare tenants are grouped: where metrics are counted (by the
    gateway, or by `tiercli exporter audit`), or where rules record them."""

    metrics: tuple[Line, ...] = Field(min_length=1, description="metrics of the contract; * stands for any text")
    drop: tuple[Line, ...] = Field(default=(), description="labels that they go without")
    rare_tenants: RareTenants | None = None
    where: Literal["gateway", "rules"] = Field(
        default="gateway",
        description="who groups tenants: whoever counts, or the recording rules, for a gateway that cannot",
    )


class Cardinality(Model):
    """Budgets of series, in all and by metric, and the policy that keeps to them."""

    total: SeriesBudget
    metrics: dict[str, SeriesBudget] = {}
    policy: tuple[LabelPolicy, ...] = Field(default=(), description="at most one entry for a metric")
    label_values: dict[PlainName, PositiveInt] = Field(
        default={},
        description="of labels that sources have beside the catalog's: how many values each has for every combination of the others",
    )


class AuditRetention(Model):
    """How long the audit log must go back, by purpose."""

    live: Span | None = Field(default=None, description="for questions of the day: incidents, dashboards")
    cost: Span | None = Field(default=None, description="for invoices and budgets")
    compliance: Span | None = Field(default=None, description="for auditors")


class AuditSettings(Model):
    """What is demanded of the gateway's audit log."""

    retention: AuditRetention = AuditRetention()


class PrometheusSettings(Model):
    """How often Prometheus scrapes and evaluates, and where it finds itself."""

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
    """Where people read: bases of the URLs in annotations. Both without a trailing slash."""

    runbooks: Annotated[str, StringConstraints(pattern=r"^https?://[^\s{}$]*[^/\s{}$]$")]
    grafana: Annotated[str, StringConstraints(pattern=r"^https?://[^\s{}$]*[^/\s{}$]$")]


class Catalog(Model):
    """One estate in one environment: everything that tiercli generates, plans and drills comes from this."""

    version: Literal[1] = Field(description="the version of this format")
    estate: PlainName = Field(description="what this catalog describes: a label of every alert")
    env: PlainName = Field(description="the environment: a label of every alert")
    time_zone: str = Field(default="UTC", description="an IANA time zone: days and months are its")
    links: Links = Field(description="where annotations point")
    owners: dict[PlainName, Owner] = Field(min_length=1, description="the teams, by name")
    receivers: dict[PlainName, Receiver] = Field(min_length=1, description="where notifications can go, by name")
    routing: Routing = Field(description="the receiver of each severity")
    providers: dict[Name, Provider] = Field(
        min_length=1, description="cloud providers and the local tier, by the name that the gateway reports"
    )
    aliases: dict[Name, Alias] = Field(min_length=1, description="what clients call, by name")
    zones: dict[Name, Zone] = Field(min_length=1, description="privacy zones, by name")
    tenants: dict[Name, Tenant] = Field(min_length=1, description="who calls, by name")
    tenants_file: Line | None = Field(
        default=None, exclude=True, description="CSV or JSON Lines beside the catalog, with more of them"
    )
    price_book: PriceBook = Field(description="what tokens and GPU hours cost")
    gateway: Source = Field(description="what exposes the metrics of the estate")
    sources: dict[PlainName, OtherSource] = Field(default={}, description="GPUs and consoles, by a name of your own")
    service_level: ServiceLevel = Field(default=ServiceLevel(), description="what users are promised")
    alarms: dict[str, AlarmSettings] = Field(default={}, description="changes to alarms, by the alarm's name")
    templates: tuple[Line, ...] = Field(default=(), description="folders of alarm files of one's own, beside this file")
    cardinality: Cardinality = Field(description="how many series there may be")
    audit: AuditSettings = Field(default=AuditSettings(), description="what is demanded of the gateway's audit log")
    prometheus: PrometheusSettings = Field(
        default=PrometheusSettings(), description="intervals of the generated Prometheus configuration"
    )
    environments: dict[PlainName, Environment] = Field(
        default={}, description="where it really runs, for drills against it: by name"
    )
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

    def tenant_aliases(self, tenant: Tenant) -> tuple[str, ...]:
        """The aliases that `tenant` may call."""
        return tuple(self.aliases) if tenant.aliases is None else tenant.aliases
