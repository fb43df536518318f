"""What the estate is. Frozen pydantic models: the shape of a catalog file, and the source of its JSON Schema.

Cross references are checked in validation.py; these models check only what one entry can say of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, StringConstraints

from tiercli.durations import parse_duration

Tier = Literal["local", "cloud"]
Severity = Literal["page", "notify", "trend"]


def _check_name(value: str) -> str:
    if value != value.strip():
        raise ValueError("a name cannot begin or end with a space")
    if re.search(r"[\x00-\x1f\x7f\u2028\u2029]", value):
        raise ValueError("a name cannot hold a control character or a line break")
    return value


def _check_duration(value: str) -> str:
    parse_duration(value)
    return value


# A name that becomes a label value: anything printable, because it is quoted wherever it goes.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_check_name)]
# A name that becomes an identifier in somebody else's configuration, some of which expands $ and {{.
PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Duration = Annotated[str, AfterValidator(_check_duration), Field(description="a Prometheus duration: 30s, 5m, 1h30m")]


class Model(BaseModel):
    """The base of every catalog entry: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
    models: tuple[Name, ...] = Field(min_length=1)
    gpus: PositiveInt = 1
    metrics: str | None = Field(default=None, description="host:port of the server's own /metrics")


class Provider(Model):
    """A cloud provider, or one kind of inference server of one's own."""

    tier: Tier
    owner: PlainName
    regions: dict[Name, Region] = Field(min_length=1)
    models: dict[Name, ModelOffer] = Field(min_length=1)
    servers: dict[Name, Server] = Field(default={}, description="local tier only: the servers, by name")


class Candidate(Model):
    """One place that an alias can be served from."""

    provider: Name
    model: Name
    region: Name


class Alias(Model):
    """A name that clients call; the first candidate is the primary, the others are fallback steps 1, 2, …"""

    owner: PlainName
    candidates: tuple[Candidate, ...] = Field(min_length=1)


class Zone(Model):
    """Where a tenant's calls may be served. Without `regions`: anywhere."""

    regions: tuple[Name, ...] | None = None


class Tenant(Model):
    """Who calls, from which features, for how much a month, and where their data may go."""

    features: tuple[Name, ...] = Field(min_length=1)
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


class Webhook(Model):
    """A webhook. Its URL is written into the configuration, so it must not hold a secret."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^@\s?#]+$")]
    credentials_file: str | None = Field(
        default=None, description="a file with a bearer token, where Alertmanager runs"
    )


class Slack(Model):
    """A Slack channel."""

    api_url_file: str
    channel: str


class PagerDuty(Model):
    """A PagerDuty service."""

    routing_key_file: str


class Receiver(Model):
    """Where notifications go. None of the three: they are kept in Alertmanager and interrupt nobody."""

    webhook: Webhook | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None


class Routing(Model):
    """The receiver of each severity, unless an owner has another, and of Watchdog's heartbeat."""

    page: PlainName
    notify: PlainName
    trend: PlainName
    heartbeat: PlainName


class Owner(Model):
    """A team. Severities that it does not name go where `routing` says."""

    contact: str
    page: PlainName | None = None
    notify: PlainName | None = None
    trend: PlainName | None = None


class Source(Model):
    """Something that exposes metrics, and the binding (catalogs/sources/) that says what they mean."""

    binding: PlainName
    targets: tuple[str, ...] = Field(min_length=1, description="host:port of each instance")
    path: str = "/metrics"
    scheme: Literal["http", "https"] = "http"


class Override(Model):
    """Thresholds for some providers, regions or models only; the entry that names most labels wins."""

    provider: Name | None = None
    region: Name | None = None
    model: Name | None = None
    thresholds: dict[str, Annotated[float, Field(ge=0)]] = Field(min_length=1)


class AlarmSettings(Model):
    """What this catalog changes in one alarm. Anything not given stays as the alarm's own file has it."""

    severity: Severity | None = None
    owner: PlainName | None = None
    for_: Duration | None = Field(default=None, alias="for")
    thresholds: dict[str, Annotated[float, Field(ge=0)]] = {}
    overrides: tuple[Override, ...] = ()


class SeriesBudget(Model):
    """How many series a metric may have, who says so, and why. Zero is not a budget."""

    series: PositiveInt
    owner: PlainName
    reason: str


class Cardinality(Model):
    """Budgets of series: in all, and by metric of the contract."""

    total: SeriesBudget
    metrics: dict[str, SeriesBudget] = {}


class PrometheusSettings(Model):
    """How often Prometheus scrapes and evaluates."""

    scrape_interval: Duration = "15s"
    evaluation_interval: Duration = "15s"


class AlertmanagerSettings(Model):
    """How long Alertmanager waits and how often it repeats."""

    targets: tuple[str, ...] = ("localhost:9093",)
    group_wait: Duration = "10s"
    group_interval: Duration = "1m"
    repeat_interval: Duration = "4h"


class Links(Model):
    """Where people read: bases of the URLs in annotations. Both without a trailing slash."""

    runbooks: Annotated[str, StringConstraints(pattern=r"^https?://[^\s{}$]*[^/\s{}$]$")]
    grafana: Annotated[str, StringConstraints(pattern=r"^https?://[^\s{}$]*[^/\s{}$]$")]


class Catalog(Model):
    """One estate in one environment: everything that tiercli generates, plans and drills comes from this."""

    version: Literal[1]
    estate: PlainName
    env: PlainName
    time_zone: str = "UTC"
    links: Links
    owners: dict[PlainName, Owner] = Field(min_length=1)
    receivers: dict[PlainName, Receiver] = Field(min_length=1)
    routing: Routing
    providers: dict[Name, Provider] = Field(min_length=1)
    aliases: dict[Name, Alias] = Field(min_length=1)
    zones: dict[Name, Zone] = Field(min_length=1)
    tenants: dict[Name, Tenant] = Field(min_length=1)
    price_book: PriceBook
    gateway: Source
    alarms: dict[str, AlarmSettings] = {}
    cardinality: Cardinality
    prometheus: PrometheusSettings = PrometheusSettings()
    alertmanager: AlertmanagerSettings = AlertmanagerSettings()

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

    def tenant_aliases(self, tenant: Tenant) -> tuple[str, ...]:
        """The aliases that `tenant` may call."""
        return tuple(self.aliases) if tenant.aliases is None else tenant.aliases
