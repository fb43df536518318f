"""A large estate for benches and tests: 100 models in their provider's region, 60 aliases, 10,000 tenants; the same every time.

Run as a script: python tests/bench/large_estate.py FOLDER [--tenants csv|jsonl|yaml] writes FOLDER/catalog.yaml, and the
tenants beside it unless they are to be in it.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml

TenantsForm = Literal["csv", "jsonl", "yaml"]
FORMS: tuple[TenantsForm, ...] = ("csv", "jsonl", "yaml")

TENANTS = 10_000
ALIASES = 60
_SEED = 20261121
_CLOUDS = tuple(f"cloud-{letter}" for letter in "abcdefgh")
_LOCALS = {"vllm": "eu-dc", "sglang": "us-dc"}
_AREAS = {"eu": ("eu-west-1", "eu-dc"), "us": ("us-east-1", "us-dc"), "apac": ("ap-south-1",)}
_CLOUD_REGIONS = tuple(regions[0] for regions in _AREAS.values())
_FEATURES = ("chat", "search", "summary", "drafting", "headlines", "research", "translation", "moderation")
_DIRECTIONS = ("input", "output", "cache_read", "cache_write")


def large_catalog() -> dict[str, Any]:
    """The catalog without its tenants: 8 clouds × 3 regions × 4 models, 2 kinds of local server with 2 models each."""
    owners = ("platform", "product-ai", "search-ai")
    channel = {"slack": {"api_url_file": "/etc/alertmanager/secrets/slack", "channel": "#llm"}}
    return {
        "version": 1,
        "estate": "large-estate",
        "env": "production",
        "links": {"runbooks": "https://wiki.example.com/runbooks", "grafana": "https://grafana.example.com"},
        "owners": {name: {"contact": f"#{name}"} for name in owners},
        "receivers": {
            "pager": {"pagerduty": {"routing_key_file": "/etc/alertmanager/secrets/pagerduty"}},
            "channel": channel,
            "dashboards": {},
        },
        "routing": {"page": "pager", "notify": "channel", "trend": "dashboards", "heartbeat": "dashboards"},
        "providers": dict(_providers()),
        "aliases": dict(_aliases(owners)),
        "zones": {**{area: {"regions": list(regions)} for area, regions in _AREAS.items()}, "anywhere": {}},
        "price_book": {
            "version": "2026-11-01",
            "models": {cloud: {model: _price(cloud, model) for model in _models(cloud)} for cloud in _CLOUDS},
            "gpu_usd_per_hour": 2.4,
        },
        "gateway": {"binding": "native", "targets": ["gateway.internal:9100"]},
        "sources": {"gpus": {"binding": "tiercli-gpu", "targets": ["gpus.internal:9400"]}},
        "cardinality": {"total": {"series": 1_000_000, "owner": "platform", "reason": "a Prometheus of its own"}},
        "prometheus": {"scrape_interval": "15s", "evaluation_interval": "15s"},
    }


def large_tenants(count: int = TENANTS) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each tenant's name and entry. Whoever is bound to an area calls that area's aliases only."""
    noise = random.Random(_SEED)
    of_area: dict[str, list[str]] = {}
    for alias, area in _alias_areas():
        of_area.setdefault(area, []).append(alias)
    zones = ("anywhere", "eu", "us", "apac")
    for number in range(count):
        zone = zones[number % len(zones)]
        known = of_area[zone] if zone != "anywhere" else [alias for alias, _ in _alias_areas()]
        yield (
            f"tenant-{number:05}",
            {
                "features": noise.sample(_FEATURES, noise.choice((1, 1, 2, 3))),
                "aliases": noise.sample(known, noise.choice((1, 2))),
                "budget_usd_per_month": noise.randrange(100, 50_000),
                "zone": zone,
            },
        )


def write_large_estate(folder: Path, form: TenantsForm, tenants: int = TENANTS) -> Path:
    """Write the catalog, its tenants in `form`; the catalog's path."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = large_catalog()
    if form == "yaml":
        catalog["tenants"] = dict(large_tenants(tenants))
    else:
        catalog["tenants_file"] = f"tenants.{form}"
        with (folder / f"tenants.{form}").open("w", encoding="utf-8", newline="") as stream:
            if form == "csv":
                columns = ("tenant", "features", "aliases", "budget_usd_per_month", "zone")
                writer = csv.writer(stream)
                writer.writerow(columns)
                for name, entry in large_tenants(tenants):
                    row = {**entry, "tenant": name, **{key: ";".join(entry[key]) for key in ("features", "aliases")}}
                    writer.writerow([row[column] for column in columns])
            else:
                for name, entry in large_tenants(tenants):
                    stream.write(json.dumps({"tenant": name, **entry}) + "\n")
    path = folder / "catalog.yaml"
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    path.write_text(yaml.dump(catalog, Dumper=dumper, sort_keys=False), encoding="utf-8")
    return path


def _models(provider: str) -> list[str]:
    return [f"{provider}-model-{number}" for number in range(2 if provider in _LOCALS else 4)]


def _providers() -> Iterator[tuple[str, dict[str, Any]]]:
    for cloud in _CLOUDS:
        models = {model: {} for model in _models(cloud)}
        regions = {region: {} for region in _CLOUD_REGIONS}
        yield cloud, {"tier": "cloud", "owner": "platform", "regions": regions, "models": models}
    for local, region in _LOCALS.items():
        names = _models(local)
        servers = {
            f"{local}-{number}": {
                "region": region,
                "models": names,
                "gpus": 8,
                "metrics": f"{local}-{number}.internal:8000",
            }
            for number in range(4)
        }
        models = {model: {} for model in names}
        entry = {"tier": "local", "owner": "platform", "binding": local, "regions": {region: {}}, "models": models}
        yield local, {**entry, "servers": servers}


def _alias_areas() -> list[tuple[str, str]]:
    areas = tuple(_AREAS)
    return [(f"alias-{number:02}", areas[number % len(areas)]) for number in range(ALIASES)]


def _aliases(owners: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    local_of = {region: name for name, region in _LOCALS.items()}
    for number, (alias, area) in enumerate(_alias_areas()):
        clouds = [_CLOUDS[(number + step) % len(_CLOUDS)] for step in range(3)]
        places = [(cloud, _AREAS[area][0]) for cloud in clouds]
        places += [(local_of[region], region) for region in _AREAS[area][1:]]
        candidates = [
            {"provider": provider, "model": _models(provider)[number % len(_models(provider))], "region": region}
            for provider, region in places
        ]
        yield alias, {"owner": owners[number % len(owners)], "candidates": candidates}


def _price(cloud: str, model: str) -> dict[str, float]:
    noise = random.Random(f"{cloud} {model}")
    base = noise.choice((0.25, 1.0, 3.0))
    return dict(zip(_DIRECTIONS, (base, base * 5, base / 10, base * 1.25), strict=True))


def main() -> None:
    """Write an estate and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tenants", choices=FORMS, default="csv")
    parser.add_argument("--count", type=int, default=TENANTS)
    arguments = parser.parse_args()
    print(write_large_estate(arguments.folder, arguments.tenants, arguments.count))


if __name__ == "__main__":
    main()
