"""Everything that a target of a vendor can expose for a catalog, built label set by label set and written as text."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tiercli.catalog.model import Catalog
from tiercli.signals.bindings import Binding, known_binding
from tiercli.signals.vendor_metrics import ExposedMetric, created_series

Row = dict[str, str]
ROUTED = ("deployment", "provider", "model", "region", "step")


def gateway_rows(catalog: Catalog, unrouted: bool) -> Iterator[Row]:
    """What every call of every tenant can be."""
    for tenant, settings in catalog.tenants.items():
        for alias in catalog.tenant_aliases(settings):
            if unrouted:
                yield {**dict.fromkeys(ROUTED, ""), "tenant": tenant, "tenant_key": f"key of {tenant}", "alias": alias}
            for step, candidate in enumerate(catalog.aliases[alias].candidates):
                ids = [name for name, offer in catalog.gateway.deployments.items() if offer == candidate]
                for deployment in ids or ["none"]:
                    yield {
                        **candidate.model_dump(),
                        "deployment": deployment,
                        "alias": alias,
                        "step": str(step),
                        "tenant": tenant,
                        "tenant_key": f"key of {tenant}",
                    }


def routes(catalog: Catalog, labels: set[str]) -> Iterator[Row]:
    """What calls can be, whoever makes them: by alias where that is asked for, else what is offered."""
    if labels & {"alias", "step"}:
        for alias, settings in catalog.aliases.items():
            for step, candidate in enumerate(settings.candidates):
                ids = [name for name, offer in catalog.gateway.deployments.items() if offer == candidate]
                for deployment in ids or ["none"]:
                    yield {**candidate.model_dump(), "deployment": deployment, "alias": alias, "step": str(step)}
    elif catalog.gateway.deployments:
        for name, offer in catalog.gateway.deployments.items():
            yield {**offer.model_dump(), "deployment": name}
    else:
        yield from (dict(zip(("provider", "model", "region"), offer, strict=True)) for offer in catalog.offers())


def label_sets(binding: Binding, metric: ExposedMetric, rows: list[Row], more: dict[str, int]) -> list[Row]:
    """The distinct label sets of a metric, by the rows that its dimensions can be."""
    values = binding.label_values | metric.values
    numbered = [label for label in metric.labels if isinstance(values.get(label), int) or label in more]
    found = set()
    for row in rows:
        of = {label: row[str(values[label])] for label in metric.labels if isinstance(values.get(label), str)}
        ranges = [
            range(more.get(label, values[label] if isinstance(values.get(label), int) else 1))
            for label in numbered  # type: ignore[arg-type]
        ]
        for numbers in product(*ranges):
            named = {label: str(number) for label, number in zip(numbered, numbers, strict=True)}
            # A label that is both: a team has several keys.
            both = {label: f"{of[label]} {named[label]}" for label in of.keys() & named.keys()}
            found.add(tuple(sorted({**dict.fromkeys(metric.labels, "x"), **of, **named, **both}.items())))
    return [dict(one) for one in sorted(found)]


def gateway_sets(catalog: Catalog) -> Iterator[tuple[str, ExposedMetric, list[Row]]]:
    """Every metric of a gateway with its label sets."""
    binding = known_binding(catalog.gateway.binding)
    for name, metric, _ in binding.counted():
        asked = {str(binding.label_values.get(label)) for label in metric.labels}
        by_tenant = bool(asked & {"tenant", "tenant_key"})
        rows = list(gateway_rows(catalog, metric.unrouted) if by_tenant else routes(catalog, asked))
        yield name, metric, label_sets(binding, metric, rows, catalog.cardinality.label_values)


def target_sets(catalog: Catalog, binding: Binding, rows: list[Row]) -> Iterator[tuple[str, ExposedMetric, list[Row]]]:
    """Every metric of a server (a row for each model) or of a GPU exporter (a row for each GPU)."""
    for name, metric, _ in binding.counted():
        yield name, metric, label_sets(binding, metric, rows, catalog.cardinality.label_values)


def local_texts(catalog: Catalog) -> dict[str, str]:
    """The text of each server's own metrics and of each GPU exporter on its host, by address."""
    texts = {}
    for provider, _, server in catalog.servers():
        binding = catalog.providers[provider].binding
        if server.metrics is None or binding is None:
            continue
        rows = [{"model": model} for model in server.models]
        texts[server.metrics] = as_text(
            known_binding(binding), list(target_sets(catalog, known_binding(binding), rows)), 1
        )
        host = server.metrics.partition(":")[0]
        for source in catalog.sources.values():
            gpus = known_binding(source.binding)
            rows = [{"gpu": str(number)} for number in range(server.gpus)]
            for address in source.targets:
                if address.partition(":")[0] == host:
                    texts[address] = as_text(gpus, list(target_sets(catalog, gpus, rows)), 1)
    return texts


def as_text(binding: Binding, sets: list[tuple[str, ExposedMetric, list[Row]]], grown: float) -> str:
    """Exposition text; counters have grown to `grown`."""
    lines = []
    created_of = {name: per_set for name, _, per_set in binding.counted()}
    for name, metric, rows in sets:
        lines.append(f"# TYPE {name} {metric.type}")
        for row in rows:
            if metric.type == "histogram":
                bounds = metric.buckets if isinstance(metric.buckets, tuple) else range(1, metric.finite_buckets + 1)
                for bound in (*(f"{float(one)}" for one in bounds), "+Inf"):
                    lines.append(f"{name}_bucket{braces({**row, 'le': bound})} {grown}")
            if metric.type in ("histogram", "summary"):
                lines += [f"{name}_sum{braces(row)} {grown}", f"{name}_count{braces(row)} {grown}"]
            else:
                lines.append(f"{name}{braces(row)} {grown if metric.type == 'counter' else 0.5}")
            if created_of[name] > metric.series_per_label_set(created=False):
                lines.append(f"{created_series(name, metric.type)}{braces(row)} 1.7e9")
    return "\n".join(lines) + "\n"


def braces(labels: Row) -> str:
    """Labels as exposition text has them."""
    quoted = (f'{label}="{value}"' for label, value in labels.items())
    return f"{{{','.join(quoted)}}}" if labels else ""
