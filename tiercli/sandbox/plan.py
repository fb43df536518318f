"""The simulated estate as its processes read it: one JSON file in the sandbox's folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiercli.catalog.model import Catalog
from tiercli.sandbox.ports import LOOPBACK

GATEWAY_TIMEOUT_S = 3.0
# Attempts a second that a provider's quota allows here: far above a drill's load, so that headroom is a real figure.
QUOTA_PER_SECOND = 500.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One simulated provider in one region, or one local server; reached through its own port of the fault proxy."""

    key: str
    provider: str
    region: str
    tier: str
    server: str
    models: tuple[str, ...]
    p50_seconds: float
    p95_seconds: float
    error_ratio: float
    concurrency: int
    gpus: int
    port: int
    proxy_port: int

    @property
    def labels(self) -> dict[str, str]:
        """What a fault's target is matched with."""
        labels = {"provider": self.provider, "region": self.region, "tier": self.tier}
        return labels | ({"server": self.server} if self.server else {})


@dataclass(frozen=True, slots=True)
class PlannedTenant:
    """A tenant as the gateway enforces it; `regions` None is anywhere."""

    features: tuple[str, ...]
    aliases: tuple[str, ...]
    regions: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class EstatePlan:
    """Everything that the simulated providers, the gateway and the fault proxy need to know."""

    gateway_port: int
    control_port: int
    token_file: str
    audit_log: str
    timeout_s: float
    quota_per_second: float
    endpoints: tuple[Endpoint, ...]
    aliases: dict[str, tuple[tuple[str, str, str], ...]]  # candidates: provider, model, region
    tenants: dict[str, PlannedTenant]
    prices: dict[str, dict[str, dict[str, float]]]  # provider, model, direction: USD per million tokens
    price_book_version: str
    gpu_usd_per_hour: float


def plan_estate(catalog: Catalog, *, folder: Path, token_file: Path, allocate: Callable[[], int]) -> EstatePlan:
    """The plan of a catalog's simulated estate, its ports from `allocate`."""
    return EstatePlan(
        gateway_port=allocate(),
        control_port=allocate(),
        token_file=str(token_file),
        audit_log=str(folder / "audit.jsonl"),
        timeout_s=GATEWAY_TIMEOUT_S,
        quota_per_second=QUOTA_PER_SECOND,
        endpoints=tuple(_endpoints(catalog, allocate)),
        aliases={
            name: tuple((one.provider, one.model, one.region) for one in alias.candidates)
            for name, alias in catalog.aliases.items()
        },
        tenants={
            name: PlannedTenant(tenant.features, catalog.tenant_aliases(tenant), catalog.zones[tenant.zone].regions)
            for name, tenant in catalog.tenants.items()
        },
        prices={
            provider: {model: price.model_dump(exclude_none=True) for model, price in models.items()}
            for provider, models in catalog.price_book.models.items()
        },
        price_book_version=catalog.price_book.version,
        gpu_usd_per_hour=catalog.price_book.gpu_usd_per_hour or 0.0,
    )


def _endpoints(catalog: Catalog, allocate: Callable[[], int]) -> list[Endpoint]:
    endpoints = []
    for name, provider in catalog.providers.items():
        for region, settings in provider.regions.items():
            offered = tuple(
                offer.model for offer in catalog.offers() if (offer.provider, offer.region) == (name, region)
            )
            here = {server: one for server, one in provider.servers.items() if one.region == region}
            for server, models, gpus in [(key, one.models, one.gpus) for key, one in here.items()] or [
                ("", offered, 0)
            ]:
                endpoints.append(
                    Endpoint(
                        key="/".join(part for part in (name, region, server) if part),
                        provider=name,
                        region=region,
                        tier=provider.tier,
                        server=server,
                        models=models,
                        p50_seconds=settings.typical.p50_seconds,
                        p95_seconds=settings.typical.p95_seconds,
                        error_ratio=settings.typical.error_ratio,
                        concurrency=settings.typical.concurrency or 0,
                        gpus=gpus,
                        port=allocate(),
                        proxy_port=allocate(),
                    )
                )
    return endpoints


def write_plan(plan: EstatePlan, path: Path) -> None:
    """Write the plan where its processes read it."""
    path.write_text(json.dumps(dataclasses.asdict(plan), ensure_ascii=False), encoding="utf-8")


def load_plan(path: Path) -> EstatePlan:
    """Read a plan that write_plan wrote."""
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    data["endpoints"] = tuple(Endpoint(**{**one, "models": tuple(one["models"])}) for one in data["endpoints"])
    data["aliases"] = {
        name: tuple((c[0], c[1], c[2]) for c in candidates) for name, candidates in data["aliases"].items()
    }
    data["tenants"] = {
        name: PlannedTenant(
            tuple(one["features"]), tuple(one["aliases"]), None if one["regions"] is None else tuple(one["regions"])
        )
        for name, one in data["tenants"].items()
    }
    return EstatePlan(**data)


def base_url(port: int) -> str:
    """The URL of a server of the sandbox."""
    return f"http://{LOOPBACK}:{port}"
