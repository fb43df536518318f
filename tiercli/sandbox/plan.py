"""The parts of the simulated estate: every process of the sandbox reads them from one JSON file.

The file holds the catalog, ports and paths, and no secret: the fault proxy's token has a file of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tiercli.catalog.field_types import Tier
from tiercli.catalog.model import Catalog, Provider, Typical
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.faults.proxy.routes import ProxyPlan, Route

GATEWAY_PATH = "/metrics"  # where the simulated gateway exposes what the catalog's does
EVAL_SCORE = 0.9  # of an alias without a baseline in the catalog
# Quotas that the gateway enforces. They are above what a drill sends: they are shown, and refuse nothing.
PROVIDER_CALLS_PER_10S = 5000  # to one provider, model and region
_TIMEOUT_S, _LONGEST_TIMEOUT_S = 3.0, 25.0  # of an attempt
TENANT_CALLS_PER_10S = 4000  # of one tenant to one provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place that answers: a cloud provider in a region, or one server of the local tier."""

    key: str
    provider: str
    region: str
    tier: Tier
    server: str | None
    models: tuple[str, ...]
    p50_seconds: float
    p95_seconds: float
    error_ratio: float
    concurrency: int | None
    gpus: int  # 0 for the cloud
    upstream_port: int
    proxy_port: int
    metrics_port: int = 0  # of the local tier: where its own metrics and its GPUs' are scraped, through the fault proxy
    gpu_metrics_port: int = 0

    @property
    def url(self) -> str:
        """The URL for the gateway: through the fault proxy."""
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def metrics_address(self) -> str:
        """host:port of its own /metrics (local tier)."""
        return f"127.0.0.1:{self.metrics_port}"

    @property
    def gpu_metrics_address(self) -> str:
        """host:port of its GPUs' metrics, under the path of their source."""
        return f"127.0.0.1:{self.gpu_metrics_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidatePlan:
    """One place that an alias can be served from, and the keys of the endpoints that serve it there."""

    provider: str
    model: str
    region: str
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasPlan:
    """An alias: its candidates, the primary first; the score that its evals are set to."""

    name: str
    eval_score: float
    candidates: tuple[CandidatePlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """One instance of the gateway."""

    port: int
    audit_log: Path
    metrics_port: int = 0

    @property
    def address(self) -> str:
        """host:port, as a scrape target: through the fault proxy."""
        return f"127.0.0.1:{self.metrics_port or self.port}"

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EstatePlan:
    """The whole simulated estate."""

    catalog: Catalog
    folder: Path
    gateways: tuple[GatewayPlan, ...]
    gateway_timeout_s: float
    provider_calls_per_10s: int
    tenant_calls_per_10s: int
    proxy: ProxyPlan
    endpoints: tuple[Endpoint, ...]
    aliases: tuple[AliasPlan, ...]
    seed: int = 1
    quota_of: str | None = (
        None  # the only tenant whose calls are tenant_calls_per_10s; the others' are TENANT_CALLS_PER_10S
    )
    cooldown_s: float = 0.0  # how long a candidate is left out that fails again and again; 0: never
    minute_s: float = 60.0  # a minute of the estate's time
    real: tuple[str, ...] = ()  # the endpoints that real programs are, by their keys


def source_path(name: str) -> str:
    """Where the simulation exposes a source beside the gateway and the servers: of GPUs at each server, of others at each
    instance of the gateway."""
    return f"/sources/{name}"


def plan_estate(
    catalog: Catalog, *, folder: Path, allocate: Callable[[], int], token_file: Path, seed: int = 1
) -> EstatePlan:
    """The simulated estate of `catalog`: one gateway per target that the catalog names, one endpoint per cloud provider
    and region and per local server. `allocate` gives a free loopback port at each call; `folder` will hold the audit
    logs. Raises InvalidInput if an alias names a place that no endpoint serves. Writes nothing."""
    endpoints = tuple(_endpoints(catalog, allocate))
    gateways = tuple(
        GatewayPlan(port=allocate(), audit_log=folder / f"audit-{number}.jsonl", metrics_port=allocate())
        for number in range(len(catalog.gateway.targets))
    )
    return EstatePlan(
        catalog=catalog,
        folder=folder,
        gateways=gateways,
        gateway_timeout_s=catalog.gateway.timeout_seconds or _timeout_s(catalog),
        provider_calls_per_10s=PROVIDER_CALLS_PER_10S,
        tenant_calls_per_10s=TENANT_CALLS_PER_10S,
        proxy=ProxyPlan(control_port=allocate(), token_file=token_file, routes=tuple(_routes(endpoints, gateways))),
        endpoints=endpoints,
        aliases=_aliases(catalog, endpoints),
        seed=seed,
    )


def _timeout_s(catalog: Catalog) -> float:
    """What no ordinary answer takes, and less than a load waits for one."""
    slowest = max(
        (region.typical.p95_seconds for provider in catalog.providers.values() for region in provider.regions.values()),
        default=0.0,
    )
    return min(_LONGEST_TIMEOUT_S, max(_TIMEOUT_S, 4 * slowest))


def write_plan(plan: EstatePlan, path: Path) -> None:
    """Write `plan` as JSON, readable by its owner only. Raises OSError."""
    content = TypeAdapter(EstatePlan).dump_json(plan, indent=1, by_alias=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)


def load_plan(path: Path) -> EstatePlan:
    """Read what write_plan wrote. Raises InvalidInput if it cannot be read, or is something else."""
    try:
        return TypeAdapter(EstatePlan).validate_json(path.read_bytes())
    except ValidationError as error:
        problems = [
            Problem(Location(str(path)), f"{'.'.join(map(str, item['loc']))}: {item['msg']}") for item in error.errors()
        ]
    except OSError as error:
        problems = [Problem(Location(str(path)), str(error))]
    raise InvalidInput(f"{path} is not the plan of a simulated estate", problems)


def _endpoints(catalog: Catalog, allocate: Callable[[], int]) -> Iterator[Endpoint]:
    offered: dict[tuple[str, str], list[str]] = {}
    for offer in catalog.offers():
        offered.setdefault((offer.provider, offer.region), []).append(offer.model)
    for (provider_name, region), models in offered.items():
        provider = catalog.providers[provider_name]
        typical = provider.regions[region].typical if region in provider.regions else Typical()
        for server, served in _servers(provider, region, models):
            gpus = provider.servers[server].gpus if server is not None else 0
            yield Endpoint(
                key=_key(provider_name, region, *([server] if server is not None else [])),
                provider=provider_name,
                region=region,
                tier=provider.tier,
                server=server,
                models=tuple(served),
                p50_seconds=typical.p50_seconds,
                p95_seconds=max(typical.p50_seconds, typical.p95_seconds),
                error_ratio=typical.error_ratio,
                concurrency=typical.concurrency,
                gpus=gpus,
                upstream_port=allocate(),
                proxy_port=allocate(),
                metrics_port=allocate() if server is not None else 0,
                gpu_metrics_port=allocate() if server is not None else 0,
            )


def _servers(provider: Provider, region: str, models: list[str]) -> Iterator[tuple[str | None, list[str]]]:
    servers = {name: server for name, server in provider.servers.items() if server.region == region}
    if provider.tier == "cloud" or not servers:
        yield None, models
        return
    for name, server in servers.items():
        yield name, list(server.models)


def _key(*parts: str) -> str:
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def _routes(endpoints: tuple[Endpoint, ...], gateways: tuple[GatewayPlan, ...]) -> Iterator[Route]:
    """The routes of the fault proxy: every endpoint, and every scrape target."""
    yield from map(_route, endpoints)
    for number, gateway in enumerate(gateways):
        yield Route(
            name=f"scrape/gateway/{number}",
            port=gateway.metrics_port,
            upstream=gateway.url,
            labels={"scrape": "gateway"},
        )
    for endpoint in endpoints:
        for of, port in (("servers", endpoint.metrics_port), ("gpus", endpoint.gpu_metrics_port)):
            if endpoint.server is not None:
                yield Route(
                    name=f"scrape/{of}/{endpoint.key}",
                    port=port,
                    upstream=f"http://127.0.0.1:{endpoint.upstream_port}",
                    labels={"scrape": of, "server": endpoint.server},
                )


def _route(endpoint: Endpoint) -> Route:
    labels: Mapping[str, str] = {"provider": endpoint.provider, "region": endpoint.region, "tier": endpoint.tier}
    if endpoint.server is not None:
        labels = {**labels, "server": endpoint.server}
    return Route(
        name=endpoint.key,
        port=endpoint.proxy_port,
        upstream=f"http://127.0.0.1:{endpoint.upstream_port}",
        labels=labels,
    )


def _aliases(catalog: Catalog, endpoints: tuple[Endpoint, ...]) -> tuple[AliasPlan, ...]:
    problems = []
    aliases = []
    for name, alias in catalog.aliases.items():
        candidates = []
        for candidate in alias.candidates:
            place = (candidate.provider, candidate.region)
            keys = tuple(
                endpoint.key
                for endpoint in endpoints
                if (endpoint.provider, endpoint.region) == place and candidate.model in endpoint.models
            )
            if not keys:
                served = f"{candidate.provider}/{candidate.model}/{candidate.region}"
                accepted = ", ".join(endpoint.key for endpoint in endpoints)
                problems.append(Problem(Location("catalog"), f"alias {name!r}: no endpoint serves {served}", accepted))
            candidates.append(
                CandidatePlan(
                    provider=candidate.provider, model=candidate.model, region=candidate.region, endpoints=keys
                )
            )
        aliases.append(
            AliasPlan(
                name=name,
                eval_score=EVAL_SCORE if alias.eval_baseline is None else alias.eval_baseline,
                candidates=tuple(candidates),
            )
        )
    if problems:
        raise InvalidInput("the catalog's aliases name places that cannot be simulated", problems)
    return tuple(aliases)
