"""LiteLLM's own proxy in place of the simulated gateway: its routing, its fallbacks, its metrics."""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from tiercli.catalog.model import Catalog, Offer
from tiercli.sandbox.plan import EstatePlan
from tiercli.sandbox.real_parts.interface import RealProcess, find_program
from tiercli.serving import LOOPBACK
from tiercli.sidecar.supervisor import ProcessSpec
from tiercli.signals.bindings import known_binding

_PROGRAM = "TIERCLI_LITELLM"
_GET = (
    f"install litellm[proxy] into an environment of its own and name its program with {_PROGRAM} or on PATH; in a checkout "
    "`make real-parts` does it"
)
_STARTS_WITHIN_S = 180.0  # it imports for half a minute on a small machine
WHO_CALLS = "who_calls"  # the module that its configuration names
# LiteLLM keeps teams in a database, or asks a function: the team is the tenant that the load names.
_TENANT_OF_HEADER = """
from urllib.parse import unquote

from litellm.proxy._types import UserAPIKeyAuth


async def user_api_key_auth(request, api_key):
    tenant = unquote(request.headers.get("x-tenant", ""))
    return UserAPIKeyAuth(api_key=f"key-of-{tenant}", team_id=tenant, team_alias=tenant)
"""


class LiteLLM:
    """Every instance of a gateway whose binding is litellm."""

    name = "litellm"
    binding = "litellm"
    kind: Literal["gateway", "servers"] = "gateway"
    metrics_path = "/metrics/"

    def version(self) -> str:
        """That of the package beside the program; its own --version takes as long as a start. Raises ToolMissing."""
        program = find_litellm().resolve()
        installed = program.parent.parent.glob("lib/python*/site-packages/litellm-*.dist-info")
        found = [re.search(r"litellm-(\d[^-]*)\.dist-info", path.name) for path in installed]
        return next((match[1] for match in found if match), "of an unknown version")

    def problems(self, catalog: Catalog) -> Iterator[str]:
        """It writes no audit log here, and an id is of one deployment."""
        if catalog.gateway.binding != self.binding:
            yield f"the catalog's gateway has the binding {catalog.gateway.binding}"
            return
        for name, source in catalog.sources.items():
            binding = known_binding(source.binding)
            if binding.kind == "gateway" and source.provider is None:
                yield f"nothing would write what the source {name!r} ({source.binding}) counts: leave it out"
        needed: dict[Offer, int] = defaultdict(int)
        for alias in catalog.aliases.values():
            for candidate in alias.candidates:
                offer = Offer(candidate.provider, candidate.model, candidate.region)
                needed[offer] += max(1, len(_servers(catalog, offer)))
        for offer, count in needed.items():
            ids = len(_ids(catalog, offer))
            if ids < count:
                place = "/".join(offer)
                yield f"gateway.deployments has {ids} ids for {place}, and {count} are needed: one for each alias and server"

    def processes(self, plan: EstatePlan) -> Mapping[str, RealProcess]:
        """One for each instance. Raises ToolMissing, OSError."""
        program = find_litellm()
        (plan.folder / f"{WHO_CALLS}.py").write_text(_TENANT_OF_HEADER, encoding="utf-8")
        config = plan.folder / "litellm.yaml"
        config.write_text(yaml.safe_dump(proxy_config(plan), allow_unicode=True), encoding="utf-8")
        return {
            f"gateway-{number}": RealProcess(
                proxy_process(f"gateway-{number}", program, config, gateway.port),
                f"http://{LOOPBACK}:{gateway.port}/health/liveliness",
                _STARTS_WITHIN_S,
            )
            for number, gateway in enumerate(plan.gateways)
        }


def find_litellm() -> Path:
    """The program. Raises ToolMissing."""
    return find_program("litellm", _PROGRAM, _GET)


def proxy_config(plan: EstatePlan) -> dict[str, Any]:
    """LiteLLM's configuration for a plan: each alias' first candidate under the alias' name, the others as what it falls back to,
    all at the price book's prices. The module WHO_CALLS beside it has to say who calls."""
    endpoints = {endpoint.key: endpoint for endpoint in plan.endpoints}
    left: dict[Offer, Iterator[str]] = {}
    models, fallbacks = [], []
    for alias in plan.aliases:
        others = [f"{alias.name}-fallback-{step}" for step in range(1, len(alias.candidates))]
        fallbacks += [{alias.name: others}] if others else []
        for name, candidate in zip((alias.name, *others), alias.candidates, strict=True):
            offer = Offer(candidate.provider, candidate.model, candidate.region)
            ids = left.setdefault(offer, iter(_ids(plan.catalog, offer)))
            for key in candidate.endpoints:
                params = {
                    "model": f"openai/{candidate.model}",
                    "api_base": f"{endpoints[key].url}/v1",
                    "api_key": "simulated",
                    "timeout": plan.gateway_timeout_s,
                    **_prices(plan.catalog, offer),
                }
                models.append({"model_name": name, "litellm_params": params, "model_info": {"id": next(ids)}})
    return {
        "model_list": models,
        "litellm_settings": {
            "callbacks": ["prometheus"],
            "num_retries": 0,
            "telemetry": False,
            "require_auth_for_metrics_endpoint": False,
        },
        "router_settings": {"fallbacks": fallbacks, "num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"custom_auth": f"{WHO_CALLS}.user_api_key_auth"},
    }


def proxy_process(name: str, program: Path, config: Path, port: int) -> ProcessSpec:
    """LiteLLM's proxy with this configuration, on loopback; its log is beside the configuration."""
    argv = (str(program), "--config", str(config), "--host", LOOPBACK, "--port", str(port))
    # It starts with no key at all only when told so by name; nobody knows this one.
    env = {
        "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(16)}",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "NO_PROXY": "*",
        "DO_NOT_TRACK": "1",
    }
    return ProcessSpec(name, argv, config.parent / f"{name}.log", env, config.parent)


def _prices(catalog: Catalog, offer: Offer) -> dict[str, float]:
    """What LiteLLM is to count as spent, in US dollars per token: its own list has other prices, or none."""
    price = catalog.price_book.models.get(offer.provider, {}).get(offer.model)
    if price is None:
        return {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}
    per_million = {
        "input_cost_per_token": price.input,
        "output_cost_per_token": price.output,
        "cache_read_input_token_cost": price.cache_read,
        "cache_creation_input_token_cost": price.cache_write,
    }
    return {name: usd / 1e6 for name, usd in per_million.items() if usd is not None}


def _ids(catalog: Catalog, offer: Offer) -> list[str]:
    return [
        name
        for name, place in catalog.gateway.deployments.items()
        if Offer(place.provider, place.model, place.region) == offer
    ]


def _servers(catalog: Catalog, offer: Offer) -> list[str]:
    provider = catalog.providers[offer.provider]
    return [
        name
        for name, server in provider.servers.items()
        if server.region == offer.region and offer.model in server.models
    ]
