"""How many series the sources of a catalog expose under names of their own: LiteLLM, vLLM, DCGM, a cloud console.

A binding says of each label which dimension of the catalog its values are. The rows that the catalog allows are listed per
alias, never per tenant: tenants that may call the same aliases are counted together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

from tiercli.cardinality.combinations import Factor
from tiercli.catalog.model import Catalog, OtherSource, Server
from tiercli.conventions import GATEWAY_JOB, SERVERS_JOB, source_job
from tiercli.signals.bindings import CANONICAL_BINDING, Binding, known_binding
from tiercli.signals.sources import gpu_sources
from tiercli.signals.vendor_metrics import ExposedMetric

Row = tuple[tuple[str, str | None], ...]
# Dimensions that a call has only once it is routed.
_ROUTED = frozenset(("deployment", "provider", "model", "region", "step"))
# Dimensions of which a call can have a value that the catalog does not know, or none.
_CALLERS = frozenset(("tenant", "tenant_key", "alias"))
_WORDS = {
    "deployment": "deployments",
    "provider": "providers",
    "model": "models",
    "region": "regions",
    "alias": "aliases",
    "step": "fallback steps",
    "tenant": "tenants",
}


@dataclass(frozen=True)
class VendorSource:
    """A source that exposes metrics of its own, and what part of the catalog its targets show. `same`: every target exposes
    all of it, like the instances of a gateway; otherwise the targets share it."""

    binding: Binding
    job: str
    targets: tuple[str, ...]
    same: bool
    provider: str | None = None
    servers: tuple[Server, ...] = ()

    @property
    def instances(self) -> int:
        """How many times each of its label sets exists."""
        return len(self.targets) if self.same else 1

    def pieces(self) -> Iterator[VendorSource]:
        """Each target as a source of its own, with the servers that it shows. Targets whose servers are unknown form one source,
        with the servers that no other target shows."""
        if self.same:
            yield from (replace(self, targets=(target,)) for target in self.targets)
            return
        shown: set[str] = set()
        unknown = []
        for target in self.targets:
            servers = tuple(server for server in self.servers if self._shows(target, server))
            shown.update(str(server.metrics) for server in servers)
            if servers:
                yield replace(self, targets=(target,), servers=servers)
            else:
                unknown.append(target)
        if unknown:
            rest = tuple(server for server in self.servers if server.metrics not in shown)
            yield replace(self, targets=tuple(unknown), servers=rest)

    def _shows(self, target: str, server: Server) -> bool:
        if server.metrics is None:
            return False
        return target == server.metrics if self.binding.kind == "servers" else _host(target) == _host(server.metrics)


@dataclass(frozen=True)
class Part:
    """A metric of one source, and the series of one label set of it."""

    source: VendorSource
    metric: ExposedMetric
    series_per_set: int


class VendorCounts:
    """Counts the label sets of the sources of one catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._known: dict[tuple[object, ...], int] = {}

    @cached_property
    def sources(self) -> tuple[VendorSource, ...]:
        """The sources that expose metrics of their own, the gateway first; servers of one binding are one."""
        return tuple(_sources(self._catalog))

    @cached_property
    def parts(self) -> Mapping[str, list[Part]]:
        """Every metric of these sources by name; rarely of more than one source."""
        parts: dict[str, list[Part]] = {}
        for source in self.sources:
            for name, part in self._kept(source):
                parts.setdefault(name, []).append(part)
        return parts

    def _kept(self, source: VendorSource) -> Iterator[tuple[str, Part]]:
        """What Prometheus keeps of a source: every metric that is not dropped, without the labels that are."""
        drops = self._catalog.cardinality.drop
        for name, metric, per_set in source.binding.counted():
            if name in drops.metrics:
                continue
            if gone := drops.labels.get(name):
                metric = metric.model_copy(
                    update={"labels": tuple(label for label in metric.labels if label not in gone)}
                )
            yield name, Part(source, metric, per_set)

    def values(self, part: Part, label: str) -> int | None:
        """How many values a label of a metric has in all; None where neither the catalog nor the binding says it, and for labels
        of callers, where calls can have values that the catalog does not."""
        source = part.source
        own, stated = _values(part.metric, source).get(label), self._catalog.cardinality.label_values.get(label)
        if not isinstance(own, str):
            return own if stated is None else stated
        if own in _CALLERS:
            return None
        if source.binding.kind == "servers":
            count = len({model for server in source.servers for model in server.models})
        else:
            count = self._combinations(source, frozenset({own}), part.metric.unrouted)
        return count * (stated or 1) or None

    def series(self, part: Part, without: str | None = None) -> int:
        """The series of a metric of one source on all its targets; `without`: as if it did not have this label."""
        labels = [label for label in part.metric.labels if label != without]
        return self.label_sets(part.source, part.metric, labels) * part.series_per_set * part.source.instances

    def recorded(self, series: str) -> int | None:
        """The label sets of a recorded series whose values are the gateway's own; None where they are the catalog's."""
        source = next((source for source in self.sources if series in source.binding.recorded_of), None)
        if source is None:
            return None
        origin = source.binding.recorded_of[series]
        return self.label_sets(source, self.parts[origin.metric][0].metric, origin.labels)

    def largest(self, part: Part) -> int:
        """The most series of a metric that one target can have."""
        return max((self.series(replace(part, source=piece)) for piece in part.source.pieces()), default=0)

    def exposed(self, source: VendorSource) -> int:
        """All series of a source, on all its targets."""
        return sum(self.series(part) for _, part in self._kept(source))

    def factors(self, source: VendorSource, metric: ExposedMetric, labels: Iterable[str]) -> list[Factor]:
        """The factors of the label sets of a metric that has `labels`: on each target where all are the same, else on all."""
        kept = list(labels)
        values, more = _values(metric, source), self._catalog.cardinality.label_values
        dimension_of = {label: str(values[label]) for label in kept if isinstance(values.get(label), str)}
        dimensions = frozenset("tenant" if name == "tenant_key" else name for name in dimension_of.values())
        factors = []
        count = self._combinations(source, dimensions, metric.unrouted)
        if dimensions or count != 1:
            factors.append(Factor(count, tuple(dimension_of), _in_words(source, dimensions)))
        for label in kept:
            own = values.get(label, 1)
            number = more.get(label, 1 if isinstance(own, str) else own)
            if number > 1:
                factors.append(Factor(number, (label,), f"values of {label}"))
        return factors

    def label_sets(self, source: VendorSource, metric: ExposedMetric, labels: Iterable[str] | None = None) -> int:
        """The product of these factors; `labels` None: all labels of the metric."""
        factors = self.factors(source, metric, metric.labels if labels is None else labels)
        return prod(factor.count for factor in factors)

    def _combinations(self, source: VendorSource, dimensions: frozenset[str], unrouted: bool) -> int:
        key = (source.job, source.binding.source, source.targets, source.servers, dimensions, unrouted)
        if key not in self._known:
            self._known[key] = self._count(source, dimensions, unrouted)
        return self._known[key]

    def _count(self, source: VendorSource, dimensions: frozenset[str], unrouted: bool) -> int:
        if source.binding.kind == "servers":
            return sum(len(set(server.models)) if "model" in dimensions else 1 for server in source.servers)
        if source.binding.kind == "gpus":
            return sum(server.gpus for server in source.servers) if "gpu" in dimensions else len(source.targets)
        if source.provider is not None:
            return len({_kept(row, dimensions) for row in self._offered(source.provider)})
        rest = dimensions - {"tenant"}
        if "tenant" not in dimensions:
            rows = self._by_alias.values() if rest & {"alias", "step"} else [self._offered(None)]
            return len({_kept(row, rest) for group in rows for row in (*group, *_unrouted(group, unrouted))})
        by_alias = {
            alias: frozenset(_kept(row, rest) for row in (*rows, *_unrouted(rows, unrouted)))
            for alias, rows in self._by_alias.items()
        }
        same = Counter(tenant.aliases for tenant in self._catalog.tenants.values())
        return sum(
            count * len(frozenset().union(*(by_alias[alias] for alias in (by_alias if names is None else names))))
            for names, count in same.items()
        )

    @cached_property
    def _by_alias(self) -> Mapping[str, list[dict[str, str | None]]]:
        """The rows that calls of each alias can have: its candidates at their steps, times the deployments of each."""
        return {
            name: [
                {**offer, "deployment": deployment, "alias": name, "step": str(step)}
                for step, candidate in enumerate(alias.candidates)
                for offer in [candidate.model_dump()]
                for deployment in self._deployments.get(tuple(offer.values()), [None])
            ]
            for name, alias in self._catalog.aliases.items()
        }

    @cached_property
    def _deployments(self) -> Mapping[tuple[str, ...], list[str | None]]:
        names: dict[tuple[str, ...], list[str | None]] = {}
        for name, offer in self._catalog.gateway.deployments.items():
            names.setdefault(tuple(offer.model_dump().values()), []).append(name)
        return names

    def _offered(self, provider: str | None) -> list[dict[str, str | None]]:
        """The rows that calls can have, whatever the alias."""
        if provider is None and self._catalog.gateway.deployments:
            return [
                {**offer.model_dump(), "deployment": name} for name, offer in self._catalog.gateway.deployments.items()
            ]
        return [
            {**offer._asdict(), "deployment": "/".join(offer)}
            for offer in self._catalog.offers()
            if provider is None or offer.provider == provider
        ]


def _sources(catalog: Catalog) -> Iterator[VendorSource]:
    gateway = catalog.gateway
    if gateway.binding != CANONICAL_BINDING:
        yield VendorSource(
            known_binding(gateway.binding), GATEWAY_JOB, tuple(dict.fromkeys(gateway.targets)), same=True
        )
    scraped: dict[str, list[Server]] = {}
    for provider in catalog.providers.values():
        if provider.binding is not None:
            scraped.setdefault(provider.binding, []).extend(
                server for server in provider.servers.values() if server.metrics is not None
            )
    for binding, servers in scraped.items():
        if servers:
            targets = tuple(dict.fromkeys(str(server.metrics) for server in servers))
            yield VendorSource(known_binding(binding), SERVERS_JOB, targets, same=False, servers=tuple(servers))
    for name, source in catalog.sources.items():
        binding_of = known_binding(source.binding)
        targets = tuple(dict.fromkeys(source.targets))
        beside = _beside(catalog, source) if binding_of.kind == "gpus" else ()
        same = binding_of.kind == "gateway"
        yield VendorSource(binding_of, source_job(name), targets, same, source.provider, beside)


def _beside(catalog: Catalog, source: OtherSource) -> tuple[Server, ...]:
    """The servers whose GPUs the targets of a source show: those on the same hosts. Where a target runs on no server's host,
    also the servers whose host has no GPU exporter."""
    servers = tuple(server for _, _, server in catalog.servers())
    own = {_host(target) for target in source.targets}
    exporters = {_host(target) for gpu_source in gpu_sources(catalog).values() for target in gpu_source.targets}
    hosts = {server: _host(server.metrics) if server.metrics is not None else "" for server in servers}
    strange = not own <= set(hosts.values())
    return tuple(server for server in servers if hosts[server] in own or (strange and hosts[server] not in exporters))


def _values(metric: ExposedMetric, source: VendorSource) -> Mapping[str, str | int]:
    return source.binding.label_values | metric.values


def _host(address: str) -> str:
    return address.rpartition(":")[0]


def _unrouted(rows: list[dict[str, str | None]], unrouted: bool) -> Iterator[dict[str, str | None]]:
    """The rows of calls that were refused before they had a provider: one for each alias."""
    if unrouted:
        aliases = dict.fromkeys(row.get("alias") for row in rows)
        yield from ({**dict.fromkeys(_ROUTED, ""), "alias": alias} for alias in aliases)


def _kept(row: Mapping[str, str | None], dimensions: frozenset[str]) -> Row:
    return tuple((dimension, row.get(dimension)) for dimension in sorted(dimensions))


def _in_words(source: VendorSource, dimensions: frozenset[str]) -> str:
    """What is counted, in words."""
    if source.binding.kind == "servers":
        return "models by server" if dimensions else "servers"
    if source.binding.kind == "gpus":
        return "GPUs" if dimensions else "targets"
    words = [word for dimension, word in _WORDS.items() if dimension in dimensions]
    return f"combinations of {', '.join(words)} that the catalog allows" if len(words) > 1 else "".join(words) or "none"
