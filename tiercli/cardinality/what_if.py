"""The same estate with more or fewer tenants, features, aliases or gateway instances, to plan for that."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice

from tiercli.catalog.model import Alias, Catalog, Tenant
from tiercli.catalog.names import unknown_name
from tiercli.errors import InvalidInput, Location, Problem


def scaled(catalog: Catalog, numbers: dict[str, int]) -> Catalog:
    """`catalog` with these numbers of tenants, features, aliases, instances. Added entries copy existing ones in turn: a tenant
    uses the same share of the features and aliases as the one it copies. The result is for counting only."""
    for dimension in DIMENSIONS:
        if dimension in numbers:
            catalog = DIMENSIONS[dimension](catalog, numbers[dimension])
    return catalog


def read_numbers(texts: list[str]) -> dict[str, int]:
    """The numbers of --set options: tenants=5000 and the like. Raises InvalidInput with every problem."""
    numbers: dict[str, int] = {}
    problems: list[Problem] = []
    place = Location("--set")
    for text in texts:
        name, _, value = text.partition("=")
        if name not in DIMENSIONS:
            problems.append(unknown_name("dimension", name, DIMENSIONS, place))
        elif not value.isdigit() or int(value) < 1:
            problems.append(
                Problem(place, f"{text!r}: {value!r} is not a valid number", "a whole number of at least 1")
            )
        else:
            numbers[name] = int(value)
    if problems:
        raise InvalidInput("--set cannot be read", problems)
    return numbers


def _tenants(catalog: Catalog, number: int) -> Catalog:
    models = list(catalog.tenants.items())
    tenants: dict[str, Tenant] = dict(models[:number])
    for count, (name, tenant) in enumerate(islice(cycle(models), max(0, number - len(models)))):
        tenants[_new(f"{name} {count + 2}", tenants)] = tenant
    return catalog.model_copy(update={"tenants": tenants})


def _features(catalog: Catalog, number: int) -> Catalog:
    before = list(dict.fromkeys(feature for tenant in catalog.tenants.values() for feature in tenant.features))
    after = _names(before, number)
    chosen: dict[tuple[str, ...], tuple[str, ...]] = {}
    tenants = {}
    for name, tenant in catalog.tenants.items():
        if tenant.features not in chosen:
            chosen[tenant.features] = _share(tenant.features, before, after)
        tenants[name] = tenant.model_copy(update={"features": chosen[tenant.features]})
    return catalog.model_copy(update={"tenants": tenants})


def _aliases(catalog: Catalog, number: int) -> Catalog:
    before = list(catalog.aliases)
    after = _names(before, number)
    models = cycle(catalog.aliases.values())
    aliases: dict[str, Alias] = {name: next(models) for name in after}
    tenants = {
        name: tenant
        if tenant.aliases is None
        else tenant.model_copy(update={"aliases": _share(tenant.aliases, before, after)})
        for name, tenant in catalog.tenants.items()
    }
    return catalog.model_copy(update={"aliases": aliases, "tenants": tenants})


def _instances(catalog: Catalog, number: int) -> Catalog:
    targets = tuple(f"gateway-{count}:1" for count in range(number))
    return catalog.model_copy(update={"gateway": catalog.gateway.model_copy(update={"targets": targets})})


def _names(before: list[str], number: int) -> list[str]:
    names = dict.fromkeys(before[:number])
    for count in range(number - len(before)):
        names[_new(f"{before[count % len(before)]} {count + 2}", names)] = None
    return list(names)


def _new(name: str, taken: dict[str, object] | dict[str, Tenant] | dict[str, None]) -> str:
    while name in taken:
        name += "'"
    return name


def _share(used: tuple[str, ...], before: list[str], after: list[str]) -> tuple[str, ...]:
    """The same share of the names after the change; names in use come first."""
    number = max(1, round(len(set(used)) * len(after) / len(before))) if used else 0
    known = set(after)
    own = [name for name in used if name in known]
    start = before.index(used[0]) if used else 0
    others = (name for name in (*after[start:], *after[:start]) if name not in own)
    return tuple([*own, *others][:number])


DIMENSIONS: dict[str, Callable[[Catalog, int], Catalog]] = {
    "features": _features,
    "aliases": _aliases,
    "tenants": _tenants,
    "instances": _instances,
}
