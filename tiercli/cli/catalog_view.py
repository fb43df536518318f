"""A catalog for reading: what `tiercli catalog show` prints. Names are printed as they are, never as markup."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tiercli.catalog.model import Catalog, Provider
from tiercli.cli.terminal import plain_table
from tiercli.money import dollars


def catalog_view(catalog: Catalog) -> RenderableType:
    """Providers with regions, models and servers as a tree; aliases, tenants, routing and budgets as tables."""
    title = Text(f"{catalog.estate} ({catalog.env}, {catalog.time_zone})", style="bold")
    return Group(
        title,
        _providers(catalog),
        _table("Aliases", ("alias", "owner", "candidates, first to last"), _alias_rows(catalog)),
        _table("Tenants", ("tenant", "zone", "USD a month", "features", "aliases"), _tenant_rows(catalog)),
        _table("Owners and routing", ("owner", "page", "notify", "trend", "contact"), _owner_rows(catalog)),
        _table("Receivers", ("receiver", "integration"), _receiver_rows(catalog)),
        _table("Series budgets", ("metric", "series", "owner", "reason"), _budget_rows(catalog)),
    )


def _table(title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = plain_table(*columns)
    table.title, table.title_justify = Text(title), "left"
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _providers(catalog: Catalog) -> Tree:
    tree = Tree(Text("Providers", style="italic"))
    for name, provider in catalog.providers.items():
        branch = tree.add(Text(f"{name}: {provider.tier}, owned by {provider.owner}"))
        for region, settings in provider.regions.items():
            typical = settings.typical
            normal = f"p50 {typical.p50_seconds:g} s, p95 {typical.p95_seconds:g} s, errors {typical.error_ratio:.2%}"
            branch.add(Text(f"region {region} (typical {normal})"))
        for model in provider.models:
            branch.add(Text(f"model {model}{_where(provider, model)}, {_price(catalog, name, model)}"))
        for server_name, server in provider.servers.items():
            models = ", ".join(server.models)
            branch.add(Text(f"server {server_name} in {server.region}, {server.gpus} GPUs: {models}"))
    return tree


def _where(provider: Provider, model: str) -> str:
    regions = provider.models[model].regions
    return "" if regions is None else f" in {', '.join(regions)} only"


def _price(catalog: Catalog, provider: str, model: str) -> str:
    price = catalog.price_book.models.get(provider, {}).get(model)
    if price is not None:
        return f"{price.input:g} in, {price.output:g} out (USD a million tokens)"
    hour = catalog.price_book.gpu_usd_per_hour
    return "without a price" if hour is None else f"{dollars(hour)} USD a GPU hour"


def _alias_rows(catalog: Catalog) -> Iterable[tuple[str, ...]]:
    for name, alias in catalog.aliases.items():
        steps = (f"{step.provider} {step.model} {step.region}" for step in alias.candidates)
        yield name, alias.owner, " → ".join(steps)


def _tenant_rows(catalog: Catalog) -> Iterable[tuple[str, ...]]:
    for name, tenant in catalog.tenants.items():
        aliases = "all" if tenant.aliases is None else ", ".join(tenant.aliases)
        yield name, tenant.zone, dollars(tenant.budget_usd_per_month), ", ".join(tenant.features), aliases


def _owner_rows(catalog: Catalog) -> Iterable[tuple[str, ...]]:
    routing = catalog.routing
    for name, owner in catalog.owners.items():
        yield (
            name,
            owner.page or routing.page,
            owner.notify or routing.notify,
            owner.trend or routing.trend,
            owner.contact,
        )


def _receiver_rows(catalog: Catalog) -> Iterable[tuple[str, ...]]:
    for name, receiver in catalog.receivers.items():
        yield name, receiver.in_words() or "none: notifies no receiver"


def _budget_rows(catalog: Catalog) -> Iterable[tuple[str, ...]]:
    total = catalog.cardinality.total
    yield "all", f"{total.series:,}", total.owner, total.reason
    for metric, budget in catalog.cardinality.metrics.items():
        yield metric, f"{budget.series:,}", budget.owner, budget.reason
