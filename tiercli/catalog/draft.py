"""A first catalog as text: the starter, and a draft of what was discovered, with every guess marked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

# Words in a provider's name that tell one's own inference servers from a cloud.
LOCAL_WORDS = ("vllm", "ollama", "sglang", "tgi", "llama", "triton", "local", "lmstudio", "huggingface")


@dataclass(slots=True)
class Discovered:
    """What a Prometheus sees. `aliases`: (provider, model, region) by fallback step; `tenants`: features and aliases."""

    offers: list[tuple[str, str, str]] = field(default_factory=list)
    aliases: dict[str, dict[tuple[int, str, str, str], None]] = field(default_factory=dict)
    tenants: dict[str, tuple[set[str], set[str]]] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)


def starter_catalog() -> str:
    """A small valid catalog: one cloud provider, one local server, one alias, one tenant."""
    seen = Discovered(
        offers=[("my-cloud", "my-model", "my-region"), ("my-servers", "my-local-model", "my-datacentre")],
        aliases={
            "assistant": {
                (0, "my-cloud", "my-model", "my-region"): None,
                (1, "my-servers", "my-local-model", "my-datacentre"): None,
            }
        },
        tenants={"my-team": ({"chat"}, {"assistant"})},
        targets=["gateway.internal:9100"],
    )
    return draft_catalog(
        seen, "native", "A first catalog. Put your own names in place of these.", {"my-servers": "local"}
    )


def draft_catalog(seen: Discovered, binding: str, comment: str, tiers: Mapping[str, str] | None = None) -> str:
    """The text of a catalog that holds what was seen. What could only be guessed is marked with `# guess`."""
    models: dict[str, dict[str, list[str]]] = {}
    regions: dict[str, list[str]] = {}
    for provider, model, region in seen.offers:
        models.setdefault(provider, {}).setdefault(model, []).append(region)
        if region not in regions.setdefault(provider, []):
            regions[provider].append(region)
    tier = {name: (tiers or {}).get(name) or guess_tier(name) for name in models}
    lines = [
        f"# {comment}",
        "# What is marked `# guess` could not be seen: check it. Then: tiercli catalog validate",
        "version: 1",
        "estate: my-estate   # guess",
        "env: production   # guess",
        "",
        "links:   # guess",
        "  runbooks: https://wiki.example.com/runbooks",
        "  grafana: https://grafana.example.com",
        "",
        "owners:",
        '  platform: {contact: "#platform"}   # guess',
        "",
        "receivers:   # guess: where pages, tickets and the heartbeat go",
        "  pager: {pagerduty: {routing_key_file: /etc/alertmanager/secrets/pagerduty}}",
        '  channel: {slack: {api_url_file: /etc/alertmanager/secrets/slack, channel: "#platform"}}',
        "  dashboards: {}   # no integration: a trend interrupts nobody",
        '  heartbeat: {webhook: {url: "http://heartbeat.internal:8080/tiercli"}}',
        "",
        "routing: {page: pager, notify: channel, trend: dashboards, heartbeat: heartbeat}",
        "",
        "providers:",
    ]
    for provider, offered in models.items():
        lines += [
            f"  {_text(provider)}:",
            f"    tier: {tier[provider]}   # guess",
            "    owner: platform   # guess",
            "    regions:",
            *(f"      {_text(region)}: {{}}" for region in regions[provider]),
            "    models:",
        ]
        for model, here in offered.items():
            everywhere = set(here) == set(regions[provider])
            limited = "{}" if everywhere else f"{{regions: [{', '.join(map(_text, here))}]}}"
            lines.append(f"      {_text(model)}: {limited}")
        if tier[provider] == "local":
            lines.append("    servers:   # guess: one a region; name each server that you run")
            for region in regions[provider]:
                served = ", ".join(_text(model) for model, here in offered.items() if region in here)
                lines.append(f"      {_text(f'{provider}-{region}')}: {{region: {_text(region)}, models: [{served}]}}")
    lines += ["", "aliases:"]
    for alias, candidates in seen.aliases.items():
        lines += [f"  {_text(alias)}:", "    owner: platform   # guess", "    candidates:"]
        for _, provider, model, region in sorted(candidates):
            lines.append(f"      - {{provider: {_text(provider)}, model: {_text(model)}, region: {_text(region)}}}")
    lines += ["", "zones:", "  anywhere: {}   # guess", "", "tenants:"]
    for tenant, (features, aliases) in seen.tenants.items():
        lines += [
            f"  {_text(tenant)}:",
            f"    features: [{', '.join(map(_text, sorted(features)))}]",
            f"    aliases: [{', '.join(map(_text, sorted(aliases)))}]",
            "    budget_usd_per_month: 1000   # guess",
            "    zone: anywhere   # guess",
        ]
    lines += ["", "price_book:", '  version: "1"   # guess', "  models:   # guess: US dollars per million tokens"]
    cloud = [provider for provider in models if tier[provider] == "cloud"]
    for provider in cloud:
        prices = ", ".join(f"{_text(model)}: {{input: 1, output: 5}}" for model in models[provider])
        lines.append(f"    {_text(provider)}: {{{prices}}}")
    if not cloud:
        lines[-1] = "  models: {}"
    if len(cloud) < len(models):
        lines.append("  gpu_usd_per_hour: 2   # guess")
    lines += [
        "",
        f"gateway: {{binding: {binding}, targets: [{', '.join(map(_text, seen.targets))}]}}",
        "",
        "cardinality:",
        '  total: {series: 10000, owner: platform, reason: "a first budget"}   # guess',
        "",
    ]
    return "\n".join(lines)


def guess_tier(provider: str) -> str:
    """local for a name that sounds like an inference server of one's own, cloud otherwise."""
    return "local" if any(word in provider.lower() for word in LOCAL_WORDS) else "cloud"


def _text(name: str) -> str:
    """A YAML scalar that is text, whatever the name is: JSON's strings are YAML's."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if plain.isalnum() and plain.isascii() and plain[0].isalpha() and name.lower() not in ("true", "false", "null"):
        return name
    return json.dumps(name, ensure_ascii=False)
