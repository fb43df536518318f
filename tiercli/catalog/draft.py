"""A first catalog: the starter, or a draft from the names in a running Prometheus. What is not known is marked as a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from tiercli.catalog.field_types import HostPort, Name
from tiercli.catalog.model import Offer
from tiercli.catalog.names import folded
from tiercli.errors import InvalidInput
from tiercli.resources import resource_folder

T = TypeVar("T")

LOCAL_SERVERS = ("vllm", "sglang", "ollama", "tgi", "llama.cpp", "llamacpp", "triton", "local")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_NOT_PLAIN = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_HOST_PORT: TypeAdapter[str] = TypeAdapter(HostPort)


class SeenStep(NamedTuple):
    """An offer that answered for an alias, and its fallback step."""

    step: int
    offer: Offer


@dataclass(frozen=True, slots=True)
class SeenTenant:
    """The features and aliases that a tenant has used."""

    features: Sequence[str]
    aliases: Sequence[str]


@dataclass(frozen=True, slots=True)
class SeenEstate:
    """What the metrics of a source show. A label that the source does not have is empty."""

    source: str
    offers: Sequence[Offer]
    aliases: Mapping[str, Sequence[SeenStep]] = field(default_factory=dict)
    tenants: Mapping[str, SeenTenant] = field(default_factory=dict)
    targets: Sequence[str] = ()


def starter_text() -> str:
    """A small valid catalog, with comments that explain each section."""
    return (resource_folder("catalogs") / "starter.yaml").read_text(encoding="utf-8")


def draft_text(seen: SeenEstate) -> str:
    """A valid catalog as YAML text, with "# guess:" at everything that the metrics do not show.

    Names that a catalog cannot hold (control characters, two that differ in case alone) are left out and listed. Raises
    InvalidInput when nothing is left.
    """
    names = _Names()
    steps = {alias: sorted(seen_steps) for alias, seen_steps in sorted(seen.aliases.items())}
    offers = sorted({*seen.offers, *(step.offer for seen_steps in steps.values() for step in seen_steps)})
    offers = [offer for offer in map(_placed, offers) if names.keep_offer(offer)]
    if not offers:
        nothing = "; ".join(names.left_out) or "no provider and model"
        raise InvalidInput(f"nothing in these metrics can be used in a catalog: {nothing}")
    aliases = {
        alias: [offer for offer in dict.fromkeys(_placed(step.offer) for step in candidates) if offer in offers]
        for alias, candidates in steps.items()
    }
    aliases = {alias: candidates for alias, candidates in names.kept("alias", aliases).items() if candidates}
    guessed_aliases = not aliases
    if guessed_aliases:
        aliases = {"default": offers}
    lines = [
        '# A draft from the metrics in Prometheus. Check every line with "guess:".',
        "version: 1",
        "estate: my-estate  # guess: a name of yours",
        "env: production  # guess: the environment",
        "time_zone: UTC  # guess: days and months of budgets are in this time zone",
        "links:",
        "  runbooks: https://wiki.example.com/llm-gateway/runbooks  # guess: where your runbooks are",
        "  grafana: https://grafana.example.com  # guess: your Grafana",
        "owners:",
        '  platform: {contact: "#llm-platform"}  # guess: the responsible team',
        "receivers:",
        "  nobody: {}  # guess: no integration yet, so nobody is notified",
        "routing: {page: nobody, notify: nobody, trend: nobody, heartbeat: nobody}  # guess: who is notified",
        *_providers(offers),
        *_aliases(aliases, guessed_aliases),
        "zones:",
        "  anywhere: {}  # guess: no zone is known",
        *_tenants(names, seen, aliases),
        *_prices(offers),
        *_gateway(seen),
        "cardinality:",
        '  total: {series: 20000, owner: platform, reason: "a first bound"}  # guess: see tiercli budget',
    ]
    lines[1:1] = [f"# left out: {note}" for note in names.left_out]
    return "\n".join(lines) + "\n"


def _placed(offer: Offer) -> Offer:
    return offer if offer.region else offer._replace(region="unknown-region")


class _Names:
    """Leaves out names that a catalog cannot hold, and notes why."""

    def __init__(self) -> None:
        self.left_out: list[str] = []
        self._seen: dict[str, dict[str, str]] = {}

    def keep(self, kind: str, name: str) -> bool:
        """Whether a catalog can hold `name` beside the names of its kind so far."""
        known = self._seen.setdefault(kind, {})
        reason = ""
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        first = name if reason else known.setdefault(folded(name), name)
        if first != name:
            reason = f"it differs from {_text(first)} only in case or encoding"
        if reason:
            note = f"{kind} {_text(name[:80])}: {reason}"
            self.left_out += [note] if note not in self.left_out else []
            return False
        return True

    def keep_offer(self, offer: Offer) -> bool:
        """Whether a catalog can hold all three names of an offer."""
        return (
            self.keep("provider", offer.provider)
            and self.keep("region", offer.region)
            and self.keep(f"model of {_text(offer.provider)}", offer.model)
        )

    def kept(self, kind: str, entries: Mapping[str, T]) -> dict[str, T]:
        """The entries whose names a catalog can hold."""
        return {name: entry for name, entry in entries.items() if self.keep(kind, name)}


def _providers(offers: Sequence[Offer]) -> Iterable[str]:
    yield "providers:"
    for provider in dict.fromkeys(offer.provider for offer in offers):
        own = [offer for offer in offers if offer.provider == provider]
        regions = list(dict.fromkeys(offer.region for offer in own))
        models = list(dict.fromkeys(offer.model for offer in own))
        local = _is_local(provider)
        yield f"  {_text(provider)}:"
        yield f"    tier: {'local' if local else 'cloud'}  # guess: by its name"
        yield "    owner: platform  # guess: the responsible team"
        yield "    regions:"
        for region in regions:
            unknown = "  # guess: the source does not report regions" if region == "unknown-region" else ""
            yield f"      {_text(region)}: {{}}{unknown}"
        yield "    models:"
        for model in models:
            places = [region for region in regions if Offer(provider, model, region) in own]
            where = "" if places == regions else f"regions: [{', '.join(map(_text, places))}]"
            yield f"      {_text(model)}: {{{where}}}"
        if local:
            yield "    servers:"
            for number, region in enumerate(regions, 1):
                served = [model for model in models if Offer(provider, model, region) in own]
                inside = f"region: {_text(region)}, models: [{', '.join(map(_text, served))}]"
                yield f"      server-{number}: {{{inside}}}  # guess: one server a region; GPUs, metrics address"


def _is_local(provider: str) -> bool:
    return any(word in provider.lower() for word in LOCAL_SERVERS)


def _aliases(aliases: Mapping[str, Sequence[Offer]], guessed: bool) -> Iterable[str]:
    yield "aliases:"
    for alias, offers in aliases.items():
        note = "the source names no aliases" if guessed else "those that have answered, by fallback step"
        yield f"  {_text(alias)}:"
        yield "    owner: platform  # guess: the responsible team"
        yield f"    candidates:  # guess: {note}"
        for offer in offers:
            places = ", ".join(f"{key}: {_text(value)}" for key, value in offer._asdict().items())
            yield f"      - {{{places}}}"


def _tenants(names: _Names, seen: SeenEstate, aliases: Mapping[str, object]) -> Iterable[str]:
    yield "tenants:"
    tenants = names.kept("tenant", dict(sorted(seen.tenants.items())))
    if not tenants:
        yield "  default:  # guess: no tenant was seen"
        yield "    features: [default]  # guess: no feature was seen"
        yield from _spending()
    for name, tenant in tenants.items():
        of = f"feature of {_text(name)}"
        features = [feature for feature in sorted(set(tenant.features)) if names.keep(of, feature)]
        called = [alias for alias in sorted(set(tenant.aliases)) if alias in aliases]
        yield f"  {_text(name)}:"
        if features:
            yield f"    features: [{', '.join(map(_text, features))}]"
        else:
            yield "    features: [default]  # guess: no feature was seen"
        if called:
            yield f"    aliases: [{', '.join(map(_text, called))}]  # guess: those that it has called"
        yield from _spending()


def _spending() -> Iterable[str]:
    yield "    budget_usd_per_month: 1000  # guess: what it may spend"
    yield "    zone: anywhere  # guess: where its calls may be served"


def _prices(offers: Sequence[Offer]) -> Iterable[str]:
    priced = sorted({(offer.provider, offer.model) for offer in offers if not _is_local(offer.provider)})
    yield "price_book:"
    yield '  version: "draft"  # guess: the version that your gateway reports'
    yield "  models:" if priced else "  models: {}"
    for provider in dict.fromkeys(provider for provider, _ in priced):
        yield f"    {_text(provider)}:"
        for model in (model for owner, model in priced if owner == provider):
            yield f"      {_text(model)}: {{input: 1, output: 1}}  # guess: US dollars per million tokens"
    if any(_is_local(offer.provider) for offer in offers):
        yield "  gpu_usd_per_hour: 1  # guess: what a GPU of the local tier costs"


def _gateway(seen: SeenEstate) -> Iterable[str]:
    targets = []
    for target in sorted(set(seen.targets)):
        try:
            targets.append(_HOST_PORT.validate_python(target))
        except ValidationError:
            continue  # an instance label that is not an address
    yield "gateway:"
    yield f"  binding: {_text(seen.source)}"
    if targets:
        yield f"  targets: [{', '.join(_text(target) for target in targets)}]"
    else:
        yield '  targets: ["localhost:9100"]  # guess: no address was seen'


def _text(value: str) -> str:
    """`value` as a YAML scalar that is text wherever it stands."""
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    return str(yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))).rstrip("\n")
