"""A first catalog: the starter, or a draft from the names in a running Prometheus. What is not known is marked as a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import jinja2
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
_UNKNOWN_REGION = "unknown-region"
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
    """What the metrics of a source show. A label that the source does not have is empty. `deployments`: the offer of each of
    the gateway's stable ids, of a source that needs them."""

    source: str
    offers: Sequence[Offer]
    aliases: Mapping[str, Sequence[SeenStep]] = field(default_factory=dict)
    tenants: Mapping[str, SeenTenant] = field(default_factory=dict)
    targets: Sequence[str] = ()
    deployments: Mapping[str, Offer] = field(default_factory=dict)


def starter_text() -> str:
    """A small valid catalog, with comments that explain each section."""
    return (resource_folder("catalogs") / "starter.yaml").read_text(encoding="utf-8")


def draft_text(seen: SeenEstate) -> str:
    """A valid catalog as YAML text, with "# guess:" at everything that the metrics do not show.

    Names that a catalog cannot hold (control characters, two that differ in case alone) are left out and listed. Raises
    InvalidInput when nothing is left.
    """
    names = _Names()
    steps = {alias: sorted(answered) for alias, answered in sorted(seen.aliases.items())}
    offers = sorted({*seen.offers, *(step.offer for answered in steps.values() for step in answered)})
    offers = [offer for offer in map(_placed, offers) if names.keep_offer(offer)]
    if not offers:
        reason = "; ".join(names.left_out) or "no provider and model"
        raise InvalidInput(f"nothing in these metrics can be used in a catalog: {reason}")
    aliases = {
        alias: [offer for offer in dict.fromkeys(_placed(step.offer) for step in answered) if offer in offers]
        for alias, answered in steps.items()
    }
    aliases = {alias: candidates for alias, candidates in names.kept("alias", aliases).items() if candidates}
    tenants = {
        name: SeenTenant(
            [feature for feature in sorted(set(tenant.features)) if names.keep(f"feature of {_text(name)}", feature)],
            [alias for alias in sorted(set(tenant.aliases)) if alias in aliases],
        )
        for name, tenant in names.kept("tenant", dict(sorted(seen.tenants.items()))).items()
    }
    deployments = {name: _placed(offer) for name, offer in names.kept("deployment", seen.deployments).items()}
    providers = {name: _Provider.of(name, offers) for name in dict.fromkeys(offer.provider for offer in offers)}
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML
        trim_blocks=True,
    )
    environment.filters["text"] = _text
    environment.filters["texts"] = lambda values: ", ".join(map(_text, values))
    template = resource_folder("templates") / "catalog" / "draft.yaml.j2"
    return environment.from_string(template.read_text(encoding="utf-8")).render(
        left_out=names.left_out,
        providers=providers,
        cloud={name: provider for name, provider in providers.items() if not provider.local},
        unknown_region=_UNKNOWN_REGION,
        aliases=aliases or {"default": offers},
        guessed_aliases=not aliases,
        tenants=tenants or {"default": SeenTenant((), ())},
        guessed_tenant=not tenants,
        source=seen.source,
        deployments={name: offer for name, offer in deployments.items() if offer in offers},
        targets=[target for target in sorted(set(seen.targets)) if _is_host_port(target)],
    )


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider in the draft; `models`: by name, the regions that offer it."""

    local: bool
    regions: list[str]
    models: dict[str, list[str]]

    @classmethod
    def of(cls, name: str, offers: Iterable[Offer]) -> _Provider:
        models: dict[str, list[str]] = {}
        own = [offer for offer in offers if offer.provider == name]
        for offer in own:
            models.setdefault(offer.model, []).append(offer.region)
        regions = list(dict.fromkeys(offer.region for offer in own))
        places = {model: sorted(offered, key=regions.index) for model, offered in models.items()}
        return cls(any(word in name.lower() for word in LOCAL_SERVERS), regions, places)

    def models_in(self, region: str) -> list[str]:
        return [model for model, regions in self.models.items() if region in regions]


def _placed(offer: Offer) -> Offer:
    return offer if offer.region else offer._replace(region=_UNKNOWN_REGION)


def _is_host_port(target: str) -> bool:
    """Whether an instance label is an address; relabelling may have made it something else."""
    try:
        _HOST_PORT.validate_python(target)
    except ValidationError:
        return False
    return True


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


def _text(value: str) -> str:
    """`value` as a YAML scalar that is always read as text."""
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_PLAIN:
        return value
    return str(yaml.safe_dump(value, default_style='"', allow_unicode=True, width=float("inf"))).rstrip("\n")
